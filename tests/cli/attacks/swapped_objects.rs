//! A version in which one object is replaced with another well-formed one, with its own hash, that the
//! manifest names; the manifest still states the dataset hash of the pin. A user who asks by the pin, of a
//! bad registry or offline with a cache that somebody else filled, gets what the pin means or an error from
//! every verb.

use std::fs;
use std::path::Path;

use isn_format::class::{classes_csv, parse_classes};
use isn_format::digest::Digest;
use isn_format::index::{Full, FullRow, Index, Row, Sources};
use isn_format::manifest::{Manifest, Tally};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;
use isn_format::statement::ReleaseStatement;
use isn_format::sums::Sums;
use isn_format::table::Table;
use isn_format::tree::Selection;
use isn_registry::cache::Cache;
use isn_registry::client::Client;
use isn_registry::dataset::Verify;
use isn_registry::ops::load::{LoadOptions, load};
use isn_registry::progress::Silent;
use isn_registry::registry::layout;
use isn_registry::transport::Access;

use crate::sandbox::{Ran, Sandbox, contents, ran};

/// An address without a server.
const NOWHERE: &str = "http://127.0.0.1:1/";

struct Swapper {
    sandbox: Sandbox,
    pin: String,
    manifest: Manifest,
}

/// A version as `bad` serves it, with the changes made to it.
struct Bad<'a> {
    swapper: &'a Swapper,
    manifest: Manifest,
    /// Replaces the true table in the cache.
    table: Option<Vec<u8>>,
}

/// The index of these rows, as it is stored.
fn stored(rows: Vec<Row>) -> Vec<u8> {
    let (index, sources) = Index::new(rows).unwrap();
    Full { index: &index, sources: &sources }.to_bytes().unwrap()
}

impl Swapper {
    fn new() -> Self {
        let (sandbox, pin) = Sandbox::published();
        let manifest = sandbox.objects("reg", ".json").remove(0);
        let manifest = Manifest::parse("manifest", &sandbox.read(&manifest)).unwrap();
        let swapper = Swapper { sandbox, pin, manifest };
        // Puts the tables of the true version into the cache, as for a user who opened it before.
        swapper
            .stranger("home-primed", &["export", "--as", "webdataset", "--to", "primed", "--registry", "reg"])
            .ok();
        swapper
    }

    /// Runs `isn VERB PIN …` as a user who trusts nobody; for an audit, its kind is part of the verb.
    fn stranger(&self, home: &str, args: &[&str]) -> Ran {
        let (verb, rest) = args.split_at(if args[0] == "audit" { 2 } else { 1 });
        let args = [verb, &[&self.pin], rest].concat();
        ran(self.sandbox.command(&args).env("ISN_HOME", self.sandbox.path(home)))
    }

    fn object(&self, kind: ObjectKind, reference: &ObjectRef) -> Vec<u8> {
        self.sandbox.read(&format!("reg/{}", layout::object(kind, &reference.blake3)))
    }

    fn rows(&self) -> Vec<Row> {
        let (objects, classes) = (&self.manifest.objects, self.manifest.objects.classes.blake3);
        let bytes = self.object(ObjectKind::Index, &objects.index);
        let index = Index::parse("index", &bytes, &self.manifest, &classes).unwrap();
        let sources = Sources::parse("index", &bytes, &index, |_| true).unwrap();
        Full { index: &index, sources: &sources }.rows().map(FullRow::to_row).collect()
    }

    fn pack(&self) -> Pack {
        let list = contents(&self.sandbox.path("reg/packs")).remove(0).1;
        let digest: Digest = String::from_utf8(list).unwrap().trim_end().parse().unwrap();
        let bytes = self.sandbox.read(&format!("reg/{}", layout::object(ObjectKind::Pack, &digest)));
        Pack::parse("pack", &bytes, self.manifest.images).unwrap()
    }

    /// Returns the exit code and output of each verb for the pin at `location`, with the cache of `home`.
    fn told(&self, home: &str, location: &str) -> Vec<(&'static str, i32, String)> {
        let more: &[&str] = if location == NOWHERE { &["--offline"] } else { &[] };
        let at = |args: &[&str]| self.stranger(home, &[args, &["--registry", location], more].concat());
        let made = |name: &str| {
            let root = self.sandbox.path(name);
            let mut text = String::new();
            for (path, bytes) in if root.exists() { contents(&root) } else { Vec::new() } {
                // These files come with the manifest, and say that nobody signed it.
                if !matches!(path.as_str(), "ISN.json" | "README.md" | "croissant.json") {
                    text += &format!("{path} {}\n", Digest::of(&bytes));
                }
            }
            let _ = fs::remove_dir_all(root);
            text
        };
        let mut told = vec![("load", self.load(home, location))];
        for verb in ["webdataset", "croissant", "npz", "imagefolder"] {
            let size: &[&str] = if verb == "npz" { &["--size", "8"] } else { &[] };
            let ran = at(&[&["export", "--as", verb, "--to", "made"], size].concat());
            told.push((verb, (ran.code, made("made"))));
        }
        let mut verb = |name: &'static str, args: &[&str]| {
            let ran = at(args);
            let text = ran.stdout.lines().filter(|line| !is_unsigned(line)).collect::<Vec<_>>().join("\n");
            told.push((name, (ran.code, text)));
        };
        verb("images", &["images"]);
        verb("info", &["info"]);
        verb("diff", &["diff", "out"]);
        verb("cite", &["cite"]);
        verb("verify-source", &["verify-source", "--source", "raw"]);
        let pulled = at(&["pull", "--to", "made"]);
        told.push(("pull", (pulled.code, made("made"))));
        let pulled = at(&["pull", "--to", "made", "--source", "raw"]);
        told.push(("pull --source", (pulled.code, made("made"))));
        for (name, how) in [
            ("audit balance", &["balance"][..]),
            ("audit all", &["all"]),
            ("audit labels", &["labels", "--pixels"]),
        ] {
            let audit = at(&[&["audit"], how].concat());
            told.push((name, (audit.code, audit.stdout)));
        }
        // These verbs read the shards of the registry.
        if location != NOWHERE {
            let verified = at(&["verify"]);
            told.push(("verify", (verified.code, verified.stdout)));
            told.push(("fetch", (at(&["fetch"]).code, String::new())));
        }
        told.into_iter().map(|(verb, (code, text))| (verb, code, text)).collect()
    }

    /// Returns paths, labels and classes like `isn.load` of the Python package.
    fn load(&self, home: &str, location: &str) -> (i32, String) {
        let place = if location == NOWHERE {
            location.into()
        } else {
            self.sandbox.path(location).display().to_string()
        };
        let client = self.sandbox.client(home, &place);
        let access = Access { offline: location == NOWHERE, ..Access::default() };
        let client = Client { access, ..client };
        let (reference, selection) = (self.pin.parse().unwrap(), Selection::default());
        let options = LoadOptions {
            version: &reference,
            selection: &selection,
            verify: Verify::Always,
            jobs: 2,
            anew: false,
        };
        let dataset = match load(&client, &options, &Silent) {
            Err(isn_format::error::Error::Trust { .. }) => return (4, String::new()),
            Err(isn_format::error::Error::Integrity { .. }) => return (3, String::new()),
            Err(e) => return (1, e.to_string()),
            Ok(dataset) => dataset,
        };
        let mut text = format!("{:?}\n", dataset.classes());
        for image in 0..dataset.len() {
            match dataset.file(image) {
                Ok(file) => {
                    let (path, label) = (dataset.path(image).unwrap(), dataset.label(image).unwrap());
                    text += &format!("{path} {label} {}\n", Digest::of(&file));
                }
                Err(_) => return (3, String::new()),
            }
        }
        (0, text)
    }
}

/// Whether a line shows something that the pin does not vouch for, and says so.
fn is_unsigned(line: &str) -> bool {
    ["grads@1.0", "  For tests.", "  registry ", "  manifest ", "  signed ", "  licence ", "  title "]
        .iter()
        .any(|start| line.starts_with(start) || line.contains("title  "))
}

fn bytes_of(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    let keep = |part: &[u8]| {
        bytes.extend(part);
        Ok(())
    };
    table.copy_to(keep).unwrap();
    bytes
}

impl<'a> Bad<'a> {
    fn new(swapper: &'a Swapper) -> Self {
        let _ = fs::remove_dir_all(swapper.sandbox.path("bad"));
        swapper.sandbox.copy("reg", "bad");
        Bad { swapper, manifest: swapper.manifest.clone(), table: None }
    }

    fn put(&self, kind: ObjectKind, bytes: &[u8]) -> ObjectRef {
        self.swapper.sandbox.plant("bad", kind, bytes)
    }

    fn packs(&self, digests: &[Digest]) {
        let lines: String = digests.iter().map(|digest| format!("{digest}\n")).collect();
        for (name, _) in contents(&self.swapper.sandbox.path("bad/packs")) {
            self.swapper.sandbox.write(&format!("bad/packs/{name}"), lines.as_bytes());
        }
    }

    /// Releases the version, signed by a key that nobody trusts, and fills the cache of `home-offline` with
    /// it.
    fn release(&self) {
        let sandbox = &self.swapper.sandbox;
        let manifest = self.put(ObjectKind::Manifest, &self.manifest.to_bytes().unwrap());
        let packs = contents(&sandbox.path("bad/packs")).remove(0).1;
        sandbox.write(&format!("bad/{}", layout::packs(&manifest.blake3)), &packs);
        let statement = ReleaseStatement {
            id: self.manifest.id(),
            dataset: self.manifest.dataset,
            manifest: manifest.blake3,
            manifest_len: manifest.length,
        };
        sandbox.plant_release("bad", statement);

        for home in ["home-online", "home-offline"] {
            let _ = fs::remove_dir_all(sandbox.path(home));
            sandbox.copy("home-primed/cache/tables", &format!("{home}/cache/tables"));
            if let Some(table) = &self.table {
                let index = self.manifest.objects.index.blake3;
                sandbox.write(&format!("{home}/cache/tables/{index}"), table);
            }
        }
        let cache = Cache::new(sandbox.path("home-offline/cache"));
        for (name, bytes) in contents(&sandbox.path("bad/objects")) {
            if !name.ends_with(".tar.zst") {
                sandbox.write(&format!("home-offline/cache/objects/{name}"), &bytes);
                continue;
            }
            let hex = Path::new(&name).file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.zst");
            let mut piece = cache.new_piece(&hex.parse().unwrap(), 0).unwrap();
            piece.write(&bytes).unwrap();
        }
        cache.keep_hint(&layout::packs(&manifest.blake3), &packs).unwrap();
        let hint = format!("{} {}\n", manifest.blake3, manifest.length);
        cache.keep_hint(&layout::pin(&self.manifest.dataset), hint.as_bytes()).unwrap();
    }
}

/// A swap: its name, and the function that makes it.
type Swap = (&'static str, fn(&mut Bad<'_>));

const SWAPS: [Swap; 14] = [
    ("nothing", |_| {}),
    ("manifest: counts", |bad| {
        let Tally::Classes(splits) = &mut bad.manifest.tally else { panic!() };
        for classes in splits.values_mut() {
            let counts: Vec<u64> = classes.values().copied().collect();
            *classes.values_mut().next().unwrap() = counts[0] - 1;
            *classes.values_mut().last().unwrap() = counts[2] + 1;
        }
    }),
    ("manifest: bytes", |bad| bad.manifest.bytes += 1),
    ("index", |bad| {
        // Swaps the images of two classes.
        let mut rows = bad.swapper.rows();
        let last = rows.len() - 1;
        let (one, other) = (rows[0].blake3, rows[last].blake3);
        (rows[0].blake3, rows[last].blake3) = (other, one);
        let index = stored(rows);
        bad.manifest.objects.index = bad.put(ObjectKind::Index, &index);
    }),
    ("classes.csv: labels", |bad| {
        let bytes = bad.swapper.object(ObjectKind::Classes, &bad.manifest.objects.classes);
        let mut classes = parse_classes("classes.csv", &bytes).unwrap();
        let label = classes[0].label.clone();
        classes[0].label = std::mem::replace(&mut classes[1].label, label);
        bad.manifest.objects.classes = bad.put(ObjectKind::Classes, &classes_csv(&classes));
    }),
    ("classes.csv: one class more", |bad| {
        let bytes = bad.swapper.object(ObjectKind::Classes, &bad.manifest.objects.classes);
        let mut classes = parse_classes("classes.csv", &bytes).unwrap();
        let mut first = classes[0].clone();
        first.id = "aaa".parse().unwrap();
        classes.insert(0, first);
        bad.manifest.objects.classes = bad.put(ObjectKind::Classes, &classes_csv(&classes));
    }),
    ("recipe", |bad| {
        let bytes = bad.swapper.object(ObjectKind::Recipe, &bad.manifest.objects.recipe);
        let text = String::from_utf8(bytes).unwrap().replace("val = 0.25", "val = 0.5");
        bad.manifest.objects.recipe = bad.put(ObjectKind::Recipe, text.as_bytes());
    }),
    ("corrections", |bad| {
        let ledger =
            "source_id,action,to,reason,source,reviewer,date\nant/ant_1,remove,,blurred,me,me,2026-01-01\n";
        bad.manifest.objects.corrections = Some(bad.put(ObjectKind::Corrections, ledger.as_bytes()));
    }),
    ("groups", |bad| {
        let groups = "source_id,group\nant/ant_1,g\nbee/bee_1,g\n";
        bad.manifest.objects.groups = Some(bad.put(ObjectKind::Groups, groups.as_bytes()));
    }),
    ("assignments", |bad| {
        let bytes = bad.swapper.object(ObjectKind::Splits, &bad.manifest.objects.assignments);
        let text = String::from_utf8(bytes).unwrap();
        let text = text.replace("train", "other").replace("val", "train").replace("other", "val");
        bad.manifest.objects.assignments = bad.put(ObjectKind::Splits, text.as_bytes());
    }),
    ("pack", |bad| {
        // Gives each image the place of another.
        let mut pack = bad.swapper.pack();
        let first = pack.entries[0].blake3;
        for at in 0..pack.entries.len() {
            pack.entries[at].blake3 = pack.entries.get(at + 1).map_or(first, |entry| entry.blake3);
        }
        let pack = bad.put(ObjectKind::Pack, &pack.to_bytes().unwrap());
        bad.packs(&[pack.blake3]);
    }),
    ("shard", |bad| {
        let mut pack = bad.swapper.pack();
        let mut shard = bad.swapper.object(ObjectKind::Shard, &pack.shards[0]);
        // Swaps the frames of two images of equal length; shard and pack still match each other.
        let one = pack.entries[0].clone();
        let range = one.offset as usize..(one.offset + one.length) as usize;
        let mut raw = zstd::decode_all(&shard[range.clone()]).unwrap();
        let middle = raw.len() / 2;
        raw[middle] ^= 1;
        let frame = zstd::bulk::compress(&raw, 1).unwrap();
        let by = frame.len() as i64 - one.length as i64;
        shard.splice(range, frame.iter().copied());
        pack.entries[0].length = frame.len() as u64;
        pack.entries[0].frame = Digest::of(&frame);
        for entry in &mut pack.entries[1..] {
            entry.offset = entry.offset.checked_add_signed(by).unwrap();
        }
        pack.shards[0] = bad.put(ObjectKind::Shard, &shard);
        let pack = bad.put(ObjectKind::Pack, &pack.to_bytes().unwrap());
        bad.packs(&[pack.blake3]);
    }),
    ("cached table: other images", |bad| {
        let mut rows = bad.swapper.rows();
        let last = rows.len() - 1;
        let (one, other) = (rows[0].blake3, rows[last].blake3);
        (rows[0].blake3, rows[last].blake3) = (other, one);
        let (index, _) = Index::new(rows).unwrap();
        let classes = bad.swapper.object(ObjectKind::Classes, &bad.manifest.objects.classes);
        let sums = Sums::new(&index, &classes);
        bad.table = Some(bytes_of(&Table::new(&index, &sums, &[bad.swapper.pack()]).unwrap()));
    }),
    ("cached table: other sizes", |bad| {
        let mut rows = bad.swapper.rows();
        rows.iter_mut().for_each(|row| row.width += 1);
        let (index, _) = Index::new(rows).unwrap();
        let classes = bad.swapper.object(ObjectKind::Classes, &bad.manifest.objects.classes);
        let sums = Sums::new(&index, &classes);
        bad.table = Some(bytes_of(&Table::new(&index, &sums, &[bad.swapper.pack()]).unwrap()));
    }),
];

#[test]
fn one_object_swapped_gives_what_the_pin_means_or_an_error() {
    let swapper = Swapper::new();
    Bad::new(&swapper).release();
    let truth = swapper.told("home-online", "bad");
    for (verb, code, text) in &truth {
        assert!(*code == 0 || (*code == 8 && verb.starts_with("audit")), "{verb}: {code} {text}");
    }
    let mut wrong = Vec::new();
    for (swap, change) in SWAPS {
        let mut bad = Bad::new(&swapper);
        change(&mut bad);
        bad.release();
        for (home, location) in [("home-online", "bad"), ("home-offline", NOWHERE)] {
            for (verb, code, text) in swapper.told(home, location) {
                let (_, _, right) = truth.iter().find(|(known, ..)| *known == verb).unwrap();
                let is_right = matches!(code, 0 | 8) && text == *right;
                // The verb names each image that cannot be read, and then prints nothing to stdout.
                let is_refused = verb == "audit labels" && code == 1 && text.is_empty();
                if !is_right && !is_refused && !matches!(code, 3 | 4) {
                    wrong.push(format!("{swap}, {location}, {verb}: exit {code}\n{text}"));
                }
                if swap == "nothing" && !is_right {
                    wrong.push(format!("{swap}, {location}, {verb}: exit {code}\n{text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_pins_hint_that_names_another_version_leads_to_the_pin_or_nowhere() {
    let swapper = Swapper::new();
    let sandbox = &swapper.sandbox;
    sandbox.build_second_version();
    sandbox.publish("out2");
    let dataset = swapper.manifest.dataset;
    for hint in ["grads 1.1\n", "other 1.0\n", "grads 1.0 more\n", "../../x 1.0\n"] {
        sandbox.write(&format!("reg/{}", layout::pin(&dataset)), hint.as_bytes());
        let hash = dataset.prefixed();
        for verb in ["info", "images", "pull"] {
            let args = [verb, &hash, "--registry", "reg"];
            let ran = ran(sandbox.command(&args).env("ISN_HOME", sandbox.path("stranger")));
            assert!(matches!(ran.code, 3 | 4 | 6), "{hint} {verb}: {} {}", ran.code, ran.stdout);
        }
    }
}

#[test]
fn a_tree_with_another_classes_csv_has_no_classes() {
    let swapper = Swapper::new();
    let sandbox = &swapper.sandbox;
    sandbox.pull(&swapper.pin, &["--to", "tree"]).ok();
    sandbox.isn(&["audit", "balance", "tree"]).ok();
    let text = String::from_utf8(sandbox.read("tree/classes.csv")).unwrap();
    sandbox.write("tree/classes.csv", text.replace("the ant", "the wasp").as_bytes());
    sandbox.isn(&["audit", "balance", "tree"]).fails(3, "is not the one that B3SUMS lists");
    sandbox.isn(&["diff", "tree", "out"]).fails(3, "is not the one that B3SUMS lists");
}

#[test]
fn what_nobody_signed_is_said_to_be_so_by_every_verb_that_shows_it() {
    let swapper = Swapper::new();
    let sandbox = &swapper.sandbox;
    let mut bad = Bad::new(&swapper);
    bad.manifest.title = "Evil title".into();
    bad.manifest.authors = vec!["Mallory".into()];
    bad.manifest.licence = "Evil-1.0".into();
    let mut rows = swapper.rows();
    for row in &mut rows {
        (row.width, row.pixels, row.source_blake3) = (9999, Digest::of(b"evil"), Digest::of(b"evil"));
    }
    bad.manifest.objects.index = bad.put(ObjectKind::Index, &stored(rows));
    bad.release();
    let vkey: serde_json::Value = serde_json::from_slice(&sandbox.read("reg/registry.json")).unwrap();
    let vkey = vkey["log_key"].as_str().unwrap();
    let args = ["trust", "add", "reg", vkey];
    ran(sandbox.command(&args).env("ISN_HOME", sandbox.path("home-knows"))).ok();
    let mut verbs: Vec<(&[&str], i32)> = vec![
        (&["info"], 0),
        (&["images"], 0),
        (&["images", "--origin", "train"], 0),
        (&["cite"], 0),
        (&["cite", "--format", "cff"], 0),
        (&["verify"], 0),
        (&["audit", "balance"], 0),
        (&["diff", "out"], 0),
        (&["verify-source", "--source", "raw"], 3),
        (&["pull", "--to", "made"], 0),
        (&["pull", "--to", "made", "--source", "raw"], 3),
        (&["export", "--as", "imagefolder", "--to", "made"], 0),
        (&["export", "--as", "webdataset", "--to", "made"], 0),
        (&["export", "--as", "croissant", "--to", "made"], 0),
        (&["export", "--as", "tfrecord", "--to", "made"], 0),
        (&["export", "--as", "mds", "--to", "made"], 0),
    ];
    if cfg!(feature = "parquet") {
        verbs.push((&["export", "--as", "hf", "--to", "made"], 0));
    }
    let mut wrong = Vec::new();
    for (args, code) in verbs {
        for (home, registry) in [("home-online", "bad"), ("home-knows", "reg")] {
            let is_unsigned = registry == "bad";
            let code = if is_unsigned { code } else { 0 };
            for json in [false, true] {
                let more: &[&str] = if json { &["--json"] } else { &[] };
                let ran = swapper.stranger(home, &[args, &["--registry", registry], more].concat());
                let all = format!("{}{}", ran.stdout, ran.stderr);
                let what = format!("{args:?} of {registry}: {all}");
                assert_eq!(ran.code, code, "{what}");
                let mut check = |is_right: bool, place: &str| {
                    if !is_right {
                        wrong.push(format!("{place} of {args:?} of {registry}"));
                    }
                };
                let is_said = all.contains("the pin vouches for images, labels, classes and splits, not for");
                check(json || is_said == is_unsigned, "text");
                if json {
                    let unsigned = ran.json()["unsigned"].to_string();
                    let expected = if is_unsigned { "\"source_blake3\"]" } else { "[]" };
                    check(unsigned.ends_with(expected), "JSON");
                }
                for (name, field) in [
                    ("ISN.json", "\"unsigned\""),
                    ("README.md", "- Unsigned:"),
                    ("croissant.json", "Unsigned:"),
                ] {
                    // The tree of a pull names the signer instead, if there is one.
                    let is_tree = args[0] == "pull" || args.contains(&"imagefolder");
                    let path = sandbox.path("made").join(name);
                    let is_there = path.exists();
                    check(is_there || is_tree || args[0] != "export" || name != "ISN.json", "no ISN.json");
                    if !is_tree && is_there {
                        let text = fs::read_to_string(path).unwrap();
                        check(text.contains(field) == is_unsigned, name);
                    }
                }
                let _ = fs::remove_dir_all(sandbox.path("made"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Sources that match an unsigned index are reported as no more than that.
    let mut bad = Bad::new(&swapper);
    bad.manifest.title = "Evil title".into();
    bad.release();
    let ran =
        swapper.stranger("home-online", &["verify-source", "--source", "raw", "--registry", "bad"]).ok();
    assert!(ran.stdout.contains("as in the index, which no key you trust has signed"), "{}", ran.stdout);
}
