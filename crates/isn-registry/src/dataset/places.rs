//! Where images are: in shards, in files or in memory, which are read at an offset; or in files of trees.

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
use isn_format::table::FrameAt;

/// The maximum number of files kept open: a process may often have only 1,024 open, and others need most of
/// them.
const MOST_OPEN: usize = 256;

/// Shards, pieces and trees, and where in them each image of a selection is.
#[derive(Default)]
pub struct Places {
    sources: Vec<Source>,
    /// For each image, its source and the offset in it.
    at: Vec<(u32, u64)>,
    open: AtomicUsize,
    /// The cache that the pieces are in.
    cache: Option<Cache>,
    /// Whether the shards are those of a build.
    in_build: bool,
}

/// A byte range of a shard, or an image of a tree.
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
    /// An image of a tree.
    Image(PathBuf),
}

/// What was read of an image.
pub(super) enum Bytes<'b> {
    /// Its frame.
    Frame(&'b [u8]),
    /// Its file.
    Image(&'b [u8]),
}

impl Places {
    /// Finds where so many frames can be read, and returns the numbers of the frames that are nowhere.
    /// `frame` returns `None` for one that no pack contains. `at_hand` returns where a whole shard is; other
    /// shards are looked for in the cache.
    pub fn find(
        shards: &[ObjectRef],
        count: usize,
        frame: impl Fn(usize) -> Option<FrameAt>,
        at_hand: impl Fn(&ObjectRef) -> Option<AtHand>,
        cache: Option<&Cache>,
    ) -> (Places, Vec<usize>) {
        let at = vec![(0, 0); count];
        let mut places = Places { cache: cache.cloned(), at, ..Places::default() };
        let missing = places.look(shards, frame, 0..count, at_hand, cache);
        (places, missing)
    }

    /// As [`Places::find`], for some of the frames, by number. The others keep their places.
    pub fn look(
        &mut self,
        shards: &[ObjectRef],
        frame: impl Fn(usize) -> Option<FrameAt>,
        numbers: impl IntoIterator<Item = usize>,
        at_hand: impl Fn(&ObjectRef) -> Option<AtHand>,
        cache: Option<&Cache>,
    ) -> Vec<usize> {
        // The sources of each shard, sorted by start.
        let mut known: Vec<Option<Vec<u32>>> = vec![None; shards.len()];
        let (mut missing, mut last) = (Vec::new(), 0u32);
        for number in numbers {
            let frame = frame(number);
            let shard = frame.and_then(|frame| shards.get(frame.shard as usize));
            let (Some(frame), Some(shard)) = (frame, shard) else {
                missing.push(number);
                continue;
            };
            let sources = &mut known[frame.shard as usize];
            let sources = sources.get_or_insert_with(|| self.add(shard, &at_hand, cache));
            let end = frame.offset.saturating_add(frame.length);
            let has = |&source: &u32| {
                let source = &self.sources[source as usize];
                source.start <= frame.offset && end <= source.end
            };
            // Neighbouring frames are mostly in the same file.
            let found = Some(last).filter(|last| sources.contains(last) && has(last));
            match found.or_else(|| sources.iter().copied().find(has)) {
                Some(source) => {
                    last = source;
                    self.at[number] = (source, frame.offset - self.sources[source as usize].start);
                }
                None => missing.push(number),
            }
        }
        missing
    }

    fn add(
        &mut self,
        shard: &ObjectRef,
        at_hand: &impl Fn(&ObjectRef) -> Option<AtHand>,
        cache: Option<&Cache>,
    ) -> Vec<u32> {
        let first = self.sources.len() as u32;
        let file = |path, is_piece| Kind::File { path, is_piece, open: RwLock::default() };
        match at_hand(shard) {
            Some(AtHand::Memory(bytes)) => {
                self.sources.push(Source { kind: Kind::Memory(bytes), start: 0, end: bytes.len() as u64 });
            }
            Some(AtHand::File(path)) => {
                self.sources.push(Source { kind: file(path, false), start: 0, end: shard.length });
            }
            None => {
                for piece in cache.map(|cache| cache.pieces(&shard.blake3)).unwrap_or_default() {
                    // The cache keeps longest what was used last.
                    let _ = cache.map(|cache| cache.used(&piece));
                    let (start, end) = (piece.range.start, piece.range.end);
                    self.sources.push(Source { kind: file(piece.path, true), start, end });
                }
            }
        }
        (first..self.sources.len() as u32).collect()
    }

    /// The places of images that are files.
    pub fn of_files(paths: impl IntoIterator<Item = PathBuf>) -> Places {
        let source = |path| Source { kind: Kind::Image(path), start: 0, end: u64::MAX };
        let sources: Vec<Source> = paths.into_iter().map(source).collect();
        let at = (0..sources.len() as u32).map(|source| (source, 0)).collect();
        Places { sources, at, ..Places::default() }
    }

    /// Makes an image the file of a tree.
    pub(crate) fn set_file(&mut self, image: usize, path: PathBuf) {
        let source = self.sources.len() as u32;
        if let Some(at) = self.at.get_mut(image) {
            *at = (source, 0);
            self.sources.push(Source { kind: Kind::Image(path), start: 0, end: u64::MAX });
        }
    }

    /// Reads an image's frame of `frame` bytes, or its file of `length` bytes, into `buffer`.
    pub(super) fn read<'b>(
        &self,
        image: usize,
        frame: Option<u64>,
        length: u64,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Bytes<'b>> {
        let place =
            self.at.get(image).and_then(|&(source, at)| Some((self.sources.get(source as usize)?, at)));
        let nowhere = || Error::Internal(format!("image {image} has no place"));
        let (source, at) = place.ok_or_else(nowhere)?;
        if let Kind::Image(path) = &source.kind {
            let wrong = |has: u64| {
                Error::integrity(in_tree(path), format!("has {has} bytes, the index says {length}"))
                    .at(At::Tree)
            };
            let mut file = files::open(path)?;
            buffer.clear();
            // One byte more than expected, so that a longer file is noticed.
            let read = file.by_ref().take(length.saturating_add(1)).read_to_end(buffer);
            return match read.map_err(Error::io("read", path))? as u64 {
                has if has == length => Ok(Bytes::Image(buffer)),
                has => Err(wrong(has)),
            };
        }
        let length = frame.ok_or_else(nowhere)? as usize;
        match &source.kind {
            Kind::Memory(bytes) => {
                let frame = bytes.get(at as usize..).and_then(|rest| rest.get(..length));
                frame.map(Bytes::Frame).ok_or_else(|| Error::Internal("a frame outside of its shard".into()))
            }
            Kind::File { path, is_piece, open } => {
                if buffer.len() < length {
                    buffer.resize(length, 0);
                }
                let buffer = &mut buffer[..length];
                self.read_file(path, *is_piece, open, at, buffer)?;
                Ok(Bytes::Frame(buffer))
            }
            Kind::Image(_) => Err(nowhere()),
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
            read_at(file, at, buffer).map_err(|e| match e.kind() {
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
    pub(super) fn piece(&self, image: usize) -> Option<&Path> {
        let source = self.at.get(image).and_then(|&(source, _)| self.sources.get(source as usize));
        match &source?.kind {
            Kind::File { path, is_piece: true, .. } => Some(path),
            _ => None,
        }
    }

    /// The error for wrong bytes of an image; it names the file that they are from.
    pub(super) fn fault(&self, image: usize, why: &str) -> Error {
        let source = self.at.get(image).and_then(|&(source, _)| self.sources.get(source as usize));
        match source.map(|source| &source.kind) {
            Some(Kind::File { path, is_piece, .. }) => {
                Error::integrity(in_shard(path), why).at(self.whose(*is_piece))
            }
            Some(Kind::Image(path)) => Error::integrity(in_tree(path), why).at(At::Tree),
            _ => Error::integrity("shard of the bundled registry", why).at(At::Registry),
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

#[cfg(unix)]
fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (at, buffer) = (at + read as u64, &mut buffer[read..]),
        }
    }
    Ok(())
}
