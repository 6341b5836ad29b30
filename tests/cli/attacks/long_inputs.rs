//! Files that isn is pointed at, which take no room on the disk and more than there is in memory: each is
//! refused by its name, with its length and the limit, and is not read.

use std::fs::{self, File};

use crate::sandbox::{Ran, Sandbox};

/// The length of the files.
const LONG: u64 = 3 << 40;
const GIB: u64 = 1 << 30;
const CLASSES: [&str; 3] = ["ant", "bee", "cat"];

/// Makes a file of nothing but a length. Returns `false` on a file system that takes no such file.
fn lengthen(sandbox: &Sandbox, name: &str) -> bool {
    File::create(sandbox.path(name)).unwrap().set_len(LONG).is_ok()
}

/// Runs isn with a bound on time and memory, lest a fault take the machine with it.
fn bounded(sandbox: &Sandbox, args: &[&str]) -> Ran {
    sandbox.at_home_with_memory("home", 2000, args)
}

/// A source `raw`, and a recipe with a ledger and groups.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &CLASSES, 8);
    sandbox.recipe(
        "grads",
        "1.0",
        &CLASSES,
        "groups = \"groups.csv\"\n\n[corrections]\nfile = \"ledger.csv\"\n",
    );
    sandbox.write("claims.csv", b"source_id\nant/ant_0\n");
    sandbox.write("groups.csv", b"source_id,group\nant/ant_0,1\nant/ant_1,1\n");
    let add = ["ledger", "add", "ledger.csv", "bee/bee_1", "keep", "--reason=correct", "--reviewer=Ann"];
    sandbox.isn(&add).ok();
    sandbox
}

const BUILD: [&str; 6] = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];

/// Puts a long file in the place of `name`, and expects each command to refuse it.
fn refuse_each(sandbox: &Sandbox, name: &str, limit: u64, commands: &[&[&str]]) {
    let before = fs::read(sandbox.path(name)).ok();
    if !lengthen(sandbox, name) {
        return;
    }
    for args in commands {
        let why = format!("{name} is longer than {limit} bytes: it has {LONG}");
        bounded(sandbox, args).fails(1, &why);
        assert_eq!(sandbox.path(name).metadata().unwrap().len(), LONG, "{args:?} changed {name}");
    }
    match before {
        Some(bytes) => fs::write(sandbox.path(name), bytes).unwrap(),
        None => fs::remove_file(sandbox.path(name)).unwrap(),
    }
}

#[test]
fn recipe_ledger_and_groups_that_are_too_long() {
    let sandbox = sandbox();
    let check = ["ledger", "check", "grads-1.0.toml", "--source", "raw"];
    // The first ant is taken for a bee.
    let probs =
        (0..24).map(|row| [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2][row]);
    let row = |class: usize| ["0.9,0.05,0.05\n", "0.05,0.9,0.05\n", "0.05,0.05,0.9\n"][class];
    sandbox
        .write("probs.csv", (String::from("ant,bee,cat\n") + &probs.map(row).collect::<String>()).as_bytes());
    refuse_each(
        &sandbox,
        "grads-1.0.toml",
        16 << 20,
        &[
            &BUILD,
            &check,
            &["ledger", "import", "ledger.csv", "ledger.csv", "--recipe", "grads-1.0.toml"],
            &["source", "check", "raw", "--recipe", "grads-1.0.toml"],
            #[cfg(feature = "serve")]
            &["review", "raw", "--ledger", "new.csv", "--reviewer", "Ann", "--recipe", "grads-1.0.toml"],
        ],
    );
    refuse_each(
        &sandbox,
        "ledger.csv",
        GIB,
        &[
            &BUILD,
            &check,
            &["ledger", "show", "ledger.csv"],
            &["ledger", "add", "ledger.csv", "ant/ant_1", "keep", "--reason=correct", "--reviewer=Ann"],
            &["ledger", "import", "ledger.csv", "claims.csv", "--source=s"],
            &["ledger", "import", "new.csv", "ledger.csv"],
            &["ledger", "diff", "ledger.csv", "groups.csv"],
            #[cfg(feature = "serve")]
            &["review", "raw", "--ledger", "ledger.csv", "--reviewer", "Ann"],
            #[cfg(feature = "serve")]
            &["review", "raw", "--ledger", "new.csv", "--reviewer", "Ann", "--suspects", "ledger.csv"],
            &["audit", "labels", "raw", "--probs", "probs.csv", "--claims", "ledger.csv"],
        ],
    );
    refuse_each(&sandbox, "groups.csv", GIB, &[&BUILD]);
    assert!(!sandbox.path("new.csv").exists() && !sandbox.path("out").exists());
    sandbox.isn(&BUILD).ok();
    // What a build says of itself.
    let before = sandbox.read("out/report.json");
    if lengthen(&sandbox, "out/report.json") {
        bounded(&sandbox, &BUILD).fails(3, "report.json is longer than 1073741824 bytes");
        sandbox.write("out/report.json", &before);
    }
    sandbox.isn(&BUILD).ok();
}

#[test]
fn lists_of_a_source_that_are_too_long() {
    let sandbox = sandbox();
    sandbox.isn(&BUILD).ok();
    let text =
        String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap().replace("isn-recipe/1", "isn-recipe/2");
    for source in ["\"list\"\nlist = \"labels.csv\"", "\"imagefolder\"\nannotated = { val = \"labels.csv\" }"]
    {
        sandbox.write("grads-1.0.toml", text.replace("\"imagefolder\"", source).as_bytes());
        sandbox.image_folder("raw/val", &CLASSES, 1);
        sandbox.write("raw/labels.csv", b"path,label\n");
        let why = format!("raw/labels.csv is longer than {GIB} bytes: it has {LONG}");
        if lengthen(&sandbox, "raw/labels.csv") {
            bounded(&sandbox, &[&BUILD[..5], &["other"]].concat()).fails(1, &why);
            bounded(&sandbox, &["source", "check", "raw", "--recipe", "grads-1.0.toml"]).fails(8, &why);
        }
    }
}

#[test]
fn lists_and_numbers_that_are_too_long() {
    let (sandbox, pin) = Sandbox::published();
    let pull = ["pull", &pin, "--registry", "reg", "--to", "tree", "--images", "list"];
    refuse_each(&sandbox, "list", 3 * GIB, &[&pull]);
    sandbox.write("labels.csv", b"label\n0\n1\n");
    sandbox.write("probs.csv", b"a,b\n0.5,0.5\n0.5,0.5\n");
    let audit = ["audit", "labels", "--probs", "probs.csv", "--labels"];
    let with = |labels: &'static str| [&audit[..], &[labels]].concat();
    refuse_each(&sandbox, "labels.csv", GIB, &[&with("labels.csv")]);
    refuse_each(&sandbox, "labels.npy", 64 * GIB, &[&with("labels.npy")]);
    refuse_each(&sandbox, "probs.csv", 4 * GIB, &[&with("labels.csv")]);
    let npy = |what: &'static str| ["audit", "labels", what, "numbers.npy", "--labels", "labels.csv"];
    refuse_each(&sandbox, "numbers.npy", 64 * GIB, &[&npy("--probs"), &npy("--embeddings")]);
    let classes = [&with("labels.csv")[..], &["--classes", "classes.csv"]].concat();
    refuse_each(&sandbox, "classes.csv", 64 << 20, &[&classes]);
    if lengthen(&sandbox, "bundle.pem") {
        let mut info = sandbox.command(&["info", "grads", "--registry", "https://127.0.0.1:1/"]);
        let ran = crate::sandbox::ran(info.env("ISN_CA_BUNDLE", "bundle.pem"));
        ran.fails(1, &format!("bundle.pem is longer than {} bytes: it has {LONG}", 16 << 20));
    }
}

#[test]
fn a_source_image_that_is_too_long_is_named_with_all_that_is_wrong() {
    let (sandbox, pin) = Sandbox::published();
    for name in ["raw/ant/ant_1.png", "raw/bee/bee_2.png"] {
        if !lengthen(&sandbox, name) {
            return;
        }
    }
    let named = |ran: &Ran| {
        for name in ["ant/ant_1.png", "bee/bee_2.png"] {
            let why = format!("{name} has {LONG} bytes, and an image has at most 536870912");
            assert!(format!("{}{}", ran.stdout, ran.stderr).contains(&why), "{}{}", ran.stdout, ran.stderr);
        }
    };
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "new"];
    named(&bounded(&sandbox, &build).fails(1, ""));
    let recipe = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    sandbox.write("grads-1.0.toml", recipe.replace("small = \"keep\"", "small = \"drop\"").as_bytes());
    named(&bounded(&sandbox, &build).fails(1, ""));
    named(&bounded(&sandbox, &["source", "check", "raw", "--recipe", "grads-1.0.toml"]).fails(8, ""));
    named(&bounded(&sandbox, &["verify-source", &pin, "--source", "raw", "--registry", "reg"]).fails(8, ""));
    let pull = ["pull", &pin, "--registry", "reg", "--source", "raw", "--to", "tree"];
    bounded(&sandbox, &pull).fails(8, "ant/ant_1").fails(8, "bee/bee_2");
    assert!(!sandbox.path("new").exists() && !sandbox.path("tree").exists());
}

#[test]
fn short_recipes_that_take_much_to_parse() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    sandbox.isn(&["recipe", "export", "demobirds", "--to", "reg/recipes/demobirds"]).ok();
    let good = String::from_utf8(sandbox.read("reg/recipes/demobirds/recipe.toml")).unwrap();
    let show = ["recipe", "show", "demobirds", "--registry", "reg"];
    let numbered = |line: &dyn Fn(usize) -> String, times: usize| (0..times).map(line).collect::<String>();
    for (what, text, why) in [
        ("mistakes", "=\n".repeat(300_000), "has 1 mistake\n"),
        ("mistakes of a short recipe", "=\n".repeat(60_000), "has 1000 mistakes"),
        ("control characters", good.clone() + "# " + &"\x01".repeat(15 << 20), "has 1 mistake\n"),
        ("underscores", good.clone() + "a = 1" + &"_".repeat(15 << 20), "has 1 mistake\n"),
        ("numbers", good.clone() + "a = 0x" + &"_g".repeat(7 << 20), "has 1 mistake\n"),
        ("escapes", good.clone() + "a = \"" + &"\\u".repeat(7 << 20) + "\"", "has 1 mistake\n"),
        ("other escapes", good.clone() + "a = \"" + &"\\q".repeat(7 << 20) + "\"", "has 1 mistake\n"),
        ("values", "=\n".repeat(500_000), "400000 '=' and ','"),
        ("tables", numbered(&|at| format!("a{at}.b.c.d = 1\n"), 80_000), "200000 '[', '{' and '.'"),
        ("unknown keys", numbered(&|at| format!("a{at} = 1\n"), 300_000), "has 1000 mistakes"),
        ("an array", format!("x = [{}]\n", "1,".repeat(7 << 20)), "400000 '=' and ','"),
        ("line ends", good.clone() + &"\r".repeat(4 << 20), "400000 line ends"),
        ("blank lines", good.clone() + &"\n".repeat(4 << 20), "400000 line ends"),
        ("brackets", good.clone() + &"}".repeat(4 << 20), "2000000 blanks, quotes"),
        ("words", good.clone() + "z = " + &"x ".repeat(4 << 20), "2000000 blanks, quotes"),
        ("quotes", good.clone() + &"\"\"".repeat(4 << 20), "2000000 blanks, quotes"),
        ("a length", good.clone() + "# " + &"x".repeat(17 << 20), "is longer than 16777216 bytes"),
    ] {
        sandbox.write("reg/recipes/demobirds/recipe.toml", text.as_bytes());
        let ran = sandbox.at_home_with_memory("home", 600, &show);
        assert!(ran.code == 1 && ran.stderr.contains(why), "{what}: {} {}", ran.code, ran.stderr);
    }
    for rest in ["\r".repeat(390_000), "}\n".repeat(390_000), "x ".repeat(1_900_000), "\"\"".repeat(900_000)]
    {
        sandbox.write("reg/recipes/demobirds/recipe.toml", (good.clone() + &rest).as_bytes());
        let ran = sandbox.at_home_with_memory("home", 600, &show);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
    }
    let long = good + "# " + &"x".repeat(15 << 20) + &"\n".repeat(390_000);
    sandbox.write("reg/recipes/demobirds/recipe.toml", long.as_bytes());
    sandbox.at_home_with_memory("home", 600, &show).ok();
}
