//! Without a network isn uses what was last seen, and checks it as strictly.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use isn_format::key::PrivateKey;
use isn_format::log::WitnessKey;

use crate::forger::Forger;
use crate::log::cosign;
use crate::sandbox::{Ran, ran};
use crate::server::Server;

/// A forger whose reader knows a served copy of the registry, and two witnesses with their keys.
struct Seen {
    forger: Forger,
    server: Server,
    witnesses: Vec<(WitnessKey, PrivateKey)>,
    now: u64,
}

impl Seen {
    fn new() -> Self {
        let forger = Forger::new();
        let server = Server::new(&forger.path("reg"));
        forger.reader(&["trust", "add", &server.url, &forger.anchor("reg").to_string()]).ok();
        let witness = |at: usize| {
            let key = PrivateKey::generate("").unwrap();
            (WitnessKey::new(&format!("witness{at}.example"), key.public_line().key).unwrap(), key)
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Seen { forger, server, witnesses: vec![witness(0), witness(1)], now }
    }

    fn trust(&self, at: usize) {
        self.forger.reader(&["trust", "add", &self.server.url, &self.witnesses[at].0.to_string()]).ok();
    }

    /// Lets a witness sign the log as seen `age` seconds ago.
    fn cosign(&self, at: usize, age: u64) {
        cosign(&self.forger, &self.witnesses[at].0, &self.witnesses[at].1, self.now - age);
    }

    fn online(&self, args: &[&str]) -> Ran {
        self.forger.reader(&[args, &["--registry", &self.server.url]].concat())
    }

    fn offline(&self, args: &[&str]) -> Ran {
        self.online(&[args, &["--offline"]].concat())
    }
}

#[test]
fn age_of_what_was_seen_last() {
    let seen = Seen::new();
    let pull = ["pull", "grads@1.0", "--to", "tree"];
    let within = |age| ["info", "grads@1.0", "--max-age", age];
    // The age of a log that was never seen is unknown.
    seen.offline(&pull).fails(5, "was never seen");
    seen.offline(&within("1h")).fails(4, "--max-age cannot be checked");
    seen.online(&["fetch", "grads@1.0"]).ok();
    seen.offline(&pull).ok();
    // Nor is it known without a witness.
    seen.offline(&within("1h")).fails(1, "needs a witness, whose clock it uses");
    seen.trust(0);
    seen.cosign(0, 7200);
    seen.online(&["info", "grads@1.0"]).ok();
    seen.offline(&within("3h")).ok();
    fs::remove_dir_all(seen.forger.path("tree")).unwrap();
    let verbs: [&[&str]; 7] = [
        &["pull", "grads", "--to", "tree"],
        &["fetch", "grads@1.0"],
        &["info", "grads@1.0"],
        &["images", "grads@1.0"],
        &["cite", "grads"],
        &["verify", "grads@1.0"],
        &["prove", "grads@1.0", "--out", "proof"],
    ];
    for args in verbs {
        let ran = seen.offline(&[args, &["--max-age", "1h"]].concat());
        let ran = ran.fails(4, "more than the 3600 of --max-age");
        assert!(ran.stderr.contains("as it was last seen (offline)"), "{args:?}: {}", ran.stderr);
    }
    assert!(!seen.forger.path("tree").exists() && !seen.forger.path("proof").exists());
    // The environment variable acts like the option.
    let mut command = seen.forger.command(&within("1h"));
    command.env("ISN_HOME", seen.forger.path("reader")).env("ISN_REGISTRY", &seen.server.url);
    ran(command.env("ISN_OFFLINE", "1")).fails(4, "--max-age");
    // A pin names the bytes, whatever their age.
    let pin =
        seen.offline(&["info", "grads@1.0", "--json"]).ok().json()["dataset"].as_str().unwrap().to_string();
    seen.offline(&["info", &format!("grads@1.0#{pin}"), "--max-age", "1h"]).ok();
}

#[test]
fn witnesses_of_what_was_seen_last() {
    let seen = Seen::new();
    seen.online(&["fetch", "grads@1.0"]).ok();
    seen.offline(&["info", "grads@1.0"]).ok();
    seen.trust(0);
    let ran =
        seen.offline(&["info", "grads@1.0"]).fails(4, "is cosigned by 0 of the 1 witnesses that it needs");
    assert!(ran.stderr.contains("as it was last seen (offline)"), "{}", ran.stderr);
    seen.cosign(0, 60);
    seen.online(&["info", "grads@1.0"]).ok();
    seen.offline(&["info", "grads@1.0"]).ok();
    seen.trust(1);
    seen.offline(&["info", "grads@1.0"]).fails(4, "is cosigned by 1 of the 2 witnesses");
    seen.offline(&["log", "verify"]).fails(4, "is cosigned by 1 of the 2 witnesses");
    seen.cosign(1, 60);
    seen.online(&["info", "grads@1.0"]).ok();
    seen.offline(&["info", "grads@1.0", "--max-age", "1h"]).ok();
}

#[test]
fn registry_that_is_away_and_was_seen_too_long_ago() {
    let seen = Seen::new();
    let forger = &seen.forger;
    forger.as_user("labs", &["key", "new", "them", "--no-passphrase"]).ok();
    forger.as_user("labs", &["publish", "out2", "--registry", "lab", "--key", "them"]).ok();
    forger.reader(&["trust", "add", "lab", &forger.anchor("lab").to_string()]).ok();
    // The lab has grads@1.1; only the registry that is away could have other names.
    let away = "http://127.0.0.1:1";
    for key in [forger.anchor("reg").to_string(), seen.witnesses[0].0.to_string()] {
        forger.reader(&["trust", "add", away, &key]).ok();
    }
    seen.trust(0);
    seen.cosign(0, 7200);
    seen.online(&["info", "grads@1.0"]).ok();
    let run = |name: &str, more: &[&str]| {
        let mut command =
            forger.command(&[&["info", name, "--registry", &format!("{away},lab")], more].concat());
        ran(command.env("ISN_HOME", forger.path("reader")).env("ISN_RETRIES", "0"))
    };
    run("grads", &[]).fails(5, "as last seen has that name");
    // The log as seen two hours ago lacks this name; with --max-age 1h that is too old.
    run("nobodys", &[]).fails(5, away);
    run("nobodys", &["--max-age", "1h"]).fails(5, "more than the 3600 of --max-age");
}

#[test]
fn replay_that_was_lost_is_no_empty_log() {
    let seen = Seen::new();
    let forger = &seen.forger;
    seen.online(&["fetch", "grads@1.0"]).ok();
    forger.as_user("labs", &["key", "new", "them", "--no-passphrase"]).ok();
    forger.as_user("labs", &["publish", "out2", "--registry", "lab", "--key", "them"]).ok();
    forger.reader(&["trust", "add", "lab", &forger.anchor("lab").to_string()]).ok();
    let list = format!("{},lab", seen.server.url);
    let info = |name: &str| forger.reader(&["info", name, "--registry", &list, "--offline", "--json"]);
    let first = info("grads").ok();
    assert_eq!(first.json()["version"], "1.0", "{}", first.stderr);
    let key = forger.logs("reader").log(&forger.anchor("reg")).key_path();
    fs::remove_file(key.parent().unwrap().join("replay")).unwrap();
    info("grads").fails(5, "its log was never seen");
}

#[test]
fn age_that_a_pin_passes_over() {
    let seen = Seen::new();
    let forger = &seen.forger;
    let hash =
        seen.online(&["info", "grads@1.0", "--json"]).ok().json()["dataset"].as_str().unwrap().to_string();
    let pin = format!("grads@1.0#{hash}");
    let within = ["info", &pin, "--max-age", "1h"];
    // If nobody trusts the log, or it has no witness, a warning says that the age was not checked.
    let ran = forger.as_user("nobodys", &[&within[..], &["--registry", &seen.server.url]].concat()).ok();
    assert!(ran.stderr.contains("--max-age is ignored, since a pin needs no log"), "{}", ran.stderr);
    let ran = seen.online(&within).ok();
    assert!(ran.stderr.contains("needs a witness"), "{}", ran.stderr);
    // Offline, the reason is given, together with what was seen about the version.
    seen.trust(0);
    seen.cosign(0, 7200);
    forger.isn(&["yank", "grads@1.0", "--reason", "blurred", "--registry", "reg", "--key", "me"]).ok();
    seen.cosign(0, 7200);
    seen.online(&["fetch", "grads@1.0"]).ok();
    let ran = seen.offline(&within).ok();
    assert!(ran.stderr.contains("more than the 3600 of --max-age"), "{}", ran.stderr);
    assert!(ran.stderr.contains("grads@1.0 is yanked"), "{}", ran.stderr);
}
