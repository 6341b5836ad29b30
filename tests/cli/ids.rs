//! An image has one source id: in its source, however that is laid out, in the build, in the version and, if
//! that is at hand, in a tree. What names another id has no effect, and that is told.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::folders::{draw, recipe};
use crate::sandbox::{Ran, Sandbox};
use crate::source::layouts;

/// A sandbox with `recipe.toml`, and the folder of its source.
type Layout = (Sandbox, &'static str);

/// The classes of ImageNet's folders, in a source that is not ImageNet.
const WNIDS: [&str; 2] = ["n01440764", "n01614925"];

/// Draws images below `raw/`, all different, and a copy of the first in place of the last.
fn drawn(paths: &[String]) -> Sandbox {
    let sandbox = Sandbox::new();
    paths.iter().enumerate().for_each(|(at, path)| draw(&sandbox, &format!("raw/{path}"), (23 * at) as u8));
    if let [first, .., last] = paths {
        sandbox.write(&format!("raw/{last}"), &sandbox.read(&format!("raw/{first}")));
    }
    sandbox
}

fn classes(ids: &[&str]) -> String {
    ids.iter().map(|id| format!("[[class]]\nid = \"{id}\"\nlabel = \"{id}\"\n")).collect()
}

/// Makes the recipe one of version 1.
fn of_version_1((sandbox, dir): Layout) -> Layout {
    edit(&sandbox, |text| text.replace("isn-recipe/2", "isn-recipe/1"));
    (sandbox, dir)
}

fn edit(sandbox: &Sandbox, change: impl FnOnce(String) -> String) {
    let text = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("recipe.toml", change(text).as_bytes());
}

fn imagenet(dir: &'static str) -> Layout {
    let sandbox = layouts();
    sandbox.write("recipe.toml", &sandbox.read("grads-1.0.toml"));
    (sandbox, dir)
}

fn folders(splits: &[&str], classes_in: &[&str]) -> Layout {
    let name =
        |split: &&str| classes_in.iter().map(move |class| format!("{split}{class}")).collect::<Vec<_>>();
    let folders = splits.iter().flat_map(name);
    let images = folders.flat_map(|folder| {
        let stem = folder.rsplit('/').next().unwrap_or_default().to_owned();
        // No two are equal, as all may come into one split.
        (0..4).map(move |n| format!("{folder}/{stem}_{}{n}.png", folder.len()))
    });
    let sandbox = drawn(&images.collect::<Vec<_>>());
    recipe(&sandbox, "recipe.toml", "", &classes(classes_in));
    (sandbox, "raw")
}

fn renamed() -> Layout {
    let folders = ["Training/Big owls", "valid/Big owls", "Training/ants", "valid/ants"];
    let images = folders.iter().flat_map(|folder| (0..4).map(move |n| format!("{folder}/{n}.png")));
    let sandbox = drawn(&images.collect::<Vec<_>>());
    let source = "splits = { train = [\"Training\"], val = [\"valid\"] }\nnames = \"hash\"";
    let more = "[[class]]\nid = \"ant\"\nlabel = \"ant\"\nfolder = \"ants\"\n[[class]]\nid = \"owl\"\nlabel = \"owl\"\n\
                folder = \"Big owls\"\n";
    recipe(&sandbox, "recipe.toml", source, more);
    (sandbox, "raw")
}

fn list() -> Layout {
    let sandbox = drawn(&(0..8).map(|n| format!("pics/{n}.png")).collect::<Vec<_>>());
    let row = |n: usize| format!("pics/{n}.png,{},{}\n", ["ant", "owl"][n % 2], ["train", "val"][n / 4]);
    let rows: String = (0..8).map(row).collect();
    sandbox.write("raw/labels.csv", format!("path,label,split\n{rows}").as_bytes());
    recipe(&sandbox, "recipe.toml", "list = \"labels.csv\"", &classes(&["ant", "owl"]));
    edit(&sandbox, |text| text.replace("\"imagefolder\"", "\"list\""));
    (sandbox, "raw")
}

fn annotated() -> Layout {
    let train =
        WNIDS.iter().flat_map(|class| (0..4).map(move |n| format!("train/{class}/images/{class}_{n}.JPEG")));
    let val = (0..4).map(|n| format!("val/images/val_{n}.JPEG"));
    let sandbox = drawn(&train.chain(val).collect::<Vec<_>>());
    let rows: String = (0..4).map(|n| format!("val_{n}.JPEG\t{}\t0\t0\n", WNIDS[n % 2])).collect();
    sandbox.write("raw/val/val_annotations.txt", rows.as_bytes());
    recipe(&sandbox, "recipe.toml", "annotated = { val = \"val/val_annotations.txt\" }", &classes(&WNIDS));
    (sandbox, "raw")
}

const SPLITS: [&str; 2] = ["train/", "val/"];

fn ids_of(file: &str, column: usize) -> BTreeSet<String> {
    file.lines().skip(1).filter_map(|row| row.split(',').nth(column)).map(Into::into).collect()
}

fn strings<'v>(values: impl IntoIterator<Item = &'v Value>) -> BTreeSet<String> {
    values.into_iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// The number of suspects that `isn review` begins with.
#[cfg(feature = "serve")]
fn suspects(sandbox: &Sandbox, args: &[&str]) -> u64 {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let usual = ["review", "--json", "--reviewer", "me", "--suspects", "suspects.csv"];
    let mut command = sandbox.command(&[&usual[..], args].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _ = child.kill();
    let said = child.wait_with_output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("{args:?}: {said}"))["suspects"]
        .as_u64()
        .unwrap()
}

/// Goes over all commands that print, write or take source ids, for one layout.
fn same_everywhere(what: &str, (sandbox, dir): Layout, with_mask: bool) {
    let build = |out: &str| sandbox.isn(&["build", "recipe.toml", "--source", dir, "--out", out, "--json"]);
    build("out").ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]).ok();
    let index = sandbox.isn(&["images", "./out", "--json"]).ok().json();
    let images = index["images"].as_array().unwrap();
    let ids = strings(images.iter().map(|image| &image["source_id"]));
    let classes: BTreeSet<&str> = images.iter().map(|image| image["class"].as_str().unwrap()).collect();
    let row = format!(
        "{}\n",
        (0..classes.len()).map(|at| if at == 0 { "1" } else { "0" }).collect::<Vec<_>>().join(",")
    );
    sandbox.write("probs.csv", row.repeat(ids.len()).as_bytes());
    sandbox.write("positions.npy", &npy(&[0, 1, 2, 3, 4, 5, 6, 7]));
    std::fs::create_dir(sandbox.path("w")).unwrap();
    sandbox.write("suspects.csv", format!("source_id\n{}\n", ids.first().unwrap()).as_bytes());

    let registry: &[&str] = &["--registry", "reg"];
    for (subject, more, beside) in [
        (dir, &["--recipe", "recipe.toml"][..], "w/"),
        // The recipe beside what is written.
        (dir, &[], ""),
        ("./out", &[], "w/"),
        ("grads@1.0", registry, "w/"),
        ("tree", registry, "w/"),
    ] {
        let file = |name: &str| format!("{beside}{name}");
        let case = |verb: &str| format!("{what}: {verb} {subject} {more:?}");
        let audit = |verb: &str, args: &[&str]| -> Ran {
            let ran = sandbox.isn(&[&["audit", verb, subject, "--json"][..], args, more].concat());
            assert!([0, 8].contains(&ran.code), "{}: {}", case(verb), ran.stderr);
            assert!(!ran.stderr.contains("guess"), "{}: {}", case(verb), ran.stderr);
            ran
        };
        let is_part = |verb: &str, found: BTreeSet<String>| {
            assert!(!found.is_empty() && found.is_subset(&ids), "{}: {found:?} of {ids:?}", case(verb));
        };
        for verb in ["duplicates", "all"] {
            let json = audit(verb, &["--groups", &file("groups.csv")]).json();
            is_part(verb, strings(json["source_ids"].as_object().unwrap().values()));
            is_part(verb, ids_of(&String::from_utf8(sandbox.read(&file("groups.csv"))).unwrap(), 0));
        }
        if !more.is_empty() || subject != dir {
            let json = audit("images", &["--tiny", "4000"]).json();
            let tiny = json["tiny"].as_array().unwrap();
            assert_eq!(strings(tiny.iter().map(|one| &one["source_id"])), ids, "{}", case("images"));
            assert_eq!(audit("balance", &[]).json()["images"], ids.len(), "{}", case("balance"));
        }
        let claims = file("claims.csv");
        let _ = std::fs::remove_file(sandbox.path(&claims));
        let probs = ["--probs", "probs.csv", "--filter", "predicted_neq_given", "--claims", &claims];
        is_part("labels", strings(audit("labels", &probs).json()["source_ids"].as_array().unwrap()));
        is_part("labels", ids_of(&String::from_utf8(sandbox.read(&claims)).unwrap(), 1));
        if with_mask && subject == dir {
            let claims = file("mask.csv");
            let mask = ["--issues", "positions.npy", "--claims", &claims];
            // Positions are those in one split.
            let parts = ["train", "Training"].map(|part| format!("{dir}/{part}"));
            let folder = parts.iter().find(|part| sandbox.path(part).is_dir()).map_or(dir, String::as_str);
            let ran =
                sandbox.isn(&[&["audit", "mask", folder, "--json"][..], &mask, more].concat()).fails(8, "");
            let found = &ran.json()["source_ids"];
            is_part("mask", strings(found.as_array().unwrap().iter().filter(|id| !id.is_null())));
            is_part("mask", ids_of(&String::from_utf8(sandbox.read(&claims)).unwrap(), 1));
        }
        #[cfg(feature = "serve")]
        assert_eq!(suspects(&sandbox, &[&[subject, "--ledger", &file("ledger.csv")][..], more].concat()), 1);
    }
    // What was written is about the source's images.
    edit(&sandbox, |text| {
        let text = text.replacen("policy =", "groups = \"groups.csv\"\npolicy =", 1);
        text.replace("policy = \"keep\"", "policy = \"pool\"\nval = 0.25\nsalt = \"x\"")
            .replace("\"pool\"", "\"threshold\"")
            + "\n[corrections]\nfile = \"claims.csv\"\n"
    });
    let first = ids.first().unwrap();
    sandbox
        .isn(&["ledger", "add", "claims.csv", first, "keep", "--reason", "correct", "--reviewer", "me"])
        .ok();
    let ran = build("out2").ok();
    let told = ["groups:", "claims:", "corrections:"].iter().find(|told| ran.stderr.contains(**told));
    assert_eq!(told, None, "{what}: {}", ran.stderr);
    let claims = &ran.json()["claims"];
    assert!(claims["all"].as_u64().unwrap() > 0 && claims["all"] == claims["here"], "{what}: {claims}");
    let checked = sandbox.isn(&["ledger", "check", "recipe.toml", "--source", dir, "--json"]).ok().json();
    assert_eq!((&checked["claims"], &checked["warnings"]), (claims, &serde_json::json!([])), "{what}");
}

/// Integers as a .npy file.
fn npy(values: &[i64]) -> Vec<u8> {
    let header = format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}", values.len());
    let header = format!("{header:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

#[test]
fn in_imagenet_an_image_has_one_id_everywhere() {
    same_everywhere("folders", imagenet("raw"), true);
    same_everywhere("tars", imagenet("tars"), false);
    same_everywhere("kaggle", imagenet("kaggle"), false);
}

#[test]
fn in_folders_an_image_has_one_id_everywhere() {
    same_everywhere("wnids", folders(&[""], &WNIDS), true);
    same_everywhere("wnids of version 1", of_version_1(folders(&[""], &WNIDS)), true);
    same_everywhere("wnids in splits", folders(&SPLITS, &WNIDS), true);
    same_everywhere("wnids in splits of version 1", of_version_1(folders(&SPLITS, &WNIDS)), true);
    same_everywhere("classes in splits", folders(&SPLITS, &["ant", "owl"]), true);
    same_everywhere("other names", renamed(), true);
}

#[test]
fn in_lists_an_image_has_one_id_everywhere() {
    same_everywhere("a list", list(), false);
    same_everywhere("an annotated split", annotated(), false);
}

/// A recipe of version `edition`, with a ledger and groups, of `raw/{train,val}/{ant,owl}`.
fn ledgered(edition: u8, ledger: &str, groups: &str) -> Sandbox {
    let (sandbox, _) = folders(&SPLITS, &["ant", "owl"]);
    edit(&sandbox, |text| {
        let text = text.replace("isn-recipe/2", &format!("isn-recipe/{edition}"));
        let text = text.replacen("policy = \"keep\"", "policy = \"threshold\"\nval = 0.5\nsalt = \"x\"", 1);
        let groups = if groups.is_empty() { "" } else { "groups = \"groups.csv\"\n" };
        text.replacen("policy", &format!("{groups}policy"), 1) + "\n[corrections]\nfile = \"ledger.csv\"\n"
    });
    sandbox.write(
        "ledger.csv",
        format!("kind,source_id,says,labels,reason,source,reviewer,date,evidence\n{ledger}").as_bytes(),
    );
    sandbox.write("groups.csv", format!("source_id,group\n{groups}").as_bytes());
    sandbox
}

const BUILD: [&str; 7] = ["build", "recipe.toml", "--source", "raw", "--out", "out", "--json"];
const PARTIAL: [&str; 7] = ["build", "recipe.toml", "--source", "raw", "--out", "out", "--partial"];
const CHECK: [&str; 6] = ["ledger", "check", "recipe.toml", "--source", "raw", "--json"];

fn claim(id: &str) -> String {
    format!("claim,{id},label,ant,,study,,2024-01-01,\n")
}

fn decision(id: &str, says: &str, reviewer: &str) -> String {
    format!("decision,{id},{says},,ambiguous,,{reviewer},2024-01-01,\n")
}

#[test]
fn groups_of_no_image_are_told() {
    // As an audit once wrote them: the names alone.
    let rows = "owl_90,a\nowl_91,a\ntrain/ant/ant_90,b\ntrain/owl/owl_93,b\nnobody,c\nno one,c\n";
    let sandbox = ledgered(2, "", rows);
    let ran = sandbox.isn(&BUILD).fails(1, "the plan of grads@1.0 has 4 mistakes");
    for line in [
        "groups: no image of the source has the id owl_90: an id is the path in the source without the extension. \
         Change it to train/owl/owl_90 in the groups",
        "groups: no image of the source has the id nobody: an id is the path in the source without the extension. \
         Correct that row of the groups",
    ] {
        assert!(ran.stderr.contains(line), "{}", ran.stderr);
    }
    sandbox.isn(&CHECK).fails(8, "Change it to train/owl/owl_90 in the groups");
    // Of a part, they may be about the rest.
    let part = "groups: the source, which is a part, has no image for 4 of the 6 source ids in the groups, without \
                effect; the first is no one, and an id is the path in the source without the extension";
    sandbox.isn(&PARTIAL).fails(0, part);

    // Version 1 goes on, and says it wherever somebody looks.
    let sandbox = ledgered(1, "", rows);
    let ran = sandbox.isn(&BUILD).ok();
    let told = "groups: the source has no image for 4 of the 6 source ids in the groups, without effect";
    assert!(ran.stderr.contains(&format!("warning: {told}")), "{}", ran.stderr);
    let report = String::from_utf8(sandbox.read("out/report.json")).unwrap();
    assert!(ran.json()["warnings"].to_string().contains(told) && report.contains(told), "{report}");
    let ran = sandbox.isn(&CHECK).ok();
    assert!(ran.stderr.contains(told) && ran.json()["warnings"].to_string().contains(told), "{}", ran.stderr);
    // All rows may be wrong.
    let rows: String = (0..50).map(|n| format!("x{n},a\n")).collect();
    ledgered(2, "", &rows).isn(&BUILD).fails(1, "groups: 30 source ids more that no image has");
}

#[test]
fn decisions_about_no_image_are_told() {
    let unsure = decision("owl_90", "unsure", "me") + &decision("train/ant/ant_90", "unsure", "me");
    let sandbox = ledgered(2, &unsure, "");
    let why = "corrections: no image of the source has the id owl_90: an id is the path in the source without the \
               extension. Change it to train/owl/owl_90 in the ledger";
    sandbox.isn(&BUILD).fails(1, why);
    sandbox.isn(&CHECK).fails(8, why);
    // Withdrawn, it is no decision any more.
    let withdrawn = unsure.clone() + &decision("owl_90", "withdraw", "me");
    ledgered(2, &withdrawn, "").isn(&BUILD).ok();
    let told = "corrections: the source has no image for 1 of the 2 source ids in the ledger, without effect; the first is owl_90, and the source has train/owl/owl_90";
    let sandbox = ledgered(1, &unsure, "");
    sandbox.isn(&BUILD).fails(0, told);
    sandbox.isn(&CHECK).fails(0, told);
    // A firm one was always refused, but of a part.
    let sandbox = ledgered(1, &decision("owl_90", "remove", "me"), "");
    sandbox.isn(&BUILD).fails(1, "no image of the source has the id owl_90");
    sandbox.isn(&CHECK).fails(8, "no image of the source has the id owl_90");
    sandbox
        .isn(&PARTIAL)
        .fails(0, "the source, which is a part, has no image for 1 of the 1 source id in the ledger");
}

#[test]
fn claims_about_no_image_are_counted() {
    let elsewhere = claim("owl_90") + &claim("ILSVRC2012_val_00000128");
    let none = "claims: none of the 2 in the ledger is about an image of the source; the first is about \
                ILSVRC2012_val_00000128, and an id is the path in the source without the extension";
    for (edition, code) in [(2, 8), (1, 0)] {
        let sandbox = ledgered(edition, &elsewhere, "");
        let ran = sandbox.isn(&BUILD).fails(0, none);
        assert_eq!(ran.json()["claims"], serde_json::json!({"all": 2, "here": 0}));
        let report = String::from_utf8(sandbox.read("out/report.json")).unwrap();
        assert!(report.contains(none), "{report}");
        sandbox.isn(&CHECK).fails(code, none);
    }
    // Some are about others, which is no mistake; some only seem to be.
    let one = claim("train/ant/ant_90") + &claim("ILSVRC2012_val_00000128");
    let sandbox = ledgered(2, &one, "");
    let ran = sandbox.isn(&BUILD[..6]).ok();
    assert!(ran.stdout.contains("\n  claims   1 of 2 are about images of this source\n"), "{}", ran.stdout);
    assert!(!ran.stderr.contains("claims"), "{}", ran.stderr);
    assert!(
        sandbox.isn(&CHECK[..5]).ok().stdout.contains("claims: 1 of 2 are about images of this source\n")
    );
    let slip = "claims: the ids of 1 image in the ledger are only like those of the source, without effect; the first \
                is owl_90, and the source has train/owl/owl_90";
    let sandbox = ledgered(2, &(one + &claim("owl_90")), "");
    sandbox.isn(&BUILD).fails(0, slip);
    sandbox.isn(&CHECK).fails(0, slip);
}

#[test]
fn the_ledgers_of_the_recipes_in_the_binary_are_about_their_images() {
    let sandbox = Sandbox::new();
    for name in ["imagebirds", "imagebirds-320", "imagesubnet50", "demobirds"] {
        let checked = sandbox.isn(&["ledger", "check", name, "--json"]).ok().json();
        assert_eq!(checked["claims"]["all"], checked["claims"]["here"], "{name}");
        assert_eq!(checked["warnings"], serde_json::json!([]), "{name}");
    }
    // Other classes' images are none of theirs.
    sandbox.isn(&["recipe", "export", "imagebirds"]).ok();
    let add = |id: &str| {
        let rest = ["remove", "--reason", "broken", "--reviewer", "me"];
        sandbox.isn(&[&["ledger", "add", "imagebirds/corrections.csv", id][..], &rest].concat()).ok();
    };
    add("ILSVRC2012_val_00000128");
    let check = ["ledger", "check", "imagebirds/recipe.toml"];
    sandbox.isn(&check).ok();
    add("ILSVRC2012_val_00000001");
    sandbox.isn(&check).fails(8, "ILSVRC2012_val_00000001: its class n01751748 is none of the recipe's");
}

#[test]
fn guessed_ids_are_told_to_whoever_writes_them() {
    let (sandbox, _) = folders(&SPLITS, &WNIDS);
    let audit = |args: &[&str]| sandbox.isn(&[&["audit", "duplicates"][..], args].concat());
    assert_eq!(audit(&["raw"]).fails(8, "").stderr, "");
    let guess = "raw is taken for ImageNet, by its classes, so source ids are file names (n01440764_150); a recipe of \
                 another kind has others: name it with --recipe";
    audit(&["raw", "--groups", "w.csv", "--recipe", "recipe.toml"]).fails(8, "");
    std::fs::rename(sandbox.path("recipe.toml"), sandbox.path("other.toml")).unwrap();
    let ran = audit(&["raw", "--groups", "w.csv", "--json"]).fails(8, guess);
    assert!(ran.json()["warnings"].to_string().contains("is taken for ImageNet"), "{}", ran.stdout);
    sandbox.isn(&["build", "other.toml", "--source", "raw", "--out", "out"]).ok();
    sandbox.isn(&["pull", "./out", "--to", "tree"]).ok();
    audit(&["tree", "--groups", "w.csv"])
        .fails(8, "tree is a tree, which has no source ids, and no registry here has its");
    // What lies beside is perhaps another's.
    std::fs::create_dir(sandbox.path("w")).unwrap();
    sandbox.write("w/recipe.toml", b"[mix]\nflour = 1\n");
    let groups = ["raw", "--groups", "w/groups.csv"];
    audit(&groups).fails(8, "w/recipe.toml is not used: ");
    recipe(&sandbox, "w/recipe.toml", "", &classes(&["tiger"]));
    audit(&groups).fails(8, "the recipe w/recipe.toml is not that of raw: no image is of its classes");
    sandbox.write("w/recipe.toml", &sandbox.read("other.toml"));
    audit(&groups).fails(8, "source ids are those of the recipe w/recipe.toml, as --recipe is not given");
    audit(&["raw", "--recipe", "grocerystore"])
        .fails(1, "raw has no image of the classes of the recipe of grocerystore@1.0");
}

#[test]
fn ids_that_no_image_of_the_recipe_can_have_are_told_when_they_are_added() {
    let sandbox = ledgered(2, "", "");
    let add = |id: &str, claim: bool| {
        let kind: &[&str] = match claim {
            true => &["label", "ant", "--claim", "--source", "study"],
            false => &["remove", "--reason", "broken", "--reviewer", "me"],
        };
        sandbox.isn(&[&["ledger", "add", "ledger.csv", id][..], kind, &["--json"]].concat()).ok()
    };
    let none = |id: &str| {
        format!("{id} is of no image of grads@1.0: an id is the path in the source without the extension")
    };
    for (id, is_told) in [("owl_90", true), ("train/fox/fox_1", true), ("val/owl/x", false), ("owl/x", false)]
    {
        for claim in [true, false] {
            let ran = add(id, claim);
            assert_eq!(ran.stderr.contains(&none(id)), is_told, "{id}: {}", ran.stderr);
            assert_eq!(ran.json()["warnings"].as_array().unwrap().len(), usize::from(is_told));
        }
    }
    // A claim may be about an image of another class of ImageNet, and a decision may not.
    std::fs::remove_file(sandbox.path("recipe.toml")).unwrap();
    assert_eq!(add("owl_90", false).stderr, "");
    sandbox.write("recipe.toml", sandbox.isn(&["recipe", "show", "demobirds"]).ok().stdout.as_bytes());
    assert_eq!(add("ILSVRC2012_val_00000001", true).stderr, "");
    let told = "ILSVRC2012_val_00000001 is of no image of demobirds@1.0: an id is the file name without its extension";
    assert!(add("ILSVRC2012_val_00000001", false).stderr.contains(told));

    let sandbox = ledgered(2, "", "");
    sandbox.write("study.csv", b"source_id,labels\nowl_90,ant\ntrain/ant/ant_90,ant\n");
    let told =
        "1 of 2 source ids are of no image of grads@1.0; the first is owl_90, and an id is the path in";
    for more in [&[][..], &["--recipe", "recipe.toml"]] {
        let import = ["ledger", "import", "ledger.csv", "study.csv", "--source", "study", "--json"];
        let ran = sandbox.isn(&[&import[..], more].concat()).fails(0, told);
        assert!(ran.json()["warnings"].to_string().contains(told), "{}", ran.stdout);
    }
}

#[cfg(feature = "serve")]
#[test]
fn a_review_says_which_suspects_are_not_there() {
    let sandbox = ledgered(2, "", "");
    sandbox.write("suspects.csv", b"source_id\nowl_90\n");
    let review =
        ["review", "raw", "--ledger", "ledger.csv", "--suspects", "suspects.csv", "--reviewer", "me"];
    let why = "suspects.csv has claims about no image of raw: the first is about owl_90, and an image there is called \
               train/ant/ant_90";
    sandbox.isn(&review).fails(1, why);
    sandbox.write("suspects.csv", b"source_id\nowl_90\nval/owl/owl_70\n");
    let mut child = sandbox.command(&review);
    let mut child =
        child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    let _ = child.kill();
    let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    let told = "warning: 1 of 2 images with claims in suspects.csv is not in raw: the first is owl_90, and an image there";
    assert!(said.contains(told) && line.starts_with("1 suspects"), "{line}{said}");
}
