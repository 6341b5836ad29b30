//! `isn cite`.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_registry::client::version_at::VersionAt;
use isn_registry::ops::cite::{Citation, CitationFormat, cite};

/// Arguments of `isn cite`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CiteArgs {
    /// The version: NAME, NAME@VERSION or a pin; or a build or a tree
    #[arg(value_name = "REF|BUILD|TREE")]
    version: VersionAt,
    /// The format of the citation
    #[arg(long, value_enum, default_value = "bibtex")]
    format: CiteFormat,
    #[command(flatten)]
    registry: RegistryArg,
}

/// The formats of a citation.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum CiteFormat {
    /// A BibTeX entry
    Bibtex,
    /// A sentence
    Plain,
    /// A CITATION.cff file
    Cff,
}

impl From<CiteFormat> for CitationFormat {
    fn from(format: CiteFormat) -> Self {
        match format {
            CiteFormat::Bibtex => CitationFormat::Bibtex,
            CiteFormat::Plain => CitationFormat::Plain,
            CiteFormat::Cff => CitationFormat::Cff,
        }
    }
}

impl Verb for CiteArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let client = run.client(&self.registry)?;
        print(&run.output, &cite(&client, &self.version, self.format.into())?);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, citation: &Citation) {
    output.warn(&citation.warnings);
    let mut text = Page::default();
    text.block("", &citation.text);
    output.print(
        &text,
        json!({ "pin": citation.pin, "citation": citation.text, "unsigned": citation.unsigned }),
    );
}
