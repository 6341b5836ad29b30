//! A curator's recipe.
#![no_main]

use isn_format::recipe::Recipe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Recipe::parse("fuzz", text);
    }
});
