//! The materialised folder: `B3SUMS`, whose BLAKE3 is the dataset hash, and `ISN.json`, which says where the tree
//! came from.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::class::ClassId;
use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::error::{Error, Result, count};
use crate::index::Index;
use crate::rel_path::RelPath;
use crate::split::Split;

/// The list of all files with their BLAKE3; its own BLAKE3 is the dataset hash.
pub const B3SUMS: &str = "B3SUMS";
/// In a partial tree, the lines of `B3SUMS` that were selected.
pub const B3SUMS_SELECTED: &str = "B3SUMS.selected";
/// The classes, in the order of their index.
pub const CLASSES: &str = "classes.csv";
/// Where the tree came from; not covered by the dataset hash.
pub const ISN_JSON: &str = "ISN.json";
/// The format of `ISN.json`.
pub const FORMAT: &str = "isn-tree/1";

/// One line of `B3SUMS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// BLAKE3 of the file.
    pub blake3: Digest,
    /// The file.
    pub path: RelPath,
}

/// The lines of `B3SUMS`, as `b3sum` writes them: hash, two spaces, path, line feed; sorted by path bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    lines: Vec<Line>,
}

impl Sums {
    /// Of the images of an index and the exact bytes of `classes.csv`.
    pub fn new(index: &Index, classes_csv: &[u8]) -> Result<Self> {
        let classes = CLASSES.parse::<RelPath>().map_err(|e| Error::Internal(e.to_string()))?;
        let mut lines = vec![Line { blake3: Digest::of(classes_csv), path: classes }];
        lines.extend(index.rows().iter().map(|row| Line { blake3: row.blake3, path: row.path.clone() }));
        lines.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Sums { lines })
    }

    /// Those lines that a tree with this part of the images has; `classes.csv` is always one.
    pub fn selected(&self, selection: &Selection) -> Self {
        let includes = selection.filter();
        let chosen =
            self.lines.iter().filter(|line| line.path.as_str() == CLASSES || includes(line.path.as_str()));
        Sums { lines: chosen.cloned().collect() }
    }

    /// Reads the text of a `B3SUMS` strictly: the one form that [`Sums::to_text`] writes.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let refuse =
            |line: usize, why: &dyn std::fmt::Display| Error::integrity(what, format!("line {line}: {why}"));
        let text = std::str::from_utf8(bytes).map_err(|_| Error::integrity(what, "is not UTF-8"))?;
        if !text.ends_with('\n') {
            return Err(Error::integrity(what, "does not end with a line feed"));
        }
        let mut lines: Vec<Line> = Vec::new();
        for (at, line) in text[..text.len() - 1].split('\n').enumerate() {
            let (hash, path) = line
                .split_once("  ")
                .ok_or_else(|| refuse(at + 1, &"is not a BLAKE3 hash, two spaces and a path"))?;
            let blake3 = hash.parse().map_err(|e| refuse(at + 1, &e))?;
            let path: RelPath = path.parse().map_err(|e| refuse(at + 1, &e))?;
            if lines.last().is_some_and(|last| last.path >= path) {
                return Err(refuse(at + 1, &"is not sorted by path, or is there twice"));
            }
            lines.push(Line { blake3, path });
        }
        Ok(Sums { lines })
    }

    /// The lines, sorted by path bytes.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        self.lines.iter().map(|line| format!("{}  {}\n", line.blake3, line.path)).collect()
    }

    /// BLAKE3 of the text: of a full `B3SUMS`, the dataset hash.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_text().as_bytes())
    }
}

/// Which part of a version a tree has: empty lists mean everything.
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
}

impl Selection {
    /// Whether nothing is left out.
    pub fn is_all(&self) -> bool {
        self.splits.is_empty() && self.classes.is_empty() && self.images.is_empty()
    }

    /// `split val, class n01614925, 5 images by name`: for people; empty for everything.
    pub fn describe(&self) -> String {
        let mut parts: Vec<String> = self.splits.iter().map(|split| format!("split {split}")).collect();
        parts.extend(self.classes.iter().map(|class| format!("class {class}")));
        if !self.images.is_empty() {
            parts.push(format!("{} by name", count(self.images.len(), "image")));
        }
        parts.join(", ")
    }

    /// Whether the image of a path is wanted: it must be of one of the splits, of one of the classes, and one of the
    /// images, where there are such lists.
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
    /// One line for people.
    pub title: String,
    /// Under which terms the images may be used.
    pub licence: String,
    /// From where it was pulled.
    pub registry: String,
    /// Fingerprints of the trusted keys that signed the release. Empty: title and licence are unsigned, only the
    /// dataset hash was checked.
    pub signed_by: Vec<String>,
    /// What was selected.
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    pub selection: Selection,
    /// The program that wrote the tree.
    pub isn: String,
}
