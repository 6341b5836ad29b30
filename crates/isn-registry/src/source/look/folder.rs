//! [`Folder`]: the folders of a source, and how many images are in each.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::and;
use super::lists::is_text;
use super::names::{Named, is_plain, named, rest, split_in_name, word};
use crate::source::{Listing, below, image_stem, join, shown, told};
use isn_format::error::{Mistake, count};
use isn_format::source_spec::nfc;
use isn_format::split::Split;

/// How many words of file names are counted in a folder.
const WORDS: usize = 1000;

/// Names of folders of what is made from pictures.
const COPIES: [&str; 8] =
    ["masks", "thumbs", "thumbnails", "segmentations", "ground_truth", "groundtruth", "annotations", "depth"];
/// Words that end the names of such files.
const MADE: [&str; 8] = ["mask", "seg", "segmentation", "gt", "groundtruth", "thumb", "thumbnail", "depth"];

/// Whether a name is that of another image and a word for what is made from it, with a number or none.
fn original(stem: &str, stems: &HashSet<String>) -> bool {
    let word = stem.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '_' | '-' | ' '));
    MADE.iter().filter_map(|made| word.strip_suffix(made)).any(|rest| {
        let name = rest.trim_end_matches(['_', '-', ' ', '.']);
        name.len() < rest.len() && stems.contains(name)
    })
}

/// A folder with the files in it.
#[derive(Default)]
pub(super) struct Folder {
    pub(super) path: String,
    /// How many files are images by their names.
    pub(super) images: usize,
    /// Their names.
    files: Vec<String>,
    /// How many of them have a name that begins with this word.
    words: BTreeMap<String, usize>,
    /// How many of them have a word of a split in their names.
    of_splits: BTreeMap<Split, usize>,
    pub(super) others: Vec<String>,
    folders: BTreeMap<String, Folder>,
}

impl Folder {
    /// Reads the folder `path` and all below it. `above` is the chain of folders that lead here, with links
    /// resolved.
    pub(super) fn read(listing: &mut Listing<'_>, path: String, above: &mut Vec<PathBuf>) -> Folder {
        let mut folder = Folder { path, ..Folder::default() };
        let real = match fs::canonicalize(join(listing.root, &folder.path)) {
            Ok(real) => real,
            Err(error) => {
                let why = format!("{}: cannot be read: {error}", shown(&folder.path));
                listing.problems.push(Mistake { line: None, why });
                return folder;
            }
        };
        // What a build will say of a link that leads back.
        if above.contains(&real) {
            return folder;
        }
        above.push(real);
        for entry in listing.entries(&folder.path) {
            let inner = below(&folder.path, &entry.name);
            if entry.is_dir {
                folder.folders.insert(entry.name, Folder::read(listing, inner, above));
            } else if let Some(stem) = image_stem(&entry.name) {
                folder.images += 1;
                if let Some(word) = word(stem).filter(|_| folder.words.len() < WORDS) {
                    *folder.words.entry(word).or_default() += 1;
                }
                if let Some(split) = split_in_name(stem) {
                    *folder.of_splits.entry(split).or_default() += 1;
                }
                folder.files.push(entry.name);
            } else {
                folder.others.push(inner);
            }
        }
        above.pop();
        folder
    }

    /// The number of images in it and below it.
    pub(super) fn total(&self) -> usize {
        self.images + self.folders.values().map(Folder::total).sum::<usize>()
    }

    /// The name of the folder.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The folders in it that have images.
    pub(super) fn with_images(&self) -> Vec<&Folder> {
        self.folders.values().filter(|folder| folder.total() > 0).collect()
    }

    /// The folder at a path below it.
    pub(super) fn at(&self, path: &str) -> Option<&Folder> {
        path.split('/').try_fold(self, |folder, name| folder.folders.get(name))
    }

    /// A folder in it that a build takes for a split by its name.
    pub(super) fn reserved(&self) -> Option<&str> {
        self.folders.keys().map(String::as_str).find(|name| name.parse::<Split>().is_ok())
    }

    /// The folders in it that are splits by their names, and have no images.
    pub(super) fn empty_splits(&self) -> impl Iterator<Item = (Split, &str)> {
        let empty = self.folders.iter().filter(|(_, folder)| folder.total() == 0);
        empty.filter_map(|(name, _)| Some((named(name)?.whole()?, name.as_str())))
    }

    /// The paths of the images in it and below it.
    pub(super) fn paths(&self) -> Vec<String> {
        let own = self.files.iter().map(|name| below(&self.path, name));
        own.chain(self.folders.values().flat_map(Folder::paths)).collect()
    }

    /// The files in it and below it that have one of these extensions.
    pub(super) fn texts(&self, ends: &[&str]) -> Vec<&str> {
        let own = self.others.iter().map(String::as_str).filter(|path| is_text(path, ends));
        own.chain(self.folders.values().flat_map(|folder| folder.texts(ends))).collect()
    }

    /// Whether its images are in no folder that could be a class.
    pub(super) fn is_unsorted(&self) -> bool {
        let is_unsorted = |folder: &&Folder| folder.is_class() || folder.is_unsorted();
        self.with_images().iter().all(|folder| is_plain(folder.name()) && is_unsorted(folder))
    }

    /// The folders in it that have images, first those whose names are those of splits.
    pub(super) fn parted(&self) -> (Vec<(Named, Split, &Folder)>, Vec<&Folder>) {
        let (mut splits, mut parts, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for folder in self.with_images() {
            match named(folder.name()) {
                Some(Named::Part(split)) => parts.push((Named::Split(split), split, folder)),
                Some(named @ (Named::Split(split) | Named::Either(split))) => {
                    splits.push((named, split, folder))
                }
                None => others.push(folder),
            }
        }
        // `pets_train` and `pets_test` say the same beside the split.
        let kinds: BTreeSet<Split> = parts.iter().map(|(_, split, _)| *split).collect();
        let says: BTreeSet<Vec<String>> = parts.iter().map(|(.., folder)| rest(folder.name())).collect();
        if splits.is_empty() && kinds.len() == parts.len() && kinds.len() > 1 && says.len() == 1 {
            return (parts, others);
        }
        others.extend(parts.into_iter().map(|(.., folder)| folder));
        others.sort_by(|a, b| a.path.cmp(&b.path));
        (splits, others)
    }

    /// Lists of images that have the names of splits: `meta/test.txt`.
    pub(super) fn lists_of_splits(&self) -> Vec<&str> {
        let is_list = |path: &&str| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let (stem, _) = name.rsplit_once('.').unwrap_or_default();
            is_text(path, &["csv", "json", "lst", "tsv", "txt"])
                && named(stem).and_then(Named::whole).is_some_and(|split| split != Split::Train)
        };
        let here = self.others.iter().map(String::as_str).filter(is_list);
        here.chain(self.folders.values().flat_map(Folder::lists_of_splits)).collect()
    }

    /// Names of files in it and below it that begin with those of several splits.
    pub(super) fn splits_in_names(&self) -> BTreeMap<Split, &str> {
        let mut found: BTreeMap<Split, &str> = BTreeMap::new();
        for word in self.words.keys() {
            found.extend(named(word).and_then(Named::whole).map(|split| (split, word.as_str())));
        }
        self.folders.values().for_each(|folder| found.extend(folder.splits_in_names()));
        found
    }

    /// How many files in it and below it have a word of a split in their names.
    pub(super) fn with_splits_in_names(&self) -> BTreeMap<Split, usize> {
        let mut all = self.of_splits.clone();
        for (split, n) in self.folders.values().flat_map(Folder::with_splits_in_names) {
            *all.entry(split).or_default() += n;
        }
        all
    }

    /// The folder of a split that is the only thing in a folder of that split: `seg_train/seg_train`.
    pub(super) fn unwrapped(&self, split: Split) -> &Folder {
        match self.with_images()[..] {
            [inner] if self.images == 0 && named(inner.name()).and_then(Named::whole) == Some(split) => {
                inner.unwrapped(split)
            }
            _ => self,
        }
    }

    /// Collects the folders of classes in a split or a source: those nearest to it that have images. `way` is
    /// the path below it.
    pub(super) fn classes(&self, way: &str, found: &mut BTreeSet<String>, notes: &mut Vec<String>) {
        for folder in self.with_images() {
            let way = below(way, folder.name());
            if folder.is_class() {
                notes.extend(folder.merged());
                // A build finds them in form C: two spellings are one class.
                found.insert(nfc(&way).into_owned());
                continue;
            }
            if folder.images > 0 {
                notes.push(format!(
                    "{}: left out {} ({}{}) beside {}, which are taken for classes",
                    folder.path,
                    count(folder.images, "image"),
                    folder.files[0],
                    if folder.images == 1 { "" } else { ", …" },
                    and(&folder.perhaps_classes())
                ));
            }
            folder.classes(&way, found, notes);
        }
    }

    /// Whether it has images of its own. One picture beside folders, or few, says nothing of these.
    fn is_class(&self) -> bool {
        let is_stray = self.images == 1 || self.images * 10 <= self.total();
        self.images > 0 && !(is_stray && self.perhaps_classes().len() > 1)
    }

    /// The names of the folders in it that could be classes.
    fn perhaps_classes(&self) -> Vec<&str> {
        self.with_images().iter().map(|folder| folder.name()).filter(|name| !is_plain(name)).collect()
    }

    /// Says that a class has the images of folders that could be classes, if it has.
    pub(super) fn merged(&self) -> Option<String> {
        let (classes, images) = (self.perhaps_classes(), count(self.images, "image"));
        (classes.len() > 1).then(|| {
            format!(
                "the class {} has the images of the folders in it, {}, since {images} are in {} itself: if \
                 they are classes, move these away",
                self.path,
                and(&classes),
                self.path
            )
        })
    }

    /// Images that are masks or small copies of others beside them, by their names: how many, and the first.
    pub(super) fn copies(&self) -> Option<(usize, String)> {
        let stems: HashSet<String> =
            self.files.iter().filter_map(|name| image_stem(name)).map(str::to_lowercase).collect();
        let is_copy = |name: &&String| {
            image_stem(name).map(str::to_lowercase).is_some_and(|stem| original(&stem, &stems))
        };
        let mut own = self.files.iter().filter(is_copy);
        let first = own.next().map(|name| (1 + own.count(), below(&self.path, name)));
        let inner = self.folders.values().filter_map(Folder::copies);
        first.into_iter().chain(inner).reduce(|(n, first), (more, _)| (n + more, first))
    }

    /// Folders in classes, or at their place, that have masks or small copies by their names.
    pub(super) fn folders_of_copies<'t>(&'t self, found: &mut Vec<&'t Folder>) {
        for folder in self.with_images() {
            match COPIES.iter().any(|known| folder.name().eq_ignore_ascii_case(known)) {
                true => found.push(folder),
                false => folder.folders_of_copies(found),
            }
        }
    }

    /// Names folders without an image at the place of classes.
    pub(super) fn empty(&self) -> impl Iterator<Item = String> {
        let empty = self.folders.values().filter(|folder| folder.total() == 0);
        empty.map(|folder| format!("{}: left out, it has no JPEG or PNG", folder.path))
    }

    /// Whether it has a folder of one of these names, as a split has those of classes.
    pub(super) fn has_one_of(&self, classes: &[String]) -> bool {
        classes.iter().any(|class| self.at(class).is_some_and(|folder| folder.total() > 0))
    }

    /// Says what there is in place of images.
    pub(super) fn instead(&self, root: &Path) -> String {
        let (mut others, mut open) = (Vec::new(), vec![self]);
        while let Some(folder) = open.pop() {
            open.extend(folder.folders.values());
            others.extend(&folder.others);
        }
        others.sort_unstable();
        let mut kinds = BTreeMap::<&str, (usize, &str)>::new();
        for other in others {
            let kind = told(&join(root, other)).unwrap_or("a file of another kind");
            kinds.entry(kind).or_insert((0, other)).0 += 1;
        }
        let told = kinds.iter().map(|(kind, (n, first))| match n - 1 {
            0 => format!("{first} is {kind}"),
            1 => format!("{first} is {kind}, and so is 1 other"),
            n => format!("{first} is {kind}, and so are {n} others"),
        });
        match kinds.is_empty() {
            true => ": it is empty".into(),
            false => {
                let has_images = kinds.keys().any(|kind| kind.ends_with("image"));
                let convert = if has_images { ". Convert images of other formats to PNG first" } else { "" };
                format!(": {}{convert}", told.collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// Whether the names of its images may say their classes, or a file other than those that say others.
    pub(super) fn may_say_classes(&self, tree: &Folder, known: &[(Split, String)]) -> bool {
        let lists = self.lists().chain(tree.lists()).chain(tree.lists_of_splits());
        let is_new = |list: &str| known.iter().all(|(_, file)| file != list);
        self.words().is_some() || lists.into_iter().any(is_new)
    }

    /// The files in it that may say the classes of images.
    pub(super) fn lists(&self) -> impl Iterator<Item = &str> {
        let is_list = |name: &str| {
            [".csv", ".tsv", "annotations.txt", "labels.txt"].iter().any(|end| name.ends_with(end))
        };
        self.others.iter().map(String::as_str).filter(move |other| is_list(&other.to_ascii_lowercase()))
    }

    /// The words with which the names of nearly all of its images begin, if they may be classes.
    pub(super) fn words(&self) -> Option<Vec<&str>> {
        let mut words: BTreeMap<&str, usize> = BTreeMap::new();
        let folders = self.with_images();
        for (word, n) in std::iter::once(self).chain(folders).flat_map(|folder| &folder.words) {
            *words.entry(word).or_default() += n;
        }
        words.retain(|_, n| *n > 1);
        let is_most = words.values().sum::<usize>() * 10 >= self.total() * 9;
        (words.len() > 1 && is_most).then(|| words.into_keys().collect())
    }
}
