//! The pixel pipeline: the choices of a recipe that decide pixels and bytes.

/// What a recipe says about pixels: `[image]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelSpec {
    /// The shortest side of an output image, in pixels.
    pub size: u32,
    /// The resampling filter.
    pub filter: Filter,
    /// The file format of an output image.
    pub encode: Encoding,
    /// What becomes of an image whose shortest side is below `size`.
    pub small: Small,
    /// Whether the EXIF orientation tag turns the image.
    pub exif_orientation: ExifOrientation,
}

/// A resampling filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Cubic convolution with B = 0, C = 1/2.
    CatmullRom,
    /// Triangle.
    Bilinear,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lossless.
    Png,
    /// 4:4:4, quality 1 to 100.
    Jpeg {
        /// 1 to 100.
        quality: u8,
    },
}

/// What becomes of an image that is smaller than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Small {
    /// It stays as it is.
    Keep,
    /// It is enlarged.
    Upscale,
    /// It is left out.
    Drop,
}

/// What the EXIF orientation tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExifOrientation {
    /// Nothing, as in the field's loaders.
    Ignore,
    /// The image is turned.
    Apply,
}

impl Encoding {
    /// The extension of an output file, without a dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Encoding::Png => "png",
            Encoding::Jpeg { .. } => "jpg",
        }
    }
}
