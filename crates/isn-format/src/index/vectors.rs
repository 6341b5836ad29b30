//! The version in `tests/vectors/blocks`, which `blocks.py` wrote without isn: isn reads these bytes, and
//! writes the same lines, tree and proofs.

use std::path::{Path, PathBuf};

use super::tests::in_blocks;
use super::*;
use crate::pack::{Entry, Stored};
use crate::sums::{Sums, SumsProof, SumsTree};
use crate::tree::{Origin, Selection};

/// The parts that there are.
const PARTS: [&str; 11] = [
    "after-all",
    "at-chunk",
    "before-chunk",
    "class",
    "images",
    "images-of-class",
    "none",
    "one",
    "split",
    "two",
    "without",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/blocks")
}

fn file(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text(frames: &[u8]) -> String {
    String::from_utf8(zstd::decode_all(frames).unwrap()).unwrap()
}

/// Panics at the first line of `text` that is not in `vector`.
fn assert_same_lines(text: &str, vector: &str) {
    for (at, (line, other)) in text.lines().zip(vector.lines()).enumerate() {
        assert_eq!(line, other, "line {}", at + 1);
    }
    assert!(text == vector);
}

/// Removes the value of each `blake3` and `length` of a frame, which depend on the version of zstd.
fn without_frames(text: &str) -> String {
    let of_line = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        for name in ["rows", "sources", "places"] {
            if let Some(object) = value.get_mut(name) {
                *object = "a frame".into();
            }
        }
        // Names are sorted here, so their order is compared apart.
        let mut names: Vec<&str> = line.split('"').filter(|word| value.get(word).is_some()).collect();
        names.dedup();
        format!("{value} {names:?}\n")
    };
    text.lines().map(of_line).collect()
}

/// The version, as isn reads it.
struct Version {
    manifest: Manifest,
    directory: Directory,
    classes: Digest,
    index: Index,
    sources: Sources,
    sums: Sums,
}

impl Version {
    fn read() -> Self {
        let manifest = Manifest::parse("manifest.json", &file("manifest.json")).unwrap();
        let (index, rows, sources) =
            (file("index.jsonl.zst"), file("rows.jsonl.zst"), file("sources.jsonl.zst"));
        let blocks = manifest.objects.blocks.unwrap();
        manifest.objects.index.check("index", &index).unwrap();
        blocks.rows.check("rows", &rows).unwrap();
        blocks.sources.check("sources", &sources).unwrap();
        blocks.tree.check("tree", &file("tree.bin")).unwrap();
        manifest.objects.classes.check("classes", &file("classes.csv")).unwrap();
        let (rows_len, sources_len) = (rows.len() as u64, sources.len() as u64);
        let directory = Directory::parse("index", &index, &manifest, rows_len, sources_len).unwrap();
        let classes = manifest.objects.classes.blake3;
        let index = Index::parse_blocks(("rows", &rows), &directory, (&manifest, false), &classes).unwrap();
        let mut of_images = Sources::default();
        for at in 0..directory.blocks().len() {
            let frame = directory.slice("s", Frames::Sources, at, &sources).unwrap();
            of_images.push_block("sources", (&directory, at), frame, |_| true).unwrap();
        }
        let sums = Sums::new(&index, &file("classes.csv"));
        Version { manifest, directory, classes, index, sources: of_images, sums }
    }

    fn part(&self, selection: &Selection) -> Part {
        let (tree, rows) = (self.tree(), file("rows.jsonl.zst"));
        let chosen = self.directory.chosen(selection);
        let needed = self.directory.needed(&chosen, selection, &tree);
        let frames =
            needed.iter().map(|at| (*at, self.directory.slice("r", Frames::Rows, *at, &rows).unwrap()));
        let frames: Vec<(usize, &[u8])> = frames.collect();
        Part::new("rows", (&self.directory, &tree), (selection, &chosen), &self.classes, frames).unwrap()
    }

    fn tree(&self) -> SumsTree {
        SumsTree::parse("tree", &file("tree.bin"), &self.manifest.dataset).unwrap()
    }
}

#[test]
fn a_delta_is_read_applied_and_written() {
    let version = Version::read();
    let lines = file("delta.jsonl");
    let images = version.manifest.images;
    let delta = Delta::parse("delta", &zstd::encode_all(&lines[..], 1).unwrap(), images).unwrap();
    let of = (version.manifest.dataset, version.manifest.objects.index);
    assert_eq!((delta.dataset(), delta.index()), of);
    let later = delta.apply("delta", &version.index).unwrap();
    assert_eq!(later.len(), version.index.len());
    let (changed, removed) = (version.index.row(3), version.index.row(10));
    let after = later.find(changed.path().as_str()).unwrap();
    assert_eq!((after.width(), after.blake3()), (changed.width() + 1, changed.blake3()));
    assert!(later.find(removed.path().as_str()).is_none());
    let again = Delta::between(&version.index, of, &later).unwrap();
    assert_same_lines(&text(&again.to_bytes().unwrap()), &String::from_utf8(lines).unwrap());
}

#[test]
fn the_rows_and_sources_are_read_and_written() {
    let version = Version::read();
    assert_eq!(version.sums.to_text().as_bytes(), file("B3SUMS"));
    assert_eq!(version.sums.digest(), version.manifest.dataset);
    assert_eq!(version.manifest.images, version.index.len() as u64);
    // The rows in another order, from the lines and not from what isn read of them.
    let (rows, sources) = (text(&file("rows.jsonl.zst")), text(&file("sources.jsonl.zst")));
    let of_lines = rows.lines().zip(sources.lines()).map(|(row, source)| {
        let json: [serde_json::Value; 2] =
            [serde_json::from_str(row).unwrap(), serde_json::from_str(source).unwrap()];
        let word = |at: usize, name: &str| json[at][name].as_str().unwrap().to_owned();
        let number = |name: &str| json[0][name].as_u64().unwrap();
        let path = word(0, "path");
        let folders: Vec<&str> = path.split('/').collect();
        Row {
            class: folders[1].parse().unwrap(),
            split: folders[0].parse().unwrap(),
            blake3: word(0, "blake3").parse().unwrap(),
            length: number("length"),
            width: number("width") as u32,
            height: number("height") as u32,
            pixels: word(1, "pixels").parse().unwrap(),
            source: word(1, "source"),
            source_blake3: word(1, "source_blake3").parse().unwrap(),
            path: path.parse().unwrap(),
        }
    });
    let mut of_lines: Vec<Row> = of_lines.collect();
    of_lines.reverse();
    let (index, of_sources) = Index::new(of_lines).unwrap();
    assert!(index == version.index && of_sources == version.sources);
    let stored = in_blocks(Full { index: &index, sources: &of_sources }, &file("classes.csv"));
    assert_same_lines(&text(&stored.rows), &rows);
    assert_same_lines(&text(&stored.sources), &sources);
    let directory = text(&file("index.jsonl.zst"));
    assert_same_lines(&without_frames(&text(&stored.index)), &without_frames(&directory));
}

#[test]
fn the_tree_has_these_bytes() {
    let version = Version::read();
    let tree = SumsTree::of(&version.sums);
    assert_eq!(tree.to_bytes(), file("tree.bin"));
    assert!(tree == version.tree() && tree.root() == version.manifest.dataset);
}

#[test]
fn the_places_are_read_and_written() {
    let version = Version::read();
    let images = version.manifest.images;
    let mut placed = 0;
    for name in ["earlier", "new"] {
        let (directory, places) =
            (file(&format!("pack-{name}.jsonl.zst")), file(&format!("places-{name}.jsonl.zst")));
        let Stored::Blocks(read) = Stored::parse(name, &directory, images).unwrap() else {
            panic!("{name} is in blocks");
        };
        read.places.check("places", &places).unwrap();
        let mut entries: Vec<Entry> = Vec::new();
        for (block, rows) in version.index.blocks().enumerate() {
            let bytes = read.bytes(block..block + 1);
            let frame = &places[bytes.start as usize..bytes.end as usize];
            let rows = rows.map(|at| version.index.row(at).blake3());
            read.entries("places", (block, frame), rows, &mut entries).unwrap();
        }
        let pack = read.pack(name, entries).unwrap();
        placed += pack.entries.len();
        let (again, places_again) = pack.to_blocks(&version.index).unwrap();
        assert_same_lines(&text(&places_again), &text(&places));
        assert_same_lines(&without_frames(&text(&again)), &without_frames(&text(&directory)));
    }
    let distinct: std::collections::HashSet<Digest> = version.index.rows().map(RowRef::blake3).collect();
    assert!(placed == distinct.len() && placed < version.index.len());
}

#[test]
fn the_parts_have_these_lines_and_proofs() {
    let version = Version::read();
    let mut names: Vec<String> = std::fs::read_dir(folder().join("parts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, PARTS);
    for name in PARTS {
        let of_part = |what: &str| file(&format!("parts/{name}/{what}"));
        let origin = Origin::parse(&of_part("ISN.json")).unwrap();
        assert_eq!(origin.images(), Some(version.manifest.images));
        let selection = origin.selection();
        let (lines, bytes) = (of_part("B3SUMS.selected"), of_part("B3SUMS.proof"));
        let part = version.part(&selection);
        assert_eq!(part.selected.to_text().as_bytes(), lines, "{name}");
        assert!(part.proof == bytes, "{name}: {} and {} bytes", part.proof.len(), bytes.len());
        let selected = Sums::parse("selected", &lines).unwrap();
        let proof = SumsProof::parse("proof", &bytes).unwrap();
        assert_eq!(proof.dataset(), version.manifest.dataset);
        proof.check("proof", &selected).unwrap();
        assert_eq!(proof.lacking(&selected, &selection), None);
        // None of these shows what another selection has, but that of images of a class what that class has:
        // of a list, nothing is to be shown but its images.
        let others = PARTS.iter().filter(|other| **other != name);
        for other in others {
            let of_other = file(&format!("parts/{other}/ISN.json"));
            let promised = Origin::parse(&of_other).unwrap().selection();
            let is_whole = proof.lacking(&selected, &promised).is_none();
            let promised = version.sums.selected(&promised);
            let may_be = promised.lines().all(|line| selected.blake3_of(line.path.as_str()).is_some());
            assert!(!is_whole || may_be, "{name} is taken for {other}");
        }
    }
}
