//! What the names of folders and files say.

use std::collections::{BTreeMap, BTreeSet};

use isn_format::split::Split;

/// The words that name a split.
const SPLITS: [(&str, Split); 31] = [
    ("train", Split::Train),
    ("training", Split::Train),
    ("val", Split::Val),
    ("valid", Split::Val),
    ("validation", Split::Val),
    ("dev", Split::Val),
    ("eval", Split::Val),
    ("evaluation", Split::Val),
    ("test", Split::Test),
    ("testing", Split::Test),
    ("holdout", Split::Test),
    ("entrenamiento", Split::Train),
    ("validacion", Split::Val),
    ("validación", Split::Val),
    ("prueba", Split::Test),
    ("pruebas", Split::Test),
    ("entrainement", Split::Train),
    ("entraînement", Split::Train),
    ("treino", Split::Train),
    ("treinamento", Split::Train),
    ("validacao", Split::Val),
    ("validação", Split::Val),
    ("teste", Split::Test),
    ("validierung", Split::Val),
    ("heldout", Split::Test),
    ("训练", Split::Train),
    ("训练集", Split::Train),
    ("验证", Split::Val),
    ("验证集", Split::Val),
    ("测试", Split::Test),
    ("测试集", Split::Test),
];

/// Those that may as well name a class, if there is no other split beside them.
const CLASSES_TOO: [&str; 5] = ["train", "training", "valid", "dev", "testing"];

/// Words beside that of a split that say no more: `Training Images`, `seg_test`.
const FILLERS: [&str; 17] = [
    "data", "dataset", "file", "files", "folder", "image", "images", "img", "imgs", "photo", "photos",
    "picture", "pictures", "seg", "set", "split", "splits",
];

/// Names of folders that say nothing of their images: the folder above is the class.
const PLAIN: [&str; 10] =
    ["image", "images", "img", "imgs", "jpeg", "jpegimages", "jpg", "photos", "pictures", "png"];

/// Those of them that are no classes, either.
const BARE: [&str; 8] = ["image", "images", "img", "imgs", "jpeg", "jpegimages", "jpg", "png"];

/// What cameras and programs call their files.
const CAMERAS: [&str; 19] = [
    "capture",
    "dsc",
    "dscf",
    "dscn",
    "frame",
    "gopr",
    "image",
    "img",
    "mvimg",
    "photo",
    "pic",
    "picture",
    "pxl",
    "sam",
    "scan",
    "screenshot",
    "untitled",
    "vid",
    "whatsapp",
];

/// How the name of a folder is that of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It says nothing else.
    Split(Split),
    /// As [`Named::Split`], by a word that may as well name a class.
    Either(Split),
    /// It says something else, too, as `cats_train` does.
    Part(Split),
}

impl Named {
    /// The split, whatever else the name says.
    pub(super) fn split(self) -> Split {
        match self {
            Named::Split(split) | Named::Either(split) | Named::Part(split) => split,
        }
    }

    /// The split, if the name says nothing else.
    pub(super) fn whole(self) -> Option<Split> {
        match self {
            Named::Split(split) | Named::Either(split) => Some(split),
            Named::Part(_) => None,
        }
    }
}

/// Returns what the name of a folder says of splits.
pub(super) fn named(name: &str) -> Option<Named> {
    let splits: Vec<Split> = words(name).iter().filter_map(|word| split(word)).collect();
    let lower = name.to_ascii_lowercase();
    match (&splits[..], rest(name).is_empty()) {
        ([], _) => None,
        ([split], true) if CLASSES_TOO.contains(&lower.as_str()) => Some(Named::Either(*split)),
        ([split], true) => Some(Named::Split(*split)),
        ([split, ..], _) => Some(Named::Part(*split)),
    }
}

/// The split that a name is, if it says nothing else.
pub(crate) fn split_of(name: &str) -> Option<Split> {
    named(name).and_then(Named::whole)
}

/// The split that a name says, whatever else it says, as `is_test` does.
pub(crate) fn split_in_name(name: &str) -> Option<Split> {
    named(name).map(Named::split)
}

/// The split that a word in a column is: a name, or a short form of one.
pub(crate) fn split_of_word(word: &str) -> Option<Split> {
    split_of(word).or_else(|| abbreviated(word))
}

/// The split that a short form of its name means, where nothing else may be meant.
pub(super) fn abbreviated(word: &str) -> Option<Split> {
    match word.to_ascii_lowercase().as_str() {
        "tr" | "trn" => Some(Split::Train),
        "va" | "vl" | "vld" => Some(Split::Val),
        "te" | "ts" | "tst" => Some(Split::Test),
        _ => None,
    }
}

/// The name of a file without its extension.
pub(super) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Whether the name of a file says that it has splits, or images of others than train.
pub(super) fn says_splits(file: &str) -> bool {
    const SAY: [&str; 6] = ["split", "splits", "subset", "subsets", "partition", "partitions"];
    words(stem(file)).iter().any(|word| {
        let short = ["list", "lists", "ids"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        SAY.contains(&word.as_str()) || split(short).is_some_and(|split| split != Split::Train)
    })
}

/// Two of these names that are words of their own for one split, as `dev` and `eval` are.
pub(super) fn rivals<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<(Split, &'n str, &'n str)> {
    let mut first: BTreeMap<Split, (&str, &str)> = BTreeMap::new();
    for name in names {
        let Some((known, split)) = words(name).iter().find_map(|word| known(word)) else { continue };
        let (other, of) = *first.entry(split).or_insert((name, meaning(known)));
        if of != meaning(known) {
            return Some((split, other, name));
        }
    }
    None
}

/// What a word for a split means, however it is spelled.
fn meaning(known: &'static str) -> &'static str {
    match known {
        "training" | "entrenamiento" | "entrainement" | "entraînement" | "treino" | "treinamento"
        | "训练" | "训练集" => "train",
        "valid" | "validation" | "validacion" | "validación" | "validacao" | "validação" | "validierung"
        | "验证" | "验证集" => "val",
        "evaluation" => "eval",
        "testing" | "prueba" | "pruebas" | "teste" | "测试" | "测试集" => "test",
        other => other,
    }
}

/// What the name of a folder says beside that of a split.
pub(super) fn rest(name: &str) -> Vec<String> {
    let mut words = words(name);
    words.retain(|word| split(word).is_none() && !FILLERS.contains(&word.as_str()));
    words
}

/// The split that a word names.
fn split(word: &str) -> Option<Split> {
    known(word).map(|(_, split)| split)
}

/// The word of [`SPLITS`] that a word is, with its split.
fn known(word: &str) -> Option<(&'static str, Split)> {
    ["", "set", "data", "images", "split"].into_iter().find_map(|end| {
        let word = word.strip_suffix(end)?;
        SPLITS.into_iter().find(|(known, _)| *known == word)
    })
}

/// The words of a name, in lower case: `seg_train`, `TrainingSet` and `train2017` have two, two and one.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase());
        if begins {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphabetic(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether the name of a folder says nothing of its images.
pub(crate) fn is_plain(name: &str) -> bool {
    is_one_of(&PLAIN, name)
}

/// Whether the name of a folder can be that of no class.
pub(super) fn is_bare(name: &str) -> bool {
    is_one_of(&BARE, name)
}

/// Whether the names of folders are words that differ in their numbers only, as those of batches do.
/// `n01440764` and `c0` have no word.
pub(super) fn are_numbered(folders: &[String]) -> bool {
    let letters = |folder: &String| folder.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let all: BTreeSet<String> = folders.iter().map(letters).collect();
    all.len() == 1 && all.iter().all(|name| name.chars().filter(|c| c.is_alphabetic()).count() > 2)
}

fn is_one_of(words: &[&str], name: &str) -> bool {
    words.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// The word that begins the name of a file, before a number: perhaps its class, as in `cat.12`.
pub(super) fn word(stem: &str) -> Option<String> {
    let (word, _) = stem.split_at(stem.find(|c: char| c.is_ascii_digit())?);
    let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    (word.chars().count() > 1 && !is_one_of(&CAMERAS, &word)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_splits_are_known_in_any_spelling() {
        for (split, names) in [
            (
                Split::Train,
                "trainset train_set Training-Set TrainingSet seg_train TRAIN_IMAGES images_train train2017 \
                 train_1 trainImages train_data train-split",
            ),
            (Split::Val, "val VAL val2017 validset validation_set Validation eval dev_set val-images"),
            (Split::Test, "test Test1 test_set Testing_Images seg_test testset holdout"),
        ] {
            for name in names.split(' ') {
                assert_eq!(named(name), Some(Named::Split(split)), "{name}");
            }
        }
        for name in ["Training Images", "训练集"] {
            assert_eq!(named(name), Some(Named::Split(Split::Train)), "{name}");
        }
        for name in ["train", "Training", "valid", "dev", "TESTING"] {
            assert!(matches!(named(name), Some(Named::Either(_))), "{name}");
        }
        for name in ["cats_train", "trainA", "test pattern", "train station", "train_val"] {
            assert!(matches!(named(name), Some(Named::Part(_))), "{name}");
        }
        for name in
            ["cat", "trains", "valley", "tester", "device", "invalid", "", "2017", "images", "contest"]
        {
            assert_eq!(named(name), None, "{name}");
        }
    }

    #[test]
    fn files_that_have_splits_say_so_in_their_names() {
        for file in [
            "test.txt",
            "meta/test_ids.csv",
            "train_test_split.txt",
            "filelist/places365_val.txt",
            "lists/test_list.mat",
            "validation_list.txt",
            "split_zhou_Caltech101.json",
            "splits.json",
            "testlist01.txt",
            "Testing_01.txt",
        ] {
            assert!(says_splits(file), "{file}");
        }
        for file in ["README", "labels.csv", "train.txt", "trainlist01.txt", "test/labels.csv", "contest.txt"]
        {
            assert!(!says_splits(file), "{file}");
        }
    }

    #[test]
    fn words_of_their_own_for_one_split_are_rivals() {
        assert_eq!(rivals(["train", "dev", "eval"]), Some((Split::Val, "dev", "eval")));
        assert_eq!(rivals(["train", "val", "Eval_set"]), Some((Split::Val, "val", "Eval_set")));
        assert_eq!(rivals(["train", "test", "holdout"]), Some((Split::Test, "test", "holdout")));
        assert_eq!(rivals(["train", "training2", "val", "valid", "Validation", "test1", "test2", "x"]), None);
    }

    #[test]
    fn a_word_before_a_number_may_be_a_class() {
        for (stem, found) in [("cat.12", "cat"), ("Abyssinian_100", "abyssinian"), ("(dog) 1", "dog")] {
            assert_eq!(word(stem).as_deref(), Some(found), "{stem}");
        }
        for stem in ["IMG_001", "12", "a1", "cat", "Screenshot 2024", "犬"] {
            assert_eq!(word(stem), None, "{stem}");
        }
    }
}
