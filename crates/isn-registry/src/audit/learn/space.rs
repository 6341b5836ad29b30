//! [`Space`]: embeddings normalised for comparison.

use crate::audit::matrix::Matrix;

/// Embeddings with every dimension standardised, and then every row scaled to length 1, so that the product
/// of two rows is their cosine.
pub struct Space {
    rows: usize,
    dimensions: usize,
    values: Vec<f64>,
}

impl Space {
    /// Normalises embeddings. A dimension that never varies, and an empty row, become zero.
    pub fn of(embeddings: &Matrix) -> Self {
        let Space { rows, dimensions, mut values } = Space::as_is(embeddings);
        let count = rows.max(1) as f64;
        let mut mean = vec![0.0; dimensions];
        let mut deviation = vec![0.0; dimensions];
        let width = dimensions.max(1);
        for row in values.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / count);
        }
        for row in values.chunks_exact(width) {
            deviation.iter_mut().zip(row).zip(&mean).for_each(|((d, x), m)| *d += (x - m) * (x - m) / count);
        }
        for row in values.chunks_exact_mut(width) {
            for ((x, m), d) in row.iter_mut().zip(&mean).zip(&deviation) {
                let d = d.sqrt();
                *x = if d > 1e-12 { (*x - m) / d } else { 0.0 };
            }
            to_unit(row);
        }
        Space { rows, dimensions, values }
    }

    /// Scales every row to length 1, and leaves the dimensions as they are.
    pub fn unit(embeddings: &Matrix) -> Self {
        let mut space = Space::as_is(embeddings);
        space.values.chunks_exact_mut(space.dimensions.max(1)).for_each(to_unit);
        space
    }

    fn as_is(embeddings: &Matrix) -> Self {
        let (rows, dimensions) = (embeddings.rows(), embeddings.columns());
        let mut values: Vec<f64> = Vec::with_capacity(rows * dimensions);
        (0..rows).for_each(|row| values.extend(embeddings.row(row)));
        Space { rows, dimensions, values }
    }

    /// Whether no dimension varies.
    pub fn is_blank(&self) -> bool {
        self.values.iter().all(|x| *x == 0.0)
    }

    /// Returns the number of embeddings.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of dimensions of each.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns one embedding.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.dimensions..(row + 1) * self.dimensions]
    }
}

/// Returns the product of two rows, from eight parallel sums that the compiler turns into vector
/// instructions.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f64>() + rest
}

fn to_unit(row: &mut [f64]) {
    let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x /= length);
    }
}
