//! [`Tree`]: the Merkle tree over a log's entries, kept whole in memory: 64 bytes per entry.

pub use tlog_tiles::Hash;
use tlog_tiles::HashReader;

use crate::error::{Error, Result};

/// A tile has up to 2^8 hashes, a bundle up to as many entries.
pub(super) const HEIGHT: u8 = 8;
/// The number of hashes in a full tile, and of entries in a full bundle.
pub const TILE_WIDTH: u64 = 1 << HEIGHT;

/// Returns the leaf of an entry: the SHA-256 of a zero byte and the entry's bytes.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    tlog_tiles::record_hash(entry)
}

/// A tile of the tree: `width` hashes (1 to 256), starting at `index` × 256, of the level `level` × 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// Counted from the leaves.
    pub level: u8,
    /// Counted from the left.
    pub index: u64,
    /// 256 in a full one.
    pub width: u64,
}

impl From<&tlog_tiles::Tile> for Tile {
    fn from(tile: &tlog_tiles::Tile) -> Self {
        Tile { level: tile.level(), index: tile.level_index(), width: u64::from(tile.width()) }
    }
}

/// A tree: its leaves and all inner nodes.
#[derive(Clone, Default)]
pub struct Tree {
    size: u64,
    /// In the order in which nodes are completed: a leaf comes before the nodes that it completes.
    stored: Vec<Hash>,
}

impl Tree {
    /// Creates the tree of `leaves`.
    ///
    /// # Errors
    /// [`Error::Internal`], only by a defect in isn.
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Result<Self> {
        let mut tree = Tree::default();
        for leaf in leaves {
            tree.push(leaf)?;
        }
        Ok(tree)
    }

    /// Appends a leaf.
    ///
    /// # Errors
    /// [`Error::Internal`], only by a defect in isn.
    pub fn push(&mut self, leaf: Hash) -> Result<()> {
        let new = tlog_tiles::stored_hashes_for_record_hash(self.size, leaf, self).map_err(internal)?;
        self.stored.extend(new);
        self.size += 1;
        Ok(())
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the leaf at `index`, if there is one.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        let at = tlog_tiles::stored_hash_index(0, index);
        (index < self.size).then(|| self.stored.get(at as usize).copied()).flatten()
    }

    /// Returns the root.
    ///
    /// # Errors
    /// [`Error::Internal`], only by a defect in isn.
    pub fn root(&self) -> Result<Hash> {
        self.root_at(self.size)
    }

    /// Returns the root that the tree had with `size` leaves, at most the current number.
    ///
    /// # Errors
    /// [`Error::Internal`] if `size` is larger.
    pub fn root_at(&self, size: u64) -> Result<Hash> {
        if size > self.size {
            return Err(Error::Internal(format!("root at {size} of a tree of {}", self.size)));
        }
        tlog_tiles::tree_hash(size, self).map_err(internal)
    }

    /// Returns the hashes that prove the leaf `index` in the current tree.
    ///
    /// # Errors
    /// [`Error::Internal`] if there is no such leaf.
    pub fn prove_leaf(&self, index: u64) -> Result<Vec<Hash>> {
        tlog_tiles::prove_record(self.size, index, self).map_err(internal)
    }

    /// Returns the tiles that are new or wider than when the tree had `old` leaves, with their bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if `old` is larger than the current number of leaves.
    pub fn tiles_since(&self, old: u64) -> Result<Vec<(Tile, Vec<u8>)>> {
        let tiles = tlog_tiles::Tile::new_tiles(HEIGHT, old, self.size);
        let described = tiles.into_iter().map(|tile| {
            let data = tile.read_data(self).map_err(internal)?;
            Ok((Tile::from(&tile), data))
        });
        described.collect()
    }
}

impl HashReader for Tree {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let stored = |&index: &u64| self.stored.get(index as usize).copied();
        let found: Option<Vec<Hash>> = indexes.iter().map(stored).collect();
        found.ok_or_else(|| tlog_tiles::Error::InvalidInput("no such node".into()))
    }
}

fn internal(e: tlog_tiles::Error) -> Error {
    Error::Internal(format!("log tree: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(format!("entry {n}").as_bytes())).collect()
    }

    #[test]
    fn the_empty_tree_has_the_root_of_rfc_6962() {
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(Tree::default().root().unwrap().to_string(), empty);
    }

    #[test]
    fn roots_of_the_past_stay_what_they_were() {
        let mut tree = Tree::default();
        let mut roots = vec![tree.root().unwrap()];
        for leaf in leaves(300) {
            tree.push(leaf).unwrap();
            roots.push(tree.root().unwrap());
        }
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(tree.root_at(size as u64).unwrap(), *root, "{size}");
        }
        for index in [0, 1, 255, 256, 299] {
            let proof = tree.prove_leaf(index).unwrap();
            let leaf = tree.leaf(index).unwrap();
            tlog_tiles::check_record(&proof, 300, roots[300], index, leaf).unwrap();
        }
        assert_eq!(tree.leaf(300), None);
    }

    #[test]
    fn tiles_are_those_that_change() {
        let tree = Tree::of(leaves(257)).unwrap();
        let tiles = |old| {
            tree.tiles_since(old)
                .unwrap()
                .into_iter()
                .map(|(tile, data)| {
                    assert_eq!(data.len() as u64, tile.width * 32);
                    (tile.level, tile.index, tile.width)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(tiles(0), [(0, 0, 256), (0, 1, 1), (1, 0, 1)]);
        assert_eq!(tiles(255), [(0, 0, 256), (0, 1, 1), (1, 0, 1)]);
        assert_eq!(tiles(256), [(0, 1, 1)]);
        assert_eq!(tiles(257), []);
    }
}
