//! What is the user's own: [`overwrite`] a file where it is, [`write_output`] what an option names, and [`read_users_own`].

use std::borrow::Cow;
use std::fs::{self, File, FileType};
use std::io::{self, Write as _};
use std::path::Path;

use super::place::is_others_for_good;
use super::{Below, FOR_ALL, FOR_OWNER, LEADS_NOWHERE, Lock, TEMP_PREFIX, parent, put, write_temp};
use isn_format::error::{Error, Missing, Result};

/// A system follows so many links to a file that it opens.
const MAX_LINKS: usize = 40;

/// Writes what the user has asked for to the file of that option: into what is open already, a pipe or a device of characters
/// as a shell would, else as [`overwrite`].
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

/// Refuses, before long work, a path that [`write_output`] would refuse after it.
pub fn check_output(path: &Path) -> Result<()> {
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
            if !folder.is_dir() {
                return Err(Error::not_found(Missing::File, folder.display(), "this file system"));
            }
            let (place, _) = find(path)?;
            check_writable(parent(&place))
        }
    }
}

/// As [`super::replace`], of a file of the user's: where `path` is a link, of the file that it leads to; and what was there
/// keeps who may read and write it and, if this user may give it, its owner.
///
/// # Errors
/// [`Error::Invalid`] if something other than a file is there, or a link that leads nowhere; [`Error::Io`] if this user may not
/// write to it.
pub fn overwrite(path: &Path, bytes: &[u8]) -> Result<()> {
    let (path, there) = find(path)?;
    give(write_temp(&path, bytes, TEMP_PREFIX, FOR_ALL)?, &path, there)
}

/// As [`overwrite`], with the lock of all who write the file: what a killed one left goes.
pub fn overwrite_locked(path: &Path, bytes: &[u8], lock: &Lock) -> Result<()> {
    overwrite_and_sweep(path, bytes, FOR_ALL, lock)
}

/// As [`overwrite_locked`], of a file that only its owner may read where it is new.
pub fn overwrite_private(path: &Path, bytes: &[u8], lock: &Lock) -> Result<()> {
    overwrite_and_sweep(path, bytes, FOR_OWNER, lock)
}

fn overwrite_and_sweep(path: &Path, bytes: &[u8], mode: u32, lock: &Lock) -> Result<()> {
    let (path, there) = find(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (dir, prefix) = (parent(&path), format!("{TEMP_PREFIX}{name}-"));
    Below::make(dir, dir)?.sweep(&prefix, lock)?;
    give(write_temp(&path, bytes, &prefix, mode)?, &path, there)
}

/// Reads a file of the user's own that need not be there, of at most `cap` bytes.
///
/// # Errors
/// [`Error::Invalid`] if it is a link that leads nowhere: what it says would not be done, and nobody told.
pub fn read_users_own(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
    match super::read_capped_if_there(path, cap)? {
        None => behind_links(path).map(|_| None),
        read => Ok(read),
    }
}

/// The path itself, or that of what it leads to if it is a link.
pub fn behind_links(path: &Path) -> Result<Cow<'_, Path>> {
    if !path.is_symlink() {
        return Ok(path.into());
    }
    match path.canonicalize() {
        Ok(to) => Ok(to.into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::invalid(path.display(), LEADS_NOWHERE)),
        Err(e) => Err(Error::io("find", path)(e)),
    }
}

/// Where a file is or is to be, and what is known of it if it is there.
fn find(path: &Path) -> Result<(Cow<'_, Path>, Option<fs::Metadata>)> {
    let place = behind_links(path)?;
    match fs::metadata(&place) {
        Ok(about) if about.is_file() && is_others_for_good(&place, &about) => {
            let why =
                "is another user's, in a folder from which only they may take it away: it cannot be replaced";
            Err(Error::invalid(path.display(), why))
        }
        Ok(about) if about.is_file() => check_writable(&place).map(|()| (place, Some(about))),
        Ok(about) => {
            let why = if about.is_dir() { "is a folder: name a file" } else { "is no file" };
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
            // Only root gives files away; a group may be one's own. Before the mode, of which it may take something.
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

/// Refuses a file, or a folder to make files in, that this user may not write to: a rename would not ask.
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

/// Who may read and write, and nothing of what a program would run as: other bytes are another program.
fn plain(permissions: fs::Permissions) -> fs::Permissions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::Permissions::from_mode(permissions.mode() & 0o777)
    }
    #[cfg(not(unix))]
    permissions
}

/// What is open already, in this process or another.
enum Descriptor {
    /// This process's standard output.
    Output,
    /// Its standard error.
    Error,
    Other,
}

impl Descriptor {
    /// Writes where whoever opened it would go on. A file that is opened anew has a position of its own: there it is the end.
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

/// What `path` leads to, if that is something open: `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`, or a link to such a path. That
/// is looked at link by link, since the last one looks like any other, and leads to the file behind.
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
