//! Fetches images: reads segments of shards frame by frame, from the cache or from any location that has
//! them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::Registry;
use super::keeper::Keeper;
use super::locations::Location;
use super::segment::Segment;
use super::work::Reading;
use crate::cache::{Fate, Piece};
use crate::transport::Ranges;
use crate::transport::pace::Patience;
use isn_format::digest::Digest;
use isn_format::error::{Error, NetworkKind, Result};
use isn_format::object::ObjectKind;
use isn_format::pack::Entry;

/// The maximum number of concurrent requests.
pub(crate) const REQUESTS: usize = 16;
/// How many times in a row a segment may fail at one location without progress.
const ATTEMPTS: u32 = 4;

/// A frame as it arrived, not checked.
pub struct Frame<'a> {
    /// The entry of the pack that it should match.
    pub entry: &'a Entry,
    /// Its bytes.
    pub bytes: Bytes,
    shard: Digest,
    origin: Origin<'a>,
}

impl Frame<'_> {
    /// Where it came from, for messages.
    pub fn place(&self) -> String {
        match &self.origin {
            Origin::Cache(piece) => format!("shard piece {}", piece.path.display()),
            Origin::Location(location, _) => {
                let path = super::layout::object(ObjectKind::Shard, &self.shard);
                format!("shard {}", location.transport.locate(&path))
            }
        }
    }
}

/// Where a frame came from.
enum Origin<'a> {
    Cache(Piece),
    /// A location, and what becomes of the cached piece, which is kept once all its frames are known to be
    /// good.
    Location(&'a Location, Option<Arc<Fate>>),
}

/// Who receives the frames.
pub enum Sink<'s, 'a> {
    /// Worker threads.
    Threads(mpsc::Sender<Frame<'a>>),
    /// The fetching thread itself.
    Here(RefCell<Box<dyn FnMut(Frame<'a>) -> Result<()> + 's>>),
}

impl<'a> Sink<'_, 'a> {
    /// Returns `false` if nobody receives frames any more; the receiver will say why.
    async fn send(&self, frame: Frame<'a>) -> Result<bool> {
        match self {
            Sink::Threads(sender) => Ok(sender.send(frame).await.is_ok()),
            Sink::Here(take) => (take.borrow_mut())(frame).map(|()| true),
        }
    }
}

/// One round of requests, and the frames to request again in the next one.
pub struct Round<'a> {
    registry: &'a Registry,
    number: u32,
    again: Mutex<BTreeMap<Digest, &'a Entry>>,
    first_fault: Mutex<Option<Error>>,
    suspects: Mutex<BTreeSet<PathBuf>>,
}

/// The result of a round.
pub struct Outcome {
    /// The images to request again.
    pub again: Vec<Digest>,
    /// The fault of the first of them.
    pub fault: Option<Error>,
    /// The cached pieces that match their names but not the packs: they are damaged only if the packs are
    /// right.
    pub suspects: BTreeSet<PathBuf>,
}

impl<'a> Round<'a> {
    /// Starts the round `number`, from 0; `fault` is that of the round before, if any.
    pub fn new(registry: &'a Registry, number: u32, fault: Option<Error>) -> Self {
        let (again, suspects) = (Mutex::default(), Mutex::default());
        Round { registry, number, again, first_fault: Mutex::new(fault), suspects }
    }

    /// Ends the round.
    pub fn outcome(self) -> Outcome {
        let again = self.again.into_inner().unwrap_or_else(PoisonError::into_inner);
        let fault = self.first_fault.into_inner().unwrap_or_else(PoisonError::into_inner);
        let suspects = self.suspects.into_inner().unwrap_or_else(PoisonError::into_inner);
        Outcome { again: again.into_keys().collect(), fault, suspects }
    }

    /// Rejects a frame that is not what it must be, and requests it again.
    ///
    /// # Errors
    /// Returns `error` if the frame matches the pack: the pack is wrong then, and another request would not
    /// help.
    pub fn refuse(&self, frame: &Frame<'a>, error: Error) -> Result<()> {
        if Digest::of(&frame.bytes) == frame.entry.frame {
            return Err(error);
        }
        match &frame.origin {
            Origin::Cache(piece) => match self.registry.cache() {
                Some(cache) if piece.is_damaged() => cache.set_aside(&piece.path),
                _ => {
                    let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
                    suspects.insert(piece.path.clone());
                }
            },
            Origin::Location(location, piece) => {
                if let Some(piece) = piece {
                    piece.spoil();
                }
                self.registry.strike(location, self.number, &error);
                self.first_fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
        self.ask_again([frame.entry]);
        Ok(())
    }

    fn ask_again(&self, entries: impl IntoIterator<Item = &'a Entry>) {
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        again.extend(entries.into_iter().map(|entry| (entry.blake3, entry)));
    }

    /// Fetches the frames of `reading` and sends them on, in order, unless another task does.
    ///
    /// # Errors
    /// [`Error::Network`] or [`Error::Integrity`] if no location serves them; also fails if the receiver
    /// fails.
    pub(crate) async fn fetch(&self, mut reading: Reading<'_, 'a>, sink: &Sink<'_, 'a>) -> Result<()> {
        let segment = reading.segment();
        if let Some(piece) = &segment.piece {
            return self.fetch_cached(segment, piece, sink).await;
        }
        let mut failure = None;
        for location in self.registry.locations() {
            match self.fetch_at(location, &mut reading, sink).await {
                Ok(()) => return Ok(()),
                Err(e @ (Error::Network { .. } | Error::Integrity { .. })) => {
                    if matches!(e, Error::Network { .. }) {
                        self.registry.give_up(location, &e);
                    }
                    failure.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        let fault = self.first_fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(failure.or(fault).unwrap_or_else(|| {
            let what = self.registry.locate(ObjectKind::Shard, &segment.shard.blake3);
            Error::integrity(what, "every location that has it served bad bytes")
        }))
    }

    /// Reads a segment from the cache; what turns out to be missing there is requested from a location in the
    /// next round.
    async fn fetch_cached(&self, segment: &Segment<'a>, piece: &Piece, sink: &Sink<'_, 'a>) -> Result<()> {
        let (mut at, mut frames) = (segment.range().start, segment.frames.iter());
        if let Ok(mut file) = piece.open(at) {
            while let Some(&entry) = frames.as_slice().first() {
                let mut bytes = vec![0; (entry.offset + entry.length - at) as usize];
                if file.read_exact(&mut bytes).is_err() {
                    break;
                }
                let bytes = Bytes::from(bytes).split_off((entry.offset - at) as usize);
                at = entry.offset + entry.length;
                frames.next();
                let origin = Origin::Cache(piece.clone());
                if !sink.send(Frame { entry, shard: segment.shard.blake3, bytes, origin }).await? {
                    return Ok(());
                }
            }
        }
        if let Some(cache) = self.registry.cache() {
            match frames.len() {
                0 => cache.used(piece),
                _ => cache.set_aside(&piece.path),
            }
        }
        self.ask_again(frames.copied());
        Ok(())
    }

    /// Fetches frames from one location. After a failure it resumes with the first that has not been sent.
    async fn fetch_at(
        &self,
        location: &'a Location,
        reading: &mut Reading<'_, 'a>,
        sink: &Sink<'_, 'a>,
    ) -> Result<()> {
        let mut patience = Patience::new(ATTEMPTS);
        loop {
            let before = reading.sent_bytes();
            let failure = match self.fetch_from(location, reading, sink).await {
                Ok(Ended::Well) if reading.is_done() => return Ok(()),
                Ok(Ended::Well) => {
                    patience = Patience::new(ATTEMPTS);
                    continue;
                }
                Ok(Ended::Unheard) => return Ok(()),
                Ok(Ended::Short(end)) => {
                    let what = format!("shard {}", location.transport.locate(&path_of(reading.segment())));
                    let fault = Error::integrity(what, format!("ends before byte {end}"));
                    self.registry.strike(location, self.number, &fault);
                    return Err(fault);
                }
                Err(e @ Error::Network { .. }) => e,
                Err(e) => return Err(e),
            };
            if !patience.after(reading.sent_bytes() - before) {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(50 << patience.failures())).await;
        }
    }

    /// Makes one request, and sends the frames that it brings, until the receiver has stopped or the bytes
    /// end. A server that ignores ranges brings the whole shard: then these are all frames of it that nobody
    /// else reads yet.
    async fn fetch_from(
        &self,
        location: &'a Location,
        reading: &mut Reading<'_, 'a>,
        sink: &Sink<'_, 'a>,
    ) -> Result<Ended> {
        let probe = location.probe().await;
        if location.transport.ranges() == Ranges::Ignored {
            reading.join_others();
        }
        if !reading.is_open() {
            return Ok(Ended::Well);
        }
        let (range, path, shard) = (reading.next_range(), path_of(reading.segment()), reading.shard());
        let body = location.transport.open(&path, Some(range.clone())).await?;
        drop(probe);
        let mut body = body.ok_or_else(|| {
            Error::integrity(format!("shard {}", location.transport.locate(&path)), "is missing")
        })?;
        let mut at = body.offset;
        if at > range.start {
            let why = format!("sent bytes from {at}, asked from {}", range.start);
            return Err(Error::network(NetworkKind::Broken, location.transport.locate(&path), why));
        }
        let end = match body.ignores_range {
            true => {
                reading.join_others();
                u64::MAX
            }
            false => range.end,
        };
        if !reading.take() {
            // Another task reads these frames from an answer with the whole shard.
            return Ok(Ended::Well);
        }
        let mut keeper = Keeper::new(self.registry, shard);
        let mut partial = BytesMut::new();
        while reading.next().is_some_and(|entry| entry.offset < end) {
            let Some(mut chunk) = body.chunks.next().await? else {
                return Ok(Ended::Short(reading.end().min(end)));
            };
            self.registry.count(chunk.len());
            while let Some(entry) = reading.next().filter(|entry| !chunk.is_empty() && entry.offset < end) {
                keeper.gap(at, &skip(&mut chunk, &mut at, entry.offset), entry.offset);
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
                // Only whole frames are kept, so that a piece is useful even if the connection breaks.
                keeper.frame(entry.offset, &bytes);
                let origin = Origin::Location(location, keeper.fate());
                if !sink.send(Frame { entry, shard, bytes, origin }).await? {
                    return Ok(Ended::Unheard);
                }
                reading.sent();
            }
        }
        Ok(Ended::Well)
    }
}

/// How a request ended.
enum Ended {
    /// With all that it was to bring, or because another task brings it.
    Well,
    /// Because the receiver takes no more frames.
    Unheard,
    /// The file ended before this byte, although the connection did not break.
    Short(u64),
}

fn path_of(segment: &Segment<'_>) -> String {
    super::layout::object(ObjectKind::Shard, &segment.shard.blake3)
}

/// Removes the bytes before offset `to` from the front of `chunk`, and returns them.
fn skip(chunk: &mut Bytes, at: &mut u64, to: u64) -> Bytes {
    let length = to.saturating_sub(*at).min(chunk.len() as u64);
    *at += length;
    chunk.split_to(length as usize)
}
