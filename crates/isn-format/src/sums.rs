//! [`Sums`]: the file `B3SUMS`, whose BLAKE3 is the dataset hash, or the lines of it that a part of a version
//! has.

mod proof;
mod tree;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

pub(crate) use self::proof::folders;
pub use self::proof::{Pieces, SumsProof};
pub(crate) use self::tree::TreeWriter;
pub use self::tree::{GROUP, SumsTree};
use crate::class::{Class, parse_classes};
use crate::digest::Digest;
use crate::error::{Error, Result, about};
use crate::index::Index;
use crate::rel_path::{MAX_PATH_LEN, RelPath, RelPathRef};
use crate::texts::Texts;
use crate::tree::{B3SUMS, CLASSES, Selection};

/// The maximum length of a list that is read, in bytes: enough for ten million images.
pub const MAX_SUMS: u64 = 3 << 30;
/// The maximum length of a line: a hash, two spaces, a path, a line feed.
const MAX_LINE: u64 = 64 + 2 + MAX_PATH_LEN as u64 + 1;

/// One line of `B3SUMS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The BLAKE3 of the file.
    pub blake3: Digest,
    /// The path of the file in the tree.
    pub path: RelPath,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.blake3, self.path)
    }
}

/// One line of [`Sums`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRef<'a> {
    /// The BLAKE3 of the file.
    pub blake3: Digest,
    /// The path of the file in the tree.
    pub path: RelPathRef<'a>,
}

impl fmt::Display for LineRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.blake3, self.path)
    }
}

impl LineRef<'_> {
    /// Appends the line, with its line feed, to `text`.
    pub(crate) fn push_to(&self, text: &mut Vec<u8>) {
        text.extend(blake3::Hash::from_bytes(*self.blake3.as_bytes()).to_hex().as_bytes());
        text.extend(b"  ");
        text.extend(self.path.as_str().as_bytes());
        text.push(b'\n');
    }
}

/// Files with their hashes, sorted by path bytes: what an index and the `B3SUMS` of its version have in
/// common, so that they share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    paths: Texts,
    blake3: Vec<Digest>,
}

impl Files {
    /// Appends a file. Returns why it cannot be appended, if so.
    pub(crate) fn push(&mut self, path: RelPathRef<'_>, blake3: Digest) -> Result<(), &'static str> {
        if self.paths.last().is_some_and(|last| last >= path.as_str()) {
            return Err("is not sorted by path, or occurs twice");
        }
        if !self.paths.push(path.as_str()) {
            return Err("is one file too many");
        }
        self.blake3.push(blake3);
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.blake3.len()
    }

    /// Returns a file; it must exist.
    pub(crate) fn line(&self, at: usize) -> LineRef<'_> {
        LineRef { blake3: self.blake3[at], path: self.path(at) }
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, at: usize) -> RelPathRef<'_> {
        RelPathRef::stored(self.paths.get(at))
    }

    /// Returns the hashes, in the order of the files.
    pub(crate) fn blake3(&self) -> &[Digest] {
        &self.blake3
    }

    /// Returns where a path is, or where it would be.
    pub(crate) fn find(&self, path: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.paths.get(middle).cmp(path) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Frees what was reserved for more files.
    pub(crate) fn shrink(&mut self) {
        self.paths.shrink();
        self.blake3.shrink_to_fit();
    }
}

/// The lines of a `B3SUMS`, in the form of `b3sum`: hash, two spaces, path, line feed; sorted by path bytes.
///
/// Checking a tree by a paper's pin, as `b3sum --check` would:
///
/// ```
/// use isn_format::digest::Digest;
/// use isn_format::sums::Sums;
///
/// # let tree = std::path::Path::new("../../tests/vectors/version-1/tree");
/// # let pinned = "b3:f88ef4a341873343381f766de3c1a6bccbb0e0829470ab1b863375c027e1ae2f";
/// let sums = Sums::parse("B3SUMS", &std::fs::read(tree.join("B3SUMS"))?)?;
/// assert_eq!(sums.digest().prefixed(), pinned);
/// for line in sums.lines() {
///     assert_eq!(Digest::of(&std::fs::read(line.path.under(tree))?), line.blake3);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sums {
    /// All files but `classes.csv`.
    files: Arc<Files>,
    /// The hash of `classes.csv`, if that has a line.
    classes: Option<Digest>,
    /// Which of the files have a line; all if absent.
    chosen: Option<Vec<u32>>,
    /// The number of lines before that of `classes.csv`.
    before_classes: usize,
}

impl Sums {
    fn over(files: Arc<Files>, classes: Option<Digest>, chosen: Option<Vec<u32>>) -> Self {
        let (Ok(before) | Err(before)) = files.find(CLASSES);
        let before_classes = match &chosen {
            Some(chosen) => chosen.partition_point(|at| (*at as usize) < before),
            None => before,
        };
        Sums { files, classes, chosen, before_classes }
    }

    /// Returns the lines for the images of an index and the exact bytes of `classes.csv`.
    pub fn new(index: &Index, classes_csv: &[u8]) -> Self {
        Self::of_index(index, Digest::of(classes_csv))
    }

    /// As [`Sums::new`], with the BLAKE3 of `classes.csv`.
    pub(crate) fn of_index(index: &Index, classes: Digest) -> Self {
        Self::over(index.files(), Some(classes), None)
    }

    /// Returns the lines of a tree that has only this selection of the images; `classes.csv` is always among
    /// them.
    #[must_use]
    pub fn selected(&self, selection: &Selection) -> Self {
        if selection.is_all() {
            return self.clone();
        }
        let includes = selection.filter();
        let chosen = self.chosen_files().filter(|at| includes(self.files.path(*at as usize).as_str()));
        Self::over(self.files.clone(), self.classes, Some(chosen.collect()))
    }

    fn chosen_files(&self) -> impl Iterator<Item = u32> {
        let all = if self.chosen.is_none() { self.files.len() as u32 } else { 0 };
        self.chosen.iter().flatten().copied().chain(0..all)
    }

    fn of_lines(lines: impl Iterator<Item = Result<Line>>) -> Result<Self> {
        let (mut files, mut classes) = (Files::default(), None);
        for line in lines {
            let line = line?;
            if line.path.as_str() == CLASSES {
                classes = Some(line.blake3);
                continue;
            }
            let refuse = |why| Error::integrity(B3SUMS, format!("{} {why}", line.path));
            files.push(line.path.as_ref(), line.blake3).map_err(refuse)?;
        }
        files.shrink();
        Ok(Self::over(Arc::new(files), classes, None))
    }

    /// Reads the text of a `B3SUMS`, in exactly the form that [`Sums::write_to`] writes.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, at the first line that has another form or is out of order.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        Self::of_lines(Lines::new(what, bytes))
    }

    /// Reads a file as [`Sums::parse`] does; after a fault, the rest of it is only hashed. Returns the
    /// result, and the BLAKE3 of the whole file. `path` is where it is read from, for errors.
    ///
    /// # Errors
    /// [`Error::Io`] if `reader` fails; [`Error::Integrity`] if the file is longer than any list may be. A
    /// fault in the lines is in the inner result.
    pub fn read(what: &str, path: &Path, reader: impl Read) -> Result<(Result<Self>, Digest)> {
        let mut reader = Hashing { reader: reader.take(MAX_SUMS + 1), hasher: blake3::Hasher::new() };
        let lines = Self::of_lines(Lines::new(what, BufReader::new(&mut reader)));
        io::copy(&mut reader, &mut io::sink()).map_err(Error::io("read", path))?;
        if reader.reader.limit() == 0 {
            return Err(Error::integrity(path.display(), format!("is longer than {MAX_SUMS} bytes")));
        }
        Ok((lines, Digest::of_hasher(&reader.hasher)))
    }

    /// Reads the classes from the bytes of the tree's `classes.csv`.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if the list has another hash for `classes.csv`, or as
    /// [`parse_classes`] fails.
    pub fn classes(&self, what: &str, bytes: &[u8]) -> Result<Vec<Class>> {
        if self.classes != Some(Digest::of(bytes)) {
            return Err(Error::integrity(what, format!("is not the one that {B3SUMS} lists")));
        }
        parse_classes(what, bytes)
    }

    /// Returns the lines, sorted by path bytes.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = LineRef<'_>> {
        (0..self.len()).map(|at| self.line(at))
    }

    fn line(&self, at: usize) -> LineRef<'_> {
        let at = match self.classes {
            Some(blake3) if at == self.before_classes => {
                return LineRef { blake3, path: RelPathRef::stored(CLASSES) };
            }
            Some(_) if at > self.before_classes => at - 1,
            _ => at,
        };
        self.image(at)
    }

    /// Returns the lines of images: all but that of `classes.csv`.
    pub fn images(&self) -> impl Iterator<Item = LineRef<'_>> {
        self.chosen_files().map(|at| self.files.line(at as usize))
    }

    /// Returns the line of an image by its number among the images, of which there must be more.
    pub fn image(&self, at: usize) -> LineRef<'_> {
        self.files.line(self.chosen.as_ref().map_or(at, |chosen| chosen[at] as usize))
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.chosen.as_ref().map_or(self.files.len(), Vec::len) + usize::from(self.classes.is_some())
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of the line of a path, from 0.
    pub fn find(&self, path: &str) -> Option<usize> {
        if path == CLASSES {
            return self.classes.map(|_| self.before_classes);
        }
        let at = self.files.find(path).ok()?;
        let at = match &self.chosen {
            Some(chosen) => chosen.binary_search(&(at as u32)).ok()?,
            None => at,
        };
        Some(if self.classes.is_some() && at >= self.before_classes { at + 1 } else { at })
    }

    /// Returns the hash that the list has for a path.
    pub fn blake3_of(&self, path: &str) -> Option<Digest> {
        self.find(path).map(|at| self.line(at).blake3)
    }

    /// Writes the text of the file.
    ///
    /// # Errors
    /// Those of `writer`.
    pub fn write_to(&self, mut writer: impl Write) -> io::Result<()> {
        let mut text = Vec::with_capacity(PIECE + MAX_LINE as usize);
        for line in self.lines() {
            line.push_to(&mut text);
            if text.len() >= PIECE {
                writer.write_all(&text)?;
                text.clear();
            }
        }
        writer.write_all(&text)
    }

    /// Returns the text of the file.
    pub fn to_text(&self) -> String {
        self.lines().map(|line| format!("{line}\n")).collect()
    }

    /// Whether `reader` gives exactly the text of the file.
    ///
    /// # Errors
    /// Those of `reader`.
    pub fn is_text(&self, reader: impl Read) -> io::Result<bool> {
        let mut compared = Compared { reader: BufReader::new(reader), is_same: true };
        match self.write_to(&mut compared) {
            Ok(()) => Ok(compared.reader.fill_buf()?.is_empty()),
            Err(_) if !compared.is_same => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Returns the BLAKE3 of the text: the dataset hash, if the list is complete.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let mut text = Vec::with_capacity(PIECE + MAX_LINE as usize);
        for line in self.lines() {
            line.push_to(&mut text);
            if text.len() >= PIECE {
                hasher.update(&text);
                text.clear();
            }
        }
        hasher.update(&text);
        Digest::of_hasher(&hasher)
    }
}

impl PartialEq for Sums {
    fn eq(&self, other: &Self) -> bool {
        let is_shared = Arc::ptr_eq(&self.files, &other.files) && self.chosen == other.chosen;
        self.classes == other.classes && (is_shared || self.lines().eq(other.lines()))
    }
}

impl Eq for Sums {}

/// Computes the dataset hash from images one at a time, sorted by path bytes.
pub(crate) struct SumsHasher {
    hasher: blake3::Hasher,
    text: Vec<u8>,
    /// The hash of `classes.csv`, until its line has been added.
    classes: Option<Digest>,
}

impl SumsHasher {
    pub(crate) fn new(classes_csv: &[u8]) -> Self {
        let classes = Some(Digest::of(classes_csv));
        SumsHasher { hasher: blake3::Hasher::new(), text: Vec::new(), classes }
    }

    pub(crate) fn push(&mut self, path: RelPathRef<'_>, blake3: Digest) {
        if path.as_str() > CLASSES {
            self.push_classes();
        }
        LineRef { blake3, path }.push_to(&mut self.text);
        if self.text.len() >= PIECE {
            self.hasher.update(&self.text);
            self.text.clear();
        }
    }

    fn push_classes(&mut self) {
        if let Some(blake3) = self.classes.take() {
            LineRef { blake3, path: RelPathRef::stored(CLASSES) }.push_to(&mut self.text);
        }
    }

    pub(crate) fn finish(mut self) -> Digest {
        self.push_classes();
        self.hasher.update(&self.text);
        Digest::of_hasher(&self.hasher)
    }
}

/// How much text is made at once, in bytes.
const PIECE: usize = 64 << 10;

/// A writer that compares what is written with what a reader gives.
struct Compared<R> {
    reader: BufReader<R>,
    is_same: bool,
}

impl<R: Read> Write for Compared<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let there = self.reader.fill_buf()?;
        let length = there.len().min(bytes.len());
        if length == 0 || there[..length] != bytes[..length] {
            self.is_same = bytes.is_empty();
            return if self.is_same { Ok(0) } else { Err(io::ErrorKind::InvalidData.into()) };
        }
        self.reader.consume(length);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Iterates over the lines of a list while it is read. The file may come from anybody and be of any length,
/// so at most one line is in memory. The iterator ends after the first error.
pub struct Lines<'a, R> {
    what: &'a str,
    reader: R,
    number: usize,
    last: Option<RelPath>,
    has_ended: bool,
}

impl<'a, R: BufRead> Lines<'a, R> {
    /// Creates an iterator over the lines of `reader`; `what` names it in errors.
    pub fn new(what: &'a str, reader: R) -> Self {
        Lines { what, reader, number: 0, last: None, has_ended: false }
    }

    fn read(&mut self) -> Result<Option<Line>> {
        let refuse = |why: &dyn std::fmt::Display| {
            Error::integrity(self.what, about(format_args!("line {}", self.number), why))
        };
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        read.map_err(|e| refuse(&e))?;
        if line.is_empty() && self.number > 1 {
            return Ok(None);
        }
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(match line.len() as u64 {
                MAX_LINE => refuse(&"is too long"),
                _ => Error::integrity(self.what, "does not end with a line feed"),
            });
        };
        let (hash, path) = std::str::from_utf8(line)
            .map_err(|_| refuse(&"is not UTF-8"))?
            .split_once("  ")
            .ok_or_else(|| refuse(&"is not a BLAKE3 hash, two spaces and a path"))?;
        let blake3 = hash.parse().map_err(|e| refuse(&e))?;
        let path: RelPath = path.parse().map_err(|e| refuse(&e))?;
        if self.last.as_ref().is_some_and(|last| *last >= path) {
            return Err(refuse(&"is not sorted by path, or occurs twice"));
        }
        self.last = Some(path.clone());
        Ok(Some(Line { blake3, path }))
    }
}

impl<R: BufRead> Iterator for Lines<'_, R> {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Result<Line>> {
        if self.has_ended {
            return None;
        }
        self.number += 1;
        let line = self.read().transpose();
        self.has_ended = !matches!(line, Some(Ok(_)));
        line
    }
}

/// A reader that computes the BLAKE3 of what is read.
struct Hashing<R> {
    reader: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../tests/vectors/version-1/tree/B3SUMS");

    #[test]
    fn a_line_is_no_longer_than_a_path_can_be() {
        let line = |length: usize| format!("{}  train/{}\n", Digest::of(b""), "x".repeat(length - 6));
        let read = |text: String| Lines::new("B3SUMS", text.as_bytes()).next().unwrap();
        assert_eq!(line(MAX_PATH_LEN).len() as u64, MAX_LINE);
        assert!(read(line(MAX_PATH_LEN)).is_ok());
        assert!(read(line(MAX_PATH_LEN + 1)).unwrap_err().to_string().contains("line 1 is too long"));
    }

    #[test]
    fn the_text_is_what_was_read_wherever_classes_csv_is() {
        for paths in [&["a", "classes.csv", "d"][..], &["classes.csv"], &["a", "classes.csv"], &["b"], &[]] {
            let lines = paths.iter().map(|path| format!("{}  {path}\n", Digest::of(path.as_bytes())));
            let text: String = lines.collect();
            let Ok(sums) = Sums::parse("B3SUMS", text.as_bytes()) else {
                assert!(paths.is_empty());
                continue;
            };
            assert_eq!(sums.to_text(), text);
            assert_eq!(sums.len(), paths.len());
            assert_eq!(sums.digest(), Digest::of(text.as_bytes()));
            for path in ["a", "b", "classes.csv", "d", "e"] {
                let listed = paths.contains(&path).then(|| Digest::of(path.as_bytes()));
                assert_eq!(sums.blake3_of(path), listed, "{path}");
                assert_eq!(sums.find(path), paths.iter().position(|listed| *listed == path), "{path}");
            }
        }
    }

    #[test]
    fn only_the_very_text_is_the_text() {
        let sums = Sums::parse("B3SUMS", TEXT.as_bytes()).unwrap();
        let is_text = |bytes: &[u8]| sums.is_text(bytes).unwrap();
        assert!(is_text(TEXT.as_bytes()));
        assert!(!is_text(&[TEXT.as_bytes(), b"\n"].concat()));
        for at in 0..TEXT.len() {
            assert!(!is_text(&TEXT.as_bytes()[..at]), "{at}");
            let mut other = TEXT.as_bytes().to_vec();
            other[at] ^= 1;
            assert!(!is_text(&other), "{at}");
        }
    }

    #[test]
    fn a_selection_has_its_lines_and_that_of_the_classes() {
        let sums = Sums::parse("B3SUMS", TEXT.as_bytes()).unwrap();
        let selection = Selection { splits: vec!["val".parse().unwrap()], ..Selection::default() };
        let chosen = sums.selected(&selection);
        let expected = TEXT.lines().filter(|line| line.contains("  val/") || line.ends_with("classes.csv"));
        assert_eq!(chosen.to_text(), expected.map(|line| format!("{line}\n")).collect::<String>());
        assert!(chosen != sums && chosen == Sums::parse("", chosen.to_text().as_bytes()).unwrap());
        assert_eq!(sums.selected(&Selection::default()), sums);
        let image = sums.images().find(|line| !line.path.as_str().starts_with("val/")).unwrap();
        let path = image.path.as_str();
        assert_eq!((sums.blake3_of(path), chosen.blake3_of(path)), (Some(image.blake3), None));
    }
}
