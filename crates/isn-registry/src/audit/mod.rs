//! The computations of audits: pure functions of bytes and numbers, the same on every machine, without files
//! or a terminal.
//!
//! **Pixels.** Decoding an image once ([`look`]) gives all that is needed: its [`health`], and a
//! [`mod@print`] of a [`grid`] of luminance without borders ([`trim`]): hashes ([`phash`]) and a thumbnail.
//! [`duplicates`] finds pairs of near hashes without comparing all with all, and [`similar`] confirms them on
//! pixels. [`resolution`] tells how much an accuracy on a number of images can tell.
//!
//! **Labels.** [`labels`] is confident learning on predicted probabilities, which come from a file ([`npy`],
//! [`table`]) or from [`learn`] on embeddings from a file, a model or [`pixels`]. [`npz`] are several arrays
//! in a file, in which studies publish what people said.

pub mod duplicates;
pub mod grid;
pub mod health;
pub mod labels;
pub mod learn;
pub mod look;
pub mod matrix;
pub mod npy;
pub mod npz;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod phash;
pub mod pixels;
pub mod print;
pub mod resolution;
pub mod similar;
pub mod table;
pub mod trim;

#[cfg(test)]
mod tests;
