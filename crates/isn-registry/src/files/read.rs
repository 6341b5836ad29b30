//! Opens and reads files of any origin, none of them beyond a maximum length.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use isn_format::error::{Error, Result};

/// Opens a file that the user has named for reading. It may be a pipe; isn then waits for a writer.
///
/// # Errors
/// [`Error::Io`] if it cannot be opened.
pub(crate) fn open_named(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io("read", path))
}

/// Opens a file that isn has found by itself, without waiting for a writer.
///
/// # Errors
/// [`Error::Io`] if it cannot be opened; [`Error::Invalid`] if it is a pipe or a device.
pub fn open(path: &Path) -> Result<File> {
    regular(open_listed(path)?, path)
}

/// As [`open`], for a file that a listing calls regular: who reads no more of it than the listing says need
/// not ask again what it is.
///
/// # Errors
/// [`Error::Io`] if it cannot be opened.
pub(crate) fn open_listed(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    options.open(path).map_err(Error::io("read", path))
}

/// Returns the file if it is neither a pipe nor a device.
///
/// # Errors
/// [`Error::Invalid`] if it is; [`Error::Io`] if the system does not say.
pub(crate) fn regular(file: File, path: &Path) -> Result<File> {
    let kind = file.metadata().map_err(Error::io("look at", path))?.file_type();
    // A folder fails when it is read.
    if kind.is_file() || kind.is_dir() {
        Ok(file)
    } else {
        Err(Error::invalid(path.display(), "is not a file"))
    }
}

/// Reads a file of at most `cap` bytes that the user has named: a longer one is a mistake.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Invalid`] if it is longer.
pub(crate) fn read_input(path: &Path, cap: u64) -> Result<Vec<u8>> {
    read_to_cap(open_named(path)?, path, cap).map_err(as_input)
}

/// As `read_input`, for UTF-8 text.
///
/// # Errors
/// As `read_input`; [`Error::Invalid`] also if it is not UTF-8.
pub fn read_text(path: &Path, cap: u64) -> Result<String> {
    let bytes = read_input(path, cap)?;
    String::from_utf8(bytes).map_err(|_| Error::invalid(path.display(), "is not UTF-8 text"))
}

/// As `read_input`, for a file that another input leads to, or that is written to as well: it must be a
/// regular file.
///
/// # Errors
/// As [`open`]; [`Error::Invalid`] also if it is longer.
pub fn read_beside(path: &Path, cap: u64) -> Result<Vec<u8>> {
    read_capped(path, cap).map_err(as_input)
}

/// Reads a file of at most `cap` bytes that isn has found by itself.
///
/// # Errors
/// As [`open`]; [`Error::Integrity`] if it is longer.
pub(crate) fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>> {
    read_to_cap(open(path)?, path, cap)
}

/// As `read_capped`, but returns `None` if there is no file.
///
/// # Errors
/// As `read_capped`, except for an absent file.
pub fn read_capped_if_there(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
    if_there(read_capped(path, cap))
}

/// Turns the error of an absent file into `None`.
///
/// # Errors
/// That of `found`, unless it is [`Error::Io`] for an absent file.
pub fn if_there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Turns the error that a file is damaged into one that the user made it wrongly.
pub(crate) fn as_input(error: Error) -> Error {
    match error {
        Error::Integrity { what, why, .. } => Error::invalid(what, why),
        error => error,
    }
}

/// Reads an open file of at most `cap` bytes; a longer one is an [`Error::Integrity`], and is not read if the
/// system says its length.
pub(crate) fn read_to_cap(file: impl Borrow<File>, path: &Path, cap: u64) -> Result<Vec<u8>> {
    let file: &File = file.borrow();
    let too_long =
        |more: String| Error::integrity(path.display(), format!("is longer than {cap} bytes{more}"));
    let about = file.metadata().map_err(Error::io("look at", path))?;
    if about.is_file() && about.len() > cap {
        return Err(too_long(format!(": it has {}", about.len())));
    }
    // What is longer than the system says grows as it is read.
    let mut bytes = Vec::with_capacity(if about.is_file() { about.len() as usize + 1 } else { 0 });
    file.take(cap.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    // A pipe, or a file that grows.
    if bytes.len() as u64 > cap {
        return Err(too_long(String::new()));
    }
    Ok(bytes)
}

/// Whether a file has exactly these bytes; `None` if there is no file. Reads no more of it than that.
///
/// # Errors
/// As [`open`], except for an absent file.
pub(crate) fn has_bytes(path: &Path, bytes: &[u8]) -> Result<Option<bool>> {
    match read_capped_if_there(path, bytes.len() as u64) {
        Ok(found) => Ok(found.map(|found| found == bytes)),
        Err(Error::Integrity { .. }) => Ok(Some(false)),
        Err(e) => Err(e),
    }
}
