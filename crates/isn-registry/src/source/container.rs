//! [`Container`]: an open file that holds many images. It can be read at any position, and must stay
//! unchanged after its contents were listed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::modified_ns;
use super::tar::walk::ReadAt;
use isn_format::error::{Error, Result};

/// A cheap way to tell whether a file is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Its length in bytes.
    pub(super) length: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub(super) modified_ns: i128,
}

/// An open file of many images.
#[derive(Debug)]
pub(super) struct Container {
    path: PathBuf,
    file: File,
    stamp: Stamp,
}

impl Container {
    /// Opens the regular file at `path`, following symlinks.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let refuse = || Error::invalid(path.display(), "is not a file");
        // The kind of file is checked before opening too, because opening a pipe would wait for its writer.
        if !fs::metadata(path).map_err(Error::io("look at", path))?.is_file() {
            return Err(refuse());
        }
        let file = File::open(path).map_err(Error::io("open", path))?;
        let about = file.metadata().map_err(Error::io("look at", path))?;
        if !about.is_file() {
            return Err(refuse());
        }
        let stamp = Stamp { length: about.len(), modified_ns: modified_ns(&about) };
        Ok(Container { path: path.to_path_buf(), file, stamp })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Reads `length` bytes from `offset`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] if it has changed since it was opened.
    pub(super) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let read = self.read_exact_at(&mut bytes, offset);
        // If the file was truncated meanwhile, that is the error, not an early end.
        self.check()?;
        read.map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Checks that the length and time of the file are still those when it was opened.
    pub(super) fn check(&self) -> Result<()> {
        let about = self.file.metadata().map_err(Error::io("look at", &self.path))?;
        let now = Stamp { length: about.len(), modified_ns: modified_ns(&about) };
        if now == self.stamp {
            return Ok(());
        }
        let why = match now.length == self.stamp.length {
            true => "was written to while it was read".into(),
            false => {
                format!("changed while it was read: {} bytes long, it was {}", now.length, self.stamp.length)
            }
        };
        Err(Error::invalid(self.path.display(), why))
    }
}

impl ReadAt for Container {
    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer = &mut buffer[read..];
            offset += read as u64;
        }
        Ok(())
    }
}
