//! Reads the images of a version where they are stored, one by one, on any number of threads.

use std::sync::{Mutex, PoisonError, RwLock};

use tokio::runtime::Runtime;

use crate::parallel;
use crate::progress::{Progress, Unit};
use crate::registry::{Packs, Registry, Snapshot};
use crate::steps::images::{self, Carrier};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::index::{Images, Index};
use isn_format::pack::{Entry, Pack, placed};

/// The images of a version.
pub(super) struct Version {
    runtime: Runtime,
    registry: Registry,
    snapshot: Snapshot,
    /// The packs, behind a lock. A thread that replaces them has the registry to itself, so a location is
    /// excused only once for failures that bad packs caused.
    by: RwLock<By>,
}

/// The packs by which images are found.
struct By {
    packs: Packs,
    /// The pack of each image, and its entry there.
    frames: Vec<Option<(u32, u32)>>,
}

/// Returns the pack and the entry by which each image is found.
fn frames(packs: &[Pack], index: &Index) -> Vec<Option<(u32, u32)>> {
    let (images, mut frames) = (Images::all(index), vec![None; index.len()]);
    for (pack, entry) in placed(packs, &images).0 {
        for row in images.rows(&packs[pack as usize].entries[entry as usize].blake3) {
            frames[row.at()] = Some((pack, entry));
        }
    }
    frames
}

impl Version {
    pub(super) fn new(runtime: Runtime, registry: Registry, snapshot: Snapshot, packs: Packs) -> Self {
        let by = RwLock::new(By { frames: frames(&packs, snapshot.index()), packs });
        Version { runtime, registry, snapshot, by }
    }

    /// Returns the hash of an image.
    pub(super) fn digest(&self, at: usize) -> Digest {
        self.snapshot.index().row(at).blake3()
    }

    /// Reads one image.
    pub(super) fn read(&self, at: usize) -> Result<Vec<u8>> {
        loop {
            let (failure, lists) = {
                let by = self.by.read().unwrap_or_else(PoisonError::into_inner);
                match self.read_by(&by, at) {
                    Err(e @ (Error::Integrity { .. } | Error::Network { .. })) => (e, by.packs.failed()),
                    read => return read,
                }
            };
            let mut by = self.by.write().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have replaced the packs already.
            if by.packs.failed() > lists {
                continue;
            }
            let (snapshot, all) = (&self.snapshot, Images::all(self.snapshot.index()));
            self.runtime.block_on(self.registry.next_packs(snapshot, &all, &mut by.packs, failure))?;
            by.frames = frames(&by.packs, self.snapshot.index());
        }
    }

    /// Reads an image by a pack of its own, which keeps the plan of its request short.
    fn read_by(&self, by: &By, at: usize) -> Result<Vec<u8>> {
        let absent = || Error::integrity(format!("image {}", self.digest(at)), "is in none of the packs");
        let (number, place) = by.frames[at].ok_or_else(absent)?;
        let pack = &by.packs[number as usize];
        let entry = &pack.entries[place as usize];
        let single = [Pack {
            shards: vec![pack.shards[entry.shard]],
            entries: vec![Entry { shard: 0, ..entry.clone() }],
        }];
        let index = self.snapshot.index();
        let wanted = Images::of(index, [index.row(at)]);
        let (segments, _) = self.registry.plan(&single, &wanted);
        let found = Mutex::new(Vec::new());
        let take = |_: &Digest, bytes: &[u8]| {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
            Ok(())
        };
        let carrier = Carrier { runtime: &self.runtime, registry: &self.registry, packs: &single, jobs: 1 };
        carrier.bring(segments, &wanted, &take)?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fetches all images into the cache, by the packs by which they will be read.
    pub(super) fn fetch(&mut self, progress: &dyn Progress) -> Result<()> {
        let wanted = Images::all(self.snapshot.index());
        let (runtime, registry) = (&self.runtime, &self.registry);
        let fetch = |packs: &Packs| {
            let (segments, absent) = registry.plan(packs, &wanted);
            if let Some(image) = absent.iter().map(|row| row.blake3()).min() {
                return Err(Error::integrity(format!("image {image}"), "is in none of the packs"));
            }
            if segments.iter().all(|segment| !segment.is_remote()) {
                return Ok(());
            }
            let carrier = Carrier { runtime, registry, packs, jobs: parallel::available() };
            progress.begin("fetch", Unit::Images, wanted.len() as u64);
            let fetched = carrier.bring(segments, &wanted, &|_, _| {
                progress.advance(1);
                Ok(())
            });
            progress.end();
            fetched.map(|()| registry.keep_packs(packs, true))
        };
        let by = self.by.get_mut().unwrap_or_else(PoisonError::into_inner);
        images::by_any_list(runtime, registry, (&self.snapshot, &wanted), &mut by.packs, fetch)?;
        by.frames = frames(&by.packs, self.snapshot.index());
        Ok(())
    }
}
