//! `isn.lock`, which records the exact versions that a project uses and where their trees are; and
//! `isn.toml`, which says which versions a project asks for.

mod place;

pub use place::misplaced;

use std::path::{Component, Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::files::{self, Lock};
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Input, LockFault, Mistake, Result};
use isn_format::text::toml_text;
use isn_format::tree::Selection;

/// The name of the lock file.
pub(crate) const LOCK_FILE: &str = "isn.lock";
/// The name of the project file.
pub(crate) const PROJECT_FILE: &str = "isn.toml";
/// The hidden file that a process locks while it changes the lock file.
const CHANGING: &str = ".isn.lock.isn-lock";
const FORMAT: &str = "isn-lock/1";
/// The maximum length of `isn.lock` and of `isn.toml`, in bytes.
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
    /// The path of the tree, relative to the lock file.
    pub path: PathBuf,
    /// The pin, `NAME@VERSION#b3:HASH`.
    pub pin: DatasetRef,
    /// The registry that the tree was pulled from.
    pub registry: String,
    /// Which part of the version the tree has.
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    pub selection: Selection,
}

/// The contents of `isn.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Where to look for versions, in order.
    #[serde(default, deserialize_with = "list_of_registries")]
    pub registry: Vec<String>,
    /// The references that `isn sync` pulls.
    #[serde(default, deserialize_with = "list_of_datasets")]
    pub datasets: Vec<DatasetRef>,
}

impl Default for LockFile {
    fn default() -> Self {
        LockFile { format: FORMAT.into(), datasets: Vec::new() }
    }
}

impl LockFile {
    /// Reads the lock file at `path`; an absent file is an empty lock file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::LockFile`] if it is too long or not a regular file,
    /// or as for [`LockFile::parse`]; [`Error::Invalid`] if it is a symlink that leads nowhere.
    pub fn read(path: &Path) -> Result<Self> {
        let what = path.display().to_string();
        if let Some(why) = files::no_file(path) {
            return Err(Error::LockFile { what, why: why.into(), fault: LockFault::Damaged });
        }
        let read = files::read_users_own(path, MAX_LEN).map_err(|e| match e {
            Error::Integrity { what, why, .. } => Error::LockFile { what, why, fault: LockFault::Damaged },
            e => e,
        })?;
        read.map_or(Ok(LockFile::default()), |bytes| LockFile::parse(&what, bytes))
    }

    /// Parses the bytes of a lock file; errors call it `what`.
    ///
    /// # Errors
    /// [`Error::LockFile`] if the text is not TOML of this format, or an entry has no pin.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let refuse = |why, fault| Error::LockFile { what: what.into(), why, fault };
        let lock: LockFile = toml_text(what, bytes).map_err(|e| match e {
            Error::Invalid { why, kind: Input::Conflict, .. } => refuse(why, LockFault::Conflict),
            Error::Invalid { why, .. } => refuse(why, LockFault::Damaged),
            e => e,
        })?;
        if lock.format != FORMAT {
            let is_newer = lock.format.starts_with("isn-lock/");
            let fault = if is_newer { LockFault::Newer } else { LockFault::Damaged };
            return Err(refuse(format!("has format '{}', this isn reads {FORMAT}", lock.format), fault));
        }
        if let Some(entry) =
            lock.datasets.iter().find(|entry| !matches!(entry.pin, DatasetRef::Version(_, Some(_))))
        {
            let why = format!("'{}' is not a pin: expected NAME@VERSION#b3:…", entry.pin);
            return Err(refuse(why, LockFault::Damaged));
        }
        Ok(lock)
    }

    /// Adds an entry for the project folder `project`; it replaces an older entry of the same path. Errors
    /// call the lock file `what`.
    ///
    /// # Errors
    /// [`Error::Mistakes`] if its tree would lie within the tree of another entry, or contain one.
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

    /// Reads the lock file at `path`, changes it and writes it back, as one step among all processes that do
    /// so; returns the new contents.
    ///
    /// # Errors
    /// Fails if `change` fails, or if the file cannot be locked, read or written; the file is then as it was.
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

    /// Returns the text of the file.
    ///
    /// # Errors
    /// [`Error::Internal`] if the contents cannot be written as TOML.
    pub fn to_text(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(format!("# Written by isn: exact dataset versions. Restore with `isn sync --locked`.\n{text}"))
    }

    /// Checks where the trees of `project` are to be: none may lie within another or in a `.git` folder, and,
    /// unless `allow_outside`, no path may lead out of the project's folder. Errors call the lock file
    /// `what`.
    ///
    /// # Errors
    /// [`Error::Mistakes`] with every misplaced tree.
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

/// Reads a list of registries; one without brackets is a common mistake.
pub(crate) fn list_of_registries<'de, D: Deserializer<'de>>(text: D) -> Result<Vec<String>, D::Error> {
    let wrong = |_| D::Error::custom("registry must be a list: registry = [\"https://…\"]");
    Vec::deserialize(text).map_err(wrong)
}

/// Reads a list of references, which is no table of names and versions as in other programs' files.
fn list_of_datasets<'de, D: Deserializer<'de>>(text: D) -> Result<Vec<DatasetRef>, D::Error> {
    let wrong = |_| D::Error::custom("datasets must be a list of references: datasets = [\"birds@1.0\"]");
    let texts: Vec<String> = Vec::deserialize(text).map_err(wrong)?;
    texts.into_iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

fn refuse(what: &str, mistakes: Vec<Mistake>) -> Result<()> {
    if mistakes.is_empty() { Ok(()) } else { Err(Error::Mistakes { what: what.into(), mistakes }) }
}

/// Returns a path without its `.` components.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

impl Project {
    /// Reads the project file at `path`; an absent file asks for nothing.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] if it is too long or a symlink that leads
    /// nowhere, or as for [`Project::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let read = files::read_users_own(path, MAX_LEN).map_err(files::as_input)?;
        read.map_or(Ok(Project::default()), |bytes| Project::parse(&path.display().to_string(), bytes))
    }

    /// Parses the bytes of a project file; errors call it `what`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the text is not TOML of this format.
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
