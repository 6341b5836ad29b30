//! [`look`]: guesses how a folder of pictures is laid out: which folders are splits, and which are classes.

mod doubt;
mod folder;
mod names;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use self::folder::Folder;
pub(crate) use self::names::is_plain;
use super::Listing;
use isn_format::error::{Error, Result, count};
use isn_format::source_spec::{HERE, check_folder};
use isn_format::split::Split;
use isn_format::tree::B3SUMS;

/// How a folder of pictures is laid out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The folders that are splits; none if the source has no splits.
    pub(crate) splits: Vec<(Split, String)>,
    /// The folders of classes, below those of the splits; sorted. None is in another.
    pub(crate) classes: Vec<String>,
    /// What a person should know, one line each.
    pub(crate) notes: Vec<String>,
}

/// Looks at the folder `root`.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Mistakes`] with everything in it that cannot be read;
/// [`Error::Invalid`] if it has no image, or a layout that no recipe can name or that may mean two things,
/// with what was understood and what to do.
pub(crate) fn look(root: &Path) -> Result<Look> {
    if !fs::metadata(root).map_err(Error::io("read", root))?.is_dir() {
        return Err(Error::invalid(root.display(), "is not a folder: name the one that has the pictures"));
    }
    let invalid = |why: String| Error::invalid(root.display(), why);
    if root.join(B3SUMS).is_file() {
        return Err(invalid(format!("is a tree that isn wrote (it has {B3SUMS}), not source images")));
    }
    let mut listing = Listing::new(root, None);
    let tree = Folder::read(&mut listing, String::new(), &mut Vec::new());
    // What cannot be read may be a class, or a split.
    if !listing.problems.is_empty() {
        let what = format!("source {}", root.display());
        return Err(Error::Mistakes { what, mistakes: listing.problems });
    }
    if tree.total() == 0 {
        let hidden = listing.left_out.first().and_then(|left| {
            let images = count(usize::try_from(left.images?).ok()?, "image");
            Some(format!("; {} has {images}, and {}: rename it", left.path, left.why))
        });
        let hidden = hidden.unwrap_or_default();
        return Err(invalid(format!("has no JPEG or PNG at any depth{}{hidden}", tree.instead(root))));
    }
    let mut notes = Vec::from_iter(doubt::is_one_of_several(root));
    let splits = doubt::splits(&tree, &mut notes).map_err(invalid)?;
    let places: Vec<&Folder> = match splits.is_empty() {
        true => vec![&tree],
        false => splits.iter().map(|(_, folder)| *folder).collect(),
    };
    doubt::check(root, &tree, &places, &mut notes).map_err(invalid)?;
    let mut classes = BTreeSet::new();
    let (unsorted, sorted): (Vec<&Folder>, Vec<&Folder>) =
        places.iter().partition(|place| place.is_unsorted());
    match unsorted[..] {
        _ if sorted.is_empty() => {
            doubt::unsorted(&tree, &unsorted).map_or(Ok(()), |why| Err(invalid(why)))?;
            notes.extend(unsorted.iter().flat_map(|place| place.with_images()).filter_map(Folder::merged));
            classes.insert(HERE.into());
        }
        [place, ..] => return Err(invalid(doubt::half(place, &sorted))),
        [] => {
            for place in &sorted {
                doubt::strays(place).map_or(Ok(()), |why| Err(invalid(why)))?;
                place.classes("", &mut classes, &mut notes);
                if place.images > 0 {
                    let images = count(place.images, "image");
                    let place = super::shown(&place.path);
                    notes.push(format!("{place}: left out {images} that no class folder has"));
                }
                notes.extend(place.empty());
            }
        }
    }
    let classes = disjoint(classes);
    for class in &classes {
        let first = class.split('/').next().unwrap_or_default();
        if doubt::is_reserved(first) {
            return Err(invalid(format!(
                "has the folder {class} at the place of a class, and {first} is the name of a split: rename it if \
                 it is a class; if it is a split, move the images that are beside it into train/ or val/"
            )));
        }
        if let Err(why) = check_folder(class) {
            return Err(invalid(format!("the name of the folder {class} {why}: rename it")));
        }
    }
    if !splits.is_empty() {
        let (_, others) = tree.parted();
        let perhaps = others.into_iter().filter(|folder| folder.has_one_of(&classes));
        notes.extend(perhaps.map(|folder| {
            format!(
                "{} has folders of classes, as a split has, and is left out: if it is one, give it the name of \
                 its split",
                folder.path
            )
        }));
    }
    let lists = tree.lists_of_splits();
    if splits.is_empty() && !lists.is_empty() {
        notes.push(format!(
            "{} may say which images are val or test, which isn does not read: sort the images into a folder for \
             each split, if so",
            and(&lists)
        ));
    }
    let in_names = tree.splits_in_names();
    if splits.is_empty() && in_names.len() > 1 {
        notes.push(format!(
            "names of files begin with {}, which isn does not read: sort the images into a folder for each split, \
             if these are splits",
            and(&in_names.into_values().collect::<Vec<_>>())
        ));
    }
    let splits = splits.into_iter().map(|(split, folder)| (split, folder.path.clone())).collect();
    Ok(Look { splits, classes, notes })
}

/// `a, b and c`, or the first of many.
fn and<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match (&shown[..], names.len().saturating_sub(SHOWN)) {
        ([], _) => String::new(),
        ([one], _) => (*one).into(),
        ([before @ .., last], 0) => format!("{} and {last}", before.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Leaves out folders that are in another, whose images are that one's. A folder that says nothing of its
/// images, and is alone, gives way to the one above it.
fn disjoint(classes: BTreeSet<String>) -> Vec<String> {
    let above = |folder: &str| {
        let (up, _) = folder.rsplit_once('/').filter(|(_, last)| is_plain(last))?;
        let below = format!("{up}/");
        let mut others = classes.range(below.clone()..).take_while(|other| other.starts_with(&below));
        (others.next().is_some() && others.next().is_none()).then(|| up.to_owned())
    };
    let mut kept: Vec<String> = Vec::new();
    let classes: BTreeSet<Vec<String>> = classes
        .iter()
        .map(|class| above(class).unwrap_or_else(|| class.clone()))
        .map(|class| class.split('/').map(Into::into).collect())
        .collect();
    for class in classes.iter().map(|class| class.join("/")) {
        if !kept.last().is_some_and(|last| class.starts_with(&format!("{last}/"))) {
            kept.push(class);
        }
    }
    kept.sort();
    kept
}
