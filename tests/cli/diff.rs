//! `isn diff` of two versions of drawn images that differ in every way.

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, gradient};

const HEADER: &str = "kind,source_id,says,labels,reason,source,reviewer,date,evidence\n";

/// Makes `grads@1.0` in the registry `reg` and `grads@1.1` in the build `out2`. Of 1.0's images, 1.1 relabels
/// one, removes one, replaces one by another picture, and replaces one by the same picture in another file.
/// One class is new and one is gone.
fn two_versions() -> Sandbox {
    let (sandbox, _) = Sandbox::published();
    sandbox.copy("raw/ant", "raw2/ant");
    sandbox.copy("raw/bee", "raw2/bee");
    for number in 0..3 {
        let picture = gradient(40 + number, 50, 150 + number as u8);
        std::fs::create_dir_all(sandbox.path("raw2/dog")).unwrap();
        picture.save(sandbox.path(&format!("raw2/dog/dog_{number}.png"))).unwrap();
    }
    gradient(60, 44, 99).save(sandbox.path("raw2/bee/bee_5.png")).unwrap();
    let ledger = "decision,ant/ant_1,relabel,bee,wrong-label,visual check,A. Tester,2026-11-24,striped\n\
                  decision,ant/ant_2,remove,,blank,,A. Tester,2026-11-24,\n\
                  decision,ant/ant_3,keep,,correct,,A. Tester,2026-11-24,\n";
    sandbox.write("corrections.csv", format!("{HEADER}{ledger}").as_bytes());
    let more = "[corrections]\nfile = \"corrections.csv\"\n";
    sandbox.recipe("grads", "1.1", &["ant", "bee", "dog"], more);
    let recipe = String::from_utf8(sandbox.read("grads-1.1.toml")).unwrap();
    sandbox.write("grads-1.1.toml", recipe.replace("\"the ant\"", "\"an ant\"").as_bytes());
    sandbox.isn(&["build", "grads-1.1.toml", "--source", "raw2", "--out", "out2"]).ok();
    sandbox
}

fn ids(report: &Value, kind: &str) -> Vec<String> {
    report[kind].as_array().unwrap().iter().map(|change| change["id"].as_str().unwrap().into()).collect()
}

#[test]
fn every_kind_of_change_is_told_with_its_reason() {
    let sandbox = two_versions();
    let args = ["diff", "grads@1.0", "out2", "--registry", "reg", "--json"];
    let report = sandbox.isn(&args).ok().json();
    assert_eq!(ids(&report, "added"), ["dog/dog_0", "dog/dog_1", "dog/dog_2"]);
    let removed = ids(&report, "removed");
    assert_eq!(removed.len(), 9, "{removed:?}");
    assert_eq!(removed[0], "ant/ant_2");
    assert_eq!(report["removed"][0]["reasons"], json!(["blank (A. Tester, 2026-11-24)"]));
    assert_eq!(ids(&report, "relabelled"), ["ant/ant_1"]);
    let relabelled = &report["relabelled"][0];
    assert_eq!((&relabelled["from"], &relabelled["to"]), (&json!("ant"), &json!("bee")));
    assert_eq!(
        relabelled["reasons"],
        json!(["wrong-label (A. Tester, 2026-11-24, from visual check): striped"])
    );
    assert_eq!(ids(&report, "reencoded"), ["bee/bee_5"]);
    assert_eq!(report["reencoded"][0]["same_pixels"], false);
    assert_eq!(report["classes"]["added"], json!(["dog"]));
    assert_eq!(report["classes"]["removed"], json!(["cat"]));
    assert_eq!(report["classes"]["renamed"], json!([{ "id": "ant", "old": "the ant", "new": "an ant" }]));
    assert_eq!(report["images"], json!({ "old": 24, "new": 18 }));
    let text = sandbox.isn(&args[..5]).ok().stdout;
    for line in [
        "+ class dog",
        "- class cat",
        "~ class ant: the ant → an ant",
        "relabelled: 1",
        "  ant/ant_1: ant → bee",
        "      wrong-label (A. Tester, 2026-11-24, from visual check): striped",
        "bee_5.png: other pixels",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
}

#[test]
fn exit_8_is_for_a_difference_and_asked_for() {
    let sandbox = two_versions();
    let args = ["diff", "out", "out2"];
    sandbox.isn(&args).ok();
    sandbox.isn(&[&args[..], &["--exit-code"]].concat()).fails(8, "relabelled: 1");
    let same =
        sandbox.isn(&["diff", "out", "grads@1.0", "--registry", "reg", "--exit-code", "--json"]).ok().json();
    assert_eq!(same["same"], true);
    sandbox.isn(&["diff", "out", "raw"]).fails(1, "is neither a tree");
    sandbox.isn(&["diff", "out", "grads@7.0", "--registry", "reg"]).fails(6, "grads@7.0");
    sandbox.isn(&["diff", "out", "not/there"]).fails(6, "not/there does not exist");
}

#[test]
fn a_split_and_an_encoding_that_change_are_seen_in_trees_too() {
    let (sandbox, _) = Sandbox::published();
    sandbox.recipe_with("grads", "1.1", &["ant", "bee", "cat"], "{ jpeg = 90 }", "");
    let recipe = String::from_utf8(sandbox.read("grads-1.1.toml")).unwrap();
    sandbox.write("grads-1.1.toml", recipe.replace("salt = \"tests\"", "salt = \"others\"").as_bytes());
    sandbox.isn(&["build", "grads-1.1.toml", "--source", "raw", "--out", "out2"]).ok();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]).ok();
    let versions = sandbox.isn(&["diff", "out", "out2", "--json"]).ok().json();
    assert_eq!(ids(&versions, "reencoded").len(), 24);
    let moved = ids(&versions, "moved");
    assert!(!moved.is_empty());
    assert_ne!(versions["moved"][0]["from"], versions["moved"][0]["to"]);
    let with_tree = sandbox.isn(&["diff", "tree", "out2", "--json"]).ok().json();
    let stems: Vec<String> = moved.iter().map(|id| id.rsplit('/').next().unwrap().to_string()).collect();
    assert_eq!(ids(&with_tree, "moved"), stems);
    assert_eq!(ids(&with_tree, "reencoded").len(), 24);
    // Both are encoded from the same pixels, according to the index of one and the PNGs of the other.
    let same = |report: &Value| {
        report["reencoded"].as_array().unwrap().iter().all(|change| change["same_pixels"] == true)
    };
    assert!(same(&versions) && same(&with_tree));
    sandbox.isn(&["diff", "tree", "out", "--exit-code"]).ok();
}

#[test]
fn the_page_has_the_pictures_and_fetches_nothing() {
    let sandbox = two_versions();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]).ok();
    for old in ["grads@1.0", "tree"] {
        sandbox.isn(&["diff", old, "out2", "--registry", "reg", "--html", "page.html"]).ok();
        let page = String::from_utf8(sandbox.read("page.html")).unwrap();
        let report = sandbox.isn(&["diff", old, "out2", "--registry", "reg", "--json"]).ok().json();
        let count = |kind| ids(&report, kind).len();
        let pictures = count("added")
            + count("removed")
            + 2 * (count("relabelled") + count("moved") + count("reencoded"));
        assert!(pictures >= 16);
        assert_eq!(page.matches("<img src=\"data:image/jpeg;base64,").count(), pictures, "{old}");
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"));
        assert!(!page.contains("no picture"));
    }
    let args = ["diff", "out", "out2", "--html", "page.html", "--pictures", "2", "--json"];
    let few = sandbox.isn(&args).ok().json();
    assert!(few["warnings"][0].as_str().unwrap().starts_with("2 of "), "{few}");
}

#[test]
fn what_stands_in_a_ledger_is_text_on_the_page() {
    let sandbox = two_versions();
    let ledger = String::from_utf8(sandbox.read("corrections.csv")).unwrap();
    sandbox.write("corrections.csv", ledger.replace("striped", "<script>alert('&')</script>").as_bytes());
    sandbox.isn(&["build", "grads-1.1.toml", "--source", "raw2", "--out", "out3"]).ok();
    sandbox.isn(&["diff", "out", "out3", "--html", "page.html"]).ok();
    let page = String::from_utf8(sandbox.read("page.html")).unwrap();
    assert!(page.contains("&lt;script&gt;alert('&amp;')&lt;/script&gt;") && !page.contains("<script"));
}

#[test]
fn tree_that_lacks_what_it_lists() {
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let args = ["diff", "tree", "grads@1.0", "--registry", "reg"];
    let whole = sandbox.isn(&args).ok();
    assert!(!whole.stderr.contains("lacks"), "{}", whole.stderr);
    std::fs::remove_dir_all(sandbox.path("tree/train/bee")).unwrap();
    let ran = sandbox.isn(&args).ok();
    assert!(
        ran.stderr.contains("tree lacks 6 of the images that it lists, the first of them train/bee/"),
        "{}",
        ran.stderr
    );
    let warnings = sandbox.isn(&[&args[..], &["--json"]].concat()).ok().json()["warnings"].to_string();
    assert!(warnings.contains("tree lacks 6"), "{warnings}");
}

#[test]
fn what_a_registry_warns_of_is_said_once() {
    let (sandbox, _) = Sandbox::published();
    sandbox.copy("reg", "old");
    sandbox.trust_me("old");
    sandbox.isn(&["yank", "grads@1.0", "--reason", "x", "--registry", "reg", "--key", "me"]).ok();
    sandbox.isn(&["info", "grads@1.0", "--registry", "reg"]).ok();
    let ran = sandbox.isn(&["diff", "grads@1.0", "grads@1.0", "--registry", "old"]).ok();
    assert_eq!(ran.stderr.matches("stale mirror").count(), 1, "{}", ran.stderr);
}
