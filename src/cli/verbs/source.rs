//! `isn source …`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::cli::console::{self, Page};
use crate::cli::exit::{self, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_format::split::Split;
use isn_registry::ops::source::{CheckOptions, SourceReport, check};

/// Arguments of `isn source`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SourceCommand {
    /// Report the layout of a source, and which images of a recipe it lacks; exits with 8 if it lacks any
    Check {
        /// The source images: folders, the official archives, Kaggle's layout or parquet files
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// The recipe, whose classes the source must have: a file, or the name of one that comes with isn
        #[arg(long, value_name = "RECIPE.toml|NAME")]
        recipe: PathBuf,
        /// Compare the MD5 of the official archives with the published one, instead of their lengths alone
        #[arg(long)]
        checksums: bool,
        /// Do not cache indexes of the archives
        #[arg(long)]
        no_cache: bool,
    },
}

impl Verb for SourceCommand {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let SourceCommand::Check { dir, recipe, checksums, no_cache } = self;
        let recipe = run.recipe(recipe)?.recipe;
        let indexes = run.indexes(*no_cache);
        let options =
            CheckOptions { recipe: &recipe, source: dir, checksums: *checksums, indexes: indexes.as_ref() };
        let report = check(&options, &run.progress)?;
        print_check(&run.output, &report, dir);
        Ok(exit::success_if(report.is_whole(), exit::FINDINGS))
    }
}

fn print_check(output: &Output, report: &SourceReport, dir: &Path) {
    output.warn(&report.warnings);
    let mut text = Page::of(format_args!("{}: {}", dir.display(), report.layout));
    for archive in &report.archives {
        let how = match (&archive.md5, archive.is_right) {
            (Some(md5), true) => format!("ok, MD5 {md5}"),
            (None, true) => "ok by its length (--checksums compares its MD5)".into(),
            (Some(md5), false) => format!("DIFFERS: MD5 {md5}, published {}", archive.expected_md5),
            (None, false) => {
                format!(
                    "DIFFERS: {} bytes, published {}",
                    archive.length,
                    archive.expected_length.unwrap_or(0)
                )
            }
        };
        writeln!(text, "  {}: {how}", archive.name);
    }
    for split in Split::ALL {
        let of_it = report.counts.iter().filter(|count| count.split == split);
        let (mut found, mut missing, mut extra, mut expected, mut classes) = (0, 0, 0, Some(0), 0);
        for count in of_it.clone() {
            found += count.found;
            missing += count.missing;
            extra += count.extra;
            expected = expected.zip(count.expected).map(|(sum, one)| sum + one);
            classes += 1;
        }
        if classes == 0 {
            continue;
        }
        let of = expected.map_or_else(String::new, |expected| format!(" of {expected}"));
        let classes = match classes {
            1 => "1 class".to_string(),
            n => format!("{n} classes"),
        };
        writeln!(
            text,
            "  {:<5}  {found}{of} images of {classes}, {missing} missing, {extra} extra",
            split.as_str()
        );
        for count in of_it.filter(|count| count.missing + count.extra > 0) {
            let ids = match count.missing_ids.as_slice() {
                [] => String::new(),
                ids if ids.len() <= 3 => format!(": {}", ids.join(", ")),
                ids => format!(": {}, … (--json has all)", ids[..3].join(", ")),
            };
            writeln!(
                text,
                "    {}  {} of {}, {} missing, {} extra{ids}",
                count.class.as_str(),
                count.found,
                count.expected.unwrap_or(count.found),
                count.missing,
                count.extra
            );
        }
    }
    for (title, list) in [("problem", &report.problems), ("differing label", &report.differing_labels)] {
        if !list.is_empty() {
            writeln!(text, "{}", count(list.len(), title));
            text.list(list);
        }
    }
    writeln!(text, "{}", if report.is_whole() { "ok: complete" } else { "INCOMPLETE" });
    let mut object = json!(report);
    object["ok"] = json!(report.is_whole());
    object["path"] = path_json(dir);
    output.print(&text, object);
    if !report.is_whole() {
        let next = "get what is missing from where the source comes from, remove what is too much, and check it again";
        console::message("help: ", next);
    }
}
