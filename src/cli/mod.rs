//! The command line: `args` says what there is, `commands` runs a verb, `render` prints its report, `exit`
//! folds errors. Only here is anything printed or read from the environment.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod audit;
mod commands;
mod diff;
mod exit;
mod families;
mod ledger;
mod render;
mod settings;
mod sources;
mod terminal;
mod values;

use std::process::ExitCode;

use clap::Parser;

/// Runs the command and gives its exit code.
pub fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // Help and version go to stdout with code 0, usage errors to stderr with code 2.
            let _ = e.print();
            return ExitCode::from(e.exit_code().clamp(0, 255) as u8);
        }
    };
    let json = args.json;
    match commands::run(args) {
        Ok(code) => code,
        Err(error) => exit::report(&error, json),
    }
}
