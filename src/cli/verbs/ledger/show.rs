//! `isn ledger show`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::rows::{claim, claimed, decided, decision};
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Missing, Result, count};
use isn_format::ledger::{Claim, Ledger};
use isn_registry::ops::ledger::open;

/// Arguments of `isn ledger show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The ledger
    #[arg(value_name = "LEDGER")]
    ledger: PathBuf,
    /// Only this image (may be repeated)
    #[arg(long = "image", value_name = "ID")]
    images: Vec<String>,
}

impl Verb for ShowArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let ledger = open(&self.ledger)?;
        let known = ledger.source_ids();
        if let Some(id) = self.images.iter().find(|id| !known.contains(&id.as_str())) {
            let place = format!("ledger {}", self.ledger.display());
            return Err(Error::not_found(Missing::Other, format!("image {id}"), place));
        }
        print(&run.output, &self.ledger, &ledger, &self.images);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, path: &Path, ledger: &Ledger, images: &[String]) {
    let ids = ledger.source_ids();
    let ids: Vec<&str> =
        ids.into_iter().filter(|id| images.is_empty() || images.iter().any(|one| one == id)).collect();
    let mut text = Page::default();
    let mut objects = Vec::new();
    for id in &ids {
        let claims: Vec<&Claim> = ledger.claims(id).collect();
        let opinions = ledger.opinions(id);
        writeln!(text, "{id}");
        claims.iter().for_each(|one| writeln!(text, "  {}", claimed(one)));
        opinions.iter().for_each(|one| writeln!(text, "  {}", decided(one)));
        objects.push(json!({
            "source_id": id,
            "claims": claims.into_iter().map(claim).collect::<Vec<_>>(),
            "decisions": opinions.into_iter().map(decision).collect::<Vec<_>>(),
        }));
    }
    let rows = ledger.rows().len();
    let shown = count(ids.len(), "image");
    writeln!(text, "{}: {}; {shown} shown", path.display(), count(rows, "row"));
    output.print(&text, json!({ "ledger": path_json(path), "rows": rows, "images": objects }));
}
