//! Files and folders with errors that name the path, and the few ways by which something becomes visible: whole,
//! under its final name, or not at all.
//!
//! What the user names to have it read may be a pipe, as a shell hands over what a command prints: [`read`], [`read_text`],
//! [`read_named`]. What isn finds by itself, in a registry, a tree, the cache or its own folders, is a file or an error:
//! [`open`] and what rests on it.

mod below;
mod guard;
mod lock;
mod mount;
mod own;
mod place;
mod removal;
mod users;
mod whole;
mod workplace;

pub use below::{Below, open_nofollow, read_nofollow};
pub use guard::{Guard, check_private, read_guarded};
pub use lock::{Lock, identity, is_same, tell_of_waiting, wait_for_lock};
pub use own::OwnFolder;
pub use place::{check_movable, exchange, exchange_at_once, is_free, move_new, place, rename_new, write_new};
pub use users::{
    behind_links, check_output, overwrite, overwrite_locked, overwrite_private, read_users_own, write_output,
};
pub use workplace::Workplace;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use isn_format::error::{Error, Result};

/// Everything temporary starts with this, so that what a killed run left is known for what it is.
pub const TEMP_PREFIX: &str = ".isn-tmp-";
/// And ends with so many hex digits, which no other has.
const TEMP_DIGITS: usize = 16;
/// The mode of a new file that anybody may read.
const FOR_ALL: u32 = 0o644;
/// That of a file which is its owner's alone.
const FOR_OWNER: u32 = 0o600;

/// Opens a file that the user has named to have it read: it may be a pipe, and whoever writes to that is waited for.
pub fn open_named(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io("read", path))
}

/// Opens a file that isn has found by itself, and waits for nobody: a pipe or a device in its place is an error.
pub fn open(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path).map_err(Error::io("read", path))?;
    let kind = file.metadata().map_err(Error::io("look at", path))?.file_type();
    // That a folder is none is said when it is read.
    if kind.is_file() || kind.is_dir() { Ok(file) } else { Err(Error::invalid(path.display(), "is no file")) }
}

/// Reads a whole file that the user has named.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_to_cap(open_named(path)?, path, u64::MAX)
}

/// The same of at most `cap` bytes; a longer one is an integrity error.
pub fn read_named(path: &Path, cap: u64) -> Result<Vec<u8>> {
    read_to_cap(open_named(path)?, path, cap)
}

/// Reads a text file in UTF-8 that the user has named.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::invalid(path.display(), "is not UTF-8 text"))
}

/// Reads a file that isn has found, of at most `cap` bytes; a longer one is an integrity error.
pub fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>> {
    read_to_cap(open(path)?, path, cap)
}

/// As [`read_capped`], `None` where there is no file.
pub fn read_capped_if_there(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
    if_there(read_capped(path, cap))
}

/// As [`read_capped_if_there`], however long it is.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    read_capped_if_there(path, u64::MAX)
}

/// Nothing, where what was wanted is not there.
pub(crate) fn if_there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Reads an open file of at most `cap` bytes; a longer one is an integrity error.
pub(crate) fn read_to_cap(file: File, path: &Path, cap: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(cap.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > cap {
        return Err(Error::integrity(path.display(), format!("is longer than {cap} bytes")));
    }
    Ok(bytes)
}

/// Whether a file has these bytes; `None` where there is none. No more of it is read than they are.
pub fn has_bytes(path: &Path, bytes: &[u8]) -> Result<Option<bool>> {
    match read_capped_if_there(path, bytes.len() as u64) {
        Ok(found) => Ok(found.map(|found| found == bytes)),
        Err(Error::Integrity { .. }) => Ok(Some(false)),
        Err(e) => Err(e),
    }
}

/// What is said of a link to nothing, and what to do about it.
const LEADS_NOWHERE: &str = "is a link that leads nowhere: put back what it leads to, or remove the link";
/// What has to be said of a path that ends in nothing's name.
const NO_NAME: &str = "is no name that something can have: name a file or folder in it";

/// Makes a folder and its parents. They are on disk only after [`sync_file_system`].
pub fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::io("create folder", path))
}

/// As [`create_dir_all`], but what it makes is on disk when it returns.
pub fn create_dir_all_synced(path: &Path) -> Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    create_dir_all(path)?;
    missing.into_iter().try_for_each(|made| sync_dir(parent(made)))
}

/// Removes a file; fine if there is none.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// The names in a folder, sorted by bytes; an absent folder has none. A name that is not UTF-8 is an error.
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

/// Every file below `root` by its `/`-separated path, sorted by bytes. Links are reported, not followed. Names
/// that are not UTF-8 appear with replacement characters, so they never equal a path that is expected.
pub fn walk(root: &Path) -> Result<Vec<(String, Kind)>> {
    fn visit(dir: &Path, prefix: &str, found: &mut Vec<(String, Kind)>) -> Result<()> {
        for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
            let entry = entry.map_err(Error::io("list", dir))?;
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let file_type = entry.file_type().map_err(Error::io("look at", &path))?;
            if file_type.is_dir() {
                visit(&path, &format!("{name}/"), found)?;
            } else if file_type.is_file() {
                match entry.metadata() {
                    Ok(about) => found.push((name, Kind::File(about.len()))),
                    // It got another name since the folder was read, as what is being uploaded does.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(Error::io("look at", &path)(e)),
                }
            } else {
                found.push((name, Kind::Other));
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    visit(root, "", &mut found)?;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// The folders below `root` that hold no file at any depth, the topmost ones, with `/` between names, sorted.
pub fn empty_folders(root: &Path) -> Result<Vec<String>> {
    /// Whether `dir` holds nothing but folders; adds those of its folders of which that is true.
    fn visit(dir: &Path, prefix: &str, found: &mut Vec<String>) -> Result<bool> {
        let (mut is_empty, before) = (true, found.len());
        for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
            let entry = entry.map_err(Error::io("list", dir))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let is_dir = entry.file_type().map_err(Error::io("look at", entry.path()))?.is_dir();
            is_empty &= is_dir && visit(&entry.path(), &format!("{name}/"), found)?;
        }
        if is_empty && !prefix.is_empty() {
            found.truncate(before);
            found.push(prefix.trim_end_matches('/').into());
        }
        Ok(is_empty)
    }
    let mut found = Vec::new();
    visit(root, "", &mut found)?;
    found.sort();
    Ok(found)
}

/// Writes `bytes` to `path` so that a reader sees the old file or the new one, never a part; on disk when it
/// returns.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    put(write_temp(path, bytes, TEMP_PREFIX, FOR_ALL)?, path)
}

fn put(temp: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    temp.persist(path).map_err(|e| Error::io("write", path)(e.error))?;
    sync_dir(parent(path))
}

/// As [`replace`], of a file below `root`, which no link leads out of. It does not wait for the disk.
pub fn keep(root: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    Below::make(root, parent(path))?;
    let mut temp = temp_file_in(parent(path))?;
    temp.write_all(bytes).map_err(Error::io("write", path))?;
    temp.persist(path).map(drop).map_err(|e| Error::io("write", path)(e.error))
}

/// As [`replace`], but only if nothing is at `path`: `false` if something is.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    put_new(write_temp(path, bytes, TEMP_PREFIX, FOR_ALL)?, path)
}

/// As [`create_new`], of a file that only its owner may read.
pub fn create_new_private(path: &Path, bytes: &[u8]) -> Result<bool> {
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
    let dir = parent(path);
    create_dir_all_synced(dir)?;
    let mut temp = temp_file(dir, prefix, mode)?;
    temp.write_all(bytes).map_err(Error::io("write", path))?;
    temp.as_file().sync_all().map_err(Error::io("write", path))?;
    Ok(temp)
}

/// A temporary file in `dir`, readable by all once it has its name, removed unless it is persisted.
pub fn temp_file_in(dir: &Path) -> Result<tempfile::NamedTempFile> {
    temp_file(dir, TEMP_PREFIX, FOR_ALL)
}

/// It has its mode from its first moment, and a name that [`is_temp`] knows.
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

/// Whether a temporary file with this prefix may have this name: the user may have files that begin with it.
fn is_temp(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|digits| {
        digits.len() == TEMP_DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Which disk `path` is or would be on, and how many bytes are free there for us; `None` where the system does not say.
pub fn free_space(path: &Path) -> Option<(u64, u64)> {
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

/// Returns once everything written to the file system that holds `dir` is on its disk. One call for a whole tree:
/// an fsync a file is more than ten times slower.
pub fn sync_file_system(dir: &Path) -> Result<()> {
    let file = File::open(dir).map_err(Error::io("open", dir))?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&file).map_err(|e| Error::io("sync", dir)(e.into()))?;
    #[cfg(not(target_os = "linux"))]
    {
        drop(file);
        for (path, _) in walk(dir)? {
            let path = dir.join(path);
            File::open(&path).and_then(|f| f.sync_all()).map_err(Error::io("sync", &path))?;
        }
    }
    Ok(())
}

/// Returns once the names in a folder are on its disk: what was created, renamed or removed there.
pub fn sync_dir(dir: &Path) -> Result<()> {
    // Windows has no folder handles to sync.
    #[cfg(unix)]
    File::open(dir).and_then(|dir| tolerate(dir.sync_all())).map_err(Error::io("sync folder", dir))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

/// Some file systems cannot sync a folder, and say so: a name stands there as well as it ever will. Anything else that
/// they say is that it does not.
#[cfg(unix)]
fn tolerate(synced: io::Result<()>) -> io::Result<()> {
    match synced {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
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

/// The folder that holds `path`: `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// A sibling of `path` with a hidden name: `.NAME.SUFFIX`.
pub fn hidden_sibling(path: &Path, suffix: &str) -> Result<PathBuf> {
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
        assert_eq!(empty_folders(dir.path()).unwrap(), ["train/b", "train/e", "val"]);
        fs::write(dir.path().join("val/x/y/image"), "").unwrap();
        fs::write(dir.path().join("train/b/image"), "").unwrap();
        assert_eq!(empty_folders(dir.path()).unwrap(), ["train/b/c", "train/e"]);
    }

    #[test]
    fn create_new_never_overwrites_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(create_new(&path, b"one").unwrap());
        assert!(!create_new(&path, b"two").unwrap());
        assert_eq!(read(&path).unwrap(), b"one");
        replace(&path, b"three").unwrap();
        assert_eq!(read(&path).unwrap(), b"three");
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

    #[test]
    #[cfg(unix)]
    fn a_folder_that_cannot_be_synced_is_told_from_a_disk_that_fails() {
        use rustix::io::Errno;
        let synced = |errno: Errno| tolerate(Err(errno.into()));
        for unsupported in [Errno::INVAL, Errno::NOTSUP, Errno::NOSYS] {
            assert!(synced(unsupported).is_ok(), "{unsupported}");
        }
        for failed in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS] {
            assert!(synced(failed).is_err(), "{failed}");
        }
        let dir = tempfile::tempdir().unwrap();
        sync_dir(dir.path()).unwrap();
        let error = sync_dir(&dir.path().join("none")).unwrap_err().to_string();
        assert!(error.starts_with("cannot sync folder"), "{error}");
    }
}
