//! `isn append`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::{Aim, ExitCode};
use crate::cli::render::statements;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_registry::ops::sign::{append, send};
use isn_registry::registry::is_url;
use isn_registry::trust::RegistryId;

/// Arguments of `isn append`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AppendArgs {
    /// The file of the signed statement
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The registry's folder or bucket; for the statement of a rebuild, also the URL of an `isn serve`
    #[arg(long, value_name = "DIR|URL")]
    registry: String,
}

impl Verb for AppendArgs {
    fn aim(&self) -> Aim {
        Aim::Write
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let server = RegistryId::of_url(&self.registry)?.filter(|id| is_url(id.as_str()));
        let submitted = match &server {
            Some(server) => {
                let access = run.access()?;
                run.with_known(|known| send(&self.file, server, &access, known))?
            }
            None => {
                let store = run.store(&self.registry)?;
                run.with_known(|known| append(&self.file, store, known))?
            }
        };
        statements::print(&run.output, &[submitted]);
        Ok(ExitCode::SUCCESS)
    }
}
