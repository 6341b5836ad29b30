//! Votes of the nearest neighbours by cosine similarity.

use rayon::prelude::*;

use super::space::{Space, dot};

/// The number of neighbours that vote.
pub const NEIGHBOURS: usize = 40;
/// The weight of a uniform prior, as a share of all votes, so that no probability is zero.
const PRIOR: f64 = 0.05;

/// Returns for each row the share of each class in the votes of the nearest other rows, row by row.
pub fn votes(space: &Space, labels: &[usize], classes: usize) -> Vec<f64> {
    (0..space.rows()).into_par_iter().flat_map_iter(|row| votes_of(space, labels, classes, row)).collect()
}

fn votes_of(space: &Space, labels: &[usize], classes: usize, row: usize) -> Vec<f64> {
    let own = space.row(row);
    let mut others: Vec<(f64, usize)> = (0..space.rows())
        .filter(|other| *other != row)
        .map(|other| (dot(own, space.row(other)), other))
        .collect();
    // The nearest first; of equally near ones, the lower row first.
    let nearer = |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let count = NEIGHBOURS.min(others.len());
    if count < others.len() {
        others.select_nth_unstable_by(count, nearer);
        others.truncate(count);
    }
    others.sort_unstable_by(nearer);
    let mut votes = vec![0.0; classes];
    for (cosine, other) in others {
        // The fourth power makes near neighbours count much more than far ones.
        let square = cosine.max(0.0) * cosine.max(0.0);
        votes[labels[other]] += square * square;
    }
    let all: f64 = votes.iter().sum();
    let prior = if all > 0.0 { all * PRIOR / classes as f64 } else { 1.0 };
    let total = all + prior * classes as f64;
    votes.iter().map(|vote| (vote + prior) / total).collect()
}
