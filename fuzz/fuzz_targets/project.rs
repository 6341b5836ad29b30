//! A project's `isn.toml`.
#![no_main]

use isn_registry::lock_file::Project;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Project::parse("fuzz", data.to_vec());
});
