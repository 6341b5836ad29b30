//! What the environment and the configuration files say: flag over environment over `isn.toml` over the user's
//! configuration.

use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::credentials::{self, Token};
use crate::error::{Error, Result};
use crate::files;
use crate::key::Keyring;
use crate::known_logs::KnownLogs;
use crate::lock_file::{PROJECT_FILE, Project};
use crate::registry::BUNDLED;
use crate::trust::{RegistryId, TrustStore};

/// Where a user's things are.
pub(super) struct Settings {
    /// `ISN_HOME`, or `isn` in the XDG configuration folder.
    home: PathBuf,
}

/// The contents of the user's `config.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    registry: Vec<String>,
}

impl Settings {
    pub(super) fn from_environment() -> Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("ISN_HOME")
            .or_else(|| set("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).map(|path| path.join("isn")))
            .or_else(|| set("HOME").or_else(|| set("USERPROFILE")).map(|path| path.join(".config/isn")));
        home.map(|home| Settings { home }).ok_or_else(|| {
            Error::invalid("environment", "has no HOME: set ISN_HOME to a folder for keys and trust")
        })
    }

    pub(super) fn keyring(&self) -> Keyring {
        Keyring::new(self.home.join("keys"))
    }

    pub(super) fn trust(&self) -> Result<TrustStore> {
        TrustStore::open(self.home.join("trust.toml"))
    }

    pub(super) fn logs(&self) -> KnownLogs {
        KnownLogs::new(self.home.join("logs"))
    }

    /// The token to publish with at `registry`: `ISN_TOKEN`, or that of the file `credentials`.
    pub(super) fn token(&self, registry: &RegistryId) -> Result<Option<Token>> {
        match env::var("ISN_TOKEN") {
            Ok(token) if !token.is_empty() => Token::new("ISN_TOKEN", &token).map(Some),
            _ => credentials::token_for(&self.home.join("credentials"), registry),
        }
    }

    /// The registries to look in.
    pub(super) fn registries(&self, flag: Option<&str>) -> Result<Vec<String>> {
        let list =
            |text: &str| text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(String::from).collect();
        let config: Vec<String> = match (flag, env::var("ISN_REGISTRY")) {
            (Some(flag), _) => list(flag),
            (None, Ok(variable)) if !variable.trim().is_empty() => list(&variable),
            _ => {
                let project = Project::read(Path::new(PROJECT_FILE))?.registry;
                if project.is_empty() { self.config()?.registry } else { project }
            }
        };
        Ok(if config.is_empty() { vec![BUNDLED.into()] } else { config })
    }

    fn config(&self) -> Result<Config> {
        let path = self.home.join("config.toml");
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(Config::default()) };
        let refuse = |why: &dyn std::fmt::Display| Error::invalid(path.display(), why);
        let text = String::from_utf8(bytes).map_err(|e| refuse(&e))?;
        toml::from_str(&text).map_err(|e| refuse(&e.to_string().trim_end()))
    }

    /// The socket of the SSH agent.
    pub(super) fn ssh_agent() -> Option<PathBuf> {
        env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// The passphrase of a key, from `ISN_PASSPHRASE` or from the terminal; `None` where neither is there.
    pub(super) fn passphrase(prompt: &str) -> Result<Option<String>> {
        use std::io::IsTerminal;
        if let Ok(passphrase) = env::var("ISN_PASSPHRASE") {
            return Ok(Some(passphrase));
        }
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        rpassword::prompt_password(prompt).map(Some).map_err(Error::io("read", "the terminal"))
    }
}
