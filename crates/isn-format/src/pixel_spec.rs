//! [`PixelSpec`]: what a recipe says about pixels. `isn_pixels` applies it.

/// The name of the pipeline that applies a spec. Any change to its output bits gets a new name.
pub const PIPELINE: &str = "isn-px/1";

/// The maximum number of pixels of an image: no header alone may cause a larger allocation (400 MB of RGB).
pub const MAX_PIXELS: u64 = 1 << 27;

/// The pixel settings of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelSpec {
    /// The shortest side of the result, in pixels; at least 1.
    pub size: u32,
    /// How pixels are resampled.
    pub filter: Filter,
    /// The format of the result.
    pub encode: Encoding,
    /// What to do with an image whose shortest side is less than `size`.
    pub small: Small,
    /// What to do with an EXIF orientation.
    pub exif_orientation: ExifOrientation,
}

/// A resampling kernel. Both have polynomial weights, which every machine computes alike; Lanczos calls
/// `sin`, whose last bit depends on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Cubic, a = -0.5; Pillow's `BICUBIC`.
    CatmullRom,
    /// Triangle; Pillow's `BILINEAR`.
    Bilinear,
}

/// The format of a dataset image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lossless; rows are filtered, the zlib stream is stored.
    Png,
    /// Baseline, 4:4:4.
    Jpeg {
        /// 1 to 100.
        quality: u8,
    },
}

impl Encoding {
    /// Returns the file extension, without the dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Encoding::Png => "png",
            Encoding::Jpeg { .. } => "jpg",
        }
    }
}

/// What to do with an image whose shortest side is less than the recipe's size. An image of exactly that size
/// is kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Small {
    /// Keep its pixels as they are.
    Keep,
    /// Enlarge it with the same filter.
    Upscale,
    /// Leave it out of the dataset.
    Drop,
}

/// What to do with an EXIF orientation. An unreadable one counts as none and is never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExifOrientation {
    /// Take the pixels as stored, as torchvision and Keras load them.
    Ignore,
    /// Turn and flip the pixels as a viewer shows them.
    Apply,
}

impl ExifOrientation {
    /// Returns the word for it in a recipe.
    pub fn as_str(self) -> &'static str {
        match self {
            ExifOrientation::Ignore => "ignore",
            ExifOrientation::Apply => "apply",
        }
    }
}
