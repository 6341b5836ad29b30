//! [`SumsProof`]: shows that lines are in the `B3SUMS` of a dataset hash, and that no line between two of
//! them that follow each other is left out. docs/format.md has the form of `B3SUMS.proof`.

use std::ops::Range;

use blake3::hazmat::{ChainingValue, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};

use super::tree::{GROUP, SumsTree, value};
use super::{Files, LineRef, Lines, MAX_SUMS, Sums};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::rel_path::RelPathRef;
use crate::split::Split;
use crate::tree::{CLASSES, Selection};

/// The bytes of a leaf of BLAKE3's tree.
const CHUNK: u64 = blake3::CHUNK_LEN as u64;

/// Runs of bytes of a `B3SUMS`, each with where it begins.
pub type Pieces = Vec<(u64, Vec<u8>)>;

impl SumsTree {
    /// Returns the file that shows that these bytes are in `B3SUMS`. They are sorted; `texts` have, checked,
    /// all groups in which there are some of them, and the last group.
    ///
    /// # Errors
    /// [`Error::Internal`] if `texts` lack some.
    pub fn prove(&self, texts: &Pieces, shown: &[Range<u64>]) -> Result<Vec<u8>> {
        let chunks = self.chunks_of(shown);
        let mut proof = self.len().to_le_bytes().to_vec();
        proof.extend((chunks.len() as u64).to_le_bytes());
        for range in &chunks {
            proof.extend(range.start.to_le_bytes());
            proof.extend(range.end.to_le_bytes());
        }
        Prover { tree: self, texts, chunks: &chunks }.push(0..self.len(), &mut proof)?;
        Ok(proof)
    }

    /// Returns the chunks that have these bytes, and the last chunk: it shows how long the whole is.
    fn chunks_of(&self, shown: &[Range<u64>]) -> Vec<Range<u64>> {
        let last = self.len() - 1;
        let mut chunks: Vec<Range<u64>> = Vec::new();
        for bytes in shown.iter().chain([&(last..last + 1)]).filter(|bytes| !bytes.is_empty()) {
            let range = bytes.start / CHUNK..bytes.end.div_ceil(CHUNK);
            match chunks.last_mut() {
                Some(before) if range.start <= before.end => before.end = before.end.max(range.end),
                _ => chunks.push(range),
            }
        }
        chunks
    }
}

/// Whether a node over these bytes has one of the chunks below it.
fn is_shown(bytes: &Range<u64>, chunks: &[Range<u64>]) -> bool {
    let after = chunks.partition_point(|range| range.end * CHUNK <= bytes.start);
    chunks.get(after).is_some_and(|range| range.start * CHUNK < bytes.end)
}

struct Prover<'a> {
    tree: &'a SumsTree,
    texts: &'a Pieces,
    chunks: &'a [Range<u64>],
}

impl Prover<'_> {
    fn push(&self, node: Range<u64>, proof: &mut Vec<u8>) -> Result<()> {
        if node.end - node.start <= CHUNK {
            proof.extend(self.text(&node)?);
            return Ok(());
        }
        let middle = node.start + left_subtree_len(node.end - node.start);
        let children = [node.start..middle, middle..node.end];
        for child in &children {
            proof.extend(self.value(child)?);
        }
        let shown = children.into_iter().filter(|child| is_shown(child, self.chunks));
        shown.into_iter().try_for_each(|child| self.push(child, proof))
    }

    fn value(&self, node: &Range<u64>) -> Result<ChainingValue> {
        let is_whole = node.start.is_multiple_of(GROUP)
            && (node.end.is_multiple_of(GROUP) || node.end == self.tree.len());
        match is_whole {
            true => Ok(self.tree.value(node.clone())),
            false => Ok(value(node.start, self.text(node)?)),
        }
    }

    fn text(&self, node: &Range<u64>) -> Result<&[u8]> {
        let found = self.texts.iter().find_map(|(at, text)| {
            let begin = node.start.checked_sub(*at)? as usize;
            text.get(begin..begin + (node.end - node.start) as usize)
        });
        found.ok_or_else(|| Error::Internal(format!("no text for bytes {} of B3SUMS", node.start)))
    }
}

/// A proof that was read: lines that are in the `B3SUMS` of a dataset hash.
#[derive(Debug)]
pub struct SumsProof {
    dataset: Digest,
    runs: Vec<Run>,
}

/// Lines that follow each other.
#[derive(Debug)]
struct Run {
    files: Files,
    /// Whether nothing is before it, and after it.
    is_first: bool,
    is_last: bool,
}

impl SumsProof {
    /// Reads a proof. Whoever knows the dataset hash compares it with [`SumsProof::dataset`].
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if it is not one.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader { what, rest: bytes, chunks: Vec::new(), texts: Vec::new() };
        let length = reader.number()?;
        if !(1..=MAX_SUMS).contains(&length) {
            return Err(reader.refuse("is of no B3SUMS"));
        }
        for _ in 0..reader.number()? {
            let range = reader.number()?..reader.number()?;
            let is_next = reader.chunks.last().is_none_or(|before| before.end < range.start);
            if !is_next || range.is_empty() || range.end > length.div_ceil(CHUNK) {
                return Err(reader.refuse("does not name its chunks in order"));
            }
            reader.chunks.push(range);
        }
        if reader.chunks.last().is_none_or(|last| last.end != length.div_ceil(CHUNK)) {
            return Err(reader.refuse("does not show the end of B3SUMS"));
        }
        let dataset = reader.root(length)?;
        if !reader.rest.is_empty() {
            return Err(reader.refuse("has more than it needs"));
        }
        let runs = reader.texts.iter().map(|(at, text)| Run::of(what, *at, text, length));
        let runs: Vec<Run> = runs.collect::<Result<_>>()?;
        let some: Vec<&Files> = runs.iter().map(|run| &run.files).filter(|files| files.len() > 0).collect();
        let is_sorted = |pair: &[&Files]| pair[0].path(pair[0].len() - 1) < pair[1].path(0);
        if !some.windows(2).all(is_sorted) {
            return Err(Error::integrity(what, "shows a B3SUMS that is not sorted"));
        }
        Ok(SumsProof { dataset, runs })
    }

    /// The BLAKE3 of the `B3SUMS` that has the lines.
    pub fn dataset(&self) -> Digest {
        self.dataset
    }

    /// Returns the lines that are shown to be in `B3SUMS`, in order.
    pub fn lines(&self) -> impl Iterator<Item = LineRef<'_>> {
        self.runs.iter().flat_map(|run| (0..run.files.len()).map(|at| run.files.line(at)))
    }

    /// Checks that `selected` are lines of the `B3SUMS`, each with the lines before and after it shown: so
    /// none is left out in between.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if it does not show that.
    pub fn check(&self, what: &str, selected: &Sums) -> Result<()> {
        let refuse = |path: &str, why: &str| Error::integrity(what, format!("{why} {path}"));
        let mut left = selected.lines();
        let mut next = left.next();
        for run in &self.runs {
            let last = run.files.len().saturating_sub(1);
            for (at, line) in (0..run.files.len()).map(|at| (at, run.files.line(at))) {
                let Some(wanted) = next.filter(|wanted| wanted.path == line.path) else { continue };
                if wanted.blake3 != line.blake3 {
                    return Err(refuse(line.path.as_str(), "shows another line of"));
                }
                if (at == 0 && !run.is_first) || (at == last && !run.is_last) {
                    return Err(refuse(line.path.as_str(), "does not show what is beside"));
                }
                next = left.next();
            }
        }
        next.map_or(Ok(()), |line| Err(refuse(line.path.as_str(), "does not show the line of")))
    }

    /// Returns the first file of a selection that is not among `selected`, as `classes.csv` must be, or the
    /// folder of which the proof does not show what it has.
    pub fn lacking(&self, selected: &Sums, selection: &Selection) -> Option<String> {
        let includes = selection.filter();
        let is_left_out = |line: &LineRef<'_>| {
            includes(line.path.as_str()) && selected.blake3_of(line.path.as_str()).is_none()
        };
        if selected.blake3_of(CLASSES).is_none() {
            return Some(CLASSES.into());
        }
        if let Some(line) = self.lines().find(is_left_out) {
            return Some(line.path.to_string());
        }
        if let Some(image) = selection
            .images
            .iter()
            .find(|image| includes(image.as_str()) && selected.blake3_of(image.as_str()).is_none())
        {
            return Some(image.to_string());
        }
        folders(selection).into_iter().find(|folder| !self.shows(folder))
    }

    /// Whether the proof shows what is in a folder, given that of each line in it both neighbours are shown.
    fn shows(&self, folder: &str) -> bool {
        self.runs.iter().any(|run| {
            let (Ok(at) | Err(at)) = run.files.find(folder);
            let is_in = |at: usize| at < run.files.len() && run.files.path(at).as_str().starts_with(folder);
            is_in(at) || ((at > 0 || run.is_first) && (at < run.files.len() || run.is_last))
        })
    }
}

/// Returns the folders that a selection of classes or splits is, each with a slash at its end. One that names
/// images is none.
pub(crate) fn folders(selection: &Selection) -> Vec<String> {
    if !selection.images.is_empty() {
        return Vec::new();
    }
    let all = Split::ALL;
    let splits: &[Split] = if selection.splits.is_empty() { &all } else { &selection.splits };
    let mut folders: Vec<String> = match selection.classes.as_slice() {
        [] => splits.iter().map(|split| format!("{}/", split.as_str())).collect(),
        classes => {
            let of = |split: &Split| {
                let split = split.as_str();
                classes.iter().map(move |class| format!("{split}/{class}/"))
            };
            splits.iter().flat_map(of).collect()
        }
    };
    folders.sort();
    folders.dedup();
    folders
}

impl Run {
    /// Reads the whole lines of a text that begins at byte `at` of a `B3SUMS` of `length` bytes.
    fn of(what: &str, at: u64, text: &[u8], length: u64) -> Result<Self> {
        let (is_first, is_last) = (at == 0, at + text.len() as u64 == length);
        let is_feed = |byte: &u8| *byte == b'\n';
        let feed = text.iter().position(is_feed).unwrap_or(text.len());
        // A chunk may begin with a line. Of a part of one no two spaces follow 64 bytes, as a path has none.
        let is_line = is_first || (feed > 66 && text.get(64..66) == Some(b"  "));
        let begin = if is_line { 0 } else { (feed + 1).min(text.len()) };
        let end = if is_last { text.len() } else { text.iter().rposition(is_feed).map_or(0, |at| at + 1) };
        let mut files = Files::default();
        let text = text.get(begin..end).unwrap_or_default();
        if !text.is_empty() {
            for line in Lines::new(what, text) {
                let line = line?;
                let refuse = |why| Error::integrity(what, format!("{} {why}", line.path));
                files.push(RelPathRef::stored(line.path.as_str()), line.blake3).map_err(refuse)?;
            }
        }
        Ok(Run { files, is_first, is_last })
    }
}

struct Reader<'a> {
    what: &'a str,
    rest: &'a [u8],
    chunks: Vec<Range<u64>>,
    texts: Pieces,
}

impl Reader<'_> {
    fn refuse(&self, why: &str) -> Error {
        Error::integrity(self.what, why)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.refuse("is cut short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn root(&mut self, length: u64) -> Result<Digest> {
        if length <= CHUNK {
            let text = self.leaf(0..length)?;
            return Ok(Digest::of(&text));
        }
        let [left, right] = self.children(0..length)?;
        Ok(Digest::from_bytes(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()))
    }

    /// Reads the values of a node's children, and what shows them.
    fn children(&mut self, node: Range<u64>) -> Result<[ChainingValue; 2]> {
        let values = [self.take()?, self.take()?];
        let middle = node.start + left_subtree_len(node.end - node.start);
        for (child, said) in [node.start..middle, middle..node.end].into_iter().zip(&values) {
            if !is_shown(&child, &self.chunks) {
                continue;
            }
            let found = match child.end - child.start <= CHUNK {
                true => value(child.start, &self.leaf(child.clone())?),
                false => {
                    let [left, right] = self.children(child.clone())?;
                    merge_subtrees_non_root(&left, &right, Mode::Hash)
                }
            };
            if found != *said {
                return Err(self.refuse(&format!("does not show byte {} of B3SUMS", child.start)));
            }
        }
        Ok(values)
    }

    fn leaf(&mut self, node: Range<u64>) -> Result<Vec<u8>> {
        let length = (node.end - node.start) as usize;
        let (text, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.refuse("is cut short"))?;
        self.rest = rest;
        match self.texts.last_mut() {
            Some((at, before)) if *at + before.len() as u64 == node.start => before.extend_from_slice(text),
            _ => self.texts.push((node.start, text.to_vec())),
        }
        Ok(text.to_vec())
    }
}
