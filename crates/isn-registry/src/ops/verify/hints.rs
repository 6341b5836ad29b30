//! Verifies the hints of a registry: that they lead to every release, and to nothing that is absent.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::{Fault, FaultKind};
use crate::files;
use crate::registry::log::LogView;
use crate::registry::{Registry, layout};
use isn_format::dataset_ref::{DatasetRef, Name, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::object::ObjectKind;
use isn_format::statement::{SignedStatement, Statement};

/// The files in the folders of a registry beside its objects and its log, as their names tell.
#[derive(Default)]
pub(super) struct Found {
    /// The paths of releases.
    pub(super) releases: BTreeSet<String>,
    /// The names that have a list of versions.
    pub(super) names: BTreeSet<Name>,
    /// The manifests that have a list of packs.
    pub(super) packs: BTreeSet<Digest>,
    /// The dataset hashes that have a pin.
    pub(super) pins: BTreeSet<Digest>,
    /// The versions that keys state to have built.
    pub(super) built: BTreeSet<VersionId>,
}

impl Found {
    /// Takes the file at `path`, if a registry may have it.
    pub(super) fn take(&mut self, path: &str) -> bool {
        if layout::public(path).is_none() {
            return false;
        }
        match path.split('/').collect::<Vec<_>>()[..] {
            ["packs", manifest] => self.packs.extend(manifest.parse::<Digest>()),
            ["attestations", "versions", name, version] => {
                let (name, version) = (name.parse(), version.parse());
                self.built
                    .extend(name.ok().zip(version.ok()).map(|(name, version)| VersionId { name, version }));
            }
            ["pins", dataset] => self.pins.extend(dataset.parse::<Digest>()),
            ["releases", name, "versions"] => self.names.extend(name.parse::<Name>()),
            ["releases", _, _] => self.releases.extend([path.to_owned()]),
            _ => {}
        }
        true
    }
}

/// Returns the releases that the lists of names and versions name. Of the names in `found`, which have a list
/// of versions, those that the list of names lacks are looked at, too.
pub(super) async fn listed(
    registry: &Registry,
    view: Option<&LogView>,
    found: BTreeSet<Name>,
    faults: &mut Vec<Fault>,
) -> Vec<String> {
    // Of a release in the log that stands, `check_hints` says that the lists do not lead to it.
    let releases = |name: &Name| {
        let dataset = view.and_then(|view| view.replica.history().dataset(name));
        dataset.into_iter().flat_map(|dataset| dataset.releases.values())
    };
    let names: BTreeSet<Name> = match registry.names().await {
        Ok(names) => {
            let names = names.into_iter().collect();
            for name in found.difference(&names).filter(|name| releases(name).next().is_none()) {
                let why = format!("is of a name that {} does not list", layout::NAMES);
                faults.push(Fault { path: layout::versions(name), kind: FaultKind::Extra, why });
            }
            names
        }
        Err(e) => {
            faults.push(Fault::of(layout::NAMES, &e));
            BTreeSet::new()
        }
    };
    let mut paths = Vec::new();
    for name in names.union(&found) {
        match registry.versions(name).await {
            Ok(versions) => {
                if versions.is_empty()
                    && names.contains(name)
                    && !releases(name).any(|released| released.withdrawn.is_none())
                {
                    let why = format!("leads to no version, and {} lists the name", layout::NAMES);
                    faults.push(Fault { path: layout::versions(name), kind: FaultKind::Missing, why });
                }
                paths.extend(versions.into_iter().map(|version| {
                    let id = VersionId { name: name.clone(), version };
                    layout::release(&id)
                }));
            }
            Err(e) => faults.push(Fault::of(&layout::versions(name), &e)),
        }
    }
    paths
}

/// Checks that the lists of packs and the pins in a folder lead to what is there. `found` has those that were
/// not checked with a release, and `releases` all paths of releases. A publisher that was stopped leaves
/// packs of a manifest that no release names, and both are there.
pub(super) async fn check_rest(
    registry: &Registry,
    root: &Path,
    view: Option<&LogView>,
    releases: &BTreeSet<String>,
    found: &Found,
) -> Vec<Fault> {
    let (mut stated, mut manifests) = (HashSet::new(), HashSet::new());
    for (name, dataset) in view.iter().flat_map(|view| view.replica.history().datasets()) {
        for (version, released) in &dataset.releases {
            stated.insert((VersionId { name: name.clone(), version: *version }, released.dataset));
            manifests.insert(released.manifest);
        }
    }
    // As they are, signed or not: that they are releases is checked elsewhere.
    for path in releases {
        let Ok(Some(bytes)) = registry.file(path).await else { continue };
        if let Ok(signed) = SignedStatement::parse(path, bytes)
            && let Statement::Release(release) = signed.claimed()
        {
            stated.insert((release.id.clone(), release.dataset));
            manifests.insert(release.manifest);
        }
    }
    let mut faults = Vec::new();
    for pin in &found.pins {
        let path = layout::pin(pin);
        match registry.resolve(&DatasetRef::Pin(*pin)).await {
            Ok((id, _)) if stated.contains(&(id.clone(), *pin)) => {}
            Ok((id, _)) => {
                let why = format!("leads to {id}, and there is no such version with this dataset hash");
                faults.push(Fault { path, kind: FaultKind::Extra, why });
            }
            Err(e) => faults.push(Fault::of(&path, &e)),
        }
    }
    let is_absent = |kind, digest: &Digest| files::is_absent(&root.join(layout::object(kind, digest)));
    for manifest in &found.packs {
        let path = layout::packs(manifest);
        let packs = match registry.pack_digests(manifest).await {
            Ok(packs) => packs,
            Err(e) => {
                faults.push(Fault::of(&path, &e));
                continue;
            }
        };
        // The objects of a withdrawn version may be gone, and only the log says which are withdrawn.
        if manifests.contains(manifest) || view.is_none() {
            continue;
        }
        let why = match packs.iter().find(|pack| is_absent(ObjectKind::Pack, pack)) {
            _ if is_absent(ObjectKind::Manifest, manifest) => "is of a manifest that is not here".into(),
            Some(pack) => format!("leads to the pack {pack}, which is not here"),
            None => continue,
        };
        faults.push(Fault { path, kind: FaultKind::Extra, why });
    }
    faults
}

/// Checks that a released version can be found by its name, in the list of its versions, and by its hash.
pub(super) async fn check_hints(
    registry: &Registry,
    view: &LogView,
    id: &VersionId,
    dataset: Digest,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut lacks = |path: &str, is_there: Result<bool>| match is_there {
        Ok(true) => {}
        Ok(false) => {
            let why = format!("does not lead to {id}, which is released");
            faults.push(Fault { path: path.into(), kind: FaultKind::Missing, why });
        }
        Err(e) => faults.push(Fault::of(path, &e)),
    };
    lacks(layout::NAMES, registry.names().await.map(|names| names.contains(&id.name)));
    let versions = registry.versions(&id.name).await;
    lacks(&layout::versions(&id.name), versions.map(|versions| versions.contains(&id.version)));
    // A pin leads to the first version with the hash, which may be a different version.
    let found = match registry.resolve(&DatasetRef::Pin(dataset)).await {
        Err(Error::NotFound { .. }) => Ok(false),
        found => found.map(|(id, _)| {
            let released = view.replica.history().release(&id);
            released.is_some_and(|(_, released)| released.dataset == dataset)
        }),
    };
    lacks(&layout::pin(&dataset), found);
    faults
}
