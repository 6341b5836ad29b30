//! `isn ledger …`

mod add;
mod check;
mod diff;
mod import;
mod rows;
mod show;

use clap::Subcommand;

use crate::cli::exit::ExitCode;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;

/// `isn ledger …`
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LedgerCommand {
    /// Print what is claimed and decided, image by image
    Show(show::ShowArgs),
    /// Add a decision, or with --claim a claim; an earlier decision of the same reviewer counts no more
    Add(add::AddArgs),
    /// Take in the rows of another ledger, or published claims: ReaL's real.json, imagenet_mturk.json, CSV
    Import(import::ImportArgs),
    /// Settle a recipe's ledger as a build does; exit 8 if something stands in a build's way
    Check(check::CheckArgs),
    /// Compare two ledgers
    Diff(diff::DiffArgs),
}

impl Verb for LedgerCommand {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        match self {
            LedgerCommand::Show(args) => args.run(run),
            LedgerCommand::Add(args) => args.run(run),
            LedgerCommand::Import(args) => args.run(run),
            LedgerCommand::Check(args) => args.run(run),
            LedgerCommand::Diff(args) => args.run(run),
        }
    }
}
