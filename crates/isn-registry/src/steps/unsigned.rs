//! The notice about a version that was reached only by a pin: nobody vouches for all of it.

/// What a pin vouches for, and what it does not.
pub const REACH: &str = "the pin vouches for images, labels, classes and splits, not for name, title, \
                         authors, licence, image sizes, sources and recipe";

/// Returns the notice for a version whose `unsigned` properties nobody vouches for, for every verb that shows
/// or uses them.
pub fn notice(unsigned: &[&str]) -> Option<String> {
    (!unsigned.is_empty()).then(|| format!("nobody whom you trust signed this version: {REACH}"))
}
