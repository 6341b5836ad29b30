//! Decoded images: the pixels of a version's images in one file, so that reading one is a copy.
//!
//! A file begins with a text of [`HEADER`] bytes that says what its rows are. Then comes an entry for each
//! image of the version, and then the row of each, at a place that follows from the header and the sizes of
//! the images. The file has its length from the beginning; rows that nobody has asked for are holes. A row is
//! written before its entry, and neither ever changes: whoever makes a row writes the same bytes, so that a
//! maker may be killed, and several may be at work.
//!
//! An entry has the BLAKE3 of its row, keyed with the user's secret and the header. What others wrote, what a
//! disk lost, and rows of another image, size or dataset do not agree with it, and are made again.
//!
//! Rows are read with positioned reads, and those that were found right may be copied from a mapping, which
//! takes half the time. That needs `unsafe`, so the Python package brings it ([`Mapped`]).

mod layout;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use self::layout::{ENTRY, HEADER, MAGIC, digest_of, entry, entry_at, keys, parse_entry};
pub(crate) use self::layout::{Layout, RowAt, length_of};
use super::{Cache, DECODED};
use crate::files::{self, Below};
use isn_format::error::{At, Error, Result, bytes};
use isn_format::pixel_spec::MAX_PIXELS;
use isn_format::table::ReadAt as _;

/// How many entries are read at once.
const ENTRIES: u32 = 1 << 15;

/// A file that is mapped into memory. Somebody may cut the file at any time.
pub trait Mapped: Send + Sync {
    /// Copies the bytes from `at` on to `out`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    fn copy(&self, at: u64, out: &mut [u8]) -> io::Result<()>;

    /// Copies `length` bytes from `at` on to memory of their own.
    ///
    /// # Errors
    /// As [`Mapped::copy`].
    fn copy_new(&self, at: u64, length: usize) -> io::Result<Vec<u8>>;
}

/// A file of decoded images that is open. Any number of threads and processes may read and make rows at once.
pub(crate) struct Decoded {
    cache: Cache,
    path: PathBuf,
    file: File,
    is_writable: bool,
    key: [u8; 32],
    mapped: Option<Box<dyn Mapped>>,
}

impl Cache {
    /// Opens the file with rows of this layout; creates it if there is none. A file that is not as it must be
    /// is removed.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no secret to authenticate rows with; [`Error::NotKept`] if it cannot be
    /// created; [`Error::Foreign`] if a symlink leads out of the cache.
    pub(crate) fn decoded(&self, layout: &Layout) -> Result<Decoded> {
        let no_secret = || Error::invalid("the cache", "has no secret to recognise decoded images by");
        let secret = self.secret()?.ok_or_else(no_secret)?;
        if i64::try_from(layout.length).is_err() {
            return Err(self.not_kept(format!("cannot keep {} of decoded images", bytes(layout.length))));
        }
        let mut header = layout.header().into_bytes();
        header.resize(HEADER as usize, 0);
        let (key, name) = keys(&secret, &header);
        let folder = self.root().join(DECODED);
        let path = folder.join(name.to_string());
        loop {
            if let Some((file, is_writable)) = self.open_decoded(&path)? {
                let decoded =
                    Decoded { cache: self.clone(), path: path.clone(), file, is_writable, key, mapped: None };
                if decoded.has(&header, layout.length) {
                    self.mark_used(&path);
                    return Ok(decoded);
                }
                decoded.discard()?;
            }
            let made = self.new_decoded(&folder, &path, &header, layout.length);
            made.map_err(|e| match e {
                Error::Io { source, .. } => self.unwritable(&source.to_string()),
                e => e,
            })?;
        }
    }

    /// Opens a file to read and write it, or only to read it.
    fn open_decoded(&self, path: &Path) -> Result<Option<(File, bool)>> {
        let Some((folder, name)) = self.folder_of(path)? else { return Ok(None) };
        match folder.open_to_change(name) {
            Ok(found) => Ok(found.map(|file| (file, true))),
            Err(Error::Io { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Ok(folder.open(name)?.map(|file| (file, false)))
            }
            Err(e) => Err(e),
        }
    }

    /// Creates a file with its header and its length. If another process was first, its file stays.
    fn new_decoded(&self, folder: &Path, path: &Path, header: &[u8], length: u64) -> Result<()> {
        Below::make(self.root(), folder)?;
        let temp = files::temp_file_in(folder)?;
        temp.as_file().set_len(length).map_err(Error::io("write", path))?;
        write_at(temp.as_file(), 0, header).map_err(Error::io("write", path))?;
        match temp.persist_noclobber(path) {
            Err(e) if e.error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::io("write", path)(e.error))
            }
            _ => Ok(()),
        }
    }

    /// Whether a file of decoded images is not as it must be: its length, or a row that was made. The rows of
    /// another user of the cache cannot be checked.
    pub(super) fn is_decoded_damaged(&self, path: &Path, file: &File) -> bool {
        !matches!(self.is_decoded_right(path, file), Ok(true))
    }

    fn is_decoded_right(&self, path: &Path, file: &File) -> Result<bool> {
        let what = |e| Error::io("read", path)(e);
        let mut header = vec![0; HEADER as usize];
        file.read_at(0, &mut header).map_err(what)?;
        let text = std::str::from_utf8(&header).unwrap_or_default();
        let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok());
        let (Some(images), Some(length)) = (number("images "), number("length ")) else { return Ok(false) };
        let is_whole = text.lines().next() == Some(MAGIC) && file.metadata().map_err(what)?.len() == length;
        let Some(secret) = self.secret()?.filter(|_| is_whole) else { return Ok(is_whole) };
        let (key, name) = keys(&secret, &header);
        if path.file_name().is_none_or(|has| *has != OsString::from(name.to_string())) {
            return Ok(true);
        }
        let (mut entry, mut pixels) = ([0; ENTRY as usize], Vec::new());
        for row in 0..u32::try_from(images).unwrap_or(u32::MAX) {
            file.read_at(entry_at(row), &mut entry).map_err(what)?;
            let Some((digest, at)) = parse_entry(row, &entry) else { continue };
            if u64::from(at.width) * u64::from(at.height) > MAX_PIXELS {
                return Ok(false);
            }
            pixels.resize(length_of(at.width, at.height) as usize, 0);
            file.read_at(at.offset, &mut pixels).map_err(what)?;
            if digest_of(&key, &at, &pixels) != digest {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Decoded {
    fn has(&self, header: &[u8], length: u64) -> bool {
        let mut has = vec![0; header.len()];
        self.file.metadata().is_ok_and(|about| about.len() == length)
            && self.file.read_at(0, &mut has).is_ok()
            && has == header
    }

    /// Removes the file, unless another process has replaced it.
    fn discard(&self) -> Result<()> {
        // Whoever removes it has its lock, so that nobody removes the next one.
        let is_held = self.lock();
        let removed = if self.is_in_place() { self.cache.remove(&self.path) } else { Ok(()) };
        if is_held {
            self.unlock();
        }
        removed
    }

    /// Waits until no other process makes rows of it. Returns whether it is locked now: some file systems
    /// have no locks, and then several make the same rows.
    pub(crate) fn lock(&self) -> bool {
        files::wait_for_lock(&self.file, &self.path)
    }

    /// Lets others make rows.
    pub(crate) fn unlock(&self) {
        let _ = self.file.unlock();
    }

    /// Whether the file still has its name. A sweep may remove it at any time; whoever has it open can read
    /// it as before.
    pub(crate) fn is_in_place(&self) -> bool {
        files::is_same(self.file.metadata(), std::fs::symlink_metadata(&self.path))
    }

    /// Whether rows can be written.
    pub(crate) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// The file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the numbers in `rows`, which is in ascending order, of the rows that are not made. Reads the
    /// entries of these rows alone.
    ///
    /// # Errors
    /// As [`Decoded::read`].
    pub(crate) fn not_made(&self, rows: impl ExactSizeIterator<Item = RowAt>) -> Result<Vec<usize>> {
        let (mut missing, mut rows) = (Vec::new(), rows.enumerate().peekable());
        let (mut entries, mut run) = (Vec::new(), Vec::new());
        while let Some((number, first)) = rows.next() {
            run.clear();
            run.push((number, first));
            while let Some(next) = rows.next_if(|(_, next)| next.row - first.row < ENTRIES) {
                run.push(next);
                if next.1.row - first.row + 1 > 2 * run.len() as u32 + 64 {
                    break;
                }
            }
            let last = run.last().map_or(first.row, |(_, at)| at.row);
            entries.resize((u64::from(last - first.row + 1) * ENTRY) as usize, 0);
            self.file.read_at(entry_at(first.row), &mut entries).map_err(|e| self.unread(e))?;
            for &(number, at) in &run {
                let entry = &entries[(u64::from(at.row - first.row) * ENTRY) as usize..][..ENTRY as usize];
                if parse_entry(at.row, entry).is_none_or(|(_, made)| made != at) {
                    missing.push(number);
                }
            }
        }
        Ok(missing)
    }

    /// Reads a row into `out`, which has its length.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the file has been cut; [`Error::Io`] if it cannot be read.
    pub(crate) fn read(&self, at: &RowAt, out: &mut [u8]) -> Result<()> {
        self.file.read_at(at.offset, out).map_err(|e| self.unread(e))
    }

    /// Reads a row into memory of its own.
    ///
    /// # Errors
    /// As [`Decoded::read`].
    pub(crate) fn read_new(&self, at: &RowAt) -> Result<Vec<u8>> {
        read_new_at(&self.file, at.offset, length_of(at.width, at.height) as usize)
            .map_err(|e| self.unread(e))
    }

    /// Copies from a mapping of the file from now on.
    ///
    /// # Errors
    /// Those of `map`.
    pub(crate) fn map(&mut self, map: impl FnOnce(&File) -> io::Result<Box<dyn Mapped>>) -> io::Result<()> {
        self.mapped = Some(map(&self.file)?);
        Ok(())
    }

    /// As [`Decoded::read`], of a row that was found right.
    ///
    /// # Errors
    /// As [`Decoded::read`].
    pub(crate) fn copy(&self, at: &RowAt, out: &mut [u8]) -> Result<()> {
        match &self.mapped {
            Some(mapped) => mapped.copy(at.offset, out).map_err(|e| self.unread(e)),
            None => self.read(at, out),
        }
    }

    /// As [`Decoded::read_new`], of a row that was found right.
    ///
    /// # Errors
    /// As [`Decoded::read`].
    pub(crate) fn copy_new(&self, at: &RowAt) -> Result<Vec<u8>> {
        let length = length_of(at.width, at.height) as usize;
        match &self.mapped {
            Some(mapped) => mapped.copy_new(at.offset, length).map_err(|e| self.unread(e)),
            None => self.read_new(at),
        }
    }

    fn unread(&self, why: io::Error) -> Error {
        let what = || format!("decoded images {}", self.path.display());
        match why.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::integrity(what(), "ends too early: another program has cut it").at(At::Decoded)
            }
            _ => Error::io("read", &self.path)(why),
        }
    }

    /// Whether `pixels` are those of a row, by its entry.
    ///
    /// # Errors
    /// As [`Decoded::read`].
    pub(crate) fn is_right(&self, at: &RowAt, pixels: &[u8]) -> Result<bool> {
        let mut entry = [0; ENTRY as usize];
        self.file.read_at(entry_at(at.row), &mut entry).map_err(|e| self.unread(e))?;
        Ok(parse_entry(at.row, &entry)
            .is_some_and(|(digest, made)| made == *at && digest_of(&self.key, at, pixels) == digest))
    }

    /// Writes a row: pixels of an image whose bytes were found right.
    ///
    /// # Errors
    /// [`Error::NotKept`] if it cannot be written.
    pub(crate) fn put(&self, at: &RowAt, pixels: &[u8]) -> Result<()> {
        let entry = entry(&self.key, at, pixels);
        let written = write_at(&self.file, at.offset, pixels)
            .and_then(|()| write_at(&self.file, entry_at(at.row), &entry));
        written.map_err(|e| self.cache.unwritable(&format!("{}: {e}", self.path.display())))
    }
}

#[cfg(unix)]
fn write_at(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// Reads into memory that is not set to zero before.
#[cfg(unix)]
fn read_new_at(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let from = at + bytes.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), from) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    // The memory may be longer than was asked for.
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(not(unix))]
fn write_at(file: &File, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        (at, bytes) = (at + written as u64, &bytes[written..]);
    }
    Ok(())
}

#[cfg(not(unix))]
fn read_new_at(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_at(at, &mut bytes).map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::digest::Digest;

    fn cache(dir: &Path) -> Cache {
        Cache::new(dir.join("cache")).with_secret(dir.join("cache.key"))
    }

    /// Three images of different sizes.
    fn sample() -> (Layout, Vec<RowAt>) {
        let sizes = [(3, 2), (1, 1), (40, 30)];
        let (layout, offsets) = Layout::of_sizes(Digest::of(b"birds"), sizes.into_iter(), &[0, 1, 2]);
        let at = |(row, (&offset, (width, height)))| RowAt { row, offset, width, height };
        (layout, (0..).zip(offsets.iter().zip(sizes)).map(at).collect())
    }

    fn pixels(at: &RowAt) -> Vec<u8> {
        (0..length_of(at.width, at.height)).map(|byte| (byte * 7 + u64::from(at.row)) as u8).collect()
    }

    #[test]
    fn rows_are_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, (layout, rows)) = (cache(dir.path()), sample());
        let decoded = cache.decoded(&layout).unwrap();
        assert_eq!(decoded.not_made(rows.iter().copied()).unwrap(), [0, 1, 2]);
        for at in &rows[1..] {
            decoded.put(at, &pixels(at)).unwrap();
        }
        assert!(!decoded.is_right(&rows[0], &pixels(&rows[0])).unwrap());
        let again = cache.decoded(&layout).unwrap();
        assert_eq!(again.not_made(rows.iter().copied()).unwrap(), [0]);
        assert_eq!(again.not_made(rows[2..].iter().copied()).unwrap(), [0; 0]);
        let read = again.read_new(&rows[2]).unwrap();
        assert!(read == pixels(&rows[2]) && again.is_right(&rows[2], &read).unwrap());
        assert!(!again.is_right(&rows[1], &pixels(&rows[2])[..3]).unwrap());
        assert!(!cache.is_decoded_damaged(again.path(), &again.file));
        // Another dataset, size or secret has a file of its own.
        let others = [
            cache.decoded(&Layout::of_squares(Digest::of(b"birds"), 3, 8)).unwrap(),
            cache.decoded(&Layout::of_squares(Digest::of(b"cats"), 3, 8)).unwrap(),
            cache.clone().with_secret(dir.path().join("other")).decoded(&layout).unwrap(),
        ];
        assert!(others.iter().all(|other| other.path() != again.path()));
        assert!(!cache.is_decoded_damaged(others[2].path(), &others[2].file), "nobody can know");
        assert_eq!(others[2].not_made(rows.iter().copied()).unwrap().len(), 3);
    }

    #[test]
    fn a_selection_has_the_places_of_the_whole() {
        let sizes = [(3, 2), (1, 1), (40, 30)];
        let (whole, all) = Layout::of_sizes(Digest::of(b"birds"), sizes.into_iter(), &[0, 1, 2]);
        let (part, some) = Layout::of_sizes(Digest::of(b"birds"), sizes.into_iter(), &[1]);
        assert_eq!((part, some), (whole.clone(), vec![all[1]]));
        let (other, _) = Layout::of_sizes(Digest::of(b"birds"), [(3, 2), (1, 1), (30, 40)].into_iter(), &[]);
        assert_ne!(other.header(), whole.header(), "rows of other sizes are in another file");
        let squares = Layout::of_squares(Digest::of(b"birds"), 3, 5);
        assert_eq!([squares.square_at(0), squares.square_at(1)], [8192, 8192 + 128]);
    }

    #[test]
    fn entries_far_apart_are_read_apart() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(dir.path());
        let layout = Layout::of_squares(Digest::of(b"birds"), 200_000, 1);
        let decoded = cache.decoded(&layout).unwrap();
        let at = |row: u32| RowAt { row, offset: layout.square_at(row.into()), width: 1, height: 1 };
        let rows = [0, 1, 5, 40_000, 40_001, 199_998, 199_999].map(at);
        for made in [1, 3, 6] {
            decoded.put(&rows[made], &[1, 2, 3]).unwrap();
        }
        assert_eq!(decoded.not_made(rows.into_iter()).unwrap(), [0, 2, 4, 5]);
        assert_eq!(
            decoded.not_made((0..200_000).map(at).collect::<Vec<_>>().into_iter()).unwrap().len(),
            199_997
        );
    }

    #[test]
    fn damage_anywhere_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, (layout, rows)) = (cache(dir.path()), sample());
        let decoded = cache.decoded(&layout).unwrap();
        rows.iter().for_each(|at| decoded.put(at, &pixels(at)).unwrap());
        let (path, good) = (decoded.path().to_path_buf(), std::fs::read(decoded.path()).unwrap());
        let right = |decoded: &Decoded| -> Vec<bool> {
            rows.iter().map(|at| decoded.is_right(at, &decoded.read_new(at).unwrap()).unwrap()).collect()
        };
        assert_eq!(right(&decoded), [true; 3]);
        // In the header, in digest, offset and width of the second entry, and in the last row.
        let entry = (HEADER + ENTRY) as usize;
        let last = rows[2].offset as usize + 1000;
        for (at, expected) in [
            (20, [false; 3]),
            (HEADER as usize - 1, [false; 3]),
            (entry, [true, false, true]),
            (entry + 32, [true, false, true]),
            (entry + 40, [true, false, true]),
            (last, [true, true, false]),
        ] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let damaged = cache.decoded(&layout).unwrap();
            assert_eq!(right(&damaged), expected, "byte {at}");
            let file = File::open(&path).unwrap();
            // A file with another header was replaced by a new one, whose rows are to be made.
            assert_eq!(cache.is_decoded_damaged(&path, &file), at >= HEADER as usize, "byte {at}");
        }
        // Cut before it is opened: it is made anew. Cut while it is open: an error.
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert_eq!(cache.decoded(&layout).unwrap().not_made(rows.iter().copied()).unwrap(), [0, 1, 2]);
        std::fs::write(&path, &good).unwrap();
        let open = cache.decoded(&layout).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(rows[2].offset + 5).unwrap();
        assert!(open.read_new(&rows[0]).is_ok());
        let errors = [open.read_new(&rows[2]).map(drop), open.read(&rows[2], &mut vec![0; 3600])];
        assert!(
            errors.iter().all(|e| matches!(e, Err(Error::Integrity { at: At::Decoded, .. }))),
            "{errors:?}"
        );
        // Removed while it is open: it can be read as before, and is made anew for others.
        std::fs::write(&path, &good).unwrap();
        let open = cache.decoded(&layout).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!open.is_in_place() && right(&open) == [true; 3]);
        assert_eq!(cache.decoded(&layout).unwrap().not_made(rows.iter().copied()).unwrap().len(), 3);
    }
}
