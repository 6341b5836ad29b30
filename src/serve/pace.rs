//! [`Paced`]: the body of a request, which the client must send at a minimum rate: an upload occupies a place
//! that others wait for.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};

use super::watched::Activity;

/// The minimum rate, in bytes a second, on average over the idle timeout.
pub(super) const LEAST_RATE: u64 = 1 << 10;

/// A body that is read piece by piece.
pub(super) struct Paced {
    body: BodyDataStream,
    activity: Arc<Activity>,
    window: Duration,
    /// How long to wait for the needed bytes; the time in which the server is busy does not count.
    left: Duration,
    /// The number of bytes that must arrive in that time.
    needed: u64,
}

/// Why a body did not arrive whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It arrived below the minimum rate.
    Slow,
    /// The client went away.
    Broken,
}

impl Paced {
    pub(super) fn new(body: Body, activity: Arc<Activity>, window: Duration) -> Self {
        Paced { body: body.into_data_stream(), activity, window, left: window, needed: needed(window) }
    }

    /// Returns the next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Stopped> {
        let begun = Instant::now();
        let Ok(came) = timeout(self.left, self.body.next()).await else { return Err(Stopped::Slow) };
        self.left = self.left.saturating_sub(begun.elapsed());
        let piece = came.transpose().map_err(|_| Stopped::Broken)?;
        self.activity.progress();
        self.needed = self.needed.saturating_sub(piece.as_ref().map_or(0, Bytes::len) as u64);
        if self.needed == 0 {
            (self.left, self.needed) = (self.window, needed(self.window));
        }
        Ok(piece)
    }

    /// Returns the whole body; `None` if it is longer than `cap`.
    pub(super) async fn whole(mut self, cap: usize) -> Result<Option<Vec<u8>>, Stopped> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            if bytes.len() + piece.len() > cap {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }
}

fn needed(window: Duration) -> u64 {
    LEAST_RATE.saturating_mul(window.as_secs()).max(1)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// Sends pieces of this many bytes, each after a pause.
    fn body(pieces: usize, length: usize, pause: Duration) -> Paced {
        let pieces = stream::unfold(pieces, move |left| async move {
            tokio::time::sleep(pause).await;
            (left > 0).then(|| (Ok::<_, std::io::Error>(Bytes::from(vec![0; length])), left - 1))
        });
        Paced::new(Body::from_stream(pieces), Arc::default(), Duration::from_millis(1500))
    }

    #[test]
    fn a_body_that_drips_is_given_up_and_a_slow_one_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pause = Duration::from_millis(100);
            assert_eq!(body(1000, 6, pause).whole(1 << 20).await, Err(Stopped::Slow));
            assert_eq!(body(20, 2000, pause).whole(1 << 20).await.unwrap().unwrap().len(), 40_000);
            assert_eq!(body(20, 2000, pause).whole(39_999).await, Ok(None));
        });
    }
}
