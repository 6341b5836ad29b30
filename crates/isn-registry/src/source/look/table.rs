//! [`Table`]: a file whose columns may be those of a list of images, and which ones they are.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::and;
use super::folder::Folder;
use super::names::named;
use crate::source::rows::{Rows, path_of, short};
use crate::source::{Listing, below, image_stem, join};
use isn_format::ledger;
use isn_format::source_spec::nfc;

/// The maximum length of a file that is taken for a list, in bytes: 50 for each of five million images. All
/// of it is in memory.
const MAX_GUESSED: u64 = 256 << 20;
/// How many rows are looked at to find out what the columns of a file are.
const SAMPLE: usize = 100;

/// Names of columns of paths, as [`plain`] has them, the most telling first.
const PATHS: [&str; 13] = [
    "path",
    "filepath",
    "filepaths",
    "imagepath",
    "imgpath",
    "filename",
    "imagename",
    "imgname",
    "file",
    "image",
    "img",
    "imageid",
    "id",
];

/// Names of columns of labels.
const LABELS: [&str; 27] = [
    "label",
    "labels",
    "class",
    "classes",
    "classname",
    "classlabel",
    "classid",
    "classindex",
    "category",
    "categoryname",
    "categoryid",
    "breed",
    "species",
    "variety",
    "diagnosis",
    "disease",
    "dx",
    "target",
    "targetname",
    "wnid",
    "synset",
    "labelid",
    "labelname",
    "labelindex",
    "tag",
    "y",
    "commonname",
];

/// Names of columns of splits.
const SPLITS: [&str; 8] = ["split", "splits", "subset", "set", "partition", "phase", "dataset", "usage"];

/// The images of a source, by their paths in form C without the extension.
pub(super) struct Images {
    pub(super) paths: HashMap<String, Vec<String>>,
    /// The folders that paths may be below: those with images and all above them.
    folders: BTreeSet<String>,
}

impl Images {
    pub(super) fn of(tree: &Folder) -> Images {
        let mut images = Images { paths: HashMap::new(), folders: BTreeSet::new() };
        for path in tree.paths() {
            let path = nfc(&path).into_owned();
            let mut above = path.as_str();
            while let Some((folder, _)) = above.rsplit_once('/') {
                if !images.folders.insert(folder.to_owned()) {
                    break;
                }
                above = folder;
            }
            images.paths.entry(image_stem(&path).unwrap_or(&path).to_owned()).or_default().push(path);
        }
        images.folders.insert(String::new());
        images
    }

    /// Returns the image that a row means by a path below `folder`.
    pub(super) fn at(&self, folder: &str, written: &str) -> Option<&str> {
        let path = below(folder, &path_of(written).ok()?);
        let stem = image_stem(&path);
        let mut named = self.paths.get(stem.unwrap_or(&path))?.iter();
        match stem {
            Some(_) => named.find(|image| **image == path).map(String::as_str),
            None => named.next().map(String::as_str),
        }
    }

    /// How many images are in a folder and below it.
    fn below(&self, folder: &str) -> usize {
        let is_below = |path: &&String| {
            folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        self.paths.values().flatten().filter(is_below).count()
    }

    /// The folders below which the paths of nearly all of these are images.
    fn folders_of(&self, written: &[&str]) -> Vec<&str> {
        let is_it = |folder: &&str| {
            let found = written.iter().filter(|path| self.at(folder, path).is_some()).count();
            found > 0 && found * 10 >= written.len() * 9
        };
        self.folders.iter().map(String::as_str).filter(is_it).collect()
    }
}

/// The name of a column in lower case, without blanks and the like.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '.')).flat_map(char::to_lowercase).collect()
}

/// A file with a header.
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn read(listing: &Listing<'_>, file: &str) -> Option<Table> {
        let about = join(listing.root, file).metadata().ok()?;
        if about.len() > MAX_GUESSED {
            return None;
        }
        let mut rows = Vec::new();
        Rows::read(listing, file).ok()?.each(|_, fields| {
            rows.push(fields.iter().map(|field| (*field).to_owned()).collect());
            true
        });
        let header: Vec<String> = if rows.is_empty() { return None } else { rows.remove(0) };
        let is_ledger = [ledger::HEADER, ledger::OLD_HEADER].contains(&header.join(",").as_str());
        (!is_ledger && !rows.is_empty()).then_some(Table { header, rows })
    }

    /// The names of columns, for a message.
    fn named(&self, columns: &[usize]) -> String {
        and(&columns.iter().map(|at| short(&self.header[*at])).collect::<Vec<_>>())
    }

    /// The first fields of a column.
    fn sample(&self, column: usize) -> Vec<&str> {
        let fields = self.rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
        fields.filter(|field| !field.is_empty()).take(SAMPLE).collect()
    }

    /// Finds the column whose fields are the paths of images.
    pub(super) fn path(&self, images: &Images) -> Result<Option<usize>, String> {
        let is_path = |at: &usize| !images.folders_of(&self.sample(*at)).is_empty();
        let rank = |at: &usize| PATHS.iter().position(|known| plain(&self.header[*at]) == *known);
        let mut found: Vec<usize> = (0..self.header.len()).filter(is_path).collect();
        found.sort_by_key(|at| rank(at).unwrap_or(PATHS.len()));
        match found[..] {
            [] => Ok(None),
            [first, _, ..] if rank(&first).is_none() => {
                Err(format!("its columns {} all do: call the right one path", self.named(&found)))
            }
            [first, ..] => Ok(Some(first)),
        }
    }

    /// Finds the folder that the paths are below.
    pub(super) fn folder<'i>(&self, images: &'i Images, path: usize) -> Result<&'i str, String> {
        let folders = images.folders_of(&self.sample(path));
        if folders.iter().any(|folder| images.at(folder, &self.header[path]).is_some()) {
            return Err(
                "its first line is that of an image: begin the file with a line of the names of its \
                        columns, such as path,label"
                    .into(),
            );
        }
        let as_many = |folder: &&&str| images.below(folder) == self.rows.len();
        match (&folders[..], &folders.iter().filter(as_many).collect::<Vec<_>>()[..]) {
            ([one], _) => Ok(one),
            (_, [one]) => Ok(one),
            _ => {
                Err(format!("those of {} all have such names: put the folder into its paths", and(&folders)))
            }
        }
    }

    /// Finds the columns of labels and of splits.
    pub(super) fn label_and_split(&self, path: usize) -> Result<(usize, Option<usize>), String> {
        let is_one_of = |names: &[&str], at: usize| names.contains(&plain(&self.header[at]).as_str());
        let is_other = |at: &usize| *at != path && !self.header[*at].is_empty();
        let (splits, others): (Vec<usize>, Vec<usize>) =
            (0..self.header.len()).filter(is_other).partition(|at| is_one_of(&SPLITS, *at));
        if splits.len() > 1 {
            return Err(format!("its columns {} may each be the split: keep one", self.named(&splits)));
        }
        let known: Vec<usize> = others.iter().copied().filter(|at| is_one_of(&LABELS, *at)).collect();
        let label = match (&known[..], &others[..]) {
            ([one], _) | ([], [one]) => *one,
            ([], []) => return Err("no column says their classes: add one, label".into()),
            ([], _) => {
                let others = self.named(&others);
                return Err(format!("which of its columns {others} is the class? Call that one label"));
            }
            (several, _) if self.say_one_thing(several) => {
                // Of a number and a name, the name.
                let is_name =
                    |at: &&usize| self.sample(**at).iter().any(|field| field.parse::<f64>().is_err());
                several.iter().find(is_name).copied().unwrap_or(several[0])
            }
            (several, _) => {
                let several = self.named(several);
                return Err(format!("its columns {several} may each be the class: keep one of them"));
            }
        };
        // `is_test`: what isn does not read must not make test images train images.
        let says_split = |at: &&usize| **at != label && named(&self.header[**at]).is_some();
        match others.iter().find(says_split) {
            Some(at) => Err(format!(
                "its column {} may say the splits, which isn does not read: add a column split that says train, \
                 val or test",
                short(&self.header[*at])
            )),
            None => Ok((label, splits.first().copied())),
        }
    }

    /// Whether each field of one of these columns goes with one of each other.
    fn say_one_thing(&self, columns: &[usize]) -> bool {
        let distinct = |columns: &[usize]| {
            let fields =
                |row: &'_ Vec<String>| columns.iter().map(|at| row.get(*at).cloned()).collect::<Vec<_>>();
            self.rows.iter().map(fields).collect::<HashSet<_>>().len()
        };
        columns.iter().all(|at| distinct(&[*at]) == distinct(columns))
    }
}
