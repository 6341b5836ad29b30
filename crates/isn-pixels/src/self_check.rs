//! The self-check: whether this binary computes the bits of [`PIPELINE`] on this machine.

use super::{Outcome, Pipeline};
use isn_format::digest::Digest;
use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter, PIPELINE, PixelSpec, Small};

/// This binary computes pixels that differ from `isn-px/1`: nobody could reproduce the hash of what it
/// builds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this binary does not compute {PIPELINE} on this machine: {vector} gives {got} instead of {want}")]
pub struct SelfCheckError {
    /// The file name of the golden vector.
    pub vector: &'static str,
    /// The BLAKE3 of the result, or why there is none.
    pub got: String,
    /// The expected BLAKE3.
    pub want: &'static str,
}

/// A line of `vectors/vectors.txt`, with size 24, `keep` and `ignore`.
struct Vector {
    name: &'static str,
    source: &'static [u8],
    filter: Filter,
    encode: Encoding,
    /// The BLAKE3 of the resulting file.
    want: &'static str,
}

macro_rules! vector {
    ($name:literal, $filter:expr, $encode:expr, $want:literal) => {
        Vector {
            name: $name,
            source: include_bytes!(concat!("../vectors/", $name)),
            filter: $filter,
            encode: $encode,
            want: $want,
        }
    };
}

/// Covers every codec path that has its own SIMD code: YCbCr at three samplings, grey, CMYK, progressive;
/// both filters; PNG and its unfiltering; both encoders.
const VECTORS: [Vector; 7] = [
    vector!(
        "420.jpg",
        Filter::CatmullRom,
        Encoding::Png,
        "9c099a2c9ed12e55ff4e00cedea0795680ee2a24e4a946fea074102eae8b7464"
    ),
    vector!(
        "422.jpg",
        Filter::Bilinear,
        Encoding::Png,
        "fb8451e762ba5ddb5ff67b53200bc8a3ca3b97c354341b588ba2b70d7f381a87"
    ),
    vector!(
        "444_optimized.jpg",
        Filter::CatmullRom,
        Encoding::Jpeg { quality: 90 },
        "4ad045be52010a26c77ca1e09d1e0278089eb7f0127a06a9bcf5628a866fd19e"
    ),
    vector!(
        "progressive.jpg",
        Filter::CatmullRom,
        Encoding::Png,
        "307b2a9ede6e4dfc540026066da8c55df25ae670c490160a4126f2ac7a30ab3d"
    ),
    vector!(
        "grey.jpg",
        Filter::CatmullRom,
        Encoding::Png,
        "ebf1ba818f9acfa72b2758fd0128414e5504554e7d40c1ee2c9e034ebcf96c01"
    ),
    vector!(
        "cmyk_adobe.jpg",
        Filter::CatmullRom,
        Encoding::Png,
        "f150a5f7af73cf529eb1c3ea89bedb73b5f240513036d82db0c6fb801754028c"
    ),
    vector!(
        "rgb8.png",
        Filter::CatmullRom,
        Encoding::Png,
        "0f3537072b0344e97d4c5f3e6314272a7c7080dada25b235fb6bc4a0fa6d5dc9"
    ),
];

/// Builds the embedded vectors, in a few milliseconds.
///
/// # Errors
/// Fails with the first vector whose result differs.
pub fn self_check() -> Result<(), SelfCheckError> {
    for Vector { name: vector, source, filter, encode, want } in VECTORS {
        let (small, exif_orientation) = (Small::Keep, ExifOrientation::Ignore);
        let spec = PixelSpec { size: 24, filter, encode, small, exif_orientation };
        let got = match Pipeline::new(spec).build(source) {
            Ok(Outcome::Built(built)) => Digest::of(&built.bytes).to_string(),
            Ok(Outcome::Dropped) => "nothing".into(),
            Err(error) => error.to_string(),
        };
        if got != want {
            return Err(SelfCheckError { vector, got, want });
        }
    }
    Ok(())
}
