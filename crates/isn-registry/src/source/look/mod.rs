//! [`look`]: guesses how a folder of pictures is laid out: which folders are splits, and which are classes,
//! or which file says so.

mod doubt;
mod folder;
mod lists;
mod names;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use self::folder::Folder;
use self::lists::Listed;
pub(crate) use self::names::is_plain;
use super::Listing;
use isn_format::error::{Error, Result, count};
use isn_format::source_spec::{HERE, ListSpec, check_folder};
use isn_format::split::Split;
use isn_format::tree::B3SUMS;

/// How a folder of pictures is laid out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The folders that are splits; none if the source has no splits. Of a list with a column of splits, its
    /// words for each.
    pub(crate) splits: Vec<(Split, String)>,
    /// Whether a folder that has the name of a split is left out.
    pub(crate) is_part: bool,
    /// The folders of classes, below those of the splits; sorted. None is in another. Of a list, its labels.
    pub(crate) classes: Vec<String>,
    /// The list that says the classes of all images.
    pub(crate) list: Option<ListSpec>,
    /// The files that say the classes of the images of a split.
    pub(crate) annotated: Vec<(Split, String)>,
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
    let listed = |listed: Listed| Look {
        splits: listed.splits,
        classes: listed.labels.into_iter().collect(),
        list: Some(listed.spec),
        notes: doubt::is_one_of_several(root).into_iter().chain(listed.notes).collect(),
        ..Look::default()
    };
    match folders(root, &listing, &tree) {
        // Folders that say the classes need no list, which may say something else.
        Ok((mut look, None)) if look.classes.len() > 1 => {
            let other = lists::find(&listing, &tree).ok().flatten();
            if let Some(Listed { spec, mixed: Some(folder), .. }) = other {
                look.notes.push(format!(
                    "{} gives images of {folder} several labels, and is not read, since folders are taken for \
                     classes: if it has the classes, change the recipe to kind = \"list\" (docs/recipe.md)",
                    spec.file
                ));
            }
            Ok(look)
        }
        Ok((mut look, unsorted)) => match (lists::find(&listing, &tree), unsorted) {
            (Ok(Some(found)), unsorted) if unsorted.is_some() || found.labels.len() > 1 => Ok(listed(found)),
            (Err(why), None) => {
                look.notes.push(why);
                Ok(look)
            }
            (Err(why), Some(_)) => Err(invalid(format!("is only partly clear: {why}"))),
            (Ok(_), Some(why)) => Err(invalid(why)),
            (Ok(_), None) => Ok(look),
        },
        Err(why) => match lists::find(&listing, &tree) {
            Ok(Some(found)) => Ok(listed(found)),
            _ => Err(invalid(why)),
        },
    }
}

/// Finds the folders of splits and classes. If all images are in no folder of a class, says what else may
/// have their classes.
///
/// # Errors
/// What was understood, and what a person has to do.
fn folders(root: &Path, listing: &Listing<'_>, tree: &Folder) -> Result<(Look, Option<String>), String> {
    let mut notes = Vec::from_iter(doubt::is_one_of_several(root));
    let mut splits = doubt::splits(tree, &mut notes)?;
    let places: Vec<&Folder> = match splits.is_empty() {
        true => vec![tree],
        false => splits.iter().map(|(_, folder)| *folder).collect(),
    };
    doubt::check(root, tree, &places, &mut notes)?;
    let mut classes = BTreeSet::new();
    let (unsorted, sorted): (Vec<&Folder>, Vec<&Folder>) =
        places.iter().partition(|place| place.is_unsorted());
    let (mut annotated, mut is_part, mut perhaps) = (Vec::new(), false, None);
    match unsorted[..] {
        _ if sorted.is_empty() => {
            perhaps = doubt::unsorted(tree, &unsorted);
            notes.extend(unsorted.iter().flat_map(|place| place.with_images()).filter_map(Folder::merged));
            classes.insert(HERE.into());
        }
        _ => {
            for place in &sorted {
                doubt::strays(place).map_or(Ok(()), Err)?;
                place.classes("", &mut classes, &mut notes);
                if place.images > 0 {
                    let images = count(place.images, "image");
                    let place = super::shown(&place.path);
                    notes.push(format!("{place}: left out {images} that no class folder has"));
                }
                notes.extend(place.empty());
            }
            let known: BTreeSet<String> = disjoint(classes.clone()).into_iter().collect();
            for place in unsorted {
                let split =
                    splits.iter().find(|(_, folder)| folder.path == place.path).map(|(split, _)| *split);
                let is_alone = splits.iter().filter(|(of, _)| Some(*of) == split).count() == 1;
                match lists::annotations(listing, tree, place, &known)? {
                    Some(file) if is_alone => annotated.extend(split.map(|split| (split, file))),
                    None if split == Some(Split::Test)
                        && is_alone
                        && !place.may_say_classes(tree, &annotated) =>
                    {
                        let images = count(place.total(), "image");
                        notes.push(format!("{}: left out {images}, whose classes nothing says", place.path));
                        splits.retain(|(_, folder)| folder.path != place.path);
                        is_part |= doubt::is_reserved(&place.path);
                    }
                    _ => return Err(doubt::half(place, &sorted)),
                }
            }
        }
    }
    let classes = disjoint(classes);
    for class in &classes {
        let first = class.split('/').next().unwrap_or_default();
        if doubt::is_reserved(first) {
            return Err(format!(
                "has the folder {class} at the place of a class, and {first} is the name of a split: rename it if \
                 it is a class; if it is a split, move the images that are beside it into train/ or val/"
            ));
        }
        if let Err(why) = check_folder(class) {
            return Err(format!("the name of the folder {class} {why}: rename it"));
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
    Ok((Look { splits, is_part, classes, list: None, annotated, notes }, perhaps))
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
