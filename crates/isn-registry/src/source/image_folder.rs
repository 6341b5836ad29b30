//! Any tree with one folder for each class: `root/{train,val,test}/<class>/**` or, without splits,
//! `root/<class>/**`, where every image is train.

use std::fs;
use std::path::PathBuf;

use super::{Entry, Listing, SourceLayout, below, join};
use isn_format::class::{Class, ClassId};
use isn_format::split::Split;

pub(super) fn list(listing: &mut Listing<'_>, classes: &[Class]) {
    listing.layout = SourceLayout::ImageFolder;
    let entries = listing.entries("");
    let is_split = |split: &Split| entries.iter().any(|e| e.is_dir && e.name == split.as_str());
    let splits: Vec<Split> = Split::ALL.into_iter().filter(is_split).collect();
    let mut found = Vec::new();
    if splits.is_empty() {
        found.extend(list_classes(listing, classes, "", Split::Train, &entries));
    } else {
        let others: Vec<&str> = entries
            .iter()
            .map(|entry| entry.name.as_str())
            .filter(|name| !splits.iter().any(|split| split.as_str() == *name))
            .collect();
        listing.left_out("", &others, "none of the folders train, val and test");
        for split in splits {
            let entries = listing.entries(split.as_str());
            found.extend(list_classes(listing, classes, split.as_str(), split, &entries));
        }
    }
    for Class { id, .. } in classes {
        if !found.contains(&id) {
            listing.problem(format!("there is no folder {id}/, neither below a split nor without one"));
        }
    }
}

/// Lists the class folders among `entries`, the contents of the folder `path`. Returns the classes that have
/// one.
fn list_classes<'c>(
    listing: &mut Listing<'_>,
    classes: &'c [Class],
    path: &str,
    split: Split,
    entries: &[Entry],
) -> Vec<&'c ClassId> {
    let folder = |class: &&Class| entries.iter().any(|e| e.is_dir && e.name == class.id.as_str());
    let found: Vec<&ClassId> = classes.iter().filter(folder).map(|class| &class.id).collect();
    let taken = |entry: &&Entry| entry.is_dir && found.iter().any(|id| id.as_str() == entry.name);
    let others: Vec<&str> = entries.iter().filter(|e| !taken(e)).map(|e| e.name.as_str()).collect();
    listing.left_out(path, &others, "not the folder of a class of the recipe");
    for class in &found {
        list_below(listing, class, split, &below(path, class.as_str()), &mut Vec::new());
    }
    found
}

/// Lists the images of one class in `path` and all folders below it. `above` is the chain of folders that
/// lead here, with links resolved, since a link back into it would never end.
fn list_below(
    listing: &mut Listing<'_>,
    class: &ClassId,
    split: Split,
    path: &str,
    above: &mut Vec<PathBuf>,
) {
    match fs::canonicalize(join(listing.root, path)) {
        Ok(real) if above.contains(&real) => {
            return listing.problem(format!("{path}: is a link to a folder above it"));
        }
        Ok(real) => above.push(real),
        Err(error) => return listing.problem(format!("{path}: cannot be read: {error}")),
    }
    let entries = listing.entries(path);
    let mut others = Vec::new();
    for entry in &entries {
        let inner = below(path, &entry.name);
        if entry.is_dir {
            list_below(listing, class, split, &inner, above);
        } else if let Some(stem) = entry.image_stem() {
            let id = below(path, stem);
            // File systems disagree on the bytes of other characters (composed or decomposed), and the id
            // decides the split.
            if id.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                if let Some(found) = listing.find(inner) {
                    listing.add_found(found, id, class, split);
                }
            } else {
                listing.problem(format!("{inner}: the name is not plain ASCII: rename it"));
            }
        } else {
            others.push(entry.name.as_str());
        }
    }
    listing.left_out(path, &others, "not a JPEG or PNG by name");
    above.pop();
}
