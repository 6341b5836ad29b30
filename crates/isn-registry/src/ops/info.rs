//! `isn info`: describes a version, a build or a tree without its images.

use std::path::Path;

use crate::client::version_at::{Local, VersionAt, describe_build};
use crate::client::{Client, complete, stated_in, withdrawn};
use crate::identity::Identity;
use crate::registry::{Head, Outcome, Registry};
use crate::transport;
use crate::tree_file::read_lists;
use isn_format::class::{Class, ClassId, parse_classes};
use isn_format::dataset_ref::VersionId;
use isn_format::description::{Counts, has_class};
use isn_format::error::{At, Error, Result};
use isn_format::object::ObjectKind;
use isn_format::tree::{CLASSES, Origin};

/// A version and where it was found. Its rows were not read if somebody signed a manifest, or a directory of
/// blocks, that counts the images of each class.
pub struct InfoReport {
    /// The manifest, and who vouches for it.
    pub head: Head,
    /// The classes, sorted by id.
    pub classes: Vec<Class>,
    /// The number of images of each class in each split.
    pub counts: Counts,
    /// The identity of the registry, or the folder of the build.
    pub registry: String,
    /// Whether it was published without images.
    pub rebuild_only: bool,
    /// What keys state to have built of it.
    pub outcomes: Vec<Outcome>,
}

/// What there is to say.
pub enum Report {
    /// Of a version or a build.
    Version(Box<InfoReport>),
    /// Of a tree.
    Tree(Box<TreeReport>),
}

/// A tree, by its own files. Its images were not read.
pub struct TreeReport {
    /// What it is.
    pub identity: Identity,
    /// Its `ISN.json`.
    pub origin: Origin,
    /// Its classes, sorted by id.
    pub classes: Vec<Class>,
    /// The number of images of each class in each split, of those that the tree has.
    pub splits: Counts,
}

/// Describes a version, a build or a tree.
///
/// # Errors
/// `Error::NotFound` if no registry has the version, or there is no such folder; `Error::Network`,
/// `Error::Trust` or `Error::Integrity` if a registry does not answer, is not trusted or serves wrong bytes;
/// `Error::Invalid` if a folder is neither a build nor a tree; `Error::Integrity` or `Error::Io` if it is
/// damaged or cannot be read.
pub fn info(client: &Client, version: &VersionAt) -> Result<Report> {
    let runtime = transport::runtime()?;
    let (registry, mut head, classes, counts, outcomes, rebuild_only) = match version {
        VersionAt::Registry(reference) => runtime.block_on(async {
            let (registry, head) = client.head(reference).await?;
            let (id, manifest) = (head.manifest.id(), head.manifest_ref.blake3);
            // Together, since each costs a round trip.
            let (counted, outcomes, rebuild_only) = tokio::join!(
                counted(&registry, head),
                stated_in(&registry, &id),
                registry.is_rebuild_only(&manifest)
            );
            let (head, classes, counts) = counted?;
            Ok::<_, Error>((registry, head, classes, counts, outcomes, rebuild_only?))
        })?,
        VersionAt::Folder(folder) => match Local::at(folder)? {
            Local::Tree => return Ok(Report::Tree(Box::new(of_tree(folder)?))),
            Local::Build => {
                let (registry, snapshot) = runtime.block_on(describe_build(folder))?;
                let (classes, counts) = (snapshot.classes().to_vec(), snapshot.index().counts());
                let rebuild_only = registry.is_rebuild_only(&snapshot.head.manifest_ref.blake3);
                let rebuild_only = runtime.block_on(rebuild_only)?;
                (registry, snapshot.head, classes, counts, Vec::new(), rebuild_only)
            }
        },
    };
    head.warnings.extend(registry.complaints());
    let registry = registry.name().into();
    let report = InfoReport { head, classes, counts, registry, rebuild_only, outcomes };
    Ok(Report::Version(Box::new(report)))
}

/// Returns the classes of a version, and how many images each has. What nobody has signed is checked against
/// the dataset hash, as all that is shown of a pin.
async fn counted(registry: &Registry, head: Head) -> Result<(Head, Vec<Class>, Counts)> {
    let told = match head.unsigned() {
        [] => registry.counts(&head.manifest).await.map_err(|e| withdrawn(e, &head))?,
        _ => None,
    };
    match told {
        Some(counts) => {
            let object = head.manifest.objects.classes;
            let bytes = registry.object(ObjectKind::Classes, &object).await;
            let bytes = bytes.map_err(|e| withdrawn(e, &head))?;
            let what = registry.locate(ObjectKind::Classes, &object.blake3);
            let classes = parse_classes(&what, &bytes)?;
            if let Some(class) = counts.values().flat_map(|of| of.keys()).find(|id| !has_class(&classes, id))
            {
                let why = format!("lacks class {class}, of which the manifest counts images");
                return Err(Error::integrity(what, why));
            }
            Ok((head, classes, counts))
        }
        None => {
            let snapshot = complete(registry, head).await?;
            let (classes, counts) = (snapshot.classes().to_vec(), snapshot.index().counts());
            Ok((snapshot.head, classes, counts))
        }
    }
}

/// Returns what keys state to have built of a version that nobody has released, by registry.
///
/// # Errors
/// [`Error::Io`] if the network cannot be prepared.
pub fn stated(client: &Client, id: &VersionId) -> Result<Vec<(String, Vec<Outcome>)>> {
    Ok(transport::runtime()?.block_on(client.outcomes(id)))
}

fn of_tree(folder: &Path) -> Result<TreeReport> {
    let lists = read_lists(folder)?;
    let what = folder.join(CLASSES).display().to_string();
    let classes = lists.sums.classes(&what, &lists.classes_csv).map_err(|e| e.at(At::Tree))?;
    let mut splits = Counts::new();
    for line in lists.sums.images() {
        let segments: Vec<&str> = line.path.segments().collect();
        let place = match segments[..] {
            [split, class, _] => split.parse().ok().zip(class.parse::<ClassId>().ok()),
            _ => None,
        };
        let Some((split, class)) = place.filter(|(_, class)| has_class(&classes, class)) else {
            let why = format!("has {}, which is in no split and class of its own", line.path);
            return Err(Error::integrity(folder.display(), why).at(At::Tree));
        };
        *splits.entry(split).or_default().entry(class).or_default() += 1;
    }
    let (origin, what) = (lists.origin, folder.display().to_string());
    let identity = Identity::of_tree(&what, origin.clone(), lists.images)?;
    Ok(TreeReport { identity, origin, classes, splits })
}
