//! Whether there is room on the disk, before anything is written.

use std::path::Path;

use crate::cache::Cache;
use crate::files;
use isn_format::error::{Error, Result};
use isn_format::index::Row;

/// File systems give out space in blocks of this many bytes, mostly.
const BLOCK: u64 = 4096;

/// What the images `rows` take on a disk, in bytes.
pub(super) fn of_images(rows: &[&Row]) -> u64 {
    rows.iter().map(|row| row.length.next_multiple_of(BLOCK)).sum()
}

/// Checks that a tree that needs so many bytes more fits where it is to be; and says whether the cache can take `fetched`
/// bytes beside it. Where the file system does not say, all is taken to fit.
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
