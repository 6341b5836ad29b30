//! `isn prove`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::{DatasetRef, VersionId};
use isn_format::error::Result;
use isn_format::release::Standing;
use isn_registry::files;
use isn_registry::ops::log::{ProveReport, prove};

/// Arguments of `isn prove`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ProveArgs {
    /// The version: NAME, NAME@VERSION or a pin
    #[arg(value_name = "REF")]
    reference: DatasetRef,
    /// The file to write; an existing one is replaced [default: NAME-VERSION.tlog-proof]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for ProveArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let client = run.client(&self.registry)?;
        self.out.as_deref().map_or(Ok(()), files::check_output)?;
        let report = prove(&client, &self.reference)?;
        let VersionId { name, version } = report.release.id();
        let file = self.out.clone().unwrap_or_else(|| format!("{name}-{version}.tlog-proof").into());
        files::write_output(&file, &report.proof)?;
        run.complete();
        print(&run.output, &report, &file);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &ProveReport, file: &Path) {
    let release = &report.release;
    let Standing::Logged(position) = release.standing() else { return };
    let (file_shown, id) = (file.display(), release.id());
    let (index, origin) = (position.index, &position.origin);
    let mut text = Page::of(format_args!("{file_shown}: {id} is entry {index} of log {origin}"));
    writeln!(text, "  `isn verify --proof {file_shown}` verifies it without a network");
    let object = json!({ "file": path_json(file), "dataset": release.dataset().prefixed(), "log": position });
    output.print_done(&text, object);
}
