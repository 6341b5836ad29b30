//! [`Index`]: one row an image. Nothing about storage is in it, so a release without shards, with shards, and
//! packed anew have one index.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::class::ClassId;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json_lines::{Lines, Writer};
use crate::manifest::Manifest;
use crate::rel_path::RelPath;
use crate::source::SourceKind;
use crate::split::Split;

/// A row takes at most this many bytes: a path, a source id and three hashes.
const MAX_ROW: u64 = 1024;

/// One image of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Where it stands in the tree: `split/class/stem.ext`.
    pub path: RelPath,
    /// Its class.
    pub class: ClassId,
    /// Its split.
    pub split: Split,
    /// BLAKE3 of the file.
    pub blake3: Digest,
    /// The file's length, in bytes.
    pub length: u64,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// BLAKE3 of width, height and RGB8 bytes, see [`crate::imaging::pixel_digest`].
    pub pixels: Digest,
    /// The source image's id.
    pub source: String,
    /// BLAKE3 of the source image's file.
    pub source_blake3: Digest,
}

impl Row {
    /// The split that the source has the image in, as its source id tells: with it, a result can be given on a source's
    /// own val images alone.
    pub fn origin(&self, source: SourceKind) -> Split {
        source.origin(&self.source)
    }
}

/// The images of a version, sorted by path bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    rows: Vec<Row>,
}

impl Index {
    /// From rows in any order; two of one path, or of paths that differ only in case, are an error.
    pub fn new(mut rows: Vec<Row>) -> Result<Self> {
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let index = Index { rows };
        index.check("index")?;
        Ok(index)
    }

    /// The rows, sorted by path bytes.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The sum of the images' lengths, in bytes.
    pub fn bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.length).sum()
    }

    /// How many images each class has in each split.
    pub fn counts(&self) -> BTreeMap<Split, BTreeMap<ClassId, u64>> {
        let mut counts: BTreeMap<Split, BTreeMap<ClassId, u64>> = BTreeMap::new();
        for row in &self.rows {
            *counts.entry(row.split).or_default().entry(row.class.clone()).or_default() += 1;
        }
        counts
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new()?;
        self.rows.iter().try_for_each(|row| writer.push(row))?;
        writer.finish()
    }

    /// Reads the index of `manifest`, whose hash was checked already, and checks it against the manifest's counts.
    pub fn parse(what: &str, compressed: &[u8], manifest: &Manifest) -> Result<Self> {
        let cap = manifest.images.saturating_mul(MAX_ROW);
        let mut lines = Lines::new(what, compressed, cap)?;
        let mut rows: Vec<Row> = Vec::new();
        while let Some(row) = lines.next_row::<Row>()? {
            if rows.last().is_some_and(|last| last.path >= row.path) {
                return Err(Error::integrity(what, format!("is not sorted at {}", row.path)));
            }
            rows.push(row);
        }
        let index = Index { rows };
        index.check(what)?;
        if index.counts() != manifest.splits || index.bytes() != manifest.bytes {
            return Err(Error::integrity(what, "does not have the counts of its manifest"));
        }
        Ok(index)
    }

    fn check(&self, what: &str) -> Result<()> {
        let mut folded = BTreeSet::new();
        for row in &self.rows {
            let refuse = |why: &str| Error::integrity(what, format!("{} {why}", row.path));
            let mut segments = row.path.segments();
            if segments.next() != Some(row.split.as_str()) || segments.next() != Some(row.class.as_str()) {
                return Err(refuse("does not stand under its split and class"));
            }
            if segments.count() != 1 {
                return Err(refuse("is not split/class/image"));
            }
            if !folded.insert(row.path.folded()) {
                return Err(refuse("is there twice, or differs from another only in case"));
            }
        }
        Ok(())
    }
}
