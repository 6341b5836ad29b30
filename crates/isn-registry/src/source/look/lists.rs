//! Files that say the classes of images: lists, and annotations of a split. Nothing that may be meant in two
//! ways is guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::and;
use super::folder::Folder;
use super::names::{Named, named};
use crate::source::annotated::{Image, Names};
use crate::source::rows::{Rows, path_of};
use crate::source::{Listing, below, image_stem};
use isn_format::class::check_label;
use isn_format::error::count;
use isn_format::ledger;
use isn_format::source_spec::{HERE, ListSpec, nfc};
use isn_format::split::Split;

/// How many rows are looked at to find out what the columns of a file are.
const SAMPLE: usize = 100;
/// How many files are looked at.
const FILES: usize = 100;

/// Names of columns of paths, as [`plain`] has them, the most telling first.
const PATHS: [&str; 13] = [
    "path",
    "filepath",
    "filepaths",
    "imagepath",
    "imgpath",
    "filename",
    "imagename",
    "imgname",
    "file",
    "image",
    "img",
    "imageid",
    "id",
];

/// Names of columns of labels.
const LABELS: [&str; 27] = [
    "label",
    "labels",
    "class",
    "classes",
    "classname",
    "classlabel",
    "classid",
    "classindex",
    "category",
    "categoryname",
    "categoryid",
    "breed",
    "species",
    "variety",
    "diagnosis",
    "disease",
    "dx",
    "target",
    "targetname",
    "wnid",
    "synset",
    "labelid",
    "labelname",
    "labelindex",
    "tag",
    "y",
    "commonname",
];

/// Names of columns of splits.
const SPLITS: [&str; 8] = ["split", "splits", "subset", "set", "partition", "phase", "dataset", "usage"];

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
        let (mut all, mut right) = (0, 0);
        rows.each(|_, fields| {
            let image = path_of(fields[0]).ok().and_then(|path| names.find(&images, &path).ok());
            let is_class = fields.get(1).is_some_and(|word| classes.contains(&*nfc(word)));
            all += 1;
            right += usize::from(image.is_some() && is_class);
            // Most files are others.
            all < SAMPLE || right > 0
        });
        right > 0 && right * 10 >= (all - 1) * 9
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

/// The images of a source, by their paths in form C without the extension.
struct Images {
    paths: HashMap<String, Vec<String>>,
    /// The folders that paths may be below: those with images and all above them.
    folders: BTreeSet<String>,
}

impl Images {
    fn of(tree: &Folder) -> Images {
        let mut images = Images { paths: HashMap::new(), folders: BTreeSet::new() };
        for path in tree.paths() {
            let path = nfc(&path).into_owned();
            let mut above = path.as_str();
            while let Some((folder, _)) = above.rsplit_once('/') {
                if !images.folders.insert(folder.to_owned()) {
                    break;
                }
                above = folder;
            }
            images.paths.entry(image_stem(&path).unwrap_or(&path).to_owned()).or_default().push(path);
        }
        images.folders.insert(String::new());
        images
    }

    /// Returns the image that a row means by a path below `folder`.
    fn at(&self, folder: &str, written: &str) -> Option<&str> {
        let path = below(folder, &path_of(written).ok()?);
        let stem = image_stem(&path);
        let mut named = self.paths.get(stem.unwrap_or(&path))?.iter();
        match stem {
            Some(_) => named.find(|image| **image == path).map(String::as_str),
            None => named.next().map(String::as_str),
        }
    }

    /// How many images are in a folder and below it.
    fn below(&self, folder: &str) -> usize {
        let is_below = |path: &&String| {
            folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        self.paths.values().flatten().filter(is_below).count()
    }

    /// The folders below which the paths of nearly all of these are images.
    fn folders_of(&self, written: &[&str]) -> Vec<&str> {
        let is_it = |folder: &&str| {
            let found = written.iter().filter(|path| self.at(folder, path).is_some()).count();
            found > 0 && found * 10 >= written.len() * 9
        };
        self.folders.iter().map(String::as_str).filter(is_it).collect()
    }
}

/// The name of a column in lower case, without blanks and the like.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '.')).flat_map(char::to_lowercase).collect()
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

/// A file with a header.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(listing: &Listing<'_>, file: &str) -> Option<Table> {
        let mut rows = Vec::new();
        Rows::read(listing, file).ok()?.each(|_, fields| {
            rows.push(fields.iter().map(|field| (*field).to_owned()).collect());
            true
        });
        let header: Vec<String> = if rows.is_empty() { return None } else { rows.remove(0) };
        let is_ledger = [ledger::HEADER, ledger::OLD_HEADER].contains(&header.join(",").as_str());
        (!is_ledger && !rows.is_empty()).then_some(Table { header, rows })
    }

    /// The names of columns, for a message.
    fn named(&self, columns: &[usize]) -> String {
        and(&columns.iter().map(|at| self.header[*at].as_str()).collect::<Vec<_>>())
    }

    /// The first fields of a column.
    fn sample(&self, column: usize) -> Vec<&str> {
        let fields = self.rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
        fields.filter(|field| !field.is_empty()).take(SAMPLE).collect()
    }

    /// Finds the column whose fields are the paths of images.
    fn path(&self, images: &Images) -> Result<Option<usize>, String> {
        let is_path = |at: &usize| !images.folders_of(&self.sample(*at)).is_empty();
        let rank = |at: &usize| PATHS.iter().position(|known| plain(&self.header[*at]) == *known);
        let mut found: Vec<usize> = (0..self.header.len()).filter(is_path).collect();
        found.sort_by_key(|at| rank(at).unwrap_or(PATHS.len()));
        match found[..] {
            [] => Ok(None),
            [first, _, ..] if rank(&first).is_none() => {
                Err(format!("its columns {} all do: call the right one path", self.named(&found)))
            }
            [first, ..] => Ok(Some(first)),
        }
    }

    /// Finds the folder that the paths are below.
    fn folder<'i>(&self, images: &'i Images, path: usize) -> Result<&'i str, String> {
        let folders = images.folders_of(&self.sample(path));
        if folders.iter().any(|folder| images.at(folder, &self.header[path]).is_some()) {
            return Err(
                "its first line is that of an image: begin the file with a line of the names of its \
                        columns, such as path,label"
                    .into(),
            );
        }
        let as_many = |folder: &&&str| images.below(folder) == self.rows.len();
        match (&folders[..], &folders.iter().filter(as_many).collect::<Vec<_>>()[..]) {
            ([one], _) => Ok(one),
            (_, [one]) => Ok(one),
            _ => {
                Err(format!("those of {} all have such names: put the folder into its paths", and(&folders)))
            }
        }
    }

    /// Finds the columns of labels and of splits.
    fn label_and_split(&self, path: usize) -> Result<(usize, Option<usize>), String> {
        let is_one_of = |names: &[&str], at: usize| names.contains(&plain(&self.header[at]).as_str());
        let is_other = |at: &usize| *at != path && !self.header[*at].is_empty();
        let (splits, others): (Vec<usize>, Vec<usize>) =
            (0..self.header.len()).filter(is_other).partition(|at| is_one_of(&SPLITS, *at));
        if splits.len() > 1 {
            return Err(format!("its columns {} may each be the split: keep one", self.named(&splits)));
        }
        let known: Vec<usize> = others.iter().copied().filter(|at| is_one_of(&LABELS, *at)).collect();
        let label = match (&known[..], &others[..]) {
            ([one], _) | ([], [one]) => *one,
            ([], []) => return Err("no column says their classes: add one, label".into()),
            ([], _) => {
                let others = self.named(&others);
                return Err(format!("which of its columns {others} is the class? Call that one label"));
            }
            (several, _) if self.say_one_thing(several) => {
                // Of a number and a name, the name.
                let is_name =
                    |at: &&usize| self.sample(**at).iter().any(|field| field.parse::<f64>().is_err());
                several.iter().find(is_name).copied().unwrap_or(several[0])
            }
            (several, _) => {
                let several = self.named(several);
                return Err(format!("its columns {several} may each be the class: keep one of them"));
            }
        };
        // `is_test`: what isn does not read must not make test images train images.
        let says_split = |at: &&usize| **at != label && named(&self.header[**at]).is_some();
        match others.iter().find(says_split) {
            Some(at) => Err(format!(
                "its column {} may say the splits, which isn does not read: add a column split that says train, \
                 val or test",
                self.header[*at]
            )),
            None => Ok((label, splits.first().copied())),
        }
    }

    /// Whether each field of one of these columns goes with one of each other.
    fn say_one_thing(&self, columns: &[usize]) -> bool {
        let distinct = |columns: &[usize]| {
            let fields =
                |row: &'_ Vec<String>| columns.iter().map(|at| row.get(*at).cloned()).collect::<Vec<_>>();
            self.rows.iter().map(fields).collect::<HashSet<_>>().len()
        };
        columns.iter().all(|at| distinct(&[*at]) == distinct(columns))
    }
}

/// The words of each split.
fn splits_of_words(rows: &[Row<'_>], column: &str) -> Result<Vec<(Split, String)>, String> {
    let words: BTreeSet<&str> = rows.iter().map(|row| row.split).filter(|word| !word.is_empty()).collect();
    let split = |word: &str| match named(word).and_then(Named::whole) {
        Some(split) => Ok((split, nfc(word).into_owned())),
        None => Err(format!(
            "its column {column} says '{word}', which isn does not know: write train, val or test"
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
    if let Some(of) = folder.split('/').chain([stem]).filter_map(split).find(|split| *split != Split::Train) {
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
                "gives {image} two labels, {other} and {label}: keep one row for each image"
            ));
        }
        if !label.is_empty() && check_label(label).is_err() {
            return Err(format!("the label {label:?} of {image} is not one line of text"));
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
