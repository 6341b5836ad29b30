//! A log's checkpoint from an untrusted server, and an untrusted vkey.
#![no_main]

use std::sync::LazyLock;

use isn_format::log::{LogKey, MAX_SIZE, SignedCheckpoint, WitnessKey};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<LogKey> =
    LazyLock::new(|| include_str!("../../tests/vectors/log/vkey-now").trim_end().parse().expect("a vkey"));
static WITNESS: LazyLock<WitnessKey> =
    LazyLock::new(|| include_str!("../../tests/vectors/log/witness").trim_end().parse().expect("a vkey"));
const SIGNED: &[u8] = include_bytes!("../../tests/vectors/log/checkpoint");

fuzz_target!(|data: &[u8]| {
    if let Ok(signed) = SignedCheckpoint::parse("fuzz", data.to_vec()) {
        assert_eq!(signed.bytes(), data);
        assert!(data.starts_with(signed.text()));
        assert!(signed.claimed_size() <= MAX_SIZE);
        if let Ok(checkpoint) = signed.verify(&KEY) {
            // Only the key's holder can sign another text; signature lines of others may follow it.
            assert!(SIGNED.starts_with(signed.text()));
            assert_eq!((checkpoint.size, checkpoint.root), (signed.claimed_size(), signed.claimed_root()));
        }
        if let Ok(cosigned) = signed.cosignatures(&[WITNESS.clone()]) {
            assert!(cosigned.len() <= 1);
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let line = text.strip_suffix('\n').unwrap_or(text);
        if let Ok(key) = line.parse::<LogKey>() {
            assert_eq!(key.to_string(), line);
            assert!(line.parse::<WitnessKey>().is_err());
        }
        if let Ok(key) = line.parse::<WitnessKey>() {
            assert_eq!(key.to_string(), line);
        }
    }
});
