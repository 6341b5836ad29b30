//! [`ObjectRef`]: a reference to a stored object, and [`ObjectKind`]: the kinds of objects.

use std::fmt;

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
    /// [`crate::index::Index`], or the [`crate::index::Directory`] of its blocks.
    Index,
    /// The rows of an index in blocks.
    Rows,
    /// What the images of an index in blocks were made from.
    Sources,
    /// [`crate::sums::SumsTree`].
    SumsTree,
    /// [`crate::index::Delta`].
    Delta,
    /// [`crate::pack::Pack`], or the directory of its blocks.
    Pack,
    /// The places of a pack in blocks.
    Places,
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
    /// Judged pairs, see [`crate::pairs`].
    Pairs,
    /// An object that this isn does not know, see [`crate::manifest::Other`].
    Other(Extension),
}

/// The extensions of objects' paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Extension {
    /// JSON.
    #[serde(rename = "json")]
    Json,
    /// Lines of JSON, compressed.
    #[serde(rename = "jsonl.zst")]
    JsonlZst,
    /// A compressed tar.
    #[serde(rename = "tar.zst")]
    TarZst,
    /// TOML.
    #[serde(rename = "toml")]
    Toml,
    /// CSV.
    #[serde(rename = "csv")]
    Csv,
    /// Anything else.
    #[serde(rename = "bin")]
    Bin,
}

impl Extension {
    /// All extensions.
    pub const ALL: [Extension; 6] = [
        Extension::Json,
        Extension::JsonlZst,
        Extension::TarZst,
        Extension::Toml,
        Extension::Csv,
        Extension::Bin,
    ];

    /// Returns it without the leading dot.
    pub fn as_str(self) -> &'static str {
        match self {
            Extension::Json => "json",
            Extension::JsonlZst => "jsonl.zst",
            Extension::TarZst => "tar.zst",
            Extension::Toml => "toml",
            Extension::Csv => "csv",
            Extension::Bin => "bin",
        }
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ObjectKind {
    /// Returns the extension of its paths.
    pub fn extension(self) -> Extension {
        match self {
            ObjectKind::Manifest => Extension::Json,
            ObjectKind::Index
            | ObjectKind::Rows
            | ObjectKind::Sources
            | ObjectKind::Delta
            | ObjectKind::Pack
            | ObjectKind::Places => Extension::JsonlZst,
            ObjectKind::SumsTree => Extension::Bin,
            ObjectKind::Shard => Extension::TarZst,
            ObjectKind::Classes
            | ObjectKind::Corrections
            | ObjectKind::Splits
            | ObjectKind::Groups
            | ObjectKind::Pairs => Extension::Csv,
            ObjectKind::Recipe => Extension::Toml,
            ObjectKind::Other(extension) => extension,
        }
    }

    /// Returns the word for it in messages.
    pub fn noun(self) -> &'static str {
        match self {
            ObjectKind::Manifest => "manifest",
            ObjectKind::Index => "index",
            ObjectKind::Rows => "rows of the index",
            ObjectKind::Sources => "sources of the index",
            ObjectKind::SumsTree => "tree of B3SUMS",
            ObjectKind::Delta => "delta of the index",
            ObjectKind::Pack => "pack",
            ObjectKind::Places => "places of the pack",
            ObjectKind::Shard => "shard",
            ObjectKind::Classes => "classes.csv",
            ObjectKind::Recipe => "recipe",
            ObjectKind::Corrections => "corrections",
            ObjectKind::Splits => "split assignments",
            ObjectKind::Groups => "groups of near-duplicates",
            ObjectKind::Pairs => "judged pairs",
            ObjectKind::Other(_) => "object of another kind",
        }
    }
}
