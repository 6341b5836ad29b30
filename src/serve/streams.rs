//! Watches each stream of HTTP/2. A client says for each how much it accepts, and may accept nothing for ever
//! while it keeps the connection busy with pings: what the socket moves says nothing about a stream.
//!
//! hyper hands bytes to `h2`, which keeps them until the client accepts them. So an [`Answer`] passes on in
//! short pieces what its body returns at a time, and reads on only when all but the last have left. As long
//! as anything is left to send, it counts against the client's share. [`Streams`] runs the streams, and drops
//! one that has not moved for the idle timeout, which makes `h2` reset it. Once a stream is passed on
//! completely, only `h2` knows it: a client that does not accept the rest in time loses the connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};

use super::limits::AnswerPermit;
use super::metrics::Metrics;
use super::watched::Activity;

/// The maximum length of a piece, in bytes, which a client must accept within the idle timeout.
const PIECE: usize = 16 << 10;
/// With at most this many pieces under way, the next ones are read, so that a fast client need not wait.
const FEW: usize = 1;

tokio::task_local! {
    /// The stream that this task serves.
    static FLOW: Arc<Flow>;
}

/// The state of a stream.
#[derive(Debug, Default)]
pub(super) struct Flow {
    activity: Arc<Activity>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when the server has waited for the client; `None` while the client waits for the server.
    waits: Option<Instant>,
    /// How many pieces have not left yet.
    pieces: usize,
    /// Held until everything has left.
    permit: Option<AnswerPermit>,
    waker: Option<Waker>,
}

impl Flow {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns once the client has not moved for this long.
    async fn stalled(&self, idle: Duration) {
        loop {
            let now = Instant::now();
            let end = self.with(|state| state.waits).unwrap_or(now) + idle;
            if end <= now {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Whether the stream has ended, but its client has accepted nothing of the rest for this long.
    pub(super) fn has_stalled(&self, idle: Duration) -> bool {
        self.with(|state| state.pieces > 0 && state.waits.is_some_and(|since| since.elapsed() >= idle))
    }

    /// Ready when at most [`FEW`] pieces wait to leave.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with(|state| {
            if state.pieces <= FEW {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

/// A piece under way; `h2` drops it when it has left.
struct Piece {
    bytes: Bytes,
    flow: Arc<Flow>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let waker = self.flow.with(|state| {
            (state.pieces, state.waits) = (state.pieces.saturating_sub(1), Some(Instant::now()));
            if state.pieces <= FEW { state.waker.take() } else { None }
        });
        self.flow.activity.progress();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The executor with which hyper runs the streams of a connection.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) activity: Arc<Activity>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) idle: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let Streams { activity, metrics, idle } = self.clone();
        let flow = Arc::new(Flow { activity, ..Flow::default() });
        tokio::spawn(FLOW.scope(flow.clone(), async move {
            tokio::select! {
                biased;
                () = stream => flow.activity.has_ended(&flow),
                () = flow.stalled(idle) => metrics.stalled.add(1),
            }
        }));
    }
}

/// The body of a response, which counts against its client's share until it has left.
pub(super) struct Answer {
    body: Body,
    /// The rest of what the body returned last.
    rest: Bytes,
    /// The stream, in HTTP/2.
    flow: Option<Arc<Flow>>,
    /// The permit, in HTTP/1.
    _permit: Option<AnswerPermit>,
}

impl Answer {
    /// To be called in the task that serves the request. From now on the server waits for the client.
    pub(super) fn new(body: Body, permit: AnswerPermit) -> Self {
        let (flow, mut permit) = (FLOW.try_with(Arc::clone).ok(), Some(permit));
        if let Some(flow) = &flow {
            flow.with(|state| (state.waits, state.permit) = (Some(Instant::now()), permit.take()));
        }
        Answer { body, rest: Bytes::new(), flow, _permit: permit }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(flow) = self.flow.clone() else { return Pin::new(&mut self.body).poll_frame(cx) };
        if self.rest.is_empty() {
            ready!(flow.poll_room(cx));
            // While the server reads, the client waits.
            flow.with(|state| state.waits = None);
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(bytes))) => self.rest = bytes,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(PIECE);
        let bytes = self.rest.split_to(length);
        flow.with(|state| (state.pieces, state.waits) = (state.pieces + 1, Some(Instant::now())));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(Piece { bytes, flow })))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // hyper asks for this before the first piece.
        self.body.size_hint()
    }
}
