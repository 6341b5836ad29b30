//! Keys and signatures: OpenSSH's formats, Ed25519 only, so that people sign with keys they already have and
//! check with the `ssh-keygen` they already have.
//!
//! | file | noun |
//! |---|---|
//! | `public_key.rs` | [`PublicKey`], and the [`KeyLine`] that a `.pub` file holds |
//! | `signature.rs` | [`Signature`]: one armoured SSHSIG block |
//! | `private_key.rs` | [`KeyFile`], perhaps encrypted; [`PrivateKey`], ready to sign |
//!
//! Where keys are kept, and agents that hold them, are `isn_registry::keyring`'s.

mod private_key;
mod public_key;
mod signature;

pub use private_key::{KeyFile, PrivateKey};
pub use public_key::{KeyLine, PublicKey};
pub use signature::Signature;

use crate::error::Result;

/// Something that can sign: a private key at hand, or one that an agent holds.
pub trait Signer {
    /// The key that signatures will be by.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` for one purpose, the `namespace`: a signature for one is none for another.
    fn sign_sshsig(&self, namespace: &str, message: &[u8]) -> Result<Signature>;
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
