//! The minimum rate of transfers. A server that sends a few bytes now and then is as useless as one that
//! sends nothing, and would keep the client from asking another one for ever.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{BoxFuture, Chunks};
use isn_format::error::{Error, NetworkKind, Result};

/// The minimum rate, in bytes a second. It applies to a body over the time that a server may stay silent, and
/// to what of a file arrived before its connection broke.
pub(crate) const LEAST_RATE: u64 = 1 << 10;

/// Fewer new bytes than this are no progress, however fast they came: a connection for each byte gets
/// nowhere.
const PROGRESS: u64 = 256;

/// The minimum number of bytes in this time.
pub(crate) fn least(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).saturating_mul(LEAST_RATE) / 1000
}

/// Counts the failures at one location since it last made progress.
pub(crate) struct Patience {
    most: u32,
    failures: u32,
    begun: Instant,
}

impl Patience {
    /// Allows fewer than `most` failures in a row.
    pub(crate) fn new(most: u32) -> Self {
        Patience { most, failures: 0, begun: Instant::now() }
    }

    /// Counts one more failure, after `received` bytes since the last one; returns `false` if there were too
    /// many. Bytes below the minimum rate are no progress: otherwise a connection that always breaks could go
    /// on for ever.
    pub(crate) fn after(&mut self, received: u64) -> bool {
        let is_progress = received >= least(self.begun.elapsed()).max(PROGRESS);
        self.failures = if is_progress { 0 } else { self.failures + 1 };
        self.begun = Instant::now();
        self.failures < self.most
    }

    /// The number of failures since the last progress.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// A body that must keep to the minimum rate.
pub(super) struct Paced<C> {
    chunks: C,
    url: String,
    window: Duration,
    waited: Duration,
    received: u64,
}

impl<C: Chunks> Paced<C> {
    /// A body from `url`, whose rate is checked after each `window` of waiting.
    pub(super) fn new(chunks: C, url: String, window: Duration) -> Self {
        Paced { chunks, url, window, waited: Duration::ZERO, received: 0 }
    }
}

impl<C: Chunks> Chunks for Paced<C> {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(async move {
            let begun = Instant::now();
            let chunk = self.chunks.next().await?;
            // Only waiting for the server counts, since the receiver may be slow, too.
            self.waited += begun.elapsed();
            self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            if self.waited >= self.window {
                if self.received < least(self.waited) {
                    let (received, seconds) = (self.received, self.waited.as_secs());
                    let why = format!("sent {received} bytes in {seconds} seconds: too slow");
                    return Err(Error::network(NetworkKind::Timeout, self.url.clone(), why));
                }
                (self.waited, self.received) = (Duration::ZERO, 0);
            }
            Ok(chunk)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::runtime;

    /// Sends this many bytes each time, after a pause.
    struct Dripping(usize, Duration);

    impl Chunks for Dripping {
        fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
            Box::pin(async move {
                tokio::time::sleep(self.1).await;
                Ok(Some(Bytes::from(vec![0; self.0])))
            })
        }
    }

    #[test]
    fn a_body_is_held_against_the_rate_over_every_window() {
        let pause = Duration::from_millis(20);
        let ended = |bytes| {
            let mut body = Paced::new(Dripping(bytes, pause), "u".into(), 3 * pause);
            let read = async {
                for _ in 0..10 {
                    body.next().await?;
                }
                Ok::<_, Error>(())
            };
            runtime().unwrap().block_on(read)
        };
        let error = ended(1).unwrap_err();
        assert!(matches!(&error, Error::Network { why, .. } if why.contains("too slow")), "{error}");
        // A busy machine makes pauses longer, but this is fast enough on any.
        ended(1 << 20).unwrap();
    }

    #[test]
    fn what_came_too_slowly_is_a_failure_like_nothing() {
        let mut patience = Patience::new(3);
        assert!(patience.after(0) && patience.after(PROGRESS - 1));
        assert!(patience.after(u64::MAX) && patience.failures() == 0);
        // After some time, the same number of bytes is too slow.
        patience.begun -= Duration::from_secs(10);
        assert!(patience.after(5000) && patience.failures() == 1);
        patience.begun -= Duration::from_secs(10);
        assert!(patience.after(20_000) && patience.failures() == 0);
        assert!(patience.after(0) && patience.after(0) && !patience.after(0));
    }
}
