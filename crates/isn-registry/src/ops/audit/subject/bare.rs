//! Subjects that are only files: a folder without a recipe, and a tree. Splits, classes and source ids come
//! from paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{Item, Naming, Storage, Subject, join};
use crate::files;
use crate::source::{image_stem, is_litter};
use crate::tree_file::{list_of, read_classes, read_sums};
use isn_format::class::ClassId;
use isn_format::error::{Error, Result, count};
use isn_format::ilsvrc2012;
use isn_format::pairs::Judged;
use isn_format::pixel_spec::ExifOrientation;
use isn_format::source_spec::nfc;
use isn_format::split::Split;

impl Subject {
    /// Opens a tree as `isn pull` writes it, with the images that its list names. Finding other files is up
    /// to `isn verify`.
    pub(in crate::ops) fn tree(root: &Path) -> Result<Subject> {
        let list = list_of(root);
        let sums = read_sums(root, list)?;
        let paths = sums.images().map(|line| line.path.as_str());
        let mut subject = Subject::of_paths(root, paths.map(Into::into).collect());
        subject.naming = Naming::Tree;
        // There is no index here, but paths in a tree are `split/class/stem`, and the stem comes from the
        // source.
        for item in &mut subject.images {
            if !is_ilsvrc_stem(stem(&item.path)) {
                item.source_id =
                    without_extension(item.path.split_once('/').map_or("", |(_, rest)| rest)).into();
            }
        }
        let classes = read_classes(root, &sums)?;
        subject.labels = classes.into_iter().map(|class| (class.id, class.label)).collect();
        Ok(subject)
    }

    /// Opens a folder of images, which may be a tree, without a recipe.
    pub(in crate::ops) fn folder_or_tree(root: &Path) -> Result<Subject> {
        if files::is_tree(root) { Subject::tree(root) } else { Subject::bare_folder(root) }
    }

    pub(super) fn bare_folder(root: &Path) -> Result<Subject> {
        let (mut paths, mut others) = (Vec::new(), Vec::new());
        walk(root, "", &mut Vec::new(), &mut paths, &mut others)?;
        paths.sort_unstable();
        let mut subject = Subject::of_paths(root, paths);
        if let Some(first) = others.iter().min() {
            let what = count(others.len(), "file");
            subject
                .warnings
                .push(format!("left out {what}, not a JPEG or PNG by name; the first is {first}"));
        }
        Ok(subject)
    }

    /// Makes a subject of images by their sorted paths, with splits, classes and source ids as
    /// [`Subject::open`] describes.
    fn of_paths(root: &Path, files: Vec<String>) -> Subject {
        let split_of = |path: &str| path.split_once('/').and_then(|(first, _)| first.parse::<Split>().ok());
        let has_splits = files.iter().any(|path| split_of(path).is_some());
        let mut unnamed: Vec<&str> = Vec::new();
        let mut images: Vec<Item> = Vec::with_capacity(files.len());
        for path in &files {
            let split = split_of(path);
            let rest = match split {
                Some(_) => path.split_once('/').map_or("", |(_, rest)| rest),
                None => path,
            };
            let folder =
                rest.split_once('/').map(|(folder, _)| folder).filter(|_| split.is_some() || !has_splits);
            let class = match folder {
                Some(folder) => folder.parse().ok(),
                None => told_class(stem(path)),
            };
            if let (None, Some(folder)) = (&class, folder) {
                unnamed.push(folder);
            }
            images.push(Item { path: path.clone(), class, split, source_id: String::new() });
        }
        // ILSVRC2012 is recognised by its classes. Its source ids are stems, as in every other copy of it.
        let is_ilsvrc =
            images.iter().all(|i| i.class.as_ref().is_some_and(|c| ilsvrc2012::is_class(c.as_str())));
        for item in &mut images {
            let id = if is_ilsvrc { stem(&item.path) } else { without_extension(&item.path) };
            item.source_id = nfc(id).into_owned();
        }
        let mut warnings = unclassed(&mut images);
        unnamed.sort_unstable();
        unnamed.dedup();
        if let Some(first) = unnamed.first() {
            let what = count(unnamed.len(), "folder");
            warnings.push(format!(
                "{what} cannot be the name of a class (A-Z a-z 0-9 . _ -); the first is {first}"
            ));
        }
        let storage = Storage::Folder { root: root.to_path_buf(), files };
        let labels = Default::default();
        let (unsigned, pairs, judged) = (&[], None, Judged::default());
        let (what, orientation) = (root.display().to_string(), ExifOrientation::Ignore);
        let naming = if is_ilsvrc { Naming::Names } else { Naming::Paths };
        Subject { what, images, labels, warnings, unsigned, pairs, judged, orientation, naming, storage }
    }
}

/// Takes the class from images of a split whose only folder is none of train, as the flat `val/images` of
/// TinyImageNet: there, a file says the classes. Returns a warning for each such folder.
fn unclassed(images: &mut [Item]) -> Vec<String> {
    let mut by_split: BTreeMap<Split, BTreeSet<ClassId>> = BTreeMap::new();
    for item in images.iter() {
        if let (Some(split), Some(class)) = (item.split, &item.class) {
            by_split.entry(split).or_default().insert(class.clone());
        }
    }
    let Some(train) = by_split.remove(&Split::Train).filter(|train| train.len() > 1) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    for (split, classes) in by_split {
        let only = classes.first().filter(|only| classes.len() == 1 && !train.contains(*only));
        let Some(only) = only else { continue };
        let of_it = |item: &&mut Item| item.split == Some(split) && item.class.as_ref() == Some(only);
        images.iter_mut().filter(of_it).for_each(|item| item.class = None);
        warnings.push(format!(
            "{split}/{only} is no class, as train/ has no such folder: a recipe says the classes of its images"
        ));
    }
    warnings
}

fn without_extension(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') && !stem.ends_with('/') => stem,
        _ => path,
    }
}

fn stem(path: &str) -> &str {
    without_extension(path.rsplit('/').next().unwrap_or(path))
}

/// Returns the class that a file name of ILSVRC2012 tells.
fn told_class(stem: &str) -> Option<ClassId> {
    if let Some(number) = stem.strip_prefix("ILSVRC2012_val_") {
        let number = number.parse().ok().filter(|_| number.len() == 8)?;
        return ilsvrc2012::val_class(number)?.parse().ok();
    }
    let (wnid, _) = stem.split_once('_')?;
    ilsvrc2012::is_class(wnid).then(|| wnid.parse().ok())?
}

/// Whether a stem is one of ILSVRC2012's, which are unique in themselves.
fn is_ilsvrc_stem(stem: &str) -> bool {
    told_class(stem).is_some()
}

/// Collects every image below `folder` by its path. `above` is the chain of folders that lead here, with
/// links resolved. Litter is skipped, as in the sources of builds.
fn walk(
    root: &Path,
    folder: &str,
    above: &mut Vec<PathBuf>,
    images: &mut Vec<String>,
    others: &mut Vec<String>,
) -> Result<()> {
    let here = if folder.is_empty() { root.to_path_buf() } else { join(root, folder) };
    let real = fs::canonicalize(&here).map_err(Error::io("read", &here))?;
    if above.contains(&real) {
        return Err(Error::invalid(here.display(), "is a link to a folder above it"));
    }
    above.push(real);
    for name in files::names_in(&here)? {
        if is_litter(&name) {
            continue;
        }
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let file = here.join(&name);
        let is_dir = match fs::metadata(&file) {
            // A link that leads nowhere is a file that cannot be read.
            Err(_) if file.is_symlink() => false,
            about => about.map_err(Error::io("look at", &file))?.is_dir(),
        };
        if is_dir {
            walk(root, &path, above, images, others)?;
        } else if image_stem(&name).is_some() {
            images.push(path);
        } else {
            others.push(path);
        }
    }
    above.pop();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(paths: &[&str]) -> Vec<(String, String, String)> {
        let subject = Subject::of_paths(Path::new("x"), paths.iter().map(|path| (*path).into()).collect());
        let text = |item: &Item| {
            let class = item.class.as_ref().map_or("-".into(), ToString::to_string);
            (item.split.map_or("-".into(), |split| split.to_string()), class, item.source_id.clone())
        };
        subject.images.iter().map(text).collect()
    }

    fn row(split: &str, class: &str, id: &str) -> (String, String, String) {
        (split.into(), class.into(), id.into())
    }

    #[test]
    fn splits_classes_and_ids_come_from_places_and_names() {
        assert_eq!(
            items(&["train/n01440764/n01440764_10026.JPEG", "val/ILSVRC2012_val_00000293.JPEG"]),
            [
                row("train", "n01440764", "n01440764_10026"),
                row("val", ilsvrc2012::val_class(293).unwrap(), "ILSVRC2012_val_00000293"),
            ]
        );
        assert_eq!(
            items(&["ant/a.png", "ant/deep/b.x.jpg", "c.png", "e\u{301}.png"]),
            [
                row("-", "ant", "ant/a"),
                row("-", "ant", "ant/deep/b.x"),
                row("-", "-", "c"),
                row("-", "-", "é")
            ]
        );
        assert_eq!(
            items(&["other/a.png", "test/bee/a.png", "train/a.png"]),
            [row("-", "-", "other/a"), row("test", "bee", "test/bee/a"), row("train", "-", "train/a")]
        );
    }

    #[test]
    fn litter_is_passed_over_as_in_sources() {
        let dir = tempfile::tempdir().unwrap();
        let litter =
            ["@eaDir/a.png", "__MACOSX/ant/a.png", "ant/.DS_Store", "ant/Thumbs.db", "ant/@EADIR/a.png"];
        for path in litter.iter().chain(&["ant/a.png", "ant/notes.txt"]) {
            let file = join(dir.path(), path);
            fs::create_dir_all(files::parent(&file)).unwrap();
            fs::write(file, path).unwrap();
        }
        let subject = Subject::bare_folder(dir.path()).unwrap();
        let paths: Vec<&str> = subject.images.iter().map(|item| item.path.as_str()).collect();
        assert_eq!(paths, ["ant/a.png"]);
        let warnings = ["left out 1 file, not a JPEG or PNG by name; the first is ant/notes.txt"];
        assert_eq!(subject.warnings, warnings);
    }

    #[test]
    fn a_folder_that_is_no_class_is_said() {
        let subject = Subject::of_paths(Path::new("x"), vec!["bald eagle/a.png".into()]);
        assert_eq!(subject.images[0].class, None);
        assert!(subject.warnings[0].contains("bald eagle"), "{:?}", subject.warnings);
    }
}
