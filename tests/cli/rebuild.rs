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
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg"]).fails(7, "has no images of it");
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
