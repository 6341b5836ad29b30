//! `isn review`: arguments in, the page's address out, and how it ended.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::args::RegistryArg;
use super::commands::Run;
use super::values::parse_person;
use crate::cli::exit::ExitCode;
use crate::review::{Review, ReviewOptions};
use isn_format::error::Result;
use isn_format::recipe::Recipe;
use isn_registry::files;
use isn_registry::ops::audit::Subject;

/// What to review.
#[derive(Debug, Args)]
pub(super) struct ReviewArgs {
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

impl Run {
    pub(super) fn review(&self, args: ReviewArgs) -> Result<ExitCode> {
        let subject =
            self.with_client(&args.registry, |client| Subject::open(client, &args.target, &self.progress))?;
        let recipe = |path: PathBuf| Recipe::parse(&path.display().to_string(), &files::read_text(&path)?);
        let recipe = args.recipe.map(recipe).transpose()?;
        let review = Review::bind(ReviewOptions {
            subject,
            ledger: args.ledger,
            suspects: args.suspects,
            classes: recipe.map(|recipe| recipe.classes),
            reviewer: args.reviewer,
            listen: args.listen,
        })?;
        self.output.reviewing(&review);
        // The page has its key in the address: without it nobody can open it.
        if self.output.is_broken() {
            return Ok(ExitCode::SUCCESS);
        }
        self.output.reviewed(&review.run()?);
        Ok(ExitCode::SUCCESS)
    }
}
