use std::path::Path;

use crate::sandbox::{Sandbox, contents};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn bundled() -> Vec<(String, Vec<u8>)> {
    contents(&Path::new(REPOSITORY).join("registry"))
}

#[test]
fn the_bundled_registry_is_small_and_clean() {
    let bytes: usize = bundled().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes <= 3_500_000, "{bytes} bytes");
    let sandbox = Sandbox::new();
    let ran = sandbox.isn(&["log", "verify", "--json"]).ok().json();
    assert_eq!((ran["trusted"].as_bool(), ran["size"].as_u64()), (Some(true), Some(4)));
    assert!(!sandbox.path("home/logs").exists(), "the log in the binary is as fixed as the binary");
    let registry = format!("{REPOSITORY}/registry");
    sandbox.isn(&["trust", "add", &registry, &format!("{registry}/keys/demo.pub")]).ok();
    let ran = sandbox.isn(&["verify", &registry]).ok();
    assert!(ran.stdout.contains("signed by a key you trust"), "{}", ran.stdout);
    let list = sandbox.isn(&["list"]).ok().stdout;
    assert!(list.contains("demobirds  1.0"), "{list}");
}

#[test]
fn the_demo_is_built_signed_and_published_again_byte_for_byte() {
    let sandbox = Sandbox::new();
    let drawn = sandbox.isn(&["demo", "source", "raw", "--json"]).ok().json();
    assert_eq!(drawn["images"], contents(&sandbox.path("raw")).len());
    sandbox.isn(&["demo", "source", "raw"]).fails(1, "raw already exists");
    let recipe = format!("{REPOSITORY}/registry/recipes/demobirds/recipe.toml");
    let built = sandbox.isn(&["build", &recipe, "--source", "raw", "--out", "out", "--json"]).ok().json();
    let info = sandbox.isn(&["info", "demobirds@1.0", "--json"]).ok().json();
    for field in ["dataset", "manifest", "images", "bytes"] {
        assert_eq!(built[field], info[field], "{field}");
    }
    // The index, the split and everything else have the same bytes; only a shard may
    // differ, with zstd's version.
    let key = format!("{REPOSITORY}/registry/keys/demo");
    let log_key = format!("{REPOSITORY}/registry/keys/log");
    sandbox.isn(&["registry", "init", "reg", "--origin", "isn/bundled", "--log-key", &log_key]).ok();
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", &key]).ok();
    let theirs = bundled();
    for (name, bytes) in contents(&sandbox.path("reg")) {
        // The registry has another release after this one.
        if name.contains(".isn-") || ["registry.json", "log/checkpoint", "releases/names"].contains(&&*name) {
            continue;
        }
        let there = theirs.iter().find(|(other, _)| *other == name);
        assert!(there.is_some_and(|(_, other)| *other == bytes), "{name} is not in registry/ so");
    }
    // The user's own copy of the source gives the same tree.
    sandbox.isn(&["pull", "demobirds@1.0", "--source", "raw", "--to", "rebuilt"]).ok();
    sandbox.isn(&["pull", "demobirds@1.0", "--to", "pulled"]).ok();
    // It alone says what it was built from.
    let tree = |name: &str| {
        let mut files = contents(&sandbox.path(name));
        for (_, bytes) in files.iter_mut().filter(|(name, _)| name == "ISN.json") {
            let mut json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            assert_eq!(json.as_object_mut().unwrap().remove("built_from").is_some(), name == "rebuilt");
            *bytes = json.to_string().into_bytes();
        }
        files
    };
    assert!(tree("rebuilt") == tree("pulled"));
}

#[test]
fn the_recipes_that_await_a_publisher_are_whole() {
    // imagebirds also builds with the drawn birds in place of photographs: the same
    // five classes, another name.
    let sandbox = Sandbox::new();
    let folder = |name: &str| format!("{REPOSITORY}/registry/recipes/{name}");
    let ledger = std::fs::read(format!("{}/corrections.csv", folder("imagebirds"))).unwrap();
    for (name, classes) in [("imagebirds", 5), ("imagebirds-320", 5), ("imagesubnet50", 50)] {
        let recipe = format!("{REPOSITORY}/registry/recipes/{name}/recipe.toml");
        let text = std::fs::read_to_string(&recipe).unwrap();
        let parsed = isn_format::recipe::Recipe::parse(&recipe, &text).unwrap();
        assert_eq!(parsed.classes.len(), classes);
        // Known facts about the birds' labels are known in every set that contains the birds.
        assert!(std::fs::read(format!("{}/corrections.csv", folder(name))).unwrap().starts_with(&ledger));
        sandbox.isn(&["ledger", "check", &recipe]).ok();
        sandbox.isn(&["build", &recipe, "--source", "nowhere", "--out", "out"]).fails(6, "nowhere");
        sandbox.isn(&["pull", name]).fails(6, &format!("\n  isn pull {name} --source DIR"));
    }
}
