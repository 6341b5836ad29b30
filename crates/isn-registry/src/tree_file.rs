//! The lists of a tree on disk, and its classes.

use std::path::Path;

use crate::files;
use isn_format::class::{Class, MAX_CLASSES};
use isn_format::digest::Digest;
use isn_format::error::Result;
use isn_format::tree::{B3SUMS, B3SUMS_SELECTED, CLASSES, Sums};

/// The list that says what is in the tree in `root`: if something is called `B3SUMS.selected`, whatever it is, that.
pub fn list_of(root: &Path) -> &'static str {
    if root.join(B3SUMS_SELECTED).symlink_metadata().is_ok() { B3SUMS_SELECTED } else { B3SUMS }
}

/// Reads one of the lists of the tree in `root`.
pub fn read_sums(root: &Path, list: &str) -> Result<Sums> {
    read_sums_hashed(root, list)?.0
}

/// The same, and its BLAKE3, whatever is in it.
pub fn read_sums_hashed(root: &Path, list: &str) -> Result<(Result<Sums>, Digest)> {
    let path = root.join(list);
    Sums::read(list, &path, files::open(&path)?)
}

/// The classes of the tree in `root`: its `classes.csv`, if that is what the list says.
pub fn read_classes(root: &Path, sums: &Sums) -> Result<Vec<Class>> {
    let path = root.join(CLASSES);
    sums.classes(&path.display().to_string(), &files::read_capped(&path, MAX_CLASSES)?)
}
