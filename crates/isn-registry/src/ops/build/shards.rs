//! [`Shards`]: writes the shards of a build on threads of their own, so that the thread that puts the images
//! in order neither hashes nor writes.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tempfile::NamedTempFile;

use crate::files;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::index::Row;
use isn_format::object::ObjectRef;
use isn_format::pack::Entry;
use isn_format::shard::{FrameWriter, ShardWriter, TARGET_LEN};

/// How many bytes of frames are passed on to a shard's thread at once, so that it is not woken for each, and
/// how many times as many may wait for it.
const AT_ONCE: usize = 256 << 10;
const WAITING: usize = 4;

/// The frame of an image.
pub(super) struct Frame {
    /// The BLAKE3 of the image.
    pub(super) image: Digest,
    /// The zstd frame.
    pub(super) bytes: Vec<u8>,
    /// The BLAKE3 of the frame.
    pub(super) blake3: Digest,
}

/// A shard that is written.
pub(super) struct Written {
    pub(super) file: NamedTempFile,
    pub(super) shard: ObjectRef,
    pub(super) entries: Vec<Entry>,
    /// The images of the plan up to here that are in no earlier shard's list.
    pub(super) rows: Vec<Row>,
}

/// A shard that is being written.
struct Writing {
    frames: SyncSender<Vec<Frame>>,
    /// Frames that are not passed on yet, and their length in bytes.
    pending: (Vec<Frame>, usize),
    thread: JoinHandle<Result<(NamedTempFile, ObjectRef, Vec<Entry>)>>,
    length: u64,
    rows: Vec<Row>,
}

impl Writing {
    fn begin(folder: &Path) -> Result<Self> {
        files::create_dir_all(folder)?;
        let (mut shard, place) = (ShardWriter::new(files::temp_file_in(folder)?), folder.to_path_buf());
        let (frames, received) = sync_channel::<Vec<Frame>>(WAITING);
        let write = move || {
            let failed = |e| Error::io("write in", &place)(e);
            for frame in received.into_iter().flatten() {
                shard.push_hashed(frame.image, &frame.bytes, frame.blake3).map_err(failed)?;
            }
            let mut end = FrameWriter::new().map_err(|e| Error::Internal(format!("zstd: {e}")))?;
            let (file, shard, entries) = shard.finish(&mut end).map_err(failed)?;
            file.as_file().sync_all().map_err(failed)?;
            Ok((file, shard, entries))
        };
        let thread =
            thread::Builder::new().spawn(write).map_err(|e| Error::Internal(format!("a thread: {e}")))?;
        Ok(Writing { frames, pending: (Vec::new(), 0), thread, length: 0, rows: Vec::new() })
    }

    /// Passes a frame on. Returns `false` if the thread has failed.
    fn push(&mut self, frame: Frame) -> bool {
        let length = frame.bytes.len();
        self.length += length as u64;
        self.pending.0.push(frame);
        self.pending.1 += length;
        self.pending.1 < AT_ONCE || self.pass_on()
    }

    fn pass_on(&mut self) -> bool {
        self.frames.send(std::mem::take(&mut self.pending).0).is_ok()
    }

    fn end(mut self) -> Result<Written> {
        // A thread that has failed says why.
        let _ = self.pass_on();
        drop(self.frames);
        let written = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.map(|(file, shard, entries)| Written { file, shard, entries, rows: self.rows })
    }
}

/// The shards of a build, in order.
pub(super) struct Shards {
    /// How many may be written at once.
    most: usize,
    current: Option<Writing>,
    /// Full, but perhaps not yet written.
    full: VecDeque<Writing>,
    /// Images that are in no shard of their own: they repeat earlier ones.
    repeated: Vec<Row>,
}

impl Shards {
    /// Creates shards for a build with so many threads: one thread writes what some sixteen make, and another
    /// waits for the disk meanwhile.
    pub(super) fn new(jobs: usize) -> Self {
        let most = 2 + jobs / 16;
        Shards { most, current: None, full: VecDeque::new(), repeated: Vec::new() }
    }

    /// Appends an image, with its frame unless an earlier image has the same. Returns a shard that is
    /// written, if there is one.
    pub(super) fn push(&mut self, folder: &Path, row: Row, frame: Option<Frame>) -> Result<Option<Written>> {
        let Some(frame) = frame else {
            self.current.as_mut().map_or(&mut self.repeated, |shard| &mut shard.rows).push(row);
            return Ok(None);
        };
        let mut shard = match self.current.take() {
            Some(shard) => shard,
            None => Writing { rows: std::mem::take(&mut self.repeated), ..Writing::begin(folder)? },
        };
        shard.rows.push(row);
        if !shard.push(frame) {
            return shard.end().map(Some);
        }
        match shard.length >= TARGET_LEN {
            true => self.full.push_back(shard),
            false => self.current = Some(shard),
        }
        match self.full.len() >= self.most {
            true => self.next(),
            false => Ok(None),
        }
    }

    fn next(&mut self) -> Result<Option<Written>> {
        self.full.pop_front().map(Writing::end).transpose()
    }

    /// Ends all shards. Returns the next that is written, until there is none.
    pub(super) fn finish(&mut self) -> Result<Option<Written>> {
        self.full.extend(self.current.take());
        self.next()
    }

    /// Returns the images at the end of the plan that are in no shard of their own.
    pub(super) fn take_repeated(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.repeated)
    }
}

/// Whoever removes the folder must not meet a thread that writes in it.
impl Drop for Shards {
    fn drop(&mut self) {
        for shard in self.current.take().into_iter().chain(self.full.drain(..)) {
            drop(shard.frames);
            let _ = shard.thread.join();
        }
    }
}
