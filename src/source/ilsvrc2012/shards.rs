//! As Hugging Face has it: parquet files `data/train-00000-of-00294.parquet`, `data/validation-…`, a row an image, with
//! `image` (`bytes` and `path`) and `label`, the place of the class among the sorted wnids.

use std::collections::BTreeMap;

use super::{VAL_PREFIX, is_class};
use crate::class::Class;
use crate::source::{Layout, Listing, below};
use crate::split::Split;

/// Lists the parquet files, if there are any.
pub(super) fn list(listing: &mut Listing<'_>, classes: &[Class]) -> bool {
    let Some(found) = ["data", ""].iter().find_map(|folder| find(listing, folder)) else { return false };
    let shards = found.values().map(Vec::len).sum();
    listing.layout = Layout::Parquet { shards };
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

/// The parquet files of train and val in `folder`, by their paths; those of test have no labels.
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

/// Of files that are numbered `-00000-of-00294`, none may lack.
fn check_complete(listing: &mut Listing<'_>, paths: &[String]) {
    let numbered = |path: &String| -> Option<(u32, u32)> {
        let mut parts = path.strip_suffix(".parquet")?.rsplit('/').next()?.split('-').skip(1);
        let (number, of, count) = (parts.next()?, parts.next()?, parts.next()?);
        (of == "of").then_some((number.parse().ok()?, count.parse().ok()?))
    };
    let Some(numbers) = paths.iter().map(numbered).collect::<Option<Vec<_>>>() else { return };
    let Some(&(_, count)) = numbers.first() else { return };
    // The count is what a name claims; more than there are files cannot be looked through one by one.
    let lacking: Vec<u32> =
        (0..count).filter(|number| !numbers.contains(&(*number, count))).take(paths.len() + 10).collect();
    if let Some(first) = lacking.first() {
        let of =
            paths[0].split("-of-").next().and_then(|path| path.rsplit_once('-')).map_or("", |(of, _)| of);
        let more = if lacking.len() > 1 { " and others" } else { "" };
        listing.problem(format!("{of}-{first:05}-of-{count:05}.parquet{more} of {count} files is not there"));
    }
}

/// The source id in the name of an image's file: `n01440764_10026_n01440764.JPEG` and `n01440764_10026.JPEG` are
/// `n01440764_10026`; and the class that the name ends in.
fn id_of(path: &str) -> Option<(&str, Option<&str>)> {
    let stem = crate::source::image_stem(path.rsplit('/').next()?)?;
    match stem.rsplit_once('_') {
        Some((id, class)) if is_class(class) && (id.contains('_') || id.starts_with(VAL_PREFIX)) => {
            Some((id, Some(class)))
        }
        _ => Some((stem, None)),
    }
}

#[cfg(feature = "parquet")]
mod rows {
    use super::super::{told_class, wnid_at};
    use super::id_of;
    use crate::class::Class;
    use crate::source::parquet::{Row, Shard};
    use crate::source::{Found, Listing, Place, join};
    use crate::split::Split;

    /// So many rows of one file are named; a file of another dataset would name them all.
    const NAMED: usize = 20;

    /// Lists one file.
    pub(super) fn list(listing: &mut Listing<'_>, classes: &[Class], path: &str, split: Split) {
        let opened = Shard::open(&join(listing.root, path), path);
        let read = opened.and_then(|mut shard| {
            let (mut faults, mut wanted) = (0, Vec::new());
            shard.rows(&mut |row| {
                let Some(at) = class_of(&row)
                    .and_then(|class| classes.binary_search_by(|other| other.id.as_str().cmp(class)).ok())
                else {
                    return;
                };
                match name(&row, split, classes[at].id.as_str()) {
                    Ok((file, id)) => {
                        let found = Found {
                            path: format!("{path}/{file}"),
                            len: 0,
                            modified_ns: shard_time(&row),
                            place: Place::Row { shard: listing.shards.len(), row: row.number },
                        };
                        wanted.push(row.number);
                        listing.add_found(found, id, &classes[at].id, split);
                    }
                    Err(why) => {
                        faults += 1;
                        if faults <= NAMED {
                            listing.problem(format!("{path} row {}: {why}", row.number));
                        }
                    }
                }
            })?;
            if faults > NAMED {
                listing.problem(format!("{path}: {} more rows like these", faults - NAMED));
            }
            shard.want(wanted);
            Ok(shard)
        });
        match read {
            Ok(shard) => listing.shards.push(shard),
            Err(error) => listing.problem_of(&error),
        }
    }

    fn shard_time(row: &Row<'_>) -> i128 {
        row.modified_ns
    }

    fn class_of(row: &Row<'_>) -> Option<&'static str> {
        wnid_at(usize::try_from(row.label?).ok()?)
    }

    /// The name of an image's file and its source id. What the name says of its class must be what the label says: else the
    /// labels are in another order, or this is another dataset.
    fn name(row: &Row<'_>, split: Split, class: &str) -> Result<(String, String), String> {
        let path = row.path.and_then(|path| std::str::from_utf8(path).ok()).filter(|path| !path.is_empty());
        let path = path.ok_or("has no image.path, which would be its name")?;
        let file = path.rsplit('/').next().unwrap_or(path);
        let shown: String = file.chars().take(80).flat_map(char::escape_default).collect();
        let (id, ending) = id_of(file).ok_or_else(|| format!("'{shown}' is no name of an image"))?;
        let told = told_class(id)?.ok_or_else(|| format!("the name {shown} tells no class"))?;
        let is_val = id.starts_with(super::VAL_PREFIX);
        if is_val != (split == Split::Val) {
            return Err(format!("{shown} stands among the {split} images"));
        }
        match ending.filter(|ending| *ending != class).or((told != class).then_some(told)) {
            Some(other) => {
                Err(format!("{shown} is of class {other} by its name, and of {class} by its label"))
            }
            None => Ok((file.into(), id.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn names_with_and_without_the_class_at_their_end() {
        for (path, id, class) in [
            ("n01440764_10026_n01440764.JPEG", "n01440764_10026", Some("n01440764")),
            ("n01440764_10026.JPEG", "n01440764_10026", None),
            ("ILSVRC2012_val_00000001_n01751748.JPEG", "ILSVRC2012_val_00000001", Some("n01751748")),
            ("val/ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000001", None),
            ("n01440764_n01440764.JPEG", "n01440764_n01440764", None),
        ] {
            assert_eq!(id_of(path), Some((id, class)), "{path}");
        }
        for bad in ["", "n01440764_1", ".JPEG", "x.txt"] {
            assert_eq!(id_of(bad), None, "{bad}");
        }
    }
}
