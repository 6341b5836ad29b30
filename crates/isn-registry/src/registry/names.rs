//! The index of names of a registry's log: which of its entries are about a name. It follows from the
//! entries, so whoever has them makes the same files; the log's key signs which they are.

use super::store::Store;
use super::{Registry, layout};
use isn_format::error::{Error, Result};
use isn_format::log::names::{File, MAX_NOTE, Place, Root, SignedNames, Subject, grow};
use isn_format::log::{Replica, TILE_WIDTH};

/// The number of entries from which on a log gets an index: a shorter one is read as a whole.
pub(crate) const LEAST: u64 = 1000;

/// Why an index is refused that the log's key has signed.
pub(crate) const OTHER: &str = "was signed by the log's key and is not the index of the log's entries: whoever \
     signed it hides entries, or has a defect. Keep it as evidence, and tell the registry's operator";

/// What the entries of a log are about, as they are read.
pub(crate) struct Filing {
    next: u64,
    /// Where the next entry begins in its bundle.
    offset: u64,
    filed: Vec<(Subject, Place)>,
}

impl Filing {
    /// Before the first entry of a bundle.
    pub(crate) fn from_bundle(index: u64) -> Self {
        Filing { next: index * TILE_WIDTH, offset: 0, filed: Vec::new() }
    }

    /// Files the next entry.
    pub(crate) fn push(&mut self, entry: &[u8]) {
        // An entry's length is two bytes in its bundle, and so is that before it; a bundle has 256.
        let place = Place { index: self.next, offset: (self.offset + 2) as u32, length: entry.len() as u16 };
        self.filed.extend(Subject::of(entry).map(|subject| (subject, place)));
        self.next += 1;
        let is_full = self.next.is_multiple_of(TILE_WIDTH);
        self.offset = if is_full { 0 } else { self.offset + 2 + entry.len() as u64 };
    }

    /// Returns what the entries with these numbers are about.
    pub(crate) fn between(&self, first: u64, end: u64) -> impl Iterator<Item = (Subject, Place)> {
        let is_between = move |place: &Place| (first..end).contains(&place.index);
        self.filed.iter().filter(move |(_, place)| is_between(place)).cloned()
    }

    /// Makes all files of the index of a log of `size` entries, all of which were filed. Calls `file` with
    /// each, the first one last.
    ///
    /// # Errors
    /// Those of `file`.
    pub(crate) fn make(&self, size: u64, file: &mut dyn FnMut(File, Vec<u8>) -> Result<()>) -> Result<Root> {
        let mut none = |_: &File| Err(Error::Internal("a new index reads no file".into()));
        grow(None, self.between(0, size), &mut none, file)
    }
}

/// Returns the root that a note gives, if it is of the log of `replica`, or of an earlier state of it.
///
/// # Errors
/// [`Error::Trust`] if it is not.
pub(crate) fn root_in(note: &SignedNames, replica: &Replica, what: &str) -> Result<Root> {
    let size = note.claimed_size();
    if size > replica.size() {
        let why = format!("is of {size} entries, and the log has {}", replica.size());
        return Err(Error::trust(what, why));
    }
    note.verify(&replica.history().signer_at(size), replica.tree().root_at(size)?)
}

impl Registry {
    /// Returns the note of the index of names, not verified; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Trust`] if it is not a note; also fails if it cannot be read.
    pub(crate) async fn names_note(&self) -> Result<Option<SignedNames>> {
        let what = self.place(layout::NAMES_NOTE);
        let read = self.read(layout::NAMES_NOTE, MAX_NOTE).await.map_err(|e| match e {
            // No damage makes it too long.
            Error::Integrity { what, why, .. } => Error::Trust { what, why },
            other => other,
        })?;
        read.map(|bytes| SignedNames::parse(&what, bytes)).transpose()
    }
}

/// Removes all but the newest `kept` states of a file of the index, each of which is named by a number.
/// Readers who began with an earlier state may still need them.
pub(crate) fn tidy(store: &dyn Store, file: &File, kept: usize) -> Result<()> {
    let Some(folder) = layout::states_of(file) else { return Ok(()) };
    let number = |path: &str| {
        let number: u64 = path.rsplit('/').next()?.parse().ok()?;
        // Only names that isn writes: anything else there is somebody else's.
        (path == format!("{folder}/{number}")).then_some(number)
    };
    let mut numbers: Vec<u64> = store.list(&folder)?.iter().filter_map(|(path, _)| number(path)).collect();
    numbers.sort();
    let old = numbers.len().saturating_sub(kept);
    numbers[..old].iter().try_for_each(|number| store.remove(&format!("{folder}/{number}")))
}
