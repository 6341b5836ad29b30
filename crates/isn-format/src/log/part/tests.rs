use proptest::prelude::*;

use super::*;
use crate::log::{Tree, leaf_hash};

fn tree_of(size: u64) -> Tree {
    Tree::of((0..size).map(|n| leaf_hash(format!("entry {n}").as_bytes()))).unwrap()
}

/// The tiles that a registry with this tree has.
fn tiles_of(tree: &Tree) -> BTreeMap<Tile, Vec<u8>> {
    tree.tiles_since(0).unwrap().into_iter().collect()
}

/// Those of them that answer the questions.
fn answers(questions: &Questions, tree: &Tree) -> BTreeMap<Tile, Vec<u8>> {
    let all = tiles_of(tree);
    let wanted = questions.tiles(tree.size()).unwrap();
    wanted.into_iter().map(|tile| (tile, all[&tile].clone())).collect()
}

fn ask(leaves: impl IntoIterator<Item = u64>, sizes: impl IntoIterator<Item = u64>) -> Questions {
    Questions { leaves: leaves.into_iter().collect(), sizes: sizes.into_iter().collect() }
}

fn head(tree: &Tree) -> (u64, Hash) {
    (tree.size(), tree.root().unwrap())
}

#[track_caller]
fn check(tree: &Tree, questions: &Questions) {
    let tiles = answers(questions, tree);
    let part = TreePart::read(head(tree), questions, &tiles).unwrap();
    assert_eq!((part.size(), part.root()), head(tree));
    for leaf in &questions.leaves {
        assert_eq!(part.leaf(*leaf), tree.leaf(*leaf));
        let of_one = answers(&ask([*leaf], []), tree);
        assert_eq!(prove_leaf(head(tree), *leaf, &of_one).unwrap(), tree.prove_leaf(*leaf).unwrap());
    }
    for size in &questions.sizes {
        assert_eq!(part.root_at(*size), Some(tree.root_at(*size).unwrap()), "{size} of {}", tree.size());
    }
}

#[test]
fn every_entry_and_every_earlier_tree_of_a_small_tree_is_proved() {
    let last = 40;
    let whole = tree_of(last);
    for size in 0..=last {
        let tree = tree_of(size);
        check(&tree, &ask(0..size, 0..=size));
        for earlier in 0..=size {
            check(&tree, &ask([], [earlier]));
            // The tree of another log of that size is none of its earlier ones.
            let part = TreePart::read(head(&tree), &ask([], [earlier]), &answers(&ask([], [earlier]), &tree))
                .unwrap();
            assert_eq!(part.root_at(earlier), Some(whole.root_at(earlier).unwrap()));
        }
    }
}

#[test]
fn the_tiles_of_a_long_log_are_few() {
    let tree = tree_of(3000);
    // Of two levels: one for the entry, one for each of the two right edges, and the one above them.
    assert_eq!(ask([5], [1000]).tiles(3000).unwrap().len(), 4);
    assert_eq!(ask([2999], [2999]).tiles(3000).unwrap().len(), 2);
    check(&tree, &ask([0, 255, 256, 2999], [1, 255, 256, 257, 2816, 3000]));
    assert!(ask([3000], []).tiles(3000).is_err());
    assert!(ask([], [3001]).tiles(3000).is_err());
    assert!(ask([], [0]).tiles(0).unwrap().is_empty());
    let part = TreePart::read((0, tree_of(0).root().unwrap()), &ask([], [0]), &BTreeMap::new()).unwrap();
    assert_eq!(part.root_at(0), Some(tree_of(0).root().unwrap()));
    // What was not asked for is not known.
    let part = TreePart::read(head(&tree), &ask([5], []), &answers(&ask([5], []), &tree)).unwrap();
    assert_eq!((part.leaf(6), part.root_at(7)), (None, None));
}

#[test]
fn every_flipped_bit_and_every_missing_tile_is_refused() {
    let tree = tree_of(600);
    let questions = ask([3, 300, 599], [256, 300, 513]);
    let good = answers(&questions, &tree);
    for (tile, bytes) in &good {
        // A bit of every hash.
        for at in (0..bytes.len()).step_by(31) {
            let mut bad = good.clone();
            bad.get_mut(tile).unwrap()[at] ^= 1 << (at % 8);
            assert!(TreePart::read(head(&tree), &questions, &bad).is_err(), "{tile:?} byte {at}");
        }
        let mut bad = good.clone();
        bad.remove(tile);
        assert!(TreePart::read(head(&tree), &questions, &bad).is_err(), "without {tile:?}");
        for bytes in [&bytes[..bytes.len() - 32], &[], &[bytes.as_slice(), &[0; 32]].concat()] {
            bad.insert(*tile, bytes.to_vec());
            assert!(TreePart::read(head(&tree), &questions, &bad).is_err(), "{tile:?} of another length");
        }
    }
    for (size, root) in [(600, Hash([7; 32])), (599, tree.root().unwrap())] {
        assert!(TreePart::read((size, root), &questions, &good).is_err());
        assert!(prove_leaf((size, root), 3, &good).is_err());
    }
    assert!(prove_leaf(head(&tree), 600, &good).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_part_says_what_the_whole_tree_says(
        size in 1..70_000_u64,
        leaves in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        sizes in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let tree = tree_of(size);
        let at = |index: prop::sample::Index, most: u64| index.index(most as usize) as u64;
        let leaves = leaves.into_iter().map(|leaf| at(leaf, size));
        let sizes = sizes.into_iter().map(|earlier| at(earlier, size + 1));
        check(&tree, &ask(leaves, sizes));
    }
}
