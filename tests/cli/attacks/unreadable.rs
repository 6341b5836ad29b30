//! Objects of a registry in a folder that exist but cannot be read: another registry may have them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use isn_format::digest::Digest;

use super::run;
use crate::forger::Forger;
use crate::sandbox::{Ran, contents, has_tool, ran};

/// What may stand in the place of a file.
const KINDS: [&str; 4] = ["a folder", "a pipe", "a link to itself", "a link to a folder"];

/// Puts it there.
fn put(forger: &Forger, kind: &str, name: &str) {
    let path = forger.path(name);
    fs::remove_file(&path).unwrap();
    match kind {
        "a folder" => fs::create_dir(&path).unwrap(),
        "a pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
        "a link to itself" => symlink(path.file_name().unwrap(), &path).unwrap(),
        _ => symlink(".", &path).unwrap(),
    }
}

/// Runs a command without the cache and the output of an earlier one.
fn run_afresh(forger: &Forger, registries: &str, args: &[&str]) -> Ran {
    let _ = fs::remove_dir_all(forger.path("reader/cache"));
    let _ = fs::remove_dir_all(forger.path("new"));
    run(forger, registries, args)
}

#[test]
fn an_object_that_cannot_be_read_is_asked_for_elsewhere() {
    let forger = Forger::new();
    forger.reader(&["trust", "add", "broken", &forger.anchor("reg").to_string()]).ok();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    let list = format!("packs/{}", Digest::of(&forger.bytes("out/manifest.json")));
    forger.copy("reg", "broken");
    let mut objects: Vec<String> = contents(&forger.path("out/objects"))
        .into_iter()
        .map(|(name, _)| format!("objects/{name}"))
        .filter(|name| forger.path(&format!("reg/{name}")).exists())
        .collect();
    objects.push(list);
    assert!(objects.len() >= 6, "{objects:?}");
    for (number, object) in objects.iter().enumerate() {
        // Testing each kind with each verb would take too long, and all objects share the code that turns a
        // file into an error.
        for kind in KINDS.iter().cycle().skip(number).take(2) {
            forger.copy("reg", "broken");
            put(&forger, kind, &format!("broken/{object}"));
            let verbs: [&[&str]; 5] = [
                &["pull", &pin, "--to", "new"],
                &["pull", "grads@1.0", "--no-cache", "--to", "new"],
                &["fetch", &pin],
                &["export", &pin, "--as", "webdataset", "--to", "new"],
                &["audit", "duplicates", "grads@1.0"],
            ];
            for verb in verbs {
                let ran = run_afresh(&forger, "broken,reg", verb);
                assert!([0, 8].contains(&ran.code), "{object}, {kind}: {verb:?}: {}", ran.stderr);
            }
            // With no other registry, the message names the file, as it names a server that does not answer.
            let ran = run_afresh(&forger, "broken", verbs[0]);
            assert!([0, 5].contains(&ran.code), "{object}, {kind}: {}", ran.stderr);
            assert!(ran.code == 0 || ran.stderr.contains(&format!("broken/{object}")), "{}", ran.stderr);
            fs::remove_file(forger.path(&format!("broken/{object}")))
                .or_else(|_| fs::remove_dir(forger.path(&format!("broken/{object}"))))
                .unwrap();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_shard_that_a_disk_cannot_read_is_read_elsewhere() {
    if !has_tool("strace") {
        return;
    }
    let forger = Forger::new();
    forger.reader(&["trust", "add", "broken", &forger.anchor("reg").to_string()]).ok();
    forger.copy("reg", "broken");
    let objects = contents(&forger.path("broken/objects"));
    let shards: Vec<String> =
        objects.into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".tar.zst")).collect();
    let export = |list: &str| {
        let isn = forger.command(&["export", "grads@1.0", "--as", "webdataset", "--to", "new"]);
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "inject=read,pread64:error=EIO"]);
        for shard in &shards {
            command.arg("-P").arg(forger.path(&format!("broken/objects/{shard}")));
        }
        command.arg(isn.get_program()).args(isn.get_args()).current_dir(forger.path(""));
        command.envs(isn.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("ISN_HOME", forger.path("reader")).env("ISN_REGISTRY", list);
        ran(&mut command)
    };
    let said = export("broken,reg").ok().stderr;
    assert!(said.contains("broken was passed over"), "{said}");
    fs::remove_dir_all(forger.path("new")).unwrap();
    let _ = fs::remove_dir_all(forger.path("reader/cache"));
    export("broken").fails(5, "cannot be read");
}

#[test]
fn a_log_that_cannot_be_read_is_read_at_its_next_registry() {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    forger.reader(&["trust", "add", "broken", &forger.anchor("reg").to_string()]).ok();
    forger.copy("reg", "broken");
    forger.isn(&["yank", "grads@1.0", "--reason", "badimages", "--key", "me", "--registry", "reg"]).ok();
    for kind in KINDS {
        forger.copy("reg/log", "broken/log");
        put(&forger, kind, "broken/log/checkpoint");
        for verb in [&["pull", &pin, "--to", "new"][..], &["info", &pin]] {
            let said = run_afresh(&forger, "broken,reg", verb).ok();
            assert!(
                format!("{}{}", said.stdout, said.stderr).contains("badimages"),
                "{kind}: {verb:?}: {}",
                said.stderr
            );
        }
        // With no other registry, the pin counts without the log, and a name is looked up in none.
        run_afresh(&forger, "broken", &["info", &pin]).ok();
        for verb in [&["pull", "grads@1.0", "--to", "new"][..], &["info", "grads"], &["log", "verify"]] {
            run_afresh(&forger, "broken", verb).fails(5, "broken/log/checkpoint ");
        }
        let checkpoint = forger.path("broken/log/checkpoint");
        fs::remove_file(&checkpoint).or_else(|_| fs::remove_dir(&checkpoint)).unwrap();
    }
}

#[test]
fn a_registry_that_cannot_be_read_is_not_one_to_be_made() {
    let forger = Forger::new();
    forger.copy("reg", "broken");
    for kind in KINDS {
        forger.copy("reg", "broken");
        put(&forger, kind, "broken/registry.json");
        let verbs: [&[&str]; 5] = [
            &["list"],
            &["pull", "grads@1.0", "--to", "new"],
            &["log", "show"],
            &["owner", "show", "grads"],
            &["mirror", "broken", "copy"],
        ];
        for verb in verbs {
            let said = run_afresh(&forger, "broken", verb).fails(5, "registry.json");
            assert!(!said.stderr.contains("makes one"), "{kind}: {verb:?}: {}", said.stderr);
        }
        let about = forger.path("broken/registry.json");
        fs::remove_file(&about).or_else(|_| fs::remove_dir(&about)).unwrap();
    }
}
