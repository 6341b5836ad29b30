//! The files of a log, as its writer writes them: bundles, tiles and, last, the checkpoint.

use super::{KEPT, OwnLog};
use isn_format::error::{Error, Result, chain};
use isn_format::log::{Replica, SignedCheckpoint, TILE_WIDTH, bundle, leaf_hash};

impl OwnLog<'_> {
    /// Writes a checkpoint, unless there is one of as many entries already.
    pub(super) fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<()> {
        let path = self.files.checkpoint();
        let what = self.store.locate(&path);
        self.store.update(&path, &mut |there| {
            let there = there.map(|there| SignedCheckpoint::parse(&what, there.to_vec())).transpose()?;
            let is_older = there.is_none_or(|there| there.claimed_size() < size);
            Ok(is_older.then(|| note.to_vec()))
        })
    }

    /// Writes bundles, tiles and the checkpoint of the log `base` followed by `entries`.
    pub(super) fn commit(&self, base: &Replica, entries: &[&[u8]]) -> Result<()> {
        let mut replica = base.clone();
        for entry in entries {
            let _ = replica.push(entry)?;
        }
        let signer = self.signer(&replica.history().key())?;
        self.write_bundles(base, entries)?;
        self.write_tiles(&replica, base.size())?;
        // Remembered before anybody can see it, under each key that the log may be known by. So if a storage
        // keeps the checkpoint, reports a failure and drops the entries, this machine still signs no other
        // tree of that size.
        let signed = self.logs.log(signer.log_key()).sign(&signer, &replica)?;
        if signer.log_key() != self.anchor() {
            self.known.store(&replica, signed.bytes())?;
        }
        self.put_checkpoint(replica.size(), signed.bytes())?;
        // The log has the entries now. That the index of names is behind, or that something is left over,
        // harms no reader, and the next writer tries again.
        if let Err(e) = self.index_names(&replica) {
            tracing::warn!("the index of names is behind: {}", chain(&e));
        }
        if let Err(e) = self.tidy(&replica) {
            tracing::warn!("outgrown files of the log are left: {}", chain(&e));
        }
        Ok(())
    }

    pub(super) fn write_tiles(&self, replica: &Replica, from: u64) -> Result<()> {
        for (tile, bytes) in replica.tree().tiles_since(from)? {
            self.store.replace(&self.files.tile(tile.level, tile.index, tile.width), &bytes)?;
        }
        Ok(())
    }

    /// Returns the entries of the last, partial bundle, as a bundle. They will be published under a new
    /// signature, so each is checked against the tree: what was read long ago may be damaged by now.
    pub(super) fn last_bundle(&self, base: &Replica) -> Result<Vec<u8>> {
        let (index, width) = (base.size() / TILE_WIDTH, base.size() % TILE_WIDTH);
        let mut checked = Vec::new();
        if width == 0 {
            return Ok(checked);
        }
        // It may be the full bundle by now, if other writers have advanced that far.
        let there = self.runtime.block_on(self.registry.bundle(self.files, index, width, 0))?;
        let what = || self.store.locate(&self.files.entries(index, width));
        // A file with extra bytes at its end is read only as far as its entries, and only these are written
        // again.
        let entries = bundle::read(&there, width);
        let entries = entries.map_err(|why| Error::integrity(what(), format!("is damaged: it {why}")))?;
        for (number, entry) in (index * TILE_WIDTH..).zip(entries) {
            if base.tree().leaf(number) != Some(leaf_hash(entry)) {
                let why = format!("is damaged: it has another entry {number} than the log");
                return Err(Error::integrity(what(), why));
            }
            bundle::push(&mut checked, entry)?;
        }
        Ok(checked)
    }

    fn write_bundles(&self, base: &Replica, entries: &[&[u8]]) -> Result<()> {
        let (mut index, mut count) = (base.size() / TILE_WIDTH, base.size() % TILE_WIDTH);
        let mut bytes = self.last_bundle(base)?;
        for entry in entries {
            bundle::push(&mut bytes, entry)?;
            count += 1;
            if count == TILE_WIDTH {
                self.store.replace(&self.files.entries(index, count), &bytes)?;
                (index, count) = (index + 1, 0);
                bytes.clear();
            }
        }
        if count > 0 {
            self.store.replace(&self.files.entries(index, count), &bytes)?;
        }
        Ok(())
    }

    /// Removes log claims that the checkpoint has long covered, and the narrower versions of tiles and
    /// bundles.
    fn tidy(&self, replica: &Replica) -> Result<()> {
        let size = replica.size();
        // Removes only names that isn writes: anything else there is somebody else's.
        let remove_below = |folder: &str, end: u64| -> Result<()> {
            for (path, _) in self.store.list(folder)? {
                let number = path.rsplit('/').next().and_then(|name| name.parse::<u64>().ok());
                if number.is_some_and(|number| number < end && path == format!("{folder}/{number}")) {
                    self.store.remove(&path)?;
                }
            }
            Ok(())
        };
        // Without a lock, a slow writer could create a removed claim again.
        if self.is_locked {
            remove_below(&self.files.claims(), size.saturating_sub(KEPT))?;
        }
        let (mut level, mut nodes) = (0, size);
        while nodes > 0 {
            let (index, width) = (nodes / TILE_WIDTH, nodes % TILE_WIDTH);
            let folders = |index| {
                let entries = (level == 0).then(|| self.files.partial_entries(index));
                std::iter::once(self.files.partial_tiles(level, index)).chain(entries)
            };
            for folder in folders(index) {
                remove_below(&folder, width.saturating_sub(KEPT))?;
            }
            if width >= KEPT && index > 0 {
                for folder in folders(index - 1) {
                    remove_below(&folder, TILE_WIDTH)?;
                    self.store.remove_folder(&folder)?;
                }
            }
            nodes /= TILE_WIDTH;
            level += 1;
        }
        Ok(())
    }
}
