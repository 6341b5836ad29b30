//! [`Manifest`]: what a dataset version is, without anything about how it is stored. Its bytes are hashed and
//! signed as received; nothing is serialised again to be checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::class::ClassId;
use crate::dataset_ref::{DatasetRef, Name, Version, VersionId};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::object::{MAX_BYTES, ObjectKind, ObjectRef};
use crate::split::Split;

/// The format of the manifest of a version.
pub const FORMAT: &str = "isn-manifest/1";
/// The format of the manifest of what was built from a part of a source, which no registry has.
pub const PART_FORMAT: &str = "isn-part/1";
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`] or [`PART_FORMAT`].
    pub format: String,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
    /// The authors of the dataset.
    pub authors: Vec<String>,
    /// The BLAKE3 of the tree's file `B3SUMS`: the dataset hash.
    #[serde(with = "prefixed")]
    pub dataset: Digest,
    /// The pixel pipeline, for example `isn-px/1`.
    pub pipeline: String,
    /// The kind of source that a build reads, as in the recipe.
    pub source: String,
    /// The number of images.
    pub images: u64,
    /// The sum of the images' lengths, in bytes.
    pub bytes: u64,
    /// The number of images of each class in each split.
    pub splits: BTreeMap<Split, BTreeMap<ClassId, u64>>,
    /// The objects that make up the version.
    pub objects: Objects,
    /// The version that this one follows, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// The objects of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// The index: one row per image.
    pub index: ObjectRef,
    /// The exact bytes of `classes.csv`.
    pub classes: ObjectRef,
    /// The recipe from which it was built.
    pub recipe: ObjectRef,
    /// The ledger, if the recipe names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrections: Option<ObjectRef>,
    /// The split assignments.
    pub assignments: ObjectRef,
    /// Groups of near-duplicates, if the recipe names a file of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<ObjectRef>,
}

impl Objects {
    /// Returns all of them, with their kinds.
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

/// The version that another version follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// The BLAKE3 of its split assignments.
    #[serde(with = "prefixed")]
    pub assignments: Digest,
}

impl Manifest {
    /// Returns the bytes to store: indented JSON and a final line feed.
    ///
    /// # Errors
    /// [`Error::Internal`] if the values cannot be serialised.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let internal = |e: serde_json::Error| Error::Internal(e.to_string());
        let mut bytes = match self.is_part() {
            false => serde_json::to_vec_pretty(self),
            true => serde_json::to_value(self)
                .map(|value| renamed(value, "version", "part_of"))
                .and_then(|value| serde_json::to_vec_pretty(&value)),
        }
        .map_err(internal)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest whose hash has been checked already; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is too long, is not the JSON of a manifest, or has counts or lengths that
    /// do not add up; [`Error::Invalid`] for another format, which a newer isn may know.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        /// Read first, to tell a newer format from a broken one.
        #[derive(Deserialize)]
        struct Header {
            format: String,
        }
        if bytes.len() as u64 > MAX_LEN {
            return Err(Error::integrity(what, format!("is longer than {MAX_LEN} bytes")));
        }
        let refuse = |e: serde_json::Error| Error::integrity(what, e);
        let header: Header = serde_json::from_slice(bytes).map_err(refuse)?;
        let manifest: Manifest = match &*header.format {
            FORMAT => serde_json::from_slice(bytes).map_err(refuse)?,
            PART_FORMAT => {
                let value: Value = serde_json::from_slice(bytes).map_err(refuse)?;
                if value.get("version").is_some() {
                    return Err(Error::integrity(what, "is of a part, and has a version"));
                }
                serde_json::from_value(renamed(value, "part_of", "version")).map_err(refuse)?
            }
            other => {
                let why =
                    format!("has format '{other}', but this isn reads {FORMAT}: a newer isn may read it");
                return Err(Error::invalid(what, why));
            }
        };
        let mut counts = manifest.splits.values().flat_map(BTreeMap::values);
        let counted = counts.try_fold(0, |sum: u64, count| sum.checked_add(*count));
        let Some(counted) = counted else {
            return Err(Error::integrity(what, "counts too many images"));
        };
        if counted != manifest.images {
            let why = format!("counts {counted} images by class and split, but {} in all", manifest.images);
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

    /// Whether it was built from a part of its source: it has no version then, and nobody can release it.
    pub fn is_part(&self) -> bool {
        self.format == PART_FORMAT
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

/// Returns an object with a field of another name.
fn renamed(mut object: Value, from: &str, to: &str) -> Value {
    if let Some(fields) = object.as_object_mut()
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.into(), value);
    }
    object
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
mod tests {
    use super::*;

    /// docs/format.md, isn-part/1.
    const PART: &[u8] = include_bytes!("../../../tests/vectors/part.json");

    #[test]
    fn a_part_has_no_version_and_says_what_it_is_a_part_of() {
        let part = Manifest::parse("part", PART).unwrap();
        assert!(part.is_part() && part.version == Version { major: 1, minor: 0 });
        assert_eq!(part.to_bytes().unwrap(), PART);
        let text = String::from_utf8_lossy(PART);
        for (from, to, why) in [
            ("\"part_of\"", "\"version\"", "is of a part, and has a version"),
            ("\"part_of\": \"1.0\",", "", "missing field"),
            ("isn-part/1", "isn-manifest/1", "part_of"),
            ("isn-part/1", "isn-part/2", "a newer isn may read it"),
        ] {
            let error = Manifest::parse("part", text.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
