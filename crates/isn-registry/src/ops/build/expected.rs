//! Checks a build that must become a version that is already released. A source that lacks files of the
//! version is refused before anything is decoded, and one with other files as soon as the last of them has
//! been read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::BuildOptions;
use crate::plan::Planned;
use crate::source::{Source, SourceImage, Survey};
use isn_format::digest::Digest;
use isn_format::error::{Blame, Difference, Error, Result, count};
use isn_format::index::{Full, FullRow};

/// Opens the source, which must have every image of the expected version.
pub(super) fn open_source(options: &BuildOptions<'_>) -> Result<Source> {
    let recipe = &options.inputs.recipe;
    if let Some(full) = options.expected {
        let survey = Source::survey(&recipe.source, options.source, &recipe.classes, options.indexes)?;
        let missing = missing(full, &survey);
        if !missing.is_empty() {
            let lacking = count(missing.len(), "image");
            let why = match survey.source.images.is_empty() {
                true => format!("the source has none of the {lacking}"),
                false => format!("the source ({}) lacks {lacking}", survey.source.layout),
            };
            return Err(failed(options, why, missing));
        }
    }
    Source::open_with(&recipe.source, options.source, &recipe.classes, options.indexes)
}

/// Returns the images of a version that the source lacks.
fn missing(full: Full<'_>, survey: &Survey) -> Vec<Difference> {
    let there: HashSet<&str> = survey.source.images.ids().collect();
    let lacking = full.rows().filter(|row| !there.contains(row.source()));
    lacking
        .map(|row| Difference {
            image: row.path().to_string(),
            source_id: row.source().into(),
            source_path: None,
            cause: Blame::SourceMissing,
            why: format!("the source has no image {}", row.source()),
        })
        .collect()
}

fn failed(options: &BuildOptions<'_>, why: String, differences: Vec<Difference>) -> Error {
    let what = format!("{} from {}", options.inputs.recipe.id(), options.source.display());
    Error::Rebuilt { what, why, differences, unsigned: &[] }
}

/// Compares source files with those of the expected version as they are read. After the first difference, the
/// remaining files are only compared, since the build is of no use.
pub(super) struct Watch<'a> {
    expected: HashMap<&'a str, Digest>,
    is_wrong: AtomicBool,
    differences: Mutex<Vec<Difference>>,
}

impl<'a> Watch<'a> {
    /// Without an index, every file is right.
    pub(super) fn new(expected: Option<Full<'a>>) -> Self {
        let rows = expected.into_iter().flat_map(Full::rows);
        Watch {
            expected: rows.map(|row: FullRow<'a>| (row.source(), row.source_blake3())).collect(),
            is_wrong: AtomicBool::new(false),
            differences: Mutex::default(),
        }
    }

    /// Compares an image's source file with the expected one. Returns whether the image is still to be built.
    pub(super) fn is_right(&self, planned: &Planned, image: SourceImage<'_>, found: &Digest) -> bool {
        if let Some(expected) = self.expected.get(image.id).filter(|expected| *expected != found) {
            self.is_wrong.store(true, Ordering::Relaxed);
            let difference = Difference {
                image: planned.path.to_string(),
                source_id: image.id.to_owned(),
                source_path: Some(image.path.to_owned()),
                cause: Blame::SourceFile,
                why: format!("its source file differs: BLAKE3 {found}, released {expected}"),
            };
            self.differences.lock().unwrap_or_else(PoisonError::into_inner).push(difference);
        }
        !self.is_wrong.load(Ordering::Relaxed)
    }

    /// Fails if a source file differs from that of the release.
    pub(super) fn finish(self, options: &BuildOptions<'_>) -> Result<()> {
        let mut differences = self.differences.into_inner().unwrap_or_else(PoisonError::into_inner);
        if differences.is_empty() {
            return Ok(());
        }
        differences.sort_by(|a, b| a.image.cmp(&b.image));
        let differ = if differences.len() == 1 { "differs" } else { "differ" };
        let why = format!("{} {differ} from those of the release", count(differences.len(), "source file"));
        Err(failed(options, why, differences))
    }
}
