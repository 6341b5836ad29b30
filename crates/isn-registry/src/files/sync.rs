//! Waits until what was written is on disk.

use std::fs::{self, File};
#[cfg(unix)]
use std::io;
use std::path::{Path, PathBuf};

use super::names;
#[cfg(not(target_os = "linux"))]
use super::walk;
use isn_format::error::{Error, Result};

/// Up to this many files and folders are synced one by one. A sync of the whole file system is faster for
/// more, but waits for all that other programs have written, too.
const FEW: usize = 256;
/// How many syncs wait for the disk at the same time: it can do them together.
const SYNCS: usize = 16;

/// Returns once the new tree in `root` is on disk: the bytes of its files, and all names.
///
/// Files that have another name too are not synced. Their bytes are those of another tree, and are as safe
/// there as they were before: only the new name is to be written, which is in its folder.
///
/// # Errors
/// [`Error::Io`] if the tree cannot be listed, or the disk fails.
pub(crate) fn sync_tree(root: &Path) -> Result<()> {
    let (mut folders, mut written, mut at) = (vec![root.to_path_buf()], Vec::<PathBuf>::new(), 0);
    while let Some(folder) = folders.get(at).cloned() {
        at += 1;
        for entry in fs::read_dir(&folder).map_err(Error::io("list", &folder))? {
            let entry = entry.map_err(Error::io("list", &folder))?;
            let about = entry.metadata().map_err(Error::io("look at", entry.path()))?;
            if about.is_dir() {
                folders.push(entry.path());
            } else if about.is_file() && names(&about).is_none_or(|names| names == 1) {
                written.push(entry.path());
            }
        }
        if written.len() + folders.len() > FEW {
            return sync_file_system(root);
        }
    }
    at_once(&written, |path| {
        File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync", path))
    })?;
    at_once(&folders, sync_dir)
}

/// Syncs paths on several threads.
fn at_once(paths: &[PathBuf], sync: impl Fn(&Path) -> Result<()> + Sync) -> Result<()> {
    let share = paths.len().div_ceil(SYNCS).max(1);
    let sync_all = |paths: &[PathBuf]| paths.iter().try_for_each(|path| sync(path));
    std::thread::scope(|scope| {
        let threads: Vec<_> = paths.chunks(share).map(|share| scope.spawn(|| sync_all(share))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().try_for_each(join)
    })
}

/// Returns once everything written to the file system of `dir` is on disk. One call for a whole tree is more
/// than ten times faster than an fsync for each file.
///
/// # Errors
/// [`Error::Io`] if the file system cannot be synced.
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

/// Returns once the names in a folder are on disk: what was created, renamed or removed there.
///
/// # Errors
/// [`Error::Io`] if the disk fails. A file system that cannot sync folders is no error.
pub fn sync_dir(dir: &Path) -> Result<()> {
    // Windows has no folder handles to sync.
    #[cfg(unix)]
    File::open(dir).and_then(|dir| tolerate(dir.sync_all())).map_err(Error::io("sync folder", dir))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

/// Accepts that a file system cannot sync folders: nothing more can be done there. Any other error means that
/// the disk failed.
#[cfg(unix)]
pub(super) fn tolerate(synced: io::Result<()>) -> io::Result<()> {
    match synced {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_and_many_are_synced_and_a_tree_that_is_gone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("train/ant")).unwrap();
        for number in [0, 1, FEW] {
            for file in 0..number {
                fs::write(dir.path().join(format!("train/ant/{file}")), "x").unwrap();
            }
            sync_tree(dir.path()).unwrap();
        }
        assert!(matches!(sync_tree(&dir.path().join("none")), Err(Error::Io { .. })));
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
