//! Checks that probabilities and labels are valid. Rows and columns are counted from 0.

use crate::audit::matrix::Matrix;
use isn_format::error::{Error, Result};

/// How far a probability may be outside 0 to 1 because of rounding; the same as in cleanlab.
pub(crate) const VALUE_TOLERANCE: f64 = 1e-6;
/// How far the sum of a row may be from 1, because of a softmax over a thousand classes in half precision.
pub(crate) const SUM_TOLERANCE: f64 = 1e-3;

/// Checks both, which errors call `probs` and `given`. Returns the labels as columns.
///
/// # Errors
/// [`Error::Invalid`] with the first row and column that are wrong.
pub fn check(probs: &str, probabilities: &Matrix, given: &str, labels: &[i64]) -> Result<Vec<usize>> {
    let (rows, columns) = (probabilities.rows(), probabilities.columns());
    let refuse = |why: String| Err(Error::invalid(probs, why));
    if rows == 0 || columns == 0 {
        return refuse(format!("has {rows} rows and {columns} columns: there is nothing to audit"));
    }
    if columns == 1 {
        return refuse(format!(
            "has only column 0 in rows 0 to {}: a single class has no wrong labels",
            rows - 1
        ));
    }
    if labels.len() != rows {
        let why = format!("has {} labels, but {probs} has {rows} rows, of {columns} columns", labels.len());
        return Err(Error::invalid(given, why));
    }
    for row in 0..rows {
        for (column, p) in probabilities.row(row).enumerate() {
            if !p.is_finite() {
                return refuse(format!("row {row}, column {column} is {p}: expected a probability"));
            }
            if !(-VALUE_TOLERANCE..=1.0 + VALUE_TOLERANCE).contains(&p) {
                return refuse(format!("row {row}, column {column} is {p}: a probability is from 0 to 1"));
            }
        }
        let sum: f64 = probabilities.row(row).sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            let why = format!(
                "row {row}, columns 0 to {} sum to {sum:.6}: the probabilities of a row sum to 1 (give softmax, not \
                 logits)",
                columns - 1
            );
            return refuse(why);
        }
    }
    let mut checked = Vec::with_capacity(rows);
    for (row, label) in labels.iter().enumerate() {
        match usize::try_from(*label) {
            Ok(label) if label < columns => checked.push(label),
            _ => {
                let why = format!(
                    "row {row} is {label}, but the probabilities have columns 0 to {}: it has no column",
                    columns - 1
                );
                return Err(Error::invalid(given, why));
            }
        }
    }
    if checked.iter().all(|label| *label == checked[0]) {
        let why = format!("rows 0 to {} are all {}: at least two classes need labels", rows - 1, checked[0]);
        return Err(Error::invalid(given, why));
    }
    Ok(checked)
}
