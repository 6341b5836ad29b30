//! [`Verb`] and [`Run`], which every verb is given.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Command;

use super::args::{RecipeArg, RegistryArg, SpeakArgs};
use super::exit::{Aim, ExitCode};
use super::output::Output;
use super::passphrase;
use super::render::statements;
use super::terminal::Terminal;
use isn_format::error::{Error, Result, chain};
use isn_format::key::{PublicKey, Signer};
use isn_registry::client::Client;
use isn_registry::files;
use isn_registry::keyring::{KeyName, Unlock};
use isn_registry::ops::audit::FolderRecipe;
use isn_registry::ops::recipe::of_dataset;
use isn_registry::progress::Progress as _;
use isn_registry::recipe_file::{RECIPE_TOML, RecipeFile};
use isn_registry::registry::BUNDLED;
use isn_registry::registry::store::{self, Store};
use isn_registry::settings::Settings;
use isn_registry::source::Indexes;
use isn_registry::steps::submit::{Speaker, Submitted};
use isn_registry::transport::Access;
use isn_registry::trust::{Known, RegistryId, public_key_argument};

/// A verb: the arguments and what it does with them.
pub(super) trait Verb {
    /// What the verb is for, on which the help of an error depends.
    fn aim(&self) -> Aim {
        Aim::Look
    }

    /// What is kept if Ctrl-C ends the verb, and how to go on. `None` if the verb handles the signal itself.
    fn kept(&self) -> Option<&'static str> {
        Some(match self.aim() {
            Aim::Look | Aim::Serve => "nothing half-written is left; run the same command again",
            Aim::Bring => "what was fetched is kept; run the same command again to resume",
            Aim::Write => "what was written is kept; run the same command again, and nothing is added twice",
        })
    }

    /// As [`Verb::kept`], once the output has its name (`Progress::complete`).
    fn kept_complete(&self) -> &'static str {
        "the output is complete; only the report is missing"
    }

    /// Calls the operation and prints its report.
    fn run(&self, run: &Run) -> Result<ExitCode>;
}

/// What every verb is given.
pub(super) struct Run {
    pub(super) settings: Settings,
    pub(super) progress: Terminal,
    pub(super) output: Output,
    pub(super) offline: bool,
    pub(super) jobs: usize,
    /// The whole command line, as clap has it.
    pub(super) command: fn() -> Command,
}

impl Run {
    /// Records that what the verb writes is complete, so that Ctrl-C says so.
    pub(super) fn complete(&self) {
        self.progress.complete();
    }

    /// Returns how the network may be used.
    pub(super) fn access(&self) -> Result<Access> {
        self.settings.access(self.offline)
    }

    /// Returns a client for the registries to look in.
    pub(super) fn client(&self, flag: &RegistryArg) -> Result<Client> {
        let client = self.settings.client(flag.registry.as_deref(), self.offline)?;
        let cache = client.cache.filter(|_| !flag.no_cache);
        Ok(Client { cache, max_age: flag.max_age, whole_log: flag.whole_log, ..client })
    }

    /// Reads the recipe that an argument names: a file's or, if there is none of that name, one of the
    /// registry in the binary. A folder of that name without a recipe in it, such as the tree of a pull,
    /// changes nothing. Other registries are not asked, because nobody signs their recipes.
    pub(super) fn recipe(&self, argument: &Path) -> Result<RecipeFile> {
        let bundled =
            |name| of_dataset(&self.client(&RegistryArg::itself(BUNDLED))?, &name).map(|found| found.recipe);
        match argument.to_str().and_then(|text| text.parse().ok()) {
            Some(name) if files::is_absent(argument) => bundled(name),
            Some(name) if argument.is_dir() && !argument.join("recipe.toml").exists() => {
                bundled(name).or_else(|_| RecipeFile::open(argument))
            }
            _ => RecipeFile::open(argument),
        }
    }

    /// Reads the recipe of a folder of images: the one that is given or, without one, the one beside a file
    /// to which source ids are written.
    pub(super) fn folder_recipe(
        &self,
        given: &RecipeArg,
        written: Option<&Path>,
    ) -> Result<Option<FolderRecipe>> {
        if let Some(recipe) = &given.recipe {
            return Ok(Some(FolderRecipe { file: self.recipe(recipe)?, found: None }));
        }
        Ok(written.and_then(|file| self.recipe_beside(file)))
    }

    /// Reads the recipe beside a file, if there is one.
    pub(super) fn recipe_beside(&self, file: &Path) -> Option<FolderRecipe> {
        let file = Some(files::parent(file).join(RECIPE_TOML)).filter(|file| file.is_file())?;
        match RecipeFile::open(&file) {
            Ok(recipe) => Some(FolderRecipe { file: recipe, found: Some(file) }),
            Err(why) => {
                self.output.warn([format!("{} is not used: {}", file.display(), chain(&why))]);
                None
            }
        }
    }

    /// Opens a registry for writing.
    pub(super) fn store(&self, location: &str) -> Result<Box<dyn Store>> {
        store::open(location, &self.access()?)
    }

    /// Calls `work` with the user's trust store and known logs, which writing to a registry needs.
    pub(super) fn with_known<T>(&self, work: impl FnOnce(Known<'_>) -> Result<T>) -> Result<T> {
        work(Known { trust: &self.settings.trust()?, logs: &self.settings.logs() })
    }

    /// Returns where indexes of source archives are cached, or `None` if they are not. Warns if the user's
    /// secret for them is unusable.
    pub(super) fn indexes(&self, no_cache: bool) -> Option<Indexes> {
        let cache = self.settings.cache().filter(|_| !no_cache)?;
        if let Err(why) = cache.check_secret() {
            self.output.warn([format!("archives are read without an index: {}", chain(&why))]);
        }
        cache.indexes()
    }

    /// Returns a signing key from the keyring, a file or the SSH agent.
    pub(super) fn signer(&self, key: &str) -> Result<Box<dyn Signer>> {
        let agent = Settings::ssh_agent();
        let passphrase = |file: &str| passphrase::ask(&format!("Passphrase for {file}: "));
        let unlock = Unlock { agent: agent.as_deref(), passphrase: &passphrase };
        self.settings.keyring().signer(key, unlock)
    }

    /// Returns a signing key, or the only one in the keyring if none is given.
    pub(super) fn signer_or_only(&self, key: Option<&str>) -> Result<Box<dyn Signer>> {
        if let Some(key) = key {
            return self.signer(key);
        }
        match &self.settings.keyring().list()?[..] {
            [only] => self.signer(only.name.as_str()),
            [] => {
                Err(Error::invalid("--key", "is needed: you have no key, and `isn key new NAME` makes one"))
            }
            several => {
                let names: Vec<&str> = several.iter().map(|key| key.name.as_str()).collect();
                Err(Error::invalid("--key", format!("is needed: you have {}", names.join(", "))))
            }
        }
    }

    /// Returns the signing keys.
    ///
    /// # Errors
    /// Fails if a key is given twice.
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

    /// Returns the keys that the user knows; none if their files cannot be read, for nothing depends on it.
    pub(super) fn known_keys(&self) -> BTreeSet<PublicKey> {
        self.settings.known_keys().unwrap_or_default()
    }

    /// Returns the key of that name in the keyring, or else the key that a public key argument means.
    pub(super) fn public_key(&self, argument: &str) -> Result<PublicKey> {
        if let Ok(name) = argument.parse::<KeyName>()
            && let Ok(key) = self.settings.keyring().public(&name)
        {
            return Ok(key);
        }
        Ok(public_key_argument(argument)?.key)
    }

    /// Submits statements to a registry and prints what became of them.
    pub(super) fn speak(
        &self,
        to: &SpeakArgs,
        say: impl FnOnce(&Speaker<'_>) -> Result<Vec<Submitted>>,
    ) -> Result<ExitCode> {
        // Before a passphrase is asked for.
        RegistryId::of_url(&to.registry)?;
        let (signers, access) = (self.signers(&to.keys.keys)?, self.access()?);
        let (registry, out) = (&*to.registry, to.keys.statement.as_deref());
        let submitted = self
            .with_known(|known| say(&Speaker { registry, access: &access, known, signers: &signers, out }))?;
        statements::print(&self.output, &submitted);
        Ok(ExitCode::SUCCESS)
    }
}
