//! What may say the splits of a list, and is not read.

use std::collections::{BTreeMap, HashMap};

use crate::source::listing::Listing;
use crate::source::look::{is_split_column, split_in_name, split_of, split_of_word};
use crate::source::rows::{SHOWN, short, visible};
use isn_format::error::count;
use isn_format::split::Split;

/// What has the name of val or test, and is not read as such: how many images that are train are in each such
/// folder, or have such a word in a column.
#[derive(Default)]
pub(super) struct Perhaps {
    found: BTreeMap<(bool, String, String, Split), usize>,
    /// What the names of columns and folders say.
    columns: HashMap<String, Column>,
    folders: HashMap<String, Option<Split>>,
}

/// What the name of a column says.
#[derive(Clone, Copy)]
struct Column {
    /// That it has splits.
    is_split: bool,
    /// The split of which it says whether an image is in it, as `is_test`.
    of: Option<Split>,
}

impl Perhaps {
    /// Looks at the columns that are not read, of a row whose image is train, since no folder and no column
    /// says its split.
    pub(super) fn look<'f>(
        &mut self,
        unread: impl Iterator<Item = (&'f str, &'f str)>,
        path: &str,
        label: &str,
    ) {
        for (name, field) in unread {
            if !self.columns.contains_key(name) {
                let column = Column { is_split: is_split_column(name), of: split_in_name(name) };
                self.columns.insert(name.to_owned(), column);
            }
            if let Some(split) = self.columns[name].split(field).filter(|split| *split != Split::Train) {
                let is_name = field.eq_ignore_ascii_case(split.as_str());
                let word = if is_name { split.as_str().into() } else { short(field) };
                *self.found.entry((true, name.to_owned(), word, split)).or_default() += 1;
            }
        }
        for (at, _) in path.match_indices('/') {
            let folder = &path[..at];
            let name = folder.rsplit('/').next().unwrap_or(folder);
            if !self.folders.contains_key(folder) {
                self.folders.insert(folder.to_owned(), split_of(name));
            }
            match self.folders[folder] {
                // A class may be called valid.
                Some(split) if split != Split::Train && name != label => {
                    *self.found.entry((false, folder.to_owned(), String::new(), split)).or_default() += 1;
                    return;
                }
                _ => {}
            }
        }
    }

    /// Tells what was found.
    pub(super) fn tell(self, listing: &mut Listing<'_>, file: &str) {
        let found = self.found.len();
        for ((is_column, name, word, split), images) in self.found.into_iter().take(SHOWN) {
            let images = count(images, "image");
            let (name, word) = (visible(&name), visible(&word));
            let words = match word == split.as_str() {
                true => String::new(),
                false => format!(", and its words in splits = {{ {split} = [\"{word}\"], … }}"),
            };
            listing.warnings.push(match is_column {
                true => format!(
                    "{file}: {images} of train with {word} in the column {name}, which is not read: if it says the \
                     splits, name it in the recipe, [source] columns = {{ split = \"{name}\" }}{words}"
                ),
                false => format!(
                    "{file}: {images} of train in the folder {name}: if it is a split, name the folders of all \
                     splits in the recipe, [source] splits = {{ {split} = [\"{name}\"], … }}"
                ),
            });
        }
        if let Some(more) = found.checked_sub(SHOWN).filter(|more| *more > 0) {
            let more = count(more, "more folder or column");
            listing.warnings.push(format!("{file}: {more} with the name of a split may be one"));
        }
    }
}

impl Column {
    /// The split that a field of the column may say.
    fn split(self, field: &str) -> Option<Split> {
        let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(field));
        match (self.is_split, self.of) {
            (true, _) => split_of_word(field),
            // Of other columns, such as one of conditions, a word such as valid says nothing.
            (false, None) => Split::ALL.into_iter().find(|split| is(&[split.as_str()])),
            (false, Some(Split::Train)) => is(&["0", "false", "f", "no", "n"]).then_some(Split::Test),
            (false, Some(split)) => match is(&["1", "true", "t", "yes", "y"]) {
                true => Some(split),
                false => split_of_word(field),
            },
        }
    }
}
