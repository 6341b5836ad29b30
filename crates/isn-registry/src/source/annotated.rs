//! Splits of a folder whose images have their classes in a file, as TinyImageNet's `val_annotations.txt`: a
//! name and the word of a class in each row.

use std::collections::{HashMap, HashSet};

use super::listing::{Listing, image_stem};
use super::rows::{Findings, Rows, check_field, path_of, short, visible, words};
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
    let mut first = None;
    let open = rows.each(|line, fields| {
        if let Some(why) = rows.swallowed(fields) {
            findings.wrong(listing, line, why);
            return true;
        }
        let [written, label, ..] = fields else {
            let why = format!(
                "has one field: it must have a file name and the folder of a class, separated by {}",
                rows.separator()
            );
            findings.wrong(listing, line, why);
            return true;
        };
        for (what, field) in [("path", written), ("class", label)] {
            if let Err(why) = check_field(field) {
                findings.wrong(listing, line, format!("the {what} {:?} {why}", short(field)));
                return true;
            }
        }
        first.get_or_insert_with(|| (line, short(written), short(label)));
        let label = nfc(label);
        let found = path_of(written).map_err(|why| format!("the path {written:?} {why}"));
        let found = found.and_then(|path| names.find(&images, &path));
        if let Ok(at) = found {
            let says = format!("the class '{}'", visible(&label));
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
    if let Some((line, name, class)) =
        first.filter(|_| !images.is_empty() && said.is_empty() && findings.has_others())
    {
        let (name, class) = (visible(&name), visible(&class));
        listing.problem(format!(
            "{file} names no image of the split, and no class of the recipe: in line {line}, '{name}' must be a \
             file name, and '{class}' the folder of a class"
        ));
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

/// Images, sorted by the segments of their paths from the last one, without the extension.
pub(super) struct Names(Vec<(String, usize)>);

impl Names {
    pub(super) fn of(images: &[Image]) -> Names {
        let paths = images.iter().map(|image| backwards(&nfc(&image.path)));
        let mut names: Vec<(String, usize)> = paths.zip(0..).collect();
        names.sort_unstable();
        Names(names)
    }

    /// Finds the image whose path is that of a row, or ends with it after a `/`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn find(&self, images: &[Image], written: &str) -> Result<usize, String> {
        let start = backwards(written);
        let first = self.0.partition_point(|(name, _)| *name < start);
        let named = self.0[first..].iter().take_while(|(name, _)| name.starts_with(&start));
        // The extension may be left out.
        let is_whole = image_stem(written).is_some();
        let found = named.map(|(_, at)| *at);
        let found = found.filter(|at| !is_whole || nfc(&images[*at].path).ends_with(written));
        match found.take(2).collect::<Vec<_>>()[..] {
            [at] => Ok(at),
            [a, b] => Err(format!("{written} may be {} or {}: rename one", images[a].path, images[b].path)),
            _ => Err(format!("no image of the split is called {written}")),
        }
    }
}

/// Returns the segments of a path from the last one, without its extension. A NUL, which no name has, ends
/// each.
fn backwards(path: &str) -> String {
    let path = image_stem(path).unwrap_or(path);
    path.rsplit('/').flat_map(|segment| [segment, "\0"]).collect()
}
