//! What a finished build consists of besides its shards: the objects that describe the version, and the
//! report.

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::Inputs;
use super::inputs::EarlierAt;
use super::journal::Built;
use super::spool::Facts;
use crate::files;
use crate::plan::{Cause, Plan, Planned};
use crate::registry::layout;
use crate::registry::layout::MANIFEST_JSON;
use crate::source::{LeftOut, Source};
use isn_format::class::{ClassId, classes_csv};
use isn_format::corrections::Action;
use isn_format::dataset_ref::{Name, Version};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, There, count};
use isn_format::index::{BlocksWriter, Index, IndexWriter, Row};
use isn_format::ledger::policy::{ClaimCount, Settled};
use isn_format::manifest::{Blocks, Manifest, Objects, Tally};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::{PackWriter, PlacesWriter};
use isn_format::pixel_spec::PIPELINE;
use isn_format::recipe::{Edition, Recipe};
use isn_format::source_kind::SourceKind;
use isn_format::split::Split;
use isn_format::tree::unreleased_pin;

/// The report, beside the objects.
pub(super) const REPORT_JSON: &str = "report.json";
/// The maximum length of that file, in bytes: it may list every image of the source.
const MAX_REPORT: u64 = 1 << 30;

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

/// Returns the report if `out` is the output of this very build. Fails if something else is there.
pub(super) fn finished(out: &Path, job: &Digest) -> Result<Option<BuildReport>> {
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

/// Writes everything except the shards: index, `classes.csv`, recipe, ledger, groups, pairs, assignments,
/// pack, manifest and report.
pub(super) fn describe(
    root: &Path,
    inputs: &Inputs,
    settled: &Settled,
    images: Images<'_>,
    mut built: Built,
    dropped: HashSet<String>,
    job: Digest,
) -> Result<BuildReport> {
    let (recipe, Images { source, plan, .. }) = (&inputs.recipe, images);
    let put = |kind: ObjectKind, bytes: &[u8]| -> Result<ObjectRef> {
        let object = ObjectRef::of(bytes);
        files::replace(&root.join(layout::object(kind, &object.blake3)), bytes)?;
        Ok(object)
    };
    let put_some = |kind: ObjectKind, bytes: &Option<Vec<u8>>| -> Result<Option<ObjectRef>> {
        bytes.as_ref().map(|bytes| put(kind, bytes)).transpose()
    };
    let pooled = pooled(recipe, images);
    let classes_csv = classes_csv(&recipe.classes);
    let Lists { index, blocks, delta, pack: pack_ref, bytes, dataset } = match images.in_blocks {
        false => Lists::whole(root, images, &mut built, &classes_csv)?,
        true => Lists::in_blocks(root, images, &mut built, &classes_csv, inputs.earlier.as_ref())?,
    };
    let mut splits = NewObject::new(root)?;
    let previous = inputs.previous.as_ref().map(|(_, assignments)| assignments);
    plan.assignments(source, previous)?.pieces().try_for_each(|piece| splits.write(&piece))?;
    let objects = Objects {
        index,
        blocks,
        delta,
        classes: put(ObjectKind::Classes, &classes_csv)?,
        recipe: put(ObjectKind::Recipe, &inputs.recipe_bytes)?,
        corrections: put_some(ObjectKind::Corrections, &inputs.ledger_bytes)?,
        assignments: splits.finish(root, ObjectKind::Splits)?,
        groups: put_some(ObjectKind::Groups, &inputs.groups_bytes)?,
        pairs: put_some(ObjectKind::Pairs, &inputs.pairs_bytes)?,
        others: Vec::new(),
    };
    let counts = plan.counts();
    // Whoever reads version 1 alone reads what it can say.
    let tally = match objects.pairs.is_some() || objects.blocks.is_some() {
        true => Tally::of_splits(&counts, recipe.classes.len()),
        false => Tally::Classes(counts.clone()),
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
        dataset,
        pipeline: PIPELINE.into(),
        source: recipe.source.kind.as_str().into(),
        images: plan.len() as u64,
        bytes,
        tally,
        objects,
        previous: inputs.previous.as_ref().map(|(previous, _)| previous.clone()),
    };
    let manifest_bytes = manifest.to_bytes()?;
    let manifest_ref = put(ObjectKind::Manifest, &manifest_bytes)?;
    let packs = root.join(layout::packs(&manifest_ref.blake3));
    files::replace(&packs, format!("{}\n", pack_ref.blake3).as_bytes())?;

    let mut dropped: Vec<String> = dropped.into_iter().collect();
    dropped.sort();
    let corrected: HashSet<&str> = settled.corrections.iter().map(|c| c.source_id.as_str()).collect();
    let here: HashSet<&str> = source.images.ids().filter(|id| corrected.contains(id)).collect();
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
        shards: built.shards.len(),
        shard_bytes: built.shards.iter().map(|shard| shard.length).sum(),
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
            .map(|r| source.images.id(r.source).to_owned())
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

/// What was to be built, and in what order: images of the plan, by their numbers.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    pub(super) source: &'a Source,
    pub(super) plan: &'a Plan,
    pub(super) order: &'a [u32],
    /// Whether the index is stored in blocks.
    pub(super) in_blocks: bool,
}

impl Images<'_> {
    /// Passes the rows of all images to `write`, sorted by the bytes of their paths. Returns the sum of their
    /// lengths, in bytes.
    fn write(self, built: &mut Built, mut write: impl FnMut(&Row, &mut Built) -> Result<()>) -> Result<u64> {
        if built.rows.len() != self.plan.len() {
            let why = format!("{} images of {} were built", built.rows.len(), self.plan.len());
            return Err(Error::Internal(why));
        }
        let places = self.places();
        let mut bytes = 0u64;
        for at in 0..self.plan.len() {
            let facts = built.rows.get(places.get(at).map_or(at, |place| *place as usize))?;
            let row = self.row(at, facts)?;
            bytes = bytes.saturating_add(row.length);
            write(&row, built)?;
        }
        Ok(bytes)
    }

    /// Returns where the facts of each image are, unless they are in the order of the paths, as most sources
    /// are read.
    fn places(self) -> Vec<u32> {
        let mut places = Vec::new();
        if !self.order.is_sorted() {
            places = vec![0; self.order.len()];
            (0u32..).zip(self.order).for_each(|(place, at)| places[*at as usize] = place);
        }
        places
    }

    fn row(self, at: usize, facts: Facts) -> Result<Row> {
        let Planned { source: number, class, split, path } = self.plan.image(at, self.source)?;
        let Facts { blake3, length, width, height, pixels, source_blake3 } = facts;
        let source = self.source.images.id(number).to_owned();
        Ok(Row { path, class, split, blake3, length, width, height, pixels, source, source_blake3 })
    }
}

/// The lists of images that were written.
struct Lists {
    index: ObjectRef,
    blocks: Option<Blocks>,
    delta: Option<ObjectRef>,
    pack: ObjectRef,
    /// The sum of the images' lengths, in bytes.
    bytes: u64,
    dataset: Digest,
}

impl Lists {
    fn whole(root: &Path, images: Images<'_>, built: &mut Built, classes_csv: &[u8]) -> Result<Self> {
        let (mut index, mut object) = (IndexWriter::new(classes_csv)?, NewObject::new(root)?);
        let bytes = images.write(built, |row, _| {
            index.push(row)?;
            object.write(&index.take())
        })?;
        let (end, dataset) = index.finish()?;
        object.write(&end)?;
        let index = object.finish(root, ObjectKind::Index)?;
        Ok(Lists { index, blocks: None, delta: None, pack: write_pack(root, built)?, bytes, dataset })
    }

    fn in_blocks(
        root: &Path,
        images: Images<'_>,
        built: &mut Built,
        classes_csv: &[u8],
        earlier: Option<&EarlierAt>,
    ) -> Result<Self> {
        let mut index = BlocksWriter::new(classes_csv)?;
        // Only a version that follows another one is compared with it.
        let mut read_back = earlier.map(|_| Vec::new());
        let (mut rows, mut sources) = (NewObject::new(root)?, NewObject::new(root)?);
        let (mut places, mut places_object) = (PlacesWriter::new()?, NewObject::new(root)?);
        let mut is_first = true;
        let bytes = images.write(built, |row, built| {
            if index.push(row)? && !std::mem::take(&mut is_first) {
                places.end_block()?;
                places_object.write(&places.take())?;
                let [of_rows, of_sources] = index.take();
                rows.write(&of_rows)?;
                sources.write(&of_sources)?;
            }
            if let Some(rows) = &mut read_back {
                rows.push(row.clone());
            }
            places.push(Some(&built.entry_of(&row.blake3)?))
        })?;
        places.end_block()?;
        places_object.write(&places.take())?;
        let end = index.finish()?;
        rows.write(&end.rows)?;
        sources.write(&end.sources)?;
        let put = |kind, bytes: &[u8]| -> Result<ObjectRef> {
            let mut object = NewObject::new(root)?;
            object.write(bytes)?;
            object.finish(root, kind)
        };
        let blocks = Blocks {
            rows: rows.finish(root, ObjectKind::Rows)?,
            sources: sources.finish(root, ObjectKind::Sources)?,
            tree: put(ObjectKind::SumsTree, &end.tree.to_bytes())?,
        };
        let places_object = places_object.finish(root, ObjectKind::Places)?;
        let pack = put(ObjectKind::Pack, &places.finish(&built.shards, places_object)?)?;
        let index = put(ObjectKind::Index, &end.index)?;
        let delta = match earlier.zip(read_back) {
            Some((earlier, rows)) => earlier.delta(&Index::new(rows)?.0)?,
            None => None,
        };
        let delta = delta.map(|delta| put(ObjectKind::Delta, &delta.to_bytes()?)).transpose()?;
        Ok(Lists { index, blocks: Some(blocks), delta, pack, bytes, dataset: end.tree.root() })
    }
}

fn write_pack(root: &Path, built: &mut Built) -> Result<ObjectRef> {
    let (mut pack, mut object) = (PackWriter::new(&built.shards)?, NewObject::new(root)?);
    for at in 0..built.entries.len() {
        pack.push(&built.entries.get(at)?)?;
        object.write(&pack.take())?;
    }
    object.write(&pack.finish()?)?;
    object.finish(root, ObjectKind::Pack)
}

/// An object that is written piece by piece.
struct NewObject {
    file: NamedTempFile,
    hasher: blake3::Hasher,
    length: u64,
}

impl NewObject {
    fn new(root: &Path) -> Result<Self> {
        Ok(NewObject { file: files::temp_file_in(root)?, hasher: blake3::Hasher::new(), length: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.file.as_file_mut().write_all(bytes).map_err(Error::io("write", self.file.path()))
    }

    /// Gives the object its name.
    fn finish(self, root: &Path, kind: ObjectKind) -> Result<ObjectRef> {
        let object = ObjectRef { blake3: Digest::of_hasher(&self.hasher), length: self.length };
        let path = root.join(layout::object(kind, &object.blake3));
        files::create_dir_all(files::parent(&path))?;
        self.file.as_file().sync_all().map_err(Error::io("write", &path))?;
        self.file.persist(&path).map_err(|e| Error::io("write", &path)(e.error))?;
        files::sync_dir(files::parent(&path))?;
        Ok(object)
    }
}

/// Returns a warning that counts the val images that ImageNet has in its train split, on which models are
/// pretrained. A recipe of version 1 may take part of ImageNet, or something that only looks like it.
fn pooled(recipe: &Recipe, Images { source, plan, .. }: Images<'_>) -> Vec<String> {
    let kind = recipe.source.kind;
    let val = || plan.splits().enumerate().filter(|(_, split)| *split == Split::Val);
    let is_train = |at: usize| kind.origin(source.images.id(plan.source_of(at))) == Split::Train;
    let seen = val().filter(|(at, _)| is_train(*at)).count();
    if kind != SourceKind::Ilsvrc2012 || recipe.edition == Edition::One || seen == 0 {
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
