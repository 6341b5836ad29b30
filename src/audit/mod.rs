//! What an audit computes of images, counts and hashes that it is given: pure, the same on every machine.
//!
//! One look at an image's pixels ([`look`]) gives all that the audits of pixels need: a [`grid`] of luminance, its
//! [`phash`] and what [`health`] says. [`duplicates`] finds pairs of near hashes without comparing all with all,
//! [`similar`] confirms them on pixels; [`resolution`] says what an accuracy on so many images can tell.

pub mod duplicates;
pub mod grid;
pub mod health;
pub mod look;
pub mod phash;
pub mod resolution;
pub mod similar;
