//! The user's own files that are links, or that lie beside files with names like isn's own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::sandbox::{Sandbox, ended, ran};

#[test]
fn trust_that_homes_share_by_a_link_loses_no_change() {
    let (sandbox, _) = Sandbox::published();
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    fs::create_dir(sandbox.path("shared")).unwrap();
    sandbox.write("shared/trust.toml", &sandbox.read("home/trust.toml"));
    let homes = ["one", "two"];
    for home in homes {
        fs::create_dir(sandbox.path(home)).unwrap();
        symlink("../shared/trust.toml", sandbox.path(&format!("{home}/trust.toml"))).unwrap();
    }
    for round in 0..20 {
        let children = homes.map(|home| {
            let registry = format!("{home}-{round}");
            let mut command = sandbox.command(&["trust", "add", &registry, key.trim()]);
            command.env("ISN_HOME", sandbox.path(home)).stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        });
        for child in children {
            ended(child).ok();
        }
    }
    let trust = String::from_utf8(sandbox.read("shared/trust.toml")).unwrap();
    for (home, round) in homes.iter().flat_map(|home| (0..20).map(move |round| (home, round))) {
        assert!(trust.contains(&format!("/{home}-{round}\"")), "{home}-{round} is lost");
    }
}

#[test]
fn files_of_the_users_with_names_like_temporary_ones_stay() {
    let (sandbox, _) = Sandbox::published();
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let log = fs::read_dir(sandbox.path("home/logs")).unwrap().map(|entry| entry.unwrap().file_name());
    let log = log.map(|name| name.to_str().unwrap().to_string());
    let log = log.into_iter().find(|name| sandbox.path("home/logs").join(name).is_dir()).unwrap();
    let ends = ["thesis", "a-0123456789abcdef", "0123456789abcdef0", "0123456789ABCDEF"];
    let all = ends.iter().flat_map(|end| {
        let beside = ["isn.lock-", "home/trust.toml-"].map(|path| match path.rsplit_once('/') {
            Some((folder, name)) => format!("{folder}/.isn-tmp-{name}{end}"),
            None => format!(".isn-tmp-{path}{end}"),
        });
        beside.into_iter().chain([format!("home/logs/{log}/.isn-tmp-{end}")])
    });
    let all: Vec<String> = all.collect();
    for file in &all {
        sandbox.write(file, b"mine");
    }
    let left = [".isn-tmp-isn.lock-0123456789abcdef", "home/.isn-tmp-trust.toml-0123456789abcdef"];
    for file in left {
        sandbox.write(file, b"");
    }
    sandbox.isn(&["trust", "add", "elsewhere", key.trim()]).ok();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--lock"]).ok();
    let yank = ["yank", "grads@1.0", "--reason", "wrong", "--registry", "reg", "--key", "me"];
    sandbox.isn(&yank).ok();
    for file in &all {
        assert!(sandbox.path(file).is_file(), "{file} is gone");
    }
    for file in left {
        assert!(!sandbox.path(file).exists(), "{file} was left by a killed isn");
    }
}

#[test]
fn a_project_file_that_leads_nowhere_is_an_error() {
    let (sandbox, _) = Sandbox::published();
    for (name, verbs) in [
        ("isn.toml", &[&["info", "grads@1.0"][..], &["sync"]][..]),
        (
            "isn.lock",
            &[&["sync"], &["sync", "--locked"], &["pull", "grads@1.0", "--registry", "reg", "--lock"]],
        ),
    ] {
        symlink("nowhere", sandbox.path(name)).unwrap();
        for verb in verbs {
            sandbox.isn(verb).fails(1, &format!("{name} is a link that leads nowhere"));
        }
        fs::remove_file(sandbox.path(name)).unwrap();
    }
}

#[test]
fn a_lock_or_trust_in_a_folder_of_anothers_is_said_before_the_work() {
    let (sandbox, _) = Sandbox::published();
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    fs::create_dir(sandbox.path("shut")).unwrap();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--lock", "--to", "first"]).ok();
    fs::rename(sandbox.path("isn.lock"), sandbox.path("shut/isn.lock")).unwrap();
    fs::rename(sandbox.path("home/trust.toml"), sandbox.path("shut/trust.toml")).unwrap();
    symlink("shut/isn.lock", sandbox.path("isn.lock")).unwrap();
    symlink("../shut/trust.toml", sandbox.path("home/trust.toml")).unwrap();
    let given = Command::new("chown").args(["-R", "4321:4321"]).arg(sandbox.path("")).status();
    if !given.is_ok_and(|status| status.success()) {
        return;
    }
    fs::set_permissions(sandbox.path("shut"), fs::Permissions::from_mode(0o555)).unwrap();
    let other = |args: &[&str]| ran(sandbox.command(args).uid(4321).gid(4321));
    // Refused before any request: that registry does not exist.
    let ran = other(&["pull", "grads@1.0", "--registry", "reg", "--lock", "--to", "second"]);
    ran.fails(1, "cannot write").fails(1, "help: ");
    assert!(!sandbox.path("second").exists());
    let ran = other(&["trust", "add", "elsewhere", key.trim()]);
    assert!(!ran.stderr.contains("at path"), "{}", ran.stderr);
    ran.fails(1, "help: ");
    // Restores the permissions, so that the sandbox can be removed.
    fs::set_permissions(sandbox.path("shut"), fs::Permissions::from_mode(0o755)).unwrap();
}
