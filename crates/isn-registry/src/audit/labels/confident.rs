//! The confident joint: how often a label is one class while the probabilities confidently say another.

use super::sums::{ascending, pairwise, round_preserving_sum, sum};
use crate::audit::matrix::Matrix;

/// How far a probability may be below the threshold of its class.
const TOLERANCE: f64 = 1e-6;
/// The minimum threshold of a class.
const LEAST_THRESHOLD: f64 = 2.0 * TOLERANCE;
/// The threshold of a class without labels, which no probability reaches.
const UNREACHABLE: f64 = 2.0;
/// The number of images of each class that are never flagged.
const MIN_EXAMPLES: usize = 1;

/// The counts of the joint, and the suspects.
pub(super) struct ConfidentJoint {
    /// The estimated number of labels of class `given` that are truly `class`, as `[class][given]`,
    /// calibrated to the numbers of labels, with [`MIN_EXAMPLES`] kept.
    counts: Vec<Vec<usize>>,
    /// Whether a row is off the diagonal before calibration.
    pub(super) off_diagonal: Vec<bool>,
}

impl ConfidentJoint {
    pub(super) fn of(probabilities: &Matrix, labels: &[usize]) -> Self {
        let classes = probabilities.columns();
        let thresholds = thresholds(probabilities, labels);
        let mut joint = vec![vec![0.0; classes]; classes]; // [given][class]
        let mut off_diagonal = vec![false; labels.len()];
        for (row, given) in labels.iter().enumerate() {
            let mut confident =
                (0..classes).filter(|class| probabilities.at(row, *class) >= thresholds[*class]);
            let class = match (confident.next(), confident.next()) {
                (None, _) => continue,
                (Some(class), None) => class,
                (Some(_), Some(_)) => probabilities.largest(row),
            };
            joint[*given][class] += 1.0;
            off_diagonal[row] = class != *given;
        }
        for (class, row) in joint.iter_mut().enumerate() {
            row[class] = f64::max(row[class], 1.0);
        }
        ConfidentJoint { counts: keep_examples(&calibrate(&joint, labels)), off_diagonal }
    }

    /// Flags as many labels of each class as the joint attributes to other classes, those with the lowest
    /// probability of the given label first.
    pub(super) fn prune_by_class(&self, probabilities: &Matrix, labels: &[usize]) -> Vec<bool> {
        let mut flags = vec![false; labels.len()];
        for (given, rows) in by_class(labels, probabilities.columns()) {
            let count = rows.len().saturating_sub(self.counts[given][given]);
            let own: Vec<f64> = rows.iter().map(|row| probabilities.at(*row, given)).collect();
            ascending(&own).into_iter().take(count).for_each(|at| flags[rows[at]] = true);
        }
        flags
    }

    /// Flags as many labels of each pair of classes as the joint counts, those with the largest margin
    /// between the two first.
    pub(super) fn prune_by_noise_rate(&self, probabilities: &Matrix, labels: &[usize]) -> Vec<bool> {
        let mut flags = vec![false; labels.len()];
        for (given, rows) in by_class(labels, probabilities.columns()) {
            for (class, counts) in self.counts.iter().enumerate() {
                let count = counts[given];
                if class == given || count == 0 {
                    continue;
                }
                let margin = |row: &usize| {
                    -probabilities.round(probabilities.at(*row, class) - probabilities.at(*row, given))
                };
                let margins: Vec<f64> = rows.iter().map(margin).collect();
                ascending(&margins).into_iter().take(count).for_each(|at| flags[rows[at]] = true);
            }
        }
        flags
    }
}

/// Returns the rows of each class that has enough of them to lose some.
fn by_class(labels: &[usize], classes: usize) -> impl Iterator<Item = (usize, Vec<usize>)> {
    let mut rows = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(row, label)| rows[*label].push(row));
    rows.into_iter().enumerate().filter(|(_, rows)| rows.len() > MIN_EXAMPLES)
}

/// Returns for each class the mean probability of that class among the rows with its label, less a tolerance.
pub(super) fn thresholds(probabilities: &Matrix, labels: &[usize]) -> Vec<f64> {
    let mut rows = vec![Vec::new(); probabilities.columns()];
    labels.iter().enumerate().for_each(|(row, label)| rows[*label].push(row));
    // NumPy computes means of single precision in double precision as soon as there is a class without
    // labels.
    let mixed = rows.iter().any(Vec::is_empty);
    let round = |x: f64| probabilities.round(x);
    let last = |x: f64| if mixed { x } else { round(x) };
    let mean = |(class, rows): (usize, &Vec<usize>)| match rows.len() {
        0 => UNREACHABLE,
        n => round(pairwise(n, &|at| probabilities.at(rows[at], class), &round) / n as f64),
    };
    let means = rows.iter().enumerate().map(mean);
    means.map(|mean| last(f64::max(mean, last(LEAST_THRESHOLD)) - last(TOLERANCE))).collect()
}

/// Scales the rows to the numbers of labels, and the whole to their sum, in whole numbers.
fn calibrate(joint: &[Vec<f64>], labels: &[usize]) -> Vec<Vec<f64>> {
    let mut counts = vec![0.0; joint.len()];
    labels.iter().for_each(|label| counts[*label] += 1.0);
    let scale = |(row, count): (&Vec<f64>, &f64)| -> Vec<f64> {
        let total: f64 = row.iter().sum();
        row.iter().map(|n| n / total * count).collect()
    };
    let scaled: Vec<Vec<f64>> = joint.iter().zip(&counts).map(scale).collect();
    // Summed in the order in which cleanlab has it in memory.
    let by_column: Vec<f64> =
        (0..joint.len()).flat_map(|class| scaled.iter().map(move |row| row[class])).collect();
    let total = sum(&by_column);
    let all = labels.len() as f64;
    scaled
        .into_iter()
        .map(|row| round_preserving_sum(&row.iter().map(|n| n / total * all).collect::<Vec<_>>()))
        .collect()
}

/// Transposes the joint to `[class][given]`, and takes from the other classes what the diagonal lacks of
/// [`MIN_EXAMPLES`].
fn keep_examples(joint: &[Vec<f64>]) -> Vec<Vec<usize>> {
    let classes = joint.len();
    let mut counts = vec![vec![0; classes]; classes];
    for (given, row) in joint.iter().enumerate() {
        let diagonal = row[given].max(MIN_EXAMPLES as f64);
        let others = row.iter().filter(|n| **n != 0.0).count().saturating_sub(1).max(1);
        let each = (diagonal - row[given]) / others as f64;
        for (class, n) in row.iter().enumerate() {
            // Truncated to whole numbers, as in cleanlab.
            counts[class][given] = if class == given { diagonal } else { n - each }.max(0.0) as usize;
        }
    }
    counts
}
