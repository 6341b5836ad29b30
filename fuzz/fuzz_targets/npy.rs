//! A `.npy` file of probabilities or labels: an array or an error, and never more memory than
//! the file has bytes.
#![no_main]

use isn_registry::audit::labels::{Filter, Rank, check, find};
use isn_registry::audit::npy::{self, Elementwise};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let elements = || Elementwise::open("fuzz", data, data.len() as u64);
    if let Ok(elements) = elements() {
        let _ = elements.numbers(|_, _| Ok(()));
    }
    if let Ok(elements) = elements() {
        let _ = elements.texts(|_, _| Ok(()));
    }
    let Ok(array) = npy::read("fuzz", data, data.len() as u64) else { return };
    let _ = array.clone().into_integers("fuzz");
    let Ok(matrix) = array.into_matrix("fuzz") else { return };
    if matrix.columns() > 64 {
        return;
    }
    let labels: Vec<i64> = (0..matrix.rows()).map(|row| (row % 2) as i64).collect();
    let Ok(labels) = check("fuzz", &matrix, "labels", &labels) else { return };
    for filter in Filter::ALL {
        let _ = find(&matrix, &labels, filter, Rank::ConfidenceWeightedEntropy);
    }
});
