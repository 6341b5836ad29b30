//! A file system without file locks, like some network file systems: two processes at once still get the
//! right result, and neither touches what the other has in progress.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, ended, has_tool, ran};
use crate::server::{Fault, Server};

/// Replaces the system's `flock`, as on a disk on which no file can be locked.
const SHIM: &str =
    "#include <errno.h>\nint flock(int fd, int op) { (void)fd; (void)op; errno = ENOLCK; return -1; }\n";

/// Returns a library that disables file locks, outside the folders that the tests inspect; `None` without a C
/// compiler.
fn shim(sandbox: &Sandbox) -> Option<String> {
    if !has_tool("cc") {
        return None;
    }
    sandbox.write("shim/shim.c", SHIM.as_bytes());
    let library = sandbox.path("shim/shim.so");
    let mut make = Command::new("cc");
    make.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(sandbox.path("shim/shim.c"));
    assert!(make.status().unwrap().success());
    Some(library.to_str().unwrap().into())
}

fn without_locks(sandbox: &Sandbox, shim: &str, args: &[&str]) -> Command {
    let mut command = sandbox.command(args);
    command.env("LD_PRELOAD", shim);
    command
}

fn staging(sandbox: &Sandbox) -> Vec<String> {
    let mut names = sandbox.leftovers();
    names.retain(|name| name.ends_with(".isn-partial"));
    names
}

fn begun(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Returns the folder that appears beside those of `before`, once its tree has been started.
fn new_folder(sandbox: &Sandbox, before: &[String]) -> String {
    let begun = Instant::now();
    loop {
        let folder = staging(sandbox).into_iter().find(|name| !before.contains(name));
        if let Some(folder) = folder.filter(|name| sandbox.path(name).join("tree/train").exists()) {
            return folder;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no folder of its own: {:?}", staging(sandbox));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn names(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn two_pulls_to_one_place_share_nothing() {
    let (sandbox, pin) = Sandbox::published();
    let Some(shim) = shim(&sandbox) else { return };
    let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Stall(0));
    let slow = ["pull", &pin, "--registry", &server.url, "--to", "tree", "--no-cache"];
    let mut first = begun(without_locks(&sandbox, &shim, &slow));
    let folder = new_folder(&sandbox, &[]);
    let mut second = begun(without_locks(&sandbox, &shim, &slow));
    let other = new_folder(&sandbox, std::slice::from_ref(&folder));
    assert_ne!(folder, other);
    let inside = names(&sandbox.path(&folder));
    // Pulls of the same version and of another part of it, which clean up after earlier runs.
    let quick = ["pull", &pin, "--registry", "reg", "--to", "tree", "--no-cache"];
    ran(without_locks(&sandbox, &shim, &quick)).ok();
    ran(without_locks(&sandbox, &shim, &[&quick[..], &["--split", "val"]].concat())).ok();
    ran(without_locks(&sandbox, &shim, &quick)).ok();
    for folder in [&folder, &other] {
        assert_eq!(names(&sandbox.path(folder)), inside, "{folder}");
        assert!(sandbox.path(folder).join("tree/train").is_dir());
    }
    for child in [&mut first, &mut second] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
    // isn cannot tell that they were killed, so the folders stay, as format.md says.
    assert_eq!(staging(&sandbox).len(), 2, "{:?}", staging(&sandbox));
}

#[test]
fn a_lock_that_another_holds_is_not_removed() {
    let (sandbox, pin) = Sandbox::published();
    let Some(shim) = shim(&sandbox) else { return };
    let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Stall(0));
    let slow = ["pull", &pin, "--registry", &server.url, "--to", "tree", "--no-cache"];
    let mut with_locks = begun(sandbox.command(&slow));
    new_folder(&sandbox, &[]);
    let locks = || {
        let mut names = sandbox.leftovers();
        names.retain(|name| name.ends_with(".isn-lock"));
        names
    };
    let held = locks();
    assert_eq!(held.len(), 1);
    let quick = ["pull", &pin, "--registry", "reg", "--to", "tree", "--no-cache"];
    for _ in 0..2 {
        ran(without_locks(&sandbox, &shim, &quick)).ok();
        assert_eq!(locks(), held);
    }
    with_locks.kill().unwrap();
    with_locks.wait().unwrap();
    // A pull removes its own lock file.
    let other = ["pull", &pin, "--registry", "reg", "--to", "other", "--no-cache"];
    ran(without_locks(&sandbox, &shim, &other)).ok();
    assert_eq!(locks(), held);
}

#[test]
fn what_another_writes_is_not_swept_away() {
    let (sandbox, _) = Sandbox::published();
    let Some(shim) = shim(&sandbox) else { return };
    let logs = fs::read_dir(sandbox.path("home/logs")).unwrap().map(|entry| entry.unwrap().path());
    let log = logs.into_iter().find(|path| path.is_dir()).unwrap();
    let young = [
        sandbox.path("home/.isn-tmp-trust.toml-0123456789abcdef"),
        sandbox.path("reg/objects/.isn-tmp-0123456789abcdef"),
        log.join(".isn-tmp-0123456789abcdef"),
    ];
    for path in &young {
        fs::write(path, "half").unwrap();
    }
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let (add, yank) = (
        ["trust", "add", "elsewhere", key.trim()],
        ["yank", "grads@1.0", "--reason", "wrong", "--registry", "reg", "--key", "me"],
    );
    for args in [&add[..], &yank] {
        ran(without_locks(&sandbox, &shim, args)).ok();
    }
    for path in &young {
        assert!(path.exists(), "{} was swept away", path.display());
    }
    // With file locks nobody else can be writing, so the files were left by a killed run.
    let add = ["trust", "add", "further", key.trim()];
    let withdraw = ["withdraw", "grads@1.0", "--reason", "wrong", "--registry", "reg", "--key", "me"];
    for args in [&add[..], &withdraw] {
        sandbox.isn(args).ok();
    }
    for path in &young {
        assert!(!path.exists(), "{} is still there", path.display());
    }
}

#[test]
fn many_who_trust_at_once_all_end_well() {
    let sandbox = Sandbox::built();
    let Some(shim) = shim(&sandbox) else { return };
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let places: Vec<String> = (0..12).map(|number| format!("place{number}")).collect();
    let children: Vec<Child> = places
        .iter()
        .map(|place| {
            let mut command = without_locks(&sandbox, &shim, &["trust", "add", place, key.trim()]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        ended(child).ok();
    }
    sandbox.isn(&["trust", "list"]).ok();
}

#[test]
fn doctor_says_that_there_are_no_locks() {
    let sandbox = Sandbox::new();
    let Some(shim) = shim(&sandbox) else { return };
    let ran = ran(without_locks(&sandbox, &shim, &["doctor"])).ok();
    assert!(ran.stdout.contains("note   home: ") && ran.stdout.contains("no file locks"), "{}", ran.stdout);
    assert!(ran.stdout.contains("one isn at a time"), "{}", ran.stdout);
    let ran = sandbox.isn(&["doctor"]).ok();
    assert!(!ran.stdout.contains("no file locks"), "{}", ran.stdout);
}
