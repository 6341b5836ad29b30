//! Hugging Face's layout: parquet files `data/train-00000-of-00294.parquet`, `data/validation-…`, with one
//! row for each image: `image` (`bytes` and `path`) and `label`, the position of the class among the sorted
//! wnids.

#[cfg(feature = "parquet")]
mod rows;

use std::collections::BTreeMap;

use crate::source::{Listing, SourceLayout, below};
use isn_format::class::Class;
use isn_format::split::Split;

/// Lists the parquet files, if there are any.
pub(super) fn list(listing: &mut Listing<'_>, classes: &[Class]) -> bool {
    let Some(found) = ["data", ""].iter().find_map(|folder| find(listing, folder)) else { return false };
    let shards = found.values().map(Vec::len).sum();
    listing.layout = SourceLayout::Parquet { shards };
    for split in [Split::Train, Split::Val] {
        match (found.get(&split), split) {
            (Some(names), _) => check_complete(listing, names),
            (None, Split::Train) => listing.problem("there is no train-*.parquet".into()),
            (None, _) => {
                listing.warnings.push("there is no validation-*.parquet: only train images are taken".into())
            }
        }
    }
    #[cfg(feature = "parquet")]
    for (split, name) in found.iter().flat_map(|(split, names)| names.iter().map(|name| (*split, name))) {
        rows::list(listing, classes, name, split);
    }
    #[cfg(not(feature = "parquet"))]
    {
        let _ = classes;
        listing.problem(
            "the images are in parquet files, which this isn cannot read: install it with \
             `cargo install isn --features parquet` (or `full`), or unpack them"
                .into(),
        );
    }
    true
}

/// Returns the paths of the parquet files of train and val in `folder`. Those of test have no labels.
fn find(listing: &mut Listing<'_>, folder: &str) -> Option<BTreeMap<Split, Vec<String>>> {
    if !crate::source::join(listing.root, folder).is_dir() {
        return None;
    }
    let mut found: BTreeMap<Split, Vec<String>> = BTreeMap::new();
    for entry in listing.entries(folder).iter().filter(|entry| !entry.is_dir) {
        let Some(stem) = entry.name.strip_suffix(".parquet") else { continue };
        let split = match stem.split('-').next() {
            Some("train") => Split::Train,
            Some("validation" | "val") => Split::Val,
            _ => continue,
        };
        found.entry(split).or_default().push(below(folder, &entry.name));
    }
    (!found.is_empty()).then_some(found)
}

/// Checks that no file is missing of files numbered `-00000-of-00294`.
fn check_complete(listing: &mut Listing<'_>, paths: &[String]) {
    let numbered = |path: &String| -> Option<(u32, u32)> {
        let mut parts = path.strip_suffix(".parquet")?.rsplit('/').next()?.split('-').skip(1);
        let (number, of, count) = (parts.next()?, parts.next()?, parts.next()?);
        (of == "of").then_some((number.parse().ok()?, count.parse().ok()?))
    };
    let Some(numbers) = paths.iter().map(numbered).collect::<Option<Vec<_>>>() else { return };
    let Some(&(_, count)) = numbers.first() else { return };
    // The count is only what a name claims, so the number of checks is limited.
    let lacking: Vec<u32> =
        (0..count).filter(|number| !numbers.contains(&(*number, count))).take(paths.len() + 10).collect();
    if let Some(first) = lacking.first() {
        let of =
            paths[0].split("-of-").next().and_then(|path| path.rsplit_once('-')).map_or("", |(of, _)| of);
        let more = if lacking.len() > 1 { " and others" } else { "" };
        listing.problem(format!("{of}-{first:05}-of-{count:05}.parquet{more} of {count} files is not there"));
    }
}
