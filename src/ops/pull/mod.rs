//! `isn pull`: an exact version as a folder: verified before it is visible, whole or not there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use rayon::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::Registries;
use super::build::{BuildOptions, Inputs, build};
use super::verify::store::MANIFEST_JSON;
use super::verify::tree::{self, Expected};
use crate::dataset_ref::DatasetRef;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::index::{Index, Row};
use crate::key::PublicKey;
use crate::object::ObjectRef;
use crate::progress::{Progress, Unit};
use crate::registry::fetch::{self, Frame};
use crate::registry::{Registry, Snapshot, has_class};
use crate::shard::FrameReader;
use crate::transport;
use crate::transport::folder::Folder;
use crate::tree::{B3SUMS, B3SUMS_SELECTED, CLASSES, FORMAT, ISN_JSON, Provenance, Selection, Sums};

/// Requests under way at once.
const REQUESTS: usize = 4;
/// Frames that wait for a thread; with some 100 kB each, a few MB.
const WAITING_FRAMES: usize = 32;

/// What to pull, and where to.
pub struct PullOptions<'a> {
    /// Which version.
    pub reference: &'a DatasetRef,
    /// The tree; `./NAME-VERSION` if none is given.
    pub to: Option<&'a Path>,
    /// Which part of the version.
    pub selection: Selection,
    /// The user's own source images, to build from instead of fetching.
    pub source: Option<&'a Path>,
    /// How many threads decompress, check and write.
    pub jobs: usize,
}

/// What a pull did.
pub struct PullReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The identity of the registry.
    pub registry: String,
    /// The tree.
    pub path: PathBuf,
    /// How many images the tree has.
    pub images: u64,
    /// The sum of their lengths, in bytes.
    pub bytes: u64,
    /// What came over the wire, descriptions included.
    pub fetched_bytes: u64,
    /// Images that were there already and were checked.
    pub reused_images: u64,
    /// Whether the whole tree was there already.
    pub was_there: bool,
}

/// Pulls a version.
pub fn pull(
    registries: &Registries<'_>,
    options: PullOptions<'_>,
    progress: &dyn Progress,
) -> Result<PullReport> {
    let runtime = transport::runtime()?;
    let (registry, snapshot) = runtime.block_on(registries.snapshot(options.reference))?;
    check_selection(&snapshot, &options.selection)?;
    let to = match options.to {
        Some(path) => path.to_path_buf(),
        None => PathBuf::from(format!("{}-{}", snapshot.manifest.name, snapshot.manifest.version)),
    };
    materialise(&runtime, &registry, snapshot, &to, &options, progress)
}

/// A split or class that the version does not have is a mistake, not an empty tree.
fn check_selection(snapshot: &Snapshot, selection: &Selection) -> Result<()> {
    let manifest = &snapshot.manifest;
    for split in &selection.splits {
        if !manifest.splits.contains_key(split) {
            let has: Vec<&str> = manifest.splits.keys().map(|split| split.as_str()).collect();
            return Err(Error::not_found(
                format!("split {split}"),
                format!("{} (it has {})", manifest.pin(), has.join(", ")),
            ));
        }
    }
    for class in &selection.classes {
        if !has_class(&snapshot.classes, class) {
            return Err(Error::not_found(format!("class {class}"), manifest.pin()));
        }
    }
    Ok(())
}

fn materialise(
    runtime: &Runtime,
    registry: &Registry,
    snapshot: Snapshot,
    to: &Path,
    options: &PullOptions<'_>,
    progress: &dyn Progress,
) -> Result<PullReport> {
    let selection = &options.selection;
    let rows: Vec<&Row> =
        snapshot.index.rows().iter().filter(|row| selection.includes(row.split, &row.class)).collect();
    let (images, bytes) = (rows.len() as u64, rows.iter().map(|row| row.length).sum());
    let selected = Sums::selected(&snapshot.index, &snapshot.classes_csv, |s, c| selection.includes(s, c))?;

    let was_there = !files::is_absent_or_empty(to)?;
    let mut reused_images = images;
    if was_there {
        if !to.is_dir() {
            return Err(Error::Exists { what: to.display().to_string(), why: " and is not a folder".into() });
        }
        let expected = Expected { full: &snapshot.sums, selected: &selected };
        let faults = tree::check(to, &expected, options.jobs, progress)?;
        if let Some(fault) = faults.first() {
            let why = format!(", and is not {} whole ({fault})", snapshot.manifest.pin());
            return Err(Error::Exists { what: to.display().to_string(), why });
        }
    } else {
        let staging = Staging::open(to, &snapshot.manifest.dataset, selection)?;
        let missing = staging.missing(&rows, options.jobs)?;
        reused_images = images - missing.len() as u64;
        let rebuilt = match options.source {
            Some(source) if !missing.is_empty() => {
                let out = files::hidden_sibling(to, "rebuilt")?;
                Some(rebuild(runtime, registry, &snapshot, source, out, options.jobs, progress)?)
            }
            _ => None,
        };
        let (images_from, described) =
            rebuilt.as_ref().map_or((registry, &snapshot), |r| (&r.build, &r.snapshot));
        fetch_images(runtime, images_from, described, &staging.root, &missing, options.jobs, progress)
            .map_err(|e| explained(e, &snapshot))?;
        write_descriptions(&staging.root, registry, &snapshot, selection, &selected)?;
        staging.finish(to)?;
        rebuilt.map_or(Ok(()), |rebuilt| files::remove_dir_all(&rebuilt.out))?;
    }
    Ok(PullReport {
        registry: registry.name().into(),
        path: to.to_path_buf(),
        images,
        bytes,
        fetched_bytes: registry.fetched_bytes(),
        reused_images,
        was_there,
        snapshot,
    })
}

/// The images of a withdrawn version may be gone: then that is why they are.
fn explained(error: Error, snapshot: &Snapshot) -> Error {
    match (error, &snapshot.withdrawn) {
        (Error::Integrity { .. } | Error::SourceNeeded { .. }, Some(reason)) => {
            Error::Withdrawn { reference: snapshot.manifest.pin(), reason: reason.clone() }
        }
        (other, _) => other,
    }
}

/// A version built again from the user's own source.
struct Rebuilt {
    out: PathBuf,
    build: Registry,
    snapshot: Snapshot,
}

/// Builds the version of `snapshot` into `out`; it must arrive at the same dataset hash.
fn rebuild(
    runtime: &Runtime,
    registry: &Registry,
    snapshot: &Snapshot,
    source: &Path,
    out: PathBuf,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Rebuilt> {
    let inputs = Inputs::of_version(runtime, registry, snapshot)?;
    build(&BuildOptions { inputs: &inputs, source, out: &out, jobs }, progress)?;
    let manifest = ObjectRef::of(&files::read(&out.join(MANIFEST_JSON))?);
    let build = Registry::over(out.display().to_string(), Box::new(Folder::new(&out)));
    let rebuilt = runtime.block_on(build.describe(manifest, Vec::new()))?;
    if rebuilt.manifest.dataset != snapshot.manifest.dataset {
        let why = differences(&snapshot.index, &rebuilt.index);
        files::remove_dir_all(&out)?;
        let what = format!("{} built from {}", snapshot.manifest.pin(), source.display());
        return Err(Error::integrity(
            what,
            format!("has dataset hash {}{why}", rebuilt.manifest.dataset.prefixed()),
        ));
    }
    Ok(Rebuilt { out, build, snapshot: rebuilt })
}

/// Which images of a rebuilt version are not those of the release, and whether the source file is to blame.
fn differences(released: &Index, rebuilt: &Index) -> String {
    let ours: HashMap<&str, &Row> = rebuilt.rows().iter().map(|row| (row.path.as_str(), row)).collect();
    let theirs: HashMap<&str, &Row> = released.rows().iter().map(|row| (row.path.as_str(), row)).collect();
    let mut lines = Vec::new();
    for row in released.rows() {
        let why = match ours.get(row.path.as_str()) {
            Some(found) if found.blake3 == row.blake3 => continue,
            None => "is not made from this source",
            Some(found) if found.source_blake3 != row.source_blake3 => "its source file is another",
            Some(_) => "its source file is the same: the decoder differs",
        };
        lines.push(format!("\n  {}: {why}", row.path));
    }
    let extra = rebuilt.rows().iter().filter(|row| !theirs.contains_key(row.path.as_str()));
    lines.extend(extra.map(|row| format!("\n  {}: is not in the release", row.path)));
    lines.concat()
}

/// The tree while it is being written: a hidden sibling of its destination, found again by the next run if this
/// one is killed.
struct Staging {
    root: PathBuf,
    lock: PathBuf,
    _lock: Option<files::Lock>,
}

impl Staging {
    fn open(to: &Path, dataset: &Digest, selection: &Selection) -> Result<Self> {
        // The name says what is being written, so that two versions, or two parts of one, never mix.
        let selection = serde_json::to_vec(selection).map_err(|e| Error::Internal(e.to_string()))?;
        let key = Digest::of(&[dataset.as_bytes().as_slice(), &selection].concat()).to_string();
        let root = files::hidden_sibling(to, &format!("{}.isn-partial", &key[..16]))?;
        let lock = files::hidden_sibling(to, &format!("{}.isn-lock", &key[..16]))?;
        let held = files::Lock::try_take(&lock)?;
        let root = match held {
            Some(_) => root,
            // Another process writes this very tree: work beside it, the first to finish wins.
            None => files::hidden_sibling(to, &format!("{}-{}.isn-partial", &key[..16], std::process::id()))?,
        };
        files::create_dir_all(&root)?;
        Ok(Staging { root, lock, _lock: held })
    }

    /// The images that are not here yet, whole and right. Anything else that is here is removed.
    fn missing<'a>(&self, rows: &[&'a Row], jobs: usize) -> Result<Vec<&'a Row>> {
        let known: HashMap<&str, &Row> = rows.iter().map(|&row| (row.path.as_str(), row)).collect();
        let found = files::walk(&self.root)?;
        let check = |(path, kind): &(String, files::Kind)| -> Result<Option<String>> {
            let file = self.root.join(path);
            if let (Some(row), files::Kind::File(length)) = (known.get(path.as_str()), kind)
                && row.length == *length
                && Digest::of(&files::read(&file)?) == row.blake3
            {
                return Ok(Some(path.clone()));
            }
            std::fs::remove_file(&file).map_err(Error::io("remove", &file))?;
            Ok(None)
        };
        let kept = crate::parallel::pool(jobs)?
            .install(|| found.par_iter().map(check).collect::<Result<Vec<_>>>())?;
        let kept: std::collections::HashSet<String> = kept.into_iter().flatten().collect();
        Ok(rows.iter().filter(|row| !kept.contains(row.path.as_str())).copied().collect())
    }

    fn finish(self, to: &Path) -> Result<()> {
        files::sync_file_system(&self.root)?;
        if !files::rename_new(&self.root, to)? {
            return Err(Error::Exists {
                what: to.display().to_string(),
                why: " (it came into being during the pull)".into(),
            });
        }
        if self._lock.is_some() {
            let _ = std::fs::remove_file(&self.lock);
        }
        Ok(())
    }
}

fn fetch_images(
    runtime: &Runtime,
    registry: &Registry,
    snapshot: &Snapshot,
    root: &Path,
    missing: &[&Row],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let mut by_image: HashMap<Digest, Vec<&Row>> = HashMap::new();
    for row in missing {
        by_image.entry(row.blake3).or_default().push(row);
    }
    for dir in missing
        .iter()
        .map(|row| files::parent(Path::new(row.path.as_str())))
        .collect::<std::collections::BTreeSet<_>>()
    {
        files::create_dir_all(&root.join(dir))?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packs = runtime.block_on(registry.packs(snapshot))?;
    let wanted = by_image.iter().map(|(image, rows)| (*image, rows[0].length)).collect();
    let (segments, absent) = fetch::plan(&packs, &wanted);
    if let Some(image) = absent.first() {
        return Err(Error::SourceNeeded {
            reference: snapshot.manifest.pin(),
            why: match packs.len() {
                0 => format!("registry {} has no images of it", registry.name()),
                _ => format!(
                    "registry {} lacks {} of its images, {image} the first",
                    registry.name(),
                    absent.len()
                ),
            },
        });
    }

    progress.begin("pull", Unit::Images, missing.len() as u64);
    let (sender, receiver) = mpsc::channel::<Frame<'_>>(WAITING_FRAMES);
    let receiver = Mutex::new(receiver);
    let write = || -> Result<()> {
        let mut reader = FrameReader::new().map_err(|e| Error::Internal(format!("zstd: {e}")))?;
        loop {
            let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
            let Some(frame) = next else { return Ok(()) };
            let rows = &by_image[&frame.entry.blake3];
            let what = registry.locate(crate::object::ObjectKind::Shard, &frame.shard);
            let image =
                reader.image(&what, &frame.bytes, &frame.entry.frame, &frame.entry.blake3, rows[0].length)?;
            for row in rows {
                let path = row.path.under(root);
                std::fs::write(&path, image).map_err(Error::io("write", &path))?;
            }
            progress.advance(rows.len() as u64);
        }
    };
    // The first failure of a writer closes the channel, which ends the fetching.
    let guarded = || write().inspect_err(|_| receiver.lock().unwrap_or_else(PoisonError::into_inner).close());
    let outcome = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(guarded)).collect();
        let fetched = runtime.block_on(async {
            let mut requests = futures_util::stream::iter(&segments)
                .map(|segment| fetch::fetch(registry, segment, &sender))
                .buffer_unordered(REQUESTS);
            while let Some(ended) = requests.next().await {
                ended?;
            }
            Ok(())
        });
        drop(sender);
        let written = writers
            .into_iter()
            .map(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        written.collect::<Result<()>>().and(fetched)
    });
    progress.end();
    outcome
}

fn write_descriptions(
    root: &Path,
    registry: &Registry,
    snapshot: &Snapshot,
    selection: &Selection,
    selected: &Sums,
) -> Result<()> {
    let manifest = &snapshot.manifest;
    let provenance = Provenance {
        format: FORMAT.into(),
        name: manifest.name.clone(),
        version: manifest.version,
        dataset: manifest.dataset.prefixed(),
        manifest: snapshot.manifest_ref.blake3.prefixed(),
        pin: manifest.pin(),
        title: manifest.title.clone(),
        licence: manifest.licence.clone(),
        registry: registry.name().into(),
        signed_by: snapshot.signed_by.iter().map(PublicKey::fingerprint).collect(),
        selection: selection.clone(),
        isn: concat!("isn ", env!("CARGO_PKG_VERSION")).into(),
    };
    let mut json = serde_json::to_vec_pretty(&provenance).map_err(|e| Error::Internal(e.to_string()))?;
    json.push(b'\n');
    let mut written = vec![
        (CLASSES, snapshot.classes_csv.clone()),
        (B3SUMS, snapshot.sums.to_text().into_bytes()),
        (ISN_JSON, json),
    ];
    if !selection.is_all() {
        written.push((B3SUMS_SELECTED, selected.to_text().into_bytes()));
    }
    for (name, bytes) in written {
        let path = root.join(name);
        std::fs::write(&path, bytes).map_err(Error::io("write", &path))?;
    }
    Ok(())
}
