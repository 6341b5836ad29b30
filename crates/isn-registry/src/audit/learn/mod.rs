//! Out-of-sample predicted probabilities from embeddings and the labels themselves: no image's own label has a say in its
//! row. [`logistic`] learns from the other folds, [`neighbours`] asks the nearest other images.
//!
//! The same on every run and with every number of threads: nothing is drawn but the folds, and those by hash.

pub mod folds;
pub mod logistic;
pub mod neighbours;
mod space;

use rayon::prelude::*;

pub use space::Space;

use super::labels::VALUE_TOLERANCE;
use super::matrix::{Matrix, Values};

/// Who gives the probabilities.
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
    /// The name, as on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Learner::Logistic => "logistic",
            Learner::Neighbours => "neighbours",
            Learner::Both => "both",
        }
    }
}

/// Predicts a row of probabilities for each embedding. `labels` are below `classes`, one an embedding.
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
    // Both learners give `labels × classes` numbers.
    Matrix::new(labels.len(), classes, Values::Double(rows)).unwrap_or_else(|| unreachable!("a row a label"))
}

#[cfg(test)]
mod tests;
