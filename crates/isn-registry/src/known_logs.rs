//! [`KnownLogs`]: what a user's machine remembers of registries' logs. Each log has a folder with the last
//! checkpoint that was seen, which reveals a rollback or a fork; the replay so far, which saves work;
//! evidence, if two checkpoints contradict each other; and the private key, if the log is the user's own.
//!
//! | file | contents | if it is lost |
//! |---|---|---|
//! | `vkey` | the log's key, for people | nothing |
//! | `checkpoint` | the newest checkpoint seen, the whole note | an earlier rollback or fork goes unnoticed |
//! | `replay` | leaves and replayed state | it is computed again |
//! | `replayed` | the checkpoint that it leads to, if a newer one was seen by the index of names | as `replay` |
//! | `names/<name>` | what the log says about a name, with a checkpoint, if it was read by that index | it is read again |
//! | `keys` | what it said there about its own keys | they are read again |
//! | `notes/<id>` | notes of such indexes, until a whole replay shows that they are right | a wrong one goes unnoticed |
//! | `evidence/<id>/` | `before.note` and `now.note` of a fork; `names.note`, an index that the entries contradict, and `checkpoint.note` | |
//! | `key` | the log's private key | nobody can append to the log any more |
//!
//! Beside those folders, the file `places` says which log each registry showed. With it, isn can tell a
//! registry that does not answer from one that lacks a name, holds a location that the user has not named in
//! the trust store to its log, and writes nothing to a location that shows another log. If it is lost, each
//! location is unknown until it is read again.

mod extracts;

use std::fmt;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub(crate) use extracts::RememberedName;

use crate::files;
use crate::keyring;
use isn_format::dataset_ref::Name;
use isn_format::digest::Digest;
use isn_format::error::{Error, KeyFault, Result};
use isn_format::key::{KeyFile, PrivateKey};
use isn_format::log::names::SignedNames;
use isn_format::log::{Hash, History, LogKey, LogSigner, MAX_CHECKPOINT, Replica, SignedCheckpoint, Tree};
use isn_format::statement;

/// The file that says where logs were seen: one line each, with a vkey, a space and a registry.
const PLACES: &str = "places";
/// The lock for changing it.
const PLACES_LOCK: &str = "places.lock";
/// The maximum length of that file, in bytes.
const MAX_PLACES: u64 = 4 << 20;
/// The length of what a replay begins with: the BLAKE3 of the rest, and an LF.
const SUM_LEN: usize = 65;
/// How much of a replay is read or written at once, in bytes.
const BLOCK: usize = 64 << 10;
/// The maximum length of any replay, in bytes.
const MAX_REPLAY: u64 = 4 << 30;
/// The maximum length of what a replay has of one entry, in bytes: a statement has at most half of it, and
/// JSON at most doubles that.
const MAX_REPLAYED: u64 = 2 * statement::MAX_LEN as u64;

/// The folder with a folder for each log.
#[derive(Clone, Debug)]
pub struct KnownLogs {
    folder: PathBuf,
}

/// One log's folder.
#[derive(Clone, Debug)]
pub struct KnownLog {
    anchor: LogKey,
    folder: PathBuf,
}

/// What is remembered of a log.
pub struct Remembered {
    /// The replay so far; an empty one if none is stored.
    pub replica: Replica,
    /// The checkpoint that it leads to; `None` if there is no replay.
    pub replayed: Option<Seen>,
    /// The newest checkpoint that was seen.
    pub seen: Option<Seen>,
}

impl Remembered {
    /// Returns the replay with the checkpoint that it leads to; `None` if the log was never seen as a whole,
    /// or its replay was lost.
    pub fn whole(self) -> Option<(Replica, Seen)> {
        let replica = self.replica;
        self.replayed.map(|replayed| (replica, replayed))
    }
}

/// A checkpoint that was verified when it was stored.
#[derive(Clone, PartialEq)]
pub struct Seen {
    /// The number of entries.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
    /// The whole note.
    pub note: Vec<u8>,
}

impl KnownLogs {
    /// The logs in `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        KnownLogs { folder: folder.into() }
    }

    /// The log that the user knows by the key `anchor`.
    pub fn log(&self, anchor: &LogKey) -> KnownLog {
        let id = Digest::of(anchor.to_string().as_bytes()).to_string();
        KnownLog { anchor: anchor.clone(), folder: self.folder.join(&id[..16]) }
    }

    /// Returns why `replica` is not the whole attestation log of the registry whose log is `of`, as it was
    /// seen here under any key of that log; `None` if it has all that was seen.
    ///
    /// # Errors
    /// As [`KnownLog::load`].
    pub(crate) fn lost_attestations(&self, of: &History, replica: &Replica) -> Result<Option<String>> {
        for key in of.keys() {
            let Some(seen) = self.log(&key.attestations()?).seen()? else { continue };
            if seen.size > replica.size() {
                return Ok(Some(format!(
                    "shows {} entries, and {} were signed or seen here: it was put back to an earlier state, \
                     or its storage lost them. Restore its newest copy",
                    replica.size(),
                    seen.size
                )));
            }
            if replica.tree().root_at(seen.size)? != seen.root {
                return Ok(Some(format!("has other entries than the {} that were seen here", seen.size)));
            }
        }
        Ok(None)
    }

    /// Creates a log key of the user's own, and its folder. Without `origin` the log is named after its key.
    ///
    /// # Errors
    /// Fails if `origin` is not a log's name, or if the key cannot be written.
    pub fn new_signer(&self, origin: Option<&str>) -> Result<LogSigner> {
        let private = PrivateKey::generate("")?;
        self.keep_signer(new_log(origin, private)?)
    }

    /// Creates the next key of a log that is the user's own.
    ///
    /// # Errors
    /// Fails if the key cannot be written.
    pub(crate) fn next_signer(&self, log: &LogKey) -> Result<LogSigner> {
        self.keep_signer(LogSigner::new(log.origin(), PrivateKey::generate("")?)?)
    }

    /// Imports the private key of `log` from an OpenSSH key file.
    ///
    /// # Errors
    /// [`Error::Key`] if the file is not the private key of `log`; also fails if a file cannot be read or
    /// written.
    pub fn import_signer(&self, log: &LogKey, file: &Path) -> Result<LogSigner> {
        let signer = signer_of(log, keyring::read_private(file)?, file)?;
        self.keep_signer(signer)
    }

    /// Makes the private key in an OpenSSH key file the key of a new log.
    ///
    /// # Errors
    /// Fails if the key cannot be read, unlocked or written, or if `origin` is not a log's name.
    pub(crate) fn adopt_signer(&self, origin: Option<&str>, file: &Path) -> Result<LogSigner> {
        let private = keyring::read_private(file)?.unlock(|| Ok(None))?;
        self.keep_signer(new_log(origin, private)?)
    }

    fn keep_signer(&self, signer: LogSigner) -> Result<LogSigner> {
        let known = self.log(signer.log_key());
        let _lock = known.lock()?;
        known.describe()?;
        // If the key is there, it is the same one: the folder is named after its public half.
        keyring::write_private(&known.key_path(), signer.private_key(), None)?;
        Ok(signer)
    }

    /// Returns the log that `registry` showed when it was last read.
    pub(crate) fn log_at(&self, registry: &str) -> Option<LogKey> {
        let found = self.places().into_iter().find(|(_, place)| place == registry)?;
        Some(found.0)
    }

    /// Remembers that `registry` shows the log with the key `anchor`.
    ///
    /// # Errors
    /// [`Error::Io`] if that cannot be written.
    pub(crate) fn note_place(&self, registry: &str, anchor: &LogKey) -> Result<()> {
        if registry.contains(['\r', '\n']) || self.log_at(registry).as_ref() == Some(anchor) {
            return Ok(());
        }
        self.change_places(|places| {
            places.retain(|(_, place)| place != registry);
            places.push((anchor.clone(), registry.into()));
            places.sort_by(|a, b| a.1.cmp(&b.1));
        })
    }

    /// Forgets that `registry` showed the log with the key `anchor`. Returns `false` if that was not
    /// remembered.
    ///
    /// # Errors
    /// [`Error::Io`] if that cannot be written.
    pub(crate) fn forget_place(&self, registry: &str, anchor: &LogKey) -> Result<bool> {
        if self.log_at(registry).as_ref() != Some(anchor) {
            return Ok(false);
        }
        self.change_places(|places| places.retain(|(_, place)| place != registry)).map(|()| true)
    }

    fn change_places(&self, edit: impl FnOnce(&mut Vec<(LogKey, String)>)) -> Result<()> {
        files::create_dir_all_synced(&self.folder)?;
        let _lock = files::Lock::take(&self.folder.join(PLACES_LOCK))?;
        let mut places = self.places();
        edit(&mut places);
        let lines: String = places.iter().map(|(log, place)| format!("{log} {place}\n")).collect();
        files::replace(&self.folder.join(PLACES), lines.as_bytes())
    }

    /// The remembered registries. A line that cannot be read, or is lost when two processes write at once,
    /// makes its registry unknown: isn then cannot tell which log it must show.
    fn places(&self) -> Vec<(LogKey, String)> {
        let bytes = files::read_capped(&self.folder.join(PLACES), MAX_PLACES).unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap_or_default();
        let place = |line: &str| {
            let (log, place) = line.split_once(' ')?;
            Some((log.parse().ok()?, place.to_string()))
        };
        text.lines().filter_map(place).collect()
    }

    /// Returns all evidence of forks: the log's key, and the folder with the two notes.
    ///
    /// # Errors
    /// Fails if a folder or a `vkey` file cannot be read.
    pub fn evidence(&self) -> Result<Vec<(LogKey, PathBuf)>> {
        let mut found = Vec::new();
        let logs =
            files::names_in(&self.folder)?.into_iter().filter(|name| name != PLACES && name != PLACES_LOCK);
        for log in logs {
            let log = self.folder.join(log);
            let evidence = log.join("evidence");
            for name in files::names_in(&evidence)? {
                let vkey = files::read_capped(&log.join("vkey"), MAX_CHECKPOINT)?;
                found.push((String::from_utf8_lossy(&vkey).trim_end().parse()?, evidence.join(name)));
            }
        }
        Ok(found)
    }
}

impl KnownLog {
    /// The key that the user knows the log by.
    pub fn anchor(&self) -> &LogKey {
        &self.anchor
    }

    /// The path of the private key, if the log is the user's own.
    pub fn key_path(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// Returns the private key, if the log is the user's own.
    ///
    /// # Errors
    /// [`Error::Key`] if the file is not the key of this log; also fails if it cannot be read.
    pub fn signer(&self) -> Result<Option<LogSigner>> {
        let path = self.key_path();
        match files::is_absent(&path) {
            true => Ok(None),
            false => signer_of(&self.anchor, keyring::read_kept(&path)?, &path).map(Some),
        }
    }

    /// Locks out other writers, and removes what killed ones left.
    fn lock(&self) -> Result<files::Lock> {
        let below = files::Below::make_synced(files::parent(&self.folder), &self.folder)?;
        let lock = files::Lock::take(&self.folder.join(".lock"))?;
        below.sweep(files::TEMP_PREFIX, &lock)?;
        Ok(lock)
    }

    fn describe(&self) -> Result<()> {
        files::create_new(&self.folder.join("vkey"), format!("{}\n", self.anchor).as_bytes()).map(drop)
    }

    /// Returns what is remembered.
    ///
    /// # Errors
    /// [`Error::TrustFile`] if the stored checkpoint is damaged; [`Error::Io`] if it cannot be read.
    pub fn load(&self) -> Result<Remembered> {
        let seen = self.seen()?;
        // While there is such a file, it is most likely the one.
        let found = self.replayed().filter(|_| seen.is_some()).into_iter().chain(seen.clone());
        let mut found = found.filter_map(|at| Some((self.replay(&at)?, at)));
        let (replica, replayed) = match found.next() {
            Some((replica, at)) => (replica, Some(at)),
            None => (Replica::new(self.anchor.clone()), None),
        };
        Ok(Remembered { replica, replayed, seen })
    }

    /// Returns what the log said about a name when it was last seen, with the checkpoint of that time: as a
    /// whole or by its index of names, whichever was later. `None` if neither was.
    ///
    /// # Errors
    /// As [`KnownLog::load`].
    pub(crate) fn last_seen(&self, name: &Name) -> Result<Option<(History, Seen)>> {
        let whole = self.load()?.whole();
        let kept = self.name(name);
        let kept =
            kept.filter(|kept| whole.as_ref().is_none_or(|(replica, _)| replica.size() < kept.seen.size));
        Ok(match kept {
            Some(kept) => Some((kept.extract.history().clone(), kept.seen)),
            None => whole.map(|(replica, seen)| (replica.history().clone(), seen)),
        })
    }

    /// Returns the newest checkpoint that was seen.
    ///
    /// # Errors
    /// As [`KnownLog::load`].
    pub(crate) fn seen(&self) -> Result<Option<Seen>> {
        let path = self.folder.join("checkpoint");
        // A checkpoint that is damaged or a symlink must not pass for absent: isn would then believe any next
        // checkpoint.
        let damaged = |e: Error| match e {
            Error::Integrity { why, .. }
            | Error::Trust { why, .. }
            | Error::Invalid { why, .. }
            | Error::Foreign { why, .. } => {
                let cure = "this is your own record of a log, not a registry's file: restore it from a \
                            backup. Without it, one rollback of the log goes unnoticed";
                Error::TrustFile { path: path.clone(), why, cure: cure.into() }
            }
            other => other,
        };
        let Some(note) = files::read_nofollow(&path, MAX_CHECKPOINT).map_err(damaged)? else {
            return Ok(None);
        };
        let signed = SignedCheckpoint::parse(&path.display().to_string(), note).map_err(damaged)?;
        Ok(Some(Seen {
            size: signed.claimed_size(),
            root: signed.claimed_root(),
            note: signed.bytes().to_vec(),
        }))
    }

    /// Returns the stored replay if it is whole, leads to the checkpoint, and starts from this log's key.
    fn replay(&self, seen: &Seen) -> Option<Replica> {
        let (tree, history, tail) = self.stored(seen)?;
        let fits = *history.anchor() == self.anchor;
        Replica::of_parts(tree, history, tail).filter(|_| fits)
    }

    /// Returns the stored replay if it is whole and leads to the checkpoint; it may start from an earlier key
    /// of the log.
    fn stored(&self, seen: &Seen) -> Option<(Tree, History, u64)> {
        let longest = seen.size.saturating_add(1).saturating_mul(MAX_REPLAYED).min(MAX_REPLAY);
        let file = files::open_nofollow(&self.folder.join("replay")).ok()??;
        if file.metadata().ok()?.len() > longest {
            return None;
        }
        let (tree, history, tail) = read_replay(file.take(longest))?;
        let fits = history.is_by_these_rules() && tree.size() == seen.size;
        let fits = fits && tree.root().ok().is_some_and(|root| root == seen.root);
        fits.then_some((tree, history, tail))
    }

    /// Stores a newer state, which the caller has verified. A newer state that another process has stored
    /// meanwhile is kept.
    ///
    /// # Errors
    /// [`Error::Trust`] if the state contradicts the stored checkpoint; both are then kept as evidence. Also
    /// fails if a file cannot be read or written.
    pub fn store(&self, replica: &Replica, note: &[u8]) -> Result<()> {
        self.store_checked(replica, note, &[])
    }

    /// As [`KnownLog::store`]; also forgets notes of indexes of names that the replay has checked.
    ///
    /// # Errors
    /// As [`KnownLog::store`].
    pub(crate) fn store_checked(
        &self,
        replica: &Replica,
        note: &[u8],
        checked: &[SignedNames],
    ) -> Result<()> {
        let _lock = self.lock()?;
        self.describe()?;
        if let Some(seen) = self.seen()? {
            if seen.size > replica.size() {
                return Ok(());
            }
            if replica.tree().root_at(seen.size)? != seen.root {
                return Err(self.fork(&seen, note, "this machine")?);
            }
        }
        self.remember(replica, note)?;
        self.forget_names(checked)
    }

    /// Signs a tree with this log's key, and stores the checkpoint on disk before returning it. So this home
    /// signs only one tree of each size, whatever the registry's storage does.
    ///
    /// # Errors
    /// [`Error::Trust`] if the tree contradicts the stored checkpoint; also fails if a file cannot be read or
    /// written.
    pub fn sign(&self, signer: &LogSigner, replica: &Replica) -> Result<SignedCheckpoint> {
        let _lock = self.lock()?;
        self.describe()?;
        let (size, root) = (replica.size(), replica.tree().root()?);
        let seen = self.seen()?;
        if let Some(seen) = &seen {
            let agrees = match seen.size <= size {
                true => replica.tree().root_at(seen.size)? == seen.root,
                // Another process has signed a larger tree meanwhile: it must contain the very tree that is
                // to be signed.
                false => {
                    self.stored(seen).is_some_and(|(tree, ..)| tree.root_at(size).is_ok_and(|at| at == root))
                }
            };
            if !agrees {
                let why = format!(
                    "would get {size} entries that contradict the {} that were signed or seen here: nothing \
                     was signed",
                    seen.size
                );
                return Err(Error::trust(format!("log {}", self.anchor.origin()), why));
            }
        }
        let signed = SignedCheckpoint::sign(signer, size, root)?;
        if seen.is_none_or(|seen| seen.size <= size) {
            self.remember(replica, signed.bytes())?;
        }
        Ok(signed)
    }

    fn remember(&self, replica: &Replica, note: &[u8]) -> Result<()> {
        // Made twice, once for its sum: a long log's replay is not held in memory.
        let mut sum = blake3::Hasher::new();
        let write = write_replay(replica, BufWriter::with_capacity(BLOCK, &mut sum));
        write.map_err(|e| Error::Internal(e.to_string()))?;
        let sum = Digest::of_hasher(&sum);
        files::replace_with(&self.folder.join("replay"), |file| {
            writeln!(file, "{sum}")?;
            write_replay(replica, file)
        })?;
        // The checkpoint comes last: until it is written, the former state counts.
        files::replace(&self.folder.join("checkpoint"), note)
    }

    /// Stores two checkpoints that contradict each other as evidence; returns the error that reports them.
    ///
    /// # Errors
    /// [`Error::Io`] if the evidence cannot be written.
    pub fn fork(&self, seen: &Seen, now: &[u8], registry: &str) -> Result<Error> {
        let id = Digest::of(&[seen.note.as_slice(), now].concat()).to_string();
        let folder = self.folder.join("evidence").join(&id[..16]);
        self.describe()?;
        files::create_new(&folder.join("before.note"), &seen.note)?;
        files::create_new(&folder.join("now.note"), now)?;
        Ok(Error::trust(
            format!("log {}", self.anchor.origin()),
            format!(
                "registry {registry} shows another history than was seen before (a fork, or a rollback): its \
                 signed checkpoint contradicts the one of {} entries that this machine remembers. Both are \
                 kept as evidence in {}",
                seen.size,
                folder.display()
            ),
        ))
    }
}

/// Writes a replay, without its sum.
fn write_replay(replica: &Replica, mut to: impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut to, &(replica.tail(), replica.history()))?;
    to.write_all(b"\n")?;
    for index in 0..replica.size() {
        to.write_all(&replica.tree().leaf(index).unwrap_or(Hash([0; 32])).0)?;
    }
    to.flush()
}

/// Reads a replay; returns `None` if it is not as its sum says.
fn read_replay(mut from: impl Read) -> Option<(Tree, History, u64)> {
    let mut sum = [0; SUM_LEN];
    from.read_exact(&mut sum).ok()?;
    let mut rest = BufReader::with_capacity(BLOCK, Summed { from, sum: blake3::Hasher::new() });
    let (tail, history) =
        <(u64, History)>::deserialize(&mut serde_json::Deserializer::from_reader(&mut rest)).ok()?;
    let mut end = [0];
    rest.read_exact(&mut end).ok()?;
    let (mut tree, mut leaf) = (Tree::default(), Vec::with_capacity(32));
    loop {
        leaf.clear();
        (&mut rest).take(32).read_to_end(&mut leaf).ok()?;
        if leaf.is_empty() {
            break;
        }
        tree.push(Hash(leaf.as_slice().try_into().ok()?)).ok()?;
    }
    let is_whole = format!("{}\n", Digest::of_hasher(&rest.get_ref().sum)).as_bytes() == sum && end == *b"\n";
    is_whole.then_some((tree, history, tail))
}

/// What is read, and its sum so far.
struct Summed<R> {
    from: R,
    sum: blake3::Hasher,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(into)?;
        self.sum.update(&into[..length]);
        Ok(length)
    }
}

/// The signer of a new log, called `origin` or after its key.
fn new_log(origin: Option<&str>, private: PrivateKey) -> Result<LogSigner> {
    let id = Digest::of(&private.public_line().key.to_bytes()).to_string();
    let origin = origin.map_or_else(|| format!("isn.local/{}", &id[..16]), str::to_string);
    let signer = LogSigner::new(&origin, private)?;
    if signer.log_key().attests_for().is_some() {
        return Err(Error::invalid(format!("origin '{origin}'"), "is that of an attestation log"));
    }
    // It may get an attestation log.
    signer.log_key().attestations().map(|_| signer)
}

fn signer_of(log: &LogKey, key: KeyFile, file: &Path) -> Result<LogSigner> {
    let signer = LogSigner::new(log.origin(), key.unlock(|| Ok(None))?)?;
    if signer.log_key() == log {
        return Ok(signer);
    }
    let why = format!("is not the private key of log {log}");
    Err(Error::Key { key: file.display().to_string(), why, fault: KeyFault::Unusable })
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({}, {})", self.size, self.root)
    }
}

#[cfg(test)]
mod tests;
