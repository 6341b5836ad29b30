//! An index of names whose note the log's key signed, whatever is in it: an error or a value, never a panic.
//! And the index of any entries: what is written is read, and leads to the entries about each name.
#![no_main]

use std::collections::BTreeMap;

use isn_format::digest::Digest;
use isn_format::log::names::{File, Found, Node, Place, Row, SignedNames, Subject, Top, grow};
use isn_format::log::{TILE_WIDTH, bundle};
use libfuzzer_sys::fuzz_target;

type Files = BTreeMap<File, Vec<u8>>;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, bytes)) = data.split_first() else { return };
    let hash = Digest::of(bytes);
    match kind % 5 {
        0 => {
            let Ok(note) = SignedNames::parse("fuzz", bytes.to_vec()) else { return };
            assert_eq!(note.bytes(), bytes);
            assert!(note.claimed_root().through <= note.claimed_size());
        }
        1 => {
            if let Ok(top) = Top::parse(bytes, &hash) {
                row(&top.log);
                node(&top.node, &[]);
            }
        }
        2 => {
            let (prefix, bytes) = bytes.split_at(bytes.len().min(usize::from(kind) / 5));
            let prefix: Vec<u8> = prefix.iter().map(|digit| digit % 16).collect();
            if let Ok(read) = Node::parse(bytes, &prefix, &Digest::of(bytes)) {
                node(&read, &prefix);
            }
        }
        3 => {
            if let Ok(places) = Row::places(bytes, &hash) {
                assert!(places.windows(2).all(|two| two[0].index < two[1].index));
            }
            let _ = Row::hashes(bytes, &hash);
        }
        _ => entries(bytes),
    }
});

fn row(row: &Row) {
    assert!(row.last().len() as u64 <= row.count());
    assert!(row.last().len() <= 256 && row.blocks().len() <= 255 * 8);
}

fn node(node: &Node, prefix: &[u8]) {
    if let Node::Leaf(rows) = node {
        rows.iter().for_each(row);
    }
    if let Found::Row(found) = node.find(&"birds".parse().expect("a name"), prefix) {
        assert_eq!(*found.subject(), Subject::Name("birds".parse().expect("a name")));
    }
}

fn entries(bytes: &[u8]) {
    let Ok(entries) = bundle::read_all(bytes) else { return };
    let (mut offset, mut filed) = (0, Vec::new());
    for (index, entry) in (0..).zip(&entries) {
        let place = Place { index, offset: offset + 2, length: entry.len() as u16 };
        filed.extend(Subject::of(entry).map(|subject| (subject, place)));
        let is_full = (index + 1_u64).is_multiple_of(TILE_WIDTH);
        offset = if is_full { 0 } else { offset + 2 + entry.len() as u32 };
    }
    let mut files = Files::new();
    let root = grow(None, filed.clone(), &mut |_| unreachable!(), &mut |file, bytes| {
        files.insert(file, bytes);
        Ok(())
    });
    let root = root.expect("an index of any entries");
    let top = Top::parse(&files[&root.file()], &root.hash).expect("what was written is read");
    let mut expected: BTreeMap<Subject, Vec<Place>> = BTreeMap::new();
    for (subject, place) in filed {
        expected.entry(subject).or_default().push(place);
    }
    for (subject, places) in expected {
        let found = match &subject {
            Subject::Log => Some(top.log.clone()),
            Subject::Name(name) => {
                let (mut node, mut prefix) = (top.node.clone(), Vec::new());
                loop {
                    match node.find(name, &prefix) {
                        Found::Row(row) => break Some(row.clone()),
                        Found::Nothing => break None,
                        Found::Below(file, hash) => {
                            let bytes = &files[&file];
                            let File::Node { prefix: below, .. } = file else { unreachable!() };
                            prefix = below;
                            node = Node::parse(bytes, &prefix, &hash).expect("what was written is read");
                        }
                    }
                }
            }
        };
        let found = found.expect("a name with entries has a row");
        assert_eq!(found.count(), places.len() as u64);
        assert!(places.ends_with(found.last()));
    }
}
