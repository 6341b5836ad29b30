//! Files that say the classes of the images of a split.

use std::collections::{BTreeMap, BTreeSet};

use super::and;
use super::folder::Folder;
use super::lists::{FILES, is_guess, is_text};
use super::table::is_label;
use crate::source::Listing;
use crate::source::annotated::{Image, Names};
use crate::source::rows::{Rows, path_of, short};
use isn_format::source_spec::{check_folder, nfc};

/// After how many rows without an image and its class a file is none of annotations.
const UNKNOWN: usize = 10_000;

/// Finds the file that says the classes of the images in `place`, which is a split without folders of
/// classes.
///
/// # Errors
/// That there are several, or that one has several columns that may be the class.
pub(super) fn find(
    listing: &Listing<'_>,
    tree: &Folder,
    place: &Folder,
    classes: &BTreeSet<String>,
) -> Result<Option<String>, String> {
    let images: Vec<Image> =
        place.paths().into_iter().map(|path| Image { path, id: String::new() }).collect();
    let names = Names::of(&images);
    let kinds = ["csv", "tsv", "txt"];
    let beside = tree.others.iter().map(String::as_str).filter(|path| is_text(path, &kinds));
    let mut found = Vec::new();
    for path in place.texts(&kinds).into_iter().chain(beside).take(FILES) {
        if check_folder(path).is_ok() && annotates(listing, path, (&names, &images), classes)? {
            found.push(path);
        }
    }
    match found[..] {
        [] => Ok(None),
        [file] => Ok(Some(file.to_owned())),
        _ => Err(format!(
            "has several files that say the classes of {}/, {}: move away those that are not to be read",
            place.path,
            and(&found)
        )),
    }
}

/// Whether the first field of each row is an image, and the second its class.
///
/// # Errors
/// That another column may be the class.
fn annotates(
    listing: &Listing<'_>,
    file: &str,
    (names, images): (&Names, &[Image]),
    classes: &BTreeSet<String>,
) -> Result<bool, String> {
    let Ok(rows) = Rows::read(listing, file) else { return Ok(false) };
    let is_class = |word: &str| classes.contains(&*nfc(word));
    let (mut all, mut known, mut right, mut wrong) = (0, 0, 0, 0);
    let mut header: Vec<String> = Vec::new();
    // Other columns whose fields are classes, too, and whether they have been others than the second.
    let mut others: Option<BTreeMap<usize, bool>> = None;
    rows.each(|_, fields| {
        let class = fields.get(1).copied().filter(|word| is_class(word));
        let image = path_of(fields[0]).ok().and_then(|path| names.find(images, &path).ok());
        if all == 0 && image.is_none() && class.is_none() {
            header = fields.iter().map(|field| (*field).to_owned()).collect();
        }
        all += 1;
        known += usize::from(class.is_some() || image.is_some());
        right += usize::from(class.is_some() && image.is_some());
        wrong += usize::from(class.is_none() && image.is_some());
        if image.is_some() {
            let others = others.get_or_insert_with(|| (2..fields.len()).map(|at| (at, false)).collect());
            others.retain(|at, differs| {
                *differs |= fields.get(*at) != fields.get(1);
                fields.get(*at).is_some_and(|word| is_class(word))
            });
        }
        // Most files are others.
        all < UNKNOWN || right > 0
    });
    let is_label = |at: usize| header.get(at).is_some_and(|name| is_label(name));
    let is_one = right > 0 && wrong == 0 && right * 10 >= known * 9;
    let same = others.into_iter().flatten().filter(|(_, differs)| *differs).map(|(at, _)| at);
    let named = (2..header.len()).filter(|at| is_label(*at) && !is_label(1));
    let rivals: BTreeSet<usize> = same.chain(named).collect();
    let is_guess = is_guess(file) || header.get(1).is_some_and(|name| is_guess(name));
    match rivals.first() {
        _ if is_one && is_guess => Err(format!(
            "is only partly clear: by its name, {file} or its second column has the guesses of a model: move it \
             away, or rename it"
        )),
        Some(at) if is_one || (right > 0 && is_label(*at)) => Err(format!(
            "is only partly clear: the class of an image is the second field of each row of {file}, and the field \
             {} may be it as well{}: remove that column, or put the class second",
            at + 1,
            header.get(*at).map(|name| format!(" ({})", short(name))).unwrap_or_default()
        )),
        _ => Ok(is_one),
    }
}
