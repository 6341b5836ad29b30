use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::sandbox::{Sandbox, ended, real_data};

const CLASSES: [&str; 3] = ["ant", "bee", "cat"];

/// Makes `raw` with 8 images a class, and a recipe with `ledger.csv` and a policy.
fn sandbox(policy: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 8);
    sandbox.recipe("grads", "1.0", &CLASSES, &format!("\n[corrections]\nfile = \"ledger.csv\"\n{policy}\n"));
    sandbox
}

fn add(sandbox: &Sandbox, args: &[&str]) -> crate::sandbox::Ran {
    sandbox.isn(&[&["ledger", "add", "ledger.csv"], args].concat())
}

const BUILD: [&str; 7] = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out", "--json"];

#[test]
fn claims_become_corrections_by_the_policy_and_the_rest_is_left_to_a_person() {
    let sandbox = sandbox("agree = 2");
    for (id, what, class, source) in [
        ("ant/ant_1", "label", "bee", "real"),
        ("ant/ant_1", "label", "bee", "mturk"),
        ("ant/ant_2", "label", "bee", "real"),
        ("bee/bee_3", "label", "kite", "real"),
        ("bee/bee_3", "none", "", "mturk"),
        ("cat/cat_4", "label", "ant", "real"),
        ("cat/cat_4", "label", "cat", "mturk"),
    ] {
        let classes: &[&str] = if class.is_empty() { &[] } else { &[class] };
        add(&sandbox, &[&[id, what], classes, &["--claim", "--source", source]].concat()).ok();
    }
    let check = ["ledger", "check", "grads-1.0.toml", "--source", "raw"];
    let text = sandbox.isn(&check).ok().stdout;
    for line in [
        "decided: ant/ant_1: relabel to bee: real says bee; mturk says bee",
        "decided: bee/bee_3: remove: real says kite; mturk says none of them",
        "open: ant/ant_2 (now ant): too few independent claims: real: relabel to bee",
        "open: cat/cat_4 (now cat): the claims conflict: real: relabel to ant, mturk: keep",
        "7 rows: 1 removed, 1 relabelled, 0 kept; 2 left to a person; 0 problems",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let report = sandbox.isn(&BUILD).ok().json();
    assert_eq!(report["removed"], json!(["bee/bee_3"]));
    assert_eq!(report["relabelled"], json!(["ant/ant_1"]));
    assert_eq!(report["open"], json!(["ant/ant_2", "cat/cat_4"]));
    assert!(report["warnings"].to_string().contains("leaves 2 images to a person"), "{}", report["warnings"]);

    // A reviewer overrides the policy.
    add(&sandbox, &["ant/ant_1", "keep", "--reason", "correct", "--reviewer", "Ann"]).ok();
    add(&sandbox, &["ant/ant_2", "remove", "--reason", "blank", "--reviewer", "Ann", "--evidence", "a, b"])
        .ok();
    let checked = sandbox.isn(&[&check[..], &["--json"]].concat()).ok().json();
    assert_eq!(checked["open"].as_array().unwrap().len(), 1);
    assert_eq!(checked["decided"][0]["action"], "keep");
    assert!(checked["decided"][1]["because"].as_str().unwrap().starts_with("blank: a, b (Ann, 20"));
    // What is right besides does not change the version, and is told.
    add(&sandbox, &["ant/ant_1", "keep", "bee", "--reason", "several", "--reviewer", "Ann"]).ok();
    let ran = sandbox.isn(&check).ok();
    assert!(ran.stdout.contains("decided: ant/ant_1: keep, also bee: several"), "{}", ran.stdout);
    assert!(ran.stdout.contains("several: 1 kept image of more than one class"), "{}", ran.stdout);
    let checked = sandbox.isn(&[&check[..], &["--json"]].concat()).ok().json();
    assert_eq!(checked["decided"][0]["also"], json!(["bee"]));
    // The ledger is one of the version's objects.
    let ledger = sandbox.read("ledger.csv");
    let mut out = BUILD;
    out[5] = "out2";
    sandbox.isn(&out).ok();
    let objects = sandbox.objects("out2", ".csv");
    assert!(objects.iter().any(|object| sandbox.read(object) == ledger), "{objects:?}");
}

#[test]
fn reviewers_who_differ_stop_a_build_until_one_gives_in() {
    let sandbox = sandbox("");
    add(&sandbox, &["ant/ant_1", "keep", "--reason", "correct", "--reviewer", "Ann"]).ok();
    add(&sandbox, &["ant/ant_1", "relabel", "bee", "--reason", "wrong-label", "--reviewer", "Bo"]).ok();
    let ran = sandbox
        .isn(&BUILD)
        .fails(1, "ant/ant_1: the reviewers differ: Ann says keep, Bo says relabel to bee");
    assert!(ran.stderr.contains("ledger ledger.csv has 1 mistake"), "{}", ran.stderr);
    let check = ["ledger", "check", "grads-1.0.toml", "--source", "raw"];
    sandbox.isn(&check).fails(8, "problem: ant/ant_1: the reviewers differ");
    add(&sandbox, &["ant/ant_1", "withdraw", "--reason", "other", "--reviewer", "Bo"]).ok();
    sandbox.isn(&check).ok();
    sandbox.isn(&BUILD).ok();
}

#[test]
fn ledgers_of_two_reviewers_merge_and_their_conflicts_are_listed() {
    let sandbox = sandbox("");
    add(&sandbox, &["ant/ant_0", "none", "--claim", "--source", "real"]).ok();
    sandbox.write("bo.csv", &sandbox.read("ledger.csv"));
    add(&sandbox, &["ant/ant_0", "remove", "--reason", "blank", "--reviewer", "Ann"]).ok();
    for what in ["keep", "unsure", "keep"] {
        let decision =
            ["ledger", "add", "bo.csv", "ant/ant_0", what, "--reason", "correct", "--reviewer", "Bo"];
        sandbox.isn(&decision).ok();
    }
    let report = sandbox.isn(&["ledger", "import", "ledger.csv", "bo.csv", "--json"]).ok().json();
    assert_eq!((&report["found"], &report["added"]), (&json!(4), &json!(3)));
    assert!(report["conflicts"][0].as_str().unwrap().starts_with("ant/ant_0: Ann says remove"), "{report}");
    let again = sandbox.isn(&["ledger", "import", "ledger.csv", "bo.csv", "--json"]).ok().json();
    assert_eq!(again["added"], 0);
    let diff = sandbox.isn(&["ledger", "diff", "bo.csv", "ledger.csv"]).ok().stdout;
    assert!(diff.contains("ant/ant_0: was keep, is keep / remove"), "{diff}");
    assert!(diff.contains("1 row added, 0 removed"), "{diff}");
    let shown = sandbox.isn(&["ledger", "show", "ledger.csv", "--image", "ant/ant_0", "--json"]).ok().json();
    assert_eq!(shown["images"][0]["decisions"].as_array().unwrap().len(), 2);
}

#[test]
fn mistakes_name_the_thing_and_change_nothing() {
    let sandbox = sandbox("");
    add(&sandbox, &["ant/ant_1", "keep", "--reason", "correct", "--reviewer", "Ann"]).ok();
    let before = sandbox.read("ledger.csv");
    let by_ann = ["--reason", "other", "--reviewer", "Ann"];
    for (args, code, why) in [
        (&[&["x", "relabel"], &by_ann[..]].concat()[..], 1, "'relabel' takes one class"),
        (&[&["x", "unsure", "ant"], &by_ann[..]].concat(), 1, "'unsure' takes no class"),
        (
            &[&["x", "burn"], &by_ann[..]].concat(),
            1,
            "'burn' is not a decision: expected keep [CLASS…], remove, relabel CLASS",
        ),
        (&["x", "keep", "--reviewer", "Ann"], 2, "--reason <CODE>"),
        (&["x", "keep", "--reviewer", "Ann", "--reason", "just so"], 2, "possible values: wrong-label"),
        (&["x", "none", "--claim"], 2, "--source <NAME>"),
        (&["x", "keep", "--claim", "--source", "me"], 1, "is not a claim: expected label CLASS"),
        (
            &[&["x", "keep", "--date", "yesterday"], &by_ann[..]].concat(),
            1,
            "date 'yesterday' is not YYYY-MM-DD",
        ),
        (&[&["x", "keep", "--evidence", "two\nlines"], &by_ann[..]].concat(), 1, "evidence has a line break"),
    ] {
        add(&sandbox, args).fails(code, why);
    }
    sandbox.write("list.csv", b"source_id\nant/ant_2\n");
    sandbox
        .isn(&["ledger", "import", "ledger.csv", "list.csv"])
        .fails(1, "name its source with --source NAME");
    sandbox.write("what.csv", b"a,b\n1,2\n");
    sandbox
        .isn(&["ledger", "import", "ledger.csv", "what.csv"])
        .fails(1, "is not a file of claims that isn knows");
    sandbox.write("real.json", b"[[1], [1000]]");
    sandbox
        .isn(&["ledger", "import", "ledger.csv", "real.json"])
        .fails(1, "entry 1: 1000 is not one of the 1,000 classes");
    sandbox
        .isn(&["ledger", "show", "ledger.csv", "--image", "no"])
        .fails(6, "image no is not in ledger ledger.csv");
    sandbox.isn(&["ledger", "check", "grads-1.0.toml"]).fails(1, "give --source DIR");
    assert_eq!(sandbox.read("ledger.csv"), before);
    sandbox.isn(&["ledger", "import", "ledger.csv", "list.csv", "--source", "a talk"]).ok();

    // A relabel to an unknown class, or a decision about an image that does not exist, stops a build.
    add(&sandbox, &[&["cat/cat_1", "relabel", "dog"], &by_ann[..]].concat()).ok();
    sandbox.isn(&BUILD).fails(1, "cat/cat_1: relabel to dog, which is no class of the recipe");
    add(&sandbox, &[&["cat/cat_1", "withdraw"], &by_ann[..]].concat()).ok();
    add(&sandbox, &[&["cat/cat_99", "remove"], &by_ann[..]].concat()).ok();
    sandbox.isn(&BUILD).fails(1, "no image of the source has the id cat/cat_99");
}

#[test]
fn published_claims_are_recognised_by_their_content() {
    let sandbox = Sandbox::new();
    sandbox.write("real.json", real_json("[22], [], [22, 23]", 49_997).as_bytes());
    sandbox.write(
        "mturk.json",
        br#"[{"id": 2, "url": "https://example.org/val/n01440764/ILSVRC2012_val_00000003.JPEG", "given_original_label": 22,
            "our_guessed_label": 23, "mturk": {"given": 1, "guessed": 3, "neither": 1, "both": 0}}]"#,
    );
    sandbox.write(
        "experts.csv",
        b"filename,correct,unclear,problematic\nILSVRC2012_val_00000001.JPEG,n01616318 n01614925,,False\n\
          ILSVRC2012_val_00000002.JPEG,,,True\nILSVRC2012_val_00000003.JPEG,,,False\n",
    );
    sandbox.write(
        "list.csv",
        b"image,labels,evidence\nILSVRC2012_val_00000001.JPEG,n01616318,\"a talk, slide 3\"\n",
    );
    for (file, format, found) in [
        ("real.json", "ReaL's labels", 50_000),
        ("mturk.json", "votes by MTurk", 1),
        ("experts.csv", "multi-labels by experts", 2),
    ] {
        let report = sandbox.isn(&["ledger", "import", "l.csv", file, "--json"]).ok().json();
        assert_eq!((&report["format"], &report["added"]), (&json!(format), &json!(found)), "{file}");
    }
    let dated = ["ledger", "import", "l.csv", "list.csv", "--source", "talk", "--date", "2025-01-02"];
    sandbox.isn(&dated).ok();
    let rows = [
        "kind,source_id,says,labels,reason,source,reviewer,date,evidence",
        "claim,ILSVRC2012_val_00000001,label,n01614925,,real,,2020-06-12,",
        "claim,ILSVRC2012_val_00000002,none,,,real,,2020-06-12,",
        "claim,ILSVRC2012_val_00000003,several,n01614925 n01616318,,real,,2020-06-12,",
        "claim,ILSVRC2012_val_00000003,label,n01616318,,mturk,,2021-03-26,given=1 guessed=3 neither=1 both=0; guessed n01616318",
        "claim,ILSVRC2012_val_00000001,several,n01616318 n01614925,,shankar,,2020-07-13,",
        "claim,ILSVRC2012_val_00000002,unclear,,,shankar,,2020-07-13,problematic",
        "claim,ILSVRC2012_val_00000001,label,n01616318,,talk,,2025-01-02,\"a talk, slide 3\"",
    ];
    let ledger = String::from_utf8(sandbox.read("l.csv")).unwrap();
    let is_padding = |line: &&str| line.ends_with(",label,n01440764,,real,,2020-06-12,");
    let (padding, others): (Vec<_>, Vec<_>) = ledger.lines().partition(is_padding);
    assert_eq!((padding.len(), others), (49_997, rows.to_vec()));
}

/// A `real.json` with these entries, and `more` that say class 0.
fn real_json(entries: &str, more: usize) -> String {
    format!("[{entries}{}]", ", [0]".repeat(more))
}

#[test]
fn a_list_of_which_isn_would_not_read_the_labels_claims_nothing() {
    let sandbox = Sandbox::new();
    for (text, why) in [
        ("source_id,Labels\nx,dog\n", "has columns that isn does not read: 'Labels'"),
        ("filename,class\nx,dog\n", "does not read: 'class'"),
        ("source_id,given_label,suggested_label\nx,a,b\n", "does not read: 'given_label', 'suggested_label'"),
        ("source_id, labels\nx,dog\n", "does not read: ' labels'"),
        ("source_id,labels,labels\nx,dog,cat\n", "has more than one column of labels"),
        ("source_id,label,labels\nx,dog,cat\n", "has more than one column of labels"),
        ("source_id,filename,labels\nx,y,cat\n", "names images by more than one column"),
        ("source_id,labels,correct\nx,cat,true\n", "does not read: 'correct'"),
    ] {
        sandbox.write("list.csv", text.as_bytes());
        let ran = sandbox.isn(&["ledger", "import", "l.csv", "list.csv", "--source", "me"]).fails(1, why);
        assert!(
            ran.stderr.contains("without labels, every row claims that no label is right"),
            "{}",
            ran.stderr
        );
        assert!(!sandbox.path("l.csv").exists());
    }
    // Names in quotes, as R writes them, and blanks around ids are the same columns and ids.
    sandbox.write("list.csv", b"\"source_id\",\"labels\"\n\"x \",\"dog\"\n");
    sandbox.isn(&["ledger", "import", "l.csv", "list.csv", "--source", "me", "--date", "2025-01-02"]).ok();
    let ledger = String::from_utf8(sandbox.read("l.csv")).unwrap();
    assert!(ledger.ends_with("\nclaim,x,label,dog,,me,,2025-01-02,\n"), "{ledger}");
    sandbox.write("blank.csv", b"source_id,evidence\n  ,seen\n");
    sandbox
        .isn(&["ledger", "import", "b.csv", "blank.csv", "--source", "me"])
        .fails(1, "line 2 names no image");
    // By position, a part would name other images.
    for (entries, more) in [("[1], [2]", 0), ("[1]", 50_000)] {
        sandbox.write("real.json", real_json(entries, more).as_bytes());
        let why = if more == 0 { "has 2 lists, not one for each" } else { "there are 50,000" };
        sandbox.isn(&["ledger", "import", "r.csv", "real.json"]).fails(1, why);
    }
}

#[test]
fn nothing_is_imported_that_could_not_be_read_back() {
    let sandbox = Sandbox::new();
    sandbox.write("lines.csv", b"source_id,labels,evidence\nx,n01440764,\"two\nlines\"\n");
    sandbox.write("list.csv", b"source_id,evidence\nx,seen\n");
    sandbox.write("control.txt", b"n01440764/n01440764_\x01.JPEG n01440764/n01440764_\x01.png\n");
    for (file, more, why) in [
        ("lines.csv", &["--source", "me"][..], "x: evidence has a line break"),
        ("list.csv", &["--source", "a\nb"], "x: source has a line break"),
        ("list.csv", &["--source", " "], "x: source must not be empty"),
        ("list.csv", &["--source", "me", "--date", "yesterday"], "x: date 'yesterday' is not YYYY-MM-DD"),
        ("control.txt", &[], "source_id has a line break or another control character"),
    ] {
        let import = ["ledger", "import", "l.csv", file];
        let ran = sandbox.isn(&[&import[..], more].concat()).fails(1, why);
        assert!(ran.stderr.contains("what is to be added to l.csv has "), "{}", ran.stderr);
        assert!(!sandbox.path("l.csv").exists(), "{file}");
    }
}

#[test]
fn the_250_claims_about_imagebirds_conflict_where_they_are_known_to() {
    let Some(data) = real_data() else { return };
    let sandbox = Sandbox::new();
    let table = data.join("ilsvrc2012/imagebirds_val_claims.csv");
    let report =
        sandbox.isn(&["ledger", "import", "corrections.csv", table.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(report["added"], 366);
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/registry/recipes/imagebirds");
    let imported = String::from_utf8(sandbox.read("corrections.csv")).unwrap();
    let ours = std::fs::read_to_string(format!("{recipe}/corrections.csv")).unwrap();
    assert!(ours.starts_with(&imported), "ImageBirds' ledger begins with these claims");
    let checked = sandbox.isn(&["ledger", "check", &format!("{recipe}/recipe.toml"), "--json"]).ok().json();
    let open: Vec<&str> =
        checked["open"].as_array().unwrap().iter().map(|one| one["source_id"].as_str().unwrap()).collect();
    for number in ["00000018", "00047350", "00013434"] {
        assert!(open.contains(&format!("ILSVRC2012_val_{number}").as_str()), "{number}: {open:?}");
    }
    let removed: Vec<&str> =
        checked["decided"].as_array().unwrap().iter().map(|one| one["source_id"].as_str().unwrap()).collect();
    assert_eq!(removed, ["ILSVRC2012_val_00000128", "ILSVRC2012_val_00033186", "ILSVRC2012_val_00038324"]);
}

#[test]
fn a_build_says_what_to_add_to_the_ledger() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 8);
    sandbox.write("raw/ant/ant_3.png", b"no picture");
    std::fs::create_dir(sandbox.path("recipes")).unwrap();
    let recipe = |more: &str| {
        sandbox.recipe("grads", "1.0", &CLASSES, more);
        std::fs::rename(sandbox.path("grads-1.0.toml"), sandbox.path("recipes/grads.toml")).unwrap();
    };
    let build = ["build", "recipes/grads.toml", "--source", "raw", "--out", "out"];
    recipe("");
    let advised = |why: &str| {
        let stderr = sandbox.isn(&build).fails(1, why).stderr;
        let command = stderr.lines().find_map(|line| line.trim().strip_prefix("isn ledger add ")).unwrap();
        assert!(
            command.starts_with("recipes/corrections.csv ant/ant_3 remove --reason broken "),
            "{command}"
        );
    };
    advised("the recipe has no ledger");
    recipe("[corrections]\nfile = \"corrections.csv\"");
    sandbox.write(
        "recipes/corrections.csv",
        b"kind,source_id,says,labels,reason,source,reviewer,date,evidence\n",
    );
    advised("add a decision for each image to the recipe's ledger");

    // The path, which the error shows first, is not the id.
    let add = |id: &str| {
        let decision = ["remove", "--reason", "broken", "--reviewer", "Ann"];
        sandbox.isn(&[&["ledger", "add", "recipes/corrections.csv", id], &decision[..]].concat())
    };
    add("SOURCE_ID").fails(1, "SOURCE_ID only stands for");
    assert_eq!(add("ant/ant_4").ok().stderr, "");
    let warned = add("ant/ant_3.png").ok().stderr;
    assert!(warned.contains("warning: ant/ant_3.png looks like a file"), "{warned}");
    let checked = sandbox.isn(&["ledger", "check", "recipes/grads.toml", "--source", "raw"]);
    checked.fails(8, "no image of the source has the id ant/ant_3.png: an id is the path in the source");
    sandbox.isn(&build).fails(1, "Change it to ant/ant_3 in the ledger");
}

#[test]
fn a_path_is_no_id_of_imagenet() {
    let sandbox = Sandbox::new();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/registry/recipes/demobirds");
    let text = std::fs::read_to_string(format!("{recipe}/recipe.toml")).unwrap();
    sandbox.write("recipe.toml", text.as_bytes());
    std::fs::copy(format!("{recipe}/corrections.csv"), sandbox.path("corrections.csv")).unwrap();
    sandbox.isn(&["ledger", "check", "recipe.toml"]).ok();
    let id = "train/n01833805/n01833805_33.JPEG";
    let decision = ["remove", "--reason", "broken", "--reviewer", "Ann"];
    sandbox.isn(&[&["ledger", "add", "corrections.csv", id], &decision[..]].concat()).ok();
    let why = format!("{id}: no such image in the source: an id is the file name without its extension");
    sandbox.isn(&["ledger", "check", "recipe.toml"]).fails(8, &why);
}

#[test]
fn many_ids_come_from_stdin_all_or_none() {
    let sandbox = Sandbox::new();
    let add = |ids: &str| {
        let args = ["ledger", "add", "l.csv", "-", "remove", "--reason", "broken", "--reviewer", "Ada"];
        let mut command = sandbox.command(&[&args[..], &["--json"]].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(ids.as_bytes()).unwrap();
        ended(child)
    };
    let json = add("cat/1\n\n  dog/2 \r\n").ok().json();
    let ids: Vec<&str> =
        json["rows"].as_array().unwrap().iter().map(|row| row["source_id"].as_str().unwrap()).collect();
    assert_eq!((ids, &json["new"]), (vec!["cat/1", "dog/2"], &true.into()));
    let before = sandbox.read("l.csv");
    assert_eq!(String::from_utf8(before.clone()).unwrap().lines().count(), 3);
    add("cat/3\n=cmd|x\n").fails(1, "=cmd|x");
    add("\n").fails(1, "has no source id");
    assert_eq!(sandbox.read("l.csv"), before);
    assert!(add("cat/4\n").ok().json().get("rows").is_none());
}
