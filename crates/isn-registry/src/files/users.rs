//! The user's own files: [`overwrite`] replaces one, [`write_output`] writes what an option names,
//! [`read_users_own`] reads one.

use std::borrow::Cow;
use std::fs::{self, File, FileType};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::place::{check_is_path, is_others_for_good};
use super::{
    Below, FOR_ALL, FOR_OWNER, LEADS_NOWHERE, Lock, TEMP_PREFIX, is_absent, parent, put, write_temp,
};
use isn_format::error::{Error, Missing, Result};

/// The number of symlinks that the system follows when it opens a file.
const MAX_LINKS: usize = 40;

/// Writes output to the file that the user has named. An open file descriptor, a pipe or a character device
/// is written to as a shell would; any other file is replaced as by [`overwrite`].
///
/// # Errors
/// As [`overwrite`].
pub fn write_output(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = match descriptor(path) {
        Some(open) => open.writer(path).and_then(|mut to| to.write_all(bytes)),
        None if fs::metadata(path).is_ok_and(|about| is_stream(about.file_type())) => {
            File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes))
        }
        None => return overwrite(path, bytes),
    };
    written.map_err(Error::io("write", path))
}

/// Checks, before long work, that [`write_output`] could write to `path`.
///
/// # Errors
/// [`Error::NotFound`] if its folder does not exist; [`Error::Invalid`] if it is a URL, or nearly one;
/// [`Error::Io`] if a file is in the place of the folder; else as [`overwrite`].
pub fn check_output(path: &Path) -> Result<()> {
    check_is_path(path)?;
    match fs::metadata(path) {
        Ok(about) if is_stream(about.file_type()) => Ok(()),
        about if descriptor(path).is_some() => about.map(drop).map_err(Error::io("write", path)),
        _ => {
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                let why =
                    if path.is_dir() { "is a folder" } else { "ends in a slash, as a folder's name does" };
                return Err(Error::invalid(path.display(), format!("{why}: name a file")));
            }
            let folder = parent(path);
            if is_absent(folder) {
                return Err(Error::not_found(Missing::File, folder.display(), ""));
            }
            if !folder.is_dir() {
                return Err(Error::io("write", path)(io::ErrorKind::NotADirectory.into()));
            }
            let (place, _) = find(path)?;
            check_writable(parent(&place))
        }
    }
}

/// A kind of file that an option writes, and replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// An HTML page.
    Page,
    /// A table with this first line.
    Table(&'static str),
}

/// As [`check_output`], and an existing file must be of the kind that is written: what lies there under a
/// mistyped name, such as a picture or a ledger, is not replaced.
///
/// # Errors
/// [`Error::Invalid`] if it is of another kind; [`Error::Io`] if it cannot be read; else as [`check_output`].
pub fn check_replaced(path: &Path, kind: Replaced) -> Result<()> {
    check_output(path)?;
    let (begin, noun) = match kind {
        Replaced::Page => ("<!doctype html", "HTML page"),
        Replaced::Table(header) => (header, "table of this kind"),
    };
    match fs::metadata(path) {
        // What is open already is written to where it stands.
        Ok(about) if about.is_file() && about.len() > 0 && descriptor(path).is_none() => {}
        _ => return Ok(()),
    }
    let mut first = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(begin.len() as u64).read_to_end(&mut first));
    read.map_err(Error::io("read", path))?;
    match first.eq_ignore_ascii_case(begin.as_bytes()) {
        true => Ok(()),
        false => {
            let why = format!("already exists, and is no {noun}, so it is not replaced: name another file");
            Err(Error::invalid(path.display(), why))
        }
    }
}

/// As [`super::replace`], for a file of the user's own. If `path` is a symlink, its target is replaced. The
/// new file keeps the permissions of the old one and, if this user may set it, its owner.
///
/// # Errors
/// [`Error::Invalid`] if something other than a file is there, or a symlink that leads nowhere; [`Error::Io`]
/// if this user may not write to it.
pub fn overwrite(path: &Path, bytes: &[u8]) -> Result<()> {
    let (path, there) = find(path)?;
    give(write_temp(&path, bytes, TEMP_PREFIX, FOR_ALL)?, &path, there)
}

/// As [`overwrite`], while holding the lock of all who write this file; removes what killed writers left.
///
/// # Errors
/// As [`overwrite`].
pub(crate) fn overwrite_locked(path: &Path, bytes: &[u8], lock: &Lock) -> Result<()> {
    overwrite_and_sweep(path, bytes, FOR_ALL, lock)
}

/// As [`overwrite_locked`]; a new file can be read only by its owner.
///
/// # Errors
/// As [`overwrite`].
pub(crate) fn overwrite_private(path: &Path, bytes: &[u8], lock: &Lock) -> Result<()> {
    overwrite_and_sweep(path, bytes, FOR_OWNER, lock)
}

fn overwrite_and_sweep(path: &Path, bytes: &[u8], mode: u32, lock: &Lock) -> Result<()> {
    let (path, there) = find(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (dir, prefix) = (parent(&path), format!("{TEMP_PREFIX}{name}-"));
    Below::make(dir, dir)?.sweep(&prefix, lock)?;
    give(write_temp(&path, bytes, &prefix, mode)?, &path, there)
}

/// Reads one of the user's own files, of at most `cap` bytes; returns `None` if there is none.
///
/// # Errors
/// [`Error::Invalid`] if it is not a regular file, or a symlink that leads nowhere, since its settings would
/// be silently ignored; [`Error::Integrity`] if it is longer; [`Error::Io`] if it cannot be read.
pub(crate) fn read_users_own(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
    if let Some(why) = no_file(path) {
        return Err(Error::invalid(path.display(), why));
    }
    match super::read_capped_if_there(path, cap)? {
        None => behind_links(path).map(|_| None),
        read => Ok(read),
    }
}

/// Returns what is wrong with something that has the name of one of the user's own files, and is not a file.
/// What is absent or cannot be looked at is not wrong.
pub(crate) fn no_file(path: &Path) -> Option<&'static str> {
    let about = fs::metadata(path).ok().filter(|about| !about.is_file())?;
    Some(match about.is_dir() {
        true => "is a folder, and must be a file: move it away",
        false => "is not a file, and must be one: move it away",
    })
}

/// Returns the path itself, or that of its target if it is a symlink.
///
/// # Errors
/// [`Error::Invalid`] if the symlink leads nowhere.
pub(crate) fn behind_links(path: &Path) -> Result<Cow<'_, Path>> {
    if !path.is_symlink() {
        return Ok(path.into());
    }
    match path.canonicalize() {
        Ok(to) => Ok(to.into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::invalid(path.display(), LEADS_NOWHERE)),
        Err(e) => Err(Error::io("find", path)(e)),
    }
}

/// Returns where a file is or would be, and its metadata if it exists.
fn find(path: &Path) -> Result<(Cow<'_, Path>, Option<fs::Metadata>)> {
    let place = behind_links(path)?;
    match fs::metadata(&place) {
        Ok(about) if about.is_file() && is_others_for_good(&place, &about) => {
            let why =
                "belongs to another user, and in this folder only they can replace it: choose another path";
            Err(Error::invalid(path.display(), why))
        }
        Ok(about) if about.is_file() => check_writable(&place).map(|()| (place, Some(about))),
        Ok(about) => {
            let why = if about.is_dir() { "is a folder: name a file" } else { "is not a file" };
            Err(Error::invalid(path.display(), why))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok((place, None)),
        Err(e) => Err(Error::io("look at", path)(e)),
    }
}

fn give(temp: tempfile::NamedTempFile, path: &Path, there: Option<fs::Metadata>) -> Result<()> {
    if let Some(about) = there {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, fchown};
            // Only root may change a file's owner, but a user may choose among their own groups. Done before
            // the mode is set, since it may clear mode bits.
            let _ = fchown(temp.as_file(), Some(about.uid()), None);
            let _ = fchown(temp.as_file(), None, Some(about.gid()));
        }
        temp.as_file().set_permissions(plain(about.permissions())).map_err(Error::io("write", path))?;
    }
    put(temp, path)
}

#[cfg(unix)]
fn is_stream(kind: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    kind.is_char_device() || kind.is_fifo()
}

#[cfg(not(unix))]
fn is_stream(_: FileType) -> bool {
    false
}

/// Checks that this user may write to a file, or create files in a folder: a rename alone would not check
/// that.
fn check_writable(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let wanted = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
        accessat(CWD, path, wanted, AtFlags::EACCESS).map_err(|e| Error::io("write", path)(e.into()))?;
    }
    let _ = path;
    Ok(())
}

/// Returns the permissions without the setuid, setgid and sticky bits: the new bytes may be another program.
fn plain(permissions: fs::Permissions) -> fs::Permissions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::Permissions::from_mode(permissions.mode() & 0o777)
    }
    #[cfg(not(unix))]
    permissions
}

/// A file descriptor that is open already, in this process or another.
enum Descriptor {
    /// The standard output of this process.
    Output,
    /// The standard error of this process.
    Error,
    Other,
}

impl Descriptor {
    /// Returns a file that writes where the opener's output would continue. A file that is opened again has
    /// its own position; that is then the end.
    fn writer(&self, path: &Path) -> io::Result<File> {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd as _;
            match self {
                Descriptor::Output => return io::stdout().as_fd().try_clone_to_owned().map(File::from),
                Descriptor::Error => return io::stderr().as_fd().try_clone_to_owned().map(File::from),
                Descriptor::Other => {}
            }
        }
        File::options().append(true).open(path)
    }
}

/// Returns the open file descriptor that `path` leads to, such as `/dev/stdout`, `/dev/fd/3`,
/// `/proc/self/fd/3` or a symlink to one. Follows symlinks one by one, since the last one leads on to the
/// underlying file.
fn descriptor(path: &Path) -> Option<Descriptor> {
    let mut path = path.to_path_buf();
    for _ in 0..=MAX_LINKS {
        let folder = parent(&path).canonicalize().ok()?;
        let parts: Vec<&str> = folder.iter().map(|part| part.to_str().unwrap_or_default()).collect();
        let process = match parts[..] {
            [_, "dev", "fd"] => Some(std::process::id().to_string()),
            [_, "proc", process, "fd"] | [_, "proc", process, "task", _, "fd"] => Some(process.to_string()),
            _ => None,
        };
        if let Some(process) = process {
            let is_own = process == std::process::id().to_string();
            return Some(match path.file_name().and_then(|name| name.to_str()) {
                Some("1") if is_own => Descriptor::Output,
                Some("2") if is_own => Descriptor::Error,
                _ => Descriptor::Other,
            });
        }
        path = folder.join(path.read_link().ok()?);
    }
    None
}
