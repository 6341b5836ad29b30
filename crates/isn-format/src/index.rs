//! [`Index`]: one row per image. It says nothing about storage, so a release without shards, with shards, or
//! with new shards has the same index.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::class::ClassId;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json_lines::{Lines, Writer};
use crate::manifest::Manifest;
use crate::rel_path::RelPath;
use crate::source_kind::SourceKind;
use crate::split::Split;
use crate::tree::{CLASSES, Line};

/// The maximum length of a row in bytes: a path, a source id and three hashes.
const MAX_ROW: u64 = 1024;

/// One image of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its path in the tree: `split/class/stem.ext`.
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
    /// BLAKE3 of width, height and RGB8 bytes, see `isn_pixels::pixel_digest`.
    pub pixels: Digest,
    /// The source image's id.
    pub source: String,
    /// BLAKE3 of the source image's file.
    pub source_blake3: Digest,
}

impl Row {
    /// Returns the split of the image in the source, as its source id shows: so that a result can also be
    /// given for the source's own val images alone.
    pub fn origin(&self, source: SourceKind) -> Split {
        source.origin(&self.source)
    }
}

/// The images of a version, sorted by path bytes.
///
/// ```
/// use isn_format::digest::Digest;
/// use isn_format::index::{Index, Row};
///
/// let row = |path: &str, file: &[u8]| -> Result<Row, Box<dyn std::error::Error>> {
///     let mut segments = path.split('/');
///     let (split, class) = (segments.next().unwrap_or(""), segments.next().unwrap_or(""));
///     Ok(Row {
///         path: path.parse()?,
///         split: split.parse()?,
///         class: class.parse()?,
///         blake3: Digest::of(file),
///         length: file.len() as u64,
///         width: 8,
///         height: 8,
///         pixels: Digest::of(b"pixels"),
///         source: path.into(),
///         source_blake3: Digest::of(b"source"),
///     })
/// };
/// let index = Index::new(vec![row("val/ant/2.png", b"two")?, row("train/ant/1.png", b"one")?])?;
/// assert_eq!(index.rows()[0].path.as_str(), "train/ant/1.png");
/// assert_eq!(index.bytes(), 6);
/// assert!(Index::new(vec![row("val/ant/a.png", b"")?, row("val/ant/A.png", b"")?]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    rows: Vec<Row>,
}

impl Index {
    /// Creates an index of rows in any order.
    ///
    /// # Errors
    /// [`Error::Integrity`] if a path is not `split/class/image` with the row's split and class, or if two
    /// paths are equal or differ only in case.
    pub fn new(mut rows: Vec<Row>) -> Result<Self> {
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let index = Index { rows };
        index.check("index")?;
        Ok(index)
    }

    /// Returns the rows, sorted by path bytes.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the sum of the images' lengths, in bytes.
    pub fn bytes(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.length))
    }

    /// Returns the number of images of each class in each split.
    pub fn counts(&self) -> BTreeMap<Split, BTreeMap<ClassId, u64>> {
        let mut counts: BTreeMap<Split, BTreeMap<ClassId, u64>> = BTreeMap::new();
        for row in &self.rows {
            *counts.entry(row.split).or_default().entry(row.class.clone()).or_default() += 1;
        }
        counts
    }

    /// Returns the bytes to store.
    ///
    /// # Errors
    /// [`Error::Internal`] if a row cannot be serialised or zstd fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new()?;
        self.rows.iter().try_for_each(|row| writer.push(row))?;
        writer.finish()
    }

    /// Reads the index of `manifest`; its hash must have been checked already. It is read twice: a manifest
    /// found by a pin alone is unsigned and may claim any number of images. So no row is kept until all rows,
    /// with a `classes.csv` of BLAKE3 `classes`, are known to give the dataset hash. [`crate::description`]
    /// checks what else the manifest says about them.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if a row cannot be read, the rows are out of order, they or
    /// `classes` do not give the manifest's number of images and dataset hash, or a path is not valid as in
    /// [`Index::new`].
    pub fn parse(what: &str, compressed: &[u8], manifest: &Manifest, classes: &Digest) -> Result<Self> {
        let cap = manifest.images.saturating_mul(MAX_ROW);
        check_sums(what, Lines::new(what, compressed, cap)?, manifest, classes)?;
        let mut lines = Lines::new(what, compressed, cap)?;
        let mut rows: Vec<Row> = Vec::new();
        while let Some(mut row) = lines.next_row::<Row>()? {
            // All images of a class share one id.
            if let Some(last) = rows.last().filter(|last| last.class == row.class) {
                row.class = last.class.clone();
            }
            rows.push(row);
        }
        let index = Index { rows };
        index.check(what)?;
        Ok(index)
    }

    fn check(&self, what: &str) -> Result<()> {
        for row in &self.rows {
            let refuse = |why: &str| Error::integrity(what, format!("{} {why}", row.path));
            let mut segments = row.path.segments();
            if segments.next() != Some(row.split.as_str()) || segments.next() != Some(row.class.as_str()) {
                return Err(refuse("is not in the folder of its split and class"));
            }
            if segments.count() != 1 {
                return Err(refuse("is not split/class/image"));
            }
        }
        // Sorts numbers: a set of the paths would be as large as the rows.
        let folded = |&at: &u32| self.rows[at as usize].path.as_str().bytes().map(|b| b.to_ascii_lowercase());
        let images =
            u32::try_from(self.rows.len()).map_err(|_| Error::integrity(what, "has too many images"))?;
        let mut order: Vec<u32> = (0..images).collect();
        order.sort_unstable_by(|a, b| folded(a).cmp(folded(b)).then(a.cmp(b)));
        match order.windows(2).find(|pair| folded(&pair[0]).eq(folded(&pair[1]))) {
            None => Ok(()),
            Some(pair) => {
                let path = &self.rows[pair[1] as usize].path;
                let why = format!("{path} occurs twice, or differs from another path only in case");
                Err(Error::integrity(what, why))
            }
        }
    }
}

/// Checks that the rows, read one at a time, give the dataset hash: each is a line of `B3SUMS`, and
/// `classes.csv` is another.
fn check_sums(what: &str, mut lines: Lines<'_>, manifest: &Manifest, classes: &Digest) -> Result<()> {
    let path = CLASSES.parse().map_err(|e| Error::Internal(format!("{CLASSES}: {e}")))?;
    let mut classes = Some(Line { blake3: *classes, path });
    let (mut hasher, mut images) = (blake3::Hasher::new(), 0);
    let mut add = |line: &Line| {
        hasher.update(format!("{line}\n").as_bytes());
    };
    let mut last: Option<Line> = None;
    while let Some(line) = lines.next_row::<Line>()? {
        if last.as_ref().is_some_and(|last| last.path >= line.path) {
            return Err(Error::integrity(what, format!("is not sorted at {}", line.path)));
        }
        if let Some(classes) = classes.take_if(|classes| classes.path < line.path) {
            add(&classes);
        }
        add(&line);
        images += 1;
        last = Some(line);
    }
    if let Some(classes) = &classes {
        add(classes);
    }
    if images != manifest.images {
        let why = format!("has {images} images, the manifest says {}", manifest.images);
        return Err(Error::integrity(what, why));
    }
    manifest.check_dataset(what, &Digest::of_hasher(&hasher))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source_spec::MAX_ID_LEN;

    #[test]
    fn the_longest_row_is_no_longer_than_it_may_be() {
        let class = "x".repeat(64);
        let path = format!("train/{class}/{}.png", "y".repeat(200 - 64 - 11));
        let hash = Digest::of(b"");
        let row = Row {
            path: path.parse().unwrap(),
            class: class.parse().unwrap(),
            split: Split::Train,
            blake3: hash,
            length: u64::MAX,
            width: u32::MAX,
            height: u32::MAX,
            pixels: hash,
            source: "z".repeat(MAX_ID_LEN - 2),
            source_blake3: hash,
        };
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(path.len(), 200);
        assert!(json.len() < MAX_ROW as usize, "{}", json.len());
    }
}
