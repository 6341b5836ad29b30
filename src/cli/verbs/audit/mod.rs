//! `isn audit …`: one module for each kind of evidence.

mod all;
mod balance;
mod duplicates;
mod images;
mod labels;
mod mask;
mod target;

use clap::Subcommand;

use crate::cli::exit::ExitCode;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;

/// Arguments of `isn audit`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// Rank labels that are probably wrong, by predicted probabilities or embeddings; exits with 8 if there
    /// are any
    Labels(labels::LabelsArgs),
    /// List the images that a published mask of ImageFolder's positions puts in doubt; exits with 8 if there
    /// are any
    Mask(mask::MaskArgs),
    /// Find copies of images, above all copies in different splits; exits with 8 if there are any
    Duplicates(duplicates::DuplicatesArgs),
    /// Find images that are broken, tiny, blank, without colour or very long; exits with 8 if there are any
    Images(images::ImagesArgs),
    /// Count images by class and split, and compute how precise an accuracy on each split is
    Balance(balance::BalanceArgs),
    /// Run duplicates, images and balance, reading each image once; exits with 8 if anything is found
    All(all::AllArgs),
}

impl Verb for AuditCommand {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        match self {
            AuditCommand::Labels(args) => args.run(run),
            AuditCommand::Mask(args) => args.run(run),
            AuditCommand::Duplicates(args) => args.run(run),
            AuditCommand::Images(args) => args.run(run),
            AuditCommand::Balance(args) => args.run(run),
            AuditCommand::All(args) => args.run(run),
        }
    }
}
