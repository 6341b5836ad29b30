//! [`Look`]: what one look at an image's bytes and pixels shows.

use super::grid::Grid;
use super::phash::Hashes;
use isn_format::digest::Digest;
use isn_format::pixel_spec::ExifOrientation;
use isn_pixels::{decode_rgb, pixel_digest};

/// A picture with less contrast than this, in grey levels of standard deviation, has no hash that can be relied on: the
/// hashes of blank pictures are noise, and near each other.
pub const LOW_CONTRAST: f64 = 2.0;

/// A picture with a shorter side than this, in pixels, is compared exactly only: its 64 cells a side would be mostly made up.
/// A choice, for drawings and icons; photographs made as small as 8 pixels were still told apart.
pub const FEW_PIXELS: u32 = 16;

/// The channels of a grey pixel may differ by so much: an encoder rounds.
const GREY_SPREAD: u8 = 2;

/// One image, looked at once.
#[derive(Clone, Debug)]
pub struct Look {
    /// BLAKE3 of the file.
    pub blake3: Digest,
    /// Its pixels, or why there are none.
    pub seen: Result<Seen, String>,
}

/// What the pixels show.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Its [`pixel_digest`].
    pub pixels: Digest,
    /// Whether no pixel has any colour.
    pub is_grey: bool,
    /// The standard deviation of the luminance over 64 × 64 cells, in grey levels.
    pub deviation: f64,
    /// `None` of a picture with next to nothing to see ([`LOW_CONTRAST`], [`FEW_PIXELS`]).
    pub hashes: Option<Hashes>,
}

impl Look {
    /// Looks at the bytes of a file.
    pub fn at(bytes: &[u8]) -> Look {
        Look { blake3: Digest::of(bytes), seen: Seen::at(bytes) }
    }
}

impl Seen {
    fn at(bytes: &[u8]) -> Result<Seen, String> {
        let picture = decode_rgb(bytes, ExifOrientation::Ignore).map_err(|e| e.to_string())?;
        let (width, height) = (picture.width, picture.height);
        let grid = Grid::of(width, height, &picture.pixels);
        let deviation = grid.as_ref().map_or(0.0, Grid::deviation);
        let grid = grid.filter(|_| deviation >= LOW_CONTRAST && width.min(height) >= FEW_PIXELS);
        let is_grey = picture.pixels.chunks_exact(3).all(|pixel| {
            let (low, high) = (pixel[0].min(pixel[1]).min(pixel[2]), pixel[0].max(pixel[1]).max(pixel[2]));
            high - low <= GREY_SPREAD
        });
        Ok(Seen {
            width,
            height,
            pixels: pixel_digest(width, height, &picture.pixels),
            is_grey,
            deviation,
            hashes: grid.as_ref().map(Hashes::of),
        })
    }
}

/// The levels of the grid of a file's picture, which [`similar`](super::similar) compares; `None` if it is no picture.
pub fn levels(bytes: &[u8]) -> Option<Vec<u8>> {
    let picture = decode_rgb(bytes, ExifOrientation::Ignore).ok()?;
    Grid::of(picture.width, picture.height, &picture.pixels).map(|grid| grid.levels())
}
