//! `isn init` of folders with files that may say other classes or splits than it would write: it refuses
//! them, or says what it did not read.

use crate::init::{has, init, published};
use crate::init_lists::{of, refused, rows};

/// Folders with their images, files with their text, and the error.
type Case<'a> = (Vec<(&'a str, std::ops::Range<usize>)>, Vec<(&'a str, String)>, &'a str);

#[track_caller]
fn all_refused(cases: Vec<Case<'_>>) {
    for (folders, files, why) in cases {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        refused(&of(&folders, &files), why);
    }
}

/// The rows of images whose folders are cat/ and dog/.
fn in_classes(header: &str, row: impl Fn(&str, usize) -> String) -> String {
    let rows = (0..8).map(|n| row(if n < 4 { "cat" } else { "dog" }, n) + "\n");
    format!("{header}\n{}", rows.collect::<String>())
}

fn test_of(n: usize) -> &'static str {
    if n % 4 == 3 { "test" } else { "train" }
}

#[test]
fn splits_in_a_list_beside_folders_of_classes() {
    let classes = || vec![("cat/", 0..4), ("dog/", 4..8)];
    let whole = in_classes("path,label,split", |class, n| format!("{class}/{n}.png,{class},{}", test_of(n)));
    let (recipe, built, _) = published(&of(&classes(), &[("l.csv", &whole)]));
    has(&recipe, &["kind = \"list\"", "split = \"split\""]);
    assert_eq!(built["balance"]["test"], serde_json::json!({ "cat": 1, "dog": 1 }), "{built}");
    let part: String = whole.lines().take(8).map(|line| format!("{line}\n")).collect();
    let bare = in_classes("filename,label,split", |class, n| format!("{n}.png,{class},{}", test_of(n)));
    let is_test = in_classes("path,label,is_test", |class, n| format!("{class}/{n}.png,{class},{}", n % 2));
    let unknown = in_classes("path,label,set", |class, n| format!("{class}/{n}.png,{class},{}", n % 2));
    all_refused(vec![
        (classes(), vec![("l.csv", part)], "its folders say the classes, and l.csv the splits of 7 of its 8"),
        (classes(), vec![("l.csv", bare)], "its folders say the classes, and l.csv the splits of 8 of its 8"),
        (classes(), vec![("l.csv", is_test)], "its column is_test may say the splits"),
        (classes(), vec![("l.csv", unknown)], "its column set says '0', which isn does not know"),
        (
            vec![("train/cat/", 0..2), ("train/dog/", 2..4), ("val/cat/", 4..6), ("val/dog/", 6..8)],
            vec![(
                "l.csv",
                in_classes("path,label,split", |_, n| {
                    let class = ["cat", "dog"][n / 2 % 2];
                    let split = if n < 4 { "train" } else { "val" };
                    format!("{split}/{class}/{n}.png,{class},{}", if n == 1 { "val" } else { split })
                }),
            )],
            "l.csv says that train/cat/1.png is val, and its folder is another split",
        ),
    ]);
}

#[test]
fn columns_of_splits_are_known_by_their_words() {
    for column in ["type", "mode", "stage", "split_name", "data", "group", "purpose", "ds"] {
        let list = rows(&format!("filename,label,{column}"), 0..8, |n, class| {
            format!("{n}.png,{class},{}", if n < 6 { "Training" } else { "testing" })
        });
        let (recipe, built, _) = published(&of(&[("images/", 0..8)], &[("l.csv", &list)]));
        has(&recipe, &[&format!("split = \"{column}\"")]);
        assert_eq!(built["balance"]["test"], serde_json::json!({ "cat": 1, "Hot-Dog": 1 }), "{column}");
    }
    let flat = || vec![("images/", 0..8)];
    let of_words = |header: &str, words: [&str; 3]| {
        rows(header, 0..8, |n, class| format!("{n}.png,{class},{}", words[n % 3]))
    };
    all_refused(vec![
        (
            flat(),
            vec![("l.csv", of_words("file,label,type", ["train", "test", "unlabeled"]))],
            "its column type may say the splits, which isn does not read",
        ),
        (
            flat(),
            vec![("l.csv", of_words("file,fruit,category", ["train", "val", "test"]))],
            "its column category has no labels but words for splits",
        ),
    ]);
}

#[test]
fn folders_that_are_batches() {
    for folders in [
        vec![("pics_part_1/", 0..8), ("pics_part_2/", 8..16)],
        vec![("images_001/images/", 0..8), ("images_002/images/", 8..16)],
        vec![("batch_1/", 0..8), ("batch_2/", 8..16)],
    ] {
        for (header, file) in [("image_id,dx", ""), ("filename,label", ".png"), ("file,a,b", ".png")] {
            let list = rows(header, 0..16, |n, class| format!("{n}{file},{class},{}", n % 3));
            let why = if header == "file,a,b" {
                "which of its columns a and b is the class?"
            } else {
                "its folders may say the classes, but l.csv gives images of"
            };
            refused(&of(&folders, &[("l.csv", &list)]), why);
        }
    }
    let batches = [("batch_1/", 0..8), ("batch_2/", 8..16)];
    let unread = rows("file;label", 0..16, |n, class| format!("{n}.png;{class}"));
    refused(&of(&batches, &[("l.csv", &unread)]), "the classes batch_1 and batch_2, and l.csv names images");
    let whole = rows("path,label,split", 0..16, |n, class| {
        format!("batch_{}/{n}.png,{class},{}", n / 8 + 1, test_of(n))
    });
    refused(&of(&batches, &[("l.csv", &whole)]), "or write a recipe of kind = \\\"list\\\"");
    // These are no batches.
    let list = rows("file,a,b", 0..16, |n, class| format!("{n}.png,{class},{}", n % 3));
    init(&of(&[("n01440764/", 0..8), ("n01443537/", 8..16)], &[("l.csv", &list)])).ok();
    // Classes, by the names of files.
    let list = in_classes("file,label", |class, n| format!("{n}.png,{class}"));
    let (recipe, ..) = published(&of(&[("cat/", 0..4), ("dog/", 4..8)], &[("l.csv", &list)]));
    has(&recipe, &["kind = \"imagefolder\"", "id = \"cat\"", "id = \"dog\""]);
}

#[test]
fn columns_that_may_be_meant() {
    let flat = || vec![("images/", 0..20)];
    let list = |header: &str, row: fn(usize, &str) -> String| vec![("l.csv", rows(header, 0..20, row))];
    // Of a row's number and a file, the file.
    let shuffled = rows("id,fname,label", 0..20, |n, _| {
        let image = n * 7 % 20;
        format!("{n},{image}.png,{}", ["cat", "dog"][image / 10])
    });
    let (recipe, ..) = published(&of(&flat(), &[("l.csv", &shuffled)]));
    has(&recipe, &["path = \"fname\", label = \"label\""]);
    all_refused(vec![
        (
            flat(),
            list("id,number,label", |n, class| format!("{n},{},{class}", n * 7 % 20)),
            "its columns id and number name different ones: call the right one path",
        ),
        (
            flat(),
            list("filename,x,y,w,h,animal", |n, class| format!("{n}.png,{n},{},32,32,{class}", n % 5)),
            "is its column animal the class? Call it label, if so",
        ),
        (
            flat(),
            list("filename,animal,tag", |n, class| format!("{n}.png,{class},{}", n % 3)),
            "which of its columns animal and tag is the class?",
        ),
        (
            flat(),
            list("filename,class,fine_name", |n, class| format!("{n}.png,{class},f{}", n % 3)),
            "its columns class and fine_name may each be the class",
        ),
        (
            flat(),
            list("filename,label,true_label", |n, class| format!("{n}.png,{class},{}", n % 3)),
            "its columns label and true_label may each be the class",
        ),
        // A folder that has as many images as the list has rows.
        (
            vec![("images/", 0..21), ("masks/", 0..20)],
            list("id,label", |n, class| format!("{n},{class}")),
            "those of images and masks all have such names: put the folder into its paths, or move",
        ),
        (
            vec![("train/", 0..21), ("train_masks/", 0..20)],
            list("id,label", |n, class| format!("{n},{class}")),
            "those of train and train_masks all have such names",
        ),
    ]);
    // What is not read is said.
    let list = rows("filename,label,sex", 0..20, |n, class| format!("{n}.png,{class},{}", n % 3));
    let sandbox = of(&flat(), &[("l.csv", &list)]);
    let ran = sandbox.isn(&["init", "My photos", "--licence", "x"]).ok();
    has(&ran.stdout, &["  columns  path = filename, label = label; not read: sex\n"]);
    let columns = &sandbox.isn(&["init", "My photos", "--out", "r", "--json"]).ok().json()["columns"];
    let expected = serde_json::json!({ "path": "filename", "label": "label", "not_read": ["sex"] });
    assert_eq!(*columns, expected);
}

#[test]
fn a_list_for_each_split() {
    let two = || vec![("train/", 0..8), ("val/", 8..12)];
    let tested = || vec![("train/", 0..8), ("test/", 8..12)];
    let list = |all, folder: &'static str| {
        rows("path,label", all, move |n, class| format!("{folder}{n}.png,{class}"))
    };
    let whole = "put the rows into one file, with a column split";
    all_refused(vec![
        (two(), vec![("train.csv", list(0..8, "train/")), ("val.csv", list(8..12, "val/"))], whole),
        (two(), vec![("train.csv", list(0..8, "")), ("val.csv", list(8..12, ""))], whole),
        (two(), vec![("train/labels.csv", list(0..8, "")), ("val/labels.csv", list(8..12, ""))], whole),
        (tested(), vec![("train.csv", list(0..8, "")), ("test.csv", list(8..12, ""))], whole),
        (tested(), vec![("a.csv", list(0..8, "")), ("b.csv", list(8..12, ""))], whole),
        (two(), vec![("train.csv", list(0..8, ""))], "names no image of val/, which is val by its name"),
        // The guesses of a model are no labels.
        (vec![("images/", 0..8)], vec![("preds.csv", list(0..8, ""))], "it has the guesses of a model"),
        (
            tested(),
            vec![
                ("train.csv", rows("id,a,b", 0..8, |n, class| format!("{n},{class},{n}"))),
                ("sample_submission.csv", rows("id,label", 8..12, |n, _| format!("{n},cat"))),
            ],
            "train.csv names images, but which of its columns a and b is the class?",
        ),
        // A list settles what it is about.
        (
            vec![("train/cat/", 0..4), ("train/dog/", 4..8), ("val/", 8..12)],
            vec![(
                "train.csv",
                in_classes("path,label", |class, n| format!("train/{class}/{n}.png,{class}")),
            )],
            "train.csv does not settle it: it names no image of val",
        ),
    ]);
    // Kaggle's: a list of test images without labels, and an example of a submission.
    let ids = rows("id", 8..12, |n, _| n.to_string());
    let example = rows("id,label", 8..12, |n, _| format!("{n},cat"));
    let files = [("train.csv", &*list(0..8, "")), ("test.csv", &ids), ("sample_submission.csv", &example)];
    let (recipe, built, _) = published(&of(&tested(), &files));
    has(&recipe, &["list = \"train.csv\""]);
    assert_eq!(built["images"], 8, "{built}");
}

#[test]
fn classes_of_images_that_are_not_there() {
    let list = rows("file,label", 0..150, |n, class| match n {
        100.. => format!("{n}.jpg,bird"),
        _ => format!("{n}.png,{class}"),
    });
    let ran = init(&of(&[("images/", 0..150)], &[("l.csv", &list)])).fails(1, "l.csv line 102");
    has(&ran.stderr, &["there is no file images/100.jpg"]);
}

#[test]
fn annotations_whose_second_field_may_not_be_the_class() {
    let folders = || vec![("train/1/", 0..4), ("train/2/", 4..8), ("train/3/", 8..12), ("val/", 20..32)];
    let list = |header: &str, row: fn(usize) -> String| {
        let rows: String = (20..32).map(|n| row(n) + "\n").collect();
        vec![("val.csv", format!("{header}\n{rows}"))]
    };
    let (second, guesses) = ("the class of an image is the second field", "has the guesses of a model");
    all_refused(vec![
        (folders(), list("image,fold,label", |n| format!("{n}.png,{},{}", n % 3 + 1, n / 4 - 4)), second),
        (folders(), list("file,what,kind", |n| format!("{n}.png,{},{}", n % 3 + 1, n / 4 - 4)), second),
        (folders(), list("file,fold,label", |n| format!("{n}.png,{},x", n % 3 + 1)), second),
        (folders(), list("file,prediction", |n| format!("{n}.png,{}", n % 3 + 1)), guesses),
        (
            folders(),
            list("row,image,label", |n| format!("{},{n}.png,{}", n - 20, n % 3 + 1)),
            "val/ are in no such folder",
        ),
        // A header decides.
        (folders(), list("label,id", |n| format!("{},{n}", n % 3 + 1)), "(perhaps val.csv says it)"),
        (folders(), list("what,image", |n| format!("{},{n}", n % 3 + 1)), "val/ are in no such folder"),
        (
            folders(),
            list("id,difficulty,truth", |n| format!("{n},{},x{}", n % 3 + 1, n / 4)),
            "its header calls that difficulty: call it label, if it is the class",
        ),
        // Labels from 0 and folders from 1.
        (folders(), list("file,label", |n| format!("{n}.png,{}", n % 3)), "val/ are in no such folder"),
    ]);
    // Without one, rows that may be read both ways, and labels from 0 in a later field.
    let train = || vec![("train/1/", 0..4), ("train/2/", 4..8), ("train/3/", 8..12), ("val/", 1..4)];
    let both = "1,2\n2,3\n3,1\n".to_owned();
    let later: String = (20..32).map(|n| format!("{n}.png,{},{}\n", n % 2 + 1, n % 4)).collect();
    all_refused(vec![
        (train(), vec![("val.txt", both.clone())], "the rows may be read the other way as well"),
        (train(), vec![("val.csv", format!("label,id\n{both}"))], "its header says label,id: exchange them"),
        (folders(), vec![("val.txt", later)], "the field 3 may be it as well"),
    ]);
    let (_, _, warnings) = published(&of(&train(), &[("val.csv", &format!("id,label\n{both}"))]));
    assert!(!warnings.contains("val.csv"), "{warnings}");
    let label = "image,label\n";
    let rows: String = (20..32).map(|n| format!("{n}.png,{},0,0,9\n", n % 3 + 1)).collect();
    let (recipe, ..) = published(&of(&folders(), &[("val.csv", &format!("{label}{rows}"))]));
    has(&recipe, &["annotated = { val = \"val.csv\" }"]);
}

#[test]
fn a_label_is_no_path() {
    let labels = ["T-shirt/top", "Trouser", "N/A", "w/ glasses", "."];
    let list = rows("file,label", 0..20, |n, _| format!("{n}.png,{}", labels[n % 5]));
    let (recipe, ..) = published(&of(&[("", 0..20)], &[("l.csv", &list)]));
    has(&recipe, &["id = \"T-shirt-top\"\nlabel = \"T-shirt/top\"\nfolder", "id = \"N-A\"\nlabel = \"N/A\""]);
    assert!(!recipe.contains("group"), "{recipe}");
    assert!(!recipe.contains("id = \"all\""), "{recipe}");
}

#[test]
fn one_class_only_if_nothing_may_say_several() {
    let text = |line: fn(usize) -> String| (0..8).map(|n| line(n) + "\n").collect::<String>();
    for (name, text) in [
        ("train.txt", text(|n| format!("{n}.png {}", n % 2))),
        ("list.txt", text(|n| format!("pics/{n}.png {}", n % 2))),
        ("metadata.jsonl", text(|n| format!("{{\"file_name\": \"{n}.png\", \"label\": {}}}", n % 2))),
        ("meta/labels.json", format!("{{{}}}", text(|n| format!("\"{n}.png\": {},", n % 2)))),
    ] {
        refused(
            &of(&[("pics/", 0..8)], &[(name, &text)]),
            &format!("{name} names images and may say their classes, but isn does not read such a file"),
        );
    }
    for file in ["labels.xlsx", "labels.npy", "x.mat", "data.parquet", "labels.csv.gz"] {
        let (_, _, warnings) = published(&of(&[("pics/", 0..8)], &[(file, "x")]));
        has(&warnings, &[&format!("{file} may say the classes, which isn does not read")]);
    }
    let (_, _, warnings) = published(&of(&[("pics/", 0..8)], &[("0.txt", "a"), ("1.txt", "b")]));
    has(&warnings, &["1.txt may say the classes"]);
    let ran = init(&of(&[("pics/", 0..8)], &[("words.txt", "cat\ndog\n")])).ok();
    assert!(!ran.stderr.contains("words.txt"), "{}", ran.stderr);
}

#[test]
fn a_list_that_names_no_image_says_what_it_has() {
    for (text, why) in [
        (
            "file;label\n0.png;cat\n1.png;dog\n",
            "the 1 field of line 2: '0.png;cat'; none is the path of an image",
        ),
        (
            "file,label\n../pics/0.png,cat\n../pics/1.png,dog\n",
            "the 2 fields of line 2: '../pics/0.png', 'cat'; none",
        ),
        ("file,label\n0.PNG,cat\n1.PNG,dog\n", "such as pics/0.png"),
    ] {
        refused(&of(&[("pics/", 0..8)], &[("l.csv", text)]), why);
        refused(&of(&[("", 0..8)], &[("l.csv", text)]), &why.replace("such as pics/", "such as "));
    }
}

#[test]
fn splits_and_labels_of_other_things_than_images() {
    let classes = || vec![("cat/", 0..4), ("dog/", 4..8)];
    let patients = |n: usize| format!("P{n:03}");
    let by_patient = rows("patient,split", 0..8, |n, _| format!("{},{}", patients(n), test_of(n)));
    let list = rows("path,label", 0..8, |n, class| format!("{n}.png,{class}"));
    let split = "splits.csv says splits in its column split, but not of images by their names. ";
    let of_patients: Vec<String> = (0..6).map(|n| format!("{}/", patients(n))).collect();
    let folders =
        || of_patients.iter().enumerate().map(|(n, name)| (name.as_str(), 2 * n..2 * n + 2)).collect();
    let diagnoses =
        rows("patient,diagnosis", 0..6, |n, _| format!("{},{}", patients(n), ["ill", "well"][n % 2]));
    all_refused(vec![
        (classes(), vec![("splits.csv", by_patient.clone())], &format!("{split}Make a list of the images")),
        (
            vec![("", 0..8)],
            vec![("l.csv", list), ("splits.csv", by_patient)],
            &format!("{split}Give l.csv a column split"),
        ),
        (
            folders(),
            vec![("clinical.csv", diagnoses)],
            "clinical.csv has a diagnosis for each of the folders that would be the classes, in its column patient",
        ),
    ]);
    // Patients below folders of sites, and a table of more patients than there are folders.
    let nested: Vec<String> = (0..6).map(|n| format!("site{}/{}/", n % 2, patients(n))).collect();
    let more =
        rows("patient,diagnosis", 0..20, |n, _| format!("scans/{},{}", patients(n), ["ill", "well"][n % 2]));
    let below = nested.iter().enumerate().map(|(n, name)| (name.as_str(), 2 * n..2 * n + 2)).collect();
    // A list of all images, with one label for several folders.
    let whole = rows("path,label", 0..12, |n, _| {
        format!("{}/{n}.png,{}", patients(n / 2), ["ill", "well"][n / 2 % 2])
    });
    all_refused(vec![
        (below, vec![("more.csv", more)], "more.csv has a diagnosis for each of the folders"),
        (
            folders(),
            vec![("labels.csv", whole)],
            "labels.csv gives images of P000, P002 and P004 one label, ill",
        ),
    ]);
    // Names of classes, and scores by split, are neither.
    let names = "folder,name\ncat,Felis catus\ndog,Canis familiaris\n";
    let scores = "split,accuracy\ntrain,0.99\nval,0.9\ntest,0.8\n";
    let ran = init(&of(&classes(), &[("classes.csv", names), ("scores.csv", scores)])).ok();
    assert!(!ran.stderr.contains("classes.csv") && !ran.stderr.contains("scores.csv"), "{}", ran.stderr);
    for (file, text) in [
        ("splits.json", "{\"test\": [\"P001\"]}"),
        ("test_patients.txt", "P001\n"),
        ("split.py", "test = 3\n"),
    ] {
        let ran = init(&of(&classes(), &[(file, text)])).ok();
        has(&ran.stderr, &[&format!("{file} may say which images are val or test, which isn does not read")]);
    }
}

#[test]
fn columns_that_may_be_no_label() {
    for column in ["patient_id", "fold", "sex", "scanner", "site", "what"] {
        let list = rows(&format!("path,{column}"), 0..8, |n, class| format!("{n}.png,{class}"));
        let why = format!("nothing but its column {column} may be the class: call that label, if it is");
        refused(&of(&[("", 0..8)], &[("l.csv", &list)]), &why);
    }
    for column in ["label_corrected", "consensus"] {
        let list = rows(&format!("path,label,{column}"), 0..8, |n, class| {
            format!("{n}.png,{class},{}", if n == 3 { "dog" } else { class })
        });
        let why = format!("its columns label and {column} may each be the class");
        refused(&of(&[("", 0..8)], &[("l.csv", &list)]), &why);
    }
    let checked =
        rows("path,label,verified", 0..8, |n, class| format!("{n}.png,{class},{}", ["yes", "no"][n / 4]));
    init(&of(&[("", 0..8)], &[("l.csv", &checked)])).ok();
    let half = rows("path,label,split", 0..8, |n, class| {
        format!("{n}.png,{class},{}", if n < 4 { "" } else { "test" })
    });
    refused(&of(&[("", 0..8)], &[("l.csv", &half)]), "its column split is empty in 4 of 8 rows");
    let list = rows("path,label", 0..8, |n, class| format!("{n}.png,{class}"));
    refused(&of(&[("", 0..8)], &[("labels.txt", &list)]), "names end with .csv or .tsv: rename it");
    let sandbox = of(&[("", 0..8)], &[("l.csv", &list)]);
    let ran = sandbox.isn(&["init", "My photos/l.csv"]);
    ran.fails(1, "is a list: name the folder that has it and the pictures");
}
