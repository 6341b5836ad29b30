//! `isn audit …`: one module a kind of evidence.

mod labels;
mod pixels;

use clap::Subcommand;

use super::commands::Run;
use crate::cli::exit::ExitCode;
use isn_format::error::Result;
use labels::LabelsArgs;
use pixels::{AllArgs, BalanceArgs, DuplicatesArgs, ImagesArgs};

/// `isn audit …`
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Rank labels that are probably wrong, by predicted probabilities or embeddings; exit 8 if there are any
    Labels(LabelsArgs),
    /// Find images that are there more than once, and those on both sides of a split; exit 8 if there are any
    Duplicates(DuplicatesArgs),
    /// Find images that are broken, tiny, blank, without colour, or much longer than wide; exit 8 if there are any
    Images(ImagesArgs),
    /// Count images by class and split, and say what an accuracy on a split can tell
    Balance(BalanceArgs),
    /// Duplicates, images and balance, with one look at each image; exit 8 if anything is found
    All(AllArgs),
}

impl Run {
    pub(super) fn audit(&self, command: AuditCommand) -> Result<ExitCode> {
        match command {
            AuditCommand::Labels(args) => self.audit_labels(&args),
            AuditCommand::Duplicates(args) => self.audit_duplicates(&args),
            AuditCommand::Images(args) => self.audit_images(&args),
            AuditCommand::Balance(args) => self.audit_balance(&args),
            AuditCommand::All(args) => self.audit_all(&args),
        }
    }
}
