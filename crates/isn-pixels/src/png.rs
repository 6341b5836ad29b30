//! Decodes PNG with the `png` crate, row by row.
//!
//! An APNG gives its default image (IDAT), which Pillow and `image` also show first. A CRC error in a chunk
//! that pixels come from rejects the file; one in metadata does not. The file must be complete up to IEND.

use std::io::Cursor;

use ::png::{BitDepth, ColorType, DecodingError, Info, InterlaceInfo, Reader, Transformations};
use image::metadata::Orientation;

use super::source::{check_size, orientation};
use super::{PixelError, Rgb};

/// Returns width, height and orientation, from the chunks before the pixels.
pub(super) fn header(source: &[u8]) -> Result<(u32, u32, Option<Orientation>), PixelError> {
    let reader = open(source)?;
    let info = reader.info();
    Ok((info.width, info.height, orientation(info.exif_metadata.as_deref())))
}

/// Decodes into `out` and returns the orientation.
pub(super) fn decode(source: &[u8], out: &mut Rgb) -> Result<Option<Orientation>, PixelError> {
    let mut reader = open(source)?;
    let info = reader.info();
    let orientation = orientation(info.exif_metadata.as_deref());
    let (width, height) = (info.width, info.height);
    check_palette(info)?;
    out.reset(width, height);
    let (color, depth) = reader.output_color_type();
    let stride = width as usize * 3;
    let mut rgb = Vec::with_capacity(stride);
    let mut at = 0;
    while let Some(row) = reader.next_interlaced_row().map_err(refused)? {
        rgb.clear();
        match depth {
            BitDepth::Sixteen => {
                let samples = row.data().chunks_exact(2).map(|pair| {
                    // Rounds to the nearest of the 256 values v × 257, as `image` does: round(v × 255 /
                    // 65535).
                    ((u32::from(pair[0]) << 8 | u32::from(pair[1])) + 128) / 257
                });
                let samples: Vec<u8> = samples.map(|value| value as u8).collect();
                to_rgb(&samples, color, &mut rgb);
            }
            _ => to_rgb(row.data(), color, &mut rgb),
        }
        match row.interlace() {
            InterlaceInfo::Null(_) => {
                // The crate should give exactly the rows that the header announces; this does not rely on it.
                let place = out.pixels.get_mut(at..at + rgb.len()).filter(|place| place.len() == stride);
                let place = place.ok_or_else(|| PixelError::corrupt("PNG", "a row outside of the image"))?;
                place.copy_from_slice(&rgb);
                at += stride;
            }
            InterlaceInfo::Adam7(pass) => {
                ::png::expand_interlaced_row(&mut out.pixels, stride, &rgb, pass, 24);
            }
        }
    }
    reader.finish().map_err(refused)?;
    Ok(orientation)
}

/// Returns a reader before its first row. Sizes are checked before anything that depends on them is
/// allocated.
fn open(source: &[u8]) -> Result<Reader<Cursor<&[u8]>>, PixelError> {
    // Signature, then IHDR: length, name, width, height (big-endian).
    let (Some(name), Some(size)) = (source.get(12..16), source.get(16..24)) else {
        return Err(PixelError::truncated("PNG", "no header"));
    };
    if name != b"IHDR" {
        return Err(PixelError::corrupt("PNG", "it does not start with IHDR"));
    }
    let side = |at: usize| u32::from_be_bytes([size[at], size[at + 1], size[at + 2], size[at + 3]]);
    check_size("the image", side(0), side(4))?;

    let mut decoder = ::png::Decoder::new(Cursor::new(source));
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.read_info().map_err(refused)
}

/// Refuses a palette that is not a number of whole colours: `png` 0.18.1 panics on it.
fn check_palette(info: &Info<'_>) -> Result<(), PixelError> {
    let palette = info.palette.as_deref().filter(|_| info.color_type == ColorType::Indexed);
    match palette.map(<[u8]>::len) {
        Some(length) if length % 3 != 0 => {
            Err(PixelError::corrupt("PNG", format!("a palette of {length} bytes")))
        }
        _ => Ok(()),
    }
}

/// Appends a row of 8-bit samples as RGB; alpha is dropped, not blended.
fn to_rgb(row: &[u8], color: ColorType, out: &mut Vec<u8>) {
    match color {
        ColorType::Grayscale => out.extend(row.iter().flat_map(|&grey| [grey; 3])),
        ColorType::GrayscaleAlpha => out.extend(row.chunks_exact(2).flat_map(|pixel| [pixel[0]; 3])),
        ColorType::Rgba => out.extend(row.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])),
        // EXPAND has turned palettes into RGB or RGBA.
        ColorType::Rgb | ColorType::Indexed => out.extend_from_slice(row),
    }
}

fn refused(error: DecodingError) -> PixelError {
    match error {
        DecodingError::IoError(error) => PixelError::truncated("PNG", error.to_string()),
        DecodingError::LimitsExceeded => PixelError::unsupported("PNG", "a row or chunk is too large"),
        other => PixelError::corrupt("PNG", other.to_string()),
    }
}
