//! `isn ledger`: shows a ledger, adds to it, imports published label claims, and settles it.

pub mod published;

use std::collections::BTreeSet;
use std::path::Path;

use crate::files;
use crate::ledger_file;
use crate::recipe_file::RecipeFile;
use crate::source::{Source, image_stem};
use isn_format::class::ClassId;
use isn_format::corrections::Corrections;
use isn_format::error::{Error, Result};
use isn_format::ilsvrc2012;
use isn_format::ledger::import::{Format, Unsaid};
use isn_format::ledger::policy::{Open, Settled};
use isn_format::ledger::{Ledger, MAX_LEN, Row};
use isn_format::recipe::Recipe;
use isn_format::source_kind::SourceKind;

/// Reads a ledger's file.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] or [`Error::Mistakes`] if it is not a ledger,
/// or too long for one.
pub fn open(path: &Path) -> Result<Ledger> {
    Ledger::parse(&path.display().to_string(), &files::read_input(path, MAX_LEN)?)
}

/// Appends rows to a ledger's file, all or none; it is created if there is none.
///
/// # Errors
/// [`Error::Mistakes`] if a row could not be read back; [`Error::Io`] if the file cannot be written.
pub fn add(path: &Path, rows: &[Row]) -> Result<()> {
    ledger_file::append(path, rows).map(drop)
}

/// Whether a source id ends like the name of an image file: probably somebody took a path for an id, which
/// has no extension.
pub fn looks_like_a_file(source_id: &str) -> bool {
    image_stem(source_id).is_some()
}

/// The outcome of an import.
pub struct ImportReport {
    /// The format that was detected.
    pub format: Format,
    /// The number of rows in the file, of the recipe's classes if a recipe is given.
    pub found: usize,
    /// The number of images that they are about.
    pub images: usize,
    /// The number of rows that were left out: their images are of classes that the recipe does not have.
    pub skipped: usize,
    /// The number of rows that were new to the ledger.
    pub added: usize,
    /// The images on which reviewers now disagree, one line each.
    pub conflicts: Vec<String>,
}

/// Imports the rows of another ledger, or of published corrections, into a ledger. With `recipe`, imports
/// only images of the recipe's classes, as far as image names tell the class (those of ILSVRC2012 do).
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Mistakes`] if a file is not what it should be; [`Error::Io`] if one cannot
/// be read or written.
pub fn import(path: &Path, file: &Path, recipe: Option<&Recipe>, unsaid: Unsaid<'_>) -> Result<ImportReport> {
    let (format, mut rows) = published::read(file, unsaid)?;
    let all = rows.len();
    if let Some(recipe) = recipe {
        rows.retain(|row| {
            given(row.source_id()).is_none_or(|class| recipe.classes.iter().any(|one| one.id == class))
        });
    }
    let (found, taken) = (rows.len(), Ledger::new(rows));
    let (images, skipped) = (taken.source_ids().len(), all - found);
    let mut before = 0;
    let merged = ledger_file::extend(path, |ledger| {
        before = ledger.rows().len();
        ledger.merge(&taken).rows()[before..].to_vec()
    })?;
    let added = merged.rows().len() - before;
    Ok(ImportReport { format, found, images, skipped, added, conflicts: conflicts(&merged) })
}

/// Returns a line for each image on which reviewers disagree.
pub fn conflicts(ledger: &Ledger) -> Vec<String> {
    let line = |conflict: isn_format::ledger::Conflict<'_>| {
        let said: Vec<String> = conflict
            .opinions
            .iter()
            .map(|one| format!("{} says {} ({})", one.reviewer, one.verdict, one.date))
            .collect();
        format!("{}: {}", conflict.source_id, said.join(", "))
    };
    ledger.conflicts().into_iter().map(line).collect()
}

/// What a recipe's ledger settles to.
pub struct CheckReport {
    /// The ledger's file.
    pub ledger: String,
    /// The number of its rows.
    pub rows: usize,
    /// The corrections.
    pub corrections: Corrections,
    /// The images that still need a person's decision.
    pub open: Vec<Open>,
    /// The problems that would stop a build.
    pub problems: Vec<String>,
    /// Warnings for the user about fields that a spreadsheet would run as formulas.
    pub warnings: Vec<String>,
}

/// Settles a recipe's ledger as a build does. The classes of images come from `source`, or without one from
/// the image names of ILSVRC2012.
///
/// # Errors
/// [`Error::Invalid`] if the recipe names no ledger, or needs a source to tell the classes;
/// [`Error::Mistakes`] if the recipe or the ledger has mistakes; otherwise those of [`Source::open`].
pub fn check(file: &RecipeFile, source: Option<&Path>) -> Result<CheckReport> {
    let recipe = &file.recipe;
    let Some(spec) = &recipe.corrections else {
        return Err(Error::invalid(file.what(), "names no ledger ([corrections] file)"));
    };
    let (what, bytes) = file.beside(&spec.file, MAX_LEN)?;
    let ledger = Ledger::parse(&what, &bytes)?;
    let mut images: Vec<(String, ClassId)> = Vec::new();
    match source {
        Some(source) => {
            let source = Source::open(&recipe.source, source, &recipe.classes)?;
            images.extend(source.images.into_iter().map(|image| (image.id, image.class)));
        }
        None if recipe.source.kind == SourceKind::Ilsvrc2012 => {
            let ids = ledger.source_ids().into_iter();
            images.extend(ids.filter_map(|id| Some((id.to_owned(), given(id)?))));
        }
        None => {
            let why = "does not tell the classes of images: give --source DIR";
            return Err(Error::invalid(file.what(), why));
        }
    }
    let of = images.iter().map(|(id, class)| (id.as_str(), class));
    let Settled { corrections, open, mut problems } = spec.policy.settle(&ledger, &recipe.classes, of);
    let here: BTreeSet<&str> = images.iter().map(|(id, _)| id.as_str()).collect();
    let absent = |id: &str| match source {
        Some(_) => !here.contains(id),
        // Names do not tell whether a file exists, but a path is the id of no image of ILSVRC2012.
        None => id.contains('/') || looks_like_a_file(id),
    };
    let absent = corrections.iter().map(|one| one.source_id.as_str()).filter(|id| absent(id));
    let id_is = recipe.source.kind.id_is();
    problems.extend(absent.map(|id| format!("{id}: no such image in the source: an id is {id_is}")));
    Ok(CheckReport {
        ledger: what,
        rows: ledger.rows().len(),
        corrections,
        open,
        problems,
        warnings: ledger.rows().iter().flat_map(Row::formulas).collect(),
    })
}

/// Returns the class that an image name of ILSVRC2012 tells.
fn given(source_id: &str) -> Option<ClassId> {
    ilsvrc2012::class_of(source_id).and_then(|class| class.parse().ok())
}

/// The differences between two ledgers.
pub struct DiffReport {
    /// Rows that only the second ledger has, in its order.
    pub added: Vec<Row>,
    /// Rows that only the first ledger has, in its order.
    pub removed: Vec<Row>,
    /// Images whose decisions differ: the source id, the old decision, the new one.
    pub decided: Vec<(String, String, String)>,
}

/// Compares two ledgers.
///
/// # Errors
/// Those of [`open`].
pub fn diff(old: &Path, new: &Path) -> Result<DiffReport> {
    let (old, new) = (open(old)?, open(new)?);
    let added = old.merge(&new).rows()[old.rows().len()..].to_vec();
    let removed = new.merge(&old).rows()[new.rows().len()..].to_vec();
    let ids: BTreeSet<&str> = added.iter().chain(&removed).map(Row::source_id).collect();
    let says = |ledger: &Ledger, id: &str| {
        let mut said: Vec<String> = ledger.opinions(id).iter().map(|one| one.verdict.to_string()).collect();
        said.sort();
        said.dedup();
        if said.is_empty() { "undecided".to_owned() } else { said.join(" / ") }
    };
    let decided = ids
        .into_iter()
        .map(|id| (id.to_owned(), says(&old, id), says(&new, id)))
        .filter(|(_, was, is)| was != is)
        .collect();
    Ok(DiffReport { added, removed, decided })
}
