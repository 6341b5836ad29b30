//! `isn.lock`: the exact versions that a project uses, and where their trees are; and `isn.toml`, what it asks for.

mod place;

pub use place::misplaced;

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, Lock};
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Mistake, Result};
use isn_format::text::toml_text;
use isn_format::tree::Selection;

/// The lock file's name.
pub const LOCK_FILE: &str = "isn.lock";
/// The project file's name.
pub const PROJECT_FILE: &str = "isn.toml";
/// What is locked while the lock file is changed.
const CHANGING: &str = ".isn.lock.isn-lock";
const FORMAT: &str = "isn-lock/1";
/// A longer `isn.lock` or `isn.toml` is none, in bytes.
const MAX_LEN: u64 = 4 << 20;

/// The contents of `isn.lock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    format: String,
    /// One entry a tree, sorted by path.
    #[serde(default, rename = "dataset")]
    pub datasets: Vec<Locked>,
}

/// One tree of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Where it is, relative to the lock file.
    pub path: PathBuf,
    /// `name@version#b3:…`.
    pub pin: DatasetRef,
    /// From where it was pulled.
    pub registry: String,
    /// Which part of it.
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    pub selection: Selection,
}

/// The contents of `isn.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Where to look, in order.
    #[serde(default)]
    pub registry: Vec<String>,
    /// What `isn sync` is to bring.
    #[serde(default)]
    pub datasets: Vec<DatasetRef>,
}

impl Default for LockFile {
    fn default() -> Self {
        LockFile { format: FORMAT.into(), datasets: Vec::new() }
    }
}

impl LockFile {
    /// Reads `path`; an absent file locks nothing.
    pub fn read(path: &Path) -> Result<Self> {
        let Some(bytes) = files::read_users_own(path, MAX_LEN)? else { return Ok(LockFile::default()) };
        LockFile::parse(&path.display().to_string(), bytes)
    }

    /// Reads the bytes of a lock file, called `what` in errors.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let lock: LockFile = toml_text(what, bytes)?;
        if lock.format != FORMAT {
            let why = format!("has format '{}', this isn reads {FORMAT}", lock.format);
            return Err(Error::invalid(what, why));
        }
        if let Some(entry) =
            lock.datasets.iter().find(|entry| !matches!(entry.pin, DatasetRef::Version(_, _, Some(_))))
        {
            let why = format!("'{}' is no pin: expected NAME@VERSION#b3:…", entry.pin);
            return Err(Error::invalid(what, why));
        }
        Ok(lock)
    }

    /// Adds an entry for the project in `project`, in place of an older one of the same path. Mistakes are those of `what`.
    ///
    /// # Errors
    /// [`Error::Mistakes`] if its tree would be in that of another entry, or the other way round.
    pub fn add(&mut self, what: &str, project: &Path, mut entry: Locked) -> Result<()> {
        entry.path = plain(&entry.path);
        let path = entry.path.clone();
        self.datasets.retain(|old| plain(&old.path) != path);
        self.datasets.push(entry);
        self.datasets.sort_by(|a, b| a.path.cmp(&b.path));
        let entries: Vec<&Locked> = self.datasets.iter().collect();
        let overlaps = place::overlaps(project, &entries)?;
        let mistakes = overlaps.into_iter().filter(|overlap| overlap.is_of(&path));
        refuse(what, mistakes.map(|overlap| overlap.mistake).collect())
    }

    /// Changes the lock file at `path`, as one step among all processes that do; gives what it is then.
    pub fn change(path: &Path, change: impl FnOnce(&mut LockFile) -> Result<()>) -> Result<Self> {
        let path = &*files::behind_links(path)?;
        let lock_path = files::hidden_sibling(path, "isn-lock")?;
        let held = Lock::take_own(&lock_path)?;
        let changed = LockFile::read(path).and_then(|mut lock| {
            change(&mut lock)?;
            files::overwrite_locked(path, lock.to_text()?.as_bytes(), &held).map(|()| lock)
        });
        held.remove().and(changed)
    }

    /// The contents of the file.
    pub fn to_text(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(format!("# Written by isn: exact dataset versions. Restore with `isn sync --locked`.\n{text}"))
    }

    /// Refuses trees that are in each other or in a `.git`, and, unless `allow_outside`, those whose path leads out of
    /// `project`, the folder with the file called `what`: all of them at once.
    pub fn check_places(&self, what: &str, project: &Path, allow_outside: bool) -> Result<()> {
        let (mut mistakes, mut inside) = (Vec::new(), Vec::new());
        for entry in &self.datasets {
            match misplaced(project, &entry.path, &entry.pin, allow_outside)? {
                Some(mistake) => mistakes.push(mistake),
                None => inside.push(entry),
            }
        }
        mistakes.extend(place::overlaps(project, &inside)?.into_iter().map(|overlap| overlap.mistake));
        refuse(what, mistakes)
    }
}

fn refuse(what: &str, mistakes: Vec<Mistake>) -> Result<()> {
    if mistakes.is_empty() { Ok(()) } else { Err(Error::Mistakes { what: what.into(), mistakes }) }
}

/// A path without what changes nothing in it.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

impl Project {
    /// Reads `path`; an absent file asks for nothing.
    pub fn read(path: &Path) -> Result<Self> {
        let Some(bytes) = files::read_users_own(path, MAX_LEN)? else { return Ok(Project::default()) };
        Project::parse(&path.display().to_string(), bytes)
    }

    /// Reads the bytes of a project file, called `what` in errors.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        toml_text(what, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_at_once_are_all_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOCK_FILE);
        let pin: DatasetRef = format!("birds@1.0#b3:{}", "0".repeat(64)).parse().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (path, pin, project) = (&path, &pin, dir.path());
                scope.spawn(move || {
                    for number in 0..10 {
                        let entry = Locked {
                            path: format!("{writer}-{number}").into(),
                            pin: pin.clone(),
                            registry: "reg".into(),
                            selection: Selection::default(),
                        };
                        LockFile::change(path, |lock| lock.add("isn.lock", project, entry)).unwrap();
                    }
                });
            }
        });
        assert_eq!(LockFile::read(&path).unwrap().datasets.len(), 40);
        assert_eq!(files::names_in(dir.path()).unwrap(), [LOCK_FILE]);
    }
}
