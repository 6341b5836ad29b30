//! [`Proof`]: a file that proves that a log has an entry, and is checked offline with the log's key alone.
//! The format is C2SP's [tlog-proof](https://c2sp.org/tlog-proof), with the entry itself in `extra`.
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <the entry, base64>
//! index <number>
//! <hashes of the inclusion proof, base64, one a line>
//!
//! <the checkpoint, a signed note>
//! ```

use base64::prelude::*;

use super::LogKey;
use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::tree::{Hash, leaf_hash};
use crate::error::{Error, Result};
use crate::statement::{Attested, SignedStatement};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The maximum length of a proof that is read, in bytes: the longest statement in base64, a checkpoint, 64
/// hashes.
pub const MAX_LEN: u64 = 256 << 10;
/// The maximum number of levels of a tree.
const MAX_HASHES: usize = 63;

/// One entry, with its position and the tree that has it there. Not verified yet.
///
/// Checking, offline, that a log has the release of a version:
///
/// ```
/// use isn_format::log::{LogKey, Proof};
/// use isn_format::statement::Statement;
///
/// # let folder = "../../tests/vectors/log";
/// // The log's key, from wherever the user trusts it.
/// let key: LogKey = std::fs::read_to_string(format!("{folder}/vkey-now"))?.trim_end().parse()?;
/// let proof = Proof::parse("the proof", &std::fs::read(format!("{folder}/proof"))?)?;
/// let (attested, index, checkpoint) = proof.verify(&key)?;
/// assert_eq!((index, checkpoint.size), (2, 9));
/// let Statement::Release(release) = attested.statement else { panic!() };
/// assert_eq!(release.id.to_string(), "imagebirds@1.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Proof {
    what: String,
    entry: Vec<u8>,
    index: u64,
    hashes: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl Proof {
    /// Creates the proof that `entry` has the number `index` in the tree that `checkpoint` signs.
    ///
    /// # Errors
    /// [`Error::Trust`] if the note of `checkpoint` is not a signed checkpoint.
    pub fn new(entry: Vec<u8>, index: u64, hashes: Vec<Hash>, checkpoint: &Checkpoint) -> Result<Self> {
        let checkpoint = SignedCheckpoint::parse("the proof's checkpoint", checkpoint.note.clone())?;
        Ok(Proof { what: "the proof".into(), entry, index, hashes, checkpoint })
    }

    /// Returns the bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let extra = BASE64_STANDARD.encode(&self.entry);
        let hashes: String = self.hashes.iter().map(|hash| format!("{hash}\n")).collect();
        let head = format!("{HEADER}\nextra {extra}\nindex {}\n{hashes}\n", self.index);
        [head.as_bytes(), self.checkpoint.bytes()].concat()
    }

    /// Reads a proof; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it does not begin as a proof does; [`Error::Integrity`] if it is not in the
    /// exact form that the module describes; [`Error::Trust`] if its checkpoint is not one.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let refuse = |why: &str| Error::integrity(what, why);
        if bytes.len() as u64 > MAX_LEN {
            return Err(refuse("is too long for a proof"));
        }
        if !bytes.starts_with(HEADER.as_bytes()) {
            let why = format!("is not a proof: it does not begin with '{HEADER}' (`isn prove` makes one)");
            return Err(Error::invalid(what, why));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| refuse("is not text"))?;
        let (head, note) = text.split_once("\n\n").ok_or_else(|| refuse("has no blank line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(refuse(&format!("does not begin with the line '{HEADER}'")));
        }
        let mut field = |word: &str| lines.next().and_then(|line| line.strip_prefix(word));
        let extra =
            field("extra ").ok_or_else(|| refuse("has no line 'extra', which holds the statement"))?;
        let entry = BASE64_STANDARD.decode(extra).map_err(|_| refuse("line 2 is not base64"))?;
        let index = field("index ").and_then(|n| n.parse().ok().filter(|k: &u64| k.to_string() == n));
        let index = index.ok_or_else(|| refuse("line 3 must be 'index' and a number"))?;
        let hashes = lines.map(|line| Hash::parse_hash(line).ok()).collect::<Option<Vec<_>>>();
        let hashes = hashes.filter(|hashes| hashes.len() <= MAX_HASHES);
        let hashes = hashes.ok_or_else(|| refuse("has a line that is not a hash in base64"))?;
        let checkpoint = SignedCheckpoint::parse(what, note.as_bytes().to_vec())?;
        let proof = Proof { what: what.into(), entry, index, hashes, checkpoint };
        if proof.to_bytes() == bytes { Ok(proof) } else { Err(refuse("is not spelled as it must be")) }
    }

    /// Returns the name of the log that it claims to be from.
    pub fn claimed_origin(&self) -> &str {
        self.checkpoint.claimed_origin()
    }

    /// Returns the number of entries that it claims for the log.
    pub fn claimed_size(&self) -> u64 {
        self.checkpoint.claimed_size()
    }

    /// Checks the checkpoint, the inclusion and the statement's signatures. Returns the statement, the number
    /// of its entry and the checkpoint. This does not prove that the entry has an effect, which depends on
    /// the log's other entries.
    ///
    /// # Errors
    /// [`Error::Trust`] if the checkpoint is not signed by `key`, the entry is not in its tree, or a
    /// signature of the statement is not valid; [`Error::Integrity`] if the entry is not a signed statement.
    pub fn verify(&self, key: &LogKey) -> Result<(Attested, u64, Checkpoint)> {
        let checkpoint = self.checkpoint.verify(key)?;
        if self.index >= checkpoint.size {
            let why = format!("is about entry {} of a log of {}", self.index, checkpoint.size);
            return Err(Error::trust(&self.what, why));
        }
        let leaf = leaf_hash(&self.entry);
        tlog_tiles::check_record(&self.hashes, checkpoint.size, checkpoint.root, self.index, leaf).map_err(
            |_| Error::trust(&self.what, "does not lead from its statement to the checkpoint's root"),
        )?;
        let attested = SignedStatement::parse(&self.what, self.entry.clone())?.attested()?;
        Ok((attested, self.index, checkpoint))
    }
}

#[cfg(test)]
mod tests;
