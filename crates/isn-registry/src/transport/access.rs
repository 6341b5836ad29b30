//! [`Access`]: how the network may be used, by the command line, the environment and the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::bundled::Bundled;
use isn_format::error::{Error, Result};
use isn_format::text::toml_text;

/// How long a server may stay silent, if the user does not say.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many times a request is retried, if the user does not say.
pub(crate) const DEFAULT_RETRIES: u32 = 5;

/// How the network may be used.
#[derive(Clone, Debug)]
pub struct Access {
    /// Whether the network must not be used: only folders, the cache and the registry in the binary.
    pub offline: bool,
    /// A file of certificates in PEM to trust instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The tokens to send, each to its host.
    pub tokens: Vec<Token>,
    /// The maximum time for a connection to be established, for a server to stay silent, and for a body to
    /// stay below the minimum rate.
    pub timeout: Duration,
    /// How many times a failed request is retried.
    pub retries: u32,
    /// The registry in the binary.
    pub bundled: Bundled,
    /// Settings of cloud stores, as environment variables by the names that the cloud's own tools use
    /// (`AWS_REGION`, …).
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

/// A bearer token, and the one host that it is for.
#[derive(Clone)]
pub struct Token {
    /// The host in lower case, with `:port` if the URL has one.
    pub host: String,
    /// The secret that is sent to it.
    pub secret: String,
}

impl Token {
    /// A token for a host, whose name may be in any case.
    pub fn new(host: &str, secret: &str) -> Self {
        Token { host: host.to_ascii_lowercase(), secret: secret.into() }
    }

    /// Parses the bytes of a `tokens.toml`, lines `"HOST" = "TOKEN"`; errors call it `what`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has other lines.
    pub fn parse_file(what: &str, bytes: Vec<u8>) -> Result<Vec<Token>> {
        // The parser's own error would quote a line, which contains a secret.
        let refuse = || Error::invalid(what, "expected lines of the form \"HOST\" = \"TOKEN\"");
        // So is any reason: it would only say which character of a secret is wrong.
        let table: BTreeMap<String, String> = toml_text(what, bytes).map_err(|_| refuse())?;
        Ok(table.iter().map(|(host, secret)| Token::new(host, secret)).collect())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, …)", self.host)
    }
}
