//! The JSON of a manifest, as each format has it.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::objects::{Entry, Objects};
use super::{FORMAT, Manifest, PART_FORMAT, PART_TWO, Previous, TWO, Tally, prefixed};
use crate::dataset_ref::{Name, Version};
use crate::description::Counts;
use crate::digest::Digest;
use crate::object::ObjectRef;
use crate::split::Split;

/// A manifest whose `splits`, `objects` and `previous` are those of a format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire<S, O, P> {
    format: String,
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    /// In place of the version, what a part is one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part_of: Option<Version>,
    title: String,
    description: String,
    licence: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    citation: Option<String>,
    authors: Vec<String>,
    #[serde(with = "prefixed")]
    dataset: Digest,
    pipeline: String,
    source: String,
    images: u64,
    bytes: u64,
    /// Version 2 alone has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<u64>,
    splits: S,
    objects: O,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<P>,
}

/// `isn-manifest/1`.
pub(super) type One = Wire<Counts, ObjectsOne, PreviousOne>;
/// `isn-manifest/2`.
pub(super) type Two = Wire<Strict<Split, u64>, Strict<String, Entry>, PreviousTwo>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectsOne {
    index: ObjectRef,
    classes: ObjectRef,
    recipe: ObjectRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    corrections: Option<ObjectRef>,
    assignments: ObjectRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<ObjectRef>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviousOne {
    #[serde(with = "prefixed")]
    assignments: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviousTwo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dataset: Option<String>,
    #[serde(with = "prefixed")]
    assignments: Digest,
}

/// A JSON object in which no key occurs twice.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Strict<K: Ord, V>(pub(super) BTreeMap<K, V>);

impl<'de, K: Ord + DeserializeOwned + fmt::Display, V: DeserializeOwned> Deserialize<'de> for Strict<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Ord + DeserializeOwned + fmt::Display, V: DeserializeOwned> Visitor<'de> for Keys<K, V> {
            type Value = BTreeMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<K, V>()? {
                    if all.contains_key(&key) {
                        return Err(serde::de::Error::custom(format!("{key} occurs twice")));
                    }
                    all.insert(key, value);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Keys(PhantomData)).map(Strict)
    }
}

impl<S, O, P> Wire<S, O, P> {
    fn of(manifest: &Manifest, format: &str, classes: Option<u64>, parts: (S, O, Option<P>)) -> Self {
        let manifest = manifest.clone();
        let (splits, objects, previous) = parts;
        Wire {
            format: format.into(),
            name: manifest.name,
            version: (!manifest.is_part).then_some(manifest.version),
            part_of: manifest.is_part.then_some(manifest.version),
            title: manifest.title,
            description: manifest.description,
            licence: manifest.licence,
            citation: manifest.citation,
            authors: manifest.authors,
            dataset: manifest.dataset,
            pipeline: manifest.pipeline,
            source: manifest.source,
            images: manifest.images,
            bytes: manifest.bytes,
            classes,
            splits,
            objects,
            previous,
        }
    }

    /// `read` makes the parts that the formats write in other ways of them, and of the number of classes.
    fn into_manifest(
        self,
        read: impl FnOnce(Option<u64>, S, O, Option<P>) -> Result<(Tally, Objects, Option<Previous>), Refused>,
    ) -> Result<Manifest, Refused> {
        let is_part = [PART_FORMAT, PART_TWO].contains(&self.format.as_str());
        let version = match (is_part, self.version, self.part_of) {
            (false, Some(version), None) | (true, None, Some(version)) => version,
            (false, None, None) => return Err(wrong("missing field `version`")),
            (true, None, None) => return Err(wrong("missing field `part_of`")),
            (false, _, Some(_)) => return Err(wrong("is of no part, and has part_of")),
            (true, Some(_), _) => return Err(wrong("is of a part, and has a version")),
        };
        let (tally, objects, previous) = read(self.classes, self.splits, self.objects, self.previous)?;
        Ok(Manifest {
            is_part,
            name: self.name,
            version,
            title: self.title,
            description: self.description,
            licence: self.licence,
            citation: self.citation,
            authors: self.authors,
            dataset: self.dataset,
            pipeline: self.pipeline,
            source: self.source,
            images: self.images,
            bytes: self.bytes,
            tally,
            objects,
            previous,
        })
    }
}

impl One {
    /// The form of version 1; `None` if it cannot say what the manifest says.
    pub(super) fn new(manifest: &Manifest, counts: &Counts) -> Option<Self> {
        let Objects {
            index,
            blocks,
            delta,
            classes,
            recipe,
            corrections,
            assignments,
            groups,
            pairs,
            others,
        } = manifest.objects.clone();
        if blocks.is_some() || delta.is_some() || pairs.is_some() || !others.is_empty() {
            return None;
        }
        let objects = ObjectsOne { index, classes, recipe, corrections, assignments, groups };
        let previous = manifest.previous.as_ref();
        let previous = previous.map(|previous| PreviousOne { assignments: previous.assignments });
        let format = if manifest.is_part { PART_FORMAT } else { FORMAT };
        Some(Wire::of(manifest, format, None, (counts.clone(), objects, previous)))
    }

    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(self) -> Result<Manifest, Refused> {
        self.into_manifest(|classes, counts, objects, previous| {
            if classes.is_some() {
                return Err(wrong("unknown field `classes`"));
            }
            let ObjectsOne { index, classes, recipe, corrections, assignments, groups } = objects;
            let (blocks, delta, pairs, others) = (None, None, None, Vec::new());
            let objects = Objects {
                index,
                blocks,
                delta,
                classes,
                recipe,
                corrections,
                assignments,
                groups,
                pairs,
                others,
            };
            let previous = previous.map(|it| Previous { release: None, assignments: it.assignments });
            Ok((Tally::Classes(counts), objects, previous))
        })
    }
}

impl Two {
    pub(super) fn new(manifest: &Manifest, splits: &BTreeMap<Split, u64>, classes: u64) -> Self {
        let objects = Strict(manifest.objects.entries());
        let previous = manifest.previous.as_ref().map(|previous| PreviousTwo {
            version: previous.release.map(|(version, _)| version),
            dataset: previous.release.map(|(_, dataset)| dataset.prefixed()),
            assignments: previous.assignments,
        });
        let format = if manifest.is_part { PART_TWO } else { TWO };
        Wire::of(manifest, format, Some(classes), (Strict(splits.clone()), objects, previous))
    }

    /// # Errors
    /// What is wrong with it, or that a newer isn may read it.
    pub(super) fn read(self) -> Result<Manifest, Refused> {
        self.into_manifest(|classes, Strict(splits), Strict(objects), previous| {
            let classes = classes.ok_or_else(|| wrong("missing field `classes`"))?;
            if splits.values().any(|images| *images == 0) {
                return Err(wrong("has a split without an image"));
            }
            let previous = previous.map(|previous| {
                let release = match (previous.version, previous.dataset) {
                    (Some(version), Some(dataset)) => {
                        let dataset = Digest::from_prefixed(&dataset).map_err(|e| wrong(&e.to_string()))?;
                        Some((version, dataset))
                    }
                    (None, None) => None,
                    _ => return Err(wrong("names an earlier version without its dataset, or the reverse")),
                };
                Ok(Previous { release, assignments: previous.assignments })
            });
            Ok((Tally::Splits { splits, classes }, Objects::of_entries(objects)?, previous.transpose()?))
        })
    }
}

/// Why a manifest is refused.
pub(super) enum Refused {
    /// It is not as its format is.
    Wrong(String),
    /// It needs what this isn does not know.
    Newer(String),
}

pub(super) fn wrong(why: &str) -> Refused {
    Refused::Wrong(why.into())
}
