//! For programs that have isn inside of them, as the Python package has: the settings that the command line has, and errors in
//! its words.

use std::fmt::Display;

use super::bundled::BUNDLED;
use super::exit;
use isn_format::error::{Error, chain};
use isn_registry::settings::Settings;

/// What went wrong, as the command says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The message with its causes: what stands behind `error: `.
    pub message: String,
    /// What to do next: what stands behind `help: `.
    pub help: Option<String>,
    /// The command's exit code.
    pub code: u8,
}

impl Failure {
    /// An argument that is not what it must be: exit code 2.
    pub fn usage(why: impl Display) -> Self {
        Failure { message: why.to_string(), help: None, code: 2 }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            message: chain(&error),
            help: exit::help(&error, exit::Aim::Look),
            code: exit::code(&error),
        }
    }
}

/// The user's settings, of a program that has isn's own registry in it.
///
/// # Errors
/// Where the environment does not say whose home it is.
pub fn settings() -> Result<Settings, Error> {
    Settings::from_environment(BUNDLED)
}
