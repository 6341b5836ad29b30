//! Tables say what index, list and packs say, or that they are damaged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::index::Row;
use crate::pack::Entry as Placed;

/// So many images in runs of different lengths, most of them in one of two shards.
fn sample(images: u32) -> (Index, Sums, Vec<Pack>) {
    let digest = |kind: &str, n: u32| Digest::of(format!("{kind} {n}").as_bytes());
    let folder = |n: u32| match n % 10 {
        0 => ("test", "a"),
        1..=3 => ("train", "a"),
        4..=7 => ("train", "a-b"),
        _ => ("val", "bee"),
    };
    let row = |n: u32| Row {
        path: format!("{}/{}/{n:0width$}.png", folder(n).0, folder(n).1, width = 1 + n as usize % 40)
            .parse()
            .unwrap(),
        class: folder(n).1.parse().unwrap(),
        split: folder(n).0.parse().unwrap(),
        blake3: digest("image", n),
        length: u64::from(n) + 1,
        width: n % 7 + 1,
        height: n % 5 + 1,
        pixels: digest("pixels", n),
        source: n.to_string(),
        source_blake3: digest("source", n),
    };
    let (index, _) = Index::new((0..images).map(row).collect()).unwrap();
    let sums = Sums::new(&index, b"classes");
    let shards = (0..2).map(|n| ObjectRef { blake3: digest("shard", n), length: 1 << 30 }).collect();
    // Every ninth image is in no pack.
    let placed = index.rows().filter(|row| row.length() % 9 != 4).map(|row| Placed {
        blake3: row.blake3(),
        shard: row.length() as usize % 2,
        offset: row.length() * 1000,
        length: row.length() + 7,
        frame: digest("frame", row.length() as u32),
    });
    let mut entries: Vec<Placed> = placed.collect();
    entries.sort_by_key(|entry| (entry.shard, entry.offset));
    (index.clone(), sums, vec![Pack { shards, entries }])
}

fn bytes_of(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    table
        .copy_to(|part| {
            bytes.extend(part);
            Ok(())
        })
        .unwrap();
    bytes
}

fn stored(images: u32) -> (Index, Sums, Vec<Pack>, Vec<u8>) {
    let (index, sums, packs) = sample(images);
    let bytes = bytes_of(&Table::new(&index, &sums, &packs).unwrap());
    (index, sums, packs, bytes)
}

fn open(bytes: Vec<u8>, check: Check) -> Result<Table> {
    Table::open("table", bytes, check, 1 << 20)
}

/// Where the rows and the summary begin.
fn parts(bytes: &[u8], images: usize) -> (usize, usize) {
    let summary = bytes.len() - END - u64_at(bytes, bytes.len() - END) as usize;
    (summary - images * ROW, summary)
}

/// Writes the hashes anew, as somebody does who makes a table of his own.
fn forged(mut bytes: Vec<u8>, images: usize) -> Vec<u8> {
    let (rows, summary) = parts(&bytes, images);
    let end = bytes.len() - END;
    let tree = end - 8 - 32 * (rows - MAGIC.len()).div_ceil(GROUP as usize);
    let pieces = tree - images.div_ceil(ROWS) * 40;
    for piece in 0..images.div_ceil(ROWS) {
        let its = rows + piece * ROWS * ROW..summary.min(rows + (piece + 1) * ROWS * ROW);
        let digest = Digest::of(&bytes[its]);
        bytes[pieces + piece * 40..][..32].copy_from_slice(digest.as_bytes());
    }
    let digest = Digest::of(&bytes[summary..end + 8]);
    bytes[end + 8..].copy_from_slice(digest.as_bytes());
    bytes
}

#[test]
fn a_table_says_what_index_and_packs_say() {
    for images in [1, 2, 255, 256, 257, 1500] {
        let (index, sums, packs, bytes) = stored(images);
        let placement = Placement::new(&index, &packs);
        let made = Table::new(&index, &sums, &packs).unwrap();
        let once = open(bytes.clone(), Check::Once).unwrap();
        let always = open(bytes.clone(), Check::Always).unwrap();
        for table in [&made, &once, &always] {
            assert_eq!(table.images(), images as usize);
            assert_eq!(table.dataset(), sums.digest());
            assert_eq!(table.bytes(), index.bytes());
            assert_eq!(table.classes_blake3().unwrap(), Some(Digest::of(b"classes")));
            assert_eq!(table.shards(), placement.shards());
            let expected: Vec<Entry> = index
                .rows()
                .map(|row| Entry {
                    path: row.path().as_str().into(),
                    blake3: row.blake3(),
                    record: Record {
                        width: row.width(),
                        height: row.height(),
                        length: row.length(),
                        frame: placement.frame(row.at()),
                    },
                })
                .collect();
            for (row, expected) in expected.iter().enumerate().rev() {
                assert_eq!(table.entry(row).unwrap(), *expected);
                assert_eq!(table.record(row).unwrap(), expected.record);
            }
            for rows in [0..expected.len(), expected.len() / 3..expected.len() / 2 + 1, 1..1] {
                let entries: Vec<Entry> = table.entries(rows.clone()).map(Result::unwrap).collect();
                assert_eq!(entries, expected[rows.clone()]);
                let records: Vec<Record> = table.records(rows.clone()).map(Result::unwrap).collect();
                assert!(records.iter().zip(&expected[rows]).all(|(record, entry)| *record == entry.record));
            }
            assert!(matches!(table.entry(images as usize), Err(Error::Internal(_))));
            assert!(table.check().is_ok() && table.is_of(&index, &packs));
            for (row, it) in index.rows().enumerate() {
                let run = table.runs().iter().find(|run| run.rows.contains(&(row as u32))).unwrap();
                assert_eq!((run.split, &run.class), (it.split(), it.class()));
                let frame = placement.frame(row);
                let extent = table.extents().iter().find(|extent| {
                    (extent.split, extent.shard) == (run.split, frame.map_or(NOWHERE, |at| at.shard))
                });
                let (bytes, at) = (
                    extent.unwrap().bytes.clone(),
                    frame.map_or(0..0, |at| at.offset..at.offset + at.length),
                );
                assert!(frame.is_none() || bytes.start <= at.start && at.end <= bytes.end);
            }
        }
        assert!(!once.is_of(&sample(images + 1).0, &packs));
        assert!(bytes_of(&once) == bytes);
    }
}

#[test]
fn a_tree_has_a_table_without_frames() {
    let (index, sums, _) = sample(300);
    let sizes: Vec<_> = index.rows().map(|row| (row.width(), row.height(), row.length())).collect();
    let table = Table::of_files("tree", &sums, &sizes).unwrap();
    assert!(table.records(0..300).all(|record| record.unwrap().frame.is_none()));
    assert!(table.extents().iter().all(|extent| extent.shard == NOWHERE));
    assert_eq!(table.entry(7).unwrap().path, index.row(7).path().as_str());
    let fewer = Table::of_files("tree", &sums, &sizes[1..]).map(drop).unwrap_err().to_string();
    assert!(fewer.contains("different number of images"), "{fewer}");
    let text = format!("{}  {CLASSES}\n{}  train/a.png\n", Digest::of(b"c"), Digest::of(b"a"));
    let flat = Sums::parse("B3SUMS", text.as_bytes()).unwrap();
    let flat = Table::of_files("tree", &flat, &sizes[..1]).map(drop).unwrap_err().to_string();
    assert!(flat.contains("has images in train: not a split and a class"), "{flat}");
}

#[test]
fn a_changed_byte_is_found_when_it_is_used() {
    let images = 600;
    let (_, _, _, good) = stored(images);
    let (rows, summary) = parts(&good, images as usize);
    // Of the magic and the summary, every byte is looked at when it is opened.
    for at in (0..MAGIC.len()).chain(summary..good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(open(bytes, Check::Once).is_err(), "byte {at}");
    }
    // What a part of the rest harms, and nothing else.
    let intact = open(good.clone(), Check::Once).unwrap();
    for at in (MAGIC.len()..summary).step_by(211).chain([rows - 1, rows, summary - 1]) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        let damaged = open(bytes, Check::Once).unwrap();
        for row in 0..images as usize {
            let (its, group) = (intact.entry(row).unwrap(), |byte: u64| byte / GROUP);
            let line = intact.row(row, &intact.read_row(row).unwrap()).unwrap().1;
            let (is_harmed, is_record_harmed) = match at.checked_sub(rows) {
                Some(at) => (at / ROW / ROWS == row / ROWS, at / ROW / ROWS == row / ROWS),
                None => {
                    let at = group((at - MAGIC.len()) as u64);
                    (group(line.start) <= at && at <= group(line.end - 1), false)
                }
            };
            let entry = damaged.entry(row);
            assert_eq!(entry.is_err(), is_harmed, "byte {at}, row {row}");
            assert!(is_harmed || entry.is_ok_and(|entry| entry == its));
            assert_eq!(damaged.record(row).is_err(), is_record_harmed, "byte {at}, row {row}");
        }
        let error = damaged.check().unwrap_err().to_string();
        assert!(error.contains("table is damaged") && error.contains("changed"), "{error}");
    }
}

#[test]
fn a_cut_table_is_refused() {
    let (_, _, _, good) = stored(300);
    for length in (0..good.len()).step_by(97).chain([good.len() - 1]) {
        assert!(open(good[..length].to_vec(), Check::Once).is_err(), "{length} bytes");
        let cut = [&good[..good.len() - length - 1], &good[good.len() - length..]].concat();
        assert!(open(cut, Check::Once).is_err(), "without byte {length} from the end");
    }
    assert!(Table::open("table", good, Check::Once, 299).is_err(), "more images than there may be");
}

/// A file that counts what is read of it, and may be cut.
struct Watched {
    bytes: Vec<u8>,
    length: AtomicU64,
    read: AtomicU64,
}

impl ReadAt for Arc<Watched> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.length.load(Ordering::Relaxed))
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(out.len() as u64, Ordering::Relaxed);
        if at + out.len() as u64 > self.length.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.read_at(at, out)
    }
}

#[test]
fn what_is_not_touched_is_not_read() {
    let images = 20_000;
    let (_, _, _, bytes) = stored(images);
    let (rows, summary) = parts(&bytes, images as usize);
    let length = bytes.len() as u64;
    let watched = Arc::new(Watched { bytes, length: AtomicU64::new(length), read: AtomicU64::new(0) });
    let read = || watched.read.swap(0, Ordering::Relaxed);
    let table = Table::open("table", watched.clone(), Check::Once, images.into()).unwrap();
    assert_eq!(read(), length - summary as u64 + MAGIC.len() as u64 + 8);
    table.entry(9_999).unwrap();
    let first = read();
    assert!((ROWS * ROW) as u64 + GROUP <= first && first <= (ROWS * ROW) as u64 + 2 * GROUP, "{first}");
    // What was found right is not read again.
    table.entry(9_999).unwrap();
    assert!(read() < 400);
    table.record(9_998).unwrap();
    assert_eq!(read(), ROW as u64);
    let always = Table::open("table", watched.clone(), Check::Always, images.into()).unwrap();
    read();
    for _ in 0..2 {
        always.record(9_999).unwrap();
        assert_eq!(read(), (ROWS * ROW) as u64);
    }
    // Cut while it is open: an error where it is used.
    watched.length.store(rows as u64 + 1, Ordering::Relaxed);
    assert!(matches!(table.record(9_998), Err(Error::Integrity { .. })));
    watched.length.store(100, Ordering::Relaxed);
    let error = table.entry(5).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

/// Changes two rows that follow one another.
type Change<'c> = &'c dyn Fn(&mut [u8], &mut [u8]);

#[test]
fn a_forged_row_is_found_when_it_is_used() {
    let images = 600;
    let (_, _, _, good) = stored(images);
    let (rows, _) = parts(&good, images as usize);
    assert!(forged(good.clone(), images as usize) == good);
    let forge = |row: usize, change: Change<'_>| {
        let mut bytes = good.clone();
        let (one, two) = bytes[rows + row * ROW..][..2 * ROW].split_at_mut(ROW);
        change(one, two);
        open(forged(bytes, images as usize), Check::Once).unwrap()
    };
    let says = |table: &Table, row: usize| table.entry(row).map(drop).unwrap_err().to_string();
    // The lines of two images exchanged; a line of two lines; half a line.
    let exchanged = forge(10, &|one, two| {
        let (begin, length) = (u64_at(one, 0), u32_at(two, 8));
        two[..8].copy_from_slice(&begin.to_le_bytes());
        one[..8].copy_from_slice(&(begin + u64::from(length)).to_le_bytes());
    });
    assert!(says(&exchanged, 10).contains("do not have all lines"));
    let moved = forge(10, &|one, two| {
        let (length, next) = (u32_at(one, 8) + 5, u64_at(two, 0) + 5);
        one[8..12].copy_from_slice(&length.to_le_bytes());
        two[..8].copy_from_slice(&next.to_le_bytes());
        let length = u32_at(two, 8) - 5;
        two[8..12].copy_from_slice(&length.to_le_bytes());
    });
    assert!(says(&moved, 10).contains("no line of its class"));
    assert!(says(&moved, 11).contains("no line of its class") && moved.entry(12).is_ok());
    // Sizes and lengths that no image has, and a shard that is not there.
    let changes: [Change<'_>; 5] = [
        &|one, _| one[16..20].fill(0),
        &|one, _| one[16..24].fill(0xff),
        &|one, _| one[24..28].fill(0xff),
        &|one, _| one[28..32].fill(0xff),
        &|one, _| one[12..16].copy_from_slice(&7u32.to_le_bytes()),
    ];
    for change in changes {
        let table = forge(20, &|one, two| {
            one[12..16].copy_from_slice(&0u32.to_le_bytes());
            change(one, two);
        });
        assert!(says(&table, 20).contains("impossible") && table.entry(21).is_ok());
        assert!(table.record(20).is_err() && table.check().is_err());
    }
}

#[test]
fn a_forged_run_is_found_when_it_is_used() {
    let (_, _, _, good) = stored(100);
    // By path bytes, `a-b/` is before `a/`.
    let at = good.windows(10).position(|text| text == b"train/a-b\n").unwrap() - 4;
    let next = at + 4 + 10;
    let (one, two) = (u32_at(&good, at), u32_at(&good, next));
    assert_eq!(&good[next + 4..next + 12], b"train/a\n");
    let mut bytes = good.clone();
    bytes[at..at + 4].copy_from_slice(&(one - 1).to_le_bytes());
    bytes[next..next + 4].copy_from_slice(&(two + 1).to_le_bytes());
    let table = open(forged(bytes, 100), Check::Once).unwrap();
    let begin = table.runs()[1].rows.end as usize;
    assert!(table.entry(begin).is_err() && table.check().is_err());
    assert!((0..100).filter(|&row| table.entry(row).is_err()).eq([begin]));
    // Out of order, empty, or too few.
    for (at, bytes_there) in [(at, (one + two).to_le_bytes()), (at, [0; 4]), (next, (two - 1).to_le_bytes())]
    {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&bytes_there);
        assert!(open(forged(bytes, 100), Check::Once).is_err());
    }
}
