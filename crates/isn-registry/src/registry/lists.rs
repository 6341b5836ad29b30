//! The packs of a version, by its list of packs. Neither lists nor packs are signed: if a list leads to
//! nothing usable, the list of another location is tried.

use std::ops::Deref;
use std::path::PathBuf;

use super::blocks::WasRead;
use super::locations::Location;
use super::{MAX_HINT, Registry, Snapshot, layout};
use crate::cache::Cache;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain};
use isn_format::index::Images;
use isn_format::object::ObjectKind;
use isn_format::pack::{Allowance, Pack, Stored, placed};

/// The packs of a version, by one list of packs.
pub struct Packs {
    packs: Vec<Pack>,
    /// What was read of packs in blocks.
    places: Vec<WasRead>,
    list: List,
    manifest: Digest,
    images: u64,
    /// The lists that failed before.
    tried: Tried,
    /// Why the first of them did.
    failure: Option<Error>,
}

impl Packs {
    /// How many lists failed before.
    pub fn failed(&self) -> usize {
        self.tried.0.len()
    }

    /// What was read of packs in blocks.
    pub(super) fn places(&self) -> &[WasRead] {
        &self.places
    }

    /// The packs alone.
    pub(crate) fn into_packs(self) -> Vec<Pack> {
        self.packs
    }
}

impl Deref for Packs {
    type Target = [Pack];

    fn deref(&self) -> &[Pack] {
        &self.packs
    }
}

/// A list of packs.
#[derive(Clone, Default)]
struct List {
    digests: Vec<Digest>,
    /// The location of the list; empty if it is from the cache.
    from: String,
}

/// The lists of packs that were tried and did not work.
#[derive(Default)]
struct Tried(Vec<List>);

impl Tried {
    /// Whether the list of this location was tried. A location is asked only once, since it could give a new
    /// list each time.
    fn has_asked(&self, from: &str) -> bool {
        self.0.iter().any(|list| list.from == from)
    }

    fn has(&self, list: &List) -> bool {
        self.0.iter().any(|tried| tried.digests == list.digests)
    }
}

impl List {
    fn lines(&self) -> String {
        self.digests.iter().map(|digest| format!("{digest}\n")).collect()
    }
}

/// The cache's path of the list that a location last gave; each location has its own.
fn kept(location: &Location, manifest: &Digest) -> String {
    Cache::packs_of(&location.name, manifest)
}

impl Registry {
    /// Returns the packs by which the images `wanted` of a version are found; none if no location has shards
    /// of it. Packs that are in one object are read whole.
    ///
    /// # Errors
    /// Fails if no list can be read, or if no list leads to well-formed packs.
    pub async fn packs(&self, snapshot: &Snapshot, wanted: &Images<'_>) -> Result<Packs> {
        let (manifest, images) = (snapshot.head.manifest_ref.blake3, snapshot.head.manifest.images);
        // A list may name the packs of another version; prefer one whose packs have all images.
        let have_all = |(packs, _): &(Vec<Pack>, Vec<WasRead>)| {
            if !self.has_mirrors() {
                return true;
            }
            placed(packs, wanted).1.is_empty()
        };
        let take = async |digests| self.packs_in(digests, snapshot, wanted).await;
        let ((packs, places), list) =
            self.first_list(&manifest, &Tried::default(), take, have_all).await?.unwrap_or_default();
        Ok(Packs { packs, places, list, manifest, images, tried: Tried::default(), failure: None })
    }

    /// Replaces packs that failed by those of another list, which may fail as well.
    ///
    /// # Errors
    /// The first failure, if there is no other list.
    pub(crate) async fn next_packs(
        &self,
        snapshot: &Snapshot,
        wanted: &Images<'_>,
        packs: &mut Packs,
        failure: Error,
    ) -> Result<()> {
        packs.tried.0.push(packs.list.clone());
        self.forgive();
        let manifest = packs.manifest;
        let take = async |digests| self.packs_in(digests, snapshot, wanted).await;
        let next = self.first_list(&manifest, &packs.tried, take, |_| true).await.ok().flatten();
        let Some((others, list)) = next else { return Err(packs.failure.take().unwrap_or(failure)) };
        if !packs.list.from.is_empty() {
            let (from, why) = (&packs.list.from, chain(&failure));
            // Whether the list is wrong, or only what it leads to, cannot be seen.
            self.complain(format!(
                "the images could not be fetched by {from}, so another list was used: {why}"
            ));
        }
        packs.failure.get_or_insert(failure);
        ((packs.packs, packs.places), packs.list) = (others, list);
        Ok(())
    }

    /// Keeps the list of packs that brought all images that were wanted: all of the version (`is_whole`), or
    /// some of them. A list that brought only some does not replace one that is kept already.
    pub(crate) fn keep_packs(&self, packs: &Packs, is_whole: bool) {
        let path = layout::packs(&packs.manifest);
        let is_needed = |cache: &&Cache| is_whole || cache.hint(&path).is_none();
        if let Some(cache) = self.cache_to_fill().filter(is_needed).filter(|_| !packs.list.digests.is_empty())
        {
            let _ = cache.keep_hint(&path, packs.list.lines().as_bytes());
        }
    }

    /// Returns where the cache lacks something about a version that a pull without a network needs besides
    /// the images: the objects that describe it, its pin, and its packs and their list.
    pub(crate) fn lacking_in(&self, cache: &Cache, snapshot: &Snapshot, packs: &Packs) -> Option<PathBuf> {
        let manifest = &snapshot.head.manifest;
        let (manifest_ref, objects) = (snapshot.head.manifest_ref, &manifest.objects);
        let described = [
            (ObjectKind::Manifest, manifest_ref.blake3, manifest_ref.length),
            (ObjectKind::Index, objects.index.blake3, objects.index.length),
            (ObjectKind::Classes, objects.classes.blake3, objects.classes.length),
        ];
        let longest = Pack::max_len(packs.images);
        let packed = packs.list.digests.iter().map(|pack| (ObjectKind::Pack, *pack, longest));
        let mut objects = described.into_iter().chain(packed);
        let object = objects.find(|(kind, digest, most)| !cache.has_object(*kind, digest, *most));
        let mut hints = [layout::pin(&manifest.dataset), layout::packs(&packs.manifest)].into_iter();
        let of_blocks = snapshot.read_of_blocks();
        let mut of_blocks = of_blocks.iter().chain(&packs.places);
        object
            .map(|(kind, digest, _)| cache.object_path(kind, &digest))
            .or_else(|| {
                let lacking = of_blocks.find(|read| !read.is_in(cache))?;
                Some(cache.object_path(lacking.kind, &lacking.object.blake3))
            })
            .or_else(|| hints.find(|hint| cache.hint(hint).is_none()).map(|hint| cache.hint_path(&hint)))
    }

    async fn packs_in(
        &self,
        digests: Vec<Digest>,
        snapshot: &Snapshot,
        wanted: &Images<'_>,
    ) -> Result<(Vec<Pack>, Vec<WasRead>)> {
        let (manifest, images) = (&snapshot.head.manifest_ref.blake3, snapshot.head.manifest.images);
        let (mut packs, mut in_blocks, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut allowance = Allowance::of(images);
        for digest in digests {
            let bytes = self.find_object(ObjectKind::Pack, &digest, Pack::max_len(images)).await?;
            let bytes = bytes.ok_or_else(|| self.missing_object(ObjectKind::Pack, &digest))?;
            let what = self.locate(ObjectKind::Pack, &digest);
            let pack = Stored::parse(&what, &bytes, images)?;
            allowance.take(&pack, || self.place(&layout::packs(manifest)))?;
            match pack {
                Stored::Whole(pack) => packs.push(pack),
                Stored::Blocks(pack) => in_blocks.push((what, pack)),
            }
        }
        // What an earlier version had is in a pack of its own: who has that needs only the other one.
        in_blocks.sort_by_key(|(_, pack)| pack.all_images());
        for (what, pack) in &in_blocks {
            // Of the first one, that is all that is wanted.
            let rest = (!packs.is_empty()).then(|| placed(&packs, wanted).1);
            let lacking = rest.as_ref().unwrap_or(wanted);
            if lacking.is_empty() {
                break;
            }
            let (pack, mut read) = self.places((what, pack), snapshot, lacking).await?;
            places.append(&mut read);
            packs.push(pack);
        }
        Ok((packs, places))
    }

    /// Returns the list of packs of the first location that has one; if none can be reached, or there is no
    /// network, the list from the cache.
    ///
    /// # Errors
    /// Fails if no list can be read.
    pub(crate) async fn pack_digests(&self, manifest: &Digest) -> Result<Vec<Digest>> {
        let taken =
            self.first_list(manifest, &Tried::default(), async |digests| Ok(digests), |_| true).await?;
        Ok(taken.unwrap_or_default().0)
    }

    /// Applies `take` to lists of packs in turn. Returns the first result that is `enough`, else the first
    /// result at all; skips the lists in `tried`. If a location cannot be reached, or there is no network,
    /// lists from the cache count too: first the list by which images came, then that of each location.
    async fn first_list<T>(
        &self,
        manifest: &Digest,
        tried: &Tried,
        take: impl AsyncFn(Vec<Digest>) -> Result<T>,
        enough: impl Fn(&T) -> bool,
    ) -> Result<Option<(T, List)>> {
        let (path, locations) = (layout::packs(manifest), self.locations());
        let asked = locations.iter().map(|&location| (Some(location), path.clone()));
        let hints =
            [path.clone()].into_iter().chain(locations.iter().map(|location| kept(location, manifest)));
        let (mut some, mut wrong, mut unreached) = (None, None, None);
        for (location, path) in asked.chain(hints.map(|path| (None, path))) {
            let read = match location {
                Some(location) if tried.has_asked(&location.transport.locate(&path)) => continue,
                Some(location) => self.list_of(location, manifest).await,
                None if unreached.is_some() || self.is_offline => Ok(self.hinted(&path)),
                None => break,
            };
            let list = match read {
                Ok(list) if list.digests.is_empty() || tried.has(&list) => continue,
                Ok(list) => list,
                Err(e @ Error::Network { .. }) => {
                    unreached.get_or_insert(e);
                    continue;
                }
                Err(e) => {
                    wrong.get_or_insert(e);
                    continue;
                }
            };
            match take(list.digests.clone()).await {
                Ok(taken) if enough(&taken) => return Ok(Some((taken, list))),
                Ok(taken) => drop(some.get_or_insert((taken, list))),
                Err(e @ Error::Network { .. }) => drop(unreached.get_or_insert(e)),
                Err(e) => drop(wrong.get_or_insert(e)),
            }
        }
        match some {
            Some(some) => Ok(Some(some)),
            None => wrong.or(unreached).map_or(Ok(None), Err),
        }
    }

    /// Reads the list of a location, and keeps it in the cache as that location's.
    async fn list_of(&self, location: &Location, manifest: &Digest) -> Result<List> {
        let path = layout::packs(manifest);
        let list =
            List { digests: self.hint_of(location, &path).await?, from: location.transport.locate(&path) };
        if let Some(cache) = self.cache_to_fill().filter(|_| !list.digests.is_empty()) {
            let _ = cache.keep_hint(&kept(location, manifest), list.lines().as_bytes());
        }
        Ok(list)
    }

    /// Returns the list that the cache has at `path`.
    fn hinted(&self, path: &str) -> List {
        let hint = self.cache.as_ref().and_then(|cache| String::from_utf8(cache.hint(path)?).ok());
        let digests = hint.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect();
        List { digests, from: String::new() }
    }

    /// Whether a version is rebuild-only: its list of packs exists and is empty. `false` also if no location
    /// can be reached.
    ///
    /// # Errors
    /// Fails if a list cannot be read for another reason than the network, and no location marks the version
    /// so.
    pub(crate) async fn is_rebuild_only(&self, manifest: &Digest) -> Result<bool> {
        let (list, mut is_marked, mut wrong) = (layout::packs(manifest), false, None);
        for location in self.locations() {
            match self.read_at(location, &list, MAX_HINT).await {
                Ok(Some(lines)) if lines.is_empty() => is_marked = true,
                Ok(Some(_)) => return Ok(false),
                Ok(None) | Err(Error::Network { .. }) => {}
                Err(e) => drop(wrong.get_or_insert(e)),
            }
        }
        wrong.filter(|_| !is_marked).map_or(Ok(is_marked), Err)
    }
}
