//! `isn fetch`.

use clap::Args;
use serde_json::json;

use crate::cli::args::{RegistryArg, SelectionArgs};
use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{images, size, version};
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::Result;
use isn_registry::ops::fetch::{FetchReport, fetch};

/// Arguments of `isn fetch`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FetchArgs {
    /// The version: NAME, NAME@VERSION or a pin
    #[arg(value_name = "REF")]
    reference: DatasetRef,
    #[command(flatten)]
    registry: RegistryArg,
    #[command(flatten)]
    selection: SelectionArgs,
}

impl Verb for FetchArgs {
    fn aim(&self) -> Aim {
        Aim::Bring
    }

    fn kept(&self) -> Option<&'static str> {
        Some("the pieces fetched so far stay in the cache; run the same command again to resume")
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let selection = self.selection.read()?;
        let client = run.client(&self.registry)?;
        print(&run.output, &fetch(&client, &self.reference, &selection, run.jobs, &run.progress)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &FetchReport) {
    output.warn(&report.snapshot.head.warnings);
    let manifest = &report.snapshot.head.manifest;
    let mut text = Page::of(format_args!(
        "{}: {} in the cache, every one verified, {} fetched",
        manifest.id(),
        images(report.images, report.bytes),
        size(report.fetched_bytes)
    ));
    writeln!(text, "  pin      {}", manifest.pin());
    let mut object = version(&report.snapshot.head, report.images, report.bytes);
    object["fetched_bytes"] = json!(report.fetched_bytes);
    object["registry"] = json!(report.registry);
    output.print_done(&text, object);
}
