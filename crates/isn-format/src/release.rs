//! [`SignedRelease`]: a signed `release` statement (see [`crate::statement`]) as a registry serves it.
//! [`Release`]: one for which it is known who vouches for it.

use std::fmt;

use crate::dataset_ref::VersionId;
use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::key::{PublicKey, Signer};
use crate::statement::{Attested, ReleaseStatement, SignedStatement, Statement};

/// A release as a registry serves it: well-formed, but its signatures have not been checked. Its contents are
/// inaccessible until [`SignedRelease::verify`] or [`SignedRelease::verify_pinned`] returns a [`Release`].
#[derive(Clone)]
pub struct SignedRelease(SignedStatement);

/// Who vouches for a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody: only its dataset hash is known to be the user's pin, which vouches for the tree alone.
    Pinned,
    /// A publisher's key that the user trusts.
    Trusted,
    /// A log that the user trusts: the release is an entry that the name's owners were entitled to make.
    Logged(LogPosition),
}

/// The position of a release in a log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogPosition {
    /// The log's origin.
    pub origin: String,
    /// The number of its entry, counted from 0.
    pub index: u64,
    /// The number of entries of the log when the release was checked.
    pub size: u64,
}

impl SignedRelease {
    /// Reads the file of a release; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is not a signed statement in its exact form, or is a statement of another
    /// kind.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let signed = SignedStatement::parse(what, bytes)?;
        match signed.claimed() {
            Statement::Release(_) => Ok(SignedRelease(signed)),
            other => Err(Error::integrity(what, format!("is a statement of kind '{}'", other.kind()))),
        }
    }

    /// Returns the file, exactly as received.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Checks every signature, and that at least one is by a trusted key. `registry` names the registry in
    /// errors.
    ///
    /// # Errors
    /// [`Error::Trust`] if a signature is not valid; [`Error::UnknownSigner`] if all are valid but none is by
    /// a key in `trusted`.
    pub fn verify(&self, registry: &str, trusted: &[PublicKey]) -> Result<Release> {
        let release = self.attested()?;
        let signers: Vec<PublicKey> =
            release.signers.iter().filter(|key| trusted.contains(key)).copied().collect();
        if signers.is_empty() {
            return Err(unknown_signer(self.0.what(), registry, &release.signers, None));
        }
        Ok(Release { signers, standing: Standing::Trusted, ..release })
    }

    /// Checks the release for a user who has the dataset hash from elsewhere and need not trust any key: the
    /// signatures must be valid, and the statement must be about `pin`. The manifest that it names is then as
    /// good as its objects, which must hash to the pin; its title, licence and source are unverified claims.
    ///
    /// # Errors
    /// [`Error::Trust`] if a signature is not valid; [`Error::Integrity`] if it is about another dataset
    /// hash.
    pub fn verify_pinned(&self, pin: &Digest) -> Result<Release> {
        let release = self.attested()?;
        if release.statement.dataset != *pin {
            let found = release.statement.dataset.prefixed();
            let why = format!("releases dataset {found}, and the reference names {}", pin.prefixed());
            return Err(Error::integrity(self.0.what(), why).at(At::Reference));
        }
        Ok(release)
    }

    /// Checks only that the signatures are valid, whoever made them: for keeping the file, not for relying on
    /// it.
    ///
    /// # Errors
    /// [`Error::Trust`] if a signature is not valid.
    pub fn verify_self_signed(&self) -> Result<Release> {
        self.attested()
    }

    fn attested(&self) -> Result<Release> {
        let Attested { statement, signers, .. } = self.0.attested()?;
        match statement {
            Statement::Release(statement) => Ok(Release { statement, signers, standing: Standing::Pinned }),
            other => Err(Error::Internal(format!("a release is a statement of kind '{}'", other.kind()))),
        }
    }
}

/// Returns the error for a release whose signers the user does not trust. It introduces the first signer, and
/// the log if there is one.
pub fn unknown_signer(what: &str, registry: &str, signers: &[PublicKey], log_key: Option<String>) -> Error {
    match signers.first() {
        Some(claimed) => Error::UnknownSigner {
            what: what.into(),
            registry: registry.into(),
            fingerprint: claimed.fingerprint(),
            public_key: claimed.to_string(),
            log_key,
        },
        // A statement without a signature cannot be parsed.
        None => Error::trust(what, "has no signature"),
    }
}

// Written by hand: a derived implementation would reveal the contents of an unverified release.
impl fmt::Debug for SignedRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedRelease({})", self.0.what())
    }
}

/// A release that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    statement: ReleaseStatement,
    signers: Vec<PublicKey>,
    standing: Standing,
}

impl Release {
    /// Creates a release from the entry of a verified log.
    pub(crate) fn logged(
        statement: ReleaseStatement,
        signers: Vec<PublicKey>,
        position: LogPosition,
    ) -> Self {
        Release { statement, signers, standing: Standing::Logged(position) }
    }

    /// Returns the version that is released.
    pub fn id(&self) -> &VersionId {
        &self.statement.id
    }

    /// Returns the dataset hash.
    pub fn dataset(&self) -> Digest {
        self.statement.dataset
    }

    /// Returns the BLAKE3 of the manifest's bytes.
    pub fn manifest(&self) -> Digest {
        self.statement.manifest
    }

    /// Returns the manifest's length in bytes.
    pub fn manifest_len(&self) -> u64 {
        self.statement.manifest_len
    }

    /// Returns the keys that signed. What they are depends on [`Release::standing`]: the trusted ones, the
    /// name's owners in the log, or for a pin all signers, for whom nobody vouches.
    pub fn signers(&self) -> &[PublicKey] {
        &self.signers
    }

    /// Returns who vouches for it.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Returns this release if it is of the given version: a signature covers the contents of a file, not
    /// the path at which a registry serves it.
    ///
    /// # Errors
    /// [`Error::Trust`] if it is of another version.
    pub fn expect(self, id: &VersionId) -> Result<Self> {
        if self.id() == id {
            return Ok(self);
        }
        Err(Error::trust(id, format!("the registry serves the release of {} in its place", self.id())))
    }
}

/// Signs a release with one key, and checks the result.
///
/// # Errors
/// As [`SignedStatement::sign`].
pub fn sign(statement: &ReleaseStatement, signer: &dyn Signer) -> Result<SignedRelease> {
    SignedStatement::sign(&Statement::Release(statement.clone()), signer).map(SignedRelease)
}

#[cfg(test)]
mod tests;
