//! Where objects wait until their release is in the log: a folder for each token, laid out as a registry is, hidden from
//! readers. Nothing gets its name there before it was checked against it. What each has there is kept count of: looking it
//! up in the folder would take the longer, the more somebody has put there.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;

use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::rel_path::check_segment;
use isn_registry::files::{self, Kind};
use isn_registry::registry::layout;

/// An upload has this name until it is whole. Not as other temporary files: a publish removes those.
const UPLOAD_PREFIX: &str = ".isn-upload-";
/// So many letters and digits follow it.
const UPLOAD_LEN: usize = 6;
/// Held by the server that stages here.
const LOCK: &str = ".lock";
/// How long an object waits for its release.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// All that is staged.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
    quota: Quota,
    held: Arc<Mutex<HashMap<String, Held>>>,
    _lock: files::Lock,
}

/// The most that one holder may have staged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    /// All objects together.
    pub(super) bytes: u64,
    pub(super) objects: usize,
}

/// What one holder has, by path; and what is coming.
#[derive(Debug, Default)]
struct Held {
    staged: HashMap<String, u64>,
    /// How many are staged or coming, and their bytes.
    objects: usize,
    bytes: u64,
}

impl Held {
    fn take(&mut self, length: u64) {
        self.objects = self.objects.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(length);
    }
}

/// Room for an upload that is under way.
#[derive(Debug)]
pub(super) struct Room {
    held: Arc<Mutex<HashMap<String, Held>>>,
    holder: String,
    /// Nothing, once what came stays.
    length: Option<u64>,
}

impl Room {
    /// The upload is at `path` now.
    pub(super) fn keep(mut self, path: &str) {
        let Some(length) = self.length.take() else { return };
        let mut all = lock(&self.held);
        let held = all.entry(self.holder.clone()).or_default();
        if let Some(before) = held.staged.insert(path.into(), length) {
            held.take(before);
        }
    }
}

fn lock(held: &Mutex<HashMap<String, Held>>) -> MutexGuard<'_, HashMap<String, Held>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Staging {
    /// In the registry's folder. One server may stage there: what a killed one left half-written is removed.
    pub(super) fn open(registry: &Path, quota: Quota) -> Result<Self> {
        let root = registry.join(layout::STAGING);
        files::Below::make_synced(registry, &root)?;
        files::OwnFolder::adopt(&root, |path, kind| path == LOCK || is_staged(path, kind))?;
        let lock = files::Lock::try_take(&root.join(LOCK))?.ok_or_else(|| {
            Error::invalid(registry.display(), "has another `isn serve` that takes in what is published")
        })?;
        let is_alone = lock.is_held();
        let staging = Staging { root, quota, held: Arc::default(), _lock: lock };
        if is_alone {
            staging.remove(|name, _| name.starts_with(UPLOAD_PREFIX))?;
        }
        staging.count()?;
        Ok(staging)
    }

    /// What a holder has staged, as a store of its own.
    pub(super) fn of(&self, holder: &str) -> PathBuf {
        self.root.join(holder)
    }

    /// Looks up what is there, once.
    fn count(&self) -> Result<()> {
        let mut held = lock(&self.held);
        for (path, kind) in files::walk(&self.root)? {
            if let (Some((holder, path)), Kind::File(length)) = (path.split_once('/'), kind) {
                let held = held.entry(holder.into()).or_default();
                held.staged.insert(path.into(), length);
                held.objects += 1;
                held.bytes += length;
            }
        }
        Ok(())
    }

    /// The most that a holder may have staged.
    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// Room for an object of so many bytes; `None` if that is over the quota.
    pub(super) fn room(&self, holder: &str, length: u64) -> Option<Room> {
        let mut held = lock(&self.held);
        let holders = held.entry(holder.into()).or_default();
        let bytes = holders.bytes.saturating_add(length);
        if bytes > self.quota.bytes || holders.objects >= self.quota.objects {
            return None;
        }
        holders.bytes = bytes;
        holders.objects += 1;
        Some(Room { held: self.held.clone(), holder: holder.into(), length: Some(length) })
    }

    /// What a holder had staged at `path` is there no more.
    pub(super) fn gone(&self, holder: &str, path: &str) {
        if let Some(held) = lock(&self.held).get_mut(holder)
            && let Some(length) = held.staged.remove(path)
        {
            held.take(length);
        }
    }

    /// Removes what has waited too long.
    pub(super) fn tidy(&self) -> Result<()> {
        let now = SystemTime::now();
        self.remove(|_, modified| now.duration_since(modified).is_ok_and(|age| age > KEPT))
    }

    fn remove(&self, is_stale: impl Fn(&str, SystemTime) -> bool) -> Result<()> {
        for (path, kind) in files::walk(&self.root)? {
            if !is_staged(&path, kind) {
                continue;
            }
            let name = path.rsplit('/').next().unwrap_or(&path);
            let full = self.root.join(&path);
            // It may just have been published.
            let Ok(modified) = full.symlink_metadata().and_then(|about| about.modified()) else { continue };
            if let Some((holder, path)) = path.split_once('/')
                && is_stale(name, modified)
            {
                files::remove_file(&full)?;
                self.gone(holder, path);
            }
        }
        Ok(())
    }
}

/// Whether a file below the folder of all that is staged is one that is staged, or half of one: nothing else is removed.
fn is_staged(path: &str, kind: Kind) -> bool {
    let Some((holder, path)) = path.split_once('/').filter(|_| matches!(kind, Kind::File(_))) else {
        return false;
    };
    if check_segment(holder).is_err() {
        return false;
    }
    let upload = path.strip_prefix(UPLOAD_PREFIX);
    upload.is_some_and(|rest| rest.len() == UPLOAD_LEN && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
        || matches!(layout::public(path), Some(layout::Public::Object(_)))
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(length) = self.length
            && let Some(held) = lock(&self.held).get_mut(&self.holder)
        {
            held.take(length);
        }
    }
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
    files::Below::make_synced(files::parent(folder), files::parent(to))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UPLOAD_PREFIX).rand_bytes(UPLOAD_LEN);
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
    use isn_format::object::ObjectKind;

    const QUOTA: Quota = Quota { bytes: 100, objects: 3 };

    #[test]
    fn a_quota_counts_what_is_staged_and_what_is_coming() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path(), QUOTA).unwrap();
        assert!(Staging::open(dir.path(), QUOTA).is_err(), "one server");
        let room = staging.room("a", 60).unwrap();
        assert!(staging.room("a", 41).is_none());
        assert!(staging.room("b", 100).is_some());
        drop(room);
        let stage = |path: &str, length: usize| {
            let room = staging.room("a", length as u64).unwrap();
            files::replace(&staging.of("a").join(path), &vec![0; length]).unwrap();
            room.keep(path);
        };
        stage("objects/x", 50);
        assert!(staging.room("a", 51).is_none());
        assert!(staging.room("a", u64::MAX).is_none());
        assert!(staging.room("a", 50).is_some());
        // The same once more is the same.
        stage("objects/x", 50);
        assert!(staging.room("a", 50).is_some());
        staging.gone("a", "objects/x");
        staging.gone("a", "objects/x");
        assert!(staging.room("a", 100).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_made_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        let staging = Staging::open(&dir.path().join("registry"), QUOTA).unwrap();
        let folder = staging.of("a");
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("objects")).unwrap();
        let (_, bytes) = mpsc::channel(1);
        let written = write(&folder, &folder.join("objects/ab/x"), Digest::of(b""), 0, bytes);
        assert!(matches!(written, Err(Ended::Failed(Error::Foreign { .. }))), "{written:?}");
        assert_eq!(files::names_in(&outside).unwrap(), [""; 0]);
    }

    #[test]
    fn a_quota_counts_objects() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path(), QUOTA).unwrap();
        for name in ["1", "2"] {
            files::replace(&staging.of("a").join(name), b"x").unwrap();
            staging.room("a", 1).unwrap().keep(name);
        }
        let third = staging.room("a", 1).unwrap();
        assert!(staging.room("a", 0).is_none());
        assert!(staging.room("b", 0).is_some());
        drop(third);
        assert!(staging.room("a", 1).is_some());
        // Another server counts the same.
        drop(staging);
        let staging = Staging::open(dir.path(), QUOTA).unwrap();
        staging.room("a", 98).unwrap().keep("3");
        assert!(staging.room("a", 0).is_none());
        staging.gone("a", "1");
        assert!(staging.room("a", 2).is_none());
        assert!(staging.room("a", 1).is_some());
    }

    #[test]
    fn no_request_looks_through_what_is_staged() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path(), QUOTA).unwrap();
        // Whoever looked would find too much.
        files::replace(&staging.of("a").join("objects/unknown"), &[0; 101]).unwrap();
        assert!(staging.room("a", 100).is_some());
    }

    #[test]
    fn what_is_old_or_half_written_goes() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path(), QUOTA).unwrap();
        let then = SystemTime::now() - KEPT - Duration::from_secs(60);
        let age = |path: &Path| {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
        };
        let put = |name: &str| {
            let path = dir.path().join(layout::STAGING).join(name);
            files::replace(&path, b"x").unwrap();
            path
        };
        let [old, new] = ["old", "new"].map(|name| {
            put(&format!("a/{}", layout::object(ObjectKind::Shard, &Digest::of(name.as_bytes()))))
        });
        let upload = put("a/.isn-upload-x1Y2z3");
        // What has other names was put there by somebody else.
        let others = ["a/thesis", "a/objects/thesis", "a/.isn-upload-mine", "thesis"].map(put);
        [&old].into_iter().chain(&others).for_each(|path| age(path));
        staging.count().unwrap();
        staging.tidy().unwrap();
        assert_eq!(lock(&staging.held)["a"].staged.len(), 5);
        assert_eq!([&old, &new, &upload].map(|path| path.exists()), [false, true, true]);
        drop(staging);
        Staging::open(dir.path(), QUOTA).unwrap();
        assert_eq!([&new, &upload].map(|path| path.exists()), [true, false]);
        assert!(others.iter().all(|path| path.exists()));
    }

    #[test]
    fn a_folder_without_marker_is_taken_over_if_all_in_it_is_staged() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join(layout::STAGING);
        let object = root.join("a").join(layout::object(ObjectKind::Shard, &Digest::of(b"x")));
        for path in [&object, &root.join("a/.isn-upload-x1Y2z3"), &root.join(LOCK)] {
            files::replace(path, b"").unwrap();
        }
        for other in ["photos/thesis", "thesis", "a/objects/thesis", "a/.isn-upload-mine"] {
            files::replace(&root.join(other), b"x").unwrap();
            let refused = Staging::open(dir.path(), QUOTA).unwrap_err();
            assert!(refused.to_string().contains(other), "{refused}");
            std::fs::remove_file(root.join(other)).unwrap();
        }
        Staging::open(dir.path(), QUOTA).unwrap();
        assert!(object.exists() && !root.join("a/.isn-upload-x1Y2z3").exists());
        // From now on it is known by its marker.
        files::replace(&root.join("photos/thesis"), b"x").unwrap();
        Staging::open(dir.path(), QUOTA).unwrap();
        assert!(root.join("photos/thesis").exists());
    }
}
