//! `isn export`: writes a version in the format of another tool. The output folder is whole or absent.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::cite::{CitationFormat, citation};
use super::load::{LoadOptions, load};
use super::pull::seeds::Reuse;
use super::pull::{PullOptions, Unreleased, pull};
use crate::client::Client;
use crate::client::version_at::VersionAt;
use crate::dataset::{Batch, Dataset, Verify};
use crate::export::{About, Format, Image, Shard, Writer, writer};
use crate::files::{self, Workplace};
use crate::identity::Identity;
use crate::parallel::in_order;
use crate::progress::{Progress, Unit};
use crate::steps::unsigned;
use isn_format::augment::{Augment, Crop};
use isn_format::error::{Error, Missing, Result, There};
use isn_format::order::order;
use isn_format::pixel_spec::ExifOrientation;
use isn_format::split::Split;
use isn_format::tree::{ISN_JSON, Selection};
use isn_pixels::{SampleOrder, dimensions};

/// The number of images that each thread may read ahead of the writer.
const AHEAD: usize = 4;
/// The maximum number of attempts: one that trusts the cache, one that checks every image first, and one more
/// if that found damage.
const TRIES: usize = 3;

/// What to export, and how.
pub struct ExportOptions<'a> {
    /// The version.
    pub version: &'a VersionAt,
    /// The part of it to export.
    pub selection: &'a Selection,
    /// The output format.
    pub format: Format,
    /// The output folder. By default `./NAME-VERSION-FORMAT`, or for a tree `./NAME-VERSION`, as for a pull.
    pub to: Option<&'a Path>,
    /// The size of a shard, in bytes of images.
    pub shard_bytes: u64,
    /// For arrays: the width and height in pixels to which the largest central square of each image is
    /// resampled. `None` keeps images as they are.
    pub size: Option<u32>,
    /// The number of threads that read, check and decode.
    pub jobs: usize,
}

/// The outcome of an export.
pub struct ExportReport {
    /// The version.
    pub identity: Identity,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// The parts of the version that no signature covers.
    pub unsigned: &'static [&'static str],
    /// The output folder.
    pub path: PathBuf,
    /// The number of images in it.
    pub images: u64,
    /// The number of files, and the sum of their lengths in bytes.
    pub files: (u64, u64),
}

/// Exports a version.
///
/// # Errors
/// Those of opening and reading the version; [`Error::Exists`] if the output folder already exists;
/// [`Error::Invalid`] if the format cannot hold the images; [`Error::NoRoom`] if the disk is too full.
pub fn export(client: &Client, options: &ExportOptions<'_>, progress: &dyn Progress) -> Result<ExportReport> {
    options.format.check()?;
    if options.size.is_some() && !options.format.has_pixels() {
        let why = format!("is for npz: {} has the images as they are", options.format);
        return Err(Error::invalid("--size", why));
    }
    if options.format == Format::ImageFolder {
        return tree(client, options, progress);
    }
    // An output folder that the user named can be checked before anything is fetched.
    options.to.map_or(Ok(()), |to| {
        let place = files::destination(to)?;
        client.check_is_no_registry(to)?;
        if let VersionAt::Folder(folder) = options.version {
            files::check_apart(&place, "the folder that is exported", folder)?;
        }
        check_free(&place)
    })?;
    let (version, selection) = (options.version, options.selection);
    let mut opening =
        LoadOptions { version, selection, verify: Verify::Once, jobs: options.jobs, anew: false };
    let mut damage = None;
    for _ in 1..TRIES {
        let dataset = match (load(client, &opening, progress), damage.take()) {
            (Ok(dataset), _) => dataset,
            // The damage found here explains more than the failure to fetch the image from elsewhere.
            (Err(Error::Network { .. } | Error::SourceNeeded { .. }), Some(damage)) => return Err(damage),
            (Err(e), _) => return Err(e),
        };
        let failure = match write(&dataset, options, progress) {
            Err(e) => e,
            written => return written,
        };
        let helps = match failure {
            // The places of the images were a hint, from the cache or from one registry. The next attempt
            // checks every image first.
            Error::Integrity { .. } | Error::Network { .. } => !opening.anew || dataset.set_aside() > 0,
            // The lengths and sizes were a hint from the cache, and may be wrong although the images are
            // right.
            Error::NoRoom { .. } | Error::Invalid { .. } => dataset.is_by_kept_table(),
            _ => false,
        };
        if !helps {
            return Err(failure);
        }
        (opening.anew, damage) = (true, Some(failure));
    }
    write(&load(client, &opening, progress)?, options, progress)
}

fn write(dataset: &Dataset, options: &ExportOptions<'_>, progress: &dyn Progress) -> Result<ExportReport> {
    let it = dataset.identity();
    let version = it.whole()?;
    let to = options
        .to
        .map(files::destination)
        .transpose()?
        .unwrap_or_else(|| PathBuf::from(format!("{}-{}-{}", it.name, version, options.format)));
    check_free(&to)?;
    let plan = Plan::new(dataset, options)?;
    plan.check_room(&to)?;
    let Some(work) = Workplace::open(&to, "")? else {
        let why = ": another isn is writing to it";
        return Err(Error::exists(There::Running, to.display(), why));
    };
    // What a killed export left cannot be known to be whole, so it is removed.
    work.own.clear()?;
    let root = work.own.folder("export")?;
    let written = plan.write(&root, progress).and_then(|()| {
        files::sync_file_system(&root)?;
        let files = lengths(&root)?;
        work.own.check()?;
        match files::rename_new_and(&root, &to, || progress.complete())? {
            true => Ok((files.len() as u64, files.iter().map(|(_, length)| length).sum())),
            false => Err(taken(&to)),
        }
    });
    let _ = work.discard();
    let (unsigned, images) = (dataset.unsigned(), dataset.len() as u64);
    let warnings = dataset.warnings().iter().cloned().chain(unsigned::notice(unsigned)).collect();
    Ok(ExportReport { identity: it.clone(), warnings, unsigned, path: to, images, files: written? })
}

/// A tree already is an image folder, so this is a pull.
fn tree(client: &Client, options: &ExportOptions<'_>, progress: &dyn Progress) -> Result<ExportReport> {
    let options = PullOptions {
        version: options.version,
        to: options.to,
        selection: options.selection.clone(),
        source: None,
        unreleased: Unreleased::Refuse,
        reuse: Reuse::Copy,
        jobs: options.jobs,
        may_be_at: &|_| Ok(()),
    };
    let report = pull(client, options, progress)?;
    let files = lengths(&report.path)?;
    let head = report.snapshot.head;
    let unsigned = head.unsigned();
    Ok(ExportReport {
        identity: head.identity(),
        warnings: head.warnings.into_iter().chain(unsigned::notice(unsigned)).collect(),
        unsigned,
        images: report.images,
        files: (files.len() as u64, files.iter().map(|(_, length)| length).sum()),
        path: report.path,
    })
}

fn check_free(to: &Path) -> Result<()> {
    if files::is_free(to)? {
        return Ok(());
    }
    files::check_not_around_us(to)?;
    // It may be whole, and its export was killed before it had tidied up.
    let _ = Workplace::discard_abandoned(to, "");
    Err(taken(to))
}

fn taken(to: &Path) -> Error {
    Error::exists(There::Place, to.display(), ": an export is written to a new folder")
}

/// Returns the files of a folder by path, with their lengths.
fn lengths(root: &Path) -> Result<Vec<(String, u64)>> {
    let found = files::walk(root)?.into_iter();
    Ok(found
        .filter_map(
            |(path, kind)| if let files::Kind::File(length) = kind { Some((path, length)) } else { None },
        )
        .collect())
}

/// The images to write, and their shards.
struct Plan<'a> {
    dataset: &'a Dataset,
    options: &'a ExportOptions<'a>,
    about: About<'a>,
    /// The images of each split, shuffled.
    images: Vec<Vec<u32>>,
    /// Each shard with the split's place in `images`, and its own images there.
    shards: Vec<(Shard, usize, Range<usize>)>,
}

impl<'a> Plan<'a> {
    fn new(dataset: &'a Dataset, options: &'a ExportOptions<'a>) -> Result<Self> {
        let identity = dataset.identity();
        let (mut splits, mut all, mut shards) = (Vec::new(), Vec::new(), Vec::new());
        for split in Split::ALL {
            let is_its = |&image: &u32| dataset.split(image as usize).is_ok_and(|its| its == split);
            let images: Vec<u32> = (0..dataset.len() as u32).filter(is_its).collect();
            if images.is_empty() {
                continue;
            }
            // The same order as the first epoch of a dataset that consists of this split alone.
            let order = order(&identity.dataset, 0, 0, images.len() as u32, options.format.shuffle());
            let images: Vec<u32> = order.into_iter().map(|image| images[image as usize]).collect();
            let limit = if options.format.has_shards() { options.shard_bytes } else { u64::MAX };
            let (parts, bytes) = cut(images.iter().map(|&image| dataset.length(image as usize)), limit)?;
            splits.push((split, images.len() as u64, bytes));
            let (of, mut begin) = (parts.len(), 0);
            for (number, images) in parts.into_iter().enumerate() {
                shards.push((Shard { split, number, of, images }, all.len(), begin..begin + images));
                begin += images;
            }
            all.push(images);
        }
        if dataset.is_empty() {
            return Err(Error::not_found(Missing::Image, "an image of that selection", &identity.pin));
        }
        let extension = if dataset.path(0)?.ends_with(".jpg") { "jpg" } else { "png" };
        let about = About {
            identity,
            classes: dataset.classes(),
            citation: citation(identity, CitationFormat::Bibtex),
            selection: dataset.part(),
            unsigned: dataset.unsigned(),
            doubt: unsigned::notice(dataset.unsigned()),
            splits,
            extension,
            pixels: options.format.has_pixels().then(|| size_of_all(dataset, options.size)).transpose()?,
            shard_bytes: options.shard_bytes,
        };
        Ok(Plan { dataset, options, about, images: all, shards })
    }

    fn check_room(&self, to: &Path) -> Result<()> {
        let images = self.about.splits.iter();
        let needed = match self.about.pixels {
            Some((width, height)) => {
                let each = u64::from(width) * u64::from(height) * 3;
                images.map(|(_, images, _)| images.saturating_mul(each)).fold(0, u64::saturating_add)
            }
            None => images.map(|(.., bytes)| *bytes).fold(0, u64::saturating_add),
        };
        match files::free_space(to) {
            // Parquet compresses with zstd, but by how much is not known in advance.
            Some((_, free)) if free < needed => {
                Err(Error::NoRoom { place: files::parent(to).to_path_buf(), needed, free })
            }
            _ => Ok(()),
        }
    }

    fn write(&self, root: &Path, progress: &dyn Progress) -> Result<()> {
        let format = self.options.format;
        let mut writer = writer(format, root, &self.about)?;
        progress.begin("export", Unit::Images, self.dataset.len() as u64);
        let outcome =
            self.shards.iter().try_for_each(|shard| self.write_shard(&mut *writer, shard, progress));
        progress.end();
        outcome?;
        writer.finish()?;
        let files: Vec<String> = lengths(root)?.into_iter().map(|(path, _)| path).collect();
        let about = format!("{:#}\n", self.about.isn_json(format, &files));
        files::create_new(&root.join(ISN_JSON), about.as_bytes()).map(drop)
    }

    fn write_shard(
        &self,
        writer: &mut dyn Writer,
        (shard, split, range): &(Shard, usize, Range<usize>),
        progress: &dyn Progress,
    ) -> Result<()> {
        writer.begin(shard)?;
        let images = &self.images[*split][range.clone()];
        let jobs = self.options.jobs;
        let read = |(): &mut (), &image: &u32| self.read(image);
        in_order(
            jobs,
            jobs * AHEAD,
            images,
            || (),
            read,
            |at, bytes| {
                let (bytes, number) = (bytes?, images[at] as usize);
                let path = self.dataset.path(number)?;
                // The dimensions are read from the file itself, because a table in the cache is not trusted.
                let (width, height) = match self.about.pixels {
                    None => {
                        dimensions(&bytes, ExifOrientation::Ignore).map_err(|e| Error::integrity(&path, e))?
                    }
                    Some(_) => self.dataset.size(number)?,
                };
                let image = Image {
                    number,
                    path: &path,
                    label: self.dataset.label(number)?,
                    blake3: self.dataset.blake3(number)?,
                    width,
                    height,
                    bytes: &bytes,
                };
                progress.advance(1);
                writer.image(&image)
            },
        )
    }

    /// Reads an image's file, or its pixels.
    fn read(&self, image: u32) -> Result<Vec<u8>> {
        let Some(size) = self.about.pixels else { return self.dataset.file(image as usize) };
        let crop = if self.options.size.is_some() { Crop::Centre } else { Crop::None };
        let (augment, layout) = (Augment { crop, flip: false }, SampleOrder::Interleaved);
        let batch = Batch { image_size: size, augment, seed: 0, epoch: 0, layout, threads: 1 };
        let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
        self.dataset.batch(&[image], &batch, &mut pixels)?;
        Ok(pixels)
    }
}

/// Returns the width and height, in pixels, that every image of an array has.
fn size_of_all(dataset: &Dataset, size: Option<u32>) -> Result<(u32, u32)> {
    if let Some(size) = size {
        return Ok((size, size));
    }
    let first = dataset.size(0)?;
    for image in 1..dataset.len() {
        let (width, height) = dataset.size(image)?;
        if (width, height) != first {
            let (one, other) = (dataset.path(0)?, dataset.path(image)?);
            let why = format!(
                "an array needs images of one size, and {one} has {} × {} pixels, {other} has {width} × {height}: --size N \
                 takes the largest square in the middle of each, N pixels wide",
                first.0, first.1
            );
            return Err(Error::invalid("--as npz", why));
        }
    }
    Ok(first)
}

/// Returns the number of images of each shard, and the sum of the lengths. A shard ends with the image that
/// fills it.
fn cut(lengths: impl Iterator<Item = Result<u64>>, limit: u64) -> Result<(Vec<usize>, u64)> {
    let (mut parts, mut images, mut bytes, mut sum) = (Vec::new(), 0, 0u64, 0);
    for length in lengths {
        let length = length?;
        (images, bytes, sum) = (images + 1, bytes + length, sum + length);
        if bytes >= limit {
            parts.push(images);
            (images, bytes) = (0, 0);
        }
    }
    if images > 0 {
        parts.push(images);
    }
    Ok((parts, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::load::tests::with_client;
    use crate::progress::Silent;
    use isn_format::digest::Digest;

    #[test]
    fn shards_end_with_the_image_that_fills_them() {
        let cut = |lengths: &[u64], limit| cut(lengths.iter().copied().map(Ok), limit).unwrap();
        assert_eq!(cut(&[5, 5, 5, 1, 20, 1], 10), (vec![2, 3, 1], 37));
        assert_eq!(cut(&[5, 5], 10), (vec![2], 10));
        assert_eq!(cut(&[5, 5], u64::MAX), (vec![2], 10));
        assert_eq!(cut(&[], 10), (vec![], 0));
    }

    /// The vectors are `demobirds@1.0` in every format that this binary supports, with shards of 1 MB and
    /// arrays of 48 pixels.
    #[test]
    fn bytes_are_those_of_the_golden_vector_for_every_number_of_threads() {
        let golden = include_str!("../../../../tests/vectors/exports.txt");
        let work = tempfile::tempdir().unwrap();
        let reference = "demobirds@1.0".parse().unwrap();
        let mut differ = Vec::new();
        for format in Format::ALL.into_iter().filter(|format| format.check().is_ok()) {
            for jobs in [1, 3] {
                let to = work.path().join(format!("{format}-{jobs}"));
                let options = ExportOptions {
                    version: &reference,
                    selection: &Selection::default(),
                    format,
                    to: Some(&to),
                    shard_bytes: 1_000_000,
                    size: format.has_pixels().then_some(48),
                    jobs,
                };
                let report = with_client(work.path(), |client| export(client, &options, &Silent)).unwrap();
                assert_eq!((report.images, report.path), (203, to.clone()));
                let listed = files::walk(&to).unwrap().into_iter().map(|(path, _)| {
                    format!("{}  {format}/{path}\n", Digest::of(&std::fs::read(to.join(&path)).unwrap()))
                });
                // The `ISN.json` that a pull writes contains the program's version.
                let listed: String = listed
                    .filter(|line| format != Format::ImageFolder || !line.contains("ISN.json"))
                    .collect();
                let digest = Digest::of(listed.as_bytes());
                if !golden.lines().any(|line| line == format!("{digest}  {format}")) {
                    differ.push(format!("{digest}  {format}, {jobs} threads:\n{listed}"));
                }
            }
        }
        assert!(differ.is_empty(), "not in tests/vectors/exports.txt:\n{}", differ.join("\n"));
    }
}
