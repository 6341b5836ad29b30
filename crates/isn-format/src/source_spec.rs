//! [`SourceSpec`]: what a recipe says of its source: its kind, and which folders have the images of a split
//! and of a class.

use std::collections::BTreeMap;

use crate::class::ClassId;
use crate::source_kind::SourceKind;
use crate::split::Split;

/// The folder of a class that has the images of a whole split: the folder of the split itself.
pub const HERE: &str = ".";

/// Where the images of a recipe are in its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// The kind of source.
    pub kind: SourceKind,
    /// The folders that are each split, if the recipe names them: paths below the source folder.
    pub splits: Option<Vec<(Split, String)>>,
    /// The folders of classes whose folder does not have the name of their id: paths below the folder of a
    /// split, or [`HERE`].
    pub folders: BTreeMap<ClassId, String>,
}

impl SourceSpec {
    /// The source of a recipe that names no folders.
    pub fn new(kind: SourceKind) -> Self {
        SourceSpec { kind, splits: None, folders: BTreeMap::new() }
    }

    /// Returns the folders that are each split.
    pub fn split_folders(&self) -> Vec<(Split, &str)> {
        match &self.splits {
            Some(splits) => splits.iter().map(|(split, folder)| (*split, folder.as_str())).collect(),
            None => Split::ALL.map(|split| (split, split.as_str())).to_vec(),
        }
    }

    /// Returns the folder of a class, below the folder of a split.
    pub fn folder_of<'s>(&'s self, class: &'s ClassId) -> &'s str {
        self.folders.get(class).map_or(class.as_str(), String::as_str)
    }
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
