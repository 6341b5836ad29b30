//! Ridge regression of the given labels, with each image left out of what predicts it.
//!
//! A row of the labels has 1 for its class. The fit `f` of all rows at once gives what the fit without row
//! `i` says of that row: `(fᵢ - hᵢ yᵢ) / (1 - hᵢ)`, with the leverage `hᵢ` (Golub, Heath and Wahba,
//! Technometrics 1979). Of several penalties, the one whose left-out rows have the least squared error
//! counts, and of several temperatures for turning them into probabilities, the one under which the given
//! labels are the most likely.

use rayon::prelude::*;

use super::factor::Symmetric;
use super::product::{Panel, TILE, pack, products};
use super::space::Space;

/// The penalties to try. Rows have length 1, and a constant.
const PENALTIES: [f64; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];
/// The factors with which predictions become exponents.
const TEMPERATURES: [f64; 8] = [2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 14.0, 20.0];
/// The maximum of the smaller of rows and dimensions: its square must fit in memory (2 GiB).
pub const MOST: usize = 16_384;

/// Returns for each row the probabilities from the fit without it, row by row.
pub(crate) fn left_out(space: &Space, labels: &[usize], classes: usize) -> Vec<f64> {
    let problem = Problem::new(space, labels, classes);
    let mut best: Option<(f64, Vec<f64>)> = None;
    for penalty in PENALTIES {
        let rows = problem.with_penalty(penalty);
        let error = problem.error(&rows);
        match &best {
            // The error has one minimum.
            Some((least, _)) if error >= *least => break,
            _ => best = Some((error, rows)),
        }
    }
    problem.probabilities(best.map(|(_, rows)| rows).unwrap_or_default())
}

struct Problem<'a> {
    labels: &'a [usize],
    classes: usize,
    /// Four rows of embeddings each, with the constant last.
    rows: Vec<Panel>,
    /// The products of columns with columns or, if those are more, of rows with rows.
    gram: Symmetric,
    is_by_rows: bool,
}

impl<'a> Problem<'a> {
    fn new(space: &Space, labels: &'a [usize], classes: usize) -> Self {
        let (count, width) = (space.rows(), space.dimensions() + 1);
        let rows: Vec<Panel> = (0..count.div_ceil(TILE))
            .into_par_iter()
            .map(|p| {
                let four = TILE * p..(TILE * (p + 1)).min(count);
                let mut panel = pack(four.clone().map(|row| space.row(row).iter().copied()), width);
                (0..four.len()).for_each(|lane| panel[width - 1][lane] = 1.0);
                panel
            })
            .collect();
        let is_by_rows = count < width;
        let gram = if is_by_rows {
            Symmetric::of(count, |p, q| products(&rows[p], &rows[q]))
        } else {
            let rows = &rows;
            let column =
                |at: usize| rows.iter().flat_map(move |panel| panel.get(at).copied().unwrap_or_default());
            let columns: Vec<Panel> = (0..width.div_ceil(TILE))
                .into_par_iter()
                .map(|p| pack((TILE * p..TILE * (p + 1)).map(column), TILE * rows.len()))
                .collect();
            Symmetric::of(width, |p, q| products(&columns[p], &columns[q]))
        };
        Problem { labels, classes, rows, gram, is_by_rows }
    }

    /// Returns what the fit without each row predicts of it.
    fn with_penalty(&self, penalty: f64) -> Vec<f64> {
        let factor = self.gram.clone().factor(penalty);
        let length = factor.padded();
        // One column for each class: the labels or, by columns, the embeddings times the labels.
        let mut sides: Vec<Panel> = vec![vec![[0.0; TILE]; length]; self.classes.div_ceil(TILE)];
        for (row, label) in self.labels.iter().enumerate() {
            let side = &mut sides[label / TILE];
            if self.is_by_rows {
                side[row][label % TILE] += 1.0;
            } else {
                let embedding = self.rows[row / TILE].iter().map(|four| four[row % TILE]);
                side.iter_mut().zip(embedding).for_each(|(sum, x)| sum[label % TILE] += x);
            }
        }
        sides.par_iter_mut().for_each(|side| factor.solve(side));
        let predict = |p: usize| {
            let of_four = (TILE * p..self.labels.len()).take(TILE);
            let mut four = vec![[0.0; TILE]; length];
            if self.is_by_rows {
                of_four.clone().for_each(|row| four[row][row % TILE] = 1.0);
            } else {
                four[..self.rows[p].len()].copy_from_slice(&self.rows[p]);
            }
            factor.forward(&mut four);
            // By rows, the diagonal of the inverse; by columns, the leverages.
            let mut squares = [0.0; TILE];
            for x in &four {
                squares.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * x);
            }
            let fits: Vec<_> = match self.is_by_rows {
                true => Vec::new(),
                false => sides.iter().map(|side| products(&self.rows[p], side)).collect(),
            };
            let mut out = Vec::with_capacity(TILE * self.classes);
            for row in of_four {
                for class in 0..self.classes {
                    let own = f64::from(u8::from(self.labels[row] == class));
                    let square = squares[row % TILE];
                    out.push(if self.is_by_rows {
                        own - sides[class / TILE][row][class % TILE] / square
                    } else {
                        (fits[class / TILE][row % TILE][class % TILE] - square * own) / (1.0 - square)
                    });
                }
            }
            out
        };
        (0..self.rows.len()).into_par_iter().flat_map_iter(predict).collect()
    }

    /// Returns the squared error of the predictions.
    fn error(&self, rows: &[f64]) -> f64 {
        let of_row = |(row, label): (&[f64], &usize)| {
            let far = row.iter().enumerate().map(|(class, p)| p - f64::from(u8::from(class == *label)));
            far.map(|far| far * far).sum::<f64>()
        };
        rows.chunks_exact(self.classes).zip(self.labels).map(of_row).sum()
    }

    /// Turns predictions into probabilities.
    fn probabilities(&self, rows: Vec<f64>) -> Vec<f64> {
        let with = |temperature: f64| {
            let mut rows = rows.clone();
            rows.par_chunks_exact_mut(self.classes).for_each(|row| {
                row.iter_mut().for_each(|x| *x *= temperature);
                super::softmax(row);
            });
            rows
        };
        let likelihood = |rows: &[f64]| -> f64 {
            let each = rows.chunks_exact(self.classes).zip(self.labels);
            each.map(|(row, label)| libm::log(row[*label].max(1e-300))).sum()
        };
        let tried = TEMPERATURES.map(|temperature| {
            let rows = with(temperature);
            (likelihood(&rows), rows)
        });
        let best = tried.into_iter().reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, rows)| rows).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::matrix::{Matrix, Values};
    use super::*;

    /// Fits all rows but one, by eliminating in the plain way, and returns what that says of the row.
    fn without(space: &Space, labels: &[usize], classes: usize, penalty: f64, left_out: usize) -> Vec<f64> {
        let width = space.dimensions() + 1;
        let x = |row: usize| space.row(row).iter().copied().chain([1.0]).collect::<Vec<f64>>();
        let mut system = vec![vec![0.0; width + classes]; width];
        for row in (0..labels.len()).filter(|row| *row != left_out) {
            let x = x(row);
            for a in 0..width {
                (0..width).for_each(|b| system[a][b] += x[a] * x[b]);
                system[a][width + labels[row]] += x[a];
            }
        }
        (0..width).for_each(|a| system[a][a] += penalty);
        for pivot in 0..width {
            let line = system[pivot].clone();
            for other in (0..width).filter(|other| *other != pivot) {
                let factor = system[other][pivot] / line[pivot];
                system[other].iter_mut().zip(&line).for_each(|(x, y)| *x -= factor * y);
            }
        }
        let x = x(left_out);
        (0..classes).map(|c| (0..width).map(|a| x[a] * system[a][width + c] / system[a][a]).sum()).collect()
    }

    #[test]
    fn a_row_is_predicted_by_the_fit_without_it() {
        // More rows than dimensions, and the reverse; neither a multiple of four.
        for (rows, dimensions) in [(23, 6), (9, 14)] {
            let mut random = fastrand::Rng::with_seed(3);
            let values = (0..rows * dimensions).map(|_| random.f64()).collect();
            let space = Space::of(&Matrix::new(rows, dimensions, Values::Double(values)).unwrap());
            let labels: Vec<usize> = (0..rows).map(|row| row * row % 5).collect();
            let problem = Problem::new(&space, &labels, 5);
            assert_eq!(problem.is_by_rows, rows < dimensions);
            let predicted = problem.with_penalty(0.7);
            for (row, predicted) in predicted.chunks(5).enumerate() {
                let expected = without(&space, &labels, 5, 0.7, row);
                let far = predicted.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(far < 1e-9, "{row}: {predicted:?} {expected:?}");
            }
        }
    }
}
