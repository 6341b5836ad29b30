//! [`look`]: guesses how a folder of pictures is laid out: which folders are splits, and which are classes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{Listing, below, image_stem, join, told};
use isn_format::error::{Error, Result, count};
use isn_format::source_spec::{HERE, check_folder, nfc};
use isn_format::split::Split;
use isn_format::text::shell_word;
use isn_format::tree::B3SUMS;

/// The names of folders that are splits, in any case.
const ALIASES: [(&str, Split); 8] = [
    ("train", Split::Train),
    ("training", Split::Train),
    ("val", Split::Val),
    ("valid", Split::Val),
    ("validation", Split::Val),
    ("dev", Split::Val),
    ("test", Split::Test),
    ("testing", Split::Test),
];

/// Names of folders that say nothing of their images: the folder above is the class.
const PLAIN: [&str; 9] = ["image", "images", "img", "imgs", "jpeg", "jpg", "photos", "pictures", "png"];

/// How a folder of pictures is laid out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The folders that are splits; none if the source has no splits.
    pub(crate) splits: Vec<(Split, String)>,
    /// The folders of classes, below those of the splits; sorted. None is in another.
    pub(crate) classes: Vec<String>,
    /// What a person should know, one line each.
    pub(crate) notes: Vec<String>,
}

/// A folder with the files in it.
#[derive(Default)]
struct Folder {
    path: String,
    /// How many files are images by their names.
    images: usize,
    others: Vec<String>,
    folders: BTreeMap<String, Folder>,
}

/// Looks at the folder `root`.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Invalid`] if it has no image, or a layout that no recipe can
/// name, with what was understood and what to do.
pub(crate) fn look(root: &Path) -> Result<Look> {
    if !fs::metadata(root).map_err(Error::io("read", root))?.is_dir() {
        return Err(Error::invalid(root.display(), "is not a folder: name the one that has the pictures"));
    }
    let refuse = |why: String| Err(Error::invalid(root.display(), why));
    if root.join(B3SUMS).is_file() {
        return refuse(format!("is a tree that isn wrote (it has {B3SUMS}), not source images"));
    }
    let mut listing = Listing::new(root, None);
    let tree = Folder::read(&mut listing, String::new(), &mut Vec::new());
    if tree.total() == 0 && !listing.problems.is_empty() {
        return Err(Error::Mistakes {
            what: format!("source {}", root.display()),
            mistakes: listing.problems,
        });
    }
    if tree.total() == 0 {
        return refuse(format!("has no JPEG or PNG at any depth{}", tree.instead(root)));
    }
    let splits = tree.splits();
    if let (true, 0, [(name, one)]) = (splits.is_empty(), tree.images, &tree.with_images()[..])
        && !one.splits().is_empty()
    {
        let inner = shell_word(root.join(name).display());
        return refuse(format!("has its splits in {name}/: name that folder, `isn init {inner}`"));
    }
    let places: Vec<&Folder> = match splits.is_empty() {
        true => vec![&tree],
        false => splits.iter().filter_map(|(_, name)| tree.folders.get(name)).collect(),
    };
    let (mut classes, mut notes) = (BTreeSet::new(), Vec::new());
    let (unsorted, sorted): (Vec<&Folder>, Vec<&Folder>) =
        places.iter().partition(|place| place.is_unsorted());
    if sorted.is_empty() {
        if let Some(list) = std::iter::once(&tree).chain(unsorted.iter().copied()).find_map(Folder::list) {
            return refuse(format!(
                "is understood by half: its {} are in no folder of a class, and {list} may say their classes, which \
                 isn does not read. Sort the images into a folder for each class; or, if they are one class, move \
                 {list} away",
                count(tree.total(), "image")
            ));
        }
        classes.insert(HERE.into());
    } else if let Some(place) = unsorted.first() {
        return refuse(place.half(&sorted));
    } else {
        for place in &sorted {
            place.classes(None, &mut classes);
            if place.images > 0 {
                let images = count(place.images, "image");
                notes.push(format!(
                    "{}: left out {images} that no class folder has",
                    super::shown(&place.path)
                ));
            }
            notes.extend(place.empty());
        }
    }
    let classes = disjoint(classes);
    for class in &classes {
        let first = class.split('/').next().unwrap_or_default();
        if first.to_ascii_lowercase().parse::<Split>().is_ok() {
            return refuse(format!(
                "has the folder {class} at the place of a class, and {first} is the name of a split: rename it if \
                 it is a class; if it is a split, move the images that are beside it into train/ or val/"
            ));
        }
        if let Err(why) = check_folder(class) {
            return refuse(format!("the name of the folder {class} {why}: rename it"));
        }
    }
    Ok(Look { splits, classes, notes })
}

impl Folder {
    /// Reads the folder `path` and all below it. `above` is the chain of folders that lead here, with links
    /// resolved.
    fn read(listing: &mut Listing<'_>, path: String, above: &mut Vec<PathBuf>) -> Folder {
        let mut folder = Folder { path, ..Folder::default() };
        let Ok(real) = fs::canonicalize(join(listing.root, &folder.path)) else { return folder };
        // What a build will say of a link that leads back.
        if above.contains(&real) {
            return folder;
        }
        above.push(real);
        for entry in listing.entries(&folder.path) {
            let inner = below(&folder.path, &entry.name);
            if entry.is_dir {
                folder.folders.insert(entry.name, Folder::read(listing, inner, above));
            } else if image_stem(&entry.name).is_some() {
                folder.images += 1;
            } else {
                folder.others.push(inner);
            }
        }
        above.pop();
        folder
    }

    /// The number of images in it and below it.
    fn total(&self) -> usize {
        self.images + self.folders.values().map(Folder::total).sum::<usize>()
    }

    /// The folders in it that have images.
    fn with_images(&self) -> Vec<(&String, &Folder)> {
        self.folders.iter().filter(|(_, folder)| folder.total() > 0).collect()
    }

    /// Whether its images are in no folder that could be a class.
    fn is_unsorted(&self) -> bool {
        self.with_images().iter().all(|(name, _)| is_plain(name))
    }

    /// The folders in it that are splits by their names, unless they may as well be classes.
    fn splits(&self) -> Vec<(Split, String)> {
        let known = |name: &String| {
            let alias = ALIASES.into_iter().find(|(alias, _)| name.eq_ignore_ascii_case(alias));
            alias.map(|(_, split)| (split, name.clone()))
        };
        let all = self.with_images();
        let mut splits: Vec<_> = all.iter().filter_map(|(name, _)| known(name)).collect();
        splits.sort();
        let has_train = splits.iter().any(|(split, _)| *split == Split::Train);
        if has_train || splits.len() == all.len() { splits } else { Vec::new() }
    }

    /// Collects the folders of classes in a split or a source: those nearest to it that have images. `way` is
    /// the path below it.
    fn classes(&self, way: Option<&str>, found: &mut BTreeSet<String>) {
        for (name, folder) in self.with_images() {
            let inner = below(way.unwrap_or_default(), name);
            match folder.images {
                0 => folder.classes(Some(&inner), found),
                // A build finds them in form C: two spellings are one class.
                _ => drop(found.insert(nfc(&inner).into_owned())),
            }
        }
    }

    /// Names folders without an image at the place of classes.
    fn empty(&self) -> Vec<String> {
        let empty = self.folders.values().filter(|folder| folder.total() == 0);
        empty.map(|folder| format!("{}: left out, it has no JPEG or PNG", folder.path)).collect()
    }

    /// Says what there is in place of images.
    fn instead(&self, root: &Path) -> String {
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

    /// A file in it that may say the classes of images.
    fn list(&self) -> Option<&str> {
        let is_list = |name: &str| {
            [".csv", ".tsv", "annotations.txt", "labels.txt"].iter().any(|end| name.ends_with(end))
        };
        self.others.iter().map(String::as_str).find(|other| is_list(&other.to_ascii_lowercase()))
    }

    /// Says that a split has its images in no folder of a class, while others do.
    fn half(&self, sorted: &[&Folder]) -> String {
        let folders: Vec<String> = sorted.iter().map(|place| format!("{}/", place.path)).collect();
        let classes = sorted.iter().map(|place| place.with_images().len()).max().unwrap_or_default();
        let list = self.list().map_or_else(String::new, |list| format!(" (perhaps {list} says it)"));
        format!(
            "is understood by half: {} has {classes} folders of classes, but the {} of {}/ are in no such \
             folder{list}. Sort them into folders with the names of those, or move {}/ away. If this is ImageNet, `isn recipe \
             export imagebirds` writes a recipe to begin with",
            folders.join(" and "),
            count(self.total(), "image"),
            self.path,
            self.path,
        )
    }
}

/// Whether the name of a folder says nothing of its images.
fn is_plain(name: &str) -> bool {
    PLAIN.iter().any(|plain| name.eq_ignore_ascii_case(plain))
}

/// Leaves out folders that are in another, whose images are that one's. A folder that says nothing of its
/// images, and is alone, gives way to the one above it.
fn disjoint(classes: BTreeSet<String>) -> Vec<String> {
    let above = |folder: &str| {
        let (up, _) = folder.rsplit_once('/').filter(|(_, last)| is_plain(last))?;
        let below = format!("{up}/");
        let mut others = classes.range(below.clone()..).take_while(|other| other.starts_with(&below));
        (others.next().is_some() && others.next().is_none()).then(|| up.to_owned())
    };
    let mut kept: Vec<String> = Vec::new();
    let classes: BTreeSet<Vec<String>> = classes
        .iter()
        .map(|class| above(class).unwrap_or_else(|| class.clone()))
        .map(|class| class.split('/').map(Into::into).collect())
        .collect();
    for class in classes.iter().map(|class| class.join("/")) {
        if !kept.last().is_some_and(|last| class.starts_with(&format!("{last}/"))) {
            kept.push(class);
        }
    }
    kept.sort();
    kept
}

#[cfg(test)]
mod tests {
    use super::super::tests::folder;
    use super::*;

    fn looked(paths: &[&str]) -> Look {
        look(folder(paths).path()).unwrap()
    }

    fn refused(paths: &[&str]) -> String {
        look(folder(paths).path()).unwrap_err().to_string()
    }

    #[test]
    fn splits_are_found_by_their_names() {
        let found =
            looked(&["Train/a/1.jpg", "valid/a/1.jpg", "dev/b/1.jpg", "TESTING/a/1.jpg", "__MACOSX/a/1.jpg"]);
        let splits =
            [(Split::Train, "Train"), (Split::Val, "dev"), (Split::Val, "valid"), (Split::Test, "TESTING")];
        assert_eq!(found.splits, splits.map(|(split, name)| (split, name.to_owned())));
        assert_eq!(found.classes, ["a", "b"]);
        // What may be either is for a person to say; some names are those of classes, too.
        assert!(refused(&["Test/1.jpg", "cat/1.jpg"]).contains("Test is the name of a split: rename it"));
        assert_eq!(looked(&["dev/1.jpg", "cat/1.jpg"]).classes, ["cat", "dev"]);
        assert!(refused(&["data/train/a/1.jpg", "data/val/a/1.jpg"]).contains("has its splits in data/"));
    }

    #[test]
    fn the_folder_nearest_to_the_top_that_has_images_is_a_class() {
        let paths =
            ["a/x/1.jpg", "a/y/1.jpg", "b/1.jpg", "b/more/1.jpg", "c/images/1.jpg", "d/images/1.jpg", "e/"];
        let found = looked(&paths);
        assert_eq!(found.classes, ["a/x", "a/y", "b", "c", "d"]);
        assert_eq!(found.notes, ["e: left out, it has no JPEG or PNG"]);
        let found = looked(&["train/a/x/1.jpg", "val/a/1.jpg", "train/a-b/1.jpg"]);
        assert_eq!(found.classes, ["a", "a-b"]);
        assert_eq!(looked(&["1.jpg", "2.png"]).classes, [HERE]);
        assert_eq!(looked(&["train/1.jpg", "test/2.png"]).classes, [HERE]);
        let found = looked(&["1.jpg", "a/2.png"]);
        assert_eq!((found.classes, found.notes.len()), (vec!["a".to_owned()], 1));
    }

    #[test]
    fn what_no_recipe_can_name_is_told() {
        let why = refused(&["train/a/1.jpg", "train/b/1.jpg", "val/1.jpg", "val/val_annotations.txt"]);
        for part in ["train/ has 2 folders of classes", "the 1 image of val/", "val/val_annotations.txt"] {
            assert!(why.contains(part), "{why}");
        }
        // TinyImageNet.
        let tiny =
            ["train/a/images/1.JPEG", "train/a/boxes.txt", "val/images/1.JPEG", "val/val_annotations.txt"];
        let why = refused(&tiny);
        assert!(why.contains("the 1 image of val/") && why.contains("val/val_annotations.txt"), "{why}");
        assert!(refused(&["a/"]).ends_with("has no JPEG or PNG at any depth: it is empty"));
        assert!(refused(&["a/x.txt"]).contains("a/x.txt is a file of another kind"));
    }
}
