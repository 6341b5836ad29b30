//! [`Cache`]: what was fetched once, by its hash, so that no byte is fetched twice. Any number of processes and hosts may
//! use one folder: a file gets its name when it is whole, and never changes. Nothing in it is believed: whoever takes
//! something checks it as if it had come over the wire, and what is damaged is set aside.
//!
//! | file | what |
//! |---|---|
//! | `objects/<2 hex>/<64 hex>.<ext>` | an object, as registries have it; never a shard |
//! | `pieces/<2 hex>/<64 hex>/<start>-<end>-<64 hex>` | bytes `start..end` of the shard of that hash, and their own BLAKE3 |
//! | `tables/<64 hex>` | a [`isn_format::table::Table`] of the index of that hash, to open a version in a moment |
//! | `hints/packs/<64 hex>`, `hints/pins/<64 hex>` | which packs a manifest has; which manifest a dataset hash has |
//! | `hints/packs-of/<64 hex>/<64 hex>` | which packs a place says that a manifest has |
//! | `trees/<64 hex>` | the path of a tree that was pulled, whose images may be of use to the next |
//! | `sources/<64 hex>.jsonl` | what is where in a tar file of source images, see [`crate::source::Indexes`] |
//! | `quarantine/` | what was damaged |

mod inventory;
mod piece;

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ssh_key::rand_core::{OsRng, RngCore as _};

pub use inventory::{Damaged, Inventory, Swept};
pub use piece::{Fate, NewPiece, Piece};

use crate::files::{self, Below, Guard};
use crate::source::Indexes;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::object::ObjectKind;

const OBJECTS: &str = "objects";
const PIECES: &str = "pieces";
const HINTS: &str = "hints";
const TABLES: &str = "tables";
const TREES: &str = "trees";
const SOURCES: &str = "sources";
const QUARANTINE: &str = "quarantine";

/// The length of the user's secret, in bytes.
const SECRET: usize = 32;
/// So many folders of one name are set aside.
const MAX_FOLDERS: u32 = 1000;
/// Hints are short lists: more than this is no hint.
const MAX_HINT: u64 = 4 << 20;
/// A path of a tree is not longer, on any system.
const MAX_NOTE: u64 = 64 << 10;

/// A folder of things fetched.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    secret: Option<PathBuf>,
}

impl Cache {
    /// In `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Cache { root: root.into(), secret: None }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// With a file of the user's own, outside of the cache, for a secret that is made when it is wanted first.
    #[must_use]
    pub fn with_secret(mut self, path: PathBuf) -> Self {
        self.secret = Some(path);
        self
    }

    /// Where indexes of tar files of source images are kept; nowhere, if this user can have no secret.
    pub fn indexes(&self) -> Option<Indexes> {
        Some(Indexes::new(self.root.join(SOURCES), self.secret().ok()??))
    }

    /// Why there are no indexes, where there could be: what is wrong with the user's secret.
    pub fn check_secret(&self) -> Result<()> {
        self.secret().map(drop)
    }

    fn secret(&self) -> Result<Option<[u8; SECRET]>> {
        let Some(path) = &self.secret else { return Ok(None) };
        let read = || files::read_guarded(path, SECRET as u64, Guard::Secret);
        let known = match read()? {
            Some(known) => known,
            None => {
                let mut new = [0; SECRET];
                OsRng.fill_bytes(&mut new);
                files::create_dir_all(files::parent(path))?;
                // Another process may have been first.
                files::create_new_private(path, &new)?;
                read()?.unwrap_or_default()
            }
        };
        let wrong = |_| Error::invalid(path.display(), format!("is not {SECRET} bytes long: remove it"));
        known.try_into().map(Some).map_err(wrong)
    }

    fn object_path(&self, kind: ObjectKind, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root.join(OBJECTS).join(&hex[..2]).join(format!("{hex}.{}", kind.extension()))
    }

    /// An object of at most `cap` bytes, if it is here and whole.
    pub fn object(&self, kind: ObjectKind, digest: &Digest, cap: u64) -> Option<Vec<u8>> {
        let path = self.object_path(kind, digest);
        let bytes = self.read(&path, cap)?;
        if Digest::of(&bytes) != *digest {
            self.set_aside(&path);
            return None;
        }
        self.mark_used(&path);
        Some(bytes)
    }

    /// Keeps an object, whose hash the caller has checked.
    pub fn keep_object(&self, kind: ObjectKind, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.object_path(kind, digest);
        if path.exists() { Ok(()) } else { self.put(&path, bytes) }
    }

    /// A small file that was kept under a registry's path for it.
    pub fn hint(&self, path: &str) -> Option<Vec<u8>> {
        self.read(&self.root.join(HINTS).join(path), MAX_HINT)
    }

    /// Keeps a small file that says where to look, and is not believed.
    pub fn keep_hint(&self, path: &str, bytes: &[u8]) -> Result<()> {
        if self.hint(path).as_deref() == Some(bytes) {
            return Ok(());
        }
        self.put(&self.root.join(HINTS).join(path), bytes)
    }

    fn table_path(&self, index: &Digest) -> PathBuf {
        self.root.join(TABLES).join(index.to_string())
    }

    /// The table of an index, if there is one of at most `cap` bytes: not checked.
    pub fn table(&self, index: &Digest, cap: u64) -> Option<Vec<u8>> {
        let bytes = self.look_at_table(index, cap)?;
        self.mark_used(&self.table_path(index));
        Some(bytes)
    }

    /// The same of a table that is of no use to anybody by that.
    pub fn look_at_table(&self, index: &Digest, cap: u64) -> Option<Vec<u8>> {
        self.read(&self.table_path(index), cap)
    }

    /// Keeps the table of an index, in place of any that was there.
    pub fn keep_table(&self, index: &Digest, bytes: &[u8]) -> Result<()> {
        self.put(&self.table_path(index), bytes)
    }

    /// Sets aside the table of an index, which led to wrong bytes. Whether there was one, and is none now.
    pub fn set_aside_table(&self, index: &Digest) -> bool {
        let path = self.table_path(index);
        let was_there = path.exists();
        self.set_aside(&path);
        was_there && !path.exists()
    }

    /// Notes that the version of an index gave wrong bytes, and nobody knows why: it is to be checked before it is read again.
    pub fn doubt(&self, index: &Digest) {
        let _ = self.keep_hint(&doubted(index), b"");
    }

    /// Whether a version is to be checked.
    pub fn is_doubted(&self, index: &Digest) -> bool {
        self.hint(&doubted(index)).is_some()
    }

    /// Notes that a version was checked.
    pub fn trust_again(&self, index: &Digest) {
        let _ = self.remove(&self.root.join(HINTS).join(doubted(index)));
    }

    /// Remembers that there is a tree at `path`.
    pub fn keep_tree(&self, path: &Path) -> Result<()> {
        let path = std::path::absolute(path).map_err(Error::io("find", path))?;
        let Some(text) = path.to_str() else { return Ok(()) };
        let name = Digest::of(text.as_bytes()).to_string();
        self.put(&self.root.join(TREES).join(name), text.as_bytes())
    }

    /// Where trees were pulled to; they may be gone or changed.
    pub fn trees(&self) -> Vec<PathBuf> {
        let notes = self.files_of(TREES).unwrap_or_default().into_iter();
        notes.filter_map(|(note, _)| self.tree_of(&note)).collect()
    }

    fn tree_of(&self, note: &Path) -> Option<PathBuf> {
        self.read(note, MAX_NOTE).and_then(|bytes| String::from_utf8(bytes).ok()).map(PathBuf::from)
    }

    /// Moves what is damaged out of the way, so that it is fetched again and can still be looked at.
    pub fn set_aside(&self, path: &Path) {
        // On a cache that cannot be written to it stays, and is found damaged again.
        let _ = self.try_set_aside(path);
    }

    fn try_set_aside(&self, path: &Path) -> Result<()> {
        let Some((folder, name)) = self.folder_of(path)? else { return Ok(()) };
        // A link or a pipe is nothing to look at later, and would stop `isn cache` there.
        if path.symlink_metadata().is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            return folder.remove(name);
        }
        match Below::make(&self.root, &self.root.join(QUARANTINE)) {
            // A folder is not ours to remove: where another of its name was put before, it goes beside that.
            Ok(_) if path.is_dir() => (0..MAX_FOLDERS)
                .map(|number| self.root.join(QUARANTINE).join(number.to_string()))
                .find_map(|place| folder.rename(name, &Below::make(&self.root, &place).ok()?).ok())
                .ok_or_else(|| Error::invalid(path.display(), "is a folder in the place of a file")),
            Ok(quarantine) => folder.rename(name, &quarantine).or_else(|_| folder.remove(name)),
            Err(foreign @ Error::Foreign { .. }) => Err(foreign),
            Err(_) => folder.remove(name),
        }
    }

    /// Removes a file of the cache; fine if there is none.
    fn remove(&self, path: &Path) -> Result<()> {
        self.folder_of(path)?.map_or(Ok(()), |(folder, name)| folder.remove(name))
    }

    /// The folder that holds `path`, opened without leaving the cache through a link; `None` where there is none.
    fn folder_of<'a>(&self, path: &'a Path) -> Result<Option<(Below, &'a OsStr)>> {
        let folder = Below::find(&self.root, files::parent(path))?;
        Ok(folder.zip(path.file_name()))
    }

    /// Opens a file of the cache; `None` if it is not there.
    fn open(&self, path: &Path) -> Result<Option<File>> {
        Below::open_file(&self.root, path)
    }

    /// A file of at most `cap` bytes, if it can be read.
    fn read(&self, path: &Path, cap: u64) -> Option<Vec<u8>> {
        files::read_to_cap(self.open(path).ok()??, path, cap).ok()
    }

    /// Writes a file: what is lost of it is fetched again.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        files::keep(&self.root, path, bytes)
    }

    /// What is used stays longest. Whether the file system lets us say so does not matter.
    fn mark_used(&self, path: &Path) {
        if let Ok(Some((folder, name))) = self.folder_of(path)
            && let Ok(Some(file)) = folder.open_to_append(name)
        {
            let _ = file.set_modified(SystemTime::now());
        }
    }
}

/// Where it is noted that a version is to be checked.
fn doubted(index: &Digest) -> String {
    format!("doubted/{index}")
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
