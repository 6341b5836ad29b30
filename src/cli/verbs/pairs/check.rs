//! `isn pairs check`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_registry::ops::pairs::check;

/// Arguments of `isn pairs check`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// The recipe that names the pairs: a file, or the name of one that comes with isn
    #[arg(value_name = "RECIPE.toml|NAME")]
    recipe: PathBuf,
    /// The source images: pairs of images that are not there are problems, too
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
}

impl Verb for CheckArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let report = check(&run.recipe(&self.recipe)?, self.source.as_deref())?;
        run.output.warn(&report.warnings);
        let mut text = Page::default();
        report.judged.open.iter().for_each(|pair| writeln!(text, "open: {pair}: the reviewers are unsure"));
        report.problems.iter().for_each(|line| writeln!(text, "problem: {line}"));
        let (same, different, open) =
            (report.judged.same.len(), report.judged.different.len(), report.judged.open.len());
        writeln!(
            text,
            "{}: {}: {same} same, {different} different; {open} left to a person; {}",
            report.pairs,
            count(report.rows, "row"),
            count(report.problems.len(), "problem"),
        );
        let open: Vec<_> = report.judged.open.iter().map(|pair| pair.ids()).collect();
        let object = json!({
            "pairs": report.pairs, "rows": report.rows, "same": same, "different": different, "open": open,
            "problems": report.problems, "warnings": report.warnings,
        });
        run.output.print(&text, object);
        Ok(exit::success_if(report.problems.is_empty(), exit::FINDINGS))
    }
}
