//! `isn.load` of the Python package: opens a version, or a part of it, to be read in place. Images are read
//! from the registry if it is a folder, else from the cache or from trees that were pulled before. Images
//! that are in none of them are first fetched into the cache. A build or a tree is read as it lies.

#[cfg(test)]
mod decoded_tests;
mod folder;

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

use tokio::runtime::Runtime;

use super::pull::seeds;
use crate::cache::Cache;
use crate::client::Client;
use crate::client::version_at::VersionAt;
use crate::client::{complete, complete_part};
use crate::dataset::{Basis, Dataset, Parts, Places, Verify};
use crate::files;
use crate::progress::Progress;
use crate::registry::{Head, Packs, Registry, Snapshot, layout};
use crate::steps::images::{self, Carrier};
use crate::steps::selection::{check_images, check_parts};
use crate::transport;
use crate::tree_file::Lists;
use isn_format::description::Description;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, count};
use isn_format::index::{Full, Images};
use isn_format::manifest::Manifest;
use isn_format::object::ObjectKind;
use isn_format::split::Split;
use isn_format::sums::Sums;
use isn_format::table::{FrameAt, Placement, Table};
use isn_format::tree::{CLASSES, Selection};

/// What error messages call a table.
const TABLE: &str = "table";

/// What to open.
pub struct LoadOptions<'a> {
    /// The version.
    pub version: &'a VersionAt,
    /// The part of it to open: splits and classes.
    pub selection: &'a Selection,
    /// How often images are checked.
    pub verify: Verify,
    /// The number of threads that check what is fetched.
    pub jobs: usize,
    /// Trust nothing in the cache: make the table anew, and fetch and check every image first, from pieces in
    /// the cache where they are right. With a list of registries, no shard is then read in place, because the
    /// places of its images are a hint from one of them.
    pub anew: bool,
}

/// Opens a version for reading.
///
/// # Errors
/// [`Error::NotFound`] if the version does not exist or has no part that is selected; [`Error::Network`],
/// [`Error::Trust`] or [`Error::Integrity`] if a registry does not answer, is not trusted or serves wrong
/// bytes; [`Error::Invalid`] if images must be fetched and there is no cache, or a folder is neither a build
/// nor a tree.
pub fn load(client: &Client, options: &LoadOptions<'_>, progress: &dyn Progress) -> Result<Dataset> {
    let reference = match options.version {
        VersionAt::Registry(reference) => reference,
        VersionAt::Folder(folder) => return folder::open(folder, options),
    };
    let runtime = transport::runtime()?;
    let (registry, head) = runtime.block_on(client.head(reference))?;
    let is_doubted = |cache: &Cache| options.anew || cache.is_doubted(&head.manifest.objects.index.blake3);
    let is_anew = client.cache.as_ref().map_or(options.anew, is_doubted);
    Opening { runtime: &runtime, client, registry, options, is_anew, progress }.images(head)
}

/// Returns the source ids of the images of a part of a version, in the same order as [`load`]. Those of a
/// tree are in the index of its release.
///
/// # Errors
/// Those of describing a version; [`Error::Invalid`] for a tree that nobody has released.
pub fn sources(client: &Client, version: &VersionAt, selection: &Selection) -> Result<Vec<String>> {
    let runtime = transport::runtime()?;
    let tree = version.tree()?;
    let (registry, snapshot) = match tree.as_ref().and_then(Lists::pin) {
        Some(pin) => runtime.block_on(client.snapshot(&pin))?,
        None => runtime.block_on(version.describe_part(client, selection))?,
    };
    let sources = runtime.block_on(registry.sources(&snapshot))?;
    let includes = selection.filter();
    let is_in_tree = |path: &str| tree.as_ref().is_none_or(|lists| lists.sums.blake3_of(path).is_some());
    let full = Full { index: snapshot.index(), sources: &sources };
    let rows = full.rows().filter(|row| includes(row.path().as_str()) && is_in_tree(row.path().as_str()));
    Ok(rows.map(|row| row.source().into()).collect())
}

struct Opening<'a> {
    runtime: &'a Runtime,
    client: &'a Client,
    registry: Registry,
    options: &'a LoadOptions<'a>,
    /// Whether the contents of the cache are checked before they are used.
    is_anew: bool,
    progress: &'a dyn Progress,
}

impl Opening<'_> {
    /// Opens the images.
    fn images(self, head: Head) -> Result<Dataset> {
        let kept = if self.is_anew || self.is_part(&head) { None } else { self.kept(&head.manifest)? };
        if let Some(description) = kept {
            let rows = self.select(&head.manifest, &description)?;
            let (places, missing) = self.places(description.rows(), &rows, true);
            if missing.is_empty() {
                return Ok(self.dataset(&head, description, rows, places, Basis::KeptTable));
            }
        }
        self.fetched(head)
    }

    /// Whether only what is selected is read: where that can be read alone, and no table of the whole is
    /// kept.
    fn is_part(&self, head: &Head) -> bool {
        let has_table = |cache: &Cache| cache.has_table(&head.manifest.objects.index.blake3);
        head.manifest.objects.blocks.is_some()
            && !self.options.selection.is_all()
            && !self.client.cache.as_ref().is_some_and(has_table)
    }

    fn dataset(
        &self,
        head: &Head,
        description: Description<Table>,
        rows: Vec<u32>,
        places: Places,
        basis: Basis,
    ) -> Dataset {
        let (identity, index) = (head.identity(), Some(head.manifest.objects.index.blake3));
        let (warnings, unsigned, verify) = (head.warnings.clone(), head.unsigned(), self.options.verify);
        let part = self.options.selection.clone();
        Dataset::new(Parts {
            identity,
            part,
            index,
            description,
            warnings,
            unsigned,
            rows,
            places,
            basis,
            verify,
        })
    }

    /// Describes the version by its table in the cache. Returns `None` if the table is missing, damaged or of
    /// another version.
    fn kept(&self, manifest: &Manifest) -> Result<Option<Description<Table>>> {
        let (index, cap) = (&manifest.objects.index.blake3, Table::max_len(manifest.images));
        let table = self.client.cache.as_ref().and_then(|cache| cache.table(index, cap));
        let Some(table) = table.and_then(|bytes| Table::parse(TABLE, bytes).ok()) else { return Ok(None) };
        let (kind, classes) = (ObjectKind::Classes, &manifest.objects.classes);
        let classes_csv = self.runtime.block_on(self.registry.object(kind, classes))?;
        let classes_what = self.registry.locate(kind, &classes.blake3);
        Ok(Description::new((TABLE, table), (&classes_what, classes_csv), manifest).ok())
    }

    fn select(&self, manifest: &Manifest, description: &Description<Table>) -> Result<Vec<u32>> {
        select(&manifest.pin(), &manifest.tally.splits(), description, self.options.selection)
    }

    /// Finds the images of `rows`: in shards at hand, in pieces of the cache if `in_pieces`, and in trees
    /// that were pulled before. Returns their places, and the indexes in `rows` of those that were not found.
    fn places(&self, table: &Table, rows: &[u32], in_pieces: bool) -> (Places, Vec<usize>) {
        let cache = self.client.cache.as_ref();
        let at_hand = |shard: &_| match (self.is_anew && self.registry.has_mirrors(), cache) {
            (false, _) => self.registry.shard_at_hand(shard),
            // Each image is fetched into the cache, and checked on the way.
            (true, Some(_)) => None,
            (true, None) => self.registry.right_shard_at_hand(shard),
        };
        let (mut places, missing) = Places::find(
            table.shards(),
            rows.len(),
            frame(table, rows),
            at_hand,
            cache.filter(|_| in_pieces),
        );
        let missing = self.look_in_trees(&mut places, table, rows, missing);
        (places, missing)
    }

    /// Looks for the images `missing` in trees, and makes the files there their places. Returns the images
    /// that no tree has.
    fn look_in_trees(
        &self,
        places: &mut Places,
        table: &Table,
        rows: &[u32],
        missing: Vec<usize>,
    ) -> Vec<usize> {
        let Some(cache) = self.client.cache.as_ref().filter(|_| !missing.is_empty()) else { return missing };
        let mut wanted: HashMap<Digest, (u64, Vec<usize>)> = HashMap::new();
        for image in missing {
            let row = rows[image] as usize;
            if let (Some(blake3), Some(record)) = (table.blake3(row), table.record(row)) {
                wanted.entry(blake3).or_insert((record.length, Vec::new())).1.push(image);
            }
        }
        for tree in cache.trees() {
            if wanted.is_empty() {
                break;
            }
            for line in seeds::lines(&tree) {
                let Some(&(length, _)) = wanted.get(&line.blake3) else { continue };
                let path = line.path.under(&tree);
                // The bytes are compared when the image is read, and here already if nothing is trusted. A
                // file of another length cannot be the image.
                let is_candidate =
                    path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() == length)
                        && (!self.is_anew || has_blake3(&path, &line.blake3));
                if let Some((_, images)) = is_candidate.then(|| wanted.remove(&line.blake3)).flatten() {
                    images.into_iter().for_each(|image| places.set_file(image, path.clone()));
                }
            }
        }
        let mut missing: Vec<usize> = wanted.into_values().flat_map(|(_, images)| images).collect();
        missing.sort_unstable();
        missing
    }

    /// Makes the table anew, and fetches what is not on this machine.
    fn fetched(mut self, head: Head) -> Result<Dataset> {
        let (mut snapshot, mut packs) = self.described(head)?;
        // A pin that is not kept is asked for again.
        let _ = self.registry.keep_pin(&snapshot);
        if let Some(cache) = &self.client.cache {
            self.registry = self.registry.with_cache(Some(cache.clone()));
        }
        if let Some(places) = self.all_at_hand(&snapshot, &packs) {
            // The table is read when the lists are not in memory any more.
            let head = snapshot.head;
            drop(packs);
            if let Some(description) = self.kept(&head.manifest)? {
                let rows = self.select(&head.manifest, &description)?;
                let dataset = self.dataset(&head, description, rows, places, Basis::Packs);
                return Ok(dataset.with_warnings(self.registry.complaints()));
            }
            (snapshot, packs) = self.described(head)?;
        }
        // The images come by one list of packs, as the table does.
        let mut needs_cache = false;
        let all = Images::all(snapshot.index());
        let dataset =
            images::by_any_list(self.runtime, &self.registry, (&snapshot, &all), &mut packs, |packs| {
                self.by(packs, &snapshot, &mut needs_cache)
            });
        // Without a cache, only the next list may lead to shards at hand. If none does, the cache is lacking.
        let dataset = dataset.map_err(|e| match needs_cache {
            true => Error::invalid(
                "the cache",
                "is not to be used: there is nowhere to put what has to be fetched",
            ),
            false => e,
        })?;
        Ok(dataset.with_warnings(self.registry.complaints()))
    }

    /// Reads the lists of the version.
    fn described(&self, head: Head) -> Result<(Snapshot, Packs)> {
        let selection = self.options.selection;
        let described = match self.is_part(&head) {
            true => self.runtime.block_on(complete_part(&self.registry, head, selection)),
            false => self.runtime.block_on(complete(&self.registry, head)),
        };
        let snapshot = described?;
        let all = Images::all(snapshot.index());
        let packs = self.runtime.block_on(self.registry.packs(&snapshot, &all))?;
        drop(all);
        Ok((snapshot, packs))
    }

    /// Finds the images if all are wanted and on this machine, and writes the table to the cache.
    fn all_at_hand(&self, snapshot: &Snapshot, packs: &Packs) -> Option<Places> {
        let cache = self.client.cache.as_ref()?;
        if self.is_anew || !self.options.selection.is_all() {
            return None;
        }
        let (index, at_hand) = (snapshot.index(), |shard: &_| self.registry.shard_at_hand(shard));
        let placement = Placement::new(index, packs);
        let frame = |row| placement.frame(row);
        let (places, missing) = Places::find(placement.shards(), index.len(), frame, at_hand, Some(cache));
        let table = &snapshot.head.manifest.objects.index.blake3;
        let is_kept = || cache.keep_table_by(table, |out| placement.write(snapshot.sums(), out)).is_ok();
        (missing.is_empty() && is_kept()).then_some(places)
    }

    /// Makes the table from `packs`, and fetches what is not on this machine. Sets `needs_cache` if images
    /// would have to be fetched, and there is no cache.
    fn by(&self, packs: &Packs, snapshot: &Snapshot, needs_cache: &mut bool) -> Result<Dataset> {
        let cache = self.client.cache.as_ref();
        let (manifest, classes_csv) = (&snapshot.head.manifest, snapshot.classes_csv().to_vec());
        let is_part = snapshot.part().is_some();
        let description = if is_part {
            // Its lines were checked when they were read, and a list of them has another hash.
            let table = Table::new(snapshot.index(), &Sums::new(snapshot.index(), &classes_csv), packs)?;
            Description::of_tree((TABLE, table), (CLASSES, classes_csv))?.0
        } else {
            let table = Table::new(snapshot.index(), snapshot.sums(), packs)?;
            // Keeping the table only saves work for the next run.
            let _ = cache.map(|cache| cache.keep_table(&manifest.objects.index.blake3, table.to_bytes()));
            Description::new((TABLE, table), (CLASSES, classes_csv), manifest)?
        };
        let rows = self.select(manifest, &description)?;
        let basis = if self.is_anew { Basis::CheckedPacks } else { Basis::Packs };
        let (mut places, first_missing) = self.places(description.rows(), &rows, !self.is_anew);
        if first_missing.is_empty() {
            let dataset = self.dataset(&snapshot.head, description, rows, places, basis);
            if self.is_anew && cache.is_none() && self.registry.has_mirrors() {
                // Without a cache, wrong packs would be noticed only when it is too late for others.
                dataset.check(self.options.jobs)?;
            }
            return Ok(dataset);
        }
        let index = snapshot.index();
        let wanted_of =
            |images: &[usize]| Images::of(index, images.iter().map(|&image| index.row(rows[image] as usize)));
        let Some(cache) = cache else {
            images::plan(self.runtime, &self.registry, snapshot, packs, &wanted_of(&first_missing))?;
            *needs_cache = true;
            let why = "leads to shards that are in no folder at hand, and there is no cache";
            return Err(Error::integrity(layout::packs(&snapshot.head.manifest_ref.blake3), why));
        };
        let carrier =
            Carrier { runtime: self.runtime, registry: &self.registry, packs, jobs: self.options.jobs };
        carrier.bring_into(cache, snapshot, &wanted_of(&first_missing), self.progress, |_| Ok(()))?;
        let missing = if self.is_anew {
            // What was found before stays where it was checked: these packs say nothing about it.
            let (table, missing) = (description.rows(), first_missing.iter().copied());
            places.look(table.shards(), frame(table, &rows), missing, |_| None, Some(cache))
        } else {
            let missing;
            (places, missing) = self.places(description.rows(), &rows, true);
            missing
        };
        if !missing.is_empty() {
            return Err(cache.not_kept(format!("did not keep {}", count(missing.len(), "image"))));
        }
        // Whether every image of the version is checked against these packs.
        let is_all_checked = !is_part && first_missing.len() == index.len();
        self.registry.keep_packs(packs, is_all_checked);
        if self.is_anew && is_all_checked {
            cache.trust_again(&manifest.objects.index.blake3);
        }
        Ok(self.dataset(&snapshot.head, description, rows, places, basis))
    }
}

/// Returns the rows of the selected images; `what` names the version in errors.
fn select(
    what: &dyn Display,
    splits: &[Split],
    description: &Description<Table>,
    selection: &Selection,
) -> Result<Vec<u32>> {
    let table = description.rows();
    check_parts(what, splits, description.classes(), selection)?;
    if !selection.images.is_empty() {
        let known: HashMap<&str, Option<Digest>> =
            (0..table.images()).map(|row| (table.path(row), table.blake3(row))).collect();
        check_images(what, selection, |image| known.get(image.as_str()).copied().flatten())?;
    }
    let includes = selection.filter();
    Ok((0..table.images() as u32).filter(|&image| includes(table.path(image as usize))).collect())
}

/// Returns what tells where the images of `rows` are in shards.
fn frame<'t>(table: &'t Table, rows: &'t [u32]) -> impl Fn(usize) -> Option<FrameAt> + 't {
    |image| table.record(*rows.get(image)? as usize)?.frame
}

/// Whether a file has this hash.
fn has_blake3(path: &Path, blake3: &Digest) -> bool {
    let mut hasher = blake3::Hasher::new();
    let file = files::open_nofollow(path).ok().flatten();
    file.is_some_and(|file| hasher.update_reader(file).is_ok() && Digest::of_hasher(&hasher) == *blake3)
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use crate::dataset::Batch;
    use crate::known_logs::KnownLogs;
    use crate::progress::Silent;
    use crate::registry::BUNDLED;
    use crate::transport::Access;
    use crate::transport::bundled::Bundled;
    use crate::trust::TrustStore;
    use isn_format::augment::{Augment, Crop};
    use isn_format::index::Sources;
    use isn_format::pixel_spec::ExifOrientation;
    use isn_pixels::{SampleOrder, decode_rgb, pixel_digest};

    pub(in crate::ops) fn with_client<T>(home: &Path, work: impl FnOnce(&Client) -> T) -> T {
        let trust = TrustStore::open(home.join("trust.toml")).unwrap();
        let (logs, cache) = (KnownLogs::new(home.join("logs")), Cache::new(home.join("cache")));
        let access = Access { bundled: Bundled::of_the_repository(), ..Access::default() };
        let locations = vec![BUNDLED.to_string()];
        work(&Client {
            locations,
            named_by: String::new(),
            trust,
            logs,
            cache: Some(cache),
            access,
            max_age: None,
        })
    }

    fn open(home: &Path, splits: &[Split], verify: Verify) -> Result<Dataset> {
        let reference = "demobirds@1.0".parse().unwrap();
        let selection = Selection { splits: splits.to_vec(), ..Selection::default() };
        let options =
            LoadOptions { version: &reference, selection: &selection, verify, jobs: 2, anew: false };
        with_client(home, |client| load(client, &options, &Silent))
    }

    /// Describes the version as the registry has it.
    fn snapshot(home: &Path) -> crate::registry::Snapshot {
        snapshot_and_sources(home).0
    }

    fn snapshot_and_sources(home: &Path) -> (crate::registry::Snapshot, Sources) {
        let (reference, runtime) = ("demobirds@1.0".parse().unwrap(), transport::runtime().unwrap());
        with_client(home, |client| {
            let (registry, snapshot) = runtime.block_on(client.snapshot(&reference)).unwrap();
            let sources = runtime.block_on(registry.sources(&snapshot)).unwrap();
            (snapshot, sources)
        })
    }

    #[test]
    fn every_image_has_the_pixels_label_and_path_of_the_index() {
        let home = tempfile::tempdir().unwrap();
        let (snapshot, sources) = snapshot_and_sources(home.path());
        let full = Full { index: snapshot.index(), sources: &sources };
        // The second round reads the table from the cache.
        for _ in 0..2 {
            let dataset = open(home.path(), &[], Verify::Once).unwrap();
            assert_eq!(dataset.len() as u64, snapshot.head.manifest.images);
            for (image, row) in full.rows().enumerate() {
                let (width, height) = dataset.size(image).unwrap();
                let mut pixels = vec![0; width as usize * height as usize * 3];
                dataset.pixels(image, &mut pixels).unwrap();
                assert_eq!(pixel_digest(width, height, &pixels), row.pixels());
                assert_eq!(dataset.path(image), row.path().as_str());
                assert_eq!(dataset.classes()[dataset.labels()[image] as usize].id, *row.class());
            }
            assert_eq!(dataset.checks() as usize, dataset.len());
            assert!(dataset.pixels(dataset.len(), &mut []).is_err());
        }
        assert_eq!(open(home.path(), &[Split::Val], Verify::Once).unwrap().len(), 40);
    }

    #[test]
    fn a_table_that_is_damaged_or_of_another_version_is_made_anew() {
        let home = tempfile::tempdir().unwrap();
        let index = snapshot(home.path()).head.manifest.objects.index.blake3;
        open(home.path(), &[], Verify::Once).unwrap();
        let cache = Cache::new(home.path().join("cache"));
        let good = cache.table(&index, u64::MAX).unwrap();
        let flipped = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        for bad in [flipped(0), flipped(17), flipped(100), flipped(good.len() - 40), good[..90].to_vec()] {
            cache.keep_table(&index, &bad).unwrap();
            assert_eq!(open(home.path(), &[Split::Val], Verify::Once).unwrap().len(), 40);
            assert_eq!(cache.table(&index, u64::MAX).unwrap(), good);
        }
    }

    #[test]
    fn pieces_of_the_cache_are_read_in_place_and_their_damage_is_found() {
        let home = tempfile::tempdir().unwrap();
        let reference = "demobirds@1.0".parse().unwrap();
        let cache = Cache::new(home.path().join("cache"));
        with_client(home.path(), |client| {
            crate::ops::fetch::fetch(client, &reference, &Selection::default(), 2, &Silent).unwrap();
        });
        let snapshot = snapshot(home.path());
        open(home.path(), &[], Verify::Once).unwrap();
        let table = cache.table(&snapshot.head.manifest.objects.index.blake3, u64::MAX).unwrap();
        let dataset = |verify| {
            let table = Table::parse("table", table.clone()).unwrap();
            let rows: Vec<u32> = (0..table.images() as u32).collect();
            let (places, missing) =
                Places::find(table.shards(), rows.len(), frame(&table, &rows), |_| None, Some(&cache));
            assert!(missing.is_empty());
            let manifest = &snapshot.head.manifest;
            let classes = (CLASSES, snapshot.classes_csv().to_vec());
            let description = Description::new((TABLE, table), classes, manifest).unwrap();
            let (identity, index) = (snapshot.head.identity(), Some(manifest.objects.index.blake3));
            let (warnings, unsigned, basis) = (Vec::new(), &[][..], Basis::Packs);
            let part = Selection::default();
            Dataset::new(Parts {
                identity,
                part,
                index,
                description,
                warnings,
                unsigned,
                rows,
                places,
                verify,
                basis,
            })
        };
        let whole = dataset(Verify::Once);
        let files: Vec<Vec<u8>> = (0..whole.len()).map(|image| whole.file(image).unwrap()).collect();
        let decoded = decode_rgb(&files[9], ExifOrientation::Ignore).unwrap();
        assert_eq!((decoded.width, decoded.height), whole.size(9).unwrap());

        let shard = Table::parse("table", table.clone()).unwrap().shards()[0].blake3;
        let pieces = cache.pieces(&shard);
        let mut bytes = std::fs::read(&pieces[0].path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        // A reader that has checked an image once does not check it again. A reader that has not checked it
        // yet, or always checks, finds the damage and sets the piece aside.
        for verify in [Verify::Once, Verify::Always] {
            std::fs::write(&pieces[0].path, &bytes).unwrap();
            let damaged = dataset(verify);
            let wrong: Vec<Error> =
                (0..damaged.len()).filter_map(|image| damaged.file(image).err()).collect();
            let [Error::Integrity { what, .. }] = &wrong[..] else { panic!("{wrong:?}") };
            assert!(what.contains(&pieces[0].path.display().to_string()));
            let crop = Augment { crop: Crop::Centre, flip: false };
            let batch = Batch {
                image_size: (8, 8),
                augment: crop,
                seed: 0,
                epoch: 0,
                layout: SampleOrder::Planar,
                threads: 3,
            };
            let all: Vec<u32> = (0..damaged.len() as u32).collect();
            let made = damaged.batch(&all, &batch, &mut vec![0; all.len() * 192]);
            assert!(matches!(made, Err(Error::Integrity { .. })));
        }
        // Without checks, damage is found only in a frame that does not decompress to an entry of that name
        // and length.
        std::fs::write(&pieces[0].path, &bytes).unwrap();
        let careless = dataset(Verify::Never);
        let same =
            (0..careless.len()).filter(|&image| careless.file(image).ok().as_ref() == Some(&files[image]));
        assert_eq!(same.count(), files.len() - 1);
        assert_eq!(careless.checks(), 0);
    }
}
