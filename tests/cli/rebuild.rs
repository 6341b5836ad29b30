use std::fs;

use crate::sandbox::{Sandbox, contents, gradient};

/// A registry that has everything except the images.
fn without_shards() -> (Sandbox, String) {
    let (sandbox, pin) = Sandbox::published();
    for (name, _) in contents(&sandbox.path("reg")) {
        if name.ends_with(".tar.zst") {
            fs::remove_file(sandbox.path("reg").join(name)).unwrap();
        }
    }
    fs::remove_dir_all(sandbox.path("reg/packs")).unwrap();
    (sandbox, pin)
}

#[test]
fn a_version_is_built_again_from_the_users_own_source() {
    let (sandbox, pin) = without_shards();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg"]).fails(7, "has no images of grads@1.0");
    assert!(!sandbox.path("grads-1.0").exists());
    let ran = sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--source", "raw", "--json"]).ok();
    assert_eq!(ran.json()["pin"], pin.as_str());
    sandbox.isn(&["verify", "grads-1.0", "--expect", &pin]).ok();
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn another_source_is_refused_and_the_image_is_named() {
    let (sandbox, _) = without_shards();
    gradient(41, 30, 99).save(sandbox.path("raw/bee/bee_1.png")).unwrap();
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--source", "raw"];
    let ran = sandbox.isn(&pull).fails(3, "/bee/bee_1.png: its source file differs");
    assert!(!ran.stderr.contains("bee_2"), "{}", ran.stderr);
    assert!(!sandbox.path("grads-1.0").exists());
}

#[test]
fn what_is_to_be_built_is_not_copied() {
    let (sandbox, pin) = Sandbox::published();
    // The cache knows this tree.
    sandbox.isn(&["pull", &pin, "--registry", "reg", "--to", "fetched"]).ok();
    fs::create_dir(sandbox.path("empty")).unwrap();
    let pull = |source: &str, to: &str| {
        sandbox.isn(&["pull", &pin, "--registry", "reg", "--source", source, "--to", to, "--json"])
    };
    for source in ["empty", "absent"] {
        assert_ne!(pull(source, "built").code, 0, "{source}");
        assert!(!sandbox.path("built").exists());
    }
    assert_eq!(pull("raw", "built").ok().json()["reused_images"], 0);
    sandbox.isn(&["attest", "built", "--key", "me", "--out", "statement"]).ok();
    assert_eq!(pull("raw", "built").ok().stderr, "");
    // What is there already is not built, and that is said.
    let said = pull("raw", "fetched").ok().stderr;
    assert!(said.contains("the source was not read"), "{said}");
    sandbox.isn(&["attest", "fetched", "--key", "me", "--out", "none"]).fails(1, "--to NEW-DIR");
}
