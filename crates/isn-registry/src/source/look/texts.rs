//! Files that are no lists, and may say the classes of images.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;

use super::folder::Folder;
use super::lists::{is_table, read};
use super::table::Images;
use crate::source::rows::{Rows, short};
use crate::source::{Listing, image_stem, join};
use isn_format::error::count;

/// Says why a file is no list: what its second row is.
pub(super) fn why_not(listing: &Listing<'_>, tree: &Folder, file: &str) -> String {
    let rows = match Rows::read(listing, file) {
        Ok(rows) => rows,
        Err(error) => return error.to_string(),
    };
    let mut second = None;
    rows.each(|line, fields| {
        second = (line > 1).then(|| (line, fields.iter().map(|field| short(field)).collect::<Vec<_>>()));
        second.is_none()
    });
    let image = tree.paths().into_iter().next().unwrap_or_default();
    match second {
        Some((line, fields)) => {
            let n = count(fields.len(), "field");
            let fields: Vec<String> = fields.into_iter().map(|field| format!("'{field}'")).collect();
            format!(
                "the {n} of line {line}: {}; none is the path of an image, such as {image}, or most rows have none",
                fields.join(", ")
            )
        }
        None => "it has one row".into(),
    }
}

/// How many images are looked for in other files, and in how much of one, in bytes.
const IMAGES: usize = 50;
const HEAD: u64 = 1 << 20;

/// A file that is no list, and names several of the images.
pub(super) fn names_images(listing: &Listing<'_>, tree: &Folder) -> Option<String> {
    let images: Vec<String> = tree.paths().into_iter().take(IMAGES).collect();
    let names: Vec<&str> =
        images.iter().map(|path| path.rsplit('/').next().unwrap_or(path)).map(long_stem).collect();
    let names: Vec<String> = names.into_iter().map(str::to_lowercase).collect();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let all = Images::of(tree);
    // What is understood of a list has been said.
    let is_no_list = |path: &&str| !is_table(path) || matches!(read(listing, &all, path), Ok(None));
    let kinds = ["csv", "tsv", "txt", "lst", "json", "jsonl", "ndjson", "xml", "yaml", "yml"];
    for path in tree.texts(&kinds).into_iter().filter(is_no_list) {
        let mut head = Vec::new();
        let read =
            File::open(join(listing.root, path)).and_then(|file| file.take(HEAD).read_to_end(&mut head));
        // UTF-16 has zeros.
        head.retain(|byte| *byte != 0);
        let text = String::from_utf8_lossy(&head).to_lowercase();
        let found = names.iter().map(String::as_str).filter(|name| read.is_ok() && text.contains(name));
        named.extend(found);
        if named.len() > 1 {
            return Some(path.to_owned());
        }
    }
    None
}

/// The name of an image without its extension, if that is long enough to be found in a text.
fn long_stem(name: &str) -> &str {
    image_stem(name).filter(|stem| stem.len() > 5).unwrap_or(name)
}

/// A file that may say the classes of images, whose format isn does not read; or one beside an image that has
/// its name.
pub(super) fn unread(tree: &Folder) -> Option<String> {
    let tables = ["xlsx", "xls", "ods", "npy", "npz", "mat", "parquet", "pkl", "h5", "gz", "zip"];
    if let Some(file) = tree.texts(&tables).first() {
        return Some((*file).to_owned());
    }
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let images: HashSet<String> = tree
        .paths()
        .iter()
        .map(|path| name(path))
        .filter_map(|name| Some(image_stem(&name)?.into()))
        .collect();
    let beside = tree.texts(&["txt", "json", "xml"]).into_iter();
    let is_one = |path: &&str| name(path).rsplit_once('.').is_some_and(|(stem, _)| images.contains(stem));
    beside.filter(is_one).nth(1).map(Into::into)
}
