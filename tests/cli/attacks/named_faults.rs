//! The file or folder that is at fault is named, and what to do about it.

use std::fs;

use crate::forger::Forger;
use crate::sandbox::{Ran, Sandbox};

#[track_caller]
fn says(ran: &Ran, words: &[&str], not: &[&str]) {
    let all = format!("{}{}", ran.stdout, ran.stderr);
    for words in words {
        assert!(all.contains(words), "expected '{words}' in {all}");
    }
    for words in not {
        assert!(!all.contains(words), "unexpected '{words}' in {all}");
    }
}

/// The manifest of a build is the beginning of all that is known about it.
#[test]
fn a_changed_manifest_of_a_build_is_named() {
    let sandbox = Sandbox::built();
    let manifest = String::from_utf8(sandbox.read("out/manifest.json")).unwrap();
    let (changed, unread) = (["was changed", "has no object"], ["is not the manifest of a build"]);
    for (bytes, why) in [
        (String::new(), &["is empty"][..]),
        ("junk".into(), &unread[..]),
        ("{}".into(), &unread[..]),
        (manifest.trim_end_matches(['}', '\n']).into(), &unread[..]),
        (format!("{manifest}\n"), &changed[..]),
        (manifest.replace("1.0", "1.7"), &changed[..]),
    ] {
        sandbox.write("out/manifest.json", bytes.as_bytes());
        for args in [
            &["verify", "out"][..],
            &["publish", "out", "--registry", "new", "--key", "me"],
            &["diff", "out", "out"],
            &["audit", "duplicates", "out"],
        ] {
            let ran = sandbox.isn(args).fails(3, "manifest.json");
            says(&ran, why, &["objects/", "tree of yours", "another copy"]);
            says(&ran, &["build it again (`isn build`)"], &[]);
        }
        let ran = sandbox.isn(&["verify", "out", "--json"]).fails(3, "");
        let faults = ran.json()["faults"].as_array().unwrap().clone();
        assert_eq!((faults.len(), &faults[0]["path"]), (1, &"manifest.json".into()), "{faults:?}");
    }
    assert!(!sandbox.path("new").exists());
    // A newer isn may read it: it is not damaged.
    sandbox.write("out/manifest.json", manifest.replace("isn-manifest/1", "isn-manifest/9").as_bytes());
    sandbox.isn(&["publish", "out", "--registry", "new", "--key", "me"]).fails(1, "a newer isn may");
    // Neither is the manifest at fault if only its object is damaged.
    sandbox.write("out/manifest.json", manifest.as_bytes());
    let objects = sandbox.objects("out", ".json");
    let object = objects.iter().find(|object| sandbox.read(object) == manifest.as_bytes()).unwrap();
    sandbox.write(object, b"junk");
    let ran = sandbox.isn(&["publish", "out", "--registry", "new", "--key", "me"]).fails(3, object);
    says(&ran, &[], &["was changed"]);
}

/// It is a tree all the same, not any folder of images.
#[test]
fn a_tree_whose_list_is_no_file_is_one() {
    let sandbox = Sandbox::new();
    sandbox.isn(&["pull", "demobirds@1.0", "--to", "tree"]).ok();
    let list = sandbox.path("tree/B3SUMS");
    let kinds: [(&str, &dyn Fn()); 2] = [
        ("a folder", &|| fs::create_dir(&list).unwrap()),
        ("a link to itself", &|| std::os::unix::fs::symlink("B3SUMS", &list).unwrap()),
    ];
    for (kind, put) in kinds {
        fs::remove_file(&list).unwrap();
        put();
        for args in
            [&["verify", "tree"][..], &["audit", "balance", "tree"], &["diff", "tree", "demobirds@1.0"]]
        {
            let ran = sandbox.isn(args).fails(1, "tree/B3SUMS");
            assert!(!ran.stderr.contains("/FILE"), "{kind}: {}", ran.stderr);
        }
        fs::remove_dir(&list).or_else(|_| fs::remove_file(&list)).unwrap();
        fs::write(&list, "").unwrap();
    }
}

/// Publishing it would fail. Only a version of a registry may have no images.
#[test]
fn a_build_whose_list_of_packs_is_empty_is_damaged() {
    let sandbox = Sandbox::built();
    let [list] = &fs::read_dir(sandbox.path("out/packs")).unwrap().collect::<Vec<_>>()[..] else { panic!() };
    let list = list.as_ref().unwrap();
    fs::write(list.path(), "").unwrap();
    let ran = sandbox.isn(&["verify", "out"]).fails(3, "a build has its images");
    says(&ran, &[list.file_name().to_str().unwrap()], &["signature"]);
}

/// A folder or a FIFO in the place of a project's own files is not one that a file in it could replace.
#[test]
#[cfg(unix)]
fn a_lock_file_that_is_no_file_is_told() {
    let (sandbox, _) = Sandbox::published();
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "tree", "--lock"];
    let verbs = [&["sync"][..], &["sync", "--locked"], &pull];
    fs::create_dir(sandbox.path("isn.lock")).unwrap();
    for args in verbs {
        let ran = sandbox.isn(args).fails(1, "isn.lock is a folder");
        says(&ran, &["move it away", "git checkout HEAD -- isn.lock"], &["isn.lock/FILE", "name a file"]);
    }
    fs::remove_dir(sandbox.path("isn.lock")).unwrap();
    let fifo = sandbox.path("isn.lock");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for args in verbs {
        let ran = sandbox.isn(args).fails(1, "isn.lock is not a file");
        says(&ran, &["move it away"], &["isn.lock/FILE"]);
    }
    fs::remove_file(&fifo).unwrap();
    fs::create_dir(sandbox.path("isn.toml")).unwrap();
    for args in [&["sync"][..], &["list"]] {
        let ran = sandbox.isn(args).fails(1, "isn.toml is a folder");
        says(&ran, &["move it away"], &["isn.toml/FILE", "git checkout HEAD -- isn.lock"]);
    }
    fs::remove_dir(sandbox.path("isn.toml")).unwrap();
    sandbox.isn(&pull).ok();
}

/// The length of a list is looked at before it is read.
#[test]
fn a_list_of_a_tree_that_is_too_long_is_not_read() {
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads@1.0", &[]).ok();
    for list in ["B3SUMS", "B3SUMS.selected"] {
        let file =
            fs::OpenOptions::new().append(true).create(true).open(sandbox.path("grads-1.0").join(list));
        file.unwrap().set_len(8 << 40).unwrap();
        sandbox.isn(&["verify", "grads-1.0"]).fails(3, "has 8796093022208 bytes");
        sandbox.isn(&["audit", "duplicates", "grads-1.0"]).fails(3, "has 8796093022208 bytes");
        sandbox.isn(&["diff", "grads-1.0", "out"]).fails(3, "has 8796093022208 bytes");
        fs::remove_dir_all(sandbox.path("grads-1.0")).unwrap();
        sandbox.pull("grads@1.0", &[]).ok();
    }
}

/// A folder that is no build is told for what it is.
#[test]
fn what_is_published_by_mistake_is_told_for_what_it_is() {
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads@1.0", &[]).ok();
    sandbox.copy("reg", "lost");
    fs::remove_file(sandbox.path("lost/registry.json")).unwrap();
    sandbox.write("file", b"x");
    for (folder, words) in [
        (
            "grads-1.0",
            &["is a tree, not a build output", "`isn build` makes one", "`isn verify grads-1.0` checks"][..],
        ),
        (
            "reg",
            &[
                "is a registry, not a build output",
                "`isn mirror reg NEW-DIR` copies it",
                "`isn list --registry reg`",
            ],
        ),
        ("lost", &["is a registry that has lost its registry.json", "`isn verify lost`"]),
        ("raw", &["is not a build output: it has no manifest.json", "`isn build` makes one"]),
        ("file", &["is a file", "`isn build` makes one"]),
    ] {
        let ran = sandbox.isn(&["publish", folder, "--registry", "new", "--key", "me"]).fails(1, "");
        says(&ran, words, &["passphrase"]);
    }
    assert!(!sandbox.path("new").exists());
}

#[test]
fn a_registry_to_write_to_that_does_not_exist_is_told() {
    let forger = Forger::new();
    for args in [
        &["yank", "grads@1.0", "--reason", "x"][..],
        &["withdraw", "grads@1.0", "--reason", "x"],
        &["owner", "threshold", "grads", "1"],
    ] {
        let args = [args, &["--registry", "nope", "--key", "me"]].concat();
        let ran = forger.isn(&args).fails(6, "there is no folder nope, which was named as a registry");
        says(&ran, &["check the path"], &["is not a registry", "makes a registry"]);
    }
    forger.isn(&["registry", "rotate-key", "nope"]).fails(6, "there is no folder nope");
    assert!(!forger.path("nope").exists());
}

#[test]
fn versions_apart_from_their_name_are_told_with_what_is_meant() {
    let forger = Forger::with_two_versions();
    for (args, meant) in [
        (&["diff", "grads", "1.0", "1.1"][..], "did you mean 'grads@1.0 grads@1.1'?"),
        (&["diff", "grads", "v1.0", "v1.1"], "did you mean 'grads@1.0 grads@1.1'?"),
        (&["diff", "grads@1.0", "grads", "1.1"], "did you mean 'grads@1.1'?"),
    ] {
        says(&forger.isn(args).fails(2, "unexpected argument"), &[meant], &[]);
    }
    for (args, meant) in [
        (&["diff", "grads@1.0", "1.1"][..], "did you mean grads@1.1?"),
        (&["diff", "grads", "1.1"], "did you mean grads@1.1?"),
        (&["diff", "v1.0", "grads"], "did you mean grads@1.0?"),
    ] {
        let args = [args, &["--registry", "reg"]].concat();
        says(&forger.reader(&args).fails(1, "is not a version without a name"), &[meant], &[]);
    }
}
