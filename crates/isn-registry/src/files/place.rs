//! How what is whole gets its place: never over something of anybody's.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::mount::mounted_below;
use super::{is_same, parent, sync_dir};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use isn_format::error::{Error, Result, There};

/// The path of a thing itself: with a slash at its end, or `/.`, it would be what a link leads to. A way up from what is not
/// there is none: nothing comes to be on it.
pub fn place(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for step in path.components() {
        let is_nothing = || plain.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        if step == Component::ParentDir && plain.file_name().is_some() && is_nothing() {
            plain.pop();
        } else {
            plain.push(step);
        }
    }
    if plain.file_name().is_some() {
        return plain;
    }
    // The folder that one is in has a name, too, and so has the one above it.
    let found =
        if plain.ends_with("..") { plain.canonicalize() } else { std::path::absolute(or_here(&plain)) };
    found.unwrap_or(plain)
}

/// The path, or that of the folder that one is in.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Whether a folder can get this place: nothing is there, or an empty folder. To be asked before the work is done.
///
/// # Errors
/// [`Error::Exists`] says why an empty folder cannot be replaced.
pub fn is_free(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(Error::io("look at", path)(e)),
        Ok(_) if !path.is_dir() || !is_empty(path)? => Ok(false),
        Ok(_) => check_replaceable(path).map(|()| true),
    }
}

/// Whether nothing is in a folder, of whatever name.
fn is_empty(path: &Path) -> Result<bool> {
    fs::read_dir(path).map(|mut entries| entries.next().is_none()).map_err(Error::io("list", path))
}

/// Refuses a folder that nothing can take the place of, whatever is in it.
///
/// # Errors
/// [`Error::Exists`] says why.
fn check_replaceable(path: &Path) -> Result<()> {
    let about = fs::symlink_metadata(path).map_err(Error::io("look at", path))?;
    let (there, why) = if about.is_symlink() {
        (There::Place, ", and is a link, which nothing is put in the place of: name what it leads to")
    } else if is_around_us(path) {
        (
            There::WorkingFolder,
            ", and is the folder that you are in, or above it: you would be in one that is no more",
        )
    } else if is_mount_point(path, &about) {
        (
            There::MountPoint,
            ", and is a mount point, which nothing can take the place of: name a folder in it",
        )
    } else if is_others_for_good(path, &about) {
        (There::Place, ", and is another user's, in a folder from which only they may take it away")
    } else {
        return Ok(());
    };
    Err(Error::exists(there, path.display(), why))
}

/// Refuses a folder that cannot be moved elsewhere, as one is whose place a new one takes.
///
/// # Errors
/// [`Error::Exists`] says why; also where this user may not write to the folder itself, as its `..` changes, and where
/// something is mounted in it.
pub fn check_movable(path: &Path) -> Result<()> {
    check_replaceable(path)?;
    // What cannot be synced now could not be when all is done.
    sync_dir(parent(path))?;
    let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(Error::io("open", path))?;
    if let Some(mounted) = mounted_below(&dir, path)? {
        let why = format!(
            ", and is not replaced: {} is a mount point, and what is mounted there would go with it",
            mounted.display()
        );
        return Err(Error::exists(There::MountPoint, path.display(), why));
    }
    #[cfg(unix)]
    if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
        let why = ", and is write-protected, so that nothing can take its place: chmod u+w it, or name another folder";
        return Err(Error::exists(There::Protected, path.display(), why));
    }
    Ok(())
}

/// Whether it is the folder that this process is in, or one above it.
fn is_around_us(path: &Path) -> bool {
    let mut here = PathBuf::from(".");
    loop {
        if is_same(fs::metadata(path), fs::metadata(&here)) {
            return true;
        }
        let above = here.join("..");
        // The root is above itself.
        if fs::metadata(&above).is_err() || is_same(fs::metadata(&above), fs::metadata(&here)) {
            return false;
        }
        here = above;
    }
}

/// Whether another file system begins at a folder.
fn is_mount_point(path: &Path, about: &Metadata) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        // It knows a folder that is mounted from the same disk, too, and no subvolume for one.
        if let Ok(found) = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
            && found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        {
            return found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(parent(path)).is_ok_and(|above| above.dev() != about.dev())
    }
    #[cfg(not(unix))]
    {
        let _ = (path, about);
        false
    }
}

/// Whether a folder is another user's, in one like `/tmp`.
pub(super) fn is_others_for_good(path: &Path, about: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        const STICKY: u32 = 0o1000;
        let me = rustix::process::geteuid();
        let is_mine = |about: &Metadata| me.is_root() || about.uid() == me.as_raw();
        let is_sticky = |above: &Metadata| above.mode() & STICKY != 0 && !is_mine(above);
        !is_mine(about) && fs::metadata(parent(path)).is_ok_and(|above| is_sticky(&above))
    }
    #[cfg(not(unix))]
    {
        let _ = (path, about);
        false
    }
}

/// Writes a file where nothing is. What is under way is written so: a name that stands there may be a link to anything.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    File::create_new(path).and_then(|mut file| file.write_all(bytes)).map_err(Error::io("write", path))
}

/// Gives the folder or file `from` the name `to`, which must not exist; an empty folder there is replaced, and `from` has
/// its mode then. `false` if something is in the way.
pub fn rename_new(from: &Path, to: &Path) -> Result<bool> {
    if to.is_dir() && !to.is_symlink() && is_empty(to)? {
        let about = fs::symlink_metadata(to).map_err(Error::io("look at", to))?;
        let mode = take_after(from, &about)?;
        match fs::remove_dir(to) {
            // Somebody has filled it in between, or taken it away: the rename below finds out.
            Err(e) if !matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
                return Err(Error::io("replace the empty folder", to)(e));
            }
            _ => {}
        }
        return if move_new(from, to)? {
            restore(to, mode).and(sync_dir(parent(to))).map(|()| true)
        } else {
            Ok(false)
        };
    }
    Ok(move_new(from, to)? && sync_dir(parent(to)).map(|()| true)?)
}

/// Gives the folder or file `from` the name `to`, where nothing is, and does not wait for the disk. `false` if something is.
pub fn move_new(from: &Path, to: &Path) -> Result<bool> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::EXIST) => return Ok(false),
            // Some network file systems do not know the flag.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(e) => return Err(Error::io("create", to)(e.into())),
        }
    }
    if fs::symlink_metadata(to).is_ok() {
        return Ok(false);
    }
    fs::rename(from, to).map(|()| true).map_err(Error::io("create", to))
}

/// Lets the folder `new` have the name of the folder `old` and the other way round, in one step where the file system
/// can; else `old` is at `aside` for a moment between two steps, where a killed run leaves it. What gets the name of `old`
/// has its mode from then on.
///
/// With an error nothing is exchanged, unless a file system that needs several steps fails twice: then `old` is at `aside`. Where
/// it is, and the disk then fails to say that it will last, or the mode cannot be given, that is what comes back.
pub fn exchange(new: &Path, old: &Path, aside: &Path) -> Result<Option<Error>> {
    let about = fs::symlink_metadata(old).map_err(Error::io("look at", old))?;
    let mode = take_after(new, &about)?;
    swap(new, old, aside)?;
    Ok(restore(old, mode).and(sync_dir(parent(old))).err())
}

/// Gives the folder `new` the mode of another, and, where this user may, its owner and its group; what the one group may is
/// not for another. A folder is moved by who may write to it: the mode that is left to [`restore`] after that is given.
fn take_after(new: &Path, about: &Metadata) -> Result<Option<Permissions>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
        let _ = lchown(new, Some(about.uid()), None);
        let _ = lchown(new, None, Some(about.gid()));
        let has_group = fs::symlink_metadata(new).is_ok_and(|new| new.gid() == about.gid());
        let mode = about.mode() & if has_group { 0o7777 } else { 0o5707 };
        let movable = Permissions::from_mode(mode | 0o700);
        fs::set_permissions(new, movable).map_err(Error::io("change the mode of", new))?;
        Ok((mode & 0o700 != 0o700).then(|| Permissions::from_mode(mode)))
    }
    #[cfg(not(unix))]
    {
        let _ = (new, about);
        Ok(None)
    }
}

fn restore(path: &Path, mode: Option<Permissions>) -> Result<()> {
    let set = |mode| fs::set_permissions(path, mode).map_err(Error::io("change the mode of", path));
    mode.map_or(Ok(()), set)
}

fn swap(new: &Path, old: &Path, aside: &Path) -> Result<()> {
    if exchange_at_once(new, old)? {
        return Ok(());
    }
    fs::rename(old, aside).map_err(Error::io("replace", old))?;
    let exchanged = fs::rename(new, old)
        .and_then(|()| fs::rename(aside, new).inspect_err(|_| drop(fs::rename(old, new))));
    exchanged.map_err(|e| {
        let _ = fs::rename(aside, old);
        Error::io("replace", old)(e)
    })
}

/// The same in one step, and nothing more; `false` if the file system cannot, and nothing has happened.
pub fn exchange_at_once(new: &Path, old: &Path) -> Result<bool> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => Ok(false),
            Err(e) => Err(Error::io("replace", old)(e.into())),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (new, old);
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::names_in;
    use super::*;

    #[test]
    fn rename_new_takes_an_empty_folder_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("x"), "").unwrap();
        fs::write(to.join("y"), "").unwrap();
        assert!(!rename_new(&from, &to).unwrap());
        fs::remove_file(to.join("y")).unwrap();
        assert!(rename_new(&from, &to).unwrap());
        assert_eq!(names_in(&to).unwrap(), ["x"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_written_anew_goes_through_no_other_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, thesis) = (dir.path().join("image"), dir.path().join("thesis"));
        fs::write(&thesis, "all of it").unwrap();
        fs::hard_link(&thesis, &path).unwrap();
        assert!(write_new(&path, b"image").is_err());
        assert_eq!(fs::read(&thesis).unwrap(), b"all of it");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_mount_point_is_known() {
        let is_one = |path: &str| is_mount_point(Path::new(path), &fs::symlink_metadata(path).unwrap());
        assert!(is_one("/proc") && check_replaceable(Path::new("/proc")).is_err());
        let dir = tempfile::tempdir().unwrap();
        check_replaceable(dir.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_is_free_can_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("empty")).unwrap();
        fs::create_dir_all(at("full/folder")).unwrap();
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        std::os::unix::fs::symlink("empty", at("link")).unwrap();
        let free = ["none", "empty", "full", "file", "dangling"].map(|name| is_free(&at(name)).unwrap());
        assert_eq!(free, [true, true, false, false, false]);
        assert!(is_free(&at("link")).unwrap_err().to_string().contains("is a link"));
    }

    #[test]
    fn a_place_is_the_thing_itself() {
        for path in ["link/", "link//", "link/.", "link"] {
            assert_eq!(place(Path::new(path)).as_os_str(), "link", "{path}");
        }
        assert_eq!(place(Path::new("/a/b/")).as_os_str(), "/a/b");
        for path in ["nope/../x", "nope/deep/../../x", "x/nope/..", "x/nope/../"] {
            assert_eq!(place(Path::new(path)), Path::new("x"), "{path}");
        }
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        for (path, is_at) in
            [("", "."), (".", "."), ("..", ".."), ("src/..", "."), ("nope/..", "."), ("nope/../..", "..")]
        {
            assert_eq!(
                place(Path::new(path)).canonicalize().unwrap(),
                here.join(is_at).canonicalize().unwrap(),
                "{path}"
            );
            assert!(place(Path::new(path)).file_name().is_some(), "{path}");
        }
        // A link may lead anywhere: a way up from it is gone by the system alone.
        assert_eq!(place(Path::new("src/../x")), Path::new("src/../x"));
    }
}
