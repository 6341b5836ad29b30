//! Files that say the classes of images: lists, and annotations of a split. Nothing that may be meant in two
//! ways is guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::and;
use super::folder::Folder;
use super::names::{Named, named};
use super::table::{Images, Table};
use crate::source::Listing;
use crate::source::annotated::{Image, Names};
use crate::source::rows::{Rows, path_of, short};
use isn_format::class::check_label;
use isn_format::error::count;
use isn_format::source_spec::{HERE, ListSpec, check_folder, nfc};
use isn_format::split::Split;

/// After how many rows without an image and its class a file is none of annotations.
const UNKNOWN: usize = 10_000;
/// How many files are looked at.
const FILES: usize = 100;

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) spec: ListSpec,
    /// The words of each split in its column, or the folders that are each split; none if all is train.
    pub(super) splits: Vec<(Split, String)>,
    /// Its labels.
    pub(super) labels: BTreeSet<String>,
    /// A folder whose images have several labels.
    pub(super) mixed: Option<String>,
    /// What a person should know, one line each.
    pub(super) notes: Vec<String>,
}

/// Finds the list of the images in `tree`, if there is one.
///
/// # Errors
/// What was understood of a list, and what a person has to do.
pub(super) fn find(listing: &Listing<'_>, tree: &Folder) -> Result<Option<Listed>, String> {
    let images = Images::of(tree);
    let (mut found, mut doubts) = (Vec::new(), Vec::new());
    for path in tree.texts(&["csv", "tsv"]).into_iter().take(FILES) {
        match read(listing, &images, path) {
            Ok(Some(listed)) => found.push(listed),
            Ok(None) => {}
            Err(doubt) => doubts.push(doubt),
        }
    }
    let files: Vec<&str> = found.iter().map(|(listed, _)| listed.spec.file.as_str()).collect();
    match &found[..] {
        [] => doubts.into_iter().next().map_or(Ok(None), |doubt| Err(doubt.why)),
        [(listed, named)] => match doubts.iter().find(|doubt| !doubt.named.is_disjoint(named)) {
            Some(Doubt { why, .. }) => {
                Err(format!("{why}; or, if {} says all, move the other file away", files[0]))
            }
            // A file about other images, as an example of a submission, changes nothing.
            None => {
                let others = doubts.iter().map(|doubt| {
                    format!("{} names images that {} does not, and is not read", doubt.file, files[0])
                });
                Ok(Some(Listed { notes: others.collect(), ..listed.clone() }))
            }
        },
        _ => Err(format!(
            "there are several lists of images, {}, and a recipe has one: put their rows into one file, with a \
             column split that says train, val or test; or move away those that are not it",
            and(&files)
        )),
    }
}

/// Finds the file that says the classes of the images in `place`, which is a split without folders of
/// classes.
///
/// # Errors
/// That there are several.
pub(super) fn annotations(
    listing: &Listing<'_>,
    tree: &Folder,
    place: &Folder,
    classes: &BTreeSet<String>,
) -> Result<Option<String>, String> {
    let images: Vec<Image> =
        place.paths().into_iter().map(|path| Image { path, id: String::new() }).collect();
    let names = Names::of(&images);
    let kinds = ["csv", "tsv", "txt"];
    let beside = tree.others.iter().map(String::as_str).filter(|path| is_text(path, &kinds));
    let fits = |path: &&str| {
        let Ok(rows) = Rows::read(listing, path) else { return false };
        let (mut all, mut known, mut right) = (0, 0, 0);
        rows.each(|_, fields| {
            let is_class = fields.get(1).is_some_and(|word| classes.contains(&*nfc(word)));
            let image = path_of(fields[0]).ok().and_then(|path| names.find(&images, &path).ok());
            all += 1;
            known += usize::from(is_class || image.is_some());
            right += usize::from(is_class && image.is_some());
            // Most files are others.
            all < UNKNOWN || right > 0
        });
        right > 0 && right * 10 >= known * 9 && check_folder(path).is_ok()
    };
    let found: Vec<&str> = place.texts(&kinds).into_iter().chain(beside).take(FILES).filter(fits).collect();
    match found[..] {
        [] => Ok(None),
        [file] => Ok(Some(file.to_owned())),
        _ => Err(format!(
            "has several files that say the classes of {}/, {}: move away those that are not to be read",
            place.path,
            and(&found)
        )),
    }
}

/// Whether a file has one of these extensions, in any case.
pub(super) fn is_text(path: &str, ends: &[&str]) -> bool {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    ends.iter().any(|known| end.eq_ignore_ascii_case(known))
}

/// What is not understood of a file that names images.
struct Doubt {
    file: String,
    why: String,
    /// Those images.
    named: HashSet<String>,
}

/// Reads a file, and the images that it names; `None` if it does not name any.
///
/// # Errors
/// What is not understood of a file that does.
fn read(
    listing: &Listing<'_>,
    images: &Images,
    file: &str,
) -> Result<Option<(Listed, HashSet<String>)>, Doubt> {
    let Some(table) = Table::read(listing, file) else { return Ok(None) };
    let why = |why: String| format!("{file} names images, but {why}");
    let all = |why: String| Doubt {
        file: file.to_owned(),
        why,
        named: images.paths.values().flatten().cloned().collect(),
    };
    let Some(path) = table.path(images).map_err(why).map_err(all)? else { return Ok(None) };
    let folder = table.folder(images, path).map_err(why).map_err(all)?;
    let image = |row: &Vec<String>| images.at(folder, row.get(path)?).map(Into::into);
    let named: HashSet<String> = table.rows.iter().filter_map(image).collect();
    match understood(&table, images, file, (path, folder)).map_err(why) {
        Ok(listed) => Ok(Some((listed, named))),
        Err(why) => Err(Doubt { file: file.to_owned(), why, named }),
    }
}

/// Finds out what a list says, whose column `path` has the paths of images below `folder`.
///
/// # Errors
/// What is not understood.
fn understood(
    table: &Table,
    images: &Images,
    file: &str,
    (path, folder): (usize, &str),
) -> Result<Listed, String> {
    let (label, split) = table.label_and_split(path)?;
    let rows: Vec<Row<'_>> = table
        .rows
        .iter()
        .filter_map(|row| {
            let image = images.at(folder, row.get(path)?)?;
            let split = split.map_or(Some(""), |at| row.get(at).map(String::as_str))?;
            Some(Row { image, path: row.get(path)?, label: row.get(label)?, split })
        })
        .collect();
    check(images, &rows)?;
    let splits = match split {
        Some(at) => splits_of_words(&rows, &table.header[at])?,
        None => splits_of_folders(&rows, file, folder)?,
    };
    let labels = rows.iter().map(|row| nfc(row.label).into_owned()).filter(|label| !label.is_empty());
    let column = |at: usize| nfc(&table.header[at]).into_owned();
    let spec = ListSpec {
        file: file.to_owned(),
        images: if folder.is_empty() { HERE.to_owned() } else { folder.to_owned() },
        path: column(path),
        label: column(label),
        split: split.map(column),
    };
    let columns = [Some(&spec.path), Some(&spec.label), spec.split.as_ref()];
    if let Some(name) = columns.into_iter().flatten().find(|name| check_label(name).is_err()) {
        return Err(format!("the column {name:?} has no name that a recipe can have: rename it"));
    }
    let places = [&spec.file, &spec.images].into_iter().chain(splits.iter().map(|(_, place)| place));
    if let Some(place) = places.into_iter().find(|place| check_folder(place).is_err()) {
        return Err(format!("{place:?} is nothing that a recipe can have: rename it"));
    }
    Ok(Listed { spec, splits, labels: labels.collect(), mixed: mixed(&rows), notes: Vec::new() })
}

/// Finds a folder whose images have several labels.
fn mixed(rows: &[Row<'_>]) -> Option<String> {
    let mut labels: HashMap<&str, &str> = HashMap::new();
    for Row { image, label, .. } in rows {
        let folder = folder_of(image);
        if labels.insert(folder, label).is_some_and(|other| other != *label) {
            return Some(folder.to_owned());
        }
    }
    None
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A row about an image.
struct Row<'t> {
    /// The image's path in the source, and in the file.
    image: &'t str,
    path: &'t str,
    label: &'t str,
    split: &'t str,
}

/// The words of each split.
fn splits_of_words(rows: &[Row<'_>], column: &str) -> Result<Vec<(Split, String)>, String> {
    let words: BTreeSet<&str> = rows.iter().map(|row| row.split).filter(|word| !word.is_empty()).collect();
    let split = |word: &str| match named(word).and_then(Named::whole) {
        Some(split) => Ok((split, nfc(word).into_owned())),
        None => Err(format!(
            "its column {} says '{}', which isn does not know: write train, val or test",
            short(column),
            short(word)
        )),
    };
    let mut splits: Vec<(Split, String)> = words.into_iter().map(split).collect::<Result<_, _>>()?;
    splits.sort();
    Ok(splits)
}

/// The folders that are each split, by the paths in a file. What has the name of a split must be one.
fn splits_of_folders(rows: &[Row<'_>], file: &str, folder: &str) -> Result<Vec<(Split, String)>, String> {
    let stem = file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or_default();
    let split = |name: &str| named(name).and_then(Named::whole);
    let mut of = folder.split('/').chain([stem]).filter_map(|name| named(name).map(Named::split));
    if let Some(of) = of.find(|split| *split != Split::Train) {
        return Err(format!(
            "by the name of their folder or of the file they are {of}: add a column split that says so"
        ));
    }
    let (mut folders, mut beside) = (BTreeMap::new(), None);
    for row in rows {
        let Ok(path) = path_of(row.path) else { continue };
        let names: Vec<&str> = path.split('/').collect();
        let above = &names[..names.len() - 1];
        match above.iter().position(|name| named(name).is_some()) {
            Some(at) => match split(above[at]) {
                Some(split) => drop(folders.insert(above[..=at].join("/"), split)),
                None => {
                    return Err(format!(
                        "{} may be the folder of a split: add a column split that says train, val or test",
                        above[..=at].join("/")
                    ));
                }
            },
            None => beside = beside.or(Some(path)),
        }
    }
    let is_train = folders.values().all(|split| *split == Split::Train);
    match beside {
        Some(path) if !is_train => {
            let folders = and(&folders.keys().collect::<Vec<_>>());
            Err(format!("{folders} have the names of splits, and {path} is in none: add a column split"))
        }
        _ if is_train => Ok(Vec::new()),
        _ => {
            let mut splits: Vec<(Split, String)> =
                folders.into_iter().map(|(folder, split)| (split, folder)).collect();
            splits.sort();
            Ok(splits)
        }
    }
}

/// Refuses rows whose labels can be no classes, or that are about few of the images.
fn check(images: &Images, rows: &[Row<'_>]) -> Result<(), String> {
    let mut labels: HashMap<&str, &str> = HashMap::new();
    for Row { image, label, .. } in rows {
        if let Some(other) = labels.insert(image, label).filter(|other| other != label) {
            return Err(format!(
                "gives {image} two labels, {} and {}: keep one row for each image",
                short(other),
                short(label)
            ));
        }
        if !label.is_empty() && check_label(label).is_err() {
            return Err(format!("the label {:?} of {image} is not one line of text", short(label)));
        }
    }
    let distinct: BTreeSet<&str> = labels.values().copied().collect();
    let is_fraction = |label: &&str| label.contains('.') && label.parse::<f64>().is_ok();
    if let Some(fraction) = distinct.iter().find(|label| is_fraction(label)) {
        return Err(format!("its labels are numbers such as {fraction}, and no classes"));
    }
    if distinct.len() > 10 && distinct.len() * 10 > labels.len() * 9 {
        return Err(format!(
            "nearly each has a label of its own ({}), so these are no classes",
            distinct.len()
        ));
    }
    let folders: HashSet<&str> = labels.keys().map(|image| folder_of(image)).collect();
    let all = images.paths.values().flatten().filter(|image| folders.contains(folder_of(image))).count();
    if labels.len() * 2 < all {
        return Err(format!("only {} of the {} in their folders", labels.len(), count(all, "image")));
    }
    Ok(())
}
