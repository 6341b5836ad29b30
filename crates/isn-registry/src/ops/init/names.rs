//! Proposes the names of a dataset and of its classes, from those of folders.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::look::is_plain;
use isn_format::class::{Class, ClassId, MAX_CLASS_ID_LEN, check_label};
use isn_format::dataset_ref::Name;
use isn_format::error::{Error, Result};
use isn_format::source_spec::{HERE, nfc};
use isn_format::split::Split;
use isn_format::text::slug;

/// The maximum length of a name or an id, which leaves room for a number after it.
const MAX_LEN: usize = MAX_CLASS_ID_LEN - 8;

/// Proposes a dataset's name from that of its folder.
pub(super) fn dataset(folder: &str) -> Result<Name> {
    let slug = slug(folder).to_ascii_lowercase().replace(['.', '_'], "-");
    let words: Vec<&str> = slug.split('-').filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name.truncate(MAX_LEN);
    let name = name.trim_end_matches('-');
    let proposals = [name.to_owned(), format!("{name}-images"), "images".to_owned()];
    let lawful = proposals.iter().find_map(|name| name.parse().ok());
    lawful.ok_or_else(|| Error::Internal(format!("no name for the folder {folder}")))
}

/// Proposes a class for each of the folders, or of the labels of a list, which are sorted.
pub(super) fn classes(folders: &[String], is_list: bool, dataset: &Name) -> Result<Vec<Class>> {
    // A label is no path.
    let last = |folder: &str| match is_list {
        true => folder.to_owned(),
        false => folder.rsplit('/').next().unwrap_or_default().to_owned(),
    };
    let is_here = |folder: &String| folder == HERE && !is_list;
    let mut firsts: BTreeMap<String, usize> = BTreeMap::new();
    for folder in folders {
        *firsts.entry(id_of(&last(folder)).to_ascii_lowercase()).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    let mut classes: Vec<Class> = Vec::with_capacity(folders.len());
    for folder in folders {
        let first = id_of(&last(folder));
        // Folders of one name in several others are told apart by those.
        let base = match firsts.get(&first.to_ascii_lowercase()) {
            Some(1) => first,
            _ => id_of(folder),
        };
        let (base, begin) = match base.as_str() {
            _ if is_here(folder) => ("all", 1),
            "" => ("class", 2),
            base => (base, 1),
        };
        let mut proposals = (begin..).map(|n| match (n, begin) {
            (1, _) => base.to_owned(),
            (n, 2) => format!("{base}-{}", n - 1),
            (n, _) => format!("{base}-{n}"),
        });
        let id = proposals.find(|id| taken.insert(id.to_ascii_lowercase())).unwrap_or_default();
        let id: ClassId = id.parse().map_err(|e| Error::Internal(format!("a class of {folder}: {e}")))?;
        let label = if is_here(folder) { dataset.to_string() } else { label_of(&last(folder), &id) };
        let above = folder.rsplit_once('/').filter(|_| !is_list);
        let above = above.map(|(above, _)| last(above)).filter(|above| !is_plain(above));
        let group = above.map(|above| label_of(&above, &id));
        classes.push(Class { id, label, group });
    }
    // Of two classes of one label nobody could tell which is which.
    let of_whole: fn(&str, &ClassId) -> String = |folder, _| words(&folder.replace('/', " "));
    for label in [of_whole, |_, id| id.to_string()] {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        classes.iter().for_each(|class| *counts.entry(class.label.clone()).or_default() += 1);
        for (class, folder) in classes.iter_mut().zip(folders).filter(|(class, _)| counts[&class.label] > 1) {
            let label = label(folder, &class.id);
            class.label = if check_label(&label).is_ok() { label } else { class.id.to_string() };
        }
    }
    Ok(classes)
}

/// A folder's name as a class id: the name itself if it is lawful. May be empty.
fn id_of(name: &str) -> String {
    let is_lawful = |name: &str| name.parse::<ClassId>().is_ok() && !is_split(name);
    if is_lawful(name) && name.len() <= MAX_LEN {
        return name.into();
    }
    let mut slug = slug(name);
    slug.truncate(MAX_LEN);
    let slug = slug.trim_end_matches(['-', '.']);
    match slug.is_empty() || is_lawful(slug) {
        true => slug.into(),
        // A split, or a device on Windows.
        false => format!("class-{slug}").replace('.', "-"),
    }
}

fn is_split(name: &str) -> bool {
    name.to_ascii_lowercase().parse::<Split>().is_ok()
}

/// A folder's name for people: `n02085620-golden_retriever` is a golden retriever.
fn label_of(name: &str, id: &ClassId) -> String {
    let name = nfc(name);
    let after = name.strip_prefix('n').and_then(|rest| rest.split_once(['-', '_', ' ']));
    let words = match after {
        Some((digits, words)) if digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()) => words,
        _ => &name,
    };
    let label = self::words(words);
    if check_label(&label).is_ok() { label } else { id.to_string() }
}

/// The words of a name, with a blank between them.
fn words(name: &str) -> String {
    let name = nfc(name);
    let words = name.split(|c: char| c == '_' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Whether the ids are numbers whose order by bytes, which is that of the indexes, is not that of the
/// numbers.
pub(super) fn are_out_of_order(classes: &[Class]) -> bool {
    let mut ids: Vec<&str> = classes.iter().map(|class| class.id.as_str()).collect();
    ids.sort_unstable();
    let numbers: Option<Vec<u64>> = ids.iter().map(|id| id.parse().ok()).collect();
    numbers.is_some_and(|numbers| !numbers.is_sorted())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(folders: &[&str]) -> Vec<String> {
        let folders: Vec<String> = folders.iter().map(|folder| (*folder).into()).collect();
        let classes = classes(&folders, false, &"photos".parse().unwrap()).unwrap();
        classes.into_iter().map(|class| format!("{}: {}", class.id, class.label)).collect()
    }

    #[test]
    fn folders_give_lawful_ids_of_their_own_and_labels() {
        assert_eq!(
            proposed(&["Golden Delicious (1)", "golden_retriever", "n01440764", "n02085620-Chihuahua"]),
            [
                "Golden-Delicious-1: Golden Delicious (1)",
                "golden_retriever: golden retriever",
                "n01440764: n01440764",
                "n02085620-Chihuahua: Chihuahua",
            ]
        );
        assert_eq!(
            proposed(&["Apple", "apple", "犬", "猫"]),
            ["Apple: Apple", "apple-2: apple", "class-1: 犬", "class-2: 猫"]
        );
        assert_eq!(proposed(&["a/red", "b/red", "b/x"]), ["a-red: a red", "b-red: b red", "x: x"]);
        assert_eq!(proposed(&["con", "x/Test"]), ["class-con: con", "class-Test: Test"]);
        assert_eq!(proposed(&["."]), ["all: photos"]);
        assert_eq!(
            proposed(&["n01440764-owl", "n01440765-owl", "owl"]),
            ["n01440764-owl: n01440764-owl", "n01440765-owl: n01440765-owl", "owl: owl"]
        );
        assert_eq!(proposed(&["a_b", "a b", "a/b"]), ["a_b: a_b", "a-b: a-b", "b: b"]);
        assert_eq!(proposed(&[&"é".repeat(200), &"e".repeat(200)]).len(), 2);
        assert_eq!(proposed(&["__", "-"]), ["__: __", "-: -"]);
    }

    #[test]
    fn a_folder_gives_a_lawful_name() {
        for (folder, name) in [
            ("My Photos (2024)", "my-photos-2024"),
            ("café_à", "cafe-a"),
            ("names", "names-images"),
            ("写真", "images"),
            ("con", "con-images"),
        ] {
            assert_eq!(dataset(folder).unwrap().as_str(), name, "{folder}");
        }
        assert!(dataset(&"x.".repeat(100)).is_ok());
    }

    #[test]
    fn numbers_are_sorted_as_text() {
        let numbers = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>();
        let name = "digits".parse().unwrap();
        assert!(!are_out_of_order(&classes(&numbers(10), false, &name).unwrap()));
        assert!(are_out_of_order(&classes(&numbers(12), false, &name).unwrap()));
    }
}
