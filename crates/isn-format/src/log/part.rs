//! [`TreePart`]: as much of a log's tree as is needed to know that it has some entries, and that it continues
//! some earlier trees. It is read from tiles, each of which must lead to the root; so what is read from it is
//! proved, as by inclusion and consistency proofs of RFC 6962, which would be computed from the same hashes.

use std::collections::{BTreeMap, BTreeSet};

use tlog_tiles::{HashReader, split_stored_hash_index, stored_hash_index};

use super::tree::{HEIGHT, Hash, TILE_WIDTH, Tile};
use crate::error::{Error, Result};

/// What is to be known of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// The numbers of entries whose leaves are wanted.
    pub leaves: BTreeSet<u64>,
    /// The sizes of earlier trees whose roots are wanted.
    pub sizes: BTreeSet<u64>,
}

/// The hashes of a tree that answer some [`Questions`], all of which lead to its root.
pub struct TreePart {
    size: u64,
    root: Hash,
    /// By their number in the order in which [`Tree`](super::Tree) has them.
    hashes: BTreeMap<u64, Hash>,
}

impl Questions {
    /// Returns the tiles of a tree of `size` entries that answer the questions and lead to its root: the
    /// right edge of the tree, and for each entry and earlier size at most one more of each level, or two.
    ///
    /// # Errors
    /// The reason, if something is not in such a tree.
    pub fn tiles(&self, size: u64) -> Result<BTreeSet<Tile>, &'static str> {
        let mut tiles: BTreeSet<Tile> = edge_of(size).collect();
        for index in self.indexes(size)? {
            let mut tile = tile_of(size, index);
            // That of a full tile is in the tile above it.
            while tiles.insert(tile) && tile.width == TILE_WIDTH {
                tile = above(size, tile);
            }
        }
        Ok(tiles)
    }

    /// Returns the numbers of the hashes that answer the questions.
    fn indexes(&self, size: u64) -> Result<Vec<u64>, &'static str> {
        if self.leaves.last().is_some_and(|leaf| *leaf >= size) {
            return Err("has no such entry");
        }
        if self.sizes.last().is_some_and(|earlier| *earlier > size) {
            return Err("has fewer entries than an earlier tree");
        }
        let leaves = self.leaves.iter().map(|leaf| stored_hash_index(0, *leaf)).collect();
        let sizes = self.sizes.iter().filter(|earlier| **earlier > 0);
        let mut indexes: Vec<u64> =
            sizes.fold(leaves, |all, earlier| tlog_tiles::sub_tree_index(0, *earlier, all));
        indexes.sort_unstable();
        indexes.dedup();
        Ok(indexes)
    }
}

impl TreePart {
    /// Reads the answers to `questions` from the tiles of the tree of `size` entries with this root, which
    /// must be those of [`Questions::tiles`].
    ///
    /// # Errors
    /// The reason, if a tile is missing or does not lead to the root.
    pub fn read(
        (size, root): (u64, Hash),
        questions: &Questions,
        tiles: &BTreeMap<Tile, Vec<u8>>,
    ) -> Result<Self, &'static str> {
        let indexes = questions.indexes(size)?;
        let proved = Proved::check((size, root), questions, tiles)?;
        let hashes = proved.read_hashes(&indexes).map_err(|_| "lack a hash")?;
        Ok(TreePart { size, root, hashes: indexes.into_iter().zip(hashes).collect() })
    }

    /// Returns the number of entries of the whole tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root of the whole tree.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Returns the leaf of an entry, if it was asked for.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        self.hashes.get(&stored_hash_index(0, index)).copied()
    }

    /// Returns the root that the tree had with `size` entries, if it was asked for.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        match size == self.size {
            true => Some(self.root),
            false => tlog_tiles::tree_hash(size, self).ok(),
        }
    }
}

/// Returns the hashes that prove the entry `index` in the tree of `size` entries with this root, from the
/// tiles of the [`Questions`] that ask for that entry alone.
///
/// # Errors
/// [`Error::Internal`] if there is no such entry; [`Error::Trust`] if a tile is missing or does not lead to
/// the root.
pub fn prove_leaf(
    (size, root): (u64, Hash),
    index: u64,
    tiles: &BTreeMap<Tile, Vec<u8>>,
) -> Result<Vec<Hash>> {
    if index >= size {
        return Err(Error::Internal(format!("a proof of entry {index} of {size}")));
    }
    let questions = Questions { leaves: [index].into(), ..Questions::default() };
    let refuse = |why: &str| Error::trust("the log's tiles", why);
    let proved = Proved::check((size, root), &questions, tiles).map_err(refuse)?;
    tlog_tiles::prove_record(size, index, &proved).map_err(|_| refuse("lack a hash"))
}

impl HashReader for TreePart {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let found: Option<Vec<Hash>> = indexes.iter().map(|index| self.hashes.get(index).copied()).collect();
        found.ok_or_else(|| tlog_tiles::Error::InvalidInput("nobody asked for it".into()))
    }
}

/// Tiles of a tree, all of which lead to its root. (`tlog_tiles::TileHashReader` is not used: of a tree whose
/// right edge has several hashes in one tile, version 0.2 does not compare all tiles with those above them.)
struct Proved<'a> {
    size: u64,
    tiles: &'a BTreeMap<Tile, Vec<u8>>,
}

impl<'a> Proved<'a> {
    fn check(
        (size, root): (u64, Hash),
        questions: &Questions,
        tiles: &'a BTreeMap<Tile, Vec<u8>>,
    ) -> Result<Self, &'static str> {
        let proved = Proved { size, tiles };
        let wrong = "are not those of the tree that is signed";
        let wanted = questions.tiles(size)?;
        let has = |tile: &Tile| tiles.get(tile).is_some_and(|bytes| bytes.len() as u64 == 32 * tile.width);
        if !wanted.iter().all(has) {
            return Err("are not all there, or not as long as they must be");
        }
        if tlog_tiles::tree_hash(size, &proved).map_err(|_| wrong)? != root {
            return Err(wrong);
        }
        // The root has shown the edge. Any other tile is a full one, whose hash is in the tile above it.
        for tile in wanted.iter().filter(|tile| tile.width == TILE_WIDTH) {
            let hash = stored_hash_index(HEIGHT * (tile.level + 1), tile.index);
            let above = proved.read_hashes(&[hash]).map_err(|_| wrong)?;
            if above != [tlog_tiles::Tile::subtree_hash(&tiles[tile])] {
                return Err(wrong);
            }
        }
        Ok(proved)
    }
}

impl HashReader for Proved<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let hash = |&index: &u64| {
            let tile = tile_of(self.size, index);
            let bytes = self.tiles.get(&tile).ok_or(tlog_tiles::Error::InvalidTile)?;
            // A tile has at most 256 hashes.
            let of_tile = tlog_tiles::Tile::new(HEIGHT, tile.level, tile.index, tile.width as u32, false);
            of_tile.hash_at_index(bytes, index)
        };
        indexes.iter().map(hash).collect()
    }
}

/// The tiles of a tree of `size` entries that are not full: all their hashes are needed for its root.
fn edge_of(size: u64) -> impl Iterator<Item = Tile> {
    let levels = (0..).take_while(move |level| hashes_at(size, *level) > 0);
    levels.filter_map(move |level| {
        let hashes = hashes_at(size, level);
        let (index, width) = (hashes / TILE_WIDTH, hashes % TILE_WIDTH);
        (width > 0).then_some(Tile { level, index, width })
    })
}

/// The tile of a tree of `size` entries that has the hash `index`, or those from which it is computed.
fn tile_of(size: u64, index: u64) -> Tile {
    let (level, number) = split_stored_hash_index(index);
    tile_at(size, level / HEIGHT, (number << (level % HEIGHT)) >> HEIGHT)
}

/// The tile that has the hash of a full tile.
fn above(size: u64, tile: Tile) -> Tile {
    tile_at(size, tile.level + 1, tile.index / TILE_WIDTH)
}

fn tile_at(size: u64, level: u8, index: u64) -> Tile {
    let hashes = hashes_at(size, level);
    Tile { level, index, width: hashes.saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH) }
}

/// The number of hashes of a level of tiles.
fn hashes_at(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(HEIGHT) * u32::from(level)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
