//! The kinds of statements, and their lines. Every statement is printable ASCII, begins with `isn/v1 <kind>`
//! and has exactly the lines of its kind, in this order, each ended by a line feed:
//!
//! | kind | lines |
//! |---|---|
//! | `owner` | `name`, `previous` (`none`, or `b3:` and the hash of the owner statement it follows), `threshold`, one or more `key`, any number of `recovery` |
//! | `release` | `name`, `version`, `dataset`, `manifest` |
//! | `revoke` | `name`, `key`, `reason` |
//! | `yank`, `withdraw` | `name`, `version`, `reason` |
//! | `logkey` | `origin`, `old`, `new` |
//! | `rebuilt` | `name`, `version`, `dataset`, `inputs`, `sources`, `possession` |
//!
//! The text that is read must equal the text that would be written, byte for byte.

use std::fmt;
use std::fmt::Write as _;

use crate::dataset_ref::{Name, Version, VersionId};
use crate::digest::Digest;
use crate::error::{Error, Result, about};
use crate::key::PublicKey;

/// The beginning of the first line.
const FORMAT: &str = "isn/v1";
/// The maximum number of keys in an owner statement, including recovery keys.
const MAX_KEYS: usize = 32;
/// The maximum length of a reason or origin, in bytes.
const MAX_TEXT: usize = 300;

/// What somebody states by signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Who owns a name from now on.
    Owner(Owner),
    /// This name and version are this dataset hash, described by this manifest.
    Release(ReleaseStatement),
    /// A key no longer counts for a name.
    Revoke(Revocation),
    /// A version should no longer be used.
    Yank(Advice),
    /// A version's objects may be removed.
    Withdraw(Advice),
    /// Another key signs a log's checkpoints from now on.
    LogKey(LogKeyChange),
    /// The signer has built a version, and has its images.
    Rebuilt(Rebuilt),
}

/// The contents of an `owner` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The dataset's name.
    pub name: Name,
    /// The BLAKE3 of the signed bytes of the owner statement that this one follows; `None` claims the name.
    pub previous: Option<Digest>,
    /// The number of keys that must sign, at least 1 and at most all.
    pub threshold: usize,
    /// The owners' keys, sorted by their text.
    pub keys: Vec<PublicKey>,
    /// Keys that may sign only owner statements and revocations, sorted; none of them is in `keys`.
    pub recovery: Vec<PublicKey>,
}

/// The contents of a `release` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseStatement {
    /// The version that is released.
    pub id: VersionId,
    /// The dataset hash.
    pub dataset: Digest,
    /// The BLAKE3 of the manifest's bytes.
    pub manifest: Digest,
    /// The manifest's length in bytes, at least 1.
    pub manifest_len: u64,
}

/// The contents of a `revoke` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The dataset's name.
    pub name: Name,
    /// The key.
    pub key: PublicKey,
    /// The reason, in one line.
    pub reason: String,
}

/// The contents of a `yank` or `withdraw` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The version.
    pub id: VersionId,
    /// The reason, in one line.
    pub reason: String,
}

/// The contents of a `logkey` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKeyChange {
    /// The log's origin.
    pub origin: String,
    /// The key that signed the log's checkpoints so far.
    pub old: PublicKey,
    /// The key that signs them from now on.
    pub new: PublicKey,
}

/// The contents of a `rebuilt` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The version that was built.
    pub id: VersionId,
    /// The dataset hash that came out.
    pub dataset: Digest,
    /// The recipe and all that it names ([`crate::possession::inputs`]).
    pub inputs: Digest,
    /// The source files ([`crate::possession::sources`]).
    pub sources: Digest,
    /// The proof that the signer has the images ([`crate::possession::Possession`]).
    pub possession: Digest,
}

impl Statement {
    /// Reads a statement, in exactly the form that `Display` writes; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it has any other form.
    pub fn parse(what: &str, text: &str) -> Result<Self> {
        Statement::read(text).map_err(|why| Error::integrity(what, why))
    }

    /// Returns the word in its first line.
    pub fn kind(&self) -> &'static str {
        match self {
            Statement::Owner(_) => "owner",
            Statement::Release(_) => "release",
            Statement::Revoke(_) => "revoke",
            Statement::Yank(_) => "yank",
            Statement::Withdraw(_) => "withdraw",
            Statement::LogKey(_) => "logkey",
            Statement::Rebuilt(_) => "rebuilt",
        }
    }

    /// Returns the dataset that it is about; `None` for a log's own statements.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Statement::Owner(owner) => Some(&owner.name),
            Statement::Revoke(revocation) => Some(&revocation.name),
            Statement::LogKey(_) => None,
            _ => self.id().map(|id| &id.name),
        }
    }

    /// Returns the version that it is about, if any.
    pub fn version(&self) -> Option<Version> {
        self.id().map(|id| id.version)
    }

    fn id(&self) -> Option<&VersionId> {
        match self {
            Statement::Release(release) => Some(&release.id),
            Statement::Yank(advice) | Statement::Withdraw(advice) => Some(&advice.id),
            Statement::Rebuilt(rebuilt) => Some(&rebuilt.id),
            Statement::Owner(_) | Statement::Revoke(_) | Statement::LogKey(_) => None,
        }
    }

    /// Returns its name in messages: `the release of birds@1.0`.
    pub fn title(&self) -> String {
        match self {
            Statement::Owner(owner) => format!("the owner statement of {}", owner.name),
            Statement::Release(release) => format!("the release of {}", release.id),
            Statement::Revoke(revocation) => format!("the revocation of a key of {}", revocation.name),
            Statement::Yank(advice) => format!("the yank of {}", advice.id),
            Statement::Withdraw(advice) => format!("the withdrawal of {}", advice.id),
            Statement::LogKey(change) => format!("the change of key of log {}", change.origin),
            Statement::Rebuilt(rebuilt) => format!("the statement of a rebuild of {}", rebuilt.id),
        }
    }

    pub(super) fn read(text: &str) -> Result<Self, String> {
        // Checked first, so that no message below can contain terminal control codes.
        if text.bytes().any(|b| b != b'\n' && !(b' '..=b'~').contains(&b)) {
            return Err("has a character that is neither printable ASCII nor a line feed".into());
        }
        let body = text.strip_suffix('\n').ok_or("does not end with a line feed")?;
        let lines: Vec<&str> = body.split('\n').collect();
        let mut lines = Lines { lines: &lines, at: 0 };
        let statement = match lines.kind()? {
            "owner" => Statement::Owner(lines.owner()?),
            "release" => Statement::Release(lines.release()?),
            "revoke" => Statement::Revoke(Revocation {
                name: lines.parsed("name")?,
                key: lines.key("key")?,
                reason: lines.text("reason")?,
            }),
            "yank" => Statement::Yank(lines.advice()?),
            "withdraw" => Statement::Withdraw(lines.advice()?),
            "logkey" => Statement::LogKey(lines.log_key()?),
            "rebuilt" => Statement::Rebuilt(Rebuilt {
                id: lines.id()?,
                dataset: lines.hash("dataset")?,
                inputs: lines.hash("inputs")?,
                sources: lines.hash("sources")?,
                possession: lines.hash("possession")?,
            }),
            _ => return Err(format!("line 1 names no kind of statement: '{}'", lines.lines[0])),
        };
        lines.end(statement.kind())?;
        if statement.to_string() != text {
            return Err("is not spelled as it must be".into());
        }
        Ok(statement)
    }
}

/// The lines of a statement, read one after another.
struct Lines<'a> {
    lines: &'a [&'a str],
    at: usize,
}

impl<'a> Lines<'a> {
    fn kind(&mut self) -> Result<&'a str, String> {
        self.at = 1;
        let kind = self.lines[0].strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix(' '));
        kind.ok_or_else(|| format!("line 1 must be '{FORMAT} ' and a kind of statement"))
    }

    /// Returns the rest of the next line, which must begin with `key` and a space.
    fn field(&mut self, key: &str) -> Result<&'a str, String> {
        self.at += 1;
        let line = self.lines.get(self.at - 1).copied().unwrap_or_default();
        line.strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| format!("line {} must begin with '{key} '", self.at))
    }

    fn refuse(&self, why: impl fmt::Display) -> String {
        about(format_args!("line {}", self.at), why)
    }

    fn parsed<T: std::str::FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Result<T, String> {
        let value = self.field(key)?;
        value.parse().map_err(|why| self.refuse(why))
    }

    fn digest(&mut self, value: &str) -> Result<Digest, String> {
        Digest::from_prefixed(value).map_err(|why| self.refuse(why))
    }

    /// Returns the hash in the next line.
    fn hash(&mut self, key: &str) -> Result<Digest, String> {
        let value = self.field(key)?;
        self.digest(value)
    }

    fn key(&mut self, key: &str) -> Result<PublicKey, String> {
        let line = self.field(key)?;
        // Only one spelling is allowed: the comment in a key file is not part of a key.
        let read: PublicKey = line.parse().map_err(|why: Error| self.refuse(why))?;
        if read.to_string() == line { Ok(read) } else { Err(self.refuse("has more than the key")) }
    }

    /// Returns the keys of all following lines that begin with `key`.
    fn keys(&mut self, key: &str) -> Result<Vec<PublicKey>, String> {
        let mut keys: Vec<PublicKey> = Vec::new();
        let is_next = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(' '));
        while self.lines.get(self.at).is_some_and(is_next) {
            let next = self.key(key)?;
            if keys.last().is_some_and(|last| last.to_string() >= next.to_string()) {
                return Err(self.refuse("keys must be sorted, each once"));
            }
            keys.push(next);
        }
        Ok(keys)
    }

    /// Returns the next line's text, which must not be blank.
    fn text(&mut self, key: &str) -> Result<String, String> {
        let text = self.field(key)?;
        check_reason(text).map_err(|why| self.refuse(why))?;
        Ok(text.into())
    }

    fn id(&mut self) -> Result<VersionId, String> {
        Ok(VersionId { name: self.parsed("name")?, version: self.parsed("version")? })
    }

    fn release(&mut self) -> Result<ReleaseStatement, String> {
        let id = self.id()?;
        let dataset = self.hash("dataset")?;
        let manifest = self.field("manifest")?;
        let (manifest, length) =
            manifest.split_once(' ').ok_or("line 5 must be 'manifest b3:<64 hex> <length>'")?;
        let manifest = self.digest(manifest)?;
        let manifest_len = length
            .parse()
            .ok()
            .filter(|n: &u64| *n > 0 && n.to_string() == length)
            .ok_or_else(|| self.refuse(format!("'{length}' is not a length in bytes")))?;
        Ok(ReleaseStatement { id, dataset, manifest, manifest_len })
    }

    fn owner(&mut self) -> Result<Owner, String> {
        let name = self.parsed("name")?;
        let previous = match self.field("previous")? {
            "none" => None,
            hash => Some(self.digest(hash)?),
        };
        let threshold: usize = self.parsed("threshold")?;
        let line = self.at;
        let keys = self.keys("key")?;
        if keys.is_empty() {
            return Err(format!("line {} must begin with 'key '", self.at + 1));
        }
        if !(1..=keys.len()).contains(&threshold) {
            return Err(format!(
                "line {line}: a threshold of {threshold} cannot be met by {} of its keys",
                keys.len()
            ));
        }
        let recovery = self.keys("recovery")?;
        if recovery.iter().any(|key| keys.contains(key)) {
            return Err("names one key both as key and as recovery".into());
        }
        if keys.len() + recovery.len() > MAX_KEYS {
            return Err(format!("names more than {MAX_KEYS} keys"));
        }
        Ok(Owner { name, previous, threshold, keys, recovery })
    }

    fn advice(&mut self) -> Result<Advice, String> {
        Ok(Advice { id: self.id()?, reason: self.text("reason")? })
    }

    fn log_key(&mut self) -> Result<LogKeyChange, String> {
        let (origin, old, new) = (self.text("origin")?, self.key("old")?, self.key("new")?);
        if old == new {
            return Err(self.refuse("is the old key"));
        }
        Ok(LogKeyChange { origin, old, new })
    }

    /// Checks that no line follows.
    fn end(&self, kind: &str) -> Result<(), String> {
        match self.lines.get(self.at) {
            None => Ok(()),
            Some(_) => Err(format!("line {} does not belong to a statement of kind '{kind}'", self.at + 1)),
        }
    }
}

/// Checks a reason: one line of printable ASCII that is not blank, without a space at either end.
///
/// # Errors
/// What is wrong with it, as a predicate.
pub fn check_reason(text: &str) -> Result<(), String> {
    if text.is_empty() || text.trim() != text {
        return Err("is blank, or has a space at an end".into());
    }
    if text.len() > MAX_TEXT {
        return Err(format!("is longer than {MAX_TEXT} bytes"));
    }
    if text.bytes().any(|b| !(b' '..=b'~').contains(&b)) {
        return Err("has a character that is not printable ASCII".into());
    }
    Ok(())
}

/// Returns the dataset and version that bytes seem to be about, even if they are a broken statement, so that
/// a reader who asks for that version can be told of it.
pub(crate) fn guess_subject(bytes: &[u8]) -> (Option<Name>, Option<Version>) {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]);
    let field =
        |word: &str| head.lines().take(6).find_map(|line| line.strip_prefix(word).map(str::to_string));
    let name = field("name ").and_then(|name| name.trim_end().parse().ok());
    (name, field("version ").and_then(|version| version.trim_end().parse().ok()))
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT} {}", self.kind())?;
        match self {
            Statement::Owner(Owner { name, previous, threshold, keys, recovery }) => {
                let previous = previous.map_or("none".into(), |digest| digest.prefixed());
                writeln!(f, "name {name}\nprevious {previous}\nthreshold {threshold}")?;
                let lines = |word: &str, keys: &[PublicKey]| {
                    keys.iter().fold(String::new(), |mut text, key| {
                        let _ = writeln!(text, "{word} {key}");
                        text
                    })
                };
                write!(f, "{}{}", lines("key", keys), lines("recovery", recovery))
            }
            Statement::Release(release) => {
                let ReleaseStatement { id, dataset, manifest, manifest_len } = release;
                writeln!(f, "name {}\nversion {}\ndataset b3:{dataset}", id.name, id.version)?;
                writeln!(f, "manifest b3:{manifest} {manifest_len}")
            }
            Statement::Revoke(Revocation { name, key, reason }) => {
                writeln!(f, "name {name}\nkey {key}\nreason {reason}")
            }
            Statement::Yank(Advice { id, reason }) | Statement::Withdraw(Advice { id, reason }) => {
                writeln!(f, "name {}\nversion {}\nreason {reason}", id.name, id.version)
            }
            Statement::LogKey(LogKeyChange { origin, old, new }) => {
                writeln!(f, "origin {origin}\nold {old}\nnew {new}")
            }
            Statement::Rebuilt(Rebuilt { id, dataset, inputs, sources, possession }) => {
                writeln!(f, "name {}\nversion {}\ndataset b3:{dataset}", id.name, id.version)?;
                writeln!(f, "inputs b3:{inputs}\nsources b3:{sources}\npossession b3:{possession}")
            }
        }
    }
}

impl Owner {
    /// Creates an owner statement, and sorts its keys.
    pub fn new(
        name: Name,
        previous: Option<Digest>,
        threshold: usize,
        mut keys: Vec<PublicKey>,
        mut recovery: Vec<PublicKey>,
    ) -> Self {
        for list in [&mut keys, &mut recovery] {
            list.sort_by_key(ToString::to_string);
            list.dedup();
        }
        Owner { name, previous, threshold, keys, recovery }
    }
}
