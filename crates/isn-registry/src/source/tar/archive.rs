//! [`Archive`]: a tar file with its index.

use std::path::Path;

use super::index::{Indexes, TarIndex};
use super::walk::{Member, walk};
use crate::files::{self, Below};
use crate::source::container::{Container, Stamp};
use isn_format::error::{Error, Result};

/// The maximum length of an index, in bytes: some five million members.
pub(crate) const MAX_INDEX: u64 = 1 << 30;

/// An open tar file. Its contents are found once, and kept in the index.
#[derive(Debug)]
pub(in crate::source) struct Archive {
    container: Container,
    /// Its path, as messages show it.
    shown: String,
    index: TarIndex,
    indexes: Option<Indexes>,
    is_new: bool,
}

impl Archive {
    /// Opens the tar file at `path`. `indexes` is where its index may be kept.
    pub(in crate::source) fn open(path: &Path, shown: &str, indexes: Option<&Indexes>) -> Result<Self> {
        let container = Container::open(path)?;
        let kept = indexes.and_then(|indexes| {
            let bytes = read_kept(&indexes.path_of(path))?;
            TarIndex::parse(indexes, &bytes, path, container.stamp())
        });
        Ok(Archive {
            container,
            shown: shown.into(),
            index: kept.unwrap_or_default(),
            indexes: indexes.cloned(),
            is_new: false,
        })
    }

    pub(in crate::source) fn stamp(&self) -> Stamp {
        self.container.stamp()
    }

    /// Returns the files in the archive.
    pub(in crate::source) fn members(&mut self) -> Result<Vec<Member>> {
        let all = 0..self.container.stamp().length;
        self.section("", all)
    }

    /// Returns the files in the archive that is the member `inner` of this one.
    pub(in crate::source) fn members_of(&mut self, inner: &Member) -> Result<Vec<Member>> {
        self.section(&inner.name, inner.offset..inner.offset + inner.length)
    }

    fn section(&mut self, name: &str, range: std::ops::Range<u64>) -> Result<Vec<Member>> {
        if let Some(members) = self.index.get(name) {
            return Ok(members.to_vec());
        }
        let what = if name.is_empty() { self.shown.clone() } else { format!("{}/{name}", self.shown) };
        let members = walk(&self.container, range).map_err(|fault| Error::invalid(what, fault))?;
        self.index.insert(name, members.clone());
        self.is_new = true;
        Ok(members)
    }

    /// Keeps the index if it has grown. A cache that cannot be written to only costs time.
    pub(in crate::source) fn keep_index(&mut self) -> Result<()> {
        self.container.check()?;
        if let Some(indexes) = self.indexes.as_ref().filter(|_| self.is_new) {
            let _ = self.index.keep(indexes, self.container.path(), self.container.stamp());
            self.is_new = false;
        }
        Ok(())
    }

    /// Returns the bytes of a member.
    pub(in crate::source) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.container.read(offset, length)
    }
}

/// Reads a file of the cache, which must not be reached through a symlink.
fn read_kept(path: &Path) -> Option<Vec<u8>> {
    let cache = files::parent(files::parent(path));
    files::read_to_cap(Below::open_file(cache, path).ok()??, path, MAX_INDEX).ok()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_index_is_not_read_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (tar, folder) = (dir.path().join("a.tar"), dir.path().join("cache/sources"));
        let indexes = Indexes::new(&folder, [0; 32]);
        std::fs::write(&tar, [0; 1024]).unwrap();
        let open = || Archive::open(&tar, "a.tar", Some(&indexes)).unwrap();
        let mut archive = open();
        archive.members().unwrap();
        archive.keep_index().unwrap();
        assert!(open().index.get("").is_some());
        let moved = dir.path().join("moved");
        let index = indexes.path_of(&tar);
        for path in [&index, &folder] {
            std::fs::rename(path, &moved).unwrap();
            symlink(&moved, path).unwrap();
            assert!(open().index.get("").is_none());
            std::fs::remove_file(path).unwrap();
            std::fs::rename(&moved, path).unwrap();
        }
        assert!(open().index.get("").is_some());
    }
}
