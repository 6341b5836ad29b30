//! [`Watched`]: a connection's socket, which counts bytes and gives up a client that neither asks nor takes anything.

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

/// The least that has to move within the idle timeout, in bytes: who takes less holds a place for nothing.
const LEAST_PER_PERIOD: u64 = 1 << 10;
/// So many ended streams are remembered before those are looked for that nobody lacks anything of.
const MAX_ENDED: usize = 64;

/// What a connection's requests and its socket know of each other.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests, and in HTTP/2 what moved on a stream.
    progress: AtomicU64,
    working: AtomicUsize,
    is_http_2: AtomicBool,
    /// Streams that are done but for what their client has to take.
    ended: Mutex<Vec<Weak<Flow>>>,
}

/// While it is there, the server has to be waited for, not the client.
pub(super) struct Working(Arc<Activity>);

impl Activity {
    /// A request has come.
    pub(super) fn request(&self, version: Version) {
        self.is_http_2.store(version == Version::HTTP_2, Ordering::Relaxed);
        self.progress();
    }

    /// Something of a request or an answer has come or gone.
    pub(super) fn progress(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// All of a stream has been given to HTTP.
    pub(super) fn has_ended(&self, flow: &Arc<Flow>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= MAX_ENDED {
            ended.retain(|flow| flow.strong_count() > 0);
        }
        ended.push(Arc::downgrade(flow));
    }

    /// Whether of one of those something has waited for so long.
    fn has_stalled(&self, idle: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().filter_map(Weak::upgrade).any(|flow| flow.has_stalled(idle))
    }

    /// The server does something that takes long.
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

/// A socket under watch.
pub(super) struct Watched {
    stream: TcpStream,
    metrics: Arc<Metrics>,
    activity: Arc<Activity>,
    lane: Arc<Lane>,
    idle: Duration,
    period: Pin<Box<Sleep>>,
    /// In this period.
    moved: u64,
    /// What had been done at its start.
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

    /// Called whenever there is nothing to do but wait: an error if that has lasted too long.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        while self.period.as_mut().poll(cx).is_ready() {
            let progress = self.activity.progress.load(Ordering::Relaxed);
            let is_working = self.activity.working.load(Ordering::Relaxed) > 0;
            if self.activity.has_stalled(self.idle) {
                self.metrics.stalled.add(1);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            // Bytes alone are nothing where they may be pings.
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
