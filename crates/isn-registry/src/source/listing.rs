//! [`Listing`]: finds the images of a source, and says what it leaves out.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

#[cfg(feature = "parquet")]
use super::parquet;
use super::tar::{self, Indexes};
use super::{Absent, Holders, Images, LeftOut, Position, Source, SourceImage, SourceLayout, Survey, join};
use crate::files;
use isn_format::class::ClassId;
use isn_format::error::{Error, Mistake, chain, count};
use isn_format::shard::MAX_IMAGE_LEN;
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::nfc;
use isn_format::split::Split;
use isn_pixels::{START, told_format};

/// Folders that start with a dot, and have no pictures of anybody's.
const KNOWN_HIDDEN: [&str; 6] = [".cache", ".git", ".ipynb_checkpoints", ".svn", ".thumbnails", ".trash"];

/// In how many folders names that are left out for one reason are told one by one.
const TOLD: usize = 20;

/// How many names are looked at in folders that are left out: counting may take no longer than a build.
const COUNTED: usize = 100_000;

/// The state while a source is listed.
pub(super) struct Listing<'r> {
    pub(super) root: &'r Path,
    /// Where indexes of tar files may be kept.
    pub(super) indexes: Option<Indexes>,
    pub(super) layout: SourceLayout,
    pub(super) images: Images,
    pub(super) tars: Vec<tar::Archive>,
    #[cfg(feature = "parquet")]
    pub(super) shards: Vec<parquet::Shard>,
    /// Images that a list has and the folder does not, and the rows that name them, in words.
    pub(super) absent: Vec<Absent>,
    pub(super) absent_rows: Vec<String>,
    pub(super) problems: Vec<Mistake>,
    pub(super) differing_labels: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) left_out: Vec<LeftOut>,
    /// The files that are read for the classes of images: they are not left out.
    pub(super) lists: Vec<String>,
    /// In how many folders names were left out, by the reason.
    reasons: BTreeMap<String, usize>,
    /// How many more names may be looked at in folders that are left out.
    uncounted: usize,
}

/// Where an image was found.
pub(super) struct Found {
    pub(super) path: String,
    pub(super) len: u64,
    pub(super) modified_ns: i128,
    pub(super) position: Position,
}

/// A file or folder, with symlinks followed.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_dir: bool,
}

impl Entry {
    /// Returns the name without its extension, if that is one of JPEG or PNG in a source of version 1.
    pub(super) fn image_stem(&self) -> Option<&str> {
        stem_before(&self.name, &EXTENSIONS).filter(|_| !self.is_dir)
    }
}

/// The extensions of images, in any case. The sources of version 1 have those of the first list alone.
pub(super) const EXTENSIONS: [&str; 3] = ["jpeg", "jpg", "png"];
const MORE_EXTENSIONS: [&str; 3] = ["jfif", "jpe", "pjpeg"];

/// Returns a file name without its extension, if that is one of JPEG or PNG.
pub(crate) fn image_stem(name: &str) -> Option<&str> {
    stem_before(name, &MORE_EXTENSIONS).or_else(|| stem_before(name, &EXTENSIONS))
}

pub(super) fn stem_before<'n>(name: &'n str, extensions: &[&str]) -> Option<&'n str> {
    let (stem, extension) = name.rsplit_once('.')?;
    let known = extensions.iter().any(|known| extension.eq_ignore_ascii_case(known));
    (known && !stem.is_empty()).then_some(stem)
}

/// Returns what a file is that is no image by its name, if that is known.
pub(crate) fn told(path: &Path) -> Option<&'static str> {
    let mut start = Vec::new();
    files::open(path).ok()?.take(START as u64).read_to_end(&mut start).ok()?;
    told_format(&start)
}

impl<'r> Listing<'r> {
    pub(super) fn new(root: &'r Path, indexes: Option<&Indexes>) -> Self {
        Listing {
            root,
            indexes: indexes.cloned(),
            layout: SourceLayout::default(),
            images: Images::default(),
            tars: Vec::new(),
            #[cfg(feature = "parquet")]
            shards: Vec::new(),
            absent: Vec::new(),
            absent_rows: Vec::new(),
            problems: Vec::new(),
            differing_labels: Vec::new(),
            warnings: Vec::new(),
            left_out: Vec::new(),
            lists: Vec::new(),
            reasons: BTreeMap::new(),
            uncounted: COUNTED,
        }
    }

    pub(super) fn problem(&mut self, why: String) {
        self.problems.push(Mistake { line: None, why });
    }

    /// Reports an error about one file, with its cause, as one of many problems.
    pub(super) fn problem_of(&mut self, error: &Error) {
        self.problem(chain(error));
    }

    /// Returns the files and folders in the folder `path`, sorted by the bytes of their names.
    pub(super) fn entries(&mut self, path: &str) -> Vec<Entry> {
        let folder = join(self.root, path);
        let (mut entries, mut hidden) = (Vec::new(), Vec::new());
        let found: Vec<_> = match fs::read_dir(&folder).and_then(Iterator::collect) {
            Ok(found) => found,
            Err(error) => {
                self.problem(format!("{} cannot be listed: {error}", shown(path)));
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
                hidden.push(name);
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
                Ok(_) => self.problem(format!("{} is neither a file nor a folder", below(path, &name))),
                Err(error) => self.problem(format!("{} cannot be read: {error}", below(path, &name))),
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.hidden(path, hidden);
        entries
    }

    /// Leaves out the folders among these names, which [`is_litter`], if they may be somebody's pictures.
    fn hidden(&mut self, path: &str, mut names: Vec<String>) {
        names.retain(|name| {
            let is_known = KNOWN_HIDDEN.iter().any(|known| name.eq_ignore_ascii_case(known));
            let inner = below(path, name);
            let is_folder =
                || fs::symlink_metadata(join(self.root, &inner)).is_ok_and(|about| about.is_dir());
            let is_new = || self.left_out.iter().all(|left| left.path != inner);
            name.starts_with('.') && !is_known && is_folder() && is_new() && self.count_images(&inner) > 0
        });
        names.sort_unstable();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.left_out(path, None, &names, "its name starts with a dot");
    }

    /// Counts the files in a folder and below it that are images by their names, as far as it may look. It
    /// follows no link.
    fn count_images(&mut self, path: &str) -> u64 {
        let (mut images, mut open) = (0, vec![join(self.root, path)]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Some(left) = self.uncounted.checked_sub(1) else { return images };
                self.uncounted = left;
                let Ok(name) = entry.file_name().into_string() else { continue };
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && !is_litter(&name) => open.push(entry.path()),
                    Ok(kind) if kind.is_file() && !is_litter(&name) && image_stem(&name).is_some() => {
                        images += 1
                    }
                    _ => {}
                }
            }
        }
        images
    }

    /// Finds the image file `path`. Reports a problem if it cannot be found.
    pub(super) fn find(&mut self, path: String) -> Option<Found> {
        match fs::metadata(join(self.root, &path)) {
            Ok(file) => Some(Found {
                path,
                len: file.len(),
                modified_ns: modified_ns(&file),
                position: Position::File,
            }),
            Err(error) => {
                self.problem(format!("{path} cannot be read: {error}"));
                None
            }
        }
    }

    /// Adds an image. Reports a problem if it is too long for one.
    pub(super) fn add_found(&mut self, found: Found, id: String, class: &ClassId, split: Split) {
        let Found { path, len, modified_ns, position } = found;
        if len > MAX_IMAGE_LEN {
            return self.problem(format!("{path} has {len} bytes, and an image has at most {MAX_IMAGE_LEN}"));
        }
        let (id, path) = (&id[..], &path[..]);
        self.images.push(&SourceImage { id, class, split, path, len, modified_ns, position });
    }

    /// Leaves out names in the folder `path`, which is one of `class` or of none. Warns about them in one
    /// line.
    pub(super) fn left_out(&mut self, path: &str, class: Option<&ClassId>, names: &[&str], why: &str) {
        const SHOWN: usize = 3;
        let is_left = |name: &&&str| {
            let inner = below(path, name);
            self.lists.iter().all(|list| nfc(list) != nfc(&inner))
        };
        let names: Vec<&str> = names.iter().filter(is_left).copied().collect();
        if names.is_empty() {
            return;
        }
        let mut named: Vec<String> = Vec::new();
        for name in &names {
            let inner = below(path, name);
            let is_image = image_stem(name).is_some();
            let file = join(self.root, &inner);
            let images = match is_image && file.is_file() {
                true => 1,
                false => self.count_images(&inner),
            };
            let images = Some(images).filter(|images| *images > 0);
            let told = if images.is_none() { told(&file) } else { None };
            if named.len() < SHOWN {
                let about = images.map(|n| count(n as usize, "image")).or(told.map(Into::into));
                named.push(about.map_or_else(|| (*name).into(), |about: String| format!("{name} ({about})")));
            }
            let why = told.unwrap_or(why).into();
            self.left_out.push(LeftOut { path: inner, why, class: class.cloned(), images });
        }
        let folders = self.reasons.entry(why.to_owned()).or_default();
        *folders += 1;
        if *folders > TOLD {
            return;
        }
        let more = if names.len() > SHOWN { ", …" } else { "" };
        let what = count(names.len(), "name");
        let names = named.join(", ");
        self.warnings.push(format!("{}: left out {what}, {why}: {names}{more}", shown(path)));
    }

    pub(super) fn finish(mut self, kind: SourceKind) -> Survey {
        for (why, folders) in &self.reasons {
            if let Some(more) = folders.checked_sub(TOLD).filter(|more| *more > 0) {
                let folders = count(more, "more folder");
                self.warnings.push(format!(
                    "in {folders}, names are left out, {why}: `isn source check --json` lists all"
                ));
            }
        }
        self.images.shrink();
        self.images.sort_by(|a, b| a.id.cmp(b.id).then(a.path.cmp(b.path)));
        let pairs = self.images.iter().zip(self.images.iter().skip(1));
        let twins: Vec<String> = pairs
            .filter(|(a, b)| a.id == b.id)
            .map(|(a, b)| {
                // Two spellings of a character look the same.
                let (one, other) = match nfc(a.path) == nfc(b.path) {
                    true => (a.path.escape_default().to_string(), b.path.escape_default().to_string()),
                    false => (a.path.to_owned(), b.path.to_owned()),
                };
                format!("{one} and {other} have one source id, {}: rename one", a.id)
            })
            .collect();
        twins.into_iter().for_each(|why| self.problem(why));
        match kind {
            // Images with one id are a problem.
            SourceKind::Ilsvrc2012 => self
                .images
                .sort_by(|a, b| a.split.cmp(&b.split).then(a.id.cmp(b.id)).then(a.path.cmp(b.path))),
            SourceKind::ImageFolder | SourceKind::List => self.images.sort_by(|a, b| a.path.cmp(b.path)),
        }
        // Two rows may be about one image.
        self.absent.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.absent.dedup_by(|a, b| a.id == b.id);
        let holders = Arc::new(Holders {
            tars: self.tars,
            #[cfg(feature = "parquet")]
            shards: self.shards,
        });
        let source = Source {
            kind,
            layout: self.layout,
            root: self.root.to_path_buf(),
            images: self.images,
            absent: self.absent,
            absent_rows: self.absent_rows,
            is_part: false,
            warnings: self.warnings,
            left_out: self.left_out,
            holders,
        };
        Survey { source, problems: self.problems, differing_labels: self.differing_labels }
    }
}

pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}/{name}") }
}

pub(super) fn shown(path: &str) -> &str {
    if path.is_empty() { "the source folder" } else { path }
}

/// Whether a name is of a hidden file, or of what Windows, macOS and network drives put into folders by
/// themselves.
pub(crate) fn is_litter(name: &str) -> bool {
    const LITTER: [&str; 4] = ["thumbs.db", "desktop.ini", "__macosx", "@eadir"];
    name.starts_with('.') || LITTER.iter().any(|litter| name.eq_ignore_ascii_case(litter))
}

/// Returns the modification time; 0 if the file system does not record it.
pub(super) fn modified_ns(file: &Metadata) -> i128 {
    match file.modified().map(|time| time.duration_since(UNIX_EPOCH)) {
        Ok(Ok(after)) => after.as_nanos() as i128,
        Ok(Err(before)) => -(before.duration().as_nanos() as i128),
        Err(_) => 0,
    }
}
