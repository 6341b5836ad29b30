//! The golden vectors: `vectors/vectors.txt`, which documents its own format.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::*;

/// The folder of the vectors.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// One line: the steps, and their result.
struct Line {
    file: String,
    spec: PixelSpec,
    result: String,
}

impl Line {
    fn parse(line: &str) -> Line {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[file, size, filter, encode, small, exif, ref result @ ..] = &fields[..] else {
            panic!("{line}")
        };
        let spec = PixelSpec {
            size: size.parse().unwrap(),
            filter: match filter {
                "catmullrom" => Filter::CatmullRom,
                "bilinear" => Filter::Bilinear,
                _ => panic!("{line}"),
            },
            encode: match encode.split_once('=') {
                None if encode == "png" => Encoding::Png,
                Some(("jpeg", quality)) => Encoding::Jpeg { quality: quality.parse().unwrap() },
                _ => panic!("{line}"),
            },
            small: match small {
                "keep" => Small::Keep,
                "upscale" => Small::Upscale,
                "drop" => Small::Drop,
                _ => panic!("{line}"),
            },
            exif_orientation: match exif {
                "ignore" => ExifOrientation::Ignore,
                "apply" => ExifOrientation::Apply,
                _ => panic!("{line}"),
            },
        };
        Line { file: file.into(), spec, result: result.join(" ") }
    }
}

/// `width height pixel-digest file-digest`, or `dropped`, or `rejected`.
fn result(pipeline: &mut Pipeline, source: &[u8]) -> String {
    match pipeline.build(source) {
        Ok(Outcome::Built(built)) => {
            format!("{} {} {} {}", built.width, built.height, built.pixels, Digest::of(&built.bytes))
        }
        Ok(Outcome::Dropped) => "dropped".into(),
        Err(_) => "rejected".into(),
    }
}

#[test]
fn every_vector_holds() {
    let text = std::fs::read_to_string(folder().join("vectors.txt")).unwrap();
    let mut wrong = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let Line { file, spec, result: want } = Line::parse(line);
        let source = vector(&file);
        let got = result(&mut Pipeline::new(spec.clone()), &source);
        if got != want {
            writeln!(wrong, "{file} {spec:?}\n  got  {got}\n  want {want}").unwrap();
        }
        seen.insert(file);
    }
    assert!(wrong.is_empty(), "{wrong}");
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let files = files.map(|name| name.into_string().unwrap());
    let images: BTreeSet<_> =
        files.filter(|name| !name.ends_with(".txt") && !name.ends_with(".py")).collect();
    assert_eq!(images, seen, "every source has a vector");
}

/// Earlier images must not influence a result.
#[test]
fn results_do_not_depend_on_what_went_before() {
    let text = std::fs::read_to_string(folder().join("vectors.txt")).unwrap();
    let lines: Vec<Line> = text
        .lines()
        .filter(|line| line.contains(" 24 catmullrom png keep ignore "))
        .map(Line::parse)
        .collect();
    let mut pipeline = Pipeline::new(spec(24));
    for line in lines.iter().chain(lines.iter().rev()) {
        assert!(pipeline.build(b"\xff\xd8\xff nonsense").is_err());
        assert_eq!(result(&mut pipeline, &vector(&line.file)), line.result, "{}", line.file);
    }
    assert!(lines.len() > 40);
}

#[test]
fn this_machine_passes_the_self_check() {
    self_check().unwrap();
}

/// Prints `vectors.txt`, for adding lines: existing ones must not change.
#[test]
#[ignore = "prints the vectors instead of checking them"]
fn print_vectors() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".txt") && !name.ends_with(".py"))
        .collect();
    files.sort();
    let print = |file: &str, spec: &str| {
        let line = Line::parse(&format!("{file} {spec}"));
        println!("{file} {spec} {}", result(&mut Pipeline::new(line.spec), &vector(file)));
    };
    for file in &files {
        print(file, "24 catmullrom png keep ignore");
        print(file, "65536 catmullrom png keep ignore");
        if file.starts_with("exif") || file == "gamma_exif.png" {
            print(file, "20 catmullrom png keep apply");
        }
        if ["420.jpg", "422.jpg", "444_optimized.jpg", "grey.jpg", "rgba16.png", "thin.jpg"]
            .contains(&&**file)
        {
            print(file, "24 bilinear png keep ignore");
            print(file, "24 catmullrom jpeg=90 keep ignore");
            print(file, "24 bilinear jpeg=100 keep ignore");
            print(file, "100 catmullrom png upscale ignore");
            print(file, "100 bilinear png upscale ignore");
            print(file, "65 catmullrom png drop ignore");
            print(file, "66 catmullrom png drop ignore");
        }
    }
}
