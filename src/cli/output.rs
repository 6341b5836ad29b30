//! [`Output`]: a report to stdout, as text or JSON, and what becomes of a run whose report stdout does not take.

use std::sync::OnceLock;

use serde_json::Value;

use super::console::{self, Page};
use super::exit::{self, ExitCode};
use isn_format::text;

/// How to print.
pub(super) struct Output {
    pub(super) json: bool,
    unwritten: OnceLock<Unwritten>,
}

/// What stdout did not take.
struct Unwritten {
    error: std::io::Error,
    /// The report's first line, where the report is of something that was done.
    done: Option<String>,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Output { json, unwritten: OnceLock::new() }
    }

    /// Prints what was asked for.
    pub(super) fn print(&self, text: &Page, json: Value) {
        self.write(text, &json, false);
    }

    /// Prints a report of what was done.
    pub(super) fn print_done(&self, text: &Page, json: Value) {
        self.write(text, &json, true);
    }

    /// The same, of what may have been done.
    pub(super) fn write(&self, text: &Page, json: &Value, is_done: bool) {
        if self.is_broken() {
            return;
        }
        let written = match self.json {
            true => console::stdout(&format!("{}\n", text::json(&json.to_string()))),
            false => console::stdout(text.as_str()),
        };
        if let Err(error) = written {
            let done = is_done.then(|| text.as_str().lines().next().unwrap_or_default().to_owned());
            let _ = self.unwritten.set(Unwritten { error, done });
        }
    }

    /// Whether stdout takes nothing more.
    pub(super) fn is_broken(&self) -> bool {
        self.unwritten.get().is_some()
    }

    /// What the run ends with, now that it is over.
    pub(super) fn ended(&self, code: ExitCode) -> ExitCode {
        match self.unwritten.get() {
            Some(Unwritten { error, done }) => exit::unwritten(error, done.as_deref(), code),
            None => code,
        }
    }

    /// What the user should hear beside the report.
    pub(super) fn warn(&self, warnings: impl IntoIterator<Item = impl std::fmt::Display>) {
        for warning in warnings {
            console::message("warning: ", &warning.to_string());
        }
    }
}
