//! One arm a verb: arguments in, the operation, its report out.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::args::{AdviceArgs, Args, Command, RegistryArg, SpeakArgs};
use std::io::IsTerminal as _;

use super::bundled::BUNDLED;
use super::console;
use super::exit;
use super::exit::ExitCode;
use super::families::{
    CacheCommand, DemoCommand, KeyCommand, LogCommand, OwnerCommand, RegistryCommand, TrustCommand,
};
use super::render::Output;
use super::terminal::Terminal;
use isn_format::dataset_ref::{DatasetRef, Name, Version};
use isn_format::error::{Error, Result};
use isn_format::key::{PublicKey, Signer};
use isn_format::text::one_line;
use isn_registry::cache::Cache;
use isn_registry::client::Client;
use isn_registry::files;
use isn_registry::keyring::{KeyName, Unlock};
use isn_registry::ops;
use isn_registry::ops::owner::Change;
use isn_registry::ops::pull::seeds::Reuse;
use isn_registry::ops::verify::{Expectation, Target};
use isn_registry::parallel;
use isn_registry::progress::Progress as _;
use isn_registry::registry::is_url;
use isn_registry::registry::store::{self, Store};
use isn_registry::settings::{self, Settings};
use isn_registry::source::Indexes;
use isn_registry::steps::submit::{Speaker, Submitted};
use isn_registry::transport::Access;
use isn_registry::trust::{Known, RegistryId, TrustStore, public_key_argument};

/// What every verb has at hand.
pub(super) struct Run {
    pub(super) settings: Settings,
    pub(super) progress: Terminal,
    pub(super) output: Output,
    offline: bool,
    pub(super) jobs: usize,
}

pub(super) fn run(args: Args) -> Result<ExitCode> {
    let run = Run {
        settings: Settings::from_environment(BUNDLED)?,
        progress: Terminal::new(args.quiet),
        output: Output::new(args.json),
        offline: args.offline,
        jobs: args.jobs.map_or_else(parallel::available, usize::from),
    };
    files::tell_of_waiting(|lock| {
        let text = format!("waiting for the lock {}, which another process holds", lock.display());
        console::message("", &text);
    });
    let code = verb(&run, args.command)?;
    Ok(run.output.ended(code))
}

fn verb(run: &Run, command: Command) -> Result<ExitCode> {
    let output = &run.output;
    match command {
        Command::Pull { reference, registry, to, selection, source, hardlink, lock, allow_outside } => {
            let selection = selection.read()?;
            let may_be_at = |to: Option<&Path>| match lock {
                true => ops::sync::check_lockable(Path::new("."), to, &reference, allow_outside),
                false => Ok(()),
            };
            may_be_at(to.as_deref())?;
            run.with_client(&registry, |client| {
                let options = ops::pull::PullOptions {
                    reference: &reference,
                    to: to.as_deref(),
                    selection: selection.clone(),
                    source: source.as_deref(),
                    reuse: if hardlink { Reuse::HardLink } else { Reuse::Copy },
                    jobs: run.jobs,
                    may_be_at: &|to| may_be_at(Some(to)),
                };
                let report = ops::pull::pull(client, options, &run.progress)?;
                if lock {
                    ops::sync::lock(Path::new("."), &report, &selection)?;
                }
                output.pulled(&report, lock);
                Ok(ExitCode::SUCCESS)
            })
        }
        Command::Fetch { reference, registry, selection } => {
            let selection = selection.read()?;
            run.with_client(&registry, |client| {
                output.fetched(&ops::fetch::fetch(client, &reference, &selection, run.jobs, &run.progress)?);
                Ok(ExitCode::SUCCESS)
            })
        }
        Command::Export(args) => run.export(args),
        Command::Audit(command) => run.audit(command),
        #[cfg(feature = "serve")]
        Command::Review(args) => run.review(args),
        Command::Diff(args) => run.diff(&args),
        Command::Cache(command) => run.cache(command),
        Command::Ledger(command) => command.run(output),
        Command::Doctor { registry } => run.with_client(&registry, |client| {
            let cache = run.settings.cache();
            let agent = Settings::ssh_agent();
            let around = ops::doctor::Surroundings {
                home: run.settings.home(),
                cache: cache.as_ref().map(Cache::root),
                here: Path::new("."),
                variables: Settings::variables(),
                agent: agent.as_deref(),
                serves: cfg!(feature = "serve"),
            };
            let report = ops::doctor::doctor(client, &around);
            output.diagnosed(&report);
            Ok(if report.is_ill() { ExitCode::from(exit::FINDINGS) } else { ExitCode::SUCCESS })
        }),
        Command::Sync { registry, locked, allow_outside } => run.with_client(&registry, |client| {
            let (project, jobs) = (Path::new("."), run.jobs);
            let options = ops::sync::SyncOptions { project, locked, allow_outside, jobs };
            output.synced(&ops::sync::sync(client, &options, &run.progress)?);
            Ok(ExitCode::SUCCESS)
        }),
        Command::Verify { subject, proof: Some(proof), log_key, registry, .. } => {
            run.with_client(&registry, |client| {
                let tree = subject.as_deref().map(Path::new);
                let report = ops::verify::verify_proof(
                    client,
                    &proof,
                    log_key.as_ref(),
                    tree,
                    run.jobs,
                    &run.progress,
                )?;
                output.proof_verified(&report);
                let is_whole = report.tree.is_none_or(|tree| tree.faults.is_empty());
                Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(exit::INTEGRITY) })
            })
        }
        Command::Verify { subject, expect, registry, .. } => run.with_client(&registry, |client| {
            let subject = target_of(&subject.unwrap_or_default())?;
            let expect = expect.map(|reference| match reference {
                DatasetRef::Pin(hash) => Expectation::Hash(hash),
                reference => Expectation::Reference(reference),
            });
            let report = ops::verify::verify(client, &subject, expect.as_ref(), run.jobs, &run.progress)?;
            output.verified(&report);
            Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::INTEGRITY) })
        }),
        Command::Images { reference, selection, origin, registry } => {
            let selection = selection.read()?;
            run.with_client(&registry, |client| {
                output.images(&ops::images::images(client, &reference, &selection, origin)?);
                Ok(ExitCode::SUCCESS)
            })
        }
        Command::Info { reference, registry } => run.with_client(&registry, |client| {
            output.info(&ops::info::info(client, &reference)?);
            Ok(ExitCode::SUCCESS)
        }),
        Command::List { registry } => {
            let locations = run.settings.registries(registry.registry.as_deref())?;
            let (listed, failed) = ops::list::list(&locations, &run.access()?)?;
            if failed.is_empty() || !listed.is_empty() {
                output.listed(&listed);
            }
            // The first is the run's error, the others are said.
            let mut failed = failed.into_iter();
            let first = failed.next();
            output.warn(failed);
            first.map_or(Ok(ExitCode::SUCCESS), Err)
        }
        Command::Cite { reference, format, registry } => run.with_client(&registry, |client| {
            output.cited(&ops::cite::cite(client, &reference, format.into())?);
            Ok(ExitCode::SUCCESS)
        }),
        Command::Build { recipe, source, out, registry } => {
            let inputs = run.with_client(&registry, |client| ops::build::Inputs::read(&recipe, client))?;
            let indexes = run.indexes(&registry);
            let options = ops::build::BuildOptions {
                inputs: &inputs,
                source: &source,
                out: &out,
                jobs: run.jobs,
                indexes: indexes.as_ref(),
                expected: None,
            };
            let (report, is_new) = ops::build::build(&options, &run.progress)?;
            output.built(&report, &out, is_new);
            Ok(ExitCode::SUCCESS)
        }
        Command::Source(command) => run.source(command),
        Command::VerifySource(args) => run.verify_source(&args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => run.serve(args),
        Command::Publish { build, registry, keys, dry_run, rebuild_only } => {
            let (signers, out) = (run.signers(&keys.keys)?, keys.statement.as_deref());
            if is_url(&registry) {
                let report = run.send(&build, &registry, (dry_run, rebuild_only), out, &signers)?;
                output.published(&report, &registry, dry_run);
                return Ok(ExitCode::SUCCESS);
            }
            let options = ops::publish::PublishOptions { build: &build, dry_run, out, rebuild_only };
            let store = run.store(&registry)?;
            run.with_known(|known| {
                let report = ops::publish::publish(&options, store, &signers, known, &run.progress)?;
                output.published(&report, &registry, dry_run);
                Ok(ExitCode::SUCCESS)
            })
        }
        Command::Sign { file, key } => {
            output.signed(&ops::sign::sign(&file, run.signer(&key)?.as_ref())?, &file);
            Ok(ExitCode::SUCCESS)
        }
        Command::Append { file, registry } => {
            let store = run.store(&registry)?;
            output.submitted(&[run.with_known(|known| ops::sign::append(&file, store, known))?]);
            Ok(ExitCode::SUCCESS)
        }
        Command::Owner(command) => run.owner(command),
        Command::Revoke { revoked, names, reason, to } => {
            let key = run.public_key(&revoked)?;
            run.speak(&to, |speaker| ops::owner::revoke(speaker, &names, &key, &reason))
        }
        Command::Yank(AdviceArgs { reference, reason, to }) => {
            let (name, version) = exact(reference)?;
            run.speak(&to, |speaker| ops::owner::yank(speaker, &name, version, &reason))
        }
        Command::Withdraw(AdviceArgs { reference, reason, to }) => {
            let (name, version) = exact(reference)?;
            run.speak(&to, |speaker| ops::owner::withdraw(speaker, &name, version, &reason))
        }
        Command::Log(command) => run.log(command),
        Command::Prove { reference, out, registry } => run.with_client(&registry, |client| {
            out.as_deref().map_or(Ok(()), files::check_output)?;
            let report = ops::log::prove(client, &reference)?;
            let (name, version) = (report.release.name(), report.release.version());
            let file = out.unwrap_or_else(|| PathBuf::from(format!("{name}-{version}.tlog-proof")));
            files::write_output(&file, &report.proof)?;
            output.proved(&report, &file);
            Ok(ExitCode::SUCCESS)
        }),
        Command::Mirror { source, destination, only, verify } => {
            let at = RegistryArg { registry: Some(source.clone()), no_cache: true, max_age: None };
            run.with_client(&at, |client| {
                let options = ops::mirror::MirrorOptions { source: &source, only: &only, verify };
                let store = run.store(&destination)?;
                let report = ops::mirror::mirror(client, &options, store, &run.progress)?;
                output.mirrored(&report, &source, &destination);
                Ok(ExitCode::SUCCESS)
            })
        }
        Command::Key(command) => run.key(command),
        Command::Trust(command) => run.trust(command),
        Command::Registry(RegistryCommand::Init { registry, origin, log_key }) => {
            let store = run.store(&registry)?;
            let report = run.with_known(|known| {
                ops::registry::init(store, origin.as_deref(), log_key.as_deref(), known)
            })?;
            output.registry_made(&registry, &report);
            Ok(ExitCode::SUCCESS)
        }
        Command::Registry(RegistryCommand::Check { location }) => {
            let at = RegistryArg { registry: Some(location.clone()), no_cache: true, max_age: None };
            run.with_client(&at, |client| {
                let report = ops::verify::store::check(client, &location, run.jobs, &run.progress)?;
                output.verified(&report);
                Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::INTEGRITY) })
            })
        }
        Command::Registry(RegistryCommand::RotateKey { registry }) => {
            let store = run.store(&registry)?;
            let (submitted, key) = run.with_known(|known| ops::registry::rotate_key(store, known))?;
            output.log_key_changed(submitted, &key);
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(DemoCommand::Source { dir }) => {
            output.demo_made(&ops::demo::write_source(&dir, &run.progress)?, &dir);
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Run {
    /// Publishes to a server.
    fn send(
        &self,
        build: &Path,
        url: &str,
        (dry_run, rebuild_only): (bool, bool),
        out: Option<&Path>,
        signers: &[Box<dyn Signer>],
    ) -> Result<ops::publish::PublishReport> {
        if out.is_some() {
            let why =
                "is for a folder or bucket: where several have to sign, publish to what the server serves";
            return Err(Error::invalid("--statement", why));
        }
        let id: RegistryId = url.parse()?;
        let access = self.access()?;
        let options =
            ops::publish::SendOptions { build, registry: &id, access: &access, dry_run, rebuild_only };
        self.with_known(|known| ops::publish::send(&options, signers, known, &self.progress))
    }
}

/// One version, by its number.
fn exact(reference: DatasetRef) -> Result<(Name, Version)> {
    match reference {
        DatasetRef::Version(name, version, None) => Ok((name, version)),
        other => Err(Error::invalid(format!("reference '{other}'"), "expected NAME@VERSION, without a hash")),
    }
}

/// A path that exists or looks like one, else a reference.
fn target_of(text: &str) -> Result<Target> {
    let path = PathBuf::from(text);
    let looks_like_path = text.contains(['/', '\\']) || text.starts_with('.');
    if path.exists() || looks_like_path {
        return Ok(Target::Path(path));
    }
    text.parse()
        .map(Target::Reference)
        .map_err(|e| Error::invalid(text, format!("is neither a folder nor a version: {e}")))
}

impl Run {
    fn access(&self) -> Result<Access> {
        self.settings.access(self.offline)
    }

    /// Where indexes of source archives are kept, if they may be.
    fn indexes(&self, flag: &RegistryArg) -> Option<Indexes> {
        self.indexes_unless(flag.no_cache)
    }

    /// The same; where the user's secret for them is of no use, that is said.
    pub(super) fn indexes_unless(&self, no_cache: bool) -> Option<Indexes> {
        let cache = self.settings.cache().filter(|_| !no_cache)?;
        if let Err(why) = cache.check_secret() {
            self.output.warn([format!("archives are read without an index: {}", exit::with_causes(&why))]);
        }
        cache.indexes()
    }

    /// A registry to write to.
    fn store(&self, location: &str) -> Result<Box<dyn Store>> {
        store::open(location, &self.access()?)
    }

    /// With what the user knows of registries, as it is needed to write to one.
    fn with_known<T>(&self, work: impl FnOnce(Known<'_>) -> Result<T>) -> Result<T> {
        work(Known { trust: &self.settings.trust()?, logs: &self.settings.logs() })
    }

    pub(super) fn with_client<T>(
        &self,
        flag: &RegistryArg,
        work: impl FnOnce(&Client) -> Result<T>,
    ) -> Result<T> {
        work(&self.client(flag)?)
    }

    fn client(&self, flag: &RegistryArg) -> Result<Client> {
        let client = self.settings.client(flag.registry.as_deref(), self.offline)?;
        Ok(Client { cache: client.cache.filter(|_| !flag.no_cache), max_age: flag.max_age, ..client })
    }

    fn signer(&self, key: &str) -> Result<Box<dyn Signer>> {
        let agent = Settings::ssh_agent();
        let passphrase = |file: &str| ask_passphrase(&format!("Passphrase for {file}: "));
        let unlock = Unlock { agent: agent.as_deref(), passphrase: &passphrase };
        self.settings.keyring().signer(key, unlock)
    }

    fn signers(&self, keys: &[String]) -> Result<Vec<Box<dyn Signer>>> {
        keys.iter().map(|key| self.signer(key)).collect()
    }

    /// A key of the keyring by its name, else what a public key argument is elsewhere.
    fn public_key(&self, argument: &str) -> Result<PublicKey> {
        if let Ok(name) = argument.parse::<KeyName>()
            && let Ok(key) = self.settings.keyring().public(&name)
        {
            return Ok(key);
        }
        Ok(public_key_argument(argument)?.key)
    }

    fn speak(
        &self,
        to: &SpeakArgs,
        say: impl FnOnce(&Speaker<'_>) -> Result<Vec<Submitted>>,
    ) -> Result<ExitCode> {
        let (signers, access) = (self.signers(&to.keys.keys)?, self.access()?);
        let (registry, out) = (&*to.registry, to.keys.statement.as_deref());
        let submitted = self
            .with_known(|known| say(&Speaker { registry, access: &access, known, signers: &signers, out }))?;
        self.output.submitted(&submitted);
        Ok(ExitCode::SUCCESS)
    }

    fn owner(&self, command: OwnerCommand) -> Result<ExitCode> {
        match command {
            OwnerCommand::Show { name, registry } => self.with_client(&registry, |client| {
                self.output.owners(&name, &ops::owner::show(client, &name)?);
                Ok(ExitCode::SUCCESS)
            }),
            OwnerCommand::Add { name, added, recovery, to } => {
                let key = self.public_key(&added)?;
                let change = if recovery { Change::AddRecovery(key) } else { Change::Add(key) };
                self.speak(&to, |speaker| ops::owner::change(speaker, &name, &change))
            }
            OwnerCommand::Remove { name, removed, to } => {
                let change = Change::Remove(self.public_key(&removed)?);
                self.speak(&to, |speaker| ops::owner::change(speaker, &name, &change))
            }
            OwnerCommand::Threshold { name, threshold, to } => {
                self.speak(&to, |speaker| ops::owner::change(speaker, &name, &Change::Threshold(threshold)))
            }
        }
    }

    fn log(&self, command: LogCommand) -> Result<ExitCode> {
        match command {
            LogCommand::Show { registry } => self.with_client(&registry, |client| {
                self.output.log_entries(&ops::log::audit(client)?);
                Ok(ExitCode::SUCCESS)
            }),
            LogCommand::Verify { registry } => self.with_client(&registry, |client| {
                let report = ops::log::audit(client)?;
                self.output.log_verified(&report);
                let all_count = report.entries.iter().all(Result::is_ok);
                Ok(if all_count { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDINGS) })
            }),
            LogCommand::Watch { every, once, registry } => self.with_client(&registry, |client| {
                loop {
                    match ops::log::news(client) {
                        Ok(report) => self.output.log_news(&report),
                        // A watcher outlives the network; anything else it stops at.
                        Err(e @ Error::Network { .. }) if !once => {
                            self.progress.note(&format!("warning: {e}"))
                        }
                        Err(e) => return Err(e),
                    }
                    if once || self.output.is_broken() {
                        return Ok(ExitCode::SUCCESS);
                    }
                    std::thread::sleep(Duration::from_secs(every));
                }
            }),
            LogCommand::Evidence => {
                self.output.evidence(&ops::log::evidence(&self.settings.logs())?);
                Ok(ExitCode::SUCCESS)
            }
            LogCommand::Unclaim { registry, alone } => {
                let store = self.store(&registry)?;
                let removed = self.with_known(|known| ops::log::unclaim(store, alone, known))?;
                self.output.unclaimed(&removed);
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    fn cache(&self, command: CacheCommand) -> Result<ExitCode> {
        let cache = self.settings.cache().ok_or_else(|| {
            Error::invalid("environment", "has no HOME: set ISN_CACHE to a folder for the cache")
        })?;
        match command {
            CacheCommand::Info => self.output.cache(&cache, &cache.inventory()?),
            CacheCommand::Verify => {
                let (checked, damaged) = ops::cache::verify(&cache, self.jobs, &self.progress)?;
                self.output.cache_verified(checked, &damaged);
                if !damaged.is_empty() {
                    return Ok(ExitCode::from(exit::INTEGRITY));
                }
            }
            CacheCommand::Gc { max_size, older_than, dry_run } => {
                let older_than = older_than.map(Duration::from_secs);
                let swept = cache.sweep(max_size, older_than, SystemTime::now(), dry_run)?;
                self.output.cache_swept(&swept, dry_run);
            }
        }
        Ok(ExitCode::SUCCESS)
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
            KeyCommand::Rotate { old, new, names, to } => {
                let (old, new) = (self.public_key(&old)?, self.public_key(&new)?);
                return self.speak(&to, |speaker| ops::owner::rotate(speaker, &names, &old, &new));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn trust(&self, command: TrustCommand) -> Result<ExitCode> {
        let mut store: TrustStore = self.settings.trust()?;
        match command {
            TrustCommand::Add { registry, key, need } => {
                let (id, key) = ops::trust::add(&mut store, &registry, &key, need)?;
                self.output.trust_added(&id, &key);
            }
            TrustCommand::List => self.output.trusted(&store),
            TrustCommand::Remove { registry, key } => {
                let (id, key) = ops::trust::remove(&mut store, &self.settings.logs(), &registry, &key)?;
                self.output.trust_removed(&id, &key);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The passphrase of a key, from `ISN_PASSPHRASE` or from the terminal; `None` where neither is there.
fn ask_passphrase(prompt: &str) -> Result<Option<String>> {
    if let Some(passphrase) = settings::variable("ISN_PASSPHRASE")? {
        return Ok(Some(passphrase));
    }
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    rpassword::prompt_password(&*one_line(prompt)).map(Some).map_err(Error::io("read", "the terminal"))
}

fn new_passphrase(name: &KeyName) -> Result<String> {
    let refuse = |why: &str| Error::Key { key: name.to_string(), why: why.into() };
    let asked = ask_passphrase(&format!("New passphrase for key {name}: "))?;
    let passphrase = asked.ok_or_else(|| {
        refuse("there is no terminal to ask for a passphrase: set ISN_PASSPHRASE or give --no-passphrase")
    })?;
    if passphrase.is_empty() {
        return Err(refuse("an empty passphrase protects nothing: give one, or --no-passphrase"));
    }
    if ask_passphrase("Once more: ")?.as_ref() != Some(&passphrase) {
        return Err(refuse("the two passphrases differ"));
    }
    Ok(passphrase)
}
