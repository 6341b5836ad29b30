//! `isn audit …`: arguments in, the audit, its report out.

mod labels;

use std::process::ExitCode;

use clap::Subcommand;

use super::commands::Run;
use crate::error::Result;
pub(super) use labels::LabelsArgs;

/// `isn audit …`
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Rank labels that are probably wrong, by predicted probabilities or embeddings
    Labels(LabelsArgs),
}

impl Run {
    pub(super) fn audit(&self, command: AuditCommand) -> Result<ExitCode> {
        match command {
            AuditCommand::Labels(args) => self.audit_labels(&args),
        }
    }
}
