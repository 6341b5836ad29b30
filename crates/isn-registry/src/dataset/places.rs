//! Where images are: in shards, in files or in memory, which are read at an offset; or in files of trees.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cache::{Cache, Piece};
use crate::files;
use crate::transport::AtHand;
use crate::transport::folder::unreadable;
use isn_format::error::{At, Error, Result};
use isn_format::object::ObjectRef;
use isn_format::table::{Extent, FrameAt, ReadAt as _, Record};

/// The maximum number of files kept open: a process may often have only 1,024 open, and others need most of
/// them.
const MOST_OPEN: usize = 256;

/// Shards, pieces and trees, in which the images of a selection are.
#[derive(Default)]
pub struct Places {
    /// What is at hand of each shard of the table, sorted by start.
    shards: Vec<Vec<Source>>,
    /// The images that are files of a tree.
    files: HashMap<usize, PathBuf>,
    open: AtomicUsize,
    /// The cache that the pieces are in.
    cache: Option<Cache>,
    /// Whether the shards are those of a build.
    in_build: bool,
}

/// A byte range of a shard.
struct Source {
    kind: Kind,
    /// The range.
    start: u64,
    end: u64,
}

enum Kind {
    Memory(&'static [u8]),
    File {
        path: PathBuf,
        /// Whether it is a piece of the cache; otherwise it is a whole shard.
        is_piece: bool,
        open: RwLock<Option<File>>,
    },
}

/// Where an image is.
enum Place<'p> {
    /// In a file of a tree.
    Image(&'p Path),
    /// In a part of a shard, from this byte of the part on.
    Frame(&'p Source, u64),
}

/// What was read of an image.
pub(super) enum Bytes<'b> {
    /// Its frame.
    Frame(&'b [u8]),
    /// Its file.
    Image(&'b [u8]),
}

impl Places {
    /// Finds where frames can be read, and returns the numbers of the frames that are nowhere. `frames` has
    /// `None` for one that no pack contains. `at_hand` returns where a whole shard is; other shards are
    /// looked for in the cache.
    ///
    /// # Errors
    /// The first of `frames`.
    pub fn find(
        shards: &[ObjectRef],
        frames: impl Iterator<Item = Result<Option<FrameAt>>>,
        at_hand: impl Fn(&ObjectRef) -> Option<AtHand>,
        cache: Option<&Cache>,
    ) -> Result<(Places, Vec<usize>)> {
        let mut places = Places { cache: cache.cloned(), ..Places::default() };
        let missing = places.look(shards, frames.enumerate(), at_hand, cache)?;
        Ok((places, missing))
    }

    /// As [`Places::find`], for some of the frames, by number. The others keep their places.
    ///
    /// # Errors
    /// As [`Places::find`].
    pub fn look(
        &mut self,
        shards: &[ObjectRef],
        frames: impl Iterator<Item = (usize, Result<Option<FrameAt>>)>,
        at_hand: impl Fn(&ObjectRef) -> Option<AtHand>,
        cache: Option<&Cache>,
    ) -> Result<Vec<usize>> {
        let (mut missing, mut is_known) = (Vec::new(), vec![false; shards.len()]);
        for (number, frame) in frames {
            let frame = frame?;
            if let Some((frame, shard)) = frame.and_then(|at| Some((at, shards.get(at.shard as usize)?))) {
                if !std::mem::replace(&mut is_known[frame.shard as usize], true) {
                    self.add((frame.shard, shard), &at_hand, cache);
                }
                if self.source(&frame).is_some() {
                    continue;
                }
            }
            missing.push(number);
        }
        Ok(missing)
    }

    /// Finds where all frames within these bytes of shards can be read. Returns `None` if a part of them is
    /// nowhere: then frames must be looked for one by one. A piece of the cache has whole frames.
    pub fn covering<'t>(
        shards: &[ObjectRef],
        extents: impl Iterator<Item = &'t Extent>,
        at_hand: impl Fn(&ObjectRef) -> Option<AtHand>,
        cache: Option<&Cache>,
    ) -> Option<Places> {
        let mut places = Places { cache: cache.cloned(), ..Places::default() };
        let mut is_known = vec![false; shards.len()];
        for Extent { shard: number, bytes, .. } in extents {
            let shard = shards.get(*number as usize)?;
            if !std::mem::replace(&mut is_known[*number as usize], true) {
                places.add((*number, shard), &at_hand, cache);
            }
            let covered = places.shards[*number as usize]
                .iter()
                .fold(bytes.start, |end, source| if source.start <= end { end.max(source.end) } else { end });
            if covered < bytes.end {
                return None;
            }
        }
        Some(places)
    }

    fn add(
        &mut self,
        (number, shard): (u32, &ObjectRef),
        at_hand: &impl Fn(&ObjectRef) -> Option<AtHand>,
        cache: Option<&Cache>,
    ) {
        let number = number as usize;
        if self.shards.len() <= number {
            self.shards.resize_with(number + 1, Vec::new);
        }
        let sources = &mut self.shards[number];
        let file = |path, is_piece| Kind::File { path, is_piece, open: RwLock::default() };
        match at_hand(shard) {
            Some(AtHand::Memory(bytes)) => {
                sources.push(Source { kind: Kind::Memory(bytes), start: 0, end: bytes.len() as u64 });
            }
            Some(AtHand::File(path)) => {
                sources.push(Source { kind: file(path, false), start: 0, end: shard.length });
            }
            None => {
                for piece in cache.map(|cache| cache.pieces(&shard.blake3)).unwrap_or_default() {
                    // The cache keeps longest what was used last.
                    let _ = cache.map(|cache| cache.used(&piece));
                    let (start, end) = (piece.range.start, piece.range.end);
                    sources.push(Source { kind: file(piece.path, true), start, end });
                }
            }
        }
        sources.sort_by_key(|source| source.start);
    }

    /// The places of images that are files.
    pub fn of_files(paths: impl IntoIterator<Item = PathBuf>) -> Places {
        Places { files: paths.into_iter().enumerate().collect(), ..Places::default() }
    }

    /// Makes an image the file of a tree.
    pub(crate) fn set_file(&mut self, image: usize, path: PathBuf) {
        self.files.insert(image, path);
    }

    fn source(&self, frame: &FrameAt) -> Option<&Source> {
        let sources = self.shards.get(frame.shard as usize)?;
        let end = frame.offset.saturating_add(frame.length);
        let before = sources.partition_point(|source| source.start <= frame.offset);
        sources[..before].iter().rev().find(|source| end <= source.end)
    }

    fn place(&self, image: usize, frame: Option<&FrameAt>) -> Option<Place<'_>> {
        if let Some(path) = self.files.get(&image) {
            return Some(Place::Image(path));
        }
        let (source, frame) = frame.and_then(|frame| Some((self.source(frame)?, frame)))?;
        Some(Place::Frame(source, frame.offset - source.start))
    }

    /// Reads an image's frame, or its file, into `buffer`.
    pub(super) fn read<'b>(
        &self,
        image: usize,
        record: &Record,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Bytes<'b>> {
        let frame = record.frame.as_ref();
        match self.place(image, frame) {
            Some(Place::Image(path)) => read_image(path, record.length, buffer).map(Bytes::Image),
            Some(Place::Frame(source, at)) => {
                let length = frame.map_or(0, |frame| frame.length) as usize;
                match &source.kind {
                    Kind::Memory(bytes) => {
                        let frame = bytes.get(at as usize..).and_then(|rest| rest.get(..length));
                        let outside = || Error::Internal("a frame outside of its shard".into());
                        frame.map(Bytes::Frame).ok_or_else(outside)
                    }
                    Kind::File { path, is_piece, open } => {
                        if buffer.len() < length {
                            buffer.resize(length, 0);
                        }
                        let buffer = &mut buffer[..length];
                        self.read_file(path, *is_piece, open, at, buffer)?;
                        Ok(Bytes::Frame(buffer))
                    }
                }
            }
            // What was looked at when it was opened said that it is there.
            None => {
                Err(Error::integrity("the cache's table", "leads to bytes that are nowhere").at(At::Cache))
            }
        }
    }

    fn read_file(
        &self,
        path: &Path,
        is_piece: bool,
        open: &RwLock<Option<File>>,
        at: u64,
        buffer: &mut [u8],
    ) -> Result<()> {
        let read = |file: &File, buffer: &mut [u8]| {
            file.read_at(at, buffer).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => {
                    Error::integrity(in_shard(path), "ends too early").at(self.whose(is_piece))
                }
                _ if is_piece && !files::is_out_of_files(&e) => {
                    Error::integrity(in_shard(path), format!("cannot be read: {e}")).at(At::Cache)
                }
                _ if is_piece => Error::io("read", path)(e),
                _ => unreadable(path, Error::io("read", path)(e)),
            })
        };
        // After a fork, a thread that no longer exists may hold the lock, so neither this nor the write below
        // waits.
        if let Ok(kept) = open.try_read()
            && let Some(file) = &*kept
        {
            return read(file, buffer);
        }
        let file = match is_piece {
            true => Piece::open_file(path).map_err(|e| match e {
                // Set aside by another thread, or removed by `isn cache`, since the dataset was opened.
                Error::NotFound { .. } => {
                    Error::integrity(in_shard(path), "was removed from the cache").at(At::Cache)
                }
                e => e,
            })?,
            false => files::open(path).map_err(|e| unreadable(path, e))?,
        };
        read(&file, buffer)?;
        if self.open.load(Ordering::Relaxed) < MOST_OPEN
            && let Ok(mut kept) = open.try_write()
            && kept.replace(file).is_none()
        {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Says that the shards are those of a build.
    pub fn of_build(self) -> Places {
        Places { in_build: true, ..self }
    }

    /// Returns whose bytes those of a shard, or of a piece of one, are.
    fn whose(&self, is_piece: bool) -> At {
        match (is_piece, self.in_build) {
            (true, _) => At::Cache,
            (false, true) => At::Build,
            (false, false) => At::Registry,
        }
    }

    /// The cache that the pieces are in.
    pub(super) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// The path of the piece that an image is read from, if it is read from one.
    pub(super) fn piece(&self, image: usize, frame: Option<&FrameAt>) -> Option<&Path> {
        match self.place(image, frame)? {
            Place::Frame(Source { kind: Kind::File { path, is_piece: true, .. }, .. }, _) => Some(path),
            _ => None,
        }
    }

    /// The error for wrong bytes of an image; it names the file that they are from.
    pub(super) fn fault(&self, image: usize, frame: Option<&FrameAt>, why: &str) -> Error {
        match self.place(image, frame) {
            Some(Place::Frame(Source { kind: Kind::File { path, is_piece, .. }, .. }, _)) => {
                Error::integrity(in_shard(path), why).at(self.whose(*is_piece))
            }
            Some(Place::Image(path)) => Error::integrity(in_tree(path), why).at(At::Tree),
            _ => Error::integrity("shard of the bundled registry", why).at(At::Registry),
        }
    }
}

/// Reads an image of a tree, which must have this length.
fn read_image<'b>(path: &Path, length: u64, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
    let mut file = files::open(path)?;
    buffer.clear();
    // One byte more than expected, so that a longer file is noticed.
    let read = file.by_ref().take(length.saturating_add(1)).read_to_end(buffer);
    match read.map_err(Error::io("read", path))? as u64 {
        has if has == length => Ok(buffer),
        has => {
            let why = format!("has {has} bytes, the index says {length}");
            Err(Error::integrity(in_tree(path), why).at(At::Tree))
        }
    }
}

/// A shard, or a piece of one, for messages.
fn in_shard(path: &Path) -> String {
    format!("shard {}", path.display())
}

/// What begins the name of an image of a tree in messages, before its path.
pub const IN_TREE: &str = "in a tree, ";

/// An image of a tree, for messages.
fn in_tree(path: &Path) -> String {
    format!("{IN_TREE}{}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::digest::Digest;
    use isn_format::split::Split;

    fn frame(shard: u32, bytes: std::ops::Range<u64>) -> FrameAt {
        FrameAt { shard, offset: bytes.start, length: bytes.end - bytes.start, blake3: Digest::of(b"") }
    }

    #[test]
    fn whole_splits_are_at_hand_if_all_bytes_between_their_frames_are() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().join("cache"));
        let shards: Vec<ObjectRef> = [&b"in memory"[..], b"in pieces", b"nowhere"]
            .map(|name| ObjectRef { blake3: Digest::of(name), length: 1000 })
            .into();
        for (start, length) in [(300, 200), (0, 100), (100, 150), (90, 20)] {
            let mut piece = cache.new_piece(&shards[1].blake3, start).unwrap();
            piece.write(&vec![start as u8; length]).unwrap();
        }
        let at_hand = |shard: &ObjectRef| (*shard == shards[0]).then_some(AtHand::Memory(&[7; 1000]));
        let covering = |extents: &[(u32, std::ops::Range<u64>)]| {
            let extents: Vec<Extent> = extents
                .iter()
                .map(|(shard, bytes)| Extent { split: Split::Val, shard: *shard, bytes: bytes.clone() })
                .collect();
            Places::covering(&shards, extents.iter(), at_hand, Some(&cache))
        };
        let places = covering(&[(0, 0..1000), (1, 0..250), (1, 310..500), (0, 5..6)]).unwrap();
        let mut buffer = Vec::new();
        for (frame, byte) in [
            (frame(0, 10..20), 7),
            (frame(1, 20..100), 0),
            (frame(1, 100..110), 100),
            (frame(1, 240..250), 100),
            (frame(1, 300..500), 300u64 as u8),
            (frame(1, 95..105), 90),
        ] {
            let record = Record { width: 1, height: 1, length: 1, frame: Some(frame) };
            let Bytes::Frame(read) = places.read(3, &record, &mut buffer).unwrap() else { panic!() };
            assert_eq!(read, vec![byte; frame.length as usize]);
        }
        // What an extent promised is not there: the table lied.
        for frame in [frame(1, 200..301), frame(2, 0..1), frame(9, 0..1)] {
            let record = Record { width: 1, height: 1, length: 1, frame: Some(frame) };
            let error = places.read(3, &record, &mut buffer).map(drop).unwrap_err();
            assert!(matches!(error, Error::Integrity { at: At::Cache, .. }), "{error:?}");
        }
        for missing in [(0, 0..1001), (1, 0..251), (1, 240..310), (1, 299..400), (2, 0..1), (u32::MAX, 0..0)]
        {
            assert!(covering(&[(0, 0..1000), missing.clone()]).is_none(), "{missing:?}");
        }
        let frames = [frame(0, 0..10), frame(1, 240..260), frame(1, 0..5), frame(2, 0..5)];
        let frames = frames.into_iter().map(Some).chain([None]).map(Ok);
        let (_, missing) = Places::find(&shards, frames, at_hand, Some(&cache)).unwrap();
        assert_eq!(missing, [1, 3, 4]);
    }
}
