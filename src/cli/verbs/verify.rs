//! `isn verify`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::{faults, fingerprints};
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Result};
use isn_format::log::LogKey;
use isn_format::text::shell_word;
use isn_registry::client::version_at::is_path;
use isn_registry::files;
use isn_registry::ops::verify::{Expectation, ProofReport, Target, verify, verify_proof};
use isn_registry::trust::RegistryId;

/// Arguments of `isn verify`.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// A tree, a build, a registry's folder, or a version (NAME, NAME@VERSION or a pin)
    #[arg(value_name = "PATH|REF", required_unless_present = "proof")]
    subject: Option<String>,
    /// Verify the proof in this file, which `isn prove` wrote, without a network; and the tree against it, if
    /// one is given
    #[arg(long, value_name = "FILE", conflicts_with = "expect")]
    proof: Option<PathBuf>,
    /// The key of the proof's log [default: the one that you trust]
    #[arg(long, value_name = "VKEY", requires = "proof")]
    log_key: Option<LogKey>,
    /// The version or dataset hash that the tree must have
    #[arg(long, value_name = "REF|b3:HASH")]
    expect: Option<DatasetRef>,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for VerifyArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let client = run.client(&self.registry)?;
        let (subject, jobs) = (self.subject.as_deref(), run.jobs);
        Ok(match &self.proof {
            Some(proof) => {
                let (log_key, tree) = (self.log_key.as_ref(), subject.map(Path::new));
                let report = verify_proof(&client, proof, log_key, tree, jobs, &run.progress)?;
                print_proof(&run.output, &report);
                report.tree.as_ref().map_or(ExitCode::SUCCESS, faults::exit_code)
            }
            None => {
                let target = target(subject.unwrap_or_default())?;
                let expect = self.expect.clone().map(|reference| match reference {
                    DatasetRef::Pin(hash) => Expectation::Hash(hash),
                    reference => Expectation::Reference(reference),
                });
                if let (Target::Path(_), None, Some(_)) = (&target, &expect, &self.registry.registry) {
                    let why =
                        "--registry is not used: --expect REF compares a folder with a version of a registry";
                    run.output.warn([why]);
                }
                let report = verify(&client, &target, expect.as_ref(), jobs, &run.progress)?;
                faults::print(&run.output, &report);
                faults::exit_code(&report)
            }
        })
    }
}

/// Returns a path if the text is one that exists or looks like one, and otherwise a reference.
fn target(text: &str) -> Result<Target> {
    if matches!(RegistryId::of_url(text), Ok(Some(_))) {
        let why = format!(
            "is the address of a registry: `isn registry check {}` verifies all of it, and --registry with a \
             version one version",
            shell_word(text)
        );
        return Err(Error::invalid(text, why));
    }
    let path = PathBuf::from(text);
    if !files::is_absent(&path) {
        return Ok(Target::Path(path));
    }
    if is_path(text) {
        // Unless it is `https:/x`, it is a path with a mistake.
        return RegistryId::of_url(text).map(|_| Target::Path(path));
    }
    text.parse().map(Target::Reference).map_err(|why| Error::Subject { text: text.into(), why })
}

fn print_proof(output: &Output, report: &ProofReport) {
    let release = &report.release;
    let (title, position) = (&release.id, &report.position);
    let mut text = Page::of(format_args!(
        "ok: the release of {title} is entry {} of log {}, which had {} entries",
        position.index, position.origin, position.size
    ));
    for signer in &report.signers {
        writeln!(text, "  signed   by {}", signer.fingerprint());
    }
    writeln!(text, "  log      {}", report.log_key);
    writeln!(text, "  dataset  {}", release.dataset.prefixed());
    let mut object = json!({
        "ok": report.tree.as_ref().is_none_or(|tree| tree.faults.is_empty()),
        "kind": "proof",
        "name": release.id.name,
        "version": release.id.version,
        "dataset": release.dataset.prefixed(),
        "manifest": release.manifest.prefixed(),
        "signers": fingerprints(&report.signers),
        "log": position,
    });
    if let Some(tree) = &report.tree {
        object["faults"] = json!(tree.faults);
    }
    output.print(&text, object);
    if let Some(tree) = report.tree.as_ref().filter(|_| !output.json) {
        faults::print(output, tree);
    }
}
