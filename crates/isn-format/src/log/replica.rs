//! [`Replica`]: a log as far as it was read: its tree, and what its entries mean.

use super::bundle;
use super::history::{Accepted, History, Rejected};
use super::key::LogKey;
use super::tree::{TILE_WIDTH, Tree, leaf_hash};
use crate::error::Result;

/// All of a log but the bytes of its entries.
#[derive(Clone)]
pub struct Replica {
    tree: Tree,
    history: History,
    /// How many bytes the entries of the last bundle have, if it is not full: where the next entry begins in it.
    tail: u64,
}

impl Replica {
    /// Of the log that the reader knows by `anchor`, before its first entry.
    pub fn new(anchor: LogKey) -> Self {
        Replica { tree: Tree::default(), history: History::new(anchor), tail: 0 }
    }

    /// From its parts, which must belong together: `None` if they cannot.
    pub fn of_parts(tree: Tree, history: History, tail: u64) -> Option<Self> {
        let fits = tree.size() == history.size() && tail <= bundle::MAX_LEN;
        fits.then_some(Replica { tree, history, tail })
    }

    /// Appends the next entry.
    pub fn push(&mut self, entry: &[u8]) -> Result<Result<Accepted, Rejected>> {
        self.tree.push(leaf_hash(entry))?;
        let is_full = self.tree.size().is_multiple_of(TILE_WIDTH);
        self.tail = if is_full { 0 } else { self.tail + 2 + entry.len() as u64 };
        Ok(self.history.apply(entry))
    }

    /// How many entries.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Where the next entry begins in its bundle.
    pub fn tail(&self) -> u64 {
        self.tail
    }

    /// The tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What the entries mean.
    pub fn history(&self) -> &History {
        &self.history
    }
}
