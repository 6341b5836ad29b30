//! The formats of exact dataset versions: what is hashed, signed and stored, and the rules for reading it.
//! `docs/format.md` is the specification. This crate turns bytes into values and back; it opens no file or
//! socket and starts no thread.
//!
//! A version is described by a [`manifest::Manifest`] (what the version is), an [`index::Index`] (one row per
//! image) and `classes.csv`. [`tree::Sums`] computes the file `B3SUMS` from the last two; the BLAKE3 of that
//! file is the dataset hash. A [`pack::Pack`] lists where the images' bytes lie in [`shard`]s. A
//! [`release::Release`] is the signed [`statement`] that binds a name and a version to all of this;
//! statements are the entries of a registry's [`log`].

pub mod augment;
pub mod class;
pub mod corrections;
pub mod dataset_ref;
pub mod description;
pub mod digest;
pub mod draws;
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
pub mod pixel_spec;
pub mod recipe;
pub mod rel_path;
pub mod release;
pub mod shard;
pub mod source_kind;
pub mod split;
pub mod statement;
pub mod table;
pub mod text;
pub mod tree;
