//! `isn yank`.

use clap::Args;

use crate::cli::args::AdviceArgs;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_registry::ops::owner::yank;

/// Arguments of `isn yank`.
#[derive(Debug, Args)]
pub(in crate::cli) struct YankArgs {
    #[command(flatten)]
    advice: AdviceArgs,
}

impl Verb for YankArgs {
    fn aim(&self) -> Aim {
        Aim::Write
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let id = self.advice.version()?;
        run.speak(&self.advice.to, |speaker| yank(speaker, id, &self.advice.reason))
    }
}
