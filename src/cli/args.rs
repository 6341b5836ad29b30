//! The verbs and their arguments.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::audit::AuditCommand;
use super::diff::DiffArgs;
use super::exit::Aim;
use super::export::ExportArgs;
use super::families::{
    CacheCommand, DemoCommand, KeyCommand, LogCommand, OwnerCommand, RegistryCommand, TrustCommand,
};
use super::ledger::LedgerCommand;
#[cfg(feature = "serve")]
use super::review::ReviewArgs;
#[cfg(feature = "serve")]
use super::serve::ServeArgs;
use super::sources::{SourceCommand, VerifySourceArgs};
use super::values::{parse_age, parse_reason, read_images};
use isn_format::class::ClassId;
use isn_format::dataset_ref::{DatasetRef, Name};
use isn_format::error::{Error, Result};
use isn_format::log::LogKey;
use isn_format::split::Split;
use isn_format::tree::Selection;
use isn_registry::ops::cite::CitationFormat;

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
    /// Use no network: only folders, the cache, and the registry in the binary
    #[arg(long, global = true)]
    pub(super) offline: bool,
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
7 source needed, 8 findings.
Environment: ISN_HOME (keys, trust, logs), ISN_REGISTRY (comma list), ISN_PASSPHRASE (of a key),
SSH_AUTH_SOCK, NO_COLOR; of the network: ISN_OFFLINE, ISN_CA_BUNDLE, ISN_TOKENS (HOST=TOKEN,…),
ISN_TIMEOUT (seconds), ISN_RETRIES, and the proxy variables.";

impl Command {
    /// What the verb is for.
    pub(super) fn aim(&self) -> Aim {
        let is_writer = match self {
            Command::Pull { .. } | Command::Fetch { .. } | Command::Export(_) | Command::Sync { .. } => {
                return Aim::Bring;
            }
            Command::Publish { .. }
            | Command::Sign { .. }
            | Command::Append { .. }
            | Command::Revoke { .. }
            | Command::Yank(_)
            | Command::Withdraw(_)
            | Command::Mirror { .. }
            | Command::Key(KeyCommand::Rotate { .. })
            | Command::Log(LogCommand::Unclaim { .. }) => true,
            Command::Owner(command) => !matches!(command, OwnerCommand::Show { .. }),
            Command::Registry(command) => !matches!(command, RegistryCommand::Check { .. }),
            _ => false,
        };
        if is_writer { Aim::Write } else { Aim::Look }
    }
}

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
        #[command(flatten)]
        selection: SelectionArgs,
        /// Build it from your own copy of the source images instead of fetching them
        #[arg(long, value_name = "DIR", conflicts_with_all = ["splits", "classes", "images"])]
        source: Option<PathBuf>,
        /// Link to images of trees that are on this disk already, instead of copying: an edit shows in both. Files that
        /// others may write to are copied
        #[arg(long)]
        hardlink: bool,
        /// Record the version in ./isn.lock
        #[arg(long)]
        lock: bool,
        /// Record a tree that is outside this folder, too
        #[arg(long, requires = "lock")]
        allow_outside: bool,
    },
    /// Bring a version into the cache, so that a later pull of it needs no network
    Fetch {
        /// Which version
        #[arg(value_name = "REF")]
        reference: DatasetRef,
        #[command(flatten)]
        registry: RegistryArg,
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Write a version in the format of another tool
    Export(ExportArgs),
    /// Bring the versions that ./isn.lock and ./isn.toml name
    Sync {
        #[command(flatten)]
        registry: RegistryArg,
        /// Never change isn.lock: fail if it lacks something
        #[arg(long)]
        locked: bool,
        /// Write trees outside this folder too, where isn.lock says so (an absolute path, `..`, a link)
        #[arg(long)]
        allow_outside: bool,
    },
    /// Check a tree, a registry folder, a build, or a version in a registry; report every fault
    Verify {
        /// A folder, or a version
        #[arg(value_name = "PATH|REF", required_unless_present = "proof")]
        subject: Option<String>,
        /// Check the release that this file of `isn prove` proves, offline; and the tree, if one is named
        #[arg(long, value_name = "FILE", conflicts_with = "expect")]
        proof: Option<PathBuf>,
        /// The key of the log that the proof is from [default: the one that you trust]
        #[arg(long, value_name = "VKEY", requires = "proof")]
        log_key: Option<LogKey>,
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
    /// List the images of a version by their paths, for `isn pull --images` and for scores on a part of it
    Images {
        /// Which version
        #[arg(value_name = "REF")]
        reference: DatasetRef,
        #[command(flatten)]
        selection: SelectionArgs,
        /// Only those that the source has in this split, for example ImageNet's own val images
        #[arg(long, value_name = "SPLIT")]
        origin: Option<Split>,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// List the datasets and versions of a registry
    List {
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Compare two versions: images added, removed, relabelled, moved, re-encoded, and why
    Diff(DiffArgs),
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
    /// Look at a folder of source images
    #[command(subcommand)]
    Source(SourceCommand),
    /// Check that a folder has the very source files that a version was built from; nothing is built
    VerifySource(VerifySourceArgs),
    /// Look for what is wrong with images and labels; it ranks, and never removes
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Decide suspects one by one on a page in the browser, by keyboard; every decision is a row of the ledger
    #[cfg(feature = "serve")]
    Review(ReviewArgs),
    /// Sign a build and put it into a registry: a folder, a bucket, or a server that takes it in
    Publish {
        /// The output of `isn build`
        #[arg(value_name = "OUT")]
        build: PathBuf,
        /// The registry's folder or bucket, of which an empty one becomes a registry; or the URL of an `isn serve`
        #[arg(long, value_name = "DIR|URL")]
        registry: String,
        #[command(flatten)]
        keys: KeyArgs,
        /// Check everything and say what would be done, but write nothing
        #[arg(long)]
        dry_run: bool,
        /// Publish no images: whoever pulls builds them from an own copy of the source (`isn pull REF --source DIR`)
        #[arg(long)]
        rebuild_only: bool,
    },
    /// Add a signature to a statement that needs several
    Sign {
        /// The statement, as `isn publish` and others write it where one signature is not enough
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// A key of `isn key list`, a private key file, or a .pub file whose key the SSH agent holds
        #[arg(long, value_name = "NAME|FILE")]
        key: String,
    },
    /// Put a signed statement into the log of a registry
    Append {
        /// The statement
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The registry's folder or bucket
        #[arg(long, value_name = "DIR|URL")]
        registry: String,
    },
    /// Show and change whose a dataset's name is
    #[command(subcommand)]
    Owner(OwnerCommand),
    /// Make a key count no more in the names that it owns
    Revoke {
        /// The key: a name of `isn key list`, a public key file, or the line itself ('ssh-ed25519 …')
        #[arg(value_name = "KEY")]
        revoked: String,
        /// Only in this dataset (may be repeated) [default: all that have it]
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<Name>,
        /// Why, in one line
        #[arg(long, value_parser = parse_reason)]
        reason: String,
        #[command(flatten)]
        to: SpeakArgs,
    },
    /// Advise against a version: it stays, and every pull warns
    Yank(AdviceArgs),
    /// Say that a version's objects may go: pulls say so
    Withdraw(AdviceArgs),
    /// Look at a registry's log, audit it, watch it
    #[command(subcommand)]
    Log(LogCommand),
    /// Write a file that proves, offline and with the log's key alone, that a release is in the log
    Prove {
        /// Which version
        #[arg(value_name = "REF")]
        reference: DatasetRef,
        /// The file to write [default: NAME-VERSION.tlog-proof]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        registry: RegistryArg,
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
    /// Copy a registry, or some of its datasets, to a folder or bucket: only what is not there, all of it verified
    Mirror {
        /// The registry to copy: a folder, a URL or `bundled`
        #[arg(value_name = "SRC")]
        source: String,
        /// A folder or bucket, empty or an earlier mirror
        #[arg(value_name = "DST")]
        destination: String,
        /// Only these, NAME or NAME@VERSION [default: all]
        #[arg(value_name = "REF")]
        only: Vec<DatasetRef>,
        /// Hash anew what is there already, and copy again what is damaged
        #[arg(long)]
        verify: bool,
    },
    /// Look at, add to and settle a ledger: what is claimed of images, and what people decided
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Look after what was fetched
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Serve a registry's folder over HTTP/1.1 and HTTP/2
    #[cfg(feature = "serve")]
    Serve(ServeArgs),
    /// Look for what is wrong with this machine's set-up, and say what helps; exit 8 if something will not work
    Doctor {
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Try everything without ImageNet
    #[command(subcommand)]
    Demo(DemoCommand),
}

/// Where to look.
#[derive(Debug, ClapArgs)]
pub(super) struct RegistryArg {
    /// A folder, an http(s)://, s3://, gs:// or az:// URL, or `bundled` [default: ISN_REGISTRY, isn.toml, or bundled]
    #[arg(long, value_name = "DIR|URL")]
    pub(super) registry: Option<String>,
    /// Look neither in the cache nor in trees pulled before, and keep nothing in the cache
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Refuse a log that its witnesses have not seen for so long, for example 36h or 7d; a pin needs no log
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(super) max_age: Option<u64>,
}

/// Which part of a version.
#[derive(Debug, ClapArgs)]
pub(super) struct SelectionArgs {
    /// Only this split (may be repeated)
    #[arg(long = "split", value_name = "SPLIT")]
    splits: Vec<Split>,
    /// Only this class (may be repeated)
    #[arg(long = "class", value_name = "ID")]
    classes: Vec<ClassId>,
    /// Only the images of this list: paths in the tree, or lines of B3SUMS, one a line; # begins a comment
    #[arg(long, value_name = "FILE")]
    images: Option<PathBuf>,
}

impl SelectionArgs {
    /// The selection, with the list of images read.
    pub(super) fn read(self) -> Result<Selection> {
        let (images, lines) = self.images.map_or(Ok(Default::default()), |file| {
            let read = read_images(&file)?;
            if read.0.is_empty() {
                return Err(Error::invalid(file.display(), "names no image"));
            }
            Ok(read)
        })?;
        Ok(Selection { splits: self.splits, classes: self.classes, images, lines })
    }
}

/// Who signs.
#[derive(Debug, ClapArgs)]
pub(super) struct KeyArgs {
    /// A key of `isn key list`, a private key file, or a .pub file whose key the SSH agent holds (may be repeated)
    #[arg(long = "key", value_name = "NAME|FILE", required = true)]
    pub(super) keys: Vec<String>,
    /// Write the statement to this file, for others to sign, instead of appending it
    #[arg(long, value_name = "FILE")]
    pub(super) statement: Option<PathBuf>,
}

/// Who says something, and to which registry.
#[derive(Debug, ClapArgs)]
pub(super) struct SpeakArgs {
    /// The registry's folder or bucket
    #[arg(long, value_name = "DIR|URL")]
    pub(super) registry: String,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// What is said of a version.
#[derive(Debug, ClapArgs)]
pub(super) struct AdviceArgs {
    /// Which version, NAME@VERSION
    #[arg(value_name = "REF")]
    pub(super) reference: DatasetRef,
    /// Why, in one line
    #[arg(long, value_parser = parse_reason)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) to: SpeakArgs,
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
