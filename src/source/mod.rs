//! [`Source`]: the raw images that a build reads, found in a folder.
//!
//! A listing is the same whatever the order in which the file system names things, and whatever the locale.
//! It goes on after a problem, so that all of them are told at once.

pub mod ilsvrc2012;
mod image_folder;

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use crate::class::{Class, ClassId};
use crate::error::{Error, Mistake, Result, count};
use crate::split::Split;

/// How a source folder is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// ImageNet 2012 as its archives unpack: [`ilsvrc2012`].
    Ilsvrc2012,
    /// A folder a class, below `train/`, `val/` and `test/` or without splits, as torchvision's ImageFolder
    /// reads.
    ImageFolder,
}

impl SourceKind {
    /// All of them.
    pub const ALL: [SourceKind; 2] = [SourceKind::Ilsvrc2012, SourceKind::ImageFolder];

    /// As in a recipe: `ilsvrc2012` or `imagefolder`.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Ilsvrc2012 => "ilsvrc2012",
            SourceKind::ImageFolder => "imagefolder",
        }
    }

    /// The split that the source has an image in, as its id tells.
    pub fn origin(self, source_id: &str) -> Split {
        match self {
            SourceKind::Ilsvrc2012 if source_id.starts_with("ILSVRC2012_val_") => Split::Val,
            SourceKind::Ilsvrc2012 => Split::Train,
            // No class has the name of a split, so a first folder of that name is one.
            SourceKind::ImageFolder => {
                let first = source_id.split('/').next().unwrap_or_default();
                first.parse().unwrap_or(Split::Train)
            }
        }
    }
}

impl FromStr for SourceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = SourceKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| format!("'{text}' is no kind of source that this isn knows"))
    }
}

/// One image of a source; nothing of it has been read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceImage {
    /// Its name for ever: the file stem in ILSVRC2012, else `path` without its extension.
    pub id: String,
    /// Its class in the source.
    pub class: ClassId,
    /// Its split in the source.
    pub split: Split,
    /// Its file, relative to the root, with `/` between segments.
    pub path: String,
    /// The file's length in bytes.
    pub len: u64,
    /// When the file was last written, in nanoseconds since 1970; with `len`, a cheap sign that it is the
    /// same file.
    pub modified_ns: i128,
}

/// The images of a recipe's classes in a folder.
#[derive(Clone, Debug)]
pub struct Source {
    /// How the folder is laid out.
    pub kind: SourceKind,
    /// The folder.
    pub root: PathBuf,
    /// Sorted by the bytes of `path`; every `id` once.
    pub images: Vec<SourceImage>,
    /// What was left out although nobody asked for that, a line each.
    pub warnings: Vec<String>,
}

impl Source {
    /// Lists the images of `classes` below `root`. Symbolic links are followed. Names that start with a dot
    /// and what file managers leave behind (`Thumbs.db`, …) are passed over; other files that are not
    /// `.jpeg`, `.jpg` or `.png` by name (in any case) are left out with a warning.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Invalid`] if `root` is not a folder; [`Error::Mistakes`] with every missing
    /// folder, unreadable file, name that is not UTF-8, misplaced image and pair of files with one source id.
    pub fn open(kind: SourceKind, root: &Path, classes: &[Class]) -> Result<Source> {
        if !fs::metadata(root).map_err(Error::io("read", root))?.is_dir() {
            return Err(Error::invalid(root.display(), "is not a folder"));
        }
        let mut listing = Listing { root, images: Vec::new(), problems: Vec::new(), warnings: Vec::new() };
        match kind {
            SourceKind::Ilsvrc2012 => ilsvrc2012::list(&mut listing, classes),
            SourceKind::ImageFolder => image_folder::list(&mut listing, classes),
        }
        listing.finish(kind)
    }

    /// Where the file of `image` is.
    pub fn path_of(&self, image: &SourceImage) -> PathBuf {
        join(&self.root, &image.path)
    }

    /// The bytes of the file of `image`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Invalid`] if the file is not as long as it was when it was listed.
    pub fn read(&self, image: &SourceImage) -> Result<Vec<u8>> {
        let path = self.path_of(image);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        if bytes.len() as u64 != image.len {
            let why = format!("changed during the build: {} bytes long, it was {}", bytes.len(), image.len);
            return Err(Error::invalid(path.display(), why));
        }
        Ok(bytes)
    }
}

fn join(root: &Path, path: &str) -> PathBuf {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .fold(root.to_path_buf(), |at, segment| at.join(segment))
}

/// What is found while a source is listed.
struct Listing<'r> {
    root: &'r Path,
    images: Vec<SourceImage>,
    problems: Vec<Mistake>,
    warnings: Vec<String>,
}

/// A file or folder, links followed.
struct Entry {
    name: String,
    is_dir: bool,
}

impl Entry {
    /// The name without its extension, if that says JPEG or PNG.
    fn image_stem(&self) -> Option<&str> {
        let (stem, extension) = self.name.rsplit_once('.')?;
        let known = ["jpeg", "jpg", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known));
        (known && !self.is_dir && !stem.is_empty()).then_some(stem)
    }
}

impl Listing<'_> {
    fn problem(&mut self, why: String) {
        self.problems.push(Mistake { line: None, why });
    }

    /// The files and folders in the folder `path`, sorted by the bytes of their names.
    fn entries(&mut self, path: &str) -> Vec<Entry> {
        let folder = join(self.root, path);
        let mut entries = Vec::new();
        let found: Vec<_> = match fs::read_dir(&folder).and_then(Iterator::collect) {
            Ok(found) => found,
            Err(error) => {
                self.problem(format!("{}: cannot be listed: {error}", shown(path)));
                return entries;
            }
        };
        for entry in found {
            let name = match entry.file_name().into_string() {
                Ok(name) => name,
                Err(name) => {
                    let name = below(path, &name.to_string_lossy());
                    self.problem(format!("{name}: the name is not UTF-8: rename it"));
                    continue;
                }
            };
            if is_litter(&name) {
                continue;
            }
            let kind = entry.file_type().and_then(|kind| match kind.is_symlink() {
                true => fs::metadata(entry.path()).map(|target| target.file_type()),
                false => Ok(kind),
            });
            match kind {
                Ok(kind) if kind.is_dir() || kind.is_file() => {
                    entries.push(Entry { name, is_dir: kind.is_dir() })
                }
                Ok(_) => self.problem(format!("{}: is neither a file nor a folder", below(path, &name))),
                Err(error) => self.problem(format!("{}: cannot be read: {error}", below(path, &name))),
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Adds the image file `path`.
    fn add(&mut self, path: String, id: String, class: &ClassId, split: Split) {
        match fs::metadata(join(self.root, &path)) {
            Ok(file) => self.images.push(SourceImage {
                id,
                class: class.clone(),
                split,
                path,
                len: file.len(),
                modified_ns: modified_ns(&file),
            }),
            Err(error) => self.problem(format!("{path}: cannot be read: {error}")),
        }
    }

    /// Warns of things in the folder `path` that no rule takes, in one line.
    fn left_out(&mut self, path: &str, names: &[&str], why: &str) {
        const SHOWN: usize = 3;
        if names.is_empty() {
            return;
        }
        let more = if names.len() > SHOWN { ", …" } else { "" };
        let what = count(names.len(), "name");
        let names = names[..names.len().min(SHOWN)].join(", ");
        self.warnings.push(format!("{}: left out {what}, {why}: {names}{more}", shown(path)));
    }

    fn finish(mut self, kind: SourceKind) -> Result<Source> {
        self.images.sort_unstable_by(|a, b| a.id.cmp(&b.id).then_with(|| a.path.cmp(&b.path)));
        let twins: Vec<String> = self
            .images
            .windows(2)
            .filter(|pair| pair[0].id == pair[1].id)
            .map(|pair| format!("{} and {} have one source id, {}", pair[0].path, pair[1].path, pair[0].id))
            .collect();
        twins.into_iter().for_each(|why| self.problem(why));
        self.images.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        if !self.problems.is_empty() {
            let what = format!("source {}", self.root.display());
            return Err(Error::Mistakes { what, mistakes: self.problems });
        }
        Ok(Source { kind, root: self.root.to_path_buf(), images: self.images, warnings: self.warnings })
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}/{name}") }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the source folder" } else { path }
}

/// Hidden files, and what Windows, macOS and network drives put into folders by themselves.
fn is_litter(name: &str) -> bool {
    const LITTER: [&str; 4] = ["thumbs.db", "desktop.ini", "__macosx", "@eadir"];
    name.starts_with('.') || LITTER.iter().any(|litter| name.eq_ignore_ascii_case(litter))
}

/// 0 where the file system keeps no time.
fn modified_ns(file: &Metadata) -> i128 {
    match file.modified().map(|time| time.duration_since(UNIX_EPOCH)) {
        Ok(Ok(after)) => after.as_nanos() as i128,
        Ok(Err(before)) => -(before.duration().as_nanos() as i128),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests;
