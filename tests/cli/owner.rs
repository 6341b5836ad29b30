//! What the owners of a name sign: `isn owner`, `isn sign`, `isn append`, `isn revoke`, `isn yank`, `isn
//! withdraw`, `isn key rotate`; and what the keeper of a log does: `isn registry`.

use std::fs;
use std::path::PathBuf;

use isn_format::log::{LogKey, LogSigner};

use crate::forger::Forger;
use crate::sandbox::{Ran, contents};

fn say(forger: &Forger, args: &[&str]) -> Ran {
    forger.isn(&[args, &["--registry", "reg", "--key", "me"]].concat())
}

fn owners(forger: &Forger) -> serde_json::Value {
    forger.reader(&["owner", "show", "grads", "--registry", "reg", "--json"]).ok().json()
}

#[test]
fn owners_are_added_removed_and_counted() {
    let forger = Forger::new();
    let (me, you) = (forger.public("me").to_string(), forger.new_key("you").to_string());
    assert_eq!(owners(&forger)["keys"], serde_json::json!([me]));
    say(&forger, &["owner", "add", "grads", "you"])
        .fails(0, "the owner statement of grads is entry 4 of the log");
    say(&forger, &["owner", "add", "grads", &you]).fails(1, "already exists");
    assert_eq!(owners(&forger)["keys"].as_array().unwrap().len(), 2);
    say(&forger, &["owner", "threshold", "grads", "3"]).fails(1, "would need 3 signatures of 2 keys");
    say(&forger, &["owner", "threshold", "grads", "2"]).ok();
    assert_eq!(owners(&forger)["threshold"], 2);
    // From now on both must sign.
    let two =
        |args: &[&str]| forger.isn(&[args, &["--registry", "reg", "--key", "me", "--key", "you"]].concat());
    two(&["owner", "remove", "grads", "you"]).fails(1, "the threshold is from 1");
    two(&["owner", "threshold", "grads", "1"]).ok();
    say(&forger, &["owner", "remove", "grads", "you"]).ok();
    say(&forger, &["owner", "remove", "grads", "you"]).fails(6, "is not in the owners of grads");
    assert_eq!(owners(&forger)["keys"], serde_json::json!([me]));
    let shown = forger.reader(&["owner", "show", "grads", "--registry", "reg"]).ok().stdout;
    assert!(shown.contains("1 of 1 key must sign") && shown.contains(&me), "{shown}");
    forger.reader(&["owner", "show", "nobodys", "--registry", "reg"]).fails(6, "nobodys");
    say(&forger, &["owner", "add", "nobodys", "you"]).fails(6, "nobodys");
    forger.reader(&["log", "verify", "--registry", "reg"]).ok();
}

#[test]
fn a_recovery_key_mends_the_owners_and_releases_nothing() {
    let forger = Forger::new();
    forger.new_key("you");
    forger.new_key("safe");
    say(&forger, &["owner", "add", "grads", "safe", "--recovery"]).ok();
    let by_safe = |args: &[&str]| forger.isn(&[args, &["--registry", "reg", "--key", "safe"]].concat());
    by_safe(&["yank", "grads@1.0", "--reason", "none"]).fails(4, "which is not an owner of the name");
    by_safe(&["publish", "out2"]).fails(4, "which is not an owner of the name");
    by_safe(&["revoke", "me", "--reason", "stolen"]).fails(4, "the revocation of a key of other");
    by_safe(&["revoke", "me", "--name", "grads", "--reason", "stolen"]).ok();
    by_safe(&["key", "rotate", "me", "you", "--name", "grads"])
        .fails(1, "is not a key of these names, or is revoked already");
    by_safe(&["owner", "add", "grads", "you"]).fails(4, "which entry 5 revoked");
    by_safe(&["owner", "remove", "grads", "me"]).fails(1, "the threshold is from 1");
}

#[test]
fn signatures_are_collected_on_different_machines() {
    let forger = Forger::new();
    // The second owner, `you`, has a separate machine.
    forger.as_user("yours", &["key", "new", "you", "--no-passphrase"]).ok();
    let line = forger.as_user("yours", &["key", "show", "you"]).ok().stdout;
    say(&forger, &["owner", "add", "grads", line.trim()]).ok();
    say(&forger, &["owner", "threshold", "grads", "2"]).ok();
    let size = forger.entries().len();
    let ran = say(&forger, &["publish", "out2", "--json"]).ok().json();
    assert_eq!(
        (ran["file"].as_str(), ran["missing_signatures"].as_u64()),
        (Some("grads-1.1.release.statement"), Some(1))
    );
    let file = "grads-1.1.release.statement";
    assert_eq!(forger.entries().len(), size);
    forger.read("grads@1.1").fails(6, "grads@1.1 is not in");
    say(&forger, &["publish", "out2"]).fails(1, "it may hold signatures already");
    forger.isn(&["append", file, "--registry", "reg"]).fails(1, "has 1 of the 2 signatures that it needs");
    forger.isn(&["sign", file, "--key", "me"]).fails(1, "already exists");
    let signed = forger.as_user("yours", &["sign", file, "--key", "you"]).ok().stdout;
    assert!(signed.starts_with("isn/v1 release\nname grads\nversion 1.1\n"), "{signed}");
    assert_eq!(signed.matches("signed by SHA256:").count(), 2, "{signed}");
    let by_both = forger.bytes(file);
    forger.isn(&["append", file, "--registry", "reg"]).fails(0, &format!("is entry {size} of the log"));
    assert_eq!(forger.bytes("reg/releases/grads/1.1"), by_both);
    let report = forger.read("grads@1.1").ok().json();
    assert_eq!(report["signed_by"].as_array().unwrap().len(), 2);
    // Appending the same statement again, even with its signatures in another order, changes nothing.
    forger.isn(&["append", file, "--registry", "reg"]).fails(0, &format!("is entry {size} of the log"));
    fs::remove_file(forger.path(file)).unwrap();
    let yours = [&["publish", "out2", "--registry", "reg", "--statement", file, "--key", "me"][..]].concat();
    forger.isn(&yours).ok();
    assert!(!forger.path(file).exists(), "it was there already");
    let text = String::from_utf8(by_both).unwrap();
    let (statement, blocks) = text.split_once("\n\n").unwrap();
    let at = blocks.rfind("-----BEGIN").unwrap();
    forger.write("turned", format!("{statement}\n\n{}{}", &blocks[at..], &blocks[..at]).as_bytes());
    forger.isn(&["append", "turned", "--registry", "reg"]).fails(0, &format!("is entry {size} of the log"));
    forger.reader(&["log", "verify", "--registry", "reg"]).ok();
    // Signatures of something else are not accepted.
    forger.write("bad", text.replace("version 1.1", "version 1.2").as_bytes());
    forger.isn(&["append", "bad", "--registry", "reg"]).fails(4, "is not valid");
    forger.isn(&["sign", "bad", "--key", "me"]).fails(4, "is not valid");
}

#[test]
fn a_statement_without_signatures_can_be_signed_too() {
    let forger = Forger::new();
    forger.write("yank", forger.yank("1.0").to_string().as_bytes());
    forger.isn(&["sign", "yank", "--key", "me"]).ok();
    forger.isn(&["append", "yank", "--registry", "reg"]).fails(0, "the yank of grads@1.0 is entry 4");
    forger.isn(&["append", "yank", "--registry", "reg"]).fails(1, "says again what entry 4 says");
    forger.write("yank", b"isn/v1 yank\nname grads\n");
    forger.isn(&["sign", "yank", "--key", "me"]).fails(1, "line 3 must begin with 'version '");
}

#[test]
fn a_yanked_version_stays_and_warns() {
    let forger = Forger::with_two_versions();
    let pin = forger.read("grads@1.1").ok().json()["pin"].as_str().unwrap().to_string();
    say(&forger, &["yank", "grads@1.1", "--reason", "labels are wrong"])
        .fails(0, "the yank of grads@1.1 is entry 5");
    // Once is enough, and a rerun is not an error.
    say(&forger, &["yank", "grads@1.1", "--reason", "labels are wrong"]).fails(0, "entry 5");
    say(&forger, &["yank", "grads@1.1", "--reason", "other"]).fails(4, "says again what entry 5 says");
    say(&forger, &["yank", "grads@7.0", "--reason", "none"]).fails(6, "it has 1.0, 1.1");
    say(&forger, &["yank", "grads", "--reason", "none"]).fails(1, "expected NAME@VERSION");
    say(&forger, &["yank", "grads@1.0", "--reason", "two\nlines"]).fails(2, "not printable ASCII");
    let newest = forger.read("grads").ok();
    assert_eq!((newest.json()["version"].as_str(), newest.stderr.as_str()), (Some("1.0"), ""));
    let warning = "grads@1.1 is yanked: its owners advise against it: labels are wrong";
    for reference in ["grads@1.1", &pin, &pin[pin.len() - 67..]] {
        let ran = forger.read(reference).ok();
        assert!(ran.stderr.contains(&format!("warning: {warning}")), "{reference}: {}", ran.stderr);
        assert_eq!(ran.json()["warnings"], serde_json::json!([warning]), "{reference}");
    }
    // A user who trusts no key gets no warning: the log is not read.
    let ran = forger.as_user("nobody", &["info", &pin, "--registry", "reg"]).ok();
    assert_eq!(ran.stderr, "");
    assert!(!forger.path("nobody/logs").exists());
    say(&forger, &["yank", "grads@1.0", "--reason", "this too"]).ok();
    forger.read("grads").fails(1, "has no version that is neither yanked nor withdrawn");
}

#[test]
fn a_withdrawn_version_is_had_by_its_pin_while_it_is_there() {
    let forger = Forger::with_two_versions();
    let pin = forger.read("grads@1.1").ok().json()["pin"].as_str().unwrap().to_string();
    let hash = pin[pin.len() - 67..].to_string();
    say(&forger, &["withdraw", "grads@1.1", "--reason", "a person asked"]).ok();
    assert_eq!(forger.read("grads").ok().json()["version"], "1.0");
    forger.read("grads@1.1").fails(6, "grads@1.1 has been withdrawn by its owners: a person asked");
    for reference in [&pin, &hash] {
        forger.read(reference).fails(0, "grads@1.1 is withdrawn: its owners say: a person asked");
    }
    // First the images are removed, then everything that describes them.
    let gone = |ending: &str| {
        let kept: Vec<String> =
            contents(&forger.path("out/objects")).into_iter().map(|(name, _)| name).collect();
        for path in forger.objects("reg", ending) {
            if !kept.iter().any(|name| path.ends_with(name)) {
                fs::remove_file(forger.path(&path)).unwrap();
            }
        }
    };
    for ending in [".tar.zst", ".jsonl.zst", ".json"] {
        gone(ending);
        for reference in [&pin, &hash] {
            forger.read(reference).fails(6, "withdrawn by its owners: a person asked");
        }
        forger.read("grads@1.0").ok();
    }
}

#[test]
fn a_revoked_key_counts_no_more() {
    let forger = Forger::new();
    forger.new_key("you");
    say(&forger, &["owner", "add", "grads", "you"]).ok();
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "you"]).ok();
    // A key can revoke itself, whoever holds it: a thief gains nothing by that.
    let by_you = |args: &[&str]| forger.isn(&[args, &["--registry", "reg", "--key", "you"]].concat());
    by_you(&["revoke", "me", "--name", "other", "--reason", "none"])
        .fails(4, "which is not an owner of the name");
    by_you(&["revoke", "you", "--reason", "stolen"])
        .fails(0, "the revocation of a key of grads is entry 6 of the log");
    by_you(&["revoke", "you", "--reason", "stolen"]).fails(1, "is revoked already");
    by_you(&["yank", "grads@1.0", "--reason", "none"]).fails(4, "which entry 6 revoked");
    forger.read("grads@1.1").ok();
    let shown = forger.reader(&["owner", "show", "grads", "--registry", "reg"]).ok().stdout;
    assert!(shown.contains("revoked") && shown.contains("by entry 6"), "{shown}");
    assert_eq!(owners(&forger)["revoked"].as_array().unwrap().len(), 1);
}

#[test]
fn a_key_is_rotated_in_every_name() {
    let forger = Forger::new();
    let you = forger.new_key("you").to_string();
    let ran = say(&forger, &["key", "rotate", "me", "you"]).ok().stdout;
    assert!(
        ran.contains("the owner statement of grads is entry 4") && ran.contains("of other is entry 5"),
        "{ran}"
    );
    assert_eq!(owners(&forger)["keys"], serde_json::json!([you]));
    say(&forger, &["publish", "out2"]).fails(4, "which is not an owner of the name");
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "you"]).ok();
    forger.read("grads@1.1").ok();
    forger.read("grads@1.0").ok();
    say(&forger, &["key", "rotate", "me", "you"]).fails(1, "is not a key of these names");
    forger.reader(&["log", "verify", "--registry", "reg"]).ok();
}

#[test]
fn a_registry_is_its_logs_name_and_key() {
    let forger = Forger::new();
    let made =
        forger.isn(&["registry", "init", "named", "--origin", "example.org/birds", "--json"]).ok().json();
    assert!(made["log_key"].as_str().unwrap().starts_with("example.org/birds+"), "{made}");
    let key_path = PathBuf::from(made["key_path"].as_str().unwrap());
    let verified = forger.as_user("nobody", &["log", "verify", "--registry", "named"]).ok().stdout;
    assert!(verified.contains("0 entries"), "{verified}");
    forger.isn(&["registry", "init", "bad", "--origin", "two words"]).fails(1, "origin 'two words'");
    assert!(!forger.path("bad/registry.json").exists());

    // Another machine does not have this log's key: isn says so before it writes anything.
    forger.as_user("yours", &["key", "new", "you", "--no-passphrase"]).ok();
    let before = contents(&forger.path("named"));
    let publish = ["publish", "out", "--registry", "named", "--key", "you"];
    let ran = forger.as_user("yours", &publish).fails(1, "is not on this machine");
    assert!(ran.stderr.contains("example.org/birds"), "{}", ran.stderr);
    let after = contents(&forger.path("named"));
    let objects =
        |files: &[(String, Vec<u8>)]| files.iter().filter(|(name, _)| !name.contains(".isn-")).count();
    assert_eq!(objects(&before), objects(&after));
    let key = key_path.to_str().unwrap();
    let wrong = forger.path("home/keys/me");
    forger
        .as_user("yours", &["registry", "init", "named", "--log-key", wrong.to_str().unwrap()])
        .fails(1, "is not the private key of log example.org/birds");
    let made =
        forger.as_user("yours", &["registry", "init", "named", "--log-key", key, "--json"]).ok().json();
    assert_eq!(made["made"], false);
    forger.as_user("yours", &publish).ok();
    forger.isn(&["publish", "out-other", "--registry", "named", "--key", "me"]).ok();
    // An existing key becomes the key of a new log.
    let own = wrong.to_str().unwrap();
    let made =
        forger.isn(&["registry", "init", "own", "--log-key", own, "--origin", "example.org/own", "--json"]);
    let vkey: LogKey = made.ok().json()["log_key"].as_str().unwrap().parse().unwrap();
    assert_eq!((vkey.origin(), *vkey.key()), ("example.org/own", forger.public("me")));
}

#[test]
fn a_log_gets_another_key() {
    let forger = Forger::new();
    forger.read("grads@1.0").ok();
    let (old, old_private) = (forger.anchor("reg"), forger.log_private());
    let old_signer = LogSigner::new(old.origin(), old_private).unwrap();
    let before = forger.entries();
    forger.isn(&["registry", "rotate-key", "reg"]).fails(0, "the change of key of log");
    let new = forger.anchor("reg");
    assert!(new != old && new.origin() == old.origin());
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    let after = forger.entries();
    // A reader who knows the log by the old key can continue; a new reader uses the new key.
    forger.read("grads@1.1").ok();
    forger.forget();
    forger.read("grads@1.1").ok();
    let verified = forger.reader(&["log", "verify", "--registry", "reg"]).ok().stdout;
    assert!(verified.contains(&format!("key now  {new}")), "{verified}");
    forger.as_user("late", &["trust", "add", "reg", &new.to_string()]).ok();
    forger.as_user("late", &["pull", "grads@1.1", "--registry", "reg", "--to", "a"]).ok();
    forger.as_user("late", &["log", "verify", "--registry", "reg"]).ok();
    // A proof is checked with the key that was valid when it was made.
    for home in ["reader", "late"] {
        forger.as_user(home, &["prove", "grads@1.1", "--registry", "reg", "--out", "proof"]).ok();
        forger.as_user(home, &["verify", "--proof", "proof"]).ok();
    }
    // A signature by the old key no longer counts, neither for a longer log nor for one of the same size.
    let more = [after.clone(), vec![b"noise".to_vec()]].concat();
    for entries in [&after, &more] {
        for forget in [false, true] {
            if forget {
                forger.forget();
            }
            forger.write_log_by(entries, &old_signer);
            forger.refused("grads@1.1", "is not signed by the log's key");
            forger
                .as_user("late", &["info", "grads@1.1", "--registry", "reg"])
                .fails(4, "not signed by the log's key");
        }
        forger.write_log(&after);
        forger.read("grads@1.1").ok();
    }
    // A checkpoint that it signed before the change belongs to a stale mirror.
    forger.write_log_by(&before, &old_signer);
    forger.read("grads@1.0").fails(0, "is a stale mirror");
    forger.write_log(&after);
    // The key can be rotated once more.
    forger.isn(&["registry", "rotate-key", "reg"]).ok();
    forger.read("grads@1.1").ok();
    forger.as_user("late", &["log", "verify", "--registry", "reg"]).ok();
    forger.as_user("later", &["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    forger.as_user("later", &["log", "verify", "--registry", "reg"]).ok();
    forger.as_user("nobody", &["registry", "rotate-key", "reg"]).fails(1, "is not on this machine");
}
