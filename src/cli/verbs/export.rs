//! `isn export`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::args::{RegistryArg, SelectionArgs};
use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{first_line, path_json, size};
use crate::cli::run::{Run, Verb};
use crate::cli::values::{one_of, parse_shard_size};
use isn_format::error::{Result, count};
use isn_registry::client::version_at::VersionAt;
use isn_registry::export::Format;
use isn_registry::ops::export::{ExportOptions, ExportReport, export};

/// Arguments of `isn export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// The version: NAME, NAME@VERSION or a pin; or a build or a tree
    #[arg(value_name = "REF|BUILD|TREE")]
    version: VersionAt,
    /// The format; hf is that of Hugging Face, mds that of MosaicML
    #[arg(long = "as", value_name = "FORMAT",
          value_parser = one_of::<Format>(Format::ALL.map(Format::as_str)))]
    format: Format,
    /// The folder to write [default: ./NAME-VERSION-FORMAT]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    selection: SelectionArgs,
    /// For npz: crop each image to its central square and resize it to this side [default: keep the images]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..65536))]
    size: Option<u32>,
    /// The maximum size of a shard, for formats with shards
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = parse_shard_size)]
    shard_size: u64,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for ExportArgs {
    fn aim(&self) -> Aim {
        Aim::Bring
    }

    fn kept(&self) -> Option<&'static str> {
        Some(match self.registry.no_cache {
            true => "nothing was exported; run the same command again",
            false => "nothing was exported, and fetched pieces stay in the cache; run the same command again",
        })
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let selection = self.selection.read()?;
        let client = run.client(&self.registry)?;
        let options = ExportOptions {
            version: &self.version,
            selection: &selection,
            format: self.format,
            to: self.to.as_deref(),
            shard_bytes: self.shard_size,
            size: self.size,
            jobs: run.jobs,
        };
        print(&run.output, &export(&client, &options, &run.progress)?, self.format);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &ExportReport, format: Format) {
    output.warn(&report.warnings);
    let (it, (files, bytes)) = (&report.identity, report.files);
    let mut text = Page::of(format_args!(
        "{}: {} as {format}, {}, {}",
        report.path.display(),
        count(report.images as usize, "image"),
        count(files as usize, "file"),
        size(bytes)
    ));
    writeln!(text, "  licence  {}", first_line(&it.licence));
    writeln!(text, "  pin      {}", it.pin);
    let object = json!({
        "name": it.name, "version": it.version, "dataset": it.dataset.prefixed(),
        "pin": it.pin, "as": format.as_str(), "path": path_json(&report.path), "images": report.images,
        "files": files, "bytes": bytes, "unsigned": report.unsigned,
    });
    output.print_done(&text, object);
}
