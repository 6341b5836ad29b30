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
use crate::review::{Review, ReviewOptions, ReviewReport};
use isn_format::class::ClassId;
use isn_format::error::Result;
use isn_registry::ops::audit::Subject;

/// Arguments of `isn review`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReviewArgs {
    /// A folder of images, a tree, a build, or a version (NAME, NAME@VERSION or a pin)
    #[arg(value_name = "DIR|REF")]
    target: String,
    /// The ledger to add decisions to, which is made if it does not exist
    #[arg(long, value_name = "LEDGER")]
    ledger: PathBuf,
    /// The suspects: a ledger of label claims, as `isn audit labels --claims` writes it, or a list of images
    /// [default: the ledger's own claims]
    #[arg(long, value_name = "FILE")]
    suspects: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeArg,
    /// Your name, which is recorded in the ledger
    #[arg(long, value_name = "NAME", value_parser = parse_person)]
    reviewer: String,
    /// The loopback address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for ReviewArgs {
    fn kept(&self) -> Option<&'static str> {
        None
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let recipe = run.folder_recipe(&self.recipe, Some(&self.ledger))?;
        let client = run.client(&self.registry)?;
        let subject = Subject::open(&client, &self.target, recipe.as_ref(), &run.progress)?;
        run.output.warn(subject.warnings.iter().cloned().chain(subject.guess()));
        // A recipe that nobody named may be that of other images.
        let has = |class: &ClassId| subject.images.iter().any(|image| image.class.as_ref() == Some(class));
        let recipe = recipe
            .filter(|one| one.found.is_none() || one.file.recipe.classes.iter().any(|class| has(&class.id)));
        let review = Review::bind(ReviewOptions {
            subject,
            ledger: self.ledger.clone(),
            suspects: self.suspects.clone(),
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

/// Prints the address at once, since a person or a program waits for it.
fn print_begun(output: &Output, review: &Review) {
    let ReviewReport { suspects, decided } = review.report();
    let url = review.url();
    let text = Page::of(format_args!(
        "{suspects} suspects, {decided} decided: open {url} in a browser; Ctrl-C stops"
    ));
    output.print(&text, json!({ "url": url, "suspects": suspects, "decided": decided }));
}

fn print(output: &Output, report: &ReviewReport) {
    let ReviewReport { suspects, decided } = *report;
    let text = Page::of(format_args!("{decided} of {suspects} suspects decided"));
    output.print_done(&text, json!({ "suspects": suspects, "decided": decided }));
}
