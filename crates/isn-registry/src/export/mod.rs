//! Versions in the formats that other tools read: one writer a format. What is written depends on the version and on what
//! was asked for, never on the machine, the time or the number of threads. docs/export.md has each format's layout.

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
    /// A folder a split, in it a folder a class: the tree of a pull.
    ImageFolder,
    /// Tars of samples, for the library `webdataset`.
    WebDataset,
    /// Parquet with the files' bytes.
    Parquet,
    /// The same with a dataset card, for Hugging Face `datasets` and its hub.
    HuggingFace,
    /// Arrays of pixels, for NumPy.
    Npz,
    /// Records of `tf.train.Example`, as TensorFlow Datasets lays them out.
    TfRecord,
    /// MosaicML's streaming format.
    Mds,
    /// Tars of the tree with a description in Croissant 1.0.
    Croissant,
}

impl Format {
    /// All of them.
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

    /// Its name on the command line.
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

    /// How images are mixed. What is read from its beginning to its end, a shard at a time, is mixed beforehand: readers
    /// only mix what is near. The rest is in the order of paths.
    pub fn shuffle(self) -> Shuffle {
        match self {
            Format::WebDataset | Format::TfRecord | Format::Mds => Shuffle::Full,
            _ => Shuffle::None,
        }
    }

    /// Whether a split is cut into shards; else it is one file.
    pub fn has_shards(self) -> bool {
        !matches!(self, Format::ImageFolder | Format::Npz | Format::Croissant)
    }

    /// Whether it has pixels, not files.
    pub fn has_pixels(self) -> bool {
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
    /// Which of its shards, from 0.
    pub number: usize,
    /// How many shards the split has.
    pub of: usize,
    /// How many images are in this one.
    pub images: usize,
}

/// An image.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Its number in the version, or in the part of it that is exported: by its path, from 0.
    pub number: usize,
    /// Where it stands in the tree.
    pub path: &'a str,
    /// Its class, a rank in `classes.csv`.
    pub label: u32,
    /// BLAKE3 of its file.
    pub blake3: Digest,
    /// In pixels, of the file.
    pub width: u32,
    /// In pixels, of the file.
    pub height: u32,
    /// Its file, or its pixels where [`Format::has_pixels`].
    pub bytes: &'a [u8],
}

/// What writes a format. Shards come split by split, each followed by as many images as it says.
pub trait Writer {
    /// Begins a shard.
    fn begin(&mut self, shard: &Shard) -> Result<()>;
    /// Appends an image to it.
    fn image(&mut self, image: &Image<'_>) -> Result<()>;
    /// Ends the last shard, and writes what describes them all.
    fn finish(&mut self) -> Result<()>;
}

impl Format {
    /// Whether this program can write it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it was built without what that needs.
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

/// The writer of a format, into the empty folder `dir`.
///
/// # Errors
/// As [`Format::check`]; and [`Error::Internal`] for a tree, which is a pull's to write.
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
