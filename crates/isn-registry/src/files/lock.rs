//! [`Lock`]: a file lock, held by one process at a time.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::below::lock_file;
use super::remove_file;
use isn_format::error::Result;

/// How long to wait for a lock before saying so.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait between two attempts to take a lock.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// The function that is told of a lock that is waited for.
static WAITING: OnceLock<fn(&Path)> = OnceLock::new();

/// Registers `tell` to be called with the path of each lock that this process has waited for in vain for a
/// second. The first registration counts. It is global because locks are taken deep in code that cannot
/// report progress.
pub fn tell_of_waiting(tell: fn(&Path)) {
    let _ = WAITING.set(tell);
}

/// A lock on a file; released when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
    is_held: bool,
    /// Whether taking the lock created the file.
    is_new: bool,
}

impl Lock {
    /// Takes the lock at `path`, whose file must be the caller's own; returns `None` if another process holds
    /// it. Where the file system has no locks, the result is not [held](Lock::is_held).
    ///
    /// # Errors
    /// [`Error::Foreign`](isn_format::error::Error::Foreign) if the file is not a lock of isn's, or belongs
    /// to another user.
    pub fn try_take(path: &Path) -> Result<Option<Lock>> {
        loop {
            let (file, is_new) = lock_file(path, true)?;
            let tried = file.try_lock();
            let lock = Lock { path: path.to_path_buf(), file, is_held: tried.is_ok(), is_new };
            match tried {
                // The last holder may have removed the file meanwhile; this lock would then exclude nobody.
                Ok(()) if !lock.is_in_place() => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Ok(()) | Err(fs::TryLockError::Error(_)) => return Ok(Some(lock)),
            }
        }
    }

    /// Waits for the lock at `path`, whose file stays there and may be another user's, as several users may
    /// write to one registry. Where the file system has no locks, the result is not [held](Lock::is_held).
    ///
    /// # Errors
    /// [`Error::Foreign`](isn_format::error::Error::Foreign) if the file is not a lock of isn's.
    pub fn take(path: &Path) -> Result<Lock> {
        let (file, is_new) = lock_file(path, false)?;
        Ok(Lock { path: path.to_path_buf(), is_held: wait_for_lock(&file, path), file, is_new })
    }

    /// Waits for the lock at `path`, whose file must be the caller's own and goes when it is
    /// [removed](Lock::remove).
    ///
    /// # Errors
    /// As [`Lock::try_take`].
    pub(crate) fn take_own(path: &Path) -> Result<Lock> {
        loop {
            let (file, is_new) = lock_file(path, true)?;
            let lock = Lock { path: path.to_path_buf(), is_held: wait_for_lock(&file, path), file, is_new };
            if lock.is_in_place() {
                return Ok(lock);
            }
        }
    }

    /// Whether the lock is really held. Some file systems have no locks: others may be at work there, so what
    /// they may have under way must be left alone.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Removes the lock's file, so that nobody else finds it. A file that was there before and is not locked
    /// stays: another process may be using it.
    ///
    /// # Errors
    /// [`Error::Io`](isn_format::error::Error::Io) if it cannot be removed.
    pub fn remove(&self) -> Result<()> {
        if (self.is_held || self.is_new) && self.is_in_place() { remove_file(&self.path) } else { Ok(()) }
    }

    /// Whether the file is still the one at its path; assumed where the system does not say.
    fn is_in_place(&self) -> bool {
        is_same(self.file.metadata(), fs::symlink_metadata(&self.path))
    }
}

/// Waits until no other process holds the lock of an open file, and takes it. `path` is what the user is told
/// while waiting. Returns whether the lock is held: some file systems have no locks.
pub(crate) fn wait_for_lock(file: &File, path: &Path) -> bool {
    let begun = Instant::now();
    while let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
        if begun.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
            continue;
        }
        // A user who may only read the file can hold the lock as well, for as long as they like.
        say_waiting(path);
        break;
    }
    loop {
        match file.lock() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            locked => return locked.is_ok(),
        }
    }
}

/// Says that a lock is being waited for.
pub(super) fn say_waiting(path: &Path) {
    if let Some(tell) = WAITING.get() {
        tell(path);
    }
}

/// Whether both exist and are the same file; assumed to be the same where the system does not say.
pub fn is_same(one: io::Result<Metadata>, other: io::Result<Metadata>) -> bool {
    one.is_ok_and(|one| other.is_ok_and(|other| identity(&one) == identity(&other)))
}

/// Returns the device and the inode of a file, which no other file has while it exists; `None` if the system
/// has none.
pub(crate) fn identity(about: &Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Some((about.dev(), about.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        None
    }
}

/// Returns how many names a file has; `None` if the system does not say.
pub(crate) fn names(about: &Metadata) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Some(about.nlink())
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::error::Error;

    #[test]
    fn one_holder_of_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::try_take(&path).unwrap().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(held);
        let held = Lock::try_take(&path).unwrap().unwrap();
        held.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_has_something_in_it_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        fs::write(&path, "all of it").unwrap();
        assert!(matches!(Lock::try_take(&path), Err(Error::Foreign { .. })));
        assert!(matches!(Lock::take(&path), Err(Error::Foreign { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"all of it");
    }
}
