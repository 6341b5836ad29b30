//! Builds and trees of the user's own, named where a version is expected.

use isn_format::error::Error;
use isn_format::split::Split;
use isn_format::tree::Selection;
use isn_registry::client::version_at::VersionAt;
use isn_registry::dataset::{Dataset, Verify};
use isn_registry::ops::load::{LoadOptions, load, sources};
use isn_registry::progress::Silent;

use crate::sandbox::{Sandbox, contents, hash_of};

/// A build `out`, a whole tree `tree` of it, a tree `part` and a tree `own` that nobody released.
fn prepared() -> (Sandbox, String) {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull(&pin, &["--to", "tree"]).ok();
    sandbox.pull(&pin, &["--to", "part", "--split", "val"]).ok();
    sandbox.isn(&["pull", "./out", "--to", "own"]).ok();
    std::fs::create_dir(sandbox.path("none")).unwrap();
    // Nothing that follows asks a registry, unless it says so.
    std::fs::rename(sandbox.path("reg"), sandbox.path("away")).unwrap();
    (sandbox, pin)
}

/// For each of the four folders, the pin or hash that a verb names it by, or why it is refused.
type Outcomes<'a> = [Result<&'a str, &'a str>; 4];

#[test]
fn each_verb_takes_the_folders_that_it_can_use_and_refuses_the_others() {
    let (sandbox, pin) = prepared();
    let unreleased = format!("unreleased:grads/{}", hash_of(&pin));
    let (dataset, unreleased) = (hash_of(&pin), unreleased.as_str());
    let verbs: &[(&[&str], Outcomes)] = &[
        (&["info"], [Ok(unreleased), Ok(&pin), Ok(&pin), Ok(unreleased)]),
        (&["images"], [Ok(dataset), Err("has no index"), Err("has no index"), Err("has no index")]),
        (&["export", "--as", "webdataset"], [Ok(unreleased), Ok(&pin), Ok(&pin), Ok(unreleased)]),
        (
            &["export", "--as", "imagefolder"],
            [Ok(unreleased), Err("is a tree already"), Err("is a tree already"), Err("is a tree already")],
        ),
        (
            &["pull"],
            [Ok(unreleased), Err("is a tree already"), Err("is a tree already"), Err("is a tree already")],
        ),
    ];
    let home = Sandbox::new();
    for (verb, outcomes) in verbs {
        for (folder, outcome) in ["out", "tree", "part", "own"].iter().zip(outcomes) {
            let folder = format!("./{folder}");
            let mut args = verb.to_vec();
            args.insert(1, &folder);
            let to = home.path(&format!("{}-{}", verb.join("-"), &folder[2..]));
            let to = to.to_str().unwrap();
            if matches!(verb[0], "pull" | "export") {
                args.extend(["--to", to]);
            }
            args.push("--json");
            let ran = sandbox.isn(&args);
            match outcome {
                Ok(names_it) => {
                    let ran = ran.ok();
                    let json = ran.json();
                    let said = json["pin"].as_str().or(json["dataset"].as_str()).unwrap();
                    assert_eq!(said, *names_it, "{args:?}");
                    let nothing = ran.stderr.is_empty() || verb[0] == "export";
                    assert!(nothing, "{args:?}: {}", ran.stderr);
                }
                Err(why) => drop(ran.fails(1, why)),
            }
        }
        for (none, code, why) in [
            ("./none", 1, "is neither a tree (no B3SUMS) nor a build (no manifest.json)"),
            ("./absent", 6, "does not exist"),
            ("absent/", 6, "does not exist"),
            (unreleased, 2, "nobody released"),
        ] {
            let mut args = verb.to_vec();
            args.insert(1, none);
            sandbox.isn(&args).fails(code, why);
        }
    }
}

#[test]
fn a_citation_of_a_folder_is_of_what_it_is() {
    let (sandbox, pin) = prepared();
    let cited = |folder: &str| sandbox.isn(&["cite", folder, "--format", "plain"]).ok().stdout;
    assert!(cited("./out").contains(&format!("unreleased:grads/{}.", hash_of(&pin))));
    sandbox.isn(&["cite", "./own"]).fails(1, "does not say who made it");
    // The release says who made a tree of it.
    std::fs::rename(sandbox.path("away"), sandbox.path("reg")).unwrap();
    let text = sandbox.isn(&["cite", "./tree", "--registry", "reg", "--format", "plain"]).ok().stdout;
    assert!(text.contains(&pin) && text.contains("A. Tester"), "{text}");
}

#[test]
fn a_folder_stands_in_for_no_version_and_no_pin() {
    let (sandbox, pin) = prepared();
    std::fs::rename(sandbox.path("away"), sandbox.path("reg")).unwrap();
    let digest = hash_of(&pin);
    for planted in ["grads@1.0", &pin, digest, "grads"] {
        sandbox.copy("own", planted);
    }
    // Nor for what is meant as one, and misspelt, nor for an address.
    let upper = pin.replace("#b3:", "#B3:");
    for planted in [
        "Grads@1.0",
        "grads@1",
        "grads@1.0.0",
        " grads@1.0",
        "grads:1.0",
        "grads==1.0",
        &upper,
        &digest[..66],
    ] {
        sandbox.copy("out", planted);
        for verb in ["info", "images", "cite"] {
            let ran = sandbox.isn(&[verb, planted, "--registry", "reg"]);
            assert_eq!(ran.code, 2, "{verb} {planted}: {}{}", ran.stdout, ran.stderr);
        }
    }
    sandbox.isn(&["info", "https://example.org/reg"]).fails(1, "is the address of a registry");
    for planted in ["grads@1.0", &pin, digest, "grads"] {
        let json = sandbox.isn(&["info", planted, "--registry", "reg", "--json"]).ok().json();
        assert_eq!((&json["pin"], json["registry"].is_string()), (&pin.as_str().into(), true), "{planted}");
    }
    // A build may be named by a name alone, and then a warning says which of the two it is.
    let said = sandbox.isn(&["info", "out", "--registry", "reg"]).ok().stderr;
    assert!(said.contains("out is taken for the build in this folder"), "{said}");
    let quiet = sandbox.isn(&["info", "./out", "--registry", "reg"]).ok();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_build_that_is_pulled_is_released_by_nobody_until_it_is() {
    let (sandbox, pin) = prepared();
    let said = sandbox.isn(&["pull", "./out", "--to", "same"]).ok().stdout;
    assert!(said.contains("`isn publish ./out --registry REGISTRY --key KEY` releases it"), "{said}");
    let json = sandbox.isn(&["pull", "./out", "--to", "own", "--json"]).ok().json();
    assert_eq!((&json["released"], &json["manifest"]), (&false.into(), &serde_json::Value::Null));
    assert!(json["reused_images"].as_u64() > Some(0));
    for (args, why) in [
        (&["--lock"][..], "is a build, and isn.lock has released versions"),
        (&["--split", "val"], "a part can be pulled once it is published"),
        (&["--source", "raw"], "needs no --source"),
        (&["--to", "out"], "is not a tree of grads"),
        (&["--to", "out/tree"], "overlap"),
    ] {
        let before = contents(&sandbox.path("out"));
        let ran = sandbox.isn(&[&["pull", "./out"], args].concat());
        assert!(ran.code == 1, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(why) || why == "overlap", "{args:?}: {}", ran.stderr);
        assert_eq!(contents(&sandbox.path("out")), before);
    }
    std::fs::rename(sandbox.path("away"), sandbox.path("reg")).unwrap();
    assert_eq!(sandbox.pull(&pin, &["--to", "own"]).ok().json()["pin"], pin.as_str());
    // What was released is not made unreleased.
    let described = sandbox.read("own/ISN.json");
    let said = sandbox.isn(&["pull", "./out", "--to", "own"]).ok();
    assert!(said.stderr.contains("was left as it is"), "{}{}", said.stdout, said.stderr);
    assert_eq!(sandbox.read("own/ISN.json"), described);
}

fn open(sandbox: &Sandbox, folder: &str, selection: &Selection) -> Result<Dataset, Error> {
    let version: VersionAt = sandbox.path(folder).to_str().unwrap().parse().unwrap();
    let (verify, jobs) = (Verify::Once, 2);
    let options = LoadOptions { version: &version, selection, verify, jobs, anew: false };
    load(&sandbox.client("load-home", "nowhere"), &options, &Silent)
}

/// What `ISN.json` of a tree says is covered by no hash.
#[test]
fn a_tree_vouches_for_no_more_than_its_bytes() {
    let (sandbox, pin) = prepared();
    let text = String::from_utf8(sandbox.read("tree/ISN.json")).unwrap();
    let other = pin.replace("grads@1.0", "grads@2.0");
    for (what, from, to) in [
        ("another version", pin.as_str(), other.as_str()),
        ("a name", pin.as_str(), "grads"),
        ("another hash", hash_of(&pin), &format!("b3:{}", "0".repeat(64))),
    ] {
        sandbox.copy("tree", "lies");
        let changed = match what {
            // Of the pin alone.
            "another hash" => text.replacen(&pin, &pin.replace(from, to), 1),
            _ => text.replacen(from, to, 1),
        };
        assert_ne!(changed, text);
        sandbox.write("lies/ISN.json", changed.as_bytes());
        for args in [&["info"][..], &["cite"], &["export", "--as", "webdataset", "--to", "lied"]] {
            let args = [&args[..1], &["./lies"], &args[1..]].concat();
            sandbox.isn(&args).fails(3, "says that its pin is");
        }
        assert!(!sandbox.path("lied").exists());
    }
    // Nobody vouches for the rest, and an export says so, and which part it has.
    for (tree, selection) in [("tree", None), ("part", Some("val")), ("own", None)] {
        let to = format!("{tree}-export");
        let args = ["export", &format!("./{tree}"), "--as", "webdataset", "--to", &to];
        assert!(sandbox.isn(&args).ok().stderr.contains("nobody whom you trust signed this"), "{tree}");
        let about: serde_json::Value =
            serde_json::from_slice(&sandbox.read(&format!("{to}/ISN.json"))).unwrap();
        assert!(about["unsigned"].as_array().is_some_and(|unsigned| unsigned.contains(&"title".into())));
        assert_eq!(about["selection"]["splits"][0].as_str(), selection, "{about}");
        assert!(!about["citation"].as_str().unwrap().contains("author"), "{about}");
        // What is exported stays as it is.
        let inside = format!("{tree}/export");
        sandbox.isn(&["export", &format!("./{tree}"), "--as", "webdataset", "--to", &inside]).fails(1, "");
        assert!(!sandbox.path(&inside).exists());
    }
    let both = ["export", "./part", "--as", "webdataset", "--class", "ant", "--to", "both"];
    sandbox.isn(&both).ok();
    let about: serde_json::Value = serde_json::from_slice(&sandbox.read("both/ISN.json")).unwrap();
    assert_eq!(about["selection"]["images"].as_array().unwrap().len(), 2, "{about}");
}

#[test]
fn a_list_of_images_is_compared_with_a_folder_too() {
    let (sandbox, pin) = prepared();
    std::fs::rename(sandbox.path("away"), sandbox.path("reg")).unwrap();
    let sums = String::from_utf8(sandbox.read("tree/B3SUMS")).unwrap();
    let line = sums.lines().find(|line| line.contains("  val/")).unwrap();
    let wrong = format!("{}{}", "0".repeat(64), &line[64..]);
    for (list, code, why) in
        [(wrong.as_str(), 1, "is listed with BLAKE3 000"), ("val/ant/nope.png", 6, "val/ant/nope.png")]
    {
        sandbox.write("list", list.as_bytes());
        for version in ["./out", "./tree", "./own", pin.as_str()] {
            let args =
                ["export", version, "--as", "mds", "--images", "list", "--to", "e", "--registry", "reg"];
            sandbox.isn(&args).fails(code, why);
        }
    }
    sandbox.write("list", line.as_bytes());
    for version in ["./out", "./tree", pin.as_str()] {
        let to = format!("e{}", version.len());
        sandbox
            .isn(&["export", version, "--as", "mds", "--images", "list", "--to", &to, "--registry", "reg"])
            .ok();
    }
}

#[test]
fn long_files_of_a_build_or_a_tree_are_not_read() {
    let (sandbox, _) = prepared();
    let long = |path: &std::path::Path, bytes: u64| {
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
    };
    let sums = String::from_utf8(sandbox.read("tree/B3SUMS")).unwrap();
    let image = sandbox.path("tree").join(&sums.lines().last().unwrap()[66..]);
    long(&image, 500 << 20);
    // Its header says how large it is; the rest is read when it is asked for, and is not the image.
    let dataset = open(&sandbox, "tree", &Selection::default()).unwrap();
    assert_eq!(dataset.length(dataset.len() - 1).unwrap(), 500 << 20);
    long(&image, 3 << 30);
    assert!(matches!(open(&sandbox, "tree", &Selection::default()), Err(Error::Integrity { .. })));
    // A manifest that asks for a long index.
    let manifest = String::from_utf8(sandbox.read("out/manifest.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    json["objects"]["index"]["length"] = (2u64 << 30).into();
    let changed = serde_json::to_vec_pretty(&json).unwrap();
    let hash = blake3::hash(&changed).to_string();
    sandbox.write("out/manifest.json", &changed);
    sandbox.write(&format!("out/objects/{}/{hash}.json", &hash[..2]), &changed);
    sandbox.isn(&["info", "./out"]).fails(3, "asks for 2147483648 bytes of");
}

#[test]
fn builds_and_trees_are_read_where_they_lie() {
    let (sandbox, _) = prepared();
    let all = Selection::default();
    let val = Selection { splits: vec![Split::Val], ..Selection::default() };
    let build = open(&sandbox, "out", &all).unwrap();
    for (folder, selection) in [("tree", &all), ("own", &all), ("part", &all), ("tree", &val), ("part", &val)]
    {
        let opened = open(&sandbox, folder, selection).unwrap();
        let is_part = folder == "part" || *selection == val;
        assert_eq!(opened.identity().images, build.identity().images);
        assert_eq!(opened.identity().dataset, build.identity().dataset);
        let of_build =
            (0..build.len()).filter(|&image| !is_part || build.path(image).unwrap().starts_with("val/"));
        let of_build: Vec<usize> = of_build.collect();
        assert_eq!(opened.len(), of_build.len());
        for (image, same) in of_build.into_iter().enumerate() {
            assert_eq!(opened.path(image).unwrap(), build.path(same).unwrap());
            assert_eq!(opened.label(image).unwrap(), build.label(same).unwrap());
            assert_eq!(opened.size(image).unwrap(), build.size(same).unwrap());
            assert_eq!(opened.file(image).unwrap(), build.file(same).unwrap());
        }
        assert_eq!(opened.checks() as usize, opened.len());
    }
    let unknown = Selection { splits: vec![Split::Test], ..Selection::default() };
    for folder in ["out", "tree"] {
        assert!(matches!(open(&sandbox, folder, &unknown), Err(Error::NotFound { .. })));
    }
    // The release of a tree knows its source ids; of what nobody released, only the build does.
    let client = sandbox.client("load-home", sandbox.path("away").to_str().unwrap());
    let at = |folder: &str| sandbox.path(folder).to_str().unwrap().parse::<VersionAt>().unwrap();
    let ids = sources(&client, &at("out"), &val).unwrap();
    assert_eq!(sources(&client, &at("part"), &all).unwrap(), ids);
    assert!(matches!(sources(&client, &at("own"), &all), Err(Error::Invalid { .. })));
}

/// Damages a tree.
type Damage<'a> = &'a dyn Fn(&str);

#[test]
fn a_folder_that_was_changed_is_not_read_as_what_it_was() {
    let (sandbox, _) = prepared();
    let all = Selection::default();
    let refused = |folder: &str| match open(&sandbox, folder, &all) {
        Ok(opened) => (0..opened.len()).find_map(|image| opened.file(image).err()),
        Err(e) => Some(e),
    };
    let sums = String::from_utf8(sandbox.read("tree/B3SUMS")).unwrap();
    let first = sums.lines().find(|line| line.contains("  train/")).unwrap();
    let (image, other) = (&first[66..], sums.lines().last().unwrap()[66..].to_string());
    let damages: [(&str, Damage); 7] = [
        ("another image", &|tree| {
            std::fs::copy(sandbox.path(&format!("{tree}/{other}")), sandbox.path(&format!("{tree}/{image}")))
                .map(drop)
                .unwrap()
        }),
        ("no image", &|tree| std::fs::remove_file(sandbox.path(&format!("{tree}/{image}"))).unwrap()),
        ("no picture", &|tree| sandbox.write(&format!("{tree}/{image}"), b"text")),
        ("other classes", &|tree| {
            let text = String::from_utf8(sandbox.read(&format!("{tree}/classes.csv"))).unwrap();
            sandbox.write(&format!("{tree}/classes.csv"), text.replace("ant", "bee").as_bytes());
        }),
        ("another list", &|tree| {
            sandbox.write(&format!("{tree}/B3SUMS"), sums.replacen(first, "", 1).as_bytes())
        }),
        ("no list", &|tree| std::fs::remove_file(sandbox.path(&format!("{tree}/B3SUMS"))).unwrap()),
        ("no ISN.json", &|tree| std::fs::remove_file(sandbox.path(&format!("{tree}/ISN.json"))).unwrap()),
    ];
    for (at, (what, damage)) in damages.iter().enumerate() {
        let tree = format!("tree-{at}");
        sandbox.copy("tree", &tree);
        damage(&tree);
        let error = refused(&tree).unwrap_or_else(|| panic!("{what}: was read"));
        assert!(matches!(error, Error::Integrity { .. } | Error::Invalid { .. }), "{what}: {error}");
    }
    sandbox.copy("out", "bad");
    for shard in sandbox.objects("bad", ".tar.zst") {
        let mut bytes = sandbox.read(&shard);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        sandbox.write(&shard, &bytes);
    }
    let said = sandbox.isn(&["export", "./bad", "--as", "webdataset"]).fails(3, ".tar.zst").stderr;
    assert!(said.contains("`isn build`") && !said.contains("operator"), "{said}");
    for (at, path) in sandbox.objects("out", "").into_iter().enumerate() {
        let build = format!("build-{at}");
        sandbox.copy("out", &build);
        sandbox.write(&path.replacen("out", &build, 1), b"other");
        // The recipe and the like say nothing about images.
        if !(path.ends_with(".toml") || path.contains("ledger")) {
            let error = refused(&build);
            let is_told = error.as_ref().is_none_or(|e| matches!(e, Error::Integrity { .. }));
            assert!(is_told, "{path}: {error:?}");
        }
    }
}
