//! Steps that several verbs share: appending statements to a log, fetching images from a registry, and the
//! checks before that.

pub(crate) mod images;
pub(crate) mod objects;
pub(crate) mod selection;
pub mod submit;
pub mod unsigned;
