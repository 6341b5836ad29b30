//! `isn init` of lists whose columns, names or labels are not what they seem, and of texts beside folders of
//! splits.

use std::ops::Range;

use crate::init::{folder, has, init};
use crate::init_lists::{of, refused};

/// 8 images in each of `cat/`, `cow/` and `dog/`.
const CLASSES: [(&str, Range<usize>); 3] = [("cat/", 0..8), ("cow/", 8..16), ("dog/", 16..24)];

/// A row for each of these images.
fn rows(header: &str, row: impl Fn(usize, &str) -> String) -> String {
    let rows = (0..24).map(|n| row(n, ["cat", "cow", "dog"][n / 8]) + "\n");
    format!("{header}\n{}", rows.collect::<String>())
}

fn split(n: usize) -> &'static str {
    if n.is_multiple_of(4) { "test" } else { "train" }
}

#[test]
fn a_column_that_is_no_label_beside_folders_of_classes() {
    for column in ["width", "height", "date", "year", "licence", "photographer"] {
        let list =
            rows(&format!("path,{column},split"), |n, class| format!("{class}/{n}.png,640,{}", split(n)));
        let sandbox = of(&CLASSES, &[("info.csv", &list)]);
        refused(&sandbox, &format!("no column says their classes ({column} cannot): add one, label"));
    }
    for column in ["site", "source", "weather", "label"] {
        let list =
            rows(&format!("path,{column},split"), |n, class| format!("{class}/{n}.png,640,{}", split(n)));
        let why = format!(
            "its column {column} has one label, 640, for images of cat, cow and dog: add a column label"
        );
        refused(&of(&CLASSES, &[("info.csv", &list)]), &why);
    }
    let list = |column: &str, label: fn(&str) -> String| {
        rows(&format!("path,{column},split"), |n, class| {
            format!("{class}/{n}.png,{},{}", label(class), split(n))
        })
    };
    let numbers = |class: &str| class.len().to_string() + &class[1..];
    refused(
        &of(&CLASSES, &[("info.csv", &list("weather", numbers))]),
        "the name of its column weather does not say that it has the classes",
    );
    for (column, label) in
        [("label", numbers as fn(&str) -> String), ("animal", |class| class.to_uppercase())]
    {
        let ran = init(&of(&CLASSES, &[("info.csv", &list(column, label))])).ok();
        has(&ran.stdout, &["\"list\":\"info.csv\"", "\"test\":[\"test\"]"]);
    }
    // Without splits, such a list is told of, and changes nothing.
    for header in ["filename,photo_of", "filename,photo_of,x"] {
        let list = rows(header, |n, class| format!("{class}/{n}.png,person {},0", n % 3));
        let ran = init(&of(&CLASSES, &[("credits.csv", &list)])).ok();
        has(&ran.stderr, &["warning: credits.csv "]);
    }
}

#[test]
fn a_list_whose_names_are_those_of_no_image() {
    for row in ["img_{}.png", "{}%20.png", "{}.jpg", "{}_orig.png", "a/{}.png?x=1"] {
        let name = |n: usize| row.replace("{}", &n.to_string());
        let list = rows("path,label", |n, class| format!("{},{class}", name(n)));
        let why = format!("'{}', 'cat'; none is the path of an image, such as im/0.png", name(0));
        let sandbox = of(&[("im/", 0..24)], &[("l.csv", &list)]);
        refused(&sandbox, "by its folders it has one class, and l.csv has the columns of a list, but");
        refused(&sandbox, &why);
        let list = rows("path,split", |n, _| format!("{},{}", name(n), split(n)));
        refused(
            &of(&CLASSES, &[("l.csv", &list)]),
            "l.csv has the columns of a list, but the 2 fields of line 2",
        );
    }
    // What the numbers of labels mean is no list.
    let ran = init(&of(&[("im/", 0..4)], &[("map.csv", "id,label\n10,cat\n11,dog\n")])).ok();
    assert!(!ran.stderr.contains("map.csv"), "{}", ran.stderr);
}

#[test]
fn columns_of_guesses_and_of_ones() {
    let guesses = ["predicted_label", "pred", "prediction", "predicted", "y_pred", "y_hat", "pseudo_label"];
    for column in guesses.into_iter().chain(["auto_label", "clip_label", "AutoLabel"]) {
        let list = rows(&format!("path,{column}"), |n, class| format!("{n}.png,{class}"));
        let why =
            format!("its column {column} has, by its name, the guesses of a model, and none the classes");
        refused(&of(&[("im/", 0..24)], &[("l.csv", &list)]), &why);
    }
    let sizes = rows("path,width,height,url", |n, _| format!("{n}.png,640,{},http://x/{n}", n % 2));
    refused(
        &of(&[("im/", 0..24)], &[("l.csv", &sizes)]),
        "no column says their classes (width, height and url cannot): add one, label",
    );
    let ones = rows("filename, cat, dog", |n, _| format!("{n}.png, {}, {}", n % 2, (n + 1) % 2));
    refused(
        &of(&[("im/", 0..24)], &[("_classes.csv", &ones)]),
        "are 0 or 1, one for each class: make one column of them, label, with the name of the column that is 1",
    );
}

#[test]
fn labels_that_are_several() {
    for label in ["cat|dog", "cat;dog", "['cat']", "\"cat,dog\"", "cat+dog"] {
        let list = rows("path,label", |n, class| format!("{n}.png,{}", if n == 9 { label } else { class }));
        let why = format!("its label '{}' may be several", label.trim_matches('"'));
        refused(&of(&[("im/", 0..24)], &[("l.csv", &list)]), &why);
    }
    let list =
        rows("path,label", |n, class| format!("{n}.png,{}", if n % 8 == 1 { "cat dog" } else { class }));
    has(
        &init(&of(&[("im/", 0..24)], &[("l.csv", &list)])).ok().stderr,
        &["the label 'cat dog' is made of other labels"],
    );
}

#[test]
fn texts_of_splits_beside_folders_of_splits() {
    let splits = |second: &'static str| {
        vec![
            ("train/cat/".to_owned(), 0..8),
            ("train/dog/".to_owned(), 8..16),
            (format!("{second}/cat/"), 16..20),
            (format!("{second}/dog/"), 20..24),
        ]
    };
    let lines = |header: &str| header.to_owned() + &(0..5).map(|n| format!("{n}.png\n")).collect::<String>();
    for (second, file, header, why) in [
        ("val", "test.txt", "", "test.txt may say which of their images are test"),
        ("test", "val.txt", "", "val.txt may say which of their images are val"),
        ("test", "val.csv", "path\n", "val.csv names images, but no column says their classes"),
        (
            "test",
            "test.txt",
            "",
            "by its name, test.txt has images of test, and most of them are in folders of other",
        ),
    ] {
        let folders = splits(second);
        let folders: Vec<(&str, Range<usize>)> =
            folders.iter().map(|(folder, all)| (folder.as_str(), all.clone())).collect();
        let sandbox = of(&folders, &[(file, &lines(header))]);
        refused(&sandbox, why);
        refused(&sandbox, &format!("move {file} away"));
    }
    // File names that two folders have.
    let folders = [("train/cat/", 0..8), ("train/dog/", 8..16), ("test/cat/", 0..8), ("test/dog/", 8..16)];
    let list = (0..5).map(|n| format!("train/cat/{n}.png\n")).collect::<String>();
    refused(
        &of(&folders, &[("val.txt", &list)]),
        "it has the splits train/ and test/, and val.txt may say which",
    );
    // A split whose images isn does not read.
    let folders = splits("test");
    let folders: Vec<(&str, Range<usize>)> =
        folders.iter().map(|(folder, all)| (folder.as_str(), all.clone())).collect();
    has(
        &init(&of(&folders, &[("val/cat/1.webp", "RIFF")])).ok().stderr,
        &["val/ is val by its name, and has no JPEG or PNG"],
    );
}

#[test]
fn splits_in_the_names_of_files() {
    let images = [("cat/cat", "_test"), ("cat/cat", "_train"), ("dog/dog", "_train")];
    let images: Vec<String> = images
        .iter()
        .enumerate()
        .flat_map(|(at, (name, end))| (0..4).map(move |n| format!("{name}{at}{n}{end}.png")))
        .collect();
    let sandbox = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
    has(&init(&sandbox).ok().stderr, &["names of files have words of splits, train (8) and test (4)"]);
}

#[test]
fn prose_and_results_are_no_lists() {
    let prose = "We train and test on these pictures: cat/0.png and cow/8.png are two that we like.\n\
                 Of the others, some are worse, and some are better.\n";
    let results = "epoch,train_loss,test_acc\n".to_owned()
        + &(0..24).map(|n| format!("{n},0.{n},0.9\n")).collect::<String>();
    let table = |n: usize, class: &str| format!("| {class}/{n}.png | {} |", split(n));
    for (file, text) in [
        ("README", prose),
        ("LICENSE", prose),
        ("notes.txt", prose),
        ("README.md", prose),
        ("results.csv", &*results),
    ] {
        let ran = init(&of(&CLASSES, &[(file, text)])).ok();
        assert!(!ran.stderr.contains(file), "{}", ran.stderr);
    }
    // A table in a page says splits, and one without them nothing.
    let sandbox = of(&CLASSES, &[("README.md", &rows("| image | split |", table))]);
    refused(&sandbox, "README.md may say the splits of images");
    let pages = rows("# Pictures", |n, class| format!("![]({class}/{n}.png)"));
    assert!(!init(&of(&CLASSES, &[("README.md", &pages)])).ok().stderr.contains("README.md"));
    // What follows after a megabyte counts.
    let long = (0..70_000).map(|n| format!("other/{n:06}.png 1\n")).collect::<String>()
        + &rows("", |n, class| format!("{class}/{n}.png {}", n % 4));
    refused(
        &of(&CLASSES, &[("list_eval_partition.txt", &long)]),
        "list_eval_partition.txt may say the splits",
    );
}
