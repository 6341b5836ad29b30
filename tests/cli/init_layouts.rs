//! `isn init` of folders whose splits and classes are not where one would look first: test images never
//! silently become train images.

use std::fs;

use crate::init::{folder, has, init, published};
use crate::sandbox::{Ran, Sandbox};

/// The paths of images, `n` in each of the folders.
fn images(folders: &[&str], n: usize) -> Vec<String> {
    folders.iter().flat_map(|folder| (0..n).map(move |at| format!("{folder}/{at}.png"))).collect()
}

fn of(folders: &[&str], n: usize, more: &[&str]) -> Sandbox {
    let images = images(folders, n);
    folder(&images.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
}

#[track_caller]
fn refused(sandbox: &Sandbox, parts: &[&str]) -> Ran {
    let ran = init(sandbox).fails(1, "error: My photos ");
    has(&ran.stderr, parts);
    assert!(!sandbox.path("my-photos-recipe").exists());
    ran
}

#[test]
fn splits_by_the_names_that_datasets_give_them() {
    for (train, test) in [
        ("training_set", "test_set"),
        ("Training Images", "Testing Images"),
        ("trainset", "testset"),
        ("seg_train", "seg_test"),
        ("TRAIN-DATA", "Test-Data"),
        ("TrainingSet", "TestSet"),
        ("images_train", "images_test"),
        ("train2017", "test2017"),
        ("train", "test1"),
        ("training_set/training_set", "test_set/test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
    ] {
        let folders = [train, test].map(|split| ["cat", "dog"].map(|class| format!("{split}/{class}")));
        let folders: Vec<&str> = folders.iter().flatten().map(String::as_str).collect();
        let sandbox = of(&folders, 3, &[]);
        let report = init(&sandbox).ok().json();
        assert_eq!(report["splits"], serde_json::json!({ "train": [train], "test": [test] }), "{train}");
        let classes: Vec<&str> =
            report["classes"].as_array().unwrap().iter().map(|class| class["id"].as_str().unwrap()).collect();
        assert_eq!(classes, ["cat", "dog"], "{train}");
        assert_eq!(report["classes"][0]["images"], serde_json::json!({ "train": 3, "test": 3 }), "{train}");
        let build = ["build", "my-photos-recipe/recipe.toml", "--source", "My photos", "--json"];
        let built = sandbox.isn(&build).ok().json();
        assert_eq!(built["balance"]["test"], serde_json::json!({ "cat": 3, "dog": 3 }), "{train}");
    }
    for (val, is_val) in [("val_set", true), ("Validation Images", true), ("eval", true), ("dev-set", true)] {
        let folders = ["train/cat", "train/dog"].map(String::from).into_iter();
        let folders: Vec<String> = folders.chain(["cat", "dog"].map(|c| format!("{val}/{c}"))).collect();
        let sandbox = of(&folders.iter().map(String::as_str).collect::<Vec<_>>(), 3, &[]);
        let report = init(&sandbox).ok().json();
        assert_eq!(report["splits"]["val"] == serde_json::json!([val]), is_val, "{report}");
    }
    // What is beside splits is left out, and says how many images it has.
    let sandbox = of(
        &["seg_train/seg_train/sea", "seg_train/seg_train/ice", "seg_test/seg_test/sea", "seg_pred/seg_pred"],
        3,
        &["README.md=x"],
    );
    let (_, built, warnings) = published(&sandbox);
    has(&warnings, &["left out 3 images", "seg_pred"]);
    let left = &built["left_out"];
    let pred = left.as_array().unwrap().iter().find(|left| left["path"] == "seg_pred").unwrap();
    assert_eq!(pred["images"], 3, "{left}");
}

#[test]
fn splits_below_classes_are_no_classes() {
    let sandbox = of(&["cat/train", "cat/val", "dog/train", "dog/val"], 3, &[]);
    refused(
        &sandbox,
        &["cat/ and dog/ have folders named as splits", "cat/train", "move cat/train/ to train/cat/"],
    );
    // One of the classes has them, or one has one of them.
    refused(&of(&["cat/train", "cat/test", "dog"], 3, &[]), &["has its splits in cat/", "3 images beside"]);
    refused(&of(&["cat", "cat/test", "dog"], 3, &[]), &["cat/test", "test is the name of a split"]);
    refused(&of(&["pets/cat", "pets/dog", "pets/test"], 3, &[]), &["pets/test"]);
    refused(&of(&["cat/Test Images", "cat/x", "dog"], 3, &[]), &["cat/Test Images"]);
    refused(&of(&["train/a", "train/b/test", "test/a"], 3, &[]), &["train/b/test"]);
    // By the names of the classes.
    let sandbox = of(&["cats_train", "cats_test", "dogs_train", "dogs_test"], 3, &[]);
    refused(&sandbox, &["cats_test, cats_train", "move cats_test/ to test/cats/"]);
    refused(&of(&["trainA", "trainB", "testA", "testB"], 3, &[]), &["trainA", "testA"]);
}

#[test]
fn a_dataset_for_each_of_several_things() {
    let one = ["train/good", "test/good", "test/broken", "ground_truth/broken"];
    let all: Vec<String> =
        ["bottle", "cable"].iter().flat_map(|at| one.map(|of| format!("{at}/{of}"))).collect();
    let sandbox = of(&all.iter().map(String::as_str).collect::<Vec<_>>(), 3, &["license.txt=x"]);
    refused(
        &sandbox,
        &[
            "bottle/ and cable/ have folders named as splits",
            "name one of them: `isn init 'My photos/bottle'`",
        ],
    );
    // And one of them.
    let (recipe, built, warnings) = published(&of(&one, 3, &[]));
    has(&recipe, &["id = \"good\"", "id = \"broken\""]);
    assert_eq!(built["balance"]["test"], serde_json::json!({ "broken": 3, "good": 3 }), "{built}");
    has(&warnings, &["left out 3 images: 3 in ground_truth"]);

    let sandbox = of(&["images/train", "images/val", "masks/train", "masks/val"], 3, &[]);
    refused(&sandbox, &["images/ and masks/ have folders named as splits", "`isn init 'My photos/images'`"]);
    let sandbox = of(&["images/cat", "images/dog", "masks/cat", "masks/dog"], 3, &[]);
    refused(&sandbox, &["images/", "masks/", "`isn init 'My photos/images'`"]);
    refused(
        &of(&["train/images", "train/masks", "val/images", "val/masks"], 3, &[]),
        &["train/images", "masks"],
    );
}

#[test]
fn splits_in_a_folder_beside_something_else() {
    let splits = ["data/train/cat", "data/train/dog", "data/val/cat", "data/val/dog"];
    for more in ["sample.png", "docs/figure.png"] {
        refused(
            &of(&splits, 3, &[more]),
            &["has its splits in data/", "1 image beside", "`isn init 'My photos/data'`"],
        );
    }
    let deeper: Vec<String> = splits.iter().map(|split| format!("archive/{split}")).collect();
    let sandbox = of(&deeper.iter().map(String::as_str).collect::<Vec<_>>(), 3, &[]);
    refused(&sandbox, &["has its splits in archive/data/", "`isn init 'My photos/archive/data'`"]);
}

#[test]
fn a_class_that_is_named_as_a_split() {
    // No recipe can name it: the folder of a split has that name.
    let sandbox = of(&["bus", "car", "train"], 3, &[]);
    refused(&sandbox, &["train beside bus and car", "rename it if it is a class"]);
    refused(&of(&["train/cat", "train/dog", "extra"], 3, &[]), &["train beside extra"]);
    refused(&of(&["test_set/cat", "test_set/dog", "learn/cat"], 3, &[]), &["test_set beside learn"]);
    refused(&of(&["train", "test", "masks"], 3, &[]), &["test/ and train/ are splits", "move masks/ away"]);
    // Others are classes, and isn says so.
    for class in ["training", "Valid", "dev"] {
        let (recipe, built, warnings) = published(&of(&["bus", "car", class], 3, &[]));
        assert_eq!((built["images"].clone(), recipe.matches("[[class]]").count()), (9.into(), 3), "{class}");
        has(&warnings, &[&format!("{class} is taken for a class")]);
    }
    let (recipe, _, warnings) = published(&of(&["vehicles/bus", "vehicles/train", "cats"], 3, &[]));
    has(&recipe, &["id = \"class-train\"\nlabel = \"train\"\ngroup = \"vehicles\"\n"]);
    has(&warnings, &["vehicles/train is taken for a class"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    for closed in ["cat", "fruit/apple"] {
        for mode in [0o000, 0o444] {
            let sandbox = of(&["cat", "dog", "fruit/apple", "fruit/pear"], 3, &[]);
            let path = sandbox.path("My photos").join(closed);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let ran = sandbox.bound(&["init", "My photos"]);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let Some(ran) = ran else { return };
            has(&ran.fails(1, "source My photos has").stderr, &[closed, "Permission denied"]);
        }
    }
}

#[test]
fn what_is_left_out_says_whether_it_has_images() {
    let sandbox =
        of(&["Train/cat", "Train/dog", "Test/cat", "drafts/x/y"], 3, &["notes/a.txt=x", "cover.png"]);
    let ran = sandbox.isn(&["init", "My photos", "--licence", "CC0-1.0"]).ok();
    has(&ran.stdout, &["left out drafts (3 images): not the folder of a split (Train, Test)\n"]);
    has(&ran.stdout, &["left out cover.png (1 image): not the folder of a split (Train, Test)\n"]);
    has(&ran.stdout, &["left out notes: not the folder of a split (Train, Test)\n"]);
    has(&ran.stderr, &["left out 4 images: 3 in drafts, 1 in cover.png"]);
    let build = ["build", "my-photos-recipe/recipe.toml", "--source", "My photos", "--json"];
    let ran = sandbox.isn(&build).ok();
    has(
        &ran.stderr,
        &[
            "left out 3 names, not the folder of a split (Train, Test): cover.png (1 image), drafts (3 images), notes",
        ],
    );
    let report: serde_json::Value =
        serde_json::from_slice(&sandbox.read("my-photos-1.0-build/report.json")).unwrap();
    let left = report["left_out"].as_array().unwrap();
    assert_eq!(
        left[1],
        serde_json::json!({ "path": "drafts", "why": "not the folder of a split (Train, Test)", "images": 3 })
    );
    assert_eq!(
        left[2],
        serde_json::json!({ "path": "notes", "why": "not the folder of a split (Train, Test)" })
    );
    // A build again has nothing to do.
    has(&sandbox.isn(&build[..4]).ok().stdout, &["already built"]);

    // With one split.
    let sandbox = of(&["TRAIN/cat", "TRAIN/dog"], 3, &["notes.txt=x"]);
    let (_, built, _) = published(&sandbox);
    assert_eq!(built["left_out"][0]["why"], "not the folder of a split (TRAIN)");
    // A folder that is perhaps a split.
    let sandbox = of(&["train/cat", "test/cat", "valdiation/cat"], 3, &[]);
    has(&init(&sandbox).ok().stderr, &["valdiation has folders of classes, as a split has"]);
    let check = ["source", "check", "My photos", "--recipe", "my-photos-recipe/recipe.toml"];
    sandbox
        .isn(&check)
        .fails(8, "valdiation: has 3 images in folders of classes, and is no folder of a split");
    fs::rename(sandbox.path("My photos/valdiation"), sandbox.path("My photos/val")).unwrap();
    sandbox.isn(&check).fails(0, "ok: complete");
}

#[test]
fn one_picture_beside_folders_does_not_make_them_one_class() {
    let sandbox = of(&["Fruit/Apple", "Fruit/Pear", "Milk"], 3, &["Fruit/thumbnail.png"]);
    let (recipe, built, warnings) = published(&sandbox);
    has(&recipe, &["folder = \"Fruit/Apple\"", "folder = \"Fruit/Pear\""]);
    assert_eq!(built["images"], 9, "{built}");
    has(&warnings, &["Fruit: left out 1 image (thumbnail.png)", "Apple and Pear"]);
    // Many of them do, and isn says so.
    let sandbox = of(&["Fruit", "Fruit/Apple", "Fruit/Pear", "Milk"], 3, &[]);
    let (recipe, built, warnings) = published(&sandbox);
    assert_eq!((recipe.matches("[[class]]").count(), &built["images"]), (2, &12.into()), "{recipe}");
    has(&warnings, &["the class Fruit has the images of the folders in it, Apple and Pear"]);
}

#[test]
fn images_that_are_mostly_in_no_folder() {
    let stray: Vec<String> = (0..7).map(|n| format!("train/{n}.png")).collect();
    let stray: Vec<&str> = stray.iter().map(String::as_str).collect();
    refused(
        &of(&["train/cat", "train/dog"], 3, &stray),
        &["7 of 13 images are in no folder of a class, and 6 are"],
    );
    let (_, built, warnings) = published(&of(&["train/cat", "train/dog"], 4, &stray));
    assert_eq!(built["images"], 8);
    has(&warnings, &["train: left out 7 images that no class folder has"]);
}

#[test]
fn one_split_of_a_dataset() {
    let sandbox = of(&["train/cat", "train/dog", "test set/cat"], 3, &[]);
    let ran = sandbox.isn(&["init", "My photos/train"]).ok();
    has(
        &ran.stderr,
        &["the folder is that of one split (train), beside test set/: `isn init '", "My photos'` takes"],
    );
    // A folder of that name that has no image.
    refused(&of(&["cat", "dog"], 3, &["test/x.txt=x"]), &["test/ beside cat/ and dog/", "no JPEG or PNG"]);
}

#[test]
fn two_classes_have_two_labels() {
    let sandbox = of(&["Apple/ripe", "Apple/raw", "Pear/ripe", "Pear/raw"], 3, &[]);
    let (recipe, _, warnings) = published(&sandbox);
    for label in ["Apple ripe", "Apple raw", "Pear ripe", "Pear raw"] {
        has(&recipe, &[&format!("label = \"{label}\"")]);
    }
    has(&warnings, &["Apple/raw and Pear/raw have one name"]);
    let (recipe, ..) = published(&of(&["n01440764-owl", "n01440765-owl"], 3, &[]));
    has(&recipe, &["label = \"n01440764-owl\"", "label = \"n01440765-owl\""]);
}

#[test]
fn classes_in_the_names_of_files_are_not_read() {
    let names = |split: &str| -> Vec<String> {
        (0..4).flat_map(|n| ["cat", "dog"].map(|class| format!("{split}{class}.{n}.png"))).collect()
    };
    for (paths, more) in [(names(""), None), (names("train/"), Some("test1/1.png"))] {
        let paths: Vec<&str> = paths.iter().map(String::as_str).chain(more).collect();
        refused(&folder(&paths), &["the names of the files may say their classes (cat, dog)", "Sort"]);
    }
    // These say nothing, or their names were sorted into a folder of one class.
    for paths in [
        ["IMG_1.png", "IMG_2.png", "DSC_1.png", "DSC_2.png"],
        ["a/cat1.png", "a/cat2.png", "a/dog1.png", "a/dog2.png"],
    ] {
        init(&folder(&paths)).ok();
    }
}

#[test]
fn hidden_folders_with_images_are_told() {
    let hidden = [".secret/1.png", "cat/.old/2.png", ".ipynb_checkpoints/3.png", ".git/4.png", "cat/.5.png"];
    let sandbox = of(&["cat", "dog"], 3, &hidden);
    let (_, built, warnings) = published(&sandbox);
    assert_eq!(built["images"], 6, "{built}");
    has(&warnings, &["left out 2 images: 1 in .secret, 1 in cat/.old"]);
    let left = built["left_out"].as_array().unwrap();
    let why = "its name starts with a dot";
    assert_eq!(left[0], serde_json::json!({ "path": ".secret", "why": why, "images": 1 }), "{left:?}");
    assert_eq!(left[1], serde_json::json!({ "path": "cat/.old", "why": why, "images": 1 }));
    assert_eq!(left.len(), 2, "{left:?}");
    init(&folder(&[".cats/1.png", "a/"])).fails(1, ".cats has 1 image, and its name starts with a dot");
}

#[cfg(unix)]
#[test]
fn commands_that_are_printed_can_be_pasted() {
    let name = "👩\u{200d}👩 it's \u{202e}x";
    let sandbox = of(&["a", "b"], 3, &[]);
    fs::rename(sandbox.path("My photos"), sandbox.path(name)).unwrap();
    let ran = sandbox.isn(&["init", name, "--name", "pics", "--licence", "CC0-1.0"]).ok();
    let build = ran.stdout.lines().find_map(|line| line.trim().strip_prefix("isn build ")).unwrap();
    let script = format!("\"$1\" build {build}");
    crate::sandbox::ran(sandbox.program("bash").args(["-c", &script, "bash", crate::sandbox::ISN])).ok();
    // Nor need it be UTF-8.
    let bad: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9");
    std::os::unix::fs::symlink(name, sandbox.path("").join(bad)).unwrap();
    let mut init = sandbox.command(&["init", "--name", "pics", "--out", "other"]);
    let ran = crate::sandbox::ran(init.arg(bad)).ok();
    has(&ran.stdout, &["isn build other/recipe.toml --source $'caf\\351'\n"]);
    let json = sandbox.isn(&["init", name, "--name", "pics", "--out", "r", "--json"]).ok().json();
    assert!(json["next"][0].as_str().unwrap().ends_with(build.split("--source").nth(1).unwrap()), "{json}");
}

#[cfg(unix)]
#[test]
fn a_decision_can_be_added_whatever_a_folder_is_called() {
    for class in ["-1", "--", "-x y", "it's \u{200d}"] {
        let sandbox = of(&[class, "b"], 3, &[&format!("{class}/bad.png=none")]);
        init(&sandbox).ok();
        let build = ["build", "my-photos-recipe/recipe.toml", "--source", "My photos"];
        let ran = sandbox.isn(&build).fails(1, "1 source image cannot be built");
        let add = ran.stderr.lines().find_map(|line| line.trim().strip_prefix("isn ledger add ")).unwrap();
        let script = format!("\"$1\" ledger add {add}");
        crate::sandbox::ran(sandbox.program("bash").args(["-c", &script, "bash", crate::sandbox::ISN])).ok();
        sandbox.isn(&build).ok();
    }
    // What no ledger can have is not offered.
    let sandbox = of(&["x", "b"], 3, &["x/bad.png=none"]);
    fs::rename(sandbox.path("My photos/x"), sandbox.path("My photos/=x")).unwrap();
    has(&init(&sandbox).ok().stderr, &["no row of a ledger can have an id such as =x/"]);
    let ran = sandbox.isn(&["build", "my-photos-recipe/recipe.toml", "--source", "My photos"]);
    let ran = ran.fails(1, "rename the file or its folder");
    assert!(!ran.stderr.contains("ledger add"), "{}", ran.stderr);
    // A class of this name.
    let add =
        ["ledger", "add", "l.csv", "b/1", "relabel", "-1", "--reason", "wrong-label", "--reviewer", "me"];
    sandbox.isn(&add).ok();
}

#[test]
fn folders_that_may_be_no_classes() {
    for (folders, why) in [
        (
            vec!["fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog"],
            "the outer ones are told apart by numbers",
        ),
        (vec!["cat/40X", "cat/100X", "dog/40X", "dog/100X"], "the inner ones are told apart by numbers"),
        (vec!["hot dog", "hot_dog", "cat"], "hot dog and hot_dog are the same words"),
        (
            vec!["train/hot_dog", "train/cat", "test/hot dog", "test/cat"],
            "hot dog and hot_dog are the same words",
        ),
    ] {
        refused(&of(&folders, 3, &[]), &[why]);
    }
    for (folders, told) in [
        (vec!["cat/2021-01", "dog/2022-03"], "the classes are the innermost folders, such as cat/2021-01"),
        (vec!["cat", "dog", "unlabeled"], "unlabeled is taken for a class: if its images have none"),
        (vec!["train/cat", "train/dog", "test/cat", "test/dgo"], "no train image is of dgo, which test has"),
    ] {
        has(&init(&of(&folders, 3, &[])).ok().stderr, &[told]);
    }
    let (recipe, ..) =
        published(&of(&["entrenamiento/cat", "entrenamiento/dog", "prueba/cat", "prueba/dog"], 3, &[]));
    has(&recipe, &["train = [\"entrenamiento\"], test = [\"prueba\"]"]);
    // Signs that say something, and numbers.
    for folders in [["C", "C#", "C++"], ["1.5", "15", "-15"], ["A", "A+", "A-"], ["A-1", "A1", "A 2"]] {
        let ran = init(&of(&folders, 3, &[])).ok();
        assert!(!ran.stderr.contains("same words"), "{}", ran.stderr);
    }
    // Labels beside the folder that is named.
    let sandbox = of(&["images"], 4, &["labels/0.txt=0"]);
    has(
        &sandbox.isn(&["init", "My photos/images"]).ok().stderr,
        &["labels is beside the folder, and may say"],
    );
}
