//! `isn ledger`: look at a ledger, add to it, take in what others published, settle it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::files;
use crate::ledger_file;
use crate::source::Source;
use isn_format::class::ClassId;
use isn_format::corrections::Corrections;
use isn_format::error::{Error, Result};
use isn_format::ilsvrc2012;
use isn_format::ledger::import::{Format, Unsaid, read};
use isn_format::ledger::policy::{Open, Settled};
use isn_format::ledger::{Ledger, Row};
use isn_format::recipe::Recipe;
use isn_format::source_kind::SourceKind;

/// Reads a ledger's file.
pub fn open(path: &Path) -> Result<Ledger> {
    Ledger::parse(&path.display().to_string(), &files::read(path)?)
}

/// Adds one row to a ledger's file, and makes it if there is none.
pub fn add(path: &Path, row: &Row) -> Result<()> {
    // A row that would not read back must not be written: a line break, an empty name.
    let text = Ledger::new(vec![row.clone()]).to_csv();
    Ledger::parse("the row", &text)?;
    ledger_file::append(path, std::slice::from_ref(row)).map(drop)
}

/// What an import found, and what was new.
pub struct ImportReport {
    /// What the file was taken for.
    pub format: Format,
    /// How many rows it has, of the classes that were asked for.
    pub found: usize,
    /// How many of them the ledger did not have, and has now.
    pub added: usize,
    /// The images on which reviewers differ, now; a line each.
    pub conflicts: Vec<String>,
}

/// Takes the rows of a file into a ledger: of another ledger, or of what others have published. With `recipe`, only
/// images whose class is the recipe's, where their names tell it (ILSVRC2012's do).
pub fn import(path: &Path, file: &Path, recipe: Option<&Path>, unsaid: Unsaid<'_>) -> Result<ImportReport> {
    let (format, mut rows) = read(&file.display().to_string(), &files::read(file)?, unsaid)?;
    if let Some(recipe) = recipe {
        let recipe = read_recipe(recipe)?;
        rows.retain(|row| {
            given(row.source_id()).is_none_or(|class| recipe.classes.iter().any(|one| one.id == class))
        });
    }
    let (found, taken) = (rows.len(), Ledger::new(rows));
    let mut before = 0;
    let merged = ledger_file::extend(path, |ledger| {
        before = ledger.rows().len();
        ledger.merge(&taken).rows()[before..].to_vec()
    })?;
    let added = merged.rows().len() - before;
    Ok(ImportReport { format, found, added, conflicts: conflicts(&merged) })
}

/// A line for each image on which reviewers differ.
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

/// What a recipe's ledger comes to.
pub struct CheckReport {
    /// The ledger's file.
    pub ledger: String,
    /// How many rows it has.
    pub rows: usize,
    /// What is decided.
    pub corrections: Corrections,
    /// What is left to a person.
    pub open: Vec<Open>,
    /// What stands in the way of a build.
    pub problems: Vec<String>,
    /// What the user should hear: fields that are formulas to a spreadsheet.
    pub warnings: Vec<String>,
}

/// Settles a recipe's ledger as a build does. The classes that images have come from `source`, or without one from the
/// names of ILSVRC2012's images.
pub fn check(recipe_path: &Path, source: Option<&Path>) -> Result<CheckReport> {
    let recipe = read_recipe(recipe_path)?;
    let Some(spec) = &recipe.corrections else {
        return Err(Error::invalid(recipe_path.display(), "names no ledger ([corrections] file)"));
    };
    let path = files::parent(recipe_path).join(&spec.file);
    let ledger = open(&path)?;
    let mut images: Vec<(String, ClassId)> = Vec::new();
    match source {
        Some(source) => {
            let source = Source::open(recipe.source, source, &recipe.classes)?;
            images.extend(source.images.into_iter().map(|image| (image.id, image.class)));
        }
        None if recipe.source == SourceKind::Ilsvrc2012 => {
            let ids = ledger.source_ids().into_iter();
            images.extend(ids.filter_map(|id| Some((id.to_owned(), given(id)?))));
        }
        None => {
            let why = "says nothing of the images' classes: give --source DIR";
            return Err(Error::invalid(recipe_path.display(), why));
        }
    }
    let of = images.iter().map(|(id, class)| (id.as_str(), class));
    let Settled { corrections, open, mut problems } = spec.policy.settle(&ledger, &recipe.classes, of);
    if source.is_some() {
        let here: BTreeSet<&str> = images.iter().map(|(id, _)| id.as_str()).collect();
        let absent = corrections.iter().filter(|one| !here.contains(one.source_id.as_str()));
        problems.extend(absent.map(|one| format!("{}: no such image in the source", one.source_id)));
    }
    Ok(CheckReport {
        ledger: path.display().to_string(),
        rows: ledger.rows().len(),
        corrections,
        open,
        problems,
        warnings: ledger.rows().iter().flat_map(Row::formulas).collect(),
    })
}

/// The class that the name of an image of ILSVRC2012 tells.
fn given(source_id: &str) -> Option<ClassId> {
    ilsvrc2012::class_of(source_id).and_then(|class| class.parse().ok())
}

fn read_recipe(path: &Path) -> Result<Recipe> {
    Recipe::parse(&path.display().to_string(), &files::read_text(path)?)
}

/// How one ledger differs from another.
pub struct DiffReport {
    /// Rows that the second has and the first has not, in its order.
    pub added: Vec<Row>,
    /// Rows that the first has and the second has not, in its order.
    pub removed: Vec<Row>,
    /// Images of which reviewers decide otherwise now: the id, what it was, what it is.
    pub decided: Vec<(String, String, String)>,
}

/// Compares two ledgers.
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
