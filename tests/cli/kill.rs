//! SIGKILL at twenty points of a build, a publish and a pull. The rerun ends in the same bytes, and at no point was
//! anything half-written where a user would take it for whole.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, contents};

const POINTS: u32 = 20;
const CLASSES: [&str; 3] = ["ant", "bee", "cat"];

/// Runs `args` to its end to learn how long that takes, then kills it at twenty moments spread over that time, each
/// time calling `check`; `reset` makes things as they were before the first run.
fn kill_at_points(sandbox: &Sandbox, args: &[&str], reset: impl Fn(), check: impl Fn(&str)) {
    let begun = Instant::now();
    sandbox.isn(args).ok();
    let whole = begun.elapsed();
    for point in 0..POINTS {
        reset();
        let mut child = sandbox.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Not to wait for anything: the moment of the kill is what is varied.
        std::thread::sleep(whole * point / POINTS + Duration::from_micros(200));
        child.kill().unwrap();
        child.wait().unwrap();
        check(&format!("killed at {point} of {POINTS}"));
        sandbox.isn(args).ok();
        check(&format!("rerun after {point} of {POINTS}"));
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn build() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 60);
    sandbox.recipe("grads", "1.0", &CLASSES, "");
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "right"]).ok();
    let right = contents(&sandbox.path("right"));
    let args = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];
    let out = sandbox.path("out");
    kill_at_points(
        &sandbox,
        &args,
        || remove(&out),
        |when| {
            assert!(!out.exists() || contents(&out) == right, "{when}: half a build is visible");
        },
    );
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn publish() {
    let (sandbox, pin) = Sandbox::published();
    let right: Vec<_> = contents(&sandbox.path("reg"));
    let args = ["publish", "out", "--registry", "reg", "--key", "me"];
    let release = sandbox.path("reg/releases/grads/1.0");
    kill_at_points(
        &sandbox,
        &args,
        || remove(&sandbox.path("reg")),
        |when| {
            if release.exists() {
                remove(&sandbox.path("tree"));
                sandbox.isn(&["pull", &pin, "--registry", "reg", "--to", "tree"]).ok();
            }
            if when.starts_with("rerun") {
                assert_eq!(contents(&sandbox.path("reg")), right, "{when}");
            }
        },
    );
}

#[test]
fn pull() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 60);
    sandbox.recipe("grads", "1.0", &CLASSES, "");
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    sandbox.isn(&["pull", "grads", "--registry", "reg", "--to", "right"]).ok();
    let right = contents(&sandbox.path("right"));
    let args = ["pull", "grads", "--registry", "reg", "--to", "tree"];
    let tree = sandbox.path("tree");
    kill_at_points(
        &sandbox,
        &args,
        || remove(&tree),
        |when| {
            assert!(!tree.exists() || contents(&tree) == right, "{when}: half a tree is visible");
        },
    );
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}
