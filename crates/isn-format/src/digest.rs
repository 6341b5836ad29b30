//! [`Digest`]: a BLAKE3 hash, the only name of stored bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A 32-byte BLAKE3 hash. `Display` is 64 lower-case hex digits, as `b3sum` prints them.
///
/// ```
/// use isn_format::digest::Digest;
///
/// // As `b3sum` prints it for an empty file.
/// let empty: Digest = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262".parse()?;
/// assert_eq!(Digest::of(b""), empty);
/// assert!(empty.prefixed().starts_with("b3:af1349b9"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a BLAKE3 hash: expected 64 lower-case hex digits")]
pub struct DigestError(String);

impl Digest {
    /// Returns the BLAKE3 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// Returns the BLAKE3 of what `hasher` has read so far.
    pub fn of_hasher(hasher: &blake3::Hasher) -> Self {
        Digest(*hasher.finalize().as_bytes())
    }

    /// Wraps the 32 bytes of a hash.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the text with its algorithm, as in a pin: `b3:` and 64 hex digits.
    pub fn prefixed(&self) -> String {
        format!("b3:{self}")
    }

    /// Parses the form that [`Digest::prefixed`] returns.
    ///
    /// # Errors
    /// [`DigestError`] if `text` is not `b3:` and 64 lower-case hex digits.
    pub fn from_prefixed(text: &str) -> Result<Self, DigestError> {
        text.strip_prefix("b3:").ok_or_else(|| DigestError(text.into()))?.parse()
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.as_bytes();
        let mut out = [0u8; 32];
        if digits.len() != 64 {
            return Err(DigestError(text.into()));
        }
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (hex_value(pair[0]), hex_value(pair[1]));
            *byte = match (high, low) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(DigestError(text.into())),
            };
        }
        Ok(Digest(out))
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // At once: lists have millions of them.
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Lists have millions of them: a text that is at hand is not copied.
        struct Hex;
        impl de::Visitor<'_> for Hex {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 lower-case hex digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_b3sum_prints() {
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::from_prefixed(&format!("b3:{empty}")).unwrap(), Digest::of(b""));
    }

    #[test]
    fn one_spelling_only() {
        let hex = Digest::of(b"").to_string();
        assert!(hex.to_uppercase().parse::<Digest>().is_err());
        assert!(hex[1..].parse::<Digest>().is_err());
        assert!(format!(" {hex}").parse::<Digest>().is_err());
        assert!(Digest::from_prefixed(&hex).is_err());
        assert!(format!("{}é", &hex[..62]).parse::<Digest>().is_err());
    }
}
