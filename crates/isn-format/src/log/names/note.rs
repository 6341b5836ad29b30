//! [`SignedNames`]: the note that says which index a log of a given size has.
//!
//! ```text
//! isn/v1 names
//! <origin>
//! <number of entries>
//! <root of the log's tree, base64>
//! <number of the last entry in the index, and 1>
//! b3:<BLAKE3 of the index's first file>
//!
//! — <origin> <signature>
//! ```
//!
//! As a claim, it cannot be mistaken for a checkpoint, since no origin has a space.

use signed_note::{Note, VerifierList};

use super::Root;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::log::key::check_name;
use crate::log::{Hash, LogKey, LogSigner};

/// The maximum length of a note, in bytes.
pub const MAX_NOTE: u64 = 1 << 10;

const KIND: &str = "isn/v1 names";

/// A note as found, whose signature has not been verified yet.
pub struct SignedNames {
    what: String,
    bytes: Vec<u8>,
    note: Note,
    origin: String,
    size: u64,
    log_root: Hash,
    root: Root,
}

impl SignedNames {
    /// Signs the index of a log of `size` entries with the root `log_root`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the note cannot be made.
    pub fn sign(signer: &LogSigner, size: u64, log_root: Hash, root: Root) -> Result<Self> {
        let internal = |e| Error::Internal(format!("index of names: {e}"));
        let text = text(signer.log_key().origin(), size, &log_root, &root);
        let mut note = Note::new(text.as_bytes(), &[]).map_err(internal)?;
        note.add_sigs(&[signer]).map_err(internal)?;
        SignedNames::parse("the note of the index of names", note.to_bytes())
    }

    /// Reads a note; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Trust`] if it is not a note of an index of names in its exact form.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let refuse = |why: &str| Error::trust(what, why);
        if bytes.len() as u64 > MAX_NOTE {
            return Err(refuse("is too long for the note of an index of names"));
        }
        let malformed = || refuse("is not the note of an index of names");
        let note = Note::from_bytes(&bytes).ok().filter(|note| note.to_bytes() == bytes);
        let note = note.ok_or_else(malformed)?;
        let said = std::str::from_utf8(note.text()).map_err(|_| malformed())?;
        let [kind, origin, size, log_root, through, hash] = said.lines().collect::<Vec<_>>()[..] else {
            return Err(malformed());
        };
        if SignedNames::is_of_newer_isn(kind.as_bytes()) {
            return Err(refuse("is of a kind that this isn does not know: a newer isn may read it"));
        }
        check_name(origin).map_err(|_| malformed())?;
        let size = size.parse().map_err(|_| malformed())?;
        let log_root = Hash::parse_hash(log_root).map_err(|_| malformed())?;
        let hash = Digest::from_prefixed(hash).map_err(|_| malformed())?;
        let root = Root { through: through.parse().map_err(|_| malformed())?, hash };
        let origin = origin.to_string();
        // Each line has one spelling.
        if text(&origin, size, &log_root, &root) != said || root.through > size {
            return Err(malformed());
        }
        Ok(SignedNames { what: what.into(), bytes, note, origin, size, log_root, root })
    }

    /// Whether these are the bytes of such a note in a form that this isn does not know.
    pub fn is_of_newer_isn(bytes: &[u8]) -> bool {
        let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
        line != KIND.as_bytes() && line.starts_with(b"isn/") && line.ends_with(b" names")
    }

    /// Returns the note.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the number of entries that the index is of, according to the note.
    pub fn claimed_size(&self) -> u64 {
        self.size
    }

    /// Returns the root that the log's tree of that size has, according to the note.
    pub fn claimed_log_root(&self) -> Hash {
        self.log_root
    }

    /// Returns the root of the index, according to the note.
    pub fn claimed_root(&self) -> Root {
        self.root
    }

    /// Returns the root of the index, if `key` has signed it as that of a log of this size with the root
    /// `log_root`.
    ///
    /// # Errors
    /// [`Error::Trust`] if it is of another log or tree, or not signed by `key`.
    pub fn verify(&self, key: &LogKey, log_root: Hash) -> Result<Root> {
        self.verify_signature(key)?;
        if self.log_root != log_root {
            let why = format!("is of another tree of {} entries than the log's", self.size);
            return Err(Error::trust(&self.what, why));
        }
        Ok(self.root)
    }

    /// Checks that `key` has signed it, of whatever tree.
    ///
    /// # Errors
    /// [`Error::Trust`] if it has not.
    pub fn verify_signature(&self, key: &LogKey) -> Result<()> {
        if self.origin != key.origin() {
            let why = format!("is of log {}, expected {}", self.origin, key.origin());
            return Err(Error::trust(&self.what, why));
        }
        if self.note.verify(&VerifierList::new(vec![Box::new(key.clone())])).is_err() {
            return Err(Error::trust(&self.what, format!("has no valid signature by the log's key, {key}")));
        }
        Ok(())
    }
}

fn text(origin: &str, size: u64, log_root: &Hash, root: &Root) -> String {
    format!("{KIND}\n{origin}\n{size}\n{log_root}\n{}\n{}\n", root.through, root.hash.prefixed())
}
