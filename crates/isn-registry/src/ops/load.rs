//! `isn.load` of the Python package: opens a version, or a part of it, to be read in place. Images are read
//! from the registry if it is a folder, else from the cache or from trees that were pulled before. Images
//! that are in none of them are first fetched into the cache. A build or a tree is read as it lies.

#[cfg(test)]
mod decoded_tests;
mod folder;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::path::Path;

use tokio::runtime::Runtime;

use super::pull::seeds;
use crate::cache::Cache;
use crate::client::Client;
use crate::client::version_at::VersionAt;
use crate::client::{complete, complete_part};
use crate::dataset::{Basis, Chosen, Dataset, Parts, Places, Verify};
use crate::files;
use crate::progress::Progress;
use crate::registry::{Head, Packs, Registry, Snapshot, layout};
use crate::steps::images::{self, Carrier};
use crate::steps::selection::{check_images, check_parts};
use crate::transport;
use crate::tree_file::Lists;
use isn_format::description::{Description, Rows as _};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, count};
use isn_format::index::{Full, Images};
use isn_format::manifest::Manifest;
use isn_format::object::ObjectKind;
use isn_format::rel_path::RelPath;
use isn_format::split::Split;
use isn_format::sums::Sums;
use isn_format::table::{Check, Entry, FrameAt, Placement, Run, Table};
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
            let found = self.select(&head.manifest, &description).and_then(|chosen| {
                let (places, missing) = self.places(description.rows(), &chosen, true)?;
                Ok(missing.is_empty().then_some((chosen, places)))
            });
            match found {
                Ok(Some((chosen, places))) => {
                    return Ok(self.dataset(&head, description, chosen, places, Basis::KeptTable));
                }
                // A table that is damaged where it was looked into is made anew.
                Ok(None) | Err(Error::Integrity { .. }) => {}
                Err(e) => return Err(e),
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
        chosen: Chosen,
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
            chosen,
            places,
            basis,
            verify,
        })
    }

    /// Describes the version by its table in the cache, which is read where it lies. Returns `None` if the
    /// table is missing, of another version, or damaged in what is read of it here.
    fn kept(&self, manifest: &Manifest) -> Result<Option<Description<Table>>> {
        let table = self.client.cache.as_ref().and_then(|cache| cache.table(&manifest.objects.index.blake3));
        let check = if self.options.verify == Verify::Always { Check::Always } else { Check::Once };
        let table =
            table.and_then(|file| Table::open("the cache's table", file, check, manifest.images).ok());
        let Some(table) = table else { return Ok(None) };
        let is_of_classes = match self.runtime.block_on(self.registry.counts(manifest)) {
            Ok(Some(counts)) => table.counts(TABLE)? == counts,
            // If what is signed is not at hand, the paths say how many images a class has.
            _ => table.check().is_ok(),
        };
        if !is_of_classes {
            return Ok(None);
        }
        let (kind, classes) = (ObjectKind::Classes, &manifest.objects.classes);
        let classes_csv = self.runtime.block_on(self.registry.object(kind, classes))?;
        let classes_what = self.registry.locate(kind, &classes.blake3);
        Ok(Description::new((TABLE, table), (&classes_what, classes_csv), manifest).ok())
    }

    fn select(&self, manifest: &Manifest, description: &Description<Table>) -> Result<Chosen> {
        select(&manifest.pin(), &manifest.tally.splits(), description, self.options.selection)
    }

    /// Finds the selected images: in shards at hand, in pieces of the cache if `in_pieces`, and in trees that
    /// were pulled before. Returns their places, and which of them were not found.
    fn places(&self, table: &Table, chosen: &Chosen, in_pieces: bool) -> Result<(Places, Vec<usize>)> {
        let cache = self.client.cache.as_ref();
        let at_hand = |shard: &_| match (self.is_anew && self.registry.has_mirrors(), cache) {
            (false, _) => self.registry.shard_at_hand(shard),
            // Each image is fetched into the cache, and checked on the way.
            (true, Some(_)) => None,
            (true, None) => self.registry.right_shard_at_hand(shard),
        };
        let pieces = cache.filter(|_| in_pieces);
        let selection = self.options.selection;
        if selection.classes.is_empty() && selection.images.is_empty() {
            // Of whole splits, no row need be read if all bytes of shards that have their frames are there.
            let extents = table.extents().iter().filter(|extent| chosen.has_split(extent.split));
            if let Some(places) = Places::covering(table.shards(), extents, at_hand, pieces) {
                return Ok((places, Vec::new()));
            }
        }
        let (mut places, missing) = Places::find(table.shards(), frames(table, chosen), at_hand, pieces)?;
        let missing = self.look_in_trees(&mut places, table, chosen, missing)?;
        Ok((places, missing))
    }

    /// Looks for the images `missing` in trees, and makes the files there their places. Returns the images
    /// that no tree has.
    fn look_in_trees(
        &self,
        places: &mut Places,
        table: &Table,
        chosen: &Chosen,
        missing: Vec<usize>,
    ) -> Result<Vec<usize>> {
        let Some(cache) = self.client.cache.as_ref().filter(|_| !missing.is_empty()) else {
            return Ok(missing);
        };
        let mut wanted: HashMap<Digest, (u64, Vec<usize>)> = HashMap::new();
        for image in missing {
            if let Some(row) = chosen.row(image) {
                let entry = table.entry(row)?;
                wanted.entry(entry.blake3).or_insert((entry.record.length, Vec::new())).1.push(image);
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
        Ok(missing)
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
                let chosen = self.select(&head.manifest, &description)?;
                let dataset = self.dataset(&head, description, chosen, places, Basis::Packs);
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
        let frames = (0..index.len()).map(|row| Ok(placement.frame(row)));
        let found = Places::find(placement.shards(), frames, at_hand, Some(cache));
        let (places, missing) = found.ok()?;
        let table = &snapshot.head.manifest.objects.index.blake3;
        let is_kept = || cache.keep_table(table, |out| placement.write(snapshot.sums(), out)).is_ok();
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
            let index = &manifest.objects.index.blake3;
            let _ = cache.map(|cache| cache.keep_table(index, |out| table.copy_to(out)));
            Description::new((TABLE, table), (CLASSES, classes_csv), manifest)?
        };
        let chosen = self.select(manifest, &description)?;
        let basis = if self.is_anew { Basis::CheckedPacks } else { Basis::Packs };
        let (mut places, first_missing) = self.places(description.rows(), &chosen, !self.is_anew)?;
        if first_missing.is_empty() {
            let dataset = self.dataset(&snapshot.head, description, chosen, places, basis);
            if self.is_anew && cache.is_none() && self.registry.has_mirrors() {
                // Without a cache, wrong packs would be noticed only when it is too late for others.
                dataset.check(self.options.jobs)?;
            }
            return Ok(dataset);
        }
        let index = snapshot.index();
        let wanted_of = |images: &[usize]| {
            Images::of(index, images.iter().filter_map(|&image| Some(index.row(chosen.row(image)?))))
        };
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
            let table = description.rows();
            let frame = |&image: &usize| {
                let record = chosen.row(image).map(|row| table.record(row)).transpose();
                (image, record.map(|record| record.and_then(|record| record.frame)))
            };
            places.look(table.shards(), first_missing.iter().map(frame), |_| None, Some(cache))?
        } else {
            let missing;
            (places, missing) = self.places(description.rows(), &chosen, true)?;
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
        Ok(self.dataset(&snapshot.head, description, chosen, places, basis))
    }
}

/// Returns the selected images; `what` names the version in errors.
fn select(
    what: &dyn Display,
    splits: &[Split],
    description: &Description<Table>,
    selection: &Selection,
) -> Result<Chosen> {
    let (table, classes) = (description.rows(), description.classes());
    check_parts(what, splits, classes, selection)?;
    let has = |run: &Run| {
        (selection.splits.is_empty() || selection.splits.contains(&run.split))
            && (selection.classes.is_empty() || selection.classes.contains(&run.class))
    };
    // A description has only images of its own classes.
    let rank = |run: &Run| classes.binary_search_by(|class| class.id.cmp(&run.class)).ok();
    let runs = table.runs().iter().filter_map(|run| Some((run, rank(run)? as u32)));
    let mut chosen = Chosen::default();
    if selection.images.is_empty() {
        let runs = runs.filter(|(run, _)| has(run));
        runs.for_each(|(run, label)| chosen.push(run.rows.clone(), run.split, label));
        return Ok(chosen);
    }
    let wanted: HashSet<&str> = selection.images.iter().map(RelPath::as_str).collect();
    let mut known: HashMap<String, Digest> = HashMap::new();
    for (run, label) in runs {
        let rows = run.rows.start as usize..run.rows.end as usize;
        for (row, entry) in run.rows.clone().zip(table.entries(rows)) {
            let Entry { path, blake3, .. } = entry?;
            if wanted.contains(path.as_str()) {
                known.insert(path, blake3);
                if has(run) {
                    chosen.push(row..row + 1, run.split, label);
                }
            }
        }
    }
    check_images(what, selection, |image| known.get(image.as_str()).copied())?;
    Ok(chosen)
}

/// Returns where the selected images are in shards.
fn frames(table: &Table, chosen: &Chosen) -> impl Iterator<Item = Result<Option<FrameAt>>> {
    let records = chosen.ranges().flat_map(|rows| table.records(rows));
    records.map(|record| Ok(record?.frame))
}

/// Whether a file has this hash.
fn has_blake3(path: &Path, blake3: &Digest) -> bool {
    let mut hasher = blake3::Hasher::new();
    let file = files::open_nofollow(path).ok().flatten();
    file.is_some_and(|file| hasher.update_reader(file).is_ok() && Digest::of_hasher(&hasher) == *blake3)
}
