//! An untrusted signed statement or public key line: one spelling or an error.
#![no_main]

use isn_format::key::PublicKey;
use isn_format::release::SignedRelease;
use isn_format::statement::{SignedStatement, Statement};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(signed) = SignedStatement::parse("fuzz", data.to_vec()) {
        assert_eq!(signed.bytes(), data);
        if let Ok(attested) = signed.attested() {
            assert_eq!(attested.statement, *signed.claimed());
            assert!(!attested.signers.is_empty());
        }
        let text = signed.claimed().to_string();
        assert!(data.starts_with(text.as_bytes()));
    }
    if let Ok(signed) = SignedRelease::parse("fuzz", data.to_vec()) {
        assert_eq!(signed.bytes(), data);
        let _ = signed.verify("fuzz", &[]);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(statement) = Statement::parse("fuzz", text) {
            assert_eq!(statement.to_string(), text);
        }
        if let Ok(key) = text.parse::<PublicKey>() {
            assert_eq!(key.to_string().parse::<PublicKey>().ok(), Some(key));
        }
        let _ = text.parse::<isn_format::dataset_ref::DatasetRef>();
        let _ = text.parse::<isn_format::rel_path::RelPath>();
    }
});
