//! [`Row`]: the entries about one name. The last 1 to 256 places are in the row; each 256 places before them
//! are in a *block*, and the row has the block's BLAKE3; of 256 such hashes the row has that of a block of
//! hashes, and so on. So a row stays short, and a new entry changes only the row and at times adds a block.

use super::Subject;
use crate::digest::Digest;
use crate::log::bundle;

/// The number of places or hashes in a full block.
pub(super) const WIDTH: u64 = 256;
/// The length of a place in bytes.
const PLACE: usize = 14;
const HASH: usize = 32;
/// The first byte of a block.
const BLOCK: u8 = 2;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its number.
    pub index: u64,
    /// Where its bytes begin in its bundle, after their length.
    pub offset: u32,
    /// Their number.
    pub length: u16,
}

/// The entries about one name, or the changes of the log's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    subject: Subject,
    count: u64,
    /// The last places.
    places: Vec<Place>,
    /// The hashes of blocks of each level that are not in a block of the next one.
    blocks: Vec<Vec<Digest>>,
}

impl Place {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.index.to_be_bytes());
        to.extend_from_slice(&self.offset.to_be_bytes());
        to.extend_from_slice(&self.length.to_be_bytes());
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let index = u64::from_be_bytes(take(from)?);
        let (offset, length) = (u32::from_be_bytes(take(from)?), u16::from_be_bytes(take(from)?));
        let end = u64::from(offset) + u64::from(length);
        (offset >= 2 && end <= bundle::MAX_LEN && index < u64::MAX).then_some(Place { index, offset, length })
    }
}

impl Row {
    /// A row without entries.
    pub(super) fn new(subject: Subject) -> Self {
        Row { subject, count: 0, places: Vec::new(), blocks: Vec::new() }
    }

    /// Whose row it is.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Returns the number of entries.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the number of the last entry, and 1; 0 if there is none.
    pub(super) fn through(&self) -> u64 {
        self.places.last().map_or(0, |place| place.index + 1)
    }

    /// Returns the places of the last entries, at most 256.
    pub fn last(&self) -> &[Place] {
        &self.places
    }

    /// Returns the blocks that have the earlier places or lead to them: level, number in that level and hash
    /// of each, those of the highest level first.
    pub fn blocks(&self) -> Vec<(u8, u64, Digest)> {
        let mut found = Vec::new();
        for (level, hashes) in self.blocks.iter().enumerate().rev() {
            let first = self.full(level) - hashes.len() as u64;
            let level = level as u8;
            found.extend((first..).zip(hashes).map(|(index, hash)| (level, index, *hash)));
        }
        found
    }

    /// Returns the number of full blocks of a level.
    fn full(&self, level: usize) -> u64 {
        self.count.saturating_sub(1).checked_shr(8 * (level as u32 + 1)).unwrap_or(0)
    }

    /// Adds an entry, which must come after all others. Calls `block` with each block that is now full.
    pub(super) fn push(&mut self, place: Place, mut block: impl FnMut(u8, u64, Vec<u8>)) {
        if self.places.len() as u64 == WIDTH {
            let mut bytes = vec![BLOCK];
            self.places.drain(..).for_each(|place| place.write(&mut bytes));
            let mut level = 0;
            loop {
                let index = self.full_before(level);
                let hash = Digest::of(&bytes);
                block(level as u8, index, bytes);
                if self.blocks.len() == level {
                    self.blocks.push(Vec::new());
                }
                self.blocks[level].push(hash);
                if (self.blocks[level].len() as u64) < WIDTH {
                    break;
                }
                bytes = vec![BLOCK];
                self.blocks[level].drain(..).for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
                level += 1;
            }
        }
        self.places.push(place);
        self.count += 1;
    }

    /// The number that the next block of a level gets.
    fn full_before(&self, level: usize) -> u64 {
        (self.count >> (8 * (level + 1))) - 1
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let text = self.subject.text();
        to.push(text.len() as u8);
        to.extend_from_slice(text.as_bytes());
        to.extend_from_slice(&self.count.to_be_bytes());
        for hash in self.blocks.iter().rev().flatten() {
            to.extend_from_slice(hash.as_bytes());
        }
        self.places.iter().for_each(|place| place.write(to));
    }

    /// Reads a row from the beginning of `from`; returns `None` if it is malformed.
    pub(super) fn read(from: &mut &[u8]) -> Option<Self> {
        let [length] = take(from)?;
        let (text, rest) = from.split_at_checked(usize::from(length))?;
        *from = rest;
        let subject = match std::str::from_utf8(text).ok()? {
            "" => Subject::Log,
            name => Subject::Name(name.parse().ok()?),
        };
        let count = u64::from_be_bytes(take(from)?);
        if count == 0 {
            return (subject == Subject::Log).then(|| Row::new(subject));
        }
        let mut above = (count - 1) / WIDTH;
        let mut widths = Vec::new();
        while above > 0 {
            widths.push((above % WIDTH) as usize);
            above /= WIDTH;
        }
        let mut blocks = Vec::with_capacity(widths.len());
        for width in widths.iter().rev() {
            let (hashes, rest) = from.split_at_checked(width * HASH)?;
            *from = rest;
            blocks.push(hashes_of(hashes)?);
        }
        blocks.reverse();
        let number = (count - 1) % WIDTH + 1;
        let places = (0..number).map(|_| Place::read(from)).collect::<Option<Vec<_>>>()?;
        is_rising(&places).then_some(Row { subject, count, places, blocks })
    }
}

/// Returns the places in a block of level 0; `None` if it is none.
pub(super) fn places_of(bytes: &[u8]) -> Option<Vec<Place>> {
    let mut rest = bytes.strip_prefix(&[BLOCK])?;
    let places = (0..WIDTH).map(|_| Place::read(&mut rest)).collect::<Option<Vec<_>>>()?;
    (rest.is_empty() && is_rising(&places)).then_some(places)
}

/// Returns the hashes in a block of a level above 0; `None` if it is none.
pub(super) fn hashes_in(bytes: &[u8]) -> Option<Vec<Digest>> {
    let rest = bytes.strip_prefix(&[BLOCK])?;
    (rest.len() == WIDTH as usize * HASH).then(|| hashes_of(rest)).flatten()
}

impl Row {
    /// Reads a block of level 0: the places in it.
    ///
    /// # Errors
    /// The reason, if it is not the block with this hash.
    pub fn places(bytes: &[u8], hash: &Digest) -> Result<Vec<Place>, &'static str> {
        (Digest::of(bytes) == *hash).then(|| places_of(bytes)).flatten().ok_or("is not the block of its row")
    }

    /// Reads a block of a level above 0: the hashes of the 256 blocks below it.
    ///
    /// # Errors
    /// As [`Row::places`].
    pub fn hashes(bytes: &[u8], hash: &Digest) -> Result<Vec<Digest>, &'static str> {
        (Digest::of(bytes) == *hash).then(|| hashes_in(bytes)).flatten().ok_or("is not the block of its row")
    }
}

fn hashes_of(bytes: &[u8]) -> Option<Vec<Digest>> {
    bytes.chunks_exact(HASH).map(|hash| hash.try_into().ok().map(Digest::from_bytes)).collect()
}

fn is_rising(places: &[Place]) -> bool {
    places.windows(2).all(|two| two[0].index < two[1].index)
}

/// Takes the next bytes.
pub(super) fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

/// The longest row, in bytes: of a name of 64 bytes with three levels of hashes.
pub(super) const MAX_ROW: usize = 1 + 64 + 8 + WIDTH as usize * (PLACE + 3 * HASH);
