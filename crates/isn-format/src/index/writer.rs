//! [`IndexWriter`]: writes an index row by row.

use super::Row;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json_lines::Writer;
use crate::sums::SumsHasher;

/// The order of rows that are written.
#[derive(Default)]
pub(super) struct Order {
    /// The path of the last row.
    last: String,
}

impl Order {
    /// Checks that a row comes after the last one, and is in the folder of its split and class.
    pub(super) fn check(&mut self, row: &Row) -> Result<()> {
        let path = row.path.as_str();
        let mut segments = path.split('/');
        let folder = (segments.next(), segments.next());
        if folder != (Some(row.split.as_str()), Some(row.class.as_str())) || self.last.as_str() >= path {
            return Err(Error::Internal(format!("{path} is no next row of an index")));
        }
        self.last.clear();
        self.last.push_str(path);
        Ok(())
    }
}

/// Writes an index row by row, as [`super::Full::to_bytes`] does, so that nobody has to have all rows in
/// memory. Also computes the dataset hash.
pub struct IndexWriter {
    writer: Writer,
    sums: SumsHasher,
    order: Order,
}

impl IndexWriter {
    /// Begins an index of a version with these bytes of `classes.csv`.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub fn new(classes_csv: &[u8]) -> Result<Self> {
        Ok(IndexWriter {
            writer: Writer::new()?,
            sums: SumsHasher::new(classes_csv),
            order: Order::default(),
        })
    }

    /// Appends a row, which must come after the others.
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not, if it is not in the folder of its split and class, if it cannot be
    /// serialised or if zstd fails.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        self.order.check(row)?;
        self.sums.push(row.path.as_ref(), row.blake3);
        self.writer.push(&row.wire())
    }

    /// Returns the bytes of the index that came since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.writer.take()
    }

    /// Returns the last bytes, and the dataset hash.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub fn finish(self) -> Result<(Vec<u8>, Digest)> {
        Ok((self.writer.finish()?, self.sums.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Full, Index};
    use crate::sums::Sums;

    #[test]
    fn row_by_row_gives_the_bytes_and_the_hash_of_the_whole() {
        let row = |class: &str, n: u32| Row {
            path: format!("train/{class}/{n:05}.png").parse().unwrap(),
            class: class.parse().unwrap(),
            split: crate::split::Split::Train,
            blake3: Digest::of(&n.to_le_bytes()),
            length: 3,
            width: 1,
            height: 2,
            pixels: Digest::of(b"p"),
            source: format!("train/{n}"),
            source_blake3: Digest::of(b"s"),
        };
        let rows: Vec<Row> = (0..5000).map(|n| row(if n < 3000 { "ant" } else { "bee" }, n)).collect();
        let (index, sources) = Index::new(rows.clone()).unwrap();
        let mut writer = IndexWriter::new(b"classes").unwrap();
        let mut bytes = Vec::new();
        for row in &rows {
            writer.push(row).unwrap();
            bytes.extend(writer.take());
        }
        assert!(writer.push(&rows[0]).is_err());
        let (end, dataset) = writer.finish().unwrap();
        bytes.extend(end);
        assert!(bytes == Full { index: &index, sources: &sources }.to_bytes().unwrap());
        assert_eq!(dataset, Sums::new(&index, b"classes").digest());
    }
}
