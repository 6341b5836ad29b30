//! ImageNet 2012 (ILSVRC2012) in every form in which people have it: as its archives unpack (`folders`), the archives
//! themselves (`archives`), as Kaggle hands it out (`kaggle`), and as parquet files of Hugging Face (`shards`). The
//! labels of the 50,000 validation images and the number of train images of each class are compiled in.

mod archives;
mod folders;
mod kaggle;
pub(super) mod shards;

use super::{Layout, Listing, below};
use crate::class::{Class, ClassId};
use crate::split::Split;

/// The 1,000 wnids, sorted, a line each.
const WNIDS: &str = include_str!("ilsvrc2012_wnids.txt");

/// The label of validation image `n` (from 1): its rank in [`WNIDS`], in bits `10(n-1)..10n`, least
/// significant first. Made of `ILSVRC2012_validation_ground_truth.txt` and `meta.mat` of the devkit
/// (`ILSVRC2012_devkit_t12`, MIT-style licence): with `ranks` the list of the 50,000 ranks, in Python,
/// `sum(rank << 10 * i for i, rank in enumerate(ranks)).to_bytes(62500, 'little')`. Nothing would be gained
/// by compressing it: every class occurs 50 times in random order, 62 kB of entropy.
const VAL: &[u8; 62_500] = include_bytes!("ilsvrc2012_val.bin");

/// The number of train images of each class, in the order of [`WNIDS`], 16 bits each, least significant first: the
/// field `num_train_images` of `meta.mat` of the devkit. 1,281,167 in all.
const TRAIN: &[u8; 2000] = include_bytes!("ilsvrc2012_train.bin");

/// The archive of the train images: a tar of 1,000 tars.
pub const TRAIN_TAR: Archive = Archive {
    name: "ILSVRC2012_img_train.tar",
    length: 147_897_477_120,
    md5: "1d675b47d978889d74fa0da5fadfb00e",
};
/// The archive of the validation images: a tar of images.
pub const VAL_TAR: Archive = Archive {
    name: "ILSVRC2012_img_val.tar",
    length: 6_744_924_160,
    md5: "29b22e2961454d5413ddabcf34fc5622",
};
/// The archives whose length and MD5 ImageNet's download page gives.
pub const ARCHIVES: [Archive; 2] = [TRAIN_TAR, VAL_TAR];
/// The development kit, which no build needs: its length is not given anywhere, its MD5 is.
pub const DEVKIT: (&str, &str) = ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf");
/// How many validation images each class has.
pub const VAL_PER_CLASS: u32 = 50;

/// An official archive, as ImageNet's download page has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The file's name.
    pub name: &'static str,
    /// Its length in bytes.
    pub length: u64,
    /// Its MD5, in hex.
    pub md5: &'static str,
}

/// The number of validation images.
pub const VAL_IMAGES: u32 = 50_000;

/// A wnid and its line feed.
const LINE: usize = 10;

/// Whether `wnid` is one of the 1,000 classes.
pub fn is_class(wnid: &str) -> bool {
    rank(wnid).is_some()
}

/// The place of a class among the 1,000, sorted, from 0.
fn rank(wnid: &str) -> Option<usize> {
    let (lines, _) = WNIDS.as_bytes().as_chunks::<LINE>();
    lines.binary_search_by(|line| line[..LINE - 1].cmp(wnid.as_bytes())).ok()
}

/// The class at a place among the 1,000.
fn wnid_at(rank: usize) -> Option<&'static str> {
    let start = LINE.checked_mul(rank)?;
    WNIDS.get(start..start.checked_add(LINE - 1)?)
}

/// How many train images a class has; `None` if it is none of the 1,000.
pub fn train_count(wnid: &str) -> Option<u32> {
    let at = 2 * rank(wnid)?;
    Some(u16::from_le_bytes([TRAIN[at], TRAIN[at + 1]]).into())
}

/// The source ids of the validation images of a class, in their order.
pub fn val_ids(wnid: &str) -> impl Iterator<Item = String> {
    let is_of = move |number: &u32| val_class(*number) == Some(wnid);
    (1..=VAL_IMAGES).filter(is_of).map(|number| format!("ILSVRC2012_val_{number:08}"))
}

/// The class of validation image `number`, 1 to [`VAL_IMAGES`].
pub fn val_class(number: u32) -> Option<&'static str> {
    if !(1..=VAL_IMAGES).contains(&number) {
        return None;
    }
    let bit = 10 * (number as usize - 1);
    // Ten bits that begin at an even bit lie in two bytes.
    let bits = u16::from_le_bytes([VAL[bit / 8], VAL[bit / 8 + 1]]) >> (bit % 8);
    let rank = usize::from(bits & 0x3ff);
    wnid_at(rank)
}

/// The class at a place in the sorted list of the 1,000, from 0.
pub fn class_at(rank: usize) -> Option<ClassId> {
    wnid_at(rank)?.parse().ok()
}

/// The class that an image's file name tells, without its extension: `n01614925_10`, `ILSVRC2012_val_00000318`.
pub fn class_of(stem: &str) -> Option<&str> {
    told_class(stem).ok().flatten()
}

/// The class that the name of a file tells: of validation images by the table, of train images by their
/// prefix. An error if it has the form of a validation image's name, and there is none of that number.
fn told_class(stem: &str) -> Result<Option<&str>, String> {
    if let Some(digits) = stem.strip_prefix(VAL_PREFIX) {
        let formed = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
        let number = formed.then(|| digits.parse().ok()).flatten();
        return match number.and_then(val_class) {
            Some(class) => Ok(Some(class)),
            None => {
                Err(format!("there is no validation image {digits}: they are 00000001 to {VAL_IMAGES:08}"))
            }
        };
    }
    let prefix = stem.split_once('_').map(|(prefix, _)| prefix);
    Ok(prefix.filter(|prefix| is_class(prefix)))
}

/// What the names of validation images begin with.
const VAL_PREFIX: &str = "ILSVRC2012_val_";

pub(super) fn list(listing: &mut Listing<'_>, classes: &[Class]) {
    let base = kaggle::base(listing);
    let entries = listing.entries(&base);
    let folder = |name: &str| entries.iter().any(|entry| entry.is_dir && entry.name == name);
    let file = |name: &str| entries.iter().any(|entry| !entry.is_dir && entry.name == name);
    let tars = |split: Split| file(archives::of(split).name);
    if !folder("train") && !tars(Split::Train) && shards::list(listing, classes) {
        return;
    }
    let (mut archive_count, mut has_folders) = (0, false);
    for split in [Split::Train, Split::Val] {
        let path = below(&base, split.as_str());
        if folder(split.as_str()) {
            has_folders = true;
            match split {
                Split::Val if folders::list_flat_val(listing, classes, &path) => {}
                _ => folders::list(listing, classes, &path, split),
            }
        } else if tars(split) {
            archive_count += 1;
            archives::list(listing, classes, &below(&base, archives::of(split).name), split);
        } else if split == Split::Train {
            listing.problem(format!(
                "there is no folder train/, no {} and no data/train-*.parquet: --source names the folder that holds \
                 train/ and val/, the official archives, or the parquet files",
                TRAIN_TAR.name
            ));
        } else {
            listing.warnings.push("there is no folder val/: only train images are taken".into());
        }
    }
    listing.layout = match archive_count {
        0 if kaggle::is_base(listing, &base) => Layout::Kaggle,
        0 => Layout::Folders,
        tars => Layout::Archives { tars, has_folders },
    };
    if listing.layout == Layout::Kaggle {
        kaggle::check_labels(listing, &base);
    }
}

/// Adds a train or val image that stands among those of `class`, if its name does not tell otherwise.
fn add(listing: &mut Listing<'_>, found: super::Found, stem: &str, class: &ClassId, split: Split) {
    match told_class(stem) {
        Ok(Some(told)) if told != class.as_str() => {
            let path = found.path;
            listing.problem(format!("{path}: lies in the wrong folder: its class is {told}"));
        }
        Ok(_) => listing.add_found(found, stem.into(), class, split),
        Err(why) => listing.problem(format!("{}: {why}", found.path)),
    }
}

/// Adds a val image that stands among those of all classes, if it is of one of `classes`.
fn add_val(
    listing: &mut Listing<'_>,
    path: String,
    stem: &str,
    classes: &[Class],
    find: impl FnOnce(&mut Listing<'_>, String) -> Option<super::Found>,
) {
    match told_class(stem) {
        // A train image among them would have told a class, too; the names of val images are fixed.
        Ok(Some(told)) if stem.starts_with(VAL_PREFIX) => {
            if let Ok(at) = classes.binary_search_by(|class| class.id.as_str().cmp(told))
                && let Some(found) = find(listing, path)
            {
                listing.add_found(found, stem.into(), &classes[at].id, Split::Val);
            }
        }
        Err(why) => listing.problem(format!("{path}: {why}")),
        Ok(_) => listing.problem(format!("{path}: its class is unknown: it is not ILSVRC2012_val_<number>")),
    }
}

fn left_out<'n>(listing: &mut Listing<'_>, folder: &str, names: impl IntoIterator<Item = &'n str>) {
    let names: Vec<&str> = names.into_iter().collect();
    listing.left_out(folder, &names, "not part of ILSVRC2012");
}
