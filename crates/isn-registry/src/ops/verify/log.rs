//! Verifies what a registry has besides its releases and the hints that lead to them: the log, and the files
//! that its writers keep there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::{Fault, FaultKind};
use crate::client::{Belief, Client};
use crate::registry::append::claim_at;
use crate::registry::layout::Tile;
use crate::registry::log::{LogView, WitnessPolicy};
use crate::registry::names::{self, Filing};
use crate::registry::store::{FolderStore, Store};
use crate::registry::{MAX_BUILT, Registry, layout};
use isn_format::dataset_ref::VersionId;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain};
use isn_format::log::{Replica, SignedCheckpoint, TILE_WIDTH, bundle, leaf_hash};
use isn_format::statement;

/// A registry's log.
pub(super) struct CheckedLog {
    /// The log as it counts for the user, with what this machine remembers of it.
    pub(super) view: LogView,
    /// The log as the registry shows it, if it shows less than that.
    shown: Option<LogView>,
}

impl CheckedLog {
    /// Returns the log as the registry shows it.
    pub(super) fn shown(&self) -> &LogView {
        self.shown.as_ref().unwrap_or(&self.view)
    }
}

/// Replays the log from its first entry, and checks every tile and that `registry.json` names the log.
/// Returns `None` if the registry has no log.
pub(super) async fn check_log(
    registry: &Registry,
    client: &Client,
    belief: &Belief,
    faults: &mut Vec<Fault>,
) -> Result<Option<CheckedLog>> {
    let claimed = &belief.claimed;
    if belief.log.is_none() && claimed.is_none() {
        return match registry.signed_checkpoint(layout::LOG).await? {
            None => Ok(None),
            // Nobody knows the key.
            Some(_) if belief.unlike.is_some() => Ok(None),
            Some(_) => {
                let why = "is there, but registry.json does not name the key of its log";
                Err(Error::trust(registry.place(layout::CHECKPOINT), why))
            }
        };
    }
    let (anchor, view) = client.claimed_view(registry, belief).await?;
    let shown = match &view.behind {
        // What the registry shows must be whole, even if it is old.
        Some(_) => registry.sync_log(&anchor, None, &WitnessPolicy::default()).await?,
        None => None,
    };
    let log = CheckedLog { view, shown };
    let signed = SignedCheckpoint::parse(layout::CHECKPOINT, log.shown().note.clone())?;
    let mut filing = Filing::from_bundle(0);
    registry.audit_log(&anchor, &signed, |entry, _| filing.push(entry)).await?;
    check_names(registry, log.shown(), &filing, faults).await?;
    let is_named = match claimed {
        _ if belief.unlike.is_some() => true,
        Some(key) if log.view.replica.history().has_key(key) => true,
        Some(key) => registry.is_known_by(key, log.shown()).await?,
        None => false,
    };
    if !is_named {
        let named = claimed.as_ref().map_or_else(|| "no log".into(), |key| format!("another log, {key}"));
        let why =
            format!("names {named}, and the registry is known by {anchor}: new users would not find its log");
        faults.push(Fault { path: layout::REGISTRY_JSON.into(), kind: FaultKind::Untrusted, why });
    }
    Ok(Some(log))
}

/// Makes the index of names anew from the entries in `filing`, and compares every file of it. It may be
/// behind the log, or be absent: then readers read the entries themselves.
async fn check_names(
    registry: &Registry,
    view: &LogView,
    filing: &Filing,
    faults: &mut Vec<Fault>,
) -> Result<()> {
    let what = registry.place(layout::NAMES_NOTE);
    let root = registry.names_note().await.and_then(|note| {
        // One of a later state of the log, which has grown since it was read.
        let note = note.filter(|note| note.claimed_size() <= view.replica.size());
        note.map(|note| Ok((note.claimed_size(), names::root_in(&note, &view.replica, &what)?))).transpose()
    });
    let (size, root) = match root {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(()),
        Err(e) => {
            faults.push(Fault::of(layout::NAMES_NOTE, &e));
            return Ok(());
        }
    };
    let mut files = Vec::new();
    let made = filing.make(size, &mut |file, bytes| {
        files.push((layout::names_file(&file), Digest::of(&bytes)));
        Ok(())
    })?;
    if made != root {
        let (path, why) = (layout::NAMES_NOTE.into(), names::OTHER.into());
        faults.push(Fault { path, kind: FaultKind::Untrusted, why });
        return Ok(());
    }
    for (path, hash) in files {
        match registry.file(&path).await {
            Ok(Some(bytes)) if Digest::of(&bytes) == hash => {}
            Ok(Some(_)) => {
                let why = "is damaged: it is not that of the index of names of the log's entries".into();
                faults.push(Fault { path, kind: FaultKind::Changed, why });
            }
            Ok(None) => {
                let why = format!("{} says that it is there", layout::NAMES_NOTE);
                faults.push(Fault { path, kind: FaultKind::Missing, why });
            }
            Err(e) => faults.push(Fault::of(&path, &e)),
        }
    }
    Ok(())
}

/// Checks the attestation log of the registry whose log is `main`, if it has one, and the file of each
/// version in it. For a folder, also checks what readers do not request. That it has less than was seen of it
/// here is a warning, unless `registry.json` says that there is one, and there is none.
pub(super) async fn check_attestations(
    registry: &Registry,
    client: &Client,
    root: Option<&Path>,
    main: &LogView,
    found: &BTreeSet<VersionId>,
    seen: &mut Vec<String>,
) -> Vec<Fault> {
    let Ok(key) = main.replica.history().key().attestations() else { return Vec::new() };
    let read = async {
        let view = registry.sync_log(&key, None, &WitnessPolicy::default()).await?;
        if let Some(view) = &view {
            let signed = SignedCheckpoint::parse("the checkpoint", view.note.clone())?;
            registry.audit_log(&key, &signed, |_, _| ()).await?;
        }
        Ok::<_, Error>(view)
    };
    let view = match read.await {
        Ok(view) => view,
        Err(e) => return vec![Fault::of(&layout::ATTESTATIONS.checkpoint(), &e)],
    };
    let empty = Replica::new(key);
    let replica = view.as_ref().map_or(&empty, |view| &view.replica);
    let mut faults = Vec::new();
    let path = layout::ATTESTATIONS.checkpoint();
    match client.logs.lost_attestations(main.replica.history(), replica) {
        _ if view.is_none() && registry.attests() => {
            let why = format!("{} says that there is an attestation log", layout::REGISTRY_JSON);
            faults.push(Fault { path, kind: FaultKind::Missing, why });
        }
        Ok(lost) => seen.extend(lost.map(|why| format!("{} {why}", registry.place(&path)))),
        Err(e) => seen.push(chain(&e)),
    }
    if let (Some(root), Some(view)) = (root, &view) {
        faults.extend(check_narrow(root, view));
        seen.extend(check_claim(root, view));
    }
    let leaves = (0..replica.size()).filter_map(|index| replica.tree().leaf(index));
    let leaves: HashSet<[u8; 32]> = leaves.map(|leaf| leaf.0).collect();
    let stated: BTreeSet<VersionId> = replica.history().built_versions().collect();
    for id in found.union(&stated) {
        let path = layout::built(id);
        let bytes = match registry.file(&path).await {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(e) => {
                faults.push(Fault::of(&path, &e));
                continue;
            }
        };
        let entries = bundle::read_all(&bytes).unwrap_or_default();
        let is_of_log = entries.iter().all(|entry| leaves.contains(&leaf_hash(entry).0));
        let listed = registry.built(id).await.map_or(0, |built| built.len());
        let is_full = bytes.len() as u64 + statement::MAX_LEN as u64 > MAX_BUILT;
        if !is_of_log || listed != entries.len() || entries.is_empty() && !bytes.is_empty() {
            let why = "has what is no statement about this version in the attestation log".into();
            faults.push(Fault { path, kind: FaultKind::Changed, why });
        } else if listed < replica.history().built(id).count() && !is_full {
            let why = format!("does not have all that the attestation log has about {id}");
            faults.push(Fault { path, kind: FaultKind::Missing, why });
        }
    }
    faults
}

/// Checks the partial tiles and bundles of a folder, which are kept for readers whose checkpoint is older.
pub(super) fn check_narrow(root: &Path, view: &LogView) -> Vec<Fault> {
    let tiles = layout::Log::of(view.replica.history().anchor()).tiles();
    narrow(&FolderStore::new(root), view).unwrap_or_else(|e| vec![Fault::of(&tiles, &e)])
}

/// Returns a warning if something in a folder would stop the next entry. Readers are not affected by it.
pub(super) fn check_claim(root: &Path, view: &LogView) -> Option<String> {
    let log = layout::Log::of(view.replica.history().anchor());
    let claim = claim_at(&FolderStore::new(root), log, view.replica.size());
    let verified =
        claim.and_then(|claim| claim.map_or(Ok(()), |claim| claim.verify(&view.replica).map(drop)));
    verified.err().map(|e| {
        let cure = if matches!(e, Error::Claim { .. }) { ": see `isn log unclaim`" } else { "" };
        format!("{}. It stops the next publish{cure}", chain(&e))
    })
}

fn narrow(store: &dyn Store, view: &LogView) -> Result<Vec<Fault>> {
    let (tree, log) = (view.replica.tree(), layout::Log::of(view.replica.history().anchor()));
    let tiles: BTreeMap<String, Vec<u8>> = tree
        .tiles_since(0)?
        .into_iter()
        .map(|(tile, bytes)| (log.partial_tiles(tile.level, tile.index), bytes))
        .collect();
    let bundles: BTreeMap<String, u64> = (0..tree.size().div_ceil(TILE_WIDTH))
        .map(|index| (log.partial_entries(index), index * TILE_WIDTH))
        .collect();
    let mut faults = Vec::new();
    let (listed, begun) = (store.list(&log.tiles())?, begun(store, log, tree.size()));
    for (path, tile) in listed.into_iter().filter_map(|(path, _)| log.tile_at(&path).map(|tile| (path, tile)))
    {
        if !is_of_tree(&tile, begun) {
            let why = format!("is beyond the log, which has {} entries", tree.size());
            faults.push(Fault { path, kind: FaultKind::Extra, why });
            continue;
        }
        let Some((folder, _)) = path.rsplit_once('/').filter(|_| tile.width < TILE_WIDTH) else { continue };
        let width = tile.width;
        let bytes = match store.read(&path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(e) => {
                faults.push(Fault::of_bytes(&path, &e));
                continue;
            }
        };
        let is_whole = match (tiles.get(folder), bundles.get(folder)) {
            // Tiles wider than the tree belong to a writer who has not finished.
            (Some(tile), _) => tile.get(..width as usize * 32).is_none_or(|expected| expected == bytes),
            (_, Some(&first)) if first + width <= tree.size() => {
                bundle::read_whole(&bytes).is_ok_and(|entries| {
                    let leaves = (first..).map(|index| tree.leaf(index));
                    entries.len() as u64 == width
                        && entries.iter().zip(leaves).all(|(entry, leaf)| leaf == Some(leaf_hash(entry)))
                })
            }
            _ => true,
        };
        if !is_whole {
            let why = "is damaged: it does not agree with the log".into();
            faults.push(Fault { path, kind: FaultKind::Changed, why });
        }
    }
    Ok(faults)
}

/// Returns the number of entries in the bundles of a folder: those of the log, and those that follow without
/// a gap, as a writer leaves them that was stopped before it wrote the checkpoint.
fn begun(store: &dyn Store, log: layout::Log, size: u64) -> u64 {
    let mut begun = size;
    loop {
        let index = begun / TILE_WIDTH;
        let full = (log.entries(index, TILE_WIDTH), 0);
        let narrow = store.list(&log.partial_entries(index)).unwrap_or_default();
        let ends = [full].into_iter().chain(narrow).filter_map(|(path, _)| {
            let (width, bytes) = (log.tile_at(&path)?.width, store.read(&path).ok()??);
            let is_whole = bundle::read_whole(&bytes).is_ok_and(|entries| entries.len() as u64 == width);
            is_whole.then_some(index * TILE_WIDTH + width)
        });
        match ends.max() {
            Some(end) if end > begun => begun = end,
            _ => return begun,
        }
    }
}

/// Whether a log of `size` entries has this tile or bundle, or once had it.
fn is_of_tree(tile: &Tile, size: u64) -> bool {
    let bits = u32::from(tile.level.unwrap_or(0)) * TILE_WIDTH.ilog2();
    let nodes = size.checked_shr(bits).unwrap_or(0);
    tile.index.checked_mul(TILE_WIDTH).is_some_and(|first| first.saturating_add(tile.width) <= nodes)
}
