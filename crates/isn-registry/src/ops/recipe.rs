//! `isn recipe`: finds the recipe of a dataset or a version in the registries, and writes it to a folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::ops::build::Inputs;
use crate::progress::Progress;
use crate::recipe_file::RecipeFile;
use crate::steps::new_folder::new_folder;
use crate::steps::unsigned;
use crate::transport;
use isn_format::dataset_ref::{DatasetRef, Name};
use isn_format::error::{Error, Missing, Result};
use isn_format::object::ObjectKind;

/// A recipe that was found.
pub struct Found {
    /// The recipe, with the files that it names.
    pub recipe: RecipeFile,
    /// The name of the registry that has it.
    pub registry: String,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// Returns the recipe of a dataset from the first registry that has one, or of a version the one that it was
/// built by, with the ledger, the groups and the pairs that were built from. Nobody signs the recipes of
/// datasets: they are what the registry says. A version's is what its manifest vouches for.
///
/// # Errors
/// [`Error::NotFound`] if no registry has one; [`Error::Network`] if one does not answer before it is found;
/// [`Error::Invalid`] or [`Error::Mistakes`] if it is not a recipe; of a version, those of describing it.
pub fn find(client: &Client, reference: &DatasetRef) -> Result<Found> {
    match reference {
        DatasetRef::Newest(name) => of_dataset(client, name),
        version => of_version(client, version),
    }
}

/// Returns the recipe of the dataset `name`, as [`find`].
///
/// # Errors
/// As [`find`].
pub fn of_dataset(client: &Client, name: &Name) -> Result<Found> {
    let (runtime, mut others) = (transport::runtime()?, Vec::new());
    for location in &client.locations {
        let registry = client.open(location)?;
        if let Some(recipe) = runtime.block_on(registry.recipe(name))? {
            return Ok(Found { recipe, registry: registry.name().into(), warnings: Vec::new() });
        }
        others.extend(client.recipes(location));
    }
    let place = format!("registry {}", client.locations.join(", "));
    Err(Error::not_found(Missing::Recipe, name, place).near(others))
}

fn of_version(client: &Client, reference: &DatasetRef) -> Result<Found> {
    let runtime = transport::runtime()?;
    let (registry, snapshot) = runtime.block_on(client.snapshot(reference))?;
    let object = &snapshot.head.manifest.objects.recipe;
    let what = registry.locate(ObjectKind::Recipe, &object.blake3);
    let recipe = Inputs::of_version(&runtime, &registry, &snapshot)?.into_recipe(what)?;
    let unsigned = snapshot.head.unsigned();
    let warnings = snapshot.head.warnings.into_iter().chain(unsigned::notice(unsigned)).collect();
    Ok(Found { recipe, registry: registry.name().into(), warnings })
}

/// Writes a registry's recipe, the files that it names and those that describe it to the new folder `dir`.
/// Returns the paths of the files in it, sorted.
///
/// # Errors
/// [`Error::Exists`] if `dir` exists and is not an empty folder; [`Error::Io`] if it cannot be written.
pub fn export(recipe: &RecipeFile, dir: &Path, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
    let files = recipe.files();
    new_folder(dir, "recipe", progress, |folder| {
        files.iter().try_for_each(|(name, bytes)| {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(Error::io("write", &path))
        })
    })?;
    Ok(files.keys().map(PathBuf::from).collect())
}
