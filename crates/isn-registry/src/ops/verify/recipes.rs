//! Verifies the recipes of a registry's folder: each can be read, with the files that it names.

use std::path::Path;

use super::{Fault, FaultKind};
use crate::files;
use crate::registry::{Registry, layout};
use isn_format::dataset_ref::Name;
use isn_format::error::Result;

/// Returns the faults of the recipes in `root`, the folder of `registry`. Other files beside a recipe are its
/// curator's.
///
/// # Errors
/// [`isn_format::error::Error::Io`] if the folder of the recipes cannot be listed.
pub(super) async fn check(registry: &Registry, root: &Path) -> Result<Vec<Fault>> {
    let folder = root.join(layout::RECIPES);
    let Ok(about) = folder.symlink_metadata() else { return Ok(Vec::new()) };
    if !about.is_dir() {
        let why = "is not a folder".into();
        return Ok(vec![Fault { path: layout::RECIPES.into(), kind: FaultKind::Invalid, why }]);
    }
    let mut faults = Vec::new();
    for name in files::names_in(&folder)?.iter().filter_map(|name| name.parse::<Name>().ok()) {
        let path = layout::recipe(&name);
        registry.ask_again();
        match registry.recipe(&name).await {
            Ok(_) => {}
            Err(e) => faults.push(Fault::of(&path, &e)),
        }
    }
    Ok(faults)
}
