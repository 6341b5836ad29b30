//! `isn export`. interop/exports.py checks that each format's readers accept it; unit tests check its bytes.

use std::fs;
use std::io::Read;

use isn_registry::files::Workplace;

use crate::sandbox::{Sandbox, contents};

/// The names and contents of the entries of a tar file.
fn entries(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entry = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let (mut entry, mut body) = (entry.unwrap(), Vec::new());
        entry.read_to_end(&mut body).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_string(), body)
    };
    archive.entries().unwrap().map(entry).collect()
}

#[test]
fn shards_have_every_image_once_in_an_order_of_their_own() {
    let (sandbox, pin) = Sandbox::published_large();
    let export =
        ["export", "grads@1.0", "--registry", "reg", "--as", "webdataset", "--shard-size", "1MB", "--json"];
    let report = sandbox.isn(&export).ok().json();
    assert_eq!(report["pin"], pin);
    assert_eq!(report["path"], "grads-1.0-webdataset");
    assert_eq!(report["images"], 72);
    let files = contents(&sandbox.path("grads-1.0-webdataset"));
    assert_eq!(report["files"], files.len());
    assert_eq!(report["bytes"], files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
    let about: serde_json::Value = serde_json::from_slice(&files[0].1).unwrap();
    assert_eq!(
        (&*files[0].0, &about["pin"], &about["as"]),
        ("ISN.json", &report["pin"], &"webdataset".into())
    );
    let names: Vec<&str> = files[1..].iter().map(|(name, _)| &**name).collect();
    assert_eq!(about["files"], serde_json::json!(names));

    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let (mut seen, mut order) = (Vec::new(), Vec::new());
    for (name, tar) in &files[1..] {
        assert!(tar.len() < 1_300_000, "{name}");
        for sample in entries(tar).chunks(3) {
            let [(image, bytes), (label, text), (more, json)] = sample else { panic!("{name}") };
            let key = image.strip_suffix(".png").unwrap();
            assert_eq!((label, more), (&format!("{key}.cls"), &format!("{key}.json")));
            let json: serde_json::Value = serde_json::from_slice(json).unwrap();
            let path = json["path"].as_str().unwrap();
            assert!(path.starts_with(name.split('-').next().unwrap()), "{path} in {name}");
            assert_eq!(*bytes, sandbox.read(&format!("tree/{path}")));
            let class =
                ["ant", "bee", "cat"][String::from_utf8(text.clone()).unwrap().parse::<usize>().unwrap()];
            assert_eq!((path.split('/').nth(1), json["class"].as_str()), (Some(class), Some(class)));
            seen.push(path.to_string());
            order.push(class);
        }
    }
    seen.sort();
    let tree = contents(&sandbox.path("tree"));
    let images: Vec<&str> =
        tree.iter().map(|(name, _)| &**name).filter(|name| name.ends_with(".png")).collect();
    assert_eq!(seen, images);
    assert!(order.windows(2).filter(|pair| pair[0] != pair[1]).count() > 20, "not mixed: {order:?}");
    // A part of the version; its images are now in the cache.
    sandbox
        .isn(&[
            "export",
            "grads@1.0",
            "--registry",
            "reg",
            "--as",
            "mds",
            "--split",
            "val",
            "--class",
            "bee",
            "--to",
            "part",
        ])
        .ok();
    let part: serde_json::Value = serde_json::from_slice(&sandbox.read("part/ISN.json")).unwrap();
    assert_eq!(part["selection"], serde_json::json!({ "splits": ["val"], "classes": ["bee"] }));
    assert_eq!(part["splits"]["val"]["images"], 6);
    assert!(sandbox.path("part/val/shard.00000.mds").exists() && !sandbox.path("part/train").exists());
}

#[test]
fn jpeg_is_called_jpeg() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &["ant", "bee"], 4);
    sandbox.recipe_with("grads", "1.0", &["ant", "bee"], "{ jpeg = 95 }", "");
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    let export = |format: &str| {
        sandbox.isn(&["export", "grads@1.0", "--registry", "reg", "--as", format, "--to", format]).ok();
    };
    ["webdataset", "mds", "tfrecord", "croissant"].into_iter().for_each(export);
    let text = |name: &str| String::from_utf8(sandbox.read(name)).unwrap();
    assert!(entries(&sandbox.read("webdataset/train-000000.tar"))[0].0.ends_with(".jpg"));
    assert!(text("mds/train/index.json").contains("\"jpeg\""));
    assert!(text("tfrecord/features.json").contains("\"encodingFormat\": \"jpeg\""));
    let described: serde_json::Value = serde_json::from_str(&text("croissant/croissant.json")).unwrap();
    let set = &described["distribution"][2];
    assert_eq!((&set["includes"], &set["encodingFormat"]), (&"*/*/*.jpg".into(), &"image/jpeg".into()));
}

#[test]
fn what_cannot_be_exported_is_said_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let export = |more: &[&str]| sandbox.isn(&[&["export", "demobirds@1.0"], more].concat());
    export(&["--as", "zip"]).fails(2, "possible values: imagefolder, webdataset, parquet, hf");
    export(&["--as", "mds", "--shard-size", "3GiB"]).fails(2, "expected from 1MB to 2GiB");
    export(&["--as", "mds", "--size", "48"]).fails(1, "--size is for npz: mds has the images as they are");
    export(&["--as", "npz"]).fails(1, "--size N takes the largest square in the middle");
    export(&["--as", "mds", "--split", "test"]).fails(6, "split test is not in");
    sandbox.write("list", b"train/n01614925/no_such.png\n");
    export(&["--as", "mds", "--images", "list"]).fails(6, "image train/n01614925/no_such.png is not in");
    sandbox.isn(&["export", "imagebirds@1.0", "--as", "mds"]).fails(6, "imagebirds");
    if cfg!(not(feature = "parquet")) {
        for format in ["parquet", "hf"] {
            export(&["--as", format]).fails(1, "which this isn was built without: build it with");
        }
    }
    sandbox.write("taken/a", b"mine");
    export(&["--as", "mds", "--to", "taken"])
        .fails(1, "taken already exists: an export is written to a new folder");
    assert_eq!(contents(&sandbox.path("taken")), [("a".to_string(), b"mine".to_vec())]);
    let names: Vec<_> =
        fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names.iter().all(|name| ["list", "taken", "home"].iter().any(|known| name == known)),
        "{names:?}"
    );
    // An empty destination folder is accepted; a list selects images.
    sandbox.write("list", b"train/n01614925/ILSVRC2012_val_00000128.png\n");
    fs::create_dir(sandbox.path("empty")).unwrap();
    let report = export(&["--as", "npz", "--images", "list", "--to", "empty", "--json"]).ok().json();
    assert_eq!(report["images"], 1);
}

#[test]
fn damage_leaves_nothing_behind() {
    let (sandbox, _) = Sandbox::published_large();
    let shard = sandbox.objects("reg", ".tar.zst").remove(0);
    let mut bytes = sandbox.read(&shard);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    sandbox.write(&shard, &bytes);
    for format in ["webdataset", "npz", "tfrecord", "mds", "croissant"] {
        let export = ["export", "grads@1.0", "--registry", "reg", "--as", format, "--to", "there"];
        sandbox.isn(&export).fails(3, "its frame's BLAKE3 is not the one in the pack");
        assert!(!sandbox.path("there").exists());
        assert_eq!(sandbox.leftovers(), [""; 0]);
    }
}

#[test]
fn a_tree_is_what_a_pull_writes() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["export", "demobirds@1.0", "--as", "imagefolder", "--to", "folder", "--json"]).ok();
    sandbox.isn(&["pull", "demobirds@1.0", "--to", "tree"]).ok();
    assert_eq!(contents(&sandbox.path("folder")), contents(&sandbox.path("tree")));
}

#[test]
fn a_version_without_images_is_read_from_the_tree_that_was_built_of_it() {
    let sandbox = Sandbox::built();
    sandbox.publish("out");
    sandbox.isn(&["publish", "out", "--registry", "bare", "--key", "me", "--rebuild-only"]).ok();
    sandbox.trust_me("bare");
    let export = |from: &str, to: &str, more: &[&str]| {
        let export = ["export", "grads@1.0", "--registry", from, "--as", "tfrecord", "--to", to];
        sandbox.isn(&[&export, more].concat())
    };
    export("reg", "whole", &[]).ok();
    export("bare", "there", &[]).fails(7, "published to be built from your own source");
    sandbox.isn(&["pull", "grads@1.0", "--registry", "bare", "--source", "raw", "--to", "tree"]).ok();
    // Twice: the second time, the table is in the cache.
    for to in ["there", "again"] {
        export("bare", to, &[]).ok();
        assert_eq!(contents(&sandbox.path(to)), contents(&sandbox.path("whole")));
    }
    export("bare", "none", &["--no-cache"]).fails(7, "published to be built from your own source");
    // A changed image is noticed; a missing one, or one of another length, is not an image of the version.
    let image =
        contents(&sandbox.path("tree")).into_iter().find(|(name, _)| name.ends_with(".png")).unwrap().0;
    let (path, bytes) = (sandbox.path("tree").join(&image), sandbox.read(&format!("tree/{image}")));
    let flipped: Vec<u8> = bytes.iter().map(|byte| byte ^ 1).collect();
    fs::write(&path, flipped).unwrap();
    let refused = export("bare", "bad", &[]).fails(3, path.to_str().unwrap());
    assert!(refused.stderr.contains("/tree` lists its faults"), "{}", refused.stderr);
    for damaged in [&bytes[..9], &[&bytes[..], b"x"].concat()] {
        fs::write(&path, damaged).unwrap();
        export("bare", "bad", &[]).fails(7, "published to be built from your own source");
    }
    fs::remove_file(&path).unwrap();
    export("bare", "bad", &[]).fails(7, "published to be built from your own source");
    assert!(!sandbox.path("bad").exists());
    fs::write(&path, &bytes).unwrap();
    export("bare", "good", &[]).ok();
}

/// A run that is killed once its output has its name leaves its staging folder, which the next one removes.
#[test]
fn a_killed_export_is_tidied_up_by_the_next_one() {
    let (sandbox, _) = Sandbox::published();
    for (args, to, code) in [
        (&["export", "grads@1.0", "--registry", "reg", "--as", "webdataset", "--to", "x"][..], "x", 1),
        (&["export", "grads@1.0", "--registry", "reg", "--as", "mds"], "grads-1.0-mds", 1),
        (&["export", "grads@1.0", "--registry", "reg", "--as", "imagefolder", "--to", "y"], "y", 0),
        (&["build", "grads-1.0.toml", "--source", "raw", "--out", "again"], "again", 0),
        (&["demo", "source", "drawn"], "drawn", 1),
    ] {
        sandbox.isn(args).ok();
        let whole = contents(&sandbox.path(to));
        drop(Workplace::open(&sandbox.path(to), "").unwrap().unwrap());
        assert_eq!(sandbox.leftovers().len(), 2, "{to}");
        sandbox.isn(args).fails(code, "");
        // A pull has staging folders of other names.
        if code == 1 || to == "again" {
            assert_eq!(sandbox.leftovers(), [""; 0], "{to}");
        }
        assert_eq!(contents(&sandbox.path(to)), whole, "{to}");
        let _ = Workplace::discard_abandoned(&sandbox.path(to), "");
    }
    // That of a live run stays.
    let live = Workplace::open(&sandbox.path("x"), "").unwrap().unwrap();
    sandbox
        .isn(&["export", "grads@1.0", "--registry", "reg", "--as", "webdataset", "--to", "x"])
        .fails(1, "");
    assert_eq!(sandbox.leftovers().len(), 2);
    live.discard().unwrap();
}
