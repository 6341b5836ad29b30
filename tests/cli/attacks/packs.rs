//! False packs and lists of packs: nobody signs either.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use isn_format::digest::Digest;
use isn_format::error::{At, Error, Result};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;
use isn_format::tree::Selection;
use isn_registry::dataset::{Dataset, Verify};
use isn_registry::ops::load::{LoadOptions, load};
use isn_registry::progress::Silent;
use isn_registry::registry::layout;

use super::run;
use crate::forger::Forger;
use crate::sandbox::contents;

/// What a pack may say that is false.
const LIES: [&str; 6] = [
    "a shard that nobody has",
    "one wrong frame",
    "every frame",
    "a wrong place",
    "a frame that is too long",
    "a frame that is too long, and the right one",
];

/// Makes `lies`, a mirror of `reg` whose list names another pack.
fn lie(forger: &Forger, what: &str) {
    let _ = fs::remove_dir_all(forger.path("lies"));
    forger.copy("reg", "lies");
    let (list, mut pack) = honest(forger);
    match what {
        "a shard that nobody has" => pack.shards[0].blake3 = Digest::of(b"none"),
        "one wrong frame" => pack.entries[3].frame = Digest::of(b"none"),
        "every frame" => pack.entries.iter_mut().for_each(|entry| entry.frame = Digest::of(b"none")),
        "a frame that is too long" => lengthen(&mut pack),
        "a frame that is too long, and the right one" => {
            let mut first = Pack { shards: vec![pack.shards[0]], entries: vec![pack.entries[3].clone()] };
            first.entries[0].shard = 0;
            lengthen(&mut first);
            return show(forger, &list, &[&first, &pack]);
        }
        _ => pack.entries[3].length -= 1,
    }
    show(forger, &list, &[&pack]);
}

/// Makes the last entry a frame longer than any image needs, in a shard that is long enough.
fn lengthen(pack: &mut Pack) {
    let entry = pack.entries.last_mut().unwrap();
    entry.length = 1 << 33;
    pack.shards[entry.shard].length = 1 << 34;
}

/// Makes the list of `lies` name these packs.
fn show(forger: &Forger, list: &str, packs: &[&Pack]) {
    let lines = packs.iter().map(|pack| format!("{}\n", put(forger, pack)));
    forger.write(&format!("lies/{list}"), lines.collect::<String>().as_bytes());
}

fn put(forger: &Forger, pack: &Pack) -> Digest {
    let bytes = pack.to_bytes().unwrap();
    let digest = ObjectRef::of(&bytes).blake3;
    forger.write(&format!("lies/{}", layout::object(ObjectKind::Pack, &digest)), &bytes);
    digest
}

/// Returns the path of the list of packs of `reg`, and the pack that it names.
fn honest(forger: &Forger) -> (String, Pack) {
    let list = format!("packs/{}", Digest::of(&forger.bytes("out/manifest.json")));
    let right: Digest =
        String::from_utf8(forger.bytes(&format!("reg/{list}"))).unwrap().trim().parse().unwrap();
    let bytes = forger.bytes(&format!("reg/{}", layout::object(ObjectKind::Pack, &right)));
    (list, Pack::parse("pack", &bytes, 1000).unwrap())
}

#[test]
fn a_pack_that_lies_keeps_no_verb_from_the_next_list() {
    let forger = Forger::new();
    forger.reader(&["trust", "add", "lies", &forger.anchor("reg").to_string()]).ok();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    for what in LIES {
        lie(&forger, what);
        for reference in [&pin, "grads@1.0"] {
            let verbs: [&[&str]; 7] = [
                &["verify", reference],
                &["export", reference, "--as", "webdataset", "--no-cache", "--to", "new"],
                &["pull", reference, "--no-cache", "--to", "new"],
                &["pull", reference, "--to", "new"],
                &["fetch", reference],
                &["export", reference, "--as", "webdataset", "--to", "new"],
                &["audit", "duplicates", reference],
            ];
            for verb in verbs {
                let _ = fs::remove_dir_all(forger.path("reader/cache"));
                let ran = run(&forger, "lies,reg", verb);
                assert!([0, 8].contains(&ran.code), "{what}: {verb:?}: {}{}", ran.stdout, ran.stderr);
                // The honest registry is not blamed.
                assert!(!ran.stderr.contains("served bad bytes"), "{what}: {verb:?}: {}", ran.stderr);
                if verb[0] == "pull" {
                    forger.reader(&["verify", "new", "--expect", &pin]).ok();
                }
                let _ = fs::remove_dir_all(forger.path("new"));
            }
        }
        // On its own, the lie makes a pull fail and does no other harm.
        let alone = run(&forger, "lies", &["pull", &pin, "--no-cache", "--to", "new"]).code;
        assert_eq!(alone == 0, what.ends_with("and the right one"), "{what}");
        assert_eq!(forger.path("new").exists(), alone == 0);
        let _ = fs::remove_dir_all(forger.path("new"));
    }
}

#[test]
fn a_list_that_lies_is_kept_for_nobody_else() {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    for what in LIES {
        lie(&forger, what);
        let honest = crate::server::Server::new(&forger.path("reg"));
        let lying = crate::server::Server::new(&forger.path("lies"));
        forger.reader(&["trust", "add", &honest.url, &forger.anchor("reg").to_string()]).ok();
        let _ = fs::remove_dir_all(forger.path("reader/cache"));
        run(&forger, &honest.url, &["fetch", "grads@1.0"]).ok();
        // Reading the lie does not make cached images unavailable through other registries.
        let verbs: [&[&str]; 5] = [
            &["fetch", &pin],
            &["pull", &pin, "--to", "tree"],
            &["info", &pin],
            &["export", &pin, "--as", "webdataset", "--to", "tree"],
            &["audit", "duplicates", &pin],
        ];
        for verb in verbs {
            run(&forger, &lying.url, verb);
            let _ = fs::remove_dir_all(forger.path("tree"));
            run(&forger, &honest.url, &["pull", "grads@1.0", "--offline", "--to", "tree"]).ok();
            fs::remove_dir_all(forger.path("tree")).unwrap();
        }
        // The same if the lie was read first, be it from a server or a folder.
        for first in [&lying.url, "lies"] {
            let _ = fs::remove_dir_all(forger.path("reader/cache"));
            let both = format!("{first},{}", honest.url);
            run(&forger, &both, &["fetch", &pin]).ok();
            for list in [&both, &honest.url] {
                run(&forger, list, &["pull", &pin, "--offline", "--to", "tree"]).ok();
                fs::remove_dir_all(forger.path("tree")).unwrap();
            }
        }
    }
}

#[test]
fn a_list_that_lies_costs_no_good_piece() {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    let export = |list: &str, more: &[&str]| {
        let _ = fs::remove_dir_all(forger.path("new"));
        run(&forger, list, &[&["export", &pin, "--as", "webdataset", "--to", "new"], more].concat())
    };
    let kept = |part: &str| -> Vec<String> {
        let part = forger.path(&format!("reader/cache/{part}"));
        if !part.exists() {
            return Vec::new();
        }
        contents(&part).into_iter().map(|(name, _)| name).filter(|name| name.contains('-')).collect()
    };
    for what in LIES {
        lie(&forger, what);
        let honest = crate::server::Server::new(&forger.path("reg"));
        let lying = crate::server::Server::new(&forger.path("lies"));
        let _ = fs::remove_dir_all(forger.path("reader/cache"));
        export(&honest.url, &[]).ok();
        let (tables, pieces) = (forger.path("reader/cache/tables"), kept("pieces"));
        fs::remove_dir_all(&tables).unwrap();
        let ran = export(&lying.url, &[]);
        // With every image in the cache, a missing shard is not needed.
        assert!(ran.code != 0 || forger.path("new").exists(), "{what}: {}", ran.stderr);
        assert_eq!(kept("quarantine"), Vec::<String>::new(), "{what}: {}", ran.stderr);
        assert!(!pieces.is_empty() && pieces.iter().all(|piece| kept("pieces").contains(piece)), "{what}");
        let (honest, before) = (&honest, honest.log().len());
        // After that, the false list gives no reason to download again, with or without a network.
        run(&forger, &honest.url, &["pull", &pin, "--offline", "--to", "tree"]).ok();
        fs::remove_dir_all(forger.path("tree")).unwrap();
        export(&honest.url, &[]).ok();
        let asked = &honest.log()[before..];
        assert!(
            !asked.iter().any(|request| request.path.ends_with(".tar.zst")),
            "{what}: nothing is fetched twice"
        );
    }
}

/// Images that were found and checked in a tree stay there: the packs that bring the others say nothing about
/// them.
#[test]
fn a_tree_with_some_of_the_images_keeps_no_verb_from_the_next_list() {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    lie(&forger, "one wrong frame");
    let [honest_server, lying] =
        ["reg", "lies"].map(|registry| crate::server::Server::new(&forger.path(registry)));
    let both = format!("{},{}", lying.url, honest_server.url);
    run(&forger, &honest_server.url, &["pull", &pin, "--to", "tree"]).ok();
    // Once whole, then without the two images around the one that the lie is about.
    let sums = String::from_utf8(forger.bytes("tree/B3SUMS")).unwrap();
    let path_of = |image: &Digest| {
        let line = sums.lines().find(|line| line.starts_with(&image.to_string())).unwrap();
        forger.path("tree").join(line.split_once("  ").unwrap().1)
    };
    let (_, pack) = honest(&forger);
    for removed in [&[][..], &[2, 4]] {
        let _ = fs::remove_dir_all(forger.path("reader/cache/pieces"));
        removed.iter().for_each(|&entry| fs::remove_file(path_of(&pack.entries[entry].blake3)).unwrap());
        let index = manifest["objects"]["index"]["blake3"].as_str().unwrap().trim_start_matches("b3:");
        forger.write(&format!("reader/cache/hints/doubted/{index}"), b"");
        let kept = fs::read(forger.path(&format!("reader/cache/hints/{}", honest(&forger).0))).ok();
        for _ in 0..3 {
            run(&forger, &both, &["export", &pin, "--as", "webdataset", "--to", "new"]).ok();
            fs::remove_dir_all(forger.path("new")).unwrap();
        }
        // A list is replaced only by one that brought every image.
        let now = fs::read(forger.path(&format!("reader/cache/hints/{}", honest(&forger).0))).ok();
        assert!(kept.is_some() && now == kept, "{removed:?}");
    }
}

#[test]
fn a_list_that_brought_a_part_does_not_replace_that_which_brought_all() {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    // An honest list with another packing: one image is in a shard of its own.
    let _ = fs::remove_dir_all(forger.path("lies"));
    forger.copy("reg", "lies");
    let (list, mut pack) = honest(&forger);
    pack.shards.push(ObjectRef { blake3: Digest::of(b"none"), length: pack.shards[0].length });
    let mut first = pack.entries.remove(0);
    (first.shard, first.offset) = (pack.shards.len() - 1, 0);
    pack.entries.push(first);
    show(&forger, &list, &[&pack]);
    let [honest, other] = ["reg", "lies"].map(|registry| crate::server::Server::new(&forger.path(registry)));
    run(&forger, &honest.url, &["fetch", &pin]).ok();
    run(&forger, &other.url, &["fetch", &pin, "--split", "val"]).ok();
    for verb in [&["fetch", &pin][..], &["export", &pin, "--as", "webdataset", "--to", "new"]] {
        run(&forger, &honest.url, &[verb, &["--offline"]].concat()).ok();
    }
}

#[test]
fn a_list_that_is_another_whenever_it_is_asked_for_is_asked_for_once() {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    lie(&forger, "one wrong frame");
    let lying = crate::server::Server::new(&forger.path("lies"));
    let lists = || lying.log().iter().filter(|request| request.path.contains("packs/")).count();
    let (list, mut pack) = honest(&forger);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            let mut number = 0u64;
            while !is_over.load(Relaxed) && begun.elapsed() < Duration::from_secs(60) {
                number += 1;
                pack.entries[3].frame = Digest::of(&number.to_le_bytes());
                show(&forger, &list, &[&pack]);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let verbs: [&[&str]; 4] = [
            &["pull", &pin, "--to", "new"],
            &["fetch", &pin],
            &["export", &pin, "--as", "webdataset", "--to", "exported"],
            &["audit", "duplicates", &pin],
        ];
        for verb in verbs {
            let _ = fs::remove_dir_all(forger.path("reader/cache"));
            let before = lists();
            let ran = run(&forger, &format!("{},reg", lying.url), verb);
            let asked = lists() - before;
            if ![0, 8].contains(&ran.code) || asked > 4 {
                is_over.store(true, Relaxed);
                panic!("{verb:?}: {asked} lists, {}: {}", ran.code, ran.stderr);
            }
        }
        is_over.store(true, Relaxed);
    });
}

#[test]
fn a_list_that_lies_is_an_error_to_who_reads_a_folder_in_place() {
    let forger = Forger::new();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    let (reference, selection) = (pin.parse().unwrap(), Selection::default());
    let open = |registry: &str| -> Result<Dataset> {
        let _ = fs::remove_dir_all(forger.path("reader/cache"));
        let client = forger.client("reader", &forger.path(registry).display().to_string());
        let options = LoadOptions {
            version: &reference,
            selection: &selection,
            verify: Verify::Always,
            jobs: 2,
            anew: false,
        };
        load(&client, &options, &Silent)
    };
    let right = open("reg").unwrap();
    let right: Vec<Vec<u8>> = (0..right.len()).map(|image| right.file(image).unwrap()).collect();
    // How many images cannot be read; `None` if the version cannot be opened.
    let wrong = [None, Some(1), Some(24), Some(1), None, Some(0)];
    for (what, wrong) in LIES.into_iter().zip(wrong) {
        lie(&forger, what);
        let dataset = open("lies");
        assert_eq!(dataset.is_ok(), wrong.is_some(), "{what}");
        let Ok(dataset) = dataset else { continue };
        let files = (0..dataset.len()).map(|image| dataset.file(image));
        let errors = files.zip(&right).filter_map(|(file, right)| match file {
            Ok(file) => {
                assert!(file == *right, "{what}");
                None
            }
            Err(e) => Some(e),
        });
        let errors: Vec<_> = errors.collect();
        assert_eq!(Some(errors.len()), wrong, "{what}: {errors:?}");
        assert!(errors.iter().all(|e| matches!(e, Error::Integrity { at: At::Registry, .. })), "{errors:?}");
    }
}
