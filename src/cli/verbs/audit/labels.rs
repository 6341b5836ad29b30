//! `isn audit labels`.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::target::check_outputs;
use crate::cli::args::{RecipeArg, RegistryArg};
use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result, count};
use isn_format::ledger::Ledger;
use isn_format::ledger::date::timestamp;
use isn_registry::audit::labels::{Filter, Rank, Suspect};
use isn_registry::audit::learn::Learner;
use isn_registry::files::{self, Replaced};
use isn_registry::ops::audit::Subject;
use isn_registry::ops::audit::features::{ModelOptions, Saved, save_share};
use isn_registry::ops::audit::labels::{
    Evidence, LabelsOptions, LabelsReport, SCORES, add_to_sheet, audit, claims, table,
};
use isn_registry::row_file;
use isn_registry::share::Share;
use isn_registry::sheet::Sheet;

/// The default number of suspects in the text.
const SHOWN: usize = 20;

/// What cannot be given together with the options of a model: clap does not ask for an argument that
/// conflicts with one that is there.
const NO_MODEL: [&str; 3] = ["probs", "embeddings", "pixels"];

/// Arguments of `isn audit labels`.
#[derive(Debug, Args)]
#[group(id = "evidence", required = true, multiple = false, args = ["probs", "embeddings", "onnx", "pixels"])]
pub(in crate::cli) struct LabelsArgs {
    /// The images: a folder of classes, a tree, a build, or a version (NAME, NAME@VERSION or a pin). Rows of
    /// files are in the order of their paths
    #[arg(value_name = "PATH|REF")]
    target: Option<String>,
    /// Out-of-sample predicted probabilities, one row per image and one column per class: .npy, .csv or
    /// .parquet
    #[arg(long, value_name = "FILE")]
    probs: Option<PathBuf>,
    /// Embeddings: .npy with one row per image, or a folder of --save-embeddings
    #[arg(long, value_name = "FILE|DIR")]
    embeddings: Option<PathBuf>,
    /// An ONNX model that computes embeddings of the images
    #[arg(long, value_name = "MODEL", requires = "target")]
    onnx: Option<PathBuf>,
    /// Use colours and edges of the images as embeddings, without a model
    #[arg(long, requires = "target")]
    pixels: bool,
    /// The labels, one row per image: integers in .npy or .csv, or class ids in .csv [default: the images'
    /// classes]
    #[arg(long, value_name = "FILE", required_unless_present = "target")]
    labels: Option<PathBuf>,
    /// The classes, in the order of the columns
    #[arg(long, value_name = "classes.csv")]
    classes: Option<PathBuf>,
    /// Which labels to flag, or with `several` images that show another class as well [default:
    /// prune_by_noise_rate; prune_by_class for embeddings]
    #[arg(long, value_enum, value_name = "NAME")]
    filter: Option<FilterName>,
    /// How to rank them [default: self_confidence; second_probability for several]
    #[arg(long, value_enum, value_name = "NAME")]
    rank: Option<RankName>,
    /// How to predict probabilities from embeddings
    #[arg(long, value_enum, value_name = "NAME", default_value = "both")]
    learner: LearnerName,
    /// The tensor or node of the model that is the embedding [default: its first output]
    #[arg(long, value_name = "NAME", requires = "onnx", conflicts_with_all = NO_MODEL)]
    layer: Option<String>,
    /// The side of the model's square input in pixels [default: as in the model, or 224]
    #[arg(long, value_name = "N", requires = "onnx", conflicts_with_all = NO_MODEL,
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    input_size: Option<u16>,
    /// The order of the model's input channels
    #[arg(long, value_enum, value_name = "ORDER", requires = "onnx", conflicts_with_all = NO_MODEL, default_value = "rgb")]
    channels: Channels,
    /// The mean to subtract from each channel of 0 to 255, in the model's order
    #[arg(long, value_name = "A,B,C", requires = "onnx", conflicts_with_all = NO_MODEL,
        allow_hyphen_values = true, value_parser = three, default_value = "123.675,116.28,103.53")]
    mean: [f32; 3],
    /// The standard deviation to divide each channel by
    #[arg(long, value_name = "A,B,C", requires = "onnx", conflicts_with_all = NO_MODEL,
        allow_hyphen_values = true, value_parser = three, default_value = "58.395,57.12,57.375")]
    std: [f32; 3],
    /// Keep the embeddings in this folder, and compute only those that it lacks. It is made if it does not
    /// exist
    #[arg(long, value_name = "DIR", requires = "onnx", conflicts_with_all = NO_MODEL)]
    save_embeddings: Option<PathBuf>,
    /// Compute and keep only part I of N equal parts of the images, and audit nothing, so that several
    /// machines can share the work
    #[arg(long, value_name = "I/N", requires = "save_embeddings",
        conflicts_with_all = ["html", "scores", "claims", "labels"])]
    part: Option<Share>,
    /// The maximum number of suspects to print [default: 20 as text, all as JSON]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Write all labels with their scores to this CSV file, the most suspect first; an existing file is
    /// replaced
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Write a contact sheet of the suspects: an HTML file with all pictures in it; an existing file is
    /// replaced
    #[arg(long, value_name = "FILE", requires = "target")]
    html: Option<PathBuf>,
    /// Add the suspects as label claims to this ledger, which is made if it does not exist
    #[arg(long, value_name = "LEDGER", requires = "target")]
    claims: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeArg,
    #[command(flatten)]
    registry: RegistryArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum FilterName {
    PruneByNoiseRate,
    PruneByClass,
    Both,
    ConfidentLearning,
    PredictedNeqGiven,
    LowNormalizedMargin,
    LowSelfConfidence,
    Several,
}

impl From<FilterName> for Filter {
    fn from(name: FilterName) -> Self {
        match name {
            FilterName::PruneByNoiseRate => Filter::PruneByNoiseRate,
            FilterName::PruneByClass => Filter::PruneByClass,
            FilterName::Both => Filter::Both,
            FilterName::ConfidentLearning => Filter::ConfidentLearning,
            FilterName::PredictedNeqGiven => Filter::PredictedNeqGiven,
            FilterName::LowNormalizedMargin => Filter::LowNormalizedMargin,
            FilterName::LowSelfConfidence => Filter::LowSelfConfidence,
            FilterName::Several => Filter::Several,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum RankName {
    SelfConfidence,
    NormalizedMargin,
    ConfidenceWeightedEntropy,
    SecondProbability,
}

impl From<RankName> for Rank {
    fn from(name: RankName) -> Self {
        match name {
            RankName::SelfConfidence => Rank::SelfConfidence,
            RankName::NormalizedMargin => Rank::NormalizedMargin,
            RankName::ConfidenceWeightedEntropy => Rank::ConfidenceWeightedEntropy,
            RankName::SecondProbability => Rank::SecondProbability,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LearnerName {
    /// Ridge regression that leaves out each image in turn
    Ridge,
    /// Cross-validated logistic regression
    Logistic,
    /// Votes of the nearest neighbours
    Neighbours,
    /// Ridge regression and votes
    Both,
}

impl From<LearnerName> for Learner {
    fn from(name: LearnerName) -> Self {
        match name {
            LearnerName::Ridge => Learner::Ridge,
            LearnerName::Logistic => Learner::Logistic,
            LearnerName::Neighbours => Learner::Neighbours,
            LearnerName::Both => Learner::Both,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Channels {
    Rgb,
    Bgr,
}

/// Parses three numbers separated by commas.
fn three(text: &str) -> Result<[f32; 3], String> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|number| number.trim().parse::<f32>())
        .collect::<Result<_, _>>()
        .map_err(|_| "expected three numbers: A,B,C")?;
    numbers
        .try_into()
        .ok()
        .filter(|numbers: &[f32; 3]| numbers.iter().all(|n| n.is_finite()))
        .ok_or_else(|| "expected three numbers: A,B,C".into())
}

impl LabelsArgs {
    /// Keeps the embeddings of a part of the images.
    fn save_share(&self, run: &Run, evidence: &Evidence<'_>, share: Share) -> Result<ExitCode> {
        let (&Evidence::Model { model, ref options, save: Some(folder) }, Some(target)) =
            (evidence, &self.target)
        else {
            return Err(Error::invalid("--part", "is of the images of a folder or a version"));
        };
        let recipe = run.folder_recipe(&self.recipe, None)?;
        let subject = Subject::open(&run.client(&self.registry)?, target, recipe.as_ref(), &run.progress)?;
        let Saved { images, undecodable } =
            save_share(&subject, (model, options), folder, share, run.jobs, &run.progress)?;
        let (part, of) = (share.part + 1, share.of);
        let saved = count(images - undecodable, "embedding");
        let mut text = Page::of(format_args!("{saved} of part {part} of {of} in {}", folder.display()));
        if undecodable > 0 {
            let what = count(undecodable, "image");
            writeln!(text, "  {what} cannot be decoded (`isn audit images` lists them)");
        }
        run.output.warn(&subject.warnings);
        let folder = folder.display().to_string();
        let object = json!({
            "folder": folder, "part": part, "parts": of, "embeddings": images - undecodable,
            "undecodable": undecodable, "warnings": subject.warnings,
        });
        run.output.print(&text, object);
        Ok(ExitCode::SUCCESS)
    }

    fn evidence(&self) -> Result<Evidence<'_>> {
        Ok(match (&self.probs, &self.embeddings, &self.onnx) {
            (Some(file), _, _) => Evidence::Probabilities(file),
            (_, Some(file), _) => Evidence::Embeddings(file),
            (_, _, Some(model)) => {
                if self.std.contains(&0.0) {
                    return Err(Error::invalid("--std", "must not be 0: it divides"));
                }
                let options = ModelOptions {
                    layer: self.layer.clone(),
                    side: self.input_size.map(usize::from),
                    bgr: self.channels == Channels::Bgr,
                    mean: self.mean,
                    deviation: self.std,
                };
                Evidence::Model { model, options, save: self.save_embeddings.as_deref() }
            }
            (None, None, None) => Evidence::Pixels,
        })
    }
}

impl Verb for LabelsArgs {
    fn kept(&self) -> Option<&'static str> {
        Some(match self.save_embeddings {
            Some(_) => "the embeddings in the folder are kept; run the same command again to go on",
            None => "nothing half-written is left; run the same command again",
        })
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        check_outputs([(&self.html, Replaced::Page), (&self.scores, Replaced::Table(SCORES))])?;
        self.claims.as_deref().map_or(Ok(()), files::check_output)?;
        let evidence = self.evidence()?;
        if let Some(share) = self.part {
            return self.save_share(run, &evidence, share);
        }
        let recipe = run.folder_recipe(&self.recipe, self.claims.as_deref())?;
        let filter = self.filter.map_or_else(|| evidence.filter(), Filter::from);
        let usual = match filter {
            Filter::Several => Rank::SecondProbability,
            _ => Rank::SelfConfidence,
        };
        let options = LabelsOptions {
            target: self.target.as_deref(),
            recipe: recipe.as_ref(),
            labels: self.labels.as_deref(),
            classes: self.classes.as_deref(),
            filter,
            rank: self.rank.map_or(usual, Rank::from),
            learner: self.learner.into(),
            jobs: run.jobs,
            evidence,
        };
        let mut report = audit(&run.client(&self.registry)?, &options, &run.progress)?;
        if let (Some(_), Some(subject)) = (&self.claims, &report.subject) {
            report.warnings.extend(subject.guess());
        }
        if let Some(file) = &self.html {
            let mut sheet = Sheet::new("Labels to look at");
            add_to_sheet(&mut sheet, &report);
            files::write_output(file, &sheet.finish())?;
        }
        if let Some(file) = &self.scores {
            files::write_output(file, table(&report).as_bytes())?;
        }
        if let Some(ledger) = &self.claims {
            let claims = claims(&report, &timestamp(SystemTime::now()))?;
            if !claims.is_empty() {
                row_file::append::<Ledger>(ledger, &claims)?;
            }
            run.complete();
        }
        print(&run.output, &report, self.top);
        Ok(exit::success_if(report.suspects.is_empty(), exit::FINDINGS))
    }
}

fn print(output: &Output, report: &LabelsReport, top: Option<usize>) {
    output.warn(&report.warnings);
    let all = &report.suspects;
    let mut text = Page::of(format_args!(
        "{} of {} flagged by {}, the most suspect first by {}",
        all.len(),
        count(report.rows, "label"),
        report.filter.as_str(),
        report.rank.as_str()
    ));
    let shown = &all[..top.unwrap_or(SHOWN).min(all.len())];
    let named = report.subject.is_some();
    if !shown.is_empty() {
        let image = if named { "  image" } else { "" };
        text.blank();
        writeln!(text, "  {:>7}  {:>9}  {:<12}  {:<12}{image}", "row", "score", "given", "suggested");
    }
    for suspect in shown {
        let image = if named { format!("  {}", report.images()[suspect.row].path) } else { String::new() };
        let (given, suggested) = (report.class(suspect.given), report.class(suspect.suggested));
        let line =
            format!("  {:>7}  {:>9.6}  {given:<12}  {suggested:<12}{image}", suspect.row, suspect.score);
        writeln!(text, "{}", line.trim_end());
    }
    if shown.len() < all.len() {
        text.blank();
        writeln!(text, "{} more: --top {} shows all, --json has them", all.len() - shown.len(), all.len());
    }
    let listed = &all[..top.unwrap_or(all.len()).min(all.len())];
    let mut by_class = vec![0; report.classes];
    all.iter().for_each(|suspect| by_class[suspect.given] += 1);
    let column = |of: &dyn Fn(&Suspect) -> serde_json::Value| listed.iter().map(of).collect::<Vec<_>>();
    let mut object = json!({
        "flagged": column(&|suspect| json!(suspect.row)),
        "scores": column(&|suspect| json!(suspect.score)),
        "given": column(&|suspect| json!(suspect.given)),
        "suggested": column(&|suspect| json!(suspect.suggested)),
        "counts": { "rows": report.rows, "flagged": all.len(), "by_class": by_class },
        "filter": report.filter.as_str(),
        "rank": report.rank.as_str(),
        "classes": report.classes,
        "class_ids": report.class_ids.as_ref().map(|ids| ids.iter().map(|id| id.as_str()).collect::<Vec<_>>()),
        "learner": report.learner.map(|learner| learner.as_str()),
        "warnings": report.warnings,
    });
    if named {
        object["images"] = json!(column(&|suspect| json!(report.images()[suspect.row].path)));
        object["source_ids"] = json!(column(&|suspect| json!(report.images()[suspect.row].source_id)));
    }
    output.print(&text, object);
}
