//! The order of an epoch: a pure function of the dataset hash, the seed and the epoch, the same on every
//! machine and for every number of workers. The specification is docs/order.md, the golden vector
//! tests/vectors/order.txt.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;
use crate::draws::Draws;

/// The first input of the random stream, before the dataset hash.
const DOMAIN: &[u8] = b"isn-order/1";
/// The number of neighbours that [`Shuffle::Shard`] keeps together: about 4 MB of a shard.
const RUN: usize = 64;
/// The number of runs that are mixed at a time.
const RUNS_MIXED: usize = 64;

/// How images are shuffled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    /// Not at all: the order of the index.
    None,
    /// Every order is equally likely.
    Full,
    /// Runs of neighbours come in a random order, and some runs at a time are mixed: consecutive reads are
    /// close together, which helps slow disks.
    Shard,
}

/// Why a text is not a [`Shuffle`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a way to shuffle: expected full, shard or none")]
pub struct ShuffleError(String);

impl FromStr for Shuffle {
    type Err = ShuffleError;

    fn from_str(text: &str) -> Result<Self, ShuffleError> {
        match text {
            "none" => Ok(Shuffle::None),
            "full" => Ok(Shuffle::Full),
            "shard" => Ok(Shuffle::Shard),
            _ => Err(ShuffleError(text.into())),
        }
    }
}

impl fmt::Display for Shuffle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shuffle::None => "none",
            Shuffle::Full => "full",
            Shuffle::Shard => "shard",
        })
    }
}

/// Returns the order of an epoch: a permutation of 0 to `images` - 1, the positions in a selection of
/// `dataset`.
pub fn order(dataset: &Digest, seed: u64, epoch: u64, images: u32, shuffle: Shuffle) -> Vec<u32> {
    let mut order: Vec<u32> = (0..images).collect();
    if shuffle == Shuffle::None {
        return order;
    }
    let numbers = [seed.to_le_bytes(), epoch.to_le_bytes(), u64::from(images).to_le_bytes()];
    let mut draws = Draws::new(&[DOMAIN, dataset.as_bytes(), numbers.as_flattened()]);
    if shuffle == Shuffle::Full {
        draws.shuffle(&mut order);
        return order;
    }
    let mut runs: Vec<&[u32]> = order.chunks(RUN).collect();
    draws.shuffle(&mut runs);
    let mut mixed = Vec::with_capacity(order.len());
    for some in runs.chunks(RUNS_MIXED) {
        let begin = mixed.len();
        some.iter().for_each(|run| mixed.extend_from_slice(run));
        draws.shuffle(&mut mixed[begin..]);
    }
    mixed
}

/// Returns the share of an order for `rank` of `world`: every `world`th image, starting at the `rank`th. All
/// ranks get the same number; if the order does not divide evenly, it continues from its beginning.
pub fn share(order: &[u32], rank: u32, world: u32) -> Vec<u32> {
    let (rank, world) = (rank as usize, world.max(1) as usize);
    if order.is_empty() {
        return Vec::new();
    }
    (0..order.len().div_ceil(world)).map(|turn| order[(turn * world + rank) % order.len()]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_order_is_the_golden_vector() {
        let golden = include_str!("../../../tests/vectors/order.txt");
        let mut checked = 0;
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let [dataset, seed, epoch, images, shuffle, expected] = fields[..] else { panic!("{line}") };
            let dataset = Digest::from_prefixed(dataset).unwrap();
            let number = |text: &str| text.parse().unwrap();
            let images = number(images) as u32;
            let got = order(&dataset, number(seed), number(epoch), images, shuffle.parse().unwrap());
            if expected.starts_with("b3:") {
                let bytes: Vec<u8> = got.iter().flat_map(|image| image.to_le_bytes()).collect();
                assert_eq!(Digest::of(&bytes).prefixed(), expected, "{line}");
            } else {
                let got: Vec<String> = got.iter().map(u32::to_string).collect();
                assert_eq!(got.join(","), expected, "{line}");
            }
            checked += 1;
        }
        assert!(checked >= 6);
    }

    #[test]
    fn ranks_have_equal_shares_and_together_everything_once() {
        let dataset = Digest::of(b"");
        for images in [0, 1, 2, 7, 64, 65, 1000, 5000] {
            for shuffle in [Shuffle::None, Shuffle::Full, Shuffle::Shard] {
                let order = order(&dataset, 1, 2, images, shuffle);
                assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), images as usize);
                for world in [1, 2, 3, 8] {
                    let shares: Vec<Vec<u32>> = (0..world).map(|rank| share(&order, rank, world)).collect();
                    assert!(shares.iter().all(|s| s.len() == images.div_ceil(world) as usize));
                    // Taken turn by turn, they are the order again, followed by its beginning.
                    let turns = shares[0].len();
                    let all: Vec<u32> = (0..turns).flat_map(|t| shares.iter().map(move |s| s[t])).collect();
                    assert_eq!(all[..order.len()], order);
                    let padding = order.iter().cycle().take(all.len() - order.len());
                    assert!(all[order.len()..].iter().eq(padding));
                }
            }
        }
    }

    #[test]
    fn seed_epoch_and_dataset_make_other_orders() {
        let base = order(&Digest::of(b""), 0, 0, 100, Shuffle::Full);
        for other in [
            order(&Digest::of(b"x"), 0, 0, 100, Shuffle::Full),
            order(&Digest::of(b""), 1, 0, 100, Shuffle::Full),
            order(&Digest::of(b""), 0, 1, 100, Shuffle::Full),
            order(&Digest::of(b""), 0, 0, 100, Shuffle::Shard),
        ] {
            assert_ne!(base, other);
        }
    }
}
