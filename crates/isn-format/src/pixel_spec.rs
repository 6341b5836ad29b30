//! [`PixelSpec`]: what a recipe says about pixels. What becomes of it is `isn_pixels`'.

/// The name of the pipeline that a spec is for, which `imaging` computes. Other bits are another name.
pub const PIPELINE: &str = "isn-px/1";

/// The most pixels that an image may have: a header alone must not make anyone allocate more (400 MB of RGB).
pub const MAX_PIXELS: u64 = 1 << 27;

/// What a recipe says about pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelSpec {
    /// The shortest side of the result, in pixels; at least 1.
    pub size: u32,
    /// How pixels are resampled.
    pub filter: Filter,
    /// The format of the result.
    pub encode: Encoding,
    /// What becomes of an image whose shortest side is less than `size`.
    pub small: Small,
    /// What becomes of an EXIF orientation.
    pub exif_orientation: ExifOrientation,
}

/// A resampling kernel. Both have polynomial weights: Lanczos calls `sin`, whose last bit depends on the
/// machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Cubic, a = -0.5; as Pillow's `BICUBIC`.
    CatmullRom,
    /// Triangle; as Pillow's `BILINEAR`.
    Bilinear,
}

/// The format of a dataset image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lossless, rows filtered, zlib stream stored.
    Png,
    /// Baseline, 4:4:4.
    Jpeg {
        /// 1 to 100.
        quality: u8,
    },
}

impl Encoding {
    /// The ending of a file name, without the dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Encoding::Png => "png",
            Encoding::Jpeg { .. } => "jpg",
        }
    }
}

/// What becomes of an image whose shortest side is less than the recipe's size. One of just that size is
/// kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Small {
    /// Its pixels stay as they are.
    Keep,
    /// It is enlarged with the same filter.
    Upscale,
    /// It is left out of the dataset.
    Drop,
}

/// What becomes of an EXIF orientation. One that cannot be read is none, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExifOrientation {
    /// Pixels as stored, as torchvision and Keras load them.
    Ignore,
    /// Pixels as a viewer shows them.
    Apply,
}
