//! `[source]` and `[[class]]`: the kind of source, its classes, and which folders have their images.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::str::FromStr;

use super::table::{Field, Mistakes};
use super::{Edition, Expect};
use crate::class::{Class, ClassId, check_label};
use crate::ilsvrc2012;
use crate::source_kind::SourceKind;
use crate::source_spec::{HERE, Ids, Names, SourceSpec, check_folder, nfc, segments};
use crate::split::Split;

pub(super) fn source(field: &Field<'_, '_>, edition: Option<Edition>) -> Option<SourceSpec> {
    let table = field.table("[source]", &["kind", "splits", "names"])?;
    table.refuse_unless_two(edition, &["splits", "names"]);
    let kinds = SourceKind::ALL.map(|kind| (kind.as_str(), kind));
    let kind = table.need("kind").and_then(|field| field.choice(&kinds));
    if kind == Some(SourceKind::Ilsvrc2012) {
        for field in ["splits", "names"].into_iter().filter_map(|key| table.get(key)) {
            field.wrong("is not for ilsvrc2012, whose folders and names are known");
        }
    }
    let splits = table.get("splits").map(|field| splits(&field));
    let splits = splits.map_or(Some(None), |read| read.map(Some));
    let names = match table.get("names") {
        Some(field) => field.choice(&[("keep", Names::Keep), ("hash", Names::Hash)]),
        None => Some(Names::Keep),
    };
    let ids = match edition? {
        Edition::One => Ids::Ascii,
        Edition::Two => Ids::Text,
    };
    Some(SourceSpec { kind: kind?, ids, names: names?, splits: splits?, folders: BTreeMap::new() })
}

/// `{ train = ["Training"], val = ["valid", "validation"] }`.
fn splits(field: &Field<'_, '_>) -> Option<Vec<(Split, String)>> {
    let table = field.table("[source] splits", &Split::ALL.map(Split::as_str))?;
    let (mut splits, mut places) = (Vec::new(), Places::default());
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
    let mut places = Places::default();
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
        let given = table.get("folder").and_then(folders);
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

/// The folders of a class: one, or a list of them.
fn folders<'a, 't>(field: Field<'a, 't>) -> Option<Vec<(&'a str, Field<'a, 't>)>> {
    let fields = match field.value.as_array() {
        None => vec![field],
        Some(list) if list.is_empty() => {
            field.wrong("is empty: name a folder, or leave it out");
            return None;
        }
        Some(list) => list.iter().map(|value| field.element(value)).collect(),
    };
    fields.into_iter().map(|field| Some((folder(&field)?, field))).collect()
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

/// Folders, with their fields, that must not be in one another: their images would be in both.
#[derive(Default)]
struct Places(Vec<(String, String, Range<usize>)>);

impl Places {
    fn add(&mut self, folder: &str, field: &Field<'_, '_>) {
        self.0.push((nfc(folder).into_owned(), field.key.clone(), field.span.clone()));
    }

    fn check(mut self, mistakes: &Mistakes<'_>) {
        self.0.sort_by(|a, b| segments(&a.0).cmp(&segments(&b.0)));
        for pair in self.0.windows(2) {
            let ((outer, _, first), (inner, key, span)) = (&pair[0], &pair[1]);
            if segments(inner).starts_with(&segments(outer)) {
                let line = mistakes.line(first.start);
                mistakes.at(span, format_args!("{key} '{inner}' is in '{outer}', the folder of line {line}"));
            }
        }
    }
}
