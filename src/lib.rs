//! `isn`: a registry and a client for exact versions of image-classification datasets.

pub mod cli;
pub mod dataset_ref;
pub mod demo;
pub mod digest;
pub mod error;
pub mod ops;
pub mod progress;
pub mod rel_path;
