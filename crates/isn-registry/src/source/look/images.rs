//! [`Images`]: the images of a source, by how lists write their paths.

use std::collections::{BTreeSet, HashMap};

use super::folder::Folder;
use crate::source::rows::path_of;
use crate::source::{below, image_stem};
use isn_format::source_spec::nfc;

/// The images of a source, by their paths in form C without the extension.
pub(super) struct Images {
    pub(super) paths: HashMap<String, Vec<String>>,
    /// Those of each file name without the extension, in whichever folder they are.
    bare: HashMap<String, Vec<String>>,
    /// The folders that paths may be below: those with images and all above them.
    folders: BTreeSet<String>,
}

impl Images {
    pub(super) fn of(tree: &Folder) -> Images {
        let mut images = Images { paths: HashMap::new(), bare: HashMap::new(), folders: BTreeSet::new() };
        for path in tree.paths() {
            let path = nfc(&path).into_owned();
            let mut above = path.as_str();
            while let Some((folder, _)) = above.rsplit_once('/') {
                if !images.folders.insert(folder.to_owned()) {
                    break;
                }
                above = folder;
            }
            let name = path.rsplit('/').next().unwrap_or(&path);
            images.bare.entry(image_stem(name).unwrap_or(name).to_owned()).or_default().push(path.clone());
            images.paths.entry(image_stem(&path).unwrap_or(&path).to_owned()).or_default().push(path);
        }
        images.folders.insert(String::new());
        images
    }

    /// Returns the image that a row means by a path below `folder`, or by a file name that is in one folder
    /// only.
    pub(super) fn at(&self, folder: Option<&str>, written: &str) -> Option<&str> {
        let Some(folder) = folder else {
            let name = path_of(written).ok()?;
            return match &self.bare.get(image_stem(&name).unwrap_or(&name))?[..] {
                [image] if image_stem(&name).is_none() || image.ends_with(&name) => Some(image),
                _ => None,
            };
        };
        let path = below(folder, &path_of(written).ok()?);
        let stem = image_stem(&path);
        let mut named = self.paths.get(stem.unwrap_or(&path))?.iter();
        match stem {
            Some(_) => named.find(|image| **image == path).map(String::as_str),
            None => named.next().map(String::as_str),
        }
    }

    /// The folders below which the paths of nearly all of these are images.
    pub(super) fn folders_of(&self, written: &[&str]) -> Vec<&str> {
        let folders = self.folders.iter().map(String::as_str);
        folders.filter(|folder| self.has_most(Some(folder), written)).collect()
    }

    /// Whether nearly all of these end with the name of an image, wherever that is.
    pub(super) fn have_names(&self, written: &[&str]) -> bool {
        let is_name = |written: &&&str| {
            let name = nfc(written.rsplit(['/', '\\']).next().unwrap_or_default().trim());
            self.bare.contains_key(image_stem(&name).unwrap_or(&name))
        };
        written.iter().filter(is_name).count() * 10 >= written.len() * 9
    }

    /// Whether nearly all of these are images below `folder`.
    pub(super) fn has_most(&self, folder: Option<&str>, written: &[&str]) -> bool {
        let found = written.iter().filter(|path| self.at(folder, path).is_some()).count();
        found > 0 && found * 10 >= written.len() * 9
    }
}
