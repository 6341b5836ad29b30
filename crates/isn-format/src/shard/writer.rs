//! Writes frames and shards.

use std::io::{self, Write};

use zstd::zstd_safe::CParameter;

use super::{BLOCK, TARGET_LEN, entry_name, padded};
use crate::digest::Digest;
use crate::object::ObjectRef;
use crate::pack::Entry;

/// zstd's level: level 3 saves 1% on filtered PNG rows and runs at half the speed of level 1.
const LEVEL: i32 = 1;
/// The search at level 1: matches of 7 bytes, through a table that fits into a core's first-level cache. Rows
/// of a photograph hardly repeat, so shorter matches gain little: compared with the level's defaults, frames
/// are 2% larger, but take 0.75 of the time to compress and 0.9 to decompress.
const SEARCH: [CParameter; 2] = [CParameter::MinMatch(7), CParameter::HashLog(11)];
/// The number of bytes of a shard that are hashed and written at once: BLAKE3 is fastest on long runs.
const RUN_LEN: usize = 1 << 20;

/// Makes frames. Use one per thread: it holds zstd's tables.
pub struct FrameWriter {
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
}

impl FrameWriter {
    /// Creates a writer.
    ///
    /// # Errors
    /// Fails if zstd cannot allocate its tables.
    pub fn new() -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        // Every frame and image has a BLAKE3, so zstd's own checksum would be redundant.
        compressor.include_checksum(false)?;
        compressor.include_contentsize(true)?;
        SEARCH.into_iter().try_for_each(|parameter| compressor.set_parameter(parameter))?;
        Ok(FrameWriter { compressor, raw: Vec::new() })
    }

    /// Returns the frame of one image: its tar header, its bytes and the padding, compressed.
    ///
    /// # Errors
    /// Fails if `extension` is too long for a tar entry, or zstd fails.
    pub fn frame(&mut self, image: &Digest, extension: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut header = tar::Header::new_ustar();
        header.set_path(entry_name(image, extension))?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        self.raw.clear();
        self.raw.extend_from_slice(header.as_bytes());
        self.raw.extend_from_slice(bytes);
        self.raw.resize(BLOCK + padded(bytes.len()), 0);
        self.compressor.compress(&self.raw)
    }

    /// Returns the last frame of a shard: the two zero blocks that end a tar archive.
    fn end(&mut self) -> io::Result<Vec<u8>> {
        self.compressor.compress(&[0; 2 * BLOCK])
    }
}

/// Writes frames one after another and records where each one is.
pub struct ShardWriter<W> {
    out: W,
    hasher: blake3::Hasher,
    /// Frames that are not hashed or written yet.
    run: Vec<u8>,
    length: u64,
    entries: Vec<Entry>,
}

impl<W: Write> ShardWriter<W> {
    /// Creates a shard that is written to `out`.
    pub fn new(out: W) -> Self {
        let (hasher, run) = (blake3::Hasher::new(), Vec::with_capacity(RUN_LEN));
        ShardWriter { out, hasher, run, length: 0, entries: Vec::new() }
    }

    /// Appends the frame of `image`, made by [`FrameWriter::frame`].
    ///
    /// # Errors
    /// Fails if `out` does.
    pub fn push(&mut self, image: Digest, frame: &[u8]) -> io::Result<()> {
        self.push_hashed(image, frame, Digest::of(frame))
    }

    /// As [`ShardWriter::push`], with the BLAKE3 of the frame, which may have been computed elsewhere.
    ///
    /// # Errors
    /// As [`ShardWriter::push`].
    pub fn push_hashed(&mut self, image: Digest, frame: &[u8], blake3: Digest) -> io::Result<()> {
        let (offset, length) = (self.length, frame.len() as u64);
        self.entries.push(Entry { blake3: image, shard: 0, offset, length, frame: blake3 });
        self.append(frame)
    }

    /// Whether the shard has reached [`TARGET_LEN`].
    pub fn is_full(&self) -> bool {
        self.length >= TARGET_LEN
    }

    /// Whether no frame has been appended yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ends the archive. Returns the sink, the shard's reference and its entries, in which `shard` is 0.
    ///
    /// # Errors
    /// Fails if `out` or zstd does.
    pub fn finish(mut self, frames: &mut FrameWriter) -> io::Result<(W, ObjectRef, Vec<Entry>)> {
        let end = frames.end()?;
        self.append(&end)?;
        self.write_run()?;
        let shard = ObjectRef { blake3: Digest::of_hasher(&self.hasher), length: self.length };
        Ok((self.out, shard, self.entries))
    }

    fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        if self.run.len() + frame.len() > RUN_LEN {
            self.write_run()?;
        }
        self.run.extend_from_slice(frame);
        self.length += frame.len() as u64;
        Ok(())
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.hasher.update(&self.run);
        self.out.write_all(&self.run)?;
        self.run.clear();
        Ok(())
    }
}
