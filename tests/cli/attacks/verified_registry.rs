//! Changes by somebody who can write to a registry's storage that `isn verify REGISTRY` could miss: each is a
//! fault.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use isn_registry::registry::layout;

use crate::forger::Forger;
use crate::sandbox::contents;

/// Checks that `isn verify reg` reports `path` as faulty, then restores it.
#[track_caller]
fn is_a_fault(forger: &Forger, path: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>, why: &str) {
    let file = forger.path(&format!("reg/{path}"));
    let before = fs::read(&file).ok();
    match change(before.clone().unwrap_or_default()) {
        Some(bytes) => forger.write(&format!("reg/{path}"), &bytes),
        None => fs::remove_file(&file).unwrap(),
    }
    for user in ["nobody", "home"] {
        let ran = forger.as_user(user, &["verify", "reg", "--json"]).fails(3, why);
        let faults = ran.json()["faults"].to_string();
        assert!(faults.contains(path), "{path} is not named: {faults}");
    }
    match before {
        Some(bytes) => forger.write(&format!("reg/{path}"), &bytes),
        None => fs::remove_file(&file).unwrap(),
    }
    forger.as_user("nobody", &["verify", "reg"]).ok();
}

fn flipped(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Some(bytes)
}

/// A registry with one damaged object, which no other fault may hide.
fn with_a_damaged_shard() -> Forger {
    let forger = Forger::new();
    let shard = forger.objects("reg", "zst").remove(0);
    let mut bytes = forger.bytes(&shard);
    bytes.push(0);
    forger.write(&shard, &bytes);
    forger
}

#[test]
fn log_that_the_registry_does_not_own_up_to() {
    let forger = Forger::new();
    let about = String::from_utf8(forger.bytes("reg/registry.json")).unwrap();
    let line = about.lines().find(|line| line.contains("log_key")).unwrap();
    let without = about.replace(line, "").replace(",\n\n", "\n");
    forger.write("reg/registry.json", without.as_bytes());
    let ran = forger.as_user("nobody", &["verify", "reg"]).fails(3, "log/checkpoint");
    assert!(ran.stdout.contains("registry.json does not name the key"), "{}", ran.stdout);
}

#[test]
fn narrow_tiles_and_bundles_of_those_who_are_behind() {
    let forger = Forger::with_two_versions();
    let size = forger.checkpoint().claimed_size();
    let kept: Vec<String> =
        contents(&forger.path("reg/log/tile")).into_iter().map(|(name, _)| name).collect();
    let older = kept.iter().filter(|name| !name.ends_with(&format!("/{size}")));
    let mut tried = 0;
    for name in older {
        let path = format!("log/tile/{name}");
        is_a_fault(&forger, &path, flipped, "is damaged");
        is_a_fault(&forger, &path, |mut bytes| bytes.pop().map(|_| bytes), "is damaged");
        tried += 1;
    }
    assert!(tried >= 4, "{kept:?}");
}

#[test]
fn claim_that_stops_the_next_writer() {
    let forger = Forger::new();
    let next = layout::LOG.claim(forger.checkpoint().claimed_size());
    let file = format!("reg/{next}");
    // No reader loses anything by it, so it is a warning.
    let is_said = || {
        let ran = forger.as_user("nobody", &["verify", "reg", "--json"]).ok();
        assert!(ran.stderr.contains("stops the next publish"), "{}", ran.stderr);
        assert!(ran.json()["warnings"].to_string().contains(&next), "{}", ran.stdout);
    };
    forger.write(&file, b"planted");
    is_said();
    fs::remove_file(forger.path(&file)).unwrap();
    fs::create_dir(forger.path(&file)).unwrap();
    is_said();
    fs::remove_dir(forger.path(&file)).unwrap();
    // A claim that the next writer finishes is not reported.
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    let ran = forger.as_user("nobody", &["verify", "reg"]).ok();
    assert_eq!(ran.stderr, "");
}

#[test]
fn hints_that_lead_elsewhere_or_nowhere() {
    let forger = Forger::new();
    let dataset = forger.release_of("out", "1.0").dataset;
    let (pin, versions) = (layout::pin(&dataset), layout::versions(&"grads".parse().unwrap()));
    for path in [pin.as_str(), &versions, layout::NAMES] {
        is_a_fault(&forger, path, |_| None, "does not lead to grads@1.0");
    }
    is_a_fault(&forger, &versions, |_| Some(Vec::new()), "does not lead to grads@1.0");
    is_a_fault(&forger, layout::NAMES, |_| Some(b"other\n".to_vec()), "does not lead to grads@1.0");
    for other in ["other 1.0\n", "grads 1.1\n"] {
        is_a_fault(&forger, &pin, |_| Some(other.into()), "does not lead to grads@1.0");
    }
    is_a_fault(&forger, &pin, |_| Some(b"grads\n".to_vec()), "is not a name and a version");
}

#[test]
fn registry_json_that_names_another_log() {
    let forger = Forger::new();
    forger.isn(&["publish", "out", "--registry", "other", "--key", "me"]).ok();
    let (about, other) = (forger.bytes("reg/registry.json"), forger.bytes("other/registry.json"));
    let without = String::from_utf8(about.clone()).unwrap();
    let line = without.lines().find(|line| line.contains("log_key")).unwrap().to_string();
    let without = without.replace(&line, "").replace(",\n\n", "\n").into_bytes();
    for (changed, why) in [(other, "names another log"), (without, "names no log")] {
        forger.write("reg/registry.json", &changed);
        for args in [&["verify", "reg"][..], &["registry", "check", "reg"]] {
            forger.reader(args).fails(3, why);
        }
    }
    forger.write("reg/registry.json", &about);
    forger.reader(&["verify", "reg"]).ok();
}

#[test]
fn log_that_shows_less_than_was_seen() {
    let forger = Forger::new();
    forger.copy("reg", "old");
    forger.isn(&["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"]).ok();
    forger.reader(&["verify", "reg"]).ok();
    fs::remove_dir_all(forger.path("reg")).unwrap();
    forger.copy("old", "reg");
    let check = |args: &[&str], code, why: &str| {
        let ran = forger.reader(&[args, &["--json"]].concat()).fails(code, why);
        assert!(ran.json()["warnings"].to_string().contains("5 were seen before"), "{}", ran.stdout);
    };
    let verbs = [&["verify", "reg"][..], &["registry", "check", "reg"]];
    for args in verbs {
        check(args, 0, "stale mirror");
    }
    // What the mirror has is checked all the same.
    let (tile, bytes) = forger.hash_tile();
    forger.write(&tile, &flipped(bytes.clone()).unwrap());
    for args in verbs {
        forger.reader(args).fails(3, "its hashes are not those of the entries");
    }
    forger.write(&tile, &bytes);
    let bundle = forger.bytes(&forger.bundle());
    forger.write(&forger.bundle(), &flipped(bundle.clone()).unwrap());
    for args in verbs {
        forger.reader(args).fails(3, "log/");
    }
    forger.write(&forger.bundle(), &bundle);
    forger.write(&format!("reg/{}", layout::LOG.claim(4)), b"planted");
    for args in verbs {
        check(args, 0, "stops the next publish");
    }
}

/// A `registry.json` that is damaged is one fault of several, of a folder that is a registry by all else.
#[test]
fn registry_json_that_is_damaged_hides_no_other_fault() {
    let forger = with_a_damaged_shard();
    forger.write("reg/registry.json", b"junk");
    for user in ["nobody", "home"] {
        let faults =
            forger.as_user(user, &["verify", "reg", "--json"]).fails(3, "").json()["faults"].to_string();
        assert!(faults.contains("registry.json") && faults.contains("\"changed\""), "{user}: {faults}");
        assert!(!faults.contains("log/checkpoint"), "{user}: {faults}");
    }
    let doctor = forger.isn(&["doctor", "--registry", "reg"]).fails(8, "");
    assert!(doctor.stdout.contains("isn verify REGISTRY"), "{}", doctor.stdout);
}

/// A folder of isn's that cannot be listed hides no fault elsewhere.
#[test]
fn top_folder_that_cannot_be_listed_hides_no_other_fault() {
    let forger = with_a_damaged_shard();
    fs::set_permissions(forger.path("reg/releases"), Permissions::from_mode(0o000)).unwrap();
    let ran = forger.bound(&["verify", "reg", "--json"]);
    fs::set_permissions(forger.path("reg/releases"), Permissions::from_mode(0o755)).unwrap();
    let Some(ran) = ran else { return };
    let faults = ran.fails(3, "").json()["faults"].to_string();
    assert!(faults.contains("\"changed\"") && faults.contains("\"releases\""), "{faults}");
}
