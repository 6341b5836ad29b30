//! `isn attest …`

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::console::Page;
use crate::cli::exit::{self, Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{path_json, statements};
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_format::key::PublicKey;
use isn_format::statement::Statement;
use isn_registry::ops::attest::{AttestReport, ConfirmReport, Confirmed, attest, confirm};

/// Arguments of `isn attest`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(in crate::cli) struct AttestArgs {
    #[command(subcommand)]
    command: Option<AttestCommand>,
    /// The build, or a tree that was built here: `isn pull REF --source DIR` writes one
    #[arg(value_name = "BUILD|TREE", required = true)]
    target: Option<PathBuf>,
    /// The signing key: a name from `isn key list`, a private key file, or a .pub file whose key the SSH
    /// agent holds [default: your only key]
    #[arg(long, value_name = "NAME|FILE")]
    key: Option<String>,
    /// The file to write [default: ./NAME-VERSION.rebuilt.statement]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum AttestCommand {
    /// Check statements of others against the images that you have; exits with 8 if one does not hold
    Verify {
        /// The signed statements
        #[arg(value_name = "FILE", required = true)]
        statements: Vec<PathBuf>,
        /// Your build or tree of the same version
        #[arg(value_name = "BUILD|TREE")]
        target: PathBuf,
    },
}

impl Verb for AttestArgs {
    fn aim(&self) -> Aim {
        match self.command {
            None => Aim::Write,
            Some(_) => Aim::Look,
        }
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        if let Some(AttestCommand::Verify { statements, target }) = &self.command {
            let report = confirm(statements, target, &run.progress)?;
            print_confirm(&run.output, &report, &run.known_keys());
            let all_hold = report.statements.iter().all(|one| one.faults.is_empty());
            return Ok(exit::success_if(all_hold, exit::FINDINGS));
        }
        let signer = run.signer_or_only(self.key.as_deref())?;
        let target = self.target.as_deref().unwrap_or_else(|| std::path::Path::new(""));
        let report = attest(target, signer.as_ref(), self.out.as_deref(), &run.progress)?;
        print(&run.output, &report);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &AttestReport) {
    let (rebuilt, file) = (&report.rebuilt, report.file.display());
    let mut text = Page::of(format_args!(
        "{file}: {} states that it built {}, and has its {}",
        report.signer.fingerprint(),
        rebuilt.id,
        count(report.images, "image"),
    ));
    writeln!(text, "  dataset  {}", rebuilt.dataset.prefixed());
    writeln!(text, "  inputs   {}", rebuilt.inputs.prefixed());
    writeln!(text, "  sources  {}", rebuilt.sources.prefixed());
    writeln!(
        text,
        "send it to others, who check it against their own images: `isn attest verify {file} BUILD`"
    );
    let mut object = statements::statement_json(&Statement::Rebuilt(rebuilt.clone()));
    object["file"] = path_json(&report.file);
    object["signer"] = json!(report.signer.fingerprint());
    object["images"] = json!(report.images);
    output.print_done(&text, object);
}

fn print_confirm(output: &Output, report: &ConfirmReport, known: &BTreeSet<PublicKey>) {
    let mut text = Page::default();
    for one in &report.statements {
        let whose = if known.contains(&one.signer) { "known to you" } else { "not known to you" };
        let by = format!("{}, {whose},", one.signer.fingerprint());
        let id = &one.rebuilt.id;
        let file = one.file.display();
        match one.faults.is_empty() {
            true => writeln!(text, "ok: {file}: {by} built {id} and has its images{}", beside(one)),
            false => writeln!(text, "NOT OK: {file}: by {by} {}", one.faults.join("; ")),
        };
    }
    let statements: Vec<Value> = report.statements.iter().map(|one| confirmed_json(one, known)).collect();
    let object = json!({
        "ok": report.statements.iter().all(|one| one.faults.is_empty()),
        "name": report.id.name,
        "version": report.id.version,
        "dataset": report.dataset.prefixed(),
        "statements": statements,
    });
    output.print(&text, object);
}

/// What differs, or is not known, between two builds with the same result.
fn beside(one: &Confirmed) -> String {
    let said = |what: &str, same: Option<bool>| match same {
        Some(true) => None,
        Some(false) => Some(format!("; from other {what} than you")),
        None => Some(format!("; the {what} of your own are not known")),
    };
    let notes = [said("inputs (recipe, ledger)", one.same_inputs), said("source files", one.same_sources)];
    notes.into_iter().flatten().collect()
}

fn confirmed_json(one: &Confirmed, known: &BTreeSet<PublicKey>) -> Value {
    let mut object = statements::statement_json(&Statement::Rebuilt(one.rebuilt.clone()));
    object["file"] = path_json(&one.file);
    object["signer"] = json!(one.signer.fingerprint());
    object["known"] = json!(known.contains(&one.signer));
    object["faults"] = json!(one.faults);
    object["same_inputs"] = json!(one.same_inputs);
    object["same_sources"] = json!(one.same_sources);
    object
}
