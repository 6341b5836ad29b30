//! [`Access`]: how places outside this machine may be reached: what flags, environment and configuration say of the
//! network.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::bundled::Bundled;
use isn_format::error::{Error, Result};

/// How long a server may stay silent where the user says nothing.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request is made again where the user says nothing.
pub const DEFAULT_RETRIES: u32 = 5;

/// How the network may be used.
#[derive(Clone, Debug)]
pub struct Access {
    /// Not at all: only folders, the cache and the registry in the binary.
    pub offline: bool,
    /// Certificates in PEM that are believed instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// What to show to which host.
    pub tokens: Vec<Token>,
    /// How long a connection may take to come about, a server may stay silent, and a body may stay below the least rate.
    pub timeout: Duration,
    /// How often a request that failed is made again.
    pub retries: u32,
    /// The registry in the program.
    pub bundled: Bundled,
    /// Settings of cloud stores by the names that their users know (`AWS_REGION`, …), as the environment has them.
    pub cloud: Vec<(String, String)>,
}

impl Default for Access {
    fn default() -> Self {
        Access {
            offline: false,
            ca_bundle: None,
            tokens: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            retries: DEFAULT_RETRIES,
            bundled: Bundled::default(),
            cloud: Vec::new(),
        }
    }
}

impl Access {
    /// The token for a host, which is its name and, if the URL has one, `:port`.
    pub fn token(&self, host: &str) -> Option<&str> {
        self.tokens.iter().find(|token| token.host == host).map(|token| token.secret.as_str())
    }
}

/// A bearer token and the one host that it is for.
#[derive(Clone)]
pub struct Token {
    /// The host in lower case, with `:port` where the URL has one.
    pub host: String,
    /// What is shown to it.
    pub secret: String,
}

impl Token {
    /// Of a host in any case.
    pub fn new(host: &str, secret: &str) -> Self {
        Token { host: host.to_ascii_lowercase(), secret: secret.into() }
    }

    /// Reads the bytes of a `tokens.toml`, called `what` in errors: lines `"HOST" = "TOKEN"`.
    pub fn parse_file(what: &str, bytes: Vec<u8>) -> Result<Vec<Token>> {
        // The parser would quote the line, and the line has a secret in it.
        let refuse = || Error::invalid(what, "expected lines of the form \"HOST\" = \"TOKEN\"");
        let text = String::from_utf8(bytes).map_err(|_| refuse())?;
        let table: BTreeMap<String, String> = toml::from_str(&text).map_err(|_| refuse())?;
        Ok(table.iter().map(|(host, secret)| Token::new(host, secret)).collect())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, …)", self.host)
    }
}
