//! `isn build`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::{images, path_json, size};
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::VersionId;
use isn_format::error::{Result, count};
use isn_format::ledger::policy::ClaimCount;
use isn_format::text::shell_path;
use isn_registry::ops::build::{BuildOptions, BuildReport, Inputs, SliceReport, build, build_slice};
use isn_registry::share::Share;

/// Arguments of `isn build`.
#[derive(Debug, Args)]
pub(in crate::cli) struct BuildArgs {
    /// The recipe: a file, or the name of one that comes with isn
    #[arg(value_name = "RECIPE.toml|NAME")]
    recipe: PathBuf,
    /// The source images
    #[arg(long, value_name = "DIR")]
    source: PathBuf,
    /// The folder to write the build to [default: ./NAME-VERSION-build]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build a part, to try a recipe: the source need not be whole, and the result has no version and cannot
    /// be published
    #[arg(long)]
    partial: bool,
    /// Build only part I of N equal parts of the images, so that several machines can share the work; --join
    /// makes the build of them
    #[arg(long, value_name = "I/N", conflicts_with = "join")]
    part: Option<Share>,
    /// Make the build of all its parts, which --part has built; the source is only listed
    #[arg(long, value_name = "DIR", num_args = 1..)]
    join: Vec<PathBuf>,
    /// How the index is stored: whole, or in blocks, so that a pull of a class reads only that class; isn
    /// 0.1.0 does not read these [default: in blocks if there are more than 50,000 images]
    #[arg(long, value_name = "FORM", value_enum, conflicts_with = "part")]
    index: Option<IndexForm>,
    #[command(flatten)]
    registry: RegistryArg,
}

/// How an index is stored.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum IndexForm {
    Whole,
    Blocks,
}

impl Verb for BuildArgs {
    fn kept(&self) -> Option<&'static str> {
        Some("the shards finished so far are kept; run the same command again to resume")
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let recipe = run.recipe(&self.recipe)?;
        let VersionId { name, version } = recipe.recipe.id();
        let what = if self.partial { "part".into() } else { version.to_string() };
        let out = self.out.clone().unwrap_or_else(|| match self.part {
            Some(Share { part, of }) => format!("{name}-{what}-build-{}-of-{of}", part + 1).into(),
            None => format!("{name}-{what}-build").into(),
        });
        let inputs = Inputs::read(recipe, &run.client(&self.registry)?)?;
        let indexes = run.indexes(self.registry.no_cache);
        let options = BuildOptions {
            inputs: &inputs,
            source: &self.source,
            out: &out,
            jobs: run.jobs,
            indexes: indexes.as_ref(),
            expected: None,
            partial: self.partial,
            slices: &self.join,
            in_blocks: self.index.map(|form| matches!(form, IndexForm::Blocks)),
            named: &|| run.complete(),
        };
        if let Some(share) = self.part {
            let report = build_slice(&options, share, &run.progress)?;
            let partial = if self.partial { " --partial" } else { "" };
            let next = format!(
                "isn build {} --source {}{partial} --join PART...",
                shell_path(&self.recipe),
                shell_path(&self.source)
            );
            print_slice(&run.output, &report, &out, next);
            return Ok(ExitCode::SUCCESS);
        }
        let (report, is_new) = build(&options, &run.progress)?;
        print(&run.output, &report, &out, is_new);
        Ok(ExitCode::SUCCESS)
    }
}

fn print_slice(output: &Output, report: &SliceReport, out: &Path, next: String) {
    let SliceReport { id, share, images, of_images, is_new } = report;
    let verb = if *is_new { "built" } else { "already built" };
    let images_of = format!("{} of {of_images}", count(*images, "image"));
    let mut text = Page::of(format_args!("{}: {verb}, part {share} of {id}, {images_of}", out.display()));
    writeln!(text, "next, with all {}:", count(share.of, "part"));
    writeln!(text, "  {next}");
    let object = json!({
        "name": id.name, "version": id.version, "part": share.part + 1, "of": share.of, "images": images,
        "of_images": of_images, "path": path_json(out), "next": [next],
    });
    output.print_done(&text, object);
}

/// What can be done with a build: use it and, unless it is a part, let others use it.
fn next_steps(report: &BuildReport, out: &Path) -> Vec<String> {
    let build = shell_path(Path::new(".").join(out));
    let publish = format!("isn publish {build} --registry REGISTRY --key KEY");
    [format!("isn pull {build}")].into_iter().chain(report.version.map(|_| publish)).collect()
}

fn print(output: &Output, report: &BuildReport, out: &Path, is_new: bool) {
    let mut text = Page::default();
    let verb = if is_new { "built" } else { "already built" };
    writeln!(text, "{}: {verb}, {}", out.display(), images(report.images, report.bytes));
    match report.version {
        Some(version) => writeln!(text, "  version  {}@{version}, not released", report.name),
        None => writeln!(text, "  version  none: it is of a part of the source, and cannot be published"),
    }
    writeln!(text, "  source   {}", report.source);
    writeln!(text, "  shards   {}, {}", report.shards, size(report.shard_bytes));
    for (split, classes) in &report.balance {
        let (least, most) = (classes.values().min().unwrap_or(&0), classes.values().max().unwrap_or(&0));
        let range = if least == most { format!("{least}") } else { format!("{least} to {most}") };
        let total: u64 = classes.values().sum();
        writeln!(
            text,
            "  {:<7}  {}, {range} a class, {}",
            split.as_str(),
            count(total as usize, "image"),
            if classes.len() == 1 { "1 class".into() } else { format!("{} classes", classes.len()) }
        );
    }
    let changed =
        [("removed", &report.removed), ("relabelled", &report.relabelled), ("dropped", &report.dropped)];
    for (what, ids) in changed.iter().filter(|(_, ids)| !ids.is_empty()) {
        writeln!(text, "  {what:<7}  {}", count(ids.len(), "image"));
    }
    if report.claims.all > 0 {
        let ClaimCount { all, here } = report.claims;
        writeln!(text, "  claims   {here} of {all} are about images of this source");
    }
    output.warn(&report.warnings);
    writeln!(text, "  pin      {}", report.pin);
    let next = next_steps(report, out);
    writeln!(text, "next:");
    for command in &next {
        writeln!(text, "  {command}");
    }
    let mut object = json!(report);
    object["next"] = json!(next);
    object["path"] = path_json(out);
    output.print_done(&text, object);
}
