//! A source image: built or rejected, never a panic.
#![no_main]

use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter, PixelSpec, Small};
use isn_pixels::{Pipeline, dimensions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // A header that claims a huge image would only use up memory here: the limit has tests of its own.
    if dimensions(data, ExifOrientation::Apply).is_ok_and(|(w, h)| u64::from(w) * u64::from(h) > 1 << 20) {
        return;
    }
    let spec = PixelSpec {
        size: 24,
        filter: Filter::CatmullRom,
        encode: Encoding::Png,
        small: Small::Keep,
        exif_orientation: ExifOrientation::Apply,
    };
    let _ = Pipeline::new(spec).build(data);
});
