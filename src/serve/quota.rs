//! Limits how many entries a token may add to the log in a day. An entry stays for ever, and every reader of
//! the log fetches it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The length of a token's day, which begins with its first entry after the last day has ended.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The number of entries that each token has added in its present day, since the server was started.
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

    /// Returns how many entries a token may add now. Only one submission of a token is checked at a time.
    pub(super) fn left(&self, holder: &str) -> usize {
        let added = self.lock().get(holder).map_or(0, |(_, added)| *added);
        self.most.saturating_sub(added)
    }

    /// Counts the entries that a token has added.
    pub(super) fn take(&self, holder: &str, entries: usize) {
        self.lock().entry(holder.into()).or_insert((Instant::now(), 0)).1 += entries;
    }
}
