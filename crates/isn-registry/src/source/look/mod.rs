//! [`look`]: guesses how a folder of pictures is laid out: which folders are splits, and which are classes,
//! or which file says so.

mod annotations;
mod doubt;
mod folder;
mod lists;
mod names;
mod table;
#[cfg(test)]
mod tests;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use self::folder::Folder;
use self::lists::{Doubt, Listed, Wanted};
pub(crate) use self::names::{is_plain, split_in_name, split_of, split_of_word};
pub(crate) use self::table::is_split as is_split_column;
use self::table::{Images, may_be_label};
use self::texts::Text;
use super::Listing;
use super::rows::short;
use isn_format::error::{Error, Result, count};
use isn_format::source_spec::{HERE, ListSpec, check_folder, nfc};
use isn_format::split::Split;
use isn_format::tree::B3SUMS;

/// How a folder of pictures is laid out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The folders that are splits; none if the source has no splits. Of a list with a column of splits, its
    /// words for each.
    pub(crate) splits: Vec<(Split, String)>,
    /// Whether a folder that has the name of a split is left out.
    pub(crate) is_part: bool,
    /// The folders of classes, below those of the splits; sorted. None is in another. Of a list, its labels.
    pub(crate) classes: Vec<String>,
    /// The list that says the classes of all images.
    pub(crate) list: Option<ListSpec>,
    /// Its columns that are not read.
    pub(crate) unread: Vec<String>,
    /// The files that say the classes of the images of a split.
    pub(crate) annotated: Vec<(Split, String)>,
    /// What a person should know, one line each.
    pub(crate) notes: Vec<String>,
}

impl Look {
    /// Whether any image is not train.
    fn has_splits(&self) -> bool {
        self.splits.iter().any(|(split, _)| *split != Split::Train)
    }
}

/// Looks at the folder `root`.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Mistakes`] with everything in it that cannot be read;
/// [`Error::Invalid`] if it has no image, or a layout that no recipe can name or that may mean two things,
/// with what was understood and what to do.
pub(crate) fn look(root: &Path) -> Result<Look> {
    if !fs::metadata(root).map_err(Error::io("read", root))?.is_dir() {
        return Err(Error::invalid(root.display(), "is not a folder: name the one that has the pictures"));
    }
    let invalid = |why: String| Error::invalid(root.display(), why);
    if root.join(B3SUMS).is_file() {
        return Err(invalid(format!("is a tree that isn wrote (it has {B3SUMS}), not source images")));
    }
    let mut listing = Listing::new(root, None);
    let tree = Folder::read(&mut listing, String::new(), &mut Vec::new());
    // What cannot be read may be a class, or a split.
    if !listing.problems.is_empty() {
        let what = format!("source {}", root.display());
        return Err(Error::Mistakes { what, mistakes: listing.problems });
    }
    if tree.total() == 0 {
        let hidden = listing.left_out.first().and_then(|left| {
            let images = count(usize::try_from(left.images?).ok()?, "image");
            Some(format!("; {} has {images}, and {}: rename it", left.path, left.why))
        });
        let hidden = hidden.unwrap_or_default();
        return Err(invalid(format!("has no JPEG or PNG at any depth{}{hidden}", tree.instead(root))));
    }
    let folders = folders(root, &listing, &tree);
    let wanted = match &folders {
        Ok((look, None)) => Wanted {
            read: look.annotated.iter().map(|(_, file)| file.as_str()).collect(),
            splits: look.classes.len() > 1 && !look.has_splits(),
        },
        _ => Wanted::default(),
    };
    let found = lists::find(&listing, &tree, &wanted);
    match folders {
        Ok((look, None)) if look.classes.len() > 1 => beside_classes(root, &tree, look, found),
        Ok((look, unsorted)) => match (found, unsorted) {
            (Ok(Some(found)), unsorted) if unsorted.is_some() || found.labels.len() > 1 => {
                match unnamed(&tree, &found).iter().find(|folder| is_val(folder)) {
                    Some(folder) => Err(format!(
                        "is only partly clear: {} names no image of {folder}/, which is val by its name: put rows \
                         for its images into the list, or move the folder away",
                        found.spec.file
                    )),
                    None => listed(root, &tree, found),
                }
            }
            (Err(doubt), None) => Err(format!(
                "is only partly clear: by its folders it has one class, and {}; or, if that class is all, move {} \
                 away",
                doubt.why, doubt.file
            )),
            (Err(doubt), Some(_)) => Err(format!("is only partly clear: {}", doubt.why)),
            (Ok(_), Some(why)) => Err(why),
            (Ok(_), None) => Ok(look),
        },
        // A list settles what the folders do not say if it is about all of them.
        Err(why) => match found {
            Ok(Some(found)) => match unnamed(&tree, &found).first() {
                Some(folder) => Err(format!(
                    "{why}. {} does not settle it: it names no image of {}",
                    found.spec.file,
                    super::shown(folder)
                )),
                None => listed(root, &tree, found),
            },
            Ok(None) => Err(why),
            Err(doubt) => Err(format!("{why}. {} does not settle it: {}", doubt.file, doubt.why)),
        },
    }
    .and_then(|look| beside(&listing, &tree, look))
    .map_err(invalid)
}

/// What else is in the source may say classes or splits.
///
/// # Errors
/// What names images and is not read.
fn beside(listing: &Listing<'_>, tree: &Folder, mut look: Look) -> Result<Look, String> {
    let list = look.list.as_ref().map(|list| list.file.as_str());
    let read: Vec<&str> =
        list.into_iter().chain(look.annotated.iter().map(|(_, file)| file.as_str())).collect();
    let texts = texts::find(listing, tree, &read);
    let may_be_batches = look.splits.is_empty() && names::are_numbered(&look.classes);
    if list.is_none() && (look.classes.len() == 1 || may_be_batches) {
        let note = few_classes(listing, tree, &look.classes, &texts)?;
        look.notes.extend(note);
    }
    if let Some(text) = texts.iter().find(|text| text.says_splits && !look.has_splits()) {
        let file = &text.file;
        let (by, to_do) = match list {
            Some(list) => {
                (format!("{list} says"), format!("Give {list} a column split that says train, val or test"))
            }
            None => (
                "its folders say".to_owned(),
                "Give a list, such as labels.csv, the header path,label,split and a row for each image"
                    .to_owned(),
            ),
        };
        return Err(format!(
            "is only partly clear: {by} the classes, and {file} may say the splits of images, {}. {to_do}; or sort the \
             images into train/, val/ and test/; or, if there are no splits, move {file} away",
            unread(listing, tree, file),
        ));
    }
    if list.is_some() {
        return Ok(look);
    }
    if let Some(why) = texts.iter().find_map(|text| doubt::other_splits(text, &look)) {
        return Err(why);
    }
    doubt::copies(tree, &mut look)?;
    // A list of the images of a split, beside its folder, says no more than this.
    let is_of_split = |file: &str| !look.splits.is_empty() && names::named(names::stem(file)).is_some();
    let mut mixed = texts.iter().filter(|text| text.names_many && text.is_mixed && !is_of_split(&text.file));
    if let (Some(text), true) = (mixed.next(), look.classes.len() > 1) {
        let file = &text.file;
        let more = match mixed.count() {
            0 => String::new(),
            n => format!(", and so do {}", count(n, "other file")),
        };
        look.notes.push(format!(
            "{file} names images{more}, {}: the folders are taken for the classes. If {file} has other classes, make a \
             list of it, labels.csv, with the header path,label, and move all images into one folder",
            unread(listing, tree, file)
        ));
    }
    Ok(look)
}

/// Why a text is not read.
fn unread(listing: &Listing<'_>, tree: &Folder, file: &str) -> String {
    match lists::is_table(file) {
        true => {
            format!("but is no list that isn reads: {}", texts::why_not(listing, &Images::of(tree), file))
        }
        false => "but isn does not read such a file".into(),
    }
}

/// Images are of one class, or of folders that may be batches, only if nothing else may say their classes.
/// Returns what a person should know.
///
/// # Errors
/// The file that names them, and is no list.
fn few_classes(
    listing: &Listing<'_>,
    tree: &Folder,
    classes: &[String],
    texts: &[Text],
) -> Result<Option<String>, String> {
    let classes = match classes.len() {
        1 => "one class".into(),
        _ => format!("the classes {}", and(classes)),
    };
    if let Some(Text { file, .. }) = texts.iter().find(|text| text.names_many) {
        return Err(format!(
            "is only partly clear: by its folders it has {classes}, and {file} names images and may \
             say their classes, {}. Make a list of it, labels.csv, with the header path,label and a row for \
             each image; or, if the folders say all, move {file} away",
            unread(listing, tree, file)
        ));
    }
    match texts::empty_list(listing, tree) {
        Some((file, Some(header))) => Err(format!(
            "is only partly clear: by its folders it has {classes}, and {file} has the columns of a list, {header}, but \
             no row: give it a row for each image; or, if the folders say all, move {file} away"
        )),
        Some((file, None)) => Ok(Some(format!("{file} is empty: by its folders the source has {classes}"))),
        None => Ok(texts::unread(tree).map(|file| {
            format!(
                "{file} may say the classes, which isn does not read of such a file: by its folders the source has \
                 {classes}"
            )
        })),
    }
}

/// What a list says.
///
/// # Errors
/// What a recipe cannot say of it.
fn listed(root: &Path, tree: &Folder, listed: Listed) -> Result<Look, String> {
    if listed.is_bare {
        return Err(format!(
            "is only partly clear: {} names images by their file names alone, and they are in several folders: \
             put the folders into its paths, or move the images into one folder",
            listed.spec.file
        ));
    }
    if let Some((image, split, says)) = listed.contradicts(tree) {
        let file = &listed.spec.file;
        return Err(format!(
            "is only partly clear: {file} says that {image} is {says}, and its folder is {split} by its name: correct \
             the row; or rename the folder, and the paths in {file}"
        ));
    }
    Ok(Look {
        splits: listed.splits,
        classes: listed.labels.into_iter().collect(),
        list: Some(listed.spec),
        unread: listed.unread,
        notes: doubt::is_one_of_several(root).into_iter().chain(listed.notes).collect(),
        ..Look::default()
    })
}

/// Folders that say the classes need no list, if it says nothing else.
///
/// # Errors
/// What a list says of splits or of labels that the folders do not.
fn beside_classes(
    root: &Path,
    tree: &Folder,
    mut look: Look,
    found: Result<Option<Listed>, Doubt>,
) -> Result<Look, String> {
    let found = match found {
        Ok(None) => return Ok(look),
        Err(doubt) => {
            let matters = doubt.says_splits || names::are_numbered(&look.classes);
            let is_new = |split| look.splits.iter().all(|(known, _)| *known != split);
            let is_other = names::split_in_name(names::stem(&doubt.file)).is_some_and(is_new);
            if doubt.is_of_pairs || (matters && (!look.has_splits() || (is_other && doubt.names_images()))) {
                return Err(format!(
                    "is only partly clear: its folders may say the classes, and {}; or, if the folders say all, \
                     move {} away",
                    doubt.why, doubt.file
                ));
            }
            look.notes.push(format!("{}; it is not read, since folders are taken for classes", doubt.why));
            return Ok(look);
        }
        Ok(Some(found)) => found,
    };
    let (file, mixed) = (&found.spec.file, found.mixed());
    // What is not called a label is no class beside folders, such as who made the picture.
    let may_be_label = may_be_label(&found.spec.label) || names::are_numbered(&look.classes);
    if may_be_label && mixed.len() * 2 > found.of_folders.len() {
        return Err(format!(
            "is only partly clear: its folders may say the classes, but {file} gives images of {} several labels. \
             If {file} has the classes, {}; if the folders have them, move {file} away",
            and(&mixed),
            match found.is_bare {
                true => "move all images into one folder, since its paths have no folders",
                false => {
                    "move all images into one folder that its rows name, or write a recipe of kind = \"list\" \
                     (docs/recipe.md)"
                }
            }
        ));
    }
    if look.splits.is_empty() && found.says_splits() {
        let (differs, is_all) = (found.differs(&look.classes), found.named.len() == tree.total());
        if differs.is_none() && !found.is_bare && is_all {
            return listed(root, tree, found);
        }
        let why = match (found.is_bare, differs) {
            (true, _) => {
                "whose paths have their folders: put the folders into its paths, such as cat/1.png for 1"
                    .into()
            }
            (_, Some(differs)) if is_all => format!(
                "that has the classes, too, and {differs}: add a column label with the class of each image, as the \
                 folders have it"
            ),
            _ => "that has the paths and labels of all: put all into it, as path,label,split".to_owned(),
        };
        return Err(format!(
            "is only partly clear: its folders say the classes, and {file} the splits of {} of its {}, which isn \
             reads only of a list {why}; or sort the images into train/, val/ and test/; or, if there are no splits, \
             move {file} away",
            found.named.len(),
            count(tree.total(), "image")
        ));
    }
    let is_in = |image: &str, folder: &str| {
        image.strip_prefix(&*nfc(folder)).is_some_and(|rest| rest.starts_with('/'))
    };
    let differs = |(image, says): &(&String, &Option<Split>)| {
        let split = look.splits.iter().find(|(_, folder)| is_in(image, folder)).map(|(split, _)| *split);
        says.is_some() && split.is_some() && split != **says
    };
    if let Some((image, Some(split))) = found.named.iter().filter(differs).min() {
        return Err(format!(
            "is only partly clear: {file} says that {image} is {split}, and its folder is another split: move the \
             image, or {file} away"
        ));
    }
    if let [folder, ..] = &mixed[..] {
        look.notes.push(format!(
            "{file} gives images of {folder} several labels ({}), and is not read, since folders are taken for \
             classes: if it has the classes, change the recipe to kind = \"list\" (docs/recipe.md)",
            short(&found.spec.label)
        ));
    }
    Ok(look)
}

/// The folders of images of which a list names none.
fn unnamed(tree: &Folder, found: &Listed) -> BTreeSet<String> {
    let named: BTreeSet<&str> = found.named.keys().map(|image| lists::folder_of(image)).collect();
    let all = tree.paths().into_iter().map(|path| lists::folder_of(&nfc(&path)).to_owned());
    all.filter(|folder| !named.contains(folder.as_str())).collect()
}

/// Whether a folder, or one above it, is val by its name.
fn is_val(folder: &str) -> bool {
    folder.split('/').any(|name| split_of(name) == Some(Split::Val))
}

/// Finds the folders of splits and classes. If all images are in no folder of a class, says what else may
/// have their classes.
///
/// # Errors
/// What was understood, and what a person has to do.
fn folders(root: &Path, listing: &Listing<'_>, tree: &Folder) -> Result<(Look, Option<String>), String> {
    let mut notes = Vec::from_iter(doubt::is_one_of_several(root));
    let mut splits = doubt::splits(tree, &mut notes)?;
    let places: Vec<&Folder> = match splits.is_empty() {
        true => vec![tree],
        false => splits.iter().map(|(_, folder)| *folder).collect(),
    };
    doubt::check(root, tree, &places, &mut notes)?;
    let (mut classes, mut of_splits) = (BTreeSet::new(), BTreeMap::<Split, BTreeSet<String>>::new());
    let (unsorted, sorted): (Vec<&Folder>, Vec<&Folder>) =
        places.iter().partition(|place| place.is_unsorted());
    let (mut annotated, mut is_part, mut perhaps) = (Vec::new(), false, None);
    match unsorted[..] {
        _ if sorted.is_empty() => {
            perhaps = doubt::unsorted(listing, tree, &unsorted);
            notes.extend(unsorted.iter().flat_map(|place| place.with_images()).filter_map(Folder::merged));
            classes.insert(HERE.into());
        }
        _ => {
            for place in &sorted {
                doubt::strays(place).map_or(Ok(()), Err)?;
                let mut own = BTreeSet::new();
                place.classes("", &mut own, &mut notes);
                classes.extend(own.iter().cloned());
                let split = splits.iter().find(|(_, folder)| folder.path == place.path);
                of_splits.entry(split.map_or(Split::Train, |(split, _)| *split)).or_default().extend(own);
                if place.images > 0 {
                    let images = count(place.images, "image");
                    let place = super::shown(&place.path);
                    notes.push(format!("{place}: left out {images} that no class folder has"));
                }
                notes.extend(place.empty());
            }
            doubt::apart(&of_splits)?;
            let known: BTreeSet<String> = disjoint(classes.clone()).into_iter().collect();
            for place in unsorted {
                let split =
                    splits.iter().find(|(_, folder)| folder.path == place.path).map(|(split, _)| *split);
                let is_alone = splits.iter().filter(|(of, _)| Some(*of) == split).count() == 1;
                match annotations::find(listing, tree, place, &known)? {
                    Some(file) if is_alone => annotated.extend(split.map(|split| (split, file))),
                    None if split == Some(Split::Test)
                        && is_alone
                        && !place.may_say_classes(tree, &annotated) =>
                    {
                        let images = count(place.total(), "image");
                        notes.push(format!("{}: left out {images}, whose classes nothing says", place.path));
                        splits.retain(|(_, folder)| folder.path != place.path);
                        is_part |= doubt::is_reserved(&place.path);
                    }
                    _ => return Err(doubt::half(tree, place, &sorted)),
                }
            }
        }
    }
    let classes = disjoint(classes);
    for class in &classes {
        let first = class.split('/').next().unwrap_or_default();
        if doubt::is_reserved(first) {
            return Err(format!(
                "has the folder {class} at the place of a class, and {first} is the name of a split: rename it if \
                 it is a class; if it is a split, move the images that are beside it into train/ or val/"
            ));
        }
        if let Err(why) = check_folder(class) {
            return Err(format!("the name of the folder {class} {why}: rename it"));
        }
    }
    if !splits.is_empty() {
        let (_, others) = tree.parted();
        let perhaps = others.into_iter().filter(|folder| folder.has_one_of(&classes));
        notes.extend(perhaps.map(|folder| {
            format!(
                "{} has folders of classes, as a split has, and is left out: if it is one, give it the name of \
                 its split",
                folder.path
            )
        }));
    }
    let mut lists = tree.lists_of_splits();
    lists.extend(texts::unread_splits(tree));
    if splits.iter().all(|(split, _)| *split == Split::Train) && !lists.is_empty() {
        notes.push(format!(
            "{} may say which images are val or test, which isn does not read: sort the images into a folder for \
             each split, if so",
            and(&lists)
        ));
    }
    let in_names = tree.splits_in_names();
    let with_words = tree.with_splits_in_names();
    let is_most = with_words.len() > 1 && with_words.values().sum::<usize>() * 2 >= tree.total();
    if splits.is_empty() && in_names.len() < 2 && is_most {
        let all: Vec<String> = with_words.into_iter().map(|(split, n)| format!("{split} ({n})")).collect();
        notes.push(format!(
            "names of files have words of splits, {}, which isn does not read: sort the images into a folder for \
             each split, if these are splits",
            and(&all)
        ));
    }
    if splits.is_empty() && in_names.len() > 1 {
        notes.push(format!(
            "names of files begin with {}, which isn does not read: sort the images into a folder for each split, \
             if these are splits",
            and(&in_names.into_values().collect::<Vec<_>>())
        ));
    }
    let splits = splits.into_iter().map(|(split, folder)| (split, folder.path.clone())).collect();
    Ok((Look { splits, is_part, classes, annotated, notes, ..Look::default() }, perhaps))
}

/// `a, b and c`, or the first of many.
fn and<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match (&shown[..], names.len().saturating_sub(SHOWN)) {
        ([], _) => String::new(),
        ([one], _) => (*one).into(),
        ([before @ .., last], 0) => format!("{} and {last}", before.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
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
