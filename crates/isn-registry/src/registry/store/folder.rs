//! A registry in a local folder.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{Read as _, Seek};
use std::path::{Path, PathBuf};

use super::{Change, Store};
use crate::files::{self, Below, Kind};
use crate::registry::publish::check_bytes;
use crate::registry::{Registry, layout};
use crate::transport::folder::Folder;
use isn_format::error::{Error, Result};
use isn_format::object::ObjectRef;

/// The lock file of writers; readers never look at it.
const LOCK: &str = ".isn-lock";

/// A folder, which need not exist yet.
pub struct FolderStore {
    root: PathBuf,
    name: String,
    lock: PathBuf,
}

impl FolderStore {
    /// A store in the folder `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        FolderStore { name: root.display().to_string(), lock: root.join(LOCK), root }
    }

    /// A store whose writers have lock files of their own, as if the file system had no locks.
    #[cfg(test)]
    pub(in crate::registry) fn beside_others(root: &Path, lock: &Path) -> Self {
        FolderStore { lock: lock.to_path_buf(), ..FolderStore::new(root) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Opens the folder that contains a file, and returns it with the file's name; `None` if there is no such
    /// folder. All reads, writes and removals go through this: the registry's folder may be a symlink, but
    /// nothing in it.
    fn find<'p>(&self, path: &'p str) -> Result<Option<(Below, &'p OsStr)>> {
        let (folder, name) = split(path);
        Ok(Below::find(&self.root, &self.path(folder))?.map(|below| (below, name)))
    }

    /// As [`FolderStore::find`], but creates the folders on disk if they are absent.
    fn make<'p>(&self, path: &'p str) -> Result<(Below, &'p OsStr)> {
        let (folder, name) = split(path);
        Ok((Below::make_synced(&self.root, &self.path(folder))?, name))
    }
}

impl Store for FolderStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.root)
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
        // Temporary files are garbage only if the lock of the folder itself is held, which excludes other
        // writers.
        if lock.is_held() && self.lock.starts_with(&self.root) && self.root.exists() {
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
        self.find(path)?.map_or(Ok(None), |(folder, name)| folder.read(name, layout::max_len(path)))
    }

    fn length(&self, path: &str) -> Result<Option<u64>> {
        self.find(path)?.map_or(Ok(None), |(folder, name)| folder.length(name))
    }

    fn create_new(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        let (folder, name) = self.make(path)?;
        folder.create_new(name, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let (folder, name) = self.make(path)?;
        folder.replace(name, bytes)
    }

    fn update(&self, path: &str, change: Change<'_>) -> Result<()> {
        match change(self.read(path)?.as_deref())? {
            Some(bytes) => self.replace(path, &bytes),
            None => Ok(()),
        }
    }

    fn put(&self, path: &str, from: &Path, object: &ObjectRef) -> Result<()> {
        let (at, (folder, name)) = (self.path(path), split(path));
        let mut source = files::open(from)?.take(object.length.saturating_add(1));
        let folder = Below::make(&self.root, &self.path(folder))?;
        let mut temp = folder.temp()?;
        std::io::copy(&mut source, &mut temp).map_err(Error::io("write", &at))?;
        temp.file().rewind().map_err(Error::io("read", &at))?;
        // What was copied is what the source had, if only for a moment.
        check_bytes(temp.file(), from, object)?;
        temp.persist(name)
    }

    fn settle(&self, paths: &[String]) -> Result<()> {
        // Each folder and its ancestors once: a killed writer may have created them.
        let folders: BTreeSet<&Path> =
            paths.iter().flat_map(|path| Path::new(path).ancestors().skip(1)).collect();
        folders.into_iter().try_for_each(|folder| {
            Below::find(&self.root, &self.root.join(folder))?.map_or(Ok(()), |folder| folder.sync())
        })
    }

    fn check(&self, path: &str, object: &ObjectRef) -> Result<()> {
        let file = self.find(path)?.map_or(Ok(None), |(folder, name)| folder.open(name))?;
        let mut file = file.ok_or_else(|| Error::integrity(self.locate(path), "is missing"))?;
        check_bytes(&mut file, &self.path(path), object)
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        let root = self.path(folder);
        let Some(found) = Below::find(&self.root, &root)? else { return Ok(Vec::new()) };
        let below = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let found = found.list()?.into_iter().filter(|(path, _)| !is_temporary(path));
        let found = found.map(|(path, kind)| match kind {
            Kind::File(length) => Ok((below(path), length)),
            // Only listed, so that it can be removed by its path; never read.
            Kind::Other if layout::is_hidden(folder) => Ok((below(path), 0)),
            Kind::Other => Err(Error::invalid(
                root.join(path).display(),
                "is a symlink, or not a file: it may lead out of the registry",
            )),
        });
        found.collect()
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.find(path)?.map_or(Ok(()), |(folder, name)| folder.remove(name))
    }

    fn remove_folder(&self, path: &str) -> Result<bool> {
        self.find(path)?.map_or(Ok(true), |(folder, name)| folder.remove_folder(name))
    }
}

/// Splits a path into its folder and the name in it.
fn split(path: &str) -> (&str, &OsStr) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    (folder, OsStr::new(name))
}

fn is_temporary(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(files::TEMP_PREFIX))
}
