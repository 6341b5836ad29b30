//! `isn info`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::rebuilt::{Stated, counted, outcome_json};
use crate::cli::render::{images, signed, version};
use crate::cli::run::{Run, Verb};
use isn_format::class::Class;
use isn_format::dataset_ref::{DatasetRef, VersionId};
use isn_format::description::Counts;
use isn_format::error::{Error, Missing, Result, count};
use isn_format::key::PublicKey;
use isn_format::tree::Origin;
use isn_registry::client::version_at::VersionAt;
use isn_registry::ops::info::{InfoReport, Report, TreeReport, info, stated};
use isn_registry::registry::Outcome;

/// What stands in the place of signers.
const NOT_RELEASED: &str = "not released";

/// Arguments of `isn info`.
#[derive(Debug, Args)]
pub(in crate::cli) struct InfoArgs {
    /// The version: NAME, NAME@VERSION or a pin; or a build or a tree
    #[arg(value_name = "REF|BUILD|TREE")]
    version: VersionAt,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for InfoArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let client = run.client(&self.registry)?;
        let unreleased = match info(&client, &self.version) {
            Ok(Report::Version(report)) => {
                print(&run.output, &report, run.known_keys());
                return Ok(ExitCode::SUCCESS);
            }
            Ok(Report::Tree(report)) => {
                print_tree(&run.output, &report);
                return Ok(ExitCode::SUCCESS);
            }
            Err(e @ (Error::Unreleased { .. } | Error::NotFound { kind: Missing::Version, .. })) => e,
            Err(e) => return Err(e),
        };
        // Before there is a release, there may be people who built it.
        let VersionAt::Registry(DatasetRef::Version(id, None)) = &self.version else {
            return Err(unreleased);
        };
        let stated = stated(&client, id)?;
        if stated.is_empty() {
            return Err(unreleased);
        }
        print_stated(&run.output, id, &stated, &run.known_keys());
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints what keys state of a version that nobody has released.
fn print_stated(
    output: &Output,
    id: &VersionId,
    stated: &[(String, Vec<Outcome>)],
    known: &BTreeSet<PublicKey>,
) {
    let mut text = Page::of(format_args!("{id} is not released"));
    let mut registries = Vec::new();
    for (registry, outcomes) in stated {
        writeln!(text, "  registry {registry}");
        for one in outcomes {
            writeln!(text, "    {}: {}", one.dataset.prefixed(), counted(&one.keys, known));
            writeln!(text, "      from inputs {}", one.inputs.prefixed());
            one.keys.iter().for_each(|key| writeln!(text, "      {}", key.fingerprint()));
        }
        let outcomes: Vec<Value> = outcomes.iter().map(|one| outcome_json(one, known)).collect();
        registries.push(json!({ "registry": registry, "rebuilt": outcomes }));
    }
    let object = json!({
        "name": id.name, "version": id.version, "released": false, "registries": registries,
    });
    output.print(&text, object);
}

fn print(output: &Output, report: &InfoReport, known: BTreeSet<PublicKey>) {
    output.warn(&report.head.warnings);
    let manifest = &report.head.manifest;
    let stated = Stated::of(manifest, &report.outcomes, known);
    output.warn(stated.warnings());
    let is_own = report.head.is_own;
    let mut text = Page::default();
    writeln!(text, "{}  {}", report.head.identity().title_of(), manifest.title);
    // The bar marks the publisher's text, so that it cannot pass for isn's, such as who signed.
    text.block("  | ", manifest.description.trim());
    let fields = [
        ("images", images(manifest.images, manifest.bytes)),
        ("pipeline", manifest.pipeline.clone()),
        ("source", manifest.source.clone()),
        ("licence", manifest.licence.trim().into()),
        ("authors", manifest.authors.join(", ")),
        (if is_own { "build" } else { "registry" }, report.registry.clone()),
        ("signed", if is_own { NOT_RELEASED.into() } else { signed(&report.head) }),
        ("rebuilt", stated.line().unwrap_or_default()),
        ("manifest", report.head.manifest_ref.blake3.prefixed()),
        ("dataset", manifest.dataset.prefixed()),
        ("pin", report.head.pin()),
    ];
    write_fields(&mut text, &fields);
    if report.rebuild_only && is_own {
        writeln!(text, "  it has no images: its list of packs is empty, so it has to be built again");
    } else if report.rebuild_only {
        writeln!(
            text,
            "  rebuild-only: no images here, `isn pull {} --source DIR` builds them",
            manifest.pin()
        );
    }
    write_classes(&mut text, &report.classes, &report.counts);
    let mut object = version(&report.head, manifest.images, manifest.bytes);
    object["title"] = json!(manifest.title);
    object["description"] = json!(manifest.description);
    object["licence"] = json!(manifest.licence);
    object["authors"] = json!(manifest.authors);
    object["citation"] = json!(manifest.citation);
    object["pipeline"] = json!(manifest.pipeline);
    object["source"] = json!(manifest.source);
    object["splits"] = json!(report.counts);
    object["registry"] = json!(report.registry);
    object["rebuild_only"] = json!(report.rebuild_only);
    object["released"] = json!(!is_own);
    object["rebuilt"] = stated.json();
    output.print(&text, object);
}

/// Prints what a tree is, by its own files.
fn print_tree(output: &Output, report: &TreeReport) {
    let TreeReport { identity, origin, classes, splits } = report;
    let images: u64 = splits.values().flat_map(BTreeMap::values).sum();
    let mut text = Page::default();
    writeln!(text, "{}  {}", identity.title_of(), identity.title);
    let (released, signed_by) = match origin {
        Origin::Released(known) => (true, &known.signed_by[..]),
        Origin::Unreleased(_) => (false, &[][..]),
    };
    let part = origin.clone().selection().describe();
    let there = count(images as usize, "image");
    let signed = match (released, signed_by) {
        (false, _) => NOT_RELEASED.into(),
        (true, []) => "not checked when it was pulled".into(),
        (true, keys) => format!("by {}, when it was pulled", keys.join(" and ")),
    };
    let fields = [
        (
            "images",
            match (images == identity.images, &*part) {
                (true, _) => there,
                (false, "") => format!("{there} of {}", identity.images),
                (false, part) => format!("{there} of {}: {part}", identity.images),
            },
        ),
        ("licence", identity.licence.trim().into()),
        ("signed", signed),
        ("dataset", identity.dataset.prefixed()),
        ("pin", identity.pin.clone()),
    ];
    write_fields(&mut text, &fields);
    writeln!(text, "  by its own files, whose images were not read: `isn verify` checks them");
    write_classes(&mut text, classes, splits);
    let object = json!({
        "name": identity.name, "version": identity.version, "dataset": identity.dataset.prefixed(),
        "pin": identity.pin, "released": released, "title": identity.title, "licence": identity.licence,
        "images": images, "images_of_version": identity.images, "splits": splits,
        "selection": origin.clone().selection(), "signed_by": signed_by,
    });
    output.print(&text, object);
}

/// Writes fields, a line each; those without a value are left out.
fn write_fields(text: &mut Page, fields: &[(&str, String)]) {
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let mut lines = value.lines();
        writeln!(text, "  {name:<9}  {}", lines.next().unwrap_or_default());
        lines.for_each(|line| text.block("             ", line));
    }
}

/// Writes the table of classes, with the number of images of each in each split.
fn write_classes(text: &mut Page, classes: &[Class], splits: &Counts) {
    let names: Vec<_> = splits.keys().collect();
    let heads: String = names.iter().map(|split| format!("{:>8}", split.as_str())).collect();
    text.blank();
    let width = classes.iter().map(|class| class.id.as_str().len()).fold(12, usize::max);
    writeln!(text, "  {:<width$}{heads}  class", "id");
    for class in classes {
        let counts: String =
            names.iter().map(|split| format!("{:>8}", splits[split].get(&class.id).unwrap_or(&0))).collect();
        let group = class.group.as_ref().map(|group| format!(" ({group})")).unwrap_or_default();
        writeln!(text, "  {:<width$}{counts}  {}{group}", class.id.as_str(), class.label);
    }
}
