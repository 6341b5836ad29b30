//! The golden versions, `tests/vectors/version-*`: every later isn reads what an earlier one wrote, and makes
//! it again from the same source. A fixture is never edited; `docs/format.md` says what each file shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sandbox::{Sandbox, contents};

/// The fixtures that the tests below read.
const COVERED: [&str; 1] = ["version-1"];
/// The placeholder for the registry's path, which depends on where the fixture is.
const PLACEHOLDER: &str = "REGISTRY";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// A sandbox with a copy of the fixture's files, which trusts its signer.
fn golden(fixture: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, bytes) in contents(&vectors().join(fixture)) {
        let path = sandbox.path("golden").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    sandbox.isn(&["trust", "add", "golden/registry", "golden/alice.pub"]).ok();
    sandbox
}

/// The registry's path as isn writes it, with symlinks resolved.
fn registry(sandbox: &Sandbox) -> String {
    fs::canonicalize(sandbox.path("golden/registry")).unwrap().to_str().unwrap().to_string()
}

/// The files of a tree; `ISN.json` without the program's version.
fn tree(sandbox: &Sandbox, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(name));
    for (_, bytes) in files.iter_mut().filter(|(name, _)| name == "ISN.json") {
        let mut json: Value = serde_json::from_slice(bytes).unwrap();
        let about = json.as_object_mut().unwrap();
        about.remove("isn").unwrap();
        if about["registry"] == registry(sandbox) {
            about["registry"] = PLACEHOLDER.into();
        }
        *bytes = serde_json::to_vec(&json).unwrap();
    }
    files
}

/// The objects in a folder's `objects/`, by extension; compressed ones are decompressed and
/// named by the result.
pub fn objects(dir: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let objects = contents(&dir.join("objects")).into_iter();
    objects
        .map(|(name, bytes)| {
            let extension = name.split_once('.').unwrap().1.to_string();
            let bytes =
                if extension.ends_with("zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes };
            (extension, bytes)
        })
        .collect()
}

/// The text of the one object that begins with this.
fn object(objects: &BTreeSet<(String, Vec<u8>)>, extension: &str, start: &str) -> String {
    let texts = objects.iter().filter(|(e, _)| e == extension).map(|(_, b)| String::from_utf8(b.clone()));
    let mut found = texts.flatten().filter(|text| text.starts_with(start));
    let one = found.next().unwrap_or_else(|| panic!("no .{extension} object begins with {start}"));
    assert_eq!(found.next(), None);
    one
}

#[test]
fn every_golden_version_has_a_test() {
    let names = fs::read_dir(vectors()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = names.filter(|name| name.starts_with("version-")).collect();
    assert_eq!(found, COVERED.map(String::from).into(), "a fixture of an old format must stay readable");
}

#[test]
fn version_1_is_read_as_it_was_written() {
    let sandbox = golden("version-1");
    sandbox.isn(&["verify", "golden/registry"]).ok();
    sandbox.isn(&["verify", "golden@1.0", "--registry", "golden/registry"]).ok();
    for (name, selection) in [("tree", &[][..]), ("tree-val", &["--split", "val", "--class", "ant"][..])] {
        let pull = ["pull", "golden@1.0", "--registry", "golden/registry", "--to", name, "--lock"];
        sandbox.isn(&[&pull[..], selection].concat()).ok();
        assert_eq!(tree(&sandbox, name), tree(&sandbox, &format!("golden/{name}")));
        let stored = format!("golden/{name}");
        let expect = ["verify", &stored, "--expect", "golden@1.0", "--registry", "golden/registry"];
        sandbox.isn(&expect).ok();
    }
    let lock =
        fs::read_to_string(sandbox.path("isn.lock")).unwrap().replace(&registry(&sandbox), PLACEHOLDER);
    assert_eq!(lock, fs::read_to_string(sandbox.path("golden/isn.lock")).unwrap());
}

#[test]
fn version_1s_lock_file_brings_its_trees() {
    let sandbox = golden("version-1");
    let lock = fs::read_to_string(sandbox.path("golden/isn.lock")).unwrap();
    fs::write(sandbox.path("isn.lock"), lock.replace(PLACEHOLDER, &registry(&sandbox))).unwrap();
    sandbox.isn(&["sync", "--locked"]).ok();
    for name in ["tree", "tree-val"] {
        let mut stored = contents(&sandbox.path("golden").join(name));
        let mut synced = contents(&sandbox.path(name));
        // A lock file's pin does not record who signed, and need not.
        stored.retain(|(name, _)| name != "ISN.json");
        synced.retain(|(name, _)| name != "ISN.json");
        assert_eq!(synced, stored);
    }
}

#[test]
fn version_1_is_built_again_from_its_source() {
    let sandbox = golden("version-1");
    let build = ["build", "golden/recipe.toml", "--source", "golden/source", "--out", "out", "--json"];
    let report = sandbox.isn(&build).ok().json();
    let (stored, built) = (objects(&sandbox.path("golden/registry")), objects(&sandbox.path("out")));

    // Everything except what depends on zstd's version: the lengths and hashes of compressed objects.
    let manifest = |objects| -> Value {
        let mut json: Value = serde_json::from_str(&object(objects, "json", "{")).unwrap();
        json["objects"].as_object_mut().unwrap().remove("index").unwrap();
        json
    };
    assert_eq!(manifest(&built), manifest(&stored));
    assert_eq!(report["dataset"], manifest(&stored)["dataset"]);
    assert_eq!(object(&built, "jsonl.zst", "{\"path\""), object(&stored, "jsonl.zst", "{\"path\""));
    for (extension, start) in
        [("toml", "#"), ("csv", "index,"), ("csv", "source_id,action"), ("csv", "source_id,class")]
    {
        assert_eq!(object(&built, extension, start), object(&stored, extension, start));
    }
    let shards = |objects: &BTreeSet<(String, Vec<u8>)>| -> Vec<Vec<u8>> {
        objects.iter().filter(|(extension, _)| extension == "tar.zst").map(|(_, tar)| tar.clone()).collect()
    };
    assert_eq!(shards(&built), shards(&stored));
    let images = |objects| -> Vec<Value> {
        let text = object(objects, "jsonl.zst", "{\"format\":\"isn-pack/1\"");
        text.lines()
            .skip(1)
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["blake3"].clone())
            .collect()
    };
    assert_eq!(images(&built), images(&stored));
}

#[test]
fn version_1_would_not_be_published_today() {
    let sandbox = golden("version-1");
    // The objects are taken as stored, so zstd's version does not matter.
    let manifest = fs::read_to_string(sandbox.path("golden/registry/releases/golden/1.0")).unwrap();
    let hex = manifest.lines().find_map(|line| line.strip_prefix("manifest b3:")).unwrap()[..64].to_string();
    let out = sandbox.path("out");
    for dir in ["objects", "packs"] {
        for (name, bytes) in contents(&sandbox.path("golden/registry").join(dir)) {
            let path = out.join(dir).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    fs::copy(out.join(format!("objects/{}/{hex}.json", &hex[..2])), out.join("manifest.json")).unwrap();
    // Two of its images, one in train and one in val, have the same pixels: the recipe is
    // older than the gates.
    let publish = ["publish", "out", "--registry", "again", "--key", "golden/alice"];
    sandbox.isn(&publish).fails(8, "leakage: train/ant/ant_1.png and val/bee/bee_3.png show one picture");
    assert!(!sandbox.path("again").exists());
    // That registry was written before logs existed.
    sandbox.isn(&["log", "verify", "--registry", "golden/registry"]).fails(6, "golden/registry has no log");
}
