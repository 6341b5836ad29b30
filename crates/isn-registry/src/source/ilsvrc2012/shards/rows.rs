//! Lists the rows of a parquet file as images.

use crate::source::parquet::{Row, Shard};
use crate::source::{Found, Listing, Position, image_stem, join};
use isn_format::class::Class;
use isn_format::error::about;
use isn_format::ilsvrc2012::{VAL_PREFIX, is_class, told_class, wnid_at};
use isn_format::split::Split;

/// The maximum number of faulty rows of a file that are reported one by one; in a file of another dataset,
/// every row is faulty.
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
                        modified_ns: row.modified_ns,
                        position: Position::Row { shard: listing.shards.len(), row: row.number },
                    };
                    wanted.push(row.number);
                    listing.add_found(found, id, &classes[at].id, split);
                }
                Err(why) => {
                    faults += 1;
                    if faults <= NAMED {
                        listing.problem(about(format_args!("{path} row {}", row.number), why));
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

fn class_of(row: &Row<'_>) -> Option<&'static str> {
    wnid_at(usize::try_from(row.label?).ok()?)
}

/// Returns the name of an image's file and its source id. The class that the name tells must agree with the
/// label; otherwise the labels are in another order, or this is another dataset.
fn name(row: &Row<'_>, split: Split, class: &str) -> Result<(String, String), String> {
    let path = row.path.and_then(|path| std::str::from_utf8(path).ok()).filter(|path| !path.is_empty());
    let path = path.ok_or("has no image.path, which would be its name")?;
    let file = path.rsplit('/').next().unwrap_or(path);
    let shown: String = file.chars().take(80).flat_map(char::escape_default).collect();
    let (id, ending) = id_of(file).ok_or_else(|| format!("'{shown}' is not the name of an image"))?;
    let told = told_class(id)?.ok_or_else(|| format!("the name {shown} tells no class"))?;
    let is_val = id.starts_with(VAL_PREFIX);
    if is_val != (split == Split::Val) {
        return Err(format!("{shown} is among the {split} images"));
    }
    match ending.filter(|ending| *ending != class).or((told != class).then_some(told)) {
        Some(other) => Err(format!("{shown} is of class {other} by its name, but of {class} by its label")),
        None => Ok((file.into(), id.into())),
    }
}

/// Returns the source id in the name of an image's file, and the class at the end of the name, if there is
/// one: `n01440764_10026_n01440764.JPEG` and `n01440764_10026.JPEG` both have the id `n01440764_10026`.
fn id_of(path: &str) -> Option<(&str, Option<&str>)> {
    let stem = image_stem(path.rsplit('/').next()?)?;
    match stem.rsplit_once('_') {
        Some((id, class)) if is_class(class) && (id.contains('_') || id.starts_with(VAL_PREFIX)) => {
            Some((id, Some(class)))
        }
        _ => Some((stem, None)),
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
