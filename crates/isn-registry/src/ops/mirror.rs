//! `isn mirror`: copies a registry, or some of its datasets, to a folder or bucket. The copy is the same
//! registry, with the same log, key and bytes. Objects are copied first and the checkpoint last, so a reader
//! never finds a version that is not whole. A run that was interrupted resumes.

mod images;
mod log;

use std::collections::HashSet;

use images::Accounts;

use crate::client::Client;
use crate::files;
use crate::progress::{Progress, Unit};
use crate::registry::append::place_of;
use crate::registry::log::LogView;
use crate::registry::names::Filing;
use crate::registry::publish::{RegistryWriter, check_free, read_about};
use crate::registry::store::Store;
use crate::registry::{About, Registry, Snapshot, folder_of, layout};
use crate::steps::objects::{StoredPack, packs_of};
use crate::transport::runtime;
use crate::trust::Known;
use isn_format::dataset_ref::{DatasetRef, Name, Version, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result};
use isn_format::log::{LogKey, Released, SignedCheckpoint, leaf_hash};
use isn_format::manifest::Previous;
use isn_format::object::{Extension, ObjectKind, ObjectRef};
use isn_format::split;
use isn_format::statement::ReleaseStatement;

/// What to copy.
pub struct MirrorOptions<'a> {
    /// The registry to copy from.
    pub source: &'a str,
    /// The datasets and versions to copy; empty for all.
    pub only: &'a [DatasetRef],
    /// Hash objects that the mirror has already, and copy the damaged ones again.
    pub verify: bool,
}

/// The outcome of a mirror run.
#[derive(Debug)]
pub struct MirrorReport {
    /// The log's key, which both registries have.
    pub log_key: LogKey,
    /// Whether that key is only what the registry claims, and not trusted.
    pub is_claimed: bool,
    /// The number of entries in the mirror's log.
    pub entries: u64,
    /// The number of entries that are new to it.
    pub new_entries: u64,
    /// The number of entries in its attestation log, or why that was not copied.
    pub attestations: Result<u64>,
    /// The number of versions that were compared.
    pub versions: usize,
    /// Withdrawn versions that lack objects, as `name@version`.
    pub gone: Vec<String>,
    /// Versions that are rebuild-only, or look so, as `name@version`.
    pub rebuild_only: Vec<String>,
    /// Versions that now look rebuild-only at the source, but whose images the mirror has and keeps.
    pub kept: Vec<String>,
    /// The number of objects that were copied.
    pub copied: usize,
    /// The sum of their lengths, in bytes.
    pub copied_bytes: u64,
    /// The number of objects that the mirror had already.
    pub there: usize,
    /// The number of objects that were damaged and were copied again.
    pub repaired: usize,
}

/// The objects of a version.
struct Contents {
    snapshot: Snapshot,
    /// The splits of the earlier version that it follows, without which it cannot be built again.
    earlier: Option<ObjectRef>,
    /// `None` if it is published without images.
    packs: Option<Vec<StoredPack>>,
}

impl Contents {
    /// Returns the objects that describe the version.
    fn described(&self) -> Vec<(ObjectKind, ObjectRef)> {
        let head = &self.snapshot.head;
        let manifest = (ObjectKind::Manifest, head.manifest_ref);
        let earlier = self.earlier.map(|splits| (ObjectKind::Splits, splits));
        std::iter::once(manifest).chain(head.manifest.objects.all()).chain(earlier).collect()
    }

    /// Returns the packs and shards. A shard that is in several packs is listed once.
    fn stored(&self) -> Vec<(ObjectKind, ObjectRef)> {
        let (mut shards, mut stored) = (HashSet::new(), Vec::new());
        for one in self.packs.iter().flatten() {
            stored.extend(one.objects());
            let new = one.pack.shards.iter().filter(|shard| shards.insert(**shard));
            stored.extend(new.map(|shard| (ObjectKind::Shard, *shard)));
        }
        stored
    }
}

struct Mirror<'a> {
    source: Registry,
    view: LogView,
    writer: RegistryWriter,
    verify: bool,
    progress: &'a dyn Progress,
    /// One object may be under two extensions.
    seen: HashSet<(Extension, Digest)>,
    accounts: Accounts,
    /// `registry.json`, as it was checked.
    about: Vec<u8>,
    /// The source's index of names, if it has one.
    names: Option<log::Names>,
    report: MirrorReport,
}

/// Copies from the registry at `options.source` to `store`, which is empty or an earlier state of the same
/// registry.
///
/// # Errors
/// [`Error::Overlap`] if one of the two folders is in the other;
/// [`Error::Trust`] if the source's log is not as trusted or remembered, or `store` has another one;
/// [`Error::Invalid`] or [`Error::NotFound`] if a dataset of `options.only` cannot be copied;
/// [`Error::Unfinished`] with the reason if copying was interrupted.
pub fn mirror(
    client: &Client,
    options: &MirrorOptions<'_>,
    store: Box<dyn Store>,
    progress: &dyn Progress,
) -> Result<MirrorReport> {
    if let (Some(from), Some(to)) = (folder_of(options.source), folder_of(store.name())) {
        files::check_apart(to, "the registry", from)?;
    }
    let source = client.open(options.source)?;
    let (log_key, view, is_claimed, about, names) = runtime()?.block_on(async {
        let belief = client.belief(&source).await?;
        let (anchor, view) = client.claimed_view(&source, &belief).await?;
        if let Some(behind) = &view.behind {
            return Err(Error::trust(format!("registry {}", source.name()), behind));
        }
        // Every tile is checked, so that what is copied has been checked.
        let mut filing = Filing::from_bundle(0);
        source.audit_log(&anchor, &signed(&view)?, |entry, _| filing.push(entry)).await?;
        let names = log::names_of(&source, &view, &filing).await?;
        let (about, bytes) = source.about_file().await?;
        if !is_of(&about, &view) {
            let why = format!("does not say that its log is {anchor}, which it shows");
            return Err(Error::trust(source.place(layout::REGISTRY_JSON), why));
        }
        Ok((anchor, view, belief.log.is_none(), bytes, names))
    })?;
    let versions = chosen(&view, options.only)?;
    let marker = format!("{log_key}\n");
    check_is_known_by(store.as_ref(), client.known(), &log_key)?;
    let before = check_destination(store.as_ref(), &view, &marker)?;
    let writer = RegistryWriter::open(store)?;
    let destination = writer.store().name().to_string();
    let is_new = writer.store().create_new(layout::MIRRORING, marker.as_bytes())?;
    if !is_new && writer.store().read(layout::MIRRORING)?.as_deref() != Some(marker.as_bytes()) {
        return Err(other_mirror(writer.store()));
    }
    let report = MirrorReport {
        log_key,
        is_claimed,
        entries: view.replica.size(),
        new_entries: view.replica.size() - before,
        attestations: Ok(0),
        versions: versions.len(),
        gone: Vec::new(),
        rebuild_only: Vec::new(),
        kept: Vec::new(),
        copied: 0,
        copied_bytes: 0,
        there: 0,
        repaired: 0,
    };
    let verify = options.verify;
    let (seen, accounts) = (HashSet::new(), Accounts::default());
    let mut mirror = Mirror { source, view, writer, verify, progress, seen, accounts, about, names, report };
    let recipes = options.only.is_empty().then_some(client);
    match mirror.copy(&versions, recipes, if verify { 0 } else { before }) {
        // The mirror is whole without the attestation log.
        Ok(()) => Ok(MirrorReport { attestations: mirror.copy_attestations(client), ..mirror.report }),
        Err(e) => Err(Error::Unfinished { destination, source: Box::new(e) }),
    }
}

/// Whether what a registry says of itself names the log of `view`.
fn is_of(about: &About, view: &LogView) -> bool {
    about.log_key.as_ref().is_some_and(|key| view.replica.history().has_key(key))
}

fn signed(view: &LogView) -> Result<SignedCheckpoint> {
    SignedCheckpoint::parse("the checkpoint", view.note.clone())
}

/// A released version.
struct Chosen {
    statement: ReleaseStatement,
    index: u64,
    is_withdrawn: bool,
}

/// Returns the versions to copy, in the order of their entries, so that the first version with a dataset hash
/// keeps its pin.
fn chosen(view: &LogView, only: &[DatasetRef]) -> Result<Vec<Chosen>> {
    let history = view.replica.history();
    let mut wanted: Vec<(&Name, Option<Version>)> = Vec::new();
    for reference in only {
        let (name, version) = match reference {
            DatasetRef::Newest(name) => (name, None),
            DatasetRef::Version(id, None) => (&id.name, Some(id.version)),
            other => {
                return Err(Error::invalid(
                    format!("'{other}'"),
                    "expected NAME or NAME@VERSION, without a hash",
                ));
            }
        };
        let there = history.dataset(name).is_some_and(|dataset| match version {
            Some(version) => dataset.releases.contains_key(&version),
            None => !dataset.releases.is_empty(),
        });
        if !there {
            return Err(Error::not_found(
                Missing::Version,
                reference,
                format!("the log {}", history.anchor().origin()),
            ));
        }
        wanted.push((name, version));
    }
    let is_wanted = |name: &Name, version: Version| {
        wanted.is_empty() || wanted.iter().any(|(n, v)| *n == name && v.is_none_or(|v| v == version))
    };
    let statement = |name: &Name, version: Version, released: &Released| ReleaseStatement {
        id: VersionId { name: name.clone(), version },
        dataset: released.dataset,
        manifest: released.manifest,
        manifest_len: released.manifest_len,
    };
    let mut found = Vec::new();
    for (name, dataset) in history.datasets() {
        for (version, released) in dataset.releases.iter().filter(|(version, _)| is_wanted(name, **version)) {
            found.push(Chosen {
                statement: statement(name, *version, released),
                index: released.index,
                is_withdrawn: released.withdrawn.is_some(),
            });
        }
    }
    found.sort_by_key(|version| version.index);
    Ok(found)
}

fn manifest_of(statement: &ReleaseStatement) -> ObjectRef {
    ObjectRef { blake3: statement.manifest, length: statement.manifest_len }
}

fn other_mirror(store: &dyn Store) -> Error {
    let why = "is the unfinished mirror of another registry: choose another place, or empty it";
    Error::invalid(format!("registry {}", store.name()), why)
}

/// Refuses a destination that is known by another log than `log`. [`check_destination`] compares the log that
/// it shows now, which may be empty.
fn check_is_known_by(store: &dyn Store, known: Known<'_>, log: &LogKey) -> Result<()> {
    match place_of(store) {
        Some(place) => known.log_to_write(&place, Some(log)).map(drop),
        None => Ok(()),
    }
}

/// Returns the number of entries that the destination has of the same log. Fails if the destination is
/// something else, or is ahead.
fn check_destination(store: &dyn Store, view: &LogView, marker: &str) -> Result<u64> {
    let what = || format!("registry {}", store.name());
    let Some(about) = read_about(store)? else {
        match store.read(layout::MIRRORING)? {
            // An interrupted mirror run of the same registry.
            Some(there) if there == marker.as_bytes() => {}
            Some(_) => return Err(other_mirror(store)),
            None => check_free(store)?,
        }
        return Ok(0);
    };
    let size = match store.read(layout::CHECKPOINT)? {
        Some(bytes) => {
            let there = SignedCheckpoint::parse(&store.locate(layout::CHECKPOINT), bytes)?;
            check_older(store, view, &there)?;
            there.claimed_size()
        }
        None => 0,
    };
    // It may be from before the log got the key that it is known by here.
    let is_its = |key: &LogKey| view.replica.history().all_keys().any(|one| one == *key);
    if !about.log_key.as_ref().is_some_and(is_its) {
        return Err(Error::trust(what(), "is another registry: its log has another key"));
    }
    if store.length(&layout::LOG.claim(size))?.is_some() {
        let why = "has a log claim of its own: others are writing to it, so it cannot be a mirror";
        return Err(Error::Conflict { what: what(), why: why.into() });
    }
    Ok(size)
}

/// Checks that the log of `view` continues the one of the checkpoint `there`.
fn check_older(store: &dyn Store, view: &LogView, there: &SignedCheckpoint) -> Result<()> {
    let (replica, size) = (&view.replica, there.claimed_size());
    let refuse = |why: String| Err(Error::trust(format!("registry {}", store.name()), why));
    if size > replica.size() {
        return refuse(format!(
            "has {size} entries in its log, more than the {} that are to be mirrored: a newer log is not \
            replaced by an older one",
            replica.size()
        ));
    }
    // An attestation log is signed anew when the registry's key changes: its entries are what stays.
    let is_renewed = replica.history().anchor().attests_for().is_some();
    let is_signed = is_renewed || there.verify(&replica.history().signer_at(size)).is_ok();
    if !is_signed || replica.tree().root_at(size)? != there.claimed_root() {
        return refuse(format!("has other entries in its log of {size} than the log that is to be mirrored"));
    }
    Ok(())
}

impl Mirror<'_> {
    fn store(&self) -> &dyn Store {
        self.writer.store()
    }

    /// Copies everything: the versions, the recipes if a client is given, and the log from entry `from` on.
    fn copy(&mut self, versions: &[Chosen], recipes: Option<&Client>, from: u64) -> Result<()> {
        for version in versions {
            self.copy_version(version)?;
        }
        if let Some(client) = recipes {
            self.copy_recipes(client)?;
        }
        self.copy_log(from)?;
        self.store().remove(layout::MIRRORING)
    }

    /// Copies the objects of a version, then lists it.
    fn copy_version(&mut self, version: &Chosen) -> Result<()> {
        let statement = &version.statement;
        let title = statement.id.to_string();
        let contents = match self.contents(manifest_of(statement)) {
            Err(Error::Integrity { .. } | Error::NotFound { .. }) if version.is_withdrawn => {
                self.report.gone.push(title);
                return self.list(version);
            }
            described => described?,
        };
        self.check_lengths(version, &contents)?;
        let (described, stored) = (contents.described(), contents.stored());
        let objects = [described.clone(), stored].concat();
        let total = objects.iter().map(|(_, object)| object.length).sum();
        self.progress.begin(&format!("mirror {title}"), Unit::Bytes, total);
        for (kind, object) in &described {
            self.copy_object(*kind, object)?;
        }
        self.copy_images(&contents)?;
        self.writer.settle(&objects)?;
        self.progress.end();
        self.list_packs(statement, title, contents.packs.as_deref())?;
        self.list(version)
    }

    /// Writes where the images of a version are. The mirror keeps images that the source no longer has.
    fn list_packs(
        &mut self,
        statement: &ReleaseStatement,
        title: String,
        packs: Option<&[StoredPack]>,
    ) -> Result<()> {
        let path = layout::packs(&statement.manifest);
        if let Some(packs) = packs {
            // Replaces the list instead of adding to it, because nobody has checked the packs in the old one.
            let lines: String = packs.iter().map(|stored| format!("{}\n", stored.object.blake3)).collect();
            return self.put_file(&path, lines.as_bytes());
        }
        if self.store().length(&path)?.is_some_and(|length| length > 0) {
            self.report.kept.push(title);
            return Ok(());
        }
        self.report.rebuild_only.push(title);
        self.writer.mark_rebuild_only(&statement.manifest)
    }

    fn contents(&self, manifest: ObjectRef) -> Result<Contents> {
        let (snapshot, earlier, packs) = runtime()?.block_on(async {
            let snapshot = self.source.describe(manifest, Vec::new()).await?;
            self.source.check_blocks(&snapshot).await?;
            let earlier = match &snapshot.head.manifest.previous {
                Some(Previous { assignments, .. }) => {
                    self.source.find_object(ObjectKind::Splits, assignments, split::MAX_LEN).await?
                }
                None => None,
            };
            let packs = match self.source.is_rebuild_only(&manifest.blake3).await? {
                true => None,
                false => Some(self.source.pack_digests(&manifest.blake3).await?),
            };
            Ok::<_, Error>((snapshot, earlier.map(|bytes| ObjectRef::of(&bytes)), packs))
        })?;
        let packs = packs.map(|packs| packs_of(&self.source, &snapshot, &packs)).transpose()?;
        Ok(Contents { snapshot, earlier, packs })
    }

    fn copy_object(&mut self, kind: ObjectKind, object: &ObjectRef) -> Result<()> {
        self.progress.advance(object.length);
        if !self.seen.insert((kind.extension(), object.blake3)) {
            return Ok(());
        }
        let path = layout::object(kind, &object.blake3);
        let runtime = runtime()?;
        if let Some(length) = self.store().length(&path)? {
            let is_whole = length == object.length
                && (!self.verify || {
                    let there = self.store().registry()?;
                    match runtime.block_on(there.copy_object(kind, object, &mut std::io::sink())) {
                        Err(Error::Integrity { .. }) => false,
                        checked => checked.map(|()| true)?,
                    }
                });
            if is_whole {
                self.report.there += 1;
                return Ok(());
            }
            self.report.repaired += 1;
        }
        let mut temp = files::temp_file_in(&std::env::temp_dir())?;
        runtime.block_on(self.source.copy_object(kind, object, temp.as_file_mut()))?;
        self.store().put(&path, temp.path(), object)?;
        self.report.copied += 1;
        self.report.copied_bytes += object.length;
        Ok(())
    }

    /// Lists a version, with the same bytes as its entry in the log.
    fn list(&self, version: &Chosen) -> Result<()> {
        let (statement, tree) = (&version.statement, self.view.replica.tree());
        let bytes = runtime()?.block_on(async {
            let file = self.source.release_file(&statement.id).await?;
            match file.filter(|bytes| Some(leaf_hash(bytes)) == tree.leaf(version.index)) {
                Some(bytes) => Ok(bytes),
                None => self.source.log_entry(version.index, &self.view).await,
            }
        })?;
        self.writer.list_release(statement, &bytes)
    }

    /// Copies the recipes of versions that are not published yet, if the source can be listed.
    fn copy_recipes(&self, client: &Client) -> Result<()> {
        let Ok(source) = crate::registry::store::open(self.source.name(), &client.access) else {
            return Ok(());
        };
        for (path, _) in source.list(layout::RECIPES)? {
            if layout::public(&path).is_some()
                && let Some(bytes) = source.read(&path)?
                && self.store().read(&path)?.as_ref() != Some(&bytes)
            {
                self.store().replace(&path, &bytes)?;
            }
        }
        Ok(())
    }
}
