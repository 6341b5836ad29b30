//! `isn verify --proof`: verifies a release, its place in a log and the log's signature from one file and a
//! key, offline.

use std::path::Path;

use super::{Assurance, VerifyReport, tree};
use crate::client::Client;
use crate::files;
use crate::progress::Progress;
use crate::registry::BUNDLED;
use crate::transport;
use isn_format::error::{Error, Result};
use isn_format::key::PublicKey;
use isn_format::log::{LogKey, Proof, proof};
use isn_format::release::LogPosition;
use isn_format::statement::{ReleaseStatement, Statement};

/// What a proof shows.
pub struct ProofReport {
    /// The release.
    pub release: ReleaseStatement,
    /// The keys that signed it. Only the whole log tells whether they owned the name.
    pub signers: Vec<PublicKey>,
    /// Its place in the log.
    pub position: LogPosition,
    /// The log's key, which vouches for that.
    pub log_key: LogKey,
    /// The report on the tree that was compared with it, if one was given.
    pub tree: Option<VerifyReport>,
}

/// Verifies the proof in `file` with `log_key`, or with the key that the user trusts for that log. Also
/// verifies the tree at `path` against it, if one is given.
///
/// # Errors
/// [`Error::Trust`] if the proof does not hold or no key is trusted for its log; [`Error::Integrity`] or
/// [`Error::Invalid`] if the file is not the proof of a release; [`Error::Io`] if it or the tree cannot be
/// read.
pub fn verify_proof(
    client: &Client,
    file: &Path,
    log_key: Option<&LogKey>,
    path: Option<&Path>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<ProofReport> {
    let read = Proof::parse(&file.display().to_string(), &files::read_input(file, proof::MAX_LEN)?)?;
    let log_key = match log_key {
        Some(key) => key.clone(),
        None => known_key(client, &read)?,
    };
    let (attested, index, checkpoint) = read.verify(&log_key)?;
    let Statement::Release(release) = attested.statement else {
        let why = format!("proves {}, not a release", attested.statement.title());
        return Err(Error::invalid(file.display(), why));
    };
    let expected = (release.dataset, Assurance::Signed);
    let tree = path.map(|path| tree::verify(path, Some(expected), jobs, progress)).transpose()?;
    let position = LogPosition { origin: checkpoint.origin, index, size: checkpoint.size };
    Ok(ProofReport { release, signers: attested.signers, position, log_key, tree })
}

/// Returns the key that the user knows the proof's log by, after all changes of key that this machine has
/// seen.
fn known_key(client: &Client, proof: &Proof) -> Result<LogKey> {
    let origin = proof.claimed_origin();
    let mut trusted = client.trust.list().filter_map(|(_, trusted)| trusted.believed_log().cloned());
    if let Some(anchor) = trusted.find(|log| log.origin() == origin) {
        return Ok(client.logs.log(&anchor).keys()?.key_at(proof.claimed_size()));
    }
    let bundled = transport::runtime()?.block_on(client.open(BUNDLED)?.about())?.log_key;
    let log = format!("log {origin}");
    bundled.filter(|log| log.origin() == origin).ok_or(Error::UnknownLog { log })
}
