//! An untrusted lock file of a project: what is read is written back unchanged.
#![no_main]

use std::path::Path;

use isn_registry::lock_file::LockFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(lock) = LockFile::parse("fuzz", data.to_vec()) {
        let text = lock.to_text().expect("what was read can be written");
        assert_eq!(LockFile::parse("fuzz", text.into_bytes()).expect("what is written reads back"), lock);
        if lock.check_places("fuzz", Path::new("."), false).is_ok() {
            for entry in &lock.datasets {
                assert!(
                    entry.path.is_relative()
                        && !entry.path.to_string_lossy().split('/').any(|part| part == "..")
                );
            }
        }
    }
});
