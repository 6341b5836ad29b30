//! Verifies what is stored: a registry folder, a build output, or one version in any registry.

use std::path::Path;

use rayon::prelude::*;
use tokio::runtime::Runtime;

use super::hints::Found;
use super::version::{Seen, check_version};
use super::{Assurance, Fault, FaultKind, Verified, VerifyReport, hints, log, recipes};
use crate::cache::MAX_METADATA;
use crate::client::{Belief, Client};
use crate::files::{self, Kind};
use crate::progress::{Progress, Unit};
use crate::registry::layout::MANIFEST_JSON;
use crate::registry::log::LogView;
use crate::registry::{Registry, Snapshot, build, folder_of, has_lost_about, layout, publish};
use isn_format::dataset_ref::VersionId;
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result};
use isn_format::log::leaf_hash;
use isn_format::object::ObjectRef;

/// A kind of folder with objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// A registry, with releases.
    Registry,
    /// A build output, with one version that is not released.
    Build,
}

impl StoreKind {
    /// Returns what `path` is.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        if !files::is_absent(&path.join(layout::REGISTRY_JSON)) {
            Some(StoreKind::Registry)
        } else if !files::is_absent(&path.join(MANIFEST_JSON)) {
            Some(StoreKind::Build)
        } else {
            has_lost_about(path).then_some(StoreKind::Registry)
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
            let registry = Registry::of_folder(root, &client.access)?;
            let found = known_paths(root, &mut faults)?;
            let seen;
            (assurance, seen) =
                check_registry(&runtime, client, &registry, Some(root), found, progress, &mut faults)?;
            (rebuild_only, warnings) = (seen.rebuild_only, seen.warnings);
            faults.extend(runtime.block_on(recipes::check(&registry, root))?);
        }
        StoreKind::Build => match describe_build(root, &runtime)? {
            Ok((registry, snapshot)) => {
                dataset = Some(snapshot.head.manifest.dataset);
                if snapshot.head.manifest.is_part {
                    warnings.push("it was built from a part of its source, so that it is no version".into());
                }
                let version = check_version(&runtime, &registry, &snapshot, &mut Seen::default(), progress)?;
                faults.extend(version.faults);
                if !version.rebuild_only.is_empty() {
                    let path = layout::packs(&snapshot.head.manifest_ref.blake3);
                    let why = "is empty, and a build has its images, even if they are not published".into();
                    faults.push(Fault { path, kind: FaultKind::Changed, why });
                }
            }
            Err(fault) => faults.push(fault),
        },
    }
    faults.sort();
    // A file was read by its name, and again as what a version needs.
    faults.dedup_by(|later, earlier| {
        let is_told = earlier.kind == FaultKind::Changed
            || (earlier.kind == FaultKind::Unreadable && later.kind == FaultKind::Unreadable);
        later == earlier || (later.path == earlier.path && is_told)
    });
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

/// Reads everything that describes the version of a build. The inner result is the fault, if it cannot be
/// read.
///
/// # Errors
/// [`Error::Invalid`] if the build is of another format: a newer isn can tell whether it is damaged.
fn describe_build(root: &Path, runtime: &Runtime) -> Result<Result<(Registry, Snapshot), Fault>> {
    let read = match build::open(root) {
        Ok((registry, manifest)) => runtime
            .block_on(async { registry.complete(registry.head_of_build(manifest, Vec::new()).await?).await })
            .map(|snapshot| (registry, snapshot))
            .map_err(|e| (Fault::of(MANIFEST_JSON, &e), e)),
        Err(e) => Err((Fault::of_bytes(MANIFEST_JSON, &e), e)),
    };
    match read {
        Err((_, e @ Error::Invalid { .. })) if root.join(MANIFEST_JSON).is_file() => Err(e),
        read => Ok(read.map_err(|(fault, _)| fault)),
    }
}

/// Verifies a whole registry anywhere: its log, every release, and every frame of every shard. For a folder,
/// verifies every file too.
///
/// # Errors
/// [`Error::NotFound`] if there is no registry; [`Error::Network`] if it does not answer; [`Error::Trust`] if
/// it is not the registry that is trusted; [`Error::Io`] if a folder cannot be read. Faults are in the
/// report.
pub fn check(client: &Client, location: &str, jobs: usize, progress: &dyn Progress) -> Result<VerifyReport> {
    if let Some(root) = folder_of(location)
        && StoreKind::of(root) == Some(StoreKind::Registry)
    {
        return verify(root, StoreKind::Registry, client, jobs, progress);
    }
    // Only this location is read, not a cache or a mirror.
    let registry = Registry::open(location, &client.access)?;
    let (runtime, mut faults) = (crate::transport::runtime()?, Vec::new());
    let (assurance, seen) =
        check_registry(&runtime, client, &registry, None, Found::default(), progress, &mut faults)?;
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

/// Checks the log, the releases in `found` and those that the log or the lists name, and the lists. For a
/// folder, also checks the files in `root` that readers do not request.
fn check_registry(
    runtime: &Runtime,
    client: &Client,
    registry: &Registry,
    root: Option<&Path>,
    mut found: Found,
    progress: &dyn Progress,
    faults: &mut Vec<Fault>,
) -> Result<(Assurance, Seen)> {
    if let Err(e) = runtime.block_on(registry.about()) {
        // Another address may be meant. A folder was found to be a registry, and its other files are checked.
        if root.is_none() {
            return Err(e);
        }
        let fault = Fault::of(layout::REGISTRY_JSON, &e);
        // Of a file that is missing there is no more to say.
        let why = if fault.kind == FaultKind::Missing { String::new() } else { fault.why };
        faults.push(Fault { why, ..fault });
    }
    let belief = match runtime.block_on(client.belief(registry)) {
        Err(Error::Network { .. }) if root.is_some() => {
            return Ok((Assurance::SelfConsistent, Seen::default()));
        }
        belief => belief?,
    };
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
    if let Some(log) = &checked {
        let (shown, built) = (log.shown(), &found.built);
        let attested = log::check_attestations(registry, client, root, shown, built, &mut seen.warnings);
        faults.extend(runtime.block_on(attested));
    }
    // What was seen of the log elsewhere promises nothing of this place.
    let size = checked.as_ref().map_or(0, |log| log.shown().replica.size());
    let view = checked.map(|log| log.view);
    seen.warnings.extend(view.iter().filter_map(|view| view.behind.clone()));
    for (name, dataset) in view.iter().flat_map(|view| view.replica.history().datasets()) {
        let shown = dataset.releases.iter().filter(|(_, released)| released.index < size);
        let standing = shown.filter(|(_, released)| released.withdrawn.is_none());
        let ids = standing.map(|(version, _)| VersionId { name: name.clone(), version: *version });
        found.releases.extend(ids.map(|id| layout::release(&id)));
    }
    let names = std::mem::take(&mut found.names);
    found.releases.extend(runtime.block_on(hints::listed(registry, view.as_ref(), names, faults)));
    let releases = std::mem::take(&mut found.releases);
    let mut check = ReleaseCheck { runtime, registry, belief, view, progress, seen, found, faults };
    releases.iter().try_for_each(|path| check.release(path))?;
    if let Some(root) = root {
        let rest = hints::check_rest(registry, root, check.view.as_ref(), &releases, &check.found);
        check.faults.extend(runtime.block_on(rest));
    }
    Ok((if is_believed { Assurance::Signed } else { Assurance::SelfConsistent }, check.seen))
}

/// Checks that every file under `objects/` has the BLAKE3 hash that is its name.
fn check_objects(root: &Path, jobs: usize, progress: &dyn Progress, faults: &mut Vec<Fault>) -> Result<u64> {
    let objects = root.join("objects");
    let found = walk(&objects, "objects", faults)?;
    progress.begin("verify objects", Unit::Files, found.len() as u64);
    let check = |(name, kind): &(String, Kind)| -> Option<Fault> {
        let path = format!("objects/{name}");
        let file = name.rsplit('/').next().unwrap_or(name);
        let digest = file.split_once('.').and_then(|(hex, _)| hex.parse::<Digest>().ok());
        let fault = match (digest, kind) {
            (Some(_), Kind::File(length)) if *length > MAX_METADATA => {
                let why = format!("has {length} bytes, and no object has more than {MAX_METADATA}");
                Some(Fault { path, kind: FaultKind::Changed, why })
            }
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

/// Lists the files below a folder that may be absent. A folder that cannot be listed is a fault.
fn walk(folder: &Path, name: &str, faults: &mut Vec<Fault>) -> Result<Vec<(String, Kind)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let listing = files::walk_past(folder, |below, e| {
        let path = format!("{name}/{below}");
        // What readers never see may be closed to them.
        if !layout::is_hidden(&path) {
            faults.push(Fault::of(path.trim_end_matches('/'), &e));
        }
        Ok(())
    })?;
    Ok(listing.files)
}

/// Looks at the names of all files in the folders of a registry but `objects`: those that no registry has are
/// faults.
fn known_paths(root: &Path, faults: &mut Vec<Fault>) -> Result<Found> {
    let mut found = Found::default();
    for folder in layout::FOLDERS {
        for (name, kind) in walk(&root.join(folder), folder, faults)? {
            let path = format!("{folder}/{name}");
            // Such as a temporary file that a killed writer left, which the next one removes.
            if layout::is_hidden(&path) {
                continue;
            }
            // A folder that is elsewhere, by a symlink, is not looked into.
            let is_file = matches!(kind, Kind::File(_)) || !root.join(&path).is_dir();
            if !found.take(&path) && is_file {
                let why = "is not a file of a registry".into();
                faults.push(Fault { path, kind: FaultKind::Extra, why });
            }
        }
    }
    Ok(found)
}

fn index_of(view: &LogView, id: &VersionId) -> Option<u64> {
    view.replica.history().release(id).map(|(_, released)| released.index)
}

/// The context for checking every release of a registry.
struct ReleaseCheck<'a> {
    runtime: &'a Runtime,
    registry: &'a Registry,
    belief: Belief,
    view: Option<LogView>,
    progress: &'a dyn Progress,
    seen: Seen,
    /// The hints that were not checked with a release.
    found: Found,
    faults: &'a mut Vec<Fault>,
}

impl ReleaseCheck<'_> {
    fn release(&mut self, path: &str) -> Result<()> {
        let mut parts = path.split('/').skip(1);
        let named =
            parts.next().and_then(|name| name.parse().ok()).zip(parts.next().and_then(|v| v.parse().ok()));
        let Some(id) = named.map(|(name, version)| VersionId { name, version }) else {
            let why = "is not a release".into();
            self.faults.push(Fault { path: path.into(), kind: FaultKind::Extra, why });
            return Ok(());
        };
        self.registry.ask_again();
        match self.runtime.block_on(self.describe(path, &id)) {
            Ok(Some(snapshot)) => {
                let checked =
                    check_version(self.runtime, self.registry, &snapshot, &mut self.seen, self.progress)?;
                self.faults.extend(checked.faults);
                self.found.packs.remove(&snapshot.head.manifest_ref.blake3);
                if let Some(view) = &self.view {
                    let dataset = snapshot.head.manifest.dataset;
                    self.found.pins.remove(&dataset);
                    let hints = hints::check_hints(self.registry, view, &id, dataset);
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
    async fn describe(&self, path: &str, id: &VersionId) -> Result<Option<Snapshot>> {
        let (registry, belief) = (self.registry, &self.belief);
        let signed = registry.signed_release(id).await?;
        let signed = signed.ok_or_else(|| {
            let index = self.view.as_ref().and_then(|view| index_of(view, id));
            let who = match index {
                Some(index) => format!("entry {index} of the log is this release"),
                None => format!("{} lists it", layout::versions(&id.name)),
            };
            Error::not_found(Missing::Object, path, format!("its place, and {who}"))
        })?;
        if let Some(view) = &self.view {
            let history = view.replica.history();
            let (release, released) = history
                .release(id)
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
        registry.describe_release(&release.expect(id)?).await.map(Some)
    }
}

/// Returns a warning that a version has no images here, either because its publisher wanted it so or because
/// somebody who can write to the location removed them.
pub fn unsigned_lack(version: &str) -> String {
    format!(
        "{version} has no images here, and only an empty list of packs, which no signature covers, says \
        that this is intended"
    )
}
