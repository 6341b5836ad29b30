//! Appends statements to the log of a registry.
//!
//! What decides is the *log claim*: a file named after the number of the next entry, created exclusively,
//! which contains the statements and is signed with the log key. The writer that creates it then writes
//! bundles, tiles and, last, the checkpoint. Any writer that finds a log claim beyond the checkpoint first
//! does the same, byte for byte, so a writer may die at any point. A log claim that its signature does not
//! cover, or that could not have been made at that point of the log, stops every writer. A folder's lock only
//! saves work: without it, as in a bucket, two writers still get two numbers, and never sign two trees of the
//! same size.

mod files;
mod index;

use super::log::{LogView, WitnessPolicy, left_out};
use super::publish::{RegistryWriter, check_no_log, no_registry_in, read_about};
use super::store::Store;
use super::{Registry, has_lost_about, layout};
use crate::known_logs::{KnownLog, KnownLogs};
use crate::transport;
use crate::trust::{Known, RegistryId};
use isn_format::error::{Breach, Error, KeyFault, Result};
use isn_format::log::{
    History, LogKey, LogSigner, MAX_CLAIM, Replica, SignedCheckpoint, SignedClaim, bundle, leaf_hash,
};
use isn_format::statement::SignedStatement;

/// How many log claims (where there is a lock), and how many widths of a partial tile, are kept. A reader
/// that is further behind reads again.
pub(crate) const KEPT: u64 = 16;
/// How many times a commit starts again because other writers have advanced the log meanwhile.
const ATTEMPTS: u32 = 5;

/// A log, for a writer who may hold its key.
pub struct OwnLog<'a> {
    store: &'a dyn Store,
    /// Which of the registry's logs it is.
    files: layout::Log,
    is_locked: bool,
    logs: &'a KnownLogs,
    known: KnownLog,
    /// The identity of the location, if it has a name that can be remembered.
    place: Option<RegistryId>,
    registry: Registry,
    runtime: tokio::runtime::Runtime,
}

/// The result of appending statements to a log.
pub struct Appended {
    /// The log with the statements, and perhaps with later ones of other writers.
    pub view: LogView,
    /// The number of the first statement; the others follow it.
    pub first: u64,
}

impl<'a> OwnLog<'a> {
    /// Opens the log of the registry that `writer` writes to, which must be the one that the user knows for
    /// this location.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no registry; [`Error::OtherLog`] if it has another log; also as
    /// [`log_to_write`].
    pub fn open(writer: &'a RegistryWriter, known: Known<'a>) -> Result<Self> {
        let anchor = log_to_write(writer.store(), known)?;
        let anchor = anchor.ok_or_else(|| no_registry_in(writer.store()))?;
        OwnLog::known_by(&anchor, writer, known.logs)
    }

    /// Opens the log that the user knows by the key `anchor`.
    ///
    /// # Errors
    /// Fails if the registry cannot be opened, or no runtime can be started.
    pub(crate) fn known_by(anchor: &LogKey, writer: &'a RegistryWriter, logs: &'a KnownLogs) -> Result<Self> {
        let (store, is_locked) = (writer.store(), writer.is_locked());
        let (known, place, registry) = (logs.log(anchor), place_of(store), store.registry()?);
        let (files, runtime) = (layout::Log::of(anchor), transport::runtime()?);
        Ok(OwnLog { store, files, is_locked, logs, known, place, registry, runtime })
    }

    /// Opens the attestation log of the registry whose log this is. It has the key that is in force in this
    /// log: what an earlier key signed is signed anew.
    ///
    /// # Errors
    /// [`Error::Trust`] if its entries do not lead to what an earlier key signed; also as [`OwnLog::view`].
    pub fn attestations<'b>(&self, writer: &'b RegistryWriter, logs: &'b KnownLogs) -> Result<OwnLog<'b>> {
        let view = self.view()?;
        let history = view.replica.history();
        let log = OwnLog::known_by(&history.key().attestations()?, writer, logs)?;
        log.renew(history)?;
        Ok(log)
    }

    /// Signs the checkpoint anew if an earlier key of the registry, whose log is `of`, signed it. It must
    /// have all that this machine has seen under any of its keys.
    fn renew(&self, of: &History) -> Result<()> {
        let Some(signed) = self.runtime.block_on(self.registry.signed_checkpoint(self.files))? else {
            return self.check_seen(of, &Replica::new(self.anchor().clone()));
        };
        let is_by = |key: LogKey| key.attestations().is_ok_and(|key| signed.verify(&key).is_ok());
        // A change of the key may have been killed, and this machine may know the log by the new key alone.
        // Keys before that have been given up for long.
        let predecessor = of.predecessor().filter(|key| is_by(key.clone()));
        // One that nobody of them signed is refused when the log is read.
        if is_by(of.key()) || predecessor.is_none() && !of.keys().any(is_by) {
            return Ok(());
        }
        let mut replica = Replica::new(self.anchor().clone());
        self.runtime.block_on(self.registry.extend(&mut replica, signed.claimed_size()))?;
        if replica.tree().root()? != signed.claimed_root() {
            return Err(self.runtime.block_on(self.registry.damage(self.files, &signed)));
        }
        self.check_seen(of, &replica)?;
        if let Some(key) = predecessor {
            self.check_seen(&History::new(key), &replica)?;
        }
        let renewed = self.known.sign(&self.signer(self.anchor())?, &replica)?;
        self.store.replace(&self.files.checkpoint(), renewed.bytes())
    }

    /// Checks that an attestation log has what this machine has seen of it under each key of the registry,
    /// whose log is `of`.
    fn check_seen(&self, of: &History, replica: &Replica) -> Result<()> {
        match self.logs.lost_attestations(of, replica)? {
            Some(why) => Err(Error::trust(self.store.locate(&self.files.checkpoint()), why)),
            None => Ok(()),
        }
    }

    /// The key that the user knows the log by.
    pub fn anchor(&self) -> &LogKey {
        self.known.anchor()
    }

    /// Returns the log as it stands, after finishing what a killed writer has begun.
    ///
    /// # Errors
    /// [`Error::Claim`] if a log claim cannot be finished; [`Error::Trust`] if the registry contradicts what
    /// this machine has seen or signed, or lacks entries; [`Error::OtherLog`] if `registry.json` names
    /// another log; [`Error::Key`] if the log key is needed and not here; also fails if a file cannot be read
    /// or written.
    pub fn view(&self) -> Result<LogView> {
        let mut behind = 0;
        loop {
            let view = self.read()?;
            let Some(claim) = self.claim(view.replica.size())? else { return Ok(view) };
            match self.commit(&view.replica, &claim.verify(&view.replica)?) {
                // Faster writers have advanced the log, and have removed the bundle that this claim began
                // with.
                Err(Error::NotFound { .. }) if behind < ATTEMPTS => behind += 1,
                committed => committed.map_err(left_out)?,
            }
        }
    }

    fn claim(&self, first: u64) -> Result<Option<SignedClaim>> {
        claim_at(self.store, self.files, first)
    }

    /// Removes the log claims that no writer may finish, and returns where they were. Where there is no lock,
    /// nobody else may write meanwhile.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the next log claim can be finished: somebody may be about to sign the tree with
    /// its entries. [`Error::Foreign`] if a folder with contents is in its place. [`Error::Key`] if the log
    /// key is not here. Also fails if the log cannot be read.
    pub fn unclaim(&self) -> Result<Vec<String>> {
        let view = self.read()?;
        let (base, key) = (&view.replica, view.replica.history().key());
        self.signer(&key)?;
        let is_good = |first: u64| match self.claim(first) {
            // The later claims can be judged by their signatures only.
            Ok(Some(claim)) if first > base.size() => Ok(claim.is_of(first, &key)),
            Ok(Some(claim)) => Ok(claim.verify(base).is_ok()),
            Ok(None) | Err(Error::Claim { .. }) => Ok(false),
            Err(e) => Err(e),
        };
        if is_good(base.size())? {
            let why = "can be finished, so it is not removed: the next publish finishes it";
            return Err(Error::invalid(self.store.locate(&self.files.claim(base.size())), why));
        }
        let mut removed = Vec::new();
        for (path, _) in self.store.list(&self.files.claims())? {
            let number = path.rsplit('/').next().and_then(|name| name.parse().ok());
            let Some(first) = number.filter(|&first| self.files.claim(first) == path) else { continue };
            if first >= base.size() && !is_good(first)? {
                self.store.remove(&path)?;
                removed.push(self.store.locate(&path));
            }
        }
        let next = self.files.claim(base.size());
        if matches!(self.claim(base.size()), Err(Error::Claim { .. })) {
            // A folder is in its place. isn must not remove what somebody keeps in it.
            let path = self.store.locate(&next);
            if !self.store.remove_folder(&next)? {
                return Err(Error::Foreign {
                    path: path.into(),
                    why: "is a folder that is not empty".into(),
                });
            }
            removed.push(path);
        }
        Ok(removed)
    }

    /// Returns the log as the registry shows it, or as this machine has signed it.
    fn read(&self) -> Result<LogView> {
        let policy = WitnessPolicy::default();
        let mut attempt = 0;
        loop {
            let sync = self.registry.sync_log(self.anchor(), Some(&self.known), &policy);
            let Some(view) = self.runtime.block_on(sync)? else {
                // The registry was created and nothing was published yet: its log is empty.
                let empty = Replica::new(self.anchor().clone());
                let signed = SignedCheckpoint::sign(&self.signer(self.anchor())?, 0, empty.tree().root()?)?;
                if self.files == layout::ATTESTATIONS {
                    // Most registries have none, so it begins with its first entry.
                    return Ok(LogView { replica: empty, note: signed.bytes().to_vec(), behind: None });
                }
                self.store.create_new(layout::CHECKPOINT, signed.bytes())?;
                continue;
            };
            if view.behind.is_none() || self.show(&view)? {
                let view = LogView { behind: None, ..view };
                if self.files == layout::ATTESTATIONS {
                    // The location was checked by the registry's log, whose key this is.
                    return Ok(view);
                }
                self.check_about(&view)?;
                if let Some(place) = &self.place {
                    self.logs.note_place(place.as_str(), self.anchor())?;
                }
                return Ok(view);
            }
            attempt += 1;
            // Faster writers may have advanced the log, and have removed outgrown files.
            if self.shown()? >= view.replica.size() && attempt < ATTEMPTS {
                continue;
            }
            return Err(Error::trust(
                format!("registry {}", self.store.name()),
                format!(
                    "shows fewer entries in its log than the {} that were signed or seen here, and does not \
                     have the rest: it was put back to an earlier state, or its storage lost them. Appending \
                     to it would fork the log; restore its newest copy",
                    view.replica.size()
                ),
            ));
        }
    }

    /// Checks that `registry.json`, where others find the log's key, names this log.
    fn check_about(&self, view: &LogView) -> Result<()> {
        let claimed = self.runtime.block_on(self.registry.about())?.log_key;
        let is_it = |key: &LogKey| self.runtime.block_on(self.registry.is_known_by(key, view));
        if claimed.as_ref().map_or(Ok(false), is_it)? {
            return Ok(());
        }
        Err(Error::OtherLog {
            registry: self.store.name().into(),
            known: self.anchor().to_string(),
            other: claimed.map(|key| key.to_string()),
        })
    }

    /// Returns the number of entries that the registry's checkpoint claims.
    fn shown(&self) -> Result<u64> {
        let shown = self.runtime.block_on(self.registry.signed_checkpoint(self.files))?;
        Ok(shown.map_or(0, |signed| signed.claimed_size()))
    }

    /// Makes the registry show the tree of `view`, which this machine remembers and the registry does not
    /// show: a writer was killed, or without a lock a slower one has put an earlier checkpoint over it.
    /// Returns `false` if entries are gone.
    fn show(&self, view: &LogView) -> Result<bool> {
        let from = self.shown()?.min(view.replica.size());
        if !self.has_all(view)? {
            return Ok(false);
        }
        // Tiles follow from the entries, so they are written again without asking whether they are there.
        self.write_tiles(&view.replica, from)?;
        self.put_checkpoint(view.replica.size(), &view.note)?;
        Ok(true)
    }

    /// Whether the registry has every entry of `view`, whatever its checkpoint says.
    fn has_all(&self, view: &LogView) -> Result<bool> {
        let mut there = Replica::new(self.anchor().clone());
        match self.runtime.block_on(self.registry.extend(&mut there, view.replica.size())) {
            Ok(_) => Ok(there.tree().root()? == view.replica.tree().root()?),
            Err(Error::NotFound { .. } | Error::Trust { .. } | Error::Integrity { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Checks that a log of `size` entries may have the `more` new statements too.
    ///
    /// # Errors
    /// [`Error::Refused`] if it would have too many.
    pub(crate) fn check_room(&self, size: u64, more: &[SignedStatement]) -> Result<()> {
        let most = self.anchor().most_entries();
        let Some(beyond) = more.get(most.saturating_sub(size) as usize) else { return Ok(()) };
        let why = format!("is one too many: log {} may have {most} entries", self.anchor().origin());
        Err(Error::Refused { what: beyond.claimed().title(), why, breach: Breach::Full })
    }

    /// Appends all statements or none; each must have an effect at its position.
    ///
    /// # Errors
    /// [`Error::Conflict`] if a statement would have no effect; [`Error::Refused`] if the log may not have so
    /// many entries; [`Error::Key`] if the log key is not here; [`Error::Claim`] if something is in the place
    /// of the log claim; also as [`OwnLog::view`].
    pub fn append(&self, statements: &[SignedStatement]) -> Result<Appended> {
        let mut entries = Vec::new();
        for statement in statements {
            bundle::push(&mut entries, statement.bytes())?;
        }
        let (mut blocked, mut behind) = (None, 0);
        loop {
            let view = self.view()?;
            let first = view.replica.size();
            let path = self.files.claim(first);
            if blocked == Some(first) {
                let why = in_the_way("is not a file");
                return Err(Error::Claim { what: self.store.locate(&path), why });
            }
            let mut history = view.replica.history().clone();
            for statement in statements {
                history.apply(statement.bytes()).map_err(|rejected| Error::Conflict {
                    what: statement.claimed().title(),
                    why: rejected.why.trim_start_matches(&statement.claimed().title()).trim_start().into(),
                })?;
            }
            self.check_room(first, statements)?;
            self.signer(&history.key())?;
            let signer = self.signer(&view.replica.history().key())?;
            // Do not begin what could not be finished.
            match self.last_bundle(&view.replica) {
                // Faster writers have advanced the log.
                Err(Error::NotFound { .. }) if behind < ATTEMPTS => {
                    behind += 1;
                    continue;
                }
                checked => checked.map_err(left_out)?,
            };
            if !self.store.create_new(&path, &SignedClaim::sign(&signer, &view.replica, &entries)?)? {
                blocked = Some(first);
                continue;
            }
            let view = self.view()?;
            let leaves = (first..).map(|index| view.replica.tree().leaf(index));
            if statements.iter().zip(leaves).all(|(said, leaf)| leaf == Some(leaf_hash(said.bytes()))) {
                return Ok(Appended { view, first });
            }
            // This writer was so slow that the number had long been taken, and its claim removed: the new
            // file claims nothing.
            self.store.remove(&path)?;
        }
    }

    /// Returns the bytes of an entry.
    ///
    /// # Errors
    /// [`Error::Trust`] if the entry is missing or is not the one of the tree; also fails if it cannot be
    /// read.
    pub fn entry(&self, index: u64, view: &LogView) -> Result<Vec<u8>> {
        self.runtime.block_on(self.registry.log_entry(index, view))
    }

    /// Returns the private key of the log.
    ///
    /// # Errors
    /// [`Error::Key`] if it is not on this machine, or the file is not this key.
    pub fn signer(&self, key: &LogKey) -> Result<LogSigner> {
        // An attestation log has the key of its registry's log.
        let of_registry = key.attests_for();
        let kept = of_registry.as_ref().unwrap_or(key);
        let signer = self.logs.log(kept).signer()?.ok_or_else(|| Error::Key {
            key: format!("of log {}", key.origin()),
            fault: KeyFault::Elsewhere,
            why: format!(
                "is not on this machine; whoever created the registry has it, and can give you {} (expected \
                 at {})",
                "the file `key` of its folder in ISN_HOME/logs",
                self.logs.log(kept).key_path().display()
            ),
        })?;
        if of_registry.is_some() { signer.renamed(key.origin()) } else { Ok(signer) }
    }
}

/// Returns the identity of a registry's location, if it has one.
pub(crate) fn place_of(store: &dyn Store) -> Option<RegistryId> {
    store.name().parse().ok()
}

/// Returns the key of the log to write to: the one that the user knows for this location, which the registry
/// in `store` must claim to have, or else the one that it claims; `None` if there is none. To be called
/// before anything is signed or written.
///
/// # Errors
/// [`Error::OtherLog`] if this location must have another log; [`Error::NotFound`] if it is a registry that
/// has lost its `registry.json`; also fails if that cannot be read.
pub fn check_place(store: &dyn Store, known: Known<'_>) -> Result<Option<LogKey>> {
    let about = read_about(store)?;
    if about.is_none() && store.folder().is_some_and(has_lost_about) {
        return Err(no_registry_in(store));
    }
    let claimed = about.and_then(|about| about.log_key);
    match place_of(store) {
        Some(place) => known.log_to_write(&place, claimed.as_ref()),
        None => Ok(claimed),
    }
}

/// Returns the key of the log that a writer to `store` appends to; `None` if there is no registry, and the
/// user knows of none.
///
/// # Errors
/// As [`check_place`]; [`Error::Invalid`] if the registry has no log; [`Error::Trust`] if it has one that
/// `registry.json` does not name.
pub fn log_to_write(store: &dyn Store, known: Known<'_>) -> Result<Option<LogKey>> {
    let log = check_place(store, known)?;
    if log.is_none() && store.length(layout::REGISTRY_JSON)?.is_some() {
        check_no_log(store)?;
        let why = "has no log, which is needed to publish: `isn registry init` creates one";
        return Err(Error::invalid(format!("registry {}", store.name()), why));
    }
    Ok(log)
}

/// Returns the log claim of the entry `first`, not verified; `None` if there is none.
///
/// # Errors
/// [`Error::Claim`] if something is there that is not a log claim; also fails if it cannot be read.
pub(crate) fn claim_at(store: &dyn Store, log: layout::Log, first: u64) -> Result<Option<SignedClaim>> {
    let path = log.claim(first);
    let what = store.locate(&path);
    let read = store.length(&path).and_then(|length| match length {
        Some(length) if length > MAX_CLAIM => {
            let why = format!("is longer than any claim: {length} bytes");
            Err(Error::Claim { what: what.clone(), why })
        }
        Some(_) => store.read(&path),
        None => Ok(None),
    });
    match read {
        Ok(bytes) => bytes.map(|bytes| SignedClaim::parse(&what, &bytes)).transpose(),
        // Something above the claim's path is in the way: `unclaim` cannot remove it.
        Err(Error::Foreign { path, why }) if path.display().to_string() == what => {
            Err(Error::Claim { what, why: in_the_way(&why) })
        }
        Err(e) => Err(e),
    }
}

fn in_the_way(why: &str) -> String {
    format!("is in the way of the next entry: it {why}")
}

#[cfg(test)]
mod tests;
