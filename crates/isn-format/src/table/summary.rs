//! [`Summary`]: what of a table is read when it is opened.

use std::ops::Range;

use super::{Extent, MAGIC, NOWHERE, ROW, ROWS, Run, digest_at, u32_at, u64_at};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::object::ObjectRef;
use crate::split::Split;
use crate::sums::SumsTree;

/// The length of what follows the summary: its length and the BLAKE3 of both, in bytes.
pub(super) const END: usize = 8 + 32;
const COUNTS: usize = 5 * 8;
const SHARD: usize = 32 + 8;
const EXTENT: usize = 4 + 4 + 8 + 8;
const PIECE: usize = 32 + 8;

/// The last part of a table.
pub(super) struct Summary {
    /// The number of images.
    pub(super) images: usize,
    /// The sum of the lengths of the images, in bytes.
    pub(super) bytes: u64,
    pub(super) shards: Vec<ObjectRef>,
    pub(super) extents: Vec<Extent>,
    pub(super) runs: Vec<Run>,
    pub(super) pieces: Vec<Piece>,
    pub(super) sums: SumsTree,
}

/// Some [`ROWS`] rows that are read and checked together.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) blake3: Digest,
    /// Where the line of its first row begins in `B3SUMS`.
    pub(super) line: u64,
}

impl Summary {
    /// The maximum stored length of the summary of so many images in as many shards, in bytes.
    pub(super) fn max_len(images: u64) -> u64 {
        images.saturating_add(1).saturating_mul(512).saturating_add(4096)
    }

    /// Where the rows begin in a table.
    pub(super) fn rows_at(&self) -> u64 {
        MAGIC.len() as u64 + self.sums.len()
    }

    /// The rows of a piece.
    pub(super) fn rows_of(&self, piece: usize) -> Range<usize> {
        piece * ROWS..((piece + 1) * ROWS).min(self.images)
    }

    /// The lines of a piece in `B3SUMS`.
    pub(super) fn lines_of(&self, piece: usize) -> Range<u64> {
        let end = self.pieces.get(piece + 1).map_or(self.sums.len(), |next| next.line);
        self.pieces.get(piece).map_or(end, |piece| piece.line)..end
    }

    /// Returns the end of a table: the summary, and what confirms it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let counts = [self.images, self.shards.len(), self.extents.len(), self.runs.len()].map(|n| n as u64);
        let mut bytes = Vec::new();
        counts.iter().chain([&self.bytes]).for_each(|n| bytes.extend(n.to_le_bytes()));
        for shard in &self.shards {
            bytes.extend(shard.blake3.as_bytes());
            bytes.extend(shard.length.to_le_bytes());
        }
        for extent in &self.extents {
            let split = Split::ALL.iter().position(|split| *split == extent.split).unwrap_or_default();
            [split as u32, extent.shard].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
            [extent.bytes.start, extent.bytes.end].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        }
        for run in &self.runs {
            bytes.extend((run.rows.len() as u32).to_le_bytes());
            bytes.extend(format!("{}/{}\n", run.split, run.class).as_bytes());
        }
        for piece in &self.pieces {
            bytes.extend(piece.blake3.as_bytes());
            bytes.extend(piece.line.to_le_bytes());
        }
        bytes.extend(self.sums.to_bytes());
        bytes.extend((bytes.len() as u64).to_le_bytes());
        let digest = Digest::of(&bytes);
        bytes.extend(digest.as_bytes());
        bytes
    }

    /// Reads the end of a table of `length` bytes; `what` names it in errors.
    pub(super) fn parse(what: &str, bytes: &[u8], length: u64) -> Result<Self> {
        let refuse = |why: &str| Error::integrity(what, format!("is damaged: {why}"));
        let short = || refuse("it is too short");
        let body = bytes.len().checked_sub(END).ok_or_else(short)?;
        let (rest, digest) = bytes.split_at(body + 8);
        if Digest::of(rest).as_bytes() != digest || u64_at(rest, body) != body as u64 {
            return Err(refuse("its BLAKE3 does not match its contents"));
        }
        let mut rest = &rest[..body];
        let counts = take(&mut rest, COUNTS).ok_or_else(short)?;
        let count = |at: usize| usize::try_from(u64_at(counts, at * 8)).unwrap_or(usize::MAX);
        let (images, bytes) = (count(0), u64_at(counts, 32));
        if u32::try_from(images).is_err() {
            return Err(refuse("it has too many images"));
        }
        let shards = take_many(&mut rest, count(1), SHARD).ok_or_else(short)?;
        let shard = |bytes: &[u8]| ObjectRef { blake3: digest_at(bytes, 0), length: u64_at(bytes, 32) };
        let shards: Vec<ObjectRef> = shards.map(shard).collect();
        let extents = take_many(&mut rest, count(2), EXTENT).ok_or_else(short)?;
        let extents = extents.map(|bytes| {
            let shard = u32_at(bytes, 4);
            let is_known = shard == NOWHERE || (shard as usize) < shards.len();
            let split = Split::ALL.get(u32_at(bytes, 0) as usize).copied().filter(|_| is_known)?;
            Some(Extent { split, shard, bytes: u64_at(bytes, 8)..u64_at(bytes, 16) })
        });
        let extents: Vec<Extent> =
            extents.collect::<Option<_>>().ok_or_else(|| refuse("it has frames in no shard"))?;
        let mut runs: Vec<Run> = Vec::new();
        for _ in 0..count(3) {
            let images = take(&mut rest, 4).map(|bytes| u32_at(bytes, 0)).ok_or_else(short)?;
            let end = memchr::memchr(b'\n', rest).ok_or_else(short)?;
            let folder = take(&mut rest, end + 1).ok_or_else(short)?;
            let begin = runs.last().map_or(0, |run| run.rows.end);
            let run = folder_of(&folder[..end]).zip(begin.checked_add(images));
            let run = run.map(|((split, class), end)| Run { split, class, rows: begin..end });
            match (run, runs.last()) {
                (Some(run), last) if last.is_none_or(|last| last.is_before(&run)) && images > 0 => {
                    runs.push(run);
                }
                _ => return Err(refuse("its classes are out of order")),
            }
        }
        let pieces = take_many(&mut rest, images.div_ceil(ROWS), PIECE).ok_or_else(short)?;
        let pieces = pieces.map(|bytes| Piece { blake3: digest_at(bytes, 0), line: u64_at(bytes, 32) });
        let (pieces, sums) = (pieces.collect(), SumsTree::read(what, rest)?);
        let summary = Summary { images, bytes, shards, extents, runs, pieces, sums };
        let rows_end = summary.rows_at() + (images * ROW) as u64;
        if summary.runs.last().map_or(0, |run| run.rows.end as usize) != images
            || rows_end + (body + END) as u64 != length
            || (0..summary.pieces.len()).any(|piece| summary.lines_of(piece).is_empty())
        {
            return Err(refuse("it has a different number of images"));
        }
        Ok(summary)
    }
}

/// Returns the split and the class of a folder of images.
pub(super) fn folder_of(folder: &[u8]) -> Option<(Split, crate::class::ClassId)> {
    let (split, class) = std::str::from_utf8(folder).ok()?.split_once('/')?;
    Some((split.parse().ok()?, class.parse().ok()?))
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_many<'b>(rest: &mut &'b [u8], count: usize, each: usize) -> Option<std::slice::ChunksExact<'b, u8>> {
    Some(take(rest, count.checked_mul(each)?)?.chunks_exact(each))
}
