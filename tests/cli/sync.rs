use std::fs;

use crate::sandbox::{Sandbox, contents};

/// A URL at which nothing answers.
const UNREACHABLE: &str = "http://127.0.0.1:1";

fn sync(sandbox: &Sandbox, more: &[&str]) -> crate::sandbox::Ran {
    sandbox.isn(&[&["sync", "--json"], more].concat())
}

#[test]
fn a_locked_version_is_restored_and_a_whole_tree_asks_no_network() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads", &["--lock"]).ok();
    let lock = String::from_utf8(sandbox.read("isn.lock")).unwrap();
    assert!(lock.contains(&pin), "{lock}");
    let tree = contents(&sandbox.path("grads-1.0"));

    let report = sync(&sandbox, &["--locked", "--registry", UNREACHABLE]).ok().json();
    assert_eq!(report["synced"][0]["fetched_bytes"], 0);
    fs::remove_dir_all(sandbox.path("grads-1.0")).unwrap();
    // The lock file records where the version came from.
    let report = sync(&sandbox, &["--locked"]).ok().json();
    assert!(report["synced"][0]["fetched_bytes"].as_u64().unwrap() > 0);
    assert_eq!(tree, contents(&sandbox.path("grads-1.0")));
    // A newer version does not change a locked one.
    sandbox.build_second_version();
    sandbox.publish("out2");
    sync(&sandbox, &[]).ok();
    assert_eq!(lock.as_bytes(), sandbox.read("isn.lock"));
    // A lock file pins the version, so it needs no key.
    fs::remove_dir_all(sandbox.path("grads-1.0")).unwrap();
    fs::remove_dir_all(sandbox.path("home")).unwrap();
    sync(&sandbox, &["--locked"]).ok();
    assert_eq!(tree.len(), contents(&sandbox.path("grads-1.0")).len());
}

#[test]
fn a_tree_that_was_changed_is_not_overwritten() {
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads", &["--lock"]).ok();
    sandbox.write("grads-1.0/classes.csv", b"mine");
    sync(&sandbox, &["--locked"]).fails(1, "grads-1.0 already exists");
    assert_eq!(sandbox.read("grads-1.0/classes.csv"), b"mine");
}

#[test]
fn locked_refuses_what_is_not_locked_and_otherwise_it_is_locked() {
    let (sandbox, pin) = Sandbox::published();
    sync(&sandbox, &[]).fails(6, "isn.lock is not in");
    sandbox.write("isn.lock", b"format = \"isn-lock/1\"\n");
    let ran = sync(&sandbox, &[]).fails(6, "a dataset is not in ");
    assert!(ran.stderr.contains("/isn.lock\n"), "{}", ran.stderr);
    fs::remove_file(sandbox.path("isn.lock")).unwrap();
    let reg = sandbox.path("reg").display().to_string();
    sandbox.write("isn.toml", format!("registry = [\"{reg}\"]\ndatasets = [\"grads\"]\n").as_bytes());
    sync(&sandbox, &["--locked"]).fails(1, "does not lock grads");
    assert!(!sandbox.path("isn.lock").exists());
    assert!(!sandbox.path("grads-1.0").exists());
    sync(&sandbox, &[]).ok();
    assert!(String::from_utf8(sandbox.read("isn.lock")).unwrap().contains(&pin));
    sandbox.isn(&["verify", "grads-1.0", "--expect", &pin]).ok();
    sync(&sandbox, &["--locked"]).ok();
}

#[test]
fn a_part_is_locked_as_a_part() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads", &["--lock", "--split", "val", "--to", "data/val"]).ok();
    let tree = contents(&sandbox.path("data/val"));
    fs::remove_dir_all(sandbox.path("data")).unwrap();
    sync(&sandbox, &["--locked"]).ok();
    assert_eq!(tree, contents(&sandbox.path("data/val")));
    sandbox.isn(&["verify", "data/val", "--expect", &pin]).ok();
    // A part is compared with its version, and nothing is written.
    let again = sandbox.isn(&["sync", "--locked"]).ok();
    assert!(again.stdout.contains("data/val: already exists and is whole"), "{}", again.stdout);
}

#[test]
fn a_broken_lock_file_is_refused_by_name() {
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads", &["--lock"]).ok();
    let good = String::from_utf8(sandbox.read("isn.lock")).unwrap();
    let unpinned = good.split("#b3:").next().unwrap().to_string() + "\"\nregistry = \"x\"\n";
    for bad in [good.replace("isn-lock/1", "isn-lock/9"), good.replace("pin", "pine"), unpinned] {
        sandbox.write("isn.lock", bad.as_bytes());
        sync(&sandbox, &[]).fails(1, "isn.lock");
    }
}

#[test]
fn a_hash_that_no_registry_has_is_told_with_the_lock_file_and_its_tree() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads", &["--lock"]).ok();
    let good = String::from_utf8(sandbox.read("isn.lock")).unwrap();
    let wrong = good.replace(crate::sandbox::hash_of(&pin), &format!("b3:{}", "0".repeat(64)));
    sandbox.write("isn.lock", wrong.as_bytes());
    for _ in 0..2 {
        sync(&sandbox, &[])
            .fails(3, "isn.lock locks grads@1.0#b3:000")
            .fails(3, "0 for grads-1.0: ")
            .fails(3, "if isn.lock was edited or merged by hand, restore it from version control");
        let _ = fs::remove_dir_all(sandbox.path("grads-1.0"));
    }
    sandbox.write("isn.lock", good.replace("@1.0#", "@1.9#").as_bytes());
    sync(&sandbox, &[]).fails(6, "and isn.lock locks it for grads-1.0 (it has 1.0)");
}
