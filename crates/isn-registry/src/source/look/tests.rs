use super::*;
use crate::source::tests::folder;

fn looked(paths: &[&str]) -> Look {
    look(folder(paths).path()).unwrap()
}

fn refused(paths: &[&str]) -> String {
    look(folder(paths).path()).unwrap_err().to_string()
}

#[test]
fn splits_are_found_by_their_names() {
    let found =
        looked(&["Train/a/1.jpg", "valid/a/1.jpg", "dev/b/1.jpg", "TESTING/a/1.jpg", "__MACOSX/a/1.jpg"]);
    let splits =
        [(Split::Train, "Train"), (Split::Val, "dev"), (Split::Val, "valid"), (Split::Test, "TESTING")];
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
