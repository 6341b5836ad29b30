//! [`Extract`]: a log as far as it is about one name, for readers who do not read the rest of it.

use std::collections::BTreeMap;

use super::history::History;
use super::key::LogKey;
use super::names::Subject;
use super::tree::{Hash, Tree, leaf_hash};
use crate::dataset_ref::Name;
use crate::error::Result;

/// What a log says about a name, and about its own keys. docs/log-at-scale.md says why a replay of the
/// entries about both says the same as a replay of all entries.
#[derive(Clone, Debug, PartialEq)]
pub struct Extract {
    name: Name,
    /// The size and root of the log's tree.
    head: (u64, Hash),
    history: History,
    /// The entries that were replayed, by their numbers.
    leaves: BTreeMap<u64, Hash>,
}

impl Extract {
    /// Creates the extract about `name` of the log that the reader knows by `anchor`, before its first entry.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal), only by a defect in isn.
    pub fn new(anchor: LogKey, name: Name) -> Result<Self> {
        let head = (0, Tree::default().root()?);
        Ok(Extract { name, head, history: History::new(anchor), leaves: BTreeMap::new() })
    }

    /// Creates an extract from its parts; `None` if they do not belong together.
    pub fn of_parts(
        name: Name,
        head: (u64, Hash),
        history: History,
        leaves: BTreeMap<u64, Hash>,
    ) -> Option<Self> {
        let is_in = leaves.last_key_value().is_none_or(|(last, _)| *last < head.0);
        (history.size() == head.0 && is_in).then_some(Extract { name, head, history, leaves })
    }

    /// Returns the extract of the same log when its tree has `head`, size and root. `entries` are all entries
    /// since then that are about the name or the log, by their numbers. Each is in that tree, which continues
    /// the one before, as the caller has checked.
    ///
    /// # Errors
    /// The reason, if an entry is not new, or about something else.
    pub fn continued(
        mut self,
        head: (u64, Hash),
        entries: &BTreeMap<u64, Vec<u8>>,
    ) -> Result<Self, &'static str> {
        for (index, entry) in entries {
            if !(self.head.0..head.0).contains(index) {
                return Err("is not one of the new entries");
            }
            if !self.is_about(entry) {
                return Err("is about something else");
            }
            // One without effect is kept by the history.
            let _ = self.history.apply_at(*index, entry);
            self.leaves.insert(*index, leaf_hash(entry));
        }
        self.history.pass(head.0);
        self.head = head;
        Ok(self)
    }

    /// Whether an entry is about this name, or a change of the log's key.
    pub fn is_about(&self, entry: &[u8]) -> bool {
        match Subject::of(entry) {
            Some(Subject::Name(name)) => name == self.name,
            Some(Subject::Log) => true,
            None => false,
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the size and root of the log's tree.
    pub fn head(&self) -> (u64, Hash) {
        self.head
    }

    /// Returns the number of the log's entries.
    pub fn size(&self) -> u64 {
        self.head.0
    }

    /// Returns what the entries mean.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Returns the leaves of the entries that were replayed, by their numbers.
    pub fn leaves(&self) -> &BTreeMap<u64, Hash> {
        &self.leaves
    }
}
