//! `isn export`: arguments, what it does, what it prints.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::json;

use super::args::{RegistryArg, SelectionArgs};
use super::commands::Run;
use super::console::Page;
use super::exit::ExitCode;
use super::render::{Output, first_line, path_json, size};
use super::values::parse_shard_size;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Result, count};
use isn_registry::export::Format;
use isn_registry::ops::export::{ExportOptions, ExportReport, export};

/// What to export, as what, and where to.
#[derive(Debug, ClapArgs)]
pub(super) struct ExportArgs {
    /// Which version
    #[arg(value_name = "REF")]
    reference: DatasetRef,
    /// The format: imagefolder, webdataset, parquet, hf (Hugging Face), npz, tfrecord, mds (MosaicML) or croissant
    #[arg(long = "as", value_name = "FORMAT")]
    format: Format,
    /// The folder to write [default: ./NAME-VERSION-FORMAT]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Of npz: the largest square in the middle of each image, so many pixels wide [default: images as they are]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..65536))]
    size: Option<u32>,
    /// Where shards are cut, where the format has shards
    #[arg(long, value_name = "BYTES", default_value = "128MiB", value_parser = parse_shard_size)]
    shard_size: u64,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Run {
    pub(super) fn export(&self, args: ExportArgs) -> Result<ExitCode> {
        let selection = args.selection.read()?;
        self.with_client(&args.registry, |client| {
            let options = ExportOptions {
                reference: &args.reference,
                selection: &selection,
                format: args.format,
                to: args.to.as_deref(),
                shard_bytes: args.shard_size,
                size: args.size,
                jobs: self.jobs,
            };
            self.output.exported(&export(client, &options, &self.progress)?, args.format);
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Output {
    fn exported(&self, report: &ExportReport, format: Format) {
        self.warn(&report.warnings);
        let (manifest, (files, bytes)) = (&report.manifest, report.files);
        let mut text = Page::of(format_args!(
            "{}: {} as {format}, {}, {}",
            report.path.display(),
            count(report.images as usize, "image"),
            count(files as usize, "file"),
            size(bytes)
        ));
        writeln!(text, "  licence  {}", first_line(&manifest.licence));
        writeln!(text, "  pin      {}", manifest.pin());
        let object = json!({
            "name": manifest.name, "version": manifest.version, "dataset": manifest.dataset.prefixed(),
            "pin": manifest.pin(), "as": format.as_str(), "path": path_json(&report.path), "images": report.images,
            "files": files, "bytes": bytes, "unsigned": report.unsigned,
        });
        self.print_done(&text, object);
    }
}
