//! `isn pull`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::args::{RegistryArg, SelectionArgs};
use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::rebuilt::Stated;
use crate::cli::render::{first_line, images, path_json, signed, version};
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result};
use isn_format::key::PublicKey;
use isn_format::text::shell_word;
use isn_registry::client::version_at::VersionAt;
use isn_registry::ops::pull::seeds::Reuse;
use isn_registry::ops::pull::{PullOptions, PullReport, Unreleased, pull};
use isn_registry::ops::sync;

/// Arguments of `isn pull`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PullArgs {
    /// The version: NAME, NAME@VERSION or a pin; or the folder of a build, such as ./birds-build
    #[arg(value_name = "REF|BUILD")]
    version: VersionAt,
    #[command(flatten)]
    registry: RegistryArg,
    /// The folder to write [default: ./NAME-VERSION]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Build the version from your own copy of the source images, instead of fetching its images
    #[arg(long, value_name = "DIR", conflicts_with_all = ["splits", "classes", "images"])]
    source: Option<PathBuf>,
    /// Build it from the bundled recipe, and ask no registry (needs --source)
    #[arg(long, requires = "source", conflicts_with = "lock")]
    unreleased: bool,
    /// Hard-link images from trees on this disk instead of copying them, so that an edit shows in both. Files
    /// that other users may write to are copied
    #[arg(long)]
    hardlink: bool,
    /// Record the version in ./isn.lock
    #[arg(long)]
    lock: bool,
    /// With --lock: record a tree even if it is outside this folder
    #[arg(long, requires = "lock")]
    allow_outside: bool,
}

impl Verb for PullArgs {
    fn aim(&self) -> Aim {
        Aim::Bring
    }

    fn kept(&self) -> Option<&'static str> {
        Some("the images fetched so far are kept; run the same command again to resume")
    }

    fn kept_complete(&self) -> &'static str {
        match self.lock {
            true => "the tree is complete; run the same command again to record it in isn.lock",
            false => "the tree is complete; only the report is missing",
        }
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let (selection, here) = (self.selection.read()?, Path::new("."));
        let may_be_at = |to: Option<&Path>| match (&self.version, self.lock) {
            (VersionAt::Registry(reference), true) => {
                sync::check_lockable(here, to, reference, self.allow_outside)
            }
            (VersionAt::Folder(folder), true) => {
                let why = "is a build, and isn.lock has released versions: publish it, and pull the version";
                Err(Error::invalid(folder.display(), why))
            }
            (_, false) => Ok(()),
        };
        may_be_at(self.to.as_deref())?;
        let client = run.client(&self.registry)?;
        let options = PullOptions {
            version: &self.version,
            to: self.to.as_deref(),
            selection: selection.clone(),
            source: self.source.as_deref(),
            unreleased: match (self.unreleased, self.lock) {
                (true, _) => Unreleased::BuildUnasked,
                // A lock brings what others have, too.
                (false, true) => Unreleased::Refuse,
                (false, false) => Unreleased::Build,
            },
            reuse: if self.hardlink { Reuse::HardLink } else { Reuse::Copy },
            jobs: run.jobs,
            may_be_at: &|to| may_be_at(Some(to)),
        };
        let report = pull(&client, options, &run.progress)?;
        if self.lock {
            sync::lock(here, &report, &selection)?;
        }
        print(&run.output, &report, self, run.known_keys());
        Ok(ExitCode::SUCCESS)
    }
}

fn print(output: &Output, report: &PullReport, asked: &PullArgs, known: BTreeSet<PublicKey>) {
    output.warn(&report.snapshot.head.warnings);
    let manifest = &report.snapshot.head.manifest;
    let stated = Stated::of(manifest, &report.outcomes, known);
    output.warn(stated.warnings());
    let path = report.path.display();
    let mut text = Page::default();
    if report.was_there {
        writeln!(text, "{path} already exists and is whole: {}", images(report.images, report.bytes))
    } else {
        let reused = match report.reused_images {
            0 => String::new(),
            n => format!(", {n} of them from this machine"),
        };
        let _ = report.replaced.as_ref().map(|what| writeln!(text, "{path} was {what}"));
        writeln!(text, "{path}: {}{reused}, every one verified", images(report.images, report.bytes))
    };
    writeln!(text, "  title    {}", manifest.title);
    writeln!(text, "  licence  {}", first_line(&manifest.licence));
    match (report.is_released(), &asked.version) {
        (true, _) => writeln!(text, "  signed   {}", signed(&report.snapshot.head)),
        (false, _) if stated.line().is_some() => writeln!(text, "  not released"),
        _ if manifest.is_part => {
            writeln!(text, "  version  none: it is of a part of the source, and cannot be published")
        }
        (false, VersionAt::Folder(build)) => writeln!(
            text,
            "  not released: `isn publish {} --registry REGISTRY --key KEY` releases it",
            shell_word(build.display())
        ),
        (false, VersionAt::Registry(_)) => {
            writeln!(
                text,
                "  not released: you built it, and nobody has confirmed this hash. Compare it with that of"
            );
            writeln!(text, "  others who built {} from the whole source", manifest.id());
        }
    }
    if let Some(line) = stated.line() {
        writeln!(text, "  rebuilt  {line}");
    }
    writeln!(text, "  pin      {}", report.snapshot.head.pin());
    if asked.lock {
        writeln!(text, "  locked in isn.lock");
    }
    let mut object = version(&report.snapshot.head, report.images, report.bytes);
    object["released"] = json!(report.is_released());
    if !report.is_released() {
        // Two builds of one version may have two manifests.
        object["manifest"] = json!(null);
    }
    object["rebuilt"] = stated.json();
    object["path"] = path_json(&report.path);
    object["fetched_bytes"] = json!(report.fetched_bytes);
    object["reused_images"] = json!(report.reused_images);
    object["replaced"] = json!(report.replaced);
    object["registry"] = json!(report.registry);
    output.print_done(&text, object);
}
