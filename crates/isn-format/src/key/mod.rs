//! Keys and signatures: OpenSSH's formats, Ed25519 only, so that people sign with the keys and check with the
//! `ssh-keygen` that they already have.
//!
//! | file | noun |
//! |---|---|
//! | `public_key.rs` | [`PublicKey`], and [`KeyLine`], the line in a `.pub` file |
//! | `signature.rs` | [`Signature`]: one armoured SSHSIG block |
//! | `private_key.rs` | [`KeyFile`], perhaps encrypted; [`PrivateKey`], ready to sign |
//!
//! `isn_registry::keyring` knows where keys are kept, and talks to agents that hold them.

mod private_key;
mod public_key;
mod signature;

pub use private_key::{KeyFile, PrivateKey};
pub use public_key::{KeyLine, PublicKey};
pub use signature::Signature;

use crate::error::Result;

/// Something that can sign: a private key, or a key that an agent holds.
pub trait Signer {
    /// Returns the public key of its signatures.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` for one purpose, the `namespace`: the signature is not valid for any other.
    ///
    /// # Errors
    /// Fails if the key or its agent cannot sign.
    fn sign_sshsig(&self, namespace: &str, message: &[u8]) -> Result<Signature>;
}

/// Returns why a key of this algorithm (OpenSSH's name for it) is refused, `None` for Ed25519.
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
