//! `isn source`, `isn verify-source`, and builds from every layout of ImageNet.

use std::fs;

use serde_json::json;

use crate::sandbox::{Sandbox, gradient};

pub const EAGLE: &str = "n01614925";
pub const OWL: &str = "n01622779";
/// The validation images of the two classes.
const VAL: [(&str, &str); 4] = [
    (EAGLE, "ILSVRC2012_val_00000128"),
    (OWL, "ILSVRC2012_val_00000318"),
    (EAGLE, "ILSVRC2012_val_00002031"),
    (OWL, "ILSVRC2012_val_00001213"),
];

/// A sandbox with an ImageNet-like recipe `grads-1.0.toml`, and the sources `raw` (unpacked), `tars` (the
/// official archives) and `kaggle`, all with the same drawn images.
pub fn layouts() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.recipe("grads", "1.0", &[EAGLE, OWL], "");
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    sandbox
        .write("grads-1.0.toml", text.replace("kind = \"imagefolder\"", "kind = \"ilsvrc2012\"").as_bytes());
    let (mut outer, mut val) = (tar::Builder::new(Vec::new()), tar::Builder::new(Vec::new()));
    for (c, class) in ["n01440764", EAGLE, OWL].into_iter().enumerate() {
        let mut inner = tar::Builder::new(Vec::new());
        for i in 0..6 {
            let name = format!("{class}_{i}.JPEG");
            let image = image_of(40 + i, 30 + c as u32);
            append(&mut inner, &name, &image);
            sandbox.write(&format!("raw/train/{class}/{name}"), &image);
        }
        append(&mut outer, &format!("{class}.tar"), &inner.into_inner().unwrap());
    }
    for (i, (_, id)) in VAL.into_iter().enumerate() {
        let image = image_of(60 + i as u32, 50);
        append(&mut val, &format!("{id}.JPEG"), &image);
        sandbox.write(&format!("raw/val/{id}.JPEG"), &image);
    }
    sandbox.write("tars/ILSVRC2012_img_train.tar", &outer.into_inner().unwrap());
    sandbox.write("tars/ILSVRC2012_img_val.tar", &val.into_inner().unwrap());
    sandbox.copy("raw", "kaggle/ILSVRC/Data/CLS-LOC");
    let rows: String = VAL.iter().map(|(class, id)| format!("{id},{class} 1 2 3 4 \n")).collect();
    sandbox.write("kaggle/LOC_val_solution.csv", format!("ImageId,PredictionString\n{rows}").as_bytes());
    sandbox
}

/// The images of `raw` in the layout that Hugging Face uses for ImageNet.
#[cfg(feature = "parquet")]
fn write_parquet(sandbox: &Sandbox) {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    let schema = "message schema { optional group image { optional binary bytes; optional binary path (UTF8); } \
                  optional int64 label; }";
    // The positions of n01440764, the eagle and the owl in the sorted list.
    let classes = [("n01440764", 0), (EAGLE, 22), (OWL, 24)];
    for (split, file) in [("train", "train-00000-of-00001"), ("val", "validation-00000-of-00001")] {
        let mut rows: Vec<(Vec<u8>, String, i64)> = Vec::new();
        for (name, bytes) in crate::sandbox::contents(&sandbox.path(&format!("raw/{split}"))) {
            let stem = name.rsplit('/').next().unwrap().trim_end_matches(".JPEG");
            let of_val = VAL.iter().find(|(_, id)| *id == stem).map(|(class, _)| *class);
            let class = of_val.unwrap_or_else(|| stem.split('_').next().unwrap());
            let label = classes.iter().find(|(id, _)| *id == class).unwrap().1;
            rows.push((bytes, format!("{stem}_{class}.JPEG"), label));
        }
        rows.reverse();
        sandbox.write(&format!("hf/data/{file}.parquet"), b"");
        let to = fs::File::create(sandbox.path(&format!("hf/data/{file}.parquet"))).unwrap();
        let schema = std::sync::Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(to, schema, Default::default()).unwrap();
        for rows in rows.chunks(5) {
            let mut group = writer.next_row_group().unwrap();
            let images: Vec<ByteArray> = rows.iter().map(|row| row.0.clone().into()).collect();
            let paths: Vec<ByteArray> = rows.iter().map(|row| row.1.as_str().into()).collect();
            for values in [images, paths] {
                let mut column = group.next_column().unwrap().unwrap();
                let levels = vec![2; rows.len()];
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
                column.close().unwrap();
            }
            let mut column = group.next_column().unwrap().unwrap();
            let labels: Vec<i64> = rows.iter().map(|row| row.2).collect();
            column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; rows.len()]), None).unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
    }
}

fn image_of(width: u32, height: u32) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    gradient(width, height, (width + height) as u8).write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    builder.append_data(&mut header, name, bytes).unwrap();
}

#[test]
fn every_layout_gives_the_same_version_and_is_said() {
    let sandbox = layouts();
    let mut pins = Vec::new();
    let mut layouts = vec![
        ("raw", "unpacked folders"),
        ("tars", "official archives (2 tars)"),
        ("kaggle", "Kaggle CLS-LOC"),
        ("kaggle/ILSVRC/Data", "Kaggle CLS-LOC"),
    ];
    #[cfg(feature = "parquet")]
    {
        write_parquet(&sandbox);
        layouts.push(("hf", "Hugging Face parquet (2 files)"));
    }
    for (source, layout) in layouts.drain(..) {
        let out = format!("out-{}", source.replace('/', "-"));
        let build = ["build", "grads-1.0.toml", "--source", source, "--out", &out];
        let ran = sandbox.isn(&build).ok();
        assert!(ran.stderr.contains(&format!("source: {layout}")), "{}", ran.stderr);
        assert!(ran.stdout.contains(&format!("source   {layout}\n")), "{}", ran.stdout);
        let report = sandbox.isn(&[&build[..], &["--json"]].concat()).ok().json();
        assert_eq!((&report["source"], &report["images"]), (&json!(layout), &json!(16)));
        assert_eq!(report["warnings"], json!([]));
        pins.push((report["pin"].clone(), report["manifest"].clone()));
    }
    assert!(pins.windows(2).all(|pair| pair[0] == pair[1]), "{pins:?}");
    // The archives' indexes are in the cache and nowhere else.
    assert_eq!(fs::read_dir(sandbox.path("home/cache/sources")).unwrap().count(), 2);
    assert_eq!(fs::read_dir(sandbox.path("tars")).unwrap().count(), 2);
    sandbox.isn(&["cache", "info"]).ok().fails(0, "sources");
    let kept = sandbox.isn(&["cache", "gc", "--max-size", "0"]).ok();
    assert!(!kept.stderr.contains("error"));
    assert_eq!(fs::read_dir(sandbox.path("home/cache/sources")).unwrap().count(), 0);
}

#[test]
fn a_cut_archive_ends_the_build_before_anything_is_made() {
    let sandbox = layouts();
    let path = "tars/ILSVRC2012_img_train.tar";
    let bytes = sandbox.read(path);
    sandbox.write(path, &bytes[..bytes.len() * 2 / 3]);
    let build = ["build", "grads-1.0.toml", "--source", "tars", "--out", "out"];
    sandbox.isn(&build).fails(1, "the archive is cut short");
    assert!(!sandbox.path("out").exists());
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn check_says_what_lacks_by_class_and_split() {
    let sandbox = layouts();
    let check = |source: &str, more: &[&str]| {
        sandbox.isn(&[&["source", "check", source, "--recipe", "grads-1.0.toml"], more].concat())
    };
    let ran = check("raw", &[]).fails(8, "INCOMPLETE");
    assert!(ran.stdout.contains("raw: unpacked folders"), "{}", ran.stdout);
    assert!(ran.stdout.contains("n01614925  6 of 1300, 1294 missing, 0 extra"), "{}", ran.stdout);
    let report = check("raw", &["--json"]).fails(8, "").json();
    assert_eq!(
        (&report["ok"], &report["layout"], &report["images"]),
        (&json!(false), &json!("unpacked folders"), &json!(16))
    );
    let val = &report["counts"][1];
    assert_eq!((&val["class"], &val["split"], &val["found"]), (&json!(EAGLE), &json!("val"), &json!(2)));
    assert_eq!((&val["expected"], &val["missing"]), (&json!(50), &json!(48)));
    let missing = val["missing_ids"].as_array().unwrap();
    assert!(missing.len() == 48 && !missing.contains(&json!("ILSVRC2012_val_00000128")));

    // Archives are checked by length, or by checksum.
    let ran = check("tars", &[]).fails(8, "ILSVRC2012_img_train.tar: DIFFERS: ");
    assert!(ran.stdout.contains("bytes, published 147897477120"), "{}", ran.stdout);
    let ran = check("tars", &["--checksums"]).fails(8, "published 29b22e2961454d5413ddabcf34fc5622");
    assert!(ran.stdout.contains("ILSVRC2012_img_val.tar: DIFFERS: MD5 "), "{}", ran.stdout);

    // A whole class that is missing, and labels that differ.
    fs::remove_dir_all(sandbox.path("kaggle/ILSVRC/Data/CLS-LOC/train/n01622779")).unwrap();
    sandbox.write(
        "kaggle/LOC_val_solution.csv",
        b"ImageId,PredictionString\nILSVRC2012_val_00000128,n01622779 1 2 3 4\n",
    );
    let ran = check("kaggle", &[]).fails(8, "there is no folder ILSVRC/Data/CLS-LOC/train/n01622779/");
    assert!(ran.stdout.contains("line 2: ILSVRC2012_val_00000128 is n01622779 there"), "{}", ran.stdout);

    // A source of a kind without known contents is complete if it has all classes.
    sandbox.image_folder("folder", &["ant", "bee"], 3);
    sandbox.recipe("own", "1.0", &["ant", "bee"], "");
    let own = ["source", "check", "folder", "--recipe", "own-1.0.toml"];
    sandbox.isn(&own).ok().fails(0, "6 images of 2 classes");
    fs::remove_dir_all(sandbox.path("folder/bee")).unwrap();
    sandbox.isn(&own).fails(8, "there is no folder bee/");
    sandbox.isn(&["source", "check", "nowhere", "--recipe", "own-1.0.toml"]).fails(6, "nowhere");
}

#[test]
fn verify_source_compares_the_files_and_nothing_else() {
    let sandbox = layouts();
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    let verify = |source: &str, more: &[&str]| {
        let args = ["verify-source", "grads@1.0", "--registry", "reg", "--source", source];
        sandbox.isn(&[&args[..], more].concat())
    };
    for (source, layout) in
        [("raw", "unpacked folders"), ("tars", "official archives (2 tars)"), ("kaggle", "Kaggle CLS-LOC")]
    {
        verify(source, &[]).ok().fails(0, &format!("{source} ({layout}): 16 source files as released"));
    }
    fs::remove_file(sandbox.path("raw/val/ILSVRC2012_val_00000318.JPEG")).unwrap();
    verify("raw", &[]).fails(8, "15 source files compared, 0 differ, 1 missing");
    sandbox.write(&format!("raw/train/{EAGLE}/{EAGLE}_3.JPEG"), b"not even an image");
    let ran = verify("raw", &[]).fails(3, "15 source files compared, 1 differ, 1 missing");
    assert!(ran.stdout.contains("n01614925_3.JPEG"), "{}", ran.stdout);
    let report = verify("raw", &["--json"]).fails(3, "").json();
    assert_eq!((&report["ok"], &report["checked"]), (&json!(false), &json!(15)));
    assert_eq!(report["differing"][0]["source_path"], format!("train/{EAGLE}/{EAGLE}_3.JPEG"));
    assert_eq!(report["missing"][0]["source_id"], "ILSVRC2012_val_00000318");
    assert_eq!(report["missing"][0]["cause"], "source-missing");
}
