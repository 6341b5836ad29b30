//! `isn list`.

use clap::Args;
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::{self, Page};
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_registry::ops::list::{Listed, list};

/// Where to look.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for ListArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let locations = run.settings.registries(self.registry.registry.as_deref())?;
        let (listed, failed) = list(&locations, &run.access()?)?;
        if failed.is_empty() || !listed.is_empty() {
            print(&run.output, &listed);
        }
        // The first is the run's error, the others are said.
        let mut failed = failed.into_iter();
        let first = failed.next();
        run.output.warn(failed);
        first.map_or(Ok(ExitCode::SUCCESS), Err)
    }
}

fn print(output: &Output, listed: &[Listed]) {
    let mut text = Page::default();
    for one in listed {
        let versions: Vec<String> = one.versions.iter().map(ToString::to_string).collect();
        writeln!(text, "{}  {}  ({})", one.name, versions.join(" "), one.registry);
    }
    if listed.is_empty() && !output.json {
        console::message("", "no datasets");
        return;
    }
    let datasets = listed
        .iter()
        .map(|one| json!({ "name": one.name, "versions": one.versions, "registry": one.registry }));
    output.print(&text, json!({ "datasets": datasets.collect::<Vec<_>>() }));
}
