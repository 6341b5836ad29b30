//! [`Manifest`]: what a dataset version is, without anything about how it is stored. Its received bytes are hashed
//! and signed; nothing is ever re-serialised to be checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::class::ClassId;
use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::object::{MAX_BYTES, ObjectKind, ObjectRef};
use crate::split::Split;

/// The format this code reads and writes.
pub const FORMAT: &str = "isn-manifest/1";
/// A longer manifest is refused before it is parsed: 1 MiB holds about 10,000 classes.
pub const MAX_LEN: u64 = 1 << 20;

/// A dataset version. Field by field in docs/format.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The dataset.
    pub name: Name,
    /// The version.
    pub version: Version,
    /// One line for people.
    pub title: String,
    /// A paragraph for people.
    pub description: String,
    /// Under which terms the images may be used.
    pub licence: String,
    /// What to cite besides the pin, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
    /// Who made it.
    pub authors: Vec<String>,
    /// BLAKE3 of the tree's file `B3SUMS`.
    #[serde(with = "prefixed")]
    pub dataset: Digest,
    /// The pixel pipeline, for example `isn-px/1`.
    pub pipeline: String,
    /// The kind of source that a build reads, as in the recipe.
    pub source: String,
    /// How many images there are.
    pub images: u64,
    /// The sum of the images' lengths, in bytes.
    pub bytes: u64,
    /// How many images each class has in each split.
    pub splits: BTreeMap<Split, BTreeMap<ClassId, u64>>,
    /// The objects that make up the version.
    pub objects: Objects,
    /// The version that this one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// The objects of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// The index: one row an image.
    pub index: ObjectRef,
    /// The exact bytes of `classes.csv`.
    pub classes: ObjectRef,
    /// The recipe as it was built.
    pub recipe: ObjectRef,
    /// The corrections ledger, where the recipe names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrections: Option<ObjectRef>,
    /// The split assignments.
    pub assignments: ObjectRef,
    /// Groups of near-duplicates, where the recipe names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<ObjectRef>,
}

impl Objects {
    /// All of them, with their kinds.
    pub fn all(&self) -> Vec<(ObjectKind, ObjectRef)> {
        let mut all = vec![
            (ObjectKind::Index, self.index),
            (ObjectKind::Classes, self.classes),
            (ObjectKind::Recipe, self.recipe),
            (ObjectKind::Splits, self.assignments),
        ];
        all.extend(self.corrections.map(|ledger| (ObjectKind::Corrections, ledger)));
        all.extend(self.groups.map(|groups| (ObjectKind::Groups, groups)));
        all
    }
}

/// The version that another one follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Its split assignments.
    #[serde(with = "prefixed")]
    pub assignments: Digest,
}

impl Manifest {
    /// The bytes to store: indented JSON and a final line feed.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest whose hash was checked already; `what` names it in errors.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        /// Read first, so that a newer format is told from a broken one.
        #[derive(Deserialize)]
        struct Header {
            format: String,
        }
        if bytes.len() as u64 > MAX_LEN {
            return Err(Error::integrity(what, format!("is longer than {MAX_LEN} bytes")));
        }
        let refuse = |e: serde_json::Error| Error::integrity(what, e);
        let header: Header = serde_json::from_slice(bytes).map_err(refuse)?;
        if header.format != FORMAT {
            let why = format!("has format '{}', this isn reads {FORMAT}: a newer isn may", header.format);
            return Err(Error::invalid(what, why));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(refuse)?;
        let mut counts = manifest.splits.values().flat_map(BTreeMap::values);
        let counted = counts.try_fold(0, |sum: u64, count| sum.checked_add(*count));
        let Some(counted) = counted else {
            return Err(Error::integrity(what, "counts more images than there are numbers for"));
        };
        if counted != manifest.images {
            let why = format!("counts {counted} images by class and split, but {} in all", manifest.images);
            return Err(Error::integrity(what, why));
        }
        let objects = manifest.objects.all();
        let stored = ObjectRef::total(objects.iter().map(|(_, object)| object));
        if stored.is_none() || manifest.bytes > MAX_BYTES {
            return Err(Error::integrity(what, "has more bytes than there are"));
        }
        Ok(manifest)
    }

    /// Holds the dataset hash that images and classes have against this one's; `what` names them in the error.
    pub fn check_dataset(&self, what: &str, found: &Digest) -> Result<()> {
        if *found == self.dataset {
            return Ok(());
        }
        let (found, dataset) = (found.prefixed(), self.dataset.prefixed());
        Err(Error::integrity(what, format!("gives dataset hash {found}, the manifest says {dataset}")))
    }

    /// The pin that goes in a paper: `name@version#b3:…`.
    pub fn pin(&self) -> String {
        format!("{}@{}#{}", self.name, self.version, self.dataset.prefixed())
    }
}

/// A digest written with `b3:`, as people meet it.
mod prefixed {
    use super::Digest;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.prefixed())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Digest::from_prefixed(&text).map_err(serde::de::Error::custom)
    }
}
