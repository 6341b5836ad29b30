//! [`Hashes`]: perceptual hashes of a picture, 63 bits each that hardly change when it is saved again,
//! resized, lightened or trimmed a little.
//!
//! A bit is the sign of one of the 8 × 8 lowest DCT-II coefficients of the luminance, as in the pHash of C.
//! Zauner ("Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), but without the first
//! one, and compared with zero instead of their median. So the hash of the mirrored, turned or inverted
//! picture is the same bits in other places or inverted ([`Turn::hash`]), and no picture must be hashed more
//! than once for these. A part that a copy may have left is hashed by itself ([`VIEWS`]). All arithmetic is
//! exact, with integers and a table of cosines, so a hash is the same on every machine.

use std::sync::LazyLock;

use super::grid::{Grid, SIDE};

/// The number of coefficients in each direction.
const LOW: usize = 8;
/// The bits of the coefficients that are odd from left to right, which mirroring negates.
const ODD_ACROSS: u64 = 0x5555_5555_5555_5555;
/// The bits of the coefficients that are odd from top to bottom.
const ODD_DOWN: u64 = 0x00ff_00ff_00ff_00ff;
/// The bits that are used: all but that of the mean.
const USED: u64 = u64::MAX >> 1;

/// The first and the last cell, which is excluded, of the parts that are hashed, in each direction: all of
/// it, 5% or 10% less at both ends, 10% or a quarter less at one.
const SPANS: [(usize, usize); 7] = [
    (0, SIDE),
    (3, SIDE - 3),
    (6, SIDE - 6),
    (6, SIDE),
    (0, SIDE - 6),
    (SIDE / 4, SIDE),
    (0, SIDE - SIDE / 4),
];

/// The parts of a picture that are hashed: the positions of columns and rows in [`SPANS`]. The first is all
/// of it, then without 5% or 10% at each border, without 10% at one border, and at two ([`TRIMMED`]); then
/// without the upper or the lower quarter ([`UNTITLED`]).
const PARTS: [(usize, usize); VIEWS] =
    [(0, 0), (1, 1), (2, 2), (3, 0), (4, 0), (0, 3), (0, 4), (3, 3), (3, 4), (4, 3), (4, 4), (0, 5), (0, 6)];

/// The number of parts of a picture that are hashed.
pub const VIEWS: usize = 13;
/// The parts that a copy may have left, which are compared with all of other pictures.
pub(crate) const TRIMMED: std::ops::Range<u8> = 1..11;
/// The parts without a title or a caption, which are compared with the same parts of other pictures.
pub(crate) const UNTITLED: std::ops::Range<u8> = 11..13;

/// Returns the borders of a part, left, top, right and bottom, as shares of the picture.
pub(crate) fn borders(view: usize) -> [f64; 4] {
    let (across, down) = PARTS[view];
    let share = |cell: usize| cell as f64 / SIDE as f64;
    [SPANS[across].0, SPANS[down].0, SPANS[across].1, SPANS[down].1].map(share)
}

/// One of the eight ways to lay a picture: mirrored along the diagonal from top left or not, then from left
/// to right or not, then from top to bottom or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Whether rows become columns.
    pub transposed: bool,
    /// Whether left and right are exchanged.
    pub mirrored: bool,
    /// Whether top and bottom are exchanged.
    pub flipped: bool,
}

impl Turn {
    /// Returns all eight, first that which changes nothing.
    pub fn all() -> [Turn; 8] {
        [0, 1, 2, 3, 4, 5, 6, 7].map(|bits| Turn {
            transposed: bits & 4 != 0,
            mirrored: bits & 1 != 0,
            flipped: bits & 2 != 0,
        })
    }

    /// Returns the hash of the picture laid in this way, from its hash.
    pub fn hash(self, hash: u64) -> u64 {
        let hash = if self.transposed { transposed(hash) } else { hash };
        let across = if self.mirrored { ODD_ACROSS } else { 0 };
        hash ^ across ^ if self.flipped { ODD_DOWN } else { 0 }
    }

    /// Returns the way back.
    pub fn inverse(self) -> Turn {
        match self.transposed {
            true => Turn { mirrored: self.flipped, flipped: self.mirrored, ..self },
            false => self,
        }
    }

    /// Returns whether this mirrors, and by how many degrees it turns clockwise after that.
    pub fn as_degrees(self) -> (bool, u16) {
        match (self.transposed, self.mirrored, self.flipped) {
            (false, false, false) => (false, 0),
            (true, true, false) => (false, 90),
            (false, true, true) => (false, 180),
            (true, false, true) => (false, 270),
            (false, true, false) => (true, 0),
            (true, true, true) => (true, 90),
            (false, false, true) => (true, 180),
            (true, false, false) => (true, 270),
        }
    }
}

/// Transposes 8 × 8 bits (Hacker's Delight, 7-3).
fn transposed(bits: u64) -> u64 {
    let swap = |bits: u64, by: u32, mask: u64| {
        let moved = (bits ^ bits >> by) & mask;
        bits ^ moved ^ moved << by
    };
    let bits = swap(bits, 7, 0x00aa_00aa_00aa_00aa);
    let bits = swap(bits, 14, 0x0000_cccc_0000_cccc);
    swap(bits, 28, 0x0000_0000_f0f0_f0f0)
}

/// Returns the hash of the inverted picture.
pub fn inverted(hash: u64) -> u64 {
    hash ^ USED
}

/// cos(π (2 x + 1) u / 2 n) × 2^12, rounded, for the `n` cells of each of [`SPANS`]; 0 for other cells.
static WAVES: LazyLock<[[[i32; SIDE]; LOW]; SPANS.len()]> = LazyLock::new(|| {
    SPANS.map(|(from, to)| {
        let mut waves = [[0; SIDE]; LOW];
        for (u, wave) in waves.iter_mut().enumerate() {
            let n = to - from;
            for x in 0..n.div_ceil(2) {
                let angle = std::f64::consts::PI * ((2 * x + 1) * u) as f64 / (2 * n) as f64;
                let value = libm::round(libm::cos(angle) * 4096.0) as i32;
                // Exactly symmetric, so that mirroring a picture does no more than negate coefficients.
                wave[from + x] = value;
                wave[to - 1 - x] = if u % 2 == 0 { value } else { -value };
            }
        }
        waves
    })
});

/// The hashes of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes(pub [u64; VIEWS]);

impl Hashes {
    /// Returns the hashes of all parts of a picture with this grid.
    pub fn of(grid: &Grid) -> Hashes {
        let cells = without_mean(grid);
        let spans: Vec<[[i32; LOW]; SIDE]> = WAVES.iter().map(|waves| along_rows(&cells, waves)).collect();
        Hashes(PARTS.map(|(across, down)| signs(&spans[across], &WAVES[down])))
    }

    /// Returns the hash of the whole picture alone.
    pub fn whole(grid: &Grid) -> u64 {
        signs(&along_rows(&without_mean(grid), &WAVES[0]), &WAVES[0])
    }
}

/// Returns the cells in 16ths of a grey level, less their mean.
fn without_mean(grid: &Grid) -> Vec<i32> {
    let sum: u32 = grid.cells().iter().map(|&cell| u32::from(cell >> 4)).sum();
    let mean = (sum / grid.cells().len() as u32) as i32;
    grid.cells().iter().map(|&cell| i32::from(cell >> 4) - mean).collect()
}

fn along_rows(cells: &[i32], waves: &[[i32; SIDE]; LOW]) -> [[i32; LOW]; SIDE] {
    let mut rows = [[0; LOW]; SIDE];
    for (row, cells) in rows.iter_mut().zip(cells.chunks_exact(SIDE)) {
        for (value, wave) in row.iter_mut().zip(waves) {
            // 2^12 × 2^12 × 64 is 2^30.
            *value = cells.iter().zip(wave).map(|(&cell, &wave)| cell * wave).sum();
        }
    }
    rows
}

/// Returns which coefficients are above zero, the first in the highest bit.
fn signs(rows: &[[i32; LOW]; SIDE], waves: &[[i32; SIDE]; LOW]) -> u64 {
    let mut bits = 0;
    for wave in waves {
        let mut line = [0i64; LOW];
        for (row, &wave) in rows.iter().zip(wave) {
            line.iter_mut().zip(row).for_each(|(sum, &value)| *sum += i64::from(value) * i64::from(wave));
        }
        bits = line.iter().fold(bits, |bits, &value| bits << 1 | u64::from(value > 0));
    }
    bits & USED
}

#[cfg(test)]
mod tests {
    use super::super::grid::Area;
    use super::*;

    fn picture(seed: u32) -> Vec<u8> {
        let at = |x: u32, y: u32| (x * (3 + seed % 5) + y * 2 + (x * y) / (7 + seed)) as u8;
        (0..100).flat_map(|y| (0..120).flat_map(move |x| [at(x, y), at(y, x), at(x + 9, y)])).collect()
    }

    fn hashes(rgb: &[u8]) -> Hashes {
        Hashes::of(&Grid::of(120, 100, rgb).unwrap())
    }

    /// Lays a picture of 120 × 100 pixels, and returns its width and height too.
    fn laid(rgb: &[u8], turn: Turn) -> (u32, u32, Vec<u8>) {
        let (width, height) = if turn.transposed { (100, 120) } else { (120, 100) };
        let mut out = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let x = if turn.mirrored { width - 1 - x } else { x };
                let y = if turn.flipped { height - 1 - y } else { y };
                let (x, y) = if turn.transposed { (y, x) } else { (x, y) };
                out.extend_from_slice(&rgb[(y * 120 + x) * 3..][..3]);
            }
        }
        (width as u32, height as u32, out)
    }

    #[test]
    fn a_turned_or_inverted_picture_has_the_same_bits_elsewhere() {
        for seed in 0..5 {
            let rgb = picture(seed);
            let whole = hashes(&rgb).0[0];
            for turn in Turn::all() {
                let (width, height, other) = laid(&rgb, turn);
                let found = Hashes::whole(&Grid::of(width, height, &other).unwrap());
                assert_eq!(found, turn.hash(whole), "{seed} {turn:?}");
                assert_eq!(turn.inverse().hash(found), whole, "{seed} {turn:?}");
            }
            let negative: Vec<u8> = rgb.iter().map(|value| 255 - value).collect();
            let found = Hashes::whole(&Grid::of(120, 100, &negative).unwrap());
            // Cells are rounded down, so a coefficient near zero may differ.
            assert!((found ^ inverted(whole)).count_ones() <= 1, "{seed}");
        }
    }

    #[test]
    fn degrees_are_clockwise_after_mirroring() {
        let rgb: Vec<u8> = (0..120 * 100 * 3).map(|i| (i / 3 % 251) as u8).collect();
        let turn = |transposed, mirrored, flipped| Turn { transposed, mirrored, flipped };
        let quarter = turn(true, true, false);
        assert_eq!(quarter.as_degrees(), (false, 90));
        // The pixel at the top left goes to the top right.
        let (width, _, turned) = laid(&rgb, quarter);
        assert_eq!(turned[(width as usize - 1) * 3], rgb[0]);
        let mut told: Vec<(bool, u16)> = Turn::all().iter().map(|turn| turn.as_degrees()).collect();
        told.sort_unstable();
        let degrees = [0, 90, 180, 270];
        let all: Vec<_> = [false, true].into_iter().flat_map(|m| degrees.map(|d| (m, d))).collect();
        assert_eq!(told, all);
    }

    #[test]
    fn a_part_has_the_hash_of_the_part_alone() {
        let rgb = picture(3);
        let of_parts = hashes(&rgb).0;
        for (view, &found) in of_parts.iter().enumerate() {
            let [left, top, right, bottom] = borders(view);
            let pixel = |share: f64, length: f64| (share * length).round() as u32;
            let area = Area {
                left: pixel(left, 120.0),
                top: pixel(top, 100.0),
                right: pixel(right, 120.0),
                bottom: pixel(bottom, 100.0),
            };
            let alone = Hashes::whole(&Grid::within(120, 100, &rgb, area).unwrap());
            assert!((alone ^ found).count_ones() <= 6, "{view}: {}", (alone ^ found).count_ones());
        }
    }

    #[test]
    fn the_hashes_are_these_bits() {
        // If any of these bits change, so does what an audit finds.
        let found = hashes(&picture(1)).0;
        assert_eq!(found[..3], GOLDEN, "{found:x?}");
    }

    /// Computed independently of this code, with cosines as floats.
    const GOLDEN: [u64; 3] = [0x0000_0001_0f1f_1c1c, 0x50c0_c000_030f_4e1c, 0x78f8_f8e0_0003_474e];
}
