//! `isn verify-source`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::{self, Page};
use crate::cli::exit::{self, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Result, count};
use isn_registry::ops::verify_source::{VerifySourceReport, verify_source};

/// Arguments of `isn verify-source`.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifySourceArgs {
    /// The version: NAME, NAME@VERSION or a pin
    #[arg(value_name = "REF")]
    reference: DatasetRef,
    /// Your copy of the source images, in any layout
    #[arg(long, value_name = "DIR")]
    source: PathBuf,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for VerifySourceArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let client = run.client(&self.registry)?;
        let report = verify_source(&client, &self.reference, &self.source, run.jobs, &run.progress)?;
        print(&run.output, &report, &self.source);
        let fault = if report.differing.is_empty() { exit::FINDINGS } else { exit::INTEGRITY };
        Ok(exit::success_if(report.differing.is_empty() && report.missing.is_empty(), fault))
    }
}

fn print(output: &Output, report: &VerifySourceReport, dir: &Path) {
    output.warn(&report.warnings);
    let (differing, missing) = (&report.differing, &report.missing);
    let is_right = differing.is_empty() && missing.is_empty();
    let manifest = &report.snapshot.head.manifest;
    let mut text = Page::default();
    let checked = count(report.checked as usize, "source file");
    let unsigned = report.snapshot.head.unsigned();
    let as_said = match unsigned {
        [] => "as released",
        _ => "as in the index, which no key you trust has signed",
    };
    let has_none = report.checked == 0 && !is_right;
    if has_none {
        writeln!(text, "FAILED: {} has none of the {} source images", dir.display(), missing.len());
    } else if is_right {
        writeln!(text, "ok: {} ({}): {checked} {as_said}", dir.display(), report.layout)
    } else {
        writeln!(
            text,
            "FAILED: {} ({}): {checked} compared, {} differ, {} missing",
            dir.display(),
            report.layout,
            differing.len(),
            missing.len()
        )
    };
    if !has_none {
        [differing, missing].iter().for_each(|list| text.list(list));
    }
    writeln!(text, "  pin      {}", manifest.pin());
    let object = json!({
        "ok": is_right,
        "name": manifest.name,
        "version": manifest.version,
        "pin": manifest.pin(),
        "path": path_json(dir),
        "source": report.layout,
        "checked": report.checked,
        "differing": differing,
        "missing": missing,
        "unsigned": unsigned,
        "warnings": report.warnings,
    });
    output.print(&text, object);
    if has_none {
        console::message(
            "help: ",
            "--source takes the folder that has train/ and val/, the official archives or the parquet files",
        );
    }
}
