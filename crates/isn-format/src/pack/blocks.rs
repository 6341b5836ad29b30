//! [`PackBlocks`]: a pack in the blocks of an index, so that who needs a class reads where that class is.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use super::{Entry, MAX_ROW, Pack, check_shards};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::{FrameOfLines, Index, MAX_BESIDE, MAX_ROWS};
use crate::json_lines::{Lines, Writer};
use crate::object::ObjectRef;

/// The format of the directory of a pack in blocks.
pub(super) const FORMAT: &str = "isn-pack/2";

/// The first line of the directory.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: String,
    /// The object with the frames.
    places: ObjectRef,
    /// How many lines with shards follow.
    shards: u64,
}

/// The line of a block: where its images are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    /// How many of its images the pack has.
    images: u32,
    /// The frame with their places; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    places: Option<ObjectRef>,
}

/// The place of an image, which follows that of the image before unless it says another.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shard: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    length: u64,
    frame: Digest,
}

/// The directory of a pack in blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackBlocks {
    /// The object with the frames of all blocks, one after another.
    pub places: ObjectRef,
    /// The shards, each named by its BLAKE3.
    pub shards: Vec<ObjectRef>,
    blocks: Vec<Block>,
    /// Where the frame of each block begins in `places`, and after them where all end.
    begins: Vec<u64>,
}

/// The maximum length of the frame of a block with so many places, in bytes; the others of its rows are
/// `null`.
fn max_frame(images: u32) -> u64 {
    u64::from(images) * MAX_ROW + (MAX_ROWS * "null\n".len()) as u64 + MAX_BESIDE
}

/// A pack as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// In one object.
    Whole(Pack),
    /// In blocks.
    Blocks(PackBlocks),
}

impl Pack {
    /// Returns the bytes to store in the blocks of `index`, of which it may have some images: the directory
    /// and the places.
    ///
    /// # Errors
    /// [`Error::Internal`] if a row cannot be serialised or zstd fails.
    pub fn to_blocks(&self, index: &Index) -> Result<(Vec<u8>, Vec<u8>)> {
        let hashes = RandomState::new();
        let hash = |at: &u32| hashes.hash_one(self.entries[*at as usize].blake3);
        let mut by_image: HashTable<u32> = HashTable::with_capacity(self.entries.len());
        for at in 0..self.entries.len() as u32 {
            by_image.insert_unique(hash(&at), at, hash);
        }
        let of_image = |image: Digest| {
            let is_it = |at: &u32| self.entries[*at as usize].blake3 == image;
            by_image.find(hashes.hash_one(image), is_it).map(|at| &self.entries[*at as usize])
        };
        let (mut writer, mut places) = (PlacesWriter::new()?, Vec::new());
        for rows in index.blocks() {
            for row in rows {
                writer.push(of_image(index.row(row).blake3()))?;
            }
            writer.end_block()?;
            places.append(&mut writer.take());
        }
        Ok((writer.finish(&self.shards, ObjectRef::of(&places))?, places))
    }
}

/// Writes the places of a pack in blocks, row by row.
pub struct PlacesWriter {
    blocks: Vec<Block>,
    frame: FrameOfLines,
    images: u32,
    /// Where the frame of the next image is, if it follows.
    next: Option<(usize, u64)>,
    places: Vec<u8>,
}

impl PlacesWriter {
    /// Begins the first block.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub fn new() -> Result<Self> {
        let (blocks, places) = (Vec::new(), Vec::new());
        Ok(PlacesWriter { blocks, frame: FrameOfLines::new()?, images: 0, next: None, places })
    }

    /// Appends the place of the image of the next row, if the pack has it.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialised.
    pub fn push(&mut self, entry: Option<&Entry>) -> Result<()> {
        let place = entry.map(|entry| {
            self.images += 1;
            let is_next = self.next == Some((entry.shard, entry.offset));
            self.next = Some((entry.shard, entry.offset + entry.length));
            Place {
                shard: (!is_next).then_some(entry.shard as u32),
                offset: (!is_next).then_some(entry.offset),
                length: entry.length,
                frame: entry.frame,
            }
        });
        self.frame.push(&place)
    }

    /// Ends a block of the index.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub fn end_block(&mut self) -> Result<()> {
        let images = std::mem::take(&mut self.images);
        let places = match images {
            0 => {
                self.frame.clear();
                None
            }
            _ => Some(self.frame.end(&mut self.places)?),
        };
        self.next = None;
        self.blocks.push(Block { images, places });
        Ok(())
    }

    /// Returns the frames that came since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.places)
    }

    /// Returns the directory, after the last block; `places` is the object with all frames.
    ///
    /// # Errors
    /// [`Error::Internal`] if a line cannot be serialised or zstd fails.
    pub fn finish(self, shards: &[ObjectRef], places: ObjectRef) -> Result<Vec<u8>> {
        let mut directory = Writer::new()?;
        directory.push(&Header { format: FORMAT.into(), places, shards: shards.len() as u64 })?;
        shards.iter().try_for_each(|shard| directory.push(shard))?;
        self.blocks.iter().try_for_each(|block| directory.push(block))?;
        directory.finish()
    }
}

impl PackBlocks {
    pub(super) fn read(what: &str, header: Header, mut lines: Lines<'_>, images: u64) -> Result<Self> {
        let refuse = |why: &str| Error::integrity(what, why);
        if header.shards > images {
            return Err(refuse("names more shards than the version has images"));
        }
        let mut shards: Vec<ObjectRef> = Vec::new();
        for _ in 0..header.shards {
            shards.push(lines.next_row()?.ok_or_else(|| refuse("is cut short"))?);
        }
        check_shards(what, &shards)?;
        let (mut blocks, mut at, mut counted): (Vec<Block>, u64, u64) = (Vec::new(), 0, 0);
        let mut begins = vec![0];
        while let Some(block) = lines.next_row::<Block>()? {
            if block.places.is_some() != (block.images > 0) {
                return Err(refuse("has a block without images that has places, or the reverse"));
            }
            counted += u64::from(block.images);
            let length = block.places.map_or(0, |frame| frame.length);
            // Before anybody asks for it: nobody signs a pack.
            if length > max_frame(block.images) {
                return Err(Error::integrity(what, format!("gives a block places of {length} bytes")));
            }
            if blocks.len() as u64 >= images {
                return Err(refuse("has more blocks than the version has images"));
            }
            at += length;
            begins.push(at);
            blocks.push(block);
        }
        if counted > images || shards.len() as u64 > counted {
            let (named, most) = (shards.len(), images);
            let why = format!("names {named} shards and {counted} images of a version of {most}");
            return Err(Error::integrity(what, why));
        }
        match at == header.places.length {
            true => Ok(PackBlocks { places: header.places, shards, blocks, begins }),
            false => Err(refuse("does not fill the object with its places")),
        }
    }

    /// Returns the number of blocks.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether it has no blocks.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Returns how many images of a block it has.
    pub fn images(&self, block: usize) -> u32 {
        self.blocks[block].images
    }

    /// Returns the number of images that it has.
    pub fn all_images(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.images)).sum()
    }

    /// Returns where the frames of some blocks are in the object, in bytes.
    pub fn bytes(&self, blocks: std::ops::Range<usize>) -> std::ops::Range<u64> {
        self.begins[blocks.start]..self.begins[blocks.end]
    }

    /// Returns the hash and length of the frame of a block, if it has images of it.
    pub fn frame(&self, block: usize) -> Option<ObjectRef> {
        self.blocks[block].places
    }

    /// Reads the places of the images of a block from its frame, in the order of `images`, its rows, and
    /// appends them to `entries`.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if it is another frame, does not have a line for each row, or
    /// places an image outside its shard.
    pub fn entries(
        &self,
        what: &str,
        (block, frame): (usize, &[u8]),
        images: impl ExactSizeIterator<Item = Digest>,
        entries: &mut Vec<Entry>,
    ) -> Result<()> {
        let Block { images: said, places } = &self.blocks[block];
        let Some(of_frame) = places else { return Ok(()) };
        of_frame.check(what, frame)?;
        let refuse = |why: String| Error::integrity(what, why);
        let cap = (images.len() as u64).saturating_mul(MAX_ROW);
        let (mut lines, before, mut next) = (Lines::new(what, frame, cap)?, entries.len(), None);
        for blake3 in images {
            let place = lines.next_row::<Option<Place>>()?;
            let place = place.ok_or_else(|| refuse(format!("has no line for image {blake3}")))?;
            let Some(Place { shard, offset, length, frame }) = place else { continue };
            let at = match (shard, offset) {
                (Some(shard), Some(offset)) => Some((shard as usize, offset)),
                (None, None) => next,
                _ => None,
            };
            let (shard, offset) =
                at.ok_or_else(|| refuse(format!("does not say where image {blake3} is")))?;
            let end = offset.checked_add(length).filter(|_| length > 0);
            let end = end.filter(|end| self.shards.get(shard).is_some_and(|shard| *end <= shard.length));
            let end = end.ok_or_else(|| refuse(format!("places image {blake3} outside its shard")))?;
            next = Some((shard, end));
            entries.push(Entry { blake3, shard, offset, length, frame });
        }
        match lines.next_row::<Option<Place>>()? {
            None if entries.len() - before == *said as usize => Ok(()),
            _ => Err(refuse("has another number of images than its directory says".into())),
        }
    }

    /// Returns the pack of these entries, which may be of some blocks.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if two images overlap in a shard.
    pub fn pack(&self, what: &str, mut entries: Vec<Entry>) -> Result<Pack> {
        entries.sort_unstable_by_key(|entry| (entry.shard, entry.offset));
        // An image that several rows have is in each of their blocks.
        entries.dedup();
        let pack = Pack { shards: self.shards.clone(), entries };
        pack.check_order(what)?;
        Ok(pack)
    }
}
