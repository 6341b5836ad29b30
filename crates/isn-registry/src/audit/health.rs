//! What is wrong with an image that a look at it shows: too small, blank, without colour, much longer than wide.

use serde::Serialize;

use super::look::Seen;

/// From where on something is said of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// A shortest side of less than so many pixels is tiny.
    pub tiny: u32,
    /// A standard deviation of the luminance of less than so many grey levels is blank.
    pub blank: f64,
    /// A longest side of more than so many times the shortest is extreme.
    pub aspect: f64,
}

/// One thing that is remarkable about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Remark {
    /// It has no pixels: it cannot be read or decoded, or is cut off.
    Broken,
    /// It is small.
    Tiny,
    /// There is next to nothing to see.
    Blank,
    /// It has no colour.
    Grey,
    /// It is very long or very high.
    Extreme,
}

impl Remark {
    /// All of them, the gravest first.
    pub const ALL: [Remark; 5] = [Remark::Broken, Remark::Tiny, Remark::Blank, Remark::Grey, Remark::Extreme];

    /// `broken`, `tiny`, `blank`, `grey` or `extreme`.
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

/// What is remarkable about an image with pixels, each with the figures that say so.
pub fn remarks(seen: &Seen, limits: &Limits) -> Vec<(Remark, String)> {
    let mut remarks = Vec::new();
    let (short, long) = (seen.width.min(seen.height), seen.width.max(seen.height));
    if short < limits.tiny {
        remarks.push((Remark::Tiny, format!("{}x{}", seen.width, seen.height)));
    }
    if seen.deviation < limits.blank {
        remarks.push((Remark::Blank, format!("deviation {:.1}", seen.deviation)));
    } else if seen.is_grey {
        // What is blank is hardly ever coloured, and says so already.
        remarks.push((Remark::Grey, String::new()));
    }
    if f64::from(long) > limits.aspect * f64::from(short) {
        remarks.push((Remark::Extreme, format!("{}x{}", seen.width, seen.height)));
    }
    remarks
}
