//! An untrusted manifest, index, pack, classes.csv, split assignment or B3SUMS from a registry, or a table
//! from a cache: an error or a value, never a panic; and what is read is written back unchanged.
#![no_main]

use isn_format::class::{classes_csv, parse_classes};
use isn_format::index::{Full, Index, Sources};
use isn_format::manifest::Manifest;
use isn_format::pack::Pack;
use isn_format::split::Assignments;
use isn_format::sums::Sums;
use isn_format::table::{Check, Table};
use libfuzzer_sys::fuzz_target;

const MANIFEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/manifest.json"));

fuzz_target!(|data: &[u8]| {
    let Some((&kind, bytes)) = data.split_first() else { return };
    match kind % 7 {
        0 => drop(Manifest::parse("fuzz", bytes)),
        1 => {
            let manifest = Manifest::parse("fuzz", MANIFEST).expect("the seed is a manifest");
            let classes = manifest.objects.classes.blake3;
            let _ = Index::parse("fuzz", bytes, &manifest, &classes);
            let _ = Index::parse("fuzz", &isn_compressed(bytes), &manifest, &classes);
            // No hash stands before the columns here.
            if let Ok(index) = Index::parse_signed("fuzz", &isn_compressed(bytes), &manifest) {
                let sources = Sources::parse("fuzz", &isn_compressed(bytes), &index, |_| true)
                    .expect("the same object");
                let full = Full { index: &index, sources: &sources };
                let again = full.to_bytes().expect("what was read can be written");
                let read = Index::parse_signed("fuzz", &again, &manifest).expect("and read");
                assert!(
                    read == index
                        && Sources::parse("fuzz", &again, &read, |_| true).expect("and read") == sources
                );
            }
        }
        2 => {
            let _ = Pack::parse("fuzz", bytes, 1000);
            if let Ok(pack) = Pack::parse("fuzz", &isn_compressed(bytes), 1000) {
                let again = pack.to_bytes().expect("what was read can be written");
                assert_eq!(Pack::parse("fuzz", &again, 1000).expect("and read"), pack);
            }
        }
        3 => {
            if let Ok(classes) = parse_classes("fuzz", bytes) {
                assert_eq!(classes_csv(&classes), bytes);
            }
        }
        4 => {
            if let Ok(table) = Table::open("fuzz", bytes.to_vec(), Check::Once, u64::MAX) {
                let _ = (table.check(), table.records(0..table.images()).count());
            }
        }
        5 => {
            if let Ok(assignments) = Assignments::parse("fuzz", bytes) {
                assert_eq!(assignments.to_csv(), bytes);
            }
        }
        _ => {
            if let Ok(sums) = Sums::parse("fuzz", bytes) {
                assert_eq!(sums.to_text().as_bytes(), bytes);
            }
        }
    }
});

/// A zstd frame of one raw block, so that the fuzzer reaches the lines inside the compressed data.
fn isn_compressed(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[..bytes.len().min(100_000)];
    let length = bytes.len() as u32;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend(length.to_le_bytes());
    frame.extend(&(1 | length << 3).to_le_bytes()[..3]);
    frame.extend(bytes);
    frame
}
