//! Probabilities from a parquet file (feature `parquet`): one column of floats for each class, or one column
//! of lists of floats.

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use std::fs::File;
use std::path::Path;

use super::matrix::{MAX_LEN, Matrix, Values};
use isn_format::error::{Error, Result};

/// Reads a matrix. Errors count rows and columns from 0.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] with the row and column of what is missing or
/// not a float.
pub fn probabilities(path: &Path) -> Result<Matrix> {
    let refuse = |why: &dyn std::fmt::Display| Error::invalid(path.display(), why);
    let file = File::open(path).map_err(Error::io("read", path))?;
    let reader = SerializedFileReader::new(file).map_err(|e| refuse(&e))?;
    let (mut rows, mut columns, mut values, mut single) = (0, None, Vec::new(), true);
    for row in reader.get_row_iter(None).map_err(|e| refuse(&e))? {
        let row = row.map_err(|e| refuse(&e))?;
        let before = values.len();
        for (_, field) in row.get_column_iter() {
            let items = match field {
                Field::ListInternal(list) => list.elements(),
                field => std::slice::from_ref(field),
            };
            for field in items {
                values.push(match field {
                    Field::Float(value) => f64::from(*value),
                    Field::Double(value) => {
                        single = false;
                        *value
                    }
                    other => {
                        let column = values.len() - before;
                        let why =
                            format!("row {rows}, column {column} is {other}: expected a float or a double");
                        return Err(refuse(&why));
                    }
                });
            }
        }
        if values.len() as u64 > MAX_LEN / 8 {
            return Err(refuse(&format!("has more than {} numbers", MAX_LEN / 8)));
        }
        let found = values.len() - before;
        let expected = *columns.get_or_insert(found);
        if found != expected {
            let why = format!("row {rows} has {found} numbers, row 0 has {expected}");
            return Err(refuse(&why));
        }
        rows += 1;
    }
    let values = if single {
        Values::Single(values.into_iter().map(|v| v as f32).collect())
    } else {
        Values::Double(values)
    };
    Matrix::new(rows, columns.unwrap_or(0), values)
        .ok_or_else(|| Error::Internal("a table that is not a rectangle".into()))
}
