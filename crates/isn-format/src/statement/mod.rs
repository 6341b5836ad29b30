//! [`Statement`]: what the keys of a dataset or a log state. [`SignedStatement`]: a statement with its
//! signatures, the form in which statements are sent, are stored, and are the entries of a log.
//!
//! A signed statement is a file of this exact form, ASCII with LF line ends:
//! ```text
//! isn/v1 release
//! name imagebirds
//! version 1.0
//! dataset b3:<64 hex>
//! manifest b3:<64 hex> <length in bytes>
//!
//! -----BEGIN SSH SIGNATURE-----
//! …
//! -----END SSH SIGNATURE-----
//! ```
//! The signed bytes are those up to and including the line feed before the blank line. After the blank line
//! come one or more armoured SSHSIG blocks (OpenSSH's `PROTOCOL.sshsig`; Ed25519, namespace [`NAMESPACE`],
//! SHA-512), exactly as `ssh-keygen -Y sign` writes them, with nothing before, between or after them. So a
//! statement and its signatures have exactly one spelling, and the bytes that were received are the bytes
//! that are checked.
//!
//! `grammar.rs` defines the lines of each kind.

mod grammar;

pub(crate) use grammar::guess_subject;
pub use grammar::{
    Advice, LogKeyChange, Owner, Rebuilt, ReleaseStatement, Revocation, Statement, check_reason,
};

use std::fmt;

use crate::digest::Digest;
use crate::error::{Error, Result, There};
use crate::key::{PublicKey, Signature, Signer};

/// The SSHSIG namespace of every statement: a signature for any other purpose is not valid for a statement.
pub const NAMESPACE: &str = "statement@isn.v1";

/// The maximum length of a signed statement, in bytes: room for some hundred signatures. A log could hold
/// twice as much.
pub const MAX_LEN: usize = 32 << 10;

/// A statement whose signatures have not been checked yet.
///
/// ```
/// use isn_format::key::{PrivateKey, Signer as _};
/// use isn_format::statement::{Advice, SignedStatement, Statement};
///
/// let key = PrivateKey::generate("a publisher")?;
/// let yank = Statement::Yank(Advice { id: "birds@1.0".parse()?, reason: "val leaks into train".into() });
/// let file = SignedStatement::sign(&yank, &key)?.bytes().to_vec();
///
/// let attested = SignedStatement::parse("the yank", file.clone())?.attested()?;
/// assert_eq!((attested.statement, attested.signers), (yank, vec![*key.public_key()]));
///
/// // The signature covers every byte of the statement.
/// let changed = String::from_utf8(file)?.replace("1.0", "1.1").into_bytes();
/// assert!(SignedStatement::parse("the yank", changed)?.attested().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SignedStatement {
    what: String,
    bytes: Vec<u8>,
    /// The length of the statement within the bytes.
    signed_len: usize,
    statement: Statement,
    signatures: Vec<Signature>,
}

/// A statement whose signatures are valid, each by a different key. Whether those keys are entitled to make
/// it is decided by a [`crate::log::History`] or by the user's trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// The statement.
    pub statement: Statement,
    /// The BLAKE3 of the signed bytes, by which the next owner statement refers to this one.
    pub id: Digest,
    /// The keys that signed, in the order of the file.
    pub signers: Vec<PublicKey>,
}

impl SignedStatement {
    /// Reads a signed statement; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is not in the exact form that the module describes, or a key has signed
    /// twice.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let (signed_len, statement, signatures) =
            read_signed(&bytes).map_err(|why| Error::integrity(what, why))?;
        Ok(SignedStatement { what: what.into(), bytes, signed_len, statement, signatures })
    }

    /// Signs a statement with one key, and checks the result.
    ///
    /// # Errors
    /// Any error of [`Signer::sign_sshsig`]; [`Error::Integrity`] or [`Error::Trust`] if `statement` is not
    /// well-formed, or the signature not valid.
    pub fn sign(statement: &Statement, signer: &dyn Signer) -> Result<Self> {
        SignedStatement::unsigned_with(statement.to_string(), &[], signer)
    }

    /// Returns the same statement with one more signature.
    ///
    /// # Errors
    /// [`Error::Exists`] if that key has signed already; [`Error::Invalid`] if the statement is that of one
    /// key alone; otherwise as [`SignedStatement::sign`].
    pub fn sign_also(&self, signer: &dyn Signer) -> Result<Self> {
        let key = signer.public_key();
        if matches!(self.statement, Statement::Rebuilt(_)) {
            let why = "is of one key alone: who built the version too makes one with `isn attest`";
            return Err(Error::invalid(&self.what, why));
        }
        if self.signatures.iter().any(|signature| signature.signer() == key) {
            return Err(Error::exists(
                There::Said,
                format!("a signature of {} by {}", self.what, key.fingerprint()),
                "",
            ));
        }
        SignedStatement::unsigned_with(self.statement.to_string(), &self.bytes[self.signed_len + 1..], signer)
    }

    /// Returns `text` with the signature blocks `before` and one more by `signer`.
    fn unsigned_with(text: String, before: &[u8], signer: &dyn Signer) -> Result<Self> {
        let signature = signer.sign_sshsig(NAMESPACE, text.as_bytes())?;
        let armour = signature.armour().map_err(Error::Internal)?;
        let bytes = [text.as_bytes(), b"\n", before, armour.as_bytes()].concat();
        let statement = Statement::parse("the statement to sign", &text)?;
        let signed = SignedStatement::parse(&statement.title(), bytes)?;
        signed.attested()?;
        Ok(signed)
    }

    /// Returns the file, exactly as received.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns its name in errors.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// Returns the statement before its signatures are checked: to show it to somebody who is asked to sign
    /// it, not to rely on.
    pub fn claimed(&self) -> &Statement {
        &self.statement
    }

    /// Checks that every signature is valid.
    ///
    /// # Errors
    /// [`Error::Trust`] if one is not.
    pub fn attested(&self) -> Result<Attested> {
        let signed = &self.bytes[..self.signed_len];
        for signature in &self.signatures {
            if !signature.is_valid(signed) {
                let signer = signature.signer().fingerprint();
                let why = format!("the signature that claims to be by {signer} is not valid");
                return Err(Error::trust(&self.what, why));
            }
        }
        Ok(Attested {
            statement: self.statement.clone(),
            id: Digest::of(signed),
            signers: self.signatures.iter().map(|signature| *signature.signer()).collect(),
        })
    }
}

/// Splits a signed file into the length of its statement, the statement and the signatures. The error is a
/// reason.
fn read_signed(bytes: &[u8]) -> Result<(usize, Statement, Vec<Signature>), String> {
    if bytes.len() > MAX_LEN {
        return Err(format!("is longer than {MAX_LEN} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not ASCII text")?;
    let blank = text.find("\n\n").ok_or("has no blank line between statement and signatures")?;
    let (signed, rest) = text.split_at(blank + 1);
    let statement = Statement::read(signed)?;
    let signatures = Signature::parse_all(&rest[1..], NAMESPACE)?;
    if matches!(statement, Statement::Rebuilt(_)) && signatures.len() > 1 {
        return Err("is of one key, and has several signatures".into());
    }
    for (i, signature) in signatures.iter().enumerate() {
        if signatures[..i].iter().any(|earlier| earlier.signer() == signature.signer()) {
            return Err(format!("is signed twice by {}", signature.signer().fingerprint()));
        }
    }
    Ok((signed.len(), statement, signatures))
}

// Written by hand: a derived implementation would reveal the contents of an unverified statement.
impl fmt::Debug for SignedStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedStatement({})", self.what)
    }
}

#[cfg(test)]
mod tests;
