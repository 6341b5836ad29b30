//! `isn pull NAME --source DIR` of a version that nobody has released.

use std::fs;

use serde_json::Value;

use crate::recipe::whole_birds;
use crate::sandbox::Sandbox;

const PULL: [&str; 4] = ["pull", "imagebirds@1.0", "--source", "birds"];

fn origin(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&sandbox.read("imagebirds-1.0/ISN.json")).unwrap()
}

/// Publishes imagebirds@1.0 of the source to a registry, by a recipe with these changes.
fn release(sandbox: &Sandbox, registry: &str, changes: &[(&str, &str)]) {
    sandbox.isn(&["recipe", "export", "imagebirds", "--to", &format!("{registry}-recipe")]).ok();
    let recipe = format!("{registry}-recipe/recipe.toml");
    let mut text = String::from_utf8(sandbox.read(&recipe)).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    // All images of a class are one picture here.
    text = text.replacen("[gates]", "[gates]\nleakage = \"allow\"", 1);
    sandbox.write(&recipe, text.as_bytes());
    let out = format!("{registry}-build");
    sandbox.isn(&["build", &recipe, "--source", "birds", "--out", &out]).ok();
    sandbox.isn(&["publish", &out, "--registry", registry, "--key", "me"]).ok();
    sandbox.trust_me(registry);
}

#[test]
fn a_recipe_without_a_release_is_built_and_says_so_until_there_is_one() {
    let sandbox = Sandbox::new();
    whole_birds(&sandbox);
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    let ran = sandbox.isn(&[&PULL[..], &["--json"]].concat()).ok();
    let built = ran.json();
    let hash = built["dataset"].as_str().unwrap();
    assert_eq!((&built["released"], &built["path"]), (&Value::Bool(false), &"imagebirds-1.0".into()));
    assert_eq!(built["pin"], format!("unreleased:imagebirds/{hash}"));
    let known = origin(&sandbox);
    assert_eq!(known["format"], "isn-tree/2");
    assert_eq!((&known["released"], &known["pin"]), (&Value::Bool(false), &built["pin"]));
    assert!(known.get("version").is_none() && known["recipe"]["version"] == "1.0", "{known}");
    for text in [&ran.stdout, &ran.stderr, &known.to_string()] {
        assert!(!text.contains("@1.0#b3:"), "{text}");
    }
    let ran = sandbox.isn(&PULL).ok();
    assert!(
        ran.stdout.contains("exists already") && ran.stdout.contains("nobody has confirmed"),
        "{}",
        ran.stdout
    );
    let ran = sandbox.isn(&["verify", "imagebirds-1.0"]).ok();
    assert!(ran.stderr.contains("and not released"), "{}", ran.stderr);
    // Its pin is no reference.
    sandbox.isn(&["pull", built["pin"].as_str().unwrap()]).fails(2, "nobody released");
    // A release with the same hash lifts the state.
    release(&sandbox, "same", &[]);
    let released = sandbox.isn(&[&PULL[..], &["--registry", "same", "--json"]].concat()).ok().json();
    assert_eq!((&released["released"], &released["dataset"]), (&Value::Bool(true), &built["dataset"]));
    assert_eq!(
        (&origin(&sandbox)["format"], &origin(&sandbox)["pin"]),
        (&"isn-tree/1".into(), &released["pin"])
    );
    let ran = sandbox.isn(&["verify", "imagebirds-1.0"]).ok();
    assert!(!ran.stderr.contains("not released"), "{}", ran.stderr);
    // One with another hash is exit 3, and shows both.
    fs::remove_dir_all(sandbox.path("imagebirds-1.0")).unwrap();
    sandbox.isn(&PULL).ok();
    release(&sandbox, "other", &[("size = 160", "size = 20")]);
    let ran = sandbox.isn(&["pull", "imagebirds@1.0", "--registry", "other"]).fails(3, hash);
    assert!(ran.stderr.contains(", and the release is b3:"), "{}", ran.stderr);
    assert_eq!(origin(&sandbox)["dataset"], hash);
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn what_is_not_released_is_built_from_a_whole_source_if_every_registry_answers() {
    let sandbox = Sandbox::new();
    whole_birds(&sandbox);
    let nothing = |code: i32, said: &str, more: &[&str]| {
        sandbox.isn(&[&PULL[..], more].concat()).fails(code, said);
        assert!(!sandbox.path("imagebirds-1.0").exists() && sandbox.leftovers().is_empty());
        assert!(!sandbox.path("isn.lock").exists());
    };
    let silent = ["--registry", "http://127.0.0.1:1,bundled"];
    nothing(5, "127.0.0.1:1", &silent);
    nothing(6, "has not been released", &["--lock"]);
    sandbox.isn(&["pull", "imagebirds@2.0", "--source", "birds"]).fails(6, "it has 1.0");
    sandbox.isn(&["pull", "imagebirds@1.0"]).fails(6, "has not been released");
    sandbox.isn(&["pull", "imagebirds@1.0", "--unreleased"]).fails(2, "--source");
    let gone = sandbox.path("birds/train/n01614925/n01614925_7.JPEG");
    fs::rename(&gone, sandbox.path("away")).unwrap();
    nothing(8, "train/n01614925: 1299 images, and the whole source has 1300", &[]);
    fs::rename(sandbox.path("away"), &gone).unwrap();
    let asked = sandbox.isn(&[&PULL[..], &silent, &["--unreleased", "--json"]].concat()).ok().json();
    assert_eq!(asked["released"], false);
}
