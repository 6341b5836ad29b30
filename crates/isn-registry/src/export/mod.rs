//! Writes versions in the formats of other tools, with one writer for each format. The output depends on the
//! version and on the options, never on the machine, the time or the number of threads. docs/export.md
//! describes the layout of each format.

mod about;
mod archive;
#[cfg(feature = "parquet")]
mod card;
mod croissant;
mod mds;
mod npz;
mod out;
#[cfg(feature = "parquet")]
mod parquet;
mod tfrecord;
mod webdataset;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

pub use about::About;

use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::order::Shuffle;
use isn_format::split::Split;

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A folder for each split with a folder for each class: the tree of a pull.
    ImageFolder,
    /// Tars of samples, for the library `webdataset`.
    WebDataset,
    /// Parquet with the files' bytes.
    Parquet,
    /// Parquet with a dataset card, for Hugging Face `datasets` and its hub.
    HuggingFace,
    /// Arrays of pixels, for NumPy.
    Npz,
    /// Records of `tf.train.Example`, as TensorFlow Datasets lays them out.
    TfRecord,
    /// MosaicML's streaming format.
    Mds,
    /// Tars of the tree, with a description in Croissant 1.0.
    Croissant,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 8] = [
        Format::ImageFolder,
        Format::WebDataset,
        Format::Parquet,
        Format::HuggingFace,
        Format::Npz,
        Format::TfRecord,
        Format::Mds,
        Format::Croissant,
    ];

    /// Returns its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::ImageFolder => "imagefolder",
            Format::WebDataset => "webdataset",
            Format::Parquet => "parquet",
            Format::HuggingFace => "hf",
            Format::Npz => "npz",
            Format::TfRecord => "tfrecord",
            Format::Mds => "mds",
            Format::Croissant => "croissant",
        }
    }

    /// Returns how images are shuffled. Formats that are read sequentially, shard by shard, are shuffled
    /// beforehand, because their readers only shuffle within a window. The others are in the order of paths.
    pub fn shuffle(self) -> Shuffle {
        match self {
            Format::WebDataset | Format::TfRecord | Format::Mds => Shuffle::Full,
            _ => Shuffle::None,
        }
    }

    /// Whether a split is cut into shards; otherwise it is one file.
    pub(crate) fn has_shards(self) -> bool {
        !matches!(self, Format::ImageFolder | Format::Npz | Format::Croissant)
    }

    /// Whether it stores pixels instead of files.
    pub(crate) fn has_pixels(self) -> bool {
        self == Format::Npz
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a format to export to: expected one of {}", Format::ALL.map(Format::as_str).join(", "))]
pub struct FormatError {
    text: String,
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let found = Format::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| FormatError { text: text.into() })
    }
}

/// A part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The split.
    pub split: Split,
    /// The number of the shard in its split, from 0.
    pub number: usize,
    /// The number of shards of the split.
    pub of: usize,
    /// The number of images in the shard.
    pub images: usize,
}

/// An image.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Its number in the exported part of the version, by path, from 0.
    pub number: usize,
    /// Its path in the tree.
    pub path: &'a str,
    /// Its class, as a position in `classes.csv`.
    pub label: u32,
    /// The BLAKE3 hash of its file.
    pub blake3: Digest,
    /// The width of the file's image, in pixels.
    pub width: u32,
    /// The height of the file's image, in pixels.
    pub height: u32,
    /// Its file, or its pixels if `Format::has_pixels`.
    pub bytes: &'a [u8],
}

/// Writes a format. Shards come split by split, each followed by its number of images.
pub trait Writer {
    /// Begins a shard.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written.
    fn begin(&mut self, shard: &Shard) -> Result<()>;
    /// Appends an image to the shard.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written; [`Error::Invalid`] if the format cannot hold it.
    fn image(&mut self, image: &Image<'_>) -> Result<()>;
    /// Ends the last shard, and writes the files that describe all shards.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written.
    fn finish(&mut self) -> Result<()>;
}

impl Format {
    /// Checks that this program can write the format.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it was built without a feature that the format needs.
    pub fn check(self) -> Result<()> {
        match self {
            #[cfg(not(feature = "parquet"))]
            Format::Parquet | Format::HuggingFace => Err(without_parquet(self)),
            _ => Ok(()),
        }
    }
}

#[cfg(not(feature = "parquet"))]
fn without_parquet(format: Format) -> Error {
    let why = "is made of parquet files, which this isn was built without: build it with `cargo build --release --features \
               parquet`; the Python package has it";
    Error::invalid(format!("--as {format}"), why)
}

/// Returns the writer of a format, into the empty folder `dir`.
///
/// # Errors
/// Those of [`Format::check`]; [`Error::Io`] if a file cannot be created; [`Error::Internal`] for a tree,
/// which is written by a pull.
pub fn writer<'a>(format: Format, dir: &'a Path, about: &'a About<'a>) -> Result<Box<dyn Writer + 'a>> {
    Ok(match format {
        Format::WebDataset => Box::new(webdataset::WebDataset::new(dir, about)),
        Format::Npz => Box::new(npz::Npz::new(dir, about)?),
        Format::TfRecord => Box::new(tfrecord::TfRecord::new(dir, about)),
        Format::Mds => Box::new(mds::Mds::new(dir, about)?),
        Format::Croissant => Box::new(croissant::Croissant::new(dir, about)),
        #[cfg(feature = "parquet")]
        Format::Parquet => Box::new(parquet::Parquet::new(dir.to_path_buf(), about, false)?),
        #[cfg(feature = "parquet")]
        Format::HuggingFace => Box::new(parquet::Parquet::new(dir.join("data"), about, true)?),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet | Format::HuggingFace => return Err(without_parquet(format)),
        Format::ImageFolder => return Err(Error::Internal("a tree is written by a pull".into())),
    })
}
