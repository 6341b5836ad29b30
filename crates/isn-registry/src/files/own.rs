//! What isn keeps beside a user's things and takes away again: [`OwnFolder`], a folder that says that isn has made it.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::below::{Below, check_owner, foreign, gone, make_dir, open_dir, open_in, parent_of, walk};
use super::mount::{Mount, mounted_below};
use super::removal::{remove, remove_all};
use super::{Kind, TEMP_PREFIX};
use isn_format::error::{Error, Result};

/// The file in an [`OwnFolder`] that says whose it is.
const MARKER: &str = ".made-by-isn";
/// What it says, before the number of the folder.
const SAYS: &str = "isn made this folder, and removes it when it is done\n";
/// The longest marker that is read, in bytes.
const MAX_MARKER: u64 = 200;

/// A folder for what is under way, made by isn and by nobody else: real, the caller's own, and with a marker in it, which
/// a copy of the folder does not make true. What is to be seen is made in a folder within and renamed out of it, so that
/// the marker is there until the last thing is gone.
#[derive(Debug)]
pub struct OwnFolder {
    path: PathBuf,
    parent: Dir,
    name: OsString,
    dir: Dir,
}

impl OwnFolder {
    /// Opens the folder at `path`, or makes it.
    ///
    /// # Errors
    /// [`Error::Foreign`] if something is there that isn has not made; nothing is changed then.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = OwnFolder::make(path)?;
        if !folder.is_marked()? {
            folder.mark()?;
        }
        Ok(folder)
    }

    /// The same, and takes over a folder that lacks its marker, or has that of a folder of which it is a copy, if `is_own`
    /// knows everything in it by path and kind: then isn made it before there were markers, or it was moved here.
    ///
    /// # Errors
    /// As [`OwnFolder::open`]; the error names what is not isn's.
    pub fn adopt(path: &Path, is_own: impl Fn(&str, Kind) -> bool) -> Result<Self> {
        let folder = OwnFolder::make(path)?;
        check_owner(&folder.dir.dir_metadata().map_err(Error::io("look at", path))?, path)?;
        let is_others = |(name, kind): &&(String, Kind)| {
            let is_marker = name == MARKER && matches!(kind, Kind::File(_));
            !is_marker && !is_own(name, *kind)
        };
        match folder.is_marked() {
            Ok(true) => return Ok(folder),
            Err(Error::Foreign { .. }) => {
                folder.marker_in(OsStr::new(MARKER))?;
                let there = folder.below()?.list()?;
                if let Some((name, _)) = there.iter().find(is_others) {
                    return Err(foreign(&path.join(name), "was not made by isn"));
                }
            }
            is_marked => drop(is_marked?),
        }
        folder.mark()?;
        Ok(folder)
    }

    /// Opens the folder at `path`, or makes it, whosever it is.
    fn make(path: &Path) -> Result<Self> {
        let (parent, name) = parent_of(path)?;
        match parent.create_dir(&name) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("create folder", path)(e));
            }
            _ => {}
        }
        let dir = open_dir(&parent, &name, path)?.ok_or_else(|| gone(path))?;
        Ok(OwnFolder { path: path.to_path_buf(), parent, name, dir })
    }

    /// Opens the folder at `path`; `None` if nothing is there. Nothing is changed.
    ///
    /// # Errors
    /// As [`OwnFolder::open`].
    pub fn find(path: &Path) -> Result<Option<Self>> {
        match path.symlink_metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("look at", path)(e)),
            Ok(_) => {}
        }
        let (parent, name) = parent_of(path)?;
        let Some(dir) = open_dir(&parent, &name, path)? else { return Ok(None) };
        let folder = OwnFolder { path: path.to_path_buf(), parent, name, dir };
        folder.is_marked().map(|_| Some(folder))
    }

    /// A thing in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the folder `name` in it, which nothing but a folder may stand in the way of. Gives its path.
    ///
    /// # Errors
    /// [`Error::Foreign`] also of what is mounted in one that a killed run left: who works in it removes what it has no use for.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.join(name);
        let (dir, is_new) = make_dir(&self.dir, OsStr::new(name), &path)?;
        let look = || Error::io("look at", &path);
        let of = |name: &str| Mount::of(&self.dir, OsStr::new(name)).map_err(look());
        let mounted = match of(".")?.has(of(name)?) {
            true if is_new => None,
            true => mounted_below(&dir, &path)?,
            false => Some(path.clone()),
        };
        mounted.map_or(Ok(path), |mounted| Err(foreign(&mounted, "is a mount point")))
    }

    /// Whether nothing is in it but the marker and folders without a file.
    pub fn is_empty(&self) -> Result<bool> {
        let found = walk(&self.dir).map_err(Error::io("list", &self.path))?;
        Ok(found.iter().all(|(path, _)| path == Path::new(MARKER)))
    }

    /// Whether the folder is still where it was opened.
    pub fn check(&self) -> Result<()> {
        let there = open_dir(&self.parent, &self.name, &self.path)?.ok_or_else(|| gone(&self.path))?;
        let same = identity(&there.dir_metadata().map_err(Error::io("look at", &self.path))?)
            == identity(&self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?);
        if same { Ok(()) } else { Err(foreign(&self.path, "was replaced by another folder meanwhile")) }
    }

    /// Removes the thing `name` from it, with all that is in it; fine if there is none.
    pub fn remove_from(&self, name: impl AsRef<OsStr>) -> Result<()> {
        remove(&self.dir, name.as_ref(), &self.join(name.as_ref()))
    }

    /// Removes all that is in it, or as much as can be removed.
    ///
    /// # Errors
    /// The first thing that cannot: what is mounted there above all, and what another user has.
    pub fn clear(&self) -> Result<()> {
        let mut names = self.names().map_err(Error::io("list", &self.path))?;
        names.retain(|name| *name != MARKER);
        remove_all(&names, |name| self.remove_from(name))
    }

    /// Removes it with all that is in it: the marker last, so that what is left after a kill is still known for isn's.
    pub fn remove(&self) -> Result<()> {
        self.check()?;
        self.clear()?;
        self.remove_from(MARKER)?;
        self.parent.remove_dir(&self.name).map_err(Error::io("remove folder", &self.path))
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        self.dir.entries()?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Whether it says that it is isn's. It may not yet, or not any more, if there is nothing in it but what a kill or a
    /// power cut leaves of a marker: then there is nothing to lose.
    fn is_marked(&self) -> Result<bool> {
        let about = self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?;
        check_owner(&about, &self.path)?;
        let found = self.marker_in(OsStr::new(MARKER))?;
        if found.as_ref().is_some_and(|found| found == marker(&about).as_bytes()) {
            return Ok(true);
        }
        let names = self.names().map_err(Error::io("list", &self.path))?;
        let is_left = |name: &&OsString| *name == MARKER || self.is_half_written(name);
        if names.iter().all(|name| is_left(&name)) {
            return Ok(false);
        }
        let of_a_copy = "is a copy of a folder that isn made, or was changed";
        Err(foreign(&self.path, if found.is_some() { of_a_copy } else { "was not made by isn" }))
    }

    /// What the marker `name` says, all of it or as much as was written of it; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Foreign`] if it is nothing that isn has written, or has another name as well and is not this folder's: it may be
    /// anybody's file.
    fn marker_in(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        let path = self.join(name);
        let Some(file) = open_in(&self.dir, name, OpenOptions::new().read(true), &path)? else {
            return Ok(None);
        };
        let names = names_of(&file.metadata().map_err(Error::io("look at", &path))?);
        let mut found = Vec::new();
        file.take(MAX_MARKER + 1).read_to_end(&mut found).map_err(Error::io("read", &path))?;
        // What says this folder's number is its marker, also where a backup of hard links shares it.
        let about = self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?;
        if names > 1 && found != marker(&about).as_bytes() {
            return Err(foreign(&path, "has another name too"));
        }
        match is_of_a_marker(&found) && found.len() as u64 <= MAX_MARKER {
            true => Ok(Some(found)),
            false => Err(foreign(&path, "is no marker of isn's")),
        }
    }

    /// Whether a thing in it is a marker that has no name yet.
    fn is_half_written(&self, name: &OsStr) -> bool {
        name.to_string_lossy().starts_with(TEMP_PREFIX)
            && self.marker_in(name).is_ok_and(|found| found.is_some())
    }

    /// Says that it is isn's: on disk before there is anything in it, or a power cut would leave what isn knows not for its
    /// own. A marker that is there is replaced, not written to.
    fn mark(&self) -> Result<()> {
        let names = self.names().map_err(Error::io("list", &self.path))?;
        names.iter().filter(|name| self.is_half_written(name)).try_for_each(|name| self.remove_from(name))?;
        let about = self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?;
        self.below()?.replace(OsStr::new(MARKER), marker(&about).as_bytes())
    }

    fn below(&self) -> Result<Below> {
        let dir = self.dir.try_clone().map_err(Error::io("open", &self.path))?;
        Ok(Below { path: self.path.clone(), dir })
    }
}

/// What the marker of a folder says. The number is the folder's alone, so no copy or checkout of it passes for it.
fn marker(about: &Metadata) -> String {
    let number = identity(about).map_or(String::new(), |(_, number)| format!("{number}\n"));
    format!("{SAYS}{number}")
}

/// Whether these bytes are a marker, of whatever folder, or what a kill leaves of one, or a power cut: its beginning, or
/// zeros.
fn is_of_a_marker(bytes: &[u8]) -> bool {
    let is_number = |rest: &[u8]| rest.strip_suffix(b"\n").unwrap_or(rest).iter().all(u8::is_ascii_digit);
    bytes.strip_prefix(SAYS.as_bytes()).is_some_and(is_number)
        || SAYS.as_bytes().starts_with(bytes)
        || bytes.iter().all(|byte| *byte == 0)
}

/// How many names a file has; one where the system does not say.
fn names_of(about: &std::fs::Metadata) -> u64 {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::nlink(about)
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        1
    }
}

fn identity(about: &Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        Some((about.dev(), about.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_isn_is_found_again_and_goes_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".x.isn-partial");
        assert!(OwnFolder::find(&path).unwrap().is_none());
        let own = OwnFolder::open(&path).unwrap();
        assert!(own.is_empty().unwrap());
        std::fs::write(own.folder("tree").unwrap().join("file"), "x").unwrap();
        drop(own);
        let own = OwnFolder::find(&path).unwrap().unwrap();
        assert!(!own.is_empty().unwrap());
        own.clear().unwrap();
        assert!(own.is_empty().unwrap());
        own.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_a_kill_left_without_its_marker_is_taken_if_nothing_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own");
        std::fs::create_dir(&path).unwrap();
        OwnFolder::open(&path).unwrap();
        for half in ["", "isn made", "\0\0\0"] {
            std::fs::write(path.join(MARKER), half).unwrap();
            OwnFolder::open(&path).unwrap();
        }
        std::fs::write(path.join(MARKER), "").unwrap();
        std::fs::write(path.join("thesis"), "").unwrap();
        assert!(matches!(OwnFolder::open(&path), Err(Error::Foreign { .. })));
    }

    #[test]
    fn a_folder_that_is_looked_for_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/own");
        assert!(OwnFolder::find(&path).unwrap().is_none());
        assert!(!dir.path().join("deep").exists());
        std::fs::create_dir_all(&path).unwrap();
        OwnFolder::find(&path).unwrap().unwrap();
        assert!(!path.join(MARKER).exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_of_a_folder_of_isn_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("own"), dir.path().join("copy"));
        OwnFolder::open(&path).unwrap();
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(path.join(MARKER), copy.join(MARKER)).unwrap();
        std::fs::write(copy.join("thesis"), "").unwrap();
        assert!(matches!(OwnFolder::find(&copy), Err(Error::Foreign { .. })));
        assert!(copy.join("thesis").exists());
        std::fs::rename(&path, dir.path().join("moved")).unwrap();
        assert!(OwnFolder::find(&dir.path().join("moved")).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_marker_that_a_backup_shares_is_one_in_its_own_folder_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, backup) = (dir.path().join("own"), dir.path().join("backup"));
        OwnFolder::open(&path).unwrap();
        std::fs::create_dir(&backup).unwrap();
        std::fs::hard_link(path.join(MARKER), backup.join(MARKER)).unwrap();
        for opened in [OwnFolder::open(&path), OwnFolder::adopt(&path, |_, _| false)] {
            opened.unwrap();
        }
        for refused in [OwnFolder::open(&backup), OwnFolder::adopt(&backup, |_, _| false)] {
            assert!(matches!(refused, Err(Error::Foreign { .. })));
        }
        OwnFolder::find(&path).unwrap().unwrap().remove().unwrap();
        assert!(backup.join(MARKER).exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_a_folder_of_isn_goes_and_what_it_leads_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        std::fs::create_dir(&precious).unwrap();
        std::fs::write(precious.join("thesis"), "x").unwrap();
        let own = OwnFolder::open(&dir.path().join("own")).unwrap();
        std::fs::create_dir(own.join("deep")).unwrap();
        for link in ["link", "deep/link"] {
            std::os::unix::fs::symlink(&precious, own.join(link)).unwrap();
        }
        assert!(matches!(own.folder("link"), Err(Error::Foreign { .. })));
        own.remove().unwrap();
        assert!(precious.join("thesis").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_swapped_meanwhile_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("own"), dir.path().join("moved"));
        let own = OwnFolder::open(&path).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("thesis"), "x").unwrap();
        assert!(own.remove().is_err());
        assert!(path.join("thesis").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_marker_is_never_written_to_and_what_is_none_of_isns_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, thesis) = (dir.path().join("own"), dir.path().join("thesis"));
        let refused = |say: &str| {
            for refused in [
                OwnFolder::open(&path).unwrap_err(),
                OwnFolder::find(&path).unwrap_err(),
                OwnFolder::adopt(&path, |_, _| true).unwrap_err(),
            ] {
                assert!(
                    matches!(refused, Error::Foreign { .. }) && refused.to_string().contains(say),
                    "{refused}"
                );
            }
        };
        // Whatever it says: a longer one, half a marker, nothing, that of another folder.
        std::fs::create_dir(&path).unwrap();
        for text in
            ["all of it", "isn made this", "", "isn made this folder, and removes it when it is done\n1\n"]
        {
            std::fs::write(&thesis, text).unwrap();
            std::fs::hard_link(&thesis, path.join(MARKER)).unwrap();
            refused("has another name");
            assert_eq!(std::fs::read_to_string(&thesis).unwrap(), text);
            std::fs::remove_file(path.join(MARKER)).unwrap();
        }
        // One that goes on after zeros is nothing that a power cut leaves.
        for text in ["all of it", &format!("{}thesis", "\0".repeat(MAX_MARKER as usize))] {
            std::fs::write(path.join(MARKER), text).unwrap();
            refused("is no marker of isn's");
        }
        // What may be replaced is, by another file.
        std::fs::write(path.join(MARKER), "isn made this").unwrap();
        let open = std::fs::File::open(path.join(MARKER)).unwrap();
        OwnFolder::open(&path).unwrap();
        assert_eq!(std::io::read_to_string(open).unwrap(), "isn made this");
    }

    #[test]
    fn what_a_kill_left_of_a_marker_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(".isn-tmp-0123456789abcdef"), "isn made").unwrap();
        let own = OwnFolder::open(&path).unwrap();
        assert!(own.is_empty().unwrap());
        own.remove().unwrap();
        // Unless it is something else.
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(".isn-tmp-0123456789abcdef"), "all of it").unwrap();
        assert!(matches!(OwnFolder::open(&path), Err(Error::Foreign { .. })));
    }
}
