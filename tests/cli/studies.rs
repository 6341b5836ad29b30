//! The original files of studies of ImageNet's labels: those with claims, by `isn ledger import`, and masks,
//! by `isn audit mask`. The modules that read them test what is wrong in them.

use std::io::{Cursor, Write as _};

use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::sandbox::Sandbox;

/// A `.npy` file.
fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), elements].concat()
}

fn doubles(shape: &str, numbers: &[f64]) -> Vec<u8> {
    npy("<f8", shape, &numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>())
}

/// A `.npz` of ReaL: two labels of image 18, one of image 7.
fn answers(tensor: Vec<u8>) -> Vec<u8> {
    let asked = ["18", "22", "18", "23", "07", "5"];
    let text = |(at, text): (usize, &str)| match at % 2 {
        0 => format!("ILSVRC2012_val_000000{text}.JPEG"),
        _ => text.to_owned(),
    };
    let characters = asked.into_iter().enumerate().flat_map(|each| {
        let text: Vec<u32> = text(each).chars().map(u32::from).collect();
        text.into_iter().chain(std::iter::repeat(0)).take(28).collect::<Vec<u32>>()
    });
    let info = npy("<U28", "(3, 2)", &characters.flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("tensor.npy", tensor), ("info.npy", info)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Writes a file of each study, and returns their names with the format that isn tells and the number of
/// rows.
fn studies(sandbox: &Sandbox) -> [(&'static str, &'static str, usize); 6] {
    let votes = [1., 0., 0., 0., 0., 1., 0., 1., 0.];
    sandbox.write("scores.npz", &answers(doubles("(3,)", &[0.9, 0.5, 0.1])));
    sandbox.write("raters.npz", &answers(doubles("(1, 3, 3)", &votes)));
    sandbox.write("ImageNetSemi_im50_train.txt", b"n01614925/n01614925_16.JPEG n01614925/n01614925_16.png\n");
    sandbox.write("fnames_clean.txt", b"n01440764_10026.JPEG\nn01614925_16.JPEG\n");
    sandbox.write("multilabel_compressed.tsv", b"n01614925/n01614925_16.JPEG\t22\t22,23\t0.2,0.9\n");
    sandbox.write(
        "clean_validation.csv",
        b"id,original_label,proposed_labels,validation\n\
          ILSVRC2012_val_00000018.JPEG,23,\"22, 23\",++\nILSVRC2012_val_00000007.JPEG,5,5,*\n",
    );
    [
        ("scores.npz", "ReaL's scores", 2),
        ("raters.npz", "votes by ReaL's raters", 2),
        ("ImageNetSemi_im50_train.txt", "a list of ImageNet-S", 1),
        ("fnames_clean.txt", "ReaL's clean train images", 2),
        ("multilabel_compressed.tsv", "multi-labels by a model", 1),
        ("clean_validation.csv", "labels on which studies agree", 2),
    ]
}

#[test]
fn files_of_studies_are_recognised_and_become_claims() {
    let sandbox = Sandbox::new();
    for (file, format, found) in studies(&sandbox) {
        let report = sandbox.isn(&["ledger", "import", "l.csv", file, "--json"]).ok().json();
        let counts = json!({ "format": format, "found": found, "images": found, "skipped": 0, "added": found,
                             "ledger": "l.csv", "conflicts": [], "warnings": [] });
        assert_eq!(report, counts, "{file}");
    }
    let rows = [
        "kind,source_id,says,labels,reason,source,reviewer,date,evidence",
        "claim,ILSVRC2012_val_00000007,none,,,real,,2020-06-12,scores n01496331 0.100000",
        "claim,ILSVRC2012_val_00000018,label,n01614925,,real,,2020-06-12,\
         \"scores n01614925 0.900000, n01616318 0.500000\"",
        "claim,ILSVRC2012_val_00000007,unclear,,,real-raters,,2020-06-12,no/maybe/yes n01496331 0/1/0",
        "claim,ILSVRC2012_val_00000018,label,n01616318,,real-raters,,2020-06-12,\
         \"no/maybe/yes n01614925 1/0/0, n01616318 0/0/1\"",
        "claim,n01614925_16,label,n01614925,,imagenet-s,,2022-11-03,\
         pixel mask drawn by hand; listed under n01614925",
        "claim,n01440764_10026,label,n01440764,,real-clean,,2020-06-12,in fnames_clean.txt",
        "claim,n01614925_16,label,n01614925,,real-clean,,2020-06-12,in fnames_clean.txt",
        "claim,n01614925_16,label,n01616318,,multilabel-imagenet,,2026-03-05,\
         \"a model's probabilities: n01614925 0.2, n01616318 0.9\"",
        "claim,ILSVRC2012_val_00000018,several,n01614925 n01616318,,kisel,,2025-03-20,agreement ++",
        "claim,ILSVRC2012_val_00000007,label,n01496331,,kisel,,2025-03-20,agreement *",
    ];
    let ledger = String::from_utf8(sandbox.read("l.csv")).unwrap();
    assert_eq!(ledger, rows.map(|row| format!("{row}\n")).concat());
}

#[test]
fn rows_of_other_classes_are_counted() {
    let sandbox = Sandbox::new();
    studies(&sandbox);
    let import = ["ledger", "import", "l.csv", "fnames_clean.txt", "--recipe", "imagebirds"];
    let text = sandbox.isn(&import).ok().stdout;
    let lines = [
        "fnames_clean.txt: 1 row about 1 image, read as ReaL's clean train images",
        "left out: 1 row about images of other classes",
        "l.csv: 1 added, 0 there already",
    ];
    assert!(text.starts_with(&lines.join("\n")), "{text}");
    let report = sandbox.isn(&[&import[..], &["--json"]].concat()).ok().json();
    let counts = ["found", "images", "skipped", "added"].map(|count| report[count].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1, 0]);
}

#[test]
fn a_file_that_says_too_little_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new();
    let votes = answers(doubles("(1, 3, 3)", &[0.0; 9]));
    sandbox.write("golden.npz", &votes);
    sandbox.write("cut.npz", &votes[..votes.len() - 30]);
    sandbox.write("pickled.npz", &answers(npy("|O", "(3,)", b"\x80\x04N.")));
    sandbox.write("names.txt", b"n01440764_10026.JPEG\n");
    sandbox.write("mask.npy", &npy("|b1", "(2,)", &[1, 0]));
    for (file, why) in [
        ("golden.npz", "has the answers to the golden questions, not those of raters.npz"),
        ("cut.npz", "cut.npz is not a whole .npz file"),
        ("pickled.npz", "which isn does not run: save an array of numbers or of text"),
        ("names.txt", "does not say what is claimed about them: write source_id as its first line"),
        ("mask.npy", "`isn audit mask DIR --kept FILE --claims"),
    ] {
        sandbox.isn(&["ledger", "import", "l.csv", file]).fails(1, why);
    }
    assert!(!sandbox.path("l.csv").exists());
    let named = ["ledger", "import", "l.csv", "golden.npz", "--source", "authors"];
    sandbox.isn(&named).ok();
    assert!(String::from_utf8(sandbox.read("l.csv")).unwrap().contains(",authors,,2020-06-12,"));
}

/// A folder with `train/` and `val/`, in which paths and ImageFolder have another order: a `-` is before a
/// `/`.
fn folder(sandbox: &Sandbox) {
    sandbox.image_folder("raw", &["ant-lion", "ant"], 2);
    std::fs::create_dir_all(sandbox.path("all")).unwrap();
    std::fs::rename(sandbox.path("raw"), sandbox.path("all/train")).unwrap();
    sandbox.image_folder("all/val", &["ant-lion", "ant"], 1);
}

const AUDIT: [&str; 3] = ["audit", "mask", "all"];

#[test]
fn a_mask_makes_suspects_by_their_places_in_image_folder() {
    let sandbox = Sandbox::new();
    folder(&sandbox);
    let mask = npy("|b1", "(4,)", &[1, 0, 1, 1]);
    sandbox.write("train_mask.npy", &mask);
    let kept = [&AUDIT[..], &["--kept", "train_mask.npy"]].concat();
    let report = sandbox.isn(&[&kept[..], &["--json", "--claims", "s.csv"]].concat()).fails(8, "").json();
    assert_eq!(report["source_ids"], json!(["train/ant/ant_1"]));
    assert_eq!(report["flagged"], json!([1]));
    assert_eq!(report["counts"], json!({ "rows": 4, "flagged": 1 }));
    let ledger = String::from_utf8(sandbox.read("s.csv")).unwrap();
    let row = ledger.lines().nth(1).unwrap();
    assert!(row.starts_with("claim,train/ant/ant_1,unclear,,,train_mask,,20"), "{row}");
    assert!(row.ends_with(",position 1 in the order of ImageFolder"), "{row}");
    let text = sandbox.isn(&kept).fails(8, "").stdout;
    assert!(text.starts_with("1 of 4 images flagged by train_mask; positions"), "{text}");
    assert!(text.contains("         1  train/ant/ant_1.png"), "{text}");

    // The other way round, most images are suspects, which is said.
    let issues = [&AUDIT[..], &["--issues", "train_mask.npy"]].concat();
    let ran = sandbox.isn(&issues).fails(8, "");
    assert!(ran.stderr.contains("3 of 4 images are suspects: if true marks what was kept"), "{}", ran.stderr);

    // Claims of a mask are in no recipe's count.
    sandbox.recipe("grads", "1.0", &["ant", "ant-lion"], "\n[corrections]\nfile = \"s.csv\"\nagree = 1\n");
    let check = ["ledger", "check", "grads-1.0.toml", "--source", "all", "--json"];
    let checked = sandbox.isn(&check).ok().json();
    assert_eq!((&checked["decided"], &checked["open"]), (&json!([]), &json!([])));
}

#[test]
fn positions_are_suspects_in_their_own_order() {
    let sandbox = Sandbox::new();
    folder(&sandbox);
    let positions = |positions: &[i64]| {
        let bytes: Vec<u8> = positions.iter().flat_map(|n| n.to_le_bytes()).collect();
        npy("<i8", &format!("({},)", positions.len()), &bytes)
    };
    sandbox.write("issues.npy", &positions(&[2, 0]));
    let audit = |folder: &str| sandbox.isn(&["audit", "mask", folder, "--issues", "issues.npy", "--json"]);
    let ran = audit("all/train").fails(8, "");
    assert_eq!(ran.json()["source_ids"], json!(["ant-lion/ant-lion_0", "ant/ant_0"]));
    assert!(ran.stderr.contains("does not say how many images it counts"), "{}", ran.stderr);
    audit("all").fails(1, "all has 4 images in train, 2 images in val: name the folder");
    for (numbers, why) in [
        (&[0, 4][..], "row 1 is 4: expected a position from 0 to 3"),
        (&[-1], "row 0 is -1: expected a position from 0 to 3"),
        (&[1, 2, 1], "rows 0 and 2 are both 1: expected different positions"),
    ] {
        sandbox.write("issues.npy", &positions(numbers));
        audit("all/train").fails(1, why);
    }
}

#[test]
fn a_mask_of_other_images_is_refused() {
    let sandbox = Sandbox::new();
    folder(&sandbox);
    sandbox.write("five.npy", &npy("|b1", "(5,)", &[1; 5]));
    sandbox.write("flat.npy", &npy("|b1", "(2, 2)", &[1; 4]));
    sandbox.write("floats.npy", &doubles("(4,)", &[1.0; 4]));
    sandbox.write("two.npy", &npy("|b1", "(4,)", &[1, 1, 2, 1]));
    sandbox.write("numbers.npy", &npy("|i1", "(4,)", &[1, 0, 1, 1]));
    sandbox.write("pickled.npy", &npy("|O", "(4,)", b"\x80\x04N."));
    for (flag, file, why) in [
        ("--kept", "five.npy", "has 5 values, but all has 4 images in train, 2 images in val"),
        ("--issues", "five.npy", "has 5 values, but all has"),
        ("--kept", "flat.npy", "has two dimensions"),
        ("--issues", "floats.npy", "holds floats: expected truth values, or the positions"),
        ("--kept", "floats.npy", "is not a mask of truth values"),
        ("--kept", "two.npy", "row 2 is 2"),
        ("--kept", "numbers.npy", "is not a mask of truth values"),
        ("--issues", "pickled.npy", "which isn does not run"),
    ] {
        sandbox.isn(&[&AUDIT[..], &[flag, file]].concat()).fails(1, why);
    }
    sandbox.isn(&[&AUDIT[..], &["--kept", "none.npy"]].concat()).fails(6, "cannot read none.npy");
    sandbox.isn(&AUDIT).fails(2, "--kept <FILE>");
    sandbox.isn(&[&AUDIT[..], &["--kept", "five.npy", "--issues", "five.npy"]].concat()).fails(2, "--issues");
    sandbox.isn(&["audit", "mask", "none", "--kept", "five.npy"]).fails(6, "cannot read none");
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.isn(&["audit", "mask", "empty", "--kept", "five.npy"]).fails(1, "but empty has 0 images");
}
