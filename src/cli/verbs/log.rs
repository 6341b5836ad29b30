//! `isn log …`

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::args::RegistryArg;
use crate::cli::console::{self, Page};
use crate::cli::exit::{self, Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{claimed, fingerprints, path_json, statements};
use crate::cli::run::{Run, Verb};
use crate::cli::values::parse_age;
use isn_format::error::{Error, Result, chain, count};
use isn_format::log::{LogKey, Rejected};
use isn_registry::client::Client;
use isn_registry::ops::log::{Entries, Entry, LogReport, audit, evidence, news, unclaim};
use isn_registry::progress::Progress as _;

/// Arguments of `isn log`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LogCommand {
    /// List the entries
    Show {
        /// The attestation log, in which keys state to have built versions
        #[arg(long)]
        attestations: bool,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Replay the log from its first entry and check every tile; exits with 8 if an entry has no effect
    Verify {
        /// The attestation log, in which keys state to have built versions
        #[arg(long)]
        attestations: bool,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Print new entries as they appear, and stop at a fork
    Watch {
        /// The time between two checks, for example 60s or 1h
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_age)]
        every: u64,
        /// Check once: print the entries that are new since the last check of this machine
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// List the evidence of forks that this machine has found
    Evidence,
    /// Remove log claims that were not made with the log's key, which block every writer
    Unclaim {
        /// The registry's folder or bucket
        #[arg(long, value_name = "DIR|URL")]
        registry: String,
        /// Confirm that nobody else writes to the registry now; required for a bucket, which has no file lock
        #[arg(long)]
        alone: bool,
    },
}

impl Verb for LogCommand {
    fn aim(&self) -> Aim {
        match self {
            LogCommand::Unclaim { .. } => Aim::Write,
            _ => Aim::Look,
        }
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        match self {
            LogCommand::Show { attestations, registry } => {
                let mut shown = Shown { json: run.output.json, lines: String::new() };
                let report = audit(&run.client(registry)?, *attestations, &mut shown)?;
                print_show(&run.output, &report, &shown);
            }
            LogCommand::Verify { attestations, registry } => {
                let report = audit(&run.client(registry)?, *attestations, &mut Unshown)?;
                print_verify(&run.output, &report);
                return Ok(exit::success_if(report.rejected.is_empty(), exit::FINDINGS));
            }
            LogCommand::Watch { every, once, registry } => {
                watch(run, &run.client(registry)?, Duration::from_secs(*every), *once)?;
            }
            LogCommand::Evidence => print_evidence(&run.output, &evidence(&run.settings.logs())?),
            LogCommand::Unclaim { registry, alone } => {
                let store = run.store(registry)?;
                let report = run.with_known(|known| unclaim(store, *alone, known))?;
                print_unclaim(&run.output, &report.removed);
                return report.attestations.map_or(Ok(ExitCode::SUCCESS), Err);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints new entries again and again.
fn watch(run: &Run, client: &Client, every: Duration, once: bool) -> Result<()> {
    loop {
        match news(client) {
            Ok((report, entries)) => print_news(&run.output, &report, &entries),
            // A watcher survives a broken network, and stops at any other error.
            Err(e @ Error::Network { .. }) if !once => run.progress.note(&format!("warning: {}", chain(&e))),
            Err(e) => return Err(e),
        }
        if once || run.output.is_broken() {
            return Ok(());
        }
        std::thread::sleep(every);
    }
}

/// The entries as they are printed, each on a line, or as JSON with commas between them.
struct Shown {
    json: bool,
    lines: String,
}

impl Entries for Shown {
    fn push(&mut self, entry: Entry) {
        if self.json {
            let comma = if self.lines.is_empty() { "" } else { "," };
            self.lines += &format!("{comma}{}", entry_json(&entry));
        } else {
            self.lines += Page::of(format_args!("{}", entry_line(&entry))).as_str();
        }
    }

    fn clear(&mut self) {
        self.lines.clear();
    }
}

struct Unshown;

impl Entries for Unshown {
    fn push(&mut self, _: Entry) {}
    fn clear(&mut self) {}
}

fn print_show(output: &Output, report: &LogReport, shown: &Shown) {
    output.warn(claimed(&report.registry, report.is_claimed));
    output.warn(report.behind.iter());
    let mut object = log_json(report);
    object["entries"] = json!([]);
    output.print_long(object, "entries", &shown.lines);
}

fn print_verify(output: &Output, report: &LogReport) {
    let rejected = &report.rejected;
    let mut text = Page::default();
    rejected.iter().for_each(|rejected| writeln!(text, "{}", rejected_line(rejected)));
    let entries = count(report.size as usize, "entry").replace("entrys", "entries");
    let checked = match &report.behind {
        None => "every entry and tile checked",
        Some(_) => "as it was last seen, and not read again",
    };
    writeln!(text, "ok: {}: {entries}, {checked}, {} without effect", report.registry, rejected.len());
    let how = if report.is_claimed { "  (which the registry claims: nobody vouches for it)" } else { "" };
    writeln!(text, "  log      {}{how}", report.anchor);
    if report.key != report.anchor {
        writeln!(text, "  key now  {}", report.key);
    }
    writeln!(text, "  root     {}", report.root);
    output.warn(report.behind.iter());
    let mut object = log_json(report);
    object["rejected"] = json!(rejected.iter().map(rejected_json).collect::<Vec<_>>());
    output.print(&text, object);
}

/// Prints the new entries of a log, one per line; in JSON, one object per line.
fn print_news(output: &Output, report: &LogReport, entries: &[Entry]) {
    output.warn(report.behind.iter());
    for entry in entries {
        output.print(&Page::of(format_args!("{}", entry_line(entry))), entry_json(entry));
    }
}

fn print_evidence(output: &Output, found: &[(LogKey, PathBuf)]) {
    if found.is_empty() && !output.json {
        console::message("", "no evidence of a fork");
        return;
    }
    let mut text = Page::default();
    found.iter().for_each(|(log, path)| writeln!(text, "{}  {log}", path.display()));
    let list: Vec<Value> =
        found.iter().map(|(log, path)| json!({ "log": log.to_string(), "path": path_json(path) })).collect();
    output.print(&text, json!({ "evidence": list }));
}

fn print_unclaim(output: &Output, removed: &[String]) {
    let mut text = Page::default();
    if removed.is_empty() {
        writeln!(text, "no log claim blocks the next entry");
    }
    for path in removed {
        writeln!(text, "removed {path}");
    }
    output.print_done(&text, json!({ "removed": removed }));
}

fn entry_line(entry: &Entry) -> String {
    match entry {
        Ok(accepted) => {
            let signers = fingerprints(&accepted.attested.signers).join(" ");
            format!("{:>6}  {}  {signers}", accepted.index, accepted.attested.statement.title())
        }
        Err(rejected) => rejected_line(rejected),
    }
}

fn rejected_line(rejected: &Rejected) -> String {
    format!("{:>6}  NO EFFECT: {}", rejected.index, rejected.why)
}

fn entry_json(entry: &Entry) -> Value {
    match entry {
        Ok(accepted) => {
            let mut object = statements::statement_json(&accepted.attested.statement);
            object["entry"] = json!(accepted.index);
            object["effect"] = json!(true);
            object["signers"] = json!(fingerprints(&accepted.attested.signers));
            object
        }
        Err(rejected) => rejected_json(rejected),
    }
}

fn rejected_json(rejected: &Rejected) -> Value {
    json!({
        "entry": rejected.index,
        "effect": false,
        "name": rejected.name,
        "version": rejected.version,
        "why": rejected.why,
    })
}

fn log_json(report: &LogReport) -> Value {
    json!({
        "registry": report.registry,
        "log": report.anchor,
        "key": report.key,
        "trusted": !report.is_claimed,
        "size": report.size,
        "root": report.root,
        "behind": report.behind.is_some(),
    })
}
