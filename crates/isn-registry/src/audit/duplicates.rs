//! Finds pairs of pictures with near hashes without comparing all with all.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::phash::{TRIMMED, Turn, UNTITLED};
use super::print::{FULL, Guess, Print};

/// The maximum distance for pairs. Beyond it, hashes of different pictures meet by chance.
pub const MAX_DISTANCE: u32 = 16;

/// The largest distance at which every pair is found. For a larger one, two hashes must also agree but for
/// two bits in one of their four parts of 16 bits, as any two within this distance do.
const ALL_FOUND: u32 = 11;
/// The bits by which one of four parts may differ.
const IN_PART: u32 = 2;

/// The number of hashes that are looked up at a time.
const BATCH: usize = 1 << 22;

/// Two pictures whose hashes are near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The picture of which a part may be the other, by its position in the list.
    pub one: u32,
    /// The other picture.
    pub other: u32,
    /// The number of bits in which the hashes differ.
    pub distance: u32,
    /// How the one is taken.
    pub guess: Guess,
}

/// Whether hashes are near: at most `distance` bits differ, and if that is more than [`ALL_FOUND`], at most
/// two of a part.
fn are_near(a: u64, b: u64, distance: u32) -> bool {
    let differ = a ^ b;
    differ.count_ones() <= distance
        && (distance <= ALL_FOUND
            || (0..4).any(|part| (differ >> (16 * part) & 0xffff).count_ones() <= IN_PART))
}

/// A part of the bits of hashes, by whose values they are sorted.
#[derive(Clone, Copy, Debug)]
struct Part {
    shift: u32,
    bits: u32,
    /// The maximum number of bits of the part in which near hashes may differ.
    within: u32,
}

impl Part {
    fn value(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize & ((1 << self.bits) - 1)
    }

    /// Returns all differences of values within the limit.
    fn masks(&self) -> Vec<usize> {
        (0..1usize << self.bits).filter(|mask| mask.count_ones() <= self.within).collect()
    }

    fn are_near(&self, a: u64, b: u64) -> bool {
        self.value(a ^ b).count_ones() <= self.within
    }
}

/// Divides the bits of a hash into parts, so that near hashes are near in at least one of them (multi-index
/// hashing; Norouzi, Punjani, Fleet, CVPR 2012): if `d` bits differ, and all of `n` parts by more than their
/// limits, those sum to at most `d - n`. The more hashes, the wider the parts that take the least time.
fn parts(known: usize, wanted: usize, distance: u32) -> Vec<Part> {
    let divide = |count: u32| -> Vec<Part> {
        let spare = if distance > ALL_FOUND { count * IN_PART } else { (distance + 1).saturating_sub(count) };
        let (bits, wider) = (64 / count, 64 % count);
        let mut shift = 0;
        (0..count)
            .map(|at| {
                let bits = bits + u32::from(at < wider);
                let within = spare / count + u32::from(at < spare % count);
                shift += bits;
                Part { shift: shift - bits, bits, within }
            })
            .collect()
    };
    // With a single part of no bits, all are compared with all.
    let all = vec![Part { shift: 0, bits: 0, within: 0 }];
    let by_parts = (if distance > ALL_FOUND { 4..=4 } else { 3..=8 }).map(divide);
    let cost = |parts: &Vec<Part>| -> f64 {
        let of = |part: &Part| {
            let values = (1u64 << part.bits) as f64;
            let (known, wanted) = (known as f64, wanted as f64);
            let mut masks = (0.0, 1.0);
            for k in 0..=part.within {
                masks.0 += masks.1;
                masks.1 *= f64::from(part.bits.saturating_sub(k)) / f64::from(k + 1);
            }
            // To sort both, to look up values, and to compare hashes.
            8.0 * (known + values + wanted) + masks.0 * (wanted.min(values) + known / values * wanted)
        };
        parts.iter().map(of).sum()
    };
    by_parts.chain([all]).min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or_default()
}

/// Hashes, each with a number, by the value of one part: those with value `v` are
/// `hashes[starts[v]..starts[v + 1]]`.
struct Sorted {
    starts: Vec<u32>,
    hashes: Vec<u64>,
    numbers: Vec<u32>,
}

impl Sorted {
    fn new(hashes: &[(u64, u32)], part: Part) -> Sorted {
        let mut starts = vec![0u32; (1 << part.bits) + 1];
        hashes.iter().for_each(|&(hash, _)| starts[part.value(hash) + 1] += 1);
        (0..1 << part.bits).for_each(|value| starts[value + 1] += starts[value]);
        let mut next = starts.clone();
        let mut sorted = Sorted { starts, hashes: vec![0; hashes.len()], numbers: vec![0; hashes.len()] };
        for &(hash, number) in hashes {
            let place = &mut next[part.value(hash)];
            sorted.hashes[*place as usize] = hash;
            sorted.numbers[*place as usize] = number;
            *place += 1;
        }
        sorted
    }
}

/// Calls `found` with the numbers of every near pair of a known and a wanted hash, once, on any thread, and
/// returns what it returns. `advance` is told for each part how many more wanted hashes are done.
fn join<R: Send>(
    known: &[(u64, u32)],
    wanted: &[(u64, u32)],
    distance: u32,
    parts: &[Part],
    advance: impl Fn(usize) + Sync,
    found: impl Fn(u32, u32, u32) -> Option<R> + Sync,
) -> Vec<R> {
    let mut all = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let (known, wanted, masks) = (Sorted::new(known, *part), Sorted::new(wanted, *part), part.masks());
        // Slices of the hashes that are looked up, in their order, so that those of one value are together.
        let slice = wanted.hashes.len().div_ceil(256).max(64);
        let slices = wanted.hashes.par_chunks(slice).zip(wanted.numbers.par_chunks(slice));
        all.par_extend(slices.flat_map_iter(|(hashes, numbers)| {
            let mut some = Vec::new();
            let mut from = 0;
            while from < hashes.len() {
                let value = part.value(hashes[from]);
                let same = hashes[from..].iter().take_while(|&&hash| part.value(hash) == value).count();
                for mask in &masks {
                    let other = value ^ mask;
                    let range = known.starts[other] as usize..known.starts[other + 1] as usize;
                    if range.is_empty() {
                        continue;
                    }
                    for (&hash, &number) in hashes[from..].iter().zip(&numbers[from..]).take(same) {
                        for place in range.clone() {
                            let near = known.hashes[place];
                            let bits = (hash ^ near).count_ones();
                            // A pair that an earlier part found is known.
                            if bits <= distance
                                && are_near(hash, near, distance)
                                && !parts[..at].iter().any(|part| part.are_near(hash, near))
                            {
                                some.extend(found(known.numbers[place], number, bits));
                            }
                        }
                    }
                }
                from += same;
            }
            advance(hashes.len());
            some
        }));
    }
    all
}

/// Returns all the ways in which a picture is taken to be compared with all of others.
fn guesses() -> Vec<Guess> {
    let mirrored = Turn { mirrored: true, ..Turn::default() };
    let guess = |view, turn, inverted| Guess { view, to: 0, turn, inverted };
    let mut all = Vec::new();
    for view in [0, FULL] {
        all.extend(Turn::all().map(|turn| guess(view, turn, false)));
        all.extend([Turn::default(), mirrored].map(|turn| guess(view, turn, true)));
    }
    all.extend(TRIMMED.flat_map(|view| [Turn::default(), mirrored].map(|turn| guess(view, turn, false))));
    all
}

/// Returns the pairs of pictures of which one, laid in any way, or a part of it is near the other by a hash
/// and by their thumbnails, sorted. There may be several guesses for one pair. Pictures without a print are
/// in no pair. `advance` is told how many more are done. Uses the rayon pool that it is called in.
pub fn candidates(
    prints: &[Option<&Print>],
    distance: u32,
    advance: impl Fn(usize) + Sync,
) -> Vec<Candidate> {
    let distance = distance.min(MAX_DISTANCE);
    let mut all = all_of(prints, distance, &guesses(), &[0, FULL], &advance);
    for view in UNTITLED {
        let same = Guess { view, to: view, turn: Turn::default(), inverted: false };
        all.extend(all_of(prints, distance, &[same], &[view], &|_| ()));
    }
    all.par_sort_unstable_by_key(|found| {
        (found.one.min(found.other), found.one.max(found.other), found.distance, *found)
    });
    all
}

/// Returns all guesses about two pictures, whatever their hashes are, by their positions in the list.
pub fn guesses_about((a, one): (u32, &Print), (b, other): (u32, &Print)) -> Vec<Candidate> {
    let mut all = Vec::new();
    for ((a, one), (b, other)) in [((a, one), (b, other)), ((b, other), (a, one))] {
        for guess in guesses() {
            for to in [0, FULL] {
                let guess = Guess { to, ..guess };
                if let (Some(from), Some(to)) = (guess.hash(one), other.hash(to)) {
                    let distance = (from ^ to).count_ones();
                    all.push(Candidate { one: a, other: b, distance, guess });
                }
            }
        }
    }
    all
}

/// Returns the pairs of which one picture, taken in one of some ways, is near one of some parts of the other.
fn all_of(
    prints: &[Option<&Print>],
    distance: u32,
    guesses: &[Guess],
    to: &[u8],
    advance: &(impl Fn(usize) + Sync),
) -> Vec<Candidate> {
    let numbered = || prints.iter().zip(0u32..).filter_map(|(print, at)| Some((at, (*print)?)));
    let count = to.len() as u32;
    // A number says which picture it is, and which part of it.
    let known: Vec<(u64, u32)> = numbered()
        .flat_map(|(at, print)| {
            let hash = move |(part, &view)| Some((print.hash(view)?, at * count + part));
            (0u32..).zip(to).filter_map(hash)
        })
        .collect();
    let batch = BATCH / guesses.len();
    let parts = parts(known.len(), prints.len().min(batch) * guesses.len(), distance);
    let print = |at: u32| prints.get(at as usize).copied().flatten();
    let mut all = Vec::new();
    for start in (0..prints.len()).step_by(batch) {
        let some = numbered().skip_while(|(at, _)| (*at as usize) < start);
        let some = some.take_while(|(at, _)| (*at as usize) < start + batch);
        let (mut takes, mut wanted) = (Vec::new(), Vec::new());
        for (one, print) in some {
            for guess in guesses {
                let Some(hash) = guess.hash(print) else { continue };
                wanted.push((hash, takes.len() as u32));
                takes.push((one, *guess));
            }
        }
        // What is done is told in pictures.
        let (done, of_each) = (AtomicUsize::new(0), guesses.len() * parts.len());
        let tell = |more| {
            let before = done.fetch_add(more, Ordering::Relaxed);
            advance((before + more) / of_each - before / of_each);
        };
        all.extend(join(&known, &wanted, distance, &parts, tell, |number, take, distance| {
            let (one, guess) = takes[take as usize];
            let (other, to) = (number / count, to[(number % count) as usize]);
            let guess = Guess { to, ..guess };
            // A picture laid in a way that is its own inverse finds the other, and the other finds it.
            let again = guess.view == to && guess.turn.inverse() == guess.turn && one > other;
            (one != other && !again && print(one)?.may_be(print(other)?, guess)).then_some(Candidate {
                one,
                other,
                distance,
                guess,
            })
        }));
        advance(batch.min(prints.len() - start) - done.into_inner() / of_each);
    }
    all
}

#[cfg(test)]
mod tests;
