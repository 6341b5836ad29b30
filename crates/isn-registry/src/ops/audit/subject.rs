//! [`Subject`]: what an audit examines: a folder of images, a tree, a build or a version in a registry. Its
//! images can be read one at a time, from any number of threads.

mod bare;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use super::version::Version;
use crate::client::Client;
use crate::client::version_at::is_path;
use crate::files;
use crate::ops::verify::store::StoreKind;
use crate::progress::Progress;
use crate::recipe_file::RecipeFile;
use crate::registry::{Registry, Snapshot, build};
use crate::source::{Position, Source, Survey};
use crate::steps::images;
use crate::steps::unsigned;
use crate::transport::{self, Access};
use crate::tree_file::read_lists;
use isn_format::class::ClassId;
use isn_format::dataset_ref::DatasetRef;
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result, chain, count};
use isn_format::index::{Full, Images};
use isn_format::object::ObjectKind;
use isn_format::pairs::{Judged, Pairs};
use isn_format::pixel_spec::ExifOrientation;
use isn_format::recipe::Recipe;
use isn_format::shard::MAX_IMAGE_LEN;
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::{SourceSpec, segments};
use isn_format::split::Split;

/// The maximum number of warnings about what is wrong with a source.
const TOLD: usize = 20;

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
    /// The file of pairs that the recipe names, if one is given that names one.
    pub pairs: Option<PathBuf>,
    /// What people found about pairs of images.
    pub judged: Judged,
    /// What a build by the recipe, if one is given, does about EXIF orientations.
    pub(crate) orientation: ExifOrientation,
    naming: Naming,
    storage: Storage,
}

/// Where source ids are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// An index, or the source of a recipe.
    Known,
    /// The names of files, as all classes are those of ILSVRC2012.
    Names,
    /// The paths of files.
    Paths,
    /// The paths in a tree.
    Tree,
}

/// The recipe of a folder, which says what its images are called.
pub struct FolderRecipe {
    /// The recipe, with the files beside it.
    pub file: RecipeFile,
    /// Its file, if nobody named it: it was found beside what is written.
    pub found: Option<PathBuf>,
}

/// Where the bytes of the images are.
enum Storage {
    /// Each image is a file of its own.
    Folder {
        root: PathBuf,
        files: Vec<String>,
    },
    /// As a build reads them: perhaps from archives.
    Source(Box<Source>),
    Version(Box<Version>),
    Build(Box<Version>),
}

impl Subject {
    /// Opens `target`: a tree (it has a `B3SUMS`), the output of `isn build`, any other folder of images, or,
    /// if there is no such folder, a version from the client's registries. In a folder, images are the files
    /// named `.jpeg`, `.jpg` or `.png`; `train/`, `val/` and `test/` are splits; the folder below (or the
    /// first, without splits) is the class; and the flat `val/` of ILSVRC2012 has the classes of its list.
    /// With a `recipe`, images are what a build takes from the folder by it, with their splits, classes and
    /// source ids, and pictures are turned as it turns them; the folder may be that of one split of the
    /// source. Symlinks are followed. A version that comes over a network is first fetched into the cache, if
    /// there is one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such folder; [`Error::Invalid`] if it has no image, or none of the
    /// recipe, or the target is a registry; for a version, those of describing and fetching it.
    pub fn open(
        client: &Client,
        target: &str,
        recipe: Option<&FolderRecipe>,
        progress: &dyn Progress,
    ) -> Result<Subject> {
        let path = Path::new(target);
        let mut subject = if path.is_dir() {
            match StoreKind::of(path) {
                _ if files::is_tree(path) => Subject::tree(path)?.by_version(client, path),
                Some(StoreKind::Build) => Subject::build(path)?,
                Some(StoreKind::Registry) => {
                    let why = "is a registry: name one of its versions, with --registry";
                    return Err(Error::invalid(target, why));
                }
                None => Subject::folder(path, recipe)?,
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
            let archive = archive(path).map_or_else(String::new, |archive| {
                format!(", and the archive {archive}: name the recipe that reads it (--recipe)")
            });
            let why = format!("has no image (.jpeg, .jpg or .png) at any depth{archive}");
            return Err(Error::invalid(target, why));
        }
        // Of a version, what the user's recipe says now.
        if let (Some(FolderRecipe { file, found: None }), None) = (recipe, &subject.pairs) {
            subject.take_pairs(file)?;
        }
        Ok(subject)
    }

    /// Takes what people found about pairs from the file that a recipe names, if it names one. One that does
    /// not exist yet has no decision.
    fn take_pairs(&mut self, recipe: &RecipeFile) -> Result<()> {
        let Some(path) = recipe.pairs_path() else { return Ok(()) };
        if !recipe.is_of_registry() && files::is_absent(&path) {
            let why = "which does not exist yet: no pair is judged";
            self.warnings.push(format!("the recipe names {}, {why}", path.display()));
        } else {
            self.judged = recipe.judged()?.unwrap_or_default();
        }
        self.pairs = Some(path);
        Ok(())
    }

    /// Opens a folder of images, by its recipe if there is one. A recipe that nobody named may be that of
    /// other images.
    fn folder(root: &Path, recipe: Option<&FolderRecipe>) -> Result<Subject> {
        let Some(FolderRecipe { file, found }) = recipe else { return Subject::bare_folder(root) };
        let recipe = &file.recipe;
        let of_source = Subject::source(root, recipe)?;
        match (of_source, found) {
            (Some(mut subject), found) => {
                subject.take_pairs(file)?;
                subject.warnings.extend(found.iter().map(|file| {
                    let file = file.display();
                    format!("images, classes and source ids are those of the recipe {file}, as --recipe is not given")
                }));
                Ok(subject)
            }
            (None, None) => {
                let why = format!("has no image of the classes of the recipe of {}", recipe.id());
                Err(Error::invalid(root.display(), why))
            }
            (None, Some(file)) => {
                let mut subject = Subject::bare_folder(root)?;
                let (file, what) = (file.display(), &subject.what);
                subject
                    .warnings
                    .push(format!("the recipe {file} is not that of {what}: no image is of its classes"));
                Ok(subject)
            }
        }
    }

    /// Opens the source of a recipe, or what is in the folder of one of its splits; `None` if it has no image
    /// of the recipe's classes. What is wrong with it is a warning.
    pub(super) fn source(root: &Path, recipe: &Recipe) -> Result<Option<Subject>> {
        let (above, inside) = above(root, &recipe.source).unwrap_or((root.into(), String::new()));
        let Survey { mut source, problems, .. } =
            Source::survey(&recipe.source, &above, &recipe.classes, None)?;
        source.images.retain(|image| image.path.starts_with(&inside));
        if source.images.is_empty() {
            return Ok(None);
        }
        let mut wrong: Vec<String> = problems.into_iter().map(|problem| problem.why).collect();
        wrong.append(&mut source.absent_rows);
        let more = wrong.len().saturating_sub(TOLD);
        let more = (more > 0).then(|| format!("{more} more like this: `isn source check` names all"));
        wrong.truncate(TOLD);
        let warnings = wrong.into_iter().chain(more).chain(source.warnings.drain(..)).collect();
        source.images.sort_by(|a, b| a.path.cmp(b.path));
        let has_splits = source.images.iter().any(|image| image.split != Split::Train);
        let items = source.images.iter().map(|image| Item {
            path: image.path[inside.len()..].to_owned(),
            class: Some(image.class.clone()),
            split: has_splits.then_some(image.split),
            source_id: image.id.to_owned(),
        });
        Ok(Some(Subject {
            what: root.display().to_string(),
            images: items.collect(),
            labels: recipe.classes.iter().map(|one| (one.id.clone(), one.label.clone())).collect(),
            warnings,
            unsigned: &[],
            pairs: None,
            judged: Judged::default(),
            orientation: recipe.image.exif_orientation,
            naming: Naming::Known,
            storage: Storage::Source(Box::new(source)),
        }))
    }

    /// Gives the images of a folder the names that a build by its recipe gives them, and returns the indexes
    /// of those that are none of the recipe's.
    ///
    /// # Errors
    /// As [`Subject::open`].
    pub(super) fn name_by(&mut self, root: &Path, recipe: &FolderRecipe) -> Result<BTreeSet<usize>> {
        if self.naming == Naming::Tree {
            return Ok(BTreeSet::new());
        }
        let named = Subject::folder(root, Some(recipe))?;
        self.warnings.extend(named.warnings);
        if named.naming != Naming::Known {
            return Ok(BTreeSet::new());
        }
        self.naming = Naming::Known;
        let mut named: HashMap<String, Item> =
            named.images.into_iter().map(|item| (item.path.clone(), item)).collect();
        let mut others = BTreeSet::new();
        for (at, item) in self.images.iter_mut().enumerate() {
            match named.remove(&item.path) {
                Some(named) => *item = named,
                None => drop(others.insert(at)),
            }
        }
        Ok(others)
    }

    /// Takes the source ids of a tree from the index of its version, if the registries have that and no
    /// network is needed. A tree has no index.
    fn by_version(mut self, client: &Client, root: &Path) -> Subject {
        let Some(pin) = read_lists(root).ok().and_then(|lists| lists.pin()) else { return self };
        let here = Client { access: Access { offline: true, ..client.access.clone() }, ..client.clone() };
        let Ok(runtime) = transport::runtime() else { return self };
        let Ok((registry, snapshot)) = runtime.block_on(here.snapshot(&pin)) else { return self };
        let Ok(sources) = runtime.block_on(registry.sources(&snapshot)) else { return self };
        for item in &mut self.images {
            // The pin is the hash of the list that the paths are from.
            if let Some(row) = snapshot.index().find(&item.path) {
                item.source_id = sources.id(row.at()).into();
            }
        }
        match judged(&runtime, &registry, &snapshot) {
            Ok(judged) => self.judged = judged,
            Err(why) => self.warnings.push(format!(
                "what people found about pairs of images cannot be read, and is not used: {}",
                chain(&why)
            )),
        }
        self.unsigned = snapshot.head.unsigned();
        self.warnings.extend(unsigned::notice(self.unsigned));
        self.naming = Naming::Known;
        self
    }

    /// Warns that pairs which people judged may be unknown, if these are the images of a tree whose version
    /// no registry here has.
    pub fn warn_of_pairs(&mut self) {
        if self.naming == Naming::Tree {
            self.warnings.push(format!(
                "{} is a tree, and no registry here has its version: what people found about pairs of images is not \
                 known. Name the version, or a registry that has it (--registry)",
                self.what
            ));
        }
    }

    /// Says how source ids were guessed, for whoever writes them to a file; `None` if they are known.
    pub fn guess(&self) -> Option<String> {
        let what = &self.what;
        let first = self.images.first().map_or("", |item| &item.source_id);
        match self.naming {
            Naming::Known => None,
            Naming::Names => Some(format!(
                "{what} is taken for ImageNet, by its classes, so source ids are file names ({first}); a recipe of \
                 another kind has others: name it with --recipe"
            )),
            Naming::Paths => Some(format!(
                "source ids are guessed from the paths in {what} ({first}); its recipe knows them: name it with \
                 --recipe"
            )),
            Naming::Tree => Some(format!(
                "{what} is a tree, which has no source ids, and no registry here has its version: they are guessed from \
                 its paths ({first}). Name the version, or the source with --recipe"
            )),
        }
    }

    /// Returns the bytes of image `at`.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Invalid`] if the file cannot be read or is too long; for a version,
    /// [`Error::Integrity`] if the bytes are not what the index says, or [`Error::Network`].
    pub fn read(&self, at: usize) -> Result<Vec<u8>> {
        match &self.storage {
            Storage::Folder { root, files } => files::read_beside(&join(root, &files[at]), MAX_IMAGE_LEN),
            Storage::Source(source) => match source.images.get(at) {
                image if image.position == Position::File => {
                    files::read_beside(&source.path_of(image), MAX_IMAGE_LEN)
                }
                image => source.read(image),
            },
            Storage::Version(version) => version.read(at),
            Storage::Build(version) => version.read(at).map_err(build::of_build),
        }
    }

    /// Returns the hash of image `at`, if it is known without reading the image.
    pub(super) fn digest(&self, at: usize) -> Option<Digest> {
        match &self.storage {
            Storage::Version(version) | Storage::Build(version) => Some(version.digest(at)),
            Storage::Folder { .. } | Storage::Source(_) => None,
        }
    }

    /// Leaves out images of a folder that cannot be decoded, each with its reason, in ascending order.
    pub(super) fn leave_out(&mut self, undecodable: &[(usize, String)]) {
        let Some((first, why)) = undecodable.first().filter(|_| self.is_folder()) else { return };
        let what = count(undecodable.len(), "image");
        let path = &self.images[*first].path;
        self.warnings.push(format!(
            "left out {what} that cannot be decoded (`isn audit images` lists them); the first is {path}: {why}"
        ));
        for (at, _) in undecodable.iter().rev() {
            self.images.remove(*at);
            match &mut self.storage {
                Storage::Folder { files, .. } => drop(files.remove(*at)),
                Storage::Source(source) => source.images.remove(*at),
                Storage::Version(_) | Storage::Build(_) => {}
            }
        }
    }

    /// Whether a build by the recipe turns pictures as their EXIF orientations say.
    pub fn turns(&self) -> bool {
        self.orientation == ExifOrientation::Apply
    }

    /// Whether these are the images of a recipe's source, in the splits that they have there.
    pub fn is_source(&self) -> bool {
        matches!(self.storage, Storage::Source(_))
    }

    /// Whether each image is a file of the user's own.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.storage, Storage::Folder { .. } | Storage::Source(_))
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
        let wanted = Images::all(snapshot.index());
        let mut packs = runtime.block_on(registry.packs(&snapshot, &wanted))?;
        // Says at once what is not to be had.
        images::by_any_list(&runtime, &registry, (&snapshot, &wanted), &mut packs, |packs| {
            images::plan(&runtime, &registry, &snapshot, packs, &wanted).map(drop)
        })?;
        let sources = runtime.block_on(registry.sources(&snapshot))?;
        let full = Full { index: snapshot.index(), sources: &sources };
        let items = full.rows().map(|row| Item {
            path: row.path().to_string(),
            class: Some(row.class().clone()),
            split: Some(row.split()),
            source_id: row.source().into(),
        });
        let judged = judged(&runtime, &registry, &snapshot)?;
        Ok(Subject {
            what,
            images: items.collect(),
            labels: snapshot.classes().iter().map(|class| (class.id.clone(), class.label.clone())).collect(),
            warnings: snapshot.head.warnings.clone(),
            unsigned: &[],
            pairs: None,
            judged,
            orientation: ExifOrientation::Ignore,
            naming: Naming::Known,
            storage: storage(Box::new(Version::new(runtime, registry, snapshot, packs))),
        })
    }
}

/// Returns what the pairs of a version come to.
fn judged(runtime: &Runtime, registry: &Registry, snapshot: &Snapshot) -> Result<Judged> {
    let Some(pairs) = &snapshot.head.manifest.objects.pairs else { return Ok(Judged::default()) };
    let bytes = runtime.block_on(registry.object(ObjectKind::Pairs, pairs))?;
    Ok(Pairs::parse(&registry.locate(ObjectKind::Pairs, &pairs.blake3), &bytes)?.judge())
}

/// If `root` is the folder of one of a source's splits, returns the folder of the source, and what paths in
/// it begin with.
fn above(root: &Path, spec: &SourceSpec) -> Option<(PathBuf, String)> {
    let folders = spec.split_folders().into_iter().map(|(_, folder)| segments(folder));
    let folders: Vec<Vec<&str>> = folders.filter(|folder| !folder.is_empty()).collect();
    if spec.kind == SourceKind::List || folders.iter().any(|folder| root.join(folder.join("/")).is_dir()) {
        return None;
    }
    let real = fs::canonicalize(root).ok()?;
    let folder = folders.into_iter().find(|folder| real.ends_with(folder.join("/")))?;
    Some((real.ancestors().nth(folder.len())?.to_path_buf(), folder.join("/") + "/"))
}

fn join(root: &Path, path: &str) -> PathBuf {
    path.split('/').fold(root.to_path_buf(), |at, segment| at.join(segment))
}

/// The first archive of images in a folder, or in its `data/`, as Hugging Face has it.
fn archive(root: &Path) -> Option<String> {
    let names = |inner: &str| {
        let entries = fs::read_dir(root.join(inner)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.map(|name| format!("{inner}{name}")).collect::<Vec<_>>()
    };
    let is_archive = |name: &String| name.ends_with(".tar") || name.ends_with(".parquet");
    names("").into_iter().chain(names("data/")).filter(is_archive).min()
}
