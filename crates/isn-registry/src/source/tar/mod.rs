//! Tar archives read in place: what is in them and where, found by their headers alone.

mod archive;
mod index;
pub mod walk;

pub(super) use archive::Archive;
pub use index::Indexes;

#[cfg(test)]
mod tests;
