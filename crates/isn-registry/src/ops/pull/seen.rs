//! [`Seen`]: the recorded state of a tree, to find out whether somebody has written to it since.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::files;
use isn_format::error::{Error, Result};

/// The state of a file or folder. The number of hard links is not part of it, because another tree may share
/// a file.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    /// The length of a file in bytes, and the time of its last change.
    written: Option<(u64, Option<SystemTime>)>,
    identity: Option<(u64, u64)>,
}

/// The device and the inode of a file.
type Identity = (u64, u64);
/// The time at which anything about a file changed, its names included. Nobody can set it.
type Touched = Option<(i64, i64)>;

/// The state of everything in a folder, by relative path. The empty path is the folder itself.
#[derive(Debug)]
pub(super) struct Seen {
    marks: BTreeMap<PathBuf, Mark>,
    /// When each file was touched last.
    touched: HashMap<Identity, Touched>,
    /// The same of files that got a name in the new tree: after that.
    linked: Mutex<HashMap<Identity, Touched>>,
}

impl Seen {
    /// Records the state of the folder `root`.
    pub(super) fn of(root: &Path) -> Result<Self> {
        let about = fs::symlink_metadata(root).map_err(Error::io("look at", root))?;
        let mut found = BTreeMap::from([(PathBuf::new(), Mark::of(&about))]);
        let mut times = HashMap::new();
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            let path = root.join(&folder);
            for entry in fs::read_dir(&path).map_err(Error::io("list", &path))? {
                let entry = entry.map_err(Error::io("list", &path))?;
                let about = entry.metadata().map_err(Error::io("look at", entry.path()))?;
                let name = folder.join(entry.file_name());
                found.insert(name.clone(), Mark::of(&about));
                times.extend(files::identity(&about).map(|identity| (identity, touched(&about))));
                if about.is_dir() {
                    open.push(name);
                }
            }
        }
        Ok(Seen { marks: found, touched: times, linked: Mutex::default() })
    }

    /// Whether a file is the one that was seen at `path`, and unchanged.
    pub(super) fn has(&self, path: &Path, about: &Metadata) -> bool {
        self.marks.get(path) == Some(&Mark::of(about))
    }

    /// Whether nothing about a file has changed since it was seen, not even by who restores its times.
    pub(super) fn is_untouched(&self, about: &Metadata) -> bool {
        files::identity(about).is_none_or(|identity| self.touched.get(&identity) == Some(&touched(about)))
    }

    /// Notes the state of a file that has just got another name.
    pub(super) fn note_link(&self, about: &Metadata) {
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        linked.extend(files::identity(about).map(|identity| (identity, touched(about))));
    }

    /// Whether a file that was linked was touched since, as `now` has it.
    fn is_touched(&self, mark: &Mark, now: &Seen) -> bool {
        let linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other =
            |identity| linked.get(&identity).is_some_and(|at| now.touched.get(&identity) != Some(at));
        mark.written.is_some() && mark.identity.is_some_and(is_other)
    }

    /// Returns the first path below another folder of a file that was seen, under any path, and written to
    /// since.
    pub(super) fn change_of_shared(&self, other: &Path) -> Option<PathBuf> {
        let known: HashMap<(u64, u64), &Mark> =
            self.marks.values().filter_map(|mark| Some((mark.identity?, mark))).collect();
        let now = Seen::of(other).ok()?;
        let is_changed = |mark: &Mark| {
            mark.identity.and_then(|identity| known.get(&identity)).is_some_and(|seen| *seen != mark)
                || self.is_touched(mark, &now)
        };
        now.marks.iter().find(|(_, mark)| is_changed(mark)).map(|(path, _)| path.clone())
    }

    /// Returns the paths of the files that are files of another folder as well, under any path.
    pub(super) fn shared(&self, other: &Seen) -> Vec<&Path> {
        let theirs: HashSet<(u64, u64)> = other.files().filter_map(|(_, mark)| mark.identity).collect();
        let is_shared = |mark: &Mark| mark.identity.is_some_and(|identity| theirs.contains(&identity));
        self.files().filter(|(_, mark)| is_shared(mark)).map(|(path, _)| path).collect()
    }

    fn files(&self) -> impl Iterator<Item = (&Path, &Mark)> {
        self.marks
            .iter()
            .filter(|(_, mark)| mark.written.is_some())
            .map(|(path, mark)| (path.as_path(), mark))
    }

    /// Returns the first path below `root` that was added, removed or changed since. A folder that cannot be
    /// read counts as changed.
    pub(super) fn change(&self, root: &Path) -> Option<PathBuf> {
        let Ok(now) = Seen::of(root) else { return Some(PathBuf::new()) };
        let is_changed = |(path, mark): &(&PathBuf, &Mark)| {
            self.marks.get(*path) != Some(mark) || self.is_touched(mark, &now)
        };
        let changed = now.marks.iter().find(is_changed);
        let gone = || self.marks.keys().find(|path| !now.marks.contains_key(*path));
        changed.map(|(path, _)| path).or_else(gone).cloned()
    }
}

/// When anything about a file changed, its names included; `None` if the system does not say.
fn touched(about: &Metadata) -> Touched {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Some((about.ctime(), about.ctime_nsec()))
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        None
    }
}

impl Mark {
    fn of(about: &Metadata) -> Self {
        let written = (!about.is_dir()).then(|| (about.len(), about.modified().ok()));
        Mark { written, identity: files::identity(about) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_removed_or_written_to_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tree");
        fs::create_dir_all(root.join("train/ant")).unwrap();
        fs::write(root.join("train/ant/a"), "1").unwrap();
        let change = |make: &dyn Fn()| {
            let seen = Seen::of(&root).unwrap();
            assert_eq!(seen.change(&root), None);
            make();
            seen.change(&root).map(|path| path.to_str().unwrap().to_string())
        };
        let path = |name: &str| root.join(name);
        assert_eq!(change(&|| fs::write(path("notes"), "x").unwrap()).as_deref(), Some("notes"));
        assert_eq!(change(&|| fs::write(path("train/ant/a"), "12").unwrap()).as_deref(), Some("train/ant/a"));
        let later = || {
            let file = fs::File::options().write(true).open(path("notes")).unwrap();
            file.set_modified(SystemTime::now() + std::time::Duration::from_secs(9)).unwrap();
        };
        assert_eq!(change(&later).as_deref(), Some("notes"));
        assert_eq!(change(&|| fs::remove_file(path("notes")).unwrap()).as_deref(), Some("notes"));
        assert_eq!(change(&|| fs::create_dir(path("mine")).unwrap()).as_deref(), Some("mine"));
        // A hard link from another tree is not a change.
        assert_eq!(change(&|| fs::hard_link(path("train/ant/a"), dir.path().join("b")).unwrap()), None);
        #[cfg(unix)]
        {
            let replace = || {
                fs::rename(&root, dir.path().join("old")).unwrap();
                fs::create_dir(&root).unwrap();
            };
            assert_eq!(change(&replace).as_deref(), Some(""));
        }
    }
}
