//! `isn fetch`: brings a version into the cache, so that a later pull needs no network.

use crate::client::Client;
use crate::files;
use crate::progress::Progress;
use crate::registry::Snapshot;
use crate::registry::ahead::Needs;
use crate::steps::images::{self, Carrier};
use crate::steps::selection::check_selection;
use crate::transport;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Result, bytes as size, chain};
use isn_format::index::Images;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::tree::Selection;

/// The outcome of a fetch.
pub struct FetchReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The identity of the registry.
    pub registry: String,
    /// The number of its images that are in the cache now.
    pub images: u64,
    /// The sum of their file lengths, in bytes.
    pub bytes: u64,
    /// The bytes received over the network, including the files that describe the version.
    pub fetched_bytes: u64,
}

/// Brings a version, or a part of it, into the cache. Files that the cache has already are checked.
///
/// # Errors
/// [`Error::Invalid`] if there is no cache; [`Error::NotKept`] if the cache is full or cannot be written to;
/// [`Error::NotFound`] if the version does not exist or the selection is empty; [`Error::Network`],
/// [`Error::Trust`] or [`Error::Integrity`] if the registry does not answer, is not trusted or serves wrong
/// bytes.
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
    let (registry, mut snapshot) = runtime.block_on(client.part(reference, Needs::IMAGES, selection))?;
    check_selection(&snapshot, selection)?;
    // Images from a folder or from the binary are cached too, since the user asked for it: the folder may be
    // on a removable disk.
    let registry = registry.with_cache(Some(cache.clone()));
    let includes = selection.filter();
    let rows = snapshot.index().rows().filter(|row| includes(row.path().as_str()));
    let wanted = Images::of(snapshot.index(), rows.clone());
    let is_whole = selection.is_all();
    let (images, bytes) = (rows.clone().count() as u64, rows.map(|row| row.length()).sum());
    let mut packs = runtime.block_on(registry.packs(&snapshot, &wanted))?;
    // Reads them again now that there is a cache, so that they are kept in it.
    for (kind, object) in described(&snapshot) {
        runtime.block_on(registry.object(kind, &object))?;
    }
    runtime.block_on(registry.read_again(&snapshot, &packs))?;
    registry.keep_pin(&snapshot).map_err(|e| cache.unwritable(&chain(&e)))?;
    let check_room = |needed| match files::free_space(cache.root()) {
        Some((_, free)) if needed > free => {
            Err(cache.not_kept(format!("has {} free, but {} are needed", size(free), size(needed))))
        }
        _ => Ok(()),
    };
    // All images come by one list of packs, because a later pull finds them by one list.
    images::by_any_list(&runtime, &registry, (&snapshot, &wanted), &mut packs, |packs| {
        let carrier = Carrier { runtime: &runtime, registry: &registry, packs, jobs };
        let lacking = carrier.bring_into(cache, &snapshot, &wanted, progress, check_room)?;
        registry.keep_packs(packs, is_whole);
        match lacking.len() {
            0 => registry.lacking_in(cache, &snapshot, packs).map_or(Ok(()), |path| {
                let is_taken = path.symlink_metadata().is_ok_and(|there| !there.is_file());
                let found = if is_taken { "is not a file: move it away" } else { "is not there" };
                let what = path.display();
                Err(cache.not_kept(format!(
                    "has all images, but not the files that describe the version: {what} {found}"
                )))
            }),
            images => Err(cache.not_kept(format!("did not keep {images} of {} images", wanted.len()))),
        }
    })?;
    snapshot.head.warnings.extend(registry.complaints());
    let fetched_bytes = registry.fetched_bytes();
    Ok(FetchReport { registry: registry.name().into(), snapshot, images, bytes, fetched_bytes })
}

/// The objects that describe a version.
fn described(snapshot: &Snapshot) -> [(ObjectKind, ObjectRef); 3] {
    let objects = &snapshot.head.manifest.objects;
    [
        (ObjectKind::Manifest, snapshot.head.manifest_ref),
        (ObjectKind::Index, objects.index),
        (ObjectKind::Classes, objects.classes),
    ]
}
