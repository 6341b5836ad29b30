//! `isn diff`: arguments in, the comparison, its report out.

use std::path::PathBuf;

use clap::Args;

use super::args::RegistryArg;
use super::commands::Run;
use super::exit;
use super::render::diff_page;
use crate::cli::exit::ExitCode;
use isn_format::error::Result;
use isn_registry::files;
use isn_registry::ops;

/// Which versions, and what to make of it.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The older version: a reference, or the folder of a tree or build. A tree is taken at its B3SUMS; whether its files
    /// are those, `isn verify TREE` says
    #[arg(value_name = "OLD")]
    old: String,
    /// The newer one
    #[arg(value_name = "NEW")]
    new: String,
    /// Write a page with the pictures before and after
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How many changes of the page have their pictures
    #[arg(long, value_name = "N", default_value = "500", requires = "html")]
    pictures: usize,
    /// Exit 8 if there is a difference
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Run {
    pub(super) fn diff(&self, args: &DiffArgs) -> Result<ExitCode> {
        args.html.as_deref().map_or(Ok(()), files::check_output)?;
        let pictures = args.html.as_ref().map_or(0, |_| args.pictures);
        let report = self.with_client(&args.registry, |client| {
            ops::diff::diff(client, &args.old, &args.new, pictures, self.jobs, &self.progress)
        })?;
        if let Some(file) = &args.html {
            files::write_output(file, diff_page::page(&report).as_bytes())?;
        }
        self.output.compared(&report, args.html.as_deref());
        Ok(match args.exit_code && !report.is_same() {
            true => ExitCode::from(exit::FINDINGS),
            false => ExitCode::SUCCESS,
        })
    }
}
