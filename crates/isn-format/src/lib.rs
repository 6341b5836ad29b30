//! The formats of exact dataset versions: what is hashed, signed and stored, and the rules for reading it.
//! `docs/format.md` is the specification. This crate turns bytes into values and back; it opens no file or
//! socket and starts no thread.
//!
//! A version is described by a [`manifest::Manifest`] (what the version is), an [`index::Index`] (one row per
//! image) and `classes.csv`. [`sums::Sums`] computes the file `B3SUMS` from the last two; the BLAKE3 of that
//! file is the dataset hash. A [`pack::Pack`] lists where the images' bytes lie in [`shard`]s. A
//! [`release::Release`] is the signed [`statement`] that binds a name and a version to all of this;
//! statements are the entries of a registry's [`log`].
//!
//! | about | modules |
//! |---|---|
//! | what is made | [`recipe`], [`source_kind`], [`source_spec`], [`ilsvrc2012`], [`ledger`], [`corrections`], [`groups`], [`pairs`], [`rows`], [`split`], [`pixel_spec`] |
//! | what a version is | [`manifest`], [`index`], [`class`], [`sums`], [`tree`], [`description`], [`possession`] |
//! | how it is stored | [`object`], [`pack`], [`shard`], [`table`], [`json_lines`] |
//! | who says so | [`key`], [`statement`], [`release`], [`log`] |
//! | how it is read | [`order`], [`augment`] |
//! | words | [`digest`], [`dataset_ref`], [`rel_path`], [`text`], [`texts`], [`union_find`], [`error`] |
//!
//! Functions that read bytes take the name that errors call them by, mostly as `what`.
//!
//! # Verifying a version without isn
//!
//! A tree is checked as [`sums::Sums`] shows. With the files of a registry, however they were fetched, and a
//! publisher's key:
//!
//! ```
//! use isn_format::description::Description;
//! use isn_format::index::Index;
//! use isn_format::key::PublicKey;
//! use isn_format::manifest::Manifest;
//! use isn_format::object::{ObjectKind, ObjectRef};
//! use isn_format::release::SignedRelease;
//!
//! # let vectors = "../../tests/vectors/version-1";
//! # let registry = format!("{vectors}/registry");
//! let object = |kind: ObjectKind, object: ObjectRef| -> Result<_, Box<dyn std::error::Error>> {
//!     let hash = object.blake3.to_string();
//!     let bytes = std::fs::read(format!("{registry}/objects/{}/{hash}.{}", &hash[..2], kind.extension()))?;
//!     object.check(kind.noun(), &bytes)?;
//!     Ok(bytes)
//! };
//! let publisher: PublicKey = std::fs::read_to_string(format!("{vectors}/alice.pub"))?.parse()?;
//!
//! // The release names the manifest and the dataset hash of golden@1.0.
//! let release = SignedRelease::parse("release", std::fs::read(format!("{registry}/releases/golden/1.0"))?)?;
//! let release = release.verify("a registry", &[publisher])?.expect(&"golden@1.0".parse()?)?;
//!
//! // The manifest names the other objects.
//! let manifest = ObjectRef { blake3: release.manifest(), length: release.manifest_len() };
//! let manifest = Manifest::parse("manifest", &object(ObjectKind::Manifest, manifest)?)?;
//! assert_eq!(manifest.dataset, release.dataset());
//!
//! // Images and classes must hash to the dataset hash.
//! let classes = object(ObjectKind::Classes, manifest.objects.classes)?;
//! let index = object(ObjectKind::Index, manifest.objects.index)?;
//! let index = Index::parse("index", &index, &manifest, &manifest.objects.classes.blake3)?;
//! let version = Description::new(("index", index), ("classes.csv", classes), &manifest)?;
//! for row in version.rows().rows() {
//!     println!("{} {}", row.blake3(), row.path());
//! }
//! # assert_eq!(version.sums().digest(), release.dataset());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod augment;
pub mod class;
pub mod corrections;
pub mod dataset_ref;
pub mod description;
pub mod digest;
mod draws;
pub mod error;
pub mod groups;
pub mod ilsvrc2012;
pub mod index;
pub mod json_lines;
pub mod key;
pub mod ledger;
pub mod log;
pub mod manifest;
pub mod object;
pub mod order;
pub mod pack;
pub mod pairs;
pub mod pixel_spec;
pub mod possession;
pub mod recipe;
pub mod rel_path;
pub mod release;
pub mod rows;
pub mod shard;
pub mod source_kind;
pub mod source_spec;
pub mod split;
pub mod statement;
pub mod sums;
pub mod table;
pub mod text;
pub mod texts;
pub mod tree;
pub mod union_find;
