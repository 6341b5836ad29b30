//! Files in a [`Below`], written whole or not at all through its directory handle, so that a symlink put on
//! the way meanwhile cannot redirect a write.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use cap_std::fs::{Metadata, OpenOptions};

use super::below::{Below, foreign, gone, in_the_way, open_in, walk};
use super::{Kind, TEMP_PREFIX};
use isn_format::error::{Error, Result};

/// A file without its final name; removed when dropped unless it gets one.
pub struct Temp<'a> {
    folder: &'a Below,
    name: OsString,
    file: File,
}

impl Below {
    /// Creates a temporary file in the folder that everybody may read.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn temp(&self) -> Result<Temp<'_>> {
        let name = OsString::from(format!("{TEMP_PREFIX}{:016x}", fastrand::u64(..)));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, 0o644);
        let path = self.path.join(&name);
        let file = open_in(&self.dir, &name, &mut options, &path)?.ok_or_else(|| gone(&path))?;
        Ok(Temp { folder: self, name, file })
    }

    /// Writes a file by an atomic replace; it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; [`Error::Foreign`] if something other than a file has that
    /// name.
    pub fn replace(&self, name: &OsStr, bytes: &[u8]) -> Result<()> {
        self.written(name, bytes)?.persist(name)?;
        self.sync()
    }

    /// As [`Below::replace`], but returns `false` if a file of that name is there already.
    ///
    /// # Errors
    /// As [`Below::replace`].
    pub(crate) fn create_new(&self, name: &OsStr, bytes: &[u8]) -> Result<bool> {
        let is_new = self.written(name, bytes)?.persist_new(name)?;
        self.sync().map(|()| is_new)
    }

    /// Reads a file of at most `cap` bytes; returns `None` if there is none.
    ///
    /// # Errors
    /// As [`Below::open`]; [`Error::Integrity`] if it is longer.
    pub fn read(&self, name: &OsStr, cap: u64) -> Result<Option<Vec<u8>>> {
        let file = self.open(name)?;
        file.map(|file| super::read_to_cap(file, &self.path.join(name), cap)).transpose()
    }

    /// Lists everything below the folder that is not a folder itself, by `/`-separated path, sorted by bytes.
    /// Follows no symlink.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn list(&self) -> Result<Vec<(String, Kind)>> {
        let found = walk(&self.dir).map_err(Error::io("list", &self.path))?;
        let kind = |about: &Metadata| if about.is_file() { Kind::File(about.len()) } else { Kind::Other };
        let mut found: Vec<(String, Kind)> = found
            .iter()
            .map(|(path, about)| {
                let names: Vec<_> = path.iter().map(OsStr::to_string_lossy).collect();
                (names.join("/"), kind(about))
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn written(&self, name: &OsStr, bytes: &[u8]) -> Result<Temp<'_>> {
        let mut temp = self.temp()?;
        temp.file.write_all(bytes).map_err(Error::io("write", self.path.join(name)))?;
        Ok(temp)
    }

    /// Moves a file to `new` in the folder `to`; returns `false` if a file is there already.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be moved; [`Error::Foreign`] if something other than a file is there.
    pub(crate) fn move_new(&self, name: &OsStr, to: &Below, new: &OsStr) -> Result<bool> {
        let path = to.path.join(new);
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            match renameat_with(&self.dir, name, &to.dir, new, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(true),
                Err(rustix::io::Errno::EXIST) => return to.length(new).map(|_| false),
                // Some network file systems do not support the flag.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
                Err(e) => return Err(Error::io("create", path)(e.into())),
            }
        }
        match self.dir.hard_link(Path::new(name), &to.dir, Path::new(new)) {
            Ok(()) => self.remove(name).map(|()| true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => to.length(new).map(|_| false),
            Err(e) => Err(Error::io("create", path)(e)),
        }
    }

    /// Returns the length of a file in bytes; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Foreign`] if it is not a regular file, such as a symlink; [`Error::Io`] if it cannot be
    /// looked at.
    pub fn length(&self, name: &OsStr) -> Result<Option<u64>> {
        let path = self.path.join(name);
        match self.dir.symlink_metadata(Path::new(name)) {
            Ok(about) if about.is_file() => Ok(Some(about.len())),
            Ok(_) => Err(foreign(&path, in_the_way(&self.dir, name, false).unwrap_or("is not a file"))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("look at", path)(e)),
        }
    }

    /// Removes a folder, if there is one; returns `false` if it is not empty.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be removed.
    pub(crate) fn remove_folder(&self, name: &OsStr) -> Result<bool> {
        match self.dir.remove_dir(Path::new(name)) {
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove folder", self.path.join(name))(e))
            }
            _ => Ok(true),
        }
    }

    /// Returns once the names in the folder are on disk.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk fails.
    pub fn sync(&self) -> Result<()> {
        #[cfg(unix)]
        {
            // Opened again, since the directory handle for lookups may be one that cannot be synced.
            let synced = self.dir.open(".").and_then(|dir| super::sync::tolerate(dir.into_std().sync_all()));
            synced.map_err(Error::io("sync folder", &self.path))?;
        }
        Ok(())
    }
}

impl Temp<'_> {
    /// The file, for reading again what was written.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name once its bytes are on disk; replaces a file of that name.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; [`Error::Foreign`] if something other than a file has that
    /// name.
    pub fn persist(mut self, name: &OsStr) -> Result<()> {
        let path = self.folder.path.join(name);
        self.file.sync_all().map_err(Error::io("write", &path))?;
        if let Some(why) = in_the_way(&self.folder.dir, name, false) {
            return Err(foreign(&path, why));
        }
        let dir = &self.folder.dir;
        dir.rename(Path::new(&self.name), dir, Path::new(name)).map_err(Error::io("write", path))?;
        self.name.clear();
        Ok(())
    }

    /// As [`Temp::persist`], but returns `false` if a file of that name is there already.
    ///
    /// # Errors
    /// As [`Temp::persist`].
    pub(crate) fn persist_new(mut self, name: &OsStr) -> Result<bool> {
        self.file.sync_all().map_err(Error::io("write", self.folder.path.join(name)))?;
        let is_new = self.folder.move_new(&self.name, self.folder, name)?;
        if is_new {
            self.name.clear();
        }
        Ok(is_new)
    }
}

impl Write for Temp<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = self.folder.remove(&self.name);
        }
    }
}
