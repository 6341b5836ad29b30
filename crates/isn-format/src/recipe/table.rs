//! Reads a TOML document strictly and continues after a mistake: [`Table`] gives access to the known fields
//! and reports everything else to [`Mistakes`], with its line.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Edition;
use crate::error::{Error, Mistake, Result};

/// How many mistakes are reported: more would take memory, and nobody reads them.
const MAX_MISTAKES: usize = 1000;
/// Line ends are counted once per block of so many bytes.
const BLOCK: usize = 4096;

/// The mistakes found so far in a text. The tables of the document share it, hence the cell.
pub(super) struct Mistakes<'t> {
    text: &'t str,
    /// The number of line ends before each block of the text.
    lines_before: Vec<usize>,
    found: RefCell<Vec<Mistake>>,
}

impl<'t> Mistakes<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let mut before = 0;
        let lines_before = text.as_bytes().chunks(BLOCK).map(|block| {
            let before_block = before;
            before += line_ends(block);
            before_block
        });
        Mistakes { text, lines_before: lines_before.collect(), found: RefCell::default() }
    }

    /// Returns the line, from 1, of a byte position.
    pub(super) fn line(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        let block = (at / BLOCK).min(self.lines_before.len().saturating_sub(1));
        let before = self.lines_before.get(block).copied().unwrap_or_default();
        1 + before + line_ends(&self.text.as_bytes()[block * BLOCK..at])
    }

    pub(super) fn at(&self, span: &Range<usize>, why: impl fmt::Display) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_MISTAKES {
            found.push(Mistake { line: Some(self.line(span.start)), why: why.to_string() });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Returns the error with all of them, in the order of the file.
    pub(super) fn into_error(self, what: &str) -> Error {
        let mut mistakes = self.found.into_inner();
        mistakes.sort_by_key(|mistake| mistake.line);
        Error::Mistakes { what: what.into(), mistakes }
    }
}

fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// One table of the document.
pub(super) struct Table<'a, 't> {
    /// For messages: `[image]`, or empty for the top of the document.
    name: &'a str,
    span: Range<usize>,
    fields: &'a DeTable<'t>,
    mistakes: &'a Mistakes<'t>,
}

/// A value of a table, and where it is in the text.
pub(super) struct Field<'a, 't> {
    /// The key, with its table: `[image] size`.
    pub(super) key: String,
    pub(super) span: Range<usize>,
    pub(super) value: &'a DeValue<'t>,
    pub(super) mistakes: &'a Mistakes<'t>,
}

impl<'a, 't> Table<'a, 't> {
    /// Wraps a table, and reports every key that is not in `known`.
    pub(super) fn new(
        name: &'a str,
        span: Range<usize>,
        fields: &'a DeTable<'t>,
        known: &[&str],
        mistakes: &'a Mistakes<'t>,
    ) -> Self {
        let table = Table { name, span, fields, mistakes };
        let expected = known.join(", ");
        for key in fields.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            mistakes.at(
                &key.span(),
                format_args!("unknown key '{}' (known: {expected})", table.key(key.get_ref())),
            );
        }
        table
    }

    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.into() } else { format!("{} {key}", self.name) }
    }

    /// Returns a field that may be absent.
    pub(super) fn get(&self, key: &str) -> Option<Field<'a, 't>> {
        let value = self.fields.get(key)?;
        Some(Field {
            key: self.key(key),
            span: value.span(),
            value: value.get_ref(),
            mistakes: self.mistakes,
        })
    }

    /// Reports each of `keys` that is there, since an older format of recipes has none of them.
    pub(super) fn refuse_unless_two(&self, edition: Option<Edition>, keys: &[&str]) {
        if edition == Some(Edition::One) {
            for field in keys.iter().filter_map(|key| self.get(key)) {
                field.wrong("needs format = \"isn-recipe/2\"");
            }
        }
    }

    /// Returns a field; reports a mistake if it is missing.
    pub(super) fn need(&self, key: &str) -> Option<Field<'a, 't>> {
        let field = self.get(key);
        if field.is_none() {
            self.mistakes.at(&self.span, format_args!("{} is missing", self.key(key)));
        }
        field
    }
}

impl<'a, 't> Field<'a, 't> {
    pub(super) fn wrong(&self, why: impl fmt::Display) {
        self.mistakes.at(&self.span, format_args!("{} {why}", self.key));
    }

    /// Returns the value as a text that passes `check`.
    pub(super) fn text(&self, check: fn(&str) -> Result<(), &'static str>) -> Option<&'a str> {
        let Some(text) = self.value.as_str() else {
            self.wrong("must be a text in quotes");
            return None;
        };
        check(text).map_err(|why| self.wrong(why)).ok()?;
        Some(text)
    }

    /// Returns the value as a text, parsed as a `T`.
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Option<T> {
        let text = self.text(|_| Ok(()))?;
        text.parse().map_err(|error: T::Err| self.wrong(format_args!("is wrong: {error}"))).ok()
    }

    /// Returns the value as a text, which must be one of `choices`.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let found = self.value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        if found.is_none() {
            self.wrong(format_args!("must be {}", names.join(" or ")));
        }
        found.map(|(_, choice)| *choice)
    }

    /// Returns the value as a whole number in `range`.
    pub(super) fn number(&self, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let number = self.value.as_integer().and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            self.wrong(format_args!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// Returns the value as a table, whose keys must be among `known`.
    pub(super) fn table<'b>(&self, name: &'b str, known: &[&str]) -> Option<Table<'b, 't>>
    where
        'a: 'b,
    {
        let Some(fields) = self.value.as_table() else {
            self.wrong("must be a table");
            return None;
        };
        Some(Table::new(name, self.span.clone(), fields, known, self.mistakes))
    }

    /// Returns the value as a boolean.
    pub(super) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.wrong("must be true or false");
        }
        flag
    }

    /// Returns an element of this array as a field.
    pub(super) fn element(&self, value: &'a Spanned<DeValue<'t>>) -> Field<'a, 't> {
        Field { key: self.key.clone(), span: value.span(), value: value.get_ref(), mistakes: self.mistakes }
    }

    /// Returns the elements of the array.
    pub(super) fn elements(&self) -> Option<&'a [Spanned<DeValue<'t>>]> {
        let array = self.value.as_array();
        if array.is_none() {
            self.wrong("must be a list");
        }
        array.map(|array| array.as_ref())
    }
}
