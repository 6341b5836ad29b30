//! The command line. Everything isn prints is printed from here. A module imports only from rows below its
//! own:
//!
//! | row | modules | what they have |
//! |---|---|---|
//! | verbs | [`verbs`] | one file per verb: its arguments, what it does with them, how its report is printed |
//! | shared by verbs | [`run`] | what every verb is given |
//! | parts | [`args`], [`passphrase`], [`render`], [`embed`], [`help`], [`complete`], [`usage`] | arguments, questions and texts of several verbs; the interface for other programs; groups and examples of the help; what shells complete; tips for usage errors |
//! | printing | [`output`], [`values`], [`bundled`] | reports to stdout; parsers of argument values; the registry in the binary |
//! | ends | [`exit`], [`interrupt`], [`verbose`] | exit codes and next steps of errors; Ctrl-C; `-v` and `ISN_LOG` |
//! | progress | [`terminal`], [`near`] | progress bars and lines; what a mistyped name may have meant |
//! | words | [`console`] | every character that isn prints goes through it |

// The map is for readers of the source.
#![allow(rustdoc::private_intra_doc_links)]

mod args;
mod bundled;
mod complete;
mod console;
mod embed;
mod exit;
mod help;
mod interrupt;
mod near;
mod output;
mod passphrase;
mod render;
mod run;
mod terminal;
mod usage;
mod values;
mod verbose;
mod verbs;

use std::error::Error as _;
use std::ffi::OsString;
use std::io::Write as _;

use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Command, CommandFactory as _, FromArgMatches as _, Parser};
use serde_json::json;

use isn_format::dataset_ref::RefError;
use isn_format::error::Result;
use isn_format::text;
use isn_registry::settings::Settings;
use isn_registry::{files, parallel};
use run::{Run, Verb};

pub use embed::{Failure, settings};
pub use terminal::Terminal;

/// Exact versions of image-classification datasets: one hash pins every image, label and split.
#[derive(Debug, Parser)]
#[command(name = "isn", version, max_term_width = 110, after_help = REFERENCE)]
struct Args {
    /// Print one JSON object as the last line on stdout
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// Do not show progress
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    quiet: bool,
    /// Report each request, cache hit and registry on stderr
    #[arg(short, long, global = true, help_heading = GLOBAL, action = ArgAction::SetTrue)]
    verbose: bool,
    /// Use no network: only folders, the cache and the registry in the binary
    #[arg(long, global = true, help_heading = GLOBAL)]
    offline: bool,
    /// The number of threads [default: all cores]
    #[arg(short, long, global = true, help_heading = GLOBAL, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// What to do.
    #[command(subcommand)]
    command: verbs::Command,
    /// The registry that the command line names, for advice about it.
    #[arg(skip)]
    registry: Option<String>,
}

/// The heading of options that every verb takes.
const GLOBAL: &str = "Global options";

const REFERENCE: &str = "\
`isn COMMAND --help` shows the options and examples of a command.
REF is NAME@VERSION, NAME (its newest version), NAME@VERSION#b3:HASH or b3:HASH.
A pin is a REF with a hash, which fixes every image, label and split. A tree is the folder that
`isn pull` writes: SPLIT/CLASS/IMAGE, with B3SUMS, classes.csv and ISN.json.
The glossary defines the other terms: docs/glossary.md in isn's source repository.

Exit codes: 0 success, 1 error, 2 usage, 3 integrity, 4 signature or trust, 5 network, 6 not found,
7 source images needed, 8 findings, 130 interrupted.
Environment: ISN_HOME (keys, trust, logs), ISN_CACHE, ISN_REGISTRY (a list, separated by commas),
ISN_PASSPHRASE (of a key), ISN_LOG (off, error, warn, info, debug, trace), SSH_AUTH_SOCK, NO_COLOR;
for the network: ISN_OFFLINE, ISN_CA_BUNDLE, ISN_TOKENS (HOST=TOKEN,…), ISN_TIMEOUT (seconds),
ISN_RETRIES and the proxy variables.";

/// Runs the command with the arguments of the process and returns its exit code. Ctrl-C ends the process.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(run_with(std::env::args_os(), true))
}

/// Runs the command with these arguments, the first of which is its name, and returns its exit code. Signals
/// are the caller's.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    run_with(arguments, false)
}

fn run_with(arguments: impl IntoIterator<Item = OsString>, is_process: bool) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let args = match parse(arguments.iter().cloned()) {
        Ok(args) => args,
        Err(error) => return not_run(&arguments, &error),
    };
    let verb = args.command.verb();
    match execute(&args, verb, is_process) {
        Ok(code) => code.into(),
        Err(error) => {
            let advice = exit::Advice { to: verb.aim(), registry: args.registry.as_deref() };
            exit::report(error, advice, args.json).into()
        }
    }
}

/// The whole command line, with its groups, its examples and what shells complete.
fn command() -> Command {
    complete::with_hints(help::complete(Args::command()))
}

/// Parses arguments by a bare command line, since only what is printed needs groups and examples.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    parse_by(Args::command(), arguments)
}

fn parse_by(
    mut command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Args, clap::Error> {
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    usage::check_not_empty(&command, &matches)?;
    let registry = usage::registry(&matches).cloned();
    let args = Args::from_arg_matches_mut(&mut matches);
    args.map(|args| Args { registry, ..args }).map_err(|error| error.format(&mut self::command()))
}

fn execute(args: &Args, verb: &dyn Verb, is_process: bool) -> Result<exit::ExitCode> {
    let run = Run {
        settings: Settings::from_environment(bundled::BUNDLED)?,
        progress: Terminal::new(args.quiet),
        output: output::Output::new(args.json),
        offline: args.offline,
        jobs: args.jobs.map_or_else(parallel::available, usize::from),
        command,
    };
    verbose::start(args.verbose, run.progress.lines())?;
    if let Some(before) = verb.kept().filter(|_| is_process) {
        let kept = interrupt::Kept { before, complete: verb.kept_complete(), json: args.json };
        interrupt::watch(run.progress.lines(), kept);
    }
    files::tell_of_waiting(|lock| {
        let text = format!("waiting for the file lock {}, which another process holds", lock.display());
        console::message("", &text);
    });
    let code = verb.run(&run)?;
    Ok(run.output.ended(code))
}

/// Returns what to do about a usage error, beyond what clap says.
fn next(error: &clap::Error) -> Option<String> {
    error.source()?.downcast_ref::<RefError>()?;
    match error.get(ContextKind::InvalidValue)? {
        ContextValue::String(value) => near::reference(value),
        _ => None,
    }
}

/// Prints help and version to stdout with code 0, and usage errors to stderr with code 2; with `--json`,
/// usage errors also go to stdout, as an object.
fn not_run(arguments: &[OsString], error: &clap::Error) -> u8 {
    // Usage errors quote arguments, so they are made again from arguments that are fit to be shown.
    let shown = arguments.iter().map(|argument| text::one_line(&argument.to_string_lossy()).into_owned());
    let shown: Vec<String> = shown.collect();
    let (said, printed) = match parse_by(command(), shown.iter().map(OsString::from)) {
        Err(error) => {
            let error = usage::with_tips(error, command, &shown);
            (usage::said(&error, command, &shown), error.print().and_then(|()| std::io::stdout().flush()))
        }
        Ok(_) => {
            console::message("", error.to_string().trim_end());
            (usage::said(error, command, &shown), Ok(()))
        }
    };
    match printed {
        Err(why) if !error.use_stderr() => exit::unwritten(&why, None, exit::ExitCode::SUCCESS).into(),
        _ => {
            let (help, code) = (next(error), error.exit_code().clamp(0, 255) as u8);
            if let Some(help) = &help {
                console::message("help: ", help);
            }
            if error.use_stderr() && usage::split(&shown).0.iter().any(|option| option == "--json") {
                let (message, tips) = said;
                let help = tips.into_iter().chain(help).reduce(|tips, help| format!("{tips}\n{help}"));
                exit::print_json(&json!({ "error": message, "help": help, "exit_code": code }));
            }
            code
        }
    }
}
