//! [`Pack`]: where the bytes of a version's images are: in which shard, and from where to where. It is a hint:
//! every image is checked against the signed index.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json_lines::{Lines, Writer};
use crate::object::{MAX_BYTES, ObjectRef};
use crate::shard::max_frame_len;

/// The format this code reads and writes.
pub const FORMAT: &str = "isn-pack/1";
/// A row takes at most this many bytes.
const MAX_ROW: u64 = 512;
/// The header names each shard in at most this many bytes.
const MAX_SHARD: u64 = 160;
/// The packs of a version list each of its images so often at most.
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
    /// Which shard, counted from 0 in the header's list.
    pub shard: usize,
    /// Where its frame begins in the shard, in bytes.
    pub offset: u64,
    /// The frame's length, in bytes.
    pub length: u64,
    /// BLAKE3 of the frame.
    pub frame: Digest,
}

/// What the packs of one version may still list: the list of them is a hint of anybody's, and what it leads to is no more
/// in all than a few packs of everything.
#[derive(Debug)]
pub struct Allowance {
    /// Images or shards, and the packs themselves.
    places: u64,
    bytes: u64,
}

impl Allowance {
    /// For a version of so many images.
    pub fn of(images: u64) -> Self {
        Allowance { places: images.saturating_add(1).saturating_mul(MAX_PACKS), bytes: MAX_BYTES }
    }

    /// Counts a pack against it; an error that names `list`, which led to it, if it was one too many.
    pub fn take(&mut self, pack: &Pack, list: impl Fn() -> String) -> Result<()> {
        let places = self.places.checked_sub(1 + pack.entries.len().max(pack.shards.len()) as u64);
        self.places = places.ok_or_else(|| {
            let why = format!("leads to packs of more than {MAX_PACKS} times the version's images");
            Error::integrity(list(), why)
        })?;
        let bytes = ObjectRef::total(&pack.shards).and_then(|bytes| self.bytes.checked_sub(bytes));
        self.bytes = bytes.ok_or_else(|| Error::integrity(list(), "leads to more bytes than there are"))?;
        Ok(())
    }
}

/// Shards and the images in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// The shards, each named by its BLAKE3.
    pub shards: Vec<ObjectRef>,
    /// The images, by shard and offset.
    pub entries: Vec<Entry>,
}

impl Pack {
    /// The bytes to store.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new()?;
        writer.push(&Header { format: FORMAT.into(), shards: self.shards.clone() })?;
        self.entries.iter().try_for_each(|entry| writer.push(entry))?;
        writer.finish()
    }

    /// The most bytes that the pack of a version of so many images can have, stored: a cap for fetching it.
    pub fn max_len(images: u64) -> u64 {
        images.saturating_add(1).saturating_mul(MAX_ROW + MAX_SHARD).saturating_add(4096)
    }

    /// Reads a pack that may have up to `images` entries, and checks that every frame lies inside its shard, and that no
    /// shard is named for nothing.
    pub fn parse(what: &str, compressed: &[u8], images: u64) -> Result<Self> {
        let mut lines = Lines::new(what, compressed, Self::max_len(images))?;
        let Some(header) = lines.next_row::<Header>()? else {
            return Err(Error::integrity(what, "is empty"));
        };
        if header.format != FORMAT {
            let why = format!("has format '{}', this isn reads {FORMAT}: a newer isn may", header.format);
            return Err(Error::invalid(what, why));
        }
        let shards = header.shards;
        let mut named = HashSet::new();
        if !shards.iter().all(|shard| named.insert(shard.blake3)) {
            return Err(Error::integrity(what, "names a shard twice"));
        }
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(entry) = lines.next_row::<Entry>()? {
            let end = entry.offset.checked_add(entry.length);
            let inside = shards.get(entry.shard).zip(end).is_some_and(|(shard, end)| end <= shard.length);
            if !inside || entry.length == 0 {
                return Err(Error::integrity(
                    what,
                    format!("places image {} outside its shard", entry.blake3),
                ));
            }
            entries.push(entry);
        }
        if shards.len() > entries.len() {
            let why = format!("names {} shards, and {} images in them", shards.len(), entries.len());
            return Err(Error::integrity(what, why));
        }
        let in_order = |pair: &[Entry]| {
            let (a, b) = (&pair[0], &pair[1]);
            (a.shard, a.offset + a.length) <= (b.shard, b.offset) || a.shard < b.shard
        };
        if !entries.windows(2).all(in_order) {
            return Err(Error::integrity(what, "has images out of order or on top of each other"));
        }
        Ok(Pack { shards, entries })
    }

    /// The entries by image.
    pub fn by_image(&self) -> HashMap<Digest, &Entry> {
        self.entries.iter().map(|entry| (entry.blake3, entry)).collect()
    }
}

/// Where each wanted image is read: the first of its entries that is no longer than the image can need, as the number of a pack
/// and that of an entry in it, in this order. Packs are not signed: a longer frame would only fill the memory. `length_of` gives
/// the length of an image's file in bytes, and `None` for an image that is not wanted.
pub fn placed(packs: &[Pack], length_of: impl Fn(&Digest) -> Option<u64>) -> Vec<(usize, usize)> {
    let (mut placed, mut seen) = (Vec::new(), HashSet::new());
    for (number, pack) in packs.iter().enumerate() {
        for (at, entry) in pack.entries.iter().enumerate() {
            let fits = length_of(&entry.blake3).is_some_and(|image| entry.length <= max_frame_len(image));
            if fits && seen.insert(entry.blake3) {
                placed.push((number, at));
            }
        }
    }
    placed
}
