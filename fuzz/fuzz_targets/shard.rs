//! A shard and a frame with correct hashes and arbitrary content.
#![no_main]

use isn_format::digest::Digest;
use isn_format::shard::{FrameReader, check_shard};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = check_shard("fuzz", data, 1000, |_, _| ());
    let mut reader = FrameReader::new().expect("zstd");
    for length in [0, 1, 511, 512, 513, 100_000] {
        let _ = reader.image("fuzz", data, &Digest::of(data), &Digest::of(b""), length);
    }
});
