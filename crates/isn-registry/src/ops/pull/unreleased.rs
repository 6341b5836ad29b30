//! Writes the tree of what nobody has released: of a version that is built from its recipe in the binary, or
//! of a build.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use super::destination::check_before;
use super::{Pull, PullOptions, PullReport, Unreleased};
use crate::client::Client;
use crate::client::version_at::{Local, describe_build};
use crate::files::{self, Workplace};
use crate::ops::build::{BuildOptions, Inputs, build};
use crate::ops::recipe;
use crate::progress::Progress;
use crate::registry::{self, BUNDLED, Registry, Snapshot};
use isn_format::dataset_ref::{DatasetRef, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result, There};
use isn_format::tree::{BuiltBy, BuiltFrom};

/// What the staging folder of the build is told apart by; a killed build resumes there.
pub(super) const BUILD: &str = "unreleased";

/// Returns the error that nobody has released what a user does not want to ask for.
pub(super) fn of(reference: &DatasetRef) -> Error {
    Error::Unreleased { reference: reference.clone(), registry: BUNDLED.into() }
}

/// Builds the version that `reference` names from `source`, and writes its tree.
///
/// # Errors
/// [`Error::NotFound`] if there is no such recipe; those of [`build`]; otherwise as [`super::pull`].
pub(super) fn pull(
    runtime: &Runtime,
    client: &Client,
    reference: &DatasetRef,
    options: &PullOptions<'_>,
    (to, source): (Option<PathBuf>, &Path),
    progress: &dyn Progress,
) -> Result<PullReport> {
    let (DatasetRef::Newest(name) | DatasetRef::Version(VersionId { name, .. }, None)) = reference else {
        return Err(Error::invalid(reference, "is a pin: what nobody released has none"));
    };
    let bundled = Client { locations: vec![BUNDLED.into()], ..client.clone() };
    let recipe = recipe::of_dataset(&bundled, name)?.recipe;
    let id = recipe.recipe.id();
    if matches!(reference, DatasetRef::Version(asked, None) if *asked != id) {
        let place = format!("registry {BUNDLED}");
        return Err(Error::not_found(Missing::Version, reference, place).near([id.version]));
    }
    let to = to.unwrap_or_else(|| format!("{}-{}", id.name, id.version).into());
    (options.may_be_at)(&to)?;
    check_before(&to, name)?;
    files::check_apart(&to, "the source folder", source)?;
    client.check_is_no_registry(&to)?;
    let built = BuiltBy { version: id.version, blake3: Digest::of(recipe.text.as_bytes()).prefixed() };
    let inputs = Inputs::read(recipe, client)?;
    files::create_dir_all(files::parent(&to))?;
    let taken = || Error::exists(There::Place, to.display(), ": another isn is writing to it");
    let work = Workplace::open(&to, BUILD)?.ok_or_else(taken)?;
    let out = work.own.join("build");
    let indexes = client.cache.as_ref().and_then(|cache| cache.indexes());
    let options_of_build = BuildOptions {
        inputs: &inputs,
        source,
        out: &out,
        jobs: options.jobs,
        indexes: indexes.as_ref(),
        expected: None,
        partial: false,
        slices: &[],
        in_blocks: None,
        named: &|| (),
    };
    let built_from_source = match build(&options_of_build, progress) {
        // By another recipe, or from another source.
        Err(Error::Exists { .. }) => work.own.clear().and_then(|()| build(&options_of_build, progress)),
        built => built,
    };
    let is_built = built_from_source.is_ok();
    let pulled = built_from_source.and_then(|(report, _)| {
        progress.tell(&format!("{id}: built, and not released"));
        let (registry, mut snapshot) = runtime.block_on(registry::build::describe(&out))?;
        snapshot.head.warnings.extend(report.warnings);
        let (to, built) = (to.clone(), Some((built, built_from(runtime, &registry, &snapshot)?)));
        Pull { runtime, client, registry, snapshot, to, options, built, progress }.run()
    });
    let pulled = pulled.map(|report| match options.unreleased {
        Unreleased::BuildUnasked => report,
        _ => {
            let stated = runtime.block_on(client.outcomes(&id));
            PullReport { outcomes: stated.into_iter().flat_map(|(_, outcomes)| outcomes).collect(), ..report }
        }
    });
    // What is in the way of the tree would be in the way again.
    let is_refused = is_built && matches!(pulled, Err(Error::Exists { .. } | Error::Integrity { .. }));
    if pulled.is_ok() || is_refused || work.own.is_empty()? {
        let _ = work.discard();
    }
    pulled
}

/// Writes the tree of the build in `folder`.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Invalid`] if `folder` is not a build, or a part of it is selected;
/// otherwise as [`super::pull`].
pub(super) fn pull_folder(
    runtime: &Runtime,
    client: &Client,
    options: &PullOptions<'_>,
    to: Option<PathBuf>,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<PullReport> {
    if Local::at(folder)? == Local::Tree {
        let why = "is a tree already: `isn verify` checks it, and its version can be pulled by name";
        return Err(Error::invalid(folder.display(), why));
    }
    if options.source.is_some() {
        return Err(Error::invalid(folder.display(), "is a build: it has its images, and needs no --source"));
    }
    if !options.selection.is_all() {
        let why = "is a build, of which the whole is pulled: a part can be pulled once it is published";
        return Err(Error::invalid(folder.display(), why));
    }
    let (registry, snapshot) = runtime.block_on(describe_build(folder))?;
    let manifest = &snapshot.head.manifest;
    let version = if manifest.is_part { "part".into() } else { manifest.version.to_string() };
    let to = to.unwrap_or_else(|| format!("{}-{version}", manifest.name).into());
    (options.may_be_at)(&to)?;
    check_before(&to, &manifest.name)?;
    files::check_apart(&to, "the build", folder)?;
    client.check_is_no_registry(&to)?;
    let recipe = manifest.objects.recipe.blake3.prefixed();
    let from = built_from(runtime, &registry, &snapshot).map_err(registry::build::of_build)?;
    let built = Some((BuiltBy { version: manifest.version, blake3: recipe }, from));
    Pull { runtime, client, registry, snapshot, to, options, built, progress }
        .run()
        .map_err(registry::build::of_build)
}

/// Returns what a build was made from.
fn built_from(runtime: &Runtime, build: &Registry, snapshot: &Snapshot) -> Result<BuiltFrom> {
    let sources = runtime.block_on(build.sources(snapshot))?;
    Ok(BuiltFrom::of(&snapshot.head.manifest, &sources))
}
