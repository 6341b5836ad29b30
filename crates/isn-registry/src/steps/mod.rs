//! What several verbs do on their way: statements into a log, images out of a registry, and what is checked before.

pub(crate) mod images;
pub(crate) mod objects;
pub(crate) mod selection;
pub mod submit;
pub mod unsigned;
