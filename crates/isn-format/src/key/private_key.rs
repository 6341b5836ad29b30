//! [`KeyFile`] and [`PrivateKey`]: makes and reads the text of OpenSSH private key files.

use std::fmt;
use std::ops::Deref;

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, HashAlg, LineEnding};

use crate::error::{Error, KeyFault, Result};
use crate::key::{KeyLine, PublicKey, Signature, Signer, refusal};

/// An OpenSSH private key file as read: perhaps encrypted, but its public key is always readable.
#[derive(Clone)]
pub struct KeyFile {
    what: String,
    public: PublicKey,
    key: ssh_key::PrivateKey,
}

/// An Ed25519 private key, ready to sign. Dropping it wipes its secret from memory.
#[derive(Clone)]
pub struct PrivateKey {
    line: KeyLine,
    /// The same key, for signatures that OpenSSH has no format for.
    secret: ed25519_dalek::SigningKey,
    key: ssh_key::PrivateKey,
}

impl KeyFile {
    /// Reads the text of a private key file; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Key`] if it is not an OpenSSH private key, or not an Ed25519 one.
    pub fn parse(what: &str, text: &str) -> Result<Self> {
        let refuse = |why: String| Error::Key { key: what.into(), why, fault: KeyFault::Unusable };
        if !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
            return Err(refuse(not_openssh(text)));
        }
        let key = ssh_key::PrivateKey::from_openssh(text).map_err(|e| {
            refuse(match e {
                // Kinds of keys that this build does not support.
                ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
                    refusal("").unwrap_or_default()
                }
                e => format!("is not a whole OpenSSH private key: {e}"),
            })
        })?;
        let public = PublicKey::from_key_data(key.public_key().key_data()).map_err(refuse)?;
        Ok(KeyFile { what: what.into(), public, key })
    }

    /// Returns the public key, for which no passphrase is needed.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Whether it is protected by a passphrase.
    pub fn is_encrypted(&self) -> bool {
        self.key.is_encrypted()
    }

    /// Returns the key itself. `passphrase` is called only if one is needed; it returns `None` if nobody can
    /// be asked.
    ///
    /// # Errors
    /// [`Error::Key`] if the passphrase is unavailable or wrong, or the file cannot be decrypted; also any
    /// error of `passphrase`.
    pub fn unlock(self, passphrase: impl FnOnce() -> Result<Option<String>>) -> Result<PrivateKey> {
        let refuse = |why: &str, fault| Error::Key { key: self.what.clone(), why: why.into(), fault };
        if !self.key.is_encrypted() {
            return PrivateKey::from(self.public, self.key);
        }
        let passphrase = passphrase()?.ok_or_else(|| {
            refuse(
                "is protected by a passphrase, and there is no terminal to ask for it and no ssh agent that \
                 holds the key",
                KeyFault::Unasked,
            )
        })?;
        match self.key.decrypt(passphrase) {
            Ok(key) => PrivateKey::from(self.public, key),
            Err(ssh_key::Error::Crypto) => Err(refuse("the passphrase is wrong", KeyFault::Passphrase)),
            Err(e) => Err(refuse(&format!("cannot be decrypted: {e}"), KeyFault::Unusable)),
        }
    }
}

/// Returns why a file that does not begin like an OpenSSH private key is refused.
fn not_openssh(text: &str) -> String {
    if text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        "is a private key, but not in OpenSSH's format: `ssh-keygen -t ed25519` or `isn key new` makes one"
            .into()
    } else if text.trim().parse::<PublicKey>().is_ok() {
        "is a public key: to sign through the ssh agent, give the file a name that ends in .pub; otherwise \
         name the private key file"
            .into()
    } else {
        "is not an OpenSSH private key".into()
    }
}

impl PrivateKey {
    /// Makes a key from the operating system's randomness.
    ///
    /// # Errors
    /// [`Error::Internal`] if the key cannot be made.
    pub fn generate(comment: &str) -> Result<Self> {
        let mut key = ssh_key::PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(internal)?;
        key.set_comment(comment);
        let public = PublicKey::from_key_data(key.public_key().key_data()).map_err(Error::Internal)?;
        PrivateKey::from(public, key)
    }

    /// Creates it from a key that is not encrypted.
    fn from(public: PublicKey, key: ssh_key::PrivateKey) -> Result<Self> {
        let line = KeyLine { key: public, comment: key.comment().into() };
        let pair = key.key_data().ed25519().ok_or_else(|| Error::Internal("no Ed25519 key pair".into()))?;
        let secret = ed25519_dalek::SigningKey::from_bytes(&pair.private.to_bytes());
        Ok(PrivateKey { line, secret, key })
    }

    /// Returns its public key, as the line of a `.pub` file.
    pub fn public_line(&self) -> &KeyLine {
        &self.line
    }

    /// Signs exactly `message`, as a log signs its checkpoints. Statements are signed only with
    /// [`Signer::sign_sshsig`], whose messages never begin like a checkpoint.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> [u8; 64] {
        use ed25519_dalek::Signer as _;
        self.secret.sign(message).to_bytes()
    }

    /// Returns the text of a private key file, encrypted if there is a passphrase (AES-256-CTR with
    /// bcrypt-pbkdf, `ssh-keygen`'s defaults). Dropping the text wipes it from memory.
    ///
    /// # Errors
    /// [`Error::Internal`] if the key cannot be encrypted or encoded.
    pub fn to_openssh(&self, passphrase: Option<&str>) -> Result<impl Deref<Target = String> + use<>> {
        let text = match passphrase {
            Some(passphrase) => {
                self.key.encrypt(&mut OsRng, passphrase).and_then(|key| key.to_openssh(LineEnding::LF))
            }
            None => self.key.to_openssh(LineEnding::LF),
        };
        text.map_err(internal)
    }
}

/// Keys for tests, the same in every run.
#[cfg(test)]
impl PrivateKey {
    /// Returns `alice` or `bob` of `tests/vectors/release`.
    pub(crate) fn of_vectors(name: &str) -> Self {
        let text = match name {
            "alice" => include_str!("../../../../tests/vectors/release/alice"),
            _ => include_str!("../../../../tests/vectors/release/bob"),
        };
        KeyFile::parse(name, text).and_then(|key| key.unlock(|| Ok(None))).unwrap()
    }

    /// Returns the key with this number.
    pub(crate) fn of_seed(seed: u8) -> Self {
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
        let key = ssh_key::PrivateKey::from(pair);
        let public = PublicKey::from_key_data(key.public_key().key_data()).unwrap();
        PrivateKey::from(public, key).unwrap()
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        &self.line.key
    }

    fn sign_sshsig(&self, namespace: &str, message: &[u8]) -> Result<Signature> {
        let sshsig = self.key.sign(namespace, HashAlg::Sha512, message).map_err(internal)?;
        Signature::new(sshsig, namespace).map_err(Error::Internal)
    }
}

// Written by hand: a derived implementation could write a secret into a log.
impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({}, {})", self.what, self.public.fingerprint())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.line.key.fingerprint())
    }
}

fn internal(e: ssh_key::Error) -> Error {
    Error::Internal(format!("ssh-key: {e}"))
}
