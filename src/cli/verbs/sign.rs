//! `isn sign`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{fingerprints, path_json, statements};
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_registry::ops::sign::{SignReport, sign};

/// Arguments of `isn sign`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SignArgs {
    /// The file of the statement, which `isn publish` and other commands write with --statement
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The signing key: a name from `isn key list`, a private key file, or a .pub file whose key the SSH
    /// agent holds
    #[arg(long, value_name = "NAME|FILE")]
    key: String,
}

impl Verb for SignArgs {
    fn aim(&self) -> Aim {
        Aim::Write
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let report = sign(&self.file, run.signer(&self.key)?.as_ref())?;
        print(&run.output, &report, &self.file);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &SignReport, file: &Path) {
    let mut text = Page::default();
    text.block("", &report.statement.to_string());
    for signer in &report.signers {
        writeln!(text, "signed by {}", signer.fingerprint());
    }
    let mut object = statements::statement_json(&report.statement);
    object["file"] = path_json(file);
    object["signers"] = json!(fingerprints(&report.signers));
    output.print_done(&text, object);
}
