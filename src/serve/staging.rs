//! Where objects wait until their release is in the log: a folder for each token, laid out as a registry is, hidden from
//! readers. Nothing gets its name there before it was checked against it.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use crate::registry::layout;

/// An upload has this name until it is whole. Not as other temporary files: a publish removes those.
const UPLOAD_PREFIX: &str = ".isn-upload-";
/// How long an object waits for its release.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// All that is staged.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
    quota: u64,
    /// By holder: the lengths of uploads that are under way.
    coming: Arc<Mutex<HashMap<String, u64>>>,
    _lock: files::Lock,
}

/// Room for an upload that is under way.
#[derive(Debug)]
pub(super) struct Room {
    coming: Arc<Mutex<HashMap<String, u64>>>,
    holder: String,
    length: u64,
}

impl Staging {
    /// In the registry's folder. One server may stage there: what a killed one left half-written is removed.
    pub(super) fn open(registry: &Path, quota: u64) -> Result<Self> {
        let root = registry.join(layout::STAGING);
        files::Below::make(registry, &root)?.check_owner()?;
        let lock = files::Lock::try_take(&root.join(".lock"))?.ok_or_else(|| {
            Error::invalid(registry.display(), "has another `isn serve` that takes in what is published")
        })?;
        let staging = Staging { root, quota, coming: Arc::default(), _lock: lock };
        staging.remove(|name, _| name.starts_with(UPLOAD_PREFIX))?;
        Ok(staging)
    }

    /// What a holder has staged, as a store of its own.
    pub(super) fn of(&self, holder: &str) -> PathBuf {
        self.root.join(holder)
    }

    /// The most bytes that a holder may have staged.
    pub(super) fn quota(&self) -> u64 {
        self.quota
    }

    /// Room for so many bytes more; `None` if that is over the quota.
    pub(super) fn room(&self, holder: &str, length: u64) -> Result<Option<Room>> {
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.of(holder);
        let staged = if folder.is_dir() { files::walk(&folder)? } else { Vec::new() };
        let staged = staged.iter().filter(|(path, _)| !is_upload(path)).map(|(_, kind)| match kind {
            Kind::File(length) => *length,
            Kind::Other => 0,
        });
        let used = coming.entry(holder.into()).or_default();
        let total = staged.fold(used.saturating_add(length), u64::saturating_add);
        if total > self.quota {
            return Ok(None);
        }
        *used += length;
        Ok(Some(Room { coming: self.coming.clone(), holder: holder.into(), length }))
    }

    /// Removes what has waited too long.
    pub(super) fn tidy(&self) -> Result<()> {
        let now = SystemTime::now();
        self.remove(|_, modified| now.duration_since(modified).is_ok_and(|age| age > KEPT))
    }

    fn remove(&self, is_stale: impl Fn(&str, SystemTime) -> bool) -> Result<()> {
        for (path, _) in files::walk(&self.root)? {
            let name = path.rsplit('/').next().unwrap_or(&path);
            let full = self.root.join(&path);
            // It may just have been published.
            let Ok(modified) = full.symlink_metadata().and_then(|about| about.modified()) else { continue };
            if path.contains('/') && is_stale(name, modified) {
                files::remove_file(&full)?;
            }
        }
        Ok(())
    }
}

fn is_upload(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(UPLOAD_PREFIX))
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = coming.get_mut(&self.holder) {
            *used = used.saturating_sub(self.length);
        }
    }
}

/// Makes what is staged at `path` count as staged now.
pub(super) fn touch(path: &Path) -> Result<()> {
    let file = std::fs::File::options().write(true).open(path).map_err(Error::io("open", path))?;
    file.set_modified(SystemTime::now()).map_err(Error::io("write", path))
}

/// How an upload ended, if not well.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client went away before all bytes had come.
    Early,
    /// The bytes have this hash, which is not the one that they should have.
    Other(Digest),
    /// The disk refused.
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

/// Writes what comes to a file that gets the name `to`, in the store `folder`, once it is `length` bytes with the hash
/// `digest` and on disk.
pub(super) fn write(
    folder: &Path,
    to: &Path,
    digest: Digest,
    length: u64,
    mut bytes: mpsc::Receiver<Bytes>,
) -> std::result::Result<(), Ended> {
    files::Below::make(files::parent(folder), folder)?;
    files::create_dir_all_synced(files::parent(to))?;
    files::Below::make(folder, files::parent(to))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UPLOAD_PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut temp = builder.tempfile_in(folder).map_err(Error::io("write in", folder))?;
    let (mut hasher, mut received) = (blake3::Hasher::new(), 0);
    while let Some(piece) = bytes.blocking_recv() {
        received += piece.len() as u64;
        if received > length {
            return Err(Ended::Early);
        }
        hasher.update(&piece);
        temp.write_all(&piece).map_err(Error::io("write", to))?;
    }
    if received != length {
        return Err(Ended::Early);
    }
    let found = Digest::of_hasher(&hasher);
    if found != digest {
        return Err(Ended::Other(found));
    }
    temp.as_file().sync_all().map_err(Error::io("write", to))?;
    temp.persist(to).map_err(|e| Error::io("write", to)(e.error))?;
    Ok(files::sync_dir(files::parent(to))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_counts_what_is_staged_and_what_is_coming() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path(), 100).unwrap();
        assert!(Staging::open(dir.path(), 100).is_err(), "one server");
        let room = staging.room("a", 60).unwrap().unwrap();
        assert!(staging.room("a", 41).unwrap().is_none());
        assert!(staging.room("b", 100).unwrap().is_some());
        drop(room);
        files::replace(&staging.of("a").join("objects/x"), &[0; 50]).unwrap();
        assert!(staging.room("a", 51).unwrap().is_none());
        assert!(staging.room("a", u64::MAX).unwrap().is_none());
        assert!(staging.room("a", 50).unwrap().is_some());
    }

    #[test]
    fn what_is_old_or_half_written_goes() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path(), 100).unwrap();
        let [old, new, upload] = ["a/objects/old", "a/objects/new", "a/.isn-upload-x"].map(|name| {
            let path = dir.path().join(layout::STAGING).join(name);
            files::replace(&path, b"x").unwrap();
            path
        });
        let then = SystemTime::now() - KEPT - Duration::from_secs(60);
        std::fs::File::options().write(true).open(&old).unwrap().set_modified(then).unwrap();
        staging.tidy().unwrap();
        assert_eq!([&old, &new, &upload].map(|path| path.exists()), [false, true, true]);
        drop(staging);
        Staging::open(dir.path(), 100).unwrap();
        assert_eq!([&new, &upload].map(|path| path.exists()), [true, false]);
    }
}
