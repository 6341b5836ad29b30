//! `isn pairs`: reads pairs that people have judged, and checks those of a recipe.

use std::path::Path;

use crate::files;
use crate::recipe_file::RecipeFile;
use crate::source::Source;
use crate::source::ids::Ids;
use isn_format::error::{Error, Result};
use isn_format::groups::Groups;
use isn_format::ledger::policy::Settled;
use isn_format::pairs::{Judged, MAX_LEN, Pairs, Ties};
use isn_format::rows::FileRow as _;
use isn_format::text::{shell_path, shell_word};

/// Reads a file of pairs.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] or [`Error::Mistakes`] if it is not of pairs,
/// or too long.
pub fn open(path: &Path) -> Result<Pairs> {
    Pairs::parse(&path.display().to_string(), &files::read_input(path, MAX_LEN)?)
}

/// Returns the command line that says of two images that they are different, for people to copy.
pub fn judging(file: impl AsRef<Path>, pair: &[String; 2]) -> String {
    let [one, other] = pair.each_ref().map(shell_word);
    let (file, why) = (shell_path(file), "--reason look-alike --reviewer 'YOUR NAME'");
    match [&one, &other].iter().any(|id| id.starts_with('-')) {
        true => format!("isn pairs add {why} -- {file} {one} {other} different"),
        false => format!("isn pairs add {file} {one} {other} different {why}"),
    }
}

/// What a recipe's pairs come to.
pub struct PairsReport {
    /// Their file.
    pub pairs: String,
    /// The number of its rows.
    pub rows: usize,
    /// What they come to.
    pub judged: Judged,
    /// What would stop a build.
    pub problems: Vec<String>,
    /// Fields that a spreadsheet would run as formulas.
    pub warnings: Vec<String>,
}

/// Checks a recipe's pairs as a build does, with its groups; with a source, also that they are about its
/// images.
///
/// # Errors
/// [`Error::Invalid`] if the recipe names no pairs; [`Error::Mistakes`] if a file has mistakes; otherwise
/// those of [`Source::open`].
pub fn check(file: &RecipeFile, source: Option<&Path>) -> Result<PairsReport> {
    let recipe = &file.recipe;
    let Some(name) = &recipe.split.pairs else {
        return Err(Error::invalid(file.what(), "names no pairs ([split] pairs)"));
    };
    let (what, bytes) = file.beside(name, MAX_LEN)?;
    let (pairs, groups) = (Pairs::parse(&what, &bytes)?, file.groups()?);
    let judged = pairs.judge();
    let mut problems = Vec::new();
    if let Some(source) = source {
        let source = Source::open(&recipe.source, source, &recipe.classes)?;
        let ties = Ties { groups: &Groups::default(), judged: &judged };
        problems.extend(Ids::new(&source).check(recipe, &Settled::default(), ties).problems);
    }
    problems.extend(Ties { groups: &groups, judged: &judged }.problems(&recipe.split));
    let warnings = pairs.rows().iter().flat_map(|row| row.formulas()).collect();
    Ok(PairsReport { pairs: what, rows: pairs.rows().len(), judged, problems, warnings })
}
