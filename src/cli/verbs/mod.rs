//! The verbs, each in a file of its own, or in a folder for a large family. The file has the verb's
//! arguments, what it does with them ([`Verb`]) and how its report is printed. No verb uses another.

mod append;
mod attest;
mod audit;
mod build;
mod cache;
mod cite;
mod completions;
mod demo;
mod diff;
mod doctor;
mod export;
mod fetch;
mod images;
mod info;
mod init;
mod key;
mod ledger;
mod list;
mod log;
mod man;
mod mirror;
mod owner;
mod pairs;
mod prove;
mod publish;
mod pull;
mod recipe;
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

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Pull a version: write its verified images as a folder
    Pull(pull::PullArgs),
    /// Fetch a version into the cache, to pull it without a network
    #[command(mut_arg("no_cache", |no_cache| no_cache.hide(true)))]
    Fetch(fetch::FetchArgs),
    /// Export a version to the format of another tool
    Export(export::ExportArgs),
    /// Pull the versions listed in ./isn.lock and ./isn.toml
    Sync(sync::SyncArgs),
    /// Verify a tree, a build, a registry or a version
    Verify(verify::VerifyArgs),
    /// Show a version's title, licence, signers and classes
    Info(info::InfoArgs),
    /// List the paths of a version's images
    Images(images::ImagesArgs),
    /// List the datasets and versions of a registry
    List(list::ListArgs),
    /// Compare two versions image by image
    Diff(diff::DiffArgs),
    /// Print a citation of a version, with its pin
    Cite(cite::CiteArgs),
    /// Write a recipe for a folder of pictures
    Init(init::InitArgs),
    /// Build a version from a recipe and source images
    Build(build::BuildArgs),
    /// Show and export the recipes that come with isn
    #[command(subcommand)]
    Recipe(recipe::RecipeCommand),
    /// Check a folder of source images
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Check that a source has the files a version was built from
    VerifySource(verify_source::VerifySourceArgs),
    /// Find duplicates, damaged images and probable label errors
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Review suspect labels and near-duplicates in the browser
    #[cfg(feature = "serve")]
    Review(review::ReviewArgs),
    /// Sign a build and publish it to a registry
    Publish(publish::PublishArgs),
    /// Add a signature to a statement
    Sign(sign::SignArgs),
    /// State that you built a version, and check what others state
    Attest(attest::AttestArgs),
    /// Append a signed statement to a registry's log
    Append(append::AppendArgs),
    /// Show and change the owners of a dataset's name
    #[command(subcommand)]
    Owner(owner::OwnerCommand),
    /// Revoke a key in the datasets that it owns
    Revoke(revoke::RevokeArgs),
    /// Yank a version: it stays available; every pull prints a warning
    Yank(yank::YankArgs),
    /// Withdraw a version: its objects may be deleted
    Withdraw(withdraw::WithdrawArgs),
    /// Show, verify and watch a registry's log
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Write an offline proof that a release is in the log
    Prove(prove::ProveArgs),
    /// Make, list and rotate signing keys (OpenSSH Ed25519)
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Add, list and remove the keys that you trust
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// Initialise and check a registry
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// Copy a registry, or some of its datasets, and verify the copy
    Mirror(mirror::MirrorArgs),
    /// Show, extend and check a ledger of claims and decisions
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Show, extend and check pairs of images that people have judged
    #[command(subcommand)]
    Pairs(pairs::PairsCommand),
    /// Show, verify and clean the cache
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// Serve a registry's folder over HTTP/1.1 and HTTP/2
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    /// Check this machine's set-up; exits with 8 if something fails
    Doctor(doctor::DoctorArgs),
    /// Draw source images, to try isn without ImageNet
    #[command(subcommand)]
    Demo(demo::DemoCommand),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write the man pages to a folder, for packagers
    Man(man::ManArgs),
}

impl Command {
    /// Returns the verb that was given.
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
            Command::Init(verb) => verb,
            Command::Build(verb) => verb,
            Command::Recipe(verb) => verb,
            Command::Source(verb) => verb,
            Command::VerifySource(verb) => verb,
            Command::Audit(verb) => verb,
            #[cfg(feature = "serve")]
            Command::Review(verb) => verb,
            Command::Publish(verb) => verb,
            Command::Sign(verb) => verb,
            Command::Attest(verb) => verb,
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
            Command::Pairs(verb) => verb,
            Command::Cache(verb) => verb,
            #[cfg(feature = "serve")]
            Command::Serve(verb) => verb,
            Command::Doctor(verb) => verb,
            Command::Demo(verb) => verb,
            Command::Completions(verb) => verb,
            Command::Man(verb) => verb,
        }
    }
}
