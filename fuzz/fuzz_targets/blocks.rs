//! An untrusted index or pack in blocks, a tree over B3SUMS, or the proof of a part, from a registry or a
//! folder: an error or a value, never a panic; and what is read is written back unchanged.
#![no_main]

use std::sync::LazyLock;

use isn_format::digest::Digest;
use isn_format::error::Result;
use isn_format::index::{BlocksWriter, Directory, Frames, Full, Index, Part, Sources};
use isn_format::manifest::{Manifest, Tally};
use isn_format::object::ObjectRef;
use isn_format::pack::{Entry, Stored};
use isn_format::split::Split;
use isn_format::sums::{Sums, SumsProof, SumsTree};
use isn_format::tree::{Origin, Selection};
use libfuzzer_sys::fuzz_target;

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/blocks/", $name))
    };
}

const ROWS: &[u8] = vector!("rows.jsonl.zst");
const SOURCES: &[u8] = vector!("sources.jsonl.zst");
const SELECTED: &[u8] = vector!("parts/after-all/B3SUMS.selected");

/// What the fuzzer's bytes are read with: a version, and a selection of it.
struct Version {
    manifest: Manifest,
    sums: Sums,
    tree: SumsTree,
    selection: Selection,
    selected: Sums,
}

static VERSION: LazyLock<Version> = LazyLock::new(|| {
    let manifest = Manifest::parse("seed", vector!("manifest.json")).expect("a manifest");
    let note = Origin::parse(vector!("parts/after-all/ISN.json")).expect("a note");
    Version {
        sums: Sums::parse("seed", vector!("B3SUMS")).expect("sums"),
        tree: SumsTree::parse("seed", vector!("tree.bin"), &manifest.dataset).expect("a tree"),
        selection: note.selection(),
        selected: Sums::parse("seed", SELECTED).expect("sums"),
        manifest,
    }
});

fuzz_target!(|data: &[u8]| {
    let Some((&kind, bytes)) = data.split_first() else { return };
    match kind % 6 {
        0 => {
            directory(bytes);
            directory(&compressed(bytes));
        }
        1 => rows(bytes),
        2 => {
            let _ = Stored::parse("fuzz", bytes, 1000);
            if let Ok(Stored::Blocks(pack)) = Stored::parse("fuzz", &compressed(bytes), 1000) {
                assert_eq!(pack.bytes(0..pack.len()), 0..pack.places.length);
                assert!(pack.all_images() <= 1000);
            }
        }
        3 => places(bytes),
        4 => {
            if let Ok(tree) = SumsTree::parse("fuzz", bytes, &VERSION.manifest.dataset) {
                assert_eq!(tree.to_bytes(), bytes);
            }
            if let Ok(sums) = Sums::parse("fuzz", bytes) {
                let tree = SumsTree::of(&sums);
                let read = SumsTree::parse("fuzz", &tree.to_bytes(), &sums.digest());
                assert_eq!(read.expect("what was written is read"), tree);
                assert!(tree.check("fuzz", 0, bytes).is_ok_and(|range| range == (0..bytes.len() as u64)));
            }
        }
        _ => proof(bytes),
    }
});

fn directory(bytes: &[u8]) {
    let Version { manifest, tree, selection, .. } = &*VERSION;
    let (rows, sources) = (ROWS.len() as u64, SOURCES.len() as u64);
    let Ok(directory) = Directory::parse("fuzz", bytes, manifest, rows, sources) else { return };
    let classes = manifest.objects.classes.blake3;
    for is_signed in [true, false] {
        let _ = Index::parse_blocks(("fuzz", ROWS), &directory, (manifest, is_signed), &classes);
    }
    let chosen = directory.chosen(selection);
    let needed = directory.needed(&chosen, selection, tree);
    let frames = needed.iter().map(|at| Ok((*at, directory.slice("fuzz", Frames::Rows, *at, ROWS)?)));
    let Ok(frames) = frames.collect::<isn_format::error::Result<Vec<(usize, &[u8])>>>() else { return };
    if let Ok(part) = Part::new("fuzz", (&directory, tree), (selection, &chosen), &classes, frames) {
        assert_eq!(part.selected.to_text().as_bytes(), SELECTED);
    }
}

/// Lines of rows and of sources, of one block. Its directory is made for them: no hash stands before them.
fn rows(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(100_000)];
    let of = |is_row: bool| -> Vec<u8> {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        compressed(
            &lines.filter(|line| line.starts_with(b"{\"path\"") == is_row).collect::<Vec<_>>().concat(),
        )
    };
    let (rows, sources) = (of(true), of(false));
    let paths: Vec<u64> = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(path_len).collect();
    let images = paths.len() as u64;
    let object = |frame: &[u8]| serde_json::to_value(ObjectRef::of(frame)).expect("JSON");
    let block = serde_json::json!({
        "split": "train", "class": "ant", "images": images, "sums": paths.iter().map(|path| 67 + path).sum::<u64>(),
        "rows": object(&rows), "sources": object(&sources),
    });
    let mut manifest = VERSION.manifest.clone();
    manifest.images = images;
    if let Tally::Splits { splits, .. } = &mut manifest.tally {
        *splits = [(Split::Train, images)].into();
    }
    let lines = compressed(format!("{block}\n").as_bytes());
    let (rows_len, sources_len) = (rows.len() as u64, sources.len() as u64);
    let Ok(directory) = Directory::parse("fuzz", &lines, &manifest, rows_len, sources_len) else { return };
    let classes = manifest.objects.classes.blake3;
    let unsigned = Index::parse_blocks(("fuzz", &rows), &directory, (&manifest, false), &classes);
    assert!(unsigned.is_err(), "another dataset hash");
    let index = Index::parse_blocks(("fuzz", &rows), &directory, (&manifest, true), &classes);
    let sources = read_sources(&directory, &sources);
    let (Ok(index), Ok(sources)) = (index, sources) else { return };
    let mut writer = BlocksWriter::new(b"classes").expect("zstd begins");
    for row in (Full { index: &index, sources: &sources }).rows() {
        writer.push(&row.to_row()).expect("what was read can be written");
    }
    let stored = writer.finish().expect("and ended");
    let (rows_len, sources_len) = (stored.rows.len() as u64, stored.sources.len() as u64);
    let again = Directory::parse("fuzz", &stored.index, &manifest, rows_len, sources_len).expect("and read");
    let read = Index::parse_blocks(("fuzz", &stored.rows), &again, (&manifest, true), &classes);
    assert!(read.expect("and read") == index);
    let read = read_sources(&again, &stored.sources);
    assert!(read.expect("and read") == sources);
}

fn path_len(line: &[u8]) -> Option<u64> {
    let row: serde_json::Value = serde_json::from_slice(line).ok()?;
    Some(row.get("path")?.as_str()?.len() as u64)
}

/// The frame of a block, in a directory that is made for it.
fn places(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(100_000)];
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let images = lines.iter().filter(|line| **line != b"null\n").count();
    let frame = compressed(bytes);
    let of_frame = ObjectRef::of(&frame);
    let header = serde_json::json!({"format": "isn-pack/2", "places": of_frame, "shards": 2});
    let shards = [0, 1].map(|at| serde_json::json!({"blake3": Digest::of(&[at]), "length": 1 << 20}));
    let block = serde_json::json!({"images": images, "places": of_frame});
    let text = format!("{header}\n{}\n{}\n{block}\n", shards[0], shards[1]);
    let Ok(Stored::Blocks(pack)) = Stored::parse("fuzz", &compressed(text.as_bytes()), 100_000) else {
        return;
    };
    let hashes: Vec<Digest> = (0..lines.len()).map(|at| Digest::of(&at.to_le_bytes())).collect();
    let mut entries = Vec::new();
    if pack.entries("fuzz", (0, &frame), hashes.into_iter(), &mut entries).is_err() {
        return;
    }
    assert_eq!(entries.len(), images);
    let is_inside = |entry: &Entry| entry.shard < 2 && entry.offset + entry.length <= 1 << 20;
    assert!(entries.iter().all(is_inside));
    let _ = pack.pack("fuzz", entries);
}

/// Reads the sources of the only block.
fn read_sources(directory: &Directory, frame: &[u8]) -> Result<Sources> {
    let mut sources = Sources::default();
    sources.push_block("fuzz", (directory, 0), frame, |_| true)?;
    Ok(sources)
}

fn proof(bytes: &[u8]) {
    let Version { manifest, sums, selection, selected, .. } = &*VERSION;
    let Ok(proof) = SumsProof::parse("fuzz", bytes) else { return };
    let _ = proof.check("fuzz", selected);
    let _ = proof.lacking(selected, selection);
    if proof.dataset() == manifest.dataset {
        assert!(proof.lines().all(|line| sums.blake3_of(line.path.as_str()) == Some(line.blake3)));
    }
}

/// A zstd frame of one raw block, so that the fuzzer reaches the lines inside the compressed data.
fn compressed(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[..bytes.len().min(100_000)];
    let length = bytes.len() as u32;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend(length.to_le_bytes());
    frame.extend(&(1 | length << 3).to_le_bytes()[..3]);
    frame.extend(bytes);
    frame
}
