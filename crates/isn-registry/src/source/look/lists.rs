//! Files that say the classes of images: lists, and annotations of a split. Nothing that may be meant in two
//! ways is guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Read;

use super::and;
use super::folder::Folder;
use super::names::{Named, named, rest};
use super::table::{Images, Table, is_label};
use crate::source::annotated::{Image, Names};
use crate::source::rows::{Rows, path_of, short};
use crate::source::{Listing, image_stem, join};
use isn_format::class::check_label;
use isn_format::error::count;
use isn_format::source_spec::{HERE, ListSpec, check_folder, nfc};
use isn_format::split::Split;

/// After how many rows without an image and its class a file is none of annotations.
const UNKNOWN: usize = 10_000;
/// The extensions of lists.
const TABLES: [&str; 2] = ["csv", "tsv"];
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
    /// Its columns that are not read.
    pub(super) unread: Vec<String>,
    /// The images that it names, with the split that its column says.
    pub(super) named: HashMap<String, Option<Split>>,
    /// Whether it names them without their folders, which are several.
    pub(super) is_bare: bool,
    /// The folders whose images have several labels, and how many folders there are.
    pub(super) mixed: (Vec<String>, usize),
    /// What a person should know, one line each.
    pub(super) notes: Vec<String>,
}

/// Finds the list of the images in `tree`, if there is one.
///
/// # Errors
/// What was understood of a list, and what a person has to do.
pub(super) fn find(listing: &Listing<'_>, tree: &Folder) -> Result<Option<Listed>, Doubt> {
    let images = Images::of(tree);
    let (mut found, mut doubts) = (Vec::new(), Vec::new());
    for path in tree.texts(&TABLES).into_iter().take(FILES) {
        match read(listing, &images, path) {
            Ok(Some(listed)) => found.push(listed),
            Ok(None) => {}
            Err(doubt) => doubts.push(doubt),
        }
    }
    let files: Vec<&str> = found.iter().map(|listed: &Listed| listed.spec.file.as_str()).collect();
    doubts.sort_by_key(|doubt: &Doubt| doubt.says_nothing);
    match &found[..] {
        [] => doubts.into_iter().next().map_or(Ok(None), Err),
        [listed] => {
            let is_apart = |doubt: &Doubt| doubt.named.iter().all(|image| !listed.named.contains_key(image));
            match doubts.iter().find(|doubt| !(doubt.says_nothing && is_apart(doubt))) {
                Some(doubt) => Err(Doubt {
                    why: format!(
                        "{}; or, if {file} says all, move the other file away; if {file} says a part, put the rows \
                         into one file, with a column split that says train, val or test",
                        doubt.why,
                        file = files[0],
                    ),
                    says_splits: doubt.says_splits || listed.says_splits(),
                    ..doubt.clone()
                }),
                // An example of a submission changes nothing.
                None => {
                    let others = doubts.iter().map(|doubt| {
                        format!("{} names images that {} does not, and is not read", doubt.file, files[0])
                    });
                    Ok(Some(Listed { notes: others.collect(), ..listed.clone() }))
                }
            }
        }
        _ => Err(Doubt {
            file: files[0].to_owned(),
            why: format!(
                "there are several lists of images, {}, and a recipe has one: put their rows into one file, with \
                 a column split that says train, val or test; or move away those that are not it",
                and(&files)
            ),
            named: HashSet::new(),
            says_nothing: false,
            says_splits: found.iter().any(Listed::says_splits)
                || doubts.iter().any(|doubt| doubt.says_splits),
        }),
    }
}

impl Listed {
    /// Whether it says splits, by a column or by the folders of its paths.
    pub(super) fn says_splits(&self) -> bool {
        self.spec.split.is_some() || !self.splits.is_empty()
    }
}

/// Finds the file that says the classes of the images in `place`, which is a split without folders of
/// classes.
///
/// # Errors
/// That there are several, or that one has several columns that may be the class.
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
    let mut found = Vec::new();
    for path in place.texts(&kinds).into_iter().chain(beside).take(FILES) {
        if check_folder(path).is_ok() && annotates(listing, path, (&names, &images), classes)? {
            found.push(path);
        }
    }
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

/// Whether the first field of each row is an image, and the second its class.
///
/// # Errors
/// That another column may be the class.
fn annotates(
    listing: &Listing<'_>,
    file: &str,
    (names, images): (&Names, &[Image]),
    classes: &BTreeSet<String>,
) -> Result<bool, String> {
    let Ok(rows) = Rows::read(listing, file) else { return Ok(false) };
    let is_class = |word: &str| classes.contains(&*nfc(word));
    let (mut all, mut known, mut right, mut wrong) = (0, 0, 0, 0);
    let mut header: Vec<String> = Vec::new();
    // Other columns whose fields are classes, too, and whether they have been others than the second.
    let mut others: Option<BTreeMap<usize, bool>> = None;
    rows.each(|_, fields| {
        let class = fields.get(1).copied().filter(|word| is_class(word));
        let image = path_of(fields[0]).ok().and_then(|path| names.find(images, &path).ok());
        if all == 0 && image.is_none() && class.is_none() {
            header = fields.iter().map(|field| (*field).to_owned()).collect();
        }
        all += 1;
        known += usize::from(class.is_some() || image.is_some());
        right += usize::from(class.is_some() && image.is_some());
        wrong += usize::from(class.is_none() && image.is_some());
        if image.is_some() {
            let others = others.get_or_insert_with(|| (2..fields.len()).map(|at| (at, false)).collect());
            others.retain(|at, differs| {
                *differs |= fields.get(*at) != fields.get(1);
                fields.get(*at).is_some_and(|word| is_class(word))
            });
        }
        // Most files are others.
        all < UNKNOWN || right > 0
    });
    let is_label = |at: usize| header.get(at).is_some_and(|name| is_label(name));
    let is_one = right > 0 && wrong == 0 && right * 10 >= known * 9;
    let same = others.into_iter().flatten().filter(|(_, differs)| *differs).map(|(at, _)| at);
    let named = (2..header.len()).filter(|at| is_label(*at) && !is_label(1));
    let rivals: BTreeSet<usize> = same.chain(named).collect();
    let is_guess = is_guess(file) || header.get(1).is_some_and(|name| is_guess(name));
    match rivals.first() {
        _ if is_one && is_guess => Err(format!(
            "is only partly clear: by its name, {file} or its second column has the guesses of a model: move it \
             away, or rename it"
        )),
        Some(at) if is_one || (right > 0 && is_label(*at)) => Err(format!(
            "is only partly clear: the class of an image is the second field of each row of {file}, and the field \
             {} may be it as well{}: remove that column, or put the class second",
            at + 1,
            header.get(*at).map(|name| format!(" ({})", short(name))).unwrap_or_default()
        )),
        _ => Ok(is_one),
    }
}

/// Whether a file may be a list, by its extension.
pub(super) fn is_table(path: &str) -> bool {
    is_text(path, &TABLES)
}

/// Says why a file is no list: what its second row is.
pub(super) fn why_not(listing: &Listing<'_>, tree: &Folder, file: &str) -> String {
    let rows = match Rows::read(listing, file) {
        Ok(rows) => rows,
        Err(error) => return error.to_string(),
    };
    let mut second = None;
    rows.each(|line, fields| {
        second = (line > 1).then(|| (line, fields.iter().map(|field| short(field)).collect::<Vec<_>>()));
        second.is_none()
    });
    let image = tree.paths().into_iter().next().unwrap_or_default();
    match second {
        Some((line, fields)) => {
            let n = count(fields.len(), "field");
            let fields: Vec<String> = fields.into_iter().map(|field| format!("'{field}'")).collect();
            format!(
                "the {n} of line {line}: {}; none is the path of an image, such as {image}, or most rows have none",
                fields.join(", ")
            )
        }
        None => "it has one row".into(),
    }
}

/// How many images are looked for in other files, and in how much of one, in bytes.
const IMAGES: usize = 50;
const HEAD: u64 = 1 << 20;

/// A file that is no list, and names several of the images.
pub(super) fn names_images(listing: &Listing<'_>, tree: &Folder) -> Option<String> {
    let images: Vec<String> = tree.paths().into_iter().take(IMAGES).collect();
    let names: Vec<&str> =
        images.iter().map(|path| path.rsplit('/').next().unwrap_or(path)).map(long_stem).collect();
    let names: Vec<String> = names.into_iter().map(str::to_lowercase).collect();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let all = Images::of(tree);
    // What is understood of a list has been said.
    let is_no_list = |path: &&str| !is_table(path) || matches!(read(listing, &all, path), Ok(None));
    let kinds = ["csv", "tsv", "txt", "lst", "json", "jsonl", "ndjson", "xml", "yaml", "yml"];
    for path in tree.texts(&kinds).into_iter().filter(is_no_list) {
        let mut head = Vec::new();
        let read =
            File::open(join(listing.root, path)).and_then(|file| file.take(HEAD).read_to_end(&mut head));
        // UTF-16 has zeros.
        head.retain(|byte| *byte != 0);
        let text = String::from_utf8_lossy(&head).to_lowercase();
        let found = names.iter().map(String::as_str).filter(|name| read.is_ok() && text.contains(name));
        named.extend(found);
        if named.len() > 1 {
            return Some(path.to_owned());
        }
    }
    None
}

/// The name of an image without its extension, if that is long enough to be found in a text.
fn long_stem(name: &str) -> &str {
    image_stem(name).filter(|stem| stem.len() > 5).unwrap_or(name)
}

/// A file that may say the classes of images, whose format isn does not read; or one beside an image that has
/// its name.
pub(super) fn unread(tree: &Folder) -> Option<String> {
    let tables = ["xlsx", "xls", "ods", "npy", "npz", "mat", "parquet", "pkl", "h5", "gz", "zip"];
    if let Some(file) = tree.texts(&tables).first() {
        return Some((*file).to_owned());
    }
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let images: HashSet<String> = tree
        .paths()
        .iter()
        .map(|path| name(path))
        .filter_map(|name| Some(image_stem(&name)?.into()))
        .collect();
    let beside = tree.texts(&["txt", "json", "xml"]).into_iter();
    let is_one = |path: &&str| name(path).rsplit_once('.').is_some_and(|(stem, _)| images.contains(stem));
    beside.filter(is_one).nth(1).map(Into::into)
}

/// Whether a file has one of these extensions, in any case.
pub(super) fn is_text(path: &str, ends: &[&str]) -> bool {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    ends.iter().any(|known| end.eq_ignore_ascii_case(known))
}

/// What is not understood of a file that names images.
#[derive(Clone)]
pub(super) struct Doubt {
    pub(super) file: String,
    pub(super) why: String,
    /// Those images.
    named: HashSet<String>,
    /// Whether it has no labels, or by its name the guesses of a model.
    says_nothing: bool,
    /// Whether it says splits, or may.
    pub(super) says_splits: bool,
}

/// Whether a file has the guesses of a model, by its name.
fn is_guess(file: &str) -> bool {
    const GUESSES: [&str; 9] = [
        "submission",
        "submissions",
        "pred",
        "preds",
        "predicted",
        "prediction",
        "predictions",
        "guess",
        "nearest",
    ];
    rest(file.rsplit('/').next().unwrap_or(file)).iter().any(|word| GUESSES.contains(&word.as_str()))
}

/// Reads a file, and the images that it names; `None` if it does not name any.
///
/// # Errors
/// What is not understood of a file that does.
fn read(listing: &Listing<'_>, images: &Images, file: &str) -> Result<Option<Listed>, Doubt> {
    let Some(table) = Table::read(listing, file) else { return Ok(None) };
    let doubt = |why: String, named: HashSet<String>, path: Option<usize>| Doubt {
        file: file.to_owned(),
        why: format!("{file} names images, but {why}"),
        named,
        says_nothing: is_guess(file) || table.header.len() == 1,
        says_splits: table.may_say_splits(path),
    };
    let all = || images.paths.values().flatten().cloned().collect();
    let Some(path) = table.path(images).map_err(|why| doubt(why, all(), None))? else { return Ok(None) };
    let folder = table.folder(images, path).map_err(|why| doubt(why, all(), Some(path)))?;
    let listed = match is_guess(file) {
        true => Err("by its name it has the guesses of a model, and no labels: move it away".into()),
        false => understood(&table, images, file, (path, folder)),
    };
    listed.map(Some).map_err(|why| {
        let image = |row: &Vec<String>| images.at(folder, row.get(path)?).map(Into::into);
        doubt(why, table.rows.iter().filter_map(image).collect(), Some(path))
    })
}

/// Finds out what a list says, whose column `path` has the paths of images below `folder`.
///
/// # Errors
/// What is not understood.
fn understood(
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
    let says = |row: &Row<'_>| split.and_then(|_| named(row.split)).and_then(Named::whole);
    Ok(Listed {
        unread: unread.filter(|name| !name.is_empty()).collect(),
        named: rows.iter().map(|row| (row.image.to_owned(), says(row))).collect(),
        is_bare: folder.is_none(),
        mixed: mixed(&rows),
        spec,
        splits,
        labels,
        notes: Vec::new(),
    })
}

/// Finds the folders whose images have several labels, and how many folders there are.
fn mixed(rows: &[Row<'_>]) -> (Vec<String>, usize) {
    let mut labels: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for Row { image, label, .. } in rows {
        labels.entry(folder_of(image)).or_default().insert(label);
    }
    let all = labels.len();
    labels.retain(|_, labels| labels.len() > 1);
    (labels.into_keys().map(Into::into).collect(), all)
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
