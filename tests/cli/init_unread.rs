//! `isn init` of folders beside which files that isn does not read, or names, say other splits or classes: it
//! refuses what it understands by half, and no folder for what says nothing.

use crate::init::{folder, has, init};
use crate::init_lists::{of, refused, rows};
use crate::sandbox::Sandbox;

fn class(n: usize) -> &'static str {
    ["cat", "dog"][n % 2]
}

fn split(n: usize) -> &'static str {
    if n.is_multiple_of(4) { "test" } else { "train" }
}

/// `cat/000.png`, `dog/001.png` and so on: 20 images, with files beside.
fn classes(files: &[(&str, Vec<u8>)]) -> Sandbox {
    let images: Vec<String> = (0..20).map(|n| format!("{}/{n:03}.png", class(n))).collect();
    let sandbox = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
    files.iter().for_each(|(name, bytes)| sandbox.write(&format!("My photos/{name}"), bytes));
    sandbox
}

fn lines(all: impl Iterator<Item = usize>, row: impl Fn(usize) -> String) -> Vec<u8> {
    all.map(|n| row(n) + "\n").collect::<String>().into_bytes()
}

fn table(header: &str, row: impl Fn(usize) -> String) -> Vec<u8> {
    [format!("{header}\n").into_bytes(), lines(0..20, row)].concat()
}

fn utf16(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// A list whose paths are below `above`.
fn below(above: &str, end: &str) -> Vec<u8> {
    table("path,label,split", |n| format!("{above}{}/{n:03}{end},{},{}", class(n), class(n), split(n)))
}

#[test]
fn splits_that_are_not_read_beside_folders_of_classes() {
    let test = || (0..20).step_by(4);
    let train = || (0..20).filter(|n| n % 4 > 0);
    let image = |n: usize| format!("{}/{n:03}.png", class(n));
    let json = |all: &mut dyn Iterator<Item = usize>| {
        let all: Vec<String> = all.map(|n| format!("{:?}", image(n))).collect();
        format!("[{}]", all.join(", "))
    };
    let latin: Vec<u8> = [&b"# \xe9t\xe9\n"[..], &below("", ".png")].concat();
    let by_split = format!("{{\"train\": {}, \"test\": {}}}", json(&mut train()), json(&mut test()));
    let mut files: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "labels.csv",
            table("path;label;split", |n| format!("{};{};{}", image(n), class(n), split(n))),
            "the 1 field of line 2: 'cat/000.png;cat;test'; none is the path of an image, such as cat/000.png, or \
             most rows have none; separate its fields by commas or tabs. Give a list, such as labels.csv, the header \
             path,label,split",
        ),
        ("labels.csv", latin, "line 1 is not UTF-8: save it as UTF-8"),
        ("labels.csv", utf16(&below("", ".png")), "line 1 is not UTF-8"),
        (
            "labels.csv",
            below("/home/me/photos/", ".png"),
            "the 3 fields of line 2: '/home/me/photos/cat/000.png'",
        ),
        ("labels.csv", below("photos/", ".png"), "'photos/cat/000.png'"),
        ("labels.csv", below("", ".PNG"), "'cat/000.PNG'"),
        (
            "labels.csv",
            table("path,label,split", |n| format!("Cat/{n:03}.png,{},{}", class(n), split(n))),
            "'Cat/000.png'",
        ),
        (
            "labels.csv",
            table("id,label,split", |n| format!("{n},{},{}", class(n), split(n))),
            "'0', 'cat', 'test'",
        ),
        (
            "labels.csv",
            table("path,label,split", |n| {
                format!("{},{},{}", image(if n < 4 { n + 50 } else { n }), class(n), split(n))
            }),
            "16 of its 20 rows name an image, but not line 2 or others",
        ),
        (
            "labels.csv",
            String::from_utf8(below("", ".png")).unwrap().replacen("\ncat", "\n\"cat", 1).into_bytes(),
            "in line 2, the field \"cat/000.png,cat,test\\ndog/001.png,dog,train\\n",
        ),
        (
            "labels.csv",
            table("path,label,part", |n| format!("{},{},{}", image(n), class(n), &split(n)[..2])),
            "its column part may say the splits",
        ),
        (
            "l.csv",
            table("sep=,\npath,label,split", |n| format!("{},{},{}", image(n), class(n), split(n))),
            "l.csv names images, but no column says their classes",
        ),
        (
            "test.csv",
            lines(test(), |n| format!("{},{}", image(n), class(n))),
            "its first line is that of an image",
        ),
        ("test.csv", [b"path\n".to_vec(), lines(test(), image)].concat(), "no column says their classes"),
        ("train_test_split.txt", lines(0..20, |n| format!("{} {}", n + 1, n % 4 / 3)), ""),
        ("test_idx.txt", lines(test(), |n| n.to_string()), ""),
        ("filelist/places365_val.txt", lines(test(), |n| format!("/{} {}", image(n), n % 2)), ""),
        ("meta/test.txt", lines(test(), |n| format!("{}/{n:03}", class(n))), ""),
        ("Testing_01.txt", lines(test(), |n| format!("/{}", image(n))), ""),
        ("validation_list.txt", lines(test(), image), ""),
        ("testlist01", lines(test(), image), ""),
        ("splits.json", by_split.clone().into_bytes(), ""),
        ("partition.json", by_split.into_bytes(), ""),
        ("split_zhou_Pets.json", format!("{{\"test\":{}}}", json(&mut test())).into_bytes(), ""),
        ("meta/val.json", json(&mut test()).into_bytes(), ""),
        ("test.yaml", lines(test(), |n| format!("- {n:03}")), ""),
    ];
    for (file, header) in [("l.txt", "path,label,split"), ("l.dat", ""), ("list", "x")] {
        files.push((file, table(header, |n| format!("{},{},{}", image(n), class(n), split(n))), ""));
    }
    for (file, bytes, why) in files {
        let sandbox = classes(&[(file, bytes)]);
        let whole = format!("{file} may say the splits of images, but isn does not read such a file");
        refused(&sandbox, if why.is_empty() { &whole } else { why });
        refused(&sandbox, &format!("move {file} away"));
    }
    // A folder of train images says no splits.
    let images: Vec<String> = (0..8).map(|n| format!("train/{}/{n:03}.png", class(n))).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    for (file, text) in [("val_list.txt", "cat/000.png\ndog/001.png\n"), ("val.csv", "id\n000\n001\n002\n")] {
        let sandbox = folder(&images);
        sandbox.write(&format!("My photos/{file}"), text.as_bytes());
        refused(&sandbox, &format!("move {file} away"));
    }
    // Files whose format is none that isn reads are told.
    for file in ["lists/test_list.mat", "test.npy", "splits.xlsx"] {
        let ran = init(&classes(&[(file, b"x".to_vec())])).ok();
        has(&ran.stderr, &[&format!("{file} may say which images are val or test")]);
    }
}

#[test]
fn files_that_say_nothing_of_splits_or_classes() {
    let image = |n: usize| format!("{}/{n:03}.png", class(n));
    let text = |text: &str| text.as_bytes().to_vec();
    let prose = "We test models on these images. cat/000.png and dog/001.png are the first ones.\n\
                 All of them were taken in 2026.\nThe val and test splits are to come.\nThanks!\n";
    for (file, bytes) in [
        ("README.txt", text(prose)),
        ("README", text(prose)),
        ("LICENSE", text("Permission is hereby granted to test, free of charge, 1 2 3.\n")),
        ("notes.txt", text("000 is blurred\nso is 001\n\ntest again\nin May\nand June\n")),
        ("requirements.txt", text("torch==2.1\npillow>=10\npytest\n")),
        ("requirements-test.txt", text("pytest==8\ncoverage\n7zip\n")),
        ("test_notes.txt", text(prose)),
        ("test.txt", text("this is a test\n")),
        ("test.txt", text("cat/000.png\n")),
        ("classes.txt", text("0 cat\n1 dog\n")),
        ("label_map.json", text("{\"cat\": 0, \"dog\": 1}")),
        ("config.yaml", text("train: data/train\nval: data/val\nnames: [cat, dog]\n")),
        ("train.txt", lines(0..20, image)),
        ("cat/boxes.txt", lines((0..20).step_by(2), |n| format!("{n:03}.png\t0\t0\t64\t64"))),
    ] {
        let ran = init(&classes(&[(file, bytes.clone())])).ok();
        let quiet = ran.stderr.lines().filter(|line| !line.contains("may say which images are val or test"));
        assert!(
            quiet.clone().all(|line| file == "train.txt" && line.contains("train.txt names images")),
            "{file}: {}",
            ran.stderr
        );
        // Nor does it matter beside folders of splits.
        let images: Vec<String> = (0..8).map(|n| format!("{}/{}/{n}.png", split(n), class(n / 4))).collect();
        let sandbox = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
        sandbox.write(&format!("My photos/{file}"), &bytes);
        if !file.starts_with("cat/") {
            assert_eq!(init(&sandbox).ok().stderr, "", "{file}");
        }
    }
    // A box of each image has a file of its own.
    let boxes: Vec<(String, Vec<u8>)> = (0..20)
        .map(|n| {
            (
                format!("boxes/{n:03}.xml"),
                format!("<filename>{n:03}.png</filename><path>{}</path>", image(n)).into_bytes(),
            )
        })
        .collect();
    let boxes: Vec<(&str, Vec<u8>)> =
        boxes.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    let ran = init(&classes(&boxes)).ok();
    assert!(!ran.stderr.contains("names images"), "{}", ran.stderr);
}

#[test]
fn splits_of_a_list_in_other_files() {
    let list = rows("path,label", 0..20, |n, class| format!("{n:03}.png,{class}"));
    let images: Vec<String> = (0..20).map(|n| format!("{n:03}.png")).collect();
    let test = || (0..20).step_by(4);
    let image = |n: usize| format!("{n:03}.png");
    for (file, bytes) in [
        ("test.txt", lines(test(), image)),
        ("test_ids.txt", lines(test(), |n| format!("{n:03}"))),
        (
            "splits.json",
            format!("{{\"test\": [{}]}}", test().map(|n| n.to_string()).collect::<Vec<_>>().join(",")).into(),
        ),
        ("split.csv", table("path;split", |n| format!("{};{}", image(n), split(n)))),
    ] {
        let sandbox = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
        sandbox.write("My photos/l.csv", list.as_bytes());
        sandbox.write(&format!("My photos/{file}"), &bytes);
        refused(&sandbox, &format!("l.csv says the classes, and {file} may say the splits of images"));
        refused(&sandbox, "Give l.csv a column split that says train, val or test; or sort");
    }
    let sandbox = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
    sandbox.write("My photos/l.csv", list.as_bytes());
    sandbox.write(
        "My photos/boxes.json",
        &lines(0..20, |n| format!("{{\"file\": \"{}\", \"box\": [0]}}", image(n))),
    );
    init(&sandbox).ok();
}

#[test]
fn labels_that_are_not_read_beside_folders_of_other_things() {
    let site = |n: usize| format!("{}/{n:03}.png", ["north", "south"][n / 10]);
    let images: Vec<String> = (0..20).map(site).collect();
    let list = |above: &str, by: &str| {
        table(&format!("image{by}animal"), |n| format!("{above}{}{by}{}", site(n), class(n)))
    };
    let json = (0..20).map(|n| format!("\"{}\": \"{}\"", site(n), class(n))).collect::<Vec<_>>().join(",");
    let told = "names images, but is";
    for (file, bytes, told) in [
        ("l.csv", list("", ";"), told),
        ("l.csv", list("data/", ","), "has the columns of a list, but"),
        ("l.csv", utf16(&list("", ",")), told),
        ("l.json", format!("{{{json}}}").into_bytes(), told),
    ] {
        let sandbox = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
        sandbox.write(&format!("My photos/{file}"), &bytes);
        let ran = init(&sandbox).ok();
        has(&ran.stderr, &[&format!("warning: {file} {told}"), "folders are taken for"]);
    }
    // Two images a row.
    for header in ["image_path,mask_path,label", "mask_path,img,label"] {
        let list = rows(header, 0..20, |n, class| match header.starts_with("image") {
            true => format!("im/{n}.png,masks/{n}.png,{class}"),
            false => format!("masks/{n}.png,im/{n}.png,{class}"),
        });
        refused(
            &of(&[("im/", 0..20), ("masks/", 0..20)], &[("l.csv", &list)]),
            "name different ones: call the right one",
        );
    }
}

#[test]
fn one_class_and_a_list_that_is_understood_by_half() {
    let list = |header: &str, row: fn(usize, &str) -> String| rows(header, 100..120, row);
    for (file, text, why) in [
        (
            "l.csv",
            list("image_id,a,b,c", |n, _| format!("{n},{},{},no", n % 2 > 0, n % 2 < 1)),
            "its columns a, b and c",
        ),
        (
            "l.csv",
            list("id,label,class", |n, class| format!("{n},{class},{}", n % 3)),
            "label and class may each",
        ),
        (
            "l.csv",
            list("id,label,is_test", |n, class| format!("{n},{class},{}", n % 2)),
            "column is_test may say",
        ),
        (
            "l.csv",
            list("id,label,split", |n, class| format!("{n},{class},{}", n % 2)),
            "its column split says '0'",
        ),
        (
            "l.csv",
            list("id,label", |n, class| format!("{},{class}", n / 2 + 50)),
            "gives xrays/100.png two labels",
        ),
        (
            "l.csv",
            list("100.png,cat", |n, class| format!("{n}.png,{class}")),
            "its first line is that of an image",
        ),
        ("l.csv", list("id,label", |n, _| format!("{n},picture {n}")), "nearly each has a label of its own"),
        ("preds.csv", list("id,label", |n, class| format!("{n},{class}")), "it has the guesses of a model"),
        ("l.csv", "id,label\n101,cat\n102,dog\n".into(), "only 2 of the 20 images"),
        ("l.csv", "path,label\n".into(), "l.csv has the columns of a list, path,label, but no row"),
    ] {
        let sandbox = of(&[("xrays/", 100..120)], &[(file, &text)]);
        refused(&sandbox, why);
        refused(&sandbox, "is only partly clear: by its folders it has one class, and");
        refused(&sandbox, &format!("move {file} away"));
    }
    let ran = init(&of(&[("xrays/", 100..120)], &[("l.csv", "")])).ok();
    has(&ran.stderr, &["l.csv is empty: by its folders the source has one class"]);
    let copy = list("id,label", |n, class| format!("{n},{class}"));
    refused(
        &of(&[("xrays/", 100..120)], &[("l.csv", &copy), ("l (1).csv", &copy)]),
        "there are several lists of images, l (1).csv and l.csv",
    );
}

#[test]
fn two_words_for_one_split() {
    for names in [["train", "dev", "eval"], ["train", "val", "eval"], ["train", "test", "holdout"]] {
        let images: Vec<String> = names
            .iter()
            .flat_map(|name| (0..4).map(move |n| format!("{name}/{}/{n}.png", class(n))))
            .collect();
        let both = if names[1] == "test" { "test" } else { "val" };
        let sandbox = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
        refused(
            &sandbox,
            &format!("/ are both {both} by their names. If one is another split, rename it to that"),
        );
        let list =
            rows("filename,label,split", 0..12, |n, class| format!("{n}.png,{class},{}", names[n % 3]));
        let (one, other) = (names[1].min(names[2]), names[1].max(names[2]));
        refused(
            &of(&[("", 0..12)], &[("l.csv", &list)]),
            &format!("its column split says '{one}' and '{other}', which are both {both}"),
        );
        let list = rows("path,label", 0..12, |n, class| format!("{}/{n},{class}", names[n / 4]));
        let folders = names.map(|name| format!("{name}/"));
        let folders: Vec<_> =
            folders.iter().zip([0..4, 4..8, 8..12]).map(|(name, all)| (name.as_str(), all)).collect();
        refused(&of(&folders, &[("l.csv", &list)]), &format!("are both {both} by their names"));
    }
}

#[test]
fn splits_of_a_list_that_its_folders_contradict() {
    let of_rows = |row: fn(usize) -> &'static str| {
        rows("path,label,split", 0..12, |n, class| {
            format!("{}/{n}.png,{class},{}", if n < 8 { "train" } else { "test" }, row(n))
        })
    };
    let folders = [("train/", 0..8), ("test/", 8..12)];
    refused(
        &of(&folders, &[("l.csv", &of_rows(|_| "train"))]),
        "l.csv says that test/10.png is train, and its folder is test",
    );
    refused(
        &of(&folders, &[("l.csv", &of_rows(|n| if n < 11 { "train" } else { "test" }))]),
        "l.csv says that test/10.png is train, and its folder is test by its name: correct the row",
    );
    refused(
        &of(&folders, &[("l.csv", &of_rows(|n| if n > 6 { "test" } else { "train" }))]),
        "l.csv says that train/7.png is test",
    );
    // Val images may be drawn from train.
    let drawn = of_rows(|n| if n > 7 { "test" } else { ["train", "train", "train", "val"][n % 4] });
    init(&of(&folders, &[("l.csv", &drawn)])).ok();
}

#[test]
fn splits_without_a_common_class() {
    let images = ["train/n01/0.png", "train/n02/1.png", "val/cat/0.png", "val/dog/1.png"];
    refused(
        &folder(&images),
        "the folders of val, cat and dog, have no class that those of train have, n01 and n02",
    );
    refused(
        &folder(&["train/cat/0.png", "val/cat/1.png", "test/Cat/0.png"]),
        "the folders of test, Cat, have no class",
    );
    // One in another, and a split that has more.
    init(&folder(&["train/a/x/0.png", "val/a/1.png", "test/a/0.png", "test/b/0.png"])).ok();
}

#[test]
fn masks_and_copies_of_pictures() {
    let name = |class: &str, n: usize, end: &str| format!("{class}/{class} ({n}){end}.png");
    for end in ["_mask", "_mask_1", "_seg", "-gt", " thumb"] {
        let images: Vec<String> = (0..8).flat_map(|n| ["", end].map(|end| name(class(n), n, end))).collect();
        let sandbox = folder(&images.iter().map(String::as_str).collect::<Vec<_>>());
        refused(
            &sandbox,
            "8 images are masks or copies of others beside them by their names, such as cat/cat (0)",
        );
    }
    let few: Vec<String> = (0..8).map(|n| name(class(n), n, "")).chain([name("cat", 2, "_mask")]).collect();
    let ran = init(&folder(&few.iter().map(String::as_str).collect::<Vec<_>>())).ok();
    has(
        &ran.stderr,
        &["1 image is a mask or a copy of others beside them by their names, such as cat/cat (2)_mask.png"],
    );
    let thumbs =
        ["cat/0.png", "cat/1.png", "cat/thumbs/0.png", "dog/0.png", "dog/1.png", "ok/0_mask.png", "ok/1.png"];
    let ran = init(&folder(&thumbs)).ok();
    has(&ran.stderr, &["cat/thumbs has 1 image, which are taken for pictures of a class"]);
    assert!(!ran.stderr.contains("beside them"), "{}", ran.stderr);
}

#[test]
fn lists_that_begin_with_an_image_that_is_not_there() {
    for first in ["zz.png,cat", "zz,cat"] {
        let list = rows(first, 0..20, |n, _| format!("{n}.png,{}", class(n)));
        refused(&of(&[("", 0..20)], &[("l.csv", &list)]), "its first line is that of an image");
    }
}

#[test]
fn words_for_no_label() {
    let words = ["cat", "dog", "NaN", "None", "?", "-1", "unknown", "N/A"];
    let list = rows("file,label", 0..24, |n, _| format!("{n}.png,{}", words[n % 8]));
    let ran = init(&of(&[("", 0..24)], &[("l.csv", &list)])).ok();
    has(
        &ran.stderr,
        &[
            "the label '-1' (3), '?' (3), 'N/A' (3) and 3 more may say that images have none",
            "remove its [[class]]",
        ],
    );
}

#[test]
fn quotes_that_swallow_rows() {
    let list = rows("file,label,note", 0..20, |n, class| {
        format!(
            "{n}.png,{class},{}",
            match n {
                5 => "\"nice",
                9 => "so\"",
                _ => "x",
            }
        )
    });
    refused(
        &of(&[("", 0..20)], &[("l.csv", &list)]),
        "l.csv names images, but in line 7, the field \\\"nice\\\\n6.png,cat,x",
    );
    // A text of several lines is one field.
    init(&of(&[("", 0..20)], &[("l.csv", &list.replace("\"nice", "\"nice\nvery nice\""))])).ok();
}

#[test]
fn reasons_and_next_steps() {
    let bare = table("id,label,split", |n| format!("{n:03},{},{}", class(n), split(n)));
    refused(
        &classes(&[("l.csv", bare)]),
        "which isn reads only of a list whose paths have their folders: put the folders",
    );
    // HAM10000.
    let list = rows("image_id,dx", 0..16, |n, class| format!("{n},{class}"));
    let parts = [("pics_part_1/", 0..8), ("pics_part_2/", 8..16)];
    refused(
        &of(&parts, &[("l.csv", &list)]),
        "If l.csv has the classes, move all images into one folder, since its paths have no folders; if the folders",
    );
    refused(
        &folder(&["train/0.png", "test_A/1.png"]),
        "or away; if test_A is a split, too, rename it to test",
    );
    refused(&folder(&["\u{e9}/0.png", "e\u{301}/0.png"]), "\\\\u{e9}/0.png");
    let list = rows("id,label", 0..21, |n, class| format!("{n},{class}"));
    refused(
        &of(&[("im/", 0..20)], &[("l.csv", &list), ("im/20.webp", "x")]),
        "there is no JPEG or PNG im/20, and im/20.webp is none by name",
    );
    let val = |text: &str| {
        let folders = [("train/cat/", 0..4), ("train/dog/", 4..8), ("val/", 8..12)];
        refused(&of(&folders, &[("val.txt", text)]), "(perhaps val.txt says it)");
    };
    val("8.png cat\n9.png cat\n10.png dog\n11.png dog\n");
    val("8.png\tCAT\n9.png\tCAT\n10.png\tDOG\n11.png\tDOG\n");
}
