//! `isn audit duplicates`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::target::{self, TargetArgs, check_outputs, object, parse_share, write_sheet};
use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_format::groups::HEADER;
use isn_registry::audit::duplicates::MAX_DISTANCE;
use isn_registry::audit::similar::SIMILAR;
use isn_registry::files::{self, Replaced};
use isn_registry::ops::audit::duplicates::{DuplicatesReport, Group, NearOptions, duplicates};
use isn_registry::ops::audit::neighbours::{COSINE, Neighbours, neighbours};
use isn_registry::ops::audit::{Subject, sheet};

/// The number of groups in the text; JSON has all.
const SHOWN: usize = 20;

/// Arguments of `isn audit duplicates`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DuplicatesArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    near: NearArgs,
    /// Write a contact sheet: an HTML file with all pictures in it; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What counts as a copy.
#[derive(Debug, Args)]
pub(super) struct NearArgs {
    /// The maximum number of bits, of 63, in which the perceptual hashes of near copies differ; beyond 11,
    /// not all such pairs are found
    #[arg(long, value_name = "BITS", default_value = "11", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_DISTANCE)))]
    distance: u32,
    /// The minimum similarity of near copies, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = SIMILAR, value_parser = parse_share)]
    similarity: f64,
    /// Embeddings of the images: .npy with one row per image, or a folder of `isn audit labels
    /// --save-embeddings`. Neighbours are compared as well, and listed as similar if they are no copies
    #[arg(long, value_name = "FILE|DIR")]
    embeddings: Option<PathBuf>,
    /// The minimum cosine of the embeddings of neighbours, from 0 to 1
    #[arg(long, value_name = "SHARE", requires = "embeddings", default_value_t = COSINE, value_parser = parse_share)]
    cosine: f64,
    /// Write `source_id,group` for every image with a copy, so that a recipe can keep each group in one
    /// split; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    pub(super) groups: Option<PathBuf>,
}

impl NearArgs {
    /// Finds the neighbours, if embeddings are given.
    pub(super) fn neighbours(&self, subject: &Subject, run: &Run) -> Result<Vec<Neighbours>> {
        let Some(embeddings) = &self.embeddings else { return Ok(Vec::new()) };
        neighbours(subject, embeddings, self.cosine, run.jobs, &run.progress)
    }

    pub(super) fn options<'a>(&self, neighbours: &'a [Neighbours]) -> NearOptions<'a> {
        NearOptions { distance: self.distance, similarity: self.similarity, neighbours }
    }

    /// Writes the groups, if a file is given.
    pub(super) fn write_groups(&self, report: &DuplicatesReport) -> Result<()> {
        let Some(file) = &self.groups else { return Ok(()) };
        files::write_output(file, &report.as_groups()?.to_csv())
    }
}

impl Verb for DuplicatesArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        check_outputs([(&self.near.groups, Replaced::Table(HEADER)), (&self.html, Replaced::Page)])?;
        let mut subject = self.target.open(run, self.near.groups.as_deref())?;
        subject.warn_of_pairs();
        let neighbours = self.near.neighbours(&subject, run)?;
        let report = duplicates(&subject, self.near.options(&neighbours), run.jobs, &run.progress)?;
        self.near.write_groups(&report)?;
        write_sheet(self.html.as_deref(), &subject, |page| sheet::add_duplicates(page, &subject, &report))?;
        let mut text = text(&subject, &report);
        self.target.say_how_to_judge(&subject, &report, &mut text);
        target::print(&run.output, &subject, &text, json(&subject, &report));
        Ok(exit::success_if(report.groups.is_empty(), exit::FINDINGS))
    }
}

pub(super) fn text(subject: &Subject, report: &DuplicatesReport) -> Page {
    let mut text = Page::of(format_args!(
        "{}: {} exact, {} near, {} across splits, {} across classes",
        count(report.images, "image"),
        count(report.exact.len(), "group"),
        report.near.len(),
        report.cross_split().count(),
        report.cross_class().count()
    ));
    let groups = report.worst_first();
    for group in groups.iter().take(SHOWN) {
        let is_near = report.near.iter().any(|near| near.places == group.places);
        let kind = if is_near { "near " } else { "exact" };
        let mark = match (group.is_across_splits(), group.is_across_classes()) {
            (true, _) => "  LEAK",
            (false, true) => "  two classes",
            _ => "",
        };
        writeln!(text, "  {kind}{mark}");
        for item in &group.members {
            writeln!(text, "    {}", item.path);
        }
    }
    if groups.len() > SHOWN {
        writeln!(text, "  … and {} more (--json, --html and --groups have all)", groups.len() - SHOWN);
    }
    if !report.similar.is_empty() {
        let what = count(report.similar.len(), "pair");
        writeln!(text, "  {what} similar by their embeddings, which may be no copies");
    }
    for &Neighbours { a, b, cosine } in report.similar.iter().take(SHOWN) {
        let [one, other] = [a, b].map(|at| &subject.images[at]);
        let mark = if one.split == other.split { "" } else { "  two splits" };
        writeln!(text, "    {} {}  {cosine:.4}{mark}", one.path, other.path);
    }
    if report.similar.len() > SHOWN {
        writeln!(text, "    … and {} more (--json and --html have all)", report.similar.len() - SHOWN);
    }
    if report.low_contrast > 0 {
        let what = count(report.low_contrast, "image");
        writeln!(text, "  {what} with almost no contrast: only their exact copies are found");
    }
    if report.broken > 0 {
        let what = count(report.broken, "image");
        writeln!(
            text,
            "  {what} cannot be decoded: only copies with the same bytes are found (`isn audit images`)"
        );
    }
    text
}

pub(super) fn json(subject: &Subject, report: &DuplicatesReport) -> Map<String, Value> {
    let path = |at: usize| &subject.images[at].path;
    let paths = |groups: &[Group]| -> Vec<Value> {
        groups.iter().map(|group| group.members.iter().map(|item| json!(item.path)).collect()).collect()
    };
    let pairs = report.pairs.iter().map(|near| {
        json!({
            "a": path(near.a), "b": path(near.b), "distance": near.distance, "mirrored": near.mirrored,
            "turned": near.turned, "inverted": near.inverted,
            "similarity": (near.similarity * 1e4).round() / 1e4,
        })
    });
    let similar = report.similar.iter().map(|pair| {
        let cosine = (f64::from(pair.cosine) * 1e4).round() / 1e4;
        json!({ "a": path(pair.a), "b": path(pair.b), "cosine": cosine })
    });
    let ids = report.groups.iter().flat_map(|group| &group.members);
    let ids =
        ids.chain(report.similar.iter().flat_map(|pair| [pair.a, pair.b].map(|at| &subject.images[at])));
    let ids: Map<String, Value> = ids.map(|item| (item.path.clone(), json!(item.source_id))).collect();
    let leaks: Vec<&Group> = report.cross_split().collect();
    let judge: Vec<&[String; 2]> = report.worst_first().into_iter().map(|group| &group.pair).collect();
    object(json!({
        "exact": paths(&report.exact),
        "near": paths(&report.near),
        "cross_split": leaks.len(),
        "cross_class": report.cross_class().count(),
        "leakage": leaks.iter().map(|group| group.members.iter().map(|item| &item.path).collect()).collect::<Vec<Vec<_>>>(),
        "pairs": pairs.collect::<Vec<_>>(),
        "similar": similar.collect::<Vec<_>>(),
        "source_ids": ids,
        "judge": judge,
        "low_contrast": report.low_contrast,
        "undecodable": report.broken,
    }))
}
