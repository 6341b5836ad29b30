//! [`Lock`]: one process at a time.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::below::lock_file;
use super::remove_file;
use isn_format::error::Result;

/// How long a lock is waited for before anything is said.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at a lock that another has.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// Who is told of a lock that another has had for a while.
static WAITING: OnceLock<fn(&Path)> = OnceLock::new();

/// Lets `tell` hear of each lock that this process has waited for in vain for a second, and goes on waiting for. The first
/// who asks is told: a lock is taken in places that know nobody to tell.
pub fn tell_of_waiting(tell: fn(&Path)) {
    let _ = WAITING.set(tell);
}

/// Holds a lock file; let go when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
    is_held: bool,
    /// Whether it was made by taking it.
    is_new: bool,
}

impl Lock {
    /// Takes the lock at `path`, which is the caller's own, or `None` if another process has it. Where the file system has
    /// no locks, this is one that is not [held](Lock::is_held).
    ///
    /// # Errors
    /// [`Error::Foreign`](isn_format::error::Error::Foreign) if something is there that is no lock of isn's, or somebody else's.
    pub fn try_take(path: &Path) -> Result<Option<Lock>> {
        loop {
            let (file, is_new) = lock_file(path, true)?;
            let tried = file.try_lock();
            let lock = Lock { path: path.to_path_buf(), file, is_held: tried.is_ok(), is_new };
            match tried {
                // Its last holder may have removed it meanwhile: then this is a lock on nothing.
                Ok(()) if !lock.is_in_place() => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Ok(()) | Err(fs::TryLockError::Error(_)) => return Ok(Some(lock)),
            }
        }
    }

    /// Waits for the lock at `path`, which stays there and may be anybody's: a registry is written to by several. Where the
    /// file system has no locks, this is one that is not [held](Lock::is_held).
    ///
    /// # Errors
    /// [`Error::Foreign`](isn_format::error::Error::Foreign) if something is there that is no lock of isn's.
    pub fn take(path: &Path) -> Result<Lock> {
        let (file, is_new) = lock_file(path, false)?;
        Ok(Lock { path: path.to_path_buf(), is_held: wait_for_lock(&file, path), file, is_new })
    }

    /// Waits for the lock at `path`, which is the caller's own and goes when it is [removed](Lock::remove).
    ///
    /// # Errors
    /// As of [`Lock::try_take`].
    pub fn take_own(path: &Path) -> Result<Lock> {
        loop {
            let (file, is_new) = lock_file(path, true)?;
            let lock = Lock { path: path.to_path_buf(), is_held: wait_for_lock(&file, path), file, is_new };
            if lock.is_in_place() {
                return Ok(lock);
            }
        }
    }

    /// Whether nobody else has it. Some file systems have no locks: there, others may be at work, and what they have under
    /// way is to be left alone.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Removes the file, so that nobody else finds it. One that is not held, and was there before, stays: another may hold it.
    pub fn remove(&self) -> Result<()> {
        if (self.is_held || self.is_new) && self.is_in_place() { remove_file(&self.path) } else { Ok(()) }
    }

    /// Whether the file is still the one at its path; taken to be so where the system does not say.
    fn is_in_place(&self) -> bool {
        is_same(self.file.metadata(), fs::symlink_metadata(&self.path))
    }
}

/// Waits until nobody else has the lock of an open file, which is called `path` where it is said that another has it. Whether
/// it is held then: some file systems have no locks.
pub fn wait_for_lock(file: &File, path: &Path) -> bool {
    let begun = Instant::now();
    while let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
        if begun.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
            continue;
        }
        // Who may only read the file can hold the lock too, for as long as they like.
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

/// Says that another has a lock that is waited for.
pub(super) fn say_waiting(path: &Path) {
    if let Some(tell) = WAITING.get() {
        tell(path);
    }
}

/// Whether both are there and one file; taken to be one where the system does not say.
pub fn is_same(one: io::Result<Metadata>, other: io::Result<Metadata>) -> bool {
    one.is_ok_and(|one| other.is_ok_and(|other| identity(&one) == identity(&other)))
}

/// What a file keeps for as long as it is there, and no other has meanwhile; `None` where the system does not say.
pub fn identity(about: &Metadata) -> Option<(u64, u64)> {
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
