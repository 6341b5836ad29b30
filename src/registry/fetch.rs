//! Bringing images: which byte ranges of which shards hold them, and reading those frame by frame.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::Registry;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::object::{ObjectKind, ObjectRef};
use crate::pack::{Entry, Pack};

/// Two ranges nearer than this are one request: a request costs about as much as so many bytes.
const MAX_GAP: u64 = 64 << 10;
/// How often a segment is tried again without a single new frame in between.
const ATTEMPTS: u32 = 4;

/// One request: a range of a shard and the wanted frames in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    shard: &'a ObjectRef,
    /// By offset.
    frames: Vec<&'a Entry>,
}

impl Segment<'_> {
    fn range(&self, from: usize) -> Range<u64> {
        let end = self.frames.last().map_or(0, |entry| entry.offset + entry.length);
        self.frames.get(from).map_or(end, |entry| entry.offset)..end
    }

    /// How many bytes it asks for.
    pub fn len(&self) -> u64 {
        let range = self.range(0);
        range.end - range.start
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// The segments that bring every image in `wanted` (each with its length in bytes by the index), and the images
/// that no pack has.
pub fn plan<'a>(packs: &'a [Pack], wanted: &HashMap<Digest, u64>) -> (Vec<Segment<'a>>, Vec<Digest>) {
    let mut absent: BTreeSet<Digest> = wanted.keys().copied().collect();
    let mut segments: Vec<Segment<'a>> = Vec::new();
    for pack in packs {
        for entry in &pack.entries {
            // A pack is not signed: a frame longer than its image can need would only fill the memory.
            let is_sane =
                wanted.get(&entry.blake3).is_some_and(|&image| entry.length <= max_frame_len(image));
            if !is_sane || !absent.remove(&entry.blake3) {
                continue;
            }
            let shard = &pack.shards[entry.shard];
            match segments.last_mut() {
                Some(last) if last.shard == shard && entry.offset - last.range(0).end <= MAX_GAP => {
                    last.frames.push(entry);
                }
                _ => segments.push(Segment { shard, frames: vec![entry] }),
            }
        }
    }
    (segments, absent.into_iter().collect())
}

/// zstd's worst case for a tar entry of an image of `length` bytes, with room to spare.
fn max_frame_len(length: u64) -> u64 {
    length.saturating_add(length / 128).saturating_add(4096)
}

/// A frame as it came, not checked.
pub struct Frame<'a> {
    /// What it should be.
    pub entry: &'a Entry,
    /// Which shard it is from.
    pub shard: Digest,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Fetches a segment and sends its frames on, in order. After a failure it goes on from the first frame that has
/// not been sent.
pub async fn fetch<'a>(
    registry: &Registry,
    segment: &Segment<'a>,
    frames: &mpsc::Sender<Frame<'a>>,
) -> Result<()> {
    let (mut sent, mut attempt) = (0, 0);
    loop {
        let before = sent;
        let failure = match fetch_from(registry, segment, &mut sent, frames).await {
            Ok(()) if sent == segment.frames.len() || frames.is_closed() => return Ok(()),
            // The file ended, and nobody said that the connection broke: it is too short.
            Ok(()) => {
                let what = registry.locate(ObjectKind::Shard, &segment.shard.blake3);
                Error::integrity(what, format!("ends before byte {}", segment.range(sent).end))
            }
            Err(e @ Error::Network { .. }) => e,
            Err(e) => return Err(e),
        };
        attempt = if sent > before { 1 } else { attempt + 1 };
        if attempt >= ATTEMPTS {
            return Err(failure);
        }
        tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
    }
}

/// Sends frames from the first that has not been sent, until all are, the receiver has stopped, or the bytes end.
async fn fetch_from<'a>(
    registry: &Registry,
    segment: &Segment<'a>,
    sent: &mut usize,
    frames: &mpsc::Sender<Frame<'a>>,
) -> Result<()> {
    let range = segment.range(*sent);
    let shard = segment.shard.blake3;
    let mut body = registry.open_object(ObjectKind::Shard, &shard, range.clone()).await?;
    let mut at = body.offset;
    if at > range.start {
        let url = registry.locate(ObjectKind::Shard, &shard);
        return Err(Error::Network { url, why: format!("sent bytes from {at}, asked from {}", range.start) });
    }
    let mut partial = BytesMut::new();
    while *sent < segment.frames.len() {
        let Some(mut chunk) = body.chunks.next().await? else { return Ok(()) };
        registry.count(chunk.len());
        while !chunk.is_empty() && *sent < segment.frames.len() {
            let entry = segment.frames[*sent];
            // Bytes before the frame: a gap, or a server that ignores ranges.
            let skip = entry.offset.saturating_sub(at).min(chunk.len() as u64);
            at += skip;
            let _ = chunk.split_to(skip as usize);
            let missing = (entry.length as usize) - partial.len();
            let taken = chunk.split_to(missing.min(chunk.len()));
            at += taken.len() as u64;
            let bytes = if taken.len() == entry.length as usize {
                taken
            } else {
                partial.reserve(missing);
                partial.extend_from_slice(&taken);
                if partial.len() < entry.length as usize {
                    continue;
                }
                partial.split().freeze()
            };
            if frames.send(Frame { entry, shard, bytes }).await.is_err() {
                // Whoever takes the frames has stopped, and says why.
                return Ok(());
            }
            *sent += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn wanted(images: &[u8]) -> HashMap<Digest, u64> {
        images.iter().map(|&image| (Digest::of(&[image]), 20)).collect()
    }

    #[test]
    fn near_frames_are_one_request_and_far_ones_are_not() {
        let packs = [pack(&[
            (1, 0, 0, 10),
            (2, 0, 10, 10),
            (3, 0, 20 + MAX_GAP, 10),
            (4, 0, 40 + 3 * MAX_GAP, 9),
            (5, 1, 0, 7),
        ])];
        let (segments, absent) = plan(&packs, &wanted(&[1, 3, 4, 5, 9]));
        assert_eq!(
            segments.iter().map(|s| s.range(0)).collect::<Vec<_>>(),
            [0..10, 20 + MAX_GAP..30 + MAX_GAP, 40 + 3 * MAX_GAP..49 + 3 * MAX_GAP, 0..7]
        );
        assert_eq!(absent, [Digest::of(&[9])]);
        let (segments, _) = plan(&packs, &wanted(&[1, 2, 3, 4, 5]));
        assert_eq!(segments.iter().map(Segment::len).collect::<Vec<_>>(), [30 + MAX_GAP, 9, 7]);
    }

    #[test]
    fn an_image_in_two_packs_is_fetched_once() {
        let packs = [pack(&[(1, 0, 0, 10)]), pack(&[(1, 1, 0, 10), (2, 1, 10, 10)])];
        let (segments, absent) = plan(&packs, &wanted(&[1, 2]));
        assert_eq!(segments.iter().map(Segment::len).sum::<u64>(), 20);
        assert!(absent.is_empty());
    }
}
