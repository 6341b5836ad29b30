//! Recipes that come with isn, or that a registry has.

use crate::sandbox::{Sandbox, contents};

#[test]
fn a_bundled_recipe_builds_the_released_hash_without_a_file() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["demo", "source", "birds"]).ok();
    let built = sandbox.isn(&["build", "demobirds", "--source", "birds", "--json"]).ok().json();
    let released = sandbox.isn(&["info", "demobirds@1.0", "--json"]).ok().json();
    assert_eq!(built["path"], "demobirds-1.0-build");
    let pin = built["pin"].as_str().unwrap();
    assert!(pin.ends_with(released["dataset"].as_str().unwrap()), "{pin}");
    // A file of that name goes first, and a folder is said to be one.
    let recipe = sandbox.isn(&["recipe", "show", "imagebirds"]).ok().stdout;
    sandbox.write("demobirds", recipe.as_bytes());
    let ran = sandbox.isn(&["build", "demobirds", "--source", "birds", "--out", "other"]);
    ran.fails(1, "demobirds: names corrections.csv");
    sandbox.isn(&["recipe", "export", "imagebirds"]).ok();
    sandbox.isn(&["build", "imagebirds", "--source", "birds"]).fails(1, "imagebirds/recipe.toml");
}

#[test]
fn a_recipe_is_exported_as_it_is_in_the_registry() {
    let sandbox = Sandbox::new();
    let report = sandbox.isn(&["recipe", "export", "imagebirds", "--to", "mine", "--json"]).ok().json();
    let files = ["DATASHEET.md", "README.md", "corrections.csv", "recipe.toml"];
    assert_eq!(report["files"], serde_json::json!(files));
    let there = concat!(env!("CARGO_MANIFEST_DIR"), "/registry/recipes/imagebirds");
    assert_eq!(contents(&sandbox.path("mine")), contents(there.as_ref()));
    let shown = sandbox.isn(&["recipe", "show", "imagebirds"]).ok().stdout;
    assert_eq!(shown.as_bytes(), sandbox.read("mine/recipe.toml"));
    // Nothing is overwritten.
    sandbox.write("mine/recipe.toml", b"changed");
    sandbox.isn(&["recipe", "export", "imagebirds", "--to", "mine"]).fails(1, "mine exists already");
    assert_eq!(sandbox.read("mine/recipe.toml"), b"changed");
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn a_registry_has_recipes_of_its_own() {
    let (sandbox, _) = Sandbox::published();
    sandbox.isn(&["recipe", "export", "demobirds", "--to", "reg/recipes/demobirds"]).ok();
    sandbox.write("reg/recipes/demobirds/id_ed25519", b"secret");
    sandbox.isn(&["recipe", "export", "demobirds", "--registry", "reg"]).ok();
    assert!(!sandbox.path("demobirds/id_ed25519").exists());
    let found = sandbox.isn(&["recipe", "show", "demobirds", "--registry", "reg,bundled", "--json"]).ok();
    assert!(found.json()["registry"].as_str().unwrap().ends_with("/reg"));
    // What is no recipe of that name is refused.
    sandbox.copy("reg/recipes/demobirds", "reg/recipes/ants");
    sandbox.isn(&["recipe", "show", "ants", "--registry", "reg"]).fails(1, "is the recipe of demobirds");
    sandbox.write("reg/recipes/bees/recipe.toml", b"nothing");
    sandbox.isn(&["recipe", "export", "bees", "--registry", "reg"]).fails(1, "bees/recipe.toml");
    assert!(!sandbox.path("bees").exists());
    // A build takes those of the binary alone, which nobody can change.
    sandbox.isn(&["build", "ants", "--source", "raw"]).fails(6, "ants is not in registry bundled");
}

#[test]
fn a_name_that_is_mistyped_or_not_released_says_what_to_do() {
    let sandbox = Sandbox::new();
    for args in [&["recipe", "show", "imagebrids"][..], &["build", "imagebrids", "--source", "x"]] {
        sandbox.isn(args).fails(6, "did you mean 'imagebirds'?");
    }
    sandbox.isn(&["pull", "imagebirds@1.0"]).fails(6, "\n  isn build imagebirds --source DIR");
    let (lab, _) = Sandbox::published();
    lab.isn(&["recipe", "export", "imagebirds", "--to", "reg/recipes/imagebirds"]).ok();
    let ran = lab.isn(&["pull", "imagebirds@1.0", "--registry", "reg"]).fails(6, "has not been released");
    assert!(ran.stderr.contains("\n  isn recipe export imagebirds --registry "), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n  isn build imagebirds/recipe.toml --source DIR"), "{}", ran.stderr);
}

#[test]
fn images_that_cannot_be_built_by_a_bundled_recipe_lead_to_its_export() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["demo", "source", "birds"]).ok();
    let ran = sandbox.isn(&["build", "imagebirds", "--source", "birds"]).fails(1, "cannot be built");
    let export = "\n    isn recipe export imagebirds\n    isn ledger add imagebirds/corrections.csv n0";
    assert!(ran.stderr.contains(export), "{}", ran.stderr);
    let id = ran.stderr.split("corrections.csv ").nth(1).unwrap().split(' ').next().unwrap();
    sandbox.isn(&["recipe", "export", "imagebirds"]).ok();
    let add = ["ledger", "add", "imagebirds/corrections.csv", id, "remove", "--reason", "broken"];
    sandbox.isn(&[&add[..], &["--evidence", "truncated", "--reviewer", "me"]].concat()).ok();
    sandbox.isn(&["build", "imagebirds/recipe.toml", "--source", "birds"]).ok();
}
