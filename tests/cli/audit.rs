//! `isn audit duplicates`, `images`, `balance` and `all` on folders, trees, builds and versions.

use std::fs;

use image::imageops;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// A picture of blobs placed by the seed: smooth enough to survive the changes made to copies.
fn picture(seed: u64) -> image::RgbImage {
    let bytes: Vec<u8> =
        (0..4u8).flat_map(|i| *blake3::hash(&[&seed.to_le_bytes()[..], &[i]].concat()).as_bytes()).collect();
    image::RgbImage::from_fn(160, 120, |x, y| {
        let mut level = [110.0f32, 120.0, 130.0];
        for blob in bytes.chunks_exact(6) {
            let (cx, cy) = (f32::from(blob[0]) * 160.0 / 255.0, f32::from(blob[1]) * 120.0 / 255.0);
            let size = 4.0 + f32::from(blob[2]) / 8.0;
            let (across, down) = (x as f32 - cx, y as f32 - cy);
            let distance = (across * across + down * down) / (size * size);
            for c in 0..3 {
                level[c] += (f32::from(blob[3 + c]) - 128.0) / (1.0 + distance * distance);
            }
        }
        image::Rgb(level.map(|l| l.clamp(0.0, 255.0) as u8))
    })
}

fn save(sandbox: &Sandbox, name: &str, picture: &image::RgbImage) {
    let path = sandbox.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(path).unwrap();
}

/// Makes `data/`: six pictures in train; in val, copies of some of them and two others.
fn copies() -> Sandbox {
    let sandbox = Sandbox::new();
    for seed in 0..6 {
        save(
            &sandbox,
            &format!("data/train/{}/p{seed}.png", ["ant", "bee"][seed % 2]),
            &picture(seed as u64),
        );
    }
    let png = sandbox.read("data/train/ant/p0.png");
    sandbox.write("data/val/ant/same_bytes.png", &png);
    // The same pixels in another encoding: a text chunk is added to the PNG.
    let mut other = png[..33].to_vec();
    other.extend(b"\0\0\0\x05tEXta\0b=c");
    other.extend(crc(b"tEXta\0b=c"));
    other.extend(&png[33..]);
    sandbox.write("data/val/ant/same_pixels.png", &other);
    save(
        &sandbox,
        "data/val/bee/small.jpg",
        &imageops::resize(&picture(1), 96, 72, imageops::FilterType::Triangle),
    );
    save(&sandbox, "data/val/ant/turned.png", &imageops::flip_horizontal(&picture(2)));
    save(&sandbox, "data/val/ant/cut.png", &imageops::crop_imm(&picture(3), 3, 2, 154, 116).to_image());
    let lighter = |pixel: &image::Rgb<u8>| image::Rgb(pixel.0.map(|c| (f32::from(c) * 1.3).min(255.0) as u8));
    // Made once, since drawing a picture for each pixel would take hours.
    let fourth = picture(4);
    let light = image::RgbImage::from_fn(160, 120, |x, y| lighter(fourth.get_pixel(x, y)));
    save(&sandbox, "data/train/ant/light.png", &light);
    save(&sandbox, "data/val/ant/other1.png", &picture(100));
    save(&sandbox, "data/val/ant/other2.png", &picture(101));
    sandbox
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        (0..8).for_each(|_| crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 });
    }
    (!crc).to_be_bytes()
}

fn audit(sandbox: &Sandbox, args: &[&str]) -> Value {
    let ran = sandbox.isn(&[&["audit"], args, &["--json"]].concat());
    assert!(matches!(ran.code, 0 | 8), "{}", ran.stderr);
    ran.json()
}

#[test]
fn copies_are_found_and_nothing_else() {
    let sandbox = copies();
    let report = audit(&sandbox, &["duplicates", "data", "--groups", "groups.csv", "--html", "sheet.html"]);
    assert_eq!(
        report["exact"],
        json!([["train/ant/p0.png", "val/ant/same_bytes.png", "val/ant/same_pixels.png"]])
    );
    assert_eq!(
        report["near"],
        json!([
            ["train/ant/light.png", "train/ant/p4.png"],
            ["train/ant/p2.png", "val/ant/turned.png"],
            ["train/bee/p1.png", "val/bee/small.jpg"],
            ["train/bee/p3.png", "val/ant/cut.png"],
        ])
    );
    assert_eq!((&report["cross_split"], &report["cross_class"]), (&json!(4), &json!(1)));
    assert_eq!(report["images"], 14);
    let mirrored: Vec<bool> =
        report["pairs"].as_array().unwrap().iter().map(|pair| pair["mirrored"].as_bool().unwrap()).collect();
    assert_eq!(mirrored, [false, true, false, false]);
    let groups = String::from_utf8(sandbox.read("groups.csv")).unwrap();
    assert!(groups.starts_with("source_id,group\ntrain/ant/light,train/ant/light\n"), "{groups}");
    assert!(groups.contains("\nval/ant/turned,train/ant/p2\n") && groups.lines().count() == 12, "{groups}");
    let html = String::from_utf8(sandbox.read("sheet.html")).unwrap();
    assert!(html.matches("<img src=\"data:image/jpeg;base64,").count() == 11 && !html.contains("<script"));
    assert!(html.contains("Across splits (leakage): 4 groups"));

    // The number of threads changes nothing. Stricter limits find less: only the mirrored copy
    // matches at every pixel.
    assert_eq!(
        audit(&sandbox, &["duplicates", "data", "-j", "3"]),
        audit(&sandbox, &["duplicates", "data", "-j", "1"])
    );
    sandbox.isn(&["audit", "duplicates", "data"]).fails(8, "LEAK");
    let strict = audit(&sandbox, &["duplicates", "data", "--similarity", "1"]);
    assert_eq!((strict["near"].as_array().unwrap().len(), strict["exact"].as_array().unwrap().len()), (1, 1));
}

#[test]
fn turned_framed_and_inverted_copies_are_told_as_such() {
    let sandbox = Sandbox::new();
    let framed = |seed: u64| {
        let mut page = image::RgbImage::from_pixel(190, 150, image::Rgb([255; 3]));
        imageops::replace(&mut page, &picture(seed), 15, 15);
        page
    };
    let mut negative = picture(4);
    imageops::invert(&mut negative);
    let copies = [
        ("quarter", imageops::rotate90(&picture(0))),
        ("upside_down", imageops::flip_vertical(&picture(1))),
        ("framed", framed(2)),
        ("cut", imageops::crop_imm(&picture(3), 16, 12, 128, 96).to_image()),
        ("negative", negative),
    ];
    for (seed, (name, copy)) in copies.iter().enumerate() {
        save(&sandbox, &format!("data/{seed}.png"), &picture(seed as u64));
        save(&sandbox, &format!("data/{seed}_{name}.png"), copy);
    }
    // Frames of one kind are not alike for their frame, whatever is in them.
    save(&sandbox, "data/6.png", &framed(6));
    save(&sandbox, "data/7.png", &framed(7));
    let report = audit(&sandbox, &["duplicates", "data"]);
    let pairs = report["pairs"].as_array().unwrap();
    let told: Vec<Value> = pairs
        .iter()
        .map(|pair| json!([pair["b"], pair["mirrored"], pair["turned"], pair["inverted"]]))
        .collect();
    let expected = json!([
        ["0_quarter.png", false, 90, false],
        ["1_upside_down.png", true, 180, false],
        ["2_framed.png", false, 0, false],
        ["3_cut.png", false, 0, false],
        ["4_negative.png", false, 0, true],
    ]);
    assert_eq!(json!(told), expected);
}

#[test]
fn blank_pictures_are_copies_only_if_they_are_the_same() {
    let sandbox = Sandbox::new();
    for level in [10, 11, 200] {
        let blank = image::RgbImage::from_pixel(80, 80 + u32::from(level), image::Rgb([level; 3]));
        save(&sandbox, &format!("flat/{level}.png"), &blank);
        save(&sandbox, &format!("flat/{level}_again.png"), &blank);
    }
    save(&sandbox, "flat/real.png", &picture(1));
    let report = audit(&sandbox, &["duplicates", "flat"]);
    assert_eq!(report["near"], json!([]));
    assert_eq!(report["exact"].as_array().unwrap().len(), 3);
    assert_eq!((&report["low_contrast"], &report["cross_split"]), (&json!(6), &json!(0)));
}

#[test]
fn single_images_are_remarked_on() {
    let sandbox = Sandbox::new();
    save(&sandbox, "data/ok.png", &picture(1));
    let second = picture(2);
    let grey = image::RgbImage::from_fn(100, 100, |x, y| image::Rgb([second.get_pixel(x, y).0[0]; 3]));
    save(&sandbox, "data/grey.png", &grey);
    save(&sandbox, "data/blank.png", &image::RgbImage::from_pixel(50, 50, image::Rgb([255, 255, 254])));
    save(&sandbox, "data/tiny.png", &imageops::resize(&picture(3), 30, 20, imageops::FilterType::Triangle));
    save(&sandbox, "data/long.png", &imageops::resize(&picture(4), 400, 50, imageops::FilterType::Triangle));
    save(&sandbox, "data/whole.jpg", &picture(5));
    let whole = sandbox.read("data/whole.jpg");
    sandbox.write("data/cut.jpg", &whole[..whole.len() - 200]);
    sandbox.write("data/text.png", b"not an image");
    let report = audit(&sandbox, &["images", "data", "--html", "sheet.html"]);
    let paths = |kind: &str| -> Vec<&str> {
        report[kind].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect()
    };
    assert_eq!(paths("broken"), ["cut.jpg", "text.png"]);
    assert!(report["broken"][0]["why"].as_str().unwrap().contains("truncated"));
    assert_eq!(
        (paths("tiny"), paths("blank"), paths("grey"), paths("extreme")),
        (vec!["tiny.png"], vec!["blank.png"], vec!["grey.png"], vec!["long.png"])
    );
    let html = String::from_utf8(sandbox.read("sheet.html")).unwrap();
    assert!(html.contains("no picture") && html.contains("truncated"), "{html}");
    sandbox.isn(&["audit", "images", "data"]).fails(8, "2 broken, 1 tiny, 1 blank, 1 grey, 1 extreme");
    let lenient = ["audit", "images", "data", "--tiny", "10", "--blank", "0", "--aspect", "20"];
    sandbox.isn(&lenient).fails(8, "2 broken, 0 tiny, 0 blank, 2 grey, 0 extreme");
}

#[test]
fn all_findings_are_on_one_page_in_the_order_of_what_to_do() {
    let sandbox = copies();
    sandbox.write("data/train/ant/broken.png", b"no image");
    save(&sandbox, "data/train/cat/tiny.png", &imageops::thumbnail(&picture(7), 30, 20));
    save(&sandbox, "data/train/cat/p9.png", &picture(9));
    save(&sandbox, "data/train/ant/p9.png", &picture(9));
    let report = audit(&sandbox, &["all", "data", "--html", "page.html"]);
    let todo = report["todo"].as_array().unwrap();
    let found: Vec<_> = todo.iter().map(|one| (one["finding"].as_str().unwrap(), &one["count"])).collect();
    let expected =
        [("leakage", 4), ("broken", 1), ("two-classes", 1), ("no-image", 1), ("copies", 1), ("tiny", 1)];
    assert_eq!(json!(found), json!(expected));
    assert_eq!(todo[3]["what"], "1 class without an image in val");

    // Each step leads to its section; the sections are in the same order, and the counts at the end.
    let html = String::from_utf8(sandbox.read("page.html")).unwrap();
    let mut sections: Vec<&str> =
        expected.iter().map(|(name, _)| *name).filter(|name| *name != "no-image").collect();
    sections.push("no-image");
    let links: Vec<usize> =
        expected.iter().map(|(name, _)| html.find(&format!("href=\"#{name}\"")).unwrap()).collect();
    let places: Vec<usize> =
        sections.iter().map(|name| html.find(&format!("<h2 id=\"{name}\">")).unwrap()).collect();
    assert!(links.is_sorted() && places.is_sorted() && links[5] < places[0], "{html}");
    assert!(html.contains("<th scope=\"row\">cat</th><td>2</td><td>0</td>"), "{html}");

    let text = sandbox.isn(&["audit", "all", "data"]).fails(8, "what to do, the most important first").stdout;
    assert!(
        text.contains("\n  4 groups of copies in more than one split: a model would be tested"),
        "{text}"
    );
    let whole = ["audit", "all", "data/train/bee", "--html", "page.html", "--json"];
    let ran = sandbox.isn(&whole).ok();
    assert_eq!(ran.json()["todo"], json!([]));
    assert!(String::from_utf8(sandbox.read("page.html")).unwrap().contains("Nothing was found in 3 images."));
}

#[test]
fn a_build_a_tree_and_a_version_are_audited_as_the_folder_is() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let all = |args: &[&str]| {
        let mut report = audit(&sandbox, &[&["all"], args].concat());
        report.as_object_mut().unwrap().remove("what");
        report
    };
    let tree = all(&["tree"]);
    assert_eq!(tree["images"], 24);
    assert_eq!(tree["splits"]["val"]["images"], 6);
    assert_eq!(tree["classes"]["ant"]["train"], 6);
    for other in
        [&["out"][..], &["grads@1.0", "--registry", "reg"], &[&pin, "--registry", "reg", "--no-cache"]]
    {
        let report = all(other);
        for key in ["images", "exact", "near", "cross_split", "pairs", "splits", "classes", "low_contrast"] {
            assert_eq!(report[key], tree[key], "{other:?} {key}");
        }
    }
    // Source ids come from the index if there is one.
    audit(
        &sandbox,
        &["duplicates", "out", "--distance", "16", "--similarity", "0", "--groups", "groups.csv"],
    );
    let groups = String::from_utf8(sandbox.read("groups.csv")).unwrap();
    assert!(
        groups
            .lines()
            .skip(1)
            .all(|line| line.starts_with("ant/") || line.starts_with("bee/") || line.starts_with("cat/")),
        "{groups}"
    );
    assert!(groups.lines().count() > 3, "{groups}");
    // A tree identifies images by class and stem, which works here: no label was corrected, and the source
    // has no splits.
    let args = ["duplicates", "tree", "--distance", "16", "--similarity", "0", "--groups", "of_tree.csv"];
    audit(&sandbox, &args);
    assert_eq!(String::from_utf8(sandbox.read("of_tree.csv")).unwrap(), groups);
}

#[test]
fn a_version_comes_over_http_once() {
    let (sandbox, pin) = Sandbox::published();
    let server = crate::server::Server::new(&sandbox.path("reg"));
    let args = ["duplicates", &pin, "--registry", &server.url];
    let first = audit(&sandbox, &args);
    let sent = server.sent(".tar.zst");
    assert!(sent > 0);
    assert_eq!((audit(&sandbox, &args), server.sent(".tar.zst")), (first, sent));
}

#[test]
fn balance_counts_and_says_what_can_be_told() {
    let sandbox = copies();
    let report = audit(&sandbox, &["balance", "data"]);
    assert_eq!(
        report["classes"],
        json!({ "ant": { "train": 4, "val": 6 }, "bee": { "train": 3, "val": 1 } })
    );
    assert_eq!(report["imbalance"], 2.5);
    let val = &report["splits"]["val"];
    assert_eq!((&val["images"], &val["fewest"], &val["most"]), (&json!(7), &json!(1), &json!(6)));
    assert!((val["half_width"]["0.5"].as_f64().unwrap() - 0.2977).abs() < 1e-3, "{val}");
    assert_eq!(val["smallest_difference"], Value::Null);
    let text = sandbox.isn(&["audit", "balance", "data"]).ok().stdout;
    assert!(text.contains("cannot be told apart") && text.contains("val, its smallest class"), "{text}");
}

#[test]
fn groups_are_no_formulas() {
    let sandbox = Sandbox::new();
    save(&sandbox, "data/=cmd/a.png", &picture(1));
    save(&sandbox, "data/=cmd/b.png", &picture(1));
    let audit = ["audit", "duplicates", "data", "--groups", "groups.csv"];
    sandbox.isn(&audit).fails(1, "=cmd/a would be run as a formula by a spreadsheet");
    assert!(!sandbox.path("groups.csv").exists());
}

#[test]
fn what_cannot_be_audited_says_why() {
    let sandbox = copies();
    sandbox.write("empty/readme.txt", b"x");
    sandbox.write("reg/registry.json", b"{}");
    sandbox.isn(&["audit", "all", "nowhere/x"]).fails(6, "nowhere/x");
    sandbox.isn(&["audit", "all", "empty"]).fails(1, "has no image");
    sandbox.write("tars/ILSVRC2012_img_train.tar", b"x");
    sandbox.isn(&["audit", "all", "tars"]).fails(1, "archive ILSVRC2012_img_train.tar: name the recipe");
    sandbox.isn(&["audit", "all", "reg"]).fails(1, "is a registry");
    sandbox.isn(&["audit", "all", "data/train/ant/p0.png"]).fails(1, "is a file");
    sandbox.isn(&["audit", "all", "Not A Name"]).fails(1, "neither a folder nor a version");
    sandbox.isn(&["audit", "all", "data", "--html", "no/such/sheet.html"]).fails(6, "no/such");
    for args in [["--distance", "17"], ["--similarity", "1.5"], ["--discordance", "x"]] {
        sandbox.isn(&[&["audit", "all", "data"], &args[..]].concat()).fails(2, args[1]);
    }
}

/// What cannot be read as an image is listed, and stops nothing.
#[test]
fn what_is_no_image_file_is_broken() {
    let sandbox = copies();
    let before = audit(&sandbox, &["images", "data"])["broken"].as_array().unwrap().len();
    sandbox.write("data/ant/empty.png", b"");
    sandbox.write("data/ant/byte.png", b"x");
    let long = fs::File::create(sandbox.path("data/ant/long.png")).unwrap();
    long.set_len(3 << 40).unwrap();
    let made = std::process::Command::new("mkfifo").arg(sandbox.path("data/ant/pipe.png")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("nowhere", sandbox.path("data/ant/nowhere.png")).unwrap();
    std::os::unix::fs::symlink("round.png", sandbox.path("data/ant/round.png")).unwrap();
    std::os::unix::fs::symlink("nowhere", sandbox.path("data/ant/notes")).unwrap();
    let report = audit(&sandbox, &["images", "data"]);
    let broken = report["broken"].as_array().unwrap();
    assert_eq!(broken.len(), before + 6, "{report}");
    for (name, why) in [
        ("ant/long.png", "is longer than"),
        ("ant/pipe.png", "is not a file"),
        ("ant/nowhere.png", "cannot be read: No such file"),
        ("ant/round.png", "cannot be read: "),
    ] {
        let is_it = |one: &&Value| one["path"] == name && one["why"].as_str().unwrap().contains(why);
        assert_eq!(broken.iter().filter(is_it).count(), 1, "{name}: {report}");
    }
    sandbox.isn(&["audit", "images", "data"]).fails(8, "broken");
    let groups = audit(&sandbox, &["duplicates", "data"])["exact"].to_string();
    assert!(!groups.contains("long.png") && !groups.contains("pipe.png"), "{groups}");
}

#[test]
fn pictures_are_turned_as_the_build_by_the_recipe_turns_them() {
    let sandbox = Sandbox::new();
    save(&sandbox, "raw/ant/a.png", &picture(1));
    save(&sandbox, "raw/ant/b.png", &picture(2));
    // Stored on its side, with the orientation that sets it upright: a quarter turn clockwise.
    let mut jpeg = Vec::new();
    let on_its_side = imageops::rotate270(&picture(1));
    on_its_side.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    let exif = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let turned = [&jpeg[..2], &exif[..], &jpeg[2..]].concat();
    sandbox.write("raw/ant/c.jpg", &turned);
    sandbox.recipe("pics", "1.0", &["ant"], "");
    let recipe = String::from_utf8(sandbox.read("pics-1.0.toml")).unwrap();
    let apply = recipe.replace("exif_orientation = \"ignore\"", "exif_orientation = \"apply\"");
    sandbox.write("apply.toml", apply.as_bytes());
    let report = audit(&sandbox, &["duplicates", "raw", "--recipe", "apply.toml"]);
    assert_eq!(report["near"], json!([["ant/a.png", "ant/c.jpg"]]));
    // Orientations are counted, also those that turn nothing, and are no finding.
    let upright: Vec<u8> =
        turned.iter().enumerate().map(|(at, &byte)| if at == 30 { 1 } else { byte }).collect();
    assert_eq!(turned[30], 6);
    sandbox.write("raw/ant/d.jpg", &upright);
    let found = audit(&sandbox, &["images", "raw"]);
    let one = json!([{ "path": "ant/c.jpg", "source_id": "ant/c", "orientation": 6 }]);
    assert_eq!(found["orientation"], json!({ "tagged": 2, "turned": one }));
    for (more, what) in
        [(&[][..], "a build ignores it"), (&["--recipe", "apply.toml"], "so does a build by the recipe")]
    {
        let ran = sandbox.isn(&[&["audit", "images", "raw"][..], more].concat()).ok();
        let line = format!("\n  2 images with an EXIF orientation: it turns 1 of them, and {what}\n");
        assert!(
            ran.stdout.contains(&line) && ran.stdout.contains("ant/c.jpg  orientation 6\n"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn a_folder_of_all_images_of_a_split_is_no_class() {
    let sandbox = Sandbox::new();
    for seed in 0..4 {
        save(
            &sandbox,
            &format!("tiny/train/{}/images/{seed}.png", ["ant", "bee"][seed % 2]),
            &picture(seed as u64),
        );
    }
    save(&sandbox, "tiny/val/images/0.png", &picture(0));
    save(&sandbox, "tiny/val/images/9.png", &picture(9));
    let report = audit(&sandbox, &["duplicates", "tiny"]);
    assert_eq!((&report["cross_split"], &report["cross_class"]), (&json!(1), &json!(0)));
    assert!(report["warnings"].to_string().contains("val/images is no class, as train/ has no such folder"));
    let balance = audit(&sandbox, &["balance", "tiny"]);
    assert_eq!((balance["classes"].as_object().unwrap().len(), &balance["without_class"]), (2, &json!(2)));
    // Two folders are classes, whatever they are called.
    save(&sandbox, "tiny/val/more/1.png", &picture(8));
    assert_eq!(audit(&sandbox, &["duplicates", "tiny"])["cross_class"], 1);
}

#[test]
fn an_output_replaces_nothing_but_its_like() {
    let sandbox = copies();
    let picture = sandbox.read("data/train/ant/p0.png");
    sandbox.write("ledger.csv", b"kind,source_id,says,labels,reason,source,reviewer,date,evidence\n");
    for (option, file) in [
        ("--html", "data/train/ant/p0.png"),
        ("--groups", "data/train/ant/p0.png"),
        ("--html", "ledger.csv"),
        ("--groups", "ledger.csv"),
    ] {
        let args = ["audit", "duplicates", "data", option, file];
        sandbox.isn(&args).fails(1, "so it is not replaced: name another file");
    }
    assert_eq!(sandbox.read("data/train/ant/p0.png"), picture);
    for _ in 0..2 {
        let args = ["audit", "duplicates", "data", "--html", "sheet.html", "--groups", "groups.csv"];
        sandbox.isn(&args).fails(8, "");
    }
}
