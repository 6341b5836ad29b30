//! Reads and writes key files. [`isn_format::key`] parses them.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use crate::files;
use isn_format::error::{Error, Result};
use isn_format::key::{KeyFile, KeyLine, PrivateKey};

/// The maximum length of a key file, in bytes. OpenSSH's Ed25519 files have about 500; the limit stops a
/// wrong path.
const MAX_LEN: u64 = 64 << 10;

/// Reads a private key file that the user has named.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Invalid`] or [`Error::Key`] if it is not a private key file
/// that isn accepts.
pub fn read_private(path: &Path) -> Result<KeyFile> {
    KeyFile::parse(&path.display().to_string(), &read(files::open_named(path)?, path)?)
}

/// Reads a private key file that isn keeps, which must be a regular file.
///
/// # Errors
/// As [`read_private`].
pub(crate) fn read_kept(path: &Path) -> Result<KeyFile> {
    KeyFile::parse(&path.display().to_string(), &read(files::open(path)?, path)?)
}

/// Reads the one line of a public key file that the user has named.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Invalid`] or [`Error::Key`] if it is not a public key that
/// isn accepts.
pub(crate) fn read_public(path: &Path) -> Result<KeyLine> {
    KeyLine::parse(path.display(), &read_text(path)?)
}

/// Reads the text of a public or private key file that the user has named.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Invalid`] if it is too long or not text.
pub fn read_text(path: &Path) -> Result<String> {
    read(files::open_named(path)?, path)
}

fn read(file: File, path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(Error::invalid(path.display(), "is too long for a key file"));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid(path.display(), "is not a key file: it is not text"))
}

/// Creates a private key file that only its owner may read, encrypted if there is a passphrase. Returns
/// `false`, without changing anything, if `path` exists.
///
/// # Errors
/// [`Error::Io`] if it cannot be written; [`Error::Key`] if the key cannot be encrypted.
pub(crate) fn write_private(path: &Path, key: &PrivateKey, passphrase: Option<&str>) -> Result<bool> {
    files::create_new_private(path, key.to_openssh(passphrase)?.as_bytes())
}

/// Creates a `.pub` file with the public half. Returns `false`, without changing anything, if `path` exists.
pub(super) fn write_public(path: &Path, key: &PrivateKey) -> Result<bool> {
    match File::options().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(format!("{}\n", key.public_line()).as_bytes())
                .map_err(Error::io("write", path))?;
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Error::io("create", path)(e)),
    }
}
