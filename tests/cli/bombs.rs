//! Harmful objects: small ones that unpack to a lot, deeply nested ones, archives that would write elsewhere.
//! Each has the hash that its name says, and a signed release and a pin lead to it.

use std::io::Write;

use isn_format::digest::Digest;
use isn_format::object::ObjectKind;
use isn_format::statement::ReleaseStatement;
use isn_registry::registry::layout;
use serde_json::Value;

use crate::sandbox::{Ran, Sandbox, hash_of};

struct Saboteur {
    sandbox: Sandbox,
    pin: String,
}

impl Saboteur {
    fn new() -> Self {
        let (sandbox, pin) = Sandbox::published();
        Saboteur { sandbox, pin }
    }

    /// Starts a copy of the registry and returns its manifest.
    fn manifest(&self) -> Value {
        let _ = std::fs::remove_dir_all(self.sandbox.path("bad"));
        self.sandbox.copy("reg", "bad");
        let manifest = self.sandbox.objects("bad", ".json").remove(0);
        serde_json::from_slice(&self.sandbox.read(&manifest)).unwrap()
    }

    /// Releases these bytes as the manifest, with the packs of the first release.
    fn release(&self, manifest: &[u8], length: u64) {
        let reference = self.sandbox.plant("bad", ObjectKind::Manifest, manifest);
        let packs: Vec<_> = std::fs::read_dir(self.sandbox.path("bad/packs")).unwrap().collect();
        let list = std::fs::read(packs[0].as_ref().unwrap().path()).unwrap();
        self.sandbox.write(&format!("bad/{}", layout::packs(&reference.blake3)), &list);
        let dataset = Digest::from_prefixed(hash_of(&self.pin)).unwrap();
        let statement = ReleaseStatement {
            id: "grads@1.0".parse().unwrap(),
            dataset,
            manifest: reference.blake3,
            manifest_len: length,
        };
        self.sandbox.plant_release("bad", statement);
    }

    /// Does the same with an index of these bytes.
    fn release_index(&self, index: &[u8]) {
        let mut manifest = self.manifest();
        let reference = self.sandbox.plant("bad", ObjectKind::Index, index);
        manifest["objects"]["index"] = serde_json::to_value(reference).unwrap();
        let bytes = serde_json::to_vec(&manifest).unwrap();
        self.release(&bytes, bytes.len() as u64);
    }

    /// Pulls with little memory.
    fn pull(&self) -> Ran {
        let args = ["pull", &self.pin, "--registry", "bad", "--to", "tree", "--no-cache", "-j", "2"];
        let ran = self.sandbox.with_memory(1000, &args);
        assert!(ran.code == 0 || !self.sandbox.path("tree").exists());
        ran
    }
}

/// Compresses this many bytes into very few, with a window of 2 to the power of `window`.
fn bomb(byte: u8, length: u64, window: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window).unwrap();
    let block = vec![byte; 1 << 20];
    for _ in 0..length >> 20 {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn small_objects_that_unpack_to_much() {
    let saboteur = Saboteur::new();
    for byte in [b' ', b'\n', b'[', b'a'] {
        let bomb = bomb(byte, 2 << 30, 21);
        assert!(bomb.len() < 200_000, "{}", bomb.len());
        saboteur.release_index(&bomb);
        saboteur.pull().fails(3, ".jsonl.zst");
    }
    // A window of 2 GiB, in a frame that really uses it.
    saboteur.release_index(&bomb(b' ', 1 << 20, 31));
    saboteur.pull().fails(3, ".jsonl.zst");
}

#[test]
fn manifests_and_indexes_that_are_too_long_or_too_deep() {
    let saboteur = Saboteur::new();
    let mut manifest = saboteur.manifest();
    manifest["description"] = "long ".repeat(300_000).into();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    saboteur.release(&bytes, bytes.len() as u64);
    saboteur.pull().fails(3, "too many");
    // An object that is longer than its release says.
    saboteur.manifest();
    saboteur.release(&bytes, 1000);
    saboteur.pull().fails(3, "1000");
    let deep = "[".repeat(500_000);
    saboteur.manifest();
    saboteur.release(deep.as_bytes(), deep.len() as u64);
    saboteur.pull().fails(3, ".json");
    let deep = format!("{{\"path\":{}\n", "{\"a\":".repeat(100));
    saboteur.release_index(&zstd::bulk::compress(deep.as_bytes(), 1).unwrap());
    saboteur.pull().fails(3, ".jsonl.zst");
}

/// The unpacked pack and shard of the registry.
fn packed(saboteur: &Saboteur) -> (Vec<Value>, Vec<u8>) {
    let pack = saboteur.sandbox.objects("bad", ".jsonl.zst").into_iter().find_map(|name| {
        let text = zstd::decode_all(&saboteur.sandbox.read(&name)[..]).unwrap();
        text.starts_with(b"{\"format\":\"isn-pack/1\"").then_some(text)
    });
    let lines = String::from_utf8(pack.unwrap()).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, saboteur.sandbox.read(&saboteur.sandbox.objects("bad", ".tar.zst")[0]))
}

/// Replaces the first pack and shard with these.
fn repack(saboteur: &Saboteur, mut lines: Vec<Value>, shard: &[u8]) {
    let shard = saboteur.sandbox.plant("bad", ObjectKind::Shard, shard);
    lines[0]["shards"][0] = serde_json::to_value(shard).unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let pack =
        saboteur.sandbox.plant("bad", ObjectKind::Pack, &zstd::bulk::compress(text.as_bytes(), 1).unwrap());
    for list in std::fs::read_dir(saboteur.sandbox.path("bad/packs")).unwrap() {
        std::fs::write(list.unwrap().path(), format!("{}\n", pack.blake3)).unwrap();
    }
}

#[test]
fn frames_that_unpack_to_more_than_their_image() {
    let saboteur = Saboteur::new();
    for window in [21, 31] {
        saboteur.manifest();
        let (mut lines, _) = packed(&saboteur);
        // The pack claims that all images are in one frame; the pull asks for the first image.
        let frame = bomb(0, 64 << 20, window);
        lines.truncate(2);
        lines[1]["offset"] = 0.into();
        lines[1]["length"] = frame.len().into();
        lines[1]["frame"] = Digest::of(&frame).to_string().into();
        repack(&saboteur, lines, &frame);
        let ran = saboteur.pull();
        assert!(matches!(ran.code, 3 | 7), "{}", ran.stderr);
    }
    // A frame that claims to be as long as memory.
    saboteur.manifest();
    let (mut lines, shard) = packed(&saboteur);
    for line in &mut lines[1..] {
        line["length"] = (1u64 << 40).into();
        line["offset"] = 0.into();
    }
    lines.truncate(2);
    lines[0]["shards"][0]["length"] = (1u64 << 41).into();
    repack(&saboteur, lines, &shard);
    let ran = saboteur.pull();
    assert!(matches!(ran.code, 3 | 7), "{}", ran.stderr);
}

#[test]
fn archives_that_would_write_elsewhere_do_so_in_no_tree() {
    // isn takes an image's path from the signed index, never from the archive; a check of the registry
    // reports the entry.
    let saboteur = Saboteur::new();
    saboteur.sandbox.pull(&saboteur.pin, &["--to", "whole"]).ok();
    let cases: [(&str, u8, &str); 11] = [
        ("../../evil.png", b'0', ""),
        ("/tmp/isn-evil.png", b'0', ""),
        ("link.png", b'2', "/etc/passwd"),
        ("link.png", b'1', "../../evil"),
        ("device", b'3', ""),
        ("fifo", b'6', ""),
        ("folder", b'5', ""),
        ("pax", b'x', ""),
        ("global", b'g', ""),
        ("CON.png", b'0', ""),
        ("NAME", b'0', ""),
    ];
    for (name, kind, link) in cases {
        saboteur.manifest();
        let (mut lines, shard) = packed(&saboteur);
        let (offset, length) = (lines[1]["offset"].as_u64().unwrap(), lines[1]["length"].as_u64().unwrap());
        let mut raw = zstd::decode_all(&shard[offset as usize..][..length as usize]).unwrap();
        let own = String::from_utf8_lossy(&raw[..68]).into_owned();
        let name = if name == "NAME" { own.to_uppercase() } else { name.to_string() };
        raw[..100].fill(0);
        raw[..name.len()].copy_from_slice(name.as_bytes());
        raw[156] = kind;
        raw[157..257].fill(0);
        raw[157..157 + link.len()].copy_from_slice(link.as_bytes());
        let sum: u32 = raw[..512]
            .iter()
            .enumerate()
            .map(|(i, &b)| if (148..156).contains(&i) { 32 } else { u32::from(b) })
            .sum();
        raw[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let frame = zstd::bulk::compress(&raw, 1).unwrap();
        let mut changed = shard[..offset as usize].to_vec();
        changed.extend_from_slice(&frame);
        changed.extend_from_slice(&shard[(offset + length) as usize..]);
        let by = frame.len() as i64 - length as i64;
        lines[1]["length"] = frame.len().into();
        lines[1]["frame"] = Digest::of(&frame).to_string().into();
        for line in &mut lines[2..] {
            if line["offset"].as_u64().unwrap() > offset {
                line["offset"] = (line["offset"].as_i64().unwrap() + by).into();
            }
        }
        repack(&saboteur, lines, &changed);
        saboteur.pull().ok();
        saboteur.sandbox.isn(&["verify", "tree", "--expect", &saboteur.pin]).ok();
        std::fs::remove_dir_all(saboteur.sandbox.path("tree")).unwrap();
        let checked = saboteur.sandbox.isn(&["registry", "check", "bad"]);
        assert_eq!(checked.code, 3, "{name}: {}", checked.stdout);
        assert!(checked.stdout.contains(".tar.zst"), "{name}: {}", checked.stdout);
    }
    assert!(!std::path::Path::new("/tmp/isn-evil.png").exists());
}
