//! [`LogKey`], [`WitnessKey`]: the Ed25519 keys that identify logs and witnesses, written as the *vkeys* of
//! C2SP's signed notes: `NAME+8 hex+base64`, where the hex is the key's ID, and the base64 a byte for the
//! kind of signature and the 32 bytes of the key. [`LogSigner`] has the private key.

use std::fmt;
use std::str::FromStr;

use base64::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use signed_note::key_id;

use super::{MAX_ATTESTATIONS, MAX_SIZE};
use crate::error::{Error, Result};
use crate::key::{PrivateKey, PublicKey};

/// The kind of a log's own signatures: Ed25519 over the note's text.
const ED25519: u8 = 0x01;
/// The kind of a witness's signatures: `cosignature/v1` of c2sp.org/tlog-cosignature.
const COSIGNATURE: u8 = 0x04;
/// The maximum length of a name, in bytes.
const MAX_NAME: usize = 200;
/// What the origin of an attestation log ends with; the rest is the origin of its registry's log.
const ATTESTATIONS: &str = "/attestations";

/// A name, and the key that signs for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Named {
    name: String,
    key: PublicKey,
}

impl Named {
    fn key_bytes(&self, kind: u8) -> Vec<u8> {
        [&[kind], self.key.to_bytes().as_slice()].concat()
    }

    fn id(&self, kind: u8) -> u32 {
        key_id(&self.name, &self.key_bytes(kind))
    }

    fn vkey(&self, kind: u8) -> String {
        let bytes = self.key_bytes(kind);
        format!("{}+{:08x}+{}", self.name, self.id(kind), BASE64_STANDARD.encode(bytes))
    }

    /// Parses a vkey. The error is a reason.
    fn parse(text: &str, kind: u8) -> Result<Self, String> {
        let form = "is not a vkey: expected NAME+8 hex digits+base64";
        let (name, rest) = text.split_once('+').ok_or(form)?;
        let (_, base64) = rest.split_once('+').ok_or(form)?;
        let bytes = BASE64_STANDARD.decode(base64).map_err(|_| form)?;
        check_name(name)?;
        let (&found, key) = bytes.split_first().ok_or(form)?;
        if found != kind {
            return Err(match found {
                ED25519 => "is the vkey of a log, not of a witness".into(),
                COSIGNATURE => "is the vkey of a witness, not of a log".into(),
                other => format!("is a vkey of an unknown kind ({other})"),
            });
        }
        let key = key.try_into().map_err(|_| "does not hold an Ed25519 key of 32 bytes")?;
        let named = Named { name: name.into(), key: PublicKey::from_bytes(key) };
        // There is one spelling, which includes the right ID.
        if named.vkey(kind) == text { Ok(named) } else { Err("has an ID that is not its key's".into()) }
    }
}

/// Checks the name of a log or witness. The error is a reason.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!("has a name that is not 1 to {MAX_NAME} bytes long"));
    }
    if !name.bytes().all(|b| b.is_ascii_graphic() && b != b'+') {
        return Err("has a name with something other than printable ASCII, or with a space or '+'".into());
    }
    Ok(())
}

/// The maximum number of entries of a log of this name.
pub(super) fn most_entries(name: &str) -> u64 {
    if is_of_attestations(name) { MAX_ATTESTATIONS } else { MAX_SIZE }
}

/// Whether a log of this name is an attestation log.
pub(super) fn is_of_attestations(name: &str) -> bool {
    name.ends_with(ATTESTATIONS)
}

macro_rules! vkey {
    ($(#[$doc:meta])* $type:ident, $kind:expr, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Named);

        impl $type {
            /// Returns the name in the vkey.
            pub fn name(&self) -> &str {
                &self.0.name
            }

            /// Returns the key in the vkey.
            pub fn key(&self) -> &PublicKey {
                &self.0.key
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let what = || format!("{} '{}'", $noun, text.escape_debug());
                Named::parse(text, $kind).map($type).map_err(|why| Error::invalid(what(), why))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.vkey($kind))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

vkey! {
    /// The identity of a log: its origin, and the key that signs its checkpoints.
    LogKey, ED25519, "log key"
}

vkey! {
    /// A witness: it signs, with the time, that a checkpoint extends the one that it saw before.
    WitnessKey, COSIGNATURE, "witness key"
}

impl LogKey {
    /// Creates the key of a log called `origin`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `origin` is not 1 to 200 printable ASCII characters, or has a space or `+`.
    pub fn new(origin: &str, key: PublicKey) -> Result<Self> {
        let what = || format!("origin '{}'", origin.escape_debug());
        check_name(origin).map_err(|why| Error::invalid(what(), why))?;
        Ok(LogKey(Named { name: origin.into(), key }))
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        self.name()
    }

    /// Returns the key of the attestation log of the registry whose log this is: the same key under another
    /// origin, so no checkpoint or claim of one log is one of the other.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the origin is too long to have an attestation log.
    pub fn attestations(&self) -> Result<Self> {
        LogKey::new(&format!("{}{ATTESTATIONS}", self.origin()), *self.key())
    }

    /// If this is the key of an attestation log, returns the key of the log of its registry.
    pub fn attests_for(&self) -> Option<Self> {
        let origin = self.origin().strip_suffix(ATTESTATIONS)?;
        LogKey::new(origin, *self.key()).ok()
    }

    /// The maximum number of entries of the log.
    pub fn most_entries(&self) -> u64 {
        most_entries(self.origin())
    }

    /// Returns another key of the same log.
    pub(super) fn with_key(&self, key: PublicKey) -> Self {
        LogKey(Named { name: self.0.name.clone(), key })
    }
}

impl signed_note::Verifier for LogKey {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn key_id(&self) -> u32 {
        self.0.id(ED25519)
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        is_valid(&self.0.key, message, signature)
    }
}

impl WitnessKey {
    /// Creates the key of a witness called `name`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `name` is not valid, as in [`LogKey::new`].
    pub fn new(name: &str, key: PublicKey) -> Result<Self> {
        LogKey::new(name, key).map(|LogKey(named)| WitnessKey(named))
    }

    /// Returns the bytes that are signed: the time, in seconds since 1970, and the note.
    fn message(time: u64, note: &[u8]) -> Vec<u8> {
        [format!("cosignature/v1\ntime {time}\n").as_bytes(), note].concat()
    }

    /// Returns the signature in a line that cosigns `note` at `time`.
    pub fn cosign(&self, private: &PrivateKey, time: u64, note: &[u8]) -> Vec<u8> {
        let signature = private.sign_raw(&WitnessKey::message(time, note));
        [time.to_be_bytes().as_slice(), &signature].concat()
    }

    /// Returns the time in a signature.
    pub(super) fn time_of(signature: &[u8]) -> Option<u64> {
        signature.first_chunk().map(|time| u64::from_be_bytes(*time))
    }
}

impl signed_note::Verifier for WitnessKey {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn key_id(&self) -> u32 {
        self.0.id(COSIGNATURE)
    }

    fn verify(&self, note: &[u8], signature: &[u8]) -> bool {
        let Some((time, signature)) = signature.split_first_chunk::<8>() else { return false };
        is_valid(&self.0.key, &WitnessKey::message(u64::from_be_bytes(*time), note), signature)
    }
}

fn is_valid(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (
        ed25519_dalek::VerifyingKey::from_bytes(&key.to_bytes()),
        ed25519_dalek::Signature::from_slice(signature),
    ) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

/// A log key with its private key.
#[derive(Clone, Debug)]
pub struct LogSigner {
    key: LogKey,
    private: PrivateKey,
}

impl LogSigner {
    /// Creates the signer of the log called `origin`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `origin` is not valid, as in [`LogKey::new`].
    pub fn new(origin: &str, private: PrivateKey) -> Result<Self> {
        Ok(LogSigner { key: LogKey::new(origin, private.public_line().key)?, private })
    }

    /// Returns the log's key.
    pub fn log_key(&self) -> &LogKey {
        &self.key
    }

    /// Returns the signer of the log called `origin` with the same key.
    ///
    /// # Errors
    /// As [`LogSigner::new`].
    pub fn renamed(self, origin: &str) -> Result<Self> {
        LogSigner::new(origin, self.private)
    }

    /// Returns the private key, which also signs a change of the log's key.
    pub fn private_key(&self) -> &PrivateKey {
        &self.private
    }
}

impl signed_note::Signer for LogSigner {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn key_id(&self) -> u32 {
        self.key.0.id(ED25519)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        Ok(self.private.sign_raw(message).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the signed-note specification.
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn a_vkey_has_one_spelling() {
        let key: LogKey = VKEY.parse().unwrap();
        assert_eq!((key.origin(), key.to_string().as_str()), ("PeterNeumann", VKEY));
        for (bad, why) in [
            ("", "is not a vkey"),
            ("PeterNeumann", "is not a vkey"),
            (&VKEY.to_lowercase(), "vkey"),
            (&VKEY.replace("c74f20a3", "c74f20a4"), "an ID that is not its key's"),
            (&VKEY.replace("c74f20a3", "C74F20A3"), "an ID that is not its key's"),
            (&VKEY.replace("Peter", "Paul"), "an ID that is not its key's"),
            (&VKEY.replace("Peter", "Peter "), "has a name"),
            (&VKEY.replace("+ARpc", "+BBpc"), "vkey"),
            (&VKEY[..VKEY.len() - 4], "32 bytes"),
        ] {
            let error = bad.parse::<LogKey>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
        let witness = WitnessKey::new("witness.example", *key.key()).unwrap().to_string();
        assert_eq!(witness.parse::<WitnessKey>().unwrap().to_string(), witness);
        let error = witness.parse::<LogKey>().unwrap_err().to_string();
        assert!(error.contains("is the vkey of a witness, not of a log"), "{error}");
    }
}
