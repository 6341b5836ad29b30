//! Versions fetched from a folder registry, such as one on a removable disk, that later is gone or cannot be
//! read.

use std::fs;

use crate::forger::Forger;
use crate::sandbox::{Ran, contents, ran};

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
    ran(command.output().unwrap())
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
    forger.forget();
    run(&forger, &["info", "grads@1.0"], &["--offline"]).fails(6, "disk");
    let shown = run(&forger, &["info", pin, "--json"], &["--offline"]).ok();
    assert_eq!(shown.json()["signed_by"], serde_json::json!([]));
}
