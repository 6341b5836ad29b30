//! An untrusted proof file: it has one spelling, and its statement is the one in the log.
#![no_main]

use std::sync::LazyLock;

use isn_format::log::{LogKey, Proof};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<LogKey> =
    LazyLock::new(|| include_str!("../../tests/vectors/log/vkey-now").trim_end().parse().expect("a vkey"));
const ENTRIES: &[u8] = include_bytes!("../../tests/vectors/log/tile/entries/000.p/9");

fuzz_target!(|data: &[u8]| {
    let Ok(proof) = Proof::parse("fuzz", data) else { return };
    assert_eq!(proof.to_bytes(), data);
    if let Ok((attested, index, checkpoint)) = proof.verify(&KEY) {
        let entries = isn_format::log::bundle::read_all(ENTRIES).expect("a bundle");
        assert_eq!(checkpoint.size, entries.len() as u64);
        assert!(entries[index as usize].starts_with(attested.statement.to_string().as_bytes()));
    }
});
