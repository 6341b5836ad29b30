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
    let left = "Training/Fruit: left out 1 name, not the folder of a class of the recipe: other (1 image)";
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

const CLASSES: &str = "[[class]]\nid = \"owl\"\nlabel = \"owl\"\nfolder = \"Birds of prey/Сова 🦉\"\n\
                       [[class]]\nid = \"cafe\"\nlabel = \"café\"\nfolder = \"café\"\n";

#[test]
fn images_have_any_name_and_names_of_their_own_in_the_tree() {
    let sandbox = Sandbox::new();
    let names = [
        "Birds of prey/Сова 🦉/IMG 1 (2).png",
        "Birds of prey/Сова 🦉/more/IMG 1 (2).png",
        "Birds of prey/Сова 🦉/\u{202e}con.png",
        "Birds of prey/Сова 🦉/日本.png",
        "cafe\u{301}/IMG 1 (2).png",
        "cafe\u{301}/con.png",
        "cafe\u{301}/CON.PNG",
    ];
    for (at, name) in names.iter().enumerate() {
        draw(&sandbox, &format!("raw/{name}"), (20 * at) as u8);
    }
    recipe(&sandbox, "keep.toml", "", CLASSES);
    let ran = sandbox.isn(&["build", "keep.toml", "--source", "raw"]).fails(1, "mistakes");
    for line in [
        "Сова 🦉/IMG 1 (2).png: path 'train/owl/IMG 1 (2).png' has a character outside A-Z a-z 0-9 . _ -: rename \
         or remove it, or set [source] names = \"hash\" in the recipe\n",
        "Сова 🦉/\\u{202e}con.png: path 'train/owl/\\u{202e}con.png' has a character outside",
    ] {
        assert!(ran.stderr.contains(line), "{line}:\n{}", ran.stderr);
    }
    recipe(&sandbox, "hash.toml", "names = \"hash\"", CLASSES);
    let build = ["build", "hash.toml", "--source", "raw", "--out", "out"];
    assert_eq!(sandbox.isn(&[&build[..], &["--json"]].concat()).ok().json()["images"], 7);
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]).ok();
    let tree: Vec<String> = contents(&sandbox.path("tree")).into_iter().map(|(name, _)| name).collect();
    let stems: Vec<&str> =
        tree.iter().filter_map(|name| name.strip_prefix("train/owl/")?.strip_suffix(".png")).collect();
    assert_eq!(stems.len(), 4, "{tree:?}");
    assert_eq!(stems.iter().filter(|stem| stem.starts_with("IMG-1-2-") && stem.len() == 24).count(), 2);
    assert!(stems.iter().any(|stem| stem.starts_with("con-")), "{stems:?}");
    sandbox.isn(&["verify-source", "grads@1.0", "--registry", "reg", "--source", "raw"]).ok();

    // Ledger and groups name them by their ids, composed, and what is printed does nothing to a terminal.
    let ids = ["Birds of prey/Сова 🦉/\u{202e}con", "café/con"];
    for id in ids {
        let add = ["ledger", "add", "ledger.csv", id, "remove", "--reason", "broken", "--reviewer", "me"];
        sandbox.isn(&add).ok();
    }
    sandbox.write("groups.csv", "source_id,group\ncafé/IMG 1 (2),g\ncafé/CON,g\n".as_bytes());
    let text = String::from_utf8(sandbox.read("hash.toml")).unwrap();
    let text = text.replace("policy = \"keep\"", "policy = \"keep\"\ngroups = \"groups.csv\"");
    let text = text + "[corrections]\nfile = \"ledger.csv\"\n";
    sandbox.write("hash.toml", text.as_bytes());
    let report =
        sandbox.isn(&["build", "hash.toml", "--source", "raw", "--out", "out2", "--json"]).ok().json();
    assert_eq!(report["removed"], serde_json::json!(ids), "{report}");
    let shown = sandbox.isn(&["ledger", "check", "hash.toml", "--source", "raw"]).ok().stdout;
    assert!(!shown.contains('\u{202e}'), "{shown}");
    // The audit of the folder gives the same ids.
    let audit = sandbox.isn(&["audit", "images", "raw", "--json"]);
    assert!(!audit.stdout.contains("cafe\u{301}/con\""), "{}", audit.stdout);
}

#[test]
fn names_that_collide_are_told_both() {
    let sandbox = Sandbox::new();
    for (at, name) in ["owl/a/1.png", "owl/b/1.png", "owl/Up.png", "owl/x/up.png"].iter().enumerate() {
        draw(&sandbox, &format!("raw/{name}"), (20 * at) as u8);
    }
    let owl = "[[class]]\nid = \"owl\"\nlabel = \"owl\"\n";
    recipe(&sandbox, "keep.toml", "", owl);
    let ran = sandbox.isn(&["build", "keep.toml", "--source", "raw"]).fails(1, "2 mistakes");
    let hash = ": rename one, or set [source] names = \"hash\" in the recipe\n";
    for line in [
        "owl/a/1.png and owl/b/1.png would both be train/owl/1.png",
        "owl/Up.png and owl/x/up.png would both be train/owl/up.png apart from upper and lower case",
    ] {
        assert!(ran.stderr.contains(&format!("{line}{hash}")), "{}", ran.stderr);
    }
    recipe(&sandbox, "hash.toml", "names = \"hash\"", owl);
    sandbox.isn(&["build", "hash.toml", "--source", "raw", "--out", "out"]).ok();
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    draw(&sandbox, "raw/owl/1.png", 1);
    let bad = sandbox.path("raw/owl").join(std::ffi::OsStr::from_bytes(b"caf\xe9.png"));
    std::fs::copy(sandbox.path("raw/owl/1.png"), bad).unwrap();
    recipe(&sandbox, "hash.toml", "names = \"hash\"", "[[class]]\nid = \"owl\"\nlabel = \"owl\"\n");
    let ran = sandbox.isn(&["build", "hash.toml", "--source", "raw", "--out", "out"]);
    ran.fails(1, "owl/caf\u{fffd}.png: the name is not UTF-8: rename it");
}

#[test]
fn what_is_no_jpeg_or_png_is_named_as_what_it_is() {
    let sandbox = Sandbox::new();
    draw(&sandbox, "raw/owl/1.png", 1);
    draw(&sandbox, "raw/owl/2.jpg", 2);
    for (at, name) in ["a.jfif", "b.JPE", "c.pjpeg"].iter().enumerate() {
        draw(&sandbox, "picture.jpg", 10 * at as u8);
        sandbox.write(&format!("raw/owl/{name}"), &sandbox.read("picture.jpg"));
    }
    let others: [(&str, &[u8], &str); 9] = [
        ("d.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP image"),
        ("e.gif", b"GIF89a......", "a GIF image"),
        ("f.bmp", b"BM\x46\0\0\0\0\0\0\0", "a BMP image"),
        ("g.tif", b"II*\0....", "a TIFF image"),
        ("h.avif", b"\0\0\0\x1cftypavif", "an AVIF image"),
        ("i.HEIC", b"\0\0\0\x18ftypheic", "a HEIC image"),
        ("j.html", b"<!DOCTYPE html>", "a web page (HTML)"),
        ("k", b"\x89PNG\r\n\x1a\n", "a PNG image"),
        ("l.txt", b"notes", "not a JPEG or PNG by name"),
    ];
    for (name, bytes, _) in others {
        sandbox.write(&format!("raw/owl/{name}"), bytes);
    }
    sandbox.write("raw/notes.md", b"notes");
    let owl = "[[class]]\nid = \"owl\"\nlabel = \"owl\"\n";
    recipe(&sandbox, "recipe.toml", "", owl);
    let build = ["build", "recipe.toml", "--source", "raw", "--out", "out", "--json"];
    let ran = sandbox.isn(&build).ok();
    let report = ran.json();
    assert_eq!(report["images"], 5, "{report}");
    let told =
        "raw/owl: left out 9 names, not a JPEG or PNG by name: d.webp (a WebP image), e.gif (a GIF image), ";
    assert!(ran.stderr.contains(&told["raw/".len()..]), "{}", ran.stderr);
    let left: Vec<(String, String)> = report["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| (left["path"].as_str().unwrap().into(), left["why"].as_str().unwrap().into()))
        .collect();
    assert_eq!(left[0], ("notes.md".into(), "not the folder of a class of the recipe".into()));
    for ((path, why), (name, _, told)) in left[1..].iter().zip(others) {
        assert_eq!((path.as_str(), why.as_str()), (format!("owl/{name}").as_str(), told));
    }
    let json: serde_json::Value = serde_json::from_slice(&sandbox.read("out/report.json")).unwrap();
    assert_eq!(json["left_out"], report["left_out"]);
    // By a name of an image, they are errors.
    for (at, (_, bytes, _)) in others[..8].iter().enumerate() {
        sandbox.write(&format!("raw/owl/z{at}.png"), bytes);
    }
    sandbox.write("raw/owl/z8.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
    let ran = sandbox.isn(&["build", "recipe.toml", "--source", "raw", "--out", "out2"]);
    let ran = ran.fails(1, "9 source images cannot be built");
    for (at, (_, _, told)) in others[..7].iter().enumerate() {
        let line = format!("owl/z{at}.png: not a JPEG or PNG: {told}\n");
        assert!(ran.stderr.contains(&line), "{line}:\n{}", ran.stderr);
    }
    let pointer = "owl/z8.jpg: not a JPEG or PNG: a Git LFS pointer: `git lfs pull` brings the file\n";
    assert!(ran.stderr.contains(pointer), "{}", ran.stderr);
    // A class of nothing else says so; version 1 has fewer extensions.
    sandbox.write("webp/owl/1.webp", others[0].1);
    sandbox.write("webp/owl/2.jfif", &sandbox.read("picture.jpg"));
    let old = String::from_utf8(sandbox.read("recipe.toml")).unwrap().replace("isn-recipe/2", "isn-recipe/1");
    sandbox.write("old.toml", old.as_bytes());
    let ran = sandbox.isn(&["build", "old.toml", "--source", "webp", "--out", "out3"]);
    ran.fails(
        1,
        "class owl (owl) has no image: 2 files of its folder left out, such as owl/1.webp (a WebP image)",
    );
    sandbox.isn(&["build", "recipe.toml", "--source", "webp", "--out", "out3"]).ok();
}

#[test]
fn audits_name_images_by_the_recipe_of_the_folder() {
    let sandbox = Sandbox::new();
    for (at, name) in ["Training/Big owls/1", "Training/Big owls/2", "valid/Big owls/1"].iter().enumerate() {
        draw(&sandbox, &format!("raw/{name}.png"), (100 * at) as u8);
    }
    // The same picture in train and val, and one that is none of the recipe's.
    sandbox.write("raw/valid/Big owls/9.png", &sandbox.read("raw/Training/Big owls/1.png"));
    sandbox.write("raw/other/1.png", &sandbox.read("raw/Training/Big owls/1.png"));
    recipe(
        &sandbox,
        "recipe.toml",
        "splits = { train = [\"Training\"], val = [\"valid\"] }",
        "[[class]]\nid = \"owl\"\nlabel = \"owl\"\nfolder = \"Big owls\"\n",
    );
    let audit = ["audit", "duplicates", "raw", "--groups", "groups.csv", "--recipe", "recipe.toml"];
    sandbox.isn(&audit).fails(8, "");
    let groups = String::from_utf8(sandbox.read("groups.csv")).unwrap();
    assert!(groups.contains("\ntrain/Big owls/1,") && groups.contains("\nval/Big owls/9,"), "{groups}");
    assert!(!groups.contains("other"), "{groups}");
    let all = sandbox.isn(&["audit", "balance", "raw", "--recipe", "recipe.toml", "--json"]);
    assert!(all.stdout.contains("\"owl\""), "{}", all.stdout);
    // Ids that no image has are told, with those that it has.
    let text = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    let text = text
        .replace("policy = \"keep\"", "policy = \"pool\"\nval = 0.5\nsalt = \"x\"\ngroups = \"groups.csv\"");
    sandbox.write("recipe.toml", text.as_bytes());
    sandbox.write("groups.csv", b"source_id,group\ntrain/Big owls/1,g\nvalid/Big owls/9,g\n");
    let build = ["build", "recipe.toml", "--source", "raw", "--out", "out"];
    let ran =
        sandbox.isn(&build).fails(1, "groups: no image of the source has the id valid/Big owls/9: an id is");
    assert!(ran.stderr.contains("Change it to val/Big owls/9 in the groups"), "{}", ran.stderr);
}

#[test]
fn of_many_folders_with_other_files_the_first_are_told() {
    let sandbox = Sandbox::new();
    let classes: Vec<String> = (0..25).map(|n| format!("c{n:02}")).collect();
    for (at, class) in classes.iter().enumerate() {
        draw(&sandbox, &format!("raw/{class}/1.png"), at as u8);
        sandbox.write(&format!("raw/{class}/boxes.txt"), b"x");
    }
    let text = classes.iter().map(|class| format!("[[class]]\nid = \"{class}\"\nlabel = \"{class}\"\n"));
    recipe(&sandbox, "recipe.toml", "", &text.collect::<String>());
    let ran = sandbox.isn(&["source", "check", "raw", "--recipe", "recipe.toml", "--json"]).ok();
    assert_eq!(ran.stderr.matches("boxes.txt").count(), 20, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("in 5 more folders, names are left out, not a JPEG or PNG"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.json()["left_out"].as_array().unwrap().len(), 25);
}
