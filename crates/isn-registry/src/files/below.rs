//! [`Below`]: folders and files opened one path component at a time, so that no symlink leads outside; and
//! the functions that it shares with its neighbours.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::{Lock, parent, sync_dir};
use isn_format::error::{Error, Result};

/// Checks that something belongs to the user who runs isn, if the system says whose it is.
pub(super) fn check_owner(about: &Metadata, path: &Path) -> Result<()> {
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

pub(super) fn foreign(path: &Path, why: impl Into<String>) -> Error {
    Error::Foreign { path: path.to_path_buf(), why: why.into() }
}

/// Returns the system's error that there is no such file, which has that number on every system.
pub fn no_such_file() -> io::Error {
    io::Error::from_raw_os_error(2)
}

pub(super) fn gone(path: &Path) -> Error {
    Error::io("open", path)(no_such_file())
}

/// Opens the folder that contains `path`, creating it if need be. Follows symlinks, as the user has named it.
pub(super) fn parent_of(path: &Path) -> Result<(Dir, OsString)> {
    let folder = parent(path);
    super::create_dir_all(folder)?;
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).map_err(Error::io("open", folder))?;
    let name = path.file_name().ok_or_else(|| Error::invalid(path.display(), super::NO_NAME))?;
    Ok((dir, name.to_os_string()))
}

/// Returns the error that something of isn's own cannot be created. It names the folder: the user has never
/// heard of the hidden `path` in it.
pub(super) fn cannot_make(path: &Path, source: std::io::Error) -> Error {
    let folder = parent(path);
    Error::io("write to the folder", std::path::absolute(folder).unwrap_or_else(|_| folder.into()))(source)
}

/// Returns what is in the way, if it is not of the kind to be opened.
pub(super) fn in_the_way(dir: &Dir, name: &OsStr, is_folder: bool) -> Option<&'static str> {
    let kind = dir.symlink_metadata(Path::new(name)).ok()?.file_type();
    match (kind.is_symlink(), kind.is_dir(), kind.is_file()) {
        (true, ..) => Some("is a link"),
        (_, true, _) => (!is_folder).then_some("is a folder"),
        (.., true) => is_folder.then_some("is a file, not a folder"),
        _ => Some("is neither a file nor a folder"),
    }
}

/// Opens a folder that is not a symlink; returns `None` if there is nothing. Errors call it `path`.
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

/// Opens a folder that is not a symlink, creating it if need be. The second value says whether it was
/// created.
pub(super) fn make_dir(dir: &Dir, name: &OsStr, path: &Path) -> Result<(Dir, bool)> {
    let is_new = match dir.create_dir(Path::new(name)) {
        Ok(()) => true,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
        Err(e) => return Err(Error::io("create folder", path)(e)),
    };
    Ok((open_dir(dir, name, path)?.ok_or_else(|| gone(path))?, is_new))
}

/// Opens a regular file that is not a symlink, without waiting for the other end of a pipe; returns `None` if
/// there is nothing.
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

/// Opens or creates the file of a lock. The second value says whether it was created. If `is_callers_own`, it
/// must belong to the user who runs isn. A lock file is always empty, so a file with contents is refused.
pub(super) fn lock_file(path: &Path, is_callers_own: bool) -> Result<(File, bool)> {
    let (dir, name) = parent_of(path)?;
    let open = |options: &mut OpenOptions| open_in(&dir, &name, options.write(true), path);
    let (file, is_new) = loop {
        match open(OpenOptions::new().create_new(true)) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {}
            Err(Error::Io { source, .. }) => return Err(cannot_make(path, source)),
            made => {
                let nothing = || cannot_make(path, no_such_file());
                break (made?.ok_or_else(nothing)?, true);
            }
        }
        // Its holder may remove it meanwhile.
        if let Some(file) = open(&mut OpenOptions::new())? {
            break (file, false);
        }
    };
    let about = file.metadata().map_err(Error::io("look at", path))?;
    if about.len() > 0 {
        return Err(foreign(path, "is not empty, as the locks of isn are"));
    }
    if is_callers_own {
        check_owner(&Metadata::from_just_metadata(about), path)?;
    }
    Ok((file, is_new))
}

/// Opens one of isn's own files, which must not be a symlink; returns `None` if there is none.
///
/// # Errors
/// [`Error::Foreign`] if it is not a regular file; [`Error::Io`] if it cannot be opened.
pub(crate) fn open_nofollow(path: &Path) -> Result<Option<File>> {
    let folder = parent(path);
    let dir = match Dir::open_ambient_dir(folder, ambient_authority()) {
        Ok(dir) => dir,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("open", folder)(e)),
    };
    let name = path.file_name().unwrap_or_default();
    open_in(&dir, name, OpenOptions::new().read(true), path)
}

/// Reads one of isn's own files, of at most `cap` bytes, as [`open_nofollow`] opens it.
///
/// # Errors
/// As [`open_nofollow`]; [`Error::Integrity`] if it is longer.
pub(crate) fn read_nofollow(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
    open_nofollow(path)?.map(|file| super::read_to_cap(file, path, cap)).transpose()
}

/// A folder at or below a root that the user has named. The root may be a symlink, but nothing below it.
#[derive(Debug)]
pub struct Below {
    pub(super) path: PathBuf,
    pub(super) dir: Dir,
}

impl Below {
    /// Opens the folder `path`, which is `root` or below it; returns `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Foreign`] names what is on the way and not a folder, such as a symlink; [`Error::Io`] if a
    /// folder cannot be opened.
    pub fn find(root: &Path, path: &Path) -> Result<Option<Self>> {
        let dir = match Dir::open_ambient_dir(root, ambient_authority()) {
            Ok(dir) => dir,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", root)(e)),
        };
        Below { path: root.to_path_buf(), dir }.descend(path, open_dir)
    }

    /// Opens the file `path` below `root`; returns `None` if there is none.
    ///
    /// # Errors
    /// As [`Below::find`]; [`Error::Foreign`] also if it is not a regular file.
    pub(crate) fn open_file(root: &Path, path: &Path) -> Result<Option<File>> {
        let folder = Below::find(root, parent(path))?;
        folder.map_or(Ok(None), |folder| folder.open(path.file_name().unwrap_or_default()))
    }

    /// Checks that everything that exists on the way to the folder `path`, and the folder itself, is a
    /// folder.
    ///
    /// # Errors
    /// As [`Below::find`].
    pub fn check(root: &Path, path: &Path) -> Result<()> {
        Below::find(root, path).map(drop)
    }

    /// As [`Below::find`], but creates the folders that are absent, without waiting for the disk.
    ///
    /// # Errors
    /// As [`Below::find`]; [`Error::Io`] also if a folder cannot be created.
    pub fn make(root: &Path, path: &Path) -> Result<Self> {
        super::create_dir_all(root)?;
        Below::make_in(root, path, |_| Ok(()))
    }

    /// As [`Below::make`], but the created folders are on disk when it returns.
    ///
    /// # Errors
    /// As [`Below::make`].
    pub fn make_synced(root: &Path, path: &Path) -> Result<Self> {
        super::create_dir_all_synced(root)?;
        Below::make_in(root, path, |made| sync_dir(parent(made)))
    }

    fn make_in(root: &Path, path: &Path, made: impl Fn(&Path) -> Result<()>) -> Result<Self> {
        let dir = Dir::open_ambient_dir(root, ambient_authority()).map_err(Error::io("open", root))?;
        let below = Below { path: root.to_path_buf(), dir }.descend(path, |dir, name, path| {
            let (dir, is_new) = make_dir(dir, name, path)?;
            if is_new {
                made(path)?;
            }
            Ok(Some(dir))
        })?;
        below.ok_or_else(|| gone(path))
    }

    fn descend(
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

    /// Opens a regular file in the folder for reading; returns `None` if there is nothing.
    ///
    /// # Errors
    /// [`Error::Foreign`] if it is not a regular file; [`Error::Io`] if it cannot be opened.
    pub fn open(&self, name: &OsStr) -> Result<Option<File>> {
        open_in(&self.dir, name, OpenOptions::new().read(true), &self.path.join(name))
    }

    /// As [`Below::open`], for appending.
    ///
    /// # Errors
    /// As [`Below::open`].
    pub(crate) fn open_to_append(&self, name: &OsStr) -> Result<Option<File>> {
        open_in(&self.dir, name, OpenOptions::new().append(true), &self.path.join(name))
    }

    /// As [`Below::open`], for reading and for writing anywhere in it.
    ///
    /// # Errors
    /// As [`Below::open`].
    pub(crate) fn open_to_change(&self, name: &OsStr) -> Result<Option<File>> {
        open_in(&self.dir, name, OpenOptions::new().read(true).write(true), &self.path.join(name))
    }

    /// Removes a file or symlink in the folder, if there is one.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be removed.
    pub fn remove(&self, name: &OsStr) -> Result<()> {
        match self.dir.remove_file_or_symlink(Path::new(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", self.path.join(name))(e)),
            _ => Ok(()),
        }
    }

    /// Moves a file to another folder under the same name.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be moved.
    pub fn rename(&self, name: &OsStr, to: &Below) -> Result<()> {
        let name = Path::new(name);
        self.dir.rename(name, &to.dir, name).map_err(Error::io("rename", self.path.join(name)))
    }

    /// Lists every file below the folder, by its path.
    ///
    /// # Errors
    /// As `Below::files_and_pipes`; [`Error::Foreign`] also names what is neither a file nor a folder.
    pub fn files(&self) -> Result<Vec<(PathBuf, Metadata)>> {
        let found = self.files_and_pipes()?;
        match found.iter().find(|(_, about)| !about.is_file()) {
            Some((path, _)) => Err(foreign(path, "is neither a file nor a folder")),
            None => Ok(found),
        }
    }

    /// Lists every file, pipe, socket and device below the folder, by its path.
    ///
    /// # Errors
    /// [`Error::Foreign`] names a symlink; [`Error::Io`] if a folder cannot be listed.
    pub(crate) fn files_and_pipes(&self) -> Result<Vec<(PathBuf, Metadata)>> {
        let found = walk(&self.dir).map_err(Error::io("list", &self.path))?;
        let found = found.into_iter().map(|(path, about)| {
            let path = self.path.join(path);
            if about.is_symlink() { Err(foreign(&path, "is a link")) } else { Ok((path, about)) }
        });
        found.collect()
    }

    /// Lists every folder below this one, by its path; each comes after the folders in it.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn folders(&self) -> Result<Vec<PathBuf>> {
        fn visit(dir: &Dir, path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
            for entry in dir.entries()? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    let (name, path) = (entry.file_name(), path.join(entry.file_name()));
                    visit(&dir.open_dir_nofollow(Path::new(&name))?, &path, found)?;
                    found.push(path);
                }
            }
            Ok(())
        }
        let mut found = Vec::new();
        visit(&self.dir, &self.path, &mut found).map_err(Error::io("list", &self.path))?;
        Ok(found)
    }

    /// Removes the caller's temporary files with this prefix directly in the folder, which killed runs left.
    /// `lock` is the lock of all who write such files; if it is not held, they may be in use and stay.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be listed, or a file cannot be removed.
    pub fn sweep(&self, prefix: &str, lock: &Lock) -> Result<()> {
        if !lock.is_held() {
            return Ok(());
        }
        let list = || Error::io("list", &self.path);
        for entry in self.dir.entries().map_err(list())? {
            let entry = entry.map_err(list())?;
            let name = entry.file_name();
            let is_own = |about: Metadata| about.is_file() && check_owner(&about, &self.path).is_ok();
            if super::is_temp(&name.to_string_lossy(), prefix) && entry.metadata().is_ok_and(is_own) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// Lists everything below a folder that is not a folder itself, by its path. Follows no symlink.
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
