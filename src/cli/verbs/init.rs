//! `isn init`.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::Name;
use isn_format::error::{Result, count};
use isn_format::text::shell_path;
use isn_registry::ops::init::{Columns, InitOptions, InitReport, init};
use isn_registry::recipe_file::RECIPE_TOML;

/// How many of the classes, and of what was left out, are printed.
const SHOWN: usize = 8;

/// Arguments of `isn init`.
#[derive(Debug, Args)]
pub(in crate::cli) struct InitArgs {
    /// The folder of pictures: one folder a class, below train/, val/ and test/ or without splits; or one
    /// with a CSV file of their labels in it
    dir: PathBuf,
    /// The folder to write [default: ./NAME-recipe]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The dataset's name [default: from the folder's]
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// The terms of the images, for example CC-BY-4.0, without which `isn publish` refuses them
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
}

impl Verb for InitArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let options = InitOptions {
            source: &self.dir,
            out: self.out.as_deref(),
            name: self.name.as_ref(),
            licence: self.licence.as_deref(),
        };
        let report = init(&options, &run.progress)?;
        print(&run.output, &report, &self.dir);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &InitReport, source: &Path) {
    let recipe = report.out.join(RECIPE_TOML);
    let (name, version) = (&report.name, report.version);
    let next = [
        format!("isn build {} --source {}", shell_path(&recipe), shell_path(source)),
        "isn key new me".into(),
        format!("isn publish {name}-{version}-build --registry {name}-registry --key me"),
    ];
    let mut text = Page::default();
    let classes = if report.classes.len() == 1 { "class" } else { "classes" };
    writeln!(
        text,
        "{}: recipe of {name}@{version}: {}, {} {classes}",
        recipe.display(),
        count(report.images as usize, "image"),
        report.classes.len()
    );
    if let Some(list) = &report.list {
        writeln!(text, "  list     {list}");
    }
    if let Some(Columns { path, label, split, not_read }) = &report.columns {
        let split = split.as_ref().map(|split| format!(", split = {split}")).unwrap_or_default();
        let not_read = match &not_read[..] {
            [] => String::new(),
            not_read => format!("; not read: {}", not_read.join(", ")),
        };
        writeln!(text, "  columns  path = {path}, label = {label}{split}{not_read}");
    }
    for (split, folders) in &report.splits {
        let file = report.annotated.get(split).map(|file| format!(" (classes from {file})"));
        writeln!(text, "  {:<8} {}{}", split.as_str(), folders.join(", "), file.unwrap_or_default());
    }
    for class in report.classes.iter().take(SHOWN) {
        let images = class.images.iter().map(|(split, n)| format!("{n} {split}")).collect::<Vec<_>>();
        writeln!(text, "  class    {} ({}): {}", class.id, class.label, images.join(", "));
    }
    more(&mut text, report.classes.len());
    writeln!(text, "  images   names = {}, size = {}", report.names, report.size);
    writeln!(text, "  split    policy = {}", report.policy);
    let mut left_out: Vec<_> = report.left_out.iter().collect();
    left_out.sort_by_key(|left| Reverse(left.images));
    for left in left_out.into_iter().take(SHOWN) {
        let images = left.images.map(|n| format!(" ({})", count(n as usize, "image"))).unwrap_or_default();
        writeln!(text, "  left out {}{images}: {}", left.path, left.why);
    }
    more(&mut text, report.left_out.len());
    output.warn(&report.warnings);
    if !report.has_licence {
        let why = format!(
            "the licence is not stated, and `isn publish` will refuse the version: change `licence` in the recipe, \
             or remove {} and run this again with --licence",
            shell_path(&report.out)
        );
        output.warn([why]);
    }
    writeln!(text, "next:");
    for command in &next {
        writeln!(text, "  {command}");
    }
    let mut object = json!(report);
    object["path"] = path_json(&report.out);
    object["next"] = json!(next);
    output.print_done(&text, object);
}

fn more(text: &mut Page, all: usize) {
    if let Some(more) = all.checked_sub(SHOWN).filter(|more| *more > 0) {
        writeln!(text, "           and {more} more");
    }
}
