//! Finds pairs of near hashes without comparing all with all, and groups what belongs together.

use rayon::prelude::*;

use super::phash::{Hashes, MIRRORED, OWN};

/// The maximum distance for pairs. Beyond it, hashes of different pictures meet by chance.
pub const MAX_DISTANCE: u32 = 16;

/// Two pictures whose hashes are near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The first picture, by its position in the list.
    pub a: usize,
    /// The second picture, which comes after the first.
    pub b: usize,
    /// The number of bits in which their nearest hashes differ.
    pub distance: u32,
    /// Whether one of these hashes is of the mirror image.
    pub mirrored: bool,
}

/// Hashes by the values of their four 16-bit parts. Two hashes that differ in at most `d` bits differ in at
/// most `d / 4` bits in one of the parts (multi-index hashing; Norouzi, Punjani, Fleet, CVPR 2012). The
/// search looks up every value of each part within that distance, and is exact.
struct PartIndex<'h> {
    hashes: &'h [(usize, u64)],
    parts: [Part; 4],
}

/// The hashes by the value of one part: those with value `v` are `members[starts[v]..starts[v + 1]]`.
struct Part {
    starts: Vec<u32>,
    members: Vec<u32>,
}

fn part_of(hash: u64, part: usize) -> usize {
    (hash >> (16 * part)) as usize & 0xffff
}

impl<'h> PartIndex<'h> {
    fn new(hashes: &'h [(usize, u64)]) -> Self {
        let parts = [0, 1, 2, 3].map(|part| {
            let mut starts = vec![0u32; (1 << 16) + 1];
            hashes.iter().for_each(|&(_, hash)| starts[part_of(hash, part) + 1] += 1);
            for value in 0..1 << 16 {
                starts[value + 1] += starts[value];
            }
            let (mut next, mut members) = (starts.clone(), vec![0u32; hashes.len()]);
            for (at, &(_, hash)) in hashes.iter().enumerate() {
                let place = &mut next[part_of(hash, part)];
                members[*place as usize] = at as u32;
                *place += 1;
            }
            Part { starts, members }
        });
        PartIndex { hashes, parts }
    }

    /// Calls `found` with every hash at most `distance` bits from `hash`, with some more than once.
    fn near(&self, hash: u64, distance: u32, masks: &[u16], mut found: impl FnMut(usize, u32)) {
        for (number, part) in self.parts.iter().enumerate() {
            let value = part_of(hash, number);
            for &mask in masks {
                let value = value ^ usize::from(mask);
                let members = part.starts[value] as usize..part.starts[value + 1] as usize;
                for &member in &part.members[members] {
                    let (image, other) = self.hashes[member as usize];
                    let bits = (hash ^ other).count_ones();
                    if bits <= distance {
                        found(image, bits);
                    }
                }
            }
        }
    }
}

/// Returns all pairs with a hash at most `distance` bits ([`MAX_DISTANCE`] at most) from a hash of the other
/// picture, or of its mirror image. Each pair is listed once, sorted. Pictures without hashes are in no pair.
/// Uses the rayon pool that it is called in.
pub(crate) fn near_pairs(hashes: &[Option<Hashes>], distance: u32) -> Vec<Pair> {
    let distance = distance.min(MAX_DISTANCE);
    let masks: Vec<u16> = (0..=u16::MAX).filter(|mask| mask.count_ones() <= distance / 4).collect();
    let mut pairs = Vec::new();
    for select in [|hashes: &Hashes| hashes.plain, |hashes: &Hashes| hashes.ranked] {
        let known = hashes.iter().enumerate().filter_map(|(at, hashes)| Some((at, select(hashes.as_ref()?))));
        let known: Vec<(usize, [u64; 2])> = known.collect();
        let own: Vec<(usize, u64)> = known.iter().map(|(at, hashes)| (*at, hashes[OWN])).collect();
        let index = PartIndex::new(&own);
        pairs.par_extend(known.par_iter().flat_map_iter(|&(a, of_a)| {
            let mut found = Vec::new();
            for mirrored in [false, true] {
                let query = of_a[if mirrored { MIRRORED } else { OWN }];
                index.near(query, distance, &masks, |b, bits| {
                    // Unmirrored, the other picture finds this one too. By the mirrored hash it may not,
                    // since that has its own median.
                    if a < b || (mirrored && a != b) {
                        found.push(Pair { a: a.min(b), b: a.max(b), distance: bits, mirrored });
                    }
                });
            }
            found.sort_unstable();
            found.dedup();
            found
        }));
    }
    // The nearest comes first, unmirrored before mirrored.
    pairs.par_sort_unstable();
    pairs.dedup_by_key(|pair| (pair.a, pair.b));
    pairs
}

/// Groups of what belongs together, directly or through others (union-find).
#[derive(Clone, Debug)]
pub(crate) struct UnionFind {
    parents: Vec<usize>,
}

impl UnionFind {
    /// Makes `count` groups of one member each.
    pub(crate) fn new(count: usize) -> Self {
        UnionFind { parents: (0..count).collect() }
    }

    /// Returns the first member of the group of `at`.
    pub(crate) fn first(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    /// Joins the groups of two members. Returns `false` if they were in one group already.
    pub(crate) fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.first(a), self.first(b));
        // The lower number is the root, so the result does not depend on the order of joins.
        self.parents[a.max(b)] = a.min(b);
        a != b
    }

    /// Returns the groups of two or more, sorted by their first member, with their members in order.
    pub(crate) fn groups(&mut self) -> Vec<Vec<usize>> {
        let mut by_first: std::collections::BTreeMap<usize, Vec<usize>> = Default::default();
        for at in 0..self.parents.len() {
            by_first.entry(self.first(at)).or_default().push(at);
        }
        by_first.into_values().filter(|members| members.len() > 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64) -> u64 {
        u64::from_le_bytes(blake3::hash(&seed.to_le_bytes()).as_bytes()[..8].try_into().unwrap())
    }

    /// Makes hashes of which many are near each other: a few centres, each with up to 20 bits changed.
    fn sample(count: u64) -> Vec<Option<Hashes>> {
        let hash = |i: u64, salt: u64| {
            let flips = (0..random(i ^ salt) % 20).map(|k| 1u64 << (random(i * 100 + k + salt) % 64));
            random(i % 40 + salt) ^ flips.fold(0, |all, bit| all ^ bit)
        };
        let hashes = |i: u64| Hashes {
            plain: [hash(i, 0), hash(i + 13, 0)],
            ranked: [hash(i, 1 << 40), hash(i, 1 << 41)],
        };
        (0..count).map(|i| (i % 17 != 0).then(|| hashes(i))).collect()
    }

    #[test]
    fn the_index_finds_what_comparing_all_with_all_finds() {
        let hashes = sample(600);
        for distance in [0, 3, 4, 8, 11, 16] {
            let mut expected = Vec::new();
            for (a, of_a) in hashes.iter().enumerate() {
                for (b, of_b) in hashes.iter().enumerate().skip(a + 1) {
                    let (Some(x), Some(y)) = (of_a, of_b) else { continue };
                    let mut found = Vec::new();
                    for (x, y) in [(x.plain, y.plain), (x.ranked, y.ranked)] {
                        for (one, other, mirrored) in
                            [(x[0], y[0], false), (x[1], y[0], true), (x[0], y[1], true)]
                        {
                            found.push(((one ^ other).count_ones(), mirrored));
                        }
                    }
                    let nearest = *found.iter().min().unwrap();
                    if nearest.0 <= distance {
                        expected.push(Pair { a, b, distance: nearest.0, mirrored: nearest.1 });
                    }
                }
            }
            assert!(expected.len() > 20, "{distance}: {}", expected.len());
            assert_eq!(near_pairs(&hashes, distance), expected, "{distance}");
        }
    }

    #[test]
    fn groups_do_not_depend_on_the_order_of_joins() {
        let joins = [(7, 2), (2, 5), (9, 8), (5, 7), (0, 9)];
        for turn in 0..joins.len() {
            let mut groups = UnionFind::new(10);
            for k in 0..joins.len() {
                let (a, b) = joins[(k + turn) % joins.len()];
                groups.join(a, b);
            }
            assert_eq!(groups.groups(), [vec![0, 8, 9], vec![2, 5, 7]]);
            assert!(!groups.join(2, 7) && groups.join(2, 3));
        }
    }
}
