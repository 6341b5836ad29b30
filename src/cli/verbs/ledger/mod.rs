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

/// Arguments of `isn ledger`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LedgerCommand {
    /// Print the label claims and decisions of each image
    Show(show::ShowArgs),
    /// Add a decision, which replaces the reviewer's earlier one; or a label claim, with --claim
    Add(add::AddArgs),
    /// Import the rows of another ledger, or the claims of a published study of ImageNet's labels
    Import(import::ImportArgs),
    /// Settle a recipe's ledger as a build does; exits with 8 if something would stop the build
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
