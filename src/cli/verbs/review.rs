//! `isn review`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use crate::cli::values::parse_person;
use crate::review::{Review, ReviewOptions, ReviewReport};
use isn_format::error::Result;
use isn_format::recipe::Recipe;
use isn_registry::files;
use isn_registry::ops::audit::Subject;

/// What to review.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReviewArgs {
    /// A folder of images, a tree, the output of `isn build`, or a version
    #[arg(value_name = "DIR|REF")]
    target: String,
    /// The ledger to write to; it is made if there is none
    #[arg(long, value_name = "LEDGER")]
    ledger: PathBuf,
    /// What is in question: claims as an audit writes them, or a list of images [default: the ledger's own claims]
    #[arg(long, value_name = "FILE")]
    suspects: Option<PathBuf>,
    /// The dataset: its classes with their names, where the images' folders say too little or too much
    #[arg(long, value_name = "RECIPE.toml")]
    recipe: Option<PathBuf>,
    /// Who decides: your name, as the ledger will have it
    #[arg(long, value_name = "NAME", value_parser = parse_person)]
    reviewer: String,
    /// A loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for ReviewArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let subject = Subject::open(&run.client(&self.registry)?, &self.target, &run.progress)?;
        let recipe = |path: &PathBuf| Recipe::parse(&path.display().to_string(), &files::read_text(path)?);
        let recipe = self.recipe.as_ref().map(recipe).transpose()?;
        let review = Review::bind(ReviewOptions {
            subject,
            ledger: self.ledger.clone(),
            suspects: self.suspects.clone(),
            classes: recipe.map(|recipe| recipe.classes),
            reviewer: self.reviewer.clone(),
            listen: self.listen,
        })?;
        print_begun(&run.output, &review);
        // The page has its key in the address: without it nobody can open it.
        if run.output.is_broken() {
            return Ok(ExitCode::SUCCESS);
        }
        print(&run.output, &review.run()?);
        Ok(ExitCode::SUCCESS)
    }
}

/// The address comes at once, for whoever waits for it: a person, or a program that opens it.
fn print_begun(output: &Output, review: &Review) {
    let ReviewReport { suspects, decided } = review.report();
    let url = review.url();
    let text = Page::of(format_args!(
        "{suspects} suspects, {decided} decided: open {url} in a browser; Ctrl-C ends"
    ));
    output.print(&text, json!({ "url": url, "suspects": suspects, "decided": decided }));
}

fn print(output: &Output, report: &ReviewReport) {
    let ReviewReport { suspects, decided } = *report;
    let text = Page::of(format_args!("{decided} of {suspects} suspects decided"));
    output.print_done(&text, json!({ "suspects": suspects, "decided": decided }));
}
