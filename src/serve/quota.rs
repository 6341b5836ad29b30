//! How many entries a token may add to the log in a day. An entry stays for ever, and every reader of the log has it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A day begins for each token with its first entry after the one before.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What each holder of a token has added in its day, since the server was started.
#[derive(Debug)]
pub(super) struct Entries {
    most: usize,
    added: Mutex<HashMap<String, (Instant, usize)>>,
}

impl Entries {
    pub(super) fn new(most: usize) -> Self {
        Entries { most, added: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, usize)>> {
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.retain(|_, (since, _)| since.elapsed() < DAY);
        added
    }

    /// How many a holder may add now. Of one token one submission is checked at a time.
    pub(super) fn left(&self, holder: &str) -> usize {
        let added = self.lock().get(holder).map_or(0, |(_, added)| *added);
        self.most.saturating_sub(added)
    }

    /// Counts what a holder has added.
    pub(super) fn take(&self, holder: &str, entries: usize) {
        self.lock().entry(holder.into()).or_insert((Instant::now(), 0)).1 += entries;
    }
}
