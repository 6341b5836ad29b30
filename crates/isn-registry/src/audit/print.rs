//! [`Print`]: what is kept of a picture, 1 kB, to find its copies.

use super::grid::{Area, Grid};
use super::phash::{Hashes, Turn, VIEWS, borders, inverted};
use super::similar::{self, Fit};
use super::trim::trimmed;

/// The minimum contrast of a picture with a print, as a standard deviation in grey levels. The hashes of
/// blank pictures are noise, and near each other.
pub const LOW_CONTRAST: f64 = 2.0;

/// The minimum shorter side of a picture with a print, in pixels. Smaller ones are only compared exactly,
/// because most of their 64 cells a side would be interpolated. This is a choice for drawings and icons; even
/// photographs scaled down to 8 pixels could still be told apart.
pub const FEW_PIXELS: u32 = 16;

/// The minimum similarity of thumbnails whose pictures are compared. Measured (see `benches/README.md`).
const ROUGHLY: f64 = 0.4;

/// What is kept of a picture.
#[derive(Clone, Debug)]
pub struct Print {
    /// The hashes of the picture without its borders.
    pub(crate) hashes: Hashes,
    /// The hash of the picture with its borders, if it has any.
    pub(crate) full: Option<u64>,
    /// What is within the borders: left, top, right and bottom as shares of the picture.
    inner: [f64; 4],
    /// The height of that part, divided by its width.
    aspect: f64,
    /// The details of that part.
    thumb: Box<[i8]>,
}

/// How the hash of one picture is near that of another: which part of the one, laid in which way, may be the
/// other, or all of the other with its borders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guess {
    /// The part of the one, or `FULL`.
    pub view: u8,
    /// The part of the other, or `FULL`.
    pub to: u8,
    /// How it is laid.
    pub turn: Turn,
    /// Whether it is inverted.
    pub inverted: bool,
}

/// A picture with its borders, in the place of a part of it.
pub(crate) const FULL: u8 = VIEWS as u8;

impl Guess {
    /// Returns the hash of the one picture if it is taken like this; `None` if it has no such part.
    pub(crate) fn hash(&self, one: &Print) -> Option<u64> {
        let hash = self.turn.hash(one.hash(self.view)?);
        Some(if self.inverted { inverted(hash) } else { hash })
    }

    /// Returns how the one picture, laid like this, lies under the other: both without their borders.
    pub(crate) fn fit(&self, one: &Print, other: &Print) -> Fit {
        let [left, top, right, bottom] = one.borders(self.view);
        let [left, top, right, bottom] =
            if self.turn.transposed { [top, left, bottom, right] } else { [left, top, right, bottom] };
        let (left, right) = if self.turn.mirrored { (1.0 - right, 1.0 - left) } else { (left, right) };
        let (top, bottom) = if self.turn.flipped { (1.0 - bottom, 1.0 - top) } else { (top, bottom) };
        let to = other.borders(self.to);
        let place = |at: f64, from: [f64; 2], to: [f64; 2]| {
            to[0] + (at - from[0]) / (from[1] - from[0]) * (to[1] - to[0])
        };
        let (across, down) = ([to[0], to[2]], [to[1], to[3]]);
        let aspect = if self.turn.transposed { 1.0 / one.aspect } else { one.aspect };
        Fit {
            left: place(0.0, across, [left, right]),
            top: place(0.0, down, [top, bottom]),
            right: place(1.0, across, [left, right]),
            bottom: place(1.0, down, [top, bottom]),
            tilt: 0.0,
            aspect,
        }
    }
}

impl Print {
    /// Returns the print of a picture of RGB8 pixels, row by row, whose whole grid this is; `None` if there
    /// is almost nothing to see.
    pub fn of(width: u32, height: u32, rgb: &[u8], whole: &Grid) -> Option<Print> {
        if whole.deviation() < LOW_CONTRAST || width.min(height) < FEW_PIXELS {
            return None;
        }
        let (area, within) = inner(width, height, rgb);
        let grid = within.as_ref().unwrap_or(whole);
        let share = |at: u32, length: u32| f64::from(at) / f64::from(length);
        Some(Print {
            hashes: Hashes::of(grid),
            full: within.is_some().then(|| Hashes::whole(whole)),
            inner: [
                share(area.left, width),
                share(area.top, height),
                share(area.right, width),
                share(area.bottom, height),
            ],
            aspect: share(area.bottom - area.top, area.right - area.left),
            thumb: similar::thumb(grid),
        })
    }

    /// Makes a print with these hashes, which any other of the same kind is roughly like.
    #[cfg(test)]
    pub(crate) fn made(hashes: Hashes, full: Option<u64>, is_negative: bool) -> Print {
        let thumb = vec![if is_negative { -1 } else { 1 }; 32 * 32].into();
        Print { hashes, full, inner: [0.0, 0.0, 1.0, 1.0], aspect: 1.0, thumb }
    }

    /// Returns the hash of a part; `None` of `FULL` if the picture has no borders.
    pub(crate) fn hash(&self, view: u8) -> Option<u64> {
        if view == FULL { self.full } else { Some(self.hashes.0[usize::from(view)]) }
    }

    /// Returns the borders of a part, left, top, right and bottom, as shares of what is within the borders.
    fn borders(&self, view: u8) -> [f64; 4] {
        if view != FULL {
            return borders(usize::from(view));
        }
        let [left, top, right, bottom] = self.inner;
        let (width, height) = (right - left, bottom - top);
        [-left / width, -top / height, (1.0 - left) / width, (1.0 - top) / height]
    }

    /// Whether the thumbnails agree enough with a guess that the pictures should be compared.
    pub(crate) fn may_be(&self, other: &Print, guess: Guess) -> bool {
        similar::are_roughly(&self.thumb, &other.thumb, guess, guess.fit(self, other), ROUGHLY)
    }
}

/// Returns the part of a picture within its borders, and its grid if there are borders and something to see.
fn inner(width: u32, height: u32, rgb: &[u8]) -> (Area, Option<Grid>) {
    let (whole, area) = (Area::whole(width, height), trimmed(width, height, rgb));
    let is_enough = area != whole && (area.right - area.left).min(area.bottom - area.top) >= FEW_PIXELS;
    let grid = is_enough.then(|| Grid::within(width, height, rgb, area)).flatten();
    match grid.filter(|grid| grid.deviation() >= LOW_CONTRAST) {
        Some(grid) => (area, Some(grid)),
        None => (whole, None),
    }
}

/// Returns the levels of a picture without its borders, whose details are compared; `None` if it is empty or
/// absurdly long.
pub(crate) fn levels(width: u32, height: u32, rgb: &[u8]) -> Option<Vec<u8>> {
    let whole = Grid::of(width, height, rgb)?;
    Some(inner(width, height, rgb).1.unwrap_or(whole).levels())
}
