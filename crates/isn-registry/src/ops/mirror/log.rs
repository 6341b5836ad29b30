//! Copies a log: bundles and tiles, and its checkpoint last.

use std::collections::{BTreeMap, HashMap};

use tokio::runtime::Runtime;

use super::{Mirror, check_older, signed};
use crate::client::Client;
use crate::registry::append::KEPT;
use crate::registry::log::LogView;
use crate::registry::names::{self, Filing};
use crate::registry::{Registry, attestations, layout};
use crate::transport::runtime;
use isn_format::dataset_ref::VersionId;
use isn_format::error::{Error, Result};
use isn_format::log::names::{File, SignedNames};
use isn_format::log::{Hash, SignedCheckpoint, TILE_WIDTH, bundle, leaf_hash};

/// The note of an index of names, and its files.
pub(super) type Names = (SignedNames, Vec<(File, Vec<u8>)>);

/// Returns the index of names of a source, made anew from the entries in `filing`; `None` if it has none of
/// this state of its log.
pub(super) async fn names_of(source: &Registry, view: &LogView, filing: &Filing) -> Result<Option<Names>> {
    let note = match source.names_note().await {
        Ok(Some(note)) => note,
        // One that is damaged, or that a newer isn wrote: readers of the mirror read the entries.
        Ok(None) | Err(Error::Trust { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let what = source.place(layout::NAMES_NOTE);
    // Nor is one copied that is not the log's, or of a later state of it, which has grown since it was read.
    let Ok(root) = names::root_in(&note, &view.replica, &what) else { return Ok(None) };
    let mut files = Vec::new();
    let made = filing.make(note.claimed_size(), &mut |file, bytes| {
        files.push((file, bytes));
        Ok(())
    })?;
    if made != root {
        return Err(Error::trust(what, names::OTHER));
    }
    Ok(Some((note, files)))
}

impl Mirror<'_> {
    /// Copies the log from entry `from` on, then `registry.json`, and the checkpoint last.
    pub(super) fn copy_log(&self, from: u64) -> Result<()> {
        self.copy_entries(&runtime()?, &self.view, from, &mut |_, _| Ok(()))?;
        self.put_file(layout::REGISTRY_JSON, &self.about)?;
        self.put_checkpoint(&self.view)?;
        self.put_names()
    }

    /// Makes the index of names, whose note the log's key has signed, if the source has one of this log.
    fn put_names(&self) -> Result<()> {
        let Some((note, files)) = &self.names else { return Ok(()) };
        for (file, bytes) in files {
            self.put_file(&layout::names_file(file), bytes)?;
            names::tidy(self.store(), file, KEPT as usize)?;
        }
        self.store().update(layout::NAMES_NOTE, &mut |there| {
            let what = self.store().locate(layout::NAMES_NOTE);
            let there = there.and_then(|there| SignedNames::parse(&what, there.to_vec()).ok());
            let is_newer = there.is_some_and(|there| {
                there.claimed_size() > note.claimed_size()
                    && names::root_in(&there, &self.view.replica, &what).is_ok()
            });
            Ok((!is_newer).then(|| note.bytes().to_vec()))
        })
    }

    /// Copies the attestation log, if the source has one, and the file of each version in it. Returns the
    /// number of its entries.
    pub(super) fn copy_attestations(&self, client: &Client) -> Result<u64> {
        let runtime = runtime()?;
        let Some(view) = runtime.block_on(client.attestations(&self.source, self.view.replica.history()))?
        else {
            if self.source.attests() {
                let why = "has no attestation log, and its registry.json says that it has one";
                return Err(Error::trust(format!("registry {}", self.source.name()), why));
            }
            return Ok(0);
        };
        if let Some(behind) = &view.behind {
            return Err(Error::trust(format!("registry {}", self.source.name()), behind));
        }
        let history = view.replica.history();
        runtime.block_on(self.source.audit_log(history.anchor(), &signed(&view)?, |_, _| ()))?;
        // The file of each version is made from the entries: nobody has signed the source's.
        let mut versions: HashMap<u64, VersionId> = HashMap::new();
        for id in history.built_versions() {
            versions.extend(history.built(&id).map(|(_, built)| (built.index, id.clone())));
        }
        let mut listed: BTreeMap<VersionId, Vec<u8>> = BTreeMap::new();
        self.copy_entries(&runtime, &view, 0, &mut |index, entry| {
            let Some(id) = versions.get(&index) else { return Ok(()) };
            let bytes = listed.entry(id.clone()).or_default();
            attestations::push_built(bytes, entry).map(drop)
        })?;
        for (id, bytes) in listed {
            self.put_file(&layout::built(&id), &bytes)?;
        }
        self.put_checkpoint(&view).map(|()| view.replica.size())
    }

    /// Copies the bundles and tiles of a log from entry `from` on, and calls `each` with every entry of these
    /// bundles. The source's connections must be of `runtime` or of none: those of another one that is alive
    /// would never make progress.
    fn copy_entries(
        &self,
        runtime: &Runtime,
        view: &LogView,
        from: u64,
        each: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let (replica, size) = (&view.replica, view.replica.size());
        let log = layout::Log::of(replica.history().anchor());
        for index in (from / TILE_WIDTH)..size.div_ceil(TILE_WIDTH) {
            let width = TILE_WIDTH.min(size - index * TILE_WIDTH);
            let bytes = runtime.block_on(self.source.exact_bundle(log, index, width))?;
            let entries = bundle::read_whole(&bytes).map_err(Error::Internal)?;
            let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
            // The log was audited before, but may have changed since.
            if leaves
                .iter()
                .zip(index * TILE_WIDTH..)
                .any(|(leaf, at)| replica.tree().leaf(at) != Some(*leaf))
            {
                let what = self.source.place(&log.entries(index, width));
                return Err(Error::trust(what, "was changed while it was copied"));
            }
            for (at, entry) in (index * TILE_WIDTH..).zip(entries) {
                each(at, entry)?;
            }
            self.put_file(&log.entries(index, width), &bytes)?;
        }
        for (tile, bytes) in replica.tree().tiles_since(from)? {
            self.put_file(&log.tile(tile.level, tile.index, tile.width), &bytes)?;
        }
        Ok(())
    }

    fn put_checkpoint(&self, view: &LogView) -> Result<()> {
        let path = layout::Log::of(view.replica.history().anchor()).checkpoint();
        self.store().update(&path, &mut |there| {
            if let Some(bytes) = there {
                let there = SignedCheckpoint::parse(&self.store().locate(&path), bytes.to_vec())?;
                // Another writer may have changed the mirror meanwhile.
                check_older(self.store(), view, &there)?;
            }
            Ok((there != Some(view.note.as_slice())).then(|| view.note.clone()))
        })
    }

    pub(super) fn put_file(&self, path: &str, bytes: &[u8]) -> Result<()> {
        if self.store().read(path)?.as_deref() == Some(bytes) {
            return Ok(());
        }
        self.store().replace(path, bytes)
    }
}
