//! [`Watched`]: the socket of a connection. It counts bytes, and drops a client that neither asks for nor
//! accepts anything.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::direct::{Lane, is_stand_in};
use super::metrics::Metrics;
use super::streams::Flow;

/// The minimum number of bytes to move within the idle timeout: a client that accepts less occupies a
/// connection for nothing.
const LEAST_PER_PERIOD: u64 = 1 << 10;
/// How many ended streams to remember before those are dropped whose clients have everything.
const MAX_ENDED: usize = 64;

/// What the requests of a connection and its socket know about each other.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Counts requests and, in HTTP/2, what moved on a stream.
    progress: AtomicU64,
    working: AtomicUsize,
    is_http_2: AtomicBool,
    /// Streams that have ended, except for what their clients still have to accept.
    ended: Mutex<Vec<Weak<Flow>>>,
}

/// While this exists, the connection waits for the server, not for the client.
pub(super) struct Working(Arc<Activity>);

impl Activity {
    /// Records a request.
    pub(super) fn request(&self, version: Version) {
        self.is_http_2.store(version == Version::HTTP_2, Ordering::Relaxed);
        self.progress();
    }

    /// Records that something of a request or a response has arrived or left.
    pub(super) fn progress(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that HTTP has received all of a stream.
    pub(super) fn has_ended(&self, flow: &Arc<Flow>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= MAX_ENDED {
            ended.retain(|flow| flow.strong_count() > 0);
        }
        ended.push(Arc::downgrade(flow));
    }

    /// Whether the client of an ended stream has accepted nothing for this long.
    fn has_stalled(&self, idle: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().filter_map(Weak::upgrade).any(|flow| flow.has_stalled(idle))
    }

    /// Records that the server is doing something that takes long.
    pub(super) fn working(self: &Arc<Self>) -> Working {
        self.working.fetch_add(1, Ordering::Relaxed);
        Working(self.clone())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The socket of a connection.
pub(super) struct Watched {
    stream: TcpStream,
    metrics: Arc<Metrics>,
    activity: Arc<Activity>,
    lane: Arc<Lane>,
    idle: Duration,
    period: Pin<Box<Sleep>>,
    /// The number of bytes moved in this period.
    moved: u64,
    /// The progress at the start of this period.
    progress: u64,
}

impl Watched {
    pub(super) fn new(
        stream: TcpStream,
        metrics: Arc<Metrics>,
        activity: Arc<Activity>,
        lane: Arc<Lane>,
        idle: Duration,
    ) -> Self {
        let period = Box::pin(sleep(idle));
        Watched { stream, metrics, activity, lane, idle, period, moved: 0, progress: 0 }
    }

    /// Called whenever there is nothing to do but wait; fails if that has lasted too long.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        while self.period.as_mut().poll(cx).is_ready() {
            let progress = self.activity.progress.load(Ordering::Relaxed);
            let is_working = self.activity.working.load(Ordering::Relaxed) > 0;
            if self.activity.has_stalled(self.idle) {
                self.metrics.stalled.add(1);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            // In HTTP/2, bytes alone prove nothing: they may be pings.
            let may_ping = progress == 0 || self.activity.is_http_2.load(Ordering::Relaxed);
            if progress == self.progress && !is_working && (may_ping || self.moved < LEAST_PER_PERIOD) {
                self.metrics.timed_out.add(1);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            (self.moved, self.progress) = (0, progress);
            let end = Instant::now() + self.idle;
            self.period.as_mut().reset(end);
        }
        Poll::Pending
    }

    fn wrote(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if polled.is_pending() {
            return self.wait(cx);
        }
        if let Poll::Ready(Ok(written)) = polled {
            self.moved += written as u64;
            self.metrics.sent.add(written as u64);
        }
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_pending() {
            return self.wait(cx);
        }
        ready!(polled)?;
        let read = (buffer.filled().len() - before) as u64;
        self.moved += read;
        self.metrics.received.add(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = if is_stand_in(bytes) {
            self.lane.poll_send(cx, &self.stream, bytes.len())
        } else {
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        };
        self.wrote(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let from = slices.iter().position(|slice| !slice.is_empty()).unwrap_or(slices.len());
        let slices = &slices[from..];
        let until = slices.iter().position(|slice| is_stand_in(slice)).unwrap_or(slices.len());
        let polled = match slices.first() {
            Some(first) if until == 0 => self.lane.poll_send(cx, &self.stream, first.len()),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..until]),
        };
        self.wrote(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
