//! What isn keeps beside a user's things and takes away again: [`OwnFolder`], a folder that says that isn has made it; and
//! folders and files that are opened one name at a time, so that no link leads to where isn has no business.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::parent;
use crate::error::{Error, Result};

/// The file in an [`OwnFolder`] that says whose it is.
const MARKER: &str = ".made-by-isn";
/// The longest marker that is read, in bytes.
const MAX_MARKER: u64 = 200;

/// A folder for what is under way, made by isn and by nobody else: real, the caller's own, and with a marker in it, which
/// a copy of the folder does not make true. What is to be seen is made in a folder within and renamed out of it, so that
/// the marker is there until the last thing is gone.
#[derive(Debug)]
pub struct OwnFolder {
    path: PathBuf,
    parent: Dir,
    name: OsString,
    dir: Dir,
}

impl OwnFolder {
    /// Opens the folder at `path`, or makes it.
    ///
    /// # Errors
    /// [`Error::Foreign`] if something is there that isn has not made; nothing is changed then.
    pub fn open(path: &Path) -> Result<Self> {
        let (parent, name) = parent_of(path)?;
        match parent.create_dir(&name) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("create folder", path)(e));
            }
            _ => {}
        }
        let dir = open_dir(&parent, &name, path)?.ok_or_else(|| gone(path))?;
        let folder = OwnFolder { path: path.to_path_buf(), parent, name, dir };
        folder.check_marker()?;
        Ok(folder)
    }

    /// Opens the folder at `path`; `None` if nothing is there.
    ///
    /// # Errors
    /// As [`OwnFolder::open`].
    pub fn find(path: &Path) -> Result<Option<Self>> {
        match path.symlink_metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("look at", path)(e)),
            Ok(_) => OwnFolder::open(path).map(Some),
        }
    }

    /// A thing in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the folder `name` in it, which nothing but a folder may stand in the way of. Gives its path.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.join(name);
        make_dir(&self.dir, OsStr::new(name), &path)?;
        Ok(path)
    }

    /// Whether nothing is in it but the marker and folders without a file.
    pub fn is_empty(&self) -> Result<bool> {
        let found = walk(&self.dir).map_err(Error::io("list", &self.path))?;
        Ok(found.iter().all(|(path, _)| path == Path::new(MARKER)))
    }

    /// Whether the folder is still where it was opened.
    pub fn check(&self) -> Result<()> {
        let there = open_dir(&self.parent, &self.name, &self.path)?.ok_or_else(|| gone(&self.path))?;
        let same = identity(&there.dir_metadata().map_err(Error::io("look at", &self.path))?)
            == identity(&self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?);
        if same { Ok(()) } else { Err(foreign(&self.path, "was replaced by another folder meanwhile")) }
    }

    /// Removes the thing `name` from it, with all that is in it; fine if there is none.
    pub fn remove_from(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = Path::new(name.as_ref());
        match self.dir.symlink_metadata(name) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => Err(e),
            Ok(about) if about.is_dir() => self.dir.remove_dir_all(name),
            Ok(_) => self.dir.remove_file_or_symlink(name),
        }
        .map_err(Error::io("remove", self.join(name)))
    }

    /// Removes all that is in it.
    pub fn clear(&self) -> Result<()> {
        let names = self.names().map_err(Error::io("list", &self.path))?;
        names.iter().filter(|name| *name != MARKER).try_for_each(|name| self.remove_from(name))
    }

    /// Removes it with all that is in it: the marker last, so that what is left after a kill is still known for isn's.
    pub fn remove(&self) -> Result<()> {
        self.check()?;
        self.clear()?;
        self.remove_from(MARKER)?;
        self.parent.remove_dir(&self.name).map_err(Error::io("remove folder", &self.path))
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        self.dir.entries()?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn check_marker(&self) -> Result<()> {
        let about = self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?;
        check_owner(&about, &self.path)?;
        let expected = marker(&about);
        match open_in(&self.dir, OsStr::new(MARKER), OpenOptions::new().read(true), &self.join(MARKER))? {
            Some(file) => {
                let mut found = Vec::new();
                file.take(MAX_MARKER).read_to_end(&mut found).map_err(Error::io("read", &self.path))?;
                if found == expected.as_bytes() {
                    return Ok(());
                }
                // A kill between its creation and its first byte.
                if !found.is_empty() || self.names().map_err(Error::io("list", &self.path))?.len() > 1 {
                    return Err(foreign(&self.path, "is a copy of a folder that isn made, or was changed"));
                }
            }
            None if self.names().map_err(Error::io("list", &self.path))?.is_empty() => {}
            None => return Err(foreign(&self.path, "was not made by isn")),
        }
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true);
        let file = open_in(&self.dir, OsStr::new(MARKER), options, &self.join(MARKER))?;
        let mut file = file.ok_or_else(|| gone(&self.path))?;
        file.write_all(expected.as_bytes()).map_err(Error::io("write", self.join(MARKER)))
    }
}

/// What the marker of a folder says. The number is the folder's alone, so no copy or checkout of it passes for it.
fn marker(about: &Metadata) -> String {
    let number = identity(about).map_or(String::new(), |(_, number)| format!("{number}\n"));
    format!("isn made this folder, and removes it when it is done\n{number}")
}

/// Refuses what does not belong to who runs isn, where the system says whose it is.
fn check_owner(about: &Metadata, path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        if about.uid() != rustix::process::geteuid().as_raw() {
            return Err(foreign(path, "belongs to another user"));
        }
    }
    let _ = (about, path);
    Ok(())
}

fn identity(about: &Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        Some((about.dev(), about.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        None
    }
}

pub(super) fn foreign(path: &Path, why: impl Into<String>) -> Error {
    Error::Foreign { path: path.to_path_buf(), why: why.into() }
}

pub(super) fn gone(path: &Path) -> Error {
    Error::io("open", path)(ErrorKind::NotFound.into())
}

/// The folder that holds `path`, made if need be: as the user has named it, through links too.
fn parent_of(path: &Path) -> Result<(Dir, OsString)> {
    let folder = parent(path);
    super::create_dir_all(folder)?;
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).map_err(Error::io("open", folder))?;
    let name = path.file_name().ok_or_else(|| Error::invalid(path.display(), "has no file name"))?;
    Ok((dir, name.to_os_string()))
}

/// What is in the way, if that is not what was to be opened.
pub(super) fn in_the_way(dir: &Dir, name: &OsStr, is_folder: bool) -> Option<&'static str> {
    let kind = dir.symlink_metadata(Path::new(name)).ok()?.file_type();
    match (kind.is_symlink(), kind.is_dir(), kind.is_file()) {
        (true, ..) => Some("is a link"),
        (_, true, _) => (!is_folder).then_some("is a folder"),
        (.., true) => is_folder.then_some("is a file, and no folder"),
        _ => Some("is neither a file nor a folder"),
    }
}

/// Opens a folder that is no link; `None` where there is nothing. `path` names it in errors.
pub(super) fn open_dir(dir: &Dir, name: &OsStr, path: &Path) -> Result<Option<Dir>> {
    match dir.open_dir_nofollow(Path::new(name)) {
        Ok(dir) => Ok(Some(dir)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(match in_the_way(dir, name, true) {
            Some(why) => foreign(path, why),
            None => Error::io("open", path)(e),
        }),
    }
}

pub(super) fn make_dir(dir: &Dir, name: &OsStr, path: &Path) -> Result<Dir> {
    match dir.create_dir(Path::new(name)) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(Error::io("create folder", path)(e)),
        _ => {}
    }
    open_dir(dir, name, path)?.ok_or_else(|| gone(path))
}

/// Opens a regular file that is no link, and never waits for the other end of a pipe; `None` where there is nothing.
pub(super) fn open_in(
    dir: &Dir,
    name: &OsStr,
    options: &mut OpenOptions,
    path: &Path,
) -> Result<Option<File>> {
    options.follow(FollowSymlinks::No).nonblock(true);
    match dir.open_with(Path::new(name), options) {
        Ok(file) => {
            let file = file.into_std();
            if file.metadata().map_err(Error::io("look at", path))?.is_file() {
                return Ok(Some(file));
            }
            Err(foreign(path, in_the_way(dir, name, false).unwrap_or("is not a file")))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(match in_the_way(dir, name, false) {
            Some(why) => foreign(path, why),
            None => Error::io("open", path)(e),
        }),
    }
}

/// Opens or makes the file of a lock. With `is_callers_own` it has to belong to who runs isn. A lock is always empty: what
/// has something in it is none.
pub(super) fn lock_file(path: &Path, is_callers_own: bool) -> Result<File> {
    let (dir, name) = parent_of(path)?;
    let mut options = OpenOptions::new();
    let file = open_in(&dir, &name, options.write(true).create(true), path)?.ok_or_else(|| gone(path))?;
    let about = file.metadata().map_err(Error::io("look at", path))?;
    if about.len() > 0 {
        return Err(foreign(path, "has something in it, as no lock of isn's has"));
    }
    if is_callers_own {
        check_owner(&Metadata::from_just_metadata(about), path)?;
    }
    Ok(file)
}

/// Reads a file of isn's own of at most `cap` bytes; `None` where there is nothing.
///
/// # Errors
/// [`Error::Foreign`] if there is something else than a file, a link above all; [`Error::Integrity`] if it is longer.
pub fn read_nofollow(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
    let folder = parent(path);
    let dir = match Dir::open_ambient_dir(folder, ambient_authority()) {
        Ok(dir) => dir,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("open", folder)(e)),
    };
    let name = path.file_name().unwrap_or_default();
    let file = open_in(&dir, name, OpenOptions::new().read(true), path)?;
    file.map(|file| super::read_to_cap(file, path, cap)).transpose()
}

/// A place below a folder that the user has named: `root` may be a link, and nothing below it.
#[derive(Debug)]
pub struct Below {
    pub(super) path: PathBuf,
    pub(super) dir: Dir,
}

impl Below {
    /// Opens the folder `path`, which is `root` or below it; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Foreign`] names what is no folder on the way, a link above all.
    pub fn find(root: &Path, path: &Path) -> Result<Option<Self>> {
        let dir = match Dir::open_ambient_dir(root, ambient_authority()) {
            Ok(dir) => dir,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", root)(e)),
        };
        Below { path: root.to_path_buf(), dir }.descend(path, open_dir)
    }

    /// The same, and makes what is not there.
    pub fn make(root: &Path, path: &Path) -> Result<Self> {
        super::create_dir_all(root)?;
        let dir = Dir::open_ambient_dir(root, ambient_authority()).map_err(Error::io("open", root))?;
        let made = Below { path: root.to_path_buf(), dir }
            .descend(path, |dir, name, path| make_dir(dir, name, path).map(Some))?;
        made.ok_or_else(|| gone(path))
    }

    pub(super) fn descend(
        mut self,
        path: &Path,
        step: impl Fn(&Dir, &OsStr, &Path) -> Result<Option<Dir>>,
    ) -> Result<Option<Self>> {
        let outside = || Error::Internal(format!("{} is not in {}", path.display(), self.path.display()));
        let rest = path.strip_prefix(&self.path).map_err(|_| outside())?.to_path_buf();
        for part in rest.components() {
            let Component::Normal(name) = part else { continue };
            self.path.push(name);
            let Some(dir) = step(&self.dir, name, &self.path)? else { return Ok(None) };
            self.dir = dir;
        }
        Ok(Some(self))
    }

    /// Refuses a folder that belongs to another user.
    pub fn check_owner(&self) -> Result<()> {
        let about = self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?;
        check_owner(&about, &self.path)
    }

    /// Opens a regular file in it for reading; `None` where there is nothing.
    pub fn open(&self, name: &OsStr) -> Result<Option<File>> {
        open_in(&self.dir, name, OpenOptions::new().read(true), &self.path.join(name))
    }

    /// The same for appending.
    pub fn open_to_append(&self, name: &OsStr) -> Result<Option<File>> {
        open_in(&self.dir, name, OpenOptions::new().append(true), &self.path.join(name))
    }

    /// Removes a file or link in it; fine if there is none.
    pub fn remove(&self, name: &OsStr) -> Result<()> {
        match self.dir.remove_file_or_symlink(Path::new(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", self.path.join(name))(e)),
            _ => Ok(()),
        }
    }

    /// Moves a file in it to another folder.
    pub fn rename(&self, name: &OsStr, to: &Below) -> Result<()> {
        let name = Path::new(name);
        self.dir.rename(name, &to.dir, name).map_err(Error::io("rename", self.path.join(name)))
    }

    /// Every file below it, by its path. What is neither a file nor a folder is an error that names it.
    pub fn files(&self) -> Result<Vec<(PathBuf, Metadata)>> {
        let found = walk(&self.dir).map_err(Error::io("list", &self.path))?;
        let files = found.into_iter().map(|(path, about)| {
            let path = self.path.join(path);
            match about.file_type() {
                kind if kind.is_file() => Ok((path, about)),
                kind if kind.is_symlink() => Err(foreign(&path, "is a link")),
                _ => Err(foreign(&path, "is neither a file nor a folder")),
            }
        });
        files.collect()
    }

    /// Removes the regular files in it, not in its folders, whose name begins with `prefix`: what killed runs left.
    pub fn sweep(&self, prefix: &str) -> Result<()> {
        let list = || Error::io("list", &self.path);
        for entry in self.dir.entries().map_err(list())? {
            let entry = entry.map_err(list())?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(prefix)
                && entry.file_type().is_ok_and(|kind| kind.is_file())
            {
                self.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// Everything below a folder that is no folder itself, by its path. No link is followed.
pub(super) fn walk(dir: &Dir) -> io::Result<Vec<(PathBuf, Metadata)>> {
    fn visit(dir: &Dir, prefix: &Path, found: &mut Vec<(PathBuf, Metadata)>) -> io::Result<()> {
        for entry in dir.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            let path = prefix.join(&name);
            let visited = match entry.file_type()?.is_dir() {
                true => dir.open_dir_nofollow(Path::new(&name)).and_then(|dir| visit(&dir, &path, found)),
                false => entry.metadata().map(|about| found.push((path, about))),
            };
            match visited {
                // Another process may have removed it meanwhile.
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    visit(dir, Path::new(""), &mut found)?;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_isn_is_found_again_and_goes_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".x.isn-partial");
        assert!(OwnFolder::find(&path).unwrap().is_none());
        let own = OwnFolder::open(&path).unwrap();
        assert!(own.is_empty().unwrap());
        std::fs::write(own.folder("tree").unwrap().join("file"), "x").unwrap();
        drop(own);
        let own = OwnFolder::find(&path).unwrap().unwrap();
        assert!(!own.is_empty().unwrap());
        own.clear().unwrap();
        assert!(own.is_empty().unwrap());
        own.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_a_kill_left_without_its_marker_is_taken_if_nothing_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own");
        std::fs::create_dir(&path).unwrap();
        OwnFolder::open(&path).unwrap();
        std::fs::write(path.join(MARKER), "").unwrap();
        OwnFolder::open(&path).unwrap();
        std::fs::write(path.join(MARKER), "").unwrap();
        std::fs::write(path.join("thesis"), "").unwrap();
        assert!(matches!(OwnFolder::open(&path), Err(Error::Foreign { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_of_a_folder_of_isn_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("own"), dir.path().join("copy"));
        OwnFolder::open(&path).unwrap();
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(path.join(MARKER), copy.join(MARKER)).unwrap();
        std::fs::write(copy.join("thesis"), "").unwrap();
        assert!(matches!(OwnFolder::find(&copy), Err(Error::Foreign { .. })));
        assert!(copy.join("thesis").exists());
        std::fs::rename(&path, dir.path().join("moved")).unwrap();
        assert!(OwnFolder::find(&dir.path().join("moved")).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_a_folder_of_isn_goes_and_what_it_leads_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        std::fs::create_dir(&precious).unwrap();
        std::fs::write(precious.join("thesis"), "x").unwrap();
        let own = OwnFolder::open(&dir.path().join("own")).unwrap();
        std::fs::create_dir(own.join("deep")).unwrap();
        for link in ["link", "deep/link"] {
            std::os::unix::fs::symlink(&precious, own.join(link)).unwrap();
        }
        assert!(matches!(own.folder("link"), Err(Error::Foreign { .. })));
        own.remove().unwrap();
        assert!(precious.join("thesis").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_swapped_meanwhile_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("own"), dir.path().join("moved"));
        let own = OwnFolder::open(&path).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("thesis"), "x").unwrap();
        assert!(own.remove().is_err());
        assert!(path.join("thesis").exists());
    }
}
