//! Predicts out-of-sample probabilities from embeddings and the labels themselves: an image's own label has
//! no influence on its row. [`ridge`] leaves each image out of its fit, [`logistic`] learns from the other
//! folds, and [`neighbours`] takes votes of the nearest other images.
//!
//! The result is the same on every run and with any number of threads. Only the folds are drawn, by hash.

mod factor;
pub mod folds;
pub mod logistic;
pub mod neighbours;
mod product;
pub mod ridge;
mod space;

use rayon::prelude::*;

pub use space::Space;

use super::labels::VALUE_TOLERANCE;
use super::matrix::{Matrix, Values};

/// The learner that predicts the probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learner {
    /// Ridge regression that leaves out each image in turn.
    Ridge,
    /// Cross-validated logistic regression.
    Logistic,
    /// Votes of the nearest neighbours.
    Neighbours,
    /// Ridge regression and votes: the geometric mean.
    Both,
}

impl Learner {
    /// Returns the name, as on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Learner::Ridge => "ridge",
            Learner::Logistic => "logistic",
            Learner::Neighbours => "neighbours",
            Learner::Both => "both",
        }
    }
}

/// Predicts a row of probabilities for each embedding. `labels` are below `classes`, one for each embedding.
/// Returns `None` if the embeddings say nothing: none of their dimensions varies, or not in a way that double
/// precision can square.
pub fn predict(embeddings: &Matrix, labels: &[usize], classes: usize, learner: Learner) -> Option<Matrix> {
    let space = Space::of(embeddings);
    if space.is_blank() {
        return None;
    }
    let rows = match learner {
        Learner::Logistic => logistic::cross_validated(&space, labels, classes),
        Learner::Neighbours => neighbours::votes(&space, labels, classes),
        Learner::Ridge => ridge::left_out(&space, labels, classes),
        Learner::Both => {
            let mut rows = ridge::left_out(&space, labels, classes);
            let votes = neighbours::votes(&space, labels, classes);
            rows.par_chunks_exact_mut(classes).zip(votes.par_chunks_exact(classes)).for_each(
                |(row, votes)| {
                    row.iter_mut().zip(votes).for_each(|(p, vote)| *p = (*p * vote).sqrt());
                    let total: f64 = row.iter().sum();
                    row.iter_mut().for_each(|p| *p /= total);
                },
            );
            rows
        }
    };
    debug_assert!(rows.iter().all(|p| (-VALUE_TOLERANCE..=1.0 + VALUE_TOLERANCE).contains(p)));
    // Both learners return `labels × classes` numbers.
    Matrix::new(labels.len(), classes, Values::Double(rows))
}

/// Turns scores into probabilities. Returns the logarithm of what they were divided by.
fn softmax(scores: &mut [f64]) -> f64 {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = libm::exp(*score - top);
        total += *score;
    }
    scores.iter_mut().for_each(|score| *score /= total);
    top + libm::log(total)
}

#[cfg(test)]
mod tests;
