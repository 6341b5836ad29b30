//! `isn audit duplicates`, `images`, `balance` and `all`: arguments in, report out.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use crate::cli::args::RegistryArg;
use crate::cli::commands::Run;
use crate::cli::exit;
use crate::cli::exit::ExitCode;
use isn_format::error::Result;
use isn_registry::audit::duplicates::MAX_DISTANCE;
use isn_registry::audit::health::Limits;
use isn_registry::audit::similar::SIMILAR;
use isn_registry::files;
use isn_registry::ops::audit::duplicates::{DuplicatesReport, NearOptions};
use isn_registry::ops::audit::images::ImagesReport;
use isn_registry::ops::audit::looks::look;
use isn_registry::ops::audit::{Subject, balance, duplicates, images, sheet};
use isn_registry::sheet::Sheet;

/// What is audited, and what becomes of it.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct TargetArgs {
    /// A folder of images, a tree, the output of `isn build`, or a version
    #[arg(value_name = "DIR|REF")]
    target: String,
    #[command(flatten)]
    registry: RegistryArg,
}

/// `isn audit duplicates`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct DuplicatesArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    near: NearArgs,
    /// Write a contact sheet: one HTML file with all pictures in it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What counts as a copy.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct NearArgs {
    /// In how many of 64 bits the perceptual hashes of near copies may differ
    #[arg(long, value_name = "BITS", default_value = "8", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_DISTANCE)))]
    distance: u32,
    /// How well near copies must fit on each other, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = SIMILAR, value_parser = parse_share)]
    similarity: f64,
    /// Write `source_id,group` of every image with a copy: what a recipe keeps together in one split
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
}

/// `isn audit images`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ImagesArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Write a contact sheet: one HTML file with all pictures in it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// From where on something is said of an image.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct LimitArgs {
    /// An image whose shortest side has fewer pixels is tiny
    #[arg(long, value_name = "PIXELS", default_value = "32")]
    tiny: u32,
    /// An image whose luminance deviates by fewer grey levels is blank
    #[arg(long, value_name = "LEVELS", default_value = "5")]
    blank: f64,
    /// An image that is more than so many times as long as wide is extreme
    #[arg(long, value_name = "RATIO", default_value = "4")]
    aspect: f64,
}

/// `isn audit balance`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BalanceArgs {
    /// A folder of images, a tree, the output of `isn build`, or a version
    #[arg(value_name = "DIR|REF")]
    target: String,
    #[command(flatten)]
    registry: RegistryArg,
    #[command(flatten)]
    discordance: DiscordanceArg,
}

/// How much two models disagree.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct DiscordanceArg {
    /// On which share of the images just one of two models that are compared is right
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_share)]
    discordance: f64,
}

/// `isn audit all`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct AllArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    near: NearArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    discordance: DiscordanceArg,
    /// Write a contact sheet: one HTML file with all pictures in it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".into())
}

impl From<&NearArgs> for NearOptions {
    fn from(args: &NearArgs) -> Self {
        NearOptions { distance: args.distance, similarity: args.similarity }
    }
}

impl From<&LimitArgs> for Limits {
    fn from(args: &LimitArgs) -> Self {
        Limits { tiny: args.tiny, blank: args.blank, aspect: args.aspect }
    }
}

/// An audit that finds something says so by its exit code, too.
fn code(is_clean: bool) -> ExitCode {
    if is_clean { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDINGS) }
}

/// Refuses files that cannot be written before anything is looked at, which may take long.
pub(super) fn check_outputs<'f>(outputs: impl IntoIterator<Item = &'f Option<PathBuf>>) -> Result<()> {
    outputs.into_iter().flatten().try_for_each(|file| files::check_output(file))
}

fn write_groups(file: &Option<PathBuf>, report: &DuplicatesReport) -> Result<()> {
    file.as_ref().map_or(Ok(()), |file| files::write_output(file, &report.as_groups()?.to_csv()))
}

fn write_sheet(
    file: Option<&Path>,
    subject: &Subject,
    duplicates: Option<&DuplicatesReport>,
    images: Option<&ImagesReport>,
) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let mut page = Sheet::new(&format!("isn audit: {}", subject.what));
    if let Some(report) = duplicates {
        sheet::add_duplicates(&mut page, subject, report);
    }
    if let Some(report) = images {
        sheet::add_images(&mut page, subject, report);
    }
    files::write_output(file, &page.finish())
}

impl Run {
    fn subject(&self, target: &str, registry: &RegistryArg) -> Result<Subject> {
        self.with_client(registry, |client| Subject::open(client, target, &self.progress))
    }

    pub(super) fn audit_duplicates(&self, args: &DuplicatesArgs) -> Result<ExitCode> {
        check_outputs([&args.near.groups, &args.html])?;
        let subject = self.subject(&args.target.target, &args.target.registry)?;
        let report = duplicates::duplicates(&subject, (&args.near).into(), self.jobs, &self.progress)?;
        write_groups(&args.near.groups, &report)?;
        write_sheet(args.html.as_deref(), &subject, Some(&report), None)?;
        self.output.duplicates_audited(&subject, &report);
        Ok(code(report.groups.is_empty()))
    }

    pub(super) fn audit_images(&self, args: &ImagesArgs) -> Result<ExitCode> {
        check_outputs([&args.html])?;
        let subject = self.subject(&args.target.target, &args.target.registry)?;
        let report = images::images(&subject, &(&args.limits).into(), self.jobs, &self.progress)?;
        write_sheet(args.html.as_deref(), &subject, None, Some(&report))?;
        self.output.images_audited(&subject, &report);
        Ok(code(report.found.is_empty()))
    }

    pub(super) fn audit_balance(&self, args: &BalanceArgs) -> Result<ExitCode> {
        let subject = self.subject(&args.target, &args.registry)?;
        let report = balance::balance(&subject, args.discordance.discordance);
        self.output.balance_audited(&subject, &report);
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn audit_all(&self, args: &AllArgs) -> Result<ExitCode> {
        check_outputs([&args.near.groups, &args.html])?;
        let subject = self.subject(&args.target.target, &args.target.registry)?;
        let looks = look(&subject, self.jobs, &self.progress)?;
        let copies = duplicates::among(&subject, &looks, (&args.near).into(), self.jobs, &self.progress)?;
        let remarks = images::among(&looks, &(&args.limits).into());
        let counts = balance::balance(&subject, args.discordance.discordance);
        write_groups(&args.near.groups, &copies)?;
        write_sheet(args.html.as_deref(), &subject, Some(&copies), Some(&remarks))?;
        self.output.all_audited(&subject, &copies, &remarks, &counts);
        Ok(code(copies.groups.is_empty() && remarks.found.is_empty()))
    }
}
