//! [`Corrections`]: what a curator decided about single images, each with a reason and a source.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::class::{Class, ClassId};
use crate::error::{Error, Mistake, Result};

/// The corrections of a version, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    rows: Vec<Correction>,
    by_id: HashMap<String, usize>,
}

/// One row: what becomes of one image, why, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The image.
    pub source_id: String,
    /// What becomes of it.
    pub action: Action,
    /// What is wrong with it, or, for `keep`, right.
    pub reason: String,
    /// Where that comes from: a paper, an audit, a person looking at the image.
    pub source: String,
    /// Who decided; may be empty.
    pub reviewer: String,
    /// When, `YYYY-MM-DD`.
    pub date: String,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// What becomes of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is left out.
    Remove,
    /// It gets another class of the dataset, and stays in its split.
    Relabel(ClassId),
    /// It stays as it is: it was looked at and found right.
    Keep,
}

impl Action {
    /// `remove`, `relabel` or `keep`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Action::Remove => "remove",
            Action::Relabel(_) => "relabel",
            Action::Keep => "keep",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The first line of the file.
pub const HEADER: &str = "source_id,action,to,reason,source,reviewer,date";

const FIELDS: usize = 7;

impl Corrections {
    /// Reads a ledger: UTF-8 CSV (RFC 4180) with the header [`HEADER`], at most one row an image. A relabel
    /// names its class, one of `classes`, in `to`; the other actions leave `to` empty.
    ///
    /// # Errors
    /// [`Error::Mistakes`], naming `what`, with every mistake and its line.
    pub fn parse(what: &str, bytes: &[u8], classes: &[Class]) -> Result<Self> {
        let mut mistakes = Vec::new();
        let mut corrections = Corrections::default();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let mut record = csv::ByteRecord::new();
        let mut header = true;
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                // Reading bytes out of memory cannot fail, and rows of any length are taken; yet never
                // unseen.
                Err(error) => return Err(Error::invalid(what, error)),
            }
            let line = record.position().map_or(0, |p| p.line() as usize);
            let mut wrong = |why: String| mistakes.push(Mistake { line: Some(line), why });
            let Ok(fields) = record.iter().map(std::str::from_utf8).collect::<Result<Vec<_>, _>>() else {
                wrong("is not UTF-8".into());
                header = false;
                continue;
            };
            if header {
                header = false;
                if fields != HEADER.split(',').collect::<Vec<_>>() {
                    wrong(format!("the header must be {HEADER}"));
                }
                continue;
            }
            if fields.len() != FIELDS {
                wrong(format!(
                    "has {} of {FIELDS} fields: {HEADER} (a text with a comma goes in \"quotes\")",
                    fields.len()
                ));
                continue;
            }
            if let Some(correction) = row(&fields, line, classes, &mut wrong) {
                corrections.insert(correction, &mut wrong);
            }
        }
        if header {
            mistakes.push(Mistake { line: Some(1), why: format!("the header must be {HEADER}") });
        }
        if mistakes.is_empty() {
            Ok(corrections)
        } else {
            Err(Error::Mistakes { what: what.into(), mistakes })
        }
    }

    fn insert(&mut self, correction: Correction, wrong: &mut impl FnMut(String)) {
        let id = &correction.source_id;
        if let Some(first) = self.by_id.get(id).map(|&at| &self.rows[at]) {
            let how =
                if first.action == correction.action { "has a row already" } else { "contradicts the row" };
            return wrong(format!("{id}: {how} at line {}: one row an image", first.line));
        }
        self.by_id.insert(id.clone(), self.rows.len());
        self.rows.push(correction);
    }

    /// The correction of an image.
    pub fn get(&self, source_id: &str) -> Option<&Correction> {
        self.by_id.get(source_id).map(|&at| &self.rows[at])
    }

    /// All, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Correction> {
        self.rows.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Checks one row of [`FIELDS`] fields; tells `wrong` of each mistake, and gives the row if its id and action
/// hold (so that duplicates are found among rows with other mistakes, too).
fn row(
    fields: &[&str],
    line: usize,
    classes: &[Class],
    wrong: &mut impl FnMut(String),
) -> Option<Correction> {
    let [source_id, action, to, reason, source, reviewer, date] = fields else { return None };
    for (name, field) in HEADER.split(',').zip(fields) {
        if field.chars().any(char::is_control) {
            wrong(format!("{name} has a line break or another control character"));
        }
    }
    for (name, field) in [("source_id", source_id), ("reason", reason), ("source", source)] {
        if field.trim().is_empty() {
            wrong(format!("{name} must not be empty"));
        }
    }
    if !is_iso_date(date) {
        wrong(format!("date '{date}' is not a day written YYYY-MM-DD"));
    }
    let action = match *action {
        "relabel" => match ClassId::from_str(to) {
            Ok(to) if classes.iter().any(|class| class.id == to) => Some(Action::Relabel(to)),
            _ => {
                wrong(format!("to '{to}' is not a class of the recipe"));
                None
            }
        },
        "remove" => Some(Action::Remove),
        "keep" => Some(Action::Keep),
        other => {
            wrong(format!("action '{other}' is not remove, relabel or keep"));
            None
        }
    }?;
    if !matches!(action, Action::Relabel(_)) && !to.is_empty() {
        wrong(format!("to must be empty for {action}"));
    }
    Some(Correction {
        source_id: source_id.to_string(),
        action,
        reason: reason.to_string(),
        source: source.to_string(),
        reviewer: reviewer.to_string(),
        date: date.to_string(),
        line,
    })
}

/// Whether `text` is `YYYY-MM-DD` and such a day exists (proleptic Gregorian calendar).
fn is_iso_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str, len: usize| -> Option<u32> {
        (part.len() == len && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let [year, month, day] = parts[..] else { return false };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Vec<Class> {
        ["n1", "n2"].map(|id| Class { id: id.parse().unwrap(), label: id.into(), group: None }).to_vec()
    }

    fn parse(rows: &str) -> Result<Corrections> {
        Corrections::parse("corrections.csv", format!("{HEADER}\n{rows}").as_bytes(), &classes())
    }

    fn mistakes(rows: &str) -> Vec<(usize, String)> {
        match parse(rows).unwrap_err() {
            Error::Mistakes { mistakes, .. } => {
                mistakes.into_iter().map(|m| (m.line.unwrap(), m.why)).collect()
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn reads_each_action() {
        let corrections = parse(
            "a,remove,,\"blurred, dark\",audit 1,Ann,2024-02-29\n\
             b,relabel,n2,is a kite,ReaL,,2024-01-31\n\
             \"c,d\",keep,,right,\"says \"\"Ann\"\"\",Ann,2000-02-29\n",
        )
        .unwrap();
        assert_eq!(corrections.iter().len(), 3);
        let a = corrections.get("a").unwrap();
        assert_eq!((&a.action, a.reason.as_str(), a.line), (&Action::Remove, "blurred, dark", 2));
        assert_eq!(corrections.get("b").unwrap().action, Action::Relabel("n2".parse().unwrap()));
        assert_eq!(corrections.get("c,d").unwrap().source, "says \"Ann\"");
        assert!(corrections.get("e").is_none());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_are_read() {
        let text = format!("\u{feff}{HEADER}\r\na,keep,,r,s,,2024-01-01\r\n");
        assert_eq!(Corrections::parse("c", text.as_bytes(), &classes()).unwrap().iter().len(), 1);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let found = mistakes(
            "a,delete,,r,s,,2024-01-01\n\
             b,relabel,n3,r,s,,2024-01-01\n\
             b,relabel,,r,s,,2024-01-01\n\
             c,remove,n1,,s,,2023-02-29\n\
             d,keep,,r,s,,2024-01-01\n\
             d,keep,,r,s,,2024-01-01\n\
             d,remove,,r, ,,2024-1-1\n\
             short,keep\n\
             ,keep,,r,s,,2024-04-31\n\
             e,keep,,\"two\nlines\",s,,2024-01-01\n",
        );
        let expected = [
            (2, "action 'delete' is not remove, relabel or keep"),
            (3, "to 'n3' is not a class of the recipe"),
            (4, "to '' is not a class of the recipe"),
            (5, "reason must not be empty"),
            (5, "date '2023-02-29' is not a day written YYYY-MM-DD"),
            (5, "to must be empty for remove"),
            (7, "d: has a row already at line 6: one row an image"),
            (8, "source must not be empty"),
            (8, "date '2024-1-1' is not a day written YYYY-MM-DD"),
            (8, "d: contradicts the row at line 6: one row an image"),
            (9, &format!("has 2 of 7 fields: {HEADER} (a text with a comma goes in \"quotes\")")),
            (10, "source_id must not be empty"),
            (10, "date '2024-04-31' is not a day written YYYY-MM-DD"),
            (11, "reason has a line break or another control character"),
        ];
        assert_eq!(found, expected.map(|(line, why)| (line, why.to_owned())));
    }

    #[test]
    fn the_header_is_exact() {
        for bad in ["", "source_id,action\n", "source_id,action,to,reason,source,reviewer,date,note\n"] {
            let error = Corrections::parse("c.csv", bad.as_bytes(), &classes()).unwrap_err().to_string();
            assert!(error.contains("line 1: the header must be"), "{bad:?}: {error}");
        }
        let error = Corrections::parse("c.csv", &[HEADER.as_bytes(), b"\n\xff,keep"].concat(), &classes());
        assert!(error.unwrap_err().to_string().contains("line 2: is not UTF-8"));
    }
}
