//! Where the objects of a registry are: in the cache, in the registry itself, and in its mirrors. An object
//! is identified by its hash, so any location will do. One that served wrong bytes is set aside, and
//! reported.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::publish::check_file;
use super::{BUNDLED, Head, Registry, Snapshot, layout};
use crate::cache::Cache;
use crate::cache::MAX_METADATA;
use crate::transport::folder::Gone;
use crate::transport::{self, AtHand, Ranges, Transport};
use crate::trust::RegistryId;
use isn_format::digest::Digest;
use isn_format::error::{Error, NetworkKind, Result, chain};
use isn_format::object::{ObjectKind, ObjectRef};

/// How many times a location may serve bad bytes before it is no longer asked: one time may be the network's
/// fault.
const STRIKES: u32 = 2;

/// A location that may have the objects.
pub(super) struct Location {
    pub(super) name: String,
    pub(super) transport: Box<dyn Transport>,
    /// In how many rounds of requests it has served bad bytes, and the last of these rounds, from 1.
    strikes: AtomicU32,
    last_strike: AtomicU32,
    /// How many times it was given up because it did not answer, or was too slow.
    given_up: AtomicU32,
    /// Whether somebody has begun to find out whether it sends ranges.
    is_probed: tokio::sync::Mutex<bool>,
}

impl Location {
    pub(super) fn new(name: String, transport: Box<dyn Transport>) -> Self {
        Location {
            name,
            transport,
            strikes: AtomicU32::new(0),
            last_strike: AtomicU32::new(0),
            given_up: AtomicU32::new(0),
            is_probed: tokio::sync::Mutex::default(),
        }
    }

    /// Waits while another task finds out whether it sends ranges: where it does not, all requests at once
    /// would bring the same file many times. If it is the caller's turn, returns a guard to hold until there
    /// is an answer. A failure to find out keeps nobody waiting.
    pub(super) async fn probe(&self) -> Option<tokio::sync::MutexGuard<'_, bool>> {
        if self.transport.ranges() != Ranges::Unknown {
            return None;
        }
        let mut is_probed = self.is_probed.lock().await;
        (!std::mem::replace(&mut *is_probed, true)).then_some(is_probed)
    }

    /// Notes that it did not answer, or was too slow: others are asked first from now on. Whether that is
    /// news.
    fn give_up(&self) -> bool {
        self.given_up.fetch_add(1, Ordering::Relaxed) == 0
    }

    fn strikes(&self) -> u32 {
        self.strikes.load(Ordering::Relaxed)
    }
}

/// What to report about locations at the end.
#[derive(Default)]
pub(super) struct Complaints(Mutex<Vec<String>>);

impl Registry {
    /// Opens a folder that cannot be reached: only a cache and mirrors may have its objects. Returns `None`
    /// if `location` is not a folder's path.
    pub fn gone(location: &str) -> Option<Self> {
        let id: RegistryId = location.parse().ok().filter(|_| location != BUNDLED)?;
        let gone = Self::over(id.to_string(), Box::new(Gone::new(Path::new(location))));
        (!id.is_remote()).then_some(Registry { id: Some(id), is_gone: true, ..gone })
    }

    /// Whether it is a folder that cannot be reached.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Looks for objects in `cache` first, and keeps fetched ones there.
    #[must_use]
    pub(crate) fn with_cache(self, cache: Option<Cache>) -> Self {
        Registry { cache, only_reads_cache: false, ..self }
    }

    /// Looks in `cache` for objects that no location has, and keeps nothing there.
    #[must_use]
    pub(crate) fn with_cache_to_read(self, cache: Option<Cache>) -> Self {
        Registry { cache, only_reads_cache: true, ..self }
    }

    /// Asks `others` for objects that this registry lacks, refuses, or has with wrong bytes.
    #[must_use]
    pub(crate) fn with_mirrors(mut self, others: impl IntoIterator<Item = Registry>) -> Self {
        self.mirrors.extend(others.into_iter().map(|other| other.own));
        self
    }

    /// The cache, if there is one.
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// Keeps no more shards in the cache from now on, but still reads from it.
    pub(crate) fn keep_nothing_more(&self) {
        self.keeps_nothing.store(true, Ordering::Relaxed);
    }

    /// Records why bytes of a shard could not be kept in the cache.
    pub(super) fn note_unkept(&self, why: String) {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    /// Returns why bytes of a shard could not be kept in the cache; `None` if all could.
    pub(crate) fn unkept(&self) -> Option<String> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The cache to keep files in, if any are to be kept.
    pub(crate) fn cache_to_fill(&self) -> Option<&Cache> {
        self.cache.as_ref().filter(|_| !self.only_reads_cache)
    }

    /// The cache to keep bytes of shards in, if they are to be kept.
    pub(super) fn keeping(&self) -> Option<&Cache> {
        self.cache_to_fill().filter(|_| !self.keeps_nothing.load(Ordering::Relaxed))
    }

    /// The locations to ask, in order: first those that have served no bad bytes, and among these the ones
    /// that answer.
    pub(super) fn locations(&self) -> Vec<&Location> {
        let mut locations: Vec<&Location> = std::iter::once(&self.own).chain(&self.mirrors).collect();
        locations.retain(|location| location.strikes() < STRIKES);
        locations.sort_by_key(|location| (location.strikes(), location.given_up.load(Ordering::Relaxed)));
        locations
    }

    /// Notes that a location gave no answer. That a folder cannot be read is said: waiting mends no disk.
    pub(super) fn give_up(&self, location: &Location, error: &Error) {
        use NetworkKind::{Gone, NoFile, Unreadable};
        let is_broken = matches!(error, Error::Network { kind: Unreadable | NoFile | Gone, .. });
        if location.give_up() && is_broken {
            self.complain(format!("{} was passed over: {}", location.name, chain(error)));
        }
    }

    /// Notes that a location has served bad bytes in this round.
    pub(super) fn strike(&self, location: &Location, round: u32, error: &Error) {
        if location.last_strike.swap(round + 1, Ordering::Relaxed) == round + 1 {
            return;
        }
        if location.strikes.fetch_add(1, Ordering::Relaxed) == 0 {
            self.complain(format!("{} served bad bytes and was set aside: {}", location.name, chain(error)));
        }
    }

    pub(super) fn complain(&self, complaint: String) {
        self.complaints.0.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
    }

    /// Asks all locations again, if each has served bad bytes: a check of one file should not depend on
    /// others.
    pub(crate) fn ask_again(&self) {
        if self.locations().is_empty() {
            self.clear_strikes();
        }
    }

    fn clear_strikes(&self) {
        for location in std::iter::once(&self.own).chain(&self.mirrors) {
            location.strikes.store(0, Ordering::Relaxed);
            location.last_strike.store(0, Ordering::Relaxed);
        }
    }

    /// Clears what locations are blamed for: the list of packs that said what they should have served may be
    /// wrong itself.
    pub(super) fn forgive(&self) {
        self.clear_strikes();
        self.complaints.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The locations that have served bad bytes, with what was wrong, to report after a success.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads a file from the first location where it passes `check`; `None` if no location has it.
    async fn read_anywhere(
        &self,
        path: &str,
        cap: u64,
        check: impl Fn(&str, &[u8]) -> Result<()>,
    ) -> Result<Option<Vec<u8>>> {
        self.anywhere(async |location| {
            let found = transport::read(location.transport.as_ref(), path, cap).await?;
            self.count(found.as_ref().map_or(0, Vec::len));
            found.as_ref().map_or(Ok(()), |bytes| check(&location.transport.locate(path), bytes))?;
            Ok(found)
        })
        .await
    }

    /// Returns the result of `bring` for the first location where it succeeds; `None` if no location has the
    /// file.
    pub(super) async fn anywhere<T>(
        &self,
        bring: impl AsyncFn(&Location) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let (mut bad, mut unreached) = (None, None);
        for round in 0..STRIKES {
            bad = None;
            for location in self.locations() {
                match bring(location).await {
                    Ok(Some(brought)) => return Ok(Some(brought)),
                    Ok(None) => {}
                    Err(e @ Error::Integrity { .. }) => {
                        self.strike(location, round, &e);
                        bad.get_or_insert(e);
                    }
                    Err(e @ Error::Network { .. }) => {
                        self.give_up(location, &e);
                        unreached.get_or_insert(e);
                    }
                    Err(e) => return Err(e),
                }
            }
            if bad.is_none() || self.locations().is_empty() {
                break;
            }
        }
        bad.or(unreached).map_or(Ok(None), Err)
    }

    /// Reads an object, and checks it against its reference.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is missing, damaged or too long; [`Error::Network`] if a location could not
    /// be reached and no other one has it.
    pub async fn object(&self, kind: ObjectKind, reference: &ObjectRef) -> Result<Vec<u8>> {
        self.check_length(kind, reference)?;
        let check =
            |location: &str, bytes: &[u8]| reference.check(&format!("{} {location}", kind.noun()), bytes);
        let bytes = self.cached_or_read(kind, &reference.blake3, reference.length, check).await?;
        bytes.ok_or_else(|| self.missing_object(kind, &reference.blake3))
    }

    /// Writes a shard to the writer that `begin` returns, from the first location that has it whole, without
    /// holding it in memory; returns the writer. After an error `begin` is called again, for a writer without
    /// the bytes so far.
    ///
    /// # Errors
    /// As [`Registry::object`]; also fails if `begin` or a write fails.
    pub(crate) async fn stream_shard<W: Write + Send>(
        &self,
        shard: &ObjectRef,
        begin: impl Fn() -> Result<W>,
    ) -> Result<W> {
        self.check_length(ObjectKind::Shard, shard)?;
        let streamed = self.anywhere(async |location| {
            let mut to = begin()?;
            Ok(self.copy_from(location, ObjectKind::Shard, shard, &mut to).await?.then_some(to))
        });
        streamed.await?.ok_or_else(|| self.missing_object(ObjectKind::Shard, &shard.blake3))
    }

    fn check_length(&self, kind: ObjectKind, reference: &ObjectRef) -> Result<()> {
        if reference.length <= MAX_METADATA {
            return Ok(());
        }
        let why = format!("is said to have {} bytes: too many", reference.length);
        Err(Error::integrity(self.locate(kind, &reference.blake3), why))
    }

    /// Reads an object of at most `cap` bytes by its hash alone; `None` if no location has it.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is damaged or too long; [`Error::Network`] if a location could not be
    /// reached and no other one has it.
    pub(crate) async fn find_object(
        &self,
        kind: ObjectKind,
        digest: &Digest,
        cap: u64,
    ) -> Result<Option<Vec<u8>>> {
        let check = |location: &str, bytes: &[u8]| match Digest::of(bytes) == *digest {
            true => Ok(()),
            false => {
                let why = "its bytes do not have the BLAKE3 in its name";
                Err(Error::integrity(format!("{} {location}", kind.noun()), why))
            }
        };
        self.cached_or_read(kind, digest, cap, check).await
    }

    /// Reads an object from the cache or, if it is not there, from the first location where it passes
    /// `check`. A cache that is only read comes last.
    async fn cached_or_read(
        &self,
        kind: ObjectKind,
        digest: &Digest,
        cap: u64,
        check: impl Fn(&str, &[u8]) -> Result<()>,
    ) -> Result<Option<Vec<u8>>> {
        let cached = || self.cached(kind, digest, cap);
        if !self.only_reads_cache
            && let Some(bytes) = cached()
        {
            return Ok(Some(bytes));
        }
        match self.read_anywhere(&layout::object(kind, digest), cap, check).await {
            Ok(Some(bytes)) => {
                self.keep(kind, digest, &bytes);
                Ok(Some(bytes))
            }
            lacking if self.only_reads_cache => cached().map_or(lacking, |bytes| Ok(Some(bytes))),
            lacking => lacking,
        }
    }

    /// Keeps in the cache which manifest a dataset hash has, so that its pin needs no network later. The
    /// objects that describe the version were kept when they were read.
    ///
    /// # Errors
    /// Fails if the cache cannot be written to.
    pub(crate) fn keep_pin(&self, snapshot: &Snapshot) -> Result<()> {
        let (manifest, pin) = (&snapshot.head.manifest_ref, layout::pin(&snapshot.head.manifest.dataset));
        let hint = format!("{} {}\n", manifest.blake3, manifest.length);
        self.cache_to_fill().map_or(Ok(()), |cache| cache.keep_hint(&pin, hint.as_bytes()))
    }

    /// Returns the version of a dataset hash from the cache alone. Any manifest with that dataset hash will
    /// do, however it got there.
    pub(crate) async fn cached_head(&self, pin: &Digest) -> Option<Head> {
        let hint = String::from_utf8(self.cache.as_ref()?.hint(&layout::pin(pin))?).ok()?;
        let (manifest, length) = hint.trim_end().split_once(' ')?;
        let manifest = ObjectRef { blake3: manifest.parse().ok()?, length: length.parse().ok()? };
        let head = self.head(manifest, Vec::new()).await.ok()?;
        head.check_unsigned("manifest").ok()?;
        (head.manifest.dataset == *pin).then_some(head)
    }

    /// Returns where a shard can be read in place, if it is on this machine and has the right length.
    pub(crate) fn shard_at_hand(&self, shard: &ObjectRef) -> Option<AtHand> {
        let path = layout::object(ObjectKind::Shard, &shard.blake3);
        let is_whole = |found: &AtHand| match found {
            AtHand::File(path) => path.metadata().is_ok_and(|meta| meta.len() == shard.length),
            AtHand::Memory(bytes) => bytes.len() as u64 == shard.length,
        };
        self.locations().iter().find_map(|location| location.transport.at_hand(&path).filter(is_whole))
    }

    /// As [`Registry::shard_at_hand`], but where its bytes have its hash, if that is anywhere.
    pub(crate) fn right_shard_at_hand(&self, shard: &ObjectRef) -> Option<AtHand> {
        let path = layout::object(ObjectKind::Shard, &shard.blake3);
        let is_right = |found: &AtHand| match found {
            AtHand::File(path) => check_file(path, shard).is_ok(),
            AtHand::Memory(bytes) => ObjectRef::of(bytes) == *shard,
        };
        let right =
            self.locations().into_iter().find_map(|one| one.transport.at_hand(&path).filter(is_right));
        right.or_else(|| self.shard_at_hand(shard))
    }

    /// The location of an object, for messages.
    pub(crate) fn locate(&self, kind: ObjectKind, digest: &Digest) -> String {
        format!("{} {}", kind.noun(), self.own.transport.locate(&layout::object(kind, digest)))
    }

    pub(super) fn missing_object(&self, kind: ObjectKind, digest: &Digest) -> Error {
        // A release leads to the object, so its absence is damage rather than a wrong name.
        Error::integrity(self.locate(kind, digest), "is missing")
    }

    /// Reads an object from the cache. Shards are kept there in pieces, not as objects.
    pub(super) fn cached(&self, kind: ObjectKind, digest: &Digest, cap: u64) -> Option<Vec<u8>> {
        let cached = self.cache.as_ref().filter(|_| kind != ObjectKind::Shard)?.object(kind, digest, cap);
        let found = if cached.is_some() { "hit" } else { "miss" };
        tracing::debug!("cache {found}: {} {digest}", kind.noun());
        cached
    }

    /// Keeps an object in the cache. A cache that is full or read-only costs time, but is no error.
    pub(super) fn keep(&self, kind: ObjectKind, digest: &Digest, bytes: &[u8]) {
        if let Some(cache) = self.cache_to_fill().filter(|_| kind != ObjectKind::Shard) {
            let _ = cache.keep_object(kind, digest, bytes);
        }
    }
}
