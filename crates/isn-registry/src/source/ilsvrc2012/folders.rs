//! The unpacked archives: `train/<wnid>/*.JPEG`, and `val/` either flat, as in the archive, or sorted into
//! `val/<wnid>/`.

use std::collections::BTreeSet;

use super::{add, add_val, left_out};
use crate::source::{Entry, Listing, below};
use isn_format::class::{Class, ClassId};
use isn_format::ilsvrc2012::is_class;
use isn_format::split::Split;

/// Lists the images directly in `folder`. Returns whether there are any, of any class; if not, the folder is
/// sorted by class.
pub(super) fn list_flat_val(listing: &mut Listing<'_>, classes: &[Class], folder: &str) -> bool {
    let entries = listing.entries(folder);
    let (images, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.image_stem().is_some());
    if images.is_empty() {
        return false;
    }
    left_out(listing, folder, names(others));
    for entry in images {
        let (Some(stem), path) = (entry.image_stem(), below(folder, &entry.name)) else { continue };
        add_val(listing, path, stem, classes, |listing, path| listing.find(path));
    }
    true
}

/// Lists `train/<wnid>/` or `val/<wnid>/`.
pub(super) fn list(listing: &mut Listing<'_>, classes: &[Class], folder: &str, split: Split) {
    let entries = listing.entries(folder);
    let folders: BTreeSet<&str> = entries.iter().filter(|e| e.is_dir).map(|e| e.name.as_str()).collect();
    left_out(listing, folder, names(entries.iter().filter(|e| !e.is_dir || !is_class(&e.name))));
    for Class { id, .. } in classes {
        if folders.contains(id.as_str()) {
            list_class(listing, id, &below(folder, id.as_str()), split);
        } else {
            listing.problem(format!("there is no folder {folder}/{id}/"));
        }
    }
}

fn list_class(listing: &mut Listing<'_>, class: &ClassId, folder: &str, split: Split) {
    let entries = listing.entries(folder);
    left_out(listing, folder, names(entries.iter().filter(|entry| entry.image_stem().is_none())));
    for entry in &entries {
        let Some(stem) = entry.image_stem() else { continue };
        if let Some(found) = listing.find(below(folder, &entry.name)) {
            add(listing, found, stem, class, split);
        }
    }
}

fn names<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> impl Iterator<Item = &'e str> {
    entries.into_iter().map(|entry| entry.name.as_str())
}
