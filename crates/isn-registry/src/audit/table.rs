//! Numbers and labels in CSV files, with or without a header. Rows and columns are counted from 0, after the
//! header.

use super::matrix::{Matrix, Values};
use isn_format::class::ClassId;
use isn_format::error::{Error, Result};

/// The name of the column of labels in a table with several columns.
const LABEL: &str = "label";

fn records(what: &str, bytes: &[u8]) -> Result<Vec<csv::StringRecord>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let records: Result<Vec<_>, csv::Error> = reader.records().collect();
    records.map_err(|e| Error::invalid(what, e))
}

/// Parses a matrix of floats, with one row in each line and one column for each class. If there is a header
/// and `classes` are given, the header must name them in order.
///
/// # Errors
/// [`Error::Invalid`] with the row and column of what is missing or not a number.
pub fn probabilities(what: &str, bytes: &[u8], classes: Option<&[ClassId]>) -> Result<Matrix> {
    let records = records(what, bytes)?;
    let mut body = &records[..];
    // A first line without any number is a header.
    let is_number = |field: &str| field.parse::<f64>().is_ok();
    if let Some((first, rest)) = records.split_first()
        && !first.iter().any(is_number)
        && !first.iter().any(str::is_empty)
    {
        body = rest;
        check_header(what, first, classes)?;
    }
    let columns = body.first().map_or(0, csv::StringRecord::len);
    let mut values = Vec::with_capacity(body.len() * columns);
    for (row, record) in body.iter().enumerate() {
        if record.len() != columns {
            let why = format!(
                "row {row} has {} fields, row 0 has {columns}: columns 0 to {} are expected",
                record.len(),
                columns.saturating_sub(1)
            );
            return Err(Error::invalid(what, why));
        }
        for (column, field) in record.iter().enumerate() {
            values.push(field.parse::<f64>().map_err(|_| {
                Error::invalid(what, format!("row {row}, column {column} is '{field}': expected a number"))
            })?);
        }
    }
    Matrix::new(body.len(), columns, Values::Double(values))
        .ok_or_else(|| Error::Internal("a table that is not a rectangle".into()))
}

/// Checks that header fields that are class ids are in the order of the classes. Other names are ignored.
fn check_header(what: &str, header: &csv::StringRecord, classes: Option<&[ClassId]>) -> Result<()> {
    let Some(classes) = classes else { return Ok(()) };
    for (column, name) in header.iter().enumerate() {
        if let Some(at) = classes.iter().position(|class| class.as_str() == name)
            && at != column
        {
            let why = format!("column {column} is of class {name}, which is number {at} in classes.csv");
            return Err(Error::invalid(what, why));
        }
    }
    Ok(())
}

/// Parses labels, one in each row: numbers of columns, or ids of `classes` if those are given. Of several
/// columns, the one called `label` is used.
///
/// # Errors
/// [`Error::Invalid`] with the row and column of what is not a label.
pub fn labels(what: &str, bytes: &[u8], classes: Option<&[ClassId]>) -> Result<Vec<i64>> {
    let records = records(what, bytes)?;
    let parse = |field: &str| -> Option<i64> {
        let class = || classes?.iter().position(|class| class.as_str() == field).map(|at| at as i64);
        class().or_else(|| field.parse().ok())
    };
    let Some((first, rest)) = records.split_first() else { return Ok(Vec::new()) };
    let named = first.iter().position(|field| field == LABEL);
    let (column, body) = match named {
        Some(column) => (column, rest),
        None if first.len() > 1 => {
            let why = format!("has {} columns, none of them called '{LABEL}'", first.len());
            return Err(Error::invalid(what, why));
        }
        // A header with another name.
        None if parse(&first[0]).is_none() && rest.first().is_some_and(|next| parse(&next[0]).is_some()) => {
            (0, rest)
        }
        None => (0, &records[..]),
    };
    let expected = if classes.is_some() { "a class id or a column's number" } else { "a column's number" };
    let label = |(row, record): (usize, &csv::StringRecord)| {
        let field = record.get(column).unwrap_or_default();
        let wrong = || format!("row {row}, column {column} is '{field}': expected {expected}");
        parse(field).ok_or_else(|| Error::invalid(what, wrong()))
    };
    body.iter().enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_and_mistakes_are_named() {
        let plain = probabilities("p", b"0.25,0.75\n1,0\n", None).unwrap();
        assert_eq!(probabilities("p", b"ant,bee\n0.25,0.75\n1,0\n", None).unwrap(), plain);
        assert_eq!(
            probabilities("p", b"\xef\xbb\xbf\"ant\",bee\r\n0.25, 0.75\r\n1,0\r\n", None).unwrap(),
            plain
        );
        for (text, message) in [
            ("0.5,0.5\n0.5\n", "row 1 has 1 fields"),
            ("0.5,0.5\n0.5,x\n", "row 1, column 1 is 'x'"),
            ("0.5,x\n0.5,0.5\n", "row 0, column 1 is 'x'"),
            ("0.5,\n0.5,0.5\n", "row 0, column 1 is ''"),
        ] {
            let error = probabilities("p", text.as_bytes(), None).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        let classes: Vec<ClassId> = ["ant", "bee"].iter().map(|id| id.parse().unwrap()).collect();
        let error = probabilities("p", b"bee,ant\n0,1\n", Some(&classes)).unwrap_err().to_string();
        assert!(error.contains("column 0 is of class bee"), "{error}");
    }

    #[test]
    fn labels_are_numbers_or_ids() {
        let classes: Vec<ClassId> = ["ant", "bee"].iter().map(|id| id.parse().unwrap()).collect();
        for text in ["1\n0\n", "label\n1\n0\n", "given\n1\n0\n", "path,label\na,1\nb,0\n"] {
            assert_eq!(labels("l", text.as_bytes(), None).unwrap(), [1, 0], "{text}");
        }
        for text in ["bee\nant\n", "label\nbee\n0\n"] {
            assert_eq!(labels("l", text.as_bytes(), Some(&classes)).unwrap(), [1, 0], "{text}");
        }
        let error = labels("l", b"0\nbat\n", Some(&classes)).unwrap_err().to_string();
        assert!(error.contains("row 1, column 0 is 'bat'"), "{error}");
        assert!(labels("l", b"0.0\n1.5\n", None).is_err());
        assert!(labels("l", b"a,b\n1,2\n", None).is_err());
    }
}
