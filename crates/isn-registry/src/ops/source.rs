//! `isn source`: checks whether a folder of source images has what a recipe needs.

use std::io::Read;
use std::path::Path;

use md5::{Digest as _, Md5};
use serde::Serialize;

use crate::files;
use crate::progress::{Progress, Unit};
use crate::source::NO_SPLIT;
use crate::source::whole::{Count, counts};
use crate::source::{Indexes, LeftOut, Source, Survey};
use isn_format::error::{Error, Result, count};
use isn_format::ilsvrc2012;
use isn_format::recipe::Recipe;
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::HERE;

/// The number of bytes of an archive that are read at a time.
const BUFFER: usize = 1 << 20;

/// What to check.
pub struct CheckOptions<'a> {
    /// The recipe, whose classes are checked.
    pub recipe: &'a Recipe,
    /// The folder.
    pub source: &'a Path,
    /// Also compute the checksums of archives whose checksums are known. Without this, only lengths are
    /// compared.
    pub checksums: bool,
    /// Where indexes of tar files may be kept.
    pub indexes: Option<&'a Indexes>,
}

/// The outcome of a check.
#[derive(Debug, Serialize)]
pub struct SourceReport {
    /// The kind of source, as in the recipe.
    pub kind: &'static str,
    /// The layout of the folder.
    pub layout: String,
    /// The number of images of the recipe's classes.
    pub images: u64,
    /// The number of images of each class in each split.
    pub counts: Vec<Count>,
    /// The archives that ImageNet's download page lists.
    pub archives: Vec<ArchiveCheck>,
    /// What is missing, damaged or misplaced.
    pub problems: Vec<String>,
    /// Rows of a list of labels that disagree with the devkit.
    pub differing_labels: Vec<String>,
    /// What was left out, in lines for the user.
    pub warnings: Vec<String>,
    /// Each file and folder that was left out.
    pub left_out: Vec<LeftOut>,
}

/// An archive, compared with what is known of it.
#[derive(Debug, Serialize)]
pub struct ArchiveCheck {
    /// Its file name.
    pub name: String,
    /// Its length, in bytes.
    pub length: u64,
    /// The expected length, if it is known.
    pub expected_length: Option<u64>,
    /// Its MD5, if it was computed.
    pub md5: Option<String>,
    /// The expected MD5.
    pub expected_md5: &'static str,
    /// Whether everything that was compared is equal.
    pub is_right: bool,
}

impl SourceReport {
    /// Whether nothing is missing, damaged or in excess.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
            && self.differing_labels.is_empty()
            && self.archives.iter().all(|archive| archive.is_right)
            && self.counts.iter().all(|count| count.missing == 0 && count.extra == 0)
    }
}

/// Checks a source folder, without reading any images.
///
/// # Errors
/// [`Error::Source`] if the folder is not a source of the recipe's kind; [`Error::Io`] if it cannot be read.
pub fn check(options: &CheckOptions<'_>, progress: &dyn Progress) -> Result<SourceReport> {
    let recipe = options.recipe;
    let survey = Source::survey(&recipe.source, options.source, &recipe.classes, options.indexes)?;
    let Survey { source, problems, differing_labels } = survey;
    let archives = match recipe.source.kind {
        SourceKind::Ilsvrc2012 => archives(options, progress)?,
        SourceKind::ImageFolder | SourceKind::List => Vec::new(),
    };
    let perhaps = perhaps_splits(options, &source.left_out);
    let problems = problems.into_iter().map(|problem| problem.why);
    Ok(SourceReport {
        kind: recipe.source.kind.as_str(),
        layout: source.layout.to_string(),
        images: source.images.len() as u64,
        counts: counts(recipe, &source),
        archives,
        problems: problems.chain(source.absent_rows).chain(perhaps).collect(),
        differing_labels,
        warnings: source.warnings,
        left_out: source.left_out,
    })
}

/// Names folders beside those of splits that have images of the recipe's classes: a build leaves them out,
/// and the name of one may be misspelt.
fn perhaps_splits(options: &CheckOptions<'_>, left_out: &[LeftOut]) -> Vec<String> {
    let spec = &options.recipe.source;
    let folders: Vec<&str> =
        options.recipe.classes.iter().flat_map(|class| spec.folders_of(&class.id)).collect();
    let perhaps = |left: &&LeftOut| {
        let place = options.source.join(&left.path);
        left.why.starts_with(NO_SPLIT)
            && folders.iter().any(|folder| *folder != HERE && place.join(folder).is_dir())
    };
    let line = |left: &LeftOut| {
        let images = count(left.images? as usize, "image");
        Some(format!(
            "{}: has {images} in folders of classes, and is no folder of a split: give it the name of its split, or \
             move it away",
            left.path
        ))
    };
    left_out.iter().filter(perhaps).filter_map(line).collect()
}

/// Compares the archives in the folder with what ImageNet's download page says of them.
fn archives(options: &CheckOptions<'_>, progress: &dyn Progress) -> Result<Vec<ArchiveCheck>> {
    let known = ilsvrc2012::ARCHIVES.iter().map(|archive| (archive.name, Some(archive.length), archive.md5));
    let devkit = (ilsvrc2012::DEVKIT.0, None, ilsvrc2012::DEVKIT.1);
    let mut checks = Vec::new();
    for (name, expected_length, expected_md5) in known.chain([devkit]) {
        let path = options.source.join(name);
        let Some(length) = path.metadata().ok().filter(|about| about.is_file()).map(|about| about.len())
        else {
            continue;
        };
        if !options.checksums && expected_length.is_none() {
            continue;
        }
        let md5 = if options.checksums { Some(md5_of(&path, length, progress)?) } else { None };
        let is_right = expected_length.is_none_or(|expected| expected == length)
            && md5.as_ref().is_none_or(|md5| md5 == expected_md5);
        checks.push(ArchiveCheck { name: name.into(), length, expected_length, md5, expected_md5, is_right });
    }
    Ok(checks)
}

fn md5_of(path: &Path, length: u64, progress: &dyn Progress) -> Result<String> {
    let mut file = files::open(path)?;
    let (mut hasher, mut buffer) = (Md5::new(), vec![0; BUFFER]);
    progress.begin("checksum", Unit::Bytes, length);
    loop {
        let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        progress.advance(read as u64);
    }
    progress.end();
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
