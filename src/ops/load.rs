//! `isn.load` of the Python package: a version, or a part of it, to be read in place. What is not on this machine is
//! fetched into the cache first.

use tokio::runtime::Runtime;

use super::Registries;
use super::pull::check_parts;
use super::pull::images::{self, Carrier, Wanted};
use super::resolve::complete;
use crate::class::parse_classes;
use crate::dataset::{Dataset, Parts, Places, Verify};
use crate::dataset_ref::DatasetRef;
use crate::error::{Error, Result};
use crate::object::ObjectKind;
use crate::progress::{Progress, Unit};
use crate::registry::{Head, Registry};
use crate::table::{FrameAt, Table};
use crate::transport;
use crate::tree::Selection;

/// What to open.
pub struct LoadOptions<'a> {
    /// Which version.
    pub reference: &'a DatasetRef,
    /// Which part of it: splits and classes.
    pub selection: &'a Selection,
    /// How often images are checked.
    pub verify: Verify,
    /// How many threads check what is fetched.
    pub jobs: usize,
}

/// Opens a version for reading.
pub fn load(
    registries: &Registries<'_>,
    options: &LoadOptions<'_>,
    progress: &dyn Progress,
) -> Result<Dataset> {
    let runtime = transport::runtime()?;
    let (registry, head) = runtime.block_on(registries.head(options.reference))?;
    let (manifest, warnings) = (head.manifest.clone(), head.warnings.clone());
    let what = registry.locate(ObjectKind::Classes, &manifest.objects.classes.blake3);
    let classes = runtime.block_on(registry.object(ObjectKind::Classes, &manifest.objects.classes))?;
    let classes = parse_classes(&what, &classes)?;
    check_parts(&manifest, &classes, options.selection)?;
    let opening = Opening { runtime: &runtime, registries, registry, options, progress };
    let (table, rows, places) = opening.images(head)?;
    Dataset::new(Parts { manifest, classes, warnings, table, rows, places, verify: options.verify })
}

/// The source ids of the images of a part of a version, in the order that [`load`] has them.
pub fn sources(
    registries: &Registries<'_>,
    reference: &DatasetRef,
    selection: &Selection,
) -> Result<Vec<String>> {
    let (_, snapshot) = transport::runtime()?.block_on(registries.snapshot(reference))?;
    let includes = selection.filter();
    let rows = snapshot.index.rows().iter().filter(|row| includes(&row.path));
    Ok(rows.map(|row| row.source.clone()).collect())
}

struct Opening<'a> {
    runtime: &'a Runtime,
    registries: &'a Registries<'a>,
    registry: Registry,
    options: &'a LoadOptions<'a>,
    progress: &'a dyn Progress,
}

impl Opening<'_> {
    fn images(self, head: Head) -> Result<(Table, Vec<u32>, Places)> {
        let manifest = &head.manifest;
        let kept = self.registries.cache.and_then(|cache| cache.table(&manifest.objects.index.blake3));
        // One that is damaged is made anew.
        if let Some(table) = kept.and_then(|bytes| Table::parse("table", &bytes, manifest).ok()) {
            let rows = selected(&table, self.options.selection);
            let (places, missing) = self.places(&table, &rows);
            if missing.is_empty() {
                return Ok((table, rows, places));
            }
        }
        self.fetched(head)
    }

    fn places(&self, table: &Table, rows: &[u32]) -> (Places, Vec<usize>) {
        let frame = |&row: &u32| table.record(row as usize).and_then(|record| record.frame);
        let frames: Vec<Option<FrameAt>> = rows.iter().map(frame).collect();
        let at_hand = |shard: &_| self.registry.shard_at_hand(shard);
        Places::find(table.shards(), &frames, at_hand, self.registries.cache)
    }

    /// The table made anew, and whatever is not on this machine fetched.
    fn fetched(mut self, head: Head) -> Result<(Table, Vec<u32>, Places)> {
        let cache = self.registries.cache;
        let snapshot = self.runtime.block_on(complete(&self.registry, head))?;
        let packs = self.runtime.block_on(self.registry.packs(&snapshot))?;
        let table = Table::new(&snapshot.index, &snapshot.sums, &packs)?;
        // A convenience to whoever opens it next.
        let _ =
            cache.map(|cache| cache.keep_table(&snapshot.manifest.objects.index.blake3, &table.to_bytes()));
        let rows = selected(&table, self.options.selection);
        let (places, missing) = self.places(&table, &rows);
        self.registry.keep_pin(&snapshot);
        if missing.is_empty() {
            return Ok((table, rows, places));
        }
        let index = snapshot.index.rows();
        let wanted: Wanted = missing
            .iter()
            .filter_map(|&image| index.get(rows[image] as usize))
            .map(|row| (row.blake3, row.length))
            .collect();
        let cache = cache.ok_or_else(|| {
            Error::invalid("the cache", "is not to be used: there is nowhere to put what has to be fetched")
        })?;
        self.registry = self.registry.with_cache(Some(cache.clone()));
        let segments = images::plan(&self.registry, &snapshot, &packs, &wanted)?;
        self.progress.begin("fetch", Unit::Images, wanted.len() as u64);
        let carrier = Carrier {
            runtime: self.runtime,
            registry: &self.registry,
            packs: &packs,
            jobs: self.options.jobs,
        };
        let outcome = carrier.bring(segments, &wanted, &|_, _| {
            self.progress.advance(1);
            Ok(())
        });
        self.progress.end();
        outcome?;
        let (places, missing) = self.places(&table, &rows);
        match missing.first() {
            None => Ok((table, rows, places)),
            Some(_) => Err(Error::NotFound {
                what: format!("{} of {} fetched images", missing.len(), wanted.len()),
                place: format!("the cache {}: it cannot be written to", cache.root().display()),
            }),
        }
    }
}

/// The rows of a table that a selection has.
fn selected(table: &Table, selection: &Selection) -> Vec<u32> {
    let is_wanted = |image: &u32| {
        let mut segments = table.path(*image as usize).split('/');
        let (split, class) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        (selection.splits.is_empty() || selection.splits.iter().any(|wanted| wanted.as_str() == split))
            && (selection.classes.is_empty()
                || selection.classes.iter().any(|wanted| wanted.as_str() == class))
    };
    (0..table.images() as u32).filter(is_wanted).collect()
}
