//! `isn diff`.

mod change;
mod page;

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::near;
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use change::{described, line};
use isn_format::error::{Error, Result, count};
use isn_registry::files::{self, Replaced};
use isn_registry::ops::diff::{Change, DiffReport, Kind, diff};

/// The number of changes of each kind in the text.
const SHOWN: usize = 50;

/// Arguments of `isn diff`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// The older version: NAME, NAME@VERSION, a pin, or the folder of a tree or build. The B3SUMS of a tree
    /// counts; `isn verify TREE` checks its files
    #[arg(value_name = "OLD", value_hint = ValueHint::DirPath)]
    old: String,
    /// The newer version, in the same form
    #[arg(value_name = "NEW", value_hint = ValueHint::DirPath)]
    new: String,
    /// Write an HTML page with the pictures before and after; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The maximum number of changes with pictures on the page
    #[arg(long, value_name = "N", default_value = "500", requires = "html")]
    pictures: usize,
    /// Exit 8 if there is a difference
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for DiffArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        self.html.as_deref().map_or(Ok(()), |file| files::check_replaced(file, Replaced::Page))?;
        let pictures = self.html.as_ref().map_or(0, |_| self.pictures);
        let client = run.client(&self.registry)?;
        let report = diff(&client, &self.old, &self.new, pictures, run.jobs, &run.progress);
        let report = report.map_err(|e| self.with_name(e))?;
        if let Some(file) = &self.html {
            files::write_output(file, page::page(&report).as_bytes())?;
        }
        print(&run.output, &report, self.html.as_deref());
        Ok(exit::success_if(!self.exit_code || report.is_same(), exit::FINDINGS))
    }
}

impl DiffArgs {
    /// Turns the error about a number without a name into one that says which version may be meant.
    fn with_name(&self, error: Error) -> Error {
        let other = |text: &str| if text == self.new { &self.old } else { &self.new };
        match error {
            Error::Subject { text, why } => match near::of_same_name(other(&text), &text) {
                Some(meant) => {
                    Error::invalid(text, format!("is not a version without a name: did you mean {meant}?"))
                }
                None => Error::Subject { text, why },
            },
            error => error,
        }
    }
}

fn print(output: &Output, report: &DiffReport, page: Option<&Path>) {
    output.warn(&report.warnings);
    let (before, after) = report.images;
    let mut text = Page::of(format_args!("- {}  {}", report.old, count(before, "image")));
    writeln!(text, "+ {}  {}", report.new, count(after, "image"));
    if report.is_same() {
        writeln!(text, "no image, label, split or class differs");
    }
    for (sign, ids) in [('+', &report.classes_added), ('-', &report.classes_removed)] {
        for id in ids {
            writeln!(text, "{sign} class {id}");
        }
    }
    for (id, was, is) in &report.classes_renamed {
        writeln!(text, "~ class {id}: {was} → {is}");
    }
    for kind in Kind::ALL {
        let changes: Vec<&Change> = report.of(kind).collect();
        if changes.is_empty() {
            continue;
        }
        text.blank();
        writeln!(text, "{}: {}", kind.as_str(), changes.len());
        for change in changes.iter().take(SHOWN) {
            writeln!(text, "  {}", line(change, kind));
            for reason in &change.reasons {
                writeln!(text, "      {reason}");
            }
        }
        if changes.len() > SHOWN {
            writeln!(text, "  {} more: --json has them", changes.len() - SHOWN);
        }
    }
    if let Some(page) = page {
        text.blank();
        writeln!(text, "page: {}", page.display());
    }
    let mut object = json!({
        "old": report.old.to_string(),
        "new": report.new.to_string(),
        "images": { "old": before, "new": after },
        "same": report.is_same(),
        "classes": {
            "added": report.classes_added.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
            "removed": report.classes_removed.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
            "renamed": report.classes_renamed.iter()
                .map(|(id, was, is)| json!({ "id": id.as_str(), "old": was, "new": is })).collect::<Vec<_>>(),
        },
        "page": page.map(path_json),
        "unsigned": report.unsigned,
        "warnings": report.warnings,
    });
    for kind in Kind::ALL {
        let name = kind.as_str().replace('-', "");
        object[name] = report.of(kind).map(|change| described(change, kind)).collect();
    }
    output.print(&text, object);
}
