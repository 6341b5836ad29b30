//! `isn source` and `isn verify-source`: arguments, what they do, what they print.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;

use super::args::RegistryArg;
use super::commands::Run;
use super::console::Page;
use super::exit;
use super::render::{Output, path_json};
use crate::cli::exit::ExitCode;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Result, count};
use isn_format::recipe::Recipe;
use isn_format::split::Split;
use isn_registry::files;
use isn_registry::ops::source::{CheckOptions, SourceReport, check};
use isn_registry::ops::verify_source::{VerifySourceReport, verify_source};

/// `isn source …`
#[derive(Debug, Subcommand)]
pub(super) enum SourceCommand {
    /// Say how a folder of source images is laid out, and what it lacks of what a recipe needs; exit 8 if it does
    Check {
        /// The raw images: folders, the official archives, Kaggle's layout or parquet files
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// The recipe, whose classes are looked for
        #[arg(long, value_name = "RECIPE.toml")]
        recipe: PathBuf,
        /// Hash the official archives and compare with the published MD5, instead of their lengths alone
        #[arg(long)]
        checksums: bool,
        /// Keep no index of the archives in the cache
        #[arg(long)]
        no_cache: bool,
    },
}

/// What to compare with what.
#[derive(Debug, ClapArgs)]
pub(super) struct VerifySourceArgs {
    /// Which version
    #[arg(value_name = "REF")]
    reference: DatasetRef,
    /// Your copy of the source images, in any layout
    #[arg(long, value_name = "DIR")]
    source: PathBuf,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Run {
    pub(super) fn source(&self, command: SourceCommand) -> Result<ExitCode> {
        let SourceCommand::Check { dir, recipe, checksums, no_cache } = command;
        let recipe = Recipe::parse(&recipe.display().to_string(), &files::read_text(&recipe)?)?;
        let indexes = self.indexes_unless(no_cache);
        let options = CheckOptions { recipe: &recipe, source: &dir, checksums, indexes: indexes.as_ref() };
        let report = check(&options, &self.progress)?;
        self.output.source_checked(&report, &dir);
        Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDINGS) })
    }

    pub(super) fn verify_source(&self, args: &VerifySourceArgs) -> Result<ExitCode> {
        let VerifySourceArgs { reference, source, registry } = args;
        self.with_client(registry, |client| {
            let report = verify_source(client, reference, source, self.jobs, &self.progress)?;
            self.output.source_verified(&report, source);
            let is_right = report.differing.is_empty() && report.missing.is_empty();
            Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::from(exit::INTEGRITY) })
        })
    }
}

impl Output {
    fn source_checked(&self, report: &SourceReport, dir: &Path) {
        self.warn(&report.warnings);
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
        writeln!(text, "{}", if report.is_whole() { "ok: all is there" } else { "NOT WHOLE" });
        let mut object = json!(report);
        object["ok"] = json!(report.is_whole());
        object["path"] = path_json(dir);
        self.print(&text, object);
    }

    fn source_verified(&self, report: &VerifySourceReport, dir: &Path) {
        self.warn(&report.warnings);
        let (differing, missing) = (&report.differing, &report.missing);
        let is_right = differing.is_empty() && missing.is_empty();
        let manifest = &report.snapshot.head.manifest;
        let mut text = Page::default();
        let checked = count(report.checked as usize, "source file");
        let unsigned = report.snapshot.head.unsigned();
        let as_said = match unsigned {
            [] => "as released",
            _ => "as the index says, which nobody whom you trust signed",
        };
        if is_right {
            writeln!(text, "ok: {} ({}): {checked} {as_said}", dir.display(), report.layout)
        } else {
            writeln!(
                text,
                "FAILED: {} ({}): {checked} compared, {} differ, {} missing",
                dir.display(),
                report.layout,
                differing.len(),
                missing.len()
            )
        };
        [differing, missing].iter().for_each(|list| text.list(list));
        writeln!(text, "  pin      {}", manifest.pin());
        let object = json!({
            "ok": is_right,
            "name": manifest.name,
            "version": manifest.version,
            "pin": manifest.pin(),
            "path": path_json(dir),
            "source": report.layout,
            "checked": report.checked,
            "differing": differing,
            "missing": missing,
            "unsigned": unsigned,
            "warnings": report.warnings,
        });
        self.print(&text, object);
    }
}
