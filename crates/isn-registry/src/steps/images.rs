//! Fetches images and checks them on threads, in as many rounds as needed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::cache::Cache;
use crate::progress::{Progress, Unit};
use crate::registry::fetch::{Frame, Outcome, REQUESTS, Round, Sink};
use crate::registry::segment::Segment;
use crate::registry::work::{Reading, Work};
use crate::registry::{Packs, Registry, Snapshot};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, count};
use isn_format::index::Images;
use isn_format::pack::Pack;
use isn_format::shard::FrameReader;

/// How many frames may wait for a thread: at some 100 kB each, a few MB.
const WAITING_FRAMES: usize = 32;

/// How many times images are fetched that the cache did not keep. A piece with a bad frame is not kept, and
/// the good images in it were not fetched again; the second time brings them.
const ROUNDS: usize = 2;

/// Receives a checked image. Called from many threads, once for each image.
pub(crate) type Take<'t> = dyn Fn(&Digest, &[u8]) -> Result<()> + Sync + 't;

/// Plans the requests that bring `wanted`. Fails with [`Error::SourceNeeded`] if the registry does not have
/// all of it.
pub(crate) fn plan<'a>(
    runtime: &Runtime,
    registry: &Registry,
    snapshot: &Snapshot,
    packs: &'a [Pack],
    wanted: &Images<'_>,
) -> Result<Vec<Segment<'a>>> {
    let (segments, absent) = registry.plan(packs, wanted);
    let Some(image) = absent.iter().map(|row| row.blake3()).min() else { return Ok(segments) };
    let rebuild_only = packs.is_empty()
        && runtime.block_on(registry.is_rebuild_only(&snapshot.head.manifest_ref.blake3)).unwrap_or(false);
    let manifest = &snapshot.head.manifest;
    let (registry, id) = (format!("registry {}", registry.name()), manifest.id());
    Err(Error::SourceNeeded {
        reference: manifest.pin().to_string(),
        why: match packs.len() {
            0 if rebuild_only => {
                format!("{registry} has no images of {id}: it was published to be built from your own source")
            }
            0 => format!("{registry} has no images of {id}"),
            _ => format!("{registry} lacks {} of {id}, {image} the first", count(absent.len(), "image")),
        },
        about: manifest.description.clone(),
    })
}

/// Does `work` with `packs`, which lead to the images `wanted`, or, if these fail, with those of other lists,
/// since neither packs nor lists are signed. Afterwards `packs` are those that worked. Reports the first
/// failure.
pub(crate) fn by_any_list<T>(
    runtime: &Runtime,
    registry: &Registry,
    (snapshot, wanted): (&Snapshot, &Images<'_>),
    packs: &mut Packs,
    mut work: impl FnMut(&Packs) -> Result<T>,
) -> Result<T> {
    loop {
        match work(packs) {
            Err(e @ (Error::Integrity { .. } | Error::Network { .. } | Error::SourceNeeded { .. })) => {
                runtime.block_on(registry.next_packs(snapshot, wanted, packs, e))?;
            }
            done => return done,
        }
    }
}

/// Fetches images.
pub(crate) struct Carrier<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) registry: &'a Registry,
    pub(crate) packs: &'a [Pack],
    /// The number of threads that decompress and check; if it is 1, the fetching thread does that itself.
    pub(crate) jobs: usize,
}

impl<'a> Carrier<'a> {
    /// Fetches `wanted` by the requests of [`plan`], and passes each image to `take` once, checked. Images
    /// that one location lacks or has wrong are requested again from another one.
    pub(crate) fn bring(
        &self,
        mut segments: Vec<Segment<'a>>,
        wanted: &Images<'_>,
        take: &Take<'_>,
    ) -> Result<()> {
        let (mut number, mut fault, mut doubtful) = (0, None, BTreeSet::new());
        loop {
            let round = Round::new(self.registry, number, fault.take());
            self.run(&round, &segments, wanted, take)?;
            let Outcome { again, fault: found, mut suspects } = round.outcome();
            doubtful.append(&mut suspects);
            if again.is_empty() {
                // The packs were right, so the pieces that contradict them are wrong. Wrong packs say nothing
                // about the cache.
                if let Some(cache) = self.registry.cache() {
                    doubtful.iter().for_each(|piece| cache.set_aside(piece));
                }
                return Ok(());
            }
            let again = again.iter().filter_map(|image| wanted.get(image));
            let again = Images::of(wanted.index(), again);
            (number, fault) = (number + 1, found);
            (segments, _) = self.registry.plan_again(self.packs, &again, number);
        }
    }

    /// Fetches `wanted` into the cache. Returns the images that it did not keep.
    ///
    /// # Errors
    /// [`Error::NotKept`] if the cache cannot be written to; also as [`plan`] and [`Carrier::bring`], and if
    /// `check` fails, which gets the number of bytes to fetch.
    pub(crate) fn bring_into<'w>(
        &self,
        cache: &Cache,
        snapshot: &Snapshot,
        wanted: &Images<'w>,
        progress: &dyn Progress,
        check: impl Fn(u64) -> Result<()>,
    ) -> Result<Images<'w>> {
        let mut lacking = None;
        for _ in 0..ROUNDS {
            let wanted = lacking.as_ref().unwrap_or(wanted);
            let segments = plan(self.runtime, self.registry, snapshot, self.packs, wanted)?;
            check(segments.iter().filter(|segment| segment.is_remote()).map(Segment::len).sum())?;
            progress.begin("fetch", Unit::Images, wanted.len() as u64);
            let outcome = self.bring(segments, wanted, &|_, _| {
                progress.advance(1);
                // What is not kept need not be fetched.
                self.registry.unkept().map_or(Ok(()), |why| Err(cache.unwritable(&why)))
            });
            progress.end();
            outcome?;
            let rows = self.registry.uncached(self.packs, wanted);
            let unkept = Images::of(wanted.index(), rows.into_iter().map(|at| wanted.index().row(at)));
            if lacking.insert(unkept).is_empty() {
                break;
            }
        }
        Ok(lacking.unwrap_or_else(|| wanted.clone()))
    }

    fn run(
        &self,
        round: &Round<'a>,
        segments: &[Segment<'a>],
        wanted: &Images<'_>,
        take: &Take<'_>,
    ) -> Result<()> {
        let check = |reader: &mut FrameReader, frame: Frame<'a>| -> Result<()> {
            let image = frame.entry.blake3;
            let length = wanted.length(&image).unwrap_or_default();
            match reader.image(&frame.place(), &frame.bytes, &frame.entry.frame, &image, length) {
                Ok(bytes) => take(&image, bytes),
                Err(e) => round.refuse(&frame, e),
            }
        };
        let new_reader = || FrameReader::new().map_err(|e| Error::Internal(format!("zstd: {e}")));
        if self.jobs <= 1 {
            let mut reader = new_reader()?;
            let sink = Sink::Here(RefCell::new(Box::new(|frame| check(&mut reader, frame))));
            return self.runtime.block_on(fetch_all(round, segments, &sink));
        }
        let (sender, receiver) = mpsc::channel::<Frame<'a>>(WAITING_FRAMES);
        let receiver = Mutex::new(receiver);
        let work = || -> Result<()> {
            let mut reader = new_reader()?;
            loop {
                let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                let Some(frame) = next else { return Ok(()) };
                check(&mut reader, frame)?;
            }
        };
        // The first failure of a thread closes the channel, which ends the fetching.
        let guarded =
            || work().inspect_err(|_| receiver.lock().unwrap_or_else(PoisonError::into_inner).close());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.jobs).map(|_| scope.spawn(guarded)).collect();
            let sink = Sink::Threads(sender);
            let fetched = self.runtime.block_on(fetch_all(round, segments, &sink));
            drop(sink);
            let worked = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            worked.collect::<Result<()>>().and(fetched)
        })
    }
}

async fn fetch_all<'a>(round: &Round<'a>, segments: &[Segment<'a>], sink: &Sink<'_, 'a>) -> Result<()> {
    let work = Work::new(segments);
    let mut requests = futures_util::stream::iter(0..segments.len())
        .map(|number| round.fetch(Reading::new(&work, number), sink))
        .buffer_unordered(REQUESTS);
    while let Some(ended) = requests.next().await {
        ended?;
    }
    Ok(())
}
