//! Finds, fetches, checks, keeps and makes exact dataset versions.
//!
//! | row | modules | what they do |
//! |---|---|---|
//! | verbs | [`ops`] | one file a verb: build, publish, pull, verify, …; each returns a report |
//! | steps | [`steps`] | steps that several verbs share |
//! | a user's side | [`client`], [`settings`] | which registries to look in and whom to believe; what the environment and the user's files say |
//! | places | [`registry`], [`transport`], [`cache`], [`trust`], [`known_logs`], [`keyring`], [`recipe_file`], [`ledger_file`], [`tree_file`], [`lock_file`], [`demo`], [`dataset`] | where versions, fetched objects, trusted keys, remembered logs, own keys, recipes, ledgers, trees, lock files, drawn images and images read in place are kept |
//! | things | [`source`], [`plan`], [`audit`], [`export`], [`sheet`] | one noun each |
//! | words | [`files`], [`html`], [`parallel`], [`progress`], [`url`] | the vocabulary of all the rest |

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
pub mod recipe_file;
pub mod registry;
pub mod settings;
pub mod sheet;
pub mod source;
pub mod steps;
pub mod transport;
pub mod tree_file;
pub mod trust;
pub mod url;
