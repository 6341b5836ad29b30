//! A bundle of log entries from a server or a log claim: what is read is written back unchanged.
#![no_main]

use isn_format::log::bundle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let write = |entries: &[&[u8]]| {
        let mut written = Vec::new();
        for entry in entries {
            bundle::push(&mut written, entry).expect("what was read fits");
        }
        written
    };
    if let Ok(all) = bundle::read_all(data) {
        assert_eq!(write(&all), data);
        assert_eq!(bundle::read(data, all.len() as u64).expect("as many"), all);
        assert!(bundle::read(data, all.len() as u64 + 1).is_err());
    }
    let count = data.last().map_or(0, |&last| u64::from(last) + 1);
    if let Ok(some) = bundle::read(data, count) {
        assert_eq!(some.len() as u64, count);
        assert!(data.starts_with(&write(&some)));
    }
});
