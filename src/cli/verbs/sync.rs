//! `isn sync`.

use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{path_json, size};
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_registry::ops::sync::{SyncOptions, Synced, sync};

/// Arguments of `isn sync`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SyncArgs {
    #[command(flatten)]
    registry: RegistryArg,
    /// Fail if isn.lock lacks a dataset of isn.toml, instead of adding it
    #[arg(long)]
    locked: bool,
    /// Write trees outside this folder if isn.lock names such a path (absolute, with `..`, or through a
    /// symlink)
    #[arg(long)]
    allow_outside: bool,
}

impl Verb for SyncArgs {
    fn aim(&self) -> Aim {
        Aim::Bring
    }

    fn kept(&self) -> Option<&'static str> {
        Some(self.kept_complete())
    }

    /// The first tree is complete before the others.
    fn kept_complete(&self) -> &'static str {
        "finished trees and the images fetched so far are kept; run the same command again to resume"
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let client = run.client(&self.registry)?;
        let options = SyncOptions {
            project: Path::new("."),
            locked: self.locked,
            allow_outside: self.allow_outside,
            jobs: run.jobs,
        };
        print(&run.output, &sync(&client, &options, &run.progress)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, synced: &[Synced]) {
    let mut text = Page::default();
    for one in synced {
        output.warn(&one.warnings);
        let how = match one.was_there {
            true => "already exists and is whole".into(),
            false => format!("pulled, {} fetched", size(one.fetched_bytes)),
        };
        writeln!(text, "{}: {how}", one.entry.path.display());
        writeln!(text, "  pin      {}", one.entry.pin);
    }
    let entries = synced.iter().map(|one| {
        json!({
            "path": path_json(&one.entry.path),
            "pin": one.entry.pin,
            "fetched_bytes": one.fetched_bytes,
            "warnings": one.warnings,
        })
    });
    output.print_done(&text, json!({ "synced": entries.collect::<Vec<_>>() }));
}
