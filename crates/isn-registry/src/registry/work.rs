//! [`Work`]: the segments of a round of requests, and which of them somebody reads. A server that ignores
//! ranges answers any request with the whole shard; one task then reads the frames of all its segments.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use super::segment::{MAX_GAP, Segment, range_of};
use isn_format::digest::Digest;
use isn_format::pack::Entry;

/// The segments of a round.
pub(crate) struct Work<'s, 'a> {
    segments: &'s [Segment<'a>],
    /// The numbers of the segments of each shard that a location has to send.
    remote: HashMap<Digest, Vec<usize>>,
    /// Which segments somebody reads. All tasks of a round run on one thread.
    taken: RefCell<Vec<bool>>,
}

impl<'s, 'a> Work<'s, 'a> {
    pub(crate) fn new(segments: &'s [Segment<'a>]) -> Self {
        let mut remote: HashMap<Digest, Vec<usize>> = HashMap::new();
        for (number, segment) in segments.iter().enumerate().filter(|(_, segment)| segment.is_remote()) {
            remote.entry(segment.shard.blake3).or_default().push(number);
        }
        Work { segments, remote, taken: RefCell::new(vec![false; segments.len()]) }
    }

    /// Whether nobody has taken the segment until now.
    fn take(&self, number: usize) -> bool {
        !std::mem::replace(&mut self.taken.borrow_mut()[number], true)
    }
}

/// The frames that one task reads, in the order of the shard.
pub(crate) struct Reading<'s, 'a> {
    work: &'s Work<'s, 'a>,
    number: usize,
    is_ours: bool,
    frames: Vec<&'a Entry>,
    /// The number of frames that were sent on, and their bytes.
    sent: usize,
    sent_bytes: u64,
}

impl<'s, 'a> Reading<'s, 'a> {
    /// The frames of the segment `number`, which nobody reads until [`Reading::take`].
    pub(crate) fn new(work: &'s Work<'s, 'a>, number: usize) -> Self {
        let frames = work.segments[number].frames.clone();
        Reading { work, number, is_ours: false, frames, sent: 0, sent_bytes: 0 }
    }

    pub(super) fn segment(&self) -> &'s Segment<'a> {
        &self.work.segments[self.number]
    }

    pub(super) fn shard(&self) -> Digest {
        self.segment().shard.blake3
    }

    /// Whether no other task has taken these frames.
    pub(super) fn is_open(&self) -> bool {
        self.is_ours || !self.work.taken.borrow()[self.number]
    }

    /// Takes these frames; returns `false` if another task has.
    pub(super) fn take(&mut self) -> bool {
        self.is_ours = self.is_ours || self.work.take(self.number);
        self.is_ours
    }

    /// Takes these frames and those of all other segments of the shard that nobody reads, unless another task
    /// has taken these. Segments that overlap, as several packs may have them, stay with their own tasks.
    pub(super) fn join_others(&mut self) {
        if !self.take() {
            return;
        }
        let left = self.frames.split_off(self.sent);
        let own = range_of(&left);
        let segments = self.work.remote.get(&self.shard()).into_iter().flatten();
        let is_free = |number: &&usize| {
            let range = self.work.segments[**number].range();
            !self.work.taken.borrow()[**number] && (range.end <= own.start || own.end <= range.start)
        };
        let mut free: Vec<usize> = segments.filter(is_free).copied().collect();
        free.sort_by_key(|number| self.work.segments[*number].range().start);
        let (mut before, mut after, mut end) = (Vec::new(), left, 0);
        for number in free {
            let segment = &self.work.segments[number];
            let range = segment.range();
            if range.start >= end && self.work.take(number) {
                let frames = if range.end <= own.start { &mut before } else { &mut after };
                frames.extend(&segment.frames);
                end = range.end;
            }
        }
        before.append(&mut after);
        (self.frames, self.sent) = (before, 0);
    }

    /// The range to ask for next: to the first wide gap between frames. Only frames that were joined, at a
    /// location that ignores ranges, have one.
    pub(super) fn next_range(&self) -> Range<u64> {
        let left = &self.frames[self.sent..];
        let is_wide = |pair: &[&Entry]| pair[1].offset - (pair[0].offset + pair[0].length) > MAX_GAP;
        let frames = left.windows(2).position(is_wide).map_or(left.len(), |last| last + 1);
        range_of(&left[..frames])
    }

    /// The next frame to send on.
    pub(super) fn next(&self) -> Option<&'a Entry> {
        self.frames.get(self.sent).copied()
    }

    /// Where the last frame ends in the shard.
    pub(super) fn end(&self) -> u64 {
        range_of(&self.frames).end
    }

    /// Notes that the next frame was sent on.
    pub(super) fn sent(&mut self) {
        self.sent_bytes += self.next().map_or(0, |entry| entry.length);
        self.sent += 1;
    }

    /// How many bytes of frames were sent on.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Whether there is nothing left for this task.
    pub(super) fn is_done(&self) -> bool {
        !self.is_open() || self.sent == self.frames.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::object::ObjectRef;

    fn entry(offset: u64, length: u64) -> Entry {
        let image = Digest::of(&offset.to_le_bytes());
        Entry { blake3: image, shard: 0, offset, length, frame: image }
    }

    #[test]
    fn one_task_reads_all_that_nobody_reads_and_that_does_not_overlap() {
        let [shard, other] = [1, 2].map(|n: u8| ObjectRef { blake3: Digest::of(&[n]), length: 1 << 30 });
        let far = MAX_GAP + 30;
        let entries = [0, 10, far, far + 5, 3 * far, 4 * far].map(|offset| entry(offset, 10));
        let on = |shard, frames: &[usize]| Segment {
            shard,
            frames: frames.iter().map(|frame| &entries[*frame]).collect(),
            piece: None,
        };
        let segments = [
            on(&shard, &[0, 1]),
            on(&shard, &[2]),
            on(&shard, &[3]),
            on(&shard, &[4]),
            on(&shard, &[5]),
            on(&other, &[0]),
        ];
        let work = Work::new(&segments);
        let mut busy = Reading::new(&work, 3);
        assert!(busy.take() && busy.take());
        let mut first = Reading::new(&work, 1);
        assert_eq!(first.next_range(), far..far + 10);
        first.join_others();
        let frames: Vec<u64> = first.frames.iter().map(|entry| entry.offset).collect();
        assert_eq!(frames, [0, 10, far, 4 * far]);
        assert_eq!((first.next_range(), first.end()), (0..20, 4 * far + 10));
        let is_left: Vec<bool> = (0..6).map(|number| Reading::new(&work, number).is_open()).collect();
        assert_eq!(is_left, [false, false, true, false, false, true]);
        let mut late = Reading::new(&work, 0);
        assert!(!late.take() && late.is_done());
        late.join_others();
        assert_eq!(late.frames.len(), 2);
        // After a failure the rest is read, and nothing is taken twice.
        first.sent();
        first.join_others();
        assert_eq!((first.frames.len(), first.sent_bytes(), first.next_range()), (3, 10, 10..20));
        (0..3).for_each(|_| first.sent());
        assert!(first.is_done() && first.next().is_none());
    }
}
