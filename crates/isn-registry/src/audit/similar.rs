//! Decides whether two pictures with near hashes are one picture, by laying their details over each other.
//!
//! A detail is a cell's luminance minus the mean around it, divided by the deviation around it, so that
//! changes of brightness or contrast do not matter, and outlines count no more than what is within them. One
//! picture is shifted, scaled and turned a little against the other until the details correlate best. Then
//! every block of 8 × 8 cells is looked at alone, and the blocks that agree least are left out, since a copy
//! may have a text on it. The code uses only additions, multiplications, divisions and square roots of
//! floats, which IEEE 754 defines to the last bit, so every machine gives the same result.

use super::grid::{Grid, SIDE};
use super::phash::Turn;
use super::print::Guess;

/// The minimum similarity of two pictures that count as one. Measured (see `benches/README.md`).
pub const SIMILAR: f64 = 0.8;

/// The number of cells of a thumbnail in each direction.
const THUMB: usize = SIDE / 2;
/// A similarity at which the search for a better fit stops.
const ENOUGH: f64 = 0.95;
/// The mean around a cell extends this many cells to each side of it.
const AROUND: usize = 6;
/// What is added to the deviation around a cell, in grey levels, so that noise is no detail.
const NOISE: f64 = 4.0;
/// The maximum movement of a border from where a guess lays it, in cells: 5% of the side.
const MAX_MOVE: f64 = 3.2;
/// The maximum turn, in radians: 5 degrees.
const MAX_TILT: f64 = 0.088;
/// The steps of the search, in cells at the border.
const STEPS: [f64; 3] = [1.0, 0.5, 0.25];
/// The maximum number of rounds of the search for each step.
const ROUNDS: usize = 10;
/// The number of cells in a block, in each direction.
const BLOCK: usize = 8;
/// The number of blocks.
const BLOCKS: usize = (SIDE / BLOCK) * (SIDE / BLOCK);
/// The part of the weight of all blocks that is left out.
const LEFT_OUT: f64 = 0.25;
/// How many times less the other blocks may differ than all blocks.
const STRICTER: f64 = 4.0;
/// The minimum correlation of all blocks for some to be left out.
const PARTLY: f64 = 0.6;
/// The minimum part of the cells of a picture that must lie over the other.
const OVERLAP: f64 = 0.5;

/// The details of a picture.
#[derive(Clone, Debug)]
pub struct Detail(Vec<f64>);

/// Returns the details of `side` × `side` levels, with a mean that extends `around` cells.
fn details(levels: &[u32], side: usize, around: usize) -> Vec<f64> {
    // Sums over all cells above and to the left, and of their squares.
    let line = side + 1;
    let mut sums = vec![(0u32, 0u32); line * line];
    for y in 0..side {
        for x in 0..side {
            let level = levels[y * side + x];
            let (above, before, both) =
                (sums[y * line + x + 1], sums[(y + 1) * line + x], sums[y * line + x]);
            sums[(y + 1) * line + x + 1] =
                (level + above.0 + before.0 - both.0, level * level + above.1 + before.1 - both.1);
        }
    }
    let mut details = Vec::with_capacity(side * side);
    for y in 0..side {
        let (top, bottom) = (y.saturating_sub(around), (y + around + 1).min(side));
        for x in 0..side {
            let (left, right) = (x.saturating_sub(around), (x + around + 1).min(side));
            let at = |x: usize, y: usize| sums[y * line + x];
            let [one, two, three, four] =
                [at(right, bottom), at(left, top), at(left, bottom), at(right, top)];
            let n = ((right - left) * (bottom - top)) as f64;
            let mean = f64::from(one.0 + two.0 - three.0 - four.0) / n;
            let squares = f64::from(one.1 + two.1 - three.1 - four.1) / n;
            let deviation = (squares - mean * mean).max(0.0).sqrt();
            details.push((f64::from(levels[y * side + x]) - mean) / (deviation + NOISE));
        }
    }
    details
}

impl Detail {
    /// Returns the details of the levels of a [`Grid`], row by row.
    pub fn of(levels: &[u8]) -> Detail {
        let levels: Vec<u32> = levels.iter().copied().map(u32::from).collect();
        Detail(details(&levels, SIDE, AROUND))
    }

    /// Returns the details of the picture laid in another way.
    pub fn turned(&self, turn: Turn) -> Detail {
        let cells = (0..SIDE * SIDE).map(|at| self.0[source(at % SIDE, at / SIDE, SIDE, turn)]);
        Detail(cells.collect())
    }

    /// Returns the details of the negative.
    pub fn inverted(&self) -> Detail {
        Detail(self.0.iter().map(|value| -value).collect())
    }
}

/// Returns the place of the cell that comes to column `x` and row `y`.
fn source(x: usize, y: usize, side: usize, turn: Turn) -> usize {
    let x = if turn.mirrored { side - 1 - x } else { x };
    let y = if turn.flipped { side - 1 - y } else { y };
    if turn.transposed { x * side + y } else { y * side + x }
}

/// How one picture lies under another: where the other's borders are, as shares of the one's sides, and how
/// far it is turned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The left border.
    pub left: f64,
    /// The upper border.
    pub top: f64,
    /// The right border.
    pub right: f64,
    /// The lower border.
    pub bottom: f64,
    /// The turn in radians.
    pub tilt: f64,
    /// The height of the one picture, divided by its width.
    pub aspect: f64,
}

impl Fit {
    /// The one lies exactly under the other.
    pub const SAME: Fit = Fit { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0, tilt: 0.0, aspect: 1.0 };

    fn is_near(&self, start: &Fit) -> bool {
        let moved = |a: f64, b: f64| (a - b).abs() * SIDE as f64 <= MAX_MOVE;
        moved(self.left, start.left)
            && moved(self.right, start.right)
            && moved(self.top, start.top)
            && moved(self.bottom, start.bottom)
            && self.tilt.abs() <= MAX_TILT
    }

    /// Returns this with borders moved and turned, in shares and radians.
    fn moved(&self, by: [f64; 5]) -> Fit {
        Fit {
            left: self.left + by[0],
            top: self.top + by[1],
            right: self.right + by[2],
            bottom: self.bottom + by[3],
            tilt: self.tilt + by[4],
            ..*self
        }
    }

    /// Returns the neighbours, with one border or two moved by a step or turned by one.
    fn around(self, step: f64) -> impl Iterator<Item = Fit> {
        const MOVES: [[f64; 5]; 9] = [
            [1.0, 0.0, 1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 2.0],
            [1.0, 1.0, -1.0, -1.0, 0.0],
            [1.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0, 0.0],
            [1.0, -1.0, -1.0, 1.0, 0.0],
        ];
        let step = step / SIDE as f64;
        let both = move |by: [f64; 5]| [by.map(|part| part * step), by.map(|part| -part * step)];
        MOVES.into_iter().flat_map(both).map(move |by| self.moved(by))
    }
}

/// The products of the details of two pictures in a block.
#[derive(Clone, Copy, Default)]
struct Products {
    ab: f64,
    aa: f64,
    bb: f64,
}

impl Products {
    fn correlation(&self) -> f64 {
        if self.aa > 0.0 && self.bb > 0.0 { self.ab / (self.aa * self.bb).sqrt() } else { 0.0 }
    }
}

/// Lays `a` under `b`, and returns the products by block, and how many cells lie over each other.
fn lay(a: &Detail, b: &Detail, fit: &Fit) -> ([Products; BLOCKS], usize) {
    let mut blocks = [Products::default(); BLOCKS];
    let (side, last) = (SIDE as f64, (SIDE - 1) as f64);
    let (across, down) = ((fit.right - fit.left) / side, (fit.bottom - fit.top) / side);
    // The turn is two shears.
    let (lean, sink) = (fit.tilt * fit.aspect, -fit.tilt / fit.aspect);
    let mut count = 0;
    for (row, line) in b.0.chunks_exact(SIDE).enumerate() {
        let from_middle = row as f64 + 0.5 - side / 2.0;
        let (start_x, start_y) =
            (fit.left * side - 0.5 + lean * from_middle, (fit.top + down * (row as f64 + 0.5)) * side - 0.5);
        for (column, &b) in line.iter().enumerate() {
            let at = column as f64 + 0.5;
            let (x, y) = (start_x + across * at * side, start_y + sink * (at - side / 2.0));
            if !(x >= 0.0 && x <= last && y >= 0.0 && y <= last) {
                continue;
            }
            let (left, top) = ((x as usize).min(SIDE - 2), (y as usize).min(SIDE - 2));
            let (along, below) = (x - left as f64, y - top as f64);
            let cells = &a.0[top * SIDE + left..];
            let upper = cells[0] + (cells[1] - cells[0]) * along;
            let lower = cells[SIDE] + (cells[SIDE + 1] - cells[SIDE]) * along;
            let a = upper + (lower - upper) * below;
            let block = &mut blocks[row / BLOCK * (SIDE / BLOCK) + column / BLOCK];
            block.ab += a * b;
            block.aa += a * a;
            block.bb += b * b;
            count += 1;
        }
    }
    (blocks, count)
}

/// Returns the correlation of all cells, or 0 if too few lie over each other.
fn overall((blocks, count): &([Products; BLOCKS], usize)) -> f64 {
    if (*count as f64) < OVERLAP * (SIDE * SIDE) as f64 {
        return 0.0;
    }
    let add = |sum: Products, block: &Products| Products {
        ab: sum.ab + block.ab,
        aa: sum.aa + block.aa,
        bb: sum.bb + block.bb,
    };
    blocks.iter().fold(Products::default(), add).correlation()
}

/// Returns the mean correlation of the blocks, each with a weight by its details, without those that
/// correlate least.
fn without_worst(blocks: &[Products; BLOCKS]) -> f64 {
    let mut scored: Vec<(f64, f64)> =
        blocks.iter().map(|block| (block.correlation(), (block.aa * block.bb).sqrt().sqrt())).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut open = scored.iter().map(|block| block.1).sum::<f64>() * (1.0 - LEFT_OUT);
    let all = open;
    let mut sum = 0.0;
    for (correlation, weight) in scored {
        let weight = weight.min(open);
        sum += correlation * weight;
        open -= weight;
    }
    if all > 0.0 { sum / all } else { 0.0 }
}

/// Returns how similar two pictures are in the best fit near `start`, at most 1.
pub fn similarity(a: &Detail, b: &Detail, start: Fit) -> f64 {
    let mut fit = start;
    let mut best = overall(&lay(a, b, &fit));
    'steps: for step in STEPS {
        for _ in 0..ROUNDS {
            if best >= ENOUGH {
                break 'steps;
            }
            let before = best;
            for next in fit.around(step).filter(|next| next.is_near(&start)) {
                let found = overall(&lay(a, b, &next));
                if found > best {
                    (best, fit) = (found, next);
                }
            }
            if best == before {
                break;
            }
        }
    }
    if best < PARTLY {
        return best;
    }
    // What is left must agree much better.
    best.max(1.0 - STRICTER * (1.0 - without_worst(&lay(a, b, &fit).0)))
}

/// Returns the details of a grid in half as many cells in each direction, in 32nds. A cell is the mean of 4 ×
/// 4, so that a shift by half a cell changes little.
pub(crate) fn thumb(grid: &Grid) -> Box<[i8]> {
    let levels = grid.levels();
    let near = |at: usize| (2 * at).saturating_sub(1)..(2 * at + 3).min(SIDE);
    let mean = |x: usize, y: usize| {
        let sum: u32 = near(y)
            .flat_map(|y| near(x).map(move |x| (x, y)))
            .map(|(x, y)| u32::from(levels[y * SIDE + x]))
            .sum();
        sum / (near(x).len() * near(y).len()) as u32
    };
    let halved: Vec<u32> = (0..THUMB * THUMB).map(|cell| mean(cell % THUMB, cell / THUMB)).collect();
    let details = details(&halved, THUMB, AROUND / 2);
    details.into_iter().map(|value| (value * 32.0).clamp(-127.0, 127.0) as i8).collect()
}

/// Whether two thumbnails correlate by `enough` if the first is laid like this, or a cell beside.
pub(crate) fn are_roughly(a: &[i8], b: &[i8], guess: Guess, fit: Fit, enough: f64) -> bool {
    const SHIFTS: [(f64, f64); 5] = [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)];
    let side = THUMB as f64;
    // For each cell of the other, what is added to find the one's cell; outside it is not found.
    let offsets = |from: f64, to: f64, shift: f64, is_back: bool, step: usize| {
        let mut offsets = [usize::MAX; THUMB];
        for (cell, offset) in offsets.iter_mut().enumerate() {
            let at = (from + (to - from) * (cell as f64 + 0.5) / side) * side + shift;
            if at >= 0.0 && at < side {
                *offset = if is_back { THUMB - 1 - at as usize } else { at as usize } * step;
            }
        }
        offsets
    };
    let turn = guess.turn;
    let (step_across, step_down) = if turn.transposed { (THUMB, 1) } else { (1, THUMB) };
    SHIFTS.into_iter().any(|(right, down)| {
        let columns = offsets(fit.left, fit.right, right, turn.mirrored, step_across);
        let rows = offsets(fit.top, fit.bottom, down, turn.flipped, step_down);
        let (mut ab, mut aa, mut bb) = (0i32, 0i32, 0i32);
        for (line, row) in b.chunks_exact(THUMB).zip(rows) {
            if row == usize::MAX {
                continue;
            }
            for (&b, column) in line.iter().zip(columns) {
                if column == usize::MAX {
                    continue;
                }
                let (a, b) = (i32::from(a[row + column]), i32::from(b));
                ab += a * b;
                aa += a * a;
                bb += b * b;
            }
        }
        let ab = if guess.inverted { -ab } else { ab };
        aa > 0 && bb > 0 && f64::from(ab) >= enough * (f64::from(aa) * f64::from(bb)).sqrt()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a level of blobs of several sizes, at places that the seed gives.
    fn level(seed: u64, x: f64, y: f64) -> u8 {
        let blobs = (0..40u64).map(|i| {
            let bytes = *blake3::hash(&[seed.to_le_bytes(), i.to_le_bytes()].concat()).as_bytes();
            let (cx, cy, size) = (
                f64::from(bytes[0]) / 255.0,
                f64::from(bytes[1]) / 255.0,
                f64::from(bytes[2]) / 2000.0 + 0.02,
            );
            let distance = ((x - cx) * (x - cx) + (y - cy) * (y - cy)) / (size * size);
            (f64::from(bytes[3]) - 128.0) / (1.0 + distance)
        });
        (128.0 + blobs.sum::<f64>()).clamp(0.0, 255.0) as u8
    }

    /// Returns the details of a picture, of which a place within these borders, from 0 to 1, is turned.
    fn drawn(seed: u64, [left, top, right, bottom]: [f64; 4], tilt: f64) -> Detail {
        let n = SIDE as u32;
        let at = |i: u32, from: f64, to: f64| from + (to - from) * (f64::from(i) + 0.5) / f64::from(n);
        let pixels = (0..n).flat_map(|y| {
            (0..n).flat_map(move |x| {
                let (x, y) = (at(x, left, right), at(y, top, bottom));
                [level(seed, x + tilt * (y - 0.5), y - tilt * (x - 0.5)); 3]
            })
        });
        Detail::of(&Grid::of(n, n, &pixels.collect::<Vec<u8>>()).unwrap().levels())
    }

    const WHOLE: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

    #[test]
    fn a_trimmed_or_turned_copy_fits_and_another_picture_does_not() {
        let whole = drawn(1, WHOLE, 0.0);
        assert!(similarity(&whole, &whole, Fit::SAME) > 0.999_999);
        let trims = [[0.02, 0.02, 0.98, 0.98], [0.0, 0.0, 0.97, 1.0], [0.04, 0.0, 1.0, 0.97], WHOLE];
        for (trim, tilt) in trims.into_iter().zip([0.0, 0.0, 0.02, 0.05]) {
            let other = drawn(1, trim, tilt);
            let found = [similarity(&whole, &other, Fit::SAME), similarity(&other, &whole, Fit::SAME)];
            assert!(found.iter().all(|&found| found > 0.85), "{trim:?} {tilt}: {found:?}");
        }
        for seed in 2..8 {
            let found = similarity(&whole, &drawn(seed, WHOLE, 0.0), Fit::SAME);
            assert!(found < 0.6, "{seed}: {found}");
        }
    }

    #[test]
    fn what_is_laid_back_is_the_same() {
        let whole = drawn(3, WHOLE, 0.0);
        for turn in Turn::all() {
            let turned = whole.turned(turn);
            assert_eq!(turned.turned(turn.inverse()).0, whole.0, "{turn:?}");
            let is_same = turn == Turn::default();
            assert_eq!(similarity(&whole, &turned, Fit::SAME) > 0.9, is_same, "{turn:?}");
        }
        assert!(similarity(&whole, &whole.inverted(), Fit::SAME) < 0.0);
    }

    #[test]
    fn a_text_on_a_copy_is_left_out() {
        let whole = drawn(4, WHOLE, 0.0);
        let mut other = whole.clone();
        // A line of letters across a tenth of the picture.
        for (at, value) in other.0.iter_mut().enumerate().skip(48 * SIDE).take(8 * SIDE) {
            *value = if at % 3 == 0 { 2.0 } else { -1.0 };
        }
        let all = overall(&lay(&whole, &other, &Fit::SAME));
        let found = similarity(&whole, &other, Fit::SAME);
        assert!(all < 0.9 && found > 0.95, "{all} {found}");
    }

    #[test]
    fn where_nothing_is_to_see_nothing_is_similar() {
        let blank = Detail::of(&[77; SIDE * SIDE]);
        assert_eq!(similarity(&blank, &blank, Fit::SAME), 0.0);
    }
}
