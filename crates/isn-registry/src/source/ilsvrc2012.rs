//! ImageNet 2012 (ILSVRC2012) in every form in which it is distributed: unpacked archives (`folders`), the
//! archives themselves (`archives`), Kaggle's folders (`kaggle`), and Hugging Face's parquet files
//! (`shards`).

mod archives;
mod folders;
mod kaggle;
pub(super) mod shards;

use super::{Listing, SourceLayout, below};
use isn_format::class::{Class, ClassId};
use isn_format::error::about;
use isn_format::ilsvrc2012::{TRAIN_TAR, VAL_PREFIX, told_class};
use isn_format::split::Split;

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
        0 if kaggle::is_base(listing, &base) => SourceLayout::Kaggle,
        0 => SourceLayout::Folders,
        tars => SourceLayout::Archives { tars, has_folders },
    };
    if listing.layout == SourceLayout::Kaggle {
        kaggle::check_labels(listing, &base);
    }
}

/// Adds a train or val image from the folder of `class`, unless its name tells another class.
fn add(listing: &mut Listing<'_>, found: super::Found, stem: &str, class: &ClassId, split: Split) {
    match told_class(stem) {
        Ok(Some(told)) if told != class.as_str() => {
            let path = found.path;
            listing.problem(format!("{path} is in the wrong folder: its class is {told}"));
        }
        Ok(_) => listing.add_found(found, stem.into(), class, split),
        Err(why) => listing.problem(about(found.path, why)),
    }
}

/// Adds a val image from a folder of all classes, if it is of one of `classes`.
fn add_val(
    listing: &mut Listing<'_>,
    path: String,
    stem: &str,
    classes: &[Class],
    find: impl FnOnce(&mut Listing<'_>, String) -> Option<super::Found>,
) {
    match told_class(stem) {
        // The name of a train image tells a class too, but val images have fixed names.
        Ok(Some(told)) if stem.starts_with(VAL_PREFIX) => {
            if let Ok(at) = classes.binary_search_by(|class| class.id.as_str().cmp(told))
                && let Some(found) = find(listing, path)
            {
                listing.add_found(found, stem.into(), &classes[at].id, Split::Val);
            }
        }
        Err(why) => listing.problem(about(path, why)),
        Ok(_) => listing.problem(format!("{path}: its class is unknown: it is not ILSVRC2012_val_<number>")),
    }
}

fn left_out<'n>(listing: &mut Listing<'_>, folder: &str, names: impl IntoIterator<Item = &'n str>) {
    let names: Vec<&str> = names.into_iter().collect();
    listing.left_out(folder, None, &names, "not part of ILSVRC2012");
}
