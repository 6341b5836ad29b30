//! `isn build`: makes a version from a recipe and raw images: shards, index, manifest and a report. The bytes
//! are the same on every machine and with any number of threads.

mod expected;
mod inputs;
mod journal;
mod report;
mod shards;
mod slice;
mod spool;
mod stored;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::expected::Watch;
pub use self::inputs::Inputs;
use self::journal::Journal;
pub use self::report::BuildReport;
use self::report::{Images, describe, finished};
use self::shards::Frame;
use self::slice::{Of, Slices};
use crate::files;
use crate::parallel::in_order;
use crate::plan::{Plan, Planned};
use crate::progress::{Progress, Unit};
use crate::share::Share;
use crate::source::{Indexes, Source, SourceImage, whole};
use isn_format::dataset_ref::VersionId;
use isn_format::digest::Digest;
use isn_format::error::{Error, Reject, Result};
use isn_format::index::{Full, Row};
use isn_format::ledger::policy::Settled;
use isn_format::pairs::Ties;
use isn_format::pixel_spec::{ExifOrientation, PIPELINE, Small};
use isn_format::recipe::Recipe;
use isn_format::shard::FrameWriter;
use isn_pixels::{Outcome, Pipeline};

/// What to build.
pub struct BuildOptions<'a> {
    /// The recipe, the ledger, the groups, the pairs and earlier assignments.
    pub inputs: &'a Inputs,
    /// The raw images.
    pub source: &'a Path,
    /// The output folder.
    pub out: &'a Path,
    /// The number of threads that decode.
    pub jobs: usize,
    /// Where indexes of the source's tar files may be kept.
    pub indexes: Option<&'a Indexes>,
    /// The images of the version that the build must become. A source that cannot give it is refused as early
    /// as possible.
    pub expected: Option<Full<'a>>,
    /// Whether to make a part, which has no version: then the source need not be whole.
    pub partial: bool,
    /// Whether the index is stored in blocks; if absent, that is so for many images.
    pub in_blocks: Option<bool>,
    /// Slices of this build to make it of, instead of reading the images of the source.
    pub slices: &'a [PathBuf],
    /// Called as soon as the output has its name, before waiting for the disk.
    pub named: &'a dyn Fn(),
}

/// An index with more images than this is stored in blocks: below it, who needs one class reads a few
/// megabytes at most, and every isn reads the version.
const IN_BLOCKS: usize = 50_000;

/// What became of an image.
enum Made {
    /// It was built.
    Built(Box<Row>, Frame),
    /// It cannot be built, for this reason.
    Rejected(String),
    /// It was not built, because the source turned out to be another one and the build is of no use.
    Unneeded,
}

/// Builds a version. Returns `false` if `options.out` is the output of the very same build already.
///
/// # Errors
/// [`Error::Mistakes`] if the recipe and the source do not fit each other; [`Error::Rejects`] with every
/// image that cannot be built; [`Error::Rebuilt`] if the source cannot give `options.expected`;
/// [`Error::Exists`] if something else is at `options.out`, or another build is running;
/// [`Error::Overlap`] if that or the source is in the other; [`Error::Source`] or [`Error::Io`] if the source
/// cannot be read.
pub fn build(options: &BuildOptions<'_>, progress: &dyn Progress) -> Result<(BuildReport, bool)> {
    let Prepared { out, source, settled, plan, dropped } = prepare(options, progress)?;
    let (inputs, of) = (options.inputs, what(options.inputs, &source));
    let slices = match options.slices.is_empty() {
        true => None,
        false => Some(Slices::open(options.slices, of)?),
    };
    let job = slices.as_ref().map_or(of.job, |slices| slices.job(of.job));
    let job = match options.in_blocks {
        None => job,
        Some(in_blocks) => Digest::of(format!("{job} {in_blocks}").as_bytes()),
    };
    if let Some(report) = finished(&out, &job)? {
        (options.named)();
        Journal::tidy(&out)?;
        return Ok((report, false));
    }

    let order = reading_order(&source, &plan);
    let mut journal = Journal::open(&out, &job, options.jobs)?;
    match slices {
        Some(slices) => slices.join((&plan, &order), &source, &mut journal, progress)?,
        None => journal = make_all(options, &source, (&plan, &order), journal, progress)?,
    }
    let (built, output) = journal.into_parts()?;
    let in_blocks = options.in_blocks.unwrap_or(plan.len() > IN_BLOCKS);
    let images = Images { source: &source, plan: &plan, order: &order, in_blocks };
    let report = describe(&output.root, inputs, &settled, images, built, dropped, job)?;
    output.finish(&out, options.named)?;
    Ok((report, true))
}

/// The outcome of building a slice.
pub struct SliceReport {
    /// The dataset and the version that the slices make together.
    pub id: VersionId,
    /// Which part of the plan.
    pub share: Share,
    /// The number of images in it.
    pub images: usize,
    /// The number of images of the whole plan.
    pub of_images: usize,
    /// Whether it was built now, and not there already.
    pub is_new: bool,
}

/// Builds one of several equal parts of the plan of a version, for [`BuildOptions::slices`]. The parts may be
/// built at the same time and on different machines.
///
/// # Errors
/// As [`build`].
pub fn build_slice(options: &BuildOptions<'_>, share: Share, progress: &dyn Progress) -> Result<SliceReport> {
    let Prepared { out, source, plan, .. } = prepare(options, progress)?;
    let of = what(options.inputs, &source);
    let all = reading_order(&source, &plan);
    let images = &all[share.range(all.len())];
    let is_new = !slice::is_made(&out, of, share)?;
    let report = SliceReport {
        id: options.inputs.recipe.id(),
        share,
        images: images.len(),
        of_images: all.len(),
        is_new,
    };
    if !is_new {
        (options.named)();
        Journal::tidy(&out)?;
        return Ok(report);
    }
    let job = Digest::of(format!("{} {share}", of.job).as_bytes());
    let journal = Journal::open(&out, &job, options.jobs)?;
    let journal = make_all(options, &source, (&plan, images), journal, progress)?;
    slice::make(journal, of, share)?.finish(&out, options.named)?;
    Ok(report)
}

/// What a build knows before it decodes an image.
struct Prepared {
    out: PathBuf,
    source: Source,
    settled: Settled,
    plan: Plan,
    dropped: HashSet<String>,
}

/// Looks at the source, and plans the version.
fn prepare(options: &BuildOptions<'_>, progress: &dyn Progress) -> Result<Prepared> {
    isn_pixels::self_check().map_err(|e| Error::Internal(e.to_string()))?;
    let inputs = options.inputs;
    let recipe = &inputs.recipe;
    let out = files::destination(options.out)?;
    files::check_apart(options.out, "the source folder", options.source)?;
    for slice in options.slices {
        files::check_apart(options.out, "a part", slice)?;
    }
    let mut source = expected::open_source(options)?;
    progress.tell(&format!("source: {}", source.layout));
    let missing = match options.expected.is_none() && recipe.needs_whole() {
        true => whole::findings(recipe, &source),
        false => Vec::new(),
    };
    source.is_part = options.partial;
    if !source.is_part && !missing.is_empty() {
        let (root, recipe) = (options.source.into(), inputs.named.clone());
        return Err(Error::Incomplete { root, recipe, findings: missing });
    }
    source.warnings.extend(missing);
    let dropped = too_small(recipe, &source, options.jobs, progress)?;
    let settled = inputs.settle(&source)?;
    let previous = inputs.previous.as_ref().map(|(_, assignments)| assignments);
    let ties = Ties { groups: &inputs.groups, judged: &inputs.judged };
    let plan = Plan::new(recipe, &settled, &source, ties, previous, &dropped)?;
    Ok(Prepared { out, source, settled, plan, dropped })
}

/// Returns the images of a plan, by their numbers, in the order in which they are read and stored.
fn reading_order(source: &Source, plan: &Plan) -> Vec<u32> {
    let mut order: Vec<u32> = (0..plan.len() as u32).collect();
    source.sort_for_reading(&mut order, |at| plan.source_of(*at as usize));
    order
}

/// Builds these images into `journal`. Fails if one of them cannot be built.
fn make_all(
    options: &BuildOptions<'_>,
    source: &Source,
    images: (&Plan, &[u32]),
    mut journal: Journal,
    progress: &dyn Progress,
) -> Result<Journal> {
    let inputs = options.inputs;
    let rejects = match make_images(options, &inputs.recipe, source, images, &mut journal, progress) {
        // Nothing made from another source can be used later.
        Err(error @ Error::Rebuilt { .. }) => return journal.discard().and(Err(error)),
        made => made?,
    };
    if rejects.is_empty() {
        return Ok(journal);
    }
    let (ledger, is_named) = (inputs.ledger_path.clone(), inputs.recipe.corrections.is_some());
    Err(Error::Rejects { rejects, ledger, is_named, exported: inputs.exported.clone() })
}

/// Returns the ids of the images that `small = "drop"` leaves out. A header that cannot be read is reported
/// when the image is decoded.
fn too_small(
    recipe: &Recipe,
    source: &Source,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<HashSet<String>> {
    let mut dropped = HashSet::new();
    if recipe.image.small != Small::Drop {
        return Ok(dropped);
    }
    progress.begin("sizes", Unit::Images, source.images.len() as u64);
    let shortest = |(): &mut (), at: &usize| -> Result<Option<u32>> {
        let bytes = source.read(source.images.get(*at))?;
        Ok(isn_pixels::dimensions(&bytes, ExifOrientation::Ignore)
            .ok()
            .map(|(width, height)| width.min(height)))
    };
    let mut all: Vec<usize> = (0..source.images.len()).collect();
    source.sort_for_reading(&mut all, |at| *at);
    in_order(
        jobs,
        jobs * 8,
        &all,
        || (),
        shortest,
        |at, shortest| {
            if shortest?.is_some_and(|shortest| shortest < recipe.image.size) {
                dropped.insert(source.images.id(all[at]).to_owned());
            }
            progress.advance(1);
            Ok::<(), Error>(())
        },
    )?;
    progress.end();
    Ok(dropped)
}

/// Returns what a build is told from others by.
fn what(inputs: &Inputs, source: &Source) -> Of {
    Of { plan: plan_digest(inputs, source), job: job_digest(inputs, source) }
}

/// Returns the BLAKE3 hash of everything that decides the output: what decides the plan, and when the source
/// files were changed.
fn job_digest(inputs: &Inputs, source: &Source) -> Digest {
    digest(inputs, source, |image| image.modified_ns)
}

/// Returns the BLAKE3 hash of everything that decides the plan: the inputs, the source files with what the
/// source says of each, and the pipeline. A copy of the source has the same.
fn plan_digest(inputs: &Inputs, source: &Source) -> Digest {
    digest(inputs, source, |_| 0)
}

fn digest(inputs: &Inputs, source: &Source, modified: impl Fn(SourceImage<'_>) -> i128) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(PIPELINE.as_bytes());
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(&inputs.recipe_bytes);
    add(inputs.ledger_bytes.as_deref().unwrap_or_default());
    add(inputs.groups_bytes.as_deref().unwrap_or_default());
    // The recipe says whether it has pairs.
    inputs.pairs_bytes.iter().for_each(|bytes| add(bytes));
    add(inputs.previous.as_ref().map_or(&[][..], |(previous, _)| previous.assignments.as_bytes()));
    // What is a part for one list is the whole for a shorter one.
    add(&[source.is_part.into()]);
    for image in source.images.iter() {
        // A list may say another class of the same file.
        [image.path, image.id, image.class.as_str(), image.split.as_str()]
            .iter()
            .for_each(|text| add(text.as_bytes()));
        add(&image.len.to_le_bytes());
        add(&modified(image).to_le_bytes());
    }
    Digest::of_hasher(&hasher)
}

/// Builds the images that the journal does not have yet. Returns every image that cannot be built.
fn make_images(
    options: &BuildOptions<'_>,
    recipe: &Recipe,
    source: &Source,
    (plan, images): (&Plan, &[u32]),
    journal: &mut Journal,
    progress: &dyn Progress,
) -> Result<Vec<Reject>> {
    let extension = recipe.image.encode.extension();
    let remaining = &images[journal.done()..];
    progress.begin("build", Unit::Images, images.len() as u64);
    progress.advance(journal.done() as u64);
    let mut rejects = Vec::new();
    let init = || (Pipeline::new(recipe.image.clone()), FrameWriter::new());
    let watch = Watch::new(options.expected);
    let work = |(pipeline, frames): &mut (Pipeline, std::io::Result<FrameWriter>), at: &u32| {
        make_image(source, plan.image(*at as usize, source)?, pipeline, frames, extension, &watch)
    };
    let mut in_turn = Duration::ZERO;
    in_order(options.jobs, options.jobs * 8, remaining, init, work, |at, made| {
        let begin = Instant::now();
        match made? {
            Made::Built(row, frame) if rejects.is_empty() => journal.push(*row, Some(frame))?,
            Made::Built(..) | Made::Unneeded => {}
            Made::Rejected(reason) => {
                let image = source.images.get(plan.source_of(remaining[at] as usize));
                rejects.push(Reject { path: image.path.to_owned(), id: image.id.to_owned(), reason });
            }
        }
        progress.advance(1);
        in_turn += begin.elapsed();
        Ok::<(), Error>(())
    })?;
    progress.end();
    // What more threads cannot speed up, by the clock.
    let each = in_turn.as_secs_f64() * 1e6 / remaining.len().max(1) as f64;
    tracing::debug!("images were put in order in {each:.1} µs each, waits for the disk included");
    watch.finish(options)?;
    Ok(rejects)
}

/// Builds one image, unless its file shows that the source is not the expected one.
fn make_image(
    source: &Source,
    planned: Planned,
    pipeline: &mut Pipeline,
    frames: &mut std::io::Result<FrameWriter>,
    extension: &str,
    watch: &Watch<'_>,
) -> Result<Made> {
    let internal = |e: &std::io::Error| Error::Internal(format!("zstd: {e}"));
    let frames = frames.as_mut().map_err(|e| internal(e))?;
    let image = source.images.get(planned.source);
    let bytes = source.read(image)?;
    let source_blake3 = Digest::of(&bytes);
    if !watch.is_right(&planned, image, &source_blake3) {
        return Ok(Made::Unneeded);
    }
    let built = match pipeline.build(&bytes) {
        Ok(Outcome::Built(built)) => built,
        Ok(Outcome::Dropped) => return Err(Error::Internal("an image was dropped after the plan".into())),
        Err(e) => return Ok(Made::Rejected(e.to_string())),
    };
    let blake3 = Digest::of(&built.bytes);
    let bytes = frames.frame(&blake3, extension, &built.bytes).map_err(|e| internal(&e))?;
    let frame = Frame { image: blake3, blake3: Digest::of(&bytes), bytes };
    let row = Row {
        path: planned.path,
        class: planned.class,
        split: planned.split,
        blake3,
        length: built.bytes.len() as u64,
        width: built.width,
        height: built.height,
        pixels: built.pixels,
        source: image.id.to_owned(),
        source_blake3,
    };
    Ok(Made::Built(Box::new(row), frame))
}
