//! A registry shows another log than it must, or none, and its writer has the keys of both.

use std::fs;

#[cfg(feature = "serve")]
use isn_format::digest::Digest;
use isn_format::log::LogKey;

use crate::forger::{Forger, WRITERS};
use crate::sandbox::{Ran, contents, ran};
use crate::server::Server;

/// The other commands that write to a registry's folder or check whether they could.
const MORE: [&[&str]; 4] = [
    &["publish", "out2", "--registry", "reg", "--key", "me", "--dry-run"],
    &["owner", "remove", "grads", "me", "--registry", "reg", "--key", "me"],
    &["registry", "init", "reg", "--origin", "log.example/new"],
    &["log", "unclaim", "--registry", "reg"],
];

/// Returns `reg` and `other`, another log whose keys are in the same home.
fn two_logs() -> (Forger, LogKey) {
    let forger = Forger::new();
    forger.new_key("stranger");
    let yank = ["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"];
    forger.isn(&[&yank[..], &["--statement", "collected"]].concat()).ok();
    for out in ["out", "out-other"] {
        forger.isn(&["publish", out, "--registry", "other", "--key", "me"]).ok();
    }
    let anchor = forger.anchor("reg");
    (forger, anchor)
}

/// Gives the registry the other log.
fn swap(forger: &Forger) {
    fs::remove_dir_all(forger.path("reg/log")).unwrap();
    forger.copy("other/log", "reg/log");
    forger.copy("other/releases", "reg/releases");
    forger.write("reg/registry.json", &forger.bytes("other/registry.json"));
}

/// Empties the registry, like the mount point of a disk that is away.
fn empty(forger: &Forger) {
    fs::remove_dir_all(forger.path("reg")).unwrap();
    fs::create_dir(forger.path("reg")).unwrap();
}

/// Leaves the registry with another log and no log key in registry.json.
fn nameless(forger: &Forger) {
    let about = String::from_utf8(forger.bytes("reg/registry.json")).unwrap();
    let line = about.lines().find(|line| line.contains("log_key")).unwrap();
    forger.write("reg/registry.json", about.replace(line, "").replace(",\n\n", "\n").as_bytes());
}

/// Trusts the log at this location and forgets what was seen there.
fn trust(forger: &Forger, place: &str, log: &LogKey) {
    let _ = fs::remove_file(forger.path("home/logs/places"));
    forger.isn(&["trust", "add", place, &log.to_string()]).ok();
}

#[track_caller]
fn refused(forger: &Forger, args: &[&str], ran: Ran) {
    let ran = ran.fails(4, "is known by its log");
    assert!(ran.stderr.contains("isn trust remove"), "{args:?}: {}", ran.stderr);
    assert!(!forger.path("release.statement").exists(), "{args:?} signed");
}

#[test]
fn no_verb_writes_to_another_log_than_the_place_must_show() {
    for is_trusted in [false, true] {
        for change in [swap, empty, nameless] {
            let (forger, log) = two_logs();
            if is_trusted {
                trust(&forger, "reg", &log);
            }
            change(&forger);
            let keys =
                || contents(&forger.path("home")).into_iter().filter(|(name, _)| name.ends_with("/key"));
            let (before, keys_before) = (contents(&forger.path("reg")), keys().count());
            for args in WRITERS.into_iter().chain(MORE) {
                refused(&forger, args, forger.isn(args));
                assert!(contents(&forger.path("reg")) == before, "{args:?} changed the registry");
                assert_eq!(keys().count(), keys_before, "{args:?} made a key");
            }
        }
    }
}

#[test]
fn no_mirror_of_another_log_is_made_of_a_place() {
    for is_trusted in [false, true] {
        for change in [swap, empty] {
            let (forger, log) = two_logs();
            if is_trusted {
                trust(&forger, "reg", &log);
            }
            forger.copy("reg", "kept");
            change(&forger);
            let before = contents(&forger.path("reg"));
            let mirror = ["mirror", "other", "reg"];
            refused(&forger, &mirror, forger.isn(&mirror));
            assert!(contents(&forger.path("reg")) == before);
            // A mirror of its own log restores it.
            empty(&forger);
            forger.isn(&["mirror", "kept", "reg"]).ok();
        }
    }
}

#[cfg(feature = "serve")]
#[test]
fn nobody_may_publish_to_another_log_than_the_folder_must_show() {
    for change in [swap, empty] {
        let (forger, _) = two_logs();
        change(&forger);
        if !forger.path("reg/registry.json").exists() {
            forger.isn(&["registry", "init", "elsewhere"]).ok();
            forger.copy("elsewhere", "reg");
        }
        forger
            .write("tokens", format!("me {}\n", Digest::of(b"2f6b0c3e9a7d4851b6c0d2e4f6a8091b")).as_bytes());
        let serve = ["serve", "reg", "--listen", "127.0.0.1:0", "--publish-tokens", "tokens"];
        refused(&forger, &serve, forger.isn(&serve));
    }
}

#[test]
fn nothing_is_sent_to_a_server_that_shows_another_log_than_it_must() {
    for is_trusted in [false, true] {
        for change in [swap, empty, nameless] {
            let (forger, log) = two_logs();
            let server = Server::new(&forger.path("reg"));
            if is_trusted {
                trust(&forger, &server.url, &log);
            } else {
                forger.isn(&["log", "show", "--registry", &server.url]).ok();
            }
            change(&forger);
            for more in [&[][..], &["--dry-run"], &["--rebuild-only"]] {
                let args = [&["publish", "out2", "--registry", &server.url, "--key", "me"], more].concat();
                let host = server.url.strip_prefix("http://").unwrap();
                let mut command = forger.command(&args);
                command.env("ISN_TOKENS", format!("{host}=2f6b0c3e9a7d4851b6c0d2e4f6a8091b"));
                refused(&forger, &args, ran(&mut command));
            }
            let sent = server.log().into_iter().find(|request| request.path.contains("-/publish"));
            assert!(sent.is_none(), "{sent:?}");
        }
    }
}

#[test]
fn looking_at_another_log_is_no_reason_to_write_to_it_and_forgetting_the_old_one_is() {
    let (forger, log) = two_logs();
    swap(&forger);
    forger.isn(&["log", "show", "--registry", "reg"]).ok();
    let yank = ["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"];
    refused(&forger, &yank, forger.isn(&yank));
    forger.isn(&["trust", "remove", "reg", &log.to_string()]).ok();
    forger.isn(&["trust", "remove", "reg", &log.to_string()]).fails(6, "is not in");
    forger.isn(&yank).ok();
    // From now on, this is the registry's log.
    forger.write("reg/registry.json", &forger.bytes("reg/registry.json"));
    empty(&forger);
    refused(&forger, &yank, forger.isn(&yank));
}

#[test]
fn a_home_that_never_noted_places_publishes_on_and_a_new_place_is_anybodys() {
    let (forger, log) = two_logs();
    fs::remove_file(forger.path("home/logs/places")).unwrap();
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    let places = String::from_utf8(forger.bytes("home/logs/places")).unwrap();
    assert!(places.contains(&log.to_string()), "{places}");
    forger.isn(&["registry", "init", "new"]).ok();
    forger.isn(&["publish", "out", "--registry", "newer", "--key", "me"]).ok();
    // An empty folder with a trusted publisher counts as new, too.
    forger.isn(&["publish", "out", "--registry", "new", "--key", "me"]).ok();
}

#[test]
fn a_log_that_has_rotated_its_key_is_still_the_one_that_it_was() {
    for is_trusted in [false, true] {
        let (forger, log) = two_logs();
        if is_trusted {
            trust(&forger, "reg", &log);
        }
        forger.isn(&["registry", "rotate-key", "reg"]).ok();
        assert_ne!(forger.anchor("reg"), log);
        forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
        forger.isn(&["registry", "rotate-key", "reg"]).ok();
        forger.isn(&["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"]).ok();
        // As after a run killed before it updated registry.json, for a user who knows the log by its newest
        // key.
        let about = String::from_utf8(forger.bytes("reg/registry.json")).unwrap();
        let newest = forger.anchor("reg");
        forger.write("reg/registry.json", about.replace(&newest.to_string(), &log.to_string()).as_bytes());
        fs::remove_file(forger.path("home/logs/places")).unwrap();
        if is_trusted {
            forger.isn(&["trust", "remove", "reg", &log.to_string()]).ok();
            forger.isn(&["trust", "add", "reg", &newest.to_string()]).ok();
        }
        forger.isn(&["yank", "grads@1.1", "--reason", "why", "--registry", "reg", "--key", "me"]).ok();
        forger.isn(&["verify", "reg"]).ok();
    }
}
