use std::fs;

use crate::sandbox::{Sandbox, contents, hash_of};

fn files(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

#[test]
fn by_name_newest_pin_and_hash_from_a_folder() {
    let (sandbox, pin) = Sandbox::published();
    let hash = hash_of(&pin);
    for (to, reference) in [("a", "grads@1.0"), ("b", "grads"), ("c", &pin), ("d", hash)] {
        let report = sandbox.pull(reference, &["--to", to]).ok().json();
        assert_eq!(report["name"], "grads");
        assert_eq!(report["version"], "1.0");
        assert_eq!(report["dataset"], hash);
        assert_eq!(report["path"], to);
        assert_eq!(report["images"], 24);
        assert_eq!(report["reused_images"], 0);
        let bytes: usize =
            files(&sandbox, to).iter().filter(|(name, _)| name.ends_with(".png")).map(|(_, b)| b.len()).sum();
        assert_eq!(report["bytes"], bytes);
        assert!(report["fetched_bytes"].as_u64().unwrap() > 1000);
        let manifest = report["manifest"].as_str().unwrap().strip_prefix("b3:").unwrap();
        let object = format!("reg/objects/{}/{manifest}.json", &manifest[..2]);
        assert_eq!(isn_format::digest::Digest::of(&sandbox.read(&object)).to_string(), manifest);
        assert_eq!(files(&sandbox, "a"), files(&sandbox, to));
    }
    let sums = sandbox.read("a/B3SUMS");
    assert_eq!(format!("b3:{}", isn_format::digest::Digest::of(&sums)), hash);
    let mut lines = String::new();
    for (name, bytes) in files(&sandbox, "a").iter().filter(|(name, _)| name != "B3SUMS") {
        lines += &format!("{}  {name}\n", isn_format::digest::Digest::of(bytes));
    }
    assert_eq!(lines.as_bytes(), sums);
    let classes = "index,id,label,group\n0,ant,the ant,\n1,bee,the bee,\n2,cat,the cat,\n";
    assert_eq!(String::from_utf8(sandbox.read("a/classes.csv")).unwrap(), classes);
    let isn: serde_json::Value = serde_json::from_slice(&sandbox.read("a/ISN.json")).unwrap();
    assert_eq!(isn["pin"], pin.as_str());
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn the_bundled_dataset_needs_no_registry_and_no_key() {
    let sandbox = Sandbox::new();
    let report = sandbox.isn(&["pull", "demobirds@1.0", "--json"]).ok().json();
    assert_eq!(report["path"], "demobirds-1.0");
    assert_eq!(report["images"], 203);
    assert_eq!(report["signed_by"].as_array().unwrap().len(), 1);
    sandbox.isn(&["verify", "demobirds-1.0", "--expect", "demobirds@1.0"]).ok();
    assert!(!sandbox.path("home").exists(), "a pull needs nothing of the user's");
    // It also works if the user has no configuration folder at all.
    let mut bare = sandbox.command(&["pull", "demobirds", "--to", "again", "-q"]);
    bare.env_remove("ISN_HOME").env("HOME", sandbox.path("nowhere"));
    assert!(bare.output().unwrap().status.success());
    assert_eq!(contents(&sandbox.path("demobirds-1.0")), contents(&sandbox.path("again")));
    // Nor does it need HOME, which services and containers often lack.
    for home in [None, Some("")] {
        let mut bare = sandbox.command(&["info", "demobirds@1.0"]);
        bare.env_remove("ISN_HOME").env_remove("HOME").env("XDG_CACHE_HOME", sandbox.path("cache"));
        home.map(|home| bare.env("HOME", home));
        assert!(bare.output().unwrap().status.success(), "{home:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_link_to_an_empty_folder_means_that_folder() {
    let (sandbox, _) = Sandbox::published();
    for (to, folder) in [("link", "disk"), ("deep/link/", "other")] {
        fs::create_dir_all(sandbox.path(folder)).unwrap();
        fs::create_dir_all(sandbox.path("deep")).unwrap();
        std::os::unix::fs::symlink(sandbox.path(folder), sandbox.path(to.trim_end_matches('/'))).unwrap();
        sandbox.pull("grads@1.0", &["--to", to]).ok();
        sandbox.isn(&["verify", folder, "--expect", "grads@1.0", "--registry", "reg"]).ok();
        assert!(sandbox.path(to.trim_end_matches('/')).is_symlink());
    }
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "link"]).fails(1, "already exists");
    // One that leads to something is not replaced, nor is one that leads nowhere.
    std::os::unix::fs::symlink("nowhere", sandbox.path("dead")).unwrap();
    sandbox.pull("grads@1.0", &["--to", "dead"]).fails(1, "dead already exists");
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_list_of_images_may_be_as_editors_and_find_write_it() {
    let (sandbox, _) = Sandbox::published();
    let paths = sandbox.isn(&["images", "grads@1.0", "--registry", "reg"]).ok().stdout;
    let first: Vec<&str> = paths.lines().take(2).collect();
    sandbox.write("list.txt", format!("\u{feff}./{}\r\n{}\r\n", first[0], first[1]).as_bytes());
    let report = sandbox.pull("grads@1.0", &["--to", "part", "--images", "list.txt"]).ok().json();
    assert_eq!(report["images"], 2);
}

#[test]
fn a_part_is_fetched_as_a_part() {
    let sandbox = Sandbox::new();
    let whole = sandbox.isn(&["pull", "demobirds@1.0", "--json"]).ok().json();
    let part = ["pull", "demobirds@1.0", "--to", "part", "--split", "val", "--class", "n01614925", "--json"];
    let report = sandbox.isn(&part).ok().json();
    let fetched = |report: &serde_json::Value| report["fetched_bytes"].as_u64().unwrap();
    assert!(report["images"].as_u64().unwrap() > 0);
    assert!(fetched(&report) * 4 < fetched(&whole), "{report} of {whole}");
    assert!(fetched(&whole) < 2_000_000);

    let (all, some) = (files(&sandbox, "demobirds-1.0"), files(&sandbox, "part"));
    let images = some.iter().filter(|(name, _)| name.ends_with(".png"));
    assert!(images.clone().all(|(name, _)| name.starts_with("val/n01614925/")));
    assert_eq!(images.count() as u64, report["images"].as_u64().unwrap());
    for (name, bytes) in some.iter().filter(|(name, _)| name != "B3SUMS.selected") {
        assert!(all.contains(&(name.clone(), bytes.clone())), "{name}");
    }
    let selected = String::from_utf8(sandbox.read("part/B3SUMS.selected")).unwrap();
    let full = String::from_utf8(sandbox.read("part/B3SUMS")).unwrap();
    let expected: String = full
        .lines()
        .filter(|line| line.contains("  val/n01614925/") || line.ends_with("  classes.csv"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(selected, expected);
    sandbox.isn(&["verify", "part", "--expect", "demobirds@1.0"]).ok();

    // The same part is already there, and a pull without a selection accepts it in place
    // of the whole version.
    assert_eq!(sandbox.isn(&part).ok().json()["reused_images"], report["images"]);
    sandbox.isn(&["verify", "part", "--expect", "demobirds@1.0"]).ok();
}

#[test]
fn what_is_not_there_is_exit_6_and_nothing_is_written() {
    let (sandbox, pin) = Sandbox::published();
    for (args, message) in [
        (
            &["pull", "grads@1.0", "--registry", "reg", "--split", "test"][..],
            "split test is not in grads@1.0",
        ),
        (&["pull", "grads@1.0", "--registry", "reg", "--class", "dog"], "class dog is not in grads@1.0"),
        (&["pull", "grads@2.0", "--registry", "reg"], "grads@2.0 is not in registry"),
        (&["pull", "nothing", "--registry", "reg"], "nothing is not in registry"),
        (&["pull", "grads@1.0", "--registry", "raw"], "raw is not a registry: it has no registry.json"),
        (
            &["pull", "grads@1.0", "--registry", "gone"],
            "there is no folder gone, which was named as a registry",
        ),
        (&["pull", "imagebirds@1.0"], "isn pull imagebirds@1.0 --source DIR"),
        (&["pull", "imagebirds"], "has not been released"),
        (&["pull", "imagesubnet50@1.0"], "isn pull imagesubnet50@1.0 --source DIR"),
    ] {
        sandbox.isn(args).fails(6, message);
    }
    let other = format!("b3:{}", "0".repeat(64));
    sandbox.isn(&["pull", &other, "--registry", "reg"]).fails(6, "is not in");
    for name in ["grads-1.0", "grads-2.0", "imagebirds-1.0"] {
        assert!(!sandbox.path(name).exists(), "{name}");
    }
    assert!(sandbox.leftovers().is_empty());
    // The second registry of a list has a version that the first lacks.
    let both = format!("bundled,{}", sandbox.path("reg").display());
    sandbox.isn(&["pull", &pin, "--registry", &both]).ok();
    assert!(
        sandbox.command(&["info", "grads"]).env("ISN_REGISTRY", &both).output().unwrap().status.success()
    );
}

#[test]
fn what_is_at_the_destination_is_kept() {
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads@1.0", &[]).ok();
    let tree = contents(&sandbox.path("grads-1.0"));
    let report = sandbox.pull("grads@1.0", &[]).ok().json();
    assert_eq!(report["reused_images"], 24);
    assert_eq!(tree, contents(&sandbox.path("grads-1.0")));

    fs::remove_file(sandbox.path("grads-1.0").join(&tree[3].0)).unwrap();
    let damaged = contents(&sandbox.path("grads-1.0"));
    sandbox.pull("grads@1.0", &[]).fails(1, "grads-1.0 already exists, and is grads@1.0, damaged");
    assert_eq!(damaged, contents(&sandbox.path("grads-1.0")));

    sandbox.write("mine/thesis.txt", b"all of it");
    sandbox.pull("grads@1.0", &["--to", "mine"]).fails(1, "mine already exists");
    sandbox.pull("grads@1.0", &["--to", "mine/thesis.txt"]).fails(1, "mine/thesis.txt already exists");
    assert_eq!(sandbox.read("mine/thesis.txt"), b"all of it");
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.pull("grads@1.0", &["--to", "empty"]).ok();
    assert_eq!(tree, contents(&sandbox.path("empty")));
    sandbox.pull("grads@1.0", &["--to", "new/deep/tree"]).ok();
    assert_eq!(tree, contents(&sandbox.path("new/deep/tree")));
}

/// Pulls into `to` from a registry whose shards are gone, which leaves a staging folder like that of a pull
/// that was killed early. Returns the path of the tree in it.
fn staging(sandbox: &Sandbox, to: &str) -> String {
    let shards = sandbox.objects("reg", ".tar.zst");
    let kept: Vec<Vec<u8>> = shards.iter().map(|shard| sandbox.read(shard)).collect();
    shards.iter().for_each(|shard| fs::remove_file(sandbox.path(shard)).unwrap());
    sandbox.pull("grads@1.0", &["--to", to]).fails(3, "is missing");
    shards.iter().zip(kept).for_each(|(shard, bytes)| sandbox.write(shard, &bytes));
    let found: Vec<String> =
        sandbox.leftovers().into_iter().filter(|name| name.ends_with(".isn-partial")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    format!("{}/tree", found[0])
}

#[test]
fn a_pull_goes_on_where_a_killed_one_stopped_and_believes_nothing_it_finds() {
    let (sandbox, _) = Sandbox::published();
    let whole = sandbox.pull("grads@1.0", &["--to", "whole"]).ok().json();
    let partial = staging(&sandbox, "tree");
    let tree = contents(&sandbox.path("whole"));
    let images: Vec<_> = tree.iter().filter(|(name, _)| name.ends_with(".png")).collect();
    for (at, (name, bytes)) in images.iter().enumerate() {
        let path = format!("{partial}/{name}");
        match at {
            0..12 => sandbox.write(&path, bytes),
            12 => sandbox.write(&path, &bytes[..bytes.len() / 2]),
            13 => sandbox.write(&path, &images[0].1),
            14 => {
                let mut flipped = bytes.clone();
                flipped[40] ^= 1;
                sandbox.write(&path, &flipped);
            }
            _ => {}
        }
    }
    sandbox.write(&format!("{partial}/train/ant/stray.png"), b"not of this tree");
    sandbox.write(&format!("{partial}/B3SUMS"), b"wrong\n");
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/null", sandbox.path(&format!("{partial}/train/ant/link.png"))).unwrap();
    let report = sandbox.pull("grads@1.0", &["--to", "tree"]).ok().json();
    assert_eq!(report["reused_images"], 12);
    assert_eq!(tree, contents(&sandbox.path("tree")));
    let fetched = |report: &serde_json::Value| report["fetched_bytes"].as_u64().unwrap();
    let shard = fs::metadata(sandbox.path(&sandbox.objects("reg", ".tar.zst")[0])).unwrap().len();
    assert!(fetched(&whole) - fetched(&report) > shard / 3, "{report} of {whole}, shard {shard}");
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn all_images_at_hand_need_no_shard() {
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "whole"]).ok();
    let partial = staging(&sandbox, "tree");
    sandbox.copy("whole", &partial);
    sandbox.objects("reg", ".tar.zst").iter().for_each(|shard| fs::remove_file(sandbox.path(shard)).unwrap());
    let report = sandbox.pull("grads@1.0", &["--to", "tree"]).ok().json();
    assert_eq!(report["reused_images"], 24);
    assert_eq!(contents(&sandbox.path("whole")), contents(&sandbox.path("tree")));
}

#[test]
fn images_of_the_same_bytes_are_each_written() {
    let sandbox = Sandbox::built();
    for copy in ["ant/ant_copy.png", "cat/cat_copy.png"] {
        fs::copy(sandbox.path("raw/ant/ant_0.png"), sandbox.path("raw").join(copy)).unwrap();
    }
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "twins"]).ok();
    let pin = sandbox.publish("twins");
    let report = sandbox.pull("grads@1.0", &[]).ok().json();
    assert_eq!(report["images"], 26);
    let tree = files(&sandbox, "grads-1.0");
    let twins = |stem: &str| tree.iter().find(|(name, _)| name.contains(stem)).unwrap().1.clone();
    assert_eq!(twins("ant_copy"), twins("ant_0."));
    assert_eq!(twins("cat_copy"), twins("ant_0."));
    sandbox.isn(&["verify", "grads-1.0", "--expect", &pin]).ok();
    sandbox.pull("grads@1.0", &["--to", "cats", "--class", "cat"]).ok();
    sandbox.isn(&["verify", "cats", "--expect", &pin]).ok();
}

#[test]
fn an_unknown_signer_stops_a_pull_until_trusted_and_a_pin_needs_no_key() {
    let sandbox = Sandbox::built();
    let report = sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "me", "--json"]).ok().json();
    let (pin, fingerprint) = (report["pin"].as_str().unwrap(), report["signer"].as_str().unwrap());
    let ran = sandbox.isn(&["pull", "grads@1.0", "--registry", "reg"]).fails(4, fingerprint);
    let public = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let key: Vec<&str> = public.split_whitespace().take(2).collect();
    assert!(ran.stderr.contains(&format!("'{}", key.join(" "))), "{}", ran.stderr);
    assert!(!sandbox.path("grads-1.0").exists());
    assert!(sandbox.leftovers().is_empty());

    let by_pin = sandbox.pull(pin, &["--to", "pinned"]).ok().json();
    assert_eq!(by_pin["signed_by"], serde_json::json!([]));
    let isn: serde_json::Value = serde_json::from_slice(&sandbox.read("pinned/ISN.json")).unwrap();
    assert_eq!(isn["signed_by"], serde_json::json!([]));

    // Runs the very command that the message names.
    let command = ran.stderr.lines().find_map(|line| line.trim().strip_prefix("isn trust add ")).unwrap();
    let (registry, key) = command.split_once(" '").unwrap();
    sandbox.isn(&["trust", "add", registry, key.trim_end_matches('\'')]).ok();
    let signed = sandbox.pull("grads@1.0", &[]).ok().json();
    assert_eq!(signed["signed_by"], serde_json::json!([fingerprint]));

    // A registry is identified by its log, wherever it is; another log is another
    // registry, whoever signed there.
    sandbox.copy("reg", "mirror");
    sandbox.isn(&["pull", "grads@1.0", "--registry", "mirror", "--to", "t2"]).ok();
    sandbox.isn(&["publish", "out", "--registry", "other", "--key", "me"]).ok();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "other", "--to", "t3"]).fails(4, fingerprint);
}

#[test]
fn a_wrong_pin_is_exit_3() {
    let (sandbox, pin) = Sandbox::published();
    let wrong = format!("grads@1.0#b3:{}", "5".repeat(64));
    let ran = sandbox.pull(&wrong, &[]).fails(3, &pin[pin.len() - 64..]);
    assert!(ran.stderr.contains(&"5".repeat(64)), "{}", ran.stderr);
    // isn notices a pins hint that leads to another version.
    sandbox.write(&format!("reg/pins/{}", "5".repeat(64)), b"grads 1.0\n");
    sandbox.pull(&wrong["grads@1.0#".len()..], &[]).fails(3, "but the pin says");
    assert!(!sandbox.path("grads-1.0").exists());
}

#[test]
fn what_killed_pulls_left_beside_a_tree_goes_with_the_next_one() {
    let (sandbox, _) = Sandbox::published();
    // Keeps isn's own folder under another name, since isn would not recognise a copy.
    let other = staging(&sandbox, "tree");
    let other = other.strip_suffix("/tree").unwrap();
    fs::rename(sandbox.path(other), sandbox.path("moved")).unwrap();
    staging(&sandbox, "tree");
    fs::rename(sandbox.path("moved"), sandbox.path(".tree.0123456789abcdef.isn-partial")).unwrap();
    sandbox.write(".tree.notes/mine", b"not isn's");
    sandbox.write(".tree.2.0123456789abcdef.isn-partial/x", b"of another tree");
    sandbox.write(".tree.0123456789abcdef.isn-partial/x", b"of this");
    sandbox.pull("grads@1.0", &["--to", "tree", "--class", "bee"]).ok();
    let mut left = sandbox.leftovers();
    left.sort();
    assert_eq!(left, [".tree.2.0123456789abcdef.isn-partial", ".tree.notes"]);
}
