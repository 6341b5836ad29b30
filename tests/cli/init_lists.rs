//! `isn init` of folders whose classes are in a file. Each ends in a version without an edit, or in an error
//! that says what is not understood and what to do.

use crate::init::{folder, has, init, published};
use crate::sandbox::Sandbox;

/// A folder with these files and `n` images in each of these folders, called 0.png and so on.
pub fn of(folders: &[(&str, std::ops::Range<usize>)], files: &[(&str, &str)]) -> Sandbox {
    let images =
        folders.iter().flat_map(|(folder, all)| all.clone().map(move |n| format!("{folder}{n}.png")));
    let files = files.iter().map(|(name, text)| format!("{name}={text}"));
    let all: Vec<String> = images.chain(files).collect();
    folder(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Rows for images `from..to`, whose classes alternate.
pub fn rows(header: &str, all: std::ops::Range<usize>, row: impl Fn(usize, &str) -> String) -> String {
    let rows = all.map(|n| row(n, ["cat", "Hot Dog"][n % 2]) + "\n");
    format!("{header}\n{}", rows.collect::<String>())
}

#[track_caller]
pub fn refused(sandbox: &Sandbox, why: &str) {
    init(sandbox).fails(1, why);
    assert!(!sandbox.path("my-photos-recipe").exists());
}

const CAT: &str = "id = \"cat\"\nlabel = \"cat\"\n";
const DOG: &str = "id = \"Hot-Dog\"\nlabel = \"Hot Dog\"\nfolder = \"Hot Dog\"\n";

#[test]
fn lists_as_people_have_them() {
    let images = |n: usize| vec![("images/", 0..n)];
    for (folders, files, parts) in [
        // Kaggle's dog breeds: names without extensions, and images without labels.
        (
            vec![("train/", 0..8), ("test/", 8..12)],
            vec![
                ("labels.csv", rows("id,breed", 0..8, |n, class| format!("{n},{class}"))),
                ("sample_submission.csv", rows("id,cat,Hot Dog", 8..12, |n, _| format!("{n},0.5,0.5"))),
            ],
            vec![
                "list = \"labels.csv\"\nimages = \"train\"\ncolumns = { path = \"id\", label = \"breed\" }\n#",
            ],
        ),
        // Names below the folder that has all images, and more columns.
        (
            images(8),
            vec![(
                "meta/info.csv",
                rows("n,filename,class id,class name,note", 0..8, |n, class| {
                    format!("{n},{n}.png,{},{class},\"a, b\"", n % 2)
                }),
            )],
            vec![
                "list = \"meta/info.csv\"\nimages = \"images\"\ncolumns = { path = \"filename\", label = \"class name\" }",
            ],
        ),
        // A column of splits, in words of its own.
        (
            images(12),
            vec![(
                "labels.csv",
                rows("\u{feff}Image Path,Label,Data Set", 0..12, |n, class| {
                    format!("./images/{n}.png,{class},{}", ["Training", "VALID", "test"][n / 4])
                }),
            )],
            vec![
                "columns = { path = \"Image Path\", label = \"Label\", split = \"Data Set\" }\n",
                "splits = { train = [\"Training\"], val = [\"VALID\"], test = [\"test\"] }",
                "policy = \"keep\"",
            ],
        ),
        // Splits by the folders of paths.
        (
            vec![("Training Images/", 0..8), ("Testing Images/", 8..12)],
            vec![(
                "all.tsv",
                rows("file\tmain_class", 0..12, |n, class| {
                    let folder = if n < 8 { "Training Images" } else { "Testing Images" };
                    format!("{folder}\\{n}.png\t{class}")
                }),
            )],
            vec![
                "splits = { train = [\"Training Images\"], test = [\"Testing Images\"] }",
                "4 train, 2 test",
            ],
        ),
        (
            vec![("train/", 0..8), ("test/", 8..12)],
            vec![(
                "labels.csv",
                rows("path,label", 0..12, |n, class| {
                    format!("{}/{n},{class}", if n < 8 { "train" } else { "test" })
                }),
            )],
            vec!["label = \"label\" }\n# All", "4 train, 2 test"],
        ),
        // One folder is not one class if a list says otherwise.
        (
            vec![("pics/", 0..8)],
            vec![("labels.csv", rows("image,label", 0..8, |n, class| format!("{n}.png,{class}")))],
            vec!["images = \"pics\""],
        ),
        (
            vec![("", 0..8)],
            vec![("labels.csv", rows("image,label", 0..8, |n, class| format!("{n}.png,{class}")))],
            vec!["list = \"labels.csv\"\ncolumns"],
        ),
    ] {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let sandbox = of(&folders, &files);
        let (recipe, built, _) = published(&sandbox);
        has(&recipe, &["kind = \"list\"", CAT, DOG]);
        has(&recipe, &parts);
        let labelled = built["images"].as_u64().unwrap();
        assert_eq!(labelled, built["source_images"].as_u64().unwrap(), "{built}");
        assert!([8, 12].contains(&labelled), "{built}");
        let check = ["source", "check", "My photos", "--recipe", "my-photos-recipe/recipe.toml"];
        sandbox.isn(&check).ok();
    }
}

#[test]
fn what_a_list_leaves_out_is_told() {
    let labels = rows("id,breed", 0..8, |n, class| format!("{n},{class}"));
    let others = "id,breed\n8,cat\n9,cat\n";
    let sandbox = of(
        &[("train/", 0..8), ("test/", 8..10)],
        &[("labels.csv", &labels), ("sample_submission.csv", others)],
    );
    let ran = sandbox.isn(&["init", "My photos", "--licence", "x"]).ok();
    has(
        &ran.stdout,
        &[
            "  list     labels.csv\n  columns  path = id, label = breed\n",
            "left out test (2 images): no row of labels.csv names it",
        ],
    );
    has(&ran.stderr, &["sample_submission.csv names images that labels.csv does not, and is not read"]);
    let sandbox = of(&[("images/", 0..10)], &[("labels.csv", &labels)]);
    has(&init(&sandbox).ok().stderr, &["left out 2 images: 1 in images/8.png, 1 in images/9.png"]);
    assert_eq!(sandbox.isn(&["init", "My photos", "--out", "r", "--json"]).ok().json()["list"], "labels.csv");
}

#[test]
fn folders_that_say_the_classes_need_no_list() {
    let list = "path,label\na/0.png,0\na/1.png,0\nb/4.png,1\nb/5.png,1\n";
    let (recipe, ..) = published(&of(&[("a/", 0..4), ("b/", 4..8)], &[("labels.csv", list)]));
    has(&recipe, &["kind = \"imagefolder\"", "id = \"a\"", "id = \"b\""]);
    let (recipe, _, warnings) = published(&of(
        &[("a/", 0..4), ("b/", 4..8)],
        &[("labels.csv", &list.replace("a/1.png,0", "a/1.png,1"))],
    ));
    has(&recipe, &["kind = \"imagefolder\"", "id = \"a\"", "id = \"b\""]);
    has(
        &warnings,
        &["labels.csv gives images of a several labels (label), and is not read, since folders are taken"],
    );
    assert!(
        !init(&of(&[("a/", 0..4), ("b/", 4..8)], &[("labels.csv", list)])).ok().stderr.contains("not read")
    );
    // One class may need a list of other things.
    let list = rows("file,title,date", 0..4, |n, _| format!("{n}.png,t{n},2026"));
    refused(
        &of(&[("pics/", 0..4)], &[("about.csv", &list)]),
        "by its folders it has one class, and about.csv names images, but is its column title the class? Call it \
         label, if so; if not, add a column label; or, if that class is all, move about.csv away",
    );
    // A ledger is no list.
    let ledger = "kind,source_id,says,labels,reason,source,reviewer,date,evidence\n\
                  decision,0,keep,,correct,,me,2026-11-23,\n";
    refused(
        &of(&[("", 0..4)], &[("ledger.csv", ledger)]),
        "ledger.csv may say their classes, but is no list",
    );
}

#[test]
fn lists_that_are_understood_by_half() {
    let plain = |header: &str| rows(header, 0..8, |n, class| format!("{n}.png,{class},{}", n % 3));
    let flat: &[(&str, std::ops::Range<usize>)] = &[("images/", 0..8)];
    let two: &[(&str, std::ops::Range<usize>)] = &[("images/", 0..8), ("photos/", 0..8)];
    let test: &[(&str, std::ops::Range<usize>)] = &[("train/", 0..8), ("test/", 8..16)];
    let in_two = |n: usize| if n < 8 { "train" } else { "other" };
    let other: &[(&str, std::ops::Range<usize>)] = &[("test/", 0..8), ("other/", 8..16)];
    for (folders, files, why) in [
        (
            flat,
            vec![("l.csv", plain("file,a,b"))],
            "which of its columns a and b is the class? Call that one label",
        ),
        (
            flat,
            vec![("l.csv", plain("file,breed,class"))],
            "columns breed and class may each be the class: keep one",
        ),
        (flat, vec![("l.csv", plain("file,label,is_test"))], "its column is_test may say the splits"),
        (
            flat,
            vec![("l.csv", plain("file,label,split"))],
            "its column split says '0', which isn does not know",
        ),
        (flat, vec![("l.csv", plain("file,split,set"))], "its columns split and set may each be the split"),
        (
            flat,
            vec![("l.csv", "file\n0.png\n1.png\n".into())],
            "no column says their classes: add one, label",
        ),
        (
            flat,
            vec![("l.csv", "0.png,cat\n1.png,dog\n2.png,cat\n".into())],
            "its first line is that of an image: begin the file with a line of the names of its columns",
        ),
        (flat, vec![("l.csv", "file,label\n0.png,cat\n0.png,dog\n".into())], "gives images/0.png two labels"),
        (
            flat,
            vec![("l.csv", "file,label\n0.png,1.5\n1.png,2\n".into())],
            "its labels are numbers such as 1.5",
        ),
        (
            flat,
            vec![("l.csv", "file,label\n0.png,cat\n1.png,dog\n".into())],
            "only 2 of the 8 images in their folders",
        ),
        (
            flat,
            vec![("a.csv", plain("file,label,x")), ("b.csv", plain("file,label,x"))],
            "there are several lists of images, a.csv and b.csv, and a recipe has one",
        ),
        (
            flat,
            vec![("a.csv", plain("file,label,x")), ("b.csv", plain("file,p,q"))],
            "which of its columns p and q is the class? Call that one label; or, if a.csv says all, move",
        ),
        (two, vec![("l.csv", plain("file,label,x"))], "those of images and photos all have such names"),
        (
            test,
            vec![("l.csv", rows("file,label", 8..16, |n, class| format!("{n}.png,{class}")))],
            "by the name of their folder or of the file they are test: add a column split that says so",
        ),
        (
            flat,
            vec![("test_labels.csv", rows("file,label", 0..8, |n, class| format!("{n}.png,{class}")))],
            "by the name of their folder or of the file they are test",
        ),
        (
            flat,
            vec![("val.csv", rows("file,label", 0..8, |n, class| format!("{n}.png,{class}")))],
            "by the name of their folder or of the file they are val",
        ),
        (
            other,
            vec![(
                "l.csv",
                rows("file,label", 0..16, |n, class| {
                    format!("{}/{n}.png,{class}", in_two(n).replace("train", "test"))
                }),
            )],
            "has the folder test beside other, and test is the name of a split",
        ),
        (
            flat,
            vec![("l.csv", "file;label\n0.png;cat\n".into())],
            "l.csv may say their classes, but is no list",
        ),
    ] {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        refused(&of(folders, &files), why);
    }
    let captions = rows("file,caption", 0..20, |n, _| format!("{n}.png,picture {n}"));
    refused(&of(&[("images/", 0..20)], &[("l.csv", &captions)]), "nearly each has a label of its own (20)");
    // What is missing is told with its line.
    let missing = rows("file,label", 0..20, |n, class| format!("{n}.png,{class}"));
    let sandbox = of(&[("images/", 0..19)], &[("l.csv", &missing)]);
    init(&sandbox).fails(1, "l.csv line 21: there is no file images/19.png");
}

/// TinyImageNet with two classes.
fn tiny(annotations: &[(&str, &str)], more: &[&str]) -> Sandbox {
    let classes = ["n01443537", "n01629819"];
    let train = classes
        .iter()
        .flat_map(|class| (0..3).map(move |n| format!("train/{class}/images/{class}_{n}.JPEG")));
    let boxes = classes.map(|class| format!("train/{class}/{class}_boxes.txt={class}_0.JPEG\t0\t0\t1\t1\n"));
    let val = (0..4).map(|n| format!("val/images/val_{n}.JPEG"));
    let files = annotations.iter().map(|(name, text)| format!("{name}={text}"));
    let words = ["wnids.txt=n01443537\nn01629819\n", "words.txt=n01443537\tgoldfish\n"].map(String::from);
    let more = more.iter().map(|path| (*path).to_owned());
    let all: Vec<String> = train.chain(boxes).chain(val).chain(files).chain(words).chain(more).collect();
    folder(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn annotations(separator: &str) -> String {
    let row = |n: usize| format!("val_{n}.JPEG,{},0,32,44,62\n", ["n01443537", "n01629819"][n % 2]);
    (0..4).map(row).collect::<String>().replace(',', separator)
}

#[test]
fn annotated_splits() {
    let tests = ["test/images/test_0.JPEG", "test/images/test_1.JPEG"];
    let named = format!("image,class\n{}", annotations(","));
    for (file, text) in [
        ("val/val_annotations.txt", annotations("\t")),
        ("val_labels.csv", annotations(",")),
        ("val/labels.csv", named),
    ] {
        let sandbox = tiny(&[(file, &text)], &tests);
        let (recipe, built, warnings) = published(&sandbox);
        has(
            &recipe,
            &[&format!(
                "annotated = {{ val = \"{file}\" }}\nsplits = {{ train = [\"train\"], val = [\"val\"] }}"
            )],
        );
        has(
            &recipe,
            &["id = \"n01443537\"\nlabel = \"n01443537\"\n\n", "# 3 train, 2 val", "policy = \"keep\""],
        );
        assert_eq!(built["balance"]["val"], serde_json::json!({ "n01443537": 2, "n01629819": 2 }), "{file}");
        has(&warnings, &["test: left out 2 images, whose classes nothing says"]);
        assert!(sandbox.path("tree/val/n01629819/val_1.png").is_file());
    }
    // A file that has other classes, too, as that of a whole dataset beside some of its classes.
    let whole: String = (0..300).map(|n| format!("val_{},n0{n:07}\n", n + 4)).collect();
    let (recipe, built, _) = published(&tiny(&[("val/whole.csv", &(whole + &annotations(",")))], &[]));
    has(&recipe, &["annotated = { val = \"val/whole.csv\" }"]);
    assert_eq!(built["images"], 10, "{built}");
    let sandbox = tiny(&[("val/val_annotations.txt", &annotations("\t"))], &[]);
    let ran = sandbox.isn(&["init", "My photos", "--licence", "x"]).ok();
    has(&ran.stdout, &["  val      val (classes from val/val_annotations.txt)\n"]);
    let recipe = String::from_utf8(sandbox.read("my-photos-recipe/recipe.toml")).unwrap();
    assert!(!recipe.contains("splits ="), "{recipe}");
}

#[test]
fn what_may_say_the_classes_of_a_split_and_is_not_understood() {
    let right = annotations("\t");
    let other = right.replace("n01443537", "goldfish");
    refused(&tiny(&[("val/val_annotations.txt", &other)], &[]), "the 4 images of val/ are in no such folder");
    let few = right.replace("val_2", "val_7").replace("val_3", "val_8");
    refused(&tiny(&[("val/val_annotations.txt", &few)], &[]), "(perhaps val/val_annotations.txt says it)");
    refused(
        &tiny(&[("val/val_annotations.txt", &right), ("val/a.txt", &right)], &[]),
        "has several files that say the classes of val/, val/a.txt and val/val_annotations.txt",
    );
    // Test images are left out only if nothing may say their classes.
    for more in ["test/labels.csv=x", "test.csv=x", "labels.csv=x"] {
        let sandbox = tiny(&[("val/val_annotations.txt", &right)], &["test/images/test_0.JPEG", more]);
        refused(&sandbox, "the 1 image of test/ are in no such folder");
    }
    let words = ["test/cat1.png", "test/cat2.png", "test/dog1.png", "test/dog2.png"];
    refused(
        &tiny(&[("val/val_annotations.txt", &right)], &words),
        "the 4 images of test/ are in no such folder",
    );
}

#[test]
fn whatever_a_list_says_the_recipe_is_one() {
    let labels = [
        "\"a \"\"quoted\"\" one\"",
        "back\\slash",
        "# no comment",
        "\u{202e}txt",
        "n/a",
        "..",
        ".",
        "Test/x",
        "test",
        "=1+1",
        "犬",
        "cafe\u{301}",
        "con",
        "line\u{2028}end",
    ];
    let rows: String = (0..28).map(|n| format!("{n},{}\n", labels[n % 14])).collect();
    let name = "a \"list\" #1.csv";
    let sandbox =
        of(&[("im ages\"/", 0..28)], &[(name, &format!("\"pa\"\"th\u{202e}\",\"la]bel name\"\n{rows}"))]);
    let (recipe, built, _) = published(&sandbox);
    assert_eq!((&built["images"], recipe.matches("[[class]]").count()), (&28.into(), 14), "{recipe}");
    assert!(!recipe.contains(['\u{202e}', '\u{2028}']), "{recipe}");
    refused(
        &of(&[("", 0..4)], &[("l.csv", "path,label\n0,\"a\nb\"\n1,c\n2,c\n3,c\n")]),
        "is not one line of text",
    );
    for (header, word, why) in [
        ("path,label,split", "train/", "\"train/\" is nothing that a recipe can have"),
        ("\"pa\nth\",label,split", "train", "the column \"pa\\nth\" has no name that a recipe can have"),
    ] {
        let rows: String = (0..4).map(|n| format!("{n},{},{word}\n", ["a", "b"][n % 2])).collect();
        let sandbox = of(&[("", 0..4)], &[("l.csv", &format!("{header}\n{rows}"))]);
        refused(&sandbox, why);
    }
    let sandbox = of(&[("", 0..4)], &[("l\u{7}.csv", "path,label\n0,a\n1,b\n2,a\n3,b\n")]);
    refused(&sandbox, "is nothing that a recipe can have: rename it");
}
