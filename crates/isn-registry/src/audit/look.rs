//! [`Look`]: what an audit needs to know about an image's bytes and pixels, from decoding it once.

use super::grid::Grid;
use super::phash::Hashes;
use isn_format::digest::Digest;
use isn_format::pixel_spec::ExifOrientation;
use isn_pixels::{decode_rgb, exif_orientation, pixel_digest};

/// The minimum contrast of a picture with hashes, as a standard deviation in grey levels. The hashes of blank
/// pictures are noise, and near each other.
pub(crate) const LOW_CONTRAST: f64 = 2.0;

/// The minimum shorter side of a picture with hashes, in pixels. Smaller ones are only compared exactly,
/// because most of their 64 cells a side would be interpolated. This is a choice for drawings and icons; even
/// photographs scaled down to 8 pixels could still be told apart.
pub(crate) const FEW_PIXELS: u32 = 16;

/// The maximum difference between the channels of a grey pixel, since encoders round.
const GREY_SPREAD: u8 = 2;

/// One image, decoded once.
#[derive(Clone, Debug)]
pub struct Look {
    /// The BLAKE3 hash of the file.
    pub blake3: Digest,
    /// Its EXIF orientation, 1 to 8, if it has one.
    pub orientation: Option<u8>,
    /// What its pixels show, or why it cannot be decoded.
    pub seen: Result<Seen, String>,
}

/// What the pixels show.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// Its [`pixel_digest`].
    pub pixels: Digest,
    /// Whether no pixel has any colour.
    pub is_grey: bool,
    /// The standard deviation of the luminance over 64 × 64 cells, in grey levels.
    pub deviation: f64,
    /// The perceptual hashes; `None` if there is almost nothing to see ([`LOW_CONTRAST`], [`FEW_PIXELS`]).
    pub hashes: Option<Hashes>,
}

impl Look {
    /// Decodes the bytes of a file.
    pub fn at(bytes: &[u8], orientation: ExifOrientation) -> Look {
        let told = exif_orientation(bytes).ok().flatten();
        Look { blake3: Digest::of(bytes), orientation: told, seen: Seen::at(bytes, orientation) }
    }
}

impl Seen {
    fn at(bytes: &[u8], orientation: ExifOrientation) -> Result<Seen, String> {
        let picture = decode_rgb(bytes, orientation).map_err(|e| e.to_string())?;
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

/// Returns the levels of the grid of a file's picture, for [`similar`](super::similar); `None` if it cannot
/// be decoded.
pub fn levels(bytes: &[u8], orientation: ExifOrientation) -> Option<Vec<u8>> {
    let picture = decode_rgb(bytes, orientation).ok()?;
    Grid::of(picture.width, picture.height, &picture.pixels).map(|grid| grid.levels())
}
