//! The tree, a folder of images and their description: `B3SUMS`, whose BLAKE3 is the dataset hash, and
//! `ISN.json`, which says where the tree came from.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::class::{Class, ClassId, parse_classes};
use crate::dataset_ref::{Name, Version, VersionId};
use crate::digest::Digest;
use crate::error::{Error, Result, about, count};
use crate::index::Index;
use crate::manifest::{Manifest, prefixed};
use crate::possession;
use crate::rel_path::{MAX_PATH_LEN, RelPath};
use crate::split::Split;

/// The list of all files with their BLAKE3. Its own BLAKE3 is the dataset hash.
pub const B3SUMS: &str = "B3SUMS";
/// The lines of `B3SUMS` that a partial tree has.
pub const B3SUMS_SELECTED: &str = "B3SUMS.selected";
/// The maximum length of a list that is read, in bytes: enough for ten million images.
pub const MAX_SUMS: u64 = 3 << 30;
/// The maximum length of a line: a hash, two spaces, a path, a line feed.
const MAX_LINE: u64 = 64 + 2 + MAX_PATH_LEN as u64 + 1;
/// The maximum length of an `ISN.json` that is read, in bytes: a selection names each of its images.
pub const MAX_ISN_JSON: u64 = 64 << 20;
/// The list of classes, in the order of their index.
pub const CLASSES: &str = "classes.csv";
/// Says where the tree came from; not covered by the dataset hash.
pub const ISN_JSON: &str = "ISN.json";
/// The format of `ISN.json` of a released version.
pub const FORMAT: &str = "isn-tree/1";
/// The format of `ISN.json` of a tree that nobody released.
pub const UNRELEASED: &str = "isn-tree/2";

/// One line of `B3SUMS`. Deserialising a row of an index gives the line of its image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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

/// The lines of a `B3SUMS`, in the form of `b3sum`: hash, two spaces, path, line feed; sorted by path bytes.
///
/// Checking a tree by a paper's pin, as `b3sum --check` would:
///
/// ```
/// use isn_format::digest::Digest;
/// use isn_format::tree::Sums;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    lines: Vec<Line>,
}

impl Sums {
    /// Computes the lines for the images of an index and the exact bytes of `classes.csv`.
    ///
    /// # Errors
    /// [`Error::Internal`], only by a defect in isn.
    pub fn new(index: &Index, classes_csv: &[u8]) -> Result<Self> {
        let classes = CLASSES.parse::<RelPath>().map_err(|e| Error::Internal(e.to_string()))?;
        let mut lines = vec![Line { blake3: Digest::of(classes_csv), path: classes }];
        lines.extend(index.rows().iter().map(|row| Line { blake3: row.blake3, path: row.path.clone() }));
        lines.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Sums { lines })
    }

    /// Returns the lines of a tree that has only this selection of the images; `classes.csv` is always among
    /// them.
    pub fn selected(&self, selection: &Selection) -> Self {
        let includes = selection.filter();
        let chosen =
            self.lines.iter().filter(|line| line.path.as_str() == CLASSES || includes(line.path.as_str()));
        Sums { lines: chosen.cloned().collect() }
    }

    /// Reads the text of a `B3SUMS`, in exactly the form that [`Sums::to_text`] writes.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, at the first line that has another form or is out of order.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        Ok(Sums { lines: Lines::new(what, bytes).collect::<Result<_>>()? })
    }

    /// Reads a file as [`Sums::parse`] does; after a fault, the rest of it is only hashed. Returns the
    /// result, and the BLAKE3 of the whole file. `path` is where it is read from, for errors.
    ///
    /// # Errors
    /// [`Error::Io`] if `reader` fails; [`Error::Integrity`] if the file is longer than any list may be. A
    /// fault in the lines is in the inner result.
    pub fn read(what: &str, path: &Path, reader: impl Read) -> Result<(Result<Self>, Digest)> {
        let mut reader = Hashing { reader: reader.take(MAX_SUMS + 1), hasher: blake3::Hasher::new() };
        let lines = Lines::new(what, BufReader::new(&mut reader)).collect::<Result<_>>();
        io::copy(&mut reader, &mut io::sink()).map_err(Error::io("read", path))?;
        if reader.reader.limit() == 0 {
            return Err(Error::integrity(path.display(), format!("is longer than {MAX_SUMS} bytes")));
        }
        Ok((lines.map(|lines| Sums { lines }), Digest::of_hasher(&reader.hasher)))
    }

    /// Reads the classes from the bytes of the tree's `classes.csv`.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if the list has another hash for `classes.csv`, or as
    /// [`parse_classes`] fails.
    pub fn classes(&self, what: &str, bytes: &[u8]) -> Result<Vec<Class>> {
        let line = self.lines.iter().find(|line| line.path.as_str() == CLASSES);
        if line.map(|line| line.blake3) != Some(Digest::of(bytes)) {
            return Err(Error::integrity(what, format!("is not the one that {B3SUMS} lists")));
        }
        parse_classes(what, bytes)
    }

    /// Returns the lines, sorted by path bytes.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Returns the text of the file.
    pub fn to_text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Returns the BLAKE3 of the text: the dataset hash, if the list is complete.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_text().as_bytes())
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

/// The part of a version that a tree has. Empty lists mean everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Only these splits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
    /// Only these classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassId>,
    /// Only these images, by their path in the tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<RelPath>,
    /// The hashes that the user's list gives for these images: lines of a `B3SUMS`, perhaps of another
    /// version. Once they have been compared with the version, they add nothing to its pin, so they are not
    /// stored.
    #[serde(skip)]
    pub lines: Vec<Line>,
}

impl Selection {
    /// Whether everything is selected.
    pub fn is_all(&self) -> bool {
        self.splits.is_empty() && self.classes.is_empty() && self.images.is_empty()
    }

    /// Describes the selection for people: `split val, class n01614925, 5 images by name`; empty for
    /// everything.
    pub fn describe(&self) -> String {
        let mut parts: Vec<String> = self.splits.iter().map(|split| format!("split {split}")).collect();
        parts.extend(self.classes.iter().map(|class| format!("class {class}")));
        if !self.images.is_empty() {
            parts.push(format!("{} by name", count(self.images.len(), "image")));
        }
        parts.join(", ")
    }

    /// Returns a predicate on the path of an image: whether it is in one of the splits, in one of the classes
    /// and among the images, for those of the lists that are not empty.
    pub fn filter(&self) -> impl Fn(&str) -> bool + use<'_> {
        let images: HashSet<&str> = self.images.iter().map(RelPath::as_str).collect();
        move |path| {
            let mut segments = path.split('/');
            let (split, class) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
            (self.splits.is_empty() || self.splits.iter().any(|wanted| wanted.as_str() == split))
                && (self.classes.is_empty() || self.classes.iter().any(|wanted| wanted.as_str() == class))
                && (images.is_empty() || images.contains(path))
        }
    }
}

/// The contents of `ISN.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// Of a released version.
    Released(Provenance),
    /// Of a tree that was built, and that nobody released.
    Unreleased(Unreleased),
}

impl Origin {
    /// Reads an `ISN.json`; returns `None` if it is of no known format.
    pub fn parse(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
        }
        let header: Header = serde_json::from_slice(json).ok()?;
        match header.format.as_str() {
            FORMAT => serde_json::from_slice(json).ok().map(Origin::Released),
            UNRELEASED => serde_json::from_slice(json).ok().map(Origin::Unreleased),
            _ => None,
        }
    }

    /// The dataset.
    pub fn name(&self) -> &Name {
        match self {
            Origin::Released(known) => &known.name,
            Origin::Unreleased(built) => &built.name,
        }
    }

    /// `b3:…`, the dataset hash.
    pub fn dataset(&self) -> &str {
        match self {
            Origin::Released(known) => &known.dataset,
            Origin::Unreleased(built) => &built.dataset,
        }
    }

    /// What the tree is, for people: the version, or that it is not released.
    pub fn what(&self) -> String {
        match self {
            Origin::Released(known) => {
                VersionId { name: known.name.clone(), version: known.version }.to_string()
            }
            Origin::Unreleased(built) => built.pin.clone(),
        }
    }

    /// The selected part.
    pub fn selection(self) -> Selection {
        match self {
            Origin::Released(known) => known.selection,
            Origin::Unreleased(_) => Selection::default(),
        }
    }

    /// The fingerprints of the trusted keys that signed the release.
    pub fn signed_by(&self) -> &[String] {
        match self {
            Origin::Released(known) => &known.signed_by,
            Origin::Unreleased(_) => &[],
        }
    }

    /// What the tree was built from, if it was built and that is known.
    pub fn built_from(&self) -> Option<BuiltFrom> {
        match self {
            Origin::Released(known) => known.built_from,
            Origin::Unreleased(built) => built.built_from,
        }
    }

    /// Says also what the tree was built from, unless it says so already.
    #[must_use]
    pub fn or_built_from(mut self, from: Option<BuiltFrom>) -> Self {
        let (Origin::Released(Provenance { built_from, .. })
        | Origin::Unreleased(Unreleased { built_from, .. })) = &mut self;
        *built_from = built_from.or(from);
        self
    }

    /// Returns the bytes of the file.
    ///
    /// # Errors
    /// [`Error::Internal`] if the values cannot be serialised.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        json.push(b'\n');
        Ok(json)
    }
}

/// The `ISN.json` of a tree that was built from a recipe of which there is no release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreleased {
    /// [`UNRELEASED`].
    pub format: String,
    /// `false`.
    pub released: bool,
    /// The dataset.
    pub name: Name,
    /// `b3:…`, the dataset hash.
    pub dataset: String,
    /// `unreleased:NAME/b3:…`, which no registry resolves.
    pub pin: String,
    /// The recipe that it was built by.
    pub recipe: BuiltBy,
    /// Whether it was built from a part of its source.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
    /// What it was built from; absent if an older isn wrote the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<BuiltFrom>,
    /// The title, one line for people.
    pub title: String,
    /// The terms under which the images may be used.
    pub licence: String,
    /// The program that wrote the tree.
    pub isn: String,
}

/// The recipe of a tree that nobody released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltBy {
    /// The version that the recipe is for.
    pub version: Version,
    /// `b3:…`, the BLAKE3 of the recipe.
    pub blake3: String,
}

/// What a tree was built from on this machine, as a `rebuilt` statement says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltFrom {
    /// The digest of the recipe and all that it names ([`possession::inputs`]).
    #[serde(with = "prefixed")]
    pub inputs: Digest,
    /// The digest of the source files ([`possession::sources`]).
    #[serde(with = "prefixed")]
    pub sources: Digest,
}

impl BuiltFrom {
    /// What a build with this manifest and index was made from.
    pub fn of(manifest: &Manifest, index: &Index) -> Self {
        BuiltFrom { inputs: possession::inputs(manifest), sources: possession::sources(index) }
    }
}

/// What the pin of a build that nobody released begins with.
const UNRELEASED_PIN: &str = "unreleased:";

/// Returns the pin of a build that nobody released: `unreleased:NAME/b3:…`. It is no reference, so that it
/// cannot be taken for that of a release.
pub fn unreleased_pin(name: &Name, dataset: &Digest) -> String {
    format!("{UNRELEASED_PIN}{name}/{}", dataset.prefixed())
}

/// Whether a text is meant as the pin of a build that nobody released.
pub fn is_unreleased_pin(text: &str) -> bool {
    text.starts_with(UNRELEASED_PIN)
}

/// What a released version's `ISN.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// [`FORMAT`].
    pub format: String,
    /// The dataset.
    pub name: Name,
    /// The version.
    pub version: Version,
    /// `b3:…`, the dataset hash.
    pub dataset: String,
    /// `b3:…`, the manifest.
    pub manifest: String,
    /// `name@version#b3:…`, to put in a paper.
    pub pin: String,
    /// The title, one line for people.
    pub title: String,
    /// The terms under which the images may be used.
    pub licence: String,
    /// The registry from which the tree was pulled.
    pub registry: String,
    /// The fingerprints of the trusted keys that signed the release. If empty, title and licence are
    /// unsigned: only the dataset hash was checked.
    pub signed_by: Vec<String>,
    /// The selected part.
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    pub selection: Selection,
    /// What it was built from; absent if the images were fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<BuiltFrom>,
    /// The program that wrote the tree.
    pub isn: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_no_longer_than_a_path_can_be() {
        let line = |length: usize| format!("{}  train/{}\n", Digest::of(b""), "x".repeat(length - 6));
        let read = |text: String| Lines::new("B3SUMS", text.as_bytes()).next().unwrap();
        assert_eq!(line(MAX_PATH_LEN).len() as u64, MAX_LINE);
        assert!(read(line(MAX_PATH_LEN)).is_ok());
        assert!(read(line(MAX_PATH_LEN + 1)).unwrap_err().to_string().contains("line 1 is too long"));
    }
}
