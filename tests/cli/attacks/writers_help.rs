//! A failing writer is told the truth: what was written, and what helps.

use std::fs;

use crate::forger::Forger;
use crate::sandbox::{Ran, contents};

const PUBLISH: [&str; 6] = ["publish", "out2", "--registry", "reg", "--key", "me"];

/// Checks that the message contains no advice meant only for readers.
#[track_caller]
fn is_for_writers(ran: &Ran) {
    for lie in ["the destination was not changed", "pull by a pin", "pull from another copy"] {
        assert!(!ran.stderr.contains(lie), "{}", ran.stderr);
    }
}

#[test]
fn what_is_in_the_place_of_a_release_is_said_before_the_log_has_it() {
    let forger = Forger::new();
    forger.write("reg/releases/grads/1.1", b"x");
    let log = contents(&forger.path("reg/log"));
    let ran = forger.isn(&PUBLISH).fails(4, "releases/grads/1.1 is there, but the log has no such release");
    is_for_writers(&ran);
    assert!(contents(&forger.path("reg/log")) == log);
    fs::remove_file(forger.path("reg/releases/grads/1.1")).unwrap();
    forger.isn(&PUBLISH).ok();
    // A release file that was replaced later is named, and the suggested command works.
    forger.write("reg/releases/grads/1.1", b"x");
    let ran = forger.isn(&PUBLISH).fails(4, "Move it away, and run the command again");
    is_for_writers(&ran);
    fs::remove_file(forger.path("reg/releases/grads/1.1")).unwrap();
    forger.isn(&PUBLISH).ok();
    forger.reader(&["verify", "reg"]).ok();
}

#[test]
fn a_registry_that_has_lost_the_key_of_its_log_gets_no_other() {
    let forger = Forger::new();
    let about = String::from_utf8(forger.bytes("reg/registry.json")).unwrap();
    let line = about.lines().find(|line| line.contains("log_key")).unwrap();
    forger.write("reg/registry.json", about.replace(line, "").replace(",\n\n", "\n").as_bytes());
    // This user has never seen the registry.
    forger.copy("home/keys", "somebody/keys");
    let before = contents(&forger.path("reg"));
    for args in [&PUBLISH[..], &["registry", "init", "reg"]] {
        let ran = forger.as_user("somebody", args).fails(4, "does not say by which key");
        is_for_writers(&ran);
        assert!(!ran.stderr.contains("registry init"), "{}", ran.stderr);
        assert!(contents(&forger.path("reg")) == before, "{args:?} changed the registry");
        assert!(!forger.path("somebody/logs").exists(), "{args:?} made a key");
    }
    forger.write("reg/registry.json", about.as_bytes());
    forger.isn(&PUBLISH).ok();
}

#[test]
fn a_statement_that_the_log_would_not_take_is_said_to_be_one() {
    let forger = Forger::new();
    let yank =
        |reason| forger.isn(&["yank", "grads@1.0", "--reason", reason, "--registry", "reg", "--key", "me"]);
    yank("first").ok();
    let ran = yank("second").fails(4, "the yank of grads@1.0 says again what entry 4 says");
    is_for_writers(&ran);
    assert!(ran.stderr.contains("isn log show"), "{}", ran.stderr);
    forger.new_key("stranger");
    let args = ["publish", "out2", "--registry", "reg", "--key", "stranger"];
    is_for_writers(&forger.isn(&args).fails(4, "not an owner of the name"));
}

#[test]
fn a_mirror_of_something_damaged_is_not_said_to_be_untouched() {
    let forger = Forger::new();
    for damaged in forger.objects("reg", "").into_iter().filter(|path| !path.ends_with(".json")) {
        let mut bytes = forger.bytes(&damaged);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        forger.write(&damaged, &bytes);
    }
    is_for_writers(&forger.reader(&["mirror", "reg", "m"]).fails(3, "help: "));
}
