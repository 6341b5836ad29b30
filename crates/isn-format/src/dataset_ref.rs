//! [`DatasetRef`]: how a user names a dataset version. [`VersionId`]: one version of a dataset, which is a
//! [`Name`] and a [`Version`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::rel_path::check_segment;

/// The one well-formed word that is not a name: a registry has a folder `releases/NAME/` for each dataset,
/// and the file `releases/names` for the list of all names.
const RESERVED: &str = "names";

/// A dataset's name: 1 to 64 lower-case ASCII letters, digits and inner hyphens, but no Windows device name
/// and not `names`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A version, `MAJOR.MINOR`, ordered numerically.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Incremented by changes of classes, pixels or split policy.
    pub major: u32,
    /// Incremented by corrections.
    pub minor: u32,
}

/// One version of a dataset, written `name@version`.
///
/// ```
/// use isn_format::dataset_ref::VersionId;
///
/// let id: VersionId = "birds@1.0".parse()?;
/// assert_eq!((id.name.as_str(), id.version.major, id.version.minor), ("birds", 1, 0));
/// assert_eq!(id.to_string(), "birds@1.0");
/// assert!("birds".parse::<VersionId>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId {
    /// The dataset's name.
    pub name: Name,
    /// The number of the version.
    pub version: Version,
}

/// A reference as a user writes it: `name`, `name@version`, `name@version#b3:…` or `b3:…`.
///
/// ```
/// use isn_format::dataset_ref::DatasetRef;
///
/// let pin = "birds@1.0#b3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
/// match pin.parse()? {
///     DatasetRef::Version(id, hash) => {
///         assert_eq!(id.to_string(), "birds@1.0");
///         assert!(hash.is_some());
///     }
///     other => panic!("{other}"),
/// }
/// assert!(matches!("birds".parse()?, DatasetRef::Newest(_)));
/// assert!("Birds@1".parse::<DatasetRef>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatasetRef {
    /// The newest version of a dataset.
    Newest(Name),
    /// One version; with a pin, also the dataset hash that it must have.
    Version(VersionId, Option<Digest>),
    /// Any version with this dataset hash.
    Pin(Digest),
}

/// Why a text is not a name, a version or a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' {why}")]
pub struct RefError {
    text: String,
    why: String,
}

impl RefError {
    fn new(text: &str, why: impl fmt::Display) -> Self {
        RefError { text: text.into(), why: why.to_string() }
    }
}

impl Name {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the names differ by one inserted, removed or replaced character, or by two swapped neighbours.
    pub fn is_like(&self, other: &Name) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[same..], &b[same..]);
        let same = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        match (&a[..a.len() - same], &b[..b.len() - same]) {
            ([] | [_], [] | [_]) => true,
            ([a, b], [c, d]) => (a, b) == (d, c),
            _ => false,
        }
    }
}

impl FromStr for Name {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let formed = (1..=64).contains(&bytes.len())
            && plain(bytes[0])
            && plain(bytes[bytes.len() - 1])
            && bytes.iter().all(|&b| plain(b) || b == b'-');
        if !formed {
            return Err(RefError::new(
                text,
                "is not a dataset name: expected 1 to 64 of a-z, 0-9 and inner hyphens",
            ));
        }
        check_segment(text).map_err(|why| RefError::new(text, why))?;
        if text == RESERVED {
            let why = "is not a dataset name: a registry keeps its list of names there";
            return Err(RefError::new(text, why));
        }
        Ok(Name(text.into()))
    }
}

impl FromStr for Version {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let number = |part: &str| {
            let canonical = part == "0" || !part.starts_with('0');
            let digits = (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            (canonical && digits).then(|| part.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(Version { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| RefError::new(text, "is not a version: expected MAJOR.MINOR, for example 1.0"))
    }
}

impl FromStr for VersionId {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let why = "is not a version of a dataset: expected NAME@VERSION, for example birds@1.0";
        let (name, version) = text.split_once('@').ok_or_else(|| RefError::new(text, why))?;
        Ok(VersionId { name: name.parse()?, version: version.parse()? })
    }
}

impl DatasetRef {
    /// Returns the dataset's name, unless the reference is a dataset hash alone.
    pub fn name(&self) -> Option<&Name> {
        match self {
            DatasetRef::Newest(name) => Some(name),
            DatasetRef::Version(id, _) => Some(&id.name),
            DatasetRef::Pin(_) => None,
        }
    }

    /// Returns the reference as people recognise it: without its hash, unless it is nothing else.
    #[must_use]
    pub fn without_hash(&self) -> DatasetRef {
        match self {
            DatasetRef::Version(id, _) => DatasetRef::Version(id.clone(), None),
            other => other.clone(),
        }
    }
}

impl FromStr for DatasetRef {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let pin = |text: &str| {
            let why = "is not a dataset hash: expected b3: and 64 lower-case hex digits (a shortened hash is not enough)";
            Digest::from_prefixed(text).map_err(|_| RefError::new(text, why))
        };
        if text.starts_with("b3:") {
            return Ok(DatasetRef::Pin(pin(text)?));
        }
        if text.starts_with("unreleased:") {
            let why =
                "names a build that nobody released, so no registry has it: pull NAME@VERSION --source DIR";
            return Err(RefError::new(text, why));
        }
        let (named, hash) = match text.split_once('#') {
            Some((named, hash)) => (named, Some(hash)),
            None => (text, None),
        };
        match (named.contains('@'), hash) {
            (true, hash) => Ok(DatasetRef::Version(named.parse()?, hash.map(pin).transpose()?)),
            (false, None) => Ok(DatasetRef::Newest(named.parse()?)),
            (false, Some(_)) => {
                Err(RefError::new(text, "has a hash but no version: write NAME@VERSION#b3:…"))
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl fmt::Display for DatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatasetRef::Newest(name) => write!(f, "{name}"),
            DatasetRef::Version(id, None) => write!(f, "{id}"),
            DatasetRef::Version(id, Some(pin)) => write!(f, "{id}#b3:{pin}"),
            DatasetRef::Pin(pin) => write!(f, "b3:{pin}"),
        }
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_as_text!(Name, Version, VersionId, DatasetRef);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_makes_a_like_name() {
        let is_like = |a: &str, b: &str| a.parse::<Name>().unwrap().is_like(&b.parse().unwrap());
        for like in ["birds", "birdss", "brds", "bards", "brids", "bird", "xbirds"] {
            assert!(is_like("birds", like) && is_like(like, "birds"), "{like}");
        }
        for other in ["words", "bi", "birdhouse", "sdrib", "bdirs"] {
            assert!(!is_like("birds", other) && !is_like(other, "birds"), "{other}");
        }
    }

    #[test]
    fn every_form_reads_back_as_it_was_written() {
        let hash = Digest::of(b"");
        for text in
            ["imagebirds", "imagebirds@1.0", &format!("imagebirds@1.10#b3:{hash}"), &format!("b3:{hash}")]
        {
            assert_eq!(text.parse::<DatasetRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn only_a_hash_beside_a_version_is_left_out() {
        let hash = Digest::of(b"");
        let without = |text: &str| text.parse::<DatasetRef>().unwrap().without_hash().to_string();
        assert_eq!(without(&format!("birds@1.0#b3:{hash}")), "birds@1.0");
        for text in ["birds", "birds@1.0", &format!("b3:{hash}")] {
            assert_eq!(without(text), text);
        }
    }

    #[test]
    fn bad_forms_are_refused() {
        for text in [
            "",
            "@1.0",
            "birds@",
            "birds@1",
            "birds@1.0.0",
            "birds@01.0",
            "birds@1.-1",
            "Birds@1.0",
            "b@1.0#",
            "b@1.0#abc",
            "b#b3:00",
            "-b",
            "b-",
            "../x",
            "b3:",
            "con",
            "names",
            "names@1.0",
            "birds@1.0#B3:00",
            &"b".repeat(65),
        ] {
            assert!(text.parse::<DatasetRef>().is_err(), "{text:?}");
        }
        assert!("b".repeat(64).parse::<DatasetRef>().is_ok());
    }

    #[test]
    fn versions_order_numerically() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("1.10") > version("1.9"));
        assert!(version("2.0") > version("1.10"));
    }
}
