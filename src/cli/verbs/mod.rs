//! The verbs: a file each, or a folder for a large family. A file has the verb's arguments, what is done with them ([`Verb`]),
//! and how its report is printed. None uses another.

mod append;
mod audit;
mod build;
mod cache;
mod cite;
mod demo;
mod diff;
mod doctor;
mod export;
mod fetch;
mod images;
mod info;
mod key;
mod ledger;
mod list;
mod log;
mod mirror;
mod owner;
mod prove;
mod publish;
mod pull;
mod registry;
#[cfg(feature = "serve")]
mod review;
mod revoke;
#[cfg(feature = "serve")]
mod serve;
mod sign;
mod source;
mod sync;
mod trust;
mod verify;
mod verify_source;
mod withdraw;
mod yank;

use clap::Subcommand;

use super::run::Verb;

/// What isn does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write an exact dataset version as a folder, verified before it is visible
    Pull(pull::PullArgs),
    /// Bring a version into the cache, so that a later pull of it needs no network
    Fetch(fetch::FetchArgs),
    /// Write a version in the format of another tool
    Export(export::ExportArgs),
    /// Bring the versions that ./isn.lock and ./isn.toml name
    Sync(sync::SyncArgs),
    /// Check a tree, a registry folder, a build, or a version in a registry; report every fault
    Verify(verify::VerifyArgs),
    /// Show what a version is
    Info(info::InfoArgs),
    /// List the images of a version by their paths, for `isn pull --images` and for scores on a part of it
    Images(images::ImagesArgs),
    /// List the datasets and versions of a registry
    List(list::ListArgs),
    /// Compare two versions: images added, removed, relabelled, moved, re-encoded, and why
    Diff(diff::DiffArgs),
    /// Print how to cite a version, with its pin
    Cite(cite::CiteArgs),
    /// Build a version from a recipe and raw images
    Build(build::BuildArgs),
    /// Look at a folder of source images
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Check that a folder has the very source files that a version was built from; nothing is built
    VerifySource(verify_source::VerifySourceArgs),
    /// Look for what is wrong with images and labels; it ranks, and never removes
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Decide suspects one by one on a page in the browser, by keyboard; every decision is a row of the ledger
    #[cfg(feature = "serve")]
    Review(review::ReviewArgs),
    /// Sign a build and put it into a registry: a folder, a bucket, or a server that takes it in
    Publish(publish::PublishArgs),
    /// Add a signature to a statement that needs several
    Sign(sign::SignArgs),
    /// Put a signed statement into the log of a registry
    Append(append::AppendArgs),
    /// Show and change whose a dataset's name is
    #[command(subcommand)]
    Owner(owner::OwnerCommand),
    /// Make a key count no more in the names that it owns
    Revoke(revoke::RevokeArgs),
    /// Advise against a version: it stays, and every pull warns
    Yank(yank::YankArgs),
    /// Say that a version's objects may go: pulls say so
    Withdraw(withdraw::WithdrawArgs),
    /// Look at a registry's log, audit it, watch it
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Write a file that proves, offline and with the log's key alone, that a release is in the log
    Prove(prove::ProveArgs),
    /// Make and show signing keys (OpenSSH Ed25519)
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Say whose releases you believe, registry by registry
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// Manage a registry
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// Copy a registry, or some of its datasets, to a folder or bucket: only what is not there, all of it verified
    Mirror(mirror::MirrorArgs),
    /// Look at, add to and settle a ledger: what is claimed of images, and what people decided
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Look after what was fetched
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// Serve a registry's folder over HTTP/1.1 and HTTP/2
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    /// Look for what is wrong with this machine's set-up, and say what helps; exit 8 if something will not work
    Doctor(doctor::DoctorArgs),
    /// Try everything without ImageNet
    #[command(subcommand)]
    Demo(demo::DemoCommand),
}

impl Command {
    /// The verb that was given.
    pub(super) fn verb(&self) -> &dyn Verb {
        match self {
            Command::Pull(verb) => verb,
            Command::Fetch(verb) => verb,
            Command::Export(verb) => verb,
            Command::Sync(verb) => verb,
            Command::Verify(verb) => verb,
            Command::Info(verb) => verb,
            Command::Images(verb) => verb,
            Command::List(verb) => verb,
            Command::Diff(verb) => verb,
            Command::Cite(verb) => verb,
            Command::Build(verb) => verb,
            Command::Source(verb) => verb,
            Command::VerifySource(verb) => verb,
            Command::Audit(verb) => verb,
            #[cfg(feature = "serve")]
            Command::Review(verb) => verb,
            Command::Publish(verb) => verb,
            Command::Sign(verb) => verb,
            Command::Append(verb) => verb,
            Command::Owner(verb) => verb,
            Command::Revoke(verb) => verb,
            Command::Yank(verb) => verb,
            Command::Withdraw(verb) => verb,
            Command::Log(verb) => verb,
            Command::Prove(verb) => verb,
            Command::Key(verb) => verb,
            Command::Trust(verb) => verb,
            Command::Registry(verb) => verb,
            Command::Mirror(verb) => verb,
            Command::Ledger(verb) => verb,
            Command::Cache(verb) => verb,
            #[cfg(feature = "serve")]
            Command::Serve(verb) => verb,
            Command::Doctor(verb) => verb,
            Command::Demo(verb) => verb,
        }
    }
}
