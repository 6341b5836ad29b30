//! Recipes that come with isn, or that a registry has.

use std::fs;

use crate::sandbox::{Sandbox, contents, gradient};

#[test]
fn a_bundled_recipe_builds_the_released_hash_without_a_file() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["demo", "source", "birds"]).ok();
    let built = sandbox.isn(&["build", "demobirds", "--source", "birds", "--json"]).ok().json();
    let released = sandbox.isn(&["info", "demobirds@1.0", "--json"]).ok().json();
    assert_eq!(built["path"], "demobirds-1.0-build");
    let pin = built["pin"].as_str().unwrap();
    assert!(pin.ends_with(released["dataset"].as_str().unwrap()), "{pin}");
    // A folder of that name changes nothing, as after a pull, unless a recipe is in it. A file goes first.
    sandbox.isn(&["pull", "demobirds@1.0", "--to", "demobirds"]).ok();
    let again =
        sandbox.isn(&["build", "demobirds", "--source", "birds", "--out", "again", "--json"]).ok().json();
    assert_eq!(again["pin"], built["pin"]);
    let checked = sandbox.isn(&["source", "check", "--recipe", "demobirds", "birds"]);
    assert!(checked.stdout.contains("165 of 6500 images"), "{}", checked.stdout);
    fs::create_dir(sandbox.path("otherbirds")).unwrap();
    sandbox
        .isn(&["build", "otherbirds", "--source", "birds"])
        .fails(1, "it is a folder, and a file is needed");
    fs::remove_dir_all(sandbox.path("demobirds")).unwrap();
    let recipe = sandbox.isn(&["recipe", "show", "imagebirds"]).ok().stdout;
    sandbox.write("demobirds", recipe.as_bytes());
    let ran = sandbox.isn(&["build", "demobirds", "--source", "birds", "--out", "other"]);
    ran.fails(1, "demobirds names corrections.csv");
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
    sandbox.isn(&["recipe", "export", "imagebirds", "--to", "mine"]).fails(1, "mine already exists");
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
    // A link may lead anywhere, and a recipe without its ledger is none.
    let ledger = sandbox.path("reg/recipes/demobirds/corrections.csv");
    fs::rename(&ledger, sandbox.path("kept")).unwrap();
    let show = ["recipe", "export", "demobirds", "--registry", "reg", "--to", "out2"];
    sandbox.isn(&show).fails(1, "names corrections.csv, which the registry does not have");
    let verified = |why: &str| drop(sandbox.isn(&["verify", "reg"]).fails(3, why));
    verified("recipes/demobirds/recipe.toml");
    fs::create_dir(&ledger).unwrap();
    verified("recipes/demobirds/recipe.toml");
    fs::remove_dir(&ledger).unwrap();
    std::os::unix::fs::symlink(sandbox.path("kept"), &ledger).unwrap();
    sandbox.isn(&show).fails(1, "is a link, and may lead out of the registry");
    verified("is a link, and may lead out of the registry");
    assert!(!sandbox.path("out2").exists());
    fs::remove_file(&ledger).unwrap();
    fs::rename(sandbox.path("kept"), &ledger).unwrap();
    sandbox.isn(&["verify", "reg"]).ok();
    // What is no recipe of that name is refused.
    sandbox.copy("reg/recipes/demobirds", "reg/recipes/ants");
    sandbox.isn(&["recipe", "show", "ants", "--registry", "reg"]).fails(1, "is the recipe of demobirds");
    sandbox.write("reg/recipes/bees/recipe.toml", b"nothing");
    sandbox.isn(&["recipe", "export", "bees", "--registry", "reg"]).fails(1, "bees/recipe.toml");
    verified("recipes/ants/recipe.toml");
    verified("recipes/bees/recipe.toml");
    assert!(!sandbox.path("bees").exists());
    // A build takes those of the binary alone, which nobody can change.
    sandbox.isn(&["build", "ants", "--source", "raw"]).fails(6, "registry bundled has no recipe of ants");
}

#[test]
fn a_name_that_is_mistyped_or_not_released_says_what_to_do() {
    let sandbox = Sandbox::new();
    for args in [&["recipe", "show", "imagebrids"][..], &["build", "imagebrids", "--source", "x"]] {
        sandbox.isn(args).fails(6, "did you mean 'imagebirds'?");
    }
    sandbox.isn(&["pull", "imagebirds@1.0"]).fails(6, "\n  isn pull imagebirds@1.0 --source DIR");
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
    let image = sandbox.read("birds/train/n01614925/n01614925_1.JPEG");
    sandbox.write("birds/train/n01614925/n01614925_1.JPEG", &image[..image.len() / 2]);
    let ran = sandbox.isn(&["build", "demobirds", "--source", "birds"]).fails(1, "cannot be built");
    let export =
        "\n    isn recipe export demobirds\n    isn ledger add demobirds/corrections.csv n01614925_1 ";
    assert!(ran.stderr.contains(export), "{}", ran.stderr);
    sandbox.isn(&["recipe", "export", "demobirds"]).ok();
    let add = ["ledger", "add", "demobirds/corrections.csv", "n01614925_1", "remove", "--reason", "broken"];
    sandbox.isn(&[&add[..], &["--evidence", "truncated", "--reviewer", "me"]].concat()).ok();
    sandbox.isn(&["build", "demobirds/recipe.toml", "--source", "birds"]).ok();
}

/// Makes a source with as many images as ImageNet has of the five birds, all of one picture a class.
pub fn whole_birds(sandbox: &Sandbox) {
    let recipe = sandbox.isn(&["recipe", "show", "imagebirds"]).ok().stdout;
    let recipe = isn_format::recipe::Recipe::parse("recipe.toml", &recipe).unwrap();
    for (at, class) in recipe.classes.iter().enumerate() {
        let id = class.id.as_str();
        let picture = sandbox.path(&format!("{id}.png"));
        gradient(30, 30 + at as u32, at as u8).save(&picture).unwrap();
        let train = sandbox.path("birds/train").join(id);
        fs::create_dir_all(&train).unwrap();
        fs::create_dir_all(sandbox.path("birds/val")).unwrap();
        for n in 0..isn_format::ilsvrc2012::train_count(id).unwrap() {
            fs::hard_link(&picture, train.join(format!("{id}_{n}.JPEG"))).unwrap();
        }
        for val in isn_format::ilsvrc2012::val_ids(id) {
            fs::hard_link(&picture, sandbox.path("birds/val").join(format!("{val}.JPEG"))).unwrap();
        }
    }
}

#[test]
fn a_recipe_of_version_2_builds_a_whole_source_alone() {
    let sandbox = Sandbox::new();
    whole_birds(&sandbox);
    let check = ["source", "check", "birds", "--recipe", "imagebirds"];
    sandbox.isn(&check).ok();
    let build = ["build", "imagebirds", "--source", "birds"];
    let gone = [
        ("train/n01614925/n01614925_7.JPEG", "train/n01614925: 1299 images, and the whole source has 1300"),
        (
            "val/ILSVRC2012_val_00000128.JPEG",
            "images, and the whole source has 50; ILSVRC2012_val_00000128 is",
        ),
    ];
    for (file, why) in gone {
        let (there, away) = (sandbox.path("birds").join(file), sandbox.path("away"));
        fs::rename(&there, &away).unwrap();
        let ran = sandbox.isn(&build).fails(8, why);
        assert!(ran.stderr.contains("isn source check birds --recipe imagebirds"), "{}", ran.stderr);
        sandbox.isn(&check).fails(8, "1 missing");
        assert!(!sandbox.path("imagebirds-1.0-build").exists() && sandbox.leftovers().is_empty());
        fs::rename(&away, &there).unwrap();
    }
    let more = sandbox.path("birds/train/n01614925/n01614925_9999.JPEG");
    fs::copy(sandbox.path("n01614925.png"), &more).unwrap();
    sandbox.isn(&build).fails(8, "train/n01614925: 1301 images, and the whole source has 1300");
    fs::remove_file(&more).unwrap();
    let report = sandbox.isn(&[&build[..], &["--json"]].concat()).ok().json();
    assert!(report["images"].as_u64().unwrap() > 6_700, "{report}");
}

#[test]
fn what_a_recipe_of_version_2_expects_is_counted() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &["ant", "bee"], 8);
    sandbox.recipe("grads", "1.0", &["ant", "bee"], "");
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let text = text.replacen("isn-recipe/1", "isn-recipe/2", 1);
    for (expect, right) in
        [("{ train = 8 }", true), ("{ train = 9 }", false), ("{ train = 8, val = 1 }", false)]
    {
        let expected =
            text.replace("label = \"the bee\"", &format!("label = \"the bee\"\nexpect = {expect}"));
        sandbox.write("expect.toml", expected.as_bytes());
        let ran = sandbox.isn(&["build", "expect.toml", "--source", "raw", "--out", &format!("out-{right}")]);
        match right {
            true => drop(ran.ok()),
            false => drop(ran.fails(8, "/bee: ").fails(8, "isn source check raw --recipe expect.toml")),
        }
        let check = sandbox.isn(&["source", "check", "raw", "--recipe", "expect.toml"]);
        assert_eq!(check.code == 0, right, "{expect}: {}", check.stdout);
    }
    // A part of it is built if that is what is asked for, and remains a part.
    let expected = text.replace("label = \"the bee\"", "label = \"the bee\"\nexpect = { train = 9 }");
    let ledger = "[corrections]\nfile = \"ledger.csv\"\n[gates]";
    sandbox.write("part.toml", expected.replace("[gates]", ledger).as_bytes());
    // A decision about an image of the rest is no mistake.
    let rows = "kind,source_id,says,labels,reason,source,reviewer,date,evidence\n\
                decision,bee/bee_8,remove,,broken,,A. Tester,2026-11-23,seen\n\
                decision,bee/bee_7,remove,,broken,,A. Tester,2026-11-23,seen\n";
    sandbox.write("ledger.csv", rows.as_bytes());
    let build = ["build", "part.toml", "--source", "raw"];
    let ran = sandbox.isn(&build).fails(8, "train/bee: 8 images, and the whole source has 9");
    assert!(ran.stderr.contains("isn build --partial"), "{}", ran.stderr);
    let ran = sandbox.isn(&[&build[..], &["--partial", "--json"]].concat()).ok();
    let report = ran.json();
    let pin = format!("unreleased:grads/{}", report["dataset"].as_str().unwrap());
    assert_eq!((&report["version"], &report["pin"]), (&serde_json::Value::Null, &pin.as_str().into()));
    assert_eq!((&report["images"], &report["path"]), (&15.into(), &"grads-part-build".into()));
    assert_eq!(report["warnings"][0], "train/bee: 8 images, and the whole source has 9");
    let manifest: serde_json::Value =
        serde_json::from_slice(&sandbox.read("grads-part-build/manifest.json")).unwrap();
    assert_eq!((&manifest["format"], &manifest["part_of"]), (&"isn-part/1".into(), &"1.0".into()));
    assert!(manifest.get("version").is_none());
    // It is used as any build, and nothing states or publishes it as a version.
    sandbox.isn(&["verify", "grads-part-build"]).ok();
    sandbox.isn(&["pull", "./grads-part-build"]).ok();
    sandbox.isn(&["verify", "grads-part"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    for folder in ["./grads-part-build", "./grads-part"] {
        let info = sandbox.isn(&["info", folder, "--json"]).ok().json();
        assert_eq!((&info["version"], &info["pin"]), (&serde_json::Value::Null, &pin.as_str().into()));
        let refused = |args: &[&str]| {
            sandbox.isn(args).fails(1, "from a part of its source, and has no version");
        };
        refused(&["cite", folder]);
        refused(&["attest", folder, "--key", "me"]);
        refused(&["export", folder, "--as", "webdataset", "--to", "exported"]);
    }
    let publish = ["publish", "grads-part-build", "--registry", "reg", "--key", "me"];
    sandbox.isn(&publish).fails(1, "from a part of its source, and has no version");
    assert!(!sandbox.path("reg").exists() && !sandbox.path("exported").exists());
    // Also of the whole source, so that the flag never makes a version.
    gradient(48, 31, 99).save(sandbox.path("raw/bee/bee_8.png")).unwrap();
    let report = sandbox.isn(&[&build[..], &["--partial", "--json", "--out", "whole"]].concat()).ok().json();
    assert_eq!(report["version"], serde_json::Value::Null);
    fs::remove_file(sandbox.path("raw/bee/bee_8.png")).unwrap();
    // Version 1 has no such key, and takes what is there.
    sandbox.write("old.toml", text.replacen("isn-recipe/2", "isn-recipe/1", 1).as_bytes());
    sandbox.isn(&["build", "old.toml", "--source", "raw", "--out", "old"]).ok();
}
