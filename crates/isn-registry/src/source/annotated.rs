//! Splits of a folder whose images have their classes in a file, as TinyImageNet's `val_annotations.txt`: a
//! name and the word of a class in each row.

use std::collections::{HashMap, HashSet};

use super::listing::{Listing, image_stem};
use super::rows::{Findings, Rows, check_field, path_of, short, words};
use isn_format::class::{Class, ClassId};
use isn_format::source_spec::{SourceSpec, nfc};
use isn_format::split::Split;

/// An image of such a split.
pub(super) struct Image {
    /// Its path in the source.
    pub(super) path: String,
    pub(super) id: String,
}

/// Adds the images of a split that the rows of `file` name. Returns the classes that have any.
pub(super) fn add<'c>(
    listing: &mut Listing<'_>,
    spec: &SourceSpec,
    classes: &'c [Class],
    (split, file): (Split, &str),
    images: Vec<Image>,
) -> HashSet<&'c ClassId> {
    let mut seen = HashSet::new();
    let rows = match Rows::read(listing, file) {
        Ok(rows) => rows,
        Err(error) => {
            listing.problem_of(&error);
            return seen;
        }
    };
    let words = words(spec, classes);
    let names = Names::of(&images);
    let mut findings = Findings::new(file);
    let mut said: HashMap<usize, (usize, String)> = HashMap::new();
    let open = rows.each(|line, fields| {
        let [written, label, ..] = fields else {
            findings.wrong(
                listing,
                line,
                "has one field: it must have a file name and the folder of a class",
            );
            return true;
        };
        for (what, field) in [("path", written), ("class", label)] {
            if let Err(why) = check_field(field) {
                findings.wrong(listing, line, format!("the {what} {:?} {why}", short(field)));
                return true;
            }
        }
        let label = nfc(label);
        let found = path_of(written).map_err(|why| format!("the path {written:?} {why}"));
        let found = found.and_then(|path| names.find(&images, &path));
        if let Ok(at) = found {
            let says = format!("the class '{label}'");
            if let Some((first, said)) = said.get(&at) {
                findings.again(listing, &images[at].path, (*first, said), (line, &says));
                return true;
            }
            said.insert(at, (line, says));
        }
        match (words.get(&*label), found) {
            (None, found) => findings.no_class(&label, found.is_ok()),
            (Some(_), Err(why)) => findings.wrong(listing, line, why),
            (Some(class), Ok(at)) => {
                seen.insert(*class);
                let Image { path, id } = &images[at];
                if let Some(found) = listing.find(path.clone()) {
                    listing.add_found(found, id.clone(), class, split);
                }
            }
        }
        true
    });
    if let Some(line) = open {
        findings.wrong(listing, line, "a quote is never closed");
    }
    findings.finish(listing);
    let mut unnamed: HashMap<&str, Vec<&str>> = HashMap::new();
    for (_, Image { path, .. }) in images.iter().enumerate().filter(|(at, _)| !said.contains_key(at)) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        unnamed.entry(folder).or_default().push(name);
    }
    let mut unnamed: Vec<_> = unnamed.into_iter().collect();
    unnamed.sort_unstable();
    for (folder, names) in unnamed {
        listing.left_out(folder, None, &names, &format!("no row of {file} names it"));
    }
    seen
}

/// Images, by their names in form C without the extension.
pub(super) struct Names(HashMap<String, Vec<usize>>);

impl Names {
    pub(super) fn of(images: &[Image]) -> Names {
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, Image { path, .. }) in images.iter().enumerate() {
            names.entry(nfc(stem_of(last(path))).into_owned()).or_default().push(at);
        }
        Names(names)
    }

    /// Finds the image whose path is that of a row, or ends with it after a `/`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn find(&self, images: &[Image], written: &str) -> Result<usize, String> {
        let is_it = |at: &&usize| {
            let path = nfc(&images[**at].path);
            // The extension may be left out.
            let path = if image_stem(written).is_some() { &path } else { stem_of(&path) };
            path.strip_suffix(written).is_some_and(|above| above.is_empty() || above.ends_with('/'))
        };
        let named = self.0.get(stem_of(last(written))).into_iter().flatten();
        match named.filter(is_it).collect::<Vec<_>>()[..] {
            [at] => Ok(*at),
            [] => Err(format!("no image of the split is called {written}")),
            [a, b, ..] => {
                Err(format!("{written} may be {} or {}: rename one", images[*a].path, images[*b].path))
            }
        }
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn stem_of(name: &str) -> &str {
    image_stem(name).unwrap_or(name)
}
