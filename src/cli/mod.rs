//! The command line: `args` says what there is, `commands` runs a verb, `render` makes its report, `exit` folds errors,
//! `console` prints. Only here is anything printed or read from the environment.

mod args;
mod audit;
mod bundled;
mod commands;
mod console;
mod diff;
mod embed;
mod exit;
mod export;
mod families;
mod ledger;
mod render;
#[cfg(feature = "serve")]
mod review;
#[cfg(feature = "serve")]
mod serve;
mod sources;
mod terminal;
mod values;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use isn_format::text;

pub use embed::{Failure, settings};
pub use terminal::Terminal;

/// Runs the command with the arguments of the process, and gives its exit code.
pub fn main() -> ExitCode {
    ExitCode::from(main_with(std::env::args_os()))
}

/// Runs the command with these arguments, the first of which is its name, and gives its exit code.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let args = match args::Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => return not_run(&arguments, &error),
    };
    let (json, aim) = (args.json, args.command.aim());
    match commands::run(args) {
        Ok(code) => code.into(),
        Err(error) => exit::report(&error, aim, json).into(),
    }
}

/// Help and version go to stdout with code 0, usage errors to stderr with code 2.
fn not_run(arguments: &[OsString], error: &clap::Error) -> u8 {
    // Usage errors quote arguments: they are made of the arguments as they are fit to be shown.
    let shown = arguments.iter().map(|argument| text::one_line(&argument.to_string_lossy()).into_owned());
    let printed = match args::Args::try_parse_from(shown) {
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
