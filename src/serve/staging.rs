//! Stages objects until their release is in the log: in a folder for each token, laid out like a registry and
//! hidden from readers. An object gets its name there only after its hash was checked. What each token has
//! staged is counted in memory, since counting it in the folder would take longer the more it has.

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

/// The prefix of an upload's name until it is complete. It differs from that of other temporary files, which
/// a publish removes.
const UPLOAD_PREFIX: &str = ".isn-upload-";
/// The number of random letters and digits after the prefix.
const UPLOAD_LEN: usize = 6;
/// The lock of the server that stages here.
const LOCK: &str = ".lock";
/// How long an object may wait for its release.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The staging area of a server.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
    quota: Quota,
    held: Arc<Mutex<HashMap<String, Held>>>,
    _lock: files::Lock,
}

/// The maximum that one token may have staged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    /// The total length of all objects, in bytes.
    pub(super) bytes: u64,
    pub(super) objects: usize,
}

/// What one token has staged, by path, and what is being uploaded.
#[derive(Debug, Default)]
struct Held {
    staged: HashMap<String, u64>,
    /// The number of objects that are staged or being uploaded, and their total length in bytes.
    objects: usize,
    bytes: u64,
}

impl Held {
    fn take(&mut self, length: u64) {
        self.objects = self.objects.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(length);
    }
}

/// A reservation for an upload that is under way.
#[derive(Debug)]
pub(super) struct Room {
    held: Arc<Mutex<HashMap<String, Held>>>,
    holder: String,
    /// `None` once the object is staged.
    length: Option<u64>,
}

impl Room {
    /// Turns the reservation into a staged object at `path`.
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
    /// Opens the staging area in the registry's folder, for one server at a time. Removes incomplete uploads
    /// of a killed one.
    pub(super) fn open(registry: &Path, quota: Quota) -> Result<Self> {
        let root = registry.join(layout::STAGING);
        files::Below::make_synced(registry, &root)?;
        files::OwnFolder::adopt(&root, |path, kind| path == LOCK || is_staged(path, kind))?;
        let lock = files::Lock::try_take(&root.join(LOCK))?.ok_or_else(|| {
            Error::invalid(registry.display(), "has another `isn serve` that accepts publishing")
        })?;
        let is_alone = lock.is_held();
        let staging = Staging { root, quota, held: Arc::default(), _lock: lock };
        if is_alone {
            staging.remove(|name, _| name.starts_with(UPLOAD_PREFIX))?;
        }
        staging.count()?;
        Ok(staging)
    }

    /// The folder of what a token has staged, which is a store of its own.
    pub(super) fn of(&self, holder: &str) -> PathBuf {
        self.root.join(holder)
    }

    /// Counts what is staged at the start.
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

    /// The maximum that one token may have staged.
    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// Reserves room for an object of this length; returns `None` if that would exceed the quota.
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

    /// Records that the object at `path` is no longer staged.
    pub(super) fn gone(&self, holder: &str, path: &str) {
        if let Some(held) = lock(&self.held).get_mut(holder)
            && let Some(length) = held.staged.remove(path)
        {
            held.take(length);
        }
    }

    /// Removes objects that have waited too long.
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

/// Whether a path below the staging area is a staged object or an incomplete upload: nothing else is removed.
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

/// Why an upload failed.
#[derive(Debug)]
pub(super) enum Ended {
    /// The connection ended before all bytes had arrived.
    Early,
    /// The bytes have this hash, which is the wrong one.
    Other(Digest),
    /// The file could not be written.
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

/// Writes the received bytes to a temporary file in `folder`, which is renamed to `to` once it has `length`
/// bytes with the hash `digest` and is on disk.
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
        // Staging the same object again changes nothing.
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
        // Counting in the folder would find too much.
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
        // Somebody else put files with other names there.
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
        // From now on the folder is recognised by its marker.
        files::replace(&root.join("photos/thesis"), b"x").unwrap();
        Staging::open(dir.path(), QUOTA).unwrap();
        assert!(root.join("photos/thesis").exists());
    }
}
