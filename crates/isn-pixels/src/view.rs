//! Reads dataset images: all of their pixels, or a part at a given size, mirrored or not.

use super::source::{Decoder, Rgb, check_size};
use super::stored::Stored;
use super::{PixelError, resize};
use isn_format::pixel_spec::{ExifOrientation, Filter};

/// The order of the samples of a view in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleOrder {
    /// Row by row, pixel by pixel: R, G, B (`H × W × 3`).
    Interleaved,
    /// All of R, then all of G, then all of B (`3 × H × W`).
    Planar,
}

/// Which part of an image to read, and in what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The left and top edge of the part, in pixels from the left and top edge of the image.
    pub corner: (u32, u32),
    /// The width and height of the part, in pixels; it must lie inside the image.
    pub part: (u32, u32),
    /// The width and height of the result, in pixels. If it is not the size of the part, the part is
    /// resampled (bilinear, as in `isn-px/1`).
    pub size: (u32, u32),
    /// Whether left and right are swapped.
    pub mirrored: bool,
    /// The order of the samples in memory.
    pub layout: SampleOrder,
}

/// Decodes dataset images with scratch memory that is reused; use one per thread. Check the bytes against
/// their BLAKE3 before: the checksums inside a PNG that isn wrote are not checked here.
#[derive(Default)]
pub struct ImageReader {
    decoder: Decoder,
    image: Rgb,
    part: Rgb,
    resizer: resize::Resizer,
    resized: Rgb,
}

impl ImageReader {
    /// Writes the pixels of `file` into `out`: `height × width × 3` bytes.
    ///
    /// # Errors
    /// Fails with any [`PixelError`] of [`decode_rgb`](super::decode_rgb) if the file cannot be decoded, and
    /// with [`PixelError::Corrupt`] if it or `out` has another size than `width` × `height`.
    pub fn pixels(&mut self, file: &[u8], width: u32, height: u32, out: &mut [u8]) -> Result<(), PixelError> {
        let expected = width as usize * height as usize * 3;
        if let Some(stored) = Stored::read(file)
            && (stored.width, stored.height, out.len()) == (width, height, expected)
            && stored.pixels(out).is_some()
        {
            return Ok(());
        }
        self.decode(file)?;
        if (self.image.width, self.image.height, out.len()) != (width, height, expected) {
            return Err(other_size(&self.image, width, height));
        }
        out.copy_from_slice(&self.image.pixels);
        Ok(())
    }

    /// Writes what `view` selects of `file`, which has `width` × `height` pixels, into `out` (`size.0 ×
    /// size.1 × 3` bytes).
    ///
    /// # Errors
    /// Fails like [`ImageReader::pixels`]; also with [`PixelError::Encode`] if the part does not lie inside
    /// the image or `out` has another length, and with [`PixelError::NoPixels`] or [`PixelError::TooLarge`]
    /// if no image may have the size of the result.
    pub fn view(
        &mut self,
        file: &[u8],
        (width, height): (u32, u32),
        view: &View,
        out: &mut [u8],
    ) -> Result<(), PixelError> {
        self.decode(file)?;
        if (self.image.width, self.image.height) != (width, height) {
            return Err(other_size(&self.image, width, height));
        }
        self.show(view, out)
    }

    /// As [`ImageReader::view`], of an image of `width` × `height` pixels that is decoded already. `pixels`
    /// (`height × width × 3` bytes) may have other contents afterwards.
    ///
    /// # Errors
    /// As [`ImageReader::view`].
    pub fn view_of_pixels(
        &mut self,
        pixels: &mut Vec<u8>,
        (width, height): (u32, u32),
        view: &View,
        out: &mut [u8],
    ) -> Result<(), PixelError> {
        // Not copied, but exchanged for the memory of the image before.
        std::mem::swap(&mut self.image.pixels, pixels);
        (self.image.width, self.image.height) = (width, height);
        if self.image.pixels.len() != width as usize * height as usize * 3 {
            return Err(other_size(&self.image, width, height));
        }
        self.show(view, out)
    }

    /// Writes what `view` selects of the image that was decoded last.
    fn show(&mut self, view: &View, out: &mut [u8]) -> Result<(), PixelError> {
        let image = &self.image;
        let (width, height) = (image.width, image.height);
        let ((x, y), (part_w, part_h)) = (view.corner, view.part);
        let is_inside = |from: u32, length: u32, of: u32| {
            length > 0 && from.checked_add(length).is_some_and(|end| end <= of)
        };
        if !is_inside(x, part_w, width) || !is_inside(y, part_h, height) {
            let detail =
                format!("a part of {part_w}x{part_h} at {x},{y} is not inside an image of {width}x{height}");
            return Err(PixelError::Encode { detail });
        }
        let (size_w, size_h) = view.size;
        if out.len() != size_w as usize * size_h as usize * 3 {
            return Err(PixelError::Encode {
                detail: "the memory for the result has the wrong length".into(),
            });
        }
        let part = if view.part == (width, height) {
            image
        } else {
            let (stride, from) = (width as usize * 3, x as usize * 3);
            self.part.pixels.clear();
            for row in image.pixels.chunks_exact(stride).skip(y as usize).take(part_h as usize) {
                self.part.pixels.extend_from_slice(&row[from..from + part_w as usize * 3]);
            }
            (self.part.width, self.part.height) = view.part;
            &self.part
        };
        let shown = if view.size == view.part {
            part
        } else {
            check_size("the view", size_w, size_h)?;
            self.resizer.resize(part, Filter::Bilinear, size_w, size_h, &mut self.resized)?;
            &self.resized
        };
        lay_out(shown, view.mirrored, view.layout, out);
        Ok(())
    }

    fn decode(&mut self, file: &[u8]) -> Result<(), PixelError> {
        if let Some(stored) = Stored::read(file) {
            check_size("the image", stored.width, stored.height)?;
            (self.image.width, self.image.height) = (stored.width, stored.height);
            // Not zeroed: a successful `pixels` overwrites all of it, and the other decoder starts with a
            // clean buffer.
            self.image.pixels.resize(stored.width as usize * stored.height as usize * 3, 0);
            if stored.pixels(&mut self.image.pixels).is_some() {
                return Ok(());
            }
        }
        self.decoder.decode(file, ExifOrientation::Ignore, &mut self.image)
    }
}

fn other_size(image: &Rgb, width: u32, height: u32) -> PixelError {
    let why = format!("has {}x{} pixels, the index says {width}x{height}", image.width, image.height);
    PixelError::corrupt("image", why)
}

fn lay_out(image: &Rgb, mirrored: bool, layout: SampleOrder, out: &mut [u8]) {
    let width = image.width as usize;
    match layout {
        SampleOrder::Interleaved if !mirrored => out.copy_from_slice(&image.pixels),
        SampleOrder::Interleaved => {
            let rows = image.pixels.chunks_exact(3 * width).zip(out.chunks_exact_mut(3 * width));
            for (row, to) in rows {
                let pixels = row.chunks_exact(3).rev().zip(to.chunks_exact_mut(3));
                pixels.for_each(|(from, to)| to.copy_from_slice(from));
            }
        }
        SampleOrder::Planar => {
            let (red, rest) = out.split_at_mut(image.pixels.len() / 3);
            let (green, blue) = rest.split_at_mut(red.len());
            part_channels(&image.pixels, [red, green, blue]);
            if mirrored {
                out.chunks_exact_mut(width).for_each(<[u8]>::reverse);
            }
        }
    }
}

/// 48 bytes are 16 pixels.
const GROUP: usize = 48;
/// This many bytes are separated at once.
const GROUPS: usize = GROUP * 8;

/// Separates `pixels` into a red, a green and a blue plane.
fn part_channels(pixels: &[u8], [red, green, blue]: [&mut [u8]; 3]) {
    if !isn_jpeg::part_channels(pixels.as_chunks().0, [red, green, blue]) {
        riffle_apart(pixels, [red, green, blue]);
    }
}

/// As [`part_channels`], with instructions that every processor has.
fn riffle_apart(pixels: &[u8], [red, green, blue]: [&mut [u8]; 3]) {
    let (groups, rest) = pixels.as_chunks::<GROUPS>();
    let whole = groups.len() * GROUPS / 3;
    let ((red, red_rest), (green, green_rest), (blue, blue_rest)) =
        (red.split_at_mut(whole), green.split_at_mut(whole), blue.split_at_mut(whole));
    let (mut one, mut other) = ([0; GROUPS], [0; GROUPS]);
    let planes = red.as_chunks_mut::<16>().0.iter_mut().zip(green.as_chunks_mut::<16>().0);
    let mut planes = planes.zip(blue.as_chunks_mut::<16>().0);
    for group in groups {
        // Each riffle moves byte i of 48 to 2 i modulo 47. After four, the byte from 3 k is at 48 k, which is
        // k.
        riffle(group, &mut one);
        riffle(&one, &mut other);
        riffle(&other, &mut one);
        riffle(&one, &mut other);
        for (from, ((red, green), blue)) in other.as_chunks::<GROUP>().0.iter().zip(&mut planes) {
            red.copy_from_slice(&from[..16]);
            green.copy_from_slice(&from[16..32]);
            blue.copy_from_slice(&from[32..]);
        }
    }
    let rest = rest.chunks_exact(3).zip(red_rest).zip(green_rest).zip(blue_rest);
    rest.for_each(|(((from, red), green), blue)| (*red, *green, *blue) = (from[0], from[1], from[2]));
}

/// Riffles each 48 bytes, like two halves of a pack of cards. This is a function of its own because the
/// compiler vectorises it alone, but not four of them together.
#[inline(never)]
fn riffle(from: &[u8; GROUPS], to: &mut [u8; GROUPS]) {
    for (from, to) in from.as_chunks::<GROUP>().0.iter().zip(to.as_chunks_mut::<GROUP>().0) {
        let (low, high) = from.split_at(GROUP / 2);
        for ((pair, low), high) in to.as_chunks_mut::<2>().0.iter_mut().zip(low).zip(high) {
            *pair = [*low, *high];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decode_rgb, encode};
    use super::*;
    use isn_format::pixel_spec::Encoding;

    fn picture(width: u32, height: u32) -> Rgb {
        let pixels = (0..width * height * 3).map(|i| (i * 37 + i / 7) as u8).collect();
        Rgb { width, height, pixels }
    }

    fn png(image: &Rgb) -> Vec<u8> {
        encode::encode(image, Encoding::Png, &mut Vec::new()).unwrap()
    }

    #[test]
    fn channels_are_parted_alike_by_all_instructions() {
        for pixels in [0, 1, 5, 31, 32, 33, 127, 128, 129, 1000, 4099] {
            let image: Vec<u8> = (0..3 * pixels).map(|at| (at * 31 + at / 7) as u8).collect();
            let expected: Vec<u8> =
                (0..3).flat_map(|channel| image.iter().skip(channel).step_by(3).copied()).collect();
            let by = |part: fn(&[u8], [&mut [u8]; 3])| {
                let mut out = vec![0; image.len()];
                let (red, rest) = out.split_at_mut(pixels);
                let (green, blue) = rest.split_at_mut(pixels);
                part(&image, [red, green, blue]);
                out
            };
            assert!(by(part_channels) == expected && by(riffle_apart) == expected, "{pixels} pixels");
        }
    }

    #[test]
    fn stored_files_decode_as_the_png_crate_decodes_them() {
        // One block; a row that ends with a block; rows that cross blocks.
        for (width, height) in [(1, 1), (7, 3), (213, 160), (21844, 2), (21845, 4), (400, 300)] {
            let image = picture(width, height);
            let file = png(&image);
            assert_eq!(decode_rgb(&file, ExifOrientation::Ignore).unwrap(), image);
            let stored = Stored::read(&file).unwrap();
            let mut pixels = vec![7; image.pixels.len()];
            stored.pixels(&mut pixels).unwrap();
            assert_eq!(pixels, image.pixels, "{width}x{height}");
            let mut out = vec![0; image.pixels.len()];
            ImageReader::default().pixels(&file, width, height, &mut out).unwrap();
            assert_eq!(out, image.pixels);
            assert!(ImageReader::default().pixels(&file, width + 1, height, &mut out).is_err());
        }
    }

    #[test]
    fn any_change_of_a_stored_file_is_read_as_something_or_nothing_and_never_panics() {
        let image = picture(150, 150);
        let (file, mut reader) = (png(&image), ImageReader::default());
        let mut out = vec![0; image.pixels.len()];
        let spots = (0..80).chain(65_570..65_590).chain(file.len() - 30..file.len());
        for at in spots {
            for value in [0, 1, 2, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] = value;
                let _ = reader.pixels(&changed, 150, 150, &mut out);
            }
            let _ = reader.pixels(&file[..at], 150, 150, &mut out);
        }
        reader.pixels(&file, 150, 150, &mut out).unwrap();
        assert_eq!(out, image.pixels);
    }

    #[test]
    fn a_view_is_a_part_at_a_size_either_way_round() {
        let image = picture(9, 5);
        let (file, mut reader) = (png(&image), ImageReader::default());
        let view = View {
            corner: (2, 1),
            part: (4, 3),
            size: (4, 3),
            mirrored: false,
            layout: SampleOrder::Interleaved,
        };
        let pixel = |x: usize, y: usize| &image.pixels[(y * 9 + x) * 3..][..3];
        let mut out = vec![0; 36];
        reader.view(&file, (9, 5), &view, &mut out).unwrap();
        assert_eq!((&out[..3], &out[33..]), (pixel(2, 1), pixel(5, 3)));
        reader.view(&file, (9, 5), &View { mirrored: true, ..view }, &mut out).unwrap();
        assert_eq!((&out[..3], &out[33..]), (pixel(5, 1), pixel(2, 3)));
        for mirrored in [false, true] {
            let (mut across, mut planes) = (vec![0; 3 * 8 * 6], vec![0; 3 * 8 * 6]);
            let view = View { size: (8, 6), mirrored, ..view };
            reader.view(&file, (9, 5), &view, &mut across).unwrap();
            reader.view(&file, (9, 5), &View { layout: SampleOrder::Planar, ..view }, &mut planes).unwrap();
            let again: Vec<u8> =
                (0..48).flat_map(|at| [planes[at], planes[48 + at], planes[96 + at]]).collect();
            assert_eq!(again, across);
        }
        // Long enough to be separated in groups, with a remainder.
        let image = picture(131, 7);
        let planar = View {
            corner: (0, 0),
            part: (131, 7),
            size: (131, 7),
            mirrored: false,
            layout: SampleOrder::Planar,
        };
        let mut planes = vec![0; image.pixels.len()];
        reader.view(&png(&image), (131, 7), &planar, &mut planes).unwrap();
        let again: Vec<u8> =
            (0..917).flat_map(|at| [planes[at], planes[917 + at], planes[1834 + at]]).collect();
        assert_eq!(again, image.pixels);
        let outside = View { corner: (6, 0), ..view };
        assert!(reader.view(&file, (9, 5), &outside, &mut out).is_err());
        assert!(reader.view(&file, (9, 5), &view, &mut [0; 5]).is_err());
        assert!(reader.view(&file, (8, 5), &view, &mut out).is_err());
    }
}
