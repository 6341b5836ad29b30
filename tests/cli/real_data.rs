//! Tests on real photographs, if there are any (see README.md): this repository cannot contain ImageNet's.

use std::fs;
use std::path::Path;

use crate::sandbox::{Sandbox, contents, real_data};

const TRUNCATED: &str = "african_elephants_truncated_file";

fn class_names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn recipe(sandbox: &Sandbox, kind: &str, classes: &[String], more: &str) {
    let mut text = format!(
        "format = \"isn-recipe/1\"\nname = \"real\"\nversion = \"1.0\"\ntitle = \"Real photographs\"\n\
         description = \"For tests.\"\nlicence = \"as their sources\"\nauthors = [\"A. Tester\"]\n\n\
         [source]\nkind = \"{kind}\"\n\n[image]\nsize = 160\n\n{more}"
    );
    for class in classes {
        text += &format!("\n[[class]]\nid = \"{class}\"\nlabel = \"{class}\"\n");
    }
    sandbox.write("real.toml", text.as_bytes());
}

#[test]
fn all_kinds_of_photographs_build_and_the_truncated_one_is_named() {
    let Some(data) = real_data().filter(|data| data.join("ilsvrc-raw").is_dir()) else { return };
    let sandbox = Sandbox::new();
    let mut count = 0;
    for (name, bytes) in contents(&data.join("ilsvrc-raw/train")) {
        sandbox.write(&format!("raw/{name}"), &bytes);
        count += 1;
    }
    assert_eq!(count, 100);
    for (name, bytes) in contents(&data.join("photos")) {
        if name.ends_with(".jpg") {
            sandbox.write(&format!("raw/photos/{name}"), &bytes);
            count += 1;
        }
    }
    let classes = class_names(&sandbox.path("raw"));
    recipe(&sandbox, "imagefolder", &classes, "[split]\npolicy = \"keep\"\n");
    let build = ["build", "real.toml", "--source", "raw", "--out", "out", "--json"];
    let ran = sandbox.isn(&build).fails(1, "1 source image cannot be built");
    let named: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(named[0].contains(&format!("photos/{TRUNCATED}.jpg: truncated")), "{named:?}");
    assert!(!sandbox.path("out").exists());

    let ledger = "source_id,action,to,reason,source,reviewer,date\n";
    let line = format!("photos/{TRUNCATED},remove,,truncated,isn build,A. Tester,2026-11-23\n");
    sandbox.write("ledger.csv", format!("{ledger}{line}").as_bytes());
    let more = "[split]\npolicy = \"keep\"\n\n[corrections]\nfile = \"ledger.csv\"\n";
    recipe(&sandbox, "imagefolder", &classes, more);
    let report = sandbox.isn(&build).ok().json();
    assert_eq!(report["images"], count - 1);
    sandbox.isn(&["verify", "out"]).ok();
}

#[test]
fn a_slice_of_imagenet_has_one_hash_and_the_quota_of_each_class() {
    let Some(data) = real_data().filter(|data| data.join("ilsvrc-slice").is_dir()) else { return };
    let slice = data.join("ilsvrc-slice");
    let slice = slice.to_str().unwrap();
    let sandbox = Sandbox::new();
    let classes = class_names(&data.join("ilsvrc-slice/train"));
    assert_eq!(classes.len(), 10);
    recipe(&sandbox, "ilsvrc2012", &classes, "[split]\npolicy = \"pool\"\nval = 0.2\nsalt = \"real\"\n");
    let build = |out: &str, jobs: &str| {
        sandbox
            .isn(&["build", "real.toml", "--source", slice, "--out", out, "-j", jobs, "--json"])
            .ok()
            .json()
    };
    let (one, two) = (build("out1", "1"), build("out2", "2"));
    assert_eq!(one["pin"], two["pin"]);
    assert_eq!(one["manifest"], two["manifest"]);
    for class in &classes {
        assert_eq!(one["balance"]["val"][class], 34, "{class}");
        assert_eq!(one["balance"]["train"][class], 136, "{class}");
    }
}
