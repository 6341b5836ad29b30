//! The objects of a version: those that describe it, its packs, and their shards.

use std::collections::HashSet;

use tokio::runtime::Runtime;

use crate::registry::{Registry, Snapshot, layout};
use crate::transport;
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result, about};
use isn_format::index::Images;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::{Allowance, Pack, Stored};
use isn_format::recipe::Recipe;
use isn_format::shard::max_frame_len;

/// Returns every object of a version, each once: those that describe it, and the packs with their shards,
/// which must have all its images. `packs` is `None` for a rebuild-only version.
pub(crate) fn objects_of(
    store: &Registry,
    snapshot: &Snapshot,
    packs: Option<&[Digest]>,
) -> Result<Vec<(ObjectKind, ObjectRef)>> {
    let mut objects = vec![(ObjectKind::Manifest, snapshot.head.manifest_ref)];
    objects.extend(snapshot.head.manifest.objects.all());
    let Some(packs) = packs else { return Ok(objects) };
    let mut shards = HashSet::new();
    for stored in packs_of(store, snapshot, packs)? {
        let new = stored.pack.shards.iter().filter(|shard| shards.insert(**shard));
        objects.extend(new.map(|shard| (ObjectKind::Shard, *shard)));
        objects.extend(stored.objects());
    }
    Ok(objects)
}

/// A pack, and the objects that it is stored in.
pub(crate) struct StoredPack {
    /// The pack, or its directory.
    pub(crate) object: ObjectRef,
    /// The places of its images, if it is in blocks.
    pub(crate) places: Option<ObjectRef>,
    /// What it says.
    pub(crate) pack: Pack,
}

impl StoredPack {
    /// Returns the objects, the one that leads to the other last.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (ObjectKind, ObjectRef)> + use<> {
        let places = self.places.map(|places| (ObjectKind::Places, places));
        places.into_iter().chain([(ObjectKind::Pack, self.object)])
    }
}

/// Reads the recipe of a version: its text, and what that says.
///
/// # Errors
/// [`Error::Integrity`] if it is not what its hash says; [`Error::Mistakes`] if it is of a newer format;
/// [`Error::Network`] if the registry does not answer.
pub(crate) fn recipe_of(
    runtime: &Runtime,
    store: &Registry,
    snapshot: &Snapshot,
) -> Result<(String, Recipe)> {
    let object = &snapshot.head.manifest.objects.recipe;
    let what = store.locate(ObjectKind::Recipe, &object.blake3);
    let text = runtime.block_on(store.object(ObjectKind::Recipe, object))?;
    let text = String::from_utf8(text).map_err(|_| Error::integrity(&what, "is not UTF-8 text"))?;
    let recipe = Recipe::parse(&what, &text)?;
    Ok((text, recipe))
}

/// Reads the packs of a version by their hashes. Together they must have exactly its images, each in a frame
/// that is no longer than the image can need.
pub(crate) fn packs_of(store: &Registry, snapshot: &Snapshot, packs: &[Digest]) -> Result<Vec<StoredPack>> {
    let images = snapshot.head.manifest.images;
    let list = || format!("{}/{}", store.name(), layout::packs(&snapshot.head.manifest_ref.blake3));
    let all = Images::all(snapshot.index());
    let mut lacking = all.clone();
    let mut found = Vec::new();
    let mut allowance = Allowance::of(images);
    let runtime = transport::runtime()?;
    for digest in packs {
        let what = store.locate(ObjectKind::Pack, digest);
        let bytes = runtime.block_on(store.find_object(ObjectKind::Pack, digest, Pack::max_len(images)))?;
        let bytes = bytes.ok_or_else(|| Error::not_found(Missing::Object, &what, store.name()))?;
        let stored = Stored::parse(&what, &bytes, images)?;
        allowance.take(&stored, list)?;
        let (places, pack) = match stored {
            Stored::Whole(pack) => (None, pack),
            Stored::Blocks(pack) => {
                (Some(pack.places), runtime.block_on(store.all_places((&what, &pack), snapshot))?)
            }
        };
        for entry in &pack.entries {
            let refuse =
                |why| Err(Error::integrity(&what, about(format_args!("image {}", entry.blake3), why)));
            match all.length(&entry.blake3) {
                None => return refuse("is not in the version"),
                Some(length) if entry.length > max_frame_len(length) => {
                    return refuse("has a longer frame than it can need");
                }
                Some(_) => drop(lacking.remove(&entry.blake3)),
            }
        }
        let object = ObjectRef { blake3: *digest, length: bytes.len() as u64 };
        found.push(StoredPack { object, places, pack });
    }
    // Nothing authenticates the list of packs, so this checks that it leads to all images.
    if let Some(row) = lacking.iter().min_by_key(|row| row.at()) {
        return Err(Error::integrity(list(), format!("leads to no pack that has {}", row.path())));
    }
    Ok(found)
}
