//! The file of a ledger: CSV that people may edit, and to which rows are only added.

use std::io::Read as _;
use std::str::FromStr;

use super::date::{is_date_or_time, is_iso_date};
use super::row::spaced;
use super::{Claim, Decision, Ledger, Reason, Row, Says, Verdict};
use crate::class::{ClassId, csv_field};
use crate::error::{Error, Mistake, Result};

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
    /// [`Error::Mistakes`], naming `what`, with every mistake and its line.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let mut reading = Reading { ledger: Ledger::default(), lines: Vec::new(), mistakes: Vec::new() };
        // The extra line feed reveals a quote that is still open at the end: the field then contains a line
        // break, which is not allowed. Without it, the next row that is added would become part of that
        // field.
        let bytes = bytes.chain(&b"\n"[..]);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let mut record = csv::ByteRecord::new();
        let mut header = None;
        // Reading from memory cannot fail, and rows may have any length; still, an error must not be ignored.
        while reader.read_byte_record(&mut record).map_err(|error| Error::invalid(what, error))? {
            let line = record.position().map_or(0, |p| p.line() as usize);
            let Ok(fields) = record.iter().map(std::str::from_utf8).collect::<Result<Vec<_>, _>>() else {
                reading.wrong(line, "is not UTF-8".into());
                header = header.or(Some(HEADER));
                continue;
            };
            match header {
                Some(header) => reading.row(header, &fields, line),
                None => {
                    let known = [HEADER, OLD_HEADER].into_iter().find(|h| fields == columns(h));
                    header = known;
                    if known.is_none() {
                        // The rows of another kind of file are no mistakes of a ledger.
                        break;
                    }
                }
            }
        }
        if header.is_none() {
            reading.wrong(1, format!("the header must be {HEADER}"));
        }
        match reading.mistakes.is_empty() {
            true => Ok(reading.ledger),
            false => Err(Error::Mistakes { what: what.into(), mistakes: reading.mistakes }),
        }
    }

    /// Returns the bytes of the file: header, rows, LF line ends, minimal quoting.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut out = format!("{HEADER}\n");
        self.rows.iter().for_each(|row| out += &row.to_csv());
        out.into_bytes()
    }

    /// Like [`Ledger::parse`], but a file without any bytes is an empty ledger.
    ///
    /// # Errors
    /// As [`Ledger::parse`].
    pub fn parse_or_empty(what: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() { Ok(Ledger::default()) } else { Self::parse(what, bytes) }
    }
}

fn columns(header: &str) -> Vec<&str> {
    header.split(',').collect()
}

impl Row {
    /// Returns its line in a file, with the line feed.
    pub fn to_csv(&self) -> String {
        let fields = match self {
            Row::Claim(Claim { source_id, says, source, date, evidence }) => {
                let labels = spaced(says.classes());
                ["claim", source_id, says.as_str(), &labels, "", source, "", date, evidence]
                    .map(str::to_owned)
            }
            Row::Decision(Decision { source_id, verdict, reason, source, reviewer, date, evidence }) => {
                let (labels, reason) = (spaced(verdict.classes()), reason.as_str());
                ["decision", source_id, verdict.as_str(), &labels, reason, source, reviewer, date, evidence]
                    .map(str::to_owned)
            }
        };
        fields.map(|field| csv_field(&field).into_owned()).join(",") + "\n"
    }
}

/// The state of reading a file.
struct Reading {
    ledger: Ledger,
    /// The line of each row of `ledger`.
    lines: Vec<usize>,
    mistakes: Vec<Mistake>,
}

impl Reading {
    fn wrong(&mut self, line: usize, why: String) {
        self.mistakes.push(Mistake { line: Some(line), why });
    }

    fn row(&mut self, header: &str, fields: &[&str], line: usize) {
        let names = columns(header);
        if fields.len() != names.len() {
            let (found, expected) = (fields.len(), names.len());
            return self.wrong(
                line,
                format!(
                    "has {found} of {expected} fields: {header} (a text with a comma goes in \"quotes\")"
                ),
            );
        }
        for (name, field) in names.iter().zip(fields) {
            if field.ends_with('\n') {
                self.wrong(line, format!("{name} ends in a line break, or its quote is never closed"));
            } else if field.chars().any(char::is_control) {
                self.wrong(line, format!("{name} has a line break or another control character"));
            }
        }
        let mut wrong = Vec::new();
        let row = match header {
            OLD_HEADER => old_row(fields, &mut wrong),
            _ => new_row(fields, &mut wrong),
        };
        wrong.into_iter().for_each(|why| self.wrong(line, why));
        let Some(row) = row else { return };
        if header == OLD_HEADER {
            let (id, earlier) = (row.source_id(), self.ledger.of(row.source_id()).next());
            if let Some((at, earlier)) = earlier {
                let same = earlier.decision().map(|d| &d.verdict) == row.decision().map(|d| &d.verdict);
                let how = if same { "already has a row" } else { "contradicts the row" };
                let why = format!("{id} {how} at line {}: an image may have one row", self.lines[at]);
                return self.wrong(line, why);
            }
        }
        self.lines.push(line);
        self.ledger.push(row);
    }
}

fn needed(name: &str, field: &str, wrong: &mut Vec<String>) {
    if field.trim().is_empty() {
        wrong.push(format!("{name} must not be empty"));
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
    if !is_date_or_time(date) {
        wrong.push(format!("date '{date}' is not YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ"));
    }
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
            let code = Reason::ALL.iter().copied().find(|code| code.as_str() == reason);
            if code.is_none() {
                let codes: Vec<_> = Reason::ALL.iter().map(|code| code.as_str()).collect();
                wrong.push(format!("reason '{reason}' is none of {}", codes.join(", ")));
            }
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
