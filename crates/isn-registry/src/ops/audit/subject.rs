//! [`Subject`]: what an audit examines: a folder of images, a tree, a build or a version in a registry. Its
//! images can be read one at a time, from any number of threads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use super::version::Version;
use crate::client::Client;
use crate::client::version_at::is_path;
use crate::files;
use crate::ops::verify::store::StoreKind;
use crate::progress::Progress;
use crate::registry::{Registry, Snapshot, build};
use crate::source::{Source, Survey, image_stem, is_litter};
use crate::steps::images::{self, Wanted};
use crate::steps::unsigned;
use crate::transport;
use crate::tree_file::{list_of, read_classes, read_sums};
use isn_format::class::ClassId;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Missing, Result, count};
use isn_format::ilsvrc2012;
use isn_format::pixel_spec::ExifOrientation;
use isn_format::recipe::Recipe;
use isn_format::shard::MAX_IMAGE_LEN;
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::{Ids, nfc};
use isn_format::split::Split;
use isn_format::tree::{B3SUMS, CLASSES};

/// One image of a [`Subject`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its path, relative to what is audited, with `/` between segments.
    pub path: String,
    /// Its class, if its folder or its name tells one.
    pub class: Option<ClassId>,
    /// Its split, if its folder tells one.
    pub split: Option<Split>,
    /// Its permanent name: for a version, the one in the index; for a folder, the one that a build from it
    /// would give.
    pub source_id: String,
}

/// What is audited.
pub struct Subject {
    /// The folder or the pin, as shown to the user.
    pub what: String,
    /// The images, sorted by the bytes of their paths.
    pub images: Vec<Item>,
    /// The labels of the classes, if they are known.
    pub labels: BTreeMap<ClassId, String>,
    /// What was left out or could not be determined, one line each.
    pub warnings: Vec<String>,
    /// The parts of a version that no signature covers. Empty for a folder, which is the user's own.
    pub unsigned: &'static [&'static str],
    /// What a build by the recipe, if one is given, does about EXIF orientations.
    pub(crate) orientation: ExifOrientation,
    storage: Storage,
}

/// Where the bytes of the images are.
enum Storage {
    /// Each image is a file of its own.
    Folder {
        root: PathBuf,
        files: Vec<String>,
    },
    Version(Box<Version>),
    Build(Box<Version>),
}

impl Subject {
    /// Opens `target`: a tree (it has a `B3SUMS`), the output of `isn build`, any other folder of images, or,
    /// if there is no such folder, a version from the client's registries. In a folder, images are the files
    /// named `.jpeg`, `.jpg` or `.png`; `train/`, `val/` and `test/` are splits; the folder below (or the
    /// first, without splits) is the class; and the flat `val/` of ILSVRC2012 has the classes of its list.
    /// Symlinks are followed. A version that comes over a network is first fetched into the cache, if there
    /// is one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such folder; [`Error::Invalid`] if it has no image or the target is
    /// a registry; for a version, those of describing and fetching it.
    pub fn open(client: &Client, target: &str, progress: &dyn Progress) -> Result<Subject> {
        let path = Path::new(target);
        let subject = if path.is_dir() {
            match StoreKind::of(path) {
                _ if !files::is_absent(&path.join(B3SUMS)) => Subject::tree(path)?,
                Some(StoreKind::Build) => Subject::build(path)?,
                Some(StoreKind::Registry) => {
                    let why = "is a registry: name one of its versions, with --registry";
                    return Err(Error::invalid(target, why));
                }
                None => Subject::folder(path)?,
            }
        } else if path.exists() {
            return Err(Error::invalid(
                target,
                "is a file: an audit is of a folder of images or of a version",
            ));
        } else if is_path(target) {
            return Err(Error::not_found(Missing::File, target, ""));
        } else {
            let reference: DatasetRef =
                target.parse().map_err(|why| Error::Subject { text: target.into(), why })?;
            Subject::version(client, &reference, progress).map_err(Error::nor_folder)?
        };
        if subject.images.is_empty() {
            return Err(Error::invalid(target, "has no image (.jpeg, .jpg or .png) at any depth"));
        }
        Ok(subject)
    }

    /// Takes splits, classes and source ids of a folder's images from a recipe of version 2, if one is given:
    /// it may call its folders as it likes. Images that are none of the recipe's are left out with a warning,
    /// and pictures are turned as a build turns them. Anything but a folder stays as it is.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read; [`Error::Invalid`] if it has none of the recipe's images.
    pub fn by_recipe(mut self, recipe: Option<&Recipe>) -> Result<Subject> {
        let (Storage::Folder { root, files }, Some(recipe)) = (&mut self.storage, recipe) else {
            return Ok(self);
        };
        self.orientation = recipe.image.exif_orientation;
        if recipe.source.ids != Ids::Text || recipe.source.kind == SourceKind::Ilsvrc2012 {
            return Ok(self);
        }
        let Survey { source, problems, .. } = Source::survey(&recipe.source, root, &recipe.classes, None)?;
        if source.images.is_empty() {
            let why = format!("has no image of the classes of the recipe of {}", recipe.id());
            return Err(Error::invalid(root.display(), why));
        }
        let problems = problems.into_iter().map(|problem| problem.why);
        self.warnings = problems.chain(source.absent_rows).chain(source.warnings).collect();
        *files = source.images.iter().map(|image| image.path.clone()).collect();
        self.labels = recipe.classes.iter().map(|one| (one.id.clone(), one.label.clone())).collect();
        let has_splits = source.images.iter().any(|image| image.split != Split::Train);
        let items = source.images.into_iter().map(|image| Item {
            path: image.path,
            class: Some(image.class),
            split: has_splits.then_some(image.split),
            source_id: image.id,
        });
        self.images = items.collect();
        Ok(self)
    }

    /// Returns the bytes of image `at`.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Invalid`] if the file cannot be read or is too long; for a version,
    /// [`Error::Integrity`] if the bytes are not what the index says, or [`Error::Network`].
    pub fn read(&self, at: usize) -> Result<Vec<u8>> {
        match &self.storage {
            Storage::Folder { root, files } => files::read_beside(&join(root, &files[at]), MAX_IMAGE_LEN),
            Storage::Version(version) => version.read(at),
            Storage::Build(version) => version.read(at).map_err(build::of_build),
        }
    }

    /// Leaves out images of a folder that cannot be decoded, each with its reason, in ascending order.
    pub(super) fn leave_out(&mut self, undecodable: &[(usize, String)]) {
        let (Storage::Folder { files, .. }, Some((first, why))) = (&mut self.storage, undecodable.first())
        else {
            return;
        };
        let what = count(undecodable.len(), "image");
        let path = &self.images[*first].path;
        self.warnings.push(format!(
            "left out {what} that cannot be decoded (`isn audit images` lists them); the first is {path}: {why}"
        ));
        for (at, _) in undecodable.iter().rev() {
            self.images.remove(*at);
            files.remove(*at);
        }
    }

    /// Whether each image is a file of the user's own.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.storage, Storage::Folder { .. })
    }

    /// Returns the splits that have images.
    pub fn splits(&self) -> Vec<Split> {
        Split::ALL.into_iter().filter(|&split| self.images.iter().any(|i| i.split == Some(split))).collect()
    }

    /// Opens a tree as `isn pull` writes it, with the images that its list names. Finding other files is up
    /// to `isn verify`.
    pub(in crate::ops) fn tree(root: &Path) -> Result<Subject> {
        let list = list_of(root);
        let sums = read_sums(root, list)?;
        let paths = sums.lines().iter().map(|line| line.path.as_str()).filter(|path| *path != CLASSES);
        let mut subject = Subject::of_paths(root, paths.map(Into::into).collect());
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

    /// Opens a folder of images, which may be a tree.
    pub(in crate::ops) fn folder_or_tree(root: &Path) -> Result<Subject> {
        if files::is_absent(&root.join(B3SUMS)) { Subject::folder(root) } else { Subject::tree(root) }
    }

    fn folder(root: &Path) -> Result<Subject> {
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
        let mut warnings = Vec::new();
        unnamed.sort_unstable();
        unnamed.dedup();
        if let Some(first) = unnamed.first() {
            let what = count(unnamed.len(), "folder");
            warnings.push(format!(
                "{what} cannot be the name of a class (A-Z a-z 0-9 . _ -); the first is {first}"
            ));
        }
        let storage = Storage::Folder { root: root.to_path_buf(), files };
        let labels = BTreeMap::new();
        let unsigned = &[];
        let (what, orientation) = (root.display().to_string(), ExifOrientation::Ignore);
        Subject { what, images, labels, warnings, unsigned, orientation, storage }
    }

    pub(in crate::ops) fn build(root: &Path) -> Result<Subject> {
        let runtime = transport::runtime()?;
        let (registry, snapshot) = runtime.block_on(build::describe(root))?;
        Subject::stored(root.display().to_string(), runtime, registry, snapshot, Storage::Build)
            .map_err(build::of_build)
    }

    fn version(client: &Client, reference: &DatasetRef, progress: &dyn Progress) -> Result<Subject> {
        let runtime = transport::runtime()?;
        let (registry, snapshot) = runtime.block_on(client.snapshot(reference))?;
        let is_remote = registry.id().is_some_and(|id| id.is_remote());
        let unsigned = snapshot.head.unsigned();
        let mut subject =
            Subject::stored(snapshot.head.pin(), runtime, registry, snapshot, Storage::Version)?;
        subject.warnings.extend(unsigned::notice(unsigned));
        subject.unsigned = unsigned;
        if let (Storage::Version(version), true) = (&mut subject.storage, is_remote && client.cache.is_some())
        {
            version.fetch(progress)?;
        }
        Ok(subject)
    }

    fn stored(
        what: String,
        runtime: Runtime,
        registry: Registry,
        snapshot: Snapshot,
        storage: fn(Box<Version>) -> Storage,
    ) -> Result<Subject> {
        let rows = snapshot.index().rows();
        let wanted: Wanted = rows.iter().map(|row| (row.blake3, row.length)).collect();
        let mut packs = runtime.block_on(registry.packs(&snapshot))?;
        // Says at once what is not to be had.
        images::by_any_list(&runtime, &registry, &mut packs, |packs| {
            images::plan(&runtime, &registry, &snapshot, packs, &wanted).map(drop)
        })?;
        let items = rows.iter().map(|row| Item {
            path: row.path.to_string(),
            class: Some(row.class.clone()),
            split: Some(row.split),
            source_id: row.source.clone(),
        });
        let images = rows.iter().map(|row| (row.blake3, row.length)).collect();
        let version = Version::new(runtime, registry, packs, images);
        Ok(Subject {
            what,
            images: items.collect(),
            labels: snapshot.classes().iter().map(|class| (class.id.clone(), class.label.clone())).collect(),
            warnings: snapshot.head.warnings,
            unsigned: &[],
            orientation: ExifOrientation::Ignore,
            storage: storage(Box::new(version)),
        })
    }
}

fn join(root: &Path, path: &str) -> PathBuf {
    path.split('/').fold(root.to_path_buf(), |at, segment| at.join(segment))
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
        let subject = Subject::folder(dir.path()).unwrap();
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
