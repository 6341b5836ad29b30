//! A CSV file of probabilities or labels: numbers or an error.
#![no_main]

use isn_registry::audit::table;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let classes = ["ant".parse().expect("an id"), "bee".parse().expect("an id")];
    let _ = table::probabilities("fuzz", data, None);
    let _ = table::probabilities("fuzz", data, Some(&classes));
    let _ = table::labels("fuzz", data, Some(&classes));
});
