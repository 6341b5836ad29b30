//! One arm a verb: arguments in, the operation, its report out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{Args, Command, DemoCommand, KeyCommand, RegistryArg, RegistryCommand, TrustCommand};
use super::exit;
use super::render::Output;
use super::settings::Settings;
use super::terminal::Terminal;
use crate::dataset_ref::DatasetRef;
use crate::error::{Error, Result};
use crate::key::{KeyName, Unlock};
use crate::ops;
use crate::ops::Registries;
use crate::ops::verify::{Expectation, Subject};
use crate::parallel;
use crate::registry::publish::FolderWriter;
use crate::tree::Selection;
use crate::trust::TrustStore;

/// What every verb has at hand.
struct Run {
    settings: Settings,
    progress: Terminal,
    output: Output,
    jobs: usize,
}

pub(super) fn run(args: Args) -> Result<ExitCode> {
    let run = Run {
        settings: Settings::from_environment()?,
        progress: Terminal::new(args.quiet),
        output: Output { json: args.json },
        jobs: args.jobs.map_or_else(parallel::available, usize::from),
    };
    let output = &run.output;
    match args.command {
        Command::Pull { reference, registry, to, splits, classes, source, lock } => {
            let selection = Selection { splits, classes };
            run.with_registries(&registry, |registries| {
                let options = ops::pull::PullOptions {
                    reference: &reference,
                    to: to.as_deref(),
                    selection: selection.clone(),
                    source: source.as_deref(),
                    jobs: run.jobs,
                };
                let report = ops::pull::pull(registries, options, &run.progress)?;
                if lock {
                    ops::sync::lock(Path::new("."), &report, &selection)?;
                }
                output.pulled(&report, lock);
                Ok(ExitCode::SUCCESS)
            })
        }
        Command::Sync { registry, locked } => run.with_registries(&registry, |registries| {
            let options = ops::sync::SyncOptions { project: Path::new("."), locked, jobs: run.jobs };
            output.synced(&ops::sync::sync(registries, &options, &run.progress)?);
            Ok(ExitCode::SUCCESS)
        }),
        Command::Verify { subject, expect, registry } => run.with_registries(&registry, |registries| {
            let subject = subject_of(&subject)?;
            let expect = expect.map(|reference| match reference {
                DatasetRef::Pin(hash) => Expectation::Hash(hash),
                reference => Expectation::Reference(reference),
            });
            let report = ops::verify::verify(registries, &subject, expect.as_ref(), run.jobs, &run.progress)?;
            output.verified(&report);
            Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::INTEGRITY) })
        }),
        Command::Info { reference, registry } => run.with_registries(&registry, |registries| {
            output.info(&ops::info::info(registries, &reference)?);
            Ok(ExitCode::SUCCESS)
        }),
        Command::List { registry } => {
            let locations = run.settings.registries(registry.registry.as_deref())?;
            output.listed(&ops::list::list(&locations)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Cite { reference, format, registry } => run.with_registries(&registry, |registries| {
            output.cited(&ops::cite::cite(registries, &reference, format.into())?);
            Ok(ExitCode::SUCCESS)
        }),
        Command::Build { recipe, source, out, registry } => {
            let registries = run.settings.registries(registry.registry.as_deref())?;
            let inputs = ops::build::Inputs::read(&recipe, &registries)?;
            let options =
                ops::build::BuildOptions { inputs: &inputs, source: &source, out: &out, jobs: run.jobs };
            let (report, is_new) = ops::build::build(&options, &run.progress)?;
            output.built(&report, &out, is_new);
            Ok(ExitCode::SUCCESS)
        }
        Command::Publish { build, registry, key, dry_run } => {
            if registry.to_string_lossy().contains("://") {
                let why = "is a URL: publish to a folder, which any static web server then serves";
                return Err(Error::invalid(format!("--registry {}", registry.display()), why));
            }
            let signer = run.settings.keyring().signer(
                &key,
                Unlock {
                    agent: Settings::ssh_agent().as_deref(),
                    passphrase: &|file| Settings::passphrase(&format!("Passphrase for {file}: ")),
                },
            )?;
            let options = ops::publish::PublishOptions { build: &build, registry: &registry, dry_run };
            let report = ops::publish::publish(&options, signer.as_ref(), &run.progress)?;
            output.published(&report, &registry, dry_run);
            Ok(ExitCode::SUCCESS)
        }
        Command::Key(command) => run.key(command),
        Command::Trust(command) => run.trust(command),
        Command::Registry(RegistryCommand::Init { dir }) => {
            let made = FolderWriter::init(&dir, ops::publish::DESCRIPTION)?;
            output.registry_made(&dir, made);
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(DemoCommand::Source { dir }) => {
            output.demo_made(&ops::demo::write_source(&dir, &run.progress)?, &dir);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A path that exists or looks like one, else a reference.
fn subject_of(text: &str) -> Result<Subject> {
    let path = PathBuf::from(text);
    let looks_like_path = text.contains(['/', '\\']) || text.starts_with('.');
    if path.exists() || looks_like_path {
        return Ok(Subject::Path(path));
    }
    text.parse()
        .map(Subject::Reference)
        .map_err(|e| Error::invalid(text, format!("is neither a folder nor a version: {e}")))
}

impl Run {
    fn with_registries<T>(
        &self,
        flag: &RegistryArg,
        work: impl FnOnce(&Registries<'_>) -> Result<T>,
    ) -> Result<T> {
        let locations = self.settings.registries(flag.registry.as_deref())?;
        let trust = self.settings.trust()?;
        work(&Registries { locations: &locations, trust: &trust })
    }

    fn key(&self, command: KeyCommand) -> Result<ExitCode> {
        let keyring = self.settings.keyring();
        match command {
            KeyCommand::New { name, no_passphrase } => {
                let passphrase = if no_passphrase { None } else { Some(new_passphrase(&name)?) };
                let made = keyring.new_key(&name, passphrase.as_deref())?;
                self.output.key_made(&name, &made);
            }
            KeyCommand::List => self.output.keys(&keyring.list()?),
            KeyCommand::Show { name } => self.output.key(&name, &keyring.public(&name)?),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn trust(&self, command: TrustCommand) -> Result<ExitCode> {
        let mut store: TrustStore = self.settings.trust()?;
        match command {
            TrustCommand::Add { registry, key } => {
                let (id, key) = ops::trust::add(&mut store, &registry, &key)?;
                self.output.trust_added(&id, &key.key);
            }
            TrustCommand::List => self.output.trusted(&store),
            TrustCommand::Remove { registry, key } => {
                let (id, key) = ops::trust::remove(&mut store, &registry, &key)?;
                self.output.trust_removed(&id, &key);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn new_passphrase(name: &KeyName) -> Result<String> {
    let refuse = |why: &str| Error::Key { key: name.to_string(), why: why.into() };
    let asked = Settings::passphrase(&format!("New passphrase for key {name}: "))?;
    let passphrase = asked.ok_or_else(|| {
        refuse("there is no terminal to ask for a passphrase: set ISN_PASSPHRASE or give --no-passphrase")
    })?;
    if passphrase.is_empty() {
        return Err(refuse("an empty passphrase protects nothing: give one, or --no-passphrase"));
    }
    if Settings::passphrase("Once more: ")?.as_ref() != Some(&passphrase) {
        return Err(refuse("the two passphrases differ"));
    }
    Ok(passphrase)
}
