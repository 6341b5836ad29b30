//! `isn append`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::{Aim, ExitCode};
use crate::cli::render::statements;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_registry::ops::sign::append;

/// Arguments of `isn append`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AppendArgs {
    /// The file of the signed statement
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The registry's folder or bucket
    #[arg(long, value_name = "DIR|URL")]
    registry: String,
}

impl Verb for AppendArgs {
    fn aim(&self) -> Aim {
        Aim::Write
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let store = run.store(&self.registry)?;
        statements::print(&run.output, &[run.with_known(|known| append(&self.file, store, known))?]);
        Ok(ExitCode::SUCCESS)
    }
}
