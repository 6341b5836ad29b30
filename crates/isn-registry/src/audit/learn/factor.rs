//! [`Factor`]: the Cholesky factor of a symmetric, positive definite matrix, in tiles.

use rayon::prelude::*;

use super::product::{Panel, TILE, products};

/// The lower triangle `L` with `L Lᵀ` = the matrix, in panels of four rows.
pub(super) struct Factor {
    /// Panel `p` has the columns before `4 (p + 1)`.
    panels: Vec<Panel>,
}

/// The lower triangle of a symmetric matrix, in the same panels.
#[derive(Clone)]
pub(super) struct Symmetric {
    panels: Vec<Panel>,
}

impl Symmetric {
    /// Computes the lower triangle: `tile(p, q)` is the product of panel `p` with panel `q`, by rows of `p`.
    /// Rows from `size` on are those of the unit matrix.
    pub(super) fn of(size: usize, tile: impl Fn(usize, usize) -> [[f64; TILE]; TILE] + Sync) -> Self {
        let panels = (0..size.div_ceil(TILE)).into_par_iter().map(|p| {
            let mut panel = Vec::with_capacity(TILE * (p + 1));
            for q in 0..=p {
                let tile = tile(p, q);
                panel.extend((0..TILE).map(|column| tile.map(|row| row[column])));
            }
            (size..TILE * (p + 1)).for_each(|at| panel[at][at - TILE * p] = 1.0);
            panel
        });
        Symmetric { panels: panels.collect() }
    }

    /// Returns the factor of this matrix with `more` added to its diagonal.
    pub(super) fn factor(mut self, more: f64) -> Factor {
        for (p, panel) in self.panels.iter_mut().enumerate() {
            (0..TILE).for_each(|at| panel[TILE * p + at][at] += more);
        }
        // Block column by block column: first the tile on the diagonal, then those below it.
        for q in 0..self.panels.len() {
            let (above, below) = self.panels.split_at_mut(q + 1);
            let Some(diagonal) = above.last_mut() else { continue };
            let (before, tile) = diagonal.split_at_mut(TILE * q);
            subtract(tile, products(before, before));
            on_diagonal(tile);
            let diagonal = &*diagonal;
            below.par_iter_mut().for_each(|panel| eliminate(panel, diagonal, q));
        }
        Factor { panels: self.panels }
    }
}

/// Subtracts a tile of products, whose rows are the lanes, from four columns of a panel.
fn subtract(columns: &mut [[f64; TILE]], products: [[f64; TILE]; TILE]) {
    for (column, at) in columns.iter_mut().zip(0..) {
        (0..TILE).for_each(|row| column[row] -= products[row][at]);
    }
}

/// Replaces a tile by its own factor.
fn on_diagonal(tile: &mut [[f64; TILE]]) {
    for column in 0..TILE {
        for row in column..TILE {
            let sum: f64 = (0..column).map(|k| tile[k][row] * tile[k][column]).sum();
            let rest = tile[column][row] - sum;
            // A matrix with a penalty on its diagonal is positive definite; rounding must not say otherwise.
            tile[column][row] =
                if row == column { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / tile[column][column] };
        }
        (0..column).for_each(|row| tile[column][row] = 0.0);
    }
}

/// Makes the columns `4q` to `4q + 3` of `panel` those of the factor; the columns before are so already.
fn eliminate(panel: &mut [[f64; TILE]], diagonal: &[[f64; TILE]], q: usize) {
    let (before, rest) = panel.split_at_mut(TILE * q);
    let (left, tile) = diagonal.split_at(TILE * q);
    let columns = &mut rest[..TILE];
    subtract(columns, products(before, left));
    for column in 0..TILE {
        for k in 0..column {
            let known = columns[k];
            let factor = tile[k][column];
            columns[column].iter_mut().zip(known).for_each(|(x, known)| *x -= factor * known);
        }
        columns[column].iter_mut().for_each(|x| *x /= tile[column][column]);
    }
}

impl Factor {
    /// The length of the vectors that it takes: a multiple of four.
    pub(super) fn padded(&self) -> usize {
        TILE * self.panels.len()
    }

    /// Solves `L x = b` for four vectors at a time, in place.
    pub(super) fn forward(&self, panel: &mut [[f64; TILE]]) {
        self.panels.iter().enumerate().for_each(|(q, diagonal)| eliminate(panel, diagonal, q));
    }

    /// Solves `L Lᵀ x = b` for four vectors at a time, in place.
    pub(super) fn solve(&self, panel: &mut [[f64; TILE]]) {
        self.forward(panel);
        for (p, rows) in self.panels.iter().enumerate().rev() {
            for row in (0..TILE).rev() {
                let at = TILE * p + row;
                let solved = panel[at].map(|x| x / rows[at][row]);
                panel[at] = solved;
                for (above, l) in panel[..at].iter_mut().zip(rows) {
                    above.iter_mut().zip(solved).for_each(|(x, solved)| *x -= l[row] * solved);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::product::pack;
    use super::*;

    #[test]
    fn what_is_solved_solves() {
        for size in [1, 3, 4, 9, 30] {
            let mut random = fastrand::Rng::with_seed(size as u64);
            let rows: Vec<Vec<f64>> =
                (0..size).map(|_| (0..7).map(|_| random.f64() - 0.5).collect()).collect();
            let panels: Vec<Panel> = rows.chunks(TILE).map(|four| pack(four.iter().cloned(), 7)).collect();
            let matrix = Symmetric::of(size, |p, q| products(&panels[p], &panels[q]));
            let factor = matrix.factor(0.5);
            let right: Vec<f64> = (0..size).map(|at| at as f64 - 2.0).collect();
            let mut panel = pack([right.clone()], factor.padded());
            factor.solve(&mut panel);
            for (at, row) in rows.iter().enumerate() {
                let times = |other: &Vec<f64>| row.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
                let sum: f64 = rows.iter().zip(&panel).map(|(other, x)| times(other) * x[0]).sum();
                let is = sum + 0.5 * panel[at][0];
                assert!((is - right[at]).abs() < 1e-9, "{size}: {is} is not {}", right[at]);
            }
            // The squared length of L⁻¹b is b times the solution.
            let mut half = pack([right.clone()], factor.padded());
            factor.forward(&mut half);
            let squares: f64 = half.iter().map(|x| x[0] * x[0]).sum();
            let expected: f64 = right.iter().zip(&panel).map(|(b, x)| b * x[0]).sum();
            assert!((squares - expected).abs() < 1e-9, "{squares} {expected}");
        }
    }
}
