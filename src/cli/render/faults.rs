//! The report of a verification.

use serde_json::json;

use crate::cli::console::{self, Page};
use crate::cli::exit::{self, ExitCode};
use crate::cli::output::Output;
use isn_format::error::count;
use isn_format::text::shell_word;
use isn_registry::ops::verify::{Assurance, Outcome, Verified, VerifyReport};

/// Returns the exit code of a verification. What could not be read is no proof of damage.
pub(in crate::cli) fn exit_code(report: &VerifyReport) -> ExitCode {
    match (report.outcome(), report.kind) {
        (Outcome::Whole, _) => ExitCode::SUCCESS,
        (Outcome::Damaged, _) => exit::INTEGRITY.into(),
        (Outcome::Unread, Verified::Tree | Verified::Build) => exit::ERROR.into(),
        (Outcome::Unread, Verified::Registry | Verified::Version) => exit::NETWORK.into(),
    }
}

/// Prints every fault that was found.
pub(in crate::cli) fn print(output: &Output, report: &VerifyReport) {
    output.warn(&report.warnings);
    let mut text = Page::default();
    // Nothing of another version has changed.
    for fault in report.faults.iter().filter(|_| !report.is_another()) {
        writeln!(text, "{fault}");
    }
    let things = match report.kind {
        Verified::Tree => "file",
        Verified::Version => "image",
        Verified::Registry | Verified::Build => "object",
    };
    let checked = count(report.checked as usize, things);
    let what = &report.what;
    let faults = count(report.faults.len(), "fault");
    match report.outcome() {
        _ if report.is_another() => writeln!(
            text,
            "FAILED: {what}: {checked} checked and intact, but it is not the expected version{}",
            report.expected.map_or_else(String::new, |hash| format!(", {}", hash.prefixed()))
        ),
        Outcome::Whole => writeln!(text, "ok: {what}: {checked} checked{}", assurance(report)),
        Outcome::Damaged => writeln!(text, "FAILED: {what}: {faults} in {checked}"),
        Outcome::Unread => writeln!(
            text,
            "FAILED: {what}: not everything could be read, so it may be whole or damaged: {faults} in {checked}"
        ),
    }
    if !report.rebuild_only.is_empty() {
        writeln!(text, "  rebuild-only, without images: {}", report.rebuild_only.join(", "));
    }
    if let Some(dataset) = &report.dataset {
        writeln!(text, "  dataset  {}", dataset.prefixed());
    }
    let object = json!({
        "ok": report.faults.is_empty(),
        "kind": report.kind,
        "path": report.what,
        "dataset": report.dataset.map(|dataset| dataset.prefixed()),
        "checked": report.checked,
        "partial": report.partial.is_some(),
        "selection": report.partial,
        "assurance": report.assurance,
        "unsigned": report.unsigned(),
        "rebuild_only": report.rebuild_only,
        "warnings": report.warnings,
        "faults": report.faults,
    });
    output.print(&text, object);
    if let Some(next) = next(report) {
        console::message("help: ", &next);
    }
}

/// Returns what to do about the faults.
fn next(report: &VerifyReport) -> Option<String> {
    let what = shell_word(&report.what);
    Some(match (report.outcome(), report.kind) {
        (Outcome::Whole, _) => return None,
        _ if report.is_another() => "check the pin, or pull the version that you expect".into(),
        (Outcome::Unread, Verified::Tree | Verified::Build) => {
            "`ls -l` shows the permissions: change them, and verify again".into()
        }
        (Outcome::Unread, Verified::Registry | Verified::Version) => {
            "check the permissions (`ls -l`), the connection, and that the registry's disk is mounted; then \
             verify again"
                .into()
        }
        (Outcome::Damaged, Verified::Tree) => {
            format!("to restore it, move your own files out of {what}, remove it and pull the version again")
        }
        (Outcome::Damaged, Verified::Build) => {
            format!("remove {what}, and build it again (`isn build`)")
        }
        (Outcome::Damaged, Verified::Registry | Verified::Version) => {
            "restore the files from another copy of the registry, or tell its operator. To pull meanwhile, \
             name another copy (--registry)"
                .into()
        }
    })
}

fn assurance(report: &VerifyReport) -> String {
    let whole = match report.partial.as_deref() {
        None => String::new(),
        Some("") => " (a part of the dataset)".into(),
        Some(selection) => format!(" (a part of the dataset: {selection})"),
    };
    let reach = match (report.kind, report.assurance) {
        (Verified::Tree, Assurance::SelfConsistent) => {
            "; consistent with itself only: compare the hash below, or use --expect"
        }
        (_, Assurance::SelfConsistent) => "; consistent with itself, signed by no key you trust",
        (_, Assurance::Hash) => "; has the expected dataset hash",
        (_, Assurance::Signed) => "; signed by a key you trust",
    };
    format!("{whole}{reach}")
}
