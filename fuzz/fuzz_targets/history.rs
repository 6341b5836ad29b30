//! Replays a log with arbitrary entries. The input is a bundle. An entry of one byte stands for the valid
//! entry with that number in the test vectors, so that signatures do not stop the fuzzer: it orders valid
//! entries and puts its own between them. Both logs of a registry are replayed.
#![no_main]

use std::sync::LazyLock;

use isn_format::log::{History, LogKey, bundle};
use isn_format::statement::SignedStatement;
use libfuzzer_sys::fuzz_target;

static ANCHOR: LazyLock<LogKey> =
    LazyLock::new(|| include_str!("../../tests/vectors/log/vkey").trim_end().parse().expect("a vkey"));
const VALID: &[u8] = include_bytes!("../../tests/vectors/log/tile/entries/000.p/9");
const REBUILT: &[u8] = include_bytes!("../../tests/vectors/statement/rebuilt.txt");

fuzz_target!(|data: &[u8]| {
    let Ok(entries) = bundle::read_all(data) else { return };
    replay(&entries, ANCHOR.clone());
    replay(&entries, ANCHOR.attestations().expect("an attestation log"));
});

fn replay(entries: &[&[u8]], anchor: LogKey) {
    let valid = [bundle::read_all(VALID).expect("a bundle"), vec![REBUILT]].concat();
    let mut history = History::new(anchor);
    for entry in entries.iter().copied().take(64) {
        let entry = match entry {
            [number] => valid[usize::from(*number) % valid.len()],
            other => other,
        };
        let before = history.clone();
        let attested = SignedStatement::parse("fuzz", entry.to_vec()).and_then(|signed| signed.attested());
        let checked =
            attested.is_ok_and(|attested| history.check(&attested.statement, &attested.signers).is_ok());
        let applied = history.apply(entry);
        assert_eq!(applied.is_ok(), checked);
        assert_eq!(history.size(), before.size() + 1);
        assert_eq!(history.key_at(before.size()), before.key());
        if let Err(rejected) = applied {
            assert_eq!(history.rejected().last(), Some(&rejected));
            assert!(history.datasets().eq(before.datasets()));
            assert_eq!(history.key(), before.key());
        } else {
            assert_eq!(history.rejected(), before.rejected());
        }
    }
    // A history that is stored between two runs is complete.
    let kept = serde_json::to_vec(&history).expect("a history can be kept");
    assert_eq!(serde_json::from_slice::<History>(&kept).expect("and read"), history);
}
