//! Untrusted ledgers, groups and published claims: rows or errors, and rows are read back unchanged.
#![no_main]

use isn_format::groups::Groups;
use isn_format::ledger::Ledger;
use isn_format::ledger::import::Unsaid;
use isn_registry::ops::ledger::published::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(ledger) = Ledger::parse("fuzz", data) {
        let again = Ledger::parse("fuzz", &ledger.to_csv()).expect("what is written reads back");
        assert_eq!(again, ledger);
        assert_eq!(ledger.merge(&ledger), ledger);
        let _ = ledger.conflicts();
    }
    if let Ok(groups) = Groups::parse("fuzz", data) {
        assert_eq!(Groups::parse("fuzz", &groups.to_csv()).expect("what is written reads back"), groups);
    }
    if let Ok((_, rows)) = parse("fuzz", data, Unsaid { source: Some("fuzz"), date: "2026-01-01" }) {
        let _ = Ledger::new(rows).to_csv();
    }
});
