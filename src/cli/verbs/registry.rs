//! `isn registry …`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{faults, path_json, statements};
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, chain};
use isn_format::text::shell_word;
use isn_registry::ops::registry::{RegistryReport, RotateReport, init, rotate_key};
use isn_registry::ops::verify::store::check;

/// Arguments of `isn registry`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RegistryCommand {
    /// Turn an empty folder or bucket into a registry with a log of its own
    Init {
        /// The folder or bucket
        #[arg(value_name = "DIR|URL")]
        registry: String,
        /// The log's name, for example example.org/birds [default: isn.local/ and 16 hex digits of its key]
        #[arg(long)]
        origin: Option<String>,
        /// A private key file for the log. For an existing registry: its log key, to append from this machine
        /// too
        #[arg(long, value_name = "FILE")]
        log_key: Option<PathBuf>,
    },
    /// Verify a whole registry: its log, every release and every image
    Check {
        /// The folder, bucket or URL
        #[arg(value_name = "DIR|URL")]
        location: String,
    },
    /// Replace the log's key by a new one, signed with the old one
    RotateKey {
        /// The folder or bucket
        #[arg(value_name = "DIR|URL")]
        registry: String,
    },
}

impl Verb for RegistryCommand {
    fn aim(&self) -> Aim {
        match self {
            RegistryCommand::Check { .. } => Aim::Look,
            _ => Aim::Write,
        }
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        match self {
            RegistryCommand::Init { registry, origin, log_key } => {
                let store = run.store(registry)?;
                let report =
                    run.with_known(|known| init(store, origin.as_deref(), log_key.as_deref(), known))?;
                print_init(&run.output, registry, &report);
            }
            RegistryCommand::Check { location } => {
                let client = run.client(&RegistryArg::itself(location))?;
                let report = check(&client, location, run.jobs, &run.progress)?;
                faults::print(&run.output, &report);
                return Ok(faults::exit_code(&report));
            }
            RegistryCommand::RotateKey { registry } => {
                let store = run.store(registry)?;
                let report = run.with_known(|known| rotate_key(store, known))?;
                run.complete();
                print_rotate_key(&run.output, report, registry);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_init(output: &Output, registry: &str, report: &RegistryReport) {
    let how = if report.made { "is a registry now" } else { "is a registry already" };
    let mut text = Page::of(format_args!("{registry} {how}"));
    writeln!(text, "  log      {}", report.log_key);
    if let Some(path) = &report.key_path {
        writeln!(text, "  key      {} (keep a copy: nothing can be added without it)", path.display());
    }
    let object = json!({
        "path": registry,
        "made": report.made,
        "log_key": report.log_key,
        "key_path": report.key_path.as_deref().map(path_json),
    });
    output.print_done(&text, object);
}

fn print_rotate_key(output: &Output, report: RotateReport, registry: &str) {
    let RotateReport { submitted, log_key, attestations } = report;
    statements::print(output, &[submitted]);
    if !output.json {
        output.print_done(&Page::of(format_args!("  log      {log_key}")), Value::Null);
    }
    output.warn(attestations.iter().map(|why| {
        format!(
            "the log has its new key, but its attestation log takes no entry: {}. Mend it (`isn registry \
             check {}` says what is wrong): the next `isn append` of a statement of a rebuild signs it anew",
            chain(why),
            shell_word(registry)
        )
    }));
}
