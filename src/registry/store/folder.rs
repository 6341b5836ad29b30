//! A registry in a local folder.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Change, Store};
use crate::error::{Error, Result};
use crate::files::{self, Below, Kind};
use crate::object::ObjectRef;
use crate::registry::Registry;
use crate::registry::publish::check_file;
use crate::transport::folder::Folder;

/// Held while something is written; a reader never looks at it.
const LOCK: &str = ".isn-lock";
/// With this the names begin that readers never see.
const HIDDEN: &str = ".isn-";
/// The longest such file that is read, in bytes.
const MAX_HIDDEN: u64 = 1 << 30;

/// A folder, which need not exist yet.
pub struct FolderStore {
    root: PathBuf,
    name: String,
    lock: PathBuf,
}

impl FolderStore {
    /// The folder `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        FolderStore { name: root.display().to_string(), lock: root.join(LOCK), root }
    }

    /// As if the file system had no locks: each writer has a lock file of its own.
    #[cfg(test)]
    pub(in crate::registry) fn beside_others(root: &Path, lock: &Path) -> Self {
        FolderStore { lock: lock.to_path_buf(), ..FolderStore::new(root) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The same of what is to be read, written or removed: what is isn's own is not reached through a link.
    fn at(&self, path: &str) -> Result<PathBuf> {
        let full = self.path(path);
        if is_hidden(path) {
            Below::check(&self.root, files::parent(&full))?;
        }
        Ok(full)
    }
}

impl Store for FolderStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn locate(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }

    fn registry(&self) -> Result<Registry> {
        Ok(Registry::over(self.name.clone(), Box::new(Folder::new(&self.root))))
    }

    fn is_free(&self) -> Result<bool> {
        let there = if self.root.exists() { files::names_in(&self.root)? } else { Vec::new() };
        Ok(there.iter().all(|name| name == LOCK || name.starts_with(files::TEMP_PREFIX)))
    }

    fn begin(&self) -> Result<Option<files::Lock>> {
        files::create_dir_all_synced(&self.root)?;
        let lock = files::Lock::take(&self.lock)?;
        // What is temporary is rubbish only for who has the folder's own lock.
        if self.lock.starts_with(&self.root) {
            for (path, kind) in files::walk(&self.root)? {
                if is_temporary(&path)
                    && matches!(kind, Kind::File(_))
                    && let Some(name) = self.path(&path).file_name()
                    && let Some(folder) = Below::find(&self.root, files::parent(&self.path(&path)))?
                {
                    folder.remove(name)?;
                }
            }
        }
        Ok(Some(lock))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let full = self.at(path)?;
        if is_hidden(path) { files::read_nofollow(&full, MAX_HIDDEN) } else { files::read_if_there(&full) }
    }

    fn length(&self, path: &str) -> Result<Option<u64>> {
        let path = self.path(path);
        match std::fs::metadata(&path) {
            Ok(about) => Ok(about.is_file().then_some(about.len())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("look at", &path)(e)),
        }
    }

    fn create_new(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        files::create_new(&self.at(path)?, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        files::replace(&self.at(path)?, bytes)
    }

    fn update(&self, path: &str, change: Change<'_>) -> Result<()> {
        let path = self.at(path)?;
        match change(files::read_if_there(&path)?.as_deref())? {
            Some(bytes) => files::replace(&path, &bytes),
            None => Ok(()),
        }
    }

    fn put(&self, path: &str, from: &Path, object: &ObjectRef) -> Result<()> {
        let to = self.path(path);
        files::create_dir_all(files::parent(&to))?;
        let mut source = files::open(from)?;
        let mut temp = files::temp_file_in(files::parent(&to))?;
        std::io::copy(&mut source, &mut temp).map_err(Error::io("write", &to))?;
        temp.flush().map_err(Error::io("write", &to))?;
        temp.as_file().sync_all().map_err(Error::io("write", &to))?;
        check_file(temp.path(), object)?;
        temp.persist(&to).map_err(|e| Error::io("write", &to)(e.error))?;
        Ok(())
    }

    fn settle(&self, paths: &[String]) -> Result<()> {
        // Each folder once, and those above: a writer that was killed may have made them.
        let folders: BTreeSet<&Path> =
            paths.iter().flat_map(|path| Path::new(path).ancestors().skip(1)).collect();
        folders.into_iter().try_for_each(|folder| files::sync_dir(&self.root.join(folder)))
    }

    fn check(&self, path: &str, object: &ObjectRef) -> Result<()> {
        check_file(&self.path(path), object)
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        let root = self.path(folder);
        if is_hidden(folder) {
            Below::check(&self.root, &root)?;
        }
        if !root.is_dir() {
            return Ok(Vec::new());
        }
        let below = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let found = files::walk(&root)?.into_iter().filter(|(path, _)| !is_temporary(path));
        let found = found.map(|(path, kind)| match kind {
            Kind::File(length) => Ok((below(path), length)),
            // Never read through its name, and to be removed by it.
            Kind::Other if is_hidden(folder) => Ok((below(path), 0)),
            Kind::Other => Err(Error::invalid(
                root.join(path).display(),
                "is a link, or no file at all: what it leads to may not be the registry's",
            )),
        });
        found.collect()
    }

    fn remove(&self, path: &str) -> Result<()> {
        files::remove_file(&self.at(path)?)
    }

    fn remove_all(&self, folder: &str) -> Result<()> {
        files::remove_dir_all(&self.at(folder)?)
    }
}

/// Whether a path is none of a registry's but one of those that isn keeps beside it, which readers never see.
fn is_hidden(path: &str) -> bool {
    path.split('/').any(|name| name.starts_with(HIDDEN))
}

fn is_temporary(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(files::TEMP_PREFIX))
}
