//! A damaged file in the cache costs a request: it is moved to quarantine and fetched again; offline, the
//! message says so.

use std::fs;

use isn_format::error::{At, Error};
use isn_format::tree::Selection;
use isn_registry::dataset::Verify;
use isn_registry::ops::load::{LoadOptions, load};
use isn_registry::progress::Silent;

use crate::sandbox::{Ran, Sandbox, contents};
use crate::server::Server;

/// Returns the files of a part of the cache, as paths below the sandbox.
fn kept(sandbox: &Sandbox, part: &str) -> Vec<String> {
    let part = format!("home/cache/{part}");
    let found = if sandbox.path(&part).exists() { contents(&sandbox.path(&part)) } else { Vec::new() };
    found.into_iter().map(|(name, _)| format!("{part}/{name}")).collect()
}

/// Changes one byte in the middle of a piece and, with `is_renamed`, names the piece by its new hash.
fn flip_piece(sandbox: &Sandbox, is_renamed: bool) {
    let name = kept(sandbox, "pieces").pop().unwrap();
    let mut bytes = sandbox.read(&name);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    sandbox.write(&name, &bytes);
    if is_renamed {
        let named = format!("{}{}", &name[..name.len() - 64], blake3::hash(&bytes).to_hex());
        fs::rename(sandbox.path(&name), sandbox.path(&named)).unwrap();
    }
}

/// The parts of a table in the cache.
struct Parts {
    name: String,
    bytes: Vec<u8>,
    /// Where the rows, the summary, its hashes of pieces of rows, and its end begin.
    rows: usize,
    summary: usize,
    pieces: usize,
    end: usize,
}

impl Parts {
    fn of(sandbox: &Sandbox) -> Parts {
        let [name] = &kept(sandbox, "tables")[..] else { panic!() };
        let bytes = sandbox.read(name);
        let count = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let end = bytes.len() - 40;
        let summary = end - count(end);
        let images = count(summary);
        let rows = summary - images * 72;
        let tree = end - 8 - 32 * (rows - 16).div_ceil(16 << 10);
        assert_eq!(count(tree), rows - 16);
        let pieces = tree - images.div_ceil(256) * 40;
        Parts { name: name.clone(), rows, summary, pieces, end, bytes }
    }

    /// Writes it back, with right hashes of rows and summary.
    fn forge(mut self, sandbox: &Sandbox) {
        let rows = self.bytes[self.rows..self.summary].chunks(256 * 72);
        let hashes: Vec<blake3::Hash> = rows.map(blake3::hash).collect();
        for (piece, hash) in hashes.iter().enumerate() {
            self.bytes[self.pieces + piece * 40..][..32].copy_from_slice(hash.as_bytes());
        }
        let hash = *blake3::hash(&self.bytes[self.summary..self.end + 8]).as_bytes();
        self.bytes[self.end + 8..].copy_from_slice(&hash);
        sandbox.write(&self.name, &self.bytes);
    }
}

/// Changes every row of the table, and updates the table's own hashes. A row has where its line is (12
/// bytes), its shard, width, height, length and the length of its frame (4 each), the offset of that (8), its
/// BLAKE3.
fn poison_table(sandbox: &Sandbox, change: impl Fn(&mut [u8])) {
    let mut parts = Parts::of(sandbox);
    parts.bytes[parts.rows..parts.summary].chunks_exact_mut(72).for_each(change);
    parts.forge(sandbox);
}

#[test]
fn exports_set_aside_what_is_wrong_in_the_cache_and_ask_again() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    let export = |format: &str, more: &[&str]| -> Ran {
        let args = ["export", &pin, "--registry", &server.url, "--as", format, "--to", "made"];
        sandbox.isn(&[&args[..], more].concat())
    };
    let made = || {
        let files = contents(&sandbox.path("made"));
        fs::remove_dir_all(sandbox.path("made")).unwrap();
        files
    };
    let mut right = Vec::new();
    for format in ["mds", "npz"] {
        export(format, &[]).ok();
        right.push((format, made()));
    }
    let harms: [(&str, &dyn Fn()); 6] = [
        ("cut piece", &|| {
            let name = kept(&sandbox, "pieces").pop().unwrap();
            let bytes = sandbox.read(&name);
            sandbox.write(&name, &bytes[..bytes.len() / 2]);
        }),
        ("flipped piece", &|| flip_piece(&sandbox, false)),
        ("flipped piece of another name", &|| flip_piece(&sandbox, true)),
        ("flipped table", &|| {
            let [name] = &kept(&sandbox, "tables")[..] else { panic!() };
            let mut bytes = sandbox.read(name);
            let last = bytes.len() - 50;
            bytes[last] ^= 1;
            sandbox.write(name, &bytes);
        }),
        ("frames elsewhere", &|| poison_table(&sandbox, |row| row[32] ^= 1)),
        ("other lengths", &|| poison_table(&sandbox, |row| row[16] ^= 1)),
    ];
    for (what, harm) in harms {
        for (format, right) in &right {
            harm();
            let ran = export(format, &[]);
            assert_eq!(ran.code, 0, "{what}, {format}: {}", ran.stderr);
            assert!(made() == *right, "{what}, {format}");
        }
        sandbox.isn(&["cache", "verify"]).ok();
        // Offline, the message says what to do, and that works.
        harm();
        let format = "npz";
        let ran = export(format, &["--offline"]);
        if ran.code == 0 {
            assert!(what.contains("table") || what.contains("frames") || what.contains("lengths"), "{what}");
            made();
        } else {
            let is_said = ran.stderr.contains("with a network") || ran.stderr.contains("isn fetch REF");
            assert!(is_said && [3, 5].contains(&ran.code), "{what}: {}", ran.stderr);
            export(format, &[]).ok();
            made();
        }
    }
    let set_aside = kept(&sandbox, "quarantine");
    assert!(set_aside.iter().any(|name| name.contains('-')), "pieces: {set_aside:?}");
    assert!(set_aside.iter().any(|name| !name.contains('-')), "tables: {set_aside:?}");
}

#[test]
fn a_piece_that_is_removed_while_a_dataset_is_open_is_a_fault_of_the_cache() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    let client = sandbox.client("home", &server.url);
    let (reference, selection) = (pin.parse().unwrap(), Selection::default());
    let options = LoadOptions {
        version: &reference,
        selection: &selection,
        verify: Verify::Once,
        jobs: 2,
        anew: false,
    };
    let dataset = load(&client, &options, &Silent).unwrap();
    // As another thread of an export does, that found it damaged.
    kept(&sandbox, "pieces").iter().for_each(|name| fs::remove_file(sandbox.path(name)).unwrap());
    let error = dataset.file(0).unwrap_err();
    assert!(matches!(error, Error::Integrity { at: At::Cache, .. }), "{error:?}");
    assert!(dataset.set_aside() > 0);
    load(&client, &options, &Silent).unwrap().file(0).unwrap();
}

#[test]
fn table_that_leads_elsewhere_is_found_by_cache_verify() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    let export = |to: &str| {
        sandbox.isn(&["export", &pin, "--registry", &server.url, "--as", "mds", "--to", to]).ok();
    };
    let changes: [fn(&mut [u8]); 4] =
        [|row| row[16] ^= 1, |row| row[32] ^= 1, |row| row[28] ^= 1, |row| row[40] ^= 1];
    for (change, to) in changes.into_iter().zip(["a", "b", "c", "d"]) {
        export(to);
        sandbox.isn(&["cache", "verify"]).ok();
        poison_table(&sandbox, change);
        let report = sandbox.isn(&["cache", "verify", "--json"]).fails(3, "").json();
        let damaged = report["damaged"].as_array().unwrap();
        assert!(damaged.len() == 1 && damaged[0].as_str().unwrap().contains("tables"), "{report}");
        assert!(kept(&sandbox, "tables").is_empty());
        sandbox.isn(&["cache", "verify"]).ok();
    }
}

/// The manifest of a version whose index is in blocks has no counts of classes; the directory has.
#[test]
fn labels_of_a_forged_table_are_nobodys() {
    let sandbox = Sandbox::built();
    fs::remove_dir_all(sandbox.path("out")).unwrap();
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out", "--index", "blocks"];
    sandbox.isn(&build).ok();
    let reference = sandbox.publish("out").parse().unwrap();
    let (client, selection) = (sandbox.client("home", "reg"), Selection::default());
    let client =
        isn_registry::client::Client { locations: vec![sandbox.path("reg").display().to_string()], ..client };
    let options = LoadOptions {
        version: &reference,
        selection: &selection,
        verify: Verify::Once,
        jobs: 2,
        anew: false,
    };
    let labels = || load(&client, &options, &Silent).unwrap().labels().collect::<Vec<u32>>();
    let right = labels();
    let good = Parts::of(&sandbox);
    // One image of a class becomes one of the next class of the split.
    let mut bad = Parts::of(&sandbox);
    let text = bad.bytes.windows(6).skip(bad.summary).position(|text| text == b"train/").unwrap();
    let one = bad.summary + text - 4;
    let two = one + 4 + bad.bytes[one + 4..].iter().position(|&byte| byte == b'\n').unwrap() + 1;
    assert_eq!(&bad.bytes[two + 4..two + 10], b"train/");
    bad.bytes[one] -= 1;
    bad.bytes[two] += 1;
    bad.forge(&sandbox);
    assert!(sandbox.read(&good.name) != good.bytes);
    assert_eq!(labels(), right);
    assert!(sandbox.read(&good.name) == good.bytes, "it was made anew");
}

#[test]
fn sizes_that_no_image_has_are_those_of_a_damaged_table() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    let export = |format: &str| -> Ran {
        let _ = fs::remove_dir_all(sandbox.path("made"));
        sandbox.isn(&["export", &pin, "--registry", &server.url, "--as", format, "--to", "made"])
    };
    let made = || contents(&sandbox.path("made"));
    let set = |row: &mut [u8], width: u32, height: u32| {
        row[16..20].copy_from_slice(&width.to_le_bytes());
        row[20..24].copy_from_slice(&height.to_le_bytes());
    };
    for format in ["npz", "mds"] {
        export(format).ok();
        let right = made();
        let sizes =
            [(0, 0), (0, 24), (u32::MAX, u32::MAX), (1 << 16, 1 << 16), (1 << 13, 1 << 13), (48, 12), (1, 1)];
        for (width, height) in sizes {
            poison_table(&sandbox, |row| set(row, width, height));
            let ran = export(format);
            assert_eq!(ran.code, 0, "{width} x {height}: {}", ran.stderr);
            assert!(made() == right, "{width} x {height}");
        }
        // Only one image's row.
        let mut number = std::cell::Cell::new(0);
        poison_table(&sandbox, |row| {
            number.set(number.get() + 1);
            if number.get() == 7 {
                set(row, 48, 12);
            }
        });
        assert_eq!(*number.get_mut(), 72);
        export(format).ok();
        assert!(made() == right);
        let changes: [fn(&mut [u8]); 3] =
            [|row| row[24..28].fill(0xff), |row| row[28..40].fill(0xff), |row| row[24..40].fill(0xff)];
        for change in changes {
            poison_table(&sandbox, change);
            export(format).ok();
            assert!(made() == right);
        }
    }
}

#[test]
fn lengths_of_a_poisoned_table_fill_no_disk() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    let args = ["export", &pin, "--registry", &server.url, "--as", "npz", "--to"];
    sandbox.isn(&[&args[..], &["one"]].concat()).ok();
    poison_table(&sandbox, |row| {
        row[16..20].copy_from_slice(&(1u32 << 26).to_le_bytes());
        row[20..24].copy_from_slice(&2u32.to_le_bytes());
    });
    sandbox.isn(&[&args[..], &["two"]].concat()).ok();
    assert!(contents(&sandbox.path("one")) == contents(&sandbox.path("two")));
}

#[test]
fn images_of_two_sizes_are_no_array_whatever_the_table_says() {
    let sandbox = Sandbox::built();
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    // The images keep their own sizes, some 40 to 47 pixels wide.
    sandbox.write("grads-1.0.toml", text.replace("size = 24", "size = 400").as_bytes());
    fs::remove_dir_all(sandbox.path("out")).unwrap();
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    let pin = sandbox.publish("out");
    let export = || sandbox.isn(&["export", &pin, "--registry", "reg", "--as", "npz", "--to", "made"]);
    let said = export().fails(1, "needs images of one size").stderr;
    poison_table(&sandbox, |row| {
        row[16..20].copy_from_slice(&99u32.to_le_bytes());
        row[20..24].copy_from_slice(&7u32.to_le_bytes());
    });
    assert_eq!(export().fails(1, "needs images of one size").stderr, said);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_in_the_place_of_a_piece_costs_a_request() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    let export = || -> Ran {
        let _ = fs::remove_dir_all(sandbox.path("made"));
        sandbox.isn(&["export", &pin, "--registry", &server.url, "--as", "mds", "--to", "made"])
    };
    export().ok();
    for kind in ["link", "link to nothing", "pipe", "folder", "full folder"] {
        for is_verified in [false, true] {
            let name = kept(&sandbox, "pieces").pop().unwrap();
            let path = sandbox.path(&name);
            let bytes = sandbox.read(&name);
            sandbox.write("elsewhere", &bytes);
            fs::remove_file(&path).unwrap();
            match kind {
                "link" => std::os::unix::fs::symlink(sandbox.path("elsewhere"), &path).unwrap(),
                "link to nothing" => std::os::unix::fs::symlink("nowhere", &path).unwrap(),
                "pipe" => {
                    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
                }
                "folder" => fs::create_dir(&path).unwrap(),
                _ => sandbox.write(&format!("{name}/thesis"), b"x"),
            }
            if is_verified {
                let ran = sandbox.isn(&["cache", "verify"]);
                assert!([1, 3].contains(&ran.code), "{kind}: {}", ran.stdout);
                assert!(format!("{}{}", ran.stdout, ran.stderr).contains(&name), "{kind}");
            }
            let ran = export();
            assert_eq!(ran.code, 0, "{kind}: {}", ran.stderr);
            assert_eq!(sandbox.read("elsewhere"), bytes, "{kind}");
            sandbox.isn(&["cache", "verify"]).ok();
            sandbox.isn(&["cache", "info"]).ok();
        }
    }
    if let Some(thesis) = kept(&sandbox, "quarantine").iter().find(|name| name.ends_with("thesis")) {
        assert_eq!(sandbox.read(thesis), b"x", "a user's file was changed");
    }
}

/// What is no file in the place of one that `isn fetch` keeps is named, and `isn cache verify` sets it aside.
#[test]
fn what_is_no_file_in_the_place_of_what_a_fetch_keeps() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    let fetch = || sandbox.isn(&["fetch", &pin, "--registry", &server.url]);
    fetch().ok();
    let names = [kept(&sandbox, "objects"), kept(&sandbox, "hints")].concat();
    for hint in ["hints/packs/", "hints/pins/", "hints/packs-of/"] {
        assert!(names.iter().any(|name| name.contains(hint)), "{names:?}");
    }
    for name in &names {
        let path = sandbox.path(name);
        for kind in ["folder", "full folder", "link"] {
            fs::remove_file(&path).unwrap();
            match kind {
                "folder" => fs::create_dir(&path).unwrap(),
                "full folder" => sandbox.write(&format!("{name}/thesis"), b"x"),
                _ => std::os::unix::fs::symlink(sandbox.path("reg/registry.json"), &path).unwrap(),
            }
            // A pull needs no list of a location's, and a link to a hint may be replaced.
            let ran = fetch();
            let is_needed = !name.contains("packs-of") && (kind != "link" || !name.contains("hints"));
            assert_eq!(ran.code, i32::from(is_needed), "{kind} {name}: {}", ran.stderr);
            assert!(!is_needed || ran.stderr.contains(name), "{kind} {name}: {}", ran.stderr);
            if kind != "link" {
                let verified = sandbox.isn(&["cache", "verify"]).fails(3, name);
                assert!(verified.stdout.contains(name), "{}", verified.stdout);
            } else if is_needed {
                sandbox.isn(&["cache", "verify"]).fails(1, name);
                fs::remove_file(&path).unwrap();
            }
            sandbox.isn(&["cache", "verify"]).ok();
            fetch().ok();
            assert!(path.is_file(), "{kind} {name}");
        }
    }
}
