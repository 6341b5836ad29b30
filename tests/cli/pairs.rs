//! Pairs of images that people have judged.

use crate::folders::recipe;
use crate::sandbox::{Sandbox, noise};

const BUILD: [&str; 6] = ["build", "recipe.toml", "--source", "raw", "--out", "out"];
const PUBLISH: [&str; 6] = ["publish", "out", "--registry", "reg", "--key", "me"];
const HEADER: &str = "kind,first,second,says,reviewer,reason,date,evidence\n";

/// A folder `raw` of noise, of which two val images look like train images, one with the same bytes, and
/// `recipe.toml`, whose `pairs.csv` has these rows: `first second says`.
fn judged(rows: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for (at, path) in
        ["train/ant/0", "train/ant/1", "train/owl/2", "val/ant/3", "val/owl/4"].iter().enumerate()
    {
        let path = sandbox.path(&format!("raw/{path}.jpg"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        noise(at as u64).save(path).unwrap();
    }
    sandbox.write("raw/val/ant/copy.jpg", &sandbox.read("raw/train/ant/0.jpg"));
    image::open(sandbox.path("raw/train/ant/1.jpg"))
        .unwrap()
        .save(sandbox.path("raw/val/owl/near.jpg"))
        .unwrap();
    let classes = "[[class]]\nid = \"ant\"\nlabel = \"ant\"\n[[class]]\nid = \"owl\"\nlabel = \"owl\"\n";
    recipe(&sandbox, "recipe.toml", "", classes);
    edit(&sandbox, |text| {
        text.replace("size = 24", "size = 160")
            .replace("policy", "pairs = \"pairs.csv\"\npolicy")
            .replace("leakage = \"allow\"", "leakage = \"refuse\"")
    });
    judge(&sandbox, rows);
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox
}

fn judge(sandbox: &Sandbox, rows: &str) {
    let row = |row: &str| {
        let [first, second, says] = row.split(' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (says, reviewer) = says.split_once('/').unwrap_or((says, "Ann"));
        format!("decision,{first},{second},{says},{reviewer},other,2026-11-28,\n")
    };
    let rows: String = rows.lines().map(row).collect();
    sandbox.write("pairs.csv", (HEADER.to_owned() + &rows).as_bytes());
}

fn edit(sandbox: &Sandbox, change: impl FnOnce(String) -> String) {
    let text = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("recipe.toml", change(text).as_bytes());
}

const EXACT: &str = "train/ant/0 val/ant/copy";
const NEAR: &str = "train/ant/1 val/owl/near";

fn both(says: &str) -> String {
    format!("{EXACT} {says}\n{NEAR} {says}\n")
}

#[test]
fn a_version_may_have_images_in_two_splits_that_people_found_different() {
    let sandbox = judged("");
    sandbox.isn(&BUILD).ok();
    let ran = sandbox.isn(&PUBLISH).fails(8, "leakage: ");
    assert_eq!(ran.stderr.matches("show one picture").count(), 2, "{}", ran.stderr);
    let audit = |args: &[&str]| sandbox.isn(&[&["audit", "duplicates", "--json"], args].concat());
    assert_eq!(audit(&["out"]).fails(8, "").json()["cross_split"], 2);
    // Pairs are among the inputs, so the output is that of other inputs.
    judge(&sandbox, &format!("{EXACT} different\n"));
    sandbox.isn(&BUILD).fails(1, "is not the output of this recipe over this source");
    assert_eq!(audit(&["raw", "--recipe", "recipe.toml"]).fails(8, "").json()["cross_split"], 1);
    // What the user says now counts for a build, too.
    assert_eq!(audit(&["out", "--recipe", "recipe.toml"]).fails(8, "").json()["cross_split"], 1);

    judge(&sandbox, &both("different"));
    let found = audit(&["raw", "--recipe", "recipe.toml"]).ok().json();
    assert_eq!((&found["exact"], &found["near"]), (&serde_json::json!([]), &serde_json::json!([])));
    std::fs::remove_dir_all(sandbox.path("out")).unwrap();
    sandbox.isn(&BUILD).ok();
    assert_eq!(audit(&["out"]).ok().json()["cross_split"], 0);
    let manifest: serde_json::Value = serde_json::from_slice(&sandbox.read("out/manifest.json")).unwrap();
    assert_eq!(manifest["format"], "isn-manifest/2");
    assert_eq!(manifest["objects"]["pairs"]["format"], "isn-pairs/1");
    assert_eq!((&manifest["splits"]["val"], &manifest["classes"]), (&4.into(), &2.into()));
    sandbox.isn(&["verify", "out"]).ok();
    sandbox.publish("out");

    // Everything that reads a version reads it.
    sandbox.isn(&["mirror", "reg", "copy"]).ok();
    sandbox.trust_me("copy");
    for verb in [
        &["verify", "reg"][..],
        &["verify", "copy"],
        &["info", "grads@1.0", "--registry", "copy"],
        &["images", "grads@1.0", "--registry", "copy"],
        &["audit", "duplicates", "grads@1.0", "--registry", "copy"],
        &["export", "grads@1.0", "--registry", "copy", "--as", "webdataset", "--to", "exported"],
        &["pull", "grads@1.0", "--registry", "copy", "--to", "tree"],
        &["audit", "duplicates", "tree", "--registry", "copy"],
        &["pull", "grads@1.0", "--registry", "copy", "--source", "raw", "--to", "rebuilt"],
        &["attest", "out", "--key", "me", "--out", "attestation"],
        &["recipe", "export", "grads@1.0", "--registry", "copy", "--to", "inputs"],
    ] {
        sandbox.isn(verb).ok();
    }
    // Whoever has the version reads what was decided, and why.
    for file in ["recipe.toml", "pairs.csv"] {
        assert_eq!(sandbox.read(&format!("inputs/{file}")), sandbox.read(file), "{file}");
    }
    let shown = sandbox.isn(&["recipe", "show", "grads@1.0", "--registry", "copy", "--json"]).ok().json();
    assert_eq!(shown["files"], serde_json::json!(["pairs.csv", "recipe.toml"]));
    let dataset = ["recipe", "show", "grads", "--registry", "copy"];
    sandbox.isn(&dataset).fails(6, "a published version's is named by NAME@VERSION");
    // A tree has no pairs, and they are not forgotten in silence.
    let alone = audit(&["tree"]).fails(8, "what people found about pairs of images is not known");
    assert_eq!(alone.json()["cross_split"], 2);
    let info = sandbox.isn(&["info", "grads@1.0", "--registry", "copy", "--json"]).ok().json();
    assert_eq!(info["splits"]["val"]["owl"], 2, "{info}");
    let said = String::from_utf8(sandbox.read("attestation")).unwrap();
    let digest = |bytes: &[u8]| isn_format::digest::Digest::of(bytes).prefixed();
    let inputs = format!(
        "recipe {}\npairs {}\n",
        digest(&sandbox.read("recipe.toml")),
        digest(&sandbox.read("pairs.csv"))
    );
    assert!(said.contains(&format!("inputs {}", digest(inputs.as_bytes()))), "{said}");
}

#[test]
fn a_group_falls_apart_only_if_nothing_else_joins_it() {
    let sandbox = judged("");
    // A second copy, in train: each of its pairs is one of its own.
    sandbox.write("raw/train/ant/again.jpg", &sandbox.read("raw/train/ant/0.jpg"));
    let groups = |rows: &str| {
        judge(&sandbox, rows);
        let args = ["audit", "duplicates", "raw", "--recipe", "recipe.toml", "--json"];
        sandbox.isn(&args).json()["exact"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_array().unwrap().len())
            .collect::<Vec<_>>()
    };
    let cut = "train/ant/again val/ant/copy different\n";
    let none: Vec<usize> = Vec::new();
    assert_eq!(groups(""), [3]);
    assert_eq!(groups(cut), [3]);
    assert_eq!(groups(&format!("{EXACT} different\n{cut}")), [2]);
    assert_eq!(groups(&format!("{EXACT} different\n{cut}train/ant/0 train/ant/again different\n")), none);
    // A copy of a picture that is like another one is like it, too.
    sandbox.write("raw/train/ant/another.jpg", &sandbox.read("raw/train/ant/1.jpg"));
    let near = |rows: &str| {
        judge(&sandbox, rows);
        let args = ["audit", "duplicates", "raw", "--recipe", "recipe.toml", "--json"];
        sandbox.isn(&args).json()["near"].as_array().unwrap().len()
    };
    assert_eq!(near(&format!("{NEAR} different\n")), 1);
    assert_eq!(near(&format!("{NEAR} different\ntrain/ant/another val/owl/near different\n")), 0);
}

#[test]
fn pairs_that_are_the_same_are_a_group() {
    let sandbox = judged(&both("same"));
    // The source divides them, and keeps its splits.
    let ran = sandbox.isn(&BUILD).fails(1, "the plan of grads@1.0 has 2 mistakes");
    let why = "train/ant/0.jpg (train) and val/ant/copy.jpg (val) show one picture, and stay in more than one split";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    assert_eq!(
        sandbox.isn(&["audit", "duplicates", "raw", "--recipe", "recipe.toml", "--json"]).json()["cross_split"],
        2
    );
    // A group of the file and two pairs are one, which the policy does not divide.
    let rows = format!("{EXACT} same\n{NEAR} same\ntrain/ant/1 train/owl/2 same\n");
    judge(&sandbox, &rows);
    sandbox.write("groups.csv", b"source_id,group\ntrain/owl/2,g\nval/owl/4,g\n");
    edit(&sandbox, |text| {
        text.replace(
            "policy = \"keep\"",
            "policy = \"threshold\"\nval = 0.5\nsalt = \"s\"\ngroups = \"groups.csv\"",
        )
        .replace("[gates]", "[gates]\nval_min = 0")
    });
    sandbox.isn(&BUILD).ok();
    let images = sandbox.isn(&["images", "./out", "--json"]).ok().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let splits: std::collections::HashMap<String, String> = images["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(&row["source_id"]), text(&row["split"])))
        .collect();
    let group = ["train/ant/1", "val/owl/near", "train/owl/2", "val/owl/4"].map(|id| &splits[id]);
    assert!(group.iter().all(|split| *split == group[0]), "{splits:?}");
    assert_eq!(splits["train/ant/0"], splits["val/ant/copy"]);
    sandbox.isn(&["audit", "duplicates", "out", "--json"]).fails(8, "");
    sandbox.publish("out");
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--source", "raw", "--to", "rebuilt"]).ok();
}

#[test]
fn what_is_wrong_with_pairs_is_told_at_once() {
    let rows = "ant/0 val/ant/3 different\n\
                train/ant/0 train/ant/1 same\n\
                train/ant/0 train/ant/1 different/Bo\n\
                train/ant/1 train/owl/2 different\n\
                train/ant/0 val/ant/copy same\n\
                val/ant/3 val/ant/copy same\n\
                train/ant/0 val/ant/3 different\n\
                nobody val/owl/4 different\n\
                nobody val/owl/4 withdraw\n";
    let sandbox = judged(rows);
    sandbox.write("groups.csv", b"source_id,group\ntrain/ant/1,g\ntrain/owl/2,g\n");
    edit(&sandbox, |text| text.replace("policy", "groups = \"groups.csv\"\npolicy"));
    let told = [
        "pairs: no image of the source has the id ant/0: an id is the path in the source without the extension. \
         Change it to train/ant/0 in the pairs",
        "pairs: train/ant/0 and train/ant/1: the reviewers differ: Ann says same, Bo says different",
        "pairs: train/ant/1 and train/owl/2: are different by pairs.csv, and in one group by groups.csv: take one of \
         the two out of groups.csv, or withdraw that they are different",
        "pairs: train/ant/0 and val/ant/3: are different by pairs.csv, and in one group by pairs.csv: withdraw one of \
         the decisions that join them (train/ant/0 and val/ant/copy; val/ant/3 and val/ant/copy), or withdraw that \
         they are different",
    ];
    let ran = sandbox.isn(&BUILD).fails(1, "the plan of grads@1.0 has 5 mistakes");
    told.iter().for_each(|line| assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr));
    assert!(!ran.stderr.contains("nobody"), "{}", ran.stderr);
    // Whoever checks the ledger is told the same.
    sandbox.write("ledger.csv", b"kind,source_id,says,labels,reason,source,reviewer,date,evidence\n");
    edit(&sandbox, |text| text + "\n[corrections]\nfile = \"ledger.csv\"\n");
    let ran = sandbox.isn(&["ledger", "check", "recipe.toml", "--source", "raw"]).fails(8, "4 problems");
    told.iter().for_each(|line| assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout));
    // Of a part, they may be about the rest.
    judge(&sandbox, "ant/0 val/ant/3 different\n");
    let partial = [&BUILD[..], &["--partial"]].concat();
    let part = "pairs: the source, which is a part, has no image for 1 of the 2 source ids in the pairs";
    sandbox.isn(&partial).fails(0, part);
    let manifest: serde_json::Value = serde_json::from_slice(&sandbox.read("out/manifest.json")).unwrap();
    assert_eq!((&manifest["format"], &manifest["part_of"]), (&"isn-part/2".into(), &"1.0".into()));
    sandbox.isn(&["verify", "out"]).fails(0, "so that it is no version");
    sandbox.isn(&["pull", "./out", "--to", "tree"]).ok();
    sandbox.isn(&PUBLISH).fails(1, "was built from a part of its source");

    sandbox.write("pairs.csv", b"kind,first\n");
    sandbox.isn(&partial).fails(1, "line 1: the header must be kind,first,second,says,");
    std::fs::remove_file(sandbox.path("pairs.csv")).unwrap();
    let absent =
        "recipe.toml names pairs.csv, which does not exist: `isn pairs add` and `isn review --pairs` make it";
    sandbox.isn(&partial).fails(1, absent);
    // Nobody has decided yet: an audit goes on.
    let audit = sandbox.isn(&["audit", "duplicates", "raw", "--recipe", "recipe.toml"]);
    let warning = "the recipe names ./pairs.csv, which does not exist yet: no pair is judged";
    assert_eq!(audit.stderr.matches(warning).count(), 1, "{}", audit.stderr);
    edit(&sandbox, |text| text.replace("isn-recipe/2", "isn-recipe/1"));
    sandbox.isn(&BUILD).fails(1, "[split] pairs needs format = \"isn-recipe/2\"");
}

/// A later version may not take an image out of val because a copy of it was added.
#[test]
fn a_new_copy_of_an_image_of_val_is_what_has_to_go() {
    let sandbox = Sandbox::new();
    sandbox.noise("raw", &["ant", "bee"], 8);
    sandbox.recipe("grads", "1.0", &["ant", "bee"], "");
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    let val = ["images", "grads@1.0", "--registry", "reg", "--split", "val", "--json"];
    let listed = sandbox.isn(&val).ok().json();
    let id = listed["images"][0]["source_id"].as_str().unwrap();
    let new = format!("{}/new", id.split('/').next().unwrap());
    let file = |id: &str| sandbox.path(&format!("raw/{id}.png"));
    std::fs::copy(file(id), file(&new)).unwrap();
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let text = text.replace("isn-recipe/1", "isn-recipe/2").replace("\"1.0\"", "\"1.1\"");
    let text = text.replace("salt =", "previous = \"1.0\"\npairs = \"pairs.csv\"\nsalt =");
    sandbox.write("next.toml", text.replace("leakage = \"allow\"", "val_min = 0").as_bytes());
    judge(&sandbox, &format!("{id} {new} same\n"));
    sandbox.isn(&["build", "next.toml", "--source", "raw", "--registry", "reg", "--out", "next"]).ok();
    let ran = sandbox.isn(&["publish", "next", "--registry", "reg", "--key", "me"]);
    ran.fails(
        8,
        &format!("moved: {id} is in train, and grads@1.0 has it in val, as it is now one picture with"),
    );
}

/// A system may have the letters of a name in parts: the id is composed, as in the source.
#[test]
fn ids_are_composed() {
    let sandbox = Sandbox::new();
    let args =
        ["pairs", "add", "p.csv", "ant/e\u{301}", "ant/b", "same", "--reason", "copy", "--reviewer", "A"];
    sandbox.isn(&args).ok();
    let ledger = ["ledger", "add", "l.csv", "ant/e\u{301}", "remove", "--reason", "other", "--reviewer", "A"];
    sandbox.isn(&ledger).ok();
    for file in ["p.csv", "l.csv"] {
        let text = String::from_utf8(sandbox.read(file)).unwrap();
        assert!(text.contains("ant/\u{e9},"), "{text}");
    }
}

/// Adds an object to the manifest of the build `out`, as a later isn may. Returns its path.
fn add_object(sandbox: &Sandbox, extension: &str, required: bool, bytes: &[u8]) -> String {
    let digest = |bytes: &[u8]| isn_format::digest::Digest::of(bytes).to_string();
    let path = |hex: &str, extension: &str| format!("objects/{}/{hex}.{extension}", &hex[..2]);
    let old = sandbox.read("out/manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&old).unwrap();
    manifest["objects"]["extra"] = serde_json::json!({
        "blake3": digest(bytes), "length": bytes.len(), "format": "later/1", "extension": extension,
        "required": required,
    });
    let new = serde_json::to_vec(&manifest).unwrap();
    let packs = sandbox.read(&format!("out/packs/{}", digest(&old)));
    std::fs::remove_file(sandbox.path(&format!("out/{}", path(&digest(&old), "json")))).unwrap();
    std::fs::remove_file(sandbox.path(&format!("out/packs/{}", digest(&old)))).unwrap();
    sandbox.write("out/manifest.json", &new);
    sandbox.write(&format!("out/{}", path(&digest(&new), "json")), &new);
    sandbox.write(&format!("out/packs/{}", digest(&new)), &packs);
    let object = path(&digest(bytes), extension);
    sandbox.write(&format!("out/{object}"), bytes);
    object
}

#[test]
fn an_object_that_nobody_knows_yet_is_copied_and_checked() {
    let sandbox = judged(&both("different"));
    sandbox.isn(&BUILD).ok();
    // The bytes of the pairs, under another extension.
    let object = add_object(&sandbox, "bin", false, &sandbox.read("pairs.csv"));
    sandbox.isn(&["verify", "out"]).ok();
    sandbox.publish("out");
    sandbox.isn(&["mirror", "reg", "copy"]).ok();
    for registry in ["reg", "copy"] {
        sandbox.isn(&["verify", registry]).ok();
        assert_eq!(sandbox.read(&format!("{registry}/{object}")), sandbox.read("pairs.csv"));
    }
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]).ok();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--source", "raw", "--to", "rebuilt"]).ok();
    sandbox.write(&format!("copy/{object}"), b"other bytes");
    sandbox.isn(&["verify", "copy"]).fails(3, &object);
    std::fs::remove_file(sandbox.path(&format!("copy/{object}"))).unwrap();
    sandbox.isn(&["verify", "copy"]).fails(3, &object);
    sandbox.isn(&["mirror", "reg", "copy"]).ok();
    sandbox.isn(&["verify", "copy"]).ok();
}

#[test]
fn an_object_that_a_reader_must_know_is_refused() {
    let sandbox = judged(&both("different"));
    sandbox.isn(&BUILD).ok();
    add_object(&sandbox, "csv", true, b"what decides");
    let why = "needs object extra of format 'later/1', which this isn does not know: a newer isn may read it";
    for verb in [
        &["info", "./out"][..],
        &["verify", "out"],
        &["pull", "./out", "--to", "tree"],
        &["export", "./out", "--as", "webdataset", "--to", "exported"],
        &["audit", "duplicates", "out"],
        &PUBLISH,
    ] {
        sandbox.isn(verb).fails(1, why);
    }
}

#[test]
fn pairs_are_judged_shown_and_checked_from_a_terminal() {
    let sandbox = judged("");
    std::fs::remove_file(sandbox.path("pairs.csv")).unwrap();
    let add = |ids: [&str; 2], what: &str, more: &[&str]| {
        let args =
            ["pairs", "add", "pairs.csv", ids[0], ids[1], what, "--reviewer", "Ann", "--date", "2026-11-28"];
        sandbox.isn(&[&args[..], &["--reason", "look-alike"], more].concat())
    };
    let ran =
        add(["val/ant/copy", "train/ant/0"], "same", &["--json", "--evidence", "one, by its size"]).ok();
    assert_eq!((&ran.json()["new"], &ran.json()["row"]["first"]), (&true.into(), &"train/ant/0".into()));
    assert!(ran.json()["warnings"].as_array().unwrap().is_empty(), "{}", ran.stdout);
    assert_eq!(
        String::from_utf8(sandbox.read("pairs.csv")).unwrap(),
        format!(
            "{HEADER}decision,train/ant/0,val/ant/copy,same,Ann,look-alike,2026-11-28,\"one, by its size\"\n"
        )
    );
    let ran = add(["val/ant/copy", "train/ant/0"], "different", &[]).ok();
    let said = "pairs.csv: train/ant/0 and val/ant/copy: Ann decides different: look-alike (2026-11-28)";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    add(["a", "a"], "same", &[]).fails(1, "is given twice: name two different images");
    add(["a", "b"], "equal", &[]).fails(2, "equal");
    add(["a", "b"], "same", &["--evidence", "=1"]).fails(1, "is a formula to a spreadsheet");
    add(["train/ant/0.jpg", "train/cat/1"], "unsure", &[]).fails(0, "train/ant/0.jpg looks like a file");
    let show = sandbox.isn(&["pairs", "show", "pairs.csv", "--image", "train/ant/0", "--json"]).ok();
    assert_eq!(show.json()["shown"][0]["decisions"][0]["says"], "different", "{}", show.stdout);
    let show = sandbox.isn(&["pairs", "show", "pairs.csv"]).ok();
    assert!(show.stdout.contains("pairs.csv: 3 rows; 2 pairs shown"), "{}", show.stdout);
    sandbox.isn(&["pairs", "show", "pairs.csv", "--image", "nobody"]).fails(6, "a pair of image nobody");
    sandbox.isn(&["pairs", "show", "absent.csv"]).fails(6, "absent.csv");
    sandbox.isn(&["pairs", "check", "recipe.toml"]).ok();
    let check = ["pairs", "check", "recipe.toml", "--source", "raw", "--json"];
    let ran = sandbox.isn(&check).fails(8, "pairs: no image of the source has the id train/cat/1");
    let json = ran.json();
    assert_eq!((&json["same"], &json["different"]), (&0.into(), &1.into()), "{json}");
    assert_eq!(json["open"][0][1], "train/cat/1");
    add(["train/ant/0.jpg", "train/cat/1"], "withdraw", &[]).ok();
    sandbox.isn(&check).ok();
    // A recipe that does not name the file.
    edit(&sandbox, |text| text.replace("pairs = \"pairs.csv\"\n", ""));
    add(["train/ant/0", "train/ant/1"], "unsure", &[])
        .fails(0, "the recipe beside it does not name pairs.csv");
    sandbox.isn(&check).fails(1, "names no pairs ([split] pairs)");
}

/// What a failing gate and an audit print can be run as it is.
#[test]
fn the_line_that_judges_a_pair_is_printed() {
    let sandbox = judged("");
    let lines = |text: &str| -> Vec<Vec<String>> {
        let found = text.lines().filter_map(|line| line.split_once("isn pairs add ").map(|(_, rest)| rest));
        let words = |line: &str| {
            let line = line.trim_end_matches('`').replace("'YOUR NAME'", "Ann");
            line.split(' ').map(Into::into).collect()
        };
        found.map(words).collect()
    };
    let run = |words: &[String]| {
        let words: Vec<&str> = ["pairs", "add"].into_iter().chain(words.iter().map(String::as_str)).collect();
        sandbox.isn(&words).ok();
    };
    let audit = ["audit", "duplicates", "raw", "--recipe", "recipe.toml"];
    let first = lines(&sandbox.isn(&audit).fails(8, "").stdout);
    assert_eq!(first.len(), 1);
    run(&first[0]);
    sandbox.isn(&BUILD).ok();
    let refused = lines(&sandbox.isn(&PUBLISH).fails(8, "if they are different: `isn pairs add ").stderr);
    assert_eq!(refused.len(), 1);
    assert_ne!(refused, first);
    run(&refused[0]);
    sandbox.isn(&audit).ok();
    std::fs::remove_dir_all(sandbox.path("out")).unwrap();
    sandbox.isn(&BUILD).ok();
    sandbox.isn(&PUBLISH).ok();
}

#[test]
fn files_that_are_too_long_or_no_files_are_refused() {
    let sandbox = judged("");
    let add = ["pairs", "add", "pairs.csv", "a", "b", "same", "--reason", "copy", "--reviewer", "Ann"];
    let commands: [&[&str]; 5] = [
        &BUILD,
        &["pairs", "show", "pairs.csv"],
        &["pairs", "check", "recipe.toml"],
        &["audit", "duplicates", "raw", "--recipe", "recipe.toml"],
        &add,
    ];
    let path = sandbox.path("pairs.csv");
    // Not every file system has sparse files of this length.
    if std::fs::File::create(&path).unwrap().set_len(3 << 30).is_ok() {
        for args in commands {
            let ran = sandbox.at_home_with_memory("home", 2000, args);
            ran.fails(1, "pairs.csv is longer than 1073741824 bytes: it has 3221225472");
            assert_eq!(path.metadata().unwrap().len(), 3 << 30, "{args:?}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    // What a user names to be shown may be a pipe.
    for args in commands.into_iter().filter(|args| args[1] != "show") {
        sandbox.isn(args).fails(1, "is not a file");
    }
}
