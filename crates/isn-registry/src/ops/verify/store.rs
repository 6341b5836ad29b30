//! Verifies what is stored: a registry folder, a build output, or one version in any registry.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use tokio::runtime::Runtime;

use super::shard::ShardCheck;
use super::{Assurance, Fault, FaultKind, Verified, VerifyReport, log};
use crate::client::{Belief, Client};
use crate::files::{self, Kind};
use crate::progress::{Progress, Unit};
use crate::registry::layout::MANIFEST_JSON;
use crate::registry::log::LogView;
use crate::registry::{Registry, Snapshot, layout, no_registry, publish};
use crate::transport::folder::Folder;
use isn_format::dataset_ref::{Name, Version};
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result};
use isn_format::log::leaf_hash;
use isn_format::manifest;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Entry;
use isn_format::recipe::Recipe;

/// A kind of folder with objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A registry, with releases.
    Registry,
    /// A build output, with one version that is not released.
    Build,
}

impl StoreKind {
    /// Returns what `path` is.
    pub fn of(path: &Path) -> Option<Self> {
        if !files::is_absent(&path.join(layout::REGISTRY_JSON)) {
            Some(StoreKind::Registry)
        } else if !files::is_absent(&path.join(MANIFEST_JSON)) {
            Some(StoreKind::Build)
        } else {
            None
        }
    }
}

/// Verifies a registry folder or a build output: every object, and everything that a release or manifest
/// names.
pub(super) fn verify(
    root: &Path,
    kind: StoreKind,
    client: &Client,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<VerifyReport> {
    let runtime = crate::transport::runtime()?;
    let mut faults = Vec::new();
    let checked = check_objects(root, jobs, progress, &mut faults)?;
    let mut assurance = Assurance::SelfConsistent;
    let (mut dataset, mut rebuild_only, mut warnings) = (None, Vec::new(), Vec::new());
    match kind {
        StoreKind::Registry => {
            let registry = Registry::open(&root.to_string_lossy(), &client.access)?;
            let paths = release_paths(root)?;
            let seen;
            (assurance, seen) =
                check_registry(&runtime, client, &registry, Some(root), paths, progress, &mut faults)?;
            (rebuild_only, warnings) = (seen.rebuild_only, seen.warnings);
        }
        StoreKind::Build => {
            let registry = Registry::over(root.display().to_string(), Box::new(Folder::new(root)));
            let manifest = files::read_capped(&root.join(MANIFEST_JSON), manifest::MAX_LEN)?;
            match runtime.block_on(registry.describe(ObjectRef::of(&manifest), Vec::new())) {
                Ok(snapshot) => {
                    dataset = Some(snapshot.head.manifest.dataset);
                    let version =
                        check_version(&runtime, &registry, &snapshot, &mut Seen::default(), progress)?;
                    faults.extend(version.faults);
                }
                Err(e) => faults.push(Fault::of(MANIFEST_JSON, &e)),
            }
        }
    }
    faults.sort();
    faults.dedup();
    Ok(VerifyReport {
        kind: match kind {
            StoreKind::Registry => Verified::Registry,
            StoreKind::Build => Verified::Build,
        },
        what: root.display().to_string(),
        dataset,
        checked,
        partial: None,
        assurance,
        warnings,
        rebuild_only,
        expected: None,
        faults,
    })
}

/// What has been checked already, since versions share shards: images by shard and offset.
#[derive(Default)]
pub(super) struct Seen {
    frames: HashSet<(Digest, u64, Digest)>,
    shards: HashSet<Digest>,
    images: u64,
    /// Rebuild-only versions.
    rebuild_only: Vec<String>,
    /// Warnings for the user that are not faults of a release.
    warnings: Vec<String>,
}

/// Verifies a whole registry anywhere: its log, every release, and every frame of every shard. For a folder,
/// verifies every file too.
///
/// # Errors
/// [`Error::NotFound`] if there is no registry; [`Error::Network`] if it does not answer; [`Error::Trust`] if
/// it is not the registry that is trusted; [`Error::Io`] if a folder cannot be read. Faults are in the
/// report.
pub fn check(client: &Client, location: &str, jobs: usize, progress: &dyn Progress) -> Result<VerifyReport> {
    // Only this location is read, not a cache or a mirror.
    let registry = Registry::open(location, &client.access)?;
    if registry.id().is_some_and(|id| !id.is_remote()) {
        let root = Path::new(location);
        return match StoreKind::of(root) {
            Some(kind) => verify(root, kind, client, jobs, progress),
            None => Err(no_registry(root)),
        };
    }
    let (runtime, mut faults) = (crate::transport::runtime()?, Vec::new());
    let (assurance, seen) =
        check_registry(&runtime, client, &registry, None, BTreeSet::new(), progress, &mut faults)?;
    faults.sort();
    faults.dedup();
    Ok(VerifyReport {
        kind: Verified::Registry,
        what: registry.name().into(),
        dataset: None,
        checked: seen.images,
        partial: None,
        assurance,
        warnings: seen.warnings,
        rebuild_only: seen.rebuild_only,
        expected: None,
        faults,
    })
}

/// Checks the log, the releases at `paths` and those that the log or the lists name, and the lists. For a
/// folder, also checks the files in `root` that readers do not request.
fn check_registry(
    runtime: &Runtime,
    client: &Client,
    registry: &Registry,
    root: Option<&Path>,
    mut paths: BTreeSet<String>,
    progress: &dyn Progress,
    faults: &mut Vec<Fault>,
) -> Result<(Assurance, Seen)> {
    runtime.block_on(registry.about())?;
    let belief = runtime.block_on(client.belief(registry))?;
    let is_believed = belief.log.is_some() || !belief.keys.is_empty();
    let checked = match runtime.block_on(log::check_log(registry, client, &belief, faults)) {
        Ok(checked) => checked,
        Err(e) => {
            faults.push(Fault::of(layout::CHECKPOINT, &e));
            None
        }
    };
    let mut seen = Seen::default();
    if let (Some(root), Some(log)) = (root, &checked) {
        faults.extend(log::check_narrow(root, log.shown()));
        seen.warnings.extend(log::check_claim(root, log.shown()));
    }
    let view = checked.map(|log| log.view);
    seen.warnings.extend(view.iter().filter_map(|view| view.behind.clone()));
    for (name, dataset) in view.iter().flat_map(|view| view.replica.history().datasets()) {
        let standing = dataset.releases.iter().filter(|(_, released)| released.withdrawn.is_none());
        paths.extend(standing.map(|(version, _)| layout::release(name, *version)));
    }
    paths.extend(runtime.block_on(listed(registry, faults)));
    let mut check = ReleaseCheck { runtime, registry, belief, view, progress, seen, faults };
    paths.iter().try_for_each(|path| check.release(path))?;
    Ok((if is_believed { Assurance::Signed } else { Assurance::SelfConsistent }, check.seen))
}

/// Checks that every file under `objects/` has the BLAKE3 hash that is its name.
fn check_objects(root: &Path, jobs: usize, progress: &dyn Progress, faults: &mut Vec<Fault>) -> Result<u64> {
    let objects = root.join("objects");
    let found = if objects.is_dir() { files::walk(&objects)? } else { Vec::new() };
    progress.begin("verify objects", Unit::Files, found.len() as u64);
    let check = |(name, kind): &(String, Kind)| -> Option<Fault> {
        let path = format!("objects/{name}");
        let file = name.rsplit('/').next().unwrap_or(name);
        let digest = file.split_once('.').and_then(|(hex, _)| hex.parse::<Digest>().ok());
        let fault = match (digest, kind) {
            (Some(digest), Kind::File(length)) if *name == format!("{}/{file}", &file[..2]) => {
                publish::check_file(&root.join(&path), &ObjectRef { blake3: digest, length: *length })
                    .err()
                    .map(|e| Fault::of_bytes(&path, &e))
            }
            _ if file.starts_with(files::TEMP_PREFIX) => None,
            _ => Some(Fault { path, kind: FaultKind::Extra, why: "is not an object".into() }),
        };
        progress.advance(1);
        fault
    };
    let pool = crate::parallel::pool(jobs)?;
    faults.extend(pool.install(|| found.par_iter().filter_map(check).collect::<Vec<_>>()));
    progress.end();
    Ok(found.len() as u64)
}

/// Returns the paths of all releases in a registry folder, `releases/NAME/VERSION`.
fn release_paths(root: &Path) -> Result<BTreeSet<String>> {
    let releases = root.join("releases");
    let found = if releases.is_dir() { files::walk(&releases)? } else { Vec::new() };
    let paths = found.into_iter().map(|(name, _)| format!("releases/{name}"));
    let is_release = |path: &String| {
        // A temporary file that a killed publish left is not a release. The next publish removes it.
        let is_temporary = path.rsplit('/').next().is_some_and(|name| name.starts_with(files::TEMP_PREFIX));
        path.matches('/').count() == 2 && !path.ends_with("/versions") && !is_temporary
    };
    Ok(paths.filter(is_release).collect())
}

/// Returns the releases that the lists of names and versions name.
async fn listed(registry: &Registry, faults: &mut Vec<Fault>) -> Vec<String> {
    let mut paths = Vec::new();
    let names = registry.names().await.unwrap_or_else(|e| {
        faults.push(Fault::of(layout::NAMES, &e));
        Vec::new()
    });
    for name in names {
        match registry.versions(&name).await {
            Ok(versions) => paths.extend(versions.iter().map(|version| layout::release(&name, *version))),
            Err(e) => faults.push(Fault::of(&layout::versions(&name), &e)),
        }
    }
    paths
}

fn index_of(view: &LogView, name: &Name, version: Version) -> Option<u64> {
    view.replica.history().release(name, version).map(|(_, released)| released.index)
}

/// The context for checking every release of a registry.
struct ReleaseCheck<'a> {
    runtime: &'a Runtime,
    registry: &'a Registry,
    belief: Belief,
    view: Option<LogView>,
    progress: &'a dyn Progress,
    seen: Seen,
    faults: &'a mut Vec<Fault>,
}

impl ReleaseCheck<'_> {
    fn release(&mut self, path: &str) -> Result<()> {
        let mut parts = path.split('/').skip(1);
        let named =
            parts.next().and_then(|name| name.parse().ok()).zip(parts.next().and_then(|v| v.parse().ok()));
        let Some((name, version)) = named else {
            let why = "is not a release".into();
            self.faults.push(Fault { path: path.into(), kind: FaultKind::Extra, why });
            return Ok(());
        };
        match self.runtime.block_on(self.describe(path, &name, version)) {
            Ok(Some(snapshot)) => {
                let checked =
                    check_version(self.runtime, self.registry, &snapshot, &mut self.seen, self.progress)?;
                self.faults.extend(checked.faults);
                if let Some(view) = &self.view {
                    let dataset = snapshot.head.manifest.dataset;
                    let hints = log::check_hints(self.registry, view, &name, version, dataset);
                    self.faults.extend(self.runtime.block_on(hints));
                }
            }
            Ok(None) => {}
            Err(e) => self.faults.push(Fault::of(path, &e)),
        }
        Ok(())
    }

    /// Reads everything that describes a release. Returns `None` for a withdrawn one, whose objects may be
    /// gone.
    async fn describe(&self, path: &str, name: &Name, version: Version) -> Result<Option<Snapshot>> {
        let (registry, belief) = (self.registry, &self.belief);
        let signed = registry.signed_release(name, version).await?;
        let signed = signed.ok_or_else(|| {
            let index = self.view.as_ref().and_then(|view| index_of(view, name, version));
            let who = match index {
                Some(index) => format!("entry {index} of the log is this release"),
                None => format!("{} lists it", layout::versions(name)),
            };
            Error::not_found(Missing::Object, path, format!("its place, and {who}"))
        })?;
        if let Some(view) = &self.view {
            let history = view.replica.history();
            let (release, released) = history
                .release(name, version)
                .ok_or_else(|| Error::trust(path, "is a release that the log does not have"))?;
            if view.replica.tree().leaf(released.index) != Some(leaf_hash(signed.bytes())) {
                let why = format!("was replaced: it is not entry {} of the log", released.index);
                return Err(Error::trust(path, why));
            }
            if released.withdrawn.is_some() {
                return Ok(None);
            }
            return registry.describe_release(&release).await.map(Some);
        }
        // Without a trusted key, the signatures must at least be valid.
        let release = if belief.keys.is_empty() {
            signed.verify_self_signed()?
        } else {
            signed.verify(registry.name(), &belief.keys)?
        };
        registry.describe_release(&release.expect(name, version)?).await.map(Some)
    }
}

/// Verifies one version completely: every object that it names, and every shard as a whole and frame by
/// frame.
pub(super) fn check_version(
    runtime: &Runtime,
    registry: &Registry,
    snapshot: &Snapshot,
    seen: &mut Seen,
    progress: &dyn Progress,
) -> Result<VerifyReport> {
    let manifest = &snapshot.head.manifest;
    let what = format!("{}@{}", manifest.name, manifest.version);
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    // The index and `classes.csv` were read with the manifest.
    let read = [ObjectKind::Index, ObjectKind::Classes];
    for (kind, reference) in manifest.objects.all().into_iter().filter(|(kind, _)| !read.contains(kind)) {
        let path = layout::object(kind, &reference.blake3);
        match runtime.block_on(registry.object(kind, &reference)) {
            Ok(bytes) if kind == ObjectKind::Recipe => {
                let parsed = String::from_utf8(bytes).map_err(|e| Error::invalid(&path, e));
                faults.extend(
                    parsed.and_then(|text| Recipe::parse(&path, &text)).err().map(|e| Fault::of(&path, &e)),
                );
            }
            Ok(_) => {}
            Err(e) => faults.push(Fault::of(&path, &e)),
        }
    }

    let mut missing: HashMap<Digest, u64> =
        snapshot.index().rows().iter().map(|row| (row.blake3, row.length)).collect();
    let lengths = missing.clone();
    let packs = match runtime.block_on(registry.packs(snapshot)) {
        Ok(packs) => packs.into_packs(),
        Err(e) => {
            faults.push(Fault::of(&layout::packs(&snapshot.head.manifest_ref.blake3), &e));
            Vec::new()
        }
    };
    let manifest_hash = &snapshot.head.manifest_ref.blake3;
    let rebuild_only = packs.is_empty() && runtime.block_on(registry.is_rebuild_only(manifest_hash))?;
    if rebuild_only {
        missing.clear();
        seen.rebuild_only.push(what.clone());
        warnings.push(unsigned_lack(&what));
        seen.warnings.push(unsigned_lack(&what));
    }
    progress.begin(&format!("verify {what}"), Unit::Images, missing.len() as u64);
    for pack in &packs {
        let used: BTreeSet<usize> = pack.entries.iter().map(|entry| entry.shard).collect();
        for at in used {
            let shard = &pack.shards[at];
            let path = layout::object(ObjectKind::Shard, &shard.blake3);
            let key = |entry: &Entry| (shard.blake3, entry.offset, entry.blake3);
            let here: Vec<&Entry> = pack.entries.iter().filter(|entry| entry.shard == at).collect();
            if seen.shards.contains(&shard.blake3)
                && here.iter().all(|entry| seen.frames.contains(&key(entry)))
            {
                for entry in &here {
                    missing.remove(&entry.blake3);
                }
                continue;
            }
            let begin = || ShardCheck::new(&path, &here, &lengths);
            let (whole, images) = match runtime.block_on(registry.stream_shard(shard, begin)) {
                Ok(check) => check.end(),
                Err(e) => {
                    // Report one fault for the shard, instead of another for each image in it.
                    for entry in &here {
                        missing.remove(&entry.blake3);
                    }
                    faults.push(Fault::of(&path, &e));
                    continue;
                }
            };
            match whole {
                Ok(()) => drop(seen.shards.insert(shard.blake3)),
                Err(e) => faults.push(Fault::of(&path, &e)),
            }
            for (entry, checked) in images {
                match checked {
                    Ok(()) => {
                        missing.remove(&entry.blake3);
                        seen.frames.insert(key(entry));
                        seen.images += 1;
                    }
                    Err(e) => faults.push(Fault::of(&path, &e)),
                }
                progress.advance(1);
            }
        }
    }
    progress.end();
    // If no pack is known at all, the list of packs is what is lost.
    if packs.is_empty() && !missing.is_empty() && faults.is_empty() {
        let why = "leads to no images; for a rebuild-only version it would be there and empty".into();
        faults.push(Fault { path: layout::packs(manifest_hash), kind: FaultKind::Missing, why });
    } else if !packs.is_empty() {
        for row in snapshot.index().rows().iter().filter(|row| missing.contains_key(&row.blake3)) {
            let why = format!("image {} is in no readable shard", row.blake3);
            faults.push(Fault { path: format!("{what}/{}", row.path), kind: FaultKind::Missing, why });
        }
    }
    faults.sort();
    Ok(VerifyReport {
        kind: Verified::Version,
        what: manifest.pin(),
        dataset: Some(manifest.dataset),
        checked: if rebuild_only { 0 } else { manifest.images },
        partial: None,
        assurance: if snapshot.head.signed_by.is_empty() { Assurance::Hash } else { Assurance::Signed },
        warnings,
        rebuild_only: if rebuild_only { vec![what] } else { Vec::new() },
        expected: None,
        faults,
    })
}

/// Returns a warning that a version has no images here, either because its publisher wanted it so or because
/// somebody who can write to the location removed them.
pub fn unsigned_lack(version: &str) -> String {
    format!(
        "{version} has no images here, and only an empty list of packs, which no signature covers, says \
        that this is intended"
    )
}
