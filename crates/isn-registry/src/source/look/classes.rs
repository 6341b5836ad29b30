//! What the folders of classes may be instead.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::names::is_plain;
use super::table::Table;
use super::{Look, and};
use isn_format::source_spec::nfc;
use isn_format::split::Split;

/// Names of folders whose images have no class, or another use.
const NO_CLASSES: [&str; 8] =
    ["unlabeled", "unlabelled", "unannotated", "gallery", "query", "distractor", "distractors", "extra"];

/// The letters and digits of a name, to compare it with what a list says.
pub(super) fn words(text: &str) -> String {
    nfc(text).chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A name without what does not tell two spellings apart: `Hot_dog` is `hot dog`, and `hot-dog`. Signs that
/// say something are left: `C++`, `1.5`, `A-`.
fn spelling(name: &str) -> String {
    let name: Vec<char> = nfc(name).chars().flat_map(char::to_lowercase).collect();
    let is =
        |at: Option<usize>, what: fn(char) -> bool| at.and_then(|at| name.get(at)).is_some_and(|c| what(*c));
    let is_kept = |(at, c): &(usize, char)| {
        let (before, after) = (at.checked_sub(1), Some(at + 1));
        match c {
            '_' | ' ' => is(before, char::is_numeric) && is(after, char::is_numeric),
            '-' => !(is(before, char::is_alphabetic) && is(after, char::is_alphabetic)),
            _ => true,
        }
    };
    name.iter().copied().enumerate().filter(is_kept).map(|(_, c)| c).collect()
}

/// Whether names differ in their numbers alone: `fold1` and `fold2`, `40X` and `100X`.
fn are_numbered(names: &Vec<&str>) -> bool {
    let letters = |name: &&str| name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let all: BTreeSet<&str> = names.iter().copied().collect();
    let has_numbers = all.iter().all(|name| name.contains(|c: char| c.is_ascii_digit()));
    all.len() > 1 && has_numbers && all.iter().map(letters).collect::<BTreeSet<_>>().len() == 1
}

/// Refuses numbered folders in each of which are the same others, or that are in each of others, as folds and
/// sizes. Refuses names that are the same words, which may be one class.
///
/// # Errors
/// What a person has to do.
pub(super) fn check(classes: &[String]) -> Result<(), String> {
    let mut alike: BTreeMap<String, &str> = BTreeMap::new();
    for class in classes {
        let parts: Vec<String> = class.split('/').map(spelling).collect();
        // Of names that differ in case only, a build tells.
        let other = alike.insert(parts.join("/"), class);
        if let Some(other) = other.filter(|other| other.to_lowercase() != class.to_lowercase()) {
            return Err(format!(
                "is only partly clear: {other} and {class} are the same words, and may be one class: if so, \
                 give the folders one name; if not, rename one of them"
            ));
        }
    }
    let mut of_names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (above, name) in classes.iter().filter_map(|class| class.rsplit_once('/')) {
        of_names.entry(name).or_default().push(above);
    }
    of_names.retain(|_, above| above.len() > 1);
    let many: usize = of_names.values().map(Vec::len).sum();
    let (inner, outer) =
        (Vec::from_iter(of_names.keys().copied()), of_names.values().flatten().copied().collect());
    if let (Some((name, above)), true) = (of_names.first_key_value(), many * 2 > classes.len()) {
        let (numbered, others) = match (are_numbered(&inner), are_numbered(&outer)) {
            (true, _) => ("inner", "outer"),
            (_, true) => ("outer", "inner"),
            _ => return Ok(()),
        };
        return Err(format!(
            "is only partly clear: {} are in each of {}, and the {numbered} ones are told apart by numbers, as folds \
             and sizes are. If the {others} ones are the classes, move all images of {} into one folder, and so on; if \
             the {numbered} ones are, do so with theirs; if each pair is a class, such as {}/{name}, name it in one folder, {}-{name}/",
            and(&inner),
            and(above),
            if numbered == "inner" { above[0] } else { name },
            above[0],
            above[0].replace('/', "-"),
        ));
    }
    Ok(())
}

/// What a person should know of folders that are taken for classes.
pub(super) fn notes(classes: &[String], of_splits: &BTreeMap<Split, BTreeSet<String>>) -> Vec<String> {
    let mut notes = Vec::new();
    let above: BTreeSet<&str> = classes
        .iter()
        .filter_map(|class| class.rsplit_once('/'))
        .map(|(above, _)| above)
        .filter(|above| !above.rsplit('/').all(is_plain))
        .collect();
    if let (true, Some(class)) = (above.len() > 1, classes.iter().find(|class| class.contains('/'))) {
        let (outer, _) = class.rsplit_once('/').unwrap_or_default();
        notes.push(format!(
            "the classes are the innermost folders, such as {class}: if the outer ones are, the recipe needs \
             one [[class]] for each of those, with folder = \"{outer}\""
        ));
    }
    let is_no_class = |class: &&String| {
        class.rsplit('/').next().is_some_and(|name| NO_CLASSES.contains(&words(name).as_str()))
    };
    notes.extend(classes.iter().filter(is_no_class).map(|class| {
        format!("{class} is taken for a class: if its images have none, remove its [[class]] from the recipe")
    }));
    if let Some(train) = of_splits.get(&Split::Train) {
        for (split, own) in of_splits.iter().filter(|(split, _)| **split != Split::Train) {
            let only: Vec<&String> = own.difference(train).filter(|class| classes.contains(class)).collect();
            if !only.is_empty() {
                notes.push(format!("no train image is of {}, which {split} has", and(&only)));
            }
        }
    }
    notes
}

/// Says that a table, which names no image, has labels of the folders that are taken for classes, or splits.
pub(super) fn contradicted(file: &str, table: &Table, look: &Look) -> Option<String> {
    let levels = look.classes.iter().map(|class| class.split('/').count()).max().unwrap_or_default();
    let level = |at: usize| -> HashSet<String> {
        look.classes.iter().filter_map(|class| class.rsplit('/').nth(at)).map(words).collect()
    };
    // What a list says is not by folders.
    let levels = if look.list.is_none() { levels } else { 0 };
    let found = (0..levels).map(level).find_map(|folders| table.labels_of(&folders));
    if let Some((key, label)) = found {
        return Some(format!(
            "is only partly clear: {file} has a {label} for each of the folders that would be the classes, \
             in its column {key}, and several have the same. If the {label} is the class, move the images of \
             each into one folder, or make a list of the images, labels.csv, with the header path,label; if \
             the folders are the classes, move {file} away"
        ));
    }
    if !look.has_splits() {
        let column = table.splits_of_others()?;
        let to_do = match &look.list {
            Some(list) => format!("Give {} a column split that says train, val or test", list.file),
            None => {
                "Make a list of the images, labels.csv, with the header path,label,split; or sort the images \
                     into train/, val/ and test/"
                    .to_owned()
            }
        };
        return Some(format!(
            "is only partly clear: {file} says splits in its column {column}, but not of images by their names. \
             {to_do}; or, if these are no splits of them, move {file} away"
        ));
    }
    None
}
