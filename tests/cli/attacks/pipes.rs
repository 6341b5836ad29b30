//! A pipe in the place of a file that isn reads: isn names it and does not wait for it.

use std::fs;
use std::process::{Command, Stdio};

use crate::forger::Forger;
use crate::sandbox::{Ran, Sandbox, ended};
use crate::server::Server;

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
        (
            "tree/B3SUMS.selected",
            &[
                &["verify", "tree"],
                &pull,
                &["diff", "tree", &pin, "--registry", "reg"],
                &["audit", "all", "tree"],
            ],
        ),
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
            let ran = sandbox.isn(args);
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
    // The file that would record it is checked first.
    assert!(!sandbox.path("other").exists());
}

#[test]
fn no_command_waits_for_a_pipe_in_isns_own_home() {
    let forger = Forger::new();
    forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    forger.isn(&["info", "grads@1.0", "--registry", "reg"]).ok();
    let mut files: Vec<String> = crate::sandbox::contents(&forger.path("home"))
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("cache/"))
        .collect();
    for name in ["config.toml", "tokens.toml", "cache.key", "logs/places.lock"] {
        files.extend((!files.iter().any(|file| file == name)).then(|| name.to_string()));
    }
    let named = |name: &str| files.iter().any(|file| file.ends_with(name));
    assert!(
        ["trust.toml", "places", "checkpoint", "replay", "vkey", "/key"].into_iter().all(named),
        "{files:?}"
    );
    let yank = ["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"];
    for file in &files {
        let path = forger.path("home").join(file);
        let before = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        for args in [
            &["info", "grads@1.0", "--registry", "reg"][..],
            &["log", "show", "--registry", "reg"],
            &["key", "list"],
            &["trust", "list"],
            &yank,
        ] {
            forger.isn(args);
        }
        fs::remove_file(&path).unwrap();
        if let Some(before) = before {
            fs::write(&path, before).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    }
}

#[test]
fn a_pipe_that_an_input_leads_to_is_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &["ant", "bee"], 8);
    let more = "groups = \"groups.csv\"\n\n[corrections]\nfile = \"ledger.csv\"\n";
    sandbox.recipe("grads", "1.0", &["ant", "bee"], more);
    let row = ["ant/ant_1", "keep", "--reason=correct", "--reviewer=Ann"];
    sandbox.isn(&[&["ledger", "add", "ledger.csv"], &row[..]].concat()).ok();
    sandbox.write("claims.csv", b"source_id\nant/ant_0\n");
    sandbox.write("groups.csv", b"source_id,group\nant/ant_0,1\nant/ant_1,1\n");
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];
    let cases: [(&str, &[&[&str]]); 3] = [
        (
            "ledger.csv",
            &[
                &build,
                &["ledger", "check", "grads-1.0.toml", "--source", "raw"],
                // These write to it as well.
                &[&["ledger", "add", "ledger.csv"], &row[..]].concat(),
                &["ledger", "import", "ledger.csv", "claims.csv", "--source=s"],
                #[cfg(feature = "serve")]
                &["review", "raw", "--ledger", "ledger.csv", "--reviewer", "Ann"],
            ],
        ),
        ("groups.csv", &[&build]),
        ("raw/ant/ant_2.png", &[&build, &["source", "check", "raw", "--recipe", "grads-1.0.toml"]]),
    ];
    for (file, commands) in cases {
        let before = sandbox.read(file);
        fs::remove_file(sandbox.path(file)).unwrap();
        assert!(Command::new("mkfifo").arg(sandbox.path(file)).status().unwrap().success());
        for args in commands {
            let ran = sandbox.isn(args);
            let all = format!("{}{}", ran.stdout, ran.stderr);
            let name = file.strip_prefix("raw/").unwrap_or(file);
            assert!(ran.code != 0 && all.contains(name), "{file} {args:?}: {all}");
            let is_said =
                ["is not a file", "is neither a file nor a folder"].iter().any(|why| all.contains(why));
            assert!(is_said, "{file} {args:?}: {all}");
        }
        fs::remove_file(sandbox.path(file)).unwrap();
        sandbox.write(file, &before);
    }
    sandbox.isn(&build).ok();
}

#[test]
fn a_trust_store_of_another_user_is_not_believed() {
    let (sandbox, _) = Sandbox::published();
    sandbox.write("home/config.toml", b"timeout = 30\n");
    let info = ["info", "grads@1.0", "--registry", "reg"];
    for name in ["trust.toml", "config.toml"] {
        let path = sandbox.path("home").join(name);
        if std::os::unix::fs::chown(&path, Some(4321), None).is_err() {
            return; // Only root can give a file away.
        }
        let ran = sandbox.isn(&info).fails(4, "belongs to another user");
        // Only root can change the owner of the file, but any user can replace it with a copy.
        let cure = format!("cp {0} {0}.mine && mv -f {0}.mine {0}", path.display());
        assert!(ran.stderr.contains(&cure), "{}", ran.stderr);
        assert!(Command::new("sh").args(["-c", &cure]).status().unwrap().success());
        sandbox.isn(&info).ok();
    }
}

/// Puts a pipe in the place of each file below `folder`, one at a time, and runs the commands.
fn with_pipes(sandbox: &Sandbox, folder: &str, commands: &[&[&str]], mut check: impl FnMut(&str, &Ran)) {
    for (file, before) in crate::sandbox::contents(&sandbox.path(folder)) {
        let path = sandbox.path(folder).join(&file);
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        for args in commands {
            let ran = sandbox.isn(args);
            assert!(ran.code >= 0, "{file} {args:?}: {}", ran.stderr);
            check(&file, &ran);
            for made in ["tree", "shards"] {
                let _ = fs::remove_dir_all(sandbox.path(made));
            }
        }
        let _ = fs::remove_file(&path);
        fs::write(&path, before).unwrap();
    }
}

#[test]
fn a_pipe_in_a_folder_registry_is_not_waited_for() {
    let (sandbox, pin) = Sandbox::published();
    let commands: [&[&str]; 5] = [
        &["info", "grads@1.0", "--registry", "reg"],
        &["pull", &pin, "--registry", "reg", "--to", "tree"],
        &["export", &pin, "--registry", "reg", "--as", "webdataset", "--to", "shards"],
        &["verify", "reg"],
        &["yank", "grads@9.9", "--registry", "reg", "--key", "me", "--reason", "x"],
    ];
    let mut refused = 0;
    with_pipes(&sandbox, "reg", &commands, |_, ran| {
        refused += u32::from(ran.code != 0);
        // Cached files would hide what the registry lacks.
        let _ = fs::remove_dir_all(sandbox.path("home/cache"));
    });
    assert!(refused > 10, "{refused}");
}

#[test]
fn a_pipe_in_the_cache_is_not_waited_for() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    let url = server.url.clone();
    sandbox.isn(&["fetch", &pin, "--registry", &url]).ok();
    let commands: [&[&str]; 3] = [
        &["pull", &pin, "--registry", &url, "--to", "tree"],
        &["export", &pin, "--registry", &url, "--as", "webdataset", "--to", "shards"],
        &["info", &pin, "--offline"],
    ];
    let mut pieces = 0;
    with_pipes(&sandbox, "home/cache", &commands, |file, _| pieces += u32::from(file.starts_with("pieces/")));
    assert!(pieces > 0);
}

#[test]
fn a_pipe_in_the_cache_is_damage_to_cache_verify() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    let export = ["export", &pin, "--registry", &server.url, "--as", "webdataset", "--to", "shards"];
    sandbox.isn(&export).ok();
    let mut parts = std::collections::BTreeSet::new();
    let mut files: Vec<String> =
        crate::sandbox::contents(&sandbox.path("home/cache")).into_iter().map(|(name, _)| name).collect();
    let hash = isn_format::digest::Digest::of(b"");
    files.extend([format!("sources/{hash}.jsonl"), format!("trees/{hash}"), format!("hints/doubted/{hash}")]);
    for file in files {
        parts.insert(file.split('/').next().unwrap().to_string());
        let path = sandbox.path("home/cache").join(&file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        for args in [&["cache", "info"][..], &["cache", "gc", "--older-than", "100d"]] {
            sandbox.isn(args);
        }
        let ran = sandbox.isn(&["cache", "verify"]);
        assert!(ran.code == 3 && ran.stdout.contains(&file), "{file}: {} {}", ran.stdout, ran.stderr);
        assert!(!path.exists(), "{file}");
        if let Some(before) = before {
            fs::write(&path, before).unwrap();
        }
        sandbox.isn(&["cache", "verify"]).ok();
    }
    assert!(["objects", "pieces", "tables"].iter().all(|part| parts.contains(*part)), "{parts:?}");
}

/// Runs a command with `text` on its stdin.
#[track_caller]
fn with_stdin(mut command: Command, text: &[u8]) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text).unwrap();
    ended(child)
}

#[test]
fn a_pipe_that_the_user_names_is_read() {
    let forger = Forger::new();
    let line = forger.isn(&["key", "show", "me"]).ok().stdout;
    let vkey = forger.anchor("reg").to_string();
    for (registry, key) in [("one", &line), ("two", &vkey)] {
        for verb in ["add", "remove"] {
            with_stdin(forger.command(&["trust", verb, registry, "/dev/stdin"]), key.as_bytes()).ok();
        }
    }
    // A proof and a statement.
    forger.isn(&["prove", "grads@1.0", "--registry", "reg", "--out", "proof"]).ok();
    let verify = ["verify", "--proof", "/dev/stdin", "--log-key", &vkey];
    with_stdin(forger.command(&verify), &forger.bytes("proof")).ok();
    let statement = forger.signed(&forger.yank("1.0"), &["me"]);
    with_stdin(forger.command(&["append", "/dev/stdin", "--registry", "reg"]), &statement).ok();
    // A file that is also written to must be a regular file.
    let sign = ["sign", "/dev/stdin", "--key", "me"];
    with_stdin(forger.command(&sign), &statement).fails(1, "is not a file");
    // Like `--key <(…)` in a shell.
    let key = forger.bytes("home/keys/me");
    let pipe = forger.path("pipe").display().to_string();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let withdraw = |version: &'static str, key| {
        ["withdraw", version, "--registry", "reg", "--reason", "x", "--key", key]
    };
    let writer = std::thread::spawn({
        let (pipe, key) = (pipe.clone(), key.clone());
        move || fs::write(pipe, key).unwrap()
    });
    forger.isn(&withdraw("grads@1.0", &pipe)).ok();
    writer.join().unwrap();
    with_stdin(forger.command(&withdraw("other@1.0", "/dev/stdin")), &key).ok();
}

#[test]
fn a_list_that_leads_nowhere_is_a_list_to_every_verb() {
    let (sandbox, pin) = Sandbox::published();
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "tree"];
    sandbox.isn(&pull).ok();
    std::os::unix::fs::symlink("nowhere", sandbox.path("tree/B3SUMS.selected")).unwrap();
    let diff = ["diff", "tree", &pin, "--registry", "reg"];
    for (args, code) in [(&pull[..], 1), (&diff, 6), (&["audit", "all", "tree"], 6)] {
        sandbox.isn(args).fails(code, "B3SUMS.selected");
    }
    // Here the link itself is the fault that is reported.
    sandbox.isn(&["verify", "tree"]).fails(3, "B3SUMS.selected");
}
