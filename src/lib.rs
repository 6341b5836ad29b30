//! `isn`: a registry and a client for exact versions of image-classification datasets.

pub mod cli;
pub mod dataset_ref;
pub mod digest;
pub mod error;
pub mod key;
pub mod progress;
pub mod rel_path;
pub mod release;
pub mod trust;
