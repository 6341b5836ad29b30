//! A registry serves something other than the log, or another log than the one that was seen before.

use std::fs;

use isn_format::key::PrivateKey;
use isn_format::log::{LogSigner, SignedCheckpoint};

use crate::forger::Forger;
use crate::sandbox::contents;
use crate::server::Server;

#[test]
fn release_replaced() {
    for forger in Forger::both().map(Forger::and_a_second_version) {
        let good = forger.bytes("reg/releases/grads/1.0");
        let path = "releases/grads/1.0 was replaced";
        // Replaced by the owner's other build, by another version, by the same release signed by another key,
        // and by noise.
        let other_build = forger.release("out2", "1.0", &["me"]);
        let other_version = forger.bytes("reg/releases/grads/1.1");
        forger.new_key("you");
        let other_signer = forger.release("out", "1.0", &["you"]);
        for bytes in
            [other_build, other_version, other_signer, b"noise".to_vec(), vec![b'x'; 40_000], Vec::new()]
        {
            forger.write("reg/releases/grads/1.0", &bytes);
            forger.refused("grads@1.0", path);
            // Refused for readers who have and who have not seen it before; other versions can still be read.
            forger.forget();
            forger.refused("grads@1.0", path);
            forger.read("grads@1.1").ok();
        }
        // Without the file nothing is lost, because the log has the release.
        fs::remove_file(forger.path("reg/releases/grads/1.0")).unwrap();
        forger.read("grads@1.0").ok();
        forger.write("reg/releases/grads/1.0", &good);
        forger.read("grads@1.0").ok();
    }
}

#[test]
fn log_missing_that_was_there() {
    for forger in Forger::both() {
        forger.read("grads@1.0").ok();
        fs::rename(forger.path("reg/log"), forger.path("reg-log")).unwrap();
        let size = forger.first() + 4;
        let missing = &format!("shows no log (log/checkpoint is not there), but had one of {size} entries");
        forger.refused("grads@1.0", missing);
        forger.refused("grads", missing);
        let about = forger.bytes("reg/registry.json");
        forger.write(
            "reg/registry.json",
            br#"{"format":"isn-registry/1","description":"as before there were logs"}"#,
        );
        forger.refused("grads@1.0", missing);
        forger.reader(&["log", "verify", "--registry", "reg"]).fails(4, missing);
        // A reader who knows the log's key and has never read the log is not deceived either.
        forger.forget();
        forger.refused("grads@1.0", "shows no log, but is known by");
        // Nor is a reader who knew only the publisher's key and learnt of the log on first use.
        let key = forger.isn(&["key", "show", "me"]).ok().stdout;
        let by_key = |args: &[&str]| forger.as_user("by-key", args);
        by_key(&["trust", "add", "reg", key.trim()]).ok();
        fs::rename(forger.path("reg-log"), forger.path("reg/log")).unwrap();
        forger.write("reg/registry.json", &about);
        by_key(&["info", "grads@1.0", "--registry", "reg"]).ok();
        fs::remove_dir_all(forger.path("reg/log")).unwrap();
        for json in [about, br#"{"format":"isn-registry/1","description":""}"#.to_vec()] {
            forger.write("reg/registry.json", &json);
            by_key(&["info", "grads@1.0", "--registry", "reg"]).fails(4, missing);
        }
    }
}

#[test]
fn log_files_missing_that_were_there() {
    for forger in Forger::both() {
        let bundle = forger.bundle();
        fs::remove_file(forger.path(&bundle)).unwrap();
        forger.refused("grads@1.0", &bundle["reg/".len()..]);
    }
}

#[test]
fn rollback() {
    for forger in Forger::both().map(Forger::and_a_second_version) {
        forger.read("grads@1.1").ok();
        // A shorter log with another history, without the release of 1.1.
        let mut entries = forger.entries();
        entries.truncate(2);
        entries.push(forger.signed(&forger.yank("1.0"), &["me"]));
        forger.write_log(&entries);
        let size = forger.first() + 5;
        if forger.first() > 0 {
            // Who has read one name by the index cannot tell it from a mirror that is behind: what was seen
            // counts.
            forger.read("grads@1.0").fails(0, "stale mirror");
            let ran = forger.read("grads@1.1").ok();
            assert!(!ran.stderr.contains("is yanked"), "{}", ran.stderr);
            forger.refused("other@1.0", &format!("{size} were seen before"));
            continue;
        }
        let ran = forger.refused("grads@1.0", "rollback");
        assert!(ran.stderr.contains(&format!("contradicts the one of {size} entries")), "{}", ran.stderr);
        assert_eq!(forger.evidence().len(), 1);
        forger.refused("grads@1.1", "rollback");
        // Still refused without the stored replay, which only saves work; then only the sizes can be
        // compared.
        for (name, _) in contents(&forger.path("reader/logs")) {
            if name.ends_with("/replay") {
                fs::remove_file(forger.path("reader/logs").join(name)).unwrap();
            }
        }
        forger.refused("grads@1.0", &format!("{size} were seen before"));
        // The publisher's own pull is refused too.
        let pin = forger.isn(&["info", "grads@1.0", "--registry", "reg", "--json"]);
        assert_eq!(pin.code, 4, "the publisher has seen more too");
    }
}

#[test]
fn stale_mirror_is_no_rollback() {
    for forger in Forger::both() {
        forger.copy("reg", "old");
        forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
        forger
            .isn(&["yank", "grads@1.0", "--reason", "labels are wrong", "--registry", "reg", "--key", "me"])
            .ok();
        forger.read("grads@1.1").ok();
        fs::rename(forger.path("reg"), forger.path("new")).unwrap();
        forger.copy("old", "reg");
        let (old, new) = (forger.first() + 4, forger.first() + 6);
        let stale = &format!("stale mirror: its log has {old} entries, {new} were seen before");
        let ran = forger.read("grads@1.0").fails(0, stale);
        assert!(ran.stderr.starts_with("warning: "), "{}", ran.stderr);
        // What was seen before counts: a yank that this mirror lacks, and a version whose objects it lacks.
        assert!(ran.stderr.contains("grads@1.0 is yanked"), "{}", ran.stderr);
        fs::remove_dir_all(forger.path("reg/objects")).unwrap();
        forger.copy("out/objects", "reg/objects");
        forger.read("grads@1.1").fails(3, "is missing");
        // Who has read one name by the index has nothing to show instead of the whole log.
        let (code, stale) =
            if forger.first() == 0 { (0, stale.as_str()) } else { (4, "this mirror is stale") };
        forger.reader(&["log", "verify", "--registry", "reg"]).fails(code, stale);
        forger.reader(&["log", "watch", "--once", "--registry", "reg"]).fails(code, stale);
        assert!(forger.evidence().is_empty());
        // A reader who never saw more accepts the mirror as it is.
        forger.forget();
        let ran = forger.read("grads@1.0").ok();
        assert_eq!(ran.stderr, "");
        // A machine that has seen more does not append to it, because that would create another history.
        forger
            .isn(&["yank", "other@1.0", "--reason", "none", "--registry", "reg", "--key", "me"])
            .fails(4, "was put back to an earlier state");
    }
}

/// A registry that shows less than was seen does not make what was seen of its log look better than it is.
#[test]
fn entries_without_effect_that_were_seen_are_listed_when_the_registry_is_behind_or_not_asked() {
    for forger in Forger::both() {
        forger.copy("reg/log", "old");
        let index = forger.has_no_effect(&forger.release("out2", "1.0", &["me"]), "is a second release");
        let server = Server::new(&forger.path("reg"));
        forger.reader(&["trust", "add", &server.url, &forger.anchor("reg").to_string()]).ok();
        forger.reader(&["log", "verify", "--registry", &server.url]).fails(8, "1 without effect");
        let says = |args: &[&str], why: &str| {
            let ran = forger.reader(&[&["log", "verify"], args].concat()).fails(8, why);
            let line = format!("{index:>6}  NO EFFECT: the release of grads@1.0 is a second release");
            for said in [line.as_str(), "not read again, 1 without effect"] {
                assert!(ran.stdout.contains(said), "{args:?}: {}", ran.stdout);
            }
            let json = forger.reader(&[&["log", "verify", "--json"], args].concat()).fails(8, "").json();
            assert_eq!(json["rejected"][0]["entry"], index, "{json}");
        };
        says(&["--registry", &server.url, "--offline"], "as it was last seen");
        fs::remove_dir_all(forger.path("reg/log")).unwrap();
        forger.copy("old", "reg/log");
        says(&["--registry", "reg"], "stale mirror");
    }
}

#[test]
fn fork() {
    for forger in Forger::both() {
        forger.read("grads@1.0").ok();
        let before = forger.bytes("reg/log/checkpoint");
        // A longer log with another history.
        let mut entries = forger.entries();
        let last = entries.len() - 1;
        entries[last] = forger.signed(&forger.yank("1.0"), &["me"]);
        entries.push(forger.release("out2", "1.1", &["me"]));
        entries.push(b"noise".to_vec());
        forger.write_log(&entries);
        for reference in ["grads@1.1", "grads@1.0", "grads", "other@1.0"] {
            forger.refused(reference, "shows another history than was seen before (a fork");
        }
        for command in ["show", "verify", "watch"] {
            let once: &[&str] = if command == "watch" { &["--once"] } else { &[] };
            let args = [&["log", command, "--registry", "reg"], once].concat();
            forger.reader(&args).fails(4, "a fork");
        }
        // Both signed checkpoints are kept as evidence, once.
        let evidence = forger.evidence();
        assert_eq!(evidence.len(), 1, "{evidence:?}");
        assert_eq!(fs::read(evidence[0].join("before.note")).unwrap(), before);
        assert_eq!(fs::read(evidence[0].join("now.note")).unwrap(), forger.bytes("reg/log/checkpoint"));
        let anchor = forger.anchor("reg");
        for note in ["before.note", "now.note"] {
            let note = fs::read(evidence[0].join(note)).unwrap();
            SignedCheckpoint::parse("note", note).unwrap().verify(&anchor).unwrap();
        }
        let listed = forger.reader(&["log", "evidence"]).ok().stdout;
        assert!(
            listed.contains(&anchor.to_string()) && listed.contains(evidence[0].to_str().unwrap()),
            "{listed}"
        );
        // A reader who looks for the first time cannot tell.
        forger.forget();
        forger.read("grads@1.1").ok();
    }
}

#[test]
fn same_size_with_another_root() {
    for forger in Forger::both() {
        forger.read("grads@1.0").ok();
        let mut entries = forger.entries();
        let last = entries.len() - 1;
        entries[last] = forger.signed(&forger.yank("1.0"), &["me"]);
        forger.write_log(&entries);
        forger.refused("grads@1.0", "shows another history than was seen before");
        assert_eq!(forger.evidence().len(), 1);
        // The checkpoint alone proves it, whatever the entries are.
        let good = Forger::new();
        good.read("grads@1.0").ok();
        let note = SignedCheckpoint::sign(&good.log_signer(), 4, isn_format::log::Hash([7; 32])).unwrap();
        good.write("reg/log/checkpoint", note.bytes());
        good.refused("grads@1.0", "shows another history than was seen before");
    }
}

#[test]
fn checkpoint_with_a_foreign_key() {
    for forger in Forger::both() {
        let (anchor, entries) = (forger.anchor("reg"), forger.entries());
        let foreign = "is not signed by the log's key";
        let other = LogSigner::new(anchor.origin(), PrivateKey::generate("").unwrap()).unwrap();
        let more = [entries.clone(), vec![forger.release("out2", "1.1", &["me"])]].concat();
        for known in [false, true] {
            if known {
                forger.write_log(&entries);
                forger.read("grads@1.0").ok();
            }
            for entries in [&entries, &more, &entries[..2].to_vec()] {
                forger.write_log_by(entries, &other);
                forger.refused("grads@1.0", foreign);
            }
            // Still refused if the registry claims to be this log, or claims more entries than it has.
            let about = forger.bytes("reg/registry.json");
            let text = String::from_utf8(about.clone()).unwrap();
            forger.write(
                "reg/registry.json",
                text.replace(&anchor.to_string(), &other.log_key().to_string()).as_bytes(),
            );
            forger.refused("grads@1.0", foreign);
            forger.write("reg/registry.json", &about);
            let note = SignedCheckpoint::sign(&other, 1000, isn_format::log::Hash([7; 32])).unwrap();
            forger.write("reg/log/checkpoint", note.bytes());
            forger.refused("grads@1.0", foreign);
        }
        // The log's own key under another name, and an invalid signature.
        let renamed = LogSigner::new("example.org/other", forger.log_private()).unwrap();
        forger.write_log_by(&entries, &renamed);
        forger.refused("grads@1.0", "is of log example.org/other, expected");
        forger.write_log(&entries);
        let note = String::from_utf8(forger.bytes("reg/log/checkpoint")).unwrap();
        let (size, less) = (forger.first() + 4, forger.first() + 3);
        let less = note.replacen(&format!("\n{size}\n"), &format!("\n{less}\n"), 1);
        forger.write("reg/log/checkpoint", less.as_bytes());
        forger.refused("grads@1.0", "that is not valid");
        assert!(forger.evidence().is_empty(), "only what the log signed is evidence about it");
    }
}

#[test]
fn tile_flipped() {
    for forger in Forger::both().map(Forger::and_a_second_version) {
        // A bundle, damaged at both ends and in a length: readers who need it are refused; those who have
        // read it can go on.
        let bundle = forger.bundle();
        let good = forger.bytes(&bundle);
        // By the index, only the entries of the name are read.
        let (places, names): (&[usize], &[&str]) = match forger.first() {
            0 => (&[0, 1, 2, 100, good.len() - 1], &["grads@1.0", "other"]),
            _ => (&[good.len() - 1, good.len() - 100], &["grads@1.0", "grads@1.1"]),
        };
        for &at in places {
            let mut bad = good.clone();
            bad[at] ^= 1;
            forger.write(&bundle, &bad);
            forger.forget();
            for reference in names {
                forger.refused(reference, &bundle["reg/".len()..]);
            }
            forger.reader(&["log", "verify", "--registry", "reg"]).fails(4, &bundle["reg/".len()..]);
            forger.write(&bundle, &good);
            forger.read("grads@1.0").ok();
        }
        // No pull reads a hash tile, but the audit does.
        let (tile, good) = forger.hash_tile();
        for at in [0, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x80;
            forger.write(&tile, &bad);
            forger.read("grads@1.0").ok();
            let ran = forger.reader(&["log", "verify", "--registry", "reg"]).fails(4, &tile["reg/".len()..]);
            assert!(ran.stderr.contains("was changed"), "{}", ran.stderr);
        }
        fs::remove_file(forger.path(&tile)).unwrap();
        forger.reader(&["log", "verify", "--registry", "reg"]).fails(4, "is missing");
        forger.write(&tile, &good);
        forger.reader(&["log", "verify", "--registry", "reg"]).ok();
    }
}

#[test]
fn entry_moved() {
    for forger in Forger::both().map(Forger::and_a_second_version) {
        let (checkpoint, bundle) = (forger.bytes("reg/log/checkpoint"), forger.bundle());
        let mut entries = forger.entries();
        entries.swap(1, 3);
        let tile = forger.hash_tile();
        forger.write_log(&entries);
        let moved_tile = forger.hash_tile();
        forger.write("reg/log/checkpoint", &checkpoint);
        // Bundle and hashes agree, so the checkpoint does not match.
        forger.refused("grads@1.0", "entries were changed, moved or left out");
        // Only the bundle is changed.
        forger.write(&tile.0, &tile.1);
        let ran = forger.refused("grads@1.0", "entries were moved");
        assert!(ran.stderr.contains(&bundle["reg/".len()..]), "{}", ran.stderr);
        // Only the hashes are changed.
        entries.swap(1, 3);
        forger.write_log(&entries);
        forger.write(&tile.0, &moved_tile.1);
        forger.read("grads@1.0").ok();
        forger.reader(&["log", "verify", "--registry", "reg"]).fails(4, "was changed");
        // The last entry is moved forward, and the whole log is written again.
        forger.write(&tile.0, &tile.1);
        let last = entries.pop().unwrap();
        entries.insert(1, last);
        forger.write_log(&entries);
        forger.refused("grads@1.0", "shows another history");
    }
}

#[test]
fn note_with_control_characters_or_crlf() {
    for forger in Forger::both() {
        let good = forger.bytes("reg/log/checkpoint");
        let text = String::from_utf8(good.clone()).unwrap();
        let size = forger.first() + 4;
        let (body, signatures) = text.split_once("\n\n").unwrap();
        let named = "is not a signed note";
        for (bad, why) in [
            (text.replace('\n', "\r\n"), named),
            (text.replacen('\n', "\r\n", 1), named),
            (text.replacen('\n', "\x1b[2J\n", 1), named),
            (text.replacen('\n', "\0\n", 1), named),
            (text.replacen('\n', "\u{85}\n", 1), "checkpoint"),
            (text.replacen(&format!("\n{size}\n"), &format!("\n0{size}\n"), 1), "checkpoint"),
            (text.replacen(&format!("\n{size}\n"), &format!("\n+{size}\n"), 1), "checkpoint"),
            (format!("{body}\n{signatures}"), "note"),
            (format!("{text}\n"), "note"),
            (format!("{text}garbage\n"), "note"),
            (text.trim_end().to_string(), "note"),
            (text.replace("\u{2014}", "-"), "note"),
            (String::new(), "note"),
            ("x".repeat(65_000), "note"),
        ] {
            for known in [false, true] {
                forger.write("reg/log/checkpoint", &good);
                forger.forget();
                if known {
                    forger.read("grads@1.0").ok();
                }
                forger.write("reg/log/checkpoint", bad.as_bytes());
                let ran = forger.refused("grads@1.0", why);
                assert!(ran.stderr.contains("log/checkpoint"), "{}", ran.stderr);
                assert!(!ran.stderr.contains('\x1b'), "{}", ran.stderr);
            }
        }
    }
}
