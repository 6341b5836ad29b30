//! `isn audit …`: what a curator should look at. It ranks, and never removes anything.

pub mod features;
pub mod labels;
pub mod subject;
