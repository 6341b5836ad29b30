//! A pipe in the place of a file that isn reads: it is named, and not waited for.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Ran, Sandbox, ran};

/// What a command printed that ends by itself, with 30 seconds for it.
#[track_caller]
fn ends(mut command: Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{command:?} waits for a pipe");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    ran(child.wait_with_output().unwrap())
}

#[test]
fn no_command_waits_for_a_pipe_in_the_place_of_a_file() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree", "--lock"]).ok();
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "tree"];
    let pull_other = ["pull", "grads@1.0", "--registry", "reg", "--to", "other", "--lock"];
    let image = crate::sandbox::contents(&sandbox.path("tree/train"))[0].0.clone();
    let image = format!("tree/train/{image}");
    let cases: [(&str, &[&[&str]]); 8] = [
        (
            "tree/B3SUMS",
            &[
                &["verify", "tree"],
                &pull,
                &["export", "grads@1.0", "--registry", "reg", "--as", "imagefolder", "--to", "tree"],
                &["sync", "--locked"],
            ],
        ),
        ("tree/B3SUMS.selected", &[&["verify", "tree"], &pull, &["diff", "tree", &pin, "--registry", "reg"]]),
        ("tree/classes.csv", &[&["audit", "all", "tree"], &["diff", "tree", &pin, "--registry", "reg"]]),
        (&image, &[&["audit", "all", "tree"], &["verify", "tree"], &["sync", "--locked"], &pull]),
        ("home/keys/me", &[&["yank", "grads@1.0", "--registry", "reg", "--key", "me", "--reason", "x"]]),
        ("isn.lock", &[&["sync"], &pull_other]),
        ("isn.toml", &[&["sync"]]),
        ("home/trust.toml", &[&["info", "grads@1.0", "--registry", "reg"], &["trust", "list"]]),
    ];
    for (file, commands) in cases {
        let path = sandbox.path(file);
        let before = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        for args in commands {
            let ran = ends(sandbox.command(args));
            let all = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                ran.code != 0 && all.contains(file.rsplit('/').next().unwrap()),
                "{file} {args:?}: {all}"
            );
        }
        fs::remove_file(&path).unwrap();
        if let Some(before) = before {
            fs::write(&path, before).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    }
    // What it could not be recorded in was looked at first.
    assert!(!sandbox.path("other").exists());
}

#[test]
fn a_trust_store_of_another_user_is_not_believed() {
    let (sandbox, _) = Sandbox::published();
    let given = std::os::unix::fs::chown(sandbox.path("home/trust.toml"), Some(4321), None);
    if given.is_err() {
        return; // Only root gives files away.
    }
    sandbox.isn(&["info", "grads@1.0", "--registry", "reg"]).fails(4, "belongs to another user");
}
