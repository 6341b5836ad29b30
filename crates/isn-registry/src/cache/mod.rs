//! [`Cache`]: keeps fetched objects by their hash, so that no byte is fetched twice. Any number of processes
//! and hosts may use one folder: a file gets its name when it is complete, and never changes (rows of decoded
//! images are added). Nothing in it is trusted: a reader checks it as if it had come over the network, and
//! sets damaged files aside.
//!
//! | file | contents |
//! |---|---|
//! | `objects/<2 hex>/<64 hex>.<ext>` | an object, as in a registry; never a shard |
//! | `pieces/<2 hex>/<64 hex>/<start>-<end>-<64 hex>` | bytes `start..end` of the shard with that hash, and their own BLAKE3 |
//! | `tables/<64 hex>` | the [`isn_format::table::Table`] of the index with that hash, which opens faster |
//! | `hints/packs/<64 hex>`, `hints/pins/<64 hex>` | the list of packs of a manifest; the manifest of a dataset hash |
//! | `hints/packs-of/<64 hex>/<64 hex>` | the list of packs that a location has for a manifest |
//! | `trees/<64 hex>` | the path of a pulled tree, whose images may serve a later pull |
//! | `sources/<64 hex>.jsonl` | an index of a tar file of source images, see [`crate::source::Indexes`] |
//! | `decoded/<64 hex>` | pixels of a version's images, for `isn.load(…, cache="decoded")`, see `decoded` |
//! | `quarantine/` | damaged files |

pub(crate) mod decoded;
mod inventory;
mod piece;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ssh_key::rand_core::{OsRng, RngCore as _};

pub use decoded::Mapped;
pub use inventory::{Damaged, Inventory, Swept};
pub use piece::{Fate, NewPiece, Piece};

use crate::files::{self, Below, Guard};
use crate::source::Indexes;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::object::ObjectKind;

/// The maximum length of a metadata object, in bytes, whatever a manifest says: an index of some ten million
/// images.
pub(crate) const MAX_METADATA: u64 = 2 << 30;

const OBJECTS: &str = "objects";
const PIECES: &str = "pieces";
const HINTS: &str = "hints";
/// The marks of versions that must be checked before they are read, in `hints`.
const DOUBTED: &str = "doubted";
/// The lists of packs of each location, in `hints`.
const PACKS_OF: &str = "packs-of";
const TABLES: &str = "tables";
const TREES: &str = "trees";
const SOURCES: &str = "sources";
const DECODED: &str = "decoded";
const QUARANTINE: &str = "quarantine";

/// The length of the user's secret, in bytes.
const SECRET: usize = 32;
/// The maximum number of folders with the same name that are set aside.
const MAX_FOLDERS: u32 = 1000;
/// The maximum length of a hint, in bytes: hints are short lists.
const MAX_HINT: u64 = 4 << 20;
/// The maximum length of a tree's path, in bytes; no system has longer ones.
const MAX_NOTE: u64 = 64 << 10;

/// A cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    secret: Option<PathBuf>,
}

impl Cache {
    /// The cache in `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Cache { root: root.into(), secret: None }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the error that it did not keep what it should, for the reason `why`, a predicate.
    pub(crate) fn not_kept(&self, why: String) -> Error {
        Error::NotKept { cache: self.root.clone(), why }
    }

    /// Returns the error that it cannot be written to.
    pub(crate) fn unwritable(&self, why: &str) -> Error {
        self.not_kept(format!("cannot be written to: {why}"))
    }

    /// Sets the file of the user's secret, which lies outside the cache and is created when it is first
    /// needed.
    #[must_use]
    pub(crate) fn with_secret(mut self, path: PathBuf) -> Self {
        self.secret = Some(path);
        self
    }

    /// The indexes of tar files of source images; `None` if there is no secret to authenticate them with.
    pub fn indexes(&self) -> Option<Indexes> {
        Some(Indexes::new(self.root.join(SOURCES), self.secret().ok()??))
    }

    /// Checks that the user's secret can be read or created; without it there are no indexes of tar files.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the file has the wrong length or others may read it; [`Error::Io`] if it cannot
    /// be read or created.
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
                // If another process was first, its secret is read below.
                files::create_new_private(path, &new)?;
                read()?.unwrap_or_default()
            }
        };
        let wrong = |_| Error::invalid(path.display(), format!("is not {SECRET} bytes long: remove it"));
        known.try_into().map(Some).map_err(wrong)
    }

    /// The path of an object.
    pub(crate) fn object_path(&self, kind: ObjectKind, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root.join(OBJECTS).join(&hex[..2]).join(format!("{hex}.{}", kind.extension()))
    }

    /// Returns an object of at most `cap` bytes, if the cache has it undamaged.
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

    /// Whether it has an object of at most `cap` bytes, by its hash. One that is damaged is set aside.
    pub(crate) fn has_object(&self, kind: ObjectKind, digest: &Digest, cap: u64) -> bool {
        let Some(file) = self.open_object(kind, digest) else { return false };
        let (path, mut hasher) = (self.object_path(kind, digest), blake3::Hasher::new());
        let is_read = hasher.update_reader(file.take(cap.saturating_add(1))).is_ok();
        let is_right = is_read && hasher.count() <= cap && Digest::of_hasher(&hasher) == *digest;
        match is_right {
            true => self.mark_used(&path),
            false => self.set_aside(&path),
        }
        is_right
    }

    /// Opens an object, whose bytes the caller checks.
    pub(crate) fn open_object(&self, kind: ObjectKind, digest: &Digest) -> Option<File> {
        self.open(&self.object_path(kind, digest)).ok()?
    }

    /// Keeps an object, whose hash the caller has checked.
    ///
    /// # Errors
    /// Fails if the cache cannot be written to.
    pub(crate) fn keep_object(&self, kind: ObjectKind, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.object_path(kind, digest);
        if path.exists() { Ok(()) } else { self.put(&path, bytes) }
    }

    /// Returns the hint that was kept under a registry's path.
    pub fn hint(&self, path: &str) -> Option<Vec<u8>> {
        self.read(&self.hint_path(path), MAX_HINT)
    }

    /// Returns the dataset hashes of which it knows a manifest.
    pub(crate) fn pins(&self) -> impl Iterator<Item = Digest> {
        let names = files::names_in(&self.hint_path("pins")).unwrap_or_default();
        names.into_iter().filter_map(|name| name.parse().ok())
    }

    /// The path of the hint that is kept under a registry's path.
    pub(crate) fn hint_path(&self, path: &str) -> PathBuf {
        self.root.join(HINTS).join(path)
    }

    /// The path in `hints` of the list of packs that a location has for a manifest.
    pub(crate) fn packs_of(location: &str, manifest: &Digest) -> String {
        format!("{PACKS_OF}/{}/{manifest}", Digest::of(location.as_bytes()))
    }

    /// Keeps a hint under a registry's path. Hints say where to look, and are not trusted.
    ///
    /// # Errors
    /// Fails if the cache cannot be written to.
    pub fn keep_hint(&self, path: &str, bytes: &[u8]) -> Result<()> {
        if self.hint(path).as_deref() == Some(bytes) {
            return Ok(());
        }
        self.put(&self.hint_path(path), bytes)
    }

    fn table_path(&self, index: &Digest) -> PathBuf {
        self.root.join(TABLES).join(index.to_string())
    }

    /// Opens the table of an index, which is unchecked, and marks it as used.
    pub(crate) fn table(&self, index: &Digest) -> Option<File> {
        let file = self.look_at_table(index)?;
        self.mark_used(&self.table_path(index));
        Some(file)
    }

    /// Whether there is a table of an index.
    pub(crate) fn has_table(&self, index: &Digest) -> bool {
        self.table_path(index).is_file()
    }

    /// As [`Cache::table`], without marking the table as used.
    pub(crate) fn look_at_table(&self, index: &Digest) -> Option<File> {
        self.open(&self.table_path(index)).ok()?
    }

    /// Keeps the table of an index, which `write` passes on piece by piece; replaces an older one.
    ///
    /// # Errors
    /// Fails if the cache cannot be written to, or as `write` does.
    pub(crate) fn keep_table(
        &self,
        index: &Digest,
        write: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        files::keep_by(&self.root, &self.table_path(index), write)
    }

    /// Sets aside the table of an index, which led to wrong bytes. Returns whether there was one and it is
    /// gone.
    pub(crate) fn set_aside_table(&self, index: &Digest) -> bool {
        let path = self.table_path(index);
        let was_there = path.exists();
        self.set_aside(&path);
        was_there && !path.exists()
    }

    /// Records that reading the version of an index gave wrong bytes for an unknown reason, so that it is
    /// checked before it is read again.
    pub(crate) fn doubt(&self, index: &Digest) {
        let _ = self.keep_hint(&doubted(index), b"");
    }

    /// Whether a version must be checked before it is read.
    pub(crate) fn is_doubted(&self, index: &Digest) -> bool {
        self.hint(&doubted(index)).is_some()
    }

    /// Records that a version was checked.
    pub(crate) fn trust_again(&self, index: &Digest) {
        let _ = self.remove(&self.hint_path(&doubted(index)));
    }

    /// Remembers that there is a tree at `path`.
    ///
    /// # Errors
    /// Fails if the cache cannot be written to.
    pub(crate) fn keep_tree(&self, path: &Path) -> Result<()> {
        let path = std::path::absolute(path).map_err(Error::io("find", path))?;
        let Some(text) = path.to_str() else { return Ok(()) };
        let name = Digest::of(text.as_bytes()).to_string();
        self.put(&self.root.join(TREES).join(name), text.as_bytes())
    }

    /// The paths of pulled trees, which may be gone or changed.
    pub fn trees(&self) -> Vec<PathBuf> {
        let notes = self.files_of(TREES).unwrap_or_default().into_iter();
        notes.filter_map(|(note, _)| self.tree_of(&note)).collect()
    }

    fn tree_of(&self, note: &Path) -> Option<PathBuf> {
        self.read(note, MAX_NOTE).and_then(|bytes| String::from_utf8(bytes).ok()).map(PathBuf::from)
    }

    /// Moves a damaged file to the quarantine, so that it is fetched again and can still be examined.
    pub fn set_aside(&self, path: &Path) {
        // In a read-only cache the file stays, and is found damaged again.
        let _ = self.try_set_aside(path);
    }

    fn try_set_aside(&self, path: &Path) -> Result<()> {
        let Some((folder, name)) = self.folder_of(path)? else { return Ok(()) };
        // A symlink or a pipe is not worth keeping, and `isn cache` would stop at it in the quarantine.
        if path.symlink_metadata().is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            return folder.remove(name);
        }
        match Below::make(&self.root, &self.root.join(QUARANTINE)) {
            // isn must not remove a folder: if the quarantine has one of that name, it goes beside that.
            Ok(_) if path.is_dir() => (0..MAX_FOLDERS)
                .map(|number| self.root.join(QUARANTINE).join(number.to_string()))
                .find_map(|place| folder.rename(name, &Below::make(&self.root, &place).ok()?).ok())
                .ok_or_else(|| Error::invalid(path.display(), "is a folder, where a file must be")),
            Ok(quarantine) => folder.rename(name, &quarantine).or_else(|_| folder.remove(name)),
            Err(foreign @ Error::Foreign { .. }) => Err(foreign),
            Err(_) => folder.remove(name),
        }
    }

    /// Removes a file of the cache, if it exists.
    fn remove(&self, path: &Path) -> Result<()> {
        self.folder_of(path)?.map_or(Ok(()), |(folder, name)| folder.remove(name))
    }

    /// Opens the folder of `path` without following a symlink out of the cache; `None` if there is none.
    fn folder_of<'a>(&self, path: &'a Path) -> Result<Option<(Below, &'a OsStr)>> {
        let folder = Below::find(&self.root, files::parent(path))?;
        Ok(folder.zip(path.file_name()))
    }

    /// Opens a file of the cache; `None` if there is none.
    fn open(&self, path: &Path) -> Result<Option<File>> {
        Below::open_file(&self.root, path)
    }

    /// Reads a file of at most `cap` bytes, if that is possible.
    fn read(&self, path: &Path, cap: u64) -> Option<Vec<u8>> {
        files::read_to_cap(self.open(path).ok()??, path, cap).ok()
    }

    /// Writes a file without waiting for the disk: what is lost is fetched again.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        files::keep(&self.root, path, bytes)
    }

    /// Marks a file as used, since a sweep keeps what was used last. A failure does not matter.
    fn mark_used(&self, path: &Path) {
        if let Ok(Some((folder, name))) = self.folder_of(path)
            && let Ok(Some(file)) = folder.open_to_append(name)
        {
            let _ = file.set_modified(SystemTime::now());
        }
    }
}

/// The path of the mark that a version must be checked.
fn doubted(index: &Digest) -> String {
    format!("{DOUBTED}/{index}")
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
