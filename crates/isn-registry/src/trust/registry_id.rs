//! [`RegistryId`]: the location of a registry, in its only spelling.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::url;
use isn_format::error::{Error, Input, Result};

/// The location of a registry in its only spelling: a URL with scheme and host in lower case, without its
/// default port and without a slash at the end; or the absolute path of a folder, with symlinks resolved as
/// far as it exists. Trust is recorded under it, but the identity of a registry is its log's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryId(String);

impl RegistryId {
    /// The location as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id of a URL; `None` if the text is the path of a folder, or `bundled`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the text is neither, as [`url::split`] says, or the URL is not a registry's.
    pub fn of_url(location: &str) -> Result<Option<Self>> {
        let parts = url::split(location).map_err(|why| refuse(location, why))?;
        if location.chars().any(char::is_control) {
            return Err(refuse(location, "has a control character"));
        }
        // Lists of registries are trimmed, so such a folder has another name there.
        if location.trim() != location && !location.starts_with(['.', '/']) {
            return Err(refuse(location, "begins or ends with a blank: name it by its whole path"));
        }
        let id = parts.map(|(scheme, rest)| url_id(scheme, rest)).transpose();
        id.map(|id| id.map(RegistryId)).map_err(|why| refuse(location, why))
    }

    /// Whether it is a URL rather than a folder on this machine.
    pub(crate) fn is_remote(&self) -> bool {
        self.0.contains("://")
    }
}

impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RegistryId {
    type Err = Error;

    fn from_str(location: &str) -> Result<Self> {
        if let Some(id) = RegistryId::of_url(location)? {
            return Ok(id);
        }
        match folder_id(Path::new(location))?.into_os_string().into_string() {
            Ok(id) => Ok(RegistryId(id)),
            Err(_) => Err(refuse(location, "is in a folder whose name is not UTF-8")),
        }
    }
}

fn refuse(location: &str, why: impl fmt::Display) -> Error {
    Error::invalid(format!("registry '{}'", location.escape_debug()), why).of(Input::Location)
}

/// Normalises scheme and authority by RFC 3986, section 6.2. The path belongs to the server and stays as it
/// is, except for slashes at its end.
fn url_id(scheme: &str, rest: &str) -> Result<String, &'static str> {
    let scheme = scheme.to_ascii_lowercase();
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    if scheme.is_empty() || !scheme.bytes().all(named) {
        return Err("has no proper scheme before '://'");
    }
    if rest.contains(['?', '#']) {
        return Err("has a query or a fragment: a registry is the folder above all its files");
    }
    let rest = rest.trim_end_matches('/');
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if host.contains('@') {
        return Err("has a user name or password in it, which would be stored");
    }
    let host = host.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    let host = host.strip_suffix(':').unwrap_or(host); // an empty port is the default one
    if host.is_empty() {
        return Err("names no host or bucket, which stands between '://' and the next slash");
    }
    Ok(format!("{scheme}://{host}{path}"))
}

/// Resolves symlinks in the longest part that exists, so that a folder has the same id before and after it is
/// created.
fn folder_id(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(Error::io("find", path))?;
    for ancestor in absolute.ancestors() {
        match fs::canonicalize(ancestor) {
            Ok(real) => {
                // Cannot fail: an ancestor of a path is a prefix of it.
                let below = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
                return Ok(below.components().fold(real, |mut path, part| {
                    match part {
                        Component::ParentDir => drop(path.pop()),
                        Component::Normal(name) => path.push(name),
                        _ => {}
                    }
                    path
                }));
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => return Err(Error::io("find", ancestor)(e)),
        }
    }
    Ok(absolute)
}

impl Serialize for RegistryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RegistryId {
    /// Accepts only what [`RegistryId`] could have written; does not resolve a folder's symlinks again.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let normal = match text.split_once("://") {
            Some((scheme, rest)) => url_id(scheme, rest).is_ok_and(|id| id == text),
            None => Path::new(&text).is_absolute(),
        };
        if normal && !text.chars().any(char::is_control) {
            Ok(RegistryId(text))
        } else {
            Err(serde::de::Error::custom(format!(
                "'{}' is not a registry's location as `isn trust add` writes it",
                text.escape_debug()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(location: &str) -> RegistryId {
        location.parse().unwrap()
    }

    #[test]
    fn a_registry_has_one_id_however_it_is_written() {
        for (location, expected) in [
            ("https://example.org/data", "https://example.org/data"),
            ("HTTPS://Example.ORG:443/data//", "https://example.org/data"),
            ("http://localhost:80/", "http://localhost"),
            ("http://localhost:/", "http://localhost"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://localhost:8080/Data", "http://localhost:8080/Data"),
            ("https://example.org:80", "https://example.org:80"),
            ("/no/such/folder/", "/no/such/folder"),
            ("/no/./such/x/../folder", "/no/such/folder"),
        ] {
            assert_eq!(id(location).as_str(), expected);
        }
        for bad in
            ["", "https://", "https:///data", "://x", "https://me:pw@example.org", "https://x/?a", "a\nb"]
        {
            assert!(bad.parse::<RegistryId>().is_err(), "{bad:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_is_the_same_by_every_path() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
        let before = id(dir.path().join("link/registry").to_str().unwrap());
        fs::create_dir(real.join("registry")).unwrap();
        for path in ["real/registry", "link/registry/", "real/../real/registry", "link/registry/."] {
            assert_eq!(id(dir.path().join(path).to_str().unwrap()), before, "{path}");
        }
    }
}
