//! Which keys sign the checkpoints of a log: the one that the reader knows it by, those that came after it,
//! and those that led to it.

use serde::{Deserialize, Serialize};

use super::super::key::LogKey;
use super::{History, Refusal};
use crate::key::PublicKey;
use crate::statement::LogKeyChange;

/// The number of changes before the anchor that are kept.
const MAX_EARLIER: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyChange {
    index: u64,
    key: PublicKey,
}

/// A change from one key to another, before any change of the anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EarlierChange {
    index: u64,
    old: PublicKey,
    new: PublicKey,
}

impl History {
    /// Returns the key that signs checkpoints when the log has `size` entries: a change counts from its own
    /// entry on.
    pub fn key_at(&self, size: u64) -> LogKey {
        let change = self.keys.iter().rev().find(|change| change.index < size);
        change.map_or_else(|| self.anchor.clone(), |change| self.anchor.with_key(change.key))
    }

    /// Returns the key that currently signs checkpoints.
    pub fn key(&self) -> LogKey {
        self.key_at(self.size)
    }

    /// Returns the keys that the log has had since the anchor, the one in force last.
    pub fn keys(&self) -> impl Iterator<Item = LogKey> {
        let later = self.keys.iter().map(|change| self.anchor.with_key(change.key));
        std::iter::once(self.anchor.clone()).chain(later)
    }

    /// Returns the numbers of the entries that changed the log's key.
    pub(super) fn key_changes(&self) -> Vec<u64> {
        let earlier = self.earlier.iter().map(|change| change.index);
        earlier.chain(self.keys.iter().map(|change| change.index)).collect()
    }

    /// Whether this is the log's key, or has been since the anchor.
    pub fn has_key(&self, key: &LogKey) -> bool {
        self.keys().any(|one| one == *key)
    }

    /// Returns the keys that led to the anchor, the last one first, each with the number of the entry by
    /// which it was given up. The anchor vouches for them: it has signed that change, and so on.
    fn earlier_keys(&self) -> impl Iterator<Item = (u64, LogKey)> {
        let mut key = *self.anchor.key();
        self.earlier.iter().rev().filter_map(move |change| {
            if change.new != key {
                return None;
            }
            key = change.old;
            Some((change.index, self.anchor.with_key(key)))
        })
    }

    /// As [`History::key_at`], also for checkpoints that a key before the anchor signed.
    pub fn signer_at(&self, size: u64) -> LogKey {
        let earlier = self.earlier_keys().take_while(|(index, _)| size <= *index).last();
        earlier.map_or_else(|| self.key_at(size), |(_, key)| key)
    }

    /// Returns the key that was in force before the anchor, if a change says so.
    pub fn predecessor(&self) -> Option<LogKey> {
        self.earlier_keys().next().map(|(_, key)| key)
    }

    /// Returns all keys that the log has had, as far as the anchor vouches for them, the one in force last.
    pub fn all_keys(&self) -> impl Iterator<Item = LogKey> {
        let earlier: Vec<LogKey> = self.earlier_keys().map(|(_, key)| key).collect();
        earlier.into_iter().rev().chain(self.keys())
    }

    pub(super) fn check_log_key(&self, change: &LogKeyChange, signers: &[PublicKey]) -> Result<(), Refusal> {
        if change.origin != self.anchor.origin() {
            return Err("is about another log".into());
        }
        // A reader who knows the log by a later key also meets the changes that led to it: they are valid,
        // but only say which key was in force before.
        let led_here = self.keys.is_empty() && change.old != *self.anchor.key();
        if !led_here && change.old != *self.key().key() {
            return Err("does not start from the key in force".into());
        }
        let before = self.keys.iter().map(|change| &change.key).chain([self.anchor.key()]);
        if !led_here && before.into_iter().any(|key| *key == change.new) {
            return Err("returns to a key that was given up".into());
        }
        let both = [change.old, change.new];
        if signers.len() == 2 && both.iter().all(|key| signers.contains(key)) {
            Ok(())
        } else {
            Err("is not signed by the old and the new key, and by them alone".into())
        }
    }

    pub(super) fn enact_log_key(&mut self, index: u64, change: &LogKeyChange) {
        if change.old == *self.key().key() {
            self.keys.push(KeyChange { index, key: change.new });
            return;
        }
        if self.earlier.len() == MAX_EARLIER {
            self.earlier.remove(0);
        }
        self.earlier.push(EarlierChange { index, old: change.old, new: change.new });
    }
}
