//! What an audit computes: pure functions of bytes and numbers, the same on every machine, without files and without a
//! terminal.
//!
//! **Pixels.** One look at an image ([`look`]) gives all that is needed: a [`grid`] of luminance, its [`phash`] and what
//! [`health`] says. [`duplicates`] finds pairs of near hashes without comparing all with all, [`similar`] confirms them on
//! pixels; [`resolution`] says what an accuracy on so many images can tell.
//!
//! **Labels.** [`labels`] is confident learning on predicted probabilities, which come from a file ([`npy`], [`table`]) or from
//! [`learn`] on embeddings: a file's, a model's, or [`pixels`].

pub mod duplicates;
pub mod grid;
pub mod health;
pub mod labels;
pub mod learn;
pub mod look;
pub mod matrix;
pub mod npy;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod phash;
pub mod pixels;
pub mod resolution;
pub mod similar;
pub mod table;

#[cfg(test)]
mod tests;
