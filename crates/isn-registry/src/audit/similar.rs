//! Decides whether two pictures with near hashes are one picture, by laying their details over each other.
//!
//! A detail is a cell's luminance minus the mean around it, so that changes of brightness or contrast do not
//! matter. The measure is the normalised correlation of the details: 1 for a picture with itself, about 0 for
//! two unrelated pictures. One picture is shifted and scaled a little against the other until they fit best,
//! since a copy may be trimmed. The code uses only additions, multiplications, divisions and square roots of
//! floats, which IEEE 754 defines to the last bit, so every machine gives the same result.

use super::grid::SIDE;

/// The minimum similarity of two pictures that count as one. Measured (see `benches/README.md`).
pub const SIMILAR: f64 = 0.8;

/// A similarity at which the search for a better fit stops.
const ENOUGH: f64 = 0.95;
/// The mean around a cell extends this many cells to each side of it.
const AROUND: usize = 6;
/// The maximum shift of one picture against the other, in cells: 5% of the side.
const MAX_SHIFT: f64 = 3.2;
/// The maximum difference in scale between the two.
const MAX_SCALE: f64 = 0.08;
/// The steps of the search, in cells at the border.
const STEPS: [f64; 3] = [1.0, 0.5, 0.25];
/// The maximum number of rounds of the search for each step.
const ROUNDS: usize = 8;

/// The details of a picture.
pub struct Detail(Vec<f64>);

impl Detail {
    /// Returns the details of the levels of a [`Grid`](super::grid::Grid), row by row.
    pub fn of(levels: &[u8]) -> Detail {
        // Sums over all cells above and to the left.
        let mut sums = vec![0u32; (SIDE + 1) * (SIDE + 1)];
        for y in 0..SIDE {
            for x in 0..SIDE {
                sums[(y + 1) * (SIDE + 1) + x + 1] = u32::from(levels[y * SIDE + x])
                    + sums[y * (SIDE + 1) + x + 1]
                    + sums[(y + 1) * (SIDE + 1) + x]
                    - sums[y * (SIDE + 1) + x];
            }
        }
        let mut detail = Vec::with_capacity(SIDE * SIDE);
        for y in 0..SIDE {
            let (top, bottom) = (y.saturating_sub(AROUND), (y + AROUND + 1).min(SIDE));
            for x in 0..SIDE {
                let (left, right) = (x.saturating_sub(AROUND), (x + AROUND + 1).min(SIDE));
                let at = |x: usize, y: usize| sums[y * (SIDE + 1) + x];
                let sum = at(right, bottom) + at(left, top) - at(left, bottom) - at(right, top);
                let mean = f64::from(sum) / ((right - left) * (bottom - top)) as f64;
                detail.push(f64::from(levels[y * SIDE + x]) - mean);
            }
        }
        Detail(detail)
    }

    /// Returns the details of the mirror image.
    pub fn mirrored(&self) -> Detail {
        Detail(self.0.chunks_exact(SIDE).flat_map(|row| row.iter().rev().copied()).collect())
    }
}

/// How one picture is laid on the other along one axis.
#[derive(Clone, Copy, PartialEq)]
struct Lie {
    shift: f64,
    scale: f64,
}

const AS_IT_IS: Lie = Lie { shift: 0.0, scale: 0.0 };

/// For each cell of one picture, the first of the two cells of the other between which it falls, and how far
/// it is from the first to the second.
type Places = Vec<Option<(usize, f64)>>;

fn places(lie: Lie) -> Places {
    let centre = (SIDE - 1) as f64 / 2.0;
    let place = |cell: usize| {
        let at = (cell as f64 - centre) * (1.0 + lie.scale) + centre + lie.shift;
        if !(0.0..=(SIDE - 1) as f64).contains(&at) {
            return None;
        }
        let first = (at as usize).min(SIDE - 2);
        Some((first, at - first as f64))
    };
    (0..SIDE).map(place).collect()
}

fn correlation(a: &Detail, b: &Detail, x: Lie, y: Lie) -> f64 {
    let (columns, rows) = (places(x), places(y));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (line, row) in b.0.chunks_exact(SIDE).zip(&rows) {
        let Some((top, down)) = *row else { continue };
        let (upper, lower) = (&a.0[top * SIDE..][..SIDE], &a.0[(top + 1) * SIDE..][..SIDE]);
        for (&b, column) in line.iter().zip(&columns) {
            let Some((left, along)) = *column else { continue };
            let above = upper[left] + (upper[left + 1] - upper[left]) * along;
            let below = lower[left] + (lower[left + 1] - lower[left]) * along;
            let a = above + (below - above) * down;
            ab += a * b;
            aa += a * a;
            bb += b * b;
        }
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

/// Returns how similar two pictures are in the best fit, at most 1.
pub fn similarity(a: &Detail, b: &Detail) -> f64 {
    let (mut x, mut y) = (AS_IT_IS, AS_IT_IS);
    let mut best = correlation(a, b, x, y);
    for step in STEPS {
        for _ in 0..ROUNDS {
            if best >= ENOUGH {
                return best;
            }
            let before = best;
            for is_x in [true, false] {
                let now = if is_x { x } else { y };
                for next in around(now, step) {
                    let (next_x, next_y) = if is_x { (next, y) } else { (x, next) };
                    let found = correlation(a, b, next_x, next_y);
                    if found > best {
                        (best, x, y) = (found, next_x, next_y);
                    }
                }
            }
            if best == before {
                break;
            }
        }
    }
    best
}

/// Returns the neighbours of `lie`, with one border or both moved by a step.
fn around(lie: Lie, step: f64) -> impl Iterator<Item = Lie> {
    let half = SIDE as f64 / 2.0;
    let moves = [
        (1.0, 0.0),
        (-1.0, 0.0),
        (0.0, 1.0),
        (0.0, -1.0),
        (0.5, 0.5),
        (-0.5, 0.5),
        (0.5, -0.5),
        (-0.5, -0.5),
    ];
    moves
        .into_iter()
        .map(move |(shift, scale)| Lie {
            shift: lie.shift + shift * step,
            scale: lie.scale + scale * step / half,
        })
        .filter(|lie| lie.shift.abs() <= MAX_SHIFT && lie.scale.abs() <= MAX_SCALE)
}

#[cfg(test)]
mod tests {
    use super::super::grid::Grid;
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

    /// Returns the details of the part of the picture between these borders, each from 0 to 1.
    fn detail(seed: u64, left: f64, top: f64, right: f64, bottom: f64) -> Detail {
        let n = 200u32;
        let at = |i: u32, from: f64, to: f64| from + (to - from) * (f64::from(i) + 0.5) / f64::from(n);
        let pixels = (0..n)
            .flat_map(|y| (0..n).flat_map(move |x| [level(seed, at(x, left, right), at(y, top, bottom)); 3]));
        Detail::of(&Grid::of(n, n, &pixels.collect::<Vec<u8>>()).unwrap().levels())
    }

    #[test]
    fn a_trimmed_copy_fits_and_another_picture_does_not() {
        let whole = detail(1, 0.0, 0.0, 1.0, 1.0);
        assert!(similarity(&whole, &whole) > 0.999_999);
        for (left, top, right, bottom) in
            [(0.02, 0.02, 0.98, 0.98), (0.0, 0.0, 0.97, 1.0), (0.04, 0.0, 1.0, 0.97), (0.0, 0.03, 1.0, 1.0)]
        {
            let trimmed = detail(1, left, top, right, bottom);
            let (one, other) = (similarity(&whole, &trimmed), similarity(&trimmed, &whole));
            assert!(one > 0.9 && other > 0.9, "{left} {top} {right} {bottom}: {one} {other}");
        }
        for seed in 2..12 {
            let found = similarity(&whole, &detail(seed, 0.0, 0.0, 1.0, 1.0));
            assert!(found < 0.6, "{seed}: {found}");
        }
        let mirrored = whole.mirrored();
        assert!(similarity(&whole, &mirrored) < 0.6);
        assert!(similarity(&whole, &mirrored.mirrored()) > 0.999_999);
    }

    #[test]
    fn where_nothing_is_to_see_nothing_is_similar() {
        let blank = Detail::of(&[77; SIDE * SIDE]);
        assert_eq!(similarity(&blank, &blank), 0.0);
    }
}
