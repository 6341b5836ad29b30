//! The tree, a folder of images and their description: `B3SUMS`, see [`crate::sums`], and `ISN.json`, which
//! says where the tree came from.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::class::ClassId;
use crate::dataset_ref::{Name, Version, VersionId};
use crate::digest::Digest;
use crate::error::{Error, Result, count};
use crate::index::Sources;
use crate::manifest::{Manifest, prefixed};
use crate::possession;
use crate::rel_path::RelPath;
use crate::split::Split;
use crate::sums::Line;

/// The list of all files with their BLAKE3. Its own BLAKE3 is the dataset hash.
pub const B3SUMS: &str = "B3SUMS";
/// The lines of `B3SUMS` that a partial tree has.
pub const B3SUMS_SELECTED: &str = "B3SUMS.selected";
/// Shows that the lines in `B3SUMS.selected` are in `B3SUMS`, for a partial tree that does not have that, see
/// [`crate::sums::SumsProof`].
pub const B3SUMS_PROOF: &str = "B3SUMS.proof";
/// The maximum length of a `B3SUMS.proof` that is read, in bytes.
pub const MAX_PROOF: u64 = 1 << 30;
/// The maximum length of an `ISN.json` that is read, in bytes: a selection names each of its images.
pub const MAX_ISN_JSON: u64 = 64 << 20;
/// The list of classes, in the order of their index.
pub const CLASSES: &str = "classes.csv";
/// Says where the tree came from; not covered by the dataset hash.
pub const ISN_JSON: &str = "ISN.json";
/// The format of `ISN.json` of a released version.
pub const FORMAT: &str = "isn-tree/1";
/// The format of `ISN.json` of a tree that nobody released, or that has a proof in place of `B3SUMS`.
pub const TWO: &str = "isn-tree/2";

/// The part of a version that a tree has. Empty lists mean everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Only these splits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
    /// Only these classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassId>,
    /// Only these images, by their path in the tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<RelPath>,
    /// The hashes that the user's list gives for these images: lines of a `B3SUMS`, perhaps of another
    /// version. Once they have been compared with the version, they add nothing to its pin, so they are not
    /// stored.
    #[serde(skip)]
    pub lines: Vec<Line>,
}

impl Selection {
    /// Whether everything is selected.
    pub fn is_all(&self) -> bool {
        self.splits.is_empty() && self.classes.is_empty() && self.images.is_empty()
    }

    /// Describes the selection for people: `split val, class n01614925, 5 images by name`; empty for
    /// everything.
    pub fn describe(&self) -> String {
        let mut parts: Vec<String> = self.splits.iter().map(|split| format!("split {split}")).collect();
        parts.extend(self.classes.iter().map(|class| format!("class {class}")));
        if !self.images.is_empty() {
            parts.push(format!("{} by name", count(self.images.len(), "image")));
        }
        parts.join(", ")
    }

    /// Returns a predicate on the path of an image: whether it is in one of the splits, in one of the classes
    /// and among the images, for those of the lists that are not empty.
    pub fn filter(&self) -> impl Fn(&str) -> bool + use<'_> {
        let images: HashSet<&str> = self.images.iter().map(RelPath::as_str).collect();
        let classes: HashSet<&str> = self.classes.iter().map(ClassId::as_str).collect();
        move |path| {
            let mut segments = path.split('/');
            let (split, class) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
            (self.splits.is_empty() || self.splits.iter().any(|wanted| wanted.as_str() == split))
                && (classes.is_empty() || classes.contains(class))
                && (images.is_empty() || images.contains(path))
        }
    }
}

/// The contents of `ISN.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// Of a released version.
    Released(Provenance),
    /// Of a tree that was built, and that nobody released.
    Unreleased(Unreleased),
}

impl Origin {
    /// Reads an `ISN.json`; returns `None` if it is of no known format.
    pub fn parse(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
            #[serde(default)]
            proof: bool,
        }
        let header: Header = serde_json::from_slice(json).ok()?;
        match (header.format.as_str(), header.proof) {
            (FORMAT, false) | (TWO, true) => serde_json::from_slice(json).ok().map(Origin::Released),
            (TWO, false) => serde_json::from_slice(json).ok().map(Origin::Unreleased),
            _ => None,
        }
    }

    /// The dataset.
    pub fn name(&self) -> &Name {
        match self {
            Origin::Released(known) => &known.name,
            Origin::Unreleased(built) => &built.name,
        }
    }

    /// `b3:…`, the dataset hash.
    pub fn dataset(&self) -> &str {
        match self {
            Origin::Released(known) => &known.dataset,
            Origin::Unreleased(built) => &built.dataset,
        }
    }

    /// The number of images of the whole version, if it says so.
    pub fn images(&self) -> Option<u64> {
        match self {
            Origin::Released(known) => known.images,
            Origin::Unreleased(_) => None,
        }
    }

    /// What the tree is, for people: the version, or that it is not released.
    pub fn what(&self) -> String {
        match self {
            Origin::Released(known) => {
                VersionId { name: known.name.clone(), version: known.version }.to_string()
            }
            Origin::Unreleased(built) => built.pin.clone(),
        }
    }

    /// The selected part.
    pub fn selection(self) -> Selection {
        match self {
            Origin::Released(known) => known.selection,
            Origin::Unreleased(_) => Selection::default(),
        }
    }

    /// The fingerprints of the trusted keys that signed the release.
    pub fn signed_by(&self) -> &[String] {
        match self {
            Origin::Released(known) => &known.signed_by,
            Origin::Unreleased(_) => &[],
        }
    }

    /// What the tree was built from, if it was built and that is known.
    pub fn built_from(&self) -> Option<BuiltFrom> {
        match self {
            Origin::Released(known) => known.built_from,
            Origin::Unreleased(built) => built.built_from,
        }
    }

    /// Says also what the tree was built from, unless it says so already.
    #[must_use]
    pub fn or_built_from(mut self, from: Option<BuiltFrom>) -> Self {
        let (Origin::Released(Provenance { built_from, .. })
        | Origin::Unreleased(Unreleased { built_from, .. })) = &mut self;
        *built_from = built_from.or(from);
        self
    }

    /// Returns the bytes of the file.
    ///
    /// # Errors
    /// [`Error::Internal`] if the values cannot be serialised.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        json.push(b'\n');
        Ok(json)
    }
}

/// The `ISN.json` of a tree that was built from a recipe of which there is no release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreleased {
    /// [`TWO`].
    pub format: String,
    /// `false`.
    pub released: bool,
    /// The dataset.
    pub name: Name,
    /// `b3:…`, the dataset hash.
    pub dataset: String,
    /// `unreleased:NAME/b3:…`, which no registry resolves.
    pub pin: String,
    /// The recipe that it was built by.
    pub recipe: BuiltBy,
    /// Whether it was built from a part of its source.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
    /// What it was built from; absent if an older isn wrote the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<BuiltFrom>,
    /// The title, one line for people.
    pub title: String,
    /// The terms under which the images may be used.
    pub licence: String,
    /// The program that wrote the tree.
    pub isn: String,
}

/// The recipe of a tree that nobody released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltBy {
    /// The version that the recipe is for.
    pub version: Version,
    /// `b3:…`, the BLAKE3 of the recipe.
    pub blake3: String,
}

/// What a tree was built from on this machine, as a `rebuilt` statement says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltFrom {
    /// The digest of the recipe and all that it names ([`possession::inputs`]).
    #[serde(with = "prefixed")]
    pub inputs: Digest,
    /// The digest of the source files ([`possession::sources`]).
    #[serde(with = "prefixed")]
    pub sources: Digest,
}

impl BuiltFrom {
    /// What a build with this manifest and these sources was made from.
    pub fn of(manifest: &Manifest, sources: &Sources) -> Self {
        BuiltFrom { inputs: possession::inputs(manifest), sources: possession::sources(sources) }
    }
}

/// What the pin of a build that nobody released begins with.
const UNRELEASED_PIN: &str = "unreleased:";

/// Returns the pin of a build that nobody released: `unreleased:NAME/b3:…`. It is no reference, so that it
/// cannot be taken for that of a release.
pub fn unreleased_pin(name: &Name, dataset: &Digest) -> String {
    format!("{UNRELEASED_PIN}{name}/{}", dataset.prefixed())
}

/// Whether a text is meant as the pin of a build that nobody released.
pub fn is_unreleased_pin(text: &str) -> bool {
    text.starts_with(UNRELEASED_PIN)
}

/// What a released version's `ISN.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// [`FORMAT`]; with a proof, [`TWO`].
    pub format: String,
    /// Whether the tree has `B3SUMS.proof` in place of `B3SUMS`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proof: bool,
    /// The number of images of the whole version, which only the whole `B3SUMS` shows otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// The dataset.
    pub name: Name,
    /// The version.
    pub version: Version,
    /// `b3:…`, the dataset hash.
    pub dataset: String,
    /// `b3:…`, the manifest.
    pub manifest: String,
    /// `name@version#b3:…`, to put in a paper.
    pub pin: String,
    /// The title, one line for people.
    pub title: String,
    /// The terms under which the images may be used.
    pub licence: String,
    /// The registry from which the tree was pulled.
    pub registry: String,
    /// The fingerprints of the trusted keys that signed the release. If empty, title and licence are
    /// unsigned: only the dataset hash was checked.
    pub signed_by: Vec<String>,
    /// The selected part.
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    pub selection: Selection,
    /// What it was built from; absent if the images were fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<BuiltFrom>,
    /// The program that wrote the tree.
    pub isn: String,
}
