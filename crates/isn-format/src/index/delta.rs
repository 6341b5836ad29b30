//! [`Delta`]: the rows in which an index differs from that of an earlier version, for who has that.

use serde::{Deserialize, Serialize};

use super::{Columns, Index, MAX_ROW, Pulled, RowRef};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json_lines::{Lines, Writer, weigh};
use crate::manifest::prefixed;
use crate::object::ObjectRef;

/// The format this code reads and writes.
const FORMAT: &str = "isn-delta/1";
/// A delta is worth its bytes if it has fewer lines than one for so many images.
const IMAGES_PER_LINE: usize = 4;

/// The first line: which index it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    /// The dataset hash of the earlier version.
    #[serde(with = "prefixed")]
    dataset: Digest,
    /// Its index, as its manifest names it.
    index: ObjectRef,
}

/// A line: a row that the earlier index does not have, or the path of one that the later one has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Change {
    Row { path: String, blake3: Digest, length: u64, width: u32, height: u32 },
    Removed { removed: String },
}

impl Change {
    fn path(&self) -> &str {
        match self {
            Change::Row { path, .. } | Change::Removed { removed: path } => path,
        }
    }
}

/// What makes the index of an earlier version that of a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    header: Header,
    changes: Vec<Change>,
}

impl Delta {
    /// Compares the index of an earlier version, with that dataset hash, and a later one. Returns `None` if
    /// so much differs that the later one is read as well.
    pub fn between(old: &Index, (dataset, index): (Digest, ObjectRef), new: &Index) -> Option<Self> {
        let most = new.len() / IMAGES_PER_LINE;
        let (mut before, mut after) = (old.rows().peekable(), new.rows().peekable());
        let mut changes = Vec::new();
        while changes.len() <= most {
            match (before.peek().copied(), after.peek().copied()) {
                (None, None) => {
                    let header = Header { format: FORMAT.into(), dataset, index };
                    return Some(Delta { header, changes });
                }
                (Some(old), new) if new.is_none_or(|new| old.path() < new.path()) => {
                    before.next();
                    changes.push(Change::Removed { removed: old.path().as_str().into() });
                }
                (old, Some(new)) => {
                    after.next();
                    let old = old.filter(|old| old.path() == new.path());
                    if old.is_some() {
                        before.next();
                    }
                    if old.is_none_or(|old| facts(old) != facts(new)) {
                        let (blake3, length, width, height) = facts(new);
                        let path = new.path().as_str().into();
                        changes.push(Change::Row { path, blake3, length, width, height });
                    }
                }
                // The first arm takes what comes before nothing.
                (Some(_), None) => return None,
            }
        }
        None
    }

    /// Returns the bytes to store.
    ///
    /// # Errors
    /// [`Error::Internal`] if a line cannot be serialised or zstd fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new()?;
        writer.push(&self.header)?;
        self.changes.iter().try_for_each(|change| writer.push(change))?;
        writer.finish()
    }

    /// Reads the delta of a version of this many images.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if a line cannot be read or the lines are out of order;
    /// [`Error::Invalid`] for another format, which a newer isn may know.
    pub fn parse(what: &str, compressed: &[u8], images: u64) -> Result<Self> {
        weigh(what, compressed, compressed.len() as u64, images.saturating_add(1))?;
        let mut lines = Lines::new(what, compressed, images.saturating_add(1).saturating_mul(MAX_ROW))?;
        let header = lines.next_row::<Header>()?.ok_or_else(|| Error::integrity(what, "is empty"))?;
        if header.format != FORMAT {
            let why = format!("has format '{}': a newer isn may read it", header.format);
            return Err(Error::invalid(what, why));
        }
        let mut changes: Vec<Change> = Vec::new();
        while let Some(change) = lines.next_row::<Change>()? {
            if changes.last().is_some_and(|last| last.path() >= change.path()) {
                return Err(Error::integrity(what, format!("is not sorted at {}", change.path())));
            }
            changes.push(change);
        }
        Ok(Delta { header, changes })
    }

    /// The dataset hash of the earlier version.
    pub fn dataset(&self) -> Digest {
        self.header.dataset
    }

    /// The index of the earlier version, as its manifest names it.
    pub fn index(&self) -> ObjectRef {
        self.header.index
    }

    /// Checks that what it says is so in the later index.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if a row is another there, or one that is removed is there.
    pub fn check(&self, what: &str, new: &Index) -> Result<()> {
        let is_so = |change: &&Change| match change {
            Change::Removed { removed } => new.find(removed).is_none(),
            Change::Row { path, blake3, length, width, height } => {
                new.find(path).is_some_and(|row| facts(row) == (*blake3, *length, *width, *height))
            }
        };
        match self.changes.iter().find(|change| !is_so(change)) {
            Some(other) => Err(Error::integrity(what, format!("says something else of {}", other.path()))),
            None => Ok(()),
        }
    }

    /// Returns the later index. Whether its images give a dataset hash remains to be checked.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if `old` does not have a row that is removed, or as
    /// [`Index::parse`] fails.
    pub fn apply(&self, what: &str, old: &Index) -> Result<Index> {
        let mut columns = Columns::default();
        let mut before = old.rows().peekable();
        for change in &self.changes {
            while let Some(row) = before.next_if(|row| row.path().as_str() < change.path()) {
                push(what, &mut columns, &of_row(row))?;
            }
            let is_there = before.next_if(|row| row.path().as_str() == change.path()).is_some();
            match change {
                Change::Row { path, blake3, length, width, height } => {
                    let mut segments = path.split('/');
                    let (split, class) =
                        (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
                    let split = split.parse().map_err(|e| Error::integrity(what, e))?;
                    let (blake3, length, width, height) = (*blake3, *length, *width, *height);
                    push(what, &mut columns, &Pulled { path, class, split, blake3, length, width, height })?;
                }
                Change::Removed { .. } if is_there => {}
                Change::Removed { removed } => {
                    let why = format!("removes {removed}, which the earlier index does not have");
                    return Err(Error::integrity(what, why));
                }
            }
        }
        before.try_for_each(|row| push(what, &mut columns, &of_row(row)))?;
        columns.finish(what)
    }
}

fn push(what: &str, columns: &mut Columns, row: &Pulled<'_>) -> Result<()> {
    columns.push(row).map_err(|why| Error::integrity(what, why))
}

fn facts(row: RowRef<'_>) -> (Digest, u64, u32, u32) {
    (row.blake3(), row.length(), row.width(), row.height())
}

fn of_row(row: RowRef<'_>) -> Pulled<'_> {
    let (blake3, length, width, height) = facts(row);
    let (path, class, split) = (row.path().as_str(), row.class().as_str(), row.split());
    Pulled { path, class, split, blake3, length, width, height }
}
