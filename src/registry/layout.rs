//! Where things are in a registry: every path is formed here and nowhere else. docs/format.md has the table.

use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::object::ObjectKind;

/// What makes a folder a registry.
pub const REGISTRY_JSON: &str = "registry.json";
/// All dataset names, one a line: a hint, since static hosts cannot list.
pub const NAMES: &str = "releases/names";

/// The signed release of a version.
pub fn release(name: &Name, version: Version) -> String {
    format!("releases/{name}/{version}")
}

/// The versions of a dataset, one a line: a hint.
pub fn versions(name: &Name) -> String {
    format!("releases/{name}/versions")
}

/// The packs of a manifest, one 64-hex digest a line: a hint.
pub fn packs(manifest: &Digest) -> String {
    format!("packs/{manifest}")
}

/// `name version` of a dataset hash: a hint.
pub fn pin(dataset: &Digest) -> String {
    format!("pins/{dataset}")
}

/// An object.
pub fn object(kind: ObjectKind, digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("objects/{}/{hex}.{}", &hex[..2], kind.extension())
}

/// The recipe of a dataset that awaits its publisher.
pub fn recipe(name: &Name) -> String {
    format!("recipes/{name}/recipe.toml")
}
