//! `isn audit mask`.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{ArgGroup, Args};
use serde_json::json;

use super::target::check_outputs;
use crate::cli::args::RecipeArg;
use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result, count};
use isn_format::ledger::Ledger;
use isn_format::ledger::date::timestamp;
use isn_registry::files::{self, Replaced};
use isn_registry::ops::audit::mask::{Mask, MaskReport, find};
use isn_registry::row_file;
use isn_registry::sheet::Sheet;

/// The default number of suspects in the text.
const SHOWN: usize = 20;

/// Arguments of `isn audit mask`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("marks").required(true)))]
pub(in crate::cli) struct MaskArgs {
    /// The folder of images, a folder per class, that was given to ImageFolder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The mask, one truth value per image, false for a suspect: .npy
    #[arg(long, value_name = "FILE", group = "marks")]
    kept: Option<PathBuf>,
    /// The mask, true for a suspect; or the positions of suspects, from 0: .npy
    #[arg(long, value_name = "FILE", group = "marks")]
    issues: Option<PathBuf>,
    /// The maximum number of suspects to print [default: 20 as text, all as JSON]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Write a contact sheet of the suspects: an HTML file with all pictures in it; an existing file is
    /// replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Add the suspects as claims that no recipe counts to this ledger, which is made if it does not exist
    #[arg(long, value_name = "LEDGER")]
    claims: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeArg,
}

impl Verb for MaskArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        check_outputs([(&self.html, Replaced::Page)])?;
        self.claims.as_deref().map_or(Ok(()), files::check_output)?;
        let kept = self.kept.as_deref().map(Mask::Kept);
        let Some(mask) = kept.or(self.issues.as_deref().map(Mask::Issues)) else {
            return Err(Error::Internal("no mask".into()));
        };
        let recipe = run.folder_recipe(&self.recipe, self.claims.as_deref())?;
        let mut report = find(&self.folder, mask, recipe.as_ref())?;
        if self.claims.is_some() {
            report.warnings.extend(report.subject.guess());
        }
        if let Some(file) = &self.html {
            let mut sheet = Sheet::new("Labels to look at");
            report.add_to_sheet(&mut sheet);
            files::write_output(file, &sheet.finish())?;
        }
        if let Some(ledger) = &self.claims {
            let claims = report.claims(&timestamp(SystemTime::now()));
            if !claims.is_empty() {
                row_file::append::<Ledger>(ledger, &claims)?;
            }
            run.complete();
        }
        print(&run.output, &report, self.top);
        Ok(exit::success_if(report.suspects.is_empty(), exit::FINDINGS))
    }
}

fn print(output: &Output, report: &MaskReport, top: Option<usize>) {
    output.warn(&report.warnings);
    let all = &report.suspects;
    let mut text = Page::of(format_args!(
        "{} of {} flagged by {}; positions are in the order of ImageFolder",
        all.len(),
        count(report.rows, "image"),
        report.name,
    ));
    let shown = &all[..top.unwrap_or(SHOWN).min(all.len())];
    if !shown.is_empty() {
        text.blank();
        writeln!(text, "  position  image");
    }
    for (position, at) in shown {
        writeln!(text, "  {position:>8}  {}", report.subject.images[*at].path);
    }
    if shown.len() < all.len() {
        text.blank();
        writeln!(text, "{} more: --top {} shows all, --json has them", all.len() - shown.len(), all.len());
    }
    let listed = &all[..top.unwrap_or(all.len()).min(all.len())];
    let images = || listed.iter().map(|(_, at)| &report.subject.images[*at]);
    let id = |at: &usize| Some(&report.subject.images[*at].source_id).filter(|_| !report.others.contains(at));
    let object = json!({
        "mask": report.name,
        "flagged": listed.iter().map(|(position, _)| position).collect::<Vec<_>>(),
        "images": images().map(|image| &image.path).collect::<Vec<_>>(),
        "source_ids": listed.iter().map(|(_, at)| id(at)).collect::<Vec<_>>(),
        "counts": { "rows": report.rows, "flagged": all.len() },
        "warnings": report.warnings,
    });
    output.print(&text, object);
}
