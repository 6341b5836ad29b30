//! `isn info`.

use clap::Args;
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::{images, signed, version};
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::Result;
use isn_registry::ops::info::{InfoReport, info};

/// Arguments of `isn info`.
#[derive(Debug, Args)]
pub(in crate::cli) struct InfoArgs {
    /// The version: NAME, NAME@VERSION or a pin
    #[arg(value_name = "REF")]
    reference: DatasetRef,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for InfoArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let client = run.client(&self.registry)?;
        print(&run.output, &info(&client, &self.reference)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &InfoReport) {
    output.warn(&report.snapshot.head.warnings);
    let manifest = &report.snapshot.head.manifest;
    let mut text = Page::default();
    writeln!(text, "{}  {}", manifest.id(), manifest.title);
    // The bar marks the publisher's text, so that it cannot pass for isn's, such as who signed.
    text.block("  | ", manifest.description.trim());
    let fields = [
        ("images", images(manifest.images, manifest.bytes)),
        ("pipeline", manifest.pipeline.clone()),
        ("source", manifest.source.clone()),
        ("licence", manifest.licence.trim().into()),
        ("authors", manifest.authors.join(", ")),
        ("registry", report.registry.clone()),
        ("signed", signed(&report.snapshot)),
        ("manifest", report.snapshot.head.manifest_ref.blake3.prefixed()),
        ("dataset", manifest.dataset.prefixed()),
        ("pin", manifest.pin().to_string()),
    ];
    for (name, value) in fields {
        let mut lines = value.lines();
        writeln!(text, "  {name:<9}  {}", lines.next().unwrap_or_default());
        lines.for_each(|line| text.block("             ", line));
    }
    if report.rebuild_only {
        writeln!(
            text,
            "  rebuild-only: no images here, `isn pull {} --source DIR` builds them",
            manifest.pin()
        );
    }
    let splits: Vec<_> = manifest.splits.keys().collect();
    let heads: String = splits.iter().map(|split| format!("{:>8}", split.as_str())).collect();
    text.blank();
    writeln!(text, "  {:<12}{heads}  class", "id");
    for class in report.snapshot.classes() {
        let counts: String = splits
            .iter()
            .map(|split| format!("{:>8}", manifest.splits[split].get(&class.id).unwrap_or(&0)))
            .collect();
        let group = class.group.as_ref().map(|group| format!(" ({group})")).unwrap_or_default();
        writeln!(text, "  {:<12}{counts}  {}{group}", class.id.as_str(), class.label);
    }
    let mut object = version(&report.snapshot, manifest.images, manifest.bytes);
    object["title"] = json!(manifest.title);
    object["description"] = json!(manifest.description);
    object["licence"] = json!(manifest.licence);
    object["authors"] = json!(manifest.authors);
    object["citation"] = json!(manifest.citation);
    object["pipeline"] = json!(manifest.pipeline);
    object["source"] = json!(manifest.source);
    object["splits"] = json!(manifest.splits);
    object["registry"] = json!(report.registry);
    object["rebuild_only"] = json!(report.rebuild_only);
    output.print(&text, object);
}
