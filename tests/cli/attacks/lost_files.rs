//! A registry's folder that has lost `registry.json`, or has files that no registry has, is still told for
//! what it is.

use std::fs;

use isn_registry::registry::layout;

use crate::forger::Forger;
use crate::sandbox::{Sandbox, contents};
use crate::server::Server;

/// What is left of a registry tells that it is one, and its other files are checked.
#[test]
fn a_registry_without_its_registry_json_is_one() {
    let forger = Forger::new();
    fs::remove_file(forger.path("reg/registry.json")).unwrap();
    let verbs = [&["verify", "reg", "--json"][..], &["registry", "check", "reg", "--json"]];
    let faults = |user, args: &[&str]| {
        let json = forger.as_user(user, args).fails(3, "registry.json").json();
        assert_eq!(json["kind"], "registry");
        json["faults"].as_array().unwrap().clone()
    };
    for args in verbs {
        for user in ["nobody", "home", "reader"] {
            let faults = faults(user, args);
            assert_eq!(faults.len(), 1, "{user}: {faults:?}");
            assert_eq!(
                (&faults[0]["path"], &faults[0]["kind"]),
                (&"registry.json".into(), &"missing".into())
            );
        }
        let ran = forger.as_user("nobody", &args[..args.len() - 1]).fails(3, "missing: registry.json");
        assert!(!ran.stdout.contains("it is a"), "{}", ran.stdout);
    }
    // It hides no other fault: in an object, and, from those who trust the log, in the log.
    let shard = forger.objects("reg", "zst").remove(0);
    let (tile, bytes) = forger.hash_tile();
    for file in [&shard, &tile] {
        let mut bytes = forger.bytes(file);
        bytes.push(0);
        forger.write(file, &bytes);
    }
    for user in ["nobody", "home", "reader"] {
        let faults = format!("{:?}", faults(user, verbs[0]));
        assert!(faults.contains(shard.trim_start_matches("reg/")), "{user}: {faults}");
        assert_eq!(faults.contains("log/"), user == "reader", "{user}: {faults}");
    }
    forger.write(&tile, &bytes);
    // Each of the parts tells, alone.
    for kept in [&["log"][..], &["releases"], &["objects", "packs", "releases"]] {
        let _ = fs::remove_dir_all(forger.path("part"));
        for folder in kept {
            forger.copy(&format!("reg/{folder}"), &format!("part/{folder}"));
        }
        forger.as_user("nobody", &["verify", "part"]).fails(3, "missing: registry.json");
    }
}

/// Whoever needs the file says that it is missing, and where the other faults are listed.
#[test]
fn a_registry_without_its_registry_json_is_named_by_every_verb() {
    let forger = Forger::new();
    forger.copy("reg", "other");
    fs::remove_file(forger.path("reg/registry.json")).unwrap();
    let says = |user: &str, args: &[&str], code| {
        let ran = forger.as_user(user, args).fails(code, "registry.json");
        for words in ["reg is a registry that has lost its registry.json", "isn verify reg", "estore"] {
            assert!(ran.stderr.contains(words), "{args:?}: expected '{words}' in {}", ran.stderr);
        }
        for misled in ["is not a registry", "check the address", "makes a registry", "mounted"] {
            assert!(!ran.stderr.contains(misled), "{args:?}: {}", ran.stderr);
        }
    };
    for args in [
        &["pull", "grads@1.0", "--registry", "reg", "--to", "tree"][..],
        &["list", "--registry", "reg"],
        &["log", "show", "--registry", "reg"],
        &["mirror", "reg", "copy"],
    ] {
        for user in ["nobody", "home", "reader"] {
            says(user, args, 6);
        }
    }
    for args in [
        &["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"][..],
        &["publish", "out2", "--registry", "reg", "--key", "me"],
        &["registry", "init", "reg"],
        &["mirror", "other", "reg"],
    ] {
        says("home", args, 6);
    }
    #[cfg(feature = "serve")]
    {
        let ran = forger.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]);
        ran.fails(3, "reg/registry.json is missing").fails(3, "`isn verify DIR` lists the faults");
    }
    assert!(!forger.path("reg/registry.json").exists() && !forger.path("copy").exists());
}

/// A build, an image folder and a folder of logs are no registries.
#[test]
fn what_only_resembles_a_registry_is_none() {
    let sandbox = Sandbox::built();
    assert_eq!(sandbox.isn(&["verify", "out", "--json"]).ok().json()["kind"], "build");
    fs::remove_file(sandbox.path("out/manifest.json")).unwrap();
    sandbox.isn(&["verify", "out"]).fails(1, "is neither a tree");
    for file in ["photos/log/1.png", "photos/releases/2.png"] {
        sandbox.write(file, &sandbox.read("raw/ant/ant_0.png"));
    }
    sandbox.isn(&["verify", "photos"]).fails(1, "is neither a tree");
    sandbox.isn(&["audit", "duplicates", "photos"]).fails(8, "1 group exact");
}

/// Every verb that reads a registry says that a `registry.json` is damaged, and none that it lacks something
/// else.
#[test]
fn a_damaged_registry_json_is_named_by_every_verb() {
    let forger = Forger::new();
    forger.copy("reg", "other");
    forger.write("reg/registry.json", b"garbage\n");
    let server = Server::new(&forger.path("reg"));
    for place in ["reg", &server.url] {
        let readers: [&[&str]; 14] = [
            &["pull", "grads", "--to", "new"],
            &["pull", "grads@1.0", "--to", "new"],
            &["fetch", "grads"],
            &["info", "grads"],
            &["images", "grads"],
            &["export", "grads", "--as", "webdataset", "--to", "new"],
            &["verify-source", "grads", "--source", "raw"],
            &["audit", "balance", "grads"],
            &["list"],
            &["log", "show"],
            &["log", "verify"],
            &["log", "watch"],
            &["prove", "grads", "--out", "new"],
            &["owner", "show", "grads"],
        ];
        let with_place = readers.map(|args| [args, &["--registry", place]].concat());
        let others = [vec!["mirror", place, "new"], vec!["registry", "check", place]];
        for args in with_place.iter().chain(&others) {
            let ran = forger.as_user("nobody", args);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert_eq!(ran.code, 3, "{args:?}: {said}");
            assert!(said.contains("registry.json is not the JSON of a registry"), "{args:?}: {said}");
            assert!(!forger.path("new").exists(), "{args:?}");
        }
    }
    for args in [
        &["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"][..],
        &["publish", "out2", "--registry", "reg", "--key", "me"],
        &["registry", "init", "reg"],
        &["registry", "rotate-key", "reg"],
        &["verify", "reg"],
        &["mirror", "other", "reg"],
    ] {
        let ran = forger.isn(args).fails(3, "");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("registry.json is not the JSON of a registry"), "{args:?}: {said}");
    }
}

/// What a newer isn writes need not have the fields of today.
#[test]
fn a_registry_json_of_a_newer_format_is_not_damaged() {
    let forger = Forger::new();
    for about in [r#"{"format":"isn-registry/9"}"#, r#"{"format":"isn-registry/9","log_key":7,"x":[]}"#] {
        forger.write("reg/registry.json", about.as_bytes());
        let why = "registry.json has format 'isn-registry/9', this isn reads isn-registry/1: a newer isn may";
        for args in [
            &["list", "--registry", "reg"][..],
            &["log", "verify", "--registry", "reg"],
            &["info", "grads", "--registry", "reg"],
            &["mirror", "reg", "new"],
            &["publish", "out2", "--registry", "reg", "--key", "me"],
        ] {
            let ran = forger.as_user(if args[0] == "publish" { "home" } else { "nobody" }, args);
            ran.fails(1, why);
        }
    }
    for about in ["{}", r#"{"format":7}"#, r#"{"format":"isn-registry/1"}"#, "[]"] {
        forger.write("reg/registry.json", about.as_bytes());
        let ran = forger.as_user("nobody", &["list", "--registry", "reg"]);
        ran.fails(3, "registry.json is not the JSON of a registry");
    }
}

/// A damaged `registry.json` is damage, to an operator too.
#[test]
#[cfg(feature = "serve")]
fn a_damaged_registry_json_has_one_exit_code() {
    let forger = Forger::new();
    let about = String::from_utf8(forger.bytes("reg/registry.json")).unwrap();
    let checkpoint = forger.bytes("reg/log/checkpoint");
    let serve = ["serve", "reg", "--listen", "127.0.0.1:0"];
    for (path, bytes) in [
        ("registry.json", &b"junk"[..]),
        ("registry.json", b""),
        ("registry.json", b"<html>"),
        ("log/checkpoint", b"junk"),
        ("log/checkpoint", b""),
    ] {
        forger.write(&format!("reg/{path}"), bytes);
        for args in [&serve[..], &["verify", "reg"], &["registry", "check", "reg"]] {
            forger.as_user("home", args).fails(3, path);
        }
        let ran = forger.isn(&serve).fails(3, "");
        assert!(ran.stderr.contains("`isn verify DIR` lists the faults"), "{}", ran.stderr);
        forger.write("reg/registry.json", about.as_bytes());
        forger.write("reg/log/checkpoint", &checkpoint);
    }
    // What a newer isn may read is not damaged.
    forger.write("reg/registry.json", about.replace("isn-registry/1", "isn-registry/9").as_bytes());
    forger.isn(&serve).fails(1, "a newer isn may");
}

/// A file in a folder of isn's that is none of a registry's is one too many.
#[test]
fn strays_in_the_folders_of_a_registry() {
    let forger = Forger::new();
    let pin = layout::pin(&forger.release_of("out", "1.0").dataset);
    let strays = [
        "packs/notes.txt".to_owned(),
        "packs/.DS_Store".into(),
        format!("{pin}.bak"),
        "pins/deep/er".into(),
        "log/notes.txt".into(),
        "log/checkpoint~".into(),
        "log/tile/0/junk".into(),
        "log/tile/entries/000.p/0".into(),
        "releases/notes.txt".into(),
        "releases/grads/notes.txt".into(),
        "releases/grads/deep/er".into(),
        "releases/Grads/1.0".into(),
    ];
    for path in &strays {
        forger.write(&format!("reg/{path}"), b"stray");
    }
    for args in [&["verify", "reg", "--json"][..], &["registry", "check", "reg", "--json"]] {
        let json = forger.as_user("nobody", args).fails(3, "").json();
        let faults = json["faults"].as_array().unwrap();
        let found = faults.iter().map(|fault| (fault["kind"].as_str(), fault["path"].as_str().unwrap()));
        let mut expected: Vec<_> = strays.iter().map(|path| (Some("extra"), path.as_str())).collect();
        expected.sort_unstable();
        assert_eq!(found.collect::<Vec<_>>(), expected, "{json}");
    }
}

/// A file that has the name of one of a registry's and that no release and no entry leads to is one too many,
/// too; the lists promise nothing that is absent.
#[test]
fn strays_with_the_names_of_a_registrys_files() {
    let forger = Forger::with_two_versions();
    let hex = "ab".repeat(32);
    let names = String::from_utf8(forger.bytes("reg/releases/names")).unwrap();
    let pin = |text: &str| (format!("pins/{hex}"), text.as_bytes().to_vec());
    let packs = |text: &str| (format!("packs/{hex}"), text.as_bytes().to_vec());
    let strays = [
        (pin("evil 1.0\n"), "extra", "leads to evil@1.0"),
        (pin("grads 1.0\n"), "extra", "leads to grads@1.0"),
        (pin("grads 9.0\n"), "extra", "leads to grads@9.0"),
        (pin("\u{1b}[2J"), "invalid", "is not a name and a version"),
        (pin(""), "invalid", "is not a name and a version"),
        (packs("garbage\n"), "invalid", ""),
        (packs("\u{1b}[2J\n"), "invalid", ""),
        (packs(""), "extra", "is of a manifest that is not here"),
        (packs(&format!("{hex}\n")), "extra", "is of a manifest that is not here"),
        (("releases/evil/versions".into(), b"".to_vec()), "extra", "that releases/names does not list"),
        (("log/tile/3/x001/002".into(), b"x".to_vec()), "extra", "is beyond the log"),
        (("log/tile/0/000".into(), vec![0; 8192]), "extra", "is beyond the log"),
        (("log/tile/0/005".into(), vec![0; 8192]), "extra", "is beyond the log"),
        (("log/tile/1/000.p/1".into(), vec![0; 32]), "extra", "is beyond the log"),
        (("log/tile/0/000.p/9".into(), vec![0; 288]), "extra", "is beyond the log"),
        (("log/tile/63/000".into(), vec![0; 8192]), "extra", "is beyond the log"),
        (("log/tile/entries/000".into(), b"x".to_vec()), "extra", "is beyond the log"),
        (("log/tile/entries/000.p/9".into(), b"x".to_vec()), "extra", "is beyond the log"),
        (("log/tile/entries/009".into(), [0; 512].into()), "extra", "is beyond the log"),
    ];
    let is_found = |path: &str, kind: &str, why: &str| {
        for user in ["nobody", "reader"] {
            let json = forger.as_user(user, &["verify", "reg", "--json"]).fails(3, "").json();
            let faults = json["faults"].as_array().unwrap();
            let is_it = |fault: &serde_json::Value| {
                fault["path"] == path && fault["kind"] == kind && fault["why"].as_str().unwrap().contains(why)
            };
            assert_eq!(faults.len(), 1, "{path}: {json}");
            assert!(faults.iter().all(is_it), "{path} is not {kind} ({why}): {json}");
        }
    };
    for ((path, bytes), kind, why) in &strays {
        forger.write(&format!("reg/{path}"), bytes);
        is_found(path, kind, why);
        fs::remove_file(forger.path(&format!("reg/{path}"))).unwrap();
        forger.as_user("nobody", &["verify", "reg"]).ok();
    }
    // A version that only a list has, of a name that is listed or not.
    forger.write("reg/releases/evil/versions", b"1.0\n");
    let ran = forger.as_user("nobody", &["verify", "reg"]).fails(3, "extra: releases/evil/versions");
    assert!(ran.stdout.contains("missing: releases/evil/1.0"), "{}", ran.stdout);
    forger.write("reg/releases/names", format!("evil\n{names}").as_bytes());
    is_found("releases/evil/1.0", "missing", "releases/evil/versions lists it");
    forger.write("reg/releases/evil/versions", b"");
    is_found("releases/evil/versions", "missing", "releases/names lists the name");
    fs::remove_dir_all(forger.path("reg/releases/evil")).unwrap();
    is_found("releases/evil/versions", "missing", "releases/names lists the name");
    for args in [&["verify", "reg"][..], &["registry", "check", "reg"]] {
        forger.as_user("nobody", args).fails(3, "missing: releases/evil/versions");
    }
    forger.write("reg/releases/names", names.as_bytes());
    // Packs that are not there, of a manifest that is and that nobody released.
    forger.recipe("grads", "1.2", &["ant", "cat"], "");
    forger.isn(&["build", "grads-1.2.toml", "--source", "raw2", "--out", "out3"]).ok();
    forger.copy("out3/objects", "reg/objects");
    forger.as_user("nobody", &["verify", "reg"]).ok();
    let unreleased = forger.release_of("out3", "1.2").manifest;
    let path = layout::packs(&unreleased);
    forger.write(&format!("reg/{path}"), format!("{hex}\n").as_bytes());
    is_found(&path, "extra", &format!("leads to the pack {hex}, which is not here"));
    // As a publisher leaves them that was killed before the log had the release.
    forger.write(&format!("reg/{path}"), &forger.bytes(&format!("out3/{path}")));
    forger.as_user("nobody", &["verify", "reg"]).ok();
}

/// What isn keeps for writers, what a killed one left, and what people put beside a registry is not.
#[test]
fn files_beside_those_of_a_registry_are_no_strays() {
    let forger = Forger::with_two_versions();
    for path in [
        "README.md",
        "index.html",
        "robots.txt",
        "docs/page.html",
        "recipes/birds/README.md",
        "recipes/birds/notes.txt",
        ".isn-staging/me/objects/00",
        ".isn-mirror",
        "log/.isn-claims/.isn-tmp-x",
        "log/.isn-tmp-x",
        "packs/.isn-tmp-x",
        "pins/.isn-tmp-x",
        "releases/.isn-tmp-x",
        "releases/grads/.isn-tmp-x",
        "log/tile/0/000.p/.isn-tmp-x",
        "objects/00/.isn-tmp-x",
    ] {
        forger.write(&format!("reg/{path}"), b"beside");
    }
    // Bundles and tiles that are wider than the tree are of a writer that was stopped.
    let ((tile, hashes), bundle) = (forger.hash_tile(), forger.bundle());
    let wider = |path: &str, bytes: Vec<u8>| {
        let (folder, width) = path.rsplit_once('/').unwrap();
        let width = 2 * width.parse::<u64>().unwrap();
        forger.write(&format!("{folder}/{width}"), &bytes.repeat(2));
    };
    wider(&bundle, forger.bytes(&bundle));
    wider(&tile, hashes);
    forger.as_user("nobody", &["verify", "reg"]).ok();
    // And after each kind of write.
    for args in [
        &["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"][..],
        &["withdraw", "grads@1.1", "--reason", "why", "--registry", "reg", "--key", "me"],
        &["owner", "threshold", "grads", "1", "--registry", "reg", "--key", "me"],
        &["registry", "rotate-key", "reg"],
    ] {
        forger.isn(args);
        forger.as_user("nobody", &["verify", "reg"]).ok();
    }
    forger.isn(&["mirror", "reg", "copy"]).ok();
    forger.as_user("nobody", &["verify", "copy"]).ok();
    assert!(contents(&forger.path("copy")).len() > 10);
}
