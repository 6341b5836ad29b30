//! `isn images`.

use clap::Args;
use serde_json::json;

use crate::cli::args::{RegistryArg, SelectionArgs};
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use crate::cli::values::one_of;
use isn_format::error::Result;
use isn_format::index::FullRow;
use isn_format::split::Split;
use isn_registry::client::version_at::VersionAt;
use isn_registry::ops::images::{ImagesReport, images};

/// Arguments of `isn images`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImagesArgs {
    /// The version: NAME, NAME@VERSION or a pin; or the folder of a build, such as ./birds-build
    #[arg(value_name = "REF|BUILD")]
    version: VersionAt,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Only images that are in this split of the source, for example ImageNet's own val images
    #[arg(long, value_name = "SPLIT", value_parser = one_of::<Split>(Split::ALL.map(Split::as_str)))]
    origin: Option<Split>,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for ImagesArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let selection = self.selection.read()?;
        let client = run.client(&self.registry)?;
        print(&run.output, &images(&client, &self.version, &selection, self.origin)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &ImagesReport) {
    output.warn(&report.snapshot.head.warnings);
    let mut paths = Page::default();
    report.images().for_each(|(row, _)| writeln!(paths, "{}", row.path()));
    let mut object = json!({
        "dataset": report.snapshot.head.manifest.dataset.prefixed(), "unsigned": report.snapshot.head.unsigned(),
    });
    let image = |(row, origin): (FullRow<'_>, Split)| {
        json!({
            "path": row.path().as_str(), "class": row.class().as_str(), "split": row.split(), "origin": origin,
            "source_id": row.source(), "width": row.width(), "height": row.height(),
        })
    };
    object["images"] = report.images().map(image).collect();
    output.print(&paths, object);
}
