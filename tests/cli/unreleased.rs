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
    let pooled = built["warnings"].as_array().unwrap().iter().any(|warning| {
        let warning = warning.as_str().unwrap();
        warning.contains(" val images are in ImageNet's own train split") && warning.contains("--origin val")
    });
    assert!(pooled, "{built}");
    let known = origin(&sandbox);
    assert_eq!(known["format"], "isn-tree/2");
    assert_eq!((&known["released"], &known["pin"]), (&Value::Bool(false), &built["pin"]));
    assert!(known.get("version").is_none() && known["recipe"]["version"] == "1.0", "{known}");
    for text in [&ran.stdout, &ran.stderr, &known.to_string()] {
        assert!(!text.contains("@1.0#b3:"), "{text}");
    }
    let ran = sandbox.isn(&PULL).ok();
    assert!(
        ran.stdout.contains("already exists") && ran.stdout.contains("nobody has confirmed"),
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

#[test]
fn a_build_replaces_no_release_of_another_hash_and_what_is_in_the_way_is_told_before_it() {
    let sandbox = Sandbox::new();
    whole_birds(&sandbox);
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    release(&sandbox, "other", &[("size = 160", "size = 20")]);
    let released = sandbox.isn(&["pull", "imagebirds@1.0", "--registry", "other", "--json"]).ok().json();
    for more in [&[][..], &["--unreleased"]] {
        let ran = sandbox.isn(&[&PULL[..], more].concat()).fails(3, released["dataset"].as_str().unwrap());
        assert!(
            ran.stderr.contains("is the release, b3:") && ran.stderr.contains("(--to)"),
            "{}",
            ran.stderr
        );
        assert_eq!(origin(&sandbox)["pin"], released["pin"]);
    }
    // A registry before the one in the binary that lacks the name changes nothing.
    let lab = [&PULL[..], &["--registry", "reg,bundled", "--to", "lab", "--json"]].concat();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    assert_eq!(sandbox.isn(&lab).ok().json()["released"], false);
    let said = sandbox.isn(&[&PULL[..], &["--to", "lab"]].concat()).ok().stdout;
    assert!(!said.contains("\\n"), "{said}");
    // The list of a tree that was cut is not what was built.
    let list = String::from_utf8(sandbox.read("lab/B3SUMS")).unwrap();
    let cut: String = list.split_inclusive('\n').filter(|line| !line.contains(" val/n01614925/")).collect();
    sandbox.write("lab/B3SUMS", cut.as_bytes());
    fs::remove_dir_all(sandbox.path("lab/val/n01614925")).unwrap();
    let ran = sandbox.isn(&["verify", "lab"]).ok();
    assert!(ran.stderr.contains("not released, and not what ISN.json names"), "{}", ran.stderr);
    sandbox.write("full/mine", b"mine");
    sandbox.write("file", b"mine");
    std::os::unix::fs::symlink("full", sandbox.path("link")).unwrap();
    for (to, why) in [
        ("full", "is not a tree of imagebirds"),
        ("file", "is not a folder"),
        ("link", "is a symlink"),
        ("birds-of", "is not a tree of imagebirds"),
    ] {
        if to == "birds-of" {
            sandbox.isn(&["pull", "demobirds", "--to", to]).ok();
        }
        let ran = sandbox.isn(&[&PULL[..], &["--to", to]].concat()).fails(1, why);
        assert!(!ran.stderr.contains("built, and not released"), "{}", ran.stderr);
    }
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn what_a_killed_build_left_is_in_nobodys_way() {
    let sandbox = Sandbox::new();
    whole_birds(&sandbox);
    let left = sandbox.path(".imagebirds-1.0.unreleased.isn-partial");
    let mut child = sandbox.command(&PULL).spawn().unwrap();
    crate::sandbox::eventually("a build", || {
        left.join("build").exists() || child.try_wait().unwrap().is_some()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    change(&sandbox);
    if sandbox.path("imagebirds-1.0").exists() {
        fs::remove_dir_all(sandbox.path("imagebirds-1.0")).unwrap();
    }
    sandbox.isn(&PULL).ok();
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

/// Puts another picture into the source, so that it is another source.
fn change(sandbox: &Sandbox) {
    let image = sandbox.path("birds/train/n01614925/n01614925_7.JPEG");
    fs::remove_file(&image).unwrap();
    crate::sandbox::gradient(50, 40, 9).save_with_format(&image, image::ImageFormat::Png).unwrap();
}

#[test]
fn a_build_replaces_no_release_and_no_build_of_another_hash() {
    let sandbox = Sandbox::new();
    whole_birds(&sandbox);
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    release(&sandbox, "same", &[]);
    let unreleased = |to: &str| sandbox.isn(&[&PULL[..], &["--unreleased", "--to", to]].concat());
    // A part of the release of the same hash, and the release itself.
    sandbox.isn(&["pull", "imagebirds@1.0", "--registry", "same", "--split", "val", "--to", "part"]).ok();
    sandbox.isn(&["pull", "imagebirds@1.0", "--registry", "same", "--to", "whole"]).ok();
    unreleased("part").fails(1, "which was released");
    let lying = String::from_utf8(sandbox.read("whole/ISN.json")).unwrap();
    for tree in ["part", "whole"] {
        let about: Value = serde_json::from_slice(&sandbox.read(&format!("{tree}/ISN.json"))).unwrap();
        assert!(about["signed_by"].is_array(), "{about}");
    }
    unreleased("whole").ok();
    assert_eq!(sandbox.read("whole/ISN.json"), lying.as_bytes());
    // `ISN.json` may say another hash, and B3SUMS is what counts.
    let hash = lying.split("\"dataset\"").nth(1).unwrap().split('"').nth(1).unwrap().to_string();
    sandbox.write("whole/ISN.json", lying.replacen(&hash, &format!("b3:{}", "0".repeat(64)), 1).as_bytes());
    unreleased("whole").ok();

    unreleased("built").ok();
    let before = sandbox.read("built/ISN.json");
    change(&sandbox);
    unreleased("built").fails(3, "this source gives b3:");
    assert_eq!(sandbox.read("built/ISN.json"), before);
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}
