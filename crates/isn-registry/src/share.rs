//! [`Share`]: one of several equal parts of some work, so that several machines can do it.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The maximum number of parts.
pub const MAX_PARTS: usize = 100_000;

/// One of several equal parts of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which part, from 0.
    pub part: usize,
    /// The number of parts.
    pub of: usize,
}

impl Share {
    /// Returns what of a list of this length is in the part. Parts differ by one item at most.
    pub fn range(self, length: usize) -> Range<usize> {
        // Too large only for lists that no memory holds.
        let at = |part: usize| (length as u128 * part as u128 / self.of as u128) as usize;
        at(self.part)..at(self.part + 1)
    }
}

/// Why a text is not a [`Share`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected I/N, such as 2/8, of at most {MAX_PARTS} parts")]
pub struct ShareError;

/// As `2/8`, counted from 1.
impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let (part, of) = text.split_once('/').ok_or(ShareError)?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| ShareError);
        let (part, of) = (number(part)?, number(of)?);
        let is_one = (1..=of).contains(&part) && of <= MAX_PARTS;
        if is_one { Ok(Share { part: part - 1, of }) } else { Err(ShareError) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part + 1, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole_and_as_equal_as_they_can_be() {
        for length in [0, 1, 7, 100, 1000] {
            for of in [1, 2, 3, 7, 1000] {
                let parts: Vec<_> = (0..of).map(|part| Share { part, of }.range(length)).collect();
                assert_eq!((parts[0].start, parts[of - 1].end), (0, length));
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
                let (least, most) = (length / of, length.div_ceil(of));
                assert!(parts.iter().all(|part| (least..=most).contains(&part.len())), "{length} {of}");
            }
        }
    }

    #[test]
    fn a_part_is_counted_from_one() {
        assert_eq!("2/8".parse(), Ok(Share { part: 1, of: 8 }));
        assert_eq!(Share { part: 1, of: 8 }.to_string(), "2/8");
        for text in ["0/8", "9/8", "2", "2/", "/8", "-1/8", "2/8/9", "a/b", "1/100001"] {
            assert_eq!(text.parse::<Share>(), Err(ShareError), "{text}");
        }
    }
}
