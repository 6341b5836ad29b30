use super::*;
use crate::source::tests::folder;
use isn_format::source_spec::HERE;

fn looked(paths: &[&str]) -> Look {
    look(folder(paths).path()).unwrap()
}

fn refused(paths: &[&str]) -> String {
    look(folder(paths).path()).unwrap_err().to_string()
}

#[test]
fn splits_are_found_by_their_names() {
    let found =
        looked(&["Train/a/1.jpg", "valid/a/1.jpg", "val_2/b/1.jpg", "TESTING/a/1.jpg", "__MACOSX/a/1.jpg"]);
    let splits =
        [(Split::Train, "Train"), (Split::Val, "val_2"), (Split::Val, "valid"), (Split::Test, "TESTING")];
    assert_eq!(found.splits, splits.map(|(split, name)| (split, name.to_owned())));
    assert_eq!(found.classes, ["a", "b"]);
    // What may be either is for a person to say; some names are those of classes, too.
    assert!(refused(&["Test/1.jpg", "cat/1.jpg"]).contains("Test is the name of a split: rename it"));
    assert_eq!(looked(&["dev/1.jpg", "cat/1.jpg"]).classes, ["cat", "dev"]);
    assert!(refused(&["data/train/a/1.jpg", "data/val/a/1.jpg"]).contains("has its splits in data/"));
}

#[test]
fn the_folder_nearest_to_the_top_that_has_images_is_a_class() {
    let paths =
        ["a/x/1.jpg", "a/y/1.jpg", "b/1.jpg", "b/more/1.jpg", "c/images/1.jpg", "d/images/1.jpg", "e/"];
    let found = looked(&paths);
    assert_eq!(found.classes, ["a/x", "a/y", "b", "c", "d"]);
    assert_eq!(found.notes, ["e: left out, it has no JPEG or PNG"]);
    let found = looked(&["train/a/x/1.jpg", "val/a/1.jpg", "train/a-b/1.jpg"]);
    assert_eq!(found.classes, ["a", "a-b"]);
    assert_eq!(looked(&["1.jpg", "2.png"]).classes, [HERE]);
    assert_eq!(looked(&["train/1.jpg", "test/2.png"]).classes, [HERE]);
    let found = looked(&["1.jpg", "a/2.png"]);
    assert_eq!((found.classes, found.notes.len()), (vec!["a".to_owned()], 1));
}

#[test]
fn what_no_recipe_can_name_is_told() {
    let why = refused(&["train/a/1.jpg", "train/b/1.jpg", "val/1.jpg", "val/val_annotations.txt"]);
    for part in ["train/ has 2 folders of classes", "the 1 image of val/", "val/val_annotations.txt"] {
        assert!(why.contains(part), "{why}");
    }
    // TinyImageNet.
    let tiny = ["train/a/images/1.JPEG", "train/a/boxes.txt", "val/images/1.JPEG", "val/val_annotations.txt"];
    let why = refused(&tiny);
    assert!(why.contains("the 1 image of val/") && why.contains("val/val_annotations.txt"), "{why}");
    assert!(refused(&["a/"]).ends_with("has no JPEG or PNG at any depth: it is empty"));
    assert!(refused(&["a/x.txt"]).contains("a/x.txt is a file of another kind"));
}

#[test]
fn names_that_say_one_thing_beside_the_split_are_splits() {
    let found = looked(&["pets_train/cat/1.jpg", "pets_test/cat/1.jpg"]);
    assert_eq!(found.splits, [(Split::Train, "pets_train".into()), (Split::Test, "pets_test".into())]);
    assert_eq!(found.classes, ["cat"]);
    for paths in [&["cat_train/1.jpg", "dog_test/1.jpg"][..], &["cat/1.jpg", "dog/1.jpg", "cat_test/1.jpg"]] {
        let why = refused(paths);
        assert!(why.contains("named after splits") && why.contains("move cat_t"), "{why}");
        assert!(why.contains("to train/cat/") || why.contains("to test/cat/"), "{why}");
    }
    assert_eq!(looked(&["train station/1.jpg", "bus stop/1.jpg"]).classes, ["bus stop", "train station"]);
}

#[test]
fn what_says_splits_elsewhere_is_told() {
    let found =
        looked(&["images/cat/1.jpg", "images/dog/1.jpg", "meta/train.txt", "meta/test.txt", "test.md"]);
    assert!(found.notes[1].starts_with("meta/test.txt may say which images are val or test"), "{found:?}");
    let found = looked(&["cat/train_1.jpg", "cat/test_1.jpg", "dog/train_1.jpg"]);
    assert!(found.notes[0].starts_with("names of files begin with train and test, which"), "{found:?}");
    let quiet = ["train/cat/train_1.jpg", "test/cat/test_1.jpg", "train/cat/test.txt"];
    assert_eq!(looked(&quiet).notes, [""; 0]);
}

#[test]
fn folders_of_classes_may_be_in_one_that_says_nothing() {
    assert_eq!(looked(&["images/cat/1.jpg", "images/dog/1.jpg"]).classes, ["images/cat", "images/dog"]);
    let split =
        ["train/images/cat/1.jpg", "test/images/cat/2.jpg", "train/images/0.jpg", "train/images/dog/1.jpg"];
    let found = looked(&split);
    assert_eq!(found.classes, ["images/cat", "images/dog"]);
    assert!(
        found.notes[0].starts_with("train/images: left out 1 image (0.jpg) beside cat and dog"),
        "{found:?}"
    );
    let found = looked(&["images/1.jpg", "images/2.jpg", "images/cat/1.jpg", "images/dog/1.jpg"]);
    assert_eq!(found.classes, [HERE]);
    assert!(found.notes[0].contains("has the images of the folders in it, cat and dog"), "{found:?}");
}

#[test]
fn classes_named_as_splits_in_splits() {
    for paths in [
        &["train/cat/1.jpg", "train/test/1.jpg", "test/cat/1.jpg", "test/test/1.jpg"][..],
        &["train/cat/1.jpg", "train/test/1.jpg", "val/cat/1.jpg"],
    ] {
        let why = refused(paths);
        assert!(why.contains("train/test/") && why.contains("rename what is a class"), "{why}");
    }
}
