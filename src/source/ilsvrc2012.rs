//! ImageNet 2012 (ILSVRC2012) as its archives unpack: `train/<wnid>/*.JPEG`, and `val/` either flat, as in
//! the archive, or sorted into `val/<wnid>/`. The labels of the 50,000 validation images are compiled in.

use std::collections::BTreeSet;

use super::{Entry, Listing, below};
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

/// The number of validation images.
pub const VAL_IMAGES: u32 = 50_000;

/// A wnid and its line feed.
const LINE: usize = 10;

/// Whether `wnid` is one of the 1,000 classes.
pub fn is_class(wnid: &str) -> bool {
    let (lines, _) = WNIDS.as_bytes().as_chunks::<LINE>();
    lines.binary_search_by(|line| line[..LINE - 1].cmp(wnid.as_bytes())).is_ok()
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
    WNIDS.get(LINE * rank..LINE * (rank + 1) - 1)
}

/// The class at a place in the sorted list of the 1,000, from 0.
pub fn class_at(rank: usize) -> Option<ClassId> {
    let start = LINE.checked_mul(rank)?;
    WNIDS.get(start..start.checked_add(LINE - 1)?)?.parse().ok()
}

/// The class that an image's file name tells, without its extension: `n01614925_10`, `ILSVRC2012_val_00000318`.
pub fn class_of(stem: &str) -> Option<&str> {
    told_class(stem).ok().flatten()
}

/// The class that the name of a file tells: of validation images by the table, of train images by their
/// prefix. An error if it has the form of a validation image's name, and there is none of that number.
fn told_class(stem: &str) -> Result<Option<&str>, String> {
    if let Some(digits) = stem.strip_prefix("ILSVRC2012_val_") {
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

pub(super) fn list(listing: &mut Listing<'_>, classes: &[Class]) {
    let root = listing.entries("");
    let has = |name: &str| root.iter().any(|entry| entry.is_dir && entry.name == name);
    if has("train") {
        list_folders(listing, classes, Split::Train);
    } else {
        listing.problem(
            "there is no folder train/: --source names the folder that holds train/ and val/".into(),
        );
    }
    if !has("val") {
        listing.warnings.push("there is no folder val/: only train images are taken".into());
    } else if !list_flat_val(listing, classes) {
        list_folders(listing, classes, Split::Val);
    }
}

/// The images directly in `val/`. Whether there are any (of whatever class): if not, `val/` is sorted by
/// class.
fn list_flat_val(listing: &mut Listing<'_>, classes: &[Class]) -> bool {
    let entries = listing.entries("val");
    let (images, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.image_stem().is_some());
    if images.is_empty() {
        return false;
    }
    left_out(listing, "val", others);
    for entry in images {
        let (Some(stem), path) = (entry.image_stem(), below("val", &entry.name)) else { continue };
        match told_class(stem) {
            // A train image among them would have told a class, too; the names of val images are fixed.
            Ok(Some(told)) if stem.starts_with("ILSVRC2012_val_") => {
                if let Ok(at) = classes.binary_search_by(|class| class.id.as_str().cmp(told)) {
                    listing.add(path, stem.into(), &classes[at].id, Split::Val);
                }
            }
            Err(why) => listing.problem(format!("{path}: {why}")),
            Ok(_) => {
                listing.problem(format!("{path}: its class is unknown: it is not ILSVRC2012_val_<number>"))
            }
        }
    }
    true
}

/// `train/<wnid>/` or `val/<wnid>/`.
fn list_folders(listing: &mut Listing<'_>, classes: &[Class], split: Split) {
    let entries = listing.entries(split.as_str());
    let folders: BTreeSet<&str> = entries.iter().filter(|e| e.is_dir).map(|e| e.name.as_str()).collect();
    left_out(listing, split.as_str(), entries.iter().filter(|e| !e.is_dir || !is_class(&e.name)));
    for Class { id, .. } in classes {
        if folders.contains(id.as_str()) {
            list_class(listing, id, split);
        } else {
            listing.problem(format!("there is no folder {split}/{id}/"));
        }
    }
}

fn list_class(listing: &mut Listing<'_>, class: &ClassId, split: Split) {
    let folder = format!("{split}/{class}");
    let entries = listing.entries(&folder);
    left_out(listing, &folder, entries.iter().filter(|entry| entry.image_stem().is_none()));
    for entry in &entries {
        let (Some(stem), path) = (entry.image_stem(), below(&folder, &entry.name)) else { continue };
        match told_class(stem) {
            Ok(Some(told)) if told != class.as_str() => {
                listing.problem(format!("{path}: lies in the wrong folder: its class is {told}"));
            }
            Ok(_) => listing.add(path, stem.into(), class, split),
            Err(why) => listing.problem(format!("{path}: {why}")),
        }
    }
}

fn left_out<'e>(listing: &mut Listing<'_>, folder: &str, entries: impl IntoIterator<Item = &'e Entry>) {
    let names: Vec<&str> = entries.into_iter().map(|entry| entry.name.as_str()).collect();
    listing.left_out(folder, &names, "not part of ILSVRC2012");
}
