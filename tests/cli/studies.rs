//! The original files of studies of ImageNet's labels. The modules that read them test what is wrong in them.

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
                             "ledger": "l.csv", "conflicts": [] });
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
        ("mask.npy", "is an array, which names no images"),
    ] {
        sandbox.isn(&["ledger", "import", "l.csv", file]).fails(1, why);
    }
    assert!(!sandbox.path("l.csv").exists());
    let named = ["ledger", "import", "l.csv", "golden.npz", "--source", "authors"];
    sandbox.isn(&named).ok();
    assert!(String::from_utf8(sandbox.read("l.csv")).unwrap().contains(",authors,,2020-06-12,"));
}
