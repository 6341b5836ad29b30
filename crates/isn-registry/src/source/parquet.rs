//! [`Shard`]: a parquet file with one image in each row. The columns `label` and `image.path` are read whole.
//! Of `image.bytes`, only pages with wanted images are read, one page at a time.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::basic::Type as PhysicalType;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType};
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::reader::{ChunkReader, FileReader as _, Length};
use ::parquet::file::serialized_reader::SerializedFileReader;
use bytes::Bytes;

use super::container::Container;
use super::tar::walk::ReadAt;
use isn_format::error::{Error, Result};

/// The maximum length of a page, in bytes: two pages and everything else must fit into the memory that a
/// build may use, 1 GiB.
const MAX_PAGE: u64 = 384 << 20;
/// The maximum number of images kept that were passed on the way to another one, because threads do not ask
/// quite in order.
const WAITING: usize = 64;

/// A row without its image.
pub(super) struct Row<'r> {
    /// Its position in the file, from 0.
    pub(super) number: u64,
    /// The number of its class.
    pub(super) label: Option<i64>,
    /// The name of the image's file.
    pub(super) path: Option<&'r [u8]>,
    /// The last modification time of the parquet file, in nanoseconds since 1970.
    pub(super) modified_ns: i128,
}

/// An open parquet file.
pub(super) struct Shard {
    file: SerializedFileReader<Chunks>,
    container: Arc<Container>,
    shown: String,
    columns: Columns,
    /// The first row of each row group, and finally the number of all rows.
    starts: Vec<u64>,
    /// The rows that will be read, sorted.
    wanted: Vec<u64>,
    cursor: Mutex<Cursor>,
}

/// The positions of the columns.
#[derive(Clone, Copy, Debug)]
struct Columns {
    bytes: usize,
    path: usize,
    label: usize,
}

/// The position of reading. Going forward is cheap; going back is not.
#[derive(Default)]
struct Cursor {
    open: Option<Open>,
    waiting: VecDeque<(u64, Vec<u8>)>,
}

struct Open {
    group: usize,
    next: u64,
    reader: ColumnReaderImpl<ByteArrayType>,
}

impl Shard {
    /// Opens the file at `path`, which messages call `shown`, and reads its footer.
    pub(super) fn open(path: &Path, shown: &str) -> Result<Self> {
        let container = Arc::new(Container::open(path)?);
        let refuse = |why: &dyn std::fmt::Display| Error::invalid(shown, format!("cannot be read: {why}"));
        let file =
            guarded(|| SerializedFileReader::new(Chunks(container.clone()))).map_err(|e| refuse(&e))?;
        let about = file.metadata();
        let schema = about.file_metadata().schema_descr();
        let column = |name: &str, kinds: &[PhysicalType]| {
            let at = schema.columns().iter().position(|column| column.path().string() == name);
            let at = at.ok_or_else(|| refuse(&format!("it has no column {name}")))?;
            let column = schema.column(at);
            if !kinds.contains(&column.physical_type()) || column.max_rep_level() != 0 {
                return Err(refuse(&format!("column {name} has another type than in ImageNet's files")));
            }
            Ok(at)
        };
        let columns = Columns {
            bytes: column("image.bytes", &[PhysicalType::BYTE_ARRAY])?,
            path: column("image.path", &[PhysicalType::BYTE_ARRAY])?,
            label: column("label", &[PhysicalType::INT64, PhysicalType::INT32])?,
        };
        let mut starts: Vec<u64> = vec![0];
        for group in about.row_groups() {
            for at in [columns.bytes, columns.path, columns.label] {
                let column = group.column(at);
                let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
                let range = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
                let end = range.and_then(|(start, length)| start.checked_add(length));
                if end.is_none_or(|end| end > container.stamp().length) {
                    return Err(refuse(&"a column is outside the file"));
                }
            }
            let rows = u64::try_from(group.num_rows()).map_err(|e| refuse(&e))?;
            let last = starts.last().copied().unwrap_or_default();
            starts.push(last.checked_add(rows).ok_or_else(|| refuse(&"it has too many rows"))?);
        }
        let cursor = Mutex::default();
        Ok(Shard { file, container, shown: shown.into(), columns, starts, wanted: Vec::new(), cursor })
    }

    fn refuse(&self, why: impl std::fmt::Display) -> Error {
        // If the file was changed, that explains the other fault.
        match self.container.check() {
            Err(changed) => changed,
            Ok(()) => Error::invalid(&self.shown, format!("cannot be read: {why}")),
        }
    }

    /// Calls `each` with every row, without its image.
    pub(super) fn rows(&mut self, each: &mut dyn FnMut(Row<'_>)) -> Result<()> {
        let modified_ns = self.container.stamp().modified_ns;
        for group in 0..self.starts.len() - 1 {
            let rows = (self.starts[group + 1] - self.starts[group]) as usize;
            let labels = match self.column(group, self.columns.label)? {
                ColumnReader::Int64ColumnReader(mut reader) => {
                    self.values(&mut reader, self.columns.label, rows)?
                }
                ColumnReader::Int32ColumnReader(mut reader) => self
                    .values(&mut reader, self.columns.label, rows)?
                    .into_iter()
                    .map(|label| label.map(i64::from))
                    .collect(),
                _ => return Err(self.refuse("column label has another type here")),
            };
            let paths = match self.column(group, self.columns.path)? {
                ColumnReader::ByteArrayColumnReader(mut reader) => {
                    self.values(&mut reader, self.columns.path, rows)?
                }
                _ => return Err(self.refuse("column image.path has another type here")),
            };
            for (number, (label, path)) in (self.starts[group]..).zip(labels.into_iter().zip(paths)) {
                each(Row { number, label, path: path.as_ref().map(ByteArray::data), modified_ns });
            }
        }
        self.container.check()
    }

    /// Sets which rows will be read.
    pub(super) fn want(&mut self, mut rows: Vec<u64>) {
        rows.sort_unstable();
        self.wanted = rows;
    }

    fn column(&self, group: usize, column: usize) -> Result<ColumnReader> {
        let reader = guarded(|| {
            let group = self.file.get_row_group(group)?;
            let pages = group.get_column_page_reader(column)?;
            Ok(get_column_reader(group.metadata().schema_descr().column(column), pages))
        });
        reader.map_err(|e| self.refuse(e))
    }

    /// Returns the next `count` values of a column, with `None` for nulls.
    fn values<T: DataType>(
        &self,
        reader: &mut ColumnReaderImpl<T>,
        column: usize,
        count: usize,
    ) -> Result<Vec<Option<T::T>>> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let read = guarded(|| reader.read_records(count, Some(&mut levels), None, &mut values));
        let (records, _, _) = read.map_err(|e| self.refuse(e))?;
        if records != count {
            return Err(self.refuse("a column has fewer rows than the file"));
        }
        // The definition level of a value that is not null. It is 0 in a column without nulls, which has no
        // levels.
        let there = self.file.metadata().file_metadata().schema_descr().column(column).max_def_level();
        let mut values = values.into_iter();
        if there == 0 {
            return Ok(values.map(Some).collect());
        }
        Ok(levels.iter().map(|level| if *level == there { values.next() } else { None }).collect())
    }

    /// Returns the image of a row.
    pub(super) fn read(&self, row: u64) -> Result<Vec<u8>> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = cursor.waiting.iter().position(|(waiting, _)| *waiting == row);
        if let Some((_, bytes)) = waiting.and_then(|at| cursor.waiting.remove(at)) {
            return Ok(bytes);
        }
        let group = self.starts.partition_point(|start| *start <= row).saturating_sub(1);
        let mut open = match cursor.open.take() {
            Some(open) if open.group == group && open.next <= row => open,
            _ => match self.column(group, self.columns.bytes)? {
                ColumnReader::ByteArrayColumnReader(reader) => {
                    Open { group, next: self.starts[group], reader }
                }
                _ => return Err(self.refuse("column image.bytes has another type here")),
            },
        };
        let before = self.wanted.partition_point(|wanted| *wanted < row);
        let passed = &self.wanted[before.saturating_sub(WAITING)..before];
        for row in &passed[passed.partition_point(|row| *row < open.next)..] {
            let bytes = self.image(&mut open, *row)?;
            cursor.waiting.push_back((*row, bytes));
        }
        let surplus = cursor.waiting.len().saturating_sub(WAITING);
        cursor.waiting.drain(..surplus);
        let bytes = self.image(&mut open, row)?;
        cursor.open = Some(open);
        drop(cursor);
        self.container.check()?;
        Ok(bytes)
    }

    fn image(&self, open: &mut Open, row: u64) -> Result<Vec<u8>> {
        let skip = (row - open.next) as usize;
        let skipped = guarded(|| open.reader.skip_records(skip)).map_err(|e| self.refuse(e))?;
        if skipped != skip {
            return Err(self.refuse("column image.bytes has fewer rows than the file"));
        }
        let value = self.values(&mut open.reader, self.columns.bytes, 1)?.pop().flatten();
        open.next = row + 1;
        let value = value.ok_or_else(|| self.refuse(format!("row {row} has no image.bytes")))?;
        // The copy allows the page to be freed.
        Ok(value.data().to_vec())
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shard({})", self.shown)
    }
}

/// Turns a panic of the crate `parquet`, which some damaged files cause, into an error like any other. What
/// it was working on is dropped.
fn guarded<T>(work: impl FnOnce() -> ParquetResult<T>) -> ParquetResult<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(ParquetError::General("its contents contradict each other".into())))
}

/// The file, as the crate `parquet` reads it.
struct Chunks(Arc<Container>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.stamp().length
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Section>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::with_capacity(1 << 12, Section { container: self.0.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let is_inside = start.checked_add(length as u64).is_some_and(|end| end <= self.len());
        if !is_inside {
            return Err(ParquetError::EOF("the file is cut short".into()));
        }
        if length as u64 > MAX_PAGE {
            let why = format!("a page has {length} bytes: write it with fewer rows in a page or row group");
            return Err(ParquetError::General(why));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// The file from a position on.
struct Section {
    container: Arc<Container>,
    at: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.container.stamp().length.saturating_sub(self.at);
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.container.read_exact_at(&mut buffer[..most], self.at)?;
        self.at += most as u64;
        Ok(most)
    }
}
