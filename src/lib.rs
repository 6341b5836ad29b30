//! `isn`: a registry and a client for exact versions of image-classification datasets.

pub mod class;
pub mod cli;
pub mod corrections;
pub mod dataset_ref;
pub mod digest;
pub mod error;
pub mod imaging;
pub mod plan;
pub mod progress;
pub mod recipe;
pub mod rel_path;
pub mod source;
pub mod split;
