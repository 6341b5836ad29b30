//! Puts what is finished into its place without overwriting anything of the user's.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::mount::mounted_below;
use super::{is_same, parent, sync_dir};
use crate::url;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use isn_format::error::{Error, Overlap, Result, There};

/// Returns the path of a file or folder itself: a slash or `/.` at its end would mean the target of a
/// symlink. `NAME/..` is removed where `NAME` does not exist, so that nothing is created there.
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
    // The working folder and its parents have names too.
    let found =
        if plain.ends_with("..") { plain.canonicalize() } else { std::path::absolute(or_here(&plain)) };
    found.unwrap_or(plain)
}

/// As [`place`], for what the user has named as the place of an output. A link to an empty folder means that
/// folder.
///
/// # Errors
/// [`Error::Invalid`] if it is a URL, or nearly one, or empty.
pub fn destination(path: &Path) -> Result<PathBuf> {
    check_is_path(path)?;
    let place = place(path);
    if !(place.is_symlink() && place.is_dir() && is_empty(&place)?) {
        return Ok(place);
    }
    // A relative path stays one, so that a lock file can have it.
    match fs::read_link(&place).map(|target| parent(&place).join(target)) {
        Ok(target) if !target.is_symlink() => Ok(self::place(&target)),
        _ => place.canonicalize().map_err(Error::io("look at", place)),
    }
}

/// Refuses, as a path to write to, a URL and what is nearly one: a folder `https:` would be created.
///
/// # Errors
/// [`Error::Invalid`] if it is one, or empty.
pub(crate) fn check_is_path(path: &Path) -> Result<()> {
    match url::split(&path.to_string_lossy()) {
        Ok(None) => Ok(()),
        _ if path.as_os_str().is_empty() => Err(Error::invalid("the path to write to", "is empty")),
        _ => {
            let why = "is no path: isn can only write to a path of this machine (for one of that name, write ./ before it)";
            Err(Error::invalid(path.display(), why))
        }
    }
}

/// Returns how a folder to write lies to a folder that is read; `None` if neither is in the other. Neither
/// needs to exist.
pub(crate) fn overlap(output: &Path, input: &Path) -> Option<Overlap> {
    let (output, input) = (resolved(output)?, resolved(input)?);
    match (output.starts_with(&input), input.starts_with(&output)) {
        (true, true) => Some(Overlap::Is),
        (true, false) => Some(Overlap::IsIn),
        (false, true) => Some(Overlap::Contains),
        (false, false) => None,
    }
}

/// Checks that neither a folder to write nor a folder that is read, called `noun`, is in the other.
///
/// # Errors
/// [`Error::Overlap`] if one is.
pub(crate) fn check_apart(output: &Path, noun: &str, input: &Path) -> Result<()> {
    let Some(how) = overlap(output, input) else { return Ok(()) };
    Err(Error::Overlap { output: output.to_path_buf(), how, input: format!("{noun} {}", input.display()) })
}

/// Returns the path, or `.` for an empty one.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Whether a folder can be put here: there is nothing, or an empty folder. To be asked before the work is
/// done.
///
/// # Errors
/// [`Error::Exists`] if there is an empty folder that cannot be replaced; [`Error::Io`] if it cannot be
/// looked at.
pub(crate) fn is_free(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(Error::io("look at", path)(e)),
        Ok(_) if !path.is_dir() || !is_empty(path)? => Ok(false),
        Ok(_) => check_replaceable(path).map(|()| true),
    }
}

/// Whether a folder contains nothing at all.
fn is_empty(path: &Path) -> Result<bool> {
    fs::read_dir(path).map(|mut entries| entries.next().is_none()).map_err(Error::io("list", path))
}

/// Checks that a folder can be replaced, whatever it contains.
///
/// # Errors
/// [`Error::Exists`] says why it cannot.
fn check_replaceable(path: &Path) -> Result<()> {
    let about = fs::symlink_metadata(path).map_err(Error::io("look at", path))?;
    let (there, why) = if about.is_symlink() {
        (There::Place, ", and is a symlink: name the folder that it leads to")
    } else if is_around_us(path) {
        return check_not_around_us(path);
    } else if is_mount_point(path, &about) {
        (
            There::MountPoint,
            ", and is a mount point, which nothing can take the place of: name a folder in it",
        )
    } else if is_others_for_good(path, &about) {
        (There::Place, ", and belongs to another user, in a folder in which only they can replace it")
    } else {
        return Ok(());
    };
    Err(Error::exists(there, path.display(), why))
}

/// Refuses the working folder of this process and those above it, whatever they contain.
///
/// # Errors
/// [`Error::Exists`] if it is one of them.
pub(crate) fn check_not_around_us(path: &Path) -> Result<()> {
    if !is_around_us(path) {
        return Ok(());
    }
    let why = ", and is the current folder, or contains it";
    Err(Error::exists(There::WorkingFolder, path.display(), why))
}

/// Returns an absolute path without symlinks in the part of it that exists.
fn resolved(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(place(path)).ok()?;
    path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        above.canonicalize().ok().map(|there| there.join(rest))
    })
}

/// Checks that a folder can be moved away, so that a new one can take its place.
///
/// # Errors
/// [`Error::Exists`] if it cannot be replaced, if this user may not write to it (moving it changes its `..`),
/// or if something is mounted in it; [`Error::Io`] if its parent cannot be synced.
pub(crate) fn check_movable(path: &Path) -> Result<()> {
    check_replaceable(path)?;
    // If it cannot be synced now, it could not be synced when all is done.
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

/// Whether it is the working folder of this process, or one above it.
fn is_around_us(path: &Path) -> bool {
    let mut here = PathBuf::from(".");
    loop {
        if is_same(fs::metadata(path), fs::metadata(&here)) {
            return true;
        }
        let above = here.join("..");
        // The root is its own parent.
        if fs::metadata(&above).is_err() || is_same(fs::metadata(&above), fs::metadata(&here)) {
            return false;
        }
        here = above;
    }
}

/// Whether a folder is a mount point.
fn is_mount_point(path: &Path, about: &Metadata) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        // This recognises bind mounts of the same disk too, and does not take a subvolume for a mount point.
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

/// Whether a file or folder belongs to another user and lies in a sticky folder, such as `/tmp`.
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

/// Creates a file that must not exist. Files in staging folders are written like this, since a name that is
/// there may be a link to anything.
///
/// # Errors
/// [`Error::Io`] if something has that name, or if the file cannot be written.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    File::create_new(path).and_then(|mut file| file.write_all(bytes)).map_err(Error::io("write", path))
}

/// Renames the folder or file `from` to `to`, and syncs the rename. An empty folder at `to` is replaced, and
/// `from` gets its mode. Returns `false` if anything else is there.
///
/// # Errors
/// [`Error::Io`] if the rename or its sync fails.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<bool> {
    rename_new_and(from, to, || ())
}

/// As [`rename_new`], and calls `named` as soon as `to` has its name, before waiting for the disk.
///
/// # Errors
/// As [`rename_new`].
pub(crate) fn rename_new_and(from: &Path, to: &Path, named: impl FnOnce()) -> Result<bool> {
    if to.is_dir() && !to.is_symlink() && is_empty(to)? {
        let about = fs::symlink_metadata(to).map_err(Error::io("look at", to))?;
        let mode = take_after(from, &about)?;
        match fs::remove_dir(to) {
            // It was filled or removed in between; the rename below finds out.
            Err(e) if !matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
                return Err(Error::io("replace the empty folder", to)(e));
            }
            _ => {}
        }
        return if move_new(from, to)? {
            named();
            restore(to, mode).and(sync_dir(parent(to))).map(|()| true)
        } else {
            Ok(false)
        };
    }
    if !move_new(from, to)? {
        return Ok(false);
    }
    named();
    sync_dir(parent(to)).map(|()| true)
}

/// Renames the folder or file `from` to `to`, without waiting for the disk. Returns `false` if something is
/// there.
///
/// # Errors
/// [`Error::Io`] if the rename fails.
pub(crate) fn move_new(from: &Path, to: &Path) -> Result<bool> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::EXIST) => return Ok(false),
            // Some network file systems do not support the flag.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(e) => return Err(Error::io("create", to)(e.into())),
        }
    }
    if fs::symlink_metadata(to).is_ok() {
        return Ok(false);
    }
    fs::rename(from, to).map(|()| true).map_err(Error::io("create", to))
}

/// Exchanges the names of the folders `new` and `old`, in one step where the file system can do so. Elsewhere
/// `old` is at `aside` for a moment, where a killed run leaves it. The folder that gets the name of `old`
/// gets its mode too.
///
/// Returns the error of what follows the exchange, if something fails there: setting the mode, or syncing the
/// folder.
///
/// # Errors
/// Fails if nothing was exchanged. If the file system needs several steps, and neither they nor the way back
/// succeed, the old folder is left at `aside`, and the error says so.
pub fn exchange(new: &Path, old: &Path, aside: &Path) -> Result<Option<Error>> {
    let about = fs::symlink_metadata(old).map_err(Error::io("look at", old))?;
    let mode = take_after(new, &about)?;
    swap(new, old, aside)?;
    Ok(restore(old, mode).and(sync_dir(parent(old))).err())
}

/// Gives the folder `new` the mode of another folder and, where this user may, its owner and group. If the
/// group differs, the group's permissions are left out. Returns the mode to [`restore`] after the move, if it
/// denies the owner something: only an owner who may write to a folder can move it.
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
    swap_in_steps(new, old, aside, |from, to| fs::rename(from, to))
}

/// As [`swap`], where the file system cannot exchange two names in one step.
fn swap_in_steps(
    new: &Path,
    old: &Path,
    aside: &Path,
    rename: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<()> {
    rename(old, aside).map_err(Error::io("replace", old))?;
    let exchanged =
        rename(new, old).and_then(|()| rename(aside, new).inspect_err(|_| drop(rename(old, new))));
    exchanged.map_err(|e| {
        let e = match rename(aside, old) {
            Ok(()) => e,
            Err(_) => {
                let why =
                    format!("{e}; the folder that was there is kept in {}: move it back", aside.display());
                io::Error::new(e.kind(), why)
            }
        };
        Error::io("replace", old)(e)
    })
}

/// As [`exchange`], in one step only, without modes or syncs. Returns `false` if the file system cannot do
/// so; nothing has changed then.
///
/// # Errors
/// [`Error::Io`] if the exchange fails.
pub(crate) fn exchange_at_once(new: &Path, old: &Path) -> Result<bool> {
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
    use std::cell::Cell;

    use super::super::names_in;
    use super::*;
    use isn_format::error::chain;

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

    #[test]
    fn a_failed_swap_restores_the_old_folder_or_says_where_it_is() {
        // Which renames fail, counted from 0, and where the old folder is then.
        for (failing, is_at) in [(&[1][..], "old"), (&[2], "old"), (&[1, 2], "aside"), (&[2, 3], "aside")] {
            let dir = tempfile::tempdir().unwrap();
            let [new, old, aside] = ["new", "old", "aside"].map(|name| dir.path().join(name));
            for folder in [&new, &old] {
                fs::create_dir(folder).unwrap();
                fs::write(folder.join(folder.file_name().unwrap()), "").unwrap();
            }
            let count = Cell::new(0);
            let failed = swap_in_steps(&new, &old, &aside, |from, to| {
                if failing.contains(&count.replace(count.get() + 1)) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                fs::rename(from, to)
            });
            assert_eq!(names_in(&dir.path().join(is_at)).unwrap(), ["old"], "{failing:?}");
            let said = chain(&failed.unwrap_err());
            let kept = format!("is kept in {}: move it back", aside.display());
            assert_eq!(said.contains(&kept), is_at == "aside", "{failing:?}: {said}");
        }
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
        assert!(is_free(&at("link")).unwrap_err().to_string().contains("is a symlink"));
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
        // A symlink may lead anywhere, so only the system can resolve `..` after one.
        assert_eq!(place(Path::new("src/../x")), Path::new("src/../x"));
    }
}
