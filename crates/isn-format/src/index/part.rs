//! [`Part`]: some blocks of an index, shown to be all that a selection has of the version with a dataset
//! hash.

use std::ops::Range;

use super::blocks::Directory;
use super::{Columns, Index};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::rel_path::RelPathRef;
use crate::sums::{LineRef, Pieces, Sums, SumsProof, SumsTree, folders};
use crate::tree::{CLASSES, Selection};

/// What a selection has of a version.
pub struct Part {
    /// The images of the blocks that the selection has images in.
    pub index: Index,
    /// The lines of `B3SUMS` of the selection, and that of `classes.csv`.
    pub selected: Sums,
    /// The file that shows these lines to be in `B3SUMS`, see [`crate::sums::SumsProof`].
    pub proof: Vec<u8>,
}

impl Part {
    /// Reads the blocks `chosen`, which are [`Directory::chosen`], from the frames of all blocks that are
    /// [`Directory::needed`], in order. Everything is checked against `tree`, so nobody need have signed the
    /// directory. `classes` is the BLAKE3 of `classes.csv`.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if the rows are not those of the version with the dataset hash,
    /// or not all that the selection has.
    pub fn new<'f>(
        what: &str,
        (directory, tree): (&Directory, &SumsTree),
        (selection, chosen): (&Selection, &[usize]),
        classes: &Digest,
        frames: impl IntoIterator<Item = (usize, &'f [u8])>,
    ) -> Result<Self> {
        if directory.sums_len() != tree.len() {
            let (here, there) = (directory.sums_len(), tree.len());
            let why = format!("is of a B3SUMS of {here} bytes, and that of the dataset hash has {there}");
            return Err(Error::integrity(what, why));
        }
        let mut first = Vec::new();
        LineRef { blake3: *classes, path: RelPathRef::stored(CLASSES) }.push_to(&mut first);
        let mut texts: Pieces = vec![(0, first)];
        let mut columns = Columns::default();
        for (at, frame) in frames {
            let lines = directory.lines(at);
            match texts.last() {
                Some((begin, text)) if begin + text.len() as u64 == lines.start => {}
                _ => texts.push((lines.start, Vec::new())),
            }
            let Some((_, text)) = texts.last_mut() else { continue };
            let kept = chosen.binary_search(&at).is_ok().then_some(&mut columns);
            directory.read_lines((what, at), frame, text, kept)?;
        }
        let checked = texts.iter().map(|(at, text)| tree.check(what, *at, text));
        let checked: Vec<Range<u64>> = checked.collect::<Result<_>>()?;
        let index = columns.finish(what)?;
        let selected = Sums::of_index(&index, *classes).selected(selection);
        let shown = Shown::of(&texts, tree.len()).around(what, &selected, selection)?;
        let is_checked = |bytes: &Range<u64>| {
            let bytes = tree.around(bytes.clone());
            checked.iter().any(|checked| checked.start <= bytes.start && bytes.end <= checked.end)
        };
        if !shown.iter().all(is_checked) {
            return Err(Error::integrity(what, "lacks lines that show that the selection is whole"));
        }
        let proof = tree.prove(&texts, &shown)?;
        // What is written is what a verification will accept.
        let read = SumsProof::parse(what, &proof)?;
        read.check(what, &selected)?;
        match read.lacking(&selected, selection).filter(|_| !selection.is_all()) {
            Some(lacking) => Err(Error::integrity(what, format!("does not show all of {lacking}"))),
            None => Ok(Part { proof, index, selected }),
        }
    }
}

/// The lines of texts, in order.
struct Shown<'a> {
    /// Each line with where it is in `B3SUMS`, and whether the line before it there is the one before it
    /// here.
    lines: Vec<(Range<u64>, &'a str, bool)>,
    length: u64,
}

impl<'a> Shown<'a> {
    fn of(texts: &'a Pieces, length: u64) -> Self {
        let mut lines = Vec::new();
        for (at, text) in texts {
            let mut begin = 0;
            for end in memchr::memchr_iter(b'\n', text) {
                // 64 digits and two spaces stand before the path, which was text.
                let path = text.get(begin + 66..end).and_then(|path| std::str::from_utf8(path).ok());
                let bytes = at + begin as u64..at + end as u64 + 1;
                lines.push((bytes, path.unwrap_or_default(), begin > 0 || *at == 0));
                begin = end + 1;
            }
        }
        Shown { lines, length }
    }

    /// Returns the bytes of the selected lines with those before and after them, and of the two lines between
    /// which a folder of the selection would be that has none.
    fn around(&self, what: &str, selected: &Sums, selection: &Selection) -> Result<Vec<Range<u64>>> {
        let mut shown: Vec<Range<u64>> = Vec::new();
        let mut found = 0;
        for at in 0..self.lines.len() {
            if selected.find(self.lines[at].1).is_some() {
                found += 1;
                shown.push(self.beside(what, at, at + 1)?);
            }
        }
        if found != selected.len() {
            return Err(Error::Internal("selected lines are in no text".into()));
        }
        for folder in &folders(selection) {
            let at = self.lines.partition_point(|(_, path, _)| *path < folder.as_str());
            if self.lines.get(at).is_none_or(|(_, path, _)| !path.starts_with(folder.as_str())) {
                shown.push(self.beside(what, at, at)?);
            }
        }
        shown.sort_by_key(|bytes| bytes.start);
        Ok(shown)
    }

    /// Returns the bytes from the line before line `begin` to the end of line `end`.
    fn beside(&self, what: &str, begin: usize, end: usize) -> Result<Range<u64>> {
        let refuse = || Error::integrity(what, "lacks the lines beside a selected one");
        let first = match (begin, self.lines.get(begin)) {
            (0, _) => 0,
            (_, Some((_, _, false))) => return Err(refuse()),
            _ => self.lines[begin - 1].0.start,
        };
        let last = match self.lines.get(end) {
            Some((_, _, false)) => return Err(refuse()),
            Some((bytes, _, true)) => bytes.end,
            None => self.length,
        };
        let is_end = self.lines.last().is_some_and(|(bytes, ..)| bytes.end == self.length);
        if (end < self.lines.len() || is_end) && first < last { Ok(first..last) } else { Err(refuse()) }
    }
}
