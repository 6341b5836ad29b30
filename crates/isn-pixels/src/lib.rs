//! The pixel pipeline [`PIPELINE`](isn_format::pixel_spec::PIPELINE): turns the bytes of a source image into
//! the bytes of a dataset image, identically on every machine.
//!
//! ```text
//! sniff → decode to RGB8 → orientation (if asked) → resize to a shortest side → encode
//! ```
//!
//! `isn-px/1` fixes:
//! - **format**: by magic bytes, JPEG (8-bit Huffman, sequential or progressive) or PNG.
//! - **JPEG**: as `image` 0.25.10 decodes it with zune-jpeg 0.5.15. Grey becomes R=G=B; CMYK and YCCK become
//!   RGB as zune converts them, with Adobe's inversion. Three components that Adobe's segment marks as
//!   untransformed are RGB. Rejected: truncated and undecodable data, arithmetic and lossless coding, 12
//!   bits, and layouts of components and scans that zune would misplace.
//! - **PNG**: the default image, of an APNG too. Palette and grey are expanded, alpha and tRNS dropped (not
//!   blended), 16 bits become `(v + 128) / 257`. Rejected: truncated files, and CRC errors in chunks that
//!   pixels come from.
//! - **colour**: gamma, chromaticities and ICC profiles are ignored.
//! - **orientation**: EXIF is ignored, or applied before the resize; an unreadable one counts as none.
//! - **size**: the shortest side becomes N, the other `long × N / short`, rounded half up in integers.
//! - **resize**: fast_image_resize 6.1.0, 8-bit convolution, Catmull-Rom or bilinear.
//! - **encode**: PNG (see `encode.rs`), or baseline 4:4:4 JPEG by jpeg-encoder 0.7.1 without SIMD; no
//!   metadata.
//!
//! Any change to an output bit requires a new pipeline name. The folder `vectors` holds the golden vectors; a
//! few of them are compiled in for [`self_check()`].

mod encode;
mod error;
mod jpeg;
mod png;
mod resize;
mod self_check;
mod source;
mod stored;
mod told;
mod view;

pub use error::PixelError;
pub use resize::scale;
pub use self_check::{SelfCheckError, self_check};
pub use source::{Rgb, decode_rgb, dimensions, exif_orientation};
pub use told::{START, told_format};
pub use view::{ImageReader, SampleOrder, View};

use isn_format::digest::Digest;
use isn_format::pixel_spec::{PixelSpec, Small};

/// A dataset image.
///
/// A PNG keeps the pixels that [`Built::pixels`] identifies; a JPEG does not:
///
/// ```
/// use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter, PixelSpec, Small};
/// use isn_pixels::{Outcome, Pipeline, decode_rgb, pixel_digest};
///
/// # let source = std::fs::read("vectors/420.jpg")?;
/// let (filter, exif_orientation) = (Filter::Bilinear, ExifOrientation::Ignore);
/// for (encode, is_lossless) in [(Encoding::Png, true), (Encoding::Jpeg { quality: 90 }, false)] {
///     let spec = PixelSpec { size: 24, filter, encode, small: Small::Keep, exif_orientation };
///     let Outcome::Built(image) = Pipeline::new(spec).build(&source)? else { panic!() };
///     let read = decode_rgb(&image.bytes, exif_orientation)?;
///     let digest = pixel_digest(read.width, read.height, &read.pixels);
///     assert_eq!(digest == image.pixels, is_lossless);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The encoded file.
    pub bytes: Vec<u8>,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The [`pixel_digest`] of the pixels that were passed to the encoder.
    pub pixels: Digest,
}

/// The result of [`Pipeline::build`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A dataset image.
    Built(Built),
    /// No image: it is smaller than the recipe allows ([`Small::Drop`]).
    Dropped,
}

/// A recipe's pixel steps, with buffers that are reused from image to image. Use one per thread; earlier
/// images do not influence later results.
///
/// ```
/// use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter, PixelSpec, Small};
/// use isn_pixels::{Outcome, Pipeline};
///
/// let mut pipeline = Pipeline::new(PixelSpec {
///     size: 24,
///     filter: Filter::CatmullRom,
///     encode: Encoding::Png,
///     small: Small::Drop,
///     exif_orientation: ExifOrientation::Ignore,
/// });
/// let source = std::fs::read("vectors/420.jpg")?; // 97 × 65 pixels
/// let Outcome::Built(image) = pipeline.build(&source)? else { panic!() };
/// assert_eq!((image.width, image.height), (36, 24));
/// let small = std::fs::read("vectors/one_pixel.jpg")?;
/// assert_eq!(pipeline.build(&small)?, Outcome::Dropped);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipeline {
    spec: PixelSpec,
    decoder: source::Decoder,
    source: Rgb,
    resizer: resize::Resizer,
    resized: Rgb,
    idat: Vec<u8>,
}

impl Pipeline {
    /// Creates a pipeline with empty buffers.
    pub fn new(spec: PixelSpec) -> Self {
        Pipeline {
            spec,
            decoder: source::Decoder::default(),
            source: Rgb::default(),
            resizer: resize::Resizer::default(),
            resized: Rgb::default(),
            idat: Vec::new(),
        }
    }

    /// Builds one image from the bytes of its source file.
    ///
    /// # Errors
    /// Fails with the reason for which the image is rejected: any [`PixelError`]. The pipeline can still be
    /// used for the next image.
    pub fn build(&mut self, source: &[u8]) -> Result<Outcome, PixelError> {
        let spec = &self.spec;
        self.decoder.decode(source, spec.exif_orientation, &mut self.source)?;
        if spec.small == Small::Drop && self.source.width.min(self.source.height) < spec.size {
            return Ok(Outcome::Dropped);
        }
        let target = resize::target(self.source.width, self.source.height, spec.size.max(1), spec.small)?;
        let image = match target {
            None => &self.source,
            Some((width, height)) => {
                self.resizer.resize(&self.source, spec.filter, width, height, &mut self.resized)?;
                &self.resized
            }
        };
        let bytes = encode::encode(image, spec.encode, &mut self.idat)?;
        let pixels = pixel_digest(image.width, image.height, &image.pixels);
        Ok(Outcome::Built(Built { bytes, width: image.width, height: image.height, pixels }))
    }
}

/// Returns the BLAKE3 of width and height (u32, little-endian) and the pixels (`height × width × 3` bytes,
/// row by row), which is equal for two encodings of the same picture.
pub fn pixel_digest(width: u32, height: u32, rgb: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&width.to_le_bytes()).update(&height.to_le_bytes()).update(rgb);
    Digest::of_hasher(&hasher)
}

#[cfg(test)]
mod tests;
