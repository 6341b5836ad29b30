//! [`SourceSpec`]: what a recipe says of its source: its kind, which folders have the images of a split and
//! of a class, and how images are named.

use std::borrow::Cow;
use std::collections::BTreeMap;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::class::{ClassId, check_label};
use crate::digest::Digest;
use crate::source_kind::SourceKind;
use crate::split::Split;

/// The folder of a class that has the images of a whole split: the folder of the split itself.
pub const HERE: &str = ".";

/// The maximum length of a source id of version 2 in bytes, as a JSON string: a row of an index has 1,024
/// bytes, and this leaves room for the rest.
pub(crate) const MAX_ID_LEN: usize = 384;

/// The maximum length of what is left of a name before its hash.
const MAX_WORDS: usize = 40;

/// What the file names of images in the tree are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// The file names in the source.
    #[default]
    Keep,
    /// What is lawful in them, and the hash of the source id: any name becomes a lawful one of its own.
    Hash,
}

/// Which texts may be source ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Printable ASCII: recipes of version 1.
    Ascii,
    /// One line of any text, in Unicode's normalisation form C.
    Text,
}

/// A list of images: a CSV file in the source, with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSpec {
    /// The path of the file in the source.
    pub file: String,
    /// The folder of the source that the paths in it are below, or [`HERE`].
    pub images: String,
    /// The column of paths.
    pub path: String,
    /// The column of labels.
    pub label: String,
    /// The column of splits, if the recipe names one. Otherwise it is [`SPLIT_COLUMN`], if the list has that.
    pub split: Option<String>,
}

/// The column of splits in a list whose recipe names none.
pub const SPLIT_COLUMN: &str = "split";

/// Where the images of a recipe are in its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// The kind of source.
    pub kind: SourceKind,
    /// Which texts may be source ids.
    pub ids: Ids,
    /// What file names in the tree are made of.
    pub names: Names,
    /// The folders that are each split, if the recipe names them: paths below the source folder. Of a list
    /// with splits, its words for each.
    pub splits: Option<Vec<(Split, String)>>,
    /// The folders of classes whose folder does not have the name of their id, one or several of each: paths
    /// below the folder of a split, or [`HERE`]. Of a list, its words for each.
    pub folders: BTreeMap<ClassId, Vec<String>>,
    /// The list that has the images; `None` unless the source is one.
    pub list: Option<ListSpec>,
    /// The splits whose images have their classes in a file, and its path in the source.
    pub annotated: Vec<(Split, String)>,
}

impl SourceSpec {
    /// The source of a recipe of version 1.
    pub fn new(kind: SourceKind) -> Self {
        SourceSpec {
            kind,
            ids: Ids::Ascii,
            names: Names::Keep,
            splits: None,
            folders: BTreeMap::new(),
            list: None,
            annotated: Vec::new(),
        }
    }

    /// Returns a name or path of the file system as source ids have it: file systems differ in how they spell
    /// composed characters.
    pub fn spelled<'t>(&self, name: &'t str) -> Cow<'t, str> {
        match self.ids {
            Ids::Ascii => name.into(),
            Ids::Text => nfc(name),
        }
    }

    /// Checks a source id.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate of the name.
    pub fn check_id(&self, id: &str) -> Result<(), String> {
        match self.ids {
            Ids::Ascii if id.bytes().all(|b| (b' '..=b'~').contains(&b)) => Ok(()),
            Ids::Ascii => Err("is not plain ASCII, as a recipe of version 1 needs it".into()),
            Ids::Text => {
                check_label(id)?;
                match serde_json::Value::from(id).to_string().len() {
                    0..=MAX_ID_LEN => Ok(()),
                    _ => {
                        Err(format!("and its path are too long: a source id has at most {MAX_ID_LEN} bytes"))
                    }
                }
            }
        }
    }

    /// Returns the stem of an image's file in the tree.
    pub fn stem<'t>(&self, id: &'t str) -> Cow<'t, str> {
        let last = id.rsplit('/').next().unwrap_or(id);
        match self.names {
            Names::Keep => last.into(),
            Names::Hash => hashed(last, id).into(),
        }
    }

    /// Returns the folders that are each split, or the words of a list.
    pub fn split_folders(&self) -> Vec<(Split, &str)> {
        match &self.splits {
            Some(splits) => splits.iter().map(|(split, folder)| (*split, folder.as_str())).collect(),
            None => Split::ALL.map(|split| (split, split.as_str())).to_vec(),
        }
    }

    /// Returns the folders of a class, below the folder of a split, or its words in a list.
    pub fn folders_of<'s>(&'s self, class: &'s ClassId) -> Vec<&'s str> {
        match self.folders.get(class) {
            Some(folders) => folders.iter().map(String::as_str).collect(),
            None => vec![class.as_str()],
        }
    }
}

/// Returns a text in Unicode's normalisation form C.
pub fn nfc(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { text.into() } else { text.nfc().collect::<String>().into() }
}

/// Returns what is lawful in a name, and then the first digits of the hash of the source id.
fn hashed(name: &str, id: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' => words.push(c),
            _ if words.is_empty() || words.ends_with('-') => {}
            _ => words.push('-'),
        }
    }
    words.truncate(words.trim_end_matches('-').len().min(MAX_WORDS));
    if !words.is_empty() {
        words.push('-');
    }
    words + &Digest::of(id.as_bytes()).to_string()[..16]
}

/// Returns the names on the way to a folder; none for [`HERE`].
pub fn segments(folder: &str) -> Vec<&str> {
    if folder == HERE { Vec::new() } else { folder.split('/').collect() }
}

/// Checks the path of a folder below another.
///
/// # Errors
/// What is wrong with it, as a predicate.
pub fn check_folder(folder: &str) -> Result<(), &'static str> {
    if folder.chars().any(char::is_control) {
        return Err("has a control character");
    }
    if folder != HERE && folder.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("must be the path of a folder below the source, such as \"Fruit/Golden Delicious\"");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rel_path::RelPath;

    fn spec() -> SourceSpec {
        SourceSpec { ids: Ids::Text, names: Names::Hash, ..SourceSpec::new(SourceKind::ImageFolder) }
    }

    #[test]
    fn hashed_names_are_the_golden_vector() {
        let mut reader = csv::Reader::from_reader(&include_bytes!("../../../tests/vectors/names.csv")[..]);
        let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 18);
        for row in &rows {
            let path = match &row[0] {
                "" => row[1].to_owned(),
                split => format!("{split}/{}", &row[1]),
            };
            let id = spec().spelled(&path).into_owned();
            assert_eq!((id.as_str(), &*spec().stem(&id)), (&row[2], &row[3]), "{row:?}");
        }
    }

    #[test]
    fn an_id_is_one_line_that_an_index_can_have() {
        let long = "x".repeat(MAX_ID_LEN - 2);
        for good in ["ant/1", "Golden Delicious (1)/é 2", "犬/写真", "\u{202e}/1", &long] {
            assert_eq!(spec().check_id(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("ant/1 ", "starts or ends with white space"),
            ("ant/\u{7}1", "control character"),
            (&(long.clone() + "x"), "too long"),
            (&"\"".repeat(200), "too long"),
        ] {
            assert!(spec().check_id(bad).unwrap_err().contains(why), "{bad}");
        }
        let old = SourceSpec::new(SourceKind::ImageFolder);
        assert_eq!(old.check_id("ant/a \"b\""), Ok(()));
        assert!(old.check_id("ant/é").unwrap_err().contains("is not plain ASCII"));
        assert_eq!((old.spelled("e\u{301}"), spec().spelled("e\u{301}")), ("e\u{301}".into(), "é".into()));
    }

    proptest! {
        #[test]
        fn any_path_gives_a_lawful_name_of_its_own(path in "\\PC{0,60}(/\\PC{0,300}){0,3}", other in ".*") {
            let spec = spec();
            let id = spec.spelled(&path);
            let stem = spec.stem(&id);
            prop_assert!(stem.len() <= MAX_WORDS + 17);
            prop_assert!(format!("train/{}/{stem}.png", "x".repeat(64)).parse::<RelPath>().is_ok(), "{stem}");
            let decomposed: String = path.nfd().collect();
            prop_assert_eq!(spec.stem(&spec.spelled(&decomposed)).into_owned(), stem.as_ref());
            let other = spec.spelled(&other);
            prop_assert_eq!(spec.stem(&other) == stem, other == id);
        }
    }
}
