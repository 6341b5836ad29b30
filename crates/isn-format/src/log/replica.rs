//! [`Replica`]: a log as far as it has been read: its tree, and what its entries mean.

use super::bundle;
use super::history::{Accepted, History, Rejected};
use super::key::LogKey;
use super::tree::{TILE_WIDTH, Tree, leaf_hash};
use crate::error::Result;

/// Everything about a log except the bytes of its entries.
#[derive(Clone)]
pub struct Replica {
    tree: Tree,
    history: History,
    /// The length of the entries in the last bundle, unless it is full: where the next entry begins in it.
    tail: u64,
}

impl Replica {
    /// Creates the replica of the log that the reader knows by `anchor`, before its first entry.
    pub fn new(anchor: LogKey) -> Self {
        Replica { tree: Tree::default(), history: History::new(anchor), tail: 0 }
    }

    /// Creates a replica from its parts; `None` if they do not belong together.
    pub fn of_parts(tree: Tree, history: History, tail: u64) -> Option<Self> {
        let fits = tree.size() == history.size() && tail <= bundle::MAX_LEN;
        fits.then_some(Replica { tree, history, tail })
    }

    /// Appends the next entry. The inner result says whether it has an effect.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal), only by a defect in isn.
    pub fn push(&mut self, entry: &[u8]) -> Result<Result<Accepted, Rejected>> {
        self.tree.push(leaf_hash(entry))?;
        let is_full = self.tree.size().is_multiple_of(TILE_WIDTH);
        self.tail = if is_full { 0 } else { self.tail + 2 + entry.len() as u64 };
        Ok(self.history.apply(entry))
    }

    /// Returns the number of entries.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Returns where the next entry begins in its bundle.
    pub fn tail(&self) -> u64 {
        self.tail
    }

    /// Returns the tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns what the entries mean.
    pub fn history(&self) -> &History {
        &self.history
    }
}
