//! Versions whose index is stored in blocks: what is read of them, and the trees of a part with a proof.

use std::fs;

use serde_json::Value;

use crate::sandbox::{Sandbox, contents, gradient, has_tool, ran};
use crate::server::{Fault, Server};

const CLASSES: [&str; 4] = ["ant", "bee", "cat", "dog"];
/// The files of a tree of a part with a proof, beside its images.
const LISTS: [&str; 4] = ["B3SUMS.proof", "B3SUMS.selected", "ISN.json", "classes.csv"];

/// Publishes `grads` 1.0 with 4 classes of 40 images, of which `B3SUMS` has 13 kB, to `reg` with an index in
/// blocks, and to `whole` without. Returns its pin.
fn published() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 40);
    sandbox.recipe("grads", "1.0", &CLASSES, "");
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    for (form, out, registry) in [("whole", "out-whole", "whole"), ("blocks", "out", "reg")] {
        build(&sandbox, "1.0", "raw", out, form);
        sandbox.isn(&["publish", out, "--registry", registry, "--key", "me"]).ok();
        sandbox.trust_me(registry);
    }
    let info = sandbox.isn(&["info", "grads@1.0", "--registry", "reg", "--json"]).ok().json();
    (sandbox, info["pin"].as_str().unwrap().to_string())
}

fn build(sandbox: &Sandbox, version: &str, source: &str, out: &str, form: &str) {
    let recipe = format!("grads-{version}.toml");
    sandbox.isn(&["build", &recipe, "--source", source, "--out", out, "--index", form]).ok();
}

/// Publishes `grads` 1.1, with one more image in each of two classes.
fn second(sandbox: &Sandbox) {
    sandbox.image_folder("raw2", &CLASSES, 40);
    gradient(90, 33, 200).save(sandbox.path("raw2/ant/ant_new.png")).unwrap();
    gradient(91, 34, 201).save(sandbox.path("raw2/dog/dog_new.png")).unwrap();
    sandbox.recipe("grads", "1.1", &CLASSES, "");
    build(sandbox, "1.1", "raw2", "out2", "blocks");
    sandbox.publish("out2");
}

fn without_note(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

fn images(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name.ends_with(".png"));
    files
}

#[test]
fn the_tree_is_the_same_whichever_way_the_index_is_stored() {
    let (sandbox, pin) = published();
    for (registry, tree) in [("whole", "one"), ("reg", "two")] {
        sandbox.isn(&["pull", &pin, "--registry", registry, "--to", tree, "--no-cache"]).ok();
    }
    assert!(without_note(&sandbox, "one") == without_note(&sandbox, "two"));
    let listed = |registry: &str| {
        sandbox.isn(&["images", "grads@1.0", "--registry", registry, "--json"]).ok().json()["images"].clone()
    };
    assert_eq!(listed("reg"), listed("whole"));
    // The same images, so each registry can serve the other's pin, and nothing differs.
    let diff = sandbox.isn(&["diff", "./out", "./out-whole", "--json"]).ok().json();
    assert_eq!(diff["old"]["dataset"], diff["new"]["dataset"], "{diff}");
    sandbox.isn(&["verify", "reg"]).ok();
    sandbox.isn(&["verify", "grads@1.0", "--registry", "reg"]).ok();
    sandbox.isn(&["verify", "out"]).ok();
    // A whole `B3SUMS` is small enough here.
    assert_eq!(sandbox.objects("whole", ".bin"), [""; 0]);
    assert_eq!(sandbox.objects("reg", ".bin").len(), 1);
}

#[test]
fn a_part_has_a_proof_in_place_of_the_whole_list() {
    let (sandbox, pin) = published();
    sandbox.isn(&["pull", &pin, "--registry", "reg", "--to", "tree"]).ok();
    let whole = images(&sandbox, "tree");
    for (number, (select, starts)) in [
        (&["--class", "bee"][..], &["train/bee/", "val/bee/"][..]),
        (&["--split", "val"], &["val/"]),
        (&["--class", "ant", "--class", "dog", "--split", "train"], &["train/ant/", "train/dog/"]),
        (&["--class", "ant", "--class", "bee", "--class", "cat", "--class", "dog"], &["train/", "val/"]),
    ]
    .into_iter()
    .enumerate()
    {
        let tree = format!("part{number}");
        let args = ["pull", &pin, "--registry", "reg", "--to", &tree, "--no-cache", "--json"];
        let report = sandbox.isn(&[&args[..], select].concat()).ok().json();
        let is_in = |name: &str| starts.iter().any(|start| name.starts_with(start));
        let expected: Vec<_> = whole.iter().filter(|(name, _)| is_in(name)).cloned().collect();
        assert!(images(&sandbox, &tree) == expected, "{select:?}");
        assert_eq!(report["images"], expected.len());
        let names: Vec<String> = contents(&sandbox.path(&tree)).into_iter().map(|(name, _)| name).collect();
        let lists: Vec<&String> = names.iter().filter(|name| !name.contains('/')).collect();
        assert_eq!(lists, LISTS, "{select:?}");
        let verified = sandbox.isn(&["verify", &tree, "--expect", &pin, "--json"]).ok().json();
        assert_eq!(verified["checked"], expected.len() + 1, "{verified}");
        // Again, there is nothing to do.
        let again = sandbox.isn(&[&args[..], select].concat()).ok().json();
        assert_eq!(
            (&again["replaced"], &again["warnings"]),
            (&Value::Null, &Value::Array(vec![])),
            "{again}"
        );
        // What the lists say can be used.
        sandbox.isn(&["info", &format!("./{tree}")]).ok();
        sandbox.isn(&["diff", &tree, "tree"]).ok();
        sandbox.isn(&["audit", "balance", &format!("./{tree}")]).ok();
        if has_tool("b3sum") {
            let mut b3sum = sandbox.program("b3sum");
            b3sum.args(["--check", "--quiet", "B3SUMS.selected"]).current_dir(sandbox.path(&tree));
            ran(b3sum).ok();
        }
    }
    // By name, and a list of images.
    let some: Vec<&String> = whole.iter().step_by(17).map(|(name, _)| name).collect();
    sandbox.write("some.txt", some.iter().map(|name| format!("{name}\n")).collect::<String>().as_bytes());
    sandbox.pull("grads@1.0", &["--to", "some", "--images", "some.txt"]).ok();
    assert_eq!(images(&sandbox, "some").iter().map(|(name, _)| name).collect::<Vec<_>>(), some);
    sandbox.isn(&["verify", "some", "--expect", &pin]).ok();
    sandbox.pull("grads@1.0", &["--to", "none", "--class", "cow"]).fails(6, "class cow");
}

#[test]
fn what_is_wrong_with_a_part_is_found() {
    let (sandbox, pin) = published();
    sandbox.pull("grads@1.0", &["--to", "part", "--class", "bee", "--class", "cat"]).ok();
    let selected = String::from_utf8(sandbox.read("part/B3SUMS.selected")).unwrap();
    let line = selected.lines().find(|line| line.contains("train/cat")).unwrap();
    let image = &line[66..];
    let (proof, note) = (sandbox.read("part/B3SUMS.proof"), sandbox.read("part/ISN.json"));
    let note = String::from_utf8(note).unwrap();
    let is_found = |what: &str| {
        let ran = sandbox.isn(&["verify", "part", "--expect", &pin]);
        assert_eq!(ran.code, 3, "{what}: {}{}", ran.stdout, ran.stderr);
    };
    let fails = |what: &str| {
        is_found(what);
        // Nor is it replaced or taken for whole.
        let pull = ["--to", "part", "--class", "bee", "--class", "cat"];
        let pulled = sandbox.pull("grads@1.0", &pull);
        assert_ne!(pulled.code, 0, "{what}: {}", pulled.stdout);
    };
    let restore = || {
        sandbox.write("part/B3SUMS.selected", selected.as_bytes());
        sandbox.write("part/B3SUMS.proof", &proof);
        sandbox.write("part/ISN.json", note.as_bytes());
    };
    for at in [0, 8, 16, 24, 32, 40, 100, proof.len() / 2, proof.len() - 1] {
        let mut other = proof.clone();
        other[at] ^= 1;
        sandbox.write("part/B3SUMS.proof", &other);
        fails(&format!("proof, byte {at}"));
        sandbox.write("part/B3SUMS.proof", &proof[..at]);
        fails(&format!("proof, cut at {at}"));
    }
    sandbox.write("part/B3SUMS.proof", &[&proof[..], b"x"].concat());
    fails("a longer proof");
    restore();
    // A line less, and its image.
    let bytes = sandbox.read(&format!("part/{image}"));
    sandbox.write("part/B3SUMS.selected", selected.replace(&format!("{line}\n"), "").as_bytes());
    fails("a line is missing");
    fs::remove_file(sandbox.path(&format!("part/{image}"))).unwrap();
    fails("a line and its image are missing");
    restore();
    fails("an image is missing");
    sandbox.write(&format!("part/{image}"), b"other");
    fails("an image is another");
    let other = format!("{}  {image}", isn_format::digest::Digest::of(b"other"));
    sandbox.write("part/B3SUMS.selected", selected.replace(line, &other).as_bytes());
    fails("an image and its line are others");
    sandbox.write(&format!("part/{image}"), &bytes);
    restore();
    fs::remove_file(sandbox.path("part/ISN.json")).unwrap();
    is_found("nothing says what was selected");
    restore();
    sandbox.write("part/ISN.json", note.replace("\"cat\"", "\"cat\", \"dog\"").as_bytes());
    // A pull writes it anew.
    is_found("the selection has a class more");
    restore();
    sandbox.write("part/train/cat/more.png", &bytes);
    fails("an image more");
    fs::remove_file(sandbox.path("part/train/cat/more.png")).unwrap();
    sandbox.isn(&["verify", "part", "--expect", &pin]).ok();
    // The proof of another version.
    second(&sandbox);
    sandbox.pull("grads@1.1", &["--to", "other", "--class", "bee", "--class", "cat"]).ok();
    sandbox.write("part/B3SUMS.proof", &sandbox.read("other/B3SUMS.proof"));
    fails("the proof of 1.1");
}

#[test]
fn a_part_is_replaced_by_another_part_and_by_the_whole() {
    let (sandbox, pin) = published();
    second(&sandbox);
    let pull = |reference: &str, more: &[&str]| {
        let args = ["pull", reference, "--registry", "reg", "--to", "tree", "--json"];
        sandbox.isn(&[&args[..], more].concat()).ok().json()
    };
    pull("grads@1.0", &["--class", "ant"]);
    let report = pull("grads@1.1", &["--class", "ant"]);
    assert_eq!(
        (&report["replaced"], &report["reused_images"]),
        (&"grads@1.0".into(), &40.into()),
        "{report}"
    );
    let report = pull("grads@1.1", &["--class", "ant", "--class", "bee"]);
    assert_eq!(
        (&report["replaced"], &report["reused_images"]),
        (&"grads@1.1".into(), &41.into()),
        "{report}"
    );
    pull("grads@1.0", &[]);
    assert!(!sandbox.path("tree/B3SUMS.proof").exists());
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
    pull("grads@1.0", &["--split", "val"]);
    assert!(!sandbox.path("tree/B3SUMS").exists());
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
}

#[test]
fn a_class_is_read_alone_and_what_is_new_of_a_version_too() {
    let sandbox = Sandbox::new();
    let classes: Vec<String> = (0..60).map(|n| format!("c{n:02}")).collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    for (source, version) in [("raw", "1.0"), ("raw2", "1.1")] {
        sandbox.image_folder(source, &classes, 30);
        sandbox.recipe("grads", version, &classes, "");
    }
    gradient(90, 33, 200).save(sandbox.path("raw2/c07/new.png")).unwrap();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    for (version, source, out) in [("1.0", "raw", "out"), ("1.1", "raw2", "out2")] {
        build(&sandbox, version, source, out, "blocks");
        sandbox.publish(out);
    }
    let lengths = |ending: &str| -> u64 {
        sandbox.objects("reg", ending).iter().map(|object| sandbox.read(object).len() as u64).sum()
    };
    // Rows, sources and places of 1,800 images, twice, are most of these.
    let lists = lengths(".jsonl.zst");
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    let pull = |reference: &str, to: &str, more: &[&str]| {
        let before = server.sent(".jsonl.zst");
        let args = ["pull", reference, "--registry", &server.url, "--to", to, "--json"];
        let report = sandbox.isn(&[&args[..], more].concat()).ok().json();
        (server.sent(".jsonl.zst") - before, report)
    };
    let (sent, _) = pull("grads@1.0", "class", &["--class", "c30", "--no-cache"]);
    assert!(sent < lists / 4, "{sent} of {lists}");
    sandbox.isn(&["verify", "class", "--expect", "grads@1.0", "--registry", "reg"]).ok();
    // With an earlier version at hand, only the places of what is new are read beside the rows.
    let (first, _) = pull("grads@1.0", "tree", &[]);
    let (sent, report) = pull("grads@1.1", "tree", &[]);
    assert_eq!(report["reused_images"], 1800, "{report}");
    assert!(sent < first * 3 / 5, "{sent}, and {first} for the first");
    // Then the cache has it all, without a network.
    let args = ["pull", "grads@1.1", "--registry", &server.url, "--offline", "--json"];
    sandbox.isn(&[&args[..], &["--to", "offline"]].concat()).ok();
}

#[test]
fn of_a_version_that_follows_another_only_what_differs_is_read() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    for (version, source, more) in [("1.0", "raw", ""), ("1.1", "raw2", "previous = \"1.0\"")] {
        sandbox.image_folder(source, &CLASSES, 100);
        if version == "1.1" {
            gradient(90, 33, 200).save(sandbox.path("raw2/ant/ant_new.png")).unwrap();
            fs::remove_file(sandbox.path("raw2/bee/bee_7.png")).unwrap();
        }
        sandbox.recipe("grads", version, &CLASSES, more);
        let recipe = format!("grads-{version}.toml");
        let text = String::from_utf8(sandbox.read(&recipe)).unwrap().replace("isn-recipe/1", "isn-recipe/2");
        sandbox.write(&recipe, text.as_bytes());
        let args = ["build", &recipe, "--source", source, "--out", version, "--index", "blocks"];
        let args = [&args[..], if version == "1.1" { &["--registry", "reg"] } else { &[] }].concat();
        sandbox.isn(&args).ok();
        sandbox.publish(version);
    }
    sandbox.isn(&["verify", "reg"]).ok();
    sandbox.pull("grads@1.1", &["--to", "whole"]).ok();
    let pull = |reference: &str, fresh: bool| {
        if fresh {
            let _ = fs::remove_dir_all(sandbox.path("home/cache"));
            let _ = fs::remove_dir_all(sandbox.path("tree"));
        }
        let server = Server::new(&sandbox.path("reg"));
        sandbox.trust_me(&server.url);
        sandbox.isn(&["pull", reference, "--registry", &server.url, "--to", "tree"]).ok();
        server.sent(".jsonl.zst")
    };
    let first = pull("grads@1.0", true);
    let upgrade = pull("grads@1.1", false);
    assert!(upgrade < first / 4, "{upgrade} after {first}");
    assert!(without_note(&sandbox, "tree") == without_note(&sandbox, "whole"));
    // The rows were made here, so another version can follow, and nothing is read again.
    let again = pull("grads@1.1", false);
    assert_eq!(again, 0);
    pull("grads@1.1", true);
    assert!(without_note(&sandbox, "tree") == without_note(&sandbox, "whole"));
    // A delta that is damaged, or an earlier index that is, costs the rows, and nothing else.
    pull("grads@1.0", true);
    for object in contents(&sandbox.path("home/cache/objects")).iter().map(|(name, _)| name) {
        let path = format!("home/cache/objects/{object}");
        let mut bytes = sandbox.read(&path);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        sandbox.write(&path, &bytes);
    }
    pull("grads@1.1", false);
    assert!(without_note(&sandbox, "tree") == without_note(&sandbox, "whole"));
}

#[test]
fn lists_are_sent_once_with_a_cache_and_without() {
    let (sandbox, pin) = published();
    let objects = contents(&sandbox.path("reg/objects"));
    let of_whole = objects.iter().filter(|(name, _)| name.ends_with(".jsonl.zst"));
    let most: usize = of_whole.map(|(_, bytes)| bytes.len()).sum();
    for (cache, to) in [(&[][..], "kept"), (&["--no-cache"], "unkept")] {
        let server = Server::new(&sandbox.path("reg"));
        sandbox.trust_me(&server.url);
        let args = ["pull", &pin, "--registry", &server.url, "--to", to];
        sandbox.isn(&[&args[..], cache].concat()).ok();
        let asked: Vec<String> = server.log().into_iter().map(|request| request.path).collect();
        let lists = || asked.iter().filter(|path| path.ends_with(".jsonl.zst"));
        let twice: Vec<_> = lists().filter(|one| lists().filter(|path| path == one).count() > 1).collect();
        assert!(twice.is_empty(), "{to}: {twice:?}");
        assert!(server.sent(".jsonl.zst") <= most as u64);
    }
}

#[test]
fn a_part_that_was_fetched_is_pulled_without_a_network() {
    let (sandbox, pin) = published();
    for ranges in [true, false] {
        let server = match ranges {
            true => Server::new(&sandbox.path("reg")),
            false => Server::faulty(&sandbox.path("reg"), "", usize::MAX, Fault::IgnoreRange),
        };
        sandbox.trust_me(&server.url);
        let args = ["fetch", &pin, "--registry", &server.url, "--class", "bee"];
        sandbox.isn(&args).ok();
        let requests = server.log().len();
        let to = format!("tree-{ranges}");
        let args = ["pull", &pin, "--registry", &server.url, "--class", "bee", "--offline", "--to", &to];
        sandbox.isn(&args).ok();
        assert_eq!(server.log().len(), requests);
        sandbox.isn(&["verify", &to, "--expect", &pin]).ok();
        sandbox.isn(&["cache", "verify"]).ok();
        fs::remove_dir_all(sandbox.path("home/cache")).unwrap();
    }
}

#[test]
fn lists_that_are_damaged_in_the_cache_are_read_from_the_registry() {
    let (sandbox, pin) = published();
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    let args = ["fetch", &pin, "--registry", &server.url];
    sandbox.isn(&args).ok();
    let objects = contents(&sandbox.path("home/cache/objects"));
    let lists: Vec<_> = objects.iter().filter(|(name, _)| name.ends_with(".jsonl.zst")).collect();
    assert!(lists.len() > 2, "index, rows, pack and places: {lists:?}");
    for (name, bytes) in lists {
        let path = format!("home/cache/objects/{name}");
        for at in [0, bytes.len() / 2, bytes.len() - 1, bytes.len()] {
            let mut other = bytes.clone();
            match other.get_mut(at) {
                Some(byte) => *byte ^= 1,
                None => other.truncate(at / 2),
            }
            sandbox.write(&path, &other);
            let to = format!("{name}-{at}").replace('/', "-");
            sandbox.isn(&["pull", &pin, "--registry", &server.url, "--to", &to]).ok();
            sandbox.isn(&["verify", &to, "--expect", &pin]).ok();
            // The next pull would take its images.
            fs::remove_dir_all(sandbox.path(&to)).unwrap();
            assert_eq!(sandbox.read(&path), *bytes, "{name}: made good again");
        }
    }
    sandbox.isn(&args).ok();
    sandbox.isn(&["cache", "verify"]).ok();
}

#[test]
fn versions_in_blocks_and_in_one_object_differ_alike() {
    let (sandbox, _) = published();
    second(&sandbox);
    build(&sandbox, "1.1", "raw2", "whole2", "whole");
    sandbox.isn(&["publish", "whole2", "--registry", "whole", "--key", "me"]).ok();
    let reports = ["reg", "whole"].map(|store| {
        let args = ["diff", "grads@1.0", "grads@1.1", "--registry", store, "--json"];
        let mut report = sandbox.isn(&args).ok().json();
        report["warnings"].take();
        report
    });
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0]["added"].as_array().unwrap().len(), 2, "{}", reports[0]);
}

#[test]
fn an_index_in_blocks_is_mirrored_served_and_published_without_images() {
    let (sandbox, pin) = published();
    second(&sandbox);
    sandbox.isn(&["mirror", "reg", "copy"]).ok();
    sandbox.trust_me("copy");
    sandbox.isn(&["verify", "copy"]).ok();
    sandbox.isn(&["pull", &pin, "--registry", "copy", "--class", "cat", "--to", "cat", "--no-cache"]).ok();
    let count = |store: &str| [".jsonl.zst", ".bin", ".tar.zst"].map(|end| sandbox.objects(store, end).len());
    assert_eq!(count("copy"), count("reg"));
    // The source can be built into the version again.
    let args = ["pull", "grads@1.1", "--registry", "copy", "--source", "raw2", "--to", "again", "--no-cache"];
    sandbox.isn(&args).ok();
    sandbox.isn(&["publish", "out", "--registry", "bare", "--key", "me", "--rebuild-only"]).ok();
    assert_eq!(count("bare"), [3, 1, 0]);
    sandbox.isn(&["verify", "bare"]).ok();
}

#[test]
fn each_object_is_needed_and_damage_to_it_is_found() {
    let (sandbox, pin) = published();
    let objects = contents(&sandbox.path("reg/objects"));
    for (name, bytes) in objects.iter().filter(|(name, _)| !name.ends_with(".tar.zst")) {
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            sandbox.write(&format!("reg/objects/{name}"), &other);
            let ran = sandbox.isn(&["verify", "reg"]);
            assert_eq!(ran.code, 3, "{name} {at}: {}", ran.stdout);
            assert!(ran.stdout.contains(&name[3..]), "{name}: {}", ran.stdout);
            // A part is right or not there.
            let ran = sandbox.pull(&pin, &["--class", "bee", "--to", "part"]);
            if ran.code == 0 {
                sandbox.isn(&["verify", "part", "--expect", &pin]).ok();
                fs::remove_dir_all(sandbox.path("part")).unwrap();
            } else {
                assert!(ran.code == 3 && !sandbox.path("part").exists(), "{name} {at}: {}", ran.stderr);
            }
        }
        fs::remove_file(sandbox.path(&format!("reg/objects/{name}"))).unwrap();
        assert_eq!(sandbox.isn(&["verify", "reg"]).code, 3, "{name}");
        sandbox.write(&format!("reg/objects/{name}"), bytes);
    }
    sandbox.isn(&["verify", "reg"]).ok();
}
