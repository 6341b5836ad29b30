//! Decodes JPEG: zune-jpeg gives the pixels, and this module checks that the file is complete. (`isn-jpeg` is
//! zune-jpeg with a faster Huffman decoder.)
//!
//! zune-jpeg, like most decoders, silently invents what is missing from a truncated file. So the markers are
//! walked first: a file without an end-of-image marker after its last scan is truncated. (The end marker of a
//! thumbnail lies inside an APP1 segment, which is skipped; bytes after the end marker are ignored.)
//!
//! A file that was cut may also have been *given* an end marker. Counting blocks detects that, but costs a
//! second Huffman decode ([`entropy`]). The usual file, one sequential scan, is spared that cost: zune gets a
//! copy in which one-bits replace the end marker. No Huffman code is all ones (ITU-T T.81, C.2), so a decoder
//! that still needs a symbol there meets an invalid code, which zune reports in its strict mode; a decoder
//! that has all its blocks never reads that far. If strict decoding fails for any reason, [`entropy`]
//! decides.

mod entropy;
mod layout;

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use isn_jpeg::errors::DecodeErrors;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::source::orientation;
use super::{PixelError, Rgb};
use layout::{Frame, Header, JpegLayout, Segments};

/// Replaces the end marker: 32 stuffed bytes of one-bits, longer than any symbol, then the marker.
const ONES: [u8; 66] = {
    let mut bytes = [0; 66];
    let mut at = 0;
    while at < 64 {
        bytes[at] = 0xff;
        at += 2;
    }
    (bytes[64], bytes[65]) = (0xff, 0xd9);
    bytes
};

/// Returns width, height and orientation, from the segments before the first scan.
pub(super) fn header(source: &[u8]) -> Result<(u32, u32, Option<Orientation>), PixelError> {
    let header = Header::read(&mut Segments::new(source))?;
    Ok((header.frame.width, header.frame.height, orientation(header.exif)))
}

/// A JPEG decoder with its scratch memory.
#[derive(Default)]
pub(super) struct Decoder {
    /// The file as zune gets it.
    copy: Vec<u8>,
    grey: Vec<u8>,
}

impl Decoder {
    /// Decodes into `out`, and overwrites what it held before; the pixels are those of `image` 0.25.10.
    pub(super) fn decode(&mut self, source: &[u8], out: &mut Rgb) -> Result<Option<Orientation>, PixelError> {
        let layout = JpegLayout::read(source)?;
        layout.check_supported()?;
        let Decoder { copy, grey } = self;
        copy.clear();
        copy.extend_from_slice(&source[..layout.end]);
        for (at, name) in layout.names_for_rgb() {
            copy[at] = name;
        }
        if layout.is_plain() {
            copy.extend_from_slice(&ONES);
            if pixels(copy, true, &layout.frame, grey, out).is_ok() {
                return Ok(orientation(layout.exif));
            }
            copy.truncate(layout.end);
        }
        entropy::check(&layout)?;
        copy.extend_from_slice(&source[layout.end..]);
        pixels(copy, false, &layout.frame, grey, out)?;
        Ok(orientation(layout.exif))
    }
}

/// Decodes as `image` does: to luma if the file has nothing else, otherwise to RGB. `strict` turns faults
/// that zune otherwise ignores into errors.
fn pixels(
    bytes: &[u8],
    strict: bool,
    frame: &Frame,
    grey: &mut Vec<u8>,
    out: &mut Rgb,
) -> Result<(), PixelError> {
    out.reset(frame.width, frame.height);
    // zune panics on some files, even valid ones (odd samplings with a scan for each component). One image
    // must not end a build; the buffers hold plain bytes, and are reset before their next use.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_into(bytes, strict, grey, out)));
    match decoded {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(PixelError::corrupt("JPEG", error.to_string())),
        Err(_) => Err(PixelError::unsupported("JPEG", "the decoder fails on its structure")),
    }
}

fn decode_into(bytes: &[u8], strict: bool, grey: &mut Vec<u8>, out: &mut Rgb) -> Result<(), DecodeErrors> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = isn_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    if decoder.input_colorspace() != Some(ColorSpace::Luma) {
        return decoder.decode_into(&mut out.pixels);
    }
    decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
    grey.clear();
    grey.resize(out.pixels.len() / 3, 0);
    decoder.decode_into(grey)?;
    for (pixel, &value) in out.pixels.chunks_exact_mut(3).zip(&*grey) {
        pixel.fill(value);
    }
    Ok(())
}
