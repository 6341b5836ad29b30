//! Files that say the classes of the images of a split.

use std::collections::{BTreeMap, BTreeSet};

use super::and;
use super::columns::{is_guess, is_label, is_path, may_be_label};
use super::folder::Folder;
use super::lists::{FILES, is_text};
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
    let (mut all, mut known, mut right, mut wrong, mut reverse) = (0, 0, 0, 0, 0);
    let mut header: Vec<String> = Vec::new();
    // In how many rows other columns have classes, too, and in how many others than the second.
    let (mut images_found, mut others) = (0, BTreeMap::<usize, (usize, usize)>::new());
    rows.each(|_, fields| {
        let class = fields.get(1).copied().filter(|word| is_class(word));
        let image_of = |field: &str| path_of(field).ok().and_then(|path| names.find(images, &path).ok());
        let image = image_of(fields[0]);
        if all == 0 && image.is_none() && class.is_none() {
            header = fields.iter().map(|field| (*field).to_owned()).collect();
        }
        all += 1;
        known += usize::from(class.is_some() || image.is_some());
        right += usize::from(class.is_some() && image.is_some());
        wrong += usize::from(class.is_none() && image.is_some());
        reverse +=
            usize::from(is_class(fields[0]) && fields.get(1).is_some_and(|field| image_of(field).is_some()));
        if image.is_some() {
            images_found += 1;
            for (at, word) in fields.iter().enumerate().skip(2).filter(|(_, word)| is_class(word)) {
                let (all, differs) = others.entry(at).or_default();
                *all += 1;
                *differs += usize::from(fields.get(1) != Some(word));
            }
        }
        // Most files are others.
        all < UNKNOWN || right > 0
    });
    let is_label = |at: usize| header.get(at).is_some_and(|name| is_label(name));
    let is_one = right > 0 && wrong == 0 && right * 10 >= known * 9;
    // Without a header, labels from 0 in a later column are not all names of folders from 1.
    let is_same = |all: usize| all == images_found || (header.is_empty() && all * 2 > images_found);
    let same =
        others.into_iter().filter(|(_, (all, differs))| *differs > 0 && is_same(*all)).map(|(at, _)| at);
    // A header decides: of several columns, that of the class is called so.
    let is_called = header.get(1).is_some_and(|name| may_be_label(name));
    let named = (2..header.len()).filter(|at| is_label(*at) && !is_label(1));
    let is_reverse = match &header[..] {
        [first, second, ..] => (is_label(0) && !is_label(1)) || (is_path(second) && !is_path(first)),
        _ => reverse == right,
    };
    let rivals: BTreeSet<usize> = same.chain(named).collect();
    let is_guess = is_guess(file) || header.get(1).is_some_and(|name| is_guess(name));
    match rivals.first() {
        _ if right > 0 && is_reverse => Err(format!(
            "is only partly clear: the first field of each row of {file} must be an image, and the second \
             its class, and {}: exchange them, or give the file a header such as path,label",
            match header.is_empty() {
                true => "the rows may be read the other way as well".into(),
                false => format!("its header says {}", short(&header.join(","))),
            }
        )),
        _ if is_one && header.len() > 2 && !is_called => Err(format!(
            "is only partly clear: the class of an image is the second field of each row of {file}, and its \
             header calls that {}: call it label, if it is the class; or put the class second",
            short(&header[1])
        )),
        _ if is_one && is_guess => Err(format!(
            "is only partly clear: by its name, {file} or its second column has the guesses of a model: move \
             it away, or rename it"
        )),
        Some(at) if is_one || (right > 0 && is_label(*at)) => Err(format!(
            "is only partly clear: the class of an image is the second field of each row of {file}, and the \
             field {} may be it as well{}: remove that column, or put the class second",
            at + 1,
            header.get(*at).map(|name| format!(" ({})", short(name))).unwrap_or_default()
        )),
        _ => Ok(is_one),
    }
}
