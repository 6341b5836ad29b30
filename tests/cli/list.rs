//! Sources whose classes are in a file: a list of images, and splits that are annotated.

use crate::folders::{draw, recipe};
use crate::sandbox::{Ran, Sandbox, contents};

/// A recipe `recipe.toml` of the list `labels.csv`, with more of `[source]` and of the whole.
fn listed(sandbox: &Sandbox, source: &str, more: &str) {
    recipe(sandbox, "recipe.toml", &format!("list = \"labels.csv\"\n{source}"), more);
    let text = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("recipe.toml", text.replace("\"imagefolder\"", "\"list\"").as_bytes());
}

const CLASSES: &str = "[[class]]\nid = \"cat\"\nlabel = \"cat\"\n[[class]]\nid = \"dog\"\nlabel = \"dog\"\n\
                       folder = [\"Hot Dog\", \"chien\"]\n";
const BUILD: [&str; 7] = ["build", "recipe.toml", "--source", "raw", "--out", "out", "--json"];
const CHECK: [&str; 5] = ["source", "check", "raw", "--recipe", "recipe.toml"];

/// Builds anew.
fn build(sandbox: &Sandbox) -> Ran {
    let _ = std::fs::remove_dir_all(sandbox.path("out"));
    sandbox.isn(&BUILD)
}

/// Draws images below `raw/`.
fn drawn(paths: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    paths.iter().enumerate().for_each(|(at, path)| draw(&sandbox, &format!("raw/{path}"), (20 * at) as u8));
    sandbox
}

/// The source ids of the build `out`, each with its path in the tree.
fn ids(sandbox: &Sandbox) -> Vec<(String, String)> {
    let json = sandbox.isn(&["images", "./out", "--json"]).ok().json();
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    let row = |row| (text(row, "source_id"), text(row, "path"));
    let mut ids: Vec<_> = json["images"].as_array().unwrap().iter().map(row).collect();
    ids.sort();
    ids
}

#[track_caller]
fn has_ids(sandbox: &Sandbox, expected: &[(&str, &str)]) {
    let found = ids(sandbox);
    let found: Vec<(&str, &str)> = found.iter().map(|(id, path)| (id.as_str(), path.as_str())).collect();
    assert_eq!(found, expected);
}

/// As spreadsheets and people write lists: a byte order mark, the line ends of Windows, blanks, quotes, an
/// empty line, `./`, backslashes, composed and decomposed characters, names without an extension.
const LIST: &str = "\u{feff}name,fold,species,\"a note, or two\"\r\n./a/1.png,learn,cat,\r\n\r\n\
                    a\\2.png,learn,\"Hot Dog\",\"x\r\ny\"\r\n a/3.png , held out , chien ,\r\n\
                    cafe\u{301}/e\u{301}.png,held out,cat,\r\nb.v2,final,cat,\r\n";
const SOURCE: &str = "columns = { path = \"name\", label = \"species\", split = \"fold\" }\nimages = \"pics\"\n\
                      names = \"hash\"\n\
                      splits = { train = [\"learn\"], val = [\"held out\"], test = [\"final\"] }";
const PATHS: [&str; 5] = ["pics/a/1.png", "pics/a/2.png", "pics/a/3.png", "pics/café/é.png", "pics/b.v2.PNG"];

#[test]
fn a_list_gives_classes_and_splits() {
    let sandbox = drawn(&PATHS);
    listed(&sandbox, SOURCE, CLASSES);
    sandbox.write("raw/labels.csv", LIST.as_bytes());
    let built = build(&sandbox).ok();
    assert!(!built.stderr.contains("left out"), "{}", built.stderr);
    let found = ids(&sandbox);
    let found: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(found, ["test/b.v2", "train/a/1", "train/a/2", "val/a/3", "val/café/é"]);
    let origins = sandbox.isn(&["images", "./out", "--origin", "val"]).ok().stdout;
    assert_eq!((origins.lines().count(), origins.contains("val/dog/3-")), (2, true), "{origins}");
    assert!(sandbox.isn(&CHECK).ok().stdout.contains("ok: complete"));

    // Every verb names the images alike.
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    let from = ["--registry", "reg", "--source", "raw"];
    sandbox.isn(&[&["verify-source", "grads@1.0"][..], &from].concat()).ok();
    sandbox.isn(&[&["pull", "grads@1.0", "--to", "rebuilt"][..], &from].concat()).ok();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "pulled"]).ok();
    let files = |tree: &str| {
        let all = contents(&sandbox.path(tree)).into_iter();
        all.filter(|(name, _)| !name.ends_with("ISN.json")).collect::<Vec<_>>()
    };
    assert_eq!(files("rebuilt"), files("pulled"));
    let add = |id: &str| {
        let rest = ["remove", "--reason", "broken", "--reviewer", "me"];
        sandbox.isn(&[&["ledger", "add", "ledger.csv", id][..], &rest].concat()).ok();
    };
    add("val/a/3");
    let text = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("recipe.toml", format!("{text}[corrections]\nfile = \"ledger.csv\"\n").as_bytes());
    let ledger = ["ledger", "check", "recipe.toml", "--source", "raw"];
    sandbox.isn(&ledger).ok();
    assert_eq!(build(&sandbox).ok().json()["removed"], serde_json::json!(["val/a/3"]));
    add("pics/a/3");
    sandbox.isn(&ledger).fails(8, "an id is the path in the list without the extension, after the split");
    sandbox.write("raw/pics/b.v2.PNG", &sandbox.read("raw/pics/a/1.png"));
    let audit = ["audit", "duplicates", "raw", "--recipe", "recipe.toml", "--groups", "groups.csv"];
    sandbox.isn(&audit);
    let groups = String::from_utf8(sandbox.read("groups.csv")).unwrap();
    assert!(groups.contains("test/b.v2,") && groups.contains("train/a/1,"), "{groups}");
    let found = sandbox.isn(&[&audit[..], &["--json"]].concat()).json();
    let (path, id) = ("pics/b.v2.PNG", "test/b.v2");
    assert_eq!((&found["exact"][0][1], &found["source_ids"][path]), (&path.into(), &id.into()));
}

#[test]
fn the_first_folder_of_a_path_is_its_split_if_no_column_is() {
    let sandbox = drawn(&["test/1.png", "train/1.png", "x/1.png", "x/test/2.png"]);
    sandbox.write("raw/labels.csv", b"path,label\ntest/1,cat\ntrain/1,cat\nx/1,chien\nx/test/2,chien\n");
    listed(&sandbox, "", CLASSES);
    build(&sandbox).ok();
    let test = ("test/1", "test/cat/1.png");
    let others =
        [("train/1", "train/cat/1.png"), ("x/1", "train/dog/1.png"), ("x/test/2", "train/dog/2.png")];
    has_ids(&sandbox, &[&[test][..], &others].concat());
    let origins = sandbox.isn(&["images", "./out", "--origin", "test"]).ok().stdout;
    assert_eq!(origins, "test/cat/1.png\n");
    // With folders of other names, what is in none of them is left out.
    listed(&sandbox, "splits = { train = [\"train\", \"x/test\"], test = [\"test\"] }", CLASSES);
    let ran = build(&sandbox).ok();
    assert!(
        ran.stderr.contains("labels.csv: left out 1 image: it is in no folder of a split (1)"),
        "{}",
        ran.stderr
    );
    has_ids(&sandbox, &[test, others[0], ("train/2", "train/dog/2.png")]);
    // A column of splits that the recipe does not name is one by its name.
    sandbox.write("raw/labels.csv", b"path,label,split\ntest/1,cat,val\nx/1,chien,train\n");
    listed(&sandbox, "", CLASSES);
    build(&sandbox).ok();
    has_ids(&sandbox, &[("train/x/1", "train/dog/1.png"), ("val/test/1", "val/cat/1.png")]);
}

#[test]
fn mistakes_of_a_list_name_its_line() {
    let paths = ["a.png", "b.png", "c.png", "dir/d.png", "two.png", "two.jpg", "Up.PNG", ".hid.png"];
    let sandbox = drawn(&paths);
    sandbox.write("raw/e.webp", b"RIFF\0\0\0\0WEBPVP8 ");
    sandbox.write("out.png", &sandbox.read("raw/a.png"));
    listed(&sandbox, "", CLASSES);
    let good = "path,label\na.png,cat\nb.png,chien\n";
    for (more, why) in [
        ("../out.png,cat\n", "line 4: the path \"../out.png\" has .. in it"),
        ("dir/../../out.png,cat\n", "line 4: the path \"dir/../../out.png\" has .. in it"),
        ("..\\out.png,cat\n", "has .. in it"),
        ("/etc/x.png,cat\n", "line 4: the path \"/etc/x.png\" is an absolute path"),
        ("C:\\x.png,cat\n", "is an absolute path"),
        (",cat\n", "line 4: the path \"\" is the path of no image"),
        ("\n\n../none.png,cat\n", "line 6: the path \"../none.png\" has .. in it"),
        ("\n  \n , \nc.jpg,cat\n", "line 7: there is no file c.jpg, but c.png"),
        ("DIR/d.png,cat\n", "line 4: there is no folder DIR, but dir"),
        ("up.png,cat\n", "line 4: there is no file up.png, but Up.PNG"),
        ("Up.png,cat\n", "line 4: there is no file Up.png, but Up.PNG"),
        ("c.jpg,cat\n", "line 4: there is no file c.jpg, but c.png"),
        ("dir,cat\n", "line 4: dir is a folder"),
        ("e.webp,cat\n", "line 4: e.webp is not a JPEG or PNG by name: it is a WebP image"),
        ("labels.csv,cat\n", "line 4: labels.csv is not a JPEG or PNG by name"),
        (".hid.png,cat\n", "line 4: .hid.png has a name that starts with a dot"),
        ("two,cat\n", "line 4: two may be two.jpg or two.png: rename one"),
        ("two.png,cat\ntwo.jpg,cat\n", "two.jpg and two.png have one source id, two: rename one"),
        ("b.png,cat\n", "line 4: gives b.png the label 'cat', and line 3 gives it the label 'chien'"),
        // Also a label that no class has: the image is not only that of the class.
        ("./a,horse\n", "line 4: gives a.png the label 'horse', and line 2 gives it the label 'cat'"),
        ("c.png\n", "line 4: has 1 of 2 fields"),
        ("c.png,cat,dog\n", "line 4: has 3 of 2 fields (a text with a comma goes in \"quotes\")"),
        ("c.png,\"cat\n", "line 4: a quote is never closed"),
        (
            "c.png,\"cat\nd.png,dog\",\n",
            "line 4: the field \"cat\\nd.png,dog\" has a line break and the text of another row",
        ),
        ("c.png,\"cat\n\nd.png,cat\n", "line 4: the field \"cat\\n\\nd.png,cat\" has a line break"),
        (&format!("c.png,{}\n", "x".repeat(2000)), "xx…\" has 2000 bytes, and at most 1024 are read"),
        (&format!("{},cat\n", "x".repeat(2000)), "xx…\" has 2000 bytes, and at most 1024 are read"),
        ("c.png,\u{1b}[31m\n", "the label \"\\u{1b}[31m\" has a line break or another control character"),
        ("\"c\npng\",cat\n", "has a line break or another control character"),
    ] {
        sandbox.write("raw/labels.csv", format!("{good}{more}").as_bytes());
        let ran = build(&sandbox).fails(1, "source raw has");
        assert!(ran.stderr.contains(why), "{why}:\n{}", ran.stderr);
        sandbox.isn(&CHECK).fails(8, why);
    }
    for (text, why) in [
        ("", "labels.csv is empty: its first line must name its columns"),
        ("file;label\n", "labels.csv has no column path, but file;label: name its columns in the recipe"),
        ("path,path,label\n", "labels.csv has several columns path"),
        (
            "path,label\na.png,cat\n",
            "labels.csv has no row with the label 'Hot Dog', nor 'chien' (class dog)",
        ),
    ] {
        sandbox.write("raw/labels.csv", text.as_bytes());
        build(&sandbox).fails(1, why);
    }
    sandbox.write("raw/labels.csv", b"path,label\na.png,cat\nb.png,caf\xe9\n");
    build(&sandbox).fails(1, "labels.csv: line 3 is not UTF-8: save it as UTF-8");
    sandbox.write("raw/labels.csv", b"path,label,split\na.png,cat,train\na.png,cat,test\nb.png,chien,val\n");
    let why = "gives a.png the label 'cat' and the split 'test', and line 2 gives it the label 'cat' and the";
    build(&sandbox).fails(1, why);
    std::fs::remove_file(sandbox.path("raw/labels.csv")).unwrap();
    build(&sandbox).fails(1, "labels.csv");
    // Of many, the first are told.
    let many: String = (0..100).map(|n| format!("../none{n}.png,cat\n")).collect();
    sandbox.write("raw/labels.csv", format!("{good}{many}").as_bytes());
    let ran = build(&sandbox).fails(1, "labels.csv: 80 more rows have mistakes like these");
    assert!(!ran.stderr.contains("none20.png"), "{}", ran.stderr);
    listed(&sandbox, "", CLASSES);
    let text = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("up.toml", text.replace("\"labels.csv\"", "\"../labels.csv\"").as_bytes());
    let up = ["build", "up.toml", "--source", "raw", "--out", "out"];
    sandbox.isn(&up).fails(1, "must be the path of a file in the source, such as \"labels.csv\"");
}

#[test]
fn a_list_with_more_images_than_there_are_is_not_whole() {
    let sandbox = drawn(&["a.png", "b.png", "train/1.png", "dir/Two.png"]);
    listed(&sandbox, "", CLASSES);
    let rows = "path,label\na.png,cat\nb.png,chien\nnone.png,cat\nno/x.png,cat\nno/x.png,cat\ntest/1,chien\n";
    sandbox.write("raw/labels.csv", format!("{rows}no.png,horse\n").as_bytes());
    let lines = [
        "labels.csv line 4: there is no file none.png",
        "labels.csv line 5: there is no folder no",
        "labels.csv line 7: there is no folder test",
    ];
    let ran = build(&sandbox).fails(8, "raw is not the complete source");
    let (cat, dog) = (
        "train/cat: 1 images, and the whole source has 3; no/x and 1 others are missing",
        "test/dog: 0 images, and the whole source has 1; test/1 is missing",
    );
    let findings = ran.json()["findings"].clone();
    let findings: Vec<&str> =
        findings.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(
        findings,
        [cat, dog, lines[0], lines[1], "labels.csv line 6: there is no folder no", lines[2]]
    );
    let check = sandbox.isn(&CHECK).fails(8, "");
    for line in ["train  2 images of 2 classes, 2 missing", "cat  1 of 3, 2 missing, 0 extra: no/x, none"] {
        assert!(check.stdout.contains(line), "{line}:\n{}", check.stdout);
    }
    lines.iter().for_each(|line| assert!(check.stdout.contains(line), "{line}:\n{}", check.stdout));
    let json = sandbox.isn(&[&CHECK[..], &["--json"]].concat()).json();
    let cat = |key: &str| json["counts"][0][key].clone();
    assert_eq!((cat("found"), cat("missing"), cat("extra")), (1.into(), 2.into(), 0.into()));
    assert_eq!(cat("missing_ids"), serde_json::json!(["no/x", "none"]));
    // A row that names a file wrongly is a mistake.
    sandbox.write("raw/labels.csv", format!("{rows}dir/two.png,cat\n").as_bytes());
    build(&sandbox).fails(1, "line 8: there is no file dir/two.png, but dir/Two.png");
    // What is there can be tried.
    sandbox.write("raw/labels.csv", rows.as_bytes());
    let ran = sandbox.isn(&[&BUILD[..], &["--partial"]].concat()).ok();
    assert!(ran.json()["version"].is_null() && ran.stderr.contains(lines[0]), "{}", ran.stderr);
    has_ids(&sandbox, &[("a", "train/cat/a.png"), ("b", "train/dog/b.png")]);
    // For a shorter list, the same images are another build.
    sandbox.write("raw/labels.csv", b"path,label\na.png,cat\nb.png,chien\n");
    sandbox.isn(&BUILD).fails(1, "is not the output of this recipe over this source");
    assert_eq!(build(&sandbox).ok().json()["version"], "1.0");
    sandbox.write("raw/labels.csv", rows.as_bytes());
    // With `expect`, what the list has counts, too.
    let expect = CLASSES.replacen("label = \"cat\"\n", "label = \"cat\"\nexpect = { train = 1 }\n", 1);
    listed(&sandbox, "", &expect);
    build(&sandbox).fails(8, "train/cat: 1 images, and the whole source has 3");
    // Of many, the first are told.
    let many: String = (0..100).map(|n| format!("none{n}.png,cat\n")).collect();
    sandbox.write("raw/labels.csv", format!("path,label\na.png,cat\nb.png,chien\n{many}").as_bytes());
    let ran = build(&sandbox).fails(8, "labels.csv: 80 more rows without an image");
    assert!(!ran.stderr.contains("none20.png"), "{}", ran.stderr);
}

#[test]
fn folders_and_words_of_splits_are_checked() {
    let paths = ["data/1.png", "data/2.png", "data/test/3.png", "data/test/4.png"];
    let sandbox = drawn(&paths);
    let list: String =
        paths.iter().zip(0..).map(|(path, n)| format!("{path},{}\n", ["cat", "chien"][n % 2])).collect();
    sandbox.write("raw/labels.csv", format!("path,label\n{list}").as_bytes());
    for (splits, why) in [
        (
            "{ train = [\"data\"], test = [\"data/test\"] }",
            "the folder 'data/test' of test is in 'data' of train",
        ),
        (
            "{ train = [\"data/test\"], test = [\"data\"] }",
            "the folder 'data/test' of train is in 'data' of test",
        ),
        (
            "{ train = [\"data\"], test = [\"data/1\", \"x\"] }",
            "the folder 'data/1' of test is in 'data' of train",
        ),
    ] {
        listed(&sandbox, &format!("splits = {splits}"), CLASSES);
        let ran = build(&sandbox).fails(1, why);
        assert!(ran.stderr.contains("labels.csv has no column of splits"), "{}", ran.stderr);
    }
    listed(&sandbox, "splits = { train = [\"data\"], test = [\"DATA/test\", \"x\"] }", CLASSES);
    let ran = build(&sandbox).ok();
    for folder in ["DATA/test", "x"] {
        let told = format!(
            "warning: labels.csv has no row with an image in the folder '{folder}', which the recipe names as test\n"
        );
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    }
    // Words may be anything.
    let list: String = list.lines().map(|line| format!("{line},data\n")).collect();
    sandbox.write("raw/labels.csv", format!("path,label,split\n{list}").as_bytes());
    listed(&sandbox, "splits = { train = [\"data\"], val = [\"dev\"], test = [\"data/test\"] }", CLASSES);
    let ran = build(&sandbox).ok();
    for (word, split) in [("dev", "val"), ("data/test", "test")] {
        let told =
            format!("labels.csv has no row with the split '{word}', which the recipe names as {split}\n");
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    }
}

#[test]
fn splits_in_other_words_are_told() {
    let paths = ["1.png", "2.png", "3.png", "4.png"];
    for (column, words, told) in [
        (
            "is_test",
            ["0", "0", "1", "1"],
            Some("2 images of train with 1 in the column is_test, which is not read"),
        ),
        ("is_train", ["1", "1", "1", "0"], Some("1 image of train with 0 in the column is_train")),
        (
            "set",
            ["training", "training", "testing", "testing"],
            Some("2 images of train with testing in the column set"),
        ),
        (
            "SPLIT",
            ["tr", "tr", "te", "te"],
            Some("columns = { split = \"SPLIT\" }, and its words in splits = { test = [\"te\"]"),
        ),
        (
            "Subset",
            ["train", "valid", "train", "train"],
            Some("1 image of train with valid in the column Subset"),
        ),
        ("state", ["valid", "dev", "valid", "testing"], None),
    ] {
        let sandbox = drawn(&paths);
        let row = |n: usize| format!("{},{},{}\n", paths[n], ["cat", "chien"][n % 2], words[n]);
        let list: String = (0..4).map(row).collect();
        sandbox.write("raw/labels.csv", format!("path,label,{column}\n{list}").as_bytes());
        listed(&sandbox, "", CLASSES);
        let ran = build(&sandbox).ok();
        assert!(told.is_none_or(|told| ran.stderr.contains(told)), "{}", ran.stderr);
        assert_eq!(ran.stderr.contains("of train with"), told.is_some(), "{}", ran.stderr);
    }
    for (folders, told) in [
        (["training", "testing"], Some("2 images of train in the folder testing: if it is a split")),
        (["a", "a/valid"], Some("2 images of train in the folder a/valid: if it is a split")),
        // A class.
        (["chien", "valid"], None),
    ] {
        let paths: Vec<String> = (0..4).map(|n| format!("{}/{n}.png", folders[n / 2])).collect();
        let sandbox = drawn(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        let label = |n: usize| if told.is_some() { ["cat", "chien"][n % 2] } else { folders[n / 2] };
        let list: String = paths.iter().zip(0..).map(|(path, n)| format!("{path},{}\n", label(n))).collect();
        sandbox.write("raw/labels.csv", format!("path,label\n{list}").as_bytes());
        let classes =
            CLASSES.replace("label = \"cat\"\n", "label = \"cat\"\nfolder = [\"cat\", \"valid\"]\n");
        listed(&sandbox, "", if told.is_some() { CLASSES } else { &classes });
        let ran = build(&sandbox).ok();
        assert!(told.is_none_or(|told| ran.stderr.contains(told)), "{}", ran.stderr);
        assert_eq!(ran.stderr.contains("of train in the folder"), told.is_some(), "{}", ran.stderr);
    }
}

#[test]
fn what_looks_like_a_split_in_a_list_is_told() {
    let paths = ["Train/1.png", "Test/2.png", "Test/3.png", "images/test/4.png", "test/5.png", "tests/6.png"];
    let sandbox = drawn(&paths);
    let rows: String =
        paths.iter().zip(0..).map(|(path, n)| format!("{path},{}\n", ["cat", "chien"][n % 2])).collect();
    sandbox.write("raw/labels.csv", format!("path,label\n{rows}").as_bytes());
    listed(&sandbox, "", CLASSES);
    let told = |more: &[&str]| {
        let ran = build(&sandbox).ok();
        for line in more {
            assert!(ran.stderr.contains(line), "{line}:\n{}", ran.stderr);
        }
        let told = ["of train in the folder", "of train with"].map(|what| ran.stderr.matches(what).count());
        assert_eq!(told[0] + told[1], more.len(), "{}", ran.stderr);
    };
    let (test, deeper) = (
        "labels.csv: 2 images of train in the folder Test: if it is a split, name the folders of all splits in \
         the recipe, [source] splits = { test = [\"Test\"], … }",
        "labels.csv: 1 image of train in the folder images/test: if it is a split",
    );
    told(&[test, deeper]);
    // The recipe says it.
    listed(
        &sandbox,
        "splits = { train = [\"Train\", \"tests\"], test = [\"Test\", \"test\", \"images/test\"] }",
        CLASSES,
    );
    told(&[]);
    // A column of another name.
    listed(&sandbox, "", CLASSES);
    let rows = "Train/1.png,cat,train\nTest/2.png,chien,TEST\ntests/6.png,cat,val\ntest/5.png,cat,test\n";
    sandbox.write("raw/labels.csv", format!("path,label,Fold\n{rows}").as_bytes());
    let column = |split: &str| {
        format!(
            "labels.csv: 1 image of train with {split} in the column Fold, which is not read: if it says the splits, \
             name it in the recipe, [source] columns = {{ split = \"Fold\" }}"
        )
    };
    told(&["1 image of train in the folder Test", &column("val"), &column("test")]);
    listed(&sandbox, "columns = { split = \"Fold\" }", CLASSES);
    sandbox.write("raw/labels.csv", format!("path,label,Fold\n{}", rows.replace("TEST", "test")).as_bytes());
    told(&[]);
    // Words of splits that the recipe does not name are the cause, not the labels.
    let rows = "Train/1.png,cat,Training\nTest/2.png,chien,Testing\n";
    sandbox.write("raw/labels.csv", format!("path,label,Fold\n{rows}").as_bytes());
    let why = "labels.csv has no image of class cat in a split (its split 'Training' is none of the recipe's): name \
               the words of the splits in the recipe, [source] splits = { train = [\"…\"] }";
    assert!(!build(&sandbox).fails(1, why).stderr.contains("no row with the label"));
    listed(&sandbox, "splits = { train = [\"a\"] }", CLASSES);
    sandbox.write("raw/labels.csv", b"path,label\nTrain/1.png,cat\nTest/2.png,chien\n");
    build(&sandbox)
        .fails(1, "class dog in a split (it is in no folder of a split): name the folders of the splits");
}

#[test]
fn words_that_nobody_has_or_sees_are_told() {
    let sandbox = drawn(&["a.png", "b.png", "c.png"]);
    listed(&sandbox, "", CLASSES);
    // Rows of blanks are none, and neither is the end of a text of DOS.
    let rows = "path,label\n  \na.png,cat\n,\nb.png,chien\nc.png,cat\u{200b}\n\t\n\u{1a}";
    sandbox.write("raw/labels.csv", rows.as_bytes());
    let ran = build(&sandbox).ok();
    for line in [
        "labels.csv has no row with the label 'Hot Dog', which is one of class dog",
        "left out 1 image: its label 'cat\\u{200b}' is that of no class of the recipe (1)",
    ] {
        assert!(ran.stderr.contains(line), "{line}:\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("'chien'"), "{}", ran.stderr);
    // Letters and what combines with them are shown.
    sandbox.write("raw/labels.csv", "path,label\na.png,cat\nb.png,chien\nc.png,हिन्दी é 犬\n".as_bytes());
    let ran = build(&sandbox).ok();
    assert!(ran.stderr.contains("its label 'हिन्दी é 犬'"), "{}", ran.stderr);
}

#[test]
fn a_source_whose_list_says_another_class_is_not_the_released_one() {
    let paths: Vec<String> = (0..6).map(|n| format!("{n}.png")).collect();
    let sandbox = drawn(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    listed(&sandbox, "", &format!("[corrections]\nfile = \"ledger.csv\"\n{CLASSES}"));
    let rows = "path,label\n0,cat\n1,cat\n2,cat\n3,chien\n4,chien\n5,chien\n";
    sandbox.write("raw/labels.csv", rows.as_bytes());
    let relabel = ["relabel", "dog", "--reason", "wrong-label", "--reviewer", "me"];
    sandbox.isn(&[&["ledger", "add", "ledger.csv", "2"][..], &relabel].concat()).ok();
    build(&sandbox).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    let from = ["--registry", "reg", "--source", "raw"];
    let verify = || sandbox.isn(&[&["verify-source", "grads@1.0", "--json"][..], &from].concat());
    let pull = || sandbox.isn(&[&["pull", "grads@1.0", "--to", "rebuilt"][..], &from].concat());
    verify().ok();
    for (row, other, why) in [
        ("\n1,cat", "\n1,chien", "the source says class dog, released cat"),
        ("\n4,chien", "\n4,cat", "the source says class cat, released dog"),
        ("\n2,cat", "\n2,chien", "the source says class dog, to which a correction relabels it"),
    ] {
        sandbox.write("raw/labels.csv", rows.replace(row, other).as_bytes());
        let ran = verify();
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        let differing = ran.json()["differing"].clone();
        assert_eq!((&differing[0]["why"], &differing[0]["cause"]), (&why.into(), &"recipe".into()));
        assert_eq!(differing.as_array().unwrap().len(), 1, "{differing}");
        assert_ne!(pull().code, 0);
    }
    sandbox.write("raw/labels.csv", rows.as_bytes());
    pull().ok();
}

#[test]
fn what_is_left_out_of_a_list_is_told() {
    let sandbox =
        drawn(&["a.png", "b.png", "c.png", "d.png", "test/1.png", "test/2.png", "dir/x.png", "dir/y.png"]);
    sandbox.write("raw/notes.txt", b"x");
    let rows = "a.png,cat,train\nb.png,chien,train\nc.png,horse,train\nd.png,,train\ndir/x.png,cat,later\na.png,cat,train\n";
    sandbox.write("raw/labels.csv", format!("path,label,split\n{rows}none.png,horse,train\n").as_bytes());
    listed(&sandbox, "", CLASSES);
    let ran = build(&sandbox).ok();
    for line in [
        "labels.csv line 7 repeats line 2 (a.png)",
        "labels.csv: left out 2 images: it has no label (1); its label 'horse' is that of no class of the recipe (1)",
        "labels.csv: passed over 1 row of other labels, without an image here",
        "labels.csv: left out 1 image: its split 'later' is none of the recipe's (1)",
        "the source folder: left out 1 name, no row of labels.csv names it: test (2 images)",
        "dir: left out 1 name, no row of labels.csv names it: y.png (1 image)",
        "the source folder: left out 1 name, not a JPEG or PNG by name: notes.txt",
    ] {
        assert!(ran.stderr.contains(line), "{line}:\n{}", ran.stderr);
    }
    let left = ran.json()["left_out"].clone();
    let entry = |path: &str, why: &str, images: u64| serde_json::json!({ "path": path, "why": why, "images": images });
    for entry in [
        entry("labels.csv", "its label 'horse' is that of no class of the recipe", 1),
        entry("labels.csv", "its split 'later' is none of the recipe's", 1),
        entry("test", "no row of labels.csv names it", 2),
    ] {
        assert!(left.as_array().unwrap().contains(&entry), "{entry}: {left}");
    }
    has_ids(&sandbox, &[("train/a", "train/cat/a.png"), ("train/b", "train/dog/b.png")]);
    // The list is a part of the source, and another one is another build.
    sandbox.write("raw/labels.csv", b"path,label\na.png,cat\nb.png,chien\nc.png,cat\n");
    assert_eq!(build(&sandbox).ok().json()["images"], 3);
    sandbox.write("raw/labels.csv", b"path,label\na.png,cat\nb.png,chien\nc.png,chien\n");
    sandbox.isn(&BUILD).fails(1, "is not the output of this recipe over this source");
    assert_eq!(build(&sandbox).ok().json()["balance"]["train"], serde_json::json!({ "cat": 1, "dog": 2 }));
    // What the whole source has.
    let expect = CLASSES.replacen("label = \"cat\"\n", "label = \"cat\"\nexpect = { train = 2 }\n", 1);
    listed(&sandbox, "", &expect);
    build(&sandbox).fails(8, "train/cat: 1 images, and the whole source has 2");
    sandbox.isn(&CHECK).fails(8, "");
}

#[cfg(unix)]
#[test]
fn links_and_spellings_in_a_list() {
    use std::os::unix::fs::symlink;
    let sandbox = drawn(&["cafe\u{301}.png", "b.png"]);
    draw(&sandbox, "disk/pics/1.png", 200);
    symlink("../disk/pics", sandbox.path("raw/pics")).unwrap();
    symlink(".", sandbox.path("raw/loop")).unwrap();
    sandbox.write("raw/labels.csv", "path,label\ncafé.png,cat\npics/1.png,chien\n".as_bytes());
    listed(&sandbox, "names = \"hash\"", CLASSES);
    // Links are followed, as in folders.
    build(&sandbox).ok();
    let found = ids(&sandbox);
    assert_eq!([&*found[0].0, &*found[1].0], ["café", "pics/1"]);
    // Of two spellings of one name nobody can tell which one is meant.
    draw(&sandbox, "raw/café.png", 100);
    build(&sandbox).fails(1, "line 2: café.png may be ");
    for folder in ["e\u{301}", "é"] {
        draw(&sandbox, &format!("raw/{folder}/1.png"), 100);
    }
    sandbox.write("raw/labels.csv", "path,label\né/1.png,cat\npics/1.png,chien\n".as_bytes());
    build(&sandbox).fails(1, "have one name: rename one");
}

/// As TinyImageNet is laid out.
fn tiny() -> Sandbox {
    let classes = ["n01443537", "n01629819"];
    let train = classes
        .iter()
        .flat_map(|class| (0..2).map(move |n| format!("train/{class}/images/{class}_{n}.JPEG")));
    let others =
        ["val", "test"].into_iter().flat_map(|of| (0..4).map(move |n| format!("{of}/images/{of}_{n}.JPEG")));
    let paths: Vec<String> = train.chain(others).collect();
    let sandbox = drawn(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    for class in classes {
        sandbox.write(
            &format!("raw/train/{class}/{class}_boxes.txt"),
            format!("{class}_0.JPEG\t0\t0\t62\t62\n").as_bytes(),
        );
    }
    sandbox.write("raw/val/val_annotations.txt", TINY.as_bytes());
    let text = classes.map(|class| format!("[[class]]\nid = \"{class}\"\nlabel = \"{class}\"\n")).concat();
    recipe(&sandbox, "recipe.toml", "annotated = { val = \"val/val_annotations.txt\" }", &text);
    sandbox
}

const TINY: &str = "val_0.JPEG\tn01443537\t0\t32\t44\t62\nval_1.JPEG\tn01629819\t52\t55\t57\t59\n\
                    val_2.JPEG\tn01629819\t4\t0\t60\t55\n";

#[test]
fn a_split_with_annotations() {
    let sandbox = tiny();
    let ran = build(&sandbox).ok();
    let id = |n| format!("train/n01443537/images/n01443537_{n}");
    let found = ids(&sandbox);
    assert_eq!(found.len(), 7, "{found:?}");
    assert_eq!(found[0], (id(0), "train/n01443537/n01443537_0.png".into()));
    assert_eq!(found[4], ("val/images/val_0".into(), "val/n01443537/val_0.png".into()));
    assert_eq!(found[5], ("val/images/val_1".into(), "val/n01629819/val_1.png".into()));
    for line in [
        "val/images: left out 1 name, no row of val/val_annotations.txt names it: val_3.JPEG (1 image)",
        "test: left out 1 name, not the folder of a class of the recipe: images (4 images)",
    ] {
        assert!(ran.stderr.contains(line), "{line}:\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("by name: val_annotations.txt"), "{}", ran.stderr);
    sandbox.isn(&CHECK).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    let from = ["--registry", "reg", "--source", "raw"];
    sandbox.isn(&[&["verify-source", "grads@1.0"][..], &from].concat()).ok();
    sandbox.isn(&[&["pull", "grads@1.0", "--to", "rebuilt"][..], &from].concat()).ok();
    sandbox.write("raw/val/val_annotations.txt", TINY.replacen("n01443537", "n01629819", 1).as_bytes());
    let other = sandbox.isn(&[&["verify-source", "grads@1.0"][..], &from].concat());
    assert_eq!(other.code, 3);
    assert!(other.stdout.contains("the source says class n01629819, released n01443537"), "{}", other.stdout);

    // Columns in another order, and a first line without a tab.
    let reversed: String = (0..3).map(|n| format!("n01443537\tval_{n}.JPEG\n")).collect();
    sandbox.write("raw/val/val_annotations.txt", reversed.as_bytes());
    let why = "val/val_annotations.txt names no image of the split, and no class of the recipe: in line 1, \
               'n01443537' must be a file name, and 'val_0.JPEG' the folder of a class";
    build(&sandbox).fails(1, why);
    sandbox.write("raw/val/val_annotations.txt", format!("# file and class\n{TINY}").as_bytes());
    let why = "val/val_annotations.txt line 1: has one field: it must have a file name and the folder of a class, \
               separated by a comma, since the first line has no tab";
    build(&sandbox).fails(1, why);
    for (text, why) in [
        ("none.JPEG\tn01443537\n", "line 4: no image of the split is called none.JPEG"),
        ("val_3.JPEG\n", "line 4: has one field"),
        (
            "../test/images/test_0.JPEG\tn01443537\n",
            "line 4: the path \"../test/images/test_0.JPEG\" has .. in it",
        ),
        ("test/images/test_0.JPEG\tn01443537\n", "no image of the split is called test/images/test_0.JPEG"),
        ("val_0.JPEG\tn01629819\n", "the class 'n01629819', and line 1 gives it the class 'n01443537'"),
        ("val_0.JPEG\tn9\n", "the class 'n9', and line 1 gives it the class 'n01443537'"),
        ("val_3.JPEG\t\"n01443537\n", "line 4: a quote is never closed"),
    ] {
        sandbox.write("raw/val/val_annotations.txt", format!("{TINY}{text}").as_bytes());
        let ran = build(&sandbox).fails(1, "source raw has");
        assert!(
            ran.stderr.contains("val/val_annotations.txt") && ran.stderr.contains(why),
            "{why}:\n{}",
            ran.stderr
        );
    }
    for (text, why) in [
        ("val_3.JPEG\tn9\t1\n", "left out 1 image: its label 'n9' is that of no class of the recipe (1)"),
        ("images/val_2.JPEG\tn01629819\n", "line 4 repeats line 3 (val/images/val_2.JPEG)"),
        ("val/images/val_3.JPEG\tn01629819\t\n", ""),
        ("val_3\tn01629819\n", ""),
    ] {
        sandbox.write("raw/val/val_annotations.txt", format!("{TINY}{text}").as_bytes());
        let ran = build(&sandbox).ok();
        assert!(ran.stderr.contains(why), "{why}:\n{}", ran.stderr);
    }
    // Commas will do, too, and a line that names columns is left out.
    sandbox
        .write("raw/val/val_annotations.txt", format!("image,class\n{}", TINY.replace('\t', ",")).as_bytes());
    let ran = build(&sandbox).ok();
    assert!(ran.stderr.contains("passed over 1 row of other labels"), "{}", ran.stderr);
    // A name that two images have.
    draw(&sandbox, "raw/val/more/val_0.JPEG", 90);
    build(&sandbox).fails(1, "val_0.JPEG may be val/images/val_0.JPEG or val/more/val_0.JPEG");
    std::fs::remove_file(sandbox.path("raw/val/val_annotations.txt")).unwrap();
    build(&sandbox).fails(1, "val_annotations.txt");
    std::fs::rename(sandbox.path("raw/val"), sandbox.path("val")).unwrap();
    build(&sandbox).fails(1, "val_annotations.txt");
}
