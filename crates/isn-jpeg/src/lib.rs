//! zune-jpeg 0.5.15 with another Huffman decoder for sequential files: the same pixels, and the same errors,
//! in less time. README.md says what is changed. All of zune-jpeg's documentation holds.
#![allow(clippy::all, clippy::pedantic, clippy::disallowed_methods, rustdoc::all)]
#![cfg_attr(not(any(feature = "x86", feature = "neon")), forbid(unsafe_code))]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(feature = "portable_simd", feature(portable_simd))]
#![macro_use]
extern crate alloc;
extern crate core;

pub use zune_core;

pub use crate::components::SampleRatios;
pub use crate::decoder::{ImageInfo, JpegDecoder};
pub use crate::marker::Marker;
pub use crate::planes::part_channels;
#[rustfmt::skip]
mod bitstream;
#[rustfmt::skip]
mod color_convert;
#[rustfmt::skip]
mod components;
#[rustfmt::skip]
mod decoder;
#[rustfmt::skip]
pub mod errors;
mod fast;
#[rustfmt::skip]
mod headers;
#[rustfmt::skip]
mod huffman;
#[rustfmt::skip]
#[cfg(not(fuzzing))]
mod idct;
#[rustfmt::skip]
#[cfg(fuzzing)]
pub mod idct;
#[rustfmt::skip]
mod marker;
#[rustfmt::skip]
mod mcu;
#[rustfmt::skip]
mod mcu_prog;
#[rustfmt::skip]
mod misc;
mod planes;
#[rustfmt::skip]
mod unsafe_utils;
#[rustfmt::skip]
mod unsafe_utils_avx2;
#[rustfmt::skip]
mod unsafe_utils_neon;
#[rustfmt::skip]
mod upsampler;
#[rustfmt::skip]
mod worker;
