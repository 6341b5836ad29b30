//! Reads a registry's log: the checkpoint, the new entries, and whether both continue what was seen before.

use futures_util::{StreamExt, TryStreamExt};

use super::names::{self, Filing};
use super::{Registry, layout};
use crate::known_logs::{KnownLog, Remembered, Seen};
use crate::transport;
use isn_format::error::{Error, Missing, Result};
use isn_format::log::names::SignedNames;
use isn_format::log::{
    Accepted, LogKey, MAX_CHECKPOINT, Rejected, Replica, SignedCheckpoint, TILE_WIDTH, WitnessKey, bundle,
};

/// The number of bundles to fetch at once.
pub(super) const REQUESTS: usize = 8;
/// How many times to read a log that changes while it is read.
pub(super) const ATTEMPTS: usize = 3;

/// Who, beside the log itself, must have seen a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct WitnessPolicy {
    /// The witnesses that the user knows.
    pub witnesses: Vec<WitnessKey>,
    /// How many of them must have cosigned.
    pub needed: usize,
    /// The maximum age, in seconds, of the newest of the needed cosignatures.
    pub max_age: Option<u64>,
    /// The current time, in seconds since 1970.
    pub now: u64,
}

/// A log that was read to its end, with every entry under the root that its key signed.
pub struct LogView {
    /// The tree and the history.
    pub replica: Replica,
    /// The newest checkpoint, as a note.
    pub note: Vec<u8>,
    /// Set if the registry is a stale mirror: all that it has is true, but less than was seen elsewhere.
    pub behind: Option<String>,
}

/// What was read of a log before it turned out that it is to be read as a whole.
#[derive(Default)]
pub(super) struct Begun {
    /// The checkpoint, and what is remembered.
    pub(super) shown: Option<(SignedCheckpoint, Remembered)>,
    /// The note of an index of names that may be wrong.
    pub(super) doubted: Option<SignedNames>,
}

/// What is remembered of a log while it is read.
#[derive(Clone, Copy)]
struct Seeing<'a> {
    /// The checkpoint that the replay leads to.
    replayed: Option<&'a Seen>,
    /// The newest checkpoint.
    seen: Option<&'a Seen>,
    known: Option<&'a KnownLog>,
}

impl Registry {
    /// Returns the checkpoint that the registry shows of one of its logs, not verified; `None` if it has no
    /// such log.
    ///
    /// # Errors
    /// [`Error::Trust`] if it is too long; also fails if it cannot be read or is not well-formed.
    pub(crate) async fn signed_checkpoint(&self, log: layout::Log) -> Result<Option<SignedCheckpoint>> {
        let path = log.checkpoint();
        let read = self.read(&path, MAX_CHECKPOINT).await;
        let Some(bytes) = read.map_err(|e| match e {
            // No damage makes a checkpoint too long.
            Error::Integrity { what, why, .. } => Error::Trust { what, why },
            other => other,
        })?
        else {
            return Ok(None);
        };
        SignedCheckpoint::parse(&self.place(&path), bytes).map(Some)
    }

    /// Reads the log that the user knows by the key `anchor` to its end, from where `known` remembers it, and
    /// stores the new state there. Returns `None` if the registry has no log and none was ever seen.
    ///
    /// # Errors
    /// [`Error::Trust`] if the log contradicts what was seen, lacks entries, is damaged, or is not signed or
    /// witnessed as it must be; also fails if it cannot be read.
    pub async fn sync_log(
        &self,
        anchor: &LogKey,
        known: Option<&KnownLog>,
        policy: &WitnessPolicy,
    ) -> Result<Option<LogView>> {
        self.sync_begun(anchor, known, policy, Begun::default()).await
    }

    /// As [`Registry::sync_log`], with what was read already. If this machine has relied on an index of
    /// names, or is in doubt about one, the log is read from its first entry, and the index made anew.
    ///
    /// # Errors
    /// As [`Registry::sync_log`]; [`Error::Trust`] if the log's key has signed another index.
    pub(super) async fn sync_begun(
        &self,
        anchor: &LogKey,
        known: Option<&KnownLog>,
        policy: &WitnessPolicy,
        begun: Begun,
    ) -> Result<Option<LogView>> {
        let mut notes = known.map_or(Ok(Vec::new()), KnownLog::relied_on)?;
        notes.extend(begun.doubted);
        let empty = || Replica::new(anchor.clone());
        // A long log's state is held once: who needs it again reads it again.
        let remembered = || match known.map(KnownLog::load).transpose()? {
            Some(remembered) => Ok::<_, Error>(remembered),
            None => Ok(Remembered { replica: empty(), replayed: None, seen: None }),
        };
        let (mut shown, begun) = begun.shown.unzip();
        let Remembered { replica: mut base, mut replayed, seen } = begun.map_or_else(remembered, Ok)?;
        let (mut attempt, log) = (1, layout::Log::of(anchor));
        let (view, is_new, filing) = loop {
            let signed = match shown.take() {
                None => self.signed_checkpoint(log).await?,
                shown => shown,
            };
            let Some(signed) = signed else {
                // An empty log has nothing to lose.
                let Some(seen) = seen.filter(|seen| seen.size > 0) else { return Ok(None) };
                let why = format!(
                    "shows no log ({} is not there), but had one of {} entries, {}: a log does not go away",
                    log.checkpoint(),
                    seen.size,
                    anchor.origin()
                );
                return Err(Error::trust(format!("registry {}", self.name()), why));
            };
            // A mirror that is behind cannot show what notes are to be compared with.
            let is_ahead = seen.as_ref().is_none_or(|seen| seen.size <= signed.claimed_size());
            let mut filing = (!notes.is_empty() && is_ahead).then(|| Filing::from_bundle(0));
            if filing.is_some() {
                (base, replayed) = (empty(), None);
            }
            let known_as = Seeing { replayed: replayed.as_ref(), seen: seen.as_ref(), known };
            match self.follow(&signed, base, known_as, &mut filing).await {
                // The log was advanced while it was read: its last, partial bundle has another name now.
                Err(Error::NotFound { .. }) if attempt < ATTEMPTS => {
                    attempt += 1;
                    Remembered { replica: base, replayed, .. } = remembered()?;
                }
                Err(e @ Error::NotFound { .. }) => {
                    signed.verify(&remembered()?.replica.history().key_at(signed.claimed_size()))?;
                    return Err(left_out(e));
                }
                followed => {
                    let (view, is_new) = followed?;
                    break (view, is_new, filing);
                }
            }
        };
        let signed = SignedCheckpoint::parse(&self.place(&log.checkpoint()), view.note.clone())?;
        policy.check("the log's checkpoint", &signed)?;
        // One of a state that was not read is compared later.
        notes.retain(|note| note.claimed_size() <= view.replica.size());
        let wrong = match filing {
            Some(filing) => judge(&notes, &filing, &view, known)?,
            None => {
                notes.clear();
                None
            }
        };
        if let Some(known) = known.filter(|_| is_new) {
            known.store_checked(&view.replica, &view.note, &notes)?;
        }
        wrong.map_or(Ok(Some(view)), Err)
    }

    /// As [`Registry::sync_log`]. If the log was just audited as a whole, and is still the same, `whole` is
    /// not replayed again. Anything that is wrong is left to [`Registry::sync_log`].
    ///
    /// # Errors
    /// As [`Registry::sync_log`].
    pub(crate) async fn sync_audited(
        &self,
        anchor: &LogKey,
        known: Option<&KnownLog>,
        policy: &WitnessPolicy,
        whole: Option<Replica>,
    ) -> Result<Option<LogView>> {
        // Notes are compared with the entries, which are not here.
        let is_judged = known.map_or(Ok(true), |known| known.relied_on().map(|notes| notes.is_empty()))?;
        let Some(whole) = whole.filter(|_| is_judged) else {
            return self.sync_log(anchor, known, policy).await;
        };
        let Some(signed) = self.signed_checkpoint(layout::Log::of(anchor)).await? else {
            return self.sync_log(anchor, known, policy).await;
        };
        let seen = known.map(KnownLog::seen).transpose()?.flatten();
        let has = |size, root| size <= whole.size() && whole.tree().root_at(size).is_ok_and(|at| at == root);
        let is_whole = signed.claimed_size() == whole.size() && has(whole.size(), signed.claimed_root());
        let continues = seen.as_ref().is_none_or(|seen| has(seen.size, seen.root));
        if *whole.history().anchor() != *anchor
            || !is_whole
            || !continues
            || signed.verify(&whole.history().key()).is_err()
        {
            drop(whole);
            return self.sync_log(anchor, known, policy).await;
        }
        policy.check("the log's checkpoint", &signed)?;
        let note = signed.bytes().to_vec();
        if let Some(known) = known.filter(|_| seen.is_none_or(|seen| seen.note != note)) {
            known.store(&whole, &note)?;
        }
        Ok(Some(LogView { replica: whole, note, behind: None }))
    }

    /// Whether the log of `view` is the one known by `key`: that is a key that the log has had, or one that
    /// leads to it.
    ///
    /// # Errors
    /// Fails if entries cannot be read, or are damaged.
    pub(crate) async fn is_known_by(&self, key: &LogKey, view: &LogView) -> Result<bool> {
        let history = view.replica.history();
        if history.has_key(key) || key.origin() != history.anchor().origin() {
            return Ok(history.has_key(key));
        }
        // The log may have given up `key` before the key that the reader knows it by: then its entries say
        // so.
        let mut by_key = Replica::new(key.clone());
        self.extend(&mut by_key, view.replica.size()).await?;
        Ok(by_key.tree().root()? == view.replica.tree().root()? && by_key.history().key() == history.key())
    }

    /// Returns the log up to `signed`, which must continue `base` and not contradict what was seen; and
    /// whether anything is new. New entries go into `filing`, if there is one.
    async fn follow(
        &self,
        signed: &SignedCheckpoint,
        base: Replica,
        Seeing { replayed, seen, known }: Seeing<'_>,
        filing: &mut Option<Filing>,
    ) -> Result<(LogView, bool)> {
        let (size, root) = (signed.claimed_size(), signed.claimed_root());
        let fork = |seen: &Seen| match known {
            Some(known) => known.fork(seen, signed.bytes(), self.name()),
            None => {
                Ok(Error::trust(format!("registry {}", self.name()), "shows another history than before"))
            }
        };
        let early = signed.verify(&base.history().key_at(size));
        if size <= base.size() {
            early?;
            if base.tree().root_at(size)? != root {
                return Err(fork(
                    replayed.ok_or_else(|| Error::Internal("a replay without a checkpoint".into()))?,
                )?);
            }
            let note = replayed.map_or_else(|| signed.bytes().to_vec(), |replayed| replayed.note.clone());
            let is_behind = seen.is_some_and(|seen| seen.size > size);
            if size == base.size() && !is_behind {
                // The same tree, but perhaps with more cosignatures by now.
                let is_new = note != signed.bytes();
                let view = LogView { replica: base, note: signed.bytes().to_vec(), behind: None };
                return Ok((view, is_new || seen.is_none()));
            }
            let behind = format!(
                "registry {} is a stale mirror: its log has {size} entries, {} were seen before; what was \
                 seen counts",
                self.name(),
                seen.map_or(base.size(), |seen| seen.size)
            );
            return Ok((LogView { replica: base, note, behind: Some(behind) }, false));
        }
        let mut replica = base;
        let file = |entry: &[u8], _| {
            if let Some(filing) = filing {
                filing.push(entry);
            }
        };
        let agrees = match self.extend_and(&mut replica, size, file).await {
            Ok(_) => replica.tree().root()? == root,
            // Entries that do not continue the known ones may be whole, but of another history.
            Err(Error::Trust { .. } | Error::Integrity { .. }) => false,
            Err(e) => return Err(e),
        };
        if !agrees {
            early?;
            return Err(self.disagreement(signed, &replica, seen, fork).await);
        }
        signed.verify(&replica.history().key_at(size))?;
        // If there was no stored replay, the entries are compared with what was seen only now.
        if let Some(seen) = seen
            && (seen.size > size || replica.tree().root_at(seen.size)? != seen.root)
        {
            if seen.size > size {
                let why = format!("has {size} entries, {} were seen before: this mirror is stale", seen.size);
                let path = layout::Log::of(replica.history().anchor()).checkpoint();
                return Err(Error::trust(self.place(&path), why));
            }
            return Err(fork(seen)?);
        }
        Ok((LogView { replica, note: signed.bytes().to_vec(), behind: None }, true))
    }

    /// Fetches and replays the entries up to `size`.
    pub(super) async fn extend(&self, replica: &mut Replica, size: u64) -> Result<()> {
        self.extend_and(replica, size, |_, _| ()).await
    }

    /// As [`Registry::extend`], and calls `each` with each entry and its effect.
    async fn extend_and(
        &self,
        replica: &mut Replica,
        size: u64,
        mut each: impl FnMut(&[u8], Result<Accepted, Rejected>),
    ) -> Result<()> {
        let (from, tail) = (replica.size(), replica.tail());
        let log = layout::Log::of(replica.history().anchor());
        let bundles = (from / TILE_WIDTH)..size.div_ceil(TILE_WIDTH);
        let mut fetched = futures_util::stream::iter(bundles)
            .map(|index| async move {
                let offset = if index == from / TILE_WIDTH { tail } else { 0 };
                let range = from.max(index * TILE_WIDTH)..size.min((index + 1) * TILE_WIDTH);
                let bytes = self.bundle(log, index, range.end - index * TILE_WIDTH, offset).await?;
                Ok::<_, Error>((index, bytes, range))
            })
            .buffered(REQUESTS);
        while let Some((index, bytes, range)) = fetched.try_next().await? {
            let what = || self.place(&log.entries(index, range.end - index * TILE_WIDTH));
            let entries = bundle::read(&bytes, range.end - range.start);
            for entry in entries.map_err(|why| Error::trust(what(), format!("is damaged: it {why}")))? {
                each(entry, replica.push(entry)?);
            }
        }
        Ok(())
    }

    /// Returns the log as it is now, and the effects of the entries since `known` remembered it; `None` if
    /// there is no log.
    ///
    /// # Errors
    /// As [`Registry::sync_log`].
    pub(crate) async fn log_news(
        &self,
        anchor: &LogKey,
        known: &KnownLog,
        policy: &WitnessPolicy,
    ) -> Result<Option<(LogView, Vec<Result<Accepted, Rejected>>)>> {
        let mut before = known.load()?.replica;
        let Some(view) = self.sync_log(anchor, Some(known), policy).await? else { return Ok(None) };
        let mut entries = Vec::new();
        if view.behind.is_none() && before.size() < view.replica.size() {
            self.extend_and(&mut before, view.replica.size(), |_, entry| entries.push(entry)).await?;
        }
        Ok(Some((view, entries)))
    }

    /// Returns the bytes of a bundle of at least `width` entries, from `offset` on.
    pub(super) async fn bundle(
        &self,
        log: layout::Log,
        index: u64,
        width: u64,
        offset: u64,
    ) -> Result<Vec<u8>> {
        // A partial bundle may have been completed since, and then only the full one is sure to exist.
        for width in [width, TILE_WIDTH] {
            let path = log.entries(index, width);
            if let Some(bytes) = self.read_from(&path, offset, bundle::MAX_LEN).await? {
                return Ok(bytes);
            }
        }
        Err(Error::not_found(
            Missing::Object,
            self.place(&log.entries(index, width)),
            format!("registry {}", self.name()),
        ))
    }

    async fn read_from(&self, path: &str, offset: u64, cap: u64) -> Result<Option<Vec<u8>>> {
        let bytes = transport::read_from(self.own.transport.as_ref(), path, offset, cap).await?;
        self.count(bytes.as_ref().map_or(0, Vec::len));
        Ok(bytes)
    }

    /// Returns why the entries do not lead to the root of `signed`: either they are damaged, or they are
    /// another history, whole in itself, than the one that was seen.
    async fn disagreement(
        &self,
        signed: &SignedCheckpoint,
        replica: &Replica,
        seen: Option<&Seen>,
        fork: impl Fn(&Seen) -> Result<Error>,
    ) -> Error {
        let mut whole = Replica::new(replica.history().anchor().clone());
        let read = self.extend(&mut whole, signed.claimed_size()).await;
        match (read.and_then(|_| whole.tree().root()), seen) {
            (Ok(root), Some(seen)) if root == signed.claimed_root() => fork(seen).unwrap_or_else(|e| e),
            _ => self.damage(layout::Log::of(whole.history().anchor()), signed).await,
        }
    }

    /// The location of a file of the registry, for messages.
    pub fn place(&self, path: &str) -> String {
        self.own.transport.locate(path)
    }
}

/// Compares notes of indexes of names with the entries of a log, all of which are in `filing`. Returns the
/// error that the log's key has signed an index that is not theirs, if it has; it is then kept as evidence.
fn judge(
    notes: &[SignedNames],
    filing: &Filing,
    view: &LogView,
    known: Option<&KnownLog>,
) -> Result<Option<Error>> {
    let (history, mut wrong) = (view.replica.history(), None);
    for note in notes {
        let size = note.claimed_size();
        // What no key of the log has signed is nobody's word; but one that was given up has none any more.
        if !history.all_keys().any(|key| note.verify_signature(&key).is_ok()) {
            continue;
        }
        if let Ok(root) = names::root_in(note, &view.replica, "the note")
            && filing.make(size, &mut |_, _| Ok(()))? == root
        {
            continue;
        }
        let kept = known.map(|known| known.keep_wrong(note, &view.note)).transpose()?;
        let place = kept.map_or_else(String::new, |folder| format!(" (it is in {})", folder.display()));
        let what = format!("the index of names of {size} entries of log {}", history.anchor().origin());
        wrong.get_or_insert(Error::trust(what, format!("{}{place}", names::OTHER)));
    }
    Ok(wrong)
}

/// Turns the error of an absent file into that of entries missing from the log, since the checkpoint says
/// that the file exists.
pub(super) fn left_out(error: Error) -> Error {
    match error {
        Error::NotFound { what, .. } => {
            Error::trust(what, "is missing, but the checkpoint signs entries in it")
        }
        other => other,
    }
}

impl WitnessPolicy {
    /// Checks that enough witnesses have cosigned `checkpoint`, and recently enough. Errors call it `what`.
    ///
    /// # Errors
    /// [`Error::Trust`] if they have not; [`Error::Invalid`] if a maximum age is given without witnesses.
    pub fn check(&self, what: &str, checkpoint: &SignedCheckpoint) -> Result<()> {
        let refuse = |why: String| Err(Error::trust(what, why));
        if self.witnesses.is_empty() {
            return match self.max_age {
                None => Ok(()),
                Some(_) => Err(Error::invalid(
                    "--max-age",
                    "needs a witness, whose clock it uses: `isn trust add REGISTRY VKEY` adds one",
                )),
            };
        }
        let mut cosigned = checkpoint.cosignatures(&self.witnesses)?;
        if cosigned.len() < self.needed {
            let (found, needed) = (cosigned.len(), self.needed);
            return refuse(format!("is cosigned by {found} of the {needed} witnesses that it needs"));
        }
        cosigned.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        let Some(max_age) = self.max_age else { return Ok(()) };
        // The needed number of witnesses have cosigned at this time or later.
        let time = cosigned.get(self.needed.max(1) - 1).map_or(0, |(_, time)| *time);
        let age = self.now.saturating_sub(time);
        if age > max_age {
            return refuse(format!(
                "was last seen by {} of its witnesses {age} seconds ago, more than the {max_age} of \
                 --max-age: newer entries may be withheld from you",
                self.needed.max(1)
            ));
        }
        Ok(())
    }
}
