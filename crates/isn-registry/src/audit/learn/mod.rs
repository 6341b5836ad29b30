//! Predicts out-of-sample probabilities from embeddings and the labels themselves: an image's own label has
//! no influence on its row. [`logistic`] learns from the other folds, and [`neighbours`] takes votes of the
//! nearest other images.
//!
//! The result is the same on every run and with any number of threads. Only the folds are drawn, by hash.

pub mod folds;
pub mod logistic;
pub mod neighbours;
mod space;

use rayon::prelude::*;

pub use space::Space;

use super::labels::VALUE_TOLERANCE;
use super::matrix::{Matrix, Values};

/// The learner that predicts the probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learner {
    /// Cross-validated logistic regression.
    Logistic,
    /// Votes of the nearest neighbours.
    Neighbours,
    /// The mean of the two.
    Both,
}

impl Learner {
    /// Returns the name, as on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Learner::Logistic => "logistic",
            Learner::Neighbours => "neighbours",
            Learner::Both => "both",
        }
    }
}

/// Predicts a row of probabilities for each embedding. `labels` are below `classes`, one for each embedding.
pub fn predict(embeddings: &Matrix, labels: &[usize], classes: usize, learner: Learner) -> Matrix {
    let space = Space::of(embeddings);
    let rows = match learner {
        Learner::Logistic => logistic::cross_validated(&space, labels, classes),
        Learner::Neighbours => neighbours::votes(&space, labels, classes),
        Learner::Both => {
            let mut rows = logistic::cross_validated(&space, labels, classes);
            let votes = neighbours::votes(&space, labels, classes);
            rows.par_iter_mut().zip(votes).for_each(|(a, b)| *a = (*a + b) / 2.0);
            rows
        }
    };
    debug_assert!(rows.iter().all(|p| (-VALUE_TOLERANCE..=1.0 + VALUE_TOLERANCE).contains(p)));
    // Both learners return `labels × classes` numbers.
    Matrix::new(labels.len(), classes, Values::Double(rows)).unwrap_or_else(|| unreachable!("a row a label"))
}

#[cfg(test)]
mod tests;
