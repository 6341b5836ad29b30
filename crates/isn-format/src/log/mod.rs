//! A registry's transparency log: an append-only list of statements that is the same for everybody.
//!
//! It is a C2SP [tlog-tiles](https://c2sp.org/tlog-tiles) log. Its entries are signed statements, byte for
//! byte; their hashes are the leaves of a Merkle tree (SHA-256, RFC 6962); for every new size, the log's key
//! signs the root as a *checkpoint* (a [signed note](https://c2sp.org/signed-note)). Whoever has one
//! checkpoint can verify that a later one only adds to it.
//!
//! | file | noun |
//! |---|---|
//! | `key.rs` | [`LogKey`] and [`WitnessKey`], written as vkeys, and the [`LogSigner`] |
//! | `checkpoint.rs` | [`SignedCheckpoint`] as received, [`Checkpoint`] once verified |
//! | `tree.rs` | [`Tree`]: leaves, roots, proofs and tiles |
//! | `part.rs` | [`TreePart`]: what tiles show of a tree |
//! | `claim.rs` | [`SignedClaim`]: entries that are about to be appended |
//! | `bundle.rs` | entry bundles: up to 256 entries per file |
//! | `history.rs` | [`History`]: what the entries mean, replayed in order |
//! | `replica.rs` | [`Replica`]: a log as far as it has been read |
//! | `extract.rs` | [`Extract`]: a log as far as it is about one name |
//! | `proof.rs` | [`Proof`]: one entry, provable offline |
//! | `names/` | [`names`]: which entries are about a name |
//!
//! This module has only bytes, hashes and rules. `isn_registry::registry` reads and writes logs, and
//! `isn_registry::known_logs` remembers what was seen of them.

pub mod bundle;
mod checkpoint;
mod claim;
mod extract;
mod history;
mod key;
pub mod names;
mod part;
pub mod proof;
mod replica;
mod tree;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use claim::{MAX_CLAIM, SignedClaim};
pub use extract::Extract;
pub use history::{Accepted, Built, Dataset, History, Notice, Owners, Refusal, Rejected, Released};
pub use key::{LogKey, LogSigner, WitnessKey};
pub use part::{Questions, TreePart, prove_leaf};
pub use proof::Proof;
pub use replica::Replica;
pub use tree::{Hash, TILE_WIDTH, Tile, Tree, leaf_hash};

/// The maximum length of a checkpoint that is read, in bytes: a note and some hundred cosignatures.
pub const MAX_CHECKPOINT: u64 = 64 << 10;
/// The maximum number of entries that a log may claim: 10 million, five gigabytes of statements.
pub const MAX_SIZE: u64 = 10_000_000;
/// The maximum number of entries that an attestation log may claim, in which strangers state things.
pub const MAX_ATTESTATIONS: u64 = 100_000;

#[cfg(test)]
mod tests;
