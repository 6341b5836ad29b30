//! For programs that have isn inside them, as the Python package has: the settings of the command line, and
//! its error messages.

use std::fmt::Display;

use super::bundled::BUNDLED;
use super::{exit, near};
use isn_format::error::{Error, chain};
use isn_registry::settings::Settings;

/// An error as the command reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The message with its causes, which the command prints after `error: `.
    pub message: String,
    /// What to do next, which the command prints after `help: `.
    pub help: Option<String>,
    /// The command's exit code.
    pub code: u8,
}

impl Failure {
    /// Returns the failure of an invalid argument, with exit code 2.
    pub fn usage(why: impl Display) -> Self {
        Failure { message: why.to_string(), help: None, code: 2 }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = near::nearest_first(error);
        Failure {
            message: chain(&error),
            help: exit::help(&error, exit::Advice { to: exit::Aim::Look, registry: None }),
            code: exit::code(&error),
        }
    }
}

/// Returns the user's settings, for a program that includes the bundled registry.
///
/// # Errors
/// Fails if the environment has no home folder.
pub fn settings() -> Result<Settings, Error> {
    Settings::from_environment(BUNDLED)
}
