//! [`Pack`]: in which shard, and where in it, the bytes of a version's images are. A pack is a hint: every
//! image is checked against the signed index.

mod blocks;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

pub use self::blocks::{PackBlocks, PlacesWriter, Stored};
use crate::digest::Digest;
use crate::error::{Error, Result, about};
use crate::index::Images;
use crate::json_lines::{Lines, Writer};
use crate::object::{MAX_BYTES, ObjectRef};
use crate::shard::max_frame_len;

/// The format this code reads and writes.
pub const FORMAT: &str = "isn-pack/1";
/// The maximum length of a row, in bytes.
const MAX_ROW: u64 = 512;
/// The maximum length of a shard's entry in the header, in bytes.
const MAX_SHARD: u64 = 160;
/// How many times all packs of a version together may list its images.
const MAX_PACKS: u64 = 16;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    shards: Vec<ObjectRef>,
}

/// One image: a zstd frame in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// BLAKE3 of the image.
    pub blake3: Digest,
    /// The position of its shard in the header's list, from 0.
    pub shard: usize,
    /// Where its frame begins in the shard, in bytes.
    pub offset: u64,
    /// The frame's length, in bytes.
    pub length: u64,
    /// BLAKE3 of the frame.
    pub frame: Digest,
}

/// What the packs of one version may still list. Anybody can have written the list of packs, so all packs
/// together are limited to a few times what the version needs.
#[derive(Debug)]
pub struct Allowance {
    /// Images or shards, plus one for each pack.
    places: u64,
    bytes: u64,
}

impl Allowance {
    /// Returns the allowance for a version of this many images.
    pub fn of(images: u64) -> Self {
        Allowance { places: images.saturating_add(1).saturating_mul(MAX_PACKS), bytes: MAX_BYTES }
    }

    /// Subtracts a pack. `list` names the list that led to the pack, for the error.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the pack exceeds the allowance.
    pub fn take(&mut self, pack: &Stored, list: impl Fn() -> String) -> Result<()> {
        let (images, shards) = match pack {
            Stored::Whole(pack) => (pack.entries.len() as u64, &pack.shards),
            Stored::Blocks(pack) => (pack.all_images(), &pack.shards),
        };
        let places = self.places.checked_sub(1 + images.max(shards.len() as u64));
        self.places = places.ok_or_else(|| {
            let why = format!("leads to packs of more than {MAX_PACKS} times the version's images");
            Error::integrity(list(), why)
        })?;
        let bytes = ObjectRef::total(shards).and_then(|bytes| self.bytes.checked_sub(bytes));
        self.bytes =
            bytes.ok_or_else(|| Error::integrity(list(), "leads to more bytes than any disk has"))?;
        Ok(())
    }
}

/// Shards, and the images in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// The shards, each named by its BLAKE3.
    pub shards: Vec<ObjectRef>,
    /// The images, sorted by shard and offset.
    pub entries: Vec<Entry>,
}

impl Pack {
    /// Returns the bytes to store.
    ///
    /// # Errors
    /// [`Error::Internal`] if a row cannot be serialised or zstd fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut writer = PackWriter::new(&self.shards)?;
        self.entries.iter().try_for_each(|entry| writer.push(entry))?;
        writer.finish()
    }

    /// Returns the maximum stored length of the pack of a version of this many images, in bytes: a cap for
    /// fetching it.
    pub fn max_len(images: u64) -> u64 {
        images.saturating_add(1).saturating_mul(MAX_ROW + MAX_SHARD).saturating_add(4096)
    }

    /// Reads a pack that may have up to `images` entries. Checks that every frame lies inside its shard, that
    /// no two overlap, and that there are no more shards than images.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if one of these does not hold or a line cannot be read;
    /// [`Error::Invalid`] for another format, which a newer isn may know.
    pub fn parse(what: &str, compressed: &[u8], images: u64) -> Result<Self> {
        match Stored::parse(what, compressed, images)? {
            Stored::Whole(pack) => Ok(pack),
            Stored::Blocks(_) => Err(Error::invalid(what, "is in blocks")),
        }
    }

    /// Checks that the entries are in order and do not overlap.
    fn check_order(&self, what: &str) -> Result<()> {
        let in_order = |pair: &[Entry]| {
            let (a, b) = (&pair[0], &pair[1]);
            (a.shard, a.offset + a.length) <= (b.shard, b.offset) || a.shard < b.shard
        };
        match self.entries.windows(2).all(in_order) {
            true => Ok(()),
            false => Err(Error::integrity(what, "has images that are out of order or overlap")),
        }
    }
}

/// Refuses a list that names a shard twice.
fn check_shards(what: &str, shards: &[ObjectRef]) -> Result<()> {
    let mut named = HashSet::new();
    match shards.iter().all(|shard| named.insert(shard.blake3)) {
        true => Ok(()),
        false => Err(Error::integrity(what, "names a shard twice")),
    }
}

impl Stored {
    /// Reads a pack, or the directory of one, that may have up to `images` entries.
    ///
    /// # Errors
    /// As [`Pack::parse`].
    pub fn parse(what: &str, compressed: &[u8], images: u64) -> Result<Self> {
        let lines = Lines::new(what, compressed, Pack::max_len(images))?;
        let (format, lines) = format_of(what, lines)?;
        match format {
            AnyHeader::Whole(header) => read(what, header, lines).map(Stored::Whole),
            AnyHeader::Blocks(header) => PackBlocks::read(what, header, lines, images).map(Stored::Blocks),
        }
    }
}

/// A first line.
enum AnyHeader {
    Whole(Header),
    Blocks(blocks::Header),
}

fn format_of<'a>(what: &str, mut lines: Lines<'a>) -> Result<(AnyHeader, Lines<'a>)> {
    #[derive(Deserialize)]
    struct Format {
        format: String,
    }
    let Some(header) = lines.next_row::<serde_json::Value>()? else {
        return Err(Error::integrity(what, "is empty"));
    };
    let unreadable = |e: serde_json::Error| Error::integrity(what, about("line 1", &e));
    let Format { format } = Format::deserialize(&header).map_err(unreadable)?;
    let header = match format.as_str() {
        FORMAT => Header::deserialize(header).map(AnyHeader::Whole),
        blocks::FORMAT => blocks::Header::deserialize(header).map(AnyHeader::Blocks),
        _ => {
            let why = format!(
                "has format '{format}', but this isn reads {FORMAT} and {}: a newer isn may read it",
                blocks::FORMAT
            );
            return Err(Error::invalid(what, why));
        }
    };
    Ok((header.map_err(unreadable)?, lines))
}

fn read(what: &str, header: Header, mut lines: Lines<'_>) -> Result<Pack> {
    let shards = header.shards;
    check_shards(what, &shards)?;
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(entry) = lines.next_row::<Entry>()? {
        let end = entry.offset.checked_add(entry.length);
        let inside = shards.get(entry.shard).zip(end).is_some_and(|(shard, end)| end <= shard.length);
        if !inside || entry.length == 0 {
            return Err(Error::integrity(what, format!("places image {} outside its shard", entry.blake3)));
        }
        entries.push(entry);
    }
    if shards.len() > entries.len() {
        let why = format!("names {} shards, but only {} images", shards.len(), entries.len());
        return Err(Error::integrity(what, why));
    }
    let pack = Pack { shards, entries };
    pack.check_order(what)?;
    Ok(pack)
}

/// Writes a pack entry by entry, so that nobody has to have all of it in memory.
pub struct PackWriter(Writer);

impl PackWriter {
    /// Begins a pack of these shards.
    ///
    /// # Errors
    /// [`Error::Internal`] if a row cannot be serialised or zstd fails.
    pub fn new(shards: &[ObjectRef]) -> Result<Self> {
        let mut writer = Writer::new()?;
        writer.push(&Header { format: FORMAT.into(), shards: shards.to_vec() })?;
        Ok(PackWriter(writer))
    }

    /// Appends the next image, sorted by shard and offset.
    ///
    /// # Errors
    /// As [`PackWriter::new`].
    pub fn push(&mut self, entry: &Entry) -> Result<()> {
        self.0.push(entry)
    }

    /// Returns the bytes of the pack that came since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.0.take()
    }

    /// Returns the last bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub fn finish(self) -> Result<Vec<u8>> {
        self.0.finish()
    }
}

/// Chooses the entry by which each wanted image is read: the first whose frame is not longer than the image
/// can need. Packs are not signed, and a longer frame would only fill the memory. Returns the index of the
/// pack and the index of the entry in it, in the order of the packs, and the images that no pack has.
pub fn placed<'a>(packs: &[Pack], wanted: &Images<'a>) -> (Vec<(u32, u32)>, Images<'a>) {
    let (mut placed, mut absent) = (Vec::with_capacity(wanted.len()), wanted.clone());
    for (number, pack) in (0..).zip(packs) {
        for (at, entry) in (0..).zip(&pack.entries) {
            if can_place(entry, &absent) && absent.remove(&entry.blake3) {
                placed.push((number, at));
            }
        }
    }
    (placed, absent)
}

/// Whether an image that is wanted can be read by this entry.
pub fn can_place(entry: &Entry, wanted: &Images<'_>) -> bool {
    wanted.length(&entry.blake3).is_some_and(|image| entry.length <= max_frame_len(image))
}
