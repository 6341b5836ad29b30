//! A list of images: a CSV file in the source, with a column of paths, one of labels and perhaps one of
//! splits. Images that it does not name are not part of the source.

use std::collections::{HashMap, HashSet};

use super::listing::{Listing, below, image_stem};
use super::rows::{Findings, Rows, check_field, path_of, short, visible, words};
use super::{Absent, SourceLayout};
use isn_format::class::{Class, ClassId};
use isn_format::source_spec::{ListSpec, SPLIT_COLUMN, SourceSpec, nfc, segments};
use isn_format::split::Split;

mod folders;
mod perhaps;

use folders::{Folders, Lost};
use perhaps::Perhaps;

/// Where the fields of a row are.
struct Columns {
    all: usize,
    path: usize,
    label: usize,
    split: Option<usize>,
    /// The names of all columns.
    names: Vec<String>,
}

impl Columns {
    /// Finds the columns that a recipe names in the header of its list.
    ///
    /// # Errors
    /// What is missing, as a predicate of the file.
    fn find(list: &ListSpec, header: &[&str]) -> Result<Columns, String> {
        let at = |name: &str| header.iter().position(|column| nfc(column) == name);
        let need = |key: &str, name: &str| {
            if header.iter().filter(|column| nfc(column) == name).count() > 1 {
                return Err(format!("has several columns {name}: rename those that are not the {key}"));
            }
            at(name).ok_or_else(|| {
                format!(
                    "has no column {name}, but {}: name its columns in the recipe, [source] columns = {{ {key} = … }}",
                    short(&header.join(", "))
                )
            })
        };
        let split = match &list.split {
            Some(name) => Some(need("split", name)?),
            None => at(SPLIT_COLUMN),
        };
        let (path, label) = (need("path", &list.path)?, need("label", &list.label)?);
        let names = header.iter().map(|name| short(&nfc(name))).collect();
        Ok(Columns { all: header.len(), path, label, split, names })
    }

    /// Returns the columns that are not read, and their fields in a row.
    fn unread<'f>(&self, fields: &'f [&'f str]) -> impl Iterator<Item = (&str, &'f str)> {
        let all = self.names.iter().map(String::as_str).zip(fields.iter().copied()).enumerate();
        let read = [Some(self.path), Some(self.label), self.split];
        all.filter(move |(at, _)| !read.contains(&Some(*at))).map(|(_, column)| column)
    }
}

const IN_NO_FOLDER: &str = "it is in no folder of a split";

/// The splits of a list.
enum Splits<'s> {
    /// By the words in a column.
    Words(HashMap<String, Split>),
    /// By the folders that paths begin with; with whether the recipe names them.
    Folders(Vec<(Vec<&'s str>, Split)>, bool),
}

impl Splits<'_> {
    /// Refuses folders that are in one another: their images would be in both.
    ///
    /// # Errors
    /// Which they are, as a predicate of the list.
    fn check(&self) -> Result<(), String> {
        let Splits::Folders(folders, true) = self else { return Ok(()) };
        let is_in = |inner: &[&str], outer: &[&str]| {
            outer.len() <= inner.len() && outer.iter().zip(inner).all(|(a, b)| nfc(a) == nfc(b))
        };
        for (at, (outer, split)) in folders.iter().enumerate() {
            let mut others = folders.iter().enumerate().filter(|(other, _)| *other != at);
            if let Some((_, (inner, other))) = others.find(|(_, (inner, _))| is_in(inner, outer)) {
                let shown = |folder: &[&str]| if folder.is_empty() { ".".into() } else { folder.join("/") };
                return Err(format!(
                    "has no column of splits, and in the recipe the folder '{}' of {other} is in '{}' of {split}: \
                     name folders that are not in one another",
                    shown(inner),
                    shown(outer)
                ));
            }
        }
        Ok(())
    }

    /// The word of the recipe that says the split of the image `path`.
    fn word_of(&self, path: &str, word: &str) -> Option<String> {
        match self {
            Splits::Words(_) => Some(nfc(word).into_owned()),
            Splits::Folders(folders, _) => {
                let folder = in_folder(folders, path)?.0.join("/");
                Some(nfc(&folder).into_owned())
            }
        }
    }

    /// Returns the split of the image `path`, if it is in one, and its source id with its extension.
    ///
    /// # Errors
    /// Why the image is in no split.
    fn of(&self, path: &str, word: &str) -> Result<(Split, String), String> {
        match self {
            Splits::Words(words) => match words.get(&*nfc(word)) {
                Some(split) => Ok((*split, below(split.as_str(), path))),
                None if word.is_empty() => Err("it has no split".into()),
                None => Err(format!("its split '{}' is none of the recipe's", visible(word))),
            },
            Splits::Folders(folders, is_given) => {
                let parts: Vec<&str> = path.split('/').collect();
                match in_folder(folders, path) {
                    Some((folder, split)) => {
                        Ok((*split, below(split.as_str(), &parts[folder.len()..].join("/"))))
                    }
                    None if *is_given => Err(IN_NO_FOLDER.into()),
                    None => Ok((Split::Train, path.into())),
                }
            }
        }
    }
}

/// The folder of a split that a path begins with.
fn in_folder<'f, 's>(folders: &'f [(Vec<&'s str>, Split)], path: &str) -> Option<&'f (Vec<&'s str>, Split)> {
    let parts: Vec<&str> = path.split('/').collect();
    folders.iter().find(|(folder, _)| {
        folder.len() < parts.len() && folder.iter().zip(&parts).all(|(a, b)| nfc(a) == *b)
    })
}

pub(super) fn list(listing: &mut Listing<'_>, spec: &SourceSpec, classes: &[Class]) {
    listing.layout = SourceLayout::List;
    let Some(list) = &spec.list else { return listing.problem("the recipe names no list".into()) };
    listing.lists.push(list.file.clone());
    let rows = match Rows::read(listing, &list.file) {
        Ok(rows) => rows,
        Err(error) => return listing.problem_of(&error),
    };
    let words = words(spec, classes);
    let mut reading = Reading {
        listing,
        spec,
        words,
        images: segments(&list.images),
        findings: Findings::new(&list.file),
        folders: Folders::default(),
        said: HashMap::new(),
        seen: HashSet::new(),
        used: HashSet::new(),
        unsplit: HashMap::new(),
        split_words: HashSet::new(),
        perhaps: Perhaps::default(),
    };
    let mut found: Option<Result<(Columns, Splits<'_>), String>> = None;
    let open = rows.each(|line, fields| {
        match &found {
            None => {
                let columns = Columns::find(list, fields);
                found = Some(columns.and_then(|columns| {
                    let splits = splits(spec, columns.split.is_some());
                    splits.check()?;
                    Ok((columns, splits))
                }));
            }
            Some(Ok((columns, splits))) => match rows.swallowed(fields) {
                Some(why) => reading.findings.wrong(reading.listing, line, why),
                None => reading.row(columns, splits, line, fields),
            },
            Some(Err(_)) => {}
        }
        !matches!(found, Some(Err(_)))
    });
    if let Some(line) = open {
        reading.findings.wrong(reading.listing, line, "a quote is never closed");
    }
    match found {
        Some(Ok((_, splits))) => {
            reading.unused(&splits);
            reading.finish(classes);
        }
        Some(Err(why)) => listing.problem(format!("{} {why}", list.file)),
        None => listing.problem(format!("{} is empty: its first line must name its columns", list.file)),
    }
}

fn splits(spec: &SourceSpec, has_column: bool) -> Splits<'_> {
    let named = spec.split_folders().into_iter();
    match has_column {
        true => Splits::Words(named.map(|(split, word)| (nfc(word).into_owned(), split)).collect()),
        false => Splits::Folders(
            named.map(|(split, folder)| (segments(folder), split)).collect(),
            spec.splits.is_some(),
        ),
    }
}

/// The state while the rows of a list are read.
struct Reading<'l, 'r, 's> {
    listing: &'l mut Listing<'r>,
    spec: &'s SourceSpec,
    words: HashMap<String, &'s ClassId>,
    /// The names on the way to the folder that paths are below.
    images: Vec<&'s str>,
    findings: Findings<'s>,
    folders: Folders,
    /// The line of the first row about each file that was found, and what it says.
    said: HashMap<String, (usize, String)>,
    /// The classes that have a row.
    seen: HashSet<&'s ClassId>,
    /// The words of classes that a row has.
    used: HashSet<String>,
    /// Why the first row of a class is in no split.
    unsplit: HashMap<&'s ClassId, String>,
    /// The words or folders of splits that a row has.
    split_words: HashSet<String>,
    perhaps: Perhaps,
}

impl Reading<'_, '_, '_> {
    fn row(&mut self, columns: &Columns, splits: &Splits<'_>, line: usize, fields: &[&str]) {
        if fields.len() != columns.all {
            let (found, all) = (fields.len(), columns.all);
            let why = format!("has {found} of {all} fields (a text with a comma goes in \"quotes\")");
            return self.findings.wrong(self.listing, line, why);
        }
        let all = [("path", Some(columns.path)), ("label", Some(columns.label)), ("split", columns.split)];
        for (what, field) in all.into_iter().filter_map(|(what, at)| Some((what, fields[at?]))) {
            if let Err(why) = check_field(field) {
                let why = format!("the {what} {:?} {why}", short(field));
                return self.findings.wrong(self.listing, line, why);
            }
        }
        let (written, label) = (fields[columns.path], nfc(fields[columns.label]));
        let word = columns.split.map_or("", |at| fields[at]);
        let path = match path_of(written) {
            Ok(path) => path,
            Err(why) => {
                let why = format!("the path {written:?} {why}");
                return self.findings.wrong(self.listing, line, why);
            }
        };
        let class = self.words.get(&*label).copied();
        if class.is_some() && !self.used.contains(&*label) {
            self.used.insert(label.clone().into_owned());
        }
        let split = splits.of(&path, word);
        if self.spec.splits.is_some() {
            self.split_words.extend(splits.word_of(&path, word));
        }
        let file = self.folders.find(self.listing, self.spec, &self.images, &path);
        if let Ok(file) = &file {
            let says = match columns.split {
                Some(_) => format!("the label '{}' and the split '{}'", visible(&label), visible(word)),
                None => format!("the label '{}'", visible(&label)),
            };
            if let Some((first, said)) = self.said.get(file) {
                let first = (*first, said.as_str());
                return self.findings.again(self.listing, file, first, (line, &says));
            }
            self.said.insert(file.clone(), (line, says));
        }
        let Some(class) = class else { return self.findings.no_class(&label, file.is_ok()) };
        let (split, id) = match split {
            Ok(found) => found,
            Err(why) => {
                self.unsplit.entry(class).or_insert_with(|| why.clone());
                return self.findings.no_split(why, file.is_ok());
            }
        };
        self.seen.insert(class);
        let id = image_stem(&id).unwrap_or(&id);
        if let Err(why) = self.spec.check_id(id) {
            return self.findings.wrong(self.listing, line, format!("{path}: the name {why}: rename it"));
        }
        match file {
            Ok(file) => {
                if matches!(splits, Splits::Folders(_, false)) && split == Split::Train {
                    self.perhaps.look(columns.unread(fields), &path, &label);
                }
                if let Some(found) = self.listing.find(file) {
                    self.listing.add_found(found, id.to_owned(), class, split);
                }
            }
            Err(Lost::Missing(why)) => {
                let image = Absent { id: id.to_owned(), class: class.clone(), split };
                self.findings.absent(self.listing, line, why, image);
            }
            Err(Lost::Wrong(why)) => self.findings.wrong(self.listing, line, why),
        }
    }

    /// Tells which words or folders of splits no row has.
    fn unused(&mut self, splits: &Splits<'_>) {
        let file = self.findings.file();
        for (split, word) in self.spec.splits.iter().flatten() {
            let place = segments(word).join("/");
            let (known, what) = match splits {
                Splits::Words(_) => (nfc(word), format!("the split '{}'", visible(word))),
                Splits::Folders(..) => (nfc(&place), format!("an image in the folder '{}'", visible(word))),
            };
            if !self.split_words.contains(&*known) {
                self.listing
                    .warnings
                    .push(format!("{file} has no row with {what}, which the recipe names as {split}"));
            }
        }
    }

    /// Tells what was found, and what no row names.
    fn finish(self, classes: &[Class]) {
        let Reading { listing, spec, findings, folders, said, seen, used, unsplit, perhaps, .. } = self;
        findings.finish(listing);
        let file = spec.list.as_ref().map(|list| list.file.as_str()).unwrap_or_default();
        perhaps.tell(listing, file);
        for Class { id, .. } in classes {
            let words = spec.folders_of(id);
            match unsplit.get(id) {
                _ if seen.contains(id) => {
                    for word in words.iter().filter(|word| !used.contains(&*nfc(word))) {
                        let word = visible(word);
                        listing.warnings.push(format!(
                            "{file} has no row with the label '{word}', which is one of class {id}"
                        ));
                    }
                }
                Some(why) => {
                    let what = if why == IN_NO_FOLDER { "folders" } else { "words" };
                    listing.problem(format!(
                        "{file} has no image of class {id} in a split ({why}): name the {what} of the splits in \
                         the recipe, [source] splits = {{ train = [\"…\"] }}"
                    ));
                }
                None => {
                    let words = words.join("', nor '");
                    listing.problem(format!("{file} has no row with the label '{words}' (class {id})"));
                }
            }
        }
        folders.left_out(listing, file, |path| said.contains_key(path));
    }
}

#[cfg(test)]
mod tests {
    use isn_format::source_kind::SourceKind;

    use super::*;

    #[test]
    fn ids_are_the_golden_vector() {
        let mut reader = csv::Reader::from_reader(&include_bytes!("../../../../tests/vectors/list.csv")[..]);
        let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 23);
        let mut spec = SourceSpec::new(SourceKind::List);
        let named = [(Split::Train, "Training"), (Split::Val, "old/dev"), (Split::Test, "Testing")];
        for row in &rows {
            spec.splits = (&row[0] != "path").then(|| named.map(|(split, name)| (split, name.into())).into());
            let splits = splits(&spec, &row[0] == "column");
            let found = splits.of(&path_of(&row[1]).unwrap(), &row[2]).ok();
            let id = found.as_ref().map_or("", |(_, id)| image_stem(id).unwrap_or(id));
            let split = found.as_ref().map_or("", |(split, _)| split.as_str());
            assert_eq!((split, id), (&row[3], &row[4]), "{row:?}");
            // What an id tells of its split.
            assert!(split.is_empty() || SourceKind::List.origin(id).as_str() == split, "{row:?}");
        }
    }
}
