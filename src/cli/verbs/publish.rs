//! `isn publish`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::args::KeyArgs;
use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::{size, statements};
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result, count};
use isn_format::key::Signer;
use isn_registry::ops::publish::{PublishOptions, PublishReport, SendOptions};
use isn_registry::ops::publish::{check_build, publish, send};
use isn_registry::registry::is_url;
use isn_registry::steps::submit::Fate;
use isn_registry::trust::RegistryId;

/// Arguments of `isn publish`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PublishArgs {
    /// The build: the output folder of `isn build`
    #[arg(value_name = "BUILD")]
    build: PathBuf,
    /// The registry's folder or bucket, which may be empty, or the URL of an `isn serve`
    #[arg(long, value_name = "DIR|URL")]
    registry: String,
    #[command(flatten)]
    keys: KeyArgs,
    /// Check everything and report what would be done, without writing
    #[arg(long)]
    dry_run: bool,
    /// Publish no images: users build them from their own copy of the source (`isn pull REF --source DIR`)
    #[arg(long)]
    rebuild_only: bool,
}

impl Verb for PublishArgs {
    fn aim(&self) -> Aim {
        Aim::Write
    }

    fn kept(&self) -> Option<&'static str> {
        Some(match self.dry_run {
            true => "nothing was written; run the same command again",
            false => "the objects copied so far are kept; run the same command again to finish",
        })
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        // Before a passphrase is asked for.
        let server = RegistryId::of_url(&self.registry)?.filter(|id| is_url(id.as_str()));
        check_build(&self.build)?;
        let signers = run.signers(&self.keys.keys)?;
        let report = match &server {
            Some(server) => self.send(run, server, &signers)?,
            None => self.write(run, &signers)?,
        };
        print(&run.output, &report, &self.registry, self.dry_run);
        Ok(ExitCode::SUCCESS)
    }
}

impl PublishArgs {
    /// Publishes to a server.
    fn send(&self, run: &Run, server: &RegistryId, signers: &[Box<dyn Signer>]) -> Result<PublishReport> {
        if self.keys.statement.is_some() {
            let why = "is for a folder or bucket: if several have to sign, publish to the folder or bucket \
                       that the server serves";
            return Err(Error::invalid("--statement", why));
        }
        let options = SendOptions {
            build: &self.build,
            registry: server,
            access: &run.access()?,
            dry_run: self.dry_run,
            rebuild_only: self.rebuild_only,
        };
        run.with_known(|known| send(&options, signers, known, &run.progress))
    }

    /// Publishes to a folder or bucket.
    fn write(&self, run: &Run, signers: &[Box<dyn Signer>]) -> Result<PublishReport> {
        let options = PublishOptions {
            build: &self.build,
            dry_run: self.dry_run,
            out: self.keys.statement.as_deref(),
            rebuild_only: self.rebuild_only,
        };
        let store = run.store(&self.registry)?;
        run.with_known(|known| publish(&options, store, signers, known, &run.progress))
    }
}

fn print(output: &Output, report: &PublishReport, registry: &str, dry_run: bool) {
    let mut text = Page::default();
    let id = &report.statement.id;
    let new = format!(
        "{} of {} new, {}",
        report.new_objects,
        count(report.objects, "object"),
        size(report.new_bytes)
    );
    match (dry_run, report.was_there) {
        (true, true) if report.new_objects > 0 => {
            writeln!(text, "{id} is in {registry} already: {new} would be added")
        }
        (true, true) => {
            writeln!(text, "{id} is in {registry} already: nothing would change")
        }
        (true, false) => writeln!(text, "would publish {id} to {registry}: {new}"),
        (false, true) if report.new_objects > 0 => {
            writeln!(text, "{id} is in {registry} already: {new}, which are added")
        }
        (false, true) => writeln!(text, "{id} is in {registry} already, unchanged"),
        (false, false) => match &report.fate {
            Some(Fate::Collecting(file, missing)) => {
                let how = statements::collecting(file, *missing);
                writeln!(text, "{registry} has the objects of {id}: {new}");
                writeln!(text, "the release is {how}")
            }
            _ => writeln!(text, "published {id} to {registry}: {new}"),
        },
    };
    if !report.was_there {
        for signer in &report.signers {
            writeln!(text, "  key      {signer}");
        }
        if report.new_name {
            let belongs = if dry_run { "would belong" } else { "now belongs" };
            writeln!(text, "  name     {} {belongs} to this key", id.name);
        }
    }
    if report.adds_images {
        output.warn(["its images are added, which were left out before: check that they may be passed on"]);
    }
    if report.rebuild_only {
        writeln!(text, "  rebuild-only: no images");
    }
    if let (Some(Fate::Logged(index)), Some(log)) = (&report.fate, &report.log_key) {
        writeln!(text, "  entry    {index} of log {log}");
    }
    writeln!(text, "  pin      {}", report.pin);
    let mut object = json!({
        "name": id.name,
        "version": id.version,
        "dataset": report.statement.dataset.prefixed(),
        "manifest": report.statement.manifest.prefixed(),
        "pin": report.pin,
        "registry": registry,
        "signer": report.signers.first(),
        "signers": report.signers,
        "log_key": report.log_key,
        "new_name": report.new_name,
        "objects": report.objects,
        "new_objects": report.new_objects,
        "new_bytes": report.new_bytes,
        "already_published": report.was_there,
        "new_registry": report.new_registry,
        "rebuild_only": report.rebuild_only,
        "dry_run": dry_run,
    });
    if let Some(fate) = &report.fate {
        statements::fate_json(&mut object, fate);
    }
    output.write(&text, &object, !dry_run);
}
