//! `isn pairs …`

mod add;
mod check;
mod show;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::exit::ExitCode;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_format::pairs::Decision;

/// Arguments of `isn pairs`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PairsCommand {
    /// Print the decisions about each pair
    Show(show::ShowArgs),
    /// Add a decision about two images, which replaces the reviewer's earlier one
    Add(add::AddArgs),
    /// Check a recipe's pairs and, with --source, that they are about its images; exits with 8 if something
    /// would stop a build. Whether images that are the same stay in two splits, a build finds
    Check(check::CheckArgs),
}

impl Verb for PairsCommand {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        match self {
            PairsCommand::Show(args) => args.run(run),
            PairsCommand::Add(args) => args.run(run),
            PairsCommand::Check(args) => args.run(run),
        }
    }
}

/// What a reviewer decided, in words.
fn said(decision: &Decision) -> String {
    let Decision { says, reviewer, reason, date, evidence, .. } = decision;
    let evidence = if evidence.is_empty() { String::new() } else { format!(": {evidence}") };
    format!("{reviewer} decides {}: {}{evidence} ({date})", says.as_str(), reason.as_str())
}

fn row(decision: &Decision) -> Value {
    let Decision { pair, says, reviewer, reason, date, evidence } = decision;
    json!({
        "kind": "decision", "first": pair.first(), "second": pair.second(), "says": says.as_str(),
        "reviewer": reviewer, "reason": reason.as_str(), "date": date, "evidence": evidence,
    })
}
