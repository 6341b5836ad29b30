//! Tests of indexes in blocks, of the parts that are read of them, and of the proofs of these parts.

use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::*;
use crate::manifest::{Blocks, Objects, Tally};
use crate::object::ObjectRef;
use crate::pack::{Entry, Pack, Stored};
use crate::source_spec::MAX_ID_LEN;
use crate::sums::{Sums, SumsProof, SumsTree};
use crate::tree::Selection;

const CLASSES_CSV: &[u8] = b"the exact bytes do not matter";

/// A version, as it is stored in blocks.
struct Version {
    counts: Vec<(Split, Vec<usize>)>,
    index: Index,
    sources: Sources,
    stored: BlocksEnd,
    tree: SumsTree,
    sums: Sums,
    manifest: Manifest,
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.counts)
    }
}

/// Writes an index in blocks, and takes what is written now and then.
pub(super) fn in_blocks(full: Full<'_>, classes_csv: &[u8]) -> BlocksEnd {
    let mut writer = BlocksWriter::new(classes_csv).unwrap();
    let (mut rows, mut sources) = (Vec::new(), Vec::new());
    for row in full.rows() {
        writer.push(&row.to_row()).unwrap();
        if row.at() % 50 == 0 {
            let [some_rows, some_sources] = writer.take();
            rows.extend(some_rows);
            sources.extend(some_sources);
        }
    }
    let mut end = writer.finish().unwrap();
    rows.append(&mut end.rows);
    sources.append(&mut end.sources);
    BlocksEnd { rows, sources, ..end }
}

impl Version {
    /// A version with so many images in the classes of each split, in the order of their names.
    fn new(counts: &[(Split, &[usize])]) -> Self {
        let mut rows = Vec::new();
        for (split, classes) in counts {
            for (class, images) in classes.iter().enumerate() {
                for image in 0..*images {
                    let path =
                        format!("{}/c{class}/{image:0width$}.png", split.as_str(), width = 4 + class * 20);
                    let hash = |what: &str| Digest::of(format!("{what} {path}").as_bytes());
                    rows.push(Row {
                        class: format!("c{class}").parse().unwrap(),
                        split: *split,
                        // Some images occur twice.
                        blake3: if image % 7 == 3 { Digest::of(&[image as u8]) } else { hash("file") },
                        length: 1000 + image as u64,
                        width: 8,
                        height: 9,
                        pixels: hash("pixels"),
                        source: format!("{path} “source”"),
                        source_blake3: hash("source"),
                        path: path.parse().unwrap(),
                    });
                }
            }
        }
        let (index, sources) = Index::new(rows).unwrap();
        let sums = Sums::new(&index, CLASSES_CSV);
        let stored = in_blocks(Full { index: &index, sources: &sources }, CLASSES_CSV);
        let tree = SumsTree::of(&sums);
        assert_eq!(stored.tree, tree);
        let object = ObjectRef::of(b"");
        let blocks = Blocks {
            rows: ObjectRef::of(&stored.rows),
            sources: ObjectRef::of(&stored.sources),
            tree: ObjectRef::of(&tree.to_bytes()),
        };
        let manifest = Manifest {
            is_part: false,
            name: "birds".parse().unwrap(),
            version: "1.0".parse().unwrap(),
            title: "t".into(),
            description: "d".into(),
            licence: "l".into(),
            citation: None,
            authors: vec!["a".into()],
            dataset: sums.digest(),
            pipeline: "isn-px/1".into(),
            source: "imagefolder".into(),
            images: index.len() as u64,
            bytes: index.bytes(),
            tally: Tally::of_splits(&index.counts(), 3),
            objects: Objects {
                index: ObjectRef::of(&stored.index),
                blocks: Some(blocks),
                delta: None,
                classes: ObjectRef::of(CLASSES_CSV),
                recipe: object,
                corrections: None,
                assignments: object,
                groups: None,
                pairs: None,
                others: Vec::new(),
            },
            previous: None,
        };
        let counts = counts.iter().map(|(split, classes)| (*split, classes.to_vec())).collect();
        Version { counts, index, sources, stored, tree, sums, manifest }
    }

    fn directory(&self) -> Result<Directory> {
        let (rows, sources) = (self.stored.rows.len() as u64, self.stored.sources.len() as u64);
        Directory::parse("index", &self.stored.index, &self.manifest, rows, sources)
    }

    fn part(&self, selection: &Selection) -> Result<Part> {
        let directory = self.directory()?;
        let chosen = directory.chosen(selection);
        let needed = directory.needed(&chosen, selection, &self.tree);
        let frames =
            needed.iter().map(|at| Ok((*at, directory.slice("rows", Frames::Rows, *at, &self.stored.rows)?)));
        let frames: Vec<(usize, &[u8])> = frames.collect::<Result<_>>()?;
        let classes = Digest::of(CLASSES_CSV);
        Part::new("rows", (&directory, &self.tree), (selection, &chosen), &classes, frames)
    }
}

fn shape() -> impl Strategy<Value = Version> {
    let classes = || prop::collection::vec(prop_oneof![Just(0_usize), 1..20_usize, 100..400_usize], 3);
    (classes(), classes(), classes()).prop_filter_map("no image", |(train, val, test)| {
        let counts = [(Split::Train, &train[..]), (Split::Val, &val[..]), (Split::Test, &test[..])];
        (counts.iter().flat_map(|(_, classes)| classes.iter()).sum::<usize>() > 0)
            .then(|| Version::new(&counts))
    })
}

fn selections() -> impl Strategy<Value = Selection> {
    let splits = prop::sample::subsequence(Split::ALL.to_vec(), 0..=3);
    let classes = prop::sample::subsequence(vec!["c0", "c1", "c2"], 0..=3);
    (splits, classes).prop_map(|(splits, classes)| Selection {
        splits,
        classes: classes.into_iter().map(|class| class.parse().unwrap()).collect(),
        ..Selection::default()
    })
}

#[test]
fn the_longest_row_is_no_longer_than_it_may_be() {
    let class = "x".repeat(64);
    let path = format!("train/{class}/{}.png", "y".repeat(200 - 64 - 11));
    let hash = Digest::of(b"");
    let row = Row {
        path: path.parse().unwrap(),
        class: class.parse().unwrap(),
        split: Split::Train,
        blake3: hash,
        length: u64::MAX,
        width: u32::MAX,
        height: u32::MAX,
        pixels: hash,
        source: "z".repeat(MAX_ID_LEN - 2),
        source_blake3: hash,
    };
    let json = serde_json::to_string(&row).unwrap();
    assert_eq!(path.len(), 200);
    assert!(json.len() < MAX_ROW as usize, "{}", json.len());
}

#[test]
fn an_index_in_blocks_is_read_back_whole() {
    for counts in [
        &[(Split::Train, &[3, 0, 5][..]), (Split::Val, &[1, 2, 0])][..],
        &[(Split::Test, &[MAX_ROWS, MAX_ROWS + 1, 2 * MAX_ROWS + 3])],
    ] {
        let version = Version::new(counts);
        let directory = version.directory().unwrap();
        for is_signed in [true, false] {
            let manifest = (&version.manifest, is_signed);
            let classes = Digest::of(CLASSES_CSV);
            let read = Index::parse_blocks(("rows", &version.stored.rows), &directory, manifest, &classes);
            assert!(read.unwrap() == version.index);
        }
        let mut read = Sources::default();
        for at in 0..directory.blocks().len() {
            let frame = directory.slice("s", Frames::Sources, at, &version.stored.sources).unwrap();
            read.push_block("sources", (&directory, at), frame, |_| true).unwrap();
        }
        assert!(read == version.sources);
        let images: Vec<u32> = directory.blocks().iter().map(|block| block.images).collect();
        assert!(images.iter().all(|images| (1..=MAX_ROWS as u32).contains(images)), "{images:?}");
        let bytes = version.tree.to_bytes();
        assert_eq!(SumsTree::parse("tree", &bytes, &version.manifest.dataset).unwrap(), version.tree);
        assert!(bytes.len() as u64 <= SumsTree::max_len(version.manifest.images));
        assert!(version.stored.index.len() as u64 <= Directory::max_len(version.manifest.images));
    }
}

#[test]
fn the_line_beside_a_selected_one_may_begin_with_a_chunk() {
    // The last line of c0 has bytes 4,096 to 4,178 of B3SUMS, so that the text of its chunks begins with it.
    let version = Version::new(&[(Split::Val, &[50, 3, 0])]);
    let before: usize = version.sums.lines().take(50).map(|line| 67 + line.path.as_str().len()).sum();
    assert_eq!(before, 4096);
    for class in ["c1", "c0a"] {
        let selection = Selection { classes: vec![class.parse().unwrap()], ..Selection::default() };
        let part = version.part(&selection).unwrap();
        let proof = SumsProof::parse("proof", &part.proof).unwrap();
        let is_shown = |at: usize| proof.lines().any(|line| line.path == version.sums.image(at).path);
        assert!(is_shown(49) && !is_shown(48), "{class}");
        proof.check("proof", &part.selected).unwrap();
        assert_eq!(proof.lacking(&part.selected, &selection), None);
    }
}

#[test]
fn a_byte_that_is_not_as_it_was_written_is_found() {
    let mut version = Version::new(&[(Split::Train, &[30, 5, 0]), (Split::Val, &[7, 0, 300])]);
    let selection = Selection { classes: vec!["c0".parse().unwrap()], ..Selection::default() };
    version.part(&selection).unwrap();
    let classes = Digest::of(CLASSES_CSV);
    let whole = |version: &Version| {
        let directory = version.directory()?;
        let manifest = (&version.manifest, false);
        Index::parse_blocks(("rows", &version.stored.rows), &directory, manifest, &classes)
    };
    for at in 0..version.stored.rows.len() {
        version.stored.rows[at] ^= 1;
        assert!(whole(&version).is_err(), "{at}");
        version.stored.rows[at] ^= 1;
    }
    let tree = version.tree.to_bytes();
    let mut read = |bytes: &[u8]| {
        // Its root does not show how long the whole is; the last lines do.
        version.tree = SumsTree::parse("tree", bytes, &version.manifest.dataset)?;
        version.part(&selection)
    };
    for at in 0..tree.len() {
        let mut bytes = tree.clone();
        bytes[at] ^= 1;
        assert!(read(&bytes).is_err() && read(&tree[..at]).is_err(), "{at}");
    }
    read(&tree).unwrap();
    // Whoever reads the directory knows its hash; a forger may have signed another one.
    let directory = zstd::decode_all(&version.stored.index[..]).unwrap();
    for (from, to) in [
        ("\"images\":30", "\"images\":29"),
        ("\"images\":30", "\"images\":0"),
        ("\"class\":\"c0\"", "\"class\":\"c9\""),
        ("\"split\":\"train\"", "\"split\":\"val\""),
        ("\"sums\":", "\"sums\":1"),
    ] {
        let text = String::from_utf8(directory.clone()).unwrap().replacen(from, to, 1);
        version.stored.index = zstd::encode_all(text.as_bytes(), 1).unwrap();
        assert!(version.part(&selection).is_err() && whole(&version).is_err(), "{from} {to}");
    }
}

#[test]
fn a_block_that_is_told_to_be_of_another_class_is_found() {
    let mut version = Version::new(&[(Split::Train, &[30, 5, 8]), (Split::Val, &[7, 4, 6])]);
    let selection = Selection { classes: vec!["c2".parse().unwrap()], ..Selection::default() };
    version.part(&selection).unwrap();
    // Of the same order, and with the same lines: all but the selection is as it was.
    let directory = String::from_utf8(zstd::decode_all(&version.stored.index[..]).unwrap()).unwrap();
    for text in [directory.replace("\"c2\"", "\"c3\""), directory.replacen("\"c2\"", "\"c3\"", 1)] {
        version.stored.index = zstd::encode_all(text.as_bytes(), 1).unwrap();
        version.directory().unwrap();
        assert!(version.part(&selection).is_err());
    }
}

#[test]
fn what_blocks_claim_is_no_more_than_their_images_can_need() {
    let version = Version::new(&[(Split::Train, &[30, 5, 0]), (Split::Val, &[7, 0, 300])]);
    let text = String::from_utf8(zstd::decode_all(&version.stored.index[..]).unwrap()).unwrap();
    let first = text.lines().next().unwrap();
    let mut block: serde_json::Value = serde_json::from_str(first).unwrap();
    let mut refused = |field: &str, value: u64, why: &str| {
        let (before, length) = (block.clone(), format!("/{}", field.replace('.', "/")));
        *block.pointer_mut(&length).unwrap() = value.into();
        let line = serde_json::to_string(&block).unwrap();
        let index = zstd::encode_all(text.replacen(first, &line, 1).as_bytes(), 1).unwrap();
        let (rows, sources) = (version.stored.rows.len() as u64, version.stored.sources.len() as u64);
        let read = Directory::parse("index", &index, &version.manifest, rows, sources);
        let error = read.unwrap_err().to_string();
        assert!(error.contains(why), "{field} {value}: {error}");
        block = before;
    };
    refused("sums", 0, "gives 0 bytes of B3SUMS");
    refused("sums", 1 << 40, "bytes of B3SUMS");
    for length in [1 << 20, u64::MAX] {
        refused("rows.length", length, "more than the");
        refused("sources.length", length, "more than the");
    }
    // A row that claims more bytes than any image has.
    let huge = |length: u64| {
        let mut lines = FrameOfLines::new().unwrap();
        let path = "train/c0/1.png";
        let blake3 = Digest::of(b"");
        lines
            .push(&serde_json::json!({
                "path": path, "blake3": blake3, "length": length, "width": 1, "height": 1
            }))
            .unwrap();
        let mut rows = Vec::new();
        let frame = lines.end(&mut rows).unwrap();
        let block = serde_json::json!({
            "split": "train", "class": "c0", "images": 1, "sums": 67 + path.len(), "rows": frame, "sources": frame,
        });
        let index = zstd::encode_all(format!("{block}\n").as_bytes(), 1).unwrap();
        let splits = std::collections::BTreeMap::from([(Split::Train, 1)]);
        let tally = Tally::Splits { splits, classes: 1 };
        let manifest = Manifest { images: 1, tally, ..version.manifest.clone() };
        let length = rows.len() as u64;
        let directory = Directory::parse("index", &index, &manifest, length, length).unwrap();
        let (manifest, classes) = ((&manifest, true), Digest::of(CLASSES_CSV));
        Index::parse_blocks(("rows", &rows), &directory, manifest, &classes).map(drop)
    };
    assert!(huge(1 << 29).is_ok());
    assert!(huge((1 << 29) + 1).unwrap_err().to_string().contains("an image has"));
    assert!(huge(u64::MAX).is_err());
}

#[test]
fn what_a_pack_in_blocks_claims_is_no_more_than_its_images_can_need() {
    let digest = Digest::of(b"");
    let object = |length: u64| format!("{{\"blake3\":\"{digest}\",\"length\":{length}}}");
    let parse = |places: u64, shards: u64, blocks: &[String]| {
        let head =
            format!("{{\"format\":\"isn-pack/2\",\"places\":{},\"shards\":{shards}}}\n", object(places));
        let text = [head]
            .into_iter()
            .chain(
                (0..shards.min(9))
                    .map(|n| format!("{{\"blake3\":\"{}\",\"length\":9}}\n", Digest::of(&[n as u8]))),
            )
            .chain(blocks.iter().map(|line| format!("{line}\n")))
            .collect::<String>();
        Stored::parse("pack", &zstd::encode_all(text.as_bytes(), 1).unwrap(), 100)
    };
    let block = |images: u32, length: u64| format!("{{\"images\":{images},\"places\":{}}}", object(length));
    assert!(parse(300, 1, &[block(1, 100), block(2, 200)]).is_ok());
    for (places, shards, blocks) in [
        (1 << 39, 1, vec![block(1, 100), block(2, (1 << 39) - 100)]),
        (u64::MAX, 1, vec![block(1, u64::MAX), block(2, 1)]),
        (u64::MAX, 1, vec![block(1, u64::MAX)]),
        (100, u64::MAX, vec![block(1, 100)]),
        (0, 0, vec!["{\"images\":0}".to_string(); 101]),
        (200, 1, vec![block(1, 100)]),
        (101, 1, vec![block(101, 101)]),
    ] {
        assert!(parse(places, shards, &blocks).is_err(), "{places} {shards} {}", blocks.len());
    }
}

#[test]
fn a_delta_is_refused_unless_each_line_is_one() {
    let header = format!(
        "{{\"format\":\"isn-delta/1\",\"dataset\":\"{0}\",\"index\":{{\"blake3\":\"{1}\",\"length\":1}}}}",
        Digest::of(b"").prefixed(),
        Digest::of(b""),
    );
    let row = |path: &str| {
        let blake3 = Digest::of(b"");
        format!("{{\"path\":\"{path}\",\"blake3\":\"{blake3}\",\"length\":1,\"width\":1,\"height\":1}}")
    };
    let parse = |lines: &[&str]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Delta::parse("delta", &zstd::encode_all(text.as_bytes(), 1).unwrap(), 100)
    };
    let (a, b) = (row("train/c0/a.png"), row("train/c0/b.png"));
    let removed = "{\"removed\":\"train/c0/a.png\"}";
    assert!(parse(&[&header, &a, &b]).is_ok() && parse(&[&header, removed, &b]).is_ok());
    for (lines, why) in [
        (&[][..], "is empty"),
        (&[&*header.replace("delta/1", "delta/2")], "a newer isn may read it"),
        (&[&*header, &b, &a], "is not sorted"),
        (&[&*header, &a, removed], "is not sorted"),
        (&[&*header, &a.replace("\"width\":1,", "")], "line 2"),
        (&[&*header, &a.replace("\"width\"", "\"more\":1,\"width\"")], "line 2"),
        (&[&*header, "{\"removed\":\"train/c0/a.png\",\"why\":1}"], "line 2"),
    ] {
        let error = parse(lines).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    let empty = Index::default();
    assert!(parse(&[&header, removed]).unwrap().apply("delta", &empty).is_err());
    for path in ["train/c0", "val", "other/c0/a.png", "train/c0/a/b.png", "train/c0/../a.png"] {
        assert!(parse(&[&header, &row(path)]).unwrap().apply("delta", &empty).is_err(), "{path}");
    }
}

#[test]
fn a_pack_in_blocks_is_read_back_block_by_block() {
    let version = Version::new(&[(Split::Train, &[30, 5, 0]), (Split::Val, &[7, 0, 300])]);
    let images = Images::all(&version.index);
    let mut seen = std::collections::HashSet::new();
    let mut entries = Vec::new();
    let (mut shard, mut offset) = (0, 0);
    for row in version.index.rows().filter(|row| seen.insert(row.blake3())) {
        if offset > 20_000 {
            (shard, offset) = (shard + 1, 0);
        }
        // One is after a gap, and one is in no shard of this pack.
        offset += if row.at() == 11 { 5 } else { 0 };
        if row.at() != 17 {
            let (blake3, frame) = (row.blake3(), Digest::of(row.path().as_str().as_bytes()));
            entries.push(Entry { blake3, shard, offset, length: 100, frame });
        }
        offset += 100;
    }
    let shards =
        (0..=shard).map(|at| ObjectRef { blake3: Digest::of(&[at as u8]), length: 30_000 }).collect();
    let pack = Pack { shards, entries };
    let (directory, places) = pack.to_blocks(&version.index).unwrap();
    let Stored::Blocks(read) = Stored::parse("pack", &directory, images.len() as u64 + 100).unwrap() else {
        panic!("in blocks");
    };
    assert_eq!(read.places, ObjectRef::of(&places));
    let entries = |places: &[u8]| -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (block, rows) in version.index.blocks().enumerate() {
            let bytes = read.bytes(block..block + 1);
            let frame = &places[bytes.start as usize..bytes.end as usize];
            let images = rows.map(|at| version.index.row(at).blake3());
            let before = entries.len();
            read.entries("places", (block, frame), images, &mut entries)?;
            assert_eq!(entries.len() - before, read.images(block) as usize);
        }
        Ok(entries)
    };
    assert_eq!(read.pack("pack", entries(&places).unwrap()).unwrap(), pack);
    let mut damaged = places.clone();
    for at in 0..damaged.len() {
        damaged[at] ^= 1;
        assert!(entries(&damaged).is_err(), "{at}");
        damaged[at] ^= 1;
    }
}

/// The rows of an index as a tree of files would have them, with some taken away, changed and added.
fn changed(version: &Version, picks: &[(Pick, u8)]) -> Index {
    let full = Full { index: &version.index, sources: &version.sources };
    let mut rows: Vec<Row> = full.rows().map(FullRow::to_row).collect();
    for (pick, what) in picks {
        if rows.is_empty() {
            break;
        }
        let at = pick.index(rows.len());
        match what % 4 {
            0 => drop(rows.remove(at)),
            1 => rows[at].blake3 = Digest::of(&[*what]),
            2 => rows[at].width += 1,
            _ => {
                let path = rows[at].path.as_str().replace(".png", &format!("-{what}.png"));
                let row = Row { path: path.parse().unwrap(), ..rows[at].clone() };
                if rows.iter().all(|other| other.path != row.path) {
                    rows.push(row);
                }
            }
        }
    }
    Index::new(rows).unwrap().0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_part_is_shown_to_be_whole(version in shape(), selection in selections()) {
        let part = version.part(&selection).unwrap();
        let selected = version.sums.selected(&selection);
        prop_assert!(part.selected == selected);
        for row in part.index.rows() {
            let whole = version.index.find(row.path().as_str()).unwrap();
            prop_assert_eq!((row.blake3(), row.length()), (whole.blake3(), whole.length()));
        }
        let proof = SumsProof::parse("proof", &part.proof).unwrap();
        prop_assert_eq!(proof.dataset(), version.manifest.dataset);
        proof.check("proof", &selected).unwrap();
        if !selection.is_all() {
            prop_assert_eq!(proof.lacking(&selected, &selection), None);
        }
    }

    #[test]
    fn a_delta_makes_the_later_index_of_the_earlier_one(
        version in shape(), picks in prop::collection::vec(any::<(Pick, u8)>(), 0..30),
    ) {
        let new = changed(&version, &picks);
        let of = (version.manifest.dataset, version.manifest.objects.index);
        let Some(delta) = Delta::between(&version.index, of, &new) else {
            prop_assert!(picks.len() >= new.len() / 4);
            return Ok(());
        };
        let bytes = delta.to_bytes().unwrap();
        let read = Delta::parse("delta", &bytes, new.len() as u64).unwrap();
        prop_assert_eq!((&read, read.dataset(), read.index()), (&delta, of.0, of.1));
        prop_assert!(read.apply("delta", &version.index).unwrap() == new);
        read.check("delta", &new).unwrap();
        if version.index != new {
            prop_assert!(read.check("delta", &version.index).is_err());
        }
        // To another index, it does not lead there.
        if version.index != new {
            prop_assert!(read.apply("delta", &new).map_or(true, |other| other != version.index));
        }
    }

    #[test]
    fn what_a_part_lacks_or_has_in_addition_is_found(
        version in shape(), selection in selections(), line in any::<Pick>(),
        damage in prop::collection::vec(any::<(Pick, u8)>(), 50),
    ) {
        let part = version.part(&selection).unwrap();
        let proof = SumsProof::parse("proof", &part.proof).unwrap();
        let selected = part.selected.to_text();
        let lines: Vec<&str> = selected.lines().collect();
        let at = line.index(lines.len());
        let parsed = |lines: &[String]| Sums::parse("selected", lines.concat().as_bytes());
        let text = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>();
        // Without one of the lines.
        let without: Vec<&str> = lines.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, line)| *line).collect();
        if !without.is_empty() && !selection.is_all() {
            let without = parsed(&text(&without)).unwrap();
            prop_assert!(proof.lacking(&without, &selection).is_some(), "{}", lines[at]);
        }
        // With another hash.
        let mut other = text(&lines);
        let digits = if other[at].starts_with("00") { "11" } else { "00" };
        other[at].replace_range(..2, digits);
        prop_assert!(proof.check("proof", &parsed(&other).unwrap()).is_err());
        // With a line that no version has.
        let mut more = text(&lines);
        more.push(format!("{}  val/zz/1.png\n", Digest::of(b"")));
        prop_assert!(proof.check("proof", &parsed(&more).unwrap()).is_err());
        // Any byte of the proof.
        let mut bytes = part.proof.clone();
        for (at, bit) in damage {
            let (at, bit) = (at.index(bytes.len()), bit % 8);
            bytes[at] ^= 1 << bit;
            let is_found = SumsProof::parse("proof", &bytes).map_or(true, |found| {
                found.dataset() != version.manifest.dataset || found.check("proof", &part.selected).is_err()
            });
            prop_assert!(is_found, "byte {at} bit {bit}");
            bytes[at] ^= 1 << bit;
            prop_assert!(SumsProof::parse("proof", &bytes[..at]).is_err());
        }
    }
}
