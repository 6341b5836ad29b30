//! Reads frames of an object: the rows, sources or places of blocks. Not all of them are in memory at once.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Registry;
use super::ahead::MAX_EARLY;
use super::segment::MAX_GAP;
use crate::transport::{self, Ranges};
use isn_format::error::{Error, Result};
use isn_format::index::{Directory, Frames};
use isn_format::object::{ObjectKind, ObjectRef};

/// The maximum length of a request, in bytes: so much of each request that is under way is in memory.
const MAX_REQUEST: u64 = 1 << 20;
/// The maximum number of concurrent requests.
const REQUESTS: usize = 8;

/// A frame of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Where it begins in the object.
    pub(super) begin: u64,
    pub(super) frame: ObjectRef,
}

impl Wanted {
    /// A frame of the block `at`.
    pub(super) fn of(directory: &Directory, frames: Frames, at: usize) -> Self {
        let block = &directory.blocks()[at];
        let frame = if frames == Frames::Rows { block.rows } else { block.sources };
        Wanted { begin: directory.bytes(frames, at..at + 1).start, frame }
    }

    fn end(&self) -> u64 {
        self.begin + self.frame.length
    }
}

impl Registry {
    /// Reads frames of an object, sorted by where they are, and passes each, checked by its own hash, to
    /// `each` in that order: not all of them are in memory at once. They are kept in the cache under their
    /// hashes; if most of the object is wanted and it is short or can be kept, or a server sends only whole
    /// files, it is read whole.
    pub(super) async fn frames(
        &self,
        kind: ObjectKind,
        object: &ObjectRef,
        wanted: &[Wanted],
        mut each: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        if let Some(file) = self.whole_in_cache(kind, object) {
            return self.frames_in(kind, object, wanted, file, each).await;
        }
        let mut cached: Vec<Option<Vec<u8>>> =
            wanted.iter().map(|one| self.cached(kind, &one.frame.blake3, one.frame.length)).collect();
        let lacking: Vec<usize> = (0..wanted.len()).filter(|at| cached[*at].is_none()).collect();
        let missing: u64 = lacking.iter().map(|at| wanted[*at].frame.length).sum();
        let is_most = missing > object.length / 2;
        if is_most && self.cache_to_fill().is_some() {
            // Once it is kept, it need not be in memory beside what it says.
            drop(self.object(kind, object).await?);
            if let Some(file) = self.whole_in_cache(kind, object) {
                return self.frames_in(kind, object, wanted, file, each).await;
            }
        }
        // A short one was perhaps asked for early, as a whole.
        let is_whole = is_most && object.length <= MAX_EARLY;
        let mut requests = if is_whole { Vec::new() } else { requests(wanted, &lacking) };
        let mut next = 0;
        // The first one shows whether the server sends ranges.
        let rest = requests.split_off(requests.len().min(1));
        for requests in [requests, rest] {
            if self.locations().first().is_some_and(|at| at.transport.ranges() == Ranges::Ignored) {
                break;
            }
            let read = stream::iter(requests).map(|request| self.read_frames(kind, object, wanted, request));
            let mut read = std::pin::pin!(read.buffered(REQUESTS));
            while let Some(frames) = read.try_next().await? {
                for (at, frame) in frames {
                    while let Some(frame) = cached[next].take() {
                        each(next, &frame)?;
                        next += 1;
                    }
                    self.keep(kind, &wanted[at].frame.blake3, &frame);
                    each(at, &frame)?;
                    next = at + 1;
                }
            }
        }
        let mut rest = |number, frame: &[u8]| each(next + number, frame);
        if cached[next..].iter().any(Option::is_none) {
            return self.frames_of_whole(kind, object, &wanted[next..], rest).await;
        }
        cached[next..].iter().flatten().enumerate().try_for_each(|(number, frame)| rest(number, frame))
    }

    /// Passes frames of an object to `each`, from the file that the cache has of it; if that is damaged, the
    /// object is read anew.
    async fn frames_in(
        &self,
        kind: ObjectKind,
        object: &ObjectRef,
        wanted: &[Wanted],
        mut file: File,
        mut each: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut frame = Vec::new();
        for (at, one) in wanted.iter().enumerate() {
            frame.resize(one.frame.length as usize, 0);
            let read = file.seek(SeekFrom::Start(one.begin)).and_then(|_| file.read_exact(&mut frame));
            if read.is_err() || one.frame.check("", &frame).is_err() {
                // Its hash is wrong, too, so it is set aside.
                let rest = |number, frame: &[u8]| each(at + number, frame);
                return self.frames_of_whole(kind, object, &wanted[at..], rest).await;
            }
            each(at, &frame)?;
        }
        Ok(())
    }

    /// Reads an object whole, and passes frames of it to `each`.
    async fn frames_of_whole(
        &self,
        kind: ObjectKind,
        object: &ObjectRef,
        wanted: &[Wanted],
        mut each: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let (whole, what) = (self.object(kind, object).await?, self.locate(kind, &object.blake3));
        for (at, one) in wanted.iter().enumerate() {
            let bytes = whole.get(one.begin as usize..one.end() as usize);
            let bytes = bytes.ok_or_else(|| Error::integrity(&what, "is shorter than its directory says"))?;
            one.frame.check(&what, bytes)?;
            each(at, bytes)?;
        }
        Ok(())
    }

    /// Opens an object in the cache.
    fn whole_in_cache(&self, kind: ObjectKind, object: &ObjectRef) -> Option<File> {
        self.cache()?.open_object(kind, &object.blake3)
    }

    /// Reads the frames of one request from the first location that has them right.
    async fn read_frames(
        &self,
        kind: ObjectKind,
        object: &ObjectRef,
        wanted: &[Wanted],
        request: Vec<usize>,
    ) -> Result<Vec<(usize, Vec<u8>)>> {
        let path = super::layout::object(kind, &object.blake3);
        let of = |at: Option<&usize>| at.map_or(0..0, |at| wanted[*at].begin..wanted[*at].end());
        let range = of(request.first()).start..of(request.last()).end;
        let found = self.anywhere(async |location| {
            let bytes = transport::read_range(location.transport.as_ref(), &path, range.clone()).await?;
            let Some(bytes) = bytes else { return Ok(None) };
            self.count(bytes.len());
            let what = format!("{} {}", kind.noun(), location.transport.locate(&path));
            let frame = |at: &usize| {
                let one = &wanted[*at];
                let begin = (one.begin - range.start) as usize;
                let frame = bytes.get(begin..begin + one.frame.length as usize);
                let frame = frame
                    .ok_or_else(|| Error::integrity(&what, format!("ends before byte {}", one.end())))?;
                one.frame.check(&what, frame)?;
                Ok((*at, frame.to_vec()))
            };
            request.iter().map(frame).collect::<Result<Vec<_>>>().map(Some)
        });
        found.await?.ok_or_else(|| self.missing_object(kind, &object.blake3))
    }
}

/// Joins frames that are near each other to requests.
fn requests(wanted: &[Wanted], lacking: &[usize]) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    for &at in lacking {
        let one = &wanted[at];
        match requests.last_mut() {
            Some(request)
                if request
                    .last()
                    .is_some_and(|last| one.begin.saturating_sub(wanted[*last].end()) <= MAX_GAP)
                    && request
                        .first()
                        .is_some_and(|first| one.end() - wanted[*first].begin <= MAX_REQUEST) =>
            {
                request.push(at);
            }
            _ => requests.push(vec![at]),
        }
    }
    requests
}
