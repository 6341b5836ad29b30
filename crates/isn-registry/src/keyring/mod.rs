//! [`Keyring`]: the user's folder of named keys; and how the argument of `--key` becomes a [`Signer`].
//!
//! | file | contents |
//! |---|---|
//! | `file.rs` | reading and writing public and private key files |
//! | `agent.rs` | [`Agent`]: a running ssh-agent; and the [`AgentKey`] that signs through it |

mod agent;
mod file;

pub use agent::{Agent, AgentKey};
pub(crate) use file::{read_kept, read_public, write_private};
pub use file::{read_private, read_text};

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use isn_format::error::{Error, KeyFault, Missing, Result, There};
use isn_format::key::{PrivateKey, PublicKey, Signer};
use isn_format::rel_path::check_segment;

/// The name of a key: lower-case ASCII letters, digits and inner `-`, `_` and `.`, 1 to 64 bytes, not a
/// Windows device name and not ending in `.pub`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| Error::invalid(format!("key name '{}'", text.escape_debug()), why);
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let formed = bytes.len() <= 64
            && bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'));
        if !formed {
            return Err(refuse("expected 1 to 64 of a-z, 0-9 and inner - _ ."));
        }
        if text.ends_with(".pub") {
            return Err(refuse("ends in .pub, as the files of public keys do"));
        }
        check_segment(text).map_err(refuse)?;
        Ok(KeyName(text.into()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({})", self.0)
    }
}

/// A key of the keyring, as `isn key list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// Its name.
    pub name: KeyName,
    /// Its public half.
    pub public_key: PublicKey,
    /// Whether a passphrase protects the private half.
    pub encrypted: bool,
}

/// The means to unlock a private key.
#[derive(Clone, Copy)]
pub struct Unlock<'a> {
    /// The socket of the user's ssh-agent, if one is running.
    pub agent: Option<&'a Path>,
    /// Asks for the passphrase of the key file with the given name; returns `None` if nobody can be asked.
    pub passphrase: &'a dyn Fn(&str) -> Result<Option<String>>,
}

/// A folder of OpenSSH keys: `NAME` is a private key file, `NAME.pub` its public half, to be given away.
#[derive(Clone, Debug)]
pub struct Keyring {
    folder: PathBuf,
}

impl Keyring {
    /// The keyring in `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Keyring { folder: folder.into() }
    }

    /// Creates a key, and writes `NAME` (readable only by its owner) and `NAME.pub`. Never overwrites either.
    /// Without a passphrase the key is unprotected.
    ///
    /// # Errors
    /// [`Error::Key`] if the passphrase is empty; [`Error::Exists`] if the name is taken; [`Error::Io`] if a
    /// file cannot be written.
    pub fn new_key(&self, name: &KeyName, passphrase: Option<&str>) -> Result<PublicKey> {
        if passphrase == Some("") {
            return Err(Error::Key {
                key: name.to_string(),
                why: "the passphrase is empty".into(),
                fault: KeyFault::NoPassphrase,
            });
        }
        create_private_dir(&self.folder)?;
        let (private, public) = (self.private_path(name), self.public_path(name));
        let taken = |path: &Path| {
            Error::exists(
                There::KeyFile,
                format!("key {name}"),
                format!(": {} is never overwritten; choose another name", path.display()),
            )
        };
        let key = PrivateKey::generate(name.as_str())?;
        // Checked first, so that a stray public key does not cost a private one; the exclusive create is what
        // decides.
        if fs::symlink_metadata(&public).is_ok() {
            return Err(taken(if private.exists() { &private } else { &public }));
        }
        if !file::write_private(&private, &key, passphrase)? {
            return Err(taken(&private));
        }
        // If another process has just created the public file, the private one is enough: it contains the
        // public half.
        file::write_public(&public, &key)?;
        Ok(*key.public_key())
    }

    /// Lists the keys in the folder, by name. Ignores files whose names no key can have.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be listed; also fails if a private key file cannot be read, and
    /// names it.
    pub fn list(&self) -> Result<Vec<NamedKey>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("list", &self.folder)(e)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &self.folder))?;
            let name = entry.file_name().to_str().and_then(|name| name.parse::<KeyName>().ok());
            if let Some(name) = name
                && !entry.path().is_dir()
            {
                let file = file::read_kept(&entry.path())?;
                keys.push(NamedKey { name, public_key: *file.public_key(), encrypted: file.is_encrypted() });
            }
        }
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(keys)
    }

    /// Returns the public half of a key. Reads it from the private key file, where it is not encrypted, since
    /// the `.pub` file is a copy that may be stale.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such key; also as [`read_private`].
    pub fn public(&self, name: &KeyName) -> Result<PublicKey> {
        let path = self.private_path(name);
        match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(self.no_such_key(name.as_str())),
            _ => Ok(*file::read_kept(&path)?.public_key()),
        }
    }

    /// Finds the key that `--key` names, and makes it ready to sign: a NAME in this keyring, else the path of
    /// a private key file, or of a `.pub` file whose private half the agent holds. An encrypted private key
    /// is used through the agent if the agent holds it; otherwise the passphrase is asked for.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such key; [`Error::Key`] if it cannot be unlocked, or the agent
    /// does not hold it; also as [`read_private`].
    pub fn signer(&self, key: &str, unlock: Unlock<'_>) -> Result<Box<dyn Signer>> {
        let path = self.locate(key)?;
        if path.extension().is_some_and(|extension| extension == "pub") {
            return agent_signer(&path, unlock.agent);
        }
        let is_kept = path.starts_with(&self.folder);
        let file = if is_kept { file::read_kept(&path)? } else { read_private(&path)? };
        if file.is_encrypted()
            && let Some(socket) = unlock.agent
            // If the agent cannot be reached, the passphrase still works.
            && let Ok(Some(signer)) = Agent::new(socket).key(file.public_key())
        {
            return Ok(Box::new(signer));
        }
        Ok(Box::new(file.unlock(|| (unlock.passphrase)(&path.display().to_string()))?))
    }

    fn locate(&self, key: &str) -> Result<PathBuf> {
        let named = key.parse::<KeyName>().ok().map(|name| self.private_path(&name));
        named
            .into_iter()
            .chain([PathBuf::from(key)])
            // Not `is_file`, since a shell may pass a key through a pipe.
            .find(|path| !crate::files::is_absent(path) && !path.is_dir())
            .ok_or_else(|| self.no_such_key(key))
    }

    fn no_such_key(&self, key: &str) -> Error {
        Error::not_found(Missing::Key, format!("key {}", key.escape_debug()), self.folder.display())
    }

    fn private_path(&self, name: &KeyName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    fn public_path(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}.pub"))
    }
}

fn agent_signer(path: &Path, agent: Option<&Path>) -> Result<Box<dyn Signer>> {
    let key = read_public(path)?.key;
    let refuse = |why: &str, fault| Error::Key { key: path.display().to_string(), why: why.into(), fault };
    let socket = agent.ok_or_else(|| {
        let why = "is a public key, and no ssh agent is running to sign with it: name the private key file";
        refuse(why, KeyFault::NoAgent)
    })?;
    match Agent::new(socket).key(&key)? {
        Some(signer) => Ok(Box::new(signer)),
        None => Err(refuse(
            "is a public key whose private half the ssh agent does not hold: `ssh-add` it, or name the \
             private key file",
            KeyFault::Agent,
        )),
    }
}

/// Creates a folder that only its owner may enter; leaves an existing one as it is.
fn create_private_dir(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(Error::io("create folder", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Unlock<'static> = Unlock { agent: None, passphrase: &|_| Ok(None) };

    fn name(text: &str) -> KeyName {
        text.parse().unwrap()
    }

    #[test]
    fn names_play_no_tricks() {
        for good in ["a", "alice", "alice_2026.work-key", "0"] {
            assert!(good.parse::<KeyName>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in [
            "", ".", "..", ".a", "a.", "-a", "a-", "a/b", "../a", "a\\b", "A", "é", "a b", "con", "x.pub",
            &long,
        ] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_new_key_is_listed_shown_and_signs() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(dir.path().join("keys"));
        assert!(keyring.list().unwrap().is_empty());
        fs::create_dir_all(dir.path().join("keys/folder")).unwrap();
        fs::write(dir.path().join("keys/.hidden"), "").unwrap();
        let alice = keyring.new_key(&name("alice"), None).unwrap();
        let bob = keyring.new_key(&name("bob"), Some("pass phrase")).unwrap();
        assert_ne!(alice, bob);
        assert_eq!(
            keyring.list().unwrap(),
            [
                NamedKey { name: name("alice"), public_key: alice, encrypted: false },
                NamedKey { name: name("bob"), public_key: bob, encrypted: true },
            ]
        );
        assert_eq!(keyring.public(&name("bob")).unwrap(), bob);
        let line = fs::read_to_string(dir.path().join("keys/alice.pub")).unwrap();
        assert_eq!(line, format!("{alice} alice\n"));

        let path = dir.path().join("keys/alice");
        for key in ["alice", path.to_str().unwrap()] {
            let signer = keyring.signer(key, NOBODY).unwrap();
            let signature = signer.sign_sshsig("test", b"message").unwrap();
            assert_eq!(signature.signer(), &alice);
            assert!(signature.is_valid(b"message") && !signature.is_valid(b"messag"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_private_key_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/keys");
        Keyring::new(&folder).new_key(&name("alice"), None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.join("alice")), 0o600);
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing temporary is left");
    }

    #[test]
    fn nothing_is_ever_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(dir.path());
        for (there, other) in [("a", "a.pub"), ("b.pub", "b")] {
            fs::write(dir.path().join(there), "mine").unwrap();
            let error = keyring.new_key(&name(&there[..1]), None).unwrap_err();
            assert!(matches!(&error, Error::Exists { .. }), "{error}");
            assert!(error.to_string().contains(there), "{error}");
            assert_eq!(fs::read_to_string(dir.path().join(there)).unwrap(), "mine");
            assert!(!dir.path().join(other).exists());
        }
    }

    #[test]
    fn a_passphrase_is_asked_for_only_when_needed() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(dir.path());
        keyring.new_key(&name("open"), None).unwrap();
        keyring.new_key(&name("locked"), Some("right")).unwrap();
        let never = |_: &str| -> Result<Option<String>> { panic!("asked for a passphrase") };
        assert!(keyring.signer("open", Unlock { agent: None, passphrase: &never }).is_ok());
        let with = |answer: Option<&'static str>| {
            let passphrase = move |key: &str| {
                assert!(key.ends_with("locked"));
                Ok(answer.map(String::from))
            };
            keyring.signer("locked", Unlock { agent: None, passphrase: &passphrase }).map(|_| ())
        };
        assert!(with(Some("right")).is_ok());
        assert!(with(Some("")).unwrap_err().to_string().ends_with("the passphrase is wrong"));
        let error = keyring.new_key(&name("empty"), Some("")).unwrap_err();
        assert_eq!(error.to_string(), "key empty: the passphrase is empty");
        assert!(!dir.path().join("empty").exists());
        assert!(with(Some("wrong")).unwrap_err().to_string().ends_with("the passphrase is wrong"));
        assert!(with(None).unwrap_err().to_string().contains("no terminal to ask"));
        let absent = dir.path().join("no-such-socket");
        let passphrase = |_: &str| Ok(Some("right".to_string()));
        assert!(keyring.signer("locked", Unlock { agent: Some(&absent), passphrase: &passphrase }).is_ok());
    }

    #[test]
    fn what_is_no_key_is_named_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(dir.path());
        keyring.new_key(&name("alice"), None).unwrap();
        let private = fs::read_to_string(dir.path().join("alice")).unwrap();
        let public = fs::read_to_string(dir.path().join("alice.pub")).unwrap();
        for (text, reason) in [
            (String::new(), "is not an OpenSSH private key"),
            (public, "is a public key"),
            ("-----BEGIN RSA PRIVATE KEY-----\n".into(), "not in OpenSSH's format"),
            (private[..private.len() / 2].into(), "is not a whole OpenSSH private key"),
            (private.repeat(200), "too long"),
        ] {
            let path = dir.path().join("broken");
            fs::write(&path, &text).unwrap();
            for error in [
                keyring.signer(path.to_str().unwrap(), NOBODY).map(|_| ()).unwrap_err(),
                keyring.list().unwrap_err(),
            ] {
                let message = error.to_string();
                assert!(message.contains("broken") && message.contains(reason), "{message}");
            }
        }
        let error = keyring.signer("nobody", NOBODY).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let public = dir.path().join("alice.pub");
        let error = keyring.signer(public.to_str().unwrap(), NOBODY).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("no ssh agent is running"), "{error}");
    }
}

#[cfg(test)]
#[cfg(unix)]
mod oracle;
