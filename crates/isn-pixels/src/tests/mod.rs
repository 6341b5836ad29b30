mod golden;
mod sources;
mod truncation;

use super::*;
use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter};

/// The default recipe at a small size.
fn spec(size: u32) -> PixelSpec {
    PixelSpec {
        size,
        filter: Filter::CatmullRom,
        encode: Encoding::Png,
        small: Small::Keep,
        exif_orientation: ExifOrientation::Ignore,
    }
}

/// Reads a file of `vectors`.
fn vector(name: &str) -> Vec<u8> {
    std::fs::read(golden::folder().join(name)).unwrap()
}

fn build(spec: PixelSpec, source: &[u8]) -> Built {
    match Pipeline::new(spec).build(source).unwrap() {
        Outcome::Built(built) => built,
        Outcome::Dropped => panic!("dropped"),
    }
}

/// Reproducible noise (xorshift64, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
