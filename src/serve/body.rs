//! [`FileBody`]: a part of a file, read no faster than the client takes it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

/// The first and smallest piece, in bytes: all that a slow client holds of the server's memory.
const SMALLEST: usize = 16 << 10;
/// The largest piece: half of a usual second-level cache, from which the kernel then copies it to the socket.
const LARGEST: usize = 256 << 10;
/// Who takes a piece in less time gets a larger one.
const QUICK: Duration = Duration::from_millis(20);

/// The bytes of a part of a file.
pub(super) struct FileBody {
    file: Arc<File>,
    left: Range<u64>,
    piece: usize,
    given: Instant,
    /// A piece that comes from the disk.
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
    _permit: OwnedSemaphorePermit,
}

impl FileBody {
    pub(super) fn new(file: File, part: Range<u64>, permit: OwnedSemaphorePermit) -> Self {
        FileBody {
            file: Arc::new(file),
            left: part,
            piece: SMALLEST / 2,
            given: Instant::now(),
            reading: None,
            _permit: permit,
        }
    }

    /// How much to read next: more and more for who takes it at once.
    fn next_piece(&mut self) -> usize {
        let is_quick = self.given.elapsed() < QUICK;
        self.piece = if is_quick { (self.piece * 2).min(LARGEST) } else { SMALLEST };
        self.piece.min(usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX))
    }

    fn give(&mut self, piece: Vec<u8>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if piece.is_empty() {
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        self.left.start += piece.len() as u64;
        self.given = Instant::now();
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            let (length, offset) = (self.next_piece(), self.left.start);
            if let Some(piece) = read_cached(&self.file, offset, length) {
                return self.give(piece);
            }
            let file = self.file.clone();
            self.reading = Some(tokio::task::spawn_blocking(move || read_at(&file, offset, length)));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other);
        self.reading = None;
        match read.flatten() {
            Ok(piece) => self.give(piece),
            Err(e) => Poll::Ready(Some(Err(e))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.end - self.left.start)
    }
}

/// Reads what the operating system has in memory: that never waits for a disk.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut piece = vec![0; length];
    let read = preadv2(file, &mut [io::IoSliceMut::new(&mut piece)], offset, ReadWriteFlags::NOWAIT).ok()?;
    piece.truncate(read);
    (read > 0).then_some(piece)
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: u64, _: usize) -> Option<Vec<u8>> {
    None
}

fn read_at(mut file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(length as u64).read_to_end(&mut piece)?;
    Ok(piece)
}
