//! Damages each file of a registry, in every way and at every position, then verifies and pulls from it.

use std::collections::BTreeMap;
use std::fs;

use crate::sandbox::{Sandbox, contents};

/// The ways to damage a file.
const DAMAGES: [&str; 9] = [
    "flip at the start",
    "flip in the middle",
    "flip at the end",
    "cut at the start",
    "cut in the middle",
    "cut at the end",
    "append",
    "insert at the start",
    "delete",
];

/// Returns the damaged bytes; `None` if the file is deleted.
fn damaged(bytes: &[u8], how: &str) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let (middle, last) = (bytes.len() / 2, bytes.len() - 1);
    match how {
        "flip at the start" => bytes[0] ^= 1,
        "flip in the middle" => bytes[middle] ^= 16,
        "flip at the end" => bytes[last] ^= 1,
        "cut at the start" => bytes.clear(),
        "cut in the middle" => bytes.truncate(middle),
        "cut at the end" => bytes.truncate(last),
        "append" => bytes.push(b'!'),
        "insert at the start" => bytes.insert(0, b' '),
        _ => return None,
    }
    Some(bytes)
}

/// The role of a file in a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Needed for a pull by name: damage makes the pull fail.
    Needed,
    /// An object that a pull by name does not need.
    Unused,
    /// Covered by no hash, and needed for a pull by name.
    Hint,
    /// Covered by no hash, and not needed for a pull by name.
    UnusedHint,
}

/// Every file of a registry with one version, with the word that messages use for it.
fn files(sandbox: &Sandbox) -> BTreeMap<&'static str, (String, Role)> {
    let mut files = BTreeMap::new();
    for (name, bytes) in contents(&sandbox.path("reg")) {
        let head = bytes.iter().take(24).map(|b| *b as char).collect::<String>();
        let known = match name.as_str() {
            _ if name.ends_with(".tar.zst") => ("shard", Role::Needed),
            _ if name.ends_with(".json") && name.starts_with("objects/") => ("manifest", Role::Needed),
            _ if name.ends_with(".jsonl.zst") => {
                let text = zstd::decode_all(&bytes[..]).unwrap();
                if text.starts_with(b"{\"format\":\"isn-pack/1\"") {
                    ("pack", Role::Needed)
                } else {
                    ("index", Role::Needed)
                }
            }
            _ if name.ends_with(".toml") => ("recipe", Role::Unused),
            _ if head.starts_with("index,id") => ("classes.csv", Role::Needed),
            _ if name.ends_with(".csv") => ("split assignments", Role::Unused),
            _ if name.starts_with("packs/") => ("packs", Role::Hint),
            _ if name.starts_with("pins/") => ("pins", Role::UnusedHint),
            "releases/grads/1.0" => ("release", Role::Needed),
            "releases/grads/versions" => ("versions", Role::UnusedHint),
            "releases/names" => ("names", Role::UnusedHint),
            "registry.json" => ("registry.json", Role::UnusedHint),
            "log/checkpoint" => ("checkpoint", Role::Needed),
            // A reader who has replayed them does not read them again.
            _ if name.starts_with("log/tile/entries/") => ("entries", Role::Unused),
            _ if name.starts_with("log/tile/0/") => ("tile", Role::Unused),
            _ if name.contains(".isn-") => continue,
            _ => panic!("what is {name}?"),
        };
        assert!(files.insert(known.0, (name, known.1)).is_none(), "two of {}", known.0);
    }
    assert_eq!(files.len(), 16, "{files:?}");
    files
}

#[test]
fn every_damage_is_found_or_does_not_matter() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "whole"]).ok();
    let whole = contents(&sandbox.path("whole"));
    let mut case_number = 0;
    for (noun, (name, role)) in files(&sandbox) {
        let path = format!("reg/{name}");
        let bytes = sandbox.read(&path);
        for how in DAMAGES {
            let case = format!("{noun}: {how}");
            match damaged(&bytes, how) {
                Some(bytes) => sandbox.write(&path, &bytes),
                None => fs::remove_file(sandbox.path(&path)).unwrap(),
            }
            let verified = sandbox.isn(&["verify", "reg"]);
            let named = format!("{}{}", verified.stdout, verified.stderr);
            match role {
                Role::Needed | Role::Unused => {
                    let gone = noun == "release" && how == "delete";
                    assert!(gone || matches!(verified.code, 3 | 4), "{case}: {} {named}", verified.code);
                    assert!(gone || named.contains(&name), "{case}: {name} is not in {named}");
                }
                Role::Hint | Role::UnusedHint => {}
            }

            // Each case pulls into a new folder, so that it cannot resume what an
            // earlier failed pull fetched.
            case_number += 1;
            let tree = format!("tree{case_number}");
            let pulled = sandbox.pull("grads@1.0", &["--to", &tree]);
            // After the last image comes only the end of the archive.
            let spares_images = noun == "shard" && (how.ends_with("the end") || how == "append");
            // The log has the release, too.
            let is_spared = spares_images || (noun == "release" && how == "delete");
            if role == Role::Needed && !is_spared {
                assert!(matches!(pulled.code, 3 | 4 | 6), "{case}: {} {}", pulled.code, pulled.stderr);
                let message = &pulled.stderr;
                let named = message.contains(&name) || (pulled.code == 6 && message.contains("grads@1.0"));
                assert!(named, "{case}: {name} is not in {message}");
            }
            if pulled.code == 0 {
                assert_eq!(whole, contents(&sandbox.path(&tree)), "{case}");
            } else {
                let expected: &[i32] = match role {
                    Role::Needed => &[3, 4, 6],
                    // A version whose packs are missing has no images here.
                    Role::Hint => &[3, 7],
                    Role::UnusedHint if noun == "registry.json" => &[6],
                    Role::Unused | Role::UnusedHint => &[],
                };
                assert!(expected.contains(&pulled.code), "{case}: {} {}", pulled.code, pulled.stderr);
                assert!(!sandbox.path(&tree).exists(), "{case}");
            }
            // Other references to the version give the same tree, or none.
            for reference in ["grads", &pin[pin.len() - 67..]] {
                case_number += 1;
                let tree = format!("tree{case_number}");
                let pulled = sandbox.pull(reference, &["--to", &tree]);
                assert!(
                    matches!(pulled.code, 0 | 3 | 4 | 6 | 7),
                    "{case}: {} {}",
                    pulled.code,
                    pulled.stderr
                );
                assert_eq!(pulled.code == 0, sandbox.path(&tree).exists(), "{case}");
                if pulled.code == 0 {
                    let mut tree = contents(&sandbox.path(&tree));
                    let mut expected = whole.clone();
                    // A pin may hold although the signature does not; then ISN.json says so.
                    tree.retain(|(name, _)| name != "ISN.json");
                    expected.retain(|(name, _)| name != "ISN.json");
                    assert_eq!(tree, expected, "{case}");
                }
            }
            sandbox.write(&path, &bytes);
        }
    }
    sandbox.isn(&["verify", "reg"]).ok();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
}

#[test]
fn an_object_in_the_place_of_another_is_found() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    // The second version's release, index and so on are intact and correctly signed, but not
    // what is asked for.
    sandbox.copy("reg", "good");
    let swap =
        |from: &str, to: &str| sandbox.write(&format!("reg/{to}"), &sandbox.read(&format!("good/{from}")));
    swap("releases/grads/1.1", "releases/grads/1.0");
    sandbox.pull("grads@1.0", &[]).fails(4, "was replaced: it is not entry 1 of the log");
    sandbox.isn(&["verify", "reg"]).fails(3, "releases/grads/1.0");
    swap("releases/grads/1.0", "releases/grads/1.0");
    for ending in [".tar.zst", ".json", ".csv", ".toml", ".jsonl.zst"] {
        let objects = sandbox.objects("reg", ending);
        let [one, other, ..] = &objects[..] else { panic!("{objects:?}") };
        let (a, b) = (sandbox.read(one), sandbox.read(other));
        sandbox.write(one, &b);
        sandbox.write(other, &a);
        let ran = sandbox.isn(&["verify", "reg"]).fails(3, &one["reg/".len()..]);
        assert!(ran.stdout.contains(&other["reg/".len()..]), "{}", ran.stdout);
        for version in ["1.0", "1.1"] {
            let ran = sandbox.pull(&format!("grads@{version}"), &[]);
            assert!(matches!(ran.code, 0 | 3), "{ending}: {} {}", ran.code, ran.stderr);
            if ran.code == 0 {
                assert!(matches!(ending, ".csv" | ".toml" | ".jsonl.zst"), "{ending}");
            }
            let _ = fs::remove_dir_all(sandbox.path(&format!("grads-{version}")));
        }
        sandbox.write(one, &a);
        sandbox.write(other, &b);
    }
    // A packs hint that leads to the other version's pack: it may lack images, but never yields wrong ones.
    let packs: Vec<String> = contents(&sandbox.path("reg/packs")).into_iter().map(|(name, _)| name).collect();
    swap(&format!("packs/{}", packs[0]), &format!("packs/{}", packs[1]));
    for version in ["1.0", "1.1"] {
        let ran = sandbox.pull(&format!("grads@{version}"), &[]);
        assert!(matches!(ran.code, 0 | 3 | 7), "{version}: {} {}", ran.code, ran.stderr);
        let tree = format!("grads-{version}");
        assert_eq!(ran.code == 0, sandbox.path(&tree).exists());
        if ran.code == 0 {
            sandbox
                .isn(&["verify", &tree, "--expect", &format!("grads@{version}"), "--registry", "reg"])
                .ok();
        }
    }
}

#[test]
fn every_damage_of_a_tree_is_found_and_named() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let all = contents(&sandbox.path("tree"));
    let image = all.iter().find(|(name, _)| name.starts_with("val/")).unwrap().0.as_str();
    for name in [image, "classes.csv", "B3SUMS"] {
        let path = format!("tree/{name}");
        let bytes = sandbox.read(&path);
        for how in DAMAGES {
            match damaged(&bytes, how) {
                Some(bytes) => sandbox.write(&path, &bytes),
                None => fs::remove_file(sandbox.path(&path)).unwrap(),
            }
            let ran = sandbox.isn(&["verify", "tree", "--expect", &pin]);
            // A folder without B3SUMS is not a tree.
            let code = if (name, how) == ("B3SUMS", "delete") { 1 } else { 3 };
            assert_eq!(ran.code, code, "{name}: {how}: {} {}", ran.stdout, ran.stderr);
            assert!(format!("{}{}", ran.stdout, ran.stderr).contains(name), "{name}: {how}: {}", ran.stdout);
            sandbox.write(&path, &bytes);
        }
    }
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
}
