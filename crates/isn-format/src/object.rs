//! [`ObjectRef`]: a reference to a stored object, and [`ObjectKind`]: the kinds of objects.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Result};

/// A reference to a stored object: its BLAKE3 and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// BLAKE3 of the stored bytes.
    pub blake3: Digest,
    /// The number of stored bytes.
    pub length: u64,
}

/// The maximum total of claimed lengths, in bytes: more than any disk has.
pub(crate) const MAX_BYTES: u64 = i64::MAX as u64;

impl ObjectRef {
    /// Returns the sum of the lengths, in bytes, or `None` if it exceeds [`MAX_BYTES`].
    pub(crate) fn total<'a>(objects: impl IntoIterator<Item = &'a ObjectRef>) -> Option<u64> {
        let mut lengths = objects.into_iter().map(|object| object.length);
        lengths.try_fold(0, u64::checked_add).filter(|total| *total <= MAX_BYTES)
    }

    /// Returns the reference to an object of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        ObjectRef { blake3: Digest::of(bytes), length: bytes.len() as u64 }
    }

    /// Checks that `bytes` are this object; `what` names them in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the length or the BLAKE3 differs.
    pub fn check(&self, what: &str, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 != self.length {
            let why = format!("is {} bytes long, expected {}", bytes.len(), self.length);
            return Err(Error::integrity(what, why));
        }
        let found = Digest::of(bytes);
        if found != self.blake3 {
            return Err(Error::integrity(what, format!("has BLAKE3 {found}, expected {}", self.blake3)));
        }
        Ok(())
    }
}

/// The kinds of objects. An object's path has the extension of its kind, so that web servers and people
/// recognise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// [`crate::manifest::Manifest`].
    Manifest,
    /// [`crate::index::Index`].
    Index,
    /// [`crate::pack::Pack`].
    Pack,
    /// A shard, see [`crate::shard`].
    Shard,
    /// `classes.csv`, see [`crate::class`].
    Classes,
    /// A recipe, see [`crate::recipe`].
    Recipe,
    /// A ledger, see [`crate::ledger`].
    Corrections,
    /// Split assignments, see [`crate::split`].
    Splits,
    /// Groups of near-duplicates, see [`crate::groups`].
    Groups,
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [ObjectKind; 9] = [
        ObjectKind::Manifest,
        ObjectKind::Index,
        ObjectKind::Pack,
        ObjectKind::Shard,
        ObjectKind::Classes,
        ObjectKind::Recipe,
        ObjectKind::Corrections,
        ObjectKind::Splits,
        ObjectKind::Groups,
    ];

    /// Returns the file extension, without the leading dot.
    pub fn extension(self) -> &'static str {
        match self {
            ObjectKind::Manifest => "json",
            ObjectKind::Index | ObjectKind::Pack => "jsonl.zst",
            ObjectKind::Shard => "tar.zst",
            ObjectKind::Classes | ObjectKind::Corrections | ObjectKind::Splits | ObjectKind::Groups => "csv",
            ObjectKind::Recipe => "toml",
        }
    }

    /// Returns the word for it in messages.
    pub fn noun(self) -> &'static str {
        match self {
            ObjectKind::Manifest => "manifest",
            ObjectKind::Index => "index",
            ObjectKind::Pack => "pack",
            ObjectKind::Shard => "shard",
            ObjectKind::Classes => "classes.csv",
            ObjectKind::Recipe => "recipe",
            ObjectKind::Corrections => "corrections",
            ObjectKind::Splits => "split assignments",
            ObjectKind::Groups => "groups of near-duplicates",
        }
    }
}
