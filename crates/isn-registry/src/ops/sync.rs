//! `isn sync`: restores the trees that a project's `isn.lock` and `isn.toml` name.

use std::path::{Path, PathBuf};

use super::pull::seeds::Reuse;
use super::pull::{PullOptions, PullReport, Unreleased, pull};
use super::verify::{Expectation, Target, verify};
use crate::client::Client;
use crate::client::version_at::VersionAt;
use crate::files;
use crate::lock_file::{LOCK_FILE, LockFile, Locked, PROJECT_FILE, Project, misplaced};
use crate::progress::Progress;
use crate::transport;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{At, Error, LockFault, Missing, Result};
use isn_format::log::History;
use isn_format::tree::Selection;

/// How to restore the trees.
pub struct SyncOptions<'a> {
    /// The folder of the project.
    pub project: &'a Path,
    /// Do not change the lock file: fail if it lacks a dataset.
    pub locked: bool,
    /// Allow trees outside the project's folder.
    pub allow_outside: bool,
    /// The number of threads.
    pub jobs: usize,
}

/// The outcome for one tree.
pub struct Synced {
    /// Its entry in the lock file.
    pub entry: Locked,
    /// Whether the tree was there already, whole.
    pub was_there: bool,
    /// The bytes received over the network.
    pub fetched_bytes: u64,
    /// Warnings for the user, for example that the version is yanked.
    pub warnings: Vec<String>,
}

/// Restores every tree of the lock file. Unless `locked`, first locks the datasets that only the project file
/// names.
///
/// # Errors
/// [`Error::NotFound`] if nothing is locked or named; [`Error::LockFile`] if the lock file is damaged, or if
/// `locked` and a dataset is missing from it; [`Error::Mistakes`] if a file has mistakes or a tree is
/// misplaced; otherwise those of [`pull`].
pub fn sync(client: &Client, options: &SyncOptions<'_>, progress: &dyn Progress) -> Result<Vec<Synced>> {
    let lock_path = options.project.join(LOCK_FILE);
    let mut lock = LockFile::read(&lock_path)?;
    let wanted = Project::read(&options.project.join(PROJECT_FILE))?.datasets;
    if lock.datasets.is_empty() && wanted.is_empty() {
        let project = std::path::absolute(options.project).unwrap_or_else(|_| options.project.into());
        return Err(match files::is_absent(&lock_path) {
            true => Error::not_found(Missing::Lock, LOCK_FILE, project.display()),
            false => Error::not_found(Missing::Lock, "a dataset", project.join(LOCK_FILE).display()),
        });
    }
    let what = lock_path.display().to_string();
    let check = |lock: &LockFile| lock.check_places(&what, options.project, options.allow_outside);
    check(&lock)?;
    let mut added: Vec<Locked> = Vec::new();
    for reference in wanted {
        if lock.datasets.iter().chain(&added).any(|entry| satisfies(&entry.pin, &reference)) {
            continue;
        }
        if options.locked {
            let why = format!("does not lock {reference}, which {PROJECT_FILE} asks for");
            return Err(Error::LockFile { what, why, fault: LockFault::Behind });
        }
        let (registry, head) = transport::runtime()?.block_on(client.head(&reference))?;
        let manifest = &head.manifest;
        added.push(Locked {
            path: PathBuf::from(format!("{}-{}", manifest.name, manifest.version)),
            pin: manifest.pin(),
            registry: registry.name().into(),
            selection: Selection::default(),
        });
    }
    if !added.is_empty() {
        // Another process may have added entries meanwhile.
        lock = LockFile::change(&lock_path, |lock| {
            added.into_iter().try_for_each(|entry| lock.add(&what, options.project, entry))?;
            check(lock)
        })?;
    }
    let (remembered, unread) = client.remembered();
    let restore = |entry| restore(client, options, entry, &remembered, progress);
    let mut synced = lock.datasets.iter().map(restore).collect::<Result<Vec<_>>>()?;
    if let Some(first) = synced.first_mut() {
        first.warnings.extend(unread);
    }
    Ok(synced)
}

/// Whether a locked version is one that `reference` can mean.
fn satisfies(pin: &DatasetRef, reference: &DatasetRef) -> bool {
    match (pin, reference) {
        (DatasetRef::Version(id, _), DatasetRef::Newest(wanted)) => id.name == *wanted,
        (DatasetRef::Version(id, hash), DatasetRef::Version(wanted, h)) => {
            id == wanted && (h.is_none() || h == hash)
        }
        (DatasetRef::Version(_, hash), DatasetRef::Pin(wanted)) => *hash == Some(*wanted),
        _ => false,
    }
}

fn restore(
    client: &Client,
    options: &SyncOptions<'_>,
    entry: &Locked,
    remembered: &[History],
    progress: &dyn Progress,
) -> Result<Synced> {
    let path = options.project.join(&entry.path);
    let at_hand = entry.selection.is_all() && path.exists() && {
        let expect = Expectation::Reference(entry.pin.clone());
        let report = verify(client, &Target::Path(path.clone()), Some(&expect), options.jobs, progress);
        report.is_ok_and(|report| report.faults.is_empty() && report.partial.is_none())
    };
    if at_hand {
        let warnings = client.advice_at_hand(&entry.registry, &entry.pin, remembered);
        return Ok(Synced { entry: entry.clone(), was_there: true, fetched_bytes: 0, warnings });
    }
    // The registry that the version was locked from comes first, because its statements about the version
    // count. The others may have its bytes too.
    let others = client.locations.iter().filter(|location| **location != entry.registry);
    let locations: Vec<String> = std::iter::once(&entry.registry).chain(others).cloned().collect();
    let client = Client { locations, ..client.clone() };
    let pull_options = PullOptions {
        version: &VersionAt::Registry(entry.pin.clone()),
        to: Some(&path),
        selection: entry.selection.clone(),
        source: None,
        unreleased: Unreleased::Refuse,
        reuse: Reuse::Copy,
        jobs: options.jobs,
        may_be_at: &|_| Ok(()),
    };
    let report = pull(&client, pull_options, progress).map_err(|e| match e {
        Error::NotFound { kind, what, near, .. } if kind == Missing::Location && what == entry.registry => {
            Error::NotFound { kind, what, near, place: LOCK_FILE.into() }
        }
        Error::NotFound { kind: kind @ Missing::Version, what, near, place } => {
            let place = format!("{place}, and {LOCK_FILE} locks it for {}", entry.path.display());
            Error::NotFound { kind, what, near, place }
        }
        Error::Integrity { what, why, at: At::Reference } => {
            let lock = options.project.join(LOCK_FILE);
            let why = format!("locks {} for {}: {what} {why}", entry.pin, entry.path.display());
            Error::integrity(lock.display(), why).at(At::Lock)
        }
        e => e,
    })?;
    let (was_there, fetched_bytes) = (report.was_there, report.fetched_bytes);
    Ok(Synced { entry: entry.clone(), was_there, fetched_bytes, warnings: report.snapshot.head.warnings })
}

/// Refuses, before a pull, what could not be locked after it: a damaged lock file in `project`, or a tree
/// that is outside the project or inside another tree.
///
/// # Errors
/// [`Error::LockFile`], [`Error::Invalid`] or [`Error::Mistakes`] if the lock file or the place of the tree
/// is wrong;
/// [`Error::Io`] if the lock file cannot be read or written.
pub fn check_lockable(
    project: &Path,
    to: Option<&Path>,
    reference: &DatasetRef,
    allow_outside: bool,
) -> Result<()> {
    let lock_path = project.join(LOCK_FILE);
    let mut lock = LockFile::read(&lock_path)?;
    files::check_output(&lock_path)?;
    let Some(to) = to else { return Ok(()) };
    files::check_is_path(to)?;
    let what = "--to";
    if let Some(mistake) = misplaced(project, to, reference, allow_outside)? {
        return Err(Error::invalid(what, mistake.why));
    }
    let (pin, selection) = (reference.clone(), Selection::default());
    lock.add(what, project, Locked { path: to.into(), pin, registry: String::new(), selection })
}

/// Adds a pulled tree to the lock file of `project`.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Mistakes`] if the lock file has mistakes or the tree cannot be added;
/// [`Error::Io`] if it cannot be read or written.
pub fn lock(project: &Path, report: &PullReport, selection: &Selection) -> Result<()> {
    let lock_path = project.join(LOCK_FILE);
    let entry = Locked {
        path: report.path.clone(),
        pin: report.snapshot.head.manifest.pin(),
        registry: report.registry.clone(),
        selection: selection.clone(),
    };
    LockFile::change(&lock_path, |lock| lock.add(&lock_path.display().to_string(), project, entry)).map(drop)
}
