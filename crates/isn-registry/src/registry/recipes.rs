//! The recipes in a registry, of datasets that await their publishers. Nobody signs them.

use std::path::Path;

use super::{Registry, folder_of, layout};
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
        self.check_is_no_link(&path)?;
        let Some(text) = self.read(&path, layout::max_len(&path)).await? else { return Ok(None) };
        let what = self.own.transport.locate(&path);
        let mut found = RecipeFile::of_registry(what.clone(), text)?;
        if found.recipe.name != *name {
            return Err(Error::invalid(what, format!("is the recipe of {}", found.recipe.name)));
        }
        let tables: Vec<String> = found.tables().map(String::from).collect();
        let described = layout::RECIPE_TEXTS.into_iter().map(String::from);
        for file in tables.iter().cloned().chain(described) {
            let path = layout::beside_recipe(name, &file);
            let read = match layout::public(&path) {
                Some(_) => {
                    self.check_is_no_link(&path)?;
                    self.read(&path, layout::max_len(&path)).await?
                }
                None => None,
            };
            match read {
                Some(bytes) => found.add(&file, bytes),
                None if tables.contains(&file) => {
                    return Err(Error::invalid(
                        what,
                        format!("names {file}, which the registry does not have"),
                    ));
                }
                None => {}
            }
        }
        Ok(Some(found))
    }

    /// Refuses a link in a folder, which may lead to any file of this machine: nothing checks the hash of a
    /// recipe.
    fn check_is_no_link(&self, path: &str) -> Result<()> {
        let Some(root) = folder_of(&self.name).filter(|_| self.id.is_some()) else { return Ok(()) };
        let mut places = Path::new(path).ancestors().map(|below| root.join(below));
        match places.find(|place| place != root && place.is_symlink()) {
            Some(link) => Err(Error::invalid(link.display(), "is a link, and may lead out of the registry")),
            None => Ok(()),
        }
    }
}
