//! What `isn ledger` prints.

use std::path::Path;

use serde_json::{Value, json};

use super::{Output, path_json};
use crate::cli::console::Page;
use isn_format::corrections::Action;
use isn_format::error::count;
use isn_format::ledger::{Claim, Decision, Ledger, Row};
use isn_registry::ops::ledger::{CheckReport, DiffReport, ImportReport};

impl Output {
    pub(in crate::cli) fn ledger(&self, path: &Path, ledger: &Ledger, images: &[String]) {
        let ids = ledger.source_ids();
        let ids: Vec<&str> =
            ids.into_iter().filter(|id| images.is_empty() || images.iter().any(|one| one == id)).collect();
        let mut text = Page::default();
        let mut objects = Vec::new();
        for id in &ids {
            let claims: Vec<&Claim> = ledger.claims(id).collect();
            let opinions = ledger.opinions(id);
            writeln!(text, "{id}");
            claims.iter().for_each(|one| writeln!(text, "  {}", claimed(one)));
            opinions.iter().for_each(|one| writeln!(text, "  {}", decided(one)));
            objects.push(json!({
                "source_id": id,
                "claims": claims.into_iter().map(claim).collect::<Vec<_>>(),
                "decisions": opinions.into_iter().map(decision).collect::<Vec<_>>(),
            }));
        }
        let rows = ledger.rows().len();
        let shown = count(ids.len(), "image");
        writeln!(text, "{}: {}; {shown} shown", path.display(), count(rows, "row"));
        self.print(&text, json!({ "ledger": path_json(path), "rows": rows, "images": objects }));
    }

    pub(in crate::cli) fn ledger_added(&self, path: &Path, added: &Row) {
        let text = Page::of(format_args!("{}: {}: {}", path.display(), added.source_id(), said(added)));
        self.print_done(&text, json!({ "ledger": path_json(path), "row": row(added) }));
    }

    pub(in crate::cli) fn ledger_imported(&self, path: &Path, file: &Path, report: &ImportReport) {
        let (format, there) = (report.format.as_str(), report.found - report.added);
        let mut text =
            Page::of(format_args!("{}: {}, taken for {format}", file.display(), count(report.found, "row")));
        writeln!(text, "{}: {} added, {there} there already", path.display(), report.added);
        report.conflicts.iter().for_each(|line| writeln!(text, "conflict: {line}"));
        let object = json!({
            "ledger": path_json(path),
            "format": report.format.as_str(),
            "found": report.found,
            "added": report.added,
            "conflicts": report.conflicts,
        });
        self.print_done(&text, object);
    }

    pub(in crate::cli) fn ledger_checked(&self, report: &CheckReport) {
        self.warn(&report.warnings);
        let mut text = Page::default();
        let mut tally = [("removed", 0), ("relabelled", 0), ("kept", 0)];
        let mut decided = Vec::new();
        for one in report.corrections.iter() {
            let (at, to) = match &one.action {
                Action::Remove => (0, None),
                Action::Relabel(to) => (1, Some(to.as_str())),
                Action::Keep => (2, None),
            };
            tally[at].1 += 1;
            writeln!(text, "decided: {}: {}: {}", one.source_id, one.action, one.because);
            let action = ["remove", "relabel", "keep"][at];
            decided.push(json!({
                "source_id": one.source_id, "action": action, "to": to, "because": one.because.to_string(),
            }));
        }
        let mut open = Vec::new();
        for one in &report.open {
            let votes = one.votes.iter().map(|vote| match &vote.action {
                Some(action) => format!("{}: {action}", vote.source),
                None => format!("{}: unclear", vote.source),
            });
            let votes: Vec<String> = votes.collect();
            writeln!(
                text,
                "open: {} (now {}): {}: {}",
                one.source_id,
                one.given,
                one.why.as_str(),
                votes.join(", ")
            );
            open.push(json!({
                "source_id": one.source_id, "given": one.given.as_str(), "why": one.why.as_str(), "votes": votes,
            }));
        }
        report.problems.iter().for_each(|line| writeln!(text, "problem: {line}"));
        let of = tally.map(|(name, n)| format!("{n} {name}")).join(", ");
        writeln!(
            text,
            "{}: {}: {of}; {} left to a person; {}",
            report.ledger,
            count(report.rows, "row"),
            report.open.len(),
            count(report.problems.len(), "problem"),
        );
        let object = json!({
            "ledger": report.ledger, "rows": report.rows, "decided": decided, "open": open, "problems": report.problems,
            "warnings": report.warnings,
        });
        self.print(&text, object);
    }

    pub(in crate::cli) fn ledger_diff(&self, report: &DiffReport) {
        let mut text = Page::default();
        for (sign, rows) in [("-", &report.removed), ("+", &report.added)] {
            let line = |row: &Row| writeln!(text, "{sign} {}: {}", row.source_id(), said(row));
            rows.iter().for_each(line);
        }
        let mut decided = Vec::new();
        for (id, was, is) in &report.decided {
            writeln!(text, "{id}: was {was}, is {is}");
            decided.push(json!({ "source_id": id, "was": was, "is": is }));
        }
        let (added, removed) = (report.added.len(), report.removed.len());
        writeln!(text, "{} added, {removed} removed", count(added, "row"));
        let rows = |rows: &[Row]| rows.iter().map(row).collect::<Vec<Value>>();
        let object =
            json!({ "added": rows(&report.added), "removed": rows(&report.removed), "decided": decided });
        self.print(&text, object);
    }
}

fn said(row: &Row) -> String {
    match row {
        Row::Claim(claim) => claimed(claim),
        Row::Decision(decision) => decided(decision),
    }
}

fn claimed(claim: &Claim) -> String {
    let Claim { says, source, date, evidence, .. } = claim;
    format!("{source} claims {says}{} ({date})", after(evidence))
}

fn decided(decision: &Decision) -> String {
    let Decision { verdict, reason, source, reviewer, date, evidence, .. } = decision;
    let source = if source.is_empty() { String::new() } else { format!(", after {source}") };
    format!("{reviewer} decides {verdict}: {}{}{source} ({date})", reason.as_str(), after(evidence))
}

fn after(evidence: &str) -> String {
    if evidence.is_empty() { String::new() } else { format!(": {evidence}") }
}

fn row(row: &Row) -> Value {
    match row {
        Row::Claim(one) => claim(one),
        Row::Decision(one) => decision(one),
    }
}

fn claim(claim: &Claim) -> Value {
    let Claim { source_id, says, source, date, evidence } = claim;
    json!({
        "kind": "claim", "source_id": source_id, "says": says.as_str(), "source": source, "date": date,
        "labels": says.classes().iter().map(|class| class.as_str()).collect::<Vec<_>>(), "evidence": evidence,
    })
}

fn decision(decision: &Decision) -> Value {
    let Decision { source_id, verdict, reason, source, reviewer, date, evidence } = decision;
    json!({
        "kind": "decision", "source_id": source_id, "says": verdict.as_str(), "reason": reason.as_str(),
        "labels": verdict.classes().iter().map(|class| class.as_str()).collect::<Vec<_>>(),
        "source": source, "reviewer": reviewer, "date": date, "evidence": evidence,
    })
}
