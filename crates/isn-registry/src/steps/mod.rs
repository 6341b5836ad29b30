//! Steps that several verbs share: appending statements to a log, fetching images from a registry, the checks
//! before that, and making a folder.

pub(crate) mod attestations;
pub(crate) mod images;
pub(crate) mod new_folder;
pub(crate) mod objects;
pub(crate) mod selection;
pub mod submit;
pub mod unsigned;
