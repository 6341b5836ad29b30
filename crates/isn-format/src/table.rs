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
use std::io;

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
const DIGEST: usize = 32;
/// The shard of an image that is in no pack.
const NOWHERE: u32 = u32::MAX;

/// The images of a version, sorted by path bytes as in the index. It is its stored bytes, and a number for
/// each image.
pub struct Table {
    bytes: Vec<u8>,
    /// Where `B3SUMS` ends in the bytes.
    sums_end: usize,
    /// The BLAKE3 of `B3SUMS`.
    dataset: Digest,
    /// Where the line of `classes.csv` begins in `B3SUMS`.
    classes: Option<usize>,
    /// Where each image's line begins in `B3SUMS`.
    lines: Vec<u32>,
    shards: Vec<ObjectRef>,
    /// Where the images begin in the bytes.
    rows: usize,
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
        let mut bytes =
            Vec::with_capacity(length(sums, index.len(), packs.iter().map(|it| it.shards.len()).sum()));
        Placement::new(index, packs).write(sums, |piece| {
            bytes.extend(piece);
            Ok(())
        })?;
        Self::over("table", bytes)
    }

    /// Creates the table of images that are files of a tree: of those that `sums` lists, in its order, each
    /// with its width and height in pixels and its length in bytes.
    ///
    /// # Errors
    /// [`Error::Integrity`] if `sums` has another number of images.
    pub fn of_files(what: &str, sums: &Sums, sizes: &[(u32, u32, u64)]) -> Result<Self> {
        let mut bytes = Vec::with_capacity(length(sums, sizes.len(), 0));
        let rows = sizes.iter().map(|size| (*size, None));
        write(sums, &[], rows, |piece| {
            bytes.extend(piece);
            Ok(())
        })?;
        Self::over(what, bytes)
    }

    /// Reads bytes whose own BLAKE3 is right.
    fn over(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let refuse = |why: &str| Error::integrity(what, format!("is damaged: {why}"));
        let short = || refuse("it is too short");
        let count = |at: usize| usize::try_from(u64_at(&bytes, at)).unwrap_or(usize::MAX);
        let (sums_len, shards, images) = (count(16), count(24), count(32));
        let sums_end = HEADER.checked_add(sums_len).ok_or_else(short)?;
        let sums = bytes.get(HEADER..sums_end).ok_or_else(short)?;
        if std::str::from_utf8(sums).is_err() {
            return Err(refuse("B3SUMS is not UTF-8"));
        }
        let rows =
            shards.checked_mul(SHARD).and_then(|length| sums_end.checked_add(length)).ok_or_else(short)?;
        let end = bytes.len().checked_sub(DIGEST).filter(|end| rows <= *end).ok_or_else(short)?;
        let shard = |bytes: &[u8]| ObjectRef { blake3: digest_at(bytes, 0), length: u64_at(bytes, 32) };
        let shards: Vec<ObjectRef> = bytes[sums_end..rows].chunks_exact(SHARD).map(shard).collect();
        let mut lines = Vec::with_capacity((end - rows) / ROW);
        let (mut begin, mut classes) = (0, None);
        for end in memchr::memchr_iter(b'\n', sums) {
            // 64 digits and two spaces stand before the path.
            match (sums.get(begin + 66..end), u32::try_from(begin)) {
                (Some(path), _) if path == CLASSES.as_bytes() => classes = Some(begin),
                (Some(_), Ok(line)) => lines.push(line),
                (Some(_), Err(_)) => return Err(refuse("B3SUMS is too long")),
                (None, _) => return Err(refuse("a line of B3SUMS is too short")),
            }
            begin = end + 1;
        }
        if lines.len() * ROW != end - rows {
            return Err(refuse("B3SUMS has a different number of images"));
        }
        if lines.len() != images {
            return Err(refuse("its header has a different number of images"));
        }
        let dataset = Digest::of(sums);
        Ok(Table { bytes, sums_end, dataset, classes, lines, shards, rows })
    }

    /// Returns the bytes to store.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn sums(&self) -> &[u8] {
        &self.bytes[HEADER..self.sums_end]
    }

    fn rows(&self) -> &[u8] {
        &self.bytes[self.rows..self.bytes.len() - DIGEST]
    }

    /// Reads a table; `what` names it in errors. Whether it belongs to a version, [`crate::description`]
    /// checks against the manifest.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is damaged.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let refuse = |why: &str| Error::integrity(what, format!("is damaged: {why}"));
        let short = || refuse("it is too short");
        if bytes.len() < HEADER + DIGEST {
            return Err(short());
        }
        if !bytes.starts_with(MAGIC) {
            return Err(refuse("it is in another format"));
        }
        let body = usize::try_from(u64_at(&bytes, 16)).ok().and_then(|length| HEADER.checked_add(length));
        let (rest, digest) = bytes.split_at(bytes.len() - DIGEST);
        let body = body.and_then(|body| rest.get(body..)).ok_or_else(short)?;
        if digest_of(&bytes[..HEADER], body).as_bytes() != digest {
            return Err(refuse("its BLAKE3 does not match its contents"));
        }
        let table = Self::over(what, bytes)?;
        let pixels = |row: &[u8]| u64::from(u32_at(row, 4)) * u64::from(u32_at(row, 8));
        if table.rows().chunks_exact(ROW).any(|row| !(1..=MAX_PIXELS).contains(&pixels(row))) {
            return Err(refuse("it has an image of an impossible size"));
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
        std::str::from_utf8(self.sums().get(self.classes?..)?.get(..64)?).ok()?.parse().ok()
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
        let path = self.sums().get(begin as usize + 66..).unwrap_or_default();
        let end = memchr::memchr(b'\n', path).unwrap_or(path.len());
        std::str::from_utf8(&path[..end]).unwrap_or_default()
    }

    /// Returns the BLAKE3 of an image's file, or `None` if there is no such image.
    pub fn blake3(&self, image: usize) -> Option<Digest> {
        let begin = *self.lines.get(image)? as usize;
        std::str::from_utf8(self.sums().get(begin..begin + 64)?).ok()?.parse().ok()
    }

    /// Returns what else the table says about an image, or `None` if there is no such image.
    pub fn record(&self, image: usize) -> Option<Record> {
        let row = self.rows().get(image * ROW..(image + 1) * ROW)?;
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

/// Where the images of an index are, by packs: 8 bytes an image.
pub struct Placement<'a> {
    index: &'a Index,
    packs: &'a [Pack],
    /// For each row the pack and the entry in it, or a pack that does not exist.
    entries: Vec<(u32, u32)>,
    /// The number of shards in the packs before each.
    bases: Vec<usize>,
    shards: Vec<ObjectRef>,
}

impl<'a> Placement<'a> {
    /// Finds each image in the packs.
    pub fn new(index: &'a Index, packs: &'a [Pack]) -> Self {
        let shards = packs.iter().flat_map(|pack| &pack.shards).copied().collect();
        let bases = packs
            .iter()
            .scan(0, |next, pack| Some(std::mem::replace(next, *next + pack.shards.len())))
            .collect();
        let mut entries = vec![(u32::MAX, 0); index.len()];
        let images = Images::all(index);
        for (pack, at) in placed(packs, &images).0 {
            for row in images.rows(&packs[pack as usize].entries[at as usize].blake3) {
                entries[row.at()] = (pack, at);
            }
        }
        Placement { index, packs, entries, bases, shards }
    }

    /// Returns the shards that hold the images, as in [`Table::shards`].
    pub fn shards(&self) -> &[ObjectRef] {
        &self.shards
    }

    /// Returns where an image is, by its row in the index; `None` if no pack has it.
    pub fn frame(&self, row: usize) -> Option<FrameAt> {
        let (number, at) = *self.entries.get(row)?;
        let entry = self.packs.get(number as usize)?.entries.get(at as usize)?;
        let shard = u32::try_from(self.bases.get(number as usize)? + entry.shard).ok()?;
        Some(FrameAt { shard, offset: entry.offset, length: entry.length, blake3: entry.frame })
    }

    /// Passes the bytes of a [`Table`] to `out`, piece by piece.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, sums: &Sums, out: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let rows =
            self.index.rows().map(|row| ((row.width(), row.height(), row.length()), self.frame(row.at())));
        write(sums, &self.shards, rows, out)
    }
}

/// The length of a table's bytes.
fn length(sums: &Sums, images: usize, shards: usize) -> usize {
    HEADER + sums_len(sums) + shards * SHARD + images * ROW + DIGEST
}

/// The length of `B3SUMS`: 64 digits, two spaces, the path and a line feed for each.
fn sums_len(sums: &Sums) -> usize {
    sums.lines().map(|line| 64 + 2 + line.path.as_str().len() + 1).sum()
}

/// Writes a table of images with these widths, heights, lengths and frames.
fn write(
    sums: &Sums,
    shards: &[ObjectRef],
    rows: impl ExactSizeIterator<Item = ((u32, u32, u64), Option<FrameAt>)>,
    mut out: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut header = MAGIC.to_vec();
    let counts = [sums_len(sums), shards.len(), rows.len()];
    counts.iter().for_each(|&count| header.extend((count as u64).to_le_bytes()));
    out(&header)?;
    let mut pieces = Pieces { out: &mut out, failure: None };
    // What fails is in `pieces`.
    let _ = sums.write_to(&mut pieces);
    pieces.failure.map_or(Ok(()), Err)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header);
    let mut piece = Vec::with_capacity(PIECE + ROW);
    for shard in shards {
        piece.extend(shard.blake3.as_bytes());
        piece.extend(shard.length.to_le_bytes());
    }
    let nowhere = FrameAt { shard: NOWHERE, offset: 0, length: 0, blake3: Digest::of(b"") };
    for ((width, height, bytes), frame) in rows {
        let frame = frame.as_ref().unwrap_or(&nowhere);
        [frame.shard, width, height, 0].iter().for_each(|n| piece.extend(n.to_le_bytes()));
        [bytes, frame.offset, frame.length].iter().for_each(|n| piece.extend(n.to_le_bytes()));
        piece.extend(frame.blake3.as_bytes());
        if piece.len() >= PIECE {
            hasher.update(&piece);
            out(&piece)?;
            piece.clear();
        }
    }
    hasher.update(&piece);
    out(&piece)?;
    out(Digest::of_hasher(&hasher).as_bytes())
}

/// How much is written at once, in bytes.
const PIECE: usize = 64 << 10;

/// A writer that passes on what is written, and keeps the error.
struct Pieces<'o, F> {
    out: &'o mut F,
    failure: Option<Error>,
}

impl<F: FnMut(&[u8]) -> Result<()>> io::Write for Pieces<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.out)(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.failure = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
