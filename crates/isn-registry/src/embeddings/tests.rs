use std::fs;

use super::*;

/// A folder of two images that were computed by hand.
const VECTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/embeddings");
/// Its only part.
const PART: &str = "deb548044d96c849";

fn method() -> Method {
    Method {
        format: FORMAT.into(),
        model: Digest::of(b"model"),
        weights: vec![Digest::of(b"weights")],
        layer: "pool".into(),
        side: 224,
        channels: "rgb".into(),
        mean: [123.675, 116.28, 103.53],
        std: [58.395, 57.12, 57.375],
        crop: "middle 7/8 of the shortest side, bilinear".into(),
        exif_orientation: "ignore".into(),
        library: "tract-onnx 0.23.9".into(),
    }
}

fn image(at: usize) -> Digest {
    Digest::of(&at.to_le_bytes())
}

fn row(at: usize) -> [f32; 3] {
    [at as f32, -0.5, 1e-20]
}

/// The messages of an error and its causes.
fn said<T>(result: Result<T>) -> String {
    result.err().map(|e| isn_format::error::chain(&e)).unwrap_or_default()
}

fn names(folder: &Path) -> Vec<String> {
    files::names_in(folder).unwrap()
}

#[test]
fn what_was_saved_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new/embeddings");
    let mut saved = Embeddings::open_for(&folder, &method()).unwrap();
    for at in 0..IN_PART + 10 {
        saved.push(image(at), &format!("a/{at}.png"), &row(at)).unwrap();
        // A copy of an image is no other image.
        saved.push(image(at), "copy.png", &row(at)).unwrap();
    }
    // Before the end there is one part, which a killed run keeps.
    assert_eq!(names(&folder).len(), 3);
    assert_eq!(Embeddings::open(&folder).unwrap().0.images().len(), IN_PART);
    saved.save().unwrap();
    saved.save().unwrap();
    assert_eq!(names(&folder).len(), 5);
    let mut again = Embeddings::open_for(&folder, &method()).unwrap();
    assert_eq!((again.images().len(), again.columns()), (IN_PART + 10, 3));
    for at in 0..IN_PART + 10 {
        assert_eq!(again.get(&image(at)), Some(&row(at)[..]));
    }
    assert_eq!(again.get(&image(1000)), None);
    // A later run adds to it.
    again.push(image(1000), "=a.png", &row(7)).unwrap();
    again.save().unwrap();
    assert_eq!(Embeddings::open(&folder).unwrap().0.get(&image(1000)), Some(&row(7)[..]));
    let lists = names(&folder).into_iter().filter(|name| name.ends_with(".csv"));
    let lists: String = lists.map(|name| fs::read_to_string(folder.join(name)).unwrap()).collect();
    assert!(lists.contains(",./=a.png\n"), "a spreadsheet would run a path");
}

#[test]
fn the_bytes_are_those_of_the_vector() {
    let vector = Path::new(VECTOR);
    let (read, _) = Embeddings::open(vector).unwrap();
    assert_eq!(read.get(&Digest::of(b"one")), Some(&[0.25, -1.5, 3.0][..]));
    assert_eq!(read.get(&Digest::of(b"two")), Some(&[1e-45, 0.0, 65504.0][..]));
    let dir = tempfile::tempdir().unwrap();
    let mut written = Embeddings::open_for(dir.path(), &method()).unwrap();
    written.push(Digest::of(b"one"), "train/a/one.png", &[0.25, -1.5, 3.0]).unwrap();
    written.push(Digest::of(b"two"), "train/b/two, a copy.png", &[1e-45, 0.0, 65504.0]).unwrap();
    written.save().unwrap();
    assert_eq!(names(dir.path()), names(vector));
    for name in names(vector) {
        assert_eq!(
            fs::read(dir.path().join(&name)).unwrap(),
            fs::read(vector.join(&name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn one_folder_has_one_method() {
    let dir = tempfile::tempdir().unwrap();
    Embeddings::open_for(dir.path(), &method()).unwrap();
    for (other, said_of_it) in [
        (Method { model: Digest::of(b"other"), ..method() }, "(model "),
        (Method { weights: Vec::new(), ..method() }, "weights [\""),
        (
            Method { layer: "fc".into(), ..method() },
            "(layer \"pool\" there, \"fc\" here): name another folder",
        ),
        (Method { side: 256, ..method() }, "(side 224 there, 256 here)"),
        (Method { channels: "bgr".into(), ..method() }, "channels"),
        (Method { mean: [0.0; 3], ..method() }, "mean [123.67"),
        (Method { std: [1.0; 3], ..method() }, "std"),
        (Method { crop: "all".into(), ..method() }, "crop"),
        (Method { exif_orientation: "apply".into(), ..method() }, "exif_orientation"),
        (Method { library: "tract-onnx 1.0".into(), ..method() }, "library"),
    ] {
        let said = said(Embeddings::open_for(dir.path(), &other));
        assert!(said.contains("computed in another way") && said.contains(said_of_it), "{said}");
    }
    assert_eq!(names(dir.path()), [EMBEDDINGS_JSON]);
}

#[test]
fn other_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let none = said(Embeddings::open(dir.path()));
    assert!(none.contains("has no embeddings.json"), "{none}");
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let foreign = said(Embeddings::open_for(dir.path(), &method()));
    assert!(foreign.contains("has notes.txt in it"), "{foreign}");
    assert_eq!(names(dir.path()), ["notes.txt"]);
    for (text, what) in [
        ("", "does not say how"),
        ("{}", "does not say how"),
        (r#"{"format":"isn-embeddings/2"}"#, "a newer isn may read it"),
        (r#"{"format":"isn-embeddings/1"}"#, "does not say how"),
    ] {
        fs::write(dir.path().join(EMBEDDINGS_JSON), text).unwrap();
        let open = said(Embeddings::open(dir.path()));
        let add = said(Embeddings::open_for(dir.path(), &method()));
        assert!(open.contains(what) && add.contains(what), "{text}: {open}; {add}");
    }
}

/// What × where: every byte of either file, cut, longer, gone.
#[test]
fn damage_is_noticed() {
    let whole = Path::new(VECTOR);
    let dir = tempfile::tempdir().unwrap();
    let fresh = || {
        for name in names(whole) {
            fs::copy(whole.join(&name), dir.path().join(&name)).unwrap();
        }
    };
    fresh();
    for ending in ["npy", "csv"] {
        let name = format!("{PART}.{ending}");
        let bytes = fs::read(whole.join(&name)).unwrap();
        let flipped = (0..bytes.len()).map(|at| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            bytes
        });
        let cut = bytes[..bytes.len() - 1].to_vec();
        for damaged in flipped.chain([cut, [&bytes[..], b"\0"].concat(), Vec::new()]) {
            fs::write(dir.path().join(&name), &damaged).unwrap();
            let said = said(Embeddings::open(dir.path()));
            assert!(said.contains("remove deb548044d96c849.csv and deb548044d96c849.npy"), "{said}");
        }
        fresh();
    }
    // A part that was copied from a folder of another method.
    let text = fs::read_to_string(whole.join(EMBEDDINGS_JSON)).unwrap();
    fs::write(dir.path().join(EMBEDDINGS_JSON), text.replace("\"rgb\"", "\"bgr\"")).unwrap();
    assert!(said(Embeddings::open(dir.path())).contains("or of another embeddings.json: remove"));
    fresh();
    fs::remove_file(dir.path().join(format!("{PART}.npy"))).unwrap();
    assert!(said(Embeddings::open(dir.path())).contains("has no deb548044d96c849.npy beside it"));
    // What a killed run leaves is no part.
    fresh();
    fs::remove_file(dir.path().join(format!("{PART}.csv"))).unwrap();
    fs::write(dir.path().join(".isn-tmp-0123456789abcdef"), "half").unwrap();
    assert_eq!(Embeddings::open_for(dir.path(), &method()).unwrap().images().len(), 0);
}

#[test]
fn rows_that_no_model_should_give_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut saved = Embeddings::open_for(dir.path(), &method()).unwrap();
    let empty = said(saved.push(image(0), "a.png", &[]));
    assert!(empty.contains("an embedding of 0 numbers"), "{empty}");
    let mut saved = Embeddings::open_for(dir.path(), &method()).unwrap();
    saved.push(image(1), "a.png", &row(1)).unwrap();
    let longer = said(saved.push(image(2), "b.png", &[0.0; 4]));
    assert!(longer.contains("b.png has an embedding of 4 numbers, and others have 3"), "{longer}");
    let nan = said(saved.push(image(3), "c.png", &[0.0, f32::NAN, 0.0]));
    assert!(nan.contains("c.png has NaN in its embedding: check --layer"), "{nan}");
    saved.save().unwrap();
    assert_eq!(Embeddings::open(dir.path()).unwrap().0.images().len(), 1);
}
