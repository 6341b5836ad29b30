//! A lock file that somebody else wrote cannot make isn write outside the project.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::sandbox::{Ran, Sandbox, contents, ran};

/// Runs isn in the folder `project` of the sandbox.
fn at(sandbox: &Sandbox, args: &[&str]) -> Ran {
    ran(sandbox.command(args).current_dir(sandbox.path("project")))
}

/// Returns a project that locks `grads@1.0` once at each of `paths`, all from `reg`.
fn project(paths: &[&str]) -> Sandbox {
    let (sandbox, pin) = Sandbox::published();
    let reg = sandbox.path("reg").display().to_string();
    let entry =
        |path: &&str| format!("\n[[dataset]]\npath = '{path}'\npin = \"{pin}\"\nregistry = \"{reg}\"\n");
    let entries: String = paths.iter().map(entry).collect();
    sandbox.write("project/isn.lock", format!("format = \"isn-lock/1\"\n{entries}").as_bytes());
    fs::create_dir(sandbox.path("outside")).unwrap();
    sandbox
}

#[cfg(unix)]
fn link(sandbox: &Sandbox, to: impl AsRef<Path>, from: &str) {
    std::os::unix::fs::symlink(to, sandbox.path("project").join(from)).unwrap();
}

#[test]
fn paths_that_leave_the_project() {
    let sandbox = project(&["../outside/a"]);
    at(&sandbox, &["sync"]).fails(1, "../outside/a, for grads@1.0, leads out of the project's folder");
    assert_eq!(contents(&sandbox.path("outside")), []);
    let absolute = std::env::temp_dir().join("isn-never-there");
    let absolute = absolute.to_str().unwrap();
    let bad = [
        absolute,
        "../outside/a",
        "data/../../outside/b",
        "..",
        "data/..",
        ".",
        "",
        "c:/x",
        "..\\x",
        ".git/x",
        "data/.GIT",
    ];
    let sandbox = project(&[&["good"][..], &bad].concat());
    let before = contents(&sandbox.path(""));
    for args in [&["sync"][..], &["sync", "--locked"]] {
        let ran = at(&sandbox, args).fails(1, "--allow-outside");
        for path in bad {
            let is_named = ran
                .stderr
                .lines()
                .any(|line| line.trim_start().starts_with(format!("{path}, for grads@1.0, ").trim_start()));
            assert!(is_named || path.is_empty(), "{path}: {}", ran.stderr);
        }
        assert_eq!(ran.stderr.matches("--allow-outside").count(), bad.len() - 2, "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("is a .git folder, or in one\n").count(), 2, "{}", ran.stderr);
        assert!(!ran.stderr.contains("good"), "{}", ran.stderr);
    }
    // Nothing is written, not even at the valid paths.
    assert!(before == contents(&sandbox.path("")));
    assert!(!Path::new(absolute).exists());
    // The user may allow it.
    let sandbox = project(&["../outside/a", "good"]);
    at(&sandbox, &["sync", "--locked", "--allow-outside"]).ok();
    assert!(sandbox.path("outside/a/B3SUMS").exists() && sandbox.path("project/good/B3SUMS").exists());
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_project() {
    let sandbox = project(&["data/a", "b", "far/deep/c", "dangling", "near/d", "good"]);
    fs::create_dir_all(sandbox.path("project/inside")).unwrap();
    link(&sandbox, "../outside", "data");
    link(&sandbox, sandbox.path("outside"), "b");
    link(&sandbox, "data", "far");
    link(&sandbox, "../nowhere", "dangling");
    link(&sandbox, "inside", "near");
    let ran = at(&sandbox, &["sync"]).fails(1, "through a link");
    for path in ["data/a", "b", "far/deep/c", "dangling"] {
        assert!(
            ran.stderr.contains(&format!("  {path}, for grads@1.0, leads out")),
            "{path}: {}",
            ran.stderr
        );
    }
    assert!(!ran.stderr.contains("near/d") && !ran.stderr.contains("good"), "{}", ran.stderr);
    assert_eq!(contents(&sandbox.path("outside")), []);
    assert!(!sandbox.path("nowhere").exists() && !sandbox.path("project/good").exists());
    for name in ["data", "b", "far", "dangling"] {
        fs::remove_file(sandbox.path("project").join(name)).unwrap();
    }
    at(&sandbox, &["sync"]).ok();
    assert!(sandbox.path("project/inside/d/B3SUMS").exists());
}

/// A link is refused like a path that names `.git`, because git runs files in it.
#[cfg(unix)]
#[test]
fn links_into_gits_own_folder() {
    let bad = ["data/x", "hooks", "deep/er", "far/x", "all"];
    let sandbox = project(&[&bad[..], &["good"]].concat());
    fs::create_dir_all(sandbox.path("project/.git/hooks")).unwrap();
    link(&sandbox, ".git", "data");
    link(&sandbox, sandbox.path("project/.git/hooks"), "hooks");
    fs::create_dir(sandbox.path("project/deep")).unwrap();
    link(&sandbox, "../.git/hooks", "deep/er");
    link(&sandbox, "data", "far");
    link(&sandbox, ".", "all");
    let ran = at(&sandbox, &["sync"]).fails(1, "--allow-outside");
    for path in bad {
        let why =
            if path == "all" { "is the project's folder itself" } else { "is a .git folder, or in one" };
        assert!(ran.stderr.contains(&format!("  {path}, for grads@1.0, {why}")), "{path}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("good"), "{}", ran.stderr);
    // Allowing trees outside the project does not allow these.
    let ran = at(&sandbox, &["sync", "--allow-outside"])
        .fails(1, "data/x, for grads@1.0, is a .git folder, or in one");
    assert_eq!(ran.stderr.matches("is a .git folder, or in one\n").count(), 4, "{}", ran.stderr);
    assert_eq!(contents(&sandbox.path("project/.git")), []);
    assert!(!sandbox.path("project/good").exists());
}

#[cfg(unix)]
#[test]
fn gits_own_folder_elsewhere() {
    let absolute = std::env::temp_dir().join("isn-never-there/.git/x");
    let paths = ["../other/.git/x", "../.GIT", "a/../.git/y", absolute.to_str().unwrap(), "linked/x"];
    let sandbox = project(&paths);
    fs::create_dir_all(sandbox.path("other/.git")).unwrap();
    link(&sandbox, "../other/.git", "linked");
    let ran = at(&sandbox, &["sync", "--allow-outside"]).fails(1, "is a .git folder, or in one");
    for path in paths {
        assert!(
            ran.stderr.contains(&format!("  {path}, for grads@1.0, is a .git folder, or in one\n")),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(contents(&sandbox.path("other/.git")), []);
    let pull =
        ["pull", "grads", "--registry", "../reg", "--to", "../other/.git/x", "--lock", "--allow-outside"];
    at(&sandbox, &pull).fails(1, "is a .git folder, or in one");
    assert_eq!(contents(&sandbox.path("other/.git")), []);
}

#[cfg(unix)]
#[test]
fn link_where_the_project_file_wants_a_tree() {
    let (sandbox, _) = Sandbox::published();
    fs::create_dir(sandbox.path("outside")).unwrap();
    let reg = sandbox.path("reg").display().to_string();
    let asked = format!("registry = [\"{reg}\"]\ndatasets = [\"grads\"]\n");
    sandbox.write("project/isn.toml", asked.as_bytes());
    link(&sandbox, "../outside", "grads-1.0");
    at(&sandbox, &["sync"])
        .fails(1, "grads-1.0, for grads@1.0, leads out of the project's folder through a link");
    assert!(!sandbox.path("project/isn.lock").exists());
    assert_eq!(contents(&sandbox.path("outside")), []);
}

#[test]
fn pull_that_would_lock_a_path_outside() {
    let (sandbox, _) = Sandbox::published();
    fs::create_dir(sandbox.path("project")).unwrap();
    let pull = |to: &str, more: &[&str]| {
        at(&sandbox, &[&["pull", "grads", "--registry", "../reg", "--to", to, "--lock"], more].concat())
    };
    let absolute = sandbox.path("elsewhere").display().to_string();
    for to in ["../x", &absolute] {
        pull(to, &[]).fails(1, "--allow-outside");
        assert!(!sandbox.path("x").exists() && !sandbox.path("elsewhere").exists());
        assert!(!sandbox.path("project/isn.lock").exists());
    }
    pull("../x", &["--allow-outside"]).ok();
    assert!(sandbox.path("x/B3SUMS").exists());
    at(&sandbox, &["sync"]).fails(1, "../x, for grads@1.0, leads out of the project's folder");
    at(&sandbox, &["sync", "--allow-outside"]).ok();
    // Without a lock file, any destination is allowed.
    at(&sandbox, &["pull", "grads", "--registry", "../reg", "--to", "../y"]).ok();
}

/// A clone may contain a link here, and the contents of its target must not appear in a build server's
/// output.
#[cfg(unix)]
#[test]
fn file_to_which_a_link_leads_is_not_shown() {
    for name in ["isn.lock", "isn.toml"] {
        let sandbox = Sandbox::new();
        sandbox.write("secrets", b"password hunter2\n");
        fs::create_dir(sandbox.path("project")).unwrap();
        link(&sandbox, "../secrets", name);
        let ran = at(&sandbox, &["sync"]).fails(1, &format!("{name}: line 1: "));
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}

/// A tree inside another one would add classes and images to it, or replace it.
#[test]
fn trees_that_are_in_each_other() {
    let cases: [(&[&str], &str); 6] = [
        (&["data", "data/train/aaaa"], "data/train/aaaa, for grads@1.0, is in data, which is for grads@1.0"),
        (&["data/x/y", "z", "./data"], "data/x/y, for grads@1.0, is in ./data, which"),
        (&["data", "./data"], "is the same place as"),
        (&["data", "data"], "data, for grads@1.0, is the same place as data"),
        (&["a/./b/", "a/b"], "is the same place as"),
        // On a file system that ignores case, these are one folder.
        (&["data", "Data/train/x"], "Data/train/x, for grads@1.0, is in data"),
    ];
    for (paths, why) in cases {
        let sandbox = project(&[paths, &["good"]].concat());
        let before = contents(&sandbox.path("project"));
        for args in [&["sync"][..], &["sync", "--locked"], &["sync", "--locked", "--allow-outside"]] {
            let ran = at(&sandbox, args).fails(1, why);
            assert!(ran.stderr.contains("has 1 mistake"), "{paths:?}: {}", ran.stderr);
        }
        assert!(before == contents(&sandbox.path("project")), "{paths:?}");
    }
    let sandbox = project(&["../outside/a", "../outside/a/b", "data"]);
    at(&sandbox, &["sync", "--allow-outside"]).fails(1, "../outside/a/b, for grads@1.0, is in ../outside/a");
    assert_eq!(contents(&sandbox.path("outside")), []);
    // Names that merely share a prefix are distinct.
    let sandbox = project(&["data", "data-2", "data.x/y", "datas/data"]);
    at(&sandbox, &["sync", "--locked"]).ok();
}

#[cfg(unix)]
#[test]
fn trees_that_are_in_each_other_through_links() {
    let sandbox = project(&["data", "near/train/aaaa", "same", "later/x"]);
    fs::create_dir(sandbox.path("project/data")).unwrap();
    link(&sandbox, "data", "near");
    link(&sandbox, "./near/../data", "same");
    let ran = at(&sandbox, &["sync"]).fails(1, "near/train/aaaa, for grads@1.0, is in");
    assert!(ran.stderr.contains("is the same place as"), "{}", ran.stderr);
    assert_eq!(contents(&sandbox.path("project/data")), []);
    // A link to a tree that the lock is about to bring.
    let sandbox = project(&["data", "later/train/aaaa"]);
    link(&sandbox, "data", "later");
    at(&sandbox, &["sync", "--allow-outside"]).fails(1, "later/train/aaaa, for grads@1.0, is in data");
    assert!(!sandbox.path("project/data").exists());
}

#[test]
fn tree_in_one_that_no_lock_names() {
    let sandbox = project(&["data/train/aaaa"]);
    at(&sandbox, &["pull", "grads", "--registry", "../reg", "--to", "data"]).ok();
    let before = contents(&sandbox.path("project"));
    at(&sandbox, &["sync"]).fails(1, "data/train/aaaa, for grads@1.0, is in data, which is a tree");
    assert!(before == contents(&sandbox.path("project")));
}

#[test]
fn pull_that_would_lock_a_tree_in_another() {
    let (sandbox, _) = Sandbox::published();
    fs::create_dir(sandbox.path("project")).unwrap();
    let pull =
        |more: &[&str]| at(&sandbox, &[&["pull", "grads", "--registry", "../reg", "--lock"], more].concat());
    pull(&["--to", "data"]).ok();
    let before = contents(&sandbox.path("project"));
    for more in [&["--to", "data/train/aaaa"][..], &["--to", "./data/x", "--allow-outside"]] {
        pull(more).fails(1, "is in data, which is for grads@1.0");
        assert!(before == contents(&sandbox.path("project")));
    }
    // Another spelling of the same path is the same destination.
    pull(&["--to", "./data"]).ok();
    assert!(before == contents(&sandbox.path("project")));
    fs::remove_dir_all(sandbox.path("project/data")).unwrap();
    pull(&["--to", "grads-1.0/train/aaaa"]).ok();
    fs::remove_dir_all(sandbox.path("project/grads-1.0")).unwrap();
    // A nested tree is also refused where the version gives the destination its name.
    pull(&[]).fails(1, "grads-1.0/train/aaaa, for grads@1.0, is in grads-1.0, which is for grads");
    assert!(!sandbox.path("project/grads-1.0").exists());
}

#[test]
fn pulls_that_lock_at_once_are_all_locked() {
    let (sandbox, _) = Sandbox::published();
    let places: Vec<String> = (0..8).map(|i| format!("d{i}")).collect();
    let pull = |to: &String| {
        let args = ["pull", "grads@1.0", "--registry", "reg", "--no-cache", "--lock", "--to", to];
        sandbox.command(&args).stdout(Stdio::null()).spawn().unwrap()
    };
    for _ in 0..3 {
        let pulls: Vec<_> = places.iter().map(pull).collect();
        pulls.into_iter().for_each(|mut pull| assert!(pull.wait().unwrap().success()));
        let lock = String::from_utf8(sandbox.read("isn.lock")).unwrap();
        let locked = places.iter().filter(|to| lock.contains(&format!("path = \"{to}\""))).count();
        assert_eq!(locked, places.len(), "{lock}");
        fs::remove_file(sandbox.path("isn.lock")).unwrap();
    }
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn files_of_isns_own_are_no_places_for_trees() {
    let bad = [
        ".isn.lock.isn-lock",
        "isn.toml",
        "isn.lock",
        "ISN.lock",
        "./isn.toml",
        "isn.lock/x",
        ".isn.lock.isn-lock/x",
        "a/../isn.toml",
    ];
    let sandbox = project(&[&["good", "data/isn.lock"][..], &bad].concat());
    let before = contents(&sandbox.path("project"));
    for args in [&["sync"][..], &["sync", "--locked"], &["sync", "--allow-outside"]] {
        let ran = at(&sandbox, args).fails(1, "is isn's own");
        assert_eq!(
            ran.stderr.matches("is isn's own: choose another name").count(),
            bad.len(),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("good") && !ran.stderr.contains("data/isn.lock"), "{}", ran.stderr);
    }
    assert!(contents(&sandbox.path("project")) == before);
    let sandbox = project(&["good"]);
    let reg = sandbox.path("reg").display().to_string();
    let absolute = fs::canonicalize(sandbox.path("project")).unwrap().join("isn.toml").display().to_string();
    for to in ["isn.toml", "isn.lock/x", &absolute] {
        for more in [&["--lock"][..], &["--lock", "--allow-outside"]] {
            let pull = ["pull", "grads@1.0", "--registry", &reg, "--to", to];
            at(&sandbox, &[&pull[..], more].concat()).fails(1, "");
            assert!(!sandbox.path("project/isn.toml").exists(), "{to}");
        }
    }
}
