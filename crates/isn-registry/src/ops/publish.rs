//! `isn publish`: a build output becomes a signed release in a registry. Objects come first and the log's entry
//! last; everything written is read back.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::gates;
use super::registry::DESCRIPTION;
use super::repack;
use super::submit::{Fate, collect, missing, sign_with};
use super::verify::store::MANIFEST_JSON;
use crate::files;
use crate::progress::{Progress, Unit};
use crate::registry::append::{OwnLog, log_to_write};
use crate::registry::log::WitnessPolicy;
use crate::registry::publish::{RegistryWriter, check_file, check_free};
use crate::registry::store::Store;
use crate::registry::{Registry, Snapshot, layout};
use crate::transport::folder::Folder;
use crate::trust::Known;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::key::{PublicKey, Signer};
use isn_format::log::{History, LogKey};
use isn_format::manifest::{self, Manifest};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::{Allowance, Pack};
use isn_format::shard::max_frame_len;
use isn_format::statement::{Owner, ReleaseStatement, SignedStatement, Statement};

/// What to publish.
pub struct PublishOptions<'a> {
    /// The output of a build.
    pub build: &'a Path,
    /// Check and say what would be done, and write nothing.
    pub dry_run: bool,
    /// Write the release to this file, to be signed by others too, even if the keys at hand are enough.
    pub out: Option<&'a Path>,
    /// Publish what describes the version, and no images.
    pub rebuild_only: bool,
}

/// What was published.
pub struct PublishReport {
    /// What the release says.
    pub statement: ReleaseStatement,
    /// `name@version#b3:…`.
    pub pin: String,
    /// `SHA256:…` of the keys that signed.
    pub signers: Vec<String>,
    /// How many objects the version has.
    pub objects: usize,
    /// How many of them were not in the registry.
    pub new_objects: usize,
    /// The sum of their lengths, in bytes.
    pub new_bytes: u64,
    /// Whether the very same release was there already.
    pub was_there: bool,
    /// Whether no images were to be published.
    pub rebuild_only: bool,
    /// Whether the place became a registry.
    pub new_registry: bool,
    /// Whether the keys have claimed the name.
    pub new_name: bool,
    /// The log's key; `None` where a dry run would make one.
    pub log_key: Option<LogKey>,
    /// Where the release is; `None` after a dry run.
    pub fate: Option<Fate>,
}

/// A build output: its version and all objects with their files.
pub(super) struct BuildOutput {
    pub(super) build: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) manifest_ref: ObjectRef,
    pub(super) packs: Vec<(Digest, Pack)>,
    pub(super) objects: Vec<StoredObject>,
    /// Whether the images stay here.
    pub(super) rebuild_only: bool,
    /// Holds files of `objects` that were made for this registry.
    pub(super) scratch: Option<repack::scratch::Scratch>,
}

/// An object and the file that has it.
pub(super) struct StoredObject {
    pub(super) kind: ObjectKind,
    pub(super) object: ObjectRef,
    pub(super) file: PathBuf,
}

impl BuildOutput {
    /// The report of a publish that has done nothing yet.
    pub(super) fn report(&self, signers: &[Box<dyn Signer>]) -> PublishReport {
        let manifest = &self.manifest;
        PublishReport {
            statement: ReleaseStatement {
                name: manifest.name.clone(),
                version: manifest.version,
                dataset: manifest.dataset,
                manifest: self.manifest_ref.blake3,
                manifest_len: self.manifest_ref.length,
            },
            pin: manifest.pin(),
            signers: signers.iter().map(|signer| signer.public_key().fingerprint()).collect(),
            objects: self.objects.len(),
            new_objects: 0,
            new_bytes: 0,
            was_there: false,
            rebuild_only: self.rebuild_only,
            new_registry: false,
            new_name: false,
            log_key: None,
            fate: None,
        }
    }

    /// The file of one of the objects.
    pub(super) fn path_of(&self, kind: ObjectKind, object: &ObjectRef) -> Result<&Path> {
        let found = self.objects.iter().find(|stored| stored.kind == kind && stored.object == *object);
        found.map(|stored| stored.file.as_path()).ok_or_else(|| {
            Error::integrity(self.build.display(), format!("has no {} {}", kind.noun(), object.blake3))
        })
    }

    /// The same without images, if so.
    pub(super) fn rebuild_only(mut self, rebuild_only: bool) -> Self {
        if rebuild_only {
            self.objects.retain(|stored| !matches!(stored.kind, ObjectKind::Shard | ObjectKind::Pack));
            self.packs.clear();
            self.rebuild_only = true;
        }
        self
    }

    /// The sum of the objects' lengths, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.objects.iter().map(|stored| stored.object.length).sum()
    }
}

/// Publishes a build output to the registry in `store`, which an empty place becomes, signed by `signers`. A name that
/// nobody owns is claimed for them first.
pub fn publish(
    options: &PublishOptions<'_>,
    store: Box<dyn Store>,
    signers: &[Box<dyn Signer>],
    known: Known<'_>,
    progress: &dyn Progress,
) -> Result<PublishReport> {
    let there = log_to_write(store.as_ref(), known)?;
    let is_registry = there.is_some();
    if !is_registry {
        check_free(store.as_ref())?;
    }
    let output = read_build(options.build, progress)?.rebuild_only(options.rebuild_only);
    let before = there.map_or(Ok(None), |log| log_before(store.as_ref(), &log))?;
    let log_key = before.as_ref().map(|history| history.key());
    let mut report = PublishReport { new_registry: !is_registry, log_key, ..output.report(signers) };
    // Decided and signed before anything is written: a wrong passphrase must not leave half a version behind.
    let prepared = prepare(before.as_ref(), &report.statement, signers)?;
    report.was_there = matches!(prepared, Prepared::There(_));
    report.new_name = matches!(&prepared, Prepared::New { statements, .. } if statements.len() > 1);
    let output = reuse_shards(output, store.as_ref(), before.as_ref())?;
    report.objects = output.objects.len();
    if options.dry_run {
        for stored in &output.objects {
            if store.length(&object_path(stored.kind, &stored.object))?.is_none() {
                report.new_objects += 1;
                report.new_bytes += stored.object.length;
            }
        }
        return Ok(report);
    }

    RegistryWriter::init(store.as_ref(), DESCRIPTION, || known.logs.new_signer(None))?;
    let writer = RegistryWriter::open(store)?;
    let log = OwnLog::open(&writer, known)?;
    let history = log.view()?.replica.history().clone();
    log.signer(&history.key())?;
    report.log_key = Some(history.key());
    progress.begin("publish", Unit::Bytes, output.bytes());
    for StoredObject { kind, object, file } in &output.objects {
        if writer.put_object(*kind, object, file)? {
            report.new_objects += 1;
            report.new_bytes += object.length;
        }
        progress.advance(object.length);
    }
    writer.settle(&output.objects.iter().map(|stored| (stored.kind, stored.object)).collect::<Vec<_>>())?;
    progress.end();
    for (pack, _) in &output.packs {
        writer.add_pack(&output.manifest_ref.blake3, pack)?;
    }
    if output.rebuild_only {
        writer.mark_rebuild_only(&output.manifest_ref.blake3)?;
    }
    // Somebody may have come between.
    let fate = match prepare(Some(&history), &report.statement, signers)? {
        Prepared::There(index) => {
            report.was_there = true;
            let view = log.view()?;
            let entry = log.entry(index, &view)?;
            writer.list_release(&report.statement, &entry)?;
            Fate::Logged(index)
        }
        Prepared::New { statements, missing } if missing > 0 || options.out.is_some() => {
            let (release, claims) =
                statements.split_last().ok_or_else(|| Error::Internal("no release".into()))?;
            if !claims.is_empty() {
                log.append(claims)?;
            }
            collect(release, missing, options.out)?.fate
        }
        Prepared::New { statements, .. } => {
            let release = statements.last().ok_or_else(|| Error::Internal("no release".into()))?;
            writer.check_unlisted(&report.statement, release.bytes())?;
            let first = log.append(&statements)?.first;
            writer.list_release(&report.statement, release.bytes())?;
            Fate::Logged(first + statements.len() as u64 - 1)
        }
    };
    report.fate = Some(fate);
    Ok(report)
}

/// The build as this registry needs it, beside what it has.
fn reuse_shards(output: BuildOutput, store: &dyn Store, history: Option<&History>) -> Result<BuildOutput> {
    let runtime = crate::transport::runtime()?;
    repack::reuse(&runtime, output, &store.registry()?, history, |shard| {
        Ok(store.length(&layout::object(ObjectKind::Shard, &shard.blake3))? == Some(shard.length))
    })
}

/// What is to be said for a version to be released.
pub(super) enum Prepared {
    /// Nothing: this entry says it.
    There(u64),
    /// The claim of the name, if nobody owns it, and the release, which lacks so many signatures.
    New { statements: Vec<SignedStatement>, missing: usize },
}

pub(super) fn prepare(
    history: Option<&History>,
    release: &ReleaseStatement,
    signers: &[Box<dyn Signer>],
) -> Result<Prepared> {
    if let Some((there, released)) =
        history.and_then(|history| history.release(&release.name, release.version))
    {
        if (there.dataset(), there.manifest()) == (release.dataset, release.manifest) {
            return Ok(Prepared::There(released.index));
        }
        let why = if there.dataset() == release.dataset {
            ", of the same dataset hash but another manifest".into()
        } else {
            format!(" with dataset hash b3:{}, this build has b3:{}", there.dataset(), release.dataset)
        };
        return Err(Error::Exists { what: format!("release {}@{}", release.name, release.version), why });
    }
    let mut statements = Vec::new();
    let is_owned = history.is_some_and(|history| history.dataset(&release.name).is_some());
    if !is_owned {
        let keys: Vec<PublicKey> = signers.iter().map(|signer| *signer.public_key()).collect();
        let owner = Owner::new(release.name.clone(), None, 1, keys, Vec::new());
        statements.push(sign_with(&Statement::Owner(owner), signers)?);
    }
    let signed = sign_with(&Statement::Release(release.clone()), signers)?;
    let missing = match history {
        Some(history) if is_owned => missing(history, &signed)?,
        _ => 0,
    };
    statements.push(signed);
    Ok(Prepared::New { statements, missing })
}

/// The log of a registry as it stands, remembering nothing; `None` where it is still empty.
fn log_before(store: &dyn Store, log: &LogKey) -> Result<Option<History>> {
    let registry = store.registry()?;
    let policy = WitnessPolicy::default();
    let view = crate::transport::runtime()?.block_on(registry.sync_log(log, None, &policy))?;
    Ok(view.map(|view| view.replica.history().clone()))
}

/// Reads a build output and checks every object in it against its hash.
pub(super) fn read_build(build: &Path, progress: &dyn Progress) -> Result<BuildOutput> {
    let manifest_path = build.join(MANIFEST_JSON);
    let Some(bytes) = files::read_capped_if_there(&manifest_path, manifest::MAX_LEN)? else {
        return Err(Error::invalid(
            build.display(),
            format!("is not a build output: it has no {MANIFEST_JSON}"),
        ));
    };
    let manifest_ref = ObjectRef::of(&bytes);
    let store = Registry::over(build.display().to_string(), Box::new(Folder::new(build)));
    let runtime = crate::transport::runtime()?;
    let snapshot = runtime.block_on(store.describe(manifest_ref, Vec::new()))?;
    let packs = files::read_capped(&build.join(layout::packs(&manifest_ref.blake3)), u64::MAX)?;
    let mut packs: Vec<Digest> = String::from_utf8_lossy(&packs)
        .lines()
        .map(|line| line.parse().map_err(|e| Error::invalid(build.display(), e)))
        .collect::<Result<_>>()?;
    packs.sort();
    packs.dedup();

    let objects = objects_of(&store, &snapshot, Some(&packs))?.into_iter().map(|(kind, object)| {
        let file = build.join(object_path(kind, &object));
        StoredObject { kind, object, file }
    });
    let parsed = runtime.block_on(store.packs(&snapshot))?;
    let packs = packs.into_iter().zip(parsed.into_packs()).collect();
    let output = BuildOutput {
        build: build.to_path_buf(),
        manifest: snapshot.head.manifest.clone(),
        manifest_ref,
        packs,
        objects: objects.collect(),
        rebuild_only: false,
        scratch: None,
    };
    progress.begin("check", Unit::Bytes, output.bytes());
    for stored in &output.objects {
        check_file(&stored.file, &stored.object)?;
        progress.advance(stored.object.length);
    }
    progress.end();
    gates::check(build, &runtime, &store, &snapshot, progress)?;
    Ok(output)
}

/// Where an object is below a registry and a build.
pub(super) fn object_path(kind: ObjectKind, object: &ObjectRef) -> String {
    layout::object(kind, &object.blake3)
}

/// Every object of a version: what describes it, and the packs with their shards, which must have all its images; `None`
/// of a version that is published without. Each object is there once, in however many packs a shard is.
pub(super) fn objects_of(
    store: &Registry,
    snapshot: &Snapshot,
    packs: Option<&[Digest]>,
) -> Result<Vec<(ObjectKind, ObjectRef)>> {
    let mut objects = vec![(ObjectKind::Manifest, snapshot.head.manifest_ref)];
    objects.extend(snapshot.head.manifest.objects.all());
    let Some(packs) = packs else { return Ok(objects) };
    let mut shards = HashSet::new();
    for (object, pack) in packs_of(store, snapshot, packs)? {
        let new = pack.shards.iter().filter(|shard| shards.insert(**shard));
        objects.extend(new.map(|shard| (ObjectKind::Shard, *shard)));
        objects.push((ObjectKind::Pack, object));
    }
    Ok(objects)
}

/// The packs of a version by their hashes: together they must have its images, all of them and no others, each in a frame
/// that is no longer than its image may need.
pub(super) fn packs_of(
    store: &Registry,
    snapshot: &Snapshot,
    packs: &[Digest],
) -> Result<Vec<(ObjectRef, Pack)>> {
    let images = snapshot.head.manifest.images;
    let list = || format!("{}/{}", store.name(), layout::packs(&snapshot.head.manifest_ref.blake3));
    let rows = snapshot.index().rows();
    let mut lacking: HashMap<Digest, (u64, bool)> =
        rows.iter().map(|row| (row.blake3, (row.length, true))).collect();
    let mut found = Vec::new();
    let mut allowance = Allowance::of(images);
    let runtime = crate::transport::runtime()?;
    for digest in packs {
        let what = store.locate(ObjectKind::Pack, digest);
        let bytes = runtime.block_on(store.find_object(ObjectKind::Pack, digest, Pack::max_len(images)))?;
        let bytes = bytes.ok_or_else(|| Error::not_found(&what, store.name()))?;
        let pack = Pack::parse(&what, &bytes, images)?;
        allowance.take(&pack, list)?;
        for entry in &pack.entries {
            let refuse = |why| Err(Error::integrity(&what, format!("image {}: {why}", entry.blake3)));
            match lacking.get_mut(&entry.blake3) {
                None => return refuse("is none of the version's"),
                Some((length, _)) if entry.length > max_frame_len(*length) => {
                    return refuse("has a longer frame than it may need");
                }
                Some((_, is_lacking)) => *is_lacking = false,
            }
        }
        found.push((ObjectRef { blake3: *digest, length: bytes.len() as u64 }, pack));
    }
    // The list of packs has no hash of its own: what it leads to must be all the images.
    if let Some(row) = rows.iter().find(|row| lacking.get(&row.blake3).is_some_and(|(_, lacking)| *lacking)) {
        return Err(Error::integrity(list(), format!("leads to no pack that has {}", row.path)));
    }
    Ok(found)
}
