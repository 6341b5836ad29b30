//! What keys state to have built of a version: the file of the version, beside the attestation log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::publish::RegistryWriter;
use super::{MAX_BUILT, Registry, layout};
use isn_format::dataset_ref::VersionId;
use isn_format::digest::Digest;
#[cfg(doc)]
use isn_format::error::Error;
use isn_format::error::{Result, chain};
use isn_format::key::PublicKey;
use isn_format::log::bundle;
use isn_format::statement::{Rebuilt, SignedStatement, Statement};

/// No statement of a rebuild is longer, in bytes, so a file that has less room than this may lack some.
const MAX_ENTRY: u64 = 1024;
/// How long to wait for the file of a version, which nothing depends on.
const PATIENCE: Duration = Duration::from_secs(5);

/// What keys state to have built of a version from the same inputs, with the same result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The dataset hash.
    pub dataset: Digest,
    /// The digest of recipe and ledger.
    pub inputs: Digest,
    /// The keys that state it.
    pub keys: BTreeSet<PublicKey>,
}

/// Returns what keys state, each with a dataset hash and a digest of inputs; what most state comes first.
pub fn outcomes(stated: impl IntoIterator<Item = (PublicKey, Digest, Digest)>) -> Vec<Outcome> {
    let mut by_result: BTreeMap<(Digest, Digest), BTreeSet<PublicKey>> = BTreeMap::new();
    for (key, dataset, inputs) in stated {
        by_result.entry((dataset, inputs)).or_default().insert(key);
    }
    let outcome = |((dataset, inputs), keys)| Outcome { dataset, inputs, keys };
    let mut outcomes: Vec<Outcome> = by_result.into_iter().map(outcome).collect();
    outcomes.sort_by_key(|outcome| std::cmp::Reverse(outcome.keys.len()));
    outcomes
}

impl Registry {
    /// Whether its `registry.json` was read, and says that it has an attestation log.
    pub fn attests(&self) -> bool {
        self.attests.load(Ordering::Relaxed)
    }

    /// Returns what keys state to have built of a version, if the registry says so at once. Nothing depends
    /// on it, so what cannot be read is passed over.
    pub async fn outcomes(&self, id: &VersionId) -> Vec<Outcome> {
        match tokio::time::timeout(PATIENCE, self.built(id)).await {
            Ok(Ok(built)) => {
                outcomes(built.into_iter().map(|(key, built)| (key, built.dataset, built.inputs)))
            }
            Ok(Err(e)) => {
                tracing::info!("{} is not read: {}", self.place(&layout::built(id)), chain(&e));
                Vec::new()
            }
            Err(_) => {
                tracing::info!("{} is not waited for", self.place(&layout::built(id)));
                Vec::new()
            }
        }
    }

    /// Returns what keys state to have built of a version, in one small request: a hint in that it may leave
    /// statements out; each that it has is signed. What is no such statement is passed over.
    ///
    /// # Errors
    /// Fails if the file is there and cannot be read, or is too long.
    pub async fn built(&self, id: &VersionId) -> Result<BTreeMap<PublicKey, Rebuilt>> {
        let bytes = self.read(&layout::built(id), MAX_BUILT).await?.unwrap_or_default();
        if bytes.len() as u64 + MAX_ENTRY > MAX_BUILT {
            self.complain(format!(
                "{} is full, so keys may be missing from what is counted here: `isn list` counts the whole \
                 attestation log",
                self.place(&layout::built(id))
            ));
        }
        let mut built = BTreeMap::new();
        for entry in bundle::read_all(&bytes).unwrap_or_default() {
            let attested = SignedStatement::parse("it", entry.to_vec()).and_then(|signed| signed.attested());
            if let Ok(attested) = attested
                && let (Statement::Rebuilt(rebuilt), [signer]) = (attested.statement, &attested.signers[..])
                && rebuilt.id == *id
            {
                built.entry(*signer).or_insert(rebuilt);
            }
        }
        Ok(built)
    }
}

impl RegistryWriter {
    /// Checks that nothing is in the way of the file of a version.
    ///
    /// # Errors
    /// [`Error::Foreign`] if something else than a file is in its place; also fails if that cannot be read.
    pub(crate) fn check_built(&self, id: &VersionId) -> Result<()> {
        self.store().length(&layout::built(id)).map(drop)
    }

    /// Adds an entry of the attestation log to the file of its version, unless it is there or the file is
    /// full.
    ///
    /// # Errors
    /// Fails if the file cannot be read or written.
    pub(crate) fn list_built(&self, id: &VersionId, entry: &[u8]) -> Result<()> {
        self.store().update(&layout::built(id), &mut |there| {
            let there = there.unwrap_or_default();
            // What is no list of entries was damaged, and is begun again.
            let entries = bundle::read_all(there).unwrap_or_default();
            if entries.contains(&entry) {
                return Ok(None);
            }
            let mut listed = Vec::new();
            entries.iter().try_for_each(|entry| bundle::push(&mut listed, entry))?;
            Ok(push_built(&mut listed, entry)?.then_some(listed))
        })
    }
}

/// Adds an entry to the file of a version; returns `false` if the file is full.
///
/// # Errors
/// As [`bundle::push`].
pub(crate) fn push_built(listed: &mut Vec<u8>, entry: &[u8]) -> Result<bool> {
    let before = listed.len();
    bundle::push(listed, entry)?;
    let fits = listed.len() as u64 <= MAX_BUILT;
    if !fits {
        listed.truncate(before);
    }
    Ok(fits)
}
