//! Parquet: the columns `image` (a group of the file's `bytes` and its `path`), `label` and `path`. Hugging
//! Face `datasets` stores images in the same way, and recognises them by metadata in the file; with a card,
//! the folder is a dataset for its hub. Compressed with zstd, since isn's images leave compression to
//! whatever stores them.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::{ColumnPath, TypePtr};
use serde_json::json;

use super::out::write;
use super::{About, Image, Shard, Writer, card};
use crate::files;
use isn_format::error::{Error, Result};

const SCHEMA: &str = "message schema {
    OPTIONAL GROUP image { OPTIONAL BINARY bytes; OPTIONAL BINARY path (STRING); }
    OPTIONAL INT64 label;
    OPTIONAL BINARY path (STRING);
}";
/// zstd's own default.
const LEVEL: i32 = 3;
/// The maximum rows and bytes of a row group, which is what readers hold in memory.
const GROUP_ROWS: usize = 256;
const GROUP_BYTES: usize = 64 << 20;
/// The size of a page, which is what is decompressed to read one row, and the number of rows after which it
/// is checked.
const PAGE_BYTES: usize = 1 << 20;
const PAGE_STEP: usize = 4;

pub(super) struct Parquet<'a> {
    dir: PathBuf,
    about: &'a About<'a>,
    has_card: bool,
    schema: TypePtr,
    properties: Arc<WriterProperties>,
    open: Option<Open>,
    rows: Rows,
}

struct Open {
    path: PathBuf,
    file: SerializedFileWriter<File>,
}

/// Rows that wait until they fill a group.
#[derive(Default)]
struct Rows {
    images: Vec<ByteArray>,
    labels: Vec<i64>,
    paths: Vec<ByteArray>,
    bytes: usize,
}

impl<'a> Parquet<'a> {
    pub(super) fn new(dir: PathBuf, about: &'a About<'a>, has_card: bool) -> Result<Self> {
        let internal = |e: ParquetError| Error::Internal(e.to_string());
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(internal)?);
        let level = ZstdLevel::try_new(LEVEL).map_err(internal)?;
        let features = json!({ "info": { "features": {
            "image": { "_type": "Image" },
            "label": { "names": about.class_ids(), "_type": "ClassLabel" },
            "path": { "dtype": "string", "_type": "Value" },
        } } });
        let metadata = [
            ("huggingface", features.to_string()),
            ("isn.dataset", about.dataset()),
            ("isn.pin", about.identity.pin.clone()),
        ];
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(PAGE_BYTES)
            .set_write_batch_size(PAGE_STEP)
            .set_column_statistics_enabled(ColumnPath::from("image.bytes"), EnabledStatistics::None)
            .set_created_by("isn".into())
            .set_key_value_metadata(Some(
                metadata.map(|(key, value)| KeyValue::new(key.into(), value)).to_vec(),
            ));
        let (open, rows, properties) = (None, Rows::default(), Arc::new(properties.build()));
        Ok(Parquet { dir, about, has_card, schema, properties, open, rows })
    }

    /// Writes the waiting rows.
    fn end_group(&mut self) -> Result<()> {
        let (Some(open), rows) = (&mut self.open, std::mem::take(&mut self.rows)) else { return Ok(()) };
        if rows.labels.is_empty() {
            return Ok(());
        }
        let mut write = || {
            let mut group = open.file.next_row_group()?;
            // The definition levels: 2 for a value in a group, 1 for a value in a column, neither null.
            column::<ByteArrayType>(&mut group, &rows.images, 2)?;
            column::<ByteArrayType>(&mut group, &rows.paths, 2)?;
            column::<Int64Type>(&mut group, &rows.labels, 1)?;
            column::<ByteArrayType>(&mut group, &rows.paths, 1)?;
            group.close().map(drop)
        };
        write().map_err(|e: ParquetError| failed(&open.path, e))
    }

    fn end_shard(&mut self) -> Result<()> {
        self.end_group()?;
        match self.open.take() {
            Some(Open { path, file }) => file.close().map(drop).map_err(|e| failed(&path, e)),
            None => Ok(()),
        }
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    level: i16,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("a column too many".into()));
    };
    column.typed::<T>().write_batch(values, Some(&vec![level; values.len()]), None)?;
    column.close()
}

fn failed(path: &std::path::Path, error: ParquetError) -> Error {
    Error::io("write", path)(std::io::Error::other(error))
}

impl Writer for Parquet<'_> {
    fn begin(&mut self, shard: &Shard) -> Result<()> {
        self.end_shard()?;
        files::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("{}-{:05}-of-{:05}.parquet", shard.split, shard.number, shard.of));
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        let file = SerializedFileWriter::new(file, self.schema.clone(), self.properties.clone());
        self.open = Some(Open { file: file.map_err(|e| failed(&path, e))?, path });
        Ok(())
    }

    fn image(&mut self, image: &Image<'_>) -> Result<()> {
        self.rows.images.push(image.bytes.to_vec().into());
        self.rows.labels.push(image.label.into());
        self.rows.paths.push(image.path.into());
        self.rows.bytes += image.bytes.len();
        if self.rows.labels.len() >= GROUP_ROWS || self.rows.bytes >= GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.end_shard()?;
        if self.has_card {
            write(files::parent(&self.dir).join("README.md"), card::card(self.about).as_bytes())?;
        }
        Ok(())
    }
}
