//! `isn verify`: a tree, a registry folder, a build output or a version in a registry. Reports every fault, not
//! just the first.

mod log;
mod proof;
mod shard;
pub mod store;
pub mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use proof::{ProofReport, verify_proof};

use crate::client::Client;
use crate::progress::Progress;
use crate::registry::UNSIGNED;
use crate::steps::unsigned;
use crate::transport;
use isn_format::dataset_ref::DatasetRef;
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result};
use isn_format::tree::B3SUMS;

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// The file, relative to what was verified.
    pub path: String,
    /// What kind of fault, in one word: `missing`, `extra`, `changed`, `misplaced`, `invalid`, `untrusted`.
    pub kind: FaultKind,
    /// What was found.
    pub why: String,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// A file that should be there is not.
    Missing,
    /// A file is there that should not be.
    Extra,
    /// A file has other bytes.
    Changed,
    /// A file stands where another one should.
    Misplaced,
    /// A file is not what its format says.
    Invalid,
    /// A release is not signed as it must be.
    Untrusted,
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
        };
        write!(f, "{kind}: {}", self.path)?;
        if !self.why.is_empty() {
            write!(f, " ({})", self.why)?;
        }
        Ok(())
    }
}

/// What is verified.
pub enum Target {
    /// A folder: a tree, a registry or a build output.
    Path(PathBuf),
    /// A version in a registry.
    Reference(DatasetRef),
}

/// What a tree must be.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// This dataset hash.
    Hash(Digest),
    /// The hash of this version, as a registry has it (or as its pin says).
    Reference(DatasetRef),
}

/// How far a clean result reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// The files agree with each other; nobody says that they are the right ones.
    SelfConsistent,
    /// It has the dataset hash that the caller gave.
    Hash,
    /// It has the dataset hash of a release that a trusted key signed.
    Signed,
}

/// What was verified and what was found.
#[derive(Debug)]
pub struct VerifyReport {
    /// `tree`, `registry`, `build` or `version`.
    pub kind: &'static str,
    /// What was verified.
    pub what: String,
    /// The dataset hash, where there is one.
    pub dataset: Option<Digest>,
    /// How many files, objects or images were checked.
    pub checked: u64,
    /// Which part of the dataset is there, for people; `None` if all of it.
    pub partial: Option<String>,
    /// How far a clean result reaches.
    pub assurance: Assurance,
    /// What the user should hear beside it.
    pub warnings: Vec<String>,
    /// Versions that were published without images, as `name@version`: whole as they are.
    pub rebuild_only: Vec<String>,
    /// Everything that is wrong, sorted.
    pub faults: Vec<Fault>,
}

impl VerifyReport {
    /// What of the version nobody vouches for. A tree has none of it.
    pub fn unsigned(&self) -> &'static [&'static str] {
        if self.kind == "version" && self.assurance != Assurance::Signed { &UNSIGNED } else { &[] }
    }
}

/// Verifies `subject`.
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
            let (registry, snapshot) = runtime.block_on(client.snapshot(reference))?;
            let mut report =
                store::check_version(&runtime, &registry, &snapshot, &mut store::Seen::default(), progress)?;
            report.warnings.extend_from_slice(&snapshot.head.warnings);
            report.warnings.extend(unsigned::notice(snapshot.head.unsigned()));
            if let Some(expect) = expect {
                let Expected { hash, warnings, .. } = expected_hash(client, expect)?;
                report.warnings.extend(warnings);
                report.faults.extend(hash_fault(B3SUMS, &snapshot.head.manifest.dataset, &hash));
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
    if !path.exists() {
        return Err(Error::not_found(Missing::File, path.display(), "this file system"));
    }
    if path.join(B3SUMS).exists() {
        let expected = expect.map(|expect| expected_hash(client, expect)).transpose()?;
        let hash = expected.as_ref().map(|expected| (expected.hash, expected.assurance));
        let report = tree::verify(path, hash, jobs, progress)?;
        let warnings = expected.map_or_else(Vec::new, |expected| expected.warnings);
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

/// The hash that is expected, whether a trusted signature says so, and what else there is to hear.
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
        // A pin says it all: no registry is needed, and none is asked.
        Expectation::Reference(pin @ (DatasetRef::Pin(hash) | DatasetRef::Version(_, _, Some(hash)))) => {
            Ok(by_hash(hash, pin))
        }
        Expectation::Reference(reference) => {
            let (_, snapshot) = transport::runtime()?.block_on(client.snapshot(reference))?;
            let (hash, warnings) = (snapshot.head.manifest.dataset, snapshot.head.warnings);
            Ok(Expected { hash, assurance: Assurance::Signed, warnings })
        }
    }
}

fn hash_fault(path: &str, found: &Digest, expected: &Digest) -> Option<Fault> {
    (found != expected).then(|| Fault {
        path: path.into(),
        kind: FaultKind::Changed,
        why: format!("the dataset hash is {}, expected {}", found.prefixed(), expected.prefixed()),
    })
}
