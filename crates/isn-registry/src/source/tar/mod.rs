//! Tar archives read in place: their contents and offsets are found from the headers alone.

mod archive;
mod index;
pub mod walk;

pub(super) use archive::Archive;
pub(crate) use archive::MAX_INDEX;
pub use index::Indexes;

#[cfg(test)]
mod tests;
