//! `isn cache …`

use std::time::{Duration, SystemTime};

use clap::Subcommand;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{path_json, size};
use crate::cli::run::{Run, Verb};
use crate::cli::values::{parse_age, parse_size};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, count};
use isn_registry::cache::{Cache, Damaged, Inventory, Swept};
use isn_registry::ops::cache::verify;

/// Arguments of `isn cache`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// Show where the cache is and what it holds
    Info,
    /// Hash every file and move damaged ones to quarantine; exit 3 if there are any
    Verify,
    /// Remove damaged files and leftovers of killed runs; with the options, old files too
    Gc {
        /// Remove the least recently used files until the cache is no larger, for example 500MB or 20GiB
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        max_size: Option<u64>,
        /// Remove files that were not used for this long, for example 30d
        #[arg(long, value_name = "AGE", value_parser = parse_age)]
        older_than: Option<u64>,
        /// Report what would be removed, without removing it
        #[arg(long)]
        dry_run: bool,
    },
}

impl Verb for CacheCommand {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let cache = run.settings.cache().ok_or_else(|| {
            Error::invalid("environment", "has no HOME: set ISN_CACHE to a folder for the cache")
        })?;
        match self {
            CacheCommand::Info => print_info(&run.output, &cache, &cache.inventory()?),
            CacheCommand::Verify => {
                let (checked, damaged) = verify(&cache, run.jobs, &run.progress)?;
                print_verify(&run.output, checked, &damaged, &cache.doubted()?);
                return Ok(exit::success_if(damaged.is_empty(), exit::INTEGRITY));
            }
            CacheCommand::Gc { max_size, older_than, dry_run } => {
                let older_than = older_than.map(Duration::from_secs);
                let swept = cache.sweep(*max_size, older_than, SystemTime::now(), *dry_run)?;
                print_gc(&run.output, &swept, *dry_run);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_info(output: &Output, cache: &Cache, inventory: &Inventory) {
    let mut text = Page::of(format_args!("{}: {}", cache.root().display(), size(inventory.bytes())));
    let parts = [
        ("shards", inventory.pieces, "piece"),
        ("objects", inventory.objects, "file"),
        ("sources", inventory.sources, "file"),
        ("tables", inventory.tables, "file"),
        ("decoded", inventory.decoded, "file"),
        ("damaged", inventory.quarantine, "file"),
        ("unfinished", inventory.temporary, "file"),
    ];
    for (name, (files, bytes), noun) in parts {
        if files > 0 || matches!(name, "shards" | "objects") {
            writeln!(text, "  {name:<10}  {}, {}", size(bytes), count(files as usize, noun));
        }
    }
    writeln!(text, "  {:<10}  {} known", "trees", inventory.trees);
    let part = |(files, bytes): (u64, u64)| json!({ "files": files, "bytes": bytes });
    let object = json!({
        "path": path_json(cache.root()),
        "bytes": inventory.bytes(),
        "pieces": part(inventory.pieces),
        "objects": part(inventory.objects),
        "sources": part(inventory.sources),
        "tables": part(inventory.tables),
        "decoded": part(inventory.decoded),
        "quarantine": part(inventory.quarantine),
        "temporary": part(inventory.temporary),
        "trees": inventory.trees,
    });
    output.print(&text, object);
}

fn print_verify(output: &Output, checked: u64, damaged: &[Damaged], doubted: &[Digest]) {
    let mut text = Page::default();
    for one in damaged {
        writeln!(text, "damaged: {}", one.path.display());
    }
    let checked_text = count(checked as usize, "file");
    match damaged.len() {
        0 => writeln!(text, "ok: {checked_text} checked"),
        n => writeln!(
            text,
            "FAILED: {n} of {checked_text} damaged and moved to quarantine; isn fetches them again when it \
             needs them"
        ),
    };
    if !doubted.is_empty() {
        writeln!(
            text,
            "  doubted: {}, which gave wrong bytes for an unknown reason; isn checks each image when it next \
             reads one",
            count(doubted.len(), "version")
        );
    }
    let paths: Vec<_> = damaged.iter().map(|one| path_json(&one.path)).collect();
    let doubted: Vec<_> = doubted.iter().map(Digest::prefixed).collect();
    output.print(
        &text,
        json!({ "ok": damaged.is_empty(), "checked": checked, "damaged": paths, "doubted": doubted }),
    );
}

fn print_gc(output: &Output, swept: &Swept, dry_run: bool) {
    let verb = if dry_run { "would remove" } else { "removed" };
    let text = Page::of(format_args!(
        "{verb} {}, {}; {} left",
        count(swept.files as usize, "file"),
        size(swept.bytes),
        size(swept.left)
    ));
    let object =
        json!({ "files": swept.files, "bytes": swept.bytes, "left": swept.left, "dry_run": dry_run });
    output.write(&text, &object, !dry_run);
}
