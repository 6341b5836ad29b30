//! [`Objects`]: what a manifest names, and what becomes of an object that this isn does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::wire::{Refused, wrong};
use crate::digest::Digest;
use crate::object::{Extension, ObjectKind, ObjectRef};

/// The maximum number of objects of a manifest.
const MAX_OBJECTS: usize = 64;
/// The maximum length of an object's name, in bytes.
const MAX_NAME: usize = 32;
/// The maximum length of the name of an object's format, in bytes.
const MAX_FORMAT: usize = 64;

/// The objects of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The index: one row per image, or the directory of its blocks.
    pub index: ObjectRef,
    /// What the directory leads to, if the index is in blocks.
    pub blocks: Option<Blocks>,
    /// In what the index differs from that of the version that this one follows, see
    /// [`crate::index::Delta`].
    pub delta: Option<ObjectRef>,
    /// The exact bytes of `classes.csv`.
    pub classes: ObjectRef,
    /// The recipe from which it was built.
    pub recipe: ObjectRef,
    /// The ledger, if the recipe names one.
    pub corrections: Option<ObjectRef>,
    /// The split assignments.
    pub assignments: ObjectRef,
    /// Groups of near-duplicates, if the recipe names a file of them.
    pub groups: Option<ObjectRef>,
    /// Pairs of images that people have judged, if the recipe names a file of them.
    pub pairs: Option<ObjectRef>,
    /// Objects that this isn does not know and need not, sorted by name.
    pub others: Vec<Other>,
}

/// The objects of an index in blocks, beside its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The rows, see [`crate::index::Directory`].
    pub rows: ObjectRef,
    /// What the images were made from.
    pub sources: ObjectRef,
    /// BLAKE3's tree over `B3SUMS`, see [`crate::sums::SumsTree`].
    pub tree: ObjectRef,
}

/// An object that this isn does not know, and need not: it copies and checks the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its name in the manifest.
    pub name: String,
    /// The name of its format.
    pub format: String,
    /// The extension of its path.
    pub extension: Extension,
    /// Its hash and length.
    pub object: ObjectRef,
}

/// An object, as version 2 of the manifest has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    blake3: Digest,
    length: u64,
    format: String,
    extension: Extension,
    required: bool,
}

/// The objects that this isn knows: name, kind, format in version 2, whether a reader must know it, and
/// whether it must be there.
const KNOWN: [(&str, ObjectKind, &str, bool, bool); 11] = [
    ("index", ObjectKind::Index, "isn-index/1", true, true),
    ("rows", ObjectKind::Rows, "isn-rows/1", true, false),
    ("sources", ObjectKind::Sources, "isn-sources/1", false, false),
    ("tree", ObjectKind::SumsTree, "isn-sums-tree/1", true, false),
    ("delta", ObjectKind::Delta, "isn-delta/1", false, false),
    ("classes", ObjectKind::Classes, "isn-classes/1", true, true),
    ("recipe", ObjectKind::Recipe, "isn-recipe/2", false, true),
    ("assignments", ObjectKind::Splits, "isn-splits/1", false, true),
    ("corrections", ObjectKind::Corrections, "isn-ledger/1", false, false),
    ("groups", ObjectKind::Groups, "isn-groups/1", false, false),
    ("pairs", ObjectKind::Pairs, "isn-pairs/1", false, false),
];

/// The format of the directory of an index in blocks, which has the objects `rows`, `sources` and `tree`.
const IN_BLOCKS: &str = "isn-index/2";

impl Objects {
    /// Returns all of them, with their kinds.
    pub fn all(&self) -> Vec<(ObjectKind, ObjectRef)> {
        let known = KNOWN.into_iter().filter_map(|(_, kind, ..)| Some((kind, self.get(kind)?)));
        let others = self.others.iter().map(|other| (ObjectKind::Other(other.extension), other.object));
        known.chain(others).collect()
    }

    fn get(&self, kind: ObjectKind) -> Option<ObjectRef> {
        match kind {
            ObjectKind::Index => Some(self.index),
            ObjectKind::Rows => self.blocks.map(|blocks| blocks.rows),
            ObjectKind::Sources => self.blocks.map(|blocks| blocks.sources),
            ObjectKind::SumsTree => self.blocks.map(|blocks| blocks.tree),
            ObjectKind::Delta => self.delta,
            ObjectKind::Classes => Some(self.classes),
            ObjectKind::Recipe => Some(self.recipe),
            ObjectKind::Splits => Some(self.assignments),
            ObjectKind::Corrections => self.corrections,
            ObjectKind::Groups => self.groups,
            ObjectKind::Pairs => self.pairs,
            _ => None,
        }
    }

    /// Returns them as version 2 writes them.
    pub(super) fn entries(&self) -> BTreeMap<String, Entry> {
        let entry = |object: ObjectRef, format: &str, extension, required| {
            let ObjectRef { blake3, length } = object;
            Entry { blake3, length, format: format.into(), extension, required }
        };
        let known = KNOWN.into_iter().filter_map(|(name, kind, format, required, _)| {
            let is_in_blocks = kind == ObjectKind::Index && self.blocks.is_some();
            let format = if is_in_blocks { IN_BLOCKS } else { format };
            Some((name.into(), entry(self.get(kind)?, format, kind.extension(), required)))
        });
        let others = self
            .others
            .iter()
            .map(|other| (other.name.clone(), entry(other.object, &other.format, other.extension, false)));
        known.chain(others).collect()
    }

    /// Reads what version 2 has written.
    pub(super) fn of_entries(entries: BTreeMap<String, Entry>) -> Result<Self, Refused> {
        if entries.len() > MAX_OBJECTS {
            return Err(wrong(&format!("names more than {MAX_OBJECTS} objects")));
        }
        let mut known: BTreeMap<&str, ObjectRef> = BTreeMap::new();
        let mut others = Vec::new();
        let is_in_blocks = entries.get("index").is_some_and(|index| index.format == IN_BLOCKS);
        for (name, entry) in entries {
            check_words(&name, &entry.format)?;
            let object = ObjectRef { blake3: entry.blake3, length: entry.length };
            let same = KNOWN.iter().find(|(known, ..)| *known == name);
            // A recipe and assignments must be there, and say themselves what they are.
            let is_known = |(name, _, format, required, needed): &(&str, _, &str, bool, bool)| {
                *format == entry.format
                    || *needed && !required
                    || *name == "index" && entry.format == IN_BLOCKS
            };
            match same {
                Some(row) if is_known(row) => {
                    let &(name, kind, _, required, _) = row;
                    if entry.required != required {
                        return Err(wrong(&format!(
                            "says that object {name} is required: {}",
                            entry.required
                        )));
                    }
                    if entry.extension != kind.extension() {
                        let (found, expected) = (entry.extension.as_str(), kind.extension().as_str());
                        return Err(wrong(&format!("gives object {name} extension {found}, not {expected}")));
                    }
                    known.insert(name, object);
                }
                _ if entry.required => {
                    return Err(Refused::Newer(format!(
                        "needs object {name} of format '{}', which this isn does not know",
                        entry.format
                    )));
                }
                _ => {
                    let Entry { format, extension, .. } = entry;
                    others.push(Other { name, format, extension, object });
                }
            }
        }
        let need =
            |name: &str| known.get(name).copied().ok_or_else(|| wrong(&format!("has no object {name}")));
        let of_blocks = ["rows", "sources", "tree"].into_iter().find(|name| known.contains_key(name));
        let blocks = match of_blocks {
            _ if is_in_blocks => {
                Some(Blocks { rows: need("rows")?, sources: need("sources")?, tree: need("tree")? })
            }
            Some(name) => {
                return Err(wrong(&format!("has object {name}, and an index that is not in blocks")));
            }
            None => None,
        };
        Ok(Objects {
            index: need("index")?,
            blocks,
            delta: known.get("delta").copied(),
            classes: need("classes")?,
            recipe: need("recipe")?,
            assignments: need("assignments")?,
            corrections: known.get("corrections").copied(),
            groups: known.get("groups").copied(),
            pairs: known.get("pairs").copied(),
            others,
        })
    }
}

/// Checks the names of an object and of its format.
fn check_words(name: &str, format: &str) -> Result<(), Refused> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|c| inner(c) || c == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !is_name {
        return Err(wrong(&format!("has an object '{name}', which is no name of one")));
    }
    if !(1..=MAX_FORMAT).contains(&format.len()) || format.chars().any(char::is_control) {
        return Err(wrong(&format!(
            "gives object {name} a format that is not one line of 1 to {MAX_FORMAT} bytes"
        )));
    }
    Ok(())
}
