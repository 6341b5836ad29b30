//! [`Workplace`]: the staging folder where a verb makes what it then renames into place as a whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Lock, OwnFolder, hidden_sibling, lock};
use isn_format::error::Result;

/// A staging folder beside a destination, and the file lock of the run that works in it. A killed run leaves
/// both, and the next run resumes there. Where the file system has no locks, isn cannot tell whether a folder
/// is in use, so each run has a folder of its own that no later run finds.
#[derive(Debug)]
pub struct Workplace {
    /// The staging folder.
    pub own: OwnFolder,
    lock: Option<Lock>,
    /// Whether it may contain something of the user's.
    is_users: AtomicBool,
}

/// The staging folders that runs of this process have left with work in them.
static KEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Returns the staging folders that were left with work in them since the last call: a failed run leaves its
/// folder for the next run to resume. They are collected here because an error does not say what it leaves.
pub fn take_kept() -> BTreeSet<PathBuf> {
    std::mem::take(&mut KEPT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The number of hex digits that tell the folder of one run from that of any other.
const ASIDE: usize = 12;

/// Returns the paths of the staging folder beside `to` and of its lock. `key` distinguishes several things
/// that may be made for one destination.
fn paths(to: &Path, key: &str) -> Result<(PathBuf, PathBuf)> {
    let key = if key.is_empty() { String::new() } else { format!("{key}.") };
    Ok((hidden_sibling(to, &format!("{key}isn-partial"))?, hidden_sibling(to, &format!("{key}isn-lock"))?))
}

impl Workplace {
    /// Takes the staging folder beside `to`; returns `None` if another process has it.
    ///
    /// # Errors
    /// [`Error::Foreign`](isn_format::error::Error::Foreign) if something is there that isn has not made;
    /// [`Error::Io`](isn_format::error::Error::Io) if the folder or its lock cannot be created.
    pub fn open(to: &Path, key: &str) -> Result<Option<Self>> {
        let (path, lock) = paths(to, key)?;
        let Some(lock) = Lock::try_take(&lock)? else { return Ok(None) };
        if !lock.is_held() {
            lock.remove()?;
            return Workplace::open_aside(to, key).map(Some);
        }
        let own = OwnFolder::open(&path).inspect_err(|_| drop(lock.remove()))?;
        Ok(Some(Workplace::of(own, Some(lock))))
    }

    fn of(own: OwnFolder, lock: Option<Lock>) -> Self {
        Workplace { own, lock, is_users: AtomicBool::new(false) }
    }

    /// As [`Workplace::open`], but waits for another process for at most `patience`. The second value says
    /// whether it had to wait.
    ///
    /// # Errors
    /// As [`Workplace::open`].
    pub fn wait(to: &Path, key: &str, patience: Duration) -> Result<(Option<Self>, bool)> {
        let begun = Instant::now();
        let (mut work, mut is_said) = (Workplace::open(to, key)?, false);
        let is_waited_for = work.is_none();
        while work.is_none() && begun.elapsed() < patience {
            if !is_said && begun.elapsed() > lock::PATIENCE {
                lock::say_waiting(&paths(to, key)?.1);
                is_said = true;
            }
            std::thread::sleep(lock::PAUSE);
            work = Workplace::open(to, key)?;
        }
        Ok((work, is_waited_for))
    }

    /// Creates a staging folder that no other run finds, for a run that cannot wait for another one or cannot
    /// know whether there is one. Its name is random rather than the process's number, which may recur on
    /// another machine.
    ///
    /// # Errors
    /// As [`Workplace::open`].
    pub(crate) fn open_aside(to: &Path, key: &str) -> Result<Self> {
        let number = fastrand::u64(..) >> (64 - 4 * ASIDE);
        let dot = if key.is_empty() { "" } else { "." };
        let (path, _) = paths(to, &format!("{key}{dot}{number:0width$x}", width = ASIDE))?;
        Ok(Workplace::of(OwnFolder::open(&path)?, None))
    }

    /// Takes over what a killed run left; returns `None` if there is nothing, or if a live run may be using
    /// it.
    ///
    /// # Errors
    /// As [`Workplace::open`].
    pub(crate) fn abandoned(to: &Path, key: &str) -> Result<Option<Self>> {
        let (path, lock) = paths(to, key)?;
        // Checked first, so that no lock file comes and goes where there is nothing to do.
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        // Another process may be removing the folder: it holds the lock until the last step.
        let Some(lock) = Lock::try_take(&lock)? else { return Ok(None) };
        match OwnFolder::find(&path) {
            Ok(Some(own)) if lock.is_held() => Ok(Some(Workplace::of(own, Some(lock)))),
            found => lock.remove().and(found.map(|_| None)),
        }
    }

    /// Removes what a killed run left, if anything. The folder of a live run stays.
    ///
    /// # Errors
    /// As [`Workplace::open`]; also fails if something in the folder cannot be removed.
    pub fn discard_abandoned(to: &Path, key: &str) -> Result<()> {
        Workplace::abandoned(to, key)?.map_or(Ok(()), |work| work.discard())
    }

    /// Records that the folder may contain something of the user's from now on: only [`Workplace::discard`]
    /// removes it then.
    pub(crate) fn take_in(&self) {
        self.is_users.store(true, Ordering::Relaxed);
    }

    /// Records that the folder contains nothing of the user's any more.
    pub(crate) fn put_back(&self) {
        self.is_users.store(false, Ordering::Relaxed);
    }

    /// Removes the folder with all its contents, and the lock.
    ///
    /// # Errors
    /// Returns the first thing that cannot be removed.
    pub fn discard(&self) -> Result<()> {
        let removed = self.own.remove();
        self.lock.as_ref().map_or(Ok(()), Lock::remove).and(removed)
    }
}

/// A folder that no later run finds is removed with the run that made it, however the run ends. Any other
/// that has work in it is kept.
impl Drop for Workplace {
    fn drop(&mut self) {
        // The user must not be advised to remove something of their own.
        if self.is_users.load(Ordering::Relaxed) {
            return;
        }
        if self.lock.is_none() {
            let _ = self.own.remove();
        } else if !self.own.is_empty().unwrap_or(true) {
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(self.own.path().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tidies_leaves_alone_what_another_is_removing() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("tree");
        let work = Workplace::open(&to, "key").unwrap().unwrap();
        // Another process has removed the marker, and removes the folder next.
        work.own.remove_from(".made-by-isn").unwrap();
        Workplace::discard_abandoned(&to, "key").unwrap();
        let folder = paths(&to, "key").unwrap().0;
        assert_eq!(crate::files::names_in(&folder).unwrap(), [""; 0]);
        work.discard().unwrap();
        Workplace::discard_abandoned(&to, "key").unwrap();
        assert_eq!(crate::files::names_in(dir.path()).unwrap(), [""; 0]);
    }

    #[test]
    fn who_works_and_who_tidies_are_in_no_ones_way() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("tree");
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let to = &to;
                scope.spawn(move || {
                    for _ in 0..500 {
                        if worker % 2 == 0 {
                            Workplace::discard_abandoned(to, "").unwrap();
                        } else if let Some(work) = Workplace::open(to, "").unwrap() {
                            std::fs::write(work.own.folder("tree").unwrap().join("file"), "x").unwrap();
                            work.discard().unwrap();
                        }
                    }
                });
            }
        });
        assert_eq!(crate::files::names_in(dir.path()).unwrap(), [""; 0]);
    }

    #[test]
    fn what_a_killed_run_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("tree");
        let work = Workplace::open(&to, "").unwrap().unwrap();
        assert!(Workplace::open(&to, "").unwrap().is_none());
        work.own.folder("tree").unwrap();
        Workplace::discard_abandoned(&to, "").unwrap();
        assert!(work.own.join("tree").exists(), "it is alive");
        drop(work);
        Workplace::discard_abandoned(&to, "").unwrap();
        assert_eq!(crate::files::names_in(dir.path()).unwrap(), [""; 0]);
    }

    #[test]
    fn what_no_later_run_finds_goes_with_its_run_unless_it_has_something_of_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("tree");
        let [first, second] = [(); 2].map(|()| Workplace::open_aside(&to, "key").unwrap());
        assert_eq!(crate::files::names_in(dir.path()).unwrap().len(), 2);
        Workplace::discard_abandoned(&to, "key").unwrap();
        second.take_in();
        drop((first, second));
        assert_eq!(crate::files::names_in(dir.path()).unwrap().len(), 1);
    }
}
