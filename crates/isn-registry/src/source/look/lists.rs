//! Finds the list of the images of a source. Nothing that may be meant in two ways is guessed.

use std::collections::HashSet;

use super::and;
use super::columns::{is_guess, is_label};
use super::folder::Folder;
use super::images::Images;
use super::listed::{Listed, understood};
use super::names;
use super::table::Table;
use super::texts::why_not;
use crate::source::Listing;

/// The extensions of lists.
pub(super) const TABLES: [&str; 2] = ["csv", "tsv"];
/// How many files are looked at.
pub(super) const FILES: usize = 100;

/// What is looked for in lists.
#[derive(Default)]
pub(super) struct Wanted<'l> {
    /// The files that are read already.
    pub(super) read: Vec<&'l str>,
    /// Whether only their splits matter, since the folders say the classes.
    pub(super) splits: bool,
}

/// Finds the list of the images in `tree`, if there is one.
///
/// # Errors
/// What was understood of a list, and what a person has to do.
pub(super) fn find(
    listing: &Listing<'_>,
    tree: &Folder,
    wanted: &Wanted<'_>,
) -> Result<Option<Listed>, Doubt> {
    let images = Images::of(tree);
    let (mut found, mut doubts) = (Vec::new(), Vec::new());
    for path in tree.texts(&TABLES).into_iter().filter(|path| !wanted.read.contains(path)).take(FILES) {
        match read(listing, &images, path) {
            Ok(Some(listed)) => found.push(listed),
            Ok(None) => {}
            Err(doubt) => doubts.push(doubt),
        }
    }
    let files: Vec<&str> = found.iter().map(|listed: &Listed| listed.spec.file.as_str()).collect();
    doubts.sort_by_key(|doubt: &Doubt| (wanted.splits && !doubt.says_splits, doubt.says_nothing));
    let is_of_split = |file: &str| names::split_in_name(names::stem(file)).is_some();
    let of_doubts = doubts
        .iter()
        .filter(|doubt| doubt.names_images() && !doubt.says_nothing)
        .map(|doubt| doubt.file.as_str());
    let of_splits: Vec<&str> =
        files.iter().copied().chain(of_doubts).filter(|file| is_of_split(file)).collect();
    if of_splits.len() > 1 {
        return Err(Doubt {
            file: of_splits[0].to_owned(),
            why: format!(
                "there is a list of images for each split, {}, and a recipe has one list: put the rows into one file, \
                 with a column split that says train, val or test, and move the others away",
                and(&of_splits)
            ),
            named: HashSet::new(),
            says_nothing: false,
            is_of_pairs: false,
            says_splits: true,
        });
    }
    match &found[..] {
        [] => doubts.into_iter().next().map_or(Ok(None), Err),
        [listed] => {
            let is_apart = |doubt: &Doubt| doubt.named.iter().all(|image| !listed.named.contains_key(image));
            match doubts.iter().find(|doubt| !(doubt.says_nothing && is_apart(doubt))) {
                Some(doubt) => Err(Doubt {
                    why: format!(
                        "{}; or, if {file} says all, move the other file away; if {file} says a part, put \
                         the rows into one file, with a column split that says train, val or test",
                        doubt.why,
                        file = files[0],
                    ),
                    says_splits: doubt.says_splits || listed.says_splits(),
                    ..doubt.clone()
                }),
                // An example of a submission changes nothing.
                None => {
                    let others = doubts.iter().map(|doubt| {
                        format!("{} names images that {} does not, and is not read", doubt.file, files[0])
                    });
                    let notes = others.chain(listed.notes.iter().cloned()).collect();
                    Ok(Some(Listed { notes, ..listed.clone() }))
                }
            }
        }
        _ => Err(Doubt {
            file: files[0].to_owned(),
            why: format!(
                "there are several lists of images, {}, and a recipe has one: put their rows into one file, \
                 with a column split that says train, val or test; or move away those that are not it",
                and(&files)
            ),
            named: HashSet::new(),
            says_nothing: false,
            is_of_pairs: false,
            says_splits: found.iter().any(Listed::says_splits)
                || doubts.iter().any(|doubt| doubt.says_splits),
        }),
    }
}

/// Whether a file may be a list, by its extension.
pub(super) fn is_table(path: &str) -> bool {
    is_text(path, &TABLES)
}

/// Whether a file has one of these extensions, in any case.
pub(super) fn is_text(path: &str, ends: &[&str]) -> bool {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    ends.iter().any(|known| end.eq_ignore_ascii_case(known))
}

/// What is not understood of a file that names images.
#[derive(Clone)]
pub(super) struct Doubt {
    pub(super) file: String,
    pub(super) why: String,
    /// Those images.
    named: HashSet<String>,
    /// Whether it has no labels, or by its name the guesses of a model.
    says_nothing: bool,
    /// Whether it says splits, or may.
    pub(super) says_splits: bool,
    /// Whether it has a label, and its columns of paths name different images, as pictures and their masks.
    pub(super) is_of_pairs: bool,
}

impl Doubt {
    /// Whether it names images of the source.
    pub(super) fn names_images(&self) -> bool {
        !self.named.is_empty()
    }
}

/// Reads a file, and the images that it names; `None` if it does not name any.
///
/// # Errors
/// What is not understood of a file that does.
pub(super) fn read(listing: &Listing<'_>, images: &Images, file: &str) -> Result<Option<Listed>, Doubt> {
    let Some(table) = Table::read(listing, file) else { return Ok(None) };
    let doubt = |why: String, named: HashSet<String>, path: Option<usize>| Doubt {
        file: file.to_owned(),
        why: format!("{file} names images, but {why}"),
        named,
        says_nothing: is_guess(file) || table.has_one_column(),
        says_splits: table.may_say_splits(path) || names::says_splits(file),
        is_of_pairs: path.is_none() && table.header.iter().any(|name| is_label(name)),
    };
    let all = || images.paths.values().flatten().cloned().collect();
    let Some(path) = table.path(images).map_err(|why| doubt(why, all(), None))? else {
        return match table.is_list(images.paths.values().map(Vec::len).sum()) {
            true => Err(Doubt {
                why: format!(
                    "{file} has the columns of a list, but {}. Correct its paths",
                    why_not(listing, images, file)
                ),
                says_nothing: true,
                ..doubt(String::new(), HashSet::new(), None)
            }),
            false => Ok(None),
        };
    };
    let folder = table.folder(images, path).map_err(|why| doubt(why, all(), Some(path)))?;
    let listed = match (&table.swallowed, is_guess(file)) {
        (Some(why), _) => Err(why.clone()),
        (None, true) => Err("by its name it has the guesses of a model, and no labels: move it away".into()),
        (None, false) => understood(&table, images, file, (path, folder)),
    };
    listed.map(Some).map_err(|why| {
        let image = |row: &Vec<String>| images.at(folder, row.get(path)?).map(Into::into);
        doubt(why, table.rows.iter().filter_map(image).collect(), Some(path))
    })
}
