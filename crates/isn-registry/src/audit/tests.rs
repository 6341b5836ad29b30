//! Numbers as bits: `tests/vectors/audits.txt`. Other numbers would mean other findings in the same images.

use std::fmt::Write as _;
use std::path::Path;

use isn_pixels::Rgb;

use super::labels::Rank;
use super::learn::{Learner, predict};
use super::matrix::{Matrix, Values};
use super::resolution::{mcnemar_smallest, wilson_half_width};
use super::similar::{Detail, Fit, similarity};
use super::{grid::Grid, npy, pixels};

const VECTOR: &str = include_str!("../../../../tests/vectors/audits.txt");

/// Returns numbers from 0 to 1 that are computed from integers alone, without a random generator.
fn number(a: usize, b: usize) -> f64 {
    ((a * 7919 + b * 104_729 + a * b * 31) % 1009) as f64 / 1009.0
}

fn bits(numbers: impl IntoIterator<Item = f64>) -> String {
    let words: Vec<String> = numbers.into_iter().map(|number| format!("{:016x}", number.to_bits())).collect();
    words.join(" ")
}

fn hash(numbers: impl IntoIterator<Item = f64>) -> blake3::Hash {
    blake3::hash(bits(numbers).as_bytes())
}

fn picture(seed: usize) -> Rgb {
    let at = |x: usize, y: usize| (x * (3 + seed) + y * 2 + x * y / (7 + seed)) as u8;
    let pixels = (0..100).flat_map(|y| (0..120).flat_map(move |x| [at(x, y), at(y, x), at(x + 9, y)]));
    Rgb { width: 120, height: 100, pixels: pixels.collect() }
}

/// Returns three clouds in 12 dimensions, with another cloud's label on every tenth point.
fn clouds() -> (Matrix, Vec<usize>) {
    let centre = |row: usize, dimension: usize| if dimension % 3 == row % 3 { 1.0 } else { 0.0 };
    let point = |row: usize| (0..12).map(move |dimension| centre(row, dimension) + number(row, dimension));
    let labels = (0..90).map(|row| if row % 10 == 0 { (row + 1) % 3 } else { row % 3 }).collect();
    (Matrix::new(90, 12, Values::Double((0..90).flat_map(point).collect())).unwrap(), labels)
}

fn found() -> String {
    let mut text = String::new();
    let labels = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/vectors/labels");
    for name in ["single", "double"] {
        let bytes = std::fs::read(labels.join(format!("{name}-probs.npy"))).unwrap();
        let rows = npy::read(name, &bytes[..], bytes.len() as u64).unwrap().into_matrix(name).unwrap();
        for rank in [Rank::SelfConfidence, Rank::NormalizedMargin, Rank::ConfidenceWeightedEntropy] {
            let score = |row| rank.score(&rows, row, row % rows.columns());
            let (first, all) = (bits((0..4).map(score)), hash((0..rows.rows()).map(score)));
            writeln!(text, "{name} {} {first} {all}", rank.as_str()).unwrap();
        }
    }
    let (points, labels) = clouds();
    for learner in [Learner::Ridge, Learner::Logistic, Learner::Neighbours, Learner::Both] {
        let rows = predict(&points, &labels, 3, learner).unwrap();
        let all = (0..rows.rows()).flat_map(|row| rows.row(row));
        writeln!(text, "learn {} {} {}", learner.as_str(), bits(rows.row(0)), hash(all)).unwrap();
    }
    let features: Vec<f64> = pixels::features(&picture(1)).unwrap().into_iter().map(f64::from).collect();
    let edges = features[192..].iter().copied();
    writeln!(text, "pixels {} {}", bits(edges.take(9)), hash(features.iter().copied())).unwrap();
    let detail = |seed| Detail::of(&Grid::of(120, 100, &picture(seed).pixels).unwrap().levels());
    writeln!(text, "similarity {}", bits([similarity(&detail(1), &detail(2), Fit::SAME)])).unwrap();
    let told = [wilson_half_width(0.9, 250), mcnemar_smallest(1720, 0.1).unwrap()];
    writeln!(text, "resolution {}", bits(told)).unwrap();
    text
}

#[test]
fn numbers_are_the_same_on_every_machine() {
    let found = found();
    assert_eq!(found, VECTOR, "{found}");
}
