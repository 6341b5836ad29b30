//! [`Rows`]: a text file in a source that says the classes of its images.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::listing::Listing;
use super::{Absent, LeftOut, join};
use crate::files;
use isn_format::class::{Class, ClassId};
use isn_format::error::{Error, Result, count};
use isn_format::source_spec::{SourceSpec, nfc};

/// The maximum length of such a file, in bytes: 60 for each image of the largest sources.
pub(super) const MAX_LIST: u64 = 1 << 30;
/// The maximum length of a field that counts, in bytes: more than a source id or a label has.
const MAX_FIELD: usize = 1024;
/// How many characters of a field or a header are shown.
const WIDTH: usize = 80;
/// How many mistakes of a file are told one by one.
const TOLD: usize = 20;
/// How many labels of no class, and the like, are in a warning.
pub(super) const SHOWN: usize = 3;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The rows of a file: UTF-8, separated by tabs if the first line has one, else by commas, quoted as in
/// RFC 4180. Lines without anything in a field are no rows.
pub(super) struct Rows {
    text: String,
    delimiter: u8,
}

impl Rows {
    /// Reads the file at `path` in the source of `listing`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Invalid`] if it is too long or not UTF-8.
    pub(super) fn read(listing: &Listing<'_>, path: &str) -> Result<Rows> {
        let file = join(listing.root, path);
        let mut bytes = files::read_beside(&file, MAX_LIST)?;
        if bytes.starts_with(BOM) {
            bytes.drain(..BOM.len());
        }
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count();
            Error::invalid(file.display(), format!("line {line} is not UTF-8: save it as UTF-8"))
        })?;
        let first = text.lines().next().unwrap_or_default();
        let delimiter = if first.contains('\t') { b'\t' } else { b',' };
        // With Ctrl-Z, some programs for DOS end a text.
        text.truncate(text.trim_end_matches('\u{1a}').len());
        // It reveals a quote that is still open at the end: the last field then ends with a line break.
        text.push('\n');
        Ok(Rows { text, delimiter })
    }

    /// Says what is between fields.
    pub(super) fn separator(&self) -> &'static str {
        match self.delimiter {
            b'\t' => "a tab, as in the first line",
            _ => "a comma, since the first line has no tab",
        }
    }

    /// Says that a field has other rows in it, as after a quote that is closed in another row, or never.
    pub(super) fn swallowed(&self, fields: &[&str]) -> Option<String> {
        let separator = char::from(self.delimiter);
        let field = fields.iter().find(|field| field.contains('\n') && field.contains(separator))?;
        Some(format!(
            "the field {:?} has a line break and the text of another row: close the quote that it begins with, or \
             remove the line break",
            short(field)
        ))
    }

    /// Calls `each` with the line and the fields of each row, without blanks at their ends, until it returns
    /// `false`. Returns the line of a row whose quote is never closed.
    pub(super) fn each(&self, mut each: impl FnMut(usize, &[&str]) -> bool) -> Option<usize> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .from_reader(self.text.as_bytes());
        let mut record = csv::StringRecord::new();
        let mut last = None;
        // Reading a text from memory cannot fail.
        while reader.read_record(&mut record).unwrap_or(false) {
            let line = record.position().map_or(0, |at| {
                let rest = self.text.as_bytes().get(at.byte() as usize..).unwrap_or_default();
                let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
                at.line() as usize + empty.filter(|byte| **byte == b'\n').count()
            });
            let is_open = record.iter().next_back().is_some_and(|field| field.ends_with('\n'));
            last = is_open.then_some(line);
            let fields: Vec<&str> = record.iter().map(str::trim).collect();
            let is_empty = fields.iter().all(|field| field.is_empty());
            if !is_empty && !each(line, &fields) {
                return None;
            }
        }
        last
    }
}

/// Checks a field that counts: without this, a quote that is never closed would be a label of many lines.
///
/// # Errors
/// What is wrong with it, as a predicate.
pub(super) fn check_field(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        return Err("has a line break or another control character".into());
    }
    match text.len() {
        0..=MAX_FIELD => Ok(()),
        n => Err(format!("has {n} bytes, and at most {MAX_FIELD} are read")),
    }
}

/// The beginning of a text, for a message.
pub(super) fn short(text: &str) -> String {
    let mut short: String = text.chars().take(WIDTH).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A word of a file, for a message: with characters that nobody sees, such as a space without width, as their
/// numbers.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let mut shown = String::new();
    for c in text.chars() {
        match c.is_ascii() {
            true => shown.push(c),
            // Behind another character, one that combines with it is not escaped.
            false => shown.extend(format!("x{c}").escape_debug().skip(1)),
        }
    }
    shown.into()
}

/// Returns a path that a row has in the form in which files are found: below its folder, in Unicode's form C,
/// with `/` between segments.
///
/// # Errors
/// What is wrong with it, as a predicate.
pub(super) fn path_of(text: &str) -> Result<String, &'static str> {
    let text = text.replace('\\', "/");
    let segments: Vec<&str> = text.split('/').filter(|segment| !matches!(*segment, "" | ".")).collect();
    // `C:x` leaves the folder, too.
    let is_drive = segments.first().is_some_and(|first| first.as_bytes().get(1) == Some(&b':'));
    if text.chars().any(char::is_control) {
        return Err("has a line break or another control character");
    }
    if text.starts_with('/') || is_drive {
        return Err("is an absolute path: it must be the path of an image in the source");
    }
    if segments.contains(&"..") {
        return Err("has .. in it: it must be the path of an image in the source");
    }
    if segments.is_empty() {
        return Err("is the path of no image");
    }
    Ok(nfc(&segments.join("/")).into_owned())
}

/// The classes by their words in a file, which are in form C.
pub(super) fn words<'c>(spec: &SourceSpec, classes: &'c [Class]) -> HashMap<String, &'c ClassId> {
    let of = |class: &'c Class| {
        let words: Vec<String> =
            spec.folders_of(&class.id).into_iter().map(|word| nfc(word).into_owned()).collect();
        words.into_iter().map(move |word| (word, &class.id))
    };
    classes.iter().flat_map(of).collect()
}

/// What is found while the rows of a file are read: mistakes, repetitions, and words that lead to nothing.
pub(super) struct Findings<'f> {
    file: &'f str,
    mistakes: usize,
    absent: usize,
    repeated: Option<(usize, usize, String)>,
    repetitions: usize,
    /// How many images have a label of no class, by that label.
    labels: BTreeMap<String, u64>,
    /// How many are in no split, by the reason.
    splits: BTreeMap<String, u64>,
    /// How many rows are about neither an image that is there nor one of the recipe.
    others: usize,
}

impl<'f> Findings<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        let (labels, splits) = (BTreeMap::new(), BTreeMap::new());
        Findings { file, mistakes: 0, absent: 0, repeated: None, repetitions: 0, labels, splits, others: 0 }
    }

    /// The file.
    pub(super) fn file(&self) -> &'f str {
        self.file
    }

    /// Reports a mistake in a row. Of many, the first are told.
    pub(super) fn wrong(&mut self, listing: &mut Listing<'_>, line: usize, why: impl fmt::Display) {
        self.mistakes += 1;
        if self.mistakes <= TOLD {
            listing.problem(format!("{} line {line}: {why}", self.file));
        }
    }

    /// Reports a row whose image is not there. Of many, the first are told.
    pub(super) fn absent(&mut self, listing: &mut Listing<'_>, line: usize, why: String, image: Absent) {
        self.absent += 1;
        if self.absent <= TOLD {
            listing.absent_rows.push(format!("{} line {line}: {why}", self.file));
        }
        listing.absent.push(image);
    }

    /// Counts a row whose label is that of no class. Its image may not be there.
    pub(super) fn no_class(&mut self, label: &str, is_there: bool) {
        let why = match label {
            "" => "it has no label".to_owned(),
            _ => format!("its label '{}' is that of no class of the recipe", visible(label)),
        };
        self.others += usize::from(!is_there);
        *self.labels.entry(why).or_default() += u64::from(is_there);
    }

    /// Counts a row whose image is in no split. It may not be there.
    pub(super) fn no_split(&mut self, why: String, is_there: bool) {
        self.others += usize::from(!is_there);
        *self.splits.entry(why).or_default() += u64::from(is_there);
    }

    /// Judges a row about an image of which an earlier row has said something; both are lines and what they
    /// say.
    pub(super) fn again(
        &mut self,
        listing: &mut Listing<'_>,
        path: &str,
        (first, said): (usize, &str),
        (line, says): (usize, &str),
    ) {
        if said != says {
            let why = format!("gives {path} {says}, and line {first} gives it {said}: keep one of the rows");
            return self.wrong(listing, line, why);
        }
        self.repetitions += 1;
        self.repeated.get_or_insert_with(|| (line, first, path.to_owned()));
    }

    /// Whether there are rows about neither an image that is there nor one of the recipe, and no mistakes.
    pub(super) fn has_others(&self) -> bool {
        self.others > 0 && self.mistakes == 0
    }

    /// Tells what was counted.
    pub(super) fn finish(self, listing: &mut Listing<'_>) {
        let file = self.file;
        if let Some(more) = self.mistakes.checked_sub(TOLD).filter(|more| *more > 0) {
            listing.problem(format!("{file}: {} have mistakes like these", count(more, "more row")));
        }
        if let Some(more) = self.absent.checked_sub(TOLD).filter(|more| *more > 0) {
            listing.absent_rows.push(format!("{file}: {} without an image", count(more, "more row")));
        }
        if let Some((line, first, path)) = self.repeated {
            let more = match self.repetitions - 1 {
                0 => String::new(),
                n => format!(", and so on ({})", count(n, "more row")),
            };
            listing.warnings.push(format!("{file} line {line} repeats line {first} ({path}){more}"));
        }
        if self.others > 0 {
            let rows = count(self.others, "row");
            listing
                .warnings
                .push(format!("{file}: passed over {rows} of other labels, without an image here"));
        }
        for group in [self.labels, self.splits] {
            let mut group: Vec<(String, u64)> = group.into_iter().filter(|(_, images)| *images > 0).collect();
            if group.is_empty() {
                continue;
            }
            group.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let all: u64 = group.iter().map(|(_, images)| images).sum();
            let shown = group.iter().take(SHOWN).map(|(why, images)| format!("{why} ({images})"));
            let shown = shown.collect::<Vec<_>>().join("; ");
            let more = if group.len() > SHOWN { "; …" } else { "" };
            let all = count(all as usize, "image");
            listing.warnings.push(format!("{file}: left out {all}: {shown}{more}"));
            listing.left_out.extend(group.into_iter().map(|(why, images)| LeftOut {
                path: file.into(),
                why,
                class: None,
                images: Some(images),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_below_its_folder() {
        for (text, path) in [
            ("a.jpg", "a.jpg"),
            ("./a//b/./c.jpg", "a/b/c.jpg"),
            ("cat\\1.jpg", "cat/1.jpg"),
            (".\\cat\\1.jpg", "cat/1.jpg"),
            ("cafe\u{301}/e\u{301}.jpg", "café/é.jpg"),
            ("a..b/..c", "a..b/..c"),
            ("ab: c.jpg", "ab: c.jpg"),
        ] {
            assert_eq!(path_of(text), Ok(path.to_owned()), "{text}");
        }
        for (text, why) in [
            ("", "is the path of no image"),
            ("./", "is the path of no image"),
            ("../a.jpg", "has .. in it"),
            ("a/../../b.jpg", "has .. in it"),
            ("..\\b.jpg", "has .. in it"),
            ("/etc/a.jpg", "is an absolute path"),
            ("\\\\host\\a.jpg", "is an absolute path"),
            ("C:\\a.jpg", "is an absolute path"),
            ("c:a.jpg", "is an absolute path"),
            ("./c:a.jpg", "is an absolute path"),
            ("a\nb.jpg", "has a line break"),
            ("a\0.jpg", "control character"),
        ] {
            assert!(path_of(text).unwrap_err().contains(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leaves_its_folder(text in ".{0,40}") {
            if let Ok(path) = path_of(&text) {
                prop_assert!(path.split('/').all(|segment| !matches!(segment, "" | "." | "..")), "{path}");
                prop_assert_eq!(path_of(&path), Ok(path));
            }
        }
    }
}
