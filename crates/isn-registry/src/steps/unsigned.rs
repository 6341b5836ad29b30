//! What is said of a version that only a pin leads to: that nobody vouches for all of it.

/// What a pin vouches for, and what it does not.
pub const REACH: &str = "the pin vouches for images, labels, classes and splits, not for name, title, authors, licence, image \
                         sizes, sources and recipe";

/// That, of a version with this that is `unsigned`, for every verb that shows or goes by some of it.
pub fn notice(unsigned: &[&str]) -> Option<String> {
    (!unsigned.is_empty()).then(|| format!("nobody whom you trust signed this version: {REACH}"))
}
