//! Reads what a registry's log says about one name, by the index of names, without the rest of the log.
//! docs/log-at-scale.md says what that rests on.
//!
//! Whatever is not as it must be, the whole log is read instead, and says what is wrong: it has an answer to
//! every question, and this has not.

use std::collections::BTreeMap;
use std::ops::Range;

use futures_util::{StreamExt, TryStreamExt};

use super::log::{ATTEMPTS, Begun, LogView, REQUESTS, WitnessPolicy};
use super::names::LEAST;
use super::{Registry, layout};
use crate::known_logs::{KnownLog, Remembered, RememberedName, Seen};
use crate::transport;
use isn_format::dataset_ref::Name;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::log::names::{File, Found, MAX_FILE, Node, Place, Row, SignedNames, Top};
use isn_format::log::{
    Extract, Hash, History, LogKey, Questions, SignedCheckpoint, TILE_WIDTH, Tile, TreePart, bundle,
    leaf_hash, prove_leaf,
};

/// The maximum number of entries that are read as such, since a replay of no more takes no longer than a look
/// into the index.
const MOST_NEW: u64 = LEAST;
/// Entries of a bundle that are no further apart than this, in bytes, are read with one request.
const NEAR: u32 = 4 << 10;

/// A log as far as a verb about one name needs it.
pub enum NameView {
    /// The whole log.
    Whole(LogView),
    /// What it says about the name.
    Extract(ExtractView),
}

/// What a log says about one name, by its index of names.
pub struct ExtractView {
    /// What it says.
    pub extract: Extract,
    /// The newest checkpoint, as a note.
    pub note: Vec<u8>,
    /// Set if the registry is a stale mirror, or is not asked.
    pub behind: Option<String>,
}

impl NameView {
    /// Returns what the log says about the name; of other names, perhaps nothing.
    pub fn history(&self) -> &History {
        match self {
            NameView::Whole(view) => view.replica.history(),
            NameView::Extract(view) => view.extract.history(),
        }
    }

    /// Returns the leaf of an entry that the history has.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        match self {
            NameView::Whole(view) => view.replica.tree().leaf(index),
            NameView::Extract(view) => view.extract.leaves().get(&index).copied(),
        }
    }

    /// Returns the checkpoint, as a note.
    pub fn note(&self) -> &[u8] {
        match self {
            NameView::Whole(view) => &view.note,
            NameView::Extract(view) => &view.note,
        }
    }

    /// Returns the message that this is not all that the log has by now, if it is not.
    pub fn behind(&self) -> Option<&String> {
        match self {
            NameView::Whole(view) => view.behind.as_ref(),
            NameView::Extract(view) => view.behind.as_ref(),
        }
    }
}

/// Why an extract was not read.
enum Stop {
    /// Few entries are new: they are read as such.
    Near(Box<(SignedCheckpoint, Remembered)>),
    /// Something is missing or not up to date: the whole log is read.
    NoIndex,
    /// Something is wrong, and perhaps the note itself: whoever has the whole log can tell.
    Doubt,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl Registry {
    /// Reads what the log that the user knows by the key `anchor` says about `name`, from where `known`
    /// remembers it, and stores it there: by the index of names if many entries are new, and else as
    /// [`Registry::sync_log`] does.
    ///
    /// # Errors
    /// As [`Registry::sync_log`].
    pub(crate) async fn sync_name(
        &self,
        anchor: &LogKey,
        known: &KnownLog,
        policy: &WitnessPolicy,
        name: &Name,
    ) -> Result<Option<NameView>> {
        let mut note = None;
        let begun = match self.extract(anchor, known, policy, name, &mut note).await {
            Ok(view) => return Ok(Some(NameView::Extract(view))),
            Err(Stop::Failed(e)) => return Err(e),
            Err(Stop::Near(shown)) => Begun { shown: Some(*shown), doubted: None },
            Err(Stop::NoIndex) => Begun::default(),
            Err(Stop::Doubt) => {
                tracing::info!("the index of names of registry {} is in doubt", self.name());
                Begun { doubted: note, ..Begun::default() }
            }
        };
        let whole = self.sync_begun(anchor, Some(known), policy, begun).await?;
        Ok(whole.map(NameView::Whole))
    }

    /// Reads the extract. Leaves the note of the index in `note`, if it has read one.
    async fn extract(
        &self,
        anchor: &LogKey,
        known: &KnownLog,
        policy: &WitnessPolicy,
        name: &Name,
        note: &mut Option<SignedNames>,
    ) -> Result<ExtractView, Stop> {
        let log = layout::Log::of(anchor);
        let mut signed = self.checkpoint_or_stop(log).await?;
        let (remembered, kept) = (known.load()?, known.name(name));
        let (replayed_to, shown) = (remembered.replica.size(), signed.claimed_size());
        let has = |size: u64, there: u64| there <= size.saturating_add(MOST_NEW);
        let is_newer = kept.as_ref().is_some_and(|kept| kept.extract.size() > replayed_to);
        if let Some(kept) = kept.as_ref().filter(|_| is_newer)
            && let Some(view) = self.kept_view(kept, &signed, remembered.seen.as_ref(), known, policy)?
        {
            return Ok(view);
        }
        if let Some(seen) = remembered.seen.as_ref().filter(|seen| seen.size > shown)
            && (is_newer || replayed_to < shown)
        {
            // Nothing that is kept leads to what was seen, and the log is not read just to be refused.
            return Err(self.stale(&signed, seen, &known.keys()?));
        }
        if has(replayed_to, shown) {
            return Err(Stop::Near(Box::new((signed, remembered))));
        }
        let Remembered { replica, replayed, seen } = remembered;
        // What is known already must be among what the index says.
        let mut facts = replica.history().entries_about(name);
        facts.extend(known.keys_by_name().iter().flat_map(|keys| keys.entries_about(name)));
        // It may be that of a long log.
        drop(replica);
        // One of a race with another process, which has not stored its checkpoint.
        let kept = kept.filter(|kept| kept.extract.size() <= signed.claimed_size());
        if !kept.as_ref().is_some_and(|kept| has(kept.extract.size(), signed.claimed_size())) {
            let (there, shown) = self.note_and_checkpoint(log, signed).await?;
            signed = shown;
            if !has(there.claimed_size(), signed.claimed_size()) {
                return Err(Stop::NoIndex);
            }
            *note = Some(there);
        }
        let base = match &kept {
            Some(kept) => kept.extract.clone(),
            None => Extract::new(anchor.clone(), name.clone())?,
        };
        let note = note.as_ref();
        let reader = Reader { registry: self, signed: &signed, log, base, note };
        let (extract, part) = reader.read(seen.as_ref()).await?;
        let checked = signed.verify(&extract.history().key_at(extract.size()));
        // Perhaps its key is one that the index hides.
        checked.map_err(|_| Stop::Doubt)?;
        if !facts.iter().all(|index| extract.leaves().contains_key(index)) {
            return Err(Stop::Doubt);
        }
        if let Some(note) = note {
            // What nobody signed is no index.
            let size = note.claimed_size();
            let key = extract.history().signer_at(size);
            note.verify_signature(&key).map_err(|_| Stop::NoIndex)?;
            if part.root_at(size) != Some(note.claimed_log_root()) {
                return Err(Stop::Doubt);
            }
        }
        for seen in seen.iter().chain(kept.as_ref().map(|kept| &kept.seen)) {
            if part.root_at(seen.size) != Some(seen.root) {
                return Err(known.fork(seen, signed.bytes(), self.name())?.into());
            }
        }
        policy.check("the log's checkpoint", &signed)?;
        if let Some(note) = note {
            known.rely_on(note)?;
        }
        known.store_name(&extract, signed.bytes(), seen.as_ref(), replayed.as_ref())?;
        Ok(ExtractView { extract, note: signed.bytes().to_vec(), behind: None })
    }

    /// Returns the error that a mirror shows less than was seen here, if its checkpoint is the log's.
    fn stale(&self, signed: &SignedCheckpoint, seen: &Seen, keys: &History) -> Stop {
        let size = signed.claimed_size();
        if signed.verify(&keys.key_at(size)).is_err() {
            return Stop::NoIndex;
        }
        let why = format!("has {size} entries, {} were seen before: this mirror is stale", seen.size);
        Error::trust(self.place(&layout::Log::of(keys.anchor()).checkpoint()), why).into()
    }

    async fn checkpoint_or_stop(&self, log: layout::Log) -> Result<SignedCheckpoint, Stop> {
        // Whoever reads the whole log says what it means that there is none.
        self.signed_checkpoint(log).await?.ok_or(Stop::NoIndex)
    }

    /// Returns the note of the index of names, and a checkpoint that is not older: `signed`, or one that is
    /// read again, if the log was advanced meanwhile.
    async fn note_and_checkpoint(
        &self,
        log: layout::Log,
        mut signed: SignedCheckpoint,
    ) -> Result<(SignedNames, SignedCheckpoint), Stop> {
        for _ in 0..ATTEMPTS {
            // It may also be damaged, a newer isn's, or not to be had.
            let note = self.names_note().await.map_err(|_| Stop::NoIndex)?;
            let note = note.ok_or(Stop::NoIndex)?;
            if note.claimed_size() <= signed.claimed_size() {
                return Ok((note, signed));
            }
            signed = self.checkpoint_or_stop(log).await?;
        }
        Err(Stop::NoIndex)
    }

    /// Returns what is remembered of a name, if the registry shows nothing newer.
    fn kept_view(
        &self,
        kept: &RememberedName,
        signed: &SignedCheckpoint,
        seen: Option<&Seen>,
        known: &KnownLog,
        policy: &WitnessPolicy,
    ) -> Result<Option<ExtractView>, Stop> {
        let (size, is_newest) = (signed.claimed_size(), seen.is_some_and(|seen| *seen == kept.seen));
        let (extract, shown) = (&kept.extract, kept.extract.size());
        if !is_newest || size > shown {
            return Ok(None);
        }
        // The whole log says what is wrong with it.
        signed.verify(&extract.history().key_at(size)).map_err(|_| Stop::NoIndex)?;
        if size == shown && signed.claimed_root() != kept.seen.root {
            return Err(known.fork(&kept.seen, signed.bytes(), self.name())?.into());
        }
        let (note, behind) = match size == shown {
            // The same tree, but perhaps with more cosignatures by now.
            true => (signed.bytes().to_vec(), None),
            false => {
                let behind = format!(
                    "registry {} is a stale mirror: its log has {size} entries, {shown} were seen before; \
                     what was seen counts",
                    self.name()
                );
                (kept.seen.note.clone(), Some(behind))
            }
        };
        policy.check("the log's checkpoint", &SignedCheckpoint::parse("the checkpoint", note.clone())?)?;
        Ok(Some(ExtractView { extract: extract.clone(), note, behind }))
    }

    /// Returns the hashes that prove an entry of the log of `view` in its tree.
    ///
    /// # Errors
    /// [`Error::Trust`] if the tiles are missing, or not those of the tree; also fails if they cannot be
    /// read.
    pub(crate) async fn prove_entry(&self, index: u64, view: &NameView) -> Result<Vec<Hash>> {
        let view = match view {
            NameView::Whole(view) => return view.replica.tree().prove_leaf(index),
            NameView::Extract(view) => view,
        };
        let (head, log) = (view.extract.head(), layout::Log::of(view.extract.history().anchor()));
        let questions = Questions { leaves: [index].into(), ..Questions::default() };
        let tiles = self.tiles(log, head.0, &questions).await?;
        let what = || self.place(&log.tiles());
        let tiles = tiles.ok_or_else(|| Error::trust(what(), "lacks a tile of the tree that is signed"))?;
        prove_leaf(head, index, &tiles)
    }

    /// Reads the tiles that answer questions about a tree; `None` if one is missing.
    async fn tiles(
        &self,
        log: layout::Log,
        size: u64,
        questions: &Questions,
    ) -> Result<Option<BTreeMap<Tile, Vec<u8>>>> {
        let wanted = questions.tiles(size).map_err(|why| Error::Internal(why.into()))?;
        let read = wanted.into_iter().map(|tile| async move {
            // A partial tile may have been completed since.
            for width in [tile.width, TILE_WIDTH] {
                let path = log.tile(tile.level, tile.index, width);
                match self.read(&path, 32 * TILE_WIDTH).await {
                    Ok(Some(mut bytes)) => {
                        bytes.truncate(32 * tile.width as usize);
                        return Ok(Some((tile, bytes)));
                    }
                    // It is longer than any.
                    Ok(None) | Err(Error::Integrity { .. }) => {}
                    Err(e) => return Err(e),
                }
            }
            Ok::<_, Error>(None)
        });
        futures_util::stream::iter(read)
            .buffered(REQUESTS)
            .try_collect::<Vec<_>>()
            .await
            .map(|tiles| tiles.into_iter().collect())
    }

    /// Reads bytes of a bundle of at least `width` entries; `None` if it is missing.
    async fn bundle_range(
        &self,
        log: layout::Log,
        (index, width): (u64, u64),
        range: Range<u64>,
    ) -> Result<Option<Vec<u8>>> {
        for width in [width, TILE_WIDTH] {
            let path = log.entries(index, width);
            let transport = self.own.transport.as_ref();
            if let Some(bytes) = transport::read_range(transport, &path, range.clone()).await? {
                self.count(bytes.len());
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

/// Reads what is new about one name in the log of a checkpoint.
struct Reader<'a> {
    registry: &'a Registry,
    signed: &'a SignedCheckpoint,
    log: layout::Log,
    /// What is remembered of the name.
    base: Extract,
    /// The note of the index of names; `None` if the entries since `base` are few, and read as such.
    note: Option<&'a SignedNames>,
}

impl Reader<'_> {
    fn size(&self) -> u64 {
        self.signed.claimed_size()
    }

    /// Returns what the log says about the name, and the part of the tree that shows it, with the roots that
    /// it had at the sizes of the note, of the base and of what was seen. Nobody has verified the checkpoint
    /// and the note: what the entries say of the log's keys is needed for that.
    async fn read(&self, seen: Option<&Seen>) -> Result<(Extract, TreePart), Stop> {
        let places = match self.note {
            Some(note) => self.places(note).await?,
            None => Vec::new(),
        };
        // Those of the index, and all after it.
        let first = self.note.map_or(self.base.size(), SignedNames::claimed_size);
        let sizes = [first, self.base.size()].into_iter().chain(seen.map(|seen| seen.size));
        let questions = Questions {
            leaves: places.iter().map(|place| place.index).chain(first..self.size()).collect(),
            sizes: sizes.collect(),
        };
        let tiles = self.registry.tiles(self.log, self.size(), &questions);
        let (tiles, entries, later) = tokio::join!(tiles, self.entries(&places), self.later(first));
        let tiles = tiles.ok().flatten().ok_or(Stop::NoIndex)?;
        let (mut entries, later) = (entries?, later?);
        let head = (self.size(), self.signed.claimed_root());
        let part = TreePart::read(head, &questions, &tiles).map_err(|_| Stop::Doubt)?;
        let is_there = |(index, entry): (&u64, &Vec<u8>)| part.leaf(*index) == Some(leaf_hash(entry));
        if !entries.iter().all(is_there) || !later.iter().all(is_there) {
            return Err(Stop::Doubt);
        }
        entries.extend(later.into_iter().filter(|(_, entry)| self.base.is_about(entry)));
        let extract = self.base.clone().continued(head, &entries).map_err(|_| Stop::Doubt)?;
        Ok((extract, part))
    }

    /// Returns the places of the entries that the index has about the name and the log, and that are new.
    async fn places(&self, note: &SignedNames) -> Result<Vec<Place>, Stop> {
        let root = note.claimed_root();
        let bytes = self.file(&root.file(), &root.hash).await?;
        let top = Top::parse(&bytes, &root.hash).map_err(|_| Stop::Doubt)?;
        let (mut node, mut prefix) = (top.node, Vec::new());
        let row = loop {
            match node.find(self.base.name(), &prefix) {
                Found::Row(row) => break Some(row.clone()),
                Found::Nothing => break None,
                Found::Below(file, hash) => {
                    let bytes = self.file(&file, &hash).await?;
                    if let File::Node { prefix: below, .. } = file {
                        prefix = below;
                    }
                    node = Node::parse(&bytes, &prefix, &hash).map_err(|_| Stop::Doubt)?;
                }
            }
        };
        let mut places = self.places_of(&top.log, note).await?;
        if let Some(row) = row {
            places.extend(self.places_of(&row, note).await?);
        }
        // What was read before must be what the index says, too.
        let (old, new): (Vec<Place>, _) =
            places.into_iter().partition(|place| place.index < self.base.size());
        let mut old: Vec<u64> = old.into_iter().map(|place| place.index).collect();
        old.sort_unstable();
        if !old.iter().eq(self.base.leaves().keys()) {
            return Err(Stop::Doubt);
        }
        Ok(new)
    }

    /// Returns all places of a row, in order.
    async fn places_of(&self, row: &Row, note: &SignedNames) -> Result<Vec<Place>, Stop> {
        // No more than there are entries.
        if row.count() > note.claimed_size() {
            return Err(Stop::Doubt);
        }
        let (mut blocks, mut places) = (row.blocks(), Vec::new());
        loop {
            let read = blocks.iter().map(|(level, index, hash)| async move {
                let of = row.subject().clone();
                let file = File::Block { of, level: *level, index: *index };
                Ok::<_, Stop>((*level, *index, *hash, self.file(&file, hash).await?))
            });
            let read: Vec<_> = futures_util::stream::iter(read).buffered(REQUESTS).try_collect().await?;
            blocks = Vec::new();
            for (level, index, hash, bytes) in read {
                if level == 0 {
                    places.extend(Row::places(&bytes, &hash).map_err(|_| Stop::Doubt)?);
                    continue;
                }
                let hashes = Row::hashes(&bytes, &hash).map_err(|_| Stop::Doubt)?;
                let below = index * hashes.len() as u64..;
                blocks.extend(below.zip(hashes).map(|(index, hash)| (level - 1, index, hash)));
            }
            if blocks.is_empty() {
                break;
            }
        }
        places.extend(row.last());
        places.sort_unstable();
        let is_once = places.windows(2).all(|two| two[0].index < two[1].index);
        let is_in = places.last().is_none_or(|last| last.index < note.claimed_size());
        match is_once && is_in && places.len() as u64 == row.count() {
            true => Ok(places),
            false => Err(Stop::Doubt),
        }
    }

    /// Reads a file of the index. The hash is compared first: what is parsed is what the note leads to.
    async fn file(&self, file: &File, hash: &Digest) -> Result<Vec<u8>, Stop> {
        let path = layout::names_file(file);
        // Whatever is wrong with it, the log itself may be there.
        let bytes = self.registry.read(&path, MAX_FILE).await.ok().flatten().ok_or(Stop::NoIndex)?;
        if Digest::of(&bytes) == *hash { Ok(bytes) } else { Err(Stop::NoIndex) }
    }

    /// Reads the entries at these places.
    async fn entries(&self, places: &[Place]) -> Result<BTreeMap<u64, Vec<u8>>, Stop> {
        let mut places = places.to_vec();
        places.sort_unstable();
        let is_near = |one: &Place, next: &Place| {
            let end = one.offset + u32::from(one.length);
            one.index / TILE_WIDTH == next.index / TILE_WIDTH && next.offset <= end.saturating_add(NEAR)
        };
        let read = places.chunk_by(is_near).map(|near| async move {
            let bundle = near[0].index / TILE_WIDTH;
            let width = TILE_WIDTH.min(self.size() - bundle * TILE_WIDTH);
            let end = |place: &Place| u64::from(place.offset) + u64::from(place.length);
            let begin = u64::from(near[0].offset);
            let range = begin..near.iter().map(end).max().unwrap_or(begin);
            let bytes = self.registry.bundle_range(self.log, (bundle, width), range).await;
            let bytes = bytes.ok().flatten().ok_or(Stop::NoIndex)?;
            let entry = |place: &Place| {
                let at = u64::from(place.offset).checked_sub(begin)? as usize;
                Some((place.index, bytes.get(at..at + usize::from(place.length))?.to_vec()))
            };
            near.iter().map(entry).collect::<Option<Vec<_>>>().ok_or_else(|| Stop::Doubt)
        });
        let read: Vec<_> = futures_util::stream::iter(read).buffered(REQUESTS).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Reads all entries from `first` on.
    async fn later(&self, first: u64) -> Result<BTreeMap<u64, Vec<u8>>, Stop> {
        let size = self.size();
        let bundles = if first < size { first / TILE_WIDTH..size.div_ceil(TILE_WIDTH) } else { 0..0 };
        let read = bundles.map(|index| async move {
            let width = TILE_WIDTH.min(size - index * TILE_WIDTH);
            let bytes = self.registry.bundle(self.log, index, width, 0).await;
            let bytes = bytes.map_err(|_| Stop::NoIndex)?;
            let entries = bundle::read(&bytes, width).map_err(|_| Stop::Doubt)?;
            let numbered = (index * TILE_WIDTH..).zip(entries).filter(|(number, _)| *number >= first);
            Ok::<_, Stop>(numbered.map(|(number, entry)| (number, entry.to_vec())).collect::<Vec<_>>())
        });
        let read: Vec<_> = futures_util::stream::iter(read).buffered(REQUESTS).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }
}
