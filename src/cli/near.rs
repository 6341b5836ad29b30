//! What a mistyped name may have meant.

use isn_format::dataset_ref::DatasetRef;
use isn_format::error::Error;

/// Sorts what an [`Error::NotFound`] names as being there: the nearest to what was asked for comes first.
pub(super) fn nearest_first(mut error: Error) -> Error {
    if let Error::NotFound { what, near, .. } = &mut error {
        let (name, version) = asked(what);
        near.sort_by_cached_key(|there| match is_version(there) {
            true => distance(&version, there),
            false => distance(&name, there),
        });
    }
    error
}

/// The nearest name that is there, if it is near enough to be what was meant. A version is never guessed.
pub(super) fn meant<'e>(what: &str, near: &'e [String]) -> Option<&'e str> {
    let (asked, _) = asked(what);
    let names = near.iter().filter(|there| !is_version(there));
    let (distance, nearest) = names.map(|there| (distance(&asked, there).0, there)).min()?;
    (distance > 0 && distance <= 2 && (distance as usize) < asked.chars().count()).then_some(nearest)
}

/// The name and the version that were asked for: `trian` of `split trian`, `birds` and `1.7` of `birds@1.7`.
fn asked(what: &str) -> (String, String) {
    let last = what.rsplit(' ').next().unwrap_or(what);
    match last.parse() {
        Ok(DatasetRef::Version(id, _)) => (id.name.to_string(), id.version.to_string()),
        _ => (last.into(), last.into()),
    }
}

fn is_version(text: &str) -> bool {
    version(text).is_some()
}

/// How far apart two names are: versions by their numbers, other names by the letters that differ.
fn distance(asked: &str, there: &str) -> (u64, u64) {
    match (version(asked), version(there)) {
        (Some((a, b)), Some((c, d))) => (a.abs_diff(c), b.abs_diff(d)),
        _ => (letters(asked, there), 0),
    }
}

fn version(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The least number of letters to insert, remove, replace or exchange with a neighbour (optimal string
/// alignment).
fn letters(a: &str, b: &str) -> u64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<u64>> = vec![(0..=b.len() as u64).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i as u64 + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (rows[i][j] + u64::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::error::Missing;

    fn sorted(what: &str, there: &[&str]) -> Vec<String> {
        let error = Error::not_found(Missing::Version, what, "registry reg").near(there);
        let Error::NotFound { near, .. } = nearest_first(error) else { panic!() };
        near
    }

    #[test]
    fn the_nearest_comes_first() {
        assert_eq!(sorted("pics@1.7", &["1.0", "1.1", "1.8", "2.7"]), ["1.8", "1.1", "1.0", "2.7"]);
        assert_eq!(sorted("brids@1.0", &["bards", "birds"]), ["birds", "bards"]);
        assert_eq!(sorted("class n9", &["n1", "n99", "bee"]), ["n1", "n99", "bee"]);
        assert_eq!(sorted("split trian", &["test", "val", "train"]), ["train", "test", "val"]);
        for (a, b, distance) in [("", "ab", 2), ("abc", "acb", 1), ("ant", "bee", 3), ("ant", "ants", 1)] {
            assert_eq!((letters(a, b), letters(b, a)), (distance, distance), "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_near_is_guessed() {
        let meant = |what, there: &[&str]| {
            let there: Vec<String> = there.iter().map(ToString::to_string).collect();
            super::meant(what, &there).map(ToOwned::to_owned)
        };
        assert_eq!(meant("split trian", &["val", "train"]).as_deref(), Some("train"));
        assert_eq!(meant("brids@1.0", &["birds"]).as_deref(), Some("birds"));
        assert_eq!(meant("class n9", &["bee", "wasp"]), None);
        assert_eq!(meant("class x", &["y"]), None);
        assert_eq!(meant("birds@1.7", &["1.0", "1.1"]), None);
    }
}
