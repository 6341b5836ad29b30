//! Versions fetched from a folder registry, such as one on a removable disk, that later is gone, cannot be
//! read or lacks images.

use std::fs;

use crate::forger::Forger;
use crate::sandbox::{Ran, contents, ran};
use crate::server::Server;

/// What may have become of the folder.
const STATES: [&str; 4] =
    ["it is gone", "it is an empty mount point", "it cannot be read", "its objects cannot be read"];

/// Puts a folder in the place of a file, which even root cannot read.
fn spoil(forger: &Forger, name: &str) {
    fs::remove_file(forger.path(name)).unwrap();
    fs::create_dir(forger.path(name)).unwrap();
}

/// Lets `disk`, which was a copy of `reg`, be in this state.
fn become_so(forger: &Forger, state: &str) {
    let _ = fs::remove_dir_all(forger.path("disk"));
    match state {
        "it is gone" => {}
        "it is an empty mount point" => fs::create_dir(forger.path("disk")).unwrap(),
        state => {
            forger.copy("reg", "disk");
            if state == "it cannot be read" {
                ["registry.json", "log/checkpoint"]
                    .iter()
                    .for_each(|name| spoil(forger, &format!("disk/{name}")));
            }
            for (name, _) in contents(&forger.path("disk/objects")) {
                spoil(forger, &format!("disk/objects/{name}"));
            }
        }
    }
}

fn run(forger: &Forger, args: &[&str], more: &[&str]) -> Ran {
    let _ = fs::remove_dir_all(forger.path("new"));
    let mut command = forger.command(&[args, more].concat());
    command.env("ISN_HOME", forger.path("reader")).env("ISN_REGISTRY", "disk");
    ran(&mut command)
}

#[test]
fn what_was_fetched_from_a_folder_needs_the_folder_no_more() {
    let forger = Forger::new();
    forger.copy("reg", "disk");
    forger.reader(&["trust", "add", "disk", &forger.anchor("reg").to_string()]).ok();
    let pins = ["out", "out-other"].map(|out| {
        let manifest: serde_json::Value =
            serde_json::from_slice(&forger.bytes(&format!("{out}/manifest.json"))).unwrap();
        let name = manifest["name"].as_str().unwrap().to_string();
        format!("{name}@1.0#{}", manifest["dataset"].as_str().unwrap())
    });
    let pin: &str = &pins[0];
    let signed = run(&forger, &["fetch", pin, "--json"], &[]).ok().json()["signed_by"].clone();
    run(&forger, &["pull", pin, "--to", "whole"], &[]).ok();
    let images = |tree: &str| {
        let mut files = contents(&forger.path(tree));
        files.retain(|(name, _)| name != "ISN.json");
        files
    };
    let whole = images("whole");
    fs::remove_dir_all(forger.path("whole")).unwrap();
    for state in STATES {
        become_so(&forger, state);
        for more in [&[][..], &["--offline"]] {
            let what = format!("{state}, {more:?}");
            let pulled = run(&forger, &["pull", pin, "--to", "new", "--json"], more).ok();
            assert_eq!(images("new"), whole, "{what}");
            assert_eq!(pulled.json()["signed_by"], signed, "{what}");
            assert!(pulled.stderr.contains("was passed over"), "{what}: {}", pulled.stderr);
            let verbs: [&[&str]; 4] = [
                &["fetch", pin],
                &["info", pin],
                &["images", pin],
                &["export", pin, "--as", "webdataset", "--to", "new"],
            ];
            for verb in verbs {
                run(&forger, verb, more).ok();
            }
            // What is not in the cache is not found, as before.
            let code = if state.contains("cannot") { 5 } else { 6 };
            assert_eq!(run(&forger, &["info", &pins[1]], more).code, code, "{what}");
            assert_eq!(run(&forger, &["info", "other@1.0"], more).code, code, "{what}");
            // A name needs a log: the present one, or without a network that as last seen.
            let pulled = run(&forger, &["pull", "grads@1.0", "--to", "new"], more);
            if more.is_empty() && state != "its objects cannot be read" {
                assert_eq!(pulled.code, code, "{what}: {}", pulled.stderr);
            } else {
                let said = pulled.ok().stderr;
                let is_said = said.contains("cannot be asked, so the cache was")
                    && said.contains("as it was last seen");
                assert!(is_said || said.contains("disk was passed over"), "{what}: {said}");
            }
        }
        if state == "it is gone" {
            run(&forger, &["info", "grads@1.0", "--max-age", "1h"], &["--offline"])
                .fails(1, "needs a witness");
        }
    }
    // Without the log as last seen, nobody knows what a name means.
    become_so(&forger, STATES[0]);
    // The signers are those that the log of any registry of the list was seen to say, in any order.
    let lists = ["disk,http://127.0.0.1:1", "http://127.0.0.1:1,disk"];
    for list in lists {
        let shown = run(&forger, &["info", pin, "--json", "--registry", list], &["--offline"]).ok();
        assert_eq!(shown.json()["signed_by"], signed, "{list}");
    }
    forger.forget();
    run(&forger, &["info", "grads@1.0"], &["--offline"]).fails(6, "disk");
    let shown = run(&forger, &["info", pin, "--json"], &["--offline"]).ok();
    assert_eq!(shown.json()["signed_by"], serde_json::json!([]));
}

/// What `disk`, a copy of `reg`, may lack.
const LACKS: [&str; 4] = ["nothing", "the shards", "all images, as it is rebuild-only", "all objects"];

/// Makes `disk` a copy of `reg` that lacks this.
fn let_it_lack(forger: &Forger, what: &str) {
    let _ = fs::remove_dir_all(forger.path("disk"));
    forger.copy("reg", "disk");
    for (name, _) in contents(&forger.path("disk/objects")) {
        if what == "all objects" || (what != "nothing" && name.ends_with(".tar.zst")) {
            fs::remove_file(forger.path(&format!("disk/objects/{name}"))).unwrap();
        }
    }
    if what.ends_with("rebuild-only") {
        for (name, _) in contents(&forger.path("disk/packs")) {
            forger.write(&format!("disk/packs/{name}"), b"");
        }
    }
}

#[test]
fn what_was_fetched_and_a_folder_lacks_comes_from_the_cache_without_a_network() {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    let server = Server::new(&forger.path("reg"));
    forger.copy("reg", "disk");
    for location in ["disk", "other", &server.url] {
        forger.reader(&["trust", "add", location, &forger.anchor("reg").to_string()]).ok();
    }
    let run = |list: &str, args: &[&str]| {
        let _ = fs::remove_dir_all(forger.path("new"));
        forger.reader(&[args, &["--registry", list]].concat())
    };
    let fetched = |list: &str, lacks: &str| {
        let _ = fs::remove_dir_all(forger.path("reader/cache"));
        let _ = fs::remove_dir_all(forger.path("other"));
        forger.copy("reg", "other");
        let_it_lack(&forger, lacks);
        run(list, &["fetch", "grads@1.0"]).ok();
    };
    for lacks in LACKS {
        // The rest came from a server, or from a folder that is gone now.
        for list in [&format!("disk,{}", server.url), "disk,other"] {
            fetched(list, lacks);
            fs::remove_dir_all(forger.path("other")).unwrap();
            for reference in [&pin, "grads@1.0"] {
                let verbs: [&[&str]; 4] = [
                    &["pull", reference, "--to", "new"],
                    &["export", reference, "--as", "webdataset", "--to", "new"],
                    &["fetch", reference],
                    &["audit", "duplicates", reference],
                ];
                for verb in verbs {
                    let ran = run(list, &[verb, &["--offline"]].concat());
                    let what = format!("{lacks}, {list}: {verb:?}: {}", ran.stderr);
                    assert!([0, 8].contains(&ran.code), "{what}");
                }
            }
        }
        // Images that went missing later. That is damage, for a verification.
        fetched("disk", "nothing");
        let_it_lack(&forger, lacks);
        run("disk", &["pull", &pin, "--to", "new", "--offline"]).ok();
        let verified = run("disk", &["verify", &pin, "--offline"]).code;
        assert_eq!(verified == 0, !["the shards", "all objects"].contains(&lacks), "{lacks}");
    }
    // A folder that has everything fills no cache.
    let _ = fs::remove_dir_all(forger.path("reader/cache"));
    let_it_lack(&forger, "nothing");
    run(&format!("disk,{}", server.url), &["pull", &pin, "--to", "new", "--offline"]).ok();
    let kept = contents(&forger.path("reader/cache"));
    assert!(kept.iter().all(|(name, _)| !name.starts_with("pieces") && !name.starts_with("objects")));
}
