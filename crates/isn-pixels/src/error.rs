//! [`PixelError`]: why a source image cannot be built. A curator reads its text as the reason for a reject.

use isn_format::pixel_spec::MAX_PIXELS;

/// Why a file gave no pixels. `Display` is one line, meant to follow a path: `train/…/x.JPEG: truncated: …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PixelError {
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file has neither magic number. Its name plays no part.
    #[error("not a JPEG or PNG: {told}")]
    UnknownFormat {
        /// What it is, or its first bytes, in hex.
        told: String,
    },
    /// The data ends before the image does.
    #[error("truncated: the {format} data ends before the image is complete ({detail})")]
    Truncated {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// What is missing.
        detail: String,
    },
    /// The data is complete, but no encoder could have written it.
    #[error("corrupt {format}: {detail}")]
    Corrupt {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// What was found.
        detail: String,
    },
    /// A valid file of a kind that `isn-px/1` does not define.
    #[error("unsupported {format}: {detail}")]
    Unsupported {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// Which kind.
        detail: String,
    },
    /// A width or height of zero.
    #[error("the image has no pixels: {width}x{height}")]
    NoPixels {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// More than [`MAX_PIXELS`], in the source or in the result of an upscale.
    #[error("{what} is {width}x{height} pixels: more than the limit of {} million", MAX_PIXELS >> 20)]
    TooLarge {
        /// "the image" or "the resized image".
        what: &'static str,
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// The result does not fit the output format of the recipe, or the memory that the caller gave.
    #[error("the resized image cannot be encoded: {detail}")]
    Encode {
        /// Why.
        detail: String,
    },
}

impl PixelError {
    pub(super) fn truncated(format: &'static str, detail: impl Into<String>) -> Self {
        PixelError::Truncated { format, detail: detail.into() }
    }

    pub(super) fn corrupt(format: &'static str, detail: impl Into<String>) -> Self {
        PixelError::Corrupt { format, detail: detail.into() }
    }

    pub(super) fn unsupported(format: &'static str, detail: impl Into<String>) -> Self {
        PixelError::Unsupported { format, detail: detail.into() }
    }
}
