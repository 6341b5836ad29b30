//! Checks the module maps of `isn-registry` and of the command line: a module imports only from rows below
//! its own, no verb imports from another verb, and every test file is compiled.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The rows of the table in `lib.rs`, from the top: each module with the number of its row.
fn rows(lib: &str) -> BTreeMap<String, usize> {
    let table = lib.lines().filter(|line| line.starts_with("//! | ") && line.contains("[`"));
    let mut rows = BTreeMap::new();
    for (row, line) in table.enumerate() {
        for name in line.split("[`").skip(1) {
            rows.insert(name.split('`').next().unwrap().to_string(), row);
        }
    }
    rows
}

/// The code of a file without comments and tests; tests may import anything.
fn code(path: &Path) -> String {
    without_tests(&fs::read_to_string(path).unwrap())
}

fn without_tests(text: &str) -> String {
    let (mut code, mut lines) = (String::new(), text.lines());
    while let Some(line) = lines.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        match line.trim_start() {
            "#[cfg(test)]" => {
                // The item that follows, after its other attributes: a line, or a block up to its end.
                let item = lines.find(|line| !line.trim_start().starts_with(['#', '/']));
                if item.is_some_and(|item| item.ends_with(['{', '('])) {
                    lines.find(|line| {
                        line.strip_prefix(indent).is_some_and(|end| end.starts_with(['}', ')']))
                    });
                }
            }
            comment if comment.starts_with("//") => {}
            _ => code.push_str(line),
        }
    }
    code
}

#[test]
fn only_tests_are_left_out() {
    let text = "#[cfg(test)]\nmod tests;\nuse crate::a;\n    #[cfg(test)]\n    #[allow(dead_code)]\n    fn b() {\n        \
                crate::b();\n    }\nuse crate::c;\n#[cfg(test)]\nmod more {\n    crate::d\n}\n";
    assert_eq!(without_tests(text), "use crate::a;use crate::c;");
}

/// The imports in a folder that break the map in its `root` file. Other files name
/// its modules after `prefix`.
fn imports_that_point_up(src: &Path, root: &str, prefix: &str) -> Vec<String> {
    let map = fs::read_to_string(src.join(root)).unwrap();
    let rows = rows(&map);
    let modules: Vec<&str> = map
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    assert!(modules.len() > 10, "{root} has no modules");
    for module in &modules {
        assert!(rows.contains_key(*module), "{module} is not in the map of {root}");
    }
    assert_eq!(rows.len(), modules.len(), "the map of {root} names a module that is not there");

    let mut wrong = Vec::new();
    for path in files(src) {
        let relative = path.strip_prefix(src).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(&row) = rows.get(module) else { continue };
        if relative.ends_with("tests.rs") {
            continue;
        }
        let mut code = code(&path);
        // A module's own file: its `super` is the root.
        if relative.components().count() == 1 || relative == Path::new(module).join("mod.rs") {
            code = code.replace("super::", prefix);
        }
        for used in code.split(prefix).skip(1) {
            let used: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            match rows.get(&used) {
                Some(&below) if below < row => wrong.push(format!("{} uses {used}", relative.display())),
                _ => {}
            }
        }
    }
    wrong
}

#[test]
fn imports_point_down_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/isn-registry/src");
    let wrong = imports_that_point_up(&src, "lib.rs", "crate::");
    assert!(wrong.is_empty(), "imports that point up:\n{}", wrong.join("\n"));
}

#[test]
fn imports_of_the_command_line_point_down_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    let wrong = imports_that_point_up(&src, "mod.rs", "crate::cli::");
    assert!(wrong.is_empty(), "imports that point up:\n{}", wrong.join("\n"));
}

#[test]
fn no_verb_imports_another() {
    let verbs = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/verbs");
    for path in files(&verbs) {
        let relative = path.strip_prefix(&verbs).unwrap();
        if relative == Path::new("mod.rs") {
            continue;
        }
        // Above a verb's file is the list of verbs; above a file of a family of verbs, that family.
        let is_part = relative.components().count() > 1 && !relative.ends_with("mod.rs");
        let up = if is_part { "super::super" } else { "super::" };
        let code = code(&path);
        for way in [up, "verbs::"] {
            assert!(!code.contains(way), "{} imports by {way}", relative.display());
        }
    }
}

#[test]
fn tokio_stops_at_transport_registry_the_operations_that_drive_them_and_the_servers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in files(&root.join("src")).into_iter().chain(files(&root.join("crates"))) {
        let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
        let may = ["transport/", "registry/", "client/", "ops/", "steps/", "serve/", "review/"]
            .iter()
            .any(|dir| relative.contains(&format!("src/{dir}")));
        // SIGTERM while a passphrase is asked for.
        let may = may || relative == "src/cli/interrupt.rs";
        let text = fs::read_to_string(&path).unwrap();
        assert!(may || !text.contains("tokio::"), "{relative} uses tokio");
    }
}

#[test]
fn every_test_file_is_in_the_test_binary() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let main = fs::read_to_string(tests.join("main.rs")).unwrap();
    for path in files(&tests) {
        let (name, folder) = (path.file_stem().unwrap().to_str().unwrap(), path.parent().unwrap());
        // A test file is named by main.rs, or by the mod.rs of its folder, which main.rs names.
        let (name, list) = match (name, folder == tests) {
            ("mod", _) => (folder.file_name().unwrap().to_str().unwrap(), main.clone()),
            (_, true) => (name, main.clone()),
            (_, false) => (name, fs::read_to_string(folder.join("mod.rs")).unwrap()),
        };
        assert!(
            name == "main" || list.contains(&format!("mod {name};")),
            "{} is in no test binary",
            path.display()
        );
    }
}
