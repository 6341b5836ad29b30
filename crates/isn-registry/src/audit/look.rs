//! [`Look`]: what an audit needs to know about an image's bytes and pixels, from decoding it once.

use super::grid::Grid;
use super::print::{self, Print};
use isn_format::digest::Digest;
use isn_format::pixel_spec::ExifOrientation;
use isn_pixels::{decode_rgb, exif_orientation, pixel_digest};

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
    /// What is kept to find copies; `None` if there is almost nothing to see.
    pub print: Option<Print>,
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
            print: grid.and_then(|grid| Print::of(width, height, &picture.pixels, &grid)),
        })
    }
}

/// Returns the levels of a file's picture without its borders, for [`similar`](super::similar); `None` if it
/// cannot be decoded.
pub fn levels(bytes: &[u8], orientation: ExifOrientation) -> Option<Vec<u8>> {
    let picture = decode_rgb(bytes, orientation).ok()?;
    print::levels(picture.width, picture.height, &picture.pixels)
}
