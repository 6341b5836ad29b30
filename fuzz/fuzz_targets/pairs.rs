//! Untrusted pairs: rows or an error; rows are read back unchanged, and a pair comes to one thing at most.
#![no_main]

use isn_format::pairs::Pairs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(pairs) = Pairs::parse("fuzz", data) else { return };
    assert_eq!(Pairs::parse("fuzz", &pairs.to_csv()).expect("what is written reads back"), pairs);
    let judged = pairs.judge();
    for pair in pairs.pairs() {
        assert!(pair.first() < pair.second());
        let kinds = [&judged.same, &judged.different, &judged.open];
        assert!(kinds.iter().filter(|kind| kind.contains(pair)).count() <= 1);
    }
    assert!(judged.pairs().count() + judged.problems.len() <= pairs.pairs().len());
});
