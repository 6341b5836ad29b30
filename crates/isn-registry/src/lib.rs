//! Finds, fetches, checks, keeps and makes exact dataset versions.
//!
//! | row | modules | what they do |
//! |---|---|---|
//! | verbs | [`ops`] | one file a verb: build, publish, pull, verify, …; each returns a report |
//! | steps | [`steps`] | steps that several verbs share |
//! | a user's side | [`client`], [`settings`] | which registries to look in and whom to believe; what the environment and the user's files say |
//! | places | [`registry`], [`transport`], [`cache`], [`trust`], [`known_logs`], [`keyring`], [`recipe_file`], [`row_file`], [`embeddings`], `tree_file`, [`lock_file`], [`demo`], [`dataset`] | where versions, fetched objects, trusted keys, remembered logs, own keys, recipes, ledgers and pairs, vectors of images, trees, lock files, drawn images and images read in place are kept |
//! | things | [`source`], [`plan`], [`audit`], [`export`], [`sheet`], [`identity`] | one noun each |
//! | words | [`files`], [`html`], [`parallel`], [`progress`], [`share`], [`url`] | the vocabulary of all the rest |
//!
//! A version in a registry, here a folder, is opened by its pin, which needs no trusted key:
//!
//! ```
//! use isn_format::error::Error;
//! use isn_format::tree::Selection;
//! use isn_registry::client::Client;
//! use isn_registry::dataset::Verify;
//! use isn_registry::known_logs::KnownLogs;
//! use isn_registry::ops::load::{LoadOptions, load};
//! use isn_registry::progress::Silent;
//! use isn_registry::transport::Access;
//! use isn_registry::trust::TrustStore;
//!
//! # let home = tempfile::tempdir().map_err(Error::io("create", "a folder"))?;
//! # let home = home.path();
//! let client = Client {
//!     locations: vec!["../../registry".into()],
//!     named_by: String::new(),
//!     trust: TrustStore::open(home.join("trust.toml"))?,
//!     logs: KnownLogs::new(home.join("logs")),
//!     cache: None,
//!     access: Access::default(),
//!     max_age: None,
//!     whole_log: false,
//! };
//! let pin = "demobirds@1.0#b3:2a470dfd86048a024c838852321c5f0d12366410cba289fc262d7c3135d3b9a8";
//! let options = LoadOptions {
//!     version: &pin.parse()?,
//!     selection: &Selection::default(),
//!     verify: Verify::Once,
//!     jobs: 1,
//!     anew: false,
//! };
//! let birds = load(&client, &options, &Silent)?;
//! assert_eq!(birds.len(), 203);
//! assert_eq!(&birds.file(0)?[1..4], b"PNG");
//! # Ok::<(), Error>(())
//! ```

pub mod audit;
pub mod cache;
pub mod client;
pub mod dataset;
pub mod demo;
pub mod embeddings;
pub mod export;
pub mod files;
pub mod html;
pub mod identity;
pub mod keyring;
pub mod known_logs;
pub mod lock_file;
pub mod ops;
pub mod parallel;
pub mod plan;
pub mod progress;
pub mod recipe_file;
pub mod registry;
pub mod row_file;
pub mod settings;
pub mod share;
pub mod sheet;
pub mod source;
pub mod steps;
pub mod transport;
pub(crate) mod tree_file;
pub mod trust;
pub mod url;
