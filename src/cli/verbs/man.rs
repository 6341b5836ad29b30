//! `isn man`, which packagers run. The help does not list it.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result};

/// Arguments of `isn man`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The folder to write a page for each verb to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Verb for ManArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        fs::create_dir_all(&self.dir).map_err(Error::io("create", &self.dir))?;
        clap_mangen::generate_to((run.command)(), &self.dir).map_err(Error::io("write", &self.dir))?;
        let text = Page::of(format_args!("{}: man pages written", self.dir.display()));
        run.output.print_done(&text, json!({ "path": path_json(&self.dir) }));
        Ok(ExitCode::SUCCESS)
    }
}
