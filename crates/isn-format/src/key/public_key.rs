//! [`PublicKey`] and [`KeyLine`]: the identity of a signer, as OpenSSH writes it.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ssh_key::HashAlg;
use ssh_key::public::{Ed25519PublicKey, KeyData};

use crate::error::{Error, Result};

/// How many unpacked keys a thread keeps.
const LAST: usize = 32;

thread_local! {
    /// The unpacked keys that were last used, each in the place that its first byte says. None is weak.
    static LAST_KEYS: RefCell<[Option<VerifyingKey>; LAST]> = const { RefCell::new([None; LAST]) };
}

/// An Ed25519 public key. `Display` is OpenSSH's `ssh-ed25519 AAAA…`, without a comment; `FromStr` accepts
/// that line with or without a comment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(Ed25519PublicKey);

impl PublicKey {
    /// Returns `SHA256:…`, as `ssh-keygen -lf` prints it.
    pub fn fingerprint(&self) -> String {
        self.key_data().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Returns the 32 bytes of the key.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.0
    }

    /// Creates a key from the bytes that [`PublicKey::to_bytes`] returns. Any 32 bytes are accepted; no
    /// signature verifies with bytes that are not a key, or of a weak one.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        PublicKey(Ed25519PublicKey(bytes))
    }

    /// Whether it is a point of small order: anybody can make signatures that verify with such a key.
    pub(super) fn is_weak(&self) -> bool {
        // No key that is kept is weak.
        self.with_unpacked(|_| ()).is_none()
            && VerifyingKey::from_bytes(&self.0.0).is_ok_and(|key| key.is_weak())
    }

    /// Calls `of` with the point that the key is; returns `None` if it is none, or a weak one. The last keys
    /// are kept: a log has many statements of few keys, and to unpack a key takes an eighth of the time of a
    /// verification.
    pub(super) fn with_unpacked<T>(&self, of: impl FnOnce(&VerifyingKey) -> T) -> Option<T> {
        LAST_KEYS.with_borrow_mut(|kept| {
            let bytes = self.0.0;
            let slot = kept.get_mut(usize::from(bytes[0]) % LAST)?;
            let key = match slot {
                Some(key) if key.as_bytes() == &bytes => key,
                _ => slot.insert(VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak())?),
            };
            Some(of(key))
        })
    }

    pub(super) fn key_data(&self) -> KeyData {
        KeyData::Ed25519(self.0)
    }

    /// Returns the key in SSH's wire encoding, which is in the base64 of its line and by which an agent
    /// identifies it.
    pub fn to_wire(self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(51);
        for part in [b"ssh-ed25519".as_slice(), &self.0.0] {
            // Both parts are a few bytes long.
            wire.extend_from_slice(&(part.len() as u32).to_be_bytes());
            wire.extend_from_slice(part);
        }
        wire
    }

    /// Returns the Ed25519 key in `data`, or why there is none.
    pub(super) fn from_key_data(data: &KeyData) -> Result<Self, String> {
        match data.ed25519() {
            Some(key) => Ok(PublicKey(*key)),
            None => {
                Err(super::refusal(data.algorithm().as_str())
                    .unwrap_or_else(|| "is not an Ed25519 key".into()))
            }
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Cannot fail: an Ed25519 key of 32 bytes always has an encoding.
        let line = ssh_key::PublicKey::from(self.key_data()).to_openssh().map_err(|_| fmt::Error)?;
        f.write_str(&line)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        Ok(line.parse::<KeyLine>()?.key)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A public key with the comment in its file: the one line of a `.pub` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// The key.
    pub key: PublicKey,
    /// The owner's name for it; may be empty. Anybody can write anything here, so it proves nothing.
    pub comment: String,
}

impl KeyLine {
    /// Reads the one line of a public key file; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not one Ed25519 public key in OpenSSH's form.
    pub fn parse(what: impl fmt::Display, text: &str) -> Result<Self> {
        KeyLine::read(text).map_err(|why| Error::invalid(what, why))
    }

    /// The reason never quotes the text, which could be a private key, named by mistake.
    fn read(text: &str) -> Result<Self, String> {
        let line = text.trim();
        if line.contains("PRIVATE KEY-----") {
            return Err("is a private key: name the public key, the file that ends in .pub".into());
        }
        if line.contains(['\n', '\r']) {
            return Err("has more than one line: expected one public key".into());
        }
        let mut words = line.splitn(3, [' ', '\t']);
        let (algorithm, base64) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let comment = words.next().unwrap_or_default().trim();
        let known = ["ssh-", "ecdsa-", "sk-", "rsa-"].iter().any(|start| algorithm.starts_with(start));
        if !known {
            return Err("is not an OpenSSH public key: expected `ssh-ed25519 AAAA…`".into());
        }
        if let Some(why) = super::refusal(algorithm) {
            return Err(why);
        }
        if comment.chars().any(char::is_control) {
            return Err("has a control character in its comment".into());
        }
        let bare = format!("{algorithm} {base64}");
        let key = ssh_key::PublicKey::from_openssh(&bare)
            .map_err(|e| format!("is not a whole OpenSSH public key: {e}"))
            .and_then(|key| PublicKey::from_key_data(key.key_data()))?;
        if key.is_weak() {
            return Err("is a weak key, for which anybody can sign".into());
        }
        if key.to_string() != bare {
            return Err("is not a public key as OpenSSH writes it".into());
        }
        Ok(KeyLine { key, comment: comment.into() })
    }
}

impl FromStr for KeyLine {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        KeyLine::parse("the public key", line)
    }
}

impl fmt::Display for KeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)?;
        if self.comment.is_empty() { Ok(()) } else { write!(f, " {}", self.comment) }
    }
}

impl Serialize for KeyLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn reads_back_as_it_was_written() {
        let line: KeyLine = LINE.parse().unwrap();
        assert_eq!(line.to_string(), LINE);
        assert_eq!(line.comment, "user@example.com");
        let bare = line.key.to_string();
        assert_eq!(bare, LINE.trim_end_matches(" user@example.com"));
        for text in [bare.clone(), format!("{bare}\n"), format!("{bare} two words\r\n"), format!(" {bare}")] {
            assert_eq!(text.parse::<PublicKey>().unwrap(), line.key, "{text:?}");
        }
        assert_eq!(line.key.to_wire(), ssh_key::PublicKey::from_openssh(LINE).unwrap().to_bytes().unwrap());
        assert_eq!(line.key.fingerprint(), "SHA256:UCUiLr7Pjs9wFFJMDByLgc3NrtdU344OgUM45wZPcIQ");
    }

    #[test]
    fn a_key_for_which_anybody_can_sign_is_refused() {
        // The neutral element of the curve, as it is written, and in two other ways that decode to it.
        let mut one = [0; 32];
        one[0] = 1;
        let mut with_sign = one;
        with_sign[31] = 0x80;
        let mut unreduced = [0xff; 32];
        (unreduced[0], unreduced[31]) = (0xee, 0x7f);
        for bytes in [one, with_sign, unreduced] {
            let key = PublicKey::from_bytes(bytes);
            let error = key.to_string().parse::<PublicKey>().unwrap_err();
            assert!(error.to_string().contains("is a weak key"), "{error}");
            let raw = ssh_key::Signature::new(ssh_key::Algorithm::Ed25519, [one, [0; 32]].concat()).unwrap();
            let forged = ssh_key::SshSig::new(key.key_data(), "isn", HashAlg::Sha512, raw).unwrap();
            let forged = forged.to_pem(ssh_key::LineEnding::LF).unwrap();
            let signature = crate::key::Signature::parse(&forged, "isn").unwrap();
            assert!(!signature.is_valid(b"anything"));
        }
    }

    #[test]
    fn says_why_a_key_is_refused() {
        let base64 = LINE.split(' ').nth(1).unwrap();
        for (text, reason) in [
            (String::new(), "not an OpenSSH public key"),
            ("hello".into(), "not an OpenSSH public key"),
            ("ssh-ed25519".into(), "not a whole"),
            ("ssh-ed25519 AAAA".into(), "not a whole"),
            (format!("ssh-ed25519 {}", &base64[..base64.len() - 4]), "not a whole"),
            (format!("ssh-ed25519 {base64}AAAA"), "not a whole"),
            (format!("ssh-ed25519  {base64}"), "not a whole"),
            (format!("ssh-rsa {base64}"), "an RSA key"),
            (format!("ssh-dss {base64}"), "a DSA key"),
            (format!("ecdsa-sha2-nistp256 {base64}"), "an ECDSA key"),
            (format!("sk-ssh-ed25519@openssh.com {base64}"), "a security-key"),
            (format!("ssh-ed25519-cert-v01@openssh.com {base64}"), "a certificate"),
            (format!("restrict ssh-ed25519 {base64}"), "not an OpenSSH public key"),
            (format!("ssh-ed25519 {base64} evil\x1b[2J"), "control character"),
            (format!("{LINE}\n{LINE}"), "more than one line"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret".into(), "is a private key"),
        ] {
            let message = text.parse::<PublicKey>().unwrap_err().to_string();
            assert!(message.contains(reason), "{text:?}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
