//! [`Mount`]: the mount that a file or folder is on. A removal does not leave the mount that it began on.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;

use isn_format::error::{Error, Result};

/// The mount that a file or folder is on, as far as the system says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mount {
    /// The number of the mount. It tells a bind mount from the rest of the same disk.
    number: Option<u64>,
    /// The device, of a folder only: some file systems have their files on other devices.
    device: Option<u64>,
}

impl Mount {
    /// Returns the mount of the entry `name` of a folder, without following a symlink; of the folder itself
    /// if `name` is `.`.
    pub(super) fn of(dir: &Dir, name: &OsStr) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{AtFlags, FileType, StatxFlags, makedev, statx};
            let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
            let found = statx(dir, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
            let is_known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID);
            let number = if is_known { Some(found.stx_mnt_id) } else { number_by_proc(dir, name) };
            let is_dir = FileType::from_raw_mode(found.stx_mode.into()) == FileType::Directory;
            let device = is_dir.then(|| makedev(found.stx_dev_major, found.stx_dev_minor));
            Ok(Mount { number, device })
        }
        #[cfg(all(unix, not(target_os = "linux")))]
        {
            use cap_std::fs::MetadataExt as _;
            let about = dir.symlink_metadata(Path::new(name))?;
            Ok(Mount { number: None, device: about.is_dir().then(|| about.dev()) })
        }
        #[cfg(not(unix))]
        {
            let _ = (dir, name);
            Ok(Mount { number: None, device: None })
        }
    }

    /// Whether something on the mount `other`, in a folder on this mount, is not itself a mount point.
    pub(super) fn has(&self, other: Mount) -> bool {
        self.number == other.number && (other.device.is_none() || self.device == other.device)
    }
}

/// Returns the number of a mount on a kernel whose `statx` does not give it.
#[cfg(target_os = "linux")]
fn number_by_proc(dir: &Dir, name: &OsStr) -> Option<u64> {
    use rustix::fs::{Mode, OFlags, openat};
    use std::os::fd::AsRawFd as _;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let thing = openat(dir, name, flags, Mode::empty()).ok()?;
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", thing.as_raw_fd())).ok()?;
    about.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

/// Returns the first mount point below a folder. Errors call the folder `path`.
pub(super) fn mounted_below(dir: &Dir, path: &Path) -> Result<Option<PathBuf>> {
    fn visit(dir: &Dir, path: &Path, mount: Mount) -> Result<Option<PathBuf>> {
        for entry in dir.entries().map_err(Error::io("list", path))? {
            let entry = entry.map_err(Error::io("list", path))?;
            let (name, path) = (entry.file_name(), path.join(entry.file_name()));
            let look = || Error::io("look at", &path);
            if !mount.has(Mount::of(dir, &name).map_err(look())?) {
                return Ok(Some(path));
            }
            if entry.file_type().map_err(look())?.is_dir() {
                let below = dir.open_dir_nofollow(Path::new(&name)).map_err(look())?;
                if let Some(found) = visit(&below, &path, mount)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }
    let mount = Mount::of(dir, OsStr::new(".")).map_err(Error::io("look at", path))?;
    visit(dir, path, mount)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn what_is_mounted_below_a_folder_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/file"), "").unwrap();
        std::os::unix::fs::symlink("/proc", dir.path().join("a/link")).unwrap();
        let open = |path: &Path| Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        assert_eq!(mounted_below(&open(dir.path()), dir.path()).unwrap(), None);
        let root = open(Path::new("/"));
        let of = |name: &str| Mount::of(&root, OsStr::new(name)).unwrap();
        assert!(!of(".").has(of("proc")) && of("proc").has(of("proc/self/")));
        // Both ways give the same number.
        let numbers = ["proc", "proc/self/"].map(|name| number_by_proc(&root, OsStr::new(name)));
        assert_eq!(numbers, [of("proc").number; 2]);
    }
}
