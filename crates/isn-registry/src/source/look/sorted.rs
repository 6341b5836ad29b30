//! Images that are sorted into folders: which folders are splits, and which are classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::folder::Folder;
use super::names::is_plain;
use super::{Look, and, annotations, classes, doubt, texts};
use crate::source::{Listing, shown};
use isn_format::error::count;
use isn_format::source_spec::{HERE, check_folder};
use isn_format::split::Split;

/// Finds the folders of splits and classes. If all images are in no folder of a class, says what else may
/// have their classes.
///
/// # Errors
/// What was understood, and what a person has to do.
pub(super) fn folders(
    root: &Path,
    listing: &Listing<'_>,
    tree: &Folder,
) -> Result<(Look, Option<String>), String> {
    let mut notes = Vec::from_iter(doubt::is_one_of_several(root));
    notes.extend(texts::beside_source(root));
    let mut splits = doubt::splits(tree, &mut notes)?;
    let places: Vec<&Folder> = match splits.is_empty() {
        true => vec![tree],
        false => splits.iter().map(|(_, folder)| *folder).collect(),
    };
    doubt::check(root, tree, &places, &mut notes)?;
    let (mut classes, mut of_splits) = (BTreeSet::new(), BTreeMap::<Split, BTreeSet<String>>::new());
    let (unsorted, sorted): (Vec<&Folder>, Vec<&Folder>) =
        places.iter().partition(|place| place.is_unsorted());
    let (mut annotated, mut is_part, mut perhaps) = (Vec::new(), false, None);
    match unsorted[..] {
        _ if sorted.is_empty() => {
            perhaps = doubt::unsorted(listing, tree, &unsorted);
            notes.extend(unsorted.iter().flat_map(|place| place.with_images()).filter_map(Folder::merged));
            classes.insert(HERE.into());
        }
        _ => {
            for place in &sorted {
                doubt::strays(place).map_or(Ok(()), Err)?;
                let mut own = BTreeSet::new();
                place.classes("", &mut own, &mut notes);
                classes.extend(own.iter().cloned());
                let split = splits.iter().find(|(_, folder)| folder.path == place.path);
                of_splits.entry(split.map_or(Split::Train, |(split, _)| *split)).or_default().extend(own);
                if place.images > 0 {
                    let images = count(place.images, "image");
                    let place = shown(&place.path);
                    notes.push(format!("{place}: left out {images} that no class folder has"));
                }
                notes.extend(place.empty());
            }
            doubt::apart(&of_splits)?;
            let known: BTreeSet<String> = disjoint(classes.clone()).into_iter().collect();
            for place in unsorted {
                let split =
                    splits.iter().find(|(_, folder)| folder.path == place.path).map(|(split, _)| *split);
                let is_alone = splits.iter().filter(|(of, _)| Some(*of) == split).count() == 1;
                match annotations::find(listing, tree, place, &known)? {
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
                    _ => return Err(doubt::half(tree, place, &sorted)),
                }
            }
        }
    }
    let classes = disjoint(classes);
    for class in &classes {
        let first = class.split('/').next().unwrap_or_default();
        if doubt::is_reserved(first) {
            return Err(format!(
                "has the folder {class} at the place of a class, and {first} is the name of a split: rename \
                 it if it is a class; if it is a split, move the images that are beside it into train/ or \
                 val/"
            ));
        }
        if let Err(why) = check_folder(class) {
            return Err(format!("the name of the folder {class} {why}: rename it"));
        }
    }
    classes::check(&classes)?;
    notes.extend(classes::notes(&classes, &of_splits));
    if !splits.is_empty() {
        let (_, others) = tree.parted();
        let perhaps = others.into_iter().filter(|folder| folder.has_one_of(&classes));
        notes.extend(perhaps.map(|folder| {
            format!(
                "{} has folders of classes, as a split has, and is left out: if it is one, give it the name \
                 of its split",
                folder.path
            )
        }));
    }
    let mut lists = tree.lists_of_splits();
    lists.extend(texts::unread_splits(tree));
    lists.sort_unstable();
    lists.dedup();
    if splits.iter().all(|(split, _)| *split == Split::Train) && !lists.is_empty() {
        notes.push(format!(
            "{} may say which images are val or test, which isn does not read: sort the images into a folder \
             for each split, if so",
            and(&lists)
        ));
    }
    let in_names = tree.splits_in_names();
    let with_words = tree.with_splits_in_names();
    let is_most = with_words.len() > 1 && with_words.values().sum::<usize>() * 2 >= tree.total();
    if splits.is_empty() && in_names.len() < 2 && is_most {
        let all: Vec<String> = with_words.into_iter().map(|(split, n)| format!("{split} ({n})")).collect();
        notes.push(format!(
            "names of files have words of splits, {}, which isn does not read: sort the images into a folder \
             for each split, if these are splits",
            and(&all)
        ));
    }
    if splits.is_empty() && in_names.len() > 1 {
        notes.push(format!(
            "names of files begin with {}, which isn does not read: sort the images into a folder for each \
             split, if these are splits",
            and(&in_names.into_values().collect::<Vec<_>>())
        ));
    }
    let splits = splits.into_iter().map(|(split, folder)| (split, folder.path.clone())).collect();
    Ok((Look { splits, is_part, classes, annotated, notes, ..Look::default() }, perhaps))
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
