//! [`Source`]: the raw images that a build reads, found in a folder.
//!
//! A listing does not depend on the locale or on the order in which the file system lists names. It continues
//! after a problem, so that all problems are reported at once.

mod annotated;
mod container;
pub(crate) mod ids;
mod ilsvrc2012;
mod image_folder;
mod images;
mod list;
mod listing;
pub(crate) mod look;
#[cfg(feature = "parquet")]
mod parquet;
mod rows;
pub mod tar;
pub(crate) mod whole;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::image_folder::NO_SPLIT;
pub use self::images::Images;
pub(crate) use self::listing::{image_stem, is_litter};
pub use self::tar::Indexes;
pub(crate) use self::tar::MAX_INDEX;

use serde::{Deserialize, Serialize};

use self::listing::{EXTENSIONS, Entry, Found, Listing, below, modified_ns, shown, stem_before, told};
use crate::files;
use isn_format::class::{Class, ClassId};
use isn_format::error::{Error, Mistake, Result, count};
use isn_format::shard::MAX_IMAGE_LEN;
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::SourceSpec;
use isn_format::split::Split;
use isn_format::tree::B3SUMS;

/// The layout of a source folder. It is detected, and does not influence what is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceLayout {
    /// One folder for each class, as torchvision's ImageFolder reads it.
    ImageFolder,
    /// A list of images.
    List,
    /// ImageNet's unpacked archives.
    #[default]
    Folders,
    /// ImageNet's official archives.
    Archives {
        /// How many of the two there are.
        tars: usize,
        /// Whether the other one is a folder.
        has_folders: bool,
    },
    /// ImageNet from Kaggle.
    Kaggle,
    /// ImageNet from Hugging Face.
    Parquet {
        /// The number of files.
        shards: usize,
    },
}

impl fmt::Display for SourceLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceLayout::ImageFolder => f.write_str("a folder a class"),
            SourceLayout::List => f.write_str("a list of images"),
            SourceLayout::Folders => f.write_str("unpacked folders"),
            SourceLayout::Archives { tars, has_folders } => {
                let more = if *has_folders { " and an unpacked folder" } else { "" };
                write!(f, "official archives ({}){more}", count(*tars, "tar"))
            }
            SourceLayout::Kaggle => f.write_str("Kaggle CLS-LOC"),
            SourceLayout::Parquet { shards } => {
                write!(f, "Hugging Face parquet ({})", count(*shards, "file"))
            }
        }
    }
}

/// Where the bytes of an image are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// In a file of its own, at the image's path.
    #[default]
    File,
    /// In a tar file.
    Tar {
        /// The tar file, by its position in the source.
        archive: usize,
        /// Where the bytes begin in it.
        offset: u64,
    },
    /// In a row of a parquet file.
    Row {
        /// The parquet file, by its position in the source.
        shard: usize,
        /// The row, from 0.
        row: u64,
    },
}

/// One image of a source, not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceImage<'i> {
    /// Its permanent name: the file stem in ILSVRC2012, else its path below the folder of its split or as a
    /// list has it, without its extension and with the name of the split before it.
    pub id: &'i str,
    /// Its class in the source.
    pub class: &'i ClassId,
    /// Its split in the source.
    pub split: Split,
    /// Its path, as shown to the user, relative to the root with `/` between segments; for an image in an
    /// archive, the path of the archive followed by the path inside it.
    pub path: &'i str,
    /// Its length in bytes; 0 in a parquet file, where it is not known before reading.
    pub len: u64,
    /// The last modification time of its file, or of the archive that holds it, in nanoseconds since 1970.
    /// Together with `len`, a cheap way to tell whether it is the same.
    pub modified_ns: i128,
    /// Where its bytes are, for [`Source::read`].
    pub position: Position,
}

/// The images of a recipe's classes in a folder.
#[derive(Clone, Debug)]
pub struct Source {
    /// The kind of source.
    pub kind: SourceKind,
    /// The layout of the folder.
    pub layout: SourceLayout,
    /// The folder.
    pub root: PathBuf,
    /// The images, with each `id` once. In ILSVRC2012 they are sorted by split and `id`, so the order is the
    /// same in all layouts; otherwise by the bytes of `path`.
    pub images: Images,
    /// The images that a list has and the folder does not, sorted by `id`.
    pub absent: Vec<Absent>,
    /// The rows that name them, in words; of many, the first.
    pub absent_rows: Vec<String>,
    /// Whether it is known to be a part of the whole source, so that what is said of other images is no
    /// mistake.
    pub is_part: bool,
    /// What was left out without being asked for, one line each.
    pub warnings: Vec<String>,
    /// The files and folders that were left out, each with the reason.
    pub left_out: Vec<LeftOut>,
    holders: Arc<Holders>,
}

/// An image that a list has, and whose file is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Its source id.
    pub id: String,
    /// Its class in the list.
    pub class: ClassId,
    /// Its split in the list.
    pub split: Split,
}

/// A file or folder that is no image of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path, as that of an image.
    pub path: String,
    /// What it is, if that is known, or else why it was left out.
    pub why: String,
    /// The class in whose folder it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
    /// How many images are in it, if any are: of those that are in large folders, those that were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
}

/// The open files that hold many images.
#[derive(Debug, Default)]
struct Holders {
    tars: Vec<tar::Archive>,
    #[cfg(feature = "parquet")]
    shards: Vec<parquet::Shard>,
}

/// What was found in a folder, which may be incomplete.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The images that can be read.
    pub source: Source,
    /// What is missing, damaged or misplaced.
    pub problems: Vec<Mistake>,
    /// Rows of a list of labels in the folder that disagree with the known labels.
    pub differing_labels: Vec<String>,
}

/// The maximum number of differing labels in the warnings of a build.
const LABELS_NAMED: usize = 20;

impl Source {
    /// Lists the images of `classes` below `root`. Symlinks are followed. Names that start with a dot and the
    /// litter of file managers (`Thumbs.db`, …) are skipped; other files that are not named `.jpeg`, `.jpg`
    /// or `.png` (in any case) are left out with a warning, and so are folders that start with a dot and have
    /// images.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Source`] if `root` is not a folder; [`Error::Mistakes`] with every missing
    /// folder, unreadable file, name that is not UTF-8, misplaced image, pair of files with one source id,
    /// and row of a list without an image.
    pub fn open(spec: &SourceSpec, root: &Path, classes: &[Class]) -> Result<Source> {
        let mut survey = Self::survey(spec, root, classes, None)?;
        let rows = survey.source.absent_rows.drain(..);
        survey.problems.extend(rows.map(|why| Mistake { line: None, why }));
        survey.into_source(root)
    }

    /// Lists the images like [`Source::open`], also if a list has more than there are, with `indexes`, where
    /// indexes of tar files may be kept.
    ///
    /// # Errors
    /// Those of [`Source::open`].
    pub(crate) fn open_with(
        spec: &SourceSpec,
        root: &Path,
        classes: &[Class],
        indexes: Option<&Indexes>,
    ) -> Result<Source> {
        Self::survey(spec, root, classes, indexes)?.into_source(root)
    }

    /// Lists the images that can be read, even if problems are found.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Source`] if `root` is not a folder.
    pub(crate) fn survey(
        spec: &SourceSpec,
        root: &Path,
        classes: &[Class],
        indexes: Option<&Indexes>,
    ) -> Result<Survey> {
        if !fs::metadata(root).map_err(Error::io("read", root))?.is_dir() {
            return Err(Error::Source { root: root.into(), why: "is not a folder".into() });
        }
        let mut listing = Listing::new(root, indexes);
        match spec.kind {
            SourceKind::Ilsvrc2012 => ilsvrc2012::list(&mut listing, classes),
            SourceKind::ImageFolder => image_folder::list(&mut listing, spec, classes),
            SourceKind::List => list::list(&mut listing, spec, classes),
        }
        Ok(listing.finish(spec.kind))
    }

    /// Returns the path of the file of `image`. For an image in an archive, returns the folder of the source.
    pub fn path_of(&self, image: SourceImage<'_>) -> PathBuf {
        match image.position {
            Position::File => join(&self.root, image.path),
            _ => self.root.clone(),
        }
    }

    /// Reads the bytes of `image`. Can be called from many threads at once, and is fastest in the order of
    /// `Source::sort_for_reading`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] if the file, or the archive that holds
    /// it, has changed since it was listed.
    pub fn read(&self, image: SourceImage<'_>) -> Result<Vec<u8>> {
        let gone = || Error::Internal(format!("{} is in no open archive", image.path));
        match image.position {
            Position::Tar { archive, offset } => {
                self.holders.tars.get(archive).ok_or_else(gone)?.read(offset, image.len)
            }
            #[cfg(feature = "parquet")]
            Position::Row { shard, row } => self.holders.shards.get(shard).ok_or_else(gone)?.read(row),
            #[cfg(not(feature = "parquet"))]
            Position::Row { .. } => Err(gone()),
            Position::File => {
                let path = self.path_of(image);
                let bytes = files::read_capped(&path, MAX_IMAGE_LEN)?;
                if bytes.len() as u64 != image.len {
                    let why =
                        format!("changed during the build: {} bytes long, it was {}", bytes.len(), image.len);
                    return Err(Error::invalid(path.display(), why));
                }
                Ok(bytes)
            }
        }
    }

    /// Sorts items whose images (indexes of [`Source::images`]) are given by `at`, so that no part of a
    /// parquet file is read twice. Other layouts can be read in any order and are not sorted.
    pub(crate) fn sort_for_reading<T>(&self, things: &mut [T], at: impl Fn(&T) -> usize) {
        if matches!(self.layout, SourceLayout::Parquet { .. }) {
            things.sort_by_key(|thing| self.images.get(at(thing)).position);
        }
    }
}

impl Survey {
    /// Returns the source in the folder `root`.
    ///
    /// # Errors
    /// [`Error::Mistakes`] with every problem, or [`Error::Source`] if one thing explains them.
    fn into_source(self, root: &Path) -> Result<Source> {
        let Survey { mut source, problems, differing_labels } = self;
        if !problems.is_empty() {
            let refuse = |why: String| Err(Error::Source { root: root.into(), why });
            if fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none()) {
                return refuse("is empty".into());
            }
            if files::is_tree(root) {
                return refuse(format!("is a tree that isn wrote (it has {B3SUMS}), not source images"));
            }
            let is_split = root.file_name().and_then(|name| name.to_str()?.parse::<Split>().ok()).is_some();
            if is_split && source.images.is_empty() {
                let above = files::parent(root).display();
                return refuse(format!("is the folder of one split: did you mean --source {above}?"));
            }
            let what = format!("source {}", root.display());
            return Err(Error::Mistakes { what, mistakes: problems });
        }
        let more = differing_labels.len().saturating_sub(LABELS_NAMED);
        source.warnings.extend(differing_labels.into_iter().take(LABELS_NAMED));
        if more > 0 {
            source
                .warnings
                .push(format!("{} more like this: `isn source check` names all", count(more, "label")));
        }
        Ok(source)
    }
}

#[cfg(test)]
impl Source {
    /// Makes a source for tests that do not read images.
    pub(crate) fn of_images<'i>(kind: SourceKind, of: impl IntoIterator<Item = SourceImage<'i>>) -> Self {
        let mut images = Images::default();
        of.into_iter().for_each(|image| images.push(&image));
        let layout = SourceLayout::ImageFolder;
        let (warnings, left_out) = (Vec::new(), Vec::new());
        Source {
            kind,
            layout,
            root: "root".into(),
            images,
            absent: Vec::new(),
            absent_rows: Vec::new(),
            is_part: false,
            warnings,
            left_out,
            holders: Arc::default(),
        }
    }
}

fn join(root: &Path, path: &str) -> PathBuf {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .fold(root.to_path_buf(), |at, segment| at.join(segment))
}

#[cfg(test)]
mod layout_tests;
#[cfg(test)]
mod tests;
