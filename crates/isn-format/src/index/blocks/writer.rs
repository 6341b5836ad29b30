//! [`BlocksWriter`]: writes an index in blocks.

use std::io;

use serde::Serialize;

use super::{Block, MAX_ROWS, RowWire, SourceWire, line_len};
use crate::class::ClassId;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Row;
use crate::index::writer::Order;
use crate::json_lines::{LEVEL, Writer};
use crate::object::ObjectRef;
use crate::rel_path::RelPathRef;
use crate::split::Split;
use crate::sums::{LineRef, SumsTree, TreeWriter};
use crate::tree::CLASSES;

/// The end of an index in blocks.
pub struct BlocksEnd {
    /// The directory.
    pub index: Vec<u8>,
    /// The last frames of rows.
    pub rows: Vec<u8>,
    /// The last frames of sources.
    pub sources: Vec<u8>,
    /// BLAKE3's tree over `B3SUMS`, whose root is the dataset hash.
    pub tree: SumsTree,
}

/// Writes an index in blocks row by row, so that nobody has to have all rows in memory.
pub struct BlocksWriter {
    directory: Writer,
    frames: [FrameOfLines; 2],
    rows: Vec<u8>,
    sources: Vec<u8>,
    tree: TreeWriter,
    /// The block that is being written, with a row at least.
    open: Option<Open>,
    order: Order,
}

/// A block that is being written.
struct Open {
    split: Split,
    class: ClassId,
    images: u32,
    sums: u64,
}

impl BlocksWriter {
    /// Begins an index of a version with these bytes of `classes.csv`.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub fn new(classes_csv: &[u8]) -> Result<Self> {
        let mut tree = TreeWriter::default();
        tree.push(LineRef { blake3: Digest::of(classes_csv), path: RelPathRef::stored(CLASSES) });
        Ok(BlocksWriter {
            directory: Writer::new()?,
            frames: [FrameOfLines::new()?, FrameOfLines::new()?],
            rows: Vec::new(),
            sources: Vec::new(),
            tree,
            open: None,
            order: Order::default(),
        })
    }

    /// Appends a row, which must come after the others. Returns whether it begins a block.
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not, if it is not in the folder of its split and class, if it cannot be
    /// serialised or if zstd fails.
    pub fn push(&mut self, row: &Row) -> Result<bool> {
        self.order.check(row)?;
        let path = row.path.as_str();
        let fits = |open: &Open| {
            (open.split, &open.class) == (row.split, &row.class) && (open.images as usize) < MAX_ROWS
        };
        let is_new = !self.open.as_ref().is_some_and(fits);
        if is_new {
            self.end_block()?;
        }
        let new = || Open { split: row.split, class: row.class.clone(), images: 0, sums: 0 };
        let open = self.open.get_or_insert_with(new);
        open.images += 1;
        open.sums += line_len(path);
        self.tree.push(LineRef { blake3: row.blake3, path: row.path.as_ref() });
        let Row { blake3, length, width, height, pixels, source_blake3, .. } = *row;
        self.frames[0].push(&RowWire { path: path.into(), blake3, length, width, height })?;
        self.frames[1].push(&SourceWire { pixels, source: row.source.as_str().into(), source_blake3 })?;
        Ok(is_new)
    }

    fn end_block(&mut self) -> Result<()> {
        let Some(Open { split, class, images, sums }) = self.open.take() else { return Ok(()) };
        let rows = self.frames[0].end(&mut self.rows)?;
        let sources = self.frames[1].end(&mut self.sources)?;
        self.directory.push(&Block { split, class, images, sums, rows, sources })
    }

    /// Returns the frames of rows and of sources that came since the last call.
    pub fn take(&mut self) -> [Vec<u8>; 2] {
        [std::mem::take(&mut self.rows), std::mem::take(&mut self.sources)]
    }

    /// Ends the index.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub fn finish(mut self) -> Result<BlocksEnd> {
        self.end_block()?;
        let [rows, sources] = self.take();
        Ok(BlocksEnd { index: self.directory.finish()?, rows, sources, tree: self.tree.finish() })
    }
}

/// Compresses lines of JSON, one zstd frame for each block.
pub(crate) struct FrameOfLines {
    compressor: zstd::bulk::Compressor<'static>,
    lines: Vec<u8>,
}

impl FrameOfLines {
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub(crate) fn new() -> Result<Self> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(internal)?;
        Ok(FrameOfLines { compressor, lines: Vec::new() })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// [`Error::Internal`] if the row cannot be serialised.
    pub(crate) fn push(&mut self, row: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.lines, row).map_err(|e| Error::Internal(e.to_string()))?;
        self.lines.push(b'\n');
        Ok(())
    }

    /// Forgets the lines so far.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }

    /// Appends the frame of the lines so far to `object`, and begins another.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub(crate) fn end(&mut self, object: &mut Vec<u8>) -> Result<ObjectRef> {
        let frame = self.compressor.compress(&self.lines).map_err(internal)?;
        self.lines.clear();
        object.extend_from_slice(&frame);
        Ok(ObjectRef::of(&frame))
    }
}

fn internal(e: io::Error) -> Error {
    Error::Internal(format!("zstd: {e}"))
}
