//! `isn build`: makes a version from a recipe and raw images: shards, index, manifest and a report. The bytes
//! are the same on every machine and with any number of threads.

mod expected;
mod inputs;
mod journal;
mod shards;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use self::expected::Watch;
pub use self::inputs::Inputs;
use self::journal::Journal;
use self::shards::Frame;
use crate::files;
use crate::parallel::in_order;
use crate::plan::{Cause, Plan, Planned};
use crate::progress::{Progress, Unit};
use crate::registry::layout;
use crate::registry::layout::MANIFEST_JSON;
use crate::source::{Indexes, LeftOut, Source, whole};
use isn_format::class::{ClassId, classes_csv};
use isn_format::corrections::Action;
use isn_format::dataset_ref::{Name, Version};
use isn_format::description::Description;
use isn_format::digest::Digest;
use isn_format::error::{Error, Reject, Result, There, count};
use isn_format::index::{Full, Index, Row};
use isn_format::ledger::policy::{ClaimCount, Settled};
use isn_format::manifest::{Manifest, Objects, Tally};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;
use isn_format::pairs::Ties;
use isn_format::pixel_spec::{ExifOrientation, PIPELINE, Small};
use isn_format::recipe::{Edition, Recipe};
use isn_format::shard::FrameWriter;
use isn_format::source_kind::SourceKind;
use isn_format::split::Split;
use isn_format::sums::Sums;
use isn_format::tree::{CLASSES, unreleased_pin};
use isn_pixels::{Outcome, Pipeline};

/// The report, beside the objects.
pub(crate) const REPORT_JSON: &str = "report.json";
/// The maximum length of that file, in bytes: it may list every image of the source.
const MAX_REPORT: u64 = 1 << 30;

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
    /// Called as soon as the output has its name, before waiting for the disk.
    pub named: &'a dyn Fn(),
}

/// The outcome of a build, which is the contents of `report.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildReport {
    /// The dataset.
    pub name: Name,
    /// The version; `None` if it was built from a part of the source.
    pub version: Option<Version>,
    /// The dataset hash, as `b3:…`.
    pub dataset: String,
    /// The hash of the manifest, as `b3:…`.
    pub manifest: String,
    /// `unreleased:name/b3:…`: no registry has released it yet.
    pub pin: String,
    /// The number of images.
    pub images: u64,
    /// The sum of their lengths, in bytes.
    pub bytes: u64,
    /// The number of shards.
    pub shards: usize,
    /// The sum of the shards' lengths, in bytes.
    pub shard_bytes: u64,
    /// The number of images of each class in each split.
    pub balance: BTreeMap<Split, BTreeMap<ClassId, u64>>,
    /// The layout of the source.
    #[serde(default)]
    pub source: String,
    /// The number of images of the recipe's classes in the source.
    pub source_images: u64,
    /// The source ids of images that the corrections removed.
    pub removed: Vec<String>,
    /// The source ids of images that the corrections gave another class.
    pub relabelled: Vec<String>,
    /// The source ids of images that were too small, with `small = "drop"`.
    pub dropped: Vec<String>,
    /// The source ids of images left out because their classes had enough.
    #[serde(default)]
    pub surplus: Vec<String>,
    /// The source ids of images with label claims that the ledger's policy leaves to a person. They keep
    /// their class until then.
    #[serde(default)]
    pub open: Vec<String>,
    /// How many claims of the ledger are about images of the source.
    #[serde(default)]
    pub claims: ClaimCount,
    /// The files and folders of the source that are no images of it.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// What the curator should look at.
    pub warnings: Vec<String>,
    /// The BLAKE3 hash of everything that went in, by which a rerun knows that there is nothing to do.
    pub job: Digest,
}

/// What became of an image.
enum Made {
    /// It was built.
    Built(Done),
    /// It cannot be built, for this reason.
    Rejected(String),
    /// It was not built, because the source turned out to be another one and the build is of no use.
    Unneeded,
}

/// A finished image.
struct Done {
    blake3: Digest,
    length: u64,
    width: u32,
    height: u32,
    pixels: Digest,
    source_blake3: Digest,
    frame: Frame,
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
    isn_pixels::self_check().map_err(|e| Error::Internal(e.to_string()))?;
    let inputs = options.inputs;
    let recipe = &inputs.recipe;
    let out = files::destination(options.out)?;
    files::check_apart(options.out, "the source folder", options.source)?;
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
    let job = job_digest(inputs, &source);
    if let Some(report) = finished(&out, &job)? {
        (options.named)();
        Journal::tidy(&out)?;
        return Ok((report, false));
    }

    let mut journal = Journal::open(&out, &job, options.jobs)?;
    let rejects = match make_images(options, recipe, &source, &plan, &mut journal, progress) {
        // Nothing made from another source can be used later.
        Err(error @ Error::Rebuilt { .. }) => return journal.discard().and(Err(error)),
        made => made?,
    };
    if !rejects.is_empty() {
        let (ledger, is_named) = (inputs.ledger_path.clone(), recipe.corrections.is_some());
        return Err(Error::Rejects { rejects, ledger, is_named, exported: inputs.exported.clone() });
    }
    let (rows, pack, output) = journal.into_parts()?;
    let report = describe(&output.root, inputs, &settled, &source, &plan, rows, &pack, dropped, job)?;
    output.finish(&out, options.named)?;
    Ok((report, true))
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
        let bytes = source.read(&source.images[*at])?;
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
                dropped.insert(source.images[all[at]].id.clone());
            }
            progress.advance(1);
            Ok::<(), Error>(())
        },
    )?;
    progress.end();
    Ok(dropped)
}

/// Returns the BLAKE3 hash of everything that decides the output: the inputs, the source files with what the
/// source says of each, and the pipeline.
fn job_digest(inputs: &Inputs, source: &Source) -> Digest {
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
    for image in &source.images {
        // A list may say another class of the same file.
        [image.path.as_str(), &image.id, image.class.as_str(), image.split.as_str()]
            .iter()
            .for_each(|text| add(text.as_bytes()));
        add(&image.len.to_le_bytes());
        add(&image.modified_ns.to_le_bytes());
    }
    Digest::of_hasher(&hasher)
}

/// Returns the report if `out` is the output of this very build. Fails if something else is there.
fn finished(out: &Path, job: &Digest) -> Result<Option<BuildReport>> {
    if files::is_free(out)? {
        return Ok(None);
    }
    let report = files::read_capped_if_there(&out.join(REPORT_JSON), MAX_REPORT)?;
    let report = report.and_then(|bytes| serde_json::from_slice::<BuildReport>(&bytes).ok());
    match report {
        Some(report) if report.job == *job => Ok(Some(report)),
        _ => {
            files::check_not_around_us(out)?;
            let why = ", and is not the output of this recipe over this source";
            Err(Error::exists(There::Place, out.display(), why))
        }
    }
}

/// Builds the images that the journal does not have yet. Returns every image that cannot be built.
fn make_images(
    options: &BuildOptions<'_>,
    recipe: &Recipe,
    source: &Source,
    plan: &Plan,
    journal: &mut Journal,
    progress: &dyn Progress,
) -> Result<Vec<Reject>> {
    let extension = recipe.image.encode.extension();
    let mut images: Vec<&Planned> = plan.images.iter().collect();
    source.sort_for_reading(&mut images, |planned| planned.source);
    let remaining = &images[journal.done()..];
    progress.begin("build", Unit::Images, plan.images.len() as u64);
    progress.advance(journal.done() as u64);
    let mut rejects = Vec::new();
    let init = || (Pipeline::new(recipe.image.clone()), FrameWriter::new());
    let watch = Watch::new(options.expected);
    let work = |(pipeline, frames): &mut (Pipeline, std::io::Result<FrameWriter>), planned: &&Planned| {
        make_image(source, planned, pipeline, frames, extension, &watch)
    };
    in_order(options.jobs, options.jobs * 8, remaining, init, work, |at, made| {
        let image = &source.images[remaining[at].source];
        match made? {
            Made::Built(done) if rejects.is_empty() => {
                journal.push(row(remaining[at], &image.id, &done), done.frame)?
            }
            Made::Built(_) | Made::Unneeded => {}
            Made::Rejected(reason) => {
                rejects.push(Reject { path: image.path.clone(), id: image.id.clone(), reason })
            }
        }
        progress.advance(1);
        Ok::<(), Error>(())
    })?;
    progress.end();
    watch.finish(options)?;
    Ok(rejects)
}

/// Builds one image, unless its file shows that the source is not the expected one.
fn make_image(
    source: &Source,
    planned: &Planned,
    pipeline: &mut Pipeline,
    frames: &mut std::io::Result<FrameWriter>,
    extension: &str,
    watch: &Watch<'_>,
) -> Result<Made> {
    let internal = |e: &std::io::Error| Error::Internal(format!("zstd: {e}"));
    let frames = frames.as_mut().map_err(|e| internal(e))?;
    let image = &source.images[planned.source];
    let bytes = source.read(image)?;
    let source_blake3 = Digest::of(&bytes);
    if !watch.is_right(planned, image, &source_blake3) {
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
    Ok(Made::Built(Done {
        blake3,
        length: built.bytes.len() as u64,
        width: built.width,
        height: built.height,
        pixels: built.pixels,
        source_blake3,
        frame,
    }))
}

fn row(planned: &Planned, source_id: &str, done: &Done) -> Row {
    Row {
        path: planned.path.clone(),
        class: planned.class.clone(),
        split: planned.split,
        blake3: done.blake3,
        length: done.length,
        width: done.width,
        height: done.height,
        pixels: done.pixels,
        source: source_id.into(),
        source_blake3: done.source_blake3,
    }
}

/// Writes everything except the shards: index, `classes.csv`, recipe, ledger, groups, pairs, assignments,
/// pack, manifest and report.
#[expect(clippy::too_many_arguments, reason = "the parts of a build meet here, once")]
fn describe(
    root: &Path,
    inputs: &Inputs,
    settled: &Settled,
    source: &Source,
    plan: &Plan,
    rows: Vec<Row>,
    pack: &Pack,
    dropped: HashSet<String>,
    job: Digest,
) -> Result<BuildReport> {
    let recipe = &inputs.recipe;
    let put = |kind: ObjectKind, bytes: &[u8]| -> Result<ObjectRef> {
        let object = ObjectRef::of(bytes);
        files::replace(&root.join(layout::object(kind, &object.blake3)), bytes)?;
        Ok(object)
    };
    let put_some = |kind: ObjectKind, bytes: &Option<Vec<u8>>| -> Result<Option<ObjectRef>> {
        bytes.as_ref().map(|bytes| put(kind, bytes)).transpose()
    };
    let (index, sources) = Index::new(rows)?;
    let full = Full { index: &index, sources: &sources };
    let pooled = pooled(recipe, full);
    let classes_csv = classes_csv(&recipe.classes);
    let objects = Objects {
        index: put(ObjectKind::Index, &full.to_bytes()?)?,
        classes: put(ObjectKind::Classes, &classes_csv)?,
        recipe: put(ObjectKind::Recipe, &inputs.recipe_bytes)?,
        corrections: put_some(ObjectKind::Corrections, &inputs.ledger_bytes)?,
        assignments: put(ObjectKind::Splits, &plan.assignments.to_csv())?,
        groups: put_some(ObjectKind::Groups, &inputs.groups_bytes)?,
        pairs: put_some(ObjectKind::Pairs, &inputs.pairs_bytes)?,
        others: Vec::new(),
    };
    let counts = index.counts();
    // Whoever reads version 1 alone reads what it can say.
    let tally = match objects.pairs {
        Some(_) => Tally::of_splits(&counts, recipe.classes.len()),
        None => Tally::Classes(counts.clone()),
    };
    let manifest = Manifest {
        is_part: source.is_part,
        name: recipe.name.clone(),
        version: recipe.version,
        title: recipe.title.clone(),
        description: recipe.description.clone(),
        licence: recipe.licence.clone(),
        citation: recipe.citation.clone(),
        authors: recipe.authors.clone(),
        dataset: Sums::new(&index, &classes_csv).digest(),
        pipeline: PIPELINE.into(),
        source: recipe.source.kind.as_str().into(),
        images: index.len() as u64,
        bytes: index.bytes(),
        tally,
        objects,
        previous: inputs.previous.as_ref().map(|(previous, _)| previous.clone()),
    };
    Description::new(("build", index), (CLASSES, classes_csv), &manifest)?;
    let manifest_bytes = manifest.to_bytes()?;
    let manifest_ref = put(ObjectKind::Manifest, &manifest_bytes)?;
    let pack_ref = put(ObjectKind::Pack, &pack.to_bytes()?)?;
    let packs = root.join(layout::packs(&manifest_ref.blake3));
    files::replace(&packs, format!("{}\n", pack_ref.blake3).as_bytes())?;

    let mut dropped: Vec<String> = dropped.into_iter().collect();
    dropped.sort();
    let here: HashSet<&str> = source.images.iter().map(|image| image.id.as_str()).collect();
    let ids = |wanted: fn(&Action) -> bool| {
        let rows = settled.corrections.iter().filter(|c| wanted(&c.action));
        let rows = rows.filter(|c| here.contains(c.source_id.as_str()));
        rows.map(|c| c.source_id.clone()).collect::<Vec<String>>()
    };
    let report = BuildReport {
        name: manifest.name.clone(),
        version: (!source.is_part).then_some(manifest.version),
        dataset: manifest.dataset.prefixed(),
        manifest: manifest_ref.blake3.prefixed(),
        pin: unreleased_pin(&manifest.name, &manifest.dataset),
        images: manifest.images,
        bytes: manifest.bytes,
        shards: pack.shards.len(),
        shard_bytes: pack.shards.iter().map(|shard| shard.length).sum(),
        balance: counts,
        source: source.layout.to_string(),
        source_images: source.images.len() as u64,
        removed: ids(|action| matches!(action, Action::Remove)),
        relabelled: ids(|action| matches!(action, Action::Relabel(_))),
        dropped,
        surplus: plan
            .removed
            .iter()
            .filter(|r| r.cause == Cause::Surplus)
            .map(|r| source.images[r.source].id.clone())
            .collect(),
        claims: settled.claims,
        open: settled.open.iter().map(|open| open.source_id.clone()).collect(),
        left_out: source.left_out.clone(),
        warnings: [
            source.warnings.as_slice(),
            &inputs.warnings,
            &plan.warnings,
            &left_open(settled),
            &pooled,
        ]
        .concat(),
        job,
    };
    let mut json = serde_json::to_vec_pretty(&report).map_err(|e| Error::Internal(e.to_string()))?;
    json.push(b'\n');
    files::replace(&root.join(REPORT_JSON), &json)?;
    files::replace(&root.join(MANIFEST_JSON), &manifest_bytes)?;
    Ok(report)
}

/// Returns a warning that counts the val images that ImageNet has in its train split, on which models are
/// pretrained. A recipe of version 1 may take part of ImageNet, or something that only looks like it.
fn pooled(recipe: &Recipe, full: Full<'_>) -> Vec<String> {
    let source = recipe.source.kind;
    let val = || full.rows().filter(|row| row.split() == Split::Val);
    let seen = val().filter(|row| row.origin(source) == Split::Train).count();
    if source != SourceKind::Ilsvrc2012 || recipe.edition == Edition::One || seen == 0 {
        return Vec::new();
    }
    vec![format!(
        "{seen} of {} are in ImageNet's own train split: score no model on them that was pretrained on \
         ImageNet. `isn images REF --split val --origin val` lists the others",
        count(val().count(), "val image")
    )]
}

/// Returns a warning that counts the images that the ledger's policy leaves to a person.
fn left_open(settled: &Settled) -> Vec<String> {
    match settled.open.len() {
        0 => Vec::new(),
        n => vec![format!(
            "the ledger leaves {} to a person, unchanged until then: `isn ledger check` lists them",
            count(n, "image")
        )],
    }
}
