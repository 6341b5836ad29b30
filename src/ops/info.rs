//! `isn info`: what a version is, without its images.

use super::Registries;
use crate::dataset_ref::DatasetRef;
use crate::error::Result;
use crate::registry::Snapshot;
use crate::transport;

/// A version and where it was found.
pub struct InfoReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The identity of the registry.
    pub registry: String,
}

/// Describes the version that `reference` means.
pub fn info(registries: &Registries<'_>, reference: &DatasetRef) -> Result<InfoReport> {
    let (registry, snapshot) = transport::runtime()?.block_on(registries.snapshot(reference))?;
    Ok(InfoReport { snapshot, registry: registry.name().into() })
}
