//! Decoded images give the pixels of the images, whatever becomes of the file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::tests::with_client;
use super::{LoadOptions, load};
use crate::cache::Cache;
use crate::dataset::{Batch, Dataset, Verify};
use crate::progress::{Progress, Silent, Unit};
use isn_format::augment::{Augment, Crop};
use isn_format::error::{At, Error};
use isn_format::split::Split;
use isn_format::tree::Selection;
use isn_pixels::SampleOrder;

fn plain(home: &Path, splits: &[Split], verify: Verify) -> Dataset {
    let reference = "demobirds@1.0".parse().unwrap();
    let selection = Selection { splits: splits.to_vec(), ..Selection::default() };
    let options = LoadOptions { version: &reference, selection: &selection, verify, jobs: 2, anew: false };
    with_client(home, |client| load(client, &options, &Silent).unwrap())
}

fn cache(home: &Path) -> Cache {
    Cache::new(home.join("cache")).with_secret(home.join("cache.key"))
}

/// Counts the images that are decoded.
#[derive(Default)]
struct Counter(AtomicU64);

impl Progress for Counter {
    fn begin(&self, _: &str, _: Unit, total: u64) {
        self.0.fetch_add(total, Ordering::Relaxed);
    }
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

/// Opens a part with decoded images. Returns how many were decoded for it, too.
fn decoded(home: &Path, splits: &[Split], size: Option<u32>, verify: Verify) -> (Dataset, u64) {
    let counter = Counter::default();
    let opened = plain(home, splits, verify).with_decoded(Some(&cache(home)), size, 2, &counter).unwrap();
    (opened, counter.0.into_inner())
}

fn file(home: &Path) -> PathBuf {
    let names = crate::files::names_in(&home.join("cache/decoded")).unwrap();
    let [name] = &names[..] else { panic!("{names:?}") };
    home.join("cache/decoded").join(name)
}

fn pixels(dataset: &Dataset, image: usize) -> Vec<u8> {
    let (width, height) = dataset.size(image).unwrap();
    let mut out = vec![0; width as usize * height as usize * 3];
    dataset.pixels(image, &mut out).unwrap();
    out
}

fn batch(dataset: &Dataset, batch: &Batch) -> Vec<u8> {
    let all: Vec<u32> = (0..dataset.len() as u32).collect();
    let mut out = vec![0; all.len() * batch.image_size.0 as usize * batch.image_size.1 as usize * 3];
    dataset.batch(&all, batch, &mut out).unwrap();
    out
}

#[test]
fn pixels_and_batches_are_those_without() {
    let home = tempfile::tempdir().unwrap();
    let val = [Split::Val];
    let plain = plain(home.path(), &val, Verify::Once);
    let (whole, made) = decoded(home.path(), &val, None, Verify::Once);
    assert_eq!(made, 40);
    for image in 0..plain.len() {
        let expected = pixels(&plain, image);
        assert!(pixels(&whole, image) == expected);
        let (width, height) = plain.size(image).unwrap();
        assert_eq!(whole.row(image, None).unwrap(), Some((width, height, expected)));
    }
    assert_eq!(whole.checks(), 80, "images when they are decoded, and a row when it is first read");
    assert_eq!(plain.row(3, None).unwrap(), None);
    let (squares, made) = decoded(home.path(), &val, Some(48), Verify::Once);
    assert_eq!(made, 40);
    assert_eq!(squares.row(3, None).unwrap(), None, "another size is not there");
    assert!(squares.row(3, Some(47)).unwrap().is_none() && whole.row(3, Some(47)).unwrap().is_none());
    let crops = [
        Augment { crop: Crop::Centre, flip: false },
        Augment { crop: Crop::Centre, flip: true },
        Augment { crop: Crop::Random { scale: (0.35, 1.0), ratio: (0.75, 4.0 / 3.0) }, flip: true },
    ];
    for augment in crops {
        for layout in [SampleOrder::Planar, SampleOrder::Interleaved] {
            for side in [48, 31] {
                let kind = Batch { image_size: (side, side), augment, seed: 7, epoch: 3, layout, threads: 2 };
                let expected = batch(&plain, &kind);
                assert!(batch(&whole, &kind) == expected, "{kind:?}");
                assert!(batch(&squares, &kind) == expected, "{kind:?}");
                assert!(batch(&squares, &kind) == expected, "a second time: {kind:?}");
            }
        }
    }
    for image in 0..plain.len() {
        assert!(pixels(&squares, image) == pixels(&plain, image));
    }
}

#[test]
fn a_part_decodes_itself_alone_and_the_rest_takes_it_over() {
    let home = tempfile::tempdir().unwrap();
    let of = |splits: &[Split]| decoded(home.path(), splits, Some(64), Verify::Once);
    assert_eq!(of(&[Split::Val]).1, 40);
    let bytes = || cache(home.path()).inventory().unwrap().decoded;
    let (files, small) = bytes();
    let logical = fs::metadata(file(home.path())).unwrap().len();
    assert!(files == 1 && small < logical / 2, "{small} of {logical}");
    assert_eq!(of(&[Split::Val]).1, 0);
    let (all, made) = of(&[]);
    assert_eq!((made, all.len()), (163, 203));
    assert!(bytes().1 > small);
    let (checked, damaged) = cache(home.path()).verify(2, &Silent).unwrap();
    assert!(checked >= 1 && damaged.is_empty(), "{damaged:?}");
    // A sweep removes it, and who has it open goes on.
    cache(home.path()).sweep(Some(0), None, std::time::SystemTime::now(), false).unwrap();
    assert_eq!(bytes(), (0, 0));
    assert!(all.row(7, Some(64)).unwrap().is_some());
    assert_eq!(of(&[Split::Val]).1, 40);
}

#[test]
fn damage_never_shows() {
    let home = tempfile::tempdir().unwrap();
    let plain = plain(home.path(), &[Split::Val], Verify::Once);
    let open = |verify| decoded(home.path(), &[Split::Val], None, verify);
    let expected: Vec<Vec<u8>> = (0..plain.len()).map(|image| pixels(&plain, image)).collect();
    open(Verify::Once);
    let path = file(home.path());
    let good = fs::read(&path).unwrap();
    let row = good.len() - expected[39].len();
    for (at, again) in [(3, 40), (4096 + 163 * 48, 0), (4096 + 163 * 48 + 33, 1), (row, 0)] {
        for verify in [Verify::Once, Verify::Always] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let (damaged, made) = open(verify);
            assert_eq!(made, again, "byte {at}");
            let all = || (0..plain.len()).all(|image| pixels(&damaged, image) == expected[image]);
            assert!(all() && all(), "byte {at}");
            assert!(fs::read(&path).unwrap() == good, "it is as it was: byte {at}");
        }
    }
    // A file of other rows under its name.
    fs::remove_file(&path).unwrap();
    decoded(home.path(), &[Split::Val], Some(16), Verify::Once);
    fs::rename(file(home.path()), &path).unwrap();
    assert_eq!(open(Verify::Once).1, 40);
    // A row that changes once it was read is found by those who always check.
    let (always, _) = open(Verify::Always);
    assert!(pixels(&always, 39) == expected[39]);
    let mut bytes = good.clone();
    bytes[row + 1] ^= 4;
    fs::write(&path, &bytes).unwrap();
    assert!(pixels(&always, 39) == expected[39]);
    // Cut while it is open: an error that says so. Opened again, it is made anew.
    let (cut, _) = open(Verify::Once);
    File::options().write(true).open(&path).unwrap().set_len(row as u64 + 9).unwrap();
    let error = cut.row(39, None).unwrap_err();
    assert!(matches!(&error, Error::Integrity { at: At::Decoded, .. }), "{error:?}");
    assert!(error.to_string().contains("ends too early"), "{error}");
    assert_eq!(open(Verify::Once).1, 40);
}

#[test]
fn images_are_checked_before_their_pixels_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let (never, _) = decoded(home.path(), &[Split::Val], Some(20), Verify::Never);
    assert_eq!(never.checks(), 40);
    never.row(3, Some(20)).unwrap();
    assert_eq!(never.checks(), 40);
}

#[test]
fn several_make_the_same_file() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    plain(home, &[], Verify::Once);
    let made: Vec<u64> = std::thread::scope(|scope| {
        let makers: Vec<_> = [&[Split::Val][..], &[Split::Train], &[]]
            .map(|splits| scope.spawn(move || decoded(home, splits, None, Verify::Once).1))
            .into_iter()
            .collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert_eq!(made.iter().sum::<u64>(), 203, "each image was decoded once: {made:?}");
    let (all, again) = decoded(home, &[], None, Verify::Once);
    let plain = plain(home, &[], Verify::Once);
    assert!(again == 0 && (0..203).all(|image| pixels(&all, image) == pixels(&plain, image)));
}

#[test]
fn what_stands_in_the_way_is_named() {
    let home = tempfile::tempdir().unwrap();
    let without = plain(home.path(), &[], Verify::Once).with_decoded(None, None, 2, &Silent);
    let error = without.map(drop).unwrap_err().to_string();
    assert!(error.contains("nowhere to put decoded images"), "{error}");
    fs::write(home.path().join("cache/decoded"), b"").unwrap();
    let blocked =
        plain(home.path(), &[], Verify::Once).with_decoded(Some(&cache(home.path())), None, 2, &Silent);
    let error = blocked.map(drop).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
}
