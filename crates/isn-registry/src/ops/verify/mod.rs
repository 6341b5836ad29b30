//! `isn verify`: checks a tree, a registry folder, a build output or a version in a registry. It reports
//! every fault, not just the first.

mod hints;
mod log;
mod proof;
mod recipes;
mod shard;
pub mod store;
pub mod tree;
mod version;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use proof::{ProofReport, verify_proof};

use crate::client::Client;
use crate::files;
use crate::progress::Progress;
use crate::registry::{UNSIGNED, folder_of};
use crate::steps::unsigned;
use crate::transport;
use crate::tree_file::origin_of;
use isn_format::dataset_ref::{DatasetRef, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, NetworkKind, Result, chain};
use isn_format::tree::{B3SUMS, ISN_JSON, Origin, unreleased_pin};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// The file, relative to what was verified.
    pub path: String,
    /// The kind of fault, in one word: `missing`, `extra`, `changed`, `misplaced`, `invalid`, `untrusted`,
    /// `unreadable`.
    pub kind: FaultKind,
    /// What was found.
    pub why: String,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// A file is missing.
    Missing,
    /// A file should not be there.
    Extra,
    /// A file has different bytes.
    Changed,
    /// A file has the bytes of another file.
    Misplaced,
    /// A file does not follow its format.
    Invalid,
    /// A release is not signed as it must be.
    Untrusted,
    /// A file could not be read, so nothing is known about its bytes.
    Unreadable,
}

impl Fault {
    /// The fault of the file at `path` that `error` means.
    fn of(path: &str, error: &Error) -> Self {
        let kind = match error {
            Error::Trust { .. } | Error::UnknownSigner { .. } => FaultKind::Untrusted,
            Error::NotFound { .. } => FaultKind::Missing,
            Error::Network { kind: NetworkKind::NoFile, .. } => FaultKind::Invalid,
            Error::Io { .. } | Error::Network { .. } => FaultKind::Unreadable,
            _ => FaultKind::Invalid,
        };
        Fault { path: path.into(), kind, why: chain(error) }
    }

    /// As [`Fault::of`], where wrong bytes are a change, since the right ones are known.
    fn of_bytes(path: &str, error: &Error) -> Self {
        let fault = Fault::of(path, error);
        match error {
            Error::Integrity { .. } => Fault { kind: FaultKind::Changed, ..fault },
            _ => fault,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FaultKind::Missing => "missing",
            FaultKind::Extra => "extra",
            FaultKind::Changed => "changed",
            FaultKind::Misplaced => "misplaced",
            FaultKind::Invalid => "invalid",
            FaultKind::Untrusted => "untrusted",
            FaultKind::Unreadable => "unreadable",
        };
        write!(f, "{kind}: {}", self.path)?;
        if !self.why.is_empty() {
            write!(f, " ({})", self.why)?;
        }
        Ok(())
    }
}

/// What to verify.
pub enum Target {
    /// A folder: a tree, a registry or a build output.
    Path(PathBuf),
    /// A version in a registry.
    Reference(DatasetRef),
}

/// The expected dataset hash of a tree.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// This dataset hash.
    Hash(Digest),
    /// The hash of this version, from its pin or from a registry.
    Reference(DatasetRef),
}

/// How much a result without faults assures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// The files agree with each other, but nothing says that they are the right ones.
    SelfConsistent,
    /// It has the dataset hash that the caller gave.
    Hash,
    /// It has the dataset hash of a release that a trusted key signed.
    Signed,
}

/// What a verification looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verified {
    /// A tree.
    Tree,
    /// A registry's folder.
    Registry,
    /// The output of a build.
    Build,
    /// A version in a registry.
    Version,
}

/// The outcome of a verification.
#[derive(Debug)]
pub struct VerifyReport {
    /// What kind of thing was verified.
    pub kind: Verified,
    /// What was verified.
    pub what: String,
    /// The dataset hash, if there is one.
    pub dataset: Option<Digest>,
    /// The number of files, objects or images that were checked.
    pub checked: u64,
    /// The part of the dataset that is there, in words; `None` for all of it.
    pub partial: Option<String>,
    /// How much the result assures if there are no faults.
    pub assurance: Assurance,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// Rebuild-only versions, as `name@version`. They are whole without images.
    pub rebuild_only: Vec<String>,
    /// The expected dataset hash, if the version is another one.
    pub expected: Option<Digest>,
    /// Every fault, sorted.
    pub faults: Vec<Fault>,
}

/// What a verification came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is as it must be.
    Whole,
    /// All that could be read is as it must be, but not everything could be read.
    Unread,
    /// Something is wrong.
    Damaged,
}

impl VerifyReport {
    /// Returns what the verification came to.
    pub fn outcome(&self) -> Outcome {
        let is_unread = |fault: &Fault| fault.kind == FaultKind::Unreadable;
        match &self.faults {
            faults if faults.is_empty() => Outcome::Whole,
            faults if faults.iter().all(is_unread) => Outcome::Unread,
            _ => Outcome::Damaged,
        }
    }

    /// Whether nothing is wrong but that it is not the expected version.
    pub fn is_another(&self) -> bool {
        self.expected.is_some() && self.faults.len() == 1
    }

    /// Adds the fault that the dataset hash is not this one, if so.
    fn expect(&mut self, hash: &Digest) {
        let Some(found) = self.dataset.filter(|found| found != hash) else { return };
        let why = format!("the dataset hash is {}, expected {}", found.prefixed(), hash.prefixed());
        self.faults.push(Fault { path: B3SUMS.into(), kind: FaultKind::Changed, why });
        self.faults.sort();
        self.expected = Some(*hash);
    }

    /// Returns the parts of the version that no signature covers. Empty for a tree.
    pub fn unsigned(&self) -> &'static [&'static str] {
        if self.kind == Verified::Version && self.assurance != Assurance::Signed { &UNSIGNED } else { &[] }
    }
}

/// Verifies `subject`. Faults are in the report.
///
/// # Errors
/// [`Error::NotFound`] if there is no such folder or version; [`Error::Invalid`] if a folder is none of what
/// can be verified; [`Error::Trust`] or [`Error::Network`] if a registry that is needed is not trusted or
/// does not answer; [`Error::Io`] if a folder cannot be read.
pub fn verify(
    client: &Client,
    subject: &Target,
    expect: Option<&Expectation>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<VerifyReport> {
    match subject {
        Target::Reference(reference) => {
            let runtime = transport::runtime()?;
            // A damaged folder must not pass because, without a network, the cache has what the folder lacks.
            let is_folder = |location: &String| folder_of(location).is_some();
            let is_at_hand = client.access.offline && client.locations.iter().all(is_folder);
            let cache = client.cache.clone().filter(|_| !is_at_hand);
            let client = &Client { cache, ..client.clone() };
            let found = runtime.block_on(client.snapshot(reference));
            let (registry, snapshot) = found.map_err(Error::nor_folder)?;
            let mut report = version::check_version(
                &runtime,
                &registry,
                &snapshot,
                &mut version::Seen::default(),
                progress,
            )?;
            report.warnings.extend_from_slice(&snapshot.head.warnings);
            report.warnings.extend(unsigned::notice(snapshot.head.unsigned()));
            if let Some(expect) = expect {
                let Expected { hash, warnings, .. } = expected_hash(client, expect)?;
                let manifest = &snapshot.head.manifest;
                report.warnings.extend(warnings);
                report.warnings.extend(other_name(expect, &manifest.id()));
                report.expect(&hash);
            }
            Ok(report)
        }
        Target::Path(path) => verify_path(client, path, expect, jobs, progress),
    }
}

fn verify_path(
    client: &Client,
    path: &Path,
    expect: Option<&Expectation>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<VerifyReport> {
    if files::is_absent(path) {
        return Err(Error::not_found(Missing::File, path.display(), ""));
    }
    // What cannot be listed could be anything.
    if path.is_dir() {
        std::fs::read_dir(path).map_err(Error::io("list", path))?;
    }
    if files::is_tree(path) {
        let expected = expect.map(|expect| expected_hash(client, expect)).transpose()?;
        let hash = expected.as_ref().map(|expected| (expected.hash, expected.assurance));
        let report = tree::verify(path, hash, jobs, progress)?;
        let mut warnings = expected.map_or_else(Vec::new, |expected| expected.warnings);
        match (expect, origin_of(path)) {
            (Some(expect), Some(Origin::Released(found))) => {
                let id = VersionId { name: found.name, version: found.version };
                warnings.extend(other_name(expect, &id));
            }
            (_, Some(Origin::Unreleased(built))) => warnings.extend(report.dataset.map(|dataset| {
                let (pin, version) = (unreleased_pin(&built.name, &dataset), built.recipe.version);
                let is_part = built.part;
                match built.dataset == dataset.prefixed() {
                    true if is_part => format!(
                        "{pin}: built by the recipe of {version} from a part of its source, so that it is no \
                         version"
                    ),
                    true => format!("{pin}: built by the recipe of {version}, and not released"),
                    false => format!("{pin}: not released, and not what {ISN_JSON} names: {}", built.dataset),
                }
            })),
            _ => {}
        }
        warnings.extend(report.warnings);
        return Ok(VerifyReport { warnings, ..report });
    }
    if expect.is_some() {
        return Err(Error::invalid(
            path.display(),
            "is not a tree (it has no B3SUMS): --expect is for trees",
        ));
    }
    match store::StoreKind::of(path) {
        Some(kind) => store::verify(path, kind, client, jobs, progress),
        None => Err(Error::invalid(
            path.display(),
            "is neither a tree (no B3SUMS), nor a registry (no registry.json), nor a build (no manifest.json)",
        )),
    }
}

/// The expected hash, how far it is assured, and warnings about it.
struct Expected {
    hash: Digest,
    assurance: Assurance,
    warnings: Vec<String>,
}

fn expected_hash(client: &Client, expect: &Expectation) -> Result<Expected> {
    let by_hash = |hash: &Digest, pin: &DatasetRef| Expected {
        hash: *hash,
        assurance: Assurance::Hash,
        warnings: client.remembered_advice(pin),
    };
    match expect {
        Expectation::Hash(hash) => Ok(by_hash(hash, &DatasetRef::Pin(*hash))),
        // A pin contains the hash, so no registry is asked.
        Expectation::Reference(pin @ (DatasetRef::Pin(hash) | DatasetRef::Version(_, Some(hash)))) => {
            Ok(by_hash(hash, pin))
        }
        Expectation::Reference(reference) => {
            let (_, head) = transport::runtime()?.block_on(client.head(reference))?;
            let (hash, warnings) = (head.manifest.dataset, head.warnings);
            Ok(Expected { hash, assurance: Assurance::Signed, warnings })
        }
    }
}

/// Returns the warning that the expected reference has another name or version: only its hash counts.
fn other_name(expect: &Expectation, id: &VersionId) -> Option<String> {
    match expect {
        Expectation::Reference(DatasetRef::Version(wanted, Some(_))) if wanted != id => {
            Some(format!("it calls itself {id}, not {wanted}: only the hash was compared"))
        }
        _ => None,
    }
}
