//! [`Output`]: prints reports to stdout as text or JSON, and notes if stdout fails.

use std::sync::OnceLock;

use serde_json::Value;

use super::console::{self, Page};
use super::exit::{self, ExitCode};
use isn_format::text;

/// Prints reports.
pub(super) struct Output {
    pub(super) json: bool,
    unwritten: OnceLock<Unwritten>,
}

/// A failure of stdout.
struct Unwritten {
    error: std::io::Error,
    /// The first line of the report, if it is about something that was done.
    done: Option<String>,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Output { json, unwritten: OnceLock::new() }
    }

    /// Prints what the user asked to see.
    pub(super) fn print(&self, text: &Page, json: Value) {
        self.write(text, &json, false);
    }

    /// Prints a report about something that was done.
    pub(super) fn print_done(&self, text: &Page, json: Value) {
        self.write(text, &json, true);
    }

    /// Prints a report. `is_done` says whether it is about something that was done.
    pub(super) fn write(&self, text: &Page, json: &Value, is_done: bool) {
        if self.is_broken() {
            return;
        }
        let written = match self.json {
            true => console::stdout(&format!("{}\n", text::json(&json.to_string()))),
            false => console::stdout(text.as_str()),
        };
        let done = is_done.then(|| text.as_str().lines().next().unwrap_or_default());
        self.note(written, done);
    }

    /// Prints a list that may be too long to be held as values: `lines` are its lines, each as [`Page`]
    /// writes it, or, if JSON is wanted, its items with commas between them. They go into the empty array
    /// `field` of `json`.
    pub(super) fn print_long(&self, json: Value, field: &str, lines: &str) {
        if self.is_broken() {
            return;
        }
        if !self.json {
            return self.note(console::stdout(lines), None);
        }
        let (json, array) = (json.to_string(), format!("\"{field}\":["));
        // In a text, a quote has a backslash before it, so this is the field.
        let (before, after) = json.split_once(&array).unwrap_or((&json, ""));
        let parts = [&text::json(before), array.as_str(), &text::json(lines), &text::json(after), "\n"];
        self.note(parts.into_iter().try_for_each(console::stdout), None);
    }

    fn note(&self, written: std::io::Result<()>, done: Option<&str>) {
        if let Err(error) = written {
            let _ = self.unwritten.set(Unwritten { error, done: done.map(str::to_owned) });
        }
    }

    /// Returns whether stdout has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.unwritten.get().is_some()
    }

    /// Returns the exit code of the finished run, and reports a failure of stdout.
    pub(super) fn ended(&self, code: ExitCode) -> ExitCode {
        match self.unwritten.get() {
            Some(Unwritten { error, done }) => exit::unwritten(error, done.as_deref(), code),
            None => code,
        }
    }

    /// Prints warnings on stderr.
    pub(super) fn warn(&self, warnings: impl IntoIterator<Item = impl std::fmt::Display>) {
        for warning in warnings {
            console::message("warning: ", &warning.to_string());
        }
    }
}
