//! Reads the images of a version where they are stored, one by one, on any number of threads.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};

use tokio::runtime::Runtime;

use crate::parallel;
use crate::progress::{Progress, Unit};
use crate::registry::{Packs, Registry};
use crate::steps::images::{self, Carrier, Wanted};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::pack::{Entry, Pack, placed};

/// The images of a version.
pub(super) struct Version {
    runtime: Runtime,
    registry: Registry,
    /// The BLAKE3 hash and length in bytes of each image.
    images: Vec<(Digest, u64)>,
    /// The packs, behind a lock. A thread that replaces them has the registry to itself, so a location is
    /// excused only once for failures that bad packs caused.
    by: RwLock<By>,
}

/// The packs by which images are found.
struct By {
    packs: Packs,
    /// The pack of each image, and its entry there.
    frames: HashMap<Digest, (usize, usize)>,
}

/// Returns the pack and the entry by which each image is found.
fn frames(packs: &[Pack], images: &[(Digest, u64)]) -> HashMap<Digest, (usize, usize)> {
    let lengths: Wanted = images.iter().copied().collect();
    let placed = placed(packs, |image| lengths.get(image).copied()).into_iter();
    placed.map(|(pack, entry)| (packs[pack].entries[entry].blake3, (pack, entry))).collect()
}

impl Version {
    pub(super) fn new(
        runtime: Runtime,
        registry: Registry,
        packs: Packs,
        images: Vec<(Digest, u64)>,
    ) -> Self {
        let by = RwLock::new(By { frames: frames(&packs, &images), packs });
        Version { runtime, registry, images, by }
    }

    /// Returns the hash of an image.
    pub(super) fn digest(&self, at: usize) -> Digest {
        self.images[at].0
    }

    /// Reads one image.
    pub(super) fn read(&self, at: usize) -> Result<Vec<u8>> {
        let (image, length) = self.images[at];
        loop {
            let (failure, lists) = {
                let by = self.by.read().unwrap_or_else(PoisonError::into_inner);
                match self.read_by(&by, image, length) {
                    Err(e @ (Error::Integrity { .. } | Error::Network { .. })) => (e, by.packs.failed()),
                    read => return read,
                }
            };
            let mut by = self.by.write().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have replaced the packs already.
            if by.packs.failed() > lists {
                continue;
            }
            self.runtime.block_on(self.registry.next_packs(&mut by.packs, failure))?;
            by.frames = frames(&by.packs, &self.images);
        }
    }

    /// Reads an image by a pack of its own, which keeps the plan of its request short.
    fn read_by(&self, by: &By, image: Digest, length: u64) -> Result<Vec<u8>> {
        let absent = || Error::integrity(format!("image {image}"), "is in none of the packs");
        let &(number, place) = by.frames.get(&image).ok_or_else(absent)?;
        let pack = &by.packs[number];
        let entry = &pack.entries[place];
        let single = [Pack {
            shards: vec![pack.shards[entry.shard]],
            entries: vec![Entry { shard: 0, ..entry.clone() }],
        }];
        let wanted: Wanted = [(image, length)].into();
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
        let wanted: Wanted = self.images.iter().copied().collect();
        let (runtime, registry) = (&self.runtime, &self.registry);
        let fetch = |packs: &Packs| {
            let (segments, absent) = registry.plan(packs, &wanted);
            if let Some(image) = absent.first() {
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
        images::by_any_list(runtime, registry, &mut by.packs, fetch)?;
        by.frames = frames(&by.packs, &self.images);
        Ok(())
    }
}
