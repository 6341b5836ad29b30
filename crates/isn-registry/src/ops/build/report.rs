//! What a finished build consists of besides its shards: the objects that describe the version, and the
//! report.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Inputs;
use crate::files;
use crate::plan::{Cause, Plan};
use crate::registry::layout;
use crate::registry::layout::MANIFEST_JSON;
use crate::source::{LeftOut, Source};
use isn_format::class::{ClassId, classes_csv};
use isn_format::corrections::Action;
use isn_format::dataset_ref::{Name, Version};
use isn_format::description::Description;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, There, count};
use isn_format::index::{Full, Index, Row};
use isn_format::ledger::policy::{ClaimCount, Settled};
use isn_format::manifest::{Blocks, Manifest, Objects, Tally};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;
use isn_format::pixel_spec::PIPELINE;
use isn_format::recipe::{Edition, Recipe};
use isn_format::source_kind::SourceKind;
use isn_format::split::Split;
use isn_format::sums::{Sums, SumsTree};
use isn_format::tree::{CLASSES, unreleased_pin};

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
#[expect(clippy::too_many_arguments, reason = "the parts of a build meet here, once")]
pub(super) fn describe(
    root: &Path,
    inputs: &Inputs,
    settled: &Settled,
    source: &Source,
    plan: &Plan,
    rows: Vec<Row>,
    pack: &Pack,
    in_blocks: bool,
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
    let sums = Sums::new(&index, &classes_csv);
    let (index_ref, blocks) = match in_blocks {
        false => (put(ObjectKind::Index, &full.to_bytes()?)?, None),
        true => {
            let blocks = full.to_blocks()?;
            let rows = put(ObjectKind::Rows, &blocks.rows)?;
            let sources = put(ObjectKind::Sources, &blocks.sources)?;
            let tree = put(ObjectKind::SumsTree, &SumsTree::of(&sums).to_bytes())?;
            (put(ObjectKind::Index, &blocks.index)?, Some(Blocks { rows, sources, tree }))
        }
    };
    let objects = Objects {
        index: index_ref,
        blocks,
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
        dataset: sums.digest(),
        pipeline: PIPELINE.into(),
        source: recipe.source.kind.as_str().into(),
        images: index.len() as u64,
        bytes: index.bytes(),
        tally,
        objects,
        previous: inputs.previous.as_ref().map(|(previous, _)| previous.clone()),
    };
    let pack_ref = match in_blocks {
        false => put(ObjectKind::Pack, &pack.to_bytes()?)?,
        true => {
            let (directory, places) = pack.to_blocks(&index)?;
            put(ObjectKind::Places, &places)?;
            put(ObjectKind::Pack, &directory)?
        }
    };
    Description::new(("build", index), (CLASSES, classes_csv), &manifest)?;
    let manifest_bytes = manifest.to_bytes()?;
    let manifest_ref = put(ObjectKind::Manifest, &manifest_bytes)?;
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
