//! Arguments that several verbs take.

use std::path::PathBuf;

use clap::Args;

use super::values::{parse_age, parse_reason, read_images};
use isn_format::class::ClassId;
use isn_format::dataset_ref::{DatasetRef, Name, Version};
use isn_format::error::{Error, Result};
use isn_format::split::Split;
use isn_format::tree::Selection;

/// Where to look.
#[derive(Debug, Args)]
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

impl RegistryArg {
    /// This place itself: what the cache has of it does not count.
    pub(super) fn itself(location: &str) -> Self {
        RegistryArg { registry: Some(location.into()), no_cache: true, max_age: None }
    }
}

/// Which part of a version.
#[derive(Debug, Args)]
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

/// Who signs.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// A key of `isn key list`, a private key file, or a .pub file whose key the SSH agent holds (may be repeated)
    #[arg(long = "key", value_name = "NAME|FILE", required = true)]
    pub(super) keys: Vec<String>,
    /// Write the statement to this file, for others to sign, instead of appending it
    #[arg(long, value_name = "FILE")]
    pub(super) statement: Option<PathBuf>,
}

/// Who says something, and to which registry.
#[derive(Debug, Args)]
pub(super) struct SpeakArgs {
    /// The registry's folder or bucket
    #[arg(long, value_name = "DIR|URL")]
    pub(super) registry: String,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// What is said of a version.
#[derive(Debug, Args)]
pub(super) struct AdviceArgs {
    /// Which version, NAME@VERSION
    #[arg(value_name = "REF")]
    reference: DatasetRef,
    /// Why, in one line
    #[arg(long, value_parser = parse_reason)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) to: SpeakArgs,
}

impl AdviceArgs {
    /// One version, by its number.
    pub(super) fn version(&self) -> Result<(&Name, Version)> {
        match &self.reference {
            DatasetRef::Version(name, version, None) => Ok((name, *version)),
            other => {
                Err(Error::invalid(format!("reference '{other}'"), "expected NAME@VERSION, without a hash"))
            }
        }
    }
}
