//! `isn sync`: brings the trees that a project's `isn.lock` and `isn.toml` name.

use std::path::{Path, PathBuf};

use super::info::info;
use super::pull::seeds::Reuse;
use super::pull::{PullOptions, PullReport, pull};
use super::verify::{Expectation, Target, verify};
use crate::client::Client;
use crate::files;
use crate::lock_file::{LOCK_FILE, LockFile, Locked, PROJECT_FILE, Project, misplaced};
use crate::progress::Progress;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Missing, Result};
use isn_format::log::History;
use isn_format::tree::Selection;

/// What to do with the lock file.
pub struct SyncOptions<'a> {
    /// The folder of the project.
    pub project: &'a Path,
    /// Change nothing in the lock file: what it lacks is an error.
    pub locked: bool,
    /// Trees may be outside the project's folder.
    pub allow_outside: bool,
    /// How many threads.
    pub jobs: usize,
}

/// What happened to one tree.
pub struct Synced {
    /// Its entry.
    pub entry: Locked,
    /// Bytes fetched; `None` if the tree was there and whole, and no registry was asked.
    pub fetched_bytes: Option<u64>,
    /// What the user should hear: that the version is yanked, for one.
    pub warnings: Vec<String>,
}

/// Restores every tree of the lock file, and unless `locked`, locks what only the project file names.
pub fn sync(client: &Client, options: &SyncOptions<'_>, progress: &dyn Progress) -> Result<Vec<Synced>> {
    let lock_path = options.project.join(LOCK_FILE);
    let mut lock = LockFile::read(&lock_path)?;
    let wanted = Project::read(&options.project.join(PROJECT_FILE))?.datasets;
    if lock.datasets.is_empty() && wanted.is_empty() {
        return Err(Error::not_found(Missing::Lock, LOCK_FILE, options.project.display()));
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
            return Err(Error::invalid(lock_path.display(), why));
        }
        let found = info(client, &reference)?;
        let manifest = &found.snapshot.head.manifest;
        added.push(Locked {
            path: PathBuf::from(format!("{}-{}", manifest.name, manifest.version)),
            pin: manifest.pin().parse()?,
            registry: found.registry,
            selection: Selection::default(),
        });
    }
    if !added.is_empty() {
        // Another process may have added some meanwhile.
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

/// Whether a locked version is one that `reference` may mean.
fn satisfies(pin: &DatasetRef, reference: &DatasetRef) -> bool {
    match (pin, reference) {
        (DatasetRef::Version(name, _, _), DatasetRef::Newest(wanted)) => name == wanted,
        (DatasetRef::Version(name, version, hash), DatasetRef::Version(n, v, h)) => {
            (name, version) == (n, v) && (h.is_none() || h == hash)
        }
        (DatasetRef::Version(_, _, hash), DatasetRef::Pin(wanted)) => *hash == Some(*wanted),
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
        return Ok(Synced { entry: entry.clone(), fetched_bytes: None, warnings });
    }
    // The one that it was locked from comes first: what it says of the version counts. The others may have its bytes, too.
    let others = client.locations.iter().filter(|location| **location != entry.registry);
    let locations: Vec<String> = std::iter::once(&entry.registry).chain(others).cloned().collect();
    let client = Client { locations, ..client.clone() };
    let pull_options = PullOptions {
        reference: &entry.pin,
        to: Some(&path),
        selection: entry.selection.clone(),
        source: None,
        reuse: Reuse::Copy,
        jobs: options.jobs,
        may_be_at: &|_| Ok(()),
    };
    let report = pull(&client, pull_options, progress)?;
    let (fetched_bytes, warnings) = (Some(report.fetched_bytes), report.snapshot.head.warnings);
    Ok(Synced { entry: entry.clone(), fetched_bytes, warnings })
}

/// Refuses, before a pull, what could not be locked afterwards: a damaged lock file in `project`, or a tree outside of it or
/// in another one.
pub fn check_lockable(
    project: &Path,
    to: Option<&Path>,
    reference: &DatasetRef,
    allow_outside: bool,
) -> Result<()> {
    let lock_path = project.join(LOCK_FILE);
    files::check_output(&lock_path)?;
    let mut lock = LockFile::read(&lock_path)?;
    let Some(to) = to else { return Ok(()) };
    let what = "--to";
    if let Some(mistake) = misplaced(project, to, reference, allow_outside)? {
        return Err(Error::Mistakes { what: what.into(), mistakes: vec![mistake] });
    }
    let (pin, selection) = (reference.clone(), Selection::default());
    lock.add(what, project, Locked { path: to.into(), pin, registry: String::new(), selection })
}

/// Adds what was pulled to the lock file of the project in `project`.
pub fn lock(project: &Path, report: &PullReport, selection: &Selection) -> Result<()> {
    let lock_path = project.join(LOCK_FILE);
    let entry = Locked {
        path: report.path.clone(),
        pin: report.snapshot.head.manifest.pin().parse()?,
        registry: report.registry.clone(),
        selection: selection.clone(),
    };
    LockFile::change(&lock_path, |lock| lock.add(&lock_path.display().to_string(), project, entry)).map(drop)
}
