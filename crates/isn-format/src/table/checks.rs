//! Which parts of a table were found right.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

/// How often the parts of a table are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// When a part is first read.
    Once,
    /// At every read.
    Always,
}

/// How a table is checked.
pub(super) enum Checks {
    /// It was made here.
    Needless,
    /// A group of `B3SUMS`, and a piece of rows, when it is first read.
    Once {
        groups: Seen,
        pieces: Seen,
    },
    Always,
}

/// Which parts were found right: one bit for each.
pub(super) struct Seen(Vec<AtomicU8>);

impl Seen {
    pub(super) fn new(parts: usize) -> Self {
        Seen((0..parts.div_ceil(8)).map(|_| AtomicU8::new(0)).collect())
    }

    pub(super) fn has(&self, mut parts: Range<usize>) -> bool {
        parts.all(|part| self.0[part / 8].load(Ordering::Relaxed) & (1 << (part % 8)) != 0)
    }

    pub(super) fn add(&self, parts: Range<usize>) {
        parts.for_each(|part| {
            self.0[part / 8].fetch_or(1 << (part % 8), Ordering::Relaxed);
        });
    }
}
