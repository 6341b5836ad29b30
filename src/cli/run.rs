//! What a verb is, and what each has at hand.

use super::args::{RegistryArg, SpeakArgs};
use super::exit::{Aim, ExitCode};
use super::output::Output;
use super::passphrase;
use super::render::statements;
use super::terminal::Terminal;
use isn_format::error::{Error, Result, chain};
use isn_format::key::{PublicKey, Signer};
use isn_registry::client::Client;
use isn_registry::keyring::{KeyName, Unlock};
use isn_registry::registry::store::{self, Store};
use isn_registry::settings::Settings;
use isn_registry::source::Indexes;
use isn_registry::steps::submit::{Speaker, Submitted};
use isn_registry::transport::Access;
use isn_registry::trust::{Known, public_key_argument};

/// A verb: its arguments, and what is done with them.
pub(super) trait Verb {
    /// What it is for.
    fn aim(&self) -> Aim {
        Aim::Look
    }

    /// Calls the operation and prints its report.
    fn run(&self, run: &Run) -> Result<ExitCode>;
}

/// What every verb has at hand.
pub(super) struct Run {
    pub(super) settings: Settings,
    pub(super) progress: Terminal,
    pub(super) output: Output,
    pub(super) offline: bool,
    pub(super) jobs: usize,
}

impl Run {
    /// How the network may be used.
    pub(super) fn access(&self) -> Result<Access> {
        self.settings.access(self.offline)
    }

    /// The registries to look in, and whom to believe.
    pub(super) fn client(&self, flag: &RegistryArg) -> Result<Client> {
        let client = self.settings.client(flag.registry.as_deref(), self.offline)?;
        Ok(Client { cache: client.cache.filter(|_| !flag.no_cache), max_age: flag.max_age, ..client })
    }

    /// A registry to write to.
    pub(super) fn store(&self, location: &str) -> Result<Box<dyn Store>> {
        store::open(location, &self.access()?)
    }

    /// With what the user knows of registries, as it is needed to write to one.
    pub(super) fn with_known<T>(&self, work: impl FnOnce(Known<'_>) -> Result<T>) -> Result<T> {
        work(Known { trust: &self.settings.trust()?, logs: &self.settings.logs() })
    }

    /// Where indexes of source archives are kept, if they may be. Where the user's secret for them is of no use, that is
    /// said.
    pub(super) fn indexes(&self, no_cache: bool) -> Option<Indexes> {
        let cache = self.settings.cache().filter(|_| !no_cache)?;
        if let Err(why) = cache.check_secret() {
            self.output.warn([format!("archives are read without an index: {}", chain(&why))]);
        }
        cache.indexes()
    }

    /// A key that signs: one of the keyring, of a file, or of the SSH agent.
    pub(super) fn signer(&self, key: &str) -> Result<Box<dyn Signer>> {
        let agent = Settings::ssh_agent();
        let passphrase = |file: &str| passphrase::ask(&format!("Passphrase for {file}: "));
        let unlock = Unlock { agent: agent.as_deref(), passphrase: &passphrase };
        self.settings.keyring().signer(key, unlock)
    }

    pub(super) fn signers(&self, keys: &[String]) -> Result<Vec<Box<dyn Signer>>> {
        let mut signers: Vec<Box<dyn Signer>> = Vec::new();
        for key in keys {
            let signer = self.signer(key)?;
            if signers.iter().any(|other| other.public_key() == signer.public_key()) {
                return Err(Error::invalid(format!("--key {key}"), "is given twice: each key signs once"));
            }
            signers.push(signer);
        }
        Ok(signers)
    }

    /// A key of the keyring by its name, else what a public key argument is elsewhere.
    pub(super) fn public_key(&self, argument: &str) -> Result<PublicKey> {
        if let Ok(name) = argument.parse::<KeyName>()
            && let Ok(key) = self.settings.keyring().public(&name)
        {
            return Ok(key);
        }
        Ok(public_key_argument(argument)?.key)
    }

    /// Says something to a registry, and prints what became of it.
    pub(super) fn speak(
        &self,
        to: &SpeakArgs,
        say: impl FnOnce(&Speaker<'_>) -> Result<Vec<Submitted>>,
    ) -> Result<ExitCode> {
        let (signers, access) = (self.signers(&to.keys.keys)?, self.access()?);
        let (registry, out) = (&*to.registry, to.keys.statement.as_deref());
        let submitted = self
            .with_known(|known| say(&Speaker { registry, access: &access, known, signers: &signers, out }))?;
        statements::print(&self.output, &submitted);
        Ok(ExitCode::SUCCESS)
    }
}
