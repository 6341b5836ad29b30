//! `isn ledger check`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::class::ClassId;
use isn_format::corrections::Action;
use isn_format::error::{Result, count};
use isn_format::ledger::policy::ClaimCount;
use isn_registry::ops::ledger::{CheckReport, check};

/// Arguments of `isn ledger check`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// The recipe that names the ledger: a file, or the name of one that comes with isn
    #[arg(value_name = "RECIPE.toml|NAME")]
    recipe: PathBuf,
    /// The source images, if their names do not tell their classes
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
}

impl Verb for CheckArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let report = check(&run.recipe(&self.recipe)?, self.source.as_deref())?;
        print(&run.output, &report);
        Ok(exit::success_if(report.problems.is_empty(), exit::FINDINGS))
    }
}

fn print(output: &Output, report: &CheckReport) {
    output.warn(&report.warnings);
    let mut text = Page::default();
    let mut tally = [("removed", 0), ("relabelled", 0), ("kept", 0)];
    let (mut decided, mut several) = (Vec::new(), 0);
    for one in report.corrections.iter() {
        let (at, to) = match &one.action {
            Action::Remove => (0, None),
            Action::Relabel(to) => (1, Some(to.as_str())),
            Action::Keep => (2, None),
        };
        tally[at].1 += 1;
        let also = one.also();
        several += usize::from(!also.is_empty());
        let too = match also {
            [] => String::new(),
            also => format!(", also {}", also.iter().map(ClassId::as_str).collect::<Vec<_>>().join(" ")),
        };
        writeln!(text, "decided: {}: {}{too}: {}", one.source_id, one.action, one.because);
        let action = ["remove", "relabel", "keep"][at];
        decided.push(json!({
            "source_id": one.source_id, "action": action, "to": to, "also": also,
            "because": one.because.to_string(),
        }));
    }
    let mut open = Vec::new();
    for one in &report.open {
        let votes = one.votes.iter().map(|vote| match &vote.action {
            Some(action) => format!("{}: {action}", vote.source),
            None => format!("{}: unclear", vote.source),
        });
        let votes: Vec<String> = votes.collect();
        writeln!(
            text,
            "open: {} (now {}): {}: {}",
            one.source_id,
            one.given,
            one.why.as_str(),
            votes.join(", ")
        );
        open.push(json!({
            "source_id": one.source_id, "given": one.given.as_str(), "why": one.why.as_str(), "votes": votes,
        }));
    }
    report.problems.iter().for_each(|line| writeln!(text, "problem: {line}"));
    if report.claims.all > 0 {
        let ClaimCount { all, here } = report.claims;
        let of = if report.by_source { "this source" } else { "the recipe's classes" };
        writeln!(text, "claims: {here} of {all} are about images of {of}");
    }
    if several > 0 {
        writeln!(text, "several: {} of more than one class", count(several, "kept image"));
    }
    let of = tally.map(|(name, n)| format!("{n} {name}")).join(", ");
    writeln!(
        text,
        "{}: {}: {of}; {} left to a person; {}",
        report.ledger,
        count(report.rows, "row"),
        report.open.len(),
        count(report.problems.len(), "problem"),
    );
    let object = json!({
        "ledger": report.ledger, "rows": report.rows, "decided": decided, "open": open, "claims": report.claims,
        "problems": report.problems, "warnings": report.warnings,
    });
    output.print(&text, object);
}
