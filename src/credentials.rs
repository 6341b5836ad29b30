//! The tokens by which servers let their user publish: the file `credentials` of a user's folder, a URL and a token a line.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::files;
use crate::trust::RegistryId;

/// A secret that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token as the server's keeper has handed it out; `what` is what errors call its place.
    pub fn new(what: &str, token: &str) -> Result<Self> {
        let is_token = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        is_token.then(|| Token(token.into())).ok_or_else(|| {
            Error::invalid(what, "is no token: it has other characters than ASCII letters, digits and signs")
        })
    }

    /// The secret, to be sent to its server.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The token for a registry, if the file has one. A file that others may read is refused.
pub fn token_for(file: &Path, registry: &RegistryId) -> Result<Option<Token>> {
    if !file.exists() {
        return Ok(None);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(Error::io("look at", file))?.permissions().mode();
        if mode & 0o077 != 0 {
            let why = format!("may be read by others: chmod 600 {}", file.display());
            return Err(Error::invalid(file.display(), why));
        }
    }
    for (line, number) in files::read_text(file)?.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let what = format!("{}, line {number}", file.display());
        let (url, token) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| Error::invalid(&what, "is not a URL and a token"))?;
        if url.parse::<RegistryId>()? == *registry {
            return Token::new(&what, token.trim()).map(Some);
        }
    }
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_its_token_and_others_may_not_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        let registry: RegistryId = "https://example.org/birds".parse().unwrap();
        assert_eq!(token_for(&path, &registry).unwrap(), None);
        std::fs::write(&path, "# mine\nhttps://example.org/ one\nHTTPS://Example.org:443/birds/   two\n")
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(token_for(&path, &registry).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let token = token_for(&path, &registry).unwrap().unwrap();
        assert_eq!((token.secret(), format!("{token:?}").as_str()), ("two", "Token(…)"));
        assert_eq!(token_for(&path, &"https://example.com".parse().unwrap()).unwrap(), None);
        std::fs::write(&path, "https://example.org/birds\n").unwrap();
        assert!(token_for(&path, &registry).unwrap_err().to_string().contains("line 1"));
    }
}
