//! [`Out`]: a file that is being written, with errors that name it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::files;
use isn_format::error::{Error, Result};

/// The size of the write buffer, in bytes.
const BUFFER: usize = 1 << 18;

/// A file of an export.
pub(super) struct Out {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
}

impl Out {
    /// Creates a file, and the folder that it is in.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        files::create_dir_all(files::parent(&path))?;
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        Ok(Out { path, file: BufWriter::with_capacity(BUFFER, file), length: 0 })
    }

    /// Returns its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its current length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    /// Writes what is still in memory, and returns the file.
    pub(super) fn finish(self) -> Result<File> {
        self.file.into_inner().map_err(|e| Error::io("write", &self.path)(e.into_error()))
    }
}

/// Writes a whole file.
pub(super) fn write(path: PathBuf, bytes: &[u8]) -> Result<()> {
    let mut out = Out::create(path)?;
    out.put(bytes)?;
    out.finish().map(drop)
}

/// Writes indented JSON with a final line feed.
pub(super) fn write_json(path: PathBuf, value: &serde_json::Value) -> Result<()> {
    write(path, format!("{value:#}\n").as_bytes())
}
