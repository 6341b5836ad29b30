//! `isn pull`: writes an exact version to a folder. The tree is verified before it becomes visible, and is
//! whole or absent.

mod destination;
mod provenance;
mod rebuilt;
mod room;
pub mod seeds;
mod seen;
mod staging;
mod unreleased;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Runtime;

use self::destination::Destination;
use self::seeds::Reuse;
use self::staging::{Finished, Staging};
use crate::client::Client;
use crate::client::version_at::VersionAt;
use crate::files::{self, Workplace};
use crate::progress::{Progress, Unit};
use crate::registry::segment::Segment;
use crate::registry::{BUNDLED, Outcome, Registry, Snapshot};
use crate::steps::images::{self, Carrier, Take};
use crate::steps::selection::check_selection;
use crate::transport;
use crate::tree_file::origin_of;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, There, bytes as size, count};
use isn_format::index::{Images, RowRef};
use isn_format::pack::Pack;
use isn_format::sums::Sums;
use isn_format::tree::{
    B3SUMS, B3SUMS_PROOF, B3SUMS_SELECTED, BuiltBy, BuiltFrom, CLASSES, ISN_JSON, Selection,
};

/// A pull that needs more bytes on disk than this says so before it begins.
const WORTH_SAYING: u64 = 32 << 20;

/// What to pull, and where to.
pub struct PullOptions<'a> {
    /// The version. A build is written as what nobody has released.
    pub version: &'a VersionAt,
    /// The folder of the tree; `./NAME-VERSION` by default.
    pub to: Option<&'a Path>,
    /// The part of the version.
    pub selection: Selection,
    /// The user's own source images, to build the version from instead of fetching it.
    pub source: Option<&'a Path>,
    /// What to do with a version that nobody has released, if there are a recipe of it and a source.
    pub unreleased: Unreleased,
    /// How images of other trees are reused.
    pub reuse: Reuse,
    /// The number of threads that decompress, check and write.
    pub jobs: usize,
    /// Called before anything is written, with the path where the tree is to be; an error stops the pull.
    pub may_be_at: &'a dyn Fn(&Path) -> Result<()>,
}

/// What to do with a version that nobody has released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreleased {
    /// Refuse it.
    Refuse,
    /// Build it by the recipe in the binary, unless a registry has released it or cannot be asked.
    Build,
    /// Build it, and ask no registry.
    BuildUnasked,
}

/// The outcome of a pull.
pub struct PullReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The identity of the registry.
    pub registry: String,
    /// The folder of the tree.
    pub path: PathBuf,
    /// The number of images in the tree.
    pub images: u64,
    /// The sum of their lengths, in bytes.
    pub bytes: u64,
    /// The bytes received over the network, including the files that describe the version.
    pub fetched_bytes: u64,
    /// The number of images that were on this machine already, in this tree or another, and were checked.
    pub reused_images: u64,
    /// Whether the tree was there already, whole.
    pub was_there: bool,
    /// What the tree was before, for people: `name@version`.
    pub replaced: Option<String>,
    /// What keys state to have built of it, as far as a registry was asked.
    pub outcomes: Vec<Outcome>,
}

impl PullReport {
    /// Whether a registry released the version. If not, it was built from the user's source, and its hash is
    /// confirmed by nobody.
    pub fn is_released(&self) -> bool {
        !self.snapshot.head.is_own
    }
}

/// Pulls a version.
///
/// # Errors
/// [`Error::Exists`] if something else is at the destination; [`Error::Overlap`] if that and the source
/// or a registry overlap; [`Error::NotFound`] if the version does not exist or has no part that is
/// selected; [`Error::Unreleased`] if there is only its recipe, and no source; [`Error::Incomplete`],
/// [`Error::Rejects`] and other errors of a build if such a recipe is built; [`Error::NoRoom`] if the
/// disk is too full; [`Error::SourceNeeded`] or [`Error::Withdrawn`] if the images are not to be had;
/// [`Error::Rebuilt`] if `options.source` does not give the version; [`Error::Trust`],
/// [`Error::Integrity`] or [`Error::Network`] if a registry is not trusted, serves wrong bytes or does
/// not answer; [`Error::Io`] if the tree cannot be written.
pub fn pull(client: &Client, options: PullOptions<'_>, progress: &dyn Progress) -> Result<PullReport> {
    let to = options.to.map(files::destination).transpose()?;
    let runtime = transport::runtime()?;
    let reference = match options.version {
        VersionAt::Registry(reference) => reference,
        VersionAt::Folder(folder) => {
            return unreleased::pull_folder(&runtime, client, &options, to, folder, progress);
        }
    };
    let found = match options.unreleased {
        Unreleased::BuildUnasked => Err(unreleased::of(reference)),
        _ => runtime.block_on(client.part_and_outcomes(reference, &options.selection)),
    };
    let (registry, snapshot, outcomes) = match (found, options.source) {
        // The recipe in the binary alone: nobody signs others.
        (Err(Error::Unreleased { registry, .. }), Some(source))
            if registry == BUNDLED && options.unreleased != Unreleased::Refuse =>
        {
            let place = (to, source);
            return unreleased::pull(&runtime, client, reference, &options, place, progress);
        }
        (found, _) => found?,
    };
    check_selection(&snapshot, &options.selection)?;
    let to = to.unwrap_or_else(|| {
        PathBuf::from(format!("{}-{}", snapshot.head.manifest.name, snapshot.head.manifest.version))
    });
    (options.may_be_at)(&to)?;
    options.source.map_or(Ok(()), |source| files::check_apart(&to, "the source folder", source))?;
    client.check_is_no_registry(&to)?;
    let built = None;
    let pulled =
        Pull { runtime: &runtime, client, registry, snapshot, to, options: &options, built, progress };
    Ok(PullReport { outcomes, ..pulled.run()? })
}

/// A pull in progress.
struct Pull<'a> {
    runtime: &'a Runtime,
    client: &'a Client,
    registry: Registry,
    snapshot: Snapshot,
    to: PathBuf,
    options: &'a PullOptions<'a>,
    /// The recipe that the version was built by, and what from, if nobody released it.
    built: Option<(BuiltBy, BuiltFrom)>,
    progress: &'a dyn Progress,
}

/// What a pull wrote, and what was there before.
struct Written {
    reused_images: u64,
    replaced: Option<String>,
    said: Vec<String>,
}

impl Pull<'_> {
    fn run(mut self) -> Result<PullReport> {
        let selected = self.snapshot.sums().selected(&self.options.selection);
        let includes = self.options.selection.filter();
        let rows: Vec<RowRef<'_>> =
            self.snapshot.index().rows().filter(|row| includes(row.path().as_str())).collect();
        let (images, bytes) = (rows.len() as u64, rows.iter().map(|row| row.length()).sum());
        let (mut written, mut said) = (None, Vec::new());
        let mut destination = self.look(&selected)?;
        if !matches!(destination, Destination::Same) {
            let staging =
                Staging::open(&self.to, &self.snapshot.head.manifest.dataset, self.options, self.progress)?;
            if staging.is_changed() {
                // The run that held the lock may have written the tree.
                destination = self.look(&selected)?;
            }
            if matches!(destination, Destination::Same) {
                said.extend(staging.discard());
            } else {
                written = self.write(staging, &destination, rows, &selected)?;
            }
        } else {
            let dataset = &self.snapshot.head.manifest.dataset;
            said.extend(Staging::tidy(&self.to, dataset, self.options, self.progress)?);
        }
        let dataset = &self.snapshot.head.manifest.dataset;
        if self.built.is_none() {
            // What a killed run built before the release.
            let _ = Workplace::discard_abandoned(&self.to, unreleased::BUILD);
        }
        said.extend(Staging::tidy_others(&self.to, dataset, self.options, self.progress)?);
        if let Some(cache) = self.client.cache.as_ref().filter(|_| self.registry.id().is_some()) {
            // Remembering the tree only saves work for later pulls.
            let _ = cache.keep_tree(&self.to);
        }
        said.extend(written.iter_mut().flat_map(|written: &mut Written| written.said.drain(..)));
        self.snapshot.head.warnings.extend(said);
        if written.is_none() {
            let said = self.renew_provenance()?;
            self.snapshot.head.warnings.extend(said);
            let is_built = || origin_of(&self.to).is_some_and(|origin| origin.built_from().is_some());
            if self.options.source.is_some() && !is_built() {
                let to = self.to.display();
                let why = "was fetched before, and is whole: the source was not read. With another --to, the \
                           version is built from it";
                self.snapshot.head.warnings.push(format!("{to} {why}"));
            }
        }
        // A pin that is not kept is asked for again.
        let _ = self.registry.keep_pin(&self.snapshot);
        self.snapshot.head.warnings.extend(self.registry.complaints());
        let was_there = written.is_none();
        let Written { reused_images, replaced, .. } =
            written.unwrap_or(Written { reused_images: images, replaced: None, said: Vec::new() });
        Ok(PullReport {
            registry: self.registry.name().into(),
            path: self.to,
            images,
            bytes,
            fetched_bytes: self.registry.fetched_bytes(),
            reused_images,
            was_there,
            replaced,
            outcomes: Vec::new(),
            snapshot: self.snapshot,
        })
    }

    fn look(&self, selected: &Sums) -> Result<Destination> {
        let is_released = self.built.is_none();
        Destination::look(&self.to, &self.snapshot, is_released, selected, self.options.jobs, self.progress)
    }

    /// Writes the tree beside its destination and moves it there. Returns `None` if another run was faster
    /// with the same tree.
    fn write(
        &self,
        staging: Staging,
        destination: &Destination,
        rows: Vec<RowRef<'_>>,
        selected: &Sums,
    ) -> Result<Option<Written>> {
        let (options, images) = (self.options, rows.len());
        // What is to be built, or to come from a build, is not taken from what was fetched.
        let is_fetched = options.source.is_none() && self.built.is_none();
        let missing = match is_fetched {
            true => staging.missing(rows, options.reuse, options.jobs)?,
            false => staging.nothing_of(rows)?,
        };
        staging.create_folders(&missing)?;
        let cache = self.client.cache.as_ref().filter(|_| is_fetched);
        let places = seeds::Places {
            trees: cache.map(|cache| seeds::trees(&self.to, cache)).unwrap_or_default(),
            replaced: match destination {
                Destination::Earlier { seen, .. } => Some((&self.to, seen)),
                _ => None,
            },
        };
        // Images that share their blocks with another tree need no space; all others do, wherever they come
        // from.
        let has_room = |missing: &[RowRef<'_>]| {
            room::check(&self.to, room::tally(missing.iter().copied()).1, None, 0)
                .inspect_err(|_| staging.discard_if_empty())
        };
        let seeds::Reused { missing, said: copied } =
            seeds::reuse(&places, missing, staging.root(), options.reuse, options.jobs, &has_room)?;
        let reused_images = (images - missing.len()) as u64;
        let mut built_from = self.built_from();
        if !missing.is_empty() {
            let rebuilt = match options.source.filter(|_| self.built.is_none()) {
                Some(source) => {
                    has_room(&missing)?;
                    let rebuilt = rebuilt::rebuild(self, source, &staging);
                    Some(rebuilt.inspect_err(|_| staging.discard_if_empty())?)
                }
                None => None,
            };
            match &rebuilt {
                Some(rebuilt) => {
                    built_from = Some(BuiltFrom::of(&rebuilt.snapshot.head.manifest, &rebuilt.sources));
                    self.fetch(&rebuilt.build, &rebuilt.snapshot, &staging, &missing)?;
                }
                None => {
                    let fetched = self.fetch(&self.registry, &self.snapshot, &staging, &missing);
                    fetched.map_err(|e| explained(e, &self.snapshot))?;
                }
            }
        }
        self.write_descriptions(staging.root(), selected, built_from)?;
        let replaced = match destination {
            Destination::Earlier { what, .. } => Some(what.clone()),
            _ => None,
        };
        let changed = match staging.finish(&self.to, destination, self.progress)? {
            Finished::InPlace { edited: Some(edited), said } => {
                said.iter().for_each(|said| self.progress.note(&format!("warning: {said}")));
                let is = self.snapshot.head.manifest.id();
                let why = format!(", and is {is}, edited during the pull (changed: {})", edited.display());
                return Err(Error::exists(There::Changed, self.to.display(), why));
            }
            Finished::InPlace { said, edited: None } => {
                let said = copied.into_iter().chain(said).collect();
                return Ok(Some(Written { reused_images, replaced, said }));
            }
            Finished::InTheWay(changed) => changed.filter(|changed| !changed.as_os_str().is_empty()),
        };
        let what = self.to.display().to_string();
        match (self.look(selected), changed) {
            (Ok(Destination::Same), _) => Ok(None),
            (_, Some(changed)) => {
                let changed = self.to.join(changed);
                let why = format!(", and was not replaced: {} changed during the pull", changed.display());
                Err(Error::exists(There::Place, what, why))
            }
            (looked, None) => {
                looked?;
                Err(Error::exists(There::Place, what, ", and is not what it was when the pull began"))
            }
        }
    }

    /// Fetches the images `missing` into the staging folder.
    fn fetch(
        &self,
        registry: &Registry,
        snapshot: &Snapshot,
        staging: &Staging,
        missing: &[RowRef<'_>],
    ) -> Result<()> {
        let images = Images::of(self.snapshot.index(), missing.iter().copied());
        let lacking = Mutex::new(images.clone());
        let take = |image: &Digest, bytes: &[u8]| {
            for row in images.rows(image) {
                files::write_new(&row.path().under(staging.root()), bytes)?;
                self.progress.advance(1);
            }
            lacking.lock().unwrap_or_else(PoisonError::into_inner).remove(image);
            Ok(())
        };
        let mut packs = self.runtime.block_on(registry.packs(snapshot, &images))?;
        images::by_any_list(self.runtime, registry, (snapshot, &images), &mut packs, |packs| {
            // Another list of packs brings what the one before did not.
            let left = match packs.failed() {
                0 => None,
                _ => Some(lacking.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            };
            let wanted = left.as_ref().unwrap_or(&images);
            let rows = missing.iter().filter(|row| left.is_none() || wanted.contains(&row.blake3()));
            let (rows, needed) = room::tally(rows.copied());
            self.fetch_by(packs, registry, snapshot, staging, (rows, needed, wanted), &take)?;
            registry.keep_packs(packs, snapshot.part().is_none() && rows == snapshot.index().len());
            Ok(())
        })
    }

    fn fetch_by(
        &self,
        packs: &[Pack],
        registry: &Registry,
        snapshot: &Snapshot,
        staging: &Staging,
        (rows, needed, wanted): (usize, u64, &Images<'_>),
        take: &Take<'_>,
    ) -> Result<()> {
        let segments = images::plan(self.runtime, registry, snapshot, packs, wanted)?;
        let remote: u64 = segments.iter().filter(|s| s.is_remote()).map(Segment::len).sum();
        let cache_fits = room::check(&self.to, needed, registry.cache_to_fill(), remote)
            .inspect_err(|_| staging.discard_if_empty())?;
        if needed >= WORTH_SAYING {
            self.progress.tell(&format!(
                "{}: {}, {} to fetch, {} on disk",
                snapshot.head.manifest.id(),
                count(rows, "image"),
                size(remote),
                size(needed),
            ));
        }
        if !cache_fits {
            self.progress.note("warning: the cache's disk is too full: fetched images are not kept there");
            registry.keep_nothing_more();
        }
        self.progress.begin("pull", Unit::Images, rows as u64);
        let carrier = Carrier { runtime: self.runtime, registry, packs, jobs: self.options.jobs };
        let outcome = carrier.bring(segments, wanted, take);
        self.progress.end();
        outcome
    }

    /// What the tree is built from, if nobody released it.
    fn built_from(&self) -> Option<BuiltFrom> {
        self.built.as_ref().map(|(_, from)| *from)
    }

    fn write_descriptions(&self, root: &Path, selected: &Sums, built_from: Option<BuiltFrom>) -> Result<()> {
        let written =
            [(CLASSES, self.snapshot.classes_csv().to_vec()), (ISN_JSON, self.origin(built_from).to_json()?)];
        for (name, bytes) in written {
            files::write_new(&root.join(name), &bytes)?;
        }
        let mut lists = Vec::new();
        match self.snapshot.part() {
            None => lists.push((B3SUMS, self.snapshot.sums())),
            Some(part) => files::write_new(&root.join(B3SUMS_PROOF), &part.proof)?,
        }
        if !self.options.selection.is_all() {
            lists.push((B3SUMS_SELECTED, selected));
        }
        for (name, sums) in lists {
            let path = root.join(name);
            File::create_new(&path)
                .and_then(|file| sums.write_to(file))
                .map_err(Error::io("write", &path))?;
        }
        Ok(())
    }
}

/// The images of a withdrawn version may be gone: then that is why they are.
fn explained(error: Error, snapshot: &Snapshot) -> Error {
    match (error, &snapshot.head.withdrawn) {
        (Error::Integrity { .. } | Error::SourceNeeded { .. }, Some(reason)) => {
            Error::Withdrawn { reference: snapshot.head.manifest.pin(), reason: reason.clone() }
        }
        (other, _) => other,
    }
}
