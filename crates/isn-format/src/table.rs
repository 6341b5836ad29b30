//! [`Table`]: a version in a form that can be used at once: `B3SUMS` as text, and for each image its shard
//! and its place in that shard. It is derived from index and packs and kept in the cache, where nothing is
//! trusted: `B3SUMS` must hash to the dataset hash, the rest to the table's own BLAKE3, and an image to its
//! line.
//!
//! The layout, little-endian: the magic; the length of `B3SUMS`, the number of shards and the number of
//! images; `B3SUMS`; the BLAKE3 and length of each shard; for each image its shard, width, height and a zero
//! (32 bits each), its length, the offset and length of its frame (64 bits) and the BLAKE3 of its frame; the
//! BLAKE3 of all this except `B3SUMS`.

use std::collections::HashMap;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::{Images, Index};
use crate::object::ObjectRef;
use crate::pack::{Pack, placed};
use crate::pixel_spec::MAX_PIXELS;
use crate::rel_path::MAX_PATH_LEN;
use crate::shard::{MAX_IMAGE_LEN, max_frame_len};
use crate::sums::Sums;
use crate::tree::CLASSES;

const MAGIC: &[u8; 16] = b"isn-table/1\n\0\0\0\0";
const HEADER: usize = 16 + 3 * 8;
const SHARD: usize = 32 + 8;
const ROW: usize = 4 * 4 + 3 * 8 + 32;
/// The shard of an image that is in no pack.
const NOWHERE: u32 = u32::MAX;

/// The images of a version, sorted by path bytes as in the index.
pub struct Table {
    sums: String,
    /// The BLAKE3 of `sums`.
    dataset: Digest,
    /// Where the line of `classes.csv` begins in `sums`.
    classes: Option<usize>,
    /// Where each image's line begins in `sums`.
    lines: Vec<usize>,
    shards: Vec<ObjectRef>,
    rows: Vec<u8>,
}

/// What a table says about an image besides its path and its hash: a hint that only the image's own bytes
/// confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The file's length, in bytes.
    pub length: u64,
    /// Where its bytes are, if a pack says so.
    pub frame: Option<FrameAt>,
}

/// A frame of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAt {
    /// The position of its shard in [`Table::shards`].
    pub shard: u32,
    /// Where it begins in the shard, in bytes.
    pub offset: u64,
    /// Its length, in bytes.
    pub length: u64,
    /// Its BLAKE3.
    pub blake3: Digest,
}

impl Table {
    /// Creates the table of a version that has been checked, with its packs.
    ///
    /// # Errors
    /// [`Error::Integrity`] if `sums` does not have the images of `index`.
    pub fn new(index: &Index, sums: &Sums, packs: &[Pack]) -> Result<Self> {
        let shards: Vec<ObjectRef> = packs.iter().flat_map(|pack| &pack.shards).copied().collect();
        let bases: Vec<usize> = packs
            .iter()
            .scan(0, |next, pack| Some(std::mem::replace(next, *next + pack.shards.len())))
            .collect();
        let nowhere = FrameAt { shard: NOWHERE, offset: 0, length: 0, blake3: Digest::of(b"") };
        let mut rows = Vec::with_capacity(index.len() * ROW);
        index.rows().for_each(|row| record(&mut rows, (row.width(), row.height(), row.length()), &nowhere));
        let images = Images::all(index);
        let mut frame = Vec::with_capacity(ROW);
        for (pack, entry) in placed(packs, &images).0 {
            let (base, entry) = (bases[pack as usize], &packs[pack as usize].entries[entry as usize]);
            let shard = u32::try_from(base + entry.shard).unwrap_or(NOWHERE);
            let (offset, length, blake3) = (entry.offset, entry.length, entry.frame);
            for row in images.rows(&entry.blake3) {
                frame.clear();
                let size = (row.width(), row.height(), row.length());
                record(&mut frame, size, &FrameAt { shard, offset, length, blake3 });
                rows[row.at() * ROW..][..ROW].copy_from_slice(&frame);
            }
        }
        Self::over("table", sums.to_text(), shards, rows)
    }

    /// Creates the table of images that are files of a tree: of those that `sums` lists, in its order, each
    /// with its width and height in pixels and its length in bytes.
    ///
    /// # Errors
    /// [`Error::Integrity`] if `sums` has another number of images.
    pub fn of_files(what: &str, sums: &Sums, sizes: &[(u32, u32, u64)]) -> Result<Self> {
        let mut rows = Vec::with_capacity(sizes.len() * ROW);
        let nowhere = FrameAt { shard: NOWHERE, offset: 0, length: 0, blake3: Digest::of(b"") };
        sizes.iter().for_each(|size| record(&mut rows, *size, &nowhere));
        Self::over(what, sums.to_text(), Vec::new(), rows)
    }

    fn over(what: &str, sums: String, shards: Vec<ObjectRef>, rows: Vec<u8>) -> Result<Self> {
        let mut lines = Vec::with_capacity(rows.len() / ROW);
        let (mut begin, mut classes) = (0, None);
        for end in memchr::memchr_iter(b'\n', sums.as_bytes()) {
            // 64 digits and two spaces stand before the path.
            match sums.get(begin + 66..end) {
                Some(CLASSES) => classes = Some(begin),
                Some(_) => lines.push(begin),
                None => return Err(Error::integrity(what, "is damaged: a line of B3SUMS is too short")),
            }
            begin = end + 1;
        }
        if lines.len() * ROW != rows.len() {
            return Err(Error::integrity(what, "is damaged: B3SUMS has a different number of images"));
        }
        let dataset = Digest::of(sums.as_bytes());
        Ok(Table { sums, dataset, classes, lines, shards, rows })
    }

    /// Returns the bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let counts = [self.sums.len(), self.shards.len(), self.lines.len()];
        counts.iter().for_each(|&count| bytes.extend((count as u64).to_le_bytes()));
        bytes.extend(self.sums.as_bytes());
        for shard in &self.shards {
            bytes.extend(shard.blake3.as_bytes());
            bytes.extend(shard.length.to_le_bytes());
        }
        bytes.extend(&self.rows);
        let digest = digest_of(&bytes[..HEADER], &bytes[HEADER + self.sums.len()..]);
        bytes.extend(digest.as_bytes());
        bytes
    }

    /// Reads a table; `what` names it in errors. Whether it belongs to a version, [`crate::description`]
    /// checks against the manifest.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is damaged.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let refuse = |why: &str| Error::integrity(what, format!("is damaged: {why}"));
        let short = || refuse("it is too short");
        let (header, rest) = bytes.split_at_checked(HEADER).ok_or_else(short)?;
        if !header.starts_with(MAGIC) {
            return Err(refuse("it is in another format"));
        }
        let count = |at: usize| usize::try_from(u64_at(header, at)).unwrap_or(usize::MAX);
        let (sums_len, shards, images) = (count(16), count(24), count(32));
        let (sums, rest) = rest.split_at_checked(sums_len).ok_or_else(short)?;
        let (body, digest) = rest.split_last_chunk::<32>().ok_or_else(short)?;
        if digest_of(header, body).as_bytes() != digest {
            return Err(refuse("its BLAKE3 does not match its contents"));
        }
        let shards_len = shards.checked_mul(SHARD).ok_or_else(short)?;
        let (shards, rows) = body.split_at_checked(shards_len).ok_or_else(short)?;
        let shard = |bytes: &[u8]| ObjectRef { blake3: digest_at(bytes, 0), length: u64_at(bytes, 32) };
        let shards: Vec<ObjectRef> = shards.chunks_exact(SHARD).map(shard).collect();
        let pixels = |row: &[u8]| u64::from(u32_at(row, 4)) * u64::from(u32_at(row, 8));
        if rows.chunks_exact(ROW).any(|row| !(1..=MAX_PIXELS).contains(&pixels(row))) {
            return Err(refuse("it has an image of an impossible size"));
        }
        let sums = String::from_utf8(sums.to_vec()).map_err(|_| refuse("B3SUMS is not UTF-8"))?;
        let table = Self::over(what, sums, shards, rows.to_vec())?;
        if table.lines.len() != images {
            return Err(refuse("its header has a different number of images"));
        }
        Ok(table)
    }

    /// Whether it agrees with `index` about each image, and with `packs` about each frame in one of their
    /// shards. It may also know other shards, which the registry had earlier.
    pub fn is_of(&self, index: &Index, packs: &[Pack]) -> bool {
        let mut frames: HashMap<(Digest, Digest), FrameAt> = HashMap::new();
        for pack in packs {
            for entry in &pack.entries {
                let Some(shard) = pack.shards.get(entry.shard) else { continue };
                let (offset, length, blake3) = (entry.offset, entry.length, entry.frame);
                frames.insert((entry.blake3, shard.blake3), FrameAt { shard: 0, offset, length, blake3 });
            }
        }
        let is_known = |shard: &ObjectRef| packs.iter().any(|pack| pack.shards.contains(shard));
        let known: Vec<bool> = self.shards.iter().map(is_known).collect();
        let is_right = |(image, row): (usize, crate::index::RowRef<'_>)| {
            let Some(record) = self.record(image) else { return false };
            let is_frame_right = record.frame.is_none_or(|at| {
                let shard = at.shard as usize;
                let of_pack = frames.get(&(row.blake3(), self.shards[shard].blake3));
                !known[shard] || of_pack == Some(&FrameAt { shard: 0, ..at })
            });
            let says = (self.path(image), self.blake3(image), record.width, record.height, record.length);
            says == (row.path().as_str(), Some(row.blake3()), row.width(), row.height(), row.length())
                && is_frame_right
        };
        self.images() == index.len() && index.rows().enumerate().all(is_right)
    }

    /// Returns the number of images.
    pub fn images(&self) -> usize {
        self.lines.len()
    }

    /// Returns the BLAKE3 of `B3SUMS`.
    pub fn dataset(&self) -> Digest {
        self.dataset
    }

    /// Returns the BLAKE3 of `classes.csv` in `B3SUMS`.
    pub(crate) fn classes_blake3(&self) -> Option<Digest> {
        self.sums.get(self.classes?..)?.get(..64)?.parse().ok()
    }

    /// Returns the maximum length of the table of this many images in as many shards, in bytes: a cap for
    /// reading it.
    pub fn max_len(images: u64) -> u64 {
        let line = 64 + 2 + MAX_PATH_LEN as u64 + 1;
        images.saturating_add(1).saturating_mul(line + (ROW + SHARD) as u64).saturating_add(4096)
    }

    /// Returns the shards that hold the images.
    pub fn shards(&self) -> &[ObjectRef] {
        &self.shards
    }

    /// Returns the path of an image in the tree, `split/class/stem.ext`; empty if there is no such image.
    pub fn path(&self, image: usize) -> &str {
        let Some(&begin) = self.lines.get(image) else { return "" };
        let line = &self.sums[begin..];
        line.split('\n').next().and_then(|line| line.get(66..)).unwrap_or_default()
    }

    /// Returns the BLAKE3 of an image's file, or `None` if there is no such image.
    pub fn blake3(&self, image: usize) -> Option<Digest> {
        let begin = *self.lines.get(image)?;
        self.sums.get(begin..begin + 64)?.parse().ok()
    }

    /// Returns what else the table says about an image, or `None` if there is no such image.
    pub fn record(&self, image: usize) -> Option<Record> {
        let row = self.rows.get(image * ROW..(image + 1) * ROW)?;
        let shard = u32_at(row, 0);
        let length = u64_at(row, 16).min(MAX_IMAGE_LEN);
        let frame =
            FrameAt { shard, offset: u64_at(row, 24), length: u64_at(row, 32), blake3: digest_at(row, 40) };
        // A table that is damaged asks for no more memory than an image can need.
        let is_sane = (shard as usize) < self.shards.len() && frame.length <= max_frame_len(length);
        let frame = is_sane.then_some(frame);
        Some(Record { width: u32_at(row, 4), height: u32_at(row, 8), length, frame })
    }
}

/// Appends what the table says about an image: its width, height and length, and its frame.
fn record(rows: &mut Vec<u8>, (width, height, bytes): (u32, u32, u64), frame: &FrameAt) {
    [frame.shard, width, height, 0].iter().for_each(|n| rows.extend(n.to_le_bytes()));
    [bytes, frame.offset, frame.length].iter().for_each(|n| rows.extend(n.to_le_bytes()));
    rows.extend(frame.blake3.as_bytes());
}

fn digest_of(header: &[u8], body: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header).update(body);
    Digest::of_hasher(&hasher)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn digest_at(bytes: &[u8], at: usize) -> Digest {
    bytes.get(at..at + 32).and_then(|b| b.try_into().ok()).map_or(Digest::of(b""), Digest::from_bytes)
}
