//! `isn mirror`.

use clap::Args;
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{claimed, size};
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Result, chain, count};
use isn_registry::ops::mirror::{MirrorOptions, MirrorReport, mirror};
use isn_registry::ops::verify::store::unsigned_lack;

/// Arguments of `isn mirror`.
#[derive(Debug, Args)]
pub(in crate::cli) struct MirrorArgs {
    /// The registry to copy: a folder, a URL or `bundled`
    #[arg(value_name = "SRC")]
    source: String,
    /// The folder or bucket to copy to: empty, or an earlier mirror
    #[arg(value_name = "DST")]
    destination: String,
    /// Only these datasets or versions, as NAME or NAME@VERSION [default: all]
    #[arg(value_name = "REF")]
    only: Vec<DatasetRef>,
    /// Hash what the mirror has already, and copy damaged objects again
    #[arg(long)]
    verify: bool,
}

impl Verb for MirrorArgs {
    fn aim(&self) -> Aim {
        Aim::Write
    }

    fn kept(&self) -> Option<&'static str> {
        Some("the objects copied so far are kept; run the same command again to resume")
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let client = run.client(&RegistryArg::itself(&self.source))?;
        let options = MirrorOptions { source: &self.source, only: &self.only, verify: self.verify };
        let store = run.store(&self.destination)?;
        let report = mirror(&client, &options, store, &run.progress)?;
        print(&run.output, &report, &self.source, &self.destination);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &MirrorReport, source: &str, destination: &str) {
    output.warn(claimed(source, report.is_claimed));
    let gone =
        report.gone.iter().map(|version| format!("{version} is withdrawn, and some of its objects are gone"));
    output.warn(gone);
    output.warn(report.rebuild_only.iter().map(|version| unsigned_lack(version)));
    output.warn(
        report.kept.iter().map(|version| {
            format!("{source} has no images of {version}: the mirror keeps those that it has")
        }),
    );
    let copied = count(report.copied, "object");
    let mut text = Page::of(format_args!(
        "{destination}: {copied} copied, {}; {} there",
        size(report.copied_bytes),
        report.there
    ));
    if report.repaired > 0 {
        writeln!(text, "  repaired {}", count(report.repaired, "object"));
    }
    writeln!(text, "  versions {}", report.versions);
    if !report.rebuild_only.is_empty() {
        writeln!(text, "  rebuild-only, without images: {}", report.rebuild_only.join(", "));
    }
    writeln!(text, "  entries  {} of log {}, {} new", report.entries, report.log_key, report.new_entries);
    match &report.attestations {
        Ok(0) => {}
        Ok(entries) => writeln!(text, "  entries  {entries} of its attestation log"),
        Err(why) => output.warn([format!(
            "all else is mirrored, but not the attestation log: {}. Run the same command again when that is \
             mended",
            chain(why)
        )]),
    }
    let object = json!({
        "attestations": report.attestations.as_ref().ok(),
        "registry": destination,
        "log_key": report.log_key,
        "trusted": !report.is_claimed,
        "entries": report.entries,
        "new_entries": report.new_entries,
        "versions": report.versions,
        "gone": report.gone,
        "rebuild_only": report.rebuild_only,
        "kept": report.kept,
        "copied": report.copied,
        "copied_bytes": report.copied_bytes,
        "there": report.there,
        "repaired": report.repaired,
    });
    output.print_done(&text, object);
}
