//! Damage to what is stored: what × where × how. `isn verify` names the file, and a pull ends in the right error or in
//! the right tree, and never leaves anything behind.

use std::fs;
use std::path::PathBuf;

use crate::sandbox::{Sandbox, contents};

#[derive(Clone, Copy, Debug)]
enum How {
    Flip,
    Truncate,
    Delete,
    Append,
}

/// Every way of damaging `bytes`, with where it happens; `None` is a file that is gone.
fn damages(bytes: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for (place, at) in [("start", 0), ("middle", bytes.len() / 2), ("end", bytes.len() - 1)] {
        for how in [How::Flip, How::Truncate] {
            let mut damaged = bytes.to_vec();
            match how {
                How::Flip => damaged[at] ^= 1,
                _ => damaged.truncate(at),
            }
            found.push((format!("{how:?} at the {place}"), Some(damaged)));
        }
    }
    found.push((format!("{:?}", How::Append), Some([bytes, b"\n"].concat())));
    found.push((format!("{:?}", How::Delete), None));
    found
}

fn write(path: &PathBuf, bytes: &Option<Vec<u8>>) {
    match bytes {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}

#[test]
fn a_damaged_registry_is_found_out_and_nothing_wrong_is_ever_pulled() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "right"]).ok();
    let right: Vec<_> = contents(&sandbox.path("right"));
    let files = contents(&sandbox.path("reg"));
    assert!(files.len() >= 12, "{files:?}");
    for (name, bytes) in files.iter().filter(|(name, bytes)| !name.starts_with('.') && !bytes.is_empty()) {
        let path = sandbox.path("reg").join(name);
        // What only helps to find things is not vouched for, and need not be.
        let is_hint = ["packs/", "pins/", "releases/names", "releases/grads/versions", "registry.json"]
            .iter()
            .any(|hint| name.starts_with(hint));
        for (how, damaged) in damages(bytes) {
            write(&path, &damaged);
            let what = format!("{name}: {how}");

            let ran = sandbox.isn(&["verify", "reg"]);
            if !is_hint {
                assert_eq!(ran.code, 3, "{what}: {}{}", ran.stdout, ran.stderr);
                let file = name.rsplit('/').next().unwrap();
                assert!(ran.stdout.contains(file), "{what} is not named:\n{}", ran.stdout);
            }

            let ran = sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]);
            match ran.code {
                0 => {
                    // Not needed for a pull: recipe, assignments, hints; or a shard's last bytes, after the images.
                    assert_eq!(contents(&sandbox.path("tree")), right, "{what}");
                    fs::remove_dir_all(sandbox.path("tree")).unwrap();
                }
                1 | 3 | 4 | 6 | 7 => assert!(!sandbox.path("tree").exists(), "{what}"),
                code => panic!("{what}: exit code {code}: {}", ran.stderr),
            }
            if name.starts_with("releases/grads/1.0") && damaged.is_some() {
                assert!([3, 4].contains(&ran.code), "{what}: {}", ran.code);
            }
            for left in sandbox.leftovers() {
                let path = sandbox.path(&left);
                if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
            }
            fs::write(&path, bytes).unwrap();
        }
    }
    sandbox.isn(&["verify", "reg"]).ok();
    sandbox.isn(&["verify", "right", "--expect", &pin]).ok();
}

#[test]
fn every_damage_to_a_tree_is_found_and_named() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]).ok();
    let files = contents(&sandbox.path("tree"));
    for (name, bytes) in files.iter().filter(|(name, _)| name != "ISN.json") {
        let path = sandbox.path("tree").join(name);
        for (how, damaged) in damages(bytes) {
            write(&path, &damaged);
            let ran = sandbox.isn(&["verify", "tree", "--expect", &pin]);
            if name == "B3SUMS" && damaged.is_none() {
                assert_eq!(ran.code, 1, "a folder without B3SUMS is no tree");
            } else {
                assert_eq!(ran.code, 3, "{name}: {how}: {}{}", ran.stdout, ran.stderr);
                assert!(ran.stdout.contains(name.as_str()), "{name}: {how}: {}", ran.stdout);
            }
            fs::write(&path, bytes).unwrap();
        }
    }
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
}
