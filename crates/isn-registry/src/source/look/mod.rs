//! [`look`]: guesses how a folder of pictures is laid out: which folders are splits, and which are classes,
//! or which file says so.

mod annotations;
mod beside;
mod classes;
mod columns;
mod doubt;
mod folder;
mod images;
mod listed;
mod lists;
mod names;
mod sorted;
mod table;
#[cfg(test)]
mod tests;
mod texts;

use std::fs;
use std::path::Path;

pub(crate) use self::columns::is_split as is_split_column;
use self::folder::Folder;
use self::lists::Wanted;
pub(crate) use self::names::{is_plain, split_in_name, split_of, split_of_word};
use super::{Listing, shown};
use crate::files;
use isn_format::error::{Error, Result, count};
use isn_format::source_spec::ListSpec;
use isn_format::split::Split;
use isn_format::tree::B3SUMS;

/// How a folder of pictures is laid out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The folders that are splits; none if the source has no splits. Of a list with a column of splits, its
    /// words for each.
    pub(crate) splits: Vec<(Split, String)>,
    /// Whether a folder that has the name of a split is left out.
    pub(crate) is_part: bool,
    /// The folders of classes, below those of the splits; sorted. None is in another. Of a list, its labels.
    pub(crate) classes: Vec<String>,
    /// The list that says the classes of all images.
    pub(crate) list: Option<ListSpec>,
    /// Its columns that are not read.
    pub(crate) unread: Vec<String>,
    /// The files that say the classes of the images of a split.
    pub(crate) annotated: Vec<(Split, String)>,
    /// What a person should know, one line each.
    pub(crate) notes: Vec<String>,
}

impl Look {
    /// Whether any image is not train.
    fn has_splits(&self) -> bool {
        self.splits.iter().any(|(split, _)| *split != Split::Train)
    }
}

/// Looks at the folder `root`.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Mistakes`] with everything in it that cannot be read;
/// [`Error::Invalid`] if it has no image, or a layout that no recipe can name or that may mean two things,
/// with what was understood and what to do.
pub(crate) fn look(root: &Path) -> Result<Look> {
    if !fs::metadata(root).map_err(Error::io("read", root))?.is_dir() {
        let what = match lists::is_table(&root.to_string_lossy()) {
            true => "is a list: name the folder that has it and the pictures",
            false => "is not a folder: name the one that has the pictures",
        };
        return Err(Error::invalid(root.display(), what));
    }
    let invalid = |why: String| Error::invalid(root.display(), why);
    if files::is_tree(root) {
        return Err(invalid(format!("is a tree that isn wrote (it has {B3SUMS}), not source images")));
    }
    let mut listing = Listing::new(root, None);
    let tree = Folder::read(&mut listing, String::new(), &mut Vec::new());
    // What cannot be read may be a class, or a split.
    if !listing.problems.is_empty() {
        let what = format!("source {}", root.display());
        return Err(Error::Mistakes { what, mistakes: listing.problems });
    }
    if tree.total() == 0 {
        let hidden = listing.left_out.first().and_then(|left| {
            let images = count(usize::try_from(left.images?).ok()?, "image");
            Some(format!("; {} has {images}, and {}: rename it", left.path, left.why))
        });
        let hidden = hidden.unwrap_or_default();
        return Err(invalid(format!("has no JPEG or PNG at any depth{}{hidden}", tree.instead(root))));
    }
    let folders = sorted::folders(root, &listing, &tree);
    let wanted = match &folders {
        Ok((look, None)) => Wanted {
            read: look.annotated.iter().map(|(_, file)| file.as_str()).collect(),
            splits: look.classes.len() > 1 && !look.has_splits(),
        },
        _ => Wanted::default(),
    };
    let found = lists::find(&listing, &tree, &wanted);
    match folders {
        Ok((look, None)) if look.classes.len() > 1 => beside::classes(root, &tree, look, found),
        Ok((look, unsorted)) => match (found, unsorted) {
            (Ok(Some(found)), unsorted) if unsorted.is_some() || found.labels.len() > 1 => {
                match beside::unnamed(&tree, &found).iter().find(|folder| beside::is_val(folder)) {
                    Some(folder) => Err(format!(
                        "is only partly clear: {} names no image of {folder}/, which is val by its name: put \
                         rows for its images into the list, or move the folder away",
                        found.spec.file
                    )),
                    None => beside::alone(root, &tree, found),
                }
            }
            (Err(doubt), None) => Err(format!(
                "is only partly clear: by its folders it has one class, and {}; or, if that class is all, \
                 move {} away",
                doubt.why, doubt.file
            )),
            (Err(doubt), Some(_)) => Err(format!("is only partly clear: {}", doubt.why)),
            (Ok(_), Some(why)) => Err(why),
            (Ok(_), None) => Ok(look),
        },
        // A list settles what the folders do not say if it is about all of them.
        Err(why) => match found {
            Ok(Some(found)) => match beside::unnamed(&tree, &found).first() {
                Some(folder) => Err(format!(
                    "{why}. {} does not settle it: it names no image of {}",
                    found.spec.file,
                    shown(folder)
                )),
                None => beside::alone(root, &tree, found),
            },
            Ok(None) => Err(why),
            Err(doubt) => Err(format!("{why}. {} does not settle it: {}", doubt.file, doubt.why)),
        },
    }
    .and_then(|look| beside::texts(&listing, &tree, look))
    .map_err(invalid)
}

/// `a, b and c`, or the first of many.
fn and<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match (&shown[..], names.len().saturating_sub(SHOWN)) {
        ([], _) => String::new(),
        ([one], _) => (*one).into(),
        ([before @ .., last], 0) => format!("{} and {last}", before.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}
