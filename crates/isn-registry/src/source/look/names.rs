//! What the names of folders and files say.

use std::collections::BTreeSet;

use isn_format::split::Split;

/// The words that name a split.
const SPLITS: [(&str, Split); 17] = [
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

/// What the name of a folder says beside that of a split.
pub(super) fn rest(name: &str) -> Vec<String> {
    let mut words = words(name);
    words.retain(|word| split(word).is_none() && !FILLERS.contains(&word.as_str()));
    words
}

/// The split that a word names.
fn split(word: &str) -> Option<Split> {
    ["", "set", "data", "images", "split"].into_iter().find_map(|end| {
        let word = word.strip_suffix(end)?;
        SPLITS.into_iter().find(|(known, _)| *known == word).map(|(_, split)| split)
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
    fn a_word_before_a_number_may_be_a_class() {
        for (stem, found) in [("cat.12", "cat"), ("Abyssinian_100", "abyssinian"), ("(dog) 1", "dog")] {
            assert_eq!(word(stem).as_deref(), Some(found), "{stem}");
        }
        for stem in ["IMG_001", "12", "a1", "cat", "Screenshot 2024", "犬"] {
            assert_eq!(word(stem), None, "{stem}");
        }
    }
}
