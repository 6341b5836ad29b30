//! [`SignedClaim`]: the entries that a writer is about to append, signed by the log's key before they are in
//! the log. Whoever finds a claim finishes it, so a claim must come from a writer who could have appended the
//! entries.
//!
//! It is a signed note, followed by the entries as in a bundle:
//!
//! ```text
//! isn/v1 claim
//! <origin>
//! <number of the first entry>
//! <root of the tree before it, base64>
//! <SHA-256 of the bundle, base64>
//!
//! — <origin> <signature>
//! <the bundle>
//! ```
//!
//! No reader can mistake it for a checkpoint: the first line has a space, which no origin has, and the second
//! is not a decimal number that is followed by a hash.

use base64::prelude::*;
use sha2::{Digest as _, Sha256};
use signed_note::{Note, VerifierList};

use super::bundle;
use super::key::{LogKey, LogSigner};
use super::replica::Replica;
use crate::error::{Error, Result};

/// The maximum length of a claim, in bytes.
pub const MAX_CLAIM: u64 = 64 << 20;

const KIND: &str = "isn/v1 claim";
/// The maximum length of the note before the entries, in bytes.
const MAX_NOTE: usize = 1 << 10;

/// A claim as found, whose signature has not been verified yet.
pub struct SignedClaim {
    what: String,
    note: Note,
    origin: String,
    first: u64,
    root: String,
    bundle: Vec<u8>,
}

impl SignedClaim {
    /// Claims the numbers after `base` for the entries in `bundle`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the entries are too long for one claim; [`Error::Internal`] if the note cannot
    /// be made.
    pub fn sign(signer: &LogSigner, base: &Replica, bundle: &[u8]) -> Result<Vec<u8>> {
        let root = base.tree().root()?.to_string();
        let text = text(signer.log_key().origin(), base.size(), &root, bundle);
        let internal = |e| Error::Internal(format!("claim: {e}"));
        let mut note = Note::new(text.as_bytes(), &[]).map_err(internal)?;
        note.add_sigs(&[signer]).map_err(internal)?;
        let claim = [note.to_bytes().as_slice(), bundle].concat();
        if claim.len() as u64 > MAX_CLAIM {
            let why = format!("are too many to be appended at once: more than {MAX_CLAIM} bytes");
            return Err(Error::invalid("the statements", why));
        }
        Ok(claim)
    }

    /// Reads a claim; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Claim`] if it is not a claim as isn writes it, or its entries are not the signed ones.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let refuse = |why: &str| Error::Claim { what: what.into(), why: why.into() };
        if bytes.len() as u64 > MAX_CLAIM {
            return Err(refuse("is too long for a claim"));
        }
        let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
        if line != KIND.as_bytes() {
            let is_kind = line.len() < 64 && line.starts_with(b"isn/") && line.ends_with(b" claim");
            return Err(refuse(if is_kind {
                "is a claim of a kind that this isn does not know: a newer isn may finish it"
            } else {
                "is not signed: it was written by somebody without the log's key, or by an old isn that did \
                 not sign claims"
            }));
        }
        let malformed = || refuse("is malformed: it is not a claim as isn writes it");
        let (note, bundle) = split(bytes).ok_or_else(malformed)?;
        let note = Note::from_bytes(note).ok().filter(|parsed| parsed.to_bytes() == note);
        let note = note.ok_or_else(malformed)?;
        let said = std::str::from_utf8(note.text()).map_err(|_| malformed())?;
        let [_, origin, first, root, _] = said.lines().collect::<Vec<_>>()[..] else {
            return Err(malformed());
        };
        super::key::check_name(origin).map_err(|_| malformed())?;
        let number: u64 = first.parse().map_err(|_| malformed())?;
        // Each line has one spelling, and the entries must be those that were signed.
        if text(origin, number, root, bundle) != said {
            return Err(refuse("holds other entries than its note says"));
        }
        let (origin, root, bundle) = (origin.into(), root.into(), bundle.to_vec());
        Ok(SignedClaim { what: what.into(), note, origin, first: number, root, bundle })
    }

    /// Whether it claims the number `first` and is signed by `key`.
    pub fn is_of(&self, first: u64, key: &LogKey) -> bool {
        self.first == first && self.check_signature(key).is_ok()
    }

    /// Returns the entries, if a writer who has read the log up to `base` may append them: the key in force
    /// must have signed them for exactly this position, and each must have an effect.
    ///
    /// # Errors
    /// [`Error::Claim`] if they may not be appended.
    pub fn verify(&self, base: &Replica) -> Result<Vec<&[u8]>> {
        let key = base.history().key();
        self.check_signature(&key)?;
        if self.first != base.size() || self.root != base.tree().root()?.to_string() {
            let why =
                format!("was signed for another place in the log, entry {}: it was replayed", self.first);
            return Err(self.refuse(why));
        }
        let entries =
            bundle::read_all(&self.bundle).map_err(|why| self.refuse(format!("is damaged: it {why}")))?;
        if entries.is_empty() {
            return Err(self.refuse("has no entry"));
        }
        let most = key.most_entries();
        if base.size() + entries.len() as u64 > most {
            return Err(self.refuse(format!("would take the log past the {most} entries that it may have")));
        }
        let mut history = base.history().clone();
        for entry in &entries {
            history.apply(entry).map_err(|rejected| {
                self.refuse(format!("has an entry that would have no effect: {}", rejected.why))
            })?;
        }
        Ok(entries)
    }

    fn check_signature(&self, key: &LogKey) -> Result<()> {
        if self.origin != key.origin() {
            return Err(self.refuse(format!("is of log {}, not of {}", self.origin, key.origin())));
        }
        match self.note.verify(&VerifierList::new(vec![Box::new(key.clone())])) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.refuse(format!("has no valid signature by the log's key, {key}"))),
        }
    }

    fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Claim { what: self.what.clone(), why: why.into() }
    }
}

/// Returns the text that is signed.
fn text(origin: &str, first: u64, root: &str, bundle: &[u8]) -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(bundle));
    format!("{KIND}\n{origin}\n{first}\n{root}\n{hash}\n")
}

/// Splits the bytes after the note, which ends with its one signature.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = &bytes[..bytes.len().min(MAX_NOTE)];
    let signature = head.windows(2).position(|two| two == b"\n\n")? + 2;
    let end = head[signature..].iter().position(|&b| b == b'\n')?;
    bytes.split_at_checked(signature + end + 1)
}

#[cfg(test)]
mod tests;
