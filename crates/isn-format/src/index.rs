//! [`Index`]: one row per image, and [`Sources`], what the images were made from. They say nothing about
//! storage, so a release without shards, with shards, or with new shards has the same index.

mod blocks;
mod delta;
mod images;
mod part;
mod sums_check;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
mod writer;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::blocks::{Block, BlocksEnd, BlocksWriter, Directory, Frames, MAX_ROWS};
pub(crate) use self::blocks::{FrameOfLines, MAX_BESIDE};
pub use self::delta::Delta;
pub use self::images::Images;
pub use self::part::Part;
use self::sums_check::{SumsCheck, check_sums};
pub use self::writer::IndexWriter;
use crate::class::ClassId;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json_lines::{Lines, Writer};
use crate::manifest::Manifest;
use crate::rel_path::{RelPath, RelPathRef};
use crate::source_kind::SourceKind;
use crate::split::Split;
use crate::sums::Files;
use crate::texts::Texts;

/// The maximum length of a row in bytes: a path, a source id and three hashes.
const MAX_ROW: u64 = 1024;

/// One image of a version, with its source.
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
    fn wire(&self) -> Wire<'_> {
        Wire {
            path: self.path.as_str().into(),
            class: self.class.as_str().into(),
            split: self.split,
            blake3: self.blake3,
            length: self.length,
            width: self.width,
            height: self.height,
            pixels: self.pixels,
            source: self.source.as_str().into(),
            source_blake3: self.source_blake3,
        }
    }
}

/// A row as it is stored: nothing is copied that the line has without escapes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    class: Cow<'a, str>,
    split: Split,
    blake3: Digest,
    length: u64,
    width: u32,
    height: u32,
    pixels: Digest,
    #[serde(borrow)]
    source: Cow<'a, str>,
    source_blake3: Digest,
}

impl Wire<'_> {
    fn pulled(&self) -> Pulled<'_> {
        let (path, class) = (&*self.path, &*self.class);
        let (split, blake3, length, width, height) =
            (self.split, self.blake3, self.length, self.width, self.height);
        Pulled { path, class, split, blake3, length, width, height }
    }
}

/// What a pull needs of a row.
struct Pulled<'a> {
    path: &'a str,
    class: &'a str,
    split: Split,
    blake3: Digest,
    length: u64,
    width: u32,
    height: u32,
}

/// The images of a version, sorted by path bytes: of each what a pull needs. Kept as columns, some 100 bytes
/// an image.
///
/// ```
/// use isn_format::digest::Digest;
/// use isn_format::index::{Full, Index, Row};
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
/// let (index, sources) = Index::new(vec![row("val/ant/2.png", b"two")?, row("train/ant/1.png", b"one")?])?;
/// let first = Full { index: &index, sources: &sources }.rows().next().ok_or("no row")?;
/// assert_eq!((first.path().as_str(), first.source()), ("train/ant/1.png", "train/ant/1.png"));
/// assert_eq!(index.bytes(), 6);
/// assert!(Index::new(vec![row("val/ant/a.png", b"")?, row("val/ant/A.png", b"")?]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    files: Arc<Files>,
    /// The folders, in order: images of a split and class are adjacent.
    folders: Vec<Folder>,
    lengths: Vec<u64>,
    /// Width and height of each image.
    sizes: Vec<(u32, u32)>,
}

/// The images of one split and class.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    split: Split,
    class: ClassId,
    /// Its first row.
    begin: u32,
}

/// What images of a version were made from, in the order of its [`Index`], some 100 bytes an image. Who only
/// pulls does not need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    pixels: Vec<Digest>,
    ids: Texts,
    blake3: Vec<Digest>,
}

impl Sources {
    /// Reads the sources of `index` from the object that it was read from, of the rows that are `wanted`.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if that is another object.
    pub fn parse(
        what: &str,
        compressed: &[u8],
        index: &Index,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Self> {
        let mut lines = Lines::new(what, compressed, (index.len() as u64).saturating_mul(MAX_ROW))?;
        let mut sources = Sources::default();
        for row in index.rows() {
            let lacks = || Error::integrity(what, format!("does not have {}", row.path()));
            if !wanted(row.at()) {
                lines.skip_row()?.then_some(()).ok_or_else(lacks)?;
                continue;
            }
            let line = lines.next_row::<Wire<'_>>()?.filter(|line| line.path == row.path().as_str());
            let line = line.ok_or_else(lacks)?;
            let pushed = sources.push(line.pixels, &line.source, line.source_blake3);
            pushed.map_err(|why| Error::integrity(what, why))?;
        }
        Ok(sources)
    }

    fn push(&mut self, pixels: Digest, id: &str, blake3: Digest) -> Result<(), &'static str> {
        if !self.ids.push(id) {
            return Err("has too many source ids");
        }
        self.pixels.push(pixels);
        self.blake3.push(blake3);
        Ok(())
    }

    /// Returns the source id of each image.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ids.len()).map(|at| self.ids.get(at))
    }

    /// Returns the source ids alone, in the order of the images.
    pub fn into_ids(mut self) -> Texts {
        self.ids.shrink();
        self.ids
    }

    /// Returns the source id of the image in row `at`; empty if there is no such row.
    pub fn id(&self, at: usize) -> &str {
        self.ids.get(at)
    }

    /// Returns the pixel digest of each image.
    pub fn pixels(&self) -> &[Digest] {
        &self.pixels
    }

    /// Returns the BLAKE3 of the source file of each image.
    pub fn blake3(&self) -> &[Digest] {
        &self.blake3
    }
}

/// An image of an [`Index`].
#[derive(Clone, Copy)]
pub struct RowRef<'a> {
    index: &'a Index,
    at: u32,
}

impl<'a> RowRef<'a> {
    /// Its number, from 0, in the order of the paths.
    pub fn at(self) -> usize {
        self.at as usize
    }

    /// Its path in the tree: `split/class/stem.ext`.
    pub fn path(self) -> RelPathRef<'a> {
        self.index.files.path(self.at())
    }

    /// BLAKE3 of the file.
    pub fn blake3(self) -> Digest {
        self.index.files.blake3()[self.at()]
    }

    fn folder(self) -> &'a Folder {
        let after = self.index.folders.partition_point(|folder| folder.begin <= self.at);
        &self.index.folders[after - 1]
    }

    /// Its class.
    pub fn class(self) -> &'a ClassId {
        &self.folder().class
    }

    /// Its split.
    pub fn split(self) -> Split {
        self.folder().split
    }

    /// The file's length, in bytes.
    pub fn length(self) -> u64 {
        self.index.lengths[self.at()]
    }

    /// In pixels.
    pub fn width(self) -> u32 {
        self.index.sizes[self.at()].0
    }

    /// In pixels.
    pub fn height(self) -> u32 {
        self.index.sizes[self.at()].1
    }
}

/// An [`Index`] with its [`Sources`].
#[derive(Clone, Copy)]
pub struct Full<'a> {
    /// The images.
    pub index: &'a Index,
    /// What they were made from.
    pub sources: &'a Sources,
}

impl<'a> Full<'a> {
    /// Returns the images, sorted by path bytes.
    pub fn rows(self) -> impl ExactSizeIterator<Item = FullRow<'a>> + Clone {
        self.index.rows().map(move |row| FullRow { row, sources: self.sources })
    }

    /// Returns the image with this number, which must be below [`Index::len`].
    pub fn row(self, at: usize) -> FullRow<'a> {
        FullRow { row: self.index.row(at), sources: self.sources }
    }

    /// Returns the bytes to store.
    ///
    /// # Errors
    /// [`Error::Internal`] if a row cannot be serialised or zstd fails.
    pub fn to_bytes(self) -> Result<Vec<u8>> {
        let mut writer = Writer::new()?;
        self.rows().try_for_each(|row| writer.push(&row.wire()))?;
        writer.finish()
    }
}

/// An image of an [`Index`], and what it was made from.
#[derive(Clone, Copy)]
pub struct FullRow<'a> {
    row: RowRef<'a>,
    sources: &'a Sources,
}

impl<'a> FullRow<'a> {
    /// BLAKE3 of width, height and RGB8 bytes, see `isn_pixels::pixel_digest`.
    pub fn pixels(self) -> Digest {
        self.sources.pixels[self.row.at()]
    }

    /// The source image's id.
    pub fn source(self) -> &'a str {
        self.sources.id(self.row.at())
    }

    /// BLAKE3 of the source image's file.
    pub fn source_blake3(self) -> Digest {
        self.sources.blake3[self.row.at()]
    }

    /// Returns the split of the image in the source, as its source id shows: so that a result can also be
    /// given for the source's own val images alone.
    pub fn origin(self, source: SourceKind) -> Split {
        source.origin(self.source())
    }

    /// Returns a copy that needs no index.
    pub fn to_row(self) -> Row {
        Row {
            path: self.path().to_owned(),
            class: self.class().clone(),
            split: self.split(),
            blake3: self.blake3(),
            length: self.length(),
            width: self.width(),
            height: self.height(),
            pixels: self.pixels(),
            source: self.source().into(),
            source_blake3: self.source_blake3(),
        }
    }

    fn wire(self) -> Wire<'a> {
        let folder = self.row.folder();
        Wire {
            path: self.path().as_str().into(),
            class: folder.class.as_str().into(),
            split: folder.split,
            blake3: self.blake3(),
            length: self.length(),
            width: self.width(),
            height: self.height(),
            pixels: self.pixels(),
            source: self.source().into(),
            source_blake3: self.source_blake3(),
        }
    }
}

impl<'a> Deref for FullRow<'a> {
    type Target = RowRef<'a>;

    fn deref(&self) -> &RowRef<'a> {
        &self.row
    }
}

impl Index {
    /// Creates an index of rows in any order, and their sources.
    ///
    /// # Errors
    /// [`Error::Integrity`] if a path is not `split/class/image` with the row's split and class, or if two
    /// paths are equal or differ only in case.
    pub fn new(mut rows: Vec<Row>) -> Result<(Self, Sources)> {
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let (mut columns, mut sources) = (Columns::default(), Sources::default());
        for row in rows {
            let row = row.wire();
            columns.push(&row.pulled()).map_err(|why| Error::integrity("index", why))?;
            let pushed = sources.push(row.pixels, &row.source, row.source_blake3);
            pushed.map_err(|why| Error::integrity("index", why))?;
        }
        Ok((columns.finish("index")?, sources))
    }

    /// Returns the images, sorted by path bytes.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = RowRef<'_>> + Clone {
        (0..self.len() as u32).map(|at| RowRef { index: self, at })
    }

    /// Returns the image with this number, which must be below [`Index::len`].
    pub fn row(&self, at: usize) -> RowRef<'_> {
        debug_assert!(at < self.len());
        RowRef { index: self, at: at as u32 }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the image with this path.
    pub fn find(&self, path: &str) -> Option<RowRef<'_>> {
        self.files.find(path).ok().map(|at| self.row(at))
    }

    pub(crate) fn files(&self) -> Arc<Files> {
        self.files.clone()
    }

    /// Returns the sum of the images' lengths, in bytes.
    pub fn bytes(&self) -> u64 {
        self.lengths.iter().fold(0, |sum, length| sum.saturating_add(*length))
    }

    /// Returns the number of images of each class in each split.
    pub fn counts(&self) -> BTreeMap<Split, BTreeMap<ClassId, u64>> {
        let mut counts: BTreeMap<Split, BTreeMap<ClassId, u64>> = BTreeMap::new();
        let ends = self.folders.iter().skip(1).map(|next| next.begin).chain([self.len() as u32]);
        for (folder, end) in self.folders.iter().zip(ends) {
            let classes = counts.entry(folder.split).or_default();
            classes.insert(folder.class.clone(), u64::from(end - folder.begin));
        }
        counts
    }

    /// Reads the index of `manifest`; its hash must have been checked already. It is read
    /// twice: a manifest found by a pin alone is unsigned and may claim any number of images. So no row is
    /// kept until all rows, with a `classes.csv` of BLAKE3 `classes`, are known to give the dataset hash.
    /// [`crate::description`] checks what else the manifest says about them.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if a row cannot be read, the rows are out of order, they or
    /// `classes` do not give the manifest's number of images and dataset hash, or a path is not valid as in
    /// [`Index::new`].
    pub fn parse(what: &str, compressed: &[u8], manifest: &Manifest, classes: &Digest) -> Result<Self> {
        let cap = manifest.images.saturating_mul(MAX_ROW);
        check_sums(what, Lines::new(what, compressed, cap)?, manifest, classes)?;
        Self::parse_signed(what, compressed, manifest)
    }

    /// As [`Index::parse`], of a manifest that somebody trusted has signed: it is read once, and
    /// [`crate::description`] checks the dataset hash.
    ///
    /// # Errors
    /// As [`Index::parse`], but for the dataset hash.
    pub fn parse_signed(what: &str, compressed: &[u8], manifest: &Manifest) -> Result<Self> {
        let cap = manifest.images.saturating_mul(MAX_ROW);
        let mut lines = Lines::new(what, compressed, cap)?;
        let mut columns = Columns::default();
        while let Some(row) = lines.next_row::<Wire<'_>>()? {
            columns.push(&row.pulled()).map_err(|why| Error::integrity(what, why))?;
        }
        columns.finish(what)
    }

    /// Refuses paths that differ only in case.
    fn check_case(&self, what: &str) -> Result<()> {
        let folded = |at: u32| self.files.path(at as usize).as_str().bytes().map(|b| b.to_ascii_lowercase());
        // Numbers are sorted: a set of the paths would be as large as the rows.
        let hashes = RandomState::new();
        let hash = |at: u32| {
            let mut hasher = hashes.build_hasher();
            folded(at).for_each(|byte| hasher.write_u8(byte));
            hasher.finish()
        };
        let mut order: Vec<(u64, u32)> = (0..self.len() as u32).map(|at| (hash(at), at)).collect();
        order.sort_unstable();
        let alike = order.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1);
        for alike in alike {
            let mut alike: Vec<u32> = alike.iter().map(|(_, at)| *at).collect();
            alike.sort_unstable_by(|a, b| folded(*a).cmp(folded(*b)).then(a.cmp(b)));
            if let Some(pair) = alike.windows(2).find(|pair| folded(pair[0]).eq(folded(pair[1]))) {
                let path = self.files.path(pair[1] as usize);
                let why = format!("{path} occurs twice, or differs from another path only in case");
                return Err(Error::integrity(what, why));
            }
        }
        Ok(())
    }
}

/// An index that is being read or made.
#[derive(Default)]
struct Columns {
    files: Files,
    index: Index,
}

impl Columns {
    /// Appends a row, which must come after the others. Returns what is wrong with it, if it cannot be
    /// appended.
    fn push(&mut self, row: &Pulled<'_>) -> Result<(), String> {
        let path = RelPathRef::new(row.path).map_err(|e| e.to_string())?;
        let refuse = |why: &str| format!("{path} {why}");
        let mut segments = path.segments();
        if segments.next() != Some(row.split.as_str()) || segments.next() != Some(row.class) {
            return Err(refuse("is not in the folder of its split and class"));
        }
        if segments.count() != 1 {
            return Err(refuse("is not split/class/image"));
        }
        let folders = &mut self.index.folders;
        if folders.last().is_none_or(|last| (last.split, last.class.as_str()) != (row.split, row.class)) {
            let class = row.class.parse().map_err(|e: crate::class::ClassIdError| e.to_string())?;
            folders.push(Folder { split: row.split, class, begin: self.files.len() as u32 });
        }
        self.files.push(path, row.blake3).map_err(|why| match self.files.len() {
            0 => refuse(why),
            last if self.files.path(last - 1) == path => {
                refuse("occurs twice, or differs from another path only in case")
            }
            _ => refuse(why),
        })?;
        self.index.lengths.push(row.length);
        self.index.sizes.push((row.width, row.height));
        Ok(())
    }

    fn finish(mut self, what: &str) -> Result<Index> {
        self.files.shrink();
        self.index.lengths.shrink_to_fit();
        self.index.sizes.shrink_to_fit();
        self.index.files = Arc::new(self.files);
        self.index.check_case(what)?;
        Ok(self.index)
    }
}
