//! An archive of source images: every image lies inside it, under a name that leads nowhere else.
#![no_main]

use isn_registry::source::tar::walk::walk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let start = data.first().map_or(0, |byte| u64::from(*byte));
    for start in [0, start] {
        let range = start..data.len() as u64;
        for member in walk(data, range.clone()).unwrap_or_default() {
            assert!(member.offset >= range.start && member.offset + member.length <= range.end);
            assert!(
                !member.name.starts_with('/')
                    && member.name.split('/').all(|part| part != ".." && !part.is_empty())
            );
        }
    }
});
