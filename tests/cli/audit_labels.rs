//! `isn audit labels`. Tests in `src/audit/labels/tests.rs` compare its filters with cleanlab's.

use std::path::Path;

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, contents, real_data};

fn vectors() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/labels")
}

/// A little-endian `.npy` file of `rows`.
fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), elements].concat()
}

fn floats(rows: &[&[f64]]) -> Vec<u8> {
    let bytes: Vec<u8> = rows.iter().flat_map(|row| row.iter()).flat_map(|x| x.to_le_bytes()).collect();
    npy("<f8", &format!("({}, {})", rows.len(), rows.first().map_or(0, |row| row.len())), &bytes)
}

fn integers(labels: &[i64]) -> Vec<u8> {
    let bytes: Vec<u8> = labels.iter().flat_map(|x| x.to_le_bytes()).collect();
    npy("<i8", &format!("({},)", labels.len()), &bytes)
}

#[test]
fn the_last_line_of_json_has_the_rows_that_cleanlab_flags() {
    let sandbox = Sandbox::new();
    let expected: Value =
        serde_json::from_slice(&std::fs::read(vectors().join("expected.json")).unwrap()).unwrap();
    for (case, filter, rank) in [
        ("double", "both", "self_confidence"),
        ("single", "prune_by_noise_rate", "normalized_margin"),
        ("big-endian", "low_self_confidence", "confidence_weighted_entropy"),
    ] {
        let file = |what: &str| vectors().join(format!("{case}-{what}.npy")).to_str().unwrap().to_string();
        let (probs, labels) = (file("probs"), file("labels"));
        let args =
            ["audit", "labels", "--probs", &probs, "--labels", &labels, "--filter", filter, "--rank", rank];
        let ran = sandbox.isn(&[&args[..], &["--json"]].concat()).fails(8, "");
        let report = ran.json();
        assert_eq!(report["flagged"], expected[case][filter][rank], "{case}");
        assert_eq!(report["filter"], filter);
        let count = report["flagged"].as_array().unwrap().len();
        assert_eq!(report["counts"]["flagged"], count);
        for list in ["scores", "given", "suggested"] {
            assert_eq!(report[list].as_array().unwrap().len(), count, "{list}");
        }
        let scores: Vec<f64> = serde_json::from_value(report["scores"].clone()).unwrap();
        assert!(scores.is_sorted());
        let text = sandbox.isn(&[&args[..], &["--top", "3"]].concat()).fails(8, "flagged by").stdout;
        assert_eq!(text.lines().filter(|line| line.starts_with("      ")).count(), 4, "{text}");
    }
}

#[test]
fn tables_say_what_arrays_say() {
    let sandbox = Sandbox::new();
    sandbox.write("p.csv", b"ant,bee\n0.9,0.1\n0.2,0.8\n0.95,0.05\n0.1,0.9\n0.85,0.15\n");
    sandbox.write("l.csv", b"path,label\na,ant\nb,bee\nc,bee\nd,bee\ne,ant\n");
    sandbox.write("classes.csv", b"index,id,label,group\n0,ant,the ant,\n1,bee,the bee,\n");
    let rows: [&[f64]; 5] = [&[0.9, 0.1], &[0.2, 0.8], &[0.95, 0.05], &[0.1, 0.9], &[0.85, 0.15]];
    sandbox.write("p.npy", &floats(&rows));
    sandbox.write("l.npy", &integers(&[0, 1, 1, 1, 0]));
    let args = ["audit", "labels", "--probs", "p.csv", "--labels", "l.csv", "--classes", "classes.csv"];
    let filter = ["--filter", "predicted_neq_given", "--json"];
    let table = sandbox.isn(&[&args[..], &filter].concat()).fails(8, "").json();
    let args = ["audit", "labels", "--probs", "p.npy", "--labels", "l.npy"];
    let array = sandbox.isn(&[&args[..], &filter].concat()).fails(8, "").json();
    assert_eq!(table["flagged"], serde_json::json!([2]));
    assert_eq!(table["class_ids"], serde_json::json!(["ant", "bee"]));
    for field in ["flagged", "scores", "given", "suggested", "counts"] {
        assert_eq!(table[field], array[field], "{field}");
    }
    // Exits with 0 if nothing is flagged.
    sandbox.write("right.npy", &integers(&[0, 1, 0, 1, 0]));
    sandbox.isn(&["audit", "labels", "--probs", "p.npy", "--labels", "right.npy"]).ok();
}

#[test]
fn what_is_wrong_is_exit_1_and_named_by_row_and_column() {
    let sandbox = Sandbox::new();
    let good: &[f64] = &[0.25, 0.75];
    for (name, bytes) in [
        ("good.npy", floats(&[good, good, good])),
        ("nan.npy", floats(&[good, &[0.5, f64::NAN], good])),
        ("negative.npy", floats(&[good, good, &[-0.25, 1.25]])),
        ("sums.npy", floats(&[&[0.5, 0.4], good, good])),
        ("one.npy", floats(&[&[1.0], &[1.0], &[1.0]])),
        ("none.npy", floats(&[])),
        ("flat.npy", npy("<f8", "(3,)", &[0; 24])),
        ("half.npy", npy("<f2", "(3, 2)", &[0; 12])),
        ("cut.npy", floats(&[good, good, good])[..100].to_vec()),
        ("labels.npy", integers(&[0, 1, 0])),
        ("two.npy", integers(&[0, 1])),
        ("beyond.npy", integers(&[0, 1, 2])),
        ("same.npy", integers(&[1, 1, 1])),
        ("words.csv", b"0\none\n1\n".to_vec()),
        ("picture.png", vec![1, 2, 3]),
    ] {
        sandbox.write(name, &bytes);
    }
    for (probs, labels, message) in [
        ("nan.npy", "labels.npy", "nan.npy: row 1, column 1 is NaN"),
        ("negative.npy", "labels.npy", "negative.npy: row 2, column 0 is -0.25"),
        ("sums.npy", "labels.npy", "sums.npy: row 0, columns 0 to 1 sum to 0.900000"),
        ("one.npy", "labels.npy", "one.npy has only column 0 in rows 0 to 2"),
        ("none.npy", "labels.npy", "none.npy has 0 rows and 0 columns"),
        ("flat.npy", "labels.npy", "flat.npy has shape (3,)"),
        ("half.npy", "labels.npy", "half.npy has dtype '<f2'"),
        ("cut.npy", "labels.npy", "cut.npy has "),
        ("picture.png", "labels.npy", "picture.png is neither a .npy"),
        ("good.npy", "two.npy", "two.npy has 2 labels, but good.npy has 3 rows"),
        ("good.npy", "beyond.npy", "beyond.npy: row 2 is 2, but the probabilities have columns 0 to 1"),
        ("good.npy", "same.npy", "same.npy: rows 0 to 2 are all 1"),
        ("good.npy", "words.csv", "words.csv: row 1, column 0 is 'one'"),
        ("good.npy", "good.npy", "good.npy holds floats"),
        ("labels.npy", "labels.npy", "labels.npy has shape (3,)"),
    ] {
        let args = ["audit", "labels", "--probs", probs, "--labels", labels, "--filter", "both", "--json"];
        let ran = sandbox.isn(&args).fails(1, message);
        assert_eq!(ran.json()["exit_code"], 1);
    }
    sandbox.isn(&["audit", "labels", "--probs", "good.npy"]).fails(2, "--labels");
    sandbox.isn(&["audit", "labels", "--labels", "labels.npy"]).fails(2, "--probs");
    sandbox.isn(&["audit", "labels", "--pixels", "--labels", "labels.npy"]).fails(2, "PATH|REF");
}

#[test]
fn images_of_several_classes_are_claimed_and_kept_with_both() {
    let sandbox = Sandbox::new();
    for (class, n) in [("ant", 0), ("ant", 1), ("ant", 2), ("bee", 3), ("bee", 4)] {
        let path = sandbox.path(&format!("data/{class}/{n}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(8, 8 + n).save(path).unwrap();
    }
    let rows: [&[f64]; 5] = [&[0.9, 0.1], &[0.55, 0.45], &[0.1, 0.9], &[0.2, 0.8], &[0.1, 0.9]];
    sandbox.write("p.npy", &floats(&rows));
    let audit = ["audit", "labels", "data", "--probs", "p.npy", "--filter", "several", "--claims", "l.csv"];
    let report = sandbox.isn(&[&audit[..], &["--json"]].concat()).fails(8, "").json();
    assert_eq!(report["images"], json!(["ant/1.png"]));
    assert_eq!((&report["rank"], &report["scores"]), (&json!("second_probability"), &json!([0.55])));
    let claims = String::from_utf8(sandbox.read("l.csv")).unwrap();
    assert!(claims.contains("claim,ant/1,several,ant bee,,audit-labels,"), "{claims}");
    let keep = ["ledger", "add", "l.csv", "ant/1", "keep", "bee", "--reason", "several", "--reviewer", "Ann"];
    sandbox.isn(&keep).ok();
    assert!(
        String::from_utf8(sandbox.read("l.csv")).unwrap().contains("decision,ant/1,keep,bee,several,,Ann,")
    );
}

/// Makes plain pictures of three colours, with noise, and returns the image that is in the wrong folder.
fn colours(sandbox: &Sandbox) -> &'static str {
    let mut random = fastrand::Rng::with_seed(3);
    for (class, colour) in [("ant", [200, 60, 60]), ("bee", [60, 200, 60]), ("cat", [60, 60, 200])] {
        for number in 0..14 {
            let image = image::RgbImage::from_fn(40, 30, |x, _| {
                let noise = |c: u8| c.wrapping_add(random.u8(0..50)).saturating_sub((x / 4) as u8);
                image::Rgb(colour.map(noise))
            });
            let split = if number < 10 { "train" } else { "val" };
            let wrong = class == "bee" && number == 4;
            let folder = if wrong { "cat" } else { class };
            let path = sandbox.path(&format!("tree/{split}/{folder}/{class}_{number}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image.save(path).unwrap();
        }
    }
    "train/cat/bee_4.png"
}

#[test]
fn pixels_alone_find_a_green_picture_among_blue_ones_and_claim_so() {
    let sandbox = Sandbox::new();
    let wrong = colours(&sandbox);
    let args = [
        "audit",
        "labels",
        "tree",
        "--pixels",
        "--json",
        "--claims",
        "ledger.csv",
        "--scores",
        "s.csv",
        "--html",
        "s.html",
    ];
    let mut report = sandbox.isn(&args).fails(8, "").json();
    let guess = report["warnings"].take().to_string();
    assert!(guess.contains("source ids are guessed from the paths in tree (train/ant/"), "{guess}");
    assert_eq!(report["images"][0], wrong);
    assert_eq!((&report["given"][0], &report["suggested"][0]), (&2.into(), &1.into()));
    assert_eq!(report["class_ids"], serde_json::json!(["ant", "bee", "cat"]));
    let ledger = String::from_utf8(sandbox.read("ledger.csv")).unwrap();
    let first = ledger.lines().nth(1).unwrap();
    assert!(
        first.starts_with("claim,train/cat/bee_4,label,bee,") && first.contains("audit-labels"),
        "{ledger}"
    );
    assert_eq!(ledger.lines().count() - 1, report["counts"]["flagged"]);
    sandbox.isn(&["ledger", "show", "ledger.csv"]).ok();
    let sheet = String::from_utf8(sandbox.read("s.html")).unwrap();
    assert_eq!(sheet.matches("<img ").count(), report["flagged"].as_array().unwrap().len());
    assert!(sheet.contains("<dt>given</dt><dd>cat</dd><dt>suggested</dt><dd>bee</dd>"), "{sheet}");
    let scores = String::from_utf8(sandbox.read("s.csv")).unwrap();
    let lines: Vec<&str> = scores.lines().collect();
    assert_eq!(lines.len(), 1 + 42);
    assert_eq!(lines[0], "row,image,given,suggested,score,flagged");
    assert!(lines[1].contains(",train/cat/bee_4.png,cat,bee,0.") && lines[1].ends_with(",1"), "{}", lines[1]);
    // One thread finds what two find, and every run finds the same.
    let mut again =
        sandbox.isn(&["audit", "labels", "tree", "--pixels", "--json", "-j", "1"]).fails(8, "").json();
    assert_eq!(again["warnings"].take(), serde_json::json!([]));
    assert_eq!(again, report);
    let text = sandbox.isn(&["audit", "labels", "tree", "--pixels", "--top", "1"]).fails(8, wrong).stdout;
    assert!(text.contains("cat           bee"), "{text}");
}

#[test]
fn a_folder_a_build_a_tree_and_a_version_are_audited_alike() {
    let (sandbox, _) = Sandbox::published();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "pulled"]).ok();
    let scores = |target: &str| {
        let args =
            ["audit", "labels", target, "--pixels", "--registry", "reg", "--scores", "s.csv", "--json"];
        let ran = sandbox.isn(&args);
        assert!([0, 8].contains(&ran.code), "{}", ran.stderr);
        assert_eq!(ran.json()["class_ids"], serde_json::json!(["ant", "bee", "cat"]));
        String::from_utf8(sandbox.read("s.csv")).unwrap()
    };
    let build = scores("out");
    assert_eq!(build.lines().count(), 1 + 24);
    assert_eq!(scores("pulled"), build);
    assert_eq!(scores("grads@1.0"), build);
    assert_eq!(scores("raw").lines().count(), 1 + 24);
}

#[test]
fn embeddings_of_a_file_find_what_is_far_from_its_class() {
    let sandbox = Sandbox::new();
    let mut random = fastrand::Rng::with_seed(5);
    let mut point = |class: usize| -> Vec<f64> {
        (0..6).map(|d| f64::from(u8::from(d % 2 == class)) + 0.3 * random.f64()).collect()
    };
    let rows: Vec<Vec<f64>> = (0..30).map(|row| point(row % 2)).collect();
    let mut labels: Vec<i64> = (0..30).map(|row| row % 2).collect();
    labels[7] = 0;
    sandbox.write("e.npy", &floats(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    sandbox.write("l.npy", &integers(&labels));
    for learner in ["ridge", "logistic", "neighbours", "both"] {
        let args =
            ["audit", "labels", "--embeddings", "e.npy", "--labels", "l.npy", "--learner", learner, "--json"];
        let report = sandbox.isn(&args).fails(8, "").json();
        assert_eq!(report["flagged"][0], 7, "{learner}");
        assert_eq!(report["learner"], learner);
    }
    let mut broken = rows.clone();
    broken[3][2] = f64::INFINITY;
    sandbox.write("broken.npy", &floats(&broken.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let args = ["audit", "labels", "--embeddings", "broken.npy", "--labels", "l.npy"];
    sandbox.isn(&args).fails(1, "broken.npy: row 3, column 2 is inf");
    sandbox.write("far.npy", &integers(&(0..30).map(|row| row * 1000).collect::<Vec<_>>()));
    let args = ["audit", "labels", "--embeddings", "e.npy", "--labels", "far.npy"];
    sandbox.isn(&args).fails(1, "far.npy: row 1 is 1000");
}

#[test]
fn images_that_cannot_be_decoded_are_left_out() {
    let sandbox = Sandbox::new();
    let wrong = colours(&sandbox);
    let args = ["audit", "labels", "tree", "--pixels", "--json"];
    let whole = sandbox.isn(&args).fails(8, "").json();
    sandbox.write("tree/train/ant/ant_00.png", b"no picture");
    sandbox.write("tree/val/bee/empty.jpg", b"");
    let ran = sandbox.isn(&args).fails(8, "left out 2 images that cannot be decoded");
    assert!(ran.stderr.contains("the first is train/ant/ant_00.png: not a JPEG or PNG"), "{}", ran.stderr);
    let report = ran.json();
    assert_eq!(report["images"][0], wrong);
    for same in ["images", "given", "suggested", "scores"] {
        assert_eq!(report[same], whole[same], "{same}");
    }
    // The rows of a file of labels are those of all images.
    sandbox.write("l.npy", &integers(&[0; 44]));
    let args = ["audit", "labels", "tree", "--pixels", "--labels", "l.npy"];
    sandbox.isn(&args).fails(1, "l.npy has a label for each image, and 2 images cannot be decoded");
    for file in contents(&sandbox.path("tree")) {
        sandbox.write(&format!("tree/{}", file.0), b"no picture");
    }
    sandbox.isn(&["audit", "labels", "tree", "--pixels"]).fails(1, "tree has 44 mistakes");
}

#[cfg(not(feature = "onnx"))]
#[test]
fn without_the_feature_a_model_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new();
    colours(&sandbox);
    sandbox.isn(&["audit", "labels", "tree", "--onnx", "m.onnx"]).fails(1, "--features onnx");
}

#[cfg(feature = "onnx")]
#[test]
fn a_model_that_is_none_is_refused() {
    let sandbox = Sandbox::new();
    colours(&sandbox);
    sandbox.isn(&["audit", "labels", "tree", "--onnx", "m.onnx"]).fails(6, "cannot read m.onnx");
    sandbox.write("m.onnx", b"no model");
    sandbox.isn(&["audit", "labels", "tree", "--onnx", "m.onnx"]).fails(1, "tract cannot read it");
}

#[test]
fn cifar_10_through_the_command() {
    let Some(data) = real_data().map(|data| data.join("label-audit")).filter(|data| data.is_dir()) else {
        return;
    };
    let file = |name: &str| data.join(name).to_str().unwrap().to_string();
    let (probs, labels) = (file("cifar10_test_set_pyx.npy"), file("cifar10_test_set_orig.npy"));
    let sandbox = Sandbox::new();
    for (filter, count, first) in [
        ("prune_by_noise_rate", 284, [3828, 2405, 6753, 9643, 9039]),
        ("prune_by_class", 284, [7794, 3828, 2405, 6753, 9643]),
        ("both", 226, [3828, 2405, 6753, 9643, 9039]),
        ("confident_learning", 244, [3828, 2405, 6753, 9643, 9039]),
        ("predicted_neq_given", 706, [7794, 3828, 2405, 6753, 9643]),
        ("low_normalized_margin", 244, [3828, 2405, 6753, 9643, 9039]),
        ("low_self_confidence", 244, [7794, 3828, 2405, 6753, 9643]),
    ] {
        let args = ["audit", "labels", "--probs", &probs, "--labels", &labels, "--filter", filter];
        let report =
            sandbox.isn(&[&args[..], &["--rank", "self_confidence", "--json"]].concat()).fails(8, "").json();
        let flagged: Vec<u64> = serde_json::from_value(report["flagged"].clone()).unwrap();
        assert_eq!((flagged.len(), &flagged[..5]), (count, &first[..]), "{filter}");
    }
}

/// A pipe is read to its end, and no further than its header says; a folder is called one.
#[test]
fn arrays_come_through_a_pipe() {
    let sandbox = Sandbox::new();
    let rows: [&[f64]; 5] = [&[0.9, 0.1], &[0.2, 0.8], &[0.95, 0.05], &[0.1, 0.9], &[0.85, 0.15]];
    sandbox.write("p.npy", &floats(&rows));
    sandbox.write("l.npy", &integers(&[0, 1, 1, 1, 0]));
    let whole = floats(&rows);
    sandbox.write("long.npy", &[&whole[..], b"x"].concat());
    sandbox.write("short.npy", &whole[..whole.len() - 1]);
    sandbox.write("vast.npy", &npy("<f8", "(4294967296, 4294967296)", b""));
    sandbox.write("large.npy", &npy("<f8", "(4294967296, 4)", b""));
    for name in ["pipe.npy", "labels.npy", "pipe.parquet"] {
        let made = std::process::Command::new("mkfifo").arg(sandbox.path(name)).status().unwrap();
        assert!(made.success());
    }
    let through = |from: &str, to: &str, args: &[&str]| {
        let (bytes, to) = (sandbox.read(from), sandbox.path(to));
        // Waits until isn has opened the pipe.
        let writer = std::thread::spawn(move || std::fs::write(to, bytes));
        let ran = sandbox.isn(&[&["audit", "labels", "--json"], args].concat());
        let _ = writer.join();
        ran
    };
    let filter = ["--filter", "predicted_neq_given"];
    let probs = [&["--probs", "pipe.npy", "--labels", "l.npy"], &filter[..]].concat();
    let report = through("p.npy", "pipe.npy", &probs).fails(8, "").json();
    assert_eq!(report["flagged"], serde_json::json!([2]));
    let labels = [&["--probs", "p.npy", "--labels", "labels.npy"], &filter[..]].concat();
    through("l.npy", "labels.npy", &labels).fails(8, "");
    for (from, why) in [
        ("long.npy", "has more than 80 bytes of elements, but shape (5, 2) needs 80 bytes"),
        ("short.npy", "has 79 bytes of elements, but shape (5, 2) needs 80 bytes"),
        ("vast.npy", "needs more bytes than there can be"),
        ("large.npy", "has at most 68719476736 bytes of elements, but shape (4294967296, 4) needs"),
    ] {
        through(from, "pipe.npy", &probs).fails(1, why);
    }
    let endless = ["audit", "labels", "--embeddings", "/dev/zero", "--labels", "l.npy"];
    sandbox.isn(&endless).fails(1, "/dev/zero is not a .npy file");
    for name in ["d.npy", "d.csv", "d.parquet"] {
        std::fs::create_dir(sandbox.path(name)).unwrap();
        let args = ["audit", "labels", "--probs", name, "--labels", "l.npy"];
        let ran = sandbox.isn(&args).fails(1, &format!("cannot read {name}"));
        assert!(ran.stderr.contains("it is a folder, and a file is needed"), "{}", ran.stderr);
    }
    let args = ["audit", "labels", "--probs", "pipe.parquet", "--labels", "l.npy"];
    sandbox.isn(&args).fails(1, "pipe.parquet is a pipe");
}
