//! What finds, fetches, checks, keeps and makes exact dataset versions.
//!
//! | row | modules | what they know |
//! |---|---|---|
//! | verbs | [`ops`] | one file a verb: build, publish, pull, verify, … each returns a report |
//! | steps | [`steps`] | what several verbs do on their way |
//! | a user's side | [`client`], [`settings`] | which registries are looked in and who is believed; what the environment and the user's files say |
//! | places | [`registry`], [`transport`], [`cache`], [`trust`], [`known_logs`], [`keyring`], [`ledger_file`], [`tree_file`], [`lock_file`], [`demo`], [`dataset`] | where versions, what was fetched before, trusted keys, logs once seen, own keys, ledgers, trees and locks on disk, drawn images and images read in place come from |
//! | things | [`source`], [`plan`], [`audit`], [`export`], [`sheet`] | one noun each |
//! | words | [`files`], [`html`], [`parallel`], [`progress`] | what everything else is said in |

pub mod audit;
pub mod cache;
pub mod client;
pub mod dataset;
pub mod demo;
pub mod export;
pub mod files;
pub mod html;
pub mod keyring;
pub mod known_logs;
pub mod ledger_file;
pub mod lock_file;
pub mod ops;
pub mod parallel;
pub mod plan;
pub mod progress;
pub mod registry;
pub mod settings;
pub mod sheet;
pub mod source;
pub mod steps;
pub mod transport;
pub mod tree_file;
pub mod trust;
