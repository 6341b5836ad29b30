//! What else may say classes or splits, beside what is taken for it.

use std::collections::BTreeSet;
use std::path::Path;

use super::columns::{is_label, may_be_label};
use super::folder::Folder;
use super::images::Images;
use super::listed::{Listed, folder_of};
use super::lists::{self, Doubt};
use super::names::{self, split_of};
use super::table::Table;
use super::texts::{self, Text};
use super::{Look, and, classes, doubt};
use crate::source::Listing;
use crate::source::rows::short;
use isn_format::error::count;
use isn_format::source_spec::nfc;
use isn_format::split::Split;

/// What else is in the source may say classes or splits.
///
/// # Errors
/// What names images and is not read.
pub(super) fn texts(listing: &Listing<'_>, tree: &Folder, mut look: Look) -> Result<Look, String> {
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
            "is only partly clear: {by} the classes, and {file} may say the splits of images, {}. {to_do}; \
             or sort the images into train/, val/ and test/; or, if there are no splits, move {file} away",
            unread(listing, tree, file),
        ));
    }
    let images = Images::of(tree);
    for file in tree.texts(&lists::TABLES).into_iter().filter(|file| !read.contains(file)).take(lists::FILES)
    {
        let table = match lists::read(listing, &images, file) {
            Ok(None) => Table::read(listing, file),
            _ => None,
        };
        if let Some(why) = table.and_then(|table| classes::contradicted(file, &table, &look)) {
            return Err(why);
        }
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
            "{file} names images{more}, {}: the folders are taken for the classes. If {file} has other \
             classes, make a list of it, labels.csv, with the header path,label, and move all images into \
             one folder",
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
            "is only partly clear: by its folders it has {classes}, and {file} has the columns of a list, \
             {header}, but no row: give it a row for each image; or, if the folders say all, move {file} \
             away"
        )),
        Some((file, None)) => Ok(Some(format!("{file} is empty: by its folders the source has {classes}"))),
        None => Ok(texts::unread(tree).map(|file| {
            format!(
                "{file} may say the classes, which isn does not read of such a file: by its folders the \
                 source has {classes}"
            )
        })),
    }
}

/// What a list says where nothing else says the classes.
///
/// # Errors
/// As [`listed`]; that the name of its column of labels does not say that it has the classes.
pub(super) fn alone(root: &Path, tree: &Folder, found: Listed) -> Result<Look, String> {
    if !may_be_label(&found.spec.label) {
        return Err(format!(
            "is only partly clear: {} names images, and nothing but its column {} may be the class: call that label, \
             if it is; if not, add a column label",
            found.spec.file,
            short(&found.spec.label)
        ));
    }
    listed(root, tree, found)
}

/// What a list says.
///
/// # Errors
/// What a recipe cannot say of it.
fn listed(root: &Path, tree: &Folder, listed: Listed) -> Result<Look, String> {
    if listed.is_bare {
        return Err(format!(
            "is only partly clear: {} names images by their file names alone, and they are in several \
             folders: put the folders into its paths, or move the images into one folder",
            listed.spec.file
        ));
    }
    if let Some((image, split, says)) = listed.contradicts(tree) {
        let file = &listed.spec.file;
        return Err(format!(
            "is only partly clear: {file} says that {image} is {says}, and its folder is {split} by its \
             name: correct the row; or rename the folder, and the paths in {file}"
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
pub(super) fn classes(
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
                    "is only partly clear: its folders may say the classes, and {}; or, if the folders say \
                     all, move {} away",
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
            "is only partly clear: its folders may say the classes, but {file} gives images of {} several \
             labels. If {file} has the classes, {}; if the folders have them, move {file} away",
            and(&mixed),
            match found.is_bare {
                true => "move all images into one folder, since its paths have no folders",
                false => {
                    "move all images into one folder that its rows name, or write a recipe of kind = \
                     \"list\" (docs/recipe.md)"
                }
            }
        ));
    }
    if let (true, Some((label, folders))) = (is_label(&found.spec.label), found.shared(&look.classes)) {
        return Err(format!(
            "is only partly clear: its folders may say the classes, but {file} gives images of {} one label, {}. If \
             {file} has the classes, move all images into one folder that its rows name, or sort them into a folder \
             for each label; if the folders have them, move {file} away",
            and(&folders),
            short(&label)
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
                "that has the classes, too, and {differs}: add a column label with the class of each image, \
                 as the folders have it"
            ),
            _ => "that has the paths and labels of all: put all into it, as path,label,split".to_owned(),
        };
        return Err(format!(
            "is only partly clear: its folders say the classes, and {file} the splits of {} of its {}, which \
             isn reads only of a list {why}; or sort the images into train/, val/ and test/; or, if there \
             are no splits, move {file} away",
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
            "is only partly clear: {file} says that {image} is {split}, and its folder is another split: \
             move the image, or {file} away"
        ));
    }
    if let [folder, ..] = &mixed[..] {
        look.notes.push(format!(
            "{file} gives images of {folder} several labels ({}), and is not read, since folders are taken \
             for classes: if it has the classes, change the recipe to kind = \"list\" (docs/recipe.md)",
            short(&found.spec.label)
        ));
    }
    Ok(look)
}

/// The folders of images of which a list names none.
pub(super) fn unnamed(tree: &Folder, found: &Listed) -> BTreeSet<String> {
    let named: BTreeSet<&str> = found.named.keys().map(|image| folder_of(image)).collect();
    let all = tree.paths().into_iter().map(|path| folder_of(&nfc(&path)).to_owned());
    all.filter(|folder| !named.contains(folder.as_str())).collect()
}

/// Whether a folder, or one above it, is val by its name.
pub(super) fn is_val(folder: &str) -> bool {
    folder.split('/').any(|name| split_of(name) == Some(Split::Val))
}
