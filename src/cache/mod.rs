//! [`Cache`]: what was fetched once, by its hash, so that no byte is fetched twice. Any number of processes and hosts may
//! use one folder: a file gets its name when it is whole, and never changes. Nothing in it is believed: whoever takes
//! something checks it as if it had come over the wire, and what is damaged is set aside.
//!
//! | file | what |
//! |---|---|
//! | `objects/<2 hex>/<64 hex>.<ext>` | an object, as registries have it; never a shard |
//! | `pieces/<2 hex>/<64 hex>/<start>-<end>-<64 hex>` | bytes `start..end` of the shard of that hash, and their own BLAKE3 |
//! | `tables/<64 hex>` | a [`crate::table::Table`] of the index of that hash, to open a version in a moment |
//! | `hints/packs/<64 hex>`, `hints/pins/<64 hex>` | which packs a manifest has; which manifest a dataset hash has |
//! | `trees/<64 hex>` | the path of a tree that was pulled, whose images may be of use to the next |
//! | `sources/<64 hex>.jsonl` | what is where in a tar file of source images, see [`crate::source::tar::index`] |
//! | `quarantine/` | what was damaged |

mod inventory;
mod piece;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use inventory::{Damaged, Inventory, Swept};
pub use piece::{Fate, NewPiece, Piece};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::object::ObjectKind;

const OBJECTS: &str = "objects";
const PIECES: &str = "pieces";
const HINTS: &str = "hints";
const TABLES: &str = "tables";
const TREES: &str = "trees";
const SOURCES: &str = "sources";
const QUARANTINE: &str = "quarantine";

/// Hints are short lists: more than this is no hint.
const MAX_HINT: u64 = 4 << 20;
/// A path of a tree is not longer, on any system.
const MAX_NOTE: u64 = 64 << 10;

/// A folder of things fetched.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// In `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Cache { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where indexes of tar files of source images are kept.
    pub fn sources(&self) -> PathBuf {
        self.root.join(SOURCES)
    }

    fn object_path(&self, kind: ObjectKind, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root.join(OBJECTS).join(&hex[..2]).join(format!("{hex}.{}", kind.extension()))
    }

    /// An object of at most `cap` bytes, if it is here and whole.
    pub fn object(&self, kind: ObjectKind, digest: &Digest, cap: u64) -> Option<Vec<u8>> {
        let path = self.object_path(kind, digest);
        let bytes = files::read_capped(&path, cap).ok()?;
        if Digest::of(&bytes) != *digest {
            self.set_aside(&path);
            return None;
        }
        mark_used(&path);
        Some(bytes)
    }

    /// Keeps an object, whose hash the caller has checked.
    pub fn keep_object(&self, kind: ObjectKind, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.object_path(kind, digest);
        if path.exists() { Ok(()) } else { put(&path, bytes) }
    }

    /// A small file that was kept under a registry's path for it.
    pub fn hint(&self, path: &str) -> Option<Vec<u8>> {
        files::read_capped(&self.root.join(HINTS).join(path), MAX_HINT).ok()
    }

    /// Keeps a small file that says where to look, and is not believed.
    pub fn keep_hint(&self, path: &str, bytes: &[u8]) -> Result<()> {
        if self.hint(path).as_deref() == Some(bytes) {
            return Ok(());
        }
        put(&self.root.join(HINTS).join(path), bytes)
    }

    fn table_path(&self, index: &Digest) -> PathBuf {
        self.root.join(TABLES).join(index.to_string())
    }

    /// The table of an index, if there is one of at most `cap` bytes: not checked.
    pub fn table(&self, index: &Digest, cap: u64) -> Option<Vec<u8>> {
        let path = self.table_path(index);
        let bytes = files::read_capped(&path, cap).ok()?;
        mark_used(&path);
        Some(bytes)
    }

    /// Keeps the table of an index, in place of any that was there.
    pub fn keep_table(&self, index: &Digest, bytes: &[u8]) -> Result<()> {
        put(&self.table_path(index), bytes)
    }

    /// Remembers that there is a tree at `path`.
    pub fn keep_tree(&self, path: &Path) -> Result<()> {
        let path = std::path::absolute(path).map_err(Error::io("find", path))?;
        let Some(text) = path.to_str() else { return Ok(()) };
        let name = Digest::of(text.as_bytes()).to_string();
        put(&self.root.join(TREES).join(name), text.as_bytes())
    }

    /// Where trees were pulled to; they may be gone or changed.
    pub fn trees(&self) -> Vec<PathBuf> {
        let folder = self.root.join(TREES);
        let names = files::names_in(&folder).unwrap_or_default();
        names.iter().filter_map(|name| tree_of(&folder.join(name))).collect()
    }

    /// Moves what is damaged out of the way, so that it is fetched again and can still be looked at.
    pub fn set_aside(&self, path: &Path) {
        let folder = self.root.join(QUARANTINE);
        let name = path.file_name().unwrap_or_default();
        let moved =
            files::create_dir_all(&folder).is_ok() && std::fs::rename(path, folder.join(name)).is_ok();
        if !moved {
            // On a cache that cannot be written to it stays, and is found damaged again.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Where a note says that a tree is.
fn tree_of(note: &Path) -> Option<PathBuf> {
    Some(PathBuf::from(String::from_utf8(files::read_capped(note, MAX_NOTE).ok()?).ok()?))
}

/// Writes a file whole or not at all. It does not wait for the disk: what is lost is fetched again.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    files::create_dir_all(files::parent(path))?;
    let mut temp = files::temp_file_in(files::parent(path))?;
    temp.write_all(bytes).map_err(Error::io("write", path))?;
    temp.persist(path).map_err(|e| Error::io("write", path)(e.error))?;
    Ok(())
}

/// What is used stays longest. Whether the file system lets us say so does not matter.
fn mark_used(path: &Path) {
    if let Ok(file) = std::fs::File::options().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_object_is_set_aside_and_kept_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().join("cache"));
        let (kind, digest) = (ObjectKind::Index, Digest::of(b"index"));
        assert_eq!(cache.object(kind, &digest, 100), None);
        cache.keep_object(kind, &digest, b"index").unwrap();
        assert_eq!(cache.object(kind, &digest, 100).as_deref(), Some(&b"index"[..]));
        assert_eq!(cache.object(kind, &digest, 4), None, "longer than it may be");
        std::fs::write(cache.object_path(kind, &digest), b"Index").unwrap();
        assert_eq!(cache.object(kind, &digest, 100), None);
        assert_eq!(files::names_in(&cache.root().join(QUARANTINE)).unwrap().len(), 1);
        cache.keep_object(kind, &digest, b"index").unwrap();
        assert!(cache.object(kind, &digest, 100).is_some());
    }

    #[test]
    fn trees_are_remembered_by_their_absolute_path() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path());
        cache.keep_tree(Path::new("some/tree")).unwrap();
        cache.keep_tree(Path::new("some/tree")).unwrap();
        assert_eq!(cache.trees(), [std::path::absolute("some/tree").unwrap()]);
    }
}
