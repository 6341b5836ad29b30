//! Checks that there is enough disk space before anything is written.

use std::path::Path;

use crate::cache::Cache;
use crate::files;
use isn_format::error::{Error, Result};
use isn_format::index::RowRef;

/// The usual block size of file systems, in bytes.
const BLOCK: u64 = 4096;

/// Returns the number of images and the disk space that they need, in bytes.
pub(super) fn tally<'a>(rows: impl Iterator<Item = RowRef<'a>>) -> (usize, u64) {
    rows.fold((0, 0), |(images, bytes), row| (images + 1, bytes + row.length().next_multiple_of(BLOCK)))
}

/// Checks that a tree that needs this many more bytes fits at its destination. Returns whether the cache can
/// hold `fetched` bytes as well. If the file system does not report its free space, everything is assumed to
/// fit.
pub(super) fn check(to: &Path, needed: u64, cache: Option<&Cache>, fetched: u64) -> Result<bool> {
    let Some((disk, free)) = files::free_space(to) else { return Ok(true) };
    if needed > free {
        return Err(Error::NoRoom { place: files::parent(to).to_path_buf(), needed, free });
    }
    let Some((cache_disk, cache_free)) = cache.and_then(|cache| files::free_space(cache.root())) else {
        return Ok(true);
    };
    let beside = if cache_disk == disk { needed } else { 0 };
    Ok(fetched.saturating_add(beside) <= cache_free)
}
