//! [`TrustStore`]: whose releases the user believes, registry by registry. One TOML file:
//! ```toml
//! format = "isn-trust/1"
//!
//! [registry."https://example.org/data"]
//! keys = [
//!     "ssh-ed25519 AAAA… alice",
//! ]
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::key::{KeyLine, PublicKey};

/// What the file begins with.
const HEADER: &str =
    "# The keys whose releases isn believes; `isn trust add` and `isn trust remove` write this file.\n";
/// The longest file that is read, in bytes.
const MAX_LEN: u64 = 4 << 20;

/// Where a registry is, written in one way only: a URL with scheme and host in lower case, without its default port
/// and without a slash at the end; or the absolute path of a folder, links resolved as far as it exists. It is what
/// trust is bound to until registries have logs with names of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryId(String);

impl RegistryId {
    /// The location as text.
    pub fn as_str(&self) -> &str {
        &self.0
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
        let refuse = |why: &str| Error::invalid(format!("registry '{}'", location.escape_debug()), why);
        if location.is_empty() {
            return Err(refuse("expected a folder or a URL"));
        }
        if location.chars().any(char::is_control) {
            return Err(refuse("has a control character"));
        }
        let id = match location.split_once("://") {
            Some((scheme, rest)) => url_id(scheme, rest).map_err(refuse)?,
            None => folder_id(Path::new(location))?
                .into_os_string()
                .into_string()
                .map_err(|_| refuse("is in a folder whose name is not UTF-8"))?,
        };
        Ok(RegistryId(id))
    }
}

/// Scheme and authority in the form of RFC 3986, section 6.2; the path is the server's and stays as it is, but for
/// the slashes at its end.
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
        return Err("names no host");
    }
    Ok(format!("{scheme}://{host}{path}"))
}

/// Resolves links in the longest part that exists, so that one folder has one id before and after it is made.
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
    /// Takes only what could have been written; a folder's links are not looked at again.
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

/// The public key that a user names: an `ssh-ed25519 …` line, or the path of a file with one.
pub fn public_key_argument(argument: &str) -> Result<KeyLine> {
    // Such a line has a blank after its first word, which begins as no path that a person would type.
    let is_line = argument
        .trim()
        .split_once([' ', '\t'])
        .is_some_and(|(word, _)| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start)));
    if is_line { argument.parse() } else { KeyLine::read(Path::new(argument)) }
}

/// The user's trust store. Reading is of the file as it was when it was opened; changes are made to the file as it
/// is, under a lock, and replace it as a whole.
#[derive(Clone, Debug)]
pub struct TrustStore {
    path: PathBuf,
    registries: BTreeMap<RegistryId, Vec<KeyLine>>,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: Format,
    #[serde(default)]
    registry: BTreeMap<RegistryId, StoredKeys>,
}

#[derive(Serialize, Deserialize)]
enum Format {
    #[serde(rename = "isn-trust/1")]
    V1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKeys {
    keys: Vec<KeyLine>,
}

impl TrustStore {
    /// Opens the store at `path`; with no file there, nobody is trusted.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let registries = read(&path)?;
        Ok(TrustStore { path, registries })
    }

    /// The keys trusted for a registry, in the order in which they were added.
    pub fn keys_for(&self, registry: &RegistryId) -> Vec<PublicKey> {
        self.lines_for(registry).iter().map(|line| line.key).collect()
    }

    /// The same with the comments they were added with.
    pub fn lines_for(&self, registry: &RegistryId) -> &[KeyLine] {
        self.registries.get(registry).map_or(&[], Vec::as_slice)
    }

    /// Every registry that has a trusted key, with its keys; sorted by location.
    pub fn list(&self) -> impl Iterator<Item = (&RegistryId, &[KeyLine])> {
        self.registries.iter().map(|(registry, keys)| (registry, keys.as_slice()))
    }

    /// Trusts a key for a registry. `false` if it was trusted already: then nothing is written.
    pub fn add(&mut self, registry: &RegistryId, line: &KeyLine) -> Result<bool> {
        self.change(|registries| {
            let keys = registries.entry(registry.clone()).or_default();
            let new = keys.iter().all(|known| known.key != line.key);
            if new {
                keys.push(line.clone());
            }
            Ok(new)
        })
    }

    /// Trusts a key no more; an error if it was not trusted.
    pub fn remove(&mut self, registry: &RegistryId, key: &PublicKey) -> Result<()> {
        self.change(|registries| {
            let keys = registries.entry(registry.clone()).or_default();
            let before = keys.len();
            keys.retain(|known| known.key != *key);
            if keys.len() == before {
                let what = format!("key {}", key.fingerprint());
                return Err(Error::not_found(what, format!("the trusted keys of registry {registry}")));
            }
            if keys.is_empty() {
                registries.remove(registry);
            }
            Ok(true)
        })?;
        Ok(())
    }

    /// The trusted key of a registry that has this fingerprint (`SHA256:…`).
    pub fn key_by_fingerprint(&self, registry: &RegistryId, fingerprint: &str) -> Option<PublicKey> {
        self.lines_for(registry).iter().map(|line| line.key).find(|key| key.fingerprint() == fingerprint)
    }

    /// Reads the file anew, applies `edit` and writes the file if that returns `true`. Without the lock a removal
    /// could be undone by somebody who adds a key at the same time.
    fn change(
        &mut self,
        edit: impl FnOnce(&mut BTreeMap<RegistryId, Vec<KeyLine>>) -> Result<bool>,
    ) -> Result<bool> {
        let dir = folder_of(&self.path);
        fs::create_dir_all(dir).map_err(Error::io("create folder", dir))?;
        let lock_path = self.path.with_extension("lock");
        let lock = File::options().create(true).write(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(Error::io("open", &lock_path))?;
        // A file system without locks is no reason to refuse: the file is still replaced as a whole.
        let _ = lock.lock();
        self.registries = read(&self.path)?;
        let mut registries = self.registries.clone();
        let changed = edit(&mut registries)?;
        if changed {
            write(&self.path, &registries)?;
            self.registries = registries;
        }
        Ok(changed)
    }
}

fn read(path: &Path) -> Result<BTreeMap<RegistryId, Vec<KeyLine>>> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    let refuse = |why: String| Error::trust(path.display(), why);
    if length > MAX_LEN {
        return Err(refuse(format!("is longer than {MAX_LEN} bytes")));
    }
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let stored: Stored = toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(String::new(), |span| {
            format!("line {}: ", 1 + text.bytes().take(span.start).filter(|&b| b == b'\n').count())
        });
        refuse(format!("{line}{}", e.message()))
    })?;
    let Format::V1 = stored.format;
    let mut registries = BTreeMap::new();
    for (registry, StoredKeys { keys }) in stored.registry {
        for (i, line) in keys.iter().enumerate() {
            if keys[..i].iter().any(|earlier| earlier.key == line.key) {
                return Err(refuse(format!(
                    "has the key {} twice for registry {registry}",
                    line.key.fingerprint()
                )));
            }
        }
        registries.insert(registry, keys);
    }
    Ok(registries)
}

fn write(path: &Path, registries: &BTreeMap<RegistryId, Vec<KeyLine>>) -> Result<()> {
    let registry =
        registries.iter().map(|(id, keys)| (id.clone(), StoredKeys { keys: keys.clone() })).collect();
    let text = toml::to_string_pretty(&Stored { format: Format::V1, registry })
        .map_err(|e| Error::Internal(format!("the trust store cannot be written as TOML: {e}")))?;
    let dir = folder_of(path);
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(Error::io("write in", dir))?;
    file.write_all(format!("{HEADER}{text}").as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io("write", path))?;
    file.persist(path).map_err(|e| Error::io("write", path)(e.error))?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti alice";
    const BOB: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMv6/YU5M44QS88yj80gEcKMj7YomiYw4AWSgpX7TBaB";

    fn id(location: &str) -> RegistryId {
        location.parse().unwrap()
    }

    fn line(text: &str) -> KeyLine {
        text.parse().unwrap()
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

    #[test]
    fn what_is_added_is_there_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config/trust.toml");
        let (one, two) = (id("https://example.org/one"), id("/no/such/two"));
        let mut store = TrustStore::open(&path).unwrap();
        assert!(store.keys_for(&one).is_empty());
        assert!(store.add(&one, &line(ALICE)).unwrap());
        assert!(store.add(&one, &line(BOB)).unwrap());
        assert!(!store.add(&one, &line(&format!("{BOB} another comment"))).unwrap(), "twice is once");
        assert!(store.add(&two, &line(BOB)).unwrap());
        let read = TrustStore::open(&path).unwrap();
        for store in [&store, &read] {
            assert_eq!(store.lines_for(&one), [line(ALICE), line(BOB)]);
            assert_eq!(store.keys_for(&two), [line(BOB).key]);
            assert!(store.keys_for(&id("https://example.org")).is_empty(), "trust is a registry's alone");
            assert_eq!(
                store.list().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
                [two.as_str(), one.as_str()]
            );
        }
        let fingerprint = line(BOB).key.fingerprint();
        assert_eq!(read.key_by_fingerprint(&one, &fingerprint), Some(line(BOB).key));
        assert_eq!(read.key_by_fingerprint(&one, "SHA256:"), None);

        store.remove(&two, &line(BOB).key).unwrap();
        let error = store.remove(&two, &line(BOB).key).unwrap_err();
        assert!(matches!(&error, Error::NotFound { .. }), "{error}");
        assert!(
            error.to_string().contains(&fingerprint) && error.to_string().contains(two.as_str()),
            "{error}"
        );
        let stored = fs::read_to_string(&path).unwrap();
        assert_eq!(
            stored,
            format!(
                "{HEADER}format = \"isn-trust/1\"\n\n[registry.\"https://example.org/one\"]\nkeys = [\n    \
                 \"{ALICE}\",\n    \"{BOB}\",\n]\n"
            )
        );
    }

    #[test]
    fn two_who_change_it_at_once_both_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.toml");
        let one = id("https://example.org/one");
        let (mut first, mut second) = (TrustStore::open(&path).unwrap(), TrustStore::open(&path).unwrap());
        first.add(&one, &line(ALICE)).unwrap();
        second.add(&one, &line(BOB)).unwrap();
        assert_eq!(TrustStore::open(&path).unwrap().lines_for(&one), [line(ALICE), line(BOB)]);
        first.remove(&one, &line(ALICE).key).unwrap();
        assert_eq!(TrustStore::open(&path).unwrap().lines_for(&one), [line(BOB)]);
    }

    #[test]
    fn a_file_that_could_mean_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.toml");
        for (text, reason) in [
            ("".into(), "missing field `format`"),
            ("format = \"isn-trust/2\"".into(), "line 1: unknown variant"),
            ("format = \"isn-trust/1\"\nfromat = 1".into(), "line 2: unknown field"),
            (
                "format = \"isn-trust/1\"\n[registry.\"relative\"]\nkeys = []".into(),
                "not a registry's location",
            ),
            (
                "format = \"isn-trust/1\"\n[registry.\"https://X\"]\nkeys = []".into(),
                "not a registry's location",
            ),
            ("format = \"isn-trust/1\"\n[registry.\"/a\"]\nkey = []".into(), "unknown field"),
            ("format = \"isn-trust/1\"\n[registry.\"/a\"]\nkeys = [\"ssh-rsa AAAA\"]".into(), "RSA"),
            (
                format!("format = \"isn-trust/1\"\n[registry.\"/a\"]\nkeys = [\"{BOB}\", \"{BOB} b\"]"),
                "twice",
            ),
            (
                "format = \"isn-trust/1\"\n[registry.\"/a\"]\nkeys = []\n[registry.\"/a\"]".into(),
                "line 4: duplicate",
            ),
        ] {
            let text: String = text;
            fs::write(&path, &text).unwrap();
            let message = TrustStore::open(&path).unwrap_err().to_string();
            assert!(message.contains("trust.toml") && message.contains(reason), "{text}: {message}");
        }
    }

    #[test]
    fn a_key_argument_is_a_line_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ssh-key.pub");
        fs::write(&path, format!("{ALICE}\n")).unwrap();
        assert_eq!(public_key_argument(path.to_str().unwrap()).unwrap(), line(ALICE));
        assert_eq!(public_key_argument(&format!("{ALICE}\n")).unwrap(), line(ALICE));
        assert!(public_key_argument("ssh-rsa AAAA").unwrap_err().to_string().contains("RSA"));
        let error = public_key_argument("/no/such/file.pub").unwrap_err();
        assert!(error.to_string().contains("/no/such/file.pub"), "{error}");
    }
}
