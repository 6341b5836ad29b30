//! `isn ledger import`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_format::ledger::date::timestamp;
use isn_format::ledger::import::Unsaid;
use isn_registry::ops::ledger::{ImportReport, import};

/// Arguments of `isn ledger import`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// The ledger, which is made if it does not exist
    #[arg(value_name = "LEDGER")]
    ledger: PathBuf,
    /// The file to import: a ledger, a list of images as CSV, or the original file of a study (docs/recipe.md
    /// has the list)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Import only images of this recipe's classes
    #[arg(long, value_name = "RECIPE.toml|NAME")]
    recipe: Option<PathBuf>,
    /// Who makes the claims, if the file does not say
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The date of the claims, as YYYY-MM-DD, if the file does not say [default: today]
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

impl Verb for ImportArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let today = timestamp(SystemTime::now());
        let date = self.date.as_deref().unwrap_or(&today[..10]);
        let unsaid = Unsaid { source: self.source.as_deref(), date };
        let recipe = self.recipe.as_deref().map(|recipe| run.recipe(recipe)).transpose()?;
        let recipe = recipe.as_ref().map(|file| &file.recipe);
        let beside = run.recipe_beside(&self.ledger).map(|one| one.file.recipe).filter(|_| recipe.is_none());
        let report = import(&self.ledger, &self.file, recipe, beside.as_ref(), unsaid)?;
        run.complete();
        print(&run.output, &self.ledger, &self.file, &report);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, path: &Path, file: &Path, report: &ImportReport) {
    output.warn(&report.warnings);
    let (format, there) = (report.format.as_str(), report.found - report.added);
    let (rows, images) = (count(report.found, "row"), count(report.images, "image"));
    let mut text = Page::of(format_args!("{}: {rows} about {images}, read as {format}", file.display()));
    if report.skipped > 0 {
        writeln!(text, "left out: {} about images of other classes", count(report.skipped, "row"));
    }
    writeln!(text, "{}: {} added, {there} there already", path.display(), report.added);
    report.conflicts.iter().for_each(|line| writeln!(text, "conflict: {line}"));
    let object = json!({
        "ledger": path_json(path),
        "format": report.format.as_str(),
        "found": report.found,
        "images": report.images,
        "skipped": report.skipped,
        "added": report.added,
        "conflicts": report.conflicts,
        "warnings": report.warnings,
    });
    output.print_done(&text, object);
}
