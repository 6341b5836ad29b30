//! Arguments that several verbs take.

use std::path::PathBuf;

use clap::Args;

use super::values::{one_of, parse_age, parse_class, parse_reason, read_images};
use isn_format::class::ClassId;
use isn_format::dataset_ref::{DatasetRef, VersionId};
use isn_format::error::{Error, Result};
use isn_format::split::Split;
use isn_format::tree::Selection;

/// Which registry to read.
#[derive(Debug, Args)]
pub(super) struct RegistryArg {
    /// The registry: a folder, an http(s)://, s3://, gs:// or az:// URL, or `bundled` [default: ISN_REGISTRY,
    /// isn.toml or bundled]
    #[arg(long, value_name = "DIR|URL")]
    pub(super) registry: Option<String>,
    /// Use neither the cache nor trees that were pulled earlier
    #[arg(long)]
    pub(super) no_cache: bool,
    /// The maximum time since the log's witnesses signed it, for example 36h or 7d; a pin needs no log
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(super) max_age: Option<u64>,
    /// Read the registry's log as a whole, however long it is, and believe no index of it: somebody who has
    /// its key could leave out entries
    #[arg(long)]
    pub(super) whole_log: bool,
}

impl RegistryArg {
    /// Returns the arguments that select this registry, without the cache.
    pub(super) fn itself(location: &str) -> Self {
        RegistryArg { registry: Some(location.into()), no_cache: true, max_age: None, whole_log: false }
    }
}

/// The recipe of a folder of images.
#[derive(Debug, Args)]
pub(super) struct RecipeArg {
    /// The recipe of a folder: it says which images are those of a build, with their splits, classes and
    /// source ids [default: recipe.toml beside the file that gets source ids, if there is one]
    #[arg(long, value_name = "RECIPE.toml|NAME")]
    pub(super) recipe: Option<PathBuf>,
}

/// Which images of a version.
#[derive(Debug, Args)]
pub(super) struct SelectionArgs {
    /// Only this split (may be repeated)
    #[arg(long = "split", value_name = "SPLIT",
          value_parser = one_of::<Split>(Split::ALL.map(Split::as_str)))]
    splits: Vec<Split>,
    /// Only this class (may be repeated)
    #[arg(long = "class", value_name = "ID", value_parser = parse_class)]
    classes: Vec<ClassId>,
    /// Only the images in this file, which has a path of the tree or a line of B3SUMS on each line; # starts
    /// a comment
    #[arg(long, value_name = "FILE")]
    images: Option<PathBuf>,
}

impl SelectionArgs {
    /// Reads the list of images and returns the selection.
    pub(super) fn read(&self) -> Result<Selection> {
        let (images, lines) = self.images.as_deref().map_or(Ok(Default::default()), |file| {
            let read = read_images(file)?;
            if read.0.is_empty() {
                return Err(Error::invalid(file.display(), "names no image"));
            }
            Ok(read)
        })?;
        Ok(Selection { splits: self.splits.clone(), classes: self.classes.clone(), images, lines })
    }
}

/// The signers.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// A signing key: a name from `isn key list`, a private key file, or a .pub file whose key the SSH agent
    /// holds (may be repeated)
    #[arg(long = "key", value_name = "NAME|FILE", required = true)]
    pub(super) keys: Vec<String>,
    /// Write the statement to this file for others to sign, instead of appending it to the log
    #[arg(long, value_name = "FILE")]
    pub(super) statement: Option<PathBuf>,
}

/// The registry and the signers of a statement.
#[derive(Debug, Args)]
pub(super) struct SpeakArgs {
    /// The registry's folder or bucket
    #[arg(long, value_name = "DIR|URL")]
    pub(super) registry: String,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// The version that a statement is about.
#[derive(Debug, Args)]
pub(super) struct AdviceArgs {
    /// The version, as NAME@VERSION
    #[arg(value_name = "REF")]
    reference: DatasetRef,
    /// The reason, in one line
    #[arg(long, value_parser = parse_reason)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) to: SpeakArgs,
}

impl AdviceArgs {
    /// Returns the name and version.
    ///
    /// # Errors
    /// Fails if the reference has no version or has a dataset hash.
    pub(super) fn version(&self) -> Result<&VersionId> {
        match &self.reference {
            DatasetRef::Version(id, None) => Ok(id),
            other => {
                Err(Error::invalid(format!("reference '{other}'"), "expected NAME@VERSION, without a hash"))
            }
        }
    }
}
