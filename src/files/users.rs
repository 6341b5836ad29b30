//! Writing what is the user's own: [`overwrite`] a file where it is, [`write_output`] what an option names.

use std::borrow::Cow;
use std::fs::{self, File, FileType};
use std::io::{self, Write as _};
use std::path::Path;

use super::{Below, FOR_ALL, FOR_OWNER, LEADS_NOWHERE, Lock, TEMP_PREFIX, parent, put, write_temp};
use crate::error::{Error, Result};

/// Writes what the user has asked for to the file of that option: into a pipe or a device of characters as a shell would,
/// else as [`overwrite`].
pub fn write_output(path: &Path, bytes: &[u8]) -> Result<()> {
    match fs::metadata(path) {
        Ok(about) if is_stream(about.file_type()) => {
            let written = File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes));
            written.map_err(Error::io("write", path))
        }
        _ => overwrite(path, bytes),
    }
}

/// Refuses, before long work, a path that [`write_output`] would refuse after it.
pub fn check_output(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(about) if is_stream(about.file_type()) => Ok(()),
        _ => {
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                let why =
                    if path.is_dir() { "is a folder" } else { "ends in a slash, as a folder's name does" };
                return Err(Error::invalid(path.display(), format!("{why}: name a file")));
            }
            let folder = parent(path);
            if !folder.is_dir() {
                return Err(Error::not_found(folder.display(), "this file system"));
            }
            find(path).map(drop)
        }
    }
}

/// As [`super::replace`], of a file of the user's: where `path` is a link, of the file that it leads to; and what was there
/// keeps its mode and, if this user may give it, its owner.
///
/// # Errors
/// [`Error::Invalid`] if something other than a file is there, or a link that leads nowhere.
pub fn overwrite(path: &Path, bytes: &[u8]) -> Result<()> {
    let (path, there) = find(path)?;
    give(write_temp(&path, bytes, TEMP_PREFIX, FOR_ALL)?, &path, there)
}

/// As [`overwrite`], with the lock of all who write the file: what a killed one left goes.
pub fn overwrite_locked(path: &Path, bytes: &[u8], lock: &Lock) -> Result<()> {
    overwrite_and_sweep(path, bytes, FOR_ALL, lock)
}

/// As [`overwrite_locked`], of a file that only its owner may read where it is new.
pub fn overwrite_private(path: &Path, bytes: &[u8], lock: &Lock) -> Result<()> {
    overwrite_and_sweep(path, bytes, FOR_OWNER, lock)
}

fn overwrite_and_sweep(path: &Path, bytes: &[u8], mode: u32, lock: &Lock) -> Result<()> {
    let (path, there) = find(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (dir, prefix) = (parent(&path), format!("{TEMP_PREFIX}{name}-"));
    Below::make(dir, dir)?.sweep(&prefix, lock)?;
    give(write_temp(&path, bytes, &prefix, mode)?, &path, there)
}

/// The path itself, or that of what it leads to if it is a link.
pub fn behind_links(path: &Path) -> Result<Cow<'_, Path>> {
    if !path.is_symlink() {
        return Ok(path.into());
    }
    match path.canonicalize() {
        Ok(to) => Ok(to.into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::invalid(path.display(), LEADS_NOWHERE)),
        Err(e) => Err(Error::io("find", path)(e)),
    }
}

/// Where a file is or is to be, and what is known of it if it is there.
fn find(path: &Path) -> Result<(Cow<'_, Path>, Option<fs::Metadata>)> {
    let place = behind_links(path)?;
    match fs::metadata(&place) {
        Ok(about) if about.is_file() => Ok((place, Some(about))),
        Ok(about) => {
            let why = if about.is_dir() { "is a folder: name a file" } else { "is no file" };
            Err(Error::invalid(path.display(), why))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok((place, None)),
        Err(e) => Err(Error::io("look at", path)(e)),
    }
}

fn give(temp: tempfile::NamedTempFile, path: &Path, there: Option<fs::Metadata>) -> Result<()> {
    if let Some(about) = there {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, fchown};
            // Only root gives files away; a group may be one's own. Before the mode, of which it may take something.
            let _ = fchown(temp.as_file(), Some(about.uid()), None);
            let _ = fchown(temp.as_file(), None, Some(about.gid()));
        }
        temp.as_file().set_permissions(about.permissions()).map_err(Error::io("write", path))?;
    }
    put(temp, path)
}

#[cfg(unix)]
fn is_stream(kind: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    kind.is_char_device() || kind.is_fifo()
}

#[cfg(not(unix))]
fn is_stream(_: FileType) -> bool {
    false
}
