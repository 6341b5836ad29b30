//! Makes a table: of an index and packs, or of files of a tree.

use std::collections::BTreeMap;
use std::io;

use super::summary::{Piece, Summary, folder_of};
use super::{Extent, FrameAt, MAGIC, NOWHERE, ROW, ROWS, Run};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::{Images, Index};
use crate::object::ObjectRef;
use crate::pack::{Pack, placed};
use crate::shard::{MAX_IMAGE_LEN, max_frame_len};
use crate::sums::{Sums, TreeWriter};
use crate::tree::CLASSES;

/// How much is written at once, in bytes.
const PART: usize = 64 << 10;

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

    /// Returns the shards that hold the images, as in [`super::Table::shards`].
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

    /// Passes the bytes of a [`super::Table`] to `out`, piece by piece.
    ///
    /// # Errors
    /// [`Error::Integrity`] if `sums` does not have the images of the index; those of `out`.
    pub fn write(&self, sums: &Sums, out: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let rows =
            self.index.rows().map(|row| ((row.width(), row.height(), row.length()), self.frame(row.at())));
        write(("table", sums), &self.shards, rows, out)
    }
}

/// Writes a table of the images of `sums`, with these widths, heights, lengths and frames; `what` names them
/// in errors.
pub(super) fn write(
    (what, sums): (&str, &Sums),
    shards: &[ObjectRef],
    rows: impl ExactSizeIterator<Item = ((u32, u32, u64), Option<FrameAt>)>,
    mut out: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let images = sums.lines().filter(|line| line.path.as_str() != CLASSES).count();
    if rows.len() != images {
        return Err(Error::integrity(what, "has a different number of images than its list"));
    }
    out(MAGIC)?;
    let mut text = Hashed { out: &mut out, tree: TreeWriter::default(), failure: None };
    // What fails is in `text`.
    let _ = sums.write_to(&mut text);
    text.failure.map_or(Ok(()), Err)?;
    let (shards, pieces) = (shards.to_vec(), Vec::with_capacity(images.div_ceil(ROWS)));
    let (sums_tree, runs, extents) = (text.tree.finish(), Vec::new(), Vec::new());
    let mut summary = Summary { images, bytes: 0, shards, extents, runs, pieces, sums: sums_tree };
    let mut extents: BTreeMap<_, Extent> = BTreeMap::new();
    let (mut part, mut piece_at) = (Vec::with_capacity(PART + ROWS * ROW), 0);
    let (mut rows, mut folder, mut line, mut at) = (rows, String::new(), 0, 0);
    for image in sums.lines() {
        let path = image.path.as_str();
        let begin = line;
        line += 64 + 2 + path.len() as u64 + 1;
        if path == CLASSES {
            continue;
        }
        let Some(((width, height, length), frame)) = rows.next() else { break };
        let its = path.rsplit_once('/').unwrap_or_default().0;
        if summary.runs.is_empty() || its != folder {
            let (split, class) = folder_of(its.as_bytes()).ok_or_else(|| not_a_class(what, its))?;
            summary.runs.push(Run { split, class, rows: at..at });
            its.clone_into(&mut folder);
        }
        // There is one now.
        let Some(run) = summary.runs.last_mut() else { break };
        (at, run.rows.end) = (at + 1, at + 1);
        summary.bytes = summary.bytes.saturating_add(length);
        // Packs are not signed: a frame that cannot be the image's is none.
        let is_sane = |at: &FrameAt| {
            (at.shard as usize) < summary.shards.len()
                && at.length <= max_frame_len(length.min(MAX_IMAGE_LEN))
        };
        let nowhere = FrameAt { shard: NOWHERE, offset: 0, length: 0, blake3: Digest::of(b"") };
        let frame = frame.filter(is_sane).unwrap_or(nowhere);
        let bytes = frame.offset..frame.offset.saturating_add(frame.length);
        let (split, shard) = (run.split, frame.shard);
        let extent =
            extents.entry((split, shard)).or_insert_with(|| Extent { split, shard, bytes: bytes.clone() });
        extent.bytes = extent.bytes.start.min(bytes.start)..extent.bytes.end.max(bytes.end);
        if part.len() == piece_at {
            summary.pieces.push(Piece { blake3: nowhere.blake3, line: begin });
        }
        part.extend(begin.to_le_bytes());
        // What is too long for an image is refused when it is read.
        let (length, frame_length) = (length.min(u32::MAX.into()) as u32, frame.length as u32);
        let line_length = (line - begin) as u32;
        [line_length, frame.shard, width, height, length, frame_length]
            .iter()
            .for_each(|n| part.extend(n.to_le_bytes()));
        part.extend(frame.offset.to_le_bytes());
        part.extend(frame.blake3.as_bytes());
        if part.len() - piece_at == ROWS * ROW || at as usize == images {
            if let Some(piece) = summary.pieces.last_mut() {
                piece.blake3 = Digest::of(&part[piece_at..]);
            }
            if part.len() >= PART {
                out(&part)?;
                part.clear();
            }
            piece_at = part.len();
        }
    }
    out(&part)?;
    summary.extents = extents.into_values().collect();
    out(&summary.to_bytes())
}

/// The error for images in a folder that is not of a split and a class.
fn not_a_class(what: &str, folder: &str) -> Error {
    Error::integrity(what, format!("has images in {folder}: not a split and a class"))
}

/// A writer that passes on what is written, hashes it, and keeps the error.
struct Hashed<'o, F> {
    out: &'o mut F,
    tree: TreeWriter,
    failure: Option<Error>,
}

impl<F: FnMut(&[u8]) -> Result<()>> io::Write for Hashed<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.out)(bytes) {
            Ok(()) => self.tree.write_all(bytes).map(|()| bytes.len()),
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
