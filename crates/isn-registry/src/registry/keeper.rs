//! [`Keeper`]: keeps the bytes of a request in the cache.

use std::sync::Arc;

use super::Registry;
use super::segment::{MAX_GAP, MAX_REQUEST};
use crate::cache::{Fate, NewPiece};
use isn_format::digest::Digest;
use isn_format::error::chain;

/// Keeps the wanted frames of a shard in the cache, if there is one, with the bytes between near ones. A
/// cache that is full or read-only costs time later, but is no error here.
pub(super) struct Keeper<'a> {
    registry: &'a Registry,
    shard: Digest,
    piece: Option<NewPiece>,
    /// Where the piece begins in the shard, where the last frame in it ends, and where the bytes in it end.
    start: u64,
    frames_end: u64,
    end: u64,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(registry: &'a Registry, shard: Digest) -> Self {
        Keeper { registry, shard, piece: None, start: 0, frames_end: 0, end: 0 }
    }

    /// Takes bytes that begin at `offset`, before the frame that begins at `next`. Those of a wide gap, which
    /// only a server sends that ignores ranges, are not kept: nobody asked for so much of the disk.
    pub(super) fn gap(&mut self, offset: u64, bytes: &[u8], next: u64) {
        if offset == self.end && next - self.frames_end <= MAX_GAP {
            self.write(bytes);
        }
    }

    /// Takes the frame at `offset`. A piece is at most about as long as the longest request, so that one bad
    /// frame or a kill costs no more than that.
    pub(super) fn frame(&mut self, offset: u64, bytes: &[u8]) {
        if offset != self.end || offset - self.start >= MAX_REQUEST || self.frames_end == 0 {
            let piece = self.registry.keeping().map(|cache| cache.new_piece(&self.shard, offset));
            self.piece = piece.and_then(|piece| piece.map_err(|e| self.registry.note_unkept(chain(&e))).ok());
            (self.start, self.end) = (offset, offset);
        }
        self.write(bytes);
        self.frames_end = self.end;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        if let Some(Err(e)) = self.piece.as_mut().map(|piece| piece.write(bytes)) {
            self.registry.note_unkept(e.to_string());
            self.piece = None;
        }
    }

    /// The handle that decides whether the piece of the last frame is kept.
    pub(super) fn fate(&self) -> Option<Arc<Fate>> {
        self.piece.as_ref().map(NewPiece::fate)
    }
}
