//! Keeps the index of names of a log up to date. A reader who finds it behind, or not at all, reads the
//! entries themselves, so a writer that is killed before it is done leaves nothing that must be repaired: the
//! next one catches up.

use super::{KEPT, OwnLog};
use crate::registry::layout;
use crate::registry::names::{Filing, LEAST, root_in, tidy};
use isn_format::error::{Error, Result};
use isn_format::log::names::{File, Root, SignedNames, grow};
use isn_format::log::{Replica, TILE_WIDTH, bundle, leaf_hash};

impl OwnLog<'_> {
    /// Makes the index one of `replica`, whose checkpoint is in the registry.
    pub(super) fn index_names(&self, replica: &Replica) -> Result<()> {
        if self.files != layout::LOG {
            return Ok(());
        }
        let (size, what) = (replica.size(), self.store.locate(layout::NAMES_NOTE));
        // One that is damaged, or that this log's key did not sign, is made anew.
        let note = match self.store.read(layout::NAMES_NOTE) {
            // A newer isn will catch up.
            Ok(Some(bytes)) if SignedNames::is_of_newer_isn(&bytes) => return Ok(()),
            Ok(bytes) => bytes.map(|bytes| SignedNames::parse(&what, bytes)),
            // It is longer than any.
            Err(Error::Integrity { .. }) => {
                self.store.remove(layout::NAMES_NOTE)?;
                None
            }
            Err(e) => return Err(e),
        };
        let base = match note {
            None if size < LEAST => return Ok(()),
            None => None,
            Some(note) => {
                note.ok().and_then(|note| Some((note.claimed_size(), root_in(&note, replica, &what).ok()?)))
            }
        };
        if base.is_some_and(|(indexed, _)| indexed == size) {
            return Ok(());
        }
        let root = match self.add_names(replica, base) {
            Err(Error::Integrity { .. }) if base.is_some() => self.add_names(replica, None),
            added => added,
        }?;
        let signer = self.signer(&replica.history().key())?;
        let signed = SignedNames::sign(&signer, size, replica.tree().root()?, root)?;
        self.store.update(layout::NAMES_NOTE, &mut |there| {
            let there = there.and_then(|there| SignedNames::parse(&what, there.to_vec()).ok());
            // Another writer may be further.
            let is_older = there.is_none_or(|there| {
                there.claimed_size() <= size || there.verify_signature(signer.log_key()).is_err()
            });
            Ok(is_older.then(|| signed.bytes().to_vec()))
        })
    }

    /// Writes the files that the entries after `base` change; returns the root of the new index.
    fn add_names(&self, replica: &Replica, base: Option<(u64, Root)>) -> Result<Root> {
        let (size, first) = (replica.size(), base.map_or(0, |(indexed, _)| indexed));
        let mut filing = Filing::from_bundle(first / TILE_WIDTH);
        for index in (first / TILE_WIDTH)..size.div_ceil(TILE_WIDTH) {
            let width = TILE_WIDTH.min(size - index * TILE_WIDTH);
            let bytes = self.runtime.block_on(self.registry.bundle(self.files, index, width, 0))?;
            let what = || self.store.locate(&self.files.entries(index, width));
            let entries = bundle::read(&bytes, width);
            let entries = entries.map_err(|why| Error::trust(what(), format!("is damaged: it {why}")))?;
            for (number, entry) in (index * TILE_WIDTH..).zip(entries) {
                if replica.tree().leaf(number) != Some(leaf_hash(entry)) {
                    let why = format!("is damaged: it has another entry {number} than the log");
                    return Err(Error::trust(what(), why));
                }
                filing.push(entry);
            }
        }
        let mut read = |file: &File| {
            let path = layout::names_file(file);
            self.store.read(&path)?.ok_or_else(|| Error::integrity(self.store.locate(&path), "is missing"))
        };
        let mut write = |file: File, bytes: Vec<u8>| {
            self.store.replace(&layout::names_file(&file), &bytes)?;
            tidy(self.store, &file, KEPT as usize)
        };
        grow(base.map(|(_, root)| root), filing.between(first, size), &mut read, &mut write)
    }
}
