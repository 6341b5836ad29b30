//! Embeddings that are kept in a folder: `--save-embeddings`, and what reads them.

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, gradient, noise};

/// A field of a protobuf message.
fn field(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = vec![number << 3 | 2];
    out.extend(varint(bytes.len()));
    out.extend_from_slice(bytes);
    out
}

fn whole(number: u8, value: usize) -> Vec<u8> {
    [vec![number << 3], varint(value)].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A picture of 32 × 32 in, or numbers out: `ValueInfoProto`.
fn tensor(name: &str, shape: &[usize]) -> Vec<u8> {
    let dims = shape.iter().flat_map(|&side| field(1, whole(1, side))).collect::<Vec<_>>();
    [field(1, name), field(2, field(1, [whole(1, 1), field(2, dims)].concat()))].concat()
}

/// An ONNX model of two layers: `four` has the means of 16 × 16 pixels, and `mean` those of all of them.
fn model() -> Vec<u8> {
    let node = |input: &str, output: &str, kind: &str, attributes: &[u8]| {
        field(
            1,
            [field(1, input), field(2, output), field(3, output), field(4, kind), attributes.to_vec()]
                .concat(),
        )
    };
    let sides = |name: &str| {
        let attribute = [field(1, name), whole(8, 16), whole(8, 16), whole(20, 7)].concat();
        // The field's number 20 takes two bytes.
        field(5, attribute.strip_suffix(&whole(20, 7)[..]).map(|a| [a, &[0xa0, 1, 7]].concat()).unwrap())
    };
    let pool = [sides("kernel_shape"), sides("strides")].concat();
    let graph = [
        node("picture", "four", "AveragePool", &pool),
        node("four", "mean", "GlobalAveragePool", &[]),
        field(2, "graph"),
        field(11, tensor("picture", &[1, 3, 32, 32])),
        field(12, tensor("mean", &[1, 3, 1, 1])),
    ];
    [whole(1, 8), field(7, graph.concat()), field(8, whole(2, 13))].concat()
}

/// Two classes that their colours tell apart, the first picture of the second among the first.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("model.onnx", &model());
    for (class, seed) in [("ant", 0u8), ("bee", 120)] {
        std::fs::create_dir_all(sandbox.path(&format!("raw/{class}"))).unwrap();
        for at in 0..8 {
            let picture = gradient(41, 33, seed + 3 * at);
            picture.save(sandbox.path(&format!("raw/{class}/{class}_{at}.png"))).unwrap();
        }
    }
    sandbox
}

const AUDIT: [&str; 10] =
    ["audit", "labels", "raw", "--onnx", "model.onnx", "--layer", "four", "--learner", "ridge", "--json"];
const SAVE: [&str; 2] = ["--save-embeddings", "kept"];

/// Runs with more arguments, and returns the report without its warnings.
fn report(sandbox: &Sandbox, args: &[&str], more: &[&str]) -> Value {
    let ran = sandbox.isn(&[args, more].concat());
    assert!(matches!(ran.code, 0 | 8), "{}", ran.stderr);
    ran.json()
}

fn kept(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    crate::sandbox::contents(&sandbox.path("kept"))
}

#[test]
fn what_is_kept_is_not_computed_again_and_says_the_same() {
    let sandbox = sandbox();
    let without = report(&sandbox, &AUDIT, &[]);
    assert_eq!(report(&sandbox, &AUDIT, &SAVE), without);
    let first = kept(&sandbox);
    assert_eq!(first.len(), 3, "{first:?}");
    assert_eq!(report(&sandbox, &AUDIT, &SAVE), without);
    assert_eq!(kept(&sandbox), first);
    // Without the model, and wherever the images are.
    std::fs::remove_file(sandbox.path("model.onnx")).unwrap();
    let saved = ["audit", "labels", "raw", "--embeddings", "kept", "--learner", "ridge", "--json"];
    assert_eq!(report(&sandbox, &saved, &[]), without);
    std::fs::rename(sandbox.path("raw/ant"), sandbox.path("raw/wasp")).unwrap();
    let moved = report(&sandbox, &saved, &[]);
    assert_eq!(moved["class_ids"], json!(["bee", "wasp"]));
    assert_eq!(kept(&sandbox), first);
}

#[test]
fn only_new_images_are_added_and_absent_ones_are_told() {
    let sandbox = sandbox();
    report(&sandbox, &AUDIT, &SAVE);
    noise(7).save(sandbox.path("raw/bee/new.png")).unwrap();
    sandbox.write("raw/bee/broken.png", b"no picture");
    let saved = ["audit", "labels", "raw", "--embeddings", "kept"];
    let told =
        sandbox.isn(&saved).fails(1, "kept has no embedding of 1 image of raw, the first is bee/new.png");
    let options = "isn audit labels raw --onnx MODEL --layer four --input-size 32 --channels rgb --mean=123.675,116.28,103.53 \
                   --std=58.395,57.12,57.375 --save-embeddings kept`";
    assert!(told.stderr.contains(options), "{}", told.stderr);
    let before = kept(&sandbox).len();
    let added = report(&sandbox, &AUDIT, &SAVE);
    assert_eq!(kept(&sandbox).len(), before + 2);
    let lists: String = kept(&sandbox)
        .into_iter()
        .filter(|(name, _)| name.ends_with(".csv"))
        .map(|(_, list)| String::from_utf8(list).unwrap())
        .collect();
    assert_eq!(lists.matches(".png").count(), 17, "{lists}");
    let warnings = added["warnings"].to_string();
    assert!(warnings.contains("left out 1 image that cannot be decoded"), "{warnings}");
    let again = report(&sandbox, &[&saved[..], &["--learner", "ridge", "--json"]].concat(), &[]);
    assert_eq!(again, added);
}

#[test]
fn parts_of_several_machines_are_one_folder() {
    let sandbox = sandbox();
    let whole = report(&sandbox, &AUDIT, &["--save-embeddings", "alone"]);
    for (part, of_part) in [("1/3", 6), ("2/3", 5), ("3/3", 5)] {
        let folder = format!("part{}", &part[..1]);
        let more = ["--save-embeddings", &folder, "--part", part];
        let told = report(&sandbox, &AUDIT, &more);
        let wanted = json!({
            "folder": folder, "part": part[..1].parse::<usize>().unwrap(), "parts": 3,
            "embeddings": of_part, "undecodable": 0, "warnings": [],
        });
        assert_eq!(told, wanted);
        sandbox.copy(&folder, "kept");
    }
    assert_eq!(
        report(
            &sandbox,
            &["audit", "labels", "raw", "--embeddings", "kept", "--learner", "ridge", "--json"],
            &[]
        ),
        whole
    );
    for part in ["0/3", "4/3", "1", "1/0", "a/b", "-1/2"] {
        sandbox
            .isn(&[&AUDIT[..], &SAVE, &[&*format!("--part={part}")]].concat())
            .fails(2, "expected I/N, such as 2/8");
    }
    sandbox.isn(&[&AUDIT[..], &["--part", "1/2"]].concat()).fails(2, "--save-embeddings");
    for evidence in [&["--embeddings", "kept"][..], &["--pixels"], &["--probs", "p.npy"]] {
        sandbox.isn(&[&AUDIT[..], &SAVE, evidence].concat()).fails(2, "cannot be used with");
        for option in [&SAVE[..], &["--layer", "four"], &["--mean=-1,0,0"], &["--std", "1,1,1"]] {
            let args = [&["audit", "labels", "raw"], option, evidence].concat();
            sandbox.isn(&args).fails(2, "cannot be used with");
        }
    }
    sandbox
        .isn(&[&AUDIT[..], &["--input-size", "16"]].concat())
        .fails(1, "takes pictures of 32 × 32, not 16 × 16");
    let folder = ["audit", "labels", "raw", "--onnx", "raw"];
    sandbox.isn(&folder).fails(1, "raw is no file: expected an ONNX model");
}

#[test]
fn a_folder_is_of_one_model_and_damage_is_told() {
    let sandbox = sandbox();
    report(&sandbox, &AUDIT, &SAVE);
    let before = kept(&sandbox);
    for (more, what) in [
        (&["--channels", "bgr"][..], "channels"),
        (&["--mean", "-1,0,0"], "mean"),
        (&["--std", "1,1,1"], "std"),
    ] {
        let other = sandbox.isn(&[&AUDIT[..], &SAVE, more].concat()).fails(1, "computed in another way");
        assert!(
            other.stderr.contains(what) && other.stderr.contains("name another folder"),
            "{}",
            other.stderr
        );
    }
    let layer = ["audit", "labels", "raw", "--onnx", "model.onnx", "--save-embeddings", "kept"];
    sandbox.isn(&layer).fails(1, "layer");
    sandbox
        .isn(&[&AUDIT[..], &["--save-embeddings", "raw"]].concat())
        .fails(1, "name a new or an empty folder");
    assert!(!sandbox.path("raw/embeddings.json").exists());
    assert_eq!(kept(&sandbox), before);
    let (name, mut bytes) = before.into_iter().find(|(name, _)| name.ends_with(".npy")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    sandbox.write(&format!("kept/{name}"), &bytes);
    let read: [&[&str]; 4] = [
        &[&AUDIT[..], &SAVE].concat(),
        &["audit", "labels", "raw", "--embeddings", "kept"],
        &["audit", "duplicates", "raw", "--embeddings", "kept"],
        &["audit", "all", "raw", "--embeddings", "kept"],
    ];
    for args in read {
        sandbox.isn(args).fails(1, "of another embeddings.json: remove ");
    }
    for file in ["kept", "model.onnx"] {
        let args = ["audit", "duplicates", "raw", "--embeddings", file];
        assert!(sandbox.isn(&args).stderr.contains(file));
    }
}

/// A picture whose orientation counts for a recipe has another embedding.
#[test]
fn embeddings_are_read_as_they_were_made() {
    let sandbox = sandbox();
    sandbox.recipe("grads", "1.0", &["ant", "bee"], "");
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    sandbox.write("r.toml", text.replace("= \"ignore\"", "= \"apply\"").as_bytes());
    let by_recipe = ["--recipe", "r.toml"];
    report(&sandbox, &AUDIT, &[&SAVE[..], &by_recipe].concat());
    let saved = ["audit", "duplicates", "raw", "--embeddings", "kept"];
    let why = "kept was made with exif_orientation = \"apply\", and raw is read with \"ignore\": give the same --recipe";
    sandbox.isn(&saved).fails(1, why);
    report(&sandbox, &saved, &[&by_recipe[..], &["--json"]].concat());
}

/// Six pictures, and as embeddings a direction for each, but for the first and the last, which are near, as
/// are a little the second and the fourth.
fn neighbours() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    let mut paths = Vec::new();
    for (at, folder) in
        ["train/ant", "train/ant", "train/ant", "train/ant", "val/bee", "val/bee"].iter().enumerate()
    {
        std::fs::create_dir_all(sandbox.path(&format!("raw/{folder}"))).unwrap();
        paths.push(format!("{folder}/{at}.png"));
        noise(at as u64).save(sandbox.path(&format!("raw/{}", paths[at]))).unwrap();
    }
    let mut rows = [[0f32; 6]; 6];
    (0..6).for_each(|at| rows[at][at] = 2.0);
    rows[5] = [1.0, 0.0, 0.0, 0.0, 0.0, 0.1];
    rows[3][1] = 1.0;
    for (name, rows) in [("e.npy", &rows[..]), ("few.npy", &rows[..5])] {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, 6), }}\n", rows.len());
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        let length = (header.len() as u16).to_le_bytes();
        sandbox.write(name, &[b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &bytes].concat());
    }
    (sandbox, paths)
}

const NEAR: [&str; 5] = ["audit", "duplicates", "raw", "--embeddings", "e.npy"];

#[test]
fn neighbours_that_are_no_copies_are_similar() {
    let (sandbox, paths) = neighbours();
    let ran = sandbox.isn(&NEAR).ok();
    assert!(ran.stdout.contains("1 pair similar by their embeddings"), "{}", ran.stdout);
    assert!(ran.stdout.contains("train/ant/0.png val/bee/5.png  0.9950  two splits"), "{}", ran.stdout);
    let report = sandbox.isn(&[&NEAR[..], &["--json"]].concat()).ok().json();
    assert_eq!(report["similar"], json!([{ "a": paths[0], "b": paths[5], "cosine": 0.995 }]));
    assert_eq!(report["source_ids"].as_object().unwrap().len(), 2);
    let higher = sandbox.isn(&[&NEAR[..], &["--cosine", "0.999", "--json"]].concat()).ok();
    assert_eq!(higher.json()["similar"], json!([]));
    sandbox.isn(&["audit", "duplicates", "raw", "--cosine", "0.5"]).fails(2, "--embeddings");
    for (verb, html) in [("duplicates", "d.html"), ("all", "a.html")] {
        sandbox.isn(&["audit", verb, "raw", "--embeddings", "e.npy", "--html", html]);
        let page = String::from_utf8(sandbox.read(html)).unwrap();
        assert!(page.contains("imilar by their embeddings") && page.contains("cosine 0.9950"), "{page}");
    }
    let few = ["audit", "duplicates", "raw", "--embeddings", "few.npy"];
    sandbox.isn(&few).fails(1, "few.npy has 5 rows, but raw has 6 images");
}

#[test]
fn neighbours_are_compared_whatever_their_hashes_are() {
    let (sandbox, paths) = neighbours();
    let picture = image::imageops::resize(&noise(9), 220, 180, image::imageops::FilterType::Triangle);
    picture.save(sandbox.path(&format!("raw/{}", paths[0]))).unwrap();
    let part = image::imageops::crop_imm(&picture, 4, 3, 211, 173).to_image();
    part.save(sandbox.path(&format!("raw/{}", paths[5]))).unwrap();
    let exactly = ["--distance", "0", "--json"];
    let without = sandbox.isn(&[&NEAR[..3], &exactly].concat()).ok().json();
    assert_eq!(without["near"], json!([]));
    let with = sandbox.isn(&[&NEAR[..], &exactly].concat()).fails(8, "").json();
    assert_eq!((&with["near"], &with["similar"]), (&json!([[paths[0], paths[5]]]), &json!([])));
    assert!(with["pairs"][0]["distance"].as_u64().unwrap() > 0);
}

#[cfg(feature = "serve")]
#[test]
fn a_review_shows_what_is_near() {
    use crate::review::Page;

    let (sandbox, paths) = neighbours();
    // What is similar is walked as pairs.
    let found = sandbox.isn(&[&NEAR[..], &["--json"]].concat()).ok().stdout;
    sandbox.write("found.json", found.as_bytes());
    let printed = ["raw", "--pairs", "p.csv", "--duplicates", "found.json", "--reviewer", "A"];
    let anew = ["raw", "--pairs", "p.csv", "--embeddings", "e.npy", "--reviewer", "A"];
    for args in [printed, anew] {
        let page = Page::of(&sandbox, &args);
        let body = page.get("1").body;
        for text in ["1 of 1", "<h1>similar", "cosine of their embeddings 0.9950", &paths[0], &paths[5]] {
            assert!(body.contains(text), "{text}: {body}");
        }
    }
    // One that is similar to a copy is in no group with it.
    std::fs::copy(sandbox.path(&format!("raw/{}", paths[0])), sandbox.path(&format!("raw/{}", paths[1])))
        .unwrap();
    let page = Page::of(&sandbox, &anew);
    let (copies, similar) = (page.get("1").body, page.get("2").body);
    assert!(copies.contains("<h1>exact copies") && similar.contains("<h1>similar"), "{copies}{similar}");
    assert!(!copies.contains("are the same") && !similar.contains("are the same"), "{copies}{similar}");
    // Beside a suspect, the nearest of its class come first.
    sandbox.write("suspects.txt", b"source_id\ntrain/ant/1\n");
    let ids = ["raw", "--ledger", "l.csv", "--suspects", "suspects.txt", "--reviewer", "A"];
    let first = |more: &[&str]| {
        let body = Page::of(&sandbox, &[&ids[..], more].concat()).get("1").body;
        let others = body.split_once("others labelled").unwrap().1;
        others.split("image/").skip(1).map(|rest| rest[..1].to_owned()).collect::<Vec<_>>()
    };
    let near = first(&["--embeddings", "e.npy"]);
    assert_eq!((near.len(), &*near[0]), (3, "3"), "{near:?}");
    assert_ne!(first(&[])[0], "3");
    sandbox
        .isn(&[&["review"], &ids[..], &["--embeddings", "few.npy"]].concat())
        .fails(1, "few.npy has 5 rows");
}
