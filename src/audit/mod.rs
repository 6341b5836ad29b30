//! What an audit computes: pure functions of bytes and numbers, without files and without a terminal.

pub mod labels;
pub mod learn;
pub mod matrix;
pub mod npy;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod pixels;
pub mod table;
