//! `isn log` and `isn prove`: shows, audits and watches a registry's log, and writes a proof of one entry.

use std::path::PathBuf;

use crate::client::{self, Client};
use crate::known_logs::KnownLogs;
use crate::registry::append::OwnLog;
use crate::registry::log::LogView;
use crate::registry::publish::RegistryWriter;
use crate::registry::store::Store;
use crate::registry::{Registry, layout};
use crate::transport;
use crate::trust::Known;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Missing, Result};
use isn_format::log::{Accepted, Hash, LogKey, Proof, Rejected, Replica, SignedCheckpoint};
use isn_format::release::{Release, Standing};

/// An entry, or the reason why it has no effect.
pub type Entry = Result<Accepted, Rejected>;

/// What is made of the entries of a log as they are read: a long log's entries are not held in memory.
pub trait Entries {
    /// Adds the next entry.
    fn push(&mut self, entry: Entry);
    /// Forgets all entries: they are read again.
    fn clear(&mut self);
}

/// The entries themselves.
impl Entries for Vec<Entry> {
    fn push(&mut self, entry: Entry) {
        self.push(entry);
    }

    fn clear(&mut self) {
        self.clear();
    }
}

/// A log, replayed from its first entry.
pub struct LogReport {
    /// The registry.
    pub registry: String,
    /// The key by which the user knows the log.
    pub anchor: LogKey,
    /// Whether that key is only what the registry claims.
    pub is_claimed: bool,
    /// The key that signs checkpoints now.
    pub key: LogKey,
    /// The number of entries.
    pub size: u64,
    /// The root hash, as a checkpoint writes it.
    pub root: String,
    /// Those without effect. If the registry is behind, the newest that this machine remembers.
    pub rejected: Vec<Rejected>,
    /// A message that the registry is a mirror and behind its log.
    pub behind: Option<String>,
}

/// Reads the whole log of the first registry, replays it from its first entry, checks every tile, and checks
/// it against what this machine remembers of the log. Without a trusted log key it takes the key that the
/// registry claims, and the report says so. With `attestations`, it is the registry's attestation log.
/// `entries` gets every entry, unless the registry is behind.
///
/// # Errors
/// [`Error::Trust`] if the log is inconsistent or not the one remembered; [`Error::NotFound`] if the registry
/// has no such log; [`Error::Network`] if it does not answer; [`Error::Invalid`] if no registry is named.
pub fn audit(client: &Client, attestations: bool, entries: &mut dyn Entries) -> Result<LogReport> {
    let registry = client.open(first(client)?)?;
    transport::runtime()?.block_on(async {
        let belief = client.belief(&registry).await?;
        let is_claimed = belief.log.is_none();
        let mut audit = Audit { entries, rejected: Vec::new(), of: None };
        // One replay is enough: if it succeeds, it is compared with what this machine remembers.
        let whole = match belief.claimed_log() {
            Some(anchor) if !attestations && !client.access.offline => {
                audit.read_early(&registry, anchor).await
            }
            _ => None,
        };
        let (anchor, view) = client.audited_view(&registry, &belief, whole).await?;
        let (anchor, view) = match attestations {
            false => (anchor, view),
            true => {
                let view =
                    client.attestations(&registry, view.replica.history()).await?.ok_or_else(|| {
                        let what = format!("registry {}", registry.name());
                        Error::not_found(Missing::AttestationLog, "attestation log", what)
                    })?;
                (view.replica.history().anchor().clone(), view)
            }
        };
        let signed = SignedCheckpoint::parse("the checkpoint", view.note.clone())?;
        match &view.behind {
            None if audit.of.as_ref() == Some(&(signed.claimed_size(), signed.claimed_root())) => {}
            None => drop(audit.read(&registry, &anchor, &signed).await?),
            // A mirror that is behind cannot show the entries that it lacks.
            Some(_) => audit.forget(),
        }
        report(&registry, anchor, is_claimed, &view, audit.rejected)
    })
}

/// The entries of a log that is audited.
struct Audit<'a> {
    entries: &'a mut dyn Entries,
    /// Those without effect.
    rejected: Vec<Rejected>,
    /// The tree that they are all of, if they were read.
    of: Option<(u64, Hash)>,
}

impl Audit<'_> {
    fn forget(&mut self) {
        self.entries.clear();
        self.rejected.clear();
        self.of = None;
    }

    async fn read(
        &mut self,
        registry: &Registry,
        anchor: &LogKey,
        signed: &SignedCheckpoint,
    ) -> Result<Replica> {
        self.forget();
        let read = registry.audit_log(anchor, signed, |_, entry| {
            self.rejected.extend(entry.as_ref().err().cloned());
            self.entries.push(entry);
        });
        let whole = read.await?;
        self.of = Some((signed.claimed_size(), signed.claimed_root()));
        Ok(whole)
    }

    /// Reads the log before it is known whether it is the one that this machine remembers. Whatever fails is
    /// found again by who compares the two.
    async fn read_early(&mut self, registry: &Registry, anchor: &LogKey) -> Option<Replica> {
        let signed = registry.signed_checkpoint(layout::Log::of(anchor)).await.ok()??;
        self.read(registry, anchor, &signed).await.ok()
    }
}

/// The log claims that were removed.
pub struct UnclaimReport {
    /// Where they were.
    pub removed: Vec<String>,
    /// Why those of the attestation log could not be looked at, if some of the first log were removed.
    pub attestations: Option<Error>,
}

/// Removes the log claims that no writer may finish from the registry in `store`. Without a file lock, the
/// caller must know that nobody else is writing, and set `is_alone`.
///
/// # Errors
/// [`Error::Invalid`] if there is no file lock and `is_alone` is not set; [`Error::Io`], [`Error::Network`]
/// or [`Error::Trust`] if the registry or its log cannot be read.
pub fn unclaim(store: Box<dyn Store>, is_alone: bool, known: Known<'_>) -> Result<UnclaimReport> {
    let writer = RegistryWriter::open_existing(store, known)?;
    if !writer.is_locked() && !is_alone {
        let why = "is needed: this registry has no file lock, and an isn that still works on a removed \
        claim would sign a different log than yours. Give it when nobody else writes to the registry";
        return Err(Error::invalid("--alone", why));
    }
    let log = OwnLog::open(&writer, known)?;
    let mut removed = log.unclaim()?;
    let attested = log.attestations(&writer, known.logs).and_then(|attested| attested.unclaim());
    let attestations = match attested {
        Ok(more) => {
            removed.extend(more);
            None
        }
        Err(e) if removed.is_empty() => return Err(e),
        Err(e) => Some(e),
    };
    Ok(UnclaimReport { removed, attestations })
}

/// Returns what is new in a log since this machine last looked, and the new entries.
///
/// # Errors
/// [`Error::Trust`] if no log of the registry is trusted, or it is not a continuation of the one remembered;
/// [`Error::Network`] if the registry does not answer.
pub fn news(client: &Client) -> Result<(LogReport, Vec<Entry>)> {
    let registry = client.open(first(client)?)?;
    transport::runtime()?.block_on(async {
        let belief = client.belief(&registry).await?;
        let Some(log) = belief.log.clone() else {
            registry.about().await?;
            return Err(no_log(&registry));
        };
        let known = client.logs.log(&log);
        let (view, entries) =
            registry.log_news(&log, &known, &belief.policy).await?.ok_or_else(|| no_log(&registry))?;
        let rejected = entries.iter().filter_map(|entry| entry.clone().err()).collect();
        Ok((report(&registry, log, false, &view, rejected)?, entries))
    })
}

fn report(
    registry: &Registry,
    anchor: LogKey,
    is_claimed: bool,
    view: &LogView,
    found: Vec<Rejected>,
) -> Result<LogReport> {
    let replica = &view.replica;
    let rejected = match &view.behind {
        None => found,
        Some(_) => replica.history().rejected().to_vec(),
    };
    Ok(LogReport {
        registry: registry.name().into(),
        anchor,
        is_claimed,
        key: replica.history().key(),
        size: replica.size(),
        root: replica.tree().root()?.to_string(),
        rejected,
        behind: view.behind.clone(),
    })
}

/// Returns the evidence of forks that this machine has seen.
///
/// # Errors
/// [`Error::Io`] if the folder of known logs cannot be read.
pub fn evidence(logs: &KnownLogs) -> Result<Vec<(LogKey, PathBuf)>> {
    logs.evidence()
}

/// A release, and the proof that it is in the log.
pub struct ProveReport {
    /// The release.
    pub release: Release,
    /// The contents of a proof file.
    pub proof: Vec<u8>,
}

/// Proves that the release of a version is in the log that the user trusts, or else in the one that the
/// registry claims. An untrusted log will do, because whoever checks the proof has the log's key.
///
/// # Errors
/// [`Error::NotFound`] if the log has no such release; otherwise those of [`audit`].
pub fn prove(client: &Client, reference: &DatasetRef) -> Result<ProveReport> {
    let registry = client.open(first(client)?)?;
    transport::runtime()?.block_on(async {
        let belief = client.belief(&registry).await?;
        let (_, view) = client.claimed_view_of(&registry, &belief, reference.name()).await?;
        let (release, _) = client::in_log(&registry, &view, reference, &belief.keys).await?;
        let Standing::Logged(position) = release.standing() else {
            return Err(Error::Internal("a release in a log that is not logged".into()));
        };
        let checkpoint =
            SignedCheckpoint::parse("the checkpoint", view.note().to_vec())?.verify(&view.history().key())?;
        let (index, log) = (position.index, layout::LOG);
        let entry = registry.entry_with_leaf(log, checkpoint.size, (index, view.leaf(index))).await?;
        let hashes = registry.prove_entry(index, &view).await?;
        let proof = Proof::new(entry, position.index, hashes, &checkpoint)?;
        Ok(ProveReport { proof: proof.to_bytes(), release })
    })
}

fn first(client: &Client) -> Result<&str> {
    client.locations.first().map(String::as_str).ok_or_else(|| Error::invalid("registry", "none was named"))
}

fn no_log(registry: &Registry) -> Error {
    Error::UnknownLog { log: format!("the log of registry {}", registry.name()) }
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
        let refused = unclaim(store(), false, Known::trusting_nobody(&logs)).err().unwrap().to_string();
        assert!(refused.contains("--alone is needed"), "{refused}");
        assert!(store().length("log/.isn-claims/0").unwrap().is_some());
        assert_eq!(unclaim(store(), true, Known::trusting_nobody(&logs)).unwrap().removed.len(), 1);
    }
}
