//! [`SignedCheckpoint`]: a signed note with the size and root of a log, as received. [`Checkpoint`]: one that
//! has a valid signature by the log's key. (C2SP tlog-checkpoint, signed-note, tlog-cosignature.)

use std::collections::BTreeSet;
use std::fmt;

use signed_note::{Note, NoteError, Signature, Verifier as _, VerifierList};

use super::MAX_CHECKPOINT;
use super::key::{LogKey, LogSigner, WitnessKey};
use super::tree::Hash;
use crate::error::{Error, Result};

/// A checkpoint that has not been verified yet.
///
/// ```
/// use isn_format::key::PrivateKey;
/// use isn_format::log::{LogSigner, SignedCheckpoint, Tree, leaf_hash};
///
/// let log = LogSigner::new("example.org/log", PrivateKey::generate("")?)?;
/// let tree = Tree::of([leaf_hash(b"an entry")])?;
/// let note = SignedCheckpoint::sign(&log, tree.size(), tree.root()?)?.bytes().to_vec();
///
/// let checkpoint = SignedCheckpoint::parse("the checkpoint", note)?.verify(log.log_key())?;
/// assert_eq!((checkpoint.size, checkpoint.root), (1, tree.root()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SignedCheckpoint {
    what: String,
    bytes: Vec<u8>,
    note: Note,
    body: tlog_tiles::Checkpoint,
}

/// What a log's key has signed: at this size, the log has this root.
#[derive(Clone, PartialEq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root of the tree of that size.
    pub root: Hash,
    /// The whole note, exactly as received.
    pub note: Vec<u8>,
}

impl SignedCheckpoint {
    /// Reads a checkpoint; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Trust`] if it is not a checkpoint in its exact form, or claims more than
    /// [`LogKey::most_entries`].
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let refuse = |why: &str| Error::trust(what, why);
        if bytes.len() as u64 > MAX_CHECKPOINT {
            return Err(refuse("is too long for a checkpoint"));
        }
        // `Note` accepts DEL and the C1 controls, with which a text could overwrite lines of a terminal.
        let is_plain = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n');
        let note = Note::from_bytes(&bytes).ok().filter(|_| std::str::from_utf8(&bytes).is_ok_and(is_plain));
        let note = note.ok_or_else(|| {
            refuse("is not a signed note: text without control characters, a blank line, signature lines")
        })?;
        let body = tlog_tiles::Checkpoint::from_bytes(note.text())
            .map_err(|_| refuse("is a note, but not a checkpoint (origin, size, root)"))?;
        // The bytes received must equal the bytes that would be written: a note has one spelling.
        if note.to_bytes() != bytes || body.to_bytes() != note.text() {
            return Err(refuse("is not spelled as a signed note must be"));
        }
        super::key::check_name(body.origin()).map_err(|why| refuse(&why))?;
        if body.size() > super::key::most_entries(body.origin()) {
            return Err(refuse(&format!("claims {} entries: too many", body.size())));
        }
        Ok(SignedCheckpoint { what: what.into(), bytes, note, body })
    }

    /// Signs the checkpoint of a tree.
    ///
    /// # Errors
    /// [`Error::Internal`] if the note cannot be made; [`Error::Trust`] if `size` is larger than
    /// [`LogKey::most_entries`].
    pub fn sign(signer: &LogSigner, size: u64, root: Hash) -> Result<Self> {
        let origin = signer.log_key().origin();
        let internal = |e: &dyn fmt::Display| Error::Internal(format!("checkpoint: {e}"));
        let body = tlog_tiles::Checkpoint::new(origin, size, root, "").map_err(|e| internal(&e))?;
        let mut note = Note::new(&body.to_bytes(), &[]).map_err(|e| internal(&e))?;
        note.add_sigs(&[signer]).map_err(|e| internal(&e))?;
        SignedCheckpoint::parse("the checkpoint", note.to_bytes())
    }

    /// Returns the note.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the text that is signed.
    pub fn text(&self) -> &[u8] {
        self.note.text()
    }

    /// Returns the log's name according to the checkpoint.
    pub fn claimed_origin(&self) -> &str {
        self.body.origin()
    }

    /// Returns the size according to the checkpoint.
    pub fn claimed_size(&self) -> u64 {
        self.body.size()
    }

    /// Returns the root according to the checkpoint.
    pub fn claimed_root(&self) -> Hash {
        *self.body.hash()
    }

    /// Checks that the log's key has signed it.
    ///
    /// # Errors
    /// [`Error::Trust`] if it is of another log, or has no valid signature by `key`.
    pub fn verify(&self, key: &LogKey) -> Result<Checkpoint> {
        if self.body.origin() != key.origin() {
            let why = format!("is of log {}, expected {}", self.body.origin(), key.origin());
            return Err(Error::trust(&self.what, why));
        }
        match self.note.verify(&VerifierList::new(vec![Box::new(key.clone())])) {
            Ok(_) => Ok(Checkpoint {
                origin: self.body.origin().into(),
                size: self.body.size(),
                root: *self.body.hash(),
                note: self.bytes.clone(),
            }),
            Err(NoteError::InvalidSignature { .. }) => {
                Err(Error::trust(&self.what, format!("has a signature by {key} that is not valid")))
            }
            Err(_) => {
                let why = format!("is not signed by the log's key, {key}, but by a foreign one");
                Err(Error::trust(&self.what, why))
            }
        }
    }

    /// Returns the witnesses among `witnesses` that have cosigned it, each once, with the time in seconds
    /// since 1970.
    ///
    /// # Errors
    /// [`Error::Trust`] if a line claims to be by one of them and is not valid.
    pub fn cosignatures(&self, witnesses: &[WitnessKey]) -> Result<Vec<(WitnessKey, u64)>> {
        // Each once: a witness that is named twice would be ambiguous.
        let known = witnesses.iter().collect::<BTreeSet<_>>().into_iter();
        let known = known.map(|witness| Box::new(witness.clone()) as Box<dyn signed_note::Verifier>);
        let lines = match self.note.verify(&VerifierList::new(known.collect())) {
            Ok((lines, _)) => lines,
            Err(NoteError::UnverifiedNote) => Vec::new(),
            Err(e) => return Err(Error::trust(&self.what, e)),
        };
        let cosigned = |line: &Signature| {
            let is_by = |witness: &&WitnessKey| {
                signed_note::Verifier::name(*witness) == line.name() && witness.key_id() == line.id()
            };
            witnesses.iter().find(is_by).cloned().zip(WitnessKey::time_of(line.signature()))
        };
        Ok(lines.iter().filter_map(cosigned).collect())
    }
}

impl fmt::Debug for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedCheckpoint({})", self.what)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({}, {}, {})", self.origin, self.size, self.root)
    }
}

#[cfg(test)]
mod tests;
