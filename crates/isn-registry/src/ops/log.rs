//! `isn log` and `isn prove`: a registry's log to look at, to audit, to watch, and one entry of it to take along.

use std::path::PathBuf;

use crate::client::{self, Client};
use crate::known_logs::KnownLogs;
use crate::registry::Registry;
use crate::registry::append::OwnLog;
use crate::registry::log::LogView;
use crate::registry::publish::RegistryWriter;
use crate::registry::store::Store;
use crate::transport;
use crate::trust::Known;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Result};
use isn_format::log::{Accepted, LogKey, Proof, Rejected, SignedCheckpoint};
use isn_format::release::{Release, Standing};

/// An entry, with its effect or the reason why it has none.
pub type Entry = Result<Accepted, Rejected>;

/// A log, replayed from its first entry.
pub struct LogReport {
    /// The registry.
    pub registry: String,
    /// The key that the user knows it by.
    pub anchor: LogKey,
    /// Whether that is only what the registry says itself.
    pub is_claimed: bool,
    /// The key that signs checkpoints now.
    pub key: LogKey,
    /// How many entries.
    pub size: u64,
    /// The root, as a checkpoint writes it.
    pub root: String,
    /// Every entry.
    pub entries: Vec<Entry>,
    /// That the registry is a mirror that is behind.
    pub behind: Option<String>,
}

/// Reads a whole log from the first of the registries, replays it from its first entry, and checks every tile. What was
/// seen of the log before counts too. Without a trusted log key, the key that the registry claims is taken, and said.
pub fn audit(client: &Client) -> Result<LogReport> {
    let registry = client.open(first(client)?)?;
    transport::runtime()?.block_on(async {
        let belief = client.belief(&registry).await?;
        let is_claimed = belief.log.is_none();
        let (anchor, view) = client.claimed_view(&registry, &belief).await?;
        let signed = SignedCheckpoint::parse("the checkpoint", view.note.clone())?;
        let entries = match &view.behind {
            None => registry.audit_log(&anchor, &signed).await?,
            // The mirror cannot show what it does not have.
            Some(_) => Vec::new(),
        };
        report(&registry, anchor, is_claimed, &view, entries)
    })
}

/// Removes from the registry in `store` the claims that no writer may finish, and says where they were. Where there is no
/// lock, the caller must know that nobody else writes: `is_alone`.
pub fn unclaim(store: Box<dyn Store>, is_alone: bool, known: Known<'_>) -> Result<Vec<String>> {
    let writer = RegistryWriter::open_existing(store, known)?;
    if !writer.is_locked() && !is_alone {
        let why = "is needed: this registry has no lock, and an isn that is still at work on what is removed would sign \
                   another log than yours. Say so when nobody else writes to it";
        return Err(Error::invalid("--alone", why));
    }
    OwnLog::open(&writer, known)?.unclaim()
}

/// What is new in a log since this machine last looked.
pub fn news(client: &Client) -> Result<LogReport> {
    let registry = client.open(first(client)?)?;
    transport::runtime()?.block_on(async {
        let belief = client.belief(&registry).await?;
        let log = belief.log.clone().ok_or_else(|| no_log(&registry))?;
        let known = client.logs.log(&log);
        let (view, entries) =
            registry.log_news(&log, &known, &belief.policy).await?.ok_or_else(|| no_log(&registry))?;
        report(&registry, log, false, &view, entries)
    })
}

fn report(
    registry: &Registry,
    anchor: LogKey,
    is_claimed: bool,
    view: &LogView,
    entries: Vec<Entry>,
) -> Result<LogReport> {
    let replica = &view.replica;
    Ok(LogReport {
        registry: registry.name().into(),
        anchor,
        is_claimed,
        key: replica.history().key(),
        size: replica.size(),
        root: replica.tree().root()?.to_string(),
        entries,
        behind: view.behind.clone(),
    })
}

/// Evidence of forks that this machine has seen.
pub fn evidence(logs: &KnownLogs) -> Result<Vec<(LogKey, PathBuf)>> {
    logs.evidence()
}

/// A release with the proof that it stands in the log.
pub struct ProveReport {
    /// The release.
    pub release: Release,
    /// The contents of a proof file.
    pub proof: Vec<u8>,
}

/// Proves that the release of a version is in the log: the one that the user trusts, or else the one that the registry
/// claims to be, since a proof is checked by who has the log's key.
pub fn prove(client: &Client, reference: &DatasetRef) -> Result<ProveReport> {
    let registry = client.open(first(client)?)?;
    transport::runtime()?.block_on(async {
        let belief = client.belief(&registry).await?;
        let (_, view) = client.claimed_view(&registry, &belief).await?;
        let (release, _) = client::in_log(&registry, &view, reference, &belief.keys).await?;
        let Standing::Logged(position) = release.standing() else {
            return Err(Error::Internal("a release in a log that is not logged".into()));
        };
        let entry = registry.log_entry(position.index, &view).await?;
        let checkpoint = SignedCheckpoint::parse("the checkpoint", view.note.clone())?
            .verify(&view.replica.history().key())?;
        let hashes = view.replica.tree().prove_leaf(position.index)?;
        let proof = Proof::new(entry, position.index, hashes, &checkpoint)?;
        Ok(ProveReport { proof: proof.to_bytes(), release })
    })
}

fn first(client: &Client) -> Result<&str> {
    client.locations.first().map(String::as_str).ok_or_else(|| Error::invalid("registry", "none was named"))
}

fn no_log(registry: &Registry) -> Error {
    let why = "has no log that you trust: `isn trust add REGISTRY VKEY` trusts one";
    Error::trust(format!("registry {}", registry.name()), why)
}

#[cfg(test)]
#[cfg(feature = "cloud")]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::registry::store::BucketStore;
    use crate::transport::bucket::Bucket;

    #[test]
    fn claims_in_a_bucket_are_removed_only_where_nobody_else_writes() {
        let (dir, bucket) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
        let logs = KnownLogs::new(dir.path());
        let store = || Box::new(BucketStore::new(Bucket::over("memory://bucket", bucket.clone())).unwrap());
        RegistryWriter::init(store().as_ref(), "for tests", || logs.new_signer(None)).unwrap();
        store().replace("log/.isn-claims/0", b"planted").unwrap();
        let refused = unclaim(store(), false, Known::trusting_nobody(&logs)).unwrap_err().to_string();
        assert!(refused.contains("--alone: is needed"), "{refused}");
        assert!(store().length("log/.isn-claims/0").unwrap().is_some());
        assert_eq!(unclaim(store(), true, Known::trusting_nobody(&logs)).unwrap().len(), 1);
    }
}
