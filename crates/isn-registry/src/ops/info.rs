//! `isn info`: describes a version without its images.

use crate::client::Client;
use crate::registry::Snapshot;
use crate::transport;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::Result;

/// A version and where it was found.
pub struct InfoReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The identity of the registry.
    pub registry: String,
    /// Whether it was published without images.
    pub rebuild_only: bool,
}

/// Describes the version that `reference` names.
///
/// # Errors
/// `Error::NotFound` if no registry has the version; `Error::Network`, `Error::Trust` or
/// `Error::Integrity` if a registry does not answer, is not trusted or serves wrong bytes.
pub fn info(client: &Client, reference: &DatasetRef) -> Result<InfoReport> {
    let runtime = transport::runtime()?;
    let (registry, snapshot) = runtime.block_on(client.snapshot(reference))?;
    let rebuild_only = runtime.block_on(registry.is_rebuild_only(&snapshot.head.manifest_ref.blake3))?;
    Ok(InfoReport { snapshot, registry: registry.name().into(), rebuild_only })
}
