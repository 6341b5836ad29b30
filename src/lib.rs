//! `isn`: a registry and a client for exact versions of image-classification datasets. One hash pins every image,
//! label and split.
//!
//! The map, from the top down; a module imports from rows below its own, never from above:
//!
//! | row | modules | what they know |
//! |---|---|---|
//! | command line | [`cli`] | arguments, output, exit codes: the only place that prints or reads the environment |
//! | servers | [`serve`], [`review`] | `isn serve`: a folder's registry over HTTP, and what others publish to it; `isn review`: a page to decide suspects on (feature `serve`) |
//! | verbs | [`ops`] | one file a verb: build, publish, pull, verify, … each returns a report |
//! | places | [`registry`], [`transport`], [`cache`], [`trust`], [`known_logs`], [`keyring`], [`ledger_file`], [`tree_file`], [`demo`], [`dataset`] | where versions, what was fetched before, trusted keys, logs once seen, own keys, ledgers and trees on disk, drawn images and images read in place come from |
//! | things | [`description`], [`manifest`], [`index`], [`pack`], [`shard`], [`tree`], [`lock_file`], [`release`], [`statement`], [`log`], [`recipe`], [`source`], [`ledger`], [`corrections`], [`ilsvrc2012`], [`source_kind`], [`pixel_spec`], [`plan`], [`split`], [`groups`], [`class`], [`imaging`], [`audit`], [`key`], [`object`], [`sheet`], [`table`], [`order`], [`augment`], [`export`] | one noun each, most of them a format: bytes in and out |
//! | words | [`digest`], [`dataset_ref`], [`rel_path`], [`progress`], [`error`], [`files`], [`parallel`], [`json_lines`], [`draws`], [`text`] | what everything else is said in |
//!
//! A version is described by a [`manifest::Manifest`] (what it is), an [`index::Index`] (one row an image) and
//! `classes.csv`; [`tree::Sums`] of the two is the file `B3SUMS`, whose BLAKE3 is the dataset hash. A
//! [`pack::Pack`] says where the images' bytes are in [`shard`]s, and a [`release::Release`] is the signed [`statement`]
//! that binds a name and a version to it all; statements are the entries of a registry's [`log`]. `docs/architecture.md` follows a build, a publish and a pull through
//! these; `docs/format.md` is the norm for every byte.

pub mod audit;
pub mod augment;
pub mod cache;
pub mod class;
pub mod cli;
pub mod corrections;
pub mod dataset;
pub mod dataset_ref;
pub mod demo;
pub mod description;
pub mod digest;
pub mod draws;
pub mod error;
pub mod export;
pub mod files;
pub mod groups;
pub mod ilsvrc2012;
pub mod imaging;
pub mod index;
pub mod json_lines;
pub mod key;
pub mod keyring;
pub mod known_logs;
pub mod ledger;
pub mod ledger_file;
pub mod lock_file;
pub mod log;
pub mod manifest;
pub mod object;
pub mod ops;
pub mod order;
pub mod pack;
pub mod parallel;
pub mod pixel_spec;
pub mod plan;
pub mod progress;
pub mod recipe;
pub mod registry;
pub mod rel_path;
pub mod release;
#[cfg(feature = "serve")]
pub mod review;
#[cfg(feature = "serve")]
pub mod serve;
pub mod shard;
pub mod sheet;
pub mod source;
pub mod source_kind;
pub mod split;
pub mod statement;
pub mod table;
pub mod text;
pub mod transport;
pub mod tree;
pub mod tree_file;
pub mod trust;
