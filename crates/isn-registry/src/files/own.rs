//! [`OwnFolder`]: a folder that isn keeps beside the user's files and removes again, with a marker that says
//! so.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::below::{
    Below, cannot_make, check_owner, foreign, gone, make_dir, open_dir, open_in, parent_of, walk,
};
use super::mount::{Mount, mounted_below};
use super::removal::{remove, remove_all};
use super::{Kind, TEMP_PREFIX};
use isn_format::error::{Error, Result};

/// The file in an [`OwnFolder`] that says that isn made it.
const MARKER: &str = ".made-by-isn";
/// The text of a marker, before the folder's inode.
const SAYS: &str = "isn made this folder, and removes it when it is done\n";
/// The maximum length of a marker, in bytes.
const MAX_MARKER: u64 = 200;

/// A folder for work in progress that only isn made: a real folder, the caller's own, and with a marker in it
/// that is not valid in a copy of the folder. Whatever is to become visible is made in a folder within it and
/// renamed out of it, so that the marker stays until the last file is gone.
#[derive(Debug)]
pub struct OwnFolder {
    path: PathBuf,
    parent: Dir,
    name: OsString,
    dir: Dir,
}

impl OwnFolder {
    /// Opens the folder at `path`, or creates it.
    ///
    /// # Errors
    /// [`Error::Foreign`] if something is there that isn has not made, which stays unchanged; [`Error::Io`]
    /// if the folder cannot be created.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = OwnFolder::make(path)?;
        if !folder.is_marked()? {
            folder.mark()?;
        }
        Ok(folder)
    }

    /// As [`OwnFolder::open`], but also takes over a folder whose marker is absent or belongs to the folder
    /// that it was copied from, if `is_own` recognises all its contents by path and kind: isn made it before
    /// there were markers, or it was moved here from another file system.
    ///
    /// # Errors
    /// As [`OwnFolder::open`]; the error names what isn has not made.
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

    /// Opens the folder at `path`, or creates it, without checking who made it.
    fn make(path: &Path) -> Result<Self> {
        let (parent, name) = parent_of(path)?;
        match parent.create_dir(&name) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(cannot_make(path, e));
            }
            _ => {}
        }
        let dir = open_dir(&parent, &name, path)?.ok_or_else(|| gone(path))?;
        Ok(OwnFolder { path: path.to_path_buf(), parent, name, dir })
    }

    /// Opens the folder at `path`; returns `None` if nothing is there. Changes nothing.
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

    /// The path at which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of an entry of the folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Creates the folder `name` in it, if it is not there yet, and returns its path.
    ///
    /// # Errors
    /// [`Error::Foreign`] if something other than a folder is there, or if something is mounted in a folder
    /// that a killed run left: the work in it removes what it does not need. [`Error::Io`] if it cannot be
    /// created.
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

    /// Whether it contains nothing but the marker and folders without files.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be listed.
    pub fn is_empty(&self) -> Result<bool> {
        let found = walk(&self.dir).map_err(Error::io("list", &self.path))?;
        Ok(found.iter().all(|(path, _)| path == Path::new(MARKER)))
    }

    /// Checks that the folder is still where it was opened.
    ///
    /// # Errors
    /// [`Error::Foreign`] if another folder is there; [`Error::Io`] if none is.
    pub fn check(&self) -> Result<()> {
        let there = open_dir(&self.parent, &self.name, &self.path)?.ok_or_else(|| gone(&self.path))?;
        let same = identity(&there.dir_metadata().map_err(Error::io("look at", &self.path))?)
            == identity(&self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?);
        if same { Ok(()) } else { Err(foreign(&self.path, "was replaced by another folder meanwhile")) }
    }

    /// Removes the entry `name` with all its contents, if there is one.
    ///
    /// # Errors
    /// Returns the first thing that cannot be removed.
    pub(crate) fn remove_from(&self, name: impl AsRef<OsStr>) -> Result<()> {
        remove(&self.dir, name.as_ref(), &self.join(name.as_ref()))
    }

    /// Removes all contents but the marker, or as much of them as can be removed.
    ///
    /// # Errors
    /// Returns the first thing that cannot be removed, such as a mount point or another user's file.
    pub fn clear(&self) -> Result<()> {
        let mut names = self.names().map_err(Error::io("list", &self.path))?;
        names.retain(|name| *name != MARKER);
        remove_all(&names, |name| self.remove_from(name))
    }

    /// Removes the folder with all its contents: the marker last, so that isn still recognises what a kill
    /// leaves.
    ///
    /// # Errors
    /// As [`OwnFolder::check`] and [`OwnFolder::clear`].
    pub fn remove(&self) -> Result<()> {
        self.check()?;
        self.clear()?;
        self.remove_from(MARKER)?;
        self.parent.remove_dir(&self.name).map_err(Error::io("remove folder", &self.path))
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        self.dir.entries()?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Whether it has a valid marker. Returns `false` if it contains nothing but what a kill or a power cut
    /// leaves of a marker: nothing can be lost then.
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

    /// Reads the marker `name`, which may be incomplete; returns `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Foreign`] if isn has not written it, or if it has hard links and is not this folder's marker:
    /// it may be anybody's file.
    fn marker_in(&self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        let path = self.join(name);
        let Some(file) = open_in(&self.dir, name, OpenOptions::new().read(true), &path)? else {
            return Ok(None);
        };
        let names = names_of(&file.metadata().map_err(Error::io("look at", &path))?);
        let mut found = Vec::new();
        file.take(MAX_MARKER + 1).read_to_end(&mut found).map_err(Error::io("read", &path))?;
        // A marker with this folder's own inode is valid even if a backup shares it by a hard link.
        let about = self.dir.dir_metadata().map_err(Error::io("look at", &self.path))?;
        if names > 1 && found != marker(&about).as_bytes() {
            return Err(foreign(&path, "has another name too (a hard link)"));
        }
        match is_of_a_marker(&found) && found.len() as u64 <= MAX_MARKER {
            true => Ok(Some(found)),
            false => Err(foreign(&path, "is not a marker of isn's")),
        }
    }

    /// Whether an entry is a marker that has no name yet.
    fn is_half_written(&self, name: &OsStr) -> bool {
        name.to_string_lossy().starts_with(TEMP_PREFIX)
            && self.marker_in(name).is_ok_and(|found| found.is_some())
    }

    /// Writes the marker to disk before anything else is in the folder: after a power cut isn would otherwise
    /// not recognise its own files. An existing marker is replaced rather than written to.
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

/// Returns the text of a folder's marker. Only this folder has its inode, so no copy or checkout of it passes
/// for it.
fn marker(about: &Metadata) -> String {
    let number = identity(about).map_or(String::new(), |(_, number)| format!("{number}\n"));
    format!("{SAYS}{number}")
}

/// Whether these bytes are the marker of some folder, or what a kill or a power cut leaves of one: a prefix,
/// or zeros.
fn is_of_a_marker(bytes: &[u8]) -> bool {
    let is_number = |rest: &[u8]| rest.strip_suffix(b"\n").unwrap_or(rest).iter().all(u8::is_ascii_digit);
    bytes.strip_prefix(SAYS.as_bytes()).is_some_and(is_number)
        || SAYS.as_bytes().starts_with(bytes)
        || bytes.iter().all(|byte| *byte == 0)
}

/// Returns the number of hard links of a file; 1 if the system does not say.
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
        // Whatever its text: a longer text, part of a marker, nothing, the marker of another folder.
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
        // A power cut leaves no text after zeros.
        for text in ["all of it", &format!("{}thesis", "\0".repeat(MAX_MARKER as usize))] {
            std::fs::write(path.join(MARKER), text).unwrap();
            refused("is not a marker of isn's");
        }
        // A marker that may be replaced is replaced by another file.
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
