//! The streams of HTTP/2, each under a watch of its own. A client says for each how much it takes, and may take nothing
//! for ever while it keeps the connection busy with pings: what the socket moves says nothing of a stream.
//!
//! hyper hands bytes to `h2`, which keeps them until the client takes them. So an [`Answer`] gives what its body has at a
//! time in short pieces, and reads on only when all but the last have left. As long as a client lacks anything, it counts
//! against the client's share. [`Streams`] runs them, and drops one that has not moved for the idle timeout, by which `h2`
//! resets it. What has been given to its end is `h2`'s alone: who does not take that in time loses the connection.

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

/// The longest piece, in bytes: what a client has to take within the idle timeout.
const PIECE: usize = 16 << 10;
/// Of so many pieces on their way the next ones are read, so that a client that takes them need not wait.
const FEW: usize = 1;

tokio::task_local! {
    /// The stream that is being served by this task.
    static FLOW: Arc<Flow>;
}

/// What is known of a stream.
#[derive(Debug, Default)]
pub(super) struct Flow {
    activity: Arc<Activity>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when the client has to take something; `None` where it has to wait.
    waits: Option<Instant>,
    /// How many pieces have not left.
    pieces: usize,
    /// Until all has left.
    permit: Option<AnswerPermit>,
    waker: Option<Waker>,
}

impl Flow {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns once the client has not moved for so long.
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

    /// Whether it is done but for what its client has not taken for so long.
    pub(super) fn has_stalled(&self, idle: Duration) -> bool {
        self.with(|state| state.pieces > 0 && state.waits.is_some_and(|since| since.elapsed() >= idle))
    }

    /// Ready when hardly a piece waits to leave.
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

/// A piece on its way; `h2` drops it when it has left.
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

/// What hyper runs the streams of a connection with.
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

/// The body of an answer, which counts against its client's share until it has left.
pub(super) struct Answer {
    body: Body,
    /// What comes next of a piece of the body.
    rest: Bytes,
    /// In HTTP/2.
    flow: Option<Arc<Flow>>,
    /// Not in HTTP/2.
    _permit: Option<AnswerPermit>,
}

impl Answer {
    /// Made where the request is served. From now on the client has to take something.
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
            // Reading is the server's affair.
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
        // Asked for before the first piece.
        self.body.size_hint()
    }
}
