//! `isn pairs add`.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::{row, said};
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result};
use isn_format::ledger::date::timestamp;
use isn_format::pairs::{Decision, Pair, Pairs, Reason, Says};
use isn_format::source_spec::nfc;
use isn_registry::ops::ledger::{looks_like_a_file, of_no_image};
use isn_registry::row_file;

/// Arguments of `isn pairs add`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddArgs {
    /// The file of pairs, which is made if it does not exist
    #[arg(value_name = "PAIRS")]
    pairs: PathBuf,
    /// The source id of one image, as `isn audit duplicates --json` prints it; after -- if it starts with -
    #[arg(value_name = "ID")]
    first: String,
    /// The source id of the other one
    #[arg(value_name = "OTHER-ID")]
    second: String,
    /// The decision: same (one picture, or copies of one, which must not be in two splits), different (they
    /// may), unsure or withdraw
    #[arg(value_name = "WHAT", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(Says::ALL.iter().map(|code| code.as_str())))]
    says: String,
    /// The reason for the decision
    #[arg(long, value_name = "CODE",
          value_parser = PossibleValuesParser::new(Reason::ALL.iter().map(|code| code.as_str())))]
    reason: String,
    /// The name of the person who decides
    #[arg(long, value_name = "NAME")]
    reviewer: String,
    /// The evidence, in one line
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    evidence: String,
    /// The date, as YYYY-MM-DD [default: now]
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

impl Verb for AddArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let decision = self.decision()?;
        let mut warnings = Vec::new();
        if let Some(file) = decision.pair.ids().into_iter().find(|id| looks_like_a_file(id)) {
            warnings.push(format!(
                "{file} looks like a file, and a source id has no extension: `isn pairs check` finds ids that no \
                 image has"
            ));
        }
        if let Some(beside) = run.recipe_beside(&self.pairs) {
            let recipe = &beside.file.recipe;
            warnings.extend(of_no_image(recipe, true, decision.pair.ids().into_iter()));
            let name = self.pairs.file_name().unwrap_or_default().to_string_lossy();
            if recipe.split.pairs.as_deref() != Some(&*name) {
                warnings.push(format!(
                    "the recipe beside it does not name {name}, so that it has no effect: add pairs = \"{name}\" to \
                     [split], in format = \"isn-recipe/2\""
                ));
            }
        }
        run.output.warn(&warnings);
        let is_new = !self.pairs.exists();
        row_file::append::<Pairs>(&self.pairs, std::slice::from_ref(&decision))?;
        run.complete();
        let (file, new) = (self.pairs.display(), if is_new { " (a new file)" } else { "" });
        let text = Page::of(format_args!("{file}{new}: {}: {}", decision.pair, said(&decision)));
        let object = json!({
            "pairs": path_json(&self.pairs), "new": is_new, "row": row(&decision), "warnings": warnings,
        });
        run.output.print_done(&text, object);
        Ok(ExitCode::SUCCESS)
    }
}

impl AddArgs {
    fn decision(&self) -> Result<Decision> {
        let (says, reason) = (Says::of_code(&self.says), Reason::of_code(&self.reason));
        let (Some(says), Some(reason)) = (says, reason) else {
            return Err(Error::invalid(&self.says, "is no decision about a pair"));
        };
        // As in the source, where a name that a system has in parts is composed.
        let pair = Pair::new(&nfc(&self.first), &nfc(&self.second))
            .ok_or_else(|| Error::invalid(&self.first, "is given twice: name two different images"))?;
        Ok(Decision {
            pair,
            says,
            reviewer: self.reviewer.clone(),
            reason,
            date: self.date.clone().unwrap_or_else(|| timestamp(SystemTime::now())),
            evidence: self.evidence.clone(),
        })
    }
}
