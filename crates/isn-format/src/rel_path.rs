//! [`RelPath`]: a path inside a tree that is safe on every file system.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The maximum length of a path in bytes: with `C:\Users\<name>\…` and a long dataset folder before it, a
/// path still fits in the 260 characters of Windows.
pub const MAX_PATH_LEN: usize = 200;

/// A `/`-separated relative path of ASCII `[A-Za-z0-9._-]` segments: no leading or trailing dot, no Windows
/// device name, at most [`MAX_PATH_LEN`] bytes. Ordered by its bytes.
///
/// ```
/// use isn_format::rel_path::RelPath;
///
/// let path: RelPath = "val/n01614925/n01614925_8.png".parse()?;
/// assert_eq!(path.segments().next(), Some("val"));
/// for unsafe_path in ["../secret", "/etc/passwd", "a/./b", "con.png", "C:\\x", "a//b"] {
///     assert!(unsafe_path.parse::<RelPath>().is_err());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

/// Why a text is not a [`RelPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path '{path}' {why}")]
pub struct RelPathError {
    path: String,
    why: &'static str,
}

impl RelPath {
    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path without its allocation.
    pub fn as_ref(&self) -> RelPathRef<'_> {
        RelPathRef(&self.0)
    }

    /// Returns this path below `root`, with the separators of the operating system.
    pub fn under(&self, root: &Path) -> PathBuf {
        self.as_ref().under(root)
    }

    /// Returns the path in ASCII lower case: on a file system that ignores case, two paths for which this is
    /// equal are one file.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Returns the segments, in order.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

/// A borrowed [`RelPath`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPathRef<'a>(&'a str);

impl<'a> RelPathRef<'a> {
    /// Checks that `text` is a path.
    ///
    /// # Errors
    /// [`RelPathError`] if it is none.
    pub fn new(text: &'a str) -> Result<Self, RelPathError> {
        let refuse = |why| RelPathError { path: text.into(), why };
        if text.len() > MAX_PATH_LEN {
            return Err(refuse("is longer than 200 bytes"));
        }
        text.split('/').try_for_each(check_segment).map_err(refuse)?;
        Ok(RelPathRef(text))
    }

    /// Takes a text for a path that was one when it was stored.
    pub(crate) fn stored(text: &'a str) -> Self {
        RelPathRef(text)
    }

    /// Returns the path as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Returns this path below `root`, with the separators of the operating system.
    pub fn under(self, root: &Path) -> PathBuf {
        self.0.split('/').fold(root.to_path_buf(), |path, segment| path.join(segment))
    }

    /// Returns the segments, in order.
    pub fn segments(self) -> impl Iterator<Item = &'a str> {
        self.0.split('/')
    }

    /// Returns the path with its own allocation.
    pub fn to_owned(self) -> RelPath {
        RelPath(self.0.into())
    }
}

impl fmt::Display for RelPathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for RelPathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPathRef({})", self.0)
    }
}

/// Checks one segment of a path (a class id, a file name).
///
/// # Errors
/// What is wrong with the segment, as a predicate: "has an empty segment".
pub fn check_segment(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        return Err("has an empty segment");
    }
    if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return Err("has a character outside A-Z a-z 0-9 . _ -");
    }
    if segment.starts_with('.') || segment.ends_with('.') {
        return Err("has a segment that starts or ends with a dot");
    }
    if is_device(segment.split('.').next().unwrap_or(segment)) {
        return Err("has a segment that is a device name on Windows");
    }
    Ok(())
}

/// Whether a name without its extension is that of a device on Windows.
fn is_device(stem: &str) -> bool {
    const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
    const NUMBERED: [&str; 2] = ["com", "lpt"];
    match stem.as_bytes() {
        [_, _, _] => DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)),
        [name @ .., b'1'..=b'9'] if name.len() == 3 => {
            NUMBERED.iter().any(|device| name.eq_ignore_ascii_case(device.as_bytes()))
        }
        _ => false,
    }
}

impl FromStr for RelPath {
    type Err = RelPathError;

    fn from_str(text: &str) -> Result<Self, RelPathError> {
        RelPathRef::new(text).map(RelPathRef::to_owned)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({})", self.0)
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_tree_and_nothing_that_hurts() {
        for good in
            ["classes.csv", "val/n01614925/ILSVRC2012_val_00000318.png", "a/b-c_d.e", "com10/x", "COM"]
        {
            assert!(good.parse::<RelPath>().is_ok(), "{good}");
        }
        let long = "a/".repeat(100) + "b";
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            ".hidden",
            "a/.b",
            "a.",
            "a./b",
            "a b",
            "a\\b",
            "é",
            "a:b",
            "con",
            "CON.png",
            "a/nul",
            "a/Lpt1.txt",
            "com9",
            "a\n",
            "~",
            long.as_str(),
        ] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad:?}");
        }
    }
}
