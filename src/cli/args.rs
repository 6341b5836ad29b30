//! The verbs and their arguments.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::class::ClassId;
use crate::dataset_ref::DatasetRef;
use crate::key::KeyName;
use crate::ops::cite::CitationFormat;
use crate::split::Split;

/// Exact versions of image-classification datasets: one hash pins every image, label and split.
#[derive(Debug, Parser)]
#[command(name = "isn", version, max_term_width = 110, after_help = EXIT_CODES)]
pub(super) struct Args {
    /// Print one JSON object as the last line on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Do not show progress
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Threads to use [default: all cores]
    #[arg(short, long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "\
REF is NAME@VERSION, NAME (the newest), NAME@VERSION#b3:HASH or b3:HASH.

Exit codes: 0 ok, 1 error, 2 usage, 3 integrity, 4 signature or trust, 5 network, 6 not found,
7 source needed.
Environment: ISN_HOME (keys and trust), ISN_REGISTRY (comma list), ISN_PASSPHRASE (of a key),
SSH_AUTH_SOCK, NO_COLOR.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write an exact dataset version as a folder, verified before it is visible
    Pull {
        /// Which version
        #[arg(value_name = "REF")]
        reference: DatasetRef,
        #[command(flatten)]
        registry: RegistryArg,
        /// The folder to write [default: ./NAME-VERSION]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Only this split (may be repeated)
        #[arg(long = "split", value_name = "SPLIT")]
        splits: Vec<Split>,
        /// Only this class (may be repeated)
        #[arg(long = "class", value_name = "ID")]
        classes: Vec<ClassId>,
        /// Build it from your own copy of the source images instead of fetching them
        #[arg(long, value_name = "DIR", conflicts_with_all = ["splits", "classes"])]
        source: Option<PathBuf>,
        /// Record the version in ./isn.lock
        #[arg(long)]
        lock: bool,
    },
    /// Bring the versions that ./isn.lock and ./isn.toml name
    Sync {
        #[command(flatten)]
        registry: RegistryArg,
        /// Never change isn.lock: fail if it lacks something
        #[arg(long)]
        locked: bool,
    },
    /// Check a tree, a registry folder, a build, or a version in a registry; report every fault
    Verify {
        /// A folder, or a version
        #[arg(value_name = "PATH|REF")]
        subject: String,
        /// The version or dataset hash that the tree must have
        #[arg(long, value_name = "REF|b3:HASH")]
        expect: Option<DatasetRef>,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Show what a version is
    Info {
        /// Which version
        #[arg(value_name = "REF")]
        reference: DatasetRef,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// List the datasets and versions of a registry
    List {
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Print how to cite a version, with its pin
    Cite {
        /// Which version
        #[arg(value_name = "REF")]
        reference: DatasetRef,
        /// The form of the citation
        #[arg(long, value_enum, default_value = "bibtex")]
        format: CiteFormat,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Build a version from a recipe and raw images
    Build {
        /// The recipe
        #[arg(value_name = "RECIPE.toml")]
        recipe: PathBuf,
        /// The raw images
        #[arg(long, value_name = "DIR")]
        source: PathBuf,
        /// The folder to make
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Sign a build and put it into a folder registry
    Publish {
        /// The output of `isn build`
        #[arg(value_name = "OUT")]
        build: PathBuf,
        /// The registry's folder; an absent or empty one becomes a registry
        #[arg(long, value_name = "DIR")]
        registry: PathBuf,
        /// A key of `isn key list`, a private key file, or a .pub file whose key the SSH agent holds
        #[arg(long, value_name = "NAME|FILE")]
        key: String,
        /// Check everything and say what would be done, but write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Make and show signing keys (OpenSSH Ed25519)
    #[command(subcommand)]
    Key(KeyCommand),
    /// Say whose releases you believe, registry by registry
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Manage a registry
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Try everything without ImageNet
    #[command(subcommand)]
    Demo(DemoCommand),
}

/// Where to look.
#[derive(Debug, ClapArgs)]
pub(super) struct RegistryArg {
    /// A folder, an http(s):// URL or `bundled` [default: ISN_REGISTRY, isn.toml, or bundled]
    #[arg(long, value_name = "DIR|URL")]
    pub(super) registry: Option<String>,
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
}

/// `isn trust …`
#[derive(Debug, Subcommand)]
pub(super) enum TrustCommand {
    /// Believe releases of a registry that this key signed
    Add {
        /// A folder or URL
        registry: String,
        /// A public key file, or the line itself ('ssh-ed25519 …')
        key: String,
    },
    /// List the keys you trust
    List,
    /// Believe a key no more
    Remove {
        /// A folder or URL
        registry: String,
        /// A public key file, the line itself, or its fingerprint (SHA256:…)
        key: String,
    },
}

/// `isn registry …`
#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// Make an absent or empty folder a registry
    Init {
        /// The folder
        dir: PathBuf,
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

/// The forms of a citation.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum CiteFormat {
    /// A BibTeX entry
    Bibtex,
    /// A sentence
    Plain,
    /// A CITATION.cff
    Cff,
}

impl From<CiteFormat> for CitationFormat {
    fn from(format: CiteFormat) -> Self {
        match format {
            CiteFormat::Bibtex => CitationFormat::Bibtex,
            CiteFormat::Plain => CitationFormat::Plain,
            CiteFormat::Cff => CitationFormat::Cff,
        }
    }
}
