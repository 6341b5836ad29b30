//! [`TrustStore`]: which logs and publishers the user believes for each registry. One TOML file:
//! ```toml
//! format = "isn-trust/1"
//!
//! [registry."https://example.org/data"]
//! log = "example.org/data+1a2b3c4d+AT…"
//! keys = [
//!     "ssh-ed25519 AAAA… alice",
//! ]
//! witnesses = ["witness.example+5e6f7a8b+BL…"]
//! witnesses_needed = 1
//! ```
//! `log` is the registry's identity. If the user has named only a publisher, it is written at first contact,
//! with `first_contact = true`, and vouches for nothing beyond that publisher. `keys` restricts whose
//! releases count. All fields may be absent.

mod known;
mod registry_id;

pub use known::Known;
pub use registry_id::RegistryId;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, Guard};
use crate::keyring;
use isn_format::error::{Error, Missing, Result, There};
use isn_format::key::{KeyLine, PublicKey};
use isn_format::log::{LogKey, WitnessKey};
use isn_format::text::{shell_word, toml_text};

/// The first line of the file.
const HEADER: &str =
    "# The keys whose releases isn believes; `isn trust add` and `isn trust remove` write this file.\n";
/// The maximum length of the file, in bytes.
const MAX_LEN: u64 = 4 << 20;

/// Parses the key that a user names: what [`public_key_argument`] accepts, a vkey, or the path of a file with
/// a vkey.
///
/// # Errors
/// Fails if it is a fingerprint, not a key, or a file that cannot be read.
pub(crate) fn any_key_argument(argument: &str) -> Result<AnyKey> {
    if is_key_line(argument) {
        return argument.parse().map(AnyKey::Publisher);
    }
    if is_vkey(argument) {
        return parse_vkey(argument);
    }
    if argument.starts_with("SHA256:") {
        let why = "is a fingerprint, which does not contain the key: give the key's line ('ssh-ed25519 …'), \
                   its file, or a vkey";
        return Err(Error::invalid(argument, why));
    }
    // Read only once: it may be a pipe.
    let path = Path::new(argument);
    check_there(path)?;
    let text = keyring::read_text(path)?;
    if is_vkey(&text) {
        parse_vkey(&text)
    } else {
        KeyLine::parse(path.display(), &text).map(AnyKey::Publisher)
    }
}

/// Parses the public key that a user names: an `ssh-ed25519 …` line, or the path of a file with one.
///
/// # Errors
/// Fails if it is not such a key, or a file that cannot be read.
pub fn public_key_argument(argument: &str) -> Result<KeyLine> {
    if is_key_line(argument) {
        return argument.parse();
    }
    check_there(Path::new(argument))?;
    keyring::read_public(Path::new(argument))
}

/// Refuses what is neither a key nor the path of a file.
fn check_there(path: &Path) -> Result<()> {
    if files::is_absent(path) {
        if path.components().count() > 1 || path.extension().is_some_and(|end| end == "pub") {
            return Err(Error::not_found(Missing::File, path.display(), ""));
        }
        let why = "is neither an OpenSSH public key ('ssh-ed25519 …') nor a vkey, and there is no such file";
        return Err(Error::invalid(path.display(), why));
    }
    Ok(())
}

/// Whether an argument is a key line rather than a path: it has a blank after its first word, which begins as
/// no usual path does.
fn is_key_line(text: &str) -> bool {
    text.trim()
        .split_once([' ', '\t'])
        .is_some_and(|(word, _)| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start)))
}

/// Whether an argument has the form of a vkey, NAME+8 hex+base64, which neither a key line nor a usual path
/// has.
fn is_vkey(text: &str) -> bool {
    let id = text.trim().split('+').nth(1);
    !text.trim().contains([' ', '\t'])
        && id.is_some_and(|id| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn parse_vkey(text: &str) -> Result<AnyKey> {
    match text.trim().parse() {
        Ok(witness) => Ok(AnyKey::Witness(witness)),
        Err(_) => text.trim().parse().map(AnyKey::Log),
    }
}

/// The user's trust store. Reads see the file as it was when it was opened. Changes are applied to the
/// current file under a lock, by an atomic replace.
#[derive(Clone, Debug)]
pub struct TrustStore {
    path: PathBuf,
    registries: BTreeMap<RegistryId, Trusted>,
}

/// What the user believes about one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    /// The log, which is the registry's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogKey>,
    /// Whether the registry showed that log at first contact, when the user trusted only a publisher and had
    /// named no log.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_contact: bool,
    /// The publishers whose releases count; if there are none, the owners in the log decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyLine>,
    /// The witnesses whose cosignatures count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<WitnessKey>,
    /// How many of them must have signed; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnesses_needed: Option<usize>,
}

impl Trusted {
    /// The publishers' keys.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.keys.iter().map(|line| line.key).collect()
    }

    /// The log whose owners' releases the user has a reason to believe.
    pub fn believed_log(&self) -> Option<&LogKey> {
        self.log.as_ref().filter(|_| !self.first_contact || !self.keys.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.log.is_none() && self.keys.is_empty() && self.witnesses.is_empty()
    }
}

/// A key as a user names it: a publisher's, a log's or a witness's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyKey {
    /// An OpenSSH public key.
    Publisher(KeyLine),
    /// A log's vkey.
    Log(LogKey),
    /// A witness's vkey.
    Witness(WitnessKey),
}

/// The contents of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: Format,
    #[serde(default)]
    registry: BTreeMap<RegistryId, Trusted>,
}

#[derive(Serialize, Deserialize)]
enum Format {
    #[serde(rename = "isn-trust/1")]
    V1,
}

impl TrustStore {
    /// Opens the store at `path`; if there is no file, nobody is trusted.
    ///
    /// # Errors
    /// [`Error::TrustFile`] if others may change the file, or it is not well-formed; [`Error::Io`] if it
    /// cannot be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let registries = read(&path)?;
        Ok(TrustStore { path, registries })
    }

    /// Returns what is believed about a registry.
    pub fn get(&self, registry: &RegistryId) -> Option<&Trusted> {
        self.registries.get(registry)
    }

    /// Every registry about which something is believed, sorted by location.
    pub fn list(&self) -> impl Iterator<Item = (&RegistryId, &Trusted)> {
        self.registries.iter()
    }

    /// Trusts a key for a registry. Returns `false` if it was trusted already.
    ///
    /// # Errors
    /// [`Error::Exists`] if another log is trusted for the registry; also as [`TrustStore::open`], or if the
    /// file cannot be written.
    pub fn add(&mut self, registry: &RegistryId, key: &AnyKey) -> Result<bool> {
        self.change(|registries| {
            let trusted = registries.entry(registry.clone()).or_default();
            match key {
                AnyKey::Publisher(line) if trusted.keys.iter().any(|known| known.key == line.key) => {
                    return Ok(false);
                }
                AnyKey::Witness(witness) if trusted.witnesses.contains(witness) => return Ok(false),
                AnyKey::Log(log) if trusted.log.as_ref() == Some(log) => {
                    return Ok(std::mem::take(&mut trusted.first_contact));
                }
                AnyKey::Publisher(line) => trusted.keys.push(line.clone()),
                AnyKey::Witness(witness) => trusted.witnesses.push(witness.clone()),
                AnyKey::Log(log) => match &trusted.log {
                    None => trusted.log = Some(log.clone()),
                    Some(other) => {
                        return Err(Error::exists(
                            There::LogKey,
                            format!("a log key for registry {registry}"),
                            format!(
                                ", {other}: a registry is one log. If it has really become another registry, \
                                 first `isn trust remove {} {}`",
                                shell_word(registry),
                                shell_word(other)
                            ),
                        ));
                    }
                },
            }
            Ok(true)
        })
    }

    /// Records the log that a registry shows at first contact, if none is recorded.
    ///
    /// # Errors
    /// As [`TrustStore::open`], or if the file cannot be written.
    pub(crate) fn meet(&mut self, registry: &RegistryId, log: &LogKey) -> Result<()> {
        self.change(|registries| {
            let trusted = registries.entry(registry.clone()).or_default();
            let is_new = trusted.log.is_none();
            if is_new {
                (trusted.log, trusted.first_contact) = (Some(log.clone()), true);
            }
            Ok(is_new)
        })?;
        Ok(())
    }

    /// Sets how many witnesses must have signed a registry's checkpoints.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are not that many witnesses; also as [`TrustStore::open`], or if the file
    /// cannot be written.
    pub(crate) fn need_witnesses(&mut self, registry: &RegistryId, needed: usize) -> Result<()> {
        self.change(|registries| {
            let trusted = registries.entry(registry.clone()).or_default();
            if needed > trusted.witnesses.len() {
                let why = format!("is more than the {} witnesses that are named", trusted.witnesses.len());
                return Err(Error::invalid(format!("--need {needed}"), why));
            }
            trusted.witnesses_needed = Some(needed);
            Ok(true)
        })?;
        Ok(())
    }

    /// Stops trusting a key for a registry.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was not trusted; also as [`TrustStore::open`], or if the file cannot be
    /// written.
    pub fn remove(&mut self, registry: &RegistryId, key: &AnyKey) -> Result<()> {
        self.change(|registries| {
            let trusted = registries.entry(registry.clone()).or_default();
            let before = trusted.clone();
            let what = match key {
                AnyKey::Publisher(line) => {
                    trusted.keys.retain(|known| known.key != line.key);
                    format!("key {}", line.key.fingerprint())
                }
                AnyKey::Log(log) => {
                    trusted.log = trusted.log.take().filter(|known| known != log);
                    trusted.first_contact &= trusted.log.is_some();
                    format!("key {log}")
                }
                AnyKey::Witness(witness) => {
                    trusted.witnesses.retain(|known| known != witness);
                    let left = trusted.witnesses.len();
                    trusted.witnesses_needed = trusted.witnesses_needed.map(|needed| needed.min(left));
                    format!("key {witness}")
                }
            };
            if *trusted == before {
                return Err(Error::not_found(
                    Missing::Trusted,
                    what,
                    format!("the trusted keys of registry {registry}"),
                ));
            }
            if trusted.is_empty() {
                registries.remove(registry);
            }
            Ok(true)
        })?;
        Ok(())
    }

    /// Returns the id in the file that is written as `text`.
    pub fn named(&self, text: &str) -> Option<RegistryId> {
        self.registries.keys().find(|id| id.as_str() == text).cloned()
    }

    /// Returns the trusted publisher's key of a registry with this fingerprint (`SHA256:…`).
    pub(crate) fn key_by_fingerprint(&self, registry: &RegistryId, fingerprint: &str) -> Option<KeyLine> {
        let keys = &self.get(registry)?.keys;
        keys.iter().find(|line| line.key.fingerprint() == fingerprint).cloned()
    }

    /// Reads the file again, applies `edit`, and writes the file if that returns `true`. The lock keeps a
    /// concurrent addition from undoing a removal.
    fn change(
        &mut self,
        edit: impl FnOnce(&mut BTreeMap<RegistryId, Trusted>) -> Result<bool>,
    ) -> Result<bool> {
        // The lock is beside the real file, since other homes may have symlinks to it.
        let path = files::behind_links(&self.path).map_err(|e| users_own(&self.path, e))?;
        files::create_dir_all_synced(files::parent(&path))?;
        let lock = files::Lock::take(&path.with_extension("lock"))?;
        self.registries = read(&self.path)?;
        let mut registries = self.registries.clone();
        let changed = edit(&mut registries)?;
        if changed {
            write(&self.path, &registries, &lock)?;
            self.registries = registries;
        }
        Ok(changed)
    }
}

fn read(path: &Path) -> Result<BTreeMap<RegistryId, Trusted>> {
    let read = files::read_guarded(path, MAX_LEN, Guard::Trust).map_err(|e| users_own(path, e))?;
    read.map_or(Ok(BTreeMap::new()), |bytes| parse(path, bytes))
}

/// Parses the bytes of a trust store; errors call it `path`.
///
/// # Errors
/// [`Error::TrustFile`] if it is not well-formed.
pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<BTreeMap<RegistryId, Trusted>> {
    let refuse = |why: String| refuse(path, why);
    let stored: Stored = toml_text(path.display(), bytes).map_err(|e| users_own(path, e))?;
    let Format::V1 = stored.format;
    for (registry, Trusted { keys, .. }) in &stored.registry {
        for (i, line) in keys.iter().enumerate() {
            if keys[..i].iter().any(|earlier| earlier.key == line.key) {
                return Err(refuse(format!(
                    "has the key {} twice for registry {registry}",
                    line.key.fingerprint()
                )));
            }
        }
    }
    Ok(stored.registry)
}

/// Turns an error about the file into one about the user's own file.
fn users_own(path: &Path, error: Error) -> Error {
    match error {
        Error::Invalid { why, .. } => refuse(path, why),
        other => other,
    }
}

fn refuse(path: &Path, why: String) -> Error {
    let cure = "this file is your own, not a registry's: correct the line, or move the file away and trust \
                again with `isn trust add`";
    Error::TrustFile { path: path.into(), why, cure: cure.into() }
}

fn write(path: &Path, registries: &BTreeMap<RegistryId, Trusted>, lock: &files::Lock) -> Result<()> {
    let text = toml::to_string_pretty(&Stored { format: Format::V1, registry: registries.clone() })
        .map_err(|e| Error::Internal(format!("the trust store cannot be written as TOML: {e}")))?;
    files::overwrite_private(path, format!("{HEADER}{text}").as_bytes(), lock)
}

#[cfg(test)]
mod tests {
    use std::fs;

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

    fn publisher(text: &str) -> AnyKey {
        AnyKey::Publisher(line(text))
    }

    #[test]
    fn a_registry_is_one_log_and_mirrors_share_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.toml");
        let (one, other) = (id("https://example.org/one"), id("https://mirror.example/one"));
        let log = LogKey::new("example.org/one", line(ALICE).key).unwrap();
        let witness = WitnessKey::new("witness.example", line(BOB).key).unwrap();
        let mut store = TrustStore::open(&path).unwrap();
        for argument in [log.to_string(), witness.to_string(), ALICE.to_string()] {
            let key = any_key_argument(&argument).unwrap();
            assert!(store.add(&one, &key).unwrap());
            assert!(!store.add(&one, &key).unwrap(), "twice is once");
            fs::write(dir.path().join("file"), format!("{argument}\n")).unwrap();
            assert_eq!(any_key_argument(dir.path().join("file").to_str().unwrap()).unwrap(), key);
        }
        assert!(store.need_witnesses(&one, 2).is_err());
        store.need_witnesses(&one, 1).unwrap();
        let read = TrustStore::open(&path).unwrap();
        assert!(read.get(&other).is_none());
        let another = AnyKey::Log(LogKey::new("example.org/one", line(BOB).key).unwrap());
        let error = store.add(&one, &another).unwrap_err().to_string();
        assert!(error.contains("a registry is one log"), "{error}");
        for key in [AnyKey::Log(log), AnyKey::Witness(witness), publisher(ALICE)] {
            store.remove(&one, &key).unwrap();
            assert!(store.remove(&one, &key).is_err());
        }
        assert!(TrustStore::open(&path).unwrap().get(&one).is_none());
    }

    #[test]
    fn what_is_added_is_there_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config/trust.toml");
        let (one, two) = (id("https://example.org/one"), id("/no/such/two"));
        let mut store = TrustStore::open(&path).unwrap();
        assert!(store.get(&one).is_none());
        assert!(store.add(&one, &publisher(ALICE)).unwrap());
        assert!(store.add(&one, &publisher(BOB)).unwrap());
        assert!(!store.add(&one, &publisher(&format!("{BOB} another comment"))).unwrap(), "twice is once");
        assert!(store.add(&two, &publisher(BOB)).unwrap());
        let read = TrustStore::open(&path).unwrap();
        for store in [&store, &read] {
            assert_eq!(store.get(&one).unwrap().keys, [line(ALICE), line(BOB)]);
            assert_eq!(store.get(&two).unwrap().public_keys(), [line(BOB).key]);
            assert!(store.get(&id("https://example.org")).is_none(), "trust is a registry's alone");
            assert_eq!(
                store.list().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
                [two.as_str(), one.as_str()]
            );
        }
        let fingerprint = line(BOB).key.fingerprint();
        assert_eq!(read.key_by_fingerprint(&one, &fingerprint), Some(line(BOB)));
        assert_eq!(read.key_by_fingerprint(&one, "SHA256:"), None);

        store.remove(&two, &publisher(BOB)).unwrap();
        let error = store.remove(&two, &publisher(BOB)).unwrap_err();
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
        first.add(&one, &publisher(ALICE)).unwrap();
        second.add(&one, &publisher(BOB)).unwrap();
        assert_eq!(TrustStore::open(&path).unwrap().get(&one).unwrap().keys, [line(ALICE), line(BOB)]);
        first.remove(&one, &publisher(ALICE)).unwrap();
        assert_eq!(TrustStore::open(&path).unwrap().get(&one).unwrap().keys, [line(BOB)]);
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
