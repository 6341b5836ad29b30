//! The command line: all that is printed is printed here. A module imports only from rows below its own:
//!
//! | row | modules | what they have |
//! |---|---|---|
//! | verbs | [`verbs`] | a file a verb: its arguments, what is done with them, how its report is printed |
//! | what they share | [`run`] | what every verb has at hand |
//! | its parts | [`args`], [`passphrase`], [`render`], [`embed`] | what several verbs take, ask and say; what other programs take |
//! | printing | [`output`], [`values`], [`bundled`] | reports to stdout; arguments as they are written; the registry in the binary |
//! | ends | [`exit`], [`terminal`] | errors with their codes and next steps; progress |
//! | words | [`console`] | all that is printed goes through it |

// The map is for who reads the source.
#![allow(rustdoc::private_intra_doc_links)]

mod args;
mod bundled;
mod console;
mod embed;
mod exit;
mod output;
mod passphrase;
mod render;
mod run;
mod terminal;
mod values;
mod verbs;

use std::ffi::OsString;
use std::io::Write as _;

use clap::Parser;

use isn_format::error::Result;
use isn_format::text;
use isn_registry::settings::Settings;
use isn_registry::{files, parallel};
use run::{Run, Verb};

pub use embed::{Failure, settings};
pub use terminal::Terminal;

/// Exact versions of image-classification datasets: one hash pins every image, label and split.
#[derive(Debug, Parser)]
#[command(name = "isn", version, max_term_width = 110, after_help = EXIT_CODES)]
struct Args {
    /// Print one JSON object as the last line on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Do not show progress
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Use no network: only folders, the cache, and the registry in the binary
    #[arg(long, global = true)]
    offline: bool,
    /// Threads to use [default: all cores]
    #[arg(short, long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// What to do.
    #[command(subcommand)]
    command: verbs::Command,
}

const EXIT_CODES: &str = "\
REF is NAME@VERSION, NAME (the newest), NAME@VERSION#b3:HASH or b3:HASH.

Exit codes: 0 ok, 1 error, 2 usage, 3 integrity, 4 signature or trust, 5 network, 6 not found,
7 source needed, 8 findings.
Environment: ISN_HOME (keys, trust, logs), ISN_REGISTRY (comma list), ISN_PASSPHRASE (of a key),
SSH_AUTH_SOCK, NO_COLOR; of the network: ISN_OFFLINE, ISN_CA_BUNDLE, ISN_TOKENS (HOST=TOKEN,…),
ISN_TIMEOUT (seconds), ISN_RETRIES, and the proxy variables.";

/// Runs the command with the arguments of the process, and gives its exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(main_with(std::env::args_os()))
}

/// Runs the command with these arguments, the first of which is its name, and gives its exit code.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => return not_run(&arguments, &error),
    };
    let verb = args.command.verb();
    match execute(&args, verb) {
        Ok(code) => code.into(),
        Err(error) => exit::report(&error, verb.aim(), args.json).into(),
    }
}

fn execute(args: &Args, verb: &dyn Verb) -> Result<exit::ExitCode> {
    let run = Run {
        settings: Settings::from_environment(bundled::BUNDLED)?,
        progress: Terminal::new(args.quiet),
        output: output::Output::new(args.json),
        offline: args.offline,
        jobs: args.jobs.map_or_else(parallel::available, usize::from),
    };
    files::tell_of_waiting(|lock| {
        let text = format!("waiting for the lock {}, which another process holds", lock.display());
        console::message("", &text);
    });
    let code = verb.run(&run)?;
    Ok(run.output.ended(code))
}

/// Help and version go to stdout with code 0, usage errors to stderr with code 2.
fn not_run(arguments: &[OsString], error: &clap::Error) -> u8 {
    // Usage errors quote arguments: they are made of the arguments as they are fit to be shown.
    let shown = arguments.iter().map(|argument| text::one_line(&argument.to_string_lossy()).into_owned());
    let printed = match Args::try_parse_from(shown) {
        Err(shown) => shown.print().and_then(|()| std::io::stdout().flush()),
        Ok(_) => {
            console::message("", error.to_string().trim_end());
            Ok(())
        }
    };
    match printed {
        Err(why) if !error.use_stderr() => exit::unwritten(&why, None, exit::ExitCode::SUCCESS).into(),
        _ => error.exit_code().clamp(0, 255) as u8,
    }
}
