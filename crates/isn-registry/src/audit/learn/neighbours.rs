//! Votes of the nearest neighbours by cosine similarity.

use rayon::prelude::*;

use super::product::{Panel, TILE, pack, products};
use super::space::Space;

/// The number of neighbours that vote.
pub const NEIGHBOURS: usize = 40;
/// The number of rows that are compared at once. Single precision is enough to tell which are near.
const OTHERS: usize = 8;
/// The weight of a uniform prior, as a share of all votes, so that no probability is zero.
const PRIOR: f64 = 0.05;

/// Calls `of` with every row and the nearest other rows, at most `count`, with their cosines: the nearest
/// first, and of equally near ones the lower row. Returns what it returns, row by row.
pub fn nearest<R: Send, I: IntoIterator<Item = R>>(
    space: &Space,
    count: usize,
    of: impl Fn(usize, &[(f32, usize)]) -> I + Sync,
) -> Vec<R> {
    let rows = |p: usize, of: usize| of * p..(of * (p + 1)).min(space.rows());
    let numbers = |row: usize| space.row(row).iter().map(|x| *x as f32);
    let others: Vec<Panel<f32, OTHERS>> = (0..space.rows().div_ceil(OTHERS))
        .into_par_iter()
        .map(|q| pack(rows(q, OTHERS).map(numbers), space.dimensions()))
        .collect();
    let of_tile = |p: usize| {
        let own: Panel<f32> = pack(rows(p, TILE).map(numbers), space.dimensions());
        let mut near = [const { Vec::new() }; TILE];
        for (q, panel) in others.iter().enumerate() {
            for (near, cosines) in near.iter_mut().zip(products(&own, panel)) {
                near.extend(rows(q, OTHERS).zip(cosines).map(|(other, cosine)| (cosine, other)));
            }
        }
        let all: Vec<R> =
            rows(p, TILE).zip(near).flat_map(|(row, near)| of(row, &first(row, near, count))).collect();
        all
    };
    (0..space.rows().div_ceil(TILE)).into_par_iter().flat_map_iter(of_tile).collect()
}

/// Returns the nearest of `others`, which has the cosine of `row` with each row.
fn first(row: usize, mut others: Vec<(f32, usize)>, count: usize) -> Vec<(f32, usize)> {
    others.retain(|(_, other)| *other != row);
    let nearer = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let count = count.min(others.len());
    if count < others.len() {
        others.select_nth_unstable_by(count, nearer);
        others.truncate(count);
    }
    others.sort_unstable_by(nearer);
    others
}

/// Returns for each row the share of each class in the votes of the nearest other rows, row by row.
pub fn votes(space: &Space, labels: &[usize], classes: usize) -> Vec<f64> {
    nearest(space, NEIGHBOURS, |_, others| votes_of(others, labels, classes))
}

fn votes_of(others: &[(f32, usize)], labels: &[usize], classes: usize) -> Vec<f64> {
    let mut votes = vec![0.0; classes];
    for &(cosine, other) in others {
        // The fourth power makes near neighbours count much more than far ones.
        let cosine = f64::from(cosine.max(0.0));
        let square = cosine * cosine;
        votes[labels[other]] += square * square;
    }
    let all: f64 = votes.iter().sum();
    let prior = if all > 0.0 { all * PRIOR / classes as f64 } else { 1.0 };
    let total = all + prior * classes as f64;
    votes.iter().map(|vote| (vote + prior) / total).collect()
}
