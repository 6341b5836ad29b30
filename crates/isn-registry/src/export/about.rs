//! [`About`]: what the metadata of every format says about a version.

use serde_json::{Value, json};

use super::Format;
use crate::identity::Identity;
use isn_format::class::Class;
use isn_format::split::Split;
use isn_format::tree::Selection;

/// The format of `ISN.json` in an export.
const FORMAT: &str = "isn-export/1";

/// A version, and the part of it that is exported.
pub struct About<'a> {
    /// The version.
    pub identity: &'a Identity,
    /// All of its classes. A label is a position in this list.
    pub classes: &'a [Class],
    /// Its citation, as BibTeX.
    pub citation: String,
    /// The exported part.
    pub selection: &'a Selection,
    /// The splits with images, each with the number of images and the sum of their file lengths in bytes.
    pub splits: Vec<(Split, u64, u64)>,
    /// The extension of its images, `png` or `jpg`; they all have the same.
    pub extension: &'static str,
    /// The width and height in pixels of every image of an array.
    pub pixels: Option<(u32, u32)>,
    /// The size at which shards are cut, in bytes of images.
    pub shard_bytes: u64,
    /// The parts of the version that no signature covers, as `--json` names them.
    pub unsigned: &'a [&'a str],
    /// The same as a sentence.
    pub doubt: Option<String>,
}

impl About<'_> {
    /// Returns the dataset hash, as `b3:…`.
    pub(super) fn dataset(&self) -> String {
        self.identity.dataset.prefixed()
    }

    /// Returns the ids of the classes, by label.
    pub(super) fn class_ids(&self) -> Vec<&str> {
        self.classes.iter().map(|class| class.id.as_str()).collect()
    }

    /// Returns the names of the classes, by label.
    pub(super) fn class_names(&self) -> Vec<&str> {
        self.classes.iter().map(|class| class.label.as_str()).collect()
    }

    /// Returns the format of the images, as most libraries call it.
    pub(super) fn encoding(&self) -> &'static str {
        if self.extension == "jpg" { "jpeg" } else { "png" }
    }

    /// Returns MAJOR.MINOR.0, for formats that require three numbers.
    pub(super) fn three_numbers(&self) -> String {
        format!("{}.0", self.identity.version_text())
    }

    /// Returns the contents of `ISN.json`: what is exported, and the files.
    pub(crate) fn isn_json(&self, format: Format, files: &[String]) -> Value {
        let it = self.identity;
        let class = |class: &Class| json!({ "id": class.id, "label": class.label, "group": class.group });
        let split = |&(split, images, bytes): &(Split, u64, u64)| {
            (split.to_string(), json!({ "images": images, "bytes": bytes }))
        };
        let mut value = json!({
            "format": FORMAT,
            "as": format.as_str(),
            "name": it.name,
            "version": it.version,
            "dataset": self.dataset(),
            "pin": it.pin,
            "title": it.title,
            "description": it.description,
            "licence": it.licence,
            "authors": it.authors,
            "citation": self.citation,
            "classes": self.classes.iter().map(class).collect::<Vec<_>>(),
            "splits": self.splits.iter().map(split).collect::<serde_json::Map<_, _>>(),
            "files": files,
        });
        if !self.unsigned.is_empty() {
            value["unsigned"] = json!(self.unsigned);
        }
        if !self.selection.is_all() {
            value["selection"] = json!(self.selection);
        }
        value
    }
}
