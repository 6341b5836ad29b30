//! `isn audit mask`: the suspects of a study that published a mask, or the positions of images, in the order
//! in which torchvision's ImageFolder reads a folder.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::labels::read_npy;
use super::sheet::{SHOWN, Thumbnails};
use super::subject::{FolderRecipe, Item, Subject};
use crate::audit::npy::{Array, Elements};
use crate::sheet::{Figure, Sheet};
use isn_format::error::{Error, Result, count};
use isn_format::ledger::{Claim, Row, Says};
use isn_format::source_kind::SourceKind;
use isn_format::split::Split;

/// A file that marks images by their positions.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// Truth values, false for a suspect.
    Kept(&'a Path),
    /// Truth values, true for a suspect; or the positions of suspects, the most suspect first.
    Issues(&'a Path),
}

impl Mask<'_> {
    fn path(&self) -> &Path {
        match self {
            Mask::Kept(path) | Mask::Issues(path) => path,
        }
    }
}

/// The suspects of a mask.
pub struct MaskReport {
    /// The name of the mask's file, without its extension.
    pub name: String,
    /// The number of images that positions count.
    pub rows: usize,
    /// The suspects: the position of each and its index in [`Subject::images`].
    pub suspects: Vec<(usize, usize)>,
    /// The images.
    pub subject: Subject,
    /// The indexes of those that are none of the recipe's, if there is a recipe: they have no source id.
    pub others: BTreeSet<usize>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl MaskReport {
    /// Returns the suspects as label claims, which say only that the label is in doubt: no policy counts
    /// them.
    pub fn claims(&self, date: &str) -> Vec<Row> {
        let claim = |&(position, at): &(usize, usize)| {
            Row::Claim(Claim {
                source_id: self.subject.images[at].source_id.clone(),
                says: Says::Unclear,
                source: self.name.clone(),
                date: date.into(),
                evidence: format!("position {position} in the order of ImageFolder"),
            })
        };
        self.suspects.iter().filter(|(_, at)| !self.others.contains(at)).map(claim).collect()
    }

    /// Adds the suspects to a contact sheet.
    pub fn add_to_sheet(&self, sheet: &mut Sheet) {
        let mut thumbnails = Thumbnails::new(self.subject.orientation);
        let all = self.suspects.len();
        sheet.heading(&format!("Suspects of {}: {all}", self.name));
        let shown = self.suspects.iter().take(SHOWN);
        let figures: Vec<Figure> = shown.map(|(_, at)| thumbnails.figure(&self.subject, *at)).collect();
        sheet.group("", &figures);
        if all > SHOWN {
            sheet.paragraph(&format!("The first {SHOWN} of {all} are shown; --json has all."));
        }
    }
}

/// Finds the images of a folder that a mask puts in doubt. Of a folder with splits, the mask is of the split
/// that has as many images. With `recipe`, images have the source ids of a build by it; the mask also counts
/// images of other classes, which have none.
///
/// # Errors
/// [`Error::Invalid`] if the file is no mask, or if the folder has another number of images than it;
/// [`Error::Io`] if either cannot be read.
pub fn find(folder: &Path, mask: Mask<'_>, recipe: Option<&FolderRecipe>) -> Result<MaskReport> {
    let what = mask.path().display().to_string();
    let Array { shape, elements } = read_npy(mask.path())?;
    let [length] = shape[..] else {
        return Err(Error::invalid(what, "has two dimensions: expected one value for each image"));
    };
    let mut subject = Subject::folder_or_tree(folder)?;
    check_counted(folder, &subject)?;
    let folders = folders_of(recipe);
    let others = match recipe {
        Some(recipe) => subject.name_by(folder, recipe)?,
        None => BTreeSet::new(),
    };
    let mut warnings = subject.warnings.clone();
    let (order, positions): (_, Vec<usize>) = match (mask, elements) {
        (_, Elements::Booleans(values)) => {
            let suspect = matches!(mask, Mask::Issues(_));
            let marked = values.iter().enumerate().filter(|(_, value)| **value == suspect);
            (in_order(&subject, &folders, &what, Some(length))?, marked.map(|(at, _)| at).collect())
        }
        (Mask::Issues(_), Elements::Integers(positions)) => {
            let order = in_order(&subject, &folders, &what, None)?;
            let positions = checked(&what, &positions, order.len())?;
            warnings.push(format!(
                "{what} does not say how many images it counts: check that the first suspects are what they \
                 should be"
            ));
            (order, positions)
        }
        (Mask::Kept(_), _) => {
            let why = "is not a mask of truth values: with --issues, it may be the positions of suspects";
            return Err(Error::invalid(what, why));
        }
        (Mask::Issues(_), Elements::Floats(_)) => {
            let why = "holds floats: expected truth values, or the positions of suspects as integers";
            return Err(Error::invalid(what, why));
        }
    };
    if 2 * positions.len() > order.len() {
        let (marks, other) = match mask {
            Mask::Kept(_) => ("a suspect", "--issues"),
            Mask::Issues(_) => ("what was kept", "--kept"),
        };
        warnings.push(format!(
            "{} of {} are suspects: if true marks {marks} in {what}, use {other}",
            positions.len(),
            count(order.len(), "image"),
        ));
    }
    let name = mask.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let suspects: Vec<(usize, usize)> =
        positions.into_iter().map(|position| (position, order[position])).collect();
    let left = suspects.iter().filter(|(_, at)| others.contains(at)).count();
    if left > 0 {
        warnings.push(format!("{} of no class of the recipe, and without a claim", count(left, "suspect")));
    }
    Ok(MaskReport { name, rows: order.len(), suspects, subject, others, warnings })
}

/// Refuses a folder where ImageFolder counts more files than are images here, so that positions would differ.
fn check_counted(folder: &Path, subject: &Subject) -> Result<()> {
    /// torchvision's `IMG_EXTENSIONS`.
    const COUNTED: [&str; 9] = ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"];
    fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let has_ending = || {
                let ending = path.extension().unwrap_or_default();
                COUNTED.iter().any(|counted| ending.eq_ignore_ascii_case(counted))
            };
            if path.is_dir() && depth < 64 {
                walk(&path, depth + 1, found)?;
            } else if has_ending() {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, 0, &mut found).map_err(Error::io("list", folder))?;
    let known: HashSet<PathBuf> = subject.images.iter().map(|image| folder.join(&image.path)).collect();
    found.retain(|path| !known.contains(path));
    match found.iter().min() {
        None => Ok(()),
        Some(first) => {
            let why = format!(
                "has {} that ImageFolder counts, and isn does not; the first is {}: move them away, or positions \
                 are those of other images",
                count(found.len(), "file"),
                first.display()
            );
            Err(Error::invalid(folder.display(), why))
        }
    }
}

/// Returns positions if each is that of an image, and none occurs twice, as labels would.
fn checked(what: &str, positions: &[i64], images: usize) -> Result<Vec<usize>> {
    let mut first: HashMap<i64, usize> = HashMap::new();
    let position = |(row, position): (usize, &i64)| {
        if let Some(earlier) = first.insert(*position, row) {
            let why = format!("rows {earlier} and {row} are both {position}: expected different positions");
            return Err(Error::invalid(what, why));
        }
        usize::try_from(*position).ok().filter(|position| *position < images).ok_or_else(|| {
            let most = images.saturating_sub(1);
            Error::invalid(what, format!("row {row} is {position}: expected a position from 0 to {most}"))
        })
    };
    positions.iter().enumerate().map(position).collect()
}

/// The folders of splits.
fn folders_of(recipe: Option<&FolderRecipe>) -> Vec<String> {
    match recipe.map(|one| &one.file.recipe.source) {
        Some(spec) if spec.kind != SourceKind::List => {
            spec.split_folders().into_iter().map(|(_, folder)| folder.to_owned()).collect()
        }
        _ => Split::ALL.map(|split| split.to_string()).into(),
    }
}

/// Returns the images in the order of ImageFolder: by class, then by folder, then by name. `folders` are
/// those of splits, and `length` is the number that there must be.
fn in_order(subject: &Subject, folders: &[String], what: &str, length: Option<usize>) -> Result<Vec<usize>> {
    /// The indexes of the images in a folder, with their paths in it.
    type Part<'s> = Vec<(usize, &'s str)>;
    let all = || subject.images.iter().enumerate().map(|(at, item)| (at, item.path.as_str()));
    let in_folder = |folder: &String| -> Part<'_> {
        all().filter_map(|(at, path)| Some((at, path.strip_prefix(folder)?.strip_prefix('/')?))).collect()
    };
    let mut parts: Vec<(String, Part<'_>)> =
        folders.iter().map(|folder| (format!(" in {folder}"), in_folder(folder))).collect();
    parts.retain(|(_, part)| !part.is_empty());
    if parts.is_empty() {
        parts.push((String::new(), all().collect()));
    }
    let counts: Vec<String> =
        parts.iter().map(|(place, part)| format!("{}{place}", count(part.len(), "image"))).collect();
    parts.retain(|(_, part)| length.is_none_or(|length| part.len() == length));
    let Ok([(_, part)]) = <[_; 1]>::try_from(parts) else {
        let has = length.map_or_else(String::new, |length| format!("has {length} values, but "));
        let why = format!(
            "{has}{} has {}: name the folder that ImageFolder was given, with the same images",
            subject.what,
            counts.join(", "),
        );
        return Err(Error::invalid(what, why));
    };
    let place = |(at, path)| Ok((place(&subject.images[at], path)?, at));
    let mut placed = part.into_iter().map(place).collect::<Result<Vec<_>>>()?;
    placed.sort_unstable();
    Ok(placed.into_iter().map(|(_, at)| at).collect())
}

/// Returns what ImageFolder sorts an image by, which has `path` in the folder. In the flat `val/` of
/// ILSVRC2012, the class stands for its folder.
fn place<'s>(item: &'s Item, path: &'s str) -> Result<(&'s str, &'s str, &'s str)> {
    match (path.rsplit_once('/'), &item.class) {
        (Some((folder, name)), _) => Ok((folder.split('/').next().unwrap_or(folder), folder, name)),
        (None, Some(class)) => Ok((class.as_str(), class.as_str(), path)),
        (None, None) => Err(Error::invalid(&item.path, "is not in the folder of a class")),
    }
}
