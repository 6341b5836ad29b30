//! `[source]` and `[[class]]`: the kind of source, its classes, and which folders or which words of a list
//! have their images.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::str::FromStr;

use super::table::{Field, Mistakes, Table};
use super::{Edition, Expect};
use crate::class::{Class, ClassId, check_label};
use crate::ilsvrc2012;
use crate::source_kind::SourceKind;
use crate::source_spec::{HERE, Ids, ListSpec, Names, SourceSpec, check_folder, nfc, segments};
use crate::split::Split;

pub(super) fn source(field: &Field<'_, '_>, edition: Option<Edition>) -> Option<SourceSpec> {
    let table =
        field.table("[source]", &["kind", "splits", "names", "list", "images", "columns", "annotated"])?;
    table.refuse_unless_two(edition, &["splits", "names", "list", "images", "columns", "annotated"]);
    let kinds = SourceKind::ALL.into_iter().filter(|kind| match kind {
        SourceKind::Ilsvrc2012 | SourceKind::ImageFolder => true,
        SourceKind::List => edition == Some(Edition::Two),
    });
    let kinds: Vec<_> = kinds.map(|kind| (kind.as_str(), kind)).collect();
    let kind = table.need("kind").and_then(|field| field.choice(&kinds));
    let (others, why): (&[&str], _) = match kind {
        Some(SourceKind::Ilsvrc2012) => (
            &["splits", "names", "list", "images", "columns", "annotated"],
            "is not for ilsvrc2012, whose folders and names are known",
        ),
        Some(SourceKind::ImageFolder) => (&["list", "images", "columns"], "is for kind = \"list\" alone"),
        Some(SourceKind::List) => (&["annotated"], "is for kind = \"imagefolder\" alone"),
        None => (&[], ""),
    };
    others.iter().filter_map(|key| table.get(key)).for_each(|field| field.wrong(why));
    let list = match kind {
        Some(SourceKind::List) => Some(list(&table)),
        _ => None,
    };
    let list = list.map_or(Some(None), |read| read.map(Some));
    let annotated = table.get("annotated").map_or(Some(Vec::new()), |field| annotated(&field));
    let splits = table.get("splits").map(|field| splits(&field, kind));
    let splits = splits.map_or(Some(None), |read| read.map(Some));
    let names = match table.get("names") {
        Some(field) => field.choice(&[("keep", Names::Keep), ("hash", Names::Hash)]),
        None => Some(Names::Keep),
    };
    let ids = match edition? {
        Edition::One => Ids::Ascii,
        Edition::Two => Ids::Text,
    };
    let (kind, names, splits, list, annotated) = (kind?, names?, splits?, list?, annotated?);
    Some(SourceSpec { kind, ids, names, splits, folders: BTreeMap::new(), list, annotated })
}

/// `list = "labels.csv"`, `images = "train"` and `columns = { path = "id", label = "breed" }`.
fn list(source: &Table<'_, '_>) -> Option<ListSpec> {
    let file = source.need("list").and_then(|field| file_in_source(&field));
    let images = source.get("images").map_or(Some(HERE), |field| field.text(check_folder));
    let columns = source.get("columns").map(|field| {
        let table = field.table("[source] columns", &["path", "label", "split"])?;
        let column = |key: &str| {
            let name = table.get(key).map(|field| field.text(check_label).map(|name| nfc(name).into_owned()));
            name.map_or(Some(None), |read| read.map(Some))
        };
        let (path, label, split) = (column("path"), column("label"), column("split"));
        Some((path?, label?, split?))
    });
    let columns = columns.unwrap_or_else(|| Some(Default::default()));
    let (file, images, (path, label, split)) = (file?.to_owned(), images?.to_owned(), columns?);
    let (path, label) = (path.unwrap_or_else(|| "path".into()), label.unwrap_or_else(|| "label".into()));
    Some(ListSpec { file, images, path, label, split })
}

/// `{ val = "val/val_annotations.txt" }`.
fn annotated(field: &Field<'_, '_>) -> Option<Vec<(Split, String)>> {
    let table = field.table("[source] annotated", &Split::ALL.map(Split::as_str))?;
    let of = |split: Split| {
        let file = file_in_source(&table.get(split.as_str())?);
        Some(file.map(|file| (split, file.to_owned())))
    };
    let files = Split::ALL.into_iter().filter_map(of).collect::<Option<Vec<_>>>()?;
    if files.is_empty() {
        field.wrong("is empty: name the file of train, val or test");
        return None;
    }
    Some(files)
}

/// The path of a file in the source.
fn file_in_source<'a>(field: &Field<'a, '_>) -> Option<&'a str> {
    field.text(|file| match check_folder(file) {
        Ok(()) if file != HERE => Ok(()),
        _ => Err("must be the path of a file in the source, such as \"labels.csv\""),
    })
}

/// `{ train = ["Training"], val = ["valid", "validation"] }`.
fn splits(field: &Field<'_, '_>, source: Option<SourceKind>) -> Option<Vec<(Split, String)>> {
    let table = field.table("[source] splits", &Split::ALL.map(Split::as_str))?;
    let (mut splits, mut places) = (Vec::new(), Places::of(source));
    for split in Split::ALL {
        let Some(folders) = table.get(split.as_str()) else { continue };
        for folder in folders.elements()? {
            let field = folders.element(folder);
            let folder = field.text(check_folder)?;
            if folder == HERE {
                field.wrong("must name folders of the source");
                return None;
            }
            splits.push((split, folder.to_owned()));
            places.add(folder, &field);
        }
    }
    places.check(field.mistakes);
    if splits.is_empty() {
        field.wrong("is empty: name the folders of train, val or test");
        return None;
    }
    Some(splits)
}

/// The classes, how many images they have, and their folders.
pub(super) struct Classes {
    /// Sorted by the bytes of their ids.
    pub(super) all: Vec<Class>,
    pub(super) expect: Expect,
    pub(super) folders: BTreeMap<ClassId, Vec<String>>,
}

pub(super) fn classes(
    field: &Field<'_, '_>,
    source: Option<SourceKind>,
    edition: Option<Edition>,
) -> Option<Classes> {
    let elements = field.elements()?;
    if elements.is_empty() {
        field.wrong("is empty: name at least one");
    }
    // By the folded id: `N1` and `n1` would be one folder on a file system that ignores case.
    let mut starts: HashMap<String, usize> = HashMap::new();
    let (mut all, mut expected, mut named) =
        (Vec::with_capacity(elements.len()), Expect::new(), BTreeMap::new());
    let mut places = Places::of(source);
    for value in elements {
        let whole = field.element(value);
        let Some(table) = whole.table("[[class]]", &["id", "label", "group", "folder", "expect"]) else {
            continue;
        };
        table.refuse_unless_two(edition, &["folder", "expect"]);
        if source == Some(SourceKind::Ilsvrc2012) {
            for field in ["folder", "expect"].into_iter().filter_map(|key| table.get(key)) {
                field.wrong("is not for ilsvrc2012, whose folders and counts are known");
            }
        }
        let id_field = table.need("id");
        let id = id_field.as_ref().and_then(|field| class_id(field, source, &mut starts));
        let label = table.need("label").and_then(|field| field.text(check_label));
        let group = table.get("group").and_then(|field| field.text(check_label));
        let given = table.get("folder").and_then(|field| folders(field, source));
        let expect = table.get("expect").and_then(|field| expect(&field));
        let (Some(id), Some(label)) = (id, label) else { continue };
        match (&given, &id_field) {
            (Some(given), _) => given.iter().for_each(|(folder, field)| places.add(folder, field)),
            (None, Some(field)) => places.add(id.as_str(), field),
            (None, None) => {}
        }
        if let Some(given) = given {
            named.insert(id.clone(), given.into_iter().map(|(folder, _)| folder.to_owned()).collect());
        }
        let expect = expect.into_iter().flatten();
        expected.extend(expect.map(|(split, count)| ((id.clone(), split), count)));
        all.push(Class { id, label: label.into(), group: group.map(Into::into) });
    }
    places.check(field.mistakes);
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Some(Classes { all, expect: expected, folders: named })
}

/// The folders of a class, or its words in a list: one, or several of them.
fn folders<'a, 't>(
    field: Field<'a, 't>,
    source: Option<SourceKind>,
) -> Option<Vec<(&'a str, Field<'a, 't>)>> {
    let fields = match field.value.as_array() {
        None => vec![field],
        Some(list) if list.is_empty() => {
            field.wrong("is empty: name a folder, or leave it out");
            return None;
        }
        Some(list) => list.iter().map(|value| field.element(value)).collect(),
    };
    let read = |field: &Field<'a, 't>| match source {
        Some(SourceKind::List) => field.text(check_label),
        _ => folder(field),
    };
    fields.into_iter().map(|field| Some((read(&field)?, field))).collect()
}

/// The folder of a class. The first name of a source id tells the split, if it is that of one.
fn folder<'a>(field: &Field<'a, '_>) -> Option<&'a str> {
    let folder = field.text(check_folder)?;
    let first = segments(folder).first().map(|first| first.to_ascii_lowercase());
    if let Some(split) = first.filter(|first| Split::from_str(first).is_ok()) {
        field.wrong(format_args!(
            "is below the folder of a split, and begins with the name of one, {split}: leave that out, or \
             rename the folder"
        ));
        return None;
    }
    Some(folder)
}

/// `{ train = 1300, val = 50 }`.
fn expect(field: &Field<'_, '_>) -> Option<Vec<(Split, u64)>> {
    let table = field.table("[[class]] expect", &Split::ALL.map(Split::as_str))?;
    let count = |split: Split| {
        let count = table.get(split.as_str())?.number(0..=u32::MAX);
        count.map(|count| (split, count.into()))
    };
    Some(Split::ALL.into_iter().filter_map(count).collect())
}

fn class_id(
    field: &Field<'_, '_>,
    source: Option<SourceKind>,
    starts: &mut HashMap<String, usize>,
) -> Option<ClassId> {
    let id: ClassId = field.parse()?;
    if let Some(first) = starts.insert(id.folded(), field.span.start) {
        let first = field.mistakes.line(first);
        field.wrong(format_args!("'{id}' repeats the class of line {first} (ignoring case)"));
        return None;
    }
    if source == Some(SourceKind::Ilsvrc2012) && !ilsvrc2012::is_class(id.as_str()) {
        field.wrong(format_args!("'{id}' is not one of the 1,000 classes of ILSVRC2012"));
        return None;
    }
    // Otherwise a source folder train/ could be read as a class or as a split.
    if Split::from_str(&id.folded()).is_ok() {
        field.wrong(format_args!("'{id}' is the name of a split"));
        return None;
    }
    Some(id)
}

/// Folders, with their fields, that must not be in one another: their images would be in both. Or words of a
/// list, which must differ.
struct Places {
    is_list: bool,
    all: Vec<(String, String, Range<usize>)>,
}

impl Places {
    fn of(source: Option<SourceKind>) -> Self {
        Places { is_list: source == Some(SourceKind::List), all: Vec::new() }
    }

    fn add(&mut self, folder: &str, field: &Field<'_, '_>) {
        self.all.push((nfc(folder).into_owned(), field.key.clone(), field.span.clone()));
    }

    fn check(mut self, mistakes: &Mistakes<'_>) {
        let is_list = self.is_list;
        fn word(word: &str) -> Vec<&str> {
            vec![word]
        }
        let parts = if is_list { word } else { segments };
        self.all.sort_by(|a, b| parts(&a.0).cmp(&parts(&b.0)));
        for pair in self.all.windows(2) {
            let ((outer, _, first), (inner, key, span)) = (&pair[0], &pair[1]);
            if parts(inner).starts_with(&parts(outer)) {
                let line = mistakes.line(first.start);
                let why = match is_list {
                    true => format!("{key} '{inner}' repeats the word of line {line}"),
                    false => format!("{key} '{inner}' is in '{outer}', the folder of line {line}"),
                };
                mistakes.at(span, why);
            }
        }
    }
}
