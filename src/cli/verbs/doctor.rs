//! `isn doctor`.

use std::path::Path;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_registry::cache::Cache;
use isn_registry::ops::doctor::{DoctorReport, State, Surroundings, doctor};
use isn_registry::settings::Settings;

/// Arguments of `isn doctor`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for DoctorArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        // The doctor reports settings that cannot be read.
        let client = run.client(&self.registry);
        let cache = run.settings.cache();
        let agent = Settings::ssh_agent();
        let around = Surroundings {
            home: run.settings.home(),
            cache: cache.as_ref().map(Cache::root),
            here: Path::new("."),
            variables: Settings::variables(),
            agent: agent.as_deref(),
            serves: cfg!(feature = "serve"),
        };
        let report = doctor(client.as_ref(), &around);
        print(&run.output, &report);
        Ok(exit::success_if(!report.is_ill(), exit::FINDINGS))
    }
}

fn print(output: &Output, report: &DoctorReport) {
    let mut text = Page::default();
    for (name, value) in &report.facts {
        writeln!(text, "{name:<14}  {value}");
    }
    text.blank();
    for finding in &report.findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong => "WRONG",
        };
        writeln!(text, "{state:<5}  {}: {}", finding.what, finding.found);
        text.block("       ", finding.cure.as_deref().unwrap_or_default());
    }
    let facts: Map<String, Value> =
        report.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let object = json!({ "ok": !report.is_ill(), "facts": facts, "findings": report.findings });
    output.print(&text, object);
}
