//! Reading a registry's log: the checkpoint, the entries that are new, and whether both follow what was seen before.

use futures_util::{StreamExt, TryStreamExt};

use super::{Registry, layout};
use crate::known_logs::{KnownLog, Seen};
use crate::transport;
use isn_format::error::{Error, Missing, Result};
use isn_format::log::{
    Accepted, LogKey, MAX_CHECKPOINT, Rejected, Replica, SignedCheckpoint, TILE_WIDTH, WitnessKey, bundle,
};

/// Bundles that are fetched at once.
const REQUESTS: usize = 8;
/// How often a log is read again that changed while it was read.
const ATTEMPTS: usize = 3;

/// Who must have seen a checkpoint beside the log itself.
#[derive(Clone, Debug, Default)]
pub struct WitnessPolicy {
    /// The witnesses that the user knows.
    pub witnesses: Vec<WitnessKey>,
    /// How many of them must have cosigned.
    pub needed: usize,
    /// How old, in seconds, the newest of the needed cosignatures may be.
    pub max_age: Option<u64>,
    /// Now, in seconds since 1970.
    pub now: u64,
}

/// A log that has been read to its end, every entry under the root that its key signed.
pub struct LogView {
    /// Tree and history.
    pub replica: Replica,
    /// The newest checkpoint, as a note.
    pub note: Vec<u8>,
    /// The registry is a mirror that is behind: what it has is all true, and less than what was seen elsewhere.
    pub behind: Option<String>,
}

impl Registry {
    /// The checkpoint that the registry shows, not verified; `None` where it has no log.
    pub async fn signed_checkpoint(&self) -> Result<Option<SignedCheckpoint>> {
        let read = self.read(layout::CHECKPOINT, MAX_CHECKPOINT).await;
        let Some(bytes) = read.map_err(|e| match e {
            // Longer than any: nobody damages a file so.
            Error::Integrity { what, why, .. } => Error::Trust { what, why },
            other => other,
        })?
        else {
            return Ok(None);
        };
        SignedCheckpoint::parse(&self.place(layout::CHECKPOINT), bytes).map(Some)
    }

    /// Reads the log that is known by `anchor` to its end, from where `known` remembers it, and remembers it again.
    /// `None` where the registry has none and none was ever seen.
    pub async fn sync_log(
        &self,
        anchor: &LogKey,
        known: Option<&KnownLog>,
        policy: &WitnessPolicy,
    ) -> Result<Option<LogView>> {
        let remembered = known.map(KnownLog::load).transpose()?;
        let (base, seen) = match remembered {
            Some(remembered) => (remembered.replica, remembered.seen),
            None => (Replica::new(anchor.clone()), None),
        };
        let mut attempt = 1;
        let (view, is_new) = loop {
            let Some(signed) = self.signed_checkpoint().await? else {
                // An empty log is nothing that could have been lost.
                let Some(seen) = seen.filter(|seen| seen.size > 0) else { return Ok(None) };
                let why = format!(
                    "shows no log ({} is not there), and had one of {} entries, {}: a log does not go away",
                    layout::CHECKPOINT,
                    seen.size,
                    anchor.origin()
                );
                return Err(Error::trust(format!("registry {}", self.name()), why));
            };
            match self.follow(&signed, base.clone(), seen.as_ref(), known).await {
                // It went on while it was read: its last, partial bundle has another name now.
                Err(Error::NotFound { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(e @ Error::NotFound { .. }) => {
                    signed.verify(&base.history().key_at(signed.claimed_size()))?;
                    return Err(left_out(e));
                }
                followed => break followed?,
            }
        };
        let signed = SignedCheckpoint::parse(&self.place(layout::CHECKPOINT), view.note.clone())?;
        policy.check("the log's checkpoint", &signed)?;
        if let Some(known) = known.filter(|_| is_new) {
            known.store(&view.replica, &view.note)?;
        }
        Ok(Some(view))
    }

    /// Whether the log of `view` is the one that is known by `key`: by a key that it has had, or that leads to it.
    pub async fn is_known_by(&self, key: &LogKey, view: &LogView) -> Result<bool> {
        let history = view.replica.history();
        if history.has_key(key) || key.origin() != history.anchor().origin() {
            return Ok(history.has_key(key));
        }
        // A key that was given up before the one that the reader knows the log by: then its entries say so.
        let mut by_key = Replica::new(key.clone());
        self.extend(&mut by_key, view.replica.size()).await?;
        Ok(by_key.tree().root()? == view.replica.tree().root()? && by_key.history().key() == history.key())
    }

    /// The log up to `signed`, which must continue `base` and not contradict `seen`; and whether there is anything new.
    async fn follow(
        &self,
        signed: &SignedCheckpoint,
        base: Replica,
        seen: Option<&Seen>,
        known: Option<&KnownLog>,
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
                    seen.ok_or_else(|| Error::Internal("a replay without a checkpoint".into()))?,
                )?);
            }
            let note = seen.map_or_else(|| signed.bytes().to_vec(), |seen| seen.note.clone());
            if size == base.size() {
                // The same tree; perhaps more witnesses have signed it meanwhile.
                let is_new = note != signed.bytes();
                let view = LogView { replica: base, note: signed.bytes().to_vec(), behind: None };
                return Ok((view, is_new || seen.is_none()));
            }
            let behind = format!(
                "registry {} is a stale mirror: its log has {size} entries, {} were seen before; what was seen counts",
                self.name(),
                base.size()
            );
            return Ok((LogView { replica: base, note, behind: Some(behind) }, false));
        }
        let mut replica = base;
        let agrees = match self.extend(&mut replica, size).await {
            Ok(_) => replica.tree().root()? == root,
            // Entries that do not go on where the known ones end may be whole, and those of another history.
            Err(Error::Trust { .. } | Error::Integrity { .. }) => false,
            Err(e) => return Err(e),
        };
        if !agrees {
            early?;
            return Err(self.disagreement(signed, &replica, seen, fork).await);
        }
        signed.verify(&replica.history().key_at(size))?;
        // The replay was lost, or never there: then the entries have only now been held against what was seen.
        if let Some(seen) = seen
            && (seen.size > size || replica.tree().root_at(seen.size)? != seen.root)
        {
            if seen.size > size {
                let why = format!("has {size} entries, {} were seen before: this mirror is stale", seen.size);
                return Err(Error::trust(self.place(layout::CHECKPOINT), why));
            }
            return Err(fork(seen)?);
        }
        Ok((LogView { replica, note: signed.bytes().to_vec(), behind: None }, true))
    }

    /// Fetches and replays the entries up to `size`; gives the effect of each.
    pub(super) async fn extend(
        &self,
        replica: &mut Replica,
        size: u64,
    ) -> Result<Vec<Result<Accepted, Rejected>>> {
        let (from, tail) = (replica.size(), replica.tail());
        let bundles = (from / TILE_WIDTH)..size.div_ceil(TILE_WIDTH);
        let mut fetched = futures_util::stream::iter(bundles)
            .map(|index| async move {
                let offset = if index == from / TILE_WIDTH { tail } else { 0 };
                let range = from.max(index * TILE_WIDTH)..size.min((index + 1) * TILE_WIDTH);
                let bytes = self.bundle(index, range.end - index * TILE_WIDTH, offset).await?;
                Ok::<_, Error>((index, bytes, range))
            })
            .buffered(REQUESTS);
        let mut replayed = Vec::new();
        while let Some((index, bytes, range)) = fetched.try_next().await? {
            let what = || self.place(&layout::log_entries(index, range.end - index * TILE_WIDTH));
            let entries = bundle::read(&bytes, range.end - range.start);
            for entry in entries.map_err(|why| Error::trust(what(), format!("is damaged: it {why}")))? {
                replayed.push(replica.push(entry)?);
            }
        }
        Ok(replayed)
    }

    /// What is new in a log since `known` remembered it, and the log as it is now.
    pub async fn log_news(
        &self,
        anchor: &LogKey,
        known: &KnownLog,
        policy: &WitnessPolicy,
    ) -> Result<Option<(LogView, Vec<Result<Accepted, Rejected>>)>> {
        let mut before = known.load()?.replica;
        let Some(view) = self.sync_log(anchor, Some(known), policy).await? else { return Ok(None) };
        let entries = if view.behind.is_some() || before.size() >= view.replica.size() {
            Vec::new()
        } else {
            self.extend(&mut before, view.replica.size()).await?
        };
        Ok(Some((view, entries)))
    }

    /// The bytes of a bundle of at least `width` entries, from `offset` on.
    pub(super) async fn bundle(&self, index: u64, width: u64, offset: u64) -> Result<Vec<u8>> {
        // A partial bundle may have been completed since, and then only the full one is sure to be there.
        for width in [width, TILE_WIDTH] {
            let path = layout::log_entries(index, width);
            if let Some(bytes) = self.read_from(&path, offset, bundle::MAX_LEN).await? {
                return Ok(bytes);
            }
        }
        Err(Error::not_found(
            Missing::Object,
            self.place(&layout::log_entries(index, width)),
            format!("registry {}", self.name()),
        ))
    }

    async fn read_from(&self, path: &str, offset: u64, cap: u64) -> Result<Option<Vec<u8>>> {
        let bytes = transport::read_from(self.own.transport.as_ref(), path, offset, cap).await?;
        self.count(bytes.as_ref().map_or(0, Vec::len));
        Ok(bytes)
    }

    /// Why the entries do not lead to the root that `signed` has: a history that is whole in itself and is not the one
    /// that was seen, or damage.
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
            _ => self.damage(signed).await,
        }
    }

    /// Where a file of the registry is, for messages.
    pub fn place(&self, path: &str) -> String {
        self.own.transport.locate(path)
    }
}

/// What the absence of a file means that the log's checkpoint promises.
pub(super) fn left_out(error: Error) -> Error {
    match error {
        Error::NotFound { what, .. } => {
            Error::trust(what, "is missing, and has entries that the checkpoint signs")
        }
        other => other,
    }
}

impl WitnessPolicy {
    /// Whether enough witnesses have cosigned `checkpoint`, called `what` in errors, and lately enough.
    pub fn check(&self, what: &str, checkpoint: &SignedCheckpoint) -> Result<()> {
        let refuse = |why: String| Err(Error::trust(what, why));
        if self.witnesses.is_empty() {
            return match self.max_age {
                None => Ok(()),
                Some(_) => Err(Error::invalid(
                    "--max-age",
                    "needs a witness, whose time it is: `isn trust add REGISTRY VKEY` names one",
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
        // So many witnesses have seen it at that time or later.
        let time = cosigned.get(self.needed.max(1) - 1).map_or(0, |(_, time)| *time);
        let age = self.now.saturating_sub(time);
        if age > max_age {
            return refuse(format!(
                "was last seen by {} of its witnesses {age} seconds ago, more than the {max_age} of --max-age: newer \
                 entries may be kept from you",
                self.needed.max(1)
            ));
        }
        Ok(())
    }
}
