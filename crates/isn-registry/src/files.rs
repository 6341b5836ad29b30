//! Files and folders, with errors that name the path, and the few ways in which something becomes visible:
//! whole and under its final name, or not at all.
//!
//! A file that the user names may be a pipe, as in a shell's process substitution: `read_input` and
//! [`read_text`] accept one. What isn finds by itself, beside an input, in a registry, a
//! tree, the cache or its own folders, must be a regular file: [`open`] and the functions built on it refuse
//! anything else. Nothing is read into memory without a maximum length.

mod below;
mod guard;
mod lock;
mod mount;
mod own;
mod place;
mod read;
mod removal;
mod sync;
mod users;
mod whole;
mod workplace;

pub use below::{Below, no_such_file};
pub(crate) use below::{open_nofollow, read_nofollow};
pub(crate) use guard::check_private;
pub use guard::{Guard, read_guarded};
pub use lock::{Lock, is_same, tell_of_waiting};
pub(crate) use lock::{identity, names, wait_for_lock};
pub use own::OwnFolder;
pub(crate) use place::{
    check_apart, check_is_path, check_movable, check_not_around_us, exchange_at_once, is_free, overlap,
};
pub use place::{destination, exchange, place};
pub(crate) use place::{move_new, rename_new, rename_new_and, write_new};
pub(crate) use read::{
    as_input, has_bytes, open_listed, open_named, read_capped, read_input, read_to_cap, regular,
};
pub use read::{if_there, open, read_beside, read_capped_if_there, read_text};
pub(crate) use sync::sync_tree;
pub use sync::{sync_dir, sync_file_system};
pub use users::{Replaced, check_output, check_replaced, overwrite, write_output};
pub(crate) use users::{behind_links, no_file, overwrite_locked, overwrite_private, read_users_own};
pub use workplace::{Workplace, take_kept};

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use isn_format::error::{Error, Result};
use isn_format::tree::{B3SUMS, B3SUMS_PROOF};

/// The prefix of every temporary name, so that what a killed run left can be recognised.
pub(crate) const TEMP_PREFIX: &str = ".isn-tmp-";
/// The number of hex digits that end a temporary name.
const TEMP_DIGITS: usize = 16;
/// The mode of a new file that everybody may read.
const FOR_ALL: u32 = 0o644;
/// The mode of a new file that only its owner may read.
const FOR_OWNER: u32 = 0o600;

/// The message about a symlink to nothing.
const LEADS_NOWHERE: &str = "is a link that leads nowhere: put back what it leads to, or remove the link";
/// The message about a path that does not end in a name.
const NO_NAME: &str = "does not end in a name: name a file or folder in it";

/// Creates a folder and its parents. They are on disk only after [`sync_file_system`].
///
/// # Errors
/// [`Error::Invalid`] if the path goes through a symlink that leads nowhere; [`Error::Io`] if a folder cannot
/// be created for another reason.
pub fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| {
        let dangling = path.ancestors().find(|above| above.is_symlink() && is_absent(above));
        // The system says only that there is something.
        match dangling.filter(|_| e.kind() == io::ErrorKind::AlreadyExists) {
            Some(link) => Error::invalid(link.display(), LEADS_NOWHERE),
            None => Error::io("create folder", path)(e),
        }
    })
}

/// As [`create_dir_all`], but the created folders are on disk when it returns.
///
/// # Errors
/// [`Error::Io`] if one of them cannot be created or synced.
pub(crate) fn create_dir_all_synced(path: &Path) -> Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    create_dir_all(path)?;
    missing.into_iter().try_for_each(|made| sync_dir(parent(made)))
}

/// Removes a file, if there is one.
///
/// # Errors
/// [`Error::Io`] if it cannot be removed.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Returns the names in a folder, sorted by bytes; none if the folder is absent.
///
/// # Errors
/// [`Error::Io`] if it cannot be listed; [`Error::Invalid`] if a name is not UTF-8.
pub fn names_in(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", dir)(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::io("list", dir))?.file_name();
        let name = name
            .into_string()
            .map_err(|name| Error::invalid(dir.join(name).display(), "has a name that is not UTF-8"))?;
        names.push(name);
    }
    names.sort();
    Ok(names)
}

/// What a file in a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of this length in bytes.
    File(u64),
    /// A symbolic link, device, socket or pipe: never part of a tree.
    Other,
}

/// What is below a folder, by `/`-separated paths, sorted by bytes, as [`walk`] has them.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// All files.
    pub files: Vec<(String, Kind)>,
    /// The topmost folders that contain no file at any depth.
    pub empty_folders: Vec<String>,
}

/// Lists every file below `root` by its `/`-separated path, sorted by bytes. Reports symlinks without
/// following them. A name that is not UTF-8 gets replacement characters, so it never equals an expected path.
///
/// # Errors
/// [`Error::Io`] if a folder cannot be listed.
pub fn walk(root: &Path) -> Result<Vec<(String, Kind)>> {
    Ok(walk_past(root, |_, e| Err(e))?.files)
}

/// Lists what is below `root`, but calls `unread` with the path of each folder that cannot be listed, which
/// is empty for `root` itself, and its error.
///
/// # Errors
/// The errors of `unread`.
pub(crate) fn walk_past(root: &Path, mut unread: impl FnMut(&str, Error) -> Result<()>) -> Result<Listing> {
    /// Whether `dir` contains no file at any depth.
    fn visit(
        dir: &Path,
        prefix: &str,
        found: &mut Listing,
        unread: &mut impl FnMut(&str, Error) -> Result<()>,
    ) -> Result<bool> {
        let (mut is_empty, before) = (true, found.empty_folders.len());
        for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
            let entry = entry.map_err(Error::io("list", dir))?;
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let file_type = entry.file_type().map_err(Error::io("look at", &path))?;
            if file_type.is_dir() {
                is_empty &= match visit(&path, &format!("{name}/"), found, unread) {
                    // Errors of folders below it were passed to `unread`.
                    Err(e @ Error::Io { .. }) => unread(&name, e).map(|()| false)?,
                    visited => visited?,
                };
                continue;
            }
            is_empty = false;
            if file_type.is_file() {
                match entry.metadata() {
                    Ok(about) => found.files.push((name, Kind::File(about.len()))),
                    // It was renamed after the folder was listed, as uploads are.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(Error::io("look at", &path)(e)),
                }
            } else {
                found.files.push((name, Kind::Other));
            }
        }
        if is_empty && !prefix.is_empty() {
            found.empty_folders.truncate(before);
            found.empty_folders.push(prefix.trim_end_matches('/').into());
        }
        Ok(is_empty)
    }
    let mut found = Listing::default();
    match visit(root, "", &mut found, &mut unread) {
        Err(e @ Error::Io { .. }) => unread("", e)?,
        visited => drop(visited?),
    }
    found.files.sort_by(|a, b| a.0.cmp(&b.0));
    found.empty_folders.sort();
    Ok(found)
}

/// Writes `bytes` to `path` by an atomic replace: a reader sees the old file or the new one, never a part.
/// The file is on disk when it returns.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written or synced.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    put(write_temp(path, bytes, TEMP_PREFIX, FOR_ALL)?, path)
}

/// As [`replace`], for a long file that `write` writes.
///
/// # Errors
/// As [`replace`].
pub(crate) fn replace_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    put(write_temp_with(path, TEMP_PREFIX, FOR_ALL, write)?, path)
}

fn put(temp: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    temp.persist(path).map_err(|e| Error::io("write", path)(e.error))?;
    sync_dir(parent(path))
}

/// As [`replace`], for a file below `root` that no symlink leads out of. Does not wait for the disk.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written; [`Error::Foreign`] if a symlink is on the way.
pub fn keep(root: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    keep_by(root, path, |out| out(bytes))
}

/// As [`keep`], of bytes that `write` passes on piece by piece.
///
/// # Errors
/// As [`keep`], or as `write` does.
pub(crate) fn keep_by(
    root: &Path,
    path: &Path,
    write: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
) -> Result<()> {
    Below::make(root, parent(path))?;
    let mut temp = temp_file_in(parent(path))?;
    // Not by `temp`, whose errors name it.
    write(&mut |piece| temp.as_file_mut().write_all(piece).map_err(Error::io("write", path)))?;
    temp.persist(path).map(drop).map_err(|e| Error::io("write", path)(e.error))
}

/// As [`replace`], but returns `false` if something is at `path` already.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written or synced.
pub(crate) fn create_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    put_new(write_temp(path, bytes, TEMP_PREFIX, FOR_ALL)?, path)
}

/// As [`create_new`], for a file that only its owner may read.
///
/// # Errors
/// As [`create_new`].
pub(crate) fn create_new_private(path: &Path, bytes: &[u8]) -> Result<bool> {
    put_new(write_temp(path, bytes, TEMP_PREFIX, FOR_OWNER)?, path)
}

fn put_new(temp: tempfile::NamedTempFile, path: &Path) -> Result<bool> {
    match temp.persist_noclobber(path) {
        Ok(_) => sync_dir(parent(path)).map(|()| true),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Error::io("create", path)(e.error)),
    }
}

fn write_temp(path: &Path, bytes: &[u8], prefix: &str, mode: u32) -> Result<tempfile::NamedTempFile> {
    write_temp_with(path, prefix, mode, |file| file.write_all(bytes))
}

fn write_temp_with(
    path: &Path,
    prefix: &str,
    mode: u32,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<tempfile::NamedTempFile> {
    let dir = parent(path);
    create_dir_all_synced(dir)?;
    let mut temp = temp_file(dir, prefix, mode)?;
    // Not by `temp`, whose errors name it.
    let mut file = BufWriter::with_capacity(64 << 10, temp.as_file_mut());
    write(&mut file).and_then(|()| file.flush()).map_err(Error::io("write", path))?;
    drop(file);
    temp.as_file().sync_all().map_err(Error::io("write", path))?;
    Ok(temp)
}

/// Creates a temporary file in `dir` that everybody may read; it is removed when dropped unless it is
/// persisted.
///
/// # Errors
/// [`Error::Io`] if it cannot be created.
pub(crate) fn temp_file_in(dir: &Path) -> Result<tempfile::NamedTempFile> {
    temp_file(dir, TEMP_PREFIX, FOR_ALL)
}

/// Creates the file with its final mode, and with a name that [`is_temp`] recognises.
fn temp_file(dir: &Path, prefix: &str, mode: u32) -> Result<tempfile::NamedTempFile> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let name = format!("{prefix}{:0width$x}", fastrand::u64(..), width = TEMP_DIGITS);
    let mut builder = tempfile::Builder::new();
    let made = builder.prefix(&name).rand_bytes(0).make_in(dir, |path| options.open(path));
    made.map_err(Error::io("write in", dir))
}

/// Whether `name` is that of a temporary file with this prefix. A file of the user's may begin with the
/// prefix too.
fn is_temp(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|digits| {
        digits.len() == TEMP_DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Returns the device that `path` is or would be on, and how many bytes are free there for this user; `None`
/// if the system does not say.
pub(crate) fn free_space(path: &Path) -> Option<(u64, u64)> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let absolute = std::path::absolute(path).ok()?;
        let there = absolute.ancestors().find(|ancestor| ancestor.exists())?;
        let stat = rustix::fs::statvfs(there).ok()?;
        Some((fs::metadata(there).ok()?.dev(), stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// Whether the folder `root` is a tree, by the lists that are there.
pub fn is_tree(root: &Path) -> bool {
    [B3SUMS, B3SUMS_PROOF].iter().any(|list| !is_absent(&root.join(list)))
}

/// Whether nothing is at `path`, links followed: not that it cannot be looked at.
pub fn is_absent(path: &Path) -> bool {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    fs::metadata(path).is_err_and(|e| absent.contains(&e.kind()))
}

/// Whether this process has as many files open as it may.
pub fn is_out_of_files(why: &io::Error) -> bool {
    #[cfg(unix)]
    return why.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error());
    #[cfg(not(unix))]
    {
        let _ = why;
        false
    }
}

/// Returns the folder that contains `path`: `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Returns the path of a hidden sibling of `path`: `.NAME.SUFFIX`.
///
/// # Errors
/// [`Error::Invalid`] if `path` does not end in a name.
pub(crate) fn hidden_sibling(path: &Path, suffix: &str) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| Error::invalid(path.display(), NO_NAME))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(suffix);
    Ok(parent(path).join(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_folders_are_the_topmost_without_a_file() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["train/a", "train/b/c/d", "train/e", "val/x/y"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("train/a/image"), "").unwrap();
        let empty = || walk_past(dir.path(), |_, e| Err(e)).unwrap().empty_folders;
        assert_eq!(empty(), ["train/b", "train/e", "val"]);
        fs::write(dir.path().join("val/x/y/image"), "").unwrap();
        fs::write(dir.path().join("train/b/image"), "").unwrap();
        assert_eq!(empty(), ["train/b/c", "train/e"]);
    }

    #[test]
    fn create_new_never_overwrites_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(create_new(&path, b"one").unwrap());
        assert!(!create_new(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(names_in(&dir.path().join("a")).unwrap(), ["b"]);
    }

    #[test]
    fn a_folder_that_is_made_for_good_is_there_with_its_parents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c");
        create_dir_all_synced(&path).unwrap();
        create_dir_all_synced(&path).unwrap();
        assert!(path.is_dir());
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(create_dir_all_synced(&dir.path().join("file/b")).is_err());
    }
}
