//! The paths in a registry, which are formed here and nowhere else. docs/format.md has the table.

use super::snapshot::MAX_UNSIGNED;
use super::{MAX_BUILT, MAX_HINT};
use crate::recipe_file::RECIPE_TOML;
use isn_format::dataset_ref::{Name, VersionId};
use isn_format::digest::Digest;
use isn_format::log::names::{File, MAX_FILE, MAX_NOTE, Subject};
use isn_format::log::{LogKey, MAX_CHECKPOINT, MAX_CLAIM, TILE_WIDTH, bundle};
use isn_format::object::{Extension, ObjectKind};
use isn_format::rel_path::check_segment;
use isn_format::statement;

/// The file that makes a folder a registry.
pub const REGISTRY_JSON: &str = "registry.json";
/// The file that makes a folder a build: its manifest, beside objects as in a registry.
pub(crate) const MANIFEST_JSON: &str = "manifest.json";
/// All dataset names, one a line: a hint, since static hosts cannot list files.
pub const NAMES: &str = "releases/names";

/// The newest checkpoint of the registry's log, the only file that is replaced regularly.
pub const CHECKPOINT: &str = "log/checkpoint";

/// The note that the log's key signs of the index of names. Not below `log`, where isn 0.1.0 knows every
/// file.
pub const NAMES_NOTE: &str = "names/note";

/// The folder of what was sent to a server for publishing, until its statement is in the log; readers never
/// look at it.
pub const STAGING: &str = ".isn-staging";

/// The recipes of datasets that nobody has published yet.
pub(crate) const RECIPES: &str = "recipes";
/// The texts in a recipe's folder. They are public, as are the recipe and its tables; people keep more there,
/// and not all of it is for others.
pub(crate) const RECIPE_TEXTS: [&str; 2] = ["README.md", "DATASHEET.md"];

/// The file with the key of the log that this folder is to become a mirror of, until it is one; readers never
/// look at it.
pub(crate) const MIRRORING: &str = ".isn-mirror";

/// The prefix of names that readers never see.
const HIDDEN: &str = ".isn-";

/// Whether a path is one of those that isn keeps beside the registry's own, which readers never see.
pub(crate) fn is_hidden(path: &str) -> bool {
    path.split('/').any(|name| name.starts_with(HIDDEN))
}

/// The folders in which everything is a registry's, beside `objects`.
pub(crate) const FOLDERS: [&str; 6] = ["attestations", "log", "names", "packs", "pins", "releases"];

/// One of the two logs of a registry, by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log(&'static str);

/// The registry's log.
pub const LOG: Log = Log("log");
/// The attestation log: who states to have built what.
pub const ATTESTATIONS: Log = Log("attestations");

impl Log {
    /// The log with this key.
    pub fn of(key: &LogKey) -> Self {
        if key.attests_for().is_some() { ATTESTATIONS } else { LOG }
    }

    /// The newest checkpoint.
    pub fn checkpoint(self) -> String {
        format!("{}/checkpoint", self.0)
    }

    /// The folder of tiles and bundles.
    pub(crate) fn tiles(self) -> String {
        format!("{}/tile", self.0)
    }

    /// The folder of log claims, each named after the number of its first entry; readers never look at it.
    pub(crate) fn claims(self) -> String {
        format!("{}/{CLAIMS}", self.0)
    }

    /// The log claim of the entry `index`.
    pub fn claim(self, index: u64) -> String {
        format!("{}/{index}", self.claims())
    }

    /// A tile of the log's tree, of 1 to 256 hashes (C2SP tlog-tiles).
    pub fn tile(self, level: u8, index: u64, width: u64) -> String {
        format!("{}/{level}/{}", self.tiles(), tile_path(index, width))
    }

    /// A bundle of 1 to 256 of the log's entries.
    pub fn entries(self, index: u64, width: u64) -> String {
        format!("{}/entries/{}", self.tiles(), tile_path(index, width))
    }

    /// The folder of the narrower versions of a tile.
    pub(crate) fn partial_tiles(self, level: u8, index: u64) -> String {
        format!("{}.p", self.tile(level, index, TILE_WIDTH))
    }

    /// The folder of the narrower versions of a bundle.
    pub(crate) fn partial_entries(self, index: u64) -> String {
        format!("{}.p", self.entries(index, TILE_WIDTH))
    }

    /// Returns what is at `path` below the folder of tiles; `None` if it is neither a tile nor a bundle.
    pub(crate) fn tile_at(self, path: &str) -> Option<Tile> {
        let (level, rest) = path.strip_prefix(self.0)?.strip_prefix("/tile/")?.split_once('/')?;
        let (number, width) = match rest.split_once(".p/") {
            Some((path, width)) => {
                (path, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width))?)
            }
            None => (rest, TILE_WIDTH),
        };
        let digits: String = number.split('/').map(|part| part.trim_start_matches('x')).collect();
        let index = digits.parse().ok()?;
        let (level, formed) = match level {
            "entries" => (None, self.entries(index, width)),
            level => level.parse().ok().map(|level| (Some(level), self.tile(level, index, width)))?,
        };
        (formed == path && level.is_none_or(|level| level < 64)).then_some(Tile { level, index, width })
    }
}

/// A file of the index of names.
pub fn names_file(file: &File) -> String {
    match file {
        File::Top { through } | File::Node { through, .. } => {
            format!("{}/{through}", states_of(file).unwrap_or_default())
        }
        File::Block { of: Subject::Log, level, index } => format!("names/keys/{level}/{index}"),
        File::Block { of: Subject::Name(name), level, index } => {
            format!("names/entries/{name}/{level}/{index}")
        }
    }
}

/// The folder of the states of a file of the index of names; `None` of one that never changes.
pub(crate) fn states_of(file: &File) -> Option<String> {
    match file {
        File::Top { .. } => Some("names/top".into()),
        File::Node { prefix, .. } => {
            let hex: String = prefix.iter().map(|digit| format!("{digit:x}")).collect();
            Some(format!("names/node/{hex}"))
        }
        File::Block { .. } => None,
    }
}

/// Returns the file of the index of names at `path`; `None` if it is none.
fn names_file_at(path: &str) -> Option<File> {
    let parts: Vec<&str> = path.split('/').collect();
    let digit = |digit: u8| (digit as char).to_digit(16).map(|digit| digit as u8);
    let file = match parts[..] {
        ["names", "top", through] => File::Top { through: through.parse().ok()? },
        ["names", "node", prefix, through] if (1..=64).contains(&prefix.len()) => {
            let prefix = prefix.bytes().map(digit).collect::<Option<Vec<_>>>()?;
            File::Node { prefix, through: through.parse().ok()? }
        }
        ["names", "keys", level, index] => {
            File::Block { of: Subject::Log, level: level.parse().ok()?, index: index.parse().ok()? }
        }
        ["names", "entries", name, level, index] => {
            let of = Subject::Name(name.parse().ok()?);
            File::Block { of, level: level.parse().ok()?, index: index.parse().ok()? }
        }
        _ => return None,
    };
    (names_file(&file) == path).then_some(file)
}

/// The folder of the log claims of a log.
const CLAIMS: &str = ".isn-claims";

/// What keys state to have built of a version, in the form of a bundle of the attestation log's entries: a
/// hint.
pub fn built(VersionId { name, version }: &VersionId) -> String {
    format!("attestations/versions/{name}/{version}")
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

/// The signed release of a version.
pub fn release(VersionId { name, version }: &VersionId) -> String {
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

/// The name and version of a dataset hash: a hint.
pub fn pin(dataset: &Digest) -> String {
    format!("pins/{dataset}")
}

/// An object.
pub fn object(kind: ObjectKind, digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("objects/{}/{hex}.{}", &hex[..2], kind.extension())
}

/// The recipe of a dataset that nobody has published yet.
pub fn recipe(name: &Name) -> String {
    beside_recipe(name, RECIPE_TOML)
}

/// A file in the folder of that recipe.
pub(crate) fn beside_recipe(name: &Name, file: &str) -> String {
    format!("{RECIPES}/{name}/{file}")
}

/// The maximum number of bytes that a writer reads of the file at `path`, which somebody else may have put
/// there.
pub fn max_len(path: &str) -> u64 {
    let top = path.split_once('/').map_or("", |(top, _)| top);
    match top {
        "log" | "attestations" => match path.split('/').nth(1) {
            Some("checkpoint") => MAX_CHECKPOINT,
            Some(CLAIMS) => MAX_CLAIM,
            Some("versions") => MAX_BUILT,
            _ => bundle::MAX_LEN,
        },
        "releases" if path != NAMES && !path.ends_with("/versions") => statement::MAX_LEN as u64,
        "names" if path == NAMES_NOTE => MAX_NOTE,
        "names" => MAX_FILE,
        "recipes" => MAX_UNSIGNED,
        // No writer reads an object: its length and hash are checked when it is put there.
        "objects" => u64::MAX,
        _ => MAX_HINT,
    }
}

/// A file that readers may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Public {
    /// An object: the bytes with this hash, for ever.
    Object(Digest),
    /// A full tile or bundle of the log, which never changes.
    FullTile,
    /// Anything that may change or go.
    Other,
}

/// Returns what the file at `path` is to readers; `None` for anything else in a registry's folder. Each path
/// has one spelling: one that is not spelt as it is formed here is not public.
pub fn public(path: &str) -> Option<Public> {
    if [REGISTRY_JSON, NAMES, CHECKPOINT].contains(&path) || path == ATTESTATIONS.checkpoint() {
        return Some(Public::Other);
    }
    if path == NAMES_NOTE {
        return Some(Public::Other);
    }
    let (top, rest) = path.split_once('/')?;
    let is = |formed: String| (formed == path).then_some(Public::Other);
    match top {
        "objects" => {
            let (hex, extension) = rest.split_once('/')?.1.split_once('.')?;
            let digest: Digest = hex.parse().ok()?;
            let extension = Extension::ALL.into_iter().find(|one| one.as_str() == extension)?;
            (object(ObjectKind::Other(extension), &digest) == path).then_some(Public::Object(digest))
        }
        // States of nodes go when there are newer ones, so none is cached for ever.
        "names" => names_file_at(path).map(|_| Public::Other),
        "packs" => is(packs(&rest.parse().ok()?)),
        "pins" => is(pin(&rest.parse().ok()?)),
        "attestations" if rest.starts_with("versions/") => {
            let (name, version) = rest.strip_prefix("versions/")?.split_once('/')?;
            is(built(&VersionId { name: name.parse().ok()?, version: version.parse().ok()? }))
        }
        "log" | "attestations" => {
            let log = if top == "log" { LOG } else { ATTESTATIONS };
            log.tile_at(path).map(|tile| match tile.width {
                TILE_WIDTH => Public::FullTile,
                _ => Public::Other,
            })
        }
        "releases" => {
            let (name, file) = rest.split_once('/')?;
            let name: Name = name.parse().ok()?;
            is(match file {
                "versions" => versions(&name),
                version => release(&VersionId { name, version: version.parse().ok()? }),
            })
        }
        "recipes" => {
            let (name, file) = rest.split_once('/')?;
            let is_table = file.ends_with(".csv") && check_segment(file).is_ok();
            let is_file = file == RECIPE_TOML || RECIPE_TEXTS.contains(&file) || is_table;
            (is_file && name.parse::<Name>().is_ok()).then_some(Public::Other)
        }
        _ => None,
    }
}

/// A tile of the log's tree, or a bundle of entries.
pub(crate) struct Tile {
    /// The level of a tile; `None` for a bundle.
    pub(crate) level: Option<u8>,
    /// Its number in its level.
    pub(crate) index: u64,
    /// The number of its hashes or entries.
    pub(crate) width: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_formed_here_is_public_and_nothing_else() {
        let id: VersionId = "birds@1.0".parse().unwrap();
        let name = &id.name;
        let digest = Digest::of(b"");
        for path in [REGISTRY_JSON.into(), NAMES.into(), CHECKPOINT.into(), release(&id)]
            .into_iter()
            .chain([versions(name), packs(&digest), pin(&digest), recipe(name)])
            .chain(
                [LOG, ATTESTATIONS]
                    .iter()
                    .flat_map(|log| [log.checkpoint(), log.tile(0, 7, 3), log.entries(1_234_067, 255)]),
            )
            .chain([built(&id), NAMES_NOTE.into()])
            .chain(
                [
                    File::Top { through: 0 },
                    File::Node { prefix: vec![0, 15], through: 7 },
                    File::Block { of: Subject::Log, level: 0, index: 3 },
                    File::Block { of: Subject::Name(name.clone()), level: 1, index: 0 },
                ]
                .map(|file| names_file(&file)),
            )
            .chain(
                ["README.md", "DATASHEET.md", "corrections.csv"].map(|file| format!("recipes/birds/{file}")),
            )
        {
            assert_eq!(public(&path), Some(Public::Other), "{path}");
        }
        for log in [LOG, ATTESTATIONS] {
            for path in [log.tile(0, 0, 256), log.tile(63, 1_234_067, 256), log.entries(1000, 256)] {
                assert_eq!(public(&path), Some(Public::FullTile), "{path}");
            }
        }
        for kind in Extension::ALL.map(ObjectKind::Other) {
            assert_eq!(public(&object(kind, &digest)), Some(Public::Object(digest)));
        }
        let hex = digest.to_string();
        for path in [
            String::new(),
            ".".into(),
            "objects".into(),
            "objects/".into(),
            format!("objects/00/{hex}.json"),
            format!("objects/{}/{}.json", &hex[..2], hex.to_uppercase()),
            format!("objects/{}/{hex}", &hex[..2]),
            format!("objects/{}/{hex}.json/", &hex[..2]),
            format!("objects/{}/{hex}.exe", &hex[..2]),
            format!("objects/{}/../{}/{hex}.json", &hex[..2], &hex[..2]),
            format!("objects/{}/.isn-tmp-x", &hex[..2]),
            format!("/objects/{}/{hex}.json", &hex[..2]),
            "names/top".into(),
            "names/top/07".into(),
            "names/node/0g/7".into(),
            "names/node/0F/7".into(),
            "names/node//7".into(),
            format!("names/node/{}/7", "0".repeat(65)),
            "names/entries/birds/0".into(),
            "names/entries/names/0/0".into(),
            "names/keys/0/+1".into(),
            "log/.isn-claims/0".into(),
            "attestations/.isn-claims/0".into(),
            "attestations/versions/birds".into(),
            "attestations/versions/birds/01.0".into(),
            "log/versions/birds/1.0".into(),
            ".isn-lock".into(),
            ".isn-staging/me/objects".into(),
            "keys/me".into(),
            "releases".into(),
            "releases/names/".into(),
            "releases/birds/01.0".into(),
            "releases/birds/.isn-tmp-x".into(),
            "releases/../registry.json".into(),
            "releases/birds/1.0%00".into(),
            "recipes/birds/.hidden".into(),
            "recipes/birds/.csv".into(),
            "recipes/birds/id_ed25519".into(),
            "recipes/birds/tokens.toml".into(),
            "recipes/birds/recipe.toml.bak".into(),
            "recipes/birds/corrections.csv~".into(),
            "recipes/birds/../x".into(),
            "recipes/birds/a/b".into(),
            "log/tile/0/0".into(),
            "log/tile/00/000".into(),
            "log/tile/64/000".into(),
            "log/tile/0/x000/001".into(),
            "log/tile/0/000.p/256".into(),
            "log/tile/0/000.p/0".into(),
            "log/tile/0/000.p/01".into(),
            "log/tile/0/x999/x999/x999/x999/x999/x999/x999/999".into(),
        ] {
            assert_eq!(public(&path), None, "{path}");
        }
    }

    #[test]
    fn no_name_or_version_leads_to_what_is_of_the_layout() {
        let (claims, checkpoint) = (LOG.claims(), ATTESTATIONS.checkpoint());
        let fixed = [REGISTRY_JSON, NAMES, CHECKPOINT, &claims, STAGING, RECIPES, MIRRORING, "releases"];
        let fixed = fixed.into_iter().chain([checkpoint.as_str(), "attestations/tile"]).collect::<Vec<_>>();
        let words = fixed.iter().flat_map(|path| path.split('/')).chain(RECIPE_TEXTS).chain([RECIPE_TOML]);
        let words = words.chain(["versions", "log", "tile", "objects", "packs", "pins", "names", "birds"]);
        let names: Vec<Name> = words.filter_map(|word| word.parse().ok()).collect();
        assert!(names.len() > 5, "{names:?}");
        for name in &names {
            let id: VersionId = format!("{name}@1.0").parse().unwrap();
            for path in [release(&id), versions(name), recipe(name), built(&id)] {
                for fixed in &fixed {
                    // A file where a folder must be, or a folder where a file must be, is not public.
                    let is_in_the_way = format!("{fixed}/").starts_with(&format!("{path}/"))
                        || (public(fixed).is_some() && path.starts_with(&format!("{fixed}/")));
                    assert!(!is_in_the_way, "{path} and {fixed}");
                }
            }
            assert_ne!(release(&id), versions(name));
        }
        assert!("versions".parse::<isn_format::dataset_ref::Version>().is_err());
    }

    #[test]
    fn tiles_are_where_c2sp_has_them() {
        assert_eq!(LOG.tile(0, 0, 256), "log/tile/0/000");
        assert_eq!(LOG.tile(1, 5, 17), "log/tile/1/005.p/17");
        assert_eq!(LOG.entries(1_234_067, 256), "log/tile/entries/x001/x234/067");
        assert_eq!(ATTESTATIONS.entries(1000, 1), "attestations/tile/entries/x001/000.p/1");
    }
}
