//! The command as its users run it: one test binary with a file for each verb. Everything runs in a sandbox:
//! a folder and an `ISN_HOME` of the test's own, no network, no terminal.

// Clippy does not recognise helpers as test code; a mistake in one should end the test.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod architecture;
mod attacks;
mod attest;
mod attest_counts;
mod attest_log;
mod audit;
mod audit_labels;
mod blocks;
mod bombs;
mod build;
mod build_parts;
mod cache;
mod cite;
mod command;
mod damage;
mod delta;
mod demo;
mod diff;
mod doctor;
mod durability;
#[cfg(feature = "onnx")]
mod embeddings;
mod export;
mod faults;
mod folders;
mod forger;
mod gates;
mod grocerystore;
mod http;
mod ids;
mod images;
mod init;
mod init_columns;
mod init_doubts;
mod init_layouts;
mod init_lists;
mod init_unread;
mod kept;
mod key;
mod kill;
mod ledger;
mod list;
mod local;
mod log;
mod machine;
mod mirror;
mod names;
mod no_ranges;
mod one_name;
mod owner;
mod pairs;
mod planted;
mod prompt;
mod publish;
mod pull;
mod race;
mod real_data;
mod rebuild;
mod rebuild_only;
mod recipe;
mod reference;
mod removable;
#[cfg(feature = "serve")]
mod review;
#[cfg(feature = "serve")]
mod review_pairs;
mod sandbox;
#[cfg(all(feature = "serve", target_os = "linux"))]
mod serve;
mod server;
mod source;
mod stock_tools;
mod studies;
mod sync;
mod trust;
mod unreleased;
mod vectors;
mod verify;
mod wire;
