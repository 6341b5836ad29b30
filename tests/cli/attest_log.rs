//! The attestation log of a registry.

use std::fs;

use isn_registry::registry::layout::{ATTESTATIONS, LOG};
use serde_json::Value;

use crate::sandbox::{Sandbox, contents, ran};

/// A published build, and the statements of the keys `me`, `ann` and `bob` about it: `KEY.statement`.
fn stated() -> Sandbox {
    let (sandbox, _) = Sandbox::published();
    for key in ["me", "ann", "bob"] {
        if key != "me" {
            sandbox.isn(&["key", "new", key, "--no-passphrase"]).ok();
        }
        sandbox.isn(&["attest", "out", "--key", key, "--out", &format!("{key}.statement")]).ok();
    }
    sandbox
}

/// Builds the version by another recipe, which takes fewer images, to `out`.
pub fn smaller_build(sandbox: &Sandbox, out: &str) {
    sandbox.recipe(
        "grads",
        "1.0",
        &["ant", "bee", "cat"],
        "[balance]\ntrain = 3\n[gates]\nleakage = \"allow\"",
    );
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", out]).ok();
}

fn append(sandbox: &Sandbox, key: &str, registry: &str) -> String {
    sandbox.isn(&["append", &format!("{key}.statement"), "--registry", registry]).ok().stdout
}

fn entries(sandbox: &Sandbox, registry: &str) -> usize {
    let show = ["log", "show", "--attestations", "--registry", registry, "--json"];
    sandbox.isn(&show).ok().json()["entries"].as_array().unwrap().len()
}

#[test]
fn statements_of_rebuilds_are_in_a_log_of_their_own() {
    let sandbox = stated();
    let show = ["log", "show", "--attestations", "--registry", "reg"];
    sandbox.isn(&show).fails(6, " has no attestation log");
    let before = contents(&sandbox.path("reg"));
    let said = append(&sandbox, "me", "reg");
    assert_eq!(said, "the statement of a rebuild of grads@1.0 is entry 0 of the attestation log\n");
    append(&sandbox, "ann", "reg");
    // Again, after an answer that was lost.
    assert_eq!(append(&sandbox, "me", "reg"), said);
    assert_eq!(entries(&sandbox, "reg"), 2);
    // Nothing that an older isn reads has changed, but for a field that it ignores.
    let others = |files: Vec<(String, Vec<u8>)>| {
        let is_other = |name: &str| name != "registry.json" && !name.starts_with("attestations/");
        files.into_iter().filter(|(name, _)| is_other(name)).collect::<Vec<_>>()
    };
    assert!(others(before) == others(contents(&sandbox.path("reg"))));
    let about: Value = serde_json::from_slice(&sandbox.read("reg/registry.json")).unwrap();
    assert_eq!(about["attestations"], true);
    for log in [&[][..], &["--attestations"]] {
        let ran = sandbox.isn(&[&["log", "verify", "--registry", "reg"], log].concat()).ok();
        assert!(ran.stdout.contains("2 entries, every entry and tile checked, 0 without effect"));
    }
    sandbox.isn(&["verify", "reg"]).ok();
    // A key says one thing about a version.
    smaller_build(&sandbox, "other");
    sandbox.isn(&["attest", "other", "--key", "ann", "--out", "second"]).ok();
    sandbox.isn(&["append", "second", "--registry", "reg"]).fails(4, "is a second one by that key: entry 1");
    assert_eq!(entries(&sandbox, "reg"), 2);
}

#[test]
fn a_mirror_has_the_attestation_log_and_a_new_log_key_signs_it() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    let ran = sandbox.isn(&["mirror", "reg", "copy"]).ok();
    assert!(ran.stdout.contains("1 of its attestation log"), "{}", ran.stdout);
    let attested = |registry: &str| contents(&sandbox.path(&format!("{registry}/attestations")));
    let public = |registry| attested(registry).into_iter().filter(|(name, _)| !name.starts_with('.'));
    assert!(public("copy").eq(public("reg")));
    let key = sandbox.isn(&["registry", "rotate-key", "reg", "--json"]).ok().json()["log_key"].clone();
    let verify = ["log", "verify", "--attestations", "--registry", "reg", "--json"];
    let of = sandbox.isn(&verify).ok().json();
    assert_ne!(key, of["key"], "another origin");
    append(&sandbox, "ann", "reg");
    sandbox.isn(&["mirror", "reg", "copy"]).ok();
    for registry in ["reg", "copy"] {
        assert_eq!(entries(&sandbox, registry), 2);
        sandbox.isn(&["verify", registry]).ok();
    }
    assert!(public("copy").eq(public("reg")));
    // The first log cannot be passed off as the second, nor the second as the first.
    fs::copy(sandbox.path("reg/log/checkpoint"), sandbox.path("reg/attestations/checkpoint")).unwrap();
    sandbox.isn(&verify).fails(4, "attestations/checkpoint is of log isn.local/");
    fs::copy(sandbox.path("copy/attestations/checkpoint"), sandbox.path("copy/log/checkpoint")).unwrap();
    sandbox.isn(&["log", "verify", "--registry", "copy"]).fails(4, "log/checkpoint is of log isn.local/");
    let origin = ["registry", "init", "x", "--origin", "log.example/attestations"];
    sandbox.isn(&origin).fails(1, "is that of an attestation log");
}

#[test]
fn what_is_wrong_in_the_attestation_log_is_found_and_stops_no_reader() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    append(&sandbox, "ann", "reg");
    let listed = "reg/attestations/versions/grads/1.0";
    let good = sandbox.read(listed);
    let statement = fs::read(sandbox.path("bob.statement")).unwrap();
    let entry = [&(statement.len() as u16).to_be_bytes()[..], &statement].concat();
    let verify = ["verify", "reg"];
    for (bytes, why) in [
        ([&good[..], &entry].concat(), "what is no statement about this version in the attestation log"),
        (good[..good.len() / 2].to_vec(), "does not have all that the attestation log has"),
        (good[..40].to_vec(), "what is no statement about this version"),
    ] {
        sandbox.write(listed, &bytes);
        let ran = sandbox.isn(&verify).fails(3, "");
        assert!(ran.stdout.contains(why) && ran.stdout.contains("attestations/versions/grads/1.0"));
        sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    }
    // The next writer lists its own, and what is there.
    sandbox.write(listed, &good[..good.len() / 2]);
    append(&sandbox, "ann", "reg");
    sandbox.isn(&verify).ok();
    // A stray, and a version that nobody stated.
    sandbox.write("reg/attestations/versions/grads/1.0.bak", b"x");
    let ran = sandbox.isn(&verify).fails(3, "");
    assert!(ran.stdout.contains("is not a file of a registry"), "{}", ran.stdout);
    fs::remove_file(sandbox.path("reg/attestations/versions/grads/1.0.bak")).unwrap();
    // An entry that was changed.
    let bundle = format!("reg/{}", ATTESTATIONS.entries(0, 2));
    let whole = sandbox.read(&bundle);
    let mut bad = whole.clone();
    bad[40] ^= 1;
    sandbox.write(&bundle, &bad);
    sandbox.isn(&verify).fails(3, "");
    sandbox.isn(&["log", "verify", "--attestations", "--registry", "reg"]).fails(4, "attestations/tile");
    sandbox.isn(&["log", "verify", "--registry", "reg"]).ok();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    sandbox.write(&bundle, &whole);
    // A planted log claim stops its writers, and no others.
    let claim = format!("reg/{}", ATTESTATIONS.claim(2));
    sandbox.write(&claim, b"planted");
    sandbox.isn(&["append", "bob.statement", "--registry", "reg"]).fails(4, "is not signed");
    assert!(sandbox.isn(&verify).ok().stderr.contains("see `isn log unclaim`"));
    sandbox.isn(&["yank", "grads@1.0", "--reason", "a test", "--registry", "reg", "--key", "me"]).ok();
    let removed = sandbox.isn(&["log", "unclaim", "--registry", "reg"]).ok().stdout;
    assert!(removed.contains(&ATTESTATIONS.claim(2)) && !removed.contains(&LOG.claim(2)), "{removed}");
    append(&sandbox, "bob", "reg");
    // What was seen is not taken back.
    assert_eq!(entries(&sandbox, "reg"), 3);
    fs::remove_dir_all(sandbox.path("reg/attestations")).unwrap();
    sandbox.isn(&["log", "show", "--attestations", "--registry", "reg"]).fails(4, "a log does not go away");
}

/// Whoever can write to the place may make it as long as they like.
#[test]
fn a_list_that_is_too_long_is_an_error_that_names_it() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    sandbox.write("reg/attestations/versions/grads/1.0", &vec![0; (256 << 10) + 1]);
    let ran = sandbox.isn(&["verify", "reg"]).fails(3, "");
    assert!(ran.stdout.contains("attestations/versions/grads/1.0"), "{}", ran.stdout);
    sandbox
        .isn(&["append", "ann.statement", "--registry", "reg"])
        .fails(3, "attestations/versions/grads/1.0");
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
}

/// A connection of one runtime makes no progress while another one is polled.
#[cfg(all(feature = "serve", target_os = "linux"))]
#[test]
fn a_served_attestation_log_is_mirrored_without_waiting() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    append(&sandbox, "ann", "reg");
    let served = crate::serve::Served::start(&sandbox, &[]);
    let start = std::time::Instant::now();
    let mut mirror = sandbox.command(&["mirror", &served.url, "copy"]);
    let ran = crate::sandbox::ran(mirror.env("ISN_TIMEOUT", "20")).ok();
    assert!(ran.stdout.contains("2 of its attestation log"), "{}", ran.stdout);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    sandbox.isn(&["verify", "copy"]).ok();
}

/// A key that somebody else has must be given up, whatever they did to the attestation log.
#[test]
fn nothing_in_the_attestation_log_stops_a_new_log_key() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    append(&sandbox, "ann", "reg");
    let key_of = || {
        let about: Value = serde_json::from_slice(&sandbox.read("reg/registry.json")).unwrap();
        about["log_key"].clone()
    };
    let bundle = format!("reg/{}", ATTESTATIONS.entries(0, 2));
    let mut damaged = sandbox.read(&bundle);
    damaged[40] ^= 1;
    let claim = format!("reg/{}", ATTESTATIONS.claim(2));
    for (place, bytes) in
        [(&bundle, &damaged[..]), (&claim, b"planted"), (&"reg/attestations/checkpoint".to_string(), b"junk")]
    {
        let (old, there) = (key_of(), fs::read(sandbox.path(place)).ok());
        sandbox.write(place, bytes);
        let ran = sandbox.isn(&["registry", "rotate-key", "reg"]).ok();
        let new = key_of();
        assert!(new != old && ran.stdout.contains(new.as_str().unwrap()), "{place}: {}", ran.stdout);
        let warned = "the log has its new key, but its attestation log takes no entry: ";
        assert!(ran.stderr.contains(warned) && ran.stderr.contains("attestations/"), "{}", ran.stderr);
        sandbox.isn(&["log", "verify", "--registry", "reg"]).ok();
        match there {
            Some(bytes) => sandbox.write(place, &bytes),
            None => fs::remove_file(sandbox.path(place)).unwrap(),
        }
    }
    // The next writer signs it anew, once it is mended.
    append(&sandbox, "bob", "reg");
    assert_eq!(entries(&sandbox, "reg"), 3);
    sandbox.isn(&["verify", "reg"]).ok();
}

#[test]
fn a_new_log_key_signs_no_less_than_was_seen() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    sandbox.copy("reg/attestations", "early");
    append(&sandbox, "ann", "reg");
    sandbox.copy("reg/attestations", "late");
    sandbox.isn(&["registry", "rotate-key", "reg"]).ok();
    sandbox.isn(&["registry", "rotate-key", "reg"]).ok();
    let put = |state: &str| {
        fs::remove_dir_all(sandbox.path("reg/attestations")).unwrap();
        sandbox.copy(state, "reg/attestations");
    };
    put("early");
    let before = sandbox.read("reg/attestations/checkpoint");
    let bob = ["append", "bob.statement", "--registry", "reg"];
    sandbox.isn(&bob).fails(4, "shows 1 entries, and 2 were signed or seen here");
    assert_eq!(sandbox.read("reg/attestations/checkpoint"), before);
    put("late");
    append(&sandbox, "bob", "reg");
    assert_eq!(entries(&sandbox, "reg"), 3);
}

#[test]
fn whoever_copies_a_registry_follows_its_new_keys_without_trusting_one() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    let operator = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("ISN_HOME", sandbox.path("operator"));
        ran(command)
    };
    operator(&["mirror", "reg", "copy"]).ok();
    sandbox.isn(&["mirror", "reg", "early"]).ok();
    for round in 0..2 {
        sandbox.isn(&["registry", "rotate-key", "reg"]).ok();
        operator(&["mirror", "reg", "copy"]).ok();
        assert_eq!(sandbox.read("copy/log/checkpoint"), sandbox.read("reg/log/checkpoint"), "{round}");
    }
    // Also over two changes at once, by somebody who never saw the registry.
    let mut command = sandbox.command(&["mirror", "reg", "early"]);
    command.env("ISN_HOME", sandbox.path("stranger"));
    ran(command).ok();
    for registry in ["copy", "early"] {
        sandbox.isn(&["verify", registry]).ok();
        assert_eq!(sandbox.read(&format!("{registry}/registry.json")), sandbox.read("reg/registry.json"));
    }
}

#[test]
fn an_attestation_log_whose_key_was_changed_half_way_is_signed_anew() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    let signed = sandbox.read("reg/attestations/checkpoint");
    sandbox.write("reg/attestations/checkpoint", b"junk");
    sandbox.isn(&["registry", "rotate-key", "reg"]).ok();
    sandbox.write("reg/attestations/checkpoint", &signed);
    // As if the change had been killed: this home knows the registry by its new key alone.
    fs::remove_file(sandbox.path("home/logs/places")).unwrap();
    append(&sandbox, "ann", "reg");
    assert_eq!(entries(&sandbox, "reg"), 2);
    sandbox.isn(&["verify", "reg"]).ok();
}

/// Only the last key that was given up may have been in force when a change was killed.
#[test]
fn a_key_that_was_given_up_long_ago_signs_no_attestation_log() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    sandbox.copy("reg/attestations", "by-the-first");
    for _ in 0..2 {
        sandbox.isn(&["registry", "rotate-key", "reg"]).ok();
    }
    let about: Value = serde_json::from_slice(&sandbox.read("reg/registry.json")).unwrap();
    let newest = about["log_key"].as_str().unwrap();
    // A home that has the newest key, and remembers nothing.
    for folder in fs::read_dir(sandbox.path("home/logs")).unwrap().map(|entry| entry.unwrap().path()) {
        let is_newest = fs::read_to_string(folder.join("vkey")).is_ok_and(|vkey| vkey.trim() == newest);
        match folder.is_dir() {
            true if is_newest => {
                for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                    if !["key", "vkey"].iter().any(|name| file.ends_with(name)) {
                        let _ = fs::remove_file(&file);
                    }
                }
            }
            true => fs::remove_dir_all(folder).unwrap(),
            false => fs::remove_file(folder).unwrap(),
        }
    }
    fs::remove_dir_all(sandbox.path("reg/attestations")).unwrap();
    sandbox.copy("by-the-first", "reg/attestations");
    let signed = sandbox.read("reg/attestations/checkpoint");
    sandbox.isn(&["append", "ann.statement", "--registry", "reg"]).fails(4, "attestations/checkpoint");
    assert_eq!(sandbox.read("reg/attestations/checkpoint"), signed);
}

#[test]
fn a_mirror_makes_the_file_of_a_version_from_the_entries() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    append(&sandbox, "ann", "reg");
    let place = "attestations/versions/grads/1.0";
    let right = sandbox.read(&format!("reg/{place}"));
    sandbox.write("secret", b"private");
    for what in ["a link", "junk", "nothing", "one of two"] {
        let at = sandbox.path(&format!("reg/{place}"));
        fs::remove_file(&at).unwrap();
        match what {
            "a link" => std::os::unix::fs::symlink(sandbox.path("secret"), &at).unwrap(),
            "junk" => fs::write(&at, b"junk").unwrap(),
            "one of two" => fs::write(&at, &right[..right.len() / 2]).unwrap(),
            _ => {}
        }
        let copy = format!("copy of {what}");
        sandbox.isn(&["mirror", "reg", &copy]).ok();
        assert_eq!(sandbox.read(&format!("{copy}/{place}")), right, "{what}");
        sandbox.isn(&["verify", &copy]).ok();
        let _ = fs::remove_file(&at);
        fs::write(&at, &right).unwrap();
    }
    // A registry that says that it has one, and has none.
    fs::rename(sandbox.path("reg/attestations"), sandbox.path("away")).unwrap();
    let mut stranger = sandbox.command(&["mirror", "reg", "without"]);
    stranger.env("ISN_HOME", sandbox.path("stranger"));
    let ran = ran(stranger).ok();
    assert!(ran.stderr.contains("registry.json says that it has one"), "{}", ran.stderr);
}

/// What is done before the attestation log is looked at is done, and said.
#[test]
fn junk_in_place_of_its_checkpoint_stops_neither_a_mirror_nor_what_was_unclaimed() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    let checkpoint = sandbox.path("reg/attestations/checkpoint");
    let good = fs::read(&checkpoint).unwrap();
    let plant: [fn(&std::path::Path); 2] =
        [|path| fs::write(path, b"junk").unwrap(), |path| fs::create_dir(path).unwrap()];
    for (number, plant) in plant.into_iter().enumerate() {
        let copy = format!("copy{number}");
        fs::remove_file(&checkpoint).unwrap();
        plant(&checkpoint);
        let ran = sandbox.isn(&["mirror", "reg", &copy]).ok();
        let warned = "all else is mirrored, but not the attestation log: ";
        assert!(
            ran.stderr.contains(warned) && ran.stderr.contains("attestations/checkpoint"),
            "{}",
            ran.stderr
        );
        sandbox.isn(&["log", "verify", "--registry", &copy]).ok();
        let ran = sandbox.isn(&["mirror", "reg", &copy, "--json"]).ok();
        assert_eq!(ran.json()["attestations"], Value::Null);
        // A log claim of the first log.
        let claim = format!("reg/{}", LOG.claim(2));
        sandbox.write(&claim, b"planted");
        let ran = sandbox.isn(&["log", "unclaim", "--registry", "reg"]);
        assert!(ran.code != 0 && ran.stdout.contains(&LOG.claim(2)), "{} {}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("attestations/checkpoint") && !sandbox.path(&claim).exists());
        let _ = fs::remove_dir(&checkpoint);
        fs::write(&checkpoint, &good).unwrap();
        let ran = sandbox.isn(&["mirror", "reg", &copy]).ok();
        assert!(ran.stdout.contains("1 of its attestation log"), "{}", ran.stdout);
        sandbox.isn(&["verify", &copy]).ok();
    }
}

#[test]
fn an_attestation_log_that_was_put_back_or_removed_is_noticed() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    sandbox.copy("reg/attestations", "early");
    append(&sandbox, "ann", "reg");
    fs::remove_dir_all(sandbox.path("reg/attestations")).unwrap();
    for verify in [&["verify", "reg"][..], &["registry", "check", "reg"]] {
        let ran = sandbox.isn(verify).fails(3, "registry.json says that there is an attestation log");
        assert!(ran.stdout.contains("missing: attestations/checkpoint"), "{}", ran.stdout);
    }
    sandbox.copy("early", "reg/attestations");
    for verify in [&["verify", "reg"][..], &["registry", "check", "reg"]] {
        let ran = sandbox.isn(verify).ok();
        let said = "attestations/checkpoint shows 1 entries, and 2 were signed or seen here";
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
}

/// What would fail after the entry is in the log is found before.
#[cfg(unix)]
#[test]
fn what_is_in_the_place_of_a_versions_file_is_found_before_anything_is_appended() {
    let sandbox = stated();
    append(&sandbox, "me", "reg");
    let listed = sandbox.path("reg/attestations/versions/grads/1.0");
    let plant: [fn(&std::path::Path); 3] = [
        |path| std::os::unix::fs::symlink("/dev/null", path).unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
    ];
    fs::remove_file(&listed).unwrap();
    for plant in plant {
        plant(&listed);
        sandbox
            .isn(&["append", "ann.statement", "--registry", "reg"])
            .fails(1, "attestations/versions/grads/1.0");
        assert_eq!(entries(&sandbox, "reg"), 1);
        if fs::remove_file(&listed).is_err() {
            fs::remove_dir(&listed).unwrap();
        }
    }
    append(&sandbox, "ann", "reg");
    append(&sandbox, "me", "reg");
    sandbox.isn(&["verify", "reg"]).ok();
}

/// A server that says yes, and has something else by that key.
#[test]
fn what_a_server_did_not_take_is_not_said_to_be_in_its_log() {
    use crate::server::{Fault, Server};
    let sandbox = stated();
    append(&sandbox, "ann", "reg");
    smaller_build(&sandbox, "other");
    sandbox.isn(&["attest", "other", "--key", "ann", "--out", "second"]).ok();
    let server = Server::faulty(&sandbox.path("reg"), "-/publish/", usize::MAX, Fault::Status(200));
    let send = |file: &str| {
        let mut command = sandbox.command(&["append", file, "--registry", &server.url]);
        let host = server.url.strip_prefix("http://").unwrap();
        crate::sandbox::ran(command.env("ISN_TOKENS", format!("{host}=2f6b0c3e9a7d4851b6c0d2e4f6a8091b")))
    };
    send("ann.statement").ok();
    send("second").fails(5, "says that it took the statement, but its attestation log does not have it");
}
