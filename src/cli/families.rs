//! Verbs that come in families: `isn owner add`, `isn log show`, `isn cache gc`, …

use std::path::PathBuf;

use clap::Subcommand;

use super::args::{RegistryArg, SpeakArgs};
use super::values::{parse_age, parse_size};
use isn_format::dataset_ref::Name;
use isn_registry::keyring::KeyName;

/// `isn owner …`
#[derive(Debug, Subcommand)]
pub(super) enum OwnerCommand {
    /// Show whose a name is
    Show {
        /// The dataset
        name: Name,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Add a key
    Add {
        /// The dataset
        name: Name,
        /// The key: a name of `isn key list`, a public key file, or the line itself ('ssh-ed25519 …')
        #[arg(value_name = "KEY")]
        added: String,
        /// As a recovery key, which may sign owner statements and revocations only
        #[arg(long)]
        recovery: bool,
        #[command(flatten)]
        to: SpeakArgs,
    },
    /// Remove a key
    Remove {
        /// The dataset
        name: Name,
        /// The key: a name of `isn key list`, a public key file, or the line itself ('ssh-ed25519 …')
        #[arg(value_name = "KEY")]
        removed: String,
        #[command(flatten)]
        to: SpeakArgs,
    },
    /// Set how many of the keys must sign
    Threshold {
        /// The dataset
        name: Name,
        /// How many
        #[arg(value_name = "N")]
        threshold: usize,
        #[command(flatten)]
        to: SpeakArgs,
    },
}

/// `isn log …`
#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// List the entries
    Show {
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Replay the log from its first entry and check every tile; exit 8 if entries have no effect
    Verify {
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Print entries as they come, and stop at a fork
    Watch {
        /// How long to wait between two looks, for example 60s or 1h
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_age)]
        every: u64,
        /// Look once: print what is new since this machine last looked
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// List the evidence of forks that this machine has seen
    Evidence,
    /// Remove claims that no writer may finish: entries that somebody without the log's key wants in the log
    Unclaim {
        /// The registry's folder or bucket
        #[arg(long, value_name = "DIR|URL")]
        registry: String,
        /// Nobody else writes to the registry now; needed of a bucket, which has no lock
        #[arg(long)]
        alone: bool,
    },
}

/// `isn key …`
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key pair
    New {
        /// Its name
        name: KeyName,
        /// Store the private key unencrypted
        #[arg(long)]
        no_passphrase: bool,
    },
    /// List your keys
    List,
    /// Print the public key line of a key
    Show {
        /// Its name
        name: KeyName,
    },
    /// Put a new key in the place of an old one, in every name that the old one owns
    Rotate {
        /// The old key: a name of `isn key list`, a public key file, or the line itself ('ssh-ed25519 …')
        #[arg(value_name = "OLD")]
        old: String,
        /// The new key, likewise; `isn key new` makes one
        #[arg(value_name = "NEW")]
        new: String,
        /// Only in this dataset (may be repeated) [default: all that have it]
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<Name>,
        #[command(flatten)]
        to: SpeakArgs,
    },
}

/// `isn trust …`
#[derive(Debug, Subcommand)]
pub(super) enum TrustCommand {
    /// Believe a registry's log (a vkey), or its releases by one publisher (an SSH key)
    Add {
        /// A folder or URL
        registry: String,
        /// A log's or witness's vkey, a public key file, or the line itself ('ssh-ed25519 …')
        key: String,
        /// How many of the registry's witnesses must have signed [default: all]
        #[arg(long, value_name = "N")]
        need: Option<usize>,
    },
    /// List the keys you trust
    List,
    /// Believe a key no more
    Remove {
        /// A folder or URL
        registry: String,
        /// A vkey, a public key file, the line itself, or its fingerprint (SHA256:…)
        key: String,
    },
}

/// `isn registry …`
#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// Make an empty folder or bucket a registry with a log of its own
    Init {
        /// The folder or bucket
        #[arg(value_name = "DIR|URL")]
        registry: String,
        /// The log's name, for example example.org/birds [default: isn.local/ and 16 hex digits of its key]
        #[arg(long)]
        origin: Option<String>,
        /// A private key file for the log; of a registry that exists, its own key, to append from this machine too
        #[arg(long, value_name = "FILE")]
        log_key: Option<PathBuf>,
    },
    /// Verify all of a registry, wherever it is: its log, every release, every image
    Check {
        /// A folder or URL
        #[arg(value_name = "DIR|URL")]
        location: String,
    },
    /// Give the log a new key, signed by the old one
    RotateKey {
        /// The folder or bucket
        #[arg(value_name = "DIR|URL")]
        registry: String,
    },
}

/// `isn cache …`
#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Show where the cache is and what is in it
    Info,
    /// Hash everything in it; what is damaged is set aside and fetched again when it is needed
    Verify,
    /// Remove what was not used for long, what is damaged, and what killed runs left
    Gc {
        /// Remove what was used longest ago until no more than this is left, for example 500MB or 20GiB
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        max_size: Option<u64>,
        /// Remove what was not used for so long, for example 30d
        #[arg(long, value_name = "AGE", value_parser = parse_age)]
        older_than: Option<u64>,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// `isn demo …`
#[derive(Debug, Subcommand)]
pub(super) enum DemoCommand {
    /// Draw the raw images of demobirds, laid out as ImageNet is
    Source {
        /// The folder to make
        dir: PathBuf,
    },
}
