//! A list of images: a CSV file in the source, with a column of paths, one of labels and perhaps one of
//! splits. Images that it does not name are not part of the source.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::listing::{Listing, below, image_stem, told};
use super::rows::{Findings, Rows, check_field, path_of, short, words};
use super::{SourceLayout, join};
use isn_format::class::{Class, ClassId};
use isn_format::source_spec::{ListSpec, SPLIT_COLUMN, SourceSpec, nfc, segments};
use isn_format::split::Split;

/// Where the fields of a row are.
struct Columns {
    all: usize,
    path: usize,
    label: usize,
    split: Option<usize>,
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
        Ok(Columns { all: header.len(), path, label, split })
    }
}

/// The splits of a list.
enum Splits<'s> {
    /// By the words in a column.
    Words(HashMap<String, Split>),
    /// By the folders that paths begin with; with whether the recipe names them.
    Folders(Vec<(Vec<&'s str>, Split)>, bool),
}

impl Splits<'_> {
    /// Returns the split of the image `path`, if it is in one, and its source id with its extension.
    ///
    /// # Errors
    /// Why the image is in no split.
    fn of(&self, path: &str, word: &str) -> Result<(Split, String), String> {
        match self {
            Splits::Words(words) => match words.get(&*nfc(word)) {
                Some(split) => Ok((*split, below(split.as_str(), path))),
                None if word.is_empty() => Err("it has no split".into()),
                None => Err(format!("its split '{word}' is none of the recipe's")),
            },
            Splits::Folders(folders, is_given) => {
                let parts: Vec<&str> = path.split('/').collect();
                let found = folders.iter().find(|(folder, _)| {
                    folder.len() < parts.len() && folder.iter().zip(&parts).all(|(a, b)| nfc(a) == *b)
                });
                match found {
                    Some((folder, split)) => {
                        Ok((*split, below(split.as_str(), &parts[folder.len()..].join("/"))))
                    }
                    None if *is_given => Err("it is in no folder of a split".into()),
                    None => Ok((Split::Train, path.into())),
                }
            }
        }
    }
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
    };
    let mut found: Option<Result<(Columns, Splits<'_>), String>> = None;
    let open = rows.each(|line, fields| {
        match &found {
            None => {
                let columns = Columns::find(list, fields);
                found = Some(columns.map(|columns| {
                    let splits = splits(spec, columns.split.is_some());
                    (columns, splits)
                }));
            }
            Some(Ok((columns, splits))) => reading.row(columns, splits, line, fields),
            Some(Err(_)) => {}
        }
        !matches!(found, Some(Err(_)))
    });
    if let Some(line) = open {
        reading.findings.wrong(reading.listing, line, "a quote is never closed");
    }
    match found {
        Some(Ok(_)) => reading.finish(classes),
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
        let split = splits.of(&path, word);
        let file = self.folders.find(self.listing, self.spec, &self.images, &path);
        if let Ok(file) = &file {
            let says = match columns.split {
                Some(_) => format!("the label '{label}' and the split '{word}'"),
                None => format!("the label '{label}'"),
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
            Err(why) => return self.findings.no_split(why, file.is_ok()),
        };
        self.seen.insert(class);
        let id = image_stem(&id).unwrap_or(&id);
        if let Err(why) = self.spec.check_id(id) {
            return self.findings.wrong(self.listing, line, format!("{path}: the name {why}: rename it"));
        }
        match file {
            Ok(file) => {
                if let Some(found) = self.listing.find(file) {
                    self.listing.add_found(found, id.to_owned(), class, split);
                }
            }
            Err(why) => self.findings.wrong(self.listing, line, why),
        }
    }

    /// Tells what was found, and what no row names.
    fn finish(self, classes: &[Class]) {
        let Reading { listing, spec, findings, folders, said, seen, .. } = self;
        findings.finish(listing);
        let file = spec.list.as_ref().map(|list| list.file.as_str()).unwrap_or_default();
        for Class { id, .. } in classes.iter().filter(|class| !seen.contains(&class.id)) {
            let words = spec.folders_of(id).join("', nor '");
            listing.problem(format!("{file} has no row with the label '{words}' (class {id})"));
        }
        folders.left_out(listing, file, |path| said.contains_key(path));
    }
}

/// The folders that were looked into, by their paths.
#[derive(Default)]
struct Folders(BTreeMap<String, Folder>);

/// The names in a folder.
struct Folder {
    /// Folders, by their names in form C.
    folders: HashMap<String, Vec<String>>,
    /// Images, by their names in form C without the extension.
    images: HashMap<String, Vec<String>>,
    others: Vec<String>,
}

impl Folder {
    fn read(listing: &mut Listing<'_>, spec: &SourceSpec, path: &str) -> Folder {
        let mut folder = Folder { folders: HashMap::new(), images: HashMap::new(), others: Vec::new() };
        for entry in listing.entries(path) {
            let stem = image_stem(&entry.name).map(|stem| spec.spelled(stem).into_owned());
            match (entry.is_dir, stem) {
                (true, _) => {
                    let name = spec.spelled(&entry.name).into_owned();
                    folder.folders.entry(name).or_default().push(entry.name);
                }
                (false, Some(stem)) => folder.images.entry(stem).or_default().push(entry.name),
                (false, None) => folder.others.push(entry.name),
            }
        }
        folder
    }
}

impl Folders {
    /// Finds the image of a row: the file at `path` below the folder to which `images` leads, where the
    /// extension of a name may be left out.
    ///
    /// # Errors
    /// Why there is no such image.
    fn find(
        &mut self,
        listing: &mut Listing<'_>,
        spec: &SourceSpec,
        images: &[&str],
        path: &str,
    ) -> Result<String, String> {
        let mut names: Vec<&str> = images.iter().copied().chain(path.split('/')).collect();
        let name = names.pop().unwrap_or_default();
        let mut at = String::new();
        for name in names {
            let folder = self.folder(listing, spec, &at);
            at = match folder.folders.get(&*spec.spelled(name)).map(Vec::as_slice) {
                Some([one]) => below(&at, one),
                Some([one, other, ..]) => {
                    return Err(format!(
                        "{} and {} have one name: rename one",
                        below(&at, one),
                        below(&at, other)
                    ));
                }
                _ => {
                    return Err(format!(
                        "there is no folder {}{}",
                        below(&at, name),
                        instead(folder, &at, name)
                    ));
                }
            };
        }
        let folder = self.folder(listing, spec, &at);
        let stem = image_stem(name);
        let mut found = folder.images.get(stem.unwrap_or(name)).cloned().unwrap_or_default();
        found.retain(|found| stem.is_none() || spec.spelled(found) == name);
        match &found[..] {
            [one] => Ok(below(&at, one)),
            [one, other, ..] => {
                Err(format!("{path} may be {} or {}: rename one", below(&at, one), below(&at, other)))
            }
            [] => Err(absent(listing, folder, &at, name)),
        }
    }

    fn folder(&mut self, listing: &mut Listing<'_>, spec: &SourceSpec, path: &str) -> &Folder {
        if !self.0.contains_key(path) {
            let folder = Folder::read(listing, spec, path);
            self.0.insert(path.to_owned(), folder);
        }
        &self.0[path]
    }

    /// Leaves out what no row of `file` names.
    fn left_out(self, listing: &mut Listing<'_>, file: &str, is_named: impl Fn(&str) -> bool) {
        for (path, folder) in &self.0 {
            let is_unseen = |name: &&String| !self.0.contains_key(&below(path, name));
            let unnamed = folder.images.values().flatten().filter(|name| !is_named(&below(path, name)));
            let unseen = folder.folders.values().flatten().filter(is_unseen);
            let mut names: Vec<&str> = unnamed.chain(unseen).map(String::as_str).collect();
            names.sort_unstable();
            listing.left_out(path, None, &names, &format!("no row of {file} names it"));
            let others: Vec<&str> = folder.others.iter().map(String::as_str).collect();
            listing.left_out(path, None, &others, "not a JPEG or PNG by name");
        }
    }
}

/// Says why there is no image of a name in a folder.
fn absent(listing: &Listing<'_>, folder: &Folder, path: &str, name: &str) -> String {
    let inner = below(path, name);
    let file = join(listing.root, &inner);
    if file.is_dir() {
        return format!("{inner} is a folder");
    }
    if folder.others.iter().any(|other| nfc(other) == name) {
        let kind = told(&file).map(|kind| format!(": it is {kind}")).unwrap_or_default();
        return format!("{inner} is not a JPEG or PNG by name{kind}");
    }
    if file.is_file() {
        return format!(
            "{inner} has a name that starts with a dot, or is one that isn leaves out: rename it"
        );
    }
    format!("there is no file {inner}{}", instead(folder, path, name))
}

/// Names a file or folder that differs in case or in its extension alone.
fn instead(folder: &Folder, path: &str, name: &str) -> String {
    let stem = |name: &str| nfc(image_stem(name).unwrap_or(name)).to_lowercase();
    let all = folder.folders.values().chain(folder.images.values()).flatten();
    let other = all.filter(|other| stem(other) == stem(name)).min();
    other.map(|other| format!(", but {}", below(path, other))).unwrap_or_default()
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
