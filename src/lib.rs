//! The command `isn`: a registry and a client for exact versions of image-classification datasets. One hash
//! pins every image, label and split.
//!
//! What a version is and how it is signed is [`isn_format`]'s; how its pixels are made [`isn_pixels`]'; what
//! finds, fetches, checks, keeps and makes versions is [`isn_registry`]'s. Here are arguments, output, exit
//! codes, the server and the page of `isn review`. `docs/architecture.md` follows a build, a publish and a
//! pull through them.

pub mod cli;
#[cfg(feature = "serve")]
pub mod review;
#[cfg(feature = "serve")]
pub mod serve;
