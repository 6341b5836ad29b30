//! [`Listed`]: what the rows of a list say, if they can be meant in one way only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::and;
use super::classes::words;
use super::columns::may_be_label;
use super::folder::Folder;
use super::images::Images;
use super::names::{self, Named, named, split_of};
use super::table::Table;
use crate::source::rows::{path_of, short};
use isn_format::class::check_label;
use isn_format::error::count;
use isn_format::source_spec::{HERE, ListSpec, check_folder, nfc};
use isn_format::split::Split;

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) spec: ListSpec,
    /// The words of each split in its column, or the folders that are each split; none if all is train.
    pub(super) splits: Vec<(Split, String)>,
    /// Its labels.
    pub(super) labels: BTreeSet<String>,
    /// Its columns that are not read.
    pub(super) unread: Vec<String>,
    /// The images that it names, with the split that its column says.
    pub(super) named: HashMap<String, Option<Split>>,
    /// Whether it names them without their folders, which are several.
    pub(super) is_bare: bool,
    /// The labels of the images in each folder.
    pub(super) of_folders: BTreeMap<String, BTreeSet<String>>,
    /// What a person should know, one line each.
    pub(super) notes: Vec<String>,
}

impl Listed {
    /// Whether it says splits, by a column or by the folders of its paths.
    pub(super) fn says_splits(&self) -> bool {
        self.spec.split.is_some() || !self.splits.is_empty()
    }

    /// The folders whose images have several labels.
    pub(super) fn mixed(&self) -> Vec<&str> {
        let mixed = self.of_folders.iter().filter(|(_, labels)| labels.len() > 1);
        mixed.map(|(folder, _)| folder.as_str()).collect()
    }

    /// A label that the images of several of these folders have, each with no other, and those folders.
    pub(super) fn shared(&self, classes: &[String]) -> Option<(String, Vec<String>)> {
        let mut folders: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for class in classes {
            let own =
                self.of_folders.iter().filter(|(folder, _)| *folder == class || is_below(folder, class));
            let labels: BTreeSet<&String> = own.flat_map(|(_, labels)| labels).collect();
            if let ([label], true) = (&Vec::from_iter(labels)[..], self.labels.len() > 1) {
                folders.entry(label).or_default().push(class.clone());
            }
        }
        let (label, folders) = folders.into_iter().find(|(_, folders)| folders.len() > 1)?;
        Some((label.clone(), folders))
    }

    /// Says why its labels are not the classes of these folders: a folder has several, or several have one;
    /// or neither the name of the column nor its words say that it has classes.
    pub(super) fn differs(&self, classes: &[String]) -> Option<String> {
        let column = short(&self.spec.label);
        let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut is_by_name = true;
        for class in classes {
            let is_in = |folder: &str| {
                folder
                    .strip_prefix(class.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let own = self.of_folders.iter().filter(|(folder, _)| is_in(folder));
            let labels: BTreeSet<&str> = own.flat_map(|(_, labels)| labels).map(String::as_str).collect();
            if labels.len() > 1 {
                return Some(format!("its column {column} gives images of {class} several labels"));
            }
            let last = class.rsplit('/').next().unwrap_or_default();
            is_by_name &= labels.iter().all(|label| words(label) == words(last));
            for label in labels {
                folders.entry(label).or_default().insert(class);
            }
        }
        let shared = folders.into_iter().find(|(_, folders)| folders.len() > 1);
        match shared {
            Some((label, folders)) => Some(format!(
                "its column {column} has one label, {}, for images of {}",
                short(label),
                and(&Vec::from_iter(folders))
            )),
            None if is_by_name || may_be_label(&self.spec.label) => None,
            None => Some(format!("the name of its column {column} does not say that it has the classes")),
        }
    }

    /// An image whose folder is that of another split by its name, with that split and what its row says. In
    /// train alone, rows may say which images are val or test.
    pub(super) fn contradicts(&self, tree: &Folder) -> Option<(&str, Split, Split)> {
        let folders: BTreeSet<String> =
            tree.paths().iter().map(|path| nfc(folder_of(path)).into_owned()).collect();
        let names: Vec<Named> =
            folders.iter().flat_map(|folder| folder.split('/')).filter_map(named).collect();
        // A class may be called valid.
        let is_either = |name: &Named| matches!(name, Named::Either(_));
        let kinds: BTreeSet<Split> = names.iter().filter_map(|name| name.whole()).collect();
        if kinds.len() < 2 && names.iter().all(is_either) {
            return None;
        }
        let differs = |(image, says): (&'_ String, &'_ Option<Split>)| {
            let (says, split) = ((*says)?, folder_of(image).split('/').find_map(split_of)?);
            let is_drawn = split == Split::Train && !kinds.contains(&says);
            (split != says && !is_drawn).then_some((split, says))
        };
        let found = self.named.iter().filter_map(|(image, says)| Some((image, differs((image, says))?)));
        found.min().map(|(image, (split, says))| (image.as_str(), split, says))
    }
}

/// Finds out what a list says, whose column `path` has the paths of images below `folder`.
///
/// # Errors
/// What is not understood.
pub(super) fn understood(
    table: &Table,
    images: &Images,
    file: &str,
    (path, folder): (usize, Option<&str>),
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
    if let Some(at) = split {
        let none = rows.iter().filter(|row| row.split.is_empty()).count();
        if none > 0 {
            return Err(format!(
                "its column {} is empty in {} of {}, whose images would be left out: write train, val or \
                 test there, or remove the rows",
                short(&table.header[at]),
                none,
                count(rows.len(), "row")
            ));
        }
    }
    let splits = match split {
        Some(at) => splits_of_words(&rows, &table.header[at])?,
        None => splits_of_folders(&rows, file, folder.unwrap_or_default())?,
    };
    // Those of rows without an image, too: a class whose rows are all wrong is one, and its build says so.
    let labels = table.rows.iter().filter_map(|row| row.get(label)).filter(|label| !label.is_empty());
    let labels: BTreeSet<String> = labels.map(|label| nfc(label).into_owned()).collect();
    if let Some(wrong) = labels.iter().find(|label| check_label(label).is_err()) {
        return Err(format!("the label {:?} is not one line of text", short(wrong)));
    }
    let column = |at: usize| nfc(&table.header[at]).into_owned();
    let spec = ListSpec {
        file: file.to_owned(),
        images: folder.filter(|folder| !folder.is_empty()).unwrap_or(HERE).to_owned(),
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
    let is_read = |at: &usize| [Some(path), Some(label), split].contains(&Some(*at));
    let unread = (0..table.header.len()).filter(|at| !is_read(at)).map(column);
    let says = |row: &Row<'_>| split.and_then(|_| split_of(row.split));
    let notes = no_labels(&rows).into_iter().chain(joined(&labels)).collect();
    Ok(Listed {
        unread: unread.filter(|name| !name.is_empty()).collect(),
        named: rows.iter().map(|row| (row.image.to_owned(), says(row))).collect(),
        is_bare: folder.is_none(),
        of_folders: of_folders(&rows),
        spec,
        splits,
        labels,
        notes,
    })
}

/// The labels of the images in each folder.
fn of_folders(rows: &[Row<'_>]) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for Row { image, label, .. } in rows {
        labels.entry(folder_of(image)).or_default().insert(label);
    }
    let owned = |labels: HashSet<&str>| labels.into_iter().map(Into::into).collect();
    labels.into_iter().map(|(folder, labels)| (folder.to_owned(), owned(labels))).collect()
}

/// Says that labels may be those of images that have none.
fn no_labels(rows: &[Row<'_>]) -> Option<String> {
    const NONE: [&str; 12] =
        ["nan", "none", "null", "nil", "na", "n/a", "-", "?", "-1", "unknown", "unlabeled", "unlabelled"];
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for Row { label, .. } in rows.iter().filter(|row| NONE.contains(&row.label.to_lowercase().as_str())) {
        *found.entry(label).or_default() += 1;
    }
    let found: Vec<String> = found.into_iter().map(|(label, n)| format!("'{label}' ({n})")).collect();
    (!found.is_empty()).then(|| {
        format!(
            "the label {} may say that images have none, and becomes a class: to leave them out, remove its \
             [[class]] from the recipe",
            and(&found)
        )
    })
}

/// Whether a folder is in another.
fn is_below(folder: &str, above: &str) -> bool {
    folder.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// The folder that a path is in.
pub(super) fn folder_of(path: &str) -> &str {
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
    if let Some((split, one, other)) = names::rivals(words.iter().copied()) {
        return Err(format!(
            "its column {} says '{}' and '{}', which are both {split}: if one is another split, write train, \
             val or test; if not, write one word for both",
            short(column),
            short(one),
            short(other)
        ));
    }
    let split = |word: &str| match split_of(word) {
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
            Some(at) => match split_of(above[at]) {
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
    let last = |folder: &'_ String| folder.rsplit('/').next().unwrap_or_default().to_owned();
    let named: Vec<String> = folders.keys().map(last).collect();
    if let Some((split, one, other)) = names::rivals(named.iter().map(String::as_str)) {
        return Err(format!(
            "its paths are in folders {one} and {other}, which are both {split} by their names: add a column \
             split that says train, val or test"
        ));
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

/// Whether a label has the form of several: `cat|dog`, `['cat']`, and `cat,dog` beside `cat` and `dog`.
fn are_several(label: &str, all: &BTreeSet<&str>) -> bool {
    let is_in = |open, close| label.starts_with(open) && label.ends_with(close);
    let parts = label.split([',', '&', '+']).map(str::trim);
    is_in('[', ']')
        || is_in('{', '}')
        || label.contains(['|', ';'])
        || (label.contains([',', '&', '+']) && parts.into_iter().all(|part| all.contains(part)))
}

/// Tells of a label that is two others with a blank between: the image may have both.
fn joined(labels: &BTreeSet<String>) -> Option<String> {
    let is_joined =
        |label: &&String| label.contains(' ') && label.split(' ').all(|word| labels.contains(word));
    let label = labels.iter().find(is_joined)?;
    Some(format!(
        "the label '{}' is made of other labels, and becomes a class of its own: if its images have several, \
         give each one label",
        short(label)
    ))
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
    if let Some(several) = distinct.iter().find(|label| are_several(label, &distinct)) {
        return Err(format!(
            "its label '{}' may be several, and an image has one: give each image one label, without |, \
             ; or brackets",
            short(several)
        ));
    }
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
