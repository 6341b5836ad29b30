//! A user's `trust.toml`, possibly damaged: no key is in it twice.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(registries) = isn_registry::trust::parse(Path::new("fuzz"), data.to_vec()) else { return };
    for trusted in registries.values() {
        let mut keys = trusted.public_keys();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), trusted.keys.len());
    }
});
