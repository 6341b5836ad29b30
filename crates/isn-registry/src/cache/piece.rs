//! Pieces of shards: what one request brought.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Cache, PIECES};
use crate::files::{self, Below};
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result};

/// A run of bytes of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which bytes of the shard.
    pub range: Range<u64>,
    /// BLAKE3 of these bytes.
    pub(super) blake3: Digest,
    /// Where they are.
    pub path: PathBuf,
}

impl Piece {
    /// From the path of one; `None` for anything else.
    pub(super) fn at(path: PathBuf) -> Option<Piece> {
        let name = path.file_name()?.to_str()?;
        let mut parts = name.splitn(3, '-');
        let (start, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let blake3 = parts.next()?.parse().ok()?;
        (start < end).then_some(Piece { range: start..end, blake3, path })
    }

    /// The bytes from `start` of the shard on, to be read in order.
    pub fn open(&self, start: u64) -> Result<File> {
        let mut file = Piece::open_file(&self.path)?;
        file.seek(SeekFrom::Start(start - self.range.start)).map_err(Error::io("read", &self.path))?;
        Ok(file)
    }

    /// Opens the file of one.
    pub fn open_file(path: &Path) -> Result<File> {
        files::open_nofollow(path)?
            .ok_or_else(|| Error::not_found(Missing::File, path.display(), "the cache"))
    }

    /// Whether it is a file of the length that its name says.
    fn is_file(&self) -> bool {
        let about = self.path.symlink_metadata();
        about.is_ok_and(|about| about.is_file() && about.len() == self.range.end - self.range.start)
    }

    /// Whether its bytes are not what its name says.
    pub fn is_damaged(&self) -> bool {
        !Piece::open_file(&self.path).is_ok_and(|file| self.is_whole(file).unwrap_or(false))
    }

    /// Whether all bytes of `file` are what its name says.
    pub(super) fn is_whole(&self, file: File) -> io::Result<bool> {
        let mut hasher = blake3::Hasher::new();
        let length = hasher.update_reader(file)?.count();
        Ok(length == self.range.end - self.range.start && Digest::of_hasher(&hasher) == self.blake3)
    }
}

impl Cache {
    fn pieces_of(&self, shard: &Digest) -> PathBuf {
        let hex = shard.to_string();
        self.root().join(PIECES).join(&hex[..2]).join(hex)
    }

    /// The pieces of a shard, by where they begin. What is no file, or one that is shorter or
    /// longer than its name says, is set aside.
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

    /// Sets aside a piece at `path` that gave wrong bytes, if its bytes are not what its name says, or if it is known to be
    /// wrong nevertheless: somebody gave it that name. Whether it was set aside; else it may be right, and whoever said that
    /// something is in it is wrong.
    pub fn set_aside_piece(&self, path: &Path, is_wrong: bool) -> bool {
        let is_wrong = is_wrong || Piece::at(path.to_path_buf()).is_none_or(|piece| piece.is_damaged());
        if is_wrong {
            self.set_aside(path);
        }
        is_wrong
    }

    /// Says that a piece was of use.
    pub fn used(&self, piece: &Piece) {
        self.mark_used(&piece.path);
    }

    /// A place for bytes of a shard from `start` on, which are about to come.
    pub fn new_piece(&self, shard: &Digest, start: u64) -> Result<NewPiece> {
        let folder = self.pieces_of(shard);
        Below::make(self.root(), &folder)?;
        let temp = Some(files::temp_file_in(&folder)?);
        let (is_good, written) = (AtomicBool::new(true), Mutex::default());
        let fate = Arc::new(Fate { folder, start, is_good, written });
        Ok(NewPiece { temp, hasher: blake3::Hasher::new(), length: 0, fate })
    }
}

/// A piece that is being written: by one thread, while others check what it has brought so far.
pub struct NewPiece {
    temp: Option<tempfile::NamedTempFile>,
    hasher: blake3::Hasher,
    length: u64,
    fate: Arc<Fate>,
}

/// Whether a piece is kept. It gets its name when the last of those who write or check it lets go, unless one of them has
/// found fault with it.
pub struct Fate {
    folder: PathBuf,
    start: u64,
    is_good: AtomicBool,
    written: Mutex<Option<(tempfile::NamedTempFile, Digest, u64)>>,
}

impl NewPiece {
    /// Adds bytes. After an error the piece is not kept.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(temp) = &mut self.temp else { return Ok(()) };
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        temp.write_all(bytes).inspect_err(|_| self.fate.spoil())
    }

    /// To be held by whoever checks some of its bytes, until they are checked.
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
    /// Says that some of its bytes are not what they must be.
    pub fn spoil(&self) {
        self.is_good.store(false, Ordering::Relaxed);
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((temp, blake3, length)) = written.filter(|_| *self.is_good.get_mut()) {
            let name = format!("{}-{}-{blake3}", self.start, self.start + length);
            // A piece that cannot be kept is fetched again.
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
