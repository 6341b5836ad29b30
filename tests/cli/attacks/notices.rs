//! What a pull by a pin reports, although a pin needs no log: what the log says must not be lost because one
//! registry of a list cannot show it, and must not be waited for.

use std::fs;
use std::time::{Duration, Instant};

use isn_format::digest::Digest;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;
use isn_registry::registry::layout;

use crate::forger::Forger;
use crate::sandbox::{Ran, ran};
use crate::server::{Fault, Server};

const ALWAYS: usize = usize::MAX;

/// A forger with `broken`, a copy of `reg` whose log cannot be read, and `stale`, a mirror from before
/// `grads@1.0` was yanked, and the pin of that version. The reader knows both by the log's key.
fn yanked() -> (Forger, String) {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    for copy in ["broken", "stale"] {
        forger.copy("reg", copy);
        forger.reader(&["trust", "add", copy, &forger.anchor("reg").to_string()]).ok();
    }
    // Also for root, whom permissions do not stop.
    fs::remove_file(forger.path("broken/log/checkpoint")).unwrap();
    fs::create_dir(forger.path("broken/log/checkpoint")).unwrap();
    forger.isn(&["yank", "grads@1.0", "--reason", "badimages", "--key", "me", "--registry", "reg"]).ok();
    (forger, pin)
}

fn info(forger: &Forger, pin: &str, list: &str) -> Ran {
    let mut command = forger.command(&["info", pin, "--no-cache", "--json", "--registry", list]);
    ran(command.env("ISN_HOME", forger.path("reader"))).ok()
}

#[test]
fn a_stale_mirror_hides_neither_the_yank_nor_that_a_log_cannot_be_read() {
    let (forger, pin) = yanked();
    for list in ["broken,stale,reg", "broken,reg,stale", "broken,reg"] {
        forger.forget();
        let said = info(&forger, &pin, list).stderr;
        assert!(
            said.contains("grads@1.0 is yanked: its owners advise against it: badimages"),
            "{list}: {said}"
        );
        assert!(said.contains("broken could not be read, so that of a mirror was"), "{list}: {said}");
        assert!(!said.contains("stale mirror"), "{list}: {said}");
    }
    // A reader who has seen nothing cannot know that the mirror is stale, but learns whose log was not read.
    forger.forget();
    let said = info(&forger, &pin, "broken,stale").stderr;
    assert!(said.contains("broken could not be read, so that of a mirror was"), "{said}");
    info(&forger, &pin, "reg");
    let said = info(&forger, &pin, "broken,stale").stderr;
    for part in ["broken could not be read, so that of a mirror was", "is a stale mirror", "badimages"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_log_that_was_read_elsewhere_says_who_signed() {
    let (forger, pin) = yanked();
    let signers = info(&forger, &pin, "reg").json()["signed_by"].clone();
    assert_eq!(signers.as_array().unwrap().len(), 1);
    for list in ["broken,reg", "broken,stale"] {
        forger.forget();
        let shown = info(&forger, &pin, list).json();
        assert_eq!(shown["signed_by"], signers, "{list}: {shown}");
        assert_eq!(shown["unsigned"], serde_json::json!([]), "{list}");
    }
    // As last seen, if no registry shows the log.
    assert_eq!(info(&forger, &pin, "broken").json()["signed_by"], signers);
    // Nobody says so to a reader who has seen nothing.
    forger.forget();
    let shown = info(&forger, &pin, "broken").json();
    assert_eq!(shown["signed_by"], serde_json::json!([]));
    assert_ne!(shown["unsigned"], serde_json::json!([]));
}

#[test]
fn a_log_that_is_absent_is_one_that_cannot_be_read() {
    let (forger, pin) = yanked();
    let signers = info(&forger, &pin, "reg").json()["signed_by"].clone();
    forger.copy("reg", "nolog");
    let server = Server::new(&forger.path("nolog"));
    for location in ["nolog", &server.url] {
        forger.reader(&["trust", "add", location, &forger.anchor("reg").to_string()]).ok();
    }
    fs::remove_file(forger.path("nolog/log/checkpoint")).unwrap();
    for lacks in ["the checkpoint", "the log"] {
        if lacks == "the log" {
            fs::remove_dir_all(forger.path("nolog/log")).unwrap();
        }
        for first in ["nolog", &server.url] {
            for others in ["reg", "stale,reg"] {
                forger.forget();
                let ran = info(&forger, &pin, &format!("{first},{others}"));
                let said = &ran.stderr;
                for part in ["could not be read, so that of a mirror was", "shows no log", "badimages"] {
                    assert!(said.contains(part), "{first} lacks {lacks}: {part}: {said}");
                }
                assert_eq!(ran.json()["signed_by"], signers, "{first} lacks {lacks}");
            }
            // Alone, it keeps no pin from its version, but a name.
            forger.forget();
            let said = info(&forger, &pin, first).stderr;
            assert!(said.contains("the log could not be read, and the pin counts without it"), "{said}");
            forger.reader(&["info", "grads@1.0", "--registry", first]).fails(4, "shows no log");
        }
    }
}

#[test]
fn a_mirror_asked_only_for_the_log_holds_no_pin_up() {
    let (forger, pin) = yanked();
    let log = forger.anchor("reg").to_string();
    let mute = Server::faulty(&forger.path("reg"), "", ALWAYS, Fault::Silence);
    // Faster than the minimum rate, and longer than isn waits for a notice.
    let mut about = forger.bytes("reg/registry.json");
    about.resize(40_000, b' ');
    forger.copy("reg", "padded");
    forger.write("padded/registry.json", &about);
    let slow = Server::faulty(&forger.path("padded"), "registry.json", ALWAYS, Fault::Throttle(4000));
    for server in [&mute, &slow] {
        forger.reader(&["trust", "add", &server.url, &log]).ok();
        let begun = Instant::now();
        let said = info(&forger, &pin, &format!("broken,{}", server.url)).stderr;
        assert!(said.contains("the log could not be read, and the pin counts without it"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_does_not_serve_shards_is_blamed_and_not_its_list() {
    let (forger, pin) = yanked();
    // The same images in another shard, by another list.
    forger.copy("reg", "repacked");
    let list = format!("repacked/packs/{}", Digest::of(&forger.bytes("out/manifest.json")));
    let object = |kind, digest: &Digest| format!("repacked/{}", layout::object(kind, digest));
    let digest: Digest = String::from_utf8(forger.bytes(&list)).unwrap().trim().parse().unwrap();
    let mut pack = Pack::parse("pack", &forger.bytes(&object(ObjectKind::Pack, &digest)), 1000).unwrap();
    let shard = object(ObjectKind::Shard, &pack.shards[0].blake3);
    let mut bytes = forger.bytes(&shard);
    fs::remove_file(forger.path(&shard)).unwrap();
    bytes.push(0);
    pack.shards[0] = ObjectRef::of(&bytes);
    forger.write(&object(ObjectKind::Shard, &pack.shards[0].blake3), &bytes);
    let bytes = pack.to_bytes().unwrap();
    let digest = Digest::of(&bytes);
    forger.write(&object(ObjectKind::Pack, &digest), &bytes);
    forger.write(&list, format!("{digest}\n").as_bytes());
    let faults = [
        (Fault::Status(503), "503"),
        (Fault::Status(403), "403"),
        (Fault::Reset, ""),
        (Fault::Flip(20), "shard"),
        (Fault::Status(404), ""),
    ];
    for (fault, why) in faults {
        let server = Server::faulty(&forger.path("reg"), ".tar.zst", ALWAYS, fault.clone());
        let list = format!("{},repacked", server.url);
        // Without a cache, an export reads only what is in a folder.
        let at_hand = "in no folder at hand, and there is no cache";
        for (verb, why) in [(&["pull"][..], why), (&["export", "--as", "webdataset"], at_hand)] {
            let args = [verb, &[&*pin, "--no-cache", "--to", "new", "--registry", &list]].concat();
            let ran = ran(forger.command(&args).env("ISN_RETRIES", "0")).ok();
            let said = ran.stderr;
            let is_said = said.contains("the images could not be fetched by") && said.contains(why);
            assert!(is_said, "{fault:?} {verb:?}: {said}");
            fs::remove_dir_all(forger.path("new")).unwrap();
        }
    }
}
