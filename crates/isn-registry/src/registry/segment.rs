//! [`Segment`]: one request for images; and the plan of all requests, which byte ranges of which shards
//! contain the wanted images.

use std::collections::HashMap;
use std::ops::Range;

use super::Registry;
use super::fetch::REQUESTS;
use crate::cache::{Cache, Piece};
use isn_format::digest::Digest;
use isn_format::index::Images;
use isn_format::object::ObjectRef;
use isn_format::pack::{Entry, Pack, can_place, placed};

/// Ranges that are nearer than this become one request: a request costs about as much as this many bytes.
pub(super) const MAX_GAP: u64 = 64 << 10;
/// The maximum length of a request, so that there are enough for all connections; and the minimum, where
/// there is as much to fetch, so that the round trip is short compared with the transfer.
pub(super) const MAX_REQUEST: u64 = 8 << 20;
const MIN_REQUEST: u64 = 1 << 20;

/// One request: a range of a shard, and the wanted frames in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    pub(super) shard: &'a ObjectRef,
    /// Sorted by offset.
    pub(super) frames: Vec<&'a Entry>,
    /// The piece of the cache that contains the frames, if one does.
    pub(super) piece: Option<Piece>,
}

impl Segment<'_> {
    pub(super) fn range(&self) -> Range<u64> {
        range_of(&self.frames)
    }

    /// The number of bytes that it asks for.
    pub fn len(&self) -> u64 {
        let range = self.range();
        range.end - range.start
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The images that it brings.
    pub fn images(&self) -> impl Iterator<Item = Digest> {
        self.frames.iter().map(|entry| entry.blake3)
    }

    /// Whether it needs the network or a local registry, rather than the cache.
    pub(crate) fn is_remote(&self) -> bool {
        self.piece.is_none()
    }
}

/// The range of a shard from the first of some frames to the end of the last.
pub(super) fn range_of(frames: &[&Entry]) -> Range<u64> {
    let end = frames.last().map_or(0, |entry| entry.offset + entry.length);
    frames.first().map_or(end, |entry| entry.offset)..end
}

impl Registry {
    /// Plans the segments for every image in `wanted`. Also returns the images that no pack contains.
    pub(crate) fn plan<'a, 'w>(
        &self,
        packs: &'a [Pack],
        wanted: &Images<'w>,
    ) -> (Vec<Segment<'a>>, Images<'w>) {
        self.plan_again(packs, wanted, 0)
    }

    /// As [`Registry::plan`], for the round `number`, from 0. After the first two rounds the cache is not
    /// used any more: a read-only cache would return the same damaged bytes for ever.
    pub(crate) fn plan_again<'a, 'w>(
        &self,
        packs: &'a [Pack],
        wanted: &Images<'w>,
        number: u32,
    ) -> (Vec<Segment<'a>>, Images<'w>) {
        let mut pieces = Pieces::new(self.cache().filter(|_| number < 2));
        plan(packs, wanted, |shard, entry| pieces.of(shard, entry).cloned())
    }

    /// Returns the first rows of the images in `wanted` that a plan would ask a location for.
    pub(crate) fn uncached(&self, packs: &[Pack], wanted: &Images<'_>) -> Vec<usize> {
        let mut pieces = Pieces::new(self.cache());
        let (mut is_seen, mut uncached) = (vec![false; wanted.index().len()], Vec::new());
        for pack in packs {
            for entry in pack.entries.iter().filter(|entry| can_place(entry, wanted)) {
                let Some(row) = wanted.get(&entry.blake3) else { continue };
                let is_first = !std::mem::replace(&mut is_seen[row.at()], true);
                if is_first && pieces.of(&pack.shards[entry.shard], entry).is_none() {
                    uncached.push(row.at());
                }
            }
        }
        uncached
    }
}

/// The pieces of shards in a cache, as they are found.
struct Pieces<'c> {
    cache: Option<&'c Cache>,
    found: HashMap<Digest, Vec<Piece>>,
}

impl<'c> Pieces<'c> {
    fn new(cache: Option<&'c Cache>) -> Self {
        Pieces { cache, found: HashMap::new() }
    }

    /// Returns the piece that has a frame, if one has.
    fn of(&mut self, shard: &ObjectRef, entry: &Entry) -> Option<&Piece> {
        let cache = self.cache?;
        let pieces = self.found.entry(shard.blake3).or_insert_with(|| cache.pieces(&shard.blake3));
        let end = entry.offset + entry.length;
        pieces.iter().find(|piece| piece.range.start <= entry.offset && end <= piece.range.end)
    }
}

fn plan<'a, 'w>(
    packs: &'a [Pack],
    wanted: &Images<'w>,
    mut piece_of: impl FnMut(&ObjectRef, &Entry) -> Option<Piece>,
) -> (Vec<Segment<'a>>, Images<'w>) {
    let (placed, absent) = placed(packs, wanted);
    let chosen = placed.into_iter().map(|(pack, entry)| {
        let pack = &packs[pack as usize];
        let entry = &pack.entries[entry as usize];
        (&pack.shards[entry.shard], entry)
    });
    let total: u64 = chosen.clone().map(|(_, entry)| entry.length).sum();
    let longest = (total / (2 * REQUESTS as u64)).clamp(MIN_REQUEST, MAX_REQUEST);
    let mut segments: Vec<Segment<'a>> = Vec::new();
    for (shard, entry) in chosen {
        let piece = piece_of(shard, entry);
        match segments.last_mut() {
            Some(last) if last.shard == shard && last.piece == piece && fits(last, entry, longest) => {
                last.frames.push(entry);
            }
            _ => segments.push(Segment { shard, frames: vec![entry], piece }),
        }
    }
    (segments, absent)
}

fn fits(segment: &Segment<'_>, entry: &Entry, longest: u64) -> bool {
    let range = segment.range();
    // The frames of a pack are in order; another pack may refer to the same shard.
    let Some(gap) = entry.offset.checked_sub(range.end) else { return false };
    let length = entry.offset + entry.length - range.start;
    segment.piece.is_some() || (gap <= MAX_GAP && length <= longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::index::{Index, Row};

    const GAP: u64 = MAX_GAP;

    #[test]
    fn packs_that_have_one_shard_in_another_order_are_planned_too() {
        let packs = [pack(&[(1, 0, 5000, 10)]), pack(&[(2, 0, 100, 10), (3, 0, 5005, 10)])];
        let wanted = wanted(&[1, 2, 3], 10);
        let (segments, absent) = plan(&packs, &wanted);
        assert_eq!(segments.iter().map(Segment::len).collect::<Vec<_>>(), [10, 4915]);
        assert!(absent.is_empty());
    }

    fn pack(entries: &[(u8, usize, u64, u64)]) -> Pack {
        let shard = |n: u8| ObjectRef { blake3: Digest::of(&[n]), length: 1 << 30 };
        let entry = |&(image, shard, offset, length): &(u8, usize, u64, u64)| Entry {
            blake3: Digest::of(&[image]),
            shard,
            offset,
            length,
            frame: Digest::of(b""),
        };
        Pack { shards: vec![shard(100), shard(101)], entries: entries.iter().map(entry).collect() }
    }

    /// The index of some images, each with this length.
    fn wanted(images: &[u8], length: u64) -> Index {
        let row = |image: &u8| Row {
            path: format!("train/ant/{image}.png").parse().unwrap(),
            class: "ant".parse().unwrap(),
            split: "train".parse().unwrap(),
            blake3: Digest::of(&[*image]),
            length,
            width: 1,
            height: 1,
            pixels: Digest::of(b""),
            source: image.to_string(),
            source_blake3: Digest::of(b""),
        };
        Index::new(images.iter().map(row).collect()).unwrap().0
    }

    fn plan<'a>(packs: &'a [Pack], wanted: &Index) -> (Vec<Segment<'a>>, Vec<Digest>) {
        let (segments, absent) = super::plan(packs, &Images::all(wanted), |_, _| None);
        (segments, absent.iter().map(|row| row.blake3()).collect())
    }

    fn ranges(segments: &[Segment<'_>]) -> Vec<Range<u64>> {
        segments.iter().map(|segment| segment.range()).collect()
    }

    #[test]
    fn near_frames_are_one_request_and_far_ones_are_not() {
        let entries =
            [(1, 0, 0, 10), (2, 0, 10, 10), (3, 0, 20 + GAP, 10), (4, 0, 40 + 3 * GAP, 9), (5, 1, 0, 7)];
        let packs = [pack(&entries)];
        let (segments, absent) = plan(&packs, &wanted(&[1, 3, 4, 5, 9], 20));
        let expected = [0..10, 20 + GAP..30 + GAP, 40 + 3 * GAP..49 + 3 * GAP, 0..7];
        assert_eq!(ranges(&segments), expected);
        assert_eq!(absent, [Digest::of(&[9])]);
        let (segments, _) = plan(&packs, &wanted(&[1, 2, 3, 4, 5], 20));
        assert_eq!(segments.iter().map(Segment::len).collect::<Vec<_>>(), [30 + GAP, 9, 7]);
    }

    #[test]
    fn an_image_in_two_packs_is_fetched_once() {
        let packs = [pack(&[(1, 0, 0, 10)]), pack(&[(1, 1, 0, 10), (2, 1, 10, 10)])];
        let (segments, absent) = plan(&packs, &wanted(&[1, 2], 20));
        assert_eq!(segments.iter().map(Segment::len).sum::<u64>(), 20);
        assert!(absent.is_empty());
    }

    #[test]
    fn there_are_enough_requests_for_all_connections_and_none_is_tiny() {
        let image = 200 << 10;
        for (images, least, most) in [(3u8, 1, 1), (100, 20, 22), (255, 32, 40)] {
            let entries: Vec<_> = (0..images).map(|i| (i, 0, u64::from(i) * image, image)).collect();
            let all: Vec<u8> = (0..images).collect();
            let packs = [pack(&entries)];
            let (segments, _) = plan(&packs, &wanted(&all, image));
            assert!((least..=most).contains(&segments.len()), "{images}: {}", segments.len());
            assert!(segments.iter().all(|segment| segment.len() <= MAX_REQUEST));
            assert_eq!(segments.iter().map(Segment::len).sum::<u64>(), u64::from(images) * image);
        }
    }
}
