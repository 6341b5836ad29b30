//! The settings from the command line, the environment, `isn.toml` and the user's configuration, in order of
//! precedence.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::cache::Cache;
use crate::client::Client;
use crate::files::{self, Guard};
use crate::keyring::Keyring;
use crate::known_logs::KnownLogs;
use crate::lock_file::{PROJECT_FILE, Project, list_of_registries};
use crate::registry::BUNDLED;
use crate::transport::Access;
use crate::transport::access::{self, Token};
use crate::transport::bundled::Bundled;
use crate::trust::{RegistryId, TrustStore};
use isn_format::error::{Error, Result};
use isn_format::key::PublicKey;
use isn_format::text::toml_text;

/// Where the user's files are, and what they say.
pub struct Settings {
    /// `ISN_HOME`, or `isn` in the XDG configuration folder.
    home: PathBuf,
    /// The registry in the binary.
    bundled: Bundled,
}

/// The contents of the user's `config.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    #[serde(default, deserialize_with = "list_of_registries")]
    registry: Vec<String>,
    ca_bundle: Option<PathBuf>,
    timeout: Option<u64>,
    retries: Option<u32>,
}

/// The maximum length of `config.toml` and `tokens.toml`, in bytes.
const MAX_LEN: u64 = 4 << 20;
/// The prefixes of the environment variables that configure a cloud store.
const CLOUD: [&str; 4] = ["AWS_", "GOOGLE_", "AZURE_", "OBJECT_STORE_"];

impl Settings {
    /// Finds the user's home from the environment, for a program that contains the registry `bundled`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the environment names no home, or a URL as the home or the cache.
    pub fn from_environment(bundled: Bundled) -> Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        for name in ["ISN_HOME", "ISN_CACHE"] {
            set(name).map_or(Ok(()), |path| files::check_is_path(&path)).map_err(|e| named_by(e, name))?;
        }
        let home = set("ISN_HOME")
            .or_else(|| set("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).map(|path| path.join("isn")))
            .or_else(|| user_home().map(|path| path.join(".config/isn")));
        home.map(|home| Settings { home, bundled }).ok_or_else(|| {
            let why = "has no HOME, and this user has no home: set ISN_HOME to a folder for keys and trust";
            Error::invalid("environment", why)
        })
    }

    /// The folder with keys, trust store and remembered logs.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The environment variables that change what isn does, with secrets hidden.
    pub fn variables() -> Vec<(String, String)> {
        const SHOWN: [&str; 17] = [
            "ISN_HOME",
            "ISN_CACHE",
            "ISN_REGISTRY",
            "ISN_OFFLINE",
            "ISN_CA_BUNDLE",
            "ISN_TIMEOUT",
            "ISN_RETRIES",
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "all_proxy",
            "ALL_PROXY",
            "no_proxy",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "SSH_AUTH_SOCK",
        ];
        let set = |name: &str| {
            let value = env::var_os(name).filter(|value| !value.is_empty())?;
            Some(value.to_string_lossy().into_owned())
        };
        let mut variables: Vec<(String, String)> =
            SHOWN.iter().filter_map(|name| Some((name.to_string(), without_password(&set(name)?)))).collect();
        let secret = ["ISN_TOKENS", "ISN_PASSPHRASE"].iter().filter(|name| set(name).is_some());
        variables.extend(secret.map(|name| (name.to_string(), "(set)".into())));
        variables
    }

    /// The user's keys.
    pub fn keyring(&self) -> Keyring {
        Keyring::new(self.home.join("keys"))
    }

    /// Opens the trust store.
    ///
    /// # Errors
    /// Fails if `trust.toml` cannot be read or is not well-formed.
    pub fn trust(&self) -> Result<TrustStore> {
        TrustStore::open(self.home.join("trust.toml"))
    }

    /// The logs that this user has seen.
    pub fn logs(&self) -> KnownLogs {
        KnownLogs::new(self.home.join("logs"))
    }

    /// The registries to look in: those of `flag`, else of the environment, else of the project, else of the
    /// configuration.
    ///
    /// # Errors
    /// Fails if a variable is not UTF-8, if `isn.toml` or `config.toml` cannot be read, or if a registry is
    /// named by a text that is neither a path nor a URL.
    pub fn registries(&self, flag: Option<&str>) -> Result<Vec<String>> {
        self.named_registries(flag).map(|(registries, _)| registries)
    }

    /// As [`Settings::registries`]; also returns what names them, which is empty for `flag`.
    fn named_registries(&self, flag: Option<&str>) -> Result<(Vec<String>, String)> {
        let list = |text: &str| match text.contains(',') && Path::new(text).is_dir() {
            // A folder with a comma in its name.
            true => vec![text.to_string()],
            false => text.split(',').map(|one| one.trim().to_string()).collect(),
        };
        let set = || variable("ISN_REGISTRY").map(|set| set.filter(|value| !value.trim().is_empty()));
        let (named, by): (Vec<String>, String) = match flag {
            Some(flag) => (list(flag), String::new()),
            None => match set()? {
                Some(text) => (list(&text), "ISN_REGISTRY".into()),
                None => match Project::read(Path::new(PROJECT_FILE))?.registry {
                    project if project.is_empty() => {
                        (self.config()?.registry, self.config_path().display().to_string())
                    }
                    project => (project, PROJECT_FILE.into()),
                },
            },
        };
        for location in &named {
            RegistryId::of_url(location).map_err(|e| named_by(e, &by))?;
        }
        Ok((if named.is_empty() { vec![BUNDLED.into()] } else { named }, by))
    }

    /// The cache: in `ISN_CACHE`, else in the home if `ISN_HOME` is set, else in `isn` of the XDG cache
    /// folder. `None` if the environment names none of these.
    pub fn cache(&self) -> Option<Cache> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let xdg = || set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let home = || user_home().map(|path| path.join(".cache"));
        let folder = set("ISN_CACHE")
            .or_else(|| set("ISN_HOME").map(|_| self.home.join("cache")))
            .or_else(|| xdg().or_else(home).map(|path| path.join("isn")))?;
        Some(Cache::new(folder).with_secret(self.home.join("cache.key")))
    }

    /// How the network may be used.
    ///
    /// # Errors
    /// Fails if a variable is not UTF-8 or not a number, or if `config.toml` or `tokens.toml` cannot be read.
    pub fn access(&self, offline: bool) -> Result<Access> {
        let config = self.config()?;
        let set = |name: &str| variable(name).map(|set| set.filter(|value| !value.trim().is_empty()));
        let offline = offline || set("ISN_OFFLINE")?.is_some_and(|value| value != "0");
        let timeout = number("ISN_TIMEOUT", set("ISN_TIMEOUT")?)?.or(config.timeout);
        let retries = number("ISN_RETRIES", set("ISN_RETRIES")?)?.or(config.retries);
        let ca_bundle = env::var_os("ISN_CA_BUNDLE").filter(|path| !path.is_empty()).map(PathBuf::from);
        // A variable that is not text configures nothing.
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Ok(Access {
            offline,
            ca_bundle: ca_bundle.or(config.ca_bundle),
            tokens: self.tokens(set("ISN_TOKENS")?.as_deref())?,
            timeout: timeout.map_or(access::DEFAULT_TIMEOUT, |seconds| Duration::from_secs(seconds.max(1))),
            retries: retries.unwrap_or(access::DEFAULT_RETRIES),
            bundled: self.bundled,
            cloud: env::vars_os()
                .filter_map(text)
                .filter(|(name, _)| CLOUD.iter().any(|cloud| name.starts_with(cloud)))
                .collect(),
        })
    }

    /// The tokens by host: `HOST=TOKEN,…` from the environment, then the lines `"HOST" = "TOKEN"` of
    /// `tokens.toml`.
    fn tokens(&self, variable: Option<&str>) -> Result<Vec<Token>> {
        let mut tokens = Vec::new();
        for pair in variable.unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (host, secret) = pair
                .split_once('=')
                .ok_or_else(|| Error::invalid("ISN_TOKENS", "expected HOST=TOKEN, separated by commas"))?;
            tokens.push(Token::new(host.trim(), secret.trim()));
        }
        let path = self.home.join("tokens.toml");
        if let Some(bytes) = files::read_guarded(&path, MAX_LEN, Guard::Secret)? {
            tokens.extend(Token::parse_file(&path.display().to_string(), bytes)?);
        }
        Ok(tokens)
    }

    fn config_path(&self) -> PathBuf {
        self.home.join("config.toml")
    }

    fn config(&self) -> Result<Config> {
        let path = self.config_path();
        // The file names certificates and registries, so others must not be able to change it.
        let bytes = files::read_guarded(&path, MAX_LEN, Guard::Trust)?;
        bytes.map_or(Ok(Config::default()), |bytes| toml_text(path.display(), bytes))
    }

    /// Returns the keys that this user knows: their own, and the publishers that they trust.
    ///
    /// # Errors
    /// Fails if the trust store or a key file cannot be read.
    pub fn known_keys(&self) -> Result<BTreeSet<PublicKey>> {
        let own = self.keyring().list()?.into_iter().map(|key| key.public_key);
        let trusted = self.trust()?.list().flat_map(|(_, trusted)| trusted.public_keys()).collect::<Vec<_>>();
        Ok(own.chain(trusted).collect())
    }

    /// The socket of the SSH agent.
    pub fn ssh_agent() -> Option<PathBuf> {
        env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Returns the client of this user, which looks in the registries of `--registry` if that was given.
    ///
    /// # Errors
    /// Fails if a setting or one of the user's files is not valid.
    pub fn client(&self, registry: Option<&str>, offline: bool) -> Result<Client> {
        let (locations, named_by) = self.named_registries(registry)?;
        Ok(Client {
            locations,
            named_by,
            trust: self.trust()?,
            logs: self.logs(),
            cache: self.cache(),
            access: self.access(offline)?,
            max_age: None,
            whole_log: false,
        })
    }
}

/// The user's home: `HOME` or, as services and containers often have none, what the system knows of the user.
fn user_home() -> Option<PathBuf> {
    env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Adds the setting that names a wrong place to an error about it.
fn named_by(error: Error, setting: &str) -> Error {
    match error {
        Error::Invalid { what, why, kind } if !setting.is_empty() => {
            Error::invalid(format!("{what} of {setting}"), why).of(kind)
        }
        error => error,
    }
}

/// Returns one of isn's own environment variables.
///
/// # Errors
/// [`Error::Invalid`] if its value is not UTF-8.
pub fn variable(name: &str) -> Result<Option<String>> {
    let text = |value: OsString| value.into_string().map_err(|_| Error::invalid(name, "is not UTF-8 text"));
    env::var_os(name).map(text).transpose()
}

/// Hides what stands between `://` and `@` in a URL, or in each of a list of URLs.
fn without_password(value: &str) -> String {
    let parts: Vec<String> = value
        .split(',')
        .map(|part| match part.split_once("://") {
            Some((scheme, rest)) if rest.contains('@') => {
                format!("{scheme}://…@{}", rest.rsplit('@').next().unwrap_or_default())
            }
            _ => part.to_string(),
        })
        .collect();
    parts.join(",")
}

/// Parses a number from the environment.
fn number<T: std::str::FromStr>(name: &str, value: Option<String>) -> Result<Option<T>> {
    let parse = |value: String| {
        value.trim().parse().map_err(|_| Error::invalid(name, format!("'{value}' is not a whole number")))
    };
    value.map(parse).transpose()
}
