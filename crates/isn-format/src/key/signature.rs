//! [`Signature`]: one armoured SSHSIG block, in exactly the form that `ssh-keygen -Y sign` writes.
//!
//! The format is OpenSSH's `PROTOCOL.sshsig`. For an Ed25519 key, SHA-512 and a given namespace, everything
//! is fixed except the public key (32 bytes) and the signature (64 bytes). So a signature has exactly one
//! spelling: the text that is read must equal the text that would be written, byte for byte.

use ed25519_dalek::Verifier as _;
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig};

use crate::key::PublicKey;

/// The last line of a block.
const END: &str = "-----END SSH SIGNATURE-----\n";

/// A signature by an Ed25519 key over a message that is not part of it. It is well-formed;
/// [`Signature::is_valid`] says whether it is *valid*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    signer: PublicKey,
    sshsig: SshSig,
}

impl Signature {
    /// Reads one block, from the `-` of its first line to the line feed of its last.
    ///
    /// # Errors
    /// The reason, if it is not an Ed25519 signature for `namespace` in the exact form.
    pub fn parse(armour: &str, namespace: &str) -> Result<Self, String> {
        let sshsig = SshSig::from_pem(armour).map_err(|e| {
            format!("is not an Ed25519 signature in the form that `ssh-keygen -Y sign` writes ({e})")
        })?;
        let signature = Signature::new(sshsig, namespace)?;
        if signature.armour()? != armour {
            return Err("is not armoured exactly as `ssh-keygen -Y sign` writes it".into());
        }
        Ok(signature)
    }

    /// Returns the bytes that are signed for a message; an agent is asked to sign these.
    ///
    /// # Errors
    /// The reason, if the bytes cannot be encoded.
    pub fn signed_data(namespace: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        SshSig::signed_data(namespace, HashAlg::Sha512, message).map_err(|e| e.to_string())
    }

    /// Wraps the 64 bytes that an agent has made from [`Signature::signed_data`].
    ///
    /// # Errors
    /// The reason, if `raw` is not an Ed25519 signature.
    pub fn from_raw(signer: &PublicKey, namespace: &str, raw: &[u8]) -> Result<Self, String> {
        let sshsig = ssh_key::Signature::new(Algorithm::Ed25519, raw)
            .and_then(|raw| SshSig::new(signer.key_data(), namespace, HashAlg::Sha512, raw));
        Signature::new(sshsig.map_err(|e| e.to_string())?, namespace)
    }

    /// Wraps a signature that a key has made, under the same rules as [`Signature::parse`].
    pub(super) fn new(sshsig: SshSig, namespace: &str) -> Result<Self, String> {
        let signer = PublicKey::from_key_data(sshsig.public_key()).map_err(|why| format!("its key {why}"))?;
        if sshsig.algorithm() != Algorithm::Ed25519 {
            return Err(format!("is a {} signature, not an Ed25519 one", sshsig.algorithm()));
        }
        if sshsig.namespace() != namespace {
            let other = sshsig.namespace().escape_debug();
            return Err(format!("was made for the purpose '{other}', not for '{namespace}'"));
        }
        if sshsig.hash_alg() != HashAlg::Sha512 {
            return Err(format!("hashes with {}, not sha512", sshsig.hash_alg()));
        }
        if sshsig.version() != SshSig::VERSION || !sshsig.reserved().is_empty() {
            return Err("is of another version of the signature format".into());
        }
        Ok(Signature { signer, sshsig })
    }

    /// Reads one or more blocks with nothing before, between or after them.
    ///
    /// # Errors
    /// The reason, if there is no block, or why one is refused.
    pub(crate) fn parse_all(armour: &str, namespace: &str) -> Result<Vec<Self>, String> {
        if armour.is_empty() {
            return Err("has no signature".into());
        }
        let mut signatures = Vec::new();
        let mut rest = armour;
        while !rest.is_empty() {
            let number = signatures.len() + 1;
            let end = rest.find(END).ok_or_else(|| format!("signature {number} has no end"))? + END.len();
            let (block, after) = rest.split_at(end);
            signatures
                .push(Signature::parse(block, namespace).map_err(|why| format!("signature {number} {why}"))?);
            rest = after;
        }
        Ok(signatures)
    }

    /// Returns the key that it claims to be by.
    pub fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// Returns the block as text, with its final line feed.
    ///
    /// # Errors
    /// The reason, if it cannot be encoded; never for a signature from [`Signature::parse`].
    pub fn armour(&self) -> Result<String, String> {
        self.sshsig.to_pem(LineEnding::LF).map_err(|e| format!("cannot be armoured: {e}"))
    }

    /// Whether the holder of the private key of [`Signature::signer`] has signed exactly `message`.
    pub fn is_valid(&self, message: &[u8]) -> bool {
        let (namespace, hash) = (self.sshsig.namespace(), self.sshsig.hash_alg());
        let verified = self.signer.with_unpacked(|key| {
            let signed = SshSig::signed_data(namespace, hash, message).ok()?;
            let signature = ed25519_dalek::Signature::try_from(self.sshsig.signature()).ok()?;
            // As `ssh_key` verifies it, which would unpack the key again.
            key.verify(&signed, &signature).ok()
        });
        verified.flatten().is_some()
    }
}
