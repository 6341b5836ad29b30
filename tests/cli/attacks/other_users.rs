//! Folders that several users share, such as `/tmp`, and folders of other users.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::forger::Forger;
use crate::sandbox::{Ran, ran};

const NOBODY: u32 = 65534;

/// Makes a folder like `/tmp`, in which everybody may make files and remove their own, with a file of another
/// user's that everybody may write to. Returns `false` if this user cannot do that.
fn shared(forger: &Forger) -> bool {
    fs::create_dir(forger.path("shared")).unwrap();
    let file = forger.path("shared/file");
    fs::write(&file, "theirs").unwrap();
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    open(&file, 0o666);
    open(&forger.path("shared"), 0o1777);
    // All else is the user's own.
    let mine = Command::new("chown").args(["-R", "4321:4321"]).arg(forger.path("")).status();
    let is_given = |path: &Path| chown(path, Some(NOBODY), None).is_ok();
    mine.is_ok_and(|mine| mine.success()) && is_given(&file) && is_given(&forger.path("shared"))
}

/// Runs `isn` as the user whose sandbox it is by then.
fn as_user(forger: &Forger, args: &[&str]) -> Ran {
    ran(forger.command(args).uid(4321).gid(4321))
}

/// An output replaces the file that was there, which nobody can do with another user's file in such a folder.
/// It is refused before the work, and is not overwritten in place.
#[test]
fn an_output_that_is_another_users_file_in_a_shared_folder_is_refused() {
    let forger = Forger::with_two_versions();
    forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    if !shared(&forger) {
        return;
    }
    symlink("shared/file", forger.path("link")).unwrap();
    let verbs: [&[&str]; 2] = [
        &["prove", "grads@1.0", "--registry", "nowhere", "--out"],
        &["diff", "grads@1.0", "grads@1.1", "--registry", "nowhere", "--html"],
    ];
    for verb in verbs {
        for to in ["shared/file", "link"] {
            let ran = as_user(&forger, &[verb, &[to]].concat());
            ran.fails(1, &format!("{to} belongs to another user")).fails(1, "choose another path");
            assert_eq!(forger.bytes("shared/file"), b"theirs", "{verb:?}");
        }
        as_user(&forger, &[verb, &["shared/mine"]].concat()).fails(6, "nowhere");
    }
}

/// A folder in which nothing can be made is refused before anything is signed or claimed.
#[test]
fn a_statement_for_a_folder_that_cannot_be_written_to_is_refused_first() {
    let forger = Forger::new();
    fs::create_dir(forger.path("shut")).unwrap();
    fs::set_permissions(forger.path("shut"), Permissions::from_mode(0o555)).unwrap();
    forger.isn(&["registry", "init", "new"]).ok();
    let before = forger.isn(&["log", "show", "--registry", "new", "--json"]).ok().json();
    let verbs: [&[&str]; 2] = [
        &["publish", "out", "--registry", "new", "--key", "me", "--statement", "shut/statement"],
        &[
            "yank",
            "grads@1.0",
            "--reason",
            "x",
            "--registry",
            "reg",
            "--key",
            "me",
            "--statement",
            "shut/one",
        ],
    ];
    for verb in verbs {
        let Some(ran) = forger.bound(verb) else { return };
        ran.fails(1, "shut").fails(1, "ermission denied");
    }
    assert_eq!(forger.isn(&["log", "show", "--registry", "new", "--json"]).ok().json(), before);
    assert!(!forger.path("new/releases").exists() && !forger.path("new/objects").exists());
}

/// The advice names a folder that is there: the one in which nothing can be made.
#[test]
fn a_registry_in_a_folder_that_cannot_be_written_to_names_that_folder() {
    let forger = Forger::new();
    fs::create_dir(forger.path("shut")).unwrap();
    fs::set_permissions(forger.path("shut"), Permissions::from_mode(0o555)).unwrap();
    for verb in [&["registry", "init", "shut/reg"][..], &["man", "shut/pages"]] {
        let Some(ran) = forger.bound(verb) else { return };
        ran.fails(1, "`ls -ld shut` shows the permissions");
    }
}
