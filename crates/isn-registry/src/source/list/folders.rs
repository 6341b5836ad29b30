//! Finds the images that the rows of a list name.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use crate::source::join;
use crate::source::listing::{Listing, below, image_stem, told};
use isn_format::source_spec::{SourceSpec, nfc};

/// The folders that were looked into, by their paths.
#[derive(Default)]
pub(super) struct Folders(BTreeMap<String, Folder>);

/// The names in a folder.
#[derive(Default)]
struct Folder {
    /// Folders, by their names in form C.
    folders: HashMap<String, Vec<String>>,
    /// Images, by their names in form C without the extension.
    images: HashMap<String, Vec<String>>,
    /// Other files, by their names in form C.
    others: HashMap<String, Vec<String>>,
    /// The first folder or image, by its name in lower case without the extension. It is made when a row has
    /// no image.
    alike: OnceCell<HashMap<String, String>>,
}

impl Folder {
    fn read(listing: &mut Listing<'_>, spec: &SourceSpec, path: &str) -> Folder {
        let mut folder = Folder::default();
        for entry in listing.entries(path) {
            let stem = image_stem(&entry.name).map(|stem| spec.spelled(stem).into_owned());
            match (entry.is_dir, stem) {
                (true, _) => {
                    let name = spec.spelled(&entry.name).into_owned();
                    folder.folders.entry(name).or_default().push(entry.name);
                }
                (false, Some(stem)) => folder.images.entry(stem).or_default().push(entry.name),
                (false, None) => {
                    let name = spec.spelled(&entry.name).into_owned();
                    folder.others.entry(name).or_default().push(entry.name);
                }
            }
        }
        folder
    }

    /// Returns a folder or image whose name differs from `name` in case or in its extension alone.
    fn alike(&self, name: &str) -> Option<&str> {
        let folded = |name: &str| nfc(image_stem(name).unwrap_or(name)).to_lowercase();
        let index = || {
            let mut all: Vec<&String> = self.folders.values().chain(self.images.values()).flatten().collect();
            all.sort_unstable_by(|a, b| b.cmp(a));
            // Of those that are alike, the last one that is put in stays.
            all.into_iter().map(|name| (folded(name), name.clone())).collect()
        };
        self.alike.get_or_init(index).get(&folded(name)).map(String::as_str)
    }
}

impl Folders {
    /// Finds the image of a row: the file at `path` below the folder to which `images` leads, where the
    /// extension of a name may be left out.
    ///
    /// # Errors
    /// That there is no such image, or several.
    pub(super) fn find(
        &mut self,
        listing: &mut Listing<'_>,
        spec: &SourceSpec,
        images: &[&str],
        path: &str,
    ) -> Result<String, Lost> {
        let mut names: Vec<&str> = images.iter().copied().chain(path.split('/')).collect();
        let name = names.pop().unwrap_or_default();
        let mut at = String::new();
        for name in names {
            let folder = self.folder(listing, spec, &at);
            at = match folder.folders.get(&*spec.spelled(name)).map(Vec::as_slice) {
                Some([one]) => below(&at, one),
                Some([one, other, ..]) => {
                    let (one, other) = (below(&at, one), below(&at, other));
                    return Err(Lost::Wrong(format!("{one} and {other} have one name: rename one")));
                }
                _ => return Err(missing(folder, "folder", &at, name)),
            };
        }
        let folder = self.folder(listing, spec, &at);
        let stem = image_stem(name);
        let mut found = folder.images.get(stem.unwrap_or(name)).cloned().unwrap_or_default();
        found.retain(|found| stem.is_none() || spec.spelled(found) == name);
        match &found[..] {
            [one] => Ok(below(&at, one)),
            [one, other, ..] => {
                let (one, other) = (below(&at, one), below(&at, other));
                Err(Lost::Wrong(format!("{path} may be {one} or {other}: rename one")))
            }
            [] => Err(absent(listing, folder, &at, name)),
        }
    }

    fn folder(&mut self, listing: &mut Listing<'_>, spec: &SourceSpec, path: &str) -> &Folder {
        if !self.0.contains_key(path) {
            let folder = Folder::read(listing, spec, path);
            self.0.insert(path.to_owned(), folder);
        }
        &self.0[path]
    }

    /// Leaves out what no row of `file` names.
    pub(super) fn left_out(self, listing: &mut Listing<'_>, file: &str, is_named: impl Fn(&str) -> bool) {
        for (path, folder) in &self.0 {
            let is_unseen = |name: &&String| !self.0.contains_key(&below(path, name));
            let unnamed = folder.images.values().flatten().filter(|name| !is_named(&below(path, name)));
            let unseen = folder.folders.values().flatten().filter(is_unseen);
            let mut names: Vec<&str> = unnamed.chain(unseen).map(String::as_str).collect();
            names.sort_unstable();
            listing.left_out(path, None, &names, &format!("no row of {file} names it"));
            let mut others: Vec<&str> = folder.others.values().flatten().map(String::as_str).collect();
            others.sort_unstable();
            listing.left_out(path, None, &others, "not a JPEG or PNG by name");
        }
    }
}

/// Why a row has no image.
pub(super) enum Lost {
    /// Nothing has its name, nor one like it: the source is not whole.
    Missing(String),
    /// There is something else, or more than one.
    Wrong(String),
}

/// Says why there is no image of a name in a folder.
fn absent(listing: &Listing<'_>, folder: &Folder, path: &str, name: &str) -> Lost {
    let inner = below(path, name);
    let file = join(listing.root, &inner);
    if file.is_dir() {
        return Lost::Wrong(format!("{inner} is a folder"));
    }
    if folder.others.contains_key(name) {
        let kind = told(&file).map(|kind| format!(": it is {kind}")).unwrap_or_default();
        return Lost::Wrong(format!("{inner} is not a JPEG or PNG by name{kind}"));
    }
    let is_alike = |other: &&str| other.rsplit_once('.').is_some_and(|(stem, _)| stem == name);
    let mut alike = folder.others.values().flatten().map(String::as_str).filter(is_alike);
    if let Some(other) = alike.next() {
        let other = below(path, other);
        let kind =
            told(&join(listing.root, &other)).map(|kind| format!(": it is {kind}")).unwrap_or_default();
        return Lost::Wrong(format!("there is no JPEG or PNG {inner}, and {other} is none by name{kind}"));
    }
    if file.is_file() {
        return Lost::Wrong(format!(
            "{inner} has a name that starts with a dot, or is one that isn leaves out: rename it"
        ));
    }
    missing(folder, "file", path, name)
}

/// Says that a folder has no file or folder of a name, or names one that differs in case or in its extension
/// alone.
fn missing(folder: &Folder, what: &str, path: &str, name: &str) -> Lost {
    let why = format!("there is no {what} {}", below(path, name));
    match folder.alike(name) {
        Some(other) => Lost::Wrong(format!("{why}, but {}", below(path, other))),
        None => Lost::Missing(why),
    }
}
