//! [`FileBody`]: a part of a file, read only as fast as the client accepts it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::direct::{self, Lane};
use super::limits::FilePermit;

/// How many bytes to read at a time where they must be copied: all the memory that a slow client occupies.
const PIECE: usize = 64 << 10;

/// The bytes of a part of a file.
pub(super) struct FileBody {
    file: Arc<File>,
    left: Range<u64>,
    /// The lane for stand-ins, if they may be used instead of bytes.
    lane: Option<Arc<Lane>>,
    /// A piece that is being read from the disk.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    _permit: Option<FilePermit>,
}

impl FileBody {
    /// A body for `part` of a file. With a `lane`, it must go to that connection, over HTTP/1 and without
    /// TLS.
    pub(super) fn new(
        file: File,
        part: Range<u64>,
        lane: Option<Arc<Lane>>,
        permit: Option<FilePermit>,
    ) -> Self {
        FileBody { file: Arc::new(file), left: part, lane, reading: None, _permit: permit }
    }

    /// Returns the next piece, if that does not need the disk.
    fn at_hand(&self, length: usize) -> Option<io::Result<Bytes>> {
        let offset = self.left.start;
        match &self.lane {
            None => read_cached(&self.file, offset, length).map(|piece| Ok(piece.into())),
            Some(lane) => {
                let last = offset + length as u64 - 1;
                let is_cached = [offset, last].iter().all(|at| read_cached(&self.file, *at, 1).is_some());
                is_cached.then(|| lane.push(&self.file, offset, length))
            }
        }
    }

    /// Reads the next piece on a thread that may block.
    fn start_reading(&self, length: usize) -> JoinHandle<io::Result<Bytes>> {
        let (file, offset, lane) = (self.file.clone(), self.left.start, self.lane.clone());
        tokio::task::spawn_blocking(move || {
            let bytes = read_at(&file, offset, length)?;
            match lane {
                // What was read is in the page cache now.
                Some(lane) if bytes.len() == length => lane.push(&file, offset, length),
                _ => Ok(bytes.into()),
            }
        })
    }

    fn give(&mut self, piece: io::Result<Bytes>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match piece {
            Ok(piece) if piece.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            piece => piece,
        };
        self.left.start += piece.as_ref().map_or(0, Bytes::len) as u64;
        Poll::Ready(Some(piece.map(Frame::data)))
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
            let most = if self.lane.is_some() { direct::PIECE } else { PIECE };
            let length = usize::try_from(self.left.end - self.left.start).unwrap_or(most).min(most);
            if let Some(piece) = self.at_hand(length) {
                return self.give(piece);
            }
            self.reading = Some(self.start_reading(length));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other);
        self.reading = None;
        self.give(read.flatten())
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.end - self.left.start)
    }
}

/// Reads what is in the page cache, without ever waiting for a disk.
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
    let mut piece = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(offset))?;
    file.take(length as u64).read_to_end(&mut piece)?;
    Ok(piece)
}
