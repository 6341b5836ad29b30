//! Tar archives read in place: what is in them and where, found by their headers alone.

mod archive;
pub mod index;
pub mod walk;

pub(super) use archive::Archive;

#[cfg(test)]
mod tests;
