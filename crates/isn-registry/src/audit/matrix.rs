//! [`Matrix`]: rows of numbers in their original precision.

use isn_format::error::{Error, Result};

/// The maximum length of a file of numbers or labels, in bytes: ten million images with 1,000 numbers in
/// single precision have 40 GB.
pub const MAX_LEN: u64 = 64 << 30;

/// A matrix in row order. Single precision is kept: it takes half the memory, and sums must be rounded as the
/// program that computed the numbers would round them.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Values,
}

/// The numbers of a [`Matrix`], row by row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 32 bits each.
    Single(Vec<f32>),
    /// 64 bits each.
    Double(Vec<f64>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Single(values) => values.len(),
            Values::Double(values) => values.len(),
        }
    }
}

impl Matrix {
    /// Makes a matrix of `rows × columns` numbers; `None` if there are more or fewer.
    pub fn new(rows: usize, columns: usize, values: Values) -> Option<Self> {
        (rows.checked_mul(columns) == Some(values.len())).then_some(Matrix { rows, columns, values })
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Returns one number.
    ///
    /// # Panics
    /// Panics if the position is outside the matrix.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        let at = row * self.columns + column;
        match &self.values {
            Values::Single(values) => f64::from(values[at]),
            Values::Double(values) => values[at],
        }
    }

    /// Returns the numbers of a row.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = f64> + Clone + '_ {
        (0..self.columns).map(move |column| self.at(row, column))
    }

    /// Fails unless every number is finite. Errors call the matrix `what`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the first row and column of another one.
    pub fn check_finite(&self, what: &str) -> Result<()> {
        let wrong = |row| Some((row, self.row(row).enumerate().find(|(_, x)| !x.is_finite())?));
        match (0..self.rows).find_map(wrong) {
            Some((row, (column, x))) => {
                Err(Error::invalid(what, format!("row {row}, column {column} is {x}: expected a number")))
            }
            None => Ok(()),
        }
    }

    /// Rounds a result in double precision to the precision of the numbers. One operation on two singles in
    /// double precision, rounded once, equals the operation in single precision.
    pub fn round(&self, x: f64) -> f64 {
        match self.values {
            Values::Single(_) => f64::from(x as f32),
            Values::Double(_) => x,
        }
    }

    /// Returns the column of the largest number in a row, and the first of equal ones.
    pub fn largest(&self, row: usize) -> usize {
        largest(self.row(row))
    }
}

/// Returns the position of the largest number, the first of equal ones, and 0 if there is none.
pub fn largest(numbers: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (at, number) in numbers.enumerate() {
        if number > best.1 {
            best = (at, number);
        }
    }
    best.0
}
