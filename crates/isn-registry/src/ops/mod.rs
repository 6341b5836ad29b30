//! The verbs, one file each. An operation takes what it needs as arguments, reports its progress to a
//! [`crate::progress::Progress`], and returns a report. It prints nothing and does not read the environment.

pub mod accept;
pub mod attest;
pub mod audit;
pub mod build;
pub mod cache;
pub mod cite;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod export;
pub mod fetch;
pub mod images;
pub mod info;
pub mod init;
pub mod ledger;
pub mod list;
pub mod load;
pub mod log;
pub mod mirror;
pub mod owner;
pub mod pairs;
pub mod publish;
pub mod pull;
pub mod recipe;
pub mod registry;
pub mod sign;
pub mod source;
pub mod standings;
pub mod sync;
pub mod trust;
pub mod verify;
pub mod verify_source;
