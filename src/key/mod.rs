//! Keys and signatures: OpenSSH's formats, Ed25519 only, so that people sign with keys they already have and
//! check with the `ssh-keygen` they already have.
//!
//! | file | noun |
//! |---|---|
//! | `public_key.rs` | [`PublicKey`], and the [`KeyLine`] that a `.pub` file holds |
//! | `signature.rs` | [`Signature`]: one armoured SSHSIG block |
//! | `private_key.rs` | [`KeyFile`] on disk, perhaps encrypted; [`PrivateKey`], ready to sign |
//! | `agent.rs` | [`Agent`]: a running ssh-agent, and the [`AgentKey`] that signs through it |
//! | `keyring.rs` | [`Keyring`]: the user's folder of named keys, and how `--key` finds a signer |

mod agent;
mod keyring;
mod private_key;
mod public_key;
mod signature;

pub use agent::{Agent, AgentKey};
pub use keyring::{KeyName, Keyring, NamedKey, Unlock};
pub use private_key::{KeyFile, PrivateKey};
pub use public_key::{KeyLine, PublicKey};
pub use signature::Signature;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// The longest key file that is read, in bytes. OpenSSH's Ed25519 files have about 500; this stops a wrong path.
const MAX_FILE_LEN: u64 = 64 << 10;

/// Something that can sign: a private key at hand, or one that an agent holds.
pub trait Signer {
    /// The key that signatures will be by.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` for one purpose, the `namespace`: a signature for one is none for another.
    fn sign_sshsig(&self, namespace: &str, message: &[u8]) -> Result<Signature>;
}

/// Reads the text of a key file of either half, which is open.
fn read_key_text(file: File, path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err(Error::invalid(path.display(), "is too long for a key file"));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid(path.display(), "is not a key file: it is not text"))
}

/// Why a key of this algorithm (OpenSSH's name for it) is not accepted, `None` for Ed25519.
fn refusal(algorithm: &str) -> Option<String> {
    let kind = match algorithm {
        "ssh-ed25519" => return None,
        certificate if certificate.contains("-cert-v") => "a certificate",
        "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512" => "an RSA key",
        "ssh-dss" => "a DSA key",
        hardware if hardware.starts_with("sk-") => "a security-key (FIDO) key",
        ecdsa if ecdsa.starts_with("ecdsa-") => "an ECDSA key",
        _ => "a key of another kind",
    };
    Some(format!("is {kind}: only plain Ed25519 keys are accepted (`ssh-keygen -t ed25519` makes one)"))
}

#[cfg(test)]
#[cfg(unix)]
mod oracle;
