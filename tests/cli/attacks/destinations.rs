//! Misleading destinations: the current folder under another name, paths with `..`, and paths through missing
//! folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::replaced_trees::with_tree;
use crate::sandbox::{Ran, Sandbox, ran};

fn at(sandbox: &Sandbox, folder: &str, args: &[&str]) -> Ran {
    let mut command = sandbox.command(args);
    ran(command.current_dir(sandbox.path(folder)))
}

#[test]
fn the_folder_that_one_is_in_or_above_it_is_not_replaced_by_any_name() {
    let sandbox = with_tree();
    symlink(".", sandbox.path("here")).unwrap();
    let registry = sandbox.path("reg").display().to_string();
    let [absolute, by_link] = ["tree", "here/tree"].map(|name| sandbox.path(name).display().to_string());
    let number = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = number(&sandbox.path("tree"));
    for (folder, to) in [
        ("tree", "."),
        ("tree", "./"),
        ("tree", "../tree"),
        ("tree", "train/.."),
        ("tree", &absolute),
        ("tree", &by_link),
        ("tree/train", ".."),
        ("tree/train/ant", "../.."),
        ("tree/train", &by_link),
    ] {
        let pull = ["pull", "grads@1.1", "--registry", &registry, "--to", to];
        let ran = at(&sandbox, folder, &pull).fails(1, "is the current folder, or contains it");
        assert!(ran.stderr.contains("run the command outside"), "{}", ran.stderr);
        assert_eq!(number(&sandbox.path("tree")), before, "{folder} {to}");
        // A version that is there already does not need to be put in place.
        at(&sandbox, folder, &["pull", "grads@1.0", "--registry", &registry, "--to", to]).ok();
    }
    // The folder that one is in cannot be emptied or moved away, so what is in it does not matter.
    fs::create_dir(sandbox.path("full")).unwrap();
    sandbox.write("full/notes", b"mine");
    for to in [".", ".."] {
        for args in [
            &["pull", "grads@1.1", "--registry", &registry, "--to", to][..],
            &["export", "grads@1.1", "--registry", &registry, "--as", "webdataset", "--to", to],
            &["build", "../grads-1.0.toml", "--source", "../raw", "--out", to],
        ] {
            // The folder above has the source images, too.
            let is_around_source = args[0] == "build" && to == "..";
            let why = if is_around_source {
                "contains the source"
            } else {
                "is the current folder, or contains it"
            };
            let ran = at(&sandbox, "full", args).fails(1, why);
            assert!(!ran.stderr.contains("remove what is there"), "{}", ran.stderr);
        }
    }
    fs::create_dir(sandbox.path("empty")).unwrap();
    let empty = sandbox.path("here/empty").display().to_string();
    for to in [".", "../empty", &empty] {
        for args in [
            &["pull", "grads@1.1", "--registry", &registry, "--to", to][..],
            &["export", "grads@1.1", "--registry", &registry, "--as", "webdataset", "--to", to],
            &["build", "../grads-1.0.toml", "--source", "../raw", "--out", to],
            &["demo", "source", to],
        ] {
            at(&sandbox, "empty", args).fails(1, "is the current folder, or contains it");
        }
    }
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn a_way_up_has_a_name() {
    let sandbox = with_tree();
    fs::create_dir(sandbox.path("out2/deep")).unwrap();
    let registry = sandbox.path("reg").display().to_string();
    for (folder, build) in [("out2/objects", ".."), ("", "out2/deep/.."), ("out2", ".")] {
        at(&sandbox, folder, &["publish", build, "--registry", &registry, "--key", "me"]).ok();
    }
    // The root has no name.
    let pull = ["pull", "grads@1.0", "--registry", &registry, "--to", "/"];
    let said = at(&sandbox, "", &pull).fails(1, "/").stderr;
    assert!(!said.contains("has no file name"), "{said}");
}

#[test]
fn a_way_up_from_nothing_leaves_nothing() {
    let (sandbox, _) = Sandbox::published();
    for to in ["nope/../x", "nope/deep/../../x", "x/nope/.."] {
        sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", to]).ok();
        assert!(sandbox.path("x/B3SUMS").exists() && !sandbox.path("nope").exists(), "{to}");
        assert!(!sandbox.path("x/nope").exists());
        fs::remove_dir_all(sandbox.path("x")).unwrap();
    }
}

#[test]
fn an_output_with_a_slash_at_its_end_or_a_link_to_nothing_is_said_with_what_to_do() {
    let sandbox = with_tree();
    symlink("nowhere", sandbox.path("link")).unwrap();
    fs::create_dir(sandbox.path("folder")).unwrap();
    for (out, why) in [
        ("none/", "none/ ends in a slash, as a folder's name does: name a file"),
        ("folder/", "folder/ is a folder: name a file"),
        ("link", "link is a link that leads nowhere: put back what it leads to, or remove the link"),
    ] {
        sandbox.isn(&["prove", "grads@1.0", "--registry", "reg", "--out", out]).fails(1, why);
    }
}
