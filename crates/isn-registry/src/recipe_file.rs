//! [`RecipeFile`]: a recipe with the files beside it, from the user's folder or from a registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files;
use isn_format::error::{Error, Result, chain};
use isn_format::groups::{self, Groups};
use isn_format::pairs::{self, Judged, Pairs};
use isn_format::recipe::{MAX_LEN, Recipe};

/// The name of the recipe among the files of a registry's recipe.
pub const RECIPE_TOML: &str = "recipe.toml";

/// A recipe, its exact text, and where the files are that it names.
pub struct RecipeFile {
    /// The recipe.
    pub recipe: Recipe,
    /// Its text, which becomes an object of the version.
    pub text: String,
    what: String,
    beside: Beside,
}

/// Where the files beside a recipe are.
enum Beside {
    Folder(PathBuf),
    /// In memory, as a registry had them.
    Registry(BTreeMap<String, Vec<u8>>),
}

impl RecipeFile {
    /// Reads a recipe that the user has named. The files beside it are read when they are asked for.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] or [`Error::Mistakes`] if it is not a
    /// recipe, or too long for one.
    pub fn open(path: &Path) -> Result<Self> {
        let (what, text) = (path.display().to_string(), files::read_text(path, MAX_LEN)?);
        let recipe = Recipe::parse(&what, &text)?;
        Ok(RecipeFile { recipe, text, what, beside: Beside::Folder(files::parent(path).to_path_buf()) })
    }

    /// Takes the text of a registry's recipe, `what` in messages, and what else is in its folder.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Mistakes`] if it is not a recipe.
    pub(crate) fn of_registry(what: String, text: Vec<u8>) -> Result<Self> {
        let text = String::from_utf8(text).map_err(|_| Error::invalid(&what, "is not UTF-8 text"))?;
        let recipe = Recipe::parse(&what, &text)?;
        Ok(RecipeFile { recipe, text, what, beside: Beside::Registry(BTreeMap::new()) })
    }

    /// What messages call it: its path, or its place in a registry.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// Adds a file of the registry's folder.
    pub(crate) fn add(&mut self, file: &str, bytes: Vec<u8>) {
        if let Beside::Registry(files) = &mut self.beside {
            files.insert(file.into(), bytes);
        }
    }

    /// The names of the files that the recipe names: the ledger, the groups and the pairs, if any.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &str> {
        let ledger = self.recipe.corrections.as_ref().map(|spec| spec.file.as_str());
        let split = &self.recipe.split;
        ledger.into_iter().chain(split.groups.as_deref()).chain(split.pairs.as_deref())
    }

    /// Reads the groups that the recipe names.
    ///
    /// # Errors
    /// As [`RecipeFile::beside`]; [`Error::Mistakes`] if the file has mistakes.
    pub(crate) fn groups(&self) -> Result<Groups> {
        let Some(name) = self.recipe.split.groups.as_deref() else { return Ok(Groups::default()) };
        let (what, bytes) = self.beside(name, groups::MAX_LEN)?;
        Groups::parse(&what, &bytes)
    }

    /// The path of the pairs that the recipe names, if it does.
    pub(crate) fn pairs_path(&self) -> Option<PathBuf> {
        self.recipe.split.pairs.as_deref().map(|name| self.path_of(name))
    }

    /// Reads what the pairs that the recipe names come to; `None` if it names none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the file is absent, cannot be read, is no regular file or is too long;
    /// [`Error::Mistakes`] if it has mistakes.
    pub fn judged(&self) -> Result<Option<Judged>> {
        let Some(name) = self.recipe.split.pairs.as_deref() else { return Ok(None) };
        let (what, bytes) = self.beside(name, pairs::MAX_LEN)?;
        Ok(Some(Pairs::parse(&what, &bytes)?.judge()))
    }

    /// Reads a file of at most `longest` bytes that the recipe names. Returns it with what messages call it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is absent, cannot be read, is no regular file or is longer.
    pub(crate) fn beside(&self, file: &str, longest: u64) -> Result<(String, Vec<u8>)> {
        let path = self.path_of(file);
        let named = |why: String| Error::invalid(&self.what, format!("names {file}: {why}"));
        if matches!(self.beside, Beside::Folder(_)) && files::is_absent(&path) {
            let split = &self.recipe.split;
            let makes = if split.pairs.as_deref() == Some(file) {
                "`isn pairs add` and `isn review --pairs` make it"
            } else if split.groups.as_deref() == Some(file) {
                "`isn audit duplicates --groups` makes it"
            } else {
                "`isn ledger add` and `isn review --ledger` make it"
            };
            let why = format!("names {file}, which does not exist: {makes}; or take it out of the recipe");
            return Err(Error::invalid(&self.what, why));
        }
        let bytes = match &self.beside {
            Beside::Folder(_) => files::read_beside(&path, longest).map_err(|e| match e {
                Error::Io { .. } => named(chain(&e)),
                e => e,
            }),
            Beside::Registry(files) => {
                files.get(file).cloned().ok_or_else(|| named("the registry does not have it".into()))
            }
        };
        bytes.map(|bytes| (path.display().to_string(), bytes))
    }

    /// The path of a file beside the recipe: of a registry's, where [`crate::ops::recipe::export`] writes it.
    pub(crate) fn path_of(&self, file: &str) -> PathBuf {
        match &self.beside {
            Beside::Folder(folder) => folder.join(file),
            Beside::Registry(_) => Path::new(self.recipe.name.as_str()).join(file),
        }
    }

    /// Whether a registry has it, so that the user must export it to change it.
    pub(crate) fn is_of_registry(&self) -> bool {
        matches!(self.beside, Beside::Registry(_))
    }

    /// The files of a registry's recipe, by name, with the recipe itself; of a user's, the recipe alone.
    pub fn files(&self) -> BTreeMap<&str, &[u8]> {
        let mut all = BTreeMap::from([(RECIPE_TOML, self.text.as_bytes())]);
        if let Beside::Registry(files) = &self.beside {
            all.extend(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        }
        all
    }
}
