//! [`ShardCheck`]: checks a shard as it arrives, as a whole and for each image of a version that a pack
//! places in it. Nothing vouches for its length, so only one frame and the chunks between the two threads are
//! held in memory.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use isn_format::error::{Error, Result};
use isn_format::index::Images;
use isn_format::pack::Entry;
use isn_format::shard::{FrameReader, check_shard, max_frame_len};

/// The maximum number of chunks waiting for the thread that checks the whole.
const WAITING: usize = 4;
/// How many times as many images as the pack lists a shard may have.
const MAX_UNLISTED: usize = 16;

/// Takes the bytes of a shard, from the first to the last.
pub(super) struct ShardCheck<'a> {
    path: String,
    /// The entries still to come, by offset. The first one is in progress.
    entries: &'a [&'a Entry],
    version: &'a Images<'a>,
    at: u64,
    frame: Vec<u8>,
    reader: FrameReader,
    images: Vec<(&'a Entry, Result<()>)>,
    chunks: SyncSender<Vec<u8>>,
    whole: JoinHandle<Result<()>>,
}

impl<'a> ShardCheck<'a> {
    /// Makes a check of the shard at `path`, in which a pack places `entries`. The images of
    /// `version` are checked.
    pub(super) fn new(path: &str, entries: &'a [&'a Entry], version: &'a Images<'a>) -> Result<Self> {
        let reader = FrameReader::new().map_err(|e| Error::Internal(format!("zstd: {e}")))?;
        let (chunks, receiver) = sync_channel(WAITING);
        let (what, most) = (path.to_string(), (entries.len() + 1) * MAX_UNLISTED);
        let check = move || check_shard(&what, Chunks::new(receiver), most, |_, _| ());
        let whole =
            thread::Builder::new().spawn(check).map_err(|e| Error::Internal(format!("a thread: {e}")))?;
        let (at, frame, images) = (0, Vec::new(), Vec::new());
        Ok(ShardCheck { path: path.into(), entries, version, at, frame, reader, images, chunks, whole })
    }

    /// Returns the results for the whole shard and for each image, after the last byte.
    pub(super) fn end(self) -> (Result<()>, Vec<(&'a Entry, Result<()>)>) {
        drop(self.chunks);
        let whole = self.whole.join();
        (whole.unwrap_or_else(|_| Err(Error::Internal("a thread panicked".into()))), self.images)
    }

    fn check(&mut self, entry: &Entry, length: u64) -> Result<()> {
        if entry.length > max_frame_len(length) {
            let why = format!("image {}: its frame is longer than it can need", entry.blake3);
            return Err(Error::integrity(&self.path, why));
        }
        self.reader.image(&self.path, &self.frame, &entry.frame, &entry.blake3, length).map(drop)
    }
}

impl Write for ShardCheck<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The other thread may have found a fault and stopped receiving.
        let _ = self.chunks.send(bytes.to_vec());
        let start = self.at;
        self.at += bytes.len() as u64;
        while let Some((&entry, rest)) = self.entries.split_first() {
            let end = entry.offset + entry.length;
            // A pack may serve several versions, and the images of others are not checked here.
            let length = self.version.length(&entry.blake3);
            let (from, to) = (entry.offset.max(start), end.min(self.at));
            if from < to && length.is_some_and(|length| entry.length <= max_frame_len(length)) {
                self.frame.extend_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
            }
            if end > self.at {
                break;
            }
            if let Some(length) = length {
                let checked = self.check(entry, length);
                self.images.push((entry, checked));
            }
            self.frame.clear();
            self.entries = rest;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the received chunks as a file.
struct Chunks {
    receiver: Receiver<Vec<u8>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Chunks {
    fn new(receiver: Receiver<Vec<u8>>) -> Self {
        Chunks { receiver, chunk: io::Cursor::default() }
    }
}

impl Read for Chunks {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.chunk.read(to)?;
            if read > 0 || to.is_empty() {
                return Ok(read);
            }
            match self.receiver.recv() {
                Ok(chunk) => self.chunk = io::Cursor::new(chunk),
                Err(_) => return Ok(0),
            }
        }
    }
}
