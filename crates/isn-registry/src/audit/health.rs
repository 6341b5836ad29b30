//! Finds what is wrong with an image from its pixels: too small, blank, without colour, or much longer than
//! wide.

use serde::Serialize;

use super::look::Seen;

/// The limits beyond which an image gets a remark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Tiny: the shortest side has fewer pixels than this.
    pub tiny: u32,
    /// Blank: the standard deviation of the luminance, in grey levels, is less than this.
    pub blank: f64,
    /// Extreme: the longest side is more than this many times the shortest.
    pub aspect: f64,
}

/// A remark about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Remark {
    /// It has no pixels: it cannot be read or decoded, or is truncated.
    Broken,
    /// It is small.
    Tiny,
    /// There is almost nothing to see.
    Blank,
    /// It has no colour.
    Grey,
    /// It is very wide or very tall.
    Extreme,
}

impl Remark {
    /// All remarks, the gravest first.
    pub const ALL: [Remark; 5] = [Remark::Broken, Remark::Tiny, Remark::Blank, Remark::Grey, Remark::Extreme];

    /// Returns `broken`, `tiny`, `blank`, `grey` or `extreme`.
    pub fn as_str(self) -> &'static str {
        match self {
            Remark::Broken => "broken",
            Remark::Tiny => "tiny",
            Remark::Blank => "blank",
            Remark::Grey => "grey",
            Remark::Extreme => "extreme",
        }
    }
}

/// Returns the remarks about an image with pixels, each with the figures behind it.
pub fn remarks(seen: &Seen, limits: &Limits) -> Vec<(Remark, String)> {
    let mut remarks = Vec::new();
    let (short, long) = (seen.width.min(seen.height), seen.width.max(seen.height));
    if short < limits.tiny {
        remarks.push((Remark::Tiny, format!("{}x{}", seen.width, seen.height)));
    }
    if seen.deviation < limits.blank {
        remarks.push((Remark::Blank, format!("deviation {:.1}", seen.deviation)));
    } else if seen.is_grey {
        // A blank image is hardly ever coloured, and has a remark already.
        remarks.push((Remark::Grey, String::new()));
    }
    if f64::from(long) > limits.aspect * f64::from(short) {
        remarks.push((Remark::Extreme, format!("{}x{}", seen.width, seen.height)));
    }
    remarks
}
