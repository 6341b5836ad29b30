//! [`SignedRelease`] and [`Release`]: a signed `release` statement (see [`crate::statement`]) as a registry serves it,
//! and what is left once it is known who stands behind it.

use std::fmt;

use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::key::{PublicKey, Signer};
use crate::statement::{Attested, ReleaseStatement, SignedStatement, Statement};

/// A release as a registry serves it: well-formed, but nobody has looked yet at who says so. What it states is out
/// of reach until [`SignedRelease::verify`] or [`SignedRelease::verify_pinned`] returns a [`Release`].
#[derive(Clone)]
pub struct SignedRelease(SignedStatement);

/// Who vouches for a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody: it is about the dataset hash of the user's pin, which vouches for the tree alone.
    Pinned,
    /// A publisher's key that the user trusts.
    Trusted,
    /// A log that the user trusts, in which it stands by the right of the name's owners.
    Logged(LogPosition),
}

/// Where in which log a release stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogPosition {
    /// The log's origin.
    pub origin: String,
    /// The entry, counted from 0.
    pub index: u64,
    /// How many entries the log had when that was checked.
    pub size: u64,
}

impl SignedRelease {
    /// Reads the file of a release; `what` is what errors call it.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let signed = SignedStatement::parse(what, bytes)?;
        match signed.claimed() {
            Statement::Release(_) => Ok(SignedRelease(signed)),
            other => Err(Error::integrity(what, format!("is a statement of kind '{}'", other.kind()))),
        }
    }

    /// The file, exactly as received.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Checks every signature, and that a trusted key made at least one of them. `registry` is for the message to
    /// the user. A release that is good but for an unknown signer is [`Error::UnknownSigner`].
    pub fn verify(&self, registry: &str, trusted: &[PublicKey]) -> Result<Release> {
        let release = self.attested()?;
        let signers: Vec<PublicKey> =
            release.signers.iter().filter(|key| trusted.contains(key)).copied().collect();
        if signers.is_empty() {
            return Err(unknown_signer(self.0.what(), registry, &release.signers, None));
        }
        Ok(Release { signers, standing: Standing::Trusted, ..release })
    }

    /// For who holds the dataset hash from elsewhere and so need not trust any key: the signatures must be valid,
    /// and the statement must be about `pin`. The manifest it names is then as good as what its objects hash to;
    /// its title, licence and source are claims.
    pub fn verify_pinned(&self, pin: &Digest) -> Result<Release> {
        let release = self.attested()?;
        if release.statement.dataset != *pin {
            let found = release.statement.dataset.prefixed();
            let why = format!("is about dataset {found}, not about {}", pin.prefixed());
            return Err(Error::integrity(self.0.what(), why));
        }
        Ok(release)
    }

    /// For who keeps the file and not for who relies on it: the signatures must be valid, whoever made them.
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

/// Introduces the first of `signers` to a user who trusts none of them, and the log if there is one.
pub fn unknown_signer(what: &str, registry: &str, signers: &[PublicKey], log_key: Option<String>) -> Error {
    match signers.first() {
        Some(claimed) => Error::UnknownSigner {
            what: what.into(),
            registry: registry.into(),
            fingerprint: claimed.fingerprint(),
            public_key: claimed.to_string(),
            log_key,
        },
        // A statement without a signature does not parse.
        None => Error::trust(what, "has no signature"),
    }
}

// By hand: what an unverified release states must not leak out through a derived implementation.
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
    /// A release as a verified log has it.
    pub fn logged(statement: ReleaseStatement, signers: Vec<PublicKey>, position: LogPosition) -> Self {
        Release { statement, signers, standing: Standing::Logged(position) }
    }

    /// The dataset's name.
    pub fn name(&self) -> &Name {
        &self.statement.name
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.statement.version
    }

    /// The dataset hash.
    pub fn dataset(&self) -> Digest {
        self.statement.dataset
    }

    /// BLAKE3 of the manifest's bytes.
    pub fn manifest(&self) -> Digest {
        self.statement.manifest
    }

    /// The manifest's length in bytes.
    pub fn manifest_len(&self) -> u64 {
        self.statement.manifest_len
    }

    /// Who signed: of a release that stands by trusted keys those alone, of one in a log its owners; of a pinned one
    /// all, none of which anybody has vouched for.
    pub fn signers(&self) -> &[PublicKey] {
        &self.signers
    }

    /// Who vouches for it.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Refuses a release of another name or version: a signature says what a file states, not where a registry may
    /// serve it.
    pub fn expect(self, name: &Name, version: Version) -> Result<Self> {
        if self.name() == name && self.version() == version {
            return Ok(self);
        }
        let (found, other) = (self.name(), self.version());
        Err(Error::trust(
            format!("{name}@{version}"),
            format!("the registry serves the release of {found}@{other} in its place"),
        ))
    }
}

/// Signs a release with one key. What comes back has been verified.
pub fn sign(statement: &ReleaseStatement, signer: &dyn Signer) -> Result<SignedRelease> {
    SignedStatement::sign(&Statement::Release(statement.clone()), signer).map(SignedRelease)
}

#[cfg(test)]
mod tests;
