//! [`Inputs`]: what a build reads besides images.

use std::path::PathBuf;

use tokio::runtime::Runtime;

use crate::client::Client;
use crate::recipe_file::RecipeFile;
use crate::registry::{Registry, Snapshot};
use crate::source::Source;
use crate::steps::objects::recipe_of;
use crate::transport;
use isn_format::dataset_ref::{DatasetRef, Name, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Mistake, Result};
use isn_format::groups::{self, Groups};
use isn_format::index::{Delta, Index};
use isn_format::key::PublicKey;
use isn_format::ledger::policy::Settled;
use isn_format::ledger::{self, Ledger};
use isn_format::manifest::Previous;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pairs::{self, Judged, Pairs};
use isn_format::recipe::{Earlier, Recipe};
use isn_format::split::{self, Assignments};

/// A recipe and the files that it names, with the exact bytes that become objects of the version.
pub struct Inputs {
    pub(super) recipe_bytes: Vec<u8>,
    pub(super) recipe: Recipe,
    pub(super) ledger_bytes: Option<Vec<u8>>,
    pub(super) ledger: Ledger,
    /// The ledger's file, or where the recipe could have one.
    pub(super) ledger_path: PathBuf,
    /// What the user can name the recipe by.
    pub(super) named: String,
    /// The dataset, if its recipe is a registry's, which the user has to export to change it.
    pub(super) exported: Option<Name>,
    pub(super) groups_bytes: Option<Vec<u8>>,
    pub(super) groups: Groups,
    pub(super) pairs_bytes: Option<Vec<u8>>,
    pub(super) judged: Judged,
    /// The earlier version that is followed, and its assignments.
    pub(super) previous: Option<(Previous, Assignments)>,
    /// Where that version is.
    pub(super) earlier: Option<EarlierAt>,
    /// What the user should know of the earlier version, for example that it is yanked.
    pub(super) warnings: Vec<String>,
}

impl Inputs {
    /// Reads the ledger, the groups and the pairs beside a recipe. The assignments of an earlier version come
    /// from the first registry that has them.
    ///
    /// # Errors
    /// [`Error::Mistakes`] or [`Error::Invalid`] if a file has mistakes or cannot be read;
    /// [`Error::NotFound`] if no registry has the assignments; those of opening a registry.
    pub fn read(file: RecipeFile, client: &Client) -> Result<Self> {
        let recipe = &file.recipe;
        let ledger_path = file.path_of(ledger_name(recipe));
        let ledger = recipe.corrections.as_ref();
        let ledger = ledger.map(|spec| file.beside(&spec.file, ledger::MAX_LEN)).transpose()?;
        let groups = recipe.split.groups.as_deref();
        let groups = groups.map(|groups| file.beside(groups, groups::MAX_LEN)).transpose()?;
        let pairs = recipe.split.pairs.as_deref();
        let pairs = pairs.map(|pairs| file.beside(pairs, pairs::MAX_LEN)).transpose()?;
        let earlier = recipe.split.previous;
        let (mut warnings, mut at) = (Vec::new(), None);
        let find = |earlier| find_assignments(client, &recipe.name, earlier, (&mut at, &mut warnings));
        let previous = earlier.map(find).transpose()?;
        let exported = file.is_of_registry().then(|| recipe.name.clone());
        let named = exported.as_ref().map_or_else(|| file.what().into(), Name::to_string);
        let inputs = Self::new(file.text, file.recipe, (ledger_path, ledger), [groups, pairs], previous)?;
        Ok(Inputs { named, exported, earlier: at, warnings, ..inputs })
    }

    /// Reads the inputs from the objects of a version, to build it again.
    ///
    /// # Errors
    /// [`Error::Integrity`] if an object is not what its hash says; [`Error::NotFound`] if one is missing;
    /// [`Error::Invalid`] if one is of a newer format; [`Error::Network`] if the registry does not answer.
    pub(crate) fn of_version(runtime: &Runtime, registry: &Registry, snapshot: &Snapshot) -> Result<Self> {
        let objects = &snapshot.head.manifest.objects;
        let (text, recipe) = recipe_of(runtime, registry, snapshot)?;
        let manifest = || registry.locate(ObjectKind::Manifest, &snapshot.head.manifest_ref.blake3);
        let table = |kind: ObjectKind, object: Option<ObjectRef>, name: &str, is_named| {
            let Some(object) = object.filter(|_| is_named) else {
                let later = objects.others.iter().find(|other| other.name == name);
                return match (is_named, later) {
                    (false, _) => Ok(None),
                    (true, Some(later)) => {
                        let format = &later.format;
                        let why = format!("has {name} of format '{format}': a newer isn may build it again");
                        Err(Error::invalid(manifest(), why))
                    }
                    (true, None) => {
                        let why = format!("names no {}, and its recipe does", kind.noun());
                        Err(Error::integrity(manifest(), why))
                    }
                };
            };
            let bytes = runtime.block_on(registry.object(kind, &object))?;
            Ok(Some((registry.locate(kind, &object.blake3), bytes)))
        };
        let has_ledger = recipe.corrections.is_some();
        let ledger = table(ObjectKind::Corrections, objects.corrections, "corrections", has_ledger)?;
        let groups = table(ObjectKind::Groups, objects.groups, "groups", recipe.split.groups.is_some())?;
        let pairs = table(ObjectKind::Pairs, objects.pairs, "pairs", recipe.split.pairs.is_some())?;
        let previous = match recipe.split.previous {
            Some(Earlier::Assignments(assignments)) => Some(Previous { release: None, assignments }),
            Some(Earlier::Version(_)) => {
                let previous = snapshot.head.manifest.previous.clone();
                let why = "names no earlier assignments, and its recipe does";
                Some(previous.ok_or_else(|| Error::integrity(manifest(), why))?)
            }
            None => None,
        };
        let found = |previous| assignments_of(runtime, registry, previous);
        let previous = previous.map(found).transpose()?;
        let ledger_path = PathBuf::from(ledger_name(&recipe));
        Self::new(text, recipe, (ledger_path, ledger), [groups, pairs], previous)
    }

    /// Returns the recipe with the files that it names; `what` is where the recipe is.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Mistakes`] if it is not a recipe.
    pub(crate) fn into_recipe(self, what: String) -> Result<RecipeFile> {
        let Inputs { recipe, ledger_bytes, groups_bytes, pairs_bytes, .. } = self;
        let mut file = RecipeFile::of_registry(what, self.recipe_bytes)?;
        let tables = [
            (recipe.corrections.map(|spec| spec.file), ledger_bytes),
            (recipe.split.groups, groups_bytes),
            (recipe.split.pairs, pairs_bytes),
        ];
        for (name, bytes) in tables {
            if let (Some(name), Some(bytes)) = (name, bytes) {
                file.add(&name, bytes);
            }
        }
        Ok(file)
    }

    fn new(
        text: String,
        recipe: Recipe,
        (ledger_path, ledger): (PathBuf, Option<Named>),
        [groups, pairs]: [Option<Named>; 2],
        previous: Option<(Previous, Assignments)>,
    ) -> Result<Self> {
        let (ledger, ledger_bytes) = match ledger {
            Some((what, bytes)) => (Ledger::parse(&what, &bytes)?, Some(bytes)),
            None => (Ledger::default(), None),
        };
        let (groups, groups_bytes) = match groups {
            Some((what, bytes)) => (Groups::parse(&what, &bytes)?, Some(bytes)),
            None => (Groups::default(), None),
        };
        let (judged, pairs_bytes) = match pairs {
            Some((what, bytes)) => (Pairs::parse(&what, &bytes)?.judge(), Some(bytes)),
            None => (Judged::default(), None),
        };
        let recipe_bytes = text.into_bytes();
        Ok(Inputs {
            recipe_bytes,
            recipe,
            ledger_bytes,
            ledger,
            ledger_path,
            named: String::new(),
            exported: None,
            groups_bytes,
            groups,
            pairs_bytes,
            judged,
            previous,
            earlier: None,
            warnings: Vec::new(),
        })
    }

    /// Settles the ledger for the images of `source`.
    pub(crate) fn settle(&self, source: &Source) -> Result<Settled> {
        let Some(spec) = &self.recipe.corrections else { return Ok(Settled::default()) };
        let given = source.images.iter().map(|image| (image.id, image.class));
        let settled = spec.policy.settle(&self.ledger, &self.recipe.classes, given);
        if settled.problems.is_empty() {
            return Ok(settled);
        }
        let mistakes = settled.problems.into_iter().map(|why| Mistake { line: None, why }).collect();
        Err(Error::Mistakes { what: format!("ledger {}", spec.file), mistakes })
    }
}

/// An earlier version, and the registry that has it.
pub(super) struct EarlierAt {
    registry: Registry,
    manifest: ObjectRef,
    signed_by: Vec<PublicKey>,
    dataset: Digest,
    index: ObjectRef,
}

impl EarlierAt {
    /// Returns in what `new` differs from the index of that version, unless that is much.
    ///
    /// # Errors
    /// Fails if the index of that version cannot be read.
    pub(super) fn delta(&self, new: &Index) -> Result<Option<Delta>> {
        let described = self.registry.describe(self.manifest, self.signed_by.clone());
        let old = transport::runtime()?.block_on(described)?;
        Ok(Delta::between(old.index(), (self.dataset, self.index), new))
    }
}

/// The file name of a recipe's ledger, or a name for one if it has none.
fn ledger_name(recipe: &Recipe) -> &str {
    recipe.corrections.as_ref().map_or("corrections.csv", |spec| &spec.file)
}

/// What messages call an input, and its bytes.
type Named = (String, Vec<u8>);

/// Returns an earlier version of the dataset `name` and its assignments: those of a release, or from the
/// first registry that has them.
fn find_assignments(
    client: &Client,
    name: &Name,
    earlier: Earlier,
    (at, warnings): (&mut Option<EarlierAt>, &mut Vec<String>),
) -> Result<(Previous, Assignments)> {
    let runtime = transport::runtime()?;
    let digest = match earlier {
        Earlier::Assignments(digest) => digest,
        Earlier::Version(version) => {
            let id = VersionId { name: name.clone(), version };
            let (registry, head) = runtime.block_on(client.head(&DatasetRef::Version(id, None)))?;
            warnings.extend(head.warnings);
            let release = Some((version, head.manifest.dataset));
            let assignments = head.manifest.objects.assignments.blake3;
            let found = assignments_of(&runtime, &registry, Previous { release, assignments })?;
            let (dataset, index) = (head.manifest.dataset, head.manifest.objects.index);
            let (manifest, signed_by) = (head.manifest_ref, head.signed_by);
            *at = Some(EarlierAt { registry, manifest, signed_by, dataset, index });
            return Ok(found);
        }
    };
    for location in &client.locations {
        if let Some(found) = assignments_in(&runtime, &client.open(location)?, &digest)? {
            return Ok((Previous { release: None, assignments: digest }, found));
        }
    }
    Err(no_assignments(&digest, format!("registry {}", client.locations.join(", "))))
}

fn assignments_of(
    runtime: &Runtime,
    registry: &Registry,
    previous: Previous,
) -> Result<(Previous, Assignments)> {
    let digest = &previous.assignments;
    let found = assignments_in(runtime, registry, digest)?;
    let found = found.ok_or_else(|| no_assignments(digest, format!("registry {}", registry.name())))?;
    Ok((previous, found))
}

fn no_assignments(digest: &Digest, place: String) -> Error {
    Error::not_found(Missing::Other, format!("split assignments b3:{digest}"), place)
}

fn assignments_in(runtime: &Runtime, registry: &Registry, digest: &Digest) -> Result<Option<Assignments>> {
    let found = runtime.block_on(registry.find_object(ObjectKind::Splits, digest, split::MAX_LEN))?;
    found.map(|bytes| Assignments::parse(&registry.locate(ObjectKind::Splits, digest), &bytes)).transpose()
}
