//! A release file or a public key line that anybody could have written: one spelling or an error.
#![no_main]

use isn::key::PublicKey;
use isn::release::{SignedRelease, Statement};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(signed) = SignedRelease::parse("fuzz", data.to_vec()) {
        assert_eq!(signed.bytes(), data);
        let _ = signed.verify("fuzz", &[]);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(statement) = Statement::parse("fuzz", text) {
            assert_eq!(statement.to_text(), text);
        }
        let _ = text.parse::<PublicKey>();
        let _ = text.parse::<isn::dataset_ref::DatasetRef>();
        let _ = text.parse::<isn::rel_path::RelPath>();
    }
});
