use std::fs;

use crate::sandbox::{Sandbox, contents, gradient};

const CLASSES: [&str; 3] = ["ant", "bee", "cat"];

#[test]
fn the_output_does_not_depend_on_threads_order_of_files_or_locale() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 8);
    // The same files, created in another order.
    let mut files = contents(&sandbox.path("raw"));
    files.reverse();
    for (name, bytes) in files {
        let path = sandbox.path("raw2").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    sandbox.recipe("grads", "1.0", &CLASSES, "");
    let build = |source: &str, out: &str, jobs: &str, locale: &str| {
        let args = ["build", "grads-1.0.toml", "--source", source, "--out", out, "-j", jobs];
        let output = sandbox.command(&args).env("LC_ALL", locale).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut files = contents(&sandbox.path(out));
        files.retain(|(name, _)| name != "report.json");
        files
    };
    let first = build("raw", "out1", "1", "C");
    assert_eq!(first, build("raw2", "out2", "2", "tr_TR.UTF-8"));
    assert_eq!(first, build("raw", "out3", "5", "de_DE.UTF-8"));
}

#[test]
fn a_finished_build_is_not_done_again_and_nothing_else_is_overwritten() {
    let sandbox = Sandbox::built();
    let before = contents(&sandbox.path("out"));
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    assert_eq!(before, contents(&sandbox.path("out")));
    sandbox.recipe("grads", "1.0", &CLASSES[..2], "");
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];
    sandbox.isn(&build).fails(1, "out already exists, and is not the output of this recipe over this source");
    assert_eq!(before, contents(&sandbox.path("out")));
    assert!(sandbox.leftovers().is_empty());
}

#[test]
fn every_reject_is_reported_at_once_and_the_ledger_settles_them() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 8);
    fs::write(sandbox.path("raw/ant/text.png"), "this is no picture").unwrap();
    let mut jpeg = Vec::new();
    gradient(64, 64, 1).write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    fs::write(sandbox.path("raw/bee/short.jpg"), &jpeg[..jpeg.len() * 2 / 3]).unwrap();
    sandbox.recipe("grads", "1.0", &CLASSES, "");
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];
    let ran = sandbox.isn(&build).fails(1, "2 source images cannot be built");
    let told = sandbox.isn(&[&build[..], &["--json"]].concat()).json();
    let rejects = told["rejects"].as_array().unwrap();
    assert!(rejects.len() == 2 && rejects[0]["id"].is_string(), "{told}");
    assert!(rejects.iter().all(|reject| reject["path"].is_string() && reject["reason"].is_string()));
    assert!(ran.stderr.contains("ant/text.png: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("bee/short.jpg: truncated"), "{}", ran.stderr);
    assert!(!sandbox.path("out").exists());

    let ledger = "source_id,action,to,reason,source,reviewer,date\n\
                  ant/text,remove,,not an image,isn build,A. Tester,2026-11-23\n\
                  bee/short,remove,,truncated,isn build,A. Tester,2026-11-23\n\
                  cat/cat_1,relabel,bee,is a bee,looked,A. Tester,2026-11-23\n";
    fs::write(sandbox.path("ledger.csv"), ledger).unwrap();
    sandbox.recipe("grads", "1.0", &CLASSES, "\n[corrections]\nfile = \"ledger.csv\"\n");
    let report = sandbox.isn(&[&build[..], &["--json"]].concat()).ok().json();
    assert_eq!(report["images"], 24);
    assert_eq!(report["removed"], serde_json::json!(["ant/text", "bee/short"]));
    let bees = |split: &str| report["balance"][split]["bee"].as_u64().unwrap();
    assert_eq!(bees("train") + bees("val"), 9);
}

#[test]
fn mistakes_of_a_recipe_come_all_at_once_with_their_lines() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 2);
    sandbox.recipe("grads", "1.0", &CLASSES, "");
    let path = sandbox.path("grads-1.0.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("size = 24", "size = 0").replace("val = 0.25", "val = 7\ncolour = true"))
        .unwrap();
    let ran =
        sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).fails(1, "3 mistakes");
    for line in ["line 13", "line 21", "line 22"] {
        assert!(ran.stderr.contains(line), "{line} in {}", ran.stderr);
    }
}

#[test]
fn two_images_of_the_same_bytes_are_stored_once() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 4);
    fs::copy(sandbox.path("raw/ant/ant_0.png"), sandbox.path("raw/ant/ant_copy.png")).unwrap();
    sandbox.recipe("grads", "1.0", &CLASSES, "");
    let report =
        sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out", "--json"]).ok().json();
    assert_eq!(report["images"], 13);
    let pack = contents(&sandbox.path("out/objects"));
    let pack = pack.iter().filter(|(name, _)| name.ends_with(".jsonl.zst"));
    let lines: Vec<usize> = pack
        .map(|(_, bytes)| zstd::decode_all(&bytes[..]).unwrap().iter().filter(|b| **b == b'\n').count())
        .collect();
    // The index has 13 rows; the pack has a header and 12 images.
    assert_eq!(lines, [13, 13]);
}

#[test]
fn a_source_is_never_the_place_of_an_output() {
    let (sandbox, pin) = Sandbox::published();
    let before = contents(&sandbox.path("raw"));
    let refused = |args: &[&str], why: &str| {
        let ran = sandbox.isn(args).fails(1, &format!("error: {why}"));
        assert!(
            ran.stderr.contains("help: nothing was written. Choose a folder outside it"),
            "{}",
            ran.stderr
        );
    };
    #[cfg(unix)]
    std::os::unix::fs::symlink("raw", sandbox.path("link")).unwrap();
    for (out, how) in [
        ("raw", "is"),
        ("raw/", "is"),
        ("raw/new", "is in"),
        ("raw/ant/x/../y", "is in"),
        ("link/new", "is in"),
    ] {
        let place = out.trim_end_matches('/');
        refused(
            &["build", "grads-1.0.toml", "--source", "raw", "--out", out],
            &format!("{out} {how} the source folder raw"),
        );
        let args = ["pull", &pin, "--registry", "reg", "--no-cache", "--source", "raw", "--to", out];
        let place = if out.contains("..") { "raw/ant/y" } else { place };
        refused(&args, &format!("{place} {how} the source folder raw"));
    }
    sandbox.copy("raw", "above/raw");
    let above = ["build", "grads-1.0.toml", "--source", "above/raw", "--out", "above"];
    refused(&above, "above contains the source folder above/raw");

    for args in [
        &["pull", &pin, "--registry", "reg", "--to", "reg"][..],
        &["export", &pin, "--registry", "reg", "--as", "webdataset", "--to", "reg"],
        &["mirror", "reg", "reg"],
    ] {
        refused(args, "reg is the registry reg");
    }
    refused(&["mirror", "reg", "reg/copy"], "reg/copy is in the registry reg");
    refused(&["publish", "out", "--key", "me", "--registry", "out/reg"], "out/reg is in the build out");
    refused(&["publish", "out", "--key", "me", "--registry", "out"], "out is the build out");
    assert!(!sandbox.path("reg/copy").exists() && !sandbox.path("out/reg").exists());
    assert_eq!(contents(&sandbox.path("raw")), before);
    // Beside it is right.
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "raw-build"]).ok();
}

#[test]
fn a_class_that_is_left_without_an_image_says_why() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &["ant", "bee"], 3);
    sandbox.recipe("grads", "1.0", &["ant", "bee"], "[corrections]\nfile = \"ledger.csv\"");
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let text = text.replace("small = \"keep\"", "small = \"drop\"").replace("size = 24", "size = 31");
    sandbox.write("grads-1.0.toml", text.as_bytes());
    let old = "source_id,action,to,reason,source,reviewer,date\n";
    sandbox.write("ledger.csv", format!("{old}bee/bee_0,remove,,x,x,me,2024-01-01\n").as_bytes());
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];
    let small = "class ant (the ant) has no image: 3 of its 3 images are smaller than 31 pixels, and [image] small = \
                 \"drop\" leaves them out";
    sandbox.isn(&build).fails(1, small);
    sandbox.write("grads-1.0.toml", text.replace("size = 31", "size = 32").as_bytes());
    let both = "class bee (the bee) has no image: 2 of its 3 images are smaller than 32 pixels, and [image] small = \
                \"drop\" leaves them out; the ledger removes 1 of its 3 images";
    sandbox.isn(&build).fails(1, both);
}
