//! The command line: `args` says what there is, `commands` runs a verb, `render` prints its report, `exit`
//! folds errors. Only here is anything printed or read from the environment.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod audit;
mod commands;
mod diff;
mod embed;
mod exit;
mod export;
mod families;
mod ledger;
mod render;
#[cfg(feature = "serve")]
mod review;
mod settings;
mod sources;
mod terminal;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub use embed::{Failure, Opening};

/// Runs the command with the arguments of the process, and gives its exit code.
pub fn main() -> ExitCode {
    ExitCode::from(main_with(std::env::args_os()))
}

/// Runs the command with these arguments, the first of which is its name, and gives its exit code.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let args = match args::Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(e) => {
            // Help and version go to stdout with code 0, usage errors to stderr with code 2.
            let _ = e.print();
            return e.exit_code().clamp(0, 255) as u8;
        }
    };
    let json = args.json;
    match commands::run(args) {
        Ok(code) => code.into(),
        Err(error) => exit::report(&error, json).into(),
    }
}
