//! What a mirror copies: what the log states and, of unsigned files, only what the images of its versions
//! account for.

use std::fs;

use isn_format::digest::Digest;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::{Entry, Pack};

use crate::forger::Forger;
use crate::sandbox::{Sandbox, contents};
use crate::server::{Fault, Server};

/// Returns the path of the only list of packs, and its pack.
fn pack_of(sandbox: &Sandbox) -> (String, Pack) {
    let list = contents(&sandbox.path("reg/packs")).remove(0);
    let digest = String::from_utf8(list.1).unwrap();
    let bytes = sandbox.read(&format!("reg/objects/{}/{}.jsonl.zst", &digest[..2], digest.trim_end()));
    (format!("reg/packs/{}", list.0), Pack::parse("pack", &bytes, 1000).unwrap())
}

/// Lists another pack.
fn list(sandbox: &Sandbox, path: &str, pack: &Pack) -> ObjectRef {
    let object = sandbox.plant("reg", ObjectKind::Pack, &pack.to_bytes().unwrap());
    sandbox.write(path, format!("{}\n", object.blake3).as_bytes());
    object
}

#[test]
fn packs_and_shards_that_the_images_do_not_account_for() {
    let (sandbox, _) = Sandbox::published();
    let (path, honest) = pack_of(&sandbox);
    let good = sandbox.read(&path);
    let zeros = |length: usize| sandbox.plant("reg", ObjectKind::Shard, &vec![0; length]);
    // All images in a shard of zeros, as a pack may claim.
    let in_zeros = |length: usize, frame: u64| {
        let place = |(at, entry): (usize, &Entry)| Entry {
            offset: at as u64 * frame,
            length: frame,
            frame: Digest::of(&vec![0; frame as usize]),
            shard: 0,
            ..entry.clone()
        };
        let entries = honest.entries.iter().enumerate().map(place).collect();
        Pack { shards: vec![zeros(length)], entries }
    };
    let mut foreign = honest.clone();
    let last = foreign.entries.last().unwrap().clone();
    foreign.shards.push(zeros(100));
    let at = foreign.shards.len() - 1;
    let image = Digest::of(b"an image of nobody's");
    foreign.entries.push(Entry { blake3: image, shard: at, offset: 0, length: 100, ..last });
    let mut swapped = honest.clone();
    let second = swapped.entries[1].blake3;
    (swapped.entries[1].blake3, swapped.entries[0].blake3) = (swapped.entries[0].blake3, second);
    let cases = [
        ("a shard that is too long", in_zeros(1 << 20, 100), "more than the images in it account for"),
        ("a shard of zeros", in_zeros(100 * honest.entries.len(), 100), "its frame does not decompress"),
        ("frames that are too long", in_zeros(1 << 20, 40_000), "has a longer frame than it can need"),
        ("an image of no version", foreign, "is not in the version"),
        ("swapped images", swapped, "image "),
    ];
    // A mirror that has the right packs does not accept the wrong ones.
    sandbox.isn(&["mirror", "reg", "before"]).ok();
    for (case, pack, why) in cases {
        list(&sandbox, &path, &pack);
        for (mirror, again) in [("m", false), ("m", true), ("before", false), ("before", true)] {
            let ran = sandbox.isn(&["mirror", "reg", mirror]);
            assert_eq!(ran.code, 3, "{case}, {mirror}, again: {again}: {}", ran.stderr);
            assert!(ran.stderr.contains(why), "{case}, {mirror}: {}", ran.stderr);
        }
        assert!(!sandbox.path("m/registry.json").exists(), "{case}");
        assert!(!sandbox.path("m/packs").exists(), "{case}");
        assert_eq!(sandbox.read(&path.replacen("reg", "before", 1)), good, "{case}");
        sandbox.isn(&["registry", "check", "before"]).ok();
    }
    // A bad pack that an earlier isn listed in a mirror is removed.
    let bad = sandbox.read(&path);
    sandbox.write(&path, &good);
    sandbox.write(&path.replacen("reg", "before", 1), &[&bad[..], &good[..]].concat());
    sandbox.isn(&["mirror", "reg", "before", "--verify"]).ok();
    assert_eq!(sandbox.read(&path.replacen("reg", "before", 1)), good);
}

#[test]
fn shards_that_versions_share_are_no_attack() {
    let forger = Forger::with_two_versions();
    forger.reader(&["mirror", "reg", "later", "grads@1.1"]).ok();
    forger.reader(&["pull", "grads@1.1", "--registry", "later", "--to", "tree"]).ok();
    let withdraw = ["withdraw", "grads@1.0", "--reason", "no", "--registry", "reg", "--key", "me"];
    forger.isn(&withdraw).ok();
    let manifest = isn_format::object::ObjectRef::of(&forger.bytes("out/manifest.json")).blake3.to_string();
    fs::remove_file(forger.path(&format!("reg/objects/{}/{manifest}.json", &manifest[..2]))).unwrap();
    fs::remove_file(forger.path(&format!("reg/packs/{manifest}"))).unwrap();
    for only in [&[][..], &["grads@1.1"]] {
        forger.reader(&[&["mirror", "reg", "m"], only].concat()).ok();
        forger.reader(&["pull", "grads@1.1", "--registry", "m", "--to", "again", "--no-cache"]).ok();
        fs::remove_dir_all(forger.path("again")).unwrap();
        fs::remove_dir_all(forger.path("m")).unwrap();
    }
}

#[test]
fn a_registry_json_that_names_another_log() {
    let forger = Forger::new();
    // The file changes after it was checked.
    let server = Server::faulty(&forger.path("reg"), "registry.json", usize::MAX, Fault::Changed);
    forger.reader(&["trust", "add", &server.url, &forger.anchor("reg").to_string()]).ok();
    let ran = forger.reader(&["mirror", &server.url, "m"]);
    assert_ne!(ran.code, 0, "{}", ran.stdout);
    assert!(!forger.path("m").exists(), "{}", ran.stderr);
    // The file is wrong from the beginning, and the log is known from elsewhere.
    forger.as_user("others", &["registry", "init", "other"]).ok();
    forger.copy("reg", "changed");
    forger.reader(&["trust", "add", "changed", &forger.anchor("reg").to_string()]).ok();
    forger.write("changed/registry.json", &forger.bytes("other/registry.json"));
    forger.reader(&["mirror", "changed", "m"]).fails(4, "does not say that its log is");
    assert!(!forger.path("m").exists());
}

#[test]
fn a_list_of_packs_that_was_emptied() {
    let (sandbox, pin) = Sandbox::published();
    let (path, _) = pack_of(&sandbox);
    sandbox.isn(&["mirror", "reg", "before"]).ok();
    let good = sandbox.read(&path);
    sandbox.write(&path, b"");
    let warning = "grads@1.0 has no images here, and only an empty list of packs, which no signature \
    covers, says that";
    for args in [&["mirror", "reg", "m"][..], &["verify", "reg"], &["verify", &pin, "--registry", "m"]] {
        let ran = sandbox.isn(args).ok();
        assert!(ran.stderr.contains(warning), "{args:?}: {}", ran.stderr);
    }
    // The mirror keeps the images that it has.
    for verify in [&[][..], &["--verify"]] {
        let ran = sandbox.isn(&[&["mirror", "reg", "before", "--json"], verify].concat()).ok();
        assert!(ran.stderr.contains("the mirror keeps those that it has"), "{}", ran.stderr);
        assert_eq!(
            (&ran.json()["kept"][0], ran.json()["rebuild_only"][0].is_null()),
            (&"grads@1.0".into(), true)
        );
        assert_eq!(sandbox.read(&path.replacen("reg", "before", 1)), good);
    }
    sandbox.isn(&["pull", &pin, "--registry", "before", "--to", "tree", "--no-cache"]).ok();
}

#[test]
fn a_registry_of_which_no_key_is_trusted() {
    let forger = Forger::new();
    let said = "you do not trust its key, so nobody vouches for it";
    let ran = forger.as_user("stranger", &["mirror", "reg", "m", "--json"]).ok();
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(ran.json()["trusted"], false);
    let ran = forger.reader(&["mirror", "reg", "m", "--json"]).ok();
    assert_eq!((ran.stderr.as_str(), &ran.json()["trusted"]), ("", &true.into()));
}

#[test]
fn a_mirror_that_ends_early_says_what_it_has_done() {
    let (sandbox, _) = Sandbox::published();
    let shard = sandbox.objects("reg", ".tar.zst").remove(0);
    let mut damaged = sandbox.read(&shard);
    damaged[600] ^= 1;
    sandbox.write(&shard, &damaged);
    let ran = sandbox.isn(&["mirror", "reg", "m", "--json"]).fails(3, "is damaged");
    assert!(sandbox.path("m/objects").exists());
    assert!(!ran.stderr.contains("was not changed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("what was copied is kept"), "{}", ran.stderr);
    assert_eq!(ran.json()["exit_code"], 3);
}
