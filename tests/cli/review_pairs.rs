//! `isn review --pairs` over plain HTTP; interop/pairs.py tests it by keyboard in a browser.

use serde_json::{Value, json};

use crate::review::{Page, hostile, is_text};
use crate::sandbox::Sandbox;

/// An image of the source, with its id.
fn id(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(id, _)| id)
}

/// What `isn audit duplicates --json` prints.
fn printed(exact: &[&[&str]], pairs: &[(&str, &str)]) -> Value {
    let near: Vec<Value> = pairs
        .iter()
        .map(|(a, b)| {
            json!({"a": a, "b": b, "distance": 3, "mirrored": false, "turned": 0, "inverted": false,
                   "similarity": 0.9234})
        })
        .collect();
    let paths = exact.iter().flat_map(|group| group.iter()).chain(pairs.iter().flat_map(|(a, b)| [a, b]));
    let ids: serde_json::Map<String, Value> = paths.map(|path| (path.to_string(), json!(id(path)))).collect();
    json!({"exact": exact, "pairs": near, "source_ids": ids})
}

const LEAK: (&str, &str) = ("train/bee/bee_1.png", "val/ant/ant_0.png");
const TWO_CLASSES: (&str, &str) = ("train/ant/ant_2.png", "train/bee/bee_0.png");
const WITHIN: (&str, &str) = ("train/ant/ant_0.png", "train/ant/ant_1.png");
const EXACT: &[&str] = &["train/bee/bee_2.png", "train/bee/bee_3.png"];

/// Four pairs, each of another kind.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw/train", &["ant", "bee"], 4);
    sandbox.image_folder("raw/val", &["ant"], 2);
    let mut found = printed(&[EXACT], &[WITHIN, TWO_CLASSES, LEAK]);
    for (field, value) in [("mirrored", json!(true)), ("turned", json!(90)), ("inverted", json!(true))] {
        found["pairs"][2][field] = value;
    }
    sandbox.write("found.json", found.to_string().as_bytes());
    sandbox
}

fn open_as(sandbox: &Sandbox, reviewer: &str) -> Page {
    let args = ["raw", "--pairs", "pairs.csv", "--duplicates", "found.json", "--reviewer", reviewer];
    Page::of(sandbox, &args)
}

fn open(sandbox: &Sandbox) -> Page {
    open_as(sandbox, "Zoë 安")
}

/// The rows of the file, from `first` to `reason`.
fn decisions(sandbox: &Sandbox) -> Vec<String> {
    if !sandbox.path("pairs.csv").exists() {
        return Vec::new();
    }
    let file = String::from_utf8(sandbox.read("pairs.csv")).unwrap();
    let (header, rows) = file.split_once('\n').unwrap();
    assert_eq!(header, "kind,first,second,says,reviewer,reason,date,evidence");
    assert!(rows.is_empty() || rows.ends_with('\n'), "{rows}");
    rows.lines().map(|line| line.split(',').skip(1).take(5).collect::<Vec<_>>().join(",")).collect()
}

#[test]
fn pairs_are_walked_the_worst_first_and_each_decision_is_in_the_file_at_once() {
    let sandbox = sandbox();
    let page = open(&sandbox);
    assert!(page.get("").head.contains(&format!("location: /{}/1", page.token)));
    let first = page.get("1").body;
    for text in [
        "1 of 4",
        "<b class=\"harm\">in two splits</b>",
        "train/bee/bee_1.png",
        "val/ant/ant_0.png",
        "similarity 0.9234 · 3 of 63 bits differ · 2 is mirrored, turned by 90° clockwise, inverted",
        "class=\"large mirrored turned-90 inverted\"",
        "41 × 31",
        "They may not be in two splits",
    ] {
        assert!(first.contains(text), "{text}\n{first}");
    }
    let length = sandbox.read("raw/train/bee/bee_1.png").len();
    assert!(first.contains(&format!("{length} bytes")), "{first}");
    assert!(page.get("2").body.contains("of two classes"));
    assert!(page.get("3").body.contains("train/ant/ant_1.png"));
    assert!(page.get("4").body.contains("exact copies"));
    assert!(!page.get("1").body.contains("of this group"), "there are only two");

    for (number, form, row) in [
        (1, "what=same", "train/bee/bee_1,val/ant/ant_0,same,Zoë 安,copy"),
        (2, "what=different", "train/ant/ant_2,train/bee/bee_0,different,Zoë 安,look-alike"),
        (3, "what=unsure", "train/ant/ant_0,train/ant/ant_1,unsure,Zoë 安,other"),
        (4, "what=same&reason=burst&note=two+in+a+row", "train/bee/bee_2,train/bee/bee_3,same,Zoë 安,burst"),
    ] {
        let answer = page.post(number, form);
        assert_eq!(answer.status, 303, "{}", answer.body);
        let next = format!("location: /{}/{}", page.token, number + 1);
        assert!(answer.head.contains(&next), "{}", answer.head);
        assert_eq!(decisions(&sandbox).last().unwrap(), row);
    }
    assert!(page.get("5").body.contains("4 of 4 decided") && page.get("6").status == 404);
    assert!(page.get("4").body.contains("burst two in a row"));

    // An undo is a row, and the pair is open again.
    for _ in 0..2 {
        assert_eq!(page.post(2, "what=undo").status, 303, "the second time, nothing is left to take back");
    }
    assert_eq!(decisions(&sandbox)[4..], ["train/ant/ant_2,train/bee/bee_0,withdraw,Zoë 安,other"]);
    assert!(page.get("").head.contains(&format!("/{}/2", page.token)));
    assert!(page.get("5").body.contains("3 of 4 decided"));
    drop(page);

    // A new run resumes; another reviewer begins, and sees what the first said.
    let again = open(&sandbox);
    assert!(again.get("").head.contains(&format!("/{}/2", again.token)));
    assert!(again.get("1").body.contains("you decided: <b>same</b>"));
    drop(again);
    let other = open_as(&sandbox, "Bo");
    assert!(other.get("").head.contains(&format!("/{}/1", other.token)));
    let shown = other.get("1").body;
    assert!(shown.contains("<span class=\"who\">Zoë 安</span> says <b>same</b>"), "{shown}");
    assert!(!shown.contains("The reviewers differ") && !other.get("5").body.contains("The reviewers differ"));
    // Whoever is unsure contradicts nobody.
    assert_eq!(other.post(3, "what=same").status, 303);
    assert!(!other.get("3").body.contains("The reviewers differ"));
    assert_eq!(other.post(1, "what=different").status, 303);
    assert!(other.get("1").body.contains("The reviewers differ: a build stops until one gives in."));
    let end = other.get("5").body;
    assert!(end.contains("The reviewers differ about 1 pair") && end.contains("2 of 4 decided"), "{end}");
}

#[test]
fn one_decision_for_all_pairs_of_a_group_leaves_those_that_are_decided() {
    let sandbox = sandbox();
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| format!("train/ant/ant_{at}.png"));
    let found = printed(&[&[&c, &d]], &[(&a, &b), (&b, &c), LEAK]);
    sandbox.write("found.json", found.to_string().as_bytes());
    let page = open(&sandbox);
    let shown = page.get("2").body;
    assert!(
        shown.contains("all 4 are the same: 3 pairs") && shown.contains("all 4 of this group"),
        "{shown}"
    );
    assert_eq!(page.post(2, "what=different").status, 303);
    assert!(page.get("3").body.contains("same: the 2 pairs of the group that are left"));
    let answer = page.post(3, "what=all&reason=burst&note=one+series");
    // Only the pair of another group is left.
    assert!(answer.head.contains(&format!("location: /{}/1", page.token)), "{}", answer.head);
    assert_eq!(
        decisions(&sandbox)[1..],
        [
            "train/ant/ant_1,train/ant/ant_2,same,Zoë 安,burst",
            "train/ant/ant_2,train/ant/ant_3,same,Zoë 安,burst"
        ]
    );
    assert!(!page.get("3").body.contains("pairs of the group that are left"), "none is left");
    assert_eq!(page.post(3, "what=all").status, 303);
    assert_eq!(decisions(&sandbox).len(), 3);
}

#[test]
fn the_audit_runs_if_nobody_has_and_a_recipe_says_what_follows() {
    let sandbox = Sandbox::new();
    sandbox.noise("raw/train", &["ant", "bee"], 2);
    std::fs::create_dir_all(sandbox.path("raw/val/ant")).unwrap();
    let copy = sandbox.path("raw/val/ant/again.png");
    std::fs::copy(sandbox.path("raw/train/ant/ant_0.png"), copy).unwrap();
    sandbox.recipe("grads", "1.0", &["ant", "bee"], "");
    let args = ["raw", "--pairs", "pairs.csv", "--reviewer", "Bo", "--recipe", "grads-1.0.toml"];
    let page = Page::of(&sandbox, &args);
    let shown = page.get("1").body;
    for text in ["1 of 1", "exact copies", "Both become train: images with copies are not drawn for val."] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert_eq!(page.post(1, "what=same").status, 303);
    assert_eq!(decisions(&sandbox), ["train/ant/ant_0,val/ant/again,same,Bo,copy"]);
    drop(page);
    let recipe = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let kept = recipe.replace("policy = \"pool\"\nval = 0.25\nsalt = \"tests\"", "policy = \"keep\"");
    sandbox.write("grads-1.0.toml", kept.as_bytes());
    let shown = Page::of(&sandbox, &args).get("1").body;
    assert!(shown.contains("One is train, the other val, and this recipe keeps"), "{shown}");
}

#[test]
fn nothing_is_decided_about_a_pair_by_another_page_or_a_wrong_form() {
    let sandbox = sandbox();
    let page = open(&sandbox);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let here = format!("Host: {0}\r\n", page.host);
    let own = format!("/{}/1", page.token);
    for (request, headers) in [
        ("GET /1".to_owned(), here.clone()),
        (format!("GET {own}"), "Host: evil.example\r\n".into()),
        (format!("POST {own}"), format!("{here}{form}")),
        (format!("POST {own}"), format!("{here}{form}Origin: null\r\n")),
        (format!("POST {own}"), format!("{here}{form}Origin: http://evil.example\r\n")),
    ] {
        assert_eq!(page.ask(&request, &headers, "what=same").status, 403, "{request} {headers}");
    }
    for form in ["", "what=keep", "what=withdraw", "what=same&reason=x", "what=undo&reason=x"] {
        assert_eq!(page.post(1, form).status, 400, "{form}");
    }
    for number in [0, 5, 99] {
        assert_eq!(page.post(number, "what=same").status, 404);
    }
    assert!(!sandbox.path("pairs.csv").exists());
    let head = page.get("1").head;
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
}

#[test]
#[cfg(unix)]
fn nothing_of_others_becomes_markup_on_a_page_of_pairs() {
    let sandbox = Sandbox::new();
    let [raw, one, other] = ["raw", "one", "other"].map(hostile);
    sandbox.image_folder(&raw, &["ant"], 3);
    let [a, b, c] = [format!("ant/{one}.png"), format!("ant/{other}.png"), "ant/ant_2.png".to_owned()];
    for (from, to) in [("ant_0", &a), ("ant_1", &b)] {
        let from = sandbox.path(&format!("{raw}/ant/{from}.png"));
        std::fs::rename(from, sandbox.path(&format!("{raw}/{to}"))).unwrap();
    }
    sandbox.recipe("grads", "1.0", &["ant"], "");
    let recipe = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let named = recipe.replace("\"the ant\"", &format!("{:?}", hostile("label")));
    sandbox.write("grads-1.0.toml", named.as_bytes());
    sandbox.write("found.json", printed(&[], &[(&a, &b), (&b, &c)]).to_string().as_bytes());
    let pairs = format!("{}.csv", hostile("pairs"));
    let open = |reviewer: &str| {
        let args = [&raw, "--pairs", &pairs, "--duplicates", "found.json", "--recipe", "grads-1.0.toml"];
        Page::of(&sandbox, &[&args[..], &["--reviewer", reviewer]].concat())
    };
    let page = open(&hostile("first"));
    let note = "%3Cscript%3Enote%22%26%27";
    assert_eq!(page.post(1, &format!("what=same&note={note}")).status, 303);
    is_text(&page.get("1"), &["raw", "one", "other", "label", "pairs", "first", "note"]);
    drop(page);
    let page = open(&hostile("second"));
    is_text(&page.get("1"), &["first", "second", "note"]);
    assert_eq!(page.post(1, "what=different").status, 303);
    is_text(&page.get("3"), &["one", "other", "pairs"]);
    sandbox.write(&pairs, b"spoilt\n");
    is_text(&page.post(1, "what=same"), &["pairs"]);
}

#[test]
fn a_kill_loses_no_decision_about_a_pair() {
    let sandbox = sandbox();
    for turn in 0..4 {
        let mut page = open(&sandbox);
        assert!(page.get("").head.contains(&format!("/{}/{}", page.token, turn + 1)));
        assert_eq!(page.post(turn + 1, "what=same").status, 303);
        page.child.kill().unwrap();
        page.child.wait().unwrap();
        assert_eq!(decisions(&sandbox).len(), turn + 1);
    }
}

#[test]
fn mistakes_about_pairs_are_told_before_the_page_opens() {
    let sandbox = sandbox();
    let review = |args: &[&str]| sandbox.isn(&[&["review", "raw", "--reviewer", "Bo"], args].concat());
    let pairs = ["--pairs", "pairs.csv", "--duplicates"];
    let found = |name: &str| review(&[&pairs[..], &[name]].concat());
    found("none.json").fails(6, "cannot read none.json");
    let audit = sandbox.isn(&["audit", "balance", "raw", "--json"]).ok();
    sandbox.write("balance.json", audit.stdout.as_bytes());
    found("balance.json").fails(1, "balance.json is not what `isn audit duplicates --json` prints");
    sandbox.write("text.json", b"{");
    found("text.json").fails(1, "is not what `isn audit duplicates --json` prints");
    let written = |found: &Value| sandbox.write("other.json", found.to_string().as_bytes());
    written(&printed(&[], &[("x/1.png", "x/2.png")]));
    found("other.json").fails(1, "is about other images: 2 of 2 images in other.json are not in raw");
    written(&printed(&[], &[]));
    found("other.json").fails(1, "has no duplicates: there is nothing to review");
    // What is partly there is reviewed, and the rest told.
    written(&printed(&[], &[WITHIN, ("train/ant/ant_0.png", "x/2.png")]));
    let page = Page::of(
        &sandbox,
        &["raw", "--pairs", "pairs.csv", "--duplicates", "other.json", "--reviewer", "Bo"],
    );
    assert!(page.get("1").body.contains("1 of 1"));
    drop(page);

    let mut wrong = printed(&[], &[WITHIN]);
    wrong["source_ids"]["train/ant/ant_0.png"] = json!("ant_0");
    written(&wrong);
    found("other.json")
        .fails(1, "calls train/ant/ant_0.png ant_0, and here it is train/ant/ant_0: give the audit");
    let mut wrong = printed(&[], &[WITHIN]);
    wrong["pairs"][0]["turned"] = json!(45);
    written(&wrong);
    found("other.json").fails(1, "turned by 45, which is none");
    let mut wrong = printed(&[], &[WITHIN]);
    wrong["source_ids"].as_object_mut().unwrap().remove("train/ant/ant_0.png");
    written(&wrong);
    found("other.json").fails(1, "has no source id of train/ant/ant_0.png");

    // A file of another kind, and rows that a spreadsheet would run.
    sandbox.write("ledger.csv", b"kind,source_id,says,labels,reason,source,reviewer,date,evidence\n");
    let ledger = ["--pairs", "ledger.csv", "--duplicates", "found.json"];
    review(&ledger).fails(1, "ledger.csv");
    sandbox.image_folder("raw", &["=run"], 2);
    written(&printed(&[], &[("=run/=run_0.png", "=run/=run_1.png")]));
    found("other.json").fails(1, "is a formula to a spreadsheet");
    assert!(!sandbox.path("pairs.csv").exists());

    // One file of decisions, and what goes with it.
    review(&[]).fails(2, "--ledger <LEDGER>|--pairs <PAIRS>");
    review(&["--ledger", "l.csv", "--pairs", "p.csv"]).fails(2, "cannot be used with");
    review(&["--ledger", "l.csv", "--duplicates", "found.json"]).fails(2, "cannot be used with");
    review(&["--pairs", "p.csv", "--suspects", "s.csv"]).fails(2, "cannot be used with");
}
