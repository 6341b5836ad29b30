//! [`Table`]: a version in a form that can be used at once: `B3SUMS` as text, and for each image its shard
//! and its place in that shard. It is derived from index and packs and kept in the cache, where nothing is
//! trusted, so each part of it is checked when it is first used, and an image is checked by its line.
//!
//! The layout, little-endian: the magic; `B3SUMS`; a row of 72 bytes for each image; the summary; the length
//! of the summary (64 bits); the BLAKE3 of summary and length. A row has where its line begins in `B3SUMS`
//! (64 bits); the length of that, its shard, width, height, its length, the length of its frame (32 bits
//! each); the offset of its frame (64 bits), and the BLAKE3 of its frame.
//!
//! Opening a table reads the summary alone, some 450 kB for a million images. It has the values of BLAKE3's
//! tree over each 16 KiB of `B3SUMS`, whose root must be the dataset hash; the BLAKE3 of each piece of 256
//! rows, and where its lines begin; the runs of images of one split and class; the shards, and which bytes of
//! them each split needs. It comes last, so that a table is written in one go and one that was cut is not
//! opened. The rest is read in place, by positioned reads: what processes have in common is the system's page
//! cache.
//!
//! A row whose piece is right may still lie, if somebody has made a table of his own. So its line must be a
//! whole line of `B3SUMS` in the folder of its run, and the rows of a piece must have all the text between
//! its first line and that of the next piece: an image always has the label and the hash of its path, and two
//! images have different paths. How many images a class has is compared with what is signed, see
//! [`crate::description`].

mod checks;
mod read_at;
mod summary;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;
use std::io;
use std::ops::Range;

pub use self::checks::Check;
use self::checks::{Checks, Seen};
pub use self::read_at::ReadAt;
use self::summary::{END, Summary};
pub use self::write::Placement;
use crate::class::ClassId;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::object::ObjectRef;
use crate::pack::Pack;
use crate::pixel_spec::MAX_PIXELS;
use crate::rel_path::check_segment;
use crate::shard::{MAX_IMAGE_LEN, max_frame_len};
use crate::split::Split;
use crate::sums::{GROUP, Sums};
use crate::tree::CLASSES;

const MAGIC: &[u8; 16] = b"isn-table/2\n\0\0\0\0";
/// How a table of isn 0.1.0 begins.
const OLD: &[u8; 12] = b"isn-table/1\n";
const ROW: usize = 8 + 6 * 4 + 8 + 32;
/// The number of rows that are checked together.
const ROWS: usize = 256;
/// The shard of an image that is in no pack.
const NOWHERE: u32 = u32::MAX;

/// The images of a version, sorted by path bytes as in the index.
pub struct Table {
    /// What error messages call it.
    what: String,
    source: Box<dyn ReadAt>,
    summary: Summary,
    checks: Checks,
}

/// Images of one class in one split, which follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Their split.
    pub split: Split,
    /// Their class.
    pub class: ClassId,
    /// Their rows.
    pub rows: Range<u32>,
}

/// The bytes of a shard that have all frames of a split there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The split.
    pub split: Split,
    /// The position of the shard in [`Table::shards`]. If there is none, some images are in no pack.
    pub shard: u32,
    /// From the first frame to the end of the last.
    pub bytes: Range<u64>,
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

/// All that a table says about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the tree, `split/class/stem.ext`.
    pub path: String,
    /// The BLAKE3 of its file.
    pub blake3: Digest,
    /// The rest.
    pub record: Record,
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
    /// Creates the table of a version that has been checked, with its packs, in memory.
    ///
    /// # Errors
    /// [`Error::Integrity`] if `sums` does not have the images of `index`.
    pub fn new(index: &Index, sums: &Sums, packs: &[Pack]) -> Result<Self> {
        Self::made("table", |out| Placement::new(index, packs).write(sums, out))
    }

    /// Creates the table of images that are files of a tree, in memory: of those that `sums` lists, in its
    /// order, each with its width and height in pixels and its length in bytes.
    ///
    /// # Errors
    /// [`Error::Integrity`] if `sums` has another number of images, or one that is in no folder of a class.
    pub fn of_files(what: &str, sums: &Sums, sizes: &[(u32, u32, u64)]) -> Result<Self> {
        let rows = sizes.iter().map(|size| (*size, None));
        Self::made(what, |out| write::write((what, sums), &[], rows, out))
    }

    fn made(
        what: &str,
        write: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<Self> {
        let mut bytes = Vec::new();
        write(&mut |part| {
            bytes.extend(part);
            Ok(())
        })?;
        bytes.shrink_to_fit();
        let table = Self::open(what, bytes, Check::Once, u64::MAX)?;
        Ok(Table { checks: Checks::Needless, ..table })
    }

    /// Opens a table of at most `images` images: reads and checks its summary. `what` names it in errors.
    /// Whether it belongs to a version, [`crate::description`] checks against the manifest.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it cannot be read, or is damaged.
    pub fn open(what: &str, source: impl ReadAt + 'static, check: Check, images: u64) -> Result<Self> {
        let refuse = |why: &str| Error::integrity(what, format!("is damaged: {why}"));
        let unread = |e: io::Error| refuse(&format!("it cannot be read: {e}"));
        let length = source.length().map_err(unread)?;
        let read = |from: u64, count: usize| {
            let mut bytes = vec![0; count];
            source.read_at(from, &mut bytes).map(|()| bytes).map_err(unread)
        };
        let least = (MAGIC.len() + END) as u64;
        let room = length.checked_sub(least).ok_or_else(|| refuse("it is too short"))?;
        if read(0, MAGIC.len())? != MAGIC {
            return Err(refuse("it is in another format"));
        }
        let end = length - END as u64;
        let body = u64_at(&read(end, 8)?, 0);
        let sized = usize::try_from(body).ok().filter(|_| body <= room.min(Summary::max_len(images)));
        let body = sized.ok_or_else(|| refuse("its summary has an impossible length"))?;
        let summary = Summary::parse(what, &read(end - body as u64, body + END)?, length)?;
        if summary.images as u64 > images {
            return Err(refuse("it has too many images"));
        }
        let checks = match check {
            Check::Always => Checks::Always,
            Check::Once => {
                let groups = Seen::new(summary.sums.len().div_ceil(GROUP) as usize);
                Checks::Once { groups, pieces: Seen::new(summary.pieces.len()) }
            }
        };
        Ok(Table { what: what.into(), source: Box::new(source), summary, checks })
    }

    /// Whether these bytes are a table as isn 0.1.0 made it. Such a table is not opened, and is made anew
    /// when it is needed.
    pub fn is_old(source: &impl ReadAt) -> bool {
        let mut begin = [0; OLD.len()];
        source.read_at(0, &mut begin).is_ok() && begin == *OLD
    }

    /// Reads all of it, and checks it.
    ///
    /// # Errors
    /// [`Error::Integrity`] if a part of it is damaged.
    pub fn check(&self) -> Result<()> {
        self.classes_blake3()?;
        self.entries(0..self.images()).try_for_each(|entry| entry.map(drop))
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
        let known: Vec<bool> = self.shards().iter().map(is_known).collect();
        let is_right = |(row, entry): (crate::index::RowRef<'_>, Result<Entry>)| {
            let Ok(Entry { path, blake3, record }) = entry else { return false };
            let is_frame_right = record.frame.is_none_or(|at| {
                let shard = at.shard as usize;
                let of_pack = frames.get(&(row.blake3(), self.shards()[shard].blake3));
                !known[shard] || of_pack == Some(&FrameAt { shard: 0, ..at })
            });
            let says = (path.as_str(), blake3, record.width, record.height, record.length);
            says == (row.path().as_str(), row.blake3(), row.width(), row.height(), row.length())
                && is_frame_right
        };
        self.images() == index.len() && index.rows().zip(self.entries(0..index.len())).all(is_right)
    }

    /// Returns the number of images.
    pub fn images(&self) -> usize {
        self.summary.images
    }

    /// Returns the sum of the lengths of the images, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.summary.bytes
    }

    /// Returns the BLAKE3 of `B3SUMS`.
    pub fn dataset(&self) -> Digest {
        self.summary.sums.root()
    }

    /// Returns the shards that hold the images.
    pub fn shards(&self) -> &[ObjectRef] {
        &self.summary.shards
    }

    /// Returns which bytes of shards each split needs.
    pub fn extents(&self) -> &[Extent] {
        &self.summary.extents
    }

    /// Returns the images of each class in each split, in the order of the rows.
    pub fn runs(&self) -> &[Run] {
        &self.summary.runs
    }

    /// Returns the BLAKE3 of `classes.csv` in `B3SUMS`, where its line is the first.
    ///
    /// # Errors
    /// [`Error::Integrity`] if that part of the table is damaged.
    pub(crate) fn classes_blake3(&self) -> Result<Option<Digest>> {
        let length = 64 + 2 + CLASSES.len() as u64 + 1;
        if self.summary.lines_of(0).start < length || self.summary.sums.len() < length {
            return Ok(None);
        }
        let line = self.sums(0..length)?;
        Ok(line_of(&line).filter(|(path, _)| *path == CLASSES).map(|(_, blake3)| blake3))
    }

    /// Returns what the table says about an image.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is damaged there; [`Error::Internal`] if there is no such image.
    pub fn entry(&self, row: usize) -> Result<Entry> {
        let (record, line) = self.row(row, &self.read_row(row)?)?;
        self.entry_of(row, record, &self.sums(line)?)
    }

    /// As [`Table::entry`], without path and hash.
    ///
    /// # Errors
    /// As [`Table::entry`].
    pub fn record(&self, row: usize) -> Result<Record> {
        Ok(self.row(row, &self.read_row(row)?)?.0)
    }

    /// Returns what the table says about the images of these rows, in their order.
    pub fn entries(&self, rows: Range<usize>) -> impl Iterator<Item = Result<Entry>> {
        self.by_piece(rows, |piece, rows| {
            let lines = self.summary.lines_of(piece);
            let (text, bytes) = (self.sums(lines.clone())?, self.read_rows(piece, None)?);
            let entry = |row: usize| {
                let (record, line) =
                    self.row(row, bytes.chunks_exact(ROW).nth(row % ROWS).unwrap_or_default())?;
                // The rows of a piece were found to be those of these lines.
                let line = line.start.checked_sub(lines.start).zip(line.end.checked_sub(lines.start));
                let line = line.and_then(|(begin, end)| text.get(begin as usize..end as usize));
                self.entry_of(row, record, line.unwrap_or_default())
            };
            Ok(rows.map(entry).collect())
        })
    }

    /// As [`Table::entries`], without paths and hashes.
    pub fn records(&self, rows: Range<usize>) -> impl Iterator<Item = Result<Record>> {
        self.by_piece(rows, |piece, rows| {
            let bytes = self.read_rows(piece, None)?;
            let bytes = |row: usize| bytes.chunks_exact(ROW).nth(row % ROWS).unwrap_or_default();
            Ok(rows.map(|row| Ok(self.row(row, bytes(row))?.0)).collect())
        })
    }

    fn by_piece<T>(
        &self,
        rows: Range<usize>,
        read: impl Fn(usize, Range<usize>) -> Result<Vec<Result<T>>>,
    ) -> impl Iterator<Item = Result<T>> {
        (rows.start / ROWS..rows.end.div_ceil(ROWS)).flat_map(move |piece| {
            let its = self.summary.rows_of(piece);
            let its = its.start.max(rows.start)..its.end.min(rows.end);
            read(piece, its).unwrap_or_else(|e| vec![Err(e)])
        })
    }

    /// Passes its bytes to `out`, piece by piece.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it cannot be read; those of `out`.
    pub fn copy_to(&self, mut out: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let length = self.source.length().map_err(|e| self.refuse(format!("it cannot be read: {e}")))?;
        let mut at = 0;
        while at < length {
            let end = length.min(at + (1 << 20));
            out(&self.read(at..end)?)?;
            at = end;
        }
        Ok(())
    }

    fn refuse(&self, why: impl std::fmt::Display) -> Error {
        Error::integrity(&self.what, format!("is damaged: {why}"))
    }

    /// Returns the record of a row, and where its line is in `B3SUMS`.
    fn row(&self, row: usize, bytes: &[u8]) -> Result<(Record, Range<u64>)> {
        let [line_length, shard, width, height, length, frame_length] =
            [8, 12, 16, 20, 24, 28].map(|at| u32_at(bytes, at));
        let (begin, length) = (u64_at(bytes, 0), u64::from(length));
        let line = begin..begin.saturating_add(line_length.into());
        let (offset, frame_length) = (u64_at(bytes, 32), u64::from(frame_length));
        let frame = (shard != NOWHERE).then_some(FrameAt {
            shard,
            offset,
            length: frame_length,
            blake3: digest_at(bytes, 40),
        });
        if !matches!(self.checks, Checks::Needless) {
            let pixels = u64::from(width) * u64::from(height);
            // One that is damaged asks for no more memory than an image can need.
            let is_sane = |at: &FrameAt| {
                (at.shard as usize) < self.shards().len() && at.length <= max_frame_len(length)
            };
            if !(1..=MAX_PIXELS).contains(&pixels) {
                return Err(self.refuse(format!("image {row} has an impossible size")));
            }
            if length > MAX_IMAGE_LEN || !frame.as_ref().is_none_or(is_sane) {
                return Err(self.refuse(format!("image {row} has an impossible length")));
            }
        }
        Ok((Record { width, height, length, frame }, line))
    }

    fn entry_of(&self, row: usize, record: Record, line: &[u8]) -> Result<Entry> {
        let runs = self.runs();
        let run = runs.get(runs.partition_point(|run| run.rows.end as usize <= row));
        let is_its = |path: &str| {
            let name = run.and_then(|run| {
                let name = path.strip_prefix(run.split.as_str())?.strip_prefix('/')?;
                name.strip_prefix(run.class.as_str())?.strip_prefix('/')
            });
            name.is_some_and(|name| check_segment(name).is_ok())
        };
        let (path, blake3) = line_of(line)
            .filter(|(path, _)| is_its(path))
            .ok_or_else(|| self.refuse(format!("image {row} has no line of its class in B3SUMS")))?;
        Ok(Entry { path: path.into(), blake3, record })
    }

    fn read_row(&self, row: usize) -> Result<Vec<u8>> {
        if row >= self.images() {
            return Err(Error::Internal(format!("{} has no row {row}", self.what)));
        }
        let within = (row % ROWS * ROW) as u64;
        self.read_rows(row / ROWS, Some(within..within + ROW as u64))
    }

    /// Reads some bytes of a piece, or all.
    fn read_rows(&self, piece: usize, some: Option<Range<u64>>) -> Result<Vec<u8>> {
        let rows = self.summary.rows_of(piece);
        let begin = self.summary.rows_at() + (rows.start * ROW) as u64;
        let all = begin..begin + (rows.len() * ROW) as u64;
        let some = some.map_or(all.clone(), |some| begin + some.start..begin + some.end);
        let seen = match &self.checks {
            Checks::Needless => return self.read(some),
            Checks::Once { pieces, .. } => Some(pieces),
            Checks::Always => None,
        };
        self.read_checked(seen, piece..piece + 1, some, all, |bytes| self.check_piece(piece, bytes))
    }

    fn check_piece(&self, piece: usize, bytes: &[u8]) -> Result<()> {
        let is_right = self.summary.pieces.get(piece).is_some_and(|it| it.blake3 == Digest::of(bytes));
        let rows = self.summary.rows_of(piece);
        if !is_right {
            return Err(self.refuse(format!("rows {} to {} were changed", rows.start, rows.end)));
        }
        let lines = self.summary.lines_of(piece);
        let mut rows = bytes.chunks_exact(ROW);
        let end = rows.try_fold(lines.start, |end, row| {
            let length = Some(u64::from(u32_at(row, 8))).filter(|length| *length > 0);
            length.filter(|_| u64_at(row, 0) == end).and_then(|length| end.checked_add(length))
        });
        match end == Some(lines.end) {
            true => Ok(()),
            false => Err(self.refuse("its rows do not have all lines of B3SUMS")),
        }
    }

    /// Reads some bytes of `B3SUMS`.
    fn sums(&self, some: Range<u64>) -> Result<Vec<u8>> {
        let sums = &self.summary.sums;
        if some.end > sums.len() || some.is_empty() {
            return Err(self.refuse("it leads out of B3SUMS"));
        }
        let (around, at) = (sums.around(some.clone()), MAGIC.len() as u64);
        let groups = (around.start / GROUP) as usize..around.end.div_ceil(GROUP) as usize;
        let in_file = |bytes: &Range<u64>| at + bytes.start..at + bytes.end;
        let seen = match &self.checks {
            Checks::Needless => return self.read(in_file(&some)),
            Checks::Once { groups, .. } => Some(groups),
            Checks::Always => None,
        };
        let check = |text: &[u8]| {
            sums.check(&self.what, around.start, text).map(drop).map_err(|_| {
                self.refuse(format!("bytes {} to {} of B3SUMS were changed", around.start, around.end))
            })
        };
        self.read_checked(seen, groups, in_file(&some), in_file(&around), check)
    }

    /// Reads `some` bytes. If not all of `parts` were found right yet, reads all bytes `around`, which are
    /// those of these parts, and lets `check` check them.
    fn read_checked(
        &self,
        seen: Option<&Seen>,
        parts: Range<usize>,
        some: Range<u64>,
        around: Range<u64>,
        check: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<Vec<u8>> {
        if seen.is_some_and(|seen| seen.has(parts.clone())) {
            return self.read(some);
        }
        let mut bytes = self.read(around.clone())?;
        check(&bytes)?;
        seen.iter().for_each(|seen| seen.add(parts.clone()));
        bytes.truncate((some.end - around.start) as usize);
        bytes.drain(..(some.start - around.start) as usize);
        Ok(bytes)
    }

    fn read(&self, some: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (some.end - some.start) as usize];
        let read = self.source.read_at(some.start, &mut bytes);
        read.map(|()| bytes).map_err(|e| self.refuse(format!("it cannot be read: {e}")))
    }
}

impl Run {
    /// Whether its paths come before those of `other`.
    fn is_before(&self, other: &Run) -> bool {
        let folder = |run: &Run| format!("{}/{}/", run.split, run.class);
        folder(self) < folder(other)
    }
}

/// Returns path and hash of a whole line of `B3SUMS`.
fn line_of(line: &[u8]) -> Option<(&str, Digest)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n').filter(|line| !line.contains('\n'))?;
    let (blake3, path) = line.split_at_checked(64)?;
    Some((path.strip_prefix("  ")?, blake3.parse().ok()?))
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
