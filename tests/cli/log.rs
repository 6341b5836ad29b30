//! `isn log`, `isn prove`, `isn verify --proof`, and how a log becomes trusted:
//! first contact, mirrors, witnesses.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::*;
use isn_format::key::PrivateKey;
use isn_format::log::WitnessKey;

use crate::forger::Forger;
use crate::server::Server;

const REG: [&str; 2] = ["--registry", "reg"];

#[test]
fn show_verify_and_watch() {
    let forger = Forger::new();
    let key = forger.public("me").fingerprint();
    let shown = forger.reader(&[&["log", "show"][..], &REG].concat()).ok().stdout;
    let expected = format!(
        "     0  the owner statement of grads  {key}\n     1  the release of grads@1.0  {key}\n     2  the owner statement \
         of other  {key}\n     3  the release of other@1.0  {key}\n"
    );
    assert_eq!(shown, expected);
    let json = forger.reader(&[&["log", "show", "--json"][..], &REG].concat()).ok().json();
    assert_eq!(json["size"], 4);
    assert_eq!(json["trusted"], true);
    assert_eq!(json["entries"][1]["kind"], "release");
    assert_eq!(json["entries"][1]["version"], "1.0");
    assert_eq!(json["entries"][1]["effect"], true);

    let verified = forger.reader(&[&["log", "verify"][..], &REG].concat()).ok().stdout;
    assert!(verified.contains("4 entries, every entry and tile checked, 0 without effect"), "{verified}");
    assert!(verified.contains(&forger.anchor("reg").to_string()), "{verified}");
    assert!(verified.contains(&forger.checkpoint().claimed_root().to_string()), "{verified}");
    // If no key is trusted, nobody vouches for the log, and the output says so.
    let verified = forger.as_user("nobody", &[&["log", "verify"][..], &REG].concat()).ok().stdout;
    assert!(verified.contains("nobody vouches for it"), "{verified}");

    let watch = [&["log", "watch", "--once"][..], &REG].concat();
    forger.as_user("nobody", &watch).fails(4, "no key is trusted for the log of registry");
    // A log that this reader has seen before is not reported again.
    assert_eq!(forger.reader(&watch).ok().stdout, "");
    forger.append(b"noise");
    forger.append(&forger.release("out2", "1.1", &["me"]));
    let news = forger.reader(&watch).ok().stdout;
    assert_eq!(news.lines().count(), 2, "{news}");
    assert!(news.starts_with("     4  NO EFFECT: is no statement"), "{news}");
    assert!(news.ends_with(&format!("     5  the release of grads@1.1  {key}\n")), "{news}");
    assert_eq!(forger.reader(&watch).ok().stdout, "");
    forger.forget();
    assert_eq!(forger.reader(&watch).ok().stdout.lines().count(), 6);
    forger.reader(&["log", "evidence"]).fails(0, "no evidence of a fork");
}

#[test]
fn a_log_that_was_read_is_read_on_and_not_again() {
    let forger = Forger::new();
    let server = Server::new(&forger.path("reg"));
    forger.reader(&["trust", "add", &server.url, &forger.anchor("reg").to_string()]).ok();
    let bundles = |server: &Server| -> Vec<_> {
        let log = server.log();
        log.into_iter().filter(|request| request.path.contains("tile/entries")).collect()
    };
    for pull in ["a", "b"] {
        forger.reader(&["pull", "grads@1.0", "--registry", &server.url, "--to", pull]).ok();
        assert_eq!(bundles(&server).len(), 1, "{pull}");
    }
    forger.append(&forger.release("out2", "1.1", &["me"]));
    forger.reader(&["pull", "grads@1.1", "--registry", &server.url, "--to", "c"]).ok();
    let bundles = bundles(&server);
    assert_eq!(bundles.len(), 2);
    assert!(bundles[1].range.is_some() && bundles[1].sent < bundles[0].sent, "{bundles:?}");
}

#[test]
fn first_contact_is_said_and_kept() {
    let forger = Forger::new();
    let key = forger.isn(&["key", "show", "me"]).ok().stdout;
    let user = |args: &[&str]| forger.as_user("user", &[args, &REG].concat());
    let ran = user(&["pull", "grads@1.0", "--to", "a"]).fails(4, "is signed by a key that is not trusted");
    assert!(
        ran.stderr.contains(&format!("isn trust add {} ", forger.path("reg").display())),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains(&forger.anchor("reg").to_string()), "{}", ran.stderr);
    forger.as_user("user", &["trust", "add", "reg", key.trim()]).ok();
    let ran = user(&["pull", "grads@1.0", "--to", "a", "--json"]).ok();
    let notice =
        format!("first contact: registry {} is known by its log's key", forger.path("reg").display());
    assert!(ran.stderr.contains(&notice) && ran.json()["warnings"].to_string().contains("first contact"));
    let ran = user(&["pull", "grads@1.0", "--to", "b"]).ok();
    assert!(!ran.stderr.contains("first contact"), "{}", ran.stderr);
    let listed = forger.as_user("user", &["trust", "list"]).ok().stdout;
    assert!(listed.contains(&forger.anchor("reg").to_string()), "{listed}");
    // A trusted publisher's key still limits which releases count, whatever the owners in the log.
    forger.new_key("you");
    let id = forger.id(&forger.owner(None, 1, &["me"]));
    forger.append(&forger.signed(&forger.owner(Some(id), 1, &["me", "you"]), &["me"]));
    forger.append(&forger.release("out2", "1.1", &["you"]));
    user(&["pull", "grads@1.1", "--to", "c"]).fails(4, "not trusted");
    forger.read("grads@1.1").ok();
    // Another log at that location is another registry.
    forger.isn(&["trust", "remove", "reg", &forger.anchor("reg").to_string()]).ok();
    fs::rename(forger.path("reg"), forger.path("first")).unwrap();
    forger.isn(&["registry", "init", "reg"]).ok();
    forger.isn(&["publish", "out", "--registry", "reg", "--key", "me"]).ok();
    user(&["pull", "grads@1.0", "--to", "d"]).fails(4, "expected");
    forger.refused("grads@1.0", "expected");
    let other = forger.anchor("reg").to_string();
    forger.reader(&["trust", "add", "reg", &other]).fails(1, "a registry is one log");
}

#[test]
fn mirrors_share_a_log_and_its_trust() {
    let forger = Forger::new();
    forger.read("grads@1.0").ok();
    forger.copy("reg", "mirror");
    forger.reader(&["pull", "grads@1.0", "--registry", "mirror", "--to", "a"]).ok();
    let server = Server::new(&forger.path("mirror"));
    forger.reader(&["pull", "grads@1.0", "--registry", &server.url, "--to", "b"]).ok();
    // What was seen at one location counts at the other.
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    forger.read("grads@1.1").ok();
    forger
        .reader(&["pull", "grads@1.0", "--registry", &server.url, "--to", "c"])
        .fails(0, "is a stale mirror");
    // The log's key may change meanwhile: a reader who followed the change recognises a new mirror
    // by the new key.
    forger.isn(&["registry", "rotate-key", "reg"]).ok();
    forger.reader(&["info", "grads@1.0", "--registry", "reg"]).ok();
    forger.copy("reg", "later");
    forger.reader(&["info", "grads@1.0", "--registry", "later"]).ok();
    // A known mirror that does not answer is no reason to fail.
    let both = format!("http://127.0.0.1:1,{},reg", server.url);
    let pull = ["pull", "grads@1.0", "--registry", &both, "--to", "d"];
    forger.reader(&pull).fails(5, "no log of it is known");
    forger.reader(&["trust", "add", "http://127.0.0.1:1", &forger.anchor("mirror").to_string()]).ok();
    forger.reader(&pull).ok();
}

#[test]
fn a_proof_holds_offline() {
    let forger = Forger::with_two_versions();
    forger.reader(&["prove", "grads@1.0", "--registry", "reg"]).fails(0, "entry 1 of log");
    forger.reader(&["prove", "grads@1.1", "--registry", "reg", "--out", "second"]).ok();
    forger.reader(&["pull", "grads@1.0", "--registry", "reg", "--to", "grads-1.0"]).ok();
    let (vkey, origin) = (forger.anchor("reg").to_string(), forger.anchor("reg").origin().to_string());
    let proof = "grads-1.0.tlog-proof";
    fs::rename(forger.path("reg"), forger.path("gone")).unwrap();
    let verify = |home: &str, args: &[&str]| forger.as_user(home, &[&["verify", "--proof"], args].concat());
    let ok = format!("ok: the release of grads@1.0 is entry 1 of log {origin}, which had 5 entries");
    verify("reader", &[proof]).fails(0, &ok);
    verify("nobody", &[proof]).fails(4, "also takes it by --log-key");
    verify("nobody", &[proof, "--log-key", &vkey]).fails(0, &ok);
    let json = verify("nobody", &[proof, "--log-key", &vkey, "--json"]).ok().json();
    assert_eq!(json["dataset"], forger.release_of("out", "1.0").dataset.prefixed());
    assert_eq!(json["log"]["index"], 1);
    let wrong = isn_format::log::LogKey::new(&origin, forger.public("me")).unwrap().to_string();
    verify("nobody", &[proof, "--log-key", &wrong]).fails(4, "is not signed by the log's key");
    // With a tree, the proof holds for this tree and no other.
    verify("reader", &[proof, "grads-1.0"]).ok();
    verify("reader", &["second", "grads-1.0"]).fails(3, "is not the expected version");
    let image = forger.path("grads-1.0/train/ant");
    let image = fs::read_dir(image).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&image).unwrap();
    bytes[100] ^= 1;
    fs::write(&image, bytes).unwrap();
    verify("reader", &[proof, "grads-1.0"]).fails(3, image.file_name().unwrap().to_str().unwrap());

    let text = String::from_utf8(forger.bytes(proof)).unwrap();
    let second = String::from_utf8(forger.bytes("second")).unwrap();
    let line = |text: &str, at: usize| text.lines().nth(at).unwrap().to_string();
    for (bad, code, why) in [
        (text.replace("index 1\n", "index 2\n"), 4, "does not lead from its statement"),
        (text.replace("index 1\n", "index 9\n"), 4, "is about entry 9 of a log of 5"),
        (text.replace(&line(&text, 1), &line(&second, 1)), 4, "does not lead from its statement"),
        (text.replace(&line(&text, 3), &line(&text, 4)), 4, "does not lead from its statement"),
        (text.replace("\n5\n", "\n6\n"), 4, "that is not valid"),
        (text.replace("index 1", "index 01"), 3, "line 3"),
        (text.replacen('\n', "\r\n", 1), 3, "does not begin"),
        (format!("{text}\n"), 4, "note"),
    ] {
        forger.write("bad", bad.as_bytes());
        verify("reader", &["bad"]).fails(code, why);
    }
}

/// Adds a line with `witness`'s cosignature of the checkpoint of `reg`.
pub fn cosign(forger: &Forger, witness: &WitnessKey, private: &PrivateKey, time: u64) {
    let checkpoint = forger.checkpoint();
    let id = signed_note::Verifier::key_id(witness).to_be_bytes();
    let blob = [&id[..], &witness.cosign(private, time, checkpoint.text())].concat();
    let line = format!("\u{2014} {} {}\n", witness.name(), BASE64_STANDARD.encode(blob));
    forger.write("reg/log/checkpoint", &[checkpoint.bytes(), line.as_bytes()].concat());
}

#[test]
fn witnesses_must_have_seen_the_checkpoint() {
    let forger = Forger::new();
    let keys: Vec<PrivateKey> = (0..2).map(|_| PrivateKey::generate("").unwrap()).collect();
    let witness =
        |at: usize| WitnessKey::new(&format!("witness{at}.example"), keys[at].public_line().key).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let pull = |more: &[&str]| {
        let _ = fs::remove_dir_all(forger.path("tree"));
        forger.reader(&[&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"], more].concat())
    };
    pull(&["--max-age", "1h"]).fails(1, "needs a witness, whose clock it uses");
    pull(&["--max-age", "1"]).fails(2, "expected a number and a unit");
    forger
        .as_user("nobody", &["info", "grads@1.0", "--registry", "reg", "--max-age", "1h"])
        .fails(1, "--max-age");
    let trust = |args: &[&str]| forger.reader(&[&["trust", "add", "reg"], args].concat());
    trust(&[&witness(0).to_string()]).fails(0, "must have signed the log");
    pull(&[]).fails(4, "is cosigned by 0 of the 1 witnesses that it needs");
    forger.reader(&["log", "verify", "--registry", "reg"]).fails(4, "is cosigned by 0 of the 1 witnesses");
    cosign(&forger, &witness(0), &keys[0], now - 7200);
    pull(&[]).ok();
    pull(&["--max-age", "3h"]).ok();
    pull(&["--max-age", "1h"]).fails(4, "more than the 3600 of --max-age");
    assert!(!forger.path("tree").exists());
    // Two cosignatures by one witness do not count as two witnesses.
    trust(&[&witness(1).to_string()]).ok();
    cosign(&forger, &witness(0), &keys[0], now);
    pull(&[]).fails(4, "is cosigned by 1 of the 2 witnesses that it needs");
    trust(&[&witness(1).to_string(), "--need", "3"]).fails(1, "is more than the 2 witnesses that are named");
    trust(&[&witness(1).to_string(), "--need", "1"]).ok();
    pull(&[]).ok();
    trust(&[&witness(1).to_string(), "--need", "2"]).ok();
    cosign(&forger, &witness(1), &keys[1], now);
    pull(&[]).ok();
    // The older of the two required cosignatures counts.
    pull(&["--max-age", "1h"]).fails(4, "--max-age");
    // A line that falsely claims to be a witness's.
    forger.append(b"noise");
    pull(&[]).fails(4, "is cosigned by 0 of the 2");
    cosign(&forger, &witness(0), &keys[1], now);
    pull(&[]).fails(4, "log/checkpoint");
    // A reader who requires no witnesses ignores their lines.
    forger.as_user("other", &["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    forger.as_user("other", &["info", "grads@1.0", "--registry", "reg"]).ok();
    // The publisher does not need them either to append to the log.
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
}

/// The log has the entry when outgrown tiles are removed, so a failure there is no failure of the writer.
#[cfg(unix)]
#[test]
fn what_lies_among_outgrown_tiles_does_not_fail_a_writer() {
    for folder in ["log/tile/0/000.p", "log/tile/entries/000.p"] {
        let forger = Forger::new();
        let pipe = forger.path("reg").join(folder).join("1");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
        let yank = ["yank", "grads@1.0", "--reason", "bad", "--key", "me", "--registry", "reg"];
        forger.isn(&yank).ok();
        let said = forger.isn(&["info", "grads@1.0", "--registry", "reg"]).ok().stderr;
        assert!(said.contains("is yanked"), "{folder}: {said}");
        forger.isn(&["verify", "reg"]).fails(3, "log/tile");
        fs::remove_file(&pipe).unwrap();
        forger.isn(&["verify", "reg"]).ok();
    }
}
