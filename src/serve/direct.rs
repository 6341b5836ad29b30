//! Sends a file from the kernel's page cache to the socket without a copy in this process (`sendfile`), which
//! is twice as fast, and costs no memory however slow the client is.
//!
//! hyper handles bytes, not files. So the body of a response gives it *stand-ins*: slices of one static
//! array, which HTTP/1 without TLS passes on to the socket unread. The socket recognises them by their
//! address, and sends what the [`Lane`] says that they stand for. If some version of hyper copies them
//! instead, `trial` notices before anything is sent, and [`Lane::push`] refuses the second piece.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The maximum length of a piece, in bytes.
pub(super) const PIECE: usize = 1 << 20;

/// Never written and never read, so it occupies addresses but no memory.
static STAND_IN: [u8; PIECE] = [0; PIECE];

/// Whether the system has `sendfile`.
pub(super) const IS_POSSIBLE: bool = cfg!(target_os = "linux");

/// What the stand-ins under way on a connection stand for, in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    due: Mutex<VecDeque<Due>>,
}

#[derive(Debug)]
struct Due {
    file: Arc<File>,
    offset: u64,
    left: usize,
}

impl Lane {
    /// Returns a stand-in for `length` bytes of a file, at most [`PIECE`].
    pub(super) fn push(&self, file: &Arc<File>, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        // When the next piece is asked for, the last bytes of the one before may still be waiting, but never
        // all of it.
        if due.iter().any(|due| Arc::ptr_eq(&due.file, file) && due.left == PIECE) {
            return Err(io::Error::other("the piece before was not sent"));
        }
        due.push_back(Due { file: file.clone(), offset, left: length });
        Ok(Bytes::from_static(&STAND_IN[..length]))
    }

    /// Sends as much of the next `length` bytes as the socket accepts.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        stream: &TcpStream,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_io(Interest::WRITABLE, || self.send(stream, length)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn send(&self, stream: &TcpStream, length: usize) -> io::Result<usize> {
        let mut queue = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let due = queue.front_mut().ok_or_else(|| io::Error::other("a stand-in that stands for nothing"))?;
        let count = length.min(due.left);
        let sent = rustix::fs::sendfile(stream, &*due.file, Some(&mut due.offset), count)?;
        if sent == 0 {
            // The file has become shorter.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        due.left -= sent;
        if due.left == 0 {
            queue.pop_front();
        }
        Ok(sent)
    }

    #[cfg(not(target_os = "linux"))]
    fn send(&self, _: &TcpStream, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether these bytes are a stand-in.
pub(super) fn is_stand_in(bytes: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
}
