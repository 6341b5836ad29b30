//! `isn init`: folders of pictures as people have them. Each ends in a version without an edit, or in an
//! error that says what to do.

use std::fs;
use std::os::unix::fs::symlink;

use crate::sandbox::{Ran, Sandbox, contents, noise};

/// Files of a folder: a path that ends with `/` is an empty folder, one with `=` a file with that text, and
/// every other a drawn image in the format of its extension, in any case.
pub fn folder(paths: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for (at, path) in paths.iter().enumerate() {
        let (name, text) = path.split_once('=').map_or((*path, None), |(name, text)| (name, Some(text)));
        let file = sandbox.path("My photos").join(name);
        if name.ends_with('/') {
            fs::create_dir_all(file).unwrap();
            continue;
        }
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        match text {
            Some(text) => fs::write(file, text).unwrap(),
            None if name.to_lowercase().ends_with(".png") => {
                noise(at as u64).save_with_format(file, image::ImageFormat::Png).unwrap()
            }
            None => noise(at as u64).save_with_format(file, image::ImageFormat::Jpeg).unwrap(),
        }
    }
    sandbox
}

/// Runs `isn init`.
pub fn init(sandbox: &Sandbox) -> Ran {
    sandbox.isn(&["init", "My photos", "--licence", "CC0-1.0", "--json"])
}

/// Runs the commands of the report until the version can be pulled. Returns the recipe, the report of the
/// build, and the warnings of `isn init`.
#[track_caller]
pub fn published(sandbox: &Sandbox) -> (String, serde_json::Value, String) {
    let ran = init(sandbox).ok();
    let recipe = String::from_utf8(sandbox.read("my-photos-recipe/recipe.toml")).unwrap();
    let next: Vec<String> =
        ran.json()["next"].as_array().unwrap().iter().map(|next| next.as_str().unwrap().into()).collect();
    assert_eq!(next[0], "isn build my-photos-recipe/recipe.toml --source 'My photos'");
    let built = sandbox
        .isn(&["build", "my-photos-recipe/recipe.toml", "--source", "My photos", "--json"])
        .ok()
        .json();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    let publish: Vec<&str> = next[2].split(' ').skip(1).collect();
    let published = sandbox.isn(&[&publish[..], &["--json"]].concat()).ok().json();
    let pin = published["pin"].as_str().unwrap();
    assert_eq!(built["pin"], format!("unreleased:my-photos/{}", published["dataset"].as_str().unwrap()));
    sandbox.isn(&["pull", pin, "--registry", "my-photos-registry", "--to", "tree"]).ok();
    (recipe, built, ran.stderr)
}

#[track_caller]
pub fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "expected '{part}' in:\n{text}");
    }
}

#[test]
fn names_with_spaces_parentheses_and_any_script() {
    let sandbox = folder(&[
        "Golden Delicious (1)/IMG 0001 (2).jpg",
        "Golden Delicious (1)/IMG 0002.jpg",
        "Golden Delicious (1)/IMG 0003.jpg",
        "cafe\u{301}/e\u{301} 1.png",
        "cafe\u{301}/e\u{301} 2.png",
        "cafe\u{301}/e\u{301} 3.png",
        "犬/写真 1.png",
        "犬/写真 2.png",
        "犬/写真 3.png",
        "golden_retriever/1.png",
        "golden_retriever/2.png",
        "golden_retriever/3.png",
        "n02085620-Chihuahua/1.png",
        "n02085620-Chihuahua/2.png",
        "n02085620-Chihuahua/con.png",
    ]);
    let (recipe, built, _) = published(&sandbox);
    has(
        &recipe,
        &[
            "Made by `isn init 'My photos'`",
            "names = \"hash\"",
            "# Golden Delicious (1)/IMG 0001 (2).jpg cannot be a name in the tree.",
            "policy = \"pool\"",
            "id = \"Golden-Delicious-1\"\nlabel = \"Golden Delicious (1)\"\nfolder = \"Golden Delicious (1)\"",
            "id = \"cafe\"\nlabel = \"café\"",
            "id = \"class-1\"\nlabel = \"犬\"\nfolder = \"犬\"",
            "id = \"golden_retriever\"\nlabel = \"golden retriever\"\n\n",
            "label = \"Chihuahua\"\n",
            "[[class]]                         # 3 train",
        ],
    );
    assert_eq!(built["images"], 15, "{built}");
    let files: Vec<String> =
        contents(&sandbox.path("my-photos-recipe")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(files, [".gitignore", "corrections.csv", "recipe.toml"]);
    // The ledger is one, and what it says counts.
    let add =
        ["ledger", "add", "my-photos-recipe/corrections.csv", "café/é 1", "remove", "--reason", "blank"];
    sandbox.isn(&[&add[..], &["--reviewer", "me"]].concat()).ok();
    let build =
        ["build", "my-photos-recipe/recipe.toml", "--source", "My photos", "--out", "again", "--json"];
    assert_eq!(sandbox.isn(&build).ok().json()["removed"], serde_json::json!(["café/é 1"]));
}

#[test]
fn splits_by_any_usual_name() {
    let sandbox = folder(&[
        "Train/cat/1.JPG",
        "Train/cat/2.JPG",
        "Train/dog/1.JPG",
        "valid/cat/1.JPG",
        "valid/dog/1.JPG",
        "Validation/dog/2.JPG",
        "TESTING/dog/1.JPG",
        "README.txt=notes",
        "drafts/x/1.jpg",
    ]);
    let (recipe, built, warnings) = published(&sandbox);
    has(
        &recipe,
        &[
            "splits = { train = [\"Train\"], val = [\"Validation\", \"valid\"], test = [\"TESTING\"] }",
            "# The folder has val images.\npolicy = \"keep\"",
            "names = \"keep\"",
            "# 1 train, 2 val, 1 test",
        ],
    );
    assert_eq!(built["balance"]["val"]["dog"], 2, "{built}");
    assert!(sandbox.path("tree/val/dog/2.png").is_file());
    assert_eq!(warnings, "warning: left out 1 image: 1 in drafts\n");
    let left: Vec<&str> =
        built["left_out"].as_array().unwrap().iter().map(|left| left["path"].as_str().unwrap()).collect();
    assert_eq!(left, ["README.txt", "drafts"]);

    // The usual names need no key, and test alone is no val.
    let sandbox = folder(&[
        "train/a/1.png",
        "train/a/2.png",
        "train/a/3.png",
        "train/b/1.png",
        "train/b/2.png",
        "train/b/3.png",
        "test/a/1.png",
        "test/b/1.png",
    ]);
    let (recipe, built, _) = published(&sandbox);
    assert!(!recipe.contains("splits ="), "{recipe}");
    has(&recipe, &["policy = \"pool\"\nval = 0.2\n"]);
    assert_eq!((&built["balance"]["val"]["a"], &built["balance"]["test"]["b"]), (&1.into(), &1.into()));
}

#[test]
fn nested_classes_and_numbers_that_repeat() {
    let sandbox = folder(&[
        "Fruit/Apple/Gold/1.png",
        "Fruit/Apple/Gold/2.png",
        "Fruit/Apple/Gold/3.png",
        "Fruit/Pear/a/1.png",
        "Fruit/Pear/a/2.png",
        "Fruit/Pear/1.png",
        "Milk/1.png",
        "Milk/2.png",
        "Milk/3.png",
    ]);
    let (recipe, built, _) = published(&sandbox);
    has(
        &recipe,
        &[
            "id = \"Gold\"\nlabel = \"Gold\"\ngroup = \"Apple\"\nfolder = \"Fruit/Apple/Gold\"",
            "id = \"Pear\"\nlabel = \"Pear\"\ngroup = \"Fruit\"\nfolder = \"Fruit/Pear\"",
            "Fruit/Pear/a/1.png has the name of another image of its class.\nnames = \"hash\"",
        ],
    );
    assert_eq!(built["images"], 9, "{built}");
    // What is nested in one split only.
    let ran =
        init(&folder(&["train/Veg/Cap/1.png", "test/Veg/Mushroom/Cap/1.png", "train/Veg/Pea/1.png"])).ok();
    has(&ran.stderr, &["Veg/Cap and Veg/Mushroom/Cap have one name, are in no split together"]);
    // Two spellings of a folder, which only some systems can have.
    let twice =
        ["caf\u{e9}/1.png", "caf\u{e9}/2.png", "cafe\u{301}/3.png", "dog/4.png", "dog/5.png", "dog/6.png"];
    let (recipe, built, _) = published(&folder(&twice));
    assert_eq!((recipe.matches("[[class]]").count(), &built["images"]), (2, &6.into()));
    // In train and val, one number is two images of the tree.
    let (recipe, ..) = published(&folder(&["train/a/1.png", "val/a/1.png", "train/b/1.png", "val/b/1.png"]));
    has(&recipe, &["names = \"keep\""]);
}

#[test]
fn numbers_as_classes_are_warned_of() {
    let paths: Vec<String> =
        (0..12).flat_map(|class| (0..3).map(move |image| format!("{class}/{class}_{image}.png"))).collect();
    let sandbox = folder(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let (_, built, warnings) = published(&sandbox);
    has(&warnings, &["the order of text (0, 1, 10, 11, 2)"]);
    assert_eq!(built["balance"]["train"].as_object().unwrap().len(), 12);
}

#[test]
fn litter_links_and_empty_folders() {
    let sandbox = folder(&[
        "cat/1.png",
        "cat/2.png",
        "cat/3.png",
        "cat/.DS_Store=x",
        "cat/.ipynb_checkpoints/1-checkpoint.png",
        "__MACOSX/cat/._1.png=x",
        "__MACOSX/cat/4.png",
        "empty/",
        "notes/readme.md=x",
    ]);
    let elsewhere = folder(&["1.png", "2.png", "3.png"]);
    symlink(elsewhere.path("My photos"), sandbox.path("My photos/dog")).unwrap();
    fs::write(sandbox.path("My photos/dog/1.png"), b"").unwrap();
    noise(100).save(sandbox.path("My photos/dog/1.png")).unwrap();
    for (at, name) in ["2.png", "3.png"].iter().enumerate() {
        noise(101 + at as u64).save(sandbox.path("My photos/dog").join(name)).unwrap();
    }
    let (recipe, built, warnings) = published(&sandbox);
    assert_eq!(built["images"], 6, "{built}");
    assert_eq!(recipe.matches("[[class]]").count(), 2, "{recipe}");
    has(&warnings, &["empty: left out, it has no JPEG or PNG", "notes: left out, it has no JPEG or PNG"]);

    symlink(sandbox.path("My photos"), sandbox.path("My photos/cat/up")).unwrap();
    fs::remove_dir_all(sandbox.path("my-photos-recipe")).unwrap();
    init(&sandbox).fails(1, "is a link to a folder above it");
}

#[test]
fn classes_that_lack_images() {
    let (recipe, ..) = published(&folder(&["train/a/1.png", "val/a/2.png", "train/b/3.png"]));
    has(&recipe, &["val_min = 0                       # class b has no val image"]);
    let (recipe, built, warnings) = published(&folder(&["a/1.png", "b/2.png", "b/3.png", "b/4.png"]));
    has(&recipe, &["val_min = 0                       # a class has too few images to have any in val"]);
    has(&warnings, &["1 class has fewer than 3 images; the first is a"]);
    assert_eq!(built["images"], 4);
    let (recipe, ..) = published(&folder(&["a/1.png", "a/2.png", "b/3.png", "b/4.png"]));
    has(&recipe, &["val = 0.25"]);
}

#[test]
fn files_that_are_not_what_they_seem() {
    let webp = "RIFF\u{10}\0\0\0WEBPVP8 ";
    let sandbox =
        folder(&["a/1.png", "a/2.png", "a/3.JPEG", &format!("a/4.webp={webp}"), "a/page.html=<html>"]);
    // A PNG by the name of a JPEG.
    fs::rename(sandbox.path("My photos/a/1.png"), sandbox.path("My photos/a/1.jpg")).unwrap();
    let left = init(&sandbox).ok().json()["left_out"].clone();
    assert_eq!((&left[0]["path"], &left[0]["why"]), (&"a/4.webp".into(), &"a WebP image".into()));
    assert_eq!(left[1]["why"], "a web page (HTML)");
    let build = ["build", "my-photos-recipe/recipe.toml", "--source", "My photos", "--json"];
    assert_eq!(sandbox.isn(&build).ok().json()["images"], 3);

    let cut = sandbox.read("My photos/a/3.JPEG");
    sandbox.write("My photos/a/5.jpg", &cut[..cut.len() / 2]);
    let build = [&build[..], &["--out", "cut"]].concat();
    let ran = sandbox.isn(&build).fails(1, "a/5.jpg: truncated");
    has(&ran.stderr, &["isn ledger add my-photos-recipe/corrections.csv a/5 remove --reason broken"]);
    let add = ["ledger", "add", "my-photos-recipe/corrections.csv", "a/5", "remove", "--reason", "broken"];
    sandbox.isn(&[&add[..], &["--evidence", "truncated", "--reviewer", "me"]].concat()).ok();
    sandbox.isn(&build).ok();

    let ran = init(&folder(&[&format!("a/1.webp={webp}"), &format!("b/2.webp={webp}")]));
    ran.fails(1, "has no JPEG or PNG at any depth: a/1.webp is a WebP image, and so is 1 other. Convert");
}

#[test]
fn a_folder_without_classes_or_images() {
    let (recipe, built, _) = published(&folder(&["1.jpg", "2.jpg", "b.png"]));
    has(&recipe, &["id = \"all\"\nlabel = \"my-photos\"\nfolder = \".\"", "policy = \"keep\""]);
    assert_eq!(built["images"], 3);
    let (recipe, ..) = published(&folder(&["train/images/1.jpg", "test/images/2.jpg"]));
    has(&recipe, &["folder = \".\""]);
    init(&folder(&["a/"])).fails(1, "My photos has no JPEG or PNG at any depth: it is empty");
    Sandbox::new().isn(&["init", "nowhere"]).fails(6, "cannot read nowhere");
}

#[test]
fn folders_that_differ_in_case_only() {
    let paths = ["Apple/1.png", "Apple/2.png", "Apple/3.png", "apple/4.png", "apple/5.png", "apple/6.png"];
    let (recipe, built, warnings) = published(&folder(&paths));
    has(&recipe, &["id = \"Apple\"\n", "id = \"apple-2\"\nlabel = \"apple\"\nfolder = \"apple\""]);
    has(&warnings, &["Apple and apple differ in upper and lower case only"]);
    assert_eq!(built["images"], 6);
}

#[test]
fn what_is_understood_by_half_says_which_half() {
    let flat = ["train/a/1.png", "train/b/2.png", "val/3.png", "val/labels.csv=x"];
    let ran =
        init(&folder(&flat)).fails(1, "train/ has 2 folders of classes, but the 1 image of val/ are in no");
    has(&ran.stderr, &["perhaps val/labels.csv says it", "Sort them into folders"]);
    let ran = init(&folder(&["1.png", "images/2.png", "labels.csv=path,label"]))
        .fails(1, "its 2 images are in no folder");
    has(&ran.stderr, &["labels.csv may say their classes", "Sort the images into a folder for each class"]);
    let wrapped = init(&folder(&["data/train/a/1.png", "data/val/a/2.png"]));
    wrapped.fails(1, "has its splits in data/: name that folder, `isn init 'My photos/data'`");
    init(&folder(&["a/1.png", "a/1.jpg"]))
        .fails(1, "a/1.jpg and a/1.png have one source id, a/1: rename one");
    init(&folder(&["a/1 .png", "a/2.png"]))
        .fails(1, "a/1 .png: the name starts or ends with white space: rename it");
    init(&folder(&["cat/1.png", "test/2.png"]))
        .fails(1, "test is the name of a split: rename it if it is a class");
}

#[test]
fn whatever_folders_are_called_the_recipe_is_one() {
    let long = "x".repeat(200);
    let names = [
        "a \"quoted\" one",
        "back\\slash",
        "# no comment",
        "line\u{2028}end",
        "\u{202e}txt",
        "space ",
        "＝1+1",
        "-",
        "it's [x]",
        "\u{feff}",
        "con",
        "Nul.x",
        "a..b",
        "\u{301}",
        "🦉",
        "{}",
        long.as_str(),
        "ß",
        "names",
        "all",
    ];
    let images = |name: &&str| [format!("{name}/1.png"), format!("{name}/2 .x.png"), format!("{name}/3.png")];
    let paths: Vec<String> = names.iter().flat_map(images).collect();
    let (recipe, built, _) = published(&folder(&paths.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!((&built["images"], recipe.matches("[[class]]").count()), (&60.into(), 20), "{recipe}");
    assert!(!recipe.contains(['\u{202e}', '\u{feff}', '\u{2028}']), "{recipe}");
}

#[test]
fn names_that_no_recipe_can_have_are_told() {
    init(&folder(&["a\u{7}/1.png", "b/2.png"])).fails(1, "has a control character: rename it");
    let sandbox = folder(&["a/1.png"]);
    let bad = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9.png");
    let bad: &std::ffi::OsStr = bad;
    fs::rename(sandbox.path("My photos/a/1.png"), sandbox.path("My photos/a").join(bad)).unwrap();
    init(&sandbox).fails(1, "a/caf\u{fffd}.png: the name is not UTF-8: rename it");
    let sandbox = folder(&["a/1.png"]);
    sandbox
        .isn(&["init", "My photos", "--licence", "a\u{7}"])
        .fails(1, "--licence is empty, or has a control");
}

#[test]
fn nothing_is_overwritten_or_written_among_the_pictures() {
    let sandbox = folder(&["a/1.png", "a/2.png"]);
    let before = contents(&sandbox.path("My photos"));
    init(&sandbox).ok();
    sandbox.write("my-photos-recipe/recipe.toml", b"mine");
    init(&sandbox).fails(1, "my-photos-recipe already exists");
    assert_eq!(sandbox.read("my-photos-recipe/recipe.toml"), b"mine");
    let mut command = sandbox.command(&["init", "."]);
    crate::sandbox::ran(command.current_dir(sandbox.path("My photos"))).fails(1, "the folder of pictures .");
    assert_eq!(contents(&sandbox.path("My photos")), before);
    assert!(sandbox.leftovers().is_empty());
    // Only if it is named.
    sandbox.isn(&["init", "My photos", "--name", "pics", "--out", "My photos/recipe"]).ok();
    let recipe = String::from_utf8(sandbox.read("My photos/recipe/recipe.toml")).unwrap();
    has(&recipe, &["name = \"pics\"", "licence = \"unknown\""]);
    // Without a licence, the version is built and not published.
    let ran = sandbox.isn(&["init", "My photos", "--out", "r"]).ok();
    has(&ran.stderr, &["the licence is not stated", "or remove r and run this again with --licence"]);
    sandbox.isn(&["build", "r/recipe.toml", "--source", "My photos", "--out", "out"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "me"]).fails(8, "licence: 'unknown'");
}
