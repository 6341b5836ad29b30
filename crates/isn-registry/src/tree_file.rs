//! The lists of a tree on disk, and its classes.

use std::path::Path;

use crate::files;
use isn_format::class::{Class, MAX_CLASSES};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::tree::{B3SUMS, B3SUMS_SELECTED, CLASSES, MAX_SUMS, Sums};

/// Returns the name of the list of the tree in `root`: `B3SUMS.selected` if anything has that name, else
/// `B3SUMS`.
pub(crate) fn list_of(root: &Path) -> &'static str {
    if root.join(B3SUMS_SELECTED).symlink_metadata().is_ok() { B3SUMS_SELECTED } else { B3SUMS }
}

/// Reads one of the lists of the tree in `root`.
///
/// # Errors
/// Fails if the file cannot be read, is too long, or is not a well-formed list.
pub(crate) fn read_sums(root: &Path, list: &str) -> Result<Sums> {
    read_sums_hashed(root, list)?.0
}

/// As [`read_sums`], but also returns the BLAKE3 of the file, even if the list is not well-formed.
///
/// # Errors
/// Fails if the file cannot be read or is too long. The inner result fails if the list is not well-formed.
pub(crate) fn read_sums_hashed(root: &Path, list: &str) -> Result<(Result<Sums>, Digest)> {
    let path = root.join(list);
    let file = files::open(&path)?;
    // Before it is read: a sparse file may have any length.
    let length = file.metadata().map_err(Error::io("look at", &path))?.len();
    if length > MAX_SUMS {
        let why = format!("has {length} bytes, and no list of a tree has more than {MAX_SUMS}");
        return Err(Error::integrity(path.display(), why));
    }
    Sums::read(list, &path, file)
}

/// Reads the `classes.csv` of the tree in `root`.
///
/// # Errors
/// Fails if the file cannot be read, is not the one that `sums` lists, or is not well-formed.
pub(crate) fn read_classes(root: &Path, sums: &Sums) -> Result<Vec<Class>> {
    let path = root.join(CLASSES);
    sums.classes(&path.display().to_string(), &files::read_capped(&path, MAX_CLASSES)?)
}
