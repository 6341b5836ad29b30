//! `isn init` of folders whose splits and classes are not where one would look first: test images never
//! become train images without a word.

use std::fs;

use crate::init::{folder, has, init};
use crate::sandbox::Sandbox;

/// The paths of images, `n` in each of the folders.
fn images(folders: &[&str], n: usize) -> Vec<String> {
    folders.iter().flat_map(|folder| (0..n).map(move |at| format!("{folder}/{at}.png"))).collect()
}

fn of(folders: &[&str], n: usize, more: &[&str]) -> Sandbox {
    let images = images(folders, n);
    folder(&images.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
}

#[cfg(unix)]
#[test]
fn commands_that_are_printed_can_be_pasted() {
    let name = "👩\u{200d}👩 it's \u{202e}x";
    let sandbox = of(&["a", "b"], 3, &[]);
    fs::rename(sandbox.path("My photos"), sandbox.path(name)).unwrap();
    let ran = sandbox.isn(&["init", name, "--name", "pics", "--licence", "CC0-1.0"]).ok();
    let build = ran.stdout.lines().find_map(|line| line.trim().strip_prefix("isn build ")).unwrap();
    let script = format!("\"$1\" build {build}");
    crate::sandbox::ran(sandbox.program("bash").args(["-c", &script, "bash", crate::sandbox::ISN])).ok();
    // Nor need it be UTF-8.
    let bad: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9");
    std::os::unix::fs::symlink(name, sandbox.path("").join(bad)).unwrap();
    let mut init = sandbox.command(&["init", "--name", "pics", "--out", "other"]);
    let ran = crate::sandbox::ran(init.arg(bad)).ok();
    has(&ran.stdout, &["isn build other/recipe.toml --source $'caf\\351'\n"]);
    let json = sandbox.isn(&["init", name, "--name", "pics", "--out", "r", "--json"]).ok().json();
    assert!(json["next"][0].as_str().unwrap().ends_with(build.split("--source").nth(1).unwrap()), "{json}");
}

#[cfg(unix)]
#[test]
fn a_decision_can_be_added_whatever_a_folder_is_called() {
    for class in ["-1", "--", "-x y", "it's \u{200d}"] {
        let sandbox = of(&[class, "b"], 3, &[&format!("{class}/bad.png=none")]);
        init(&sandbox).ok();
        let build = ["build", "my-photos-recipe/recipe.toml", "--source", "My photos"];
        let ran = sandbox.isn(&build).fails(1, "1 source image cannot be built");
        let add = ran.stderr.lines().find_map(|line| line.trim().strip_prefix("isn ledger add ")).unwrap();
        let script = format!("\"$1\" ledger add {add}");
        crate::sandbox::ran(sandbox.program("bash").args(["-c", &script, "bash", crate::sandbox::ISN])).ok();
        sandbox.isn(&build).ok();
    }
    // What no ledger can have is not offered.
    let sandbox = of(&["x", "b"], 3, &["x/bad.png=none"]);
    fs::rename(sandbox.path("My photos/x"), sandbox.path("My photos/=x")).unwrap();
    has(&init(&sandbox).ok().stderr, &["no row of a ledger can have an id such as =x/"]);
    let ran = sandbox.isn(&["build", "my-photos-recipe/recipe.toml", "--source", "My photos"]);
    let ran = ran.fails(1, "rename the file or its folder");
    assert!(!ran.stderr.contains("ledger add"), "{}", ran.stderr);
    // A class of this name.
    let add =
        ["ledger", "add", "l.csv", "b/1", "relabel", "-1", "--reason", "wrong-label", "--reviewer", "me"];
    sandbox.isn(&add).ok();
}
