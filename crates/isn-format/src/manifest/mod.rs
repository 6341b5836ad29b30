//! [`Manifest`]: what a dataset version is, without anything about how it is stored. Its bytes are hashed and
//! signed as received; nothing is serialised again to be checked.

mod objects;
mod wire;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::objects::{Blocks, Objects, Other};
use self::wire::{One, Refused, Two};
use crate::dataset_ref::{DatasetRef, Name, Version, VersionId};
use crate::description::Counts;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::object::{MAX_BYTES, ObjectRef};
use crate::split::Split;

/// The format of the manifest of a version.
const FORMAT: &str = "isn-manifest/1";
/// The format of the manifest of what was built from a part of a source, which no registry has.
const PART_FORMAT: &str = "isn-part/1";
/// As [`FORMAT`], with an open map of objects.
const TWO: &str = "isn-manifest/2";
/// As [`PART_FORMAT`], with an open map of objects.
const PART_TWO: &str = "isn-part/2";
/// The maximum length of a manifest in bytes, checked before it is parsed: 1 MiB holds about 10,000 classes.
pub const MAX_LEN: u64 = 1 << 20;

/// A dataset version. docs/format.md describes each field.
///
/// ```
/// use isn_format::manifest::Manifest;
///
/// # let registry = "../../tests/vectors/version-1/registry";
/// # let object = "objects/5e/5e7f8b4e13f6e131efeb8f8f9e3212370ee27759e6815155fb460db4d97c9ea4.json";
/// let bytes = std::fs::read(format!("{registry}/{object}"))?;
/// let manifest = Manifest::parse("manifest", &bytes)?;
/// assert_eq!((manifest.pin().to_string(), manifest.images), (
///     "golden@1.0#b3:f88ef4a341873343381f766de3c1a6bccbb0e0829470ab1b863375c027e1ae2f".into(), 8,
/// ));
/// assert_eq!(manifest.to_bytes()?, bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Whether it was built from a part of its source: it has no version then, and nobody can release it.
    pub is_part: bool,
    /// The dataset.
    pub name: Name,
    /// The version; of a part, the one that its recipe makes of the whole source.
    pub version: Version,
    /// The title, one line for people.
    pub title: String,
    /// A paragraph for people.
    pub description: String,
    /// The terms under which the images may be used.
    pub licence: String,
    /// What to cite besides the pin, if anything.
    pub citation: Option<String>,
    /// The authors of the dataset.
    pub authors: Vec<String>,
    /// The BLAKE3 of the tree's file `B3SUMS`: the dataset hash.
    pub dataset: Digest,
    /// The pixel pipeline, for example `isn-px/1`.
    pub pipeline: String,
    /// The kind of source that a build reads, as in the recipe.
    pub source: String,
    /// The number of images.
    pub images: u64,
    /// The sum of the images' lengths, in bytes.
    pub bytes: u64,
    /// The numbers of images in the splits.
    pub tally: Tally,
    /// The objects that make up the version.
    pub objects: Objects,
    /// The version that this one follows, if any.
    pub previous: Option<Previous>,
}

/// How many images a manifest says there are, in splits that have some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Of each class in each split: `isn-manifest/1`.
    Classes(Counts),
    /// In each split: `isn-manifest/2`.
    Splits {
        /// The number of images in each split.
        splits: BTreeMap<Split, u64>,
        /// The number of classes.
        classes: u64,
    },
}

impl Tally {
    /// Returns the tally of `isn-manifest/2` of these images.
    pub fn of_splits(counts: &Counts, classes: usize) -> Self {
        let splits = counts.iter().map(|(split, counts)| (*split, counts.values().sum())).collect();
        Tally::Splits { splits, classes: classes as u64 }
    }

    /// Returns the splits that have images.
    pub fn splits(&self) -> Vec<Split> {
        match self {
            Tally::Classes(counts) => counts.keys().copied().collect(),
            Tally::Splits { splits, .. } => splits.keys().copied().collect(),
        }
    }

    /// Returns the number of images, or `None` if it is too large.
    fn images(&self) -> Option<u64> {
        let add = |sum: u64, count: &u64| sum.checked_add(*count);
        match self {
            Tally::Classes(counts) => counts.values().flat_map(BTreeMap::values).try_fold(0, add),
            Tally::Splits { splits, .. } => splits.values().try_fold(0, add),
        }
    }

    /// Whether a version with these counts, and so many classes, has it.
    pub(crate) fn is_of(&self, counts: &Counts, classes: usize) -> bool {
        match self {
            Tally::Classes(told) => told == counts,
            Tally::Splits { .. } => *self == Tally::of_splits(counts, classes),
        }
    }
}

/// The version that another version follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its number and its dataset hash, if the recipe names a version; `isn-manifest/1` has neither.
    pub release: Option<(Version, Digest)>,
    /// The BLAKE3 of its split assignments.
    pub assignments: Digest,
}

impl Manifest {
    /// Returns the bytes to store: indented JSON and a final line feed.
    ///
    /// # Errors
    /// [`Error::Internal`] if the values cannot be serialised, or need [`Tally::Splits`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let internal = |e: serde_json::Error| Error::Internal(e.to_string());
        let mut bytes = match &self.tally {
            Tally::Classes(counts) => {
                let one = One::new(self, counts);
                self.json(&one.ok_or_else(|| Error::Internal(format!("{FORMAT} cannot say it")))?)
            }
            Tally::Splits { splits, classes } => self.json(&Two::new(self, splits, *classes)),
        }
        .map_err(internal)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn json(&self, wire: &impl Serialize) -> serde_json::Result<Vec<u8>> {
        match self.is_part {
            false => serde_json::to_vec_pretty(wire),
            // Its keys are sorted.
            true => serde_json::to_vec_pretty(&serde_json::to_value(wire)?),
        }
    }

    /// Reads a manifest whose hash has been checked already; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is too long, is not the JSON of a manifest, or has counts or lengths that
    /// do not add up; [`Error::Invalid`] for another format, or with an object that a reader must know, which
    /// a newer isn may do.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        /// Read first, to tell a newer format from a broken one.
        #[derive(serde::Deserialize)]
        struct Header {
            format: String,
        }
        if bytes.len() as u64 > MAX_LEN {
            return Err(Error::integrity(what, format!("is longer than {MAX_LEN} bytes")));
        }
        let newer = |why: String| Error::invalid(what, format!("{why}: a newer isn may read it"));
        let header: Header = serde_json::from_slice(bytes).map_err(|e| Error::integrity(what, e))?;
        let read = match &*header.format {
            FORMAT | PART_FORMAT => read(bytes).and_then(One::read),
            TWO | PART_TWO => read(bytes).and_then(Two::read),
            other => {
                return Err(newer(format!("has format '{other}', but this isn reads {FORMAT} and {TWO}")));
            }
        };
        let manifest = read.map_err(|refused| match refused {
            Refused::Wrong(why) => Error::integrity(what, why),
            Refused::Newer(why) => newer(why),
        })?;
        let Some(counted) = manifest.tally.images() else {
            return Err(Error::integrity(what, "counts too many images"));
        };
        if counted != manifest.images {
            let by = if matches!(manifest.tally, Tally::Classes(_)) { "class and split" } else { "split" };
            let why = format!("counts {counted} images by {by}, but {} in all", manifest.images);
            return Err(Error::integrity(what, why));
        }
        let objects = manifest.objects.all();
        let stored = ObjectRef::total(objects.iter().map(|(_, object)| object));
        if stored.is_none() || manifest.bytes > MAX_BYTES {
            return Err(Error::integrity(what, "has more bytes than any disk has"));
        }
        Ok(manifest)
    }

    /// Checks that images and classes with the dataset hash `found` are those of this manifest; `what` names
    /// them in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if this manifest has another dataset hash.
    pub(crate) fn check_dataset(&self, what: &str, found: &Digest) -> Result<()> {
        if *found == self.dataset {
            return Ok(());
        }
        let (found, dataset) = (found.prefixed(), self.dataset.prefixed());
        Err(Error::integrity(what, format!("gives dataset hash {found}, the manifest says {dataset}")))
    }

    /// Returns its name and version.
    pub fn id(&self) -> VersionId {
        VersionId { name: self.name.clone(), version: self.version }
    }

    /// Returns the pin for a paper: `name@version#b3:…`.
    pub fn pin(&self) -> DatasetRef {
        DatasetRef::Version(self.id(), Some(self.dataset))
    }
}

fn read<W: DeserializeOwned>(bytes: &[u8]) -> Result<W, Refused> {
    serde_json::from_slice(bytes).map_err(|e| Refused::Wrong(e.to_string()))
}

/// Serialises a digest with `b3:` before it.
pub(crate) mod prefixed {
    use super::Digest;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.prefixed())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Digest::from_prefixed(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
