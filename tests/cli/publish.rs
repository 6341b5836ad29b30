use std::fs;

use crate::sandbox::{Sandbox, contents, gradient, hash_of, noise};

const PUBLISH: [&str; 6] = ["publish", "out", "--registry", "reg", "--key", "me"];

fn json(args: &[&str]) -> Vec<&'static str> {
    let args: Vec<String> = args.iter().map(|arg| arg.to_string()).chain(["--json".into()]).collect();
    args.into_iter().map(|arg| &*arg.leak()).collect()
}

#[test]
fn an_absent_or_empty_folder_becomes_a_registry_and_a_foreign_one_is_left_alone() {
    let sandbox = Sandbox::built();
    let report = sandbox.isn(&json(&PUBLISH)).ok().json();
    assert_eq!(report["new_registry"], true);
    assert_eq!(report["new_objects"], report["objects"]);
    assert_eq!(sandbox.read("reg/releases/names"), b"grads\n");
    assert_eq!(sandbox.read("reg/releases/grads/versions"), b"1.0\n");
    let pin = report["pin"].as_str().unwrap().to_string();
    let dataset = hash_of(&pin).trim_start_matches("b3:");
    assert_eq!(sandbox.read(&format!("reg/pins/{dataset}")), b"grads 1.0\n");
    sandbox.isn(&["verify", "reg"]).ok();

    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.isn(&["publish", "out", "--registry", "empty", "--key", "me"]).ok();
    sandbox.isn(&["registry", "init", "made"]).ok();
    sandbox.isn(&["publish", "out", "--registry", "made", "--key", "me"]).ok();
    // Ignores the log's key and what it signs, which differ between registries.
    let but_log_key = |registry: &str| {
        let mut files = contents(&sandbox.path(registry));
        let is_signed = |name: &str| name == "log/checkpoint" || name.starts_with("log/.isn-claims/");
        files.retain(|(name, _)| name != "registry.json" && !is_signed(name));
        files
    };
    for other in ["empty", "made"] {
        assert!(but_log_key("reg") == but_log_key(other), "{other}");
    }

    sandbox.write("mine/thesis.txt", b"all of it");
    for more in [&[][..], &["--dry-run"]] {
        let args = [&["publish", "out", "--registry", "mine", "--key", "me"], more].concat();
        sandbox.isn(&args).fails(1, "mine already exists and is neither empty nor a registry");
        assert_eq!(contents(&sandbox.path("mine")), [("thesis.txt".to_string(), b"all of it".to_vec())]);
    }
    sandbox.isn(&["registry", "init", "mine"]).fails(1, "neither empty nor a registry");
}

#[test]
fn the_same_again_changes_nothing_and_another_build_of_that_name_is_refused() {
    let (sandbox, pin) = Sandbox::published();
    let before = contents(&sandbox.path("reg"));
    let report = sandbox.isn(&json(&PUBLISH)).ok().json();
    assert_eq!(report["already_published"], true);
    assert_eq!(report["new_objects"], 0);
    assert_eq!(before, contents(&sandbox.path("reg")));
    // Signed by another key it is still the same version, released once.
    sandbox.isn(&["key", "new", "you", "--no-passphrase"]).ok();
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "you"]).ok();
    assert_eq!(before, contents(&sandbox.path("reg")));

    gradient(50, 50, 9).save(sandbox.path("raw/cat/cat_more.png")).unwrap();
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "other"]).ok();
    for more in [&[][..], &["--dry-run"]] {
        let args = [&["publish", "other", "--registry", "reg", "--key", "me"], more].concat();
        let ran = sandbox.isn(&args).fails(1, "release grads@1.0 already exists");
        assert!(ran.stderr.contains(hash_of(&pin)), "{}", ran.stderr);
        assert_eq!(before, contents(&sandbox.path("reg")));
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let sandbox = Sandbox::built();
    let dry = sandbox.isn(&json(&[&PUBLISH[..], &["--dry-run"]].concat())).ok().json();
    assert!(!sandbox.path("reg").exists());
    let done = sandbox.isn(&json(&PUBLISH)).ok().json();
    for field in ["pin", "manifest", "objects", "new_objects", "new_bytes", "new_registry"] {
        assert_eq!(dry[field], done[field], "{field}");
    }
    let before = contents(&sandbox.path("reg"));
    let again = sandbox.isn(&json(&[&PUBLISH[..], &["--dry-run"]].concat())).ok().json();
    assert_eq!(again["already_published"], true);
    assert_eq!(before, contents(&sandbox.path("reg")));
}

#[test]
fn a_damaged_build_is_refused_before_anything_is_written() {
    let sandbox = Sandbox::built();
    let files: Vec<String> = contents(&sandbox.path("out")).into_iter().map(|(name, _)| name).collect();
    for name in files.iter().filter(|name| *name != "report.json") {
        let path = format!("out/{name}");
        let whole = sandbox.read(&path);
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        for damaged in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new()] {
            sandbox.write(&path, &damaged);
            let ran = sandbox.isn(&PUBLISH);
            assert!(matches!(ran.code, 1 | 3), "{name}: {} {}", ran.code, ran.stderr);
            assert!(!sandbox.path("reg").exists(), "{name}");
        }
        fs::remove_file(sandbox.path(&path)).unwrap();
        let ran = sandbox.isn(&PUBLISH);
        assert!(matches!(ran.code, 1 | 3 | 6), "{name}: {} {}", ran.code, ran.stderr);
        assert!(!sandbox.path("reg").exists(), "{name}");
        sandbox.write(&path, &whole);
    }
    sandbox.isn(&PUBLISH).ok();
}

#[test]
fn what_is_no_build_and_what_is_no_folder_is_said() {
    let sandbox = Sandbox::built();
    sandbox
        .isn(&["publish", "raw", "--registry", "reg", "--key", "me"])
        .fails(1, "raw is not a build output: it has no manifest.json");
    sandbox
        .isn(&["publish", "out", "--registry", "https://example.org/r", "--key", "me"])
        .fails(1, "no token is set for https://example.org/r");
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "nobody"]).fails(6, "key nobody");
    assert!(!sandbox.path("reg").exists());
}

#[test]
fn a_second_version_is_listed_after_the_first() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    // Versions are ordered by number, not by bytes: 1.10 is newer than 1.9.
    for version in ["1.10", "1.9"] {
        sandbox.recipe("grads", version, &["ant", "bee", "cat"], "");
        let recipe = format!("grads-{version}.toml");
        let out = format!("out-{version}");
        sandbox.isn(&["build", &recipe, "--source", "raw2", "--out", &out]).ok();
        sandbox.publish(&out);
    }
    assert_eq!(sandbox.read("reg/releases/grads/versions"), b"1.0\n1.1\n1.9\n1.10\n");
    let list = sandbox.isn(&["list", "--registry", "reg", "--json"]).ok().json();
    assert_eq!(list["datasets"][0]["versions"], serde_json::json!(["1.0", "1.1", "1.9", "1.10"]));
    let newest = sandbox.isn(&["info", "grads", "--registry", "reg", "--json"]).ok().json();
    assert_eq!(newest["version"], "1.10");
    sandbox.isn(&["verify", "reg"]).ok();
}

/// The shards of `reg`, with their lengths.
fn shards(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let names = sandbox.objects("reg", ".tar.zst");
    names.into_iter().map(|name| (name.clone(), sandbox.read(&name).len() as u64)).collect()
}

#[test]
fn a_later_version_adds_a_shard_of_what_is_new_and_a_relabelled_one_none() {
    let (sandbox, first) = Sandbox::published_large();
    let before = shards(&sandbox);
    let classes = ["ant", "bee", "cat"];
    noise(77).save(sandbox.path("raw/bee/bee_7.png")).unwrap();
    sandbox.large_recipe("1.1", &classes);
    sandbox.isn(&["build", "grads-1.1.toml", "--source", "raw", "--out", "out1"]).ok();
    let dry = ["publish", "out1", "--registry", "reg", "--key", "me", "--dry-run", "--json"];
    let promised = sandbox.isn(&dry).ok().json();
    assert_eq!(shards(&sandbox), before);
    let report = sandbox.isn(&json(&["publish", "out1", "--registry", "reg", "--key", "me"])).ok().json();
    for field in ["objects", "new_objects", "new_bytes"] {
        assert_eq!(promised[field], report[field], "{field}");
    }
    let after = shards(&sandbox);
    let new: Vec<_> = after.iter().filter(|shard| !before.contains(shard)).collect();
    assert!(new.len() == 1 && new[0].1 < 80_000, "one image: {new:?}");

    fs::rename(sandbox.path("raw/ant/ant_1.png"), sandbox.path("raw/cat/ant_1.png")).unwrap();
    sandbox.large_recipe("1.2", &classes);
    sandbox.isn(&["build", "grads-1.2.toml", "--source", "raw", "--out", "out2"]).ok();
    let report = sandbox.isn(&json(&["publish", "out2", "--registry", "reg", "--key", "me"])).ok().json();
    assert!(report["new_bytes"].as_u64().unwrap() < 40_000, "{report}");
    assert_eq!(shards(&sandbox), after);
    let registry = contents(&sandbox.path("reg"));
    for out in ["out1", "out2", "out"] {
        let again = sandbox.isn(&json(&["publish", out, "--registry", "reg", "--key", "me"])).ok().json();
        assert_eq!((&again["already_published"], &again["new_objects"]), (&true.into(), &0.into()), "{out}");
    }
    assert!(contents(&sandbox.path("reg")) == registry, "publishing again changed something");

    sandbox.isn(&["verify", "reg"]).ok();
    for version in ["1.0", "1.1", "1.2"] {
        sandbox.pull(&format!("grads@{version}"), &[]).ok();
        let expect = format!("grads@{version}");
        sandbox.isn(&["verify", &format!("grads-{version}"), "--expect", &expect, "--registry", "reg"]).ok();
    }
    sandbox.isn(&["verify", "grads-1.0", "--expect", &first]).ok();
    // isn does not rely on a missing shard: the next version publishes its images itself.
    sandbox.isn(&["registry", "init", "reg2"]).ok();
    sandbox.isn(&["publish", "out", "--registry", "reg2", "--key", "me"]).ok();
    let gone = before[0].0.replace("reg/", "reg2/");
    fs::remove_file(sandbox.path(&gone)).unwrap();
    sandbox.isn(&["publish", "out1", "--registry", "reg2", "--key", "me"]).ok();
    sandbox
        .isn(&["pull", "grads@1.1", "--registry", "reg2", "--no-cache", "--to", "t"])
        .fails(4, "not trusted");
    let pin = report["pin"].as_str().unwrap();
    assert!(pin.starts_with("grads@1.2#"));
    let pin = promised["pin"].as_str().unwrap();
    sandbox.isn(&["pull", pin, "--registry", "reg2", "--no-cache", "--to", "t"]).ok();
    let leftovers = fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(leftovers.into_iter().all(|name| !name.to_string_lossy().starts_with(".isn-tmp")));
}

#[test]
fn where_a_statement_goes_is_looked_at_before_anything_is_said_in_the_log() {
    let sandbox = Sandbox::built();
    sandbox.write("taken", b"notes");
    for (file, why) in [("taken", "already exists"), ("nowhere/x", "no folder")] {
        let args = ["publish", "out", "--registry", "reg", "--key", "me", "--statement", file];
        sandbox.isn(&args).fails(1, why);
        assert!(!sandbox.path("reg").exists() && !sandbox.path("nowhere").exists());
    }
    let twice = ["publish", "out", "--registry", "reg", "--key", "me", "--key", "me", "--dry-run"];
    sandbox.isn(&twice).fails(1, "given twice");
}

#[test]
fn the_registry_in_the_binary_is_no_destination() {
    let sandbox = Sandbox::built();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    for args in [
        &["publish", "out", "--registry", "bundled", "--key", "me"][..],
        &["mirror", "reg", "bundled"],
        &["mirror", "bundled", "bundled"],
        &["registry", "init", "bundled"],
        &["yank", "demobirds@1.0", "--reason", "none", "--registry", "bundled", "--key", "me"],
    ] {
        let ran = sandbox.isn(args).fails(1, "registry bundled is the one inside isn, which is read-only");
        assert!(ran.stderr.contains("write ./bundled"), "{}", ran.stderr);
        assert!(!sandbox.path("bundled").exists(), "{args:?}");
    }
    sandbox.isn(&["publish", "out", "--registry", "./bundled", "--key", "me"]).ok();
    assert!(sandbox.path("bundled/registry.json").exists());
}

#[test]
fn a_statement_is_not_written_into_the_registry_that_is_made() {
    let sandbox = Sandbox::built();
    for (registry, file) in [("new", "new"), ("new", "./new/"), ("empty", "empty/statement")] {
        fs::create_dir_all(sandbox.path("empty")).unwrap();
        let args = ["publish", "out", "--registry", registry, "--key", "me", "--statement", file];
        sandbox.isn(&args).fails(1, "is in the registry that is to be made");
        assert!(!sandbox.path("new").exists());
    }
    assert!(fs::read_dir(sandbox.path("empty")).unwrap().next().is_none());
}

#[test]
fn a_file_does_not_become_a_registry() {
    let sandbox = Sandbox::new();
    sandbox.write("file", b"mine");
    for args in [
        &["list", "--registry", "file"][..],
        &["log", "verify", "--registry", "file"],
        &["info", "grads", "--registry", "file"],
        &["mirror", "file", "m"],
        #[cfg(feature = "serve")]
        &["serve", "file"],
        #[cfg(unix)]
        &["list", "--registry", "/dev/null"],
    ] {
        let ran = sandbox.isn(args).fails(6, "is not a registry: it is a file, and a registry is a folder");
        assert!(ran.stderr.contains("help: check the path"), "{}", ran.stderr);
    }
}
