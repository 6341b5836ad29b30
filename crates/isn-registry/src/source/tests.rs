use std::collections::BTreeMap;
use std::fs;

use super::*;
use isn_format::ilsvrc2012::wnid_at;
use isn_format::source_spec::Ids;

pub(super) fn classes(ids: &[&str]) -> Vec<Class> {
    ids.iter().map(|id| Class { id: id.parse().unwrap(), label: (*id).into(), group: None }).collect()
}

/// Makes a folder with these files, each of which contains its own path.
pub(super) fn folder(paths: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for path in paths {
        let file = join(root.path(), path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        if !path.ends_with('/') {
            fs::write(file, path).unwrap();
        } else {
            fs::create_dir_all(file).unwrap();
        }
    }
    root
}

fn ilsvrc(paths: &[&str], ids: &[&str]) -> Result<Source> {
    Source::open(&SourceSpec::new(SourceKind::Ilsvrc2012), folder(paths).path(), &classes(ids))
}

fn image_folder(paths: &[&str], ids: &[&str]) -> Result<Source> {
    Source::open(&SourceSpec::new(SourceKind::ImageFolder), folder(paths).path(), &classes(ids))
}

/// Returns `path id class split` of each image.
fn listed(source: &Source) -> Vec<String> {
    source.images.iter().map(|i| format!("{} {} {} {}", i.path, i.id, i.class, i.split)).collect()
}

pub(super) fn problems(source: Result<Source>) -> Vec<String> {
    match source.unwrap_err() {
        Error::Mistakes { mistakes, .. } => mistakes.into_iter().map(|m| m.why).collect(),
        other => panic!("{other}"),
    }
}

const EAGLE: &str = "n01614925";
const OWL: &str = "n01622779";
// Numbers from the table: 318 is an owl, 128 is labelled an eagle, 1 is neither.
const VAL_OWL: &str = "val/ILSVRC2012_val_00000318.JPEG";
const VAL_EAGLE: &str = "val/ILSVRC2012_val_00000128.JPEG";
const VAL_OTHER: &str = "val/ILSVRC2012_val_00000001.JPEG";

#[test]
fn flat_val_images_get_their_class_from_the_table() {
    let source = ilsvrc(
        &[
            "train/n01614925/n01614925_2.JPEG",
            "train/n01614925/n01614925_10.jpeg",
            "train/n01622779/n01622779_5.Png",
            "train/n01440764/n01440764_1.JPEG",
            VAL_OTHER,
            VAL_OWL,
            VAL_EAGLE,
            "devkit/readme.txt",
        ],
        &[EAGLE, OWL],
    )
    .unwrap();
    assert_eq!(
        listed(&source),
        [
            "train/n01614925/n01614925_10.jpeg n01614925_10 n01614925 train",
            "train/n01614925/n01614925_2.JPEG n01614925_2 n01614925 train",
            "train/n01622779/n01622779_5.Png n01622779_5 n01622779 train",
            "val/ILSVRC2012_val_00000128.JPEG ILSVRC2012_val_00000128 n01614925 val",
            "val/ILSVRC2012_val_00000318.JPEG ILSVRC2012_val_00000318 n01622779 val",
        ]
    );
    assert_eq!(source.warnings, [] as [String; 0]);
    assert!(source.images.iter().all(|image| image.len == image.path.len() as u64 && image.modified_ns > 0));
}

#[test]
fn val_may_be_sorted_by_class_or_absent() {
    let train = "train/n01622779/n01622779_5.JPEG";
    let sorted = "val/n01622779/ILSVRC2012_val_00000318.JPEG";
    let source = ilsvrc(&[train, sorted, "val/n01614925/ILSVRC2012_val_00000128.JPEG"], &[OWL]).unwrap();
    assert_eq!(source.images.len(), 2);
    assert_eq!(listed(&source)[1], format!("{sorted} ILSVRC2012_val_00000318 n01622779 val"));

    let source = ilsvrc(&[train], &[OWL]).unwrap();
    assert_eq!(source.images.len(), 1);
    assert_eq!(source.warnings, ["there is no folder val/: only train images are taken"]);
}

#[test]
fn an_image_in_the_wrong_folder_is_a_problem() {
    let found = problems(ilsvrc(
        &[
            "train/n01622779/n01614925_5.JPEG",
            "train/n01622779/n01622779_5.JPEG",
            "val/n01622779/ILSVRC2012_val_00000128.JPEG",
            "val/n01622779/ILSVRC2012_val_00050001.JPEG",
            "val/n01622779/own_name.JPEG",
        ],
        &[OWL],
    ));
    assert_eq!(
        found,
        [
            "train/n01622779/n01614925_5.JPEG is in the wrong folder: its class is n01614925",
            "val/n01622779/ILSVRC2012_val_00000128.JPEG is in the wrong folder: its class is n01614925",
            "val/n01622779/ILSVRC2012_val_00050001.JPEG: there is no validation image 00050001: they are 00000001 to 00050000",
        ]
    );
}

#[test]
fn val_images_without_a_class_are_problems() {
    let mut found = problems(ilsvrc(
        &[
            "train/n01622779/n01622779_5.JPEG",
            "val/ILSVRC2012_val_00000000.JPEG",
            "val/ILSVRC2012_val_50001.JPEG",
            "val/holiday.jpg",
            "val/n01622779_7.JPEG",
            "val/ILSVRC2012_val_+0000318.JPEG",
            VAL_OWL,
        ],
        &[OWL],
    ));
    found.sort();
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found[0].starts_with("val/ILSVRC2012_val_+0000318.JPEG: there is no validation image"));
    assert!(found[1].starts_with("val/ILSVRC2012_val_00000000.JPEG: there is no validation image"));
    assert!(found[2].starts_with("val/ILSVRC2012_val_50001.JPEG: there is no validation image"));
    assert!(found[3].starts_with("val/holiday.jpg: its class is unknown"));
    assert!(found[4].starts_with("val/n01622779_7.JPEG: its class is unknown"));
}

#[test]
fn missing_folders_are_all_told() {
    let found = problems(ilsvrc(&["train/n01440764/n01440764_1.JPEG", "val/n01440764/"], &[EAGLE, OWL]));
    let expected = ["train/n01614925/", "train/n01622779/", "val/n01614925/", "val/n01622779/"];
    assert_eq!(found, expected.map(|folder| format!("there is no folder {folder}")));
    let found = problems(ilsvrc(&["n01614925/n01614925_1.JPEG"], &[EAGLE]));
    assert!(found[0].starts_with("there is no folder train/"), "{found:?}");

    let nowhere = folder(&[]).path().join("nowhere");
    assert!(matches!(
        Source::open(&SourceSpec::new(SourceKind::ImageFolder), &nowhere, &[]),
        Err(Error::Io { .. })
    ));
    let root = folder(&["file"]);
    let file = Source::open(&SourceSpec::new(SourceKind::ImageFolder), &root.path().join("file"), &[]);
    assert!(file.unwrap_err().to_string().ends_with("is not a folder"));
}

#[test]
fn litter_is_passed_over_and_the_rest_is_left_out_with_a_warning() {
    let source = ilsvrc(
        &[
            "train/.DS_Store",
            "train/n01622779/.hidden.JPEG",
            "train/n01622779/Thumbs.db",
            "train/n01622779/a.txt",
            "train/n01622779/b.txt",
            "train/n01622779/c.txt",
            "train/n01622779/d.txt",
            "train/n01622779/more/e.JPEG",
            "train/n01622779/n01622779_5.JPEG",
            "train/n01622779/noextension",
            "train/n01440764.tar",
            "train/birds/x.JPEG",
            "val/list.txt",
            VAL_OWL,
        ],
        &[OWL],
    )
    .unwrap();
    assert_eq!(source.images.len(), 2);
    assert_eq!(
        source.warnings,
        [
            "train: left out 2 names, not part of ILSVRC2012: birds (1 image), n01440764.tar",
            "train/n01622779: left out 6 names, not part of ILSVRC2012: a.txt, b.txt, c.txt, …",
            "val: left out 1 name, not part of ILSVRC2012: list.txt",
        ]
    );
}

#[test]
fn two_files_of_one_id_are_named_both() {
    let train = "train/n01622779/n01622779_5.JPEG";
    let found = problems(ilsvrc(&[train, "train/n01622779/n01622779_5.png"], &[OWL]));
    assert_eq!(
        found,
        [format!("{train} and train/n01622779/n01622779_5.png have one source id, n01622779_5: rename one")]
    );
    let found = problems(image_folder(&["cat/a.jpg", "cat/a.png", "cat/b/a.jpg"], &["cat"]));
    assert_eq!(found, ["cat/a.jpg and cat/a.png have one source id, cat/a: rename one"]);
}

#[test]
fn an_image_folder_has_splits_or_none() {
    let source = image_folder(
        &["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.png", "test/cat/deep/er/3.jpg"],
        &["cat", "dog"],
    );
    assert_eq!(
        listed(&source.unwrap()),
        [
            "test/cat/deep/er/3.jpg test/cat/deep/er/3 cat test",
            "train/cat/1.jpg train/cat/1 cat train",
            "train/dog/1.jpg train/dog/1 dog train",
            "val/cat/2.png val/cat/2 cat val",
        ]
    );
    let source =
        image_folder(&["cat/1.jpg", "cat/deep/a.b.jpg", "dog/x.png", "cow/y.png", "README"], &["cat", "dog"]);
    let source = source.unwrap();
    assert_eq!(
        listed(&source),
        ["cat/1.jpg cat/1 cat train", "cat/deep/a.b.jpg cat/deep/a.b cat train", "dog/x.png dog/x dog train",]
    );
    let expected =
        "the source folder: left out 2 names, not the folder of a class of the recipe: README, cow (1 image)";
    assert_eq!(source.warnings, [expected]);
    let source =
        image_folder(&["train/cat/1.jpg", "validation/cat/2.jpg", "train/cat/x.gif"], &["cat"]).unwrap();
    assert_eq!(
        source.warnings,
        [
            "the source folder: left out 1 name, not the folder of a split (train, val, test): validation (1 image)",
            "train/cat: left out 1 name, not a JPEG or PNG by name: x.gif",
        ]
    );
    assert_eq!(
        problems(image_folder(&["train/cat/1.jpg"], &["cat", "dog"])),
        ["there is no folder dog/, neither below a split nor without one"]
    );
}

/// A source of version 2, with folders of splits and classes.
fn spec(splits: &[(Split, &str)], folders: &[(&str, &str)]) -> SourceSpec {
    let splits = splits.iter().map(|(split, folder)| (*split, (*folder).into())).collect::<Vec<_>>();
    let mut of: BTreeMap<ClassId, Vec<String>> = BTreeMap::new();
    for (id, folder) in folders {
        of.entry(id.parse().unwrap()).or_default().push((*folder).into());
    }
    SourceSpec {
        ids: Ids::Text,
        splits: (!splits.is_empty()).then_some(splits),
        folders: of,
        ..SourceSpec::new(SourceKind::ImageFolder)
    }
}

#[test]
fn a_recipe_says_which_folders_are_splits_and_classes() {
    let root = folder(&[
        "Training/Fruit/Golden Delicious (1)/1.jpg",
        "Training/Fruit/Golden Delicious (1)/more/1.jpg",
        "Training/Fruit/other/1.jpg",
        "Training/Fruit/note.txt",
        "Training/milk/1.jpg",
        "valid/Fruit/Golden Delicious (1)/1.jpg",
        "more/valid/milk/2.jpg",
        "more/readme",
        "train/milk/3.jpg",
    ]);
    let folders = [("gold", "Fruit/Golden Delicious (1)")];
    let splits = [
        (Split::Train, "Training"),
        (Split::Val, "valid"),
        (Split::Val, "more/valid"),
        (Split::Test, "testing"),
    ];
    let source = Source::open(&spec(&splits, &folders), root.path(), &classes(&["gold", "milk"])).unwrap();
    assert_eq!(
        listed(&source),
        [
            "Training/Fruit/Golden Delicious (1)/1.jpg train/Fruit/Golden Delicious (1)/1 gold train",
            "Training/Fruit/Golden Delicious (1)/more/1.jpg train/Fruit/Golden Delicious (1)/more/1 gold train",
            "Training/milk/1.jpg train/milk/1 milk train",
            "more/valid/milk/2.jpg val/milk/2 milk val",
            "valid/Fruit/Golden Delicious (1)/1.jpg val/Fruit/Golden Delicious (1)/1 gold val",
        ]
    );
    assert_eq!(
        source.warnings,
        [
            "the source folder: left out 1 name, not the folder of a split (Training, valid, more/valid, testing): \
             train (1 image)",
            "more: left out 1 name, not the folder of a split (Training, valid, more/valid, testing): readme",
            "no image is test: there is no folder testing",
            "Training/Fruit: left out 2 names, not the folder of a class of the recipe: note.txt, other (1 image)",
        ]
    );
    // One class may have several folders, in one split or each in another.
    let root = folder(&["train/Cap/1.jpg", "test/Mushroom/Cap/1.jpg", "test/Cap/2.jpg"]);
    let folders = [("cap", "Mushroom/Cap"), ("cap", "Cap")];
    let source = Source::open(&spec(&[], &folders), root.path(), &classes(&["cap"])).unwrap();
    assert_eq!(
        listed(&source),
        [
            "test/Cap/2.jpg test/Cap/2 cap test",
            "test/Mushroom/Cap/1.jpg test/Mushroom/Cap/1 cap test",
            "train/Cap/1.jpg train/Cap/1 cap train",
        ]
    );
    assert_eq!(
        problems(Source::open(&spec(&[], &folders), folder(&["Hat/1.jpg"]).path(), &classes(&["cap"]))),
        ["there is no folder Mushroom/Cap/, nor Cap/, neither below a split nor without one"]
    );
    // Without splits, and the whole as one class.
    let root = folder(&["Fruit/gold/1.jpg", "2.jpg"]);
    let open = |folders: &[(&str, &str)], ids: &[&str]| {
        Source::open(&spec(&[], folders), root.path(), &classes(ids))
    };
    assert_eq!(
        listed(&open(&[("gold", "Fruit/gold")], &["gold"]).unwrap()),
        ["Fruit/gold/1.jpg Fruit/gold/1 gold train"]
    );
    assert_eq!(
        listed(&open(&[("all", ".")], &["all"]).unwrap()),
        ["2.jpg 2 all train", "Fruit/gold/1.jpg Fruit/gold/1 all train"]
    );
    // What the recipe names must be there.
    assert_eq!(
        problems(open(&[("gold", "Fruit/Gold")], &["gold"])),
        ["there is no folder Fruit/Gold/, neither below a split nor without one"]
    );
    assert_eq!(
        problems(Source::open(&spec(&splits[..2], &folders), root.path(), &classes(&["gold"]))),
        ["there is no folder Training or valid, which the recipe names as splits"]
    );
    // One image under two folders of a split.
    let twice = folder(&["valid/milk/1.jpg", "more/valid/milk/1.png"]);
    assert_eq!(
        problems(Source::open(&spec(&splits, &[]), twice.path(), &classes(&["milk"]))),
        ["more/valid/milk/1.png and valid/milk/1.jpg have one source id, val/milk/1: rename one"]
    );
}

#[test]
fn an_id_that_file_systems_spell_differently_is_a_problem() {
    let found = problems(image_folder(&["cat/é/1.jpg"], &["cat"]));
    assert_eq!(
        found,
        ["cat/é/1.jpg: the name is not plain ASCII, as a recipe of version 1 needs it: rename it"]
    );
}

#[test]
fn version_2_takes_any_name_that_is_one_line_of_text() {
    // As macOS and as others spell it: one folder, and one id.
    let root = folder(&["cafe\u{301}/e\u{301} (1).jpg", "σκύλος/\u{202e}🦉.png", "x/ a.jpg", "x/a .jpg"]);
    let named = spec(&[], &[("cafe", "café"), ("dog", "σκύλος"), ("x", "x")]);
    let open = |ids: &[&str]| Source::open(&named, root.path(), &classes(ids));
    assert_eq!(
        listed(&open(&["cafe", "dog"]).unwrap()),
        [
            "cafe\u{301}/e\u{301} (1).jpg café/é (1) cafe train",
            "σκύλος/\u{202e}🦉.png σκύλος/\u{202e}🦉 dog train"
        ]
    );
    assert_eq!(problems(open(&["x"])), ["x/a .jpg: the name starts or ends with white space: rename it"]);
    let root = folder(&["x/é.jpg", "x/e\u{301}.jpg", "x/\u{1}.jpg"]);
    let source = Source::open(&named, root.path(), &classes(&["x"]));
    assert_eq!(
        problems(source),
        [
            "x/\u{1}.jpg: the name has a line break or another control character: rename it",
            "x/e\\u{301}.jpg and x/\\u{e9}.jpg have one source id, x/é: rename one",
        ]
    );
    let long = format!("x/{}/{0}.jpg", "é".repeat(100));
    let root = folder(&[long.as_str()]);
    let found = problems(Source::open(&named, root.path(), &classes(&["x"])));
    assert_eq!(
        found,
        [format!("{long}: the name and its path are too long: a source id has at most 384 bytes: rename it")]
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let elsewhere = folder(&["pictures/1.jpg"]);
    let root = folder(&["dog/2.jpg"]);
    symlink(elsewhere.path().join("pictures"), root.path().join("cat")).unwrap();
    symlink(root.path().join("dog/2.jpg"), root.path().join("dog/3.jpg")).unwrap();
    let source =
        Source::open(&SourceSpec::new(SourceKind::ImageFolder), root.path(), &classes(&["cat", "dog"]))
            .unwrap();
    assert_eq!(
        source.images.iter().map(|i| i.path).collect::<Vec<_>>(),
        ["cat/1.jpg", "dog/2.jpg", "dog/3.jpg"]
    );
    assert_eq!(source.read(source.images.get(0)).unwrap(), b"pictures/1.jpg");

    symlink(root.path(), root.path().join("dog/up")).unwrap();
    symlink("nowhere", root.path().join("dog/broken.jpg")).unwrap();
    let found =
        problems(Source::open(&SourceSpec::new(SourceKind::ImageFolder), root.path(), &classes(&["dog"])));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("dog/broken.jpg cannot be read: "), "{found:?}");
    assert_eq!(found[1], "dog/up/dog is a link to a folder above it");
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf8_is_a_problem() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let root = folder(&["cat/1.jpg"]);
    fs::write(root.path().join("cat").join(OsStr::from_bytes(b"\xff.jpg")), "x").unwrap();
    let found =
        problems(Source::open(&SourceSpec::new(SourceKind::ImageFolder), root.path(), &classes(&["cat"])));
    assert_eq!(found, ["cat/\u{fffd}.jpg: the name is not UTF-8: rename it"]);
}

#[test]
fn a_file_that_changed_since_it_was_listed_is_refused() {
    let root = folder(&["cat/1.jpg"]);
    let source =
        Source::open(&SourceSpec::new(SourceKind::ImageFolder), root.path(), &classes(&["cat"])).unwrap();
    assert_eq!(source.read(source.images.get(0)).unwrap(), b"cat/1.jpg");
    fs::write(root.path().join("cat/1.jpg"), "longer than it was").unwrap();
    assert!(source.read(source.images.get(0)).unwrap_err().to_string().contains("changed during the build"));
    fs::remove_file(root.path().join("cat/1.jpg")).unwrap();
    assert!(matches!(source.read(source.images.get(0)), Err(Error::Io { .. })));
}

#[test]
fn the_order_of_creation_does_not_matter() {
    let mut paths =
        vec!["train/cat/b.jpg", "train/cat/B.png", "train/cat/a/c.jpg", "val/cat/d.jpg", "train/cat/a.jpg"];
    let first = image_folder(&paths, &["cat"]).unwrap();
    paths.reverse();
    assert_eq!(listed(&first), listed(&image_folder(&paths, &["cat"]).unwrap()));
    assert!(first.images.iter().is_sorted_by(|a, b| a.path.as_bytes() < b.path.as_bytes()));
}

#[test]
fn real_images_are_found() {
    let data = std::env::var_os("ISN_TEST_DATA").map_or_else(
        || Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("../shared/data"),
        PathBuf::from,
    );
    let slice = data.join("ilsvrc-slice");
    if slice.is_dir() {
        let ids = [
            "n01440764",
            "n02102040",
            "n02979186",
            "n03000684",
            "n03028079",
            "n03394916",
            "n03417042",
            "n03425413",
            "n03445777",
            "n03888257",
        ];
        let source = Source::open(&SourceSpec::new(SourceKind::Ilsvrc2012), &slice, &classes(&ids)).unwrap();
        assert_eq!(source.warnings, [] as [String; 0]);
        for id in ids {
            let of =
                |split| source.images.iter().filter(|i| i.class.as_str() == id && i.split == split).count();
            assert_eq!((of(Split::Train), of(Split::Val)), (120, 50), "{id}");
        }
    }
    let raw = data.join("ilsvrc-raw");
    if raw.is_dir() {
        let ids: Vec<&str> =
            (0..1000).filter_map(wnid_at).filter(|id| raw.join("train").join(id).is_dir()).collect();
        let source = Source::open(&SourceSpec::new(SourceKind::Ilsvrc2012), &raw, &classes(&ids)).unwrap();
        assert_eq!((source.images.len(), source.warnings.len()), (100, 1));
    }
}

#[test]
fn an_id_tells_the_split_that_the_source_has_an_image_in() {
    for (kind, id, split) in [
        (SourceKind::Ilsvrc2012, "ILSVRC2012_val_00000318", Split::Val),
        (SourceKind::Ilsvrc2012, "n01614925_10", Split::Train),
        (SourceKind::ImageFolder, "val/ant/ant_1", Split::Val),
        (SourceKind::ImageFolder, "test/ant/deep/ant_1", Split::Test),
        (SourceKind::ImageFolder, "ant/val/ant_1", Split::Train),
    ] {
        assert_eq!(kind.origin(id), split, "{id}");
    }
}
