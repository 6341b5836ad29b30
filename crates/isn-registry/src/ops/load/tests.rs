//! What is opened is what the index says, wherever it is read from.

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
use isn_format::error::At;
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
        whole_log: false,
    })
}

fn open(home: &Path, splits: &[Split], verify: Verify) -> Result<Dataset> {
    let reference = "demobirds@1.0".parse().unwrap();
    let selection = Selection { splits: splits.to_vec(), ..Selection::default() };
    let options = LoadOptions { version: &reference, selection: &selection, verify, jobs: 2, anew: false };
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
            assert_eq!(dataset.path(image).unwrap(), row.path().as_str());
            assert_eq!(dataset.classes()[dataset.label(image).unwrap() as usize].id, *row.class());
            assert_eq!(dataset.split(image).unwrap(), row.split());
        }
        let labels: Vec<u32> = dataset.labels().collect();
        assert!((0..dataset.len()).all(|image| dataset.label(image).unwrap() == labels[image]));
        let paths: Vec<String> = dataset.paths().map(|path| path.unwrap()).collect();
        assert!((0..dataset.len()).all(|image| dataset.path(image).unwrap() == paths[image]));
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
    let path = home.path().join("cache/tables").join(index.to_string());
    let good = std::fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // In the magic, in the line of classes.csv, in the summary and in its BLAKE3; cut at both ends; and
    // another program's.
    for bad in [
        flipped(0),
        flipped(17),
        flipped(good.len() - 100),
        flipped(good.len() - 1),
        good[..good.len() - 1].to_vec(),
        good[..90].to_vec(),
        good[1..].to_vec(),
        b"isn-table/1\n\0\0\0\0".repeat(100),
    ] {
        std::fs::write(&path, &bad).unwrap();
        assert_eq!(open(home.path(), &[Split::Val], Verify::Once).unwrap().len(), 40);
        assert!(std::fs::read(&path).unwrap() == good);
    }
}

#[test]
fn damage_of_a_table_is_found_where_it_is_used_and_costs_nothing_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let index = snapshot(home.path()).head.manifest.objects.index.blake3;
    let right = open(home.path(), &[], Verify::Once).unwrap();
    let labels: Vec<u32> = right.labels().collect();
    let files: Vec<Vec<u8>> = (0..right.len()).map(|image| right.file(image).unwrap()).collect();
    let path = home.path().join("cache/tables").join(index.to_string());
    let good = std::fs::read(&path).unwrap();
    // In the second group of B3SUMS, and in the only piece of rows.
    let (in_sums, in_rows) = ((16 << 10) + 100, good.len() - 4000);
    for (at, verify) in [(in_sums, Verify::Once), (in_rows, Verify::Never), (in_rows, Verify::Always)] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let damaged = open(home.path(), &[], verify).unwrap();
        assert!(damaged.labels().eq(labels.iter().copied()));
        let wrong: Vec<usize> = (0..damaged.len()).filter(|&image| damaged.file(image).is_err()).collect();
        let all = 0..files.len();
        assert!(if at == in_rows { wrong.len() == all.len() } else { (1..all.len()).contains(&wrong.len()) });
        let error = damaged.path(*wrong.last().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Integrity { at: At::Cache, .. }), "{error:?}");
        assert!(error.to_string().contains("table is damaged"), "{error}");
        assert_eq!((damaged.set_aside(), path.exists()), (1, false));
        // A table that was made anew since is not this one.
        let again = open(home.path(), &[], verify).unwrap();
        assert!(damaged.file(wrong[0]).is_err() && path.exists() && damaged.set_aside() == 1);
        assert!(std::fs::read(&path).unwrap() == good);
        assert!(all.clone().all(|image| again.file(image).unwrap() == files[image]));
    }
    // Cut while it is open.
    let cut = open(home.path(), &[], Verify::Once).unwrap();
    cut.path(0).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(50).unwrap();
    assert!(matches!(cut.path(0), Err(Error::Integrity { at: At::Cache, .. })));
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
    let index = snapshot.head.manifest.objects.index.blake3;
    let opened = || Table::open("table", cache.table(&index).unwrap(), Check::Once, 1000).unwrap();
    let dataset = |verify| {
        let table = opened();
        let manifest = &snapshot.head.manifest;
        let classes = (CLASSES, snapshot.classes_csv().to_vec());
        let description = Description::new((TABLE, table), classes, manifest).unwrap();
        let chosen = select(&"it", &[], &description, &Selection::default()).unwrap();
        let (table, frames) = (description.rows(), frames(description.rows(), &chosen));
        let (places, missing) = Places::find(table.shards(), frames, |_| None, Some(&cache)).unwrap();
        assert!(missing.is_empty());
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
            chosen,
            places,
            verify,
            basis,
        })
    };
    let whole = dataset(Verify::Once);
    let files: Vec<Vec<u8>> = (0..whole.len()).map(|image| whole.file(image).unwrap()).collect();
    let decoded = decode_rgb(&files[9], ExifOrientation::Ignore).unwrap();
    assert_eq!((decoded.width, decoded.height), whole.size(9).unwrap());

    let shard = opened().shards()[0].blake3;
    let pieces = cache.pieces(&shard);
    let mut bytes = std::fs::read(&pieces[0].path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // A reader that has checked an image once does not check it again. A reader that has not checked it
    // yet, or always checks, finds the damage and sets the piece aside.
    for verify in [Verify::Once, Verify::Always] {
        std::fs::write(&pieces[0].path, &bytes).unwrap();
        let damaged = dataset(verify);
        let wrong: Vec<Error> = (0..damaged.len()).filter_map(|image| damaged.file(image).err()).collect();
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
    let same = (0..careless.len()).filter(|&image| careless.file(image).ok().as_ref() == Some(&files[image]));
    assert_eq!(same.count(), files.len() - 1);
    assert_eq!(careless.checks(), 0);
}
