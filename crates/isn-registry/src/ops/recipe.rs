//! `isn recipe`: finds the recipe of a dataset in the registries, and writes it to a folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::progress::Progress;
use crate::recipe_file::RecipeFile;
use crate::steps::new_folder::new_folder;
use crate::transport;
use isn_format::dataset_ref::Name;
use isn_format::error::{Error, Missing, Result};

/// Returns the recipe of the dataset `name` from the first registry that has one, and the name of that
/// registry. Nobody signs recipes: they are what the registry says.
///
/// # Errors
/// [`Error::NotFound`] if no registry has one; [`Error::Network`] if one does not answer before it is found;
/// [`Error::Invalid`] or [`Error::Mistakes`] if it is not a recipe.
pub fn find(client: &Client, name: &Name) -> Result<(RecipeFile, String)> {
    let (runtime, mut others) = (transport::runtime()?, Vec::new());
    for location in &client.locations {
        let registry = client.open(location)?;
        if let Some(recipe) = runtime.block_on(registry.recipe(name))? {
            return Ok((recipe, registry.name().into()));
        }
        others.extend(client.recipes(location));
    }
    let place = format!("registry {}", client.locations.join(", "));
    Err(Error::not_found(Missing::Recipe, name, place).near(others))
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
