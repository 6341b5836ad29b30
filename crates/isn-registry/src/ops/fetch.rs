//! `isn fetch`: a version into the cache and nowhere else, so that a later pull needs no network.

use crate::client::Client;
use crate::progress::{Progress, Unit};
use crate::registry::Snapshot;
use crate::steps::images::{self, Carrier, Wanted};
use crate::steps::selection::check_selection;
use crate::transport;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Result};
use isn_format::tree::Selection;

/// What a fetch did.
pub struct FetchReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The identity of the registry.
    pub registry: String,
    /// How many images of it are in the cache now.
    pub images: u64,
    /// The sum of their lengths when they are files, in bytes.
    pub bytes: u64,
    /// What came over the wire, descriptions included.
    pub fetched_bytes: u64,
}

/// Brings a version, or a part of it, into the cache; what is there already is checked.
pub fn fetch(
    client: &Client,
    reference: &DatasetRef,
    selection: &Selection,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<FetchReport> {
    let cache = client.cache.as_ref().ok_or_else(|| {
        Error::invalid("the cache", "is not to be used: a fetch has nowhere to put what it brings")
    })?;
    let runtime = transport::runtime()?;
    let (registry, mut snapshot) = runtime.block_on(client.snapshot(reference))?;
    check_selection(&snapshot, selection)?;
    // A folder or the binary too, since it was asked for: the folder may be on a disk that goes away.
    let registry = registry.with_cache(Some(cache.clone()));
    let includes = selection.filter();
    let rows = snapshot.index().rows().iter().filter(|row| includes(row.path.as_str()));
    let wanted: Wanted = rows.clone().map(|row| (row.blake3, row.length)).collect();
    let is_whole = selection.is_all();
    let (images, bytes) = (rows.clone().count() as u64, rows.map(|row| row.length).sum());
    let packs = runtime.block_on(registry.packs(&snapshot))?;
    // Once more, now that there is a cache: what was read before is kept.
    runtime.block_on(registry.describe(snapshot.head.manifest_ref, Vec::new()))?;
    registry.keep_pin(&snapshot);
    // All by one list: what is found later is found by one.
    images::by_any_list(&runtime, &registry, &packs, |packs| {
        let segments = images::plan(&runtime, &registry, &snapshot, packs, &wanted)?;
        progress.begin("fetch", Unit::Images, wanted.len() as u64);
        let carrier = Carrier { runtime: &runtime, registry: &registry, packs, jobs };
        let outcome = carrier.bring(segments, &wanted, &|_, _| {
            progress.advance(1);
            Ok(())
        });
        progress.end();
        outcome.map(|()| registry.keep_packs(packs, is_whole))
    })?;
    snapshot.head.warnings.extend(registry.complaints());
    let fetched_bytes = registry.fetched_bytes();
    Ok(FetchReport { registry: registry.name().into(), snapshot, images, bytes, fetched_bytes })
}
