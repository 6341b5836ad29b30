//! Recipes of version 2 that say which folders are splits and classes, and how images are named.

use crate::sandbox::{Sandbox, contents, gradient};

/// Draws an image.
pub fn draw(sandbox: &Sandbox, path: &str, seed: u8) {
    let path = sandbox.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    gradient(40, 30, seed).save(path).unwrap();
}

/// A recipe of version 2, of the classes in `more`, with `source` after the kind of source.
pub fn recipe(sandbox: &Sandbox, file: &str, source: &str, more: &str) {
    sandbox.recipe("grads", "1.0", &[], "");
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let text = text
        .replace("isn-recipe/1", "isn-recipe/2")
        .replace("\"imagefolder\"", &format!("\"imagefolder\"\n{source}"))
        .replace("policy = \"pool\"\nval = 0.25\nsalt = \"tests\"", "policy = \"keep\"");
    sandbox.write(file, format!("{text}\n{more}").as_bytes());
}

#[test]
fn folders_of_splits_and_classes_have_any_name() {
    let sandbox = Sandbox::new();
    let folders =
        ["Training/Fruit/Golden Delicious (1)", "valid/Fruit/Golden Delicious (1)", "Training/milk"];
    for (at, folder) in folders.iter().enumerate() {
        for image in 0..3 {
            draw(&sandbox, &format!("raw/{folder}/{}.png", 10 * at + image), (30 * at + image) as u8);
        }
    }
    draw(&sandbox, "raw/Training/Fruit/other/1.png", 100);
    recipe(
        &sandbox,
        "recipe.toml",
        "splits = { train = [\"Training\"], val = [\"valid\"] }",
        "[[class]]\nid = \"gold\"\nlabel = \"golden\"\nfolder = \"Fruit/Golden Delicious (1)\"\n\
         [[class]]\nid = \"milk\"\nlabel = \"milk\"\n[gates]\nval_min = 0\nleakage = \"allow\"\n",
    );
    let text = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("recipe.toml", text.replacen("\n[gates]\nleakage = \"allow\"\n", "", 1).as_bytes());
    let report =
        sandbox.isn(&["build", "recipe.toml", "--source", "raw", "--out", "out", "--json"]).ok().json();
    assert_eq!(report["balance"]["val"]["gold"], 3, "{report}");
    let warnings = report["warnings"].to_string();
    let left = "Training/Fruit: left out 1 name, not the folder of a class of the recipe: other";
    assert!(warnings.contains(left), "{warnings}");
    // Who has the source can check it, and build the version from it.
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    let from = ["--registry", "reg", "--source", "raw"];
    sandbox.isn(&[&["verify-source", "grads@1.0"][..], &from].concat()).ok();
    sandbox.isn(&[&["pull", "grads@1.0", "--to", "rebuilt"][..], &from].concat()).ok();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "pulled"]).ok();
    assert_eq!(
        contents(&sandbox.path("rebuilt")).iter().map(|(name, _)| name).collect::<Vec<_>>(),
        contents(&sandbox.path("pulled")).iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    assert!(sandbox.path("pulled/val/gold/10.png").is_file());
    // The ledger names images as the version does.
    let ledger = "source_id,action,to,reason,source,reviewer,date\nvalid/milk/20,remove,,x,y,me,2026-11-23\n";
    sandbox.write("ledger.csv", ledger.as_bytes());
    let text = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("recipe.toml", format!("{text}[corrections]\nfile = \"ledger.csv\"\n").as_bytes());
    let build = ["build", "recipe.toml", "--source", "raw", "--out", "out2"];
    sandbox.isn(&build).fails(1, "no image of the source has the id valid/milk/20");
    let right = ledger.replace("valid/milk/20", "val/Fruit/Golden Delicious (1)/10");
    sandbox.write("ledger.csv", right.as_bytes());
    let report = sandbox.isn(&[&build[..], &["--json"]].concat()).ok().json();
    assert_eq!(report["removed"][0], "val/Fruit/Golden Delicious (1)/10");
}
