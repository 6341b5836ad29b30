//! `isn pairs show`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{row, said};
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Missing, Result, count};
use isn_format::pairs::Pair;
use isn_registry::ops::pairs::open;

/// Arguments of `isn pairs show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The file of pairs
    #[arg(value_name = "PAIRS")]
    pairs: PathBuf,
    /// Only pairs of this image (may be repeated)
    #[arg(long = "image", value_name = "ID")]
    images: Vec<String>,
}

impl Verb for ShowArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let pairs = open(&self.pairs)?;
        let all = pairs.pairs();
        let is_of = |pair: &Pair, id: &String| pair.ids().contains(&id.as_str());
        if let Some(id) = self.images.iter().find(|id| !all.iter().any(|pair| is_of(pair, id))) {
            let place = format!("pairs {}", self.pairs.display());
            return Err(Error::not_found(Missing::Other, format!("a pair of image {id}"), place));
        }
        let wanted = |pair: &Pair| self.images.is_empty() || self.images.iter().any(|id| is_of(pair, id));
        let (mut text, mut objects) = (Page::default(), Vec::new());
        for pair in all.into_iter().filter(|pair| wanted(pair)) {
            let opinions = pairs.opinions(pair);
            writeln!(text, "{pair}");
            opinions.iter().for_each(|one| writeln!(text, "  {}", said(one)));
            let decisions: Vec<Value> = opinions.into_iter().map(row).collect();
            objects.push(json!({ "first": pair.first(), "second": pair.second(), "decisions": decisions }));
        }
        let (rows, shown) = (pairs.rows().len(), count(objects.len(), "pair"));
        writeln!(text, "{}: {}; {shown} shown", self.pairs.display(), count(rows, "row"));
        run.output.print(&text, json!({ "pairs": path_json(&self.pairs), "rows": rows, "shown": objects }));
        Ok(ExitCode::SUCCESS)
    }
}
