//! Accepts statements and objects that a publisher has signed and sent over the network into a registry on
//! this machine. The objects wait in a *staged* store that is laid out as a registry. They are moved into the
//! registry before the statements are appended, so a reader never finds a version that is not whole.
//!
//! The sender is authenticated but not trusted: the files that describe a version are bounded in size before
//! they are parsed. They are parsed without the lock, so that others can publish meanwhile; the registry is
//! locked once to read the log, and again to append.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::files::{self, Below};
use crate::registry::append::OwnLog;
use crate::registry::log::LogView;
use crate::registry::publish::RegistryWriter;
use crate::registry::store::FolderStore;
use crate::registry::{Registry, layout};
use crate::steps::attestations::Planned;
use crate::steps::objects::objects_of;
use crate::steps::submit::missing;
use crate::transport::folder::Folder;
use crate::transport::{Body, BoxFuture, Transport, runtime};
use crate::trust::Known;
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result, There, count};
use isn_format::json_lines;
use isn_format::log::History;
use isn_format::manifest::Manifest;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::statement::{Attested, ReleaseStatement, SignedStatement, Statement};

/// The maximum length of an index, in bytes: this for each image, and `MAX_BESIDE` on top. A row takes more
/// memory than it has bytes.
const MAX_OF_IMAGE: u64 = 1 << 10;
const MAX_BESIDE: u64 = 64 << 10;
/// What each other object that describes a version may have instead of `MAX_BESIDE`: room for tens of
/// thousands of classes.
const MAX_CLASSES: u64 = 16 << 20;

/// Statements to append to a log, all or none. At most one of them is a release.
#[derive(Debug)]
pub struct Submission {
    /// The statements, in the order in which they are to be appended.
    pub statements: Vec<SignedStatement>,
    /// The packs of the release.
    pub packs: Vec<Digest>,
    /// Whether the release is published without images, and so has no packs.
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

/// The outcome of a submission.
#[derive(Debug)]
pub struct AcceptReport {
    /// The title of each statement and the number of its entry, in the order of the submission.
    pub entries: Vec<(String, u64)>,
    /// Whether they are entries of the attestation log.
    pub attests: bool,
    /// The number of the first new entry, or of the next one if none is new.
    pub first_new: u64,
    /// How many of the statements were new to the log.
    pub new_entries: usize,
    /// The number of objects that were new to the registry.
    pub new_objects: usize,
    /// The sum of their lengths, in bytes.
    pub new_bytes: u64,
    /// Why the release could not be listed although it is in the log. Sending it again lists it.
    pub unlisted: Option<Error>,
}

/// Why a submission was refused.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The submission is at fault.
    #[error(transparent)]
    Submission(#[from] Error),
    /// The registry is at fault; the sender can do nothing about it.
    #[error(transparent)]
    Registry(Box<Error>),
    /// The submission has more new statements than this token may append.
    #[error("adds {fresh} to the entries of the log, and this token may add {most} more today")]
    Entries {
        /// The number of new statements.
        fresh: usize,
        /// The number that may be appended.
        most: usize,
    },
}

impl Rejected {
    /// Wraps an error that is the registry's fault.
    pub fn registry(error: Error) -> Self {
        Rejected::Registry(Box::new(error))
    }
}

/// Where a submission goes, and the limits on it.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The registry's folder.
    pub registry: &'a Path,
    /// The folder below it that holds the staged objects.
    pub staged: &'a Path,
    /// The log that the registry must have, and where the log's private key is.
    pub known: Known<'a>,
    /// The maximum number of images in a version.
    pub most_images: u64,
    /// The maximum number of new statements.
    pub most_entries: usize,
}

/// Checks a submission against the current log, moves its objects into the registry, and appends its
/// statements. A statement that is in the log already is not appended again. Calls `gone` with the path of
/// each object that is no longer staged.
///
/// # Errors
/// [`Rejected::Submission`] if a statement, a signature or an object is missing or wrong,
/// [`Rejected::Entries`] if there are too many new statements, [`Rejected::Registry`] if the registry cannot
/// be read or written.
pub fn accept(
    to: &Destination<'_>,
    submission: &Submission,
    gone: &dyn Fn(&str),
) -> Result<AcceptReport, Rejected> {
    let open = || {
        let store = Box::new(FolderStore::new(to.registry));
        RegistryWriter::open_existing(store, to.known).map_err(Rejected::registry)
    };
    let plan = |log: &OwnLog<'_>| {
        let plan = Plan::new(log, submission)?;
        match plan.fresh.len() {
            fresh if fresh > to.most_entries => Err(Rejected::Entries { fresh, most: to.most_entries }),
            _ => Ok(plan),
        }
    };
    if submission.statements.iter().any(|signed| matches!(signed.claimed(), Statement::Rebuilt(_))) {
        return accept_rebuilt(to, submission, &open()?);
    }
    let mut writer = open()?;
    let mut objects = Vec::new();
    let log = OwnLog::open(&writer, to.known).map_err(Rejected::registry)?;
    if let Some((statement, None)) = plan(&log)?.release {
        // Describing the version can take long, so the registry is not locked meanwhile.
        drop(log);
        drop(writer);
        objects = describe(to, &statement, submission.packs()?)?;
        writer = open()?;
    }
    let log = OwnLog::open(&writer, to.known).map_err(Rejected::registry)?;
    let Plan { view, places, fresh, release } = plan(&log)?;
    let mut report = AcceptReport {
        entries: Vec::new(),
        attests: false,
        first_new: view.replica.size(),
        new_entries: fresh.len(),
        new_objects: 0,
        new_bytes: 0,
        unlisted: None,
    };
    if let Some((statement, None)) = &release {
        check_there(to, &objects)?;
        for signed in fresh.iter().filter(|signed| matches!(signed.claimed(), Statement::Release(_))) {
            writer.check_unlisted(statement, signed.bytes()).map_err(Rejected::registry)?;
        }
        for (kind, object) in &objects {
            if bring(to, *kind, object, gone)? {
                report.new_objects += 1;
                report.new_bytes += object.length;
            }
        }
        let placed = writer.settle(&objects).and_then(|()| {
            submission.packs.iter().try_for_each(|pack| writer.add_pack(&statement.manifest, pack))?;
            if submission.rebuild_only { writer.mark_rebuild_only(&statement.manifest) } else { Ok(()) }
        });
        placed.map_err(Rejected::registry)?;
    }
    let view = if fresh.is_empty() { view } else { log.append(&fresh).map_err(Rejected::registry)?.view };
    let mut next = view.replica.size() - fresh.len() as u64;
    for (title, place) in places {
        let index = place.unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        report.entries.push((title, index));
    }
    if let Some((statement, _)) = &release
        && let Some((_, released)) = view.replica.history().release(&statement.id)
    {
        // The entry is read from the log because it may have other signatures than the one that was sent.
        let entry = log.entry(released.index, &view);
        report.unlisted = entry.and_then(|entry| writer.list_release(statement, &entry)).err();
    }
    Ok(report)
}

/// Appends statements of rebuilds to the attestation log.
fn accept_rebuilt(
    to: &Destination<'_>,
    submission: &Submission,
    writer: &RegistryWriter,
) -> Result<AcceptReport, Rejected> {
    for signed in &submission.statements {
        signed.attested()?;
    }
    let main = OwnLog::open(writer, to.known).map_err(Rejected::registry)?;
    let view = main.view().map_err(Rejected::registry)?;
    main.signer(&view.replica.history().key()).map_err(Rejected::registry)?;
    let planned = Planned::new(&main, writer, to.known.logs, &submission.statements)?;
    let (first_new, new_entries) = (planned.size, planned.fresh.len());
    if new_entries > to.most_entries {
        return Err(Rejected::Entries { fresh: new_entries, most: to.most_entries });
    }
    let numbers = planned.append(writer).map_err(Rejected::registry)?;
    let titles = submission.statements.iter().map(|signed| signed.claimed().title());
    Ok(AcceptReport {
        entries: titles.zip(numbers).collect(),
        attests: true,
        first_new,
        new_entries,
        new_objects: 0,
        new_bytes: 0,
        unlisted: None,
    })
}

/// How a submission fits the log as it stands.
struct Plan {
    view: LogView,
    /// The title of each statement, and the number of its entry if the log has it already.
    places: Vec<(String, Option<u64>)>,
    /// The statements that are not in the log yet.
    fresh: Vec<SignedStatement>,
    release: Option<(ReleaseStatement, Option<u64>)>,
}

impl Plan {
    /// Fails if a statement does not fit the log or lacks signatures.
    fn new(log: &OwnLog<'_>, submission: &Submission) -> Result<Self, Rejected> {
        let view = log.view().map_err(Rejected::registry)?;
        log.signer(&view.replica.history().key()).map_err(Rejected::registry)?;
        let mut history = view.replica.history().clone();
        let mut plan = Plan { view, places: Vec::new(), fresh: Vec::new(), release: None };
        for signed in &submission.statements {
            let attested = signed.attested()?;
            let place = place_of(&history, &attested)?;
            if let Statement::Release(statement) = &attested.statement
                && plan.release.replace((statement.clone(), place)).is_some()
            {
                return Err(Error::invalid("the submission", "has two releases: send them one by one").into());
            }
            if place.is_none() {
                let attested = signed.attested()?;
                match missing(&history, &attested.statement, &attested.signers)? {
                    0 => {}
                    n => {
                        let why = format!("lacks {}", count(n, "signature"));
                        return Err(Error::trust(signed.claimed().title(), why).into());
                    }
                }
                let _ = history.apply(signed.bytes());
                plan.fresh.push(signed.clone());
            }
            plan.places.push((attested.statement.title(), place));
        }
        Ok(plan)
    }
}

/// Returns the number of the entry that makes this statement, if there is one. Fails if the log has a
/// different statement in its place.
fn place_of(history: &History, attested: &Attested) -> Result<Option<u64>> {
    match &attested.statement {
        Statement::Release(release) => match history.release(&release.id) {
            Some((there, at))
                if (there.dataset(), there.manifest()) == (release.dataset, release.manifest) =>
            {
                Ok(Some(at.index))
            }
            Some((there, at)) => Err(Error::exists(
                There::Release,
                format!("release {}", release.id),
                format!(": entry {} has dataset hash b3:{}", at.index, there.dataset()),
            )),
            None => Ok(None),
        },
        Statement::Owner(owner) => match history.dataset(&owner.name) {
            Some(dataset) if dataset.owners.id == attested.id => Ok(Some(dataset.owners.index)),
            Some(dataset) if owner.previous != Some(dataset.owners.id) => Err(Error::Conflict {
                what: attested.statement.title(),
                why: "builds on an owner statement that is no longer in force".into(),
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

/// Checks that every object of a release is in the registry or staged, and checks the files that describe the
/// version from end to end. Returns the objects.
fn describe(
    to: &Destination<'_>,
    release: &ReleaseStatement,
    packs: Option<&[Digest]>,
) -> Result<Vec<(ObjectKind, ObjectRef)>> {
    let both = Both { registry: to.registry.to_path_buf(), staged: to.staged.to_path_buf() };
    let store = Registry::over(to.registry.display().to_string(), Box::new(both));
    let manifest = ObjectRef { blake3: release.manifest, length: release.manifest_len };
    let head = runtime()?.block_on(store.head(manifest, Vec::new()))?;
    weigh(to, &head.manifest, packs.unwrap_or_default())?;
    let snapshot = runtime()?.block_on(store.complete(head))?;
    let described = &snapshot.head.manifest;
    if (described.id(), described.dataset) != (release.id.clone(), release.dataset) {
        let what = format!("the release of {}", release.id);
        let why = "states another dataset, version or hash than its manifest: two versions are mixed";
        return Err(Error::trust(what, why));
    }
    runtime()?.block_on(store.check_blocks(&snapshot))?;
    let objects = objects_of(&store, &snapshot, packs)?;
    check_there(to, &objects)?;
    Ok(objects)
}

/// Checks that the version does not have too many images, and that the files that describe it are no larger
/// than that many images need.
fn weigh(to: &Destination<'_>, manifest: &Manifest, packs: &[Digest]) -> Result<()> {
    let title = manifest.id();
    if manifest.images > to.most_images {
        let (images, most) = (manifest.images, to.most_images);
        return Err(Error::invalid(
            title,
            format!("has {images} images, and this server takes {most} at most"),
        ));
    }
    for (kind, object) in manifest.objects.all() {
        let is_index = matches!(kind, ObjectKind::Index | ObjectKind::Rows | ObjectKind::Sources);
        let beside = if is_index { MAX_BESIDE } else { MAX_CLASSES };
        let most = manifest.images.saturating_mul(MAX_OF_IMAGE).saturating_add(beside);
        if object.length > most {
            let (what, length) = (kind.noun(), object.length);
            let why = format!(
                "gives its {what} a length of {length} bytes, more than the {most} that its images can need"
            );
            return Err(Error::integrity(title, why));
        }
    }
    let rows = |kind: ObjectKind, digest: &Digest, most_rows: u64| {
        let path = layout::object(kind, digest);
        let file = match open(to.registry, &to.registry.join(&path))? {
            None => open(to.registry, &to.staged.join(&path))?,
            there => there,
        };
        // A missing object is reported when it is read.
        let Some(file) = file else { return Ok(0) };
        let length = file.metadata().map_err(Error::io("look at", &path))?.len();
        json_lines::weigh(&path, file, length, most_rows)
    };
    rows(ObjectKind::Index, &manifest.objects.index.blake3, manifest.images)?;
    if let Some(blocks) = manifest.objects.blocks {
        rows(ObjectKind::Rows, &blocks.rows.blake3, manifest.images)?;
        rows(ObjectKind::Sources, &blocks.sources.blake3, manifest.images)?;
    }
    if packs.iter().collect::<HashSet<_>>().len() < packs.len() {
        return Err(Error::invalid("the submission", "names a pack twice"));
    }
    // The contents of packs are checked later; this bounds the number of their rows.
    let mut left = to.most_images.saturating_mul(2).saturating_add(packs.len() as u64);
    for pack in packs {
        left = left.saturating_sub(rows(ObjectKind::Pack, pack, left.min(manifest.images + 1))?);
    }
    Ok(())
}

/// Checks that every object is in the registry or staged, with the right length.
fn check_there(to: &Destination<'_>, objects: &[(ObjectKind, ObjectRef)]) -> Result<()> {
    let mut absent = Vec::new();
    for (kind, object) in objects {
        let path = layout::object(*kind, &object.blake3);
        let length = match length_at(to, to.registry, &path)? {
            None => length_at(to, to.staged, &path)?,
            there => there,
        };
        match length {
            Some(length) if length == object.length => {}
            Some(length) => {
                let why = format!("is {length} bytes long, expected {}", object.length);
                return Err(Error::integrity(path, why));
            }
            None => absent.push(path),
        }
    }
    match absent.first() {
        None => Ok(()),
        Some(first) => {
            let what =
                format!("{} of the release, the first of them {first},", count(absent.len(), "object"));
            Err(Error::not_found(Missing::Object, what, "the registry or staged for it"))
        }
    }
}

/// Opens an object, staged or not, below the folder of a registry. Returns `None` if there is none.
///
/// # Errors
/// [`Error::Foreign`] if the path leads through a symlink, or to something that is not a regular file:
/// whoever can write to the folder must not choose which other files the server reads.
pub fn open(registry: &Path, path: &Path) -> Result<Option<File>> {
    let Some(folder) = files::Below::find(registry, files::parent(path))? else { return Ok(None) };
    folder.open(path.file_name().unwrap_or_default())
}

fn length_at(to: &Destination<'_>, root: &Path, path: &str) -> Result<Option<u64>> {
    let path = root.join(path);
    let file = open(to.registry, &path)?;
    let about = file.map(|file| file.metadata().map_err(Error::io("look at", &path))).transpose()?;
    Ok(about.map(|about| about.len()))
}

/// Moves a staged object, whose hash was checked when it was staged, into the registry. Returns `false` if
/// the registry has it already.
fn bring(to: &Destination<'_>, kind: ObjectKind, object: &ObjectRef, gone: &dyn Fn(&str)) -> Result<bool> {
    let path = layout::object(kind, &object.blake3);
    let (folder, name) = (files::parent(Path::new(&path)), Path::new(&path).file_name().unwrap_or_default());
    // Neither folder may be reached through a symlink.
    let there = Below::make(to.registry, &to.registry.join(folder))?;
    let is_there = there.length(name)?.is_some();
    let is_new = match Below::find(to.staged, &to.staged.join(folder))? {
        Some(staged) if !is_there && staged.move_new(name, &there, name)? => true,
        Some(staged) => staged.remove(name).map(|()| false)?,
        None if is_there => false,
        None => return Err(Error::not_found(Missing::Object, path, "the registry or staged for it")),
    };
    gone(&path);
    Ok(is_new)
}

/// A registry and the objects staged for it, read as one store.
struct Both {
    registry: PathBuf,
    staged: PathBuf,
}

impl Transport for Both {
    fn locate(&self, path: &str) -> String {
        path.into()
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        Box::pin(async move {
            for root in [&self.registry, &self.staged] {
                if open(&self.registry, &root.join(path))?.is_some() {
                    return Folder::new(root).open(path, range).await;
                }
            }
            Ok(None)
        })
    }
}
