//! Compares with cleanlab 2.9.0: `tests/vectors/labels`, and the CIFAR-10 test set where it is available.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::audit::matrix::Values;
use crate::audit::npy;

fn read(path: &Path) -> npy::Array {
    let bytes = fs::read(path).unwrap();
    npy::read(&path.display().to_string(), &bytes[..], bytes.len() as u64).unwrap()
}

fn pair(probs: &Path, labels: &Path) -> (Matrix, Vec<usize>) {
    let probabilities = read(probs).into_matrix("probs").unwrap();
    let labels = read(labels).into_integers("labels").unwrap();
    let labels = check("probs", &probabilities, "labels", &labels).unwrap();
    (probabilities, labels)
}

const RANKS: [Rank; 3] = [Rank::SelfConfidence, Rank::NormalizedMargin, Rank::ConfidenceWeightedEntropy];

#[test]
fn every_filter_and_ranking_finds_what_cleanlab_finds() {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/vectors/labels");
    let expected: Value = serde_json::from_slice(&fs::read(dir.join("expected.json")).unwrap()).unwrap();
    for (name, filters) in expected.as_object().unwrap() {
        let file = |what: &str| dir.join(format!("{name}-{what}.npy"));
        let (probabilities, labels) = pair(&file("probs"), &file("labels"));
        for filter in Filter::ALL {
            for rank in RANKS {
                let found = find(&probabilities, &labels, filter, rank);
                let rows: Vec<usize> = found.iter().map(|suspect| suspect.row).collect();
                let expected: Vec<usize> =
                    serde_json::from_value(filters[filter.as_str()][rank.as_str()].clone()).unwrap();
                assert!(!expected.is_empty());
                assert_eq!(rows, expected, "{name}, {}, {}", filter.as_str(), rank.as_str());
            }
        }
    }
}

#[test]
fn cifar_10_is_as_in_the_table_of_its_readme() {
    let given = std::env::var_os("ISN_TEST_DATA").map(PathBuf::from);
    let data = given
        .unwrap_or_else(|| Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("../shared/data"));
    let data = data.join("label-audit");
    if !data.is_dir() {
        return;
    }
    let (probabilities, labels) =
        pair(&data.join("cifar10_test_set_pyx.npy"), &data.join("cifar10_test_set_orig.npy"));
    for (filter, count, first) in [
        (Filter::PruneByNoiseRate, 284, [3828, 2405, 6753, 9643, 9039]),
        (Filter::PruneByClass, 284, [7794, 3828, 2405, 6753, 9643]),
        (Filter::Both, 226, [3828, 2405, 6753, 9643, 9039]),
        (Filter::ConfidentLearning, 244, [3828, 2405, 6753, 9643, 9039]),
        (Filter::PredictedNeqGiven, 706, [7794, 3828, 2405, 6753, 9643]),
        (Filter::LowNormalizedMargin, 244, [3828, 2405, 6753, 9643, 9039]),
        (Filter::LowSelfConfidence, 244, [7794, 3828, 2405, 6753, 9643]),
    ] {
        let found = find(&probabilities, &labels, filter, Rank::SelfConfidence);
        assert_eq!(found.len(), count, "{}", filter.as_str());
        let rows: Vec<usize> = found.iter().take(5).map(|suspect| suspect.row).collect();
        assert_eq!(rows, first, "{}", filter.as_str());
    }
}

#[cfg(feature = "parquet")]
#[test]
fn a_parquet_file_is_read_as_the_array_that_it_was_made_of() {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/vectors/labels");
    let parquet = crate::audit::parquet::probabilities(&dir.join("double-probs.parquet")).unwrap();
    assert_eq!(parquet, read(&dir.join("double-probs.npy")).into_matrix("probs").unwrap());
}

fn matrix(rows: &[&[f64]]) -> Matrix {
    Matrix::new(rows.len(), rows[0].len(), Values::Double(rows.concat())).unwrap()
}

#[test]
fn what_is_wrong_is_named_by_row_and_column() {
    let good: &[f64] = &[0.25, 0.75];
    let refused =
        |rows: &[&[f64]], labels: &[i64]| check("P", &matrix(rows), "L", labels).unwrap_err().to_string();
    for (bad, message) in [
        (&[0.5, f64::NAN][..], "P: row 1, column 1 is NaN"),
        (&[f64::INFINITY, 0.5], "P: row 1, column 0 is inf"),
        (&[-0.1, 1.1], "P: row 1, column 0 is -0.1"),
        (&[0.0, 1.01], "P: row 1, column 1 is 1.01"),
        (&[0.4, 0.4], "P: row 1, columns 0 to 1 sum to 0.8"),
        (&[0.0, 0.0], "P: row 1, columns 0 to 1 sum to 0.0"),
    ] {
        let error = refused(&[good, bad, good], &[0, 1, 0]);
        assert!(error.starts_with(message), "{error}");
    }
    for (labels, message) in [
        (&[0, 1][..], "L has 2 labels, but P has 3 rows, of 2 columns"),
        (&[0, 1, 2], "L: row 2 is 2, but the probabilities have columns 0 to 1"),
        (&[0, -1, 1], "L: row 1 is -1"),
        (&[1, 1, 1], "L: rows 0 to 2 are all 1"),
    ] {
        let error = refused(&[good, good, good], labels);
        assert!(error.starts_with(message), "{error}");
    }
    assert!(refused(&[&[1.0], &[1.0]], &[0, 0]).contains("only column 0"));
    let empty = Matrix::new(0, 3, Values::Double(Vec::new())).unwrap();
    assert!(check("P", &empty, "L", &[]).unwrap_err().to_string().contains("0 rows and 3 columns"));
    // Rounding in a softmax of half precision is not a mistake.
    check("P", &matrix(&[&[0.2504, 0.7501], &[1.0 + 1e-7, -1e-7]]), "L", &[0, 1]).unwrap();
}

#[test]
fn a_class_of_no_label_is_never_flagged_and_ties_go_by_row() {
    let rows: Vec<&[f64]> = vec![&[0.1, 0.9, 0.0]; 4];
    let found = find(&matrix(&rows), &[0, 0, 1, 1], Filter::PredictedNeqGiven, Rank::SelfConfidence);
    let rows: Vec<(usize, usize, usize)> = found.iter().map(|s| (s.row, s.given, s.suggested)).collect();
    assert_eq!(rows, [(0, 0, 1), (1, 0, 1)]);
}

#[test]
fn images_of_two_classes_are_flagged_by_half_of_what_is_usual() {
    let rows = [
        [0.90, 0.05, 0.05],
        [0.80, 0.10, 0.10],
        // Of both, whatever its label says.
        [0.50, 0.45, 0.05],
        [0.45, 0.50, 0.05],
        // Wrong, but of one class.
        [0.05, 0.90, 0.05],
        [0.05, 0.90, 0.05],
        [0.05, 0.05, 0.90],
    ];
    let values = Values::Double(rows.concat());
    let probabilities = Matrix::new(rows.len(), 3, values).unwrap();
    let found = find(&probabilities, &[0, 0, 0, 0, 0, 1, 2], Filter::Several, Rank::SecondProbability);
    let found: Vec<(usize, usize)> = found.iter().map(|one| (one.row, one.suggested)).collect();
    assert_eq!(found, [(3, 1), (2, 1)]);
}
