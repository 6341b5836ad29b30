//! `isn mirror` from folder to folder: copies the same bytes, only what is new, and replaces nothing newer.

use std::collections::BTreeMap;
use std::fs;

use isn_registry::registry::layout;

use crate::forger::Forger;
use crate::sandbox::{Sandbox, contents};

/// The files that readers may see.
fn public(forger: &Forger, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = contents(&forger.path(folder)).into_iter().collect();
    files.retain(|path, _| layout::public(path).is_some());
    // Earlier forms of partial tiles are useful only to readers at that moment.
    files.retain(|path, _| !path.contains(".p/"));
    files
}

#[test]
fn a_mirror_is_the_same_registry_and_a_second_run_copies_what_is_new() {
    let forger = Forger::new();
    fs::remove_dir_all(forger.path("reg/objects")).unwrap();
    fs::remove_dir_all(forger.path("reg/packs")).unwrap();
    for out in ["out", "out-other"] {
        for folder in ["objects", "packs"] {
            forger.copy(&format!("{out}/{folder}"), &format!("reg/{folder}"));
        }
    }
    let ran = forger.reader(&["mirror", "reg", "m", "--json"]).ok().json();
    assert!(ran["copied"].as_u64().unwrap() > 5 && ran["there"] == 0, "{ran}");
    assert_eq!((&ran["versions"], &ran["entries"]), (&2.into(), &4.into()));
    assert_eq!(public(&forger, "m"), public(&forger, "reg"));
    assert!(!forger.path("m/.isn-mirror").exists());
    forger.reader(&["registry", "check", "m"]).ok();
    forger.reader(&["pull", "grads@1.0", "--registry", "m", "--to", "tree"]).ok();

    let again = forger.reader(&["mirror", "reg", "m", "--json"]).ok().json();
    assert_eq!(
        (&again["copied"], &again["there"], &again["new_entries"]),
        (&0.into(), &ran["copied"], &0.into())
    );
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    let more = forger.reader(&["mirror", "reg", "m", "--json"]).ok().json();
    assert_eq!((&more["new_entries"], &more["versions"]), (&1.into(), &3.into()));
    assert!(more["copied"].as_u64().unwrap() > 0, "{more}");
    assert_eq!(public(&forger, "m"), public(&forger, "reg"));
    forger.reader(&["registry", "check", "m"]).ok();
}

#[test]
fn some_datasets_come_with_the_whole_log() {
    let forger = Forger::with_two_versions();
    let ran = forger.reader(&["mirror", "reg", "m", "grads@1.0", "--json"]).ok().json();
    assert_eq!((&ran["versions"], &ran["entries"]), (&1.into(), &5.into()));
    forger.reader(&["pull", "grads@1.0", "--registry", "m", "--to", "tree"]).ok();
    forger.reader(&["log", "verify", "--registry", "m"]).ok();
    assert_eq!(forger.isn(&["list", "--registry", "m"]).ok().stdout.matches("grads").count(), 1);
    forger.reader(&["mirror", "reg", "m", "other"]).ok();
    forger.reader(&["pull", "other@1.0", "--registry", "m", "--to", "tree2"]).ok();
    forger.reader(&["mirror", "reg", "m", "nobody"]).fails(6, "nobody is not in the log");
    forger.reader(&["mirror", "reg", "m", "grads@9.9"]).fails(6, "grads@9.9 is not in the log");
}

#[test]
fn damage_at_the_source_is_not_copied_and_at_the_mirror_is_repaired() {
    let forger = Forger::with_two_versions();
    forger.reader(&["mirror", "reg", "m"]).ok();
    let shard = contents(&forger.path("m")).into_iter().find(|(path, _)| path.ends_with(".tar.zst")).unwrap();
    let mut damaged = shard.1.clone();
    damaged[600] ^= 1;
    fs::write(forger.path("m").join(&shard.0), &damaged).unwrap();
    forger.reader(&["mirror", "reg", "m", "--json"]).ok();
    assert!(fs::read(forger.path("m").join(&shard.0)).unwrap() == damaged, "lengths alone do not tell");
    let ran = forger.reader(&["mirror", "reg", "m", "--verify", "--json"]).ok().json();
    assert_eq!((&ran["copied"], &ran["repaired"]), (&1.into(), &1.into()));
    assert!(fs::read(forger.path("m").join(&shard.0)).unwrap() == shard.1);

    fs::write(forger.path("reg").join(&shard.0), &damaged).unwrap();
    forger.reader(&["mirror", "reg", "m2"]).fails(3, "is damaged");
    assert!(!forger.path("m2/registry.json").exists() && !forger.path("m2").join(&shard.0).exists());
    // It resumes where it stopped.
    fs::write(forger.path("reg").join(&shard.0), &shard.1).unwrap();
    let ran = forger.reader(&["mirror", "reg", "m2", "--json"]).ok().json();
    assert!(ran["there"].as_u64().unwrap() > 0, "{ran}");
    assert_eq!(public(&forger, "m2"), public(&forger, "reg"));
}

#[test]
fn a_longer_or_other_log_is_never_replaced() {
    let forger = Forger::new();
    forger.copy("reg", "old");
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    forger.reader(&["mirror", "reg", "m"]).ok();
    let before = contents(&forger.path("m"));
    // A user who has never seen the newer entries.
    forger.as_user("nobody", &["mirror", "old", "m"]).fails(4, "has 5 entries in its log, more than the 4");
    // A user who has seen them refuses the source.
    forger.reader(&["mirror", "old", "m"]).fails(4, "stale mirror");
    let yank = ["yank", "other@1.0", "--reason", "no", "--registry", "old", "--key", "me"];
    forger.copy("home", "forked");
    // A user who has the log's key but does not remember the log.
    for (folder, _) in contents(&forger.path("forked/logs")) {
        if !folder.ends_with("/key") {
            fs::remove_file(forger.path("forked/logs").join(folder)).unwrap();
        }
    }
    forger.as_user("forked", &yank).ok();
    forger.as_user("nobody2", &["mirror", "old", "m"]).fails(4, "has other entries in its log");
    assert_eq!(contents(&forger.path("m")), before);

    forger.isn(&["registry", "init", "another"]).ok();
    forger.reader(&["mirror", "reg", "another"]).fails(4, "another");
    fs::create_dir(forger.path("full")).unwrap();
    fs::write(forger.path("full/file"), "").unwrap();
    forger.reader(&["mirror", "reg", "full"]).fails(1, "neither empty nor a registry");
    forger.reader(&["mirror", "reg", "http://127.0.0.1:9"]).fails(1, "is a web server's");
}

#[cfg(not(feature = "cloud"))]
#[test]
fn without_the_feature_a_bucket_is_refused_with_the_reason() {
    let forger = Forger::new();
    forger.reader(&["mirror", "reg", "s3://bucket/m"]).fails(1, "--features cloud");
    forger.reader(&["list", "--registry", "s3://bucket/m"]).fails(1, "--features cloud");
}

#[test]
fn a_mirror_is_not_made_inside_its_source() {
    let forger = Forger::new();
    fs::create_dir(forger.path("reg/empty")).unwrap();
    for inside in ["reg/sub", "reg/sub/deep", "reg/empty", "reg/../reg/sub"] {
        let refused = "is in the registry reg";
        forger.reader(&["mirror", "reg", inside]).fails(1, refused);
    }
    assert!(!forger.path("reg/sub").exists());
    assert!(fs::read_dir(forger.path("reg/empty")).unwrap().next().is_none());
    forger.reader(&["mirror", "reg", "reg-copy"]).ok();
}

#[test]
fn a_mirror_that_is_behind_is_whole() {
    let (sandbox, _) = Sandbox::published();
    sandbox.isn(&["mirror", "reg", "behind"]).ok();
    sandbox.build_second_version();
    sandbox.publish("out2");
    sandbox.isn(&["info", "grads@1.1", "--registry", "reg"]).ok();
    let ran = sandbox.isn(&["verify", "behind"]).ok();
    assert!(ran.stderr.contains("is a stale mirror"), "{}", ran.stderr);
    std::fs::remove_file(sandbox.path("behind/releases/grads/1.0")).unwrap();
    sandbox.isn(&["verify", "behind"]).fails(3, "missing: releases/grads/1.0");
}
