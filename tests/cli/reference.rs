//! The whole reference of the command line in one file, so that a review shows every change of it.

use std::path::Path;

use crate::sandbox::Sandbox;

const VERBS: [&[&str]; 81] = [
    &[],
    &["pull"],
    &["fetch"],
    &["export"],
    &["sync"],
    &["verify"],
    &["info"],
    &["images"],
    &["list"],
    &["diff"],
    &["cite"],
    &["init"],
    &["build"],
    &["recipe"],
    &["recipe", "show"],
    &["recipe", "export"],
    &["source"],
    &["source", "check"],
    &["verify-source"],
    &["audit"],
    &["audit", "labels"],
    &["audit", "mask"],
    &["audit", "duplicates"],
    &["audit", "images"],
    &["audit", "balance"],
    &["audit", "all"],
    &["review"],
    &["publish"],
    &["sign"],
    &["attest"],
    &["attest", "verify"],
    &["append"],
    &["owner"],
    &["owner", "show"],
    &["owner", "add"],
    &["owner", "remove"],
    &["owner", "threshold"],
    &["revoke"],
    &["yank"],
    &["withdraw"],
    &["log"],
    &["log", "show"],
    &["log", "verify"],
    &["log", "watch"],
    &["log", "evidence"],
    &["log", "unclaim"],
    &["prove"],
    &["mirror"],
    &["key"],
    &["key", "new"],
    &["key", "list"],
    &["key", "show"],
    &["key", "rotate"],
    &["trust"],
    &["trust", "add"],
    &["trust", "list"],
    &["trust", "remove"],
    &["registry"],
    &["registry", "init"],
    &["registry", "check"],
    &["registry", "rotate-key"],
    &["ledger"],
    &["ledger", "show"],
    &["ledger", "add"],
    &["ledger", "import"],
    &["ledger", "check"],
    &["ledger", "diff"],
    &["pairs"],
    &["pairs", "show"],
    &["pairs", "add"],
    &["pairs", "check"],
    &["cache"],
    &["cache", "info"],
    &["cache", "verify"],
    &["cache", "gc"],
    &["serve"],
    &["doctor"],
    &["demo"],
    &["demo", "source"],
    &["completions"],
    &["man"],
];

/// The verbs that a help text lists; those of `isn` itself are in groups.
fn listed(help: &str) -> Vec<String> {
    let commands = help.split("\n\n").filter(|block| match block.lines().next() {
        Some("Options:" | "Global options:" | "Arguments:" | "Examples:") | None => false,
        Some(heading) => heading.ends_with(':') && !heading.contains('`'),
    });
    let first = |line: &str| line.split_whitespace().next().unwrap().to_string();
    let lines = commands.flat_map(|block| block.lines().skip(1));
    lines.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).map(first).collect()
}

#[test]
fn help_is_as_in_help_txt() {
    let sandbox = Sandbox::new();
    let mut text = String::new();
    for verb in VERBS {
        let args = [verb, &["--help"]].concat();
        let help = sandbox.isn(&args).ok().stdout;
        for sub in listed(&help) {
            let known = VERBS
                .iter()
                .any(|v| v.len() > verb.len() && v[..verb.len()] == *verb && v[verb.len()] == sub);
            assert!(known || sub == "help", "{verb:?} has {sub}, which is not in this test's list");
        }
        text += &format!("$ isn {}\n{help}\n", args.join(" "));
    }
    assert!(text.lines().all(|line| line.chars().count() <= 110), "a line of help is too long");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help.txt");
    if std::env::var_os("ISN_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = expected.lines().zip(text.lines()).find(|(a, b)| a != b);
    assert!(
        expected == text,
        "the help has changed at {differs:?}: if that is right, run ISN_BLESS=1 cargo test --test cli reference"
    );
}

/// The folders of modules and tests.
const SOURCES: [&str; 5] =
    ["src", "tests/cli", "crates/isn-format/src", "crates/isn-pixels/src", "crates/isn-registry/src"];

/// The tests that the table of the threat model names exist.
#[test]
fn the_tests_of_the_threat_model_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let (_, table) = text.split_once("## Claims and their tests").unwrap();
    let mut named = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for path in tests.split('`').skip(1).step_by(2).filter(|path| path.contains("::")) {
            // `tests` is a module in the file, a file or a folder.
            let parts: Vec<&str> = path.trim_end_matches("::*").split("::").collect();
            let short = parts.iter().copied().filter(|name| *name != "tests").collect();
            let is_there = [short, parts].iter().any(|modules: &Vec<&str>| {
                // The name is of a module, or of a function in one.
                (modules.len() - 1..=modules.len()).any(|length| {
                    let (file, function) = (modules[..length].join("/"), modules.get(length));
                    let files = SOURCES.into_iter().flat_map(|folder| {
                        ["", "/mod", "/tests"].map(|end| root.join(format!("{folder}/{file}{end}.rs")))
                    });
                    files
                        .filter_map(|file| std::fs::read_to_string(file).ok())
                        .any(|code| function.is_none_or(|function| code.contains(&format!("fn {function}("))))
                })
            });
            assert!(is_there, "{path} is not there");
            named += 1;
        }
    }
    assert!(named > 150, "{named}");
}

/// Markdown is wrapped at 110 characters; tables and code blocks may be wider.
#[test]
fn docs_are_wrapped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = pages.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    let others = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "registry/README.md", "python/README.md"];
    files.extend(others.map(|path| root.join(path)));
    let mut long = Vec::new();
    for file in files {
        let mut in_code = false;
        for (number, line) in (1..).zip(std::fs::read_to_string(&file).unwrap().lines()) {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            if !fence && !in_code && !line.starts_with('|') && line.chars().count() > 110 {
                long.push(format!("{}:{number}", file.strip_prefix(root).unwrap().display()));
            }
        }
        assert!(!in_code, "{}: a code block is not closed", file.display());
    }
    // Comments are, too, but for the rows of tables.
    for folder in ["src", "crates", "python/src", "tests/cli", "fuzz/fuzz_targets"] {
        for (path, _) in isn_registry::files::walk(&root.join(folder)).unwrap() {
            // Most of it is zune-jpeg's, as it was published.
            if format!("{folder}/{path}").starts_with("crates/isn-jpeg/src/") && !path.ends_with("/fast.rs") {
                continue;
            }
            let Some(text) = path.ends_with(".rs").then(|| root.join(folder).join(&path)) else { continue };
            for (number, line) in (1..).zip(std::fs::read_to_string(&text).unwrap().lines()) {
                let comment = line.trim_start().strip_prefix("//").filter(|_| line.chars().count() > 110);
                if comment
                    .is_some_and(|comment| !comment.trim_start_matches(['/', '!', ' ']).starts_with('|'))
                {
                    long.push(format!("{folder}/{path}:{number}"));
                }
            }
        }
    }
    assert!(long.is_empty(), "lines of more than 110 characters: {long:?}");
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_would_be_right() {
    let sandbox = Sandbox::new();
    for (args, message) in [
        (&["pul", "x"][..], "pull"),
        (&["pull"], "<REF|BUILD>"),
        (&["pull", "Not A Name"], "Not A Name"),
        (&["pull", "x@1"], "MAJOR.MINOR"),
        (&["pull", "x@1.0#b3:12"], "b3:12"),
        (&["pull", "x", "--split", "tests"], "tests"),
        (&["pull", "x", "--class", "../a"], "../a"),
        (&["pull", "x", "-j", "0"], "0"),
        (&["build", "r.toml"], "--source"),
        (&["publish", "out", "--registry", "reg"], "--key"),
        (&["verify", "x", "--expect", "b3:xyz"], "b3:xyz"),
        (&["cite", "x", "--format", "word"], "bibtex"),
        (&["install", "x"], "tip: `isn pull REF`"),
        (&["list", "nope"], "tip: `isn info nope`"),
        (&["pull", "x", "--output", "y"], "tip: isn pull calls it '--to'"),
    ] {
        let ran = sandbox.isn(args);
        assert!(ran.code == 2 && ran.stderr.contains(message), "{args:?}: {} {}", ran.code, ran.stderr);
        assert!(ran.stdout.is_empty(), "{args:?}");
    }
}
