//! The file of a ledger: CSV that people may edit, and to which rows are only added.

use std::str::FromStr;

use super::date::is_iso_date;
use super::row::spaced;
use super::{Claim, Decision, Ledger, MAX_LEN, Reason, Row, Says, Verdict};
use crate::class::ClassId;
use crate::error::Result;
use crate::rows::{self, FileRow, RowFile, needed};

/// The first line of the file.
pub const HEADER: &str = "kind,source_id,says,labels,reason,source,reviewer,date,evidence";

/// The first line of a corrections file of the older form: decisions only, one per image. It is read but not
/// written.
pub const OLD_HEADER: &str = "source_id,action,to,reason,source,reviewer,date";

/// The reviewer of an old row that does not name one.
const NOBODY: &str = "unnamed";

impl Ledger {
    /// Reads a ledger: UTF-8 CSV (RFC 4180) with the header [`HEADER`], or [`OLD_HEADER`] with at most one
    /// row per image.
    ///
    /// # Errors
    /// [`Error::Mistakes`](crate::error::Error::Mistakes), naming `what`, with every mistake and its line.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let mut ledger = Ledger::default();
        // The line of each row of `ledger`.
        let mut lines = Vec::new();
        rows::read(what, bytes, &[HEADER, OLD_HEADER], |header, fields, line, wrong| {
            let row = match header {
                OLD_HEADER => old_row(fields, wrong),
                _ => new_row(fields, wrong),
            };
            let Some(row) = row else { return };
            let id = row.source_id();
            if header == OLD_HEADER
                && let Some((at, earlier)) = ledger.of(id).next()
            {
                let same = earlier.decision().map(|d| &d.verdict) == row.decision().map(|d| &d.verdict);
                let how = if same { "already has a row" } else { "contradicts the row" };
                return wrong.push(format!("{id} {how} at line {}: an image may have one row", lines[at]));
            }
            lines.push(line);
            ledger.push(row);
        })?;
        Ok(ledger)
    }

    /// Returns the bytes of the file: header, rows, LF line ends, minimal quoting.
    pub fn to_csv(&self) -> Vec<u8> {
        RowFile::to_csv(self)
    }
}

impl RowFile for Ledger {
    type Row = Row;

    const NOUN: &'static str = "ledger";
    const HEADER: &'static str = HEADER;
    const MAX_LEN: u64 = MAX_LEN;

    fn new(rows: Vec<Row>) -> Self {
        Ledger::new(rows)
    }

    fn rows(&self) -> &[Row] {
        self.rows()
    }

    fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        Ledger::parse(what, bytes)
    }
}

impl FileRow for Row {
    fn to_csv(&self) -> String {
        match self {
            Row::Claim(Claim { source_id, says, source, date, evidence }) => {
                let labels = spaced(says.classes());
                rows::line(["claim", source_id, says.as_str(), &labels, "", source, "", date, evidence])
            }
            Row::Decision(Decision { source_id, verdict, reason, source, reviewer, date, evidence }) => {
                let (says, labels, reason) = (verdict.as_str(), spaced(verdict.classes()), reason.as_str());
                let row = ["decision", source_id, says, &labels, reason, source, reviewer, date, evidence];
                rows::line(row)
            }
        }
    }

    fn about(&self) -> String {
        self.source_id().to_owned()
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        match self {
            Row::Claim(Claim { source_id, source, evidence, .. }) => {
                vec![("source_id", source_id), ("source", source), ("evidence", evidence)]
            }
            Row::Decision(Decision { source_id, source, reviewer, evidence, .. }) => {
                vec![
                    ("source_id", source_id),
                    ("source", source),
                    ("reviewer", reviewer),
                    ("evidence", evidence),
                ]
            }
        }
    }
}

fn empty(name: &str, field: &str, of: &str, wrong: &mut Vec<String>) {
    if !field.is_empty() {
        wrong.push(format!("{name} must be empty for {of}"));
    }
}

fn old_row(fields: &[&str], wrong: &mut Vec<String>) -> Option<Row> {
    let &[source_id, action, to, reason, source, reviewer, date] = fields else { return None };
    [("source_id", source_id), ("reason", reason), ("source", source)]
        .iter()
        .for_each(|(name, field)| needed(name, field, wrong));
    if !is_iso_date(date) {
        wrong.push(format!("date '{date}' is not a day written YYYY-MM-DD"));
    }
    let (verdict, code) = match action {
        "relabel" => match ClassId::from_str(to) {
            Ok(to) => (Verdict::Relabel(to), Reason::WrongLabel),
            Err(_) => {
                wrong.push(format!("to '{to}' is not a class"));
                return None;
            }
        },
        "remove" => (Verdict::Remove, Reason::Other),
        "keep" => (Verdict::Keep(Vec::new()), Reason::Correct),
        other => {
            wrong.push(format!("action '{other}' is not remove, relabel or keep"));
            return None;
        }
    };
    if action != "relabel" {
        empty("to", to, action, wrong);
    }
    let reviewer = if reviewer.is_empty() { NOBODY } else { reviewer };
    Some(Row::Decision(Decision {
        source_id: source_id.into(),
        verdict,
        reason: code,
        source: source.into(),
        reviewer: reviewer.into(),
        date: date.into(),
        evidence: reason.into(),
    }))
}

fn new_row(fields: &[&str], wrong: &mut Vec<String>) -> Option<Row> {
    let &[kind, source_id, says, labels, reason, source, reviewer, date, evidence] = fields else {
        return None;
    };
    needed("source_id", source_id, wrong);
    rows::dated(date, wrong);
    let labels = classes(labels, wrong)?;
    let [source_id, source, date, evidence] = [source_id, source, date, evidence].map(str::to_owned);
    match kind {
        "claim" => {
            needed("source", &source, wrong);
            empty("reason", reason, "a claim", wrong);
            empty("reviewer", reviewer, "a claim", wrong);
            let says = claimed(says, labels).map_err(|why| wrong.push(why)).ok()?;
            Some(Row::Claim(Claim { source_id, says, source, date, evidence }))
        }
        "decision" => {
            needed("reviewer", reviewer, wrong);
            let code = Reason::of_field("reason", reason, wrong);
            let verdict = decided(says, labels).map_err(|why| wrong.push(why)).ok()?;
            let reviewer = reviewer.into();
            Some(Row::Decision(Decision {
                source_id,
                verdict,
                reason: code?,
                source,
                reviewer,
                date,
                evidence,
            }))
        }
        other => {
            wrong.push(format!("kind '{other}' is not claim or decision"));
            None
        }
    }
}

fn classes(labels: &str, wrong: &mut Vec<String>) -> Option<Vec<ClassId>> {
    if labels.is_empty() {
        return Some(Vec::new());
    }
    let mut classes = Vec::new();
    for label in labels.split(' ') {
        match label.parse() {
            Ok(class) => classes.push(class),
            Err(error) => {
                wrong.push(format!("labels: {error}"));
                return None;
            }
        }
    }
    Some(classes)
}

fn claimed(says: &str, labels: Vec<ClassId>) -> Result<Says, String> {
    let none_but = |says: Says, labels: Vec<ClassId>| match labels.is_empty() {
        true => Ok(says),
        false => Err(format!("labels must be empty for {}", says.as_str())),
    };
    match says {
        "label" => match <[ClassId; 1]>::try_from(labels) {
            Ok([class]) => Ok(Says::Label(class)),
            Err(labels) => Err(format!("labels must be one class for label, and are {}", labels.len())),
        },
        "several" => Ok(Says::Several(labels)),
        "none" => none_but(Says::None, labels),
        "unclear" => none_but(Says::Unclear, labels),
        other => Err(format!("says '{other}' is not what a claim says: label, several, none or unclear")),
    }
}

fn decided(says: &str, labels: Vec<ClassId>) -> Result<Verdict, String> {
    let verdict = match says {
        "relabel" => {
            return match <[ClassId; 1]>::try_from(labels) {
                Ok([class]) => Ok(Verdict::Relabel(class)),
                Err(labels) => Err(format!("labels must be one class for relabel, and are {}", labels.len())),
            };
        }
        "keep" => return Ok(Verdict::Keep(labels)),
        "remove" => Verdict::Remove,
        "unsure" => Verdict::Unsure,
        "withdraw" => Verdict::Withdraw,
        other => {
            return Err(format!(
                "says '{other}' is not what a decision says: keep, remove, relabel, unsure or withdraw"
            ));
        }
    };
    match labels.is_empty() {
        true => Ok(verdict),
        false => Err(format!("labels must be empty for {says}")),
    }
}
