//! Resizes to a shortest side.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};

use super::source::check_size;
use super::{PixelError, Rgb};
use isn_format::pixel_spec::{Filter, Small};

/// Returns the size of the result, or `None` if the pixels stay as they are. The shortest side becomes
/// `size`; the other is `long × size / short`, rounded half up, in exact integers.
pub(super) fn target(
    width: u32,
    height: u32,
    size: u32,
    small: Small,
) -> Result<Option<(u32, u32)>, PixelError> {
    let (short, long) = (width.min(height), width.max(height));
    if short == size || (short < size && small != Small::Upscale) {
        return Ok(None);
    }
    let (short, long) = (u128::from(short), u128::from(long));
    let scaled = (2 * long * u128::from(size) + short) / (2 * short);
    let scaled = u32::try_from(scaled).unwrap_or(u32::MAX);
    let (width, height) = if width <= height { (size, scaled) } else { (scaled, size) };
    check_size("the resized image", width, height)?;
    Ok(Some((width, height)))
}

/// The resizer of fast_image_resize, with its scratch memory.
#[derive(Default)]
pub(super) struct Resizer(fast_image_resize::Resizer);

impl Resizer {
    /// Resamples `source` to `width` × `height` into `out`, and overwrites what `out` held before.
    pub(super) fn resize(
        &mut self,
        source: &Rgb,
        filter: Filter,
        width: u32,
        height: u32,
        out: &mut Rgb,
    ) -> Result<(), PixelError> {
        let refused = |detail: String| PixelError::Encode { detail };
        out.reset(width, height);
        // Typed, so that only one of the crate's 13 kinds of pixels is compiled: that takes a minute less.
        let from = TypedImageRef::<U8x3>::from_buffer(source.width, source.height, &source.pixels)
            .map_err(|error| refused(error.to_string()))?;
        let mut to = TypedImage::<U8x3>::from_buffer(width, height, &mut out.pixels)
            .map_err(|error| refused(error.to_string()))?;
        let kernel = match filter {
            Filter::CatmullRom => FilterType::CatmullRom,
            Filter::Bilinear => FilterType::Bilinear,
        };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel));
        self.0.resize_typed(&from, &mut to, &options).map_err(|error| refused(error.to_string()))
    }
}

/// Returns the picture at exactly `width` × `height` pixels, whatever its aspect ratio: for display, not for
/// publishing.
///
/// # Errors
/// - [`PixelError::NoPixels`] if `width` or `height` is zero.
/// - [`PixelError::TooLarge`] if the result has more than [`MAX_PIXELS`](isn_format::pixel_spec::MAX_PIXELS).
/// - [`PixelError::Encode`] if `source` has fewer bytes than its size requires.
pub fn scale(source: &Rgb, width: u32, height: u32, filter: Filter) -> Result<Rgb, PixelError> {
    check_size("the scaled image", width, height)?;
    let mut out = Rgb::default();
    Resizer::default().resize(source, filter, width, height, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_side_is_rounded_half_up() {
        // width, height, size → width, height
        let table = [
            (500, 375, 160, 213, 160),     // 213.33
            (375, 500, 160, 160, 213),     // the same upright
            (500, 333, 160, 240, 160),     // 240.24
            (3, 2, 1, 2, 1),               // 1.5 goes up
            (5, 2, 1, 3, 1),               // 2.5 goes up, not to even
            (7, 2, 1, 4, 1),               // 3.5
            (1001, 1000, 160, 160, 160),   // 160.16
            (2003, 1000, 500, 1002, 500),  // 1001.5
            (2001, 1999, 160, 160, 160),   // 160.08
            (65535, 200, 160, 52428, 160), // exact
            (640, 640, 160, 160, 160),
        ];
        for (width, height, size, to_width, to_height) in table {
            let got = target(width, height, size, Small::Keep).unwrap();
            assert_eq!(got, Some((to_width, to_height)), "{width}x{height} to {size}");
        }
    }

    #[test]
    fn small_images_follow_the_policy() {
        assert_eq!(target(160, 300, 160, Small::Keep).unwrap(), None);
        assert_eq!(target(160, 300, 160, Small::Upscale).unwrap(), None);
        assert_eq!(target(80, 150, 160, Small::Keep).unwrap(), None);
        assert_eq!(target(80, 151, 160, Small::Upscale).unwrap(), Some((160, 302)));
        assert_eq!(target(150, 80, 160, Small::Upscale).unwrap(), Some((300, 160)));
    }

    #[test]
    fn an_upscale_has_a_limit() {
        let error = target(1, 65535, 4096, Small::Upscale).unwrap_err();
        assert!(matches!(error, PixelError::TooLarge { .. }), "{error}");
        let error = target(1, u32::MAX, u32::MAX, Small::Upscale).unwrap_err();
        assert!(matches!(error, PixelError::TooLarge { .. }), "{error}");
    }
}
