//! [`Workplace`]: where a verb makes what it then puts in place as a whole.

use std::path::{Path, PathBuf};

use super::{Lock, OwnFolder, hidden_sibling};
use crate::error::Result;

/// A hidden folder of isn's own beside a destination, and the lock of whoever works in it. A run that was killed leaves
/// both, and the next one goes on there.
#[derive(Debug)]
pub struct Workplace {
    /// The folder.
    pub own: OwnFolder,
    lock: Option<Lock>,
}

/// The folder beside `to` and its lock. Where several things may be made for one destination, `key` tells them apart.
fn paths(to: &Path, key: &str) -> Result<(PathBuf, PathBuf)> {
    let key = if key.is_empty() { String::new() } else { format!("{key}.") };
    Ok((hidden_sibling(to, &format!("{key}isn-partial"))?, hidden_sibling(to, &format!("{key}isn-lock"))?))
}

impl Workplace {
    /// Takes the place beside `to`; `None` if another process has it.
    ///
    /// # Errors
    /// [`Error::Foreign`](crate::error::Error::Foreign) if something is there that isn has not made.
    pub fn open(to: &Path, key: &str) -> Result<Option<Self>> {
        let (path, lock) = paths(to, key)?;
        let Some(lock) = Lock::try_take(&lock)? else { return Ok(None) };
        let own = OwnFolder::open(&path).inspect_err(|_| drop(lock.remove()))?;
        Ok(Some(Workplace { own, lock: Some(lock) }))
    }

    /// A place that nobody else has and that no later run finds again, for who cannot wait for the other.
    pub fn open_aside(to: &Path, key: &str) -> Result<Self> {
        let (path, _) = paths(to, &format!("{key}.{}", std::process::id()))?;
        Ok(Workplace { own: OwnFolder::open(&path)?, lock: None })
    }

    /// Removes the folder with all that is in it, and the lock.
    pub fn discard(&self) -> Result<()> {
        self.own.remove()?;
        self.lock.as_ref().map_or(Ok(()), Lock::remove)
    }

    /// Removes what a run left that was killed; fine if there is nothing. What a run that is alive works in stays.
    pub fn discard_abandoned(to: &Path, key: &str) -> Result<()> {
        let (path, lock) = paths(to, key)?;
        // Looked at first, so that no lock comes and goes where there is nothing to do.
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        // What another is about to remove is his, to the last step.
        let Some(lock) = Lock::try_take(&lock)? else { return Ok(()) };
        let removed = OwnFolder::find(&path).and_then(|own| own.map_or(Ok(()), |own| own.remove()));
        lock.remove().and(removed)
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
        // Its marker is gone already, and the folder itself is next.
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
}
