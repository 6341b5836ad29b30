use std::fs;

use serde_json::{Value, json};

use crate::sandbox::{Ran, Sandbox, contents, hash_of};

/// A registry and the tree `grads-1.0`.
fn pulled() -> (Sandbox, String) {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &[]).ok();
    (sandbox, pin)
}

fn verify(sandbox: &Sandbox, what: &str, more: &[&str]) -> Ran {
    sandbox.isn(&[&["verify", what, "--registry", "reg", "--json"], more].concat())
}

/// Returns `(kind, path)` of every fault.
fn faults(report: &Value) -> Vec<(String, String)> {
    let text = |fault: &Value, field: &str| fault[field].as_str().unwrap().to_string();
    let mut all: Vec<_> = report["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (text(fault, "kind"), text(fault, "path")))
        .collect();
    all.sort();
    all
}

#[test]
fn a_whole_tree_is_only_as_good_as_what_it_is_compared_with() {
    let (sandbox, pin) = pulled();
    let hash = hash_of(&pin);
    let ran = sandbox.isn(&["verify", "grads-1.0"]).ok();
    assert!(ran.stdout.contains("consistent with itself only"), "{}", ran.stdout);
    assert!(ran.stdout.contains(hash), "{}", ran.stdout);
    for (expect, assurance) in [(hash, "hash"), (&pin, "hash"), ("grads@1.0", "signed"), ("grads", "signed")]
    {
        let report = verify(&sandbox, "grads-1.0", &["--expect", expect]).ok().json();
        assert_eq!(report["ok"], true);
        assert_eq!(report["assurance"], assurance, "{expect}");
        assert_eq!(report["dataset"], hash);
        assert_eq!(report["checked"], 25);
    }
    // A pin is checked without any registry.
    sandbox.isn(&["verify", "grads-1.0", "--expect", &pin, "--registry", "http://127.0.0.1:1"]).ok();

    let wrong = format!("b3:{}", "a".repeat(64));
    let ran = verify(&sandbox, "grads-1.0", &["--expect", &wrong]).fails(3, hash);
    assert_eq!(faults(&ran.json()), [("changed".to_string(), "B3SUMS".to_string())]);
    verify(&sandbox, "grads-1.0", &["--expect", &format!("grads@1.0#{wrong}")]).fails(3, &wrong);
    // Another version, correctly signed, does not match this tree.
    sandbox.build_second_version();
    sandbox.publish("out2");
    verify(&sandbox, "grads-1.0", &["--expect", "grads@1.1"]).fails(3, hash);
}

#[test]
fn every_fault_of_a_tree_is_told_at_once() {
    let (sandbox, pin) = pulled();
    let tree = |name: &str| sandbox.path("grads-1.0").join(name);
    let images: Vec<String> = contents(&sandbox.path("grads-1.0"))
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("train/"))
        .collect();
    let [missing, changed, one, other, moved, linked, ..] = &images[..] else { panic!() };
    fs::remove_file(tree(missing)).unwrap();
    let mut bytes = fs::read(tree(changed)).unwrap();
    bytes[50] ^= 1;
    fs::write(tree(changed), bytes).unwrap();
    // Swapped: both files exist, and each has the other's bytes.
    fs::rename(tree(one), tree("x")).unwrap();
    fs::rename(tree(other), tree(one)).unwrap();
    fs::rename(tree("x"), tree(other)).unwrap();
    fs::create_dir(tree("train/dog")).unwrap();
    fs::rename(tree(moved), tree("train/dog/moved.png")).unwrap();
    fs::write(tree("train/dog/extra.png"), "new").unwrap();
    let mut expected = vec![
        ("missing", missing.as_str()),
        ("changed", changed),
        ("misplaced", one),
        ("misplaced", other),
        ("missing", moved),
        ("misplaced", "train/dog/moved.png"),
        ("extra", "train/dog/extra.png"),
        ("changed", "classes.csv"),
    ];
    fs::write(tree("classes.csv"), "index,id,label,group\n").unwrap();
    #[cfg(unix)]
    {
        // A symlink to the right bytes is not a file of the tree: its target may change.
        fs::rename(tree(linked), sandbox.path("elsewhere.png")).unwrap();
        std::os::unix::fs::symlink(sandbox.path("elsewhere.png"), tree(linked)).unwrap();
        expected.extend([("invalid", linked.as_str()), ("missing", linked)]);
    }
    let mut expected: Vec<_> =
        expected.into_iter().map(|(kind, path)| (kind.to_string(), path.to_string())).collect();
    expected.sort();
    for more in [&[][..], &["--expect", &pin]] {
        let ran = verify(&sandbox, "grads-1.0", more).fails(3, "faults");
        assert_eq!(faults(&ran.json()), expected);
    }
    let text = sandbox.isn(&["verify", "grads-1.0"]).fails(3, "FAILED: grads-1.0");
    for (kind, path) in &expected {
        assert!(text.stdout.contains(&format!("{kind}: {path}")), "{kind} {path} in {}", text.stdout);
    }
}

#[test]
fn a_b3sums_that_another_tool_would_read_otherwise_is_refused() {
    let (sandbox, pin) = pulled();
    let good = String::from_utf8(sandbox.read("grads-1.0/B3SUMS")).unwrap();
    let first = good.lines().next().unwrap().to_string();
    let hash = &first[..64];
    let swapped = {
        let mut lines: Vec<&str> = good.lines().collect();
        lines.swap(0, 1);
        lines.join("\n") + "\n"
    };
    for (what, bad) in [
        ("no final line feed", good.trim_end().to_string()),
        ("crlf", good.replace('\n', "\r\n")),
        ("upper case", good.replacen(hash, &hash.to_uppercase(), 1)),
        ("one space", good.replacen("  ", " ", 1)),
        ("binary mark", good.replacen("  ", " *", 1)),
        ("unsorted", swapped),
        ("twice", format!("{first}\n{good}")),
        ("short hash", good[1..].to_string()),
        ("outside", good.replacen("  classes.csv", "  ../classes.csv", 1)),
        ("absolute", good.replacen("  classes.csv", "  /etc/passwd", 1)),
        ("escaped", format!("\\{good}")),
        ("blank line", format!("{good}\n")),
        ("empty", String::new()),
        ("a byte that is no text", good.replacen("  classes", "  cl\0sses", 1)),
    ] {
        sandbox.write("grads-1.0/B3SUMS", bad.as_bytes());
        for more in [&[][..], &["--expect", &pin]] {
            let ran = verify(&sandbox, "grads-1.0", more);
            assert_eq!(ran.code, 3, "{what}: {} {}", ran.stdout, ran.stderr);
            assert!(ran.stdout.contains("B3SUMS"), "{what}: {}", ran.stdout);
        }
    }
    // A tree that was changed together with its list is consistent, but is another dataset.
    sandbox.write("grads-1.0/classes.csv", b"other");
    let line = good.lines().find(|line| line.ends_with("classes.csv")).unwrap();
    let forged = good.replace(line, &format!("{}  classes.csv", isn_format::digest::Digest::of(b"other")));
    sandbox.write("grads-1.0/B3SUMS", forged.as_bytes());
    sandbox.isn(&["verify", "grads-1.0"]).ok();
    verify(&sandbox, "grads-1.0", &["--expect", &pin]).fails(3, "the dataset hash is");
}

#[test]
fn a_fault_is_told_with_the_next_step() {
    let (sandbox, pin) = pulled();
    // A tree of another version has not changed.
    let other = format!("b3:{}", "0".repeat(64));
    let text = sandbox.isn(&["verify", "grads-1.0", "--expect", &other]);
    let text = text.fails(3, &format!("intact, but it is not the expected version, {other}"));
    assert!(!text.stdout.contains("changed") && text.stderr.contains("check the pin"), "{}", text.stdout);
    let renamed = pin.replace("grads@1.0", "birds@9.9");
    let text = sandbox.isn(&["verify", "grads-1.0", "--expect", &renamed]).ok();
    assert!(text.stderr.contains("it calls itself grads@1.0, not birds@9.9"), "{}", text.stderr);
    let text = sandbox.isn(&["verify", "grads-1.0", "--registry", "nope"]).ok();
    assert!(text.stderr.contains("--registry is not used"), "{}", text.stderr);
    for (folder, next) in
        [("grads-1.0", "and pull the version again"), ("out", "build it again"), ("reg", "--registry")]
    {
        let file = if folder == "grads-1.0" {
            "grads-1.0/classes.csv".into()
        } else {
            sandbox.objects(folder, ".tar.zst").remove(0)
        };
        std::fs::remove_file(sandbox.path(&file)).unwrap();
        let text = sandbox.isn(&["verify", folder]).fails(3, "FAILED");
        assert!(text.stderr.contains("help: ") && text.stderr.contains(next), "{folder}: {}", text.stderr);
    }
    // The pull names the version, the faults, and what restores the tree.
    std::fs::write(sandbox.path("grads-1.0/extra.txt"), "mine").unwrap();
    for more in [&[][..], &["--split", "val"]] {
        let text = sandbox.pull("grads@1.0", more);
        let text = text.fails(1, "grads-1.0 already exists, and is grads@1.0, damaged or edited (");
        assert!(text.stderr.contains(", and 1 more)"), "{}", text.stderr);
        assert!(
            text.stderr.contains("`isn verify grads-1.0` lists the differences. To restore it,"),
            "{}",
            text.stderr
        );
    }
}

#[test]
fn a_partial_tree_is_checked_as_one() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--split", "val", "--to", "part"]).ok();
    let report = verify(&sandbox, "part", &["--expect", &pin]).ok().json();
    assert_eq!(report["partial"], true);
    assert_eq!(report["checked"], 7);
    let ran = sandbox.isn(&["verify", "part", "--expect", &pin]).ok();
    assert!(ran.stdout.contains("(a part of the dataset: split val)"), "{}", ran.stdout);
    // Without the list of selected images, many files of the tree are missing.
    let selected = sandbox.read("part/B3SUMS.selected");
    fs::remove_file(sandbox.path("part/B3SUMS.selected")).unwrap();
    let ran = verify(&sandbox, "part", &["--expect", &pin]).fails(3, "missing");
    assert_eq!(faults(&ran.json()).len(), 18);
    // A list that selects images that the dataset does not have.
    let forged = String::from_utf8(selected).unwrap().replacen("  val/", "  wal/", 1);
    sandbox.write("part/B3SUMS.selected", forged.as_bytes());
    verify(&sandbox, "part", &["--expect", &pin]).fails(3, "B3SUMS.selected");
}

#[test]
fn registries_builds_and_versions() {
    let (sandbox, pin) = Sandbox::published();
    let hash = hash_of(&pin);
    let report = verify(&sandbox, "reg", &[]).ok().json();
    assert_eq!((&report["kind"], &report["assurance"]), (&json!("registry"), &json!("signed")));
    let report = verify(&sandbox, "out", &[]).ok().json();
    assert_eq!((&report["kind"], &report["dataset"]), (&json!("build"), &json!(hash)));
    for reference in ["grads@1.0", "grads", &pin, hash] {
        let report = verify(&sandbox, reference, &[]).ok().json();
        assert_eq!((&report["kind"], &report["checked"]), (&json!("version"), &json!(24)), "{reference}");
    }
    sandbox.isn(&["verify", "demobirds@1.0"]).ok();
    verify(&sandbox, "grads@1.0", &["--expect", hash]).ok();
    verify(&sandbox, "grads@1.0", &["--expect", &format!("b3:{}", "0".repeat(64))])
        .fails(3, "expected b3:000");

    // A user who trusts no key learns only that the registry is consistent.
    let mut stranger = sandbox.command(&["verify", "reg"]);
    let output = stranger.env("ISN_HOME", sandbox.path("stranger")).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("consistent with itself, signed by no key you trust"), "{text}");

    sandbox.isn(&["verify", "raw"]).fails(1, "is neither a tree (no B3SUMS), nor a registry");
    sandbox.isn(&["verify", "./nothing"]).fails(6, "./nothing");
    sandbox.isn(&["verify", "No Such Thing"]).fails(1, "is neither a folder nor a version");
    sandbox.isn(&["verify", "reg", "--expect", hash]).fails(1, "--expect is for trees");
}

#[test]
fn a_registry_is_checked_wherever_it_is() {
    use crate::server::{Fault, Server};
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    let check = |location: &str| sandbox.isn(&["registry", "check", location, "--json"]);
    check("reg").ok();
    assert_eq!(check("bundled").ok().json()["checked"], 203);
    check("nowhere").fails(6, "there is no folder nowhere, which was named as a registry");
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    let report = check(&server.url).ok().json();
    assert_eq!((&report["kind"], &report["assurance"]), (&"registry".into(), &"signed".into()));
    // Every image of both versions is stored once: the second shares the first's shard.
    assert_eq!(report["checked"], 26);
    let shards = server.log().iter().filter(|request| request.path.ends_with(".tar.zst")).count();
    assert_eq!(shards, sandbox.objects("reg", ".tar.zst").len());
    for (on, fault, named) in [
        (".tar.zst", Fault::Flip(1000), "BLAKE3"),
        (".tar.zst", Fault::Short(100), "bytes long"),
        (".tar.zst", Fault::Status(404), "is missing"),
        ("releases/grads/1.1", Fault::Status(404), "is this release"),
        ("log/tile/entries", Fault::Flip(100), "log/checkpoint"),
        ("log/tile/0", Fault::Flip(5), "log/tile/0"),
        (".toml", Fault::Flip(5), ".toml"),
        ("releases/grads/versions", Fault::Flip(1), "releases/grads/versions"),
    ] {
        let server = Server::faulty(&sandbox.path("reg"), on, usize::MAX, fault.clone());
        let ran = check(&server.url);
        assert_eq!(ran.code, 3, "{fault:?} on {on}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(named), "{fault:?} on {on}: {}", ran.stdout);
    }
}

/// A file without permissions may be whole: that it cannot be read is an error, not damage.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_not_called_damaged() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, reference) = Sandbox::published();
    sandbox.pull(&reference, &["--to", "tree"]).ok();
    let object = |store: &str, ending: &str| sandbox.objects(store, ending).remove(0);
    let image =
        contents(&sandbox.path("tree")).into_iter().find(|(name, _)| name.ends_with(".png")).unwrap().0;
    let cases = [
        (object("reg", ".tar.zst"), "reg", 5, "registry"),
        (object("reg", ".jsonl.zst"), "reg", 5, "registry"),
        ("reg/log/checkpoint".into(), "reg", 5, "registry"),
        (object("out", ".tar.zst"), "out", 1, "build"),
        (format!("tree/{image}"), "tree", 1, "tree"),
    ];
    for (file, what, code, kind) in cases {
        let shut = |mode| fs::set_permissions(sandbox.path(&file), fs::Permissions::from_mode(mode)).unwrap();
        shut(0o000);
        let Some(said) = sandbox.bound(&["verify", what, "--json"]) else { return };
        assert_eq!(said.code, code, "{file}: {}{}", said.stdout, said.stderr);
        let report = said.json();
        assert_eq!((&report["ok"], &report["kind"]), (&false.into(), &kind.into()), "{file}");
        let faults = report["faults"].as_array().unwrap();
        assert!(faults.iter().all(|fault| fault["kind"] == "unreadable"), "{file}: {report}");
        let text = sandbox.bound(&["verify", what]).unwrap().stdout;
        assert!(text.contains("not everything could be read"), "{file}: {text}");
        // Damage elsewhere is said all the same.
        sandbox.write(&format!("{what}/objects/aa/thesis"), b"x");
        assert_eq!(sandbox.bound(&["verify", what]).unwrap().code, 3, "{file}");
        fs::remove_dir_all(sandbox.path(&format!("{what}/objects/aa"))).unwrap();
        if what == "tree" {
            fs::remove_dir(sandbox.path("tree/objects")).unwrap();
        }
        shut(0o644);
        sandbox.isn(&["verify", what]).ok();
    }
}

/// What is wrong with one file says nothing about the others.
#[test]
fn a_damaged_file_makes_no_other_one_missing() {
    let (sandbox, reference) = Sandbox::published();
    let damage = |store: &str| {
        let recipe = sandbox.objects(store, ".toml").remove(0);
        sandbox.write(&recipe, &[sandbox.read(&recipe), b"x".to_vec()].concat());
        recipe
    };
    let pin = reference.as_str();
    for (store, args) in [
        ("reg", &["verify", "reg", "--json"][..]),
        ("out", &["verify", "out", "--json"]),
        ("reg", &["verify", pin, "--registry", "reg", "--no-cache", "--json"]),
    ] {
        let recipe = damage(store);
        let args: Vec<&str> = args.iter().copied().filter(|arg| *arg != "--no-cache").collect();
        let report = sandbox.isn(&args).fails(3, "").json();
        let faults = report["faults"].as_array().unwrap();
        assert_eq!(faults.len(), 1, "{store}: {report}");
        assert!(recipe.ends_with(faults[0]["path"].as_str().unwrap()), "{report}");
        let whole = sandbox.read(&recipe);
        sandbox.write(&recipe, whole.trim_ascii_end().strip_suffix(b"x").unwrap_or(&whole));
    }
}

/// The rest is checked although a folder cannot be listed.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_listed_hides_no_damage_elsewhere() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, reference) = Sandbox::published();
    sandbox.pull(&reference, &["--to", "tree"]).ok();
    let index = sandbox.objects("reg", ".jsonl.zst").remove(0);
    let folder = index.rsplit_once('/').unwrap().0.to_string();
    let damaged =
        sandbox.objects("reg", ".toml").into_iter().find(|name| !name.starts_with(&folder)).unwrap();
    for (folder, code, damaged) in
        [(folder.as_str(), 5, damaged.as_str()), ("tree/val", 1, "tree/classes.csv"), ("tree", 1, "")]
    {
        let what = folder.split('/').next().unwrap();
        let shut =
            |mode| fs::set_permissions(sandbox.path(folder), fs::Permissions::from_mode(mode)).unwrap();
        shut(0o000);
        let Some(said) = sandbox.bound(&["verify", what]) else { return };
        assert_eq!(said.code, code, "{folder}: {}{}", said.stdout, said.stderr);
        assert!(!said.stdout.contains("missing"), "{folder}: {}", said.stdout);
        if !damaged.is_empty() {
            let whole = sandbox.read(damaged);
            sandbox.write(damaged, &[&whole[..], b"x"].concat());
            let name = damaged.split_once('/').unwrap().1;
            sandbox.bound(&["verify", what]).unwrap().fails(3, name);
            sandbox.write(damaged, &whole);
        }
        shut(0o755);
        sandbox.isn(&["verify", what]).ok();
    }
}

#[test]
fn a_tree_that_cannot_say_what_it_is_is_told() {
    let (sandbox, _) = pulled();
    for text in ["{}", "not json"] {
        sandbox.write("grads-1.0/ISN.json", text.as_bytes());
        let report = verify(&sandbox, "grads-1.0", &[]).ok().json();
        assert!(report["warnings"][0].as_str().unwrap().starts_with("ISN.json cannot be read"), "{report}");
    }
    fs::remove_file(sandbox.path("grads-1.0/ISN.json")).unwrap();
    assert_eq!(verify(&sandbox, "grads-1.0", &[]).ok().json()["warnings"], json!([]));
}
