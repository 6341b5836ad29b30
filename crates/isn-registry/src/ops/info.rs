//! `isn info`: describes a version without its images.

use crate::client::Client;
use crate::registry::{Outcome, Snapshot};
use crate::transport;
use isn_format::dataset_ref::{DatasetRef, VersionId};
use isn_format::error::Result;

/// A version and where it was found.
pub struct InfoReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The identity of the registry.
    pub registry: String,
    /// Whether it was published without images.
    pub rebuild_only: bool,
    /// What keys state to have built of it.
    pub outcomes: Vec<Outcome>,
}

/// Describes the version that `reference` names.
///
/// # Errors
/// `Error::NotFound` if no registry has the version; `Error::Network`, `Error::Trust` or
/// `Error::Integrity` if a registry does not answer, is not trusted or serves wrong bytes.
pub fn info(client: &Client, reference: &DatasetRef) -> Result<InfoReport> {
    let runtime = transport::runtime()?;
    let (registry, snapshot, outcomes) = runtime.block_on(client.snapshot_and_outcomes(reference))?;
    let rebuild_only = runtime.block_on(registry.is_rebuild_only(&snapshot.head.manifest_ref.blake3))?;
    Ok(InfoReport { snapshot, registry: registry.name().into(), rebuild_only, outcomes })
}

/// Returns what keys state to have built of a version that nobody has released, by registry.
///
/// # Errors
/// [`Error::Io`](isn_format::error::Error::Io) if the network cannot be prepared.
pub fn stated(client: &Client, id: &VersionId) -> Result<Vec<(String, Vec<Outcome>)>> {
    Ok(transport::runtime()?.block_on(client.outcomes(id)))
}
