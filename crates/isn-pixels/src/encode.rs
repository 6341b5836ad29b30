//! Writing a dataset image.
//!
//! PNG: 8-bit RGB, no metadata; chunks IHDR, one IDAT, IEND. Every row is filtered with Up (the first one
//! against zeros) and the zlib stream is *stored*: header `78 01`, blocks of 65,535 bytes, the last one
//! shorter and marked final, Adler-32. Every PNG reader accepts this. Compression is left to the zstd of the
//! shards, which does it better.

use jpeg_encoder::{ColorType, SamplingFactor};

use super::{PixelError, Rgb};
use isn_format::pixel_spec::Encoding;

/// The maximum length of a stored deflate block (RFC 1951, 3.2.4).
const STORED_BLOCK: usize = 65_535;

/// Encodes `image` to the bytes of a file. `idat` is scratch memory.
pub(super) fn encode(image: &Rgb, encoding: Encoding, idat: &mut Vec<u8>) -> Result<Vec<u8>, PixelError> {
    match encoding {
        Encoding::Png => png(image, idat),
        Encoding::Jpeg { quality } => jpeg(image, quality),
    }
}

fn png(image: &Rgb, idat: &mut Vec<u8>) -> Result<Vec<u8>, PixelError> {
    let refused = |error: ::png::EncodingError| PixelError::Encode { detail: error.to_string() };
    stored_up(image, idat);
    // The signature, IHDR, IEND and IDAT's own fields take 8 + 25 + 12 + 12 bytes.
    let mut out = Vec::with_capacity(idat.len() + 57);
    let mut encoder = ::png::Encoder::new(&mut out, image.width, image.height);
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_depth(::png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(refused)?;
    writer.write_chunk(::png::chunk::IDAT, idat).map_err(refused)?;
    writer.finish().map_err(refused)?;
    Ok(out)
}

/// Writes the zlib stream of the Up-filtered rows, stored.
fn stored_up(image: &Rgb, out: &mut Vec<u8>) {
    let stride = image.width as usize * 3;
    let rows = image.pixels.chunks_exact(stride);
    let total = rows.len() * (stride + 1);
    let blocks = total.div_ceil(STORED_BLOCK);
    out.clear();
    out.reserve(total + 5 * blocks + 6);

    // The filtered rows are written after enough room for all block headers. Then each block in turn moves
    // down to its place, which never overlaps the rows of the next one.
    let head = 2 + 5 * blocks;
    out.resize(head, 0);
    let zeros = vec![0; stride];
    let above = std::iter::once(&zeros[..]).chain(image.pixels.chunks_exact(stride));
    for (row, above) in rows.zip(above) {
        out.push(2);
        out.extend(row.iter().zip(above).map(|(&here, &above)| here.wrapping_sub(above)));
    }
    let checksum = simd_adler32::adler32(&&out[head..]);
    out[..2].copy_from_slice(&[0x78, 0x01]);
    for block in 0..blocks {
        let from = head + block * STORED_BLOCK;
        let length = (total - block * STORED_BLOCK).min(STORED_BLOCK);
        let at = 2 + block * (STORED_BLOCK + 5);
        out.copy_within(from..from + length, at + 5);
        let size = length as u16; // at most STORED_BLOCK
        out[at] = u8::from(block + 1 == blocks);
        out[at + 1..at + 3].copy_from_slice(&size.to_le_bytes());
        out[at + 3..at + 5].copy_from_slice(&(!size).to_le_bytes());
    }
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn jpeg(image: &Rgb, quality: u8) -> Result<Vec<u8>, PixelError> {
    let side = |pixels: u32| {
        u16::try_from(pixels)
            .map_err(|_| PixelError::Encode { detail: format!("{pixels} pixels are too many for a JPEG") })
    };
    let (width, height) = (side(image.width)?, side(image.height)?);
    let mut out = Vec::with_capacity(image.pixels.len() / 3);
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, quality);
    encoder.set_sampling_factor(SamplingFactor::R_4_4_4);
    encoder
        .encode(&image.pixels, width, height, ColorType::Rgb)
        .map_err(|error| PixelError::Encode { detail: error.to_string() })?;
    Ok(out)
}
