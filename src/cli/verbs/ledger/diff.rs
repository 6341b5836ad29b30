//! `isn ledger diff`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use serde_json::{Value, json};

use super::rows::{row, said};
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_format::ledger::Row;
use isn_registry::ops::ledger::{DiffReport, diff};

/// Arguments of `isn ledger diff`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// The older ledger
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    old: PathBuf,
    /// The newer ledger
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    new: PathBuf,
}

impl Verb for DiffArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        print(&run.output, &diff(&self.old, &self.new)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &DiffReport) {
    let mut text = Page::default();
    for (sign, rows) in [("-", &report.removed), ("+", &report.added)] {
        let line = |row: &Row| writeln!(text, "{sign} {}: {}", row.source_id(), said(row));
        rows.iter().for_each(line);
    }
    let mut decided = Vec::new();
    for (id, was, is) in &report.decided {
        writeln!(text, "{id}: was {was}, is {is}");
        decided.push(json!({ "source_id": id, "was": was, "is": is }));
    }
    let (added, removed) = (report.added.len(), report.removed.len());
    writeln!(text, "{} added, {removed} removed", count(added, "row"));
    let rows = |rows: &[Row]| rows.iter().map(row).collect::<Vec<Value>>();
    let object =
        json!({ "added": rows(&report.added), "removed": rows(&report.removed), "decided": decided });
    output.print(&text, object);
}
