//! [`SumsCheck`]: whether rows give the dataset hash, before any of them is kept.

use std::borrow::Cow;

use serde::Deserialize;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json_lines::Lines;
use crate::manifest::Manifest;
use crate::rel_path::RelPathRef;
use crate::sums::LineRef;
use crate::tree::CLASSES;

/// What the dataset hash covers of a row.
#[derive(Deserialize)]
struct Covered<'a> {
    blake3: Digest,
    #[serde(borrow)]
    path: Cow<'a, str>,
}

/// Checks that the rows, read one at a time, give the dataset hash.
pub(super) fn check_sums(
    what: &str,
    mut lines: Lines<'_>,
    manifest: &Manifest,
    classes: &Digest,
) -> Result<()> {
    let mut check = SumsCheck::new(*classes);
    while let Some(row) = lines.next_row::<Covered<'_>>()? {
        check.push(&row.path, row.blake3).map_err(|why| Error::integrity(what, why))?;
    }
    check.finish(what, manifest)
}

/// Computes the BLAKE3 of a `B3SUMS` from rows that are not kept: each is a line of it, and `classes.csv` is
/// another.
pub(super) struct SumsCheck {
    /// The BLAKE3 of `classes.csv`, until its line comes.
    classes: Option<Digest>,
    hasher: blake3::Hasher,
    images: u64,
    text: Vec<u8>,
    last: String,
}

impl SumsCheck {
    pub(super) fn new(classes: Digest) -> Self {
        let (hasher, text, last) = (blake3::Hasher::new(), Vec::new(), String::new());
        SumsCheck { classes: Some(classes), hasher, images: 0, text, last }
    }

    fn line_of_classes(&mut self, blake3: Option<Digest>) {
        let path = RelPathRef::stored(CLASSES);
        blake3.into_iter().for_each(|blake3| LineRef { blake3, path }.push_to(&mut self.text));
    }

    pub(super) fn push(&mut self, path: &str, blake3: Digest) -> Result<(), String> {
        let path = RelPathRef::new(path).map_err(|e| e.to_string())?;
        if self.images > 0 && self.last.as_str() >= path.as_str() {
            return Err(format!("is not sorted at {path}"));
        }
        let classes = self.classes.take_if(|_| CLASSES < path.as_str());
        self.line_of_classes(classes);
        LineRef { blake3, path }.push_to(&mut self.text);
        self.last.clear();
        self.last.push_str(path.as_str());
        self.images += 1;
        if self.text.len() >= 64 << 10 {
            self.hasher.update(&self.text);
            self.text.clear();
        }
        Ok(())
    }

    pub(super) fn finish(mut self, what: &str, manifest: &Manifest) -> Result<()> {
        let classes = self.classes.take();
        self.line_of_classes(classes);
        self.hasher.update(&self.text);
        if self.images != manifest.images {
            let why = format!("has {} images, the manifest says {}", self.images, manifest.images);
            return Err(Error::integrity(what, why));
        }
        manifest.check_dataset(what, &Digest::of_hasher(&self.hasher))
    }
}
