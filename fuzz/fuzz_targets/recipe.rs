//! A curator's files: recipe and corrections.
#![no_main]

use isn::corrections::Corrections;
use isn::recipe::Recipe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Corrections::parse("fuzz", data, &[]);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Recipe::parse("fuzz", text);
    }
});
