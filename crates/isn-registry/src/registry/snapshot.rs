//! [`Snapshot`]: the verified description of a version. [`Head`]: its manifest, and who vouches for it.

use super::blocks::{InBlocks, PartOf};
use crate::identity::Identity;
use isn_format::class::Class;
use isn_format::description::Description;
use isn_format::error::{Error, Result};
use isn_format::index::Index;
use isn_format::key::PublicKey;
use isn_format::manifest::Manifest;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::release::LogPosition;
use isn_format::sums::Sums;
use isn_format::tree::unreleased_pin;

/// The maximum length of the index, in bytes, of a version that only a pin vouches for: some two million
/// images.
const MAX_UNSIGNED_INDEX: u64 = 256 << 20;
/// The maximum length of any other metadata object of such a version, in bytes.
pub(super) const MAX_UNSIGNED: u64 = 64 << 20;

/// What a dataset hash does not cover, as `--json` calls it. If a version was reached only by a pin, nobody
/// vouches for these.
pub const UNSIGNED: [&str; 16] = [
    "name",
    "version",
    "title",
    "description",
    "licence",
    "authors",
    "citation",
    "source",
    "pipeline",
    "recipe",
    "corrections",
    "width",
    "height",
    "pixels",
    "source_id",
    "source_blake3",
];

/// A version, from the release down to `B3SUMS`: everything checked against the release's hashes and against
/// each other.
pub struct Snapshot {
    /// The manifest, and who vouches for it.
    pub head: Head,
    pub(super) description: Description<Index>,
    /// How its index is stored, if that is in blocks.
    pub(super) blocks: Option<InBlocks>,
}

impl Snapshot {
    /// What was read, if only a part of the version was: then the lists have what it has.
    pub(crate) fn part(&self) -> Option<&PartOf> {
        self.blocks.as_ref().and_then(InBlocks::part)
    }

    /// The images; of a part, those of the classes and splits that it has some of.
    pub fn index(&self) -> &Index {
        self.description.rows()
    }

    /// The classes, sorted by id.
    pub fn classes(&self) -> &[Class] {
        self.description.classes()
    }

    /// The exact bytes of `classes.csv`.
    pub fn classes_csv(&self) -> &[u8] {
        self.description.classes_csv()
    }

    /// `B3SUMS`; of a part, the lines that it has of it.
    pub fn sums(&self) -> &Sums {
        self.description.sums()
    }
}

/// The manifest of a version and who vouches for it: a [`Snapshot`] without its lists.
pub struct Head {
    /// The keys that signed the release and count: trusted ones, or the name's owners in a trusted log. If
    /// there are none, the version was reached by a pin, and only the tree is authenticated.
    pub signed_by: Vec<PublicKey>,
    /// The position of the release in the log, if that was checked.
    pub logged: Option<LogPosition>,
    /// Whether it is the user's own build, which no registry released: nobody needs to vouch for it.
    pub is_own: bool,
    /// What the user should know: that the version is yanked, or the mirror is stale.
    pub warnings: Vec<String>,
    /// The owners' reason for withdrawing the version, if they have withdrawn it: missing objects are no
    /// damage then.
    pub withdrawn: Option<String>,
    /// The hash and length of the manifest.
    pub manifest_ref: ObjectRef,
    /// The manifest.
    pub manifest: Manifest,
}

impl Head {
    /// The properties that no trusted key vouches for: [`UNSIGNED`], or none.
    pub fn unsigned(&self) -> &'static [&'static str] {
        if self.signed_by.is_empty() && !self.is_own { &UNSIGNED } else { &[] }
    }

    /// What the version is.
    pub fn identity(&self) -> Identity {
        let manifest = self.manifest.clone();
        Identity {
            pin: self.pin(),
            name: manifest.name,
            version: (!self.manifest.is_part).then_some(manifest.version),
            dataset: manifest.dataset,
            title: manifest.title,
            description: manifest.description,
            licence: manifest.licence,
            authors: manifest.authors,
            citation: manifest.citation,
            images: manifest.images,
        }
    }

    /// The pin to name the version by: of a build, one that no registry resolves.
    pub fn pin(&self) -> String {
        match self.is_own {
            true => unreleased_pin(&self.manifest.name, &self.manifest.dataset),
            false => self.manifest.pin().to_string(),
        }
    }

    /// Refuses a manifest that only a pin leads to if its objects are too long: they are held in memory
    /// before the dataset hash can be checked.
    pub(super) fn check_unsigned(&self, what: &str) -> Result<()> {
        for (kind, object) in self.manifest.objects.all() {
            let is_index = matches!(kind, ObjectKind::Index | ObjectKind::Rows | ObjectKind::Sources);
            let cap = if is_index { MAX_UNSIGNED_INDEX } else { MAX_UNSIGNED };
            if object.length > cap {
                let (noun, length) = (kind.noun(), object.length);
                let why = format!(
                    "asks for {length} bytes of {noun}: too many, since nobody whom you trust signed \
                             it"
                );
                return Err(Error::integrity(what, why));
            }
        }
        Ok(())
    }
}
