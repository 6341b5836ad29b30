//! What somebody else has signed and sent goes into the log of a registry that this machine keeps: the other half of a
//! publish over the network. The objects wait in a *staged* store, laid out as a registry is; they are moved into the
//! registry before the statements are appended, so that what a reader can find is whole.

use std::ops::Range;
use std::path::Path;

use super::publish::objects_of;
use super::submit::missing;
use crate::digest::Digest;
use crate::error::{Error, Result, count};
use crate::files;
use crate::known_logs::KnownLogs;
use crate::log::History;
use crate::object::{ObjectKind, ObjectRef};
use crate::registry::append::OwnLog;
use crate::registry::publish::RegistryWriter;
use crate::registry::store::FolderStore;
use crate::registry::{Registry, layout};
use crate::statement::{Attested, ReleaseStatement, SignedStatement, Statement};
use crate::transport::folder::Folder;
use crate::transport::{Body, BoxFuture, Transport, runtime};

/// Statements for a log, all of them or none; of releases one at most.
#[derive(Debug)]
pub struct Submission {
    /// In the order in which they are to stand.
    pub statements: Vec<SignedStatement>,
    /// The packs of the release.
    pub packs: Vec<Digest>,
    /// Whether the release is without images, and so without packs.
    pub rebuild_only: bool,
}

impl Submission {
    fn packs(&self) -> Result<Option<&[Digest]>> {
        match (self.rebuild_only, self.packs.is_empty()) {
            (true, false) => Err(Error::invalid("the submission", "is rebuild-only, and has packs")),
            (rebuild_only, _) => Ok((!rebuild_only).then_some(&self.packs)),
        }
    }
}

/// What became of a submission.
#[derive(Debug)]
pub struct AcceptReport {
    /// Each statement's title and entry, in their order.
    pub entries: Vec<(String, u64)>,
    /// How many of the statements were new to the log.
    pub new_entries: usize,
    /// How many objects came into the registry, and their bytes.
    pub new_objects: usize,
    /// The sum of their lengths.
    pub new_bytes: u64,
}

/// Checks a submission against the log as it stands, moves its objects from the folder `staged` into the registry, and
/// appends it. A statement that the log has already is not said again.
pub fn accept(
    registry: &Path,
    staged: &Path,
    submission: &Submission,
    logs: &KnownLogs,
) -> Result<AcceptReport> {
    let writer = RegistryWriter::open_existing(Box::new(FolderStore::new(registry)))?;
    let log = OwnLog::open(&writer, logs)?;
    let view = log.view()?;
    log.signer(&view.replica.history().key())?;
    let mut history = view.replica.history().clone();
    let (mut places, mut fresh) = (Vec::new(), Vec::new());
    let mut release = None;
    for signed in &submission.statements {
        let attested = signed.attested()?;
        let place = place_of(&history, &attested)?;
        if let Statement::Release(statement) = &attested.statement
            && release.replace((statement.clone(), place)).is_some()
        {
            return Err(Error::invalid("the submission", "has two releases: send them one by one"));
        }
        if place.is_none() {
            match missing(&history, signed)? {
                0 => {}
                n => {
                    let why = format!("lacks {}", count(n, "signature"));
                    return Err(Error::trust(signed.claimed().title(), why));
                }
            }
            let _ = history.apply(signed.bytes());
            fresh.push(signed.clone());
        }
        places.push((attested.statement.title(), place));
    }
    let mut report =
        AcceptReport { entries: Vec::new(), new_entries: fresh.len(), new_objects: 0, new_bytes: 0 };
    if let Some((statement, None)) = &release {
        let objects = describe(registry, staged, statement, submission.packs()?)?;
        for (kind, object) in &objects {
            if bring(registry, staged, *kind, object)? {
                report.new_objects += 1;
                report.new_bytes += object.length;
            }
        }
        writer.settle(&objects)?;
        for pack in &submission.packs {
            writer.add_pack(&statement.manifest, pack)?;
        }
        if submission.rebuild_only {
            writer.mark_rebuild_only(&statement.manifest)?;
        }
    }
    let view = if fresh.is_empty() { view } else { log.append(&fresh)?.view };
    let mut next = view.replica.size() - fresh.len() as u64;
    for (title, place) in places {
        let index = place.unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        report.entries.push((title, index));
    }
    if let Some((statement, _)) = &release
        && let Some((_, released)) = view.replica.history().release(&statement.name, statement.version)
    {
        // What the log has: the same may have been signed by others too.
        writer.list_release(statement, &log.entry(released.index, &view)?)?;
    }
    Ok(report)
}

/// The entry that says what a statement says, if there is one; an error if the log says something else in its place.
fn place_of(history: &History, attested: &Attested) -> Result<Option<u64>> {
    match &attested.statement {
        Statement::Release(release) => match history.release(&release.name, release.version) {
            Some((there, at))
                if (there.dataset(), there.manifest()) == (release.dataset, release.manifest) =>
            {
                Ok(Some(at.index))
            }
            Some((there, at)) => Err(Error::Exists {
                what: format!("release {}@{}", release.name, release.version),
                why: format!(": entry {} has dataset hash b3:{}", at.index, there.dataset()),
            }),
            None => Ok(None),
        },
        Statement::Owner(owner) => match history.dataset(&owner.name) {
            Some(dataset) if dataset.owners.id == attested.id => Ok(Some(dataset.owners.index)),
            Some(dataset) if owner.previous != Some(dataset.owners.id) => Err(Error::Conflict {
                what: attested.statement.title(),
                why: format!(
                    "follows another owner statement than entry {}, the one in force",
                    dataset.owners.index
                ),
            }),
            _ => Ok(None),
        },
        Statement::LogKey(_) => Err(Error::invalid(
            attested.statement.title(),
            "is made on the machine that has the log's key: `isn registry rotate-key`",
        )),
        statement => Ok(history.said(statement)),
    }
}

/// The objects of a release, all of them there or staged, and what describes the version checked from end to end.
fn describe(
    registry: &Path,
    staged: &Path,
    release: &ReleaseStatement,
    packs: Option<&[Digest]>,
) -> Result<Vec<(ObjectKind, ObjectRef)>> {
    let both = Both { registry: Folder::new(registry), staged: Folder::new(staged) };
    let store = Registry::over(registry.display().to_string(), Box::new(both));
    let manifest = ObjectRef { blake3: release.manifest, length: release.manifest_len };
    let snapshot = runtime()?.block_on(store.describe(manifest, Vec::new()))?;
    let described = &snapshot.head.manifest;
    if (&described.name, described.version, described.dataset)
        != (&release.name, release.version, release.dataset)
    {
        let what = format!("the release of {}@{}", release.name, release.version);
        let why = "states another dataset, version or hash than its manifest: two versions are mixed";
        return Err(Error::trust(what, why));
    }
    let objects = objects_of(&store, &snapshot, packs)?;
    let mut absent = Vec::new();
    for (kind, object) in &objects {
        let path = layout::object(*kind, &object.blake3);
        match length_at(&registry.join(&path)).or_else(|| length_at(&staged.join(&path))) {
            Some(length) if length == object.length => {}
            Some(length) => {
                let why = format!("is {length} bytes long, expected {}", object.length);
                return Err(Error::integrity(path, why));
            }
            None => absent.push(path),
        }
    }
    match absent.first() {
        None => Ok(objects),
        Some(first) => {
            let what =
                format!("{} of the release, the first of them {first},", count(absent.len(), "object"));
            Err(Error::not_found(what, "the registry, nor staged"))
        }
    }
}

fn length_at(path: &Path) -> Option<u64> {
    path.metadata().ok().filter(|about| about.is_file()).map(|about| about.len())
}

/// Moves an object into the registry; it was checked against its hash when it was staged. `false` if it was there.
fn bring(registry: &Path, staged: &Path, kind: ObjectKind, object: &ObjectRef) -> Result<bool> {
    let path = layout::object(kind, &object.blake3);
    let (from, to) = (staged.join(&path), registry.join(&path));
    files::create_dir_all(files::parent(&to))?;
    if length_at(&to).is_none() && files::rename_new(&from, &to)? {
        return Ok(true);
    }
    files::remove_file(&from)?;
    Ok(false)
}

/// A registry and what is staged for it, as one.
struct Both {
    registry: Folder,
    staged: Folder,
}

impl Transport for Both {
    fn locate(&self, path: &str) -> String {
        path.into()
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        Box::pin(async move {
            match self.registry.open(path, range.clone()).await? {
                Some(body) => Ok(Some(body)),
                None => self.staged.open(path, range).await,
            }
        })
    }
}
