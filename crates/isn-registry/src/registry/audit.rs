//! Reads a log as an auditor does: from the first entry, and with every tile.

use super::{Registry, layout};
use crate::registry::log::{LogView, left_out};
use isn_format::error::{Error, Result};
use isn_format::log::{
    Accepted, Hash, LogKey, Rejected, Replica, SignedCheckpoint, TILE_WIDTH, bundle, leaf_hash,
};

impl Registry {
    /// Replays the log up to `signed` from its first entry, without remembering anything. Checks that every
    /// bundle and tile is there and right, including those that clients of isn never read. Calls `each` with
    /// each entry and its effect; none of them counts if this fails.
    ///
    /// # Errors
    /// [`Error::Trust`] if a file is missing or wrong, or the checkpoint is not signed with the log's key;
    /// also fails if a file cannot be read.
    pub async fn audit_log(
        &self,
        anchor: &LogKey,
        signed: &SignedCheckpoint,
        mut each: impl FnMut(&[u8], Result<Accepted, Rejected>),
    ) -> Result<Replica> {
        let (mut replica, size) = (Replica::new(anchor.clone()), signed.claimed_size());
        let log = layout::Log::of(anchor);
        for index in 0..size.div_ceil(TILE_WIDTH) {
            let width = TILE_WIDTH.min(size - index * TILE_WIDTH);
            let path = log.entries(index, width);
            let refuse = |why: String| Error::trust(self.place(&path), why);
            let bytes = self.read(&path, bundle::MAX_LEN).await?;
            let bytes = bytes.ok_or_else(|| refuse("is missing".into()))?;
            let found = bundle::read_whole(&bytes).map_err(|why| refuse(format!("is damaged: it {why}")))?;
            if found.len() as u64 != width {
                return Err(refuse(format!("has {} entries, expected {width}", found.len())));
            }
            for entry in found {
                each(entry, replica.push(entry)?);
            }
        }
        if replica.tree().root()? != signed.claimed_root() {
            return Err(self.damage(log, signed).await);
        }
        signed.verify(&replica.history().key())?;
        for (tile, expected) in replica.tree().tiles_since(0)? {
            let path = log.tile(tile.level, tile.index, tile.width);
            let found = self.read(&path, TILE_WIDTH * 32).await?;
            if found.as_ref() != Some(&expected) {
                let why = match found {
                    None => "is missing",
                    Some(_) => "was changed: its hashes are not those of the entries",
                };
                return Err(Error::trust(self.place(&path), why));
            }
        }
        Ok(replica)
    }

    /// Returns an error that says where the entries and the checkpoint diverge: at the first bundle whose
    /// tile has other hashes.
    pub(super) async fn damage(&self, log: layout::Log, signed: &SignedCheckpoint) -> Error {
        let size = signed.claimed_size();
        let found = async {
            for index in 0..size.div_ceil(TILE_WIDTH) {
                let width = TILE_WIDTH.min(size - index * TILE_WIDTH);
                let path = log.tile(0, index, width);
                let tile = self.read(&path, TILE_WIDTH * 32).await?.unwrap_or_default();
                let bytes = self.bundle(log, index, width, 0).await?;
                let entries = bundle::read(&bytes, width).unwrap_or_default();
                let leaves: Vec<u8> = entries.iter().flat_map(|entry| leaf_hash(entry).0).collect();
                if leaves != tile {
                    let why = format!(
                        "does not have the entries whose hashes are in {path}: one of the two was changed, \
                         or entries were moved"
                    );
                    return Ok(Error::trust(self.place(&log.entries(index, width)), why));
                }
            }
            let why =
                "do not lead to the root that the checkpoint signs: entries were changed, moved or left out";
            Ok::<_, Error>(Error::trust(format!("the tiles and entries of registry {}", self.name()), why))
        };
        found.await.unwrap_or_else(left_out)
    }

    /// Returns the bytes of an entry, checked against the tree of `view`.
    ///
    /// # Errors
    /// [`Error::Trust`] if the entry is missing or is not the one of the tree; also fails if it cannot be
    /// read.
    pub(crate) async fn log_entry(&self, index: u64, view: &LogView) -> Result<Vec<u8>> {
        let (size, log) = (view.replica.size(), layout::Log::of(view.replica.history().anchor()));
        self.entry_with_leaf(log, size, (index, view.replica.tree().leaf(index))).await
    }

    /// Returns the bytes of the entry `index` of a log of `size` entries, which has this leaf.
    ///
    /// # Errors
    /// As [`Registry::log_entry`].
    pub(crate) async fn entry_with_leaf(
        &self,
        log: layout::Log,
        size: u64,
        (index, leaf): (u64, Option<Hash>),
    ) -> Result<Vec<u8>> {
        let (bundle_index, at) = (index / TILE_WIDTH, index % TILE_WIDTH);
        let width = TILE_WIDTH.min(size - bundle_index * TILE_WIDTH);
        let bytes = self.bundle(log, bundle_index, width, 0).await.map_err(left_out)?;
        let what = || self.place(&log.entries(bundle_index, width));
        let entries =
            bundle::read(&bytes, at + 1).map_err(|why| Error::trust(what(), format!("it {why}")))?;
        let entry = entries.last().copied().unwrap_or_default();
        if leaf != Some(leaf_hash(entry)) {
            return Err(Error::trust(what(), format!("has another entry {index} than the log")));
        }
        Ok(entry.to_vec())
    }
}
