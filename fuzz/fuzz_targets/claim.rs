//! A log claim left by anybody who can write to a registry's storage.
#![no_main]

use std::sync::LazyLock;

use isn_format::log::{LogKey, Replica, SignedClaim, bundle};
use libfuzzer_sys::fuzz_target;

/// The log claim in the test vectors, and the log that it belongs to.
const SIGNED: &[u8] = include_bytes!("../../tests/vectors/log/claim");
const ENTRIES: &[u8] = include_bytes!("../../tests/vectors/log/tile/entries/000.p/9");
static KEY: LazyLock<LogKey> =
    LazyLock::new(|| include_str!("../../tests/vectors/log/vkey").trim_end().parse().expect("a vkey"));
static BASE: LazyLock<Replica> = LazyLock::new(|| {
    let mut base = Replica::new(KEY.clone());
    for entry in bundle::read(ENTRIES, 4).expect("four entries") {
        let _ = base.push(entry).expect("a leaf");
    }
    base
});

fuzz_target!(|data: &[u8]| {
    let Ok(claim) = SignedClaim::parse("fuzz", data) else { return };
    // Only the key's holder can make another.
    assert!(claim.verify(&BASE).is_err() || data == SIGNED);
    assert!(!claim.is_of(4, &KEY) || data == SIGNED);
    assert!(!claim.is_of(5, &KEY));
});
