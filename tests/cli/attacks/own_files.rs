//! The user's own files that decide whom isn trusts: isn refuses files that others may write to, and does not
//! blame a registry for what is wrong with them.

use crate::forger::Forger;

/// Checks that the message suggests neither a registry's operator nor a pin, as neither helps.
#[track_caller]
fn is_own(stderr: &str, file: &str) {
    assert!(stderr.contains(file), "{stderr}");
    assert!(!stderr.contains("operator") && !stderr.contains("pull by a pin"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn file_that_others_may_write_to() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let forger = Forger::new();
    forger.write("reader/config.toml", b"timeout = 30\n");
    let verbs: [&[&str]; 5] = [
        &["info", "grads", "--registry", "reg"],
        &["pull", "grads", "--registry", "reg", "--to", "tree"],
        &["trust", "list"],
        &[
            "trust",
            "add",
            "reg",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti",
        ],
        &["list", "--registry", "reg"],
    ];
    for file in ["reader/trust.toml", "reader/config.toml"] {
        let path = forger.path(file);
        let before = forger.bytes(file);
        for mode in [0o666, 0o606, 0o660, 0o622] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for args in verbs {
                // Commands that do not read a file ignore its permissions.
                let reads = match args[0] {
                    "list" => file.ends_with("config.toml"),
                    "trust" => file.ends_with("trust.toml"),
                    _ => true,
                };
                if reads {
                    let ran = forger.reader(args).fails(4, "may be changed by others");
                    is_own(&ran.stderr, file);
                    assert!(ran.stderr.contains(&format!("chmod go-w {}", path.display())), "{}", ran.stderr);
                }
            }
            assert_eq!(before, forger.bytes(file));
            assert!(!forger.path("tree").exists());
        }
        for mode in [0o600, 0o644] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            forger.reader(verbs[0]).ok();
        }
    }
    // Anybody who may write to the folder can replace the file.
    let home = forger.path("reader");
    for (mode, is_safe) in [(0o777, false), (0o702, false), (0o1777, true), (0o775, true), (0o700, true)] {
        set_permissions(&home, Permissions::from_mode(mode)).unwrap();
        let ran = forger.reader(verbs[0]);
        match is_safe {
            true => drop(ran.ok()),
            false => is_own(&ran.fails(4, "lies in a folder that everybody may change").stderr, "reader"),
        }
    }
    // The same goes for the folder of a link's target, and for each link on the way.
    std::fs::create_dir_all(forger.path("open")).unwrap();
    std::fs::create_dir_all(forger.path("shut")).unwrap();
    std::fs::rename(forger.path("reader/trust.toml"), forger.path("shut/trust.toml")).unwrap();
    std::os::unix::fs::symlink(forger.path("shut/trust.toml"), forger.path("open/link.toml")).unwrap();
    std::os::unix::fs::symlink("../open/link.toml", forger.path("reader/trust.toml")).unwrap();
    for (folder, mode, is_safe) in
        [("open", 0o777, false), ("open", 0o755, true), ("shut", 0o777, false), ("shut", 0o1777, true)]
    {
        set_permissions(forger.path(folder), Permissions::from_mode(mode)).unwrap();
        let ran = forger.reader(verbs[0]);
        match is_safe {
            true => drop(ran.ok()),
            false => {
                let ran = ran.fails(4, "lies in a folder that everybody may change");
                let command = ran.stderr.lines().find(|line| line.contains("chmod o-w")).unwrap();
                assert!(command.contains(folder), "{}", ran.stderr);
            }
        }
    }
}

#[test]
fn damage_is_not_the_keepers_of_a_registry() {
    let forger = Forger::new();
    forger.read("grads@1.0").ok();
    let trust = String::from_utf8(forger.bytes("reader/trust.toml")).unwrap();
    let bad = [
        trust.replace("isn-trust/1", "isn-trust/9").into_bytes(),
        trust.replace("log =", "lock =").into_bytes(),
        trust.as_bytes()[..trust.len() - 9].to_vec(),
        b"\xff\xfe".to_vec(),
    ];
    for bytes in bad {
        forger.write("reader/trust.toml", &bytes);
        let ran = forger.read("grads@1.0").fails(4, "this file is your own");
        is_own(&ran.stderr, "reader/trust.toml");
        assert!(ran.stderr.contains("isn trust add"), "{}", ran.stderr);
    }
    forger.write("reader/trust.toml", trust.as_bytes());
    let log = forger.logs("reader").log(&forger.anchor("reg")).key_path();
    let checkpoint = log.parent().unwrap().join("checkpoint");
    let good = std::fs::read(&checkpoint).unwrap();
    for bytes in [b"".to_vec(), b"noise".to_vec(), vec![b'x'; 70_000]] {
        std::fs::write(&checkpoint, bytes).unwrap();
        let ran = forger.read("grads@1.0").fails(4, "this is your own record");
        is_own(&ran.stderr, "/checkpoint");
    }
    // A user who removed the link as foreign would make isn forget the log.
    #[cfg(unix)]
    for target in ["nowhere", "reader/elsewhere"] {
        forger.write("reader/elsewhere", &good);
        std::fs::remove_file(&checkpoint).unwrap();
        std::os::unix::fs::symlink(forger.path(target), &checkpoint).unwrap();
        let ran = forger.read("grads@1.0").fails(4, "this is your own record");
        is_own(&ran.stderr, "/checkpoint");
        assert!(ran.stderr.contains("is a link") && !ran.stderr.contains("remove it"), "{}", ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_no_absent_file() {
    let (sandbox, pin) = crate::sandbox::Sandbox::published();
    for name in ["trust.toml", "config.toml", "tokens.toml"] {
        let path = sandbox.path("home").join(name);
        let _ = std::fs::rename(&path, sandbox.path("kept"));
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        let ran = sandbox.isn(&["info", &pin, "--registry", "reg"]);
        assert!(
            ran.code != 0 && ran.stderr.contains("is a link that leads nowhere"),
            "{name}: {}",
            ran.stderr
        );
        std::fs::remove_file(&path).unwrap();
        let _ = std::fs::rename(sandbox.path("kept"), &path);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_in_the_place_of_an_own_file_is_told() {
    let (sandbox, pin) = crate::sandbox::Sandbox::published();
    for name in ["trust.toml", "config.toml", "tokens.toml"] {
        let path = sandbox.path("home").join(name);
        let _ = std::fs::rename(&path, sandbox.path("kept"));
        std::fs::create_dir(&path).unwrap();
        let ran = sandbox.isn(&["info", &pin, "--registry", "reg"]).fails(1, name);
        assert!(ran.stderr.contains("is a folder"), "{name}: {}", ran.stderr);
        std::fs::remove_dir(&path).unwrap();
        let _ = std::fs::rename(sandbox.path("kept"), &path);
    }
}

/// Anybody who may read a file can hold its file lock for as long as they like, so isn reports each wait.
#[test]
fn a_lock_that_another_holds_is_said() {
    let sandbox = crate::sandbox::Sandbox::built();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    let add = ["ledger", "add", "l.csv", "a", "keep", "--reason", "correct", "--reviewer", "me"];
    sandbox.isn(&add).ok();
    sandbox.trust_me("reg");
    let publish = ["publish", "out", "--registry", "reg", "--key", "me"];
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "tree", "--lock"];
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let trust = ["trust", "add", "elsewhere", key.trim()];
    for (lock, args) in [
        ("reg/.isn-lock", &publish[..]),
        (".isn.lock.isn-lock", &pull),
        ("l.csv", &add),
        ("home/trust.lock", &trust),
    ] {
        let mut open = std::fs::File::options();
        let held = open.write(true).create(true).truncate(false).open(sandbox.path(lock)).unwrap();
        held.lock().unwrap();
        let mut waiting = sandbox.command(args).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let (said, heard) = std::sync::mpsc::channel();
        let stderr = std::io::BufReader::new(waiting.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            std::io::BufRead::lines(stderr).for_each(|line| said.send(line.unwrap()).unwrap());
        });
        let mut lines = Vec::new();
        let patience = std::time::Duration::from_secs(20);
        let is_waiting = |line: &String| line.contains("waiting for the file lock") && line.contains(lock);
        while !lines.iter().any(is_waiting) {
            let Ok(line) = heard.recv_timeout(patience) else { break };
            lines.push(line);
        }
        held.unlock().unwrap();
        assert!(waiting.wait().unwrap().success(), "{lock}");
        reader.join().unwrap();
        lines.extend(heard);
        assert_eq!(lines.iter().filter(|line| is_waiting(line)).count(), 1, "{lock}: {lines:?}");
    }
    // Nothing is said about a lock that is free.
    let ran = sandbox.isn(&publish).ok();
    assert!(!ran.stderr.contains("waiting"), "{}", ran.stderr);
}
