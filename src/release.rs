//! [`Statement`], [`SignedRelease`] and [`Release`]: what a publisher signs, what a registry serves, and what is left
//! once the signature has been checked.
//!
//! A signed release is a file of this exact form, ASCII with LF line ends:
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
//! The signed bytes are those up to and with the line feed before the blank line. After it come one or more armoured
//! SSHSIG blocks (OpenSSH's `PROTOCOL.sshsig`; Ed25519, namespace [`NAMESPACE`], SHA-512), exactly as
//! `ssh-keygen -Y sign` writes them, with nothing before, between or after them. So a statement and the signatures
//! of it have exactly one spelling, and the bytes that were received are the bytes that are checked.

use std::fmt;

use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::key::{PublicKey, Signature, Signer};

/// The SSHSIG namespace of every statement: a signature made for anything else is none of a release.
pub const NAMESPACE: &str = "statement@isn.v1";

/// The longest signed release, in bytes: a statement and some two hundred signatures.
pub const MAX_LEN: usize = 64 << 10;

/// The first line.
const HEADER: &str = "isn/v1 release";

/// What a publisher says by signing: this name and version are this dataset, described by this manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The dataset's name.
    pub name: Name,
    /// Its version.
    pub version: Version,
    /// The dataset hash.
    pub dataset: Digest,
    /// BLAKE3 of the manifest's bytes.
    pub manifest: Digest,
    /// The manifest's length in bytes, at least 1.
    pub manifest_len: u64,
}

impl Statement {
    /// The bytes to sign.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Reads a statement in the one form that [`Statement::to_text`] writes. The error names `what`.
    pub fn parse(what: &str, text: &str) -> Result<Self> {
        Statement::read(text).map_err(|why| Error::integrity(what, why))
    }

    fn read(text: &str) -> Result<Self, String> {
        // First of all, so that no message below can carry a terminal's control codes.
        if text.bytes().any(|b| b != b'\n' && !(b' '..=b'~').contains(&b)) {
            return Err("has a character that is neither printable ASCII nor a line feed".into());
        }
        let lines = text.strip_suffix('\n').ok_or("does not end with a line feed")?;
        let lines: Vec<&str> = lines.split('\n').collect();
        let &[header, name, version, dataset, manifest] = lines.as_slice() else {
            return Err(format!("has {} lines where a release statement has 5", lines.len()));
        };
        if header != HEADER {
            return Err(format!("line 1 must be '{HEADER}'"));
        }
        let name = field(name, 2, "name")?;
        let version = field(version, 3, "version")?;
        let dataset = field(dataset, 4, "dataset")?;
        let manifest = field(manifest, 5, "manifest")?;
        let (manifest, length) =
            manifest.split_once(' ').ok_or("line 5 must be 'manifest b3:<64 hex> <length>'")?;
        Ok(Statement {
            name: name.parse().map_err(on_line(2))?,
            version: version.parse().map_err(on_line(3))?,
            dataset: Digest::from_prefixed(dataset).map_err(on_line(4))?,
            manifest: Digest::from_prefixed(manifest).map_err(on_line(5))?,
            manifest_len: length
                .parse()
                .ok()
                .filter(|n: &u64| *n > 0 && n.to_string() == length)
                .ok_or_else(|| format!("line 5: '{length}' is not a length in bytes"))?,
        })
    }
}

/// What follows `key` and a space on line `number`.
fn field<'a>(line: &'a str, number: usize, key: &str) -> Result<&'a str, String> {
    line.strip_prefix(key)
        .and_then(|rest| rest.strip_prefix(' '))
        .ok_or_else(|| format!("line {number} must begin with '{key} '"))
}

fn on_line<E: fmt::Display>(number: usize) -> impl FnOnce(E) -> String {
    move |why| format!("line {number}: {why}")
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statement { name, version, dataset, manifest, manifest_len } = self;
        writeln!(f, "{HEADER}\nname {name}\nversion {version}\ndataset b3:{dataset}")?;
        writeln!(f, "manifest b3:{manifest} {manifest_len}")
    }
}

/// A release as a registry serves it: well-formed, but nobody has looked yet at who says so. What it states is out
/// of reach until [`SignedRelease::verify`] or [`SignedRelease::verify_pinned`] returns a [`Release`].
#[derive(Clone)]
pub struct SignedRelease {
    what: String,
    bytes: Vec<u8>,
    /// How many of the bytes are the statement's.
    signed_len: usize,
    statement: Statement,
    signatures: Vec<Signature>,
}

impl SignedRelease {
    /// Reads the file of a release; `what` is what errors call it. Refuses every form but the one described above.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let (signed_len, statement, signatures) =
            read_signed(&bytes).map_err(|why| Error::integrity(what, why))?;
        Ok(SignedRelease { what: what.into(), bytes, signed_len, statement, signatures })
    }

    /// The file, exactly as received.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks every signature, and that a trusted key made at least one of them. `registry` is for the message to
    /// the user. A release that is good but for an unknown signer is [`Error::UnknownSigner`].
    pub fn verify(&self, registry: &str, trusted: &[PublicKey]) -> Result<Release> {
        self.check_signatures()?;
        let signers: Vec<PublicKey> = self.signers().filter(|key| trusted.contains(key)).collect();
        if signers.is_empty() {
            // There is a first one: a file without a signature does not parse.
            let claimed = self.signers().next().ok_or_else(|| self.refuse("has no signature".into()))?;
            return Err(Error::UnknownSigner {
                what: self.what.clone(),
                registry: registry.into(),
                fingerprint: claimed.fingerprint(),
                public_key: claimed.to_string(),
            });
        }
        Ok(Release { statement: self.statement.clone(), signers, trusted: true })
    }

    /// For who holds the dataset hash from elsewhere and so need not trust any key: the signatures must be valid,
    /// and the statement must be about `pin`. The manifest it names is then as good as what its objects hash to;
    /// its title, licence and source are claims.
    pub fn verify_pinned(&self, pin: &Digest) -> Result<Release> {
        self.check_signatures()?;
        if self.statement.dataset != *pin {
            let found = self.statement.dataset.prefixed();
            return Err(Error::integrity(
                &self.what,
                format!("is about dataset {found}, not about {}", pin.prefixed()),
            ));
        }
        Ok(Release { statement: self.statement.clone(), signers: self.signers().collect(), trusted: false })
    }

    /// For who keeps the file and not for who relies on it: the signatures must be valid, whoever made them.
    pub fn verify_self_signed(&self) -> Result<Release> {
        self.check_signatures()?;
        Ok(Release { statement: self.statement.clone(), signers: self.signers().collect(), trusted: false })
    }

    fn check_signatures(&self) -> Result<()> {
        let signed = &self.bytes[..self.signed_len];
        for signature in &self.signatures {
            if !signature.is_valid(signed) {
                let signer = signature.signer().fingerprint();
                return Err(self.refuse(format!("the signature that claims to be by {signer} is not valid")));
            }
        }
        Ok(())
    }

    fn signers(&self) -> impl Iterator<Item = PublicKey> {
        self.signatures.iter().map(|signature| *signature.signer())
    }

    fn refuse(&self, why: String) -> Error {
        Error::trust(&self.what, why)
    }
}

/// Takes a signed file apart: the length of its statement, the statement, the signatures. The error is a reason.
fn read_signed(bytes: &[u8]) -> Result<(usize, Statement, Vec<Signature>), String> {
    if bytes.len() > MAX_LEN {
        return Err(format!("is longer than {MAX_LEN} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not ASCII text")?;
    let blank = text.find("\n\n").ok_or("has no blank line between statement and signatures")?;
    let (signed, rest) = text.split_at(blank + 1);
    let statement = Statement::read(signed)?;
    let signatures = Signature::parse_all(&rest[1..], NAMESPACE)?;
    for (i, signature) in signatures.iter().enumerate() {
        if signatures[..i].iter().any(|earlier| earlier.signer() == signature.signer()) {
            return Err(format!("is signed twice by {}", signature.signer().fingerprint()));
        }
    }
    Ok((signed.len(), statement, signatures))
}

// By hand: what an unverified release states must not leak out through a derived implementation.
impl fmt::Debug for SignedRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedRelease({})", self.what)
    }
}

/// A release that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    statement: Statement,
    signers: Vec<PublicKey>,
    trusted: bool,
}

impl Release {
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

    /// The trusted keys among those that signed; after [`SignedRelease::verify_pinned`] all that signed, none of
    /// which anybody has vouched for.
    pub fn signers(&self) -> &[PublicKey] {
        &self.signers
    }

    /// Whether a trusted key stands behind it, and not a pin alone.
    pub fn is_trusted(&self) -> bool {
        self.trusted
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

/// Signs a statement with one key. What comes back has been verified.
pub fn sign(statement: &Statement, signer: &dyn Signer) -> Result<SignedRelease> {
    let text = statement.to_text();
    let signature = signer.sign_sshsig(NAMESPACE, text.as_bytes())?;
    let armour = signature.armour().map_err(Error::Internal)?;
    let what = format!("the release of {}@{}", statement.name, statement.version);
    let signed = SignedRelease::parse(&what, format!("{text}\n{armour}").into_bytes())?;
    signed.check_signatures()?;
    Ok(signed)
}

#[cfg(test)]
mod tests;
