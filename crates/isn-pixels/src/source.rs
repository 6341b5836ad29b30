//! Decodes the bytes of a source file to RGB8 pixels.

use image::metadata::Orientation;

use super::{PixelError, START, jpeg, png, told_format};
use isn_format::pixel_spec::{ExifOrientation, MAX_PIXELS};

/// An RGB8 picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rgb {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `height × width × 3` bytes, row by row.
    pub pixels: Vec<u8>,
}

impl Rgb {
    /// Makes this a black picture of the given size, in the memory it already has. Nothing of the old picture
    /// remains.
    pub(super) fn reset(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(width as usize * height as usize * 3, 0);
    }

    /// Turns and flips the picture according to an EXIF orientation.
    fn orient(&mut self, orientation: Orientation) {
        if orientation == Orientation::NoTransforms {
            return;
        }
        let pixels = std::mem::take(&mut self.pixels);
        // `from_raw` only refuses a buffer that is too short for its size, and this one comes from the
        // decoder.
        if let Some(image) = image::RgbImage::from_raw(self.width, self.height, pixels) {
            let mut image = image::DynamicImage::ImageRgb8(image);
            image.apply_orientation(orientation);
            (self.width, self.height) = (image.width(), image.height());
            self.pixels = image.into_bytes();
        }
    }
}

/// The format of a source file, detected by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Jpeg,
    Png,
}

impl Format {
    fn sniff(source: &[u8]) -> Result<Self, PixelError> {
        if source.starts_with(&[0xff, 0xd8, 0xff]) {
            Ok(Format::Jpeg)
        } else if source.starts_with(b"\x89PNG\r\n\x1a\n") {
            Ok(Format::Png)
        } else if source.is_empty() {
            Err(PixelError::Empty)
        } else {
            let told = told_format(&source[..source.len().min(START)]).map_or_else(
                || {
                    let start = source.iter().take(8).map(|byte| format!("{byte:02x}"));
                    format!("starts with {}", start.collect::<Vec<_>>().join(" "))
                },
                Into::into,
            );
            Err(PixelError::UnknownFormat { told })
        }
    }
}

/// Decodes files one after another, with scratch memory that is reused.
#[derive(Default)]
pub(super) struct Decoder {
    jpeg: jpeg::Decoder,
}

impl Decoder {
    /// Decodes `source` into `out`, and overwrites what `out` held before.
    pub(super) fn decode(
        &mut self,
        source: &[u8],
        exif: ExifOrientation,
        out: &mut Rgb,
    ) -> Result<(), PixelError> {
        let orientation = match Format::sniff(source)? {
            Format::Jpeg => self.jpeg.decode(source, out)?,
            Format::Png => png::decode(source, out)?,
        };
        if exif == ExifOrientation::Apply {
            out.orient(orientation.unwrap_or(Orientation::NoTransforms));
        }
        Ok(())
    }
}

/// Decodes a JPEG or PNG file to its pixels, at their own size.
///
/// ```
/// use isn_format::pixel_spec::ExifOrientation;
/// use isn_pixels::{decode_rgb, dimensions};
///
/// let jpeg = std::fs::read("vectors/420.jpg")?;
/// let picture = decode_rgb(&jpeg, ExifOrientation::Ignore)?;
/// assert_eq!((picture.width, picture.height), dimensions(&jpeg, ExifOrientation::Ignore)?);
/// assert_eq!(picture.pixels.len(), 97 * 65 * 3);
///
/// let cut = &jpeg[..jpeg.len() - 700];
/// let error = decode_rgb(cut, ExifOrientation::Ignore).unwrap_err();
/// assert!(error.to_string().starts_with("truncated: "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Fails with any [`PixelError`] but [`PixelError::Encode`], as [`Pipeline::build`](super::Pipeline::build)
/// does. A truncated file is an error, not a part of a picture.
pub fn decode_rgb(source: &[u8], exif: ExifOrientation) -> Result<Rgb, PixelError> {
    let mut out = Rgb::default();
    Decoder::default().decode(source, exif, &mut out)?;
    Ok(out)
}

/// Returns width and height in pixels, from the header alone: the rest of the file is not read.
///
/// # Errors
/// Fails if the file is neither JPEG nor PNG ([`PixelError::Empty`], [`PixelError::UnknownFormat`]), if its
/// header cannot be read ([`PixelError::Truncated`], [`PixelError::Corrupt`], [`PixelError::Unsupported`]),
/// or if the size is none that an image may have ([`PixelError::NoPixels`], [`PixelError::TooLarge`]).
pub fn dimensions(source: &[u8], exif: ExifOrientation) -> Result<(u32, u32), PixelError> {
    let (width, height, orientation) = match Format::sniff(source)? {
        Format::Jpeg => jpeg::header(source)?,
        Format::Png => png::header(source)?,
    };
    let turned = matches!(
        orientation.unwrap_or(Orientation::NoTransforms),
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    if exif == ExifOrientation::Apply && turned { Ok((height, width)) } else { Ok((width, height)) }
}

/// Returns the EXIF orientation of a file, from its header alone: 1 to 8, where 1 turns nothing. `None` if it
/// has none that can be read.
///
/// # Errors
/// As [`dimensions`].
pub fn exif_orientation(source: &[u8]) -> Result<Option<u8>, PixelError> {
    let (_, _, orientation) = match Format::sniff(source)? {
        Format::Jpeg => jpeg::header(source)?,
        Format::Png => png::header(source)?,
    };
    Ok(orientation.map(Orientation::to_exif))
}

/// Returns the orientation in an EXIF block (from its TIFF header on); none if the block cannot be read.
pub(super) fn orientation(exif: Option<&[u8]>) -> Option<Orientation> {
    exif.and_then(Orientation::from_exif_chunk)
}

/// Refuses sizes for which no memory may be allocated.
pub(super) fn check_size(what: &'static str, width: u32, height: u32) -> Result<(), PixelError> {
    if width == 0 || height == 0 {
        return Err(PixelError::NoPixels { width, height });
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(PixelError::TooLarge { what, width, height });
    }
    Ok(())
}
