//! Removes what isn has made, with all its contents, but nothing beyond a mount point.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::Path;

use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;

use super::below::open_dir;
use super::mount::Mount;
use isn_format::error::{Error, Result};

/// Removes the entry `name` of a folder with all its contents, if there is one. Errors call it `path`.
/// Folders that the caller has write-protected are removed too.
///
/// # Errors
/// Returns the first thing that cannot be removed, such as a mount point, after removing all the rest.
pub(super) fn remove(dir: &Dir, name: &OsStr, path: &Path) -> Result<()> {
    let mount = Mount::of(dir, OsStr::new(".")).map_err(Error::io("remove", path))?;
    remove_on(dir, name, path, mount)
}

fn remove_on(dir: &Dir, name: &OsStr, path: &Path, mount: Mount) -> Result<()> {
    let is_dir = match dir.symlink_metadata(Path::new(name)) {
        Ok(about) => about.is_dir(),
        Err(e) => return unless_gone(Err(e), path),
    };
    if is_dir {
        check_mount(dir, name, path, mount)?;
        let _ = let_write(dir, name);
        let Some(folder) = open_dir(dir, name, path)? else { return Ok(()) };
        // Something else may be here by now.
        check_mount(&folder, OsStr::new("."), path, mount)?;
        let names: io::Result<Vec<OsString>> =
            folder.entries().and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let names = names.map_err(Error::io("list", path))?;
        remove_all(&names, |name| remove_on(&folder, name, &path.join(name), mount))?;
        return unless_gone(dir.remove_dir(Path::new(name)), path);
    }
    unless_gone(dir.remove_file_or_symlink(Path::new(name)), path)
}

/// Removes as many of the names as it can; returns the first error.
pub(super) fn remove_all(names: &[OsString], remove: impl Fn(&OsStr) -> Result<()>) -> Result<()> {
    names.iter().map(|name| remove(name)).fold(Ok(()), Result::and)
}

fn unless_gone(removed: io::Result<()>, path: &Path) -> Result<()> {
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

fn check_mount(dir: &Dir, name: &OsStr, path: &Path, mount: Mount) -> Result<()> {
    let found = Mount::of(dir, name).map_err(Error::io("remove", path))?;
    let mounted = || io::Error::new(ErrorKind::CrossesDevices, "it is a mount point");
    if mount.has(found) { Ok(()) } else { Err(Error::io("remove", path)(mounted())) }
}

/// Gives the caller write permission on a folder of their own.
fn let_write(dir: &Dir, name: &OsStr) -> io::Result<()> {
    #[cfg(unix)]
    {
        use cap_std::fs::{MetadataExt as _, Permissions};
        use std::os::unix::fs::PermissionsExt as _;
        const ALL: u32 = 0o700;
        let about = dir.symlink_metadata(Path::new(name))?;
        if about.uid() == rustix::process::geteuid().as_raw() && about.mode() & ALL != ALL {
            let mode = std::fs::Permissions::from_mode(about.mode() & 0o7777 | ALL);
            dir.set_permissions(Path::new(name), Permissions::from_std(mode))?;
        }
    }
    let _ = (dir, name);
    Ok(())
}
