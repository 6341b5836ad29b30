//! The recipes in a registry, of datasets that await their publishers. Nobody signs them.

use super::{Registry, layout};
use crate::recipe_file::RecipeFile;
use isn_format::dataset_ref::Name;
use isn_format::error::{Error, Result};

impl Registry {
    /// Reads the recipe of the dataset `name`, the files that it names and those that describe it; returns
    /// `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Mistakes`] if it is not a recipe of that dataset; also fails if a file
    /// cannot be read.
    pub async fn recipe(&self, name: &Name) -> Result<Option<RecipeFile>> {
        let path = layout::recipe(name);
        let Some(text) = self.read(&path, layout::max_len(&path)).await? else { return Ok(None) };
        let what = self.own.transport.locate(&path);
        let mut found = RecipeFile::of_registry(what.clone(), text)?;
        if found.recipe.name != *name {
            return Err(Error::invalid(what, format!("is the recipe of {}", found.recipe.name)));
        }
        let described = layout::RECIPE_TEXTS.into_iter().map(String::from);
        let files: Vec<String> = found.tables().map(String::from).chain(described).collect();
        for file in files {
            let path = layout::beside_recipe(name, &file);
            if layout::public(&path).is_some()
                && let Some(bytes) = self.read(&path, layout::max_len(&path)).await?
            {
                found.add(&file, bytes);
            }
        }
        Ok(Some(found))
    }
}
