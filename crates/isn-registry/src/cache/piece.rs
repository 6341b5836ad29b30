//! Pieces of shards: the byte ranges that requests fetched.

use std::fs::File;
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::MAX_METADATA;
use super::{Cache, PIECES};
use crate::files::{self, Below};
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result};

/// A byte range of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which bytes of the shard.
    pub range: Range<u64>,
    /// The BLAKE3 of these bytes.
    pub(super) blake3: Digest,
    /// The path of the file.
    pub path: PathBuf,
}

impl Piece {
    /// Returns the piece at a path; `None` if the path is not that of a piece.
    pub(super) fn at(path: PathBuf) -> Option<Piece> {
        let name = path.file_name()?.to_str()?;
        let mut parts = name.splitn(3, '-');
        let (start, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let blake3 = parts.next()?.parse().ok()?;
        (start < end).then_some(Piece { range: start..end, blake3, path })
    }

    /// Opens the file at byte `start` of the shard.
    ///
    /// # Errors
    /// As `Piece::open_file`.
    pub fn open(&self, start: u64) -> Result<File> {
        let mut file = Piece::open_file(&self.path)?;
        file.seek(SeekFrom::Start(start - self.range.start)).map_err(Error::io("read", &self.path))?;
        Ok(file)
    }

    /// Opens the file of a piece.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is gone; [`Error::Foreign`] if it is not a regular file; [`Error::Io`] if it
    /// cannot be opened.
    pub(crate) fn open_file(path: &Path) -> Result<File> {
        files::open_nofollow(path)?
            .ok_or_else(|| Error::not_found(Missing::File, path.display(), "the cache"))
    }

    /// Whether it is a regular file of the length in its name.
    fn is_file(&self) -> bool {
        self.path.symlink_metadata().is_ok_and(|about| about.is_file() && about.len() == self.length())
    }

    /// Whether its bytes do not match its name.
    pub(crate) fn is_damaged(&self) -> bool {
        !Piece::open_file(&self.path).is_ok_and(|file| self.is_whole(file).unwrap_or(false))
    }

    /// The length in its name, in bytes.
    fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether the bytes of `file` match its name. A file of another length, or longer than any shard, is not
    /// read.
    pub(super) fn is_whole(&self, file: File) -> io::Result<bool> {
        let length = self.length();
        Ok(length <= MAX_METADATA
            && file.metadata()?.len() == length
            && hash(file, length)? == Some(self.blake3))
    }
}

/// Hashes a file; `None` if it has grown beyond `longest` bytes.
pub(super) fn hash(file: File, longest: u64) -> io::Result<Option<Digest>> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(longest.saturating_add(1)))?;
    Ok((hasher.count() <= longest).then(|| Digest::of_hasher(&hasher)))
}

impl Cache {
    fn pieces_of(&self, shard: &Digest) -> PathBuf {
        let hex = shard.to_string();
        self.root().join(PIECES).join(&hex[..2]).join(hex)
    }

    /// Returns the pieces of a shard, sorted by range. Sets aside what is not a regular file, or does not
    /// have the length in its name.
    pub fn pieces(&self, shard: &Digest) -> Vec<Piece> {
        let folder = self.pieces_of(shard);
        let is_there = Below::find(self.root(), &folder).is_ok_and(|found| found.is_some());
        let names = if is_there { files::names_in(&folder).unwrap_or_default() } else { Vec::new() };
        let mut pieces: Vec<Piece> =
            names.into_iter().filter_map(|name| Piece::at(folder.join(name))).collect();
        pieces.retain(|piece| {
            let is_file = piece.is_file();
            if !is_file {
                self.set_aside(&piece.path);
            }
            is_file
        });
        pieces.sort_by_key(|piece| (piece.range.start, piece.range.end));
        pieces
    }

    /// Sets aside the piece at `path`, which gave wrong bytes, if its bytes do not match its name, or if
    /// `is_wrong`: somebody then gave a wrong file that name. Returns whether it was set aside; if not, the
    /// piece may be right, and the pack that led to it wrong.
    pub(crate) fn set_aside_piece(&self, path: &Path, is_wrong: bool) -> bool {
        let is_wrong = is_wrong || Piece::at(path.to_path_buf()).is_none_or(|piece| piece.is_damaged());
        if is_wrong {
            self.set_aside(path);
        }
        is_wrong
    }

    /// Marks a piece as used.
    pub fn used(&self, piece: &Piece) {
        self.mark_used(&piece.path);
    }

    /// Begins a piece for the bytes of a shard from `start` on.
    ///
    /// # Errors
    /// Fails if the cache cannot be written to.
    pub fn new_piece(&self, shard: &Digest, start: u64) -> Result<NewPiece> {
        let folder = self.pieces_of(shard);
        Below::make(self.root(), &folder)?;
        let temp = Some(files::temp_file_in(&folder)?);
        let (is_good, written) = (AtomicBool::new(true), Mutex::default());
        let fate = Arc::new(Fate { folder, start, is_good, written });
        Ok(NewPiece { temp, hasher: blake3::Hasher::new(), length: 0, fate })
    }
}

/// A piece that one thread is writing, while others check what has arrived so far.
pub struct NewPiece {
    temp: Option<tempfile::NamedTempFile>,
    hasher: blake3::Hasher,
    length: u64,
    fate: Arc<Fate>,
}

/// Decides whether a piece is kept. It gets its name when the last thread that writes or checks it drops
/// this, unless one of them has found bad bytes.
pub struct Fate {
    folder: PathBuf,
    start: u64,
    is_good: AtomicBool,
    written: Mutex<Option<(tempfile::NamedTempFile, Digest, u64)>>,
}

impl NewPiece {
    /// Appends bytes.
    ///
    /// # Errors
    /// Fails if the file cannot be written; the piece is not kept then.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(temp) = &mut self.temp else { return Ok(()) };
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        temp.write_all(bytes).inspect_err(|_| self.fate.spoil())
    }

    /// Returns a handle that a thread must hold while it checks some of the bytes.
    pub fn fate(&self) -> Arc<Fate> {
        self.fate.clone()
    }
}

impl Drop for NewPiece {
    fn drop(&mut self) {
        if let Some(temp) = self.temp.take().filter(|_| self.length > 0) {
            let written = (temp, Digest::of_hasher(&self.hasher), self.length);
            *self.fate.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
        }
    }
}

impl Fate {
    /// Records that some bytes are wrong.
    pub fn spoil(&self) {
        self.is_good.store(false, Ordering::Relaxed);
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((temp, blake3, length)) = written.filter(|_| *self.is_good.get_mut()) {
            let name = format!("{}-{}-{blake3}", self.start, self.start + length);
            // If it cannot be kept, it is fetched again.
            let _ = temp.persist(self.folder.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_gets_its_name_when_all_of_it_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path());
        let shard = Digest::of(b"shard");
        let mut piece = cache.new_piece(&shard, 100).unwrap();
        piece.write(b"abc").unwrap();
        piece.write(b"def").unwrap();
        let fate = piece.fate();
        drop(piece);
        assert_eq!(cache.pieces(&shard), [], "somebody still checks it");
        drop(fate);
        let [piece] = &cache.pieces(&shard)[..] else { panic!() };
        assert_eq!((piece.range.clone(), piece.blake3), (100..106, Digest::of(b"abcdef")));
        assert!(piece.is_whole(File::open(&piece.path).unwrap()).unwrap());
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut piece.open(104).unwrap(), &mut rest).unwrap();
        assert_eq!(rest, "ef");

        let mut spoilt = cache.new_piece(&shard, 200).unwrap();
        spoilt.write(b"abc").unwrap();
        let fate = spoilt.fate();
        drop(spoilt);
        fate.spoil();
        drop(fate);
        drop(cache.new_piece(&shard, 300).unwrap());
        assert_eq!(files::names_in(&cache.pieces_of(&shard)).unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_piece() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("elsewhere"), b"abc").unwrap();
        let path = dir.path().join(format!("0-3-{}", Digest::of(b"abc")));
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        let piece = Piece::at(path).unwrap();
        assert!(matches!(piece.open(0), Err(Error::Foreign { .. })));
    }

    #[test]
    fn names_that_are_no_pieces() {
        let hash = Digest::of(b"");
        for name in
            ["x", "1-2", "2-1-", &format!("5-5-{hash}"), &format!("a-5-{hash}"), &format!("1-5-{hash}x")]
        {
            assert_eq!(Piece::at(Path::new("dir").join(name)), None, "{name}");
        }
        assert!(Piece::at(Path::new("dir").join(format!("1-5-{hash}"))).is_some());
    }
}
