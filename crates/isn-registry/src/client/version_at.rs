//! [`VersionAt`]: what a user names a version by: a reference, or a build or tree of their own.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Client, complete};
use crate::files;
use crate::registry::ahead::Needs;
use crate::registry::layout::MANIFEST_JSON;
use crate::registry::{Head, Registry, Snapshot, build};
use crate::tree_file::{Lists, read_lists};
use crate::trust::RegistryId;
use isn_format::dataset_ref::{DatasetRef, RefError};
use isn_format::error::{Error, Missing, Result};
use isn_format::tree::{Selection, is_unreleased_pin};

/// Where a version is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionAt {
    /// In a registry.
    Registry(DatasetRef),
    /// In a folder: the output of a build, or a tree.
    Folder(PathBuf),
}

impl FromStr for VersionAt {
    type Err = RefError;

    /// Text with a `/` is a path. A version or a pin is never a folder, whatever lies in the current one: a
    /// stranger's files must not stand in for it. A name alone may be a build, and what is no reference, such
    /// as `birds-1.0`, a build or a tree.
    fn from_str(text: &str) -> Result<Self, RefError> {
        let path = Path::new(text);
        let folder = || Ok(VersionAt::Folder(path.into()));
        if is_path(text) && !is_unreleased_pin(text) {
            return folder();
        }
        match text.parse() {
            Ok(DatasetRef::Newest(_)) if Local::of(path) == Some(Local::Build) => folder(),
            // What is meant as a version, a pin or an address, and misspelled, is not a folder.
            Err(_) if !text.contains(['@', '#', ':', '=']) && Local::of(path).is_some() => folder(),
            reference => reference.map(VersionAt::Registry),
        }
    }
}

/// Whether a text is written as a path, and not as a name or a reference.
pub fn is_path(text: &str) -> bool {
    text.contains(['/', std::path::MAIN_SEPARATOR]) || text.starts_with('.')
}

/// What a folder has a version as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// The output of a build.
    Build,
    /// A tree.
    Tree,
}

impl Local {
    fn of(path: &Path) -> Option<Self> {
        if files::is_tree(path) {
            return Some(Local::Tree);
        }
        path.join(MANIFEST_JSON).is_file().then_some(Local::Build)
    }

    /// Looks at what is at `path`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is there; [`Error::Invalid`] if it is neither a build nor a tree.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        match Local::of(path) {
            Some(local) => Ok(local),
            None if matches!(RegistryId::of_url(&path.to_string_lossy()), Ok(Some(_))) => {
                let why = "is the address of a registry: name a version, with --registry";
                Err(Error::invalid(path.display(), why))
            }
            None if files::is_absent(path) => Err(Error::not_found(Missing::File, path.display(), "")),
            None => {
                let why = "is neither a tree (no B3SUMS) nor a build (no manifest.json)";
                Err(Error::invalid(path.display(), why))
            }
        }
    }
}

impl VersionAt {
    /// Returns the lists of the tree, if it is one.
    ///
    /// # Errors
    /// As [`read_lists`] and [`Local::at`].
    pub(crate) fn tree(&self) -> Result<Option<Lists>> {
        match self {
            VersionAt::Folder(folder) if Local::at(folder)? == Local::Tree => read_lists(folder).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns the manifest of the version, and who vouches for it. A manifest that nobody has signed is
    /// checked against its lists.
    ///
    /// # Errors
    /// As [`VersionAt::describe`].
    pub(crate) async fn head(&self, client: &Client) -> Result<Head> {
        match self {
            VersionAt::Registry(reference) => {
                let (registry, head) = client.head(reference).await?;
                match head.unsigned() {
                    [] => Ok(head),
                    _ => Ok(complete(&registry, head).await?.head),
                }
            }
            VersionAt::Folder(_) => Ok(self.describe(client).await?.1.head),
        }
    }

    /// Describes the version; a tree has no index, so it cannot be described.
    ///
    /// # Errors
    /// As [`Client::snapshot`]; [`Error::NotFound`] or [`Error::Invalid`] if a folder is not a build;
    /// [`Error::Integrity`] or [`Error::Io`] if a build is damaged or cannot be read.
    pub(crate) async fn describe(&self, client: &Client) -> Result<(Registry, Snapshot)> {
        self.describe_part(client, &Selection::default()).await
    }

    /// As [`VersionAt::describe`]; of a registry's version, reads only what a selection has where that can be
    /// read alone.
    ///
    /// # Errors
    /// As [`VersionAt::describe`].
    pub(crate) async fn describe_part(
        &self,
        client: &Client,
        selection: &Selection,
    ) -> Result<(Registry, Snapshot)> {
        match self {
            VersionAt::Registry(reference) => client.part(reference, Needs::LISTS, selection).await,
            VersionAt::Folder(path) => match Local::at(path)? {
                Local::Build => describe_build(path).await,
                Local::Tree => {
                    let why = "is a tree, which has no index: name its version, or the build that it is from";
                    Err(Error::invalid(path.display(), why))
                }
            },
        }
    }
}

/// Describes the build in `folder`, which the user named. Where the name alone could also be that of a
/// dataset, a warning says which of the two it is taken for.
///
/// # Errors
/// As [`build::describe`].
pub(crate) async fn describe_build(folder: &Path) -> Result<(Registry, Snapshot)> {
    let (registry, mut snapshot) = build::describe(folder).await?;
    let name = folder.to_str().filter(|text| text.parse::<DatasetRef>().is_ok());
    snapshot.head.warnings.extend(name.map(|name| {
        format!(
            "{name} is taken for the build in this folder, not for a dataset of a registry: write ./{name} to \
             avoid this warning"
        )
    }));
    Ok((registry, snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_or_a_pin_is_never_a_folder() {
        for text in
            ["birds@1.0", &format!("b3:{}", "0".repeat(64)), &format!("birds@1.0#b3:{}", "0".repeat(64))]
        {
            assert!(matches!(text.parse(), Ok(VersionAt::Registry(_))), "{text}");
        }
        for text in ["./birds", "/birds@1.0", ".", "..", "a/birds@1.0"] {
            assert_eq!(text.parse(), Ok(VersionAt::Folder(text.into())));
        }
        assert!("no folder".parse::<VersionAt>().is_err());
    }
}
