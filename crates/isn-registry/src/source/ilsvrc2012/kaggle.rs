//! Kaggle's layout: `ILSVRC/Data/CLS-LOC/{train,val}`, and beside `ILSVRC` the file `LOC_val_solution.csv`
//! with the labels of the validation images, which must agree with those compiled in.

use std::path::PathBuf;

use crate::files;
use crate::source::{Listing, join};
use isn_format::ilsvrc2012::{VAL_PREFIX, val_class};

const LEVELS: [&str; 3] = ["ILSVRC", "Data", "CLS-LOC"];
const SOLUTION: &str = "LOC_val_solution.csv";
/// The maximum length of the file, in bytes; the real one has 4 MB.
const MAX_SOLUTION: u64 = 64 << 20;

/// Returns where `train/` is, below the source folder. The source folder may be any level of the layout.
/// Returns the source folder itself for other layouts.
pub(super) fn base(listing: &Listing<'_>) -> String {
    if listing.root.join("train").is_dir() {
        return String::new();
    }
    let below = (0..LEVELS.len()).map(|from| LEVELS[from..].join("/"));
    below.into_iter().find(|base| join(listing.root, base).join("train").is_dir()).unwrap_or_default()
}

/// Returns the folder that contains `ILSVRC`, if `base` is `ILSVRC/Data/CLS-LOC` in it.
fn top(listing: &Listing<'_>, base: &str) -> Option<PathBuf> {
    let mut at = join(listing.root, base).canonicalize().ok()?;
    for level in LEVELS.iter().rev() {
        if at.file_name()?.to_str()? != *level || !at.pop() {
            return None;
        }
    }
    Some(at)
}

/// Whether `train/` is where Kaggle has it.
pub(super) fn is_base(listing: &Listing<'_>, base: &str) -> bool {
    !base.is_empty() || top(listing, base).is_some()
}

/// Reports the rows of `LOC_val_solution.csv` that give a validation image another class.
pub(super) fn check_labels(listing: &mut Listing<'_>, base: &str) {
    let Some(path) = top(listing, base).map(|top| top.join(SOLUTION)).filter(|path| path.is_file()) else {
        return;
    };
    let bytes = match files::read_capped(&path, MAX_SOLUTION) {
        Ok(bytes) => bytes,
        Err(error) => return listing.problem_of(&error),
    };
    // The columns are ImageId and PredictionString. The latter has a class and four numbers for each box.
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&bytes[..]);
    for (row, record) in reader.byte_records().enumerate() {
        let line = row + 2;
        let Ok(record) = record else {
            listing.differing_labels.push(format!("{SOLUTION} line {line} is not a row of a CSV file"));
            continue;
        };
        let field = |at: usize| String::from_utf8_lossy(record.get(at).unwrap_or_default());
        let (image, boxes) = (field(0), field(1));
        let number = image.strip_prefix(VAL_PREFIX).filter(|digits| digits.len() == 8);
        let known = number.and_then(|digits| digits.parse().ok()).and_then(val_class);
        let Some(known) = known else {
            let image = image.chars().take(40).flat_map(char::escape_default).collect::<String>();
            listing
                .differing_labels
                .push(format!("{SOLUTION} line {line}: '{image}' is no validation image"));
            continue;
        };
        let told: Vec<&str> = boxes.split_whitespace().step_by(5).collect();
        if told.is_empty() || told.iter().any(|class| *class != known) {
            let told = told.first().map_or_else(|| "no class".into(), |told| format!("{told:.20}"));
            listing
                .differing_labels
                .push(format!("{SOLUTION} line {line}: {image} is {told} there, but {known} in the devkit"));
        }
    }
}
