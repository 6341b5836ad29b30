//! What is hashed, signed and stored of an exact dataset version: the formats that `docs/format.md` fixes, and the rules that
//! they are read by. Bytes in and out: nothing here opens a file, a socket or a thread.
//!
//! A version is described by a [`manifest::Manifest`] (what it is), an [`index::Index`] (one row an image) and
//! `classes.csv`; [`tree::Sums`] of the two is the file `B3SUMS`, whose BLAKE3 is the dataset hash. A
//! [`pack::Pack`] says where the images' bytes are in [`shard`]s, and a [`release::Release`] is the signed [`statement`]
//! that binds a name and a version to it all; statements are the entries of a registry's [`log`].

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
