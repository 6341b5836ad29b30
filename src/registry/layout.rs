//! Where things are in a registry: every path is formed here and nowhere else. docs/format.md has the table.

use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::log::TILE_WIDTH;
use crate::object::ObjectKind;

/// What makes a folder a registry.
pub const REGISTRY_JSON: &str = "registry.json";
/// All dataset names, one a line: a hint, since static hosts cannot list.
pub const NAMES: &str = "releases/names";

/// The log's newest checkpoint: the one file that is never the same for long.
pub const CHECKPOINT: &str = "log/checkpoint";
/// Entries that somebody is about to append, by their number; readers never look at it.
pub const CLAIMS: &str = "log/.isn-claims";

/// A tile of the log's tree, of 1 to 256 hashes (C2SP tlog-tiles).
pub fn log_tile(level: u8, index: u64, width: u64) -> String {
    format!("log/tile/{level}/{}", tile_path(index, width))
}

/// A bundle of 1 to 256 of the log's entries.
pub fn log_entries(index: u64, width: u64) -> String {
    format!("log/tile/entries/{}", tile_path(index, width))
}

/// `x001/x234/067` for 1234067, and `.p/<width>` for a tile that is not full.
fn tile_path(index: u64, width: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH { format!("{path}.p/{width}") } else { path }
}

/// The claim of the entry `index`.
pub fn log_claim(index: u64) -> String {
    format!("{CLAIMS}/{index}")
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_where_c2sp_has_them() {
        assert_eq!(log_tile(0, 0, 256), "log/tile/0/000");
        assert_eq!(log_tile(1, 5, 17), "log/tile/1/005.p/17");
        assert_eq!(log_entries(1_234_067, 256), "log/tile/entries/x001/x234/067");
        assert_eq!(log_entries(1000, 1), "log/tile/entries/x001/000.p/1");
    }
}
