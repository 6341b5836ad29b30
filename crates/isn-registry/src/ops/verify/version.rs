//! Verifies one version of a registry or a build: every object that it names, and every image.

use std::collections::{BTreeSet, HashSet};

use tokio::runtime::Runtime;

use super::shard::ShardCheck;
use super::store::unsigned_lack;
use super::{Assurance, Fault, FaultKind, Verified, VerifyReport};
use crate::progress::{Progress, Unit};
use crate::registry::{Registry, Snapshot, layout};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::index::Images;
use isn_format::object::ObjectKind;
use isn_format::pack::{Entry, Pack};
use isn_format::recipe::Recipe;

/// What has been checked already, since versions share shards: images by shard and offset.
#[derive(Default)]
pub(super) struct Seen {
    frames: HashSet<(Digest, u64, Digest)>,
    shards: HashSet<Digest>,
    pub(super) images: u64,
    /// Rebuild-only versions.
    pub(super) rebuild_only: Vec<String>,
    /// Warnings for the user that are not faults of a release.
    pub(super) warnings: Vec<String>,
}

/// Verifies one version completely: every object that it names, and every shard as a whole and frame by
/// frame. Neither packs nor lists of packs are signed, so if those of one location have faults, those of the
/// next are checked; the faults of the first are reported if all have some.
pub(super) fn check_version(
    runtime: &Runtime,
    registry: &Registry,
    snapshot: &Snapshot,
    seen: &mut Seen,
    progress: &dyn Progress,
) -> Result<VerifyReport> {
    let manifest = &snapshot.head.manifest;
    let what = manifest.id().to_string();
    let (mut faults, mut warnings, mut is_rebuild_only) = (Vec::new(), Vec::new(), false);
    // The index and `classes.csv` were read with the manifest.
    let read = [ObjectKind::Index, ObjectKind::Rows, ObjectKind::Classes];
    for (kind, reference) in manifest.objects.all().into_iter().filter(|(kind, _)| !read.contains(kind)) {
        let path = layout::object(kind, &reference.blake3);
        registry.ask_again();
        match runtime.block_on(registry.object(kind, &reference)) {
            Ok(bytes) if kind == ObjectKind::Recipe => {
                let parsed = String::from_utf8(bytes).map_err(|e| Error::invalid(&path, e));
                faults.extend(
                    parsed.and_then(|text| Recipe::parse(&path, &text)).err().map(|e| Fault::of(&path, &e)),
                );
            }
            Ok(_) => {}
            Err(e) => faults.push(Fault::of(&path, &e)),
        }
    }

    if faults.is_empty() {
        registry.ask_again();
        let index = layout::object(ObjectKind::Index, &manifest.objects.index.blake3);
        faults.extend(runtime.block_on(registry.check_blocks(snapshot)).err().map(|e| Fault::of(&index, &e)));
    }

    let list = layout::packs(&snapshot.head.manifest_ref.blake3);
    registry.ask_again();
    let all = Images::all(snapshot.index());
    match runtime.block_on(registry.packs(snapshot, &all)) {
        Ok(packs) if packs.is_empty() => {
            is_rebuild_only =
                runtime.block_on(registry.is_rebuild_only(&snapshot.head.manifest_ref.blake3))?;
            if is_rebuild_only {
                seen.rebuild_only.push(what.clone());
                warnings.push(unsigned_lack(&what));
                seen.warnings.push(unsigned_lack(&what));
            } else if manifest.images > 0 && faults.is_empty() {
                let why = "leads to no images; for a rebuild-only version it would be there and empty".into();
                faults.push(Fault { path: list, kind: FaultKind::Missing, why });
            }
        }
        Ok(mut packs) => {
            let mut first = None;
            loop {
                let found = check_images(runtime, registry, snapshot, &packs, seen, progress)?;
                // That an image is missing mostly follows from another fault.
                let cause = found.iter().find(|fault| fault.kind != FaultKind::Missing).or(found.first());
                let Some(fault) = cause.map(Fault::to_string) else { break };
                first.get_or_insert(found);
                let failure = Error::integrity(&list, fault);
                if runtime.block_on(registry.next_packs(snapshot, &all, &mut packs, failure)).is_err() {
                    faults.append(&mut first.unwrap_or_default());
                    break;
                }
            }
            if registry.has_mirrors() {
                warnings.extend(registry.complaints());
            }
        }
        Err(e) => faults.push(Fault::of(&list, &e)),
    }
    faults.sort();
    Ok(VerifyReport {
        kind: Verified::Version,
        what: manifest.pin().to_string(),
        dataset: Some(manifest.dataset),
        checked: if is_rebuild_only { 0 } else { manifest.images },
        partial: None,
        assurance: if snapshot.head.signed_by.is_empty() { Assurance::Hash } else { Assurance::Signed },
        warnings,
        rebuild_only: if is_rebuild_only { vec![what] } else { Vec::new() },
        expected: None,
        faults,
    })
}

/// Checks the images of a version in the shards where `packs` say that they are. Returns the faults.
fn check_images(
    runtime: &Runtime,
    registry: &Registry,
    snapshot: &Snapshot,
    packs: &[Pack],
    seen: &mut Seen,
    progress: &dyn Progress,
) -> Result<Vec<Fault>> {
    let (what, mut faults) = (snapshot.head.manifest.id(), Vec::new());
    let list = layout::packs(&snapshot.head.manifest_ref.blake3);
    let images = Images::all(snapshot.index());
    let mut missing = images.clone();
    progress.begin(&format!("verify {what}"), Unit::Images, missing.len() as u64);
    for pack in packs {
        let used: BTreeSet<usize> = pack.entries.iter().map(|entry| entry.shard).collect();
        for at in used {
            let shard = &pack.shards[at];
            let path = layout::object(ObjectKind::Shard, &shard.blake3);
            let key = |entry: &Entry| (shard.blake3, entry.offset, entry.blake3);
            let here: Vec<&Entry> = pack.entries.iter().filter(|entry| entry.shard == at).collect();
            if seen.shards.contains(&shard.blake3)
                && here.iter().all(|entry| seen.frames.contains(&key(entry)))
            {
                for entry in &here {
                    missing.remove(&entry.blake3);
                }
                continue;
            }
            registry.ask_again();
            let begin = || ShardCheck::new(&path, &here, &images);
            let (whole, found) = match runtime.block_on(registry.stream_shard(shard, begin)) {
                Ok(check) => check.end(),
                Err(e) => {
                    // Report one fault for the shard, instead of another for each image in it.
                    for entry in &here {
                        missing.remove(&entry.blake3);
                    }
                    faults.push(Fault::of(&path, &e));
                    continue;
                }
            };
            // In a shard that is whole, an image that is not where it should be is a fault of the packs.
            let to_blame = if whole.is_ok() { &list } else { &path };
            match whole {
                Ok(()) => drop(seen.shards.insert(shard.blake3)),
                Err(e) => faults.push(Fault::of(&path, &e)),
            }
            for (entry, checked) in found {
                match checked {
                    Ok(()) => {
                        missing.remove(&entry.blake3);
                        seen.frames.insert(key(entry));
                        seen.images += 1;
                    }
                    Err(e) => faults.push(Fault::of(to_blame, &e)),
                }
                progress.advance(1);
            }
        }
    }
    progress.end();
    for row in snapshot.index().rows().filter(|row| missing.contains(&row.blake3())) {
        let why = format!("image {} is in no readable shard", row.blake3());
        faults.push(Fault { path: format!("{what}/{}", row.path()), kind: FaultKind::Missing, why });
    }
    faults.sort();
    Ok(faults)
}
