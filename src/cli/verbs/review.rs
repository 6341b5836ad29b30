//! `isn review`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::args::{RecipeArg, RegistryArg};
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use crate::cli::values::parse_person;
use crate::review::{Found, Nearest, Review, ReviewOptions, ReviewReport, Reviewed};
use isn_format::class::ClassId;
use isn_format::error::Result;
use isn_format::pairs::Judged;
use isn_registry::ops::audit::duplicates::{NearOptions, duplicates};
use isn_registry::ops::audit::neighbours::{ByImage, COSINE, neighbours};
use isn_registry::ops::audit::{FolderRecipe, Subject};

/// Arguments of `isn review`. The file of decisions says what is reviewed: suspects have a ledger, pairs a
/// file of pairs. Either comes with what an audit found, so this is one verb.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReviewArgs {
    /// A folder of images, a tree, a build, or a version (NAME, NAME@VERSION or a pin)
    #[arg(value_name = "DIR|REF")]
    target: String,
    #[command(flatten)]
    decisions: DecisionsArgs,
    /// The suspects: a ledger of label claims, as `isn audit labels --claims` writes it, or a list of images
    /// [default: the ledger's own claims]
    #[arg(long, value_name = "FILE", conflicts_with = "pairs")]
    suspects: Option<PathBuf>,
    /// The pairs: what `isn audit duplicates --json` printed [default: the audit is run first]
    #[arg(long, value_name = "FILE", conflicts_with = "ledger")]
    duplicates: Option<PathBuf>,
    /// Embeddings of the images: .npy with one row per image, or a folder of `isn audit labels
    /// --save-embeddings`. Beside a suspect are then the nearest images of each class; of pairs, the audit
    /// has those of neighbours as well
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "duplicates")]
    embeddings: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeArg,
    /// Your name, which is recorded with each decision
    #[arg(long, value_name = "NAME", value_parser = parse_person)]
    reviewer: String,
    /// The loopback address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[command(flatten)]
    registry: RegistryArg,
}

/// The file of decisions.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct DecisionsArgs {
    /// Review suspects: the ledger to add decisions to, which is made if it does not exist
    #[arg(long, value_name = "LEDGER")]
    ledger: Option<PathBuf>,
    /// Review pairs of near-duplicates: the file to add decisions to, which is made if it does not exist
    #[arg(long, value_name = "PAIRS")]
    pairs: Option<PathBuf>,
}

impl Verb for ReviewArgs {
    fn kept(&self) -> Option<&'static str> {
        None
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let DecisionsArgs { ledger, pairs } = &self.decisions;
        let recipe = run.folder_recipe(&self.recipe, ledger.as_deref().or(pairs.as_deref()))?;
        let client = run.client(&self.registry)?;
        let mut subject = Subject::open(&client, &self.target, recipe.as_ref(), &run.progress)?;
        // What has been judged is walked, too: a decision can be taken back.
        subject.judged = Judged::default();
        run.output.warn(subject.warnings.iter().cloned().chain(subject.guess()));
        // A recipe that nobody named may be that of other images.
        let has = |class: &ClassId| subject.images.iter().any(|image| image.class.as_ref() == Some(class));
        let recipe = recipe
            .filter(|one| one.found.is_none() || one.file.recipe.classes.iter().any(|class| has(&class.id)));
        let what = self.reviewed(run, &subject, recipe.as_ref());
        let review = Review::bind(ReviewOptions {
            subject,
            what,
            classes: recipe.map(|one| one.file.recipe.classes),
            reviewer: self.reviewer.clone(),
            listen: self.listen,
        })?;
        run.output.warn(&review.elsewhere);
        print_begun(&run.output, &review);
        // The address has the key of the page: without it nobody can open the page.
        if run.output.is_broken() {
            return Ok(ExitCode::SUCCESS);
        }
        print(&run.output, &review.run()?);
        Ok(ExitCode::SUCCESS)
    }
}

impl ReviewArgs {
    /// Says what is reviewed.
    fn reviewed<'a>(
        &'a self,
        run: &'a Run,
        subject: &Subject,
        recipe: Option<&FolderRecipe>,
    ) -> Reviewed<'a> {
        let Some(file) = self.decisions.pairs.clone() else {
            let ledger = self.decisions.ledger.clone().unwrap_or_default();
            let near = |path: &'a PathBuf| -> Nearest<'a> {
                Box::new(move |subject| ByImage::open(subject, path, run.jobs, &run.progress))
            };
            let near = self.embeddings.as_ref().map(near);
            return Reviewed::Suspects { ledger, claims: self.suspects.clone(), near };
        };
        let find = |subject: &Subject| match &self.duplicates {
            Some(printed) => Found::read(printed, subject),
            None => {
                let neighbours = match &self.embeddings {
                    Some(path) => neighbours(subject, path, COSINE, run.jobs, &run.progress)?,
                    None => Vec::new(),
                };
                let options = NearOptions { neighbours: &neighbours, ..NearOptions::default() };
                let report = duplicates(subject, options, run.jobs, &run.progress)?;
                Ok(Found::of(subject, &report))
            }
        };
        let division = recipe.filter(|_| subject.is_source()).map(|one| one.file.recipe.split.clone());
        Reviewed::Pairs { file, find: Box::new(find), division }
    }
}

/// Prints the address at once, since a person or a program waits for it.
fn print_begun(output: &Output, review: &Review) {
    let ReviewReport { noun, count, decided } = review.report();
    let url = review.url();
    let text =
        Page::of(format_args!("{count} {noun}, {decided} decided: open {url} in a browser; Ctrl-C stops"));
    output.print(&text, json!({ "url": url, noun: count, "decided": decided }));
}

fn print(output: &Output, report: &ReviewReport) {
    let ReviewReport { noun, count, decided } = *report;
    let text = Page::of(format_args!("{decided} of {count} {noun} decided"));
    output.print_done(&text, json!({ noun: count, "decided": decided }));
}
