//! [`Directory`]: an index that is stored in blocks, so that who needs a class reads that class.

mod writer;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub(crate) use self::writer::FrameOfLines;
pub use self::writer::{BlocksEnd, BlocksWriter};
use super::{Columns, Index, MAX_ROW, Pulled, Sources, SumsCheck};
use crate::class::ClassId;
use crate::description::Counts;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json_lines::{Lines, weigh};
use crate::manifest::{Manifest, Tally};
use crate::object::ObjectRef;
use crate::rel_path::{RelPath, RelPathRef};
use crate::shard::MAX_IMAGE_LEN;
use crate::split::Split;
use crate::sums::{LineRef, SumsTree, folders};
use crate::tree::{CLASSES, Selection};

/// The maximum number of rows of a block.
pub const MAX_ROWS: usize = 4096;
/// What a zstd frame may have beside its contents, in bytes.
pub(crate) const MAX_BESIDE: u64 = 1024;
/// The maximum length of a block's line in the directory, in bytes.
const MAX_BLOCK: u64 = 512;

/// Images of one split and class that are stored together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Their split.
    pub split: Split,
    /// Their class.
    pub class: ClassId,
    /// How many they are.
    pub images: u32,
    /// The length of their lines in `B3SUMS`, in bytes.
    pub sums: u64,
    /// The frame with their rows, which follows that of the block before.
    pub rows: ObjectRef,
    /// The frame that says what they were made from, in the other object.
    pub sources: ObjectRef,
}

/// One of the two objects with the frames of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// `rows`.
    Rows,
    /// `sources`.
    Sources,
}

/// The blocks of an index, in the order of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    blocks: Vec<Block>,
    /// Where each block begins, and after them where all end.
    begins: Vec<Begin>,
}

/// Where a block begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Begin {
    image: u64,
    /// In `B3SUMS`, whose first line is that of `classes.csv`.
    sums: u64,
    rows: u64,
    sources: u64,
}

/// A row as `rows` has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowWire<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    blake3: Digest,
    length: u64,
    width: u32,
    height: u32,
}

/// A row as `sources` has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceWire<'a> {
    pixels: Digest,
    #[serde(borrow)]
    source: Cow<'a, str>,
    source_blake3: Digest,
}

/// The length of the line of `classes.csv` in `B3SUMS`, in bytes.
fn before() -> u64 {
    line_len(CLASSES)
}

/// The length of the line of a path in `B3SUMS`, in bytes.
fn line_len(path: &str) -> u64 {
    64 + 2 + path.len() as u64 + 1
}

impl Index {
    /// Returns the rows of each block in which the index is stored.
    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let ends = self.folders.iter().skip(1).map(|next| next.begin).chain([self.len() as u32]);
        self.folders.iter().zip(ends).flat_map(|(folder, end)| {
            let end = end as usize;
            (folder.begin as usize..end)
                .step_by(MAX_ROWS)
                .map(move |begin| begin..(begin + MAX_ROWS).min(end))
        })
    }

    /// Reads the whole index of `manifest` from `rows`, the object whose blocks `directory` has. What nobody
    /// trusted has signed (`is_signed`) is read twice, as by [`Index::parse`].
    ///
    /// # Errors
    /// As [`Index::parse`]; [`Error::Integrity`] also if the directory says something else about a block.
    pub fn parse_blocks(
        (what, rows): (&str, &[u8]),
        directory: &Directory,
        (manifest, is_signed): (&Manifest, bool),
        classes: &Digest,
    ) -> Result<Self> {
        if !is_signed {
            let mut check = SumsCheck::new(*classes);
            for at in 0..directory.blocks.len() {
                directory.read((what, at), directory.slice(what, Frames::Rows, at, rows)?, |row| {
                    check.push(row.path, row.blake3).map_err(|why| Error::integrity(what, why))
                })?;
            }
            check.finish(what, manifest)?;
        }
        let mut columns = Columns::default();
        for at in 0..directory.blocks.len() {
            let frame = directory.slice(what, Frames::Rows, at, rows)?;
            directory.read_into((what, at), frame, &mut columns)?;
        }
        columns.finish(what)
    }
}

impl Sources {
    /// Reads the sources of a block from its frame, and appends those of the rows that are `wanted`, by their
    /// numbers in the block.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if it is another frame, or does not have a row for each image.
    pub fn push_block(
        &mut self,
        what: &str,
        (directory, at): (&Directory, usize),
        frame: &[u8],
        wanted: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let block = directory.block(what, at)?;
        block.sources.check(what, frame)?;
        let mut lines = Lines::new(what, frame, u64::from(block.images).saturating_mul(MAX_ROW))?;
        let mut images = 0;
        loop {
            if !wanted(images as usize) {
                if !lines.skip_row()? {
                    break;
                }
            } else if let Some(row) = lines.next_row::<SourceWire<'_>>()? {
                let pushed = self.push(row.pixels, &row.source, row.source_blake3);
                pushed.map_err(|why| Error::integrity(what, why))?;
            } else {
                break;
            }
            images += 1;
        }
        block.check_images(what, images)
    }
}

impl Block {
    fn check_images(&self, what: &str, images: u32) -> Result<()> {
        if images == self.images {
            return Ok(());
        }
        let (split, class, said) = (self.split.as_str(), &self.class, self.images);
        Err(Error::integrity(what, format!("has {images} images in a block of {split}/{class}, not {said}")))
    }
}

impl Directory {
    /// Returns the maximum stored length of the directory of a version of this many images, in bytes.
    pub fn max_len(images: u64) -> u64 {
        images.saturating_add(1).saturating_mul(MAX_BLOCK)
    }

    /// Reads the directory of the index of `manifest`, of which `rows` and `sources` are the lengths of the
    /// other objects.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if a line cannot be read, the blocks are not in order, or they do
    /// not have the images of the manifest or do not fill the objects.
    pub fn parse(
        what: &str,
        compressed: &[u8],
        manifest: &Manifest,
        rows: u64,
        sources: u64,
    ) -> Result<Self> {
        // Before any of it is kept: nobody may have signed the manifest.
        weigh(what, compressed, compressed.len() as u64, manifest.images)?;
        let refuse = |why: String| Error::integrity(what, why);
        let mut lines = Lines::new(what, compressed, Self::max_len(manifest.images))?;
        let mut blocks: Vec<Block> = Vec::new();
        let mut at = Begin { sums: before(), ..Begin::default() };
        let mut begins = vec![at];
        while let Some(block) = lines.next_row::<Block>()? {
            let folder = |block: &Block| format!("{}/{}/", block.split.as_str(), block.class);
            let here = folder(&block);
            if blocks.last().is_some_and(|last| folder(last) > here) {
                return Err(refuse(format!("is not sorted at {here}")));
            }
            let images = u64::from(block.images);
            if !(1..=MAX_ROWS as u64).contains(&images) {
                return Err(refuse(format!("has a block of {images} images in {here}")));
            }
            let of_line = line_len(&here) + 1..=line_len("") + crate::rel_path::MAX_PATH_LEN as u64;
            if !(images * of_line.start()..=images * of_line.end()).contains(&block.sums) {
                return Err(refuse(format!("gives {} bytes of B3SUMS to {here}", block.sums)));
            }
            let most = images * MAX_ROW + MAX_BESIDE;
            if block.rows.length > most || block.sources.length > most {
                return Err(refuse(format!("gives {here} more than the {most} bytes that it can need")));
            }
            let add = |sum: u64, part: u64| sum.checked_add(part);
            let next = add(at.rows, block.rows.length).zip(add(at.sources, block.sources.length));
            let (rows, sources) = next.ok_or_else(|| refuse("gives a block too many bytes".into()))?;
            at = Begin { image: at.image + images, sums: at.sums + block.sums, rows, sources };
            begins.push(at);
            blocks.push(block);
        }
        if at.image != manifest.images || u32::try_from(at.image).is_err() {
            let (found, said) = (at.image, manifest.images);
            return Err(refuse(format!("has {found} images, the manifest says {said}")));
        }
        if (at.rows, at.sources) != (rows, sources) {
            return Err(refuse("does not fill the objects with its rows and sources".into()));
        }
        let directory = Directory { blocks, begins };
        if let Tally::Splits { splits, .. } = &manifest.tally
            && *splits != directory.splits()
        {
            return Err(refuse("does not have the counts of its manifest".into()));
        }
        Ok(directory)
    }

    /// Returns the number of images in each split.
    fn splits(&self) -> BTreeMap<Split, u64> {
        let mut splits = BTreeMap::new();
        for block in &self.blocks {
            *splits.entry(block.split).or_default() += u64::from(block.images);
        }
        splits
    }

    /// Returns the number of images of each class in each split.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for block in &self.blocks {
            let classes = counts.entry(block.split).or_default();
            *classes.entry(block.class.clone()).or_default() += u64::from(block.images);
        }
        counts
    }

    /// The blocks, in the order of the rows.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn block(&self, what: &str, at: usize) -> Result<&Block> {
        self.blocks.get(at).ok_or_else(|| Error::integrity(what, format!("has no block {at}")))
    }

    /// Returns the rows of a block, as numbers in the whole index.
    pub fn images(&self, at: usize) -> Range<u64> {
        self.begins[at].image..self.begins[at + 1].image
    }

    /// Returns where the lines of a block are in `B3SUMS`, in bytes.
    pub(crate) fn lines(&self, at: usize) -> Range<u64> {
        self.begins[at].sums..self.begins[at + 1].sums
    }

    /// Returns where the frames of some blocks are in their object, in bytes.
    pub fn bytes(&self, frames: Frames, blocks: Range<usize>) -> Range<u64> {
        let of = |begin: &Begin| match frames {
            Frames::Rows => begin.rows,
            Frames::Sources => begin.sources,
        };
        of(&self.begins[blocks.start])..of(&self.begins[blocks.end])
    }

    /// Returns the frame of a block in the whole object.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if the object is too short.
    pub fn slice<'o>(&self, what: &str, frames: Frames, at: usize, object: &'o [u8]) -> Result<&'o [u8]> {
        let range = self.bytes(frames, at..at + 1);
        object
            .get(range.start as usize..range.end as usize)
            .ok_or_else(|| Error::integrity(what, format!("ends before byte {}", range.end)))
    }

    /// Returns the length of `B3SUMS`, in bytes.
    pub fn sums_len(&self) -> u64 {
        self.begins.last().map_or(before(), |end| end.sums)
    }

    /// Returns the blocks of the folders that a selection has images in.
    pub fn chosen(&self, selection: &Selection) -> Vec<usize> {
        let folder_of =
            |image: &RelPath| image.as_str().rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
        let folders: HashSet<String> = selection.images.iter().filter_map(folder_of).collect();
        let classes: HashSet<&ClassId> = selection.classes.iter().collect();
        let is_chosen = |block: &Block| {
            (selection.splits.is_empty() || selection.splits.contains(&block.split))
                && (classes.is_empty() || classes.contains(&block.class))
                && (selection.images.is_empty()
                    || folders.contains(&format!("{}/{}/", block.split.as_str(), block.class)))
        };
        (0..self.blocks.len()).filter(|at| is_chosen(&self.blocks[*at])).collect()
    }

    /// Returns the blocks whose rows are needed to show that the `chosen` ones are all that a selection has:
    /// these, those with lines in the same groups of `tree`, and the first and the last one.
    pub fn needed(&self, chosen: &[usize], selection: &Selection, tree: &SumsTree) -> Vec<usize> {
        // Enough for the line before and the line after.
        let beside = line_len("") + crate::rel_path::MAX_PATH_LEN as u64;
        let of_block = |at: &usize| self.lines(*at);
        let empty = |folder: String| {
            let path = |block: &Block| format!("{}/{}/", block.split.as_str(), block.class);
            let at = self.begins[self.blocks.partition_point(|block| path(block) < folder)].sums;
            at..at
        };
        let ends = [0..before(), self.sums_len().saturating_sub(1)..self.sums_len()];
        let shown = chosen.iter().map(of_block).chain(folders(selection).into_iter().map(empty)).chain(ends);
        let around = |bytes: Range<u64>| {
            tree.around(bytes.start.saturating_sub(beside)..bytes.end.saturating_add(beside))
        };
        let mut groups: Vec<Range<u64>> = shown.map(around).collect();
        groups.sort_unstable_by_key(|bytes| bytes.start);
        // Blocks of one class have their groups in common: each is looked up once.
        groups.dedup_by(|next, before| {
            let is_joined = next.start <= before.end;
            before.end = if is_joined { before.end.max(next.end) } else { before.end };
            is_joined
        });
        let mut needed: Vec<usize> = groups
            .into_iter()
            .flat_map(|bytes| {
                let first = self.begins.partition_point(|begin| begin.sums <= bytes.start).saturating_sub(1);
                let last = self.begins.partition_point(|begin| begin.sums < bytes.end);
                first..last.min(self.blocks.len())
            })
            .collect();
        needed.dedup();
        needed
    }

    /// Returns the object with the rows of the whole `index`, if zstd makes the same frames of them here.
    ///
    /// # Errors
    /// [`Error::Internal`] if a row cannot be serialised or zstd fails.
    pub fn rows_of(&self, index: &Index) -> Result<Option<Vec<u8>>> {
        let (mut frame, mut rows) = (FrameOfLines::new()?, Vec::new());
        for (range, block) in index.blocks().zip(&self.blocks) {
            for row in range.map(|at| index.row(at)) {
                frame.push(&RowWire {
                    path: row.path().as_str().into(),
                    blake3: row.blake3(),
                    length: row.length(),
                    width: row.width(),
                    height: row.height(),
                })?;
            }
            if frame.end(&mut rows)? != block.rows {
                return Ok(None);
            }
        }
        Ok(Some(rows))
    }

    /// Reads the rows of a block from its frame.
    fn read(
        &self,
        (what, at): (&str, usize),
        frame: &[u8],
        mut take: impl FnMut(&Pulled<'_>) -> Result<()>,
    ) -> Result<()> {
        let block = self.block(what, at)?;
        block.rows.check(what, frame)?;
        let folder = format!("{}/{}/", block.split.as_str(), block.class);
        let (mut images, mut sums) = (0, 0);
        let mut lines = Lines::new(what, frame, u64::from(block.images).saturating_mul(MAX_ROW))?;
        while let Some(row) = lines.next_row::<RowWire<'_>>()? {
            images += 1;
            sums += line_len(&row.path);
            let (class, split) = (block.class.as_str(), block.split);
            // Also of rows that are read for their lines alone: a block that is told to be of another class
            // would be left out of a selection of its own.
            if !row.path.starts_with(&folder) {
                return Err(Error::integrity(what, format!("has {} in a block of {folder}", row.path)));
            }
            let RowWire { ref path, blake3, length, width, height } = row;
            if length > MAX_IMAGE_LEN {
                let why = format!("gives {path} {length} bytes, and an image has {MAX_IMAGE_LEN} at most");
                return Err(Error::integrity(what, why));
            }
            take(&Pulled { path, class, split, blake3, length, width, height })?;
        }
        block.check_images(what, images)?;
        match sums == block.sums {
            true => Ok(()),
            false => {
                let (split, class, said) = (block.split.as_str(), &block.class, block.sums);
                let why = format!("has {sums} bytes of B3SUMS in a block of {split}/{class}, not {said}");
                Err(Error::integrity(what, why))
            }
        }
    }

    pub(super) fn read_into(
        &self,
        (what, at): (&str, usize),
        frame: &[u8],
        columns: &mut Columns,
    ) -> Result<()> {
        self.read((what, at), frame, |row| columns.push(row).map_err(|why| Error::integrity(what, why)))
    }

    /// Reads the rows of a block, and appends its lines of `B3SUMS` to `text`; those that are `kept` go into
    /// `columns`, too.
    pub(super) fn read_lines(
        &self,
        (what, at): (&str, usize),
        frame: &[u8],
        text: &mut Vec<u8>,
        mut kept: Option<&mut Columns>,
    ) -> Result<()> {
        self.read((what, at), frame, |row| {
            let refuse = |why: String| Error::integrity(what, why);
            let path = RelPathRef::new(row.path).map_err(|e| refuse(e.to_string()))?;
            LineRef { blake3: row.blake3, path }.push_to(text);
            kept.as_mut().map_or(Ok(()), |columns| columns.push(row).map_err(refuse))
        })
    }
}
