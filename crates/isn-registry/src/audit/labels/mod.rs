//! Finds label errors from out-of-sample predicted probabilities: confident learning (Northcutt, Jiang and
//! Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021), with the filters
//! and scores of cleanlab 2.9.0's `find_label_issues`, and the same results.
//!
//! Where cleanlab's order of equal numbers is unspecified, the lower row comes first here.

mod check;
mod confident;
mod score;
mod sums;

pub(crate) use check::VALUE_TOLERANCE;
pub use check::check;
pub use score::Rank;

use std::collections::BTreeSet;

use super::matrix::{Matrix, largest};
use confident::{ConfidentJoint, thresholds};

/// The filter that flags labels, named as in cleanlab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// For each pair of classes, as many as the confident joint counts, by the margin between the two.
    PruneByNoiseRate,
    /// For each class, as many as the confident joint counts, by the probability of the given label.
    PruneByClass,
    /// Labels that both of these flag.
    Both,
    /// Labels off the diagonal of the confident joint.
    ConfidentLearning,
    /// Labels where the most probable class is a different one.
    PredictedNeqGiven,
    /// As many as `ConfidentLearning`, with the lowest normalised margin.
    LowNormalizedMargin,
    /// As many as `ConfidentLearning`, with the lowest self-confidence.
    LowSelfConfidence,
    /// Not wrong labels, but images that show another class as well: the given one and another one have at
    /// least half of what is usual for images of these classes. Not one of cleanlab's.
    Several,
}

impl Filter {
    /// All filters of cleanlab.
    pub const ALL: [Filter; 7] = [
        Filter::PruneByNoiseRate,
        Filter::PruneByClass,
        Filter::Both,
        Filter::ConfidentLearning,
        Filter::PredictedNeqGiven,
        Filter::LowNormalizedMargin,
        Filter::LowSelfConfidence,
    ];

    /// Returns the name, as cleanlab spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Filter::PruneByNoiseRate => "prune_by_noise_rate",
            Filter::PruneByClass => "prune_by_class",
            Filter::Both => "both",
            Filter::ConfidentLearning => "confident_learning",
            Filter::PredictedNeqGiven => "predicted_neq_given",
            Filter::LowNormalizedMargin => "low_normalized_margin",
            Filter::LowSelfConfidence => "low_self_confidence",
            Filter::Several => "several",
        }
    }
}

/// A label, and the evidence against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspect {
    /// The row of the probabilities, from 0.
    pub row: usize,
    /// The class of the label, as a column.
    pub given: usize,
    /// The most probable other class.
    pub suggested: usize,
    /// The score of the label by [`Rank`]; lower is worse.
    pub score: f64,
}

/// Flags labels and ranks them, the most suspect first. `labels` are columns of `probabilities`, one for each
/// row. Both must have passed [`check()`].
pub fn find(probabilities: &Matrix, labels: &[usize], filter: Filter, rank: Rank) -> Vec<Suspect> {
    let flags = flagged(probabilities, labels, filter);
    let mut suspects = scored(probabilities, labels, rank);
    suspects.retain(|suspect| flags[suspect.row]);
    suspects
}

/// Returns all labels, the most suspect first.
pub(crate) fn scored(probabilities: &Matrix, labels: &[usize], rank: Rank) -> Vec<Suspect> {
    let suspect = |(row, given): (usize, &usize)| Suspect {
        row,
        given: *given,
        suggested: suggested(probabilities, row, *given),
        score: rank.score(probabilities, row, *given),
    };
    let mut all: Vec<Suspect> = labels.iter().enumerate().map(suspect).collect();
    all.sort_by(|a, b| a.score.total_cmp(&b.score));
    all
}

/// Returns the most probable class other than the given one, and the first of equal ones.
pub fn suggested(probabilities: &Matrix, row: usize, given: usize) -> usize {
    let but_given = |(class, p)| if class == given { f64::NEG_INFINITY } else { p };
    largest(probabilities.row(row).enumerate().map(but_given))
}

fn flagged(probabilities: &Matrix, labels: &[usize], filter: Filter) -> Vec<bool> {
    let joint = || ConfidentJoint::of(probabilities, labels);
    let mut flags = match filter {
        Filter::PruneByNoiseRate => joint().prune_by_noise_rate(probabilities, labels),
        Filter::PruneByClass => joint().prune_by_class(probabilities, labels),
        Filter::Both => {
            let joint = joint();
            let mut flags = joint.prune_by_noise_rate(probabilities, labels);
            let others = joint.prune_by_class(probabilities, labels);
            flags.iter_mut().zip(others).for_each(|(flag, other)| *flag &= other);
            flags
        }
        Filter::ConfidentLearning => joint().off_diagonal,
        Filter::PredictedNeqGiven => {
            labels.iter().enumerate().map(|(row, label)| probabilities.largest(row) != *label).collect()
        }
        Filter::LowNormalizedMargin => {
            return lowest(probabilities, labels, Rank::NormalizedMargin, &joint());
        }
        Filter::LowSelfConfidence => return lowest(probabilities, labels, Rank::SelfConfidence, &joint()),
        Filter::Several => return several(probabilities, labels),
    };
    keep_predicted(probabilities, labels, &mut flags);
    flags
}

/// Flags images of the given class and of another one: two that are in a picture share the probability, so
/// each has at least half of the mean that a class has in images of its own. A class without labels is taken
/// to have the mean of the others.
fn several(probabilities: &Matrix, labels: &[usize]) -> Vec<bool> {
    let mut means = thresholds(probabilities, labels);
    let labelled: BTreeSet<usize> = labels.iter().copied().collect();
    let usual = labelled.iter().map(|class| means[*class]).sum::<f64>() / labelled.len().max(1) as f64;
    let without = (0..means.len()).filter(|class| !labelled.contains(class));
    without.for_each(|class| means[class] = usual);
    let is_there = |row: usize, class: usize| probabilities.at(row, class) * 2.0 >= means[class];
    let flag = |(row, given): (usize, &usize)| {
        is_there(row, *given) && is_there(row, suggested(probabilities, row, *given))
    };
    labels.iter().enumerate().map(flag).collect()
}

/// Flags as many labels as are off the diagonal, those with the lowest scores.
fn lowest(probabilities: &Matrix, labels: &[usize], rank: Rank, joint: &ConfidentJoint) -> Vec<bool> {
    let mut off_diagonal = joint.off_diagonal.clone();
    keep_predicted(probabilities, labels, &mut off_diagonal);
    let count = off_diagonal.iter().filter(|flag| **flag).count();
    let scores: Vec<f64> =
        labels.iter().enumerate().map(|(row, label)| rank.score(probabilities, row, *label)).collect();
    let mut flags = vec![false; labels.len()];
    sums::ascending(&scores).into_iter().take(count).for_each(|row| flags[row] = true);
    flags
}

/// Unflags labels that are the prediction itself, or almost as probable.
fn keep_predicted(probabilities: &Matrix, labels: &[usize], flags: &mut [bool]) {
    for (row, (flag, label)) in flags.iter_mut().zip(labels).enumerate() {
        let lifted = |(class, p)| if class == *label { probabilities.round(p + VALUE_TOLERANCE) } else { p };
        *flag &= largest(probabilities.row(row).enumerate().map(lifted)) != *label;
    }
}

#[cfg(test)]
mod tests;
