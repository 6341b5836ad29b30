//! `isn audit …`: one module a kind of evidence.

mod all;
mod balance;
mod duplicates;
mod images;
mod labels;
mod target;

use clap::Subcommand;

use crate::cli::exit::ExitCode;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;

/// `isn audit …`
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// Rank labels that are probably wrong, by predicted probabilities or embeddings; exit 8 if there are any
    Labels(labels::LabelsArgs),
    /// Find images that are there more than once, and those on both sides of a split; exit 8 if there are any
    Duplicates(duplicates::DuplicatesArgs),
    /// Find images that are broken, tiny, blank, without colour, or much longer than wide; exit 8 if there are any
    Images(images::ImagesArgs),
    /// Count images by class and split, and say what an accuracy on a split can tell
    Balance(balance::BalanceArgs),
    /// Duplicates, images and balance, with one look at each image; exit 8 if anything is found
    All(all::AllArgs),
}

impl Verb for AuditCommand {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        match self {
            AuditCommand::Labels(args) => args.run(run),
            AuditCommand::Duplicates(args) => args.run(run),
            AuditCommand::Images(args) => args.run(run),
            AuditCommand::Balance(args) => args.run(run),
            AuditCommand::All(args) => args.run(run),
        }
    }
}
