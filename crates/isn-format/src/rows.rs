//! Files of rows that people write and to which rows are only added: CSV with a header, see
//! [`RowFile`]. The ledger and the pairs are such files.

use std::io::Read as _;

use crate::class::csv_field;
use crate::error::{Error, Mistake, Result};
use crate::ledger::date::is_date_or_time;
use crate::text::is_formula;

/// A file of rows.
pub trait RowFile: Sized {
    /// A row.
    type Row: FileRow;

    /// What it is called in messages.
    const NOUN: &'static str;
    /// The first line of the file, as it is written.
    const HEADER: &'static str;
    /// The maximum length of the file, in bytes.
    const MAX_LEN: u64;

    /// Creates one of these rows.
    fn new(rows: Vec<Self::Row>) -> Self;

    /// Returns the rows, in the order of the file.
    fn rows(&self) -> &[Self::Row];

    /// Reads the file; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Mistakes`] with every mistake and its line.
    fn parse(what: &str, bytes: &[u8]) -> Result<Self>;

    /// Like [`RowFile::parse`], but a file without any bytes has no rows.
    ///
    /// # Errors
    /// As [`RowFile::parse`].
    fn parse_or_empty(what: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() { Ok(Self::new(Vec::new())) } else { Self::parse(what, bytes) }
    }

    /// Returns the bytes of the file: header, rows, LF line ends, minimal quoting.
    fn to_csv(&self) -> Vec<u8> {
        let mut out = format!("{}\n", Self::HEADER);
        self.rows().iter().for_each(|row| out += &row.to_csv());
        out.into_bytes()
    }
}

/// A row of a [`RowFile`].
pub trait FileRow: Clone {
    /// Returns its line in the file, with the line feed.
    fn to_csv(&self) -> String;

    /// Returns what it is about, for messages: the image, or both.
    fn about(&self) -> String;

    /// Returns its fields of free text, with their names.
    fn texts(&self) -> Vec<(&'static str, &str)>;

    /// Returns a line for each field of free text that a spreadsheet would take for a formula: people open
    /// such files in spreadsheets.
    fn formulas(&self) -> Vec<String> {
        let about = self.about();
        let formulas = self.texts().into_iter().filter(|(_, field)| is_formula(field));
        formulas
            .map(|(name, field)| {
                format!("{about}: {name} '{field}' is a formula to a spreadsheet: begin it with a word")
            })
            .collect()
    }
}

/// Reads a file with one of these headers. `row` gets the header, and the fields and the line of each row
/// that has as many, and adds what is wrong with it.
///
/// # Errors
/// [`Error::Mistakes`], naming `what`, with every mistake and its line.
pub(crate) fn read(
    what: &str,
    bytes: &[u8],
    headers: &[&'static str],
    mut row: impl FnMut(&'static str, &[&str], usize, &mut Vec<String>),
) -> Result<()> {
    let mut mistakes = Vec::new();
    // The extra line feed reveals a quote that is still open at the end: the field then contains a line
    // break, which is not allowed. Without it, the next row that is added would become part of that
    // field.
    let bytes = bytes.chain(&b"\n"[..]);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    let (mut header, newest) = (None, headers.first().copied().unwrap_or_default());
    // Reading from memory cannot fail, and rows may have any length; still, an error must not be ignored.
    while reader.read_byte_record(&mut record).map_err(|error| Error::invalid(what, error))? {
        let line = record.position().map_or(0, |p| p.line() as usize);
        let mut wrong = Vec::new();
        let fields = record.iter().map(std::str::from_utf8).collect::<Result<Vec<_>, _>>();
        match (header, fields) {
            (_, Err(_)) => {
                wrong.push("is not UTF-8".into());
                header = header.or(Some(newest));
            }
            (Some(header), Ok(fields)) => {
                if has_all(header, &fields, &mut wrong) {
                    row(header, &fields, line, &mut wrong);
                }
            }
            (None, Ok(fields)) => {
                header = headers.iter().copied().find(|known| fields == columns(known));
                if header.is_none() {
                    // The rows of another kind of file are no mistakes of this one.
                    break;
                }
            }
        }
        mistakes.extend(wrong.into_iter().map(|why| Mistake { line: Some(line), why }));
    }
    if header.is_none() {
        mistakes.push(Mistake { line: Some(1), why: format!("the header must be {newest}") });
    }
    match mistakes.is_empty() {
        true => Ok(()),
        false => Err(Error::Mistakes { what: what.into(), mistakes }),
    }
}

fn columns(header: &str) -> Vec<&str> {
    header.split(',').collect()
}

/// Whether a row has as many fields as the header; adds which have a control character.
fn has_all(header: &str, fields: &[&str], wrong: &mut Vec<String>) -> bool {
    let names = columns(header);
    if fields.len() != names.len() {
        wrong.push(format!(
            "has {} of {} fields: {header} (a text with a comma goes in \"quotes\")",
            fields.len(),
            names.len()
        ));
        return false;
    }
    for (name, field) in names.iter().zip(fields) {
        if field.ends_with('\n') {
            wrong.push(format!("{name} ends in a line break, or its quote is never closed"));
        } else if field.chars().any(char::is_control) {
            wrong.push(format!("{name} has a line break or another control character"));
        }
    }
    true
}

/// Returns a row's line, with the line feed.
pub(crate) fn line<const N: usize>(fields: [&str; N]) -> String {
    fields.map(csv_field).join(",") + "\n"
}

pub(crate) fn needed(name: &str, field: &str, wrong: &mut Vec<String>) {
    if field.trim().is_empty() {
        wrong.push(format!("{name} must not be empty"));
    }
}

pub(crate) fn dated(date: &str, wrong: &mut Vec<String>) {
    if !is_date_or_time(date) {
        wrong.push(format!("date '{date}' is not YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ"));
    }
}

/// Defines an enum of codes: the words that a field of a row may have.
macro_rules! codes {
    ($(#[$about:meta])* $of:ident { $($(#[$doc:meta])* $name:ident = $code:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $of { $($(#[$doc])* $name,)* }

        impl $of {
            /// All codes.
            pub const ALL: &[$of] = &[$($of::$name,)*];

            /// Returns the code.
            pub fn as_str(self) -> &'static str {
                match self { $($of::$name => $code,)* }
            }

            /// Returns what has this code.
            pub fn of_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == code)
            }

            /// Returns the code of a field, or adds to `wrong` that it is none.
            pub(crate) fn of_field(name: &str, field: &str, wrong: &mut Vec<String>) -> Option<Self> {
                let found = Self::of_code(field);
                if found.is_none() {
                    let codes: Vec<_> = Self::ALL.iter().map(|code| code.as_str()).collect();
                    wrong.push(format!("{name} '{field}' is none of {}", codes.join(", ")));
                }
                found
            }
        }
    };
}
pub(crate) use codes;
