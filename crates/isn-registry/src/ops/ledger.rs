//! `isn ledger`: shows a ledger, adds to it, imports published label claims, and settles it.

pub mod published;

use std::collections::BTreeSet;
use std::path::Path;

use crate::files;
use crate::recipe_file::RecipeFile;
use crate::row_file;
use crate::source::ids::{Ids, Said};
use crate::source::{Source, image_stem};
use isn_format::class::ClassId;
use isn_format::corrections::Corrections;
use isn_format::error::{Error, Result};
use isn_format::ilsvrc2012;
use isn_format::ledger::import::{Format, Unsaid};
use isn_format::ledger::policy::{ClaimCount, Open, Settled};
use isn_format::ledger::{Ledger, MAX_LEN, Row};
use isn_format::pairs::{Pair, Ties};
use isn_format::recipe::{CorrectionsSpec, Edition, Recipe};
use isn_format::rows::FileRow;
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::HERE;
use isn_format::split::Split;

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
    row_file::append::<Ledger>(path, rows).map(drop)
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
    /// That rows are about no image of the recipe's source.
    pub warnings: Vec<String>,
}

/// Says which of the source ids in a ledger no image of the recipe's source can have, as far as the ids alone
/// tell; `None` if each may be one's. A decision must be about an image of the recipe's classes.
pub fn of_no_image<'i>(
    recipe: &Recipe,
    is_decision: bool,
    ids: impl Iterator<Item = &'i str>,
) -> Option<String> {
    let (mut all, mut first, mut strange) = (0, None, 0);
    for id in ids {
        all += 1;
        if !may_be(recipe, is_decision, id) {
            first = first.or(Some(id));
            strange += 1;
        }
    }
    let is = recipe.source.kind.id_is();
    let (who, id) = (recipe.id(), first?);
    Some(match all {
        1 => format!("{id} is of no image of {who}: an id is {is}"),
        _ => format!(
            "{strange} of {all} source ids are of no image of {who}; the first is {id}, and an id is {is}"
        ),
    })
}

/// Whether an image of the recipe's classes may have this id.
fn may_be(recipe: &Recipe, is_decision: bool, id: &str) -> bool {
    let spec = &recipe.source;
    match spec.kind {
        SourceKind::List => true,
        SourceKind::Ilsvrc2012 => match given(id) {
            Some(class) => !is_decision || recipe.classes.iter().any(|one| one.id == class),
            None => !id.contains('/') && !looks_like_a_file(id),
        },
        SourceKind::ImageFolder => {
            let in_split = id.split_once('/').filter(|(first, _)| first.parse::<Split>().is_ok());
            let (split, path) = in_split.map_or((Split::Train, id), |(_, path)| (spec.kind.origin(id), path));
            let is_in = |folder: &str| {
                let below = path.strip_prefix(folder);
                folder == HERE || below.is_some_and(|rest| rest.starts_with('/'))
            };
            let is_of_class =
                || recipe.classes.iter().any(|one| spec.folders_of(&one.id).into_iter().any(is_in));
            spec.annotated.iter().any(|(annotated, _)| *annotated == split) || is_of_class()
        }
    }
}

/// Imports the rows of another ledger, or of published corrections, into a ledger. With `recipe`, imports
/// only images of the recipe's classes, as far as image names tell the class (those of ILSVRC2012 do). What
/// no image of its source can be is told, or of that of the recipe `beside` the ledger.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Mistakes`] if a file is not what it should be; [`Error::Io`] if one cannot
/// be read or written.
pub fn import(
    path: &Path,
    file: &Path,
    recipe: Option<&Recipe>,
    beside: Option<&Recipe>,
    unsaid: Unsaid<'_>,
) -> Result<ImportReport> {
    let (format, mut rows) = published::read(file, unsaid)?;
    let all = rows.len();
    if let Some(recipe) = recipe {
        rows.retain(|row| {
            given(row.source_id()).is_none_or(|class| recipe.classes.iter().any(|one| one.id == class))
        });
    }
    let (found, taken) = (rows.len(), Ledger::new(rows));
    let (images, skipped) = (taken.source_ids().len(), all - found);
    let warnings =
        recipe.or(beside).and_then(|recipe| of_no_image(recipe, false, taken.source_ids().into_iter()));
    let mut before = 0;
    let merged = row_file::extend(path, |ledger: &Ledger| {
        before = ledger.rows().len();
        ledger.merge(&taken).rows()[before..].to_vec()
    })?;
    let added = merged.rows().len() - before;
    Ok(ImportReport {
        format,
        found,
        images,
        skipped,
        added,
        conflicts: conflicts(&merged),
        warnings: warnings.into_iter().collect(),
    })
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
    /// How many claims are about images of the source or, without it, of the recipe's classes.
    pub claims: ClaimCount,
    /// Whether there was a source.
    pub by_source: bool,
    /// The problems that would stop a build, and that no claim is about an image of the source.
    pub problems: Vec<String>,
    /// Warnings for the user: fields that a spreadsheet would run as formulas, and rows without effect.
    pub warnings: Vec<String>,
}

/// Settles a recipe's ledger as a build does, and checks its groups and pairs. The classes of images come
/// from `source`, or without one from the image names of ILSVRC2012.
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
    let (groups, judged) = (file.groups()?, file.judged()?.unwrap_or_default());
    let ties = Ties { groups: &groups, judged: &judged };
    let warnings = ledger.rows().iter().flat_map(Row::formulas).collect();
    let (settled, mut said) = match source {
        Some(source) => {
            let source = Source::open(&recipe.source, source, &recipe.classes)?;
            let images = source.images.iter().map(|image| (image.id, image.class));
            let settled = spec.policy.settle(&ledger, &recipe.classes, images);
            let said = Ids::new(&source).check(recipe, &settled, ties);
            (settled, said)
        }
        None if recipe.source.kind == SourceKind::Ilsvrc2012 => by_names(recipe, spec, &ledger, ties),
        None => {
            let why = "does not tell the classes of images: give --source DIR";
            return Err(Error::invalid(file.what(), why));
        }
    };
    said.problems.extend(ties.problems(&recipe.split));
    // Claims may be about other images, but a ledger of which all are is that of another source.
    if settled.claims.here == 0 && recipe.edition >= Edition::Two {
        said.problems.append(&mut said.claims);
    }
    Ok(CheckReport {
        ledger: what,
        rows: ledger.rows().len(),
        corrections: settled.corrections,
        open: settled.open,
        claims: settled.claims,
        by_source: source.is_some(),
        problems: [settled.problems, said.problems].concat(),
        warnings: [warnings, said.warnings, said.claims].concat(),
    })
}

/// Settles a ledger by the names of ILSVRC2012's images alone. They tell the class, and not whether a file
/// exists, but a path is the id of none.
fn by_names(recipe: &Recipe, spec: &CorrectionsSpec, ledger: &Ledger, ties: Ties<'_>) -> (Settled, Said) {
    let has = |class: &ClassId| recipe.classes.iter().any(|one| one.id == *class);
    let ids = ledger.source_ids().into_iter();
    let images: Vec<(&str, ClassId)> = ids.filter_map(|id| Some((id, given(id).filter(has)?))).collect();
    let settled = spec.policy.settle(ledger, &recipe.classes, images.iter().map(|(id, class)| (*id, class)));
    let is = recipe.source.kind.id_is();
    let why = |id: &str| match given(id) {
        Some(class) if !has(&class) => Some(format!(
            "{id}: its class {class} is none of the recipe's, so that it is no image of a build"
        )),
        None if id.contains('/') || looks_like_a_file(id) => {
            Some(format!("{id}: no such image in the source: an id is {is}"))
        }
        _ => None,
    };
    let mut said = Said::default();
    let counts = |id: &&String| recipe.edition >= Edition::Two || settled.corrections.get(id).is_some();
    let decided = settled.absent.iter().filter(counts);
    said.problems.extend(decided.filter_map(|id| why(id)));
    let paired: BTreeSet<&str> = ties.judged.pairs().flat_map(Pair::ids).collect();
    said.problems.extend(paired.into_iter().filter_map(|id| Some(format!("pairs: {}", why(id)?))));
    let grouped = ties.groups.iter().flatten().filter_map(|id| Some(format!("groups: {}", why(id)?)));
    match recipe.edition {
        Edition::One => said.warnings.extend(grouped),
        Edition::Two => said.problems.extend(grouped),
    }
    if settled.claims.here == 0 {
        said.claims.extend(settled.elsewhere.first().map(|first| {
            format!(
                "claims: none of the {} in the ledger is about an image of the recipe's classes; the first is about \
                 {first}, and an id is {is}",
                settled.claims.all
            )
        }));
    }
    (settled, said)
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
