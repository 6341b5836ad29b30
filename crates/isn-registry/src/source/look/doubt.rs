//! What isn does not guess: folders that may be splits or classes, so that no test image silently becomes a
//! train image. Each says what was understood, and what to do.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use super::folder::Folder;
use super::images::Images;
use super::names::{self, Named, is_bare, is_plain, named, rest};
use super::texts::{self, Text};
use super::{Look, and};
use crate::source::{Listing, join};
use isn_format::error::count;
use isn_format::split::Split;
use isn_format::text::shell_path;

/// Returns the folders in the source that are splits, unless all of them may as well be classes.
///
/// # Errors
/// What a person has to say.
pub(super) fn splits<'t>(
    tree: &'t Folder,
    notes: &mut Vec<String>,
) -> Result<Vec<(Split, &'t Folder)>, String> {
    let (named, others) = tree.parted();
    let has = |wanted: &[Split]| named.iter().any(|(_, split, _)| wanted.contains(split));
    let others: Vec<&str> = others.iter().map(|folder| folder.name()).collect();
    let names: Vec<&str> = named.iter().map(|(_, _, folder)| folder.name()).collect();
    let mut splits: Vec<(Split, &Folder)> =
        named.iter().map(|(_, split, folder)| (*split, folder.unwrapped(*split))).collect();
    splits.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.path.cmp(&other.path)));
    match named[..] {
        [] => {
            if let Some(name) = tree.reserved() {
                return Err(format!(
                    "has {name}/ beside {}, and {name} is the name of a split, in which a build would look \
                     for all classes, but it has no JPEG or PNG: move it away, or rename it",
                    and(&slashed(&others))
                ));
            }
            check_parts(tree)?;
        }
        _ if others.is_empty() => {}
        _ if has(&[Split::Train]) && has(&[Split::Val, Split::Test]) => {
            if splits.iter().all(|(_, split)| split.is_unsorted()) {
                return Err(format!(
                    "is only partly clear: {} are splits by their names, and have no folders of classes, but \
                     {} beside them {} images, too. If these are splits of one class, move {} away; if all \
                     are classes, rename {}",
                    and(&slashed(&names)),
                    and(&slashed(&others)),
                    if others.len() == 1 { "has" } else { "have" },
                    and(&slashed(&others)),
                    and(&slashed(&names)),
                ));
            }
        }
        // A recipe names no class's folder as a split.
        [(Named::Either(split), _, folder)] if folder.is_unsorted() && !is_reserved(folder.name()) => {
            notes.push(taken_for_class(folder, split, &others));
            splits.clear();
        }
        _ => {
            let (is, it) = match names.len() {
                1 => ("is the name of a split", "it"),
                _ => ("are names of splits", "them"),
            };
            // `test_A` beside `train`.
            let part = others.iter().find_map(|other| Some((other, self::named(other)?.split())));
            let part =
                part.map(|(other, split)| format!("; if {other} is a split, too, rename it to {split}"));
            return Err(format!(
                "has the folder{} {names} beside {}, and {names} {is}: rename {it} if {}; if {}, move the \
                 images that are beside {it} into train/ or val/, or away{}",
                if named.len() == 1 { "" } else { "s" },
                and(&others),
                if named.len() == 1 { "it is a class" } else { "they are classes" },
                if named.len() == 1 { "it is a split" } else { "they are splits" },
                part.unwrap_or_default(),
                names = and(&names),
            ));
        }
    }
    if !splits.is_empty() {
        let is_new = |split: &Split| splits.iter().all(|(known, _)| known != split);
        notes.extend(tree.empty_splits().filter(|(split, _)| is_new(split)).map(|(split, folder)| {
            format!(
                "{folder}/ is {split} by its name, and has no JPEG or PNG, so the source is taken to have no \
                 {split} images: if they are in another format, convert them to PNG; if there are none, \
                 remove it"
            )
        }));
    }
    match names::rivals(names).filter(|_| !splits.is_empty()) {
        Some((split, one, other)) => Err(format!(
            "is only partly clear: {one}/ and {other}/ are both {split} by their names. If one is another \
             split, rename it to that (train, val or test); if not, move the images of both into one folder, \
             {split}/"
        )),
        None => Ok(splits),
    }
}

/// Says that a text says a split of images that no folder has, or has images of one in another's folder.
pub(super) fn other_splits(text: &Text, look: &Look) -> Option<String> {
    let has = |wanted: &Split| look.splits.iter().any(|(split, _)| split == wanted);
    if !text.says_splits || !look.has_splits() || (text.folders.is_empty() && !text.is_mixed) {
        return None;
    }
    let file = &text.file;
    let to_do = |split| {
        format!("sort its images into a folder {split}/; or, if the folders say all, move {file} away")
    };
    if let Some(split) = text.splits.iter().find(|split| !has(split)) {
        let folders: Vec<&str> = look.splits.iter().map(|(_, folder)| folder.as_str()).collect();
        return Some(format!(
            "is only partly clear: it has the splits {}, and {file} may say which of their images are \
             {split}, but isn does not read such a file: {}",
            and(&slashed(&folders)),
            to_do(*split)
        ));
    }
    let of_name = names::split_in_name(names::stem(file)).filter(|_| text.splits.len() == 1)?;
    let is_in = |folder: &str, above: &str| {
        folder.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_elsewhere =
        |folder: &str| look.splits.iter().any(|(split, above)| *split != of_name && is_in(folder, above));
    let all: usize = text.folders.values().sum();
    let elsewhere: usize =
        text.folders.iter().filter(|(folder, _)| is_elsewhere(folder)).map(|(_, n)| n).sum();
    (elsewhere * 2 > all).then(|| {
        format!(
            "is only partly clear: by its name, {file} has images of {of_name}, and most of them are in \
             folders of other splits: {}",
            to_do(of_name)
        )
    })
}

/// Refuses a split that has no class of another.
///
/// # Errors
/// What a person has to do.
pub(super) fn apart(classes: &BTreeMap<Split, BTreeSet<String>>) -> Result<(), String> {
    let is_in =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    // `Veg/Cap` and `Veg/Mushroom/Cap` may be one class.
    let last = |class: &'_ String| class.rsplit('/').find(|name| !is_plain(name)).map(str::to_owned);
    let shares = |own: &BTreeSet<String>, other: &BTreeSet<String>| {
        let names: HashSet<String> = own.iter().filter_map(last).collect();
        let is_one = |class: &String| last(class).is_some_and(|name| names.contains(&name));
        other.iter().any(|a| is_one(a) || own.iter().any(|b| is_in(a, b) || is_in(b, a)))
    };
    for (split, own) in classes.iter().rev() {
        let mut others = classes.iter().filter(|(other, _)| *other != split).peekable();
        let Some((other, of_other)) = others.peek().copied() else { continue };
        if others.any(|(_, classes)| shares(own, classes)) {
            continue;
        }
        return Err(format!(
            "is only partly clear: the folders of {split}, {}, have no class that those of {other} have, {}. \
             Give the folders of a class one name in all splits; or, if {split} is none, move it away",
            and(&Vec::from_iter(own)),
            and(&Vec::from_iter(of_other))
        ));
    }
    Ok(())
}

/// Refuses splits below the places of splits or classes, and other folders there that are no classes.
///
/// # Errors
/// What a person has to do.
pub(super) fn check(
    root: &Path,
    tree: &Folder,
    places: &[&Folder],
    notes: &mut Vec<String>,
) -> Result<(), String> {
    let mut holders = Vec::new();
    for place in places {
        // What is in the source itself has been judged.
        let below = if place.path.is_empty() { place.with_images() } else { vec![*place] };
        for folder in below {
            folder.holders(&mut holders, notes)?;
        }
    }
    let command = |folder: &Folder| format!("`isn init {}`", shell_path(join(root, &folder.path)));
    let is_place = |holder: &Folder| places.len() > 1 && places.iter().any(|place| place.path == holder.path);
    match &holders[..] {
        [] => {}
        [(holder, splits)] if places.len() == 1 && is_whole(splits, tree) => {
            let beside = match tree.total() - holder.total() {
                0 => String::new(),
                n => format!(", and {} beside them", count(n, "image")),
            };
            let without = if beside.is_empty() { "" } else { ", without what is beside it" };
            return Err(format!(
                "has its splits in {}/{beside}: name that folder, {}{without}",
                holder.path,
                command(holder)
            ));
        }
        all if all.iter().all(|(holder, _)| is_place(holder)) => {
            let paths: Vec<&str> =
                all.iter().flat_map(|(_, splits)| splits.iter().map(|split| split.path.as_str())).collect();
            return Err(format!(
                "has {} in folders of splits, at the place of classes, and with the names of splits: rename \
                 what is a class, and move what is a split out of the other",
                and(&slashed(&paths))
            ));
        }
        [(holder, splits)] => return Err(inside(holder, splits)),
        all => {
            let (first, splits) = &all[0];
            let folders: Vec<&str> = all.iter().map(|(holder, _)| holder.path.as_str()).collect();
            let inner = splits[0].name();
            return Err(format!(
                "is only partly clear: {} have folders named as splits, such as {}/, so they are no classes \
                 that isn can read. If each is a dataset of its own, name one of them: {}. If they are \
                 classes, the splits must be above them: move {}/ to {inner}/{}/, and so on",
                and(&slashed(&folders)),
                splits[0].path,
                command(first),
                splits[0].path,
                first.name(),
            ));
        }
    }
    for place in places.iter().filter(|place| !place.is_unsorted()) {
        if let Some((bare, others)) = place.bare() {
            let others: Vec<String> = others.iter().map(|folder| format!("{}/", folder.path)).collect();
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            let name = match bare.path.contains('/') {
                false => format!("name it: {}, or ", command(bare)),
                true => String::new(),
            };
            return Err(format!(
                "is only partly clear: {}/ is the name of no class, and {} beside it {} images, too. If only \
                 the first has the pictures, {name}move the rest away; if they are classes, rename them",
                bare.path,
                and(&others),
                if others.len() == 1 { "has" } else { "have" },
            ));
        }
    }
    Ok(())
}

/// Says that images are in no folder of a class, where something else may say their classes.
pub(super) fn unsorted(listing: &Listing<'_>, tree: &Folder, places: &[&Folder]) -> Option<String> {
    let images = count(tree.total(), "image");
    let all = || std::iter::once(tree).chain(places.iter().copied());
    if let Some(list) = all().find_map(|folder| folder.lists().next()) {
        let why = texts::why_not(listing, &Images::of(tree), list);
        return Some(format!(
            "is only partly clear: its {images} are in no folder of a class, and {list} may say their \
             classes, but is no list whose rows name them ({why}). Sort the images into a folder for each \
             class; or give the list a header such as path,label, and a row for each image; or, if they are \
             one class, move {list} away"
        ));
    }
    let words = places.iter().find_map(|place| place.words())?;
    Some(format!(
        "is only partly clear: its {images} are in no folder of a class, and the names of the files may say \
         their classes ({}), which isn does not read. Sort the images into a folder for each class; or, if \
         they are one class, into a folder named as the class",
        words.iter().take(3).copied().collect::<Vec<_>>().join(", ")
            + if words.len() > 3 { ", …" } else { "" }
    ))
}

/// Says that most images of a split or a source are in no folder of a class, if they are.
pub(super) fn strays(place: &Folder) -> Option<String> {
    let sorted = place.total() - place.images;
    let folders: Vec<&str> = place.with_images().iter().map(|folder| folder.path.as_str()).collect();
    (place.images > sorted).then(|| {
        format!(
            "is only partly clear: {} of {} are in no folder of a class, and {} in {}. Sort them into a \
             folder for each class; or move {} away, if they are one class",
            place.images,
            count(place.total(), "image"),
            if sorted == 1 { "1 is".into() } else { format!("{sorted} are") },
            and(&slashed(&folders)),
            and(&slashed(&folders)),
        )
    })
}

/// Says that a split has its images in no folder of a class, while others do.
pub(super) fn half(tree: &Folder, unsorted: &Folder, sorted: &[&Folder]) -> String {
    let folders: Vec<&str> = sorted.iter().map(|place| place.path.as_str()).collect();
    let classes = match sorted.iter().map(|place| place.with_images().len()).max().unwrap_or_default() {
        1 => "1 folder of a class".into(),
        n => format!("{n} folders of classes"),
    };
    let split = names::split_of(unsorted.name());
    let is_of = |file: &&str| names::split_of(names::stem(file)) == split;
    let list = unsorted.lists().next().or_else(|| tree.lists_of_splits().into_iter().find(is_of));
    let (list, rows) = list.map_or_else(Default::default, |list| {
        let rows =
            "; or give that file rows of the name of an image and the folder of its class, and no others";
        (format!(" (perhaps {list} says it)"), rows)
    });
    format!(
        "is only partly clear: {} has {classes}, but the {} of {}/ are in no such folder{list}. Sort them \
         into folders with the names of those, or move {}/ away{rows}. If this is ImageNet, `isn recipe \
         export imagebirds` writes a recipe to begin with",
        and(&slashed(&folders)),
        count(unsorted.total(), "image"),
        unsorted.path,
        unsorted.path,
    )
}

impl Folder {
    /// Collects the folders at and below this one that have folders named as splits, with these. A lone
    /// folder that may as well be a class is one.
    fn holders<'t>(
        &'t self,
        found: &mut Vec<(&'t Folder, Vec<&'t Folder>)>,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        let (splits, others) = self.parted();
        match splits[..] {
            [] => check_parts(self)?,
            [(Named::Either(split), _, folder)]
                if folder.is_unsorted() && self.images == 0 && !others.is_empty() =>
            {
                let others: Vec<&str> = others.iter().map(|folder| folder.name()).collect();
                notes.push(taken_for_class(folder, split, &others));
            }
            _ => {
                found.push((self, splits.into_iter().map(|(_, _, folder)| folder).collect()));
                return Ok(());
            }
        }
        others.into_iter().try_for_each(|folder| folder.holders(found, notes))
    }

    /// A folder at the place of a class whose name is that of no class, and what is beside it.
    fn bare(&self) -> Option<(&Folder, Vec<&Folder>)> {
        let folders = self.with_images();
        if let (Some(bare), true) = (folders.iter().find(|folder| is_bare(folder.name())), folders.len() > 1)
        {
            return Some((bare, folders.iter().filter(|other| other.path != bare.path).copied().collect()));
        }
        folders.into_iter().filter(|folder| folder.images == 0).find_map(Folder::bare)
    }
}

/// Refuses folders such as `cats_train` and `cats_test`.
fn check_parts(folder: &Folder) -> Result<(), String> {
    let all = folder.with_images();
    let parts: Vec<(Split, &str)> = all
        .iter()
        .filter_map(|folder| match named(folder.name())? {
            Named::Part(split) => Some((split, folder.path.as_str())),
            _ => None,
        })
        .collect();
    // `cat_test` beside `cat`.
    let is_beside = |path: &str| {
        let rest = rest(path.rsplit('/').next().unwrap_or_default());
        all.iter().any(|other| named(other.name()).is_none() && self::rest(other.name()) == rest)
    };
    let is_several = parts.iter().map(|(split, _)| split).collect::<BTreeSet<_>>().len() > 1;
    if !is_several && !parts.iter().any(|(_, path)| is_beside(path)) {
        return Ok(());
    }
    let (split, first) = parts[0];
    let rest = rest(first.rsplit('/').next().unwrap_or_default());
    let class = if rest.is_empty() { "CLASS".into() } else { rest.join("_") };
    let names: Vec<&str> = parts.iter().map(|(_, path)| *path).collect();
    Err(format!(
        "has folders named after splits, {}: isn reads a folder for each split, and in it one for each \
         class. If they are splits, move {first}/ to {split}/{class}/, and so on; if they are classes, \
         rename them",
        and(&names)
    ))
}

/// Whether the splits of one folder are those of the whole source.
fn is_whole(splits: &[&Folder], tree: &Folder) -> bool {
    let kinds: BTreeSet<_> = splits.iter().filter_map(|folder| named(folder.name())?.whole()).collect();
    kinds.len() > 1 || splits.iter().map(|split| split.total()).sum::<usize>() == tree.total()
}

fn inside(holder: &Folder, splits: &[&Folder]) -> String {
    let names: Vec<&str> = splits.iter().map(|split| split.path.as_str()).collect();
    let (first, inner) = (splits[0], splits[0].name());
    format!(
        "has the folder{} {} in {}/, where isn looks for classes, and {inner} is the name of a split. If it \
         is one, move {}/ to {inner}/{}/, above its class; if not, rename it",
        if names.len() == 1 { "" } else { "s" },
        and(&names),
        holder.path,
        first.path,
        holder.name(),
    )
}

fn taken_for_class(folder: &Folder, split: Split, others: &[&str]) -> String {
    format!(
        "{} is taken for a class, as {} beside it: if it is a split ({split}), move {} into another one, \
         or away",
        folder.path,
        and(others),
        and(others)
    )
}

/// Says that the source is one split, and what is beside it another.
pub(super) fn is_one_of_several(root: &Path) -> Option<String> {
    let root = fs::canonicalize(root).ok()?;
    let (above, own) = (root.parent()?, named(root.file_name()?.to_str()?)?.whole()?);
    let mut beside: Vec<String> = fs::read_dir(above)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| named(name).and_then(Named::whole).is_some_and(|split| split != own))
        .collect();
    beside.sort();
    (!beside.is_empty()).then(|| {
        format!(
            "the folder is that of one split ({own}), beside {}: `isn init {}` takes all",
            and(&slashed(&beside)),
            shell_path(above)
        )
    })
}

/// Tells of masks and small copies among the pictures.
///
/// # Errors
/// That many are.
pub(super) fn copies(tree: &Folder, look: &mut Look) -> Result<(), String> {
    if let Some((n, first)) = tree.copies() {
        let is = if n == 1 { "is a mask or a copy" } else { "are masks or copies" };
        let told =
            format!("{} {is} of others beside them by their names, such as {first}", count(n, "image"));
        if n * 4 >= tree.total() {
            return Err(format!(
                "is only partly clear: {told}, and would be pictures of their classes: move them away; or, \
                 if they are pictures, rename them"
            ));
        }
        look.notes.push(format!("{told}: if so, move them away, since they are pictures of their classes"));
    }
    let mut folders = Vec::new();
    tree.folders_of_copies(&mut folders);
    let is_class = |path: &str| {
        let below = |above: &str| path.strip_prefix(above)?.strip_prefix('/');
        let place = look.splits.iter().find_map(|(_, split)| below(split)).unwrap_or(path);
        look.classes.iter().any(|class| class == place || place.starts_with(&format!("{class}/")))
    };
    folders.retain(|folder| is_class(&folder.path));
    let notes = folders.into_iter().map(|folder| {
        format!(
            "{} has {}, which are taken for pictures of a class: if they are masks or copies of others, as \
             its name says, move it away",
            folder.path,
            count(folder.total(), "image")
        )
    });
    look.notes.extend(Vec::from_iter(notes));
    Ok(())
}

/// Whether a folder has the name of a split itself.
pub(super) fn is_reserved(name: &str) -> bool {
    name.to_ascii_lowercase().parse::<Split>().is_ok()
}

fn slashed<T: AsRef<str>>(names: &[T]) -> Vec<String> {
    names.iter().map(|name| format!("{}/", name.as_ref())).collect()
}
