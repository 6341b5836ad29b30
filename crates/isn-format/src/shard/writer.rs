//! Writing frames and shards.

use std::io::{self, Write};

use zstd::zstd_safe::CParameter;

use super::{BLOCK, TARGET_LEN, entry_name, padded};
use crate::digest::Digest;
use crate::object::ObjectRef;
use crate::pack::Entry;

/// zstd's level: 3 saves 1% on filtered PNG rows and packs at half the speed of 1.
const LEVEL: i32 = 1;
/// What level 1 looks for: repetitions of 7 bytes, through a table that fits into a core's first cache. Rows of a
/// photograph hardly repeat, so shorter ones gain little: frames are 2% larger than the level's own, packed in 0.75
/// of its time and unpacked in 0.9.
const SEARCH: [CParameter; 2] = [CParameter::MinMatch(7), CParameter::HashLog(11)];
/// How much of a shard is hashed and written at once, in bytes: BLAKE3 is fastest on long runs.
const RUN_LEN: usize = 1 << 20;

/// Makes frames; one per thread, since it holds zstd's tables.
pub struct FrameWriter {
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
}

impl FrameWriter {
    /// A writer.
    pub fn new() -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        // BLAKE3 stands over every frame and image: zstd's own checksum would be work for nothing.
        compressor.include_checksum(false)?;
        compressor.include_contentsize(true)?;
        SEARCH.into_iter().try_for_each(|parameter| compressor.set_parameter(parameter))?;
        Ok(FrameWriter { compressor, raw: Vec::new() })
    }

    /// The frame of one image: its tar header, its bytes and the padding, compressed.
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

    /// The last frame of a shard: the two zero blocks that end a tar archive.
    fn end(&mut self) -> io::Result<Vec<u8>> {
        self.compressor.compress(&[0; 2 * BLOCK])
    }
}

/// Writes frames one behind the other and remembers where each one is.
pub struct ShardWriter<W> {
    out: W,
    hasher: blake3::Hasher,
    /// Frames that are neither hashed nor written yet.
    run: Vec<u8>,
    length: u64,
    entries: Vec<Entry>,
}

impl<W: Write> ShardWriter<W> {
    /// A shard into `out`, from its first byte.
    pub fn new(out: W) -> Self {
        let (hasher, run) = (blake3::Hasher::new(), Vec::with_capacity(RUN_LEN));
        ShardWriter { out, hasher, run, length: 0, entries: Vec::new() }
    }

    /// Appends the frame of `image`, made by [`FrameWriter::frame`].
    pub fn push(&mut self, image: Digest, frame: &[u8]) -> io::Result<()> {
        self.entries.push(Entry {
            blake3: image,
            shard: 0,
            offset: self.length,
            length: frame.len() as u64,
            frame: Digest::of(frame),
        });
        self.append(frame)
    }

    /// Whether the shard has reached [`TARGET_LEN`].
    pub fn is_full(&self) -> bool {
        self.length >= TARGET_LEN
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ends the archive. Gives the sink back with the shard's reference and its entries, whose `shard` is 0.
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
