//! One file a verb: what the command line offers, without its printing.

pub mod demo;
