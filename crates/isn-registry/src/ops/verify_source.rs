//! `isn verify-source`: checks whether a folder has the exact source files that a version was built from,
//! without decoding any.

use std::collections::HashMap;
use std::path::Path;

use crate::client::Client;
use crate::ops::build::Inputs;
use crate::parallel::in_order;
use crate::progress::{Progress, Unit};
use crate::registry::Snapshot;
use crate::source::Source;
use crate::steps::objects::recipe_of;
use crate::steps::unsigned;
use crate::transport;
use isn_format::corrections::{Action, Corrections};
use isn_format::dataset_ref::DatasetRef;
use isn_format::digest::Digest;
use isn_format::error::{Blame, Difference, Error, Result};
use isn_format::index::{Full, FullRow};
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::SourceSpec;

/// The outcome of a comparison.
pub struct VerifySourceReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The layout of the source.
    pub layout: String,
    /// The number of source files that were hashed.
    pub checked: u64,
    /// Images whose source file has other bytes, or which have another class there, sorted by path.
    pub differing: Vec<Difference>,
    /// Images whose source file is missing, sorted by path.
    pub missing: Vec<Difference>,
    /// Warnings for the user, such as other faults of the folder.
    pub warnings: Vec<String>,
}

/// Compares the files of `source` with those that the version's index names.
///
/// # Errors
/// [`Error::Source`] if the folder is not a source of the version's kind; [`Error::Io`] if a file cannot be
/// read; otherwise those of describing a version.
pub fn verify_source(
    client: &Client,
    reference: &DatasetRef,
    source: &Path,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<VerifySourceReport> {
    let runtime = transport::runtime()?;
    let (registry, snapshot) = runtime.block_on(client.snapshot(reference))?;
    let manifest = &snapshot.head.manifest;
    let kind: SourceKind = manifest.source.parse().map_err(|why| Error::invalid(manifest.pin(), why))?;
    // The folders of ImageNet are known, and its recipe is not needed.
    let spec = match kind {
        SourceKind::Ilsvrc2012 => SourceSpec::new(kind),
        SourceKind::ImageFolder | SourceKind::List => recipe_of(&runtime, &registry, &snapshot)?.1.source,
    };
    let indexes = client.cache.as_ref().and_then(|cache| cache.indexes());
    let survey = Source::survey(&spec, source, snapshot.classes(), indexes.as_ref())?;
    let source = &survey.source;
    progress.tell(&format!("source: {}", source.layout));

    // Elsewhere, an image's id tells its class.
    let corrections = match spec.list.is_some() || !spec.annotated.is_empty() {
        true => Some(Inputs::of_version(&runtime, &registry, &snapshot)?.settle(source)?.corrections),
        false => None,
    };
    let places: HashMap<&str, usize> = source.images.ids().zip(0..).collect();
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    let sources = runtime.block_on(registry.sources(&snapshot))?;
    let full = Full { index: snapshot.index(), sources: &sources };
    for row in full.rows() {
        match places.get(row.source()) {
            Some(at) => there.push((row, *at)),
            None => {
                let why = format!("the source has no image {}", row.source());
                missing.push(difference(row, None, Blame::SourceMissing, why));
            }
        }
    }
    source.sort_for_reading(&mut there, |(_, at)| *at);
    let mut differing = Vec::new();
    progress.begin("verify source", Unit::Images, there.len() as u64);
    let hash = |(): &mut (), (_, at): &(FullRow<'_>, usize)| -> Result<Digest> {
        source.read(source.images.get(*at)).map(|bytes| Digest::of(&bytes))
    };
    let compared = in_order(
        jobs,
        jobs * 8,
        &there,
        || (),
        hash,
        |number, found| {
            let (row, at) = there[number];
            let found: Digest = found?;
            if found != row.source_blake3() {
                let why =
                    format!("its source file differs: BLAKE3 {found}, released {}", row.source_blake3());
                let path = source.images.get(at).path.to_owned();
                differing.push(difference(row, Some(path), Blame::SourceFile, why));
            } else if let Some(why) = corrections.as_ref().and_then(|all| reclassed(row, source, at, all)) {
                let path = source.images.get(at).path.to_owned();
                differing.push(difference(row, Some(path), Blame::Recipe, why));
            }
            progress.advance(1);
            Ok::<(), Error>(())
        },
    );
    progress.end();
    compared?;
    differing.sort_by(|a, b| a.image.cmp(&b.image));
    let checked = there.len() as u64;
    let mut warnings = snapshot.head.warnings.clone();
    warnings.extend(survey.problems.into_iter().map(|problem| problem.why));
    warnings.extend_from_slice(&source.absent_rows);
    warnings.extend_from_slice(&source.warnings);
    warnings.extend(unsigned::notice(snapshot.head.unsigned()));
    let layout = source.layout.to_string();
    Ok(VerifySourceReport { snapshot, layout, checked, differing, missing, warnings })
}

/// Says that an image has another class in the files of the source than when the version was built; `None` if
/// it has not, or if that cannot be known, since the corrections give it the released class.
fn reclassed(row: FullRow<'_>, source: &Source, at: usize, corrections: &Corrections) -> Option<String> {
    let class = source.images.class(at);
    match corrections.get(row.source()).map(|correction| &correction.action) {
        Some(Action::Relabel(to)) if to == class => {
            Some(format!("the source says class {class}, to which a correction relabels it"))
        }
        Some(Action::Relabel(to)) if to == row.class() => None,
        _ if class == row.class() => None,
        _ => Some(format!("the source says class {class}, released {}", row.class())),
    }
}

fn difference(row: FullRow<'_>, source_path: Option<String>, cause: Blame, why: String) -> Difference {
    Difference { image: row.path().to_string(), source_id: row.source().into(), source_path, cause, why }
}
