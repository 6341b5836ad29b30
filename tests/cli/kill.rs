//! SIGKILL at many points of a build, a publish, a pull and an export: everything visible is complete, and a
//! rerun produces the same bytes.
#![cfg(unix)]

use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, contents};

/// The number of kills for each verb.
const KILLS: u32 = 20;

/// A source large enough for a build to take a moment; the pictures differ in size, so no two are equal.
fn raw(sandbox: &Sandbox) {
    sandbox.image_folder("raw", &["ant", "bee", "cat"], 60);
    sandbox.recipe("grads", "1.0", &["ant", "bee", "cat"], "");
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
}

fn files(sandbox: &Sandbox, dir: &str) -> Vec<(String, Vec<u8>)> {
    let path: PathBuf = sandbox.path(dir);
    if path.exists() { contents(&path) } else { Vec::new() }
}

/// Times an undisturbed run of `args`, then kills such runs at points spread evenly over that time, with
/// `reset` before and `check` after each. A kill may come after a fast run has ended: `check` holds then,
/// too. Returns the number of runs that were killed.
fn kill_at_many_points(sandbox: &Sandbox, args: &[&str], reset: impl Fn(), check: impl Fn(bool)) -> u32 {
    reset();
    let start = Instant::now();
    sandbox.isn(args).ok();
    let full = start.elapsed();
    let mut hit = 0;
    for at in 0..KILLS {
        reset();
        let mut child = sandbox.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(full * at / KILLS + Duration::from_micros(500));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(status.code().is_none_or(|code| code == 0), "{status}");
        hit += u32::from(status.code().is_none());
        check(status.code().is_some());
    }
    hit
}

fn remove(sandbox: &Sandbox, names: &[&str]) {
    for name in names {
        let _ = std::fs::remove_dir_all(sandbox.path(name));
    }
    for name in sandbox.leftovers() {
        let path = sandbox.path(&name);
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
}

#[test]
fn a_killed_build_leaves_nothing_half_and_goes_on() {
    let sandbox = Sandbox::new();
    raw(&sandbox);
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "whole"]).ok();
    let whole = files(&sandbox, "whole");
    let hit = kill_at_many_points(
        &sandbox,
        &build,
        || remove(&sandbox, &["out"]),
        |finished| {
            assert!(sandbox.path("out").exists() || !finished);
            if sandbox.path("out").exists() {
                assert!(files(&sandbox, "out") == whole, "a half-written build was visible");
            }
            sandbox.isn(&build).ok();
            assert!(files(&sandbox, "out") == whole, "the rerun ended in other bytes");
            // A kill right after the rename may leave the empty lock file, which the next run takes over.
            let left: Vec<String> = sandbox.leftovers();
            assert!(left.iter().all(|name| name.ends_with("-lock")), "{left:?}");
        },
    );
    assert!(hit > KILLS / 4, "{hit} of {KILLS} kills hit");
}

#[test]
fn a_killed_publish_leaves_no_release_or_a_whole_one() {
    let sandbox = Sandbox::new();
    raw(&sandbox);
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    // All runs use one log key; otherwise every registry would be a different one.
    sandbox.isn(&["registry", "init", "empty"]).ok();
    let log_key = contents(&sandbox.path("home/logs")).into_iter().find(|(name, _)| name.ends_with("/key"));
    sandbox.write("log-key", &log_key.unwrap().1);
    sandbox.isn(&["registry", "init", "whole", "--log-key", "log-key"]).ok();
    sandbox.isn(&["publish", "out", "--registry", "whole", "--key", "me"]).ok();
    let whole = files(&sandbox, "whole");
    let publish = ["publish", "out", "--registry", "reg", "--key", "me"];
    let hit = kill_at_many_points(
        &sandbox,
        &publish,
        || {
            // What was seen of the log is removed, too; otherwise a registry that starts anew
            // would be a rollback.
            remove(&sandbox, &["reg", "tree", "home/logs"]);
            let _ = std::fs::remove_file(sandbox.path("home/trust.toml"));
            sandbox.trust_me("reg");
            sandbox.isn(&["registry", "init", "reg", "--log-key", "log-key"]).ok();
        },
        |finished| {
            // A version is released once its entry is in the log; the release file is written
            // later, as a convenience.
            let size = sandbox.isn(&["log", "verify", "--registry", "reg", "--json"]).ok().json();
            let released = size["size"] == 2;
            assert!(released || (size["size"] == 0 && !finished), "{size}");
            if released {
                sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
            } else {
                sandbox.pull("grads@1.0", &["--to", "tree"]).fails(6, "is not in registry");
                sandbox.pull("grads", &["--to", "tree"]).fails(6, "is not in registry");
            }
            sandbox.isn(&publish).ok();
            sandbox.isn(&["verify", "reg"]).ok();
            assert!(files(&sandbox, "reg") == whole, "the rerun ended in other bytes");
        },
    );
    assert!(hit > KILLS / 4, "{hit} of {KILLS} kills hit");
}

#[test]
fn a_killed_pull_leaves_no_tree_or_a_whole_one() {
    let sandbox = Sandbox::new();
    let args = ["pull", "demobirds@1.0", "--to", "tree"];
    let whole_args = ["pull", "demobirds@1.0", "--to", "whole"];
    sandbox.isn(&whole_args).ok();
    let whole = files(&sandbox, "whole");
    let hit = kill_at_many_points(
        &sandbox,
        &args,
        || remove(&sandbox, &["tree"]),
        |finished| {
            assert!(sandbox.path("tree").exists() || !finished);
            if sandbox.path("tree").exists() {
                assert!(files(&sandbox, "tree") == whole, "a half-written tree was visible");
            }
            sandbox.isn(&args).ok();
            assert!(files(&sandbox, "tree") == whole, "the rerun ended in other bytes");
            let left = sandbox.leftovers();
            assert!(left.iter().all(|name| name.ends_with("-lock")), "{left:?}");
        },
    );
    assert!(hit > KILLS / 4, "{hit} of {KILLS} kills hit");
}

#[test]
fn a_killed_upgrade_leaves_the_old_tree_or_the_new_one() {
    use std::os::unix::fs::MetadataExt as _;
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    let pull = |version: &str| {
        sandbox.isn(&["pull", version, "--registry", "reg", "--to", "tree"]).ok();
        files(&sandbox, "tree")
    };
    let (old, new) = (pull("grads@1.0"), pull("grads@1.1"));
    let args = ["pull", "grads@1.1", "--registry", "reg", "--to", "tree"];
    let hit = kill_at_many_points(
        &sandbox,
        &args,
        || {
            remove(&sandbox, &["tree"]);
            assert!(pull("grads@1.0") == old);
        },
        |finished| {
            let found = files(&sandbox, "tree");
            assert!(found == new || (found == old && !finished), "neither tree is whole");
            assert!(pull("grads@1.1") == new, "the rerun ended in other bytes");
            let left = sandbox.leftovers();
            assert!(left.iter().all(|name| name.ends_with("-lock")), "{left:?}");
            for (name, _) in &new {
                let about = std::fs::metadata(sandbox.path("tree").join(name)).unwrap();
                assert_eq!(about.nlink(), 1, "{name}");
            }
        },
    );
    assert!(hit > KILLS / 4, "{hit} of {KILLS} kills hit");
}

#[test]
fn a_killed_export_leaves_nothing_under_its_name() {
    let (sandbox, _) = Sandbox::published_large();
    let export = ["export", "grads@1.0", "--registry", "reg", "--as", "tfrecord", "--to", "out"];
    sandbox.isn(&["export", "grads@1.0", "--registry", "reg", "--as", "tfrecord", "--to", "whole"]).ok();
    let whole = files(&sandbox, "whole");
    let hit = kill_at_many_points(
        &sandbox,
        &export,
        || remove(&sandbox, &["out"]),
        |finished| {
            let is_there = sandbox.path("out").exists();
            assert!(is_there || !finished);
            assert!(!is_there || files(&sandbox, "out") == whole, "a half-written export was visible");
            if !is_there {
                sandbox.isn(&export).ok();
                assert!(files(&sandbox, "out") == whole, "the rerun ended in other bytes");
                assert_eq!(sandbox.leftovers(), [""; 0]);
            }
        },
    );
    assert!(hit > KILLS / 4, "{hit} of {KILLS} kills hit");
}
